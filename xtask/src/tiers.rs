//! The tiers of tests, one after the other, and what came of them.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::counts::Counts;
use crate::gate::Lists;
use crate::lab_run::{LabRun, RUN_DIR};
use crate::nextest::{self, Profile};
use crate::passed::Passed;
use crate::workspace::Workspace;
use crate::{lint, tools};

/// Which tests to run.
pub(crate) enum Selection {
    /// Those that need no lab.
    Fast,
    /// Lint, the fast tests, and the lab's fixed list.
    Gate,
    /// The gate and the lab's long list, without what passed on this tree unless `fresh`.
    All {
        /// Whether to start over.
        fresh: bool,
    },
    /// The lab's cases whose names contain one of these.
    Cases(Vec<String>),
}

/// Runs the tests and says how they went; the last line counts them, whatever happened.
pub(crate) fn run(workspace: &Workspace, selection: &Selection) -> ExitCode {
    let mut report = Report::default();
    let result = tiers(workspace, selection, &mut report);
    if let Err(error) = &result {
        eprintln!("error: {error:#}");
    }
    report.print();
    if result.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn tiers(workspace: &Workspace, selection: &Selection, report: &mut Report) -> Result<()> {
    if matches!(selection, Selection::Gate | Selection::All { .. }) {
        report.time("lint", None, || lint::run(workspace))?;
    }
    tools::NEXTEST.ensure()?;
    // Everything is built before anything runs: a compiler beside a lab would take its time limits.
    let listed = report.time("build", None, || nextest::build_and_list(workspace))?;
    let wanted = match selection {
        Selection::Cases(parts) => {
            let mut names: Vec<String> =
                listed.into_iter().filter(|case| !case.ignored).map(|case| case.name).collect();
            names.retain(|name| parts.iter().any(|part| name.contains(part)));
            names
        }
        Selection::Fast => {
            Lists::read(workspace, &listed)?;
            Vec::new()
        }
        Selection::Gate => Lists::read(workspace, &listed)?.gate,
        Selection::All { .. } => {
            let lists = Lists::read(workspace, &listed)?;
            [lists.gate, lists.all_only].concat()
        }
    };

    if !matches!(selection, Selection::Cases(_)) {
        report.tier("fast", Some(FAST_BUDGET), |tier| fast(workspace, tier))?;
    }
    match selection {
        Selection::Fast => Ok(()),
        Selection::Cases(parts) if wanted.is_empty() => {
            bail!("no case of the lab has a name with {}", parts.join(" or "))
        }
        Selection::Gate => {
            in_lab(workspace, report, Some(LAB_BUDGET), |run, tier| at_once(workspace, run, &wanted, tier))
        }
        Selection::Cases(_) => in_lab(workspace, report, None, |run, tier| at_once(workspace, run, &wanted, tier)),
        Selection::All { fresh } => {
            in_lab(workspace, report, None, |run, tier| one_by_one(workspace, run, &wanted, *fresh, tier))
        }
    }
}

/// The fast tier's promise.
const FAST_BUDGET: Duration = Duration::from_mins(2);

/// What is left of the gate's 45 minutes after lint, build and the fast tests.
const LAB_BUDGET: Duration = Duration::from_mins(40);

fn fast(workspace: &Workspace, tier: &mut Tier) -> Result<()> {
    let outcome = nextest::run(workspace, Profile::Fast, None, None)?;
    tier.counts += outcome.results.counts();
    if !outcome.well {
        bail!("tests failed");
    }
    Ok(())
}

/// Runs `work` in a run of the lab, and takes its labs down however it ends.
fn in_lab(
    workspace: &Workspace,
    report: &mut Report,
    budget: Option<Duration>,
    work: impl FnOnce(&LabRun, &mut Tier) -> Result<()>,
) -> Result<()> {
    let run = LabRun::start(workspace, &workspace.stead())?;
    let result = report.tier("lab", budget, |tier| work(&run, tier));
    let finished = report.time("lab down", None, || run.finish(result.is_err()));
    match (result, finished) {
        // What failed first is the error; what failed while tidying up is said too.
        (Err(error), Err(tidying)) => Err(error.context(format!("and afterwards: {tidying:#}"))),
        (result, finished) => result.and(finished),
    }
}

fn at_once(workspace: &Workspace, run: &LabRun, cases: &[String], tier: &mut Tier) -> Result<()> {
    let outcome = nextest::run(workspace, Profile::Lab, Some(cases), Some((RUN_DIR, run.folder())))?;
    tier.counts += outcome.results.counts();
    tier.cases.extend(outcome.results.times().map(|(case, took)| (case.to_owned(), took)));
    // A case that didn't run is no case that passed, whatever nextest says.
    let missed: Vec<&str> = cases.iter().map(String::as_str).filter(|case| !outcome.results.passed(case)).collect();
    if run.interrupted() {
        bail!("interrupted");
    }
    if !missed.is_empty() {
        bail!("cases of the lab that did not pass:\n  {}", missed.join("\n  "));
    }
    if !outcome.well {
        bail!("nextest failed, though every case passed");
    }
    Ok(())
}

fn one_by_one(workspace: &Workspace, run: &LabRun, cases: &[String], fresh: bool, tier: &mut Tier) -> Result<()> {
    let mut passed = Passed::open(workspace, fresh)?;
    let mut missed = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        if passed.contains(case) {
            tier.counts.skipped += 1;
            continue;
        }
        eprintln!("case {} of {}: {case}", number + 1, cases.len());
        let result = at_once(workspace, run, std::slice::from_ref(case), tier);
        if run.interrupted() {
            return result.context("stopped; the next run goes on from here");
        }
        match result {
            Ok(()) => passed.add(case)?,
            // Its output has just gone by; at the end the names are what one looks for.
            Err(_) => missed.push(case.as_str()),
        }
    }
    if tier.counts.skipped > 0 {
        eprintln!("skipped cases passed on this very tree before; --fresh runs them again");
    }
    if !missed.is_empty() {
        bail!("cases of the lab that did not pass:\n  {}", missed.join("\n  "));
    }
    Ok(())
}

