use mailkeep_model::{MailboxId, TenantName};
use sea_orm::{ActiveValue::Set, ConnectionTrait, EntityTrait, sea_query::OnConflict};
use serde_json::Value;

use crate::{Control, ControlError, entity::habits, mailboxes::mailbox_key};

impl Control {
    /// What a mailbox is used to, as the last round left it ([`crate::MailboxCommit::habits`]);
    /// `inspect` knows what stands in there.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant or the mailbox is unknown.
    pub async fn habits(
        &self,
        tenant: &TenantName,
        mailbox: &MailboxId,
    ) -> Result<Option<Value>, ControlError> {
        let id = mailbox_key(self.reader(), tenant, mailbox).await?;
        let row = habits::Entity::find_by_id(id).one(self.reader()).await?;
        Ok(row.map(|row| row.habits))
    }
}

/// Sets it.
pub(crate) async fn put_habits(
    connection: &impl ConnectionTrait,
    mailbox_id: i64,
    value: &Value,
) -> Result<(), ControlError> {
    let row = habits::ActiveModel { mailbox_id: Set(mailbox_id), habits: Set(value.clone()) };
    let replace = OnConflict::column(habits::Column::MailboxId)
        .update_column(habits::Column::Habits)
        .to_owned();
    habits::Entity::insert(row).on_conflict(replace).exec_without_returning(connection).await?;
    Ok(())
}
