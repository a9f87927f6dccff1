use bytes::Bytes;
use mailkeep_exchange::{
    Created, ExchangeError, Looked, Mark, NewItem, Origin, Provider, parse_event, parse_item_page,
    parse_mailbox_items_page, parse_settings, parse_task,
};
use mailkeep_model::{
    Attachment, Change, Folder, FolderId, FolderKind, Item, SettingKind, WellKnownFolder,
};
use serde_json::{Value, json};

use crate::{
    example::{Compared, Example, examples},
    outlook::listed,
    world::{World, list},
};

const MIME: &[u8] =
    b"From: ann@lab.example\r\nTo: bob@lab.example\r\nSubject: x\r\nMessage-ID: <1@lab>\r\n\r\nHello.\r\n";

fn folder(kind: FolderKind) -> Folder {
    let id = FolderId("a-folder".into());
    Folder { id, parent: None, name: "x".into(), kind, well_known: None }
}

fn only(changes: Vec<Change<Item, mailkeep_model::ItemId>>) -> Item {
    match changes.into_iter().next() {
        Some(Change::Upsert(item)) => item,
        other => panic!("{other:?}"),
    }
}

fn message() -> Item {
    let told = json!({
        "id": "m", "subject": "x", "isRead": true, "isDraft": false,
        "receivedDateTime": "2026-01-05T09:00:00Z", "sentDateTime": "2026-01-05T09:00:00Z",
        "internetMessageId": "<1@lab>", "toRecipients": [],
        "from": {"emailAddress": {"address": "ann@lab.example"}},
        "singleValueExtendedProperties": [{"id": "Long 0xe08", "value": "77"}],
    });
    let page = json!({"value": [told], "@odata.deltaLink": "https://graph.example/next"});
    only(parse_item_page(page.to_string().as_bytes(), &FolderId("f".into())).unwrap().0.changes)
}

fn event() -> Item {
    let mut told = json!({"id": "e", "changeKey": "k", "subject": "x", "type": "singleInstance"});
    for end in ["start", "end"] {
        told[end] = json!({"dateTime": "2026-01-05T09:00:00.0000000", "timeZone": "UTC"});
    }
    parse_event(told.to_string().as_bytes(), &listed(&told)).unwrap()
}

fn task() -> Item {
    let told = json!({
        "id": "t", "title": "x", "status": "notStarted",
        "createdDateTime": "2026-01-05T09:00:00Z", "lastModifiedDateTime": "2026-01-05T09:00:00Z",
    });
    let folder = FolderId("list".into());
    parse_task(told.to_string().as_bytes(), &folder, Vec::new(), Vec::new()).unwrap()
}

fn setting(kind: SettingKind, told: &Value) -> Item {
    only(parse_settings(list(&json!([told])).to_string().as_bytes(), kind).unwrap().changes)
}

fn stream() -> Item {
    let told = json!({
        "id": "s", "changeKey": "k", "type": "IPM.StickyNote", "size": 9,
        "createdDateTime": "2026-01-05T09:00:00Z", "lastModifiedDateTime": "2026-01-05T09:00:00Z",
    });
    let page = json!({"value": [told], "@odata.deltaLink": "https://graph.example/next"});
    let page = parse_mailbox_items_page(page.to_string().as_bytes(), &FolderId("f".into()));
    only(page.unwrap().changes)
}

impl World {
    async fn creates(
        &self,
        folder: &Folder,
        item: &Item,
        attachments: &[Attachment],
        stream: Option<&Bytes>,
    ) -> Result<Created, ExchangeError> {
        let origin = Origin {
            mark: Mark { item: "0123456789abcdef0123456789abcdef".into(), state: None },
            snapshot: "snapshot".into(),
        };
        let content = Bytes::from_static(MIME);
        let new = NewItem {
            item,
            content: &content,
            stream,
            attachments,
            origin: &origin,
            looked: Looked::NothingThere,
            replaces: &[],
        };
        self.provider.create(&self.mailbox, folder, &new).await
    }
}

/// What follows on the request that makes something does not fail.
fn nothing_more() -> (&'static str, Value) {
    ("", json!({ "id": "nothing", "value": [] }))
}

fn is_known(example: &Example, made: &Created) {
    let mut compared = Compared::with(example, &example.json);
    let id = made.id.0.rsplit(':').next().unwrap_or_default();
    compared.same("/id", id);
    compared.done();
    example.was_read();
}

#[tokio::test]
async fn what_was_made_is_known_by_the_answer_that_the_documentation_shows() {
    let rule = json!({"id": "r", "displayName": "x", "sequence": 1, "isEnabled": true,
                      "actions": {"delete": true}});
    let category = json!({"id": "c", "displayName": "x", "color": "preset0"});
    let kinds: [(&[&str], &str, FolderKind, Item); 5] = [
        (
            &["mailfolder-post-messages", "user-post-messages"],
            "message.create",
            FolderKind::Mail,
            message(),
        ),
        (&["calendar-post-events"], "event.create", FolderKind::Calendar, event()),
        (&["todotasklist-post-tasks"], "task.create", FolderKind::Tasks, task()),
        (
            &["mailfolder-post-messagerules"],
            "rule.create",
            FolderKind::Settings,
            setting(SettingKind::InboxRule, &rule),
        ),
        (
            &["outlookuser-post-mastercategories"],
            "category.create",
            FolderKind::Settings,
            setting(SettingKind::Category, &category),
        ),
    ];
    let mut world = None;
    for (pages, operation, kind, item) in kinds {
        let Some(examples) = examples(pages) else { return };
        for example in examples {
            if world.is_none() {
                world = Some(World::new().await);
            }
            let world = world.as_ref().unwrap();
            let mut folder = folder(kind);
            folder.id = if kind == FolderKind::Settings { item.folder.clone() } else { folder.id };
            world.tells(&[nothing_more(), (operation, example.json.clone())]).await;
            let made = world.creates(&folder, &item, &[], None).await;
            if let Some(mistake) = example.mistake() {
                example.is_refused(mistake, made.unwrap_err());
                continue;
            }
            is_known(&example, &made.unwrap_or_else(|e| panic!("{}: {e}", example.file)));
        }
    }
}

