use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::{Invalid, Text, digits, text_serde};

/// A network card's address: `"52:54:00:00:01:01"`.
///
/// Six octets in hexadecimal, with `:` or `-` between them; printed in lower case with `:`. Those of groups (IEEE 802:
/// the lowest bit of the first octet) and the one of zeros are no card's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac([u8; 6]);

impl Mac {
    /// The address of these octets, if a card can have it.
    pub fn new(octets: [u8; 6]) -> Result<Self, Invalid> {
        let how = "write the address that `ip link` shows for the card";
        if octets[0] & 1 == 1 {
            return Err(Invalid::new("that is the address of a group, not of one card", how));
        }
        if octets == [0; 6] {
            return Err(Invalid::new("no card has that address", how));
        }
        Ok(Self(octets))
    }

    /// The six octets.
    pub const fn octets(self) -> [u8; 6] {
        self.0
    }
}

impl Text for Mac {
    const WHAT: &'static str = "a MAC address";
    const SYNTAX: &'static str = "Six pairs of hexadecimal digits with a colon between them.";
    const EXAMPLE: &'static str = "52:54:00:00:01:01";
    const PATTERN: &'static str = "^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}$|^[0-9A-Fa-f]{2}(-[0-9A-Fa-f]{2}){5}$";
}

impl FromStr for Mac {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = |remedy: &str| Invalid::new("that isn't six pairs of hexadecimal digits with `:` between", remedy);
        let how = "write it as `ip link` shows it, such as 52:54:00:00:01:01";
        let bare: String = text.chars().filter(|c| !matches!(c, ':' | '-' | '.')).collect();
        let hex = bare.len() == 12 && bare.bytes().all(|b| b.is_ascii_hexdigit());
        let bits = if hex { u64::from_str_radix(&bare, 16).ok() } else { None };
        let [_, _, octets @ ..] = bits.ok_or_else(|| wrong(how))?.to_be_bytes();
        let separated = |by: char| text.split(by).count() == 6 && text.split(by).all(|part| part.len() == 2);
        if !separated(':') && !separated('-') {
            return Err(wrong(&format!("write {}", Self(octets))));
        }
        Self::new(octets)
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, octet) in self.0.iter().enumerate() {
            write!(f, "{}{octet:02x}", if n == 0 { "" } else { ":" })?;
        }
        Ok(())
    }
}

/// An IPv4 address that a node, a machine or another host can have: `"192.168.0.50"`.
///
/// Not one that means something else: a group (224.0.0.0/4), everybody (255.255.255.255), nobody (0.0.0.0/8), the
/// computer itself (127.0.0.0/8), what IANA keeps (240.0.0.0/4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(Ipv4Addr);

impl Address {
    /// The address, if a host can have it.
    pub fn new(address: Ipv4Addr) -> Result<Self, Invalid> {
        match no_hosts(address) {
            Some(reason) => Err(Invalid::new(reason, "write an address of your network, such as 192.168.0.50")),
            None => Ok(Self(address)),
        }
    }

    /// The address, as the standard library has it.
    pub const fn get(self) -> Ipv4Addr {
        self.0
    }
}

impl From<Address> for Ipv4Addr {
    fn from(address: Address) -> Self {
        address.get()
    }
}

impl Text for Address {
    const WHAT: &'static str = "an IPv4 address";
    const SYNTAX: &'static str = "An IPv4 address without a prefix.";
    const EXAMPLE: &'static str = "192.168.0.50";
    const PATTERN: &'static str = "^[0-9]{1,3}([.][0-9]{1,3}){3}$";
}

impl FromStr for Address {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some((address, _)) = text.split_once('/')
            && let Ok(address) = ipv4(address)
        {
            return Err(Invalid::new("that has a prefix", format!("leave the prefix out: write {address}")));
        }
        ipv4(text).and_then(Self::new)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

text_serde!(Mac, Address);

/// Why no host can have that address, nor any other of its /8.
pub(super) fn no_hosts(address: Ipv4Addr) -> Option<&'static str> {
    Some(match address.octets() {
        [0, 0, 0, 0] => "0.0.0.0 stands for no address at all",
        [0, ..] => "addresses that begin with 0 stand for this network, and no host has one",
        [127, ..] => "that is a loopback address, by which each computer means itself",
        [224..=239, ..] => "that is a multicast address, which a group of hosts listens to",
        [255, 255, 255, 255] => "that is the broadcast address, which every host listens to",
        [240..=255, ..] => "addresses from 240.0.0.0 on are reserved",
        _ => return None,
    })
}

