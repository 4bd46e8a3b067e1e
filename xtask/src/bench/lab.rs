//! What every test of the lab waits for.

use std::time::Duration;

use anyhow::Result;

use super::table::Table;
use super::{Bench, timed};
use crate::exec::Program;

/// How often each thing is measured: enough to see by how much it varies, and few enough for five minutes.
const ROUNDS: usize = 3;

/// Measures a node's boot, and taking and restoring a picture of it.
pub(super) fn measure(bench: &Bench<'_>, table: &mut Table) -> Result<()> {
    let dir = bench.run.folder().join("one");
    rounds(table, |command| {
        timed(Program::new(&bench.stead).args(["lab", command[0], "--dir"]).arg(&dir).args(&command[1..]))
    })
}

fn rounds(table: &mut Table, lab: impl Fn(&[&str]) -> Result<Duration>) -> Result<()> {
    let up = ["up", "--nodes", "1"];
    // The image is built, when it isn't cached, before anything is measured; its time is the mirror's.
    lab(&up)?;
    lab(&["down"])?;
    for _ in 0..ROUNDS {
        let nothing = ["ssh", "node1", "true"];
        table.time("lab: boot of one node until ssh answers", lab(&up)? + lab(&nothing)?);
        table.time("lab: snapshot save", lab(&["snapshot", "save", "bench"])?);
        table.time("lab: snapshot load", lab(&["snapshot", "load", "bench"])?);
        table.time("lab: ssh, a command that does nothing", lab(&nothing)?);
        table.time("lab: down", lab(&["down"])?);
    }
    Ok(())
}
