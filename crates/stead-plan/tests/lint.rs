//! A plan that breaks a promise is found, whatever made it.
#![allow(clippy::unwrap_used, reason = "a test ends there")]

use stead_plan::inventory::{Mode, Release};
use stead_plan::op::{Command, Op, OutputKind, Program, Write};
use stead_plan::plan::{Asked, Plan, Refusal, lint, plan};
use stead_plan::step::{Destruction, Guard, Step, StepId};

use support::{TOML, fresh, spec};

#[allow(dead_code, clippy::unwrap_used, reason = "each test needs a part of it, and ends where that goes wrong")]
mod support;

/// The plan for new nodes, which is sound.
fn sound() -> Plan {
    let (spec, digest) = spec(TOML.as_bytes());
    let plan = plan(
        &Asked { spec: &spec, digest: &digest, ancestors: &[], sums: &support::sums(), trusted: &support::trusted() },
        &fresh(&spec, &Release::Trixie),
    );
    assert_eq!((lint(&plan).as_slice(), plan.refusals.as_slice()), (&[][..], &[][..]));
    assert!(plan.steps.len() > 30, "{}", plan.summary());
    plan
}

/// What is wrong with a plan that was sound, after this change.
fn breaches(change: impl FnOnce(&mut Plan)) -> Vec<String> {
    let mut plan = sound();
    change(&mut plan);
    lint(&plan).iter().map(ToString::to_string).collect()
}

#[track_caller]
fn breaks(what: &str, change: impl FnOnce(&mut Plan)) {
    let breaches = breaches(change);
    assert!(breaches.len() == 1 && breaches[0].contains(what), "{breaches:?}");
}

fn step<'p>(plan: &'p mut Plan, id: &str) -> &'p mut Step {
    let id: StepId = id.parse().unwrap();
    plan.steps.iter_mut().find(|step| step.id == id).unwrap()
}

fn last(plan: &mut Plan) -> &mut Step {
    plan.steps.last_mut().unwrap()
}

fn write(path: &str, text: &str) -> Op {
    Op::Write(Write::new(path, Mode(0o644), text))
}

#[test]
fn steps_and_refusals_together() {
    breaks("refusals", |plan| {
        let (why, way) = ("no".to_owned(), "none".to_owned());
        plan.refusals.push(Refusal { node: None, why, way, overtaken_by: None });
    });
}

#[test]
fn order() {
    breaks("is there twice", |plan| {
        let again = plan.steps.last().unwrap().clone();
        plan.steps.push(again);
    });
    breaks("not in the plan", |plan| {
        last(plan).after.insert("host/node1/nothing".parse().unwrap());
    });
    breaks("not before it", |plan| {
        let last = last(plan).id.clone();
        step(plan, "host/node1/stamp").after.insert(last);
    });
    breaks("not before it", |plan| {
        let own = last(plan).id.clone();
        last(plan).after.insert(own);
    });
}

#[test]
fn steps_without_sense() {
    breaks("does nothing", |plan| last(plan).ops.clear());
    breaks("rests on nothing", |plan| last(plan).basis.clear());
}

#[test]
fn time_outs() {
    for seconds in [0, 3_601] {
        breaks("seconds", |plan| {
            last(plan).ops.push(Op::Run(Program::Dpkg.command().timeout(seconds)));
        });
    }
    breaks("seconds", |plan| {
        let checked_by = Some(Program::Visudo.command().timeout(0));
        let write = Write::new("/etc/x", Mode(0o644), "# Managed by stead\n");
        last(plan).ops.push(Op::Write(Write { checked_by, ..write }));
    });
}

