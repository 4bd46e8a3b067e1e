//! The simulated cluster: nodes that know commands and no steps, and everything that can go wrong around them.
//!
//! `STEAD_SIM_CASES` says how many stories are told, `STEAD_SIM_FROM` with which number they begin.
#![allow(clippy::unwrap_used, reason = "all of it is a test")]

mod commands;
mod drift;
#[path = "../../../stead-plan/tests/support/drives.rs"]
mod drives;
#[path = "../../../stead-plan/tests/support/engines.rs"]
mod engines;
#[path = "../../../stead-plan/tests/support/volumes.rs"]
mod gluster;
mod hand;
mod host;
#[path = "../../../stead-plan/tests/support/libvirt.rs"]
mod libvirt;
mod machines;
mod members;
mod model;
mod networks;
mod observe;
#[path = "../../../stead-plan/tests/support/pacemaker.rs"]
mod pacemaker;
mod scenario;
mod storage;
mod volumes;
mod world;

use hand::{Hand, Mistake};
use host::Host;
use scenario::{Planner, Scenario};

/// How many stories are told unless somebody says it: as many as take some seconds on a slow core.
const CASES: u64 = 3_000;
/// The same of the planner itself, whose plans are longer.
const HOST_CASES: u64 = 300;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// Tells many stories; the first that breaks, in its shortest form.
fn first_broken(planner: &dyn Planner, cases: u64, change: impl Fn(&mut Scenario)) -> Option<String> {
    let from = number("STEAD_SIM_FROM", 0);
    for seed in from..from + number("STEAD_SIM_CASES", cases) {
        let mut story = Scenario::random(seed);
        change(&mut story);
        if story.run(planner).is_err() {
            let story = story.shrunk(planner);
            let broken = story.run(planner).unwrap_err();
            return Some(format!("{story:#?}\n{}\n{}", broken.trace.join("\n"), broken.why));
        }
    }
    None
}

#[test]
fn a_small_plan_converges_whatever_happens() {
    if let Some(broken) = first_broken(&Hand { mistake: Mistake::None }, CASES, |_| ()) {
        panic!("{broken}");
    }
}

#[test]
fn the_layer_host_converges_whatever_happens() {
    if let Some(broken) = first_broken(&Host::new(false), HOST_CASES, |story| story.clocks = false) {
        panic!("{broken}");
    }
}

#[test]
fn one_apply_does_it_where_nothing_goes_wrong() {
    for seed in 0..100 {
        let broken = Scenario::random(seed).run_well(&Host::new(false));
        broken.unwrap_or_else(|broken| panic!("{}\n{}", broken.trace.join("\n"), broken.why));
    }
}

#[test]
fn most_clocks_may_be_wrong() {
    if let Some(broken) = first_broken(&Host::new(false), HOST_CASES, |_| ()) {
        panic!("{broken}");
    }
}

#[test]
fn daemons_have_read_what_their_files_say() {
    if let Some(broken) = first_broken(&Host::new(true), HOST_CASES, |story| story.clocks = false) {
        panic!("{broken}");
    }
}

#[test]
fn mistakes_are_found() {
    for (mistake, expected) in [
        (Mistake::RestartsLast, "still run with what their files said before"),
        (Mistake::NoConfigure, "no end after"),
        (Mistake::TakesHosts, "is not as people put it"),
    ] {
        let broken =
            first_broken(&Hand { mistake }, CASES, |_| ()).unwrap_or_else(|| panic!("{mistake:?} is not found"));
        assert!(broken.contains(expected), "{mistake:?}: {broken}");
    }
}

#[test]
fn a_write_that_is_dropped_is_called_untrue() {
    let broken = first_broken(&Hand { mistake: Mistake::None }, CASES, |story| {
        story.drops_writes = true;
        story.settled = false;
        story.faults.clear();
    });
    let broken = broken.expect("a node that writes nothing can't be as asked");
    assert!(broken.contains("untrue: host/node"), "{broken}");
}

#[test]
fn two_at_once_are_found() {
    let broken = first_broken(&Hand { mistake: Mistake::None }, CASES, |story| {
        story.shares_leases = true;
        story.admins = vec![0, 1];
    });
    let broken = broken.expect("two who both hold a node get into each other's way");
    assert!(broken.contains("without the lease") || broken.contains("holding: false"), "{broken}");
}
