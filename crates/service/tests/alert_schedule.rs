//! What a destination is told, whatever happens in whatever order.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use mailkeep_control::Acknowledgement;
use mailkeep_sentry::Severity;
use mailkeep_service::{Alert, AlertEvent, Repeat, Rule, Told, due};
use proptest::prelude::*;
use time::{Duration, OffsetDateTime, macros::datetime};

const BEGIN: OffsetDateTime = datetime!(2026-11-23 09:14 UTC);

/// Something that happens between two looks.
#[derive(Clone, Debug)]
enum Step {
    Wait(i64),
    Open,
    Close,
    NewSign(u8),
    Severity(u8),
    Acknowledge(Option<i64>),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1_i64..200_000).prop_map(Step::Wait),
        1 => Just(Step::Open),
        1 => Just(Step::Close),
        1 => (0_u8..4).prop_map(Step::NewSign),
        1 => (0_u8..3).prop_map(Step::Severity),
        1 => proptest::option::of(60_i64..100_000).prop_map(Step::Acknowledge),
    ]
}

fn rule() -> impl Strategy<Value = Rule> {
    let repeat = prop_oneof![
        Just(Repeat::Growing),
        Just(Repeat::Never),
        (60_u32..100_000).prop_map(Repeat::EverySeconds),
    ];
    (0_u8..3, repeat, any::<bool>()).prop_map(|(floor, repeat, ours)| Rule {
        severity: severity(floor),
        tenants: if ours { vec!["acme".parse().unwrap()] } else { Vec::new() },
        repeat,
    })
}

fn severity(level: u8) -> Severity {
    [Severity::Notice, Severity::Warning, Severity::Critical][usize::from(level)]
}

fn alert() -> Alert {
    Alert {
        subject: "incident/1".into(),
        thread: "mailkeep-acme-incident-1-0".into(),
        tenant: Some("acme".parse().unwrap()),
        severity: Severity::Warning,
        since: BEGIN,
        closed: true,
        note: None,
        headline: "tenant acme: something happened".into(),
        signs: BTreeSet::from(["sign 0".to_owned()]),
        evidence: Vec::new(),
        next_step: "look".into(),
        shown_by: "mailkeep incidents show 1".into(),
    }
}

