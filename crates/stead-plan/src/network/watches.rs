//! What must still be reached after a node's networks were changed.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use stead_spec::network::Carrier;

use super::facts::Nic;
use super::layout::{End, Layout, On};
use crate::plan::planner::{NodePlan, Planned};
use crate::step::Watch;

/// The node's addresses, from every other node that is or will be in the same network by then; and its way out.
///
/// Nodes change one after the other, by number. So of those before it, what the file says counts, and of those behind
/// it, what they have now.
pub(super) fn watches(plan: &NodePlan<'_, '_>, layout: &Layout<'_>, nodes: &[Planned<'_>]) -> Vec<Watch> {
    let mut watches = Vec::new();
    let others = || nodes.iter().filter(|other| other.node.name != plan.node.name);
    for end in &layout.ends {
        let Some(before) = before(plan, layout, end) else { continue };
        let after = end.address.address().get();
        let subnet = end.address.subnet();
        for other in others() {
            let asked = other.node.addresses.get(&end.network.name).map(|address| address.address().get());
            let will_have = asked.filter(|_| other.node.number < plan.node.number);
            let is_there = |address: Ipv4Addr| subnet.contains(address);
            if will_have.is_some_and(is_there) || addresses(other).any(is_there) {
                let what = format!("{}'s address in {}", plan.node.name, end.network.name);
                watches.push(Watch { from: other.node.name.clone(), before, after, what });
            }
        }
        let way_out = default_gateway(plan).zip(end.network.gateway.filter(|_| on_switches(end)));
        if let Some((before, after)) = way_out {
            let what = format!("the gateway of {}", end.network.name);
            watches.push(Watch { from: plan.node.name.clone(), before, after: after.get(), what });
        }
    }
    for (_, link) in layout.links() {
        let after = link.address.address().get();
        let subnet = link.address.subnet();
        let own = nics(plan.seen).flat_map(|nic| &nic.addresses).map(Ipv4Net::addr);
        let Some(before) = own.into_iter().find(|own| subnet.contains(*own)) else { continue };
        for other in others().filter(|other| addresses(other).any(|address| subnet.contains(address))) {
            let what = format!("{}'s address on {}", plan.node.name, link.device);
            watches.push(Watch { from: other.node.name.clone(), before, after, what });
        }
    }
    watches.sort();
    watches
}

/// The address that the node has now where it is to have one: the same, or another one of the device or of its NICs.
fn before(plan: &NodePlan<'_, '_>, layout: &Layout<'_>, end: &End<'_>) -> Option<Ipv4Addr> {
    let asked = end.address.address().get();
    if nics(plan.seen).flat_map(|nic| &nic.addresses).any(|own| own.addr() == asked) {
        return Some(asked);
    }
    let carries = |nic: &&Nic| match &end.on {
        On::Nic { nic: name } | On::Tagged { nic: name } => nic.name == *name || nic.name == end.device(),
        On::Port { bridge } => {
            let mut wires = layout.wires.iter();
            nic.name == end.device()
                || wires.any(|wire| wire.bridge.as_ref() == Some(bridge) && wire.nic.name == nic.name)
        }
    };
    nics(plan.seen).find(|nic| carries(nic) && !nic.addresses.is_empty())?.addresses.first().map(Ipv4Net::addr)
}

fn nics(seen: &crate::inventory::NodeInventory) -> impl Iterator<Item = &Nic> {
    seen.nics.get().into_iter().flatten()
}

fn addresses(of: &Planned<'_>) -> impl Iterator<Item = Ipv4Addr> {
    nics(of.seen).flat_map(|nic| &nic.addresses).map(Ipv4Net::addr)
}

fn default_gateway(plan: &NodePlan<'_, '_>) -> Option<Ipv4Addr> {
    let routes = plan.seen.routes.get()?;
    let best = routes.iter().filter(|route| route.to == "default").min_by_key(|route| route.metric)?;
    best.gateway.as_ref()?.parse().ok()
}

fn on_switches(end: &End<'_>) -> bool {
    matches!(end.network.carrier, Carrier::Switches { .. })
}
