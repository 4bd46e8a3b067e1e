use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use stead_spec::units::{Address, Interface, NodeName, Subnet, SwitchName, Vlan};

use super::switches::{Cabling, SwitchGroup, is_hardware};
use super::{Found, FoundNode};
use crate::inventory::Known;
use crate::network::facts::{Nic, Route};

/// What the network of the nodes' present addresses is called.
pub(super) const LAN: &str = "lan";

/// The network that people reach the nodes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lan {
    pub subnet: Subnet,
    pub switch: SwitchName,
    /// Whether a node's address was seen on a NIC on that switch.
    pub switch_seen: bool,
    pub vlan: Option<Vlan>,
    pub gateway: Option<Ipv4Addr>,
    /// Each node's address.
    pub addresses: BTreeMap<NodeName, Ipv4Addr>,
    /// The nodes that don't have that address yet.
    pub proposed: BTreeSet<NodeName>,
    /// Whether a node got its address, or its default route, by DHCP.
    pub dhcp: bool,
}

/// What is proposed as networks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Networks {
    /// The switches on which each node has a NIC.
    pub shared: Vec<SwitchName>,
    pub core_vlan: u16,
    pub core_pool: Ipv4Net,
    /// Whether something observed has addresses of the pool.
    pub pool_collides: bool,
    pub lan: Option<Lan>,
    /// Other networks that nodes have addresses in, with those nodes.
    pub others: BTreeMap<Subnet, BTreeMap<NodeName, Ipv4Addr>>,
}

/// An address of a node's.
struct Seen {
    interface: Interface,
    /// The NIC that it is on, or that the bridge is on.
    nic: Option<String>,
    vlan: Option<Vlan>,
}

/// Proposes networks.
pub(super) fn propose(found: &Found, cabling: &Cabling) -> Networks {
    let on_each = |switch: &&SwitchGroup| {
        switch.ports.len() > 1 && found.nodes.iter().all(|node| switch.ports.contains_key(&node.name))
    };
    let shared: Vec<SwitchName> = cabling.switches.iter().filter(on_each).map(|switch| switch.name.clone()).collect();
    let seen: Vec<(&FoundNode, Vec<Seen>)> = found.nodes.iter().map(|node| (node, addresses(node))).collect();
    let mut by_subnet: BTreeMap<Subnet, BTreeMap<NodeName, Ipv4Addr>> = BTreeMap::new();
    for (node, seen) in &seen {
        for seen in seen {
            let own = by_subnet.entry(seen.interface.subnet()).or_default();
            own.entry(node.name.clone()).or_insert(seen.interface.address().get());
        }
    }
    // What several nodes have is nobody's own, as is what is on no NIC: a container bridge's.
    for own in by_subnet.values_mut() {
        let all = own.clone();
        own.retain(|node, address| !all.iter().any(|(other, same)| other != node && same == address));
    }
    by_subnet.retain(|subnet, own| !own.is_empty() && subnet.to_string().parse::<Subnet>().is_ok());
    let lan = lan(found, cabling, &shared, &seen, &by_subnet);
    let mut others = by_subnet;
    if let Some(lan) = &lan {
        others.retain(|subnet, _| !subnet.overlaps(&lan.subnet));
    }
    let taken = taken(found);
    let parts = u32::try_from(shared.len()).unwrap_or(u32::MAX).saturating_add(1).min(256).next_power_of_two();
    let prefix = u8::try_from(24 - parts.trailing_zeros()).unwrap_or(22);
    let (core_pool, pool_collides) = pool(prefix, &taken);
    let tags = tags(found);
    let lan_tag = lan.as_ref().and_then(|lan| lan.vlan).map(Vlan::get);
    let core_vlan = (CORE_VLAN..=Vlan::MAX).find(|tag| !tags.contains(tag) && lan_tag != Some(*tag));
    Networks { shared, core_vlan: core_vlan.unwrap_or(CORE_VLAN), core_pool, pool_collides, lan, others }
}

/// The tag of the core, where it is free.
const CORE_VLAN: u16 = 10;

/// The tags of all VLAN devices, as far as their names say them.
fn tags(found: &Found) -> BTreeSet<u16> {
    let vlans = found.nodes.iter().flat_map(nics).filter(|nic| nic.kind.as_deref() == Some("vlan"));
    let digits = |name: &str| name[name.trim_end_matches(|c: char| c.is_ascii_digit()).len()..].parse().ok();
    vlans.filter_map(|nic| digits(&nic.name)).collect()
}

