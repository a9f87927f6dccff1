//! Keys, logs and incidents.

use crate::common::{at, on_each_database, with_two_mailboxes};
use mailkeep_control::{FoundIncident, LogRecord, Recorded, StoredKeyState};
use mailkeep_model::Function;
use serde_json::{Value, json};

fn found(records: u64) -> FoundIncident {
    FoundIncident {
        key: "stolen_key/app/key".into(),
        kind: "stolen_key".into(),
        severity: "critical".into(),
        incident: json!({"records": records}),
    }
}

#[tokio::test]
async fn an_incident_is_kept_once_and_opens_again_when_there_is_more_of_it() {
    on_each_database(async |control| {
        let tenant = with_two_mailboxes(&control).await;
        let new = control.record_incident(&tenant, found(1), at(1)).await.unwrap();
        let Recorded::New(id) = new else { panic!("{new:?}") };
        let again = control.record_incident(&tenant, found(1), at(2)).await.unwrap();
        assert_eq!(again, Recorded::Known(id));

        assert!(control.close_incident(id, "a drill", at(3)).await.unwrap());
        assert!(!control.close_incident(id + 1, "none", at(3)).await.unwrap());
        let known = control.record_incident(&tenant, found(1), at(4)).await.unwrap();
        assert_eq!(known, Recorded::Known(id));
        assert_eq!(control.incident(id).await.unwrap().unwrap().closed, Some(at(3)));

        let grown = control.record_incident(&tenant, found(2), at(5)).await.unwrap();
        assert_eq!(grown, Recorded::Grown(id));
        let all = control.incidents(Some(&tenant)).await.unwrap();
        let [one] = &all[..] else { panic!("{all:?}") };
        assert_eq!((one.opened, one.changed, one.closed), (at(1), at(5), None));
        assert_eq!(one.incident, json!({"records": 2}));
        assert_eq!(control.incidents(None).await.unwrap(), all);
    })
    .await;
}

#[tokio::test]
async fn a_log_that_is_read_twice_is_kept_once() {
    on_each_database(async |control| {
        let tenant = with_two_mailboxes(&control).await;
        let record = |number: i64| LogRecord {
            id: format!("record-{number}"),
            at: at(number),
            record: json!(number),
        };
        let first: Vec<LogRecord<Value>> = (1..600).map(record).collect();
        control.keep_log_records(&tenant, "sign_ins", &first).await.unwrap();
        let second: Vec<LogRecord<Value>> = (500..700).map(record).collect();
        control.keep_log_records(&tenant, "sign_ins", &second).await.unwrap();
        let all: Vec<i64> = control.log_records(&tenant, "sign_ins", at(1)).await.unwrap();
        assert_eq!(all, (1..700).collect::<Vec<i64>>());
        let new: Vec<i64> = control.log_records(&tenant, "sign_ins", at(698)).await.unwrap();
        assert_eq!(new, [698, 699]);
        let other: Vec<i64> = control.log_records(&tenant, "mail", at(1)).await.unwrap();
        assert_eq!(other, [0; 0]);
    })
    .await;
}

#[tokio::test]
async fn what_is_known_of_a_key_and_what_was_ordered_is_there_after_a_restart() {
    on_each_database(async |control| {
        let tenant = with_two_mailboxes(&control).await;
        let key = |state: Value| StoredKeyState {
            key_id: "one".into(),
            function: Function::Reader,
            state,
        };
        control.note_key_state(&tenant, key(json!({"accepted": 1}))).await.unwrap();
        control.note_key_state(&tenant, key(json!({"accepted": 2}))).await.unwrap();
        assert_eq!(control.key_states(&tenant).await.unwrap(), [key(json!({"accepted": 2}))]);
        let reader = Function::Reader;
        assert_eq!(control.rotation_order(&tenant, reader).await.unwrap(), None);
        for order in [1, 2] {
            let entry = mailkeep_control::AuditEntry {
                time: at(1),
                actor: "test".into(),
                action: "identity.rotate".into(),
                tenant: Some(tenant.clone()),
                details: json!({}),
            };
            control.order_rotation(&tenant, reader, json!(order), entry).await.unwrap();
        }
        assert_eq!(control.rotation_order(&tenant, reader).await.unwrap(), Some(json!(2)));
        assert_eq!(control.watch(&tenant).await.unwrap(), None);
        for watch in [1, 2] {
            let change = |_| Ok(json!(watch));
            control.change_watch(&tenant, change).await.unwrap();
        }
        assert_eq!(control.watch(&tenant).await.unwrap(), Some(json!(2)));
        assert_eq!(control.setup(&tenant).await.unwrap(), None);
        for setup in [1, 2] {
            control.set_setup(&tenant, json!(setup)).await.unwrap();
        }
        assert_eq!(control.setup(&tenant).await.unwrap(), Some(json!(2)));
    })
    .await;
}

