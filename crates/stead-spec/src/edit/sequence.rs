//! Elements of arrays, and entries of inline tables.
use std::ops::Range;

use super::lines::splice;
use super::scan::{Item, Layout, Node, Shape};

/// The text with a new element before the one at an index, or at the end.
pub(super) fn insert(layout: &Layout, (parent, node): (usize, &Node), at: usize, new: &str) -> String {
    let items: Vec<_> = layout.children(Some(parent)).collect();
    let nl = layout.newline;
    let changes = if let Some(next) = items.get(at) {
        if is_alone(layout, next) {
            let line = layout.line_start(next.span.start);
            let start = layout.comments_above(line, floor(layout, node, at.checked_sub(1).map(|n| items[n])));
            let indent = &layout.text[line..next.span.start];
            vec![(start..start, format!("{indent}{new},{nl}"))]
        } else {
            vec![(next.span.start..next.span.start, format!("{new}, "))]
        }
    } else if let Some(last) = items.last() {
        let end = last.span.end;
        if is_alone(layout, last) {
            let line = layout.line_end(last.comma.unwrap_or(end));
            let indent = &layout.text[layout.line_start(last.span.start)..last.span.start];
            match last.comma {
                Some(_) => vec![(line..line, format!("{indent}{new},{nl}"))],
                None => vec![(end..end, ",".to_owned()), (line..line, format!("{indent}{new}{nl}"))],
            }
        } else {
            match last.comma {
                Some(comma) => vec![(comma + 1..comma + 1, format!(" {new},"))],
                None => vec![(end..end, format!(", {new}"))],
            }
        }
    } else if layout.text[node.span.clone()].contains('\n') {
        let line = layout.line_end(node.span.start);
        let indent = layout.indent(node.span.end - 1);
        vec![(line..line, format!("{indent}  {new},{nl}"))]
    } else {
        let inside = node.span.start + 1..node.span.end - 1;
        vec![(inside, if node.shape == Shape::Table { format!(" {new} ") } else { new.to_owned() })]
    };
    splice(layout.text, changes)
}

/// The text without an element.
pub(super) fn remove(layout: &Layout, (parent, node): (usize, &Node), item: &Item) -> String {
    let items: Vec<_> = layout.children(Some(parent)).collect();
    let at = items.iter().position(|other| other.span == item.span).unwrap_or(0);
    let (previous, next) = (at.checked_sub(1).map(|n| items[n]), items.get(at + 1));
    let (start, end) = (item.span.start, item.span.end);
    // Without a comma after the last one, the one before it has none either.
    let comma_before = if item.comma.is_none() { previous.and_then(|item| item.comma) } else { None };
    let mut cuts = Vec::new();
    if is_alone(layout, item) {
        let line = layout.line_start(start);
        cuts.push(
            layout.comments_above(line, floor(layout, node, previous))..layout.line_end(item.comma.unwrap_or(end)),
        );
        cuts.extend(comma_before.map(|comma| comma..comma + 1));
    } else {
        cuts.push(start..end);
        cuts.extend(item.comma.or(comma_before).map(|comma| comma..comma + 1));
        let from = previous.and_then(|item| item.comma).map_or(node.span.start + 1, |comma| comma + 1);
        match next {
            Some(next) => cuts.push(item.comma.map_or(end, |comma| comma + 1)..next.span.start),
            None => cuts.push(from..start),
        }
        if next.is_none() && previous.is_none() {
            cuts.push(item.comma.map_or(end, |comma| comma + 1)..node.span.end - 1);
        }
        if let Some(comma) = item.comma {
            cuts.push(end..comma);
        }
        cuts.retain(|cut| is_free(layout, cut, item));
    }
    splice(layout.text, cuts.into_iter().map(|cut| (cut, String::new())).collect())
}

/// Whether a part of the text may go with an element: it is the element, a comma, or spaces.
fn is_free(layout: &Layout, cut: &Range<usize>, item: &Item) -> bool {
    let text = &layout.text[cut.clone()];
    *cut == item.span || text == "," || text.trim().is_empty() && (!text.contains('\n') || cut.end == item.span.start)
}

/// Whether nothing but a comment shares lines with an element and its comma.
fn is_alone(layout: &Layout, item: &Item) -> bool {
    let end = item.comma.map_or(item.span.end, |comma| comma + 1);
    let before = &layout.text[layout.line_start(item.span.start)..item.span.start];
    let after = layout.text[end..layout.line_end(end)].trim_start_matches([' ', '\t', '\r']);
    before.trim().is_empty() && !layout.text[item.span.end..end].contains('\n') && after.starts_with(['#', '\n'])
}

/// Where the lines begin in which there may be comments about the element after `previous`.
fn floor(layout: &Layout, node: &Node, previous: Option<&Item>) -> usize {
    let end = previous.map_or(node.span.start, |item| item.comma.unwrap_or(item.span.end));
    layout.line_end(end)
}
