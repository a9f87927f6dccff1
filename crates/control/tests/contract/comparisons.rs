//! Whether the catalog holds as many items as the provider counts.

use std::collections::{HashMap, HashSet};

use crate::common::{
    at, folder_id, item, item_id, mailbox_commit, mailbox_id, new_tenant, on_each_database, round,
    snapshot, with_two_mailboxes,
};
use mailkeep_control::{Comparison, Control, CursorMove, MailboxCommit, RoundCommit, Skip};
use mailkeep_model::{Cursor, ItemKind, TenantName};
use sea_orm::ConnectionTrait;

/// Ends a pass over `ann` in which the provider counted `inbox` items in the inbox.
async fn pass(control: &Control, tenant: &TenantName, inbox: u64, compared: bool, second: i64) {
    let names = if compared { vec![folder_id("Inbox")] } else { Vec::new() };
    let mailbox = MailboxCommit {
        counts: HashMap::from([(folder_id("Inbox"), inbox), (folder_id("Elsewhere"), 7)]),
        compared: HashSet::from_iter(names),
        ..mailbox_commit("ann")
    };
    let parent = control.catalog_head(tenant).await.unwrap();
    let mailboxes = vec![mailbox];
    let now = at(second);
    let round = RoundCommit { snapshot: None, parent, mailboxes, traffic: Vec::new(), now };
    control.commit_round(tenant, round).await.unwrap();
}

async fn inbox(control: &Control, tenant: &TenantName) -> Comparison {
    let state = control.sync_state(tenant, &mailbox_id("ann")).await.unwrap();
    state.comparisons[&folder_id("Inbox")]
}

#[tokio::test]
async fn a_folder_with_fewer_items_than_the_provider_counts_is_doubted_until_it_was_compared() {
    on_each_database(async |control| {
        let tenant = with_two_mailboxes(&control).await;
        let mut first = round("s1", None, "ann", 3);
        // One that could not be read is known to be there. Of the other, an older state is kept.
        let skip = |number| Skip {
            item: item_id(number),
            kind: ItemKind::Message,
            folder: Some(folder_id("Inbox")),
            error: "unreadable".into(),
        };
        first.mailboxes[0].skipped = vec![skip(9), skip(0)];
        first.mailboxes[0].compared = HashSet::from([folder_id("Inbox")]);
        control.commit_round(&tenant, first).await.unwrap();
        let comparison = |second, doubts| Comparison { last: Some(at(second)), doubts };
        for second in 70..73 {
            pass(&control, &tenant, 4, false, second).await;
            assert_eq!(inbox(&control, &tenant).await, comparison(60, 0));
        }
        for (second, doubts) in [(80, 1), (81, 2), (82, 3)] {
            pass(&control, &tenant, 6, false, second).await;
            assert_eq!(inbox(&control, &tenant).await, comparison(60, doubts));
        }
        // Nothing is known of Bob's folders of the same names.
        let bob = control.sync_state(&tenant, &mailbox_id("bob")).await.unwrap();
        assert!(bob.comparisons.is_empty());

        let mut found = round("s2", Some("s1"), "ann", 5);
        found.mailboxes[0].compared = HashSet::from([folder_id("Inbox")]);
        found.mailboxes[0].counts = HashMap::from([(folder_id("Inbox"), 6)]);
        found.now = at(90);
        control.commit_round(&tenant, found).await.unwrap();
        assert_eq!(inbox(&control, &tenant).await, comparison(90, 0));
        // Two that are no mail: comparing changes nothing, and is not done again for their sake.
        for second in 100..102 {
            pass(&control, &tenant, 8, false, second).await;
        }
        assert_eq!(inbox(&control, &tenant).await, comparison(90, 2));
        pass(&control, &tenant, 8, true, 103).await;
        pass(&control, &tenant, 8, false, 104).await;
        assert_eq!(inbox(&control, &tenant).await, comparison(103, 0));
    })
    .await;
}

