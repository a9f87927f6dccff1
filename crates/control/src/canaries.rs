//! Canaries, and what became of each.

use std::collections::HashSet;

use mailkeep_model::{Address, ItemId, MailboxId, TenantName};
use sea_orm::{
    ActiveValue::{NotSet, Set, Unchanged},
    ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::OnConflict,
};
use serde_json::Value;
use time::OffsetDateTime;

use crate::{
    AuditEntry, Control, ControlError,
    audit::add_entry,
    convert::{instant, micros, short_text, text},
    entity::{canary, canary_plan, tenant},
    tenants::{lock_tenant, tenant_key},
};

/// Canaries of a tenant that are kept; older ones are forgotten, and their messages are ordinary ones
/// from then on. At one every six hours these are nearly seven years.
const KEPT: u64 = 10_000;
/// Bytes of what is noted at the end of one.
const NOTE: usize = 1_000;

/// A canary that is about to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCanary {
    /// SHA-256 of its mark.
    pub digest: [u8; 32],
    /// Whose mailbox it is sent from.
    pub sender: Address,
    /// To whose.
    pub recipient: Address,
    /// The present.
    pub begun: OffsetDateTime,
    /// By when it must have come through.
    pub deadline: OffsetDateTime,
    /// Whether it has to be taken away again by then.
    pub to_be_removed: bool,
}

/// What is known of a canary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCanary {
    /// Its number.
    pub id: i64,
    /// SHA-256 of its mark.
    pub digest: Vec<u8>,
    /// Whose mailbox it is sent from.
    pub sender: Address,
    /// To whose.
    pub recipient: Address,
    /// When it was about to be sent.
    pub begun: OffsetDateTime,
    /// By when it must have come through.
    pub deadline: OffsetDateTime,
    /// When the provider took it; `None`: it did not, or nobody knows.
    pub sent: Option<OffsetDateTime>,
    /// Where it was read.
    pub seen: Option<CanarySeen>,
    /// Whether it has to be taken away again.
    pub to_be_removed: bool,
    /// When it was.
    pub removed: Option<OffsetDateTime>,
    /// What became of it; `None`: it is under way.
    pub end: Option<CanaryEnd>,
}

/// A canary as it was read in its recipient's mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CanarySeen {
    /// The mailbox.
    pub mailbox: MailboxId,
    /// Its item there.
    pub item: ItemId,
    /// Whether the inspector saw what it says.
    pub inspected: bool,
    /// When it was read first.
    pub at: OffsetDateTime,
}

/// What became of a canary. `service` knows the words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CanaryEnd {
    /// In one word.
    pub outcome: String,
    /// What else there is to say.
    pub note: String,
    /// When that was decided.
    pub at: OffsetDateTime,
}

/// What came of beginning a canary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BegunCanary {
    /// It may go out.
    New(i64),
    /// Another one of the tenant is under way: nothing goes out.
    UnderWay(i64),
}

