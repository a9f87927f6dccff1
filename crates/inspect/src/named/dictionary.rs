use std::{collections::BTreeSet, ops::Range};

use aho_corasick::{AhoCorasick, MatchKind};
use thiserror::Error;

/// Phrases with a name, such as project names or markings.
///
/// A phrase is found whatever its case (of ASCII letters), as words of their own, and across one
/// line break. One phrase is a hint; as many different ones in one text as the dictionary asks for
/// make it sensitive.
#[derive(Clone, Debug)]
pub struct Dictionary {
    name: String,
    phrases: Vec<String>,
    /// Which phrase a pattern is a spelling of.
    phrase_of: Vec<usize>,
    automaton: AhoCorasick,
    enough: usize,
}

/// Why a dictionary cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DictionaryError {
    /// A phrase that would be found everywhere.
    #[error(
        "dictionary '{dictionary}': the phrase '{phrase}' is shorter than {} bytes",
        Dictionary::SHORTEST
    )]
    TooShort {
        /// The dictionary's name.
        dictionary: String,
        /// The phrase.
        phrase: String,
    },
    /// There is nothing in it.
    #[error("dictionary '{0}' has no phrases")]
    Empty(String),
    /// A file that is none of a dictionary.
    #[error("line {line}: {problem}")]
    Form {
        /// Counted from 1.
        line: usize,
        /// What is wrong there.
        problem: String,
    },
    /// More than can be compiled.
    #[error("dictionary '{0}' is too large: {1}")]
    TooLarge(String, String),
}

impl Dictionary {
    /// Fewer bytes than this are in every text (two characters of Chinese are enough).
    pub const SHORTEST: usize = 4;

    /// A dictionary from a file of a phrase a line, one of which is enough; lines with `#` are
    /// comments.
    ///
    /// # Errors
    ///
    /// As [`Self::new`].
    pub fn from_lines(name: &str, text: &str) -> Result<Self, DictionaryError> {
        let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
        let phrases = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        Self::new(name, phrases.map(str::to_owned), 1)
    }

    /// A dictionary from TOML: `phrases = ["…"]`, and `enough = 2` where one is not.
    ///
    /// # Errors
    ///
    /// As [`Self::new`], and with the line when it is not that.
    pub fn from_toml(name: &str, text: &str) -> Result<Self, DictionaryError> {
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct File {
            phrases: Vec<String>,
            #[serde(default = "one")]
            enough: usize,
        }
        fn one() -> usize {
            1
        }
        let File { phrases, enough } = toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start.min(text.len()));
            let line = text.as_bytes()[..start].iter().filter(|&&b| b == b'\n').count() + 1;
            DictionaryError::Form { line, problem: error.message().to_owned() }
        })?;
        Self::new(name, phrases, enough.max(1))
    }

    /// How many phrases are in it.
    pub fn len(&self) -> usize {
        self.phrases.len()
    }

    /// Whether there is none; there always is one.
    pub fn is_empty(&self) -> bool {
        self.phrases.is_empty()
    }

    /// A dictionary of these phrases; `enough` different ones of them in one text are of medium
    /// severity, fewer of low.
    ///
    /// # Errors
    ///
    /// When there is no phrase, one is too short, or they are too many to compile.
    pub fn new(
        name: impl Into<String>,
        phrases: impl IntoIterator<Item = String>,
        enough: usize,
    ) -> Result<Self, DictionaryError> {
        let name = name.into();
        let phrases: Vec<String> = phrases
            .into_iter()
            .map(|phrase| phrase.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        if phrases.is_empty() {
            return Err(DictionaryError::Empty(name));
        }
        if let Some(phrase) = phrases.iter().find(|phrase| phrase.len() < Self::SHORTEST) {
            return Err(DictionaryError::TooShort { dictionary: name, phrase: phrase.clone() });
        }
        let (mut patterns, mut phrase_of) = (Vec::new(), Vec::new());
        for (index, phrase) in phrases.iter().enumerate() {
            for spelling in spellings(phrase) {
                patterns.push(spelling);
                phrase_of.push(index);
            }
        }
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::LeftmostLongest)
            .build(&patterns)
            .map_err(|error| DictionaryError::TooLarge(name.clone(), error.to_string()))?;
        Ok(Self { name, phrases, phrase_of, automaton, enough: enough.max(1) })
    }

    /// Markings of confidentiality, and the wording of personnel files, medical files and
    /// acquisitions, in English, German and French. For those who have no list of their own yet.
    pub fn built_in() -> Vec<Self> {
        super::built_in::DICTIONARIES
            .iter()
            .map(|(name, enough, phrases)| {
                Self::new(*name, phrases.iter().map(ToString::to_string), *enough)
                    .expect("the built-in dictionaries are compiled by a test")
            })
            .collect()
    }

    /// Its name, which is the entity of its findings.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Every phrase once, at its first place, and whether they are enough.
    pub(crate) fn find<'d>(&'d self, text: &str) -> (Vec<(Range<usize>, &'d str)>, bool) {
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        for hit in self.automaton.find_iter(text) {
            let phrase = self.phrase_of[hit.pattern().as_usize()];
            if is_whole(text, hit.range()) && seen.insert(phrase) {
                found.push((hit.range(), self.phrases[phrase].as_str()));
            }
        }
        let enough = seen.len() >= self.enough;
        (found, enough)
    }
}

