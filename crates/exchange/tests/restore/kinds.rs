//! Tasks and settings: read, taken away, and written back.

use mailkeep_exchange::{Details, ExchangeError, Provider};
use mailkeep_model::{
    Attachment, Change, Detail, Folder, FolderKind, Item, ItemId, ItemKind, Next, Setting,
    SettingKind, Task,
};
use serde_json::{Value, json};

use crate::world::{RIGHTS, World, by_mark};

/// What all kinds take.
pub(crate) const ALL_RIGHTS: &[&str] = &[
    "Mail.ReadWrite",
    "Calendars.ReadWrite",
    "Contacts.ReadWrite",
    "User.Read.All",
    "Tasks.ReadWrite.All",
    "MailboxSettings.ReadWrite",
    "MailboxFolder.Read.All",
    "MailboxItem.Read.All",
    "MailboxItem.ImportExport.All",
];

/// All items of a folder, read from the beginning to the end.
pub(crate) async fn items(world: &World, folder: &Folder) -> Vec<Item> {
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let page = world.provider.item_changes(&world.mailbox, folder, cursor.as_ref());
        let page = page.await.unwrap();
        assert_eq!(page.unread, []);
        all.extend(page.changes.into_iter().map(|change| match change {
            Change::Upsert(item) => item,
            Change::Removed(id) => panic!("{id:?} is removed in a first enumeration"),
        }));
        match page.next {
            Next::More(next) => cursor = Some(next),
            Next::Done(_) | Next::Complete => return all,
        }
    }
}

pub(crate) async fn folders(world: &World, kind: FolderKind) -> Vec<Folder> {
    world.provider.other_folders(&world.mailbox, kind).await.unwrap()
}

pub(crate) async fn details(world: &World, item: &Item) -> Details {
    world.provider.details(&world.mailbox, item).await.unwrap()
}

pub(crate) async fn make(world: &World, what: Value) {
    let mut order = json!({"mailbox": world.mailbox.address.as_str(), "seed": 5});
    order.as_object_mut().unwrap().extend(what.as_object().unwrap().clone());
    world.order("generate", order).await;
}

/// A task without what Graph sets by itself.
fn said(item: &Item) -> Task {
    let Some(Detail::Task(task)) = &item.detail else { panic!("{item:?}") };
    Task { created: None, modified: None, ..(**task).clone() }
}

