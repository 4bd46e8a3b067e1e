//! `stead disk`: one disk of a node.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use stead_plan::disks::errands;
use stead_plan::inventory::Inventory;
use stead_plan::plan::Asked;
use stead_spec::units::{DiskId, NodeName};

use crate::errand::Errand;
use crate::print::Printer;

/// What is done with a disk.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Take everything off a disk that was a cluster's, so that it is blank. Its serial has to be typed.
    Wipe(Wipe),
}

/// Which disk.
#[derive(Debug, Args)]
#[command(after_help = "Codes: 0 done; 1 refused, or it failed; 3 the node didn't answer.\n\n\
                        Example: stead disk wipe node2 ata-EXAMPLE_HDD_4TB_S2")]
struct Wipe {
    /// The node that it is in.
    node: NodeName,
    /// Its name in /dev/disk/by-id.
    disk: DiskId,
    #[command(flatten)]
    errand: Errand,
}

pub(crate) fn run(arguments: &Arguments, printer: &mut Printer) -> anyhow::Result<ExitCode> {
    let Command::Wipe(Wipe { node, disk, errand }) = &arguments.command;
    let plan = |asked: &Asked<'_>, inventory: &Inventory| errands::wipe(asked, inventory, node, disk);
    errand.run(Some((node, disk)), plan, "done: it is blank", printer)
}
