use std::{collections::BTreeSet, time::Duration};

use mailkeep_exchange::{Extras, GraphProvider};
use mailkeep_lab::Registered;
use mailkeep_model::{Breadth, Function, MailAccess};
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::world::{Key, World, around_now, is_missing, is_unlicensed};

const READER: &[&str] = &["Mail.Read", "User.Read.All"];
/// Until a record is complete; the lab takes our assertions for five minutes of difference.
const COMPLETE: Duration = Duration::from_secs(130);
/// Until it is in the feed, too.
const AVAILABLE: Duration = Duration::from_secs(600);

/// A tenant whose mail is read by us.
async fn world() -> (World, Registered, GraphProvider) {
    let world = World::new().await;
    world.without_limits().await;
    let reader = world.site.register(Function::Reader, READER).await;
    let provider = world.site.connect(Function::Reader, Extras::default());
    (world, reader, provider)
}

fn sorted(mut accesses: Vec<MailAccess>) -> Vec<MailAccess> {
    accesses.sort_by(|a, b| a.id.cmp(&b.id));
    accesses
}

#[tokio::test(flavor = "multi_thread")]
async fn the_query_and_the_feed_tell_the_same_of_what_was_read() {
    let (world, reader, provider) = world().await;
    let (auditor, feed) = (world.auditor(), world.feed());
    let (since, until) = around_now();
    // The feed tells nothing of before the subscription, and says so.
    let begin = OffsetDateTime::now_utc();
    let none = feed.mail_accesses(since, until).await.unwrap();
    assert!(none.entries.is_empty() && none.since >= begin, "{none:?}");
    let none = auditor.mail_accesses(since, until).await.unwrap();
    assert!(none.entries.is_empty() && none.since == since, "{none:?}");

    let mailbox = world.read_mail(&provider).await;
    world.later(AVAILABLE).await;
    let queried = auditor.mail_accesses(since, until).await.unwrap();
    let fed = feed.mail_accesses(since, until).await.unwrap();
    assert!(queried.is_complete() && fed.is_complete() && !queried.entries.is_empty());
    assert_eq!(sorted(queried.entries.clone()), sorted(fed.entries));

    let signed_in = auditor.sign_ins(since, until, &[reader.client_id.to_string()]).await.unwrap();
    for access in &queried.entries {
        assert_eq!(access.client_id, Some(reader.client_id.to_string()));
        assert_eq!(access.uti, signed_in.entries[0].uti);
        assert_eq!(access.mailbox, mailbox.address.as_str());
        assert_eq!((access.address, access.breadth), ("127.0.0.1".parse().ok(), Breadth::Messages));
        assert!(access.client_request_id.is_some() && !access.throttled);
        assert!(access.at >= since && access.at < until);
    }
    let folders: BTreeSet<&str> = queried
        .entries
        .iter()
        .flat_map(|access| &access.messages)
        .map(|message| message.folder.as_deref().unwrap())
        .collect();
    assert!(folders.contains("\\Inbox"), "{folders:?}");
    let named = |message: &mailkeep_model::AccessedMessage| {
        message.item.is_some() && message.message_id.is_some()
    };
    assert!(queried.entries.iter().flat_map(|access| &access.messages).all(named));

    // Of what a query about another time finds, nothing is ours.
    let before = auditor.mail_accesses(since - time::Duration::DAY, since).await.unwrap();
    assert_eq!(before.entries, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_runs_is_waited_for_and_many_pages_of_records_are_read_to_the_end() {
    let world = World::new().await;
    world.without_limits().await;
    let (since, until) = around_now();
    let key = Key::new();
    let thief = world.application(READER, &key);
    let token = world.token(&thief, &key).await;
    let description = world.site.lab.description();
    let address = &description.tenants[0].mailboxes[0];
    let url = format!("{}/users/{address}/messages?$top=1", description.graph);
    for number in 0..151 {
        // Each program is a context, and each context a record.
        let request = world.site.http.get(&url).bearer_auth(&token);
        crate::common::answered(request.header("user-agent", format!("thief/{number}"))).await;
    }
    let auditor = world.auditor();
    auditor.mail_accesses(since, until).await.unwrap();
    world.site.order("entra", json!({ "audit_query": 1 })).await;
    world.later(COMPLETE).await;
    let found = auditor.mail_accesses(since, until).await.unwrap();
    assert_eq!(found.entries.len(), 151);
    assert!(found.entries.iter().all(|one| one.client_id == Some(thief.client_id.to_string())));
    assert!(world.requests("auditquery.show").await >= 3);
    assert_eq!(world.requests("auditquery.records").await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_that_throttles_or_fails_loses_nothing() {
    let (world, _, provider) = world().await;
    let (since, until) = around_now();
    let feed = world.feed();
    feed.mail_accesses(since, until).await.unwrap();
    world.read_mail(&provider).await;
    world.later(AVAILABLE).await;
    let calm = feed.mail_accesses(since, until).await.unwrap();
    let faults = json!([
        { "operation": "activityfeed", "status": 429, "code": "AF429", "retry_after": 1, "times": 1 },
        { "operation": "activityfeed", "status": 500, "code": "AF50000", "pass": 1, "times": 2 },
    ]);
    world.site.order("faults", faults).await;
    let stormy = feed.mail_accesses(since, until).await.unwrap();
    assert!(!calm.entries.is_empty() && stormy.is_complete());
    assert_eq!(sorted(stormy.entries), sorted(calm.entries));
    let usage = feed.usage();
    assert_eq!((usage.throttled, usage.retried), (1, 2), "{usage:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_that_falls_silent_says_so() {
    let (world, _, provider) = world().await;
    let (since, until) = around_now();
    let auditor = world.auditor();
    auditor.mail_accesses(since, until).await.unwrap();
    world.site.order("entra", json!({ "mail_items_accessed": { "most_records": 0 } })).await;
    world.read_mail(&provider).await;
    world.later(COMPLETE).await;
    let found = auditor.mail_accesses(since, until).await.unwrap();
    assert!(found.entries.iter().any(|access| access.throttled), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn which_right_or_licence_is_missing_is_said() {
    let (since, until) = around_now();
    let world = World::without("AuditLogsQuery-Exchange.Read.All").await;
    let error = world.auditor().mail_accesses(since, until).await.unwrap_err();
    is_missing(&error, "AuditLogsQuery-Exchange.Read.All");
    let world = World::without("ActivityFeed.Read").await;
    let error = world.feed().mail_accesses(since, until).await.unwrap_err();
    is_missing(&error, "ActivityFeed.Read of 'Office 365 Management APIs'");
    // Another token would have helped as little: one was asked for.
    assert_eq!(world.requests("token").await, 1);

    let world = World::new().await;
    world.site.order("entra", json!({ "mail_items_accessed": { "licensed": false } })).await;
    let error = world.auditor().mail_accesses(since, until).await.unwrap_err();
    is_unlicensed(&error, "Purview Audit");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_that_the_provider_gives_up_is_said_to_be_and_may_be_repeated() {
    let world = World::new().await;
    let auditor = world.auditor();
    let (since, until) = around_now();
    for (status, said) in [("failed", "failed"), ("cancelled", "cancelled")] {
        let told = json!({ "id": uuid::Uuid::new_v4(), "status": status });
        let fault = json!([{ "operation": "auditquery.show", "answer": told }]);
        world.site.order("faults", fault).await;
        let error = auditor.mail_accesses(since, until).await.unwrap_err();
        assert!(error.is_transient() && error.to_string().contains(said), "{error}");
        assert!(error.to_string().contains("acme"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_damaged_is_counted_and_hides_no_other() {
    let (world, _, provider) = world().await;
    let (since, until) = around_now();
    let auditor = world.auditor();
    auditor.mail_accesses(since, until).await.unwrap();
    world.read_mail(&provider).await;
    world.later(COMPLETE).await;
    let whole = auditor.mail_accesses(since, until).await.unwrap();
    let record = |id: &str, data: Value| json!({ "id": id, "operation": "MailItemsAccessed", "auditData": data });
    let good = json!({
        "Id": "good", "CreationTime": "2026-11-27T08:00:00", "Operation": "MailItemsAccessed",
        "MailboxOwnerUPN": "ann@x.example",
    });
    let told = json!({ "value": [record("bad", json!({})), record("good", good), 5] });
    let fault = json!([{ "operation": "auditquery.records", "answer": told }]);
    world.site.order("faults", fault).await;
    let found = auditor.mail_accesses(since, until).await.unwrap();
    assert!(whole.is_complete() && !found.is_complete());
    assert_eq!((found.entries.len(), found.damaged), (1, 2));
}
