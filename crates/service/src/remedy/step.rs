//! What is done with one copy.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use mailkeep_control::{CopyState, CopyStep, StoredCopy};
use mailkeep_exchange::{ExchangeError, Provider, Quarantine};
use mailkeep_model::{FolderId, Item, ItemKind, Mailbox, MailboxId};
use time::{Duration, OffsetDateTime};

use super::marks::Marks;
use crate::ServiceError;

/// Tries of a copy before it is called failed. With the pauses between them that is most of a day.
const TRIES: u32 = 14;
const FIRST_PAUSE: Duration = Duration::seconds(5);
const LONGEST_PAUSE: Duration = Duration::hours(2);
/// What was seen no longer ago is taken as it was seen. Less than [`FIRST_PAUSE`].
const LATELY: Duration = Duration::seconds(3);
const OUT_BY_SOMEBODY: &str =
    "somebody else took it out of the quarantine; it was left where it is";
/// The inbox, by the name that a provider finds it by.
const INBOX: &str = "inbox";

/// Acts on copies of one tenant.
pub(super) struct Hands<'a, P> {
    pub(super) provider: &'a P,
    /// The quarantine of each mailbox, as far as it is known.
    pub(super) quarantines: Arc<Quarantines>,
}

/// The quarantine of each mailbox, as far as it is known. One that was deleted meanwhile is made anew.
#[derive(Debug, Default)]
pub(crate) struct Quarantines(Mutex<HashMap<MailboxId, Quarantine>>);

impl Quarantines {
    fn get(&self, mailbox: &MailboxId) -> Option<Quarantine> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(mailbox).cloned()
    }

    fn put(&self, mailbox: &MailboxId, quarantine: Quarantine) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(mailbox.clone(), quarantine);
    }

    fn forget(&self, mailbox: &MailboxId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(mailbox);
    }
}

impl<P: Provider> Hands<'_, P> {
    /// Does what is due with a copy. What fails is in the step; an error stops the tenant's.
    pub(super) async fn step(
        &self,
        copy: &StoredCopy,
        now: OffsetDateTime,
    ) -> Result<CopyStep, ServiceError> {
        let is_over = copy.purge_at.is_some_and(|at| at <= now);
        let done = match (copy.wanted, copy.found.state) {
            (CopyState::Removed, CopyState::Removed) if is_over => self.purge(copy).await,
            // Also what was only found: who moved it may not have come to write it down.
            (CopyState::Released, _) => self.put_back(copy).await,
            // It is where it is to be; what becomes of it later is another matter.
            (wanted, state) if state.is_taken() => Ok(settled(wanted, copy.note.clone())),
            (wanted, _) => self.take(copy, wanted).await,
        };
        match done {
            Ok(step) => Ok(step),
            Err(error) if stops_all(&error) => Err(error.into()),
            Err(error) => Ok(postponed(copy, &error, now)),
        }
    }

    /// The mailbox's quarantine, made when there is none.
    pub(super) async fn quarantine(&self, mailbox: &Mailbox) -> Result<Quarantine, ExchangeError> {
        if let Some(quarantine) = self.quarantines.get(&mailbox.id) {
            return Ok(quarantine);
        }
        let quarantine = self.provider.quarantine(mailbox).await?;
        self.quarantines.put(&mailbox.id, quarantine.clone());
        Ok(quarantine)
    }

    /// Whether a message lies out of its owner's sight, also in a quarantine that was made since we looked.
    async fn is_hidden(&self, mailbox: &Mailbox, folder: &FolderId) -> Result<bool, ExchangeError> {
        Ok(self.quarantine(mailbox).await?.holds(folder)
            || self.provider.quarantine_called(mailbox, folder).await?.is_some())
    }

    async fn take(&self, copy: &StoredCopy, wanted: CopyState) -> Result<CopyStep, ExchangeError> {
        let (mailbox, item) = (&copy.found.mailbox, &copy.found.item);
        let seen = OffsetDateTime::now_utc();
        if copy.tries > 0 || seen - copy.found.seen >= LATELY {
            // It is put back to where it lay when it was taken, not to where it lay once.
            let Some(now) = self.provider.item(mailbox, ItemKind::Message, item).await? else {
                return Ok(gone());
            };
            let (folder, marks) = (now.folder.clone(), Marks::of(&now));
            let is_known = folder == copy.found.folder
                && Marks::when_found(&copy.found).as_ref() == Some(&marks);
            if !is_known && self.is_hidden(mailbox, &folder).await? {
                // Moved before, by one that did not come to write it down.
                return Ok(settled(wanted, None));
            }
            if !is_known {
                return Ok(CopyStep::Found { folder, marks: marks.to_json(), seen });
            }
        }
        let to = self.quarantine(mailbox).await?.folder;
        match self.provider.relocated(mailbox, item, &to).await {
            Err(ExchangeError::NotFound { .. }) => {}
            moved => return moved.map(|_| settled(wanted, None)),
        }
        // The message is gone, or the quarantine is.
        if self.provider.item(mailbox, ItemKind::Message, item).await?.is_none() {
            return Ok(gone());
        }
        self.quarantines.forget(&mailbox.id);
        let to = self.quarantine(mailbox).await?.folder;
        self.provider.relocated(mailbox, item, &to).await.map(|_| settled(wanted, None))
    }

    async fn put_back(&self, copy: &StoredCopy) -> Result<CopyStep, ExchangeError> {
        let (mailbox, item) = (&copy.found.mailbox, &copy.found.item);
        let Some(now) = self.provider.item(mailbox, ItemKind::Message, item).await? else {
            let note = "it is not there any more; it is in the backup: 'mailkeep restore'";
            return Ok(settled(CopyState::Gone, Some(note.into())));
        };
        let lay_in = &copy.found.folder;
        if !self.is_hidden(mailbox, &now.folder).await? {
            // In its owner's sight it is its owner's: whoever has read it there has read it. Where it lay, it
            // was never taken, or put back before by one that did not come to write it down.
            let is_elsewhere = copy.found.state.is_taken() && now.folder != *lay_in;
            let note = is_elsewhere.then(|| OUT_BY_SOMEBODY.to_owned());
            return Ok(settled(CopyState::Released, note));
        }
        // Found there, it lay nobody knows where.
        if now.folder != *lay_in && !self.quarantine(mailbox).await?.holds(lay_in) {
            match self.provider.relocated(mailbox, item, lay_in).await {
                Err(error) if is_no_folder(&error) => {}
                moved => return self.marked(copy, &moved?, None).await,
            }
        }
        let inbox = FolderId(INBOX.to_owned());
        let moved = self.provider.relocated(mailbox, item, &inbox).await?;
        let note = "where it lay is not there any more, or not known: it was put into the inbox";
        self.marked(copy, &moved, Some(note.to_owned())).await
    }

    /// Sees that a message has the marks that it had.
    async fn marked(
        &self,
        copy: &StoredCopy,
        item: &Item,
        note: Option<String>,
    ) -> Result<CopyStep, ExchangeError> {
        if let Some(before) = Marks::when_found(&copy.found)
            && before != Marks::of(item)
        {
            let (mailbox, to) = (&copy.found.mailbox, before.on(item));
            self.provider.update(mailbox, &copy.found.item, &to).await?;
        }
        Ok(settled(CopyState::Released, note))
    }

    async fn purge(&self, copy: &StoredCopy) -> Result<CopyStep, ExchangeError> {
        let (mailbox, item) = (&copy.found.mailbox, &copy.found.item);
        let Some(now) = self.provider.item(mailbox, ItemKind::Message, item).await? else {
            return Ok(settled(CopyState::Purged, Some("somebody else deleted it".into())));
        };
        if !self.is_hidden(mailbox, &now.folder).await? {
            // What its owner has again is not ours to delete.
            return Ok(settled(CopyState::Released, Some(OUT_BY_SOMEBODY.to_owned())));
        }
        self.provider.purge(mailbox, item).await?;
        Ok(settled(CopyState::Purged, None))
    }
}

