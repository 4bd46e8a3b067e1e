//! `stead`: three ordinary PCs, one personal cluster, one file.

mod lab;
mod print;

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

use print::Printer;

/// Three ordinary PCs, one personal cluster, one file.
#[derive(Debug, Parser)]
#[command(name = "stead", version, max_term_width = 110)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// A virtual cluster on this one machine, with every plug to pull.
    Lab(lab::Arguments),
}

/// Wrong usage, as in DESIGN.md; clap's own number for it is 2, which means "differs" here.
const USAGE: u8 = 64;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let asked_for = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            // Nothing can be said when the terminal is gone.
            let _ = error.print();
            return if asked_for { ExitCode::SUCCESS } else { ExitCode::from(USAGE) };
        }
    };
    let mut printer = Printer::default();
    let Command::Lab(arguments) = arguments.command;
    match lab::run(arguments, &mut printer) {
        Ok(code) => code,
        Err(error) => {
            let hint = error.downcast_ref::<stead_lab::LabError>().and_then(stead_lab::LabError::hint);
            printer.error(&error, hint.as_deref());
            ExitCode::FAILURE
        }
    }
}
