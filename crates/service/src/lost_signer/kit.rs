//! The repository's password, from the recovery kit into the new signer.

use std::path::Path;

use mailkeep_control::Tenant;
use mailkeep_identity::{IdentityError, SecretName};
use mailkeep_vault::{Vault, VaultError, read_recovery_kit};
use serde_json::json;

use crate::{Service, ServiceError, service::blocking};

impl Service {
    /// Sees to it that the signer has the password of a tenant's repository. Tells whether there is one.
    pub(super) async fn bring_password(
        &self,
        tenant: &Tenant,
        kit: Option<&Path>,
    ) -> Result<bool, ServiceError> {
        let name = &tenant.name;
        let directory = self.data.vault(name);
        if !Vault::exists(&directory) {
            return match self.control.catalog_head(name).await? {
                Some(_) => Err(ServiceError::VaultLost { tenant: name.clone(), path: directory }),
                None => Ok(false),
            };
        }
        let job = self.new_job();
        let Some(kit) = kit else {
            return match self.repository_password(name, &job).await {
                Ok(_) => Ok(true),
                Err(ServiceError::Identity(IdentityError::NoSecret { .. })) => {
                    Err(ServiceError::KitNeeded { tenant: name.clone(), path: directory })
                }
                Err(error) => Err(error),
            };
        };
        let read = read_recovery_kit(kit)?;
        let (at, password) = (directory.clone(), read.password.clone());
        let opened = blocking(move || Ok(Vault::open(&at, &password).map(drop))).await?;
        match opened {
            Ok(()) => {}
            Err(VaultError::WrongPassword { .. }) => {
                return Err(ServiceError::WrongKit {
                    tenant: name.clone(),
                    kit: kit.to_owned(),
                    written_for: read.repository,
                    path: directory,
                });
            }
            Err(error) => return Err(error.into()),
        }
        let details = json!({ "kit": kit.display().to_string() });
        self.audit(name, "identity.recover.password", details).await?;
        let signer = self.signer().await?;
        signer.store_secret(&job, name, &SecretName::repository(), read.password).await?;
        Ok(true)
    }
}
