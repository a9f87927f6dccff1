//! What there is to tell of what a policy decided, and of its files.

use std::collections::BTreeSet;

use data_encoding::HEXLOWER;
use mailkeep_control::{StoredDecision, StoredLoadProblem};
use mailkeep_model::TenantName;
use mailkeep_sentry::Severity;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use super::{
    Alert,
    alert::{EVIDENCE_LINES, at, line},
};
use crate::protect::EPISODE;

impl Alert {
    /// What there is to say of an episode of decisions, the oldest first; `None` of none. `hindered` is
    /// why nothing of theirs is ordered.
    pub(crate) fn of_decisions(
        decisions: &[StoredDecision],
        hindered: Option<&str>,
        now: OffsetDateTime,
    ) -> Option<Self> {
        let (first, last) = (decisions.first()?, decisions.last()?);
        let tenant = &first.tenant;
        let messages: BTreeSet<&str> = decisions.iter().map(message_of).collect();
        let rule = first.told_as.as_deref().unwrap_or_default();
        let waits = decisions.iter().any(|one| one.acted && one.remedy.is_none());
        let is_ordered = !waits && decisions.iter().any(|one| one.remedy.is_some());
        // Nothing is said to be done that may not be: an order is carried out in its own time.
        let what = match (first.action.as_str(), waits, is_ordered) {
            ("notify", ..) => "applies to",
            ("warn", ..) => "warns of",
            ("quarantine", true, _) => "is to take into quarantine",
            ("quarantine", _, true) => "has ordered into quarantine",
            ("quarantine", ..) => "was to take into quarantine, and lets be,",
            ("remove", true, _) => "is to remove",
            ("remove", _, true) => "has ordered the removal of",
            ("remove", ..) => "was to remove, and lets be,",
            _ => "is about",
        };
        let spared: BTreeSet<&str> =
            decisions.iter().filter(|one| one.spared.is_some()).map(message_of).collect();
        let count = match (messages.len(), messages.difference(&spared).count()) {
            (1, _) => "a message".to_owned(),
            (count, kept) if kept == count || kept == 0 => format!("{count} messages"),
            (count, kept) => format!("{kept} of {count} messages"),
        };
        let newest = decisions.len().saturating_sub(EVIDENCE_LINES);
        let evidence = decisions[newest..].iter().map(|one| {
            let id = one.message_id.as_deref().unwrap_or("a message without an id");
            let spared = one.spared.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
            line(&format!("{}, from {}: {id}{spared}", at(one.decided), one.sender))
        });
        let takes_away = waits && !matches!(first.action.as_str(), "notify" | "warn");
        let hindered = hindered.filter(|_| takes_away);
        let waiting = hindered.map(|why| line(&format!("nothing was taken yet: {why}")));
        let id = first.episode.unwrap_or(first.id);
        let shown_by = format!("mailkeep policy decisions {tenant}");
        Some(Self {
            subject: decision_subject(id),
            thread: format!("mailkeep-{tenant}-policy-{id}-{}", first.decided.unix_timestamp()),
            tenant: Some(tenant.clone()),
            // A rule that asks for no more than a word gets no more than that.
            severity: if first.action == "notify" { Severity::Notice } else { Severity::Warning },
            since: first.decided,
            closed: now - last.decided > EPISODE,
            note: None,
            headline: line(&format!("tenant {tenant}: the policy's rule '{rule}' {what} {count}")),
            signs: decisions.iter().map(|one| one.sender.clone()).take(SIGNS).collect(),
            evidence: waiting.into_iter().chain(evidence).collect(),
            next_step: shown_by.clone(),
            shown_by,
        })
    }

    /// What there is to say of a file that cannot be used.
    pub(crate) fn of_load_problem(stored: &StoredLoadProblem) -> Self {
        let StoredLoadProblem { path, tenant, line: at_line, problem, kept, since, solved } =
            stored;
        let subject = load_problem_subject(path, tenant.as_ref());
        let place = match at_line {
            Some(number) => format!("{path}:{number}"),
            None => path.clone(),
        };
        let kept =
            if *kept { "what was read before is still used" } else { "nothing of it is used" };
        Self {
            thread: format!("mailkeep-{subject}-{}", since.unix_timestamp()),
            subject,
            tenant: tenant.clone(),
            severity: Severity::Warning,
            since: *since,
            closed: solved.is_some(),
            note: None,
            headline: match solved {
                Some(_) => line(&format!("{path} is used again")),
                None => line(&format!("{path} cannot be used; {kept}")),
            },
            signs: BTreeSet::new(),
            evidence: vec![line(&format!("{place}: {problem}"))],
            next_step: "mend the file: it is read again when it changes".to_owned(),
            shown_by: "mailkeep doctor".to_owned(),
        }
    }
}

