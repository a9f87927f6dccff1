//! The key that writes: made for a restore, gone with it.

use std::time::Duration;

use mailkeep_control::Control;
use mailkeep_exchange::{ExchangeError, GraphProvider};
use mailkeep_identity::{JobId, SignerClient};
use mailkeep_model::{Function, TenantName};
use serde_json::json;

use super::RESTORED;
use crate::{Event, Observer, Service, ServiceError, service::audit};

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
        // The key is gone when the logs tell of its use.
        self.known_keys(name).await?;
        let provider = self.provider_for(&tenant, function, RESTORED, job).await?;
        let mut waited = Duration::ZERO;
        let mut wait = FIRST_WAIT;
        loop {
            match provider.granted_rights().await {
                Ok(_) => {
                    observer.on_event(&Event::KeyAccepted);
                    return Ok(provider);
                }
                Err(error) if waits_for(&error, waited) => {
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
                Err(error) => {
                    return Err(explained(error, &client_id, &certificate.thumbprint_sha256));
                }
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
        retire(&self.control, self.signer().await?, tenant, &self.new_job()).await
    }
}

/// Whether a refused token may be given later. Once somebody has been asked to register the key, a
/// network that fails for a moment does not end the wait, either.
fn waits_for(error: &ExchangeError, waited: Duration) -> bool {
    let not_yet = matches!(error, ExchangeError::TokenRefused { code: NOT_REGISTERED, .. });
    waited < PATIENCE && (not_yet || (!waited.is_zero() && error.is_transient()))
}

/// A key that nobody registered: which one, and where. It is gone by the time this is read.
fn explained(error: ExchangeError, client_id: &str, thumbprint: &str) -> ServiceError {
    match error {
        ExchangeError::TokenRefused { tenant, function, code: NOT_REGISTERED, remedy, .. } => {
            let minutes = PATIENCE.as_secs() / 60;
            let meaning = format!(
                "nobody registered this restore's certificate (SHA-256 thumbprint {thumbprint}) on the application {client_id} within {minutes} minutes. Nothing was restored, and the key is destroyed"
            );
            let code = NOT_REGISTERED;
            ExchangeError::TokenRefused { tenant, function, code, meaning, remedy }.into()
        }
        error => error.into(),
    }
}

/// Destroys the key that writes, if there is one, and records that.
pub(super) async fn retire(
    control: &Control,
    signer: &SignerClient,
    tenant: &TenantName,
    job: &JobId,
) -> Result<(), ServiceError> {
    let retired = signer.retire(job, tenant, Some(Function::Restorer)).await?;
    if retired > 0 {
        audit(control, tenant, "restorer.retire", json!({"job": job.to_string()})).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn refused(code: u32) -> ExchangeError {
        ExchangeError::TokenRefused {
            tenant: "acme".parse().unwrap(),
            function: Function::Restorer,
            code,
            meaning: "x".into(),
            remedy: "Run it again",
        }
    }

    #[test]
    fn a_certificate_that_nobody_registered_is_named_with_its_application() {
        let error = explained(refused(NOT_REGISTERED), "app-id", "AB12");
        assert_eq!(error.kind(), ErrorKind::Refused);
        let text = error.to_string();
        for part in ["AADSTS700027", "AB12", "app-id", "30 minutes", "Nothing was", "Run it again"]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
        let other = explained(refused(7_000_112), "app-id", "AB12").to_string();
        assert!(!other.contains("app-id"), "{other}");
    }

    #[test]
    fn waiting_for_an_administrator_outlasts_a_network_that_fails_and_nothing_else() {
        let gone = ExchangeError::Protocol { action: "x".into(), reason: "y".into() };
        let minute = Duration::from_secs(60);
        assert!(waits_for(&refused(NOT_REGISTERED), Duration::ZERO));
        assert!(!waits_for(&refused(NOT_REGISTERED), PATIENCE));
        assert!(!waits_for(&refused(7_000_112), minute));
        assert!(waits_for(&gone, minute));
        // Nobody has been asked for anything yet: there is nobody to wait for.
        assert!(!waits_for(&gone, Duration::ZERO));
    }
}
