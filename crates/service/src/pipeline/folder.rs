//! Reads what changed in one folder.

use std::collections::HashSet;

use mailkeep_exchange::{ExchangeError, Provider};
use mailkeep_model::{Change, Folder, FolderId, FolderKind, ItemId, Next, Page};

use super::{
    compare::Start,
    mailbox::{MailboxReader, Missing, Reading, is_local, lock},
    stage::Known,
};
use crate::ServiceError;

/// How often a folder may have to be read from its beginning within one pass.
const MOST_RESTARTS: u32 = 3;

impl<P: Provider> MailboxReader<'_, P> {
    pub(super) async fn read_folder(
        &self,
        folder: &Folder,
        Start { mut cursor, mut whole }: Start,
    ) -> Result<(), ServiceError> {
        let provider = &self.reading.provider;
        let kind = folder.kind.items();
        let missing_here = |item| Missing { item, kind, folder: folder.id.clone() };
        let mut holds_cursor = false;
        // Set while the folder is read from its beginning: what the catalog has and the provider
        // does not name is missing.
        let mut unnamed: Option<HashSet<ItemId>> = None;
        if cursor.is_none() {
            unnamed = self.cataloged(&folder.id).await?;
        }
        let mut restarts = 0;
        loop {
            let Page { changes, unread, next } = match provider
                .item_changes(self.mailbox, folder, cursor.as_ref())
                .await
            {
                Ok(page) => page,
                Err(ExchangeError::CursorExpired { .. })
                    if cursor.is_some() && restarts < MOST_RESTARTS =>
                {
                    restarts += 1;
                    tracing::info!(mailbox = %self.mailbox.address, "a folder is compared anew");
                    (cursor, whole) = (None, true);
                    unnamed = self.cataloged(&folder.id).await?;
                    continue;
                }
                Err(ExchangeError::NotFound { .. }) => {
                    return self.expect_items_elsewhere(folder).await;
                }
                // One calendar that cannot be read does not stop the mail.
                Err(error) if folder.kind != FolderKind::Mail && is_local(&error) => {
                    self.cannot_read(error);
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            };
            let mut delivery = self.delivery();
            let mut upserts = Vec::with_capacity(changes.len());
            let mut missing = Vec::new();
            for change in changes {
                match change {
                    Change::Upsert(item) => {
                        if let Some(unnamed) = &mut unnamed {
                            unnamed.remove(&item.id);
                        }
                        upserts.push(item);
                    }
                    Change::Removed(id) => missing.push(missing_here(id)),
                }
            }
            let (next, at_end) = match next {
                Next::More(cursor) => (Some(cursor), false),
                Next::Done(cursor) => {
                    if whole {
                        lock(&self.compared).insert(folder.id.clone());
                    }
                    (Some(cursor), true)
                }
                Next::Complete => (None, true),
            };
            if at_end && let Some(unnamed) = unnamed.take() {
                missing.extend(unnamed.into_iter().map(missing_here));
            }
            holds_cursor |= !missing.is_empty();
            lock(&self.missing).extend(missing);
            for (item, error) in unread {
                delivery.missed.push(self.missed(item, kind, Some(folder.id.clone()), &error));
            }
            self.stage(&mut delivery, upserts, Known::Skip).await?;
            if let Some(next) = &next {
                let moved = (folder.id.clone(), next.clone());
                if holds_cursor {
                    if at_end {
                        lock(&self.held).push(moved);
                    }
                } else if unnamed.is_none() && (at_end || folder.kind == FolderKind::Mail) {
                    // A place within the list of a calendar is none to go on from: what changes
                    // before it would never be seen.
                    delivery.cursors.push(moved);
                    if whole && at_end {
                        delivery.compared.push(folder.id.clone());
                    }
                }
            }
            self.deliver(delivery).await?;
            if at_end {
                return Ok(());
            }
            cursor = next;
        }
    }

    /// What the catalog has in a folder, `None` when that is nothing.
    async fn cataloged(&self, folder: &FolderId) -> Result<Option<HashSet<ItemId>>, ServiceError> {
        let Reading { control, tenant, .. } = self.reading;
        let items = control.items_in_folder(tenant, &self.mailbox.id, folder).await?;
        let items: HashSet<_> = items.into_iter().map(|known| known.item).collect();
        Ok((!items.is_empty()).then_some(items))
    }

    /// The folder is gone. Its items are deleted, or moved to a folder that names them.
    pub(super) async fn expect_items_elsewhere(&self, folder: &Folder) -> Result<(), ServiceError> {
        let Reading { control, tenant, .. } = self.reading;
        let items = control.items_in_folder(tenant, &self.mailbox.id, &folder.id).await?;
        let kind = folder.kind.items();
        let missing = |item| Missing { item, kind, folder: folder.id.clone() };
        lock(&self.missing).extend(items.into_iter().map(|known| missing(known.item)));
        Ok(())
    }
}