#[tokio::test]
async fn when_the_tree_was_compared_is_kept_and_does_not_make_a_first_backup_incomplete() {
    on_each_database(async |control| {
        let tenant = with_two_mailboxes(&control).await;
        let ann = mailbox_id("ann");
        let before = control.sync_state(&tenant, &ann).await.unwrap();
        assert_eq!(before.tree_compared, None);
        assert_eq!(before.completeness, mailkeep_control::Completeness::Incomplete);
        let mut first = round("s1", None, "ann", 1);
        first.mailboxes[0].tree_compared = Some(at(50));
        control.commit_round(&tenant, first).await.unwrap();
        let mut next = round("s2", Some("s1"), "ann", 1);
        next.snapshot = Some(snapshot("s2", 70));
        next.mailboxes[0].folder_cursor = CursorMove::Forget;
        control.commit_round(&tenant, next).await.unwrap();
        let after = control.sync_state(&tenant, &ann).await.unwrap();
        assert_eq!((after.tree_compared, after.folder_cursor), (Some(at(50)), None));
        assert_eq!(after.completeness, mailkeep_control::Completeness::Complete);
    })
    .await;
}

#[tokio::test]
async fn a_database_of_an_earlier_version_keeps_its_cursors_and_is_not_compared_all_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let control = Control::open(directory.path()).await.unwrap();
    let tenant = with_two_mailboxes(&control).await;
    control.commit_round(&tenant, round("s1", None, "ann", 2)).await.unwrap();
    control.close().await.unwrap();
    let file = format!("sqlite://{}", directory.path().join("control.sqlite").display());
    let raw = sea_orm::Database::connect(file).await.unwrap();
    for statement in [
        "ALTER TABLE mailboxes DROP COLUMN tree_compared",
        "ALTER TABLE folders DROP COLUMN compared",
        "ALTER TABLE folders DROP COLUMN surplus",
        "ALTER TABLE folders DROP COLUMN explained_surplus",
        "ALTER TABLE folders DROP COLUMN doubts",
        "DELETE FROM seaql_migrations WHERE version = '0003_comparisons'",
    ] {
        raw.execute_unprepared(statement).await.unwrap();
    }
    raw.close().await.unwrap();

    let control = Control::open(directory.path()).await.unwrap();
    let state = control.sync_state(&tenant, &mailbox_id("ann")).await.unwrap();
    let cursor = Cursor("inbox after s1".into());
    assert_eq!(state.item_cursors, HashMap::from([(folder_id("Inbox"), cursor)]));
    assert!(state.tree_compared.is_some());
    let is_known = |one: &Comparison| one.last.is_some() && one.doubts == 0;
    assert!(state.comparisons.values().all(is_known), "{:?}", state.comparisons);
    // A tenant that is added later has compared nothing yet.
    control.add_tenant(new_tenant("later")).await.unwrap();
    let later = "later".parse().unwrap();
    control.merge_mailboxes(&later, &[crate::common::mailbox("cat")], at(0)).await.unwrap();
    let state = control.sync_state(&later, &mailbox_id("cat")).await.unwrap();
    assert_eq!(state.tree_compared, None);
    control.close().await.unwrap();
}

#[tokio::test]
async fn a_count_of_a_folder_that_has_nothing_is_compared_with_nothing() {
    on_each_database(async |control| {
        let tenant = with_two_mailboxes(&control).await;
        control.commit_round(&tenant, round("s1", None, "ann", 0)).await.unwrap();
        pass(&control, &tenant, 0, false, 70).await;
        assert_eq!(inbox(&control, &tenant).await.doubts, 0);
        pass(&control, &tenant, 1, false, 71).await;
        assert_eq!(inbox(&control, &tenant).await.doubts, 1);
        let put = vec![item(0, "Inbox")];
        let mailbox = MailboxCommit {
            put,
            counts: HashMap::from([(folder_id("Inbox"), 1)]),
            ..mailbox_commit("ann")
        };
        let round = RoundCommit {
            snapshot: Some(snapshot("s2", 72)),
            parent: Some("s1".into()),
            mailboxes: vec![mailbox],
            traffic: Vec::new(),
            now: at(72),
        };
        control.commit_round(&tenant, round).await.unwrap();
        assert_eq!(inbox(&control, &tenant).await.doubts, 0);
    })
    .await;
}
