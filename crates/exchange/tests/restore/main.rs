//! What a restore relies on when it writes into a mailbox through Graph, seen against the lab with
//! a real signer in between.

#![allow(clippy::unwrap_used)] // The helpers are tests, too.

#[path = "../common/mod.rs"]
mod common;
mod folders;
mod kinds;
mod marks;
mod outlook;
mod series;
mod streams;
mod world;

use mailkeep_exchange::{ExchangeError, Provider};
use mailkeep_model::{FolderId, FolderKind, FollowUp, Item, ItemId, ItemKind};
use serde_json::json;
use world::{ADVANCED, RIGHTS, World, by_mark, mark, marked, message, mime, wanted};

/// The property that marks what a restore made.
const ORIGIN: &str = "String {6f1a3c52-9b0e-4d7a-8c41-2e5d90b7a613} Name MailkeepOrigin";

#[tokio::test(flavor = "multi_thread")]
async fn a_received_message_comes_back_as_received_and_not_as_a_draft() {
    let world = World::new().await;
    let folder = world.folder(FolderKind::Mail, "Restored").await;
    let item = message("A letter");
    let created = world.create(&folder, &item, &mime("A letter", 100), &[]).await.unwrap();
    assert_eq!(created.lost, Vec::<String>::new());
    let [kept] = &world.kept("messages", "A letter").await[..] else { panic!("not one") };
    assert_eq!((&kept["draft"], &kept["read"]), (&json!(false), &json!(true)));
    assert_eq!(kept["received"], "2026-02-03T04:05:06Z");
    assert_eq!(kept["sent"], "2026-02-03T04:05:00Z");
    assert_eq!(kept["from"], json!({"name": "Ann Far", "address": "ann@far.example"}));
    assert_eq!(kept["to"][0]["address"], "bob@near.example");
    assert_eq!(kept["internet_message_id"], "<A-letter@far.example>");
    assert_eq!((&kept["flag"], &kept["importance"]), (&json!("flagged"), &json!("high")));
    assert_eq!(kept["categories"], json!(["Red"]));
    assert_eq!(kept["attachments"][0]["size"], 100);
    assert_eq!(kept["extended"][ORIGIN], marked("A letter"));
    let found = world.provider.item(&world.mailbox, ItemKind::Message, &created.id).await.unwrap();
    let found = found.unwrap();
    assert!(!found.draft && found.folder == folder.id);
    let existing = world.existing(ItemKind::Message, &[wanted("A letter")]).await;
    assert_eq!(existing[0].content_key, found.content_key);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_comes_back_as_a_draft() {
    let world = World::new().await;
    let folder = world.folder(FolderKind::Mail, "Restored").await;
    let item = Item { draft: true, ..message("A draft") };
    world.create(&folder, &item, &mime("A draft", 0), &[]).await.unwrap();
    assert_eq!(world.kept("messages", "A draft").await[0]["draft"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_is_made_once_however_often_it_is_asked_for_and_whatever_gets_lost() {
    let world = World::new().await;
    let folder = world.folder(FolderKind::Mail, "Restored").await;
    let faults = [
        json!({"reset": true, "when": "after"}),
        json!({"reset": true, "when": "before"}),
        json!({"status": 503, "when": "after"}),
        json!({"status": 500, "when": "before"}),
        json!({"status": 429, "retry_after": 1, "when": "before"}),
    ];
    for (number, mut fault) in faults.into_iter().enumerate() {
        fault["operation"] = json!("message.create");
        fault["times"] = json!(1);
        world.fails(json!([fault.clone()])).await;
        let name = format!("Letter {number}");
        let first = world.create(&folder, &message(&name), &mime(&name, 10), &[]).await.unwrap();
        let again = world.create(&folder, &message(&name), &mime(&name, 10), &[]).await.unwrap();
        assert_eq!(first.id, again.id, "{fault}");
        assert_eq!(world.kept("messages", &name).await.len(), 1, "{fault}");
    }
    assert!(world.provider.usage().retried >= 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn large_attachments_are_restored_whole_also_when_pieces_get_lost() {
    let rights = [RIGHTS, &[ADVANCED]].concat();
    let world = World::with_rights(&rights).await;
    let folder = world.folder(FolderKind::Mail, "Restored").await;
    world
        .fails(json!([
            {"operation": "upload.put", "reset": true, "when": "before", "pass": 1, "times": 1},
            {"operation": "message.patch", "status": 503, "times": 1},
        ]))
        .await;
    let content = mime("Large", 9_000_000);
    world.create(&folder, &message("Large"), &content, &[]).await.unwrap();
    // Just below and above where Graph wants a session.
    for size in [2_999_000, 3_000_500, 3_100_000, 3_200_000] {
        let name = format!("Large {size}");
        world.create(&folder, &message(&name), &mime(&name, size), &[]).await.unwrap();
        let [kept] = &world.kept("messages", &name).await[..] else { panic!("not one: {name}") };
        assert_eq!(kept["attachments"][0]["size"], size);
    }
    let all = world.kept("messages", "Large").await;
    let whole: Vec<_> = all.iter().filter(|one| one["folder"] == json!(folder.id.0)).collect();
    let [kept] = whole[..] else { panic!("not one: {all:?}") };
    assert_eq!(kept["attachments"][0]["size"], 9_000_000);
    assert_eq!(
        (&kept["draft"], &kept["extended"][ORIGIN]),
        (&json!(false), &json!(marked("Large")))
    );
    let existing = world.existing(ItemKind::Message, &[wanted("Large")]).await;
    assert_eq!(existing.len(), 1, "{existing:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_too_large_for_the_granted_rights_says_so_and_leaves_nothing_half_made() {
    let world = World::new().await;
    let folder = world.folder(FolderKind::Mail, "Restored").await;
    let error = world.create(&folder, &message("Large"), &mime("Large", 9_000_000), &[]).await;
    let error = error.unwrap_err();
    assert!(error.concerns_one_item() && error.to_string().contains(ADVANCED), "{error}");
    let left = world.kept("messages", "Large").await;
    assert!(left.iter().all(|one| one["folder"] != json!(folder.id.0)), "{left:?}");
    assert!(world.existing(ItemKind::Message, &[wanted("Large")]).await.is_empty());
    // The next message is restored all the same.
    world.create(&folder, &message("Small"), &mime("Small", 10), &[]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_left_half_made_is_not_taken_for_restored_and_is_made_anew() {
    let rights = [RIGHTS, &[ADVANCED]].concat();
    let world = World::with_rights(&rights).await;
    let folder = world.folder(FolderKind::Mail, "Restored").await;
    // Every attempt breaks off, and even tidying up fails.
    world
        .fails(json!([
            {"operation": "upload.create", "status": 400, "code": "ErrorInternal"},
            {"operation": "message.delete", "status": 400, "code": "ErrorInternal"},
        ]))
        .await;
    let content = mime("Large", 5_000_000);
    world.create(&folder, &message("Large"), &content, &[]).await.unwrap_err();
    assert_eq!(world.kept("messages", "Large").await.len(), 1);
    assert!(world.existing(ItemKind::Message, &[wanted("Large")]).await.is_empty());
    world.fails(json!([])).await;
    let created = world.create(&folder, &message("Large"), &content, &[]).await.unwrap();
    let existing = world.existing(ItemKind::Message, &[wanted("Large")]).await;
    assert_eq!(existing.iter().map(|one| &one.id).collect::<Vec<_>>(), [&created.id]);
    let kept = world.kept("messages", "Large").await;
    assert_eq!(kept.iter().filter(|one| one["folder"] == json!(folder.id.0)).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_user_deleted_is_found_and_known_to_be_deleted() {
    let world = World::new().await;
    let folder = world.folder(FolderKind::Mail, "Restored").await;
    let provider = &world.provider;
    let created = world.create(&folder, &message("One"), &mime("One", 0), &[]).await.unwrap();
    // Few are asked for one by one, many by a listing; both must say the same.
    let many = |mut wanted: Vec<_>| {
        wanted.extend((0..30).map(|n| world::wanted(&format!("none {n}"))));
        wanted
    };
    for wanted in [vec![wanted("One")], many(vec![wanted("One")])] {
        let existing = world.existing(ItemKind::Message, &wanted).await;
        assert_eq!(existing.len(), 1);
        assert_eq!((&existing[0].id, &existing[0].folder), (&created.id, &folder.id));
        assert_eq!(
            (existing[0].mark.clone(), existing[0].deleted),
            (Some(mark("One", "k")), false)
        );
    }
    let deleted = FolderId("deleteditems".into());
    provider.relocate(&world.mailbox, ItemKind::Message, &created.id, &deleted).await.unwrap();
    let itself = by_mark(created.id.clone(), "other");
    for (by_key, by_id) in [
        (vec![wanted("One")], vec![itself.clone()]),
        (many(vec![wanted("One")]), many(vec![itself])),
    ] {
        for wanted in [by_key, by_id] {
            let existing = world.existing(ItemKind::Message, &wanted).await;
            assert_eq!((existing.len(), existing[0].deleted), (1, true));
            assert_ne!(existing[0].folder, folder.id);
        }
    }
    let again = world.create(&folder, &message("One"), &mime("One", 0), &[]).await.unwrap();
    assert_ne!(again.id, created.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn marks_are_set_messages_move_and_gone_is_gone() {
    let world = World::new().await;
    let provider = &world.provider;
    let folder = world.folder(FolderKind::Mail, "Restored").await;
    let other = provider
        .create_folder(&world.mailbox, FolderKind::Mail, Some(&folder.id), "A/B")
        .await
        .unwrap();
    assert_eq!(other.parent.as_ref(), Some(&folder.id));
    let created = world.create(&folder, &message("One"), &mime("One", 0), &[]).await.unwrap();
    let to = Item {
        read: false,
        follow_up: FollowUp::NotFlagged,
        categories: vec!["Blue".into()],
        ..message("One")
    };
    world.fails(json!([{"operation": "message.patch", "reset": true, "times": 1}])).await;
    provider.update(&world.mailbox, &created.id, &to).await.unwrap();
    world.fails(json!([{"operation": "message.move", "reset": true, "times": 1}])).await;
    provider.relocate(&world.mailbox, ItemKind::Message, &created.id, &other.id).await.unwrap();
    let [kept] = &world.kept("messages", "One").await[..] else { panic!("not one") };
    assert_eq!((&kept["read"], &kept["flag"]), (&json!(false), &json!("notFlagged")));
    assert_eq!(kept["categories"], json!(["Blue"]));
    assert_eq!((&kept["id"], &kept["folder"]), (&json!(created.id.0), &json!(other.id.0)));
    for gone in [ItemId("no-such-id".into()), created.id.clone(), created.id] {
        provider.delete(&world.mailbox, ItemKind::Message, &gone).await.unwrap();
    }
    let error = provider
        .relocate(&world.mailbox, ItemKind::Contact, &ItemId("x".into()), &folder.id)
        .await
        .unwrap_err();
    assert!(matches!(error, ExchangeError::Unsupported { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_there_is_found_instead_of_made_twice() {
    let world = World::new().await;
    let provider = &world.provider;
    let operations = [
        (FolderKind::Mail, "folder.create"),
        (FolderKind::Calendar, "calendar.create"),
        (FolderKind::Contacts, "contactfolder.create"),
    ];
    for (kind, operation) in operations {
        world
            .fails(json!([{"operation": operation, "reset": true, "when": "after", "times": 1}]))
            .await;
        let first = world.folder(kind, "Twice O'Neil & Söhne").await;
        assert_eq!(world.folder(kind, "Twice O'Neil & Söhne").await, first, "{kind:?}");
        if kind != FolderKind::Mail {
            let all = provider.other_folders(&world.mailbox, kind).await.unwrap();
            let same = all.iter().filter(|folder| folder.name == first.name).count();
            assert_eq!(same, 1, "{all:?}");
            let default = &all[0].id;
            let below = provider.create_folder(&world.mailbox, kind, Some(default), "Below").await;
            assert_eq!(below.unwrap().name, "Below");
        }
    }
}
