//! How an ACME server is reached: as everything else is, with the one TLS library that we have.

use std::{future::Future, path::Path, pin::Pin, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use http_body_util::BodyExt;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};

use crate::{MAX_FILE, TlsError, private};

/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Clone)]
pub(crate) struct Client(reqwest::Client);

impl Client {
    /// `authority`: those who vouch for the server (PEM); the system's when `None`.
    pub(crate) fn new(authority: Option<&Path>) -> Result<Self, TlsError> {
        let mut builder = reqwest::Client::builder()
            .https_only(true)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("mailkeep/", env!("CARGO_PKG_VERSION")))
            .timeout(PATIENCE);
        if let Some(path) = authority {
            let bad = |what: String| TlsError::Content { path: path.to_owned(), what };
            let pem = private::read_existing(path)?;
            let trusted = reqwest::Certificate::from_pem_bundle(&pem);
            let trusted = trusted.map_err(|error| bad(error.to_string()))?;
            if trusted.is_empty() {
                return Err(bad("there is no certificate in it (PEM)".into()));
            }
            builder = builder.tls_certs_only(trusted);
        }
        builder.build().map(Self).map_err(|error| TlsError::Settings(error.to_string()))
    }

    async fn ask(self, request: Request<BodyWrapper<Bytes>>) -> Result<BytesResponse, Error> {
        let (head, body) = request.into_parts();
        let Ok(body) = body.collect().await;
        let body = body.to_bytes();
        let other = |error: reqwest::Error| Error::Other(Box::new(error));
        let request = reqwest::Request::try_from(Request::from_parts(head, body));
        let mut answer = self.0.execute(request.map_err(other)?).await.map_err(other)?;
        let mut content = BytesMut::new();
        while let Some(chunk) = answer.chunk().await.map_err(other)? {
            content.extend_from_slice(&chunk);
            if content.len() as u64 > MAX_FILE {
                return Err(Error::Str("an answer of more than a megabyte"));
            }
        }
        let mut response = Response::new(());
        *response.status_mut() = answer.status();
        *response.headers_mut() = answer.headers().clone();
        let (parts, ()) = response.into_parts();
        Ok(BytesResponse { parts, body: Box::new(content.freeze()) })
    }
}

impl HttpClient for Client {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        Box::pin(self.clone().ask(request))
    }
}
