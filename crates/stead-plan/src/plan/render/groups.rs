//! What is said of several nodes at once.

use std::collections::BTreeMap;

use stead_spec::units::NodeName;

use crate::step::{Layer, Step};

/// The same step on some nodes.
pub(super) struct Group<'p> {
    /// As it is on the first of them.
    pub(super) step: &'p Step,
    /// All of them.
    pub(super) nodes: Vec<&'p str>,
}

/// The steps of a plan, layer by layer, those with the same text as one; in the order in which each node does them.
pub(super) fn groups(steps: &[Step]) -> Vec<Group<'_>> {
    let slots = slots(steps);
    let mut groups: Vec<(usize, Group<'_>)> = Vec::new();
    // Where the groups of a slot are: a slot has few, so looking through them is cheap.
    let mut of_slot: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for step in steps {
        let slot = slots[&(step.id.layer, step.id.kind())];
        let alike = of_slot.entry(slot).or_default();
        if let Some(&at) = alike.iter().find(|&&at| same(groups[at].1.step, step)) {
            groups[at].1.nodes.push(step.id.node.as_ref());
        } else {
            alike.push(groups.len());
            groups.push((slot, Group { step, nodes: vec![step.id.node.as_ref()] }));
        }
    }
    groups.sort_by_key(|(slot, group)| (group.step.id.layer, *slot, group.nodes[0]));
    groups.into_iter().map(|(_, group)| group).collect()
}

/// The steps of all nodes put into one order: what a node does between two things, stands between them.
fn slots(steps: &[Step]) -> BTreeMap<(Layer, &str), usize> {
    let mut of_node: BTreeMap<(Layer, &str), Vec<&str>> = BTreeMap::new();
    for step in steps {
        of_node.entry((step.id.layer, step.id.node.as_ref())).or_default().push(step.id.kind());
    }
    let mut order: BTreeMap<Layer, Vec<&str>> = BTreeMap::new();
    for ((layer, _), whats) in of_node {
        let order = order.entry(layer).or_default();
        let mut at = 0;
        for what in whats {
            if let Some(known) = order.iter().position(|known| *known == what) {
                at = at.max(known + 1);
            } else {
                order.insert(at, what);
                at += 1;
            }
        }
    }
    let numbered = order
        .into_iter()
        .flat_map(|(layer, whats)| whats.into_iter().enumerate().map(move |(number, what)| ((layer, what), number)));
    numbered.collect()
}

fn same(one: &Step, other: &Step) -> bool {
    let within = |step: &Step| step.guard.as_ref().map(|guard| guard.within);
    one.title == other.title
        && one.why == other.why
        && one.ops == other.ops
        && one.destroys == other.destroys
        && within(one) == within(other)
}

/// What is said of nodes, each once: `node1, node2`, and what. In the order of first words.
pub(super) fn told_together<'p, T: Ord + Copy>(
    told: impl Iterator<Item = (Option<&'p NodeName>, T)>,
) -> Vec<(String, T)> {
    let mut order: BTreeMap<T, usize> = BTreeMap::new();
    let mut all: Vec<(Vec<&str>, T)> = Vec::new();
    for (node, what) in told {
        let at = *order.entry(what).or_insert_with(|| {
            all.push((Vec::new(), what));
            all.len() - 1
        });
        all[at].0.extend(node.map(AsRef::<str>::as_ref));
    }
    all.into_iter().map(|(nodes, what)| (nodes.join(", "), what)).collect()
}
