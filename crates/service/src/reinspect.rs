//! Inspects what the vault holds and nobody has a verdict for: a crash fell before the verdict was
//! recorded, or `control` was lost with its findings. That is old mail: it is inspected, and nothing
//! follows.

use std::{
    collections::HashSet,
    io::{self, Write},
    sync::Arc,
};

use mailkeep_control::{CatalogItem, InspectedItem};
use mailkeep_identity::JobId;
use mailkeep_inspect::Report;
use mailkeep_model::{Address, TenantName};
use mailkeep_vault::{ItemPath, SnapshotId, Vault, VaultError};
use time::OffsetDateTime;

use crate::{Service, ServiceError, pipeline::INSPECTED_BYTES, protect::For, service::blocking};

/// Items whose verdicts are recorded at once.
const PART: u64 = 500;

impl Service {
    /// Works through a tenant's uninspected items.
    pub(crate) async fn inspect_stored(
        &self,
        tenant: &TenantName,
        mut vault: Vault,
        job: &JobId,
    ) -> Result<Vault, ServiceError> {
        let Some(newest) = self.control.catalog_head(tenant).await? else { return Ok(vault) };
        let counts = self.control.inspection_counts(tenant).await?.into_iter();
        let waiting: HashSet<_> =
            counts.filter(|count| count.uninspected > 0).map(|count| count.mailbox).collect();
        if waiting.is_empty() {
            return Ok(vault);
        }
        let newest = SnapshotId(newest);
        let domains = self.tenant(tenant).await?.domains;
        let mask_key = self.mask_key(tenant, job).await?;
        self.read_protection().await?;
        let loaded = self.protection.of(Some(tenant));
        for known in self.control.mailboxes(tenant).await? {
            let mailbox = known.mailbox;
            if !waiting.contains(&mailbox.id) {
                continue;
            }
            loop {
                let items = self.control.uninspected(tenant, &mailbox.id, PART).await?;
                if items.is_empty() {
                    break;
                }
                let (newest, domains) = (newest.clone(), domains.clone());
                let (mask_key, address) = (mask_key.clone(), mailbox.address.clone());
                let loaded = Arc::clone(&loaded);
                let (back, inspected) = blocking(move || {
                    let inspect = |bytes: &[u8], size| {
                        let (own_domains, mask_key) = (domains.as_slice(), &mask_key);
                        loaded.inspect(bytes, size, For { own_domains, mask_key, sender: None })
                    };
                    let inspect = |item| inspect_one(&vault, &newest, &address, item, &inspect);
                    let inspected =
                        items.into_iter().map(inspect).collect::<Result<Vec<_>, _>>()?;
                    Ok((vault, inspected))
                })
                .await?;
                vault = back;
                let now = OffsetDateTime::now_utc();
                self.control.record_verdicts(tenant, &mailbox.id, inspected, now).await?;
            }
        }
        Ok(vault)
    }
}

fn inspect_one(
    vault: &Vault,
    snapshot: &SnapshotId,
    mailbox: &Address,
    item: CatalogItem,
    inspect: &dyn Fn(&[u8], u64) -> Report,
) -> Result<InspectedItem, ServiceError> {
    let path = ItemPath { folder: item.folder, leaf: item.leaf, name: item.name };
    let mut head = Head(Vec::new());
    let Report { message_id, verdict, .. } = match vault
        .read_item(snapshot, mailbox, &path, &mut head)
    {
        Ok(size) => inspect(&head.0, size),
        // One damaged copy must not keep the rest from being inspected, nor look inspected.
        Err(error @ (VaultError::Damaged { .. } | VaultError::NoSuchItem { .. })) => {
            let mut report = inspect(&[], 0);
            report.verdict.not_inspected = vec![format!("the stored copy cannot be read: {error}")];
            report
        }
        Err(error) => return Err(error.into()),
    };
    Ok(InspectedItem { item: item.item, content_key: item.content_key, message_id, verdict })
}

/// Keeps the beginning of what is written to it.
struct Head(Vec<u8>);

impl Write for Head {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let wanted = data.len().min(INSPECTED_BYTES - self.0.len());
        self.0.extend_from_slice(&data[..wanted]);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
