//! What there is to do: each item with the folder that it goes into and what is there of it.

use std::collections::{HashMap, HashSet};

use mailkeep_exchange::{Existing, Mark, Provider, Wanted, likeness};
use mailkeep_model::{
    Change, Detail, Folder, FolderId, FolderKind, Item, ItemId, ItemKind, MailboxId,
};
use mailkeep_vault::StoredItem;
use sha2::{Digest, Sha256};

use super::{
    OnConflict, RestoreRequest,
    course::Course,
    decide::{Action, Found, Sought, decide},
    select::Source,
    target::{Place, Target},
};

const KINDS: [ItemKind; 6] = [
    ItemKind::Message,
    ItemKind::Event,
    ItemKind::Contact,
    ItemKind::Task,
    ItemKind::Setting,
    ItemKind::Opaque,
];

/// One item and what is to be done with it.
pub(super) struct Work {
    pub(super) stored: StoredItem,
    pub(super) folder: Option<Folder>,
    pub(super) path: String,
    pub(super) mark: Mark,
    /// Or why nothing can be done.
    pub(super) action: Result<Action, String>,
}

/// What is to be done with everything that comes out of one mailbox.
pub(super) struct Plan {
    pub(super) work: Vec<Work>,
    /// Empty folders that could not be made.
    pub(super) problems: Vec<String>,
}

/// Looks up what is there and decides what to do with each item. Makes folders. The items are taken
/// out of `source`: a large mailbox's take hundreds of megabytes, which must not be there twice.
///
/// What fails here costs the items that it concerns.
pub(super) async fn plan<P: Provider>(
    provider: &P,
    source: &mut Source,
    target: &mut Target<'_, P>,
    request: &RestoreRequest,
    course: &Course,
) -> Plan {
    let below = request.to.as_ref().map(|to| to.path.to_string()).unwrap_or_default();
    let marks = Marks { mailbox: source.id.clone(), below };
    let mut there = There::default();
    for kind in KINDS {
        let items = source.folders.iter().flat_map(|folder| &folder.items);
        let items = items.filter(|stored| stored.item.kind == kind);
        let wanted: Vec<_> = items.map(|stored| marks.wanted(&stored.item)).collect();
        if wanted.is_empty() {
            continue;
        }
        match course.look(|_| provider.existing(&target.mailbox, kind, &wanted)).await {
            Some(Ok(existing)) => {
                there.all.extend(existing);
                if kind == ItemKind::Setting {
                    there.look_at_settings(provider, target, course).await;
                }
            }
            Some(Err(error)) => drop(there.failed.insert(kind, course.failed(error.into()))),
            None => {}
        }
    }
    let sought = source.folders.iter().flat_map(|folder| &folder.items);
    let sought: HashSet<ItemId> = sought.map(|stored| stored.item.id.clone()).collect();
    let known = there.index(&sought);
    let by = By {
        marks: &marks,
        known: &known,
        settings: &there.settings,
        on_conflict: request.on_conflict,
    };

    let mut plan = Plan { work: Vec::new(), problems: Vec::new() };
    for index in 0..source.folders.len() {
        let items = std::mem::take(&mut source.folders[index].items);
        let folder = &source.folders[index];
        if items.is_empty() && !folder.whole {
            continue;
        }
        let place = match there.failed.get(&folder.folder.folder.kind.items()) {
            _ if course.is_halted() => Err(String::new()),
            // It is not known whether its items are there: nothing is made for them.
            Some(why) => Err(why.clone()),
            None => target.place(source, folder).await,
        };
        if let (Err(why), true) = (&place, items.is_empty() && !course.is_halted()) {
            let name = format!("{}:{}", target.mailbox.address, folder.folder.path);
            plan.problems.push(format!("the folder {name} was not made: {why}"));
        }
        let in_place = target.is_in_place(&source.id);
        for stored in items {
            let (mark, action) = match &place {
                Ok(place) => {
                    let (mark, action) = by.decided(&stored, place, target, in_place);
                    (mark, Ok(action))
                }
                Err(why) => (marks.of(&stored.item), Err(why.clone())),
            };
            let place = place
                .clone()
                .unwrap_or_else(|_| Place { folder: None, path: folder.folder.path.to_string() });
            plan.work.push(Work { stored, folder: place.folder, path: place.path, mark, action });
        }
    }
    // Rules and the like when all that they are about is there.
    plan.work.sort_by_key(|work| work.stored.item.kind == ItemKind::Setting);
    plan
}

/// What goes into a decision beside the item.
struct By<'a> {
    marks: &'a Marks,
    known: &'a Index<'a>,
    settings: &'a HashSet<(FolderId, String)>,
    on_conflict: OnConflict,
}

