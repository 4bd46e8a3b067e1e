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

/// Of lines with more bytes than this, only what is around the place is shown: a file that is one long line would fill
/// the screen for each mistake.
const LONG_LINE: usize = 2_000;

/// How many bytes of a longer one are shown before and after the place.
const AROUND: usize = 40;

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
        let excerpts = Excerpt::all(self, diagnostic);
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
    fn all(report: &Report, diagnostic: &'a Diagnostic) -> Vec<Self> {
        let primary = (AnnotationKind::Primary, &diagnostic.span, diagnostic.reason.as_str());
        let related = diagnostic.related.iter().map(|(span, label)| (AnnotationKind::Context, span, label.as_str()));
        let places: Vec<_> = std::iter::once(primary).chain(related).collect();
        let from = places.iter().map(|(_, span, _)| report.line_start(span.start)).min().unwrap_or_default();
        let to = places.iter().map(|(_, span, _)| report.line_end(span.end)).max().unwrap_or_default().max(from);
        let longest = report.text[from..to].split('\n').map(str::len).max().unwrap_or_default();
        if longest <= LONG_LINE {
            return vec![Self::cut(report, from..to, &places)];
        }
        let around = |place: (AnnotationKind, &Span, &'a str)| {
            let (start, end) = (report.line_start(place.1.start), report.line_end(place.1.start));
            let from = start.max(floor(&report.text, place.1.start.saturating_sub(AROUND)));
            let to = end.min(floor(&report.text, place.1.start.saturating_add(AROUND))).max(from);
            Self::cut(report, from..to, &[place])
        };
        places.into_iter().map(around).collect()
    }

    /// This part of the text, with these places in it.
    fn cut(report: &Report, part: Span, places: &[(AnnotationKind, &Span, &'a str)]) -> Self {
        let within = |span: &Span| {
            let start = floor(&report.text, span.start).clamp(part.start, part.end);
            let end = floor(&report.text, span.end).clamp(start, part.end);
            start - part.start..end - part.start
        };
        let places = places.iter().map(|(kind, span, label)| (*kind, within(span), *label)).collect();
        let line = report.line(part.start) + 1;
        let text = plain(&report.text[part]);
        Self { text, line, places }
    }
}

impl Report {
    /// Where the line of a byte begins.
    fn line_start(&self, byte: usize) -> usize {
        self.lines[self.line(byte.min(self.text.len()))]
    }

    /// Where it ends, without what ends it.
    fn line_end(&self, byte: usize) -> usize {
        let next = self.lines.get(self.line(byte.min(self.text.len())) + 1);
        next.map_or(self.text.len(), |next| next - 1)
    }
}

/// What a terminal takes for a command, as something it shows. Keeps the number of bytes, since spans count them.
fn plain(text: &str) -> String {
    let shown = |c: char| if c.is_control() && !matches!(c, '\n' | '\t' | '\r') { ' ' } else { c };
    text.chars().flat_map(|c| std::iter::repeat_n(shown(c), if shown(c) == c { 1 } else { c.len_utf8() })).collect()
}
