//! Tenants and their mailboxes.

use crate::common::{at, mailbox, mailbox_id, new_tenant, on_each_database, round, tenant_name};
use mailkeep_control::{Completeness, ControlError, Departure, RoundCommit, TenantFunction};
use mailkeep_model::{
    Cursor, DirectoryUser, Function, Home, Mailbox, MailboxKind, MailboxSelection,
};

#[tokio::test]
async fn a_second_tenant_of_the_same_name_does_not_replace_the_first() {
    on_each_database(async |control| {
        let added = control.add_tenant(new_tenant("acme")).await.unwrap();
        let mut other = new_tenant("acme");
        other.directory_id = "somebody else".into();
        let refused = control.add_tenant(other).await.unwrap_err();
        assert!(matches!(refused, ControlError::AlreadyExists { .. }), "{refused}");
        assert_eq!(control.tenant(&tenant_name()).await.unwrap(), Some(added));
    })
    .await;
}

#[tokio::test]
async fn a_changed_tenant_is_read_back_as_it_was_written() {
    on_each_database(async |control| {
        let mut tenant = control.add_tenant(new_tenant("acme")).await.unwrap();
        control.add_tenant(new_tenant("a-first")).await.unwrap();
        tenant.domains = vec!["acme.example".into(), "acme.test".into()];
        tenant.ca_pem = Some("-----BEGIN CERTIFICATE-----".into());
        tenant.functions.push(TenantFunction {
            function: Function::Responder,
            client_id: "client-2".into(),
            key_id: "key-2".into(),
            thumbprint: "thumb-2".into(),
        });
        control.update_tenant(&tenant).await.unwrap();
        let all = control.tenants().await.unwrap();
        assert_eq!(all[0].name.as_str(), "a-first");
        assert_eq!(all[1], tenant);
        assert_eq!(control.tenant(&tenant.name).await.unwrap(), Some(tenant.clone()));

        tenant.name = "unknown".parse().unwrap();
        let unknown = control.update_tenant(&tenant).await.unwrap_err();
        assert!(matches!(unknown, ControlError::NotFound { .. }), "{unknown}");
        assert_eq!(control.tenant(&tenant.name).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn the_mailbox_of_a_leaver_is_marked_and_keeps_its_history() {
    on_each_database(async |control| {
        control.add_tenant(new_tenant("acme")).await.unwrap();
        let tenant = tenant_name();
        let (ann, bob) = (mailbox("ann"), mailbox("bob"));
        let first = control.merge_mailboxes(&tenant, &[ann.clone(), bob.clone()], at(0)).await;
        assert_eq!(first.unwrap().added, [ann.clone(), bob.clone()]);

        let left = control.merge_mailboxes(&tenant, std::slice::from_ref(&ann), at(10)).await;
        assert_eq!(left.unwrap().gone, std::slice::from_ref(&bob));
        // Still gone: it is reported once, and since the first time.
        let again = control.merge_mailboxes(&tenant, std::slice::from_ref(&ann), at(20)).await;
        assert!(again.unwrap().gone.is_empty());
        let known = control.mailboxes(&tenant).await.unwrap();
        assert_eq!(known.len(), 2);
        assert_eq!(known[1].mailbox, bob);
        assert_eq!((known[1].first_seen, known[1].gone_since), (at(0), Some(at(10))));
        assert_eq!(known[1].first_backup_complete, Completeness::Incomplete);
        assert!(control.sync_state(&tenant, &bob.id).await.unwrap().folders.is_empty());

        let back = control.merge_mailboxes(&tenant, &[ann, bob.clone()], at(30)).await.unwrap();
        assert_eq!((back.returned, back.added.len()), (vec![bob], 0));
        assert_eq!(control.mailboxes(&tenant).await.unwrap()[1].gone_since, None);
    })
    .await;
}

#[tokio::test]
async fn a_new_address_is_a_rename_and_not_another_mailbox() {
    on_each_database(async |control| {
        control.add_tenant(new_tenant("acme")).await.unwrap();
        let tenant = tenant_name();
        let before = mailbox("ann");
        control.merge_mailboxes(&tenant, std::slice::from_ref(&before), at(0)).await.unwrap();
        let after = Mailbox {
            address: "ann.lee@acme.example".parse().unwrap(),
            display_name: "Ann Lee".into(),
            ..before.clone()
        };
        // Listed twice: a provider's paging may do that.
        let merged = control.merge_mailboxes(&tenant, &[after.clone(), after.clone()], at(1)).await;
        let merged = merged.unwrap();
        assert_eq!(merged.renamed.len(), 1);
        assert_eq!(merged.renamed[0].from, before.address);
        assert_eq!(merged.renamed[0].mailbox, after);
        assert!(merged.added.is_empty() && merged.gone.is_empty());
        let known = control.mailboxes(&tenant).await.unwrap();
        assert_eq!(known.len(), 1);
        assert_eq!(known[0].mailbox, after);
    })
    .await;
}

#[tokio::test]
async fn a_mailbox_is_not_found_under_another_tenant() {
    on_each_database(async |control| {
        let tenant = crate::common::with_two_mailboxes(&control).await;
        control.add_tenant(new_tenant("other")).await.unwrap();
        let other = "other".parse().unwrap();
        let ann = mailbox_id("ann");
        assert!(control.sync_state(&tenant, &ann).await.is_ok());
        let refused = control.sync_state(&other, &ann).await.unwrap_err();
        assert!(matches!(refused, ControlError::NotFound { .. }), "{refused}");
        assert!(control.mailboxes(&other).await.unwrap().is_empty());
        assert!(control.items(&other, &ann, &[crate::common::item_id(1)]).await.is_err());
        let nobody = "nobody".parse().unwrap();
        assert!(control.catalog_head(&nobody).await.is_err());
        assert!(control.mailboxes(&nobody).await.is_err());
    })
    .await;
}

fn user(name: &str, home: Home, kind: Option<MailboxKind>) -> DirectoryUser {
    DirectoryUser { mailbox: mailbox(name), home, kind }
}

#[tokio::test]
async fn a_directory_is_read_back_as_it_was_told_and_only_what_changed_is_written() {
    on_each_database(async |control| {
        control.add_tenant(new_tenant("acme")).await.unwrap();
        let tenant = tenant_name();
        let mut directory = control.directory(&tenant).await.unwrap();
        assert_eq!((directory.cursor(), directory.began()), (None, None));
        for number in 0..1_100 {
            directory.put(user(&format!("user-{number}"), Home::Here, None));
        }
        directory.put(user("guest", Home::Elsewhere, Some(MailboxKind::Room)));
        directory.read_to(Cursor("first".into()), Some(at(5)));
        control.save_directory(&tenant, &directory).await.unwrap();

        let mut again = control.directory(&tenant).await.unwrap();
        assert_eq!((again.users().count(), again.changes().count()), (1_101, 0));
        let (cursor, guest) = (Cursor("first".into()), mailbox_id("guest"));
        assert_eq!((again.cursor(), again.began()), (Some(&cursor), Some(at(5))));
        assert_eq!(again.user(&guest), directory.user(&guest));
        again.remove(&guest);
        again.put(user("user-7", Home::Here, Some(MailboxKind::Shared)));
        again.read_to(Cursor("second".into()), None);
        control.save_directory(&tenant, &again).await.unwrap();
        // Of another tenant's users nothing is seen.
        control.add_tenant(new_tenant("other")).await.unwrap();
        let other = control.directory(&"other".parse().unwrap()).await.unwrap();
        assert_eq!((other.users().count(), other.cursor()), (0, None));

        let third = control.directory(&tenant).await.unwrap();
        assert_eq!((third.users().count(), third.began()), (1_100, Some(at(5))));
        let kind = third.user(&mailbox_id("user-7")).and_then(|user| user.kind);
        assert_eq!(kind, Some(MailboxKind::Shared));
    })
    .await;
}

#[tokio::test]
async fn a_selection_outlives_other_changes_of_its_tenant() {
    on_each_database(async |control| {
        let added = control.add_tenant(new_tenant("acme")).await.unwrap();
        assert!(control.selection(&added.name).await.unwrap().is_all());
        let selection = MailboxSelection {
            groups: vec!["Sales".into()],
            kinds: [MailboxKind::User].into(),
            exclude: ["bob@acme.example".parse().unwrap()].into(),
            ..MailboxSelection::default()
        };
        control.select_mailboxes(&added.name, &selection).await.unwrap();
        control.update_tenant(&added).await.unwrap();
        assert_eq!(control.selection(&added.name).await.unwrap(), selection);
        let unknown = control.select_mailboxes(&"nobody".parse().unwrap(), &selection).await;
        assert!(matches!(unknown, Err(ControlError::NotFound { .. })));
    })
    .await;
}

#[tokio::test]
async fn who_left_is_told_from_who_is_only_not_selected() {
    on_each_database(async |control| {
        let tenant = crate::common::with_two_mailboxes(&control).await;
        let mut directory = control.directory(&tenant).await.unwrap();
        directory.put(user("bob", Home::Here, None));
        control.save_directory(&tenant, &directory).await.unwrap();
        control.merge_mailboxes(&tenant, &[mailbox("carol")], at(1)).await.unwrap();
        let known = control.mailboxes(&tenant).await.unwrap();
        let departures: Vec<_> = known.iter().map(|known| known.departure).collect();
        assert_eq!(departures, [Some(Departure::Left), Some(Departure::Deselected), None]);
    })
    .await;
}

#[tokio::test]
async fn a_renamed_mailbox_is_marked_until_a_snapshot_has_its_new_address() {
    on_each_database(async |control| {
        let tenant = crate::common::with_two_mailboxes(&control).await;
        let ann = mailbox_id("ann");
        control.commit_round(&tenant, round("one", None, "ann", 1)).await.unwrap();
        let renamed = Mailbox { address: "lee@acme.example".parse().unwrap(), ..mailbox("ann") };
        let listed = [renamed, mailbox("bob")];
        control.merge_mailboxes(&tenant, &listed, at(1)).await.unwrap();
        control.merge_mailboxes(&tenant, &listed, at(2)).await.unwrap();
        assert!(control.sync_state(&tenant, &ann).await.unwrap().moved);
        let idle = RoundCommit { snapshot: None, ..round("none", Some("one"), "ann", 0) };
        control.commit_round(&tenant, idle).await.unwrap();
        assert!(control.sync_state(&tenant, &ann).await.unwrap().moved);
        control.commit_round(&tenant, round("two", Some("one"), "ann", 0)).await.unwrap();
        assert!(!control.sync_state(&tenant, &ann).await.unwrap().moved);
    })
    .await;
}
