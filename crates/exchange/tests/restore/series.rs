//! Series whose occurrences were moved, changed and cancelled.

use mailkeep_model::{Event, Exception, FolderKind, Pattern, Recurrence, Until, Weekday};
use serde_json::{Value, json};
use time::{
    Date, PrimitiveDateTime,
    macros::{date, datetime, time},
};

use crate::{
    outlook::{ZONE, appointment, at, kept, times},
    world::{self, World},
};

/// Mondays at ten, eight of them from 2026-11-02 on.
fn mondays() -> Event {
    let mut series = appointment("Mondays");
    series.start = at(datetime!(2026-11-02 10:00));
    series.end = at(datetime!(2026-11-02 10:30));
    series.recurrence = Some(Recurrence {
        pattern: Pattern::Weekly {
            interval: 1,
            days: vec![Weekday::Monday],
            first_day: Weekday::Monday,
        },
        first: date!(2026 - 11 - 02),
        until: Until::Count(8),
        zone: ZONE.into(),
    });
    series
}

/// The occurrence of a day takes place on another one, under another name.
fn moved(day: Date, to: Date) -> Exception {
    let ten = |day: Date| PrimitiveDateTime::new(day, time!(10:00));
    let mut event = appointment(&format!("Moved from {day}"));
    (event.start, event.end) = (at(ten(to)), at(ten(to).replace_time(time!(10:30))));
    Exception { original: at(ten(day)), event }
}

/// Which occurrence takes place when.
fn exceptions(event: &Value) -> Vec<(&str, &str, &str)> {
    let all = event["exceptions"].as_array().unwrap().iter();
    all.map(|one| {
        let text = |name: &str| one[name].as_str().unwrap();
        (text("original_date"), &times(one)[0][..10], text("subject"))
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn occurrences_that_were_moved_past_where_others_were_are_moved_there_again() {
    let world = World::new().await;
    let calendar = world.folder(FolderKind::Calendar, "Restored").await;
    let mut series = mondays();
    series.cancelled_occurrences = vec![date!(2026 - 11 - 23), date!(2026 - 12 - 07)];
    series.exceptions = vec![
        // Two that go on, each past where the next one was.
        moved(date!(2026 - 11 - 02), date!(2026 - 11 - 10)),
        moved(date!(2026 - 11 - 09), date!(2026 - 11 - 17)),
        // Onto and past a day that was cancelled.
        moved(date!(2026 - 11 - 16), date!(2026 - 11 - 24)),
        // Back past a cancelled one, and another one behind it.
        moved(date!(2026 - 12 - 14), date!(2026 - 12 - 03)),
        moved(date!(2026 - 12 - 21), date!(2026 - 12 - 11)),
    ];
    let created = world.create(&calendar, &world::event(series), &[], &[]).await.unwrap();
    assert_eq!(created.lost, Vec::<String>::new());
    let event = kept(&world, &calendar, "Mondays").await;
    assert_eq!(event["cancelled"], json!(["2026-11-23", "2026-12-07"]));
    let expected = [
        ("2026-11-02", "2026-11-10", "Moved from 2026-11-02"),
        ("2026-11-09", "2026-11-17", "Moved from 2026-11-09"),
        ("2026-11-16", "2026-11-24", "Moved from 2026-11-16"),
        ("2026-12-14", "2026-12-03", "Moved from 2026-12-14"),
        ("2026-12-21", "2026-12-11", "Moved from 2026-12-21"),
    ];
    assert_eq!(exceptions(&event), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_that_is_refused_for_good_costs_the_time_and_nothing_else() {
    let world = World::new().await;
    let calendar = world.folder(FolderKind::Calendar, "Restored").await;
    let mut series = mondays();
    // Where the one of the 23rd stays.
    series.exceptions = vec![moved(date!(2026 - 11 - 09), date!(2026 - 11 - 23))];
    let created = world.create(&calendar, &world::event(series), &[], &[]).await.unwrap();
    let [lost] = &created.lost[..] else { panic!("{:?}", created.lost) };
    assert!(lost.starts_with("the changed time of the occurrence of 2026-11-09: "), "{lost}");
    let event = kept(&world, &calendar, "Mondays").await;
    assert_eq!(exceptions(&event), [("2026-11-09", "2026-11-09", "Moved from 2026-11-09")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_occurrence_that_cannot_be_deleted_does_not_cost_the_series() {
    for refusal in [
        json!({"operation": "event.delete", "status": 400, "code": "ErrorInvalidRequest", "times": 1}),
        json!({"operation": "event.delete", "status": 403, "code": "ErrorAccessDenied", "times": 1}),
    ] {
        let world = World::new().await;
        let calendar = world.folder(FolderKind::Calendar, "Restored").await;
        let mut series = mondays();
        series.cancelled_occurrences = vec![date!(2026 - 11 - 09), date!(2026 - 11 - 16)];
        world.fails(json!([refusal])).await;
        let created = world.create(&calendar, &world::event(series), &[], &[]).await.unwrap();
        let [lost] = &created.lost[..] else { panic!("{:?}", created.lost) };
        assert!(lost.starts_with("that the occurrence of 2026-11-09 was deleted: "), "{lost}");
        let event = kept(&world, &calendar, "Mondays").await;
        assert_eq!(event["id"], created.id.0);
        assert_eq!(event["cancelled"], json!(["2026-11-16"]));
    }
}
