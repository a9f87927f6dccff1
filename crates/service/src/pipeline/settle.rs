//! Before the first folder and after the last: what failed earlier, and what nobody named.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use mailkeep_exchange::{ExchangeError, Provider};
use mailkeep_model::{FolderId, FolderKind, Item, ItemId, ItemKind};

use super::{
    folders::FolderTree,
    mailbox::{MailboxReader, Missing, Reading, is_local, lock},
    stage::Known,
    staged::End,
};
use crate::{Event, ServiceError};

impl<P: Provider> MailboxReader<'_, P> {
    /// What failed in earlier passes comes first: its folder's cursor has long moved on.
    pub(super) async fn retry_missed(&self) -> Result<(), ServiceError> {
        let Reading { provider, control, tenant, .. } = self.reading;
        let before = control.skipped(tenant, Some(&self.mailbox.id)).await?;
        if before.is_empty() {
            return Ok(());
        }
        let mut delivery = self.delivery();
        let mut settled = Vec::new();
        let mut found = Vec::new();
        // Of what was switched off since, nothing is known: it waits until it is switched on again.
        let kinds = self.reading.provider.kinds();
        let mut kinds: Vec<_> = kinds.into_iter().map(FolderKind::items).collect();
        kinds.push(ItemKind::Message);
        let before = before.into_iter().filter(|missed| {
            let rests = missed.folder.as_ref().is_some_and(|folder| self.rests(folder));
            kinds.contains(&missed.kind) && !rests
        });
        let located = self
            .locate(before.collect(), |one| (one.kind, one.item.clone(), one.folder.clone()))
            .await?;
        for (missed, now) in located {
            match now {
                Ok(Some(item)) if self.present.contains(&item.folder) => {
                    settled.push(missed.item);
                    found.push(item);
                }
                // It is there, and its folder is said not to be, or could not be listed.
                Ok(Some(item)) if self.is_known(&item.folder) && !self.rests(&item.folder) => {
                    let error = "its folder was not listed";
                    delivery.missed.push(self.failed_because(item, error));
                }
                // Out of its owner's sight is not gone: it is read when it is put back.
                Ok(Some(item))
                    if provider.quarantine_called(self.mailbox, &item.folder).await?.is_some() =>
                {
                    let error = "it is in quarantine";
                    delivery.missed.push(self.failed_because(item, error));
                }
                // Gone, or in a folder that is read from its beginning once it is listed.
                Ok(_) => {
                    delivery.removed.push(missed.item.clone());
                    settled.push(missed.item);
                }
                Err(error) if is_local(&error) => {
                    let (folder, error) = (missed.folder, error.to_string());
                    delivery.missed.push(self.missed(missed.item, missed.kind, folder, &error));
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.stage(&mut delivery, found, Known::Refetch).await?;
        // Not before what was found is handed on: a crash in between would forget it.
        delivery.settled = settled;
        self.deliver(delivery).await
    }

    /// Every folder has been read: what is still missing is looked for, once more by its id. What
    /// could not be listed comes back.
    pub(super) async fn finish(
        mut self,
        mut tree: FolderTree,
    ) -> Result<Vec<ExchangeError>, ServiceError> {
        let Reading { provider, control, tenant, observer, .. } = self.reading;
        let missing = std::mem::take(&mut *lock(&self.missing));
        let ids: Vec<_> = missing.iter().map(|missing| missing.item.clone()).collect();
        let catalog = control.items(tenant, &self.mailbox.id, &ids).await?;
        let suspects: Vec<_> = missing
            .into_iter()
            .filter(|Missing { item, folder, .. }| {
                // Last named in another folder, in this pass or before: it moved.
                let seen = lock(&self.seen).get(item).map(|seen| seen.folder.clone());
                let last = seen.or_else(|| catalog.get(item).map(|stored| stored.folder.clone()));
                last.as_ref() == Some(folder)
            })
            .collect();
        let named =
            |missing: &Missing| (missing.kind, missing.item.clone(), Some(missing.folder.clone()));
        let located = self.locate(suspects, named).await?;

        let mut delivery = self.delivery();
        let mut moved = Vec::new();
        let mut strayed = Vec::new();
        for (Missing { item: id, kind, folder }, found) in located {
            match found {
                // Moved behind our back into a folder that was read already.
                Ok(Some(item)) if self.present.contains(&item.folder) => moved.push(item),
                // A list of folders left out the one that it lies in. Both stay as they are, unless
                // it came there from another one, which may be gone for good.
                Ok(Some(item)) if self.is_known(&item.folder) && !self.rests(&item.folder) => {
                    tree.keep(&item.folder);
                    if item.folder != folder {
                        moved.push(item);
                    }
                }
                // Into a folder that is not read: nothing is added to what rests there.
                Ok(Some(item)) if self.rests(&item.folder) => delivery.removed.push(id),
                Ok(Some(item)) => strayed.push(item),
                Ok(None) => delivery.removed.push(id),
                // Nobody knows: it stays with its folder, and is looked for in the next pass.
                Err(error) if is_local(&error) => {
                    tree.keep(&folder);
                    let error = error.to_string();
                    delivery.missed.push(self.missed(id, kind, Some(folder), &error));
                }
                Err(error) => return Err(error.into()),
            }
        }
        if !strayed.is_empty() {
            // In a folder that was made during this pass, or in one that is never listed:
            // Recoverable Items.
            let folders: Vec<_> =
                strayed.iter().map(|item| (item.kind, item.folder.clone())).collect();
            tree.look_again(provider, self.mailbox, &folders).await?;
            for (_, folder) in &folders {
                if !tree.known().iter().any(|known| known.id == *folder)
                    && let Some(hidden) = provider.quarantine_called(self.mailbox, folder).await?
                {
                    // Out of its owner's sight is not gone.
                    tree.add(hidden);
                }
            }
            self.folders = tree.known();
            delivery.folders = Arc::clone(&self.folders);
            for item in strayed {
                if self.is_known(&item.folder) {
                    moved.push(item);
                } else {
                    delivery.removed.push(item.id);
                }
            }
        }
        self.stage(&mut delivery, moved, Known::Skip).await?;
        delivery.cursors = std::mem::take(&mut *lock(&self.held));
        delivery.compared = std::mem::take(&mut *lock(&self.compared)).into_iter().collect();
        let counts = self.count().await;
        // Just read from its beginning, it would be the same again.
        let fits = self.tree_compared.is_some() || tree.fits(&counts);
        let (folders, unlisted, folder_cursor) = tree.finish();
        delivery.folders = folders;
        delivery.end = Some(End {
            folder_cursor: fits.then_some(folder_cursor),
            tree_compared: self.tree_compared,
            counts,
        });
        self.deliver(delivery).await?;
        observer.on_event(&Event::MailboxRead { mailbox: self.mailbox.address.clone() });
        let unread = std::mem::take(&mut *lock(&self.unread));
        Ok(unlisted.into_iter().chain(unread).collect())
    }

    /// Asks where these items are now, those of a kind together.
    async fn locate<T>(
        &self,
        suspects: Vec<T>,
        named: impl Fn(&T) -> (ItemKind, ItemId, Option<FolderId>),
    ) -> Result<Vec<(T, Result<Option<Item>, ExchangeError>)>, ServiceError> {
        let mut by_kind: BTreeMap<ItemKind, (Vec<T>, Vec<_>)> = BTreeMap::new();
        for suspect in suspects {
            let (kind, id, folder) = named(&suspect);
            let (suspects, ids) = by_kind.entry(kind).or_default();
            suspects.push(suspect);
            ids.push((id, folder));
        }
        let mut located = Vec::new();
        for (kind, (suspects, ids)) in by_kind {
            let found = self.reading.provider.look_for(self.mailbox, kind, &ids).await?;
            located.extend(suspects.into_iter().zip(found));
        }
        Ok(located)
    }

    /// What the provider says its folders hold. Nothing depends on it but whether they are compared:
    /// without it the mailbox is read to its end all the same.
    async fn count(&self) -> HashMap<FolderId, u64> {
        let counts = self.reading.provider.item_counts(self.mailbox).await;
        counts.unwrap_or_else(|error| {
            let mailbox = &self.mailbox.address;
            tracing::info!(%mailbox, %error, "the provider does not say what its folders hold");
            HashMap::new()
        })
    }
}