#[test]
fn outputs() {
    let thumbprint = OutputKind::Thumbprint;
    let wants = |plan: &mut Plan| {
        let from = "host/node1/stamp".parse().unwrap();
        last(plan).ops.push(Op::Run(Program::Dpkg.command().output_of(from, thumbprint)));
    };
    let gives = |plan: &mut Plan| {
        let command = Command { output: Some(thumbprint), ..Program::Dpkg.command() };
        step(plan, "host/node1/stamp").ops.push(Op::Run(command));
    };
    breaks("no step before it finds out", wants);
    let both = breaches(|plan| {
        gives(plan);
        wants(plan);
    });
    assert_eq!(both, Vec::<String>::new());
    breaks("has a say in what", |plan| {
        gives(plan);
        wants(plan);
        let (what, typed) = ("all of it".to_owned(), "yes".to_owned());
        last(plan).destroys.push(Destruction { what, typed });
    });
    breaks("no step before it finds out", |plan| {
        let own = last(plan).id.clone();
        let command = Command { output: Some(thumbprint), ..Program::Dpkg.command() };
        last(plan).ops.push(Op::Run(command.output_of(own, thumbprint)));
    });
}

#[test]
fn marks() {
    let block = "mine\n# Managed by stead: x, from here\n# Managed by stead: x, to here\n";
    for (path, text) in [("/etc/a.json", "{\"a\": 1}"), ("/etc/a", "// Managed by stead\n"), ("/etc/a", block)] {
        assert_eq!(breaches(|plan| last(plan).ops.push(write(path, text))), Vec::<String>::new());
    }
    let torn = "mine\n# Managed by stead: x, from here\n";
    for (path, text) in [("/etc/a.json", "no"), ("/etc/a", ""), ("/etc/a", "a\n# Managed by stead\n"), ("/etc/a", torn)]
    {
        breaks("without stead's mark", |plan| last(plan).ops.push(write(path, text)));
    }
}

#[test]
fn places() {
    let text = "# Managed by stead\n";
    for path in ["etc/a", "/etc/../usr/a", "/etc/./a"] {
        breaks("plain", |plan| last(plan).ops.push(write(path, text)));
    }
    for path in ["/usr/bin/a", "/etcetera", "/var/lib/steadfast/a"] {
        breaks("nothing is stead's", |plan| last(plan).ops.push(write(path, text)));
    }
    breaks("nothing is stead's", |plan| {
        last(plan).ops.push(Op::Folder { path: "/usr/x".into(), mode: Mode(0o755) });
    });
    breaks("nothing is stead's", |plan| {
        last(plan).ops.push(Op::Link { path: "/usr/x".into(), target: "/etc/x".into() });
    });
}

#[test]
fn ways_back() {
    // In place of the whole step, so that nothing else of it is in the way.
    let guarded = |change: fn(&mut Guard, &mut Vec<Op>)| {
        move |plan: &mut Plan| {
            let mut guard = Guard {
                keeps: ["/etc/a".into()].into(),
                keeps_for_boot: ["/var/lib/engine/db".into()].into(),
                undo: vec![Program::Networkctl.command().args(["reload"])],
                within: 120,
                watches: Vec::new(),
            };
            let mut ops = vec![write("/etc/a", "# Managed by stead\n"), Op::Run(Program::Networkctl.command())];
            change(&mut guard, &mut ops);
            (last(plan).ops, last(plan).guard) = (ops, Some(guard));
        }
    };
    assert_eq!(breaches(guarded(|_, _| ())), Vec::<String>::new());
    for within in [0, 3_601] {
        breaks("is undone after", move |plan| {
            guarded(|_, _| ())(plan);
            last(plan).ops.pop();
            last(plan).guard.as_mut().unwrap().within = within;
        });
    }
    breaks("doesn't keep it", guarded(|guard, _| guard.keeps.clear()));
    breaks("doesn't keep it", guarded(|_, ops| ops.push(Op::Link { path: "/etc/b".into(), target: "/etc/a".into() })));
    breaks("isn't plain", guarded(|guard, _| guard.keeps_for_boot.extend(["/etc/../db".into()])));
    breaks("0 seconds", guarded(|guard, _| guard.undo[0].timeout = 0));
}
