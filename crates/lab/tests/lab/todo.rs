//! To Do: lists, tasks and what belongs to them.

use data_encoding::BASE64;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::world::{Graph, World};

const ALL: &[&str] = &["Tasks.ReadWrite.All", "User.Read.All"];

async fn default_list(graph: &Graph, user: &str) -> String {
    let lists = graph.get(&format!("{user}/todo/lists")).await;
    let all = lists["value"].as_array().unwrap();
    let tasks = all.iter().find(|list| list["wellknownListName"] == "defaultList").unwrap();
    format!("{user}/todo/lists/{}", tasks["id"].as_str().unwrap())
}

#[tokio::test]
async fn lists_come_and_go_but_for_those_that_every_mailbox_has() {
    let world = World::new().await;
    let graph = world.graph(ALL).await;
    let user = format!("users/{}", world.mailbox(0));
    let lists = format!("{user}/todo/lists");
    let (first, link) = graph.round(&format!("{lists}/delta"), 1).await;
    let roles: Vec<&Value> = first.iter().map(|list| &list["wellknownListName"]).collect();
    assert_eq!(roles, ["defaultList", "flaggedEmails"]);
    let (status, made) = graph.send("POST", &lists, json!({ "displayName": "Errands" })).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let path = format!("{lists}/{}", made["id"].as_str().unwrap());
    let (_, renamed) = graph.send("PATCH", &path, json!({ "displayName": "Ways" })).await;
    assert_eq!((&renamed["displayName"], &renamed["id"]), (&json!("Ways"), &made["id"]));
    let (second, link) = graph.round(&link, 5).await;
    assert_eq!(second.len(), 1);
    assert_eq!(second[0]["displayName"], json!("Ways"));
    assert_eq!(graph.send("DELETE", &path, Value::Null).await.0, StatusCode::NO_CONTENT);
    let (third, _) = graph.round(&link, 5).await;
    assert_eq!((&third[0]["id"], third.len()), (&made["id"], 1));
    assert!(third[0].get("@removed").is_some());
    let tasks = default_list(&graph, &user).await;
    assert!(graph.send("DELETE", &tasks, Value::Null).await.0.is_client_error());
    assert!(graph.send("POST", &lists, json!({})).await.0.is_client_error());
    let (status, _) = world
        .graph(&["Tasks.Read.All"])
        .await
        .send("POST", &lists, json!({ "displayName": "x" }))
        .await;
    assert_eq!(status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_task_keeps_what_it_is_given_and_its_delta_tells_what_changed() {
    let world = World::new().await;
    let graph = world.graph(ALL).await;
    let user = format!("users/{}", world.mailbox(0));
    let tasks = format!("{}/tasks", default_list(&graph, &user).await);
    let (none, link) = graph.round(&format!("{tasks}/delta"), 5).await;
    assert_eq!(none, [] as [Value; 0]);
    let zoned = |at: &str| json!({ "dateTime": at, "timeZone": "Eastern Standard Time" });
    let (status, made) = graph
        .send("POST", &tasks, json!({
            "title": "A new task",
            "body": { "content": "<p>Größe</p>", "contentType": "html" },
            "categories": ["Important"],
            "importance": "high",
            "isReminderOn": true,
            "reminderDateTime": zoned("2026-12-01T09:00:00"),
            "dueDateTime": zoned("2026-12-02T00:00:00.0000000"),
            "recurrence": {
                "pattern": { "type": "weekly", "interval": 1, "daysOfWeek": ["monday"] },
                "range": { "type": "noEnd", "startDate": "2026-12-02" },
            },
            "linkedResources": [{ "webUrl": "https://a.example", "applicationName": "A", "displayName": "A" }],
        }))
        .await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    assert_eq!(made["dueDateTime"], zoned("2026-12-02T00:00:00.0000000"));
    assert_eq!(made["linkedResources"][0]["webUrl"], json!("https://a.example"));
    let (pattern, range) = (&made["recurrence"]["pattern"], &made["recurrence"]["range"]);
    assert_eq!((&pattern["index"], &pattern["dayOfMonth"]), (&json!("first"), &json!(0)));
    assert_eq!(range["endDate"], json!("0001-01-01"), "all of it is told, as of an event");
    let path = format!("{tasks}/{}", made["id"].as_str().unwrap());
    let (_, done) = graph.send("PATCH", &path, json!({ "status": "completed" })).await;
    assert!(done["completedDateTime"]["dateTime"].is_string());
    assert_eq!(done["title"], made["title"]);
    let (_, open) = graph.send("PATCH", &path, json!({ "status": "inProgress" })).await;
    assert!(open.get("completedDateTime").is_none());
    let (_, cleared) = graph.send("PATCH", &path, json!({ "reminderDateTime": null })).await;
    assert!(cleared.get("reminderDateTime").is_none());
    let (second, link) = graph.round(&link, 5).await;
    assert_eq!(second.len(), 1, "the last state only");
    assert_eq!(second[0]["status"], json!("inProgress"));
    for bad in [
        json!({ "title": "x", "status": "sometime" }),
        json!({ "title": "x", "recurrence": made["recurrence"] }),
        json!({ "title": "x", "createdDateTime": "2026-12-01T00:00:00Z" }),
        json!({ "title": "" }),
        json!({ "colour": "red", "title": "x" }),
    ] {
        assert_eq!(
            graph.send("POST", &tasks, bad.clone()).await.0,
            StatusCode::BAD_REQUEST,
            "{bad}"
        );
    }
    assert_eq!(graph.send("DELETE", &path, Value::Null).await.0, StatusCode::NO_CONTENT);
    let (third, _) = graph.round(&link, 5).await;
    assert_eq!((third[0]["id"].clone(), third.len()), (made["id"].clone(), 1));
    assert_eq!(graph.try_get(&path).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn steps_links_and_files_belong_to_their_task() {
    let world = World::new().await;
    let graph = world.graph(ALL).await;
    let user = format!("users/{}", world.mailbox(0));
    let list = default_list(&graph, &user).await;
    let (_, task) = graph.send("POST", &format!("{list}/tasks"), json!({ "title": "t" })).await;
    let task = format!("{list}/tasks/{}", task["id"].as_str().unwrap());
    let (_, link) = graph.round(&format!("{list}/tasks/delta"), 5).await;

    let steps = format!("{task}/checklistItems");
    let (status, step) = graph.send("POST", &steps, json!({ "displayName": "buy cake" })).await;
    assert_eq!((status, &step["isChecked"]), (StatusCode::CREATED, &json!(false)));
    let one = format!("{steps}/{}", step["id"].as_str().unwrap());
    let (_, checked) = graph.send("PATCH", &one, json!({ "isChecked": true })).await;
    assert!(checked["checkedDateTime"].is_string());
    assert_eq!(graph.get(&one).await["isChecked"], json!(true));

    let links = format!("{task}/linkedResources");
    let resource = json!({ "webUrl": "https://a.example", "applicationName": "A", "displayName": "A", "externalId": "1" });
    let (status, linked) = graph.send("POST", &links, resource).await;
    assert_eq!(status, StatusCode::CREATED);
    assert_eq!(graph.get(&links).await["value"][0]["id"], linked["id"]);

    let files = format!("{task}/attachments");
    let file = json!({
        "@odata.type": "#microsoft.graph.taskFileAttachment", "name": "smile", "contentType": "text/plain",
        "contentBytes": BASE64.encode(b"smile"),
    });
    let (status, attached) = graph.send("POST", &files, file).await;
    assert_eq!((status, &attached["size"]), (StatusCode::CREATED, &json!(5)), "{attached}");
    assert_eq!(graph.get(&task).await["hasAttachments"], json!(true));
    let listed = graph.get(&files).await;
    assert!(listed["value"][0].get("contentBytes").is_none(), "lists have no content");
    let one = format!("{files}/{}", attached["id"].as_str().unwrap());
    assert_eq!(graph.get(&one).await["contentBytes"], json!(BASE64.encode(b"smile")));
    let value = graph.request("GET", &format!("{one}/$value")).send().await.unwrap();
    assert_eq!(value.bytes().await.unwrap(), b"smile"[..]);
    let (changed, _) = graph.round(&link, 5).await;
    assert_eq!(changed.len(), 1, "what belongs to a task changes it");
    assert_eq!(graph.send("DELETE", &one, Value::Null).await.0, StatusCode::NO_CONTENT);
    assert_eq!(graph.get(&task).await["hasAttachments"], json!(false));
    for bad in [
        json!({ "@odata.type": "#microsoft.graph.taskFileAttachment", "name": "x" }),
        json!({ "@odata.type": "#microsoft.graph.fileAttachment", "name": "x", "contentBytes": "" }),
    ] {
        assert_eq!(graph.send("POST", &files, bad).await.0, StatusCode::BAD_REQUEST);
    }
    for path in
        [format!("{task}x"), format!("{steps}/x"), format!("{files}/x"), format!("{task}/x")]
    {
        assert!(graph.try_get(&path).await.0.is_client_error(), "{path}");
    }
}

#[tokio::test]
async fn an_extension_is_made_with_its_task_and_shown_when_it_is_named() {
    let world = World::new().await;
    let graph = world.graph(ALL).await;
    let user = format!("users/{}", world.mailbox(0));
    let tasks = format!("{}/tasks", default_list(&graph, &user).await);
    let extension = |mark: &str| {
        json!({ "@odata.type": "microsoft.graph.openTypeExtension",
            "extensionName": "a.b", "mark": mark })
    };
    let body = json!({ "title": "x", "extensions": [extension("1")] });
    let (status, made) = graph.send("POST", &tasks, body).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let task = format!("{tasks}/{}", made["id"].as_str().unwrap());
    let shown = format!("{task}?$expand=extensions($filter=id eq 'A.B')");
    let expanded = graph.get(&shown).await;
    assert_eq!(expanded["extensions"][0]["mark"], json!("1"));
    assert_eq!(expanded["extensions"][0]["id"], json!("microsoft.graph.openTypeExtension.a.b"));
    assert!(graph.get(&task).await.get("extensions").is_none());
    let other = graph.get(&format!("{task}?$expand=extensions($filter=id eq 'c')")).await;
    assert_eq!(other["extensions"], json!([]));
    let one = format!("{task}/extensions/a.b");
    let (status, _) = graph.send("PATCH", &one, extension("2")).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(graph.get(&one).await["mark"], json!("2"));
    let again = graph.send("POST", &format!("{task}/extensions"), extension("3")).await;
    assert!(again.0.is_client_error(), "{}", again.1);
    assert_ne!(graph.get(&task).await["@odata.etag"], made["@odata.etag"]);
    assert_eq!(graph.send("DELETE", &one, Value::Null).await.0, StatusCode::NO_CONTENT);
    assert_eq!(graph.get(&shown).await["extensions"], json!([]));
    for odd in [
        json!({ "title": "x", "extensions": [{ "extensionName": "a" }] }),
        json!({ "title": "x", "extensions": [7] }),
        // So does To Do, whatever the schema says.
        json!({ "title": "x", "linkedResources": [{ "displayName": "a" }, { "displayName": "b" }] }),
    ] {
        assert!(graph.send("POST", &tasks, odd.clone()).await.0.is_client_error(), "{odd}");
    }
    let all = graph.send("GET", &format!("{task}?$expand=extensions"), Value::Null).await;
    assert!(all.0.is_client_error());
}
