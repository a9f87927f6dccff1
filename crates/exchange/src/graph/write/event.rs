//! Events as Graph's JSON.
//!
//! Graph invites whoever stands in `attendees` when an event is made or changed, and a restore must
//! send nothing: attendees and organizer are kept as a property of ours only.

use mailkeep_model::{
    Body, Event, Importance, Pattern, Recurrence, Response, Sensitivity, ShowAs, Until, WeekIndex,
    Weekday, ZonedTime,
};
use serde_json::{Map, Value, json};
use time::{Date, Duration, OffsetDateTime, PrimitiveDateTime};

use super::{ATTENDEES, Plan, add_property, serialized, uploads};

/// Longest value of a property of ours; Exchange refuses longer ones in this interface.
const LONGEST_PROPERTY: usize = 32_000;
/// Longest body that fits into a request with all the rest.
const LONGEST_BODY: usize = 3_000_000;

/// On which clock an event is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clock {
    /// As its author meant it.
    Own,
    /// In UTC, because Graph does not know the zone: what to add to its clock.
    Utc(Duration),
}

impl Clock {
    /// The offset that the zone had at the start, as the provider told it.
    pub(super) fn utc(event: &Event, begins: OffsetDateTime) -> Self {
        if event.all_day {
            return Self::Utc(Duration::ZERO);
        }
        Self::Utc(begins - event.start.local.assume_utc())
    }

    /// What the clock shows, and the zone to name.
    pub(super) fn show<'a>(&self, time: &'a ZonedTime) -> (PrimitiveDateTime, &'a str) {
        match self {
            Self::Own => (time.local, &time.zone),
            Self::Utc(shift) => (time.local.checked_add(*shift).unwrap_or(time.local), "UTC"),
        }
    }
}

pub(super) fn plan<'a>(
    event: &'a Event,
    attachments: impl FnOnce(&mut Vec<String>) -> Vec<uploads::NewFile>,
    clock: Clock,
) -> Plan<'a> {
    let mut lost = lost(event, clock);
    let mut fields = described(event);
    fields.insert("start".into(), zoned(&event.start, clock));
    fields.insert("end".into(), zoned(&event.end, clock));
    fields.insert("responseRequested".into(), json!(event.response_requested));
    if let Some(recurrence) = &event.recurrence {
        fields.insert("recurrence".into(), repeated(recurrence, event, clock));
    }
    if let Some(kept) = kept(event, &mut lost) {
        add_property(&mut fields, ATTENDEES, &kept);
    }
    let mut files = attachments(&mut lost);
    if serialized(&fields["body"]).len() > LONGEST_BODY {
        let (name, content_type, text) = match &event.body {
            Body::Text(text) => ("body.txt", "text/plain", text),
            Body::Html(html) => ("body.html", "text/html", html),
        };
        files.push(uploads::NewFile {
            name: name.into(),
            content_type: content_type.into(),
            bytes: text.clone().into_bytes(),
            ..uploads::NewFile::default()
        });
        fields.insert("body".into(), json!({ "contentType": "text", "content": "" }));
        lost.push("the text is too long for Microsoft Graph: it is attached as a file".into());
    }
    let files = uploads::attach(&mut fields, files);
    let uneven = !event.exceptions.is_empty() || !event.cancelled_occurrences.is_empty();
    let series = (event.recurrence.is_some() && uneven).then_some((event, clock));
    Plan { fields, files, series, lost, ..Plan::default() }
}

