//! Settings, inbox rules and categories, and what shared mailboxes are.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::world::World;

const ALL: &[&str] = &["MailboxSettings.ReadWrite", "Mail.Read", "User.Read.All"];

#[tokio::test]
async fn settings_keep_what_somebody_has_set_and_say_the_rest() {
    let world = World::new().await;
    let graph = world.graph(ALL).await;
    let path = format!("users/{}/mailboxSettings", world.mailbox(0));
    let first = graph.get(&path).await;
    assert_eq!(first["automaticRepliesSetting"]["status"], json!("disabled"));
    assert_eq!(first["userPurpose"], json!("user"));
    let zone = json!({
        "@odata.type": "#microsoft.graph.customTimeZone", "bias": -300, "name": "Customized Time Zone",
    });
    let (status, changed) = graph
        .send("PATCH", &path, json!({
            "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#Me/mailboxSettings",
            "automaticRepliesSetting": {
                "status": "Scheduled",
                "internalReplyMessage": "<p>Größe</p>",
                "scheduledStartDateTime": { "dateTime": "2026-03-20T18:00:00.0000000", "timeZone": "UTC" },
                "scheduledEndDateTime": { "dateTime": "2026-03-28T18:00:00.0000000", "timeZone": "UTC" },
            },
            "workingHours": { "endTime": "18:30:00.0000000", "daysOfWeek": ["Monday"], "timeZone": zone },
            "language": { "locale": "de-DE" },
        }))
        .await;
    assert_eq!(status, StatusCode::OK, "{changed}");
    assert!(changed.get("timeZone").is_none(), "what was not asked for is not answered");
    let now = graph.get(&path).await;
    let replies = &now["automaticRepliesSetting"];
    assert_eq!(
        (&replies["status"], &replies["externalAudience"]),
        (&json!("scheduled"), &json!("all"))
    );
    assert_eq!(replies, &changed["automaticRepliesSetting"]);
    assert_eq!(now["workingHours"]["startTime"], json!("08:00:00.0000000"));
    assert_eq!(now["workingHours"]["daysOfWeek"], json!(["monday"]));
    assert_eq!(now["workingHours"]["timeZone"]["bias"], json!(-300));
    assert_eq!(now["timeZone"], first["timeZone"]);
    assert_eq!(now["language"]["displayName"], json!("German (Germany)"), "as the locale has it");
    let part = graph.get(&format!("{path}/automaticRepliesSetting")).await;
    assert_eq!(part["internalReplyMessage"], json!("<p>Größe</p>"));
    assert_eq!(graph.get(&format!("{path}/userPurpose")).await["value"], json!("user"));
    let few = graph.get(&format!("{path}?$select=timeZone,dateFormat")).await;
    assert_eq!(few.as_object().unwrap().len(), 3);
    for bad in [
        json!({ "userPurpose": "shared" }),
        json!({ "timeZone": "Mars" }),
        json!({ "colour": "red" }),
        json!({ "automaticRepliesSetting": { "status": "sometimes" } }),
        json!({ "automaticRepliesSetting": {
            "scheduledEndDateTime": { "dateTime": "2026-03-01T18:00:00", "timeZone": "UTC" },
        } }),
    ] {
        assert_eq!(
            graph.send("PATCH", &path, bad.clone()).await.0,
            StatusCode::BAD_REQUEST,
            "{bad}"
        );
    }
    assert_eq!(graph.get(&path).await, now, "what was refused has changed nothing");
    let reader = world.graph(&["MailboxSettings.Read"]).await;
    assert_eq!(reader.get(&path).await, now);
    assert_eq!(reader.send("PATCH", &path, json!({})).await.0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn rules_are_made_changed_and_listed_in_their_order() {
    let world = World::new().await;
    let graph = world.graph(ALL).await;
    let user = format!("users/{}", world.mailbox(0));
    let path = format!("{user}/mailFolders/inbox/messageRules");
    assert_eq!(graph.get(&path).await["value"], json!([]));
    let rule = |name: &str, sequence: u32| {
        json!({
            "displayName": name, "sequence": sequence, "isEnabled": true,
            "conditions": { "senderContains": ["adele"], "withinSizeRange": { "minimumSize": 1 } },
            "actions": {
                "forwardTo": [{ "emailAddress": { "name": "Alex", "address": "alex@lab.example" } }],
                "stopProcessingRules": true,
            },
        })
    };
    let (status, second) = graph.send("POST", &path, rule("second", 2)).await;
    assert_eq!(status, StatusCode::CREATED, "{second}");
    graph.send("POST", &path, rule("first", 1)).await;
    let list = graph.get(&path).await;
    let names: Vec<&Value> =
        list["value"].as_array().unwrap().iter().map(|rule| &rule["displayName"]).collect();
    assert_eq!(names, ["first", "second"]);
    assert_eq!((&second["hasError"], &second["isReadOnly"]), (&json!(false), &json!(false)));
    let one = format!("{path}/{}", second["id"].as_str().unwrap());
    let (status, changed) = graph
        .send("PATCH", &one, json!({ "isEnabled": false, "actions": { "markAsRead": true } }))
        .await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        changed["actions"],
        json!({ "markAsRead": true }),
        "actions are replaced as a whole"
    );
    assert_eq!(changed["conditions"], second["conditions"]);
    for bad in [
        json!({ "displayName": "no actions" }),
        json!({ "displayName": "x", "actions": { "moveToFolder": "nowhere" } }),
        json!({ "displayName": "x", "actions": { "dance": true } }),
        json!({ "displayName": "x", "actions": { "delete": true }, "hasError": true }),
        json!({ "actions": { "delete": true } }),
    ] {
        assert!(graph.send("POST", &path, bad.clone()).await.0.is_client_error(), "{bad}");
    }
    assert_eq!(graph.send("DELETE", &one, Value::Null).await.0, StatusCode::NO_CONTENT);
    assert_eq!(graph.try_get(&one).await.0, StatusCode::NOT_FOUND);
    let elsewhere = format!("{user}/mailFolders/drafts/messageRules");
    assert!(graph.try_get(&elsewhere).await.0.is_client_error(), "rules are those of the inbox");
}

#[tokio::test]
async fn categories_have_names_that_stay_and_colours_that_change() {
    let world = World::new().await;
    let graph = world.graph(ALL).await;
    let path = format!("users/{}/outlook/masterCategories", world.mailbox(0));
    let first = graph.get(&path).await;
    assert_eq!(first["value"].as_array().unwrap().len(), 6);
    let order = json!({ "displayName": "Project expenses", "color": "preset9" });
    let (status, made) = graph.send("POST", &path, order.clone()).await;
    assert_eq!((status, &made["color"]), (StatusCode::CREATED, &json!("preset9")));
    let one = format!("{path}/{}", made["id"].as_str().unwrap());
    let (_, changed) = graph.send("PATCH", &one, json!({ "color": "preset15" })).await;
    assert_eq!(changed["color"], json!("preset15"));
    for (bad, status) in [
        (order, 409),
        (json!({ "displayName": "red CATEGORY" }), 409),
        (json!({ "displayName": "x", "color": "preset25" }), 400),
        (json!({ "color": "preset1" }), 400),
    ] {
        assert_eq!(graph.send("POST", &path, bad).await.0.as_u16(), status);
    }
    let renamed = graph.send("PATCH", &one, json!({ "displayName": "Other" })).await;
    assert_eq!(renamed.0, StatusCode::BAD_REQUEST);
    let red = format!("{path}/{}", first["value"][0]["id"].as_str().unwrap());
    assert_eq!(graph.send("DELETE", &red, Value::Null).await.0, StatusCode::NO_CONTENT);
    assert_eq!(graph.get(&path).await["value"].as_array().unwrap().len(), 6);
}

#[tokio::test]
async fn a_shared_mailbox_says_so_and_nobody_signs_in_to_it() {
    let world = World::new().await;
    let graph = world.graph(ALL).await;
    let order = json!({ "add": [
        { "mailbox": "info", "name": "Info Desk", "purpose": "shared" },
        { "mailbox": "room7", "purpose": "room" },
    ] });
    world.admin("POST", "users", order).await;
    let settings = graph.get("users/info@lab.example/mailboxSettings").await;
    assert_eq!(settings["userPurpose"], json!("shared"));
    let user =
        graph.get("users/info@lab.example?$select=displayName,accountEnabled,userType").await;
    assert_eq!(
        (&user["accountEnabled"], &user["displayName"]),
        (&json!(false), &json!("Info Desk"))
    );
    let room = graph.get("users/room7@lab.example/mailboxSettings/userPurpose").await;
    assert_eq!(room["value"], json!("room"));
    assert_eq!(graph.get("users/info@lab.example/messages").await["value"], json!([]));
}

#[tokio::test]
async fn what_is_no_item_is_seeded_changed_and_shown_as_well() {
    let world = World::new().await;
    let graph = world.graph(ALL).await;
    let kinds = ["tasks", "notes", "contact_groups", "rules", "categories"];
    let mut order = json!({ "mailbox": "kinds", "seed": 5 });
    for kind in kinds {
        order[kind] = json!(7);
    }
    world.admin("POST", "generate", order).await;
    let shown = async || world.admin("GET", "mailbox/kinds@lab.example", Value::Null).await;
    let before = shown().await;
    let count = |whole: &Value, kind: &str| match kind {
        "tasks" => {
            let lists = whole["task_lists"].as_array().unwrap();
            lists.iter().map(|list| list["tasks"].as_array().unwrap().len()).sum()
        }
        _ => whole[kind].as_array().unwrap().len(),
    };
    // A mailbox has six categories from its beginning.
    assert_eq!(kinds.map(|kind| count(&before, kind)), [7, 7, 7, 7, 13]);
    let rules = graph.get("users/kinds@lab.example/mailFolders/inbox/messageRules").await;
    assert_eq!(rules["value"], before["rules"]);
    let mut order = json!({ "mailbox": "kinds@lab.example", "seed": 2 });
    for kind in kinds {
        order[kind] = json!({ "create": 2, "change": 3, "delete": 4 });
    }
    let done = world.admin("POST", "mutate", order).await;
    let after = shown().await;
    assert_eq!(kinds.map(|kind| count(&after, kind)), [5, 5, 5, 5, 11]);
    for kind in kinds {
        for what in ["created", "changed", "deleted"] {
            let expected = match what {
                "created" => 2,
                "changed" => 3,
                _ => 4,
            };
            assert_eq!(done[kind][what].as_array().unwrap().len(), expected, "{kind} {what}");
        }
        let text = after.to_string();
        for gone in done[kind]["deleted"].as_array().unwrap() {
            assert!(!text.contains(gone["id"].as_str().unwrap()), "{kind} {gone}");
        }
    }
    let (status, _) = world.try_admin("POST", "mutate", json!({ "task": {} })).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "a slip of the pen does not pass for nothing");
}