fn message_of(decision: &StoredDecision) -> &str {
    decision.message_id.as_deref().unwrap_or(&decision.item.0)
}

/// Senders that are signs: one more is worth another word, the hundredth is not.
const SIGNS: usize = 50;

/// What alerts of decisions call what they are about.
pub(crate) fn decision_subject(episode: i64) -> String {
    format!("policy/{episode}")
}

/// What alerts of files call what they are about.
pub(crate) fn load_problem_subject(path: &str, tenant: Option<&TenantName>) -> String {
    let whose = tenant.map(|tenant| format!("{tenant}\0")).unwrap_or_default();
    let hash = Sha256::digest(format!("{whose}{path}"));
    format!("file/{}", HEXLOWER.encode(&hash[..6]))
}

#[cfg(test)]
mod tests {
    use mailkeep_model::{ItemId, MailboxId};
    use serde_json::json;
    use time::macros::datetime;

    use super::*;
    use crate::alerts::{Repeat, Rule, due};

    const NOW: OffsetDateTime = datetime!(2026-11-27 10:00 UTC);

    fn decision(id: i64) -> StoredDecision {
        StoredDecision {
            id,
            tenant: "acme".parse().unwrap(),
            mailbox: MailboxId("ann".into()),
            item: ItemId(id.to_string()),
            message_id: Some(format!("<{id}@corp.example>")),
            sender: "bob@corp.example".into(),
            action: "quarantine".into(),
            acted: true,
            spared: None,
            rules: json!([]),
            received: NOW,
            decided: NOW,
            told_as: Some("bad mail".into()),
            episode: Some(1),
            remedy: None,
        }
    }

    #[test]
    fn nobody_is_told_that_mail_was_taken_which_still_lies_there() {
        let said = |decisions: &[StoredDecision], hindered| {
            let alert = Alert::of_decisions(decisions, hindered, NOW).unwrap();
            (alert.headline, alert.evidence.join("\n"))
        };
        let waiting = decision(1);
        let ordered = StoredDecision { remedy: Some("7".into()), ..decision(2) };
        let spared = StoredDecision { acted: false, spared: Some("dry run".into()), ..decision(3) };
        let (headline, evidence) = said(std::slice::from_ref(&waiting), Some("no responder"));
        assert!(
            headline.ends_with("'bad mail' is to take into quarantine a message"),
            "{headline}"
        );
        assert!(evidence.contains("nothing was taken yet: no responder"), "{evidence}");
        // One that waits among others that are ordered is what people have to know of.
        let (headline, _) = said(&[ordered.clone(), waiting], None);
        assert!(headline.contains("is to take into quarantine 2 messages"), "{headline}");
        let (headline, evidence) = said(&[ordered, spared.clone()], Some("no responder"));
        assert!(headline.contains("has ordered into quarantine 1 of 2 messages"), "{headline}");
        assert!(!evidence.contains("no responder"), "{evidence}");
        let (headline, evidence) = said(&[spared], None);
        assert!(headline.contains("was to take into quarantine, and lets be, a message"));
        assert!(evidence.ends_with("<3@corp.example> (dry run)"), "{evidence}");
    }

    #[test]
    fn a_file_of_one_tenant_is_told_to_who_looks_after_it_and_one_of_all_is_not() {
        let problem = |tenant: Option<&str>| StoredLoadProblem {
            path: "/etc/policy.toml".into(),
            tenant: tenant.map(|name| name.parse().unwrap()),
            line: Some(3),
            problem: "no policy".into(),
            kept: true,
            since: NOW,
            solved: None,
        };
        let rule = |tenants: &[&str]| Rule {
            severity: Severity::Notice,
            tenants: tenants.iter().map(|name| name.parse().unwrap()).collect(),
            repeat: Repeat::Never,
        };
        let is_told = |rule: &Rule, of: Option<&str>| {
            let alert = Alert::of_load_problem(&problem(of));
            due(rule, &alert, None, None, false, NOW).is_some()
        };
        for (destination, of_acme, of_globex, of_all) in
            [(&[][..], true, true, true), (&["acme"][..], true, false, false)]
        {
            let rule = rule(destination);
            assert_eq!(is_told(&rule, Some("acme")), of_acme);
            assert_eq!(is_told(&rule, Some("globex")), of_globex);
            assert_eq!(is_told(&rule, None), of_all);
        }
        // Each is a subject of its own: it is solved by itself.
        let subject = |of| Alert::of_load_problem(&problem(of)).subject;
        assert_ne!(subject(Some("acme")), subject(Some("globex")));
        assert_ne!(subject(Some("acme")), subject(None));
    }
}
