//! `POST /_lab/mutate`: changes of mailboxes in bulk, the same for a seed.

use std::sync::Arc;

use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::generate::LARGEST;
use super::kinds::AllChanges;
use super::personal::{self, ContactChanges, EventChanges};
use super::{Refused, refused, unknown_mailbox};
use crate::clock;
use crate::ids;
use crate::lab::Shared;
use crate::seed::Rng;
use crate::seed::generate::{self, Direction, Setting};
use crate::state::{Flag, Mailbox, MailboxState, Refusal, WellKnown};

/// Most changes of one kind.
const MOST: usize = 1_000_000;
/// Size of a created message when nobody says another.
const SIZE: usize = 3000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Mutate {
    tenant: Option<String>,
    /// All of the tenant when absent.
    mailbox: Option<String>,
    /// Id, role or path (`Projects/Harbour`); all folders when absent.
    folder: Option<String>,
    #[serde(default)]
    seed: u64,
    #[serde(default)]
    create: usize,
    #[serde(default)]
    change: usize,
    #[serde(default, rename = "move")]
    relocate: usize,
    #[serde(default)]
    delete: usize,
    events: Option<EventChanges>,
    contacts: Option<ContactChanges>,
    /// Change, move and delete only among that many newest messages of each mailbox.
    newest: Option<usize>,
    /// Size of created messages.
    bytes: Option<usize>,
    /// Time of arrival of created messages; the lab's clock when absent.
    received: Option<String>,
    #[serde(flatten)]
    others: AllChanges,
}

pub(super) fn run(shared: &Shared, wanted: &Mutate) -> Result<Value, Refused> {
    let bad = |text: &str| (StatusCode::BAD_REQUEST, text.to_owned());
    if [wanted.create, wanted.change, wanted.relocate, wanted.delete].iter().any(|n| *n > MOST) {
        return Err(bad("at most 1000000 changes of a kind"));
    }
    if wanted.bytes.is_some_and(|bytes| bytes > LARGEST) {
        return Err(bad("a message may be 1 GiB at most"));
    }
    let now = shared.clock.unix();
    let received = match &wanted.received {
        None => now,
        Some(text) => clock::parse_rfc3339(text)
            .ok_or_else(|| bad("received is not an RFC 3339 time"))?
            .unix_timestamp(),
    };
    let tenant = shared.tenant(wanted.tenant.as_deref()).map_err(|error| refused(&error))?;
    let everybody = tenant.mailboxes();
    let mailboxes = match &wanted.mailbox {
        None => everybody.clone(),
        Some(name) => vec![tenant.mailbox(name).ok_or_else(|| unknown_mailbox(name, tenant))?],
    };
    if mailboxes.is_empty() {
        return Err(bad("the tenant has no mailboxes"));
    }
    let mut work = Work {
        rng: Rng::new(wanted.seed),
        folder: wanted.folder.as_deref(),
        newest: wanted.newest,
        now,
        everybody: &everybody,
    };
    // Nothing is made before it is certain that the folder is there.
    for mailbox in &mailboxes {
        work.folders(&mailbox.read())?;
    }
    let created = work.create(&mailboxes, wanted.create, wanted.bytes.unwrap_or(SIZE), received)?;
    let mut candidates = work.candidates(&mailboxes)?;
    let changed = work.change(&mut candidates, wanted.change)?;
    let moved = work.relocate(&mut candidates, wanted.relocate)?;
    let deleted = work.delete(&mut candidates, wanted.delete)?;
    let mut done =
        json!({ "created": created, "changed": changed, "moved": moved, "deleted": deleted });
    if let Some(wanted) = &wanted.events {
        done["events"] = personal::change_events(&mut work.rng, &mailboxes, wanted, now)?;
    }
    if let Some(wanted) = &wanted.contacts {
        done["contacts"] = personal::change_contacts(&mut work.rng, &mailboxes, wanted, now)?;
    }
    for (kind, changes) in wanted.others.run(&mut work.rng, &mailboxes, now)? {
        done[kind] = changes;
    }
    Ok(done)
}

/// A message that may be chosen; each is chosen once.
struct Candidate {
    mailbox: Arc<Mailbox>,
    item: u64,
}

struct Work<'a> {
    rng: Rng,
    folder: Option<&'a str>,
    newest: Option<usize>,
    now: i64,
    everybody: &'a [Arc<Mailbox>],
}

