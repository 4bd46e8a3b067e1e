//! How fast the lab is here: what every test of the lab waits for, measured.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::exec::Program;
use crate::lab_run::LabRun;
use crate::workspace::Workspace;

/// How often each thing is measured: enough to see by how much it varies, and few enough for five minutes.
const ROUNDS: usize = 3;

/// Measures a node's boot, and taking and restoring a picture of it, with a release build.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    workspace.cargo().args(["build", "--package", "stead", "--release"]).run()?;
    let stead = workspace.release();
    let run = LabRun::start(workspace, &stead)?;
    let result = measure(|name, command| {
        let dir = run.folder().join("bench");
        let program = Program::new(&stead).args(["lab", command[0], "--dir"]).arg(&dir).args(&command[1..]);
        let start = Instant::now();
        program.quiet().run()?;
        Ok((name, start.elapsed()))
    });
    run.finish(result.is_err())?;
    print_table(&result?);
    Ok(())
}

type Measured = (&'static str, Duration);

fn measure(lab: impl Fn(&'static str, &[&str]) -> Result<Measured>) -> Result<Vec<Measured>> {
    let up = ["up", "--nodes", "1"];
    // The image is built, when it isn't cached, before anything is measured; its time is the mirror's.
    lab("", &up)?;
    lab("", &["down"])?;
    let mut measured = Vec::new();
    for _ in 0..ROUNDS {
        let (name, booted) = lab("boot of one node until ssh answers", &up)?;
        let (_, answered) = lab("", &["ssh", "node1", "true"])?;
        measured.push((name, booted + answered));
        measured.push(lab("snapshot save", &["snapshot", "save", "bench"])?);
        measured.push(lab("snapshot load", &["snapshot", "load", "bench"])?);
        measured.push(lab("ssh, a command that does nothing", &["ssh", "node1", "true"])?);
        measured.push(lab("down", &["down"])?);
    }
    Ok(measured)
}

fn print_table(measured: &[Measured]) {
    println!("{:<36} {:>8} {:>8} {:>8}", "seconds", "least", "median", "most");
    for (name, times) in by_name(measured) {
        let [least, median, most] = [0, times.len() / 2, times.len() - 1].map(|at| times[at].as_secs_f64());
        println!("{name:<36} {least:>8.2} {median:>8.2} {most:>8.2}");
    }
}

/// The times of each thing, sorted, in the order in which the things were first measured.
fn by_name(measured: &[Measured]) -> Vec<(&'static str, Vec<Duration>)> {
    let mut rows: Vec<(&'static str, Vec<Duration>)> = Vec::new();
    for &(name, time) in measured {
        match rows.iter_mut().find(|(row, _)| *row == name) {
            Some((_, times)) => times.push(time),
            None => rows.push((name, vec![time])),
        }
    }
    for (_, times) in &mut rows {
        times.sort();
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_sorted_by_what_was_measured() {
        let second = Duration::from_secs;
        let rows = by_name(&[("boot", second(3)), ("down", second(1)), ("boot", second(2))]);
        assert_eq!(rows, [("boot", vec![second(2), second(3)]), ("down", vec![second(1)])]);
    }
}
