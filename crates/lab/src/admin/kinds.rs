//! Tasks, notes, contact groups, settings, rules, categories and archives in `POST /_lab/generate` and
//! `POST /_lab/mutate`.

use std::sync::Arc;

use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Refused;
use crate::graph::categories;
use crate::ids;
use crate::seed::generate::{self, Direction, Setting};
use crate::seed::{Rng, kinds};
use crate::state::{Mailbox, MailboxState, OtherKind, ROOT, Refusal};

/// Most of a kind that one request makes or changes.
const MOST: usize = 100_000;
const MESSAGE_SIZE: usize = 3000;
/// What the settings of a mailbox are called in answers.
const SETTINGS: &str = "mailboxSettings";

/// How many of each kind are to be made.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Counts {
    tasks: usize,
    notes: usize,
    contact_groups: usize,
    rules: usize,
    categories: usize,
    /// Lists of tasks, without any.
    task_lists: usize,
    /// 0 for those of a new mailbox, else which of a few.
    settings: usize,
    /// Messages in the in-place archive, which is made for them.
    archive_messages: usize,
    /// Messages in the mailbox in which the archive goes on, in a folder of their own.
    archive_elsewhere: usize,
}

/// Changes of one kind.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Changes {
    create: usize,
    change: usize,
    delete: usize,
}

/// Changes of all kinds.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct AllChanges {
    tasks: Option<Changes>,
    notes: Option<Changes>,
    contact_groups: Option<Changes>,
    rules: Option<Changes>,
    categories: Option<Changes>,
    /// Lists that a person has made, each with its tasks.
    task_lists: Option<Changes>,
    /// Those of each mailbox are one; what is deleted is as in a new mailbox.
    settings: Option<Changes>,
    /// Messages of the archive.
    archive: Option<Changes>,
    /// Messages of the mailbox in which it goes on.
    archive_elsewhere: Option<Changes>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Tasks,
    Notes,
    Groups,
    Rules,
    Categories,
    Lists,
    Settings,
    Archive,
    Elsewhere,
}

/// One of a kind in a mailbox.
#[derive(Clone, Debug)]
enum Key {
    /// A number, with that of its list for a task.
    Item(u64, u64),
    Id(Box<str>),
}

impl Counts {
    /// Makes them; what was made, by kind.
    pub(super) fn make(
        self,
        mailbox: &Arc<Mailbox>,
        rng: &mut Rng,
        now: i64,
    ) -> Result<Value, Refused> {
        let mut made = json!({});
        for (name, kind, count) in [
            ("tasks", Kind::Tasks, self.tasks),
            ("notes", Kind::Notes, self.notes),
            ("contact_groups", Kind::Groups, self.contact_groups),
            ("rules", Kind::Rules, self.rules),
            ("categories", Kind::Categories, self.categories),
            ("task_lists", Kind::Lists, self.task_lists),
            ("settings", Kind::Settings, self.settings),
            ("archive_messages", Kind::Archive, self.archive_messages),
            ("archive_elsewhere", Kind::Elsewhere, self.archive_elsewhere),
        ] {
            limit(count)?;
            for number in 0..count {
                kind.make(mailbox, rng, number, now).map_err(gone)?;
            }
            made[name] = json!(count);
        }
        Ok(made)
    }
}

impl AllChanges {
    /// Carries them out, kind by kind; what was done, by kind.
    pub(super) fn run(
        self,
        rng: &mut Rng,
        mailboxes: &[Arc<Mailbox>],
        now: i64,
    ) -> Result<Vec<(&'static str, Value)>, Refused> {
        let mut done = Vec::new();
        for (name, kind, wanted) in [
            ("tasks", Kind::Tasks, self.tasks),
            ("notes", Kind::Notes, self.notes),
            ("contact_groups", Kind::Groups, self.contact_groups),
            ("rules", Kind::Rules, self.rules),
            ("categories", Kind::Categories, self.categories),
            ("task_lists", Kind::Lists, self.task_lists),
            ("settings", Kind::Settings, self.settings),
            ("archive", Kind::Archive, self.archive),
            ("archive_elsewhere", Kind::Elsewhere, self.archive_elsewhere),
        ] {
            if let Some(wanted) = wanted {
                done.push((name, kind.mutate(rng, mailboxes, wanted, now)?));
            }
        }
        Ok(done)
    }
}

