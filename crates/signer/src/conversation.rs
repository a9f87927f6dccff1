//! Requests and answers on one connection, whatever it is made of.

use std::{sync::Arc, time::Duration};

use mailkeep_identity::protocol::{
    Failure, FrameError, Response, ResponseFrame, VERSION, decode_request, encode, read_frame,
    write_frame,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{Semaphore, watch},
};

use crate::{
    core::{Core, Peer},
    refusals::Origin,
};

/// Requests that are worked on at once: each waits for the disk or calculates.
const AT_WORK: usize = 8;

/// A connection that says nothing for so long is closed; clients open another one.
const IDLE: Duration = Duration::from_secs(600);

/// How long somebody who is turned away may take to send a request.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) struct Service {
    pub(crate) core: Arc<Core>,
    at_work: Semaphore,
}

impl Service {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core, at_work: Semaphore::new(AT_WORK) }
    }

    /// Answers requests until the other side, or this one, ends.
    pub(crate) async fn converse(
        &self,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
        peer: &Peer,
        mut stopping: watch::Receiver<()>,
    ) {
        loop {
            let frame = tokio::select! {
                biased;
                _ = stopping.changed() => return,
                frame = tokio::time::timeout(IDLE, read_frame(stream)) => frame,
            };
            let (response, last) = match frame {
                Err(_) | Ok(Ok(None) | Err(FrameError::Io(_) | FrameError::Truncated)) => return,
                Ok(Ok(Some(json))) => (self.answer(peer, &json).await, false),
                // Where the next frame would begin is anybody's guess.
                Ok(Err(error)) => (malformed(&error), true),
            };
            if respond(stream, response).await.is_err() || last {
                return;
            }
        }
    }

    /// Tells somebody to go.
    pub(crate) async fn turn_away(
        &self,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
        from: Origin,
        reason: String,
    ) {
        let failure = Failure::Refused { reason };
        let (core, told) = (Arc::clone(&self.core), failure.clone());
        let _ = tokio::task::spawn_blocking(move || core.turned_away(from, &told)).await;
        // The request is taken off the socket unread: a connection that is closed over unread data
        // takes the answer with it.
        let _ = tokio::time::timeout(PATIENCE, read_frame(stream)).await;
        let _ = respond(stream, Response::Failed(failure)).await;
    }

    async fn answer(&self, peer: &Peer, json: &[u8]) -> Response {
        let request = match decode_request(json) {
            Ok(request) => request,
            Err(error) => return malformed(&error),
        };
        let failed = || Response::Failed(Failure::Internal { what: "answer".to_owned() });
        let Ok(_at_work) = self.at_work.acquire().await else { return failed() };
        let (core, peer) = (Arc::clone(&self.core), peer.clone());
        let answer = tokio::task::spawn_blocking(move || core.answer(&peer, request)).await;
        answer.unwrap_or_else(|error| {
            tracing::error!(%error, "a request failed");
            failed()
        })
    }
}

fn malformed(error: &FrameError) -> Response {
    Response::Failed(match error {
        FrameError::Version(_) => Failure::Version { speaks: VERSION },
        error => Failure::Malformed { what: error.to_string() },
    })
}

async fn respond(
    stream: &mut (impl AsyncWrite + Unpin),
    response: Response,
) -> Result<(), FrameError> {
    let frame = encode(&ResponseFrame { v: VERSION, response })?;
    let write = async { Ok(write_frame(stream, &frame).await?) };
    // Somebody who does not take the answer must not keep its place for ever.
    tokio::time::timeout(IDLE, write).await.unwrap_or(Err(FrameError::Truncated))
}
