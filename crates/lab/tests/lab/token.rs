//! The token endpoint.

use std::net::SocketAddr;

use data_encoding::{BASE64URL, BASE64URL_NOPAD};
use jsonwebtoken::{Algorithm, Header};
use mailkeep_lab::{AssertionAlgorithms, Lab, LabError, LabOptions};
use reqwest::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::{Application, Key, READ, World};

async fn refusal(world: &World, app: &Application, form: &[(&str, String)]) -> (u16, String, u64) {
    let (status, body) = world.ask_token(app, form).await;
    let code = body["error_codes"][0].as_u64().unwrap_or(0);
    let text = body["error_description"].as_str().unwrap_or_default();
    assert!(text.starts_with(&format!("AADSTS{code}: ")), "{body}");
    for part in ["Trace ID: ", "Correlation ID: ", "Timestamp: "] {
        assert!(text.contains(part), "{text}");
    }
    assert!(body["error_uri"].as_str().unwrap().ends_with(&format!("/error?code={code}")));
    (status.as_u16(), body["error"].as_str().unwrap().to_owned(), code)
}

async fn refused_assertion(
    world: &World,
    app: &Application,
    header: &Header,
    claims: &Value,
) -> u64 {
    let form = app.form_with(app.sign(header, claims));
    refusal(world, app, &form).await.2
}

#[tokio::test]
async fn a_token_is_given_for_every_form_of_assertion_that_clients_make() {
    let world = World::new().await;
    let app = world.application(READ);
    let sha256 = app.key.sha256();
    let headers = [
        app.header(),
        Header { x5t_s256: Some(BASE64URL.encode(&sha256)), ..Header::new(Algorithm::PS256) },
        Header {
            x5t: Some(BASE64URL_NOPAD.encode(&app.key.sha1())),
            ..Header::new(Algorithm::RS256)
        },
    ];
    for header in &headers {
        let mut claims = app.claims();
        claims["exp"] = json!(claims["exp"].as_f64().unwrap() + 0.25);
        claims["nbf"] = json!(claims["nbf"].as_f64().unwrap() - 0.75);
        let form = app.form_with(app.sign(header, &claims));
        let (status, body) = world.ask_token(&app, &form).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        assert_eq!((&body["token_type"], &body["expires_in"]), (&json!("Bearer"), &json!(3599)));
        let token = body["access_token"].as_str().unwrap();
        let payload = BASE64URL_NOPAD.decode(token.split('.').nth(1).unwrap().as_bytes()).unwrap();
        let payload: Value = serde_json::from_slice(&payload).unwrap();
        assert_eq!(payload["roles"], json!(READ));
        assert_eq!(payload["appid"], json!(app.registered.client_id));
        assert_eq!(payload["tid"], json!(world.tenant()));
    }
    // By the domain in place of the id, as audience and in the path.
    let domain = world.lab.description().tenants[0].domain.clone();
    let app = world.application_of(&domain, READ, |_| {});
    world.token(&app).await;
}

#[tokio::test]
async fn a_wrong_assertion_is_refused_with_the_code_that_entra_gives() {
    let world = World::new().await;
    let app = world.application(READ);
    let good = app.header();
    let with = |name: &str, value: Value| {
        let mut claims = app.claims();
        claims[name] = value;
        claims
    };
    let now = app.claims()["iat"].as_i64().unwrap();
    let elsewhere = app.endpoint.replace(&world.tenant().to_string(), &Uuid::new_v4().to_string());
    for (name, value, code) in [
        ("aud", json!(elsewhere), 700_023),
        ("iss", json!(Uuid::new_v4()), 700_021),
        ("sub", json!("nobody"), 700_021),
        ("exp", json!(now - 301), 700_024),
        ("nbf", json!(now + 400), 700_024),
        ("jti", Value::Null, 50_027),
        ("aud", json!([1]), 50_027),
    ] {
        let given = refused_assertion(&world, &app, &good, &with(name, value.clone())).await;
        assert_eq!(given, code, "{name} {value}");
    }
    // A key that is not the application's, and one that pretends to be.
    let stranger = Key::shared();
    let foreign = Header {
        x5t_s256: Some(BASE64URL_NOPAD.encode(&stranger.sha256())),
        ..Header::new(Algorithm::PS256)
    };
    assert_eq!(refused_assertion(&world, &app, &foreign, &app.claims()).await, 700_027);
    let none = Header::new(Algorithm::PS256);
    assert_eq!(refused_assertion(&world, &app, &none, &app.claims()).await, 700_027);
    let mut assertion = app.sign(&good, &app.claims()).into_bytes();
    let last = assertion.len() - 10;
    assertion[last] = if assertion[last] == b'A' { b'B' } else { b'A' };
    let forged = app.form_with(String::from_utf8(assertion).unwrap());
    let (status, error, code) = refusal(&world, &app, &forged).await;
    assert_eq!((status, error.as_str(), code), (401, "invalid_client", 700_027));
    for garbage in ["", "a.b", "a.b.c", "....", "e30.e30.e30"] {
        let form = app.form_with(garbage.to_owned());
        assert_eq!(refusal(&world, &app, &form).await.2, 50_027, "{garbage}");
    }
    // It was only ever the assertion: a good one works.
    world.token(&app).await;
}