impl Kind {
    fn mutate(
        self,
        rng: &mut Rng,
        mailboxes: &[Arc<Mailbox>],
        wanted: Changes,
        now: i64,
    ) -> Result<Value, Refused> {
        limit(wanted.create.max(wanted.change).max(wanted.delete))?;
        let (mut created, mut changed, mut deleted) = (Vec::new(), Vec::new(), Vec::new());
        for number in 0..wanted.create {
            let mailbox = &mailboxes[number % mailboxes.len()];
            let at = rng.below(1000) + number;
            let key = self.make(mailbox, rng, at, now).map_err(gone)?;
            created.push(self.entry(mailbox, &key));
        }
        let mut all: Vec<(Arc<Mailbox>, Key)> = Vec::new();
        for mailbox in mailboxes {
            let keys = self.place(mailbox).map(|place| self.all(&place.read()));
            let keys = keys.into_iter().flatten();
            all.extend(keys.map(|key| (Arc::clone(mailbox), key)));
        }
        let mut choose =
            |rng: &mut Rng| (!all.is_empty()).then(|| all.swap_remove(rng.below(all.len())));
        for number in 0..wanted.change {
            let Some((mailbox, key)) = choose(rng) else { break };
            if let Some(place) = self.place(&mailbox) {
                self.change(&mut place.write(), &key, number, now).map_err(gone)?;
            }
            changed.push(self.entry(&mailbox, &key));
        }
        for _ in 0..wanted.delete {
            let Some((mailbox, key)) = choose(rng) else { break };
            if let Some(place) = self.place(&mailbox) {
                self.delete(&mut place.write(), &key, now).map_err(gone)?;
            }
            deleted.push(self.entry(&mailbox, &key));
        }
        Ok(json!({ "created": created, "changed": changed, "deleted": deleted }))
    }

    /// The mailbox in which those of the kind lie, if there is one.
    fn place(self, mailbox: &Arc<Mailbox>) -> Option<Arc<Mailbox>> {
        match self {
            Self::Archive => mailbox.archive().cloned(),
            Self::Elsewhere => mailbox.archive()?.auxiliary().cloned(),
            _ => Some(Arc::clone(mailbox)),
        }
    }

    fn make(
        self,
        mailbox: &Arc<Mailbox>,
        rng: &mut Rng,
        number: usize,
        now: i64,
    ) -> Result<Key, Refusal> {
        if matches!(self, Self::Archive | Self::Elsewhere) {
            return self.archive(mailbox, rng, now);
        }
        let state = &mut *mailbox.write();
        Ok(match self {
            Self::Tasks => {
                let (list, item) = kinds::task(state, rng, number, now)?;
                Key::Item(list, item)
            }
            Self::Notes => Key::Item(0, kinds::note(state, rng, number, now)?),
            Self::Groups => Key::Item(0, kinds::group(state, rng, number, now)?),
            Self::Rules => Key::Id(kinds::rule(state, number)),
            Self::Lists => Key::Item(0, state.create_task_list(&format!("List {}", number + 1))),
            Self::Settings => {
                state.settings.mailbox = kinds::settings(number);
                Key::Id(SETTINGS.into())
            }
            _ => {
                let mut all = categories(state);
                let name = state.mailbox.to_string();
                // A number that no category has yet.
                let made = (number..)
                    .map(|number| kinds::category(&name, number))
                    .find(|made| all.iter().all(|one| one.id != made.id))
                    .ok_or(Refusal::NoSuchItem)?;
                let id = made.id.clone();
                all.push(made);
                state.settings.categories = Some(all);
                Key::Id(id)
            }
        })
    }

    /// Puts a message into the archive, or where it goes on.
    fn archive(self, mailbox: &Arc<Mailbox>, rng: &mut Rng, now: i64) -> Result<Key, Refusal> {
        let setting =
            Setting { owner: &mailbox.address, owner_name: &mailbox.display_name, colleagues: &[] };
        let direction = Direction::any(rng);
        let message = generate::message(rng, &setting, direction, now, MESSAGE_SIZE);
        let archive = mailbox.open_archive();
        let (place, name) = match self {
            Self::Elsewhere => (archive.expand(), "Older mail"),
            _ => (archive, "Old mail"),
        };
        let mut state = place.write();
        let folder = match state.child(ROOT, name) {
            Some(folder) => folder,
            None => state.create_folder(ROOT, name)?,
        };
        let item = state.add(folder, message, now)?;
        drop(state);
        if self == Self::Elsewhere {
            archive.write().goes_on_with(folder);
        }
        Ok(Key::Item(0, item))
    }

    /// All of the kind in a mailbox, in an order that does not depend on chance.
    fn all(self, state: &MailboxState) -> Vec<Key> {
        let id = |one: &crate::state::Entity| Key::Id(one.id.clone());
        match self {
            Self::Tasks => {
                let of = |list: &crate::state::TaskList| -> Vec<Key> {
                    list.tasks.keys().map(|item| Key::Item(list.number, *item)).collect()
                };
                state.settings.lists.iter().flat_map(of).collect()
            }
            Self::Notes => others(state, OtherKind::Note),
            Self::Groups => others(state, OtherKind::Group),
            Self::Rules => state.settings.rules.iter().map(id).collect(),
            Self::Categories => categories(state).iter().map(id).collect(),
            Self::Lists => {
                let own = state.settings.lists.iter().filter(|list| list.is_own());
                own.map(|list| Key::Item(0, list.number)).collect()
            }
            Self::Settings => vec![Key::Id(SETTINGS.into())],
            Self::Archive | Self::Elsewhere => {
                let hidden = |item: &u64| {
                    state.messages.get(item).is_none_or(|m| state.is_hidden(m.place.folder))
                };
                let mut items: Vec<u64> =
                    state.messages.keys().copied().filter(|item| !hidden(item)).collect();
                items.sort_unstable();
                items.into_iter().map(|item| Key::Item(0, item)).collect()
            }
        }
    }

