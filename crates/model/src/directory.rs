use std::{
    collections::{BTreeSet, HashMap, HashSet},
    fmt,
    str::FromStr,
};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{Address, Cursor, Mailbox, MailboxId};

/// What a mailbox is for (Graph: `mailboxSettings/userPurpose`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum MailboxKind {
    /// Of one person.
    User,
    /// Of several people.
    Shared,
    /// Of a room that is booked.
    Room,
    /// Of something else that is booked.
    Equipment,
    /// Anything else, also an address without a mailbox.
    Other,
}

/// The text names no [`MailboxKind`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a kind of mailbox: one of user, shared, room, equipment, other")]
pub struct InvalidMailboxKind(String);

impl MailboxKind {
    const ALL: [Self; 5] = [Self::User, Self::Shared, Self::Room, Self::Equipment, Self::Other];

    /// The name used in the command line and the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Shared => "shared",
            Self::Room => "room",
            Self::Equipment => "equipment",
            Self::Other => "other",
        }
    }
}

impl FromStr for MailboxKind {
    type Err = InvalidMailboxKind;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        known.ok_or_else(|| InvalidMailboxKind(text.to_owned()))
    }
}

impl fmt::Display for MailboxKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which of a tenant's mailboxes are backed up. Nothing named: all of them.
///
/// Groups, filter and kinds narrow, each what the others leave; `include` adds to that, and
/// `exclude` takes away whatever else is said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MailboxSelection {
    /// Members of any of these groups, also through groups in them: object id, address or name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Those that the provider's directory finds with this (Graph: `$filter` over users).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// Those of one of these kinds.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub kinds: BTreeSet<MailboxKind>,
    /// These as well.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub include: BTreeSet<Address>,
    /// These not.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub exclude: BTreeSet<Address>,
}

impl MailboxSelection {
    /// Whether it leaves nobody out.
    pub fn is_all(&self) -> bool {
        self.groups.is_empty()
            && self.filter.is_none()
            && self.kinds.is_empty()
            && self.exclude.is_empty()
    }

    /// What there is to choose from an address, whoever it belongs to.
    pub fn of_address(&self, address: &Address) -> Named {
        if self.exclude.contains(address) {
            Named::Out
        } else if self.include.contains(address) {
            Named::In
        } else {
            Named::Not
        }
    }
}

/// What a [`MailboxSelection`] says of an address by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// It is in.
    In,
    /// It is out.
    Out,
    /// Nothing: groups, filter and kinds decide.
    Not,
}

/// A user with an address, as the provider's directory told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryUser {
    /// What would be backed up.
    pub mailbox: Mailbox,
    /// Whose user it is.
    pub home: Home,
    /// What the mailbox is for; `None`: nobody asked yet.
    pub kind: Option<MailboxKind>,
}

/// Whose a user in a directory is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Home {
    /// The tenant's own.
    #[default]
    Here,
    /// A guest, whose mailbox is elsewhere.
    Elsewhere,
}

/// A tenant's directory as far as mailboxes are concerned, and where its changes were last read to.
///
/// It remembers what became different since it was made, so that only that has to be stored.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    cursor: Option<Cursor>,
    began: Option<OffsetDateTime>,
    users: HashMap<MailboxId, DirectoryUser>,
    backed_up: HashSet<MailboxId>,
    changed: HashSet<MailboxId>,
}

impl Directory {
    /// As it was stored.
    pub fn stored(
        cursor: Option<Cursor>,
        began: Option<OffsetDateTime>,
        users: impl IntoIterator<Item = DirectoryUser>,
    ) -> Self {
        let users = users.into_iter().map(|user| (user.mailbox.id.clone(), user)).collect();
        Self { cursor, began, users, ..Self::default() }
    }

    /// The same, with the mailboxes of which passes have read something until now: where nobody can
    /// tell whether they are selected, they stay.
    pub fn with_backed_up(self, mailboxes: impl IntoIterator<Item = MailboxId>) -> Self {
        Self { backed_up: mailboxes.into_iter().collect(), ..self }
    }

