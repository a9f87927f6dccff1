use std::io::{self, Write};

use mailkeep_model::{
    Attachment, Attendee, Body, Event, Exception, Importance, Person, Response, Role, Sensitivity,
    ShowAs, Until, ZonedTime,
};
use time::{Duration, OffsetDateTime, PrimitiveDateTime, UtcOffset};

use super::{
    html,
    rule::{rrule, weekday},
    text::{Lines, in_memory},
    zones::{Needed, Zone, day, stamp, utc},
};
use crate::stored::short_hash;

/// What a calendar begins with, before its zones and events.
pub(crate) const BEGIN_CALENDAR: &str =
    "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Mailkeep//Mailkeep//EN\r\nCALSCALE:GREGORIAN\r\n";
/// What it ends with.
pub(crate) const END_CALENDAR: &str = "END:VCALENDAR\r\n";

/// An event as iCalendar (RFC 5545, RFC 7986): the zones that it uses, the event or series with its
/// attachments inside, and one more `VEVENT` for each occurrence that differs.
///
/// `attachments` are in the order of [`Event::attachments`]. Times stay in their zone; those of a
/// series are in the zone of its recurrence, in which its days are counted. A zone that has no
/// rules known to us is written as floating time with the zone's name in a parameter. Equal input
/// gives equal bytes.
pub fn icalendar(event: &Event, attachments: &[Attachment]) -> Vec<u8> {
    in_memory(|out| write_icalendar(event, attachments, out))
}

/// Writes an event as [`icalendar`] does, in small pieces: attachments are not held twice.
///
/// # Errors
/// What `out` fails with.
pub fn write_icalendar(
    event: &Event,
    attachments: &[Attachment],
    out: &mut dyn Write,
) -> io::Result<()> {
    let series = Series::new(event);
    let mut needed = Needed::default();
    series.note_zones(event, &mut needed);
    let mut lines = Lines::to(out);
    lines.whole(BEGIN_CALENDAR);
    needed.write(&mut lines);
    let uid = event.uid.clone().unwrap_or_else(|| made_up_uid(event));
    lines.begin("VEVENT");
    about(&mut lines, &uid, event.created, event.modified);
    when(&mut lines, event.all_day, &series.start, &series.end);
    series.recurrence(&mut lines, event);
    details(&mut lines, event);
    for attachment in attachments {
        attach(&mut lines, attachment);
    }
    alarm(&mut lines, event);
    lines.end("VEVENT");
    for exception in &event.exceptions {
        let changed = &exception.event;
        lines.begin("VEVENT");
        about(&mut lines, &uid, changed.created, changed.modified);
        series.recurrence_id(&mut lines, event, exception);
        when(&mut lines, changed.all_day, &Moment::new(&changed.start), &Moment::new(&changed.end));
        details(&mut lines, changed);
        alarm(&mut lines, changed);
        lines.end("VEVENT");
    }
    lines.whole(END_CALENDAR);
    lines.finish()
}

/// A time and its zone.
struct Moment {
    local: PrimitiveDateTime,
    zone: Zone,
}

impl Moment {
    fn new(time: &ZonedTime) -> Self {
        Self { local: time.local, zone: Zone::named(&time.zone) }
    }

    /// The same moment by the clocks of another zone, where that is known.
    fn moved_to(self, zone: &Zone) -> Self {
        match zone.convert(self.local, &self.zone) {
            Some(local) => Self { local, zone: zone.clone() },
            None => self,
        }
    }
}

/// When an event takes place, in the zone that its recurrence counts days in.
struct Series {
    start: Moment,
    end: Moment,
}

impl Series {
    fn new(event: &Event) -> Self {
        let (start, end) = (Moment::new(&event.start), Moment::new(&event.end));
        match &event.recurrence {
            Some(recurrence) if !event.all_day => {
                let zone = Zone::named(&recurrence.zone);
                Self { start: start.moved_to(&zone), end: end.moved_to(&zone) }
            }
            _ => Self { start, end },
        }
    }

    fn note_zones(&self, event: &Event, needed: &mut Needed) {
        let mut note =
            |all_day: bool, start: &Moment, end: &Moment, last: Option<PrimitiveDateTime>| {
                if !all_day {
                    let last = last.map(|last| last.max(end.local).max(start.local));
                    needed.add(&start.zone, start.local, last);
                    needed.add(&end.zone, end.local, last);
                }
            };
        let last = match event.recurrence.as_ref().map(|recurrence| recurrence.until) {
            None => Some(self.end.local),
            Some(Until::Day(day)) => Some(day.midnight().saturating_add(Duration::days(2))),
            Some(Until::Never | Until::Count(_)) => None,
        };
        note(event.all_day, &self.start, &self.end, last);
        for exception in &event.exceptions {
            let changed = &exception.event;
            let (start, end) = (Moment::new(&changed.start), Moment::new(&changed.end));
            note(changed.all_day, &start, &end, Some(end.local));
        }
    }

