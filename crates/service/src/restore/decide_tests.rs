use mailkeep_exchange::Mark;
use mailkeep_model::ItemId;

use super::*;

const EVERY: [OnConflict; 3] = [OnConflict::Skip, OnConflict::Replace, OnConflict::Copy];
const KINDS: [ItemKind; 3] = [ItemKind::Message, ItemKind::Event, ItemKind::Contact];

fn item(kind: ItemKind) -> Item {
    Item {
        content_key: "a".into(),
        ..Item::new(ItemId("1".into()), kind, FolderId("inbox".into()))
    }
}

fn existing(folder: &str, content_key: &str) -> Existing {
    Existing {
        deleted: folder == "trash",
        ..Existing::new(ItemId("1".into()), FolderId(folder.into()), content_key.into())
    }
}

/// What a restore made of a state.
fn made(id: &str, folder: &str, state: &str) -> Existing {
    let mark = Mark { item: "i".into(), state: Some(state.into()) };
    Existing { id: ItemId(id.into()), mark: Some(mark), ..existing(folder, id) }
}

/// What is done to bring state `a` back into the inbox.
fn does(
    item: &Item,
    original: Option<&Existing>,
    made: &[&Existing],
    on_conflict: OnConflict,
) -> Action {
    let (inbox, trash) = (FolderId("inbox".into()), FolderId("trash".into()));
    let sought = Sought { item, state: "a", folder: Some(&inbox) };
    decide(&sought, &Found { original, made, trash: Some(&trash) }, on_conflict)
}

fn decided(kind: ItemKind, original: Option<&Existing>, on_conflict: OnConflict) -> Action {
    does(&item(kind), original, &[], on_conflict)
}

#[test]
fn what_is_gone_comes_back_whatever_is_said_of_conflicts() {
    for on_conflict in EVERY {
        assert_eq!(decided(ItemKind::Message, None, on_conflict), Action::Create);
    }
}

#[test]
fn what_a_restore_made_is_not_made_twice() {
    let former = Mark { item: "former".into(), state: None };
    let former = Existing { mark: Some(former), ..made("2", "inbox", "") };
    for there in [made("2", "inbox", "a"), former] {
        for on_conflict in EVERY {
            for kind in KINDS {
                let action = does(&item(kind), None, &[&there], on_conflict);
                assert!(!matches!(action, Action::Create | Action::Replace(_)), "{action:?}");
            }
        }
    }
}

#[test]
fn an_item_restored_from_two_snapshots_is_there_once_unless_a_copy_is_asked_for() {
    let other = made("2", "inbox", "b");
    let same = made("3", "inbox", "a");
    for kind in KINDS {
        let item = item(kind);
        assert_eq!(does(&item, None, &[&other], OnConflict::Skip), Action::Nothing);
        assert_eq!(does(&item, None, &[&other], OnConflict::Copy), Action::Create);
        assert_eq!(does(&item, None, &[&other, &same], OnConflict::Copy), Action::Nothing);
        let action = does(&item, None, &[&other], OnConflict::Replace);
        assert_eq!(action, Action::Replace(vec![other.clone()]));
        // A copy that somebody asked for is not taken away again.
        let action = does(&item, None, &[&other, &same], OnConflict::Replace);
        assert!(matches!(action, Action::Nothing | Action::Update(..)), "{action:?}");
    }
    // Of a message that differs in its marks alone these are set.
    let letter = Item { internet_message_id: Some("<1@x>".into()), ..item(ItemKind::Message) };
    let other = Existing { heading: heading(&letter), ..other };
    assert_eq!(does(&letter, None, &[&other], OnConflict::Replace), Action::Update(other, vec![]));
}

