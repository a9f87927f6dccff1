//! The way to a signer of another machine. The connection is made here, with files that the TLS library
//! reads; the client of the signer gets it finished.

use std::sync::Arc;

use mailkeep_identity::{Opening, SignerStream, SignerTransport};
use mailkeep_tls::SignerPort;

/// A signer that is reached over TLS.
#[derive(Debug)]
pub(crate) struct OverTls(pub(crate) SignerPort);

impl OverTls {
    pub(crate) fn shared(port: SignerPort) -> Arc<dyn SignerTransport> {
        Arc::new(Self(port))
    }
}

impl SignerTransport for OverTls {
    fn open(&self) -> Opening<'_> {
        Box::pin(async {
            let stream: Box<dyn SignerStream> = Box::new(self.0.connect().await?);
            Ok(stream)
        })
    }

    fn place(&self) -> String {
        format!("tls://{}", self.0)
    }
}
