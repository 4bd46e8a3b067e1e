use std::fmt;

use serde::{Deserialize, Serialize};
use stead_spec::Bytes;

use super::Known;

/// A point in time: milliseconds since 1970-01-01 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

/// To the minute, in UTC: `2026-11-22 14:03 UTC`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(time) => write!(f, "{}", time.strftime("%Y-%m-%d %H:%M UTC")),
            // Beyond the year 9999.
            Err(_) => write!(f, "{} ms after 1970", self.0),
        }
    }
}

/// Which Debian, on what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct System {
    /// What `/etc/os-release` says.
    pub release: Release,
    /// The processor's.
    pub architecture: Architecture,
    /// `uname -r`.
    pub kernel: String,
    /// Changes with each boot.
    pub boot_id: String,
    /// How many processors.
    pub cpus: u32,
    /// Memory that the kernel has.
    pub memory: Bytes,
    /// Free space where stead keeps its own, on the OS disk.
    pub free: Known<Bytes>,
}

/// An operating system's release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Release {
    /// Debian 12.
    Bookworm,
    /// Debian 13.
    Trixie,
    /// Something that stead doesn't know: its own name for itself.
    Other(String),
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bookworm => f.write_str("Debian 12"),
            Self::Trixie => f.write_str("Debian 13"),
            Self::Other(name) => f.write_str(name),
        }
    }
}

/// A processor's architecture, by Debian's name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Architecture {
    /// `x86_64`.
    Amd64,
    /// `aarch64`.
    Arm64,
    /// Something that stead isn't built for.
    Other(String),
}

/// A node's clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    /// By how many milliseconds it is ahead of ours (negative: behind), as far as one round trip tells.
    pub ahead: i64,
    /// How far that may be off, in milliseconds.
    pub uncertainty: i64,
    /// Whether the kernel believes that it is synchronised.
    pub synchronised: Known<bool>,
}

/// A hardware or software watchdog.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watchdog {
    /// `watchdog0`.
    pub name: String,
    /// What its driver calls it.
    pub identity: String,
    /// Seconds until it resets the node.
    pub timeout: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_shown_in_utc() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00 UTC"),
            (951_782_399, "2000-02-28 23:59 UTC"),
            (951_782_400, "2000-02-29 00:00 UTC"),
            (1_795_356_180, "2026-11-22 14:03 UTC"),
            (4_107_542_400, "2100-03-01 00:00 UTC"),
            (-1, "1969-12-31 23:59 UTC"),
        ] {
            assert_eq!(Timestamp(seconds * 1_000).to_string(), text);
        }
    }
}
