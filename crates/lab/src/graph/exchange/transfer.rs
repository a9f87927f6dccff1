//! Export of items and import sessions
//! (<https://learn.microsoft.com/graph/api/mailbox-exportitems>,
//! <https://learn.microsoft.com/graph/import-exchange-mailbox-item>).

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Body;
use axum::extract::Request;
use axum::http::{Method, Response};
use data_encoding::{BASE64, HEXLOWER};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{folders, items, mailbox_id, stream};
use crate::clock;
use crate::entra::Grant;
use crate::graph::answer::Answer;
use crate::graph::errors::GraphError;
use crate::graph::folders::{known, object};
use crate::graph::query::Query;
use crate::graph::write::may_change_content;
use crate::graph::{Call, Desk, drain};
use crate::lab::Shared;
use crate::operation::Operation;
use crate::state::{IdKind, Mailbox, MailboxState};

/// What the import URLs begin with, up to the version.
pub(crate) const PATH: &str = "/api/g";
/// Items that one request exports.
const MOST: usize = 20;
/// Seconds until a session expires.
const LIFETIME: i64 = 3600;

/// The import sessions, by the secret of their URL.
#[derive(Debug, Default)]
pub(crate) struct Imports {
    sessions: Mutex<HashMap<String, Session>>,
}

#[derive(Clone, Debug)]
struct Session {
    grant: Arc<Grant>,
    mailbox: Arc<Mailbox>,
    expires: i64,
}

impl Imports {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Session>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `POST …/exportItems`: each item by itself succeeds or fails.
pub(super) fn export(desk: &Desk<'_>, body: &[u8]) -> Result<Answer, GraphError> {
    desk.query.allow(&[])?;
    let body = object(body)?;
    known(&body, &["itemIds"])?;
    let ids = body.get("itemIds").and_then(Value::as_array).filter(|ids| !ids.is_empty());
    let ids: Option<Vec<&str>> = ids.and_then(|ids| ids.iter().map(Value::as_str).collect());
    let ids = ids.ok_or_else(|| {
        GraphError::bad_request("The parameter 'itemIds' is missing or not a list of ids.")
    })?;
    if ids.len() > MOST {
        return Err(GraphError::new(
            400,
            "ErrorInvalidRequest",
            format!("A request exports {MOST} items at most."),
        ));
    }
    let state = desk.mailbox.read();
    let exported: Vec<Value> = ids
        .into_iter()
        .map(|id| {
            let found = items::find(&state, id);
            let content = found.and_then(|(_, item)| {
                let data = stream::write(&state, item.number);
                let data = data.ok_or_else(GraphError::item_not_found)?;
                Ok((item.change_key(&state), BASE64.encode(&data)))
            });
            match content {
                Ok((key, data)) => json!({ "itemId": id, "changeKey": key, "data": data }),
                Err(error) => json!({
                    "itemId": id,
                    "error": { "code": error.code, "message": error.message },
                }),
            }
        })
        .collect();
    let of = "Collection(microsoft.graph.exportItemResponse)";
    let answer = json!({ "@odata.context": desk.base.context(of), "value": exported });
    Ok(Answer::json(answer.to_string().into_bytes()))
}

/// `POST …/createImportSession`
pub(super) fn session(desk: &Desk<'_>, mailbox: &Arc<Mailbox>) -> Result<Answer, GraphError> {
    desk.query.allow(&[])?;
    let session = Session {
        grant: Arc::clone(desk.grant),
        mailbox: Arc::clone(mailbox),
        expires: desk.now + LIFETIME,
    };
    let secret = [Uuid::new_v4(), Uuid::new_v4()].map(|id| HEXLOWER.encode(id.as_bytes())).concat();
    let url = format!(
        "{}{PATH}{}/Mailboxes('{}')/importItem?authtoken={secret}",
        desk.shared.mailbox_authority,
        desk.base.version,
        mailbox_id(desk.tenant.id, desk.mailbox.id)
    );
    let answer = json!({
        "@odata.context": desk.base.context("microsoft.graph.mailboxItemImportSession"),
        "importUrl": url,
        "expirationDateTime": clock::iso(session.expires),
    });
    let mut sessions = desk.shared.imports.lock();
    sessions.retain(|_, session| session.expires > desk.now);
    sessions.insert(secret, session);
    Ok(Answer::json(answer.to_string().into_bytes()))
}

/// Answers a request to an import URL.
pub(crate) async fn serve(shared: &Shared, request: Request, peer: SocketAddr) -> Response<Body> {
    let (parts, mut body) = request.into_parts();
    let mut call = Call::new(shared, &parts, "v1.0", peer);
    let answer = call.import(&mut body).await.unwrap_or_else(|error| call.refuse(&error));
    call.record(&answer, peer);
    drain(body).await;
    call.respond(answer)
}

impl Call<'_> {
    async fn import(&mut self, body: &mut Body) -> Result<Answer, GraphError> {
        self.operation = Operation::ExchangeImport;
        if self.parts.method != Method::POST {
            return Err(GraphError::new(405, "ErrorInvalidRequest", "An item is posted."));
        }
        if self.parts.headers.contains_key("authorization") {
            // The URL is the permission; Exchange takes a second one for an error.
            return Err(GraphError::unauthenticated(
                "An import URL is requested without an Authorization header.",
            ));
        }
        let query = Query::parse(self.parts.uri.query())?;
        let secret = query.get("authtoken").unwrap_or_default();
        let session = self.shared.imports.lock().get(secret).cloned();
        let session = session.filter(|session| session.expires > self.shared.clock.unix());
        let session = session.ok_or_else(|| {
            GraphError::unauthenticated("The import URL is not known or has expired.")
        })?;
        let grant = Arc::clone(self.grant.insert(session.grant));
        let mailbox = Arc::clone(self.mailbox.insert(session.mailbox));
        let id = mailbox_id(grant.tenant.id, mailbox.id);
        if !self.parts.uri.path().contains(&id) {
            return Err(GraphError::unauthenticated("The import URL is one of another mailbox."));
        }
        self.enter(&grant, &mailbox)?;
        self.strike(None, None).await?;
        let body = self.body(body).await?;
        if let Some(told) = self.effect.answer.take() {
            return self.aftermath(Answer::json(told.into_bytes()));
        }
        let mut state = mailbox.write();
        let (number, key) = take(&mut state, &grant, &body, self.shared.clock.unix())?;
        let made = items::item(&state, number).ok_or_else(GraphError::item_not_found)?;
        let answer = json!({
            "@odata.context": format!(
                "{}{PATH}v1.0/$metadata#microsoft.graph.importMailboxItemResponse",
                self.shared.mailbox_authority
            ),
            "itemId": made.1.id(&state, IdKind::Regular),
            "changeKey": key,
        });
        drop(state);
        self.aftermath(Answer::json(answer.to_string().into_bytes()))
    }
}