#[test]
fn what_was_restored_and_edited_since_is_set_back_when_asked_for() {
    let there = Existing { edited: true, ..made("2", "inbox", "a") };
    let moved = made("2", "elsewhere", "a");
    let draft = Item { draft: true, ..item(ItemKind::Message) };
    for item in [item(ItemKind::Event), item(ItemKind::Contact), draft] {
        for there in [&there, &moved] {
            let action = does(&item, None, &[there], OnConflict::Replace);
            assert_eq!(action, Action::Replace(vec![there.clone()]));
            assert_eq!(does(&item, None, &[there], OnConflict::Skip), Action::Nothing);
        }
    }
    // One that is as it was made and where it belongs is the one to go by.
    let right = made("3", "inbox", "a");
    let all = [&there, &moved, &right];
    assert_eq!(does(&item(ItemKind::Event), None, &all, OnConflict::Replace), Action::Nothing);
}

#[test]
fn what_was_restored_and_thrown_away_comes_back_and_what_belongs_in_the_trash_is_not_doubled() {
    let (trashed, other) = (made("2", "trash", "a"), made("3", "inbox", "a"));
    let letter = item(ItemKind::Message);
    assert_eq!(does(&letter, None, &[&trashed], OnConflict::Skip), Action::Create);
    assert_eq!(does(&letter, None, &[&trashed, &other], OnConflict::Skip), Action::Nothing);
    let trash = FolderId("trash".into());
    let sought = Sought { item: &letter, state: "a", folder: Some(&trash) };
    let found = Found { original: None, made: &[&trashed], trash: Some(&trash) };
    assert_eq!(decide(&sought, &found, OnConflict::Skip), Action::Nothing);
}

#[test]
fn what_a_restore_made_and_its_owner_moved_is_set_back_when_asked_for() {
    let there = made("2", "elsewhere", "a");
    let decided = |on_conflict| does(&item(ItemKind::Message), None, &[&there], on_conflict);
    assert_eq!(decided(OnConflict::Replace), Action::Update(there.clone(), vec![]));
    assert_eq!(decided(OnConflict::Skip), Action::Nothing);
    assert_eq!(decided(OnConflict::Copy), Action::Nothing);
}

#[test]
fn a_message_that_was_thrown_away_is_moved_back_instead_of_left_in_the_trash() {
    let trashed = existing("trash", "a");
    let action = decided(ItemKind::Message, Some(&trashed), OnConflict::Skip);
    assert_eq!(action, Action::Update(trashed.clone(), vec![]));
    // Unless it was restored meanwhile.
    let made = made("2", "inbox", "b");
    let letter = item(ItemKind::Message);
    let action = does(&letter, Some(&trashed), &[&made], OnConflict::Skip);
    assert_eq!(action, Action::Nothing);
    let action = does(&letter, Some(&trashed), &[&made], OnConflict::Replace);
    assert_eq!(action, Action::Replace(vec![made]));
}

#[test]
fn a_newer_state_is_replaced_only_when_asked_for() {
    let newer = existing("inbox", "b");
    for kind in KINDS {
        assert_eq!(decided(kind, Some(&newer), OnConflict::Skip), Action::Nothing);
        assert_eq!(decided(kind, Some(&newer), OnConflict::Copy), Action::Create);
        let action = decided(kind, Some(&newer), OnConflict::Replace);
        assert_eq!(action, Action::Replace(vec![newer.clone()]));
    }
    let same = existing("inbox", "a");
    assert_eq!(decided(ItemKind::Event, Some(&same), OnConflict::Replace), Action::Nothing);
}

#[test]
fn a_message_whose_size_alone_changed_keeps_its_identity_and_a_draft_is_brought_back_whole() {
    let letter = Item { internet_message_id: Some("<1@x>".into()), ..item(ItemKind::Message) };
    let grown = Existing { heading: heading(&letter), ..existing("inbox", "another size") };
    let action = does(&letter, Some(&grown), &[], OnConflict::Replace);
    assert_eq!(action, Action::Update(grown.clone(), vec![]));
    let renamed = Item { subject: "Another".into(), ..letter.clone() };
    let other = Existing { heading: heading(&renamed), ..grown.clone() };
    let action = does(&letter, Some(&other), &[], OnConflict::Replace);
    assert_eq!(action, Action::Replace(vec![other]));
    let draft = Item { draft: true, ..letter };
    let newer = Existing { heading: heading(&draft), ..grown };
    let action = does(&draft, Some(&newer), &[], OnConflict::Replace);
    assert_eq!(action, Action::Replace(vec![newer]));
}

