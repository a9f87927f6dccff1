//! Character references (WHATWG HTML section 13.2.5.72).

use std::borrow::Cow;

use mail_parser::decoders::html::add_html_token;

/// Where a character reference stands; an attribute keeps `&copy=` as it is, text does not.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Text,
    Attribute,
}

/// The longest name in the standard, `CounterClockwiseContourIntegral;`, has 32 characters.
const LONGEST_NAME: usize = 32;

/// Names that are also read without their semicolon; those of the standard's that occur in mail.
const WITHOUT_SEMICOLON: &[&str] =
    &["amp", "AMP", "copy", "gt", "GT", "lt", "LT", "nbsp", "quot", "QUOT", "reg", "shy"];

/// All character references of an attribute's value decoded.
pub(super) fn decode(value: &str) -> Cow<'_, str> {
    if !value.contains('&') {
        return Cow::Borrowed(value);
    }
    let mut out = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let read = match read(rest, Place::Attribute, &mut out) {
            0 => {
                out.push('&');
                1
            }
            read => read,
        };
        rest = &rest[read..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Reads the character reference at the beginning of `text`, which begins with `&`. Gives its
/// length, or 0 when there is none.
pub(super) fn read(text: &str, place: Place, out: &mut String) -> usize {
    let bytes = text.as_bytes();
    if bytes.get(1) == Some(&b'#') {
        return numeric(bytes, out);
    }
    let name = bytes[1..].iter().take(LONGEST_NAME).take_while(|b| b.is_ascii_alphanumeric());
    let end = 1 + name.count();
    if end == 1 {
        return 0;
    }
    if bytes.get(end) == Some(&b';') {
        let token = &text[..=end];
        let before = out.len();
        add_html_token(out, token.as_bytes(), false);
        if &out[before..] != token {
            return end + 1;
        }
        out.truncate(before);
    }
    let Some(name) = WITHOUT_SEMICOLON.iter().find(|name| text[1..end].starts_with(**name)) else {
        return 0;
    };
    let end = 1 + name.len();
    let follows = bytes.get(end);
    if place == Place::Attribute && follows.is_some_and(|b| *b == b'=' || b.is_ascii_alphanumeric())
    {
        return 0;
    }
    add_html_token(out, format!("&{name};").as_bytes(), false);
    end
}

/// `&#65;`, `&#x41;`, also without the semicolon.
fn numeric(bytes: &[u8], out: &mut String) -> usize {
    let (radix, start) = match bytes.get(2) {
        Some(b'x' | b'X') => (16, 3),
        _ => (10, 2),
    };
    let mut value = 0_u32;
    let mut end = start;
    while let Some(digit) = bytes.get(end).and_then(|b| char::from(*b).to_digit(radix)) {
        value = value.saturating_mul(radix).saturating_add(digit);
        end += 1;
    }
    if end == start {
        return 0;
    }
    out.push(match value {
        // What the standard takes from Windows-1252, as far as mail uses it.
        0x80 => '€',
        0x82 => '‚',
        0x84 => '„',
        0x85 => '…',
        0x91 => '‘',
        0x92 => '’',
        0x93 => '“',
        0x94 => '”',
        0x95 => '•',
        0x96 => '–',
        0x97 => '—',
        0x99 => '™',
        0 => char::REPLACEMENT_CHARACTER,
        _ => char::from_u32(value).unwrap_or(char::REPLACEMENT_CHARACTER),
    });
    end + usize::from(bytes.get(end) == Some(&b';'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_written_in_entities_is_the_address() {
        for (source, text) in [
            ("https&#58;//b&#x61;nk.com&sol;a", "https://bank.com/a"),
            ("a&amp;b&ampc&amp", "a&b&ampc&"),
            ("?a=1&copy=2&reg;", "?a=1&copy=2®"),
            ("&bogus; & &; &# &#x; &#xfffffffff;", "&bogus; & &; &# &#x; \u{fffd}"),
            ("&#150;&#0;&#xD800;&period;", "–\u{fffd}\u{fffd}."),
        ] {
            assert_eq!(decode(source), text, "{source}");
        }
    }
}
