use mailkeep_model::Actor;
use serde_json::json;

use crate::world::{Key, World, around_now, is_missing, is_unlicensed};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_to_an_application_is_told_with_who_did_it() {
    let world = World::new().await;
    let (since, until) = around_now();
    let key = Key::new();
    let thief = world.application(&["Application.ReadWrite.All"], &key);
    let victim = world.auditor.object_id;
    let token = world.token(&thief, &key).await;
    let graph = &world.site.lab.description().graph;
    let order = json!({ "name": "mine", "issuer": "https://evil.example", "subject": "x", "audiences": ["y"] });
    let url = format!("{graph}/applications/{victim}/federatedIdentityCredentials");
    let request = world.site.http.post(url).bearer_auth(token).json(&order);
    crate::common::answered(request).await;
    let change = json!({ "add_certificate": key.certificate_pem, "enabled": false });
    let path = format!("applications/{}", world.auditor.client_id);
    // The auditor gets its token before it is disabled.
    let auditor = world.auditor();
    auditor.directory_changes(since, until).await.unwrap();
    world.site.order(&path, change).await;

    let found = auditor.directory_changes(since, until).await.unwrap();
    assert!(found.is_complete());
    let by_thief = |actor: &Actor| match actor {
        Actor::Application { principal, name } => {
            *principal == thief.service_principal_id.to_string() && name == "other"
        }
        _ => false,
    };
    let of_victim = |property: &str| {
        let mut changes = found.entries.iter();
        let has = |change: &&mailkeep_model::DirectoryChange| {
            change.targets.iter().any(|target| target.properties.iter().any(|p| p == property))
        };
        changes.find(has).unwrap_or_else(|| panic!("{property}: {found:?}"))
    };
    let federated = of_victim("FederatedIdentityCredentials");
    assert!(by_thief(&federated.actor), "{federated:?}");
    assert_eq!(federated.targets[0].id, victim.to_string());
    assert_eq!(federated.targets[0].kind, "Application");
    let credentials = of_victim("KeyDescription");
    assert!(credentials.activity.ends_with("secrets management"), "{credentials:?}");
    let is_admin =
        |actor: &Actor| matches!(actor, Actor::User { name, .. } if name.starts_with("admin@"));
    assert!(is_admin(&credentials.actor), "{credentials:?}");
    let disabled = of_victim("AccountEnabled");
    assert_eq!(disabled.targets[0].kind, "ServicePrincipal");
    let principal = world.auditor.service_principal_id.to_string();
    assert_eq!(disabled.targets[0].id, principal);
}

#[tokio::test(flavor = "multi_thread")]
async fn which_right_or_licence_is_missing_is_said() {
    let (since, until) = around_now();
    let world = World::without("AuditLog.Read.All").await;
    let error = world.auditor().directory_changes(since, until).await.unwrap_err();
    is_missing(&error, "AuditLog.Read.All,");
    let world = World::new().await;
    world.site.order("entra", json!({ "directory_audits": { "licensed": false } })).await;
    let error = world.auditor().directory_changes(since, until).await.unwrap_err();
    is_unlicensed(&error, "Entra ID P1");
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_many_pages_are_read_to_the_end() {
    let world = World::new().await;
    let (since, until) = around_now();
    let auditor = world.auditor();
    let other = world.application(&[], &Key::new());
    let path = format!("applications/{}", other.client_id);
    for round in 0..501 {
        let roles: &[&str] = if round % 2 == 0 { &["Mail.Read", "Mail.Send"] } else { &[] };
        world.site.order(&path, json!({ "roles": roles })).await;
    }
    let found = auditor.directory_changes(since, until).await.unwrap();
    let of_roles = found.entries.iter().filter(|one| one.activity.contains("role assignment"));
    assert_eq!(of_roles.count(), 1002);
    // Two pages of applications, one of policies.
    assert_eq!(world.requests("directoryaudits.list").await, 3);
}
