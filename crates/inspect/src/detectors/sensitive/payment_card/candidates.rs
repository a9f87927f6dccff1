use std::ops::Range;

use super::super::address::in_address;

/// Digits that could be a card number by their count and grouping.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    /// In the text, from the first digit to behind the last.
    pub(super) place: Range<usize>,
    pub(super) digits: String,
    /// Written in groups, as on a card.
    pub(super) grouped: bool,
    /// A group of four digits stands next to it, in the same spacing.
    pub(super) continues: bool,
}

/// How the digits of cards are grouped in print, the usual ones first.
const GROUPINGS: &[&[usize]] = &[
    &[4, 4, 4, 4],
    &[4, 6, 5],
    &[4, 6, 4],
    &[4, 4, 4, 2],
    &[4, 4, 4, 3],
    &[4, 4, 4, 1],
    &[4, 4, 4, 4, 1],
    &[4, 4, 4, 4, 2],
    &[4, 4, 4, 4, 3],
    &[6, 13],
    &[8, 8],
    &[13],
    &[14],
    &[15],
    &[16],
    &[17],
    &[18],
    &[19],
];

const FEWEST: usize = 13;

/// Groups in one run of digits that are looked at; a table of numbers has more, a card has not.
const MOST_GROUPS: usize = 64;

/// Finds candidates, in order, without overlaps. `accept` tells whether digits can be a card
/// number, so that "4000 1234 1234 1234 123" is not read as one number of 19 digits when it is
/// one of 16 and a security code.
pub(super) fn candidates<'t>(
    text: &'t str,
    accept: impl Fn(&str) -> bool + 't,
) -> impl Iterator<Item = Candidate> + 't {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = next_digit(text, at)?;
        let run = Run::read(text, start);
        at = run.end();
        let worth_it = run.digits() >= FEWEST && run.is_free(text);
        Some(if worth_it { run.search(text, &accept) } else { Vec::new() })
    })
    .flatten()
}

/// A run of groups of digits with single separators between them.
struct Run {
    groups: Vec<Range<usize>>,
    /// Between each group and the next.
    separators: Vec<char>,
}

impl Run {
    fn read(text: &str, start: usize) -> Self {
        let mut run = Self { groups: Vec::new(), separators: Vec::new() };
        let mut at = start;
        loop {
            let end = digits_end(text, at);
            run.groups.push(at..end);
            if run.groups.len() == MOST_GROUPS {
                return run;
            }
            let mut rest = text[end..].chars();
            match (rest.next().and_then(separator), rest.next()) {
                (Some(separator), Some(next)) if next.is_ascii_digit() => {
                    run.separators.push(separator);
                    at = text.len() - rest.as_str().len() - 1;
                }
                _ => return run,
            }
        }
    }

    fn end(&self) -> usize {
        self.groups.last().map_or(0, |group| group.end)
    }

    fn digits(&self) -> usize {
        self.groups.iter().map(Range::len).sum()
    }

    /// Whether the run is a word of its own: not a piece of an identifier, an address, a fraction.
    fn is_free(&self, text: &str) -> bool {
        let start = self.groups[0].start;
        let mut before = text[..start].chars().rev();
        let mut after = text[self.end()..].chars();
        let joined_before = match (before.next(), before.next()) {
            (Some(c), _) if c.is_alphanumeric() => true,
            (Some('_' | '@' | '%' | '+' | '/' | '\\' | '&' | '$' | '€' | '£' | '~'), _) => true,
            // "video-4111…", "<4111.4111@…", "0.4111…"
            (Some('-' | '.'), Some(c)) => c.is_alphanumeric(),
            _ => false,
        };
        let joined_after = match (after.next(), after.next()) {
            (Some(c), _) if c.is_alphanumeric() => true,
            (Some('_' | '@' | '%' | '+' | '\\' | '&' | '~'), _) => true,
            (Some('-' | '.' | '/' | '='), Some(c)) => c.is_alphabetic(),
            _ => false,
        };
        !joined_before && !joined_after && !in_address(text, &(start..self.end()))
    }

