use toml::de::DeValue;

use crate::read::{FromToml, List, Map, Reader, Shape, Value, table, words};
use crate::units::{
    Address, Bytes, Domain, HostName, ImageName, Interface, Mac, NetworkName, Period, Port, Ports, RuleName, Source,
    VolumeName,
};

use super::End;
use crate::machines::Cpus;

words! {
    /// What the router is.
    pub(crate) enum Engine: "a router's engine" {
        /// OPNsense in machines of the cluster (amd64 only): a web page, and everything that OPNsense can.
        Opnsense = "opnsense",
        /// Debian's own parts on the nodes themselves: keepalived, nftables, dnsmasq. For small nodes.
        BuiltIn = "built-in",
    }
}

table! {
    /// The router between the networks and the internet: their gateway, firewall, DHCP and DNS. What no rule allows
    /// doesn't pass from one network to another or in from the internet.
    pub(crate) struct RouterTable {
        /// `"opnsense"` or `"built-in"`.
        need engine: Engine,
        /// Two that watch each other, of which the second takes over within seconds. Default: `true`.
        may pair: bool,
        /// The way to the internet.
        need wan: WanTable,
        /// The networks it routes for. Its address in each is the network's `gateway`.
        need networks: Map<NetworkName, RoutedTable>,
        /// The network on which a pair of OPNsense machines tell each other of connections: one for nothing else.
        may sync: NetworkName,
        /// OPNsense's image.
        may image: ImageName,
        /// The volume of the OPNsense machines' disks.
        may volume: VolumeName,
        /// Memory of each OPNsense machine. Default: `4GiB`.
        may memory: Bytes,
        /// Virtual CPUs of each OPNsense machine. Default: 2.
        may cpus: Cpus,
        /// How names are answered.
        may dns: DnsTable,
        /// Other computers with an address and a name of their own: printers, telephones.
        may host: Map<HostName, HostEntryTable>,
        /// What may pass. Rules only allow, so their order means nothing.
        may rule: Map<RuleName, RuleTable>,
        /// Ports of the internet side that lead to a machine.
        may forward: Map<RuleName, ForwardTable>,
    }
}

/// How the router gets its address on the internet side.
#[derive(Clone, Debug)]
pub(crate) enum WanAddress {
    /// The provider gives one.
    Dhcp,
    /// This one.
    Is(Interface),
}

impl FromToml for WanAddress {
    fn from_toml(value: &Value<'_>, reader: &mut Reader) -> Option<Self> {
        match value.get_ref() {
            DeValue::String(word) if word == "dhcp" => Some(Self::Dhcp),
            _ => Interface::from_toml(value, reader).map(Self::Is),
        }
    }

    fn shape() -> Shape {
        Shape::Either(vec![Shape::Words(&[("dhcp", "The provider gives one.")]), Interface::shape()])
    }
}

table! {
    /// The way to the internet.
    pub(crate) struct WanTable {
        /// The network that leads there. Nodes have no addresses in it.
        need network: NetworkName,
        /// `"dhcp"`, or the address that the provider gave, with its prefix: `"203.0.113.10/29"`. A pair shares it.
        /// Default: `"dhcp"`.
        may address: WanAddress,
        /// The provider's router. Has to be there with an address of one's own.
        may gateway: Address,
        /// The own addresses of a pair with a fixed address, one each.
        may members: List<Address>,
    }
}

table! {
    /// A network behind the router.
    pub(crate) struct RoutedTable {
        /// The own addresses of a pair, one each. The network's `gateway` is the one they share.
        may members: List<Address>,
        /// Addresses for whoever asks. Default: none are handed out, but to machines with a fixed address.
        may dhcp: DhcpTable,
        /// Whether it reaches the internet. Default: `true`.
        may internet: bool,
    }
}

table! {
    /// Addresses for whoever asks.
    pub(crate) struct DhcpTable {
        /// The first of them.
        need first: Address,
        /// The last of them.
        need last: Address,
        /// For how long. Default: `12h`.
        may lease: Period,
    }
}

table! {
    /// How names are answered. Machines and nodes have theirs in the cluster's domain without being listed.
    pub(crate) struct DnsTable {
        /// Who is asked what the router doesn't know. Default: the internet's root servers.
        may upstream: List<Address>,
        /// More names, whole ones.
        may names: Map<Domain, Address>,
    }
}

table! {
    /// A computer that is no machine of the cluster, with an address of its own.
    pub(crate) struct HostEntryTable {
        /// The network it is on.
        need network: NetworkName,
        /// Its address there.
        need address: Address,
        /// Its MAC address, if it asks for its address by DHCP.
        may mac: Mac,
    }
}

words! {
    /// What a rule is about.
    pub enum Protocol: "a protocol" {
        /// TCP.
        Tcp = "tcp",
        /// UDP.
        Udp = "udp",
        /// ping and its like; has no ports.
        Icmp = "icmp",
    }
}

table! {
    /// Something that may pass.
    pub(crate) struct RuleTable {
        /// From where: networks, machines, hosts, subnets, addresses, or `"internet"`.
        need from: List<End>,
        /// To where.
        need to: List<End>,
        /// Default: any.
        may protocol: Protocol,
        /// The ports it goes to: `443`, `"8000-8100"`. Needs a protocol that has ports. Default: any.
        may ports: List<PortsValue>,
    }
}

/// Ports: a number, or a text with a range.
#[derive(Clone, Debug)]
pub(crate) struct PortsValue(pub(crate) Ports);

impl FromToml for PortsValue {
    fn from_toml(value: &Value<'_>, reader: &mut Reader) -> Option<Self> {
        match value.get_ref() {
            DeValue::Integer(_) => Port::from_toml(value, reader).map(|port| Self(Ports::one(port))),
            _ => Ports::from_toml(value, reader).map(Self),
        }
    }

    fn shape() -> Shape {
        Shape::Either(vec![Port::shape(), Ports::shape()])
    }
}

table! {
    /// A port of the internet side that leads to a machine.
    pub(crate) struct ForwardTable {
        /// The port, or ports, on the internet side.
        need port: PortsValue,
        /// The machine or host it leads to; it needs a fixed address.
        need to: HostName,
        /// `"tcp"` or `"udp"`. Default: `"tcp"`.
        may protocol: Protocol,
        /// The port there, if it is another; for a range, the first.
        may to_port: Port,
        /// Who may come in. Default: everybody.
        may from: List<Source>,
    }
}
