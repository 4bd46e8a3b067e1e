//! From bytes to TOML: what a person hears of a file that isn't even that.

use toml::Spanned;
use toml::de::DeTable;

use crate::check::Findings;
use crate::diagnostic::{Code, Diagnostic, Span};

/// The largest file that is read, in bytes. A cluster of a hundred machines takes some 50 kB.
pub const LARGEST: usize = 1 << 20;

/// How many mistakes of syntax are told: nobody mends more before trying again.
const MOST_SYNTAX_ERRORS: usize = 20;

/// Bytes that are no text of a cluster file: something to show of them, and what is wrong.
pub(crate) struct NoText {
    pub(crate) shown: String,
    pub(crate) diagnostic: Box<Diagnostic>,
}

/// The bytes as text.
pub(crate) fn text(bytes: &[u8]) -> Result<&str, NoText> {
    if bytes.len() > LARGEST {
        let message = format!("the file has more than {LARGEST} bytes, which no cluster file has");
        let remedy = "is it the right file? `-f FILE` names another one";
        let diagnostic = Box::new(Diagnostic::new(Code::TooLarge, &(0..0), message, "too large", remedy));
        return Err(NoText { shown: String::new(), diagnostic });
    }
    let error = match std::str::from_utf8(bytes) {
        Ok(text) => return Ok(text),
        Err(error) => error,
    };
    let good = error.valid_up_to();
    let shown = String::from_utf8_lossy(bytes).into_owned();
    let is_utf16 = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
    let (reason, remedy) = if is_utf16 {
        ("this is UTF-16".to_owned(), "save it as UTF-8: `iconv -f UTF-16 -t UTF-8 OLD > NEW`")
    } else {
        let reason =
            format!("the byte 0x{:02x} can't stand here in UTF-8", bytes.get(good).copied().unwrap_or_default());
        (reason, "save it as UTF-8; if it was Latin-1: `iconv -f LATIN1 -t UTF-8 OLD > NEW`")
    };
    let span = good..good + char::REPLACEMENT_CHARACTER.len_utf8();
    let diagnostic = Box::new(Diagnostic::new(Code::NotUtf8, &span, "the file is no UTF-8 text", reason, remedy));
    Err(NoText { shown, diagnostic })
}

/// The text as TOML, with what is wrong about its syntax.
pub(crate) fn document(text: &str) -> (Spanned<DeTable<'_>>, Findings) {
    let (document, errors) = DeTable::parse_recoverable(text);
    let (twice, others): (Vec<_>, Vec<_>) = errors.iter().partition(|error| is_twice(error));
    let mut findings: Findings = Vec::new();
    let first = others.iter().filter_map(|error| error.span()).map(|span| span.start).min();
    if let Some(first) = first {
        findings.extend(syntax_errors(text, first));
    } else {
        for error in twice.into_iter().take(MOST_SYNTAX_ERRORS) {
            let finding = named_twice(text, error);
            if !findings.last().is_some_and(|table| follows(text, table, &finding)) {
                findings.push(finding);
            }
        }
    }
    if findings.is_empty() {
        // The whole has a mistake, and no table by itself: then the whole's own first one. An error is never lost.
        let first = others.first().copied().or(errors.first());
        findings.extend(first.map(|error| syntax(text, 0, error)));
    }
    (document, findings)
}

/// The first mistake of syntax of each table, from the one on that has the first of all: behind a mistake, the parser
/// loses its way, up to where a table read by itself makes sense again.
fn syntax_errors(text: &str, first: usize) -> Findings {
    let mut starts: Vec<usize> = text.match_indices("\n[").map(|(at, _)| at + 1).collect();
    starts.insert(0, 0);
    let ends = starts.iter().skip(1).copied().chain([text.len()]).collect::<Vec<_>>();
    let sections = starts.into_iter().zip(ends).filter(|(_, end)| *end > first);
    // A line of a text of several lines is no header.
    let quotes = |text: &str| text.matches("\"\"\"").count() + text.matches("'''").count();
    let (mut counted, mut opened) = (0, 0);
    let error = |(start, end): (usize, usize)| {
        opened += quotes(text.get(counted..start)?);
        counted = start;
        let (_, errors) = DeTable::parse_recoverable(text.get(start..end)?);
        let place = |error: &toml::de::Error| error.span().map(|span| span.start);
        let error = errors.into_iter().filter(|error| opened % 2 == 0 && !is_twice(error)).min_by_key(place)?;
        Some(syntax(text, start, &error))
    };
    sections.filter_map(error).take(MOST_SYNTAX_ERRORS).collect()
}

