//! Inspects what the vault holds and nobody has a verdict for: a crash fell before the verdict was
//! recorded, or `control` was lost with its findings.

use std::{
    collections::HashSet,
    io::{self, Write},
};

use mailkeep_control::{CatalogItem, InspectedItem};
use mailkeep_identity::JobId;
use mailkeep_inspect::{Context, Report, inspect_prefix};
use mailkeep_model::{Address, TenantName};
use mailkeep_vault::{ItemPath, SnapshotId, Vault, VaultError};
use time::OffsetDateTime;

use crate::{Service, ServiceError, pipeline::INSPECTED_BYTES, service::blocking};

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
                let (back, inspected) = blocking(move || {
                    let now = OffsetDateTime::now_utc();
                    let context = Context::new(now, &domains, &mask_key);
                    let inspect = |item| inspect_one(&vault, &newest, &address, item, &context);
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
    context: &Context<'_>,
) -> Result<InspectedItem, ServiceError> {
    let path = ItemPath { folder: item.folder, leaf: item.leaf, name: item.name };
    let mut head = Head(Vec::new());
    let Report { message_id, verdict, .. } = match vault
        .read_item(snapshot, mailbox, &path, &mut head)
    {
        Ok(size) => inspect_prefix(&head.0, size, context),
        // One damaged copy must not keep the rest from being inspected, nor look inspected.
        Err(error @ (VaultError::Damaged { .. } | VaultError::NoSuchItem { .. })) => {
            let mut report = inspect_prefix(&[], 0, context);
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
