use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use mailkeep_control::{AuditEntry, Control, Tenant};
use mailkeep_exchange::{Access, Connections, Extras, GraphConfig, GraphProvider};
use mailkeep_identity::{
    CallerLabel, CheckpointKey, JobId, ReceiptLog, SecretName, SignerClient, SignerTransport,
    journal::JournalLog, rotation::Policy,
};
use mailkeep_inspect::MaskKey;
use mailkeep_model::{Function, Secret, TenantName};
use mailkeep_vault::Vault;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use tokio::sync::{Notify, OnceCell};
use uuid::Uuid;

use crate::{
    DataDirectory, PassLimits, RestoreLimits, ServiceError, Witness, canary::InHand,
    lost_signer::KnownOrigin, protect::Protection, remedy::Quarantines, watch::SharedRecords,
    witness::WitnessKey,
};

/// Everything that can be asked of Mailkeep on this machine.
pub struct Service {
    pub(crate) data: DataDirectory,
    pub(crate) control: Control,
    signer: OnceCell<SignerClient>,
    transport: Arc<dyn SignerTransport>,
    caller: CallerLabel,
    receipts: OnceCell<ReceiptLog>,
    journals: Mutex<HashMap<TenantName, JournalLog>>,
    connections: Connections,
    pub(crate) limits: PassLimits,
    pub(crate) restore_limits: RestoreLimits,
    pub(crate) extras: Extras,
    pub(crate) key_policy: Policy,
    pub(crate) witnesses: Vec<Witness>,
    pub(crate) protection: Arc<Protection>,
    /// Woken when the policy decided something that is to be ordered.
    pub(crate) decided: Arc<Notify>,
    /// What witnesses are told with, as far as the signer was asked for it.
    pub(crate) witness_keys: tokio::sync::Mutex<BTreeMap<String, WitnessKey>>,
    /// Canaries, by their numbers, that the provider has not taken yet.
    pub(crate) canaries_in_hand: Mutex<HashMap<i64, InHand>>,
    /// Where the ledger with that key comes from, as it was last read.
    pub(crate) origin: tokio::sync::Mutex<Option<(CheckpointKey, KnownOrigin)>>,
    /// The quarantines of mailboxes, as far as they are known.
    quarantines: Mutex<HashMap<TenantName, Arc<Quarantines>>>,
    /// Told when a remedy was ordered.
    pub(crate) remedy_ordered: tokio::sync::Notify,
    /// What was read of our own records; apart, because a service is moved about before it runs.
    pub(crate) shared: Box<SharedRecords>,
}

impl Service {
    /// Opens the state in a data directory, and makes it when there is none. The signer is
    /// reached when it is first needed.
    ///
    /// # Errors
    /// [`ServiceError::Data`] and [`ServiceError::Control`].
    pub async fn open(data: DataDirectory, caller: CallerLabel) -> Result<Self, ServiceError> {
        data.create()?;
        let control = Control::open(data.root()).await?;
        let transport = SignerClient::at_socket(data.signer_socket());
        Ok(Self {
            data,
            control,
            signer: OnceCell::new(),
            transport,
            caller,
            receipts: OnceCell::new(),
            journals: Mutex::default(),
            connections: Connections::default(),
            limits: PassLimits::default(),
            restore_limits: RestoreLimits::default(),
            extras: Extras::default(),
            key_policy: Policy::default(),
            witnesses: Vec::new(),
            protection: Arc::default(),
            decided: Arc::default(),
            witness_keys: tokio::sync::Mutex::default(),
            canaries_in_hand: Mutex::default(),
            origin: tokio::sync::Mutex::default(),
            quarantines: Mutex::default(),
            remedy_ordered: tokio::sync::Notify::new(),
            shared: Box::default(),
        })
    }

    /// The same with another way to the signer than its socket in the data directory.
    #[must_use]
    pub fn with_signer(self, transport: Arc<dyn SignerTransport>) -> Self {
        Self { transport, ..self }
    }

    /// The same with other limits.
    #[must_use]
    pub fn with_limits(self, limits: PassLimits) -> Self {
        Self { limits, ..self }
    }

    /// The same with other limits for restores.
    #[must_use]
    pub fn with_restore_limits(self, restore_limits: RestoreLimits) -> Self {
        Self { restore_limits, ..self }
    }

    /// The same with more read and restored than mail, calendars, contacts and settings.
    #[must_use]
    pub fn with_extras(self, extras: Extras) -> Self {
        Self { extras, ..self }
    }