#[tokio::test]
async fn large_attachments_go_to_the_address_in_the_answer_that_the_documentation_shows() {
    let Some(examples) = examples(&["attachment-createuploadsession"]) else { return };
    let world = World::new().await;
    let calendar = folder(FolderKind::Calendar);
    for example in examples {
        let mut told = example.json.clone();
        // The lab takes uploads under one version, the documentation shows several.
        let address = world.at_home(told["uploadUrl"].as_str().unwrap());
        let address =
            address.replace("/api/v1.0/", "/api/v2.0/").replace("/api/gv1.0/", "/api/v2.0/");
        told["uploadUrl"] = json!(address);
        let answers = [
            nothing_more(),
            ("event.create", json!({"id": "made", "changeKey": "k"})),
            ("upload.create", told),
        ];
        world.tells(&answers).await;
        let before = world.requests("upload.put").await;
        let mut item = event();
        let large = Attachment { bytes: vec![7; 3_500_000], ..Attachment::default() };
        if let Some(mailkeep_model::Detail::Event(event)) = &mut item.detail {
            event.attachments = vec![large.info.clone()];
        }
        // Nobody has begun such a session there: it is refused, where the answer said.
        let refused = world.creates(&calendar, &item, &[large], None).await;
        assert!(refused.is_err() || !refused.unwrap().lost.is_empty(), "{}", example.file);
        assert!(world.requests("upload.put").await > before, "{}: never sent", example.file);
        example.was_read();
    }
}

#[tokio::test]
async fn streams_go_to_the_address_in_the_answer_that_the_documentation_shows() {
    let pages = ["mailbox-createimportsession", "import-exchange-mailbox-item"];
    let Some(examples) = examples(&pages) else { return };
    let mut folder = folder(FolderKind::Opaque);
    folder.well_known = Some(WellKnownFolder::Notes);
    let stream_of = Bytes::from_static(b"a stream");
    for example in examples {
        // Each begins without a session of the one before.
        let world = World::new().await;
        let address = example.json["importUrl"].as_str();
        match address {
            Some(address) => {
                let mut told = example.json.clone();
                told["importUrl"] = json!(world.at_home(address));
                told["expirationDateTime"] = json!("2100-01-01T00:00:00Z");
                world.tells(&[("exchange.importsession", told)]).await;
                let refused = world.creates(&folder, &stream(), &[], Some(&stream_of)).await;
                assert!(refused.is_err(), "nobody has begun such a session there");
                assert!(
                    world.requests("exchange.import").await > 0,
                    "{}: never sent",
                    example.file
                );
            }
            None => {
                world.tells(&[("exchange.import", example.json.clone())]).await;
                let made = world.creates(&folder, &stream(), &[], Some(&stream_of)).await;
                let made = made.unwrap_or_else(|e| panic!("{}: {e}", example.file));
                let mut compared = Compared::with(&example, &example.json);
                compared.same("/itemId", made.id.0.as_str());
                compared.done();
            }
        }
        example.was_read();
    }
}

#[tokio::test]
async fn task_lists_are_read_as_the_documentation_shows_them() {
    let Some(examples) = examples(&["todo-list-lists"]) else { return };
    let world = World::new().await;
    for example in examples {
        world.tells(&[("tasklists.list", example.json.clone())]).await;
        let lists = world.provider.other_folders(&world.mailbox, FolderKind::Tasks).await.unwrap();
        assert_eq!(lists.len(), example.each().len(), "{}", example.file);
        for (list, told) in lists.iter().zip(example.each()) {
            let mut compared = Compared::with(&example, told);
            compared.same("/id", list.id.0.as_str());
            compared.same("/displayName", list.name.as_str());
            compared.done();
            let is_default = told["wellknownListName"] == "defaultList";
            assert_eq!(list.well_known == Some(WellKnownFolder::Tasks), is_default);
        }
        example.was_read();
    }
}

#[tokio::test]
async fn folders_of_any_kind_are_read_as_the_documentation_shows_them() {
    let Some(examples) = examples(&["mailbox-list-folders"]) else { return };
    let world = World::new().await;
    for example in examples {
        let mut told: Vec<Value> = example.each().into_iter().cloned().collect();
        for one in &mut told {
            // Of a class that no other interface describes: others are left out.
            one["type"] = json!("IPF.StickyNote");
        }
        world.tells(&[("exchange.folders.delta", list(&json!(told)))]).await;
        let folders = world.provider.other_folders(&world.mailbox, FolderKind::Opaque).await;
        let folders = folders.unwrap();
        assert_eq!(folders.len(), told.len(), "{}: {folders:?}", example.file);
        for (folder, told) in folders.iter().zip(&told) {
            let mut compared = Compared::with(&example, told);
            compared.same("/id", folder.id.0.as_str());
            compared.same("/displayName", folder.name.as_str());
            compared.done();
        }
        example.was_read();
    }
}
