//! The lab's clock: the machine's, shifted by an offset that tests set.

use std::sync::atomic::{AtomicI64, Ordering};

use time::OffsetDateTime;

/// Everything in the lab that depends on time asks this clock.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    offset_seconds: AtomicI64,
}

impl Clock {
    pub(crate) fn now(&self) -> OffsetDateTime {
        let real = OffsetDateTime::now_utc();
        real.checked_add(time::Duration::seconds(self.offset_seconds())).unwrap_or(real)
    }

    /// Seconds since 1970.
    pub(crate) fn unix(&self) -> i64 {
        self.now().unix_timestamp()
    }

    pub(crate) fn offset_seconds(&self) -> i64 {
        self.offset_seconds.load(Ordering::Relaxed)
    }

    pub(crate) fn set_offset_seconds(&self, seconds: i64) {
        self.offset_seconds.store(seconds, Ordering::Relaxed);
    }
}

/// `2026-11-23T21:30:05Z`, Graph's form of a time without fractions.
pub(crate) fn iso(unix: i64) -> String {
    let mut text = Vec::with_capacity(20);
    push_iso(&mut text, unix);
    String::from_utf8(text).unwrap_or_default()
}

/// Appends [`iso`]; the delta pages write several times per message.
pub(crate) fn push_iso(out: &mut Vec<u8>, unix: i64) {
    let at = from_unix(unix);
    let digits = |out: &mut Vec<u8>, value: u32, width: u32| {
        for place in (0..width).rev() {
            out.push(b'0' + (value / 10u32.pow(place) % 10) as u8);
        }
    };
    digits(out, at.year().unsigned_abs(), 4);
    for (separator, value) in [
        (b'-', u8::from(at.month())),
        (b'-', at.day()),
        (b'T', at.hour()),
        (b':', at.minute()),
        (b':', at.second()),
    ] {
        out.push(separator);
        digits(out, u32::from(value), 2);
    }
    out.push(b'Z');
}

/// A time from a message may lie outside what can be written; it becomes the epoch then.
pub(crate) fn from_unix(unix: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(unix)
        .ok()
        .filter(|at| (1..=9999).contains(&at.year()))
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// Reads RFC 3339, with or without fractions.
pub(crate) fn parse_rfc3339(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_graph_writes_them() {
        assert_eq!(iso(1_536_462_905), "2018-09-09T03:15:05Z");
        assert_eq!(iso(-1), "1969-12-31T23:59:59Z");
        assert_eq!(iso(i64::MAX), "1970-01-01T00:00:00Z");
    }
}
