//! Values: texts, numbers, words, lists and tables of the user's names.

use std::collections::HashMap;
use std::hash::Hash;

use toml::de::DeValue;

use super::table::listed;
use super::{At, List, Map, Reader, Shape, Value, nearest, shown};
use crate::diagnostic::{Code, Diagnostic};
use crate::units::{Invalid, Text};

/// A type that can be read from the file.
pub(crate) trait FromToml: Sized {
    /// Reads it; what is wrong is told to `reader`. Nothing, if nothing of it makes sense.
    fn from_toml(value: &Value<'_>, reader: &mut Reader) -> Option<Self>;

    /// What it may hold.
    fn shape() -> Shape;

    /// Takes note that more of it stands under a misspelt name.
    fn is_in_part(&mut self) {}
}

impl Reader {
    /// Says that a value has the right kind and makes no sense.
    pub(crate) fn bad_value(&mut self, value: &Value<'_>, what: &str, invalid: Invalid) {
        let message = format!("`{}` is not {what}", self.path());
        self.report(Diagnostic::new(Code::BadValue, &value.span(), message, invalid.reason, invalid.remedy));
    }
}

impl<T: Text> FromToml for T {
    fn from_toml(value: &Value<'_>, reader: &mut Reader) -> Option<Self> {
        let DeValue::String(text) = value.get_ref() else {
            reader.wrong_type(value, T::WHAT, &format!("\"{}\"", T::EXAMPLE));
            return None;
        };
        text.parse().map_err(|invalid| reader.bad_value(value, T::WHAT, invalid)).ok()
    }

    fn shape() -> Shape {
        Shape::Text { what: T::WHAT, syntax: T::SYNTAX, example: T::EXAMPLE, pattern: T::PATTERN }
    }
}

impl FromToml for String {
    fn from_toml(value: &Value<'_>, reader: &mut Reader) -> Option<Self> {
        let DeValue::String(text) = value.get_ref() else {
            reader.wrong_type(value, "a text", "\"…\"");
            return None;
        };
        Some(text.as_ref().to_owned())
    }

    fn shape() -> Shape {
        Shape::Free
    }
}

impl FromToml for bool {
    fn from_toml(value: &Value<'_>, reader: &mut Reader) -> Option<Self> {
        let DeValue::Boolean(is) = value.get_ref() else {
            reader.wrong_type(value, "true or false", "true");
            return None;
        };
        Some(*is)
    }