/// What the tiers took and came to.
#[derive(Default)]
struct Report {
    rows: Vec<Row>,
    counts: Counts,
    cases: Vec<(String, Duration)>,
}

/// What one tier came to.
#[derive(Default)]
struct Tier {
    counts: Counts,
    /// What each of the lab's cases took.
    cases: Vec<(String, Duration)>,
}

struct Row {
    name: &'static str,
    took: Duration,
    budget: Option<Duration>,
}

impl Report {
    fn time<T>(&mut self, name: &'static str, budget: Option<Duration>, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let start = Instant::now();
        let result = work();
        self.rows.push(Row { name, took: start.elapsed(), budget });
        result.context(name)
    }

    fn tier(
        &mut self,
        name: &'static str,
        budget: Option<Duration>,
        work: impl FnOnce(&mut Tier) -> Result<()>,
    ) -> Result<()> {
        let mut tier = Tier::default();
        let result = self.time(name, budget, || work(&mut tier));
        self.counts += tier.counts;
        self.cases.append(&mut tier.cases);
        result
    }

    fn print(&self) {
        println!();
        let mut cases: Vec<_> = self.cases.iter().collect();
        cases.sort_by_key(|(_, took)| *took);
        for (case, took) in cases {
            println!("{:>8.1} s  {case}", took.as_secs_f64());
        }
        println!();
        for row in &self.rows {
            println!("{row}");
        }
        println!("{}", self.counts);
    }
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:<10} {:>8.1} s", self.name, self.took.as_secs_f64())?;
        match self.budget {
            Some(budget) if self.took > budget => write!(f, "  more than its {} s", budget.as_secs()),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tier_that_took_too_long_says_so() {
        let row = |took| Row { name: "fast", took: Duration::from_millis(took), budget: Some(FAST_BUDGET) };
        assert_eq!(row(61_500).to_string(), "fast           61.5 s");
        assert_eq!(row(121_000).to_string(), "fast          121.0 s  more than its 120 s");
    }

    #[test]
    fn a_tier_that_fails_still_counts() {
        let mut report = Report::default();
        let result = report.tier("fast", None, |tier| {
            tier.counts.failed += 1;
            bail!("tests failed")
        });
        assert_eq!(format!("{:#}", result.unwrap_err()), "fast: tests failed");
        assert_eq!((report.counts.failed, report.rows.len()), (1, 1));
    }
}
