use std::borrow::Cow;

/// Values in one another; deeper ones are nothing.
const DEPTH: usize = 40;
/// Values in one array or dictionary.
const WIDTH: usize = 100_000;

/// A value (ISO 32000-1, 7.3).
#[derive(Debug)]
pub(super) enum Value<'p> {
    Null,
    Number(f64),
    /// A name without its slash, `#xx` undone; and whether it had such.
    Name(Cow<'p, [u8]>),
    Text(Cow<'p, [u8]>),
    Array(Vec<Value<'p>>),
    Dictionary(Vec<(Cow<'p, [u8]>, Value<'p>)>),
    Reference(u32),
    /// An operator of a page's content, or anything else that is written so.
    Word(&'p [u8]),
}

impl<'p> Value<'p> {
    pub(super) fn get(&self, key: &[u8]) -> Option<&Self> {
        match self {
            Self::Dictionary(pairs) => {
                pairs.iter().find(|(name, _)| &**name == key).map(|(_, value)| value)
            }
            _ => None,
        }
    }

    pub(super) fn name(&self) -> Option<&[u8]> {
        match self {
            Self::Name(name) => Some(name),
            _ => None,
        }
    }

    /// A whole number that is not negative.
    pub(super) fn number(&self) -> Option<usize> {
        match self {
            Self::Number(number) if (0.0..1e15).contains(number) => Some(*number as usize),
            _ => None,
        }
    }

    /// Whether a dictionary says that it is of this type.
    pub(super) fn is_a(&self, kind: &[u8]) -> bool {
        self.get(b"Type").and_then(Value::name) == Some(kind)
    }

    pub(super) fn subtype(&self) -> Option<&[u8]> {
        self.get(b"Subtype").and_then(Value::name)
    }

    /// A key or name that matters and is written with `#xx` where no program writes it so.
    pub(super) fn obfuscated(&self) -> Option<&[u8]> {
        const TELLING: [&[u8]; 9] = [
            b"JS",
            b"JavaScript",
            b"OpenAction",
            b"AA",
            b"Launch",
            b"URI",
            b"EmbeddedFile",
            b"ObjStm",
            b"XFA",
        ];
        let Self::Dictionary(pairs) = self else { return None };
        let is_hidden = |name: &Cow<'_, [u8]>| matches!(name, Cow::Owned(name) if TELLING.contains(&name.as_slice()));
        pairs.iter().find_map(|(key, value)| match value {
            _ if is_hidden(key) => Some(&**key),
            Self::Name(name) if is_hidden(name) => Some(&**name),
            _ => None,
        })
    }

    /// Calls with every dictionary in the value.
    pub(super) fn each(&self, call: &mut impl FnMut(&Self)) {
        match self {
            Self::Dictionary(pairs) => {
                call(self);
                pairs.iter().for_each(|(_, value)| value.each(call));
            }
            Self::Array(values) => values.iter().for_each(|value| value.each(call)),
            _ => {}
        }
    }
}

pub(super) struct Lexer<'p> {
    bytes: &'p [u8],
    at: usize,
}

impl<'p> Lexer<'p> {
    pub(super) fn new(bytes: &'p [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The next value; `None` at the end or where a bracket closes.
    pub(super) fn value(&mut self) -> Option<Value<'p>> {
        self.nested(DEPTH)
    }

    /// Where the bytes of a stream begin, when one follows.
    pub(super) fn stream(&mut self) -> Option<usize> {
        self.blanks();
        let rest = self.bytes.get(self.at..)?.strip_prefix(b"stream")?;
        let line_end = if rest.starts_with(b"\r\n") {
            2
        } else {
            usize::from(rest.starts_with(b"\n") || rest.starts_with(b"\r"))
        };
        Some(self.at + 6 + line_end)
    }

    /// Passes over the bytes of a picture in a page's content.
    pub(super) fn skip_picture(&mut self) {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        self.at += memchr::memmem::find(rest, b"EI").map_or(rest.len(), |at| at + 2);
    }

    /// Bytes that were read.
    pub(super) fn place(&self) -> usize {
        self.at
    }

    /// Passes over one byte that begins no value; `false` at the end.
    pub(super) fn step(&mut self) -> bool {
        self.at += 1;
        self.at < self.bytes.len()
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.bytes.get(self.at + ahead).copied()
    }

    fn blanks(&mut self) {
        while let Some(byte) = self.peek(0) {
            if byte == b'%' {
                let rest = &self.bytes[self.at..];
                self.at += memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
            } else if byte.is_ascii_whitespace() || byte == 0 {
                self.at += 1;
            } else {
                return;
            }
        }
    }

    fn nested(&mut self, depth: usize) -> Option<Value<'p>> {
        self.blanks();
        let depth = depth.checked_sub(1)?;
        match (self.peek(0)?, self.peek(1)) {
            (b'/', _) => {
                self.at += 1;
                Some(Value::Name(self.name()))
            }
            (b'(', _) => Some(Value::Text(self.text())),
            (b'<', Some(b'<')) => {
                self.at += 2;
                Some(self.dictionary(depth))
            }
            (b'<', _) => Some(Value::Text(self.hex())),
            (b'[', _) => {
                self.at += 1;
                let mut values = Vec::new();
                while values.len() < WIDTH {
                    match self.nested(depth) {
                        Some(value) => values.push(value),
                        None => break,
                    }
                }
                self.blanks();
                self.at += usize::from(self.peek(0) == Some(b']'));
                Some(Value::Array(values))
            }
            (b']' | b'>' | b'}' | b')', _) => None,
            (b'{', _) => {
                self.at += 1;
                Some(Value::Null)
            }
            (byte, _) if byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.') => {
                Some(self.number())
            }
            _ => Some(self.word()),
        }
    }

    fn regular(&self) -> usize {
        self.bytes[self.at..]
            .iter()
            .position(|b| {
                b.is_ascii_whitespace()
                    || matches!(
                        b,
                        0 | b'(' | b')' | b'<' | b'>' | b'[' | b']' | b'{' | b'}' | b'/' | b'%'
                    )
            })
            .unwrap_or(self.bytes.len() - self.at)
    }

    fn name(&mut self) -> Cow<'p, [u8]> {
        let raw = &self.bytes[self.at..self.at + self.regular()];
        self.at += raw.len();
        if !raw.contains(&b'#') {
            return Cow::Borrowed(raw);
        }
        let mut out = Vec::with_capacity(raw.len());
        let mut at = 0;
        while let Some(&byte) = raw.get(at) {
            let code = raw
                .get(at + 1..at + 3)
                .filter(|_| byte == b'#')
                .and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
            out.push(code.unwrap_or(byte));
            at += if code.is_some() { 3 } else { 1 };
        }
        Cow::Owned(out)
    }

    fn word(&mut self) -> Value<'p> {
        let len = self.regular().max(1);
        let word = &self.bytes[self.at..self.at + len];
        self.at += len;
        match word {
            b"null" => Value::Null,
            word => Value::Word(word),
        }
    }

    /// A number, or a reference: two numbers and an R.
    fn number(&mut self) -> Value<'p> {
        let len = self.regular().max(1);
        let word = &self.bytes[self.at..self.at + len];
        self.at += len;
        let number = std::str::from_utf8(word).ok().and_then(|text| text.parse::<f64>().ok());
        let Some(number) = number.filter(|number| number.is_finite()) else {
            return Value::Word(word);
        };
        if word.iter().all(u8::is_ascii_digit) && word.len() < 10 {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            let mut words = rest[..rest.len().min(16)]
                .split(|b| b.is_ascii_whitespace())
                .filter(|word| !word.is_empty());
            if let (Some(generation), Some(r)) = (words.next(), words.next())
                && generation.iter().all(u8::is_ascii_digit)
                && r.first() == Some(&b'R')
                && r.get(1)
                    .is_none_or(|b| matches!(b, b'/' | b'>' | b']' | b'[' | b'<' | b'(' | b'%'))
            {
                let end = memchr::memchr(b'R', rest).unwrap_or_default();
                self.at += end + 1;
                return Value::Reference(number as u32);
            }
        }
        Value::Number(number)
    }

    fn dictionary(&mut self, depth: usize) -> Value<'p> {
        let mut pairs = Vec::new();
        while pairs.len() < WIDTH {
            self.blanks();
            match self.peek(0) {
                Some(b'/') => {
                    self.at += 1;
                    let key = self.name();
                    let Some(value) = self.nested(depth) else {
                        if matches!(self.peek(0), Some(b'>')) {
                            continue;
                        }
                        break;
                    };
                    pairs.push((key, value));
                }
                Some(b'>') => {
                    self.at += if self.peek(1) == Some(b'>') { 2 } else { 1 };
                    break;
                }
                // Not a key: passed over, as readers do.
                Some(_) => {
                    if self.nested(depth).is_none() {
                        self.at += 1;
                    }
                }
                None => break,
            }
        }
        Value::Dictionary(pairs)
    }

    fn text(&mut self) -> Cow<'p, [u8]> {
        let start = self.at + 1;
        let mut depth = 0_usize;
        let mut plain = true;
        let mut end = start;
        while let Some(&byte) = self.bytes.get(end) {
            match byte {
                b'\\' => {
                    plain = false;
                    end += 1;
                }
                b'(' => depth += 1,
                b')' if depth == 0 => break,
                b')' => depth -= 1,
                _ => {}
            }
            end += 1;
        }
        let end = end.min(self.bytes.len());
        self.at = (end + 1).min(self.bytes.len());
        let raw = &self.bytes[start.min(end)..end];
        if plain { Cow::Borrowed(raw) } else { Cow::Owned(unescape(raw)) }
    }

    fn hex(&mut self) -> Cow<'p, [u8]> {
        let rest = &self.bytes[self.at + 1..];
        let len = memchr::memchr(b'>', rest).unwrap_or(rest.len());
        self.at = (self.at + len + 2).min(self.bytes.len());
        let digits: Vec<u8> = rest[..len]
            .iter()
            .filter_map(|b| char::from(*b).to_digit(16))
            .map(|d| d as u8)
            .collect();
        Cow::Owned(
            digits
                .chunks(2)
                .map(|pair| pair[0] << 4 | pair.get(1).copied().unwrap_or_default())
                .collect(),
        )
    }
}

