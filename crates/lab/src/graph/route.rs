//! What a method and a path ask for.

use axum::http::Method;

use super::directory::Directory;
use super::errors::GraphError;
use super::exchange::Exchange;
use super::groups::Groups;
use super::outlook::Outlook;
use super::personal::Personal;
use super::subscriptions::Subscribed;
use crate::operation::Operation;

/// A resource of Graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Organization,
    Users,
    UsersDelta,
    User(String),
    Groups(Groups),
    Directory(Directory),
    Subscriptions(Subscribed),
    Mail {
        user: String,
        resource: Resource,
    },
    /// A mailbox by its own id, with folders and items of every kind.
    Exchange {
        mailbox: String,
        what: Exchange,
    },
}

/// A resource inside a mailbox. Folders and messages are named as in the URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Resource {
    Folders,
    FoldersDelta,
    Folder(String),
    FolderMove(String),
    ChildFolders(String),
    /// Of one folder, or of the whole mailbox.
    Messages(Option<String>),
    MessagesDelta(String),
    /// With the folder that the URL says it is in.
    Message(Option<String>, String),
    MessageValue(Option<String>, String),
    MessageMove(Option<String>, String),
    MessagePermanentDelete(Option<String>, String),
    /// Of a message.
    Attachments(Option<String>, String),
    /// With the message's id before its own.
    Attachment(Option<String>, String, String),
    AttachmentValue(Option<String>, String, String),
    UploadSession(Option<String>, String),
    SendMail,
    /// Calendars and contacts.
    Personal(Personal),
    /// What is no item.
    Outlook(Outlook),
}

/// An operation and what it is done to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) operation: Operation,
    pub(crate) target: Target,
}

/// Rights any one of which is enough, and whether the refusal is the mailbox's or the directory's.
pub(crate) struct Need {
    pub(crate) any_of: &'static [&'static str],
    /// Needed besides.
    pub(crate) and: Option<&'static str>,
    pub(crate) mail: bool,
}

impl Route {
    /// Reads a path behind `/v1.0` or `/beta`.
    pub(crate) fn parse(method: &Method, path: &str) -> Result<Self, GraphError> {
        let segments = segments(path)?;
        let words: Vec<&str> = segments.iter().map(String::as_str).collect();
        let target = target(&words).ok_or_else(|| unknown(path))?;
        let operation = operation(method, &target).ok_or_else(|| {
            GraphError::new(
                405,
                "Request_BadRequest",
                "Specified HTTP method is not allowed for the request target.",
            )
        })?;
        Ok(Self { operation, target })
    }

    pub(crate) fn message(&self) -> Option<&str> {
        match &self.target {
            Target::Mail {
                resource:
                    Resource::Message(_, id)
                    | Resource::MessageValue(_, id)
                    | Resource::MessageMove(_, id)
                    | Resource::MessagePermanentDelete(_, id)
                    | Resource::Attachments(_, id)
                    | Resource::Attachment(_, id, _)
                    | Resource::AttachmentValue(_, id, _)
                    | Resource::UploadSession(_, id),
                ..
            } => Some(id),
            Target::Mail { resource: Resource::Personal(personal), .. } => personal.item(),
            Target::Exchange { what, .. } => what.item(),
            _ => None,
        }
    }

    /// The mail folder, as the URL names it.
    pub(crate) fn folder(&self) -> Option<&str> {
        let resource = match &self.target {
            Target::Mail { resource, .. } => resource,
            Target::Exchange { what, .. } => return what.folder(),
            _ => return None,
        };
        match resource {
            Resource::Folder(folder)
            | Resource::FolderMove(folder)
            | Resource::ChildFolders(folder)
            | Resource::MessagesDelta(folder) => Some(folder),
            Resource::Messages(folder)
            | Resource::Message(folder, _)
            | Resource::MessageValue(folder, _)
            | Resource::MessageMove(folder, _)
            | Resource::MessagePermanentDelete(folder, _)
            | Resource::Attachments(folder, _)
            | Resource::Attachment(folder, ..)
            | Resource::AttachmentValue(folder, ..)
            | Resource::UploadSession(folder, _) => folder.as_deref(),
            _ => None,
        }
    }

    pub(crate) fn need(&self) -> Need {
        use Operation as Op;
        let elsewhere = match &self.target {
            Target::Mail { resource: Resource::Personal(one), .. } => {
                Some(one.need(self.operation))
            }
            Target::Mail { resource: Resource::Outlook(one), .. } => Some(one.need(self.operation)),
            Target::Exchange { what, .. } => Some(what.need()),
            // What is subscribed to decides.
            Target::Subscriptions(_) => Some(&[] as &[_]),
            // Who owns an object may do more than others.
            Target::Directory(_) => Some(&[] as &[_]),
            _ => None,
        };
        if let Some(any_of) = elsewhere {
            return Need { any_of, and: None, mail: true };
        }
        let (any_of, and, mail): (&[&str], _, _) = match self.operation {
            Op::Organization => {
                (&["Organization.Read.All", "Directory.Read.All", "User.Read.All"], None, false)
            }
            Op::UsersList | Op::UsersDelta | Op::UserShow => {
                (&["User.Read.All", "Directory.Read.All"], None, false)
            }
            Op::GroupsList | Op::GroupShow | Op::GroupMembers | Op::GroupTransitiveMembers => {
                (&["GroupMember.Read.All", "Group.Read.All", "Directory.Read.All"], None, false)
            }
            Op::FoldersDelta
            | Op::FoldersList
            | Op::FolderShow
            | Op::MessagesDelta
            | Op::MessagesList
            | Op::MessageShow
            | Op::MessageValue
            | Op::AttachmentsList
            | Op::AttachmentShow
            | Op::AttachmentValue => (&["Mail.Read", "Mail.ReadWrite"], None, true),
            Op::SendMail => (&["Mail.Send"], None, true),
            _ => (&["Mail.ReadWrite"], None, true),
        };
        Need { any_of, and, mail }
    }
}