#[tokio::test]
async fn an_assertion_that_is_used_again_is_taken_and_counted() {
    let world = World::new().await;
    let app = world.application(READ);
    let form = app.form();
    for reused in [0, 1] {
        assert_eq!(world.ask_token(&app, &form).await.0, StatusCode::OK);
        let counters = world.admin("GET", "counters", Value::Null).await;
        assert_eq!(counters["assertions_reused"], json!(reused));
    }
}

#[tokio::test]
async fn what_stands_for_somebody_is_never_valid() {
    let world = World::new().await;
    let app = world.application(READ);
    let grant = |kind: &str, with_key: bool| {
        let mut form = app.form();
        form.truncate(if with_key { 5 } else { 3 });
        form[0].1 = kind.to_owned();
        form
    };
    let on_behalf = "urn:ietf:params:oauth:grant-type:jwt-bearer";
    for (kind, with_key, code) in [
        ("authorization_code", false, 7_000_218),
        ("authorization_code", true, 70_000),
        (on_behalf, false, 7_000_218),
        (on_behalf, true, 50_013),
    ] {
        assert_eq!(refusal(&world, &app, &grant(kind, with_key)).await.2, code, "{kind}");
    }
}

#[tokio::test]
async fn a_request_that_lacks_something_is_told_what() {
    let world = World::new().await;
    let app = world.application(READ);
    let change = |name: &str, value: Option<&str>| {
        let mut form = app.form();
        form.retain(|(key, _)| *key != name);
        if let Some(value) = value {
            let name = ["grant_type", "scope", "client_id", "client_secret"]
                .into_iter()
                .find(|known| *known == name)
                .unwrap();
            form.push((name, value.to_owned()));
        }
        form
    };
    let stranger = Uuid::new_v4().to_string();
    for (name, value, code) in [
        ("grant_type", None, 900_144),
        ("grant_type", Some("password"), 70_003),
        ("client_id", None, 900_144),
        ("client_id", Some(stranger.as_str()), 700_016),
        ("scope", None, 900_144),
        ("scope", Some("https://graph.microsoft.com/Mail.Read"), 1_002_012),
        ("scope", Some("https://other.example/.default"), 70_011),
        ("scope", Some("a/.default b/.default"), 70_011),
        ("client_secret", Some("x"), 7_000_215),
    ] {
        assert_eq!(refusal(&world, &app, &change(name, value)).await.2, code, "{name} {value:?}");
    }
    let mut bare = app.form();
    bare.truncate(3);
    assert_eq!(refusal(&world, &app, &bare).await.2, 7_000_216);

    let mut lost = app.form();
    lost[2].1 = "https://graph.microsoft.com/.default".to_owned();
    assert_eq!(world.ask_token(&app, &lost).await.0, StatusCode::OK);

    let nowhere = Application {
        endpoint: app.endpoint.replace(&world.tenant().to_string(), "x.example"),
        ..app
    };
    assert_eq!(refusal(&world, &nowhere, &nowhere.form()).await.2, 90_002);
}

#[tokio::test]
async fn keys_expire_are_removed_and_applications_are_disabled() {
    let world = World::new().await;
    let app = world.application_of(&world.tenant().to_string(), READ, |certificate| {
        certificate.not_after = time::OffsetDateTime::now_utc() + time::Duration::hours(1);
    });
    world.token(&app).await;
    let path = format!("applications/{}", app.registered.client_id);
    world.admin("POST", &path, json!({ "enabled": false })).await;
    let (status, error, code) = refusal(&world, &app, &app.form()).await;
    assert_eq!((status, error.as_str(), code), (400, "unauthorized_client", 70_001));
    world.admin("POST", &path, json!({ "enabled": true })).await;

    // The lab's clock goes two hours on: the certificate has expired, for an assertion of then.
    world.admin("POST", "clock", json!({ "offset_seconds": 7200 })).await;
    let mut claims = app.claims();
    for name in ["nbf", "iat", "exp"] {
        claims[name] = json!(claims[name].as_i64().unwrap() + 7200);
    }
    let form = app.form_with(app.sign(&app.header(), &claims));
    let (_, body) = world.ask_token(&app, &form).await;
    assert_eq!(body["error_codes"], json!([700_027]));
    assert!(body["error_description"].as_str().unwrap().contains("expired"), "{body}");
    // And an assertion of now is out of its time, but the key is looked at first.
    world.admin("POST", "clock", json!({ "offset_seconds": 1800 })).await;
    assert_eq!(refusal(&world, &app, &app.form()).await.2, 700_024);
    world.admin("POST", "clock", json!({ "offset_seconds": 0 })).await;

    let key = app.registered.key_id;
    world.admin("POST", &path, json!({ "remove_key": key })).await;
    assert_eq!(refusal(&world, &app, &app.form()).await.2, 700_027);
    let pem = app.key.certificate.clone();
    world.admin("POST", &path, json!({ "add_certificate": pem })).await;
    world.token(&app).await;
}

