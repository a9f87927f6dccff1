use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    ops::Range,
    str::FromStr,
    sync::Arc,
};

use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use thiserror::Error;

/// The key under which an organisation's values are hashed before they come here. Whoever has a
/// list without it learns nothing: numbers of few digits cannot be tried out.
#[derive(Clone)]
pub struct MatchKey {
    hmac: Hmac<Sha256>,
    /// Seeds the fast hash that sorts out nearly all words of a text.
    seed: u64,
}

impl MatchKey {
    /// A key from 32 bytes of good randomness.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        let hmac = Hmac::new_from_slice(&bytes).expect("HMAC takes keys of any length (RFC 2104)");
        let mut seeding: Hmac<Sha256> = hmac.clone();
        seeding.update(b"\0seed of the fast hash");
        let digest = seeding.finalize().into_bytes();
        let seed = digest.iter().take(8).fold(0, |seed, &byte| seed << 8 | u64::from(byte));
        Self { hmac, seed }
    }

    /// Hashes a value as it is looked for: its letters and digits, in lower case. `None` when it has
    /// fewer than [`ExactList::SHORTEST`] of them or more than [`ExactList::WORDS`] words.
    pub fn hash(&self, value: &str) -> Option<HashedValue> {
        let words: Vec<Range<usize>> = words(value).collect();
        let mut fast = self.seed;
        let mut normal = String::new();
        for word in &words {
            let word = &value[word.clone()];
            fast = extend(fast, word);
            normal.extend(word.chars().flat_map(char::to_lowercase));
        }
        let fits = normal.chars().count() >= ExactList::SHORTEST && words.len() <= ExactList::WORDS;
        fits.then(|| self.seal(fast, &normal))
    }

    fn seal(&self, fast: u64, normal: &str) -> HashedValue {
        let mut mac = self.hmac.clone();
        mac.update(normal.as_bytes());
        let digest = mac.finalize().into_bytes();
        let mut bytes = [0; HashedValue::LENGTH];
        bytes[..3].copy_from_slice(&bucket(fast).to_be_bytes()[1..]);
        bytes[3..].copy_from_slice(&digest[..HashedValue::LENGTH - 3]);
        HashedValue(bytes)
    }
}

impl fmt::Debug for MatchKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// A value of an organisation's records, hashed: 24 bits of a fast keyed hash and 128 of
/// HMAC-SHA-256. Written as 38 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HashedValue([u8; HashedValue::LENGTH]);

impl HashedValue {
    const LENGTH: usize = 19;
}

impl fmt::Display for HashedValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl FromStr for HashedValue {
    type Err = ListError;

    fn from_str(text: &str) -> Result<Self, ListError> {
        let bytes = HEXLOWER.decode(text.trim().as_bytes()).map_err(|_| ListError::NotHashed)?;
        bytes.try_into().map(Self).map_err(|_| ListError::NotHashed)
    }
}

/// Why a list cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ListError {
    /// Not 38 hexadecimal digits.
    #[error("a value is not hashed: 38 hexadecimal digits are expected")]
    NotHashed,
    /// A line of a file that holds something else than hashed values.
    #[error("line {line}: {problem}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong there.
        problem: String,
    },
    /// Records of different lengths, or of none or too many values.
    #[error("record {record} is not as long as the first, or longer than {most} values", most = ExactList::COLUMNS)]
    Uneven {
        /// Counted from 1.
        record: usize,
    },
}

/// Values of an organisation's own records, such as customer numbers, or rows of several values
/// that are sensitive only together (a name and a date of birth). It holds hashes, never values;
/// copies share them.
#[derive(Clone, Debug)]
pub struct ExactList {
    name: String,
    key: MatchKey,
    /// Of which records and columns a value is.
    values: Arc<HashMap<HashedValue, Vec<(u32, u8)>>>,
    columns: usize,
    /// The fast hashes that occur, a bit each.
    filter: Arc<Vec<u64>>,
}

impl ExactList {
    /// Records of a file at most: about 200 MB.
    pub const MOST: usize = 1_000_000;
    /// Letters and digits that a value has at least: shorter ones are in every text.
    pub const SHORTEST: usize = 5;
    /// Words that a value has at most.
    pub const WORDS: usize = 4;
    /// Values that a record has at most.
    pub const COLUMNS: usize = 6;
    /// Bytes within which the values of one record stand together.
    pub const NEAR: usize = 400;

