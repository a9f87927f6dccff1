//! What the directory knows of a user beside name and address.

use serde::{Deserialize, Serialize};

/// A user, or a mailbox that is nobody's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Profile {
    /// Nobody signs in: as of shared mailboxes and of people who have left.
    pub(crate) disabled: bool,
    /// Of another organisation (`userType`).
    pub(crate) guest: bool,
    pub(crate) purpose: Purpose,
}

/// What a mailbox is for (`mailboxSettings/userPurpose`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Purpose {
    #[default]
    User,
    Shared,
    Room,
    Equipment,
}
