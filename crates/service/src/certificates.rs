//! Certificates of a tenant's own authority, and when certificates end.

use mailkeep_identity::{CredentialInfo, KeyInfo, Slot};
use mailkeep_model::{Function, TenantName};
use serde::Serialize;
use serde_json::json;
use time::{Duration, OffsetDateTime};

use crate::{Service, ServiceError};

/// A certificate of ours that ends within this time is worth a word: it should have been changed at two
/// thirds of its thirty days.
const SOON: Duration = Duration::days(8);
/// One of the customer's authority: people have to ask for the next one.
pub(crate) const SOON_ELSEWHERE: Duration = Duration::days(30);

/// A request for a certificate.
#[derive(Clone, Debug, Serialize)]
pub struct CertificateRequest {
    /// Of this key.
    pub key_id: String,
    /// Which key that is.
    pub slot: Slot,
    /// PEM (RFC 2986).
    pub request_pem: String,
}

/// A certificate that the authority gave.
#[derive(Clone, Debug, Serialize)]
pub struct Installed {
    /// The key.
    pub key: KeyInfo,
    /// Whether it signs in its name from now on: it has to be registered at the provider at once.
    pub signs: bool,
}

/// A certificate that ends soon, or has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// Whether it has ended.
    pub over: bool,
    /// When, and what to do.
    pub text: String,
}

/// Whether a certificate ends so soon that somebody has to do something: what.
pub fn expiry(
    tenant: &TenantName,
    function: Function,
    key: &KeyInfo,
    now: OffsetDateTime,
) -> Option<Expiry> {
    let (ends, issuer) = (key.certificate.not_after, &key.certificate.issuer);
    let soon = if issuer.is_empty() { SOON } else { SOON_ELSEWHERE };
    let left = ends - now;
    // What is prepared is made anew before it is used; what retires is meant to end.
    let is_ours_and_waits = issuer.is_empty() && key.slot == Slot::Prepared;
    if left > soon || key.slot == Slot::Retiring || is_ours_and_waits {
        return None;
    }
    let over = left <= Duration::ZERO;
    let when = match over {
        true => format!("the certificate ended on {}", ends.date()),
        false => format!("the certificate ends on {}, in {} days", ends.date(), left.whole_days()),
    };
    let what = match (issuer.is_empty(), over) {
        (true, false) => {
            format!("'mailkeep identity rotate {tenant} --function {function}' changes the key")
        }
        (true, true) => format!(
            "'mailkeep tenant add {tenant} --client-id {function}=ID', with the id as it is, makes a new one to be uploaded ('mailkeep identity certificate {tenant} {function}' prints it)"
        ),
        (false, _) => format!(
            "it is from '{issuer}', so that nothing replaces it by itself: 'mailkeep identity csr {tenant} --function {function} --out FILE', have it issued, 'mailkeep identity install {tenant} --function {function} CHAIN', then 'mailkeep identity rotate {tenant} --function {function}'"
        ),
    };
    Some(Expiry { over, text: format!("{when}; {what}") })
}

impl Service {
    /// A request for a certificate of the tenant's own authority: for the prepared key, which is made
    /// when there is none; for the active one as long as the function's application is not registered.
    ///
    /// # Errors
    /// [`ServiceError::NoTenant`], and what the signer refuses.
    pub async fn request_certificate(
        &self,
        name: &TenantName,
        function: Function,
    ) -> Result<CertificateRequest, ServiceError> {
        let registered =
            self.tenant(name).await?.functions.iter().any(|known| known.function == function);
        let (signer, job) = (self.signer().await?, self.new_job());
        let (slot, key) = match registered {
            true => (Slot::Prepared, signer.prepare_key(&job, name, function).await?),
            false => (Slot::Active, signer.create_key(&job, name, function).await?),
        };
        let request_pem =
            signer.certificate_request(&job, name, function, Some(&key.key_id)).await?;
        self.audit(name, "identity.csr", json!({"function": function, "key_id": key.key_id}))
            .await?;
        Ok(CertificateRequest { key_id: key.key_id, slot, request_pem })
    }

