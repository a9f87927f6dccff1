//! Tasks, settings, notes, contact groups and recoverable items, as they change.

use mailkeep_exchange::{Extras, GraphProvider, Provider};
use mailkeep_model::{
    Change, Cursor, Folder, FolderKind, Item, ItemId, ItemKind, Mailbox, Next, WellKnownFolder,
};
use serde_json::json;

use crate::{ROLES, World, mailbox};

const ALL: Extras = Extras { tasks: true, streams: true, archive: true, recoverable_items: true };
const RIGHTS: [&str; 5] = [
    "Tasks.Read.All",
    "MailboxSettings.Read",
    "MailboxFolder.Read.All",
    "MailboxItem.Read.All",
    "MailboxItem.Export.All",
];

async fn world() -> (World, GraphProvider, Mailbox) {
    let world = World::with_roles(&[ROLES, &RIGHTS].concat()).await;
    let provider = world.provider_with(ALL);
    let mailbox = mailbox(&provider).await;
    let order = json!({"mailbox": mailbox.address.as_str(), "seed": 3, "tasks": 12, "notes": 6,
        "contact_groups": 4, "rules": 4});
    world.order("generate", order).await;
    (world, provider, mailbox)
}

/// What changed in a folder, and where to go on from.
async fn changes(
    provider: &GraphProvider,
    mailbox: &Mailbox,
    folder: &Folder,
    mut cursor: Option<Cursor>,
) -> (Vec<Item>, Vec<ItemId>, Option<Cursor>) {
    let (mut items, mut removed) = (Vec::new(), Vec::new());
    loop {
        let page = provider.item_changes(mailbox, folder, cursor.as_ref()).await.unwrap();
        assert_eq!(page.unread, []);
        for change in page.changes {
            match change {
                Change::Upsert(item) => items.push(item),
                Change::Removed(id) => removed.push(id),
            }
        }
        match page.next {
            Next::More(next) => cursor = Some(next),
            Next::Done(next) => return (items, removed, Some(next)),
            Next::Complete => return (items, removed, None),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changed_in_tasks_and_notes_is_told_and_nothing_else() {
    let (world, provider, mailbox) = world().await;
    let mut before = Vec::new();
    for kind in [FolderKind::Tasks, FolderKind::Opaque] {
        for folder in provider.other_folders(&mailbox, kind).await.unwrap() {
            let (items, removed, cursor) = changes(&provider, &mailbox, &folder, None).await;
            assert!(removed.is_empty());
            before.push((folder, items, cursor));
        }
    }
    let count = |kind: ItemKind| {
        before.iter().flat_map(|(_, items, _)| items).filter(|item| item.kind == kind).count()
    };
    assert_eq!((count(ItemKind::Task), count(ItemKind::Opaque)), (12, 10));
    let order = json!({"mailbox": mailbox.address.as_str(), "seed": 4,
        "tasks": {"change": 2, "delete": 1},
        "notes": {"change": 2, "delete": 1},
        "contact_groups": {"change": 1, "delete": 1}});
    world.order("mutate", order).await;
    let (mut told, mut gone) = (0, 0);
    for (folder, items, cursor) in &before {
        let (now, removed, next) = changes(&provider, &mailbox, folder, cursor.clone()).await;
        let known = |id: &ItemId| items.iter().find(|item| item.id == *id);
        let changed = now.iter().filter(|item| {
            known(&item.id).is_none_or(|before| before.content_key != item.content_key)
        });
        told += changed.count();
        gone += match next {
            Some(_) => removed.len(),
            // A list tells what is there.
            None => items.iter().filter(|old| now.iter().all(|new| new.id != old.id)).count(),
        };
        if let (Some(_), Some(cursor)) = (&cursor, next) {
            assert!(now.len() <= 3, "{now:?}");
            let (again, removed, _) = changes(&provider, &mailbox, folder, Some(cursor)).await;
            assert!(again.is_empty() && removed.is_empty(), "{again:?} {removed:?}");
        }
    }
    // What was changed may be deleted, too, and one may be changed twice.
    assert!((1..=5).contains(&told), "{told}");
    assert_eq!(gone, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn unchanged_settings_look_unchanged_and_a_changed_rule_does_not() {
    let (world, provider, mailbox) = world().await;
    let all = async || {
        let mut all = Vec::new();
        for folder in provider.other_folders(&mailbox, FolderKind::Settings).await.unwrap() {
            let (items, ..) = changes(&provider, &mailbox, &folder, None).await;
            all.extend(items.into_iter().map(|item| (item.id.0, item.content_key)));
        }
        all
    };
    let before = all().await;
    assert_eq!(all().await, before);
    assert!(before.len() > 10, "{before:?}");
    let order = json!({"mailbox": mailbox.address.as_str(), "seed": 4, "rules": {"change": 1}});
    world.order("mutate", order).await;
    let after = all().await;
    assert_eq!(after.iter().filter(|one| !before.contains(one)).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn throttling_and_broken_answers_change_nothing_about_what_is_read() {
    let (world, provider, mailbox) = world().await;
    let read = async |provider: &GraphProvider| {
        let mut all: Vec<(String, String, usize)> = Vec::new();
        for kind in [FolderKind::Tasks, FolderKind::Settings, FolderKind::Opaque] {
            for folder in provider.other_folders(&mailbox, kind).await.unwrap() {
                let (items, ..) = changes(provider, &mailbox, &folder, None).await;
                for item in items {
                    let full = provider.details(&mailbox, &item).await.unwrap();
                    let stream = match item.kind {
                        ItemKind::Opaque => {
                            provider.stream(&mailbox, &item.id).await.unwrap().len()
                        }
                        _ => full.attachments.iter().map(|one| one.bytes.len()).sum(),
                    };
                    all.push((item.id.0, full.item.content_key, stream));
                }
            }
        }
        all.sort();
        all
    };
    let calm = read(&provider).await;
    let faults = json!([
        {"status": 429, "retry_after": 1, "probability": 0.05, "seed": 1},
        {"reset": true, "probability": 0.05, "seed": 2},
        {"status": 503, "probability": 0.03, "seed": 3},
    ]);
    world.order("faults", faults).await;
    assert_eq!(read(&provider).await, calm);
    assert!(provider.usage().retried > 0);
}

async fn tree(
    provider: &GraphProvider,
    mailbox: &Mailbox,
    mut cursor: Option<Cursor>,
) -> (Vec<Change<Folder, mailkeep_model::FolderId>>, Cursor) {
    let mut changes = Vec::new();
    loop {
        let page = provider.folder_changes(mailbox, cursor.as_ref()).await.unwrap();
        changes.extend(page.changes);
        match page.next {
            Next::More(next) => cursor = Some(next),
            Next::Done(next) => return (changes, next),
            Next::Complete => panic!("a tree without a cursor"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_purged_is_one_more_folder_when_it_is_wanted() {
    let (world, provider, mailbox) = world().await;
    let plain = world.provider();
    let (told, cursor) = tree(&plain, &mailbox, None).await;
    let is_it = |change: &Change<Folder, _>| {
        matches!(change, Change::Upsert(folder)
            if folder.well_known == Some(WellKnownFolder::RecoverableItems))
    };
    assert!(!told.iter().any(is_it));
    assert!(!plain.kinds().contains(&FolderKind::Tasks));
    assert!(plain.other_folders(&mailbox, FolderKind::Opaque).await.unwrap().is_empty());
    // Switched on later, it is told, once.
    let (told, cursor) = tree(&provider, &mailbox, Some(cursor)).await;
    let folder = told.iter().find(|change| is_it(change)).cloned();
    let Some(Change::Upsert(folder)) = folder else { panic!("{told:?}") };
    let (told, cursor) = tree(&provider, &mailbox, Some(cursor)).await;
    assert!(told.is_empty(), "{told:?}");
    let (before, ..) = changes(&provider, &mailbox, &folder, None).await;
    // A user empties the deleted items.
    let purge = json!({"mailbox": mailbox.address.as_str(), "seed": 1, "create": 3,
        "folder": "deleteditems"});
    world.order("mutate", purge).await;
    let purge = json!({"mailbox": mailbox.address.as_str(), "seed": 1, "delete": 3,
        "folder": "deleteditems", "newest": 3});
    world.order("mutate", purge).await;
    let (after, ..) = changes(&provider, &mailbox, &folder, None).await;
    assert_eq!(after.len(), before.len() + 3);
    let counts = provider.item_counts(&mailbox).await.unwrap();
    assert_eq!(counts.get(&folder.id), Some(&(after.len() as u64)));
    assert!(!plain.item_counts(&mailbox).await.unwrap().contains_key(&folder.id));
    let mime = provider.content(&mailbox, &after[0].id).await;
    assert!(mime.is_ok(), "{:?}", mime.err());
    let found = provider.item(&mailbox, ItemKind::Message, &after[0].id).await.unwrap();
    assert_eq!(found.as_ref(), Some(&after[0]));
    assert!(plain.item(&mailbox, ItemKind::Message, &after[0].id).await.unwrap().is_none());
    let (told, _) = tree(&plain, &mailbox, Some(cursor)).await;
    assert!(told.is_empty() && !plain.is_read(&folder) && provider.is_read(&folder), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_needs_no_right_to_write_for_streams() {
    let (_world, provider, mailbox) = world().await;
    let folders = provider.other_folders(&mailbox, FolderKind::Opaque).await.unwrap();
    let names: Vec<&str> = folders.iter().map(|folder| folder.name.as_str()).collect();
    assert_eq!(names, ["Notes", "Contact groups"]);
    let (items, ..) = changes(&provider, &mailbox, &folders[0], None).await;
    assert!(!provider.stream(&mailbox, &items[0].id).await.unwrap().is_empty());
}
