//! A message in a mailbox: the shared content and what can change.

use std::sync::Arc;

use aws_lc_rs::digest;

use super::{Core, ExtendedProperties, Importance, Party};
use crate::compose::{Attachment, Nature};

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
    /// Its sender has had the receipt.
    pub(crate) receipt_given: bool,
    pub(crate) delivery_receipt: bool,
    /// Extended properties that a client has set.
    pub(crate) properties: ExtendedProperties,
    /// What attachments are besides files.
    pub(crate) natures: Natures,
}

impl Message {
    /// Notes that somebody reads it. Whether its sender, who is not `owner`, gets a receipt by it.
    pub(crate) fn gives_receipt(&mut self, owner: &str) -> bool {
        let own = |from: &Party| from.address.eq_ignore_ascii_case(owner);
        let due = self.read_receipt
            && !self.receipt_given
            && !self.draft
            && !self.core.from.as_ref().is_some_and(own);
        self.receipt_given |= due;
        due
    }

    /// The attachments in the order of the content, with what they are.
    pub(crate) fn attachments(&self) -> Vec<Attachment> {
        let mut all = self.core.attachments();
        if !self.natures.0.is_empty() {
            for attachment in &mut all {
                attachment.nature = self.natures.of(&attachment.bytes);
            }
        }
        all
    }
}

/// What attachments of a message are besides files, by the hashes of the files that its MIME has in
/// their place. MIME alone does not bring it back.
#[derive(Clone, Debug, Default)]
pub(crate) struct Natures(Vec<([u8; 32], Nature)>);

impl Natures {
    /// Remembers what these attachments are.
    pub(crate) fn remember(&mut self, attachments: &[Attachment]) {
        for attachment in attachments.iter().filter(|one| one.nature != Nature::File) {
            let hash = hash(&attachment.bytes);
            self.0.retain(|(known, _)| *known != hash);
            self.0.push((hash, attachment.nature.clone()));
        }
    }

    /// Hashes, and what stands for them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &Nature)> {
        self.0.iter().map(|(hash, nature)| (&hash[..], nature))
    }

    /// What [`Self::iter`] gave; a hash of another length is none.
    pub(crate) fn insert(&mut self, hash: &[u8], nature: Nature) {
        if let Ok(hash) = hash.try_into() {
            self.0.push((hash, nature));
        }
    }

    fn of(&self, bytes: &[u8]) -> Nature {
        let hash = hash(bytes);
        let found = self.0.iter().find(|(known, _)| *known == hash);
        found.map(|(_, nature)| nature.clone()).unwrap_or_default()
    }
}

fn hash(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    hash
}
