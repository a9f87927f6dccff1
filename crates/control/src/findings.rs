//! Reading what the inspector found.

use std::collections::{BTreeMap, HashMap};

use mailkeep_model::{Category, Finding, ItemId, MailboxId, TenantName, Verdict, VerdictKind};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select,
    sea_query::{Query, SelectStatement},
};
use time::OffsetDateTime;

use crate::{
    Control, ControlError,
    convert::{from_json, instant, micros, unsigned, variant},
    entity::{finding, mailbox, verdict},
    keys::pieces,
    mailboxes::{find_mailbox, mailbox_names},
    tenants::tenant_key,
    verdicts::{rank, verdict_kind},
};

/// Which verdicts to read; what is not set lets all through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FindingFilter {
    /// The one with this number.
    pub id: Option<i64>,
    /// Those on items of this mailbox.
    pub mailbox: Option<MailboxId>,
    /// Those that are at least this bad.
    pub at_least: Option<VerdictKind>,
    /// Those with a finding of this detector.
    pub detector: Option<String>,
    /// Those on messages with this `Message-ID`, with its angle brackets.
    pub message_id: Option<String>,
    /// Those made at or after this moment.
    pub since: Option<OffsetDateTime>,
    /// The newest ones, up to this number.
    pub limit: Option<u64>,
}

/// A verdict, as recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedVerdict {
    /// Names the verdict; inspecting the item again gives it another number.
    pub id: i64,
    /// The mailbox.
    pub mailbox: MailboxId,
    /// The item.
    pub item: ItemId,
    /// Names the content that was inspected.
    pub content_key: String,
    /// `Message-ID` header, with its angle brackets.
    pub message_id: Option<String>,
    /// The verdict.
    pub verdict: Verdict,
    /// When it was made.
    pub inspected: OffsetDateTime,
}

/// Findings in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FindingCounts {
    /// Findings of each detector.
    pub by_detector: BTreeMap<String, u64>,
    /// Findings of each category.
    pub by_category: HashMap<Category, u64>,
    /// Items by verdict, of those that have findings or were not inspected as a whole.
    pub by_verdict: BTreeMap<VerdictKind, u64>,
}

impl Control {
    /// The verdicts that a filter lets through, the newest first, with all their findings.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant or the mailbox is unknown.
    pub async fn findings(
        &self,
        tenant: &TenantName,
        filter: &FindingFilter,
    ) -> Result<Vec<RecordedVerdict>, ControlError> {
        let transaction = self.read().await?;
        let tenant_id = tenant_key(&transaction, tenant).await?;
        let names = mailbox_names(&transaction, tenant_id).await?;
        let mut find = match &filter.mailbox {
            Some(mailbox) => {
                let id = find_mailbox(&transaction, tenant_id, mailbox).await?.id;
                verdict::Entity::find().filter(verdict::Column::MailboxId.eq(id))
            }
            None => verdict::Entity::find()
                .filter(verdict::Column::MailboxId.in_subquery(mailboxes_of(tenant_id))),
        };
        find = narrowed(find, filter);
        let rows =
            find.order_by_desc(verdict::Column::Id).limit(filter.limit).all(&transaction).await?;
        let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
        let mut findings = findings_of(&transaction, &ids).await?;
        rows.into_iter()
            .filter_map(|row| {
                let mailbox = names.get(&row.mailbox_id)?.clone();
                let findings = findings.remove(&row.id).unwrap_or_default();
                Some(from_row(row, mailbox, findings))
            })
            .collect()
    }

