//! The logs: sign-ins, changes of the directory, accesses to mail, requests to Graph.

use reqwest::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::{Graph, Key, READ, World};

const AUDITOR: &[&str] = &[
    "AuditLog.Read.All",
    "Directory.Read.All",
    "AuditLogsQuery-Exchange.Read.All",
    "Application.ReadWrite.All",
];
const OF_APPLICATIONS: &str = "$filter=signInEventTypes/any(t: t eq 'servicePrincipal')";

impl World {
    /// Without the limit that Graph sets to looking into logs.
    async fn without_limits(&self) {
        let limits = json!({
            "concurrency": 4,
            "requests_per_ten_minutes": null,
            "upload_bytes_per_five_minutes": null,
        });
        self.admin("POST", "limits", limits).await;
    }
}

fn beta(graph: &Graph, path: &str) -> String {
    format!("{}/{path}", graph.base.replace("v1.0", "beta"))
}

async fn ids(graph: &Graph, path: &str) -> Vec<Value> {
    let answer = graph.get(path).await;
    answer["value"].as_array().unwrap().iter().map(|entry| entry["id"].clone()).collect()
}

#[tokio::test]
async fn the_beta_tells_credential_and_token_of_a_sign_in_and_v1_does_not() {
    let world = World::new().await;
    world.without_limits().await;
    let app = world.application(READ);
    world.token(&app).await;
    let auditor = world.graph(AUDITOR).await;
    let filter = format!("{OF_APPLICATIONS} and appId eq '{}'", app.registered.client_id);
    let found = auditor.get(&beta(&auditor, &format!("auditLogs/signIns?{filter}"))).await;
    let entry = &found["value"][0];
    assert_eq!(entry["servicePrincipalCredentialKeyId"], json!(app.registered.key_id));
    let one = format!("auditLogs/signIns/{}", entry["id"].as_str().unwrap());
    assert_eq!(
        auditor.get(&beta(&auditor, &one)).await["uniqueTokenIdentifier"],
        entry["uniqueTokenIdentifier"]
    );
    let in_v1 = auditor.get(&one).await;
    assert_eq!(in_v1["servicePrincipalId"], entry["servicePrincipalId"]);
    for name in [
        "signInEventTypes",
        "servicePrincipalCredentialKeyId",
        "servicePrincipalCredentialThumbprint",
        "uniqueTokenIdentifier",
        "clientCredentialType",
        "resourceServicePrincipalId",
    ] {
        assert!(entry.get(name).is_some() && in_v1.get(name).is_none(), "{name}");
    }
    let (status, _) = auditor.try_get(&format!("auditLogs/signIns?{OF_APPLICATIONS}")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "v1.0 has no such property");
}

#[tokio::test]
async fn people_and_applications_are_told_apart_by_the_filter() {
    let world = World::new().await;
    world.without_limits().await;
    let auditor = world.graph(AUDITOR).await;
    let person = world.admin("POST", "signins", json!({ "user": world.mailbox(0) })).await;
    let person = &person["id"];
    let list = |filter: &str| beta(&auditor, &format!("auditLogs/signIns{filter}"));
    assert_eq!(ids(&auditor, &list("")).await, std::slice::from_ref(person));
    assert_eq!(ids(&auditor, "auditLogs/signIns").await, std::slice::from_ref(person));
    let applications = ids(&auditor, &list(&format!("?{OF_APPLICATIONS}"))).await;
    assert!(applications.len() == 1 && !applications.contains(person));
    let not_people = list(
        "?$filter=(signInEventTypes/any(t: t ne 'interactiveUser'))&$orderby=createdDateTime DESC&$top=10",
    );
    assert_eq!(ids(&auditor, &not_people).await, applications);
    let both = list(
        "?$filter=signInEventTypes/any(t: t eq 'interactiveUser') or signInEventTypes/any(t: t eq 'servicePrincipal')",
    );
    assert_eq!(ids(&auditor, &both).await.len(), 2);
    let address = list(&format!("?{OF_APPLICATIONS} and startsWith(ipAddress,'127.')"));
    assert_eq!(ids(&auditor, &address).await, applications);
    for bad in [
        "createdDateTime lt 2026-01-01T00:00:00Z",
        "createdDateTime gt 2026-01-01T00:00:00Z",
        "appId ne 'x'",
        "uniqueTokenIdentifier eq 'x'",
        "signInEventTypes/any(t: t gt 'x')",
    ] {
        let (status, _) = auditor.try_get(&list(&format!("?$filter={bad}"))).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{bad}");
    }
}