/// Takes an item in; its number and change key.
fn take(
    state: &mut MailboxState,
    grant: &Grant,
    body: &[u8],
    now: i64,
) -> Result<(u64, String), GraphError> {
    let body = object(body)?;
    known(&body, &["FolderId", "Mode", "Data", "ItemId", "ChangeKey"])?;
    let text = |name: &str| {
        body.get(name).and_then(Value::as_str).ok_or_else(|| {
            GraphError::new(
                400,
                "ErrorInvalidRequest",
                format!("The parameter '{name}' is missing or not text."),
            )
        })
    };
    let folder = folders::find(state, text("FolderId")?)?;
    let data = BASE64.decode(text("Data")?.as_bytes()).map_err(|_| {
        GraphError::new(400, "ErrorInvalidRequest", "The parameter 'Data' is not base64.")
    })?;
    let over = match text("Mode")?.to_lowercase().as_str() {
        "create" => None,
        "update" => {
            let (lies_in, item) = items::find(state, text("ItemId")?)?;
            if lies_in != folder.number {
                return Err(GraphError::item_not_found());
            }
            if text("ChangeKey")? != item.change_key(state) {
                return Err(GraphError::new(
                    409,
                    "ErrorIrresolvableConflict",
                    "The item has changed since it was read.",
                ));
            }
            // An item may be made as it was; what is there is guarded as from every other change.
            if let Some(message) = state.messages.get(&item.number) {
                may_change_content(grant, message)?;
            }
            Some(item.number)
        }
        other => {
            return Err(GraphError::new(
                400,
                "ErrorInvalidRequest",
                format!("The mode '{other}' is neither create nor update."),
            ));
        }
    };
    let number = stream::read(state, (folder.number, folder.kind), over, &data, now)?;
    let made = items::item(state, number).ok_or_else(GraphError::item_not_found)?;
    let key = made.1.change_key(state);
    Ok((number, key))
}