#[test]
fn a_replacement_that_was_cut_off_is_finished_instead_of_leaving_both() {
    let (older, restored) = (existing("inbox", "b"), made("3", "inbox", "b"));
    let there = Existing { replaces: vec![restored.id.clone()], ..made("2", "inbox", "a") };
    for kind in KINDS {
        let item = item(kind);
        let finished = |old: &Existing| match kind {
            // It may have come from another snapshot, with other marks.
            ItemKind::Message => Action::Update(there.clone(), vec![old.clone()]),
            _ => Action::Remove(vec![old.clone()]),
        };
        let action = does(&item, Some(&older), &[&there], OnConflict::Replace);
        assert_eq!(action, finished(&older));
        let action = does(&item, Some(&older), &[&there], OnConflict::Skip);
        assert_eq!(action, Action::Nothing);
        let action = does(&item, None, &[&restored, &there], OnConflict::Replace);
        assert_eq!(action, finished(&restored));
        // What its owner has thrown away since is the owner's business.
        let trashed = existing("trash", "b");
        let there = made("2", "inbox", "a");
        let action = does(&item, Some(&trashed), &[&there], OnConflict::Replace);
        match kind {
            ItemKind::Message => assert_eq!(action, Action::Update(there, vec![])),
            _ => assert_eq!(action, Action::Nothing),
        }
    }
}

#[test]
fn a_copy_beside_what_it_was_made_of_is_set_back_when_both_were_changed() {
    let original = existing("elsewhere", "b");
    let moved = made("2", "elsewhere", "a");
    let edited = Existing { edited: true, ..made("2", "inbox", "a") };
    for there in [moved, edited] {
        let draft = Item { draft: true, ..item(ItemKind::Message) };
        let action = does(&draft, Some(&original), &[&there], OnConflict::Replace);
        assert_eq!(action, Action::Replace(vec![there.clone(), original.clone()]));
        let letter = item(ItemKind::Message);
        let action = does(&letter, Some(&original), &[&there], OnConflict::Replace);
        assert_eq!(action, Action::Update(there, vec![original.clone()]));
    }
}

#[test]
fn what_cannot_be_deleted_is_written_over_or_left() {
    let note = item(ItemKind::Opaque);
    let (as_it_was, edited) = (existing("inbox", "a"), existing("inbox", "b"));
    let copy = |folder, state| made("2", folder, state);
    for (original, copies, action) in [
        (None, vec![], Action::Create),
        (Some(&as_it_was), vec![], Action::Nothing),
        (Some(&edited), vec![], Action::Replace(vec![edited.clone()])),
        (Some(&edited), vec![copy("inbox", "a")], Action::Nothing),
        (Some(&edited), vec![copy("elsewhere", "a")], Action::Replace(vec![edited.clone()])),
        (None, vec![copy("inbox", "b")], Action::Replace(vec![copy("inbox", "b")])),
        (None, vec![copy("elsewhere", "a")], Action::Create),
        (Some(&existing("trash", "b")), vec![copy("elsewhere", "b")], Action::Create),
    ] {
        let there: Vec<&Existing> = copies.iter().collect();
        assert_eq!(does(&note, original, &there, OnConflict::Replace), action);
    }
}

#[test]
fn a_meeting_that_cannot_be_deleted_quietly_does_not_get_a_second_one_beside_it() {
    let meeting = Existing { notifies: true, ..existing("inbox", "b") };
    let event = item(ItemKind::Event);
    let action = does(&event, Some(&meeting), &[], OnConflict::Replace);
    assert!(matches!(action, Action::Refuse(why) if why.contains("copy")), "{action:?}");
    let there = made("2", "inbox", "a");
    let action = does(&event, Some(&meeting), &[&there], OnConflict::Replace);
    assert!(matches!(action, Action::Refuse(_)), "{action:?}");
    assert_eq!(does(&event, Some(&meeting), &[], OnConflict::Copy), Action::Create);
}
