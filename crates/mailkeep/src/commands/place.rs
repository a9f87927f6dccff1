use std::{convert::Infallible, str::FromStr};

use mailkeep_model::Address;
use mailkeep_vault::{FolderPath, InvalidShortId, ShortId};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

/// `MAILBOX` or `MAILBOX:PATH`.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) mailbox: Address,
    /// `None`: the whole mailbox.
    pub(crate) path: Option<FolderPath>,
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (mailbox, path) = match text.split_once(':') {
            Some((mailbox, path)) => (mailbox, Some(path)),
            None => (text, None),
        };
        let mailbox = mailbox.parse().map_err(|error| format!("{error}"))?;
        let path = path.filter(|path| !path.is_empty());
        let path = path.map(|path| path.parse().unwrap_or_else(|never: Infallible| match never {}));
        Ok(Self { mailbox, path })
    }
}

/// The short id of a message.
#[derive(Clone, Debug)]
pub(crate) struct ItemName(pub(crate) ShortId);

impl FromStr for ItemName {
    type Err = InvalidShortId;

    fn from_str(text: &str) -> Result<Self, InvalidShortId> {
        text.trim().to_lowercase().parse().map(Self)
    }
}

/// RFC 3339, or a number of seconds, minutes, hours, days or weeks ago: `90s`, `5m`, `2h`, `3d`,
/// `1w`.
pub(crate) fn parse_time(text: &str) -> Result<OffsetDateTime, String> {
    time_before(text, OffsetDateTime::now_utc())
}

/// A time to come: RFC 3339, or so long from now.
pub(crate) fn parse_deadline(text: &str) -> Result<OffsetDateTime, String> {
    let now = OffsetDateTime::now_utc();
    let instant = OffsetDateTime::parse(text, &Rfc3339).ok();
    let instant = instant.or_else(|| now.checked_add(parse_span(text)?));
    instant.ok_or_else(|| "write 2026-11-23T09:00:00Z, or 30m, 2h from now".to_owned())
}

fn time_before(text: &str, now: OffsetDateTime) -> Result<OffsetDateTime, String> {
    let instant = OffsetDateTime::parse(text, &Rfc3339).ok();
    let instant = instant.or_else(|| now.checked_sub(parse_span(text)?));
    instant.ok_or_else(|| "write 2026-11-23T09:00:00Z, or 2h, 3d ago".to_owned())
}

/// `90s`, `30m`, `2h`, `3d`, `1w`.
pub(crate) fn parse_span(text: &str) -> Option<Duration> {
    let units: [(char, i64); 5] =
        [('s', 1), ('m', 60), ('h', 3600), ('d', 86_400), ('w', 7 * 86_400)];
    units.iter().find_map(|(unit, seconds)| {
        let count: u32 = text.strip_suffix(*unit)?.parse().ok()?;
        Some(Duration::seconds(i64::from(count).checked_mul(*seconds)?))
    })
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_place_may_name_a_folder_with_a_slash_in_its_name() {
        let place: Place = "Ann@Example.com:Inbox/A%2FB".parse().unwrap();
        assert_eq!(place.mailbox.as_str(), "ann@example.com");
        assert_eq!(place.path, Some(FolderPath(vec!["Inbox".into(), "A/B".into()])));
        assert!("ann@example.com".parse::<Place>().unwrap().path.is_none());
        assert!("ann@example.com:".parse::<Place>().unwrap().path.is_none());
        assert!("ann:Inbox".parse::<Place>().is_err());
    }

    #[test]
    fn times_are_absolute_or_ago() {
        let now = datetime!(2026-11-23 12:00 UTC);
        assert_eq!(time_before("2h", now), Ok(datetime!(2026-11-23 10:00 UTC)));
        assert_eq!(time_before("3d", now), Ok(datetime!(2026-11-20 12:00 UTC)));
        let absolute = time_before("2026-11-23T13:00:00+02:00", now);
        assert_eq!(absolute, Ok(datetime!(2026-11-23 11:00 UTC)));
        for bad in ["", "2", "h", "-2h", "4294967295w", "yesterday"] {
            assert!(time_before(bad, now).is_err(), "{bad}");
        }
    }
}
