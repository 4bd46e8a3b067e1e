//! Rust source as tokens: enough to see which paths code names, and blind to comments and strings.

/// A name or a sign, and its line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    /// An identifier, `::`, or one character of anything else.
    pub(super) text: &'a str,
    /// From 1.
    pub(super) line: usize,
}

/// Cuts Rust source into tokens, leaving out white space, comments, literals and lifetimes.
pub(super) fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut line = 1;
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let (length, is_token) = next(rest, first);
        let (text, after) = rest.split_at(length);
        if is_token {
            tokens.push(Token { text, line });
        }
        line += text.matches('\n').count();
        rest = after;
    }
    tokens
}

/// How long the next piece is, and whether it is a token.
fn next(rest: &str, first: char) -> (usize, bool) {
    if rest.starts_with("//") {
        return (rest.find('\n').unwrap_or(rest.len()), false);
    }
    if rest.starts_with("/*") {
        return (block_comment(rest), false);
    }
    if let Some(length) = string(rest) {
        return (length, false);
    }
    match first {
        '\'' => (quote(rest), false),
        '_' | 'a'..='z' | 'A'..='Z' => {
            (rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len()), true)
        }
        ':' if rest.starts_with("::") => (2, true),
        _ => (first.len_utf8(), !first.is_whitespace()),
    }
}

/// The length of a block comment, which may hold others.
fn block_comment(rest: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        let here = &rest.as_bytes()[at..];
        if here.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

/// The length of the string literal that starts here, if one does.
fn string(rest: &str) -> Option<usize> {
    let prefix = ["br", "cr", "r", "b", "c", ""].into_iter().find(|prefix| {
        let after = rest.strip_prefix(prefix).unwrap_or_default();
        after.starts_with('"') || (prefix.ends_with('r') && after.trim_start_matches('#').starts_with('"'))
    })?;
    let body = &rest[prefix.len()..];
    if prefix.ends_with('r') {
        let hashes = body.len() - body.trim_start_matches('#').len();
        let end = format!("\"{}", "#".repeat(hashes));
        let start = prefix.len() + hashes + 1;
        return Some(rest[start..].find(&end).map_or(rest.len(), |at| start + at + end.len()));
    }
    Some(prefix.len() + closed(body, b'"'))
}

/// The length of a character literal, or of a lifetime.
fn quote(rest: &str) -> usize {
    let mut after = rest[1..].chars();
    let (first, second) = (after.next(), after.next());
    let is_lifetime = first.is_some_and(|c| c.is_alphanumeric() || c == '_') && second != Some('\'');
    if is_lifetime {
        return 1 + rest[1..].find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len() - 1);
    }
    closed(rest, b'\'')
}

/// The length up to the closing quote of a literal with escapes.
fn closed(rest: &str, quote: u8) -> usize {
    let bytes = rest.as_bytes();
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(source: &str) -> Vec<&str> {
        tokens(source).into_iter().map(|token| token.text).collect()
    }

    #[test]
    fn comments_and_literals_are_not_seen() {
        assert_eq!(texts("a // b\n/* c /* d */ e */ f"), ["a", "f"]);
        assert_eq!(texts(r##"a("b\"c", r#"d"e"#, b"f", 'g', '\'', '"', '\u{41}') h"##).concat(), "a(,,,,,,)h");
        assert_eq!(texts("fn f<'a>(x: &'a str, y: &'static str)").concat(), "fnf<>(x:&str,y:&str)");
    }

    #[test]
    fn names_that_only_look_like_strings_are_names() {
        assert_eq!(texts("br r b crate r#type"), ["br", "r", "b", "crate", "r", "#", "type"]);
    }

    #[test]
    fn lines_are_counted_through_everything() {
        let source = "/*\n*/\"\n\"\nstd::fs";
        let seen: Vec<_> = tokens(source).iter().map(|token| (token.text.to_owned(), token.line)).collect();
        assert_eq!(seen, [("std".to_owned(), 4), ("::".to_owned(), 4), ("fs".to_owned(), 4)]);
    }

    #[test]
    fn a_file_cut_short_ends() {
        for source in ["\"abc", "/* abc", "r#\"abc\"", "'\\", "'", "b\"\\"] {
            tokens(source);
        }
    }
}
