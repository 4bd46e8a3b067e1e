use std::fmt;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::str::FromStr;

use ipnet::Ipv4Net;

use super::net::{ipv4, no_hosts};
use super::{Address, Invalid, Text, digits, text_serde};

/// An IPv4 network in CIDR notation: `"192.168.0.0/24"`, its prefix from 8 to 30.
///
/// The bits behind the prefix are zero. The first and the last address are the network's own and no host's. Only the
/// one that [`Interface::subnet`] gives may have a prefix of 31, where both are hosts'.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subnet(Ipv4Net);

impl Subnet {
    /// The network, if hosts can be in it.
    pub fn new(net: Ipv4Net) -> Result<Self, Invalid> {
        prefix_within(net, 8..=30)?;
        no_host_bits(net)?;
        usable(net).map(Self)
    }

    /// The network, as `ipnet` has it.
    pub const fn net(self) -> Ipv4Net {
        self.0
    }

    /// How many bits are the network's.
    pub const fn prefix_len(self) -> u8 {
        self.0.prefix_len()
    }

    /// Whether `address` is in it, be it a host's or the network's own.
    pub fn contains(self, address: impl Into<Ipv4Addr>) -> bool {
        self.0.contains(&address.into())
    }

    /// Whether a host in it can have `address`: it is inside, and neither the network's nor the broadcast address.
    pub fn is_host(self, address: impl Into<Ipv4Addr>) -> bool {
        let (net, address) = (self.0, address.into());
        let own = net.prefix_len() < 31 && (address == net.network() || address == net.broadcast());
        net.contains(&address) && !own
    }

    /// Whether an address is in both.
    pub fn overlaps(self, other: &Self) -> bool {
        overlap(self.0, other.0)
    }

    /// How many hosts have room in it.
    pub const fn hosts(self) -> u32 {
        match self.0.prefix_len() {
            31 => 2,
            bits => (1 << (32 - bits)) - 2,
        }
    }

    /// The host's address that comes `n` after the network's own, if there are as many.
    pub fn host(self, n: u32) -> Option<Address> {
        let address = Ipv4Addr::from(u32::from(self.0.network()).checked_add(n)?);
        if self.is_host(address) { Address::new(address).ok() } else { None }
    }

    /// That host's address with the prefix, if it is one of a host in it.
    pub fn interface(self, address: Address) -> Option<Interface> {
        self.is_host(address).then_some(Interface { address, prefix: self.0.prefix_len() })
    }
}

impl Text for Subnet {
    const WHAT: &'static str = "an IPv4 network";
    const SYNTAX: &'static str = "The network's first address, a slash and its prefix from 8 to 30.";
    const EXAMPLE: &'static str = "192.168.0.0/24";
    const PATTERN: &'static str = "^[0-9]{1,3}([.][0-9]{1,3}){3}/[0-9]{1,2}$";
}

impl FromStr for Subnet {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(cidr(text, Self::EXAMPLE)?)
    }
}

/// An address of one's own with the prefix of its network: `"203.0.113.10/29"`, the prefix from 8 to 31.
///
/// In a network of 31 bits, which joins two routers, both addresses are hosts' (RFC 3021).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Interface {
    address: Address,
    prefix: u8,
}

impl Interface {
    /// The address.
    pub const fn address(self) -> Address {
        self.address
    }

    /// How many bits are the network's: 8 to 31.
    pub const fn prefix_len(self) -> u8 {
        self.prefix
    }

    /// The network it is in.
    pub fn subnet(self) -> Subnet {
        Subnet(Ipv4Net::new(self.address.get(), self.prefix).unwrap_or_default().trunc())
    }

    /// Whether `address` is another host's of the same network, as a gateway's is.
    pub fn is_neighbour(self, address: impl Into<Ipv4Addr>) -> bool {
        let address = address.into();
        address != self.address.get() && self.subnet().is_host(address)
    }
}

impl Text for Interface {
    const WHAT: &'static str = "an address with its prefix";
    const SYNTAX: &'static str = "A host's IPv4 address, a slash and its network's prefix from 8 to 31.";
    const EXAMPLE: &'static str = "203.0.113.10/29";
    const PATTERN: &'static str = Subnet::PATTERN;
}