    fn recurrence(&self, lines: &mut Lines, event: &Event) {
        let Some(recurrence) = &event.recurrence else { return };
        let Moment { local: start, zone } = &self.start;
        let until = |last: time::Date| {
            if event.all_day { day(last) } else { zone.until(last.with_time(start.time())) }
        };
        let rule = rrule(recurrence, weekday(start.date()), until);
        lines.property("RRULE").raw(&rule);
        for cancelled in &event.cancelled_occurrences {
            self.occurrence(lines, "EXDATE", event.all_day, cancelled.with_time(start.time()));
        }
    }

    /// Which occurrence of the series an exception stands for.
    fn recurrence_id(&self, lines: &mut Lines, event: &Event, exception: &Exception) {
        let original = Moment::new(&exception.original);
        let local =
            if event.all_day { original.local } else { original.moved_to(&self.start.zone).local };
        self.occurrence(lines, "RECURRENCE-ID", event.all_day, local);
    }

    fn occurrence(&self, lines: &mut Lines, name: &str, all_day: bool, local: PrimitiveDateTime) {
        let line = lines.property(name);
        if all_day {
            line.parameter("VALUE", "DATE").raw(&day(local.date()));
        } else {
            self.start.zone.time(line, local);
        }
    }
}

/// An identifier for an event without one: it stays when the event is changed.
fn made_up_uid(event: &Event) -> String {
    let created = event.created.map(instant).unwrap_or_default();
    let start = stamp(event.start.local);
    format!("{}@mailkeep", short_hash(&["uid", &created, &start, &event.start.zone]))
}

/// Which thing it is, and how old what is told of it.
pub(super) fn about(
    lines: &mut Lines,
    uid: &str,
    created: Option<OffsetDateTime>,
    modified: Option<OffsetDateTime>,
) {
    lines.text("UID", uid);
    let at = modified.or(created).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    lines.property("DTSTAMP").raw(&instant(at));
    if let Some(created) = created {
        lines.property("CREATED").raw(&instant(created));
    }
    if let Some(modified) = modified {
        lines.property("LAST-MODIFIED").raw(&instant(modified));
    }
}

/// A time as UTC.
pub(super) fn instant(at: OffsetDateTime) -> String {
    let at = at.checked_to_offset(UtcOffset::UTC).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    utc(PrimitiveDateTime::new(at.date(), at.time()))
}

fn when(lines: &mut Lines, all_day: bool, start: &Moment, end: &Moment) {
    if all_day {
        let first = start.local.date();
        // The end is exclusive, and a day is the least that there can be.
        let least = first.next_day().unwrap_or(first);
        let end = end.local.date().max(least);
        lines.property("DTSTART").parameter("VALUE", "DATE").raw(&day(first));
        lines.property("DTEND").parameter("VALUE", "DATE").raw(&day(end));
        lines.property("X-MICROSOFT-CDO-ALLDAYEVENT").raw("TRUE");
    } else {
        start.zone.time(lines.property("DTSTART"), start.local);
        end.zone.time(lines.property("DTEND"), end.local);
    }
}

fn details(lines: &mut Lines, event: &Event) {
    lines.text("SUMMARY", &event.subject);
    body(lines, &event.body);
    lines.text("LOCATION", &event.locations.join("; "));
    if let Some(organizer) = &event.organizer {
        person(lines, "ORGANIZER", organizer, &[]);
    }
    for one in &event.attendees {
        attendee(lines, one, event.response_requested);
    }
    if !event.categories.is_empty() {
        lines.property("CATEGORIES").texts(",", event.categories.iter().map(String::as_str));
    }
    priority(lines, event.importance);
    lines.property("CLASS").raw(class(event.sensitivity));
    shown_as(lines, event);
    if let Some(url) = event.online_meeting_url.as_deref().filter(|url| !url.is_empty()) {
        lines.property("CONFERENCE").parameter("VALUE", "URI").raw(url);
    }
}

/// A description, as text and, where it is HTML, as that, too.
pub(super) fn body(lines: &mut Lines, body: &Body) {
    match body {
        Body::Text(text) => lines.text("DESCRIPTION", text.trim_end()),
        Body::Html(html) => {
            lines.text("DESCRIPTION", &html::to_text(html));
            if !html.trim().is_empty() {
                lines.property("X-ALT-DESC").parameter("FMTTYPE", "text/html").text(html);
            }
        }
    }
}

