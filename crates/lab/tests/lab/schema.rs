//! What the lab answers has the names and types of the real service's schema.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::world::{Graph, PERSONAL, WRITE, World, shared_data};

/// The digest of Graph's schema: type name to properties with their types.
struct Schema(Value);

impl Schema {
    fn load() -> Option<Self> {
        let path = shared_data()?.join("graph/v1.0-subset.json");
        let text = std::fs::read_to_string(path).ok()?;
        Some(Self(serde_json::from_str(&text).unwrap()))
    }

    /// Properties and navigations of a type and those that it derives from.
    fn properties(&self, kind: &str) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        let mut kind = Some(kind.to_owned());
        while let Some(name) = kind {
            let definition = &self.0["types"][&name];
            assert!(definition.is_object(), "no type {name}");
            for group in ["properties", "navigation"] {
                for (property, of) in definition[group].as_object().into_iter().flatten() {
                    found.insert(property.clone(), of.as_str().unwrap().to_owned());
                }
            }
            kind = definition["BaseType"].as_str().map(str::to_owned);
        }
        found
    }

    fn check(&self, kind: &str, value: &Value, place: &str) {
        let properties = self.properties(kind);
        for (name, value) in value.as_object().unwrap_or_else(|| panic!("{place}: {value}")) {
            if name.starts_with('@') {
                continue;
            }
            let of =
                properties.get(name).unwrap_or_else(|| panic!("{place}: {kind} has no {name}"));
            self.check_value(of, value, &format!("{place}.{name}"));
        }
    }

    fn check_value(&self, of: &str, value: &Value, place: &str) {
        let of = of.trim_end_matches(" contained");
        let required = of.ends_with(" !");
        let of = of.trim_end_matches(" !");
        if value.is_null() {
            assert!(!required, "{place} must not be null");
            return;
        }
        if let Some(inner) = of.strip_prefix("Collection(").and_then(|r| r.strip_suffix(')')) {
            for element in value.as_array().unwrap_or_else(|| panic!("{place}: {value}")) {
                self.check_value(inner, element, place);
            }
            return;
        }
        let fits = match of {
            "Edm.String" | "Edm.Guid" => value.is_string(),
            "Edm.Binary" => value.is_string(),
            "Edm.Boolean" => value.is_boolean(),
            "Edm.Int32" | "Edm.Int64" => value.is_i64(),
            "Edm.Double" => value.is_number(),
            "Edm.Date" => value.as_str().is_some_and(|day| {
                let format = time::macros::format_description!("[year]-[month]-[day]");
                time::Date::parse(day, format).is_ok()
            }),
            "Edm.DateTimeOffset" => {
                let format = &time::format_description::well_known::Rfc3339;
                value.as_str().is_some_and(|t| time::OffsetDateTime::parse(t, format).is_ok())
            }
            _ => {
                let name = of.replacen("graph.", "microsoft.graph.", 1);
                let actual = value.get("@odata.type").and_then(Value::as_str);
                let name = actual.map_or(name, |a| a.trim_start_matches('#').to_owned());
                let members = self.0["types"][&name]["members"].as_array();
                match members {
                    Some(members) => members.iter().any(|m| m[0] == *value),
                    None => {
                        self.check(&name, value, place);
                        true
                    }
                }
            }
        };
        assert!(fits, "{place}: {value} is no {of}");
    }
}

async fn elements(graph: &Graph, path: &str) -> Vec<Value> {
    let answer = graph.get(path).await;
    assert!(answer["@odata.context"].is_string(), "{path}");
    answer["value"].as_array().unwrap().clone()
}

