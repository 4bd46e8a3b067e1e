//! The router between the networks and the internet.

mod check;
pub(crate) mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use crate::check::Claim;
use crate::file::File;
use crate::machines::{self, Cpus};
use crate::network::table::NetworkTable;
use crate::network::{CORE, OnNetwork};
use crate::read::{At, Field, List};
use crate::units::{
    Address, Bytes, Domain, HostName, ImageName, Interface, Invalid, Mac, NetworkName, Period, Port, Ports, RuleName,
    Source, Text, VolumeName,
};
use table::{Engine, ForwardTable, RouterTable, RuleTable, WanAddress};

pub(crate) use check::check;
pub use table::Protocol;

/// The router between the networks and the internet.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Router {
    /// What it is.
    pub kind: RouterKind,
    /// Two that watch each other.
    pub pair: bool,
    /// The way to the internet.
    pub wan: Wan,
    /// The networks behind it. Never empty.
    pub networks: BTreeMap<NetworkName, Routed>,
    /// Who is asked what it doesn't know. Empty: the root servers.
    pub upstream: Vec<Address>,
    /// More names.
    pub names: BTreeMap<Domain, Address>,
    /// Computers that are no machines.
    pub hosts: BTreeMap<HostName, HostEntry>,
    /// What may pass; nothing else does.
    pub rules: BTreeMap<RuleName, Rule>,
    /// Ports of the internet side that lead inside.
    pub forwards: BTreeMap<RuleName, Forward>,
}

/// What a router is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouterKind {
    /// Debian's own parts on the nodes.
    BuiltIn,
    /// OPNsense in machines.
    Opnsense {
        /// What they start from.
        image: ImageName,
        /// Where their disks lie.
        volume: VolumeName,
        /// Memory of each.
        memory: Bytes,
        /// Virtual CPUs of each.
        cpus: Cpus,
        /// Where a pair tells each other of connections. There for a pair.
        sync: Option<NetworkName>,
    },
}

/// The way to the internet.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Wan {
    /// The network that leads there.
    pub network: NetworkName,
    /// The address there; nothing if the provider gives one.
    pub fixed: Option<WanFixed>,
}

/// An address that the provider gave for good.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WanFixed {
    /// Shared by a pair.
    pub address: Interface,
    /// The provider's router.
    pub gateway: Address,
    /// A pair's own addresses, the first one's first.
    pub members: Option<[Address; 2]>,
}

/// A network behind the router.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Routed {
    /// The address that machines know the router by.
    pub gateway: Interface,
    /// A pair's own addresses, the first one's first.
    pub members: Option<[Address; 2]>,
    /// Addresses for whoever asks.
    pub dhcp: Option<Dhcp>,
    /// Whether it reaches the internet.
    pub internet: bool,
}

/// Addresses for whoever asks; nothing in the file has one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dhcp {
    /// The first.
    pub first: Address,
    /// The last. Not before the first.
    pub last: Address,
    /// For how long.
    pub lease: Period,
}

/// A computer that is no machine of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HostEntry {
    /// Where it is.
    pub network: NetworkName,
    /// Its address there.
    pub address: Address,
    /// Its MAC address, if it asks for the address.
    pub mac: Option<Mac>,
}

/// Something that may pass.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rule {
    /// From any of these. Never empty.
    pub from: BTreeSet<Endpoint>,
    /// To any of these. Never empty.
    pub to: BTreeSet<Endpoint>,
    /// Any, if it isn't said.
    pub protocol: Option<Protocol>,
    /// Any, if it is empty.
    pub ports: Vec<Ports>,
}

/// A port of the internet side that leads inside.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Forward {
    /// On the internet side.
    pub ports: Ports,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// Where to.
    pub to: Address,
    /// The port there; of several, the first.
    pub to_port: Port,
    /// From these only, if there are any.
    pub from: Vec<Source>,
}

/// An end of what a rule lets pass.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Endpoint {
    /// Everything beyond the router's WAN side.
    Internet,
    /// Whatever is on a network that the router routes for.
    Network(NetworkName),
    /// These addresses.
    Source(Source),
}

/// An end of a rule, as the file names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum End {
    /// Everything beyond the router's WAN side.
    Internet,
    /// A network, a machine or a host of the file.
    Named(HostName),
    /// These addresses.
    Source(Source),
}

/// The word for [`End::Internet`].
const INTERNET: &str = "internet";

impl Text for End {
    const WHAT: &'static str = "an end of a rule";
    const SYNTAX: &'static str = "The name of a network, machine or host, a subnet, an address, or `internet`.";
    const EXAMPLE: &'static str = "lan";
    const PATTERN: &'static str = "^[a-z0-9./-]+$";
}

