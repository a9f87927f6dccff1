//! Many questions about one mailbox, or about the directory, in one request (Graph: "Combine multiple HTTP requests using JSON
//! batching").
//!
//! What is in a batch is counted, limited and refused as if it had come alone, and only four of it are
//! carried out at a time: a batch takes all places of its mailbox. What it spares is the way there
//! and back. Decision 0009 says what is asked this way.

use std::time::Duration;

use bytes::Bytes;
use data_encoding::{BASE64, BASE64URL};
use futures::future::join_all;
use mailkeep_model::Mailbox;
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use super::{
    answer::parse_retry_after,
    client::{Ask, GraphProvider, IMMUTABLE_IDS, Repeat, Sending},
    patience::{MAX_FAULTS, MAX_THROTTLED, Patience},
    refusal,
};
use crate::{ExchangeError, gate::PER_MAILBOX};

/// Requests in a batch.
const MOST: usize = 20;
/// So few are out at the same time anyway; a batch would only make them wait for each other.
const FEW: usize = PER_MAILBOX;

/// The answer to one request of a batch.
struct Part {
    status: StatusCode,
    headers: Map<String, Value>,
    body: Value,
}

/// A request that has no answer yet.
struct Waiting {
    at: usize,
    patience: Patience,
}

/// What became of a request.
enum Fate {
    Settled(Result<Value, ExchangeError>),
    /// The same again, not before this.
    Again(Duration),
    /// The same again, with a token of its own.
    Alone,
}

