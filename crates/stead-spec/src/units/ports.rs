use std::fmt;
use std::str::FromStr;

use super::{Invalid, Port, Text, digits, text_serde};

/// One port, or a run of ports: `"443"`, `"8000-8100"`, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ports {
    first: Port,
    last: Port,
}

impl Ports {
    /// That port alone.
    pub const fn one(port: Port) -> Self {
        Self { first: port, last: port }
    }

    /// From `first` to `last`, if that is the order they come in.
    pub fn new(first: Port, last: Port) -> Result<Self, Invalid> {
        if first > last {
            return Err(Invalid::new("the first port is higher than the last", format!("write {last}-{first}")));
        }
        Ok(Self { first, last })
    }

    /// The lowest.
    pub const fn first(self) -> Port {
        self.first
    }

    /// The highest, which is the lowest if there is one only.
    pub const fn last(self) -> Port {
        self.last
    }

    /// How many there are.
    pub fn count(self) -> u32 {
        u32::from(self.last.get()) - u32::from(self.first.get()) + 1
    }

    /// Whether `port` is one of them.
    pub fn contains(self, port: Port) -> bool {
        (self.first..=self.last).contains(&port)
    }

    /// Whether a port is in both.
    pub fn overlaps(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

impl From<Port> for Ports {
    fn from(port: Port) -> Self {
        Self::one(port)
    }
}

impl Text for Ports {
    const WHAT: &'static str = "a port or a run of ports";
    const SYNTAX: &'static str = "A port from 1 to 65535, or the first and the last with a dash between.";
    const EXAMPLE: &'static str = "8000-8100";
    const PATTERN: &'static str = "^[0-9]+(-[0-9]+)?$";
}

impl FromStr for Ports {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let how = "write a port such as 443, or the first and the last such as 8000-8100";
        let port = |text: &str| match digits::<i64>(text) {
            Some(n) => Port::new(n),
            None => Err(Invalid::new("that is no port", how)),
        };
        if let Some((first, last)) = text.split_once([':', ',']) {
            let reason = "one port or one run of ports is written here, with `-` between first and last";
            let remedy = match (port(first), port(last)) {
                (Ok(first), Ok(last)) if text.contains(':') => format!("write {first}-{last}"),
                _ => how.to_owned(),
            };
            return Err(Invalid::new(reason, remedy));
        }
        match text.split_once('-') {
            Some((first, last)) => Self::new(port(first)?, port(last)?),
            None => port(text).map(Self::one),
        }
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last { write!(f, "{}", self.first) } else { write!(f, "{}-{}", self.first, self.last) }
    }
}

text_serde!(Ports);

#[cfg(test)]
mod tests {
    use super::super::tests::{prints, refuses};
    use super::*;

    #[test]
    fn runs_of_ports() {
        prints::<Ports>(&[("443", "443"), ("8000-8100", "8000-8100"), ("80-80", "80"), ("1-65535", "1-65535")]);
        for (text, why) in [
            ("", "no port"),
            ("0", "1 to 65535"),
            ("80-65536", "1 to 65535"),
            ("8100-8000", "write 8000-8100"),
            ("8000:8100", "write 8000-8100"),
            ("80,443", "one port"),
            ("-80", "no port"),
            ("+80", "no port"),
            ("80-90-100", "no port"),
            ("https", "no port"),
        ] {
            refuses::<Ports>(text, why);
        }
    }

    #[test]
    fn two_runs_meet_or_not() {
        let ports = |text: &str| text.parse::<Ports>().expect(text);
        assert!(ports("80-90").overlaps(ports("90-100")));
        assert!(!ports("80-90").overlaps(ports("91")));
        assert!(ports("80-90").contains(ports("85").first()));
        assert_eq!(ports("1-65535").count(), 65_535);
    }
}
