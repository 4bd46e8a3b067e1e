use std::fmt;
use std::str::FromStr;

use super::{Invalid, Text, digits, text_serde};

/// Defines a whole number that knows its bounds: written in the file as a number, not as a text.
macro_rules! number {
    ($(#[$doc:meta])* $name:ident($repr:ty): $what:literal, $min:literal..=$max:literal, $why:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name($repr);

        impl $name {
            /// What it is, with its article.
            pub const WHAT: &'static str = $what;
            /// The least.
            pub const MIN: $repr = $min;
            /// The most.
            pub const MAX: $repr = $max;

            /// The number `n`, if it is within the bounds.
            pub fn new(n: i64) -> Result<Self, $crate::units::Invalid> {
                <$repr>::try_from(n).ok().filter(|n| (Self::MIN..=Self::MAX).contains(n)).map(Self).ok_or_else(|| {
                    let remedy = concat!("write a number from ", $min, " to ", $max);
                    $crate::units::Invalid::new($why, remedy)
                })
            }

            /// The number.
            pub const fn get(self) -> $repr {
                self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl $crate::read::FromToml for $name {
            fn from_toml(value: &$crate::read::Value<'_>, reader: &mut $crate::read::Reader) -> Option<Self> {
                let number = $crate::read::integer(value, Self::WHAT, i64::from(Self::MIN), reader)?;
                Self::new(number).map_err(|invalid| reader.bad_value(value, Self::WHAT, invalid)).ok()
            }

            fn shape() -> $crate::read::Shape {
                let (least, most) = (i64::from(Self::MIN), i64::from(Self::MAX));
                $crate::read::Shape::Whole { what: Self::WHAT, least, most }
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.0.serialize(serializer)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let number = <i64 as serde::Deserialize>::deserialize(deserializer)?;
                Self::new(number).map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use number;

number! {
    /// The number of a VLAN: 1 to 4094.
    ///
    /// IEEE 802.1Q has twelve bits for it and keeps 0 and 4095 for itself.
    Vlan(u16): "a VLAN's number", 1..=4094, "VLANs have the numbers 1 to 4094; IEEE 802.1Q reserves 0 and 4095"
}

number! {
    /// The longest packet that a network carries, in bytes: 1280 to 9216.
    ///
    /// 1280 is the least that IPv6 works with (RFC 8200, section 5); 9216 is what switches pass that know jumbo frames.
    Mtu(u16): "an MTU", 1280..=9216, "IPv6 needs at least 1280 bytes, and switches pass at most 9216"
}

number! {
    /// A node's or a switch's number: 1 to 254, the part of its addresses that is its own.
    Number(u8): "a number from 1 to 254", 1..=254, "the number becomes the last part of an address, which goes from 1 to 254"
}

number! {
    /// A TCP or UDP port: 1 to 65535.
    Port(u16): "a port", 1..=65535, "ports have the numbers 1 to 65535"
}

/// A share in percent: `"20%"`, from 1 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Percent(u8);

impl Percent {
    /// 1 to 100.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl Text for Percent {
    const WHAT: &'static str = "a share in percent";
    const SYNTAX: &'static str = "A whole number from 1 to 100 and the sign %.";
    const EXAMPLE: &'static str = "20%";
    const PATTERN: &'static str = "^0*(100|[1-9][0-9]?)%$";
}

impl FromStr for Percent {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let how = "write a whole number from 1 to 100 and %, such as 20%";
        match text.strip_suffix('%').map(digits::<u128>) {
            Some(Some(percent)) => u8::try_from(percent)
                .ok()
                .filter(|percent| (1..=100).contains(percent))
                .map(Self)
                .ok_or_else(|| Invalid::new("that is not from 1% to 100%", how)),
            None if digits::<u128>(text).is_some() => Err(Invalid::new("the sign % is missing", how)),
            _ => Err(Invalid::new("that is no share in percent", how)),
        }
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

text_serde!(Percent);

#[cfg(test)]
mod tests {
    use super::super::tests::{prints, refuses};
    use super::*;

    #[test]
    fn numbers_know_their_bounds() {
        assert_eq!(Vlan::new(4094).map(Vlan::get), Ok(4094));
        assert_eq!(Number::new(254).map(Number::get), Ok(254));
        for refused in [0, 4095, -1, i64::MIN, i64::MAX, 65_537] {
            let why = Vlan::new(refused).expect_err("no VLAN");
            assert!(why.reason.contains("802.1Q"), "{why}");
        }
        for refused in [0, 255, 257, -1, i64::MAX] {
            assert!(Number::new(refused).is_err(), "{refused}");
        }
        for refused in [1279, 9217, 0, -1280, 66_816] {
            assert!(Mtu::new(refused).is_err(), "{refused}");
        }
        for refused in [0, 65_536, -22] {
            assert!(Port::new(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn numbers_travel_as_numbers() {
        let port = Port::new(8080).expect("a port");
        assert_eq!(serde_json::to_string(&port).expect("JSON"), "8080");
        assert_eq!(serde_json::from_str::<Port>("8080").expect("a port"), port);
        for refused in ["0", "65536", "-1", "\"80\"", "1e99", "80.5"] {
            assert!(serde_json::from_str::<Port>(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn shares() {
        prints::<Percent>(&[("20%", "20%"), ("100%", "100%"), ("01%", "1%")]);
        for (text, why) in [
            ("0%", "not from 1%"),
            ("101%", "not from 1%"),
            ("356%", "not from 1%"),
            ("20", "sign % is missing"),
            ("20 %", "no share"),
            ("+20%", "no share"),
            ("0.2", "no share"),
            ("%", "no share"),
        ] {
            refuses::<Percent>(text, why);
        }
    }
}