async fn all_tasks(world: &World) -> Vec<(Folder, Item, Vec<Attachment>)> {
    let mut all = Vec::new();
    for list in folders(world, FolderKind::Tasks).await {
        for item in items(world, &list).await {
            let details = details(world, &item).await;
            assert_eq!(details.item.content_key, item.content_key);
            all.push((list.clone(), details.item, details.attachments));
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_come_back_with_everything_they_had_and_only_once() {
    let world = World::with_rights(ALL_RIGHTS).await;
    make(&world, json!({"tasks": 24})).await;
    let before = all_tasks(&world).await;
    assert_eq!(before.len(), 24);
    let tasks: Vec<Task> = before.iter().map(|(_, item, _)| said(item)).collect();
    assert!(tasks.iter().any(|task| !task.steps.is_empty() && !task.links.is_empty()));
    assert!(tasks.iter().any(|task| task.recurrence.is_some() && task.reminder.is_some()));
    assert!(tasks.iter().any(|task| !task.attachments.is_empty()));
    for (list, item, _) in &before {
        world.provider.delete(&world.mailbox, ItemKind::Task, &item.id).await.unwrap();
        assert!(world.provider.item(&world.mailbox, item.kind, &item.id).await.unwrap().is_none());
        assert_eq!(item.folder, list.id);
    }
    let mut made = Vec::new();
    for (list, item, files) in &before {
        let created = world.create(list, item, &[], files).await.unwrap();
        assert_eq!(created.lost, Vec::<String>::new(), "{}", item.subject);
        let again = world.create(list, item, &[], files).await.unwrap();
        assert_eq!(again.id, created.id);
        made.push(created.id);
    }
    let after = all_tasks(&world).await;
    assert_eq!(after.len(), before.len());
    for ((list, item, files), id) in before.iter().zip(&made) {
        let (there, back, back_files) = after.iter().find(|(_, one, _)| one.id == *id).unwrap();
        assert_eq!(there.id, list.id);
        assert_eq!(said(back), said(item), "{}", item.subject);
        assert_eq!(back_files, files);
    }
    let wanted: Vec<_> =
        before.iter().map(|(_, item, _)| by_mark(item.id.clone(), &item.id.0)).collect();
    let existing = world.existing(ItemKind::Task, &wanted).await;
    assert_eq!(existing.len(), made.len());
    assert!(existing.iter().all(|one| one.mark.is_some() && !one.edited), "{existing:?}");
    for one in &existing {
        let (_, item, _) = after.iter().find(|(_, item, _)| item.id == one.id).unwrap();
        assert_eq!(one.content_key, item.content_key);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_of_a_task_does_not_cost_the_task() {
    let world = World::with_rights(ALL_RIGHTS).await;
    make(&world, json!({"tasks": 24})).await;
    let all = all_tasks(&world).await;
    let (list, item, files) = all
        .iter()
        .find(|(_, item, files)| !files.is_empty() && !said(item).steps.is_empty())
        .unwrap();
    world.provider.delete(&world.mailbox, ItemKind::Task, &item.id).await.unwrap();
    world
        .fails(json!([
            {"operation": "task.part.create", "status": 400, "times": 1},
            {"operation": "task.attachment.create", "status": 413},
        ]))
        .await;
    let created = world.create(list, item, &[], files).await.unwrap();
    assert_eq!(created.lost.len(), 1 + files.len(), "{:?}", created.lost);
    assert!(created.lost.iter().all(|lost| lost.contains("was refused")), "{:?}", created.lost);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_is_made_once_whatever_gets_lost_on_the_way() {
    let world = World::with_rights(ALL_RIGHTS).await;
    make(&world, json!({"tasks": 3})).await;
    let all = all_tasks(&world).await;
    let has_parts = |item: &Item| !said(item).steps.is_empty();
    let (_, item, files) = all.iter().find(|(_, item, _)| has_parts(item)).unwrap();
    let list = world.folder(FolderKind::Tasks, "Restored").await;
    assert_eq!(world.folder(FolderKind::Tasks, "Restored").await.id, list.id);
    let faults = [
        json!({"operation": "task.create", "reset": true, "when": "after"}),
        json!({"operation": "task.create", "reset": true, "when": "before"}),
        json!({"operation": "task.create", "status": 503, "when": "after"}),
        json!({"operation": "task.create", "status": 429, "retry_after": 1}),
        json!({"operation": "task.part.create", "status": 503}),
        json!({"operation": "task.part.create", "reset": true, "when": "after"}),
        json!({"operation": "task.extension.patch", "reset": true, "when": "before"}),
    ];
    for (number, fault) in faults.into_iter().enumerate() {
        let mut item = item.clone();
        item.id = ItemId(format!("{number}"));
        let mut fault = fault;
        fault["times"] = json!(1);
        world.fails(json!([fault])).await;
        let created = world.create(&list, &item, &[], files).await.unwrap();
        assert_eq!(items(&world, &list).await.len(), number + 1, "{fault}");
        let kept = world.provider.item(&world.mailbox, ItemKind::Task, &created.id).await.unwrap();
        assert_eq!(said(&details(&world, &kept.unwrap()).await.item), said(&item), "{fault}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_right_costs_the_tasks_and_nothing_else() {
    let world = World::with_rights(RIGHTS).await;
    let refused = world.provider.other_folders(&world.mailbox, FolderKind::Tasks).await;
    let Err(ExchangeError::Forbidden { right, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(right, "Tasks.ReadWrite.All");
    let settings = folders(&world, FolderKind::Settings).await;
    let refused = world.provider.item_changes(&world.mailbox, &settings[0], None).await;
    assert!(matches!(refused, Err(ExchangeError::Forbidden { .. })), "{refused:?}");
    let refused = world.provider.other_folders(&world.mailbox, FolderKind::Opaque).await;
    assert!(matches!(refused, Err(ExchangeError::Forbidden { .. })), "{refused:?}");
    assert!(world.provider.folder_changes(&world.mailbox, None).await.is_ok());
    assert!(!folders(&world, FolderKind::Calendar).await.is_empty());
}

async fn settings(world: &World, kind: SettingKind) -> Vec<(Folder, Item)> {
    let mut all = Vec::new();
    for folder in folders(world, FolderKind::Settings).await {
        for item in items(world, &folder).await {
            let of_kind = matches!(&item.detail, Some(Detail::Setting(one)) if one.kind == kind);
            if of_kind {
                all.push((folder.clone(), item));
            }
        }
    }
    all
}

fn value(item: &Item) -> &Value {
    match &item.detail {
        Some(Detail::Setting(setting)) => &setting.value,
        other => panic!("{other:?}"),
    }
}

fn with_value(item: &Item, id: &str, change: impl FnOnce(&mut Value)) -> Item {
    let Some(Detail::Setting(setting)) = &item.detail else { panic!("{item:?}") };
    let mut value = setting.value.clone();
    change(&mut value);
    let detail = Setting { kind: setting.kind, value };
    Item { id: ItemId(id.into()), detail: Some(Detail::Setting(Box::new(detail))), ..item.clone() }
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_come_back_once_and_none_of_them_sends_anything() {
    let world = World::with_rights(ALL_RIGHTS).await;
    make(&world, json!({"rules": 6})).await;
    let before = settings(&world, SettingKind::InboxRule).await;
    assert_eq!(before.len(), 6);
    for (_, rule) in &before {
        world.provider.delete(&world.mailbox, ItemKind::Setting, &rule.id).await.unwrap();
    }
    assert!(settings(&world, SettingKind::InboxRule).await.is_empty());
    for (folder, rule) in &before {
        world
            .fails(json!([{"operation": "rule.create", "reset": true, "when": "after",
            "times": 1}]))
            .await;
        let created = world.create(folder, rule, &[], &[]).await.unwrap();
        let forwards = value(rule)["actions"].get("forwardTo").is_some();
        let was_on = value(rule)["isEnabled"] == true;
        assert_eq!(created.lost.len(), usize::from(forwards && was_on), "{:?}", created.lost);
        let again = world.create(folder, rule, &[], &[]).await.unwrap();
        assert_eq!(again.id, created.id);
    }
    let after = settings(&world, SettingKind::InboxRule).await;
    assert_eq!(after.len(), before.len());
    for (_, rule) in &before {
        let name = |item: &Item| value(item)["displayName"].clone();
        let (_, back) = after.iter().find(|(_, one)| name(one) == name(rule)).unwrap();
        let forwards = value(rule)["actions"].get("forwardTo").is_some();
        for part in ["conditions", "actions", "exceptions", "sequence"] {
            assert_eq!(value(back)[part], value(rule)[part], "{part}");
        }
        let on = value(rule)["isEnabled"] == true && !forwards;
        assert_eq!(value(back)["isEnabled"], on);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_into_a_folder_that_is_gone_is_off_and_says_so() {
    let world = World::with_rights(ALL_RIGHTS).await;
    make(&world, json!({"rules": 1})).await;
    let (folder, rule) = settings(&world, SettingKind::InboxRule).await.remove(0);
    let gone = world.folder(FolderKind::Mail, "Gone").await;
    let only = with_value(&rule, "setting:rule:x", |value| {
        value["displayName"] = json!("Other");
        value["actions"] = json!({"moveToFolder": format!("{}x", gone.id.0)});
    });
    let refused = world.create(&folder, &only, &[], &[]).await;
    assert!(matches!(refused, Err(ExchangeError::Unsupported { .. })), "{refused:?}");
    let both = with_value(&only, "setting:rule:y", |value| {
        value["actions"]["markAsRead"] = json!(true);
        value["isEnabled"] = json!(true);
    });
    let created = world.create(&folder, &both, &[], &[]).await.unwrap();
    assert!(created.lost[0].contains("moveToFolder"), "{:?}", created.lost);
    let back = world.provider.item(&world.mailbox, ItemKind::Setting, &created.id).await.unwrap();
    let back = back.unwrap();
    assert_eq!(value(&back)["actions"], json!({"markAsRead": true}));
    assert_eq!(value(&back)["isEnabled"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn categories_are_found_by_their_name_and_replaced_only_when_that_is_wanted() {
    let world = World::with_rights(ALL_RIGHTS).await;
    let before = settings(&world, SettingKind::Category).await;
    let (folder, first) = &before[0];
    let created = world.create(folder, first, &[], &[]).await.unwrap();
    assert_eq!((&created.id, created.lost.len()), (&first.id, 0));
    let recolored = with_value(first, &first.id.0, |value| value["color"] = json!("preset20"));
    let created = world.create(folder, &recolored, &[], &[]).await.unwrap();
    assert_eq!((&created.id, created.lost.len()), (&first.id, 1));
    let replaces = [first.id.clone()];
    let replaced = world.create_instead(folder, &recolored, &[], &[], &replaces).await.unwrap();
    assert_eq!((&replaced.id, replaced.lost.len()), (&first.id, 0));
    let lost = json!([{"operation": "category.create", "reset": true, "when": "after",
        "times": 1}]);
    world.fails(lost).await;
    let new = with_value(first, "setting:category:x", |value| value["displayName"] = json!("New"));
    world.create(folder, &new, &[], &[]).await.unwrap();
    let after = settings(&world, SettingKind::Category).await;
    assert_eq!(after.len(), before.len() + 1);
    let existing = world.existing(ItemKind::Setting, &[by_mark(first.id.clone(), "x")]).await;
    let (_, now) = after.iter().find(|(_, item)| item.id == first.id).unwrap();
    assert_eq!(value(now)["color"], "preset20");
    assert_eq!((existing.len(), &existing[0].content_key), (1, &now.content_key));
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_come_back_and_automatic_replies_stay_off() {
    let world = World::with_rights(ALL_RIGHTS).await;
    let (folder, item) = settings(&world, SettingKind::Mailbox).await.remove(0);
    let wanted = with_value(&item, &item.id.0, |value| {
        value["timeZone"] = json!("Tokyo Standard Time");
        value["dateFormat"] = json!("yyyy-MM-dd");
        value["automaticRepliesSetting"]["status"] = json!("alwaysEnabled");
        value["automaticRepliesSetting"]["internalReplyMessage"] = json!("Away");
    });
    let created = world.create(&folder, &wanted, &[], &[]).await.unwrap();
    assert_eq!((&created.id, created.lost.len()), (&item.id, 1));
    let (_, back) = settings(&world, SettingKind::Mailbox).await.remove(0);
    let mut expected = value(&wanted).clone();
    expected["automaticRepliesSetting"]["status"] = json!("disabled");
    assert_eq!(value(&back), &expected);
    // What Graph refuses does not cost the rest.
    let odd = with_value(&item, &item.id.0, |value| value["timeZone"] = json!("Nowhere"));
    let created = world.create(&folder, &odd, &[], &[]).await.unwrap();
    assert!(created.lost.iter().any(|lost| lost.contains("timeZone")), "{:?}", created.lost);
    let (_, back) = settings(&world, SettingKind::Mailbox).await.remove(0);
    assert_eq!(value(&back)["dateFormat"], value(&item)["dateFormat"]);
}
