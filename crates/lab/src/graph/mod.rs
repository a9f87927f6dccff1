//! Microsoft Graph: users, mail folders and messages, as the documentation of v1.0 has them.
//!
//! A request passes: its route, its token, its rights, the limits of its application at that
//! mailbox, the faults that were ordered; then it is answered from memory in one go.

mod answer;
mod attached;
mod attachments;
mod bad;
mod batch;
mod calendars;
mod contacts;
mod cursor;
mod delta;
mod directory;
mod errors;
mod exchange;
mod extended;
mod folders;
mod groups;
mod input;
mod json;
mod messages;
mod organization;
mod outlook;
mod page;
mod paging;
mod personal;
mod plain_delta;
mod query;
mod render;
mod rights;
mod route;
mod select;
mod send_mail;
mod shape;
mod signins;
mod subscriptions;
mod terms;
mod uploads;
mod users;
mod write;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::header::WWW_AUTHENTICATE;
use axum::http::{HeaderMap, HeaderName, Method, Response, request::Parts};
use uuid::Uuid;

use crate::activity::Activity;
use crate::counters::Outcome;
use crate::entra::{Grant, Resource as For};
use crate::faults::{Effect, PageFault, Refused, Subject, When};
use crate::ids;
use crate::journal::Entry;
use crate::lab::Shared;
use crate::operation::Operation;
use crate::state::{Mailbox, Tenant};
use crate::throttle::{Limit, Permit, Share};
use answer::{Answer, Content};
pub(crate) use calendars::everything as event_as_graph_shows;
pub(crate) use contacts::everything as contact_as_graph_shows;
pub(crate) use cursor::Sealer;
pub(crate) use directory::{Queries, Snapshots};
use errors::GraphError;
pub(crate) use exchange::{IMPORTS, Imports, search_key, serve_import};
pub(crate) use outlook::{
    categories, categories_as_graph_shows, rule_as_graph_shows, settings_as_graph_shows,
    tasks_as_graph_shows,
};
use personal::Personal;
use query::{Prefer, Query};
pub(crate) use route::percent_decode;
use route::{Resource, Route, Target};
pub(crate) use subscriptions::{Subscriptions, admin as notifications, watch};
pub(crate) use uploads::{PATH as UPLOADS, Uploads, serve as serve_upload};

/// Largest body of a request (Graph: 4 MB).
const LARGEST_BODY: usize = 4 * 1024 * 1024;

/// One request and what is known of it so far.
struct Call<'a> {
    shared: &'a Shared,
    parts: &'a Parts,
    /// `v1.0` or `beta`.
    version: &'static str,
    request_id: Uuid,
    client_request_id: Option<String>,
    operation: Operation,
    grant: Option<Arc<Grant>>,
    mailbox: Option<Arc<Mailbox>>,
    received: u64,
    /// The body, once it was read.
    sent: Option<Bytes>,
    in_batch: bool,
    effect: Effect,
    permit: Option<Permit>,
    peer: SocketAddr,
    began: Instant,
    /// What the request cost in the directory, and what is used.
    units: Option<(u32, Share)>,
}

/// Answers a request below `/v1.0` or `/beta`.
pub(crate) async fn serve(shared: &Shared, request: Request, peer: SocketAddr) -> Response<Body> {
    let (parts, mut body) = request.into_parts();
    let beta = parts.uri.path().starts_with("/beta");
    let version = if beta { "beta" } else { "v1.0" };
    if batch::is_batch(&parts.uri.path()[1 + version.len()..]) {
        return batch::serve(shared, &parts, version, body, peer).await;
    }
    let mut call = Call::new(shared, &parts, version, peer);
    let answer = call.answer(&mut body).await.unwrap_or_else(|error| call.refuse(&error));
    call.record(&answer, peer);
    drain(body).await;
    call.respond(answer)
}

/// Takes what is left of the body of a request that was refused before it was read: else a client
/// that is still sending finds the connection closed and never sees the answer.
async fn drain(body: Body) {
    let _ = axum::body::to_bytes(body, LARGEST_BODY).await;
}

impl<'a> Call<'a> {
    fn new(shared: &'a Shared, parts: &'a Parts, version: &'static str, peer: SocketAddr) -> Self {
        Self {
            shared,
            parts,
            version,
            request_id: Uuid::new_v4(),
            client_request_id: header(&parts.headers, "client-request-id").map(str::to_owned),
            operation: Operation::Unknown,
            grant: None,
            mailbox: None,
            received: 0,
            sent: None,
            in_batch: false,
            effect: Effect::default(),
            permit: None,
            peer,
            began: Instant::now(),
            units: None,
        }
    }
}