#[tokio::test]
async fn an_order_for_many_stays_open_until_it_is_done_and_what_fails_is_known_by_name() {
    on_each_database(async |control| {
        let tenant = with_two_mailboxes(&control).await;
        let first = control.open_fleet_order(at(1), json!({"all": 1})).await.unwrap();
        let second = control.open_fleet_order(at(2), json!({"all": 2})).await.unwrap();
        control.close_fleet_order(first, at(3)).await.unwrap();
        let open = control.fleet_orders().await.unwrap();
        let [one] = &open[..] else { panic!("{open:?}") };
        assert_eq!((one.id, one.opened, &one.wanted), (second, at(2), &json!({"all": 2})));

        let function = Function::Reader;
        for tries in [1, 2] {
            let failure = json!({ "tries": tries });
            control.note_rotation_failure(&tenant, function, Some(failure)).await.unwrap();
        }
        let failures = control.rotation_failures(None).await.unwrap();
        assert_eq!(failures, [(tenant.clone(), function, json!({"tries": 2}))]);
        control.note_rotation_failure(&tenant, function, None).await.unwrap();
        assert!(control.rotation_failures(Some(&tenant)).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_key_is_found_by_any_of_its_names_whoever_it_was_made_for() {
    on_each_database(async |control| {
        let tenant = with_two_mailboxes(&control).await;
        let state = json!({"known_as": ["one", "aabb"]});
        let key = StoredKeyState { key_id: "one".into(), function: Function::Auditor, state };
        control.note_key_state(&tenant, key.clone()).await.unwrap();
        for name in ["one", "AABB"] {
            assert_eq!(control.keys_called(name).await.unwrap(), [(tenant.clone(), key.clone())]);
        }
        assert!(control.keys_called("aab").await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_list_of_tenants_that_is_added_twice_adds_nobody_twice() {
    on_each_database(async |control| {
        let known = with_two_mailboxes(&control).await;
        let new = |name: String| mailkeep_control::NewTenant {
            name: name.parse().unwrap(),
            provider: mailkeep_model::ProviderKind::M365,
            directory_id: "directory".into(),
            authority: "https://login.example".into(),
            graph: "https://graph.example".into(),
            ca_pem: None,
            domains: Vec::new(),
            functions: Vec::new(),
            created: at(1),
        };
        let before = control.tenant(&known).await.unwrap();
        for count in [400, 700] {
            let names = (0..count).map(|number| format!("t{number}"));
            let list = names.chain([known.to_string()]).map(new).collect();
            control.add_tenants(list).await.unwrap();
            assert_eq!(control.tenants().await.unwrap().len(), count + 1);
        }
        assert_eq!(control.tenant(&known).await.unwrap(), before);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn notes_that_are_taken_at_the_same_time_are_all_there_also_when_some_are_given_up() {
    on_each_database(async |control| {
        let tenant = with_two_mailboxes(&control).await;
        let note = |number: usize| StoredKeyState {
            key_id: format!("key-{number:03}"),
            function: Function::Reader,
            state: json!({ "number": number }),
        };
        let mut running = tokio::task::JoinSet::new();
        for number in 0..200 {
            let (control, tenant, note) = (control.clone(), tenant.clone(), note(number));
            running.spawn(async move {
                let noted = control.note_key_state(&tenant, note);
                if number % 7 == 0 {
                    // Dropped somewhere on its way.
                    let pause = std::time::Duration::from_micros(number as u64 * 20);
                    return tokio::time::timeout(pause, noted).await.is_ok().then_some(number);
                }
                noted.await.unwrap();
                Some(number)
            });
        }
        let noted: Vec<usize> = running.join_all().await.into_iter().flatten().collect();
        assert!(noted.len() >= 171);
        let there = control.key_states(&tenant).await.unwrap();
        for number in noted {
            assert!(there.contains(&note(number)), "{number} is lost");
        }
        // A tenant that is unknown fails alone.
        let nobody = "nobody".parse().unwrap();
        assert!(control.note_key_state(&nobody, note(1)).await.is_err());
        control.note_key_state(&tenant, note(1)).await.unwrap();
    })
    .await;
}
