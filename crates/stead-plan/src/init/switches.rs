use std::collections::{BTreeMap, BTreeSet};

use stead_spec::units::{NodeName, SwitchName};

use super::Probed;
use crate::inventory::Known;
use crate::network::facts::Nic;

/// A NIC of a node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Port {
    /// The node.
    pub node: NodeName,
    /// The kernel's name of the NIC there.
    pub nic: String,
}

/// NICs that hear each other: they are plugged into one switch, or into switches that are linked, or into each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SwitchGroup {
    /// `sw1`, `sw2`, …
    pub name: SwitchName,
    /// Each node's NICs on it, in the order of its NICs. Where a node has two, it is cabled twice, or the switches of
    /// both are linked.
    pub ports: BTreeMap<NodeName, Vec<String>>,
    /// The slowest and the fastest NIC on it, in Mbit/s, as far as drivers say.
    pub speeds: Option<(u32, u32)>,
}

/// What NICs are plugged into.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cabling {
    /// The switches: those of the most nodes first, then the fastest.
    pub switches: Vec<SwitchGroup>,
    /// NICs with a carrier that hear nobody.
    pub alone: Vec<Port>,
    /// NICs without a carrier.
    pub unplugged: Vec<Port>,
    /// NICs that could not listen, and why.
    pub unprobed: Vec<(Port, String)>,
}

/// What the NICs are plugged into, by who heard whom: it is enough that one of two heard the other.
///
/// NICs are those of `nics` that are hardware and were told of by their node; what is said to have been heard of any
/// other one is ignored.
pub fn switches(nics: &BTreeMap<NodeName, Vec<Nic>>, probed: &BTreeMap<NodeName, Probed>) -> Cabling {
    let (mut cabling, mut ports) = (Cabling::default(), Vec::new());
    for (node, nics) in nics {
        let Some(probed) = probed.get(node) else { continue };
        for nic in nics.iter().filter(|nic| is_hardware(nic)) {
            let port = Port { node: node.clone(), nic: nic.name.clone() };
            match probed.nics.get(&nic.name) {
                Some(Known::Is(link)) => ports.push((port, link.carrier, link.speed.or(nic.speed))),
                Some(Known::Unknown(why)) => cabling.unprobed.push((port, why.clone())),
                None => {}
            }
        }
    }
    let index: BTreeMap<(&str, &str), usize> =
        ports.iter().enumerate().map(|(at, (port, ..))| ((port.node.as_str(), port.nic.as_str()), at)).collect();
    let mut neighbours = vec![BTreeSet::new(); ports.len()];
    for (node, probed) in probed {
        for heard in &probed.heard {
            let here = index.get(&(node.as_str(), heard.on.as_str()));
            let there = index.get(&(heard.node.as_str(), heard.nic.as_str()));
            if let (Some(here), Some(there)) = (here, there)
                && here != there
            {
                neighbours[*here].insert(*there);
                neighbours[*there].insert(*here);
            }
        }
    }
    let mut groups = Vec::new();
    for group in components(&neighbours) {
        if let [only] = group[..] {
            let (port, carrier, _) = &ports[only];
            if *carrier { &mut cabling.alone } else { &mut cabling.unplugged }.push(port.clone());
            continue;
        }
        let mut members: BTreeMap<NodeName, Vec<String>> = BTreeMap::new();
        for at in &group {
            let (port, ..) = &ports[*at];
            members.entry(port.node.clone()).or_default().push(port.nic.clone());
        }
        let known = || group.iter().filter_map(|at| ports[*at].2);
        groups.push((members, known().min().zip(known().max())));
    }
    // The order of NICs is what a group has by now, and this sort keeps it.
    groups.sort_by_key(|(members, speeds)| {
        let fastest = speeds.map_or(0, |(_, fastest)| fastest);
        (std::cmp::Reverse(members.len()), std::cmp::Reverse(fastest))
    });
    let named = groups.into_iter().zip(1_u32..).filter_map(|((ports, speeds), number)| {
        Some(SwitchGroup { name: format!("sw{number}").parse().ok()?, ports, speeds })
    });
    cabling.switches = named.collect();
    cabling
}

/// Whether an interface is a NIC, and not made of others.
pub(super) fn is_hardware(nic: &Nic) -> bool {
    nic.kind.is_none() && nic.driver.is_some()
}

/// What hangs together, each in its order, by the first of each.
fn components(neighbours: &[BTreeSet<usize>]) -> Vec<Vec<usize>> {
    let (mut seen, mut components) = (vec![false; neighbours.len()], Vec::new());
    for start in 0..neighbours.len() {
        if seen[start] {
            continue;
        }
        let (mut component, mut next) = (BTreeSet::new(), vec![start]);
        while let Some(at) = next.pop() {
            if component.insert(at) {
                seen[at] = true;
                next.extend(&neighbours[at]);
            }
        }
        components.push(component.into_iter().collect());
    }
    components
}
