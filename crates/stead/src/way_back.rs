//! `stead way-back`: undoes a step on this node that nobody has confirmed. A timer and a unit of systemd's start it.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use stead_node::place::Place;
use stead_node::way_back::{self, Undoing, WayBackError};

use crate::print::Printer;
use crate::run;

/// When it is undone.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    when: When,
}

#[derive(Debug, Subcommand)]
enum When {
    /// Now, while engines run.
    Undo,
    /// At boot, before they do.
    Boot,
}

pub(crate) fn run(arguments: &Arguments, printer: &mut Printer) -> anyhow::Result<ExitCode> {
    let undoing = run::to_its_end(async {
        let place = Place::node();
        let undoing = match arguments.when {
            When::Undo => way_back::undo_by_itself(&place).await,
            When::Boot => way_back::boot(&place).await,
        };
        undoing.map_err(|error: WayBackError| anyhow::Error::msg(error.told()))
    })?;
    Ok(match undoing {
        Undoing::Nothing => {
            printer.progress("nothing waits to be confirmed");
            ExitCode::SUCCESS
        }
        Undoing::Undone(step, rest) => {
            printer.progress(format_args!("{step}: {}", way_back::told(&rest)));
            if rest.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
    })
}