fn unknown(path: &str) -> GraphError {
    let mut segments = path.split('/').filter(|segment| !segment.is_empty());
    // An absolute address where a path should be fails with its scheme.
    let scheme = segments.clone().next().filter(|first| first.ends_with(':'));
    let named = scheme.or_else(|| segments.next_back()).unwrap_or_default();
    GraphError::bad_request(format!("Resource not found for the segment '{named}'."))
}

/// The decoded segments, with keys in parentheses (`mailFolders('inbox')`) as segments.
fn segments(path: &str) -> Result<Vec<String>, GraphError> {
    let mut segments = Vec::new();
    for raw in path.split('/').filter(|s| !s.is_empty()) {
        let text = percent_decode(raw)
            .ok_or_else(|| GraphError::bad_request("The request URI is not valid."))?;
        match text.strip_suffix(')').and_then(|rest| rest.split_once('(')) {
            Some((name, key)) if !name.is_empty() => {
                segments.push(name.to_owned());
                if !key.is_empty() {
                    segments.push(key.trim_matches('\'').to_owned());
                }
            }
            _ => segments.push(text),
        }
    }
    Ok(segments)
}

pub(crate) fn percent_decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let mut digit = || char::from(bytes.next()?).to_digit(16);
            out.push(u8::try_from(digit()? * 16 + digit()?).ok()?);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}

fn target(words: &[&str]) -> Option<Target> {
    let is = |word: &str, name: &str| word.eq_ignore_ascii_case(name);
    match words {
        [one] if is(one, "organization") => Some(Target::Organization),
        [one] if is(one, "users") => Some(Target::Users),
        [one, rest @ ..] if is(one, "subscriptions") => {
            Subscribed::parse(rest).map(Target::Subscriptions)
        }
        [one, two, three, mailbox, rest @ ..]
            if is(one, "admin") && is(two, "exchange") && is(three, "mailboxes") =>
        {
            Some(Target::Exchange { mailbox: (*mailbox).to_owned(), what: Exchange::parse(rest)? })
        }
        [one, two] if is(one, "users") && is(two, "delta") => Some(Target::UsersDelta),
        [one, rest @ ..] if is(one, "groups") => Groups::parse(rest).map(Target::Groups),
        [one, user] if is(one, "users") => Some(Target::User((*user).to_owned())),
        [one, user, rest @ ..] if is(one, "users") => {
            Some(Target::Mail { user: (*user).to_owned(), resource: resource(rest)? })
        }
        _ => Directory::parse(words).map(Target::Directory),
    }
}

fn resource(words: &[&str]) -> Option<Resource> {
    let is = |word: &str, name: &str| word.eq_ignore_ascii_case(name);
    if let Some(outlook) = Outlook::parse(words) {
        return Some(Resource::Outlook(outlook));
    }
    match words {
        [one, rest @ ..] if is(one, "messages") => messages(None, rest),
        [one] if is(one, "sendMail") => Some(Resource::SendMail),
        [one] if is(one, "mailFolders") => Some(Resource::Folders),
        [one, two] if is(one, "mailFolders") && is(two, "delta") => Some(Resource::FoldersDelta),
        [one, folder, rest @ ..] if is(one, "mailFolders") => in_folder(folder, rest),
        _ => Personal::parse(words).map(Resource::Personal),
    }
}

fn in_folder(folder: &str, words: &[&str]) -> Option<Resource> {
    let is = |word: &str, name: &str| word.eq_ignore_ascii_case(name);
    let folder_name = folder.to_owned();
    match words {
        [] => Some(Resource::Folder(folder_name)),
        [one] if is(one, "move") => Some(Resource::FolderMove(folder_name)),
        [one] if is(one, "childFolders") => Some(Resource::ChildFolders(folder_name)),
        // `mailFolders/{a}/childFolders/{b}/…` is folder b.
        [one, child, rest @ ..] if is(one, "childFolders") => in_folder(child, rest),
        [one, two] if is(one, "messages") && is(two, "delta") => {
            Some(Resource::MessagesDelta(folder_name))
        }
        [one, rest @ ..] if is(one, "messages") => messages(Some(folder_name), rest),
        _ => None,
    }
}

