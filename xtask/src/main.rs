//! Everything a developer runs: `./x` makes sure of what the host needs and calls this as `cargo xtask`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "xtask's work is to run things and say how they went")]

mod bench;
mod counts;
mod demo;
mod exec;
mod fuzz;
mod gate;
mod generate;
mod invariants;
mod lab_run;
mod lint;
mod nextest;
mod passed;
mod tiers;
mod tools;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use tiers::Selection;
use workspace::Workspace;

/// Everything a developer runs.
#[derive(Parser)]
#[command(name = "./x", bin_name = "./x")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build `stead` for use, and put it at `target/stead`.
    Build,
    /// Bring up a whole cluster on this one machine, and say what can be pulled.
    Demo,
    /// Run the gate: lint, the fast tests, and the lab's fixed list of cases.
    Test(Test),
    /// Check format, clippy, licences and invariants.
    Lint,
    /// Measure `stead plan` against Ansible, the planner, the agent's memory, stead's size, and the lab.
    Bench,
    /// Give the cluster file's parser files that nobody would write, for ten minutes.
    Fuzz {
        /// For how long.
        #[arg(long, value_name = "N", default_value_t = 600)]
        seconds: u32,
    },
    /// Write what is made from the code: the cluster file's JSON Schema and reference.
    Generate,
    /// Check what the compiler can't: which crate may do what, file sizes, links.
    CheckInvariants,
}

#[derive(clap::Args)]
struct Test {
    /// Only the tests that need no lab: two minutes.
    #[arg(long, conflicts_with_all = ["all", "case"])]
    fast: bool,
    /// Also the lab's long list; what passed on this very tree is not run again.
    #[arg(long, conflicts_with = "case")]
    all: bool,
    /// With --all: run again what passed already.
    #[arg(long, requires = "all")]
    fresh: bool,
    /// Only the lab's cases whose names contain NAME, without lint and the fast tests; can be given more than once.
    #[arg(long, value_name = "NAME")]
    case: Vec<String>,
}

impl Test {
    fn selection(self) -> Selection {
        match self {
            Self { fast: true, .. } => Selection::Fast,
            Self { all: true, fresh, .. } => Selection::All { fresh },
            Self { case, .. } if !case.is_empty() => Selection::Cases(case),
            Self { .. } => Selection::Gate,
        }
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let well = |()| ExitCode::SUCCESS;
    let result = Workspace::find().and_then(|workspace| match cli.command {
        Command::Build => build(&workspace).map(well),
        Command::Demo => demo::run(&workspace).map(well),
        Command::Test(test) => Ok(tiers::run(&workspace, &test.selection())),
        Command::Lint => lint::run(&workspace).map(well),
        Command::Bench => bench::run(&workspace).map(well),
        Command::Fuzz { seconds } => fuzz::run(&workspace, seconds).map(well),
        Command::Generate => generate::run(&workspace).map(well),
        Command::CheckInvariants => invariants::run(&workspace).map(well),
    });
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

/// A release build, where the README says that it is.
fn build(workspace: &Workspace) -> anyhow::Result<()> {
    workspace.cargo().args(["build", "--package", "stead", "--release"]).run()?;
    let path = workspace.link(&workspace.release())?;
    println!("{}", path.display());
    Ok(())
}