#[tokio::test]
async fn answers_are_made_of_properties_that_graph_has() {
    let Some(schema) = Schema::load() else {
        eprintln!("skipped, because graph/v1.0-subset.json is absent");
        return;
    };
    let world = World::new().await;
    let rights: Vec<&str> =
        [WRITE, PERSONAL, &["AuditLog.Read.All", "Directory.Read.All"]].concat();
    let order = json!({ "mailbox": world.mailbox(1), "events": 28, "contacts": 28 });
    world.admin("POST", "generate", order).await;
    let graph = world.graph(&rights).await;
    let base = format!("users/{}", world.mailbox(1));
    let mut checked = 0;
    let every = "createdDateTime,city,country,department,proxyAddresses,otherMails,userType,accountEnabled,mailNickname,businessPhones,mail";
    let size = "$expand=singleValueExtendedProperties($filter=id eq 'Long 0x0E08'),attachments";
    for (path, kind) in [
        ("organization".to_owned(), "organization"),
        ("users".to_owned(), "user"),
        (format!("users?$select={every}"), "user"),
        (format!("{base}/mailFolders?$top=100"), "mailFolder"),
        (format!("{base}/mailFolders/delta"), "mailFolder"),
        (format!("{base}/messages?$top=100&{size}"), "message"),
        (format!("{base}/messages?$select=internetMessageHeaders,uniqueBody"), "message"),
        (format!("{base}/mailFolders/inbox/messages/delta?$top=100"), "message"),
        (format!("{base}/calendars"), "calendar"),
        (format!("{base}/events?$top=100&$expand=attachments"), "event"),
        (format!("{base}/contactFolders?$top=100"), "contactFolder"),
        (format!("{base}/contacts?$top=100&$select=*,primaryEmailAddress"), "contact"),
        (format!("{base}/contactFolders/contacts/contacts/delta?$top=100"), "contact"),
    ] {
        for element in elements(&graph, &path).await {
            schema.check(&format!("microsoft.graph.{kind}"), &element, kind);
            checked += 1;
        }
    }
    assert!(checked > 90, "{checked}");
    let one = elements(&graph, &format!("{base}/messages?$top=1")).await;
    let path = format!("{base}/messages/{}", one[0]["id"].as_str().unwrap());
    schema.check("microsoft.graph.message", &graph.get(&path).await, "message");
    for event in elements(&graph, &format!("{base}/events?$top=100&$select=type")).await {
        let path = format!("{base}/events/{}", event["id"].as_str().unwrap());
        let every = "$select=*,exceptionOccurrences,cancelledOccurrences&$expand=exceptionOccurrences,attachments";
        let full = graph.get(&format!("{path}?{every}")).await;
        schema.check("microsoft.graph.event", &full, "event");
        if event["type"] == "seriesMaster" {
            let range = "startDateTime=2026-09-01&endDateTime=2027-09-01";
            for one in elements(&graph, &format!("{path}/instances?{range}")).await {
                schema.check("microsoft.graph.event", &one, "occurrence");
            }
        }
    }
    let (_, changed) = graph.send("PATCH", &path, json!({ "isRead": true })).await;
    schema.check("microsoft.graph.message", &changed, "patched message");
    let (_, made) =
        graph.send("POST", &format!("{base}/mailFolders"), json!({ "displayName": "x" })).await;
    schema.check("microsoft.graph.mailFolder", &made, "made folder");
}

#[tokio::test]
async fn sign_ins_have_the_fields_that_the_beta_documents() {
    let representation = shared_data()
        .map(|data| data.join("graph/representations/beta-resource-signin--1--representation.json"))
        .and_then(|path| std::fs::read_to_string(path).ok());
    let Some(representation) = representation else {
        eprintln!("skipped, because the representation of signIn is absent");
        return;
    };
    let known: Value = serde_json::from_str(&representation).unwrap();
    // Documented in the text of the page, not in its example.
    let more = [
        "uniqueTokenIdentifier",
        "clientCredentialType",
        "resourceServicePrincipalId",
        "incomingTokenType",
    ];
    let world = World::new().await;
    world.graph(WRITE).await;
    let log = world.admin("GET", "logs?kind=signin", Value::Null).await;
    for name in log[0].as_object().unwrap().keys() {
        assert!(known.get(name).is_some() || more.contains(&name.as_str()), "{name}");
    }
}

