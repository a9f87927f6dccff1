//! Text of rows and columns: CSV, tab-separated text, the text of spreadsheets.

/// The end of the line that the place is in, when it is within so many bytes.
pub(super) fn line_end(text: &str, place: usize, within: usize) -> Option<usize> {
    let to = (place + within).min(text.len());
    memchr::memchr(b'\n', &text.as_bytes()[place..to]).map(|offset| place + offset)
}

/// The beginning of the line that the place is in, when it is within so many bytes.
pub(super) fn line_start(text: &str, place: usize, within: usize) -> Option<usize> {
    let from = place.saturating_sub(within);
    match memchr::memrchr(b'\n', &text.as_bytes()[from..place]) {
        Some(offset) => Some(from + offset + 1),
        None => (from == 0).then_some(0),
    }
}

/// What separates the columns of a line, and how many there are; `None` when it has one column.
pub(super) fn delimiter(line: &str) -> Option<(u8, usize)> {
    [b'\t', b';', b',', b'|']
        .into_iter()
        .map(|delimiter| (delimiter, column(line, delimiter) + 1))
        .filter(|&(_, columns)| columns > 1)
        // The first of those that make the most columns.
        .rev()
        .max_by_key(|&(_, columns)| columns)
}

/// In which column the end of this beginning of a line is. Delimiters in quotes are text (RFC 4180).
pub(super) fn column(beginning: &str, delimiter: u8) -> usize {
    let mut quoted = false;
    let mut columns = 0;
    for byte in beginning.bytes() {
        match byte {
            b'"' => quoted = !quoted,
            _ if byte == delimiter && !quoted => columns += 1,
            _ => {}
        }
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_counted_past_quotes() {
        assert_eq!(delimiter("a;b;c,d"), Some((b';', 3)));
        assert_eq!(delimiter("a\tb"), Some((b'\t', 2)));
        assert_eq!(delimiter("a b"), None);
        assert_eq!(column("\"a,b\",c,", b','), 2);
        assert_eq!(line_start("ab\ncd", 4, 10), Some(3));
        assert_eq!(line_start("abcdef", 5, 2), None);
        assert_eq!(line_end("ab\ncd", 0, 10), Some(2));
    }
}
