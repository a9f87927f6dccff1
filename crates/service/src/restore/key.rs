//! The key that writes: made for a restore, gone with it.

use std::time::Duration;

use mailkeep_exchange::{ExchangeError, GraphProvider};
use mailkeep_identity::JobId;
use mailkeep_model::{Function, TenantName};
use serde_json::json;

use crate::{Event, Observer, Service, ServiceError};

/// Entra's answer while a certificate is not (yet) registered.
const NOT_REGISTERED: u32 = 700_027;
/// How long somebody has time to register the certificate.
const PATIENCE: Duration = Duration::from_secs(30 * 60);
/// Between two tries; each is a signature, and the signer gives out so many an hour.
const FIRST_WAIT: Duration = Duration::from_secs(2);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

impl Service {
    /// Mailboxes of a tenant, opened for writing: makes the key, asks for it to be registered and
    /// waits until it is accepted.
    pub(super) async fn restorer(
        &self,
        name: &TenantName,
        job: &JobId,
        observer: &dyn Observer,
    ) -> Result<GraphProvider, ServiceError> {
        let function = Function::Restorer;
        let tenant = self.tenant(name).await?;
        let registered = tenant.functions.iter().find(|known| known.function == function);
        let Some(registered) = registered else {
            return Err(ServiceError::NotRegistered { tenant: name.clone(), function });
        };
        let client_id = registered.client_id.clone();
        // One that a restore left which was cut off is not used again.
        self.retire_restorer(name).await?;
        let signer = self.signer().await?;
        let certificate = signer.create_key(job, name, function).await?;
        let endpoint = format!("{}/{}/oauth2/v2.0/token", tenant.authority, tenant.directory_id);
        signer.bind(job, name, function, &client_id, &endpoint).await?;
        let provider = self.provider_for(&tenant, function, job).await?;
        let mut waited = Duration::ZERO;
        let mut wait = FIRST_WAIT;
        loop {
            match provider.granted_rights().await {
                Ok(_) => {
                    observer.on_event(&Event::KeyAccepted);
                    return Ok(provider);
                }
                Err(ExchangeError::TokenRefused { code: NOT_REGISTERED, .. })
                    if waited < PATIENCE =>
                {
                    if waited.is_zero() {
                        observer.on_event(&Event::KeyToRegister {
                            client_id: client_id.clone(),
                            certificate_pem: certificate.certificate_pem.clone(),
                            thumbprint: certificate.thumbprint_sha256.clone(),
                        });
                    }
                    tokio::time::sleep(wait).await;
                    waited += wait;
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Destroys the key that a restore left which was cut off. Tells whether there was one.
    ///
    /// # Errors
    /// When the signer does not answer.
    pub async fn retire_abandoned_restorer(
        &self,
        tenant: &TenantName,
    ) -> Result<bool, ServiceError> {
        if self.known_certificate(tenant, Function::Restorer).await?.is_none() {
            return Ok(false);
        }
        // Held by a restore for as long as it runs.
        let _lease = match self.data.restore_lease(tenant) {
            Err(ServiceError::Busy { .. }) => return Ok(false),
            lease => lease?,
        };
        self.retire_restorer(tenant).await?;
        Ok(true)
    }

    /// Destroys the key that writes, if there is one.
    ///
    /// # Errors
    /// When the signer does not answer; then the key is still there.
    pub async fn retire_restorer(&self, tenant: &TenantName) -> Result<(), ServiceError> {
        let job = self.new_job();
        let retired = self.signer().await?.retire(&job, tenant, Some(Function::Restorer)).await?;
        if retired > 0 {
            self.audit(tenant, "restorer.retire", json!({"job": job.to_string()})).await?;
        }
        Ok(())
    }
}