impl FromStr for End {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == INTERNET {
            return Ok(Self::Internet);
        }
        if ["any", "all"].contains(&text) {
            let remedy = "name each network and \"internet\", or write \"0.0.0.0/0\" for all addresses";
            return Err(Invalid::new("there is no word for everything", remedy));
        }
        if text == CORE {
            return Err(Invalid::new("the core is for nodes only", "name another network"));
        }
        // A name has no dot, and addresses have some.
        if text.contains(['.', '/', ':']) { text.parse().map(Self::Source) } else { text.parse().map(Self::Named) }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Internet => f.write_str(INTERNET),
            Self::Named(name) => name.fmt(f),
            Self::Source(source) => source.fmt(f),
        }
    }
}

/// OPNsense's makers ask for 3 GB at least.
const OPNSENSE_MEMORY: Bytes = Bytes::gib(4);

/// How long an address is lent unless the file says.
const LEASE: &str = "12h";

/// The router, if the file asks for one. The outer nothing is a mistake.
#[allow(clippy::option_option, reason = "nothing is what the file leaves out; the outer nothing is a mistake")]
pub(crate) fn build(file: &File) -> Option<Option<Router>> {
    let Some(table) = file.router.maybe()? else { return Some(None) };
    let kind = match table.engine.value()? {
        Engine::BuiltIn => RouterKind::BuiltIn,
        Engine::Opnsense => RouterKind::Opnsense {
            image: table.image.value()?.clone(),
            volume: table.volume.value()?.clone(),
            memory: table.memory.or(OPNSENSE_MEMORY)?,
            cpus: table.cpus.or(Cpus::new(2).ok()?)?,
            sync: table.sync.maybe()?,
        },
    };
    let dns = table.dns.value();
    let hosts = table.host.entries().map(|(name, host)| {
        let (network, address) = (host.value.network.value()?.clone(), *host.value.address.value()?);
        Some((name.value.clone(), HostEntry { network, address, mac: host.value.mac.maybe()? }))
    });
    Some(Some(Router {
        kind,
        pair: table.pair.or(true)?,
        wan: build_wan(&table)?,
        networks: build_networks(file, &table)?,
        upstream: dns.into_iter().flat_map(|dns| dns.upstream.items()).map(|server| server.value).collect(),
        names: dns
            .into_iter()
            .flat_map(|dns| dns.names.entries())
            .map(|(name, at)| (name.value.clone(), at.value))
            .collect(),
        hosts: hosts.collect::<Option<_>>()?,
        rules: table
            .rule
            .entries()
            .map(|(name, rule)| build_rule(file, &name.value, &rule.value))
            .collect::<Option<_>>()?,
        forwards: table
            .forward
            .entries()
            .map(|(name, forward)| build_forward(file, &name.value, &forward.value))
            .collect::<Option<_>>()?,
    }))
}

/// A pair's own addresses. Nothing for a single one; the outer nothing is a mistake.
#[allow(clippy::option_option, reason = "nothing is what a single router has; the outer nothing is a mistake")]
fn members_of(list: &Field<List<Address>>, pair: bool) -> Option<Option<[Address; 2]>> {
    match *list.items().map(|member| member.value).collect::<Vec<_>>() {
        [first, second] if pair => Some(Some([first, second])),
        [] if !pair => Some(None),
        _ => None,
    }
}

fn build_wan(table: &RouterTable) -> Option<Wan> {
    let pair = table.pair.or(true)?;
    let table = table.wan.value()?;
    let fixed = match table.address.or(WanAddress::Dhcp)? {
        WanAddress::Dhcp => None,
        WanAddress::Is(address) => {
            Some(WanFixed { address, gateway: *table.gateway.value()?, members: members_of(&table.members, pair)? })
        }
    };
    Some(Wan { network: table.network.value()?.clone(), fixed })
}

fn build_networks(file: &File, table: &RouterTable) -> Option<BTreeMap<NetworkName, Routed>> {
    let build = |name: &NetworkName, routed: &table::RoutedTable| {
        let (_, network) = file.network.find(name)?;
        let gateway = network.value.subnet.value()?.interface(*network.value.gateway.value()?)?;
        let dhcp = match routed.dhcp.maybe()? {
            None => None,
            Some(dhcp) => {
                let (first, last) = (*dhcp.first.value()?, *dhcp.last.value()?);
                Some(Dhcp { first, last, lease: dhcp.lease.or(LEASE.parse().ok()?)? })
            }
        };
        let members = members_of(&routed.members, table.pair.or(true)?)?;
        Some((name.clone(), Routed { gateway, members, dhcp, internet: routed.internet.or(true)? }))
    };
    table.networks.entries().map(|(name, routed)| build(&name.value, &routed.value)).collect()
}

