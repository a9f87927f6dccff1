//! Large attachments, piece by piece
//! (<https://learn.microsoft.com/graph/outlook-large-attachments>).

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Body;
use axum::extract::Request;
use axum::http::{Method, Response};
use data_encoding::HEXLOWER;
use serde_json::Value;
use uuid::Uuid;

use super::answer::{Answer, Content};
use super::errors::GraphError;
use super::json::Json;
use super::personal::In;
use super::query::{Prefer, Query};
use super::users::encode;
use super::{Base, Call, Desk, attachments, calendars, drain, folders, header, messages, write};
use crate::clock;
use crate::compose::{Attachment, Nature};
use crate::entra::Grant;
use crate::lab::Shared;
use crate::operation::Operation;
use crate::state::Mailbox;

/// Where the upload URLs lie.
pub(crate) const PATH: &str = "/api/v2.0/";
/// Smallest and largest file (Exchange: 3 MB to 150 MB).
const SMALLEST: usize = 3_000_000;
const LARGEST: usize = 150 * 1024 * 1024;
/// Every piece but the last one is a multiple of this.
const PIECE: usize = 320 * 1024;
/// Seconds until a session expires.
const LIFETIME: i64 = 3 * 3600;

/// The upload sessions, by the secret of their URL.
#[derive(Debug, Default)]
pub(crate) struct Uploads {
    sessions: Mutex<HashMap<String, Session>>,
}

#[derive(Debug)]
struct Session {
    grant: Arc<Grant>,
    mailbox: Arc<Mailbox>,
    owner: Owner,
    /// The item's id as the client names it.
    item_id: String,
    file: Attachment,
    size: usize,
    received: Vec<u8>,
    expires: i64,
}

/// What the file is attached to.
#[derive(Debug)]
enum Owner {
    Message(u64),
    /// An event, or one occurrence of a series.
    Event(In),
}