    /// A list of records, all of as many values. `key` is the one they were hashed with.
    ///
    /// # Errors
    ///
    /// When records differ in length, or are longer than [`Self::COLUMNS`].
    pub fn new(
        name: impl Into<String>,
        key: MatchKey,
        records: impl IntoIterator<Item = Vec<HashedValue>>,
    ) -> Result<Self, ListError> {
        let mut values: HashMap<HashedValue, Vec<(u32, u8)>> = HashMap::new();
        let mut filter = vec![0; (1 << 24) / 64];
        let mut columns = 0;
        for (index, record) in records.into_iter().enumerate() {
            if index == 0 {
                columns = record.len();
            }
            if record.len() != columns || !(1..=Self::COLUMNS).contains(&record.len()) {
                return Err(ListError::Uneven { record: index + 1 });
            }
            for (column, value) in (0_u8..).zip(record) {
                let bucket = u32::from_be_bytes([0, value.0[0], value.0[1], value.0[2]]);
                filter[bucket as usize / 64] |= 1 << (bucket % 64);
                values.entry(value).or_default().push((index as u32, column));
            }
        }
        let (values, filter) = (Arc::new(values), Arc::new(filter));
        Ok(Self { name: name.into(), key, values, columns, filter })
    }

    /// A list from a file of a record a line, its hashed values separated by commas; lines with `#`
    /// are comments.
    ///
    /// # Errors
    ///
    /// With the line, what is not hashed, a record that is not as long as the first, and more than
    /// [`Self::MOST`] records.
    pub fn read(name: &str, key: MatchKey, text: &str) -> Result<Self, ListError> {
        let refuse =
            |line: usize, problem: String| Err(ListError::Line { line: line + 1, problem });
        let mut records: Vec<Vec<HashedValue>> = Vec::new();
        for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let record: Result<Vec<HashedValue>, _> = line.split(',').map(str::parse).collect();
            let record = match record {
                Ok(record) => record,
                Err(error) => return refuse(index, error.to_string()),
            };
            let length = records.first().map_or(record.len(), Vec::len);
            if record.len() != length || record.len() > Self::COLUMNS {
                let most = Self::COLUMNS;
                return refuse(
                    index,
                    format!(
                        "{} values, where the first record has {length}; {most} is the most",
                        record.len()
                    ),
                );
            }
            if records.len() == Self::MOST {
                return refuse(index, format!("more than {} records", Self::MOST));
            }
            records.push(record);
        }
        if records.is_empty() {
            return refuse(0, "there is no value in it".to_owned());
        }
        Self::new(name, key, records)
    }

    /// How many different values are in it.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Its name, which is the entity of its findings.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where records of the list are in the text, each from its first value to its last.
    pub(crate) fn find(&self, text: &str) -> Scan {
        /// Values that many records share say little, and could make a scan take long.
        const SHARED: usize = 256;
        const MOST: usize = 20_000;
        let mut scan = Scan::default();
        let mut seen: BTreeMap<u32, Vec<(Range<usize>, u8)>> = BTreeMap::new();
        let words: Vec<Range<usize>> = words(text).collect();
        let mut occurrences = 0;
        for first in 0..words.len() {
            let mut fast = self.key.seed;
            for last in first..words.len().min(first + Self::WORDS) {
                // Words of one value stand next to each other.
                if last > first && words[last].start - words[last - 1].end > 3 {
                    break;
                }
                fast = extend(fast, &text[words[last].clone()]);
                let bucket = bucket(fast);
                if self.filter[bucket as usize / 64] >> (bucket % 64) & 1 == 0 {
                    continue;
                }
                let place = words[first].start..words[last].end;
                let normal: String = words[first..=last]
                    .iter()
                    .flat_map(|word| text[word.clone()].chars().flat_map(char::to_lowercase))
                    .collect();
                let Some(records) = self.values.get(&self.key.seal(fast, &normal)) else {
                    continue;
                };
                if self.columns == 1 {
                    scan.places.push((place, normal));
                    continue;
                }
                occurrences += 1;
                if occurrences > MOST {
                    scan.cut_off = true;
                    return scan;
                }
                for &(record, column) in records.iter().take(SHARED) {
                    let together = seen.entry(record).or_default();
                    together.retain(|(at, of)| {
                        *of != column && place.end - at.start.min(place.start) <= Self::NEAR
                    });
                    together.push((place.clone(), column));
                    if together.len() == self.columns {
                        let start =
                            together.iter().map(|(at, _)| at.start).min().unwrap_or(place.start);
                        scan.places.push((start..place.end, record.to_string()));
                        together.clear();
                    }
                }
            }
        }
        scan
    }
}