/// What can be written and is not a time: of an event, and of an occurrence.
pub(super) fn described(event: &Event) -> Map<String, Value> {
    let body = match &event.body {
        Body::Text(text) => json!({ "contentType": "text", "content": text }),
        Body::Html(html) => json!({ "contentType": "html", "content": html }),
    };
    let mut fields = Map::new();
    let mut set = |name: &str, value: Value| fields.insert(name.into(), value);
    set("subject", json!(event.subject));
    set("body", body);
    set("isAllDay", json!(event.all_day));
    set("categories", json!(event.categories));
    set("importance", json!(importance(event.importance)));
    set("sensitivity", json!(sensitivity(event.sensitivity)));
    if let Some(shown) = show_as(event.show_as) {
        set("showAs", json!(shown));
    }
    set("isReminderOn", json!(event.reminder_minutes.is_some()));
    if let Some(minutes) = event.reminder_minutes {
        set("reminderMinutesBeforeStart", json!(i32::try_from(minutes).unwrap_or(i32::MAX)));
    }
    let place = |name: &str| json!({ "displayName": name });
    match event.locations.as_slice() {
        [] => set("location", place("")),
        [one] => set("location", place(one)),
        several => set("locations", several.iter().map(|one| place(one)).collect()),
    };
    fields
}

/// Graph's `dateTimeTimeZone`.
pub(super) fn zoned(time: &ZonedTime, clock: Clock) -> Value {
    let (local, zone) = clock.show(time);
    json!({ "dateTime": local_text(local), "timeZone": zone })
}

pub(super) fn local_text(local: PrimitiveDateTime) -> String {
    let (hour, minute, second) = local.as_hms();
    format!("{}T{hour:02}:{minute:02}:{second:02}", local.date())
}

fn repeated(recurrence: &Recurrence, event: &Event, clock: Clock) -> Value {
    let (first, zone) = match clock {
        Clock::Own => (recurrence.first, recurrence.zone.as_str()),
        Clock::Utc(_) => {
            let moved = clock.show(&event.start).0.date() - event.start.local.date();
            (recurrence.first.checked_add(moved).unwrap_or(recurrence.first), "UTC")
        }
    };
    repeated_from(recurrence, first, zone)
}

/// Graph's `patternedRecurrence`, from a day on in a zone.
pub(super) fn repeated_from(recurrence: &Recurrence, first: Date, zone: &str) -> Value {
    let mut range = json!({ "startDate": first.to_string(), "recurrenceTimeZone": zone });
    range["type"] = match recurrence.until {
        Until::Never => json!("noEnd"),
        Until::Day(day) => {
            range["endDate"] = json!(day.to_string());
            json!("endDate")
        }
        Until::Count(count) => {
            range["numberOfOccurrences"] = json!(count);
            json!("numbered")
        }
    };
    json!({ "pattern": pattern(&recurrence.pattern), "range": range })
}

fn pattern(pattern: &Pattern) -> Value {
    let names = |days: &[Weekday]| days.iter().map(|day| json!(weekday(*day))).collect::<Value>();
    match pattern {
        Pattern::Daily { interval } => json!({ "type": "daily", "interval": interval }),
        Pattern::Weekly { interval, days, first_day } => json!({
            "type": "weekly",
            "interval": interval,
            "daysOfWeek": names(days),
            "firstDayOfWeek": weekday(*first_day),
        }),
        Pattern::AbsoluteMonthly { interval, day } => {
            json!({ "type": "absoluteMonthly", "interval": interval, "dayOfMonth": day })
        }
        Pattern::RelativeMonthly { interval, index, days } => json!({
            "type": "relativeMonthly",
            "interval": interval,
            "index": week_index(*index),
            "daysOfWeek": names(days),
        }),
        Pattern::AbsoluteYearly { interval, month, day } => json!({
            "type": "absoluteYearly",
            "interval": interval,
            "month": month,
            "dayOfMonth": day,
        }),
        Pattern::RelativeYearly { interval, month, index, days } => json!({
            "type": "relativeYearly",
            "interval": interval,
            "month": month,
            "index": week_index(*index),
            "daysOfWeek": names(days),
        }),
    }
}

