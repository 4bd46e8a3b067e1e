//! Changes of the cluster file's text, such that all that isn't changed stays as it was written.
//!
//! The text is the user's and lives in git, so an edit shows there as what it means and nothing else: comments, order,
//! spacing, line endings and quotes of all other lines stay, for they aren't written again. An edit finds the bytes it
//! is about and replaces these. What came out is parsed once more and must say what was said before with the edit made;
//! if not, there is an error and no text.
//!
//! What goes with what is taken out:
//! - The comment on the same line, and the comment lines directly above a key, a table's header or an element on a line
//!   of its own, up to the next empty line. But a comment with which the file begins is about the file, and stays.
//! - With a table, all from its header to its last key, and comment lines that directly follow that key, if an empty
//!   line or nothing at all comes next.
//! - One of the two gaps around what stood as a paragraph of its own.
mod error;
mod lines;
mod path;
mod place;
mod remove;
mod scan;
mod sequence;
#[cfg(test)]
mod tests;
mod tree;

pub use error::EditError;
pub use path::{BadKeyPath, KeyPath, Segment};
pub use toml_edit::{InlineTable, Value};

use scan::Layout;
use tree::Tree;

/// One change of a cluster file's text.
#[derive(Debug, Clone)]
pub enum Edit {
    /// Writes a value in place of the one that stands at `path`, or as a new key at the end of its table.
    ///
    /// Tables that lack above a new key become part of it (`wipe.serial = …`) where there is a table to write it in. If
    /// there is none, or one that only the headers of others mention, a header is written (as by [`Edit::AddTable`]).
    Set {
        /// Where.
        path: KeyPath,
        /// What to write; its own spacing inside is kept, what surrounds it isn't.
        value: Value,
    },
    /// Takes out a key, an element of an array, or a table with all that is below it, wherever in the file it stands.
    /// An inline table or array stays, empty, when its last one goes; a header does too.
    Remove {
        /// What.
        path: KeyPath,
    },
    /// Writes a value at the end of an array.
    Push {
        /// The array.
        path: KeyPath,
        /// The new element.
        value: Value,
    },
    /// Writes a value before the element at `path`, which ends in an index; at the end if that is the array's length.
    Insert {
        /// Where the new element will be.
        path: KeyPath,
        /// The new element.
        value: Value,
    },
    /// Writes a table with a header of its own, after the last one of its kind (`[machine.*]`), else at the file's end.
    /// Where what is above it is written inline, it becomes an entry there.
    AddTable {
        /// The table.
        path: KeyPath,
        /// Its keys, in this order.
        entries: Vec<(String, Value)>,
    },
    /// Gives the key at the end of `path` another name, in each header and dotted key that mentions it.
    Rename {
        /// The key as it is called now.
        path: KeyPath,
        /// What it is called then.
        to: String,
    },
    /// Puts back what an edit took out, as it was written. Only [`apply`] makes these.
    Restore(Restore),
}

/// Bytes to put back, and what has taken their place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restore {
    at: usize,
    now: String,
    then: String,
}

/// What an edit led to.
#[derive(Debug, Clone)]
pub struct Applied {
    /// The whole text after it.
    pub text: String,
    /// Gives back the text before it, byte for byte, when applied to `text`. Where an edit that says what it does
    /// (rather than [`Edit::Restore`]) gives that, it is that one.
    pub opposite: Edit,
}

/// Makes one change.
pub fn apply(text: &str, edit: &Edit) -> Result<Applied, EditError> {
    let changed = change(text, edit)?;
    let opposite = opposites(text, edit)
        .into_iter()
        .find(|opposite| change(&changed, opposite).is_ok_and(|back| back == text))
        .unwrap_or_else(|| Edit::Restore(Restore::new(&changed, text)));
    Ok(Applied { text: changed, opposite })
}

/// The text after an edit, checked.
fn change(text: &str, edit: &Edit) -> Result<String, EditError> {
    let before = Tree::parse(text)?;
    if let Edit::Restore(restore) = edit {
        let changed = restore.apply(text).ok_or(EditError::Changed)?;
        Tree::parse(&changed)?;
        return Ok(changed);
    }
    let path = edit.path();
    let spoiled = || EditError::Spoiled { path: path.clone() };
    if path.is_empty() {
        return Err(EditError::NotFound { path: path.clone() });
    }
    let layout = Layout::new(text).ok_or_else(spoiled)?;
    let changed = match edit {
        Edit::Set { path, value } => place::set(&layout, path, value),
        Edit::Remove { path } => remove::remove(&layout, path),
        Edit::Push { path, value } => place::insert(&layout, path, None, value),
        Edit::Insert { path, value } => match path.split_last() {
            Some((array, Segment::Index(at))) => place::insert(&layout, &array, Some(*at), value),
            _ => Err(EditError::NotAnArray { path: path.clone() }),
        },
        Edit::AddTable { path, entries } => place::add_table(&layout, path, entries),
        Edit::Rename { path, to } => rename(&layout, path, to),
        Edit::Restore(_) => Err(spoiled()),
    }?;
    let after = Tree::parse(&changed).map_err(|_| spoiled())?;
    if before.after(edit, &after).as_ref() == Some(&after) { Ok(changed) } else { Err(spoiled()) }
}