impl Uploads {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Session>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `POST …/messages/{id}/attachments/createUploadSession`
pub(super) fn create(
    desk: &Desk<'_>,
    mailbox: &Arc<Mailbox>,
    folder: Option<&str>,
    id: &str,
    body: &[u8],
) -> Result<Answer, GraphError> {
    let (file, size) = wanted(desk, body)?;
    let item = {
        let state = desk.mailbox.read();
        let (item, message) = messages::find(&state, folder, id)?;
        write::may_change_content(desk.grant, message)?;
        item
    };
    Ok(begin(desk, mailbox, Owner::Message(item), id, file, size))
}

/// `POST …/events/{id}/attachments/createUploadSession`
/// (<https://learn.microsoft.com/graph/api/attachment-createuploadsession>).
pub(super) fn create_for_event(
    desk: &Desk<'_>,
    mailbox: &Arc<Mailbox>,
    place: &In,
    id: &str,
    body: &[u8],
) -> Result<Answer, GraphError> {
    let (file, size) = wanted(desk, body)?;
    calendars::must_have(desk, place, id)?;
    Ok(begin(desk, mailbox, Owner::Event(place.clone()), id, file, size))
}

/// The file that a request announces, without its bytes, and how many they will be.
fn wanted(desk: &Desk<'_>, body: &[u8]) -> Result<(Attachment, usize), GraphError> {
    desk.query.allow(&[])?;
    let body = folders::object(body)?;
    let wrong =
        || GraphError::bad_request("The parameter 'AttachmentItem' is missing or not valid.");
    folders::known(&body, &["AttachmentItem", "attachmentItem"])?;
    let wanted = body.values().next().and_then(Value::as_object).ok_or_else(wrong)?;
    let names =
        ["@odata.type", "attachmentType", "name", "size", "isInline", "contentId", "contentType"];
    folders::known(wanted, &names)?;
    let text = |name: &str| wanted.get(name).and_then(Value::as_str).map(str::to_owned);
    if !text("attachmentType").is_some_and(|kind| kind.eq_ignore_ascii_case("file")) {
        return Err(wrong());
    }
    let size = wanted.get("size").and_then(Value::as_u64).ok_or_else(wrong)?;
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    if size < SMALLEST {
        return Err(GraphError::new(
            400,
            "ErrorAttachmentSizeShouldNotBeLessThanMinimumSize",
            "The attachment is smaller than 3 MB: attach it with a single POST.",
        ));
    }
    if size > LARGEST {
        return Err(GraphError::new(
            400,
            "ErrorAttachmentSizeLimitExceeded",
            "The attachment is larger than 150 MB.",
        ));
    }
    let file = Attachment {
        name: text("name").filter(|name| !name.is_empty()).ok_or_else(wrong)?,
        content_type: text("contentType").unwrap_or_else(|| "application/octet-stream".to_owned()),
        content_id: text("contentId"),
        inline: wanted.get("isInline").and_then(Value::as_bool).unwrap_or(false),
        bytes: bytes::Bytes::new(),
        nature: Nature::File,
    };
    Ok((file, size))
}

fn begin(
    desk: &Desk<'_>,
    mailbox: &Arc<Mailbox>,
    owner: Owner,
    id: &str,
    file: Attachment,
    size: usize,
) -> Answer {
    let session = Session {
        grant: Arc::clone(desk.grant),
        mailbox: Arc::clone(mailbox),
        owner,
        item_id: id.to_owned(),
        file,
        size,
        received: Vec::new(),
        expires: desk.now + LIFETIME,
    };
    let secret = [Uuid::new_v4(), Uuid::new_v4()].map(|id| HEXLOWER.encode(id.as_bytes())).concat();
    let url = format!(
        "{}/AttachmentSessions('{}')?authtoken={secret}",
        session.item_url(&desk.shared.mailbox_authority),
        Uuid::new_v4().simple()
    );
    let mut json = Json::with_capacity(1024);
    json.object(|json| {
        json.member("@odata.context", &desk.base.context("microsoft.graph.uploadSession"));
        json.member("uploadUrl", &url);
        json.time("expirationDateTime", session.expires);
        json.member("nextExpectedRanges", &["0-"]);
    });
    let mut sessions = desk.shared.uploads.lock();
    sessions.retain(|_, session| session.expires > desk.now);
    sessions.insert(secret, session);
    Answer::status(201, Content::Json(json.finish()))
}

impl Session {
    /// The item as the upload URLs name it.
    fn item_url(&self, authority: &str) -> String {
        let items = match self.owner {
            Owner::Message(_) => "Messages",
            Owner::Event(_) => "Events",
        };
        format!(
            "{authority}{PATH}Users('{}@{}')/{items}('{}')",
            self.mailbox.id,
            self.grant.tenant.id,
            encode(&self.item_id)
        )
    }
}

/// Answers a request to an upload URL.
pub(crate) async fn serve(shared: &Shared, request: Request, peer: SocketAddr) -> Response<Body> {
    let (parts, mut body) = request.into_parts();
    let mut call = Call::new(shared, &parts, "v1.0", peer);
    let answer = call.upload(&mut body).await.unwrap_or_else(|error| call.refuse(&error));
    call.record(&answer, peer);
    drain(body).await;
    call.respond(answer)
}

impl Call<'_> {
    async fn upload(&mut self, body: &mut Body) -> Result<Answer, GraphError> {
        self.operation = match self.parts.method {
            Method::PUT => Operation::UploadPut,
            Method::DELETE => Operation::UploadDelete,
            _ => {
                return Err(GraphError::new(
                    405,
                    "ErrorInvalidRequest",
                    "The method is not allowed.",
                ));
            }
        };
        if self.parts.headers.contains_key("authorization") {
            // The URL is the permission; Exchange takes a second one for an error.
            return Err(GraphError::unauthenticated(
                "An upload URL is requested without an Authorization header.",
            ));
        }
        let query = Query::parse(self.parts.uri.query())?;
        let secret = query.get("authtoken").unwrap_or_default().to_owned();
        let (grant, mailbox, item) = {
            let sessions = self.shared.uploads.lock();
            let session = sessions
                .get(&secret)
                .filter(|session| session.expires > self.shared.clock.unix())
                .ok_or_else(unknown_session)?;
            (Arc::clone(&session.grant), Arc::clone(&session.mailbox), session.item_id.clone())
        };
        let grant = Arc::clone(self.grant.insert(grant));
        let mailbox = Arc::clone(self.mailbox.insert(mailbox));
        self.enter(&grant, &mailbox)?;
        self.strike(None, Some(&item)).await?;
        let bytes = self.body(body).await?;
        let desk = Desk {
            shared: self.shared,
            base: Base { graph: &self.shared.authority, version: self.version },
            query: &query,
            prefer: Prefer::parse(&self.parts.headers),
            grant: &grant,
            mailbox: &mailbox,
            tenant: &grant.tenant,
            headers: &self.parts.headers,
            pages: &[],
            now: self.shared.clock.unix(),
        };
        let answer = if self.operation == Operation::UploadDelete {
            self.shared.uploads.lock().remove(&secret);
            Answer::no_content()
        } else {
            let range = header(&self.parts.headers, "content-range").unwrap_or_default();
            take(&desk, &secret, range, &bytes)?
        };
        self.aftermath(answer)
    }
}

