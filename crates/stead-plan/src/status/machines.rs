//! Whether the nodes can decide where machines run: pacemaker's view of who is there, beside ours.

use stead_spec::Spec;
use stead_spec::units::NodeName;

use super::host::Asked;
use super::{Found, names};
use crate::host::installs;
use crate::inventory::Activity;
use crate::machines::{Membership, SBD, is_member};
use crate::plan::planner;

pub(super) fn look(spec: &Spec, asked: &[Asked<'_>], found: &mut Found) {
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
                run.push((name, knows));
            }
        }
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
