//! From bytes to TOML: what a person hears of a file that isn't even that.

use toml::Spanned;
use toml::de::DeTable;

use crate::check::Findings;
use crate::diagnostic::{Code, Diagnostic, Span};

/// The largest file that is read, in bytes. A cluster of a hundred machines takes some 50 kB.
pub const LARGEST: usize = 1 << 20;

/// How many mistakes of syntax are told: after a few, each is the consequence of another.
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
    let mut findings: Findings = Vec::new();
    for error in errors.iter().take(MOST_SYNTAX_ERRORS) {
        let finding = syntax(text, error);
        if !findings.last().is_some_and(|last| follows(text, last, &finding)) {
            findings.push(finding);
        }
    }
    (document, findings)
}

/// Whether a key is there twice only because its table is: the parser reads both tables as one.
fn follows(text: &str, table: &Diagnostic, key: &Diagnostic) -> bool {
    let is_header = |line: &str| line.trim_start().starts_with('[');
    let between = text.get(table.span.end..key.span.start).unwrap_or_default();
    let both = table.code == Code::NameTwice && key.code == Code::NameTwice;
    both && is_header(line_from(text, table.span.start)) && !between.lines().skip(1).any(is_header)
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

fn syntax(text: &str, error: &toml::de::Error) -> Diagnostic {
    let span = error.span().unwrap_or(0..0);
    let at = text.get(span.clone()).unwrap_or_default();
    let said = error.message();
    if said.contains("duplicate key") {
        let message = "the same key or table twice";
        let remedy = "take one of them out, or put both into one";
        let twice = Diagnostic::new(Code::NameTwice, &span, message, "a second time", remedy);
        return match first_of(text, span.start) {
            Some(first) => twice.and(&first, "first here"),
            None => twice,
        };
    }
    let (reason, remedy) = if at.contains('\0') {
        ("a NUL byte", "take it out; was the file cut off, or is it no text?")
    } else if said.contains("recursion") {
        ("lists or tables in each other, too deep", "a cluster file needs four levels at most")
    } else {
        ("not as TOML is written", "see https://toml.io for how it is written: texts in \"quotes\", a key a line")
    };
    Diagnostic::new(Code::Syntax, &span, format!("this is no TOML: {said}"), reason, remedy)
}
