//! Time zones as Exchange names them: by Windows' names or by IANA's.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use time::{PrimitiveDateTime, UtcOffset};

use super::windows_zones::ZONES;
use crate::clock;

/// A time zone and the name by which somebody called it.
#[derive(Clone, Debug)]
pub(crate) struct Zone {
    pub(crate) name: Box<str>,
    rules: TimeZone,
}

impl Zone {
    /// A Windows or IANA name in any case; `None` for a zone that nobody knows.
    pub(crate) fn find(name: &str) -> Option<Self> {
        let windows = ZONES.iter().find(|(windows, _)| windows.eq_ignore_ascii_case(name));
        let (name, iana) = windows.copied().unwrap_or((name, name));
        let rules = TimeZone::get(iana).ok()?;
        Some(Self { name: name.into(), rules })
    }

    pub(crate) fn utc() -> Self {
        Self { name: "UTC".into(), rules: TimeZone::UTC }
    }

    /// Unix time of what the clock shows. A time that the clock skips is as much later as the
    /// clock is put forward; of one that it shows twice, the first counts.
    pub(crate) fn unix(&self, local: PrimitiveDateTime) -> i64 {
        let number = |value: u8| i8::try_from(value).unwrap_or(1);
        DateTime::new(
            i16::try_from(local.year()).unwrap_or(i16::MAX),
            number(u8::from(local.month())),
            number(local.day()),
            number(local.hour()),
            number(local.minute()),
            number(local.second()),
            0,
        )
        .ok()
        .and_then(|at| self.rules.to_ambiguous_timestamp(at).compatible().ok())
        .map_or_else(|| local.assume_utc().unix_timestamp(), Timestamp::as_second)
    }

    /// What the clock shows.
    pub(crate) fn local(&self, unix: i64) -> PrimitiveDateTime {
        let offset = Timestamp::from_second(unix)
            .ok()
            .and_then(|at| UtcOffset::from_whole_seconds(self.rules.to_offset(at).seconds()).ok())
            .unwrap_or(UtcOffset::UTC);
        let at = clock::from_unix(unix).to_offset(offset);
        PrimitiveDateTime::new(at.date(), at.time())
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn every_zone_of_windows_is_known() {
        for (windows, iana) in ZONES {
            assert!(Zone::find(windows).is_some(), "{windows} {iana}");
        }
        assert!(
            Zone::find("Europe/Vienna").is_some()
                && Zone::find("w. europe standard time").is_some()
        );
        assert!(Zone::find("Middle Earth Standard Time").is_none() && Zone::find("").is_none());
    }

    #[test]
    fn the_clock_shows_what_it_shows_in_that_place() {
        let berlin = Zone::find("W. Europe Standard Time").unwrap();
        for (local, utc) in [
            (datetime!(2026-01-15 9:00), datetime!(2026-01-15 8:00 UTC)),
            (datetime!(2026-07-15 9:00), datetime!(2026-07-15 7:00 UTC)),
        ] {
            assert_eq!(berlin.unix(local), utc.unix_timestamp());
            assert_eq!(berlin.local(utc.unix_timestamp()), local);
        }
        // 02:30 does not exist on that day.
        let skipped = berlin.unix(datetime!(2026-03-29 2:30));
        assert_eq!(berlin.local(skipped), datetime!(2026-03-29 3:30));
    }
}