#[tokio::test]
async fn a_log_comes_late_or_not_at_all() {
    let world = World::new().await;
    world.without_limits().await;
    let settings = json!({ "sign_ins": { "delay": 900 }, "directory_audits": { "delay": 300 } });
    world.admin("POST", "entra", settings).await;
    let auditor = world.graph(AUDITOR).await;
    let order = json!({ "displayName": "new" });
    assert_eq!(auditor.send("POST", "applications", order).await.0, StatusCode::CREATED);
    let sign_ins = beta(&auditor, &format!("auditLogs/signIns?{OF_APPLICATIONS}"));
    let audits = "auditLogs/directoryAudits";
    for (ahead, signed_in, changed) in [(299, 0, 0), (301, 0, 1), (901, 1, 1)] {
        world.admin("POST", "clock", json!({ "offset_seconds": ahead })).await;
        assert_eq!(ids(&auditor, &sign_ins).await.len(), signed_in, "{ahead}");
        assert_eq!(ids(&auditor, audits).await.len(), changed, "{ahead}");
    }
    let settings = json!({
        "sign_ins": { "licensed": false },
        "directory_audits": { "licensed": false },
        "mail_items_accessed": { "licensed": false },
    });
    world.admin("POST", "entra", settings).await;
    let query = json!({
        "filterStartDateTime": "2026-01-01T00:00:00Z",
        "filterEndDateTime": "2027-01-01T00:00:00Z",
    });
    let refused = [
        auditor.try_get(&sign_ins).await,
        auditor.try_get(audits).await,
        auditor.send("POST", "security/auditLog/queries", query).await,
    ];
    for (status, body) in refused {
        assert_eq!(status, StatusCode::FORBIDDEN);
        let code = &body["error"]["code"];
        assert_eq!(code, &json!("Authentication_RequestFromNonPremiumTenantOrB2CTenant"));
    }
}

