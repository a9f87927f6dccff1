//! What the lab answers has the names and types of the real service's schema: every operation of
//! the lab is asked for, and every answer is looked at.

mod digest;
mod directory;
mod kinds;
mod mailbox;
mod run;

use serde_json::{Value, json};

use crate::world::{Graph, WRITE, World, shared_data};
use digest::Schema;
use run::Run;

#[tokio::test]
async fn every_operation_answers_with_properties_that_graph_has() {
    let Some(schema) = Schema::load() else {
        eprintln!("skipped, because graph/v1.0-subset.json is absent");
        return;
    };
    let world = World::new().await;
    let mut run = Run::new(&world, schema).await;
    mailbox::mail(&mut run).await;
    mailbox::attachments(&mut run).await;
    mailbox::calendars(&mut run).await;
    mailbox::contacts(&mut run).await;
    mailbox::outlook(&mut run).await;
    mailbox::tasks(&mut run).await;
    mailbox::exchange(&mut run).await;
    mailbox::subscriptions(&mut run).await;
    directory::people(&mut run).await;
    directory::applications(&mut run).await;
    directory::logs(&mut run).await;
    run.finish().await;
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

async fn elements(graph: &Graph, path: &str) -> Vec<Value> {
    let answer = graph.get(path).await;
    assert!(answer["@odata.context"].is_string(), "{path}");
    answer["value"].as_array().unwrap().clone()
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
    let app = world.application(&["Mail.Read", "Mail-Advanced.ReadWrite.All"]);
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
