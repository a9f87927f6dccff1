//! Reading items as streams. Up to twenty go into a request: calls that are made while another one is
//! under way come along with the next.

use std::{
    collections::{HashMap, VecDeque},
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use bytes::Bytes;
use data_encoding::BASE64;
use mailkeep_model::{ItemId, Mailbox};
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::{Semaphore, oneshot};

use super::{EXPORT, Store, store};
use crate::{
    ExchangeError,
    graph::{
        answer::is_stuck,
        client::{Ask, GraphProvider, MAX_FAULTS, Outcome, Patience, Repeat, Sending, root_cause},
        refusal,
    },
};

/// Items that one request may name (`mailbox: exportItems`).
const MOST: usize = 20;
/// Requests at the same time for one store: the gate lets out no more than four for everything.
const AT_ONCE: usize = 2;
/// Longest answer for several items. Where they come to more, each is asked for by itself.
const LONGEST: usize = 48 << 20;
/// Longest answer for one item. Exchange takes none above 150 MB, and base64 makes four bytes of
/// three.
const LONGEST_SINGLE: usize = 224 << 20;
/// How much room in memory a request for several takes, in which an answer of common length has
/// place twice.
const ROOM: u64 = 8 << 20;

type Answer = Result<Bytes, ExchangeError>;

/// What waits to be exported, by store.
#[derive(Default)]
pub(super) struct Exports(Mutex<HashMap<String, Arc<Queue>>>);

struct Queue {
    waiting: Mutex<VecDeque<Waiting>>,
    turns: Semaphore,
}

struct Waiting {
    id: String,
    answer: oneshot::Sender<Answer>,
}

/// Why a request came to nothing.
enum Failed {
    /// The answer is longer than it may be.
    TooLong,
    Otherwise(ExchangeError),
}

/// Graph: `mailbox: exportItems`.
pub(in crate::graph) async fn export(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    item: &ItemId,
) -> Answer {
    let (lies_in, id) = Store::of(item);
    let Some(store) = store(graph, mailbox, lies_in).await? else {
        return Err(ExchangeError::not_found(action(mailbox)));
    };
    let queue = graph.streams().exports.of(&store);
    queue.answer(id, |batch| send(graph, mailbox, &store, batch)).await
}

impl Exports {
    fn of(&self, store: &str) -> Arc<Queue> {
        let mut queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = queues.entry(store.to_owned()).or_insert_with(|| {
            Arc::new(Queue { waiting: Mutex::default(), turns: Semaphore::new(AT_ONCE) })
        });
        Arc::clone(queue)
    }
}

impl Queue {
    fn waiting(&self) -> MutexGuard<'_, VecDeque<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer for an item. Who gets a turn to send takes along what waits, and answers all of it.
    async fn answer<S>(&self, id: &str, send: impl Fn(Vec<Waiting>) -> S) -> Answer
    where
        S: Future<Output = ()>,
    {
        let mut mine = self.enter(id);
        // Those that begin now come along.
        tokio::task::yield_now().await;
        loop {
            let turn = pin!(self.turns.acquire());
            let told = tokio::select! {
                biased;
                told = &mut mine => told,
                turn = turn => {
                    let batch = self.next();
                    if !batch.is_empty() {
                        send(batch).await;
                        continue;
                    }
                    // Another one took this item along. To take turns until it is answered would use
                    // up the time that whoever sends it needs: both may be parts of one task.
                    drop(turn);
                    (&mut mine).await
                }
            };
            match told {
                Ok(answer) => return answer,
                // Whoever took it along was dropped.
                Err(_) => mine = self.enter(id),
            }
        }
    }

    fn enter(&self, id: &str) -> oneshot::Receiver<Answer> {
        let (answer, receiver) = oneshot::channel();
        self.waiting().push_back(Waiting { id: id.to_owned(), answer });
        receiver
    }

    /// The next that go into one request; who no longer waits for an answer is left out.
    fn next(&self) -> Vec<Waiting> {
        let mut waiting = self.waiting();
        waiting.retain(|one| !one.answer.is_closed());
        let count = waiting.len().min(MOST);
        waiting.drain(..count).collect()
    }
}

/// Exports some items, and tells those who wait for them.
async fn send(graph: &GraphProvider, mailbox: &Mailbox, store: &str, batch: Vec<Waiting>) {
    let ids: Vec<&str> = batch.iter().map(|one| one.id.as_str()).collect();
    let exported = {
        let _room = graph.room().take(ROOM).await;
        request(graph, mailbox, store, &ids, LONGEST).await
    };
    match exported {
        Ok(answers) => {
            for (one, answer) in batch.into_iter().zip(answers) {
                // Nobody waits any more.
                let _ = one.answer.send(answer);
            }
        }
        Err(Failed::TooLong) => {
            for one in batch {
                let _room = graph.room().take(u64::MAX).await;
                let id = [one.id.as_str()];
                let answer = match request(graph, mailbox, store, &id, LONGEST_SINGLE).await {
                    Ok(mut answers) => answers.pop().unwrap_or_else(|| Err(untold(mailbox))),
                    Err(Failed::TooLong) => Err(ExchangeError::unsupported(
                        action(mailbox),
                        format!("its stream has more than {LONGEST_SINGLE} characters"),
                    )),
                    Err(Failed::Otherwise(error)) => Err(error),
                };
                let _ = one.answer.send(answer);
            }
        }
        Err(Failed::Otherwise(error)) => share(batch, error),
    }
}

/// What failed failed for all of them.
fn share(mut batch: Vec<Waiting>, error: ExchangeError) {
    let last = batch.pop();
    for one in batch {
        // Who is told nothing tries for itself.
        if let Some(error) = again(&error) {
            let _ = one.answer.send(Err(error));
        }
    }
    if let Some(last) = last {
        let _ = last.answer.send(Err(error));
    }
}

/// The same error once more; `None` for one that cannot be had twice.
pub(super) fn again(error: &ExchangeError) -> Option<ExchangeError> {
    use ExchangeError as E;
    Some(match error {
        E::Forbidden { tenant, function, action, right, message } => E::Forbidden {
            tenant: tenant.clone(),
            function: *function,
            action: action.clone(),
            right,
            message: message.clone(),
        },
        E::Unreachable { tenant, host, reason } => {
            E::Unreachable { tenant: tenant.clone(), host: host.clone(), reason: reason.clone() }
        }
        E::Throttled { tenant, action } => {
            E::Throttled { tenant: tenant.clone(), action: action.clone() }
        }
        E::NotFound { action, .. } => E::not_found(action),
        E::Answer { action, status, code, message } => E::Answer {
            action: action.clone(),
            status: *status,
            code: code.clone(),
            message: message.clone(),
        },
        E::Protocol { action, reason } => {
            E::Protocol { action: action.clone(), reason: reason.clone() }
        }
        E::Unsupported { action, reason } => {
            E::Unsupported { action: action.clone(), reason: reason.clone() }
        }
        _ => return None,
    })
}

/// One request, and an answer for each of its items, in their order.
async fn request(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    store: &str,
    ids: &[&str],
    longest: usize,
) -> Result<Vec<Answer>, Failed> {
    let path = ["admin", "exchange", "mailboxes", store, "exportItems"];
    let ask = Ask {
        action: action(mailbox),
        right: EXPORT,
        mailbox: Some(mailbox),
        url: graph.url(&path, &[]),
        prefer: None,
    };
    let body = Bytes::from(json!({ "itemIds": ids }).to_string());
    // It changes nothing.
    let repeat = Repeat::Freely;
    let sending =
        Sending { method: Method::POST, body: Some(("application/json", body)), repeat, places: 1 };
    let mut patience = Patience::default();
    loop {
        let (mut response, place) = match graph.run(&ask, &sending).await {
            Ok(Outcome::Answered(response, place)) => (response, place),
            Ok(Outcome::Unknown(error)) | Err(error) => return Err(Failed::Otherwise(error)),
        };
        let (mut answer, began) = (Vec::new(), Instant::now());
        let read = loop {
            match response.chunk().await {
                Ok(Some(_)) if is_stuck(began.elapsed(), answer.len() as u64) => {
                    let reason = format!("{} bytes came in minutes", answer.len());
                    return Err(Failed::Otherwise(ExchangeError::protocol(&ask.action, reason)));
                }
                Ok(Some(chunk)) if answer.len() + chunk.len() > longest => {
                    return Err(Failed::TooLong);
                }
                Ok(Some(chunk)) => answer.extend_from_slice(&chunk),
                Ok(None) => break parse_exported(&answer, ids),
                Err(error) => break Err(ExchangeError::protocol(&ask.action, root_cause(&error))),
            }
        };
        drop(place);
        match read {
            Ok(answers) => {
                let bytes = answers.iter().flatten().map(Bytes::len).sum();
                graph.counters().add_bytes(bytes);
                return Ok(answers.into_iter().map(|one| named(one, mailbox)).collect());
            }
            Err(error) => match patience.fault(MAX_FAULTS) {
                None => return Err(Failed::Otherwise(error)),
                Some(wait) => {
                    graph.counters().add_retried();
                    tokio::time::sleep(wait).await;
                }
            },
        }
    }
}

/// Reads the answer to `exportItems` for some items, in their order.
///
/// # Errors
/// [`ExchangeError::Protocol`] when the bytes are not such an answer.
pub fn parse_exported(body: &[u8], ids: &[&str]) -> Result<Vec<Answer>, ExchangeError> {
    #[derive(Deserialize)]
    struct Exported {
        value: Vec<One>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct One {
        item_id: Option<String>,
        data: Option<String>,
        error: Option<Refused>,
    }
    #[derive(Deserialize)]
    struct Refused {
        code: Option<String>,
        message: Option<String>,
    }
    let action = "exporting items";
    let told: Exported = serde_json::from_slice(body)
        .map_err(|error| ExchangeError::protocol(action, format!("not understood: {error}")))?;
    let answer = |one: &One| match (&one.data, &one.error) {
        (_, Some(Refused { code, message })) => {
            let (code, message) = (code.as_deref(), message.as_deref());
            let (code, message) = (code.unwrap_or_default(), message.unwrap_or_default());
            Err(refusal::of_one_item(action, code, message))
        }
        (Some(data), None) => match BASE64.decode(data.as_bytes()) {
            Ok(bytes) if !bytes.is_empty() => Ok(Bytes::from(bytes)),
            Ok(_) => Err(ExchangeError::protocol(action, "its stream is empty")),
            Err(error) => Err(ExchangeError::protocol(action, error)),
        },
        (None, None) => Err(ExchangeError::protocol(action, "neither a stream nor an error")),
    };
    let of = |id: &str| told.value.iter().find(|one| one.item_id.as_deref() == Some(id));
    Ok(ids
        .iter()
        .map(|id| {
            let none = || Err(ExchangeError::protocol(action, "the item is not in the answer"));
            of(id).map_or_else(none, answer)
        })
        .collect())
}

/// With the mailbox that it is about.
fn named(answer: Answer, mailbox: &Mailbox) -> Answer {
    answer.map_err(|mut error| {
        if let ExchangeError::NotFound { action: what, .. }
        | ExchangeError::Answer { action: what, .. }
        | ExchangeError::Protocol { action: what, .. } = &mut error
        {
            *what = action(mailbox);
        }
        error
    })
}

fn action(mailbox: &Mailbox) -> String {
    format!("{}: exporting an item", mailbox.address)
}

fn untold(mailbox: &Mailbox) -> ExchangeError {
    ExchangeError::protocol(action(mailbox), "the item is not in the answer")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn each_item_is_exported_or_refused_by_itself() {
        let body = json!({"value": [
            {"itemId": "b", "changeKey": "k", "data": "AQI="},
            {"itemId": "a", "error": {"code": "ErrorItemNotFound", "message": "It is gone."}},
            {"itemId": "c", "error": {"code": "ErrorItemCorrupt", "message": "It is broken."}},
            {"itemId": "d", "data": "?"}, {"itemId": "e"}, {"itemId": "f", "data": ""},
        ]});
        let ids = ["a", "b", "c", "d", "e", "f", "g"];
        let answers = parse_exported(body.to_string().as_bytes(), &ids).unwrap();
        assert!(matches!(answers[0], Err(ExchangeError::NotFound { .. })), "{answers:?}");
        assert_eq!(answers[1].as_deref().unwrap(), [1, 2]);
        let Err(ExchangeError::Answer { code, .. }) = &answers[2] else { panic!("{answers:?}") };
        assert_eq!(code, "ErrorItemCorrupt");
        assert!(answers[2].as_ref().is_err_and(|error| !error.is_transient()));
        assert!(answers[3..].iter().all(|one| matches!(one, Err(ExchangeError::Protocol { .. }))));
        assert!(parse_exported(b"{}", &ids).is_err());
    }

    #[test]
    fn who_gave_up_is_not_asked_for() {
        let exports = Exports::default();
        let queue = exports.of("store");
        let kept = queue.enter("a");
        drop(queue.enter("b"));
        let more: Vec<_> = (0..MOST).map(|n| queue.enter(&n.to_string())).collect();
        let batch = queue.next();
        assert_eq!((batch.len(), batch[0].id.as_str(), batch[1].id.as_str()), (MOST, "a", "0"));
        assert_eq!(queue.next().len(), 1);
        drop((kept, more));
    }

    #[tokio::test(start_paused = true)]
    async fn who_came_along_rests_until_the_answer_is_there() {
        let exports = Exports::default();
        let queue = exports.of("store");
        let requests = AtomicUsize::new(0);
        let send = async |batch: Vec<Waiting>| {
            let sent = requests.fetch_add(1, Ordering::Relaxed);
            assert!(sent == 0, "request {sent} of {} items", batch.len());
            // The clock goes on when nobody has anything to do.
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            for one in batch {
                let _ = one.answer.send(Ok(Bytes::from(one.id)));
            }
        };
        let ids: Vec<String> = (0..MOST).map(|n| n.to_string()).collect();
        let all = futures::future::join_all(ids.iter().map(|id| queue.answer(id, &send)));
        let answers = all.await;
        assert!(answers.iter().zip(&ids).all(|(answer, id)| answer.as_ref().unwrap() == id));
    }

    #[tokio::test]
    async fn who_was_left_behind_is_asked_for_anew() {
        let exports = Exports::default();
        let queue = exports.of("store");
        let send = async |batch: Vec<Waiting>| {
            for one in batch {
                let _ = one.answer.send(Ok(Bytes::from(one.id)));
            }
        };
        let hang = async |batch: Vec<Waiting>| {
            std::future::pending::<()>().await;
            drop(batch);
        };
        let mut first = Box::pin(queue.answer("a", hang));
        let mut second = Box::pin(queue.answer("b", send));
        // Both enter, and the first takes both along.
        for _ in 0..2 {
            assert!(futures::poll!(&mut first).is_pending());
            assert!(futures::poll!(&mut second).is_pending());
        }
        drop(first);
        assert_eq!(second.await.unwrap(), "b");
    }

    #[tokio::test]
    async fn a_failed_request_is_told_to_everyone_who_came_along() {
        let exports = Exports::default();
        let queue = exports.of("store");
        let waiting: Vec<_> = ["a", "b", "c"].map(|id| queue.enter(id)).into();
        share(queue.next(), ExchangeError::protocol("exporting", "it broke off"));
        for one in waiting {
            assert!(matches!(one.await, Ok(Err(ExchangeError::Protocol { .. }))));
        }
    }
}
