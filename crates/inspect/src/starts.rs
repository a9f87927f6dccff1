//! Where in a text which of many short texts begin.
//!
//! The automaton for some thousand words has a table that fits no cache of a processor, and waits for
//! memory at every byte. Here a look at three bytes in a table of four kilobytes rules out nearly
//! every place; what is left is compared.

/// Many short texts. The case of ASCII letters does not matter.
pub(crate) struct Starts {
    texts: Vec<&'static str>,
    /// Whether any begins so, by [`sum`].
    filter: Vec<u64>,
    /// Where those that begin so are in `order`, by sum.
    first: Vec<u16>,
    order: Vec<u16>,
}

/// Bytes that are looked at; shorter texts are none of ours.
const LOOK: usize = 3;
const SUMS: usize = 1 << 15;

/// Five bits of each of three bytes, in which small letters and capitals are the same.
fn sum(bytes: &[u8]) -> usize {
    let five = |byte: u8| usize::from(byte & 0x1F);
    five(bytes[0]) | five(bytes[1]) << 5 | five(bytes[2]) << 10
}

impl Starts {
    /// Texts are named by their place among these.
    ///
    /// # Panics
    ///
    /// When one is shorter than three bytes, or there are more than 65,535.
    pub(crate) fn of(texts: impl Iterator<Item = &'static str>) -> Self {
        let texts: Vec<&str> = texts.collect();
        let mut order: Vec<u16> = (0..texts.len())
            .map(|number| u16::try_from(number).expect("a table is shorter"))
            .collect();
        let key = |number: u16| sum(texts[usize::from(number)].as_bytes());
        order.sort_by_key(|&number| key(number));
        let mut filter = vec![0; SUMS / 64];
        let mut first = vec![0_u16; SUMS + 1];
        for &number in &order {
            let sum = key(number);
            filter[sum / 64] |= 1 << (sum % 64);
            first[sum + 1] += 1;
        }
        for sum in 0..SUMS {
            first[sum + 1] += first[sum];
        }
        Self { texts, filter, first, order }
    }

    /// The numbers of those that the bytes at `at` begin with.
    pub(crate) fn at<'s>(
        &'s self,
        bytes: &'s [u8],
        at: usize,
    ) -> impl Iterator<Item = usize> + use<'s> {
        let rest = &bytes[at.min(bytes.len())..];
        let range = match rest.get(..LOOK).map(sum) {
            Some(sum) if self.filter[sum / 64] >> (sum % 64) & 1 == 1 => {
                usize::from(self.first[sum])..usize::from(self.first[sum + 1])
            }
            _ => 0..0,
        };
        self.order[range].iter().map(|&number| usize::from(number)).filter(move |&number| {
            let text = self.texts[number].as_bytes();
            rest.get(..text.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(text))
        })
    }

    /// Calls `found` with the number of each text that begins at a place, and the place, in order
    /// of places; `found` says `false` to stop.
    pub(crate) fn each(&self, bytes: &[u8], mut found: impl FnMut(usize, usize) -> bool) {
        for (at, three) in bytes.windows(LOOK).enumerate() {
            let sum = sum(three);
            if self.filter[sum / 64] >> (sum % 64) & 1 == 0 {
                continue;
            }
            for number in self.at(bytes, at) {
                if !found(number, at) {
                    return;
                }
            }
        }
    }
}

/// The places at which a word of folded text begins: behind ASCII that is no letter and no digit.
pub(crate) fn words(bytes: &[u8]) -> impl Iterator<Item = usize> {
    let mut within = false;
    bytes.iter().enumerate().filter_map(move |(at, byte)| {
        let begins = !within;
        within = byte.is_ascii_alphanumeric() || !byte.is_ascii();
        begins.then_some(at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_found_wherever_it_begins_and_in_either_case() {
        let starts = Starts::of(["password", "pass", "://", "пароль", "assw"].into_iter());
        let text = "My PassWord is http://x пароль pas".as_bytes();
        let mut found = Vec::new();
        starts.each(text, |number, at| {
            found.push((starts.texts[number], at));
            true
        });
        found.sort_by_key(|(text, at)| (*at, text.len()));
        assert_eq!(found, [("pass", 3), ("password", 3), ("assw", 4), ("://", 19), ("пароль", 24)]);
        assert_eq!(starts.at(text, 3).count(), 2);
        assert_eq!(starts.at(text, 100).count(), 0);
    }

    #[test]
    fn words_begin_behind_what_is_no_letter() {
        let text = "a-b  éc1 d".as_bytes();
        let begins: Vec<usize> = words(text).collect();
        assert_eq!(begins, [0, 2, 4, 5, 10]);
    }
}
