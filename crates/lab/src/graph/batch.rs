//! Many requests in one (<https://learn.microsoft.com/graph/json-batching>).
//!
//! Every request in a batch is a request of its own: it is counted, limited, refused and made to
//! fail as if it had come alone. Only its token is that of the batch.

use std::net::SocketAddr;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Response, Uri, header, request::Parts};
use data_encoding::{BASE64, BASE64_MIME_PERMISSIVE};
use futures::future::join_all;
use serde_json::{Map, Value, json};

use super::answer::Answer;
use super::errors::GraphError;
use super::folders::{known, object};
use super::{Call, drain, header as text_of};
use crate::lab::Shared;
use crate::operation::Operation;

/// Requests of a batch at most.
const MOST: usize = 20;
/// Of these, that many are carried out at once (Exchange: four).
const AT_ONCE: usize = 4;
/// Largest answer of a request that fits into the batch's.
const LARGEST_ANSWER: usize = 64 * 1024 * 1024;

/// One request of a batch.
struct Step {
    id: String,
    depends_on: Vec<String>,
    parts: Parts,
    body: Vec<u8>,
}

/// Whether a path behind the version is that of batches.
pub(super) fn is_batch(path: &str) -> bool {
    path.trim_matches('/').eq_ignore_ascii_case("$batch")
        || path.trim_matches('/').eq_ignore_ascii_case("%24batch")
}

/// `POST /$batch`
pub(super) async fn serve(
    shared: &Shared,
    parts: &Parts,
    version: &'static str,
    mut body: Body,
    peer: SocketAddr,
) -> Response<Body> {
    let mut call = Call::new(shared, parts, version, peer);
    call.operation = Operation::Batch;
    let answer =
        Box::pin(call.batch(&mut body, peer)).await.unwrap_or_else(|error| call.refuse(&error));
    call.record(&answer, peer);
    drain(body).await;
    call.respond(answer)
}

impl Call<'_> {
    async fn batch(&mut self, body: &mut Body, peer: SocketAddr) -> Result<Answer, GraphError> {
        self.grant = Some(self.authenticate()?);
        if self.parts.method != axum::http::Method::POST {
            return Err(GraphError::new(405, "Request_BadRequest", "A batch is posted."));
        }
        self.strike(None, None).await?;
        let body = self.body(body).await?;
        let mut waiting = steps(self.parts, self.version, &body)?;
        let mut done: Vec<(String, Value)> = Vec::new();
        while !waiting.is_empty() {
            let is_done = |id: &String| done.iter().any(|(other, _)| other == id);
            let ready = |step: &Step| step.depends_on.iter().all(is_done);
            let (now, later): (Vec<Step>, Vec<Step>) = waiting.into_iter().partition(ready);
            if now.is_empty() {
                return Err(GraphError::bad_request(
                    "The requests of the batch wait for each other.",
                ));
            }
            waiting = later;
            let mut now = now.into_iter().peekable();
            while now.peek().is_some() {
                let together: Vec<Step> = now.by_ref().take(AT_ONCE).collect();
                let failed = |step: &Step| {
                    step.depends_on.iter().any(|id| {
                        let mut answers = done.iter();
                        answers.any(|(other, one)| {
                            other == id && one["status"].as_u64().is_none_or(|status| status >= 400)
                        })
                    })
                };
                let (this, failed) = (&*self, &failed);
                let carried_out = together.iter().map(|step| async move {
                    if failed(step) {
                        return failed_dependency(&step.id);
                    }
                    Box::pin(this.carry_out(step, peer)).await
                });
                let answers = join_all(carried_out).await;
                done.extend(together.into_iter().map(|step| step.id).zip(answers));
            }
        }
        let responses: Vec<Value> = done.into_iter().map(|(_, answer)| answer).collect();
        let answer = json!({ "responses": responses }).to_string().into_bytes();
        self.aftermath(Answer::json(answer))
    }

    /// One request, as if it had come alone.
    async fn carry_out(&self, step: &Step, peer: SocketAddr) -> Value {
        let mut call = Call::new(self.shared, &step.parts, self.version, peer);
        call.in_batch = true;
        let mut body = Body::from(step.body.clone());
        let answer = call.answer(&mut body).await.unwrap_or_else(|error| call.refuse(&error));
        call.record(&answer, peer);
        let (parts, body) = call.respond(answer).into_parts();
        let Ok(body) = to_bytes(body, LARGEST_ANSWER).await else {
            // What is a broken connection for one request is a gateway's error for one of many.
            let text = "The request could not be carried out.";
            return refused(&step.id, 502, "BadGateway", text);
        };
        let named = [
            header::CONTENT_TYPE,
            header::CACHE_CONTROL,
            header::LOCATION,
            header::RETRY_AFTER,
            HeaderName::from_static("preference-applied"),
            HeaderName::from_static("request-id"),
        ];
        let shown = [
            "Content-Type",
            "Cache-Control",
            "Location",
            "Retry-After",
            "Preference-Applied",
            "request-id",
        ];
        let headers: Map<String, Value> = named
            .iter()
            .zip(shown)
            .filter_map(|(name, shown)| {
                Some((shown.to_owned(), json!(parts.headers.get(name)?.to_str().ok()?)))
            })
            .collect();
        let mut answer =
            json!({ "id": step.id, "status": parts.status.as_u16(), "headers": headers });
        if let Some(body) = in_json(&parts.headers.get(header::CONTENT_TYPE), &body) {
            answer["body"] = body;
        }
        answer
    }
}

/// JSON as it is, everything else as base64.
fn in_json(kind: &Option<&HeaderValue>, body: &Bytes) -> Option<Value> {
    if body.is_empty() {
        return None;
    }
    let is_json =
        kind.and_then(|kind| kind.to_str().ok()).is_some_and(|k| k.starts_with("application/json"));
    let read = is_json.then(|| serde_json::from_slice(body).ok()).flatten();
    Some(read.unwrap_or_else(|| json!(BASE64.encode(body))))
}

