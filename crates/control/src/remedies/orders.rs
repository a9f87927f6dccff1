//! Orders: given once, gone through until they are done, open for a while.

use std::collections::HashMap;

use mailkeep_model::{MailboxId, TenantName};
use sea_orm::{
    ActiveValue::{NotSet, Set, Unchanged},
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, OnConflict},
};
use time::OffsetDateTime;

use super::{
    NewRemedy, Ordered, OrderedBy, RemedyAction, RemedyId, RemedySubject, StoredRemedy, Unsearched,
    copies::release_copies, parts::messages_with,
};
use crate::{
    AuditEntry, Control, ControlError,
    audit::add_entry,
    convert::{from_json, instant, json, micros, short_text, text, variant},
    entity::{remedy, remedy_message, tenant},
    keys::{digest, pieces},
    tenants::{lock_tenant, tenant_key},
};

/// Bytes of a reason that are kept.
const WHY: usize = 2_000;

impl Control {
    /// Keeps an order, with its entry in the audit log. From then on it is carried out, whatever happens to
    /// us. The same order once more, while the first one is open, is that one, unless a person gives what a
    /// rule gave; a rule does not take what a person has put back since.
    ///
    /// An order to put back takes over all copies that are out of sight, and closes the orders that put
    /// them there.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant is unknown.
    pub async fn order_remedy(
        &self,
        tenant: &TenantName,
        new: NewRemedy,
        entry: AuditEntry,
    ) -> Result<Ordered, ControlError> {
        let transaction = self.write().await?;
        // Two processes may ask at once.
        let tenant_id = lock_tenant(&transaction, tenant).await?.id;
        let subject_key = subject_key(&new.subject);
        let now = micros(new.ordered);
        let same = remedy::Entity::find()
            .filter(remedy::Column::TenantId.eq(tenant_id))
            .filter(remedy::Column::SubjectKey.eq(subject_key.clone()))
            .order_by_desc(remedy::Column::Id)
            .all(&transaction)
            .await?;
        let covers = |known: &&remedy::Model| {
            known.mailbox.is_none()
                || known.mailbox.as_deref() == new.mailbox.as_ref().map(|mailbox| &*mailbox.0)
        };
        if let (OrderedBy::Rule(_), Some(last)) = (&new.by, same.iter().find(covers))
            && last.action == RemedyAction::Release.as_str()
            && last.by_kind == PERSON
        {
            return Ok(Ordered::Overruled(RemedyId(last.id)));
        }
        let is_open = |known: &&remedy::Model| {
            let is_open = known.searched.is_none() || known.open_until > now;
            // A person may take again what binds a rule: that needs an order of the person's own.
            let binds_less = matches!(new.by, OrderedBy::Person(_)) && known.by_kind != PERSON;
            let takes = known.action != RemedyAction::Release.as_str();
            takes && covers(known) && known.closed.is_none() && is_open && !binds_less
        };
        // What came in between counts: taken, put back, taken again are three orders.
        let last = same.first().filter(|known| known.action == new.action.as_str());
        if let Some(open) = last.filter(is_open) {
            let again = remedy::ActiveModel {
                id: Unchanged(open.id),
                next_search: Set(Some(now)),
                ..Default::default()
            };
            let id = RemedyId(open.id);
            remedy::Entity::update(again).exec(&transaction).await?;
            if !matches!(new.subject, RemedySubject::Message(_)) {
                let known = vec![open.id];
                let more = messages_with(&transaction, tenant_id, &new.subject, known).await?;
                about(&transaction, open.id, &more).await?;
            }
            // What a person does is told each time. A rule says the same of every copy.
            if matches!(new.by, OrderedBy::Person(_)) {
                add_entry(&transaction, entry).await?;
            }
            transaction.commit().await?;
            return Ok(Ordered::Again(id));
        }
        let (by_kind, by_name) = match &new.by {
            OrderedBy::Person(name) => (PERSON, name),
            OrderedBy::Rule(name) => (RULE, name),
        };
        let row = remedy::ActiveModel {
            id: NotSet,
            tenant_id: Set(tenant_id),
            subject_key: Set(subject_key),
            action: Set(new.action.as_str().to_owned()),
            subject_kind: Set(new.subject.kind().to_owned()),
            subject: Set(text(new.subject.text())),
            mailbox: Set(new.mailbox.as_ref().map(|mailbox| mailbox.0.clone())),
            by_kind: Set(by_kind.to_owned()),
            by_name: Set(text(by_name)),
            why: Set(short_text(&new.why, WHY)),
            ordered: Set(now),
            open_until: Set(micros(new.open_until)),
            closed: Set(None),
            searched: Set(None),
            next_search: Set(Some(now)),
            unsearched: Set(serde_json::Value::Array(Vec::new())),
        };
        let id = remedy::Entity::insert(row).exec(&transaction).await?.last_insert_id;
        let mut messages = match &new.subject {
            RemedySubject::Message(message_id) => vec![message_id.clone()],
            subject => {
                let known = same.iter().map(|known| known.id).collect();
                messages_with(&transaction, tenant_id, subject, known).await?
            }
        };
        // What an earlier order about the same was found to be about.
        messages.extend(messages_of(&transaction, same.iter().map(|known| known.id)).await?);
        about(&transaction, id, &messages).await?;
        if new.action == RemedyAction::Release {
            close_orders(&transaction, tenant_id, &new, now).await?;
            release_copies(&transaction, tenant_id, id, &messages, &new, now).await?;
        }
        add_entry(&transaction, entry).await?;
        transaction.commit().await?;
        Ok(Ordered::New(RemedyId(id)))
    }

