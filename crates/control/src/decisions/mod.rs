//! What the policy said of messages.

mod waiting;

use std::collections::{BTreeSet, HashMap};

use mailkeep_model::{ItemId, MailboxId, TenantName};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::Expr,
};
use serde_json::Value;
use time::{Duration, OffsetDateTime};

use crate::{
    Control, ControlError,
    convert::{instant, micros, short_text, text},
    entity::{decision, tenant},
    keys::digest,
    mailboxes::{mailbox_key, mailbox_names},
    tenants::tenant_key,
};

/// Bytes of a sender's address that are kept.
const SENDER: usize = 320;

/// What the policy says of a message in a mailbox. `service` knows the words.
#[derive(Clone, Debug, PartialEq)]
pub struct NewDecision {
    /// The item.
    pub item: ItemId,
    /// Names the content that was decided on.
    pub content_key: String,
    /// `Message-ID` header, with its angle brackets.
    pub message_id: Option<String>,
    /// Who sent it.
    pub sender: String,
    /// The strictest action, in one word.
    pub action: String,
    /// Whether anything follows from it.
    pub acted: bool,
    /// Why nothing does.
    pub spared: Option<String>,
    /// The rules that apply, for people.
    pub rules: Value,
    /// What people are told of as one: decisions of one name, each within a time of the last.
    pub told_as: Option<String>,
    /// When the message arrived in the mailbox.
    pub received: OffsetDateTime,
}

/// What the policy said of a message, as recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredDecision {
    /// Its number.
    pub id: i64,
    /// Whose.
    pub tenant: TenantName,
    /// The mailbox.
    pub mailbox: MailboxId,
    /// The item.
    pub item: ItemId,
    /// `Message-ID` header, with its angle brackets.
    pub message_id: Option<String>,
    /// Who sent it.
    pub sender: String,
    /// The strictest action, in one word.
    pub action: String,
    /// Whether anything follows from it.
    pub acted: bool,
    /// Why nothing does.
    pub spared: Option<String>,
    /// The rules that apply.
    pub rules: Value,
    /// When the message arrived in the mailbox.
    pub received: OffsetDateTime,
    /// When it was decided.
    pub decided: OffsetDateTime,
    /// What people are told of as one; `None`: nobody is told.
    pub told_as: Option<String>,
    /// The first decision of those that are told as one.
    pub episode: Option<i64>,
    /// The remedy that was ordered.
    pub remedy: Option<String>,
}

/// Which decisions to read; what is not set lets all through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DecisionFilter {
    /// Those made at or after this moment.
    pub since: Option<OffsetDateTime>,
    /// Those on messages with this `Message-ID`, with its angle brackets.
    pub message_id: Option<String>,
    /// The newest ones, up to this number.
    pub limit: Option<u64>,
}

impl Control {
    /// Records what the policy says of messages in a mailbox, in one transaction. A decision on the
    /// same item and content replaces the one before it; the remedy that was ordered then stays
    /// ordered. Decisions of one `told_as` that follow each other within `episode` are told as one.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant or the mailbox is unknown.
    pub async fn record_decisions(
        &self,
        tenant: &TenantName,
        mailbox: &MailboxId,
        decisions: Vec<NewDecision>,
        episode: Duration,
        now: OffsetDateTime,
    ) -> Result<Vec<StoredDecision>, ControlError> {
        let transaction = self.write().await?;
        let mailbox_id = mailbox_key(&transaction, tenant, mailbox).await?;
        let tenant_id = tenant_key(&transaction, tenant).await?;
        let mut stored = Vec::new();
        for new in decisions {
            let key = digest(&[&new.item.0, &new.content_key]);
            let before = decision::Entity::find()
                .filter(decision::Column::MailboxId.eq(mailbox_id))
                .filter(decision::Column::Digest.eq(key.clone()))
                .one(&transaction)
                .await?;
            if let Some(before) = &before {
                decision::Entity::delete_by_id(before.id).exec(&transaction).await?;
            }
            let of = match &new.told_as {
                Some(name) => open_episode(&transaction, tenant_id, name, now - episode).await?,
                None => None,
            };
            let message = message_key(new.message_id.as_deref(), mailbox, &new.item);
            let row = decision::ActiveModel {
                id: NotSet,
                tenant_id: Set(tenant_id),
                mailbox_id: Set(mailbox_id),
                item: Set(new.item.0.clone()),
                digest: Set(key),
                message: Set(message),
                message_id: Set(new.message_id.as_deref().map(text)),
                sender: Set(short_text(&new.sender, SENDER)),
                action: Set(new.action.clone()),
                acted: Set(new.acted),
                spared: Set(new.spared.as_deref().map(text)),
                rules: Set(new.rules.clone()),
                received: Set(micros(new.received)),
                decided: Set(micros(now)),
                told_as: Set(new.told_as.clone()),
                episode: Set(of),
                remedy: Set(before.and_then(|before| before.remedy)),
            };
            let mut row = decision::Entity::insert(row).exec_with_returning(&transaction).await?;
            if new.told_as.is_some() && of.is_none() {
                row.episode = Some(row.id);
                decision::Entity::update_many()
                    .col_expr(decision::Column::Episode, Expr::value(row.id))
                    .filter(decision::Column::Id.eq(row.id))
                    .exec(&transaction)
                    .await?;
            }
            stored.push(from_row(row, tenant.clone(), mailbox.clone())?);
        }
        transaction.commit().await?;
        Ok(stored)
    }

