use std::collections::{BTreeMap, BTreeSet};

use mailkeep_model::{Category, Finding, Verdict};

use super::{Action, Direction, Exception, Policy, Rule, Senders, rules::is_one_of};

/// Somebody who sends or receives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Party {
    /// The address, in lower case.
    pub address: String,
    /// The groups that it is in.
    pub groups: Vec<String>,
    /// Whether it is of the organisation.
    pub inside: bool,
    /// Whether it is of a partner's domain.
    pub partner: bool,
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// The strictest action of the rules that apply and are in earnest; `None` when there is none.
    pub action: Option<Action>,
    /// The strictest action of all that apply, those in dry run included.
    pub would: Option<Action>,
    /// The rules that apply, in the order of the policy.
    pub applied: Vec<Applied>,
}

/// A rule that applies, and to what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The rule's name.
    pub rule: String,
    /// Its action.
    pub action: Action,
    /// Nothing follows from it.
    pub dry_run: bool,
    /// What of the message made it apply, for people.
    pub why: String,
    /// The recipients for whom it applies, by address.
    pub recipients: Vec<String>,
}

/// What follows from the policy for this message.
pub fn decide(policy: &Policy, envelope: &Envelope, verdict: &Verdict) -> Decision {
    let apply = |rule: &Rule| apply(rule, policy.dry_run(), envelope, verdict);
    let applied: Vec<Applied> = policy.rules().iter().filter_map(apply).collect();
    let in_earnest = applied.iter().filter(|applied| !applied.dry_run);
    Decision {
        action: in_earnest.map(|applied| applied.action).max(),
        would: applied.iter().map(|applied| applied.action).max(),
        applied,
    }
}

fn apply(rule: &Rule, dry_run: bool, envelope: &Envelope, verdict: &Verdict) -> Option<Applied> {
    let mut why = Vec::new();
    if let Some(asked) = rule.verdict() {
        if verdict.verdict < asked {
            return None;
        }
        why.push(format!("the verdict is {}", verdict.verdict.as_str()));
    }
    if let Some(asked) = rule.score() {
        if verdict.score < asked {
            return None;
        }
        why.push(format!("the score is {:.2} ({asked:.2} or more)", verdict.score));
    }
    if rule.asks_for_findings() {
        why.push(found(rule, &verdict.findings)?);
    }
    let Envelope { sender, recipients } = envelope;
    let is_its = match rule.senders {
        Senders::Inside => sender.inside,
        Senders::Outside => !sender.inside,
        Senders::Any => true,
    };
    if !is_its || !in_groups(sender, &rule.from_groups) {
        return None;
    }
    let goes_there = |recipient: &&Party| match rule.direction {
        Direction::Any => true,
        Direction::Outward => !recipient.inside,
        Direction::Strangers => !recipient.inside && !recipient.partner,
        Direction::Inward => recipient.inside,
    };
    let recipients: Vec<String> = recipients
        .iter()
        .filter(goes_there)
        .filter(|recipient| in_groups(recipient, &rule.to_groups))
        .filter(|recipient| !rule.except.iter().any(|except| excepts(except, sender, recipient)))
        .map(|recipient| recipient.address.clone())
        .collect();
    // Of a message that names no recipient nobody can say where it does not go.
    let to_whomever = envelope.recipients.is_empty()
        && rule.direction == Direction::Any
        && rule.to_groups.is_empty();
    (to_whomever || !recipients.is_empty()).then(|| Applied {
        rule: rule.name().to_owned(),
        action: rule.action,
        dry_run: dry_run || rule.dry_run,
        why: why.join("; "),
        recipients,
    })
}

/// What the findings that count say, when they are as many as the rule asks for.
fn found(rule: &Rule, findings: &[Finding]) -> Option<String> {
    /// Kinds that are told; a person looks at the message for the rest.
    const TOLD: usize = 4;
    // Different values and not places: the mark in the evidence is the same for the same value.
    let mut values: BTreeMap<&str, BTreeSet<(&str, &str)>> = BTreeMap::new();
    for finding in findings.iter().filter(|finding| rule.counts(finding)) {
        let (kind, value) = match finding.category {
            Category::Sensitive => (finding.entity.as_str(), mark(&finding.evidence)),
            _ => (finding.detector.as_str(), finding.entity.as_str()),
        };
        values.entry(kind).or_default().insert((finding.entity.as_str(), value));
    }
    let count: usize = values.values().map(BTreeSet::len).sum();
    if count < rule.at_least() {
        return None;
    }
    let mut told: Vec<String> =
        values.iter().take(TOLD).map(|(kind, values)| format!("{} {kind}", values.len())).collect();
    if values.len() > TOLD {
        told.push("…".to_owned());
    }
    Some(format!("found: {}", told.join(", ")))
}

fn mark(evidence: &str) -> &str {
    evidence.rsplit_once(" #").map_or(evidence, |(_, mark)| mark)
}

fn in_groups(party: &Party, groups: &[toml::Spanned<String>]) -> bool {
    groups.is_empty() || groups.iter().any(|group| party.groups.contains(group.get_ref()))
}