#[tokio::test]
async fn every_change_of_credentials_is_in_the_log_with_before_and_after() {
    let world = World::new().await;
    world.without_limits().await;
    let app = world.application(READ);
    let admin = world.application(AUDITOR);
    let graph = world.as_application(&admin).await;
    let object = app.registered.object_id;
    let path = format!("applications/{object}");
    let (_, secret) = graph.send("POST", &format!("{path}/addPassword"), json!({})).await;
    let filter =
        format!("auditLogs/directoryAudits?$filter=targetResources/any(t:t/id eq '{object}')");
    let log = graph.get(&filter).await;
    let [update, change] = log["value"].as_array().unwrap().as_slice() else { panic!("{log}") };
    // With the dash and the space at the end that Entra writes.
    let name = "Update application \u{2013} Certificates and secrets management ";
    assert_eq!(change["activityDisplayName"], json!(name));
    assert_eq!(update["activityDisplayName"], json!("Update application"));
    assert_eq!(change["correlationId"], update["correlationId"]);
    let by = &change["initiatedBy"]["app"];
    assert_eq!(by["servicePrincipalId"], json!(admin.registered.service_principal_id));
    let modified = &change["targetResources"][0]["modifiedProperties"];
    assert_eq!(modified[0]["displayName"], json!("KeyDescription"));
    let list =
        |value: &Value| -> Vec<String> { serde_json::from_str(value.as_str().unwrap()).unwrap() };
    let (old, new) = (list(&modified[0]["oldValue"]), list(&modified[0]["newValue"]));
    assert_eq!((old.len(), new.len()), (1, 2));
    let added = format!(
        "[KeyIdentifier={},KeyType=Password,KeyUsage=Verify,DisplayName=]",
        secret["keyId"].as_str().unwrap()
    );
    assert!(new.contains(&added), "{new:?}");
    assert!(!log.to_string().contains(secret["secretText"].as_str().unwrap()));

    // What else happens to an application, each under its name.
    let principal = format!("servicePrincipals/{}", app.registered.service_principal_id);
    let key = json!({ "keyCredentials": [{
        "type": "AsymmetricX509Cert",
        "usage": "Verify",
        "key": data_encoding::BASE64.encode(&Key::shared().der),
    }] });
    graph.send("PATCH", &principal, key).await;
    graph.send("PATCH", &principal, json!({ "keyCredentials": [] })).await;
    graph.send("PATCH", &principal, json!({ "accountEnabled": false })).await;
    graph.send("PATCH", &path, json!({ "displayName": "renamed" })).await;
    let owner =
        format!("{}/directoryObjects/{}", graph.base, admin.registered.service_principal_id);
    graph.send("POST", &format!("{path}/owners/$ref"), json!({ "@odata.id": owner })).await;
    let federated = json!({
        "name": "x", "issuer": "https://i.example", "subject": "s", "audiences": ["a"],
    });
    let federated_path = format!("{path}/federatedIdentityCredentials");
    graph.send("POST", &federated_path, federated).await;
    graph.send("DELETE", &path, Value::Null).await;
    let log = graph.get("auditLogs/directoryAudits?$top=100").await;
    let entries = log["value"].as_array().unwrap();
    let find = |name: &str, property: &str| {
        let fits = |entry: &&Value| {
            let targets = entry["targetResources"].as_array().unwrap();
            let mut properties =
                targets.iter().flat_map(|t| t["modifiedProperties"].as_array().unwrap());
            entry["activityDisplayName"] == *name
                && properties.any(|p| p["displayName"] == *property)
        };
        entries.iter().find(fits).unwrap_or_else(|| panic!("{name} {property}: {log}"))
    };
    for (name, property) in [
        ("Add service principal credentials", "KeyDescription"),
        ("Remove service principal credentials", "KeyDescription"),
        ("Update service principal", "AccountEnabled"),
        ("Update application", "DisplayName"),
        ("Update application", "FederatedIdentityCredentials"),
        ("Add owner to application", "Object.ObjectID"),
        ("Delete application", "Included Updated Properties"),
        ("Remove service principal", "TargetId.ServicePrincipalNames"),
    ] {
        find(name, property);
    }
    let renamed = find("Update application", "DisplayName");
    let modified = &renamed["targetResources"][0]["modifiedProperties"][0];
    assert_eq!(
        (&modified["oldValue"], &modified["newValue"]),
        (&json!("[\"test\"]"), &json!("[\"renamed\"]"))
    );
    let one = format!("auditLogs/directoryAudits/{}", renamed["id"].as_str().unwrap());
    assert_eq!(graph.get(&one).await["activityDisplayName"], renamed["activityDisplayName"]);
    let blind = world.graph(READ).await;
    assert_eq!(blind.try_get(&one).await.0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn an_administrators_change_is_logged_as_a_persons() {
    let world = World::new().await;
    let app = world.application(READ);
    let path = format!("applications/{}", app.registered.client_id);
    let order = json!({ "add_certificate": Key::shared().certificate, "enabled": false });
    world.admin("POST", &path, order).await;
    let log = world.admin("GET", "logs?kind=directory", Value::Null).await;
    assert!(log.as_array().unwrap().len() >= 2);
    for entry in log.as_array().unwrap() {
        let user = &entry["initiatedBy"]["user"];
        assert_eq!(user["userPrincipalName"], json!("admin@lab.example"), "{entry}");
    }
}

/// Asks the audit log for all accesses to mail.
async fn accesses(auditor: &Graph, more: Value) -> Vec<Value> {
    let mut query = json!({
        "displayName": "accesses",
        "filterStartDateTime": "2020-01-01T00:00:00Z",
        "filterEndDateTime": "2090-01-01T00:00:00Z",
        "operationFilters": ["MailItemsAccessed"],
        "recordTypeFilters": ["exchangeItemAggregated"],
    });
    for (name, value) in more.as_object().unwrap() {
        query[name] = value.clone();
    }
    let (status, made) = auditor.send("POST", "security/auditLog/queries", query).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    assert_eq!(made["status"], json!("notStarted"));
    let path = format!("security/auditLog/queries/{}", made["id"].as_str().unwrap());
    assert_eq!(auditor.get(&path).await["status"], json!("succeeded"));
    let mut link = format!("{path}/records?$top=2");
    let mut found = Vec::new();
    while !link.is_empty() {
        let page = auditor.get(&link).await;
        found.extend(page["value"].as_array().unwrap().iter().cloned());
        link = page["@odata.nextLink"].as_str().unwrap_or_default().to_owned();
    }
    found
}

#[tokio::test]
async fn whoever_reads_a_message_is_in_the_audit_log_with_their_token() {
    let world = World::new().await;
    world.admin("POST", "entra", json!({ "mail_items_accessed": { "lists": false } })).await;
    let app = world.application(READ);
    let reader = world.as_application(&app).await;
    let auditor = world.graph(AUDITOR).await;
    let base = format!("users/{}/messages", world.mailbox(0));
    let list = reader.get(&format!("{base}?$top=3&$select=id,internetMessageId")).await;
    let messages = list["value"].as_array().unwrap();
    let request = Uuid::new_v4();
    for message in messages {
        let path = format!("{base}/{}", message["id"].as_str().unwrap());
        let answer = reader.request("GET", &path).header("client-request-id", request.to_string());
        assert_eq!(answer.send().await.unwrap().status(), StatusCode::OK);
        // Its content, too; and once more.
        for _ in 0..2 {
            let answer = reader.request("GET", &format!("{path}/$value")).send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK);
        }
    }
    assert_eq!(accesses(&auditor, json!({})).await.len(), 0, "a record takes two minutes");
    world.admin("POST", "clock", json!({ "offset_seconds": 125 })).await;
    let found = accesses(&auditor, json!({})).await;
    let [record] = found.as_slice() else { panic!("{found:?}") };
    let data = &record["auditData"];
    assert_eq!(data["OperationCount"], json!(3));
    assert_eq!((&data["RecordType"], &record["userType"]), (&json!(50), &json!("application")));
    assert_eq!(data["MailboxOwnerUPN"], json!(world.mailbox(0)));
    assert_eq!(data["ClientRequestId"], json!(request));
    assert_eq!(data["ClientAppId"], json!(app.registered.client_id));
    let sign_in = world.admin("GET", "logs?kind=signin", Value::Null).await;
    assert_eq!(data["AppAccessContext"]["UniqueTokenId"], sign_in[0]["uniqueTokenIdentifier"]);
    let mut told: Vec<&Value> = data["Folders"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|folder| folder["FolderItems"].as_array().unwrap())
        .map(|item| &item["InternetMessageId"])
        .collect();
    let mut read: Vec<&Value> = messages.iter().map(|one| &one["internetMessageId"]).collect();
    told.sort_by_key(|id| id.to_string());
    read.sort_by_key(|id| id.to_string());
    assert_eq!(told, read);

    // Within the hour the same is not told again, with another token it is.
    let path = format!("{base}/{}", messages[0]["id"].as_str().unwrap());
    reader.get(&path).await;
    let other = world.as_application(&app).await;
    other.get(&path).await;
    world.admin("POST", "clock", json!({ "offset_seconds": 300 })).await;
    let found = accesses(&auditor, json!({})).await;
    assert_eq!(found.len(), 2);
    assert_eq!(found[1]["auditData"]["OperationCount"], json!(1));
    for (name, value, count) in [
        ("operationFilters", json!(["Send"]), 0),
        ("recordTypeFilters", json!(["exchangeAdmin"]), 0),
        ("ipAddressFilters", json!(["127.0.0.1"]), 2),
        ("ipAddressFilters", json!(["127.0.0.9"]), 0),
        ("objectIdFilters", json!([world.mailbox(0)]), 2),
        ("objectIdFilters", json!([world.mailbox(1)]), 0),
        ("keywordFilter", json!(sign_in[0]["uniqueTokenIdentifier"]), 1),
        ("filterEndDateTime", json!("2021-01-01T00:00:00Z"), 0),
    ] {
        let found = accesses(&auditor, json!({ name: value })).await;
        assert_eq!(found.len(), count, "{name}");
    }
    let (status, _) = reader.send("POST", "security/auditLog/queries", json!({})).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_first_backup_silences_the_audit_log_of_a_mailbox() {
    let world = World::new().await;
    let settings = json!({ "mail_items_accessed": { "most_records": 2, "delay": 600 } });
    world.admin("POST", "entra", settings).await;
    let app = world.application(READ);
    let auditor = world.graph(AUDITOR).await;
    let base = format!("users/{}/mailFolders/inbox/messages/delta?$select=id", world.mailbox(0));
    for _ in 0..4 {
        // Each token is a context of its own, and so has a record of its own.
        let reader = world.as_application(&app).await;
        assert!(!reader.round(&base, 100).await.0.is_empty());
    }
    world.admin("POST", "clock", json!({ "offset_seconds": 700 })).await;
    assert_eq!(accesses(&auditor, json!({})).await.len(), 0, "the log is late");
    world.admin("POST", "clock", json!({ "offset_seconds": 730 })).await;
    let found = accesses(&auditor, json!({})).await;
    let throttled: Vec<&Value> = found
        .iter()
        .map(|record| &record["auditData"]["OperationProperties"][1]["Value"])
        .collect();
    assert_eq!(throttled, [&json!("False"), &json!("False"), &json!("True")]);
    // A day later it speaks again.
    let day = 86_400 + 5;
    world.admin("POST", "clock", json!({ "offset_seconds": day })).await;
    let reader = world.as_application_at(&app, day).await;
    reader.round(&base, 100).await;
    world.admin("POST", "clock", json!({ "offset_seconds": day + 730 })).await;
    let log = world.admin("GET", "logs?kind=mail", Value::Null).await;
    assert_eq!(log.as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn the_export_of_requests_to_graph_bears_token_and_request() {
    let world = World::new().await;
    let app = world.application(READ);
    let reader = world.as_application(&app).await;
    let request = Uuid::new_v4().to_string();
    let path = format!("users/{}/mailFolders/inbox", world.mailbox(0));
    let answer = reader.request("GET", &path).header("client-request-id", &request);
    let answer = answer.header("user-agent", "backup/1").send().await.unwrap();
    let request_id = answer.headers()["request-id"].to_str().unwrap().to_owned();
    let export = world.admin("GET", "logs?kind=activity-export", Value::Null).await;
    let line = &export["records"][0];
    assert_eq!(line["category"], json!("MicrosoftGraphActivityLogs"));
    let properties = &line["properties"];
    let sign_in = world.admin("GET", "logs?kind=signin", Value::Null).await;
    for (name, value) in [
        ("signInActivityId", sign_in[0]["uniqueTokenIdentifier"].clone()),
        ("requestId", json!(request_id)),
        ("clientRequestId", json!(request)),
        ("appId", json!(app.registered.client_id)),
        ("servicePrincipalId", json!(app.registered.service_principal_id)),
        ("requestMethod", json!("GET")),
        ("responseStatusCode", json!(200)),
        ("userAgent", json!("backup/1")),
        ("apiVersion", json!("v1.0")),
    ] {
        assert_eq!(properties[name], value, "{name}");
    }
    world.admin("POST", "entra", json!({ "graph_activity": { "delay": 1800 } })).await;
    let export = world.admin("GET", "logs?kind=activity-export", Value::Null).await;
    assert_eq!(export["records"], json!([]));
    world
        .admin("POST", "entra", json!({ "graph_activity": { "licensed": false, "delay": 0 } }))
        .await;
    reader.get(&path).await;
    let log = world.admin("GET", "logs?kind=activity", Value::Null).await;
    assert_eq!(log.as_array().unwrap().len(), 1, "what was not logged does not come later");
}

#[tokio::test]
async fn the_activity_feed_tells_accesses_in_blobs_from_the_subscription_on() {
    let world = World::new().await;
    let app = world.application(&["ActivityFeed.Read", "Mail.Read"]);
    let mut form = app.form();
    form[2].1 = "https://manage.office.com/.default".to_owned();
    let (status, body) = world.ask_token(&app, &form).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let token = body["access_token"].as_str().unwrap().to_owned();
    let authority = &world.lab.description().authority;
    let root = format!("{authority}/api/v1.0/{}/activity/feed", world.tenant());
    let feed = Graph {
        http: world.http.clone(),
        base: root.clone(),
        token,
        client_id: app.registered.client_id,
    };
    let kind = "contentType=Audit.Exchange";
    let refused = |method: &'static str, path: String| {
        let feed = feed.clone();
        async move {
            let (status, body) = feed.send(method, &path, Value::Null).await;
            (status.as_u16(), body["error"]["code"].as_str().unwrap().to_owned())
        }
    };
    let no_subscription = (400, "AF20022".to_owned());
    assert_eq!(refused("GET", format!("subscriptions/content?{kind}")).await, no_subscription);
    let unknown = "subscriptions/start?contentType=Audit.Nothing".to_owned();
    assert_eq!(refused("POST", unknown).await, (400, "AF20020".to_owned()));

    // What was read before the subscription is never told.
    let reader = world.as_application(&app).await;
    let base = format!("users/{}/messages", world.mailbox(0));
    let list = reader.get(&format!("{base}?$top=2&$select=id")).await;
    world.admin("POST", "clock", json!({ "offset_seconds": 400 })).await;
    let (status, started) =
        feed.send("POST", &format!("subscriptions/start?{kind}"), Value::Null).await;
    assert_eq!((status, &started["status"]), (StatusCode::OK, &json!("enabled")));
    let again = refused("POST", format!("subscriptions/start?{kind}")).await;
    assert_eq!(again, (400, "AF20024".to_owned()));
    assert_eq!(feed.get("subscriptions/list").await[0]["contentType"], json!("Audit.Exchange"));
    let id = list["value"][0]["id"].as_str().unwrap();
    let reader = world.as_application_at(&app, 400).await;
    reader.get(&format!("{base}/{id}")).await;
    world.admin("POST", "clock", json!({ "offset_seconds": 1200 })).await;
    let content = feed.get(&format!("subscriptions/content?{kind}")).await;
    let [blob] = content.as_array().unwrap().as_slice() else { panic!("{content}") };
    let records = feed.get(blob["contentUri"].as_str().unwrap()).await;
    let [record] = records.as_array().unwrap().as_slice() else { panic!("{records}") };
    assert_eq!(
        (&record["Operation"], &record["OperationCount"]),
        (&json!("MailItemsAccessed"), &json!(1))
    );
    assert_eq!(record["AppAccessContext"]["ClientAppId"], json!(app.registered.client_id));

    for (times, code) in [
        ("startTime=2026-01-01T00:00&endTime=2026-01-01T01:00", "AF20030"),
        ("startTime=2026-01-01", "AF20030"),
        ("startTime=x&endTime=y", "AF20030"),
        ("nextPage=x", "AF20031"),
    ] {
        let path = format!("subscriptions/content?{kind}&{times}");
        assert_eq!(refused("GET", path).await, (400, code.to_owned()));
    }
    let eight_days = 8 * 86_400;
    world.admin("POST", "clock", json!({ "offset_seconds": eight_days })).await;
    assert_eq!(refused("GET", "subscriptions/list".to_owned()).await.0, 401, "the token expired");
    world.admin("POST", "clock", json!({ "offset_seconds": 1200 })).await;
    assert_eq!(refused("GET", "audit/0$AuditExchange".to_owned()).await.1, "AF20051");
    assert_eq!(refused("GET", "audit/x".to_owned()).await.1, "AF20052");

    // Each resource takes its own tokens, each token has its own rights.
    let for_graph = Graph { base: root, ..reader.clone() };
    assert_eq!(for_graph.try_get("subscriptions/list").await.0, StatusCode::UNAUTHORIZED);
    let for_feed = Graph { base: reader.base.clone(), ..feed.clone() };
    assert_eq!(for_feed.try_get(&base).await.0, StatusCode::UNAUTHORIZED);
    let (status, _) = feed.send("POST", &format!("subscriptions/stop?{kind}"), Value::Null).await;
    assert_eq!(status, StatusCode::OK);
}