/// The longest that a destination may be left without a word.
fn patience(rule: &Rule, told: &Told) -> Option<Duration> {
    match rule.repeat {
        Repeat::Never => None,
        Repeat::EverySeconds(seconds) => Some(Duration::seconds(seconds.into())),
        Repeat::Growing => Some(match told.reminders {
            0 => Duration::minutes(15),
            1 => Duration::hours(1),
            2 => Duration::hours(4),
            _ => Duration::DAY,
        }),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_forgotten_nothing_is_said_for_nothing(
        rule in rule(),
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        let (mut now, mut alert) = (BEGIN, alert());
        let mut acknowledgement: Option<Acknowledgement> = None;
        let mut told: Option<Told> = None;
        let mut is_told_open = false;
        for step in steps {
            match step {
                Step::Wait(seconds) => now += Duration::seconds(seconds),
                Step::Open => alert.closed = false,
                Step::Close => {
                    alert.closed = true;
                    acknowledgement = None;
                }
                Step::NewSign(sign) => drop(alert.signs.insert(format!("sign {sign}"))),
                Step::Severity(level) => alert.severity = alert.severity.max(severity(level)),
                Step::Acknowledge(seconds) => {
                    now += Duration::SECOND;
                    acknowledgement = Some(Acknowledgement {
                        at: now,
                        who: "ann".into(),
                        until: seconds.map(|seconds| now + Duration::seconds(seconds)),
                        note: "on it".into(),
                    });
                }
            }
            let somebody_looks = acknowledgement
                .as_ref()
                .is_some_and(|one| one.until.is_none_or(|until| until > now));
            // A look says one thing about an alert; what else there is follows at the next ones.
            for look in 0.. {
                prop_assert!(look < 4, "it goes on and on");
                let before = told.clone();
                let Some(due) =
                    due(&rule, &alert, acknowledgement.as_ref(), told.as_ref(), false, now)
                else {
                    break;
                };
                match due.event {
                    AlertEvent::Opened => {
                        prop_assert!(!is_told_open && !alert.closed && !somebody_looks);
                        prop_assert!(alert.severity >= rule.severity);
                        is_told_open = true;
                    }
                    AlertEvent::Closed => {
                        prop_assert!(is_told_open && alert.closed && due.told.is_none());
                        is_told_open = false;
                    }
                    AlertEvent::Repeated => {
                        prop_assert!(is_told_open && !alert.closed && !somebody_looks);
                        prop_assert!(rule.repeat != Repeat::Never);
                        let before = before.as_ref().unwrap();
                        prop_assert!(now - before.last >= patience(&rule, before).unwrap());
                    }
                    AlertEvent::Grown => prop_assert!(is_told_open && due.news.is_some()),
                    AlertEvent::Acknowledged => prop_assert!(is_told_open && somebody_looks),
                    AlertEvent::Test => prop_assert!(false, "nobody asked for a test"),
                }
                told = due.told;
            }
            prop_assert_eq!(told.is_some(), is_told_open);
            match &told {
                None => prop_assert!(
                    alert.closed || somebody_looks || alert.severity < rule.severity,
                    "an alert was not told"
                ),
                Some(told) => {
                    prop_assert!(!alert.closed && told.severity == alert.severity);
                    prop_assert!(told.signs.is_superset(&alert.signs));
                    if !somebody_looks && let Some(longest) = patience(&rule, told) {
                        prop_assert!(now - told.last < longest, "nobody was reminded");
                    }
                }
            }
        }
    }

    #[test]
    fn another_tenants_alert_is_not_told(level in 0_u8..3) {
        let open = Alert { closed: false, severity: severity(level), ..alert() };
        let others = Rule {
            severity: Severity::Notice,
            tenants: vec!["globex".parse().unwrap()],
            repeat: Repeat::Growing,
        };
        prop_assert_eq!(due(&others, &open, None, None, false, BEGIN), None);
    }
}

#[test]
fn reminders_come_after_longer_and_longer_and_say_whose_time_has_passed() {
    let rule = Rule { severity: Severity::Notice, tenants: Vec::new(), repeat: Repeat::Growing };
    let open = Alert { closed: false, ..alert() };
    let mut told = due(&rule, &open, None, None, false, BEGIN).unwrap().told;
    let (mut now, mut waits) = (BEGIN, Vec::new());
    while waits.len() < 5 {
        now += Duration::minutes(15);
        if let Some(due) = due(&rule, &open, None, told.as_ref(), false, now) {
            assert_eq!(due.event, AlertEvent::Repeated);
            waits.push((now - told.unwrap().last).whole_minutes());
            told = due.told;
        }
    }
    assert_eq!(waits, [15, 60, 240, 1440, 1440]);

    let until = Some(now + Duration::hours(2));
    let ack = Acknowledgement { at: now, who: "ann".into(), until, note: "on it".into() };
    let said = due(&rule, &open, Some(&ack), told.as_ref(), false, now).unwrap();
    assert_eq!(said.event, AlertEvent::Acknowledged);
    assert!(said.news.unwrap().contains("ann looks after it until"));
    let quiet = now + Duration::minutes(119);
    assert_eq!(due(&rule, &open, Some(&ack), said.told.as_ref(), false, quiet), None);
    let after = now + Duration::minutes(120);
    let said = due(&rule, &open, Some(&ack), said.told.as_ref(), false, after).unwrap();
    assert_eq!(said.event, AlertEvent::Repeated);
    assert!(said.news.unwrap().contains("that time has passed"));
}

#[test]
fn a_reminder_does_not_pile_up_behind_what_has_not_arrived() {
    let rule =
        Rule { severity: Severity::Notice, tenants: Vec::new(), repeat: Repeat::EverySeconds(60) };
    let open = Alert { closed: false, ..alert() };
    let told = due(&rule, &open, None, None, false, BEGIN).unwrap().told;
    let later = BEGIN + Duration::DAY;
    assert_eq!(due(&rule, &open, None, told.as_ref(), true, later), None);
    let closed = Alert { closed: true, ..open };
    let said = due(&rule, &closed, None, told.as_ref(), true, later).unwrap();
    assert_eq!(said.event, AlertEvent::Closed);
}

#[test]
fn a_clock_that_was_put_back_does_not_keep_us_silent() {
    let rule = Rule { severity: Severity::Notice, tenants: Vec::new(), repeat: Repeat::Growing };
    let open = Alert { closed: false, ..alert() };
    let future = BEGIN + Duration::days(3000);
    let told = due(&rule, &open, None, None, false, future).unwrap().told;
    assert!(due(&rule, &open, None, told.as_ref(), false, BEGIN).is_some());
}
