use std::collections::{HashMap, HashSet};

use mailkeep_model::{Address, Cursor, Folder, FolderId, Mailbox, MailboxId, TenantName};
use sea_orm::{
    ActiveValue::{NotSet, Set, Unchanged},
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};
use time::OffsetDateTime;

use crate::{
    Control, ControlError,
    convert::{instant, micros, text, unsigned, variant},
    directory::listed,
    entity::{folder, mailbox},
    tenants::{lock_tenant, tenant_key},
};

/// Whether a mailbox's first backup has reached its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Completeness {
    /// It is still running, or was interrupted: the vault does not hold everything yet.
    Incomplete,
    /// The vault holds everything that the mailbox held at the last pass.
    Complete,
}

impl Completeness {
    pub(crate) fn from_column(complete: bool) -> Self {
        if complete { Self::Complete } else { Self::Incomplete }
    }
}

/// Why a mailbox is not backed up any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Departure {
    /// The directory does not list it any more.
    Left,
    /// The directory lists it, but the tenant's selection leaves it out.
    Deselected,
}

impl Departure {
    /// The name used in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Deselected => "deselected",
        }
    }
}

/// A mailbox that is backed up, or once was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownMailbox {
    /// As the directory listed it when it was last backed up.
    pub mailbox: Mailbox,
    /// When it was first listed.
    pub first_seen: OffsetDateTime,
    /// Since when it is not backed up any more. Its backups stay.
    pub gone_since: Option<OffsetDateTime>,
    /// Why not.
    pub departure: Option<Departure>,
    /// Whether its first backup has reached its end.
    pub first_backup_complete: Completeness,
    /// When a pass last committed something of it, be it only cursors.
    pub last_pass: Option<OffsetDateTime>,
    /// Its items in the catalog.
    pub items: u64,
}

/// What [`Control::merge_mailboxes`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MailboxMerge {
    /// Listed for the first time.
    pub added: Vec<Mailbox>,
    /// Listed with another address than before.
    pub renamed: Vec<MailboxRename>,
    /// Listed no more, or not selected any more: marked, never deleted.
    pub gone: Vec<Mailbox>,
    /// Listed again after having been gone.
    pub returned: Vec<Mailbox>,
}

/// A mailbox whose address changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxRename {
    /// The address that it had.
    pub from: Address,
    /// The mailbox as it is now.
    pub mailbox: Mailbox,
}

/// Where the synchronisation of one mailbox stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncState {
    /// Whether its first backup has reached its end.
    pub completeness: Completeness,
    /// Where the list of folders stands; `None`: to be read from the beginning.
    pub folder_cursor: Option<Cursor>,
    /// The folders as of the last committed round, in the order in which they became known.
    pub folders: Vec<Folder>,
    /// Where each folder's items stand; a folder without an entry is read from the beginning.
    pub item_cursors: HashMap<FolderId, Cursor>,
    /// Whether its address changed since a snapshot last named it.
    pub moved: bool,
    /// When the list of folders was last read from its beginning.
    pub tree_compared: Option<OffsetDateTime>,
    /// What is known of how far folders can be trusted to be complete.
    pub comparisons: HashMap<FolderId, Comparison>,
}

/// How far a folder's part of the catalog can be trusted to be complete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// When it was last read from its beginning and compared.
    pub last: Option<OffsetDateTime>,
    /// For how many passes in a row the provider has counted the same number of items that is
    /// neither ours nor explained by what an earlier comparison could not change.
    pub doubts: u64,
}

