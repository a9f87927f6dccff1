use std::time::Duration;

use mailkeep_identity::ReceiptEvent;
use mailkeep_model::{CredentialKind, Function};
use serde_json::{Value, json};

use crate::world::{World, around_now, is_missing, is_unlicensed};

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_of_ours_joins_with_the_receipt_of_its_token() {
    let world = World::new().await;
    let auditor = world.auditor();
    let (since, until) = around_now();
    let found = auditor.sign_ins(since, until, &[]).await.unwrap();
    assert!(found.is_complete() && found.since == since);
    let [sign_in] = &found.entries[..] else { panic!("{found:?}") };
    let receipts = world.site.receipts();
    let [ReceiptEvent::Intended { client_request_id, .. }, ReceiptEvent::Received { uti, .. }] =
        &receipts[..]
    else {
        panic!("{receipts:?}")
    };
    assert!(uti.is_some() && sign_in.uti == *uti);
    assert_eq!(sign_in.correlation_id, Some(*client_request_id));
    assert_eq!(sign_in.client_id, world.auditor.client_id.to_string());
    assert_eq!(sign_in.key_id, world.auditor.key_id.map(|id| id.to_string()));
    assert_eq!((sign_in.credential, sign_in.error), (CredentialKind::Certificate, 0));
    assert_eq!(sign_in.address, "127.0.0.1".parse().ok());
    let keys = world.site.look("applications").await;
    assert_eq!(json!(sign_in.thumbprint), keys[0]["keys"][0]["thumbprint"]);
    assert_eq!(sign_in.resource.as_deref(), Some("00000003-0000-0000-c000-000000000000"));
}

#[tokio::test(flavor = "multi_thread")]
async fn which_right_or_licence_is_missing_is_said() {
    let (since, until) = around_now();
    for right in ["AuditLog.Read.All", "Directory.Read.All"] {
        let world = World::without(right).await;
        let error = world.auditor().sign_ins(since, until, &[]).await.unwrap_err();
        is_missing(&error, &format!("{right}, with"));
    }
    let world = World::with_rights(&["Policy.Read.All"]).await;
    let error = world.auditor().sign_ins(since, until, &[]).await.unwrap_err();
    is_missing(&error, "AuditLog.Read.All and Directory.Read.All");

    let world = World::new().await;
    world.site.order("entra", json!({ "sign_ins": { "licensed": false } })).await;
    let error = world.auditor().sign_ins(since, until, &[]).await.unwrap_err();
    is_unlicensed(&error, "Entra ID P1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_that_comes_late_is_found_when_it_is_asked_for_again() {
    let world = World::new().await;
    world.site.order("entra", json!({ "sign_ins": { "delay": 200 } })).await;
    let auditor = world.auditor();
    let (since, until) = around_now();
    assert_eq!(auditor.sign_ins(since, until, &[]).await.unwrap().entries, []);
    world.later(Duration::from_secs(201)).await;
    assert_eq!(auditor.sign_ins(since, until, &[]).await.unwrap().entries.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_of_many_pages_is_read_to_its_end_with_as_few_requests_as_it_takes() {
    let world = World::new().await;
    // Those that are refused by a rule are counted there, too.
    world.without_limits().await;
    let auditor = world.auditor();
    let (since, until) = around_now();
    let ours = vec![world.auditor.client_id.to_string().to_uppercase()];
    assert_eq!(auditor.sign_ins(since, until, &ours).await.unwrap().entries.len(), 1);
    assert_eq!(world.requests("signins.list").await, 1);

    // Somebody tries what he has no key for.
    let stranger = uuid::Uuid::new_v4().to_string();
    for _ in 0..1001 {
        world.ask_token(&stranger, "x").send().await.unwrap();
    }
    let fault = json!([{"operation": "signins.list", "status": 429, "retry_after": 1, "times": 1}]);
    world.site.order("faults", fault).await;
    let all = auditor.sign_ins(since, until, &[]).await.unwrap();
    assert_eq!(all.entries.len(), 1002);
    assert!(all.entries.iter().filter(|one| one.client_id == stranger).all(|one| {
        one.error == 700_016 && one.uti.is_none() && one.credential == CredentialKind::Unknown
    }));
    assert_eq!((world.requests("signins.list").await, auditor.usage().throttled), (4, 1));

    // At the rate of the newest thousand there would be many more pages in half an hour.
    let mine = auditor.sign_ins(since, until, &ours).await.unwrap();
    assert_eq!(mine.entries.len(), 1);
    assert_eq!(world.requests("signins.list").await, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_entry_is_counted_and_hides_no_other() {
    let world = World::new().await;
    let auditor = world.auditor();
    let (since, until) = around_now();
    let mut told = json!([]);
    for (id, at) in [("1", json!("2026-11-27T08:00:00Z")), ("2", Value::Null), ("1", json!("x"))] {
        told.as_array_mut().unwrap().push(json!({
            "id": id, "createdDateTime": at, "appId": "a", "status": { "errorCode": 0 },
        }));
    }
    let fault = json!([{"operation": "signins.list", "answer": { "value": told }}]);
    world.site.order("faults", fault).await;
    let found = auditor.sign_ins(since, until, &[]).await.unwrap();
    assert_eq!((found.entries.len(), found.damaged), (1, 2));
    assert!(!found.is_complete());
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_read_with_no_key_but_the_auditors() {
    let world = World::new().await;
    let config = world.site.config(Function::Reader);
    let refused = mailkeep_exchange::GraphAuditor::new(config, world.site.access.clone());
    let text = refused.err().unwrap().to_string();
    assert!(text.contains("auditor") && text.contains("reader"), "{text}");
    assert_eq!(world.requests("token").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_is_asked_for_than_the_provider_takes_in() {
    let world = World::new().await;
    let auditor = world.auditor();
    let (since, until) = around_now();
    for _ in 0..4 {
        auditor.sign_ins(since, until, &[]).await.unwrap();
    }
    auditor.directory_changes(since, until).await.unwrap();
    let usage = auditor.usage();
    assert_eq!((usage.throttled, usage.retried), (0, 0), "{usage:?}");
    assert_eq!(world.requests("signins.list").await, 4);
}
