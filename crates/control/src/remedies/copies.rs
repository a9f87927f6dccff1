//! Copies: where each lay, where it is, and what is still to be done.

use std::collections::BTreeMap;

use mailkeep_model::{FolderId, ItemId, Mailbox, MailboxId, TenantName};
use sea_orm::{
    ActiveValue::{NotSet, Set, Unchanged},
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, OnConflict},
};
use time::OffsetDateTime;

use super::{
    CopyState, CopyStep, FoundCopy, NewRemedy, RemedyAction, RemedyId, StoredCopy,
    orders::{PERSON, RULE, is_open},
};
use crate::{
    Control, ControlError,
    convert::{instant, micros, short_text, text, variant, variant_name},
    entity::{remedy, remedy_copy, remedy_message, remedy_reach, tenant},
    keys::digest,
    tenants::{lock_tenant, tenant_key},
};

/// Bytes of what is noted of a copy.
const NOTE: usize = 1_000;

impl Control {
    /// Notes copies that an order found, before anything is done with them: from then on it is known where
    /// they lay. A copy that is known stays as it was found first, unless it came back into its owner's
    /// sight since. Left alone are copies in mailboxes that the order does not reach, what was put back after
    /// the order was given, and by a rule what a person put back. Gives how many are to be acted on.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant or the order is unknown.
    pub async fn remedy_found(
        &self,
        tenant: &TenantName,
        remedy: RemedyId,
        found: &[FoundCopy],
        now: OffsetDateTime,
    ) -> Result<usize, ControlError> {
        let transaction = self.write().await?;
        let tenant_id = lock_tenant(&transaction, tenant).await?.id;
        let unknown = || ControlError::NotFound { what: format!("remedy {remedy}") };
        let order =
            remedy::Entity::find_by_id(remedy.0).one(&transaction).await?.ok_or_else(unknown)?;
        let mut to_do = 0;
        // What it took may have been put back since it was looked for.
        if order.closed.is_none() {
            for copy in found {
                to_do += usize::from(note(&transaction, tenant_id, &order, copy, now).await?);
            }
        }
        transaction.commit().await?;
        Ok(to_do)
    }

    /// A tenant's copies that something is to be done about now, who waits longest first.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant is unknown.
    pub async fn copies_due(
        &self,
        tenant: &TenantName,
        now: OffsetDateTime,
        most: u64,
    ) -> Result<Vec<StoredCopy>, ControlError> {
        let tenant_id = tenant_key(self.reader(), tenant).await?;
        let rows = remedy_copy::Entity::find()
            .filter(remedy_copy::Column::TenantId.eq(tenant_id))
            .filter(remedy_copy::Column::Due.lte(micros(now)))
            .order_by_asc(remedy_copy::Column::Due)
            .order_by_asc(remedy_copy::Column::Id)
            .limit(most)
            .all(self.reader())
            .await?;
        rows.into_iter().map(stored).collect()
    }

