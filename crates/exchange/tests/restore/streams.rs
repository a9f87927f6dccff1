//! Items as streams: read, taken away, and written back whole.

use bytes::Bytes;
use mailkeep_exchange::{
    Created, ExchangeError, Looked, NewItem, Origin, Provider, Wanted, likeness,
};
use mailkeep_model::{Change, Folder, FolderKind, Item, ItemId, ItemKind, WellKnownFolder};
use serde_json::{Value, json};

use crate::{
    kinds::{ALL_RIGHTS, details, folders, items, make},
    world::{World, by_mark, mark},
};

async fn restore(
    world: &World,
    folder: &Folder,
    item: &Item,
    stream: &Bytes,
    (looked, replaces): (Looked, &[ItemId]),
) -> Result<Created, ExchangeError> {
    let origin = Origin { mark: mark(&item.id.0, &item.content_key), snapshot: "s1".into() };
    let new = NewItem {
        item,
        content: &Bytes::new(),
        stream: Some(stream),
        attachments: &[],
        origin: &origin,
        looked,
        replaces,
    };
    world.provider.create(&world.mailbox, folder, &new).await
}

async fn stream(world: &World, item: &ItemId) -> Bytes {
    world.provider.stream(&world.mailbox, item).await.unwrap()
}

/// The notes and the contact groups, in full, with their folders.
async fn opaque(world: &World) -> Vec<(Folder, Item)> {
    let mut all = Vec::new();
    for folder in folders(world, FolderKind::Opaque).await {
        if folder.id.0.starts_with("archive:") {
            continue;
        }
        for item in items(world, &folder).await {
            let full = details(world, &item).await.item;
            assert_eq!(full.content_key, item.content_key);
            all.push((folder.clone(), full));
        }
    }
    all
}

fn sought(item: &Item) -> Wanted {
    let mut wanted = by_mark(item.id.clone(), &item.id.0);
    wanted.likeness = likeness(item);
    wanted
}