    /// A tenant's findings in numbers.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant is unknown.
    pub async fn finding_counts(&self, tenant: &TenantName) -> Result<FindingCounts, ControlError> {
        let transaction = self.read().await?;
        let tenant_id = tenant_key(&transaction, tenant).await?;
        let verdicts = Query::select()
            .column(verdict::Column::Id)
            .from(verdict::Entity)
            .and_where(verdict::Column::MailboxId.in_subquery(mailboxes_of(tenant_id)))
            .take();
        let rows: Vec<(String, String, i64)> = finding::Entity::find()
            .select_only()
            .columns([finding::Column::Detector, finding::Column::Category])
            .column_as(finding::Column::Position.count(), "findings")
            .filter(finding::Column::VerdictId.in_subquery(verdicts))
            .group_by(finding::Column::Detector)
            .group_by(finding::Column::Category)
            .into_tuple()
            .all(&transaction)
            .await?;
        let mut counts = FindingCounts::default();
        for (detector, category, findings) in rows {
            *counts.by_detector.entry(detector).or_default() += unsigned(findings);
            *counts.by_category.entry(variant(category)?).or_default() += unsigned(findings);
        }
        let rows: Vec<(i16, i64)> = verdict::Entity::find()
            .select_only()
            .column(verdict::Column::Verdict)
            .column_as(verdict::Column::Id.count(), "verdicts")
            .filter(verdict::Column::MailboxId.in_subquery(mailboxes_of(tenant_id)))
            .group_by(verdict::Column::Verdict)
            .into_tuple()
            .all(&transaction)
            .await?;
        for (verdict, verdicts) in rows {
            counts.by_verdict.insert(verdict_kind(verdict)?, unsigned(verdicts));
        }
        Ok(counts)
    }
}

fn mailboxes_of(tenant_id: i64) -> SelectStatement {
    Query::select()
        .column(mailbox::Column::Id)
        .from(mailbox::Entity)
        .and_where(mailbox::Column::TenantId.eq(tenant_id))
        .take()
}

fn narrowed(mut find: Select<verdict::Entity>, filter: &FindingFilter) -> Select<verdict::Entity> {
    if let Some(id) = filter.id {
        find = find.filter(verdict::Column::Id.eq(id));
    }
    if let Some(kind) = filter.at_least {
        find = find.filter(verdict::Column::Verdict.gte(rank(kind)));
    }
    if let Some(detector) = &filter.detector {
        let with_it = Query::select()
            .column(finding::Column::VerdictId)
            .from(finding::Entity)
            .and_where(finding::Column::Detector.eq(detector.as_str()))
            .take();
        find = find.filter(verdict::Column::Id.in_subquery(with_it));
    }
    if let Some(message_id) = &filter.message_id {
        find = find.filter(verdict::Column::MessageId.eq(message_id.as_str()));
    }
    if let Some(since) = filter.since {
        find = find.filter(verdict::Column::Inspected.gte(micros(since)));
    }
    find
}

async fn findings_of(
    connection: &impl ConnectionTrait,
    verdicts: &[i64],
) -> Result<HashMap<i64, Vec<Finding>>, ControlError> {
    let mut findings = HashMap::<i64, Vec<Finding>>::new();
    for piece in pieces(verdicts) {
        let rows = finding::Entity::find()
            .filter(finding::Column::VerdictId.is_in(piece.iter().copied()))
            .order_by_asc(finding::Column::VerdictId)
            .order_by_asc(finding::Column::Position)
            .all(connection)
            .await?;
        for row in rows {
            findings.entry(row.verdict_id).or_default().push(Finding {
                detector: row.detector,
                category: variant(row.category)?,
                entity: row.entity,
                severity: variant(row.severity)?,
                field: row.field,
                start: usize::try_from(row.start_at).unwrap_or(0),
                end: usize::try_from(row.end_at).unwrap_or(0),
                evidence: row.evidence,
            });
        }
    }
    Ok(findings)
}

fn from_row(
    row: verdict::Model,
    mailbox: MailboxId,
    findings: Vec<Finding>,
) -> Result<RecordedVerdict, ControlError> {
    Ok(RecordedVerdict {
        id: row.id,
        mailbox,
        item: ItemId(row.item),
        content_key: row.content_key,
        message_id: row.message_id,
        verdict: Verdict {
            verdict: verdict_kind(row.verdict)?,
            score: row.score,
            findings,
            not_inspected: from_json(row.not_inspected)?,
        },
        inspected: instant(row.inspected)?,
    })
}
