//! Lines of a text, and replacing parts of it.
use std::ops::Range;

use super::scan::{Item, Kind, Layout};

/// The text with each of these ranges, which don't overlap, replaced.
pub(super) fn splice(text: &str, mut changes: Vec<(Range<usize>, String)>) -> String {
    changes.sort_by_key(|(range, _)| (range.start, range.end));
    let mut out = String::new();
    let mut at = 0;
    for (range, new) in changes {
        out.push_str(&text[at..range.start]);
        out.push_str(&new);
        at = range.end;
    }
    out + &text[at..]
}

impl Layout<'_> {
    /// The beginning of the line in which a place is.
    pub(super) fn line_start(&self, at: usize) -> usize {
        self.text[..at].rfind('\n').map_or(self.start, |end| end + 1)
    }

    /// The end of the line in which a place is, after what ends it.
    pub(super) fn line_end(&self, at: usize) -> usize {
        self.text[at..].find('\n').map_or(self.text.len(), |end| at + end + 1)
    }

    /// The spaces with which the line begins in which a place is.
    pub(super) fn indent(&self, at: usize) -> &str {
        let line = &self.text[self.line_start(at)..at];
        &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
    }

    /// The beginning of the comment lines directly above a line, which don't reach above `floor`.
    pub(super) fn comments_above(&self, line: usize, floor: usize) -> usize {
        let mut at = line;
        while at > floor {
            let above = self.line_start(at - 1);
            if above < floor || !self.text[above..at].trim_start().starts_with('#') {
                break;
            }
            at = above;
        }
        at
    }

    /// The beginning of a header or pair with the comment lines that belong to it.
    pub(super) fn block_start(&self, item: &Item) -> usize {
        let line = self.line_start(item.span.start);
        let statements = self.items.iter().filter(|other| matches!(other.kind, Kind::Header | Kind::Pair));
        let above = statements.filter(|other| other.span.end <= item.span.start).map(|other| other.span.end).max();
        let start = self.comments_above(line, above.map_or(self.start, |end| self.line_end(end)));
        if start == self.start { line } else { start }
    }

    /// The end of the last line of what stands below a header, with the header itself.
    pub(super) fn section_end(&self, header: usize) -> usize {
        let last = self.children(Some(header)).next_back().unwrap_or(&self.items[header]);
        let end = self.line_end(last.span.end);
        let mut after = end;
        while self.text[after..].trim_start_matches([' ', '\t']).starts_with('#') {
            after = self.line_end(after);
        }
        if self.is_blank(after) || after == self.text.len() { after } else { end }
    }

    /// Whether an empty line begins here.
    pub(super) fn is_blank(&self, line: usize) -> bool {
        line < self.text.len() && self.text[line..self.line_end(line)].trim().is_empty()
    }

    /// The beginning of the empty lines directly above a line.
    pub(super) fn blanks_above(&self, line: usize) -> usize {
        let mut at = line;
        while at > self.start && self.is_blank(self.line_start(at - 1)) {
            at = self.line_start(at - 1);
        }
        at
    }

    /// The end of the empty lines that begin here.
    pub(super) fn blanks_below(&self, line: usize) -> usize {
        let mut at = line;
        while self.is_blank(at) {
            at = self.line_end(at);
        }
        at
    }

    /// The text with new lines at the beginning of a line. At the end of a text whose last line isn't ended, the new
    /// last line isn't either.
    pub(super) fn with_lines(&self, at: usize, lines: &[String]) -> String {
        let new = lines.join(self.newline);
        let is_open = at == self.text.len() && at > self.start && !self.text.ends_with('\n');
        let new = if is_open { format!("{}{new}", self.newline) } else { format!("{new}{}", self.newline) };
        splice(self.text, vec![(at..at, new)])
    }
}
