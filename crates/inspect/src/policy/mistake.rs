//! What is wrong with a policy, where, and what was probably meant.

use std::ops::Range;

use thiserror::Error;

/// Why a policy cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}: {}{problem}", key.as_ref().map(|key| format!("{key}: ")).unwrap_or_default())]
#[non_exhaustive]
pub struct PolicyError {
    /// Counted from 1.
    pub line: usize,
    /// The key whose value is wrong, where it is known.
    pub key: Option<String>,
    /// What is wrong there, and what would be right.
    pub problem: String,
}

impl PolicyError {
    /// What is wrong at these bytes of the text.
    pub(super) fn at(text: &str, place: Range<usize>, key: &str, problem: String) -> Self {
        let key = Some(key.to_owned()).filter(|key| !key.is_empty());
        Self { line: line(text, place.start), key, problem }
    }

    /// What the TOML reader found.
    pub(super) fn of_toml(text: &str, error: &toml::de::Error) -> Self {
        let start = error.span().map_or(0, |span| span.start);
        let problem = error.message();
        // "unknown field `entitys`, expected one of `name`, `entities`": the first is what stands there.
        let mut quoted = problem.split('`').skip(1).step_by(2);
        let unknown = problem.starts_with("unknown ").then(|| quoted.next()).flatten();
        let guess = unknown.and_then(|written| meant(written, quoted));
        let problem = match guess {
            Some(guess) => format!("{problem}; did you mean '{guess}'?"),
            None => problem.to_owned(),
        };
        let key = key_of_line(text, start).filter(|key| unknown != Some(key.as_str()));
        Self { line: line(text, start), key, problem }
    }
}

/// What of the known names somebody who wrote this probably meant: one that few letters are changed
/// in, or that it is the beginning of.
pub(super) fn meant<'k>(written: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let folded = |name: &str| -> Vec<char> {
        name.chars()
            .take(LONGEST)
            .filter(|c| !matches!(c, '_' | '-' | ' '))
            .flat_map(char::to_lowercase)
            .collect()
    };
    let written = folded(written);
    let far = |name: &str| {
        let name = folded(name);
        if written.len() >= 4 && name.starts_with(&written) {
            return 1;
        }
        distance(&written, &name)
    };
    let most = written.len().div_ceil(3);
    known.map(|name| (far(name), name)).filter(|&(far, _)| far <= most).min().map(|(_, name)| name)
}

/// ` ; did you mean 'x'?`, or what there is to choose from.
pub(super) fn hint<'k>(written: &str, known: impl Iterator<Item = &'k str> + Clone) -> String {
    if let Some(guess) = meant(written, known.clone()) {
        return format!("; did you mean '{guess}'?");
    }
    let names: Vec<&str> = known.take(SHOWN + 1).collect();
    match names.len() {
        0 => String::new(),
        1..=SHOWN => format!("; there is {}", names.join(", ")),
        _ => format!("; there is {}, …", names[..SHOWN].join(", ")),
    }
}

/// Characters of a name that are compared.
const LONGEST: usize = 64;
/// Names that are told when none is near.
const SHOWN: usize = 8;

/// Letters that have to be put in, left out or changed to make one of the other (Levenshtein).
fn distance(from: &[char], to: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (above, letter) in from.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = above + 1;
        for (at, other) in to.iter().enumerate() {
            let changed = diagonal + usize::from(letter != other);
            diagonal = row[at + 1];
            row[at + 1] = changed.min(diagonal + 1).min(row[at] + 1);
        }
    }
    row[to.len()]
}

fn line(text: &str, at: usize) -> usize {
    text.as_bytes()[..at.min(text.len())].iter().filter(|&&b| b == b'\n').count() + 1
}

/// The key in front of the `=` on the line of this byte.
fn key_of_line(text: &str, at: usize) -> Option<String> {
    let at = text.floor_char_boundary(at);
    let start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let line = text[start..].lines().next()?;
    let key = line.split_once('=')?.0.trim();
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    (!key.is_empty() && key.chars().all(plain)).then(|| key.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_meant_is_told_and_nothing_far_fetched() {
        let known = ["action", "entities", "at_least", "PAYMENT_CARD", "IBAN_CODE"];
        for (written, guess) in [
            ("acton", Some("action")),
            ("entitys", Some("entities")),
            ("atleast", Some("at_least")),
            ("IBAN", Some("IBAN_CODE")),
            ("payment card", Some("PAYMENT_CARD")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(meant(written, known.into_iter()), guess, "{written}");
        }
        assert_eq!(hint("colour", ["a", "b"].into_iter()), "; there is a, b");
    }
}
