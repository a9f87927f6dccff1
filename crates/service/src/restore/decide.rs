//! What to do with one item, from what is there.

use mailkeep_exchange::Existing;
use mailkeep_model::{FolderId, Item, ItemKind};

use super::OnConflict;

/// What to do with one item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Make it.
    Create,
    /// Make it, then delete this one.
    Replace(Existing),
    /// Delete this one: what replaces it was made before, and the restore was cut off then.
    Remove(Existing),
    /// Set folder, flags and categories of this one.
    Update(Existing),
    /// Nothing.
    Nothing,
}

/// What is there of an item.
pub(super) struct Found<'a> {
    /// The item itself, when it is restored to where it was.
    pub(super) original: Option<&'a Existing>,
    /// What an earlier restore made of it, for the same place; see [`restored`].
    pub(super) restored: Option<&'a Existing>,
    /// The mailbox's deleted items.
    pub(super) trash: Option<&'a FolderId>,
}

/// Which of the things that restores made of an item counts. What its owner has thrown away since
/// does not, unless it is where it was put: among the deleted items.
pub(super) fn restored<'a>(
    made: &[&'a Existing],
    folder: Option<&FolderId>,
) -> Option<&'a Existing> {
    made.iter().copied().find(|one| !one.deleted || folder == Some(&one.folder))
}

pub(super) fn decide(
    item: &Item,
    folder: Option<&FolderId>,
    found: &Found<'_>,
    on_conflict: OnConflict,
) -> Action {
    let is_message = item.kind == ItemKind::Message;
    if let Some(restored) = found.restored {
        let older = found.original.filter(|original| {
            original.id != restored.id && original.content_key != item.content_key
        });
        return match on_conflict {
            OnConflict::Replace if let Some(older) = older => Action::Remove(older.clone()),
            // Its owner may have moved or marked it since.
            OnConflict::Replace if is_message => Action::Update(restored.clone()),
            _ => Action::Nothing,
        };
    }
    let Some(original) = found.original else { return Action::Create };
    let same_content = original.content_key == item.content_key;
    let thrown_away = (original.deleted || found.trash == Some(&original.folder))
        && folder != found.trash
        && folder != Some(&original.folder);
    match on_conflict {
        OnConflict::Copy => Action::Create,
        OnConflict::Skip if thrown_away && same_content && is_message => {
            Action::Update(original.clone())
        }
        OnConflict::Skip if thrown_away => Action::Create,
        OnConflict::Skip => Action::Nothing,
        OnConflict::Replace if !same_content => Action::Replace(original.clone()),
        // The content key of an event or contact stands for all of it.
        OnConflict::Replace if is_message => Action::Update(original.clone()),
        OnConflict::Replace if folder == Some(&original.folder) => Action::Nothing,
        OnConflict::Replace => Action::Replace(original.clone()),
    }
}

#[cfg(test)]
mod tests {
    use mailkeep_model::{FollowUp, Importance, ItemId};
    use time::OffsetDateTime;

    use super::*;

    fn item(kind: ItemKind) -> Item {
        Item {
            id: ItemId("1".into()),
            kind,
            folder: FolderId("inbox".into()),
            subject: String::new(),
            from: None,
            recipients: Vec::new(),
            received: OffsetDateTime::UNIX_EPOCH,
            sent: None,
            internet_message_id: None,
            read: false,
            draft: false,
            follow_up: FollowUp::NotFlagged,
            importance: Importance::Normal,
            categories: Vec::new(),
            content_key: "a".into(),
            detail: None,
            provider: serde_json::Map::new(),
        }
    }

    fn existing(folder: &str, content_key: &str) -> Existing {
        Existing {
            id: ItemId("1".into()),
            folder: FolderId(folder.into()),
            key: None,
            deleted: folder == "trash",
            content_key: content_key.into(),
        }
    }