impl Call<'_> {
    async fn answer(&mut self, body: &mut Body) -> Result<Answer, GraphError> {
        let path = &self.parts.uri.path()[1 + self.version.len()..];
        let route = Route::parse(&self.parts.method, path);
        if let Ok(route) = &route {
            self.operation = route.operation;
        }
        let grant = Arc::clone(self.grant.insert(self.authenticate()?));
        let route = route?;
        self.authorize(&grant, &route)?;
        self.count(&grant, &route.target)?;
        let mailbox = match &route.target {
            Target::Mail { user, .. } => {
                Some(grant.tenant.mailbox(user).ok_or_else(|| GraphError::user_not_found(user))?)
            }
            Target::Exchange { mailbox, .. } => Some(exchange::mailbox(&grant.tenant, mailbox)?),
            _ => None,
        };
        if let Some(mailbox) = mailbox {
            let mailbox = Arc::clone(self.mailbox.insert(mailbox));
            self.enter(&grant, &mailbox)?;
        }
        self.strike(route.folder(), route.message()).await?;
        let body = self.body(body).await?;
        if let Some(told) = self.effect.answer.take() {
            return self.aftermath(Answer::json(told.into_bytes()));
        }
        let answer = match &route.target {
            Target::Subscriptions(what) => Box::pin(self.subscribed(what, &grant, &body)).await?,
            _ => self.perform(&route, &grant, &body)?,
        };
        self.aftermath(answer)
    }

    /// Takes one of the places that the application has at the mailbox.
    fn enter(&mut self, grant: &Grant, mailbox: &Mailbox) -> Result<(), GraphError> {
        let now = self.shared.clock.unix();
        let entered =
            self.shared.throttle.enter(grant.client_id, mailbox.id, &mailbox.address, now);
        self.permit = Some(entered.map_err(throttled)?);
        Ok(())
    }

    /// Finds out what the fault rules do to this request, and lets happen what comes before it.
    async fn strike(&mut self, folder: Option<&str>, item: Option<&str>) -> Result<(), GraphError> {
        if self.shared.faults.is_empty() {
            return Ok(());
        }
        self.effect = self.shared.faults.effect(&self.subject(folder, item));
        if self.effect.revokes_tokens {
            self.shared.grants.revoke_all();
        }
        for scope in &self.effect.expires {
            self.shared.sealer.expire(*scope);
        }
        if self.effect.delay_ms > 0 {
            tokio::time::sleep(Duration::from_millis(self.effect.delay_ms)).await;
        }
        if let Some(refused) = self.effect.refusal.take_if(|refused| refused.when == When::Before) {
            return Err(ordered(refused));
        }
        if self.effect.reset == Some(When::Before) {
            return Err(GraphError::new(502, "BadGateway", "The lab was told to cut this off."));
        }
        Ok(())
    }

    /// Lets happen what comes after the request was carried out.
    fn aftermath(&mut self, answer: Answer) -> Result<Answer, GraphError> {
        self.effect.refusal.take().map_or(Ok(answer), |refused| Err(ordered(refused)))
    }

    /// The token of the request, if it is one that this lab gave out and still holds good.
    fn authenticate(&self) -> Result<Arc<Grant>, GraphError> {
        let token = header(&self.parts.headers, "authorization")
            .ok_or_else(|| GraphError::unauthenticated("Access token is empty."))?;
        let (scheme, token) = token.split_once(' ').unwrap_or(("", token));
        if !scheme.eq_ignore_ascii_case("Bearer") {
            return Err(GraphError::unauthenticated("Access token is empty."));
        }
        let grant = self.shared.grants.find(token.trim()).ok_or_else(|| {
            GraphError::unauthenticated(
                "Access token validation failure. Invalid audience or signature.",
            )
        })?;
        if grant.resource != For::Graph {
            return Err(GraphError::unauthenticated(
                "Access token validation failure. Invalid audience.",
            ));
        }
        if self.shared.clock.unix() >= grant.expires {
            return Err(GraphError::unauthenticated(
                "Lifetime validation failed, the token is expired.",
            ));
        }
        if grant.continuous {
            self.evaluate(&grant)?;
        }
        Ok(grant)
    }

    fn authorize(&self, grant: &Grant, route: &Route) -> Result<(), GraphError> {
        let need = route.need();
        let has = |role: &str| grant.roles.contains(role);
        let any = need.any_of.is_empty()
            || need.any_of.iter().any(|role| has(role))
            || self.exchange_allows(grant, route, need.any_of);
        if any && need.and.is_none_or(has) {
            return Ok(());
        }
        let mut wanted = need.any_of.join(" or ");
        if let Some(and) = need.and {
            wanted = format!("{wanted}, and {and}");
        }
        Err(if need.mail {
            GraphError::new(
                403,
                "ErrorAccessDenied",
                format!("Access is denied. Check credentials and try again. Needed: {wanted}."),
            )
        } else {
            GraphError::new(
                403,
                "Authorization_RequestDenied",
                format!("Insufficient privileges to complete the operation. Needed: {wanted}."),
            )
        })
    }

    fn subject<'s>(&'s self, folder: Option<&'s str>, item: Option<&'s str>) -> Subject<'s> {
        let mailbox = self.mailbox.as_deref();
        let item_number =
            item.zip(mailbox).and_then(|(id, m)| Some(ids::parse_item_id(m.id, id)?.item()));
        let place = mailbox.and_then(|mailbox| {
            let state = mailbox.read();
            let of_item =
                item_number.and_then(|item| Some(state.messages.get(&item)?.place.folder));
            let number = of_item.or_else(|| folders::find(&state, folder?).ok())?;
            Some((number, state.folders.get(&number)?.well_known))
        });
        Subject {
            mailbox: mailbox.map(|m| &*m.address),
            mailbox_id: mailbox.map(|m| m.id),
            folder_number: place.map(|(number, _)| number),
            folder_role: place.and_then(|(_, role)| Some(role?.as_str())),
            folder,
            item,
            item_number,
            has_token: self.parts.uri.query().is_some_and(|query| query.contains("token=")),
            ..Subject::outside(self.operation)
        }
    }

    async fn body(&mut self, body: &mut Body) -> Result<Bytes, GraphError> {
        if matches!(self.parts.method, Method::GET | Method::DELETE) {
            self.sent = Some(Bytes::new());
            return Ok(Bytes::new());
        }
        let body = std::mem::take(body);
        let body = axum::body::to_bytes(body, LARGEST_BODY).await.map_err(|_| {
            GraphError::new(413, "RequestEntityTooLarge", "The request body is too large.")
        })?;
        self.received = body.len() as u64;
        self.sent = Some(body.clone());
        if let Some(permit) = &self.permit {
            let now = self.shared.clock.unix();
            self.shared.throttle.upload(permit, self.received, now).map_err(throttled)?;
        }
        Ok(body)
    }

    fn perform(
        &self,
        route: &Route,
        grant: &Arc<Grant>,
        body: &[u8],
    ) -> Result<Answer, GraphError> {
        let query = Query::parse(self.parts.uri.query())?;
        let base = Base { graph: &self.shared.authority, version: self.version };
        let what = match &route.target {
            Target::Organization => return organization::show(&base, &query, &grant.tenant),
            Target::Users => {
                return users::list(&base, &query, &self.parts.headers, &grant.tenant);
            }
            Target::UsersDelta => {
                let now = self.shared.clock.unix();
                return users::changes(&base, &query, &grant.tenant, &self.shared.sealer, now);
            }
            Target::Groups(what) => {
                return groups::answer(&base, &query, &self.parts.headers, &grant.tenant, what);
            }
            Target::User(user) => return users::show(&base, &query, &grant.tenant, user),
            Target::Directory(what) => {
                let office = self.office(&base, &query, grant);
                return directory::answer(&office, what, &self.parts.method, body);
            }
            Target::Mail { .. } | Target::Exchange { .. } | Target::Subscriptions(_) => {
                &route.target
            }
        };
        // The route is one into a mailbox, and that was found before.
        let Some(owner) = &self.mailbox else {
            return Err(GraphError::item_not_found());
        };
        let desk = Desk {
            shared: self.shared,
            base,
            query: &query,
            prefer: Prefer::parse(&self.parts.headers),
            grant,
            mailbox: owner,
            pages: &self.effect.pages,
            tenant: &grant.tenant,
            headers: &self.parts.headers,
            now: self.shared.clock.unix(),
        };
        let content_type = header(&self.parts.headers, "content-type").unwrap_or_default();
        let resource = match what {
            Target::Mail { resource, .. } => resource,
            Target::Exchange { what, .. } => return exchange::answer(&desk, owner, what, body),
            _ => return Err(GraphError::bad_request("The request URI is not valid.")),
        };
        match (route.operation, resource) {
            (_, Resource::SendMail) => send_mail::answer(&desk, content_type, body),
            (_, Resource::Personal(Personal::EventUpload(place, id))) => {
                uploads::create_for_event(&desk, owner, place, id, body)
            }
            (operation, Resource::Outlook(what)) => outlook::answer(&desk, operation, what, body),
            (operation, Resource::Personal(personal)) => {
                personal::answer(&desk, operation, personal, content_type, body)
            }
            (Operation::FoldersList, Resource::Folders) => folders::list(&desk, None),
            (Operation::FoldersList, Resource::ChildFolders(folder)) => {
                folders::list(&desk, Some(folder))
            }
            (Operation::FolderCreate, Resource::Folders) => folders::create(&desk, None, body),
            (Operation::FolderCreate, Resource::ChildFolders(folder)) => {
                folders::create(&desk, Some(folder), body)
            }
            (Operation::FoldersDelta, _) => delta::folders(&desk),
            (Operation::FolderShow, Resource::Folder(folder)) => folders::show(&desk, folder),
            (Operation::FolderPatch, Resource::Folder(folder)) => {
                folders::rename(&desk, folder, body)
            }
            (Operation::FolderDelete, Resource::Folder(folder)) => folders::delete(&desk, folder),
            (_, Resource::FolderMove(folder)) => folders::relocate(&desk, folder, body),
            (_, Resource::MessagesDelta(folder)) => delta::messages(&desk, folder),
            (Operation::MessagesList, Resource::Messages(folder)) => {
                messages::list(&desk, folder.as_deref())
            }
            (Operation::MessageCreate, Resource::Messages(folder)) => {
                write::create(&desk, folder.as_deref(), content_type, body)
            }
            (Operation::MessageShow, Resource::Message(folder, id)) => {
                messages::show(&desk, folder.as_deref(), id)
            }
            (_, Resource::MessageValue(folder, id)) => {
                messages::value(&desk, folder.as_deref(), id)
            }
            (Operation::MessagePatch, Resource::Message(folder, id)) => {
                write::patch(&desk, folder.as_deref(), id, body)
            }
            (_, Resource::MessageMove(folder, id)) => {
                write::relocate(&desk, folder.as_deref(), id, body)
            }
            (Operation::MessageDelete, Resource::Message(folder, id)) => {
                write::delete(&desk, folder.as_deref(), id)
            }
            (_, Resource::MessagePermanentDelete(folder, id)) => {
                write::permanent_delete(&desk, folder.as_deref(), id)
            }
            (Operation::AttachmentsList, Resource::Attachments(folder, id)) => {
                attachments::list(&desk, folder.as_deref(), id)
            }
            (Operation::AttachmentCreate, Resource::Attachments(folder, id)) => {
                attachments::create(&desk, folder.as_deref(), id, body)
            }
            (Operation::AttachmentShow, Resource::Attachment(folder, id, attachment)) => {
                attachments::show(&desk, folder.as_deref(), id, attachment)
            }
            (Operation::AttachmentDelete, Resource::Attachment(folder, id, attachment)) => {
                attachments::delete(&desk, folder.as_deref(), id, attachment)
            }
            (_, Resource::AttachmentValue(folder, id, attachment)) => {
                attachments::value(&desk, folder.as_deref(), id, attachment)
            }
            (_, Resource::UploadSession(folder, id)) => {
                uploads::create(&desk, owner, folder.as_deref(), id, body)
            }
            _ => Err(GraphError::bad_request("The request URI is not valid.")),
        }
    }

    fn refuse(&self, error: &GraphError) -> Answer {
        let client = self.client_request_id.clone().unwrap_or_else(|| self.request_id.to_string());
        let now = self.shared.clock.unix();
        let challenge = error.challenge.iter();
        Answer {
            retry_after: error.retry_after,
            headers: challenge.map(|text| (WWW_AUTHENTICATE, text.clone())).collect(),
            ..Answer::status(error.status, Content::Json(error.body(self.request_id, &client, now)))
        }
    }

    fn record(&mut self, answer: &Answer, peer: SocketAddr) {
        let sent = answer.content.len() as u64;
        self.shared.counters.record(Outcome {
            operation: self.operation,
            application: self.grant.as_ref().map(|grant| grant.client_id),
            mailbox: self.mailbox.as_ref().map(|mailbox| Arc::clone(&mailbox.address)),
            status: answer.status,
            sent,
            received: self.received,
        });
        self.shared.journal.write(&Entry {
            operation: self.operation,
            method: &self.parts.method,
            uri: &self.parts.uri,
            headers: &self.parts.headers,
            body: self.sent.as_ref(),
            status: answer.status,
            in_batch: self.in_batch,
        });
        directory::note_accesses(self, answer, peer);
        let logged = self.shared.entra.settings().graph_activity.licensed;
        if let Some(grant) = self.grant.take().filter(|_| logged) {
            let uri = &self.parts.uri;
            self.shared.activity.record(Activity {
                grant,
                request_id: self.request_id,
                client_request_id: self.client_request_id.as_deref().map(Into::into),
                method: self.parts.method.clone(),
                uri: uri.path_and_query().map_or_else(|| uri.path(), |p| p.as_str()).into(),
                version: self.version,
                user_agent: header(&self.parts.headers, "user-agent").unwrap_or_default().into(),
                milliseconds: u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX),
                operation: self.operation.as_str(),
                status: answer.status,
                bytes: sent,
                at: self.shared.clock.unix(),
                address: peer.ip(),
            });
        }
    }

    fn respond(&mut self, mut answer: Answer) -> Response<Body> {
        if let Some((cost, share)) = self.units {
            let header = |name, value| (HeaderName::from_static(name), value);
            answer.headers.push(header("x-ms-resource-unit", cost.to_string()));
            let used = f64::from(share.used) / f64::from(share.most.max(1));
            if used >= 0.8 {
                let used = format!("{used:.1}");
                answer.headers.push(header("x-ms-throttle-limit-percentage", used));
            }
        }
        let wants_id = header(&self.parts.headers, "return-client-request-id")
            .is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let client = self.client_request_id.as_deref().filter(|_| wants_id);
        answer.respond(self.request_id, client, &self.effect, self.permit.take())
    }
}

