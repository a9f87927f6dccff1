use std::{io::Write, path::Path};

use mailkeep_control::{KnownMailbox, SnapshotRecord};
use mailkeep_model::{Address, MailboxId, TenantName};
use mailkeep_vault::{
    ExportForm, ExportProgress, ExportReport, FolderPath, ReadData, RecoveryKit, Selection,
    ShortId, Snapshot, StoredFolder, StoredItem, StoredMailbox, Vault, VaultError, VerifyReport,
    write_recovery_kit,
};
use serde_json::json;
use time::OffsetDateTime;

use crate::{Service, ServiceError, service::blocking};

/// A tenant's mailboxes as one snapshot has them. Its methods wait for the disk.
pub struct View {
    tenant: TenantName,
    vault: Vault,
    snapshot: Snapshot,
}

/// A message in a snapshot.
#[derive(Debug)]
pub struct Located {
    /// In whose mailbox.
    pub mailbox: Address,
    /// In which folder.
    pub folder: StoredFolder,
    /// What is known of it.
    pub item: StoredItem,
}

impl View {
    /// The snapshot.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// All mailboxes.
    ///
    /// # Errors
    /// [`ServiceError::Vault`].
    pub fn mailboxes(&self) -> Result<Vec<StoredMailbox>, ServiceError> {
        Ok(self.vault.mailboxes(&self.snapshot.id)?)
    }

    /// The provider's identifier of a mailbox.
    ///
    /// # Errors
    /// [`ServiceError::NoMailbox`], [`ServiceError::Vault`].
    pub(crate) fn mailbox_id(&self, mailbox: &Address) -> Result<MailboxId, ServiceError> {
        let stored = self.mailboxes()?.into_iter().find(|one| one.mailbox.address == *mailbox);
        let missing =
            || ServiceError::NoMailbox { tenant: self.tenant.clone(), mailbox: mailbox.clone() };
        Ok(stored.ok_or_else(missing)?.mailbox.id)
    }

    /// The folders of a mailbox.
    ///
    /// # Errors
    /// [`ServiceError::NoMailbox`], [`ServiceError::Vault`].
    pub fn folders(&self, mailbox: &Address) -> Result<Vec<StoredFolder>, ServiceError> {
        self.vault.folders(&self.snapshot.id, mailbox).map_err(|error| self.named(mailbox, error))
    }

    /// A folder by its path.
    ///
    /// # Errors
    /// [`ServiceError::NoMailbox`], [`ServiceError::Vault`].
    pub fn folder(
        &self,
        mailbox: &Address,
        path: &FolderPath,
    ) -> Result<StoredFolder, ServiceError> {
        let folders = self.folders(mailbox)?;
        folders.into_iter().find(|folder| folder.path == *path).ok_or_else(|| {
            let (mailbox, folder) = (mailbox.clone(), path.to_string());
            VaultError::NoSuchFolder { snapshot: self.snapshot.id.clone(), mailbox, folder }.into()
        })
    }

    /// The messages directly in a folder.
    ///
    /// # Errors
    /// [`ServiceError::Vault`].
    pub fn items(
        &self,
        mailbox: &Address,
        folder: &StoredFolder,
    ) -> Result<Vec<StoredItem>, ServiceError> {
        Ok(self.vault.items(&self.snapshot.id, mailbox, &folder.folder.id)?)
    }

    /// A message by its short id.
    ///
    /// # Errors
    /// [`ServiceError::NoItem`], [`ServiceError::Vault`].
    pub fn find(&self, short: &ShortId) -> Result<Located, ServiceError> {
        let mut found = self.vault.find_item(&self.snapshot.id, None, short)?;
        match found.pop() {
            Some((mailbox, folder, item)) => Ok(Located { mailbox, folder, item }),
            None => {
                Err(ServiceError::NoItem { tenant: self.tenant.clone(), item: short.to_string() })
            }
        }
    }

    /// Writes a message's content, exactly as it was stored.
    ///
    /// # Errors
    /// [`ServiceError::Vault`].
    pub fn read(&self, located: &Located, out: &mut dyn Write) -> Result<u64, ServiceError> {
        self.content(&located.mailbox, &located.item, out)
    }

    /// Writes an item's content, exactly as it was stored.
    pub(crate) fn content(
        &self,
        mailbox: &Address,
        item: &StoredItem,
        out: &mut dyn Write,
    ) -> Result<u64, ServiceError> {
        Ok(self.vault.read_item(&self.snapshot.id, mailbox, &item.path, out)?)
    }

    /// Writes the stream beside an item's content.
    pub(crate) fn stream(
        &self,
        mailbox: &Address,
        item: &StoredItem,
        out: &mut dyn Write,
    ) -> Result<u64, ServiceError> {
        Ok(self.vault.read_stream(&self.snapshot.id, mailbox, &item.path, out)?)
    }

