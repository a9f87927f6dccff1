//! Values as the logs write them: each log writes them in a way of its own.

use std::net::{IpAddr, SocketAddr};

use data_encoding::{BASE64, BASE64URL_NOPAD, HEXUPPER};
use mailkeep_identity::uti::from_request_id;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};
use uuid::Uuid;

use crate::ExchangeError;

/// A page of a log of Graph's.
#[derive(Debug)]
pub struct LogPage<T> {
    /// What is in it.
    pub entries: Vec<T>,
    /// How many entries are not understood.
    pub damaged: usize,
    /// When those of them were of which that much is understood.
    pub dated: Vec<OffsetDateTime>,
    /// Where the next one is.
    pub next: Option<String>,
}

/// Reads a page of a list, entry by entry; `None` is one that is no concern of ours.
pub(super) fn page<W: DeserializeOwned, T>(
    action: &str,
    body: &[u8],
    read: impl Fn(W) -> Result<Option<T>, Damaged>,
) -> Result<LogPage<T>, ExchangeError> {
    #[derive(Deserialize)]
    struct Page {
        value: Vec<Value>,
        #[serde(rename = "@odata.nextLink")]
        next: Option<String>,
    }
    let page: Page = serde_json::from_slice(body)
        .map_err(|error| ExchangeError::protocol(action, format!("not understood: {error}")))?;
    Ok(LogPage { next: page.next, ..entries(page.value, read) })
}

/// Reads entries, and says what is not understood: all that there is of a page.
pub(super) fn entries<W: DeserializeOwned, T>(
    told: Vec<Value>,
    read: impl Fn(W) -> Result<Option<T>, Damaged>,
) -> LogPage<T> {
    let entries = Vec::with_capacity(told.len());
    let mut page = LogPage { entries, damaged: 0, dated: Vec::new(), next: None };
    for one in told {
        let at = time_of(&one);
        match W::deserialize(one).map_err(Damaged::from).and_then(&read) {
            Ok(entry) => page.entries.extend(entry),
            Err(Damaged(reason)) => {
                tracing::warn!(reason, "an entry of a log is not understood");
                page.damaged += 1;
                page.dated.extend(at);
            }
        }
    }
    page
}

/// When an entry was, whatever else of it is not understood: so much alone is blind for it.
fn time_of(entry: &Value) -> Option<OffsetDateTime> {
    const NAMES: [&str; 3] = ["createdDateTime", "activityDateTime", "CreationTime"];
    NAMES.iter().find_map(|name| time(entry.get(name)?.as_str()?))
}

/// Why an entry is not understood.
#[derive(Debug)]
pub(super) struct Damaged(pub(super) String);

impl From<serde_json::Error> for Damaged {
    fn from(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}

/// A value without which an entry says nothing.
pub(super) fn needed<T>(what: &str, value: Option<T>) -> Result<T, Damaged> {
    value.ok_or_else(|| Damaged(format!("no {what} that can be read")))
}

/// A time, as RFC 3339 has it or without a zone, which means UTC here.
pub(super) fn time(text: &str) -> Option<OffsetDateTime> {
    let parse = |text: &str| OffsetDateTime::parse(text, &Rfc3339).ok();
    let time = parse(text).or_else(|| parse(&format!("{text}Z")))?;
    Some(time.to_offset(UtcOffset::UTC))
}

/// A time as filters take it: whole seconds, and the one that a part of was asked for is in it.
pub(super) fn seconds(time: OffsetDateTime, up: bool) -> String {
    let whole = time.to_offset(UtcOffset::UTC).replace_nanosecond(0).unwrap_or(time);
    let whole = if up && whole < time { whole + time::Duration::SECOND } else { whole };
    whole.format(&Rfc3339).unwrap_or_default()
}

/// An address: alone, in brackets, with a port or a zone.
pub(super) fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let plain = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let plain = plain.split('%').next().unwrap_or(plain);
    let of_socket = || text.parse::<SocketAddr>().ok().map(|socket| socket.ip());
    // `[203.0.113.5]:443`, which is no socket address of any standard.
    let bracketed = || text.strip_prefix('[')?.split_once(']')?.0.parse().ok();
    let address: Option<IpAddr> = plain.parse().ok();
    address.or_else(of_socket).or_else(bracketed).map(|address| address.to_canonical())
}

/// The identifier of a token as tokens have it: base64url without padding. Some logs pad it, and the
/// documentation shows it as base64 of a GUID's text.
pub(super) fn uti(text: &str) -> Option<String> {
    let plain = text.trim().trim_end_matches('=').replace('+', "-").replace('/', "_");
    let decoded = BASE64URL_NOPAD.decode(plain.as_bytes()).unwrap_or_default();
    let id = std::str::from_utf8(&decoded).ok().and_then(|text| Uuid::try_parse(text).ok());
    id.map(from_request_id).or_else(|| (!plain.is_empty()).then_some(plain))
}

