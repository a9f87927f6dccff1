//! Mailboxes with items of every kind, and items as streams.

use data_encoding::BASE64;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::world::{Graph, World, read};

const ALL: &[&str] = &[
    "Mail.ReadWrite",
    "Calendars.ReadWrite",
    "Contacts.ReadWrite",
    "Tasks.ReadWrite.All",
    "User.Read.All",
    "MailboxFolder.Read.All",
    "MailboxItem.Read.All",
    "MailboxItem.ImportExport.All",
];

/// A mailbox with something of every kind, and where it is.
async fn everything(world: &World, graph: &Graph) -> (&'static str, String) {
    let address = "every@lab.example";
    let order = json!({
        "mailbox": address, "messages": 6, "folders": 1, "events": 14, "contacts": 14,
        "tasks": 12, "notes": 5, "contact_groups": 4, "seed": 3,
    });
    world.admin("POST", "generate", order).await;
    (address, exchange(graph, address, "primaryMailboxId").await)
}

async fn exchange(graph: &Graph, address: &str, which: &str) -> String {
    let beta = graph.base.replace("/v1.0", "/beta");
    let settings = graph.get(&format!("{beta}/users/{address}/settings/exchange")).await;
    let id = settings[which].as_str().unwrap_or_else(|| panic!("{settings}"));
    format!("admin/exchange/mailboxes/{id}")
}

async fn folders(graph: &Graph, at: &str) -> Vec<Value> {
    let mut found = Vec::new();
    let mut open = vec![format!("{at}/folders")];
    while let Some(list) = open.pop() {
        let lines =
            graph.get(&format!("{list}?$top=1000")).await["value"].as_array().unwrap().clone();
        for line in lines {
            let id = line["id"].as_str().unwrap();
            open.push(format!("{at}/folders/{id}/childFolders"));
            found.push(line);
        }
    }
    found
}

/// All that the lab keeps of a mailbox, without what is new with every item: its ids and keys.
fn kept(value: &Value) -> Value {
    const OF_THE_ITEM: &[&str] =
        &["id", "changeKey", "@odata.etag", "webLink", "iCalUId", "uid", "seriesMasterId"];
    match value {
        Value::Object(members) => {
            let kept = members.iter().filter(|(name, _)| !OF_THE_ITEM.contains(&name.as_str()));
            kept.map(|(name, value)| (name.clone(), kept_of(value))).collect()
        }
        other => kept_of(other),
    }
}

fn kept_of(value: &Value) -> Value {
    match value {
        Value::Array(list) => list.iter().map(kept).collect(),
        Value::Object(_) => kept(value),
        other => other.clone(),
    }
}

