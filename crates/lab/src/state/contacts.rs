//! Contact folders and the contacts in them.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::{Entry, ExtendedProperties, IdKind, MailboxState, Place, Refusal};

/// The number of the contact folder that every mailbox has.
pub(crate) const DEFAULT_CONTACTS: u64 = 0x7fff_0000_0000_0002;

/// All contact folders of a mailbox. An untouched one costs the default folder and nothing else.
#[derive(Debug)]
pub(crate) struct Contacts {
    /// The default folder is the first.
    pub(crate) folders: Vec<ContactFolder>,
    pub(crate) items: BTreeMap<u64, Contact>,
    /// Folders, and folders that are gone, by their last change: number and creation.
    pub(crate) log: BTreeMap<u64, (u64, u64)>,
}

#[derive(Debug)]
pub(crate) struct ContactFolder {
    pub(crate) number: u64,
    /// The mailbox's root for the default folder and those beside it.
    pub(crate) parent: u64,
    pub(crate) name: Box<str>,
    created: u64,
    pub(crate) changed: u64,
    /// Every contact that is or was here, once, by its last change.
    pub(crate) by_change: BTreeMap<u64, Entry>,
}

#[derive(Clone, Debug)]
pub(crate) struct Contact {
    pub(crate) place: Place,
    pub(crate) changed: u64,
    /// Unix times.
    pub(crate) created: i64,
    pub(crate) modified: i64,
    /// Properties as Graph writes them.
    pub(crate) fields: Map<String, Value>,
    /// JPEG, or whatever was given.
    pub(crate) photo: Option<Bytes>,
    pub(crate) properties: ExtendedProperties,
}

/// One line of `contacts/delta`.
pub(crate) enum ContactChange<'a> {
    Present { item: u64, contact: &'a Contact },
    Gone { item: u64, location: u64, moved: bool },
}

/// One line of `contactFolders/delta`.
pub(crate) enum ContactFolderChange<'a> {
    Present(&'a ContactFolder),
    Gone(u64),
}

impl Default for Contacts {
    fn default() -> Self {
        let folder = ContactFolder {
            number: DEFAULT_CONTACTS,
            parent: super::ROOT,
            name: "Contacts".into(),
            created: 1,
            changed: 1,
            by_change: BTreeMap::new(),
        };
        Self { folders: vec![folder], items: BTreeMap::new(), log: BTreeMap::new() }
    }
}

impl Contacts {
    pub(crate) fn find(&self, number: u64) -> Option<&ContactFolder> {
        self.folders.iter().find(|folder| folder.number == number)
    }

    /// Folders directly in `parent`.
    pub(crate) fn children(&self, parent: u64) -> impl Iterator<Item = &ContactFolder> {
        self.folders.iter().filter(move |folder| folder.parent == parent)
    }

    fn folder(&mut self, number: u64) -> Option<&mut ContactFolder> {
        self.folders.iter_mut().find(|folder| folder.number == number)
    }

    fn named(&self, parent: u64, name: &str) -> Option<&ContactFolder> {
        let name = name.to_lowercase();
        self.children(parent).find(|folder| folder.name.to_lowercase() == name)
    }
}

impl MailboxState {
    pub(crate) fn create_contact_folder(
        &mut self,
        parent: u64,
        name: &str,
    ) -> Result<u64, Refusal> {
        if parent != super::ROOT && self.contacts.find(parent).is_none() {
            return Err(Refusal::NoSuchFolder);
        }
        if self.contacts.named(parent, name).is_some() {
            return Err(Refusal::FolderExists);
        }
        let (number, change) = (self.next_number(), self.next_change());
        self.contacts.folders.push(ContactFolder {
            number,
            parent,
            name: name.into(),
            created: change,
            changed: change,
            by_change: BTreeMap::new(),
        });
        self.contacts.log.insert(change, (number, change));
        Ok(number)
    }

    pub(crate) fn rename_contact_folder(&mut self, number: u64, name: &str) -> Result<(), Refusal> {
        if number == DEFAULT_CONTACTS {
            return Err(Refusal::Distinguished);
        }
        let parent = self.contacts.find(number).ok_or(Refusal::NoSuchFolder)?.parent;
        if self.contacts.named(parent, name).is_some_and(|other| other.number != number) {
            return Err(Refusal::FolderExists);
        }
        let change = self.next_change();
        if let Some(folder) = self.contacts.folder(number) {
            folder.name = name.into();
            let (before, created) = (folder.changed, folder.created);
            folder.changed = change;
            self.contacts.log.remove(&before);
            self.contacts.log.insert(change, (number, created));
        }
        Ok(())
    }

    /// Deletes a folder with all that is in it and below it.
    pub(crate) fn delete_contact_folder(&mut self, number: u64) -> Result<(), Refusal> {
        if number == DEFAULT_CONTACTS {
            return Err(Refusal::Distinguished);
        }
        let at = self.contacts.folders.iter().position(|folder| folder.number == number);
        let gone = self.contacts.folders.remove(at.ok_or(Refusal::NoSuchFolder)?);
        let below: Vec<u64> = self.contacts.children(number).map(|folder| folder.number).collect();
        for child in below {
            self.delete_contact_folder(child)?;
        }
        self.contacts.items.retain(|_, contact| contact.place.folder != number);
        self.others.items.retain(|_, other| other.folder != number);
        let change = self.next_change();
        self.contacts.log.remove(&gone.changed);
        self.contacts.log.insert(change, (number, gone.created));
        Ok(())
    }

