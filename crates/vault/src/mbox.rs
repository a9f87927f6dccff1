//! The mboxrd format (<https://www.loc.gov/preservation/digital/formats/fdd/fdd000385.shtml>):
//! messages one behind the other, each after a line that begins with `From `. A line of a message
//! that begins with `From `, with any number of `>` before it, gets one more `>`, so that a reader
//! can take exactly that one away.

use std::io::{self, Write};

use mailkeep_model::Item;
use time::{OffsetDateTime, UtcOffset, macros::format_description};

const FROM: &[u8] = b"From ";

/// Writes one message to an mbox. Line ends become LF; nothing else changes but the quoting. Call
/// [`MessageWriter::finish`] behind the last byte.
pub(crate) struct MessageWriter<W> {
    out: W,
    state: State,
    last: u8,
}

#[derive(Clone, Copy)]
enum State {
    /// At the beginning of a line behind any number of `>`, with so many bytes of `From ` seen
    /// and not yet written.
    Start(usize),
    Middle,
    /// Behind a CR that is not yet written.
    Return,
}

impl<W: Write> MessageWriter<W> {
    /// Begins a message with its `From ` line.
    pub(crate) fn new(mut out: W, item: &Item) -> io::Result<Self> {
        writeln!(out, "From {} {}", sender(item), asctime(item.received))?;
        Ok(Self { out, state: State::Start(0), last: b'\n' })
    }

    /// Ends the message: the last line is ended, an empty line follows.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        match self.state {
            State::Start(seen) => self.emit(&FROM[..seen])?,
            State::Return => self.emit(b"\r")?,
            State::Middle => {}
        }
        self.out.write_all(if self.last == b'\n' { b"\n" } else { b"\n\n" })
    }

    fn emit(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(last) = bytes.last() {
            self.last = *last;
            self.out.write_all(bytes)?;
        }
        Ok(())
    }

    /// Takes one byte in the middle of a line.
    fn middle(&mut self, byte: u8) -> io::Result<()> {
        self.state = match byte {
            b'\r' => State::Return,
            b'\n' => {
                self.emit(b"\n")?;
                State::Start(0)
            }
            byte => {
                self.emit(&[byte])?;
                State::Middle
            }
        };
        Ok(())
    }
}

impl<W: Write> Write for MessageWriter<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let mut rest = buffer;
        while let Some((&byte, tail)) = rest.split_first() {
            match self.state {
                State::Start(0) if byte == b'>' => self.emit(b">")?,
                State::Start(seen) if byte == FROM[seen] => {
                    self.state = State::Start(seen + 1);
                    if seen + 1 == FROM.len() {
                        self.emit(b">From ")?;
                        self.state = State::Middle;
                    }
                }
                State::Start(seen) => {
                    self.emit(&FROM[..seen])?;
                    self.middle(byte)?;
                }
                State::Return if byte == b'\n' => self.middle(byte)?,
                State::Return => {
                    self.emit(b"\r")?;
                    self.middle(byte)?;
                }
                State::Middle => {
                    let plain = rest.iter().position(|b| matches!(b, b'\r' | b'\n'));
                    let (line, tail) = rest.split_at(plain.unwrap_or(rest.len()));
                    if line.is_empty() {
                        self.middle(byte)?;
                    } else {
                        self.emit(line)?;
                        rest = tail;
                        continue;
                    }
                }
            }
            rest = tail;
        }
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// The sender as one word.
fn sender(item: &Item) -> String {
    let sender: String = item
        .from
        .as_deref()
        .unwrap_or_default()
        .chars()
        .filter(|c| !c.is_whitespace() && !c.is_control())
        .collect();
    if sender.is_empty() { "MAILER-DAEMON".to_owned() } else { sender }
}

/// The time as C's `asctime` writes it, in UTC.
fn asctime(time: OffsetDateTime) -> String {
    let format = format_description!(
        "[weekday repr:short] [month repr:short] [day padding:space] [hour]:[minute]:[second] [year]"
    );
    time.to_offset(UtcOffset::UTC)
        .format(format)
        .unwrap_or_else(|_| "Thu Jan  1 00:00:00 1970".to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn item() -> Item {
        serde_json::from_value(serde_json::json!({
            "id": "i", "folder": "f", "received": "2026-11-03T09:14:59Z", "content_key": "k",
            "from": "Ann Lee <ann@example.com>",
        }))
        .unwrap()
    }

    fn written(chunks: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut writer = MessageWriter::new(&mut out, &item()).unwrap();
        chunks.iter().for_each(|chunk| writer.write_all(chunk).unwrap());
        writer.finish().unwrap();
        out
    }

    /// What a reader of mboxrd makes of the body of a message.
    fn read_back(mbox: &[u8]) -> Vec<u8> {
        let body = &mbox[mbox.iter().position(|b| *b == b'\n').unwrap() + 1..mbox.len() - 1];
        let mut message = Vec::new();
        for line in body.split_inclusive(|b| *b == b'\n') {
            let marks = line.iter().take_while(|b| **b == b'>').count();
            let quoted = marks > 0 && line[marks..].starts_with(FROM);
            message.extend_from_slice(&line[usize::from(quoted)..]);
        }
        message
    }

    #[test]
    fn a_line_of_a_message_is_not_taken_for_the_next_message() {
        assert_eq!(
            String::from_utf8(written(&[
                b"A: b\r\n\r\nFrom here\r\n>From there\r\nFro",
                b"m me\nFrom"
            ]))
            .unwrap(),
            "From AnnLee<ann@example.com> Tue Nov  3 09:14:59 2026\n\
             A: b\n\n>From here\n>>From there\n>From me\nFrom\n\n"
        );
    }

    proptest! {
        #[test]
        fn a_message_reads_back_but_for_its_line_ends(
            pieces in prop::collection::vec("(From |>|F|\r\n|\n|\r|x|From){0,6}", 0..6)
        ) {
            let chunks: Vec<&[u8]> = pieces.iter().map(|p| p.as_bytes()).collect();
            let mut expected = pieces.concat().replace("\r\n", "\n");
            if !expected.is_empty() && !expected.ends_with('\n') {
                expected.push('\n');
            }
            prop_assert_eq!(String::from_utf8(read_back(&written(&chunks))).unwrap(), expected);
        }
    }
}