#[tokio::test]
async fn lists_of_tasks_and_settings_are_made_changed_and_taken_away() {
    let world = World::new().await;
    let order = json!({ "mailbox": "kinds", "tasks": 8, "task_lists": 2, "settings": 1 });
    world.admin("POST", "generate", order).await;
    let shown = async || world.admin("GET", "mailbox/kinds@lab.example", Value::Null).await;
    let names = |whole: &Value| -> Vec<String> {
        let lists = whole["task_lists"].as_array().unwrap().iter();
        lists.map(|list| list["displayName"].as_str().unwrap().to_owned()).collect()
    };
    let before = shown().await;
    assert_eq!(names(&before), ["Tasks", "Flagged Emails", "Errands", "List 1", "List 2"]);
    assert_eq!(before["settings"]["automaticRepliesSetting"]["status"], json!("alwaysEnabled"));
    let mut order = json!({ "mailbox": "kinds@lab.example", "seed": 2 });
    order["task_lists"] = json!({ "change": 1 });
    order["settings"] = json!({ "change": 2 });
    let done = world.admin("POST", "mutate", order.clone()).await;
    let changed = shown().await;
    assert_eq!(names(&changed).iter().filter(|name| name.starts_with("Changed")).count(), 1);
    let id = &done["task_lists"]["changed"][0]["id"];
    assert!(changed["task_lists"].as_array().unwrap().iter().any(|list| list["id"] == *id));
    assert_eq!(changed["settings"]["timeZone"], json!("W. Europe Standard Time"));
    order["task_lists"] = json!({ "delete": 9 });
    order["settings"] = json!({ "delete": 1 });
    let done = world.admin("POST", "mutate", order).await;
    assert_eq!(done["task_lists"]["deleted"].as_array().unwrap().len(), 3);
    let after = shown().await;
    assert_eq!(names(&after), ["Tasks", "Flagged Emails"], "these are nobody's to delete");
    assert_eq!(after["settings"]["timeZone"], json!("UTC"), "as in a new mailbox");
}
