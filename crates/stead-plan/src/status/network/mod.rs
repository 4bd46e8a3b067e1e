//! The layer `network`: NICs, switches and cables, and the paths that carry the core.
//!
//! One cause is told once: what it explains is noted in [`Told`], and the parts that look afterwards are silent about it.

mod devices;
mod links;
mod paths;
mod view;

use std::collections::{BTreeMap, BTreeSet};

use stead_spec::Spec;
use stead_spec::units::{NodeName, SwitchName};

use super::host::Asked;
use super::{CoreStatus, Found, LinkStatus, NicStatus, names};
use crate::plan::list;
use view::{NodeView, View, Wire, path};

/// What is explained by what was found already.
#[derive(Default)]
struct Told<'a> {
    /// Links over which nothing of the core can be expected.
    links: BTreeSet<(&'a NodeName, &'a SwitchName)>,
    /// Links that take smaller packets than asked.
    small: BTreeSet<(&'a NodeName, &'a SwitchName)>,
    /// Nodes that reach nobody.
    nodes: BTreeSet<&'a NodeName>,
}

/// Looks at all nodes together; gives the links of each.
pub(super) fn look(spec: &Spec, asked: &[Asked<'_>], found: &mut Found) -> Vec<Vec<LinkStatus>> {
    let view = View::of(spec, asked);
    let mut told = Told::default();
    hidden(&view, found);
    not_set_up(&view, found);
    links::look(&view, found, &mut told);
    devices::look(&view, found, &mut told);
    paths::look(&view, found, &mut told);
    view.nodes.iter().map(|node| node.wires.iter().map(|wire| status(&view, node, wire, found)).collect()).collect()
}

/// What nodes could not tell.
fn hidden(view: &View<'_>, found: &mut Found) {
    for node in &view.nodes {
        let Some(seen) = node.seen else { continue };
        let hidden = [
            ("its NICs", seen.nics.as_result().err()),
            ("its routing", seen.routing.as_result().err()),
            ("Open vSwitch", seen.ovs.as_result().err()),
        ];
        let hidden: Vec<(&str, &str)> = hidden.into_iter().filter_map(|(what, why)| Some((what, why?))).collect();
        let Some((_, why)) = hidden.first() else { continue };
        let name = &node.node.name;
        let whats: Vec<&str> = hidden.iter().map(|(what, _)| *what).collect();
        let what = format!("{name} could not tell of {}: {why}", list(&whats));
        let next = format!("look on {name} itself: `ssh {}`", node.node.ssh);
        found.unknown(Some(name), what, next);
    }
}

/// Before the first apply, one thing is to be said instead of everything that isn't there yet.
fn not_set_up(view: &View<'_>, found: &mut Found) {
    let all: Vec<_> = view.told().collect();
    let not: Vec<_> = all.iter().filter(|node| !node.set_up).map(|node| &node.node.name).collect();
    if not.is_empty() {
        return;
    }
    let nodes = if not.len() == all.len() { "any node".to_owned() } else { names(not) };
    found.warn(None, format!("the core isn't there yet on {nodes}"), "`stead apply` sets it up");
}

fn status(view: &View<'_>, node: &NodeView<'_>, wire: &Wire<'_>, found: &Found) -> LinkStatus {
    let switch = &wire.switch.name;
    let core = wire.core.as_ref().map(|core| CoreStatus {
        device: core.device.clone(),
        address: core.address,
        paths: others(view, node, wire).map(|other| (other.node.name.clone(), path(node, other, switch))).collect(),
    });
    let nic = wire.nic.map(|nic| NicStatus {
        name: nic.name.clone(),
        up: nic.up,
        carrier: nic.carrier,
        speed: nic.speed,
        mtu: nic.mtu,
        errors: nic.errors,
    });
    LinkStatus { switch: switch.clone(), mac: wire.mac, nic, core, worst: found.worst(&node.node.name, switch) }
}

/// The other nodes that are to be reached over a switch.
fn others<'v, 'a>(
    view: &'v View<'a>,
    node: &'v NodeView<'a>,
    wire: &'v Wire<'a>,
) -> impl Iterator<Item = &'v NodeView<'a>> {
    let there = |other: &&NodeView<'a>| other.node.links.contains_key(&wire.switch.name);
    view.nodes.iter().filter(|other| other.node.name != node.node.name).filter(there)
}

/// The wires of all nodes, by switch; the switches by their numbers.
fn by_switch<'v, 'a>(view: &'v View<'a>) -> Vec<(&'a SwitchName, Vec<(&'v NodeView<'a>, &'v Wire<'a>)>)> {
    let mut all: BTreeMap<_, (&SwitchName, Vec<_>)> = BTreeMap::new();
    for node in view.told() {
        for wire in &node.wires {
            let key = (wire.switch.number, &wire.switch.name);
            all.entry(key).or_insert_with(|| (&wire.switch.name, Vec::new())).1.push((node, wire));
        }
    }
    all.into_values().collect()
}
