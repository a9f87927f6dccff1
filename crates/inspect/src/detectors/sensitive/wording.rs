//! What the words around a number say of it: in front of it on its line (or on the lines above,
//! when its own has none), just behind it, and in the heading of its column.
//!
//! All words of all entities are one automaton. It runs only where a number asks, forward, and
//! over no byte twice, so that a text without numbers costs nothing here.

use std::{collections::HashMap, ops::Range};

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use super::table;

/// Bytes in front of a number, and behind it, in which words matter.
const BEFORE: usize = 96;
const AFTER: usize = 40;

/// How much more is read at once than was asked for: neighbours ask for neighbours.
const AHEAD: usize = 256;

/// A heading further away than this is none; a longer line is not a row of a table.
const HEADING: usize = 4_096;

/// All words that mean something next to a number.
pub(super) struct Vocabulary {
    automaton: AhoCorasick,
    /// Which word a pattern is a spelling of.
    word_of: Vec<u16>,
    numbers: HashMap<&'static str, u16>,
    longest: usize,
}

/// Words, as numbers in order.
pub(super) type Words = Vec<u16>;

impl Vocabulary {
    pub(super) fn of(words: impl Iterator<Item = &'static str>) -> Self {
        let mut numbers = HashMap::new();
        let (mut patterns, mut word_of) = (Vec::new(), Vec::new());
        for word in words {
            if numbers.contains_key(word) {
                continue;
            }
            let number = u16::try_from(numbers.len()).expect("the tables have some thousand words");
            numbers.insert(word, number);
            for spelling in spellings(word) {
                patterns.push(spelling);
                word_of.push(number);
            }
        }
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(&patterns)
            .expect("some thousand short words are within the automaton's limits");
        let longest = patterns.iter().map(String::len).max().unwrap_or_default();
        Self { automaton, word_of, numbers, longest }
    }

    /// The numbers of these words, in order.
    pub(super) fn numbers(&self, words: &[&str]) -> Words {
        let mut numbers: Words =
            words.iter().filter_map(|word| self.numbers.get(word).copied()).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    /// Every word in the text that stands by itself, by where it ends.
    fn find(&self, text: &str, place: Range<usize>, mut found: impl FnMut(Hit)) {
        let part = &text[place.clone()];
        for hit in self.automaton.find_overlapping_iter(part) {
            let (start, end) = (place.start + hit.start(), place.start + hit.end());
            if stands_alone(text, start, end) {
                found(Hit { start, end, word: self.word_of[hit.pattern().as_usize()] });
            }
        }
    }
}

/// The automaton knows upper from lower case in ASCII only.
fn spellings(word: &str) -> Vec<String> {
    let mut spellings = vec![word.to_owned()];
    if !word.is_ascii() {
        let mut letters = word.chars();
        let capital: String =
            letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect();
        spellings.extend([capital, word.to_uppercase()]);
    }
    spellings.sort();
    spellings.dedup();
    spellings
}

/// Whether a word is one: "tin" is not in "meeting". Words of scripts that are written without
/// spaces stand anywhere.
fn stands_alone(text: &str, start: usize, end: usize) -> bool {
    let word = text[start..end].chars().next();
    if word.is_some_and(
        |c| matches!(c, '\u{0e00}'..='\u{0eff}' | '\u{1100}'..='\u{11ff}' | '\u{2e80}'..),
    ) {
        return true;
    }
    let before = text[..start].chars().next_back();
    let after = text[end..].chars().next();
    !before.is_some_and(char::is_alphanumeric) && !after.is_some_and(char::is_alphabetic)
}

#[derive(Clone, Copy, Debug)]
struct Hit {
    start: usize,
    end: usize,
    word: u16,
}

/// What the words say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Says {
    /// It is what was asked for.
    Yes,
    /// It is something else.
    No,
    Nothing,
}

/// Reads the words around the numbers of one text, which are asked for in their order.
pub(super) struct Wording<'t> {
    text: &'t str,
    vocabulary: &'t Vocabulary,
    against: &'t [u16],
    read: Range<usize>,
    hits: Vec<Hit>,
    /// Read when the first number asks.
    heading: Option<Option<Heading>>,
}

impl<'t> Wording<'t> {
    pub(super) fn new(text: &'t str, vocabulary: &'t Vocabulary, against: &'t [u16]) -> Self {
        Self { text, vocabulary, against, read: 0..0, hits: Vec::new(), heading: None }
    }

    /// What the words around the number say, when `words` speak for it. In front of a number the
    /// nearest word decides; behind it only words for it count ("… is my SSN").
    pub(super) fn says(&mut self, place: &Range<usize>, words: &[u16]) -> Says {
        let from = self.text.floor_char_boundary(place.start.saturating_sub(BEFORE));
        let to = self.text.floor_char_boundary((place.end + AFTER).min(self.text.len()));
        self.read_to(from..to);
        let line_end = memchr::memchr(b'\n', &self.text.as_bytes()[place.end..to])
            .map_or(to, |offset| place.end + offset);
        let label = from + label_start(&self.text[from..place.start]);
        let (mut yes, mut no, mut behind) = (None, None, false);
        let first = self.hits.partition_point(|hit| hit.end <= label);
        for hit in self.hits[first..].iter().take_while(|hit| hit.end <= line_end) {
            let is_for = words.binary_search(&hit.word).is_ok();
            if hit.end <= place.start {
                if hit.start < label {
                    continue;
                }
                if is_for {
                    yes = Some(hit.end);
                } else if self.against.binary_search(&hit.word).is_ok() {
                    no = Some(hit.end);
                }
            } else if hit.start >= place.end && is_for {
                behind = true;
            }
        }
        match (yes, no) {
            (Some(yes), Some(no)) if no > yes => Says::No,
            (Some(_), _) => Says::Yes,
            _ if behind || self.in_heading(place, words) => Says::Yes,
            (None, Some(_)) => Says::No,
            (None, None) => Says::Nothing,
        }
    }