    fn change(
        self,
        state: &mut MailboxState,
        key: &Key,
        number: usize,
        now: i64,
    ) -> Result<(), Refusal> {
        let text = json!(format!("Changed {number} {now}"));
        match (self, key) {
            (Self::Tasks, Key::Item(list, item)) => {
                state.change_task(*list, *item, now, |task| match number % 3 {
                    0 => {
                        task.fields.insert("title".into(), text);
                    }
                    1 => {
                        task.fields.insert("importance".into(), json!("high"));
                        task.fields.insert("categories".into(), json!(["Changed"]));
                    }
                    _ => {
                        let body = json!({ "contentType": "text", "content": text });
                        task.fields.insert("body".into(), body);
                        task.body_modified = now;
                    }
                })
            }
            (Self::Notes, Key::Item(_, item)) => {
                state.change_other(*item, now, |note| drop(note.fields.insert("body".into(), text)))
            }
            (Self::Groups, Key::Item(_, item)) => state.change_other(*item, now, |group| {
                group.fields.insert("displayName".into(), text);
            }),
            (Self::Rules, Key::Id(id)) => {
                for rule in state.settings.rules.iter_mut().filter(|rule| rule.id == *id) {
                    rule.fields.insert("displayName".into(), text.clone());
                }
                Ok(())
            }
            (Self::Categories, Key::Id(id)) => {
                let mut all = categories(state);
                for one in all.iter_mut().filter(|one| one.id == *id) {
                    one.fields.insert("color".into(), json!("preset24"));
                }
                state.settings.categories = Some(all);
                Ok(())
            }
            (Self::Lists, Key::Item(_, list)) => {
                state.rename_task_list(*list, text.as_str().unwrap_or_default())
            }
            (Self::Settings, _) => {
                state.settings.mailbox.extend(kinds::settings(number));
                Ok(())
            }
            (_, Key::Item(_, item)) => {
                state.change(*item, now, |message| message.read = !message.read)
            }
            (_, Key::Id(_)) => Err(Refusal::NoSuchItem),
        }
    }

    fn delete(self, state: &mut MailboxState, key: &Key, now: i64) -> Result<(), Refusal> {
        match (self, key) {
            (Self::Tasks, Key::Item(list, item)) => state.delete_task(*list, *item),
            (Self::Notes | Self::Groups, Key::Item(_, item)) => state.delete_other(*item),
            (Self::Rules, Key::Id(id)) => {
                state.settings.rules.retain(|rule| rule.id != *id);
                Ok(())
            }
            (Self::Categories, Key::Id(id)) => {
                let mut all = categories(state);
                all.retain(|one| one.id != *id);
                state.settings.categories = Some(all);
                Ok(())
            }
            (Self::Lists, Key::Item(_, list)) => state.delete_task_list(*list),
            (Self::Settings, _) => {
                state.settings.mailbox.clear();
                Ok(())
            }
            (_, Key::Item(_, item)) => state.delete(*item, now),
            (_, Key::Id(_)) => Err(Refusal::NoSuchItem),
        }
    }

    fn entry(self, mailbox: &Arc<Mailbox>, key: &Key) -> Value {
        let id = match key {
            Key::Item(_, list) if self == Self::Lists => ids::folder_id(mailbox.id, *list),
            Key::Item(_, item) => {
                let place = self.place(mailbox).map_or(mailbox.id, |place| place.id);
                ids::immutable_id(place, *item)
            }
            Key::Id(id) => id.to_string(),
        };
        let mut entry = json!({ "mailbox": mailbox.address, "id": id });
        if let (Self::Tasks, Key::Item(list, _)) = (self, key) {
            entry["list"] = json!(ids::folder_id(mailbox.id, *list));
        }
        entry
    }
}

fn others(state: &MailboxState, kind: OtherKind) -> Vec<Key> {
    state.others.of(kind).map(|(item, _)| Key::Item(0, item)).collect()
}

fn limit(count: usize) -> Result<(), Refused> {
    if count > MOST {
        return Err((StatusCode::BAD_REQUEST, format!("at most {MOST} of a kind")));
    }
    Ok(())
}

fn gone(refusal: Refusal) -> Refused {
    (StatusCode::CONFLICT, format!("the mailbox changed meanwhile: {refusal:?}"))
}
