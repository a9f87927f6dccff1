//! A mailbox: its folders and messages, and everything that changes them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use uuid::Uuid;

use super::{
    Calendars, Contacts, Entry, ExtendedProperties, Folder, Message, Natures, Others, Place,
    Profile, ROOT, SeedMessage, Settings, WellKnown,
};
use crate::ids;
use crate::seed::{SeedFolder, SeedMailbox, builtin};

/// Where the first content of a mailbox comes from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    Empty,
    Seed(Arc<SeedMailbox>),
    /// The lab's own mail for the person with this number.
    BuiltIn(builtin::Person),
}

/// A user with a mailbox, or a mailbox beside that. The content is made when somebody asks for it first: thousands of
/// tenants that nobody touches cost next to nothing.
#[derive(Debug)]
pub(crate) struct Mailbox {
    /// The user's object id; one of its own for a mailbox beside.
    pub(crate) id: Uuid,
    pub(crate) address: Arc<str>,
    pub(crate) display_name: String,
    pub(crate) profile: Profile,
    content: Arc<Inside>,
}

/// What stays when a user gets another name.
#[derive(Debug)]
struct Inside {
    source: Source,
    /// Distinguishes this run of the lab: what is created after the start never gets the id that
    /// something else had in an earlier run.
    session: u32,
    state: OnceLock<Box<RwLock<MailboxState>>>,
    /// The in-place archive, a mailbox of its own.
    archive: OnceLock<Arc<Mailbox>>,
    /// Where an archive goes on that has become too large for one mailbox.
    auxiliary: OnceLock<Arc<Mailbox>>,
}

impl Mailbox {
    pub(crate) fn new(
        id: Uuid,
        address: &str,
        display_name: String,
        source: Source,
        session: u32,
    ) -> Self {
        let content = Inside {
            source,
            session,
            state: OnceLock::new(),
            archive: OnceLock::new(),
            auxiliary: OnceLock::new(),
        };
        Self {
            id,
            address: address.into(),
            display_name,
            profile: Profile::default(),
            content: Arc::new(content),
        }
    }

    pub(crate) fn with(self, profile: Profile) -> Self {
        Self { profile, ..self }
    }

    /// The same mailbox of a user who is called otherwise now.
    pub(crate) fn renamed(&self, address: &str, display_name: String, profile: Profile) -> Self {
        Self {
            id: self.id,
            address: address.into(),
            display_name,
            profile,
            content: Arc::clone(&self.content),
        }
    }

    /// An empty mailbox of another user with the same address.
    pub(crate) fn reborn(self, id: Uuid, session: u32) -> Self {
        Self::new(id, &self.address, self.display_name, Source::Empty, session).with(self.profile)
    }

    pub(crate) fn archive(&self) -> Option<&Arc<Self>> {
        self.content.archive.get()
    }

    /// The archive, which is made when there is none.
    pub(crate) fn open_archive(&self) -> &Arc<Self> {
        self.content.archive.get_or_init(|| self.beside("archive"))
    }

    pub(crate) fn auxiliary(&self) -> Option<&Arc<Self>> {
        self.content.auxiliary.get()
    }

    /// What an archive goes on in.
    pub(crate) fn expand(&self) -> &Arc<Self> {
        self.content.auxiliary.get_or_init(|| self.beside("auxiliary"))
    }

