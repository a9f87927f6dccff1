use std::collections::HashSet;

use mailkeep_model::{
    Cursor, Directory, DirectoryUser, Home, Mailbox, MailboxId, MailboxSelection, TenantName,
};
use sea_orm::{
    ActiveValue::{Set, Unchanged},
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect,
    sea_query::OnConflict,
};

use crate::{
    Control, ControlError,
    convert::{from_json, instant, json, micros, text, variant},
    entity::{directory_user, mailbox, tenant},
    keys::pieces,
    tenants::{lock_tenant, tenant_key},
};

impl Control {
    /// Which of a tenant's mailboxes are backed up.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant is unknown.
    pub async fn selection(&self, tenant: &TenantName) -> Result<MailboxSelection, ControlError> {
        let id = tenant_key(self.reader(), tenant).await?;
        let stored: Option<Option<serde_json::Value>> = tenant::Entity::find_by_id(id)
            .select_only()
            .column(tenant::Column::Selection)
            .into_tuple()
            .one(self.reader())
            .await?;
        stored.flatten().map_or_else(|| Ok(MailboxSelection::default()), from_json)
    }

    /// Sets which of a tenant's mailboxes are backed up, from the next pass on.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant is unknown.
    pub async fn select_mailboxes(
        &self,
        tenant: &TenantName,
        selection: &MailboxSelection,
    ) -> Result<(), ControlError> {
        let id = tenant_key(self.reader(), tenant).await?;
        let row = tenant::ActiveModel {
            id: Unchanged(id),
            selection: Set(Some(json(selection)?)),
            ..Default::default()
        };
        let transaction = self.write().await?;
        tenant::Entity::update(row).exec(&transaction).await?;
        Ok(transaction.commit().await?)
    }

    /// A tenant's directory as it was last stored, with which of its mailboxes are backed up.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant is unknown.
    pub async fn directory(&self, tenant: &TenantName) -> Result<Directory, ControlError> {
        let transaction = self.read().await?;
        let id = tenant_key(&transaction, tenant).await?;
        let row = tenant::Entity::find_by_id(id).one(&transaction).await?;
        let (cursor, began) =
            row.map_or((None, None), |row| (row.directory_cursor, row.directory_began));
        let users = directory_user::Entity::find()
            .filter(directory_user::Column::TenantId.eq(id))
            .all(&transaction)
            .await?;
        let users: Vec<_> = users.into_iter().map(from_row).collect::<Result<_, _>>()?;
        let backed_up: Vec<String> = mailbox::Entity::find()
            .select_only()
            .column(mailbox::Column::ProviderId)
            .filter(mailbox::Column::TenantId.eq(id))
            .filter(mailbox::Column::GoneSince.is_null())
            .filter(mailbox::Column::LastPass.is_not_null())
            .into_tuple()
            .all(&transaction)
            .await?;
        let directory =
            Directory::stored(cursor.map(Cursor), began.map(instant).transpose()?, users);
        Ok(directory.with_backed_up(backed_up.into_iter().map(MailboxId)))
    }

    /// Stores what became different in a tenant's directory, and where its changes were read to.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant is unknown.
    pub async fn save_directory(
        &self,
        tenant: &TenantName,
        directory: &Directory,
    ) -> Result<(), ControlError> {
        let transaction = self.write().await?;
        let id = lock_tenant(&transaction, tenant).await?.id;
        let (mut put, mut gone) = (Vec::new(), Vec::new());
        for (user_id, user) in directory.changes() {
            match user {
                Some(user) => put.push(to_row(id, user)),
                None => gone.push(user_id.0.as_str()),
            }
        }
        for users in pieces(&put) {
            directory_user::Entity::insert_many(users.to_vec())
                .on_conflict(
                    OnConflict::columns([
                        directory_user::Column::TenantId,
                        directory_user::Column::ProviderId,
                    ])
                    .update_columns([
                        directory_user::Column::Address,
                        directory_user::Column::DisplayName,
                        directory_user::Column::Guest,
                        directory_user::Column::Kind,
                    ])
                    .to_owned(),
                )
                .exec_without_returning(&transaction)
                .await?;
        }
        for ids in pieces(&gone) {
            directory_user::Entity::delete_many()
                .filter(directory_user::Column::TenantId.eq(id))
                .filter(directory_user::Column::ProviderId.is_in(ids.iter().copied()))
                .exec(&transaction)
                .await?;
        }
        let row = tenant::ActiveModel {
            id: Unchanged(id),
            directory_cursor: Set(directory.cursor().map(|cursor| cursor.0.clone())),
            directory_began: Set(directory.began().map(micros)),
            ..Default::default()
        };
        tenant::Entity::update(row).exec(&transaction).await?;
        Ok(transaction.commit().await?)
    }
}

/// Which of some mailboxes a tenant's directory lists.
pub(crate) async fn listed(
    connection: &impl ConnectionTrait,
    tenant_id: i64,
    ids: &[&str],
) -> Result<HashSet<String>, ControlError> {
    let mut found = HashSet::new();
    for ids in pieces(ids) {
        let some: Vec<String> = directory_user::Entity::find()
            .select_only()
            .column(directory_user::Column::ProviderId)
            .filter(directory_user::Column::TenantId.eq(tenant_id))
            .filter(directory_user::Column::ProviderId.is_in(ids.iter().copied()))
            .into_tuple()
            .all(connection)
            .await?;
        found.extend(some);
    }
    Ok(found)
}

fn to_row(tenant_id: i64, user: &DirectoryUser) -> directory_user::ActiveModel {
    directory_user::ActiveModel {
        tenant_id: Set(tenant_id),
        provider_id: Set(user.mailbox.id.0.clone()),
        address: Set(user.mailbox.address.as_str().to_owned()),
        display_name: Set(text(&user.mailbox.display_name)),
        guest: Set(user.home == Home::Elsewhere),
        kind: Set(user.kind.map(|kind| kind.as_str().to_owned())),
    }
}

fn from_row(row: directory_user::Model) -> Result<DirectoryUser, ControlError> {
    let address = row.address.parse().map_err(|error| {
        ControlError::Corrupt(format!("user {} of a directory: {error}", row.provider_id))
    })?;
    let id = MailboxId(row.provider_id);
    Ok(DirectoryUser {
        mailbox: Mailbox { id, address, display_name: row.display_name },
        home: if row.guest { Home::Elsewhere } else { Home::Here },
        kind: row.kind.map(variant).transpose()?,
    })
}
