/// Text from outside on one line, without what could steer a terminal, end a header or reorder the
/// line.
pub fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || is_bidirectional(c) { ' ' } else { c }).collect()
}

/// Marks, overrides and isolates of Unicode's bidirectional algorithm (UAX #9), and its line breaks.
fn is_bidirectional(c: char) -> bool {
    matches!(c, '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}