/// A phrase as it stands, and with one of its spaces a line break.
fn spellings(phrase: &str) -> Vec<String> {
    let breaks = phrase.match_indices(' ').flat_map(|(at, _)| {
        ["\n", "\r\n", "\u{a0}"]
            .map(|space| format!("{}{space}{}", &phrase[..at], &phrase[at + 1..]))
    });
    std::iter::once(phrase.to_owned()).chain(breaks).collect()
}

fn is_whole(text: &str, place: Range<usize>) -> bool {
    let first = text[place.clone()].chars().next();
    let wide = first.is_some_and(|c| c >= '\u{e00}' && c.is_alphabetic());
    wide || !text[..place.start].chars().next_back().is_some_and(char::is_alphanumeric)
        && !text[place.end..].chars().next().is_some_and(char::is_alphanumeric)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dictionary(phrases: &[&str], enough: usize) -> Result<Dictionary, DictionaryError> {
        Dictionary::new("test", phrases.iter().map(ToString::to_string), enough)
    }

    #[test]
    fn a_phrase_is_found_across_a_line_break_and_not_inside_a_word() {
        let dictionary = dictionary(&["project  Heron", "極秘"], 2).unwrap();
        for (text, found, enough) in [
            ("About PROJECT HERON:", 1, false),
            ("About project\r\nheron", 1, false),
            ("project heron, project heron", 1, false),
            ("これは極秘です, project heron", 2, true),
            ("subproject heron", 0, false),
            ("project heronry", 0, false),
        ] {
            let (phrases, is_enough) = dictionary.find(text);
            assert_eq!((phrases.len(), is_enough), (found, enough), "{text}");
        }
    }

    #[test]
    fn a_dictionary_that_would_be_found_everywhere_is_refused() {
        assert!(matches!(dictionary(&["of"], 1), Err(DictionaryError::TooShort { .. })));
        assert!(matches!(dictionary(&[], 1), Err(DictionaryError::Empty(_))));
    }

    #[test]
    fn a_dictionary_is_read_from_either_kind_of_file() {
        let lines = Dictionary::from_lines("ours", "# names\nproject heron\n\n").unwrap();
        assert_eq!((lines.name(), lines.len()), ("ours", 1));
        assert!(lines.find("project heron").1);
        let text = "enough = 2\nphrases = [\"project heron\", \"strictly secret\"]\n";
        assert!(!Dictionary::from_toml("ours", text).unwrap().find("project heron").1);
        let error =
            Dictionary::from_toml("ours", "phrases = [\"heron\"]\nenogh = 2\n").unwrap_err();
        assert!(error.to_string().starts_with("line 2: unknown field `enogh`"), "{error}");
    }

    #[test]
    fn the_built_in_dictionaries_are_usable() {
        let all = Dictionary::built_in();
        assert!(all.len() >= 4);
        let (found, enough) = all[0].find("STRICTLY CONFIDENTIAL");
        assert!(found.len() == 1 && enough);
    }
}
