//! What changes in a text, line by line, as a person reads it.

use similar::{ChangeTag, TextDiff};

/// The most lines that are shown of one difference: about half a screen.
const LINES: usize = 20;

/// The lines that go (`- …`) and come (`+ …`), at most some twenty.
pub(crate) fn lines(old: &str, new: &str) -> Vec<String> {
    let diff = TextDiff::from_lines(old, new);
    let changes = diff.iter_all_changes().filter_map(|change| {
        let sign = match change.tag() {
            ChangeTag::Delete => '-',
            ChangeTag::Insert => '+',
            ChangeTag::Equal => return None,
        };
        let line = change.value();
        let line = line.trim_end_matches(['\n', '\r']);
        Some(format!("{sign} {line}").trim_end().to_owned())
    });
    let mut shown: Vec<String> = changes.collect();
    if shown.len() > LINES {
        let more = shown.len() - (LINES - 1);
        shown.truncate(LINES - 1);
        shown.push(format!("… and {more} more lines"));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changes_is_shown() {
        assert_eq!(lines("a\nb\nc\n", "a\nB\nc\n\n"), ["- b", "+ B", "+"]);
        assert_eq!(lines("a\n", "a\n"), Vec::<String>::new());
    }

    #[test]
    fn a_long_difference_is_cut() {
        let long = lines("", &"x\n".repeat(50));
        assert_eq!((long.len(), long.last().map(String::as_str)), (20, Some("… and 31 more lines")));
        assert_eq!(lines("", &"x\n".repeat(20)).len(), 20);
    }
}
