use std::{fmt, future::Future, io, path::PathBuf, pin::Pin};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::UnixStream,
};

/// A connection to the signer, ready for frames.
pub trait SignerStream: AsyncRead + AsyncWrite + fmt::Debug + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + fmt::Debug + Send + Sync + Unpin> SignerStream for T {}

/// A connection that is being opened.
pub type Opening<'a> = Pin<Box<dyn Future<Output = io::Result<Box<dyn SignerStream>>> + Send + 'a>>;

/// A way to the signer. Whoever makes one proves itself to the signer and the signer to itself, with
/// whatever that takes: this crate is handed the finished connection, and has no place for a key.
pub trait SignerTransport: fmt::Debug + Send + Sync {
    /// Opens a connection. An error of kind `InvalidData` says that the two sides do not believe each
    /// other.
    fn open(&self) -> Opening<'_>;

    /// Where the signer is, for errors.
    fn place(&self) -> String;
}

/// The socket of a signer on this machine, which knows its callers from the kernel.
#[derive(Debug)]
pub(super) struct UnixSocket(pub(super) PathBuf);

impl SignerTransport for UnixSocket {
    fn open(&self) -> Opening<'_> {
        Box::pin(async {
            let stream: Box<dyn SignerStream> = Box::new(UnixStream::connect(&self.0).await?);
            Ok(stream)
        })
    }

    fn place(&self) -> String {
        self.0.display().to_string()
    }
}