impl Control {
    /// Takes over which mailboxes are to be backed up now. One that is missing is marked as gone.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant is unknown.
    pub async fn merge_mailboxes(
        &self,
        tenant: &TenantName,
        listed: &[Mailbox],
        now: OffsetDateTime,
    ) -> Result<MailboxMerge, ControlError> {
        let transaction = self.write().await?;
        let tenant_id = lock_tenant(&transaction, tenant).await?.id;
        let mut known: HashMap<String, mailbox::Model> = mailbox::Entity::find()
            .filter(mailbox::Column::TenantId.eq(tenant_id))
            .all(&transaction)
            .await?
            .into_iter()
            .map(|row| (row.provider_id.clone(), row))
            .collect();
        let mut merge = MailboxMerge::default();
        let mut seen = HashSet::new();
        for mailbox in listed {
            if !seen.insert(&mailbox.id) {
                continue;
            }
            match known.remove(&mailbox.id.0) {
                None => {
                    insert_mailbox(&transaction, tenant_id, mailbox, now).await?;
                    merge.added.push(mailbox.clone());
                }
                Some(row) => merge_one(&transaction, row, mailbox, &mut merge).await?,
            }
        }
        let mut gone: Vec<_> = known.into_values().filter(|row| row.gone_since.is_none()).collect();
        gone.sort_by_key(|row| row.id);
        for row in gone {
            let change = mailbox::ActiveModel {
                id: Unchanged(row.id),
                gone_since: Set(Some(micros(now))),
                ..Default::default()
            };
            mailbox::Entity::update(change).exec(&transaction).await?;
            merge.gone.push(from_row(&row)?);
        }
        transaction.commit().await?;
        Ok(merge)
    }

    /// All mailboxes of a tenant, also those that are gone, by address.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant is unknown.
    pub async fn mailboxes(&self, tenant: &TenantName) -> Result<Vec<KnownMailbox>, ControlError> {
        let tenant_id = tenant_key(self.reader(), tenant).await?;
        let rows = mailbox::Entity::find()
            .filter(mailbox::Column::TenantId.eq(tenant_id))
            .order_by_asc(mailbox::Column::Address)
            .order_by_asc(mailbox::Column::Id)
            .all(self.reader())
            .await?;
        let gone = rows.iter().filter(|row| row.gone_since.is_some());
        let gone: Vec<&str> = gone.map(|row| row.provider_id.as_str()).collect();
        let listed = listed(self.reader(), tenant_id, &gone).await?;
        rows.into_iter()
            .map(|row| {
                let departure = match row.gone_since {
                    None => None,
                    Some(_) if listed.contains(&row.provider_id) => Some(Departure::Deselected),
                    Some(_) => Some(Departure::Left),
                };
                Ok(KnownMailbox {
                    mailbox: from_row(&row)?,
                    departure,
                    first_seen: instant(row.first_seen)?,
                    gone_since: row.gone_since.map(instant).transpose()?,
                    first_backup_complete: Completeness::from_column(row.complete),
                    last_pass: row.last_pass.map(instant).transpose()?,
                    items: unsigned(row.items),
                })
            })
            .collect()
    }

    /// Where the synchronisation of a mailbox stands.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant or the mailbox is unknown.
    pub async fn sync_state(
        &self,
        tenant: &TenantName,
        mailbox: &MailboxId,
    ) -> Result<SyncState, ControlError> {
        let transaction = self.read().await?;
        let tenant_id = tenant_key(&transaction, tenant).await?;
        let row = find_mailbox(&transaction, tenant_id, mailbox).await?;
        let mut state = SyncState {
            completeness: Completeness::from_column(row.complete),
            moved: row.moved,
            folder_cursor: row.folder_cursor.map(Cursor),
            folders: Vec::new(),
            item_cursors: HashMap::new(),
            tree_compared: row.tree_compared.map(instant).transpose()?,
            comparisons: HashMap::new(),
        };
        let folders = folder::Entity::find()
            .filter(folder::Column::MailboxId.eq(row.id))
            .filter(folder::Column::Present.eq(true))
            .order_by_asc(folder::Column::Id)
            .all(&transaction)
            .await?;
        for row in folders {
            let id = FolderId(row.provider_id);
            if let Some(cursor) = row.cursor {
                state.item_cursors.insert(id.clone(), Cursor(cursor));
            }
            let last = row.compared.map(instant).transpose()?;
            let comparison = Comparison { last, doubts: unsigned(row.doubts) };
            state.comparisons.insert(id.clone(), comparison);
            state.folders.push(Folder {
                id,
                parent: row.parent.map(FolderId),
                name: row.name,
                kind: variant(row.kind)?,
                well_known: row.well_known.map(variant).transpose()?,
            });
        }
        Ok(state)
    }
}