fn failed_dependency(id: &str) -> Value {
    refused(id, 424, "FailedDependency", "A request that this one depends on has failed.")
}

fn refused(id: &str, status: u16, code: &str, text: &str) -> Value {
    json!({
        "id": id,
        "status": status,
        "headers": { "Content-Type": "application/json" },
        "body": { "error": { "code": code, "message": text } },
    })
}

/// The requests of a batch, in their order.
fn steps(outer: &Parts, version: &str, body: &[u8]) -> Result<Vec<Step>, GraphError> {
    let body = object(body)?;
    known(&body, &["requests"])?;
    let list = body.get("requests").and_then(Value::as_array).filter(|list| !list.is_empty());
    let list = list.ok_or_else(|| {
        GraphError::bad_request("The batch has no 'requests', or they are not a list.")
    })?;
    if list.len() > MOST {
        return Err(GraphError::new(
            400,
            "MaximumValueExceeded",
            format!("Number of batch request steps exceeds the maximum value of {MOST}."),
        ));
    }
    let steps: Vec<Step> =
        list.iter().map(|one| step(outer, version, one)).collect::<Result<_, _>>()?;
    for (at, step) in steps.iter().enumerate() {
        if steps[..at].iter().any(|other| other.id.eq_ignore_ascii_case(&step.id)) {
            return Err(GraphError::bad_request(format!(
                "The id '{}' stands for more than one request of the batch.",
                step.id
            )));
        }
        if let Some(nobody) = step.depends_on.iter().find(|id| !steps.iter().any(|s| s.id == **id))
        {
            return Err(GraphError::bad_request(format!(
                "The request '{}' depends on '{nobody}', which is not in the batch.",
                step.id
            )));
        }
    }
    Ok(steps)
}

fn step(outer: &Parts, version: &str, one: &Value) -> Result<Step, GraphError> {
    let one = one
        .as_object()
        .ok_or_else(|| GraphError::bad_request("A request of the batch is not an object."))?;
    // Others are ignored: msgraph-sdk for Python sends an empty `depends_on` along.
    let text = |name: &str| one.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let missing = |name: &str| {
        GraphError::bad_request(format!("A request of the batch has no '{name}', or no valid one."))
    };
    let id = text("id").ok_or_else(|| missing("id"))?.to_owned();
    let method = text("method").and_then(|m| m.to_uppercase().parse().ok());
    let uri =
        uri(version, text("url").ok_or_else(|| missing("url"))?).ok_or_else(|| missing("url"))?;
    let mut parts = Request::new(()).into_parts().0;
    parts.method = method.ok_or_else(|| missing("method"))?;
    parts.uri = uri;
    for (name, value) in one.get("headers").and_then(Value::as_object).into_iter().flatten() {
        let name: Option<HeaderName> = name.parse().ok();
        let value = value.as_str().and_then(|value| HeaderValue::from_str(value).ok());
        if let Some((name, value)) = name.zip(value) {
            parts.headers.append(name, value);
        }
    }
    if let Some(program) = outer.headers.get(header::USER_AGENT) {
        parts.headers.insert(header::USER_AGENT, program.clone());
    }
    // A request of a batch acts for whoever sent the batch.
    parts.headers.remove(header::AUTHORIZATION);
    if let Some(token) = outer.headers.get(header::AUTHORIZATION) {
        parts.headers.insert(header::AUTHORIZATION, token.clone());
    }
    let kind = text_of(&parts.headers, "content-type").unwrap_or_default().to_lowercase();
    let body = match one.get("body") {
        None | Some(Value::Null) => Vec::new(),
        Some(_) if kind.is_empty() => {
            return Err(GraphError::bad_request(format!(
                "The request '{id}' has a body and no header 'Content-Type'."
            )));
        }
        Some(Value::String(encoded)) if !kind.starts_with("application/json") => {
            let plain = encoded.replace('-', "+").replace('_', "/");
            BASE64_MIME_PERMISSIVE.decode(plain.as_bytes()).map_err(|_| missing("body"))?
        }
        Some(value) => value.to_string().into_bytes(),
    };
    let depends_on = one.get("dependsOn").and_then(Value::as_array);
    let depends_on = depends_on.into_iter().flatten();
    let depends_on = depends_on.filter_map(|id| id.as_str().map(str::to_owned)).collect();
    Ok(Step { id, depends_on, parts, body })
}

/// A URL below the version; `None` for a batch in a batch. An absolute one is taken for a relative one,
/// too, and leads nowhere: its first segment is `https:`.
fn uri(version: &str, url: &str) -> Option<Uri> {
    if is_batch(url) {
        return None;
    }
    let mut whole = format!("/{version}/");
    for c in url.trim_start_matches('/').chars() {
        if c.is_ascii_graphic()
            && !matches!(c, '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}')
        {
            whole.push(c);
        } else {
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                whole.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    whole.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_of_a_batch_stays_below_the_version_and_is_no_batch() {
        let read = |url: &str| uri("v1.0", url).map(|uri| uri.to_string());
        assert_eq!(read("/users?$filter=a eq 'b'").unwrap(), "/v1.0/users?$filter=a%20eq%20'b'");
        assert_eq!(read("users/ä").unwrap(), "/v1.0/users/%C3%A4");
        let absolute = "https://elsewhere.example/v1.0/users";
        assert_eq!(read(absolute).unwrap(), format!("/v1.0/{absolute}"));
        for refused in ["/$batch", "$BATCH"] {
            assert_eq!(read(refused), None, "{refused}");
        }
    }
}
