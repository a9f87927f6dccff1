//! Whether the catalog holds as many items of a folder as the provider counts there.

use std::collections::HashMap;

use mailkeep_model::FolderId;
use sea_orm::{
    ActiveValue::{Set, Unchanged},
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect,
};
use time::OffsetDateTime;

use crate::{
    ControlError, MailboxCommit,
    convert::{micros, signed},
    entity::{folder, item, skipped},
    keys::pieces,
};

/// What is known of a folder's surplus: how many more items the provider counts in it than there
/// are in the catalog (or fewer, below zero).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Surplus {
    /// As last counted.
    last: Option<i64>,
    /// What a comparison could not change: a folder of mail may hold what is none.
    explained: i64,
    /// For how many passes in a row it has been the same and unexplained.
    doubts: i64,
}

impl Surplus {
    /// After a pass that read on from the folder's cursor.
    fn counted(self, now: i64) -> Self {
        let doubts = match self.last {
            _ if now == self.explained => 0,
            Some(last) if last == now => self.doubts + 1,
            // Another one each time: items come and go while they are counted.
            _ => 1,
        };
        Self { last: Some(now), doubts, ..self }
    }

    /// After a pass that read the folder from its beginning. What is still the same is so for good;
    /// what is another one may be what the provider left out this time.
    fn compared(self, now: i64) -> Self {
        let explained = if now == 0 || self.last == Some(now) { now } else { self.explained };
        let doubts = i64::from(now != explained);
        Self { last: Some(now), explained, doubts }
    }
}

/// Writes down when folders were compared, and what the provider's counts say about them.
pub(crate) async fn note_counts(
    connection: &impl ConnectionTrait,
    mailbox_id: i64,
    commit: &MailboxCommit,
    folders: &HashMap<&FolderId, i64>,
    now: OffsetDateTime,
) -> Result<(), ControlError> {
    if commit.counts.is_empty() && commit.compared.is_empty() {
        return Ok(());
    }
    let held = held(connection, mailbox_id).await?;
    let waiting = waiting(connection, mailbox_id).await?;
    let rows = folder::Entity::find()
        .filter(folder::Column::MailboxId.eq(mailbox_id))
        .filter(folder::Column::Present.eq(true))
        .all(connection)
        .await?;
    let rows: HashMap<i64, folder::Model> = rows.into_iter().map(|row| (row.id, row)).collect();
    for (folder, id) in folders {
        let Some(row) = rows.get(id) else { continue };
        let compared = commit.compared.contains(*folder);
        let before =
            Surplus { last: row.surplus, explained: row.explained_surplus, doubts: row.doubts };
        let after = commit.counts.get(*folder).map(|count| {
            let ours = held.get(id).unwrap_or(&0) + waiting.get(&folder.0).unwrap_or(&0);
            let surplus = signed(*count) - ours;
            if compared { before.compared(surplus) } else { before.counted(surplus) }
        });
        // An unchanged folder, which is almost every one, is not written.
        let after = after.filter(|after| *after != before);
        if after.is_none() && !compared {
            continue;
        }
        let mut change = folder::ActiveModel { id: Unchanged(*id), ..Default::default() };
        if compared {
            change.compared = Set(Some(micros(now)));
        }
        if let Some(after) = after {
            change.surplus = Set(after.last);
            change.explained_surplus = Set(after.explained);
            change.doubts = Set(after.doubts);
        }
        folder::Entity::update(change).exec(connection).await?;
    }
    Ok(())
}

/// Items in the catalog, by folder.
async fn held(
    connection: &impl ConnectionTrait,
    mailbox_id: i64,
) -> Result<HashMap<i64, i64>, ControlError> {
    let of_mailbox = sea_orm::sea_query::Query::select()
        .column(folder::Column::Id)
        .from(folder::Entity)
        .and_where(folder::Column::MailboxId.eq(mailbox_id))
        .take();
    // By folder, not by mailbox: the index over folders alone answers it.
    let counts: Vec<(i64, i64)> = item::Entity::find()
        .select_only()
        .column(item::Column::FolderId)
        .column_as(item::Column::Id.count(), "items")
        .filter(item::Column::FolderId.in_subquery(of_mailbox))
        .group_by(item::Column::FolderId)
        .into_tuple()
        .all(connection)
        .await?;
    Ok(counts.into_iter().collect())
}

/// Items that are known to be there and failed so far, by folder.
async fn waiting(
    connection: &impl ConnectionTrait,
    mailbox_id: i64,
) -> Result<HashMap<String, i64>, ControlError> {
    let rows: Vec<(Vec<u8>, Option<String>)> = skipped::Entity::find()
        .select_only()
        .column(skipped::Column::Digest)
        .column(skipped::Column::Folder)
        .filter(skipped::Column::MailboxId.eq(mailbox_id))
        .into_tuple()
        .all(connection)
        .await?;
    let mut by_digest: HashMap<Vec<u8>, String> =
        rows.into_iter().filter_map(|(digest, folder)| Some((digest, folder?))).collect();
    let digests: Vec<_> = by_digest.keys().cloned().collect();
    for piece in pieces(&digests) {
        // Of these an older state is in the catalog, and counted there.
        let known: Vec<Vec<u8>> = item::Entity::find()
            .select_only()
            .column(item::Column::Digest)
            .filter(item::Column::MailboxId.eq(mailbox_id))
            .filter(item::Column::Digest.is_in(piece.iter().cloned()))
            .into_tuple()
            .all(connection)
            .await?;
        for digest in known {
            by_digest.remove(&digest);
        }
    }
    let mut counts = HashMap::new();
    for folder in by_digest.into_values() {
        *counts.entry(folder).or_default() += 1;
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: Surplus = Surplus { last: None, explained: 0, doubts: 0 };

    #[test]
    fn a_difference_that_stays_is_doubted_and_one_that_passes_is_not() {
        assert_eq!(NEW.counted(0).doubts, 0);
        assert_eq!(NEW.counted(2).counted(2).doubts, 2);
        // Mail comes in between the reading and the counting, another number each time.
        assert_eq!(NEW.counted(2).counted(1).counted(3).doubts, 1);
        assert_eq!(NEW.counted(2).counted(0).doubts, 0);
        assert_eq!(NEW.counted(-1).counted(-1).doubts, 2);
    }

    #[test]
    fn a_folder_with_what_is_no_mail_is_not_compared_for_ever() {
        let appointments = NEW.compared(3);
        assert_eq!(appointments.doubts, 1, "perhaps the first reading was told too little");
        let doubted = appointments.counted(3);
        assert_eq!(doubted.doubts, 2);
        let settled = doubted.compared(3);
        assert_eq!((settled.explained, settled.doubts), (3, 0));
        assert_eq!(settled.counted(3).doubts, 0);
        assert_eq!(settled.counted(4).counted(4).doubts, 2);
    }

    #[test]
    fn a_comparison_that_finds_what_was_lost_ends_the_doubt() {
        let found = NEW.counted(2).counted(2).compared(0);
        assert_eq!(found, Surplus { last: Some(0), explained: 0, doubts: 0 });
        // It was itself told too little: explained would be forgotten for good.
        let partly = NEW.counted(2).counted(2).compared(1);
        assert_eq!((partly.explained, partly.counted(1).doubts), (0, 2));
    }
}