fn build_rule(file: &File, name: &RuleName, table: &RuleTable) -> Option<(RuleName, Rule)> {
    let ends = |list: &Field<List<End>>| -> Option<BTreeSet<Endpoint>> {
        let resolved: Vec<_> = list.items().map(|end| resolve(file, &end.value)).collect::<Option<_>>()?;
        Some(resolved.into_iter().flatten().collect())
    };
    let rule = Rule {
        from: ends(&table.from)?,
        to: ends(&table.to)?,
        protocol: table.protocol.maybe()?,
        ports: table.ports.items().map(|ports| ports.value.0).collect(),
    };
    Some((name.clone(), rule))
}

fn build_forward(file: &File, name: &RuleName, table: &ForwardTable) -> Option<(RuleName, Forward)> {
    let ports = table.port.value()?.0;
    let forward = Forward {
        ports,
        protocol: table.protocol.or(Protocol::Tcp)?,
        to: fixed_address(file, table.to.value()?)?,
        to_port: table.to_port.or(ports.first())?,
        from: table.from.items().map(|source| source.value).collect(),
    };
    Some((name.clone(), forward))
}

/// What an end of a rule stands for: of a name, the network, or the addresses of the computer.
fn resolve(file: &File, end: &End) -> Option<Vec<Endpoint>> {
    let name = match end {
        End::Internet => return Some(vec![Endpoint::Internet]),
        End::Source(source) => return Some(vec![Endpoint::Source(*source)]),
        End::Named(name) => name,
    };
    let network = file.network.entries().find(|(network, _)| network.value.as_ref() == name.as_ref());
    if let Some((network, _)) = network {
        return Some(vec![Endpoint::Network(network.value.clone())]);
    }
    let one = |address: Address| address.to_string().parse().ok().map(Endpoint::Source);
    let of_node = |(_, network): (&At<NetworkName>, &At<NetworkTable>)| {
        let addresses = network.value.addresses.entries();
        addresses.filter(|(node, _)| node.value.as_ref() == name.as_ref()).map(|(_, address)| address.value).next()
    };
    let of_node: Vec<Address> = file.network.entries().filter_map(of_node).collect();
    let all = if of_node.is_empty() { vec![fixed_address(file, name)?] } else { of_node };
    all.into_iter().map(one).collect()
}

/// The address that the file gives a machine or a host.
pub(crate) fn fixed_address(file: &File, name: &HostName) -> Option<Address> {
    let machine = file.machine.entries().find(|(machine, _)| machine.value.as_ref() == name.as_ref());
    if let Some((_, machine)) = machine {
        return machine.value.networks.items().find_map(|card| card.table()?.address.value().copied());
    }
    let (_, host) = file.router.value()?.host.find(name)?;
    host.value.address.value().copied()
}

/// The network that a machine or a host has its fixed address in.
pub(crate) fn fixed_network(file: &File, name: &HostName) -> Option<NetworkName> {
    let own = machines::claims(file).into_iter().chain(claims(file));
    let address = fixed_address(file, name)?;
    own.into_iter().find(|on| on.claim.value == address).map(|on| on.network)
}

/// The addresses that the file gives the router and its hosts, beside the networks' gateways.
pub(crate) fn claims(file: &File) -> Vec<OnNetwork> {
    let Some(router) = file.router.value() else { return Vec::new() };
    let hosts = router.host.entries().filter_map(|(name, host)| {
        let (network, address) = (host.value.network.value()?, host.value.address.get()?);
        let who = format!("host `{}`", name.value);
        Some(OnNetwork { network: network.clone(), claim: Claim::new(address.value, &address.span, who) })
    });
    members(router).chain(hosts).collect()
}

fn members(router: &RouterTable) -> impl Iterator<Item = OnNetwork> {
    router.networks.entries().flat_map(|(name, routed)| {
        routed.value.members.items().map(move |member| {
            let claim = Claim::new(member.value, &member.span, "a member of the router");
            OnNetwork { network: name.value.clone(), claim }
        })
    })
}

/// The addresses of the router itself.
pub(crate) fn own_claims(file: &File) -> Vec<OnNetwork> {
    let Some(router) = file.router.value() else { return Vec::new() };
    let gateways = router.networks.entries().filter_map(|(name, _)| {
        let gateway = file.network.find(&name.value)?.1.value.gateway.get()?;
        let claim = Claim::new(gateway.value, &gateway.span, "the router");
        Some(OnNetwork { network: name.value.clone(), claim })
    });
    members(router).chain(gateways).collect()
}

/// The MAC addresses that the file gives hosts.
pub(crate) fn macs(file: &File) -> Vec<Claim<Mac>> {
    let hosts = file.router.value().into_iter().flat_map(|router| router.host.entries());
    let of = |(name, host): (&At<HostName>, &At<table::HostEntryTable>)| {
        let mac = host.value.mac.get()?;
        Some(Claim::new(mac.value, &mac.span, format!("host `{}`", name.value)))
    };
    hosts.filter_map(of).collect()
}