impl Control {
    /// The tenants that are sent canaries unattended, with their plans. `service` knows what stands in
    /// those.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub async fn canary_plans(&self) -> Result<Vec<(TenantName, Value)>, ControlError> {
        let mut plans = Vec::new();
        for row in canary_plan::Entity::find().all(self.reader()).await? {
            // One that was removed meanwhile is left out.
            let of = tenant::Entity::find_by_id(row.tenant_id).one(self.reader()).await?;
            let Some(tenant::Model { name, .. }) = of else { continue };
            let corrupt = || ControlError::Corrupt(format!("'{name}' is no name of a tenant"));
            plans.push((name.parse().map_err(|_| corrupt())?, row.plan));
        }
        Ok(plans)
    }

    /// A tenant's plan.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant is unknown.
    pub async fn canary_plan(&self, tenant: &TenantName) -> Result<Option<Value>, ControlError> {
        let id = tenant_key(self.reader(), tenant).await?;
        let row = canary_plan::Entity::find_by_id(id).one(self.reader()).await?;
        Ok(row.map(|row| row.plan))
    }

    /// Sets it, or takes it away, with its entry in the audit log.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant is unknown.
    pub async fn set_canary_plan(
        &self,
        tenant: &TenantName,
        plan: Option<Value>,
        entry: AuditEntry,
    ) -> Result<(), ControlError> {
        let id = tenant_key(self.reader(), tenant).await?;
        let transaction = self.write().await?;
        match plan {
            None => {
                canary_plan::Entity::delete_by_id(id).exec(&transaction).await?;
            }
            Some(plan) => {
                let row = canary_plan::ActiveModel { tenant_id: Set(id), plan: Set(plan) };
                let replace = OnConflict::column(canary_plan::Column::TenantId)
                    .update_column(canary_plan::Column::Plan)
                    .to_owned();
                canary_plan::Entity::insert(row)
                    .on_conflict(replace)
                    .exec_without_returning(&transaction)
                    .await?;
            }
        }
        add_entry(&transaction, entry).await?;
        Ok(transaction.commit().await?)
    }

    /// Writes down that a canary is about to be sent, unless one of the tenant is under way; with its entry
    /// in the audit log when somebody asked for it. From then on it may have been sent, whatever happens to
    /// us.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant is unknown.
    pub async fn begin_canary(
        &self,
        tenant: &TenantName,
        new: NewCanary,
        entry: Option<AuditEntry>,
    ) -> Result<BegunCanary, ControlError> {
        let transaction = self.write().await?;
        // Two processes may ask at once.
        let tenant_id = lock_tenant(&transaction, tenant).await?.id;
        let of_tenant = || canary::Entity::find().filter(canary::Column::TenantId.eq(tenant_id));
        let open = of_tenant().filter(canary::Column::Ended.is_null()).one(&transaction).await?;
        if let Some(open) = open {
            return Ok(BegunCanary::UnderWay(open.id));
        }
        let row = canary::ActiveModel {
            id: NotSet,
            tenant_id: Set(tenant_id),
            digest: Set(new.digest.to_vec()),
            sender: Set(new.sender.to_string()),
            recipient: Set(new.recipient.to_string()),
            begun: Set(micros(new.begun)),
            deadline: Set(micros(new.deadline)),
            sent: Set(None),
            seen: Set(None),
            mailbox: Set(None),
            item: Set(None),
            inspected: Set(false),
            ended: Set(None),
            outcome: Set(None),
            note: Set(None),
            to_be_removed: Set(new.to_be_removed),
            removed: Set(None),
        };
        let id = canary::Entity::insert(row).exec(&transaction).await?.last_insert_id;
        let old: Option<i64> = of_tenant()
            .select_only()
            .column(canary::Column::Id)
            .order_by_desc(canary::Column::Id)
            .offset(KEPT)
            .into_tuple()
            .one(&transaction)
            .await?;
        if let Some(old) = old {
            canary::Entity::delete_many()
                .filter(canary::Column::TenantId.eq(tenant_id))
                .filter(canary::Column::Id.lte(old))
                .exec(&transaction)
                .await?;
        }
        if let Some(entry) = entry {
            add_entry(&transaction, entry).await?;
        }
        transaction.commit().await?;
        Ok(BegunCanary::New(id))
    }

    /// Notes that the provider took a canary.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub async fn canary_sent(&self, id: i64, at: OffsetDateTime) -> Result<(), ControlError> {
        let row = canary::ActiveModel {
            id: Unchanged(id),
            sent: Set(Some(micros(at))),
            ..Default::default()
        };
        let transaction = self.write().await?;
        canary::Entity::update(row).exec(&transaction).await?;
        Ok(transaction.commit().await?)
    }

    /// Notes that a canary was taken out of its recipient's sight.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub async fn canary_removed(&self, id: i64, at: OffsetDateTime) -> Result<(), ControlError> {
        let row = canary::ActiveModel { removed: Set(Some(micros(at))), ..Default::default() };
        let transaction = self.write().await?;
        canary::Entity::update_many()
            .set(row)
            .filter(canary::Column::Id.eq(id))
            .filter(canary::Column::Removed.is_null())
            .exec(&transaction)
            .await?;
        Ok(transaction.commit().await?)
    }

    /// Notes what became of a canary, unless that was decided before. Tells whether it was not.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub async fn end_canary(&self, id: i64, end: CanaryEnd) -> Result<bool, ControlError> {
        let row = canary::ActiveModel {
            ended: Set(Some(micros(end.at))),
            outcome: Set(Some(text(&end.outcome))),
            note: Set(Some(short_text(&end.note, NOTE))),
            ..Default::default()
        };
        let transaction = self.write().await?;
        let done = canary::Entity::update_many()
            .set(row)
            .filter(canary::Column::Id.eq(id))
            .filter(canary::Column::Ended.is_null())
            .exec(&transaction)
            .await?;
        transaction.commit().await?;
        Ok(done.rows_affected > 0)
    }

    /// Takes an item for the canary with that mark, when there is one, it was sent from `sender` to
    /// this mailbox, and no other item was taken for it before. Tells whether it was taken for it.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant is unknown.
    pub async fn recognise_canary(
        &self,
        tenant: &TenantName,
        digest: &[u8; 32],
        sender: &str,
        recipient: &Address,
        seen: CanarySeen,
    ) -> Result<bool, ControlError> {
        let tenant_id = tenant_key(self.reader(), tenant).await?;
        let with_that_mark = || {
            canary::Entity::find()
                .filter(canary::Column::TenantId.eq(tenant_id))
                .filter(canary::Column::Digest.eq(digest.to_vec()))
        };
        let is_it = |known: &canary::Model| {
            known.sender.eq_ignore_ascii_case(sender)
                && known.recipient.eq_ignore_ascii_case(recipient.as_str())
                && known.item.as_ref().is_none_or(|item| *item == seen.item.0)
        };
        // Nobody who sends forged ones makes us wait for the one writer.
        if !with_that_mark().one(self.reader()).await?.is_some_and(|known| is_it(&known)) {
            return Ok(false);
        }
        let transaction = self.write().await?;
        let known = with_that_mark().one(&transaction).await?.filter(is_it);
        let Some(known) = known else { return Ok(false) };
        let row = canary::ActiveModel {
            id: Unchanged(known.id),
            seen: Set(known.seen.or(Some(micros(seen.at)))),
            mailbox: Set(Some(seen.mailbox.0)),
            item: Set(Some(seen.item.0)),
            inspected: Set(seen.inspected),
            ..Default::default()
        };
        canary::Entity::update(row).exec(&transaction).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// The newest canaries of a tenant, the newest first.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant is unknown.
    pub async fn canaries(
        &self,
        tenant: &TenantName,
        most: u64,
    ) -> Result<Vec<StoredCanary>, ControlError> {
        let tenant_id = tenant_key(self.reader(), tenant).await?;
        let rows = canary::Entity::find()
            .filter(canary::Column::TenantId.eq(tenant_id))
            .order_by_desc(canary::Column::Id)
            .limit(most)
            .all(self.reader())
            .await?;
        rows.into_iter().map(stored).collect()
    }

    /// One canary.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub async fn canary(&self, id: i64) -> Result<Option<StoredCanary>, ControlError> {
        canary::Entity::find_by_id(id).one(self.reader()).await?.map(stored).transpose()
    }

    /// The newest canary of a tenant that ended so.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant is unknown.
    pub async fn last_canary(
        &self,
        tenant: &TenantName,
        outcome: &str,
    ) -> Result<Option<StoredCanary>, ControlError> {
        let tenant_id = tenant_key(self.reader(), tenant).await?;
        canary::Entity::find()
            .filter(canary::Column::TenantId.eq(tenant_id))
            .filter(canary::Column::Outcome.eq(outcome))
            .order_by_desc(canary::Column::Id)
            .one(self.reader())
            .await?
            .map(stored)
            .transpose()
    }

    /// Which items of a mailbox are canaries.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant is unknown.
    pub async fn canary_items(
        &self,
        tenant: &TenantName,
        mailbox: &MailboxId,
    ) -> Result<HashSet<ItemId>, ControlError> {
        let tenant_id = tenant_key(self.reader(), tenant).await?;
        let items: Vec<Option<String>> = canary::Entity::find()
            .select_only()
            .column(canary::Column::Item)
            .filter(canary::Column::TenantId.eq(tenant_id))
            .filter(canary::Column::Mailbox.eq(mailbox.0.as_str()))
            .into_tuple()
            .all(self.reader())
            .await?;
        Ok(items.into_iter().flatten().map(ItemId).collect())
    }
}

fn stored(row: canary::Model) -> Result<StoredCanary, ControlError> {
    let address = |text: &str| {
        let corrupt = || ControlError::Corrupt(format!("canary {}: '{text}'", row.id));
        text.parse::<Address>().map_err(|_| corrupt())
    };
    let (sender, recipient) = (address(&row.sender)?, address(&row.recipient)?);
    let seen = match (row.seen, row.mailbox, row.item) {
        (Some(at), Some(mailbox), Some(item)) => Some(CanarySeen {
            mailbox: MailboxId(mailbox),
            item: ItemId(item),
            inspected: row.inspected,
            at: instant(at)?,
        }),
        _ => None,
    };
    let end = match (row.ended, row.outcome) {
        (Some(at), Some(outcome)) => {
            let note = row.note.unwrap_or_default();
            Some(CanaryEnd { outcome, note, at: instant(at)? })
        }
        _ => None,
    };
    Ok(StoredCanary {
        id: row.id,
        digest: row.digest,
        sender,
        recipient,
        begun: instant(row.begun)?,
        deadline: instant(row.deadline)?,
        sent: row.sent.map(instant).transpose()?,
        seen,
        to_be_removed: row.to_be_removed,
        removed: row.removed.map(instant).transpose()?,
        end,
    })
}