/// The IPv4 address that a text is, whatever it may be for.
pub(super) fn ipv4(text: &str) -> Result<Ipv4Addr, Invalid> {
    let how = "write an IPv4 address, such as 192.168.0.50";
    if text.is_empty() {
        return Err(Invalid::new("that is empty", how));
    }
    let first = text.split(['/', '%']).next().unwrap_or_default();
    if first.trim_matches(['[', ']']).parse::<Ipv6Addr>().is_ok() {
        let reason = "that is an IPv6 address, and stead gives nodes and machines IPv4 addresses only as yet";
        return Err(Invalid::new(reason, how));
    }
    if let Some((address, _)) = text.split_once(':')
        && let Ok(address) = address.parse::<Ipv4Addr>()
    {
        return Err(Invalid::new("that has a port", format!("leave the port out: write {address}")));
    }
    if text.chars().any(char::is_alphabetic) {
        return Err(Invalid::new("that is a name", "write the address that the name stands for"));
    }
    if text.contains(|c: char| !c.is_ascii_digit() && c != '.') {
        return Err(Invalid::new("an address has digits and dots only", how));
    }
    let parts = text.split('.').count();
    if parts != 4 {
        return Err(Invalid::new(format!("that has {parts} parts instead of four"), how));
    }
    let mut octets = [0; 4];
    for ((octet, part), which) in octets.iter_mut().zip(text.split('.')).zip(["first", "second", "third", "last"]) {
        if part.is_empty() {
            return Err(Invalid::new(format!("the {which} part is empty"), how));
        }
        if part.len() > 1 && part.starts_with('0') {
            let reason = format!("the {which} part begins with 0, which some programs read as octal");
            return Err(Invalid::new(reason, "leave that 0 out"));
        }
        *octet = digits(part).ok_or_else(|| {
            let number = if part.len() > 5 { String::new() } else { format!("{part}, ") };
            Invalid::new(format!("the {which} part is {number}more than 255"), how)
        })?;
    }
    Ok(octets.into())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{prints, refuses};
    use super::*;

    #[test]
    fn cards() {
        prints::<Mac>(&[
            ("52:54:00:00:01:01", "52:54:00:00:01:01"),
            ("52-54-00-AB-CD-EF", "52:54:00:ab:cd:ef"),
            ("00:1B:21:00:00:01", "00:1b:21:00:00:01"),
        ]);
        for (text, why) in [
            ("01:00:5e:00:00:01", "group"),
            ("ff:ff:ff:ff:ff:ff", "group"),
            ("00:00:00:00:00:00", "no card"),
            ("525400000101", "write 52:54:00:00:01:01"),
            ("5254.0000.0101", "write 52:54:00:00:01:01"),
            ("52:54-00:00:01:01", "write 52:54:00:00:01:01"),
            ("52:54:00:00:01", "six pairs"),
            ("52:54:00:00:01:0g", "six pairs"),
            ("52:54:00:00:01:+1", "six pairs"),
            ("", "six pairs"),
        ] {
            refuses::<Mac>(text, why);
        }
    }

    #[test]
    fn addresses() {
        prints::<Address>(&[("192.168.0.50", "192.168.0.50"), ("10.0.0.0", "10.0.0.0")]);
        for (text, why) in [
            ("192.168.0.300", "the last part is 300, more than 255"),
            ("192.168.0.99999999999999999999", "the last part is more than 255"),
            ("192.168.0", "3 parts"),
            ("192.168..1", "third part is empty"),
            ("192.168.010.1", "octal"),
            ("192.168.0.50/24", "leave the prefix out: write 192.168.0.50"),
            ("192.168.0.50:22", "leave the port out: write 192.168.0.50"),
            ("router.lan", "that is a name"),
            ("fd00::1", "IPv6"),
            ("fd00::1/64", "IPv6"),
            ("::", "IPv6"),
            ("0.0.0.0", "no address at all"),
            ("0.1.2.3", "begin with 0"),
            ("224.0.0.1", "multicast"),
            ("255.255.255.255", "broadcast"),
            ("250.0.0.1", "reserved"),
            ("127.0.0.1", "loopback"),
            (" 192.168.0.1", "digits and dots"),
            ("+1.2.3.4", "digits and dots"),
            ("", "empty"),
        ] {
            refuses::<Address>(text, why);
        }
    }
}
