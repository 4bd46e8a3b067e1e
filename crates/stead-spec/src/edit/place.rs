//! Writing values and tables.
use toml_edit::{InlineTable, Value};

use super::lines::splice;
use super::path::quote;
use super::scan::{Item, Kind, Layout, Shape, render};
use super::{EditError, KeyPath, Segment, sequence};

/// The text with a value at a path.
pub(super) fn set(layout: &Layout, path: &KeyPath, value: &Value) -> Result<String, EditError> {
    let new = render(value, layout.newline);
    if let Some((_, node)) = layout.at(path) {
        return Ok(splice(layout.text, vec![(node.span.clone(), new)]));
    }
    if layout.has(path) {
        return Err(EditError::IsTable { path: path.clone() });
    }
    let count = path.segments().len();
    let depth = (0..count).rev().find(|n| layout.has(&path.first(*n))).unwrap_or(0);
    let (table, rest) = (path.first(depth), &path.segments()[depth..]);
    let keys: Vec<&str> = rest.iter().filter_map(Segment::as_key).collect();
    match layout.at(&table) {
        Some((n, node)) if node.shape == Shape::Table && keys.len() == rest.len() => {
            return Ok(sequence::insert(layout, (n, node), usize::MAX, &format!("{} = {new}", dotted(&keys))));
        }
        _ if keys.len() < rest.len() => return Err(EditError::NotFound { path: path.clone() }),
        value if value.is_some() || layout.is_table_array(&table) => return Err(EditError::NotATable { path: table }),
        _ => {}
    }
    let header = layout.items.iter().position(|item| item.kind == Kind::Header && item.path == table);
    if let Some(header) = header {
        let last = layout.children(Some(header)).next_back().unwrap_or(&layout.items[header]);
        let line = format!("{}{} = {new}", layout.indent(last.span.start), dotted(&keys));
        return Ok(layout.with_lines(layout.line_end(last.span.end), &[line]));
    }
    if depth == 0 && keys.len() == 1 {
        return Ok(set_at_top(layout, &format!("{} = {new}", dotted(&keys))));
    }
    let siblings = layout.items.iter().filter(|item| item.path.starts_with(&table));
    let name = |item: &Item| item.names.iter().find(|name| name.depth + 1 == depth).map(|name| name.span.end);
    match siblings.rev().find_map(|item| Some((item, name(item).filter(|_| item.kind != Kind::Header)?))) {
        Some((item, end)) if item.kind == Kind::Pair => {
            let prefix = &layout.text[item.span.start..end];
            let line = format!("{}{prefix}.{} = {new}", layout.indent(item.span.start), dotted(&keys));
            Ok(layout.with_lines(layout.line_end(item.span.end), &[line]))
        }
        Some((item, end)) => {
            let new = format!("{}.{} = {new}", &layout.text[item.span.start..end], dotted(&keys));
            let parent = item.parent.and_then(|parent| Some((parent, layout.items[parent].value.as_ref()?)));
            let parent = parent.ok_or_else(|| EditError::Spoiled { path: path.clone() })?;
            Ok(sequence::insert(layout, parent, usize::MAX, &new))
        }
        None => match path.split_last() {
            Some((table, Segment::Key(key))) => write_table(layout, &table, &[(key.clone(), value.clone())]),
            _ => Err(EditError::NotFound { path: path.clone() }),
        },
    }
}

/// A line among those above all headers.
fn set_at_top(layout: &Layout, line: &str) -> String {
    if let Some(last) = layout.children(None).next_back() {
        let line = format!("{}{line}", layout.indent(last.span.start));
        return layout.with_lines(layout.line_end(last.span.end), &[line]);
    }
    let line = line.to_owned();
    let Some(header) = layout.items.first() else { return append(layout, vec![line]) };
    let at = layout.block_start(header);
    if at == layout.start || layout.blanks_above(at) < at {
        layout.with_lines(at, &[line, String::new()])
    } else {
        layout.with_lines(at, &[String::new(), line, String::new()])
    }
}