impl By<'_> {
    fn decided<P: Provider>(
        &self,
        stored: &StoredItem,
        place: &Place,
        target: &Target<'_, P>,
        in_place: bool,
    ) -> (Mark, Action) {
        let item = &stored.item;
        let mark = self.marks.of(item);
        let former = self.marks.former(item);
        let made = [mark.item.as_str(), former.as_str()].map(|key| self.known.by_mark.get(key));
        let made: Vec<&Existing> = made.into_iter().flatten().flatten().copied().collect();
        let original = self.known.by_id.get(&item.id).copied();
        let is_said =
            |said| self.settings.contains(&(item.folder.clone(), said)) && original.is_none();
        if meaning(item).is_some_and(is_said) {
            return (mark, Action::Nothing);
        }
        // A mailbox has one of each setting, which is called the same in all of them.
        let in_place = in_place || item.kind == ItemKind::Setting;
        let found = Found {
            // What lies in a folder that nobody sees (Recoverable Items) is gone.
            original: original.filter(|one| in_place && target.shows(&one.folder)),
            made: &made,
            trash: target.trash(),
        };
        let folder = place.folder.as_ref().map(|folder| &folder.id);
        let state = mark.state.as_deref().unwrap_or_default();
        let action = decide(&Sought { item, state, folder }, &found, self.on_conflict);
        (mark, action)
    }
}

/// What is there already.
#[derive(Default)]
struct There {
    all: Vec<Existing>,
    /// What the settings say that are there, each with its folder. They carry no marks, and one that
    /// is made anew has another name at the provider.
    settings: HashSet<(FolderId, String)>,
    /// Kinds of which that is not known, and why.
    failed: HashMap<ItemKind, String>,
}

struct Index<'a> {
    by_id: HashMap<&'a ItemId, &'a Existing>,
    by_mark: HashMap<&'a str, Vec<&'a Existing>>,
}

impl There {
    async fn look_at_settings<P: Provider>(
        &mut self,
        provider: &P,
        target: &Target<'_, P>,
        course: &Course,
    ) {
        for folder in target.of_kind(FolderKind::Settings) {
            let list = |_| provider.item_changes(&target.mailbox, folder, None);
            match course.look(list).await {
                Some(Ok(page)) => {
                    let items = page.changes.iter().filter_map(|change| match change {
                        Change::Upsert(item) => Some((folder.id.clone(), meaning(item)?)),
                        Change::Removed(_) => None,
                    });
                    self.settings.extend(items);
                }
                Some(Err(error)) => {
                    self.failed.insert(ItemKind::Setting, course.failed(error.into()));
                }
                None => {}
            }
        }
    }

    /// A copy that lay beside its original in the snapshot, and is itself brought back, stands for
    /// itself and not for the original.
    fn index(&self, sought: &HashSet<ItemId>) -> Index<'_> {
        let by_id = self.all.iter().map(|one| (&one.id, one)).collect();
        let mut by_mark: HashMap<&str, Vec<&Existing>> = HashMap::new();
        for one in self.all.iter().filter(|one| !sought.contains(&one.id)) {
            if let Some(mark) = &one.mark {
                by_mark.entry(mark.item.as_str()).or_default().push(one);
            }
        }
        Index { by_id, by_mark }
    }
}

/// What a setting says, whatever it is called; `None` for what is none.
fn meaning(item: &Item) -> Option<String> {
    let Some(Detail::Setting(setting)) = &item.detail else { return None };
    let mut said = setting.value.clone();
    if let Some(said) = said.as_object_mut() {
        said.retain(|name, _| name != "id" && !name.starts_with('@'));
    }
    Some(said.to_string())
}

/// How items are marked that come out of one mailbox and go to one place.
struct Marks {
    mailbox: MailboxId,
    /// Below which folder everything goes; empty: where it was.
    below: String,
}

impl Marks {
    fn of(&self, item: &Item) -> Mark {
        let mut state = hash(&[&item.content_key]);
        state.truncate(16);
        Mark { item: hash(&[&self.mailbox.0, &item.id.0, &self.below]), state: Some(state) }
    }

    /// As earlier versions did it: one hash of item and state.
    fn former(&self, item: &Item) -> String {
        hash(&[&self.mailbox.0, &item.id.0, &item.content_key, &self.below])
    }

    fn wanted(&self, item: &Item) -> Wanted {
        let mark = self.of(item).item;
        Wanted { item: item.id.clone(), mark, former: self.former(item), likeness: likeness(item) }
    }
}

/// 32 hexadecimal digits.
fn hash(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}
