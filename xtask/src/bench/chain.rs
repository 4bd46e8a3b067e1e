//! How long the first apply took, beside its longest chain: of steps of which each waits for the one before, with the times
//! that their own tools took. Had every node as many hands as it liked, no apply could be faster.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::cluster::Cluster;
use super::table::Table;

/// Adds the time of the apply, that of the chain, and how often the one goes into the other.
pub(super) fn measure(cluster: &Cluster, table: &mut Table) -> Result<()> {
    let run = Run::read(&cluster.first_run()?)?;
    let chain = longest(&cluster.first_plan, &run.took)?;
    table.add("blank → volumes: apply", "s", seconds(run.all));
    table.add("its longest chain of steps", "s", seconds(chain));
    #[allow(clippy::cast_precision_loss, reason = "hours in milliseconds fit")]
    let ratio = run.all as f64 / chain as f64;
    table.add("apply / chain", "×", ratio);
    table.aim("apply / chain", "≤ 1.2");
    Ok(())
}

#[allow(clippy::cast_precision_loss, reason = "hours in milliseconds fit")]
fn seconds(milliseconds: u64) -> f64 {
    milliseconds as f64 / 1000.0
}

/// What the journal of an apply says about time, in milliseconds.
struct Run {
    all: u64,
    took: BTreeMap<String, u64>,
}

/// As much of a line of it as matters here.
#[derive(Deserialize)]
struct Line {
    at: u64,
    event: String,
    id: Option<String>,
}

impl Run {
    fn read(journal: &str) -> Result<Self> {
        let lines = journal.lines().map(serde_json::from_str).collect::<Result<Vec<Line>, _>>();
        let lines = lines.context("the journal of the first apply is not as expected")?;
        let (first, last) = (lines.first().map_or(0, |line| line.at), lines.last().map_or(0, |line| line.at));
        let mut started = BTreeMap::new();
        let mut took = BTreeMap::new();
        for line in lines {
            match (line.event.as_str(), line.id) {
                ("step_started", Some(id)) => drop(started.insert(id, line.at)),
                ("step_ended", Some(id)) => {
                    let start = started.get(&id).with_context(|| format!("{id} ended, and never began"))?;
                    took.insert(id, line.at - start);
                }
                _ => {}
            }
        }
        ensure!(!took.is_empty(), "the journal of the first apply tells of no step");
        Ok(Self { all: last - first, took })
    }
}

/// As much of a plan as matters here.
#[derive(Deserialize)]
struct Plan {
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    id: String,
    #[serde(default)]
    after: Vec<String>,
}

/// The time of the longest chain of a plan's steps. They stand in it after those they wait for.
fn longest(plan: &str, took: &BTreeMap<String, u64>) -> Result<u64> {
    let plan: Plan = serde_json::from_str(plan).context("the plan is not as expected")?;
    let mut until: BTreeMap<String, u64> = BTreeMap::new();
    for step in plan.steps {
        let before = step.after.iter().filter_map(|before| until.get(before)).max().copied().unwrap_or_default();
        let own = took.get(&step.id).with_context(|| format!("the first apply never came to {}", step.id))?;
        until.insert(step.id, before + own);
    }
    until.into_values().max().context("the plan has no steps")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_chain_is_found_in_a_journal_and_a_plan() {
        let journal = r#"{"at":1000,"event":"started","who":"me","what":"3 steps"}
{"at":1001,"event":"step_started","id":"a"}
{"at":1001,"event":"step_started","id":"b"}
{"at":1031,"event":"step_ended","id":"b","outcome":"done"}
{"at":1101,"event":"step_ended","id":"a","outcome":"done"}
{"at":1101,"event":"step_started","id":"c"}
{"at":1151,"event":"step_ended","id":"c","outcome":"done"}
{"at":1160,"event":"ended"}"#;
        let run = Run::read(journal).unwrap();
        assert_eq!(run.all, 160);
        let plan = r#"{"steps":[{"id":"a"},{"id":"b"},{"id":"c","after":["b"]}]}"#;
        assert_eq!(longest(plan, &run.took).unwrap(), 100, "c waits for b alone");
        let plan = r#"{"steps":[{"id":"a"},{"id":"b"},{"id":"c","after":["a","b"]}]}"#;
        assert_eq!(longest(plan, &run.took).unwrap(), 150);
        let plan = r#"{"steps":[{"id":"d"}]}"#;
        assert!(longest(plan, &run.took).unwrap_err().to_string().contains("never came to d"));
    }
}
