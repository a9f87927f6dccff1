use std::collections::BTreeSet;

use mailkeep_model::{Category, Finding, Verdict};

use super::{Action, Direction, Exception, Rule, SensitivePolicy};

/// Somebody who sends or receives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Party {
    /// The address, as it stands in the message.
    pub address: String,
    /// The groups of the directory that it is in.
    pub groups: Vec<String>,
    /// Whether it is of the organisation.
    pub inside: bool,
}

/// Who sends a message to whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope {
    /// Who sends.
    pub sender: Party,
    /// All who receive, copies and blind copies included.
    pub recipients: Vec<Party>,
}

/// What follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The strictest action of the rules that apply; `None` when none does.
    pub action: Option<Action>,
    /// Those rules, in the order of the file.
    pub applied: Vec<Applied>,
}

/// A rule that applies, and to what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The rule's name.
    pub rule: String,
    /// Its action.
    pub action: Action,
    /// How many different values of its entities there are.
    pub values: usize,
    /// The recipients for whom it applies, by address.
    pub recipients: Vec<String>,
}

/// What follows from the rules for this message.
pub fn decide(policy: &SensitivePolicy, envelope: &Envelope, verdict: &Verdict) -> Decision {
    let applied: Vec<Applied> =
        policy.rules().iter().filter_map(|rule| apply(rule, envelope, &verdict.findings)).collect();
    Decision { action: applied.iter().map(|applied| applied.action).max(), applied }
}

fn apply(rule: &Rule, envelope: &Envelope, findings: &[Finding]) -> Option<Applied> {
    // The mark in the evidence is the same for the same value.
    let values: BTreeSet<(&str, &str)> = findings
        .iter()
        .filter(|f| {
            f.category == Category::Sensitive
                && f.severity >= rule.severity
                && rule.names(&f.entity)
        })
        .map(|f| (f.entity.as_str(), mark(&f.evidence)))
        .collect();
    if values.len() < rule.at_least() || !in_groups(&envelope.sender, &rule.from_groups) {
        return None;
    }
    let recipients: Vec<String> = envelope
        .recipients
        .iter()
        .filter(|recipient| match rule.direction {
            Direction::Any => true,
            Direction::Outward => !recipient.inside,
            Direction::Inward => recipient.inside,
        })
        .filter(|recipient| in_groups(recipient, &rule.to_groups))
        .filter(|recipient| {
            !rule.except.iter().any(|except| excepts(except, &envelope.sender, recipient))
        })
        .map(|recipient| recipient.address.clone())
        .collect();
    (!recipients.is_empty()).then(|| Applied {
        rule: rule.name.clone(),
        action: rule.action,
        values: values.len(),
        recipients,
    })
}

fn mark(evidence: &str) -> &str {
    evidence.rsplit_once(" #").map_or(evidence, |(_, mark)| mark)
}

fn in_groups(party: &Party, groups: &[String]) -> bool {
    groups.is_empty() || groups.iter().any(|group| party.groups.contains(group))
}

fn excepts(except: &Exception, sender: &Party, recipient: &Party) -> bool {
    // An exception that names nothing would be none of the rule's business.
    *except != Exception::default()
        && in_groups(sender, &except.from_groups)
        && is_one_of(sender, &except.from)
        && in_groups(recipient, &except.to_groups)
        && is_one_of(recipient, &except.to)
}

fn is_one_of(party: &Party, addresses: &[String]) -> bool {
    let address = party.address.to_lowercase();
    addresses.is_empty()
        || addresses.iter().map(|pattern| pattern.to_lowercase()).any(|pattern| {
            match pattern.strip_prefix('*') {
                Some(ending) => address.ends_with(ending),
                None => address == pattern,
            }
        })
}

#[cfg(test)]
mod tests {
    use mailkeep_model::{Severity, VerdictKind};

    use super::*;

    fn party(address: &str, groups: &[&str]) -> Party {
        Party {
            address: address.to_owned(),
            groups: groups.iter().map(ToString::to_string).collect(),
            inside: address.ends_with("@corp.example"),
        }
    }