    /// Whether passes have read something of the mailbox until now.
    pub fn is_backed_up(&self, id: &MailboxId) -> bool {
        self.backed_up.contains(id)
    }

    /// Where its changes were last read to; `None`: it is to be read from the beginning.
    pub fn cursor(&self) -> Option<&Cursor> {
        self.cursor.as_ref()
    }

    /// When it was last read from the beginning.
    pub fn began(&self) -> Option<OffsetDateTime> {
        self.began
    }

    /// Forgets where its changes were read to, not what is known: what is read anew is compared.
    pub fn restart(&mut self) {
        self.cursor = None;
    }

    /// It was read to its end, or from `began` on from its beginning to its end.
    pub fn read_to(&mut self, cursor: Cursor, began: Option<OffsetDateTime>) {
        self.cursor = Some(cursor);
        self.began = began.or(self.began);
    }

    /// A user.
    pub fn user(&self, id: &MailboxId) -> Option<&DirectoryUser> {
        self.users.get(id)
    }

    /// All users that have an address, in no order.
    pub fn users(&self) -> impl Iterator<Item = &DirectoryUser> {
        self.users.values()
    }

    /// Adds or replaces a user.
    pub fn put(&mut self, user: DirectoryUser) {
        let id = user.mailbox.id.clone();
        if self.users.get(&id) != Some(&user) {
            self.users.insert(id.clone(), user);
            self.changed.insert(id);
        }
    }

    /// Removes a user who left, or has no address any more.
    pub fn remove(&mut self, id: &MailboxId) {
        if self.users.remove(id).is_some() {
            self.changed.insert(id.clone());
        }
    }

    /// Removes everybody but these.
    pub fn retain(&mut self, listed: &HashSet<MailboxId>) {
        let left: Vec<_> = self.users.keys().filter(|id| !listed.contains(*id)).cloned().collect();
        left.iter().for_each(|id| self.remove(id));
    }

    /// Users that became different since this value was made; `None`: removed.
    pub fn changes(&self) -> impl Iterator<Item = (&MailboxId, Option<&DirectoryUser>)> {
        self.changed.iter().map(|id| (id, self.users.get(id)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(id: &str, address: &str) -> DirectoryUser {
        let mailbox = Mailbox {
            id: MailboxId(id.into()),
            address: address.parse().unwrap(),
            display_name: id.into(),
        };
        DirectoryUser { mailbox, home: Home::Here, kind: None }
    }

    #[test]
    fn only_what_became_different_is_stored_again() {
        let (ann, bob) = (user("ann", "ann@a.example"), user("bob", "bob@a.example"));
        let mut directory = Directory::stored(None, None, [ann.clone(), bob.clone()]);
        directory.put(ann);
        assert_eq!(directory.changes().count(), 0);
        directory.put(user("ann", "lee@a.example"));
        directory.retain(&HashSet::from([MailboxId("ann".into())]));
        let mut changes: Vec<_> = directory.changes().collect();
        changes.sort_by_key(|(id, _)| (*id).clone());
        let address = changes[0].1.map(|user| user.mailbox.address.as_str().to_owned());
        assert_eq!(address.as_deref(), Some("lee@a.example"));
        assert_eq!(changes[1], (&bob.mailbox.id, None));
    }

    #[test]
    fn who_is_named_out_is_out_whatever_else_is_said() {
        let ann: Address = "ann@a.example".parse().unwrap();
        let both = BTreeSet::from([ann.clone()]);
        let selection = MailboxSelection {
            include: both.clone(),
            exclude: both,
            ..MailboxSelection::default()
        };
        assert_eq!(selection.of_address(&ann), Named::Out);
        assert!(!selection.is_all() && MailboxSelection::default().is_all());
    }

    #[test]
    fn a_selection_that_a_later_version_wrote_is_not_half_understood() {
        let read = serde_json::from_str::<MailboxSelection>;
        assert_eq!(read("{}").unwrap(), MailboxSelection::default());
        assert!(read(r#"{"countries":["de"]}"#).is_err());
    }
}
