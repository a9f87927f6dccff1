use std::collections::BTreeSet;

use mailkeep_model::{Category, Severity, VerdictKind};
use serde::Deserialize;
use toml::Spanned;

use super::{PolicyError, mistake::hint};
use crate::detectors::{detector_names, entity_names};

/// One rule: all that it names must hold.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Rule {
    /// Told with what it decides; unique in the file.
    pub(super) name: Spanned<String>,
    /// The verdict is this, or worse.
    #[serde(default)]
    verdict: Option<Spanned<VerdictKind>>,
    /// The score is this or more, from 0 to 1.
    #[serde(default)]
    score: Option<Spanned<f64>>,
    /// Findings of this category count.
    #[serde(default)]
    category: Option<Spanned<Category>>,
    /// Findings of these detectors count; `attachment-*` is all that begin so.
    #[serde(default)]
    detectors: Vec<Spanned<String>>,
    /// What must be found: entities such as `IBAN_CODE`, with a `*` at the end for all that begin so
    /// (`SECRET_*`), or names of dictionaries and lists. Any one of them is enough.
    #[serde(default)]
    entities: Vec<Spanned<String>>,
    /// Findings below this severity do not count; medium when nothing is said.
    #[serde(default)]
    severity: Option<Severity>,
    /// How many different values there must be.
    #[serde(default)]
    at_least: Option<Spanned<usize>>,
    /// Whose mail it is about.
    #[serde(default)]
    pub senders: Senders,
    /// The sender is in one of these groups; empty: whoever sends.
    #[serde(default)]
    pub(super) from_groups: Vec<Spanned<String>>,
    /// Where the message goes.
    #[serde(default)]
    pub direction: Direction,
    /// A recipient is in one of these groups; empty: whoever receives.
    #[serde(default)]
    pub(super) to_groups: Vec<Spanned<String>>,
    /// When the rule does not apply.
    #[serde(default)]
    pub except: Vec<Exception>,
    /// What follows.
    pub action: Action,
    /// It is only said what would follow.
    #[serde(default)]
    pub dry_run: bool,
}

/// When a rule does not apply: all that it names must hold, for the sender and each recipient.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Exception {
    /// The sender is in one of these groups.
    #[serde(default)]
    pub(super) from_groups: Vec<Spanned<String>>,
    /// The sender's address is one of these.
    #[serde(default)]
    pub from: Vec<String>,
    /// The recipient is in one of these groups.
    #[serde(default)]
    pub(super) to_groups: Vec<Spanned<String>>,
    /// The recipient's address is one of these; `*@bank.example` is everybody there.
    #[serde(default)]
    pub to: Vec<String>,
}

/// Whose mail a rule is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Senders {
    /// What people of the organisation send.
    #[default]
    Inside,
    /// What others send.
    Outside,
    /// Whoever sends.
    Any,
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
    /// To somebody outside who is of no partner's domain.
    Strangers,
    /// To somebody inside.
    Inward,
}

/// What follows, from the mildest to the strictest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It is written down.
    Log,
    /// Who looks after it is told.
    Notify,
    /// Who looks after it is told that somebody has to be warned: it is as loud as what is taken away.
    Warn,
    /// The message is moved where nobody reads it, and can be put back.
    Quarantine,
    /// The message is removed, and can be put back.
    Remove,
}

impl Action {
    /// The name used in policies, the command line and the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Notify => "notify",
            Self::Warn => "warn",
            Self::Quarantine => "quarantine",
            Self::Remove => "remove",
        }
    }

    /// Whether a message is taken away from people.
    pub const fn takes_away(self) -> bool {
        matches!(self, Self::Quarantine | Self::Remove)
    }
}

/// Under which heading a rule stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// `[[rule]]`.
    Rule,
    /// `[[sensitive]]`.
    Sensitive,
}

/// An empty place in a file, for rules that stand in none.
fn nowhere<T>(value: T) -> Spanned<T> {
    Spanned::new(0..0, value)
}

impl Rule {
    /// The rules of `[verdict]`.
    pub(super) fn of_verdicts(
        sensitive: Option<Action>,
        suspicious: Option<Action>,
        malicious: Option<Action>,
    ) -> Vec<Self> {
        let kinds = [
            (VerdictKind::Sensitive, sensitive),
            (VerdictKind::Suspicious, suspicious),
            (VerdictKind::Malicious, malicious),
        ];
        let rule = |(kind, action): (VerdictKind, Option<Action>)| {
            Some(Self {
                name: nowhere(format!("verdict: {}", kind.as_str())),
                verdict: Some(nowhere(kind)),
                score: None,
                category: None,
                detectors: Vec::new(),
                entities: Vec::new(),
                severity: None,
                at_least: None,
                senders: Senders::default(),
                from_groups: Vec::new(),
                direction: Direction::default(),
                to_groups: Vec::new(),
                except: Vec::new(),
                action: action?,
                dry_run: false,
            })
        };
        kinds.into_iter().filter_map(rule).collect()
    }

