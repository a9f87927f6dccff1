use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use super::client::{GraphConfig, root_cause};
use crate::ExchangeError;

/// Connections to providers, shared by all that trust the same certificates: the tenants of one provider
/// are behind the same hosts, and another handshake for each of their tokens would cost more than the
/// requests.
///
/// Cheap to clone; clones share. Nothing that belongs to a tenant is in here: requests carry their own
/// token. It must not outlive the runtime that it is used in.
#[derive(Clone, Debug, Default)]
pub struct Connections {
    /// By the certificates (PEM) that are trusted; none: the system's.
    clients: Arc<Mutex<HashMap<Option<String>, reqwest::Client>>>,
}

impl Connections {
    /// A client that trusts what the tenant's connections trust, and nothing else.
    pub(super) fn of(&self, config: &GraphConfig) -> Result<reqwest::Client, ExchangeError> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&config.ca_pem) {
            return Ok(client.clone());
        }
        let client = made(config)?;
        clients.insert(config.ca_pem.clone(), client.clone());
        Ok(client)
    }
}

fn made(config: &GraphConfig) -> Result<reqwest::Client, ExchangeError> {
    let unusable =
        |reason: String| ExchangeError::Configuration { tenant: config.tenant.clone(), reason };
    let mut builder = reqwest::Client::builder()
        .https_only(true)
        .user_agent(concat!("mailkeep/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(10))
        .read_timeout(Duration::from_secs(100))
        .http1_only();
    if let Some(pem) = &config.ca_pem {
        let certificates = reqwest::Certificate::from_pem_bundle(pem.as_bytes())
            .map_err(|error| unusable(format!("the CA file is not PEM: {error}")))?;
        if certificates.is_empty() {
            return Err(unusable("the CA file holds no certificate".into()));
        }
        builder = builder.tls_certs_only(certificates);
    }
    builder.build().map_err(|error| unusable(root_cause(&error)))
}
