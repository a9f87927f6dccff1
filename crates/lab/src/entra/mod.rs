//! Entra ID: the token endpoint, the tokens that it gave out, Conditional Access, and the logs of
//! sign-ins and of changes.

mod access;
mod assertion;
mod audits;
mod errors;
mod federated;
mod grants;
mod jwt;
mod record;
mod settings;
mod signin;
mod token;
mod visitor;

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderValue, Method, Response, StatusCode, header};
use uuid::Uuid;

pub(crate) use access::{ConditionalAccess, Location, Policy};
pub(crate) use assertion::Replays;
pub(crate) use audits::{Activity, Actor, AuditLog, Modified, Target, Who};
pub(crate) use federated::Issuers;
pub(crate) use grants::{Grant, Grants, Resource};
pub(crate) use jwt::{Jwt, Padding};
pub(crate) use record::{Change, Kind, change, credentials, modified, owner};
pub(crate) use settings::Entra;
pub(crate) use signin::{GRAPH_APPLICATION, SignIn, SignInLog, graph_principal};
pub(crate) use visitor::administrator_token;

use crate::counters::Outcome;
use crate::faults::Subject;
use crate::lab::{Shared, bare};
use crate::operation::Operation;

/// Largest body of a token request.
const LARGEST_BODY: usize = 64 * 1024;

/// Answers everything that is neither Graph's nor the administrative interface's.
pub(crate) async fn route(shared: &Shared, request: Request, peer: SocketAddr) -> Response<Body> {
    let path = request.uri().path().trim_matches('/').to_owned();
    let segments: Vec<&str> = path.split('/').collect();
    match (request.method(), segments.as_slice()) {
        (&Method::POST, [tenant, "oauth2", "v2.0", "token"]) => {
            serve_token(shared, tenant, request, peer).await
        }
        (&Method::GET, [tenant, "v2.0", ".well-known", "openid-configuration"]) => {
            let response = match token::discovery(shared, tenant) {
                Ok(document) => json(document.to_string()),
                Err(error) => {
                    let (request, correlation) = (Uuid::new_v4(), Uuid::new_v4());
                    error.response(
                        &shared.authority,
                        request,
                        correlation,
                        shared.clock.now(),
                        None,
                    )
                }
            };
            count(shared, Operation::Discovery, None, &response, 0);
            response
        }
        // Access tokens are for Graph alone to read; nobody needs keys for them.
        (&Method::GET, [_, "discovery", "v2.0", "keys"]) => json("{\"keys\":[]}".to_owned()),
        _ => bare(StatusCode::NOT_FOUND),
    }
}

async fn serve_token(
    shared: &Shared,
    tenant: &str,
    request: Request,
    peer: SocketAddr,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, LARGEST_BODY).await else {
        return bare(StatusCode::PAYLOAD_TOO_LARGE);
    };
    let effect = shared.faults.effect(&Subject::outside(Operation::Token));
    if effect.delay_ms > 0 {
        tokio::time::sleep(Duration::from_millis(effect.delay_ms)).await;
    }
    let (mut response, client) =
        token::serve(shared, tenant, &parts.headers, &body, peer, effect.refusal.as_ref());
    count(shared, Operation::Token, client, &response, body.len() as u64);
    if effect.reset.is_some() {
        let broken = std::io::Error::new(std::io::ErrorKind::ConnectionReset, "ordered by a rule");
        *response.body_mut() = Body::from_stream(futures::stream::iter([
            Ok(axum::body::Bytes::from_static(b"{\"token_type\":")),
            Err(broken),
        ]));
    }
    response
}

fn json(body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    let kind = HeaderValue::from_static("application/json; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn count(
    shared: &Shared,
    operation: Operation,
    application: Option<Uuid>,
    response: &Response<Body>,
    received: u64,
) {
    use axum::body::HttpBody;
    shared.counters.record(Outcome {
        operation,
        application,
        mailbox: None,
        status: response.status().as_u16(),
        sent: response.body().size_hint().exact().unwrap_or(0),
        received,
    });
}
