//! A message in a mailbox: the shared content and what can change.

use std::sync::Arc;

use super::{Core, ExtendedProperties, Importance};

/// Follow-up flag (`followupFlag.flagStatus`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Flag {
    #[default]
    NotFlagged,
    Flagged,
    Complete,
}

impl Flag {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::NotFlagged => "notFlagged",
            Self::Flagged => "flagged",
            Self::Complete => "complete",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::NotFlagged, Self::Flagged, Self::Complete]
            .into_iter()
            .find(|f| f.as_str().eq_ignore_ascii_case(text))
    }
}

/// Where a message lies, since when, and how that place is called in a regular id.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) folder: u64,
    /// Changes with every move; part of the regular id.
    pub(crate) location: u64,
    /// The change that put the message here.
    pub(crate) entered: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) core: Arc<Core>,
    pub(crate) place: Place,
    /// The last change.
    pub(crate) changed: u64,
    pub(crate) read: bool,
    pub(crate) draft: bool,
    pub(crate) flag: Flag,
    /// Start, end and completion of the flag, as they were given.
    pub(crate) flag_times: Option<Box<serde_json::Map<String, serde_json::Value>>>,
    pub(crate) importance: Importance,
    pub(crate) categories: Vec<Box<str>>,
    /// Unix times.
    pub(crate) sent: i64,
    pub(crate) received: i64,
    pub(crate) created: i64,
    pub(crate) modified: i64,
    pub(crate) read_receipt: bool,
    pub(crate) delivery_receipt: bool,
    /// Extended properties that a client has set.
    pub(crate) properties: ExtendedProperties,
}