    /// Notes what became of copies, in one transaction. A copy that is wanted to be elsewhere since then
    /// is due at once.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub async fn copies_stepped(
        &self,
        steps: Vec<(StoredCopy, CopyStep)>,
        now: OffsetDateTime,
        purge_after: time::Duration,
    ) -> Result<(), ControlError> {
        let transaction = self.write().await?;
        for (before, step) in steps {
            let row = remedy_copy::Entity::find_by_id(before.id).one(&transaction).await?;
            let Some(row) = row else { continue };
            let wanted: CopyState = variant(row.wanted.clone())?;
            let changed = wanted != before.wanted;
            let mut change =
                remedy_copy::ActiveModel { id: Unchanged(row.id), ..Default::default() };
            match step {
                CopyStep::Settled { state, note } => {
                    let is_done = !changed || state == wanted;
                    change.state = Set(variant_name(&state));
                    change.note = Set(note.map(|note| short_text(&note, NOTE)));
                    change.changed = Set(micros(now));
                    change.tries = Set(0);
                    let purge_at = (state == CopyState::Removed).then(|| {
                        row.purge_at.unwrap_or_else(|| micros(now.saturating_add(purge_after)))
                    });
                    change.purge_at = Set(purge_at);
                    change.due = Set(if is_done { purge_at } else { Some(micros(now)) });
                }
                CopyStep::Found { folder, marks, seen } => {
                    change.folder = Set(folder.0);
                    change.marks = Set(marks);
                    change.seen = Set(micros(seen));
                    change.due = Set(Some(micros(now)));
                }
                CopyStep::Postponed { note, until } => {
                    change.note = Set(Some(short_text(&note, NOTE)));
                    change.tries = Set(row.tries.saturating_add(1));
                    change.due = Set(Some(if changed { micros(now) } else { micros(until) }));
                }
            }
            remedy_copy::Entity::update(change).exec(&transaction).await?;
        }
        Ok(transaction.commit().await?)
    }

    /// The copies that an order is about, by the address of their mailbox.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub async fn remedy_copies(&self, id: RemedyId) -> Result<Vec<StoredCopy>, ControlError> {
        let reached = sea_orm::sea_query::Query::select()
            .column(remedy_reach::Column::CopyId)
            .from(remedy_reach::Entity)
            .and_where(remedy_reach::Column::RemedyId.eq(id.0))
            .take();
        let rows = remedy_copy::Entity::find()
            .filter(remedy_copy::Column::Id.in_subquery(reached))
            .order_by_asc(remedy_copy::Column::Address)
            .order_by_asc(remedy_copy::Column::Id)
            .all(self.reader())
            .await?;
        rows.into_iter().map(stored).collect()
    }

    /// The copies of some messages that are out of their owners' sight, by the address of their mailbox.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant is unknown.
    pub async fn copies_taken(
        &self,
        tenant: &TenantName,
        message_ids: &[String],
    ) -> Result<Vec<StoredCopy>, ControlError> {
        let tenant_id = tenant_key(self.reader(), tenant).await?;
        let taken = [CopyState::Quarantined, CopyState::Removed];
        let digests = message_ids.iter().map(|message_id| digest(&[message_id]));
        let rows = remedy_copy::Entity::find()
            .filter(remedy_copy::Column::TenantId.eq(tenant_id))
            .filter(remedy_copy::Column::MessageDigest.is_in(digests))
            .filter(remedy_copy::Column::State.is_in(taken.iter().map(variant_name)))
            .order_by_asc(remedy_copy::Column::Address)
            .all(self.reader())
            .await?;
        rows.into_iter().map(stored).collect()
    }

    /// The tenants that have something to be done now for an order.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub async fn remedy_work(&self, now: OffsetDateTime) -> Result<Vec<TenantName>, ControlError> {
        let now = micros(now);
        let searches: Vec<i64> = remedy::Entity::find()
            .select_only()
            .column(remedy::Column::TenantId)
            .distinct()
            .filter(remedy::Column::NextSearch.lte(now))
            .into_tuple()
            .all(self.reader())
            .await?;
        let copies: Vec<i64> = remedy_copy::Entity::find()
            .select_only()
            .column(remedy_copy::Column::TenantId)
            .distinct()
            .filter(remedy_copy::Column::Due.lte(now))
            .into_tuple()
            .all(self.reader())
            .await?;
        let ids = searches.into_iter().chain(copies);
        let mut names: Vec<TenantName> = Vec::new();
        for row in
            tenant::Entity::find().filter(tenant::Column::Id.is_in(ids)).all(self.reader()).await?
        {
            let corrupt = |_| ControlError::Corrupt(format!("'{}' is no tenant", row.name));
            names.push(row.name.parse().map_err(corrupt)?);
        }
        names.sort();
        Ok(names)
    }

    /// The open orders to take messages with these `Message-ID`s out of a mailbox, one a message at most:
    /// the newest.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant is unknown.
    pub async fn remedies_about(
        &self,
        tenant: &TenantName,
        mailbox: &MailboxId,
        message_ids: &[&str],
        now: OffsetDateTime,
    ) -> Result<BTreeMap<String, RemedyId>, ControlError> {
        let tenant_id = tenant_key(self.reader(), tenant).await?;
        let open: Vec<i64> = remedy::Entity::find()
            .select_only()
            .column(remedy::Column::Id)
            .filter(remedy::Column::TenantId.eq(tenant_id))
            .filter(is_open(now))
            .filter(
                Condition::any()
                    .add(remedy::Column::Mailbox.is_null())
                    .add(remedy::Column::Mailbox.eq(mailbox.0.as_str())),
            )
            .into_tuple()
            .all(self.reader())
            .await?;
        let mut about = BTreeMap::new();
        // Nearly always: nothing was ordered lately.
        if open.is_empty() {
            return Ok(about);
        }
        let digests = message_ids.iter().map(|message_id| digest(&[message_id]));
        let rows = remedy_message::Entity::find()
            .filter(remedy_message::Column::RemedyId.is_in(open))
            .filter(remedy_message::Column::Digest.is_in(digests))
            .order_by_asc(remedy_message::Column::RemedyId)
            .all(self.reader())
            .await?;
        about.extend(rows.into_iter().map(|row| (row.message_id, RemedyId(row.remedy_id))));
        Ok(about)
    }
}

