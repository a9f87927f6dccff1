use std::{
    future::{Ready, ready},
    io,
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use axum::{
    Extension, Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderValue, Method, Response, StatusCode, header},
};
use axum_server::{
    Handle,
    accept::Accept,
    tls_rustls::{RustlsAcceptor, RustlsConfig},
};
use futures::future::BoxFuture;
use mailkeep_exchange::{LARGEST_NOTIFICATIONS, parse_notifications};
use mailkeep_tls::{ACME_TLS, CertificateStatus, ListenerTls};
use tokio::{sync::Semaphore, time::Instant};
use tokio_rustls::server::TlsStream;

use super::{NotifyOptions, desk::Desk};
use crate::ServiceError;

/// Connections at the same time; more are closed at once. Whoever holds them all keeps notifications
/// away, which passes over all mailboxes do without, and takes no file from the rest of the process.
const CONNECTIONS: usize = 256;
/// Requests that are read at the same time; more are told to come back.
const AT_ONCE: usize = 64;
/// How long a handshake, the head of a request and its body may take each, and how long a connection
/// may say nothing. The provider itself waits ten seconds for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest `validationToken` that is given back. Graph's are some hundred characters.
const LONGEST_TOKEN: usize = 2_048;

/// The listener, which ends when this is dropped.
pub(super) struct Listener {
    address: SocketAddr,
    handle: Handle<SocketAddr>,
    tls: Option<ListenerTls>,
}

struct Shared {
    desk: Arc<Desk>,
    places: Semaphore,
}

impl Listener {
    pub(super) async fn start(
        options: &NotifyOptions,
        desk: Arc<Desk>,
    ) -> Result<Self, ServiceError> {
        let failed = |source| ServiceError::Listen { address: options.listen, source };
        let tls = match options.tls.clone() {
            Some(options) => Some(ListenerTls::start(options).await?),
            None => None,
        };
        let listener = std::net::TcpListener::bind(options.listen).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let handle = Handle::new();
        let shared = Arc::new(Shared { desk, places: Semaphore::new(AT_ONCE) });
        let application = Router::new().fallback(answer).with_state(shared).into_make_service();
        // A connection of HTTP/2 that answers pings may say nothing for as long as it likes.
        let mut server = axum_server::from_tcp(listener)
            .map_err(failed)?
            .handle(handle.clone())
            .first_request_timeout(PATIENCE)
            .http1_only();
        server.http_builder().http1().header_read_timeout(PATIENCE);
        let counted = Counted(Arc::new(Semaphore::new(CONNECTIONS)));
        match &tls {
            None => drop(tokio::spawn(server.acceptor(counted).serve(application))),
            Some(tls) => {
                let config = RustlsConfig::from_config(tls.config());
                let acceptor = RustlsAcceptor::new(config).handshake_timeout(PATIENCE);
                let acceptor = Spoken(acceptor.acceptor(counted));
                drop(tokio::spawn(server.acceptor(acceptor).serve(application)));
            }
        }
        Ok(Self { address, handle, tls })
    }

    pub(super) fn certificate(&self) -> Option<CertificateStatus> {
        self.tls.as_ref().map(ListenerTls::status)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.handle.shutdown();
    }
}

/// Lets so many connections in.
#[derive(Clone)]
struct Counted(Arc<Semaphore>);

impl<I> Accept<I, Router> for Counted {
    type Stream = I;
    type Service = Router;
    type Future = Ready<io::Result<(I, Router)>>;

    fn accept(&self, stream: I, service: Router) -> Self::Future {
        ready(match Arc::clone(&self.0).try_acquire_owned() {
            // What answers the connection's requests ends with it, and gives its place back.
            Ok(place) => Ok((stream, service.layer(Extension(Arc::new(place))))),
            Err(_) => Err(io::Error::other("too many connections")),
        })
    }
}

/// Closes a connection whose handshake was all that was wanted: an ACME server looked for the answer
/// to its challenge (RFC 8737 section 3).
#[derive(Clone)]
struct Spoken<A>(A);

impl<A, I, S, T> Accept<I, S> for Spoken<A>
where
    A: Accept<I, S, Stream = TlsStream<T>>,
    A::Future: Send + 'static,
{
    type Stream = A::Stream;
    type Service = A::Service;
    type Future = BoxFuture<'static, io::Result<(A::Stream, A::Service)>>;

    fn accept(&self, stream: I, service: S) -> Self::Future {
        let accepted = self.0.accept(stream, service);
        Box::pin(async move {
            let (stream, service) = accepted.await?;
            if stream.get_ref().1.alpn_protocol() == Some(ACME_TLS) {
                return Err(io::Error::other("a challenge was answered"));
            }
            Ok((stream, service))
        })
    }
}

/// Whatever the path: what stands in front may change it.
async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    if request.method() != Method::POST {
        return bare(StatusCode::METHOD_NOT_ALLOWED);
    }
    if let Some(token) = validation_token(request.uri().query()) {
        return shake_hands(token);
    }
    let Ok(_place) = shared.places.try_acquire() else {
        return bare(StatusCode::SERVICE_UNAVAILABLE);
    };
    let body = tokio::time::timeout(PATIENCE, to_bytes(request.into_body(), LARGEST_NOTIFICATIONS));
    let told = match body.await {
        Err(_) => return bare(StatusCode::REQUEST_TIMEOUT),
        Ok(Err(_)) => return bare(StatusCode::PAYLOAD_TOO_LARGE),
        Ok(Ok(body)) => parse_notifications(&body),
    };
    match told {
        Ok(told) => {
            shared.desk.accept(&told, Instant::now());
            // Also when nothing was believed: the answer tells nobody which secrets are right, and
            // a provider that is refused would stop notifying this address of anything.
            bare(StatusCode::ACCEPTED)
        }
        Err(_) => {
            shared.desk.refuse_garbage();
            bare(StatusCode::BAD_REQUEST)
        }
    }
}

fn validation_token(query: Option<&str>) -> Option<String> {
    let mut pairs = url::form_urlencoded::parse(query?.as_bytes());
    pairs.find(|(name, _)| name == "validationToken").map(|(_, token)| token.into_owned())
}

/// The provider asks, before a subscription comes about, whether this address wants notifications.
/// Anybody may ask; what is given back is plain text and nothing else.
fn shake_hands(token: String) -> Response<Body> {
    if token.len() > LONGEST_TOKEN || token.chars().any(char::is_control) {
        return bare(StatusCode::BAD_REQUEST);
    }
    let mut response = Response::new(Body::from(token));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn bare(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
