use std::fmt;
use std::str::FromStr;

use super::{Invalid, Text};

/// A size in bytes, written with a binary unit: `"512MiB"`, `"8GiB"`.
///
/// A unit is always asked for: a bare number would leave the reader guessing, and decimal units (`GB`) are what
/// disk vendors print, which no partition ever matches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(u64);

const UNITS: [(&str, u32); 4] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];

impl Bytes {
    /// A size of `n` bytes.
    pub const fn new(n: u64) -> Self {
        Self(n)
    }

    /// A size of `n` MiB.
    pub const fn mib(n: u64) -> Self {
        Self(n << 20)
    }

    /// A size of `n` GiB.
    pub const fn gib(n: u64) -> Self {
        Self(n << 30)
    }

    /// The number of bytes.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl Text for Bytes {
    const WHAT: &'static str = "a size";
    const SYNTAX: &'static str = "A whole number and a binary unit: KiB, MiB, GiB or TiB.";
    const EXAMPLE: &'static str = "20GiB";
    const PATTERN: &'static str = "^[0-9]+ *[KMGT]iB$";
}

impl FromStr for Bytes {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        UNITS
            .iter()
            .find_map(|(unit, shift)| {
                let number: u64 = text.strip_suffix(unit)?.trim_end().parse().ok()?;
                number.checked_mul(1 << shift).map(Self)
            })
            .ok_or_else(|| Invalid::new("that is no size", "write a whole number and KiB, MiB, GiB or TiB, such as 8GiB"))
    }
}

/// The largest unit that keeps the number whole, so that what is printed can be read back.
impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = UNITS.iter().find(|(_, shift)| self.0 != 0 && self.0.trailing_zeros() >= *shift);
        match whole {
            Some((unit, shift)) => write!(f, "{}{unit}", self.0 >> shift),
            None => write!(f, "{}B", self.0),
        }
    }
}

impl serde::Serialize for Bytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

impl<'de> serde::Deserialize<'de> for Bytes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u64::deserialize(deserializer).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_prints() {
        for text in ["1KiB", "512MiB", "8GiB", "3TiB", "1025MiB"] {
            let size: Bytes = text.parse().expect(text);
            assert_eq!(size.to_string(), text);
        }
        assert_eq!("2 GiB".parse(), Ok(Bytes::gib(2)));
    }

    #[test]
    fn refuses_what_could_be_meant_differently() {
        for text in ["", "8", "8GB", "8G", "GiB", "-1GiB", "1.5GiB", "99999999999TiB", "8gib"] {
            assert!(text.parse::<Bytes>().is_err(), "{text}");
        }
    }
}