/// Notes one copy; tells whether something is to be done with it.
async fn note(
    connection: &impl ConnectionTrait,
    tenant_id: i64,
    order: &remedy::Model,
    copy: &FoundCopy,
    now: OffsetDateTime,
) -> Result<bool, ControlError> {
    if order.mailbox.as_deref().is_some_and(|only| only != copy.mailbox.id.0) {
        return Ok(false);
    }
    let wanted = wanted(variant(order.action.clone())?);
    let key = digest(&[&copy.mailbox.id.0, &copy.item.0]);
    let known = remedy_copy::Entity::find()
        .filter(remedy_copy::Column::TenantId.eq(tenant_id))
        .filter(remedy_copy::Column::Digest.eq(key.clone()))
        .one(connection)
        .await?;
    let Some(known) = known else {
        let row = remedy_copy::ActiveModel {
            id: NotSet,
            tenant_id: Set(tenant_id),
            digest: Set(key),
            mailbox: Set(copy.mailbox.id.0.clone()),
            address: Set(copy.mailbox.address.to_string()),
            item: Set(copy.item.0.clone()),
            message_digest: Set(digest(&[&copy.message_id])),
            message_id: Set(text(&copy.message_id)),
            folder: Set(copy.folder.0.clone()),
            marks: Set(copy.marks.clone()),
            state: Set(variant_name(&copy.state)),
            wanted: Set(variant_name(&wanted)),
            wanted_by: Set(order.id),
            note: Set(None),
            found: Set(micros(now)),
            seen: Set(micros(copy.seen)),
            changed: Set(micros(now)),
            tries: Set(0),
            due: Set(Some(micros(now))),
            purge_at: Set(None),
        };
        let id = remedy_copy::Entity::insert(row).exec(connection).await?.last_insert_id;
        reach(connection, order.id, id).await?;
        return Ok(true);
    };
    reach(connection, order.id, known.id).await?;
    let put_back = remedy::Entity::find_by_id(known.wanted_by)
        .filter(remedy::Column::Action.eq(RemedyAction::Release.as_str()))
        .one(connection)
        .await?;
    if let Some(back) = &put_back {
        // Orders are compared with orders: when a copy was back says nothing about which came last.
        let is_older = order.id < back.id;
        if is_older || (order.by_kind == RULE && back.by_kind == PERSON) {
            return Ok(false);
        }
    }
    let state: CopyState = variant(known.state.clone())?;
    let before: CopyState = variant(known.wanted.clone())?;
    let is_newer = micros(copy.seen) > known.changed;
    let mut change = remedy_copy::ActiveModel { id: Unchanged(known.id), ..Default::default() };
    match state {
        CopyState::Purged => return Ok(false),
        // It was in its owner's sight, or is about to be, or somebody got it out.
        CopyState::Released | CopyState::Gone | CopyState::Failed => {
            change = anew(change, copy, is_newer, now);
        }
        _ if put_back.is_some() => change = anew(change, copy, is_newer, now),
        CopyState::Quarantined | CopyState::Removed
            if copy.state == CopyState::Found && is_newer =>
        {
            change = anew(change, copy, is_newer, now);
        }
        // What was removed is not kept the longer for being quarantined, too.
        _ if before == wanted || before == CopyState::Removed => return Ok(false),
        _ => {}
    }
    change.wanted = Set(variant_name(&wanted));
    change.wanted_by = Set(order.id);
    change.tries = Set(0);
    change.due = Set(Some(micros(now)));
    remedy_copy::Entity::update(change).exec(connection).await?;
    Ok(true)
}

