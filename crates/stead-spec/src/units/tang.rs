use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use url::{Host, Url};

use super::net::no_hosts;
use super::{DnsName, Invalid, Text, text_serde};

/// Where a tang server listens: `"http://192.168.0.2:7500"`.
///
/// The scheme (http or https), the host and a port, which is printed unless it is the scheme's own. tang authenticates
/// what it answers by itself, so that http is as good.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TangUrl {
    host: TangHost,
    /// Unless it is the scheme's own.
    port: Option<u16>,
    https: bool,
}

/// The host of a [`TangUrl`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TangHost {
    /// By its address.
    Address(Ipv4Addr),
    /// By its name.
    Name(DnsName),
}

impl fmt::Display for TangHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

impl TangUrl {
    /// The host.
    pub const fn host(&self) -> &TangHost {
        &self.host
    }

    /// The port; 80 for http and 443 for https if none is written.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(if self.https { 443 } else { 80 })
    }

    /// Whether it is spoken to by TLS.
    pub const fn is_https(&self) -> bool {
        self.https
    }
}

impl Text for TangUrl {
    const WHAT: &'static str = "the URL of a tang server";
    const SYNTAX: &'static str = "http:// or https://, a host, and a colon and a port unless it is the usual one.";
    const EXAMPLE: &'static str = "http://192.168.0.2:7500";
    const PATTERN: &'static str = "^https?://[A-Za-z0-9.-]+(:[0-9]*)?/?$";
}

impl FromStr for TangUrl {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let how = "write http://, the server's address, and its port behind a colon, such as http://192.168.0.2:7500";
        let (scheme, https) = [("http://", false), ("https://", true)]
            .into_iter()
            .find(|(scheme, _)| text.starts_with(scheme))
            .ok_or_else(|| without_scheme(text, how))?;
        let authority = text.strip_prefix(scheme).unwrap_or(text);
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        if authority.contains('@') {
            return Err(Invalid::new("tang knows no users", "leave the user out"));
        }
        if authority.contains(['/', '?', '#']) {
            return Err(Invalid::new("something follows the host and its port", "leave it out"));
        }
        // The parser of URLs would make ASCII of anything, and take white space away: what is written here is meant.
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'[' | b']' | b'_');
        if authority.is_empty() || !authority.bytes().all(plain) {
            return Err(Invalid::new("the host is no address or name", how));
        }
        let url = Url::parse(&format!("{scheme}{authority}"))
            .map_err(|wrong| Invalid::new(format!("that is no URL ({wrong})"), how))?;
        if url.port() == Some(0) {
            return Err(Invalid::new("ports have the numbers 1 to 65535", how));
        }
        let host = match url.host() {
            Some(Host::Ipv4(address)) => {
                let written = authority.split(':').next().unwrap_or_default();
                if written != address.to_string() {
                    let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
                    let remedy = format!("write {scheme}{address}{port}, if you mean that");
                    return Err(Invalid::new("an IPv4 address has four decimal numbers", remedy));
                }
                if let Some(reason) = no_hosts(address) {
                    return Err(Invalid::new(reason, "write the address by which every node reaches the server"));
                }
                TangHost::Address(address)
            }
            Some(Host::Domain(name)) => TangHost::Name(name.parse()?),
            _ => return Err(Invalid::new("the host is an IPv6 address, which stead doesn't know here as yet", how)),
        };
        Ok(Self { host, port: url.port(), https })
    }
}

/// The scheme is missing, or is another.
fn without_scheme(text: &str, how: &str) -> Invalid {
    let with = format!("http://{}", text.split_once("://").map_or(text, |(_, rest)| rest));
    let remedy = if with.parse::<TangUrl>().is_ok() { format!("write {with}") } else { how.to_owned() };
    let reason = if text.contains("://") { "its scheme is neither http nor https" } else { "its scheme is missing" };
    Invalid::new(reason, remedy)
}

impl fmt::Display for TangUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.https { "https" } else { "http" }, self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

text_serde!(TangUrl);

#[cfg(test)]
mod tests {
    use super::super::tests::{prints, refuses};
    use super::*;

    #[test]
    fn servers_of_tang() {
        prints::<TangUrl>(&[
            ("http://192.168.0.2:7500", "http://192.168.0.2:7500"),
            ("http://192.168.0.2:80/", "http://192.168.0.2"),
            ("https://192.168.0.2:443", "https://192.168.0.2"),
            ("https://192.168.0.2:80", "https://192.168.0.2:80"),
            ("http://NAS.lan:7500", "http://nas.lan:7500"),
        ]);
        let url: TangUrl = "https://192.168.0.2".parse().expect("a URL");
        assert_eq!((url.host(), url.port()), (&TangHost::Address(Ipv4Addr::new(192, 168, 0, 2)), 443));
    }

    #[test]
    fn what_is_no_server_of_tang() {
        for (text, why) in [
            ("192.168.0.2:7500", "write http://192.168.0.2:7500"),
            ("nas", "write http://nas"),
            ("HTTP://192.168.0.2", "write http://192.168.0.2"),
            ("ftp://192.168.0.2", "neither http nor https"),
            ("http://192.168.0.2/adv", "leave it out"),
            ("http://192.168.0.2?x", "leave it out"),
            ("http://me@192.168.0.2", "no users"),
            ("http://3232235522:7500", "write http://192.168.0.2:7500"),
            ("http://0x7f.1", "write http://127.0.0.1"),
            ("http://127.0.0.1", "loopback"),
            ("http://192.168.0.300", "no URL"),
            ("http://[fd00::1]", "IPv6"),
            ("http://192.168.0.2:0", "1 to 65535"),
            ("http://192.168.0.2:65536", "no URL"),
            ("http://", "no address or name"),
            ("http:///", "no address or name"),
            ("http://a b", "no address or name"),
            ("http://192.168.0.2\n", "no address or name"),
            ("http://１92.168.0.2", "no address or name"),
            ("", "missing"),
        ] {
            refuses::<TangUrl>(text, why);
        }
    }
}
