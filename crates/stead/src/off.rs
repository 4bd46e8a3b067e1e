//! `stead off`: the whole cluster, in order.

use std::process::ExitCode;

use clap::Args;
use stead_plan::inventory::Inventory;
use stead_plan::machines::errands;
use stead_plan::plan::Asked;

use crate::errand::Errand;
use crate::print::Printer;

/// Which cluster.
#[derive(Debug, Args)]
#[command(after_help = "Press their buttons to have them on again: machines start by themselves then.\n\n\
                        Codes: 0 they go off; 1 refused, or it failed.\n\n\
                        Example: stead off")]
pub(crate) struct Arguments {
    #[command(flatten)]
    errand: Errand,
}

pub(crate) fn run(arguments: &Arguments, printer: &mut Printer) -> anyhow::Result<ExitCode> {
    let plan = |asked: &Asked<'_>, inventory: &Inventory| errands::off(asked, inventory);
    arguments.errand.run(None, plan, "all machines are off, and all nodes go off now", printer)
}
