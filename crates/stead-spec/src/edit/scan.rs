//! Where in the text everything stands.
//!
//! `toml_edit` keeps the place of a key once, but a key may be written often (`[machine.web1]`,
//! `[machine.web1.cloud_init]`), and it keeps no places of commas and dots. So the text is read a second time, after
//! `toml_edit` has found it valid, which leaves little to do.
use std::collections::BTreeMap;
use std::ops::Range;

use toml_edit::Value;

use super::{KeyPath, Segment};

/// A text, and all that is written in it, in its order.
#[derive(Debug)]
pub(super) struct Layout<'a> {
    pub(super) text: &'a str,
    /// Each stands before those that are inside it.
    pub(super) items: Vec<Item>,
    /// Where the text begins, after a byte order mark.
    pub(super) start: usize,
    /// What ends its lines.
    pub(super) newline: &'static str,
}

/// A header, a key with its value, or an element of an array.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) path: KeyPath,
    pub(super) kind: Kind,
    /// Its keys as they are written here; fewer than in its path, which begins in what it is inside of.
    pub(super) names: Vec<Name>,
    /// From the first byte of the key (the header, the element) to the last of the value.
    pub(super) span: Range<usize>,
    pub(super) value: Option<Node>,
    /// The header it is below, or the array or inline table it is in.
    pub(super) parent: Option<usize>,
    /// Where the comma after it is.
    pub(super) comma: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `[table]`, `[[element]]`
    Header,
    /// `key = value` on lines of its own.
    Pair,
    /// `key = value` in an inline table.
    Entry,
    /// A value in an array.
    Element,
}

/// A key of a dotted one.
#[derive(Debug)]
pub(super) struct Name {
    /// Which segment of the item's path it is.
    pub(super) depth: usize,
    pub(super) span: Range<usize>,
}

/// A value.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) span: Range<usize>,
    pub(super) shape: Shape,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Scalar,
    Array,
    Table,
}

impl<'a> Layout<'a> {
    /// The layout of a text that is known to be TOML.
    pub(super) fn new(text: &'a str) -> Option<Self> {
        let start = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        let newline = match text.find('\n') {
            Some(at) if text[..at].ends_with('\r') => "\r\n",
            _ => "\n",
        };
        let mut scanner = Scanner::new(text);
        scanner.at = start;
        scanner.document()?;
        Some(Self { text, items: scanner.items, start, newline })
    }

    /// Whether something is written at or below a path.
    pub(super) fn has(&self, path: &KeyPath) -> bool {
        path.is_empty() || self.items.iter().any(|item| item.path.starts_with(path))
    }

    /// The key or element at a path, with its value; none for tables with headers or dotted keys.
    pub(super) fn at(&self, path: &KeyPath) -> Option<(usize, &Node)> {
        let mut values =
            self.items.iter().enumerate().filter_map(|(n, item)| Some((n, &item.path, item.value.as_ref()?)));
        values.find(|(_, at, _)| *at == path).map(|(n, _, value)| (n, value))
    }

    /// The value at a path, as it is written.
    pub(super) fn value(&self, path: &KeyPath) -> Option<Value> {
        self.text[self.at(path)?.1.span.clone()].parse().ok()
    }

    /// Whether a path is that of `[[…]]`.
    pub(super) fn is_table_array(&self, path: &KeyPath) -> bool {
        self.items.iter().any(|item| {
            item.kind == Kind::Header
                && item.path.starts_with(path)
                && matches!(item.path.segments().get(path.segments().len()), Some(Segment::Index(_)))
        })
    }

    /// What is directly inside a header's table, an array or an inline table; `None` for the top of the file.
    pub(super) fn children(&self, parent: Option<usize>) -> impl DoubleEndedIterator<Item = &Item> {
        self.items.iter().filter(move |item| item.parent == parent && item.kind != Kind::Header)
    }

    /// How many elements the array at a path has.
    pub(super) fn elements(&self, path: &KeyPath) -> usize {
        self.at(path).map_or(0, |(n, _)| self.children(Some(n)).count())
    }
}

