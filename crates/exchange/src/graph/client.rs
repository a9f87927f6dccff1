use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use mailkeep_identity::{JobId, ReceiptLog, SignerClient, journal::JournalLog};
use mailkeep_model::{Function, Mailbox, Secret, TenantName};
use reqwest::{
    Method, Response, StatusCode,
    header::{self, HeaderMap},
};
use serde::de::DeserializeOwned;
use url::Url;

pub(super) use super::{
    answer::read_all,
    patience::{MAX_FAULTS, Patience},
};
use super::{
    answer::{self, Unusable, retry_after},
    connections::Connections,
    extras::Extras,
    patience::MAX_THROTTLED,
    refusal, streams,
    token::Tokens,
};
use crate::{
    ExchangeError, Usage,
    gate::{Gates, Place},
    room::Room,
    usage::Counters,
};

/// Ids that stay when an item moves (Graph: "Immutable identifiers for Outlook resources").
pub(super) const IMMUTABLE_IDS: &str = "IdType=\"ImmutableId\"";
/// What we call a request: it stands in the provider's logs and in our journal.
const REQUEST_ID: &str = "client-request-id";
/// Without waiting.
const NOW: Duration = Duration::ZERO;
/// What to do about an answer that is none.
pub(crate) const UNFIT: &str = "Trying again may help; if it stays so, look for what changes answers on the \
                     way: a proxy, a firewall";
/// Tries when not even a connection comes about: a person may be waiting.
const MAX_REFUSED_CONNECTIONS: u32 = 3;

/// Which tenant's Graph to read, and how to trust it.
#[derive(Clone, Debug)]
pub struct GraphConfig {
    /// The tenant.
    pub tenant: TenantName,
    /// The function whose key and rights are used.
    pub function: Function,
    /// Graph's base address, version included: `https://graph.microsoft.com/v1.0`.
    pub graph: Url,
    /// Certificates (PEM) to trust for this connection instead of the system's.
    pub ca_pem: Option<String>,
    /// What is read and restored beside mail, calendars, contacts and settings.
    pub extras: Extras,
}

/// Where assertions come from and where their use is recorded.
#[derive(Clone)]
pub struct Access {
    /// The signer.
    pub signer: SignerClient,
    /// The receipts of token requests.
    pub receipts: ReceiptLog,
    /// The requests that are made with the tokens.
    pub journal: JournalLog,
    /// The job in whose name tokens are asked for.
    pub job: JobId,
    /// What requests go out over.
    pub connections: Connections,
}

/// Microsoft Graph as a [`crate::Provider`].
#[derive(Clone)]
pub struct GraphProvider {
    inner: Arc<Inner>,
}

struct Inner {
    config: GraphConfig,
    http: reqwest::Client,
    tokens: Tokens,
    gates: Gates,
    usage: Counters,
    room: Room,
    streams: streams::State,
}

/// One request, and what to say when it fails.
pub(super) struct Ask<'a> {
    /// What it does, for people: "reading the folders of ann@example.com".
    pub(super) action: String,
    /// The application permission that it needs.
    pub(super) right: &'static str,
    /// Whose limits it counts against.
    pub(super) mailbox: Option<&'a Mailbox>,
    /// The address.
    pub(super) url: Url,
    /// Preferences beside the immutable ids.
    pub(super) prefer: Option<String>,
}

/// What a request does and carries.
pub(super) struct Sending {
    pub(super) method: Method,
    /// Media type and content.
    pub(super) body: Option<(&'static str, Bytes)>,
    pub(super) repeat: Repeat,
    /// How many requests the provider has to carry out at the same time for it.
    pub(super) places: u32,
}

/// Whether a request may be sent again when nobody knows what became of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// The same again changes nothing more.
    Freely,
    /// It would be done twice: somebody has to look first.
    AfterALook,
}

/// What became of a request.
pub(super) enum Outcome {
    /// There is a successful answer; its body is not read yet.
    Answered(Response, Place),
    /// It may have been carried out or not. Only with [`Repeat::AfterALook`].
    Unknown(ExchangeError),
}

