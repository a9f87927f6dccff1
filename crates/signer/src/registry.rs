//! Which keys serve which tenant and function, for which application and token endpoint.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs, io,
    ops::Bound,
    path::{Path, PathBuf},
    sync::Arc,
};

use mailkeep_identity::{CredentialInfo, CredentialState, KeyUse, Slot};
use mailkeep_model::{Function, TenantName};
use time::OffsetDateTime;

use crate::{
    SignerError,
    credential::{Credential, Key, Opened},
    files::{make_private_directory, sync_directory},
    master::Master,
};

/// What the registry holds for a tenant and function. A file that cannot be used is in here, too:
/// it must not be mistaken for one that is not there.
pub(crate) enum Entry {
    Usable(Credential),
    Damaged { what: String },
}

/// What fits into one answer (64 KB), with what is around it.
pub(crate) const PAGE_BYTES: usize = 60 * 1024;

/// All credentials. Private keys are read from their files when something is to be signed.
pub(crate) struct Registry {
    directory: PathBuf,
    master: Arc<Master>,
    entries: BTreeMap<KeyUse, Entry>,
    /// Who uses an application, or a public key. More than one is a conflict.
    users: HashMap<Identifier, BTreeSet<KeyUse>>,
}

/// What must not serve two.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Identifier {
    /// By its client id.
    Application(String),
    /// An application, by its object id.
    Object(String),
    PublicKey(Vec<u8>),
}

impl Registry {
    /// Reads the whole registry. A file that cannot be used fails its tenant and function only.
    pub(crate) fn open(directory: &Path, master: Arc<Master>) -> Result<Self, SignerError> {
        let directory = directory.join("keys");
        let io = |source| SignerError::Io { path: directory.clone(), source };
        make_private_directory(&directory).map_err(io)?;
        let mut registry = Self {
            directory: directory.clone(),
            master,
            entries: BTreeMap::new(),
            users: HashMap::new(),
        };
        for key_use in on_disk(&directory).map_err(io)? {
            let entry = match registry.read(&key_use) {
                Ok(opened) => Entry::Usable(opened.credential()),
                Err(what) => {
                    tracing::error!(tenant = %key_use.tenant, function = %key_use.function, what, "a sealed key file cannot be used");
                    Entry::Damaged { what }
                }
            };
            registry.insert(key_use, entry);
        }
        Ok(registry)
    }

    pub(crate) fn len(&self) -> u64 {
        self.entries.len() as u64
    }

    pub(crate) fn get(&self, key_use: &KeyUse) -> Option<&Entry> {
        self.entries.get(key_use)
    }

    /// Another tenant or function that has the same application or key.
    pub(crate) fn conflict(&self, key_use: &KeyUse, credential: &Credential) -> Option<&KeyUse> {
        identifiers(credential)
            .filter_map(|identifier| self.users.get(&identifier))
            .find_map(|users| users.iter().find(|user| *user != key_use))
    }

    /// What there is of a tenant and function, to be changed and [saved](Self::save).
    pub(crate) fn opened(&self, key_use: &KeyUse) -> Result<Opened, String> {
        let known = match self.entries.get(key_use) {
            None => return Ok(Opened::default()),
            Some(Entry::Damaged { what }) => return Err(what.clone()),
            Some(Entry::Usable(known)) => known,
        };
        let opened = self.read(key_use)?;
        // An older state of it would bring retired keys back.
        if opened.credential() != *known {
            return Err("it was exchanged for another while the signer ran".to_owned());
        }
        Ok(opened)
    }

    /// Puts this in the place of what there is, all at once.
    pub(crate) fn save(&mut self, key_use: &KeyUse, opened: &Opened) -> io::Result<()> {
        self.write(key_use, opened)?;
        self.insert(key_use.clone(), Entry::Usable(opened.credential()));
        Ok(())
    }

    /// Removes a credential and its private keys.
    pub(crate) fn remove(&mut self, key_use: &KeyUse) -> io::Result<()> {
        let path = self.path(key_use);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        sync_directory(path.parent().unwrap_or(&self.directory))?;
        self.forget(key_use);
        Ok(())
    }

    pub(crate) fn of_tenant(&self, tenant: &TenantName) -> Vec<KeyUse> {
        let own = self.entries.range(first_of(tenant)..);
        own.map(|(key_use, _)| key_use)
            .take_while(|key_use| key_use.tenant == *tenant)
            .cloned()
            .collect()
    }

