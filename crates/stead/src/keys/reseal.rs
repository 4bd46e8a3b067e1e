use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use stead_spec::words::count;

use super::Changing;
use super::files::Files;
use crate::print::Printer;

#[derive(Debug, Args)]
pub(super) struct Reseal {
    #[command(flatten)]
    changing: Changing,
}

pub(super) fn run(arguments: &Reseal, printer: &mut Printer) -> Result<ExitCode> {
    let files = Files::read(&arguments.changing.file, printer)?;
    let change = files.unedited();
    let stale = files.stale(&change)?;
    let Some((names, _)) = &stale else {
        printer.progress("nothing to do");
        return Ok(ExitCode::SUCCESS);
    };
    let count = count(names.len(), "secret");
    files.show_stale(stale.as_ref(), printer);
    if files.carry_out(change, stale, &arguments.changing, printer)? {
        printer.progress(format_args!("done: {count} sealed anew"));
    }
    Ok(ExitCode::SUCCESS)
}
