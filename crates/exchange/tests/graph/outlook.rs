//! Calendars, events and contacts.

use std::collections::HashMap;

use data_encoding::HEXLOWER;
use mailkeep_exchange::{Details, ExchangeError, GraphProvider, Provider};
use mailkeep_model::{
    Change, Contact, Detail, Event, Folder, FolderKind, Item, ItemId, ItemKind, Mailbox, Next,
    WellKnownFolder,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use time::{Date, macros::format_description};

use super::{World, first_item, items, mailbox};

/// A mailbox with everything that the lab can make up, and what the lab says is in it.
async fn world(events: usize, contacts: usize) -> (World, GraphProvider, Mailbox) {
    let world = World::new().await;
    let provider = world.provider();
    let mailbox = mailbox(&provider).await;
    let order = json!({"mailbox": mailbox.address.as_str(), "seed": 3, "events": events,
        "contacts": contacts});
    world.order("generate", order).await;
    (world, provider, mailbox)
}

async fn truth(world: &World, mailbox: &Mailbox, what: &str) -> HashMap<String, Value> {
    let whole = world.look(&format!("mailbox/{}", mailbox.address)).await;
    let all = whole[what].as_array().unwrap().iter();
    all.map(|one| (one["id"].as_str().unwrap().to_owned(), one.clone())).collect()
}

async fn other_folders(
    provider: &GraphProvider,
    mailbox: &Mailbox,
    kind: FolderKind,
) -> (Folder, Vec<Folder>) {
    let mut folders = provider.other_folders(mailbox, kind).await.unwrap();
    assert!(folders.iter().all(|folder| folder.kind == kind));
    let roles: Vec<_> = folders.iter().filter_map(|folder| folder.well_known).collect();
    let role = match kind {
        FolderKind::Calendar => WellKnownFolder::Calendar,
        _ => WellKnownFolder::Contacts,
    };
    assert_eq!(roles, [role]);
    let at = folders.iter().position(|folder| folder.well_known == Some(role)).unwrap();
    let default = folders.remove(at);
    assert_eq!(default.parent, None);
    (default, folders)
}

/// All events of a calendar, as a list tells them.
async fn listed(provider: &GraphProvider, mailbox: &Mailbox, calendar: &Folder) -> Vec<Item> {
    let mut cursor = None;
    let mut events = Vec::new();
    loop {
        let page = provider.item_changes(mailbox, calendar, cursor.as_ref()).await.unwrap();
        assert_eq!(page.unread, []);
        events.extend(page.changes.into_iter().map(|change| match change {
            Change::Upsert(item) => item,
            Change::Removed(id) => panic!("{id:?}"),
        }));
        match page.next {
            Next::More(next) => cursor = Some(next),
            Next::Complete => return events,
            Next::Done(next) => panic!("{next:?}"),
        }
    }
}

fn event(details: &Details) -> &Event {
    match &details.item.detail {
        Some(Detail::Event(event)) => event,
        other => panic!("{other:?}"),
    }
}

fn contact(item: &Item) -> &Contact {
    match &item.detail {
        Some(Detail::Contact(contact)) => contact,
        other => panic!("{other:?}"),
    }
}

fn sha256(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes))
}

/// `2026-11-23T09:00:00`, in UTC.
fn utc(item: &Item) -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].0000000");
    item.received.format(&format).unwrap()
}