    /// The credentials behind `after` that go into one answer, and whether there are more.
    pub(crate) fn page(
        &self,
        tenant: Option<&TenantName>,
        after: Option<&KeyUse>,
        now: OffsetDateTime,
    ) -> (Vec<CredentialInfo>, bool) {
        // A tenant's lie side by side: asking for one must not cost a look at all.
        let first = tenant.map(first_of);
        let start = match (after, &first) {
            (Some(after), Some(first)) if after < first => Bound::Included(first),
            (Some(after), _) => Bound::Excluded(after),
            (None, Some(first)) => Bound::Included(first),
            (None, None) => Bound::Unbounded,
        };
        let rest = self
            .entries
            .range((start, Bound::Unbounded))
            .take_while(|(key_use, _)| tenant.is_none_or(|tenant| key_use.tenant == *tenant));
        let (mut items, mut bytes) = (Vec::new(), 0);
        for (key_use, entry) in rest {
            let info = self.info(key_use, entry, now);
            bytes += serde_json::to_vec(&info).map_or(0, |json| json.len());
            if bytes > PAGE_BYTES && !items.is_empty() {
                return (items, true);
            }
            items.push(info);
        }
        (items, false)
    }

    fn info(&self, key_use: &KeyUse, entry: &Entry, now: OffsetDateTime) -> CredentialInfo {
        let mut info = CredentialInfo {
            key_use: key_use.clone(),
            state: CredentialState::Active,
            certificate: None,
            keys: Vec::new(),
            binding: None,
        };
        let credential = match entry {
            Entry::Usable(credential) => credential,
            Entry::Damaged { what } => {
                info.state = CredentialState::Damaged { what: what.clone() };
                return info;
            }
        };
        let active = credential.in_slot(Slot::Active);
        info.state = if let Some(with) = self.conflict(key_use, credential) {
            CredentialState::Conflict { with: with.clone() }
        } else {
            match active {
                None => CredentialState::Inactive,
                Some(key) if key.is_expired(now) => CredentialState::Expired,
                Some(_) if credential.binding.is_none() => CredentialState::Unbound,
                Some(_) => CredentialState::Active,
            }
        };
        info.certificate = active.map(|key| key.info().certificate);
        info.keys = credential.keys.iter().map(Key::info).collect();
        info.binding.clone_from(&credential.binding);
        info
    }

    fn insert(&mut self, key_use: KeyUse, entry: Entry) {
        self.forget(&key_use);
        if let Entry::Usable(credential) = &entry {
            for identifier in identifiers(credential) {
                self.users.entry(identifier).or_default().insert(key_use.clone());
            }
        }
        self.entries.insert(key_use, entry);
    }

    fn forget(&mut self, key_use: &KeyUse) {
        let Some(Entry::Usable(credential)) = self.entries.remove(key_use) else { return };
        for identifier in identifiers(&credential) {
            if let Some(users) = self.users.get_mut(&identifier) {
                users.remove(key_use);
                if users.is_empty() {
                    self.users.remove(&identifier);
                }
            }
        }
    }

    fn path(&self, key_use: &KeyUse) -> PathBuf {
        let file = format!("{}.age", key_use.function);
        self.directory.join(key_use.tenant.as_str()).join(file)
    }

    fn read(&self, key_use: &KeyUse) -> Result<Opened, String> {
        let json = self.master.read(&self.path(key_use), &label(key_use));
        let json = json.map_err(|error| error.to_string())?.ok_or("it is missing")?;
        Opened::from_json(&json)
    }

    fn write(&self, key_use: &KeyUse, opened: &Opened) -> io::Result<()> {
        let path = self.path(key_use);
        let own = path.parent().unwrap_or(&self.directory);
        let is_new = !own.exists();
        make_private_directory(own)?;
        self.master.write(&path, &label(key_use), &opened.to_json()?)?;
        // Of a tenant's first key, the directory has to be there after a crash, too.
        if is_new { sync_directory(&self.directory) } else { Ok(()) }
    }
}

fn identifiers(credential: &Credential) -> impl Iterator<Item = Identifier> {
    let binding = credential.binding.iter();
    let application = binding.clone().map(|b| Identifier::Application(b.client_id.clone()));
    let object = binding.filter_map(|b| b.object_id.clone()).map(Identifier::Object);
    let public = |key: &Key| Identifier::PublicKey(key.certificate.public.clone());
    application.chain(object).chain(credential.keys.iter().map(public))
}

/// Where the entries of a tenant begin.
fn first_of(tenant: &TenantName) -> KeyUse {
    let function = Function::ALL.into_iter().min().unwrap_or(Function::Reader);
    KeyUse { tenant: tenant.clone(), function }
}

fn label(key_use: &KeyUse) -> String {
    format!("key/{}/{}", key_use.tenant, key_use.function)
}

