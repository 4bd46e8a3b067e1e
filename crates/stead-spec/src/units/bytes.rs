use std::fmt;
use std::str::FromStr;

use super::{Invalid, Text, digits};

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
    const EXAMPLE: &'static str = "8GiB";
    const PATTERN: &'static str = "^[0-9]+ *[KMGT]iB$";
}

impl FromStr for Bytes {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
        let unit = unit.trim_start_matches(' ');
        let Some((_, shift)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(wrong_unit(number, unit));
        };
        if number.is_empty() {
            return Err(Invalid::new("the number is missing", HOW));
        }
        let bytes = digits::<u64>(number).and_then(|number| number.checked_mul(1 << shift));
        bytes.map(Self).ok_or_else(|| Invalid::new("that is more than 16777215 TiB, the most that can be told", HOW))
    }
}

const HOW: &str = "write a whole number and KiB, MiB, GiB or TiB, such as 8GiB";

fn wrong_unit(number: &str, unit: &str) -> Invalid {
    if number.is_empty() {
        return Invalid::new("that is no size", HOW);
    }
    if unit.is_empty() {
        // A number of so many digits was never meant in GiB.
        let short = number.len() <= 6;
        let remedy = if short { format!("say what it counts: {number}MiB or {number}GiB") } else { HOW.to_owned() };
        return Invalid::new("the unit is missing", remedy);
    }
    if unit.starts_with(['.', ',']) {
        return Invalid::new("that is no whole number", "write it in a smaller unit, such as 1536MiB for 1.5 GiB");
    }
    let meant = UNITS.iter().find(|(name, _)| {
        name.chars().next().zip(unit.chars().next()).is_some_and(|(a, b)| a.eq_ignore_ascii_case(&b))
    });
    match meant {
        Some((name, _)) if unit.len() == 2 && unit.ends_with('B') => {
            Invalid::new(format!("`{unit}` is a decimal unit"), format!("write {number}{name}"))
        }
        Some((name, _)) if unit.len() <= 3 => {
            Invalid::new(format!("`{unit}` is no unit that stead knows"), format!("write {number}{name}"))
        }
        _ => Invalid::new("that is no size", HOW),
    }
}

/// The largest unit that keeps the number whole; a number of whole KiB can be read back.
impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = UNITS.iter().find(|(_, shift)| self.0 != 0 && self.0.trailing_zeros() >= *shift);
        match whole {
            Some((unit, shift)) => write!(f, "{}{unit}", self.0 >> shift),
            None if self.0 == 0 => write!(f, "0KiB"),
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
        assert_eq!("0GiB".parse(), Ok(Bytes::new(0)));
        assert_eq!(Bytes::new(0).to_string().parse(), Ok(Bytes::new(0)));
    }

    #[test]
    fn refuses_what_could_be_meant_differently() {
        for text in [
            "",
            "8",
            "8GB",
            "8G",
            "GiB",
            "-1GiB",
            "1.5GiB",
            "99999999999TiB",
            "8gib",
            "+8GiB",
            "8\tGiB",
            " 8GiB",
            "8GiB ",
        ] {
            assert!(text.parse::<Bytes>().is_err(), "{text}");
        }
        assert_eq!("8GB".parse::<Bytes>(), Err(Invalid::new("`GB` is a decimal unit", "write 8GiB")));
    }
}