    /// A rule of `[[sensitive]]` as one of `[[rule]]`.
    pub(super) fn about_sensitive_content(self) -> Self {
        Self { category: Some(nowhere(Category::Sensitive)), ..self }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.name.get_ref()
    }

    /// The verdict that it asks for at least.
    pub fn verdict(&self) -> Option<VerdictKind> {
        self.verdict.as_ref().map(|verdict| *verdict.get_ref())
    }

    /// The score that it asks for at least.
    pub fn score(&self) -> Option<f64> {
        self.score.as_ref().map(|score| *score.get_ref())
    }

    /// How many different values there must be.
    pub fn at_least(&self) -> usize {
        self.at_least.as_ref().map_or(1, |least| *least.get_ref())
    }

    /// Whether it names this entity, and not only a beginning that it shares with others.
    pub fn names(&self, entity: &str) -> bool {
        self.entities.iter().any(|one| one.get_ref() == entity)
    }

    /// Whether it asks for findings, and not for the verdict alone.
    pub(super) fn asks_for_findings(&self) -> bool {
        self.category.is_some()
            || !self.detectors.is_empty()
            || !self.entities.is_empty()
            || self.severity.is_some()
            || self.at_least.is_some()
    }

    /// Whether a finding counts.
    pub(super) fn counts(&self, finding: &mailkeep_model::Finding) -> bool {
        let category = self.category.as_ref().map(|category| *category.get_ref());
        finding.severity >= self.severity.unwrap_or(Severity::Medium)
            && category.is_none_or(|category| category == finding.category)
            && names(&self.detectors, &finding.detector)
            && names(&self.entities, &finding.entity)
    }

    /// Refuses what would never apply, or always.
    pub(super) fn check(
        &self,
        text: &str,
        kind: Named,
        named: &[&str],
        groups: &BTreeSet<&str>,
    ) -> Result<(), PolicyError> {
        let refuse = |place, key: &str, problem| Err(PolicyError::at(text, place, key, problem));
        if kind == Named::Sensitive {
            let not_here = [
                ("verdict", self.verdict.as_ref().map(Spanned::span)),
                ("score", self.score.as_ref().map(Spanned::span)),
                ("category", self.category.as_ref().map(Spanned::span)),
                ("detectors", self.detectors.first().map(Spanned::span)),
            ];
            for (key, place) in not_here {
                if let Some(place) = place {
                    let problem = "a [[sensitive]] rule has no such key; write it as [[rule]]";
                    return refuse(place, key, problem.to_owned());
                }
            }
        } else if self.verdict.is_none() && self.score.is_none() && !self.asks_for_findings() {
            let problem = format!(
                "the rule '{}' is about every message: name a verdict, a score, a category, detectors, entities or a severity",
                self.name()
            );
            return refuse(self.name.span(), "name", problem);
        }
        if let Some(score) = &self.score
            && !(0.0..=1.0).contains(score.get_ref())
        {
            return refuse(score.span(), "score", "a score is from 0 to 1".to_owned());
        }
        if let Some(verdict) = &self.verdict
            && *verdict.get_ref() == VerdictKind::Clean
        {
            let problem = "every message is at least clean; name what must be found".to_owned();
            return refuse(verdict.span(), "verdict", problem);
        }
        if let Some(least) = self.at_least.as_ref().filter(|least| *least.get_ref() == 0) {
            return refuse(least.span(), "at_least", "at_least is 1 or more".to_owned());
        }
        let detectors: Vec<&str> = detector_names().collect();
        for detector in &self.detectors {
            if !is_known(detector.get_ref(), detectors.iter().copied()) {
                let hint = hint(detector.get_ref(), detectors.iter().copied());
                let problem = format!("there is no detector '{}'{hint}", detector.get_ref());
                return refuse(detector.span(), "detectors", problem);
            }
        }
        // Other detectors' entities are hosts, files and rules: any name may turn up.
        let sensitive = kind == Named::Sensitive
            || self.category.as_ref().is_some_and(|one| *one.get_ref() == Category::Sensitive);
        let mut entities: Vec<&str> = entity_names().collect();
        entities.extend_from_slice(named);
        for entity in self.entities.iter().filter(|_| sensitive) {
            if !is_known(entity.get_ref(), entities.iter().copied()) {
                let hint = hint(entity.get_ref(), entities.iter().copied());
                let problem = format!("nothing finds the entity '{}'{hint}", entity.get_ref());
                return refuse(entity.span(), "entities", problem);
            }
        }
        let of_except = self.except.iter().flat_map(|except| {
            let from = except.from_groups.iter().map(|group| ("from_groups", group));
            from.chain(except.to_groups.iter().map(|group| ("to_groups", group)))
        });
        let from = self.from_groups.iter().map(|group| ("from_groups", group));
        let to = self.to_groups.iter().map(|group| ("to_groups", group));
        for (key, group) in from.chain(to).chain(of_except) {
            if !groups.contains(group.get_ref().as_str()) {
                let hint = hint(group.get_ref(), groups.iter().copied());
                let problem = format!("[groups] has no '{}'{hint}", group.get_ref());
                return refuse(group.span(), key, problem);
            }
        }
        Ok(())
    }
}

