use std::collections::BTreeSet;

use stead_spec::units::{NodeName, Number};

use crate::inventory::NodeInventory;

/// Words of the draft that a node can't be called, since a name leads to one thing.
const WORDS: [&str; 1] = [super::networks::LAN];

/// What nodes are to be called: by their hostnames, where these are good names and no two the same; else `node1`,
/// `node2`, … in their order.
pub fn names(nodes: &[&NodeInventory]) -> Vec<NodeName> {
    let hostname = |node: &&NodeInventory| {
        let hostname = node.hostname.get()?;
        let first = hostname.split('.').next().filter(|first| !WORDS.contains(first))?;
        first.parse::<NodeName>().ok()
    };
    let hostnames: Option<Vec<NodeName>> = nodes.iter().map(hostname).collect();
    let distinct = |names: &Vec<NodeName>| names.iter().collect::<BTreeSet<_>>().len() == names.len();
    hostnames
        .filter(distinct)
        .unwrap_or_else(|| (1..=nodes.len()).filter_map(|number| format!("node{number}").parse().ok()).collect())
}

/// Each node's number, and whether the file has to say it: the one that its name ends in, where no other node has it;
/// else the lowest that is free. `None` where none is.
pub(super) fn numbers(names: &[&NodeName]) -> Vec<Option<(Number, bool)>> {
    let own: Vec<Option<Number>> = names.iter().map(|name| in_name(name)).collect();
    let first = |at: usize| own[at].is_some_and(|number| !own[..at].contains(&Some(number)));
    let mut used: BTreeSet<u8> =
        (0..names.len()).filter(|at| first(*at)).filter_map(|at| own[at]).map(Number::get).collect();
    let mut free = || {
        let number = (Number::MIN..=Number::MAX).find(|number| !used.contains(number))?;
        used.insert(number);
        Number::new(number.into()).ok()
    };
    let number =
        |at: usize| if first(at) { own[at].map(|number| (number, false)) } else { free().map(|number| (number, true)) };
    (0..names.len()).map(number).collect()
}

/// The number that a name ends in: 3 of `node3`.
fn in_name(name: &NodeName) -> Option<Number> {
    let name = name.as_str();
    let digits = &name[name.trim_end_matches(|c: char| c.is_ascii_digit()).len()..];
    Number::new(digits.parse().ok()?).ok()
}