/// Asks all of these questions about one mailbox, or about none; the JSON that answers each, in their order.
///
/// # Errors
/// What concerns all of them. What concerns one is in its place.
pub(super) async fn ask_all(
    graph: &GraphProvider,
    mailbox: Option<&Mailbox>,
    asks: &[Ask<'_>],
) -> Result<Vec<Result<Value, ExchangeError>>, ExchangeError> {
    let mut answers = Vec::with_capacity(asks.len());
    for asks in asks.chunks(MOST) {
        answers.extend(if asks.len() <= FEW {
            one_by_one(graph, asks).await?
        } else {
            together(graph, mailbox, asks).await?
        });
    }
    Ok(answers)
}

async fn one_by_one(
    graph: &GraphProvider,
    asks: &[Ask<'_>],
) -> Result<Vec<Result<Value, ExchangeError>>, ExchangeError> {
    let answers = join_all(asks.iter().map(|ask| graph.json::<Value>(ask))).await;
    answers.into_iter().map(|answer| answer.map_or_else(own, |value| Ok(Ok(value)))).collect()
}

/// An error that concerns one question stays with it.
fn own(error: ExchangeError) -> Result<Result<Value, ExchangeError>, ExchangeError> {
    let own = error.concerns_one_item() || matches!(error, ExchangeError::Forbidden { .. });
    if own { Ok(Err(error)) } else { Err(error) }
}

/// Sends one batch, and again what of it has to be sent again.
async fn together(
    graph: &GraphProvider,
    mailbox: Option<&Mailbox>,
    asks: &[Ask<'_>],
) -> Result<Vec<Result<Value, ExchangeError>>, ExchangeError> {
    let mut settled: Vec<Option<Result<Value, ExchangeError>>> =
        asks.iter().map(|_| None).collect();
    let mut waiting: Vec<Waiting> =
        (0..asks.len()).map(|at| Waiting { at, patience: Patience::default() }).collect();
    let mut alone = Vec::new();
    while !waiting.is_empty() {
        let parts = match send(graph, mailbox, asks, &waiting).await {
            Ok(parts) => parts,
            // Batches are refused here, or come back as something else: there is the long way.
            Err(error) if own_to_batches(&error) => {
                tracing::debug!(%error, "a batch failed; its requests go out one by one");
                alone.extend(waiting.into_iter().map(|waiting| waiting.at));
                break;
            }
            Err(error) => return Err(error),
        };
        let mut pause = Duration::ZERO;
        let mut again = Vec::new();
        for (mut waiting, part) in waiting.into_iter().zip(parts) {
            match judge(graph, &asks[waiting.at], part, &mut waiting.patience) {
                Fate::Settled(answer) => settled[waiting.at] = Some(answer),
                Fate::Alone => alone.push(waiting.at),
                Fate::Again(wait) => {
                    pause = pause.max(wait);
                    again.push(waiting);
                }
            }
        }
        waiting = again;
        if !waiting.is_empty() {
            // Whatever was throttled was so for the whole mailbox.
            graph.pause(mailbox, pause);
        }
    }
    let answers = join_all(alone.iter().map(|at| graph.json::<Value>(&asks[*at]))).await;
    for (at, answer) in alone.into_iter().zip(answers) {
        settled[at] = Some(answer.map_or_else(own, |value| Ok(Ok(value)))?);
    }
    Ok(settled.into_iter().map(|answer| answer.expect("each was settled or is alone")).collect())
}

fn own_to_batches(error: &ExchangeError) -> bool {
    error.concerns_one_item() || matches!(error, ExchangeError::Forbidden { .. })
}

/// The answers to what waits, in its order; `None` for what the batch does not answer.
async fn send(
    graph: &GraphProvider,
    mailbox: Option<&Mailbox>,
    asks: &[Ask<'_>],
    waiting: &[Waiting],
) -> Result<Vec<Option<Part>>, ExchangeError> {
    let first = &asks[0];
    let ask = Ask {
        action: first.action.clone(),
        right: first.right,
        mailbox,
        url: graph.url(&["$batch"], &[]),
        prefer: None,
    };
    let requests: Vec<Value> = waiting
        .iter()
        .enumerate()
        .map(|(number, waiting)| request(graph, number, &asks[waiting.at]))
        .collect::<Result<_, _>>()?;
    let body = Bytes::from(json!({ "requests": requests }).to_string());
    let sending = Sending {
        method: Method::POST,
        body: Some(("application/json", body)),
        // Nothing in it changes anything.
        repeat: Repeat::Freely,
        places: u32::try_from(waiting.len()).unwrap_or(u32::MAX),
    };
    let answer = graph.body_of(&ask, &sending).await?;
    for _ in waiting {
        graph.counters().add_request();
    }
    read(&answer, waiting.len())
        .map_err(|error| graph.unfit(&ask, &format!("the batch is not understood: {error}")))
}

fn request(graph: &GraphProvider, number: usize, ask: &Ask<'_>) -> Result<Value, ExchangeError> {
    let prefer = match &ask.prefer {
        Some(prefer) => format!("{IMMUTABLE_IDS}, {prefer}"),
        None => IMMUTABLE_IDS.to_owned(),
    };
    Ok(json!({
        "id": number.to_string(),
        "method": "GET",
        "url": graph.relative(&ask.url),
        "headers": { "Prefer": prefer, "client-request-id": graph.journal(ask)?.to_string() },
    }))
}

fn judge(
    graph: &GraphProvider,
    ask: &Ask<'_>,
    part: Option<Part>,
    patience: &mut Patience,
) -> Fate {
    let Some(part) = part else {
        graph.counters().add_retried();
        return match patience.fault(MAX_FAULTS) {
            Some(wait) => Fate::Again(wait),
            None => Fate::Settled(Err(graph.unfit(ask, "a batch has no answer to it"))),
        };
    };
    let refused =
        |part: &Part| graph.refused_with(ask, part.status, part.body.to_string().as_bytes());
    match part.status {
        status if status.is_success() => {
            let told = part.body.get("error").is_some()
                && refusal::is_told(part.body.to_string().as_bytes());
            Fate::Settled(if told { Err(refused(&part)) } else { Ok(part.body) })
        }
        StatusCode::UNAUTHORIZED => Fate::Alone,
        StatusCode::TOO_MANY_REQUESTS => {
            graph.counters().add_throttled();
            match patience.throttled(part.retry_after()) {
                Some(wait) => Fate::Again(wait),
                None => Fate::Settled(Err(graph.throttled(ask))),
            }
        }
        status if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT => {
            match patience.fault(MAX_FAULTS) {
                Some(wait) => {
                    graph.counters().add_retried();
                    Fate::Again(part.retry_after().unwrap_or(wait).min(MAX_THROTTLED))
                }
                None => Fate::Settled(Err(refused(&part))),
            }
        }
        _ => Fate::Settled(Err(refused(&part))),
    }
}

impl Part {
    fn retry_after(&self) -> Option<Duration> {
        let text = |name: &str| {
            let found = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        };
        parse_retry_after(&text("Retry-After")?, text("Date").as_deref(), OffsetDateTime::now_utc())
    }
}

/// Reads the answer to a batch whose requests were called `0`, `1` and so on, in whatever order it
/// tells them. An answer that is not one is none: its request is sent again.
fn read(body: &[u8], asked: usize) -> Result<Vec<Option<Part>>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Answers {
        responses: Vec<Value>,
    }
    #[derive(Deserialize)]
    struct Answer {
        id: String,
        status: u16,
        headers: Option<Map<String, Value>>,
        #[serde(default)]
        body: Value,
    }
    let mut parts: Vec<Option<Part>> = (0..asked).map(|_| None).collect();
    for answer in serde_json::from_slice::<Answers>(body)?.responses {
        let Ok(Answer { id, status, headers, body }) = Answer::deserialize(answer) else {
            continue;
        };
        let place = id.parse().ok().and_then(|at: usize| parts.get_mut(at));
        if let (Some(place @ None), Ok(status)) = (place, StatusCode::from_u16(status)) {
            let headers = headers.unwrap_or_default();
            *place = Some(Part { status, headers, body: plain(body) });
        }
    }
    Ok(parts)
}

/// JSON comes as it is, and in base64 when the answer was not called JSON.
fn plain(body: Value) -> Value {
    let Value::String(text) = &body else { return body };
    let decoded = BASE64.decode(text.as_bytes()).or_else(|_| BASE64URL.decode(text.as_bytes()));
    decoded.ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or(body)
}

/// Reads the answer to a batch of so many requests: the status of each, `None` for those without an
/// answer.
///
/// # Errors
/// [`ExchangeError::Protocol`] when the bytes are not such an answer.
pub fn parse_batch_answer(body: &[u8], asked: usize) -> Result<Vec<Option<u16>>, ExchangeError> {
    let parts = read(body, asked).map_err(|error| ExchangeError::protocol("asking many", error))?;
    let status = |part: Part| {
        // Read here, too, so that nothing of it is left out.
        let _ = (part.retry_after(), refusal::parse_refusal(part.body.to_string().as_bytes()));
        part.status.as_u16()
    };
    Ok(parts.into_iter().map(|part| part.map(status)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_put_to_their_questions_in_whatever_order_and_form_they_come() {
        let body = json!({"responses": [
            {"id": "2", "status": 200, "body": BASE64.encode(br#"{"id":"x"}"#)},
            {"id": "0", "status": 429, "headers": {"retry-after": 7}, "body": {"error": {}}},
            {"id": "0", "status": 200, "body": {}},
            {"id": "9", "status": 200}, {"id": "1", "status": 7}, {"status": 200}, 5,
        ]});
        let parts = read(body.to_string().as_bytes(), 4).unwrap();
        let status = |at: usize| parts[at].as_ref().map(|part| part.status.as_u16());
        assert_eq!([0, 1, 2, 3].map(status), [Some(429), None, Some(200), None]);
        let [Some(throttled), _, Some(encoded), _] = &parts[..] else { panic!() };
        assert_eq!(throttled.retry_after(), Some(Duration::from_secs(7)));
        assert_eq!(encoded.body["id"], "x");
        assert!(read(b"{\"responses\":{}}", 1).is_err() && read(b"<html>", 1).is_err());
    }
}
