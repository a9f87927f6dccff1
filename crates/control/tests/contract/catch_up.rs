//! After a crash between "snapshot written" and "round committed", and after a loss of the
//! control database.

use std::collections::HashMap;

use crate::common::{
    at, folder, folder_id, item, item_id, mailbox, mailbox_commit, mailbox_id, new_tenant,
    on_each_database, round, snapshot, tenant_name, with_two_mailboxes,
};
use mailkeep_control::{
    CatalogItem, CatchUp, Completeness, ControlError, CursorMove, InspectedItem, MailboxChanges,
    RebuiltSnapshot, RoundCommit, SnapshotChanges, SnapshotMailbox,
};
use mailkeep_model::{Cursor, Direction, TrafficCount, Verdict, VerdictKind};

fn changes(name: &str, put: Vec<CatalogItem>) -> MailboxChanges {
    MailboxChanges {
        mailbox: mailbox(name),
        completeness: Completeness::Complete,
        folders: vec![folder("Inbox"), folder("Sent")],
        put,
        removed: Vec::new(),
    }
}

#[tokio::test]
async fn what_a_crash_kept_from_the_catalog_is_in_it_and_read_again_from_the_beginning() {
    on_each_database(async |control| {
        let tenant = with_two_mailboxes(&control).await;
        let ann = mailbox_id("ann");
        control.commit_round(&tenant, round("s1", None, "ann", 2)).await.unwrap();
        // Bob's mailbox is not in what follows.
        control.commit_round(&tenant, round("s1b", Some("s1"), "bob", 1)).await.unwrap();
        let sent = CursorMove::To(Cursor("sent".into()));
        let mut cursors = mailbox_commit("ann");
        cursors.item_cursors = HashMap::from([(folder_id("Sent"), sent)]);
        let cursors = RoundCommit {
            snapshot: None,
            parent: Some("s1b".into()),
            mailboxes: vec![cursors],
            traffic: Vec::new(),
            now: at(61),
        };
        control.commit_round(&tenant, cursors).await.unwrap();
        let of_bob = control.sync_state(&tenant, &mailbox_id("bob")).await.unwrap();
        let mut of_ann = changes("ann", vec![item(2, "Sent")]);
        of_ann.removed = vec![item_id(0)];
        let count = TrafficCount { minute: 7, direction: Direction::Outbound, count: 1 };
        let catch_up = CatchUp {
            from: Some("s1b".into()),
            snapshots: vec![
                SnapshotChanges { snapshot: snapshot("s2", 70), mailboxes: vec![of_ann] },
                SnapshotChanges {
                    snapshot: snapshot("s3", 80),
                    // A mailbox that only the vault knows.
                    mailboxes: vec![changes("cat", vec![item(3, "Inbox")])],
                },
            ],
            traffic: vec![count],
        };
        // Once more, as after a crash of the catching up itself.
        for _ in 0..2 {
            control.catch_up(&tenant, catch_up.clone()).await.unwrap();
        }
        assert_eq!(control.catalog_head(&tenant).await.unwrap().as_deref(), Some("s3"));
        let state = control.sync_state(&tenant, &ann).await.unwrap();
        // Something new lies in Sent. The inbox goes on from where it stood.
        let places: Vec<_> = state.item_cursors.into_keys().collect();
        assert_eq!((state.folder_cursor, places), (None, vec![folder_id("Inbox")]));
        assert_eq!(control.sync_state(&tenant, &mailbox_id("bob")).await.unwrap(), of_bob);
        let found = control.items(&tenant, &ann, &[item_id(0), item_id(1), item_id(2)]).await;
        let found = found.unwrap();
        assert_eq!((found.len(), &found[&item_id(2)]), (2, &item(2, "Sent")));
        let snapshots = control.snapshots(&tenant, None).await.unwrap();
        let sizes: Vec<_> = snapshots.iter().map(|s| (s.id.as_str(), s.items)).collect();
        assert_eq!(sizes, [("s1", 2), ("s1b", 3), ("s2", 3), ("s3", 4)]);
        assert_eq!(control.traffic(&tenant, 7, 8).await.unwrap(), [count]);
        assert_eq!(control.mailboxes(&tenant).await.unwrap()[2].first_seen, at(80));

        // The pass after it goes on from there.
        control.commit_round(&tenant, round("s4", Some("s3"), "ann", 1)).await.unwrap();
        let late = control.catch_up(&tenant, catch_up).await.unwrap_err();
        assert!(matches!(late, ControlError::HeadMoved { .. }), "{late}");
    })
    .await;
}