/// The text with these lines at its end, after an empty one.
fn append(layout: &Layout, mut lines: Vec<String>) -> String {
    let content = layout.text.trim_end().len().max(layout.start);
    if content == layout.start {
        return layout.with_lines(content, &lines);
    }
    lines.insert(0, String::new());
    layout.with_lines(layout.line_end(content), &lines)
}

/// The text with an element in the array at a path: before the one at an index, or at the end.
pub(super) fn insert(layout: &Layout, path: &KeyPath, at: Option<usize>, value: &Value) -> Result<String, EditError> {
    let array = match layout.at(path) {
        Some(array) if array.1.shape == Shape::Array => array,
        None if !layout.has(path) => return Err(EditError::NotFound { path: path.clone() }),
        _ => return Err(EditError::NotAnArray { path: path.clone() }),
    };
    let count = layout.elements(path);
    match at {
        Some(at) if at > count => Err(EditError::NotFound { path: path.clone().index(at - 1) }),
        _ => Ok(sequence::insert(layout, array, at.unwrap_or(count), &render(value, layout.newline))),
    }
}

/// The text with a table.
pub(super) fn add_table(layout: &Layout, path: &KeyPath, entries: &[(String, Value)]) -> Result<String, EditError> {
    if layout.has(path) {
        return Err(EditError::AlreadyThere { path: path.clone() });
    }
    let double = entries.iter().enumerate().find(|(n, (key, _))| entries[..*n].iter().any(|(other, _)| other == key));
    if let Some((_, (key, _))) = double {
        return Err(EditError::AlreadyThere { path: path.clone().key(key) });
    }
    let above: Vec<_> = (1..path.segments().len()).map(|n| path.first(n)).collect();
    if above.iter().any(|path| layout.at(path).is_some()) {
        return set(layout, path, &Value::InlineTable(inline(entries)));
    }
    write_table(layout, path, entries)
}

/// The inline table with these entries.
pub(super) fn inline(entries: &[(String, Value)]) -> InlineTable {
    let plain = |(key, value): &(String, Value)| (key.clone(), value.clone().decorated(" ", ""));
    let mut table: InlineTable = entries.iter().map(plain).collect();
    table.fmt();
    table
}

/// Writes a header with keys below it.
fn write_table(layout: &Layout, path: &KeyPath, entries: &[(String, Value)]) -> Result<String, EditError> {
    let keys: Vec<&str> = path.segments().iter().filter_map(Segment::as_key).collect();
    let above: Vec<_> = (1..keys.len()).rev().map(|n| path.first(n)).collect();
    if keys.len() < path.segments().len() || above.iter().any(|path| layout.is_table_array(path)) {
        return Err(EditError::InTableArray { path: path.clone() });
    }
    let is_below = |item: &Item, table| item.kind == Kind::Header && item.path.starts_with(table);
    let kin = above.iter().find_map(|table| layout.items.iter().rposition(|item| is_below(item, table)));
    let (mut indent, mut key_indent) = ("", "");
    if let Some(kin) = kin {
        indent = layout.indent(layout.items[kin].span.start);
        key_indent = layout.children(Some(kin)).next().map_or(indent, |pair| layout.indent(pair.span.start));
    }
    let mut lines = vec![format!("{indent}[{}]", dotted(&keys))];
    let values = entries.iter().map(|(key, value)| format!("{} = {}", quote(key), render(value, layout.newline)));
    lines.extend(values.map(|line| format!("{key_indent}{line}")));
    let Some(kin) = kin else { return Ok(append(layout, lines)) };
    lines.insert(0, String::new());
    Ok(layout.with_lines(layout.section_end(kin), &lines))
}

/// Keys as one, with dots.
fn dotted(keys: &[&str]) -> String {
    keys.iter().map(|key| quote(key)).collect::<Vec<_>>().join(".")
}

impl Segment {
    fn as_key(&self) -> Option<&str> {
        match self {
            Self::Key(key) => Some(key),
            Self::Index(_) => None,
        }
    }
}
