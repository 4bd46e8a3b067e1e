//! Nodes: whether they answer, and whether they are the ones that the file means.

use stead_spec::Spec;
use stead_spec::host::Node;

use super::{Found, names};
use crate::host::{Clocks, span};
use crate::inventory::{Inventory, NodeInventory, Observation};
use crate::plan::planner::seen;

/// A node, and what it said.
pub(super) struct Asked<'a> {
    /// What is asked of it.
    pub(super) node: &'a Node,
    /// What is observed, or why nothing is.
    pub(super) seen: Result<&'a NodeInventory, String>,
}

impl<'a> Asked<'a> {
    /// What is observed, if anything is.
    pub(super) fn seen(&self) -> Option<&'a NodeInventory> {
        self.seen.as_ref().ok().copied()
    }
}

pub(super) fn look<'a>(spec: &Spec, nodes: &[&'a Node], inventory: &'a Inventory, found: &mut Found) -> Vec<Asked<'a>> {
    let asked: Vec<Asked<'a>> =
        nodes.iter().map(|node| Asked { node, seen: answer(spec, node, inventory, found) }).collect();
    silent(&asked, inventory, found);
    for node in spec.nodes().values().filter(|node| node.revoked) {
        let next =
            format!("put another PC in its place: its NICs and disks into `[node.{}]`, and `revoked` out", node.name);
        found.warn(Some(&node.name), format!("{} is revoked: the cluster does without it", node.name), next);
    }
    clocks(&asked, found);
    asked
}

/// What a node said, if it is the one that the file means.
fn answer<'a>(
    spec: &Spec,
    node: &Node,
    inventory: &'a Inventory,
    found: &mut Found,
) -> Result<&'a NodeInventory, String> {
    let seen = seen(inventory, &node.name)?;
    let Some(Some(stamp)) = seen.stamp.get() else { return Ok(seen) };
    let other = if stamp.cluster != spec.cluster().id {
        format!("`{}` leads to a node of another cluster ({}, cluster {})", node.ssh, stamp.node, stamp.cluster)
    } else if stamp.node != node.name && Some(&stamp.node) != node.was.as_ref() {
        format!("`{}` leads to {} instead", node.ssh, stamp.node)
    } else {
        return Ok(seen);
    };
    found.bad(Some(&node.name), format!("{} isn't where the file says: {other}", node.name), "`stead plan` says more");
    Err(other)
}

fn silent(asked: &[Asked<'_>], inventory: &Inventory, found: &mut Found) {
    let silent: Vec<(&Node, &str)> = asked
        .iter()
        .filter(|asked| matches!(inventory.nodes.get(&asked.node.name), None | Some(Observation::Silent(_))))
        .filter_map(|asked| Some((asked.node, asked.seen.as_ref().err()?.as_str())))
        .collect();
    if let [(first, why), _, ..] = silent.as_slice()
        && silent.len() == asked.len()
    {
        let next = format!("is this computer in their network? `ssh {}` says more", first.ssh);
        found.unknown(None, format!("no node answers: {}", told(first, why)), next);
        return;
    }
    for (node, why) in silent {
        let others: Vec<_> = asked.iter().filter_map(|asked| Some((asked.node, asked.seen.as_ref().ok()?))).collect();
        let routing = others.iter().filter_map(|(other, seen)| Some((other, seen.routing.get()?.as_ref()?)));
        let hears = routing
            .clone()
            .filter(|(_, routing)| routing.neighbours.iter().any(|neighbour| neighbour.router == node.core.get()));
        let hears: Vec<_> = hears.map(|(other, _)| &other.name).collect();
        let what = told(node, why);
        if !hears.is_empty() {
            let verb = if hears.len() == 1 { "hears" } else { "hear" };
            let next = format!("it is on, so look at its network and its ssh: `ssh {}`", node.ssh);
            found.unknown(Some(&node.name), format!("{what}; in the core, {} {verb} it", names(hears)), next);
        } else if routing.count() > 0 {
            let next = format!("is it on, and are its cables in? Look at its screen; `ssh {}` says more", node.ssh);
            found.bad(Some(&node.name), format!("{what}; no other node hears it in the core"), next);
        } else {
            found.unknown(Some(&node.name), what, format!("is it on? `ssh {}` says more", node.ssh));
        }
    }
}

/// Why a node is silent, without the command that was run: what to do about it comes after.
fn told(node: &Node, why: &str) -> String {
    let why = why.lines().next().unwrap_or_default();
    let why = why.split_once(": `").map_or(why, |(what, _)| what);
    if why.contains(node.name.as_str()) { why.to_owned() } else { format!("{} didn't answer: {why}", node.name) }
}

fn clocks(asked: &[Asked<'_>], found: &mut Found) {
    let seen = || asked.iter().filter_map(|asked| Some((&asked.node.name, &asked.seen.as_ref().ok()?.clock)));
    let clocks = Clocks::new(seen());
    for (node, _) in seen() {
        let Some(off) = clocks.off(node) else { continue };
        let than = if off > 0 { "ahead of" } else { "behind" };
        let what = format!("{node}'s clock is {} {than} most nodes'", span(off));
        found.warn(Some(node), what, "`stead apply` sets it by another node's");
    }
}
