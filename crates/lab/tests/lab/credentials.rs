//! What the token endpoint takes for a credential, besides certificates.

use data_encoding::BASE64;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::{Application, Graph, Key, READ, World, read};

const ADMIN: &[&str] = &["Application.ReadWrite.All"];

fn with_secret(app: &Application, secret: &str) -> Vec<(&'static str, String)> {
    let mut form = app.form();
    form.truncate(3);
    form.push(("client_secret", secret.to_owned()));
    form
}

async fn refusal(world: &World, app: &Application, form: &[(&str, String)]) -> (u16, String, u64) {
    let (status, body) = world.ask_token(app, form).await;
    let code = body["error_codes"][0].as_u64().unwrap_or_default();
    (status.as_u16(), body["error"].as_str().unwrap_or_default().to_owned(), code)
}

async fn new_secret(admin: &Graph, path: &str, body: Value) -> Value {
    let (status, made) = admin.send("POST", &format!("{path}/addPassword"), body).await;
    assert_eq!(status, StatusCode::OK, "{made}");
    made
}

#[tokio::test]
async fn a_secret_of_either_object_is_taken_until_it_expires_or_is_removed() {
    let world = World::new().await;
    let app = world.application(READ);
    let admin = world.graph(ADMIN).await;
    for path in [
        format!("applications/{}", app.registered.object_id),
        format!("servicePrincipals/{}", app.registered.service_principal_id),
    ] {
        let order = json!({ "passwordCredential": { "displayName": "legacy" } });
        let made = new_secret(&admin, &path, order).await;
        let secret = made["secretText"].as_str().unwrap();
        assert!(secret.starts_with(made["hint"].as_str().unwrap()));
        let shown = admin.get(&path).await["passwordCredentials"][0].clone();
        assert_eq!((&shown["keyId"], &shown["secretText"]), (&made["keyId"], &Value::Null));

        let (status, body) = world.ask_token(&app, &with_secret(&app, secret)).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        // And in the header, form-encoded.
        let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        let pair = BASE64.encode(format!("{}:{encoded}", app.registered.client_id).as_bytes());
        let request = world
            .http
            .post(&app.endpoint)
            .header("authorization", format!("Basic {pair}"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(
                "grant_type=client_credentials&scope=https%3A%2F%2Fgraph.microsoft.com%2F.default",
            );
        assert_eq!(read(request.send().await.unwrap()).await.0, StatusCode::OK);
        let id_for_value = with_secret(&app, made["keyId"].as_str().unwrap());
        let wrong = (401, "invalid_client".to_owned(), 7_000_215);
        assert_eq!(refusal(&world, &app, &id_for_value).await, wrong);

        let order = json!({ "keyId": made["keyId"] });
        let remove = format!("{path}/removePassword");
        assert_eq!(admin.send("POST", &remove, order.clone()).await.0, StatusCode::NO_CONTENT);
        assert_eq!(admin.send("POST", &remove, order).await.0, StatusCode::BAD_REQUEST);
        assert_eq!(refusal(&world, &app, &with_secret(&app, secret)).await, wrong);
    }
    let path = format!("applications/{}", app.registered.object_id);
    let end = time::OffsetDateTime::now_utc() + time::Duration::hours(1);
    let end = end.format(&time::format_description::well_known::Rfc3339).unwrap();
    let order = json!({ "passwordCredential": { "endDateTime": end } });
    let made = new_secret(&admin, &path, order).await;
    world.admin("POST", "clock", json!({ "offset_seconds": 3700 })).await;
    let form = with_secret(&app, made["secretText"].as_str().unwrap());
    let expired = (401, "invalid_client".to_owned(), 7_000_222);
    assert_eq!(refusal(&world, &app, &form).await, expired);
    world.admin("POST", "clock", json!({ "offset_seconds": 0 })).await;
    // Secrets are made by the directory, never brought along.
    let order = json!({ "passwordCredentials": [{ "secretText": "chosen" }] });
    assert_eq!(admin.send("PATCH", &path, order).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn the_log_tells_which_kind_of_credential_was_used() {
    let world = World::new().await;
    let app = world.application(READ);
    let admin = world.graph(ADMIN).await;
    let path = format!("applications/{}", app.registered.object_id);
    let made = new_secret(&admin, &path, json!({})).await;
    world.ask_token(&app, &with_secret(&app, made["secretText"].as_str().unwrap())).await;
    let log = world.admin("GET", "logs?kind=signin&limit=1", Value::Null).await;
    assert_eq!(log[0]["clientCredentialType"], json!("clientSecret"));
    assert_eq!(log[0]["servicePrincipalCredentialKeyId"], made["keyId"]);
    assert_eq!(log[0]["servicePrincipalCredentialThumbprint"], Value::Null);
}

/// Another issuer, with a key that the lab knows.
struct Issuer {
    address: &'static str,
    key: Key,
}

impl Issuer {
    async fn new(world: &World) -> Self {
        let issuer = Self { address: "https://token.actions.example", key: Key::new(|_| {}) };
        let order = json!({
            "issuer": issuer.address,
            "kid": "one",
            "certificate": issuer.key.certificate,
        });
        world.admin("POST", "issuers", order).await;
        issuer
    }

    fn claims(&self) -> Value {
        let now = time::OffsetDateTime::now_utc().unix_timestamp();
        json!({
            "iss": self.address,
            "sub": "repo:mail/keep:ref:main",
            "aud": "api://AzureADTokenExchange",
            "iat": now,
            "exp": now + 300,
        })
    }

    fn sign(&self, claims: &Value, kid: &str, key: &Key) -> String {
        let header = Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::RS256) };
        let key = EncodingKey::from_rsa_pem(key.pem.as_bytes()).unwrap();
        jsonwebtoken::encode(&header, claims, &key).unwrap()
    }
}

#[tokio::test]
async fn an_application_takes_the_assertions_of_an_issuer_that_it_trusts() {
    let world = World::new().await;
    let issuer = Issuer::new(&world).await;
    let app = world.application(READ);
    let admin = world.graph(ADMIN).await;
    let form = |claims: &Value| app.form_with(issuer.sign(claims, "one", &issuer.key));
    let unknown = (401, "invalid_client".to_owned(), 700_211);
    assert_eq!(refusal(&world, &app, &form(&issuer.claims())).await, unknown);

    let path = format!("applications/{}/federatedIdentityCredentials", app.registered.object_id);
    let credential = json!({
        "name": "actions",
        "issuer": issuer.address,
        "subject": "repo:mail/keep:ref:main",
        "audiences": ["api://AzureADTokenExchange"],
    });
    let (status, made) = admin.send("POST", &path, credential.clone()).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    assert_eq!(admin.send("POST", &path, credential.clone()).await.0, StatusCode::CONFLICT);
    for (name, value) in [
        ("name", json!("a b")),
        ("issuer", json!("http://x.example")),
        ("audiences", json!([])),
        ("audiences", json!(["a", "b"])),
        ("subject", Value::Null),
    ] {
        let mut bad = credential.clone();
        bad[name] = value;
        assert_eq!(admin.send("POST", &path, bad).await.0, StatusCode::BAD_REQUEST, "{name}");
    }
    let (status, body) = world.ask_token(&app, &form(&issuer.claims())).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let log = world.admin("GET", "logs?kind=signin&limit=1", Value::Null).await;
    assert_eq!(log[0]["clientCredentialType"], json!("federatedIdentityCredential"));
    assert_eq!(log[0]["federatedCredentialId"], made["id"]);

    let with = |name: &str, value: Value| {
        let mut claims = issuer.claims();
        claims[name] = value;
        form(&claims)
    };
    let then = issuer.claims()["iat"].as_i64().unwrap() - 301;
    for (form, code) in [
        (with("sub", json!("repo:mail/keep:pull_request")), 700_213),
        (with("aud", json!("api://other")), 700_212),
        (with("iss", json!("https://other.example")), 700_211),
        (with("exp", json!(then)), 700_024),
        (app.form_with(issuer.sign(&issuer.claims(), "two", &issuer.key)), 50_013),
        (app.form_with(issuer.sign(&issuer.claims(), "one", Key::shared())), 50_013),
    ] {
        let (_, error, found) = refusal(&world, &app, &form).await;
        assert_eq!(found, code);
        let expected = if code == 50_013 { "invalid_grant" } else { "invalid_client" };
        assert_eq!(error, expected);
    }
    let one = format!("{path}/actions");
    let change = json!({ "subject": "repo:mail/keep:other" });
    assert_eq!(admin.send("PATCH", &one, change).await.0, StatusCode::NO_CONTENT);
    assert_eq!(admin.get(&one).await["subject"], json!("repo:mail/keep:other"));
    assert_eq!(refusal(&world, &app, &form(&issuer.claims())).await.2, 700_213);
    assert_eq!(admin.send("DELETE", &one, Value::Null).await.0, StatusCode::NO_CONTENT);
    assert_eq!(admin.get(&path).await["value"], json!([]));
}

#[tokio::test]
async fn a_key_that_was_added_just_now_is_not_known_everywhere_yet() {
    let world = World::new().await;
    world.admin("POST", "entra", json!({ "key_delay": 120 })).await;
    let app = world.application(READ);
    world.token(&app).await;
    let next = Key::new(|_| {});
    let path = format!("applications/{}", app.registered.client_id);
    let order = json!({ "add_certificate": next.certificate });
    world.admin("POST", &path, order).await;
    let renewed = Application {
        registered: app.registered.clone(),
        key: next,
        endpoint: app.endpoint.clone(),
        graph: app.graph.clone(),
    };
    assert_eq!(refusal(&world, &renewed, &renewed.form()).await.2, 700_027);
    world.admin("POST", "clock", json!({ "offset_seconds": 121 })).await;
    world.token(&renewed).await;
}

#[tokio::test]
async fn a_certificate_is_revoked_or_dies_before_its_credential() {
    let world = World::new().await;
    let app = world.application_of(&world.tenant().to_string(), READ, |certificate| {
        certificate.not_after = time::OffsetDateTime::now_utc() + time::Duration::hours(1);
    });
    let admin = world.graph(ADMIN).await;
    let path = format!("applications/{}", app.registered.object_id);
    // The credential is registered anew, for longer than its certificate is good.
    let order = json!({ "keyCredentials": [] });
    assert_eq!(admin.send("PATCH", &path, order).await.0, StatusCode::NO_CONTENT);
    let order = json!({ "keyCredentials": [{
        "type": "AsymmetricX509Cert",
        "usage": "Verify",
        "key": BASE64.encode(&app.key.der),
        "endDateTime": "2099-01-01T00:00:00Z",
    }] });
    assert_eq!(admin.send("PATCH", &path, order).await.0, StatusCode::NO_CONTENT);
    world.token(&app).await;
    world.admin("POST", "clock", json!({ "offset_seconds": 7200 })).await;
    let dead = (401, "invalid_client".to_owned(), 1_000_502);
    assert_eq!(refusal(&world, &app, &app.form()).await, dead);
    world.admin("POST", "clock", json!({ "offset_seconds": 0 })).await;

    let key = admin.get(&path).await["keyCredentials"][0]["keyId"].clone();
    let order = json!({ "revoke_key": key });
    let path = format!("applications/{}", app.registered.client_id);
    world.admin("POST", &path, order).await;
    let revoked = (401, "invalid_client".to_owned(), 7_000_214);
    assert_eq!(refusal(&world, &app, &app.form()).await, revoked);
    let (status, _) = world.try_admin("POST", &path, json!({ "revoke_key": Uuid::nil() })).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn every_refusal_has_the_error_and_status_that_go_with_its_code() {
    let world = World::new().await;
    let app = world.application(READ);
    for (code, error, status) in [
        (700_027, "invalid_client", 401),
        (700_024, "invalid_client", 401),
        (7_000_214, "invalid_client", 401),
        (1_000_502, "invalid_client", 401),
        (7_000_274, "invalid_client", 401),
        (7_000_222, "invalid_client", 401),
        (7_000_215, "invalid_client", 401),
        (7_000_216, "invalid_client", 401),
        (7_000_218, "invalid_request", 400),
        (50_013, "invalid_grant", 400),
        (50_027, "invalid_request", 400),
        (700_016, "unauthorized_client", 400),
        (700_011, "unauthorized_client", 400),
        (70_001, "unauthorized_client", 400),
        (70_011, "invalid_scope", 400),
        (90_002, "invalid_request", 400),
        (900_144, "invalid_request", 400),
        (53_003, "access_denied", 400),
    ] {
        let rule = json!([{ "operation": "token", "code": code.to_string() }]);
        world.admin("POST", "faults", rule).await;
        let expected = (status, error.to_owned(), code);
        assert_eq!(refusal(&world, &app, &app.form()).await, expected);
    }
}
