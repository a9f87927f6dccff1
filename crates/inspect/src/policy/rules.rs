use std::collections::BTreeSet;

use mailkeep_model::Severity;
use serde::Deserialize;
use thiserror::Error;
use toml::Spanned;

use crate::detectors::entity_names;

/// The rules for sensitive content, in the order of the file.
#[derive(Clone, Debug, Default)]
pub struct SensitivePolicy {
    rules: Vec<Rule>,
}

/// One rule: all that it names must hold.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Rule {
    /// Told with what it decides; unique in the file.
    pub name: String,
    /// What must be in the message: entities such as `IBAN_CODE`, with a `*` at the end for all that
    /// begin so (`SECRET_*`), or names of dictionaries and lists. Any one of them is enough.
    #[serde(default)]
    entities: Vec<Spanned<String>>,
    /// Findings below this severity do not count.
    #[serde(default = "medium")]
    pub severity: Severity,
    /// How many different values there must be.
    #[serde(default = "one")]
    at_least: Spanned<usize>,
    /// The sender is in one of these groups; empty: whoever sends.
    #[serde(default)]
    pub from_groups: Vec<String>,
    /// Where the message goes.
    #[serde(default)]
    pub direction: Direction,
    /// A recipient is in one of these groups; empty: whoever receives.
    #[serde(default)]
    pub to_groups: Vec<String>,
    /// When the rule does not apply.
    #[serde(default)]
    pub except: Vec<Exception>,
    /// What follows.
    pub action: Action,
}

/// When a rule does not apply: all that it names must hold, for the sender and each recipient.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Exception {
    /// The sender is in one of these groups.
    #[serde(default)]
    pub from_groups: Vec<String>,
    /// The sender's address is one of these.
    #[serde(default)]
    pub from: Vec<String>,
    /// The recipient is in one of these groups.
    #[serde(default)]
    pub to_groups: Vec<String>,
    /// The recipient's address is one of these; `*@bank.example` is everybody there.
    #[serde(default)]
    pub to: Vec<String>,
}

/// Where a message goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Wherever.
    #[default]
    Any,
    /// To somebody outside.
    Outward,
    /// To somebody inside.
    Inward,
}

/// What follows, from the mildest to the strictest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It is written down.
    Log,
    /// Who looks after it is told.
    Notify,
    /// The sender is told.
    Warn,
    /// The message is moved where nobody reads it, and can be put back.
    Quarantine,
    /// The message is removed, and can be put back.
    Remove,
}

/// Why a policy cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}: {problem}")]
#[non_exhaustive]
pub struct PolicyError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong there, and what would be right.
    pub problem: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    sensitive: Vec<Rule>,
}

impl SensitivePolicy {
    /// Reads `[[sensitive]]` rules.
    ///
    /// # Errors
    ///
    /// With the line, when it is not TOML, has a key that no rule has, names an entity that nothing
    /// finds, or asks for no value at all.
    pub fn from_toml(text: &str) -> Result<Self, PolicyError> {
        Self::from_toml_with(text, &[])
    }

    /// The same, where these dictionaries and lists can be named as well.
    ///
    /// # Errors
    ///
    /// As [`Self::from_toml`].
    pub fn from_toml_with(text: &str, named: &[&str]) -> Result<Self, PolicyError> {
        let line = |at: usize| {
            text.as_bytes()[..at.min(text.len())].iter().filter(|&&b| b == b'\n').count() + 1
        };
        let file: File = toml::from_str(text).map_err(|error| PolicyError {
            line: line(error.span().map_or(0, |span| span.start)),
            problem: error.message().to_owned(),
        })?;
        let mut known: BTreeSet<&str> = named.iter().copied().collect();
        for entity in entity_names() {
            known.insert(entity);
        }
        let mut names = BTreeSet::new();
        for rule in &file.sensitive {
            for entity in &rule.entities {
                if !is_known(entity.get_ref(), &known) {
                    let problem = format!("nothing finds the entity '{}'", entity.get_ref());
                    return Err(PolicyError { line: line(entity.span().start), problem });
                }
            }
            if *rule.at_least.get_ref() == 0 {
                let problem = "at_least is 1 or more".to_owned();
                return Err(PolicyError { line: line(rule.at_least.span().start), problem });
            }
            if !names.insert(&rule.name) {
                let problem = format!("two rules are called '{}'", rule.name);
                // The second of them.
                let quoted = format!("\"{}\"", rule.name);
                let at = text.rfind(&quoted).unwrap_or_default();
                return Err(PolicyError { line: line(at), problem });
            }
        }
        Ok(Self { rules: file.sensitive })
    }

    /// The rules.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }
}

impl Rule {
    /// Whether the rule is about this entity.
    pub(super) fn names(&self, entity: &str) -> bool {
        self.entities.is_empty()
            || self.entities.iter().any(|pattern| match pattern.get_ref().strip_suffix('*') {
                Some(beginning) => entity.starts_with(beginning),
                None => entity == pattern.get_ref(),
            })
    }

    /// How many different values there must be.
    pub fn at_least(&self) -> usize {
        *self.at_least.get_ref()
    }
}

fn is_known(pattern: &str, known: &BTreeSet<&str>) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => known.iter().any(|entity| entity.starts_with(beginning)),
        None => known.contains(pattern),
    }
}

fn medium() -> Severity {
    Severity::Medium
}

fn one() -> Spanned<usize> {
    Spanned::new(0..0, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> (usize, String) {
        let error = SensitivePolicy::from_toml(text).unwrap_err();
        (error.line, error.problem)
    }

    #[test]
    fn a_mistake_is_named_with_its_line() {
        let rule = "[[sensitive]]\nname = \"a\"\naction = \"warn\"\n";
        let (line, problem) = refused(&format!("{rule}entitys = []\n"));
        assert!(line == 4 && problem.contains("entitys"), "{line}: {problem}");
        let (line, problem) =
            refused(&format!("{rule}entities = [\n  \"IBAN_CODE\",\n  \"IBAN\",\n]\n"));
        assert_eq!((line, problem.as_str()), (6, "nothing finds the entity 'IBAN'"));
        let (line, _) = refused(&format!("{rule}at_least = 0\n"));
        assert_eq!(line, 4);
        let (line, problem) = refused("[[sensitive]]\nname = \"a\"\naction = \"burn\"\n");
        assert!(line == 3 && problem.contains("burn"), "{line}: {problem}");
        let (line, problem) = refused(&format!("{rule}\n{rule}"));
        assert_eq!((line, problem.as_str()), (6, "two rules are called 'a'"));
        assert_eq!(refused("[[sensitive]\n").0, 1);
    }

    #[test]
    fn dictionaries_and_lists_can_be_named() {
        let text = "[[sensitive]]\nname = \"a\"\naction = \"log\"\nentities = [\"customers\", \"SECRET_*\"]\n";
        assert!(SensitivePolicy::from_toml(text).is_err());
        assert_eq!(SensitivePolicy::from_toml_with(text, &["customers"]).unwrap().rules().len(), 1);
    }
}
