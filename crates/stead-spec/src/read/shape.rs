//! What the file may hold, as data: the JSON Schema and the reference are made from it.

/// What a key takes.
#[derive(Clone, Debug)]
pub(crate) enum Shape {
    /// A text of a certain form.
    Text { what: &'static str, syntax: &'static str, example: &'static str, pattern: &'static str },
    /// Any text.
    Free,
    /// A whole number.
    Whole { what: &'static str, least: i64, most: i64 },
    /// `true` or `false`.
    Bool,
    /// One of a few words, each with what it means.
    Words(&'static [(&'static str, &'static str)]),
    /// Any number of these.
    List(Box<Self>),
    /// A table whose keys are names of the user's.
    Map { key: Box<Self>, of: Box<Self> },
    /// A table with keys of its own.
    Table(&'static str, fn() -> Table),
    /// Any of these.
    Either(Vec<Self>),
}

/// A table with keys of its own.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    /// What it is, in sentences.
    pub(crate) doc: String,
    pub(crate) keys: Vec<Key>,
}

/// A key of a table.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) presence: Presence,
    /// What it says, in sentences.
    pub(crate) doc: String,
    pub(crate) shape: Shape,
}

/// Whether a key has to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// It has to.
    Needed,
    /// It may be left out.
    May,
}
