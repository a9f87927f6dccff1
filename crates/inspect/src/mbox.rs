//! The messages of an mbox file.
//!
//! Split as Python's `mailbox.mbox` does it (the "mboxo" form): every line that begins with
//! `From ` begins a message and is dropped, one empty line (`\n` alone) in front of the next such
//! line or the end is dropped, what stands in front of the first is passed over, and nothing is
//! unquoted.

use std::io::{self, BufRead, Read};

/// Bytes that are read of a line at once; longer lines arrive in pieces.
const PIECE: u64 = 64 << 10;

/// One message of an mbox file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The message, or its beginning when it is larger than was asked for.
    pub bytes: Vec<u8>,
    /// The size of the whole message in bytes; more than `bytes` holds when that is cut off. Hand
    /// it to [`inspect_prefix`](crate::inspect_prefix).
    pub size: u64,
}

/// Iterates over the messages of an mbox file, one in memory at a time.
///
/// An error of the reader is given once and ends the iteration.
#[derive(Debug)]
pub struct Messages<R> {
    reader: R,
    max_bytes: usize,
    /// The piece that was read last and not yet used.
    piece: Vec<u8>,
    /// Whether the next piece begins a line.
    at_line_start: bool,
    /// A `From ` line was read, whose message comes next.
    begun: bool,
    done: bool,
}

impl<R: BufRead> Messages<R> {
    /// Reads from the beginning of an mbox file; keeps at most `max_bytes` of each message.
    pub fn new(reader: R, max_bytes: usize) -> Self {
        let piece = Vec::new();
        Self { reader, max_bytes, piece, at_line_start: true, begun: false, done: false }
    }

    /// Reads the next piece; whether it begins a line, or `None` at the end.
    fn read(&mut self) -> io::Result<Option<bool>> {
        self.piece.clear();
        self.reader.by_ref().take(PIECE).read_until(b'\n', &mut self.piece)?;
        let line_start = self.at_line_start;
        self.at_line_start = self.piece.ends_with(b"\n");
        Ok((!self.piece.is_empty()).then_some(line_start))
    }

    fn message(&mut self) -> io::Result<Option<Message>> {
        while !self.begun {
            match self.read()? {
                Some(line_start) => self.begun = line_start && self.piece.starts_with(b"From "),
                None => return Ok(None),
            }
        }
        self.begun = false;
        let mut message = Message { bytes: Vec::new(), size: 0 };
        let mut empty_line = false;
        loop {
            let line_start = self.read()?;
            let ends = line_start.is_none()
                || line_start == Some(true) && self.piece.starts_with(b"From ");
            if ends {
                self.begun = line_start.is_some();
                return Ok(Some(message));
            }
            if empty_line {
                message.push(b"\n", self.max_bytes);
            }
            empty_line = line_start == Some(true) && self.piece == b"\n";
            if !empty_line {
                message.push(&self.piece, self.max_bytes);
            }
        }
    }
}

impl Message {
    fn push(&mut self, piece: &[u8], max_bytes: usize) {
        let room = max_bytes.saturating_sub(self.bytes.len()).min(piece.len());
        self.bytes.extend_from_slice(&piece[..room]);
        self.size += piece.len() as u64;
    }
}

impl<R: BufRead> Iterator for Messages<R> {
    type Item = io::Result<Message>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let next = self.message().transpose();
        self.done = !matches!(next, Some(Ok(_)));
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(mbox: &str) -> Vec<String> {
        Messages::new(mbox.as_bytes(), usize::MAX)
            .map(|message| String::from_utf8(message.unwrap().bytes).unwrap())
            .collect()
    }

    #[test]
    fn messages_are_the_ones_that_pythons_mailbox_finds() {
        for (mbox, messages) in [
            ("", &[][..]),
            ("no from line\n", &[]),
            ("From a\nx\n\nFrom b\ny\n", &["x\n", "y\n"]),
            ("From a\nx\nFrom b\ny\n\n", &["x\n", "y\n"]),
            ("pre\nFrom a\nx\n\n\nFrom b\n", &["x\n\n", ""]),
            ("From a\n>From x\nnot From y\n", &[">From x\nnot From y\n"]),
            ("From a\r\nx\r\n\r\nFrom b\r\ny", &["x\r\n\r\n", "y"]),
            ("From a\nFrom b\n\n\n", &["", "\n"]),
        ] {
            assert_eq!(split(mbox), messages, "{mbox:?}");
        }
    }

    #[test]
    fn a_huge_message_is_cut_off_and_its_size_is_known() {
        let line = "a".repeat(200_000);
        let mbox = format!("From a\n{line}From \n\nFrom b\nsmall\n");
        let messages: Vec<_> = Messages::new(mbox.as_bytes(), 1_000).map(Result::unwrap).collect();
        assert_eq!((messages[0].bytes.len(), messages[0].size), (1_000, 200_006));
        assert_eq!(messages[1].bytes, b"small\n");
        assert_eq!(messages.len(), 2);
    }

    #[test]
    fn a_failing_disk_is_an_error_and_not_the_end_of_the_mail() {
        struct Failing;
        impl Read for Failing {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("disk"))
            }
        }
        let mut messages = Messages::new(io::BufReader::new(b"From a\nx\n".chain(Failing)), 100);
        assert!(messages.next().unwrap().is_err());
        assert!(messages.next().is_none());
    }
}