    fn shape() -> Shape {
        Shape::Bool
    }
}

/// A whole number of the file.
pub(crate) fn integer(value: &Value<'_>, what: &str, example: i64, reader: &mut Reader) -> Option<i64> {
    let DeValue::Integer(number) = value.get_ref() else {
        reader.wrong_type(value, what, &example.to_string());
        return None;
    };
    let Ok(number) = i64::from_str_radix(number.as_str(), number.radix()) else {
        reader.bad_value(value, what, Invalid::new("a number that large is nothing", "write a smaller one"));
        return None;
    };
    Some(number)
}

/// Declares a choice of words.
macro_rules! words {
    (
        $(#[$meta:meta])+
        $vis:vis enum $name:ident: $what:literal {
            $($(#[doc = $doc:literal])+ $variant:ident = $word:literal,)+
        }
    ) => {
        $(#[$meta])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $vis enum $name {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl $crate::read::FromToml for $name {
            fn from_toml(value: &$crate::read::Value<'_>, reader: &mut $crate::read::Reader) -> Option<Self> {
                let word = $crate::read::word(value, $what, &[$($word),+], reader)?;
                match word {
                    $($word => Some(Self::$variant),)+
                    _ => None,
                }
            }

            fn shape() -> $crate::read::Shape {
                $crate::read::Shape::Words(&[$(($word, concat!($($doc),+))),+])
            }
        }
    };
}
pub(crate) use words;

/// One of `words`.
pub(crate) fn word(value: &Value<'_>, what: &str, words: &[&'static str], reader: &mut Reader) -> Option<&'static str> {
    let DeValue::String(text) = value.get_ref() else {
        let example = words.first().copied().unwrap_or_default();
        reader.wrong_type(value, what, &format!("\"{example}\""));
        return None;
    };
    let known = words.iter().find(|word| **word == text.as_ref()).copied();
    if known.is_none() {
        let remedy = match nearest(text, words.iter().copied()) {
            Some(near) => format!("did you mean \"{near}\"? There is {}", listed(words)),
            None => format!("write one of {}", listed(words)),
        };
        reader.bad_value(value, what, Invalid::new("that is none of the words for it", remedy));
    }
    known
}

impl<T: FromToml> FromToml for List<T> {
    fn from_toml(value: &Value<'_>, reader: &mut Reader) -> Option<Self> {
        let DeValue::Array(array) = value.get_ref() else {
            // What one element is, is there already.
            let example = match value.get_ref() {
                DeValue::String(text) => format!("[\"{}\"]", shown(text)),
                _ => Self::shape().example(),
            };
            reader.wrong_type(value, "a list", &example);
            return None;
        };
        let mut list = Self { items: Vec::new(), whole: true };
        for (index, element) in array.iter().enumerate() {
            match reader.within(format!("[{index}]"), |reader| T::from_toml(element, reader)) {
                Some(value) => list.items.push(At { value, span: element.span() }),
                None => list.whole = false,
            }
        }
        Some(list)
    }

    fn shape() -> Shape {
        Shape::List(Box::new(T::shape()))
    }
}

impl<K: Text + Eq + Hash, T: FromToml> FromToml for Map<K, T> {
    fn from_toml(value: &Value<'_>, reader: &mut Reader) -> Option<Self> {
        let DeValue::Table(table) = value.get_ref() else {
            reader.wrong_type(value, "a table", &Self::shape().example());
            return None;
        };
        let mut map = Self { entries: Vec::new(), places: HashMap::new(), whole: true };
        for (name, entry) in table {
            let key = name.get_ref().parse::<K>().map_err(|Invalid { reason, remedy }| {
                let message = format!("`{}` in `{}` is not {}", shown(name.get_ref()), reader.path(), K::WHAT);
                reader.report(Diagnostic::new(Code::BadValue, &name.span(), message, reason, remedy));
            });
            let value = reader.within(shown(name.get_ref()), |reader| T::from_toml(entry, reader));
            match (key, value) {
                (Ok(key), Some(value)) => {
                    map.places.insert(key.clone(), map.entries.len());
                    let key = At { value: key, span: name.span() };
                    map.entries.push((key, At { value, span: entry.span() }));
                }
                _ => map.whole = false,
            }
        }
        Some(map)
    }

    fn is_in_part(&mut self) {
        self.whole = false;
    }

    fn shape() -> Shape {
        Shape::Map { key: Box::new(K::shape()), of: Box::new(T::shape()) }
    }
}

impl Shape {
    /// How a value of it might be written.
    pub(crate) fn example(&self) -> String {
        match self {
            Self::Text { example, .. } => format!("\"{example}\""),
            Self::Free => "\"…\"".to_owned(),
            Self::Whole { least, .. } => least.to_string(),
            Self::Bool => "true".to_owned(),
            Self::Words(words) => format!("\"{}\"", words.first().map_or("", |(word, _)| word)),
            Self::List(of) => format!("[{}]", of.example()),
            Self::Map { key, of } => {
                let key = key.example();
                let bare = key.trim_matches('"');
                let is_bare = bare.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
                format!("{{ {} = {} }}", if is_bare { bare } else { &key }, of.example())
            }
            Self::Table(_, table) => {
                let keys = table().keys;
                let needed = keys.iter().filter(|key| key.presence == super::Presence::Needed);
                let needed: Vec<_> = needed.map(|key| format!("{} = {}", key.name, key.shape.example())).collect();
                if needed.is_empty() { "{ … }".to_owned() } else { format!("{{ {} }}", needed.join(", ")) }
            }
            Self::Either(shapes) => shapes.first().map_or_else(String::new, Self::example),
        }
    }
}
