use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::ItemKind;

/// A mailbox's primary SMTP address, in lower case: how people and the command line name it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address(String);

/// The text is not an [`Address`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a mailbox address (name@domain)")]
pub struct InvalidAddress(String);

impl Address {
    /// The address as text, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part behind the last `@`.
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let lower = text.trim().to_lowercase();
        let valid = lower.len() <= 320
            && !lower.chars().any(|c| c.is_control() || c.is_whitespace())
            && lower.rsplit_once('@').is_some_and(|(l, d)| !l.is_empty() && !d.is_empty());
        if valid { Ok(Self(lower)) } else { Err(InvalidAddress(text.to_owned())) }
    }
}

impl TryFrom<String> for Address {
    type Error = InvalidAddress;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.0
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The provider's identifier of a mailbox (Graph: the user's object id). It outlives a change of
/// address. Opaque.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MailboxId(pub String);

/// One mailbox, as the provider's directory lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mailbox {
    /// The provider's identifier.
    pub id: MailboxId,
    /// Primary address.
    pub address: Address,
    /// Name shown to people.
    pub display_name: String,
}

/// The provider's identifier of a folder. Opaque.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FolderId(pub String);

/// Folders that a provider knows by role, whatever they are called in the user's language
/// (Graph: `wellKnownName`). Only the roles that Mailkeep treats differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum WellKnownFolder {
    /// Where mail arrives.
    Inbox,
    /// Copies of what the user sent.
    SentItems,
    /// Unsent messages.
    Drafts,
    /// What the user deleted and did not yet purge.
    DeletedItems,
    /// Mail held to be spam.
    JunkEmail,
    /// The calendar that every mailbox has.
    Calendar,
    /// The contacts that every mailbox has.
    Contacts,
    /// The task list that every mailbox has.
    Tasks,
    /// The sticky notes that every mailbox has.
    Notes,
    /// The mailbox's archive, which has a tree of its own below it.
    Archive,
    /// What was deleted and then purged by the user, for as long as the provider keeps it.
    RecoverableItems,
}

/// What a folder holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum FolderKind {
    /// Messages.
    #[default]
    Mail,
    /// Events.
    Calendar,
    /// Contacts.
    Contacts,
    /// Tasks: a task list.
    Tasks,
    /// Settings of the mailbox. No folder at the provider; there is one for each group of settings.
    Settings,
    /// Items of one class that the provider gives out as streams only: sticky notes, or the contact
    /// groups among the contacts of a folder.
    Opaque,
}

impl FolderKind {
    /// What the items in it are.
    pub const fn items(self) -> ItemKind {
        match self {
            Self::Mail => ItemKind::Message,
            Self::Calendar => ItemKind::Event,
            Self::Contacts => ItemKind::Contact,
            Self::Tasks => ItemKind::Task,
            Self::Settings => ItemKind::Setting,
            Self::Opaque => ItemKind::Opaque,
        }
    }

    fn is_mail(&self) -> bool {
        *self == Self::Mail
    }
}

/// A folder of a mailbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Folder {
    /// The provider's identifier.
    pub id: FolderId,
    /// The folder that this one lies in; `None` directly below the mailbox's root.
    pub parent: Option<FolderId>,
    /// Name shown to people, one component, unescaped: it may contain `/` and any other character.
    pub name: String,
    /// What it holds.
    #[serde(default, skip_serializing_if = "FolderKind::is_mail")]
    pub kind: FolderKind,
    /// Its role, when it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub well_known: Option<WellKnownFolder>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_compared_without_case() {
        let address: Address = "Ann.Lee@Example.COM".parse().unwrap();
        assert_eq!(address, "ann.lee@example.com".parse().unwrap());
        assert_eq!(address.domain(), "example.com");
        for bad in ["", "a", "@", "a@", "@b", "a b@c", "a\n@b"] {
            assert!(bad.parse::<Address>().is_err(), "{bad:?}");
        }
    }
}
