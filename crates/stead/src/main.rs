//! `stead`: three ordinary PCs, one personal cluster, one file.

mod ask;
mod check;
mod cluster_file;
mod identities;
mod keys;
mod lab;
mod print;
mod schema;

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
    /// The cluster file: every mistake at once, each with its place and what to do.
    Check(check::Arguments),
    /// The shape of the cluster file: a JSON Schema for editors, or every key in words.
    Schema(schema::Arguments),
    /// Who can open the cluster's sealed secrets, and the recovery sheet.
    Keys(keys::Arguments),
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
    let result = match arguments.command {
        Command::Check(arguments) => check::run(&arguments, &mut printer),
        Command::Schema(arguments) => schema::run(&arguments, &mut printer).map(|()| ExitCode::SUCCESS),
        Command::Keys(arguments) => keys::run(&arguments, &mut printer),
        Command::Lab(arguments) => lab::run(arguments, &mut printer),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            printer.error(&error, hint(&error).as_deref());
            if error.is::<ask::Nobody>() { ExitCode::from(USAGE) } else { ExitCode::FAILURE }
        }
    }
}

/// What to do next, where the error knows.
fn hint(error: &anyhow::Error) -> Option<String> {
    let of_lab = error.downcast_ref::<stead_lab::LabError>().and_then(stead_lab::LabError::hint);
    let of_secrets =
        error.downcast_ref::<stead_apply::secrets::SecretsError>().and_then(stead_apply::secrets::SecretsError::hint);
    let nobody = error.downcast_ref::<ask::Nobody>().map(|nobody| nobody.next.to_owned());
    let advised = error.downcast_ref::<Advised>().map(|advised| advised.next.clone());
    of_lab
        .or(of_secrets)
        .or(nobody)
        .or(advised)
        .or_else(|| error.downcast_ref::<Hinted>().map(|hinted| hinted.hint.to_owned()))
}

/// An error of the system's, and what to do next.
#[derive(Debug)]
struct Hinted {
    source: std::io::Error,
    hint: &'static str,
}

impl Hinted {
    fn new(source: std::io::Error, hint: &'static str) -> Self {
        Self { source, hint }
    }
}

impl std::fmt::Display for Hinted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.source.fmt(f)
    }
}

impl std::error::Error for Hinted {}

/// An error of the user's, and what to do next.
#[derive(Debug)]
struct Advised {
    what: String,
    next: String,
}

impl Advised {
    fn new(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self { what: what.into(), next: next.into() }
    }
}

impl std::fmt::Display for Advised {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Advised {}
