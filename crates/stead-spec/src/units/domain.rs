use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use super::net::ipv4;

use super::{Address, Invalid, Port, Text, digits, label, string_type, text_serde};

/// A DNS domain of the cluster's own: `"home.arpa"`.
///
/// Labels by RFC 1123, 253 characters at most, in lower case and without a dot at the end. Not `local`, which belongs
/// to mDNS (RFC 6762, section 3), and not `localhost` (RFC 6761, section 6.3).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Domain(String);

impl Text for Domain {
    const WHAT: &'static str = "a DNS domain";
    const SYNTAX: &'static str = "A domain name without a dot at the end, not in `local` or `localhost`.";
    const EXAMPLE: &'static str = "home.arpa";
    const PATTERN: &'static str = "^[A-Za-z0-9-]+([.][A-Za-z0-9-]+)*$";
}

impl FromStr for Domain {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let DnsName(name) = text.parse()?;
        match name.rsplit('.').next() {
            Some("local") => {
                let reason = "`local` belongs to mDNS (RFC 6762), and its names aren't asked of any server";
                Err(Invalid::new(reason, "write home.arpa, which is kept for homes, or a domain that is yours"))
            }
            Some("localhost") => Err(Invalid::new(
                "by `localhost` each computer means itself",
                "write home.arpa, which is kept for homes, or a domain that is yours",
            )),
            _ => Ok(Self(name)),
        }
    }
}

/// A host's name, with dots or without: `"smtp.example.net"`, `"router"`.
///
/// Labels by RFC 1123, 253 characters at most; printed in lower case and without a dot at the end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DnsName(String);

const LONGEST: usize = 253;
const LONGEST_LABEL: usize = 63;

impl Text for DnsName {
    const WHAT: &'static str = "a host's name";
    const SYNTAX: &'static str = "A host's name, with its domain or without.";
    const EXAMPLE: &'static str = "smtp.example.net";
    const PATTERN: &'static str = Domain::PATTERN;
}

impl FromStr for DnsName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let how = "write names of letters a to z, digits and `-` with dots between, such as home.arpa";
        if text.is_empty() {
            return Err(Invalid::new("it is empty", how));
        }
        let lower = text.to_ascii_lowercase();
        if let Some(rest) = lower.strip_suffix('.') {
            return Err(Invalid::new("it ends with a dot", format!("leave the last dot out: write {rest}")));
        }
        if lower.len() > LONGEST {
            let reason = format!("it has {} characters, and {LONGEST} is the most", lower.len());
            return Err(Invalid::new(reason, "write a shorter one"));
        }
        for part in lower.split('.') {
            let wrong = |wrong: Invalid| match (part.is_empty(), lower.contains('.')) {
                (true, _) => Invalid::new("there is nothing before a dot or between two dots", how),
                (false, true) => Invalid::new(format!("in `{part}`, {}", wrong.reason), how),
                (false, false) => wrong,
            };
            label::check_in_domain(part, LONGEST_LABEL).map_err(wrong)?;
        }
        if lower.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit())) {
            return Err(Invalid::new("its last part is a number, as in an address", how));
        }
        Ok(Self(lower))
    }
}

string_type!(Domain, DnsName);

/// Where a service is, by address or by name: `"192.168.0.1"`, `"pool.ntp.org"`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Server {
    /// By its address.
    Address(Address),
    /// By its name.
    Name(DnsName),
}

impl Text for Server {
    const WHAT: &'static str = "a server";
    const SYNTAX: &'static str = "An IPv4 address or a host's name.";
    const EXAMPLE: &'static str = "pool.ntp.org";
    const PATTERN: &'static str = Domain::PATTERN;
}

impl FromStr for Server {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some((_, rest)) = text.split_once("://") {
            let host = rest.split('/').next().unwrap_or_default();
            return Err(Invalid::new("that is a URL", format!("write the host only: {host}")));
        }
        if let Some((host, port)) = text.split_once(':') {
            // With a second colon it is meant as an IPv6 address, of which there is more to say.
            let wrong = if port.contains(':') { ipv4(text).err() } else { None };
            let reason = "a port can't be chosen here";
            return Err(wrong.unwrap_or_else(|| Invalid::new(reason, format!("leave the port out: write {host}"))));
        }
        if looks_like_address(text) { text.parse().map(Self::Address) } else { text.parse().map(Self::Name) }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

/// A mail server, its port if it isn't the usual one: `"smtp.example.net:587"`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SmtpServer {
    server: Server,
    port: Option<Port>,
}

impl SmtpServer {
    /// Where it is.
    pub const fn server(&self) -> &Server {
        &self.server
    }

    /// Its port, if one is written.
    pub const fn port(&self) -> Option<Port> {
        self.port
    }
}

impl Text for SmtpServer {
    const WHAT: &'static str = "a mail server";
    const SYNTAX: &'static str = "An IPv4 address or a host's name; behind a colon its port, if it isn't the usual.";
    const EXAMPLE: &'static str = "smtp.example.net:587";
    const PATTERN: &'static str = "^[A-Za-z0-9-]+([.][A-Za-z0-9-]+)*(:[0-9]+)?$";
}

impl FromStr for SmtpServer {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (server, port) = host_and_port(text)?;
        Ok(Self { server: server.parse()?, port })
    }
}

impl fmt::Display for SmtpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.server.fmt(f)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// An e-mail address: `"alice@example.net"`.
///
/// One `@`; before it, letters, digits and what RFC 5322 calls `atext` with inner dots; behind it a host's name. Not a
/// dash first, which mail programs take for an option.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Email(String);