    /// Takes what the authority answered: the certificate of the prepared key, or of the active one when
    /// none is prepared.
    ///
    /// # Errors
    /// [`ServiceError::NoTenant`]; what is wrong with the chain is said, and nothing is changed.
    pub async fn install_certificate(
        &self,
        name: &TenantName,
        function: Function,
        chain_pem: &str,
    ) -> Result<Installed, ServiceError> {
        let signs = self.tenant(name).await?.functions.iter().any(|one| one.function == function);
        let (signer, job) = (self.signer().await?, self.new_job());
        let held = signer.credentials(Some(name)).await?;
        let keys = held.into_iter().find(|one| one.key_use.function == function).map(keys_of);
        let slot_of = |slot: Slot| {
            keys.iter().flatten().find(|key| key.slot == slot).map(|key| key.key_id.clone())
        };
        let prepared = slot_of(Slot::Prepared);
        let slot = if prepared.is_some() { Slot::Prepared } else { Slot::Active };
        let Some(key_id) = prepared.or_else(|| slot_of(Slot::Active)) else {
            let reason = format!(
                "there is no key of the {function} to certify; 'mailkeep identity csr {name} --function {function}' makes one and prints the request"
            );
            return Err(ServiceError::Refused { tenant: name.clone(), reason });
        };
        let certificate =
            signer.install_certificate(&job, name, function, &key_id, chain_pem).await?;
        let details = json!({
            "function": function,
            "key_id": key_id,
            "issuer": certificate.issuer,
            "thumbprint": certificate.thumbprint_sha256,
        });
        self.audit(name, "identity.install", details).await?;
        let key = KeyInfo { key_id, slot, certificate };
        Ok(Installed { signs: signs && slot == Slot::Active, key })
    }
}

fn keys_of(credential: CredentialInfo) -> Vec<KeyInfo> {
    credential.keys
}

#[cfg(test)]
mod tests {
    use mailkeep_identity::CertificateInfo;

    use super::*;

    fn key(slot: Slot, issuer: &str, days: i64) -> KeyInfo {
        let now = OffsetDateTime::UNIX_EPOCH;
        let certificate = CertificateInfo {
            key_id: "k".into(),
            thumbprint_sha256: String::new(),
            thumbprint_sha1: String::new(),
            certificate_pem: String::new(),
            chain_pem: String::new(),
            issuer: issuer.into(),
            not_before: now,
            not_after: now + Duration::days(days),
        };
        KeyInfo { key_id: "k".into(), slot, certificate }
    }

    fn said(slot: Slot, issuer: &str, days: i64) -> Option<Expiry> {
        let now = OffsetDateTime::UNIX_EPOCH;
        expiry(&"acme".parse().unwrap(), Function::Reader, &key(slot, issuer, days), now)
    }

    #[test]
    fn a_certificate_that_people_have_to_replace_is_told_of_a_month_ahead() {
        assert_eq!(said(Slot::Active, "", 9), None);
        assert!(said(Slot::Active, "", 8).unwrap().text.contains("identity rotate acme"));
        assert_eq!(said(Slot::Active, "CN=Acme", 31), None);
        for slot in [Slot::Active, Slot::Prepared] {
            let told = said(slot, "CN=Acme", 30).unwrap();
            assert!(!told.over && told.text.contains("identity csr acme"), "{told:?}");
            assert!(told.text.contains("in 30 days") && told.text.contains("CN=Acme"), "{told:?}");
        }
        let over = said(Slot::Active, "", 0).unwrap();
        assert!(over.over && over.text.contains("tenant add acme --client-id reader"), "{over:?}");
        assert_eq!(said(Slot::Retiring, "CN=Acme", 1), None);
        assert_eq!(said(Slot::Prepared, "", 1), None);
    }
}