/// Why there is no answer from an import session.
pub(super) enum Unsent {
    /// Nothing was sent.
    NotTried(&'static str),
    /// It may have been carried out or not.
    Unknown(String),
}

impl Sending {
    pub(super) const READ: Self =
        Self { method: Method::GET, body: None, repeat: Repeat::Freely, places: 1 };
}

impl GraphProvider {
    /// Prepares a connection; nothing is sent yet.
    ///
    /// # Errors
    /// [`ExchangeError::Configuration`] when the address is not `https` or the certificates cannot
    /// be read.
    pub fn new(config: GraphConfig, access: Access) -> Result<Self, ExchangeError> {
        let resource = config.graph.origin().ascii_serialization();
        Self::for_resource(config, access, &resource)
    }

    /// The same for an interface that takes tokens under another name than its address.
    pub(super) fn for_resource(
        config: GraphConfig,
        access: Access,
        resource: &str,
    ) -> Result<Self, ExchangeError> {
        let unusable =
            |reason: String| ExchangeError::Configuration { tenant: config.tenant.clone(), reason };
        if config.graph.scheme() != "https" || config.graph.cannot_be_a_base() {
            return Err(unusable(format!("{} is not an https address", config.graph)));
        }
        let http = access.connections.of(&config)?;
        let usage = Counters::default();
        let (gates, room) = (Gates::new(), Room::default());
        let streams = streams::State::default();
        let tokens = Tokens::new(&config, resource, http.clone(), access, usage.clone());
        Ok(Self { inner: Arc::new(Inner { config, http, tokens, gates, usage, room, streams }) })
    }

    /// The application permissions that were granted, where the token lets them be read.
    ///
    /// # Errors
    /// Why there is no token.
    pub async fn granted_rights(&self) -> Result<Option<Vec<String>>, ExchangeError> {
        let token = self.inner.tokens.token().await?;
        Ok(token.rights().map(<[String]>::to_vec))
    }

    /// Asks for a token with one of the function's keys, and does not use it.
    pub(super) async fn try_key(&self, key_id: &str) -> Result<(), ExchangeError> {
        self.inner.tokens.try_key(key_id).await
    }

    /// What is read and restored beside mail, calendars, contacts and settings.
    pub(super) fn extras(&self) -> Extras {
        self.inner.config.extras
    }

    /// Where assertions come from, and where what is done with them is written down.
    pub(super) fn access(&self) -> &Access {
        self.inner.tokens.access()
    }

    /// Whose Graph this is.
    pub(super) fn tenant(&self) -> &TenantName {
        &self.inner.config.tenant
    }

    pub(super) fn usage_now(&self) -> Usage {
        self.inner.usage.read()
    }

    pub(super) fn counters(&self) -> Counters {
        self.inner.usage.clone()
    }

    /// Where room is taken for what has to be held in memory whole.
    pub(super) fn room(&self) -> &Room {
        &self.inner.room
    }

    /// What is remembered of streams.
    pub(super) fn streams(&self) -> &streams::State {
        &self.inner.streams
    }

