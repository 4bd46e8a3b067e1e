//! Clocks that are wrong now. chrony puts a small difference right by itself, slowly.

use std::collections::{BTreeMap, BTreeSet};

use stead_spec::units::NodeName;

use super::addresses::Addresses;
use super::time::UNIT;
use crate::inventory::Clock;
use crate::op::Program;
use crate::plan::planner::{Hidden, NodePlan, Planner};
use crate::step::{About, CLOCK_TOLERANCE};

/// How far all nodes together may be off this computer before it is told, in milliseconds: below that, files and
/// certificates don't notice.
const OURS: i64 = 60_000;

/// How long chronyd may ask, in seconds: eight questions to each node, two seconds apart, and some to spare.
const ASKS: &str = "30";

/// The clocks of the nodes that answered, beside each other.
#[derive(Debug)]
pub(crate) struct Clocks {
    /// What most of them say, in milliseconds ahead of ours.
    median: i64,
    /// By how much each is ahead of that, where it is more than it may be.
    off: BTreeMap<NodeName, i64>,
    /// Those that are far from ours.
    far: BTreeSet<NodeName>,
    right: Vec<NodeName>,
}

impl Clocks {
    /// Compares them. Of an even number, ours counts too, so that one of two can be called wrong.
    pub(crate) fn new<'c>(clocks: impl Iterator<Item = (&'c NodeName, &'c Clock)>) -> Self {
        let clocks: Vec<_> = clocks.collect();
        let mut ahead: Vec<i64> = clocks.iter().map(|(_, clock)| clock.ahead).collect();
        if ahead.len().is_multiple_of(2) {
            ahead.push(0);
        }
        ahead.sort_unstable();
        let median = ahead[ahead.len() / 2];
        let (mut off, mut right) = (BTreeMap::new(), Vec::new());
        let far = clocks.iter().filter(|(_, clock)| clock.ahead.saturating_abs() > OURS);
        let far = far.map(|(node, _)| (*node).clone()).collect();
        let alone = clocks.len() < 2;
        for (node, clock) in clocks {
            let by = clock.ahead.saturating_sub(median);
            if !alone && by.saturating_abs() > CLOCK_TOLERANCE.saturating_add(clock.uncertainty) {
                off.insert(node.clone(), by);
            } else {
                right.push(node.clone());
            }
        }
        Self { median, off, far, right }
    }

    /// By how many milliseconds a node's clock is ahead of the others, if that is too much.
    pub(crate) fn off(&self, node: &NodeName) -> Option<i64> {
        self.off.get(node).copied()
    }

    /// Whether a node's clock may be wrong, be it that most of them are: it differs from the others', or from ours.
    pub(super) fn doubtful(&self, node: &NodeName) -> bool {
        self.off.contains_key(node) || self.far.contains(node)
    }

    /// Says so if all of them are far from ours.
    pub(super) fn note(&self, planner: &mut Planner<'_>) {
        if self.median.saturating_abs() > OURS {
            let behind = if self.median > 0 { "behind" } else { "ahead of" };
            let by = span(self.median);
            planner.note(format!("this computer is {by} {behind} most nodes: its own clock may be wrong"));
        }
    }
}

/// Sets a clock by one of those that are right. Several would only do if they agreed to the millisecond, which nodes
/// that have nobody outside to ask don't; and which of them are right is known already.
pub(super) fn clock(plan: &mut NodePlan<'_, '_>, clocks: &Clocks, addresses: &Addresses) -> Result<(), Hidden> {
    let Some(off) = clocks.off(&plan.node.name) else { return Ok(()) };
    let Some((right, address)) = clocks.right.iter().find_map(|node| Some((node, addresses.of(node)?))) else {
        plan.note("its clock differs from the other nodes', and no two agree: look which one is right");
        return Ok(());
    };
    let mut step = plan.draft("clock", format!("set its clock by {right}'s"));
    step.rests_on(About::Clock)?;
    step.why(format!("it is {} {} most nodes", span(off), if off > 0 { "ahead of" } else { "behind" }));
    step.run(Program::Systemctl.command().args(["stop", UNIT]));
    let server = format!("server {} iburst", address.address());
    step.run(Program::Chronyd.command().args(["-q", "-t", ASKS]).args([server]).timeout(60));
    step.run(Program::Systemctl.command().args(["start", UNIT]));
    step.after("packages");
    step.after("time");
    step.after_on(right.clone(), "time");
    plan.add(step);
    Ok(())
}

/// A length of time in milliseconds, in its largest unit.
pub(crate) fn span(milliseconds: i64) -> String {
    let seconds = milliseconds.unsigned_abs() / 1_000;
    match seconds {
        172_800.. => format!("{} days", seconds / 86_400),
        7_200.. => format!("{} hours", seconds / 3_600),
        120.. => format!("{} minutes", seconds / 60),
        _ => format!("{seconds} seconds"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::Known;

    fn clocks(ahead: &[i64]) -> Clocks {
        let names: Vec<NodeName> = (1..=ahead.len()).map(|n| format!("node{n}").parse().unwrap()).collect();
        let clock = |&ahead: &i64| Clock { ahead, uncertainty: 20, synchronised: Known::Is(true) };
        let clocks: Vec<Clock> = ahead.iter().map(clock).collect();
        Clocks::new(names.iter().zip(&clocks))
    }

    #[test]
    fn the_median_decides() {
        let off = |ahead: &[i64]| clocks(ahead).off.into_iter().map(|(n, by)| (n.to_string(), by)).collect::<Vec<_>>();
        assert_eq!(off(&[0, 2_000, -2_000]), []);
        assert_eq!(off(&[0, 2_021, -5]), [("node2".to_owned(), 2_021)]);
        // All are off from this computer: that is no node's mistake.
        assert_eq!(off(&[90_000, 90_010, 89_990]), []);
        // Of two, this computer says which; of one, nobody does.
        assert_eq!(off(&[0, -90_000]), [("node2".to_owned(), -90_000)]);
        assert_eq!(off(&[-90_000]), []);
        assert_eq!(off(&[i64::MIN, i64::MAX, 0]).len(), 2);
        assert_eq!(off(&[]), []);
    }
}
