//! How numbers are written, and one automaton that finds all of them in one pass.
//!
//! A *shape* is a short pattern over classes of characters:
//!
//! | in a shape | stands for |
//! |---|---|
//! | `D` | an ASCII digit |
//! | `L` | an ASCII letter |
//! | `X` | either |
//! | ` ` `-` `.` `/` `:` `(` | that separator; spaces and dashes of all kinds count as one of their kind |
//! | `~` | nothing, or a space, dash or dot, the same everywhere in the shape |
//! | `{n}`, `{m,n}` | so many of the class in front of it |
//! | `?` | the class in front of it may be missing |
//!
//! The shapes of all entities together become one deterministic automaton of a few hundred
//! states, which is run from every beginning of a word. Nearly all words leave it after a few
//! characters, which is why a message costs one look at each byte however many entities there are.

use std::{collections::HashMap, ops::Range};

/// Classes of characters, and what is none of them.
const CLASSES: usize = 8;

const DIGIT: u8 = 0;
const LETTER: u8 = 1;
const SPACE: u8 = 2;
const DASH: u8 = 3;
const DOT: u8 = 4;
const SLASH: u8 = 5;
const COLON: u8 = 6;
const PAREN: u8 = 7;
const OTHER: u8 = 8;

/// The class of every byte of ASCII; what is beyond is looked up by [`wide`].
static CLASS: [u8; 256] = {
    let mut class = [OTHER; 256];
    let mut byte = 0;
    while byte < 128 {
        class[byte] = match byte as u8 {
            b'0'..=b'9' => DIGIT,
            b'A'..=b'Z' | b'a'..=b'z' => LETTER,
            b' ' => SPACE,
            b'-' => DASH,
            b'.' => DOT,
            b'/' => SLASH,
            b':' => COLON,
            b'(' | b')' => PAREN,
            _ => OTHER,
        };
        byte += 1;
    }
    class
};

const DEAD: u16 = 0;
const START: u16 = 1;

/// All shapes, as one automaton.
pub(super) struct Shapes {
    next: Vec<[u16; CLASSES]>,
    /// Which rows a state accepts.
    accepts: Vec<Vec<u16>>,
}

/// A stretch of text that has the shape of some rows.
pub(super) struct Candidate<'s> {
    pub(super) place: Range<usize>,
    pub(super) rows: &'s [u16],
}

impl Shapes {
    /// Compiles the shapes of rows, which are numbered in their order.
    pub(super) fn compile(rows: impl Iterator<Item = Vec<String>>) -> Self {
        let mut expanded: Vec<(Vec<u8>, u16)> = Vec::new();
        for (row, shapes) in (0_u16..).zip(rows) {
            for shape in shapes {
                expanded.extend(expand(&shape).into_iter().map(|classes| (classes, row)));
            }
        }
        determinise(&expanded)
    }

    /// Calls `found` with every candidate, by where it begins; where several begin at one place
    /// the shorter comes first. `found` says `false` to stop.
    pub(super) fn scan(&self, text: &str, mut found: impl FnMut(Candidate<'_>) -> bool) {
        let bytes = text.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            if CLASS[usize::from(bytes[at])] > LETTER {
                at += 1;
                continue;
            }
            if !self.from(text, at, &mut found) {
                return;
            }
            // To the end of the word: a number does not begin in its middle.
            at += 1;
            while at < bytes.len() && CLASS[usize::from(bytes[at])] <= LETTER {
                at += 1;
            }
        }
    }

