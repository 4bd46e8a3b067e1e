//! What a text says, without how it is written.
use std::collections::BTreeMap;

use toml_edit::{Document, Item, TableLike, TomlError, Value};

use super::{Edit, KeyPath, Segment, place};

/// The values of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Tree {
    /// A scalar, in one of the ways to write it.
    Scalar(String),
    List(Vec<Self>),
    Table(BTreeMap<String, Self>),
}

impl Tree {
    pub(super) fn parse(text: &str) -> Result<Self, TomlError> {
        Document::parse(text).map(|document| Self::table(document.as_table()))
    }

    /// What a text must say after an edit, given what it says then: empty tables above what was removed may be gone,
    /// if they had no text of their own. `None` if the edit has no place here.
    pub(super) fn after(&self, edit: &Edit, now: &Self) -> Option<Self> {
        let mut tree = self.clone();
        match edit {
            Edit::Set { path, value } => tree.set(path.segments(), Self::value(value))?,
            Edit::AddTable { path, entries } => tree.set(path.segments(), Self::table(&place::inline(entries)))?,
            Edit::Remove { path } => {
                tree.take(path)?;
                for above in (1..path.segments().len()).rev().map(|n| path.first(n)) {
                    if tree.get(above.segments())?.is_empty() && now.get(above.segments()).is_none() {
                        tree.take(&above)?;
                    }
                }
            }
            Edit::Push { path, value } => tree.list(path)?.push(Self::value(value)),
            Edit::Insert { path, value } => {
                let (array, Segment::Index(at)) = path.split_last()? else { return None };
                let list = tree.list(&array)?;
                (*at <= list.len()).then(|| list.insert(*at, Self::value(value)))?;
            }
            Edit::Rename { path, to } => {
                let value = tree.take(path)?;
                tree.set(path.split_last()?.0.key(to).segments(), value)?;
            }
            Edit::Restore(_) => return None,
        }
        Some(tree)
    }

    fn item(item: &Item) -> Option<Self> {
        Some(match item {
            Item::None => return None,
            Item::Value(value) => Self::value(value),
            Item::Table(table) => Self::table(table),
            Item::ArrayOfTables(tables) => Self::List(tables.iter().map(|table| Self::table(table)).collect()),
        })
    }

    fn value(value: &Value) -> Self {
        Self::Scalar(match value {
            Value::String(value) => format!("{:?}", value.value()),
            Value::Integer(value) => value.value().to_string(),
            Value::Float(value) => format!("{:?}", value.value()),
            Value::Boolean(value) => value.value().to_string(),
            Value::Datetime(value) => value.value().to_string(),
            Value::Array(array) => return Self::List(array.iter().map(Self::value).collect()),
            Value::InlineTable(table) => return Self::table(table),
        })
    }

    fn table(table: &dyn TableLike) -> Self {
        Self::Table(table.iter().filter_map(|(key, item)| Some((key.to_owned(), Self::item(item)?))).collect())
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Scalar(_) => false,
            Self::List(list) => list.is_empty(),
            Self::Table(table) => table.is_empty(),
        }
    }

    fn get(&self, path: &[Segment]) -> Option<&Self> {
        path.iter().try_fold(self, |tree, segment| match (tree, segment) {
            (Self::Table(table), Segment::Key(key)) => table.get(key),
            (Self::List(list), Segment::Index(index)) => list.get(*index),
            _ => None,
        })
    }

    fn get_mut(&mut self, path: &[Segment]) -> Option<&mut Self> {
        path.iter().try_fold(self, |tree, segment| match (tree, segment) {
            (Self::Table(table), Segment::Key(key)) => table.get_mut(key),
            (Self::List(list), Segment::Index(index)) => list.get_mut(*index),
            _ => None,
        })
    }

    fn list(&mut self, path: &KeyPath) -> Option<&mut Vec<Self>> {
        match self.get_mut(path.segments())? {
            Self::List(list) => Some(list),
            _ => None,
        }
    }

    fn set(&mut self, path: &[Segment], value: Self) -> Option<()> {
        let place = path.iter().try_fold(self, |tree, segment| match (tree, segment) {
            (Self::Table(table), Segment::Key(key)) => {
                Some(table.entry(key.clone()).or_insert_with(|| Self::Table(BTreeMap::new())))
            }
            (Self::List(list), Segment::Index(index)) => list.get_mut(*index),
            _ => None,
        })?;
        *place = value;
        Some(())
    }

    fn take(&mut self, path: &KeyPath) -> Option<Self> {
        let (parent, step) = path.split_last()?;
        match (self.get_mut(parent.segments())?, step) {
            (Self::Table(table), Segment::Key(key)) => table.remove(key),
            (Self::List(list), Segment::Index(index)) => (*index < list.len()).then(|| list.remove(*index)),
            _ => None,
        }
    }
}
