//! Certificates of the customer's own authority: the request out, the chain in.

use mailkeep_identity::{
    CertificateInfo, KeyUse, Slot,
    ledger::{LedgerEvent, Requester},
    protocol::Failure,
};

use super::{
    Core, damaged, internal,
    keys::{save, usable},
    signatures::named_or_active,
};
use crate::{
    certificate, chain,
    credential::Key,
    request::{no_such_key, refusal},
};

impl Core {
    pub(super) fn certificate_request(
        &self,
        key_use: &KeyUse,
        key_id: Option<&str>,
        by: &Requester,
    ) -> Result<String, Failure> {
        // Held until the signature is made, so that the key is not retired meanwhile.
        let registry = self.registry();
        let key = named_or_active(usable(&registry, key_use)?, key_id)?;
        in_use(key)?;
        let private = self.admitted(&registry, key_use, key, (self.clock)())?;
        self.record(&LedgerEvent::CertificateRequested {
            tenant: key_use.tenant.clone(),
            function: key_use.function,
            key_id: key.key_id.clone(),
            by: by.clone(),
        })?;
        certificate::request(&private, key_use).map_err(|error| internal(&error))
    }

    pub(super) fn install_certificate(
        &self,
        key_use: &KeyUse,
        key_id: &str,
        chain_pem: &str,
        by: &Requester,
    ) -> Result<CertificateInfo, Failure> {
        let mut registry = self.registry_to_write();
        let key = usable(&registry, key_use)?.key(key_id).ok_or_else(no_such_key)?;
        in_use(key)?;
        let refused = |reason| refusal(format!("the chain cannot be taken: {reason}"));
        let now = (self.clock)();
        let certificate = chain::read(chain_pem, &key.certificate.public, now).map_err(refused)?;
        let info = certificate.info(key_id);
        let mut opened = registry.opened(key_use).map_err(damaged)?;
        self.record(&LedgerEvent::CertificateInstalled {
            tenant: key_use.tenant.clone(),
            function: key_use.function,
            key_id: key_id.to_owned(),
            thumbprint: info.thumbprint_sha256.clone(),
            issuer: certificate.issuer(),
            not_before: info.not_before,
            not_after: info.not_after,
            by: by.clone(),
        })?;
        opened.certify(key_id, certificate);
        save(&mut registry, key_use, &opened)?;
        Ok(info)
    }
}

fn in_use(key: &Key) -> Result<(), Failure> {
    match key.slot {
        Slot::Active | Slot::Prepared => Ok(()),
        Slot::Retiring => Err(refusal("the key is retiring and gets no certificate".to_owned())),
    }
}
