//! Messages that somebody ordered to be taken: delivery goes on after an order was given.

use data_encoding::HEXLOWER;
use mailkeep_control::{CopyState, RemedySubject};
use mailkeep_exchange::Provider;
use mailkeep_inspect::Report;
use mailkeep_model::{Item, ItemKind};
use time::OffsetDateTime;

use super::mailbox::{MailboxReader, Reading};
use crate::{
    ServiceError,
    remedy::{UNDO_FOR, found_copy},
};

/// Files and links of one message that are noted, of either so many.
const PARTS: usize = 64;

impl<P: Provider> MailboxReader<'_, P> {
    /// Notes which of these messages, all new here, an open order is about. What is to be done with them is
    /// done by who carries orders out.
    pub(super) async fn note_copies(
        &self,
        items: impl Iterator<Item = &Item>,
    ) -> Result<(), ServiceError> {
        let messages: Vec<&Item> =
            items.filter(|item| item.kind == ItemKind::Message && !item.draft).collect();
        let ids: Vec<&str> =
            messages.iter().filter_map(|item| item.internet_message_id.as_deref()).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let Reading { control, tenant, .. } = self.reading;
        let now = OffsetDateTime::now_utc();
        let about = control.remedies_about(tenant, &self.mailbox.id, &ids, now).await?;
        for item in messages {
            let id = item.internet_message_id.as_deref().and_then(|id| about.get(id));
            let Some(remedy) = id.copied() else { continue };
            // A page tells late of what it was told early: one that was taken meanwhile is not taken for
            // one that somebody got out again.
            let seen = OffsetDateTime::UNIX_EPOCH;
            let found = found_copy(self.mailbox, item, seen, CopyState::Found);
            control.remedy_found(tenant, remedy, &[found], now).await?;
        }
        Ok(())
    }

    /// Notes which files and links messages carry, so that an order about one of these finds them; and lets
    /// the open orders about them reach them.
    pub(super) async fn note_parts(
        &self,
        parts: &[(String, RemedySubject)],
    ) -> Result<(), ServiceError> {
        if parts.is_empty() {
            return Ok(());
        }
        let Reading { control, tenant, .. } = self.reading;
        let now = OffsetDateTime::now_utc();
        control.note_message_parts(tenant, parts, now).await?;
        for (remedy, message_id) in control.remedies_about_parts(tenant, parts, now).await? {
            control.remedy_reaches(remedy, &message_id, now).await?;
        }
        Ok(())
    }
}

/// The files and links of a message of late, each with its `Message-ID`.
pub(super) fn parts_of(item: &Item, report: &Report) -> Vec<(String, RemedySubject)> {
    let is_late = OffsetDateTime::now_utc() - item.received >= UNDO_FOR;
    let message_id = item.internet_message_id.as_ref().or(report.message_id.as_ref());
    let Some(message_id) = message_id.filter(|_| !item.draft && !is_late) else {
        return Vec::new();
    };
    let hash = |hash: &[u8; 32]| RemedySubject::Attachment(HEXLOWER.encode(hash));
    let files = report.files.iter().take(PARTS).map(hash);
    let links = report.links.iter().take(PARTS).cloned().map(RemedySubject::Link);
    files.chain(links).map(|part| (message_id.clone(), part)).collect()
}
