//! What a node's networks are made of: the file's words for its NICs, bridges and addresses, as devices.
//!
//! ```text
//! NIC ──┬── core1           a VLAN device below Open vSwitch: an address in the core for each switch
//!       └── br1             a bridge for each group of linked switches, with the NIC, or a bond of several, as uplink
//!            └── lan        an internal port for each network in which the node has an address
//! core0                     no hardware: the node's own address in the core
//! ```
//!
//! A node that runs no machines has no bridges: its addresses are on the NIC, or on a VLAN device of it.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use stead_spec::Spec;
use stead_spec::host::Node;
use stead_spec::network::{Carrier, Network, Switch};
use stead_spec::units::{Interface, Mac, Mtu, SwitchName, Vlan};

use super::explain::{is_on, reaches, vlan};
use super::facts::Nic;
use crate::inventory::NodeInventory;
use crate::plan::planner::Hidden;

/// The device of a node's own address in the core.
pub(crate) const OWN: &str = "core0";

/// A node's networks as devices.
#[derive(Debug)]
pub(super) struct Layout<'a> {
    /// Its NICs, by their switches' numbers.
    pub(super) wires: Vec<Wire<'a>>,
    /// Its bridges.
    pub(super) bridges: Vec<Bridge<'a>>,
    /// Where it has addresses outside of the core.
    pub(super) ends: Vec<End<'a>>,
    /// Its own address in the core.
    pub(super) own: Ipv4Addr,
    /// The ways to the other nodes' own addresses.
    pub(super) others: Vec<Other>,
    /// The NICs that the file names and the node doesn't have.
    pub(super) missing: Vec<(&'a SwitchName, Mac)>,
}

/// A NIC.
#[derive(Debug)]
pub(super) struct Wire<'a> {
    pub(super) switch: &'a Switch,
    pub(super) mac: Mac,
    pub(super) nic: &'a Nic,
    /// The largest packet of what it carries.
    pub(super) mtu: Mtu,
    /// The core's address on it.
    pub(super) core: Option<Link>,
    /// The bridge that it is a port of.
    pub(super) bridge: Option<String>,
}

/// The core on a NIC.
#[derive(Debug)]
pub(super) struct Link {
    /// `core1`, or the NIC itself where the core has no tag.
    pub(super) device: String,
    pub(super) vlan: Option<Vlan>,
    pub(super) address: Interface,
}

/// A bridge of Open vSwitch's.
#[derive(Debug)]
pub(super) struct Bridge<'a> {
    pub(super) name: String,
    /// The NICs that are its way out, the one to be preferred first; or the core.
    pub(super) uplink: Uplink<'a>,
}

/// A bridge's way out.
#[derive(Debug)]
pub(super) enum Uplink<'a> {
    /// These NICs, to switches that are linked.
    Nics(Vec<(&'a Nic, Mac)>),
    /// Tunnels to the other nodes that have machines: their numbers and own addresses.
    Tunnels(Vec<(u8, Ipv4Addr)>),
}

/// Where a node has an address.
#[derive(Debug)]
pub(super) struct End<'a> {
    pub(super) network: &'a Network,
    pub(super) address: Interface,
    pub(super) on: On,
}

/// What an address is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum On {
    /// An internal port of a bridge, named as the network.
    Port { bridge: String },
    /// A VLAN device, named as the network.
    Tagged { nic: String },
    /// The NIC itself.
    Nic { nic: String },
}

/// Another node, and its addresses in the core by our devices.
#[derive(Debug)]
pub(super) struct Other {
    pub(super) own: Ipv4Addr,
    /// Our device, and the other one's address on that switch.
    pub(super) links: Vec<(String, Ipv4Addr)>,
}

/// The name of the bridge of networks over the core.
pub(super) const OVER_CORE: &str = "brcore";

/// What VXLAN needs around a packet is known to the spec; its bridge's MAC is made of this and the node's number, in the
/// range that anybody may use (IEEE 802: locally administered).
const OVER_CORE_MAC: [u8; 5] = [0x02, 0x73, 0x74, 0x65, 0x61];