    pub(crate) fn add_contact(
        &mut self,
        folder: u64,
        fields: Map<String, Value>,
        properties: ExtendedProperties,
        now: i64,
    ) -> Result<u64, Refusal> {
        let (item, location) = (self.next_number(), self.next_number());
        let change = self.next_change();
        let at = self.contacts.folder(folder).ok_or(Refusal::NoSuchFolder)?;
        at.by_change.insert(change, Entry::Here { item });
        let contact = Contact {
            place: Place { folder, location, entered: change },
            changed: change,
            created: now,
            modified: now,
            fields,
            photo: None,
            properties,
        };
        self.contacts.items.insert(item, contact);
        Ok(item)
    }

    pub(crate) fn change_contact(
        &mut self,
        item: u64,
        now: i64,
        change: impl FnOnce(&mut Contact),
    ) -> Result<(), Refusal> {
        let at = self.next_change();
        let contact = self.contacts.items.get_mut(&item).ok_or(Refusal::NoSuchItem)?;
        change(contact);
        contact.modified = now;
        let (before, folder) = (contact.changed, contact.place.folder);
        contact.changed = at;
        if let Some(folder) = self.contacts.folder(folder) {
            folder.by_change.remove(&before);
            folder.by_change.insert(at, Entry::Here { item });
        }
        Ok(())
    }

    /// What a person does in Outlook; Graph has no way to move a contact.
    pub(crate) fn move_contact(&mut self, item: u64, to: u64, now: i64) -> Result<(), Refusal> {
        if self.contacts.find(to).is_none() {
            return Err(Refusal::NoSuchFolder);
        }
        self.leave(item)?;
        let (entered, location) = (self.next_change(), self.next_number());
        let contact = self.contacts.items.get_mut(&item).ok_or(Refusal::NoSuchItem)?;
        contact.place = Place { folder: to, location, entered };
        contact.changed = entered;
        contact.modified = now;
        if let Some(folder) = self.contacts.folder(to) {
            folder.by_change.insert(entered, Entry::Here { item });
        }
        Ok(())
    }

    pub(crate) fn delete_contact(&mut self, item: u64) -> Result<(), Refusal> {
        self.leave(item)?;
        self.contacts.items.remove(&item);
        Ok(())
    }

    /// Writes down that a contact has left its folder.
    fn leave(&mut self, item: u64) -> Result<(), Refusal> {
        let left = self.next_change();
        let contact = self.contacts.items.get(&item).ok_or(Refusal::NoSuchItem)?;
        let (changed, Place { folder, location, entered }) = (contact.changed, contact.place);
        if let Some(folder) = self.contacts.folder(folder) {
            folder.by_change.remove(&changed);
            folder.by_change.insert(left, Entry::Gone { item, location, entered });
        }
        Ok(())
    }

    /// As [`MailboxState::message_changes`] has them for messages.
    pub(crate) fn contact_changes(
        &self,
        folder: u64,
        position: u64,
        floor: u64,
        limit: usize,
        ids: IdKind,
    ) -> (Vec<ContactChange<'_>>, u64, bool) {
        let entries = self.contacts.find(folder).map(|f| f.by_change.range(position + 1..));
        let lines = entries.into_iter().flatten().map(|(&number, entry)| {
            let line = match *entry {
                Entry::Here { item } => self
                    .contacts
                    .items
                    .get(&item)
                    .map(|contact| ContactChange::Present { item, contact }),
                Entry::Gone { item, location, entered } => {
                    let seen = entered <= position && number > floor;
                    let now = self.contacts.items.get(&item).map(|c| c.place.folder);
                    let back = now == Some(folder) && ids == IdKind::Immutable;
                    let moved = now.is_some();
                    (seen && !back).then_some(ContactChange::Gone { item, location, moved })
                }
            };
            (number, line)
        });
        page(lines, position, limit)
    }

    pub(crate) fn contact_folder_changes(
        &self,
        position: u64,
        floor: u64,
        limit: usize,
    ) -> (Vec<ContactFolderChange<'_>>, u64, bool) {
        // The default folder is as old as the mailbox and never changes.
        let default = (position == 0).then(|| {
            let folder = self.contacts.find(DEFAULT_CONTACTS);
            (1, folder.map(ContactFolderChange::Present))
        });
        let logged =
            self.contacts.log.range(position + 1..).map(|(&change, &(number, created))| {
                let line = match self.contacts.find(number) {
                    Some(folder) => Some(ContactFolderChange::Present(folder)),
                    None => (created <= position && change > floor)
                        .then_some(ContactFolderChange::Gone(number)),
                };
                (change, line)
            });
        page(default.into_iter().chain(logged), position, limit)
    }
}

/// The first `limit` lines that there are, the change behind the last one, and whether there are
/// more.
fn page<T>(
    lines: impl Iterator<Item = (u64, Option<T>)>,
    position: u64,
    limit: usize,
) -> (Vec<T>, u64, bool) {
    let (mut found, mut reached) = (Vec::new(), position);
    for (number, line) in lines {
        if let Some(line) = line {
            if found.len() == limit {
                return (found, reached, true);
            }
            found.push(line);
        } else if found.len() == limit {
            continue;
        }
        reached = number;
    }
    (found, reached, false)
}
