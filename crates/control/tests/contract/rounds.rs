//! Committing rounds.

use std::collections::HashMap;

use crate::common::{
    at, folder, folder_id, item, item_id, mailbox_commit, mailbox_id, on_each_database, round,
    snapshot, with_two_mailboxes,
};
use mailkeep_control::{
    CatalogItem, Completeness, Control, ControlError, CursorMove, MailboxCommit, RoundCommit, Skip,
    SnapshotOutcome,
};
use mailkeep_model::{Cursor, Direction, ItemId, ItemKind, TenantName, TrafficCount};
use serde_json::json;

async fn in_folder(control: &Control, tenant: &TenantName, folder: &str) -> Vec<CatalogItem> {
    control.items_in_folder(tenant, &mailbox_id("ann"), &folder_id(folder)).await.unwrap()
}

#[tokio::test]
async fn a_committed_round_is_read_back_whole() {
    on_each_database(async |control| {
        let tenant = with_two_mailboxes(&control).await;
        let ann = mailbox_id("ann");
        control.commit_round(&tenant, round("s1", None, "ann", 3)).await.unwrap();

        assert_eq!(control.catalog_head(&tenant).await.unwrap().as_deref(), Some("s1"));
        let asked = [item_id(0), item_id(2), item_id(77)];
        let found = control.items(&tenant, &ann, &asked).await.unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found[&item_id(2)], item(2, "Inbox"));
        // Another mailbox may hold an item of the same name; it is not this one.
        assert!(control.items(&tenant, &mailbox_id("bob"), &asked).await.unwrap().is_empty());

        let state = control.sync_state(&tenant, &ann).await.unwrap();
        assert_eq!(state.folder_cursor, Some(Cursor("folders after s1".into())));
        assert_eq!(state.folders, [folder("Inbox"), folder("Sent")]);
        let inbox = Cursor("inbox after s1".into());
        assert_eq!(state.item_cursors, HashMap::from([(folder_id("Inbox"), inbox)]));

        let known = &control.mailboxes(&tenant).await.unwrap()[0];
        assert_eq!(known.first_backup_complete, Completeness::Complete);
        assert_eq!((known.last_pass, known.items), (Some(at(60)), 3));

        let snapshots = control.snapshots(&tenant, Some(&ann)).await.unwrap();
        assert_eq!(snapshots.len(), 1);
        assert_eq!((snapshots[0].id.as_str(), snapshots[0].time), ("s1", at(60)));
        assert_eq!((snapshots[0].items, snapshots[0].bytes_added), (3, 10));
        assert_eq!(snapshots[0].outcome, SnapshotOutcome::Complete);
        assert_eq!((snapshots[0].mailboxes.len(), snapshots[0].mailboxes[0].put), (1, 3));
        let of_bob = control.snapshots(&tenant, Some(&mailbox_id("bob"))).await.unwrap();
        assert!(of_bob.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_failure_inside_a_round_changes_nothing() {
    on_each_database(async |control| {
        let tenant = with_two_mailboxes(&control).await;
        let ann = mailbox_id("ann");
        control.commit_round(&tenant, round("s1", None, "ann", 3)).await.unwrap();
        let before = control.sync_state(&tenant, &ann).await.unwrap();

        let mut bad = round("s2", Some("s1"), "ann", 700);
        bad.mailboxes[0].removed = vec![item_id(0), item_id(701)];
        bad.mailboxes[0].folders = vec![folder("Inbox"), folder("New")];
        bad.traffic = vec![TrafficCount { minute: 5, direction: Direction::Inbound, count: 9 }];
        bad.mailboxes[0].skipped = vec![Skip {
            kind: ItemKind::Message,
            item: item_id(900),
            folder: None,
            error: "unreadable".into(),
        }];
        // The second mailbox fails after the first one was written.
        bad.mailboxes.push(MailboxCommit {
            put: vec![item(1, "a folder that is not listed")],
            ..mailbox_commit("bob")
        });
        let refused = control.commit_round(&tenant, bad).await.unwrap_err();
        assert!(matches!(refused, ControlError::Refused { .. }), "{refused}");

        assert_eq!(control.catalog_head(&tenant).await.unwrap().as_deref(), Some("s1"));
        assert_eq!(control.sync_state(&tenant, &ann).await.unwrap(), before);
        assert_eq!(in_folder(&control, &tenant, "Inbox").await.len(), 3);
        assert_eq!(control.snapshots(&tenant, None).await.unwrap().len(), 1);
        assert!(control.traffic(&tenant, 0, 10).await.unwrap().is_empty());
        assert!(control.skipped(&tenant, None).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_round_that_built_on_another_snapshot_is_refused() {
    on_each_database(async |control| {
        let tenant = with_two_mailboxes(&control).await;
        control.commit_round(&tenant, round("s1", None, "ann", 1)).await.unwrap();
        for parent in [None, Some("s0")] {
            let refused =
                control.commit_round(&tenant, round("s2", parent, "ann", 2)).await.unwrap_err();
            assert!(matches!(refused, ControlError::HeadMoved { .. }), "{refused}");
        }
        assert_eq!(in_folder(&control, &tenant, "Inbox").await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn committing_the_same_round_again_counts_nothing_twice() {
    on_each_database(async |control| {
        let tenant = with_two_mailboxes(&control).await;
        let mut commit = round("s1", None, "ann", 3);
        let count = TrafficCount { minute: 100, direction: Direction::Inbound, count: 3 };
        // The same minute twice: sources count on their own.
        commit.traffic = vec![count, count];
        commit.mailboxes[0].skipped = vec![Skip {
            kind: ItemKind::Message,
            item: item_id(9),
            folder: None,
            error: "unreadable".into(),
        }];
        control.commit_round(&tenant, commit.clone()).await.unwrap();
        control.commit_round(&tenant, commit).await.unwrap();

        let traffic = control.traffic(&tenant, 100, 101).await.unwrap();
        assert_eq!(traffic, [TrafficCount { count: 6, ..count }]);
        assert_eq!(control.skipped(&tenant, None).await.unwrap()[0].attempts, 1);
        assert_eq!(control.snapshots(&tenant, None).await.unwrap().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn what_a_mailbox_is_used_to_is_what_the_last_round_left() {
    on_each_database(async |control| {
        let tenant = with_two_mailboxes(&control).await;
        let ann = mailbox_id("ann");
        assert_eq!(control.habits(&tenant, &ann).await.unwrap(), None);
        let mut first = round("s1", None, "ann", 3);
        first.mailboxes[0].habits = Some(json!({"messages": 3}));
        control.commit_round(&tenant, first).await.unwrap();
        // A round that taught nothing leaves it, one that is refused changes nothing.
        let idle = round("s2", Some("s1"), "ann", 1);
        control.commit_round(&tenant, idle).await.unwrap();
        let mut refused = round("s3", Some("elsewhere"), "ann", 1);
        refused.mailboxes[0].habits = Some(json!({"messages": 9}));
        control.commit_round(&tenant, refused).await.unwrap_err();
        assert_eq!(control.habits(&tenant, &ann).await.unwrap(), Some(json!({"messages": 3})));
        let mut more = round("s3", Some("s2"), "ann", 1);
        more.mailboxes[0].habits = Some(json!({"messages": 4}));
        control.commit_round(&tenant, more).await.unwrap();
        assert_eq!(control.habits(&tenant, &ann).await.unwrap(), Some(json!({"messages": 4})));
        assert_eq!(control.habits(&tenant, &mailbox_id("bob")).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn changed_moved_and_removed_items_replace_what_was_known() {
    on_each_database(async |control| {
        let tenant = with_two_mailboxes(&control).await;
        control.commit_round(&tenant, round("s1", None, "ann", 4)).await.unwrap();
        let mut changed = item(1, "Inbox");
        changed.meta_key = "read now".into();
        let moved = item(2, "Sent");
        let next = RoundCommit {
            snapshot: Some(snapshot("s2", 120)),
            parent: Some("s1".into()),
            mailboxes: vec![MailboxCommit {
                // A moved item is removed from one folder and put into another; one that is
                // named twice counts as given last.
                put: vec![item(1, "Sent"), changed.clone(), moved.clone()],
                removed: vec![item_id(2), item_id(3), item_id(99)],
                ..mailbox_commit("ann")
            }],
            traffic: Vec::new(),
            now: at(120),
        };
        control.commit_round(&tenant, next).await.unwrap();
        assert_eq!(in_folder(&control, &tenant, "Inbox").await, [item(0, "Inbox"), changed]);
        assert_eq!(in_folder(&control, &tenant, "Sent").await, [moved]);
        assert_eq!(control.mailboxes(&tenant).await.unwrap()[0].items, 3);
        assert_eq!(control.snapshots(&tenant, None).await.unwrap()[1].items, 3);
    })
    .await;
}

#[tokio::test]
async fn a_folder_that_disappears_gives_up_its_items_and_its_cursor() {
    on_each_database(async |control| {
        let tenant = with_two_mailboxes(&control).await;
        let ann = mailbox_id("ann");
        control.commit_round(&tenant, round("s1", None, "ann", 2)).await.unwrap();
        let without_inbox = |id: &str, parent: &str, removed: Vec<ItemId>| RoundCommit {
            snapshot: Some(snapshot(id, 120)),
            parent: Some(parent.to_owned()),
            mailboxes: vec![MailboxCommit {
                folders: vec![folder("Sent")],
                removed,
                ..mailbox_commit("ann")
            }],
            traffic: Vec::new(),
            now: at(120),
        };
        control.commit_round(&tenant, without_inbox("s2", "s1", Vec::new())).await.unwrap();
        let state = control.sync_state(&tenant, &ann).await.unwrap();
        assert_eq!((state.folders, state.item_cursors.len()), (vec![folder("Sent")], 0));
        // Its items were not confirmed to be gone, so they can still be asked for.
        assert_eq!(in_folder(&control, &tenant, "Inbox").await.len(), 2);

        let gone = vec![item_id(0), item_id(1)];
        control.commit_round(&tenant, without_inbox("s3", "s2", gone)).await.unwrap();
        assert!(in_folder(&control, &tenant, "Inbox").await.is_empty());
        // The provider may bring it back; its items are read from the beginning.
        control.commit_round(&tenant, round("s4", Some("s3"), "ann", 1)).await.unwrap();
        let folders = control.sync_state(&tenant, &ann).await.unwrap().folders;
        assert_eq!(folders, [folder("Sent"), folder("Inbox")]);
        assert_eq!(in_folder(&control, &tenant, "Inbox").await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_pass_without_changes_moves_cursors_without_a_snapshot() {
    on_each_database(async |control| {
        let tenant = with_two_mailboxes(&control).await;
        let ann = mailbox_id("ann");
        control.commit_round(&tenant, round("s1", None, "ann", 2)).await.unwrap();
        let mut quiet = round("unused", Some("s1"), "ann", 0);
        quiet.snapshot = None;
        quiet.mailboxes[0].folder_cursor = CursorMove::Forget;
        quiet.mailboxes[0].item_cursors =
            HashMap::from([(folder_id("Inbox"), CursorMove::To(Cursor("later".into())))]);
        control.commit_round(&tenant, quiet.clone()).await.unwrap();
        let state = control.sync_state(&tenant, &ann).await.unwrap();
        assert_eq!(state.folder_cursor, None);
        assert_eq!(state.item_cursors[&folder_id("Inbox")], Cursor("later".into()));
        assert_eq!(control.snapshots(&tenant, None).await.unwrap().len(), 1);

        quiet.mailboxes[0].put = vec![item(9, "Inbox")];
        let refused = control.commit_round(&tenant, quiet).await.unwrap_err();
        assert!(matches!(refused, ControlError::Refused { .. }), "{refused}");
    })
    .await;
}

#[tokio::test]
async fn a_skipped_item_is_remembered_until_it_is_stored() {
    on_each_database(async |control| {
        let tenant = with_two_mailboxes(&control).await;
        let fails = |item: usize, error: &str| Skip {
            kind: ItemKind::Message,
            item: item_id(item),
            folder: Some(folder_id("Inbox")),
            error: error.to_owned(),
        };
        let mut first = round("s1", None, "ann", 0);
        first.mailboxes[0].skipped = vec![fails(7, "503"), fails(8, "503"), fails(9, "503")];
        control.commit_round(&tenant, first).await.unwrap();
        let mut second = round("s2", Some("s1"), "ann", 0);
        second.now = at(120);
        // A nul, which PostgreSQL refuses, and more text than is kept, cut inside a character.
        let long = format!("\0{}", "ä".repeat(2_000));
        second.mailboxes[0].skipped = vec![fails(7, &long)];
        second.mailboxes[0].put = vec![item(8, "Inbox")];
        second.mailboxes[0].no_longer_skipped = vec![item_id(9)];
        control.commit_round(&tenant, second).await.unwrap();

        let skipped = control.skipped(&tenant, Some(&mailbox_id("ann"))).await.unwrap();
        assert_eq!(skipped.len(), 1);
        assert_eq!((&skipped[0].item, skipped[0].attempts), (&item_id(7), 2));
        assert_eq!((skipped[0].first_seen, skipped[0].last_tried), (at(60), at(120)));
        assert!(skipped[0].error.starts_with("\u{fffd}ä") && skipped[0].error.len() < 1_010);
        assert!(control.skipped(&tenant, Some(&mailbox_id("bob"))).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_mailbox_of_20_000_items_is_committed_and_read_back() {
    on_each_database(async |control| {
        let tenant = with_two_mailboxes(&control).await;
        control.commit_round(&tenant, round("s1", None, "ann", 20_000)).await.unwrap();
        let all: Vec<_> = (0..20_000).map(item_id).collect();
        let found = control.items(&tenant, &mailbox_id("ann"), &all).await.unwrap();
        assert_eq!(found.len(), 20_000);
        assert!(found.iter().all(|(id, item)| *id == item.item));
        let listed = in_folder(&control, &tenant, "Inbox").await;
        assert_eq!((listed.len(), &listed[19_999]), (20_000, &item(19_999, "Inbox")));

        let mut second = round("s2", Some("s1"), "ann", 0);
        second.mailboxes[0].removed = all[..15_001].to_vec();
        control.commit_round(&tenant, second).await.unwrap();
        assert_eq!(in_folder(&control, &tenant, "Inbox").await.len(), 4_999);
        assert_eq!(control.mailboxes(&tenant).await.unwrap()[0].items, 4_999);
    })
    .await;
}
