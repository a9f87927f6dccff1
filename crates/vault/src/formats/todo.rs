use std::io::{self, Write};

use mailkeep_model::{Attachment, ItemId, Task, TaskLink, TaskStatus, ZonedTime};
use time::{Date, PrimitiveDateTime};

use super::{
    ics::{BEGIN_CALENDAR, END_CALENDAR, about, attach, body, priority},
    rule::{rrule, weekday},
    text::{Lines, in_memory},
    zones::{Zone, day, utc},
};
use crate::stored::short_hash;

/// A task as iCalendar (RFC 5545, `VTODO`), with its attachments inside, in the order of
/// [`Task::attachments`].
///
/// Tasks have days and no times, so no zone is needed; a reminder and the time of completion are in
/// UTC. Steps, for which the format has no place, are comments, `[x]` before those that are done;
/// what the task is about elsewhere is attached as an address. The provider names no identifier for
/// other programs: it is made from the item's. Equal input gives equal bytes.
pub fn todo(id: &ItemId, task: &Task, attachments: &[Attachment]) -> Vec<u8> {
    in_memory(|out| write_todo(id, task, attachments, out))
}

/// Writes a task as [`todo`] does, in small pieces: attachments are not held twice.
///
/// # Errors
/// What `out` fails with.
pub fn write_todo(
    id: &ItemId,
    task: &Task,
    attachments: &[Attachment],
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut lines = Lines::to(out);
    lines.whole(BEGIN_CALENDAR);
    lines.begin("VTODO");
    let uid = format!("{}@mailkeep", short_hash(&["uid", &id.0]));
    about(&mut lines, &uid, task.created, task.modified);
    days(&mut lines, task);
    lines.text("SUMMARY", &task.title);
    body(&mut lines, &task.body);
    status(&mut lines, task);
    priority(&mut lines, task.importance);
    if !task.categories.is_empty() {
        lines.property("CATEGORIES").texts(",", task.categories.iter().map(String::as_str));
    }
    for step in &task.steps {
        let mark = if step.done { "[x]" } else { "[ ]" };
        lines.text("COMMENT", &format!("{mark} {}", step.title));
    }
    for one in &task.links {
        link(&mut lines, one);
    }
    for attachment in attachments {
        attach(&mut lines, attachment);
    }
    alarm(&mut lines, task);
    lines.end("VTODO");
    lines.whole(END_CALENDAR);
    lines.finish()
}

/// When it begins, is due and comes back. A recurrence needs a beginning (RFC 5545, section
/// 3.8.5.3), which a task may lack.
fn days(lines: &mut Lines, task: &Task) {
    let date = |time: &Option<ZonedTime>| time.as_ref().map(|time| time.local.date());
    let due = date(&task.due);
    let first = task.recurrence.as_ref().map(|recurrence| recurrence.first);
    let start = date(&task.start).or(first.map(|first| due.map_or(first, |due| first.min(due))));
    let mut whole_day = |name: &str, date: Date| {
        lines.property(name).parameter("VALUE", "DATE").raw(&day(date));
    };
    if let Some(start) = start {
        whole_day("DTSTART", start);
    }
    if let Some(due) = due {
        whole_day("DUE", due);
    }
    if let (Some(recurrence), Some(start)) = (&task.recurrence, start) {
        // A rule that ends before it begins is none.
        let until = |last: Date| day(last.max(start));
        lines.property("RRULE").raw(&rrule(recurrence, weekday(start), until));
    }
}

fn status(lines: &mut Lines, task: &Task) {
    lines.property("STATUS").raw(match task.status {
        TaskStatus::NotStarted | TaskStatus::WaitingOnOthers | TaskStatus::Deferred => {
            "NEEDS-ACTION"
        }
        TaskStatus::InProgress => "IN-PROCESS",
        TaskStatus::Completed => "COMPLETED",
    });
    let finer = match task.status {
        TaskStatus::WaitingOnOthers => "WAITING-ON-OTHERS",
        TaskStatus::Deferred => "DEFERRED",
        _ => "",
    };
    lines.text("X-MAILKEEP-STATUS", finer);
    if let Some(completed) = task.completed.as_ref().and_then(in_utc) {
        lines.property("COMPLETED").raw(&utc(completed));
    }
    if task.status == TaskStatus::Completed {
        lines.property("PERCENT-COMPLETE").raw("100");
    }
}

/// `None` in a zone that nobody knows: the format has no place for such a time, the leaf's index has.
fn in_utc(time: &ZonedTime) -> Option<PrimitiveDateTime> {
    Zone::Utc.convert(time.local, &Zone::named(&time.zone))
}

fn link(lines: &mut Lines, link: &TaskLink) {
    let name = if link.url.is_empty() { "X-MAILKEEP-LINK" } else { "ATTACH" };
    let line = lines
        .property(name)
        .parameter("X-FILENAME", &link.name)
        .parameter("X-APPLICATION", &link.application)
        .parameter("X-EXTERNAL-ID", &link.external_id);
    if link.url.is_empty() { line.text(&link.name) } else { line.raw(&link.url) }
}

fn alarm(lines: &mut Lines, task: &Task) {
    let reminder = task.reminder.as_ref().filter(|_| task.reminder_on);
    let Some(at) = reminder.and_then(in_utc) else { return };
    lines.begin("VALARM");
    lines.property("ACTION").raw("DISPLAY");
    lines.property("DESCRIPTION").text(if task.title.is_empty() { "-" } else { &task.title });
    lines.property("TRIGGER").parameter("VALUE", "DATE-TIME").raw(&utc(at));
    lines.end("VALARM");
}

#[cfg(test)]
#[path = "todo_tests.rs"]
mod tests;
