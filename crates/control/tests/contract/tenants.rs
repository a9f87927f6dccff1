//! Tenants and their mailboxes.

use crate::common::{at, mailbox, mailbox_id, new_tenant, on_each_database, tenant_name};
use mailkeep_control::{Completeness, ControlError, TenantFunction};
use mailkeep_model::{Function, Mailbox};

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