#[tokio::test]
async fn the_lab_can_insist_on_ps256() {
    let world = World::with(|options| options.assertions = AssertionAlgorithms::Ps256Only).await;
    let app = world.application(READ);
    let header = Header {
        x5t: Some(BASE64URL_NOPAD.encode(&app.key.sha1())),
        ..Header::new(Algorithm::RS256)
    };
    assert_eq!(refused_assertion(&world, &app, &header, &app.claims()).await, 50_027);
    world.token(&app).await;
}

#[tokio::test]
async fn every_attempt_is_in_the_sign_in_log_and_a_success_bears_its_token_identifier() {
    let world = World::new().await;
    let app = world.application(READ);
    let correlation = Uuid::new_v4();
    let body =
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(app.form()).finish();
    let response = world
        .http
        .post(&app.endpoint)
        .header("content-type", "application/x-www-form-urlencoded")
        .header("client-request-id", correlation.to_string())
        .body(body.clone())
        .send()
        .await
        .unwrap();
    let request_id: Uuid = response.headers()["x-ms-request-id"].to_str().unwrap().parse().unwrap();
    let token: Value = response.json().await.unwrap();
    let payload = token["access_token"].as_str().unwrap().split('.').nth(1).unwrap();
    let payload: Value =
        serde_json::from_slice(&BASE64URL_NOPAD.decode(payload.as_bytes()).unwrap()).unwrap();
    assert_eq!(payload["uti"], json!(BASE64URL_NOPAD.encode(&request_id.to_bytes_le())));
    world.ask_token(&app, &app.form_with(body)).await;

    let log = world.admin("GET", "logs?kind=signin", Value::Null).await;
    let [success, failure] = log.as_array().unwrap().as_slice() else { panic!("{log}") };
    assert_eq!(success["id"], json!(request_id));
    assert_eq!(success["correlationId"], json!(correlation));
    assert_eq!(success["uniqueTokenIdentifier"], payload["uti"]);
    assert_eq!(success["servicePrincipalCredentialKeyId"], json!(app.registered.key_id));
    assert_eq!(success["servicePrincipalCredentialThumbprint"], json!(app.key.thumbprint()));
    assert_eq!(success["servicePrincipalId"], json!(app.registered.service_principal_id));
    assert_eq!(success["status"]["errorCode"], json!(0));
    assert_eq!(failure["status"]["errorCode"], json!(50_027));
    assert_eq!(failure["uniqueTokenIdentifier"], Value::Null);

    let auditor = world.graph(&["AuditLog.Read.All", "Directory.Read.All"]).await;
    let beta = auditor.base.replace("v1.0", "beta");
    let filter = "$filter=signInEventTypes/any(t: t eq 'servicePrincipal')";
    let mut link = format!(
        "{beta}/auditLogs/signIns?{filter} and appId eq '{}'&$top=1",
        app.registered.client_id
    );
    let mut seen = Vec::new();
    while !link.is_empty() {
        let page = auditor.get(&link).await;
        seen.extend(page["value"].as_array().unwrap().iter().map(|e| e["id"].clone()));
        link = page["@odata.nextLink"].as_str().unwrap_or_default().to_owned();
    }
    assert_eq!(seen, [failure["id"].clone(), success["id"].clone()], "newest first");
    let unfiltered = auditor.get(&format!("{beta}/auditLogs/signIns")).await;
    assert_eq!(unfiltered["value"], json!([]), "without the filter, users alone are shown");
    let half = world.graph(&["AuditLog.Read.All"]).await;
    let (status, body) = half.try_get(&format!("{beta}/auditLogs/signIns?{filter}")).await;
    assert_eq!(
        (status.as_u16(), &body["error"]["code"]),
        (403, &json!("Authorization_RequestDenied"))
    );
}

#[tokio::test]
async fn the_lab_listens_on_loopback_only() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = LabOptions::new(directory.path());
    options.listen = SocketAddr::from(([0, 0, 0, 0], 0));
    assert!(matches!(Lab::start(options).await, Err(LabError::NotLoopback(_))));
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn discovery_leads_to_the_token_endpoint() {
    let world = World::new().await;
    let authority = &world.lab.description().authority;
    let url = format!("{authority}/{}/v2.0/.well-known/openid-configuration", world.tenant());
    let document: Value = world.http.get(url).send().await.unwrap().json().await.unwrap();
    let expected = format!("{authority}/{}/oauth2/v2.0/token", world.tenant());
    assert_eq!(document["token_endpoint"], json!(expected));
    let unknown = format!("{authority}/nobody.example/v2.0/.well-known/openid-configuration");
    assert_eq!(world.http.get(unknown).send().await.unwrap().status(), StatusCode::BAD_REQUEST);
}
