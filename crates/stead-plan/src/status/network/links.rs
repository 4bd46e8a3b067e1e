//! Hardware: NICs, cables, and switches that are off.

use std::collections::BTreeSet;

use super::view::{Cable, NodeView, View, Wire};
use super::{Found, Told, by_switch, names};
use crate::network::explain::{is_on, reaches};
use crate::plan::list;
use crate::status::Severity;
use crate::status::render::speed;

/// What a NIC of today does at least, in Mbit/s.
const GIGABIT: u32 = 1_000;

pub(super) fn look<'a>(view: &View<'a>, found: &mut Found, told: &mut Told<'a>) {
    dark_switches(view, found, told);
    for node in view.told() {
        down(node, found, told);
    }
    speeds(view, found);
    for node in view.told() {
        for wire in &node.wires {
            errors(node, wire, found);
            if node.set_up {
                packets(view, node, wire, found, told);
            }
        }
    }
}

/// Switches that give nobody a carrier.
fn dark_switches<'a>(view: &View<'a>, found: &mut Found, told: &mut Told<'a>) {
    for (switch, ends) in by_switch(view) {
        if ends.len() < 2 || ends.iter().any(|(_, wire)| wire.cable != Cable::Out) {
            continue;
        }
        let nodes = names(ends.iter().map(|(node, _)| &node.node.name));
        let what = format!("switch {switch} is off, or cut off from all nodes: {nodes} have no carrier there");
        found.bad(None, what, format!("is {switch} on, and are its cables in?"));
        for (node, _) in ends {
            found.mark(Severity::Bad, &node.node.name, switch);
            told.links.insert((&node.node.name, switch));
        }
    }
}

/// NICs that nothing comes over.
fn down<'a>(node: &NodeView<'a>, found: &mut Found, told: &mut Told<'a>) {
    let name = &node.node.name;
    // The installer leaves NICs switched off that it had no use for.
    let counts = |wire: &&Wire<'_>| wire.is_down() && (node.set_up || wire.cable != Cable::Off);
    let down: Vec<&Wire<'a>> = node.wires.iter().filter(counts).collect();
    let new: Vec<_> = down.iter().filter(|wire| !told.links.contains(&(name, &wire.switch.name))).collect();
    for wire in &new {
        found.mark(Severity::Bad, name, &wire.switch.name);
        told.links.insert((name, &wire.switch.name));
    }
    if new.len() == node.wires.len() && new.len() > 1 {
        let each: Vec<String> = new.iter().map(|wire| words(wire)).collect();
        let each: Vec<&str> = each.iter().map(String::as_str).collect();
        let what = format!("none of {name}'s {} NICs works, and it reaches nobody: {}", each.len(), list(&each));
        found.bad(Some(name), what, "are its cables in?");
        told.nodes.insert(name);
        return;
    }
    for wire in new {
        let switch = &wire.switch.name;
        let (what, next) = match (wire.cable, wire.nic) {
            (Cable::Out, Some(nic)) => (
                format!("{name}'s {} has no carrier: it should lead to {switch}", nic.name),
                format!("is its cable in at both ends? Is switch {switch} on?"),
            ),
            (Cable::Off, Some(nic)) => (
                format!("{name}'s {} to {switch} is switched off", nic.name),
                format!("`stead apply` switches it on; by hand, on {name}: `ip link set {} up`", nic.name),
            ),
            _ => (format!("{name} has no NIC {}, which the file has for {switch}", wire.mac), replaced(node)),
        };
        found.bad(Some(name), what, next);
    }
}

/// What happened to one NIC.
fn words(wire: &Wire<'_>) -> String {
    let switch = &wire.switch.name;
    match (wire.cable, wire.nic) {
        (Cable::Out, Some(nic)) => format!("{} to {switch} has no carrier", nic.name),
        (Cable::Off, Some(nic)) => format!("{} to {switch} is switched off", nic.name),
        _ => format!("{} to {switch} isn't there", wire.mac),
    }
}

