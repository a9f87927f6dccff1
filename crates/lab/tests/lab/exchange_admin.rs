//! What administrators of Exchange change, and what that does to mail and to the log.

use serde_json::{Value, json};

use crate::world::{Graph, World};

async fn run(world: &World, command: &str, parameters: Value) -> Value {
    let order = json!({ "command": command, "parameters": parameters, "address": "127.0.0.9" });
    world.admin("POST", "exchange", order).await
}

async fn is_refused(world: &World, command: &str, parameters: Value) -> bool {
    let order = json!({ "command": command, "parameters": parameters });
    world.try_admin("POST", "exchange", order).await.0.as_u16() == 400
}

/// What a query of the audit log finds.
async fn records(world: &World, filters: Value) -> Vec<Value> {
    let graph = world.graph(&["AuditLogsQuery-Exchange.Read.All"]).await;
    let mut order = json!({
        "filterStartDateTime": "2020-01-01T00:00:00Z",
        "filterEndDateTime": "2100-01-01T00:00:00Z",
    });
    order.as_object_mut().unwrap().extend(filters.as_object().unwrap().clone());
    let (_, query) = graph.send("POST", "security/auditLog/queries", order).await;
    let path = format!("security/auditLog/queries/{}/records", query["id"].as_str().unwrap());
    graph.get(&path).await["value"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_command_is_carried_out_and_stands_in_the_audit_log_after_its_delay() {
    let world = World::new().await;
    world.admin("POST", "entra", json!({ "exchange_admin": { "delay": 60 } })).await;
    let rule = json!({ "Name": "Copy", "BlindCopyTo": "eve@elsewhere.example" });
    let made = run(&world, "New-TransportRule", rule.clone()).await;
    assert_eq!(made["objects"], json!([rule]));
    let all = json!({ "recordTypeFilters": ["exchangeAdmin"] });
    assert!(records(&world, all.clone()).await.is_empty(), "it takes its time");
    world.admin("POST", "clock", json!({ "offset_seconds": 61 })).await;
    let [one] = &records(&world, all.clone()).await[..] else { panic!("one record") };
    assert_eq!(one["auditLogRecordType"], "exchangeAdmin");
    let data = &one["auditData"];
    assert_eq!((&data["Operation"], &data["RecordType"]), (&json!("New-TransportRule"), &json!(1)));
    assert!(data["ClientIP"].as_str().unwrap().starts_with("127.0.0.9"), "{data}");
    let parameter = json!({ "Name": "BlindCopyTo", "Value": "eve@elsewhere.example" });
    assert!(data["Parameters"].as_array().unwrap().contains(&parameter), "{data}");
    let other = json!({ "operationFilters": ["New-JournalRule"] });
    assert!(records(&world, other).await.is_empty());
    run(&world, "Remove-TransportRule", json!({ "Identity": "Copy" })).await;
    world.admin("POST", "clock", json!({ "offset_seconds": 200 })).await;
    assert_eq!(records(&world, all).await.len(), 2);
}

#[tokio::test]
async fn what_does_not_exist_is_refused_and_not_logged() {
    let world = World::new().await;
    for (command, parameters) in [
        ("New-Mischief", json!({})),
        ("TransportRule", json!({})),
        ("Enable-InboundConnector", json!({ "Identity": "x" })),
        ("New-TransportRule", json!({})),
        ("New-TransportRule", json!({ "Name": "x", "SendTo": "y" })),
        ("New-JournalRule", json!({ "Name": "x" })),
        ("Set-TransportRule", json!({ "Identity": "nobody" })),
        ("Remove-JournalRule", json!({ "Identity": "nobody" })),
    ] {
        assert!(is_refused(&world, command, parameters.clone()).await, "{command} {parameters}");
    }
    run(&world, "New-TransportRule", json!({ "Name": "x" })).await;
    assert!(is_refused(&world, "New-TransportRule", json!({ "Name": "X" })).await, "it is there");
    run(
        &world,
        "Set-MailboxAuditBypassAssociation",
        json!({ "Identity": "eve@lab.example", "AuditBypassEnabled": "True" }),
    )
    .await;
    assert_eq!(records(&world, json!({})).await.len(), 2);
}

async fn send(graph: &Graph, world: &World) {
    let path = format!("users/{}/sendMail", world.mailbox(0));
    let to = json!([{ "emailAddress": { "address": world.mailbox(1) } }]);
    let message = json!({ "subject": "Lunch", "toRecipients": to });
    let order = json!({ "message": message, "saveToSentItems": false });
    assert_eq!(graph.send("POST", &path, order).await.0.as_u16(), 202);
}

async fn arrived(world: &World) -> [usize; 3] {
    let graph = world.graph(&["Mail.Read"]).await;
    let mut counts = [0; 3];
    for (number, count) in counts.iter_mut().enumerate() {
        let inbox = format!("users/{}/mailFolders/inbox/messages", world.mailbox(number));
        let found = graph.get(&format!("{inbox}?$filter=subject eq 'Lunch'")).await;
        *count = found["value"].as_array().unwrap().len();
    }
    counts
}

#[tokio::test]
async fn rules_do_to_mail_what_they_say_until_they_are_switched_off() {
    let world = World::new().await;
    let graph = world.graph(&["Mail.Send"]).await;
    run(&world, "New-TransportRule", json!({ "Name": "Copy", "BlindCopyTo": world.mailbox(2) }))
        .await;
    send(&graph, &world).await;
    assert_eq!(arrived(&world).await, [0, 1, 1]);
    run(&world, "Disable-TransportRule", json!({ "Identity": "Copy" })).await;
    let journal = json!({ "Name": "J", "JournalEmailAddress": world.mailbox(0) });
    run(&world, "New-JournalRule", journal).await;
    send(&graph, &world).await;
    assert_eq!(arrived(&world).await, [1, 2, 1]);
    let delete = json!({ "Name": "Gone", "From": world.mailbox(0), "SubjectContainsWords": "lunch", "DeleteMessage": "True" });
    run(&world, "New-TransportRule", delete).await;
    send(&graph, &world).await;
    assert_eq!(arrived(&world).await, [1, 2, 1]);
}

#[tokio::test]
async fn a_snapshot_of_the_configuration_is_ordered_waited_for_and_read() {
    let world = World::new().await;
    world
        .admin("POST", "entra", json!({ "configuration": { "delay": 60, "granted": true } }))
        .await;
    run(&world, "New-TransportRule", json!({ "Name": "Copy", "BlindCopyTo": "a@b.example" })).await;
    let graph = world.graph(&["ConfigurationMonitoring.ReadWrite.All"]).await;
    let looks = world.graph(&["ConfigurationMonitoring.Read.All"]).await;
    let create = "admin/configurationManagement/configurationSnapshots/createSnapshot";
    let rules = json!(["microsoft.exchange.transportRule", "microsoft.exchange.journalrule"]);
    let order = |name: &str| json!({ "displayName": name, "description": "x", "resources": rules });
    assert_eq!(looks.send("POST", create, order("Snapshot 1")).await.0.as_u16(), 403);
    for bad in [
        order("short"),
        order("with: signs in it"),
        json!({ "displayName": "Snapshot 1" }),
        json!({ "displayName": "Snapshot 1", "resources": ["microsoft.exchange.auditbypass"] }),
        json!({ "displayName": "Snapshot 1", "resources": rules, "kind": "all" }),
    ] {
        assert_eq!(graph.send("POST", create, bad.clone()).await.0.as_u16(), 400, "{bad}");
    }
    let (status, job) = graph.send("POST", create, order("Snapshot 1")).await;
    assert_eq!((status.as_u16(), &job["status"]), (200, &json!("notStarted")));
    assert_eq!(graph.send("POST", create, order("Snapshot 1")).await.0.as_u16(), 409);
    let path = format!(
        "admin/configurationManagement/configurationSnapshotJobs/{}",
        job["id"].as_str().unwrap()
    );
    assert_eq!(looks.get(&path).await["status"], "running");
    // What is changed while it runs is not in it.
    run(&world, "Remove-TransportRule", json!({ "Identity": "Copy" })).await;
    world.admin("POST", "clock", json!({ "offset_seconds": 61 })).await;
    let done = looks.get(&path).await;
    assert_eq!(done["status"], "succeeded");
    let location = done["resourceLocation"].as_str().unwrap();
    let below = location.split("/v1.0/").nth(1).unwrap();
    let snapshot = looks.get(below).await;
    let [rule] = &snapshot["resources"].as_array().unwrap()[..] else { panic!("{snapshot}") };
    assert_eq!(rule["properties"]["BlindCopyTo"], "a@b.example");
    assert_eq!(graph.send("DELETE", &path, json!({})).await.0.as_u16(), 204);
    assert_eq!(looks.try_get(&path).await.0.as_u16(), 404);

    world
        .admin("POST", "entra", json!({ "configuration": { "delay": 0, "granted": false } }))
        .await;
    let (_, job) = graph.send("POST", create, order("Snapshot 2")).await;
    let path = path.rsplit_once('/').unwrap().0.to_owned() + "/" + job["id"].as_str().unwrap();
    let failed = looks.get(&path).await;
    assert_eq!((&failed["status"], &failed["resourceLocation"]), (&json!("failed"), &json!("")));
    for number in 0..11 {
        let (status, _) = graph.send("POST", create, order(&format!("Snapshot A{number}"))).await;
        assert_eq!(status.as_u16(), 200);
    }
    assert_eq!(graph.send("POST", create, order("Snapshot 99")).await.0.as_u16(), 400);
}
