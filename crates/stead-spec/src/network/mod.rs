//! Switches and networks.

mod check;
mod segments;
pub(crate) mod table;
mod tags;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use crate::file::File;
use crate::host::number_in;
use crate::read::At;
use crate::units::{
    Address, Interface, Invalid, Mtu, NetworkName, NodeName, Number, Source, Subnet, SwitchName, Text, Vlan, text_serde,
};
use table::{NetworkTable, SwitchTable};

use check::claims;
pub(crate) use check::{OnNetwork, addresses, check};
pub(crate) use segments::Segments;

/// The name of the nodes' own network.
pub const CORE: &str = "core";

/// How many bytes VXLAN puts in front of a packet: IPv4 20, UDP 8, VXLAN 8, and the inner Ethernet header 14 (RFC 7348).
pub(crate) const VXLAN_OVERHEAD: u16 = 50;

/// Ethernet's payload, and what a network or a switch takes unless the file says otherwise.
const ETHERNET_MTU: u16 = 1500;

/// How many addresses each part of the core's pool has: one part for the nodes themselves, one for each switch.
const POOL_PART: u32 = 256;

/// A switch.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Switch {
    /// Its name.
    pub name: SwitchName,
    /// Which part of the core's pool is for it.
    pub number: Number,
    /// The largest packet it passes, without the Ethernet header.
    pub mtu: Mtu,
    /// The switches that a cable connects with it, whichever side says so.
    pub linked_to: BTreeSet<SwitchName>,
    /// The name it had before.
    pub was: Option<SwitchName>,
}

/// The nodes' own network, routed over every switch that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Core {
    /// Its VLAN tag on each switch.
    pub vlan: Option<Vlan>,
    /// The largest packet in it, on each of its switches.
    pub mtu: Mtu,
    /// All of its addresses.
    pub pool: Subnet,
    /// Its network on each of its switches. Never empty.
    pub links: BTreeMap<SwitchName, Subnet>,
    numbers: BTreeMap<SwitchName, Number>,
}

/// A network for machines, and for the nodes that have addresses in it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Network {
    /// Its name.
    pub name: NetworkName,
    /// What it goes over.
    pub carrier: Carrier,
    /// The largest packet in it. Fits what carries it.
    pub mtu: Mtu,
    /// Its addresses.
    pub subnet: Option<Subnet>,
    /// Its router. Inside `subnet`.
    pub gateway: Option<Address>,
    /// Who answers names for the nodes with addresses in it.
    pub dns: Vec<Address>,
    /// The nodes' addresses in it. Inside `subnet`.
    pub addresses: BTreeMap<NodeName, Interface>,
    /// The name it had before.
    pub was: Option<NetworkName>,
}

/// What a network goes over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// Switches: one, or several that are linked with each other.
    Switches {
        /// In the order of the file: the first is used while it works. Never empty.
        switches: Vec<SwitchName>,
        /// Its tag on them; no other network there has the same.
        vlan: Option<Vlan>,
    },
    /// The core, from node to node.
    Core {
        /// Its tag; no other network over the core has the same.
        vlan: Vlan,
    },
}

/// From where packets come: a network of the file, or addresses.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// Whatever is on that network.
    Network(NetworkName),
    /// These addresses.
    Source(Source),
}

impl Text for Origin {
    const WHAT: &'static str = "a network or addresses";
    const SYNTAX: &'static str = "The name of a network, a subnet such as `10.8.0.0/24`, or an address.";
    const EXAMPLE: &'static str = "lan";
    const PATTERN: &'static str = "^[a-z0-9./-]+$";
}

impl FromStr for Origin {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // A name has no dot, and addresses have some.
        if text.contains(['.', '/', ':']) { text.parse().map(Self::Source) } else { text.parse().map(Self::Network) }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(name) => name.fmt(f),
            Self::Source(source) => source.fmt(f),
        }
    }
}

text_serde!(Origin);

impl Core {
    /// The part of the pool that has the nodes' own addresses: the first.
    pub fn own(&self) -> Subnet {
        let base = self.pool.net().network();
        // A pool has room for more than one part.
        format!("{base}/24").parse().unwrap_or(self.pool)
    }

    /// The address that is a node's own, whichever of its NICs works: in the first part of the pool.
    pub(crate) fn address(&self, node: Number) -> Option<Address> {
        self.nth(u32::from(node.get()))
    }

    /// A node's address on the NIC to this switch, with the prefix of the switch's part.
    pub(crate) fn link_address(&self, switch: &SwitchName, node: Number) -> Option<Interface> {
        let part = self.numbers.get(switch)?;
        let address = self.nth(u32::from(part.get()) * POOL_PART + u32::from(node.get()))?;
        self.links.get(switch)?.interface(address)
    }

    fn nth(&self, offset: u32) -> Option<Address> {
        let base = u32::from(self.pool.net().network());
        let address = Ipv4Addr::from(base.checked_add(offset)?);
        self.pool.contains(address).then(|| Address::new(address).ok()).flatten()
    }
}

/// What the file says of the core, with its name.
pub(crate) fn core_table(file: &File) -> Option<(&At<NetworkName>, &At<NetworkTable>)> {
    file.network.entries().find(|(name, _)| name.value.as_ref() == CORE)
}