    /// Tries every stretch of groups; a found one is not used again.
    fn search(&self, text: &str, accept: &impl Fn(&str) -> bool) -> Vec<Candidate> {
        let mut stretches: Vec<(Range<usize>, String)> = Vec::new();
        let mut first = 0;
        while first < self.groups.len() {
            let fit = GROUPINGS.iter().find_map(|grouping| {
                let stretch = self.fits(first, grouping)?;
                let groups = &self.groups[stretch.clone()];
                let digits: String = groups.iter().map(|group| &text[group.clone()]).collect();
                accept(&digits).then_some((stretch, digits))
            });
            first = fit.as_ref().map_or(first + 1, |(stretch, _)| stretch.end);
            stretches.extend(fit);
        }
        let candidate = |(index, (stretch, digits)): (usize, &(Range<usize>, String))| {
            let taken_before = index > 0 && stretches[index - 1].0.end == stretch.start;
            let taken_after =
                stretches.get(index + 1).is_some_and(|(next, _)| next.start == stretch.end);
            Candidate {
                place: self.groups[stretch.start].start..self.groups[stretch.end - 1].end,
                digits: digits.clone(),
                grouped: stretch.len() > 1,
                continues: !taken_before && self.continues(stretch, stretch.start.checked_sub(1))
                    || !taken_after && self.continues(stretch, Some(stretch.end)),
            }
        };
        stretches.iter().enumerate().map(candidate).collect()
    }

    /// The stretch from `first`, when it is grouped like this.
    fn fits(&self, first: usize, grouping: &[usize]) -> Option<Range<usize>> {
        if self.groups[first].len() != grouping[0] {
            return None;
        }
        let stretch = first..first + grouping.len();
        let lengths = self.groups.get(stretch.clone())?.iter().map(Range::len);
        // One kind of separator within; dashes and dots hold on to their neighbours.
        let inner = &self.separators[first..stretch.end - 1];
        let outer = [first.checked_sub(1), Some(stretch.end - 1)].into_iter().flatten();
        let fits = lengths.eq(grouping.iter().copied())
            && inner.windows(2).all(|pair| pair[0] == pair[1])
            && outer.filter_map(|at| self.separators.get(at)).all(|separator| *separator == ' ');
        fits.then_some(stretch)
    }

    /// Whether a neighbouring group looks like one more of the same number.
    fn continues(&self, stretch: &Range<usize>, neighbour: Option<usize>) -> bool {
        let neighbour = neighbour.and_then(|index| self.groups.get(index));
        // What is not grouped by spaces is held apart by the space.
        let spaced = stretch.len() > 1 && self.separators[stretch.start] == ' ';
        spaced && neighbour.is_some_and(|group| group.len() == 4)
    }
}

/// Spaces and dashes of all kinds count as one of their kind.
fn separator(c: char) -> Option<char> {
    match c {
        ' ' | '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' => Some(' '),
        '-' | '\u{2010}'..='\u{2013}' => Some('-'),
        '.' | '·' => Some('.'),
        _ => None,
    }
}

fn next_digit(text: &str, from: usize) -> Option<usize> {
    text.as_bytes()[from..].iter().position(u8::is_ascii_digit).map(|offset| from + offset)
}

fn digits_end(text: &str, from: usize) -> usize {
    let digits = text.as_bytes()[from..].iter().take_while(|b| b.is_ascii_digit());
    from + digits.count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(&str, bool)> {
        candidates(text, |_| true).map(|c| (&text[c.place], c.continues)).collect()
    }

    #[test]
    fn numbers_are_found_however_they_are_written() {
        for number in [
            "4000123412341234",
            "4000 1234 1234 1234",
            "4000-1234-1234-1234",
            "4000.1234.1234.1234",
            "4000\u{a0}1234\u{a0}1234\u{a0}1234",
            "3700 123412 34123",
            "3600-1234-1234-12",
        ] {
            for text in [
                number.to_owned(),
                format!("card={number}, exp 12/29"),
                format!("({number})"),
                format!("{number}/12/29"),
                format!("No:{number}."),
                format!("1 {number} 123"),
                format!("x\n{number}\n4"),
            ] {
                assert_eq!(found(&text), [(number, false)], "{text}");
            }
        }
        let two = "4000 1234 1234 1234 5100 1234 1234 1234";
        let each = [("4000 1234 1234 1234", false), ("5100 1234 1234 1234", false)];
        assert_eq!(found(two), each);
        assert_eq!(found("4000123412341234 4000-1234-1234-1234 1234").len(), 2);
    }

    #[test]
    fn pieces_of_other_things_are_no_numbers() {
        for text in [
            "400012341234",
            "40001234123412341234",
            "id4000123412341234",
            "4000123412341234x",
            "0.4000123412341234",
            "1-4000-1234-1234-1234",
            "4000-1234-1234-1234-55555",
            "4000  1234  1234  1234",
            "4000 1234-1234 1234",
            "https://example.com/a?n=4000123412341234",
            "<4000123412341234.5@example.com>",
            "+4000123412341",
            "video-4000123412341234-hd.mp4",
            "4000\n1234\n1234\n1234",
        ] {
            assert_eq!(found(text), [], "{text}");
        }
    }

    #[test]
    fn a_longer_row_of_fours_is_known_as_such() {
        assert_eq!(found("4000 1234 1234 1234 1234"), [("4000 1234 1234 1234", true)]);
    }
}