/// What a list found.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// Each place with what is to be marked there: the value, or the record's number.
    pub(crate) places: Vec<(Range<usize>, String)>,
    /// Whether there was too much to look at all of it.
    pub(crate) cut_off: bool,
}

/// Runs of letters and digits.
fn words(text: &str) -> impl Iterator<Item = Range<usize>> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(|word| {
        let start = word.as_ptr() as usize - text.as_ptr() as usize;
        start..start + word.len()
    })
}

/// FNV-1a over the characters in lower case, from where it stood.
fn extend(hash: u64, word: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    if word.is_ascii() {
        return word.bytes().map(|byte| byte.to_ascii_lowercase()).fold(hash, step);
    }
    word.chars().flat_map(char::to_lowercase).collect::<String>().bytes().fold(hash, step)
}

/// 24 bits of the hash, mixed.
fn bucket(hash: u64) -> u32 {
    ((hash ^ hash >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(records: &[&[&str]]) -> ExactList {
        let key = MatchKey::from_bytes([9; 32]);
        let records: Vec<Vec<HashedValue>> = records
            .iter()
            .map(|record| record.iter().map(|value| key.hash(value).unwrap()).collect())
            .collect();
        ExactList::new("customers", key, records).unwrap()
    }

    fn found(list: &ExactList, text: &str) -> Vec<String> {
        list.find(text).places.into_iter().map(|(place, _)| text[place].to_owned()).collect()
    }

    #[test]
    fn a_customers_number_is_found_however_it_is_written() {
        let list = list(&[&["KD-44 120 77"], &["E0815X"]]);
        for (text, expected) in [
            ("number kd 44-120-77.", "kd 44-120-77"),
            ("(KD4412077)", ""),
            ("e0815x", "e0815x"),
            ("E-0815-X ok", "E-0815-X"),
            ("KD-44 120 78", ""),
            ("xE0815X", ""),
        ] {
            let expected: Vec<&str> =
                Some(expected).filter(|e| !e.is_empty()).into_iter().collect();
            // Words are joined, so one word is the same as several.
            let expected = if text.contains("KD4412077") { vec!["KD4412077"] } else { expected };
            assert_eq!(found(&list, text), expected, "{text}");
        }
    }

    #[test]
    fn the_values_of_a_record_count_only_together() {
        let list = list(&[&["Quentin Example", "1961-04-09"], &["Rosa Example", "1972-12-01"]]);
        assert_eq!(found(&list, "Quentin Example, born 1961-04-09").len(), 1);
        assert_eq!(found(&list, "born 1961-04-09: Quentin Example").len(), 1);
        assert_eq!(found(&list, "Quentin Example, born 1972-12-01"), Vec::<String>::new());
        let apart = format!("Quentin Example {} 1961-04-09", "x ".repeat(300));
        assert_eq!(found(&list, &apart), Vec::<String>::new());
    }

    #[test]
    fn a_list_shows_nothing_of_its_values() {
        let list = list(&[&["E0815X"]]);
        assert!(!format!("{list:?}").to_lowercase().contains("0815"));
        let key = MatchKey::from_bytes([9; 32]);
        let hashed = key.hash("E0815X").unwrap();
        assert_eq!(hashed.to_string().parse(), Ok(hashed));
        assert_eq!(hashed, key.hash("e-0815 x").unwrap());
        assert_ne!(hashed, MatchKey::from_bytes([8; 32]).hash("E0815X").unwrap());
        assert_eq!(key.hash("12 34"), None);
        assert_eq!("plain text".parse::<HashedValue>(), Err(ListError::NotHashed));
    }

    #[test]
    fn a_file_that_holds_values_themselves_is_refused_with_its_line() {
        let key = MatchKey::from_bytes([9; 32]);
        let value = key.hash("E0815X").unwrap();
        let read = |text: String| ExactList::read("x", key.clone(), &text);
        assert_eq!(
            read(format!("# ours\n{value},{value}\n\n{value}, {value}\n")).unwrap().len(),
            1
        );
        for (text, line) in [
            (format!("{value}\nE0815X\n"), 2),
            (format!("{value}\n\n{value},{value}\n"), 3),
            ("# nothing\n".to_owned(), 1),
        ] {
            assert!(
                matches!(read(text.clone()), Err(ListError::Line { line: at, .. }) if at == line),
                "{text}"
            );
        }
    }

    #[test]
    fn records_of_different_lengths_are_refused() {
        let key = MatchKey::from_bytes([9; 32]);
        let value = key.hash("E0815X").unwrap();
        let list = ExactList::new("x", key, [vec![value], vec![value, value]]);
        assert!(matches!(list, Err(ListError::Uneven { record: 2 })));
    }
}
