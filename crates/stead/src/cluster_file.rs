//! The cluster file: where it is, and what is wrong with it.

use std::io::Read;

use anyhow::Context;
use camino::{Utf8Path, Utf8PathBuf};
use clap::Args;
use serde_json::{Value, json};
use stead_spec::diagnostic::{Diagnostic, Severity, Span, Style};
use stead_spec::{Report, Spec};

use crate::print::Printer;

/// Which cluster file a command is about.
#[derive(Clone, Debug, Args)]
pub(crate) struct ClusterFile {
    /// The cluster file; `-` is standard input.
    #[arg(short = 'f', long = "file", value_name = "FILE", default_value = "stead.toml")]
    path: Utf8PathBuf,
}

/// How many mistakes are shown at once: nobody reads more before mending the first.
const MOST_SHOWN: usize = 50;

impl ClusterFile {
    /// Reads it: the spec with what to think about, or what is wrong.
    ///
    /// # Errors
    /// It can't be read at all.
    pub(crate) fn read(&self) -> anyhow::Result<Result<(Spec, Report), Report>> {
        if self.path == "-" {
            let bytes = read(std::io::stdin().lock()).context("could not read standard input")?;
            return Ok(stead_spec::parse("standard input", &bytes));
        }
        Ok(stead_spec::parse(self.path.as_str(), &self.bytes()?))
    }

    /// Where it is, for what lies beside it and for what changes it.
    ///
    /// # Errors
    /// It is standard input.
    pub(crate) fn path(&self) -> anyhow::Result<&Utf8Path> {
        if self.path == "-" {
            let next = "name the file itself with `-f FILE`";
            return Err(crate::Advised::new("standard input has nothing beside it, and can't be changed", next).into());
        }
        Ok(&self.path)
    }

    /// What is in the file.
    ///
    /// # Errors
    /// It can't be read.
    pub(crate) fn bytes(&self) -> anyhow::Result<Vec<u8>> {
        let hint = "name it with `-f FILE`, or go to the folder that it is in";
        std::fs::File::open(&self.path)
            .and_then(read)
            .map_err(|error| crate::Hinted::new(error, hint))
            .with_context(|| format!("could not read the cluster file `{}`", self.path))
    }
}

/// All of it, or more than a cluster file has.
fn read(from: impl Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(stead_spec::LARGEST as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Shows what is wrong and what to think about, and how much of it there is.
pub(crate) fn show(report: &Report, printer: &mut Printer) {
    let style = if printer.colored() { Style::Colored } else { Style::Plain };
    for diagnostic in report.diagnostics().iter().take(MOST_SHOWN) {
        printer.line(report.render(diagnostic, style));
        printer.line("");
    }
    let more = report.diagnostics().len().saturating_sub(MOST_SHOWN);
    if more > 0 {
        printer.line(format_args!("and {more} more"));
    }
}

/// What is wrong, as data.
pub(crate) fn as_json(report: &Report) -> Value {
    let place = |span: &Span| {
        let at = |byte: usize| {
            let position = report.position(byte);
            json!({ "line": position.line, "column": position.column, "byte": byte })
        };
        json!({ "from": at(span.start), "to": at(span.end) })
    };
    let one = |diagnostic: &Diagnostic| {
        let severity = match diagnostic.code.severity() {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let related = diagnostic.related.iter().map(|(span, what)| json!({ "place": place(span), "what": what }));
        json!({
            "code": diagnostic.code.name(),
            "severity": severity,
            "message": diagnostic.message,
            "place": place(&diagnostic.span),
            "reason": diagnostic.reason,
            "remedy": diagnostic.remedy,
            "related": related.collect::<Vec<_>>(),
        })
    };
    json!({
        "schema_version": 1,
        "file": report.name(),
        "errors": report.errors(),
        "warnings": report.warnings(),
        "diagnostics": report.diagnostics().iter().map(one).collect::<Vec<_>>(),
    })
}
