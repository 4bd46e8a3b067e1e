//! What apply made and engines keep: the core's devices, addresses, FRR, Open vSwitch.

use std::collections::BTreeSet;

use ipnet::Ipv4Net;
use stead_spec::network::Carrier;
use stead_spec::units::Interface;

use super::view::{Cable, NodeView, View};
use super::{Found, Told};
use crate::inventory::Known;
use crate::network::OWN;
use crate::network::explain::{is_on, reaches};
use crate::network::facts::Ovs;
use crate::plan::list;
use crate::status::Severity;

pub(super) fn look<'a>(view: &View<'a>, found: &mut Found, told: &mut Told<'a>) {
    for node in view.told() {
        if node.set_up {
            core(node, found, told);
            routing(node, found);
            addresses(node, found);
        }
        open_vswitch(view, node, found);
        if node.routing.is_none() {
            // Nothing that it doesn't say is anybody else's fault.
            told.links.extend(node.wires.iter().map(|wire| (&node.node.name, &wire.switch.name)));
        }
    }
}

fn core<'a>(node: &NodeView<'a>, found: &mut Found, told: &mut Told<'a>) {
    let name = &node.node.name;
    let mut lacks = Vec::new();
    if !has(node, OWN, node.node.core.get().into()) {
        lacks.push(format!("{OWN} with {}", node.node.core));
    }
    for wire in &node.wires {
        let Some(core) = wire.core.as_ref().filter(|_| wire.cable != Cable::Missing) else { continue };
        // That a NIC is off was told, and what lies on it is off too.
        if core.is_well() || wire.cable == Cable::Off && core.is.is_some() {
            continue;
        }
        lacks.push(format!("{} with {}", core.device, core.address.address()));
        found.mark(Severity::Warn, name, &wire.switch.name);
        told.links.insert((name, &wire.switch.name));
    }
    if !lacks.is_empty() {
        let lacks: Vec<&str> = lacks.iter().map(String::as_str).collect();
        let what = format!("{name} lacks a part of the core: {}", list(&lacks));
        found.warn(Some(name), what, "`stead plan` says what brings it back");
    }
}

fn routing(node: &NodeView<'_>, found: &mut Found) {
    if !matches!(node.seen.map(|seen| &seen.routing), Some(Known::Is(None))) {
        return;
    }
    let name = &node.node.name;
    let what = format!("FRR doesn't run on {name}, so its core finds no other way when a switch or a cable dies");
    found.bad(Some(name), what, format!("`stead apply` starts it; why it ended, on {name}: `journalctl -b -u frr`"));
    for wire in node.wires.iter().filter(|wire| wire.core.is_some()) {
        found.mark(Severity::Bad, name, &wire.switch.name);
    }
}

/// The node's addresses outside of the core.
fn addresses(node: &NodeView<'_>, found: &mut Found) {
    let name = &node.node.name;
    for (network, address) in &node.node.addresses {
        let there = node.nics.into_iter().flatten().any(|nic| nic.addresses.contains(&net(*address)));
        if !there {
            let what = format!("{name} doesn't have its address in {network}, {address}");
            found.warn(Some(name), what, "`stead plan` says what brings it back");
        }
    }
}

fn open_vswitch(view: &View<'_>, node: &NodeView<'_>, found: &mut Found) {
    let name = &node.node.name;
    match node.seen.and_then(|seen| seen.ovs.get()) {
        Some(Some(ovs)) => errors(node, ovs, found),
        Some(None) if node.set_up && !node.node.arbiter => {
            let bridged = view.spec.networks().values().filter(|network| match &network.carrier {
                Carrier::Core { .. } => true,
                Carrier::Switches { .. } => {
                    reaches(network, node.node) && node.node.nics.keys().any(|switch| is_on(network, switch))
                }
            });
            let bridged: Vec<&str> = bridged.map(|network| network.name.as_ref()).collect();
            if !bridged.is_empty() {
                let networks = list(&bridged);
                let what = format!("Open vSwitch doesn't run on {name}, and is to carry {networks} there");
                let unit = "openvswitch-switch";
                let next = format!("`stead apply` starts it; why it ended, on {name}: `journalctl -b -u {unit}`");
                found.bad(Some(name), what, next);
            }
        }
        _ => {}
    }
}

/// What Open vSwitch says of interfaces that it can't make work.
fn errors(node: &NodeView<'_>, ovs: &Ovs, found: &mut Found) {
    let name = &node.node.name;
    let mut said = BTreeSet::new();
    for (bridge, of) in &ovs.bridges {
        for (interface, of) in of.ports.values().flat_map(|port| &port.interfaces) {
            if let Some(error) = of.error.as_ref().filter(|error| said.insert((interface, *error))) {
                let what = format!("on {name}, Open vSwitch can't use {interface} of {bridge}: {error}");
                let next = format!("on {name}: `ovs-vsctl list interface {interface}`; `stead plan` may mend it");
                found.warn(Some(name), what, next);
            }
        }
    }
}

/// Whether a device is there with this address.
fn has(node: &NodeView<'_>, device: &str, address: Ipv4Net) -> bool {
    let mut device = node.nics.into_iter().flatten().filter(|nic| nic.name == device);
    device.any(|nic| nic.up && nic.addresses.contains(&address))
}

/// As the kernel has it.
fn net(address: Interface) -> Ipv4Net {
    let host = address.address().get();
    Ipv4Net::new(host, address.prefix_len()).unwrap_or_else(|_| host.into())
}