/// What links and contexts in answers begin with.
struct Base<'a> {
    graph: &'a str,
    version: &'static str,
}

impl Base<'_> {
    fn url(&self, rest: &str) -> String {
        format!("{}/{}/{rest}", self.graph, self.version)
    }

    fn is_beta(&self) -> bool {
        self.version == "beta"
    }

    fn context(&self, of: &str) -> String {
        self.url(&format!("$metadata#{of}"))
    }
}

/// What every operation on a mailbox needs.
struct Desk<'a> {
    shared: &'a Shared,
    base: Base<'a>,
    query: &'a Query,
    prefer: Prefer,
    grant: &'a Arc<Grant>,
    mailbox: &'a Mailbox,
    /// What fault rules do to a page.
    pages: &'a [PageFault],
    tenant: &'a Tenant,
    headers: &'a HeaderMap,
    /// Unix time.
    now: i64,
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn throttled(limit: Limit) -> GraphError {
    let name = limit.name();
    let (code, seconds) = match limit {
        Limit::Concurrency => ("ApplicationThrottled", 1),
        Limit::Requests { retry_after } | Limit::Upload { retry_after } => {
            ("ApplicationThrottled", retry_after)
        }
        Limit::Shared { retry_after, .. } => ("TooManyRequests", retry_after),
    };
    let text = format!("Application is over its {name} limit.");
    GraphError { retry_after: Some(seconds), ..GraphError::new(429, code, text) }
}

/// The refusal that a fault rule orders.
fn ordered(refused: Refused) -> GraphError {
    let code = refused.code.unwrap_or_else(|| default_code(refused.status).to_owned());
    GraphError {
        retry_after: refused.retry_after,
        ..GraphError::new(refused.status, code, "The lab was told to refuse this.")
    }
}

/// The code that usually goes with a status.
fn default_code(status: u16) -> &'static str {
    match status {
        401 => "InvalidAuthenticationToken",
        403 => "ErrorAccessDenied",
        404 => "ErrorItemNotFound",
        410 => "syncStateNotFound",
        429 => "ApplicationThrottled",
        503 => "ServiceUnavailable",
        504 => "GatewayTimeout",
        400..=499 => "BadRequest",
        _ => "ErrorInternalServerError",
    }
}
