//! `stead check`: the cluster file, and every mistake in it.

use std::process::ExitCode;

use clap::Args;
use stead_spec::words::count;
use stead_spec::{Report, Spec};

use crate::cluster_file::{self, ClusterFile};
use crate::print::{Printer, Tone};

/// What is checked, and how it is told.
#[derive(Debug, Args)]
#[command(after_help = "Codes: 0 the file is good, warnings or not; 1 it is not.\n\n\
                        Example: stead check -f clusters/home.toml")]
pub(crate) struct Arguments {
    #[command(flatten)]
    file: ClusterFile,
    /// Everything as JSON, for programs.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments, printer: &mut Printer) -> anyhow::Result<ExitCode> {
    let read = arguments.file.read()?;
    let (spec, report) = match &read {
        Ok((spec, report)) => (Some(spec), report),
        Err(report) => (None, report),
    };
    if arguments.json {
        printer.line(serde_json::to_string_pretty(&cluster_file::as_json(report))?);
    } else {
        cluster_file::show(report, printer);
        printer.line(summary(spec, report, printer));
    }
    Ok(if spec.is_some() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// One line: what the file has, or how much is wrong.
fn summary(spec: Option<&Spec>, report: &Report, printer: &Printer) -> String {
    let warnings = match report.warnings() {
        0 => String::new(),
        number => format!(", {}", count(number, "warning")),
    };
    let Some(spec) = spec else {
        let errors = printer.tone(Tone::Bad, &count(report.errors(), "mistake"));
        return format!("{}: {errors}{warnings}", report.name());
    };
    let good = printer.tone(Tone::Good, "good");
    let has = [
        count(spec.nodes().len(), "node"),
        // The core is one of them to whoever wrote the file.
        count(spec.networks().len() + 1, "network"),
        count(spec.volumes().len(), "volume"),
        count(spec.machines().len(), "machine"),
    ];
    format!("{}: {good}{warnings} ({})", report.name(), has.join(", "))
}