#[tokio::test]
async fn the_directory_is_made_of_properties_that_graph_has() {
    let Some(schema) = Schema::load() else {
        eprintln!("skipped, because graph/v1.0-subset.json is absent");
        return;
    };
    let world = World::new().await;
    let limits = json!({
        "concurrency": 4, "requests_per_ten_minutes": null, "upload_bytes_per_five_minutes": null,
    });
    world.admin("POST", "limits", limits).await;
    let app = world.application(&["Mail.Read", "Mail-Advanced.ReadWrite"]);
    world.token(&app).await;
    let rights = ["Application.ReadWrite.All", "AuditLog.Read.All", "Directory.Read.All"];
    let graph = world.graph(&rights).await;
    let application = format!("applications/{}", app.registered.object_id);
    let principal = format!("servicePrincipals/{}", app.registered.service_principal_id);
    let owner = format!("{}/directoryObjects/{}", graph.base, app.registered.service_principal_id);
    for (method, path, body) in [
        ("POST", format!("{application}/addPassword"), json!({})),
        ("POST", format!("{principal}/addPassword"), json!({})),
        ("POST", format!("{application}/owners/$ref"), json!({ "@odata.id": owner })),
        ("PATCH", application.clone(), json!({ "tags": ["x"], "description": "y", "web": {} })),
        ("PATCH", principal.clone(), json!({ "notes": "x", "accountEnabled": false })),
    ] {
        let (status, answer) = graph.send(method, &path, body).await;
        assert!(status.is_success(), "{path}: {answer}");
        if path.ends_with("addPassword") {
            schema.check("microsoft.graph.passwordCredential", &answer, &path);
        }
    }
    let federated = json!({
        "name": "x", "issuer": "https://i.example", "subject": "s", "audiences": ["a"],
    });
    let path = format!("{application}/federatedIdentityCredentials");
    let (_, made) = graph.send("POST", &path, federated).await;
    schema.check("microsoft.graph.federatedIdentityCredential", &made, "made credential");
    let (_, made) = graph.send("POST", "applications", json!({ "displayName": "x" })).await;
    schema.check("microsoft.graph.application", &made, "made application");
    let order = json!({ "appId": made["appId"] });
    let (_, made) = graph.send("POST", "servicePrincipals", order).await;
    schema.check("microsoft.graph.servicePrincipal", &made, "made service principal");
    world.admin("POST", "signins", json!({ "user": world.mailbox(0) })).await;
    for (path, kind) in [
        ("applications".to_owned(), "application"),
        ("servicePrincipals".to_owned(), "servicePrincipal"),
        (format!("{application}/owners"), "servicePrincipal"),
        (path, "federatedIdentityCredential"),
        (format!("{principal}/appRoleAssignments"), "appRoleAssignment"),
        ("auditLogs/directoryAudits".to_owned(), "directoryAudit"),
        ("auditLogs/signIns".to_owned(), "signIn"),
    ] {
        let all = elements(&graph, &path).await;
        assert!(!all.is_empty(), "{path}");
        for element in all {
            schema.check(&format!("microsoft.graph.{kind}"), &element, kind);
        }
    }
    let keys = graph.get(&format!("{application}?$select=id,keyCredentials")).await;
    schema.check("microsoft.graph.application", &keys, "keys");
    let log = world.admin("GET", "logs?kind=signin", Value::Null).await;
    let id = log[0]["id"].as_str().unwrap();
    let sign_in = graph.get(&format!("auditLogs/signIns/{id}")).await;
    assert_eq!(sign_in["servicePrincipalId"], json!(app.registered.service_principal_id));
    schema.check("microsoft.graph.signIn", &sign_in, "sign-in of an application");
}