/// Reads TOML that is known to be valid: what it can't read is `None`.
pub(super) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    items: Vec<Item>,
    /// How many elements each `[[…]]` has so far.
    table_arrays: BTreeMap<KeyPath, usize>,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0, items: Vec::new(), table_arrays: BTreeMap::new() }
    }

    /// All of the text as a path.
    pub(super) fn path(mut self) -> Option<KeyPath> {
        let mut path = KeyPath::default().key(self.key()?.0);
        while let Some(byte) = self.peek() {
            self.at += 1;
            if byte == b'.' {
                path = path.key(self.key()?.0);
            } else if byte == b'[' {
                let end = self.at + self.text[self.at..].find(']')?;
                path = path.index(self.text[self.at..end].parse().ok()?);
                self.at = end + 1;
            } else {
                return None;
            }
        }
        Some(path)
    }

    fn document(&mut self) -> Option<()> {
        let mut header = None;
        loop {
            self.skip_trivia();
            match self.peek() {
                None => return Some(()),
                Some(b'[') => header = Some(self.header()?),
                Some(_) => {
                    let base = header.map_or_else(KeyPath::default, |n: usize| self.items[n].path.clone());
                    self.pair(base, header, Kind::Pair)?;
                }
            }
        }
    }

    fn header(&mut self) -> Option<usize> {
        let start = self.at;
        self.at += 1;
        let is_element = self.take(b'[').is_some();
        let keys = self.keys()?;
        let (mut path, mut names) = (KeyPath::default(), Vec::new());
        let count = keys.len();
        for (n, (key, span)) in keys.into_iter().enumerate() {
            path = path.key(key);
            names.push(Name { depth: path.segments().len() - 1, span });
            if is_element && n + 1 == count {
                let elements = self.table_arrays.entry(path.clone()).or_insert(0);
                path = path.index(*elements);
                *elements += 1;
            } else if let Some(elements) = self.table_arrays.get(&path) {
                path = path.index(elements.checked_sub(1)?);
            }
        }
        self.take(b']')?;
        if is_element {
            self.take(b']')?;
        }
        Some(self.push(path, Kind::Header, names, start, None))
    }

    fn pair(&mut self, base: KeyPath, parent: Option<usize>, kind: Kind) -> Option<()> {
        let start = self.at;
        let (mut path, mut names) = (base, Vec::new());
        for (key, span) in self.keys()? {
            names.push(Name { depth: path.segments().len(), span });
            path = path.key(key);
        }
        self.take(b'=')?;
        self.skip_spaces();
        let item = self.push(path, kind, names, start, parent);
        self.value(item)
    }

    fn push(&mut self, path: KeyPath, kind: Kind, names: Vec<Name>, start: usize, parent: Option<usize>) -> usize {
        self.items.push(Item { path, kind, names, span: start..self.at, value: None, parent, comma: None });
        self.items.len() - 1
    }

    /// Reads the value of an item.
    fn value(&mut self, item: usize) -> Option<()> {
        let start = self.at;
        let shape = match self.peek()? {
            b'"' | b'\'' => self.string().map(|()| Shape::Scalar)?,
            b'[' => self.sequence(item, Shape::Array, b']')?,
            b'{' => self.sequence(item, Shape::Table, b'}')?,
            _ => self.scalar()?,
        };
        let item = &mut self.items[item];
        item.span.end = self.at;
        item.value = Some(Node { span: start..self.at, shape });
        Some(())
    }

    fn scalar(&mut self) -> Option<Shape> {
        let rest = &self.text[self.at..];
        let end = rest.find([',', ']', '}', '#', '\n', '\r']).unwrap_or(rest.len());
        let length = rest[..end].trim_end_matches([' ', '\t']).len();
        self.at += length;
        (length > 0).then_some(Shape::Scalar)
    }

    fn sequence(&mut self, parent: usize, shape: Shape, close: u8) -> Option<Shape> {
        self.at += 1;
        for n in 0.. {
            self.skip_trivia();
            if self.peek()? == close {
                self.at += 1;
                break;
            }
            let (item, base) = (self.items.len(), self.items[parent].path.clone());
            if shape == Shape::Array {
                let start = self.at;
                self.push(base.index(n), Kind::Element, Vec::new(), start, Some(parent));
                self.value(item)?;
            } else {
                self.pair(base, Some(parent), Kind::Entry)?;
            }
            self.skip_trivia();
            if self.peek()? == b',' {
                self.items[item].comma = Some(self.at);
                self.at += 1;
            }
        }
        Some(shape)
    }

    /// A dotted key, and the spaces around it.
    fn keys(&mut self) -> Option<Vec<(String, Range<usize>)>> {
        let mut keys = Vec::new();
        loop {
            self.skip_spaces();
            keys.push(self.key()?);
            self.skip_spaces();
            if self.take(b'.').is_none() {
                return Some(keys);
            }
        }
    }

    fn key(&mut self) -> Option<(String, Range<usize>)> {
        let start = self.at;
        if matches!(self.peek()?, b'"' | b'\'') {
            self.string()?;
        } else {
            let rest = &self.text[start..];
            self.at += rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-').unwrap_or(rest.len());
        }
        let keys = toml_edit::Key::parse(&self.text[start..self.at]).ok()?;
        Some((keys.first()?.get().to_owned(), start..self.at))
    }

    /// Goes to the end of the string that begins here.
    pub(super) fn string(&mut self) -> Option<()> {
        let quote = self.peek()?;
        let long = [quote; 3];
        let bytes = self.text.as_bytes();
        let end: &[u8] = if bytes[self.at..].starts_with(&long) { &long } else { &long[..1] };
        self.at += end.len();
        while !bytes.get(self.at..)?.starts_with(end) {
            self.at += if quote == b'"' && self.peek()? == b'\\' { 2 } else { 1 };
        }
        self.at += end.len();
        if end.len() == 3 {
            // Up to two quotes may stand directly before the three that end it.
            let _ = self.take(quote).and_then(|()| self.take(quote));
        }
        Some(())
    }

    fn skip_trivia(&mut self) {
        loop {
            let rest = self.text[self.at..].trim_start_matches([' ', '\t', '\r', '\n']);
            let comment = if rest.starts_with('#') { rest.find('\n').unwrap_or(rest.len()) } else { 0 };
            self.at = self.text.len() - rest.len() + comment;
            if comment == 0 {
                return;
            }
        }
    }

    fn skip_spaces(&mut self) {
        self.at = self.text.len() - self.text[self.at..].trim_start_matches([' ', '\t']).len();
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }
}

/// A value as it will stand in a text whose lines end so.
pub(super) fn render(value: &Value, newline: &str) -> String {
    let text = value.clone().decorated("", "").to_string();
    let mut scanner = Scanner::new(&text);
    let mut out = String::new();
    while let Some(byte) = scanner.peek() {
        let start = scanner.at;
        match byte {
            b'"' | b'\'' if scanner.string().is_some() => {}
            b'#' => scanner.at += text[start..].find(['\r', '\n']).unwrap_or(text.len() - start),
            b'\r' => {
                scanner.at += 1;
                continue;
            }
            b'\n' => {
                scanner.at += 1;
                out.push_str(newline);
                continue;
            }
            _ => scanner.at += text[start..].chars().next().map_or(1, char::len_utf8),
        }
        // A string's inside is its value: there no byte may change.
        out.push_str(text.get(start..scanner.at).unwrap_or_default());
    }
    out
}
