//! Points in time as people and certificates write them.

use stead_plan::inventory::Timestamp;
use time::format_description::well_known::Rfc3339;
use time::{Date, Month, OffsetDateTime, Time};

/// A point in time in UTC, to the second: `2026-11-22T15:07:50Z`.
pub fn rfc3339(at: Timestamp) -> String {
    let text = offset(at).replace_nanosecond(0).ok().and_then(|at| at.format(&Rfc3339).ok());
    // What no calendar has, as it is.
    text.unwrap_or_else(|| format!("{} s", at.0 / 1000))
}

/// The day in UTC: `2026-11-22`.
pub fn date(at: Timestamp) -> String {
    offset(at).date().to_string()
}

/// What [`rfc3339`] prints.
pub(super) fn parse(text: &str) -> Option<Timestamp> {
    let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    let at = Timestamp(at.unix_timestamp().checked_mul(1000)?);
    (rfc3339(at) == text).then_some(at)
}

/// The start of a year, so many after the one of `now`.
pub(super) fn years_after(now: Timestamp, years: i32) -> OffsetDateTime {
    new_year(offset(now).year().saturating_add(years))
}

/// The start of a year.
pub(super) fn new_year(year: i32) -> OffsetDateTime {
    let day = Date::from_calendar_date(year, Month::January, 1).unwrap_or(Date::MAX);
    day.with_time(Time::MIDNIGHT).assume_utc()
}

fn offset(at: Timestamp) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(at.0.div_euclid(1000)).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let at = Timestamp(1_795_360_070_123);
        assert_eq!(rfc3339(at), "2026-11-22T15:07:50Z");
        assert_eq!(date(at), "2026-11-22");
        assert_eq!(parse("2026-11-22T15:07:50Z"), Some(Timestamp(1_795_360_070_000)));
        assert_eq!(parse("2026-11-22T15:07:50+01:00"), None);
        assert_eq!(parse("2026-11-22"), None);
        assert_eq!(years_after(at, 21).year(), 2047);
    }
}