/// The items of a mailbox as the lab keeps them, in an order of their own.
async fn items(world: &World, address: &str) -> Vec<String> {
    let whole = world.admin("GET", &format!("mailbox/{address}"), Value::Null).await;
    let mut found = Vec::new();
    for kind in ["messages", "events", "contacts", "notes", "contact_groups"] {
        for item in whole[kind].as_array().unwrap() {
            if item["hidden"] != json!(true) {
                found.push(format!("{kind} {}", kept(item)));
            }
        }
    }
    for list in whole["task_lists"].as_array().unwrap() {
        for task in list["tasks"].as_array().unwrap() {
            found.push(format!("{} {}", list["displayName"], kept(task)));
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn a_mailbox_shows_folders_and_items_of_every_kind() {
    let world = World::new().await;
    let graph = world.graph(ALL).await;
    let (address, at) = everything(&world, &graph).await;
    let found = folders(&graph, &at).await;
    let names = |kind: &str| -> Vec<&str> {
        let mut names: Vec<&str> = found
            .iter()
            .filter(|folder| folder["type"] == json!(kind))
            .map(|folder| folder["displayName"].as_str().unwrap())
            .collect();
        names.sort_unstable();
        names
    };
    assert_eq!(names("IPF.Appointment"), ["Calendar", "Projects"]);
    assert_eq!(names("IPF.Contact"), ["Contacts", "Former", "Suppliers"]);
    assert_eq!(names("IPF.Task"), ["Errands", "Tasks"]);
    assert_eq!(names("IPF.StickyNote"), ["Notes"]);
    assert!(found.iter().all(|folder| folder.get("wellKnownName").is_none()), "not in v1.0");
    let mut classes = std::collections::BTreeMap::new();
    for folder in &found {
        let path = format!("{at}/folders/{}/items?$top=1000", folder["id"].as_str().unwrap());
        let list = graph.get(&path).await["value"].as_array().unwrap().clone();
        assert_eq!(folder["totalItemCount"], json!(list.len()));
        for item in list {
            *classes.entry(item["type"].as_str().unwrap().to_owned()).or_insert(0) += 1;
        }
    }
    let classes: Vec<(&str, i32)> = classes.iter().map(|(class, n)| (class.as_str(), *n)).collect();
    let expected = [
        ("IPM.Appointment", 14),
        ("IPM.Contact", 14),
        ("IPM.DistList", 4),
        ("IPM.Note", 6),
        ("IPM.StickyNote", 5),
        ("IPM.Task", 12),
    ];
    assert_eq!(classes, expected);
    let by_name = graph.get(&format!("{at}/folders/inbox?$select=displayName")).await;
    assert_eq!(by_name["displayName"], json!("Inbox"));
    let filter = "$filter=type eq 'IPF.StickyNote'&$select=displayName,type";
    assert_eq!(
        graph.get(&format!("{at}/folders?{filter}")).await["value"].as_array().unwrap().len(),
        1
    );
    let beta = graph.base.replace("/v1.0", "/beta");
    let shown = graph.get(&format!("{beta}/{at}/folders/notes")).await;
    assert_eq!(shown["wellKnownName"], json!("notes"));

    for bad in [
        format!("admin/exchange/mailboxes/{address}/folders"),
        format!("{at}x/folders"),
        format!("{at}/folders/nothing"),
        format!("{at}/folders?$select=wellKnownName"),
        format!("{at}/folders/inbox/items?$filter=size gt 5"),
    ] {
        assert!(graph.try_get(&bad).await.0.is_client_error(), "{bad}");
    }
    let (status, _) = world.graph(&["Mail.Read"]).await.try_get(&format!("{at}/folders")).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_delta_of_items_tells_of_every_kind_what_has_happened() {
    let world = World::new().await;
    let graph = world.graph(ALL).await;
    let (address, at) = everything(&world, &graph).await;
    for (folder, order) in [
        ("inbox", json!({ "folder": "inbox", "create": 2, "change": 1, "delete": 1, "newest": 4 })),
        ("calendar", json!({ "events": { "create": 0, "change": 2, "delete": 1 } })),
        ("contacts", json!({ "contact_groups": { "create": 1, "change": 1, "delete": 1 } })),
        ("notes", json!({ "notes": { "create": 2, "change": 1, "delete": 1 } })),
        ("tasks", json!({ "tasks": { "create": 3, "change": 2, "delete": 2 } })),
    ] {
        let list = format!("{at}/folders/{folder}/items");
        let (first, link) = graph.round(&format!("{list}/delta"), 3).await;
        let before =
            graph.get(&format!("{list}?$top=1000")).await["value"].as_array().unwrap().len();
        assert_eq!(first.len(), before, "{folder}");
        let mut order = order;
        order["mailbox"] = json!(address);
        order["seed"] = json!(7);
        world.admin("POST", "mutate", order).await;
        let (second, link) = graph.round(&link, 2).await;
        let gone: Vec<&Value> =
            second.iter().filter(|line| line.get("@removed").is_some()).map(|l| &l["id"]).collect();
        let mut now: Vec<Value> = first
            .iter()
            .filter(|line| !second.iter().any(|other| other["id"] == line["id"]))
            .chain(second.iter().filter(|line| !gone.contains(&&line["id"])))
            .map(|line| line["id"].clone())
            .collect();
        let listed = graph.get(&format!("{list}?$top=1000")).await;
        let mut there: Vec<Value> =
            listed["value"].as_array().unwrap().iter().map(|item| item["id"].clone()).collect();
        now.sort_by_key(Value::to_string);
        there.sort_by_key(Value::to_string);
        assert_eq!(now, there, "{folder}: what the delta tells adds up");
        assert!(!second.is_empty());
        let (third, _) = graph.round(&link, 2).await;
        assert_eq!(third, [] as [Value; 0], "{folder}");
    }
    let (all, link) = graph.round(&format!("{at}/folders/delta"), 4).await;
    assert_eq!(all.len(), folders(&graph, &at).await.len());
    let made = graph
        .send("POST", &format!("users/{address}/mailFolders"), json!({ "displayName": "New" }))
        .await;
    let list = graph
        .send("POST", &format!("users/{address}/todo/lists"), json!({ "displayName": "L" }))
        .await;
    let (second, link) = graph.round(&link, 4).await;
    assert_eq!(second.len(), 2);
    let path = format!("users/{address}/todo/lists/{}", list.1["id"].as_str().unwrap());
    graph.send("DELETE", &path, Value::Null).await;
    let (third, _) = graph.round(&link, 4).await;
    assert_eq!(third[0]["@removed"]["reason"], json!("deleted"));
    assert!(made.0.is_success());
}

#[tokio::test]
async fn what_was_exported_and_deleted_comes_back_with_every_property() {
    let world = World::new().await;
    let graph = world.graph(ALL).await;
    let (address, at) = everything(&world, &graph).await;
    enrich(&graph, address).await;
    let before = items(&world, address).await;
    assert!(before.len() > 55, "{}", before.len());
    // Folder, kind and stream of each item.
    let mut streams: Vec<(String, Value)> = Vec::new();
    for folder in folders(&graph, &at).await {
        let id = folder["id"].as_str().unwrap().to_owned();
        let list = graph.get(&format!("{at}/folders/{id}/items?$top=1000")).await;
        let ids: Vec<Value> =
            list["value"].as_array().unwrap().iter().map(|item| item["id"].clone()).collect();
        for some in ids.chunks(20) {
            let (status, exported) =
                graph.send("POST", &format!("{at}/exportItems"), json!({ "itemIds": some })).await;
            assert_eq!(status, StatusCode::OK, "{exported}");
            for one in exported["value"].as_array().unwrap() {
                streams.push((id.clone(), one["data"].clone()));
            }
        }
    }
    assert_eq!(streams.len(), before.len());
    clear(&world, address).await;
    assert_eq!(items(&world, address).await.len(), 0);

    let (status, session) =
        graph.send("POST", &format!("{at}/createImportSession"), Value::Null).await;
    assert_eq!(status, StatusCode::OK, "{session}");
    let url = session["importUrl"].as_str().unwrap();
    assert!(url.contains("/importItem?authtoken="));
    for (folder, data) in &streams {
        let body = json!({ "FolderId": folder, "Mode": "create", "Data": data });
        let (status, made) = read(world.http.post(url).json(&body).send().await.unwrap()).await;
        assert_eq!(status, StatusCode::OK, "{made}");
        assert!(made["itemId"].is_string() && made["changeKey"].is_string());
    }
    let after = items(&world, address).await;
    for (one, other) in before.iter().zip(&after) {
        assert_eq!(one, other);
    }
    assert_eq!(before.len(), after.len());
}

/// What no seed makes: an attached event, extended properties, a flag with times.
async fn enrich(graph: &Graph, address: &str) {
    let user = format!("users/{address}");
    let draft = json!({
        "subject": "with everything",
        "flag": {
            "flagStatus": "flagged",
            "startDateTime": { "dateTime": "2026-12-02T18:00:00", "timeZone": "UTC" },
            "dueDateTime": { "dateTime": "2026-12-03T18:00:00", "timeZone": "UTC" },
        },
        "categories": ["Überfällig"],
        "isReadReceiptRequested": true,
        "attachments": [
            { "@odata.type": "#microsoft.graph.fileAttachment", "name": "a.txt", "contentBytes": "YQ==" },
            attached_event(),
        ],
        "singleValueExtendedProperties": [
            { "id": "String {00020329-0000-0000-C000-000000000046} Name ours", "value": "x" },
            { "id": "SystemTime 0x0E06", "value": "2020-01-02T03:04:05Z" },
        ],
    });
    let path = format!("{user}/mailFolders/inbox/messages");
    let (status, made) = graph.send("POST", &path, draft).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let event = json!({
        "subject": "with an attached contact",
        "start": { "dateTime": "2026-12-02T18:00:00", "timeZone": "Pacific Standard Time" },
        "end": { "dateTime": "2026-12-02T19:00:00", "timeZone": "Pacific Standard Time" },
        "attachments": [{
            "@odata.type": "#microsoft.graph.itemAttachment", "name": "Card",
            "item": { "@odata.type": "#microsoft.graph.contact", "givenName": "Orla", "surname": "Byrne" },
        }],
        "singleValueExtendedProperties": [
            { "id": "String {00020329-0000-0000-C000-000000000046} Name ours", "value": "y" },
        ],
    });
    let (status, made) = graph.send("POST", &format!("{user}/events"), event).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
}

pub(crate) fn attached_event() -> Value {
    json!({
        "@odata.type": "#microsoft.graph.itemAttachment", "name": "Holiday event",
        "item": {
            "@odata.type": "microsoft.graph.event",
            "subject": "Discuss gifts for children",
            "body": { "contentType": "HTML", "content": "Let's look for funding!" },
            "start": { "dateTime": "2016-12-02T18:00:00", "timeZone": "Pacific Standard Time" },
            "end": { "dateTime": "2016-12-02T19:00:00", "timeZone": "Pacific Standard Time" },
        },
    })
}

/// Deletes all items.
async fn clear(world: &World, address: &str) {
    let most = json!({ "delete": 1000 });
    let order = json!({
        "mailbox": address, "delete": 1000, "events": most, "contacts": most,
        "tasks": most, "notes": most, "contact_groups": most,
    });
    world.admin("POST", "mutate", order).await;
}

#[tokio::test]
async fn an_import_changes_an_item_only_as_it_was_read() {
    let world = World::new().await;
    let graph = world.graph(ALL).await;
    let (address, at) = everything(&world, &graph).await;
    let contacts = format!("{at}/folders/contacts");
    let folder = graph.get(&contacts).await["id"].clone();
    let list = graph.get(&format!("{contacts}/items?$filter=type eq 'IPM.Contact'")).await;
    let id = list["value"][0]["id"].clone();
    let export = async || {
        let body = json!({ "itemIds": [id] });
        graph.send("POST", &format!("{at}/exportItems"), body).await.1["value"][0].clone()
    };
    let first = export().await;
    let path = format!("users/{address}/contacts/{}", id.as_str().unwrap());
    graph.send("PATCH", &path, json!({ "jobTitle": "changed meanwhile" })).await;
    let (_, session) = graph.send("POST", &format!("{at}/createImportSession"), Value::Null).await;
    let url = session["importUrl"].as_str().unwrap();
    let import = async |change: Value| {
        let mut body = json!({
            "FolderId": folder, "Mode": "update", "Data": first["data"], "ItemId": id,
            "ChangeKey": first["changeKey"],
        });
        for (name, value) in change.as_object().unwrap() {
            body[name] = value.clone();
        }
        read(world.http.post(url).json(&body).send().await.unwrap()).await
    };
    assert_eq!(import(json!({})).await.0, StatusCode::CONFLICT, "somebody has changed it");
    let now = export().await;
    let (status, made) = import(json!({ "ChangeKey": now["changeKey"] })).await;
    assert_eq!(status, StatusCode::OK, "{made}");
    assert_eq!(export().await["data"], first["data"], "it is again what it was");
    assert_ne!(graph.get(&path).await["jobTitle"], json!("changed meanwhile"));

    let mut cut = BASE64.decode(first["data"].as_str().unwrap().as_bytes()).unwrap();
    cut[40] ^= 1;
    for (change, status) in [
        (json!({ "Mode": "create", "Data": BASE64.encode(&cut) }), 400),
        (json!({ "Mode": "create", "Data": "***" }), 400),
        (json!({ "Mode": "create", "FolderId": "inbox" }), 400),
        (json!({ "Mode": "replace" }), 400),
        (json!({ "ItemId": "nothing" }), 400),
        (json!({ "FolderId": "AAMkAGUwNjQ4ZjIxLTQ3Y2YtNDViMi1iZjc4LTMA=" }), 404),
        (json!({ "Colour": "red" }), 400),
    ] {
        let (given, body) = import(change.clone()).await;
        assert_eq!(given.as_u16(), status, "{change}: {body}");
    }
    let body = json!({ "FolderId": folder, "Mode": "create", "Data": first["data"] });
    let (status, _) =
        read(world.http.post(url).bearer_auth(&graph.token).json(&body).send().await.unwrap())
            .await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "the URL is the permission, and the only one");
    let other = url.split("authtoken=").next().unwrap();
    let (status, _) =
        read(world.http.post(format!("{other}authtoken=x")).json(&body).send().await.unwrap())
            .await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    world.admin("POST", "clock", json!({ "offset_seconds": 3700 })).await;
    let (status, _) = read(world.http.post(url).json(&body).send().await.unwrap()).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "a session ends");
}

#[tokio::test]
async fn an_export_tells_for_each_item_whether_it_is_there() {
    let world = World::new().await;
    let graph = world.graph(ALL).await;
    let (_, at) = everything(&world, &graph).await;
    let list = graph.get(&format!("{at}/folders/notes/items")).await;
    let id = list["value"][0]["id"].clone();
    let path = format!("{at}/exportItems");
    let (status, answer) = graph.send("POST", &path, json!({ "itemIds": [id, "AAkA"] })).await;
    assert_eq!(status, StatusCode::OK);
    assert!(answer["value"][0]["data"].is_string());
    assert_eq!(answer["value"][1]["itemId"], json!("AAkA"));
    assert!(answer["value"][1]["error"]["code"].is_string());
    for bad in [json!({}), json!({ "itemIds": [] }), json!({ "itemIds": vec![id; 21] })] {
        assert_eq!(graph.send("POST", &path, bad).await.0, StatusCode::BAD_REQUEST);
    }
}

#[tokio::test]
async fn an_archive_is_a_mailbox_of_its_own_and_goes_on_in_another() {
    let world = World::new().await;
    let graph = world.graph(ALL).await;
    let address = world.mailbox(0).to_owned();
    let beta = graph.base.replace("/v1.0", "/beta");
    let settings = format!("users/{address}/settings/exchange");
    let none = graph.get(&format!("{beta}/{settings}")).await;
    assert_eq!(none["inPlaceArchiveMailboxId"], Value::Null);
    let order = json!({ "mailbox": address, "archive_messages": 12, "archive_elsewhere": 5 });
    world.admin("POST", "generate", order).await;
    assert!(graph.get(&settings).await.get("inPlaceArchiveMailboxId").is_none(), "beta only");
    let at = exchange(&graph, &address, "inPlaceArchiveMailboxId").await;
    assert_ne!(at, exchange(&graph, &address, "primaryMailboxId").await);
    let top = graph.get(&format!("{beta}/{at}/folders?$top=100")).await;
    let of = |name: &str| {
        let all = top["value"].as_array().unwrap();
        all.iter().find(|folder| folder["displayName"] == json!(name)).unwrap().clone()
    };
    assert_eq!(of("Old mail")["totalItemCount"], json!(12));
    let old = format!("{at}/folders/{}/items?$top=100", of("Old mail")["id"].as_str().unwrap());
    let list = graph.get(&old).await["value"].as_array().unwrap().clone();
    assert_eq!(list.len(), 12);
    let (_, exported) = graph
        .send("POST", &format!("{at}/exportItems"), json!({ "itemIds": [list[0]["id"]] }))
        .await;
    assert!(exported["value"][0]["data"].is_string());

    let older = of("Older mail");
    assert_ne!(older["parentMailboxUrl"], of("Old mail")["parentMailboxUrl"]);
    let id = older["id"].as_str().unwrap();
    let path = format!("{at}/folders/{id}/items?$top=2");
    let plain = crate::world::client(&world.lab, |builder| {
        builder.redirect(reqwest::redirect::Policy::none())
    });
    let request = plain.get(format!("{}/{path}", graph.base)).bearer_auth(&graph.token);
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::PERMANENT_REDIRECT);
    let there = answer.headers()["location"].to_str().unwrap().to_owned();
    assert!(!there.contains(at.rsplit('/').next().unwrap()), "{there}");
    let list = graph.get(&there).await;
    assert_eq!(list["value"].as_array().unwrap().len(), 2, "the query went along");
    let followed = graph.get(&path).await;
    assert_eq!(followed["value"], list["value"], "a client that follows is there at once");
    let (all, link) = graph.round(&format!("{beta}/{at}/folders/delta"), 100).await;
    assert!(all.iter().any(|folder| folder["id"] == json!(id)));
    world
        .admin(
            "POST",
            "mutate",
            json!({ "mailbox": address, "archive_elsewhere": { "create": 1 } }),
        )
        .await;
    assert_eq!(graph.round(&link, 100).await.0, [] as [Value; 0]);

    let whole = world.admin("GET", &format!("mailbox/{address}"), Value::Null).await;
    let archive = &whole["archive"];
    assert_eq!(archive["messages"].as_array().unwrap().len(), 12);
    assert_eq!(archive["archive_goes_on_in"]["messages"].as_array().unwrap().len(), 6);
    let mail = graph.get(&format!("users/{address}/messages?$count=true&$top=1")).await;
    assert_eq!(mail["@odata.count"], json!(whole["messages"].as_array().unwrap().len()));
}

#[tokio::test]
async fn what_was_deleted_can_be_read_among_recoverable_items() {
    let world = World::new().await;
    let graph = world.graph(ALL).await;
    let user = format!("users/{}", world.mailbox(0));
    let list =
        graph.get(&format!("{user}/mailFolders/deleteditems/messages?$select=id,subject")).await;
    let gone = &list["value"][0];
    let id = gone["id"].as_str().unwrap();
    let mime = graph.request("GET", &format!("{user}/messages/{id}/$value")).send().await.unwrap();
    let mime = mime.bytes().await.unwrap();
    graph.send("DELETE", &format!("{user}/messages/{id}"), Value::Null).await;
    assert_eq!(graph.try_get(&format!("{user}/messages/{id}")).await.0, StatusCode::NOT_FOUND);

    let bin = format!("{user}/mailFolders/recoverableitemsdeletions");
    assert_eq!(graph.get(&bin).await["totalItemCount"], json!(1));
    let names = graph.get(&format!("{user}/mailFolders?$top=100")).await;
    assert!(!names.to_string().contains("Deletions"), "no list shows it");
    let found = graph.get(&format!("{bin}/messages?$select=id,subject")).await;
    assert_eq!(found["value"][0]["subject"], gone["subject"]);
    let (delta, link) = graph.round(&format!("{bin}/messages/delta"), 10).await;
    assert_eq!(delta.len(), 1);
    let path = format!("{bin}/messages/{id}");
    assert_eq!(graph.get(&path).await["id"], json!(id), "an immutable id stays");
    let again = graph.request("GET", &format!("{path}/$value")).send().await.unwrap();
    assert_eq!(again.bytes().await.unwrap(), mime);
    let at = exchange(&graph, world.mailbox(0), "primaryMailboxId").await;
    let items = graph.get(&format!("{at}/folders/recoverableitemsdeletions/items")).await;
    assert_eq!(items["value"][0]["id"], json!(id));
    let (_, exported) =
        graph.send("POST", &format!("{at}/exportItems"), json!({ "itemIds": [id] })).await;
    assert!(exported["value"][0]["data"].is_string());

    let (status, _) = graph.send("POST", &format!("{path}/permanentDelete"), Value::Null).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(graph.get(&bin).await["totalItemCount"], json!(0));
    assert!(graph.round(&link, 10).await.0[0].get("@removed").is_some());
}