impl Work<'_> {
    /// The folders of a mailbox that changes may touch.
    fn folders(&self, state: &MailboxState) -> Result<Vec<u64>, Refused> {
        let Some(name) = self.folder else {
            let visible = state.folders.iter().filter(|(_, folder)| !folder.is_hidden());
            return Ok(visible.map(|(number, _)| *number).collect());
        };
        let by_role = WellKnown::parse(name).and_then(|role| state.well_known(role));
        let by_id =
            ids::parse_folder_id(state.mailbox, name).filter(|n| state.folders.contains_key(n));
        let by_path =
            || name.split('/').try_fold(crate::state::ROOT, |at, part| state.child(at, part));
        let found = by_role.or(by_id).or_else(by_path);
        Ok(vec![found.ok_or_else(|| (StatusCode::NOT_FOUND, format!("no folder '{name}'")))?])
    }

    fn create(
        &mut self,
        mailboxes: &[Arc<Mailbox>],
        count: usize,
        size: usize,
        received: i64,
    ) -> Result<Vec<Value>, Refused> {
        let mut made = Vec::with_capacity(count);
        for number in 0..count {
            let mailbox = &mailboxes[number % mailboxes.len()];
            let direction = Direction::any(&mut self.rng);
            let colleague = &self.everybody[self.rng.below(self.everybody.len())];
            let setting = Setting {
                owner: &mailbox.address,
                owner_name: &mailbox.display_name,
                colleagues: &[(Arc::clone(&colleague.address), colleague.display_name.clone())],
            };
            let message = generate::message(&mut self.rng, &setting, direction, received, size);
            let mut state = mailbox.write();
            let folder = match self.folder {
                Some(_) => self.folders(&state)?.first().copied(),
                None => state.well_known(match direction {
                    Direction::Outbound => WellKnown::SentItems,
                    _ => WellKnown::Inbox,
                }),
            };
            let folder = folder.ok_or_else(|| gone(Refusal::NoSuchFolder))?;
            let item = state.add(folder, message, self.now).map_err(gone)?;
            made.push(json!({
                "mailbox": mailbox.address,
                "folder": ids::folder_id(mailbox.id, folder),
                "id": ids::immutable_id(mailbox.id, item),
                "size": state.messages.get(&item).map(|m| m.core.content.len()),
            }));
        }
        Ok(made)
    }

    /// All that may be chosen, in an order that does not depend on chance.
    fn candidates(&self, mailboxes: &[Arc<Mailbox>]) -> Result<Vec<Candidate>, Refused> {
        let mut all = Vec::new();
        for mailbox in mailboxes {
            let state = mailbox.read();
            let mut items: Vec<(i64, u64)> = Vec::new();
            for folder in self.folders(&state)? {
                let items_of = state.folders.get(&folder).into_iter().flat_map(|f| f.items());
                items.extend(
                    items_of.filter_map(|item| Some((state.messages.get(&item)?.received, item))),
                );
            }
            items.sort_unstable_by(|a, b| b.cmp(a));
            items.truncate(self.newest.unwrap_or(usize::MAX));
            all.extend(
                items.into_iter().map(|(_, item)| Candidate { mailbox: Arc::clone(mailbox), item }),
            );
        }
        Ok(all)
    }

    fn choose(&mut self, from: &mut Vec<Candidate>) -> Option<Candidate> {
        (!from.is_empty()).then(|| from.swap_remove(self.rng.below(from.len())))
    }

    fn change(&mut self, from: &mut Vec<Candidate>, count: usize) -> Result<Vec<Value>, Refused> {
        let mut done = Vec::new();
        for number in 0..count {
            let Some(Candidate { mailbox, item }) = self.choose(from) else { break };
            let what = ["read", "flag", "categories"][number % 3];
            let mut state = mailbox.write();
            let changed = state.change(item, self.now, |message| match what {
                "read" => {
                    message.read = !message.read;
                    // Whoever reads it gives what was asked for.
                    message.receipt_given |= message.read;
                }
                "flag" => {
                    message.flag = match message.flag {
                        Flag::Flagged => Flag::Complete,
                        _ => Flag::Flagged,
                    }
                }
                _ if message.categories.is_empty() => {
                    message.categories = vec!["Red category".into()];
                }
                _ => message.categories.clear(),
            });
            changed.map_err(gone)?;
            let mut entry = described(&mailbox, &state, item);
            entry["what"] = json!(what);
            done.push(entry);
        }
        Ok(done)
    }

    fn relocate(&mut self, from: &mut Vec<Candidate>, count: usize) -> Result<Vec<Value>, Refused> {
        let mut done = Vec::new();
        while done.len() < count {
            let Some(Candidate { mailbox, item }) = self.choose(from) else { break };
            let mut state = mailbox.write();
            let source = state.messages.get(&item).map(|message| message.place.folder);
            let visible = state
                .folders
                .iter()
                .filter(|(number, folder)| !folder.is_hidden() && Some(**number) != source);
            let others: Vec<u64> = visible.map(|(number, _)| *number).collect();
            let to = others[self.rng.below(others.len())];
            state.relocate(item, to, self.now).map_err(gone)?;
            let mut entry = described(&mailbox, &state, item);
            entry["from"] = json!(source.map(|number| ids::folder_id(mailbox.id, number)));
            entry["to"] = json!(ids::folder_id(mailbox.id, to));
            done.push(entry);
        }
        Ok(done)
    }

    fn delete(&mut self, from: &mut Vec<Candidate>, count: usize) -> Result<Vec<Value>, Refused> {
        let mut done = Vec::new();
        for _ in 0..count {
            let Some(Candidate { mailbox, item }) = self.choose(from) else { break };
            let mut state = mailbox.write();
            done.push(described(&mailbox, &state, item));
            state.delete(item, self.now).map_err(gone)?;
        }
        Ok(done)
    }
}

fn described(mailbox: &Mailbox, state: &MailboxState, item: u64) -> Value {
    let folder = state.messages.get(&item).map(|message| message.place.folder);
    json!({
        "mailbox": mailbox.address,
        "folder": folder.map(|number| ids::folder_id(mailbox.id, number)),
        "id": ids::immutable_id(mailbox.id, item),
    })
}

/// Somebody else changed the mailbox in between.
fn gone(refusal: Refusal) -> Refused {
    (StatusCode::CONFLICT, format!("the mailbox changed meanwhile: {refusal:?}"))
}