impl<'a> Layout<'a> {
    /// Of a node, whose NICs are known.
    pub(super) fn of(spec: &'a Spec, node: &'a Node, seen: &'a NodeInventory) -> Result<Self, Hidden> {
        let nics = seen.nics.as_result().map_err(|why| Hidden::new("its NICs", why))?;
        let hardware = |mac: Mac| nics.iter().find(|nic| nic.driver.is_some() && nic.mac == Some(mac));
        let mut own: Vec<(&Switch, Mac)> =
            node.nics.iter().filter_map(|(name, mac)| Some((spec.switches().get(name)?, *mac))).collect();
        own.sort_by_key(|(switch, _)| switch.number);
        let mut layout = Self {
            wires: Vec::new(),
            bridges: Vec::new(),
            ends: Vec::new(),
            own: node.core.get(),
            others: Vec::new(),
            missing: Vec::new(),
        };
        for (switch, mac) in own {
            match hardware(mac) {
                Some(nic) => layout.wires.push(wire(spec, node, switch, mac, nic)),
                None => layout.missing.push((&switch.name, mac)),
            }
        }
        layout.bridges = bridges(spec, node, &layout.wires);
        layout.ends = spec.networks().values().filter_map(|network| layout.end(network, node)).collect();
        let others = spec.nodes().values().filter(|other| other.name != node.name);
        layout.others = others.map(|other| layout.other(other)).collect();
        layout.others.sort_by_key(|other| other.own);
        Ok(layout)
    }

    /// The core's ways out of this node, by their switches' numbers.
    pub(super) fn links(&self) -> impl Iterator<Item = (&Wire<'a>, &Link)> {
        self.wires.iter().filter_map(|wire| Some((wire, wire.core.as_ref()?)))
    }

    fn end(&self, network: &'a Network, node: &Node) -> Option<End<'a>> {
        let address = *node.addresses.get(&network.name)?;
        let on = match &network.carrier {
            Carrier::Core { .. } => On::Port { bridge: OVER_CORE.to_owned() },
            Carrier::Switches { switches, vlan } => {
                let wire = self.wires.iter().filter(|wire| switches.contains(&wire.switch.name));
                // The first of the file's is the one to be preferred.
                let wire = wire.min_by_key(|wire| switches.iter().position(|name| *name == wire.switch.name))?;
                match (&wire.bridge, vlan) {
                    (Some(bridge), _) => On::Port { bridge: bridge.clone() },
                    (None, Some(_)) => On::Tagged { nic: wire.nic.name.clone() },
                    (None, None) => On::Nic { nic: wire.nic.name.clone() },
                }
            }
        };
        Some(End { network, address, on })
    }

    fn other(&self, other: &Node) -> Other {
        let link = |(wire, link): (&Wire<'a>, &Link)| {
            let address = other.links.get(&wire.switch.name)?;
            Some((link.device.clone(), address.address().get()))
        };
        Other { own: other.core.get(), links: self.links().filter_map(link).collect() }
    }
}

/// A NIC with what it carries.
fn wire<'a>(spec: &'a Spec, node: &Node, switch: &'a Switch, mac: Mac, nic: &'a Nic) -> Wire<'a> {
    let core = spec.core();
    let link = node.links.get(&switch.name).map(|address| Link {
        device: core.vlan.map_or_else(|| nic.name.clone(), |_| core_device(switch)),
        vlan: core.vlan,
        address: *address,
    });
    let group = group(spec, &switch.name);
    let bridge = (!node.arbiter).then(|| group.as_ref().and_then(|group| bridge_name(spec, group))).flatten();
    let carried = on_switch(spec, &switch.name).filter(|network| reaches(network, node)).map(|network| network.mtu);
    let mtu = carried.chain(link.as_ref().map(|_| core.mtu)).max().unwrap_or(switch.mtu);
    Wire { switch, mac, nic, mtu, core: link, bridge }
}

/// The networks on a switch, but the core.
fn on_switch<'a>(spec: &'a Spec, switch: &'a SwitchName) -> impl Iterator<Item = &'a Network> {
    spec.networks().values().filter(move |network| is_on(network, switch))
}

/// The switches that a switch's networks go over. They are the same for all of its networks.
fn group(spec: &Spec, switch: &SwitchName) -> Option<BTreeSet<SwitchName>> {
    on_switch(spec, switch).find_map(|network| match &network.carrier {
        Carrier::Switches { switches, .. } => Some(switches.iter().cloned().collect()),
        Carrier::Core { .. } => None,
    })
}

