//! Writing what the inspector found.

use std::collections::BTreeMap;

use mailkeep_model::{Finding, ItemId, MailboxId, TenantName, Verdict, VerdictKind};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect,
    sea_query::Expr,
};
use time::OffsetDateTime;

use crate::{
    Control, ControlError,
    catalog::is_uninspected,
    convert::{json, micros, signed, text, variant_name},
    entity::{finding, item, verdict},
    keys::{digest, pieces},
    mailboxes::mailbox_key,
};

/// The outcome of inspecting one item's content.
#[derive(Clone, Debug, PartialEq)]
pub struct InspectedItem {
    /// The item.
    pub item: ItemId,
    /// Names the content that was inspected: `mailkeep_model::Item::content_key`.
    pub content_key: String,
    /// `Message-ID` header, with its angle brackets.
    pub message_id: Option<String>,
    /// The verdict; evidence of sensitive content in it is masked.
    pub verdict: Verdict,
}

impl Control {
    /// Records verdicts, in one transaction. A verdict on the same item and content replaces the
    /// one before it, so that inspecting again does not show anything twice. A clean verdict
    /// costs no row: what was inspected is known from the catalog
    /// ([`Control::inspection_counts`]). Each call waits for the disk, so hand in what is there.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant or the mailbox is unknown.
    pub async fn record_verdicts(
        &self,
        tenant: &TenantName,
        mailbox: &MailboxId,
        inspected: Vec<InspectedItem>,
        now: OffsetDateTime,
    ) -> Result<(), ControlError> {
        // The last one given for a content counts.
        let inspected: BTreeMap<Vec<u8>, InspectedItem> = inspected
            .into_iter()
            .map(|inspected| (digest(&[&inspected.item.0, &inspected.content_key]), inspected))
            .collect();
        let transaction = self.write().await?;
        let mailbox_id = mailbox_key(&transaction, tenant, mailbox).await?;
        let digests: Vec<_> = inspected.keys().cloned().collect();
        for piece in pieces(&digests) {
            verdict::Entity::delete_many()
                .filter(verdict::Column::MailboxId.eq(mailbox_id))
                .filter(verdict::Column::Digest.is_in(piece.iter().cloned()))
                .exec(&transaction)
                .await?;
        }
        for (digest, inspected) in &inspected {
            let verdict = &inspected.verdict;
            if !verdict.findings.is_empty() || !verdict.not_inspected.is_empty() {
                insert_verdict(&transaction, mailbox_id, digest, inspected, now).await?;
            }
        }
        mark_inspected(&transaction, mailbox_id, inspected.values()).await?;
        Ok(transaction.commit().await?)
    }
}

/// The number that stands for a verdict, in the order of harm.
pub(crate) fn rank(verdict: VerdictKind) -> i16 {
    match verdict {
        VerdictKind::Clean => 0,
        VerdictKind::Sensitive => 1,
        VerdictKind::Suspicious => 2,
        VerdictKind::Malicious => 3,
    }
}

/// The verdict that a number stands for.
pub(crate) fn verdict_kind(rank: i16) -> Result<VerdictKind, ControlError> {
    match rank {
        0 => Ok(VerdictKind::Clean),
        1 => Ok(VerdictKind::Sensitive),
        2 => Ok(VerdictKind::Suspicious),
        3 => Ok(VerdictKind::Malicious),
        _ => Err(ControlError::Corrupt(format!("{rank} is not a verdict"))),
    }
}

async fn insert_verdict(
    connection: &impl ConnectionTrait,
    mailbox_id: i64,
    digest: &[u8],
    inspected: &InspectedItem,
    now: OffsetDateTime,
) -> Result<(), ControlError> {
    let verdict = &inspected.verdict;
    let not_inspected: Vec<_> = verdict.not_inspected.iter().map(|why| text(why)).collect();
    let row = verdict::ActiveModel {
        id: NotSet,
        mailbox_id: Set(mailbox_id),
        digest: Set(digest.to_vec()),
        item: Set(inspected.item.0.clone()),
        content_key: Set(inspected.content_key.clone()),
        message_id: Set(inspected.message_id.as_deref().map(text)),
        verdict: Set(rank(verdict.verdict)),
        score: Set(verdict.score),
        not_inspected: Set(json(&not_inspected)?),
        inspected: Set(micros(now)),
    };
    let id = verdict::Entity::insert(row).exec_with_returning(connection).await?.id;
    let rows: Vec<_> =
        (0..).zip(&verdict.findings).map(|(place, finding)| to_row(id, place, finding)).collect();
    for piece in pieces(&rows) {
        finding::Entity::insert_many(piece.to_vec()).exec_without_returning(connection).await?;
    }
    Ok(())
}

fn to_row(verdict_id: i64, position: i32, finding: &Finding) -> finding::ActiveModel {
    finding::ActiveModel {
        verdict_id: Set(verdict_id),
        position: Set(position),
        detector: Set(text(&finding.detector)),
        category: Set(variant_name(&finding.category)),
        entity: Set(text(&finding.entity)),
        severity: Set(variant_name(&finding.severity)),
        field: Set(text(&finding.field)),
        start_at: Set(signed(finding.start as u64)),
        end_at: Set(signed(finding.end as u64)),
        evidence: Set(text(&finding.evidence)),
    }
}

/// Takes items off the list of those whose content in the catalog nobody inspected.
async fn mark_inspected(
    connection: &impl ConnectionTrait,
    mailbox_id: i64,
    inspected: impl Iterator<Item = &InspectedItem>,
) -> Result<(), ControlError> {
    let open: Vec<(i64, Vec<u8>, String)> = item::Entity::find()
        .select_only()
        .columns([item::Column::Id, item::Column::Digest, item::Column::ContentKey])
        .filter(item::Column::MailboxId.eq(mailbox_id))
        .filter(is_uninspected())
        .into_tuple()
        .all(connection)
        .await?;
    if open.is_empty() {
        return Ok(());
    }
    let inspected: std::collections::HashSet<_> =
        inspected.map(|inspected| (digest(&[&inspected.item.0]), &inspected.content_key)).collect();
    let done: Vec<i64> = open
        .into_iter()
        .filter_map(|(id, digest, key)| inspected.contains(&(digest, &key)).then_some(id))
        .collect();
    for piece in pieces(&done) {
        item::Entity::update_many()
            .col_expr(item::Column::Inspected, Expr::value(true))
            .filter(item::Column::Id.is_in(piece.iter().copied()))
            .exec(connection)
            .await?;
    }
    Ok(())
}