#[tokio::test]
async fn a_catch_up_that_fails_half_way_changes_nothing_and_succeeds_later() {
    on_each_database(async |control| {
        let tenant = with_two_mailboxes(&control).await;
        let ann = mailbox_id("ann");
        control.commit_round(&tenant, round("s1", None, "ann", 2)).await.unwrap();
        let before = control.sync_state(&tenant, &ann).await.unwrap();
        assert!(before.folder_cursor.is_some() && before.item_cursors.len() == 1);
        let first = changes("ann", vec![item(2, "Inbox")]);
        let second = changes("bob", vec![item(3, "Inbox")]);
        let mut broken = second.clone();
        broken.put = vec![item(3, "A folder that nobody lists")];
        let count = TrafficCount { minute: 7, direction: Direction::Inbound, count: 1 };
        let catch_up = |last: &MailboxChanges| CatchUp {
            from: Some("s1".into()),
            snapshots: vec![
                SnapshotChanges { snapshot: snapshot("s2", 70), mailboxes: vec![first.clone()] },
                SnapshotChanges { snapshot: snapshot("s3", 80), mailboxes: vec![last.clone()] },
            ],
            traffic: vec![count],
        };
        let refused = control.catch_up(&tenant, catch_up(&broken)).await.unwrap_err();
        assert!(matches!(refused, ControlError::Refused { .. }), "{refused}");
        assert_eq!(control.catalog_head(&tenant).await.unwrap().as_deref(), Some("s1"));
        assert_eq!(control.sync_state(&tenant, &ann).await.unwrap(), before);
        assert!(control.items(&tenant, &ann, &[item_id(2)]).await.unwrap().is_empty());
        assert_eq!(control.traffic(&tenant, 7, 8).await.unwrap(), []);

        // The catalog and what has to be read again change together.
        control.catch_up(&tenant, catch_up(&second)).await.unwrap();
        assert_eq!(control.catalog_head(&tenant).await.unwrap().as_deref(), Some("s3"));
        let after = control.sync_state(&tenant, &ann).await.unwrap();
        assert_eq!((after.folder_cursor, after.item_cursors.len()), (None, 0));
    })
    .await;
}

#[tokio::test]
async fn an_item_that_a_crash_kept_from_the_inspector_is_not_forgotten() {
    on_each_database(async |control| {
        let tenant = with_two_mailboxes(&control).await;
        let ann = mailbox_id("ann");
        control.commit_round(&tenant, round("s1", None, "ann", 2)).await.unwrap();
        let mut flagged = item(0, "Inbox");
        flagged.meta_key = "flagged".into();
        let catch_up = CatchUp {
            from: Some("s1".into()),
            snapshots: vec![SnapshotChanges {
                snapshot: snapshot("s2", 70),
                mailboxes: vec![changes("ann", vec![flagged, item(5, "Inbox"), item(6, "Inbox")])],
            }],
            traffic: Vec::new(),
        };
        control.catch_up(&tenant, catch_up).await.unwrap();
        // The one whose flag changed has the content that was inspected before.
        let open = control.uninspected(&tenant, &ann, 10).await.unwrap();
        assert_eq!(open, [item(5, "Inbox"), item(6, "Inbox")]);

        // A change of its flags must not pass for an inspection.
        let mut read = item(5, "Inbox");
        read.meta_key = "read".into();
        let mut next = round("s3", Some("s2"), "ann", 0);
        next.mailboxes[0].put = vec![read.clone()];
        control.commit_round(&tenant, next).await.unwrap();
        assert_eq!(control.uninspected(&tenant, &ann, 1).await.unwrap(), [read]);

        let clean = Verdict {
            verdict: VerdictKind::Clean,
            score: 0.0,
            findings: Vec::new(),
            not_inspected: Vec::new(),
        };
        let inspected = |number: usize, content_key: String| InspectedItem {
            item: item_id(number),
            content_key,
            message_id: None,
            verdict: clean.clone(),
        };
        let verdicts = vec![
            inspected(5, item(5, "Inbox").content_key),
            // Of an older content: that tells nothing about the one in the catalog.
            inspected(6, "older".into()),
        ];
        control.record_verdicts(&tenant, &ann, verdicts, at(90)).await.unwrap();
        assert_eq!(control.uninspected(&tenant, &ann, 10).await.unwrap(), [item(6, "Inbox")]);
        let counts = control.inspection_counts(&tenant).await.unwrap();
        let counts: Vec<_> = counts.iter().map(|c| (c.inspected, c.uninspected)).collect();
        assert_eq!(counts, [(3, 1), (0, 0)]);
    })
    .await;
}