/// What is known of a copy begins anew: it is to be taken, wherever it is by now. Where it lay and with which
/// marks is replaced by what is known better; in the quarantine it never lay.
fn anew(
    change: remedy_copy::ActiveModel,
    copy: &FoundCopy,
    is_newer: bool,
    now: OffsetDateTime,
) -> remedy_copy::ActiveModel {
    let mut change = remedy_copy::ActiveModel {
        state: Set(variant_name(&CopyState::Found)),
        note: Set(None),
        found: Set(micros(now)),
        seen: Set(0),
        changed: Set(micros(now)),
        purge_at: Set(None),
        ..change
    };
    if is_newer && copy.state == CopyState::Found {
        change.folder = Set(copy.folder.0.clone());
        change.marks = Set(copy.marks.clone());
        change.seen = Set(micros(copy.seen));
    }
    change
}

/// Lets an order take over all copies of some messages that are out of sight, or about to be.
pub(super) async fn release_copies(
    connection: &impl ConnectionTrait,
    tenant_id: i64,
    remedy: i64,
    messages: &[String],
    order: &NewRemedy,
    now: i64,
) -> Result<(), ControlError> {
    let in_sight = [CopyState::Released, CopyState::Purged, CopyState::Gone];
    let to_be_taken = [CopyState::Quarantined, CopyState::Removed];
    let out_of_sight = Condition::any()
        .add(remedy_copy::Column::State.is_not_in(in_sight.iter().map(variant_name)))
        .add(
            Condition::all()
                .add(remedy_copy::Column::Wanted.is_in(to_be_taken.iter().map(variant_name)))
                .add(remedy_copy::Column::Due.is_not_null()),
        );
    let mut find = remedy_copy::Entity::find()
        .filter(remedy_copy::Column::TenantId.eq(tenant_id))
        .filter(remedy_copy::Column::MessageDigest.is_in(messages.iter().map(|one| digest(&[one]))))
        .filter(out_of_sight);
    if let Some(MailboxId(mailbox)) = &order.mailbox {
        find = find.filter(remedy_copy::Column::Mailbox.eq(mailbox.as_str()));
    }
    for copy in find.all(connection).await? {
        reach(connection, remedy, copy.id).await?;
        remedy_copy::Entity::update_many()
            .col_expr(remedy_copy::Column::Wanted, Expr::value(variant_name(&CopyState::Released)))
            .col_expr(remedy_copy::Column::WantedBy, Expr::value(remedy))
            .col_expr(remedy_copy::Column::Tries, Expr::value(0))
            .col_expr(remedy_copy::Column::Due, Expr::value(now))
            .col_expr(remedy_copy::Column::Changed, Expr::value(now))
            // Ordered once more, the days begin once more.
            .col_expr(remedy_copy::Column::PurgeAt, Expr::value(Option::<i64>::None))
            .filter(remedy_copy::Column::Id.eq(copy.id))
            .exec(connection)
            .await?;
    }
    Ok(())
}

async fn reach(
    connection: &impl ConnectionTrait,
    remedy: i64,
    copy: i64,
) -> Result<(), ControlError> {
    let row = remedy_reach::ActiveModel { remedy_id: Set(remedy), copy_id: Set(copy) };
    let columns = [remedy_reach::Column::RemedyId, remedy_reach::Column::CopyId];
    remedy_reach::Entity::insert(row)
        .on_conflict(OnConflict::columns(columns).do_nothing().to_owned())
        .exec_without_returning(connection)
        .await?;
    Ok(())
}

/// Where an order wants a copy to be.
fn wanted(action: RemedyAction) -> CopyState {
    match action {
        RemedyAction::Quarantine => CopyState::Quarantined,
        RemedyAction::Remove => CopyState::Removed,
        RemedyAction::Release => CopyState::Released,
    }
}

fn stored(row: remedy_copy::Model) -> Result<StoredCopy, ControlError> {
    let corrupt = |_| ControlError::Corrupt(format!("copy {}: '{}'", row.id, row.address));
    let address = row.address.parse().map_err(corrupt)?;
    let mailbox = Mailbox { id: MailboxId(row.mailbox), address, display_name: String::new() };
    let state = variant(row.state)?;
    Ok(StoredCopy {
        id: row.id,
        found: FoundCopy {
            mailbox,
            item: ItemId(row.item),
            message_id: row.message_id,
            folder: FolderId(row.folder),
            marks: row.marks,
            state,
            seen: instant(row.seen)?,
        },
        wanted: variant(row.wanted)?,
        note: row.note,
        found_at: instant(row.found)?,
        changed: instant(row.changed)?,
        tries: u32::try_from(row.tries).unwrap_or(0),
        due: row.due.map(instant).transpose()?,
        purge_at: row.purge_at.map(instant).transpose()?,
    })
}