fn day(text: &Value) -> Date {
    Date::parse(text.as_str().unwrap(), format_description!("[year]-[month]-[day]")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_is_read_with_its_series_its_exceptions_and_its_attachments() {
    let (world, provider, mailbox) = world(140, 0).await;
    let (calendar, _) = other_folders(&provider, &mailbox, FolderKind::Calendar).await;
    let truth = truth(&world, &mailbox, "events").await;
    let listed = listed(&provider, &mailbox, &calendar).await;
    assert_eq!(listed.len(), truth.values().filter(|e| e["calendar"] == calendar.id.0).count());
    let (mut exceptions, mut cancelled, mut attached) = (0, 0, 0);
    for item in &listed {
        let lab = &truth[&item.id.0];
        let details = provider.details(&mailbox, item).await.unwrap();
        let (event, full) = (event(&details), &details.item);
        assert_eq!(
            (&full.id, &full.folder, &full.content_key),
            (&item.id, &item.folder, &item.content_key)
        );
        assert_eq!(
            (lab["subject"].as_str().unwrap(), full.kind),
            (full.subject.as_str(), ItemKind::Event)
        );
        assert_eq!(lab["start"]["dateTime"], utc(full), "{event:?}");
        assert_eq!(full.received, item.received);
        assert_eq!(lab["originalStartTimeZone"], event.start.zone);
        assert_eq!(event.end.local - event.start.local, {
            // The same length as in UTC: none of the lab's events crosses a change of the clock.
            let at = |key: &str| {
                let text = lab[key]["dateTime"].as_str().unwrap();
                let format =
                    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].0000000");
                time::PrimitiveDateTime::parse(text, format).unwrap()
            };
            at("end") - at("start")
        });
        assert_eq!(event.recurrence.is_some(), !lab["recurrence"].is_null());
        assert_eq!(lab["attendees"].as_array().unwrap().len(), event.attendees.len());
        assert_eq!(lab["iCalUId"].as_str(), event.uid.as_deref());
        let days: Vec<Date> = lab["cancelled"].as_array().unwrap().iter().map(day).collect();
        assert_eq!(event.cancelled_occurrences, days);
        let in_lab = lab["exceptions"].as_array().unwrap();
        assert_eq!(event.exceptions.len(), in_lab.len());
        for (read, lab) in event.exceptions.iter().zip(in_lab) {
            assert_eq!(read.original.local.date(), day(&lab["original_date"]), "{read:?}");
            assert_eq!(read.original.local.time(), event.start.local.time());
            assert_eq!(lab["subject"].as_str().unwrap(), read.event.subject);
        }
        let files = lab["attachments"].as_array().unwrap();
        assert_eq!(details.attachments.len(), files.len());
        assert_eq!(event.attachments.len(), files.len());
        for ((read, info), lab) in details.attachments.iter().zip(&event.attachments).zip(files) {
            assert_eq!(lab["sha256"], sha256(&read.bytes));
            assert_eq!((&read.info, lab["name"].as_str()), (info, Some(info.name.as_str())));
            assert_eq!(lab["content_type"], info.content_type);
        }
        assert_eq!(full.provider.get("notKept"), None);
        assert_eq!(full.provider["graph"]["changeKey"], full.content_key.as_str());
        exceptions += in_lab.len();
        cancelled += days.len();
        attached += files.len();
    }
    assert!(
        exceptions > 10 && cancelled > 10 && attached > 5,
        "{exceptions} {cancelled} {attached}"
    );
    assert_eq!(provider.usage().retried, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_event_has_another_content_key_and_a_deleted_one_is_gone() {
    let (world, provider, mailbox) = world(20, 0).await;
    let (calendar, _) = other_folders(&provider, &mailbox, FolderKind::Calendar).await;
    let before = listed(&provider, &mailbox, &calendar).await;
    let found = provider.item(&mailbox, ItemKind::Event, &before[0].id).await.unwrap();
    assert_eq!(found.as_ref(), Some(&before[0]));
    let address = mailbox.address.as_str();
    let order = json!({"mailbox": address, "seed": 1, "events": {"change": 10, "delete": 3}});
    let done = world.order("mutate", order).await["events"].clone();
    let ids = |what: &str| -> Vec<ItemId> {
        let all = done[what].as_array().unwrap().iter();
        all.map(|one| ItemId(one["id"].as_str().unwrap().to_owned())).collect()
    };
    let after = listed(&provider, &mailbox, &calendar).await;
    for old in &before {
        let new = after.iter().find(|item| item.id == old.id);
        let Some(new) = new else {
            assert!(ids("deleted").contains(&old.id));
            assert_eq!(provider.item(&mailbox, ItemKind::Event, &old.id).await.unwrap(), None);
            let error = provider.details(&mailbox, old).await.unwrap_err();
            assert!(matches!(error, ExchangeError::NotFound { .. }), "{error}");
            continue;
        };
        assert_eq!(ids("changed").contains(&new.id), new.content_key != old.content_key);
        // Asked for by what was listed before: the start and the key are those of now.
        let details = provider.details(&mailbox, old).await.unwrap();
        assert_eq!(details.item.content_key, new.content_key);
        assert_eq!(details.item.received, new.received);
    }
    // Some were deleted in another calendar.
    let deleted = before.iter().filter(|item| ids("deleted").contains(&item.id)).count();
    assert_eq!(before.len(), after.len() + deleted);
    assert!(deleted > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_in_a_zone_that_nobody_knows_is_read_in_utc() {
    let (world, provider, mailbox) = world(14, 0).await;
    let (calendar, _) = other_folders(&provider, &mailbox, FolderKind::Calendar).await;
    for mut item in listed(&provider, &mailbox, &calendar).await {
        let good = provider.details(&mailbox, &item).await.unwrap();
        item.provider.insert("originalStartTimeZone".into(), json!("Customized Time Zone"));
        let requests = provider.usage().requests;
        let read = provider.details(&mailbox, &item).await.unwrap();
        assert!(provider.usage().requests >= requests + 2);
        assert_eq!(event(&read).start.zone, "UTC");
        assert_eq!(read.item.received, good.item.received);
        assert_eq!(event(&read).exceptions.len(), event(&good).exceptions.len());
        // The clock is another one, the dates are those of the series.
        assert_eq!(event(&read).recurrence, event(&good).recurrence);
        assert_eq!(event(&read).cancelled_occurrences, event(&good).cancelled_occurrences);
    }
    drop(world);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_refused_for_a_moment_does_not_lose_its_zone() {
    let (world, provider, mailbox) = world(14, 0).await;
    let (calendar, _) = other_folders(&provider, &mailbox, FolderKind::Calendar).await;
    let mut tried = 0;
    for item in listed(&provider, &mailbox, &calendar).await {
        let good = provider.details(&mailbox, &item).await.unwrap();
        if event(&good).start.zone == "UTC" {
            continue;
        }
        tried += 1;
        let fault = json!([{"operation": "event.show", "status": 400, "times": 1}]);
        world.order("faults", fault).await;
        let refused = provider.details(&mailbox, &item).await;
        assert!(matches!(refused, Err(ExchangeError::Answer { status: 400, .. })), "{refused:?}");
        assert_eq!(provider.details(&mailbox, &item).await.unwrap().item, good.item);
    }
    assert!(tried > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attachment_that_cannot_be_read_does_not_cost_the_event() {
    let (world, provider, mailbox) = world(14, 0).await;
    let (calendar, _) = other_folders(&provider, &mailbox, FolderKind::Calendar).await;
    let truth = truth(&world, &mailbox, "events").await;
    let having = |item: &Item| truth[&item.id.0]["attachments"].as_array().unwrap().len();
    let items = listed(&provider, &mailbox, &calendar).await;
    let item = items.iter().find(|item| having(item) > 0).unwrap();
    let fault = json!([{"operation": "event.attachment.show", "status": 400,
        "code": "ErrorItemCorrupt", "times": 1}]);
    world.order("faults", fault).await;
    let read = provider.details(&mailbox, item).await.unwrap();
    assert_eq!(read.attachments.len(), having(item) - 1);
    assert_eq!(event(&read).attachments.len(), read.attachments.len());
    let note = read.item.provider["notKept"][0].as_str().unwrap();
    assert!(note.contains("ErrorItemCorrupt"), "{note}");
    // What may pass is not noted but tried again.
    let fault = json!([{"operation": "event.attachment.show", "status": 503, "times": 1}]);
    world.order("faults", fault).await;
    let read = provider.details(&mailbox, item).await.unwrap();
    assert_eq!(read.attachments.len(), having(item));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_contact_is_read_in_its_folder_and_with_its_photograph() {
    let (world, provider, mailbox) = world(0, 90).await;
    let (default, others) = other_folders(&provider, &mailbox, FolderKind::Contacts).await;
    let named = |name: &str| others.iter().find(|folder| folder.name == name).unwrap();
    assert_eq!(named("Former").parent.as_ref(), Some(&named("Suppliers").id));
    let truth = truth(&world, &mailbox, "contacts").await;
    let (mut read, mut photos, mut birthdays) = (0, 0, 0);
    for folder in std::iter::once(&default).chain(&others) {
        let (changes, _) = items(&provider, &mailbox, folder, None).await;
        for change in changes {
            let Change::Upsert(item) = change else { panic!("{change:?}") };
            let lab = &truth[&item.id.0];
            assert_eq!((&item.folder, &json!(folder.id.0)), (&folder.id, &lab["folder"]));
            let details = provider.details(&mailbox, &item).await.unwrap();
            assert_eq!(details.item, item);
            let contact = contact(&item);
            for (text, key) in [
                (&contact.display_name, "displayName"),
                (&contact.given_name, "givenName"),
                (&contact.company, "companyName"),
                (&contact.notes, "personalNotes"),
                (&contact.yomi_surname, "yomiSurname"),
                (&contact.home_address.street, "street"),
            ] {
                let lab = if key == "street" { &lab["homeAddress"] } else { lab };
                assert_eq!(text, lab[key].as_str().unwrap_or_default(), "{key}");
            }
            assert_eq!(contact.emails.len(), lab["emailAddresses"].as_array().unwrap().len());
            let photo = details.attachments.first();
            assert_eq!(
                lab["photo_sha256"].as_str(),
                photo.map(|one| sha256(&one.bytes)).as_deref()
            );
            if let Some(photo) = photo {
                assert_eq!(photo.info.content_type, "image/jpeg");
                photos += 1;
            }
            birthdays += usize::from(contact.birthday.is_some());
            read += 1;
        }
    }
    assert_eq!(read, truth.len());
    assert!(photos > 10 && birthdays > 5, "{photos} {birthdays}");
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_moved_and_deleted_contacts_are_told_by_the_cursor() {
    let (world, provider, mailbox) = world(0, 40).await;
    let (default, others) = other_folders(&provider, &mailbox, FolderKind::Contacts).await;
    let mut cursors = Vec::new();
    let mut before = HashMap::new();
    for folder in std::iter::once(default).chain(others) {
        let (changes, cursor) = items(&provider, &mailbox, &folder, None).await;
        for change in changes {
            let Change::Upsert(item) = change else { panic!("{change:?}") };
            before.insert(item.id.clone(), item);
        }
        cursors.push((folder, cursor));
    }
    let address = mailbox.address.as_str();
    let order = json!({"mailbox": address, "seed": 1,
        "contacts": {"create": 2, "change": 5, "move": 3, "delete": 4}});
    world.order("mutate", order).await;
    let (mut new, mut changed, mut moved, mut gone) = (0, 0, 0, 0);
    for (folder, cursor) in cursors {
        let (changes, _) = items(&provider, &mailbox, &folder, Some(cursor)).await;
        for change in changes {
            match change {
                Change::Upsert(item) => match before.get(&item.id) {
                    None => new += 1,
                    Some(old) if old.folder == item.folder => {
                        assert_ne!(old.content_key, item.content_key);
                        assert_ne!(old.detail, item.detail);
                        changed += 1;
                    }
                    Some(_) => moved += 1,
                },
                Change::Removed(id) => {
                    match provider.item(&mailbox, ItemKind::Contact, &id).await.unwrap() {
                        None => gone += 1,
                        Some(item) => assert_ne!(item.folder, folder.id),
                    }
                }
            }
        }
    }
    assert_eq!((new, changed, moved, gone), (2, 5, 3, 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_cursor_of_contacts_is_told_apart_from_a_failure() {
    let (world, provider, mailbox) = world(0, 10).await;
    let (default, _) = other_folders(&provider, &mailbox, FolderKind::Contacts).await;
    let (calm, cursor) = items(&provider, &mailbox, &default, None).await;
    let fault = json!([{"operation": "contacts.delta", "status": 410, "times": 1}]);
    world.order("faults", fault).await;
    let error = provider.item_changes(&mailbox, &default, Some(&cursor)).await.unwrap_err();
    assert!(matches!(error, ExchangeError::CursorExpired { .. }), "{error}");
    let faults = json!([
        {"operation": "contacts.delta", "status": 429, "retry_after": 1, "times": 1},
        {"operation": "contacts.delta", "reset": true, "times": 1},
        {"operation": "contact.photo", "reset": true, "times": 2},
    ]);
    world.order("faults", faults).await;
    let (stormy, _) = items(&provider, &mailbox, &default, None).await;
    assert_eq!(stormy, calm);
    provider.details(&mailbox, first_item(&stormy)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_photograph_that_is_not_found_by_mistake_is_not_lost() {
    let (world, provider, mailbox) = world(0, 20).await;
    let (default, _) = other_folders(&provider, &mailbox, FolderKind::Contacts).await;
    let (contacts, _) = items(&provider, &mailbox, &default, None).await;
    let mut photographs = 0;
    for change in contacts {
        let Change::Upsert(contact) = change else { continue };
        let calm = provider.details(&mailbox, &contact).await.unwrap().attachments;
        let fault = json!([{"operation": "contact.photo", "status": 404, "times": 2}]);
        world.order("faults", fault).await;
        let stormy = provider.details(&mailbox, &contact).await.unwrap().attachments;
        assert_eq!(stormy, calm);
        photographs += calm.len();
    }
    assert!(photographs > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_right_is_named_and_costs_neither_mail_nor_a_cursor() {
    let world = World::with_roles(&["Mail.Read", "User.Read.All"]).await;
    let provider = world.provider();
    let mailbox = mailbox(&provider).await;
    for (kind, right) in
        [(FolderKind::Calendar, "Calendars.Read"), (FolderKind::Contacts, "Contacts.Read")]
    {
        let error = provider.other_folders(&mailbox, kind).await.unwrap_err();
        assert!(matches!(error, ExchangeError::Forbidden { .. }), "{error}");
        assert!(error.to_string().contains(right), "{error}");
    }
    provider.folder_changes(&mailbox, None).await.unwrap();
}
