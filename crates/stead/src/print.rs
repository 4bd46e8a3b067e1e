//! The one place that writes to the terminal: data on standard output, everything else on standard error.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

/// Writes for a person or for a pipe.
#[derive(Debug)]
pub(crate) struct Printer {
    color: bool,
    terminal: bool,
    out: io::Stdout,
    err: io::Stderr,
}

/// What a word means to the reader; said by colour only beside a word that says it too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// As it should be.
    Good,
    /// Broken, on purpose or not.
    Bad,
    /// Of less weight.
    Quiet,
}

impl Default for Printer {
    fn default() -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let (out, err) = (io::stdout(), io::stderr());
        let terminal = out.is_terminal();
        Self { color: wanted && terminal, terminal, out, err }
    }
}

impl Printer {
    /// Whether data is shown in colours.
    pub(crate) fn colored(&self) -> bool {
        self.color
    }

    /// Whether data goes to a terminal.
    pub(crate) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Data in place of everything that a terminal shows.
    pub(crate) fn screen(&mut self, text: impl Display) {
        // To the top left, and clear from there on: as one text, so that nothing flickers.
        let _ = write!(self.out, "\x1b[H\x1b[J{text}").and_then(|()| self.out.flush());
    }

    /// A line of data.
    pub(crate) fn line(&mut self, line: impl Display) {
        // A reader that has gone away is no error: `stead … | head`.
        let _ = writeln!(self.out, "{line}");
    }

    /// What is going on.
    pub(crate) fn progress(&mut self, line: impl Display) {
        let _ = writeln!(self.err, "{line}");
    }

    /// What went wrong, why, and what to do next.
    pub(crate) fn error(&mut self, error: &anyhow::Error, hint: Option<&str>) {
        let causes = error.chain().skip(1).map(|cause| format!("\n  because: {cause}"));
        let next = hint.map(|hint| format!("\n  next: {hint}"));
        let rest: String = causes.chain(next).collect();
        let _ = writeln!(self.err, "error: {error}{rest}");
    }

    /// A part of a plan in its colour.
    pub(crate) fn paint(&self, tone: stead_plan::plan::Tone, text: &str) -> String {
        use stead_plan::plan::Tone;
        let code = match tone {
            Tone::Heading | Tone::Nodes => "1",
            Tone::Added => "32",
            Tone::Removed => "31",
            Tone::Danger => "1;31",
            Tone::Caution => "33",
            Tone::Reason | Tone::Action | Tone::Calm => "2",
            Tone::Title => return text.to_owned(),
        };
        if self.color && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// A word in its tone's colour, where there is a terminal that shows colours.
    pub(crate) fn tone(&self, tone: Tone, word: &str) -> String {
        let code = match tone {
            Tone::Good => "32",
            Tone::Bad => "1;31",
            Tone::Quiet => "2",
        };
        if self.color { format!("\x1b[{code}m{word}\x1b[0m") } else { word.to_owned() }
    }
}
