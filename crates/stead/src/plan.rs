//! `stead plan`: the difference between what is asked and what is, and what would be done about it.

use std::process::ExitCode;

use anyhow::Context;
use camino::Utf8PathBuf;
use clap::Args;
use stead_node::protocol::Role;
use stead_plan::plan::{Detail, Plan};

use crate::cluster::{Access, Cluster};
use crate::print::Printer;
use crate::run;

/// What is planned, and how it is told.
#[derive(Debug, Args)]
#[command(
    after_help = "Codes: 0 nothing to do; 1 it can't be told or done; 2 something to do; 3 a node didn't answer.\n\n\
                        Example: stead plan --out tonight.plan && stead apply --plan tonight.plan"
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    access: Access,
    /// Everything as JSON, for programs.
    #[arg(long)]
    json: bool,
    /// Also every file that would be written, whole.
    #[arg(long, conflicts_with = "json")]
    texts: bool,
    /// Keep the plan in this file, for `stead apply --plan`.
    #[arg(long, value_name = "FILE")]
    out: Option<Utf8PathBuf>,
}

/// Something differs.
const DIFFERS: u8 = 2;

/// Somebody didn't answer.
const UNKNOWN: u8 = 3;

pub(crate) fn run(arguments: &Arguments, printer: &mut Printer) -> anyhow::Result<ExitCode> {
    let Some(cluster) = Cluster::open(&arguments.access, printer)? else { return Ok(ExitCode::FAILURE) };
    let plan = run::to_its_end(async { Ok(cluster.plan(&cluster.look(Role::Observe, printer).await?.inventory)) })?;
    if let Some(path) = &arguments.out {
        let text = serde_json::to_string_pretty(&plan)?;
        std::fs::write(path, text + "\n").with_context(|| format!("could not write the plan to {path}"))?;
    }
    if arguments.json {
        printer.line(serde_json::to_string_pretty(&plan)?);
    } else {
        let detail = if arguments.texts { Detail::Texts } else { Detail::Steps };
        show(&plan, detail, printer);
        run::to_its_end(cluster.explain_refusals(&plan, printer))?;
    }
    Ok(code(&plan))
}

/// Prints a plan for a person.
pub(crate) fn show(plan: &Plan, detail: Detail, printer: &mut Printer) {
    let text = plan.render(detail, &|tone, text| printer.paint(tone, text));
    printer.line(text.trim_end());
}

/// What a plan means as an exit status.
pub(crate) fn code(plan: &Plan) -> ExitCode {
    if !plan.refusals.is_empty() {
        ExitCode::FAILURE
    } else if !plan.unknown.is_empty() {
        ExitCode::from(UNKNOWN)
    } else if plan.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(DIFFERS)
    }
}