fn messages(folder: Option<String>, words: &[&str]) -> Option<Resource> {
    match words {
        [] => Some(Resource::Messages(folder)),
        [id] => Some(Resource::Message(folder, (*id).to_owned())),
        [id, what] if what.eq_ignore_ascii_case("$value") => {
            Some(Resource::MessageValue(folder, (*id).to_owned()))
        }
        [id, what] if what.eq_ignore_ascii_case("move") => {
            Some(Resource::MessageMove(folder, (*id).to_owned()))
        }
        [id, what] if what.eq_ignore_ascii_case("permanentDelete") => {
            Some(Resource::MessagePermanentDelete(folder, (*id).to_owned()))
        }
        [id, what, rest @ ..] if what.eq_ignore_ascii_case("attachments") => {
            attachments(folder, (*id).to_owned(), rest)
        }
        _ => None,
    }
}

fn attachments(folder: Option<String>, message: String, words: &[&str]) -> Option<Resource> {
    match words {
        [] => Some(Resource::Attachments(folder, message)),
        [what] if what.eq_ignore_ascii_case("createUploadSession") => {
            Some(Resource::UploadSession(folder, message))
        }
        [id] => Some(Resource::Attachment(folder, message, (*id).to_owned())),
        [id, what] if what.eq_ignore_ascii_case("$value") => {
            Some(Resource::AttachmentValue(folder, message, (*id).to_owned()))
        }
        _ => None,
    }
}

fn operation(method: &Method, target: &Target) -> Option<Operation> {
    use Operation as Op;
    let (get, post, patch, delete) = match target {
        Target::Organization => (Some(Op::Organization), None, None, None),
        Target::Users => (Some(Op::UsersList), None, None, None),
        Target::UsersDelta => (Some(Op::UsersDelta), None, None, None),
        Target::User(_) => (Some(Op::UserShow), None, None, None),
        Target::Groups(what) => return what.operation(method),
        Target::Directory(what) => return what.operation(method),
        Target::Subscriptions(what) => return what.operation(method),
        Target::Exchange { what, .. } => return what.operation(method),
        Target::Mail { resource, .. } => match resource {
            Resource::Personal(personal) => return personal.operation(method),
            Resource::Outlook(outlook) => return outlook.operation(method),
            Resource::Folders | Resource::ChildFolders(_) => {
                (Some(Op::FoldersList), Some(Op::FolderCreate), None, None)
            }
            Resource::FoldersDelta => (Some(Op::FoldersDelta), None, None, None),
            Resource::Folder(_) => {
                (Some(Op::FolderShow), None, Some(Op::FolderPatch), Some(Op::FolderDelete))
            }
            Resource::FolderMove(_) => (None, Some(Op::FolderMove), None, None),
            Resource::Messages(_) => (Some(Op::MessagesList), Some(Op::MessageCreate), None, None),
            Resource::MessagesDelta(_) => (Some(Op::MessagesDelta), None, None, None),
            Resource::Message(..) => {
                (Some(Op::MessageShow), None, Some(Op::MessagePatch), Some(Op::MessageDelete))
            }
            Resource::MessageValue(..) => (Some(Op::MessageValue), None, None, None),
            Resource::MessageMove(..) => (None, Some(Op::MessageMove), None, None),
            Resource::MessagePermanentDelete(..) => {
                (None, Some(Op::MessagePermanentDelete), None, None)
            }
            Resource::Attachments(..) => {
                (Some(Op::AttachmentsList), Some(Op::AttachmentCreate), None, None)
            }
            Resource::Attachment(..) => {
                (Some(Op::AttachmentShow), None, None, Some(Op::AttachmentDelete))
            }
            Resource::AttachmentValue(..) => (Some(Op::AttachmentValue), None, None, None),
            Resource::UploadSession(..) => (None, Some(Op::UploadCreate), None, None),
            Resource::SendMail => (None, Some(Op::SendMail), None, None),
        },
    };
    match *method {
        Method::GET => get,
        Method::POST => post,
        Method::PATCH => patch,
        Method::DELETE => delete,
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(path: &str) -> Option<Resource> {
        match Route::parse(&Method::GET, path).ok()?.target {
            Target::Mail { user, resource } => (user == "a@b.example").then_some(resource),
            _ => None,
        }
    }

    #[test]
    fn every_way_to_write_a_path_leads_to_the_same_place() {
        let delta = Some(Resource::MessagesDelta("x=".into()));
        for path in [
            "/users/a@b.example/mailFolders/x=/messages/delta",
            "/users/a%40b.example/mailfolders/x%3D/messages/delta()",
            "/Users('a@b.example')/mailFolders('x=')/messages/delta",
            "/users/a@b.example/mailFolders/p/childFolders/x=/messages/delta/",
        ] {
            assert_eq!(route(path), delta, "{path}");
        }
        assert_eq!(
            route("/users/a@b.example/messages/m/$value"),
            Some(Resource::MessageValue(None, "m".into()))
        );
        assert!(Route::parse(&Method::GET, "/users/a/mailFolders/%zz").is_err());
        assert_eq!(Route::parse(&Method::PUT, "/users").unwrap_err().status, 405);
        assert_eq!(Route::parse(&Method::GET, "/me").unwrap_err().status, 400);
    }
}