    fn beside(&self, what: &str) -> Arc<Self> {
        let id = ids::derived(&[what, &self.id.to_string()]);
        let name = self.display_name.clone();
        Arc::new(Self::new(id, &self.address, name, Source::Empty, self.content.session))
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, MailboxState> {
        self.state().read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, MailboxState> {
        self.state().write().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> &RwLock<MailboxState> {
        self.content.state.get_or_init(|| {
            let mut state = MailboxState::new(self.id, self.content.session);
            match &self.content.source {
                Source::Empty => {}
                Source::Seed(seed) => state.fill(&seed.folders),
                Source::BuiltIn(person) => {
                    state.fill(&builtin::folders(person));
                    builtin::fill(&mut state, person);
                }
            }
            state.started = true;
            Box::new(RwLock::new(state))
        })
    }
}

/// Why a change of a mailbox was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    NoSuchFolder,
    NoSuchItem,
    /// A folder of this name is there.
    FolderExists,
    /// Folders with a role stay where they are.
    Distinguished,
    /// A folder cannot go into itself.
    Cycle,
}

#[derive(Debug)]
pub(crate) struct MailboxState {
    pub(crate) mailbox: Uuid,
    pub(crate) folders: BTreeMap<u64, Folder>,
    pub(crate) messages: HashMap<u64, Message>,
    pub(crate) calendars: Calendars,
    pub(crate) contacts: Contacts,
    pub(crate) settings: Settings,
    pub(crate) others: Others,
    /// Folders that lie in the mailbox in which this one goes on, by the change that put them there.
    pub(crate) elsewhere: BTreeMap<u64, u64>,
    /// Folders, and folders that are gone, by their last change: number and creation.
    pub(crate) folder_log: BTreeMap<u64, (u64, u64)>,
    /// Number of the last change.
    pub(crate) sequence: u64,
    session: u32,
    started: bool,
    issued: u32,
}

impl MailboxState {
    fn new(mailbox: Uuid, session: u32) -> Self {
        let mut state = Self {
            mailbox,
            folders: BTreeMap::new(),
            messages: HashMap::new(),
            calendars: Calendars::default(),
            contacts: Contacts::default(),
            settings: Settings::default(),
            others: Others::default(),
            elsewhere: BTreeMap::new(),
            folder_log: BTreeMap::new(),
            sequence: 0,
            session,
            started: false,
            // The root has its number from the start.
            issued: u32::try_from(ROOT).unwrap_or(1),
        };
        for role in WellKnown::ALL {
            state.add_folder(ROOT, role.display_name(), Some(role));
        }
        state
    }

    // ---- reading ----

    pub(crate) fn well_known(&self, role: WellKnown) -> Option<u64> {
        self.folders.iter().find(|(_, f)| f.well_known == Some(role)).map(|(number, _)| *number)
    }

    pub(crate) fn child(&self, parent: u64, name: &str) -> Option<u64> {
        self.children(parent)
            .find(|(_, f)| f.name.to_lowercase() == name.to_lowercase())
            .map(|(number, _)| number)
    }

    /// The visible folders directly in `parent`.
    pub(crate) fn children(&self, parent: u64) -> impl Iterator<Item = (u64, &Folder)> {
        self.folders
            .iter()
            .filter(move |(number, f)| f.parent == parent && **number != ROOT && !f.is_hidden())
            .map(|(number, folder)| (*number, folder))
    }

    pub(crate) fn is_hidden(&self, folder: u64) -> bool {
        self.folders.get(&folder).is_some_and(Folder::is_hidden)
    }

    // ---- folders ----

    pub(crate) fn create_folder(&mut self, parent: u64, name: &str) -> Result<u64, Refusal> {
        if !self.folders.contains_key(&parent) {
            return Err(Refusal::NoSuchFolder);
        }
        if self.child(parent, name).is_some() {
            return Err(Refusal::FolderExists);
        }
        Ok(self.add_folder(parent, name, None))
    }

    /// The same for a folder that no list names which does not ask for hidden ones.
    pub(crate) fn create_hidden_folder(&mut self, parent: u64, name: &str) -> Result<u64, Refusal> {
        let number = self.create_folder(parent, name)?;
        if let Some(folder) = self.folders.get_mut(&number) {
            folder.unlisted = true;
        }
        Ok(number)
    }

    pub(crate) fn rename_folder(&mut self, folder: u64, name: &str) -> Result<(), Refusal> {
        let parent = self.ordinary(folder)?.parent;
        if self.child(parent, name).is_some_and(|other| other != folder) {
            return Err(Refusal::FolderExists);
        }
        self.touch_folder(folder, |f| f.name = name.into());
        Ok(())
    }

    pub(crate) fn move_folder(&mut self, folder: u64, to: u64) -> Result<(), Refusal> {
        let name = self.ordinary(folder)?.name.clone();
        let mut above = to;
        while above != ROOT {
            if above == folder {
                return Err(Refusal::Cycle);
            }
            above = self.folders.get(&above).ok_or(Refusal::NoSuchFolder)?.parent;
        }
        if self.child(to, &name).is_some_and(|other| other != folder) {
            return Err(Refusal::FolderExists);
        }
        self.touch_folder(folder, |f| f.parent = to);
        Ok(())
    }

    /// Deletes a folder with all that is in it: its messages go to Recoverable Items.
    pub(crate) fn delete_folder(&mut self, folder: u64, now: i64) -> Result<(), Refusal> {
        self.ordinary(folder)?;
        let below: Vec<u64> = self.children(folder).map(|(number, _)| number).collect();
        for number in below {
            self.delete_folder(number, now)?;
        }
        let items: Vec<u64> =
            self.folders.get(&folder).into_iter().flat_map(Folder::items).collect();
        for item in items {
            self.delete(item, now)?;
        }
        let change = self.next_change();
        if let Some(gone) = self.folders.remove(&folder) {
            self.folder_log.remove(&gone.changed);
            self.folder_log.insert(change, (folder, gone.created));
        }
        Ok(())
    }

    fn ordinary(&self, folder: u64) -> Result<&Folder, Refusal> {
        let folder = self.folders.get(&folder).ok_or(Refusal::NoSuchFolder)?;
        if folder.well_known.is_some() { Err(Refusal::Distinguished) } else { Ok(folder) }
    }

    fn touch_folder(&mut self, number: u64, change: impl FnOnce(&mut Folder)) {
        let at = self.next_change();
        if let Some(folder) = self.folders.get_mut(&number) {
            change(folder);
            self.folder_log.remove(&folder.changed);
            folder.changed = at;
            self.folder_log.insert(at, (number, folder.created));
        }
    }

    fn add_folder(&mut self, parent: u64, name: &str, well_known: Option<WellKnown>) -> u64 {
        let change = self.next_change();
        let number = if well_known == Some(WellKnown::Root) { ROOT } else { self.next_number() };
        let folder = Folder {
            parent,
            name: name.into(),
            well_known,
            unlisted: false,
            created: change,
            changed: change,
            total: 0,
            unread: 0,
            by_change: BTreeMap::new(),
        };
        self.folders.insert(number, folder);
        self.folder_log.insert(change, (number, change));
        number
    }

    // ---- messages ----

    /// Puts a message into a folder. `now` is its creation time.
    pub(crate) fn add(&mut self, folder: u64, new: SeedMessage, now: i64) -> Result<u64, Refusal> {
        let received = new.core.received;
        let item = self.next_number();
        let (change, location) = (self.next_change(), self.next_number());
        let at = self.folders.get_mut(&folder).ok_or(Refusal::NoSuchFolder)?;
        at.total += 1;
        at.unread += u32::from(!new.read);
        at.by_change.insert(change, Entry::Here { item });
        let message = Message {
            importance: new.core.importance,
            sent: new.core.sent,
            read_receipt: new.core.read_receipt,
            receipt_given: new.read,
            delivery_receipt: new.core.delivery_receipt,
            core: new.core,
            place: Place { folder, location, entered: change },
            changed: change,
            read: new.read,
            draft: new.draft,
            flag: new.flag,
            flag_times: None,
            categories: new.categories,
            received,
            created: now,
            modified: now,
            properties: ExtendedProperties::default(),
            natures: Natures::default(),
        };
        self.messages.insert(item, message);
        Ok(item)
    }

    /// Changes a message in place.
    pub(crate) fn change(
        &mut self,
        item: u64,
        now: i64,
        change: impl FnOnce(&mut Message),
    ) -> Result<(), Refusal> {
        let at = self.next_change();
        let message = self.messages.get_mut(&item).ok_or(Refusal::NoSuchItem)?;
        let was_read = message.read;
        change(message);
        message.modified = now;
        if let Some(folder) = self.folders.get_mut(&message.place.folder) {
            folder.by_change.remove(&message.changed);
            folder.by_change.insert(at, Entry::Here { item });
            folder.unread = folder.unread + u32::from(!message.read) - u32::from(!was_read);
        }
        message.changed = at;
        Ok(())
    }

    /// Moves a message. Its immutable id stays, its regular one does not.
    pub(crate) fn relocate(&mut self, item: u64, to: u64, now: i64) -> Result<(), Refusal> {
        if !self.folders.contains_key(&to) {
            return Err(Refusal::NoSuchFolder);
        }
        let (left, entered, location) =
            (self.next_change(), self.next_change(), self.next_number());
        let message = self.messages.get_mut(&item).ok_or(Refusal::NoSuchItem)?;
        let unread = u32::from(!message.read);
        if let Some(from) = self.folders.get_mut(&message.place.folder) {
            from.by_change.remove(&message.changed);
            let Place { location, entered, .. } = message.place;
            from.by_change.insert(left, Entry::Gone { item, location, entered });
            from.total -= 1;
            from.unread -= unread;
        }
        message.place = Place { folder: to, location, entered };
        message.changed = entered;
        message.modified = now;
        if let Some(into) = self.folders.get_mut(&to) {
            into.by_change.insert(entered, Entry::Here { item });
            into.total += 1;
            into.unread += unread;
        }
        Ok(())
    }

    /// Deletes a message: it goes to Recoverable Items, out of everybody's view.
    pub(crate) fn delete(&mut self, item: u64, now: i64) -> Result<(), Refusal> {
        let hidden = self.well_known(WellKnown::RecoverableItems).ok_or(Refusal::NoSuchFolder)?;
        self.relocate(item, hidden, now)
    }

    /// Deletes a message so that nobody can recover it.
    pub(crate) fn purge(&mut self, item: u64, now: i64) -> Result<(), Refusal> {
        self.delete(item, now)?;
        self.discard(item);
        Ok(())
    }

    /// Takes back a message that was just added and that nobody has seen.
    pub(crate) fn discard(&mut self, item: u64) {
        let Some(message) = self.messages.remove(&item) else { return };
        if let Some(folder) = self.folders.get_mut(&message.place.folder) {
            folder.by_change.remove(&message.changed);
            folder.total -= 1;
            folder.unread -= u32::from(!message.read);
        }
    }

    /// Writes down that a folder of the mailbox in which this one goes on belongs to it.
    pub(crate) fn goes_on_with(&mut self, folder: u64) {
        if !self.elsewhere.values().any(|known| *known == folder) {
            let at = self.next_change();
            self.elsewhere.insert(at, folder);
        }
    }

    // ---- filling ----

    fn fill(&mut self, folders: &[SeedFolder]) {
        let has_sent_items = folders
            .iter()
            .any(|f| f.path.first().is_some_and(|name| role(name) == Some(WellKnown::SentItems)));
        for folder in folders {
            let mut at = ROOT;
            for name in &folder.path {
                at = self.seeded_folder(at, name, has_sent_items);
            }
            for message in &folder.messages {
                let received = message.core.received;
                // A folder was just made for it, so there is nothing that could refuse.
                let _ = self.add(at, message.share(), received);
            }
        }
    }

    fn seeded_folder(&mut self, parent: u64, name: &str, has_sent_items: bool) -> u64 {
        if parent == ROOT {
            let sent = name.eq_ignore_ascii_case("sent") && !has_sent_items;
            let wanted = if sent { Some(WellKnown::SentItems) } else { role(name) };
            if let Some(number) = wanted.and_then(|role| self.well_known(role)) {
                if let Some(folder) = self.folders.get_mut(&number) {
                    folder.name = name.into();
                }
                return number;
            }
        }
        self.child(parent, name).unwrap_or_else(|| self.add_folder(parent, name, None))
    }

    pub(super) fn next_change(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    /// A number that nothing else in this mailbox has.
    pub(crate) fn fresh_number(&mut self) -> u64 {
        self.next_number()
    }

    pub(super) fn next_number(&mut self) -> u64 {
        self.issued += 1;
        let high = if self.started { u64::from(self.session) << 32 } else { 0 };
        high | u64::from(self.issued)
    }
}

/// The role that a folder's name at the top of a seed speaks for.
fn role(name: &str) -> Option<WellKnown> {
    let plain: String = name.chars().filter(|c| c.is_alphanumeric()).collect();
    let plain = plain.to_lowercase();
    // `_sent_mail` and the like are folders of their own.
    if name.starts_with('_') {
        return None;
    }
    WellKnown::ALL.into_iter().filter(|r| !r.is_hidden()).find(|r| r.as_str() == plain)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::{Core, IdKind, MessageChange};
    use super::*;

    fn mailbox() -> Mailbox {
        Mailbox::new(Uuid::nil(), "a@b.example", "A".into(), Source::Empty, 1)
    }

    fn message() -> SeedMessage {
        Core::parse(Bytes::from_static(b"Subject: x\r\n\r\nbody\r\n"), None).into()
    }

    fn lines(
        state: &MailboxState,
        folder: u64,
        position: u64,
        floor: u64,
        ids: IdKind,
    ) -> (Vec<(u64, &'static str)>, u64) {
        let (changes, reached, more) = state.message_changes(folder, position, floor, 100, ids);
        assert!(!more);
        let lines = changes
            .iter()
            .map(|change| match change {
                MessageChange::Present { item, .. } => (*item, "here"),
                MessageChange::Gone { item, moved: true, .. } => (*item, "moved"),
                MessageChange::Gone { item, moved: false, .. } => (*item, "deleted"),
            })
            .collect();
        (lines, reached)
    }

    #[test]
    fn a_delta_round_tells_exactly_what_happened_since_the_last_one() {
        let mailbox = mailbox();
        let mut state = mailbox.write();
        let inbox = state.well_known(WellKnown::Inbox).unwrap();
        let archive = state.well_known(WellKnown::Archive).unwrap();
        let items: Vec<u64> = (0..4).map(|_| state.add(inbox, message(), 0).unwrap()).collect();
        let gone_before = state.add(inbox, message(), 0).unwrap();
        state.delete(gone_before, 0).unwrap();

        let (first, position) = lines(&state, inbox, 0, state.sequence, IdKind::Immutable);
        assert_eq!(first, items.iter().map(|i| (*i, "here")).collect::<Vec<_>>());

        state.change(items[0], 1, |m| m.read = false).unwrap();
        state.relocate(items[1], archive, 1).unwrap();
        state.delete(items[2], 1).unwrap();
        let unseen = state.add(inbox, message(), 1).unwrap();
        state.delete(unseen, 1).unwrap();
        let (second, position) = lines(&state, inbox, position, 0, IdKind::Immutable);
        assert_eq!(second, [(items[0], "here"), (items[1], "moved"), (items[2], "deleted")]);
        assert_eq!(lines(&state, inbox, position, 0, IdKind::Immutable).0, []);
        let folder = &state.folders[&inbox];
        assert_eq!((folder.total, folder.unread), (2, 1));
    }

    #[test]
    fn an_item_that_came_back_is_gone_only_for_those_who_use_regular_ids() {
        let mailbox = mailbox();
        let mut state = mailbox.write();
        let inbox = state.well_known(WellKnown::Inbox).unwrap();
        let archive = state.well_known(WellKnown::Archive).unwrap();
        let item = state.add(inbox, message(), 0).unwrap();
        let (_, position) = lines(&state, inbox, 0, state.sequence, IdKind::Immutable);
        state.relocate(item, archive, 1).unwrap();
        state.relocate(item, inbox, 2).unwrap();
        assert_eq!(lines(&state, inbox, position, 0, IdKind::Immutable).0, [(item, "here")]);
        let regular = lines(&state, inbox, position, 0, IdKind::Regular).0;
        assert_eq!(regular, [(item, "moved"), (item, "here")]);
    }

    #[test]
    fn a_folder_cannot_be_moved_into_itself_and_roles_stay() {
        let mailbox = mailbox();
        let mut state = mailbox.write();
        let outer = state.create_folder(ROOT, "outer").unwrap();
        let inner = state.create_folder(outer, "inner").unwrap();
        assert_eq!(state.move_folder(outer, inner), Err(Refusal::Cycle));
        assert_eq!(state.create_folder(outer, "Inner"), Err(Refusal::FolderExists));
        let inbox = state.well_known(WellKnown::Inbox).unwrap();
        assert_eq!(state.delete_folder(inbox, 0), Err(Refusal::Distinguished));
        let item = state.add(inner, message(), 0).unwrap();
        state.delete_folder(outer, 0).unwrap();
        assert!(!state.folders.contains_key(&inner));
        assert!(state.is_hidden(state.messages[&item].place.folder), "it can be recovered");
    }
}