    /// The same with another pace of changing keys.
    #[must_use]
    pub fn with_key_policy(self, key_policy: Policy) -> Self {
        Self { key_policy, ..self }
    }

    /// The same with witnesses of the ledger.
    #[must_use]
    pub fn with_witnesses(self, witnesses: Vec<Witness>) -> Self {
        Self { witnesses, ..self }
    }

    /// The same with a policy, and with what else inspection is given from files.
    #[must_use]
    pub fn with_protection(self, protection: Protection) -> Self {
        Self { protection: Arc::new(protection), ..self }
    }

    /// What inspection is given from files.
    pub fn protection(&self) -> &Protection {
        &self.protection
    }

    /// What is read and restored beside mail, calendars, contacts and settings.
    pub fn extras(&self) -> Extras {
        self.extras
    }

    /// The state.
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// The data directory.
    pub fn data(&self) -> &DataDirectory {
        &self.data
    }

    /// The signer.
    ///
    /// # Errors
    /// [`ServiceError::Identity`] when it does not answer.
    pub async fn signer(&self) -> Result<&SignerClient, ServiceError> {
        let connect =
            || SignerClient::connect_over(Arc::clone(&self.transport), self.caller.clone());
        Ok(self.signer.get_or_try_init(connect).await?)
    }

    /// A tenant.
    ///
    /// # Errors
    /// [`ServiceError::NoTenant`].
    pub async fn tenant(&self, name: &TenantName) -> Result<Tenant, ServiceError> {
        let tenant = self.control.tenant(name).await?;
        tenant.ok_or_else(|| ServiceError::NoTenant { tenant: name.clone() })
    }

    /// A job's name, under which keys and secrets are asked for.
    pub(crate) fn new_job(&self) -> JobId {
        JobId::from(Uuid::new_v4())
    }

    /// A tenant's mailboxes, read with its reader key.
    pub(crate) async fn provider(
        &self,
        tenant: &Tenant,
        job: &JobId,
    ) -> Result<GraphProvider, ServiceError> {
        self.provider_for(tenant, Function::Reader, self.extras, job).await
    }

    /// A tenant's mailboxes, opened with the key of a function.
    pub(crate) async fn provider_for(
        &self,
        tenant: &Tenant,
        function: Function,
        extras: Extras,
        job: &JobId,
    ) -> Result<GraphProvider, ServiceError> {
        let (config, access) = self.connection(tenant, function, extras, job).await?;
        Ok(GraphProvider::new(config, access)?)
    }

    /// How to reach a tenant's provider with the key of a function.
    pub(crate) async fn connection(
        &self,
        tenant: &Tenant,
        function: Function,
        extras: Extras,
        job: &JobId,
    ) -> Result<(GraphConfig, Access), ServiceError> {
        if !tenant.functions.iter().any(|known| known.function == function) {
            return Err(ServiceError::NotRegistered { tenant: tenant.name.clone(), function });
        }
        let refused =
            |reason: String| ServiceError::Refused { tenant: tenant.name.clone(), reason };
        let graph = tenant.graph.parse().map_err(|error| {
            refused(format!("Graph's address '{}' is not one: {error}", tenant.graph))
        })?;
        let config = GraphConfig {
            tenant: tenant.name.clone(),
            function,
            graph,
            ca_pem: tenant.ca_pem.clone(),
            extras,
        };
        let open = async || {
            ReceiptLog::open(self.data.receipts()).map_err(mailkeep_exchange::ExchangeError::from)
        };
        let access = Access {
            signer: self.signer().await?.clone(),
            receipts: self.receipts.get_or_try_init(open).await?.clone(),
            journal: self.journal(&tenant.name)?,
            job: job.clone(),
            connections: self.connections.clone(),
        };
        Ok((config, access))
    }

    /// Where requests to a tenant's provider are written down.
    fn journal(&self, tenant: &TenantName) -> Result<JournalLog, ServiceError> {
        let directory = self.data.journal();
        let mut journals = self.journals.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(journal) = journals.get(tenant) {
            return Ok(journal.clone());
        }
        let journal = JournalLog::open(&directory, tenant)
            .map_err(|source| ServiceError::Data { path: directory, source })?;
        journals.insert(tenant.clone(), journal.clone());
        Ok(journal)
    }