    /// A tenant's newest orders, the newest first.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant is unknown.
    pub async fn remedies(
        &self,
        tenant: &TenantName,
        most: u64,
    ) -> Result<Vec<StoredRemedy>, ControlError> {
        let tenant_id = tenant_key(self.reader(), tenant).await?;
        let rows = remedy::Entity::find()
            .filter(remedy::Column::TenantId.eq(tenant_id))
            .order_by_desc(remedy::Column::Id)
            .limit(most)
            .all(self.reader())
            .await?;
        self.with_messages(rows).await
    }

    /// One order, with whose it is.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub async fn remedy(
        &self,
        id: RemedyId,
    ) -> Result<Option<(TenantName, StoredRemedy)>, ControlError> {
        let Some(row) = remedy::Entity::find_by_id(id.0).one(self.reader()).await? else {
            return Ok(None);
        };
        let of = tenant::Entity::find_by_id(row.tenant_id).one(self.reader()).await?;
        let Some(of) = of else { return Ok(None) };
        let name = tenant_name(&of.name)?;
        Ok(self.with_messages(vec![row]).await?.pop().map(|stored| (name, stored)))
    }

    /// A tenant's orders that mailboxes are to be looked through for now: those for which that was never
    /// done, then the others, of each the oldest first.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant is unknown.
    pub async fn remedies_due(
        &self,
        tenant: &TenantName,
        now: OffsetDateTime,
    ) -> Result<Vec<StoredRemedy>, ControlError> {
        let tenant_id = tenant_key(self.reader(), tenant).await?;
        let rows = remedy::Entity::find()
            .filter(remedy::Column::TenantId.eq(tenant_id))
            .filter(remedy::Column::NextSearch.lte(micros(now)))
            .order_by_desc(remedy::Column::Searched.is_null())
            .order_by_asc(remedy::Column::Id)
            .all(self.reader())
            .await?;
        self.with_messages(rows).await
    }

    /// A tenant's orders to take messages away that still apply to what comes.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant is unknown.
    pub async fn open_remedies(
        &self,
        tenant: &TenantName,
        now: OffsetDateTime,
    ) -> Result<Vec<StoredRemedy>, ControlError> {
        let tenant_id = tenant_key(self.reader(), tenant).await?;
        let rows = remedy::Entity::find()
            .filter(remedy::Column::TenantId.eq(tenant_id))
            .filter(is_open(now))
            .order_by_asc(remedy::Column::Id)
            .all(self.reader())
            .await?;
        self.with_messages(rows).await
    }

    /// Notes that all mailboxes were looked through for an order, but for some, and when that is done next.
    /// `began`: since when. What was ordered once more since then is done once more. With the first time
    /// begins for how long the order applies to what comes.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub async fn remedy_searched(
        &self,
        id: RemedyId,
        began: OffsetDateTime,
        unsearched: &[Unsearched],
        next: Option<OffsetDateTime>,
    ) -> Result<(), ControlError> {
        let mut change = remedy::ActiveModel {
            searched: Set(Some(micros(began))),
            unsearched: Set(json(&unsearched)?),
            next_search: Set(next.map(micros)),
            ..Default::default()
        };
        let transaction = self.write().await?;
        let known = remedy::Entity::find_by_id(id.0).one(&transaction).await?;
        if let Some(known) = known.filter(|known| known.searched.is_none()) {
            let open_for = known.open_until.saturating_sub(known.ordered);
            change.open_until = Set(micros(began).saturating_add(open_for));
        }
        remedy::Entity::update_many()
            .set(change)
            .filter(remedy::Column::Id.eq(id.0))
            .filter(remedy::Column::NextSearch.lte(micros(began)))
            .exec(&transaction)
            .await?;
        Ok(transaction.commit().await?)
    }

    /// Adds a message to those that an order is about. Tells whether it was not among them.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub async fn remedy_reaches(
        &self,
        id: RemedyId,
        message_id: &str,
        now: OffsetDateTime,
    ) -> Result<bool, ControlError> {
        let known = remedy_message::Entity::find()
            .filter(remedy_message::Column::RemedyId.eq(id.0))
            .filter(remedy_message::Column::Digest.eq(digest(&[message_id])))
            .one(self.reader())
            .await?;
        if known.is_some() {
            return Ok(false);
        }
        let transaction = self.write().await?;
        about(&transaction, id.0, &[message_id.to_owned()]).await?;
        let soon = remedy::ActiveModel {
            id: Unchanged(id.0),
            next_search: Set(Some(micros(now))),
            ..Default::default()
        };
        remedy::Entity::update(soon).exec(&transaction).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// The open orders to take messages that carry one of these, with the message that does.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant is unknown.
    pub async fn remedies_about_parts(
        &self,
        tenant: &TenantName,
        parts: &[(String, RemedySubject)],
        now: OffsetDateTime,
    ) -> Result<Vec<(RemedyId, String)>, ControlError> {
        let tenant_id = tenant_key(self.reader(), tenant).await?;
        let mut keys = HashMap::<Vec<u8>, Vec<&String>>::new();
        for (message_id, part) in parts {
            keys.entry(subject_key(part)).or_default().push(message_id);
        }
        let all: Vec<_> = keys.keys().cloned().collect();
        let mut open = Vec::new();
        for piece in pieces(&all) {
            open.extend(
                remedy::Entity::find()
                    .filter(remedy::Column::TenantId.eq(tenant_id))
                    .filter(remedy::Column::SubjectKey.is_in(piece.iter().cloned()))
                    .filter(is_open(now))
                    .all(self.reader())
                    .await?,
            );
        }
        let about = |row: &remedy::Model| {
            let messages = keys.get(&row.subject_key).into_iter().flatten();
            let id = RemedyId(row.id);
            messages.map(|message_id| (id, (*message_id).clone())).collect::<Vec<_>>()
        };
        Ok(open.iter().flat_map(about).collect())
    }

    async fn with_messages(
        &self,
        rows: Vec<remedy::Model>,
    ) -> Result<Vec<StoredRemedy>, ControlError> {
        let mut messages = HashMap::<i64, Vec<String>>::new();
        for rows in rows.chunks(100) {
            let found = remedy_message::Entity::find()
                .filter(remedy_message::Column::RemedyId.is_in(rows.iter().map(|row| row.id)))
                .order_by_asc(remedy_message::Column::Id)
                .all(self.reader())
                .await?;
            for row in found {
                messages.entry(row.remedy_id).or_default().push(row.message_id);
            }
        }
        let stored = |row: remedy::Model| {
            let messages = messages.remove(&row.id).unwrap_or_default();
            stored(row, messages)
        };
        rows.into_iter().map(stored).collect()
    }
}

