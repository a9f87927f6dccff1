//! Events and contacts in `POST /_lab/generate` and `POST /_lab/mutate`.

use std::sync::Arc;

use axum::http::StatusCode;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use time::macros::date;

use super::Refused;
use crate::compose::{Attachment, Nature};
use crate::ids;
use crate::seed::generate::Setting;
use crate::seed::{Rng, events, people};
use crate::state::{
    Aspect, Attached, Core, ExtendedProperties, Mailbox, MailboxState, Message, Refusal,
};

/// Most events or contacts that one request makes or changes.
pub(super) const MOST: usize = 100_000;
/// Generated events begin in the two months after this day: the clock changes twice in their year.
const FIRST: time::Date = date!(2026 - 09 - 01);

/// Changes of events.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct EventChanges {
    create: usize,
    change: usize,
    delete: usize,
}

/// Changes of contacts.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ContactChanges {
    create: usize,
    change: usize,
    #[serde(rename = "move")]
    relocate: usize,
    delete: usize,
}

/// Makes events and contacts in a mailbox.
pub(super) fn generate(
    state: &mut MailboxState,
    rng: &mut Rng,
    setting: &Setting<'_>,
    (event_count, contact_count): (usize, usize),
    now: i64,
) -> Result<(), Refused> {
    if event_count > MOST || contact_count > MOST {
        return Err((StatusCode::BAD_REQUEST, format!("at most {MOST} events and contacts")));
    }
    events::generate(state, rng, setting, 0..event_count, FIRST, now).map_err(gone)?;
    people::generate(state, rng, contact_count, now).map_err(gone)?;
    Ok(())
}

/// The largest file that is attached: a client reads it in JSON, encoded.
const LARGEST_FILE: usize = 6_000_000;

/// Attaches the same files, in which nothing repeats, of so many bytes together to every event.
pub(super) fn attach(state: &mut MailboxState, rng: &mut Rng, bytes: usize, now: i64) {
    if bytes == 0 {
        return;
    }
    let words = std::iter::repeat_with(|| rng.next().to_le_bytes()).flatten();
    let bytes: Bytes = words.take(bytes).collect();
    let pieces = (0..bytes.len()).step_by(LARGEST_FILE);
    let files: Vec<_> = pieces
        .map(|begin| Attachment {
            name: format!("Plans from byte {begin}.bin"),
            content_type: "application/octet-stream".to_owned(),
            content_id: None,
            inline: false,
            bytes: bytes.slice(begin..bytes.len().min(begin + LARGEST_FILE)),
            nature: Nature::File,
        })
        .collect();
    for event in state.calendars.events.values_mut() {
        let last = event.attachments.iter().map(|one| one.number).max().unwrap_or_default();
        let numbered = files.iter().cloned().zip(last + 1..);
        let attached = numbered.map(|(file, number)| Attached { number, modified: now, file });
        event.attachments.extend(attached);
    }
}

/// A property that another program has put on items, as Exchange writes its id.
const FOREIGN: &str = "String {4d3f7c1e-8a52-4b60-9f0d-61c2b7a9e358} Name Ticket";

/// Puts it on the first so many of each kind of items.
pub(super) fn put_properties(state: &mut MailboxState, count: usize) {
    let mail = visible_mail(state);
    let mut all: Vec<&mut ExtendedProperties> = Vec::new();
    let events = state.calendars.events.values_mut().take(count);
    all.extend(events.map(|event| &mut event.details.properties));
    let contacts = state.contacts.items.values_mut().take(count);
    all.extend(contacts.map(|contact| &mut contact.properties));
    let set = |properties: &mut ExtendedProperties, number: usize| {
        // One that is full stays without, as it would at Exchange.
        let _ = properties.set(FOREIGN, &format!("größer {number}"));
    };
    for (number, properties) in all.into_iter().enumerate() {
        set(properties, number);
    }
    for (number, item) in mail.into_iter().take(count).enumerate() {
        if let Some(message) = state.messages.get_mut(&item) {
            set(&mut message.properties, number);
        }
    }
}