/// Edits that may take `edit` back, the best first; which one does has to be tried.
fn opposites(text: &str, edit: &Edit) -> Vec<Edit> {
    let Some(layout) = Layout::new(text) else { return Vec::new() };
    match edit {
        Edit::Set { path, .. } => match layout.value(path) {
            Some(value) => vec![Edit::Set { path: path.clone(), value }],
            None => path
                .split_last()
                .map(|(table, _)| vec![Edit::Remove { path: path.clone() }, Edit::Remove { path: table }])
                .unwrap_or_default(),
        },
        Edit::Remove { path } => match (layout.value(path), path.segments().last()) {
            (Some(value), Some(Segment::Index(_))) => vec![Edit::Insert { path: path.clone(), value }],
            (Some(value), Some(Segment::Key(_))) => vec![Edit::Set { path: path.clone(), value }],
            _ => Vec::new(),
        },
        Edit::Push { path, .. } => vec![Edit::Remove { path: path.clone().index(layout.elements(path)) }],
        Edit::Insert { path, .. } | Edit::AddTable { path, .. } => vec![Edit::Remove { path: path.clone() }],
        Edit::Rename { path, to } => match path.split_last() {
            Some((table, Segment::Key(from))) => vec![Edit::Rename { path: table.key(to), to: from.clone() }],
            _ => Vec::new(),
        },
        Edit::Restore(_) => Vec::new(),
    }
}

/// Gives a key another name everywhere.
fn rename(layout: &Layout, path: &KeyPath, to: &str) -> Result<String, EditError> {
    let Some((table, Segment::Key(_))) = path.split_last() else {
        return Err(EditError::NotFound { path: path.clone() });
    };
    if !layout.has(path) {
        return Err(EditError::NotFound { path: path.clone() });
    }
    let target = table.key(to);
    if layout.has(&target) {
        return Err(EditError::AlreadyThere { path: target });
    }
    let depth = path.segments().len() - 1;
    let items = layout.items.iter().filter(|item| item.path.starts_with(path));
    let names = items.flat_map(|item| item.names.iter().filter(|name| name.depth == depth));
    Ok(lines::splice(
        layout.text,
        names.map(|name| (name.span.clone(), rename_one(&layout.text[name.span.clone()], to))).collect(),
    ))
}

/// The new name in the quotes of the old one, if it may stand in these.
fn rename_one(old: &str, to: &str) -> String {
    let plain = path::quote(to);
    if old.starts_with('"') && plain == to {
        format!("\"{to}\"")
    } else if old.starts_with('\'') && !to.contains(|c: char| c == '\'' || c.is_control()) {
        format!("'{to}'")
    } else {
        plain
    }
}

impl Edit {
    /// Where it takes place.
    fn path(&self) -> &KeyPath {
        match self {
            Self::Set { path, .. }
            | Self::Remove { path }
            | Self::Push { path, .. }
            | Self::Insert { path, .. }
            | Self::AddTable { path, .. }
            | Self::Rename { path, .. } => path,
            Self::Restore(_) => KeyPath::ROOT,
        }
    }
}

impl Restore {
    /// What leads from `now` to `then`: all between what both begin with and what both end with.
    fn new(now: &str, then: &str) -> Self {
        let pairs = now.char_indices().zip(then.chars());
        let at = pairs.take_while(|((_, a), b)| a == b).map(|((at, a), _)| at + a.len_utf8()).last().unwrap_or(0);
        let (now, then) = (&now[at..], &then[at..]);
        let pairs = now.chars().rev().zip(then.chars().rev());
        let same: usize = pairs.take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum();
        let (now, then) = (&now[..now.len() - same], &then[..then.len() - same]);
        Self { at, now: now.to_owned(), then: then.to_owned() }
    }

    /// Puts it back, if the text has at this place what it had when this was made.
    fn apply(&self, text: &str) -> Option<String> {
        let rest = text.get(self.at..)?.strip_prefix(self.now.as_str())?;
        Some(format!("{}{}{rest}", &text[..self.at], self.then))
    }
}
