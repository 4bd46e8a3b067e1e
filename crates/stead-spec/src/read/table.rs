//! Tables with keys of their own: one declaration is the type, how it is read, its schema and its reference.

use toml::de::DeValue;
use toml::map::Map as Entries;

use super::{At, Field, FromToml, Presence, Reader, Shape, Value, nearest, shown};
use crate::diagnostic::{Code, Diagnostic, Span};

/// The keys of one table of the file, as they are asked for.
pub(crate) struct Keys<'v, 'i> {
    entries: &'v Entries<toml::Spanned<toml::de::DeString<'i>>, Value<'i>>,
    span: Span,
    /// Keys that are probably there under a misspelt name.
    misspelt: Vec<&'v str>,
}

impl<'v, 'i> Keys<'v, 'i> {
    /// The keys of `value`, if it is a table; unknown ones are reported.
    pub(crate) fn of(value: &'v Value<'i>, known: &[&'v str], reader: &mut Reader) -> Option<Self> {
        let DeValue::Table(entries) = value.get_ref() else {
            reader.wrong_type(value, "a table", "{ KEY = VALUE, … }");
            return None;
        };
        let mut misspelt = Vec::new();
        for key in entries.keys() {
            let name = key.get_ref().as_ref();
            if !known.contains(&name) {
                reader.unknown_key(name, &key.span(), known);
                misspelt.extend(nearest(name, known.iter().copied()));
            }
        }
        Some(Self { entries, span: value.span(), misspelt })
    }

    /// Where the table stands: its header, or its braces.
    pub(crate) fn span(&self) -> Span {
        self.span.clone()
    }

    /// Reads one key.
    pub(crate) fn read<T: FromToml>(&self, name: &'static str, presence: Presence, reader: &mut Reader) -> Field<T> {
        // Told already, as an unknown key.
        let misspelt = self.misspelt.contains(&name);
        match self.entries.get(name) {
            Some(value) => reader.within(name, |reader| match T::from_toml(value, reader) {
                Some(mut read) => {
                    if misspelt {
                        read.is_in_part();
                    }
                    Field::Is(At { value: read, span: value.span() })
                }
                None => Field::Broken,
            }),
            None if misspelt => Field::Broken,
            None => {
                if presence == Presence::Needed {
                    reader.missing_key(name, &self.span, &T::shape());
                }
                Field::Missing
            }
        }
    }
}

impl Reader {
    fn unknown_key(&mut self, name: &str, span: &Span, known: &[&str]) {
        let at_top = self.path.is_empty();
        let place = if at_top { "a cluster file".to_owned() } else { format!("`{}`", self.path()) };
        let remedy = match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if known.is_empty() => "take it out".to_owned(),
            None => format!("take it out; there is {}", listed(known)),
        };
        let message = format!("{place} has no key `{}`", shown(name));
        self.report(Diagnostic::new(Code::UnknownKey, span, message, "this key means nothing here", remedy));
    }

    fn missing_key(&mut self, name: &str, span: &Span, shape: &Shape) {
        let at_top = self.path.is_empty();
        let message =
            if at_top { format!("the file has no `{name}`") } else { format!("`{}` has no `{name}`", self.path()) };
        let remedy = match shape {
            Shape::Map { .. } if at_top => format!("add a table `[{name}.NAME]`, with a name of your choice"),
            Shape::Table(..) if at_top => format!("add a table `[{name}]`"),
            shape => format!("add `{name} = {}`", shape.example()),
        };
        self.report(Diagnostic::new(Code::MissingKey, span, message, format!("`{name}` has to be in here"), remedy));
    }
}

/// `a`, `b` and `c`.
pub(crate) fn listed(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => format!("`{one}`"),
        [first @ .., last] => {
            let first: Vec<_> = first.iter().map(|name| format!("`{name}`")).collect();
            format!("{} and `{last}`", first.join(", "))
        }
    }
}

/// Doc comments as one text.
pub(crate) fn documentation(lines: &[&str]) -> String {
    lines.iter().map(|line| line.strip_prefix(' ').unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

/// Declares a table of the file. `need` keys have to be there, `may` keys don't have to.
macro_rules! table {
    (
        $(#[doc = $doc:literal])+
        $vis:vis struct $name:ident {
            $($(#[doc = $key_doc:literal])+ $presence:ident $key:ident: $type:ty,)*
        }
    ) => {
        $(#[doc = $doc])+
        #[derive(Clone, Debug)]
        $vis struct $name {
            /// Its header, or its braces.
            #[allow(dead_code, reason = "not every table has mistakes of its own")]
            $vis span: $crate::diagnostic::Span,
            $(
                $(#[doc = $key_doc])+
                #[allow(dead_code, reason = "that it can be read is all there is to some keys")]
                $vis $key: $crate::read::Field<$type>,
            )*
        }

        impl $crate::read::FromToml for $name {
            fn from_toml(value: &$crate::read::Value<'_>, reader: &mut $crate::read::Reader) -> Option<Self> {
                let keys = $crate::read::Keys::of(value, &[$(stringify!($key)),*], reader)?;
                Some(Self {
                    $($key: keys.read(stringify!($key), $crate::read::table!(@ $presence), reader),)*
                    span: keys.span(),
                })
            }

            fn shape() -> $crate::read::Shape {
                $crate::read::Shape::Table(stringify!($name), || $crate::read::Table {
                    doc: $crate::read::documentation(&[$($doc),+]),
                    keys: vec![$($crate::read::Key {
                        name: stringify!($key),
                        presence: $crate::read::table!(@ $presence),
                        doc: $crate::read::documentation(&[$($key_doc),+]),
                        shape: <$type as $crate::read::FromToml>::shape(),
                    }),*],
                })
            }
        }
    };
    (@ need) => { $crate::read::Presence::Needed };
    (@ may) => { $crate::read::Presence::May };
}
pub(crate) use table;
