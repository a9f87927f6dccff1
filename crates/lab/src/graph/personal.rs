//! Paths, operations and rights of calendars, events and contacts.

use axum::http::Method;

use super::answer::Answer;
use super::errors::GraphError;
use super::{Desk, calendars, contacts};
use crate::operation::Operation;

/// A resource of a mailbox that is not mail. Everything is named as in the URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Personal {
    Calendars,
    /// The default calendar when none is named.
    Calendar(Option<String>),
    Events(In),
    Event(In, String),
    /// The calendar that an event lies in.
    EventCalendar(In, String),
    Instances(In, String),
    CalendarView(In),
    CalendarViewDelta,
    EventAttachments(In, String),
    EventAttachment(In, String, String),
    EventAttachmentValue(In, String, String),
    /// For an attachment that comes in pieces.
    EventUpload(In, String),
    /// Of the mailbox, or below a folder.
    ContactFolders(Option<String>),
    ContactFoldersDelta,
    ContactFolder(String),
    /// Of the default folder, or of one that is named.
    Contacts(Option<String>),
    ContactsDelta(String),
    Contact(Option<String>, String),
    /// `true` for the picture itself, `false` for what is known of it.
    Photo(Option<String>, String, bool),
}

/// The role of the folder that every mailbox has.
const DEFAULT_FOLDER: &str = "contacts";

/// Where a URL looks for events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum In {
    /// `/events`
    Mailbox,
    /// `/calendar/events`
    Default,
    /// `/calendars/{id}/events`
    Calendar(String),
}

impl Personal {
    /// Reads what follows `/users/{id}`.
    pub(crate) fn parse(words: &[&str]) -> Option<Self> {
        let is = |word: &str, name: &str| word.eq_ignore_ascii_case(name);
        match words {
            [one] if is(one, "calendars") => Some(Self::Calendars),
            [one] if is(one, "calendar") => Some(Self::Calendar(None)),
            [one, two, rest @ ..] if is(one, "calendar") && is(two, "events") => {
                events(In::Default, rest)
            }
            [one, two] if is(one, "calendar") && is(two, "calendarView") => {
                Some(Self::CalendarView(In::Default))
            }
            [one] if is(one, "calendarView") => Some(Self::CalendarView(In::Mailbox)),
            [one, two] if is(one, "calendarView") && is(two, "delta") => {
                Some(Self::CalendarViewDelta)
            }
            [one, id, two] if is(one, "calendars") && is(two, "calendarView") => {
                Some(Self::CalendarView(In::Calendar((*id).to_owned())))
            }
            [one, rest @ ..] if is(one, "events") => events(In::Mailbox, rest),
            [one, id] if is(one, "calendars") => Some(Self::Calendar(Some((*id).to_owned()))),
            [one, id, two, rest @ ..] if is(one, "calendars") && is(two, "events") => {
                events(In::Calendar((*id).to_owned()), rest)
            }
            [one, rest @ ..] if is(one, "contacts") => contacts(None, rest),
            [one] if is(one, "contactFolders") => Some(Self::ContactFolders(None)),
            [one, two] if is(one, "contactFolders") && is(two, "delta") => {
                Some(Self::ContactFoldersDelta)
            }
            [one, id, rest @ ..] if is(one, "contactFolders") => contact_folder(id, rest),
            _ => None,
        }
    }