fn is_twice(error: &toml::de::Error) -> bool {
    error.message().contains("duplicate key")
}

/// Whether a key is there twice only because its table is: the parser reads both tables as one.
fn follows(text: &str, table: &Diagnostic, key: &Diagnostic) -> bool {
    let is_header = |line: &str| line.trim_start().starts_with('[');
    let between = text.get(table.span.end..key.span.start).unwrap_or_default();
    is_header(line_from(text, table.span.start)) && !between.lines().skip(1).any(is_header)
}

/// The line that a byte is in, from its beginning.
fn line_from(text: &str, byte: usize) -> &str {
    let start = text.get(..byte).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
    text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or_default()
}

/// Where a line before `byte` names the same table or key, if one is written alike.
fn first_of(text: &str, byte: usize) -> Option<Span> {
    let name = |line: &str| line.split(['=', '#']).next().unwrap_or_default().trim().to_owned();
    let (own, before) = (name(line_from(text, byte)), text.get(..byte)?);
    let line = &before[before.rfind('\n').map_or(0, |at| at + 1)..];
    if line.contains(['=', '{', ',']) {
        // A key within a line: which other one is its twin, lines don't tell.
        return None;
    }
    let before = &before[..before.rfind('\n')?];
    // A key is looked for in its own table.
    let from = if own.starts_with('[') { 0 } else { before.rfind("\n[").unwrap_or(0) };
    let mut at = from;
    for line in before[from..].split_inclusive('\n') {
        if !own.is_empty() && name(line) == own {
            let start = at + line.len() - line.trim_start().len();
            return Some(start..start + own.len());
        }
        at += line.len();
    }
    None
}

/// A key or table that is there before.
fn named_twice(text: &str, error: &toml::de::Error) -> Diagnostic {
    let span = error.span().unwrap_or(0..0);
    let message = "the same key or table twice";
    let remedy = "take one of them out, or put both into one";
    let twice = Diagnostic::new(Code::NameTwice, &span, message, "a second time", remedy);
    match first_of(text, span.start) {
        Some(first) => twice.and(&first, "first here"),
        None => twice,
    }
}

/// What the parser says, and what it means: its words, the reason and what to do.
const SYNTAX: [(&str, &str, &str); 6] = [
    ("must be quoted", "a text without quotes", "write it in quotes: \"…\""),
    (
        "missing comma",
        "a list that isn't closed before this, or a comma that is missing",
        "close it with `]`, or write the comma",
    ),
    ("in array", "this can't stand in a list", "close the list with `]` before it"),
    ("unclosed", "it is opened here and closed nowhere", "close it"),
    ("key with no value", "a key without a value", "write `KEY = VALUE`"),
    (
        "invalid basic string",
        "a text that isn't closed on its line, or a character that can't stand in one",
        "close it with a quote, or take the character out",
    ),
];

/// A mistake of syntax in a part of the text that begins at `start`.
fn syntax(text: &str, start: usize, error: &toml::de::Error) -> Diagnostic {
    let span = error.span().map_or(start..start, |span| start + span.start..start + span.end);
    let said = error.message();
    if text.get(span.clone()).is_some_and(|at| at.contains('\0')) {
        let remedy = "take it out; was the file cut off, or is it no text?";
        return Diagnostic::new(Code::Syntax, &span, "this is no TOML", "a NUL byte", remedy);
    }
    if said.contains("recursion") {
        let remedy = "a cluster file needs few levels";
        return Diagnostic::new(
            Code::Syntax,
            &span,
            "this is no TOML",
            "lists or tables in each other, too deep",
            remedy,
        );
    }
    if let Some((_, reason, remedy)) = SYNTAX.iter().find(|(words, ..)| said.contains(words)) {
        return Diagnostic::new(Code::Syntax, &span, "this is no TOML", *reason, *remedy);
    }
    let remedy = "see https://toml.io for how it is written: texts in \"quotes\", a key a line";
    Diagnostic::new(Code::Syntax, &span, format!("this is no TOML: {said}"), "not as TOML is written", remedy)
}
