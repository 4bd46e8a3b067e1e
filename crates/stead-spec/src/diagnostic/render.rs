//! Diagnostics for a person: the line, the underlined place, and the words.

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::{Diagnostic, Report, Severity, Span, floor};

/// How a report is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Text and nothing else.
    Plain,
    /// With the colours of a terminal.
    Colored,
}

/// How many columns a line of a report has at most, where the file's own lines let it.
const WIDTH: usize = 110;

/// How many bytes of lines longer than this are shown around the place: a file that is one long line would fill the
/// screen for each mistake.
const LONG_LINE: usize = 2_000;

impl Report {
    /// One diagnostic, as shown to a person.
    pub fn render(&self, diagnostic: &Diagnostic, style: Style) -> String {
        let renderer = match style {
            Style::Plain => Renderer::plain(),
            Style::Colored => Renderer::styled(),
        };
        let level = match diagnostic.code.severity() {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let hidden = diagnostic.secret.then(|| hide(&self.text, &diagnostic.span));
        let excerpts = Excerpt::all(hidden.as_deref().unwrap_or(&self.text), diagnostic);
        let mut group = Group::with_title(level.primary_title(&diagnostic.message).id(diagnostic.code.name()));
        for excerpt in &excerpts {
            let annotations = excerpt.places.iter().map(|(kind, span, label)| kind.span(span.clone()).label(*label));
            let snippet = Snippet::source(excerpt.text.as_str()).line_start(excerpt.line).path(self.name.as_str());
            group = group.element(snippet.annotations(annotations));
        }
        let remedy = Level::HELP.message(&diagnostic.remedy);
        renderer.term_width(WIDTH).decor_style(DecorStyle::Ascii).render(&[group.element(remedy)])
    }
}

/// The lines around the places of a diagnostic, cut out so that a large file isn't walked for each mistake.
struct Excerpt<'a> {
    text: String,
    line: usize,
    places: Vec<(AnnotationKind, Span, &'a str)>,
}

impl<'a> Excerpt<'a> {
    fn all(text: &str, diagnostic: &'a Diagnostic) -> Vec<Self> {
        let primary = (AnnotationKind::Primary, &diagnostic.span, diagnostic.reason.as_str());
        let related = diagnostic.related.iter().map(|(span, label)| (AnnotationKind::Context, span, label.as_str()));
        let places: Vec<_> = std::iter::once(primary).chain(related).collect();
        let from = places.iter().map(|(_, span, _)| line_start(text, span.start)).min().unwrap_or_default();
        let to = places.iter().map(|(_, span, _)| line_end(text, span.end)).max().unwrap_or(text.len());
        let longest = text[from..to].split('\n').map(str::len).max().unwrap_or_default();
        if longest > LONG_LINE {
            return places.into_iter().map(|place| Self::of_long_line(text, place)).collect();
        }
        let places = places.into_iter().map(|(kind, span, label)| (kind, clamp(text, span, from, to), label)).collect();
        vec![Self { text: plain(&text[from..to]), line: line_number(text, from), places }]
    }

    fn of_long_line(text: &str, (kind, span, label): (AnnotationKind, &Span, &'a str)) -> Self {
        let start = line_start(text, span.start);
        let from = start.max(floor(text, span.start.saturating_sub(40)));
        let to = line_end(text, span.start).min(floor(text, span.start.saturating_add(40)));
        let place = (kind, clamp(text, span, from, to), label);
        Self { text: plain(&text[from..to]), line: line_number(text, start), places: vec![place] }
    }
}

/// The text without what stands at `span`. Keeps the number of bytes, since spans count them.
fn hide(text: &str, span: &Span) -> String {
    let (from, to) = (floor(text, span.start), floor(text, span.end));
    let stars = text[from..to].chars().flat_map(|c| std::iter::repeat_n(if c == '\n' { c } else { '*' }, c.len_utf8()));
    text[..from].chars().chain(stars).chain(text[to..].chars()).collect()
}

/// What a terminal takes for a command, as something it shows. Keeps the number of bytes, since spans count them.
fn plain(text: &str) -> String {
    let shown = |c: char| if c.is_control() && !matches!(c, '\n' | '\t' | '\r') { ' ' } else { c };
    text.chars().flat_map(|c| std::iter::repeat_n(shown(c), if shown(c) == c { 1 } else { c.len_utf8() })).collect()
}

fn clamp(text: &str, span: &Span, from: usize, to: usize) -> Span {
    let start = floor(text, span.start).clamp(from, to);
    let end = floor(text, span.end).clamp(start, to);
    start - from..end - from
}

fn line_start(text: &str, byte: usize) -> usize {
    text[..floor(text, byte)].rfind('\n').map_or(0, |at| at + 1)
}

fn line_end(text: &str, byte: usize) -> usize {
    let byte = floor(text, byte);
    text[byte..].find('\n').map_or(text.len(), |at| byte + at)
}

fn line_number(text: &str, byte: usize) -> usize {
    text[..byte].matches('\n').count() + 1
}