/// What the lab keeps of notes and groups, without what a restore gives anew.
async fn kept(world: &World) -> Vec<Value> {
    let mut all = [world.all("notes").await, world.all("contact_groups").await].concat();
    for one in &mut all {
        one.as_object_mut().unwrap().remove("id");
    }
    all.sort_by_key(Value::to_string);
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn notes_and_contact_groups_come_back_as_they_were_and_only_once() {
    let world = World::with_rights(ALL_RIGHTS).await;
    make(&world, json!({"notes": 5, "contact_groups": 4})).await;
    let before = opaque(&world).await;
    assert_eq!(before.len(), 9);
    let notes = before.iter().filter(|(f, _)| f.well_known == Some(WellKnownFolder::Notes));
    assert_eq!(notes.count(), 5);
    assert!(before.iter().all(|(_, item)| !item.subject.is_empty()), "{before:?}");
    let whole = kept(&world).await;
    let mut streams = Vec::new();
    for (_, item) in &before {
        streams.push(stream(&world, &item.id).await);
    }
    let gone = json!({"mailbox": world.mailbox.address.as_str(), "seed": 1,
        "notes": {"delete": 5}, "contact_groups": {"delete": 4}});
    world.order("mutate", gone).await;
    assert!(opaque(&world).await.is_empty());
    for (_, item) in &before {
        let there = world.provider.item(&world.mailbox, ItemKind::Opaque, &item.id).await.unwrap();
        assert!(there.is_none());
    }
    for ((folder, item), stream) in before.iter().zip(&streams) {
        let folder = match &folder.parent {
            // With its last group, their folder went away.
            Some(parent) => {
                let (kind, name) = (FolderKind::Opaque, folder.name.as_str());
                let made = world.provider.create_folder(&world.mailbox, kind, Some(parent), name);
                made.await.unwrap()
            }
            None => folder.clone(),
        };
        let created = restore(&world, &folder, item, stream, (Looked::NothingThere, &[])).await;
        let created = created.unwrap();
        assert!(created.lost.is_empty() && !created.doubtful);
        let again = restore(&world, &folder, item, stream, (Looked::NotYet, &[])).await.unwrap();
        assert_eq!(again.id, created.id);
    }
    assert_eq!(kept(&world).await, whole);
    let wanted: Vec<_> = before.iter().map(|(_, item)| sought(item)).collect();
    let existing = world.existing(ItemKind::Opaque, &wanted).await;
    assert_eq!(existing.len(), before.len());
    for one in &existing {
        let mark = one.mark.as_ref().unwrap();
        assert!(mark.state.is_none() && !one.edited, "{one:?}");
        assert!(wanted.iter().any(|wanted| wanted.mark == mark.item));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_note_whose_answer_is_lost_is_found_and_not_made_twice() {
    let world = World::with_rights(ALL_RIGHTS).await;
    make(&world, json!({"notes": 1})).await;
    let (folder, item) = opaque(&world).await.remove(0);
    let whole = stream(&world, &item.id).await;
    let faults = [
        json!({"reset": true, "when": "after"}),
        json!({"reset": true, "when": "before"}),
        json!({"status": 503, "when": "after"}),
        json!({"status": 503}),
        json!({"status": 429, "retry_after": 1}),
        // A session that somebody ended.
        json!({"status": 401}),
    ];
    for (number, mut fault) in faults.into_iter().enumerate() {
        fault["operation"] = json!("exchange.import");
        fault["times"] = json!(1);
        world.fails(json!([fault])).await;
        // What is there so far are other copies of it, made before.
        let before: Vec<_> = items(&world, &folder).await.into_iter().map(|one| one.id).collect();
        let looked = if number == 0 { Looked::NothingThere } else { Looked::NotYet };
        let made = restore(&world, &folder, &item, &whole, (looked, &before[1..])).await;
        let there = items(&world, &folder).await;
        if number == 0 {
            assert!(!before.contains(&made.unwrap().id), "{fault}");
            assert_eq!(there.len(), 2, "{fault}");
        } else {
            // It is written over the copy that is to be replaced.
            assert_eq!(made.unwrap().id, before[1], "{fault}");
            assert_eq!(there.len(), 2, "{fault}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_note_is_overwritten_when_it_is_replaced() {
    let world = World::with_rights(ALL_RIGHTS).await;
    make(&world, json!({"notes": 2})).await;
    let before = opaque(&world).await;
    let whole = kept(&world).await;
    let mut streams = Vec::new();
    for (_, item) in &before {
        streams.push(stream(&world, &item.id).await);
    }
    let change = json!({"mailbox": world.mailbox.address.as_str(), "seed": 1,
        "notes": {"change": 2}});
    world.order("mutate", change).await;
    assert_ne!(kept(&world).await, whole);
    for ((folder, item), stream) in before.iter().zip(&streams) {
        let replaces = [item.id.clone()];
        let created =
            restore(&world, folder, item, stream, (Looked::NothingThere, &replaces)).await;
        assert_eq!(created.unwrap().id, item.id);
    }
    assert_eq!(kept(&world).await, whole);
    let refused = world.provider.delete(&world.mailbox, ItemKind::Opaque, &before[0].1.id).await;
    assert!(matches!(refused, Err(ExchangeError::Unsupported { .. })), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_exports_at_the_same_time_share_requests_and_each_fails_by_itself() {
    let world = World::with_rights(ALL_RIGHTS).await;
    make(&world, json!({"notes": 30})).await;
    let notes = opaque(&world).await;
    world.provider.stream(&world.mailbox, &notes[0].1.id).await.unwrap();
    let before = world.provider.usage().requests;
    let mut running = tokio::task::JoinSet::new();
    let ids = notes.iter().map(|(_, item)| item.id.clone());
    for id in ids.chain([ItemId("gone".into())]) {
        let (provider, mailbox) = (world.provider.clone(), world.mailbox.clone());
        running.spawn(async move { (provider.stream(&mailbox, &id).await, id) });
    }
    while let Some(done) = running.join_next().await {
        let (exported, id) = done.unwrap();
        match exported {
            Err(ExchangeError::NotFound { .. }) => assert_eq!(id.0, "gone"),
            exported => assert!(!exported.unwrap().is_empty()),
        }
    }
    let requests = world.provider.usage().requests - before;
    assert!(requests < 12, "{requests} requests for 31 items");
}

/// What the lab keeps of an item, without what is another's in a copy.
async fn as_kept(world: &World, kind: ItemKind, id: &ItemId) -> Value {
    let all = match kind {
        ItemKind::Message => "messages",
        ItemKind::Event => "events",
        _ => "contacts",
    };
    let found = world.all(all).await.into_iter().find(|one| one["id"] == id.0.as_str());
    let mut found = found.unwrap();
    let own = [
        "id",
        "folder",
        "folder_path",
        "parentFolderId",
        "calendar",
        "changeKey",
        "webLink",
        "@odata.etag",
        "lastModifiedDateTime",
    ];
    let told = found.as_object_mut().unwrap();
    told.retain(|name, _| !own.contains(&name.as_str()));
    for part in told.values_mut() {
        for one in part.as_array_mut().into_iter().flatten() {
            if let Some(occurrence) = one.as_object_mut() {
                occurrence
                    .retain(|name, _| !own.contains(&name.as_str()) && name != "seriesMasterId");
            }
        }
    }
    if let Some(extended) = told["extended"].as_object_mut() {
        extended.retain(|name, _| !name.contains("Mailkeep") && name != "Binary 0x300b");
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_events_and_contacts_come_back_whole_from_their_streams() {
    let world = World::with_rights(ALL_RIGHTS).await;
    make(&world, json!({"messages": 4, "events": 8, "contacts": 4})).await;
    let inbox = inbox(&world).await;
    let mut work = Vec::new();
    for (kind, folder) in [
        (FolderKind::Calendar, folders(&world, FolderKind::Calendar).await.remove(0)),
        (FolderKind::Contacts, folders(&world, FolderKind::Contacts).await.remove(0)),
        (FolderKind::Mail, inbox),
    ] {
        let into = world.folder(kind, "Restored").await;
        let there = items(&world, &folder).await;
        assert!(!there.is_empty(), "{kind:?}");
        for item in there.into_iter().take(8) {
            let full = details(&world, &item).await.item;
            let whole = stream(&world, &item.id).await;
            work.push((into.clone(), full, whole));
        }
    }
    let invited = world.invitations().await;
    for (number, (into, item, whole)) in work.iter().enumerate() {
        let fault = ["after", "before"][number % 2];
        if number % 3 == 0 {
            let lost = json!([{"operation": "exchange.import", "reset": true, "when": fault,
                "times": 1}]);
            world.fails(lost).await;
        }
        let once = (Looked::NothingThere, &[][..]);
        let created = restore(&world, into, item, whole, once).await.unwrap();
        assert!(created.lost.is_empty(), "{:?}", created.lost);
        let again = restore(&world, into, item, whole, (Looked::NotYet, &[])).await.unwrap();
        assert_eq!(again.id, created.id, "{:?} {}", item.kind, item.subject);
        let original = as_kept(&world, item.kind, &item.id).await;
        assert_eq!(as_kept(&world, item.kind, &created.id).await, original);
        let found = world.existing(item.kind, &[by_mark(ItemId("x".into()), &item.id.0)]).await;
        let found = found.iter().find(|one| one.id == created.id);
        let is_marked = found.is_some_and(|one| one.mark.is_some() && !one.edited);
        let (id, kind) = (&created.id, item.kind);
        let back = world.provider.item(&world.mailbox, kind, id).await.unwrap().unwrap();
        assert_eq!(back.folder, into.id);
        // A meeting with attendees is left without a mark: they might be told of a change.
        let is_meeting = kind == ItemKind::Event && !item.recipients.is_empty();
        assert!(is_marked || is_meeting, "{kind:?} {}", item.subject);
    }
    for kind in [FolderKind::Calendar, FolderKind::Contacts, FolderKind::Mail] {
        let into = world.folder(kind, "Restored").await;
        let wanted = work.iter().filter(|(folder, ..)| folder.id == into.id).count();
        assert_eq!(items(&world, &into).await.len(), wanted, "{kind:?}");
    }
    assert_eq!(world.invitations().await, invited);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_read_gives_no_second_receipt_and_what_was_not_can_still_give_one() {
    let world = World::with_rights(ALL_RIGHTS).await;
    make(&world, json!({"messages": 2, "read_receipts": 1000})).await;
    let into = world.folder(FolderKind::Mail, "Restored").await;
    for item in items(&world, &inbox(&world).await).await {
        let whole = stream(&world, &item.id).await;
        let was_read = item.read;
        for read in [false, true] {
            let mut item = Item { read, ..item.clone() };
            // Another copy each.
            item.id.0.push_str(&read.to_string());
            let once = (Looked::NothingThere, &[][..]);
            let made = restore(&world, &into, &item, &whole, once).await.unwrap();
            let asks = as_kept(&world, item.kind, &made.id).await["read_receipt"] == true;
            assert_eq!(asks, !read, "{was_read} {read}");
            // The same in a later state, without being made anew.
            let later = Item { read: true, ..item.clone() };
            world.provider.update(&world.mailbox, &made.id, &later).await.unwrap();
            assert_eq!(as_kept(&world, item.kind, &made.id).await["read_receipt"], false);
        }
    }
    assert_eq!(world.receipts().await, 0);
}

async fn inbox(world: &World) -> Folder {
    let page = world.provider.folder_changes(&world.mailbox, None).await.unwrap();
    page.changes
        .into_iter()
        .find_map(|change| match change {
            Change::Upsert(folder) if folder.well_known == Some(WellKnownFolder::Inbox) => {
                Some(folder)
            }
            _ => None,
        })
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_original_is_never_deleted_as_a_double_of_its_copy() {
    let world = World::with_rights(ALL_RIGHTS).await;
    make(&world, json!({"messages": 1, "events": 8, "contacts": 1})).await;
    for folder in [
        inbox(&world).await,
        folders(&world, FolderKind::Calendar).await.remove(0),
        folders(&world, FolderKind::Contacts).await.remove(0),
    ] {
        let there = items(&world, &folder).await;
        // Of a meeting with attendees the copy cannot be told by a mark.
        let item =
            there.iter().find(|one| one.recipients.is_empty() || folder.kind == FolderKind::Mail);
        let item = details(&world, item.unwrap()).await.item;
        let whole = stream(&world, &item.id).await;
        // The first answer is lost, and nothing is there when it is looked for.
        let lost = json!([{"operation": "exchange.import", "reset": true, "when": "before",
            "times": 1}]);
        world.fails(lost).await;
        let once = (Looked::NothingThere, &[][..]);
        let created = restore(&world, &folder, &item, &whole, once).await.unwrap();
        assert!(created.doubtful && created.id != item.id, "{:?}", item.kind);
        // Nor is anything deleted that looked the same before.
        let (mark, keep) = (mark(&item.id.0, &item.content_key), [created.id.clone()]);
        let looked =
            world.provider.remove_doubles(&world.mailbox, &folder, item.kind, &mark, &keep);
        assert_eq!(looked.await.unwrap(), 0, "{:?}", item.kind);
        let after = items(&world, &folder).await;
        assert!(after.iter().any(|one| one.id == item.id), "{:?}", item.kind);
        assert_eq!(after.len(), there.len() + 1, "{:?}", item.kind);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_delivery_of_the_same_mail_is_not_taken_for_the_one_that_is_restored() {
    let world = World::with_rights(ALL_RIGHTS).await;
    make(&world, json!({"messages": 1})).await;
    let inbox = inbox(&world).await;
    let first = details(&world, &items(&world, &inbox).await.remove(0)).await.item;
    let whole = stream(&world, &first.id).await;
    let into = world.folder(FolderKind::Mail, "Restored").await;
    // A restore leaves one without a mark: nothing tells it from one that was delivered.
    world.fails(json!([{"operation": "message.patch", "status": 400, "times": 1}])).await;
    let once = (Looked::NothingThere, &[][..]);
    restore(&world, &into, &first, &whole, once).await.unwrap_err();
    let survivor = items(&world, &into).await.remove(0).id;
    let minute = time::Duration::minutes(1);
    let later = Item { id: ItemId("a".into()), received: first.received + minute, ..first.clone() };
    let longer = Item { id: ItemId("b".into()), content_key: "k".into(), ..first.clone() };
    for item in [later, longer] {
        let created = restore(&world, &into, &item, &whole, once).await.unwrap();
        assert_ne!(created.id, survivor, "{}", item.id.0);
    }
    assert_eq!(items(&world, &into).await.len(), 3);
    // Many at the same time, each as it is before its mark.
    let into = world.folder(FolderKind::Mail, "All of them").await;
    let all: Vec<Item> =
        (0..8).map(|n| Item { id: ItemId(format!("c{n}")), ..first.clone() }).collect();
    let running = all.iter().map(|item| restore(&world, &into, item, &whole, once));
    let made = futures::future::join_all(running).await;
    let made: std::collections::HashSet<_> =
        made.into_iter().map(|one| one.unwrap().id.0).collect();
    assert_eq!((made.len(), items(&world, &into).await.len()), (8, 8));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_have_been_imported_is_not_said_to_be_refused() {
    let world = World::with_rights(ALL_RIGHTS).await;
    make(&world, json!({"messages": 1})).await;
    let inbox = inbox(&world).await;
    let item = details(&world, &items(&world, &inbox).await.remove(0)).await.item;
    let whole = stream(&world, &item.id).await;
    let nameless = Item { internet_message_id: None, id: ItemId("n".into()), ..item.clone() };
    let lost = json!({"operation": "exchange.import", "reset": true, "when": "after", "times": 1});
    let never = json!({"operation": "exchange.import", "status": 500});
    let unmarked = json!({"operation": "message.patch", "status": 400});
    let forbidden = json!({"operation": "message.patch", "status": 403});
    let refused = json!({"operation": "exchange.import", "status": 400});
    let cases = [
        (&nameless, lost, true),
        (&item, never, true),
        (&item, unmarked, true),
        (&item, forbidden, true),
        (&item, refused, false),
    ];
    for (number, (item, fault, may_be_there)) in cases.into_iter().enumerate() {
        let item = Item { id: ItemId(format!("{}{number}", item.id.0)), ..item.clone() };
        let into = world.folder(FolderKind::Mail, &format!("Restored {number}")).await;
        world.fails(json!([fault])).await;
        let once = (Looked::NothingThere, &[][..]);
        let error = restore(&world, &into, &item, &whole, once).await.unwrap_err();
        let is_unsettled = matches!(error, ExchangeError::Unsettled { .. });
        assert_eq!(is_unsettled, may_be_there, "{fault}: {error:?}");
        world.fails(json!([])).await;
        assert!(items(&world, &into).await.len() <= 1, "{fault}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_archive_is_read_folder_by_folder_and_what_lies_elsewhere_is_said() {
    let world = World::with_rights(ALL_RIGHTS).await;
    assert!(
        folders(&world, FolderKind::Opaque).await.iter().all(|f| !f.id.0.starts_with("archive"))
    );
    let fresh = World::with_rights(ALL_RIGHTS).await;
    make(&fresh, json!({"archive_messages": 5, "archive_elsewhere": 3})).await;
    let all = folders(&fresh, FolderKind::Opaque).await;
    let top = all.iter().find(|f| f.well_known == Some(WellKnownFolder::Archive)).unwrap();
    assert!(items(&fresh, top).await.is_empty());
    let (mut read, mut refused) = (Vec::new(), 0);
    for folder in all.iter().filter(|f| f.id.0.starts_with("archive:") && f.id != top.id) {
        match fresh.provider.item_changes(&fresh.mailbox, folder, None).await {
            Ok(_) => read.extend(items(&fresh, folder).await.into_iter().map(|i| (folder, i))),
            Err(ExchangeError::Unsupported { reason, .. }) => {
                assert!(reason.contains("auto-expanding"), "{reason}");
                refused += 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!((read.len(), refused), (5, 1));
    let (folder, item) = &read[0];
    let full = details(&fresh, item).await.item;
    assert!(!full.subject.is_empty() && full.id.0.starts_with("archive:"));
    let whole = stream(&fresh, &item.id).await;
    let found = fresh.provider.item(&fresh.mailbox, ItemKind::Opaque, &item.id).await.unwrap();
    assert_eq!(found.map(|found| found.folder), Some(folder.id.clone()));
    // Beside the original, which is not taken for its copy.
    let created = restore(&fresh, folder, &full, &whole, (Looked::NotYet, &[])).await.unwrap();
    assert_ne!(created.id, item.id);
    assert_eq!(
        items(&fresh, folder).await.len(),
        1 + read.iter().filter(|(f, _)| f == folder).count()
    );
    let into = restore(&fresh, top, &full, &whole, (Looked::NotYet, &[])).await;
    assert!(matches!(into, Err(ExchangeError::Unsupported { .. })), "{into:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_address_of_an_import_session_is_in_no_error() {
    let world = World::with_rights(ALL_RIGHTS).await;
    make(&world, json!({"notes": 1})).await;
    let (folder, item) = opaque(&world).await.remove(0);
    let whole = stream(&world, &item.id).await;
    let mut broken = whole.to_vec();
    broken[20] ^= 1;
    let once = (Looked::NothingThere, &[][..]);
    let refused = restore(&world, &folder, &item, &broken.into(), once).await;
    let Err(ExchangeError::Answer { code, .. }) = &refused else { panic!("{refused:?}") };
    assert_eq!(code, "ErrorCorruptData");
    let mut texts = vec![format!("{refused:?}"), refused.unwrap_err().to_string()];
    for fault in [json!({"status": 403}), json!({"status": 500})] {
        let mut fault = fault;
        fault["operation"] = json!("exchange.import");
        world.fails(json!([fault])).await;
        let failed = restore(&world, &folder, &item, &whole, once).await.unwrap_err();
        texts.push(format!("{failed:?} {failed}"));
    }
    for text in texts {
        assert!(!text.contains("authtoken") && !text.contains("importItem"), "{text}");
    }
}