/// The bridge that a network is on, on a node that has a way to it.
pub(crate) fn bridge(spec: &Spec, node: &Node, network: &Network) -> Option<String> {
    match &network.carrier {
        Carrier::Core { .. } => Some(OVER_CORE.to_owned()),
        Carrier::Switches { switches, .. } => {
            let near = switches.iter().any(|switch| node.nics.contains_key(switch));
            near.then(|| bridge_name(spec, &switches.iter().cloned().collect())).flatten()
        }
    }
}

/// `br` and the lowest of its switches' numbers.
fn bridge_name(spec: &Spec, group: &BTreeSet<SwitchName>) -> Option<String> {
    let numbers = group.iter().filter_map(|name| spec.switches().get(name)).map(|switch| switch.number);
    numbers.min().map(|number| format!("br{}", number.get()))
}

/// `core` and the switch's number: names of switches may be too long for a device.
pub(crate) fn core_device(switch: &Switch) -> String {
    format!("core{}", switch.number.get())
}

fn bridges<'a>(spec: &Spec, node: &Node, wires: &[Wire<'a>]) -> Vec<Bridge<'a>> {
    let names: BTreeSet<&String> = wires.iter().filter_map(|wire| wire.bridge.as_ref()).collect();
    let mut bridges: Vec<Bridge<'a>> = names
        .into_iter()
        .map(|name| {
            let mut own: Vec<&Wire<'a>> = wires.iter().filter(|wire| wire.bridge.as_ref() == Some(name)).collect();
            own.sort_by_key(|wire| preference(spec, &wire.switch.name));
            let nics = own.into_iter().map(|wire| (wire.nic, wire.mac)).collect();
            Bridge { name: name.clone(), uplink: Uplink::Nics(nics) }
        })
        .collect();
    let over_core = spec.networks().values().any(|network| matches!(network.carrier, Carrier::Core { .. }));
    if over_core && !node.arbiter {
        let others = spec.nodes().values().filter(|other| !other.arbiter && other.name != node.name);
        let mut ends: Vec<_> = others.map(|other| (other.number.get(), other.core.get())).collect();
        ends.sort_unstable();
        bridges.push(Bridge { name: OVER_CORE.to_owned(), uplink: Uplink::Tunnels(ends) });
    }
    bridges
}

/// Where a switch stands in the file's order for its networks.
fn preference(spec: &Spec, switch: &SwitchName) -> Option<usize> {
    on_switch(spec, switch).find_map(|network| match &network.carrier {
        Carrier::Switches { switches, .. } => switches.iter().position(|name| name == switch),
        Carrier::Core { .. } => None,
    })
}

impl Wire<'_> {
    /// Whether what has no tag on it is the file's. If not, whatever the node does with it, it goes on doing.
    pub(super) fn is_whole(&self, ends: &[End<'_>]) -> bool {
        self.bridge.is_some()
            || self.core.as_ref().is_some_and(|link| link.vlan.is_none())
            || ends.iter().any(|end| matches!(&end.on, On::Nic { nic } if *nic == self.nic.name))
    }
}

impl Bridge<'_> {
    /// Its address, and that of its ports: the NIC's, so that whoever knows it needs to learn nothing.
    pub(super) fn mac(&self, node: &Node) -> String {
        match &self.uplink {
            Uplink::Nics(nics) => nics.first().map(|(_, mac)| mac.to_string()).unwrap_or_default(),
            Uplink::Tunnels(_) => {
                let octets = OVER_CORE_MAC.into_iter().chain([node.number.get()]);
                octets.map(|octet| format!("{octet:02x}")).collect::<Vec<_>>().join(":")
            }
        }
    }
}

impl End<'_> {
    /// The device that has the address.
    pub(super) fn device(&self) -> &str {
        match &self.on {
            On::Port { .. } | On::Tagged { .. } => self.network.name.as_ref(),
            On::Nic { nic } => nic,
        }
    }

    /// Its tag, if the network has one there.
    pub(super) fn vlan(&self) -> Option<Vlan> {
        vlan(self.network)
    }
}
