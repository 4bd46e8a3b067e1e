use std::fmt;
use std::str::FromStr;

use super::scan::Scanner;

/// A place in a cluster file: keys and indices from its top. As text: `machine.web1.disks[0].size`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct KeyPath(Vec<Segment>);

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Segment {
    /// Into a table.
    Key(String),
    /// Into an array, from 0.
    Index(usize),
}

/// A text that isn't a path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` isn't a path of keys: write it as in `machine.web1.disks[0]`, with odd names in quotes")]
pub struct BadKeyPath(pub(super) String);

impl KeyPath {
    pub(super) const ROOT: &Self = &Self(Vec::new());

    /// The path of these keys.
    pub fn new<K: Into<String>>(keys: impl IntoIterator<Item = K>) -> Self {
        Self(keys.into_iter().map(|key| Segment::Key(key.into())).collect())
    }

    /// The path of a key in the table at this one.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.0.push(Segment::Key(key.into()));
        self
    }

    /// The path of an element of the array at this one.
    #[must_use]
    pub fn index(mut self, index: usize) -> Self {
        self.0.push(Segment::Index(index));
        self
    }

    /// Its steps.
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// Whether it is at or below `other`.
    pub fn starts_with(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn first(&self, len: usize) -> Self {
        Self(self.0.iter().take(len).cloned().collect())
    }

    pub(super) fn split_last(&self) -> Option<(Self, &Segment)> {
        self.0.split_last().map(|(last, rest)| (Self(rest.to_vec()), last))
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Key(key) if n == 0 => f.write_str(&quote(key))?,
                Segment::Key(key) => write!(f, ".{}", quote(key))?,
                Segment::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

impl FromStr for KeyPath {
    type Err = BadKeyPath;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Scanner::new(text).path().ok_or_else(|| BadKeyPath(text.to_owned()))
    }
}

/// A key as TOML writes it, in quotes only if it needs them.
pub(super) fn quote(key: &str) -> String {
    toml_edit::Key::new(key).display_repr().into_owned()
}
