//! Splitting of mbox files, exactly as Python's `mailbox.mbox` does it: every line that begins
//! with `From ` begins a message, is not part of it, and one empty line before it (or before the
//! end of the file) does not belong to the message either. Nothing is unquoted.

use std::io::{self, BufRead};

use bytes::Bytes;

/// One message is read into memory as a whole; this is where that ends.
const LARGEST_MESSAGE: usize = 1 << 30;

/// A message out of an mbox file: the `From ` line without its line end, and the content with
/// CRLF line ends.
pub(crate) struct Piece {
    pub(crate) from_line: Vec<u8>,
    pub(crate) content: Bytes,
}

/// Calls `take` with every message of the file.
pub(crate) fn split(mut from: impl BufRead, mut take: impl FnMut(Piece)) -> io::Result<()> {
    let mut line = Vec::new();
    let mut from_line: Option<Vec<u8>> = None;
    let mut content = Vec::new();
    // An empty line is held back until it is known whether another line follows it.
    let mut empty_held = false;
    loop {
        line.clear();
        let read = from.read_until(b'\n', &mut line)?;
        if read == 0 || line.starts_with(b"From ") {
            let ended = std::mem::take(&mut content);
            if let Some(from_line) = from_line.take() {
                take(Piece { from_line, content: Bytes::from(ended.into_boxed_slice()) });
            }
            if read == 0 {
                return Ok(());
            }
            while line.last().is_some_and(|b| matches!(b, b'\n' | b'\r')) {
                line.pop();
            }
            from_line = Some(line.clone());
            empty_held = false;
            continue;
        }
        if from_line.is_none() {
            continue;
        }
        if empty_held {
            content.extend_from_slice(b"\r\n");
        }
        empty_held = line == b"\n";
        if !empty_held {
            push_crlf(&mut content, &line);
        }
        if content.len() > LARGEST_MESSAGE {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                "a message is larger than 1 GiB",
            ));
        }
    }
}

/// Text with every bare LF made CRLF.
pub(crate) fn to_crlf(text: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(text.len() + text.len() / 32);
    for line in text.split_inclusive(|b| *b == b'\n') {
        push_crlf(&mut out, line);
    }
    Bytes::from(out.into_boxed_slice())
}

fn push_crlf(out: &mut Vec<u8>, line: &[u8]) {
    match line.strip_suffix(b"\n") {
        Some(text) if !text.ends_with(b"\r") => {
            out.extend_from_slice(text);
            out.extend_from_slice(b"\r\n");
        }
        _ => out.extend_from_slice(line),
    }
}

/// The time of a `From ` line (`From MAILER-DAEMON Mon Apr 18 14:18:37 2022`), read as UTC.
pub(crate) fn envelope_time(from_line: &[u8]) -> Option<i64> {
    let line = std::str::from_utf8(from_line).ok()?;
    let words: Vec<&str> = line.split_whitespace().collect();
    let [.., month, day, clock, year] = words.as_slice() else { return None };
    let month =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
            .iter()
            .position(|name| name == month)?;
    let month = time::Month::try_from(u8::try_from(month + 1).ok()?).ok()?;
    let date = time::Date::from_calendar_date(year.parse().ok()?, month, day.parse().ok()?).ok()?;
    let mut parts = clock.split(':').map(str::parse::<u8>);
    let mut part = || parts.next()?.ok();
    let time = time::Time::from_hms(part()?, part()?, part()?).ok()?;
    Some(date.with_time(time).assume_utc().unix_timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(text: &str) -> Vec<String> {
        let mut found = Vec::new();
        split(text.as_bytes(), |p| found.push(String::from_utf8(p.content.to_vec()).unwrap()))
            .unwrap();
        found
    }

    #[test]
    fn a_message_gains_and_loses_no_line_when_an_mbox_is_split() {
        assert_eq!(pieces(""), [""; 0]);
        assert_eq!(pieces("no mbox\n"), [""; 0]);
        assert_eq!(pieces("From a\nx\n\nFrom b\ny\n\n"), ["x\r\n", "y\r\n"]);
        assert_eq!(pieces("From a\nx\n\n\nFrom b\n"), ["x\r\n\r\n", ""]);
        assert_eq!(pieces("From a\nx\nFrom b\ny"), ["x\r\n", "y"]);
        assert_eq!(pieces("From a\n>From x\r\n\r\nFrom b\n"), [">From x\r\n\r\n", ""]);
        assert_eq!(pieces("before\n\nFrom a\n\nFrom b\n\n\n"), ["", "\r\n"]);
    }

    #[test]
    fn the_time_of_a_from_line_is_read() {
        assert_eq!(
            envelope_time(b"From MAILER-DAEMON Mon Apr 18 14:18:37 2022"),
            Some(1_650_291_517)
        );
        assert_eq!(envelope_time(b"From nowhere"), None);
    }
}
