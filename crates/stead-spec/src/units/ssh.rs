use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use super::domain::{host_and_port, looks_like_address};
use super::net::ipv4;
use super::{Invalid, Port, Text, text_serde};

/// Whom ssh is to log in to: `"root@192.168.0.50"`, `"node1"`, `"admin@[fd00::1]:2222"`.
///
/// The user and the port may be left out. The host is a name (also one of ssh's own configuration, so the case is
/// kept), an IPv4 address, or an IPv6 address in brackets. Nothing in it can be taken for an option of ssh or mean
/// something to a shell.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SshTarget {
    user: Option<String>,
    host: String,
    port: Option<Port>,
}

impl SshTarget {
    /// As whom, if that is written.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The host, an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, if one is written.
    pub fn port(&self) -> Option<u16> {
        self.port.map(Port::get)
    }
}

impl Text for SshTarget {
    const WHAT: &'static str = "a host to log in to";
    const SYNTAX: &'static str = "A user and @, which may be left out; a host's name, its IPv4 address or its IPv6 \
                                  address in brackets; a colon and a port, which may be left out.";
    const EXAMPLE: &'static str = "root@192.168.0.50";
    const PATTERN: &'static str =
        "^([A-Za-z0-9_][A-Za-z0-9_.-]*@)?([A-Za-z0-9][A-Za-z0-9_.-]*|\\[[0-9A-Fa-f:.]+\\])(:[0-9]+)?$";
}

/// What users and hosts are made of: nothing that ssh, a shell or an address gives a meaning to.
fn plain(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

impl FromStr for SshTarget {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let how = "write USER@HOST, such as root@192.168.0.50";
        if text.contains("://") {
            return Err(Invalid::new("that is a URL", how));
        }
        let (user, rest) = match text.split_once('@') {
            Some((user, rest)) => (Some(user), rest),
            None => (None, text),
        };
        if let Some(user) = user {
            if user.is_empty() {
                return Err(Invalid::new("there is no user before the @", "write the user, or leave the @ out"));
            }
            if user.starts_with('-') {
                return Err(Invalid::new("ssh would take a user that begins with `-` for an option", how));
            }
            if !plain(user) || user.starts_with('.') {
                return Err(Invalid::new("a user has letters, digits and `_.-` only", how));
            }
        }
        let (host, port) = match rest.strip_prefix('[') {
            Some(rest) => in_brackets(rest)?,
            None if rest.parse::<Ipv6Addr>().is_ok() => {
                return Err(Invalid::new("an IPv6 address stands in brackets here", format!("write [{rest}]")));
            }
            None => {
                let (host, port) = host_and_port(rest)?;
                check_host(host)?;
                (host.to_owned(), port)
            }
        };
        Ok(Self { user: user.map(str::to_owned), host, port })
    }
}

/// An IPv6 address whose bracket is open, and the port behind it if there is one.
fn in_brackets(text: &str) -> Result<(String, Option<Port>), Invalid> {
    let (address, behind) = text
        .split_once(']')
        .ok_or_else(|| Invalid::new("a bracket isn't closed", "write an IPv6 address as [fd00::1]"))?;
    let address: Ipv6Addr = address.parse().map_err(|_| {
        Invalid::new("in the brackets is no IPv6 address", "write a name or an IPv4 address without them")
    })?;
    match host_and_port(behind)? {
        ("", port) => Ok((address.to_string(), port)),
        _ => Err(Invalid::new("something follows the bracket", "leave it out")),
    }
}

fn check_host(host: &str) -> Result<(), Invalid> {
    let how = "write the host's name or its address, such as node1 or 192.168.0.50";
    if host.is_empty() {
        return Err(Invalid::new("there is no host", how));
    }
    if host.starts_with('-') {
        return Err(Invalid::new("ssh would take a host that begins with `-` for an option", how));
    }
    if !plain(host) || !host.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return Err(Invalid::new("a host has letters, digits and `_.-` only", how));
    }
    if host.split('.').any(str::is_empty) {
        return Err(Invalid::new("the host ends with a dot or has two in a row", how));
    }
    if host.len() > 253 {
        return Err(Invalid::new(format!("the host has {} characters, and 253 is the most", host.len()), how));
    }
    if looks_like_address(host) {
        ipv4(host)?;
    }
    Ok(())
}

impl fmt::Display for SshTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        if self.host.contains(':') {
            write!(f, "[{}]", self.host)?;
        } else {
            f.write_str(&self.host)?;
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

text_serde!(SshTarget);

#[cfg(test)]
mod tests {
    use super::super::tests::{prints, refuses};
    use super::*;

    #[test]
    fn targets() {
        for text in [
            "root@192.168.0.50",
            "node1",
            "my_Alias",
            "admin@node1.home.arpa:2222",
            "127.0.0.1:40022",
            "root@[fd00::1]:22",
            "[::1]",
        ] {
            prints::<SshTarget>(&[(text, text)]);
        }
        prints::<SshTarget>(&[("[FD00:0::1]:022", "[fd00::1]:22")]);
        let target: SshTarget = "root@[fd00::1]:2222".parse().expect("a target");
        assert_eq!((target.user(), target.host(), target.port()), (Some("root"), "fd00::1", Some(2222)));
    }

    #[test]
    fn nothing_that_ssh_or_a_shell_would_take_for_something_else() {
        for (text, why) in [
            ("-oProxyCommand=touch", "for an option"),
            ("-l@host", "for an option"),
            ("root@-oProxyCommand", "for an option"),
            ("root@host;reboot", "only"),
            ("root@$(reboot)", "only"),
            ("root@`reboot`", "only"),
            ("ro\"ot@host", "only"),
            ("root@ho st", "only"),
            ("root@host\n", "only"),
            ("a@b@c", "only"),
            ("root@", "no host"),
            ("@host", "no user"),
            ("", "no host"),
            ("host:", "no port"),
            ("host:0", "1 to 65535"),
            ("host:22:22", "only"),
            ("fd00::1", "write [fd00::1]"),
            ("[fd00::1", "isn't closed"),
            ("[node1]", "no IPv6"),
            ("[fd00::1]x", "follows the bracket"),
            ("192.168.0.300", "more than 255"),
            ("node1.", "ends with a dot"),
            ("ssh://node1", "URL"),
        ] {
            refuses::<SshTarget>(text, why);
        }
    }
}
