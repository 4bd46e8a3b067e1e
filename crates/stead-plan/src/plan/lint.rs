//! What no plan may be. `plan` looks at each of its own with this, so that a mistake in stead stops before a node does.

use std::collections::BTreeSet;
use std::fmt;

use camino::Utf8Path;

use super::{Block, Plan};
use crate::MARK;
use crate::op::{Argument, Command, Op, OutputKind, OutputRef, Write};
use crate::step::{Guard, Step, StepId};
use crate::{machines, volumes};

/// A promise that a plan breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// Which step does.
    pub step: Option<StepId>,
    /// How.
    pub what: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.step {
            Some(step) => write!(f, "the step {step} {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

/// Where stead writes, beside what layers name: nowhere else has a reason yet.
const PLACES: [&str; 2] = ["/etc", "/var/lib/stead"];

/// The longest that a command may take, in seconds. Nobody waits longer for something that hangs.
const LONGEST: u32 = 3_600;

/// Everything in a plan that breaks a promise. Empty for every plan that [`plan`](super::plan) makes.
pub fn lint(plan: &Plan) -> Vec<Breach> {
    let mut found = Vec::new();
    if !plan.steps.is_empty() && !plan.refusals.is_empty() {
        found.push(Breach { step: None, what: "the plan has refusals, and steps all the same".to_owned() });
    }
    let all: BTreeSet<&StepId> = plan.steps.iter().map(|step| &step.id).collect();
    let mut done = BTreeSet::new();
    let mut given = BTreeSet::new();
    for step in &plan.steps {
        let mut wrong = |what: String| found.push(Breach { step: Some(step.id.clone()), what });
        if done.contains(&step.id) {
            wrong("is there twice".to_owned());
        }
        for before in step.after.iter().filter(|before| !done.contains(before)) {
            let how = if all.contains(before) { "not before it" } else { "not in the plan" };
            wrong(format!("comes after {before}, which is {how}"));
        }
        if step.ops.is_empty() {
            wrong("does nothing".to_owned());
        }
        if step.basis.is_empty() {
            wrong("rests on nothing that was observed".to_owned());
        }
        for op in &step.ops {
            one(op, step, &given, &mut wrong);
        }
        formats(step, &mut wrong);
        if step.guard.is_some() && step.beside.is_some() {
            wrong("has a way back, and may be done beside others".to_owned());
        }
        if let Some(guard) = &step.guard {
            way_back(guard, step, &given, &mut wrong);
        }
        given.extend(step.outputs().map(|kind| (&step.id, kind)));
        done.insert(&step.id);
    }
    found
}

fn one(op: &Op, step: &Step, given: &BTreeSet<(&StepId, OutputKind)>, wrong: &mut impl FnMut(String)) {
    match op {
        Op::Run(of) => command(of, step, given, wrong),
        Op::Write(write) => {
            place(&write.path, wrong);
            if !marked(write) {
                wrong(format!("writes {} without stead's mark", write.path));
            }
            if let Some(check) = &write.checked_by {
                command(check, step, given, wrong);
            }
        }
        Op::Link { path, .. } | Op::Folder { path, .. } | Op::MountPoint { path } => place(path, wrong),
        Op::Place { path, content } => {
            place(path, wrong);
            argument(content, step, given, wrong);
        }
        Op::Vacant(_) => {}
        Op::Take { path, .. } => {
            if plain(path, wrong) && !path.starts_with("/run") {
                wrong(format!("takes {path}, which is no file on its way"));
            }
        }
    }
}

/// Nothing is formatted that was not proved vacant in the same step.
fn formats(step: &Step, wrong: &mut impl FnMut(String)) {
    let mut vacant = std::collections::BTreeSet::new();
    for op in &step.ops {
        match op {
            Op::Vacant(proof) => drop(vacant.insert(proof.disk.path())),
            Op::Run(command) if command.formats() => {
                let words = command.arguments.iter().filter_map(|word| match word {
                    Argument::Text(text) => Some(text),
                    _ => None,
                });
                if !words.into_iter().any(|word| vacant.contains(word)) {
                    wrong(format!("runs `{command}`, and doesn't look before whether it may"));
                }
            }
            _ => {}
        }
    }
}

/// A way back leads back: all that is changed is kept, and it is undone in time.
fn way_back(guard: &Guard, step: &Step, given: &BTreeSet<(&StepId, OutputKind)>, wrong: &mut impl FnMut(String)) {
    if guard.within == 0 || guard.within > LONGEST {
        wrong(format!("is undone after {} seconds", guard.within));
    }
    for of in &guard.undo {
        command(of, step, given, wrong);
    }
    for path in guard.keeps.iter().chain(&guard.keeps_for_boot) {
        plain(path, wrong);
    }
    for op in &step.ops {
        if let Op::Write(Write { path, .. }) | Op::Link { path, .. } = op
            && !guard.keeps.contains(path)
        {
            wrong(format!("changes {path}, and its way back doesn't keep it"));
        }
    }
}

fn command(of: &Command, step: &Step, given: &BTreeSet<(&StepId, OutputKind)>, wrong: &mut impl FnMut(String)) {
    if of.timeout == 0 || of.timeout > LONGEST {
        wrong(format!("gives `{of}` {} seconds", of.timeout));
    }
    for word in &of.arguments {
        argument(word, step, given, wrong);
        if let (Argument::Output(output), false) = (word, step.destroys.is_empty()) {
            wrong(format!("destroys, and {output} has a say in what"));
        }
    }
    for output in of.stdin.iter().flat_map(|stdin| &stdin.outputs) {
        known(output, given, wrong);
    }
}

fn argument(word: &Argument, step: &Step, given: &BTreeSet<(&StepId, OutputKind)>, wrong: &mut impl FnMut(String)) {
    match word {
        Argument::Text(_) => {}
        Argument::Output(output) => known(output, given, wrong),
        Argument::Filled(filled) => {
            filled.outputs.iter().for_each(|output| known(output, given, wrong));
            for secret in &filled.secrets {
                wrong(format!(
                    "of {} has the secret {} among its arguments, which every process sees",
                    step.id.node, secret.name
                ));
            }
        }
    }
}

fn known(output: &OutputRef, given: &BTreeSet<(&StepId, OutputKind)>, wrong: &mut impl FnMut(String)) {
    if !given.contains(&(&output.step, output.kind)) {
        wrong(format!("wants {output}, which no step before it finds out"));
    }
}

fn place(path: &Utf8Path, wrong: &mut impl FnMut(String)) {
    if plain(path, wrong)
        && !PLACES.iter().chain(&volumes::PLACES).chain(&machines::PLACES).any(|place| path.starts_with(place))
    {
        wrong(format!("writes {path}, where nothing is stead's"));
    }
}

fn plain(path: &Utf8Path, wrong: &mut impl FnMut(String)) -> bool {
    let plain = path.is_absolute() && path.components().all(|part| !matches!(part.as_str(), ".." | "."));
    let plain = plain && !path.as_str().contains("/./");
    if !plain {
        wrong(format!("has the path {path}, which isn't plain"));
    }
    plain
}

/// Whether a file says whose it is: in its first line, or around stead's lines. JSON has no room for it, nor have an engine's
/// own records.
fn marked(write: &Write) -> bool {
    if write.path.starts_with(volumes::STATE) {
        return true;
    }
    if write.path.extension() == Some("json") {
        return serde_json::from_str::<serde_json::Value>(&write.text).is_ok();
    }
    // What is secret as a whole says it in the secret.
    if write.secrets.first().is_some_and(|secret| write.text == secret.to_string()) {
        return true;
    }
    // A program's first line is the kernel's.
    let first = write.text.lines().find(|line| !line.starts_with("#!"));
    first.is_some_and(|line| line.contains(MARK)) || Block::any_in(&write.text)
}
