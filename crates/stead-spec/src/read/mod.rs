//! From TOML to the file's own shape, leniently: what can't be read is a diagnostic and a hole, and the rest is read
//! all the same, so that a person hears of every mistake at once.

mod shape;
mod table;
mod value;

use std::collections::HashMap;
use std::hash::Hash;

use toml::Spanned;
use toml::de::DeValue;

use crate::diagnostic::{Code, Diagnostic, Span};

pub(crate) use shape::{Key, Presence, Shape, Table};
pub(crate) use table::{Keys, documentation, table};
pub(crate) use value::{FromToml, integer, word, words};

/// A value of the file, with its place.
pub(crate) type Value<'i> = Spanned<DeValue<'i>>;

/// Something that was read, and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
}

/// A key of a table: what was read, or why nothing was.
#[derive(Clone, Debug)]
pub(crate) enum Field<T> {
    /// It isn't there.
    Missing,
    /// It is, and makes no sense; that has been said.
    Broken,
    /// It is there.
    Is(At<T>),
}

/// The elements of an array that could be read.
#[derive(Clone, Debug)]
pub(crate) struct List<T> {
    pub(crate) items: Vec<At<T>>,
    /// Whether that is all of them: what counts elements is silent otherwise.
    pub(crate) whole: bool,
}

/// The entries of a table keyed by name, in the order of the file.
#[derive(Clone, Debug)]
pub(crate) struct Map<K, T> {
    pub(crate) entries: Vec<(At<K>, At<T>)>,
    /// Where in `entries` each name is.
    places: HashMap<K, usize>,
    /// Whether that is all of them.
    pub(crate) whole: bool,
}

/// What is being read, where one is in it, and what was wrong so far.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    path: Vec<String>,
    diagnostics: Vec<Diagnostic>,
}

impl<T> Field<T> {
    /// What was read, if it was.
    pub(crate) fn get(&self) -> Option<&At<T>> {
        match self {
            Self::Is(at) => Some(at),
            Self::Missing | Self::Broken => None,
        }
    }

    /// The value, if one was read.
    pub(crate) fn value(&self) -> Option<&T> {
        self.get().map(|at| &at.value)
    }

    /// Whether the file says nothing.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Self::Missing)
    }

    /// The value, or what holds where the file says nothing. Nothing where it is broken.
    pub(crate) fn or(&self, default: T) -> Option<T>
    where
        T: Clone,
    {
        match self {
            Self::Is(at) => Some(at.value.clone()),
            Self::Missing => Some(default),
            Self::Broken => None,
        }
    }

    /// The value if the file says one. Nothing at all where it is broken.
    #[allow(clippy::option_option, reason = "nothing is what the file leaves out; the outer nothing is a mistake")]
    pub(crate) fn maybe(&self) -> Option<Option<T>>
    where
        T: Clone,
    {
        match self {
            Self::Is(at) => Some(Some(at.value.clone())),
            Self::Missing => Some(None),
            Self::Broken => None,
        }
    }
}

impl<T> Field<List<T>> {
    /// Each element that could be read.
    pub(crate) fn items(&self) -> impl Iterator<Item = &At<T>> {
        self.get().into_iter().flat_map(|list| &list.value.items)
    }
}

impl<K, T> Field<Map<K, T>> {
    /// Each entry that could be read.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&At<K>, &At<T>)> {
        self.get().into_iter().flat_map(|map| map.value.entries.iter().map(|(key, value)| (key, value)))
    }

    /// Whether nothing in it was lost.
    pub(crate) fn is_whole(&self) -> bool {
        match self {
            Self::Is(map) => map.value.whole,
            Self::Missing => true,
            Self::Broken => false,
        }
    }

    /// The entry of that name.
    pub(crate) fn find(&self, name: &K) -> Option<(&At<K>, &At<T>)>
    where
        K: Eq + Hash,
    {
        let map = &self.get()?.value;
        map.places.get(name).and_then(|place| map.entries.get(*place)).map(|(key, value)| (key, value))
    }
}

impl Reader {
    /// Reads what is at `key`, which diagnostics then name.
    pub(crate) fn within<R>(&mut self, key: impl Into<String>, read: impl FnOnce(&mut Self) -> R) -> R {
        self.path.push(key.into());
        let result = read(self);
        self.path.pop();
        result
    }

    /// Where one is, as TOML writes it: `node.node1.nics`.
    pub(crate) fn path(&self) -> String {
        if self.path.is_empty() { "the file".to_owned() } else { shown(&self.path.join(".").replace(".[", "[")) }
    }

    pub(crate) fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    pub(crate) fn into_diagnostics(self) -> Vec<Diagnostic> {
        self.diagnostics
    }

    /// Says that a value is of another kind than what belongs there.
    pub(crate) fn wrong_type(&mut self, value: &Value<'_>, wanted: &str, example: &str) {
        let is = match value.get_ref() {
            DeValue::String(_) => "a text",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number with a point",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date or time without quotes",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        let message = format!("`{}` is {is}, where {wanted} belongs", self.path());
        self.report(Diagnostic::new(
            Code::WrongType,
            &value.span(),
            message,
            format!("{is}, not {wanted}"),
            format!("write it as `{example}`"),
        ));
    }
}

/// A name as a message repeats it: on one line, and no longer than a person reads.
pub(crate) fn shown(name: &str) -> String {
    const LONGEST: usize = 100;
    let mut shown = name.chars().take(LONGEST).collect::<String>().escape_debug().to_string();
    if name.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}

/// The one of `known` that was probably meant.
pub(crate) fn nearest<'k>(asked: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    /// Below this, a suggestion is more often wrong than right: `cpu` for `cpus` has 0.94, `wan` for `lan` 0.78.
    const CLOSE: f64 = 0.75;
    let scored = known.into_iter().map(|known| (strsim::jaro_winkler(asked, known), known));
    let best = scored.filter(|(score, _)| *score >= CLOSE).max_by(|(a, _), (b, _)| a.total_cmp(b));
    best.map(|(_, known)| known)
}