#[tokio::test]
async fn a_catalog_is_rebuilt_from_the_vault_into_an_empty_database() {
    on_each_database(async |control| {
        control.add_tenant(new_tenant("acme")).await.unwrap();
        let tenant = tenant_name();
        let mut rebuild = control.start_rebuild(&tenant, at(0)).await.unwrap();
        let chunk = |from, to| changes("ann", (from..to).map(|n| item(n, "Inbox")).collect());
        rebuild.add(&[chunk(0, 1_000)]).await.unwrap();
        // The same chunk again, as after a failure whose outcome was not known.
        rebuild.add(&[chunk(0, 1_000)]).await.unwrap();
        rebuild.add(&[chunk(1_000, 1_500), changes("bob", Vec::new())]).await.unwrap();
        assert_eq!(control.catalog_head(&tenant).await.unwrap(), None);
        let rebuilt = |id: &str, seconds| RebuiltSnapshot {
            snapshot: snapshot(id, seconds),
            mailboxes: vec![SnapshotMailbox { mailbox: mailbox_id("ann"), put: 1, removed: 0 }],
            items: 1_500,
        };
        let count = TrafficCount { minute: 7, direction: Direction::Inbound, count: 3 };
        rebuild.finish(&[rebuilt("s1", 10), rebuilt("s2", 20)], &[count]).await.unwrap();

        assert_eq!(control.catalog_head(&tenant).await.unwrap().as_deref(), Some("s2"));
        assert_eq!(control.traffic(&tenant, 7, 8).await.unwrap(), [count]);
        let known = control.mailboxes(&tenant).await.unwrap();
        assert_eq!((known.len(), known[0].items, known[1].items), (2, 1_500, 0));
        let of_ann = control.snapshots(&tenant, Some(&mailbox_id("ann"))).await.unwrap();
        assert_eq!(of_ann.len(), 2);
        // Too late for another chunk.
        assert!(rebuild.add(&[chunk(0, 1)]).await.is_err());
    })
    .await;
}

#[tokio::test]
async fn a_rebuild_forgets_cursors_that_may_lead_past_the_vault() {
    on_each_database(async |control| {
        let tenant = with_two_mailboxes(&control).await;
        control.commit_round(&tenant, round("s1", None, "ann", 3)).await.unwrap();
        let mut rebuild = control.start_rebuild(&tenant, at(100)).await.unwrap();
        // Interrupted here: there is no head, and a round cannot be committed on the old one.
        assert_eq!(control.catalog_head(&tenant).await.unwrap(), None);
        let refused =
            control.commit_round(&tenant, round("s2", Some("s1"), "ann", 1)).await.unwrap_err();
        assert!(matches!(refused, ControlError::HeadMoved { .. }), "{refused}");
        assert!(control.snapshots(&tenant, None).await.unwrap().is_empty());

        rebuild.add(&[changes("ann", vec![item(0, "Inbox")])]).await.unwrap();
        let snapshot = snapshot("s0", 10);
        let rebuilt = RebuiltSnapshot { snapshot, mailboxes: Vec::new(), items: 1 };
        rebuild.finish(&[rebuilt], &[]).await.unwrap();
        let state = control.sync_state(&tenant, &mailbox_id("ann")).await.unwrap();
        assert_eq!((state.folder_cursor, state.item_cursors.len()), (None, 0));
        assert_eq!(state.folders.len(), 2);
        let found = control
            .items_in_folder(&tenant, &mailbox_id("ann"), &folder_id("Inbox"))
            .await
            .unwrap();
        assert_eq!(found, [item(0, "Inbox")]);
    })
    .await;
}