/// Who was invited and what else Graph does not let be written, as a property of ours.
fn kept(event: &Event, lost: &mut Vec<String>) -> Option<String> {
    let mut kept = Map::new();
    if !event.attendees.is_empty() {
        kept.insert("organizer".into(), json!(event.organizer));
        kept.insert("isOrganizer".into(), json!(event.is_organizer));
        kept.insert("response".into(), json!(event.response));
        kept.insert("uid".into(), json!(event.uid));
    }
    if let Some(url) = &event.online_meeting_url {
        kept.insert("onlineMeetingUrl".into(), json!(url));
    }
    if kept.is_empty() {
        return None;
    }
    let mut count = event.attendees.len();
    loop {
        kept.insert("attendees".into(), json!(&event.attendees[..count]));
        let text = Value::Object(kept.clone()).to_string();
        if text.len() <= LONGEST_PROPERTY {
            if count < event.attendees.len() {
                lost.push(format!("only the first {count} attendees fit into that property"));
            }
            return Some(text);
        }
        if count == 0 {
            return None;
        }
        count /= 2;
    }
}

fn lost(event: &Event, clock: Clock) -> Vec<String> {
    let mut lost = Vec::new();
    if !event.attendees.is_empty() {
        lost.push(
            "attendees are kept as a property only: Microsoft Graph would send them invitations"
                .to_owned(),
        );
        if !event.is_organizer {
            lost.push(
                "it belongs to the mailbox now: its organizer is kept as a property only, and later \
                 updates from them make another event"
                    .into(),
            );
        }
    }
    match event.response {
        Response::None | Response::Organizer | Response::NotResponded => {}
        Response::Tentative => lost.push("the answer given to the invitation (tentative)".into()),
        Response::Accepted => lost.push("the answer given to the invitation (accepted)".into()),
        Response::Declined => lost.push("the answer given to the invitation (declined)".into()),
    }
    if event.cancelled {
        lost.push("that its organizer has called it off".into());
    }
    if event.online_meeting_url.is_some() {
        lost.push(
            "the event is no longer tied to its online meeting; the address is kept as a property"
                .into(),
        );
    }
    if event.exceptions.iter().any(|one| !one.event.attachments.is_empty()) {
        lost.push("attachments of single occurrences".into());
    }
    if clock != Clock::Own {
        lost.push(format!(
            "the time zone '{}', which Microsoft Graph does not know: the event is in UTC{}",
            event.start.zone.chars().take(100).collect::<String>(),
            if event.recurrence.is_some() {
                ", and its occurrences may be off where the zone's offset changes or crosses midnight"
            } else {
                ""
            }
        ));
    }
    lost
}

/// A day as `Until` and the list of cancelled occurrences have it, moved to the clock's zone.
pub(super) fn on_clock(day: Date, event: &Event, clock: Clock) -> PrimitiveDateTime {
    let original = PrimitiveDateTime::new(day, event.start.local.time());
    clock.show(&ZonedTime { local: original, zone: String::new() }).0
}

fn importance(importance: Importance) -> &'static str {
    match importance {
        Importance::Low => "low",
        Importance::Normal => "normal",
        Importance::High => "high",
    }
}

fn sensitivity(sensitivity: Sensitivity) -> &'static str {
    match sensitivity {
        Sensitivity::Normal => "normal",
        Sensitivity::Personal => "personal",
        Sensitivity::Private => "private",
        Sensitivity::Confidential => "confidential",
    }
}

/// `unknown` is told and cannot be set.
fn show_as(show_as: ShowAs) -> Option<&'static str> {
    Some(match show_as {
        ShowAs::Free => "free",
        ShowAs::Tentative => "tentative",
        ShowAs::Busy => "busy",
        ShowAs::Oof => "oof",
        ShowAs::WorkingElsewhere => "workingElsewhere",
        ShowAs::Unknown => return None,
    })
}

fn weekday(day: Weekday) -> &'static str {
    match day {
        Weekday::Monday => "monday",
        Weekday::Tuesday => "tuesday",
        Weekday::Wednesday => "wednesday",
        Weekday::Thursday => "thursday",
        Weekday::Friday => "friday",
        Weekday::Saturday => "saturday",
        Weekday::Sunday => "sunday",
    }
}

fn week_index(index: WeekIndex) -> &'static str {
    match index {
        WeekIndex::First => "first",
        WeekIndex::Second => "second",
        WeekIndex::Third => "third",
        WeekIndex::Fourth => "fourth",
        WeekIndex::Last => "last",
    }
}

#[cfg(test)]
#[path = "event_tests.rs"]
mod tests;
