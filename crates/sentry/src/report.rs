//! The blast radius for people: as text, and as a page that can be given to a customer.

mod account;
mod aftermath;
mod fleet;
mod html;
mod mailboxes;
mod markup;
mod timeline;
mod tokens;

use std::fmt::Write;

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

pub use account::{BlastReport, BlastSummary, IncidentState, KeysRevoked, ReportedIncident};
pub use fleet::{FleetPage, MOST_SECTIONS};
pub use html::html;

use crate::{
    BlastRadius, Incident, LogSource, Logs, MailboxReach, Span, Spans, State, Stretch, TokenReach,
};

/// Messages of a mailbox that are listed one by one; of the others, the number is said.
const LISTED: usize = 50;

/// The report as text: tokens, what was read with them, and what is known of every moment.
pub fn text(report: &BlastReport) -> String {
    let radius = &report.radius;
    let mut out = format!("from {} to {}\n", at(radius.span.from), at(radius.span.to));
    tokens(&mut out, radius);
    let reached: Vec<_> = radius.mailboxes.iter().filter(|(_, reach)| reach.is_reached()).collect();
    let _ = writeln!(out, "\nMailboxes in which somebody else read mail: {}", reached.len());
    for (mailbox, reach) in &reached {
        mailbox_text(&mut out, mailbox, reach);
    }
    let _ = writeln!(out, "\nWhat this is read from");
    for (log, source) in logs(&report.logs) {
        let _ = writeln!(out, "  {log}: {}", source_text(source));
    }
    if !report.incidents.is_empty() {
        let _ = writeln!(out, "\nIncidents");
    }
    for one in &report.incidents {
        let state = one.state.as_str();
        let _ = writeln!(out, "  {}  {}  {state}  {}", one.id, at(one.opened), one.title());
    }
    let _ = writeln!(out, "\nWhat is known of every moment");
    for (mailbox, reach) in &radius.mailboxes {
        let _ = writeln!(out, "  {mailbox}");
        for stretch in &reach.timeline {
            let _ = writeln!(out, "    {}", stretch_text(stretch));
        }
    }
    out.truncate(out.trim_end().len());
    out
}

fn tokens(out: &mut String, radius: &BlastRadius) {
    let _ = writeln!(out, "\nTokens in the hands of somebody else: {}", radius.tokens.len());
    for token in &radius.tokens {
        let _ = writeln!(out, "  {}", token_text(token));
    }
    match radius.live_until {
        Some(until) if until > radius.span.to => {
            let _ = writeln!(
                out,
                "  One of them may still work until {} at the latest: removing a key revokes nothing that \
                 was given out. Disabling the application ends those that understand continuous access \
                 evaluation{}.",
                at(until),
                radius
                    .live_until_without_cae
                    .map_or_else(String::new, |plain| format!("; the others end by {}", at(plain)))
            );
        }
        Some(until) => {
            let _ = writeln!(
                out,
                "  None of them works any more; the last one ended by {}.",
                at(until)
            );
        }
        None => {}
    }
}

fn token_text(token: &TokenReach) -> String {
    let got = match (token.got, &token.with) {
        (Some(got), Some(with)) => format!("got {} with {with}", at(got)),
        (Some(got), None) => format!("got {}", at(got)),
        _ => "no sign-in shows where it is from".to_owned(),
    };
    let from = token.address.map_or_else(String::new, |address| format!(", from {address}"));
    let requests = match token.requests {
        0 => String::new(),
        count => format!(", {count} requests"),
    };
    format!(
        "{} of application {}: {got}{from}; {} messages in {} mailboxes{requests}",
        token.uti.as_deref().unwrap_or("a token without a name"),
        token.client_id,
        token.messages,
        token.mailboxes.len()
    )
}

fn mailbox_text(out: &mut String, mailbox: &str, reach: &MailboxReach) {
    let _ = writeln!(out, "  {mailbox}: {} messages", reach.messages.len());
    for folder in &reach.folders {
        let _ = writeln!(out, "    all of {folder}");
    }
    for message in reach.messages.iter().take(LISTED) {
        let id = message.message_id.as_deref().or(message.item.as_deref()).unwrap_or("?");
        let folder = message.folder.as_deref().unwrap_or("");
        let _ = writeln!(out, "    {id}  {folder}");
    }
    if reach.messages.len() > LISTED {
        let _ = writeln!(out, "    and {} more; --json lists all", reach.messages.len() - LISTED);
    }
}

fn stretch_text(stretch: &Stretch) -> String {
    let Span { from, to } = stretch.span;
    let state = match stretch.state {
        State::Accessed => "ACCESSED",
        State::NotAccessed => "not accessed",
        State::Blind => "blind",
    };
    format!("{}  {}  {state}", at(from), at(to))
}

/// An incident as text: what happened, the evidence, and what to do.
pub fn incident_text(tenant: &str, incident: &Incident) -> String {
    let mut out = incident.kind.title().to_owned();
    if let Some(client_id) = &incident.client_id {
        let function = incident.function.map_or_else(String::new, |one| format!(" ({one})"));
        let _ = write!(out, "\n  application {client_id}{function}, {}", incident.subject);
    }
    let _ = write!(out, "\n  {} records", incident.records);
    for evidence in &incident.evidence {
        let _ = write!(out, "\n    {}  {}", at(evidence.at), evidence.text);
    }
    let _ = write!(out, "\n  What to do");
    for (number, step) in incident.kind.next_steps().iter().enumerate() {
        let _ = write!(out, "\n    {}. {}", number + 1, step.replace("TENANT", tenant));
    }
    out
}

/// The logs, with their names for people.
fn logs(logs: &Logs) -> [(&'static str, &LogSource); 3] {
    [("sign-ins", &logs.sign_ins), ("reads of mail", &logs.mail), ("requests", &logs.calls)]
}

/// Whether a log was read, in words.
pub fn source_text(source: &LogSource) -> String {
    match source {
        LogSource::Read { since, settle, holes, .. } => format!(
            "read since {}; what is younger than {} minutes may still come{}",
            at(*since),
            settle.duration().whole_minutes(),
            holes_text(holes)
        ),
        LogSource::Absent { why } => format!("not read: {why}. What it would tell is not known"),
    }
}

/// When something was told that nobody understands.
fn holes_text(holes: &Spans) -> String {
    let Some(whole) = holes.whole() else { return String::new() };
    let (from, to) = (at(whole.from), at(whole.to));
    match holes.as_slice().len() {
        1 => format!("; from {from} to {to} it has a record that is not understood: blind"),
        many => format!(
            "; at {many} times between {from} and {to} it has records that are not understood: blind"
        ),
    }
}

fn at(time: OffsetDateTime) -> String {
    let time = time.replace_nanosecond(0).unwrap_or(time);
    time.format(&Rfc3339).unwrap_or_else(|_| time.to_string())
}