    /// Decisions that a filter lets through, the newest first.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant is unknown.
    pub async fn decisions(
        &self,
        tenant: &TenantName,
        filter: &DecisionFilter,
    ) -> Result<Vec<StoredDecision>, ControlError> {
        let transaction = self.read().await?;
        let tenant_id = tenant_key(&transaction, tenant).await?;
        let mut find = decision::Entity::find().filter(decision::Column::TenantId.eq(tenant_id));
        if let Some(since) = filter.since {
            find = find.filter(decision::Column::Decided.gte(micros(since)));
        }
        if let Some(message_id) = &filter.message_id {
            find = find.filter(decision::Column::MessageId.eq(message_id.as_str()));
        }
        let rows =
            find.order_by_desc(decision::Column::Id).limit(filter.limit).all(&transaction).await?;
        named(&transaction, tenant_id, tenant, rows).await
    }

    /// Decisions that people are told of, of all tenants, of episodes in which one was made at or
    /// after that moment; the oldest first.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub async fn told_decisions(
        &self,
        since: OffsetDateTime,
    ) -> Result<Vec<StoredDecision>, ControlError> {
        let transaction = self.read().await?;
        let open: Vec<i64> = decision::Entity::find()
            .select_only()
            .column(decision::Column::Episode)
            .filter(decision::Column::Episode.is_not_null())
            .filter(decision::Column::Decided.gte(micros(since)))
            .group_by(decision::Column::Episode)
            .into_tuple::<Option<i64>>()
            .all(&transaction)
            .await?
            .into_iter()
            .flatten()
            .collect();
        episodes(&transaction, &open).await
    }

    /// The decisions of one episode, the oldest first.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub async fn episode(&self, id: i64) -> Result<Vec<StoredDecision>, ControlError> {
        let transaction = self.read().await?;
        episodes(&transaction, &[id]).await
    }
}

/// Decisions of one episode that are read: who is told of more than that looks at the list.
const OF_EPISODE: u64 = 1_000;

async fn episodes(
    connection: &impl ConnectionTrait,
    ids: &[i64],
) -> Result<Vec<StoredDecision>, ControlError> {
    let mut stored = Vec::new();
    for id in ids {
        let rows = decision::Entity::find()
            .filter(decision::Column::Episode.eq(*id))
            .order_by_asc(decision::Column::Id)
            .limit(OF_EPISODE)
            .all(connection)
            .await?;
        stored.extend(of_tenants(connection, rows).await?);
    }
    Ok(stored)
}

fn tenant_name(row: &tenant::Model) -> Result<TenantName, ControlError> {
    let corrupt = |_| ControlError::Corrupt(format!("'{}' is no name of a tenant", row.name));
    row.name.parse().map_err(corrupt)
}

/// Rows with the names of their tenants, in their order.
async fn of_tenants(
    connection: &impl ConnectionTrait,
    rows: Vec<decision::Model>,
) -> Result<Vec<StoredDecision>, ControlError> {
    let ids: BTreeSet<i64> = rows.iter().map(|row| row.tenant_id).collect();
    let mut stored = Vec::new();
    for id in ids {
        // One that was removed meanwhile is left out.
        let of = tenant::Entity::find_by_id(id).one(connection).await?;
        let Some(of) = of else { continue };
        let name = tenant_name(&of)?;
        let of_tenant = rows.iter().filter(|row| row.tenant_id == id).cloned().collect();
        stored.extend(named(connection, id, &name, of_tenant).await?);
    }
    stored.sort_by_key(|one| one.id);
    Ok(stored)
}

/// The episode of that name in which something was decided at or after that moment.
async fn open_episode(
    connection: &impl ConnectionTrait,
    tenant_id: i64,
    name: &str,
    since: OffsetDateTime,
) -> Result<Option<i64>, ControlError> {
    let row = decision::Entity::find()
        .filter(decision::Column::TenantId.eq(tenant_id))
        .filter(decision::Column::Decided.gte(micros(since)))
        .filter(decision::Column::ToldAs.eq(name))
        .order_by_desc(decision::Column::Id)
        .one(connection)
        .await?;
    Ok(row.and_then(|row| row.episode))
}

/// 16 bytes that stand for a message in whatever mailboxes it is; one without an id is itself alone.
fn message_key(message_id: Option<&str>, mailbox: &MailboxId, item: &ItemId) -> Vec<u8> {
    match message_id {
        Some(id) => digest(&["message", id]),
        None => digest(&["item", &mailbox.0, &item.0]),
    }
}

async fn named(
    connection: &impl ConnectionTrait,
    tenant_id: i64,
    tenant: &TenantName,
    rows: Vec<decision::Model>,
) -> Result<Vec<StoredDecision>, ControlError> {
    let names: HashMap<i64, MailboxId> = mailbox_names(connection, tenant_id).await?;
    rows.into_iter()
        .filter_map(|row| {
            let mailbox = names.get(&row.mailbox_id)?.clone();
            Some(from_row(row, tenant.clone(), mailbox))
        })
        .collect()
}

fn from_row(
    row: decision::Model,
    tenant: TenantName,
    mailbox: MailboxId,
) -> Result<StoredDecision, ControlError> {
    Ok(StoredDecision {
        id: row.id,
        tenant,
        mailbox,
        item: ItemId(row.item),
        message_id: row.message_id,
        sender: row.sender,
        action: row.action,
        acted: row.acted,
        spared: row.spared,
        rules: row.rules,
        received: instant(row.received)?,
        decided: instant(row.decided)?,
        told_as: row.told_as,
        episode: row.episode,
        remedy: row.remedy,
    })
}
