use std::io;

use serde::{Serialize, de::DeserializeOwned};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use zeroize::Zeroizing;

use super::{RequestFrame, ResponseFrame, VERSION};

/// Most bytes in a frame, without its length.
pub const MAX_FRAME: usize = 64 * 1024;

/// The other side sent, or was to be sent, what is not a frame of this protocol.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// Longer than [`MAX_FRAME`]. What follows on the connection cannot be made sense of.
    #[error("a frame of {0} bytes; at most 65536 are allowed")]
    TooLong(usize),
    /// The connection ended inside a frame.
    #[error("the connection ended inside a frame")]
    Truncated,
    /// Not JSON, or not of the expected shape. The text of the frame is left out of the message:
    /// it may hold a secret.
    #[error("not a message of this protocol ({what}, byte {column})")]
    Malformed {
        /// What kind of mistake.
        what: &'static str,
        /// Where.
        column: usize,
    },
    /// Another version of the protocol.
    #[error("version {0} of the protocol; this side speaks {VERSION}")]
    Version(u16),
    /// The connection failed.
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
}

/// The JSON of a frame, and the bytes behind the frame.
pub type Split<'a> = (&'a [u8], &'a [u8]);

/// The first frame in `bytes` and what is behind it; `None` when the frame is not complete yet.
///
/// # Errors
/// [`FrameError::TooLong`], as soon as the length is there.
pub fn split_frame(bytes: &[u8]) -> Result<Option<Split<'_>>, FrameError> {
    let Some((length, rest)) = bytes.split_first_chunk::<4>() else { return Ok(None) };
    let length = checked_length(*length)?;
    Ok(rest.split_at_checked(length))
}

/// Reads the JSON of a request.
///
/// # Errors
/// [`FrameError::Version`] or [`FrameError::Malformed`].
pub fn decode_request(json: &[u8]) -> Result<RequestFrame, FrameError> {
    decode(json)
}

/// Reads the JSON of a response.
///
/// # Errors
/// [`FrameError::Version`] or [`FrameError::Malformed`].
pub fn decode_response(json: &[u8]) -> Result<ResponseFrame, FrameError> {
    decode(json)
}

/// A message as a frame, its length in front.
///
/// # Errors
/// [`FrameError::TooLong`].
pub fn encode(message: &impl Serialize) -> Result<Zeroizing<Vec<u8>>, FrameError> {
    // Room for all that is usual, so that the buffer does not move and leave copies behind.
    let mut frame = Zeroizing::new(Vec::with_capacity(8 * 1024));
    frame.extend_from_slice(&[0; 4]);
    serde_json::to_writer(&mut *frame, message).map_err(|error| malformed(&error))?;
    let length = frame.len() - 4;
    if length > MAX_FRAME {
        return Err(FrameError::TooLong(length));
    }
    let length = u32::try_from(length).map_err(|_| FrameError::TooLong(length))?;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    Ok(frame)
}

/// Reads one frame and gives its JSON; `None` when the connection ended before it.
///
/// # Errors
/// [`FrameError::TooLong`], [`FrameError::Truncated`] or [`FrameError::Io`].
pub async fn read_frame(
    stream: &mut (impl AsyncRead + Unpin),
) -> Result<Option<Zeroizing<Vec<u8>>>, FrameError> {
    let mut length = [0; 4];
    if stream.read(&mut length[..1]).await? == 0 {
        return Ok(None);
    }
    read_all(stream, &mut length[1..]).await?;
    let mut json = Zeroizing::new(vec![0; checked_length(length)?]);
    read_all(stream, &mut json).await?;
    Ok(Some(json))
}

/// Writes one frame, as [`encode`] made it.
///
/// # Errors
/// As the stream has them.
pub async fn write_frame(stream: &mut (impl AsyncWrite + Unpin), frame: &[u8]) -> io::Result<()> {
    stream.write_all(frame).await?;
    stream.flush().await
}

fn checked_length(length: [u8; 4]) -> Result<usize, FrameError> {
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > MAX_FRAME { Err(FrameError::TooLong(length)) } else { Ok(length) }
}

async fn read_all(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut [u8],
) -> Result<(), FrameError> {
    stream.read_exact(buffer).await.map(drop).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => FrameError::Truncated,
        _ => FrameError::Io(error),
    })
}

fn decode<T: DeserializeOwned>(json: &[u8]) -> Result<T, FrameError> {
    #[derive(serde::Deserialize)]
    struct Versioned {
        v: u16,
    }

    // The version first: another one may have another shape.
    let Versioned { v } = serde_json::from_slice(json).map_err(|error| malformed(&error))?;
    if v != VERSION {
        return Err(FrameError::Version(v));
    }
    serde_json::from_slice(json).map_err(|error| malformed(&error))
}

fn malformed(error: &serde_json::Error) -> FrameError {
    use serde_json::error::Category;
    let what = match error.classify() {
        Category::Io => "cannot be written",
        Category::Syntax => "not JSON",
        Category::Data => "JSON of another shape",
        Category::Eof => "JSON that ends early",
    };
    FrameError::Malformed { what, column: error.column() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::protocol::{Request, Response, WireSecret};

    fn request() -> RequestFrame {
        RequestFrame { v: VERSION, caller: "cli".parse().unwrap(), request: Request::Status }
    }

    #[test]
    fn a_frame_comes_back_as_it_was_sent() {
        let bytes = encode(&request()).unwrap();
        let (json, rest) = split_frame(&bytes).unwrap().unwrap();
        assert!(rest.is_empty());
        assert_eq!(decode_request(json).unwrap().request, Request::Status);
        for cut in 0..bytes.len() {
            assert!(split_frame(&bytes[..cut]).unwrap().is_none(), "complete after {cut} bytes");
        }
    }

    #[test]
    fn an_announced_length_does_not_reserve_memory_beyond_the_limit() {
        let too_long = u32::try_from(MAX_FRAME + 1).unwrap().to_be_bytes();
        assert!(matches!(split_frame(&too_long), Err(FrameError::TooLong(_))));
        assert!(matches!(encode(&"x".repeat(MAX_FRAME)), Err(FrameError::TooLong(_))));
    }

    #[test]
    fn another_version_is_told_apart_from_garbage() {
        assert!(matches!(decode_request(br#"{"v":2,"new":[]}"#), Err(FrameError::Version(2))));
        assert!(matches!(decode_request(b"{}"), Err(FrameError::Malformed { .. })));
    }

    #[test]
    fn an_error_does_not_quote_a_secret_and_an_answer_does_not_print_one() {
        let error = decode_response(br#"{"v":1,"response":"hunter2"}"#).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
        let secret = mailkeep_model::Secret::new("hunter2".into());
        let response = Response::Secret { secret: WireSecret(secret) };
        assert!(!format!("{response:?}").contains("hunter2"));
    }

    proptest! {
        #[test]
        fn garbage_is_an_error_and_never_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = split_frame(&bytes);
            let _ = decode_request(&bytes);
            let _ = decode_response(&bytes);
        }
    }
}
