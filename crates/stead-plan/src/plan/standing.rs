//! What must be known before anything is planned: that the nodes are this cluster's, that stead knows what they run, and
//! that the cluster file is derived from what was applied last.

use std::collections::BTreeSet;

use stead_spec::host::Node;

use super::planner::{Planned, seen};
use super::{Asked, Keep, Plan, Refusal, Unknown};
use crate::generation::{FORMAT, Generation};
use crate::inventory::{Architecture, Inventory, NodeInventory};
use crate::release;

/// The nodes that can be planned for; refusals, the nodes that can't be told, and what is to be kept go into the plan.
pub(super) fn look<'a>(asked: &Asked<'a>, inventory: &'a Inventory, plan: &mut Plan) -> Vec<Planned<'a>> {
    let mut ours = Vec::new();
    for node in asked.spec.trusted_nodes() {
        let place = asked.spec.nodes().values().filter(|other| other.number < node.number).count();
        let seen = match seen(inventory, &node.name) {
            Ok(seen) => seen,
            Err(why) => {
                unknown(plan, node, format!("it did not answer: {why}"));
                continue;
            }
        };
        if whose(asked, node, seen, plan) && runs(node, seen, plan) {
            ours.extend(release::suite(&seen.system.release).map(|suite| Planned { node, seen, suite, place }));
        }
    }
    let ours = with_known_generation(ours, plan);
    if plan.refusals.is_empty() {
        derived(asked, &ours, plan);
    }
    ours
}

fn unknown(plan: &mut Plan, node: &Node, why: String) {
    plan.unknown.push(Unknown { node: node.name.clone(), why });
}

fn refuse(plan: &mut Plan, node: Option<&Node>, why: String, way: &str) {
    let node = node.map(|node| node.name.clone());
    plan.refusals.push(Refusal { node, why, way: way.to_owned(), overtaken_by: None });
}

/// Whether a node is this cluster's, and the one that it should be, or nobody's yet.
fn whose(asked: &Asked<'_>, node: &Node, seen: &NodeInventory, plan: &mut Plan) -> bool {
    let stamp = match seen.stamp.as_result() {
        Ok(Some(stamp)) => stamp,
        Ok(None) => return true,
        Err(why) => {
            unknown(plan, node, format!("whose node it is can't be told ({why}), so the plan leaves it out"));
            return false;
        }
    };
    let cluster = asked.spec.cluster();
    if stamp.cluster != cluster.id {
        let why = format!(
            "it is another cluster's: it is stamped as {} of the cluster {}, and this file is of {}",
            stamp.node, stamp.cluster, cluster.id
        );
        let way = format!(
            "look whether `{}` leads to the right computer; stead never takes a node from another cluster",
            node.ssh
        );
        refuse(plan, Some(node), why, &way);
        return false;
    }
    if stamp.node != node.name && Some(&stamp.node) != node.was.as_ref() {
        let why = format!("`{}` leads to another node of this cluster: {}", node.ssh, stamp.node);
        let way = format!(
            "write in the file where ssh reaches {0}; if it is {1} renamed, say `was = \"{1}\"`",
            node.name, stamp.node
        );
        refuse(plan, Some(node), why, &way);
        return false;
    }
    true
}

/// Whether stead knows what a node runs.
fn runs(node: &Node, seen: &NodeInventory, plan: &mut Plan) -> bool {
    let mut known = true;
    if release::suite(&seen.system.release).is_none() {
        let why = format!("it runs {}, which stead doesn't know", seen.system.release);
        refuse(plan, Some(node), why, "install Debian 13 or 12 on it");
        known = false;
    }
    if let Architecture::Other(name) = &seen.system.architecture {
        let why = format!("its processor is {name}, for which there is no stead");
        refuse(plan, Some(node), why, "take a PC with a processor of amd64 or arm64");
        known = false;
    }
    known
}

/// The nodes of which it is known what they keep: on others, something newer could be undone.
fn with_known_generation<'a>(nodes: Vec<Planned<'a>>, plan: &mut Plan) -> Vec<Planned<'a>> {
    let known = nodes.into_iter().filter(|of| match of.seen.generation.as_result() {
        Ok(_) => true,
        Err(why) => {
            let why = format!("what was applied last can't be told ({why}), so the plan leaves it out");
            unknown(plan, of.node, why);
            false
        }
    });
    known.collect()
}

/// Refuses a file that isn't derived from what was applied last; else says what is to be kept, and where.
fn derived(asked: &Asked<'_>, nodes: &[Planned<'_>], plan: &mut Plan) {
    let kept = |of: &Planned<'_>| of.seen.generation.get().and_then(Option::clone);
    let generations: Vec<(&Node, Generation)> = nodes.iter().filter_map(|of| Some((of.node, kept(of)?))).collect();
    if let Some((node, newer)) = generations.iter().find(|(_, generation)| generation.format > FORMAT) {
        let why = format!(
            "a newer stead was here: {} applied generation {} on {} with stead {}, and this one would not understand \
             all of it",
            newer.by, newer.number, newer.at, newer.stead
        );
        refuse(plan, Some(node), why, "update stead on this computer, then plan again");
        return;
    }
    let highest = generations.iter().map(|(_, generation)| generation.number).max().unwrap_or(0);
    let newest = || generations.iter().filter(|(_, generation)| generation.number == highest);
    let ours = |generation: &Generation| {
        generation.digest == *asked.digest || asked.ancestors.iter().any(|ancestor| ancestor.is(generation))
    };
    let mut told = BTreeSet::new();
    for (node, generation) in newest().filter(|(_, generation)| !ours(generation)) {
        if !told.insert(generation.digest.clone()) {
            continue;
        }
        let why = format!(
            "this file isn't derived from what was applied last: {} applied generation {} on {}",
            generation.by, generation.number, generation.at
        );
        let way = format!(
            "`stead adopt {}` fetches what was applied; put your changes into that, or merge the two by hand",
            node.ssh
        );
        let overtaken_by = Some(generation.clone());
        plan.refusals.push(Refusal { node: None, why, way, overtaken_by });
    }
    let lacks =
        |of: &&Planned<'_>| of.seen.generation.get().and_then(Option::as_ref).map(|g| &g.digest) != Some(asked.digest);
    let on: Vec<_> = nodes.iter().filter(lacks).map(|of| of.node.name.clone()).collect();
    if plan.refusals.is_empty() && !on.is_empty() {
        let remembered = asked.ancestors.iter().map(|ancestor| ancestor.number).max().unwrap_or(0);
        let there = newest().any(|(_, generation)| generation.digest == *asked.digest);
        let number = if there { highest } else { highest.max(remembered) + 1 };
        plan.keep = Some(Keep { number, digest: asked.digest.clone(), on });
    }
}