    /// The operation that a method is, if there is one.
    pub(crate) fn operation(&self, method: &Method) -> Option<Operation> {
        use Operation as Op;
        let (get, post, patch, delete) = match self {
            Self::Calendars => (Some(Op::CalendarsList), Some(Op::CalendarCreate), None, None),
            Self::Calendar(_) => {
                (Some(Op::CalendarShow), None, Some(Op::CalendarPatch), Some(Op::CalendarDelete))
            }
            Self::Events(_) => (Some(Op::EventsList), Some(Op::EventCreate), None, None),
            Self::Event(..) => {
                (Some(Op::EventShow), None, Some(Op::EventPatch), Some(Op::EventDelete))
            }
            Self::EventCalendar(..) => (Some(Op::CalendarShow), None, None, None),
            Self::Instances(..) => (Some(Op::EventInstances), None, None, None),
            Self::CalendarView(_) => (Some(Op::CalendarView), None, None, None),
            Self::CalendarViewDelta => (Some(Op::CalendarViewDelta), None, None, None),
            Self::EventAttachments(..) => {
                (Some(Op::EventAttachmentsList), Some(Op::EventAttachmentCreate), None, None)
            }
            Self::EventAttachment(..) => {
                (Some(Op::EventAttachmentShow), None, None, Some(Op::EventAttachmentDelete))
            }
            Self::EventAttachmentValue(..) => (Some(Op::EventAttachmentValue), None, None, None),
            Self::EventUpload(..) => (None, Some(Op::UploadCreate), None, None),
            Self::ContactFolders(_) => {
                (Some(Op::ContactFoldersList), Some(Op::ContactFolderCreate), None, None)
            }
            Self::ContactFoldersDelta => (Some(Op::ContactFoldersDelta), None, None, None),
            Self::ContactFolder(_) => (
                Some(Op::ContactFolderShow),
                None,
                Some(Op::ContactFolderPatch),
                Some(Op::ContactFolderDelete),
            ),
            Self::Contacts(_) => (Some(Op::ContactsList), Some(Op::ContactCreate), None, None),
            Self::ContactsDelta(_) => (Some(Op::ContactsDelta), None, None, None),
            Self::Contact(..) => {
                (Some(Op::ContactShow), None, Some(Op::ContactPatch), Some(Op::ContactDelete))
            }
            Self::Photo(_, _, value) => {
                let put = matches!(*method, Method::PUT | Method::PATCH) && *value;
                return match *method {
                    Method::GET => Some(Op::ContactPhoto),
                    _ => put.then_some(Op::ContactPhotoPut),
                };
            }
        };
        match *method {
            Method::GET => get,
            Method::POST => post,
            Method::PATCH => patch,
            Method::DELETE => delete,
            _ => None,
        }
    }

    /// Rights any one of which is enough.
    pub(crate) fn need(&self, operation: Operation) -> &'static [&'static str] {
        use Operation as Op;
        let contacts = matches!(
            self,
            Self::ContactFolders(_)
                | Self::ContactFoldersDelta
                | Self::ContactFolder(_)
                | Self::Contacts(_)
                | Self::ContactsDelta(_)
                | Self::Contact(..)
                | Self::Photo(..)
        );
        let reads = matches!(
            operation,
            Op::CalendarsList
                | Op::CalendarShow
                | Op::EventsList
                | Op::EventShow
                | Op::EventInstances
                | Op::CalendarView
                | Op::CalendarViewDelta
                | Op::EventAttachmentsList
                | Op::EventAttachmentShow
                | Op::EventAttachmentValue
                | Op::ContactFoldersList
                | Op::ContactFoldersDelta
                | Op::ContactFolderShow
                | Op::ContactsList
                | Op::ContactsDelta
                | Op::ContactShow
                | Op::ContactPhoto
        );
        match (contacts, reads) {
            (false, true) => &["Calendars.Read", "Calendars.ReadWrite"],
            (false, false) => &["Calendars.ReadWrite"],
            (true, true) => &["Contacts.Read", "Contacts.ReadWrite"],
            (true, false) => &["Contacts.ReadWrite"],
        }
    }

    /// The item that the URL names.
    pub(crate) fn item(&self) -> Option<&str> {
        match self {
            Self::Event(_, id)
            | Self::EventCalendar(_, id)
            | Self::Instances(_, id)
            | Self::EventAttachments(_, id)
            | Self::EventAttachment(_, id, _)
            | Self::EventAttachmentValue(_, id, _)
            | Self::EventUpload(_, id)
            | Self::Contact(_, id)
            | Self::Photo(_, id, _) => Some(id),
            _ => None,
        }
    }
}

/// Answers a request.
pub(super) fn answer(
    desk: &Desk<'_>,
    operation: Operation,
    what: &Personal,
    content_type: &str,
    body: &[u8],
) -> Result<Answer, GraphError> {
    match what {
        Personal::Calendars => calendars::calendars(desk, operation, None, body),
        Personal::Calendar(id) => calendars::calendars(desk, operation, id.as_deref(), body),
        Personal::Events(place) => calendars::events(desk, operation, place, None, None, body),
        Personal::CalendarView(place) => calendars::view(desk, place),
        Personal::CalendarViewDelta => calendars::view_delta(desk),
        Personal::EventCalendar(place, id) => calendars::of_event(desk, place, id),
        Personal::Event(place, id)
        | Personal::Instances(place, id)
        | Personal::EventAttachments(place, id) => {
            calendars::events(desk, operation, place, Some(id), None, body)
        }
        Personal::EventAttachment(place, id, attachment)
        | Personal::EventAttachmentValue(place, id, attachment) => {
            calendars::events(desk, operation, place, Some(id), Some(attachment), body)
        }
        _ => contacts::answer(desk, operation, what, content_type, body),
    }
}

