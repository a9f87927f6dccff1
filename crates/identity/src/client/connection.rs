use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::Semaphore;

use crate::{
    CallerLabel, IdentityError, SignerStream, SignerTransport,
    protocol::{Failure, FrameError, Response, decode_response, read_frame, write_frame},
};

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) transport: Arc<dyn SignerTransport>,
    pub(super) caller: CallerLabel,
    pub(super) idle: Mutex<Vec<Box<dyn SignerStream>>>,
    pub(super) permits: Semaphore,
}

pub(super) enum CallError {
    Connect(io::Error),
    Frame(FrameError),
}

impl Shared {
    /// Sends a frame and reads the answer. A connection from before may have ended with the
    /// signer that it led to: then once more, over a new one.
    pub(super) async fn exchange(&self, frame: &[u8]) -> Result<Response, CallError> {
        let pooled = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(stream) = pooled
            && let Some(answer) = self.once(stream, frame).await.map_err(CallError::Frame)?
        {
            return Ok(answer);
        }
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let stream = self.transport.open().await.map_err(CallError::Connect)?;
        let answer = self.once(stream, frame).await.map_err(CallError::Frame)?;
        answer.ok_or(CallError::Frame(FrameError::Truncated))
    }

    /// `None` when the connection had ended before an answer began.
    async fn once(
        &self,
        mut stream: Box<dyn SignerStream>,
        frame: &[u8],
    ) -> Result<Option<Response>, FrameError> {
        if let Err(error) = write_frame(&mut stream, frame).await {
            return if ended(&error) { Ok(None) } else { Err(error.into()) };
        }
        let json = match read_frame(&mut stream).await {
            Err(FrameError::Io(error)) if ended(&error) => return Ok(None),
            other => other?,
        };
        let Some(json) = json else { return Ok(None) };
        let response = decode_response(&json)?.response;
        // After these the signer closes the connection, or may.
        if !matches!(
            response,
            Response::Failed(Failure::Malformed { .. } | Failure::Version { .. })
        ) {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(stream);
        }
        Ok(Some(response))
    }

    pub(super) fn unreachable(&self, source: io::Error) -> IdentityError {
        let place = self.transport.place();
        match source.kind() {
            io::ErrorKind::PermissionDenied => IdentityError::NotPermitted { place },
            io::ErrorKind::InvalidData => IdentityError::Untrusted { place, source },
            _ => IdentityError::NotRunning { place, source },
        }
    }
}

fn ended(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::NotConnected
            | io::ErrorKind::UnexpectedEof
    )
}