/// Bytes as hexadecimal digits in upper case. A thumbprint is told so, or as base64 of the bytes, or as
/// base64 of the digits, by endpoint and age.
pub(crate) fn hex(text: &str) -> Option<String> {
    const THUMBPRINTS: [usize; 2] = [40, 64];
    let text = text.trim();
    let is_hex = |text: &str| {
        THUMBPRINTS.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit())
    };
    if text.is_empty() {
        return None;
    }
    if is_hex(text) {
        return Some(text.to_ascii_uppercase());
    }
    let Ok(bytes) = BASE64.decode(text.as_bytes()) else {
        // Somebody's own words.
        return Some(HEXUPPER.encode(text.as_bytes()));
    };
    match std::str::from_utf8(&bytes) {
        Ok(digits) if is_hex(digits) => Some(digits.to_ascii_uppercase()),
        _ => Some(HEXUPPER.encode(&bytes)),
    }
}

/// An id in lower case; `None` for none.
pub(crate) fn id(text: Option<String>) -> Option<String> {
    text.map(|text| text.trim().to_lowercase()).filter(|text| !text.is_empty())
}

pub(super) fn guid(text: Option<String>) -> Option<Uuid> {
    Uuid::try_parse(text?.trim()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_the_same_however_a_log_writes_it() {
        for (text, expected) in [
            ("203.0.113.5", "203.0.113.5"),
            ("203.0.113.5:51000", "203.0.113.5"),
            ("[203.0.113.5]:443", "203.0.113.5"),
            ("[203.0.113.5]", "203.0.113.5"),
            ("::ffff:203.0.113.5", "203.0.113.5"),
            ("[::ffff:203.0.113.5]:9", "203.0.113.5"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            (" [2001:DB8::1]:443 ", "2001:db8::1"),
            ("fe80::1%eth0", "fe80::1"),
        ] {
            assert_eq!(address(text), expected.parse().ok(), "{text}");
        }
        for none in ["", "<null>", "203.0.113", "203.0.113.5:x", "[", "[]", "[x]:1", "host:1"] {
            assert_eq!(address(none), None, "{none}");
        }
    }

    #[test]
    fn a_token_is_the_same_in_every_log() {
        let expected = Some("bEbLBbjJ9kWtVrb0DTRL-_".to_owned());
        for text in
            ["bEbLBbjJ9kWtVrb0DTRL-_", "bEbLBbjJ9kWtVrb0DTRL+/==", " bEbLBbjJ9kWtVrb0DTRL-_"]
        {
            assert_eq!(uti(text), expected, "{text}");
        }
        // As the documentation shows it.
        let id: Uuid = "e14997a4-f892-4b0b-b051-febe05c2a49b".parse().unwrap();
        let told = "ZTE0OTk3YTQtZjg5Mi00YjBiLWIwNTEtZmViZTA1YzJhNDli";
        assert_eq!(uti(told), Some(from_request_id(id)));
        assert_eq!((uti(""), uti("==")), (None, None));
    }

    #[test]
    fn a_thumbprint_is_the_same_from_every_endpoint() {
        let digits = "0123456789ABCDEF0123456789ABCDEF01234567";
        let bytes = HEXUPPER.decode(digits.as_bytes()).unwrap();
        for text in [
            digits.to_owned(),
            digits.to_lowercase(),
            BASE64.encode(&bytes),
            BASE64.encode(digits.as_bytes()),
        ] {
            assert_eq!(hex(&text).as_deref(), Some(digits), "{text}");
        }
        assert_eq!(hex("aGVsbG8=").as_deref(), Some("68656C6C6F"));
        assert_eq!(hex("ours, of May").as_deref(), Some("6F7572732C206F66204D6179"));
        assert_eq!(hex(" "), None);
    }

    #[test]
    fn of_an_entry_that_is_not_understood_it_is_still_known_when_it_was() {
        let at = "2026-11-27T08:00:00Z";
        let told = serde_json::json!([
            {"id": 1, "createdDateTime": at}, {"id": 2, "CreationTime": "2026-11-27T08:00:00"},
            {"id": 3, "createdDateTime": "yesterday"}, 4,
        ]);
        let refuse = |_: Value| Err::<Option<()>, _>(Damaged("as a test".to_owned()));
        let page = entries(serde_json::from_value(told).unwrap(), refuse);
        assert_eq!((page.damaged, page.dated), (4, vec![time(at).unwrap(); 2]));
    }

    #[test]
    fn a_time_is_utc_with_and_without_a_zone() {
        let expected = time("2026-11-27T08:00:00Z").unwrap();
        assert_eq!(time("2026-11-27T08:00:00"), Some(expected));
        assert_eq!(time("2026-11-27T09:00:00+01:00"), Some(expected));
        assert!(time("2026-11-27T08:00:00.1234567").is_some_and(|later| later > expected));
        assert_eq!((time(""), time("27.11.2026")), (None, None));
        let later = expected + time::Duration::milliseconds(1);
        assert_eq!(seconds(later, false), "2026-11-27T08:00:00Z");
        assert_eq!(seconds(later, true), "2026-11-27T08:00:01Z");
        assert_eq!(seconds(expected, true), "2026-11-27T08:00:00Z");
    }
}
