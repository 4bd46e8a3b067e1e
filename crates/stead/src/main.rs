//! `stead`: three ordinary PCs, one personal cluster, one file.

mod adopt;
mod agent;
mod apply;
mod ask;
mod check;
mod cluster;
mod cluster_file;
mod difference;
mod disk;
mod errand;
mod identities;
mod init;
mod keys;
mod lab;
mod log;
mod machine;
mod network;
mod node;
mod off;
mod plan;
mod print;
mod probe;
mod progress;
mod reboot;
mod run;
mod schema;

mod status;
mod way_back;

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
    /// Look at PCs, and write a cluster file to begin with. Changes nothing.
    Init(init::Arguments),
    /// The cluster file: every mistake at once, each with its place and what to do.
    Check(check::Arguments),
    /// What differs from the cluster file, and what would be done about it. Changes nothing.
    Plan(plan::Arguments),
    /// Do what the plan says, and look whether it is so.
    Apply(apply::Arguments),
    /// How the cluster does: what is wrong, the worst first, each with its next step. Changes nothing.
    Status(status::Arguments),
    /// Fetch the cluster file and the sealed secrets from a node: a lost laptop loses nothing.
    Adopt(adopt::Arguments),
    /// What was applied from this computer, and how it went.
    Log(log::Arguments),
    /// Virtual machines.
    #[command(alias = "vm")]
    Machine(machine::Arguments),
    /// One PC.
    Node(node::Arguments),
    /// Shut down all machines, and then all nodes.
    Off(off::Arguments),
    /// One disk of a node.
    Disk(disk::Arguments),
    /// The switches, and what goes over them.
    Network(network::Arguments),
    /// The shape of the cluster file: a JSON Schema for editors, or every key in words.
    Schema(schema::Arguments),
    /// Who can open the cluster's sealed secrets, and the recovery sheet.
    Keys(keys::Arguments),
    /// A virtual cluster on this one machine, with every plug to pull.
    Lab(lab::Arguments),
    /// This program on a node, started by stead over ssh.
    #[command(hide = true)]
    Agent,
    /// Undo a step on this node that nobody has confirmed, started by systemd.
    #[command(hide = true)]
    WayBack(way_back::Arguments),
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
        Command::Init(arguments) => init::run(&arguments, &mut printer),
        Command::Plan(arguments) => plan::run(&arguments, &mut printer),
        Command::Apply(arguments) => apply::run(&arguments, &mut printer),
        Command::Status(arguments) => status::run(&arguments, &mut printer),
        Command::Adopt(arguments) => adopt::run(&arguments, &mut printer),
        Command::Log(arguments) => log::run(&arguments, &mut printer),
        Command::Machine(arguments) => machine::run(&arguments, &mut printer),
        Command::Off(arguments) => off::run(&arguments, &mut printer),
        Command::Node(arguments) => node::run(&arguments, &mut printer),
        Command::Disk(arguments) => disk::run(&arguments, &mut printer),
        Command::Network(arguments) => network::run(&arguments, &mut printer),
        Command::Agent => agent::run(&mut printer),
        Command::WayBack(arguments) => way_back::run(&arguments, &mut printer),
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
    let lost = error.downcast_ref::<stead_apply::reach::Lost>().and_then(|lost| lost.hint.clone());
    of_lab
        .or(of_secrets)
        .or(lost)
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
