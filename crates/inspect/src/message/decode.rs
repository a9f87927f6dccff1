//! Undoing transfer encodings (RFC 2045) and character sets, as leniently as mail clients do:
//! what is broken is decoded as far as it goes.

use std::borrow::Cow;

use mail_parser::decoders::charsets::map::charset_decoder;

/// Undoes `Content-Transfer-Encoding`; unknown ones are read as they are.
pub(super) fn transfer<'x>(raw: &'x [u8], encoding: &str) -> Cow<'x, [u8]> {
    match encoding {
        "base64" => Cow::Owned(base64(raw)),
        "quoted-printable" => quoted_printable(raw),
        _ => Cow::Borrowed(raw),
    }
}

/// Turns bytes into text. Without a usable charset: UTF-8 where it is that, else Windows-1252,
/// which is what mail clients assume.
pub(crate) fn charset(bytes: &[u8], charset: Option<&str>) -> String {
    let name = charset.unwrap_or_default().trim();
    let undeclared = ["", "utf-8", "utf8", "us-ascii", "ascii"]
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known));
    if undeclared && let Ok(text) = std::str::from_utf8(bytes) {
        return text.to_owned();
    }
    if name.eq_ignore_ascii_case("utf-8") || name.eq_ignore_ascii_case("utf8") {
        return String::from_utf8_lossy(bytes).into_owned();
    }
    if let Some(decode) = charset_decoder(name.as_bytes()) {
        return decode(bytes);
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => charset_decoder(b"windows-1252")
            .map_or_else(|| String::from_utf8_lossy(bytes).into_owned(), |decode| decode(bytes)),
    }
}

/// Base64 that ignores foreign characters and stops at the padding (RFC 2045 section 6.8).
pub(crate) fn base64(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len() / 4 * 3 + 3);
    let (mut bits, mut count) = (0_u32, 0);
    let mut rest = raw;
    while let Some((&byte, after)) = rest.split_first() {
        // Whole quanta at a time, as long as nothing else is between them.
        if count == 0 {
            let mut read = 0;
            for quantum in rest.chunks_exact(4) {
                let [a, b, c, d] = [0, 1, 2, 3].map(|at| DIGITS[usize::from(quantum[at])]);
                if (a | b | c | d) == FOREIGN {
                    break;
                }
                let bits =
                    u32::from(a) << 18 | u32::from(b) << 12 | u32::from(c) << 6 | u32::from(d);
                out.extend_from_slice(&bits.to_be_bytes()[1..]);
                read += 4;
            }
            if read > 0 {
                rest = &rest[read..];
                continue;
            }
        }
        rest = after;
        let value = DIGITS[usize::from(byte)];
        if value == FOREIGN {
            if byte == b'=' && count > 0 {
                // Padding closes a quantum. Some senders concatenate encoded pieces: go on.
                out.extend_from_slice(&(bits << (6 * (4 - count))).to_be_bytes()[1..count]);
                (bits, count) = (0, 0);
            }
            continue;
        }
        bits = bits << 6 | u32::from(value);
        count += 1;
        if count == 4 {
            out.extend_from_slice(&bits.to_be_bytes()[1..]);
            (bits, count) = (0, 0);
        }
    }
    if count > 1 {
        out.extend_from_slice(&(bits << (6 * (4 - count))).to_be_bytes()[1..count]);
    }
    out
}

/// What is no digit; it has all bits, so that one of four shows in their sum.
const FOREIGN: u8 = 0xFF;

/// The value of each digit of Base64 (RFC 2045, table 1).
static DIGITS: [u8; 256] = {
    let mut digits = [FOREIGN; 256];
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut value = 0;
    while value < alphabet.len() {
        digits[alphabet[value] as usize] = value as u8;
        value += 1;
    }
    digits
};

/// Quoted-printable (RFC 2045 section 6.7). An `=` that begins no escape stands for itself. White
/// space at a line's end stays: the standard wants it dropped, but what was sent is the evidence.
fn quoted_printable(raw: &[u8]) -> Cow<'_, [u8]> {
    if !raw.contains(&b'=') {
        return Cow::Borrowed(raw);
    }
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'=', rest) {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        let blank = rest.iter().take_while(|b| matches!(b, b' ' | b'\t' | b'\r')).count();
        match rest {
            [high, low, tail @ ..] if hex(*high).is_some() && hex(*low).is_some() => {
                out.push(hex(*high).unwrap_or(0) << 4 | hex(*low).unwrap_or(0));
                rest = tail;
            }
            _ if blank == rest.len() => break,
            _ if rest[blank] == b'\n' => rest = &rest[blank + 1..],
            _ => out.push(b'='),
        }
    }
    out.extend_from_slice(rest);
    Cow::Owned(out)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read_however_it_is_wrapped_and_padded() {
        for (raw, text) in [
            ("aGVsbG8=", "hello"),
            ("aGVs\r\n bG8", "hello"),
            ("aGVsbA==aGVsbA==", "hellhell"),
            ("a", ""),
            ("====", ""),
            ("aGVs-bG8=aGVs\tbG8", "hellohello"),
            ("", ""),
        ] {
            assert_eq!(base64(raw.as_bytes()), text.as_bytes(), "{raw}");
        }
    }

    #[test]
    fn quoted_printable_keeps_what_it_cannot_read() {
        for (raw, text) in [
            ("a=20b=3D\r\nc", "a b=\r\nc"),
            ("soft=\nbreak =  \r\nhere \t\nend", "softbreak here \t\nend"),
            ("50=%, =G1, =", "50=%, =G1, "),
            ("=c3=A9", "é"),
            ("plain", "plain"),
            ("trailing ", "trailing "),
        ] {
            assert_eq!(String::from_utf8_lossy(&quoted_printable(raw.as_bytes())), text, "{raw:?}");
        }
    }

    #[test]
    fn text_is_readable_with_a_wrong_or_missing_charset() {
        assert_eq!(charset("é".as_bytes(), None), "é");
        assert_eq!(charset(b"\xe9", None), "é");
        assert_eq!(charset("é".as_bytes(), Some("us-ascii")), "é");
        assert_eq!(charset(b"\xe9", Some("us-ascii")), "é");
        assert_eq!(charset(b"\xe9", Some("no-such-charset")), "é");
        assert_eq!(charset(b"\xe9", Some("utf-8")), "\u{fffd}");
        assert_eq!(charset(b"\x83n", Some("Shift_JIS")), "ハ");
    }
}