/// Every address that the file gives something in a network.
pub(crate) fn all_claims(file: &File) -> impl Iterator<Item = OnNetwork> {
    claims(file).into_iter().chain(crate::machines::claims(file)).chain(crate::router::claims(file))
}

/// A switch's number: the one it says, else the one that its name ends in.
pub(crate) fn switch_number(name: &SwitchName, table: &SwitchTable) -> Option<Number> {
    table.number.maybe()?.or_else(|| number_in(name.as_ref()))
}

/// What a switch passes.
pub(crate) fn switch_mtu(table: &SwitchTable) -> Option<Mtu> {
    table.mtu.or(Mtu::new(i64::from(ETHERNET_MTU)).ok()?)
}

/// A network's largest packet: the one it says, else what fits.
pub(crate) fn network_mtu(file: &File, name: &NetworkName, table: &NetworkTable) -> Option<Mtu> {
    if let Some(said) = table.mtu.maybe()? {
        return Some(said);
    }
    let most = carried_mtu(file, table)?;
    if name.as_ref() == CORE { Some(most) } else { Some(most.min(Mtu::new(i64::from(ETHERNET_MTU)).ok()?)) }
}

/// The largest packet that what carries a network passes.
pub(crate) fn carried_mtu(file: &File, table: &NetworkTable) -> Option<Mtu> {
    if table.over.value().is_some() {
        let (name, core) = core_table(file)?;
        // A core over the core has been refused, and must not lead in circles.
        let core =
            if core.value.over.is_missing() { network_mtu(file, &name.value, &core.value)? } else { return None };
        return Mtu::new(i64::from(core.get().checked_sub(VXLAN_OVERHEAD)?)).ok();
    }
    let of = |switch: &At<SwitchName>| file.switch.find(&switch.value).and_then(|(_, table)| switch_mtu(&table.value));
    table.switches.items().filter_map(of).min()
}

pub(crate) fn build_switches(file: &File) -> Option<BTreeMap<SwitchName, Switch>> {
    let build = |name: &SwitchName, table: &SwitchTable| {
        let says: BTreeSet<_> = table.linked_to.items().map(|other| other.value.clone()).collect();
        let of_others = file
            .switch
            .entries()
            .filter(|(_, other)| other.value.linked_to.items().any(|linked| linked.value == *name));
        let linked_to = says.into_iter().chain(of_others.map(|(other, _)| other.value.clone())).collect();
        let (number, mtu) = (switch_number(name, table)?, switch_mtu(table)?);
        let was = table.was.maybe()?;
        Some((name.clone(), Switch { name: name.clone(), number, mtu, linked_to, was }))
    };
    file.switch.entries().map(|(name, table)| build(&name.value, &table.value)).collect()
}

pub(crate) fn build_core(file: &File, switches: &BTreeMap<SwitchName, Switch>) -> Option<Core> {
    let (name, table) = core_table(file)?;
    let table = &table.value;
    let pool = *table.pool.value()?;
    let mut numbers = BTreeMap::new();
    let mut links = BTreeMap::new();
    for switch in table.switches.items() {
        let number = switches.get(&switch.value)?.number;
        numbers.insert(switch.value.clone(), number);
        links.insert(switch.value.clone(), pool_part(pool, number)?);
    }
    Some(Core { vlan: table.vlan.maybe()?, mtu: network_mtu(file, &name.value, table)?, pool, links, numbers })
}

/// The part of the core's pool that is a switch's.
pub(crate) fn pool_part(pool: Subnet, switch: Number) -> Option<Subnet> {
    let base = u32::from(pool.net().network()).checked_add(u32::from(switch.get()) * POOL_PART)?;
    let part: Subnet = format!("{}/24", Ipv4Addr::from(base)).parse().ok()?;
    (pool.contains(part.net().network()) && pool.prefix_len() < 24).then_some(part)
}

pub(crate) fn build_networks(file: &File) -> Option<BTreeMap<NetworkName, Network>> {
    let others = file.network.entries().filter(|(name, _)| name.value.as_ref() != CORE);
    others.map(|(name, table)| build_network(file, &name.value, &table.value)).collect()
}

fn build_network(file: &File, name: &NetworkName, table: &NetworkTable) -> Option<(NetworkName, Network)> {
    let vlan = table.vlan.maybe()?;
    let carrier = match table.over.maybe()? {
        Some(table::Over::Core) => Carrier::Core { vlan: vlan? },
        None => Carrier::Switches { switches: table.switches.items().map(|at| at.value.clone()).collect(), vlan },
    };
    let subnet = table.subnet.maybe()?;
    let address =
        |(node, address): (&At<NodeName>, &At<Address>)| Some((node.value.clone(), subnet?.interface(address.value)?));
    let network = Network {
        name: name.clone(),
        carrier,
        mtu: network_mtu(file, name, table)?,
        subnet,
        gateway: table.gateway.maybe()?,
        dns: table.dns.items().map(|server| server.value).collect(),
        addresses: table.addresses.entries().map(address).collect::<Option<_>>()?,
        was: table.was.maybe()?,
    };
    Some((name.clone(), network))
}
