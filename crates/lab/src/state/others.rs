//! Items that no interface of their own has: sticky notes and contact groups. The mailbox lists
//! them, and streams carry them.

use std::collections::BTreeMap;

use data_encoding::BASE64;
use serde_json::{Map, Value, json};

use super::{DEFAULT_CONTACTS, MailboxState, Refusal};
use crate::ids;

/// The number of the folder of notes that every mailbox has; none that a mailbox gives out itself.
pub(crate) const NOTES: u64 = 0x7fff_0000_0000_0401;

/// Where the fields have `PidTagSearchKey`, which is the same in every copy; and its tag, as Exchange
/// gives it back, under which a message keeps the one that it was imported with.
pub(crate) const SEARCH_KEY: &str = "searchKey";
pub(crate) const SEARCH_KEY_TAG: &str = "Binary 0x300b";

/// What an item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OtherKind {
    Note,
    /// A group of contacts: it lies in one of their folders.
    Group,
}

impl OtherKind {
    /// PidTagMessageClass (MS-OXONOTE, MS-OXOCNTC).
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Note => "IPM.StickyNote",
            Self::Group => "IPM.DistList",
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Other {
    pub(crate) kind: OtherKind,
    pub(crate) folder: u64,
    /// Part of the regular id.
    pub(crate) location: u64,
    /// The change that made it.
    pub(crate) entered: u64,
    pub(crate) changed: u64,
    /// Unix times.
    pub(crate) created: i64,
    pub(crate) modified: i64,
    pub(crate) fields: Map<String, Value>,
}

/// What is left of one that was deleted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GoneOther {
    pub(crate) item: u64,
    pub(crate) location: u64,
    pub(crate) folder: u64,
    pub(crate) entered: u64,
}

/// All of them in a mailbox.
#[derive(Debug, Default)]
pub(crate) struct Others {
    pub(crate) items: BTreeMap<u64, Other>,
    /// Those that were deleted, by the change that did it.
    pub(crate) gone: BTreeMap<u64, GoneOther>,
}

impl Others {
    pub(crate) fn of(&self, kind: OtherKind) -> impl Iterator<Item = (u64, &Other)> {
        let items = self.items.iter().filter(move |(_, other)| other.kind == kind);
        items.map(|(item, other)| (*item, other))
    }
}

impl MailboxState {
    /// Adds an item to a folder for its kind.
    pub(crate) fn add_other(
        &mut self,
        kind: OtherKind,
        folder: u64,
        fields: Map<String, Value>,
        now: i64,
    ) -> Result<u64, Refusal> {
        let there = match kind {
            OtherKind::Note => folder == NOTES,
            OtherKind::Group => self.contacts.find(folder).is_some(),
        };
        if !there {
            return Err(Refusal::NoSuchFolder);
        }
        let (item, location, changed) =
            (self.next_number(), self.next_number(), self.next_change());
        let mut fields = fields;
        if !fields.contains_key(SEARCH_KEY) {
            let parts = ["search key", &self.mailbox.to_string(), &item.to_string()];
            let key = BASE64.encode(ids::derived(&parts).as_bytes());
            fields.insert(SEARCH_KEY.to_owned(), json!(key));
        }
        let other = Other {
            kind,
            folder,
            location,
            entered: changed,
            changed,
            created: now,
            modified: now,
            fields,
        };
        self.others.items.insert(item, other);
        Ok(item)
    }

    pub(crate) fn change_other(
        &mut self,
        item: u64,
        now: i64,
        change: impl FnOnce(&mut Other),
    ) -> Result<(), Refusal> {
        let at = self.next_change();
        let other = self.others.items.get_mut(&item).ok_or(Refusal::NoSuchItem)?;
        change(other);
        other.changed = at;
        other.modified = now;
        Ok(())
    }

    pub(crate) fn delete_other(&mut self, item: u64) -> Result<(), Refusal> {
        let at = self.next_change();
        let other = self.others.items.remove(&item).ok_or(Refusal::NoSuchItem)?;
        let Other { location, folder, entered, .. } = other;
        self.others.gone.insert(at, GoneOther { item, location, folder, entered });
        Ok(())
    }

    /// The folder into which new items of a kind go.
    pub(crate) fn home_of(kind: OtherKind) -> u64 {
        match kind {
            OtherKind::Note => NOTES,
            OtherKind::Group => DEFAULT_CONTACTS,
        }
    }
}