/// Whether nothing can be done in any mailbox now.
pub(super) fn stops_all(error: &ExchangeError) -> bool {
    matches!(
        error,
        ExchangeError::TokenRefused { .. }
            | ExchangeError::Unreachable { .. }
            | ExchangeError::Untrusted { .. }
            | ExchangeError::Configuration { .. }
            | ExchangeError::Receipts(_)
            | ExchangeError::Journal { .. }
            | ExchangeError::Identity(_)
    )
}

/// Whether a message was not moved because of where it was to go.
fn is_no_folder(error: &ExchangeError) -> bool {
    matches!(error, ExchangeError::NotFound { .. } | ExchangeError::Answer { status: 400, .. })
}

fn gone() -> CopyStep {
    let note = "it was not there any more when it was to be taken";
    settled(CopyState::Gone, Some(note.to_owned()))
}

fn settled(state: CopyState, note: Option<String>) -> CopyStep {
    CopyStep::Settled { state, note }
}

/// What comes after a try that failed.
fn postponed(copy: &StoredCopy, error: &ExchangeError, now: OffsetDateTime) -> CopyStep {
    let tries = copy.tries + 1;
    let hopeless = error.is_refusal() && tries >= 3;
    if tries >= TRIES || hopeless {
        return settled(CopyState::Failed, Some(error.to_string()));
    }
    let pause = FIRST_PAUSE * 2_i32.saturating_pow(copy.tries.min(12));
    CopyStep::Postponed { note: error.to_string(), until: now + pause.min(LONGEST_PAUSE) }
}

#[cfg(test)]
mod tests {
    use mailkeep_control::FoundCopy;
    use mailkeep_model::ItemId;

    use super::*;

    #[test]
    fn a_copy_that_cannot_be_moved_now_is_tried_again_for_hours_and_then_reported() {
        let begin = OffsetDateTime::UNIX_EPOCH;
        let error = ExchangeError::Throttled {
            tenant: "acme".parse().unwrap(),
            action: "moving a message".into(),
        };
        let mut copy = StoredCopy {
            id: 1,
            found: FoundCopy {
                mailbox: Mailbox {
                    id: MailboxId("m".into()),
                    address: "ann@own.example".parse().unwrap(),
                    display_name: String::new(),
                },
                item: ItemId("i".into()),
                message_id: "<a@own.example>".into(),
                folder: FolderId("f".into()),
                marks: serde_json::Value::Null,
                state: CopyState::Found,
                seen: begin,
            },
            wanted: CopyState::Quarantined,
            note: None,
            found_at: begin,
            changed: begin,
            tries: 0,
            due: Some(begin),
            purge_at: None,
        };
        let mut now = begin;
        while let CopyStep::Postponed { until, .. } = postponed(&copy, &error, now) {
            assert!(until > now && until - now <= LONGEST_PAUSE);
            (now, copy.tries) = (until, copy.tries + 1);
        }
        assert!(now - begin > Duration::hours(4), "{}", now - begin);
        let last = postponed(&copy, &error, now);
        assert!(matches!(last, CopyStep::Settled { state: CopyState::Failed, note: Some(_) }));
    }
}