    /// Writes the items of one kind of a mailbox, or of a folder and those below it, as files.
    ///
    /// # Errors
    /// [`ServiceError::NoMailbox`], [`ServiceError::Vault`]. Items that cannot be read are in
    /// the report.
    pub fn export(
        &self,
        selection: &Selection,
        form: ExportForm,
        out: &Path,
        progress: &mut dyn FnMut(ExportProgress),
    ) -> Result<ExportReport, ServiceError> {
        let report = self.vault.export(&self.snapshot.id, selection, form, out, progress);
        report.map_err(|error| self.named(&selection.mailbox, error))
    }

    /// The vault does not know who its tenant is.
    fn named(&self, mailbox: &Address, error: VaultError) -> ServiceError {
        match error {
            VaultError::NoSuchMailbox { .. } => {
                ServiceError::NoMailbox { tenant: self.tenant.clone(), mailbox: mailbox.clone() }
            }
            error => error.into(),
        }
    }
}

impl Service {
    /// A tenant's snapshots, or those that changed one mailbox, oldest first.
    ///
    /// # Errors
    /// [`ServiceError::NoTenant`], [`ServiceError::NoMailbox`].
    pub async fn snapshots(
        &self,
        tenant: &TenantName,
        mailbox: Option<&Address>,
    ) -> Result<Vec<SnapshotRecord>, ServiceError> {
        self.tenant(tenant).await?;
        let id = match mailbox {
            None => None,
            Some(address) => {
                let known = self.control.mailboxes(tenant).await?;
                // One that is gone may have had the address before.
                let same = known.into_iter().filter(|known| known.mailbox.address == *address);
                let found = same.min_by_key(|known: &KnownMailbox| known.gone_since.is_some());
                let missing =
                    || ServiceError::NoMailbox { tenant: tenant.clone(), mailbox: address.clone() };
                Some(found.ok_or_else(missing)?.mailbox.id)
            }
        };
        Ok(self.control.snapshots(tenant, id.as_ref()).await?)
    }

    /// A tenant's mailboxes as they were at a time, or as the newest snapshot has them.
    ///
    /// # Errors
    /// [`ServiceError::NoTenant`], [`ServiceError::NoSnapshot`], and why the vault does not open.
    pub async fn view(
        &self,
        tenant: &TenantName,
        at: Option<OffsetDateTime>,
    ) -> Result<View, ServiceError> {
        let vault = self.vault(tenant, &self.new_job()).await?;
        let tenant = tenant.clone();
        blocking(move || {
            let snapshots = vault.snapshots()?.into_iter();
            let mut until = snapshots.filter(|one| at.is_none_or(|at| one.time <= at));
            let when = at.map(|at| format!(" at or before {at}")).unwrap_or_default();
            match until.next_back() {
                Some(snapshot) => Ok(View { tenant, vault, snapshot }),
                None => Err(ServiceError::NoSnapshot { tenant, when }),
            }
        })
        .await
    }

    /// Writes down that somebody read mail out of the vault.
    ///
    /// # Errors
    /// [`ServiceError::Control`]; then nothing must be handed out.
    pub async fn audit_reading(
        &self,
        view: &View,
        action: &str,
        details: serde_json::Value,
    ) -> Result<(), ServiceError> {
        let details = json!({"snapshot": view.snapshot.id, "what": details});
        self.audit(&view.tenant, action, details).await
    }

    /// Checks a tenant's repository.
    ///
    /// # Errors
    /// [`ServiceError::NoTenant`], [`ServiceError::NoSnapshot`], and why the vault does not open.
    pub async fn verify(
        &self,
        tenant: &TenantName,
        read_data: ReadData,
    ) -> Result<VerifyReport, ServiceError> {
        let vault = self.vault(tenant, &self.new_job()).await?;
        blocking(move || Ok(vault.verify(read_data)?)).await
    }

    /// Writes down where a tenant's repository is and what opens it.
    ///
    /// # Errors
    /// As [`Service::verify`]; [`ServiceError::Vault`] when the files are there already.
    pub async fn recovery_kit(&self, tenant: &TenantName, out: &Path) -> Result<(), ServiceError> {
        let job = self.new_job();
        let vault = self.vault(tenant, &job).await?;
        let password = self.repository_password(tenant, &job).await?;
        // Whoever holds the kit reads all mail: its making is on record before it exists.
        self.audit(tenant, "recovery-kit", json!({"out": out.display().to_string()})).await?;
        let kit = RecoveryKit {
            tenant,
            repository: &self.data.vault(tenant),
            repository_id: &vault.repository_id(),
            password: &password,
        };
        Ok(write_recovery_kit(out, &kit)?)
    }
}