    fn read_to(&mut self, wanted: Range<usize>) {
        if wanted.start < self.read.start || wanted.start > self.read.end {
            self.read = wanted.start..wanted.start;
            self.hits.clear();
        }
        if wanted.end <= self.read.end {
            return;
        }
        let end = self.text.floor_char_boundary((wanted.end + AHEAD).min(self.text.len()));
        let again = self.read.end.saturating_sub(self.vocabulary.longest).max(self.read.start);
        let again = self.text.floor_char_boundary(again);
        let (known, hits) = (self.read.end, &mut self.hits);
        self.vocabulary.find(self.text, again..end, |hit| {
            if hit.end > known {
                hits.push(hit);
            }
        });
        self.read.end = end;
    }

    /// Whether the heading of the number's column, in a text of rows and columns, has the words.
    fn in_heading(&mut self, place: &Range<usize>, words: &[u16]) -> bool {
        let (text, vocabulary) = (self.text, self.vocabulary);
        let heading = self.heading.get_or_insert_with(|| Heading::of(text, vocabulary));
        let Some(heading) = heading else { return false };
        let Some(column) = heading.column(text, place.start) else { return false };
        heading.words.iter().any(|(of, word)| *of == column && words.binary_search(word).is_ok())
    }
}

/// Where the words begin that a number is labelled with: on its line, or on the next above that
/// has words.
fn label_start(before: &str) -> usize {
    const LINES: usize = 3;
    let mut lines = before.rmatch_indices('\n').take(LINES).map(|(index, _)| index + 1);
    lines
        .by_ref()
        .take(LINES - 1)
        .find(|&start| before[start..].contains(char::is_alphabetic))
        .or_else(|| lines.next())
        .unwrap_or_default()
}

/// The first line of a text of rows and columns.
struct Heading {
    delimiter: u8,
    columns: usize,
    /// Which word is in which column.
    words: Vec<(usize, u16)>,
    end: usize,
}

impl Heading {
    fn of(text: &str, vocabulary: &Vocabulary) -> Option<Self> {
        let end = table::line_end(text, 0, HEADING)?;
        let line = &text[..end];
        let (delimiter, columns) = table::delimiter(line)?;
        let mut words = Vec::new();
        vocabulary.find(text, 0..end, |hit| {
            words.push((table::column(&line[..hit.start], delimiter), hit.word));
        });
        Some(Self { delimiter, columns, words, end })
    }

    /// The column that the place is in, when its line has as many columns as the heading.
    fn column(&self, text: &str, place: usize) -> Option<usize> {
        if place <= self.end || self.words.is_empty() {
            return None;
        }
        let start = table::line_start(text, place, HEADING)?;
        let end = table::line_end(text, place, HEADING).unwrap_or(text.len());
        let line = text.get(start..end)?;
        let columns = table::column(line, self.delimiter) + 1;
        (columns == self.columns).then(|| table::column(&line[..place - start], self.delimiter))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(text: &str) -> Says {
        let vocabulary =
            Vocabulary::of(["tin", "steuer-id", "納税者番号", "číslo", "order"].into_iter());
        let against = vocabulary.numbers(&["order"]);
        let words = vocabulary.numbers(&["tin", "steuer-id", "納税者番号", "číslo"]);
        let start = text.find('7').unwrap();
        Wording::new(text, &vocabulary, &against).says(&(start..start + 1), &words)
    }

    #[test]
    fn the_nearest_word_in_front_decides() {
        for (text, expected) in [
            ("TIN: 7", Says::Yes),
            ("my Steuer-ID is 7", Says::Yes),
            ("TIN\n7", Says::Yes),
            ("TIN:\n\n7", Says::Yes),
            ("納税者番号7", Says::Yes),
            ("ČÍSLO 7, Číslo", Says::Yes),
            ("7 is my TIN", Says::Yes),
            ("customer_tin=7", Says::Yes),
            ("order 7", Says::No),
            ("TIN of order no. 7", Says::No),
            ("order by TIN 7", Says::Yes),
            ("order 7, TIN", Says::Yes),
            ("meeting 7", Says::Nothing),
            ("TIN\nmore words\n7", Says::Nothing),
            ("TIN\nmore words 7", Says::Nothing),
            ("7 here\nTIN", Says::Nothing),
        ] {
            assert_eq!(says(text), expected, "{text}");
        }
    }

    #[test]
    fn a_column_is_what_its_heading_says() {
        let far = "x,".repeat(60);
        assert_eq!(says(&format!("name,TIN\nann,\"of, there\"\n{}", "y,7\n")), Says::Yes);
        assert_eq!(says("name\tTIN\tcity\nann\t1\tx\nbob\t7\ty"), Says::Yes);
        assert_eq!(says(&format!("TIN,name\n{}\nann,7", "\n".repeat(200))), Says::Nothing);
        assert_eq!(says(&format!("TIN,name\n{}\nann,7,{far}", "\n".repeat(200))), Says::Nothing);
        assert_eq!(says(&format!("name;TIN\n{}\nann;7", "\n".repeat(200))), Says::Yes);
    }
}
