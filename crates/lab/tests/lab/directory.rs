//! Applications and service principals through Graph.

use data_encoding::BASE64;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::{Application, Graph, Key, READ, World};

const ALL: &[&str] = &["Application.ReadWrite.All", "AuditLog.Read.All", "Directory.Read.All"];
const OWNED: &[&str] = &["Application.ReadWrite.OwnedBy"];

impl World {
    /// A client of Graph with the token of an application.
    pub(crate) async fn as_application(&self, application: &Application) -> Graph {
        Graph {
            http: self.http.clone(),
            base: self.lab.description().graph.clone(),
            token: self.token(application).await,
            client_id: application.registered.client_id,
        }
    }

    /// The same when the lab's clock is ahead.
    pub(crate) async fn as_application_at(&self, application: &Application, ahead: i64) -> Graph {
        let mut claims = application.claims();
        for name in ["nbf", "iat", "exp"] {
            claims[name] = json!(claims[name].as_i64().unwrap() + ahead);
        }
        let form = application.form_with(application.sign(&application.header(), &claims));
        let (_, body) = self.ask_token(application, &form).await;
        Graph {
            http: self.http.clone(),
            base: self.lab.description().graph.clone(),
            token: body["access_token"].as_str().unwrap().to_owned(),
            client_id: application.registered.client_id,
        }
    }
}

fn base64(key: &Key) -> String {
    BASE64.encode(&key.der)
}

fn now() -> i64 {
    time::OffsetDateTime::now_utc().unix_timestamp()
}

/// A proof of possession, as the documentation describes it.
fn proof_claims(object: Uuid) -> Value {
    json!({
        "aud": "00000002-0000-0000-c000-000000000000",
        "iss": object,
        "nbf": now(),
        "exp": now() + 600,
    })
}

fn proof(key: &Key, claims: &Value) -> String {
    let key = EncodingKey::from_rsa_pem(key.pem.as_bytes()).unwrap();
    jsonwebtoken::encode(&Header::new(Algorithm::RS256), claims, &key).unwrap()
}

fn new_key(key: &Key, proof: &str) -> Value {
    json!({
        "keyCredential": { "type": "AsymmetricX509Cert", "usage": "Verify", "key": base64(key) },
        "passwordCredential": null,
        "proof": proof,
    })
}