pub(super) const PERSON: &str = "person";
pub(super) const RULE: &str = "rule";

/// Orders to take messages away that apply to what comes. A day counts from the first search on: what was
/// ordered while we were not running is not over before it began.
pub(super) fn is_open(now: OffsetDateTime) -> Condition {
    let not_over = Condition::any()
        .add(remedy::Column::Searched.is_null())
        .add(remedy::Column::OpenUntil.gt(micros(now)));
    Condition::all()
        .add(remedy::Column::Action.ne(RemedyAction::Release.as_str()))
        .add(remedy::Column::Closed.is_null())
        .add(not_over)
}

/// The same for whatever is ordered about the same messages.
fn subject_key(subject: &RemedySubject) -> Vec<u8> {
    digest(&[subject.kind(), subject.text()])
}

/// The messages that some orders are about.
async fn messages_of(
    connection: &impl ConnectionTrait,
    orders: impl Iterator<Item = i64>,
) -> Result<Vec<String>, ControlError> {
    Ok(remedy_message::Entity::find()
        .select_only()
        .column(remedy_message::Column::MessageId)
        .filter(remedy_message::Column::RemedyId.is_in(orders))
        .into_tuple()
        .all(connection)
        .await?)
}

/// Notes that an order is about these messages.
async fn about(
    connection: &impl ConnectionTrait,
    id: i64,
    messages: &[String],
) -> Result<(), ControlError> {
    for message_id in messages {
        let row = remedy_message::ActiveModel {
            id: NotSet,
            remedy_id: Set(id),
            digest: Set(digest(&[message_id])),
            message_id: Set(text(message_id)),
        };
        let columns = [remedy_message::Column::RemedyId, remedy_message::Column::Digest];
        remedy_message::Entity::insert(row)
            .on_conflict(OnConflict::columns(columns).do_nothing().to_owned())
            .exec_without_returning(connection)
            .await?;
    }
    Ok(())
}