fn nics(node: &FoundNode) -> &[Nic] {
    node.inventory.nics.get().map(Vec::as_slice).unwrap_or_default()
}

fn routes(node: &FoundNode) -> &[Route] {
    node.inventory.routes.get().map(Vec::as_slice).unwrap_or_default()
}

/// Interfaces that lead to no other computer.
fn is_inner(nic: &Nic) -> bool {
    nic.addresses.iter().all(|own| own.addr().is_loopback())
        || ["docker", "virbr", "veth", "br-", "lxcbr", "lxdbr", "cni", "wg", "tun", "tap"]
            .iter()
            .any(|inner| nic.name.starts_with(inner))
}

/// The addresses by which others may reach a node.
fn addresses(node: &FoundNode) -> Vec<Seen> {
    let mut seen = Vec::new();
    for nic in nics(node).iter().filter(|nic| !is_inner(nic)) {
        let (on, vlan) = carrier(nics(node), nic);
        // Without a subnet, there is nobody to reach it.
        for interface in nic.addresses.iter().filter_map(|own| own.to_string().parse().ok()) {
            seen.push(Seen { interface, nic: on.clone(), vlan });
        }
    }
    seen
}

/// The NIC that an interface is made of: itself, a port of it, or what it tags; and the tag.
fn carrier(nics: &[Nic], nic: &Nic) -> (Option<String>, Option<Vlan>) {
    if is_hardware(nic) {
        return (Some(nic.name.clone()), None);
    }
    let port_of = |bridge: &Nic| {
        let ports = nics.iter().filter(|port| is_hardware(port) && port.master.as_ref() == Some(&bridge.name));
        ports.map(|port| port.name.clone()).next()
    };
    // `eno1.20`, as ifupdown and others name what tags packets of eno1 with 20.
    if nic.kind.as_deref() == Some("vlan")
        && let Some((parent, tag)) = nic.name.rsplit_once('.')
        && let Some(parent) = nics.iter().find(|nic| nic.name == parent)
    {
        let tag = tag.parse().ok().and_then(|tag| Vlan::new(tag).ok());
        let on = if is_hardware(parent) { Some(parent.name.clone()) } else { port_of(parent) };
        return (on, tag);
    }
    (port_of(nic), None)
}