/// Lets the senders of the first so many messages ask for a read receipt.
pub(super) fn ask_for_receipts(state: &mut MailboxState, count: usize) {
    for item in visible_mail(state).into_iter().take(count) {
        if let Some(message) = state.messages.get_mut(&item) {
            let from = message.core.from.as_ref().map_or("", |from| &from.address);
            let asked = format!("Disposition-Notification-To: <{from}>\r\n").into_bytes();
            let mime = [asked.as_slice(), &message.core.content.bytes()].concat();
            message.core = Arc::new(Core::parse(Bytes::from(mime), None));
            message.read_receipt = true;
        }
    }
}

/// The messages that lie in folders, from the first on.
fn visible_mail(state: &MailboxState) -> Vec<u64> {
    let is_visible = |message: &Message| !state.is_hidden(message.place.folder);
    let all = state.messages.iter().filter(|(_, message)| is_visible(message));
    let mut all: Vec<u64> = all.map(|(item, _)| *item).collect();
    all.sort_unstable();
    all
}

/// Changes calendars of mailboxes, one mailbox after the other.
pub(super) fn change_events(
    rng: &mut Rng,
    mailboxes: &[Arc<Mailbox>],
    wanted: &EventChanges,
    now: i64,
) -> Result<Value, Refused> {
    limit([wanted.create, wanted.change, wanted.delete])?;
    let mut created = Vec::new();
    for number in 0..wanted.create {
        let mailbox = &mailboxes[number % mailboxes.len()];
        let setting =
            Setting { owner: &mailbox.address, owner_name: &mailbox.display_name, colleagues: &[] };
        let mut state = mailbox.write();
        let kind = rng.below(events::KINDS);
        let made = events::generate(&mut state, rng, &setting, kind..kind + 1, FIRST, now);
        created.extend(made.map_err(gone)?.iter().map(|item| entry(mailbox, *item)));
    }
    let mut all = candidates(mailboxes, |state| state.calendars.events.keys().copied().collect());
    let mut changed = Vec::new();
    for number in 0..wanted.change {
        let Some((mailbox, item)) = choose(rng, &mut all) else { break };
        let mut state = mailbox.write();
        let mut what =
            ["subject", "moved occurrence", "cancelled occurrence", "categories", "time"]
                [number % 5];
        let series = state.calendars.events.get(&item).is_some_and(|e| e.recurrence.is_some());
        if !series && what.ends_with("occurrence") {
            what = "subject";
        }
        let nth = rng.below(6);
        state
            .change_event(item, Aspect::Whole, now, |event| match what {
                "subject" => {
                    event
                        .details
                        .fields
                        .insert("subject".into(), json!(format!("Changed {nth} {now}")));
                }
                "categories" => {
                    event
                        .details
                        .fields
                        .insert("categories".into(), json!([format!("Category {nth}")]));
                }
                "moved occurrence" => {
                    events::move_occurrence(event, nth, 0, now);
                }
                "cancelled occurrence" => {
                    events::cancel_occurrence(event, nth);
                }
                _ if event.recurrence.is_none() => {
                    for moment in [&mut event.details.start, &mut event.details.end] {
                        let later = moment.local.checked_add(time::Duration::days(1));
                        moment.local = later.unwrap_or(moment.local);
                    }
                }
                _ => {
                    event.details.fields.insert("showAs".into(), json!("tentative"));
                }
            })
            .map_err(gone)?;
        let mut line = entry(&mailbox, item);
        line["what"] = json!(what);
        changed.push(line);
    }
    let mut deleted = Vec::new();
    for _ in 0..wanted.delete {
        let Some((mailbox, item)) = choose(rng, &mut all) else { break };
        mailbox.write().delete_event(item).map_err(gone)?;
        deleted.push(entry(&mailbox, item));
    }
    Ok(json!({ "created": created, "changed": changed, "deleted": deleted }))
}