    /// Where a tenant's mailboxes have their quarantines, as far as that is known.
    pub(crate) fn quarantines_of(&self, tenant: &TenantName) -> Arc<Quarantines> {
        let mut all = self.quarantines.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(tenant.clone()).or_default())
    }

    /// Closes a tenant's journal, unless somebody writes to it: of many tenants' journals not all can be
    /// open.
    pub(crate) fn close_journal(&self, tenant: &TenantName) {
        let mut journals = self.journals.lock().unwrap_or_else(PoisonError::into_inner);
        if journals.get(tenant).is_some_and(|journal| !journal.is_shared()) {
            journals.remove(tenant);
        }
    }

    /// A tenant's vault, for reading.
    pub(crate) async fn vault(
        &self,
        tenant: &TenantName,
        job: &JobId,
    ) -> Result<Vault, ServiceError> {
        self.tenant(tenant).await?;
        let directory = self.data.vault(tenant);
        if !Vault::exists(&directory) {
            return Err(match self.control.catalog_head(tenant).await? {
                Some(_) => ServiceError::VaultLost { tenant: tenant.clone(), path: directory },
                None => ServiceError::NoSnapshot { tenant: tenant.clone(), when: String::new() },
            });
        }
        let password = self.repository_password(tenant, job).await?;
        blocking(move || Ok(Vault::open(&directory, &password)?)).await
    }

    /// A tenant's vault, for the holder of its lease: made when there is none, and `control`
    /// brought to where it stands.
    pub(crate) async fn writable_vault(
        &self,
        tenant: &TenantName,
        job: &JobId,
    ) -> Result<Vault, ServiceError> {
        let directory = self.data.vault(tenant);
        if !Vault::exists(&directory) && self.control.catalog_head(tenant).await?.is_none() {
            self.signer().await?.create_secret(job, tenant, &SecretName::repository()).await?;
            let password = self.repository_password(tenant, job).await?;
            return blocking(move || Ok(Vault::create(&directory, &password)?)).await;
        }
        let vault = self.vault(tenant, job).await?;
        let vault = self.catch_up(tenant, vault).await?;
        self.inspect_stored(tenant, vault, job).await
    }

    pub(crate) async fn repository_password(
        &self,
        tenant: &TenantName,
        job: &JobId,
    ) -> Result<Secret, ServiceError> {
        let signer = self.signer().await?;
        Ok(signer.release_secret(job, tenant, &SecretName::repository()).await?)
    }

    /// The key under which sensitive values in a tenant's evidence are correlated.
    pub(crate) async fn mask_key(
        &self,
        tenant: &TenantName,
        job: &JobId,
    ) -> Result<MaskKey, ServiceError> {
        let name: SecretName = "evidence-mask".parse().expect("a valid name of a secret");
        let signer = self.signer().await?;
        signer.create_secret(job, tenant, &name).await?;
        let secret = signer.release_secret(job, tenant, &name).await?;
        Ok(MaskKey::from_bytes(Sha256::digest(secret.expose()).into()))
    }

    /// Writes down who did what.
    pub(crate) async fn audit(
        &self,
        tenant: &TenantName,
        action: &str,
        details: serde_json::Value,
    ) -> Result<(), ServiceError> {
        audit(&self.control, tenant, action, details).await
    }
}

/// Writes down who did what.
pub(crate) async fn audit(
    control: &Control,
    tenant: &TenantName,
    action: &str,
    details: serde_json::Value,
) -> Result<(), ServiceError> {
    Ok(control.audit(audit_entry(tenant, action, details)).await?)
}

/// Who does what now.
pub(crate) fn audit_entry(
    tenant: &TenantName,
    action: &str,
    details: serde_json::Value,
) -> AuditEntry {
    AuditEntry {
        time: OffsetDateTime::now_utc(),
        actor: actor(),
        action: action.to_owned(),
        tenant: Some(tenant.clone()),
        details,
    }
}

/// Who runs this process, as far as the system tells.
pub(crate) fn actor() -> String {
    use std::os::unix::fs::MetadataExt;
    let uid = std::fs::metadata("/proc/self").map(|process| process.uid());
    let name = std::env::var("USER").ok().filter(|name| !name.is_empty());
    match (name, uid) {
        (Some(name), Ok(uid)) => format!("{name} (uid {uid})"),
        (None, Ok(uid)) => format!("uid {uid}"),
        (Some(name), Err(_)) => name,
        (None, Err(_)) => "unknown".into(),
    }
}

/// Runs something that waits for disks on a thread where that harms nobody.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ServiceError> + Send + 'static,
) -> Result<T, ServiceError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| ServiceError::Stopped)?
}