fn events(place: In, words: &[&str]) -> Option<Personal> {
    let is = |word: &str, name: &str| word.eq_ignore_ascii_case(name);
    match words {
        [] => Some(Personal::Events(place)),
        // A function of Graph, not the id of an event; the lab does not have it.
        [id, ..] if is(id, "delta") => None,
        [id] => Some(Personal::Event(place, (*id).to_owned())),
        [id, what] if is(what, "instances") => Some(Personal::Instances(place, (*id).to_owned())),
        [id, what] if is(what, "calendar") => {
            Some(Personal::EventCalendar(place, (*id).to_owned()))
        }
        [id, what] if is(what, "attachments") => {
            Some(Personal::EventAttachments(place, (*id).to_owned()))
        }
        [id, what, action] if is(what, "attachments") && is(action, "createUploadSession") => {
            Some(Personal::EventUpload(place, (*id).to_owned()))
        }
        [id, what, attachment, value] if is(what, "attachments") && is(value, "$value") => {
            Some(Personal::EventAttachmentValue(place, (*id).to_owned(), (*attachment).to_owned()))
        }
        [id, what, attachment] if is(what, "attachments") => {
            Some(Personal::EventAttachment(place, (*id).to_owned(), (*attachment).to_owned()))
        }
        _ => None,
    }
}

fn contact_folder(id: &str, words: &[&str]) -> Option<Personal> {
    let is = |word: &str, name: &str| word.eq_ignore_ascii_case(name);
    match words {
        [] => Some(Personal::ContactFolder(id.to_owned())),
        [one] if is(one, "childFolders") => Some(Personal::ContactFolders(Some(id.to_owned()))),
        [one, child, rest @ ..] if is(one, "childFolders") => contact_folder(child, rest),
        [one, two] if is(one, "contacts") && is(two, "delta") => {
            Some(Personal::ContactsDelta(id.to_owned()))
        }
        [one, rest @ ..] if is(one, "contacts") => contacts(Some(id.to_owned()), rest),
        _ => None,
    }
}

fn contacts(folder: Option<String>, words: &[&str]) -> Option<Personal> {
    let is = |word: &str, name: &str| word.eq_ignore_ascii_case(name);
    match words {
        [] => Some(Personal::Contacts(folder)),
        // Of the default folder: not in the documentation, but in the metadata and the libraries.
        [id] if is(id, "delta") => Some(Personal::ContactsDelta(DEFAULT_FOLDER.to_owned())),
        [id] => Some(Personal::Contact(folder, (*id).to_owned())),
        [id, what] if is(what, "photo") => Some(Personal::Photo(folder, (*id).to_owned(), false)),
        [id, what, value] if is(what, "photo") && is(value, "$value") => {
            Some(Personal::Photo(folder, (*id).to_owned(), true))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_where_the_documentation_says() {
        let parse = |path: &str| Personal::parse(&path.split('/').collect::<Vec<_>>());
        assert_eq!(
            parse("calendars/c/events/e/instances"),
            Some(Personal::Instances(In::Calendar("c".into()), "e".into()))
        );
        assert_eq!(parse("calendar/events"), Some(Personal::Events(In::Default)));
        assert_eq!(
            parse("calendars/c/events/e/attachments/createUploadSession"),
            Some(Personal::EventUpload(In::Calendar("c".into()), "e".into()))
        );
        assert_eq!(
            parse("contactFolders/a/childFolders/b/contacts/delta"),
            Some(Personal::ContactsDelta("b".into()))
        );
        assert_eq!(parse("contacts/delta"), Some(Personal::ContactsDelta("contacts".into())));
        assert_eq!(
            parse("calendars/c/calendarView"),
            Some(Personal::CalendarView(In::Calendar("c".into())))
        );
        assert_eq!(parse("calendarView/delta"), Some(Personal::CalendarViewDelta));
        assert_eq!(parse("contacts/c/photo/$value"), Some(Personal::Photo(None, "c".into(), true)));
        for nothing in
            ["contacts/c/move", "events/e/attachments/createUploadSession/more", "events/delta"]
        {
            assert_eq!(parse(nothing), None, "{nothing}");
        }
        let photo = Personal::Photo(None, "c".into(), false);
        assert_eq!(photo.operation(&Method::PUT), None);
    }
}
