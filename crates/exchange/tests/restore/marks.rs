//! What the marks of restored items tell: which item, in which state, whether it was changed since.

use mailkeep_exchange::{Existing, Looked, Mark, NewItem, Origin, Provider, Wanted, heading};
use mailkeep_model::{Attachment, Contact, FolderKind, Item, ItemId, ItemKind};
use serde_json::json;

use crate::{
    outlook::appointment,
    world::{self, World, by_mark, mark, message, mime, wanted},
};

/// Few are asked for one by one, many by a listing; both must say the same.
async fn there(world: &World, kind: ItemKind, wanted: Wanted) -> Vec<Existing> {
    let few = world.existing(kind, std::slice::from_ref(&wanted)).await;
    let mut many = vec![wanted];
    many.extend((0..30).map(|number| world::wanted(&format!("none {number}"))));
    assert_eq!(world.existing(kind, &many).await, few);
    few
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_carried_out_late_does_not_leave_a_second_one() {
    let world = World::new().await;
    let folder = world.folder(FolderKind::Mail, "Restored").await;
    // The answer is lost, and the look that follows comes too early.
    let late = json!([
        {"operation": "message.create", "reset": true, "when": "after", "times": 1},
        {"operation": "messages.list", "page": "lose", "share": 1.0, "pass": 1, "times": 1},
    ]);
    world.fails(late).await;
    let (item, content) = (message("Twice"), mime("Twice", 10));
    let created = world.create(&folder, &item, &content, &[]).await.unwrap();
    let kept = world.kept("messages", "Twice").await;
    let folders: Vec<_> = kept.iter().filter(|one| one["folder"] == folder.id.0).collect();
    assert_eq!(folders.len(), 1, "{kept:?}");
    assert_eq!(folders[0]["id"], created.id.0);
    assert!(created.doubtful, "it is looked at once more at the end");

    // And that look comes too early, too: what is left is found at the end.
    let late = json!([
        {"operation": "message.create", "reset": true, "when": "after", "times": 1},
        {"operation": "messages.list", "page": "lose", "share": 1.0, "pass": 1, "times": 3},
    ]);
    world.fails(late).await;
    let (item, content) = (message("Later"), mime("Later", 10));
    let created = world.create(&folder, &item, &content, &[]).await.unwrap();
    let in_folder = async || {
        let kept = world.kept("messages", "Later").await;
        kept.iter().filter(|one| one["folder"] == folder.id.0).count()
    };
    assert_eq!(in_folder().await, 2);
    world.fails(json!([])).await;
    // Another one that is much like it stays.
    let other = Item { content_key: "l".into(), ..item.clone() };
    world.create(&folder, &other, &content, &[]).await.unwrap();
    let keep = std::slice::from_ref(&created.id);
    let mark = mark("Later", "k");
    let remove =
        || world.provider.remove_doubles(&world.mailbox, &folder, ItemKind::Message, &mark, keep);
    assert_eq!((remove().await.unwrap(), remove().await.unwrap()), (1, 0));
    assert_eq!(in_folder().await, 2);
    let ids: Vec<_> = there(&world, ItemKind::Message, wanted("Later")).await;
    let same: Vec<_> = ids.iter().filter(|one| one.mark.as_ref() == Some(&mark)).collect();
    assert_eq!(same.iter().map(|one| &one.id).collect::<Vec<_>>(), [&created.id]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_is_found_in_whatever_state_it_was_restored() {
    let world = World::new().await;
    let folder = world.folder(FolderKind::Mail, "Restored").await;
    let (first, content) = (message("One"), mime("One", 0));
    let first = Item { internet_message_id: Some("<One@far.example>".into()), ..first };
    let second = Item { content_key: "l".into(), ..first.clone() };
    for item in [&first, &second] {
        world.create(&folder, item, &content, &[]).await.unwrap();
    }
    let found = there(&world, ItemKind::Message, wanted("One")).await;
    let mut marks: Vec<_> = found.iter().filter_map(|one| one.mark.clone()).collect();
    marks.sort_by(|a, b| a.state.cmp(&b.state));
    assert_eq!(marks, [mark("One", "k"), mark("One", "l")]);
    // The same message by what it says of itself, whatever its size is here.
    let told = Item { recipients: vec!["bob@near.example".into()], ..first };
    assert!(heading(&told).is_some());
    assert!(found.iter().all(|one| one.heading == heading(&told)), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_earlier_version_restored_is_recognised() {
    let world = World::new().await;
    let calendar = world.folder(FolderKind::Calendar, "Restored").await;
    let folder = world.folder(FolderKind::Mail, "Restored").await;
    let event = world::event(appointment("Old"));
    for (kind, folder, item) in
        [(ItemKind::Message, &folder, message("Old")), (ItemKind::Event, &calendar, event)]
    {
        let former = Mark { item: "former-Old".into(), state: None };
        let content = if kind == ItemKind::Message { mime("Old", 0) } else { Vec::new() };
        let new = NewItem {
            item: &item,
            content: &content.into(),
            stream: None,
            attachments: &[],
            origin: &Origin { mark: former.clone(), snapshot: "s0".into() },
            looked: Looked::NothingThere,
            replaces: &[],
        };
        world.provider.create(&world.mailbox, folder, &new).await.unwrap();
        let found = there(&world, kind, wanted("Old")).await;
        assert_eq!(found.iter().map(|one| one.mark.as_ref()).collect::<Vec<_>>(), [Some(&former)]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_its_owner_changed_after_a_restore_is_told_from_what_is_as_it_was_made() {
    let world = World::new().await;
    let calendar = world.folder(FolderKind::Calendar, "Restored").await;
    let people = world.folder(FolderKind::Contacts, "Restored").await;
    let mail = world.folder(FolderKind::Mail, "Restored").await;
    let event = world::event(appointment("Event"));
    world.create(&calendar, &event, &[], &[]).await.unwrap();
    let contact = Contact { display_name: "Contact".into(), ..Contact::default() };
    // Takes several requests, and the last one comes long after the first.
    let photo = Attachment { bytes: vec![0xFF, 0xD8, 0xFF, 0xD9], ..Attachment::default() };
    world.create(&people, &world::contact(contact), &[], &[photo]).await.unwrap();
    let draft = Item { draft: true, ..message("Draft") };
    let made = world.create(&mail, &draft, &mime("Draft", 0), &[]).await.unwrap();
    let all =
        [(ItemKind::Event, "Event"), (ItemKind::Contact, "Contact"), (ItemKind::Message, "Draft")];
    let edited = async || {
        let mut edited = Vec::new();
        for (kind, name) in all {
            let found = there(&world, kind, wanted(name)).await;
            assert_eq!(found.len(), 1, "{found:?}");
            edited.push(found[0].edited);
        }
        edited
    };
    assert_eq!(edited().await, [false; 3]);
    world.order("clock", json!({"offset_seconds": 200})).await;
    assert_eq!(edited().await, [false; 3]);
    let everything = json!({"mailbox": world.mailbox.address.as_str(), "seed": 1,
        "events": {"change": 10_000}, "contacts": {"change": 10_000}});
    world.order("mutate", everything).await;
    world.provider.update(&world.mailbox, &made.id, &draft).await.unwrap();
    assert_eq!(edited().await, [true; 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_to_be_replaced_is_not_taken_for_what_replaces_it() {
    let world = World::new().await;
    let calendar = world.folder(FolderKind::Calendar, "Restored").await;
    let event = world::event(appointment("Event"));
    let old = world.create(&calendar, &event, &[], &[]).await.unwrap().id;
    let lost = json!([{"operation": "event.create", "reset": true, "when": "before", "times": 1}]);
    world.fails(lost).await;
    let replaces = std::slice::from_ref(&old);
    let new = world.create_instead(&calendar, &event, &[], &[], replaces).await.unwrap().id;
    assert_ne!(old, new);
    // Whoever comes after a crash between the two knows what is left to do.
    let found = there(&world, ItemKind::Event, wanted("Event")).await;
    let replaces: Vec<(&ItemId, &[ItemId])> =
        found.iter().map(|one| (&one.id, one.replaces.as_slice())).collect();
    assert_eq!(replaces.len(), 2);
    assert!(replaces.contains(&(&new, std::slice::from_ref(&old))), "{replaces:?}");
    assert!(replaces.contains(&(&old, &[])), "{replaces:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_known_before_a_meeting_is_deleted_whether_its_attendees_would_be_told() {
    let world = World::new().await;
    let order =
        json!({"mailbox": world.mailbox.address.as_str(), "seed": 1, "events": {"create": 30}});
    world.order("mutate", order).await;
    let mut notify = 0;
    for event in &world.all("events").await {
        let id = ItemId(event["id"].as_str().unwrap().to_owned());
        let found = there(&world, ItemKind::Event, by_mark(id, "other")).await;
        let attendees = event["attendees"].as_array().unwrap();
        let told = event["isOrganizer"] == true && !attendees.is_empty();
        assert_eq!(found.iter().map(|one| one.notifies).collect::<Vec<_>>(), [told], "{event}");
        notify += u32::from(told);
    }
    assert!(notify > 0, "no meeting with attendees was there");
}
