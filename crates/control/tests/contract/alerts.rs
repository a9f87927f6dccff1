//! Whom alerts are told to, and what waits for them.

use crate::common::{at, on_each_database, with_two_mailboxes};
use mailkeep_control::{
    Acknowledgement, AlertDestination, Attempt, Control, ControlError, FoundIncident,
    NewAlertDestination, Recorded, Telling, incident_subject,
};
use serde_json::json;

async fn add(control: &Control, name: &str) -> i64 {
    let new = NewAlertDestination {
        name: name.into(),
        kind: "slack".into(),
        host: "hooks.example".into(),
        settings: json!({"severity": "warning"}),
    };
    control.add_alert_destination(new, at(0)).await.unwrap();
    health(control, name).await.id
}

async fn health(control: &Control, name: &str) -> AlertDestination {
    let all = control.alert_destinations().await.unwrap();
    all.into_iter().find(|one| one.name == name).unwrap()
}

fn telling(subject: &str, delivery: &str) -> Telling {
    Telling {
        subject: subject.into(),
        delivery: delivery.into(),
        message: json!({"says": delivery}),
        told: Some(json!(delivery)),
    }
}

#[tokio::test]
async fn what_waits_for_a_destination_goes_in_order_and_waits_for_no_other_one() {
    on_each_database(async |control| {
        let (a, b) = (add(&control, "a").await, add(&control, "b").await);
        for (destination, deliveries) in [(a, ["1", "2"]), (b, ["3", "4"])] {
            assert!(
                control.claim_alert_destination(destination, "x", at(0), at(60)).await.unwrap()
            );
            let tellings = deliveries.map(|one| telling(&format!("incident/{one}"), one)).to_vec();
            assert!(control.queue_alerts(destination, "x", tellings, at(1)).await.unwrap());
        }
        let first = control.next_alert(a).await.unwrap().unwrap();
        assert_eq!((first.delivery.as_str(), first.attempts), ("1", 0));
        let failed = Attempt::Failed { error: "timed out".into(), retry_at: at(30) };
        control.note_alert_attempt(a, first.id, failed.clone(), at(2)).await.unwrap();
        control.note_alert_attempt(a, first.id, failed, at(3)).await.unwrap();
        let again = control.next_alert(a).await.unwrap().unwrap();
        assert_eq!((again.delivery.as_str(), again.attempts), ("1", 2));
        let failing = health(&control, "a").await;
        assert_eq!((failing.failing_since, failing.failures), (Some(at(2)), 2));
        assert_eq!((failing.retry_at, failing.waiting), (Some(at(30)), 2));
        assert_eq!(failing.error.as_deref(), Some("timed out"));
        assert_eq!(health(&control, "b").await.failing_since, None);

        control.note_alert_attempt(a, first.id, Attempt::Arrived, at(31)).await.unwrap();
        let healthy = health(&control, "a").await;
        assert_eq!((healthy.failing_since, healthy.failures, healthy.waiting), (None, 0, 1));
        assert_eq!((healthy.delivered, healthy.error), (Some(at(31)), None));
        assert_eq!(control.next_alert(a).await.unwrap().unwrap().delivery, "2");
    })
    .await;
}

#[tokio::test]
async fn a_delivery_that_is_given_up_holds_up_nothing_and_is_counted() {
    on_each_database(async |control| {
        let id = add(&control, "a").await;
        control.claim_alert_destination(id, "x", at(0), at(60)).await.unwrap();
        let tellings = (0..103).map(|n| telling("incident/1", &n.to_string())).collect();
        control.queue_alerts(id, "x", tellings, at(1)).await.unwrap();
        for _ in 0..102 {
            let next = control.next_alert(id).await.unwrap().unwrap();
            let given_up = Attempt::GivenUp { error: "400".into() };
            control.note_alert_attempt(id, next.id, given_up, at(2)).await.unwrap();
        }
        assert_eq!(control.next_alert(id).await.unwrap().unwrap().delivery, "102");
        let seen = health(&control, "a").await;
        assert_eq!((seen.waiting, seen.set_aside), (1, 100));
    })
    .await;
}

