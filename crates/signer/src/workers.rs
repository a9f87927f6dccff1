//! Which workers of other machines are listened to. A certificate that is not in the list is good for
//! nothing, whoever issued it.

use std::{
    collections::{BTreeMap, HashSet},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use mailkeep_identity::{CallerLabel, WorkerInfo};
use mailkeep_model::{Function, TenantName};
use time::OffsetDateTime;
use tokio::sync::watch;

use crate::{SignerError, master::Master, registry::PAGE_BYTES};

const FILE: &str = "workers.age";
const LABEL: &str = "workers";
/// Most bytes of the list, which is one sealed file.
const LONGEST_LIST: usize = 200 * 1024;
/// Most bytes of one entry, so that a page of the list has room for it.
const LONGEST_ENTRY: usize = 16 * 1024;

pub(crate) struct Workers {
    path: PathBuf,
    master: Arc<Master>,
    /// By fingerprint.
    listed: Mutex<BTreeMap<String, WorkerInfo>>,
    changed: watch::Sender<()>,
}

impl Workers {
    /// Reads the list. `revoked` is what the ledger knows: an older list brings nobody back.
    pub(crate) fn open(
        directory: &Path,
        master: Arc<Master>,
        revoked: &HashSet<String>,
    ) -> Result<Self, SignerError> {
        let path = directory.join(FILE);
        let damaged = |what: String| SignerError::Damaged { path: path.clone(), what };
        let sealed = master.read(&path, LABEL).map_err(|error| damaged(error.to_string()))?;
        let mut listed: Vec<WorkerInfo> = match sealed {
            None => Vec::new(),
            Some(json) => {
                serde_json::from_slice(&json).map_err(|error| damaged(error.to_string()))?
            }
        };
        for worker in &mut listed {
            if worker.revoked.is_none() && revoked.contains(&worker.fingerprint) {
                tracing::error!(worker = %worker.name, "the list of workers is older than the ledger; a revoked worker stays revoked");
                worker.revoked = Some(OffsetDateTime::UNIX_EPOCH);
            }
        }
        let listed = listed.into_iter().map(|one| (one.fingerprint.clone(), one)).collect();
        Ok(Self { path, master, listed: Mutex::new(listed), changed: watch::Sender::new(()) })
    }

    /// The worker with this certificate, while it is listened to.
    ///
    /// # Errors
    /// Why it is not, in words.
    pub(crate) fn admit(
        &self,
        fingerprint: &str,
        now: OffsetDateTime,
    ) -> Result<WorkerInfo, String> {
        let listed = self.lock();
        let worker = listed.get(fingerprint);
        let worker = worker
            .ok_or_else(|| format!("certificate {fingerprint} is not in the list of workers"))?;
        let name = &worker.name;
        if worker.revoked.is_some() {
            return Err(format!("worker '{name}' was revoked (certificate {fingerprint})"));
        }
        if worker.not_after <= now {
            return Err(format!("the certificate of worker '{name}' has expired ({fingerprint})"));
        }
        Ok(worker.clone())
    }

    /// Whether the list has a certificate, be it good for something or not.
    pub(crate) fn is_listed(&self, fingerprint: &str) -> bool {
        self.lock().contains_key(fingerprint)
    }

    /// Tells whenever somebody may have been cut off.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Whether there is room for one more.
    pub(crate) fn has_room(&self, worker: &WorkerInfo, now: OffsetDateTime) -> bool {
        let size = |one: &WorkerInfo| serde_json::to_vec(one).map_or(0, |json| json.len() + 1);
        let listed: usize = self.lock().values().filter(|one| one.not_after > now).map(size).sum();
        size(worker) <= LONGEST_ENTRY && listed + size(worker) <= LONGEST_LIST
    }

    /// Puts a worker into the list; what has expired leaves it.
    pub(crate) fn add(&self, worker: WorkerInfo, now: OffsetDateTime) -> io::Result<()> {
        let mut listed = self.lock();
        let mut next = listed.clone();
        next.retain(|_, one| one.not_after > now);
        next.insert(worker.fingerprint.clone(), worker);
        self.save(&next)?;
        *listed = next;
        Ok(())
    }

    /// Fingerprints of a worker's certificates that are not revoked yet.
    pub(crate) fn valid_of(&self, name: &CallerLabel) -> Vec<String> {
        let listed = self.lock();
        let of = listed.values().filter(|one| one.name == *name && one.revoked.is_none());
        of.map(|one| one.fingerprint.clone()).collect()
    }

    /// Listens to these certificates no more, whether the list can be written or not.
    pub(crate) fn revoke(&self, fingerprints: &[String], now: OffsetDateTime) -> io::Result<()> {
        let mut listed = self.lock();
        for fingerprint in fingerprints {
            if let Some(worker) = listed.get_mut(fingerprint) {
                worker.revoked = Some(now);
            }
        }
        let saved = self.save(&listed);
        drop(listed);
        self.changed.send_replace(());
        saved
    }

    /// The entries behind `after` that go into one answer, and whether there are more.
    pub(crate) fn page(&self, after: Option<&str>) -> (Vec<WorkerInfo>, bool) {
        let listed = self.lock();
        let behind = |one: &&WorkerInfo| after.is_none_or(|after| one.fingerprint.as_str() > after);
        let (mut items, mut bytes) = (Vec::new(), 0);
        for worker in listed.values().filter(behind) {
            bytes += serde_json::to_vec(worker).map_or(0, |json| json.len() + 1);
            if bytes > PAGE_BYTES && !items.is_empty() {
                return (items, true);
            }
            items.push(worker.clone());
        }
        (items, false)
    }

    fn save(&self, listed: &BTreeMap<String, WorkerInfo>) -> io::Result<()> {
        let all: Vec<_> = listed.values().collect();
        self.master.write(&self.path, LABEL, &serde_json::to_vec(&all).map_err(io::Error::other)?)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, WorkerInfo>> {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a worker may ask about this tenant and function.
///
/// # Errors
/// Which limit forbids it.
pub(crate) fn within(
    worker: &WorkerInfo,
    tenant: Option<&TenantName>,
    function: Option<Function>,
    is_about_keys: bool,
) -> Result<(), String> {
    if let Some(tenants) = &worker.limits.tenants
        && !tenant.is_some_and(|tenant| tenants.contains(tenant))
    {
        return Err(format!("worker '{}' may not ask for this tenant, or for all", worker.name));
    }
    if let Some(functions) = &worker.limits.functions
        && is_about_keys
        && !function.is_some_and(|function| functions.contains(&function))
    {
        return Err(format!("worker '{}' may not ask for this function, or for all", worker.name));
    }
    Ok(())
}
