//! Whether the nodes can decide where machines run: pacemaker's view of who is there, beside ours. And where they do run: what
//! each node has in its memory.

use serde::Serialize;
use stead_spec::Spec;
use stead_spec::machines::Machine;
use stead_spec::units::{Bytes, MachineName, NodeName};

use super::host::Asked;
use super::{Found, names};
use crate::host::installs;
use crate::inventory::Activity;
use crate::machines::watchdog;
use crate::machines::whereabouts::held;
use crate::machines::{Membership, SBD, is_host, is_member};
use crate::plan::planner;

/// A machine of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MachineStatus {
    /// Which.
    pub name: MachineName,
    /// What it does.
    pub state: MachineState,
    /// The nodes that have it in their memory: two, while it moves.
    pub on: Vec<NodeName>,
    /// Its processors.
    pub cpus: u16,
    /// Its memory.
    pub memory: Bytes,
}

/// What a machine does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MachineState {
    /// Nobody was told of it yet.
    New,
    /// It is off, as somebody wants it.
    Off,
    /// It has just begun to.
    Starts,
    /// It runs.
    Runs,
    /// It goes from one node to another.
    Moves,
    /// It stands still: why, as libvirt says it.
    Paused(String),
    /// It should run, and doesn't.
    Down,
    /// It runs more than once.
    Twice,
    /// Those who could tell didn't answer.
    Unknown,
}

/// Why a machine is paused that libvirt has only begun to start.
const STARTS: &str = "starting up";

pub(super) fn look(spec: &Spec, asked: &[Asked<'_>], found: &mut Found) -> Vec<MachineStatus> {
    members(spec, asked, found);
    spec.machines().values().map(|machine| status(spec, asked, machine, found)).collect()
}

/// What a machine does, and what is wrong with it.
fn status(spec: &Spec, asked: &[Asked<'_>], machine: &Machine, found: &mut Found) -> MachineStatus {
    let name = &machine.name;
    let hosts = || asked.iter().filter(|of| is_host(spec, of.node));
    let held: Vec<_> = hosts().filter_map(|of| Some((&of.node.name, held(spec, of.seen()?, name)?))).collect();
    let goes_on = held.iter().filter(|(_, held)| held.goes_on()).count();
    let blind = hosts().any(|of| of.seen().is_none_or(|seen| seen.hypervisor.running.get().is_none()));
    let known = hosts().filter_map(|of| of.seen()?.hypervisor.membership.get()?.as_ref());
    let known: Vec<&Membership> = known.collect();
    let told = known.iter().any(|now| now.resources.contains_key(name.as_ref()));
    let off = known.iter().any(|now| now.is_off(name.as_ref()));
    let state = match held.as_slice() {
        _ if goes_on > 1 => MachineState::Twice,
        [_] if goes_on == 1 => MachineState::Runs,
        [(_, held)] if held.reason == STARTS => MachineState::Starts,
        [(_, held)] => MachineState::Paused(held.reason.clone()),
        [_, _, ..] => MachineState::Moves,
        [] if off => MachineState::Off,
        [] if blind || known.is_empty() => MachineState::Unknown,
        [] if !told => MachineState::New,
        [] => MachineState::Down,
    };
    let on: Vec<NodeName> = held.iter().map(|(node, _)| (*node).clone()).collect();
    match &state {
        MachineState::Twice => {
            let what = format!("{name} runs on {} at once: both write to its disks", names(&on));
            let next = format!("`virsh destroy {name}` on all of them but one, now; then look at what is on its disks");
            found.bad(None, what, next);
        }
        MachineState::Paused(why) => {
            let what = format!("{name} stands still on {}: {why}", names(&on));
            let next =
                format!("if its volume is well, it goes on within a minute; `stead machine stop {name}` gives it up");
            found.bad(None, what, next);
        }
        MachineState::Down => {
            let what = format!("{name} doesn't run, and should");
            let next = format!("`stead machine start {name}`; `crm_mon --one-shot` on a node tells what was tried");
            found.bad(None, what, next);
        }
        MachineState::New
        | MachineState::Off
        | MachineState::Starts
        | MachineState::Runs
        | MachineState::Moves
        | MachineState::Unknown => {}
    }
    MachineStatus { name: name.clone(), state, on, cpus: machine.cpus.get(), memory: machine.memory }
}

fn members(spec: &Spec, asked: &[Asked<'_>], found: &mut Found) {
    let members = asked.iter().filter(|of| is_member(spec, of.node));
    let mut run: Vec<(&NodeName, &Membership)> = Vec::new();
    for of in members {
        let (name, Some(seen)) = (&of.node.name, of.seen()) else { continue };
        match seen.hypervisor.membership.as_result() {
            Err(why) => {
                let what = format!("{name}'s pacemaker doesn't tell: {why}");
                found.unknown(Some(name), what, "`stead plan` says more");
            }
            // Before the first apply there is none.
            Ok(None) if installs(seen, "pacemaker").unwrap_or(true) => {}
            Ok(None) => {
                let what = format!("{name}'s pacemaker doesn't run: no machine is started or kept there");
                found.bad(Some(name), what, "`stead apply` starts it");
            }
            Ok(Some(knows)) => {
                if planner::look(seen, SBD).is_ok_and(|sbd| sbd.activity != Activity::Active) {
                    let what = format!(
                        "{name}'s watchdog isn't fed: nothing resets it if it falls silent, and the others count on that"
                    );
                    found.bad(
                        Some(name),
                        what,
                        "`stead apply` starts sbd; `systemctl status sbd` there tells why it ended",
                    );
                }
                let tested = knows.tested.get(name.as_ref());
                if watchdog::identity(seen).is_ok_and(|identity| tested.is_none_or(|tested| tested != identity)) {
                    let what = format!("{name}'s watchdog was never seen to fire: the others count on that it does");
                    let next = format!("`stead node test-watchdog {name}` moves its machines away, and lets it fire");
                    found.warn(Some(name), what, next);
                }
                run.push((name, knows));
            }
        }
    }
    let drained = run.first().into_iter().flat_map(|(_, knows)| &knows.drained);
    for node in drained {
        let what = format!("{node} is drained: it runs no machines");
        let of = asked.iter().map(|of| &of.node.name).find(|name| name.as_ref() == node);
        found.warn(of, what, format!("`stead node undrain {node}`, once you are done with it"));
    }
    for (name, knows) in &run {
        if !knows.quorate {
            let what = format!("{name} is not among most nodes, and runs no machines");
            found.bad(Some(name), what, "bring the other nodes back; `corosync-quorumtool` there tells who is missing");
        }
        // One that didn't answer us either is told of already.
        let lost: Vec<&NodeName> = run
            .iter()
            .map(|(other, _)| *other)
            .filter(|other| knows.members.get(other.as_ref()) != Some(&true))
            .collect();
        if !lost.is_empty() {
            let what = format!("{name}'s pacemaker doesn't see {}'s", names(lost));
            found.bad(Some(name), what, "`corosync-cfgtool -n` there tells over which switches it hears whom");
        }
    }
}
