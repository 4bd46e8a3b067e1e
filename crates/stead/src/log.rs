//! `stead log`: what was applied from this computer, and how it went.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;
use stead_apply::journal::{self, Event, EventKind, RunResult, RunSummary};
use stead_plan::step::Outcome;

use crate::cluster;
use crate::cluster_file::{self, ClusterFile};
use crate::print::{Printer, Tone};

/// Which runs.
#[derive(Debug, Args)]
#[command(after_help = "Each node tells its own side in its journal: journalctl -t stead\n\n\
                        Example: stead log")]
pub(crate) struct Arguments {
    #[command(flatten)]
    file: ClusterFile,
    /// All of one run: its name, or a part of it that no other has.
    #[arg(value_name = "RUN")]
    run: Option<String>,
    /// As JSON, for programs.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments, printer: &mut Printer) -> anyhow::Result<ExitCode> {
    let spec = match arguments.file.read()? {
        Ok((spec, _)) => spec,
        Err(report) => {
            cluster_file::show(&report, printer);
            return Ok(ExitCode::FAILURE);
        }
    };
    let dir = cluster::runs(&spec)?;
    if let Some(name) = &arguments.run {
        for event in journal::events(&dir, &journal::find(&dir, name)?)? {
            let line = if arguments.json { serde_json::to_string(&event)? } else { shown(&event) };
            printer.line(line);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let runs = journal::runs(&dir)?;
    if arguments.json {
        let runs: Vec<_> = runs.iter().map(as_json).collect();
        printer.line(serde_json::to_string_pretty(&json!({ "schema_version": 1, "runs": runs }))?);
    } else if runs.is_empty() {
        printer.line("nothing was applied from this computer yet");
    }
    for run in runs.iter().filter(|_| !arguments.json) {
        let end = match &run.result {
            Some(RunResult::Done) => printer.tone(Tone::Good, "done"),
            Some(RunResult::Incomplete(why)) => printer.tone(Tone::Bad, why),
            None => printer.tone(Tone::Bad, "no end was written: it was killed, or still runs"),
        };
        printer.line(format_args!("{}  {}  {}  {}: {end}", run.at, run.id, run.who, run.what));
    }
    Ok(ExitCode::SUCCESS)
}

fn as_json(run: &RunSummary) -> serde_json::Value {
    json!({ "id": run.id.to_string(), "at": run.at, "who": run.who, "what": run.what, "last": run.last, "result": run.result })
}

fn shown(event: &Event) -> String {
    let what = match &event.kind {
        EventKind::Started { who, what } => format!("{who} applies {what}"),
        EventKind::StepStarted { id, title } => format!("{id}  {title}"),
        EventKind::StepEnded { id, outcome } => match outcome {
            Outcome::Done => format!("{id}  done"),
            Outcome::Unchanged => format!("{id}  so already"),
            Outcome::Waiting(what) => format!("{id}  waits: {what}"),
            Outcome::Failed(why) => format!("{id}  FAILED: {why}"),
        },
        EventKind::NodeLost { node, why } => format!("{node}  LOST: {why}"),
        EventKind::Ended { result: RunResult::Done } => "all is done".to_owned(),
        EventKind::Ended { result: RunResult::Incomplete(why) } => why.clone(),
        EventKind::Other => "something that a newer stead wrote down".to_owned(),
    };
    format!("{}  {what}", event.at)
}