/// Takes a piece; the last one makes the attachment.
fn take(desk: &Desk<'_>, secret: &str, range: &str, bytes: &[u8]) -> Result<Answer, GraphError> {
    let mut sessions = desk.shared.uploads.lock();
    let session = sessions.get_mut(secret).ok_or_else(unknown_session)?;
    let invalid = |text: &str| GraphError::new(400, "ErrorInvalidRange", text.to_owned());
    let (first, last, size) = range_of(range)
        .ok_or_else(|| invalid("The header Content-Range is missing or malformed."))?;
    if size != session.size || last >= size || first > last || last - first + 1 != bytes.len() {
        return Err(invalid("Content-Range does not fit the file or the body."));
    }
    if first != session.received.len() {
        let text = format!("The next expected range is {}-.", session.received.len());
        return Err(GraphError::new(416, "InvalidRange", text));
    }
    let ends = last + 1 == size;
    if !ends && !bytes.len().is_multiple_of(PIECE) {
        return Err(invalid("A piece that is not the last must be a multiple of 320 KiB."));
    }
    session.received.extend_from_slice(bytes);
    if !ends {
        let mut json = Json::with_capacity(512);
        json.object(|json| {
            let of = format!("{}/AttachmentSessions/$entity", session.item_url(""));
            json.member("@odata.context", &desk.base.context(of.trim_start_matches(PATH)));
            json.member("ExpirationDateTime", &clock::iso(session.expires));
            json.member("nextExpectedRanges", &[session.received.len().to_string()]);
        });
        return Ok(Answer::json(json.finish()));
    }
    let Some(mut session) = sessions.remove(secret) else { return Err(unknown_session()) };
    drop(sessions);
    let received = std::mem::take(&mut session.received);
    let file = Attachment { bytes: received.into(), ..session.file.clone() };
    let name = match &session.owner {
        Owner::Message(item) => attachments::add(desk, &mut desk.mailbox.write(), *item, file)?,
        Owner::Event(place) => calendars::attach(desk, place, &session.item_id, file)?,
    };
    let authority = &desk.shared.mailbox_authority;
    let url = format!("{}/Attachments('{}')", session.item_url(authority), encode(&name));
    Ok(Answer { location: Some(url), ..Answer::status(201, Content::Empty) })
}

/// `bytes 0-2097151/3483322`
fn range_of(text: &str) -> Option<(usize, usize, usize)> {
    let (range, size) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    Some((first.parse().ok()?, last.parse().ok()?, size.parse().ok()?))
}

fn unknown_session() -> GraphError {
    GraphError::new(404, "ErrorItemNotFound", "The upload session is not found or has expired.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_read_as_a_whole_or_not_at_all() {
        assert_eq!(range_of("bytes 0-2097151/3483322"), Some((0, 2_097_151, 3_483_322)));
        for bad in ["", "bytes", "bytes 0-5", "bytes 0-5/*", "0-5/6", "bytes -5/6", "bytes */6"] {
            assert_eq!(range_of(bad), None, "{bad}");
        }
    }
}
