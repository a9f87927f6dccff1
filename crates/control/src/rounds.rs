use std::collections::{HashMap, HashSet};

use mailkeep_model::{Cursor, Folder, FolderId, ItemId, MailboxId, TenantName, TrafficCount};
use sea_orm::{
    ActiveValue::{Set, Unchanged},
    ConnectionTrait, EntityTrait,
};
use serde_json::Value;
use time::OffsetDateTime;

use crate::{
    CatalogItem, Completeness, Control, ControlError, NewSnapshot, Skip,
    changes::{Applied, Inspection},
    comparisons::note_counts,
    convert::micros,
    entity::{folder, mailbox, tenant},
    habits::put_habits,
    mailboxes::find_mailbox,
    skipped::{clear_skipped, put_skipped},
    snapshots::{catalog_size, insert_snapshot},
    tenants::lock_tenant,
    traffic::add_traffic,
};

/// Everything that a round changes in the state. The snapshot must be durable in the vault, and
/// the verdicts of what it brings must be recorded: after this the cursors are past it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoundCommit {
    /// The snapshot that was written; `None` when nothing changed but cursors and skipped items.
    pub snapshot: Option<NewSnapshot>,
    /// The snapshot that this round built on: the catalog must still stand there.
    pub parent: Option<String>,
    /// What changed in each mailbox.
    pub mailboxes: Vec<MailboxCommit>,
    /// Messages counted in this round, to be added to the tenant's counts.
    pub traffic: Vec<TrafficCount>,
    /// Now.
    pub now: OffsetDateTime,
}

/// A round's changes in one mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxCommit {
    /// The mailbox.
    pub mailbox: MailboxId,
    /// Whether its first backup has reached its end.
    pub completeness: Completeness,
    /// All its folders as they now are, also empty ones. A folder that is missing here is shown
    /// no more; while items lie in it, [`Control::items_in_folder`] still knows it.
    pub folders: Vec<Folder>,
    /// Where the list of folders stands.
    pub folder_cursor: CursorMove,
    /// Where the items of folders stand; folders that are not named keep their cursor.
    pub item_cursors: HashMap<FolderId, CursorMove>,
    /// When the list of folders was read from its beginning, if this pass did so.
    pub tree_compared: Option<OffsetDateTime>,
    /// Folders that this pass has read from their beginning to their end.
    pub compared: HashSet<FolderId>,
    /// At the end of a pass: how many items lie in folders as the provider counts them; those
    /// that it does not tell of are left out.
    pub counts: HashMap<FolderId, u64>,
    /// Items that are new or different. An item that is in `removed`, too, was moved: it stays.
    pub put: Vec<CatalogItem>,
    /// Items that are gone. One that the catalog does not hold is no error.
    pub removed: Vec<ItemId>,
    /// Items that failed. Each counts one attempt.
    pub skipped: Vec<Skip>,
    /// Skipped items that need no other try. Those in `put` and `removed` need not be named.
    pub no_longer_skipped: Vec<ItemId>,
    /// What the mailbox is used to, with what is new in this round learned; `None`: as before.
    pub habits: Option<Value>,
}

/// What becomes of a cursor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CursorMove {
    /// It stays.
    #[default]
    Keep,
    /// It moves here.
    To(Cursor),
    /// It is forgotten: the next pass reads from the beginning.
    Forget,
}

