//! The simulated Microsoft 365, as its administrator sees it.

use std::fs;

use mailkeep_lab::Description;
use mailkeep_model::ProviderKind;
use mailkeep_service::Connection;
use serde::Deserialize;
use serde_json::Value;

use crate::exit::Failure;

/// The lab's administrative interface.
pub(super) struct Admin {
    http: reqwest::Client,
    base: String,
    token: String,
}

/// An application as it was registered.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Registered {
    pub(super) client_id: String,
    pub(super) object_id: String,
    pub(super) service_principal_id: String,
}

/// What the lab says of itself in its first line.
pub(super) fn described(ready: &str) -> Result<Description, Failure> {
    serde_json::from_str(ready)
        .map_err(|error| Failure::failed(format!("the lab's first line: {error}")))
}

/// How to reach the lab's first tenant.
pub(super) fn connection(lab: &Description) -> Result<Connection, Failure> {
    let directory = lab.tenants.first().map(|tenant| tenant.id.to_string());
    let directory = directory.ok_or_else(|| Failure::failed("the lab has no tenant"))?;
    let ca_pem = fs::read_to_string(&lab.ca)
        .map_err(|error| Failure::failed(format!("{}: {error}", lab.ca.display())))?;
    Ok(Connection {
        provider: ProviderKind::M365,
        directory,
        authority: lab.authority.clone(),
        graph: lab.graph.clone(),
        ca_pem: Some(ca_pem),
    })
}

impl Admin {
    pub(super) fn new(lab: &Description) -> Result<Self, Failure> {
        let failed = |error: String| Failure::failed(format!("the lab's administration: {error}"));
        let ca = fs::read(&lab.ca).map_err(|error| failed(error.to_string()))?;
        let ca = reqwest::Certificate::from_pem(&ca).map_err(|error| failed(error.to_string()))?;
        let http = reqwest::Client::builder().tls_certs_only([ca]).build();
        let token = fs::read_to_string(&lab.admin_token_file);
        Ok(Self {
            http: http.map_err(|error| failed(error.to_string()))?,
            base: lab.admin.clone(),
            token: token.map_err(|error| failed(error.to_string()))?.trim().to_owned(),
        })
    }

    pub(super) async fn post<T: serde::de::DeserializeOwned>(
        &self,
        what: &str,
        body: &Value,
    ) -> Result<T, Failure> {
        let failed = |error: reqwest::Error| Failure::failed(format!("the lab, {what}: {error}"));
        let request = self.http.post(format!("{}/{what}", self.base.trim_end_matches('/')));
        let answer = request.bearer_auth(&self.token).json(body).send().await.map_err(failed)?;
        answer.error_for_status().map_err(failed)?.json().await.map_err(failed)
    }
}
