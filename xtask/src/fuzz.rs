//! Files that nobody would write, made by the million, in search of one that stead stumbles over.

use anyhow::{Result, bail};

use crate::exec::Program;
use crate::tools;
use crate::workspace::Workspace;

/// A file that takes longer to read than this is a finding too.
const SECONDS_A_FILE: u32 = 10;

/// Runs the fuzzer on the cluster file's parser for so many seconds; what it finds stays in `fuzz/artifacts`.
pub(crate) fn run(workspace: &Workspace, seconds: u32) -> Result<()> {
    if Program::new("rustup").args(["run", "nightly", "rustc", "--version"]).probe().is_none() {
        bail!("fuzzing needs a nightly compiler: rustup toolchain install nightly --profile minimal");
    }
    tools::FUZZ.ensure()?;
    let corpus = workspace.target.join("fuzz-corpus");
    std::fs::create_dir_all(&corpus)?;
    let seeds = ["examples", "crates/stead-spec/tests/cases"].map(|folder| workspace.root.join(folder));
    // stead has no unsafe code, so the address sanitizer would only slow it down.
    let fuzz = ["run", "nightly", "cargo", "fuzz", "run", "--sanitizer", "none", "cluster_file"];
    let limits = [format!("-max_total_time={seconds}"), format!("-timeout={SECONDS_A_FILE}")];
    let limits = limits.into_iter().chain(["-max_len=20000", "-print_final_stats=1"].map(str::to_owned));
    let program = Program::new("rustup").args(fuzz).arg(corpus).args(seeds).arg("--").args(limits);
    program.dir(&workspace.root).env("CARGO_TARGET_DIR", workspace.target.join("fuzz")).run()
}