impl FromStr for Interface {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let net = cidr(text, Self::EXAMPLE)?;
        prefix_within(net, 8..=31)?;
        let address = Address::new(net.addr())?;
        if !Subnet(net.trunc()).is_host(address) {
            let which = if net.addr() == net.network() { "the network's own" } else { "its broadcast" };
            return Err(Invalid::new(
                format!("that is {which} address, which no host can have"),
                format!("write one between {} and {}, with the prefix", net.network(), net.broadcast()),
            ));
        }
        Ok(Self { address, prefix: net.prefix_len() })
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// Where packets may come from: a network `"10.8.0.0/24"` or one address `"203.0.113.7"`.
///
/// Any prefix from 0 to 32; `0.0.0.0/0` is everywhere. A single address is printed without its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source(Ipv4Net);

impl Source {
    /// The network, of 32 bits for a single address.
    pub const fn net(self) -> Ipv4Net {
        self.0
    }

    /// Whether a packet from `address` is meant.
    pub fn contains(self, address: impl Into<Ipv4Addr>) -> bool {
        self.0.contains(&address.into())
    }
}

impl Text for Source {
    const WHAT: &'static str = "where packets come from";
    const SYNTAX: &'static str = "An IPv4 network with its prefix, or one IPv4 address.";
    const EXAMPLE: &'static str = "10.8.0.0/24";
    const PATTERN: &'static str = "^[0-9]{1,3}([.][0-9]{1,3}){3}(/[0-9]{1,2})?$";
}

impl FromStr for Source {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let net = if text.contains('/') { cidr(text, Self::EXAMPLE)? } else { Ipv4Net::from(ipv4(text)?) };
        no_host_bits(net)?;
        match net.prefix_len() {
            32 if net.addr().is_unspecified() => {
                Err(Invalid::new("no packet comes from that one address", "write 0.0.0.0/0 if you mean everywhere"))
            }
            4.. => usable(net).map(Self),
            _ => Ok(Self(net)),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.prefix_len() == 32 { self.0.addr().fmt(f) } else { self.0.fmt(f) }
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

text_serde!(Subnet, Interface, Source);

fn overlap(a: Ipv4Net, b: Ipv4Net) -> bool {
    a.contains(&b.network()) || b.contains(&a.network())
}

fn prefix_within(net: Ipv4Net, bounds: RangeInclusive<u8>) -> Result<(), Invalid> {
    if bounds.contains(&net.prefix_len()) {
        return Ok(());
    }
    let (least, most) = bounds.into_inner();
    let which = if net.prefix_len() < least { "wide" } else { "narrow" };
    Err(Invalid::new(
        format!("a network with the prefix /{} is too {which}", net.prefix_len()),
        format!("write a prefix from /{least} to /{most}"),
    ))
}

fn no_host_bits(net: Ipv4Net) -> Result<(), Invalid> {
    if net.addr() == net.network() {
        return Ok(());
    }
    Err(Invalid::new("that is an address within a network, not the network", format!("write {}", net.trunc())))
}

/// The network, if it isn't one that has no hosts. For those that are wholly in one /8.
fn usable(net: Ipv4Net) -> Result<Ipv4Net, Invalid> {
    match no_hosts(net.network()) {
        Some(reason) => Err(Invalid::new(reason, "write a network of yours, such as 192.168.0.0/24")),
        None => Ok(net),
    }
}

/// An address with its prefix, whatever both may be for.
fn cidr(text: &str, example: &str) -> Result<Ipv4Net, Invalid> {
    let Some((address, prefix)) = text.split_once('/') else {
        let remedy = format!("write it behind the address, such as {example}");
        return Err(ipv4(text).map_or_else(|wrong| wrong, |_| Invalid::new("the prefix is missing", remedy)));
    };
    let address = ipv4(address)?;
    if let Ok(mask) = prefix.parse::<Ipv4Addr>() {
        let remedy = match Ipv4Net::with_netmask(address, mask) {
            Ok(net) => format!("write {net}"),
            Err(_) => format!("write a number of bits behind the slash, such as {example}"),
        };
        return Err(Invalid::new("that is a netmask instead of a prefix", remedy));
    }
    let bits = if prefix.len() <= 2 { digits::<u8>(prefix) } else { None };
    bits.and_then(|bits| Ipv4Net::new(address, bits).ok()).ok_or_else(|| {
        Invalid::new("the prefix is no number from 0 to 32", format!("write the number of bits, such as {example}"))
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{prints, refuses};
    use super::*;

    fn subnet(text: &str) -> Subnet {
        text.parse().expect(text)
    }

    #[test]
    fn subnets() {
        prints::<Subnet>(&[
            ("192.168.0.0/24", "192.168.0.0/24"),
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("10.0.0.0/08", "10.0.0.0/8"),
        ]);
        for (text, why) in [
            ("192.168.0.50/24", "write 192.168.0.0/24"),
            ("192.168.0.0/255.255.255.0", "write 192.168.0.0/24"),
            ("192.168.0.0/255.0.255.0", "netmask"),
            ("192.168.0.0", "prefix is missing"),
            ("192.168.0.0/31", "too narrow"),
            ("0.0.0.0/0", "too wide"),
            ("127.0.0.0/8", "loopback"),
            ("224.0.0.0/8", "multicast"),
            ("0.0.0.0/8", "no address"),
            ("192.168.0.0/33", "no number from 0 to 32"),
            ("192.168.0.0/+8", "no number"),
            ("192.168.0.0/", "no number"),
            ("192.168.0/24", "3 parts"),
            ("fd00::/64", "IPv6"),
            ("lan/24", "a name"),
        ] {
            refuses::<Subnet>(text, why);
        }
    }

    #[test]
    fn a_subnet_knows_its_hosts() {
        let small = subnet("203.0.113.8/30");
        let hosts: Vec<String> = (0..5).filter_map(|n| small.host(n)).map(|host| host.to_string()).collect();
        assert_eq!(hosts, ["203.0.113.9", "203.0.113.10"]);
        assert_eq!((small.hosts(), subnet("10.0.0.0/8").hosts()), (2, 16_777_214));
        assert_eq!(small.host(u32::MAX), None);
        assert!(small.contains(Ipv4Addr::new(203, 0, 113, 11)));
        assert!(!small.is_host(Ipv4Addr::new(203, 0, 113, 11)));
        assert!(!small.is_host(Ipv4Addr::new(203, 0, 113, 12)));
    }

    #[test]
    fn subnets_overlap_when_one_is_in_the_other() {
        assert!(subnet("10.0.0.0/8").overlaps(&subnet("10.20.0.0/16")));
        assert!(subnet("10.20.0.0/16").overlaps(&subnet("10.0.0.0/8")));
        assert!(!subnet("10.20.0.0/16").overlaps(&subnet("10.21.0.0/16")));
    }

    #[test]
    fn interfaces() {
        prints::<Interface>(&[("203.0.113.10/29", "203.0.113.10/29"), ("203.0.113.10/31", "203.0.113.10/31")]);
        for (text, why) in [
            ("203.0.113.8/29", "the network's own address"),
            ("203.0.113.15/29", "its broadcast address"),
            ("203.0.113.10", "such as 203.0.113.10/29"),
            ("203.0.113.10/32", "too narrow"),
            ("127.0.0.1/8", "loopback"),
        ] {
            refuses::<Interface>(text, why);
        }
        let uplink: Interface = "203.0.113.10/29".parse().expect("an interface");
        assert_eq!(uplink.subnet(), subnet("203.0.113.8/29"));
        assert_eq!(uplink.subnet().interface(uplink.address()), Some(uplink));
        assert_eq!(subnet("10.0.0.0/8").interface(uplink.address()), None);
        assert!(uplink.is_neighbour(Ipv4Addr::new(203, 0, 113, 9)));
        assert!(!uplink.is_neighbour(uplink.address()));
        assert!(!uplink.is_neighbour(Ipv4Addr::new(203, 0, 113, 8)));
        let link: Interface = "203.0.113.10/31".parse().expect("an interface");
        assert!(link.is_neighbour(Ipv4Addr::new(203, 0, 113, 11)));
        assert_eq!((link.subnet().to_string(), link.subnet().hosts()), ("203.0.113.10/31".to_owned(), 2));
        assert!(link.subnet().is_host(link.address()));
    }

    #[test]
    fn sources() {
        prints::<Source>(&[
            ("10.8.0.0/24", "10.8.0.0/24"),
            ("203.0.113.7", "203.0.113.7"),
            ("203.0.113.7/32", "203.0.113.7"),
            ("0.0.0.0/0", "0.0.0.0/0"),
        ]);
        for (text, why) in [
            ("0.0.0.0", "0.0.0.0/0 if you mean everywhere"),
            ("10.8.0.1/24", "write 10.8.0.0/24"),
            ("224.0.0.0/24", "multicast"),
            ("internet", "a name"),
            ("::/0", "IPv6"),
        ] {
            refuses::<Source>(text, why);
        }
        let one: Source = "203.0.113.7".parse().expect("a source");
        assert_eq!(one.net().prefix_len(), 32);
    }
}