    fn from(
        &self,
        text: &str,
        start: usize,
        found: &mut impl FnMut(Candidate<'_>) -> bool,
    ) -> bool {
        let bytes = text.as_bytes();
        let mut state = START;
        let mut at = start;
        let mut begins = None;
        while at < bytes.len() {
            let (class, length) = match CLASS[usize::from(bytes[at])] {
                OTHER if bytes[at] >= 0x80 => wide(&text[at..]),
                class => (class, 1),
            };
            if class == OTHER {
                return true;
            }
            state = self.next[usize::from(state)][usize::from(class)];
            if state == DEAD {
                return true;
            }
            at += length;
            let rows = &self.accepts[usize::from(state)];
            if !rows.is_empty() && ends_here(text, at) {
                // Asked once a word, and only of words that come this far.
                if !*begins.get_or_insert_with(|| begins_here(text, start)) {
                    return true;
                }
                if !found(Candidate { place: start..at, rows }) {
                    return false;
                }
            }
        }
        true
    }
}

/// The class of a character that is not ASCII, and its bytes.
fn wide(text: &str) -> (u8, usize) {
    let Some(c) = text.chars().next() else { return (OTHER, 1) };
    let class = match c {
        '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' => SPACE,
        '\u{2010}'..='\u{2014}' | '\u{2212}' => DASH,
        _ => OTHER,
    };
    (class, c.len_utf8())
}

/// Whether a character goes on with a word that is written in ASCII. Scripts without spaces stand
/// directly next to numbers.
fn continues_word(c: char) -> bool {
    c.is_alphanumeric()
        && !matches!(c, '\u{0e00}'..='\u{0eff}' | '\u{1100}'..='\u{11ff}' | '\u{2e80}'..)
}

/// Whether a number can begin here: not in the middle of an identifier, address or amount.
fn begins_here(text: &str, start: usize) -> bool {
    let mut before = text[..start].chars().rev();
    match (before.next(), before.next()) {
        (Some('_' | '@' | '%' | '\\' | '&' | '$' | '€' | '£' | '~' | '/' | '+'), _) => false,
        (Some('-' | '.' | '\u{2010}'..='\u{2013}'), Some(c)) => !c.is_alphanumeric(),
        // "12:34", but "SSN:078…"
        (Some(':'), Some(c)) => !c.is_ascii_digit(),
        // "1 234 567": the group in front belongs to it.
        (Some(c), _) => !continues_word(c),
        (None, _) => true,
    }
}

/// Whether a number can end here.
fn ends_here(text: &str, end: usize) -> bool {
    match text.as_bytes()[end..] {
        [] => true,
        [
            b'A'..=b'Z'
            | b'a'..=b'z'
            | b'0'..=b'9'
            | b'_'
            | b'@'
            | b'%'
            | b'\\'
            | b'&'
            | b'~'
            | b'+',
            ..,
        ] => false,
        [b'-' | b'.' | b'/' | b':' | b'=', next, ..] => !next.is_ascii_alphanumeric(),
        [byte, ..] if byte < 0x80 => true,
        _ => text[end..]
            .chars()
            .next()
            .is_none_or(|c| !continues_word(c) && !matches!(c, '\u{2010}'..='\u{2013}')),
    }
}

/// Whether a group of digits stands next to a number that is itself written in groups: then it
/// is a piece of a longer one.
pub(super) fn goes_on(text: &str, place: &Range<usize>) -> bool {
    const SPACES: [char; 3] = [' ', '\u{a0}', '\u{202f}'];
    let written = &text[place.clone()];
    if !written.contains(SPACES) {
        return false;
    }
    let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    let before = text[..place.start].strip_suffix(SPACES).and_then(|rest| rest.chars().next_back());
    let after = text[place.end..].strip_prefix(SPACES).and_then(|rest| rest.chars().next());
    digit(written.chars().next()) && digit(before)
        || digit(written.chars().next_back()) && digit(after)
}

/// A shape without `~`, `{}` and `?`: classes, with `X` as both bits.
fn expand(shape: &str) -> Vec<Vec<u8>> {
    if shape.contains('~') {
        return ["", " ", "-", "."]
            .iter()
            .flat_map(|separator| expand(&shape.replace('~', separator)))
            .collect();
    }
    let mut variants: Vec<Vec<u8>> = vec![Vec::new()];
    let mut symbols = shape.chars().peekable();
    while let Some(symbol) = symbols.next() {
        let class = symbol_class(symbol);
        let (least, most) = match symbols.peek() {
            Some('?') => {
                symbols.next();
                (0, 1)
            }
            Some('{') => {
                symbols.next();
                let count: String = symbols.by_ref().take_while(|&c| c != '}').collect();
                let (least, most) = count.split_once(',').unwrap_or((&count, &count));
                (number(least), number(most))
            }
            _ => (1, 1),
        };
        variants = variants
            .iter()
            .flat_map(|variant| {
                (least..=most).map(|count| {
                    let mut longer = variant.clone();
                    longer.extend(std::iter::repeat_n(class, count));
                    longer
                })
            })
            .collect();
    }
    variants
}

fn number(text: &str) -> usize {
    text.parse().expect("a shape's counts are numbers: all shapes are compiled by the tests")
}

/// A set of classes, one bit each.
fn symbol_class(symbol: char) -> u8 {
    let bit = |class: u8| 1 << class;
    match symbol {
        'D' => bit(DIGIT),
        'L' => bit(LETTER),
        'X' => bit(DIGIT) | bit(LETTER),
        ' ' => bit(SPACE),
        '-' => bit(DASH),
        '.' => bit(DOT),
        '/' => bit(SLASH),
        ':' => bit(COLON),
        '(' | ')' => bit(PAREN),
        _ => unreachable!("no shape has a '{symbol}': all shapes are compiled by the tests"),
    }
}

/// The subset construction: a state is the set of shapes that are still possible. All of them
/// have read the same number of characters.
fn determinise(shapes: &[(Vec<u8>, u16)]) -> Shapes {
    let mut automaton =
        Shapes { next: vec![[DEAD; CLASSES]; 2], accepts: vec![Vec::new(), Vec::new()] };
    let all: Vec<usize> = (0..shapes.len()).collect();
    let mut states: HashMap<(usize, Vec<usize>), u16> = HashMap::new();
    let mut open = vec![(START, 0, all)];
    while let Some((state, depth, alive)) = open.pop() {
        for class in 0..CLASSES {
            let rest: Vec<usize> = alive
                .iter()
                .copied()
                .filter(|&shape| {
                    shapes[shape].0.get(depth).is_some_and(|set| set >> class & 1 == 1)
                })
                .collect();
            if rest.is_empty() {
                continue;
            }
            let key = (depth + 1, rest);
            let target = match states.get(&key) {
                Some(&target) => target,
                None => {
                    let target = u16::try_from(automaton.next.len())
                        .expect("the shapes of the table make a few thousand states");
                    automaton.next.push([DEAD; CLASSES]);
                    automaton.accepts.push(accepted(shapes, &key.1, key.0));
                    open.push((target, key.0, key.1.clone()));
                    states.insert(key, target);
                    target
                }
            };
            automaton.next[usize::from(state)][class] = target;
        }
    }
    automaton
}

/// The rows whose shapes end at this depth.
fn accepted(shapes: &[(Vec<u8>, u16)], alive: &[usize], depth: usize) -> Vec<u16> {
    let mut rows: Vec<u16> = alive
        .iter()
        .filter(|&&shape| shapes[shape].0.len() == depth)
        .map(|&shape| shapes[shape].1)
        .collect();
    rows.sort_unstable();
    rows.dedup();
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(shapes: &[&str], text: &str) -> Vec<String> {
        let automaton =
            Shapes::compile([shapes.iter().map(ToString::to_string).collect()].into_iter());
        let mut places = Vec::new();
        automaton.scan(text, |candidate| {
            places.push(text[candidate.place].to_owned());
            true
        });
        places
    }

    #[test]
    fn a_number_is_found_however_it_is_grouped() {
        for number in
            ["123456789", "123 456 789", "123-456-789", "123.456.789", "123\u{a0}456\u{a0}789"]
        {
            for text in [
                number.to_owned(),
                format!("no {number}."),
                format!("({number})"),
                format!("编号{number}号"),
                format!("tin:{number},"),
                format!("\"{number}\";x"),
            ] {
                assert_eq!(found(&["DDD~DDD~DDD"], &text), [number], "{text}");
            }
        }
    }

    #[test]
    fn a_piece_of_something_else_is_not_a_number() {
        for text in [
            "1234567890",
            "x123456789",
            "123456789x",
            "é123456789",
            "123 456-789",
            "0.123456789",
            "/123456789",
            "123456789/1",
            "a_123456789",
            "123456789@example.com",
            "$123456789",
            "+123456789",
            "1-123456789",
            "123456789-0",
            "12:123456789",
        ] {
            assert_eq!(found(&["DDD~DDD~DDD"], text), Vec::<String>::new(), "{text}");
        }
        assert!(goes_on("51 824 753 556", &(3..14)) && goes_on("824 753 556 7", &(0..11)));
        assert!(!goes_on("no 824 753 556 x", &(3..14)));
    }

    #[test]
    fn counts_and_options_mean_what_they_say() {
        let shapes = ["LD{2,3}X?", "DD/DD"];
        for (text, expected) in
            [("a12", 1), ("a123", 1), ("a123b", 1), ("a1", 0), ("a1234b", 0), ("12/34", 1)]
        {
            assert_eq!(found(&shapes, text).len(), expected, "{text}");
        }
    }
}