/// The tenants and functions that have a file.
fn on_disk(directory: &Path) -> io::Result<Vec<KeyUse>> {
    let mut found = Vec::new();
    for tenant in fs::read_dir(directory)? {
        let tenant = tenant?;
        let Some(name) = tenant.file_name().to_str().and_then(|name| name.parse().ok()) else {
            tracing::warn!(path = %tenant.path().display(), "not a tenant's directory: left alone");
            continue;
        };
        for file in fs::read_dir(tenant.path())? {
            let file = file?.file_name();
            let stem = file.to_str().and_then(|file| file.strip_suffix(".age"));
            if let Some(function) = stem.and_then(|stem| stem.parse().ok()) {
                found.push(KeyUse { tenant: TenantName::clone(&name), function });
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;
    use uuid::Uuid;

    use super::*;
    use crate::{
        Sealing, certificate::Certificate, credential::OpenedKey, key::PrivateKey, store::Private,
    };

    #[test]
    fn a_key_that_serves_two_is_found_whichever_slots_it_is_in() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("signer");
        make_private_directory(&directory).unwrap();
        let sealing = Sealing::IdentityFile(root.path().join("master.txt"));
        let master = Arc::new(Master::open(&directory, &sealing).unwrap());
        let key_use =
            |tenant: &str| KeyUse { tenant: tenant.parse().unwrap(), function: Function::Reader };
        let now = datetime!(2026-03-01 12:00 UTC);
        let key = |private: &PrivateKey, slot| {
            let certificate = Certificate::self_signed(private, &key_use("acme"), now).unwrap();
            let key = Key { key_id: Uuid::new_v4().to_string(), slot, certificate };
            OpenedKey { key, private: Private::Sealed(private.to_pkcs8().unwrap()) }
        };
        let (own, shared) = (PrivateKey::generate().unwrap(), PrivateKey::generate().unwrap());
        let mut registry = Registry::open(&directory, Arc::clone(&master)).unwrap();
        for (tenant, keys) in [
            ("acme", vec![key(&own, Slot::Active), key(&shared, Slot::Retiring)]),
            ("globex", vec![key(&shared, Slot::Prepared)]),
        ] {
            registry.save(&key_use(tenant), &Opened { keys, binding: None }).unwrap();
        }

        // As it was made, and as a new start reads it.
        for mut registry in [registry, Registry::open(&directory, master).unwrap()] {
            let (listed, _) = registry.page(None, None, now);
            let with = |tenant| CredentialState::Conflict { with: key_use(tenant) };
            let states: Vec<_> = listed.into_iter().map(|one| one.state).collect();
            assert_eq!(states, [with("globex"), with("acme")]);

            let mut opened = registry.opened(&key_use("acme")).unwrap();
            let all = opened.keys.clone();
            opened.keys.retain(|kept| kept.key.slot == Slot::Active);
            registry.save(&key_use("acme"), &opened).unwrap();
            let (listed, _) = registry.page(None, None, now);
            assert!(
                !listed.iter().any(|one| matches!(one.state, CredentialState::Conflict { .. }))
            );
            registry.save(&key_use("acme"), &Opened { keys: all, binding: None }).unwrap();
        }
    }

    #[test]
    fn a_tenant_s_credentials_are_its_own_and_all_of_them_wherever_a_page_begins() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("signer");
        make_private_directory(&directory).unwrap();
        let sealing = Sealing::IdentityFile(root.path().join("master.txt"));
        let master = Arc::new(Master::open(&directory, &sealing).unwrap());
        let mut registry = Registry::open(&directory, master).unwrap();
        let key_use = |tenant: &str, function| KeyUse { tenant: tenant.parse().unwrap(), function };
        for tenant in ["aa", "acme", "acme-2", "b"] {
            for function in [Function::Reader, Function::Steward] {
                registry.save(&key_use(tenant, function), &Opened::default()).unwrap();
            }
        }
        let now = datetime!(2026-03-01 12:00 UTC);
        let acme: TenantName = "acme".parse().unwrap();
        let own = |after: Option<&KeyUse>| {
            let (items, more) = registry.page(Some(&acme), after, now);
            assert!(!more);
            items.into_iter().map(|one| one.key_use).collect::<Vec<_>>()
        };
        let both = vec![key_use("acme", Function::Reader), key_use("acme", Function::Steward)];
        assert_eq!(own(None), both);
        assert_eq!(own(Some(&key_use("aa", Function::Steward))), both);
        assert_eq!(own(Some(&both[0])), both[1..]);
        assert!(own(Some(&key_use("b", Function::Reader))).is_empty());
        assert_eq!(registry.of_tenant(&acme), both);
        assert_eq!(registry.page(None, None, now).0.len(), 8);
    }
}