    /// The address of a resource below the base, its segments escaped.
    pub(super) fn url(&self, segments: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = self.inner.config.graph.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// The same in Graph's beta, which lies beside v1.0.
    pub(super) fn beta_url(&self, segments: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = self.url(segments, query);
        let path = url.path().replacen("/v1.0/", "/beta/", 1);
        url.set_path(&path);
        url
    }

    /// An address of ours as it stands in a batch: below the base, with spaces that cannot be taken
    /// for plus signs.
    pub(super) fn relative(&self, url: &Url) -> String {
        let base = self.inner.config.graph.path().trim_end_matches('/');
        let path = url.path().strip_prefix(base).unwrap_or(url.path());
        match url.query() {
            Some(query) => format!("{path}?{}", query.replace('+', "%20")),
            None => path.to_owned(),
        }
    }

    /// A link that the provider gave, accepted only when it stays with the provider: it will be
    /// followed with our token.
    pub(super) fn link(&self, action: &str, link: &str) -> Result<Url, ExchangeError> {
        let url = Url::parse(link).map_err(|error| {
            ExchangeError::protocol(action, format!("a link is no address: {error}"))
        })?;
        let base = &self.inner.config.graph;
        let beta = base.path().replacen("/v1.0", "/beta", 1);
        let ours = [base.path(), &beta].iter().any(|path| url.path().starts_with(path));
        if url.origin() == base.origin() && ours {
            Ok(url)
        } else {
            Err(ExchangeError::protocol(action, "a link leads away from the provider"))
        }
    }

    /// Asks and reads the whole answer as JSON; asks again when it is not understood.
    pub(super) async fn json<T: DeserializeOwned>(
        &self,
        ask: &Ask<'_>,
    ) -> Result<T, ExchangeError> {
        let mut patience = Patience::default();
        loop {
            let body = self.body(ask).await?;
            match serde_json::from_slice(&body) {
                Ok(read) => return Ok(read),
                Err(error) => self.once_more(ask, &mut patience, not_understood(&error)).await?,
            }
        }
    }

    /// Asks and reads the whole answer; asks again when it breaks off.
    pub(super) async fn body(&self, ask: &Ask<'_>) -> Result<Bytes, ExchangeError> {
        self.body_of(ask, &Sending::READ).await
    }

    /// The same for a request that may be repeated freely.
    pub(super) async fn body_of(
        &self,
        ask: &Ask<'_>,
        sending: &Sending,
    ) -> Result<Bytes, ExchangeError> {
        self.answer_of(ask, sending).await.map(|(_, body)| body)
    }

    /// The same with the answer's headers.
    pub(super) async fn answer_of(
        &self,
        ask: &Ask<'_>,
        sending: &Sending,
    ) -> Result<(HeaderMap, Bytes), ExchangeError> {
        let mut patience = Patience::default();
        loop {
            let (response, place) = match self.run(ask, sending).await? {
                Outcome::Answered(response, place) => (response, place),
                Outcome::Unknown(error) => return Err(error),
            };
            let headers = response.headers().clone();
            let body = answer::json(response).await;
            drop(place);
            let (unusable, refused) = match body {
                Ok(body) if !refusal::is_told(&body) => return Ok((headers, body)),
                Ok(body) => {
                    // Refused in what is called a success.
                    let error = self.refused_with(ask, StatusCode::OK, &body);
                    (Unusable::unfit(error.to_string()), Some(error))
                }
                Err(unusable) => (unusable, None),
            };
            if let Err(unfit) = self.once_more(ask, &mut patience, unusable).await {
                return Err(refused.unwrap_or(unfit));
            }
        }
    }

    /// Waits before a request is sent again whose answer was of no use, as long as that may help.
    pub(super) async fn once_more(
        &self,
        ask: &Ask<'_>,
        patience: &mut Patience,
        unusable: Unusable,
    ) -> Result<(), ExchangeError> {
        let Some(wait) = patience.fault(unusable.tries) else {
            return Err(self.unfit(ask, &unusable.reason));
        };
        tracing::debug!(action = ask.action, reason = unusable.reason, "asked once more");
        self.inner.usage.add_retried();
        tokio::time::sleep(wait).await;
        Ok(())
    }

    /// The error for an answer that is none: whose, and what to do.
    pub(super) fn unfit(&self, ask: &Ask<'_>, reason: &str) -> ExchangeError {
        ExchangeError::protocol(self.whose(ask), format!("{reason}. {UNFIT}"))
    }

    /// What a request does, and for which tenant.
    pub(super) fn whose(&self, ask: &Ask<'_>) -> String {
        format!("tenant {}: {}", self.inner.config.tenant, ask.action)
    }

    /// What a parser says of an answer, with whose answer it is.
    pub(super) fn explained(&self, ask: &Ask<'_>, error: ExchangeError) -> ExchangeError {
        match error {
            ExchangeError::Protocol { reason, .. } => self.unfit(ask, &reason),
            error => error,
        }
    }

    /// Asks until there is a successful answer or no hope of one; its body is not read yet.
    pub(super) async fn ask(&self, ask: &Ask<'_>) -> Result<(Response, Place), ExchangeError> {
        match self.run(ask, &Sending::READ).await? {
            Outcome::Answered(response, place) => Ok((response, place)),
            Outcome::Unknown(error) => Err(error),
        }
    }

    /// Sends until there is a successful answer, no hope of one, or doubt.
    pub(super) async fn run(
        &self,
        ask: &Ask<'_>,
        sending: &Sending,
    ) -> Result<Outcome, ExchangeError> {
        let gate = self.inner.gates.of(ask.mailbox.map(|mailbox| &mailbox.id));
        let mut patience = Patience::default();
        loop {
            let place = self.inner.gates.enter(&gate, sending.places).await;
            let token = self.inner.tokens.token().await?;
            let newly_issued = token.is_new();
            self.inner.usage.add_request();
            let client_request_id = self.journal(ask)?;
            let mut request = self
                .inner
                .http
                .request(sending.method.clone(), ask.url.clone())
                .header(header::AUTHORIZATION, token.header())
                .header("prefer", IMMUTABLE_IDS)
                .header(REQUEST_ID, client_request_id.to_string());
            // Graph: "Advanced query capabilities on directory objects".
            if ask.mailbox.is_none() && ask.url.query_pairs().any(|(name, _)| name == "$count") {
                request = request.header("consistencylevel", "eventual");
            }
            if let Some(prefer) = &ask.prefer {
                request = request.header("prefer", prefer);
            }
            if let Some((media_type, content)) = &sending.body {
                request = request.header(header::CONTENT_TYPE, *media_type).body(content.clone());
            }
            let response = match request.send().await {
                Ok(response) => response,
                // Without a connection nothing was sent, and trying again is safe whatever it is.
                Err(error) if sending.repeat == Repeat::AfterALook && !error.is_connect() => {
                    return Ok(Outcome::Unknown(self.unfit(ask, &root_cause(&error))));
                }
                Err(error) => {
                    let tries = match unreachable(&self.inner.config, &ask.url, &error) {
                        // The same certificate would be shown again.
                        error @ ExchangeError::Untrusted { .. } => return Err(error),
                        _ if error.is_connect() => MAX_REFUSED_CONNECTIONS,
                        _ => MAX_FAULTS,
                    };
                    let Some(wait) = patience.fault(tries) else {
                        // An answer that never comes may be the fault of this one item.
                        return Err(if error.is_connect() {
                            unreachable(&self.inner.config, &ask.url, &error)
                        } else {
                            self.unfit(ask, &root_cause(&error))
                        });
                    };
                    drop(place);
                    self.inner.usage.add_retried();
                    tokio::time::sleep(wait).await;
                    continue;
                }
            };
            let status = response.status();
            if status.is_success() {
                return Ok(Outcome::Answered(response, place));
            }
            let retry_after = retry_after(&response);
            match status {
                StatusCode::UNAUTHORIZED => {
                    // Tokens are revoked, several times in a row when things go badly. That one is
                    // refused which has just been issued means something only when it goes on.
                    let body = read_all(response).await.unwrap_or_default();
                    let wait = match newly_issued {
                        true if refusal::is_no_matter_of_tokens(&body) => None,
                        true => patience.fault(MAX_FAULTS),
                        false => Some(NOW),
                    };
                    let Some(wait) = wait else {
                        return Err(self.refused_with(ask, status, &body));
                    };
                    self.inner.tokens.forget(&token).await;
                    self.inner.usage.add_retried();
                    drop(place);
                    tokio::time::sleep(wait).await;
                }
                StatusCode::TOO_MANY_REQUESTS => {
                    self.inner.usage.add_throttled();
                    let Some(wait) = patience.throttled(retry_after) else {
                        return Err(self.throttled(ask));
                    };
                    tracing::debug!(action = ask.action, wait_ms = wait.as_millis(), "throttled");
                    gate.pause_for(wait);
                }
                status if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT => {
                    if sending.repeat == Repeat::AfterALook {
                        if let Some(wait) = retry_after {
                            gate.pause_for(wait.min(MAX_THROTTLED));
                        }
                        return Ok(Outcome::Unknown(self.refused(ask, response).await));
                    }
                    let Some(wait) = patience.fault(MAX_FAULTS) else {
                        return Err(self.refused(ask, response).await);
                    };
                    self.inner.usage.add_retried();
                    drop(place);
                    tokio::time::sleep(retry_after.unwrap_or(wait).min(MAX_THROTTLED)).await;
                }
                _ => return Err(self.refused(ask, response).await),
            }
        }
    }

    /// Sends a piece of a file to the address of an upload session, once: the address is a secret
    /// in place of our token, and does not lie with Graph.
    pub(super) async fn send_piece(
        &self,
        mailbox: &Mailbox,
        address: &Secret,
        piece: Option<(String, Bytes)>,
    ) -> Result<Response, String> {
        let url = Url::parse(address.expose()).map_err(|error| error.to_string())?;
        if url.scheme() != "https" {
            return Err("the upload address is not https".into());
        }
        let gate = self.inner.gates.of(Some(&mailbox.id));
        let _place = self.inner.gates.enter(&gate, 1).await;
        self.inner.usage.add_request();
        let name = self.journal_of(Some(mailbox), &url).map_err(|error| error.to_string())?;
        let request = match piece {
            Some((range, bytes)) => self
                .inner
                .http
                .put(url)
                .header(header::CONTENT_TYPE, "application/octet-stream")
                .header(header::CONTENT_RANGE, range)
                .body(bytes),
            None => self.inner.http.get(url),
        };
        let request = request.header(REQUEST_ID, name.to_string());
        let response = request.send().await.map_err(|error| root_cause(&error))?;
        if let (429 | 503, Some(wait)) = (response.status().as_u16(), retry_after(&response)) {
            gate.pause_for(wait.min(MAX_THROTTLED));
        }
        Ok(response)
    }

    /// Sends an item to the address of an import session, once: the address is a secret in place of our
    /// token, which must not go along.
    pub(super) async fn send_item(
        &self,
        mailbox: &Mailbox,
        address: &Secret,
        json: Bytes,
    ) -> Result<Response, Unsent> {
        let url = Url::parse(address.expose()).ok().filter(|url| url.scheme() == "https");
        let url = url.ok_or(Unsent::NotTried("the import address is not https"))?;
        let gate = self.inner.gates.of(Some(&mailbox.id));
        let _place = self.inner.gates.enter(&gate, 1).await;
        self.inner.usage.add_request();
        let name = self.journal_of(Some(mailbox), &url);
        let name = name.map_err(|_| Unsent::NotTried("the journal cannot be written"))?;
        let request = self.inner.http.post(url).header(header::CONTENT_TYPE, "application/json");
        let request = request.header(REQUEST_ID, name.to_string());
        let response = request.body(json).send().await.map_err(|error| {
            if error.is_connect() {
                Unsent::NotTried("no connection came about")
            } else {
                Unsent::Unknown(root_cause(&error))
            }
        })?;
        if let (429 | 503, Some(wait)) = (response.status().as_u16(), retry_after(&response)) {
            gate.pause_for(wait.min(MAX_THROTTLED));
        }
        Ok(response)
    }

    async fn refused(&self, ask: &Ask<'_>, response: Response) -> ExchangeError {
        let status = response.status();
        let body = read_all(response).await.unwrap_or_default();
        self.refused_with(ask, status, &body)
    }

    /// The error for a request that is throttled for longer than we wait.
    pub(super) fn throttled(&self, ask: &Ask<'_>) -> ExchangeError {
        let tenant = self.inner.config.tenant.clone();
        ExchangeError::Throttled { tenant, action: ask.action.clone() }
    }

    /// Holds all requests into a mailbox, or to what belongs to none, back for a while.
    pub(super) fn pause(&self, mailbox: Option<&Mailbox>, wait: Duration) {
        self.inner.gates.of(mailbox.map(|mailbox| &mailbox.id)).pause_for(wait);
    }

    /// The error for a request that was refused, by what the answer says.
    pub(super) fn refused_with(
        &self,
        ask: &Ask<'_>,
        status: StatusCode,
        body: &[u8],
    ) -> ExchangeError {
        refusal::of_graph(&self.inner.config, &ask.action, ask.right, status.as_u16(), body)
    }
}

/// Why JSON that came whole is of no use.
pub(super) fn not_understood(error: &serde_json::Error) -> Unusable {
    Unusable::unfit(format!("not understood: {error}"))
}

/// The error for a host that gives no answer, or none that can be trusted.
pub(super) fn unreachable(
    config: &GraphConfig,
    url: &Url,
    error: &reqwest::Error,
) -> ExchangeError {
    let tenant = config.tenant.clone();
    let port = url.port_or_known_default().unwrap_or(443);
    let host = format!("{}:{port}", url.host_str().unwrap_or("?"));
    let reason = root_cause(error);
    // The type of this error is not part of the library's interface; its beginning is the same in all
    // of its versions that we have seen.
    match reason.strip_prefix("invalid peer certificate: ") {
        Some(reason) => ExchangeError::Untrusted { tenant, host, reason: reason.to_owned() },
        None => ExchangeError::Unreachable { tenant, host, reason },
    }
}

/// The innermost cause of an error, which names what happened; the outer ones repeat the address
/// and with it what may be secret in its query.
pub(crate) fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    match cause.downcast_ref::<std::io::Error>() {
        // The library tells programmers about TLS where people want to know what happened.
        Some(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            "the connection broke off".into()
        }
        _ => cause.to_string(),
    }
}