/// Whether one of the patterns is that name; all names where there is no pattern.
fn names(patterns: &[Spanned<String>], name: &str) -> bool {
    patterns.is_empty()
        || patterns.iter().any(|pattern| match pattern.get_ref().strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => name == pattern.get_ref(),
        })
}

fn is_known<'k>(pattern: &str, mut known: impl Iterator<Item = &'k str>) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => known.any(|name| name.starts_with(beginning)),
        None => known.any(|name| name == pattern),
    }
}

/// Whether an address (in lower case) is one of these; `*@bank.example` is everybody there.
pub(super) fn is_one_of(address: &str, patterns: &[String]) -> bool {
    patterns.iter().map(|pattern| pattern.to_lowercase()).any(|pattern| {
        match pattern.strip_prefix('*') {
            Some(ending) => address.ends_with(ending),
            None => address == pattern,
        }
    })
}

#[cfg(test)]
mod tests {
    use crate::policy::Policy;

    fn refused(text: &str) -> (usize, String, String) {
        let error = Policy::from_toml(text, &[]).unwrap_err();
        (error.line, error.key.unwrap_or_default(), error.problem)
    }

    #[test]
    fn a_mistake_is_named_with_line_key_and_what_was_meant() {
        let rule = "[[sensitive]]\nname = \"a\"\naction = \"warn\"\n";
        let (line, _, problem) = refused(&format!("{rule}entitys = []\n"));
        assert!(line == 4 && problem.ends_with("did you mean 'entities'?"), "{line}: {problem}");
        let (line, key, problem) =
            refused(&format!("{rule}entities = [\n  \"IBAN_CODE\",\n  \"IBAN\",\n]\n"));
        assert_eq!((line, key.as_str()), (6, "entities"));
        assert_eq!(problem, "nothing finds the entity 'IBAN'; did you mean 'IBAN_CODE'?");
        let (line, key, _) = refused(&format!("{rule}at_least = 0\n"));
        assert_eq!((line, key.as_str()), (4, "at_least"));
        let (line, key, problem) = refused("[[sensitive]]\nname = \"a\"\naction = \"quarantin\"\n");
        assert_eq!((line, key.as_str()), (3, "action"));
        assert!(problem.ends_with("did you mean 'quarantine'?"), "{problem}");
        let (line, _, problem) = refused(&format!("{rule}\n{rule}"));
        assert_eq!((line, problem.as_str()), (6, "two rules are called 'a'"));
        assert_eq!(refused("[[sensitive]\n").0, 1);
        let (line, key, problem) =
            refused(&format!("[groups]\nbilling = []\n{rule}to_groups = [\"biling\"]\n"));
        assert_eq!((line, key.as_str()), (6, "to_groups"));
        assert_eq!(problem, "[groups] has no 'biling'; did you mean 'billing'?");
        let (_, key, problem) = refused(
            "[[rule]]\nname = \"a\"\naction = \"log\"\ndetectors = [\"atachment-macro\"]\n",
        );
        assert_eq!(key, "detectors");
        assert!(problem.ends_with("did you mean 'attachment-macro'?"), "{problem}");
    }

    #[test]
    fn a_rule_that_would_take_every_message_away_is_refused() {
        let (line, _, problem) = refused("[[rule]]\nname = \"all\"\naction = \"remove\"\n");
        assert!(line == 2 && problem.contains("every message"), "{problem}");
        let clean = "[[rule]]\nname = \"all\"\nverdict = \"clean\"\naction = \"remove\"\n";
        assert_eq!(refused(clean).1, "verdict");
        let beyond = "[[rule]]\nname = \"all\"\nscore = 80.0\naction = \"remove\"\n";
        assert_eq!(refused(beyond).1, "score");
        let (_, key, problem) =
            refused("[[sensitive]]\nname = \"a\"\nverdict = \"malicious\"\naction = \"log\"\n");
        assert!(key == "verdict" && problem.contains("[[rule]]"), "{problem}");
    }

    #[test]
    fn dictionaries_and_lists_can_be_named() {
        let text = "[[sensitive]]\nname = \"a\"\naction = \"log\"\nentities = [\"customers\", \"SECRET_*\"]\n";
        assert!(Policy::from_toml(text, &[]).is_err());
        assert_eq!(Policy::from_toml(text, &["customers"]).unwrap().rules().len(), 1);
    }
}
