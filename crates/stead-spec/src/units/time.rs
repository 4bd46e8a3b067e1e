use core::time::Duration;
use std::fmt;
use std::str::FromStr;

use super::{Invalid, Text, digits, text_serde};

/// A length of time, written as a whole number and one unit: `"90s"`, `"12h"`, `"2w"`.
///
/// The units are s, m (minutes), h, d and w; a day is 24 hours. At least one second, at most a hundred years: what is
/// reckoned from it doesn't overflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period(u64);

const WEEK: (&str, u64) = ("w", 7 * 86_400);
/// What is printed: never weeks, for `7d` is to be found again as it was written.
const UNITS: [(&str, u64); 4] = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];
const LONGEST: u64 = 36_500 * 86_400;

impl Period {
    /// Its length in seconds.
    pub const fn seconds(self) -> u64 {
        self.0
    }

    /// Its length, as the standard library has it.
    pub const fn as_std(self) -> Duration {
        Duration::from_secs(self.0)
    }
}

impl Text for Period {
    const WHAT: &'static str = "a length of time";
    const SYNTAX: &'static str = "A whole number and a unit: s, m, h, d or w.";
    const EXAMPLE: &'static str = "12h";
    const PATTERN: &'static str = "^0*[1-9][0-9]*[smhdw]$";
}

impl FromStr for Period {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let how = "write a whole number and s, m, h, d or w, such as 12h";
        let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
        if number.is_empty() {
            return Err(Invalid::new("that is no length of time", how));
        }
        if unit.is_empty() {
            return Err(Invalid::new("the unit is missing", format!("write {number}s, or with m, h, d or w")));
        }
        let Some((_, seconds)) = UNITS.iter().chain([&WEEK]).find(|(name, _)| *name == unit) else {
            return Err(Invalid::new("the unit is none that stead knows, or there is more than one", how));
        };
        let too_long = || Invalid::new("that is more than a hundred years", "write at most 36500d");
        let total = digits::<u64>(number).and_then(|number| number.checked_mul(*seconds)).ok_or_else(too_long)?;
        match total {
            0 => Err(Invalid::new("that is no time at all", "write at least 1s")),
            _ if total > LONGEST => Err(too_long()),
            _ => Ok(Self(total)),
        }
    }
}

/// In the largest unit up to days that keeps the number whole.
impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, seconds) = UNITS.iter().find(|(_, seconds)| self.0.is_multiple_of(*seconds)).unwrap_or(&UNITS[3]);
        write!(f, "{}{unit}", self.0 / seconds)
    }
}

/// A time of day, to the minute: `"02:00"`, from 00:00 to 23:59 in the cluster's time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeOfDay {
    hour: u8,
    minute: u8,
}

impl TimeOfDay {
    /// 0 to 23.
    pub const fn hour(self) -> u8 {
        self.hour
    }

    /// 0 to 59.
    pub const fn minute(self) -> u8 {
        self.minute
    }
}

impl Text for TimeOfDay {
    const WHAT: &'static str = "a time of day";
    const SYNTAX: &'static str = "Two digits for the hour, a colon, two for the minute: from 00:00 to 23:59.";
    const EXAMPLE: &'static str = "02:00";
    const PATTERN: &'static str = "^([01][0-9]|2[0-3]):[0-5][0-9]$";
}

impl FromStr for TimeOfDay {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let how = "write hour and minute with two digits each, such as 02:00";
        let none = || Invalid::new("that is no time of day", how);
        let (hour, minute) = text.split_once(':').ok_or_else(none)?;
        let (hours, minutes) = (hour, minute);
        let hour: u8 = digits(hour).ok_or_else(none)?;
        let minute: u8 = digits(minute).ok_or_else(none)?;
        match (hour, minute) {
            (24, 0) => Err(Invalid::new("a day begins at 00:00 and ends before 24:00", "write 00:00")),
            (24.., _) => Err(Invalid::new(format!("the hour is {hour}, more than 23"), how)),
            (_, 60..) => Err(Invalid::new(format!("the minute is {minute}, more than 59"), how)),
            _ if hours.len() != 2 || minutes.len() != 2 => {
                Err(Invalid::new("hour and minute have two digits each", format!("write {hour:02}:{minute:02}")))
            }
            _ => Ok(Self { hour, minute }),
        }
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.hour, self.minute)
    }
}

text_serde!(Period, TimeOfDay);

#[cfg(test)]
mod tests {
    use super::super::tests::{prints, refuses};
    use super::*;

    #[test]
    fn periods() {
        prints::<Period>(&[("90s", "90s"), ("5m", "5m"), ("7d", "7d"), ("2w", "14d"), ("60m", "1h"), ("012h", "12h")]);
        assert_eq!("2m".parse::<Period>().map(Period::as_std), Ok(Duration::from_mins(2)));
        // Several units, signs and fractions would each need a rule of their own; zero would be "never" or "always".
        for (text, why) in [
            ("", "no length"),
            ("12", "unit is missing"),
            ("0s", "no time at all"),
            ("+5m", "no length"),
            ("1h30m", "more than one"),
            ("1.5h", "none that stead knows"),
            ("5M", "none that stead knows"),
            ("5 m", "none that stead knows"),
            ("36501d", "hundred years"),
            ("99999999999999999999d", "hundred years"),
            ("9999999999999999999w", "hundred years"),
        ] {
            refuses::<Period>(text, why);
        }
    }

    #[test]
    fn times_of_day() {
        prints::<TimeOfDay>(&[("02:00", "02:00"), ("00:00", "00:00"), ("23:59", "23:59")]);
        for (text, why) in [
            ("2:00", "write 02:00"),
            ("24:00", "write 00:00"),
            ("25:00", "more than 23"),
            ("12:60", "more than 59"),
            ("02:00:00", "no time of day"),
            ("2am", "no time of day"),
            ("+2:00", "no time of day"),
            ("002:00", "two digits"),
        ] {
            refuses::<TimeOfDay>(text, why);
        }
    }
}