fn unescape(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    let mut at = 0;
    while let Some(&byte) = raw.get(at) {
        at += 1;
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let Some(&escaped) = raw.get(at) else { break };
        at += 1;
        match escaped {
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'\r' => at += usize::from(raw.get(at) == Some(&b'\n')),
            b'\n' => {}
            b'0'..=b'7' => {
                let mut code = u32::from(escaped - b'0');
                for _ in 0..2 {
                    if let Some(digit @ b'0'..=b'7') = raw.get(at) {
                        code = code * 8 + u32::from(digit - b'0');
                        at += 1;
                    }
                }
                out.push((code & 0xFF) as u8);
            }
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_strings_are_read_however_they_are_written() {
        let bytes = b"<< /J#53 (a\\(b\\051\\n) /K [1 0 R <4142> -1.5 /N] % c\n /L << /M null >> >>";
        let value = Lexer::new(bytes).value().unwrap();
        assert!(matches!(value.get(b"JS"), Some(Value::Text(text)) if &**text == b"a(b)\n"));
        assert_eq!(value.obfuscated(), Some(&b"JS"[..]));
        let Some(Value::Array(values)) = value.get(b"K") else { panic!("{value:?}") };
        assert!(matches!(
            &values[..],
            [Value::Reference(1), Value::Text(_), Value::Number(_), Value::Name(_)]
        ));
        assert!(value.get(b"L").unwrap().get(b"M").is_some());
    }

    #[test]
    fn brackets_without_end_do_not_exhaust_the_stack() {
        let many = b"[".repeat(1 << 20);
        Lexer::new(&many).value();
        let many = b"<</a".repeat(1 << 18);
        Lexer::new(&many).value();
    }
}
