//! What is known of a key.

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use crate::Slot;

/// What is known of one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyFacts {
    /// The signer's name for it.
    pub key_id: String,
    /// Which it is in the signer.
    pub slot: Slot,
    /// Its certificate is good from then on.
    #[serde(with = "time::serde::rfc3339")]
    pub not_before: OffsetDateTime,
    /// Its certificate is good until then.
    #[serde(with = "time::serde::rfc3339")]
    pub not_after: OffsetDateTime,
    /// Whether an authority issued its certificate, which is asked for by people: no other can be made
    /// in its place.
    #[serde(default)]
    pub certified_elsewhere: bool,
    /// What was found out about it at the provider.
    #[serde(flatten)]
    pub found: KeyFindings,
}

/// What was found out about a key at the provider, and when last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyFindings {
    /// We were about to ask the provider to take it. Noted *before* [`Action::Register`] is done: a
    /// key that the provider may know must not be forgotten because a crash came in between.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub requested: Option<OffsetDateTime>,
    /// We asked the provider to take it, and it said yes.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub registered: Option<OffsetDateTime>,
    /// A token was got with it.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub accepted: Option<OffsetDateTime>,
    /// We asked the provider to take it no more, and it said yes.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub removed: Option<OffsetDateTime>,
    /// A token was refused because the provider does not know it.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub refused: Option<OffsetDateTime>,
}

impl KeyFindings {
    /// When it was last tried.
    pub(super) fn tried(&self) -> Option<OffsetDateTime> {
        self.accepted.max(self.refused)
    }

    /// Whether the provider may take it.
    pub(super) fn is_known(&self) -> bool {
        self.requested.is_some() || self.registered.is_some() || self.accepted.is_some()
    }

    /// Whether the provider took it when it was last tried.
    pub(super) fn is_accepted(&self) -> bool {
        self.accepted > self.refused
    }

    /// Whether the provider refused it after we had it removed. Of a key that it may not have known
    /// yet, being refused says nothing until it has had the time to get to know it.
    pub(super) fn is_gone(&self, patience: Duration) -> bool {
        let Some((removed, refused)) = self.removed.zip(self.refused) else { return false };
        let was_known = self.accepted.is_some()
            || self.requested.max(self.registered).is_none_or(|asked| refused > asked + patience);
        refused > removed && was_known && !self.is_accepted()
    }
}

/// Since when a key has been in use at the most.
pub(super) fn in_use_since(key: &KeyFacts) -> OffsetDateTime {
    key.found.registered.unwrap_or(made(key))
}

/// When a key was made. Certificates are backdated by minutes, for clocks that are behind: orders are
/// given with that in mind ([`BACKDATED`]).
pub(super) fn made(key: &KeyFacts) -> OffsetDateTime {
    key.not_before + BACKDATED
}

/// How much earlier than it was made a certificate begins to be good.
pub const BACKDATED: Duration = Duration::minutes(5);
