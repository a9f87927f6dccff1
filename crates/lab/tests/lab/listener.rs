//! Somebody who is notified.

use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Response, StatusCode};
use serde_json::Value;

use crate::world::World;

/// How it answers the question whether it wants to be notified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manners {
    /// With the token, as text.
    Good,
    Another,
    Json,
    Refusal,
}

/// A server on loopback that keeps what it is sent.
pub(crate) struct Listener {
    pub(crate) url: String,
    inner: Arc<Inner>,
}

struct Inner {
    manners: Manners,
    /// Status of the answer to a notification.
    status: AtomicU16,
    /// Path, and what was sent there.
    received: Mutex<Vec<(String, Value)>>,
}

impl Listener {
    pub(crate) async fn new(manners: Manners) -> Self {
        let inner =
            Arc::new(Inner { manners, status: AtomicU16::new(202), received: Mutex::default() });
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", socket.local_addr().unwrap());
        let router = Router::new().fallback(serve).with_state(Arc::clone(&inner));
        tokio::spawn(async move { axum::serve(socket, router).await.unwrap() });
        Self { url, inner }
    }

    pub(crate) fn answer_with(&self, status: u16) {
        self.inner.status.store(status, Ordering::SeqCst);
    }

    /// What came to a path since it was asked last, when the lab has nothing more on its way.
    pub(crate) async fn take(&self, world: &World, path: &str) -> Vec<Value> {
        loop {
            let told = world.admin("GET", "notifications", Value::Null).await;
            if told["pending"] == 0 {
                break;
            }
            tokio::task::yield_now().await;
        }
        let mut received = self.inner.received.lock().unwrap();
        let (here, elsewhere): (Vec<_>, Vec<_>) =
            received.drain(..).partition(|(to, _)| to == path);
        *received = elsewhere;
        let lists = here.into_iter().map(|(_, body)| body["value"].as_array().unwrap().clone());
        lists.flatten().collect()
    }
}

async fn serve(State(inner): State<Arc<Inner>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let query = parts.uri.query().unwrap_or_default();
    let token = url::form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == "validationToken")
        .map(|(_, value)| value.into_owned());
    let answer = |status: u16, kind: &str, text: String| {
        let response = Response::builder().status(StatusCode::from_u16(status).unwrap());
        response.header("content-type", kind).body(Body::from(text)).unwrap()
    };
    if let Some(token) = token {
        return match inner.manners {
            Manners::Good => answer(200, "text/plain", token),
            Manners::Another => answer(200, "text/plain", "hello".to_owned()),
            Manners::Json => answer(200, "application/json", token),
            Manners::Refusal => answer(403, "text/plain", token),
        };
    }
    let body = to_bytes(body, 10_000_000).await.unwrap();
    let status = inner.status.load(Ordering::SeqCst);
    if status < 300 {
        let body = serde_json::from_slice(&body).unwrap();
        inner.received.lock().unwrap().push((parts.uri.path().to_owned(), body));
    }
    answer(status, "text/plain", String::new())
}