async fn refused(graph: &Graph, method: &str, path: &str, body: Value) -> (u16, String) {
    let (status, answer) = graph.send(method, path, body).await;
    (status.as_u16(), answer["error"]["code"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn an_application_rolls_its_own_keys_without_any_right() {
    let world = World::new().await;
    let app = world.application(&[]);
    let graph = world.as_application(&app).await;
    let object = app.registered.object_id;
    let path = format!("applications/{object}");
    let next = Key::new(|_| {});
    let order = new_key(&next, &proof(&app.key, &proof_claims(object)));
    let (status, added) = graph.send("POST", &format!("{path}/addKey"), order).await;
    assert_eq!(status, StatusCode::OK, "{added}");
    assert_eq!((&added["type"], &added["key"]), (&json!("AsymmetricX509Cert"), &Value::Null));
    assert_eq!(added["customKeyIdentifier"], json!(next.thumbprint()));

    // Both are good, then the old one is taken away with a proof of the new one.
    let renewed = Application {
        registered: app.registered.clone(),
        key: next,
        endpoint: app.endpoint.clone(),
        graph: app.graph.clone(),
    };
    world.token(&app).await;
    world.token(&renewed).await;
    let order = json!({
        "keyId": app.registered.key_id,
        "proof": proof(&renewed.key, &proof_claims(object)),
    });
    let (status, _) = graph.send("POST", &format!("{path}/removeKey"), order).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(world.ask_token(&app, &app.form()).await.1["error_codes"], json!([700_027]));
    world.token(&renewed).await;

    // More than its own keys it cannot touch, not even look at.
    assert_eq!(refused(&graph, "GET", &path, Value::Null).await.0, 403);
    let order = json!({ "passwordCredential": {} });
    let denied = (403, "Authorization_RequestDenied".to_owned());
    assert_eq!(refused(&graph, "POST", &format!("{path}/addPassword"), order).await, denied);
    let other = world.application(&[]);
    let other_object = other.registered.object_id;
    let order = new_key(Key::shared(), &proof(&other.key, &proof_claims(other_object)));
    let there = format!("applications/{other_object}/addKey");
    assert_eq!(refused(&graph, "POST", &there, order).await, denied);
}

#[tokio::test]
async fn a_proof_that_is_not_in_order_is_refused() {
    let world = World::new().await;
    let app = world.application(&[]);
    let graph = world.as_application(&app).await;
    let object = app.registered.object_id;
    let path = format!("applications/{object}/addKey");
    let with = |name: &str, value: Value| {
        let mut claims = proof_claims(object);
        claims[name] = value;
        claims
    };
    let wrong = (401, "Authentication_MissingOrMalformed".to_owned());
    for claims in [
        with("aud", json!("00000003-0000-0000-c000-000000000000")),
        with("aud", json!(app.endpoint)),
        with("iss", json!(app.registered.client_id)),
        with("iss", json!(app.registered.service_principal_id)),
        with("exp", json!(now() + 700)),
        with("exp", json!(now() - 400)),
        with("exp", Value::Null),
        with("nbf", json!(now() + 400)),
    ] {
        let order = new_key(Key::shared(), &proof(&app.key, &claims));
        assert_eq!(refused(&graph, "POST", &path, order).await, wrong, "{claims}");
    }
    let good = proof(&app.key, &proof_claims(object));
    let mut parts: Vec<String> = good.split('.').map(str::to_owned).collect();
    parts[1].push('=');
    let stranger = proof(Key::shared(), &proof_claims(object));
    for bad in ["", "a.b.c", &parts.join("."), &stranger, &good[..good.len() - 8]] {
        let order = new_key(Key::shared(), bad);
        assert_eq!(refused(&graph, "POST", &path, order).await, wrong, "{bad}");
    }
    // Of an expired key there is no proof any more.
    let expired = world.application_of(&world.tenant().to_string(), &[], |certificate| {
        certificate.not_after = time::OffsetDateTime::now_utc() + time::Duration::minutes(10);
    });
    let graph_of_expired = world.as_application(&expired).await;
    world.admin("POST", "clock", json!({ "offset_seconds": 660 })).await;
    let object = expired.registered.object_id;
    let mut claims = proof_claims(object);
    claims["nbf"] = json!(now() + 660);
    claims["exp"] = json!(now() + 1200);
    let order = new_key(Key::shared(), &proof(&expired.key, &claims));
    let path_of_expired = format!("applications/{object}/addKey");
    assert_eq!(refused(&graph_of_expired, "POST", &path_of_expired, order).await, wrong);
    world.admin("POST", "clock", json!({ "offset_seconds": 0 })).await;

    let mut order = new_key(Key::shared(), &good);
    order["keyCredential"]["usage"] = json!("Sign");
    assert_eq!(refused(&graph, "POST", &path, order).await.0, 400);
    let order = new_key(Key::shared(), &good);
    assert_eq!(graph.send("POST", &path, order).await.0, StatusCode::OK, "it was only the proof");
}

#[tokio::test]
async fn a_key_on_the_service_principal_signs_as_well_and_is_rolled_there() {
    let world = World::new().await;
    let app = world.application(READ);
    let admin = world.graph(ALL).await;
    let principal = app.registered.service_principal_id;
    let path = format!("servicePrincipals/{principal}");
    let key = Key::new(|_| {});
    let order = json!({ "keyCredentials": [
        { "type": "AsymmetricX509Cert", "usage": "Verify", "key": base64(&key), "displayName": "hidden" },
    ] });
    let (status, answer) = admin.send("PATCH", &path, order).await;
    assert_eq!(status, StatusCode::NO_CONTENT, "{answer}");
    let hidden = Application {
        registered: app.registered.clone(),
        key,
        endpoint: app.endpoint.clone(),
        graph: app.graph.clone(),
    };
    let graph = world.as_application(&hidden).await;
    let keys = admin.get(&format!("{path}?$select=keyCredentials")).await;
    assert_eq!(keys["keyCredentials"][0]["displayName"], json!("hidden"));

    // The proof names this object and is of one of its keys.
    let order =
        |key: &Key, object: Uuid| new_key(Key::shared(), &proof(key, &proof_claims(object)));
    let (status, _) =
        graph.send("POST", &format!("{path}/addKey"), order(&app.key, principal)).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "that key is the application's");
    let of_application = order(&hidden.key, app.registered.object_id);
    let (status, _) = graph.send("POST", &format!("{path}/addKey"), of_application).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let (status, _) =
        graph.send("POST", &format!("{path}/addKey"), order(&hidden.key, principal)).await;
    assert_eq!(status, StatusCode::OK);

    // By the client id it is the same object.
    let by_client = format!("servicePrincipals(appId='{}')?$select=id", app.registered.client_id);
    assert_eq!(admin.get(&by_client).await["id"], json!(principal));
}

#[tokio::test]
async fn certificates_are_shown_to_who_asks_one_object_for_them() {
    let world = World::new().await;
    let app = world.application(READ);
    let reader = world.graph(&["Application.Read.All"]).await;
    let path = format!("applications/{}", app.registered.object_id);
    let keys = reader.get(&format!("{path}?$select=keyCredentials")).await;
    assert_eq!(keys["keyCredentials"][0]["key"], json!(base64(&app.key)));
    assert_eq!(keys.as_object().unwrap().len(), 2, "the context and what was selected: {keys}");
    for path in [
        path.clone(),
        format!("{path}?$select=displayName"),
        format!(
            "applications?$filter=appId eq '{}'&$select=keyCredentials",
            app.registered.client_id
        ),
        "applications".to_owned(),
    ] {
        let answer = reader.get(&path).await;
        let one = answer.get("value").map_or(&answer, |all| &all[0]);
        assert!(one["keyCredentials"][0]["key"].is_null(), "{path}: {one}");
    }
    let (status, code) = refused(&reader, "PATCH", &path, json!({ "displayName": "mine" })).await;
    assert_eq!((status, code.as_str()), (403, "Authorization_RequestDenied"));
    let nobody = format!("applications/{}", Uuid::new_v4());
    let (status, code) = refused(&reader, "GET", &nobody, Value::Null).await;
    assert_eq!((status, code.as_str()), (404, "Request_ResourceNotFound"));
    let blind = world.graph(READ).await;
    assert_eq!(refused(&blind, "GET", "applications", Value::Null).await.0, 403);
}

#[tokio::test]
async fn a_patch_replaces_all_keys_and_keeps_those_that_it_names() {
    let world = World::new().await;
    let app = world.application(READ);
    let admin = world.graph(ALL).await;
    let path = format!("applications/{}", app.registered.object_id);
    let key = Key::new(|_| {});
    let new = json!({ "type": "AsymmetricX509Cert", "usage": "Verify", "key": base64(&key) });
    let old = json!({ "keyId": app.registered.key_id });
    let both = json!({ "keyCredentials": [old, new] });
    assert_eq!(admin.send("PATCH", &path, both).await.0, StatusCode::NO_CONTENT);
    let shown = admin.get(&path).await["keyCredentials"].clone();
    let [first, second] = shown.as_array().unwrap().as_slice() else { panic!("{shown}") };
    assert_eq!(first["keyId"], json!(app.registered.key_id));
    assert_eq!(second["customKeyIdentifier"], json!(key.thumbprint()));
    world.token(&app).await;

    // The old one under another key, no key at all, a time that has passed: nothing changes.
    let mut other = new.clone();
    other["keyId"] = json!(app.registered.key_id);
    let mut past = new.clone();
    past["endDateTime"] = json!("2020-01-01T00:00:00Z");
    for bad in [other, json!({ "type": "AsymmetricX509Cert", "usage": "Verify" }), past] {
        let order = json!({ "keyCredentials": [bad], "displayName": "x" });
        assert_eq!(refused(&admin, "PATCH", &path, order).await.0, 400);
    }
    assert_eq!(admin.get(&path).await["displayName"], json!("test"));
    // Whoever sends the new one alone, takes the old one away.
    let alone = json!({ "keyCredentials": [{ "keyId": second["keyId"] }] });
    assert_eq!(admin.send("PATCH", &path, alone).await.0, StatusCode::NO_CONTENT);
    assert_eq!(world.ask_token(&app, &app.form()).await.1["error_codes"], json!([700_027]));
}

#[tokio::test]
async fn who_owns_an_application_manages_it_and_no_other() {
    let world = World::new().await;
    let steward = world.application(OWNED);
    let graph = world.as_application(&steward).await;
    let (status, made) =
        graph.send("POST", "applications", json!({ "displayName": "drill" })).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let path = format!("applications/{}", made["id"].as_str().unwrap());
    let order = json!({ "appId": made["appId"] });
    let (status, principal) = graph.send("POST", "servicePrincipals", order.clone()).await;
    assert_eq!(status, StatusCode::CREATED, "{principal}");
    assert_eq!(refused(&graph, "POST", "servicePrincipals", order).await.0, 409);
    let owners = graph.get(&format!("{path}/owners")).await;
    assert_eq!(owners["value"][0]["id"], json!(steward.registered.service_principal_id));
    assert_eq!(owners["value"][0]["@odata.type"], json!("#microsoft.graph.servicePrincipal"));

    // A stranger's is not its own, until its owner says so.
    let other = world.application(READ);
    let there = format!("servicePrincipals/{}", other.registered.service_principal_id);
    let disable = json!({ "accountEnabled": false });
    assert_eq!(refused(&graph, "PATCH", &there, disable.clone()).await.0, 403);
    let admin = world.graph(ALL).await;
    let me = format!("{}/directoryObjects/{}", admin.base, steward.registered.service_principal_id);
    let order = json!({ "@odata.id": me });
    let (status, _) = admin.send("POST", &format!("{there}/owners/$ref"), order.clone()).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(refused(&admin, "POST", &format!("{there}/owners/$ref"), order).await.0, 400);
    assert_eq!(graph.send("PATCH", &there, disable).await.0, StatusCode::NO_CONTENT);
    let (_, body) = world.ask_token(&other, &other.form()).await;
    assert_eq!(
        (&body["error"], &body["error_codes"]),
        (&json!("unauthorized_client"), &json!([70_001]))
    );
    let gone = format!("{there}/owners/{}/$ref", steward.registered.service_principal_id);
    assert_eq!(admin.send("DELETE", &gone, Value::Null).await.0, StatusCode::NO_CONTENT);
    assert_eq!(refused(&graph, "GET", &there, Value::Null).await.0, 403);

    // An application takes its service principal along.
    assert_eq!(graph.send("DELETE", &path, Value::Null).await.0, StatusCode::NO_CONTENT);
    let there = format!("servicePrincipals/{}", principal["id"].as_str().unwrap());
    assert_eq!(refused(&admin, "GET", &there, Value::Null).await.0, 404);
    // Without one there is no token.
    let there = format!("servicePrincipals/{}", other.registered.service_principal_id);
    assert_eq!(admin.send("DELETE", &there, Value::Null).await.0, StatusCode::NO_CONTENT);
    let (_, body) = world.ask_token(&other, &other.form()).await;
    assert_eq!(body["error_codes"], json!([7_000_229]));
}

#[tokio::test]
async fn rights_are_given_and_taken_as_assignments() {
    let world = World::new().await;
    let app = world.application(&[]);
    let admin = world.graph(&["AppRoleAssignment.ReadWrite.All", "Application.Read.All"]).await;
    let graph_principal =
        admin.get("servicePrincipals(appId='00000003-0000-0000-c000-000000000000')").await;
    let role = |name: &str| {
        let roles = graph_principal["appRoles"].as_array().unwrap();
        roles.iter().find(|role| role["value"] == *name).unwrap()["id"].clone()
    };
    // As Microsoft's reference of permissions has it.
    assert_eq!(role("Mail.Read"), json!("810c84a8-4a9e-49e6-bf7d-12d183f40d01"));
    let path =
        format!("servicePrincipals/{}/appRoleAssignments", app.registered.service_principal_id);
    let order = json!({
        "principalId": app.registered.service_principal_id,
        "resourceId": graph_principal["id"],
        "appRoleId": role("Mail.Read"),
    });
    let (status, made) = admin.send("POST", &path, order.clone()).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    assert_eq!(refused(&admin, "POST", &path, order).await.0, 400);
    let graph = world.as_application(&app).await;
    let inbox = format!("users/{}/mailFolders/inbox", world.mailbox(0));
    graph.get(&inbox).await;
    assert_eq!(admin.get(&path).await["value"][0]["id"], made["id"]);
    let one = format!("{path}/{}", made["id"].as_str().unwrap());
    assert_eq!(admin.send("DELETE", &one, Value::Null).await.0, StatusCode::NO_CONTENT);
    // The token says what was true when it was given out; the next one does not.
    graph.get(&inbox).await;
    let graph = world.as_application(&app).await;
    assert_eq!(
        refused(&graph, "GET", &inbox, Value::Null).await,
        (403, "ErrorAccessDenied".into())
    );
}

#[tokio::test]
async fn lists_are_paged_filtered_and_counted() {
    let world = World::new().await;
    let admin = world.graph(ALL).await;
    for number in 0..5 {
        let order = json!({ "displayName": format!("batch {number}") });
        assert_eq!(admin.send("POST", "applications", order).await.0, StatusCode::CREATED);
    }
    let mut link = "applications?$filter=startswith(displayName,'batch')&$top=2&$count=true&$select=id,displayName".to_owned();
    let mut seen = Vec::new();
    while !link.is_empty() {
        let page = admin.get(&link).await;
        assert_eq!(page["@odata.count"], json!(5));
        seen.extend(page["value"].as_array().unwrap().iter().map(|a| a["displayName"].clone()));
        link = page["@odata.nextLink"].as_str().unwrap_or_default().to_owned();
    }
    assert_eq!(seen.len(), 5);
    for bad in
        ["applications?$filter=notes eq 'x'", "applications?$select=colour", "applications?$top=0"]
    {
        assert_eq!(refused(&admin, "GET", bad, Value::Null).await.0, 400, "{bad}");
    }
}
