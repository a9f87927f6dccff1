//! Secrets other than provider keys: made here, sealed, handed out per job.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use data_encoding::BASE64URL_NOPAD;
use mailkeep_identity::SecretName;
use mailkeep_model::{Secret, TenantName};
use zeroize::Zeroizing;

use crate::{
    files::{make_private_directory, sync_directory},
    master::{Master, OpenError},
};

/// 256 bits.
const BYTES: usize = 32;

pub(crate) struct Secrets {
    directory: PathBuf,
    master: Arc<Master>,
}

impl Secrets {
    pub(crate) fn new(directory: &Path, master: Arc<Master>) -> Self {
        Self { directory: directory.join("secrets"), master }
    }

    /// The secret; `None` when there is none of that name.
    pub(crate) fn read(
        &self,
        tenant: &TenantName,
        name: &SecretName,
    ) -> Result<Option<Secret>, OpenError> {
        let Some(text) = self.master.read(&self.path(tenant, name), &label(tenant, name))? else {
            return Ok(None);
        };
        let text = std::str::from_utf8(&text).map_err(|_| OpenError::Damaged)?;
        Ok(Some(Secret::new(text.to_owned())))
    }

    /// Makes a secret, in the place of one that may be there.
    pub(crate) fn create(&self, tenant: &TenantName, name: &SecretName) -> io::Result<()> {
        let mut bytes = Zeroizing::new([0; BYTES]);
        SystemRandom::new()
            .fill(bytes.as_mut())
            .map_err(|_| io::Error::other("no random numbers"))?;
        let text = Zeroizing::new(BASE64URL_NOPAD.encode(bytes.as_ref()));
        let path = self.path(tenant, name);
        make_private_directory(&self.directory.join(tenant.as_str()))?;
        self.master.write(&path, &label(tenant, name), text.as_bytes())?;
        sync_directory(&self.directory)
    }

    fn path(&self, tenant: &TenantName, name: &SecretName) -> PathBuf {
        self.directory.join(tenant.as_str()).join(format!("{name}.age"))
    }
}

fn label(tenant: &TenantName, name: &SecretName) -> String {
    format!("secret/{tenant}/{name}")
}