/// Changes contacts; only here can they be moved.
pub(super) fn change_contacts(
    rng: &mut Rng,
    mailboxes: &[Arc<Mailbox>],
    wanted: &ContactChanges,
    now: i64,
) -> Result<Value, Refused> {
    limit([wanted.create, wanted.change, wanted.delete])?;
    limit([wanted.relocate, 0, 0])?;
    let mut created = Vec::new();
    for number in 0..wanted.create {
        let mailbox = &mailboxes[number % mailboxes.len()];
        let made = people::generate(&mut mailbox.write(), rng, 1, now).map_err(gone)?;
        created.extend(made.iter().map(|item| entry(mailbox, *item)));
    }
    let mut all = candidates(mailboxes, |state| state.contacts.items.keys().copied().collect());
    let mut changed = Vec::new();
    for number in 0..wanted.change {
        let Some((mailbox, item)) = choose(rng, &mut all) else { break };
        let (name, value) = [
            ("jobTitle", json!(format!("Title {number}"))),
            ("categories", json!([format!("Category {number}")])),
            (
                "emailAddresses",
                json!([{ "name": "New", "address": format!("new.{number}@a.example") }]),
            ),
        ][number % 3]
            .clone();
        let mut state = mailbox.write();
        let change = |contact: &mut crate::state::Contact| {
            contact.fields.insert(name.to_owned(), value);
        };
        state.change_contact(item, now, change).map_err(gone)?;
        let mut line = entry(&mailbox, item);
        line["what"] = json!(name);
        changed.push(line);
    }
    let mut moved = Vec::new();
    while moved.len() < wanted.relocate {
        let Some((mailbox, item)) = choose(rng, &mut all) else { break };
        let mut state = mailbox.write();
        if state.contacts.folders.len() < 2 {
            state.create_contact_folder(crate::state::ROOT, "Moved").map_err(gone)?;
        }
        let Some(from) = state.contacts.items.get(&item).map(|contact| contact.place.folder) else {
            continue;
        };
        let others: Vec<u64> = state
            .contacts
            .folders
            .iter()
            .map(|folder| folder.number)
            .filter(|number| *number != from)
            .collect();
        let to = others[rng.below(others.len())];
        state.move_contact(item, to, now).map_err(gone)?;
        let mut line = entry(&mailbox, item);
        line["from"] = json!(ids::folder_id(mailbox.id, from));
        line["to"] = json!(ids::folder_id(mailbox.id, to));
        moved.push(line);
    }
    let mut deleted = Vec::new();
    for _ in 0..wanted.delete {
        let Some((mailbox, item)) = choose(rng, &mut all) else { break };
        mailbox.write().delete_contact(item).map_err(gone)?;
        deleted.push(entry(&mailbox, item));
    }
    Ok(json!({ "created": created, "changed": changed, "moved": moved, "deleted": deleted }))
}

fn candidates(
    mailboxes: &[Arc<Mailbox>],
    items: impl Fn(&MailboxState) -> Vec<u64>,
) -> Vec<(Arc<Mailbox>, u64)> {
    let of = |mailbox: &Arc<Mailbox>| {
        let items = items(&mailbox.read());
        let mailbox = Arc::clone(mailbox);
        items.into_iter().map(move |item| (Arc::clone(&mailbox), item))
    };
    mailboxes.iter().flat_map(of).collect()
}

fn choose(rng: &mut Rng, from: &mut Vec<(Arc<Mailbox>, u64)>) -> Option<(Arc<Mailbox>, u64)> {
    (!from.is_empty()).then(|| from.swap_remove(rng.below(from.len())))
}

fn entry(mailbox: &Mailbox, item: u64) -> Value {
    json!({ "mailbox": mailbox.address, "id": ids::immutable_id(mailbox.id, item) })
}

fn limit(counts: [usize; 3]) -> Result<(), Refused> {
    if counts.iter().any(|count| *count > MOST) {
        return Err((StatusCode::BAD_REQUEST, format!("at most {MOST} changes of a kind")));
    }
    Ok(())
}

fn gone(refusal: Refusal) -> Refused {
    (StatusCode::CONFLICT, format!("the mailbox changed meanwhile: {refusal:?}"))
}
