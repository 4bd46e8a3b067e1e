//! What opens disks: whether it really does, doing it by hand, and changing the tangs' keys.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use stead_plan::disks::errands;
use stead_plan::inventory::Inventory;
use stead_plan::plan::{Asked, Wishes};
use stead_spec::units::NodeName;

use crate::cluster_file;
use crate::errand::Errand;
use crate::print::Printer;

#[derive(Debug, Args)]
pub(super) struct Test {
    #[command(flatten)]
    errand: Errand,
}

#[derive(Debug, Args)]
pub(super) struct Recover {
    /// Whose disks.
    node: NodeName,
    #[command(flatten)]
    errand: Errand,
}

#[derive(Debug, Args)]
pub(super) struct Rotate {
    /// Of these nodes only [default: all]
    nodes: Vec<NodeName>,
    #[command(flatten)]
    errand: Errand,
}

pub(super) fn test(arguments: &Test, printer: &mut Printer) -> Result<ExitCode> {
    arguments.errand.run(None, errands::test, "done: every key opens its disk", printer)
}

pub(super) fn recover(arguments: &Recover, printer: &mut Printer) -> Result<ExitCode> {
    let plan = |asked: &Asked<'_>, inventory: &Inventory| errands::recover(asked, inventory, &arguments.node);
    arguments.errand.run(None, plan, "done: the disks are open; what stands on them follows by itself", printer)
}

pub(super) fn rotate(arguments: &Rotate, printer: &mut Printer) -> Result<ExitCode> {
    let spec = match arguments.errand.file().read()? {
        Ok((spec, _)) => spec,
        Err(report) => {
            cluster_file::show(&report, printer);
            return Ok(ExitCode::FAILURE);
        }
    };
    if let Some(stranger) = arguments.nodes.iter().find(|node| !spec.nodes().contains_key(*node)) {
        let all: Vec<_> = spec.nodes().keys().map(ToString::to_string).collect();
        return Err(crate::Advised::new(
            format!("there is no node `{stranger}`"),
            format!("name one of {}", all.join(", ")),
        )
        .into());
    }
    let all = || spec.trusted_nodes().map(|node| node.name.clone()).collect();
    let rotate = if arguments.nodes.is_empty() { all() } else { arguments.nodes.iter().cloned().collect() };
    arguments.errand.apply(&Wishes { rotate }, printer)
}
