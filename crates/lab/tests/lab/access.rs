//! Who gets in: Conditional Access, access that is evaluated anew, Exchange's application roles.

use std::net::IpAddr;

use data_encoding::{BASE64, BASE64URL_NOPAD};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::{Application, Graph, READ, World, client, read};

/// A client that comes from another address of this machine.
fn from(world: &World, address: [u8; 4]) -> Client {
    client(&world.lab, |builder| builder.local_address(IpAddr::from(address)))
}

fn policy(state: &str, principal: &str, excluded: &Uuid) -> Value {
    json!({
        "displayName": "Backup from our egress only",
        "state": state,
        "conditions": {
            "clientApplications": { "includeServicePrincipals": [principal] },
            "locations": { "includeLocations": ["All"], "excludeLocations": [excluded] },
        },
        "grantControls": { "operator": "and", "builtInControls": ["block"] },
    })
}

async fn ask(http: &Client, app: &Application, more: &[(&str, &str)]) -> (StatusCode, Value) {
    let body = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(app.form())
        .extend_pairs(more)
        .finish();
    let request = http
        .post(&app.endpoint)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body);
    read(request.send().await.unwrap()).await
}

fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64URL_NOPAD.decode(payload.as_bytes()).unwrap()).unwrap()
}

#[tokio::test]
async fn a_policy_lets_an_application_in_from_its_own_addresses_only() {
    let world = World::new().await;
    let (app, other) = (world.application(READ), world.application(READ));
    let home = Uuid::new_v4();
    let location = json!({ "id": home, "displayName": "egress", "isTrusted": true, "ipRanges": ["127.0.0.1/32"] });
    let principal = app.registered.service_principal_id.to_string();
    let order =
        json!({ "policies": [policy("enabled", &principal, &home)], "locations": [location] });
    let made = world.admin("POST", "conditional-access", order).await;
    let elsewhere = from(&world, [127, 0, 0, 9]);
    world.token(&app).await;
    assert_eq!(ask(&elsewhere, &other, &[]).await.0, StatusCode::OK, "it names one application");
    let (status, body) = ask(&elsewhere, &app, &[]).await;
    assert_eq!((status.as_u16(), &body["error_codes"]), (400, &json!([53_003])));
    assert_eq!(body["error"], json!("access_denied"));
    let log = world.admin("GET", "logs?kind=signin&limit=1", Value::Null).await;
    assert_eq!(log[0]["conditionalAccessStatus"], json!("failure"));
    assert_eq!(log[0]["ipAddress"], json!("127.0.0.9"));
    let applied = &log[0]["appliedConditionalAccessPolicies"][0];
    assert_eq!(
        (&applied["result"], &applied["id"]),
        (&json!("failure"), &made["policies"][0]["id"])
    );

    // It can be read, and its making is in the log of changes.
    let auditor = world.graph(&["Policy.Read.All", "AuditLog.Read.All"]).await;
    let policies = auditor.get("identity/conditionalAccess/policies").await;
    assert_eq!(policies["value"], made["policies"]);
    let locations = auditor.get(&format!("identity/conditionalAccess/namedLocations/{home}")).await;
    assert_eq!(locations["ipRanges"][0]["cidrAddress"], json!("127.0.0.1/32"));
    let filter = "auditLogs/directoryAudits?$filter=category eq 'Policy'";
    let audits = auditor.get(filter).await;
    assert_eq!(audits["value"][0]["activityDisplayName"], json!("Add conditional access policy"));
    let (status, _) = world.graph(READ).await.try_get("identity/conditionalAccess/policies").await;
    assert_eq!(status, StatusCode::FORBIDDEN);

    // One that is only reported blocks nobody.
    let all = "ServicePrincipalsInMyTenant";
    let order = json!({ "policies": [policy("enabledForReportingButNotEnforced", all, &home)] });
    world.admin("POST", "conditional-access", order).await;
    assert_eq!(ask(&elsewhere, &app, &[]).await.0, StatusCode::OK);
    let log = world.admin("GET", "logs?kind=signin&limit=1", Value::Null).await;
    let applied = &log[0]["appliedConditionalAccessPolicies"][0]["result"];
    assert_eq!(applied, &json!("reportOnlyFailure"));
    let mut bad = policy("enabled", all, &home);
    bad["grantControls"]["builtInControls"] = json!(["mfa"]);
    let (status, _) =
        world.try_admin("POST", "conditional-access", json!({ "policies": [bad] })).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

const CAPABLE: (&str, &str) = ("claims", r#"{"access_token":{"xms_cc":{"values":["cp1"]}}}"#);

async fn inbox(http: &Client, world: &World, token: &str) -> reqwest::Response {
    let graph = &world.lab.description().graph;
    let url = format!("{graph}/users/{}/mailFolders/inbox", world.mailbox(0));
    http.get(url).bearer_auth(token).send().await.unwrap()
}

/// The claims of a challenge.
fn challenge(response: &reqwest::Response) -> Value {
    let header = response.headers()["www-authenticate"].to_str().unwrap();
    assert!(header.contains("error=\"insufficient_claims\""), "{header}");
    let (_, rest) = header.split_once(" claims=\"").unwrap();
    let claims = BASE64.decode(rest.trim_end_matches('"').as_bytes()).unwrap();
    serde_json::from_slice(&claims).unwrap()
}

#[tokio::test]
async fn a_token_of_a_client_that_understands_challenges_lives_long_and_dies_at_once() {
    let world = World::new().await;
    let app = world.application(READ);
    let (_, body) = ask(&world.http, &app, &[CAPABLE]).await;
    let seconds = body["expires_in"].as_i64().unwrap();
    assert!((72_000..=100_800).contains(&seconds), "{seconds}");
    let capable = body["access_token"].as_str().unwrap().to_owned();
    assert_eq!(claims(&capable)["xms_cc"], json!(["cp1"]));
    let plain = world.token(&app).await;
    assert!(claims(&plain).get("xms_cc").is_none());

    // Removing the key takes nothing back, from either.
    let path = format!("applications/{}", app.registered.client_id);
    world.admin("POST", &path, json!({ "remove_key": app.registered.key_id })).await;
    for token in [&capable, &plain] {
        assert_eq!(inbox(&world.http, &world, token).await.status(), StatusCode::OK);
    }
    // Disabling does, from the one that is asked about anew.
    world.admin("POST", &path, json!({ "enabled": false })).await;
    assert_eq!(inbox(&world.http, &world, &plain).await.status(), StatusCode::OK);
    let refused = inbox(&world.http, &world, &capable).await;
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    let asked = challenge(&refused);
    let (_, error) = read(refused).await;
    assert_eq!(error["error"]["code"], json!("InvalidAuthenticationToken"));
    assert!(error["error"]["message"].as_str().unwrap().contains("TokenIssuedBeforeRevocation"));

    // Enabled again, the old token stays dead; the challenge is the way to a new one.
    let order = json!({ "enabled": true, "add_certificate": app.key.certificate });
    world.admin("POST", &path, order).await;
    world.admin("POST", "clock", json!({ "offset_seconds": 2 })).await;
    let again = inbox(&world.http, &world, &capable).await;
    assert_eq!(again.status(), StatusCode::UNAUTHORIZED);
    let mut wanted = asked;
    wanted["access_token"]["xms_cc"] = json!({ "values": ["cp1"] });
    let (status, body) = ask(&world.http, &app, &[("claims", &wanted.to_string())]).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let renewed = body["access_token"].as_str().unwrap();
    assert_eq!(inbox(&world.http, &world, renewed).await.status(), StatusCode::OK);
    let (_, body) = ask(&world.http, &app, &[("claims", "{")]).await;
    assert_eq!(body["error_codes"], json!([9_002_313]));
    // An hour later only the long one is left.
    world.admin("POST", "clock", json!({ "offset_seconds": 3700 })).await;
    assert_eq!(inbox(&world.http, &world, &plain).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(inbox(&world.http, &world, renewed).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_token_that_is_carried_away_is_challenged_where_it_may_not_be_used() {
    let world = World::new().await;
    let app = world.application(READ);
    let home = Uuid::new_v4();
    let location = json!({ "id": home, "displayName": "egress", "ipRanges": ["127.0.0.1/32"] });
    let all = "ServicePrincipalsInMyTenant";
    let order = json!({ "policies": [policy("enabled", all, &home)], "locations": [location] });
    world.admin("POST", "conditional-access", order).await;
    let (_, body) = ask(&world.http, &app, &[CAPABLE]).await;
    let capable = body["access_token"].as_str().unwrap();
    let plain = world.token(&app).await;
    let elsewhere = from(&world, [127, 0, 0, 9]);
    assert_eq!(inbox(&world.http, &world, capable).await.status(), StatusCode::OK);
    let refused = inbox(&elsewhere, &world, capable).await;
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    challenge(&refused);
    let (_, error) = read(refused).await;
    let text = error["error"]["message"].as_str().unwrap();
    assert!(text.contains("LocationConditionEvaluationSatisfied"), "{text}");
    assert_eq!(
        inbox(&elsewhere, &world, &plain).await.status(),
        StatusCode::OK,
        "until it expires"
    );
}

async fn reads(graph: &Graph, mailbox: &str) -> bool {
    let (status, body) = graph.try_get(&format!("users/{mailbox}/mailFolders/inbox")).await;
    match status {
        StatusCode::OK => true,
        _ => {
            assert_eq!(
                (status.as_u16(), &body["error"]["code"]),
                (403, &json!("ErrorAccessDenied"))
            );
            false
        }
    }
}

#[tokio::test]
async fn a_role_of_exchange_opens_the_mailboxes_in_its_scope_and_no_others() {
    let world = World::new().await;
    let app = world.application(&[]);
    let (one, two) = (world.mailbox(0), world.mailbox(1));
    let order = json!({
        "client_id": app.registered.client_id,
        "roles": [{ "role": "Application Mail.Read", "mailboxes": [one] }],
        "test": two,
    });
    let done = world.admin("POST", "exchange-roles", order).await;
    assert_eq!(done["test"][0]["InScope"], json!(false));
    let token = world.token(&app).await;
    assert!(claims(&token).get("roles").is_none(), "Exchange decides, the token does not say");
    let graph = world.as_application(&app).await;
    assert!(reads(&graph, one).await && !reads(&graph, two).await);
    let list = graph.get(&format!("users/{one}/messages?$top=1&$select=id")).await;
    let message = format!("users/{one}/messages/{}", list["value"][0]["id"].as_str().unwrap());
    let (status, _) = graph.send("PATCH", &message, json!({ "isRead": true })).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "reading is not writing");
    let (status, _) = graph.try_get(&format!("users/{one}/calendars")).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    // In a batch as well.
    let step = |id: &str, mailbox: &str| json!({ "id": id, "method": "GET", "url": format!("/users/{mailbox}/mailFolders/inbox") });
    let batch = json!({ "requests": [step("1", one), step("2", two)] });
    let (_, answer) = graph.send("POST", "$batch", batch).await;
    let status = |id: &str| {
        let all = answer["responses"].as_array().unwrap();
        all.iter().find(|one| one["id"] == *id).unwrap()["status"].clone()
    };
    assert_eq!((status("1"), status("2")), (json!(200), json!(403)));

    // A consent in the directory makes the scope void: both add up.
    let path = format!("applications/{}", app.registered.client_id);
    world.admin("POST", &path, json!({ "roles": ["Mail.Read"] })).await;
    let consented = world.as_application(&app).await;
    assert!(reads(&consented, two).await);
    let unknown =
        json!({ "client_id": app.registered.client_id, "roles": [{ "role": "Mail.Read" }] });
    let (status, _) = world.try_admin("POST", "exchange-roles", unknown).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn exchange_learns_of_a_role_later_and_forgets_it_later() {
    let world = World::new().await;
    world.admin("POST", "entra", json!({ "exchange_roles_delay": 1800 })).await;
    let app = world.application(&[]);
    let mailbox = world.mailbox(0);
    world
        .admin("POST", "groups", json!({ "set": [{ "name": "board", "members": [mailbox] }] }))
        .await;
    let set = |roles: Value| json!({ "client_id": app.registered.client_id, "roles": roles });
    let by_group = json!([{ "role": "Application Exchange Full Access", "group": "board" }]);
    world.admin("POST", "exchange-roles", set(by_group)).await;
    let graph = world.as_application(&app).await;
    assert!(!reads(&graph, mailbox).await);
    world.admin("POST", "clock", json!({ "offset_seconds": 1801 })).await;
    assert!(reads(&graph, mailbox).await && !reads(&graph, world.mailbox(1)).await);
    world.admin("POST", "exchange-roles", set(json!([]))).await;
    assert!(reads(&graph, mailbox).await, "what was removed works on for a while");
    world.admin("POST", "clock", json!({ "offset_seconds": 3602 })).await;
    let graph = world.as_application_at(&app, 3602).await;
    assert!(!reads(&graph, mailbox).await);
}

#[tokio::test]
async fn who_may_send_is_refused_for_the_missing_recipient_and_who_may_not_for_that() {
    let world = World::new().await;
    let path = |number: usize| format!("users/{}/sendMail", world.mailbox(number));
    let nobody = json!({ "message": { "subject": "x", "toRecipients": [] } });
    let cannot = world.graph(READ).await;
    let (status, answer) = cannot.send("POST", &path(0), nobody.clone()).await;
    assert_eq!((status.as_u16(), &answer["error"]["code"]), (403, &json!("ErrorAccessDenied")));
    let can = world.graph(&["Mail.Send"]).await;
    let (status, answer) = can.send("POST", &path(0), nobody.clone()).await;
    assert_eq!(
        (status.as_u16(), &answer["error"]["code"]),
        (400, &json!("ErrorInvalidRecipients"))
    );

    // The same in the scope of a role of Exchange, and nowhere else.
    let app = world.application(&[]);
    let order = json!({
        "client_id": app.registered.client_id,
        "roles": [{ "role": "Application Mail.Send", "mailboxes": [world.mailbox(0)] }],
    });
    world.admin("POST", "exchange-roles", order).await;
    let scoped = Graph { token: world.token(&app).await, ..can };
    assert_eq!(scoped.send("POST", &path(0), nobody.clone()).await.0.as_u16(), 400);
    assert_eq!(scoped.send("POST", &path(1), nobody).await.0.as_u16(), 403);
}

#[tokio::test]
async fn an_administrator_who_signed_in_with_a_tool_registers_applications_and_grants_rights() {
    let world = World::new().await;
    let signed_in = world.admin("POST", "administrator", json!({})).await;
    assert_eq!(signed_in["tenant"], json!(world.tenant()));
    let token = signed_in["token"].as_str().unwrap().to_owned();
    let graph = Graph { token, ..world.graph(&[]).await };
    let (status, made) = graph.send("POST", "applications", json!({ "displayName": "x" })).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let user = format!("users/{}/messages", world.mailbox(0));
    assert_eq!(graph.try_get(&user).await.0, StatusCode::FORBIDDEN, "mail is not his to read");
}