pub(super) fn priority(lines: &mut Lines, importance: Importance) {
    lines.property("PRIORITY").raw(match importance {
        Importance::High => "1",
        Importance::Normal => "5",
        Importance::Low => "9",
    });
}

/// As [MS-OXCICAL], section 2.1.3.1.1.20.4, has it.
pub(super) fn class(sensitivity: Sensitivity) -> &'static str {
    match sensitivity {
        Sensitivity::Normal => "PUBLIC",
        Sensitivity::Personal => "X-PERSONAL",
        Sensitivity::Private => "PRIVATE",
        Sensitivity::Confidential => "CONFIDENTIAL",
    }
}

/// Whether the event takes up time. Somebody who works elsewhere counts as free, as for Exchange.
fn shown_as(lines: &mut Lines, event: &Event) {
    let (transparency, status) = match event.show_as {
        ShowAs::Free => ("TRANSPARENT", "FREE"),
        ShowAs::WorkingElsewhere => ("TRANSPARENT", "WORKINGELSEWHERE"),
        ShowAs::Tentative => ("OPAQUE", "TENTATIVE"),
        ShowAs::Busy => ("OPAQUE", "BUSY"),
        ShowAs::Oof => ("OPAQUE", "OOF"),
        ShowAs::Unknown => ("OPAQUE", ""),
    };
    lines.property("STATUS").raw(match event.show_as {
        _ if event.cancelled => "CANCELLED",
        ShowAs::Tentative => "TENTATIVE",
        _ => "CONFIRMED",
    });
    lines.property("TRANSP").raw(transparency);
    lines.text("X-MICROSOFT-CDO-BUSYSTATUS", status);
}

fn attendee(lines: &mut Lines, attendee: &Attendee, wanted: bool) {
    let (kind, role) = match attendee.role {
        Role::Required => ("INDIVIDUAL", "REQ-PARTICIPANT"),
        Role::Optional => ("INDIVIDUAL", "OPT-PARTICIPANT"),
        Role::Resource => ("RESOURCE", "NON-PARTICIPANT"),
    };
    let answer = match attendee.response {
        Response::None | Response::NotResponded => "NEEDS-ACTION",
        Response::Organizer | Response::Accepted => "ACCEPTED",
        Response::Tentative => "TENTATIVE",
        Response::Declined => "DECLINED",
    };
    let wanted = if wanted { "TRUE" } else { "" };
    let parameters = [("CUTYPE", kind), ("ROLE", role), ("PARTSTAT", answer), ("RSVP", wanted)];
    person(lines, "ATTENDEE", &attendee.person, &parameters);
}

fn person(lines: &mut Lines, name: &str, person: &Person, parameters: &[(&str, &str)]) {
    let mut line = lines.property(name).parameter("CN", &person.name);
    for (parameter, value) in parameters {
        line = line.parameter(parameter, value);
    }
    if person.address.is_empty() {
        return line.raw("invalid:nomail");
    }
    let mut address = String::from("mailto:");
    for c in person.address.chars() {
        match c {
            c if c.is_control() => {}
            ' ' | '"' | '<' | '>' | '%' | '\\' | '^' | '`' | '{' | '|' | '}' => {
                address.push_str(&format!("%{:02X}", u32::from(c)));
            }
            c => address.push(c),
        }
    }
    line.raw(&address);
}

fn alarm(lines: &mut Lines, event: &Event) {
    let Some(minutes) = event.reminder_minutes else { return };
    let sign = if minutes > 0 { "-" } else { "" };
    lines.begin("VALARM");
    lines.property("ACTION").raw("DISPLAY");
    lines.property("DESCRIPTION").text(if event.subject.is_empty() { "-" } else { &event.subject });
    lines.property("TRIGGER").raw(&format!("{sign}PT{}M", minutes.unsigned_abs()));
    lines.end("VALARM");
}

pub(super) fn attach(lines: &mut Lines, attachment: &Attachment) {
    let info = &attachment.info;
    let (kind, subtype) = info.content_type.split_once('/').unwrap_or_default();
    let media_type = if kind.is_empty() || subtype.is_empty() { "" } else { &info.content_type };
    lines
        .property("ATTACH")
        .parameter("ENCODING", "BASE64")
        .parameter("VALUE", "BINARY")
        .parameter("FMTTYPE", media_type)
        .parameter("X-FILENAME", &info.name)
        .parameter("X-CONTENT-ID", info.content_id.as_deref().unwrap_or_default())
        .base64(&attachment.bytes);
}

#[cfg(test)]
#[path = "ics_tests.rs"]
mod tests;