    fn decided(kind: ItemKind, original: Option<&Existing>, on_conflict: OnConflict) -> Action {
        let (inbox, trash) = (FolderId("inbox".into()), FolderId("trash".into()));
        let found = Found { original, restored: None, trash: Some(&trash) };
        decide(&item(kind), Some(&inbox), &found, on_conflict)
    }

    #[test]
    fn what_is_gone_comes_back_whatever_is_said_of_conflicts() {
        for on_conflict in [OnConflict::Skip, OnConflict::Replace, OnConflict::Copy] {
            assert_eq!(decided(ItemKind::Message, None, on_conflict), Action::Create);
        }
    }

    #[test]
    fn what_a_restore_made_is_not_made_twice() {
        let made = existing("inbox", "other");
        for on_conflict in [OnConflict::Skip, OnConflict::Replace, OnConflict::Copy] {
            let found = Found { original: None, restored: Some(&made), trash: None };
            for kind in [ItemKind::Message, ItemKind::Event, ItemKind::Contact] {
                let action = decide(&item(kind), None, &found, on_conflict);
                assert!(!matches!(action, Action::Create | Action::Replace(_)), "{action:?}");
            }
        }
    }

    #[test]
    fn what_was_restored_and_thrown_away_comes_back_and_what_belongs_in_the_trash_is_not_doubled() {
        let (trashed, other) = (existing("trash", "a"), existing("inbox", "a"));
        let (inbox, trash) = (FolderId("inbox".into()), FolderId("trash".into()));
        assert_eq!(restored(&[&trashed], Some(&inbox)), None);
        assert_eq!(restored(&[&trashed, &other], Some(&inbox)), Some(&other));
        assert_eq!(restored(&[&trashed], Some(&trash)), Some(&trashed));
        assert_eq!(restored(&[&other], None), Some(&other));
    }

    #[test]
    fn what_a_restore_made_and_its_owner_moved_is_set_back_when_asked_for() {
        let made = existing("elsewhere", "other");
        let found = Found { original: None, restored: Some(&made), trash: None };
        let decided = |on_conflict| decide(&item(ItemKind::Message), None, &found, on_conflict);
        assert_eq!(decided(OnConflict::Replace), Action::Update(made.clone()));
        assert_eq!(decided(OnConflict::Skip), Action::Nothing);
        assert_eq!(decided(OnConflict::Copy), Action::Nothing);
    }

    #[test]
    fn a_message_that_was_thrown_away_is_moved_back_instead_of_left_in_the_trash() {
        let trashed = existing("trash", "a");
        let action = decided(ItemKind::Message, Some(&trashed), OnConflict::Skip);
        assert_eq!(action, Action::Update(trashed));
    }

    #[test]
    fn a_newer_state_is_replaced_only_when_asked_for() {
        let newer = existing("inbox", "b");
        for kind in [ItemKind::Message, ItemKind::Event, ItemKind::Contact] {
            assert_eq!(decided(kind, Some(&newer), OnConflict::Skip), Action::Nothing);
            assert_eq!(decided(kind, Some(&newer), OnConflict::Copy), Action::Create);
            let action = decided(kind, Some(&newer), OnConflict::Replace);
            assert_eq!(action, Action::Replace(newer.clone()));
        }
        let same = existing("inbox", "a");
        assert_eq!(decided(ItemKind::Event, Some(&same), OnConflict::Replace), Action::Nothing);
    }

    #[test]
    fn a_replacement_that_was_cut_off_is_finished_instead_of_leaving_both() {
        let (older, made) =
            (existing("inbox", "b"), Existing { id: ItemId("2".into()), ..existing("inbox", "a") });
        for kind in [ItemKind::Message, ItemKind::Event, ItemKind::Contact] {
            let found = Found { original: Some(&older), restored: Some(&made), trash: None };
            let action = decide(&item(kind), None, &found, OnConflict::Replace);
            assert_eq!(action, Action::Remove(older.clone()));
            let action = decide(&item(kind), None, &found, OnConflict::Skip);
            assert_eq!(action, Action::Nothing);
        }
    }
}