fn excepts(except: &Exception, sender: &Party, recipient: &Party) -> bool {
    let named = |addresses: &[String], party: &Party| {
        addresses.is_empty() || is_one_of(&party.address.to_lowercase(), addresses)
    };
    // An exception that names nothing would be none of the rule's business.
    *except != Exception::default()
        && in_groups(sender, &except.from_groups)
        && named(&except.from, sender)
        && in_groups(recipient, &except.to_groups)
        && named(&except.to, recipient)
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
            partner: address.ends_with("@ally.example"),
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

    fn policy(rules: &str) -> Policy {
        let groups = "[groups]\nbilling = []\nguests = []\ninterns = []\n";
        Policy::from_toml(&format!("dry_run = false\n{groups}{rules}"), &[]).unwrap()
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

    fn malicious(score: f64) -> Verdict {
        Verdict { verdict: VerdictKind::Malicious, score, findings: vec![], not_inspected: vec![] }
    }

    #[test]
    fn what_outsiders_send_is_left_alone_unless_a_rule_says_otherwise() {
        let (inside, outside) = (party("ann@corp.example", &[]), party("x@else.example", &[]));
        let to = [party("bob@corp.example", &[])];
        let rule = |senders: &str| {
            let keys = "name = \"r\"\nverdict = \"suspicious\"\naction = \"remove\"\n";
            policy(&format!("[[rule]]\n{keys}{senders}"))
        };
        for (senders, from_inside, from_outside) in [
            ("", true, false),
            ("senders = \"inside\"\n", true, false),
            ("senders = \"outside\"\n", false, true),
            ("senders = \"any\"\n", true, true),
        ] {
            let acts = |sender: &Party| {
                let envelope = envelope(sender.clone(), &to);
                decide(&rule(senders), &envelope, &malicious(0.9)).action.is_some()
            };
            assert_eq!((acts(&inside), acts(&outside)), (from_inside, from_outside), "{senders}");
        }
    }

    #[test]
    fn in_dry_run_nothing_follows_and_it_is_said_what_would() {
        let sent = envelope(party("ann@corp.example", &[]), &[party("bob@corp.example", &[])]);
        let verdicts = "[verdict]\nmalicious = \"remove\"\n";
        let own = "[[rule]]\nname = \"score\"\nscore = 0.8\naction = \"notify\"\ndry_run = false\n";
        let read = |text: String| Policy::from_toml(&text, &[]).unwrap();
        // A new policy, and one that says so: whatever its rules say.
        for top in ["", "dry_run = true\n"] {
            let decision = decide(&read(format!("{top}{verdicts}{own}")), &sent, &malicious(0.9));
            assert_eq!((decision.action, decision.would), (None, Some(Action::Remove)));
            assert!(decision.applied.iter().all(|applied| applied.dry_run));
        }
        // One rule that is still tried out.
        let tried = format!(
            "dry_run = false\n{own}[[rule]]\nname = \"new\"\nverdict = \"malicious\"\naction = \"remove\"\ndry_run = true\n"
        );
        let decision = decide(&read(tried), &sent, &malicious(0.9));
        assert_eq!((decision.action, decision.would), (Some(Action::Notify), Some(Action::Remove)));
    }

    #[test]
    fn verdict_score_and_findings_must_hold_together_and_are_told() {
        let rule = "[[rule]]\nname = \"r\"\nverdict = \"suspicious\"\nscore = 0.6\ncategory = \"link\"\n\
            detectors = [\"link-*\"]\nseverity = \"high\"\nat_least = 2\naction = \"quarantine\"\n";
        let sent = envelope(party("ann@corp.example", &[]), &[party("bob@corp.example", &[])]);
        let link = |entity: &str, severity| Finding {
            detector: "link-user-info".into(),
            category: Category::Link,
            entity: entity.into(),
            severity,
            field: "body.html".into(),
            start: 0,
            end: 1,
            evidence: String::new(),
        };
        let (a, b) = (link("a.example", Severity::High), link("b.example", Severity::High));
        let decided = |score, findings: Vec<Finding>| {
            decide(&policy(rule), &sent, &Verdict { findings, ..malicious(score) })
        };
        assert_eq!(decided(0.5, vec![a.clone(), b.clone()]).action, None);
        assert_eq!(decided(0.9, vec![a.clone(), a.clone()]).action, None);
        assert_eq!(decided(0.9, vec![a.clone(), link("b.example", Severity::Low)]).action, None);
        let decision = decided(0.9, vec![a, b]);
        assert_eq!(decision.action, Some(Action::Quarantine));
        let why = &decision.applied[0].why;
        assert_eq!(
            why,
            "the verdict is malicious; the score is 0.90 (0.60 or more); found: 2 link-user-info"
        );
    }

    #[test]
    fn a_partner_is_outside_and_no_stranger() {
        let rule = |direction: &str| {
            policy(&format!(
                "[[rule]]\nname = \"r\"\nverdict = \"sensitive\"\ndirection = \"{direction}\"\naction = \"log\"\n"
            ))
        };
        let applies = |direction: &str, to: &str| {
            let sent = envelope(party("ann@corp.example", &[]), &[party(to, &[])]);
            decide(&rule(direction), &sent, &malicious(0.9)).action.is_some()
        };
        for (to, outward, strangers, inward) in [
            ("x@else.example", true, true, false),
            ("x@ally.example", true, false, false),
            ("x@corp.example", false, false, true),
        ] {
            let found = (applies("outward", to), applies("strangers", to), applies("inward", to));
            assert_eq!(found, (outward, strangers, inward), "{to}");
        }
    }

    #[test]
    fn a_message_without_recipients_is_not_let_off() {
        let nobody = envelope(party("ann@corp.example", &[]), &[]);
        let rules = |direction: &str| {
            policy(&format!(
                "[[rule]]\nname = \"r\"\nverdict = \"sensitive\"\ndirection = \"{direction}\"\naction = \"log\"\n"
            ))
        };
        assert_eq!(decide(&rules("any"), &nobody, &malicious(0.9)).action, Some(Action::Log));
        assert_eq!(decide(&rules("inward"), &nobody, &malicious(0.9)).action, None);
    }
}
