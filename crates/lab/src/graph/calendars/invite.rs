//! Mail that Exchange sends by itself when a meeting is made, changed or called off.
//!
//! Every mail counts (`invitations_sent` of `GET /_lab/counters`), whether its recipient has a
//! mailbox here or not.

use axum::body::Bytes;
use serde_json::Value;
use uuid::Uuid;

use super::render::date_time;
use crate::compose::Letter;
use crate::graph::Desk;
use crate::seed::generate::party;
use crate::state::{Aspect, Core, Event, Party, SeedMessage, WellKnown};

/// What a mail tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Request,
    Update,
    Cancellation,
}

/// A mail to one attendee.
pub(super) struct Notice {
    to: Party,
    letter: Letter,
}

impl Notice {
    /// To everybody who is invited to the owner's meeting; to nobody for an event without others,
    /// or one that somebody else invited to.
    pub(super) fn of(desk: &Desk<'_>, event: &Event, aspect: Aspect, what: What) -> Vec<Self> {
        if !event.is_organizer() {
            return Vec::new();
        }
        let attendees = event.field(aspect, "attendees").and_then(Value::as_array);
        let parties = attendees.into_iter().flatten().filter_map(|attendee| {
            let address = attendee["emailAddress"]["address"].as_str()?;
            Some(party(attendee["emailAddress"]["name"].as_str().unwrap_or(address), address))
        });
        parties
            .filter(|to| !to.address.eq_ignore_ascii_case(&desk.mailbox.address))
            .map(|to| Self { letter: letter(desk, event, aspect, what, to.clone()), to })
            .collect()
    }

    /// To those who were invited and are not any more.
    pub(super) fn to_removed(
        desk: &Desk<'_>,
        event: &Event,
        aspect: Aspect,
        before: &[String],
    ) -> Vec<Self> {
        let now = event.attendees(aspect);
        let gone = before.iter().filter(|address| !now.contains(address));
        gone.filter(|address| event.is_organizer() && ***address != *desk.mailbox.address)
            .map(|address| {
                let to = party(address, address);
                let letter = letter(desk, event, aspect, What::Cancellation, to.clone());
                Self { to, letter }
            })
            .collect()
    }
}

/// Sends them, and puts those to mailboxes of the tenant there. The organizer's mailbox must not be
/// locked.
pub(super) fn send(desk: &Desk<'_>, notices: Vec<Notice>) {
    for Notice { to, letter } in notices {
        desk.shared.counters.invitation();
        let Some(mailbox) = desk.tenant.mailbox(&to.address) else { continue };
        let message = SeedMessage {
            read: false,
            ..SeedMessage::from(Core::parse(Bytes::from(letter.mime()), None))
        };
        let mut state = mailbox.write();
        if let Some(inbox) = state.well_known(WellKnown::Inbox) {
            // The inbox is there: nothing could refuse.
            let _ = state.add(inbox, message, desk.now);
        }
    }
}

fn letter(desk: &Desk<'_>, event: &Event, aspect: Aspect, what: What, to: Party) -> Letter {
    let subject = event.field(aspect, "subject").and_then(Value::as_str).unwrap_or_default();
    let (subject, method) = match what {
        What::Request => (subject.to_owned(), "REQUEST"),
        What::Update => (format!("Updated: {subject}"), "REQUEST"),
        What::Cancellation => (format!("Canceled: {subject}"), "CANCEL"),
    };
    let (start, end) = event.times(aspect);
    let domain = desk.mailbox.address.rsplit('@').next().unwrap_or("lab.example");
    Letter {
        from: Some(party(&desk.mailbox.display_name, &desk.mailbox.address)),
        to: vec![to],
        subject,
        message_id: format!("<{}@{domain}>", Uuid::new_v4().simple()),
        date: desk.now,
        headers: vec![
            ("Content-Class".to_owned(), "urn:content-classes:calendarmessage".to_owned()),
            ("X-Meeting-Method".to_owned(), method.to_owned()),
        ],
        body: format!(
            "When: {} ({}) to {} ({})\r\n",
            date_time(start.local),
            start.zone,
            date_time(end.local),
            end.zone
        ),
        ..Letter::default()
    }
}
