use mailkeep_identity::jwt::Thumbprint;
use mailkeep_model::Registration;
use serde_json::{Value, json};

use crate::{
    common::answered,
    world::{AUDITOR, Key, World, is_missing},
};

async fn only(world: &World, client_id: impl ToString) -> Registration {
    let ids = [client_id.to_string()];
    let mut found = world.auditor().registrations(&ids).await.unwrap();
    found.remove(0).1.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_is_told_whole_with_what_a_thief_added_on_both_sides() {
    let world = World::new().await;
    let before = only(&world, world.auditor.client_id).await;
    assert_eq!(before.client_id, world.auditor.client_id.to_string());
    assert_eq!(before.application.id, world.auditor.object_id.to_string());
    let principal = before.principal.as_ref().unwrap();
    assert_eq!(principal.id, world.auditor.service_principal_id.to_string());
    assert!(before.enabled && before.granted == AUDITOR, "{before:?}");
    let [key] = &before.application.keys[..] else { panic!("{before:?}") };
    assert_eq!(Some(key.key_id.clone()), world.auditor.key_id.map(|id| id.to_string()));
    assert_eq!(key.identifier.as_ref().unwrap().len(), 40);
    assert!(key.start < key.end && key.thumbprint.is_some());

    let key = Key::new();
    let thief = world.application(&["Application.ReadWrite.All"], &key);
    let token = world.token(&thief, &key).await;
    let graph = &world.site.lab.description().graph;
    let send = |method: &str, path: String, body: Value| {
        let url = format!("{graph}/{path}");
        let request = world.site.http.request(method.parse().unwrap(), url);
        answered(request.bearer_auth(&token).json(&body))
    };
    let (application, principal) = (world.auditor.object_id, world.auditor.service_principal_id);
    let order = json!({ "name": "mine", "issuer": "https://evil.example", "subject": "x", "audiences": ["y"] });
    send("POST", format!("applications/{application}/federatedIdentityCredentials"), order).await;
    for object in [format!("applications/{application}"), format!("servicePrincipals/{principal}")]
    {
        let order = json!({ "passwordCredential": { "displayName": "mine" } });
        send("POST", format!("{object}/addPassword"), order).await;
        let owner = format!("{graph}/directoryObjects/{}", thief.service_principal_id);
        send("POST", format!("{object}/owners/$ref"), json!({ "@odata.id": owner })).await;
    }
    let credential = json!({
        "type": "AsymmetricX509Cert", "usage": "Verify", "displayName": "CN=mine",
        "key": data_encoding::BASE64.encode(&key.certificate),
    });
    let change = json!({ "keyCredentials": [credential], "accountEnabled": false });
    send("PATCH", format!("servicePrincipals/{principal}"), change).await;

    let auditor = world.auditor();
    // A token that was got before the principal was disabled is what the auditor has at such a time.
    let path = format!("applications/{}", world.auditor.client_id);
    world.site.order(&path, json!({ "enabled": true })).await;
    auditor.access_policies().await.unwrap();
    world.site.order(&path, json!({ "enabled": false })).await;
    let ids = [world.auditor.client_id.to_string()];
    let after = auditor.registrations(&ids).await.unwrap().remove(0).1.unwrap();
    let principal = after.principal.unwrap();
    assert!(!after.enabled);
    assert_eq!(after.federated[0].issuer, "https://evil.example");
    for object in [&after.application, &principal] {
        assert_eq!(object.owners, [thief.service_principal_id.to_string()]);
        assert_eq!(object.passwords[0].name.as_deref(), Some("mine"));
        assert!(object.passwords[0].end.is_some());
    }
    assert_eq!(after.application.keys, before.application.keys);
    let thumbprint = Thumbprint::of_der(&key.certificate).hex();
    assert_eq!(principal.keys[0].thumbprint.as_ref(), Some(&thumbprint));
    assert_eq!(principal.keys[0].name.as_deref(), Some("CN=mine"));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_registrations_come_in_few_requests_and_those_that_are_not_there_are_told() {
    let world = World::new().await;
    let key = Key::new();
    let others: Vec<String> =
        (0..5).map(|_| world.application(&["Mail.Read"], &key).client_id.to_string()).collect();
    let nobody = uuid::Uuid::new_v4().to_string();
    let mut asked = others.clone();
    asked.extend([nobody.to_uppercase(), "x' or 'a' eq 'a".into(), others[0].to_uppercase()]);
    let auditor = world.auditor();
    let found = auditor.registrations(&asked).await.unwrap();
    assert_eq!(found.len(), 7, "each once");
    for (id, registration) in &found {
        assert_eq!(registration.is_some(), others.contains(id), "{id}");
        let granted = registration.as_ref().map(|one| one.granted.as_slice());
        assert!(granted.is_none_or(|granted| granted == ["Mail.Read"]), "{granted:?}");
    }
    // Twice twenty of the thirty-six questions; the name of the permission is looked up once.
    assert_eq!(world.requests("batch").await, 2);
    auditor.registrations(&asked[..1]).await.unwrap();
    assert_eq!(world.requests("serviceprincipal.show").await, 6 + 1 + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_owners_of_more_than_one_page_is_read_to_its_end() {
    let world = World::new().await;
    let key = Key::new();
    let owner = world.application(&[], &key).service_principal_id;
    let path = format!("applications/{}", world.auditor.client_id);
    world.site.order(&path, json!({ "add_owner": owner })).await;
    let description = world.site.lab.description();
    let next = format!("{}/applications/{}/owners", description.graph, world.auditor.object_id);
    let first = json!({ "value": [{ "id": "FIRST" }], "@odata.nextLink": next });
    let fault = json!([{ "operation": "owners.list", "answer": first, "times": 1 }]);
    world.site.order("faults", fault).await;
    let found = only(&world, world.auditor.client_id).await;
    let of_principal = found.principal.unwrap().owners;
    let owners = [found.application.owners, of_principal].concat();
    assert!(owners.contains(&"first".into()) && owners.contains(&owner.to_string()), "{owners:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_that_is_not_understood_is_no_absent_one() {
    let world = World::new().await;
    let told = json!({ "id": "x", "keyCredentials": [{ "keyId": null }] });
    let fault = json!([{ "operation": "application.show", "answer": told }]);
    world.site.order("faults", fault).await;
    let ids = [world.auditor.client_id.to_string()];
    let error = world.auditor().registrations(&ids).await.unwrap_err();
    assert!(error.to_string().contains("key id"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_missing_right_is_named() {
    let rights = ["AuditLog.Read.All", "Policy.Read.All"];
    let world = World::with_rights(&rights).await;
    let ids = [world.auditor.client_id.to_string()];
    let error = world.auditor().registrations(&ids).await.unwrap_err();
    is_missing(&error, "Application.Read.All");
}