/// A mailbox's row.
pub(crate) async fn find_mailbox(
    connection: &impl ConnectionTrait,
    tenant_id: i64,
    id: &MailboxId,
) -> Result<mailbox::Model, ControlError> {
    mailbox::Entity::find()
        .filter(mailbox::Column::TenantId.eq(tenant_id))
        .filter(mailbox::Column::ProviderId.eq(id.0.as_str()))
        .one(connection)
        .await?
        .ok_or_else(|| ControlError::NotFound { what: format!("mailbox '{}'", id.0) })
}

/// The row number of a mailbox.
pub(crate) async fn mailbox_key(
    connection: &impl ConnectionTrait,
    tenant: &TenantName,
    id: &MailboxId,
) -> Result<i64, ControlError> {
    let tenant_id = tenant_key(connection, tenant).await?;
    Ok(find_mailbox(connection, tenant_id, id).await?.id)
}

/// The identifiers behind the row numbers of a tenant's mailboxes.
impl Control {
    /// When a mailbox was first listed.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant or the mailbox is unknown.
    pub async fn mailbox_first_seen(
        &self,
        tenant: &TenantName,
        id: &MailboxId,
    ) -> Result<OffsetDateTime, ControlError> {
        let tenant_id = tenant_key(self.reader(), tenant).await?;
        instant(find_mailbox(self.reader(), tenant_id, id).await?.first_seen)
    }
}

pub(crate) async fn mailbox_names(
    connection: &impl ConnectionTrait,
    tenant_id: i64,
) -> Result<HashMap<i64, MailboxId>, ControlError> {
    let rows: Vec<(i64, String)> = mailbox::Entity::find()
        .select_only()
        .column(mailbox::Column::Id)
        .column(mailbox::Column::ProviderId)
        .filter(mailbox::Column::TenantId.eq(tenant_id))
        .into_tuple()
        .all(connection)
        .await?;
    Ok(rows.into_iter().map(|(id, provider_id)| (id, MailboxId(provider_id))).collect())
}

/// Adds a mailbox; gives its row.
pub(crate) async fn insert_mailbox(
    connection: &impl ConnectionTrait,
    tenant_id: i64,
    mailbox: &Mailbox,
    now: OffsetDateTime,
) -> Result<mailbox::Model, ControlError> {
    let row = mailbox::ActiveModel {
        id: NotSet,
        tenant_id: Set(tenant_id),
        provider_id: Set(mailbox.id.0.clone()),
        address: Set(mailbox.address.as_str().to_owned()),
        display_name: Set(text(&mailbox.display_name)),
        first_seen: Set(micros(now)),
        gone_since: Set(None),
        complete: Set(false),
        items: Set(0),
        folder_cursor: Set(None),
        last_pass: Set(None),
        tree_compared: Set(None),
        moved: Set(false),
    };
    Ok(mailbox::Entity::insert(row).exec_with_returning(connection).await?)
}

async fn merge_one(
    connection: &impl ConnectionTrait,
    row: mailbox::Model,
    listed: &Mailbox,
    merge: &mut MailboxMerge,
) -> Result<(), ControlError> {
    let before = from_row(&row)?;
    let display_name = text(&listed.display_name);
    let moved = before.address != listed.address;
    if moved {
        merge.renamed.push(MailboxRename { from: before.address, mailbox: listed.clone() });
    } else if before.display_name == display_name && row.gone_since.is_none() {
        return Ok(());
    }
    if row.gone_since.is_some() {
        merge.returned.push(listed.clone());
    }
    let change = mailbox::ActiveModel {
        id: Unchanged(row.id),
        address: Set(listed.address.as_str().to_owned()),
        display_name: Set(display_name),
        gone_since: Set(None),
        moved: Set(row.moved || moved),
        ..Default::default()
    };
    mailbox::Entity::update(change).exec(connection).await?;
    Ok(())
}

fn from_row(row: &mailbox::Model) -> Result<Mailbox, ControlError> {
    Ok(Mailbox {
        id: MailboxId(row.provider_id.clone()),
        address: row
            .address
            .parse()
            .map_err(|error| ControlError::Corrupt(format!("mailbox {}: {error}", row.id)))?,
        display_name: row.display_name.clone(),
    })
}
