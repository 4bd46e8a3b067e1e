//! How fast stead and its lab are here, measured: one run, one table.

mod ansible;
mod chain;
mod cluster;
mod lab;
mod memory;
mod outage;
mod planner;
mod table;
mod wanted;

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::exec::Program;
use crate::lab_run::LabRun;
use crate::workspace::Workspace;
use cluster::Cluster;
use table::Table;

/// What all parts of the measurement need.
struct Bench<'a> {
    workspace: &'a Workspace,
    /// The release build.
    stead: PathBuf,
    run: &'a LabRun,
}

/// Measures everything with a release build. A part that fails doesn't keep the others from being measured.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    workspace.cargo().args(["build", "--package", "stead", "--release"]).run()?;
    let stead = workspace.release();
    let run = LabRun::start(workspace, &stead)?;
    let bench = Bench { workspace, stead, run: &run };
    let mut table = Table::default();
    let mut failed = Vec::new();
    for (name, part) in PARTS {
        // Ctrl-C has ended what ran, which is why it failed; nothing is begun after it.
        if run.interrupted() {
            failed.push(name);
        } else if let Err(error) = part(&bench, &mut table) {
            eprintln!("error: {name}: {error:#}");
            failed.push(name);
        }
    }
    run.finish(!failed.is_empty())?;
    print!("{table}");
    if !failed.is_empty() {
        bail!("not measured, or not whole: {}", failed.join("; "));
    }
    Ok(())
}

type Part = fn(&Bench<'_>, &mut Table) -> Result<()>;

/// The quick ones first, so that their mistakes are heard of soon.
const PARTS: [(&str, Part); 4] = [
    ("the release build's size", size),
    ("the planner", planner::measure),
    ("one node of the lab", lab::measure),
    ("a cluster of three nodes", three_nodes),
];

fn size(bench: &Bench<'_>, table: &mut Table) -> Result<()> {
    let file = fs::metadata(&bench.stead).with_context(|| format!("could not look at {}", bench.stead.display()))?;
    table.add("stead, the program", "MiB", mebibytes(file.len() >> 10));
    Ok(())
}

fn three_nodes(bench: &Bench<'_>, table: &mut Table) -> Result<()> {
    let cluster = Cluster::build(bench)?;
    chain::measure(&cluster, table)?;
    memory::measure(&cluster, table)?;
    outage::measure(&cluster, table)?;
    ansible::measure(bench, &cluster, table)
}

/// Of kibibytes, in which the kernel tells memory.
fn mebibytes(kibibytes: u64) -> f64 {
    // No program has 2^52 of them.
    #[allow(clippy::cast_precision_loss, reason = "as above")]
    let kibibytes = kibibytes as f64;
    kibibytes / 1024.0
}

/// How long a command takes, which must end well.
fn timed(program: Program) -> Result<Duration> {
    let start = Instant::now();
    program.quiet().run()?;
    Ok(start.elapsed())
}