#[tokio::test]
async fn two_processes_do_not_deliver_to_a_destination_at_the_same_time() {
    on_each_database(async |control| {
        let id = add(&control, "a").await;
        let claim = async |who, now, until| {
            control.claim_alert_destination(id, who, at(now), at(until)).await.unwrap()
        };
        assert!(claim("x", 0, 60).await);
        assert!(!claim("y", 59, 100).await);
        assert!(claim("x", 59, 70).await);
        // Whoever died does not hold it for ever.
        assert!(claim("y", 70, 130).await);
        let late = vec![telling("incident/1", "1")];
        assert!(!control.queue_alerts(id, "x", late, at(71)).await.unwrap());
        assert!(control.alerts_waiting(id).await.unwrap().is_empty());
        control.release_alert_destination(id, "x").await.unwrap();
        assert!(!claim("x", 72, 100).await);
        control.release_alert_destination(id, "y").await.unwrap();
        assert!(claim("x", 73, 100).await);
    })
    .await;
}

#[tokio::test]
async fn what_was_told_is_noted_with_what_waits_and_goes_with_its_destination() {
    on_each_database(async |control| {
        let id = add(&control, "a").await;
        control.claim_alert_destination(id, "x", at(0), at(60)).await.unwrap();
        let tellings = vec![telling("incident/1", "1"), telling("incident/1", "2")];
        control.queue_alerts(id, "x", tellings, at(1)).await.unwrap();
        let told = control.alerts_told(id).await.unwrap();
        assert_eq!(told, [("incident/1".to_owned(), json!("2"))]);
        let waiting = control.alerts_waiting(id).await.unwrap();
        assert_eq!(waiting, ["incident/1", "incident/1"]);
        let closed = Telling { told: None, ..telling("incident/1", "3") };
        control.queue_alerts(id, "x", vec![closed], at(2)).await.unwrap();
        assert!(control.alerts_told(id).await.unwrap().is_empty());
        let same = NewAlertDestination {
            name: "a".into(),
            kind: "json".into(),
            host: String::new(),
            settings: json!({}),
        };
        let refused = control.add_alert_destination(same, at(3)).await.unwrap_err();
        assert!(matches!(refused, ControlError::AlreadyExists { .. }), "{refused}");
        assert!(control.remove_alert_destination("a").await.unwrap());
        assert!(!control.remove_alert_destination("a").await.unwrap());
        assert!(control.alerts_waiting(id).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn nobody_looks_after_an_incident_that_was_closed_and_opened_again() {
    on_each_database(async |control| {
        let tenant = with_two_mailboxes(&control).await;
        let found = |records: u64| FoundIncident {
            key: "key".into(),
            kind: "stolen_key".into(),
            severity: "critical".into(),
            incident: json!({"records": records}),
        };
        let new = control.record_incident(&tenant, found(1), at(1)).await.unwrap();
        let Recorded::New(id) = new else { panic!("{new:?}") };
        let subject = incident_subject(id);
        let by = |who: &str| Acknowledgement {
            at: at(2),
            who: who.into(),
            until: Some(at(9)),
            note: "on it".into(),
        };
        control.acknowledge(&subject, by("ann")).await.unwrap();
        control.acknowledge(&subject, by("bob")).await.unwrap();
        assert_eq!(control.acknowledgements().await.unwrap()[&subject], by("bob"));
        assert_eq!(control.open_incidents().await.unwrap().len(), 1);
        control.close_incident(id, "done", at(3)).await.unwrap();
        assert!(control.open_incidents().await.unwrap().is_empty());
        control.record_incident(&tenant, found(2), at(4)).await.unwrap();
        assert_eq!(control.open_incidents().await.unwrap().len(), 1);
        assert!(control.acknowledgements().await.unwrap().is_empty());
    })
    .await;
}
