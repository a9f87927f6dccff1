//! Secrets other than provider keys: made here or brought from outside, sealed, handed out per job.

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
        owner: Owner<'_>,
        name: &SecretName,
    ) -> Result<Option<Secret>, OpenError> {
        let Some(text) = self.master.read(&self.path(owner, name), &label(owner, name))? else {
            return Ok(None);
        };
        let text = std::str::from_utf8(&text).map_err(|_| OpenError::Damaged)?;
        Ok(Some(Secret::new(text.to_owned())))
    }

    /// Makes a secret, in the place of one that may be there.
    pub(crate) fn create(&self, owner: Owner<'_>, name: &SecretName) -> io::Result<()> {
        let mut bytes = Zeroizing::new([0; BYTES]);
        SystemRandom::new()
            .fill(bytes.as_mut())
            .map_err(|_| io::Error::other("no random numbers"))?;
        self.store(owner, name, &Secret::new(BASE64URL_NOPAD.encode(bytes.as_ref())))
    }

    /// Keeps a secret, in the place of one that may be there.
    pub(crate) fn store(
        &self,
        owner: Owner<'_>,
        name: &SecretName,
        secret: &Secret,
    ) -> io::Result<()> {
        let path = self.path(owner, name);
        make_private_directory(&self.directory.join(owner.directory()))?;
        self.master.write(&path, &label(owner, name), secret.expose().as_bytes())?;
        sync_directory(&self.directory)
    }

    /// Removes a secret, if it is there.
    pub(crate) fn forget(&self, owner: Owner<'_>, name: &SecretName) -> io::Result<()> {
        match std::fs::remove_file(self.path(owner, name)) {
            Ok(()) => sync_directory(&self.directory.join(owner.directory())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn path(&self, owner: Owner<'_>, name: &SecretName) -> PathBuf {
        self.directory.join(owner.directory()).join(format!("{name}.age"))
    }
}

/// Whose a secret is.
#[derive(Clone, Copy)]
pub(crate) enum Owner<'a> {
    Tenant(&'a TenantName),
    Mailkeep,
}

impl Owner<'_> {
    /// No tenant's name has an underscore.
    fn directory(&self) -> &str {
        match self {
            Self::Tenant(tenant) => tenant.as_str(),
            Self::Mailkeep => "_mailkeep",
        }
    }
}

fn label(owner: Owner<'_>, name: &SecretName) -> String {
    format!("secret/{}/{name}", owner.directory())
}