/// RFC 5321, section 4.5.3.1.1.
const LONGEST_LOCAL: usize = 64;

impl Email {
    /// What is before the `@`.
    pub fn local(&self) -> &str {
        self.0.split_once('@').map_or("", |(local, _)| local)
    }

    /// What is behind the `@`.
    pub fn domain(&self) -> &str {
        self.0.split_once('@').map_or("", |(_, domain)| domain)
    }
}

impl Text for Email {
    const WHAT: &'static str = "an e-mail address";
    const SYNTAX: &'static str = "A mailbox, the sign @ and a domain.";
    const EXAMPLE: &'static str = "alice@example.net";
    const PATTERN: &'static str = "^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+$";
}

impl FromStr for Email {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let how = "write an address such as alice@example.net";
        let Some((local, domain)) = text.split_once('@') else {
            return Err(Invalid::new("there is no @ in it", how));
        };
        if domain.contains('@') {
            return Err(Invalid::new("there is more than one @ in it", how));
        }
        let atext = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+/=?^_`{|}~-".contains(c);
        if local.is_empty() || local.len() > LONGEST_LOCAL {
            return Err(Invalid::new("what is before the @ has from 1 to 64 characters", how));
        }
        if local.starts_with('-') || !local.split('.').all(|part| !part.is_empty() && part.chars().all(atext)) {
            return Err(Invalid::new("what is before the @ is no mailbox", how));
        }
        let domain: DnsName = domain.parse().map_err(|wrong: Invalid| {
            Invalid::new(format!("what is behind the @ is no domain: {}", wrong.reason), wrong.remedy)
        })?;
        Ok(Self(format!("{local}@{domain}")))
    }
}

string_type!(Email);
text_serde!(Server, SmtpServer);

/// Whether whoever wrote it meant an IPv4 address, well or not.
pub(super) fn looks_like_address(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit() || b == b'.') || text.parse::<Ipv4Addr>().is_ok()
}

/// What is before the colon, and the port behind it if there is one.
pub(super) fn host_and_port(text: &str) -> Result<(&str, Option<Port>), Invalid> {
    match text.split_once(':') {
        Some((host, port)) if !port.contains([':', '/']) => {
            let how = "write a port from 1 to 65535 behind the colon, or leave the colon out";
            let port = digits(port).ok_or_else(|| Invalid::new("what is behind the colon is no port", how))?;
            Ok((host, Some(Port::new(port)?)))
        }
        _ => Ok((text, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{prints, refuses};
    use super::*;

    #[test]
    fn domains() {
        prints::<Domain>(&[
            ("home.arpa", "home.arpa"),
            ("Example.NET", "example.net"),
            ("lan", "lan"),
            ("163.com", "163.com"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("local.example.net", "local.example.net"),
        ]);
        for (text, why) in [
            ("", "empty"),
            ("home.arpa.", "write home.arpa"),
            ("local", "mDNS"),
            ("office.LOCAL", "mDNS"),
            ("localhost", "itself"),
            (".home", "before a dot"),
            ("home..arpa", "between two dots"),
            ("my_home.arpa", "in `my_home`, `_`"),
            ("-a.arpa", "begins or ends"),
            ("192.168.0.1", "last part is a number"),
            ("bücher.example", "aren't ASCII"),
            ("home arpa", "other than letters"),
        ] {
            refuses::<Domain>(text, why);
        }
        refuses::<Domain>(&"a.".repeat(127), "ends with a dot");
        refuses::<Domain>(&format!("{}a", "a.".repeat(127)), "253 is the most");
        refuses::<Domain>(&format!("{}.arpa", "a".repeat(64)), "63 is the most");
    }

    #[test]
    fn servers() {
        prints::<Server>(&[("192.168.0.1", "192.168.0.1"), ("pool.ntp.org", "pool.ntp.org"), ("NTP", "ntp")]);
        for (text, why) in [
            ("192.168.0.300", "more than 255"),
            ("127.0.0.1", "loopback"),
            ("fd00::1", "IPv6"),
            ("192.168.0.1:123", "leave the port out"),
            ("ntp:123", "leave the port out: write ntp"),
            ("https://ntp.example.net/x", "write the host only: ntp.example.net"),
            ("-x", "begins or ends"),
        ] {
            refuses::<Server>(text, why);
        }
        prints::<SmtpServer>(&[
            ("smtp.example.net:587", "smtp.example.net:587"),
            ("smtp", "smtp"),
            ("192.168.0.1:025", "192.168.0.1:25"),
        ]);
        for (text, why) in [
            ("smtp:", "no port"),
            ("smtp:0", "1 to 65535"),
            ("smtp:+25", "no port"),
            (":25", "empty"),
            ("fd00::1", "IPv6"),
            ("smtp://mail.example.net", "that is a URL"),
        ] {
            refuses::<SmtpServer>(text, why);
        }
    }

    #[test]
    fn mail_addresses() {
        prints::<Email>(&[
            ("alice@example.net", "alice@example.net"),
            ("Alice.B+x@Example.NET", "Alice.B+x@example.net"),
            ("root@localhost", "root@localhost"),
        ]);
        for (text, why) in [
            ("alice", "no @"),
            ("a@b@c", "more than one"),
            ("@example.net", "from 1 to 64"),
            ("alice@", "no domain"),
            ("al ice@example.net", "no mailbox"),
            ("-oQ@example.net", "no mailbox"),
            ("a..b@example.net", "no mailbox"),
            ("a\nb@example.net", "no mailbox"),
            ("Alice <a@example.net>", "no mailbox"),
        ] {
            refuses::<Email>(text, why);
        }
    }
}