fn lan(
    found: &Found,
    cabling: &Cabling,
    shared: &[SwitchName],
    seen: &[(&FoundNode, Vec<Seen>)],
    by_subnet: &BTreeMap<Subnet, BTreeMap<NodeName, Ipv4Addr>>,
) -> Option<Lan> {
    let asked = |node: &FoundNode, subnet: Subnet| {
        node.ssh.host().parse::<Ipv4Addr>().ok().filter(|address| subnet.is_host(*address))
    };
    let gateways = |subnet: Subnet| {
        let mut gateways: BTreeMap<Ipv4Addr, usize> = BTreeMap::new();
        let defaults = found.nodes.iter().flat_map(routes).filter(|route| route.to == "default");
        for gateway in defaults.filter_map(|route| route.gateway.as_deref()?.parse().ok()) {
            if subnet.is_host(gateway) {
                *gateways.entry(gateway).or_default() += 1;
            }
        }
        gateways.into_iter().max_by_key(|(_, nodes)| *nodes).map(|(gateway, _)| gateway)
    };
    let (subnet, own) = by_subnet.iter().max_by_key(|(subnet, own)| {
        let reached = found.nodes.iter().filter(|node| asked(node, **subnet).is_some()).count();
        (own.len().max(reached), reached, gateways(**subnet).is_some(), std::cmp::Reverse(**subnet))
    })?;
    // Where its addresses are, among the switches that each node is on.
    let mut places: BTreeMap<(Option<&SwitchName>, Option<Vlan>), usize> = BTreeMap::new();
    for (node, seen) in seen {
        for seen in seen.iter().filter(|seen| seen.interface.subnet() == *subnet) {
            let on = seen.nic.as_ref().and_then(|nic| {
                let has = |ports: &BTreeMap<NodeName, Vec<String>>| {
                    ports.get(&node.name).is_some_and(|own| own.contains(nic))
                };
                cabling.switches.iter().find(|switch| has(&switch.ports))
            });
            let on = on.map(|switch| &switch.name).filter(|name| shared.contains(name));
            *places.entry((on, seen.vlan)).or_default() += 1;
        }
    }
    let place = places.into_iter().max_by_key(|((on, _), nodes)| (on.is_some(), *nodes)).map(|(place, _)| place);
    let (switch, vlan) = place.unwrap_or_default();
    let gateway = gateways(*subnet);
    let mut lan = Lan {
        subnet: *subnet,
        switch: switch.or(shared.first())?.clone(),
        switch_seen: switch.is_some(),
        vlan,
        gateway,
        addresses: BTreeMap::new(),
        proposed: BTreeSet::new(),
        dhcp: found.nodes.iter().flat_map(routes).any(|route| route.protocol.as_deref() == Some("dhcp")),
    };
    // Where ssh goes, that address stays; then what the others have.
    let choices = found.nodes.iter().filter_map(|node| Some((node, asked(node, *subnet)?)));
    let choices = choices.chain(found.nodes.iter().filter_map(|node| Some((node, *own.get(&node.name)?))));
    for (node, address) in choices {
        let taken = lan.addresses.values().any(|other| *other == address);
        if !taken && !lan.addresses.contains_key(&node.name) {
            lan.addresses.insert(node.name.clone(), address);
        }
    }
    // A node that is the others' way out is none once this is its network.
    lan.gateway = gateway.filter(|gateway| !lan.addresses.values().any(|own| own == gateway));
    let mut used: BTreeSet<Ipv4Addr> = lan.addresses.values().copied().chain(gateway).collect();
    used.extend(found.nodes.iter().flat_map(nics).flat_map(|nic| &nic.addresses).map(Ipv4Net::addr));
    // Behind those that are there, as a person would, else before them.
    let offset = |address: &Ipv4Addr| u32::from(*address) - u32::from(subnet.net().network());
    let behind = lan.addresses.values().map(offset).max().unwrap_or_default();
    for node in &found.nodes {
        if lan.addresses.contains_key(&node.name) {
            continue;
        }
        let free = (behind + 1..=subnet.hosts()).chain(1..=behind).filter_map(|n| subnet.host(n));
        if let Some(address) = free.map(Address::get).find(|address| !used.contains(address)) {
            used.insert(address);
            lan.addresses.insert(node.name.clone(), address);
            lan.proposed.insert(node.name.clone());
        }
    }
    Some(lan)
}

/// Every network that a node has an address in or a way to.
fn taken(found: &Found) -> Vec<Ipv4Net> {
    let of_nics = found.nodes.iter().flat_map(nics).flat_map(|nic| &nic.addresses).map(Ipv4Net::trunc);
    let of_routes = found.nodes.iter().flat_map(routes).flat_map(|route| {
        let to: Option<Ipv4Net> =
            route.to.parse().ok().or_else(|| route.to.parse::<Ipv4Addr>().map(Ipv4Net::from).ok());
        [to, route.gateway.as_ref().and_then(|gateway| gateway.parse::<Ipv4Addr>().map(Ipv4Net::from).ok())]
    });
    of_nics.chain(of_routes.flatten()).filter(|net| net.prefix_len() > 0).collect()
}

/// Private addresses (RFC 1918, at last RFC 6598) that nothing observed has, with room to grow; and whether there were none.
fn pool(prefix: u8, taken: &[Ipv4Net]) -> (Ipv4Net, bool) {
    let tens = (10..=250).step_by(10).map(|second| [10, second]);
    let more = (16..=31).map(|second| [172, second]).chain((64..=127).map(|second| [100, second]));
    let mut candidates = tens.chain(more).filter_map(|[first, second]| {
        let whole = Ipv4Net::new(Ipv4Addr::new(first, second, 0, 0), 16).ok()?;
        let free = !taken.iter().any(|net| net.contains(&whole) || whole.contains(net));
        free.then(|| Ipv4Net::new(whole.network(), prefix).ok()).flatten()
    });
    let fallback = || Ipv4Net::new(Ipv4Addr::new(10, 10, 0, 0), prefix).unwrap_or_default();
    let found = candidates.next();
    (found.unwrap_or_else(fallback), found.is_none())
}

/// Why a node's NICs or routes are not known.
pub(super) fn unknown(node: &FoundNode) -> Option<&str> {
    let nics = match &node.inventory.nics {
        Known::Unknown(why) => Some(why.as_str()),
        Known::Is(_) => None,
    };
    nics.or(match &node.inventory.routes {
        Known::Unknown(why) => Some(why.as_str()),
        Known::Is(_) => None,
    })
}