    fn verdict(values: &[(&str, Severity, &str)]) -> Verdict {
        let finding = |&(entity, severity, mark): &(&str, Severity, &str)| Finding {
            detector: "identifier".into(),
            category: Category::Sensitive,
            entity: entity.into(),
            severity,
            field: "body.text".into(),
            start: 0,
            end: 1,
            evidence: format!("a number ****1 #{mark}"),
        };
        Verdict {
            verdict: VerdictKind::Sensitive,
            score: 0.5,
            findings: values.iter().map(finding).collect(),
            not_inspected: vec![],
        }
    }

    fn policy(rules: &str) -> SensitivePolicy {
        SensitivePolicy::from_toml(rules).unwrap()
    }

    fn envelope(sender: Party, recipients: &[Party]) -> Envelope {
        Envelope { sender, recipients: recipients.to_vec() }
    }

    const CARDS: &str = "[[sensitive]]\nname = \"cards\"\nentities = [\"PAYMENT_CARD\"]\n\
        direction = \"outward\"\nat_least = 2\naction = \"quarantine\"\n\
        [[sensitive.except]]\nfrom_groups = [\"billing\"]\nto = [\"*@bank.example\"]\n";

    #[test]
    fn a_rule_counts_different_values_and_not_places() {
        let outside = envelope(party("ann@corp.example", &[]), &[party("x@else.example", &[])]);
        let medium = |mark| ("PAYMENT_CARD", Severity::Medium, mark);
        let action = |values: &[_]| decide(&policy(CARDS), &outside, &verdict(values)).action;
        assert_eq!(action(&[medium("a"), medium("a"), medium("a")]), None);
        assert_eq!(action(&[medium("a"), medium("b")]), Some(Action::Quarantine));
        assert_eq!(action(&[medium("a"), ("PAYMENT_CARD", Severity::Low, "b")]), None);
        assert_eq!(action(&[medium("a"), ("IBAN_CODE", Severity::High, "b")]), None);
    }

    #[test]
    fn an_exception_that_covers_one_recipient_does_not_cover_the_others() {
        let (bank, other) = (party("desk@Bank.example", &[]), party("x@else.example", &[]));
        let colleague = party("bob@corp.example", &[]);
        let two = verdict(&[
            ("PAYMENT_CARD", Severity::High, "a"),
            ("PAYMENT_CARD", Severity::High, "b"),
        ]);
        let decided = |groups: &[&str], to: &[Party]| {
            decide(&policy(CARDS), &envelope(party("ann@corp.example", groups), to), &two)
        };
        assert_eq!(decided(&["billing"], std::slice::from_ref(&bank)).action, None);
        assert_eq!(decided(&[], std::slice::from_ref(&bank)).action, Some(Action::Quarantine));
        assert_eq!(decided(&[], &[colleague]).action, None);
        let both = decided(&["billing"], &[bank, other]);
        assert_eq!(both.action, Some(Action::Quarantine));
        assert_eq!(both.applied[0].recipients, ["x@else.example"]);
    }

    #[test]
    fn the_strictest_rule_that_applies_decides_and_all_are_told() {
        let rules = format!(
            "{CARDS}[[sensitive]]\nname = \"secrets\"\nentities = [\"SECRET_*\"]\naction = \"remove\"\n"
        );
        let found = verdict(&[
            ("PAYMENT_CARD", Severity::High, "a"),
            ("PAYMENT_CARD", Severity::High, "b"),
            ("SECRET_JWT", Severity::High, "c"),
        ]);
        let outside = envelope(party("ann@corp.example", &[]), &[party("x@else.example", &[])]);
        let decision = decide(&policy(&rules), &outside, &found);
        assert_eq!(decision.action, Some(Action::Remove));
        let names: Vec<&str> =
            decision.applied.iter().map(|applied| applied.rule.as_str()).collect();
        assert_eq!(names, ["cards", "secrets"]);
    }
}
