//! Secrets other than provider keys: a tenant's, which are made here, and Mailkeep's own, which come
//! from outside.

use mailkeep_identity::{
    SecretName,
    ledger::{LedgerEvent, Requester},
    protocol::{Failure, LONGEST_SECRET},
};
use mailkeep_model::{Secret, TenantName};

use super::{Core, damaged, lock, unwritable};
use crate::{request::refusal, secrets::Owner};

impl Core {
    pub(super) fn create_secret(
        &self,
        tenant: TenantName,
        name: SecretName,
        by: &Requester,
    ) -> Result<(), Failure> {
        let _making = lock(&self.making_secret);
        let present = self.secrets.read(Owner::Tenant(&tenant), &name);
        if present.map_err(|error| damaged(error.to_string()))?.is_some() {
            return Ok(());
        }
        let (of, called) = (tenant.clone(), name.clone());
        self.record(&LedgerEvent::SecretCreated { tenant, name, by: by.clone() })?;
        self.secrets
            .create(Owner::Tenant(&of), &called)
            .map_err(|error| unwritable("secret", &error))
    }

    pub(super) fn release_secret(
        &self,
        tenant: TenantName,
        name: SecretName,
        by: &Requester,
    ) -> Result<Secret, Failure> {
        let secret = self.secrets.read(Owner::Tenant(&tenant), &name);
        let secret = secret.map_err(|error| damaged(error.to_string()))?;
        let secret = secret.ok_or(Failure::NoSecret)?;
        self.record(&LedgerEvent::SecretReleased { tenant, name, by: by.clone() })?;
        Ok(secret)
    }

    pub(super) fn store_own_secret(
        &self,
        name: &SecretName,
        secret: &Secret,
        by: &Requester,
    ) -> Result<(), Failure> {
        bounded(secret)?;
        let _making = lock(&self.making_secret);
        self.record(&LedgerEvent::OwnSecretStored { name: name.clone(), by: by.clone() })?;
        let stored = self.secrets.store(Owner::Mailkeep, name, secret);
        stored.map_err(|error| unwritable("secret", &error))
    }

    pub(super) fn release_own_secret(
        &self,
        name: SecretName,
        by: &Requester,
    ) -> Result<Secret, Failure> {
        let secret = self.secrets.read(Owner::Mailkeep, &name);
        let secret = secret.map_err(|error| damaged(error.to_string()))?;
        let secret = secret.ok_or(Failure::NoSecret)?;
        self.record(&LedgerEvent::OwnSecretReleased { name, by: by.clone() })?;
        Ok(secret)
    }

    pub(super) fn forget_own_secret(
        &self,
        name: &SecretName,
        by: &Requester,
    ) -> Result<(), Failure> {
        let _making = lock(&self.making_secret);
        self.record(&LedgerEvent::OwnSecretForgotten { name: name.clone(), by: by.clone() })?;
        let forgotten = self.secrets.forget(Owner::Mailkeep, name);
        forgotten.map_err(|error| unwritable("secret", &error))
    }
}

/// A secret that comes from outside may have so many bytes.
pub(super) fn bounded(secret: &Secret) -> Result<(), Failure> {
    if secret.expose().is_empty() || secret.expose().len() > LONGEST_SECRET {
        return Err(refusal(format!("a secret has 1 to {LONGEST_SECRET} bytes")));
    }
    Ok(())
}