impl Control {
    /// Commits a round, in one transaction. Committing the same snapshot again does nothing, so
    /// that a commit whose answer was lost can be repeated.
    ///
    /// # Errors
    ///
    /// [`ControlError::HeadMoved`] when the catalog does not stand at `parent`;
    /// [`ControlError::NotFound`] for an unknown tenant or mailbox; [`ControlError::Refused`] when
    /// items change without a snapshot, or lie in a folder that is not listed. Nothing is changed
    /// then.
    pub async fn commit_round(
        &self,
        tenant: &TenantName,
        round: RoundCommit,
    ) -> Result<(), ControlError> {
        let transaction = self.write().await?;
        let row = lock_tenant(&transaction, tenant).await?;
        if let Some(snapshot) = &round.snapshot
            && row.catalog_head.as_ref() == Some(&snapshot.id)
        {
            tracing::debug!(%tenant, snapshot = snapshot.id, "round was committed before");
            return Ok(());
        }
        if row.catalog_head != round.parent {
            return Err(ControlError::HeadMoved {
                tenant: tenant.to_string(),
                expected: round.parent,
                found: row.catalog_head,
            });
        }
        let changes_items =
            |mailbox: &MailboxCommit| !mailbox.put.is_empty() || !mailbox.removed.is_empty();
        if round.snapshot.is_none() && round.mailboxes.iter().any(changes_items) {
            return Err(ControlError::Refused {
                tenant: tenant.to_string(),
                what: "items changed without a snapshot".to_owned(),
            });
        }
        let mut changed = Vec::with_capacity(round.mailboxes.len());
        for mailbox in &round.mailboxes {
            let id = find_mailbox(&transaction, row.id, &mailbox.mailbox).await?.id;
            commit_mailbox(&transaction, tenant, id, mailbox, round.now).await?;
            if round.snapshot.is_some() {
                named_by_snapshot(&transaction, id).await?;
            }
            changed.push((id, mailbox.put.len() as u64, mailbox.removed.len() as u64));
        }
        add_traffic(&transaction, row.id, &round.traffic).await?;
        if let Some(snapshot) = &round.snapshot {
            let items = catalog_size(&transaction, row.id).await?;
            insert_snapshot(&transaction, row.id, snapshot, &changed, items).await?;
            set_head(&transaction, row.id, Some(&snapshot.id)).await?;
        }
        Ok(transaction.commit().await?)
    }
}

/// Says which snapshot the catalog equals.
pub(crate) async fn set_head(
    connection: &impl ConnectionTrait,
    tenant_id: i64,
    head: Option<&str>,
) -> Result<(), ControlError> {
    let change = tenant::ActiveModel {
        id: Unchanged(tenant_id),
        catalog_head: Set(head.map(str::to_owned)),
        ..Default::default()
    };
    tenant::Entity::update(change).exec(connection).await?;
    Ok(())
}

/// A snapshot names the mailbox by its present address.
async fn named_by_snapshot(
    connection: &impl ConnectionTrait,
    mailbox_id: i64,
) -> Result<(), ControlError> {
    let change =
        mailbox::ActiveModel { id: Unchanged(mailbox_id), moved: Set(false), ..Default::default() };
    mailbox::Entity::update(change).exec(connection).await?;
    Ok(())
}

async fn commit_mailbox(
    connection: &impl ConnectionTrait,
    tenant: &TenantName,
    mailbox_id: i64,
    commit: &MailboxCommit,
    now: OffsetDateTime,
) -> Result<(), ControlError> {
    let applied = Applied {
        tenant,
        mailbox_id,
        completeness: commit.completeness,
        folders: &commit.folders,
        put: &commit.put,
        removed: &commit.removed,
        inspection: Inspection::Done,
    };
    let folders = applied.apply(connection).await?;
    put_skipped(connection, mailbox_id, &commit.skipped, now).await?;
    clear_skipped(connection, mailbox_id, &commit.no_longer_skipped).await?;
    for (folder, cursor) in &commit.item_cursors {
        let id = *folders.get(folder).ok_or_else(|| ControlError::Refused {
            tenant: tenant.to_string(),
            what: format!("a cursor is given for folder '{}', which is not listed", folder.0),
        })?;
        if let Some(cursor) = moved(cursor) {
            let change = folder::ActiveModel {
                id: Unchanged(id),
                cursor: Set(cursor),
                ..Default::default()
            };
            folder::Entity::update(change).exec(connection).await?;
        }
    }
    if let Some(habits) = &commit.habits {
        put_habits(connection, mailbox_id, habits).await?;
    }
    let mut change = mailbox::ActiveModel {
        id: Unchanged(mailbox_id),
        last_pass: Set(Some(micros(now))),
        ..Default::default()
    };
    if let Some(time) = commit.tree_compared {
        change.tree_compared = Set(Some(micros(time)));
    }
    note_counts(connection, mailbox_id, commit, &folders, now).await?;
    if let Some(cursor) = moved(&commit.folder_cursor) {
        change.folder_cursor = Set(cursor);
    }
    mailbox::Entity::update(change).exec(connection).await?;
    Ok(())
}

/// What to store; `None`: nothing changes.
fn moved(cursor: &CursorMove) -> Option<Option<String>> {
    match cursor {
        CursorMove::Keep => None,
        CursorMove::To(cursor) => Some(Some(cursor.0.clone())),
        CursorMove::Forget => Some(None),
    }
}
