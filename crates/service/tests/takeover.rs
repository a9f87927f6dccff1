//! Somebody else uses a mailbox: what it never did before is told, what it does every week is not.

#![allow(clippy::unwrap_used)] // The helpers are tests, too.

mod common;
#[path = "histories/user.rs"]
#[allow(dead_code)] // Another test needs the rest.
mod user;

use std::{collections::BTreeSet, fmt::Write as _, fs, path::Path};

use mailkeep_control::{FindingFilter, RecordedVerdict};
use mailkeep_model::{MailboxId, Severity, VerdictKind};
use reqwest::Method;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc2822};

use crate::{
    common::{TINY, World},
    user::User,
};

const QUIET: &str = "quiet@lab.example";
const NEWS: &str = "news@lab.example";

/// What a mailbox sent before anybody backed it up.
fn write_sent(seed: &Path, person: &str, messages: impl Iterator<Item = (OffsetDateTime, String)>) {
    let folder = seed.join("mailboxes").join(person);
    fs::create_dir_all(&folder).unwrap();
    let mut mbox = String::new();
    for (number, (at, link)) in messages.enumerate() {
        let date = at.format(&Rfc2822).unwrap();
        write!(
            mbox,
            "From {person}\nFrom: {person}@lab.example\nTo: reader{number}@out.example\n\
             Date: {date}\nMessage-ID: <{person}-{number}@lab.example>\nSubject: Issue\n\n\
             Read {link} now.\n\n"
        )
        .unwrap();
    }
    fs::write(folder.join("Sent Items.mbox"), mbox).unwrap();
}

async fn send(user: &User, from: &str, to: &str, link: &str) {
    let message = json!({
        "message": {
            "subject": "Issue",
            "body": {"contentType": "text", "content": format!("Read {link} now.")},
            "toRecipients": [{"emailAddress": {"address": to}}],
        },
    });
    user.send(Method::POST, &format!("{from}/sendMail"), Some(message)).await.unwrap();
}

async fn mailbox_id(world: &World, address: &str) -> MailboxId {
    let all = world.service.control().mailboxes(&world.tenant).await.unwrap();
    all.into_iter().find(|one| one.mailbox.address.as_str() == address).unwrap().mailbox.id
}

async fn told(world: &World, address: &str, detector: &str) -> Vec<RecordedVerdict> {
    let filter = FindingFilter {
        mailbox: Some(mailbox_id(world, address).await),
        detector: Some(detector.to_owned()),
        ..FindingFilter::default()
    };
    world.service.control().findings(&world.tenant, &filter).await.unwrap()
}

async fn habits(world: &World, address: &str) -> Value {
    let id = mailbox_id(world, address).await;
    world.service.control().habits(&world.tenant, &id).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_mailbox_that_sends_one_link_to_many_is_told_of_and_a_newsletter_is_not() {
    let seed = tempfile::tempdir().unwrap();
    let now = OffsetDateTime::now_utc();
    let quiet = (0..40)
        .map(|n| (now - Duration::hours(36 + n * 20), "https://wiki.example.org/page".to_owned()));
    write_sent(seed.path(), "quiet", quiet);
    let news = (0..4).flat_map(|week| {
        let at = now - Duration::weeks(week + 1);
        (0..30).map(move |n| {
            (at + Duration::seconds(n), format!("https://letters.example.org/issue-{week}"))
        })
    });
    write_sent(seed.path(), "news", news);
    let seeds = vec![seed.path().to_owned()];
    let world = World::with(move |options| options.seed = seeds, TINY).await;
    let report = world.pass().await;
    assert!(report.is_whole() && report.new >= 160, "{report:?}");
    for address in [QUIET, NEWS] {
        assert_eq!(told(&world, address, "takeover").await, [], "nothing is new to us yet");
    }
    assert_eq!(habits(&world, QUIET).await["messages"], 40);
    assert_eq!(habits(&world, NEWS).await["messages"], 120);

    let user = User::new(&world).await;
    for n in 0..40 {
        let to = format!("stranger{n}@far{n}.example");
        send(&user, QUIET, &to, "https://files.example.net/shared/invoice").await;
        send(&user, NEWS, &format!("reader{n}@out.example"), "https://letters.example.org/new")
            .await;
    }
    let report = world.pass().await;
    assert!(report.is_whole(), "{report:?}");
    let found = told(&world, QUIET, "takeover").await;
    // The first twenty could not be told from a busy hour.
    assert!((15..=21).contains(&found.len()), "{}", found.len());
    assert!(found.iter().all(|one| one.verdict.verdict >= VerdictKind::Suspicious), "{found:?}");
    let signs: BTreeSet<&str> = found
        .iter()
        .flat_map(|one| &one.verdict.findings)
        .filter(|finding| finding.detector == "takeover")
        .map(|finding| finding.entity.as_str())
        .collect();
    assert!(signs.contains("burst") && signs.contains("campaign"), "{signs:?}");
    assert_eq!(told(&world, NEWS, "takeover").await, []);

    // Nothing is learned twice, whatever is read again.
    let before = habits(&world, QUIET).await;
    assert_eq!(before["messages"], 80);
    let idle = world.pass().await;
    assert_eq!((idle.new, idle.changed), (0, 0), "{idle:?}");
    assert_eq!(habits(&world, QUIET).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_hides_mail_is_told_of_and_so_is_what_is_sent_behind_it() {
    let world = World::with(|_| {}, TINY).await;
    let order = json!({"mailbox": "quiet", "messages": 3});
    world.admin.order("generate", order).await;
    let user = User::new(&world).await;
    let rules = format!("{QUIET}/mailFolders/inbox/messageRules");
    let make = async |rule: Value| user.send(Method::POST, &rules, Some(rule)).await.unwrap();
    make(json!({"displayName": "Lists", "sequence": 1, "isEnabled": true,
        "conditions": {"subjectContains": ["[list]"]}, "actions": {"markAsRead": true}}))
    .await;
    assert!(world.pass().await.is_whole());
    assert_eq!(told(&world, QUIET, "inbox-rule").await, []);

    make(json!({"displayName": ".", "sequence": 2, "isEnabled": true,
        "conditions": {"bodyOrSubjectContains": ["phishing", "hacked"]},
        "actions": {"delete": true, "stopProcessingRules": true}}))
    .await;
    assert!(world.pass().await.is_whole());
    let found = told(&world, QUIET, "inbox-rule").await;
    assert_eq!(found.len(), 1, "{found:?}");
    let verdict = &found[0].verdict;
    assert_eq!(verdict.verdict, VerdictKind::Suspicious);
    assert_eq!(verdict.findings[0].severity, Severity::High);
    assert!(verdict.findings.iter().any(|f| f.evidence.contains("deletes mail about 'phishing'")));

    send(&user, QUIET, "boss@out.example", "https://files.example.net/x").await;
    assert!(world.pass().await.is_whole());
    let found = told(&world, QUIET, "takeover").await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].verdict.findings.iter().any(|finding| finding.entity == "inbox-rule"));
}
