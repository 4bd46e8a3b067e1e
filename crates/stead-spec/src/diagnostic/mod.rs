//! What is wrong with a cluster file: each mistake with its place, its reason and what to do.

mod code;
mod render;
pub(crate) mod secret;

use std::collections::HashMap;
use std::ops::Range;

pub use code::{Code, Severity};
pub use render::Style;

/// A part of the file's text, in bytes.
pub type Span = Range<usize>;

/// One mistake, or one thing to think about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Which mistake it is. Says how bad it is, too.
    pub code: Code,
    /// What is wrong, in one line.
    pub message: String,
    /// Where.
    pub span: Span,
    /// Why that is wrong, in a few words beside the place.
    pub reason: String,
    /// Other places that have to do with it, and how.
    pub related: Vec<(Span, String)>,
    /// What to do.
    pub remedy: String,
}

impl Diagnostic {
    /// A mistake at `span`: what, why, and what to do.
    pub(crate) fn new(
        code: Code,
        span: &Span,
        message: impl Into<String>,
        reason: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        let (message, reason, remedy) = (message.into(), reason.into(), remedy.into());
        Self { code, message, span: span.clone(), reason, related: Vec::new(), remedy }
    }

    /// The same, with another place that has to do with it.
    pub(crate) fn and(mut self, span: &Span, what: impl Into<String>) -> Self {
        self.related.push((span.clone(), what.into()));
        self
    }
}

/// All that is to be said about one cluster file, in the order of its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    name: String,
    /// Without private keys, which nobody shows.
    text: String,
    /// Where each line of the text begins.
    lines: Vec<usize>,
    diagnostics: Vec<Diagnostic>,
}

/// A place as people and editors count it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

impl Report {
    pub(crate) fn new(name: &str, text: &str, mut diagnostics: Vec<Diagnostic>) -> Self {
        diagnostics.sort_by_key(|diagnostic| (diagnostic.span.start, diagnostic.code));
        let mut diagnostics = merged(diagnostics);
        diagnostics.iter_mut().for_each(harmless);
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { name: name.to_owned(), text: secret::hidden(text), lines, diagnostics }
    }

    /// Each of them.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// How many of them make the file useless.
    pub fn errors(&self) -> usize {
        self.count(Severity::Error)
    }

    /// How many of them are to be thought about.
    pub fn warnings(&self) -> usize {
        self.count(Severity::Warning)
    }

    fn count(&self, severity: Severity) -> usize {
        self.diagnostics.iter().filter(|diagnostic| diagnostic.code.severity() == severity).count()
    }

    /// The name of the file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where a byte of the text stands.
    pub fn position(&self, byte: usize) -> Position {
        let byte = floor(&self.text, byte);
        let line = self.line(byte);
        let before = self.text[self.lines[line]..byte].trim_start_matches('\u{feff}');
        Position { line: line + 1, column: before.chars().count() + 1 }
    }

    /// Which line, from 0, a byte is in.
    fn line(&self, byte: usize) -> usize {
        self.lines.partition_point(|start| *start <= byte) - 1
    }
}

/// Words that repeat what stands in the file are shown as they are, but for private keys and what a terminal takes for
/// a command.
fn harmless(diagnostic: &mut Diagnostic) {
    let Diagnostic { message, reason, remedy, related, .. } = diagnostic;
    for words in [message, reason, remedy].into_iter().chain(related.iter_mut().map(|(_, words)| words)) {
        let shown = |c: char| if c.is_control() && c != '\n' { ' ' } else { c };
        *words = secret::hidden(words).chars().map(shown).collect();
    }
}

/// The same mistake at several places is one: what is missing is missing once.
fn merged(diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let mut merged: Vec<Diagnostic> = Vec::new();
    let mut told: HashMap<(Code, String), usize> = HashMap::new();
    for diagnostic in diagnostics {
        let same = (diagnostic.code, diagnostic.message.clone());
        match told.get(&same).and_then(|at| merged.get_mut(*at)).filter(|_| same.0.merges()) {
            Some(first) if first.span == diagnostic.span => {}
            Some(first) => first.related.push((diagnostic.span, diagnostic.reason)),
            None => {
                told.insert(same, merged.len());
                merged.push(diagnostic);
            }
        }
    }
    merged
}

/// The nearest place at or before `byte` where the text can be cut.
fn floor(text: &str, byte: usize) -> usize {
    let mut at = byte.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