/// What to do about a NIC that isn't there: perhaps another one is in its place.
fn replaced(node: &NodeView<'_>) -> String {
    let named: BTreeSet<_> = node.node.nics.values().collect();
    let other = node.nics.into_iter().flatten().filter(|nic| nic.driver.is_some());
    let mut other = other.filter_map(|nic| Some((&nic.name, nic.mac.filter(|mac| !named.contains(mac))?)));
    match other.next() {
        Some((nic, mac)) => format!("if {nic} is there in its place, write {mac} in the file; else look into the PC"),
        None => "is it still in the PC? If it was replaced, write the new one's MAC address in the file".to_owned(),
    }
}

/// NICs that are slower than others on the same switch, or than any should be.
fn speeds(view: &View<'_>, found: &mut Found) {
    for (switch, ends) in by_switch(view) {
        let known = ends.iter().filter(|(_, wire)| wire.cable == Cable::In);
        let known: Vec<_> = known.filter_map(|(node, wire)| Some((*node, wire.nic?, wire.nic?.speed?))).collect();
        let Some(most) = known.iter().map(|(_, _, speed)| *speed).max() else { continue };
        if most < GIGABIT && known.len() > 1 && known.iter().all(|(_, _, speed)| *speed == most) {
            let what = format!("switch {switch} is slow: all nodes have {} there", speed(most));
            found.warn(None, what, "put in one of 1 Gbit/s or more, with cables of Cat 5e or better");
            for (node, ..) in known {
                found.mark(Severity::Warn, &node.node.name, switch);
            }
            continue;
        }
        for (node, nic, own) in known.into_iter().filter(|(_, _, own)| *own < most.max(GIGABIT)) {
            let name = &node.node.name;
            let others = if own < most { format!(", and others there have {}", speed(most)) } else { String::new() };
            let what = format!("{name}'s {} to {switch} runs at {}{others}", nic.name, speed(own));
            found.warn(Some(name), what, "change the cable, or its port at the switch; is the NIC itself as fast?");
            found.mark(Severity::Warn, name, switch);
        }
    }
}

fn errors(node: &NodeView<'_>, wire: &Wire<'_>, found: &mut Found) {
    let Some(nic) = wire.nic.filter(|nic| nic.errors.received > 0 || nic.errors.sent > 0) else { return };
    let name = &node.node.name;
    let (received, sent, nic) = (nic.errors.received, nic.errors.sent, &nic.name);
    let what = format!(
        "{name}'s {nic} to {} has counted broken frames since it was started: {received} received, {sent} sent",
        wire.switch.name
    );
    let next = format!("change the cable; what is broken, on {name}: `ip -s -s link show {nic}`");
    found.warn(Some(name), what, next);
    found.mark(Severity::Warn, name, &wire.switch.name);
}

/// Whether NIC and core device take packets as large as asked.
fn packets<'a>(view: &View<'a>, node: &NodeView<'a>, wire: &Wire<'a>, found: &mut Found, told: &mut Told<'a>) {
    let (name, switch) = (&node.node.name, &wire.switch.name);
    let core = wire.core.as_ref().map(|_| u32::from(view.spec.core().mtu.get()));
    let carried = view.spec.networks().values().filter(|network| is_on(network, switch) && reaches(network, node.node));
    let asked = carried.map(|network| u32::from(network.mtu.get())).chain(core).max().unwrap_or_default();
    let device = wire.core.as_ref().and_then(|core| core.is);
    let small = wire.nic.filter(|nic| nic.mtu < asked).map(|nic| (nic, asked));
    let small = small.or_else(|| Some((device?, core?)).filter(|(device, core)| device.mtu < *core));
    let Some((small, asked)) = small else { return };
    let what =
        format!("{name}'s {} to {switch} takes packets of {} bytes, and {asked} are asked", small.name, small.mtu);
    found.warn(
        Some(name),
        what,
        "`stead plan` says what sets it; if the NIC can't, write the switch's `mtu` in the file",
    );
    found.mark(Severity::Warn, name, switch);
    told.small.insert((name, switch));
}
