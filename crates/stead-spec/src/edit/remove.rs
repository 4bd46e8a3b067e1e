//! Taking out what stands at a path.
use std::ops::Range;

use super::lines::splice;
use super::scan::{Item, Kind, Layout};
use super::{EditError, KeyPath, sequence};

/// The text without what stands at a path.
pub(super) fn remove(layout: &Layout, path: &KeyPath) -> Result<String, EditError> {
    let Some(first) = layout.items.iter().find(|item| item.path.starts_with(path)) else {
        return Err(EditError::NotFound { path: path.clone() });
    };
    if matches!(first.kind, Kind::Header | Kind::Pair) {
        return Ok(remove_lines(layout, path));
    }
    let parent = first.parent.and_then(|parent| Some((parent, layout.items[parent].value.as_ref()?)));
    let parent = parent.ok_or_else(|| EditError::Spoiled { path: path.clone() })?;
    let text = sequence::remove(layout, parent, first);
    // Dotted keys may write one table in several entries.
    let rest = Layout::new(&text).filter(|rest| first.kind == Kind::Entry && rest.has(path));
    match rest {
        Some(rest) if text.len() < layout.text.len() => remove(&rest, path),
        _ => Ok(text),
    }
}

/// Takes out headers with what is below them, and pairs.
fn remove_lines(layout: &Layout, path: &KeyPath) -> String {
    let is_hit = |item: &Item| item.path.starts_with(path);
    let mut blocks: Vec<(Range<usize>, bool)> = Vec::new();
    for (n, item) in layout.items.iter().enumerate().filter(|(_, item)| is_hit(item)) {
        let (end, is_table) = match item.kind {
            Kind::Header => (layout.section_end(n), true),
            Kind::Pair if item.parent.is_none_or(|header| !is_hit(&layout.items[header])) => {
                (layout.line_end(item.span.end), false)
            }
            _ => continue,
        };
        let start = layout.block_start(item);
        match blocks.last_mut() {
            Some((last, last_is_table)) if start <= layout.blanks_below(last.end) => {
                last.end = end;
                *last_is_table |= is_table;
            }
            _ => blocks.push((start..end, is_table)),
        }
    }
    let mut cuts: Vec<Range<usize>> = Vec::new();
    for (block, is_table) in blocks {
        let cut = with_gap(layout, &block, is_table);
        match cuts.last_mut() {
            Some(last) if cut.start <= last.end => last.end = cut.end,
            _ => cuts.push(cut),
        }
    }
    let text = layout.text;
    if let Some(last) = cuts.last_mut().filter(|last| last.end == text.len() && last.start > layout.start)
        && !text.ends_with('\n')
    {
        // The line that is the last one now isn't ended either.
        last.start -= if text[..last.start].ends_with("\r\n") { 2 } else { 1 };
    }
    splice(text, cuts.into_iter().map(|cut| (cut, String::new())).collect())
}

/// Lines to take out, with the empty lines that would be one gap too many then.
fn with_gap(layout: &Layout, block: &Range<usize>, is_table: bool) -> Range<usize> {
    let length = layout.text.len();
    let Range { mut start, mut end } = block.clone();
    let (above, below) = (layout.blanks_above(start), layout.blanks_below(end));
    let is_top = start == layout.start;
    if is_table && is_top {
        end = below;
    } else if !is_table && below > end && (is_top || above < start) {
        end = layout.line_end(end);
    } else if is_table && below == end && end < length && above < start {
        start = layout.line_start(start - 1);
    } else if is_table || end == length {
        start = above;
    }
    start..end
}
