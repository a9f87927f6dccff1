//! Canaries: sent once, recognised once, ended once.

use crate::common::{at, on_each_database, with_two_mailboxes};
use mailkeep_control::{AuditEntry, BegunCanary, CanaryEnd, CanarySeen, NewCanary};
use mailkeep_model::{Address, ItemId, MailboxId, TenantName};
use serde_json::json;

fn address(name: &str) -> Address {
    format!("{name}@own.example").parse().unwrap()
}

fn new(mark: u8, begun: i64) -> NewCanary {
    NewCanary {
        digest: [mark; 32],
        sender: address("probe"),
        recipient: address("ann"),
        begun: at(begun),
        deadline: at(begun + 60),
        to_be_removed: false,
    }
}

fn seen(item: &str) -> CanarySeen {
    CanarySeen {
        mailbox: MailboxId("mailbox".into()),
        item: ItemId(item.into()),
        inspected: true,
        at: at(7),
    }
}

fn end(outcome: &str) -> CanaryEnd {
    CanaryEnd { outcome: outcome.into(), note: "why".into(), at: at(9) }
}

#[tokio::test]
async fn a_canary_is_under_way_until_it_ends_and_no_second_one_goes_out_meanwhile() {
    on_each_database(async |control| {
        let tenant = with_two_mailboxes(&control).await;
        let BegunCanary::New(id) = control.begin_canary(&tenant, new(1, 0), None).await.unwrap()
        else {
            panic!("nothing is under way")
        };
        let second = control.begin_canary(&tenant, new(2, 1), None).await.unwrap();
        assert_eq!(second, BegunCanary::UnderWay(id));
        control.canary_sent(id, at(2)).await.unwrap();
        let stored = control.canary(id).await.unwrap().unwrap();
        assert_eq!((stored.begun, stored.deadline, stored.sent), (at(0), at(60), Some(at(2))));
        assert_eq!((stored.seen, stored.end), (None, None));

        assert!(control.end_canary(id, end("came_through")).await.unwrap());
        assert!(!control.end_canary(id, end("missed")).await.unwrap(), "it has ended");
        let last = control.last_canary(&tenant, "came_through").await.unwrap().unwrap();
        assert_eq!((last.id, last.end), (id, Some(end("came_through"))));
        assert_eq!(control.last_canary(&tenant, "missed").await.unwrap(), None);

        let third = control.begin_canary(&tenant, new(3, 100), None).await.unwrap();
        assert!(matches!(third, BegunCanary::New(next) if next > id));
        let all = control.canaries(&tenant, 10).await.unwrap();
        assert_eq!(all.iter().map(|one| one.digest[0]).collect::<Vec<_>>(), [3, 1]);
    })
    .await;
}

#[tokio::test]
async fn nobody_passes_mail_off_as_a_canary() {
    on_each_database(async |control| {
        let tenant = with_two_mailboxes(&control).await;
        control.begin_canary(&tenant, new(1, 0), None).await.unwrap();
        let recognise = async |mark: u8, sender: &str, to: &str, item: &str| {
            let (digest, to) = ([mark; 32], address(to));
            control.recognise_canary(&tenant, &digest, sender, &to, seen(item)).await.unwrap()
        };
        let probe = "Probe@own.example";
        assert!(!recognise(2, probe, "ann", "forged").await, "nobody sent that mark");
        assert!(!recognise(1, "eve@own.example", "ann", "forged").await, "another sender");
        assert!(!recognise(1, probe, "bob", "forged").await, "another mailbox");
        assert!(recognise(1, probe, "ann", "real").await);
        assert!(recognise(1, probe, "ann", "real").await, "it is read again after a crash");
        assert!(!recognise(1, probe, "ann", "copied").await, "the mark is used up");
        let items = control.canary_items(&tenant, &MailboxId("mailbox".into())).await.unwrap();
        assert_eq!(items, [ItemId("real".into())].into());
        let [one] = &control.canaries(&tenant, 10).await.unwrap()[..] else { panic!() };
        assert_eq!(one.seen, Some(seen("real")));
    })
    .await;
}

#[tokio::test]
async fn a_tenant_is_sent_canaries_only_while_it_has_a_plan() {
    on_each_database(async |control| {
        let tenant = with_two_mailboxes(&control).await;
        let entry = |tenant: &TenantName| AuditEntry {
            time: at(1),
            actor: "test".into(),
            action: "tenant.canary".into(),
            tenant: Some(tenant.clone()),
            details: json!({}),
        };
        assert_eq!(control.canary_plans().await.unwrap(), []);
        for every in [1, 2] {
            let plan = Some(json!({ "every": every }));
            control.set_canary_plan(&tenant, plan.clone(), entry(&tenant)).await.unwrap();
            assert_eq!(control.canary_plan(&tenant).await.unwrap(), plan);
        }
        assert_eq!(
            control.canary_plans().await.unwrap(),
            [(tenant.clone(), json!({ "every": 2 }))]
        );
        control.set_canary_plan(&tenant, None, entry(&tenant)).await.unwrap();
        assert_eq!(control.canary_plan(&tenant).await.unwrap(), None);
    })
    .await;
}
