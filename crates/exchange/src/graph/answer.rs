//! Taking answers in: how large they may be and how long they may take, and what is no answer of the
//! provider's at all.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::{Response, header};
use time::{
    OffsetDateTime, PrimitiveDateTime, format_description::BorrowedFormatItem,
    macros::format_description,
};

use super::{client::root_cause, patience::MAX_FAULTS};

/// A JSON answer above this size is not one that we asked for.
const MAX_JSON_BYTES: usize = 64 << 20;
/// A JSON answer that takes longer than this, however steadily it trickles, never ends.
const LONGEST: Duration = Duration::from_secs(10 * 60);
/// Tries of a request whose answer came whole and is not the provider's.
const MAX_UNFIT: u32 = 3;
/// A content may take its time at the beginning, and then at least that many bytes a second.
const PATIENT: Duration = Duration::from_secs(5 * 60);
const SLOWEST: u64 = 1024;

/// An answer that cannot be used.
#[derive(Debug)]
pub(super) struct Unusable {
    /// What is wrong with it.
    pub(super) reason: String,
    /// How often a request with such an answer is sent, this time included.
    pub(super) tries: u32,
}

impl Unusable {
    /// The connection failed; the next one need not.
    fn broken(reason: String) -> Self {
        Self { reason, tries: MAX_FAULTS }
    }

    /// Something else than the provider answered, or the provider in a bad moment.
    pub(super) fn unfit(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), tries: MAX_UNFIT }
    }

    /// The same would come again.
    fn for_good(reason: String) -> Self {
        Self { reason, tries: 1 }
    }
}

/// A whole answer that is JSON, or empty.
pub(super) async fn json(response: Response) -> Result<Bytes, Unusable> {
    let other = media_type(&response).filter(|found| !is_json(found));
    let body = bounded(response).await?;
    match other {
        Some(other) if !body.is_empty() => {
            Err(Unusable::unfit(format!("the answer is {other} and not JSON")))
        }
        _ => Ok(body),
    }
}

/// A whole answer of whatever kind.
pub(super) async fn read_all(response: Response) -> Result<Bytes, String> {
    bounded(response).await.map_err(|unusable| unusable.reason)
}

/// Whether what came in for a message's content cannot be one: the provider sends text, and what
/// stands between us and it sends pages.
pub(super) fn is_no_message(response: &Response) -> Option<String> {
    media_type(response).filter(|found| is_json(found) || found == "text/html")
}

/// Whether so little came in so long a time that the end will never come.
pub(crate) fn is_stuck(elapsed: Duration, received: u64) -> bool {
    elapsed > PATIENT && received < (elapsed - PATIENT).as_secs() * SLOWEST
}

async fn bounded(mut response: Response) -> Result<Bytes, Unusable> {
    let too_large = || {
        Unusable::for_good(format!(
            "the answer is larger than {} MiB, which none of the provider's is",
            MAX_JSON_BYTES >> 20
        ))
    };
    if response.content_length().is_some_and(|length| length > MAX_JSON_BYTES as u64) {
        return Err(too_large());
    }
    let whole = async {
        let mut body = BytesMut::new();
        while let Some(chunk) =
            response.chunk().await.map_err(|error| Unusable::broken(root_cause(&error)))?
        {
            if body.len() + chunk.len() > MAX_JSON_BYTES {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    };
    tokio::time::timeout(LONGEST, whole).await.unwrap_or_else(|_| {
        Err(Unusable::for_good(format!(
            "the answer did not end in {} minutes",
            LONGEST.as_secs() / 60
        )))
    })
}

/// The media type that an answer says it is, in lower case and without parameters.
fn media_type(response: &Response) -> Option<String> {
    let told = response.headers().get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(told.split(';').next()?.trim().to_lowercase()).filter(|told| !told.is_empty())
}

fn is_json(media_type: &str) -> bool {
    media_type == "application/json" || media_type.ends_with("+json")
}

/// How long an answer asks us to wait (`Retry-After`), `None` when it does not, or not intelligibly.
pub(super) fn retry_after(response: &Response) -> Option<Duration> {
    let text = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    parse_retry_after(text(header::RETRY_AFTER)?, text(header::DATE), OffsetDateTime::now_utc())
}

/// Reads `Retry-After`: seconds or a date (RFC 9110, 10.2.3). A date is compared with `date`, the
/// provider's own in the same answer, because our clock may be wrong; with `now` where there is none.
///
/// A date that has passed asks for nothing.
pub fn parse_retry_after(
    retry_after: &str,
    date: Option<&str>,
    now: OffsetDateTime,
) -> Option<Duration> {
    let text = retry_after.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let until = http_date(text)?;
    let now = date.and_then(|date| http_date(date.trim())).unwrap_or(now);
    Duration::try_from(until - now).ok().filter(|wait| !wait.is_zero())
}

/// RFC 9110, 5.6.7: what is sent today, and the two forms of old.
fn http_date(text: &str) -> Option<OffsetDateTime> {
    const TODAY: &[BorrowedFormatItem<'_>] = format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    const ASCTIME: &[BorrowedFormatItem<'_>] = format_description!(
        "[weekday repr:short] [month repr:short] [day padding:space] [hour]:[minute]:[second] [year]"
    );
    if let Ok(time) =
        PrimitiveDateTime::parse(text, TODAY).or_else(|_| PrimitiveDateTime::parse(text, ASCTIME))
    {
        return Some(time.assume_utc());
    }
    // RFC 850: `Sunday, 06-Nov-94 08:49:37 GMT`. Whoever sends it now means this century.
    let (_, rest) = text.split_once(", ")?;
    let mut parts = rest.splitn(3, '-');
    let (day, month, rest) = (parts.next()?, parts.next()?, parts.next()?);
    let (year, clock) = rest.split_once(' ')?;
    let plain = format!("{day} {month} 20{year} {clock}");
    let format =
        format_description!("[day] [month repr:short] [year] [hour]:[minute]:[second] GMT");
    Some(PrimitiveDateTime::parse(&plain, format).ok()?.assume_utc())
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-27 08:00 UTC);

    #[test]
    fn a_wait_is_understood_in_seconds_and_as_a_date() {
        let wait = |text, date| parse_retry_after(text, date, NOW).map(|wait| wait.as_secs());
        assert_eq!(wait(" 17 ", None), Some(17));
        for date in [
            "Fri, 27 Nov 2026 08:00:30 GMT",
            "Friday, 27-Nov-26 08:00:30 GMT",
            "Fri Nov 27 08:00:30 2026",
        ] {
            assert_eq!(wait(date, None), Some(30), "{date}");
        }
        for none in ["", "soon", "-3", "1e3", "Fri, 27 Nov 2026 07:59:00 GMT", "99999999999"] {
            assert_eq!(wait(none, None), None, "{none}");
        }
    }

    #[test]
    fn a_wrong_clock_of_ours_does_not_make_a_wait_of_seconds_one_of_hours() {
        let (until, theirs) = ("Fri, 27 Nov 2026 11:00:05 GMT", "Fri, 27 Nov 2026 11:00:00 GMT");
        let wait = parse_retry_after(until, Some(theirs), NOW);
        assert_eq!(wait, Some(Duration::from_secs(5)));
    }

    #[test]
    fn a_content_that_only_trickles_is_given_up_and_a_slow_line_is_not() {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        assert!(!is_stuck(minutes(5), 0));
        assert!(is_stuck(minutes(6), 1000));
        assert!(!is_stuck(minutes(60), 5 << 20));
    }
}
