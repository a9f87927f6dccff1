//! Tenants and their directories.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use uuid::Uuid;

use super::{Application, Credential, Mailbox};
use crate::entra::SignInLog;
use crate::{LabError, Registered, Registration};

/// All tenants; fixed when the lab starts.
#[derive(Debug)]
pub(crate) struct Tenants {
    by_id: HashMap<Uuid, Arc<Tenant>>,
    by_domain: HashMap<String, Arc<Tenant>>,
    /// In the order in which they are described.
    pub(crate) all: Vec<Arc<Tenant>>,
}

impl Tenants {
    pub(crate) fn new(all: Vec<Arc<Tenant>>) -> Self {
        Self {
            by_id: all.iter().map(|t| (t.id, Arc::clone(t))).collect(),
            by_domain: all.iter().map(|t| (t.domain.clone(), Arc::clone(t))).collect(),
            all,
        }
    }

    /// By GUID or domain.
    pub(crate) fn find(&self, name: &str) -> Option<&Arc<Tenant>> {
        match Uuid::try_parse(name) {
            Ok(id) => self.by_id.get(&id),
            Err(_) => self.by_domain.get(&name.to_lowercase()),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Tenant {
    pub(crate) id: Uuid,
    pub(crate) domain: String,
    pub(crate) display_name: String,
    directory: RwLock<Directory>,
    applications: Mutex<HashMap<Uuid, Application>>,
    pub(crate) sign_ins: SignInLog,
}

#[derive(Debug, Default)]
struct Directory {
    by_id: HashMap<Uuid, Arc<Mailbox>>,
    by_address: HashMap<Arc<str>, Arc<Mailbox>>,
    order: Vec<Arc<Mailbox>>,
}

impl Tenant {
    pub(crate) fn new(id: Uuid, domain: String, display_name: String) -> Self {
        Self {
            id,
            domain,
            display_name,
            directory: RwLock::default(),
            applications: Mutex::default(),
            sign_ins: SignInLog::default(),
        }
    }

    /// Adds a user, unless one with that address is there; gives the one that is there then.
    pub(crate) fn add_mailbox(&self, mailbox: Mailbox) -> Arc<Mailbox> {
        let mut directory = self.directory.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(there) = directory.by_address.get(&mailbox.address) {
            return Arc::clone(there);
        }
        let mailbox = Arc::new(mailbox);
        directory.by_id.insert(mailbox.id, Arc::clone(&mailbox));
        directory.by_address.insert(Arc::clone(&mailbox.address), Arc::clone(&mailbox));
        directory.order.push(Arc::clone(&mailbox));
        mailbox
    }

    /// By object id or address (user principal name).
    pub(crate) fn mailbox(&self, name: &str) -> Option<Arc<Mailbox>> {
        let directory = self.directory.read().unwrap_or_else(PoisonError::into_inner);
        match Uuid::try_parse(name) {
            Ok(id) => directory.by_id.get(&id).cloned(),
            Err(_) => directory.by_address.get(name.to_lowercase().as_str()).cloned(),
        }
    }

    pub(crate) fn mailboxes(&self) -> Vec<Arc<Mailbox>> {
        self.directory.read().unwrap_or_else(PoisonError::into_inner).order.clone()
    }

    pub(crate) fn applications(&self) -> MutexGuard<'_, HashMap<Uuid, Application>> {
        self.applications.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn register(&self, registration: Registration) -> Result<Registered, LabError> {
        if registration.name.trim().is_empty() {
            return Err(LabError::Invalid("an application needs a name".to_owned()));
        }
        let credentials = match registration.certificate.as_str() {
            "" => Vec::new(),
            pem => vec![Credential::from_pem(pem)?],
        };
        let registered = Registered {
            client_id: Uuid::new_v4(),
            object_id: Uuid::new_v4(),
            service_principal_id: Uuid::new_v4(),
            key_id: credentials.first().map(|credential| credential.key_id),
        };
        let application = Application {
            client_id: registered.client_id,
            object_id: registered.object_id,
            service_principal_id: registered.service_principal_id,
            name: registration.name,
            enabled: true,
            roles: registration.roles.into_iter().collect(),
            credentials,
        };
        self.applications().insert(registered.client_id, application);
        Ok(registered)
    }
}
