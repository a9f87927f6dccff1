use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use mailkeep_model::{Function, TenantName};

use crate::ServiceError;

/// The data directory: everything that Mailkeep keeps on this machine.
#[derive(Clone, Debug)]
pub struct DataDirectory {
    root: PathBuf,
}

impl DataDirectory {
    /// The data directory at `root`, which need not be there yet.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Settings.
    pub fn config(&self) -> PathBuf {
        self.root.join("config.toml")
    }

    /// The state.
    pub fn control(&self) -> PathBuf {
        self.root.join("control.sqlite")
    }

    /// The signer's own directory: keys, registry, ledger.
    pub fn signer(&self) -> PathBuf {
        self.root.join("signer")
    }

    /// The signer's socket.
    pub fn signer_socket(&self) -> PathBuf {
        self.signer().join("signer.sock")
    }

    /// Where a listener's certificate status is told to other processes.
    pub fn tls_status(&self, listener: &str) -> PathBuf {
        self.root.join("tls").join(format!("{listener}.json"))
    }

    /// Where a listener's certificates and its account at an ACME server are kept.
    pub fn tls_storage(&self, listener: &str) -> PathBuf {
        self.root.join("tls").join(listener)
    }

    /// A tenant's repository.
    pub fn vault(&self, tenant: &TenantName) -> PathBuf {
        self.root.join("vault").join(tenant.as_str())
    }

    /// Where content waits for the vault.
    pub fn spool(&self) -> PathBuf {
        self.root.join("spool")
    }

    /// The receipts of token requests.
    pub fn receipts(&self) -> PathBuf {
        self.root.join("receipts.jsonl")
    }

    /// The requests that were made of the provider, a directory for each tenant.
    pub fn journal(&self) -> PathBuf {
        self.root.join("journal")
    }

    /// Makes the directory, readable by its owner alone.
    ///
    /// # Errors
    /// [`ServiceError::Data`].
    pub fn create(&self) -> Result<(), ServiceError> {
        use std::os::unix::fs::DirBuilderExt;
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.root)
            .map_err(|source| self.unusable(source))
    }

    /// Lets one pass at a time write to a tenant's vault. The system gives the lease back when
    /// the process ends, however it ends.
    pub(crate) fn lease(&self, tenant: &TenantName) -> Result<Lease, ServiceError> {
        self.hold(tenant, &format!("{tenant}.lease"))
    }

    /// Lets one restore at a time write to a tenant's mailboxes.
    pub(crate) fn restore_lease(&self, tenant: &TenantName) -> Result<Lease, ServiceError> {
        self.hold(tenant, &format!("{tenant}.restore-lease"))
    }

    /// Lets one at a time carry out a tenant's remedies.
    pub(crate) fn remedy_lease(&self, tenant: &TenantName) -> Result<Lease, ServiceError> {
        self.hold(tenant, &format!("{tenant}.remedy-lease"))
    }

    /// Lets one at a time change the keys of a function.
    pub(crate) fn key_lease(
        &self,
        tenant: &TenantName,
        function: Function,
    ) -> Result<Lease, ServiceError> {
        self.hold(tenant, &format!("{tenant}.{function}.key-lease"))
    }

    fn hold(&self, tenant: &TenantName, file: &str) -> Result<Lease, ServiceError> {
        let path = self.root.join("vault").join(file);
        let open = || {
            fs::create_dir_all(self.root.join("vault"))?;
            File::options().create(true).truncate(false).write(true).open(&path)
        };
        let file = open().map_err(|source| self.unusable(source))?;
        match file.try_lock() {
            Ok(()) => Ok(Lease { _file: file }),
            Err(TryLockError::WouldBlock) => Err(ServiceError::Busy { tenant: tenant.clone() }),
            Err(TryLockError::Error(source)) => Err(self.unusable(source)),
        }
    }

    fn unusable(&self, source: io::Error) -> ServiceError {
        ServiceError::Data { path: self.root.clone(), source }
    }
}

/// Held by the one pass, or the one restore, of a tenant.
pub(crate) struct Lease {
    _file: File,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_pass_of_a_tenant_is_told_that_the_first_one_runs() {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDirectory::new(directory.path());
        let (acme, other) = ("acme".parse().unwrap(), "other".parse().unwrap());
        let lease = data.lease(&acme).unwrap();
        assert!(matches!(data.lease(&acme), Err(ServiceError::Busy { .. })));
        assert!(data.lease(&other).is_ok());
        drop(lease);
        assert!(data.lease(&acme).is_ok());
    }
}