/// Closes the orders to take what is put back: else they would take it again.
async fn close_orders(
    connection: &impl ConnectionTrait,
    tenant_id: i64,
    release: &NewRemedy,
    now: i64,
) -> Result<(), ControlError> {
    let mut close = remedy::Entity::update_many()
        .col_expr(remedy::Column::OpenUntil, Expr::value(now))
        .col_expr(remedy::Column::Closed, Expr::value(now))
        .col_expr(remedy::Column::NextSearch, Expr::value(Option::<i64>::None))
        .filter(remedy::Column::TenantId.eq(tenant_id))
        .filter(remedy::Column::SubjectKey.eq(subject_key(&release.subject)))
        .filter(remedy::Column::Closed.is_null())
        .filter(remedy::Column::Action.ne(RemedyAction::Release.as_str()));
    // What is put back in one mailbox stays taken in others.
    if let Some(mailbox) = &release.mailbox {
        close = close.filter(remedy::Column::Mailbox.eq(mailbox.0.as_str()));
    }
    close.exec(connection).await?;
    Ok(())
}

fn stored(row: remedy::Model, messages: Vec<String>) -> Result<StoredRemedy, ControlError> {
    let subject = match row.subject_kind.as_str() {
        "message-id" => RemedySubject::Message(row.subject),
        "sha256" => RemedySubject::Attachment(row.subject),
        "link" => RemedySubject::Link(row.subject),
        other => return Err(ControlError::Corrupt(format!("no order is about a '{other}'"))),
    };
    let by = match row.by_kind.as_str() {
        PERSON => OrderedBy::Person(row.by_name),
        RULE => OrderedBy::Rule(row.by_name),
        other => return Err(ControlError::Corrupt(format!("'{other}' gives no orders"))),
    };
    let unsearched: Vec<Unsearched> = from_json(row.unsearched)?;
    Ok(StoredRemedy {
        id: RemedyId(row.id),
        order: NewRemedy {
            action: variant(row.action)?,
            subject,
            mailbox: row.mailbox.map(MailboxId),
            by,
            why: row.why,
            ordered: instant(row.ordered)?,
            open_until: instant(row.open_until)?,
        },
        messages,
        searched: row.searched.map(instant).transpose()?,
        next_search: row.next_search.map(instant).transpose()?,
        unsearched,
    })
}

fn tenant_name(name: &str) -> Result<TenantName, ControlError> {
    name.parse().map_err(|_| ControlError::Corrupt(format!("'{name}' is no name of a tenant")))
}
