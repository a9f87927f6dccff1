//! Findings, traffic, audit and passes.

use crate::common::{at, item_id, mailbox_id, on_each_database, round, with_two_mailboxes};
use mailkeep_control::{
    AuditEntry, AuditFilter, ControlError, FindingFilter, InspectedItem, PassCounts, PassOutcome,
};
use mailkeep_model::{Category, Direction, Finding, Severity, TrafficCount, Verdict, VerdictKind};

fn finding(detector: &str, category: Category) -> Finding {
    Finding {
        detector: detector.to_owned(),
        category,
        entity: "PAYMENT_CARD".into(),
        severity: Severity::High,
        field: "body.text".into(),
        start: 10,
        end: 29,
        // A nul, which PostgreSQL refuses in text.
        evidence: "•••• 1111\0".into(),
    }
}

fn inspected(number: usize, verdict: VerdictKind, findings: Vec<Finding>) -> InspectedItem {
    InspectedItem {
        item: item_id(number),
        content_key: "c1".into(),
        message_id: Some(format!("<{number}@acme.example>")),
        verdict: Verdict { verdict, score: 0.75, findings, not_inspected: Vec::new() },
    }
}

#[tokio::test]
async fn inspecting_again_shows_no_finding_twice() {
    on_each_database(async |control| {
        let tenant = with_two_mailboxes(&control).await;
        let ann = mailbox_id("ann");
        let card = || finding("payment-card", Category::Sensitive);
        let link = || finding("link-text-mismatch", Category::Link);
        let first = vec![
            inspected(1, VerdictKind::Suspicious, vec![card(), link(), card()]),
            inspected(2, VerdictKind::Clean, Vec::new()),
            inspected(3, VerdictKind::Sensitive, vec![card()]),
        ];
        for _ in 0..2 {
            control.record_verdicts(&tenant, &ann, first.clone(), at(1)).await.unwrap();
        }
        let counts = control.finding_counts(&tenant).await.unwrap();
        assert_eq!(counts.by_detector["payment-card"], 3);
        assert_eq!(counts.by_detector["link-text-mismatch"], 1);
        assert_eq!(counts.by_category[&Category::Sensitive], 3);
        assert_eq!(counts.by_verdict[&VerdictKind::Suspicious], 1);
        assert_eq!(counts.by_verdict.get(&VerdictKind::Clean), None);

        // A better rule finds less: what it no longer finds is gone.
        let second = vec![
            inspected(1, VerdictKind::Suspicious, vec![link()]),
            inspected(3, VerdictKind::Clean, Vec::new()),
        ];
        control.record_verdicts(&tenant, &ann, second, at(2)).await.unwrap();
        let all = control.findings(&tenant, &FindingFilter::default()).await.unwrap();
        assert_eq!(all.len(), 1);
        assert_eq!((&all[0].mailbox, &all[0].item), (&ann, &item_id(1)));
        assert_eq!(all[0].inspected, at(2));
        let expected = Finding { evidence: "•••• 1111\u{fffd}".into(), ..link() };
        assert_eq!(all[0].verdict.findings, [expected]);
        assert_eq!(all[0].verdict.score, 0.75);
        // A changed content is another one; the verdict on the old one stays.
        let mut changed = inspected(1, VerdictKind::Malicious, vec![link()]);
        changed.content_key = "c2".into();
        control.record_verdicts(&tenant, &ann, vec![changed], at(3)).await.unwrap();
        assert_eq!(control.findings(&tenant, &FindingFilter::default()).await.unwrap().len(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_filter_finds_the_verdicts_that_an_analyst_asks_for() {
    on_each_database(async |control| {
        let tenant = with_two_mailboxes(&control).await;
        let card = finding("payment-card", Category::Sensitive);
        let link = finding("link-text-mismatch", Category::Link);
        // One finding more than fits into a statement.
        let of_ann = vec![
            inspected(1, VerdictKind::Sensitive, vec![card.clone(); 513]),
            inspected(2, VerdictKind::Malicious, vec![link.clone()]),
        ];
        let mut unread = inspected(3, VerdictKind::Clean, Vec::new());
        unread.verdict.not_inspected = vec!["an attachment is encrypted".into()];
        control.record_verdicts(&tenant, &mailbox_id("ann"), of_ann, at(1)).await.unwrap();
        control.record_verdicts(&tenant, &mailbox_id("bob"), vec![unread], at(9)).await.unwrap();

        let none = FindingFilter::default;
        let cases = [
            (none(), vec![3, 2, 1]),
            (FindingFilter { limit: Some(1), ..none() }, vec![3]),
            (FindingFilter { mailbox: Some(mailbox_id("ann")), ..none() }, vec![2, 1]),
            (FindingFilter { at_least: Some(VerdictKind::Suspicious), ..none() }, vec![2]),
            (FindingFilter { detector: Some("payment-card".into()), ..none() }, vec![1]),
            (FindingFilter { message_id: Some("<2@acme.example>".into()), ..none() }, vec![2]),
            (FindingFilter { since: Some(at(5)), ..none() }, vec![3]),
        ];
        for (filter, expected) in cases {
            let found = control.findings(&tenant, &filter).await.unwrap();
            let found: Vec<_> = found.into_iter().map(|verdict| verdict.item).collect();
            let expected: Vec<_> = expected.into_iter().map(item_id).collect();
            assert_eq!(found.len(), expected.len(), "{filter:?}");
            assert!(expected.iter().all(|item| found.contains(item)), "{filter:?}");
        }
        let all = control.findings(&tenant, &none()).await.unwrap();
        assert_eq!(all[0].verdict.not_inspected, ["an attachment is encrypted"]);
        let longest = all.iter().map(|verdict| verdict.verdict.findings.len()).max();
        assert_eq!(longest, Some(513));
        let stranger = FindingFilter { mailbox: Some(mailbox_id("eve")), ..none() };
        assert!(control.findings(&tenant, &stranger).await.is_err());
    })
    .await;
}

#[tokio::test]
async fn traffic_of_several_rounds_adds_up() {
    on_each_database(async |control| {
        let tenant = with_two_mailboxes(&control).await;
        let count = |minute, direction, count| TrafficCount { minute, direction, count };
        let (inbound, internal) = (Direction::Inbound, Direction::Internal);
        let mut first = round("s1", None, "ann", 1);
        first.traffic = vec![count(10, inbound, 2), count(11, internal, 1), count(12, inbound, 0)];
        control.commit_round(&tenant, first).await.unwrap();
        let mut second = round("s2", Some("s1"), "ann", 1);
        second.traffic = vec![count(10, inbound, 3), count(10, Direction::Outbound, 1)];
        control.commit_round(&tenant, second).await.unwrap();
        assert_eq!(
            control.traffic(&tenant, 10, 12).await.unwrap(),
            [count(10, inbound, 5), count(10, Direction::Outbound, 1), count(11, internal, 1),]
        );
        assert_eq!(control.traffic(&tenant, 11, 12).await.unwrap().len(), 1);
        assert!(control.traffic(&tenant, 12, 1_000).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn who_did_what_is_read_back_newest_first() {
    on_each_database(async |control| {
        let entry = |seconds, action: &str, tenant: Option<&str>| AuditEntry {
            time: at(seconds),
            actor: "root".into(),
            action: action.to_owned(),
            tenant: tenant.map(|name| name.parse().unwrap()),
            details: serde_json::json!({ "out": "/tmp/x", "items": 3 }),
        };
        // An entry may name a tenant that is not, or no longer, in the database.
        let written = [
            entry(1, "tenant-add", Some("acme")),
            entry(2, "export", Some("acme")),
            entry(3, "export", None),
        ];
        for entry in written.clone() {
            control.audit(entry).await.unwrap();
        }
        let all = control.audit_entries(&AuditFilter::default()).await.unwrap();
        assert_eq!(all, written.iter().rev().cloned().collect::<Vec<_>>());
        let filter = AuditFilter {
            tenant: Some("acme".parse().unwrap()),
            action: Some("export".into()),
            since: Some(at(2)),
            limit: Some(5),
        };
        assert_eq!(control.audit_entries(&filter).await.unwrap(), written[1..2]);
    })
    .await;
}

#[tokio::test]
async fn an_interrupted_pass_stays_visible_as_unfinished() {
    on_each_database(async |control| {
        let tenant = with_two_mailboxes(&control).await;
        let interrupted = control.start_pass(&tenant, at(1)).await.unwrap();
        let done = control.start_pass(&tenant, at(2)).await.unwrap();
        let counts =
            PassCounts { mailboxes: 7, put: 24_689, requests: 30_000, ..Default::default() };
        let errors = vec!["item 9: unreadable".to_owned()];
        control.finish_pass(done, PassOutcome::Partial, counts, &errors, at(9)).await.unwrap();
        let passes = control.passes(&tenant, 10).await.unwrap();
        assert_eq!((passes[0].id, passes[0].finished), (done, Some(at(9))));
        assert_eq!((passes[0].outcome, passes[0].counts), (Some(PassOutcome::Partial), counts));
        assert_eq!(passes[0].errors, errors);
        assert_eq!((passes[1].id, passes[1].finished), (interrupted, None));
        assert_eq!(control.passes(&tenant, 1).await.unwrap().len(), 1);
        let nobody = "nobody".parse().unwrap();
        let unknown = control.start_pass(&nobody, at(1)).await.unwrap_err();
        assert!(matches!(unknown, ControlError::NotFound { .. }), "{unknown}");
    })
    .await;
}
