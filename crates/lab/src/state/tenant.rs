//! Tenants.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use uuid::Uuid;

use super::{
    Application, Directory, DirectoryObject, ExchangeAccess, ExchangeAdmin, KeyCredential, Known,
    MailFlow, Mailbox, Registry, RoleAssignment, ServicePrincipal,
};
use crate::entra::{AuditLog, ConditionalAccess, SignInLog};
use crate::mail_audit::MailAudit;
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
    registry: Mutex<Registry>,
    pub(crate) access: ConditionalAccess,
    pub(crate) sign_ins: SignInLog,
    /// Changes of the directory.
    pub(crate) audits: AuditLog,
    pub(crate) mail_audit: MailAudit,
    pub(crate) mail_flow: MailFlow,
    pub(crate) exchange_admin: ExchangeAdmin,
}

impl Tenant {
    pub(crate) fn new(id: Uuid, domain: String, display_name: String) -> Self {
        Self {
            id,
            domain,
            display_name,
            directory: RwLock::default(),
            registry: Mutex::default(),
            access: ConditionalAccess::default(),
            sign_ins: SignInLog::default(),
            audits: AuditLog::default(),
            mail_audit: MailAudit::default(),
            mail_flow: MailFlow::default(),
            exchange_admin: ExchangeAdmin::default(),
        }
    }

    pub(crate) fn directory(&self) -> RwLockReadGuard<'_, Directory> {
        self.directory.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn change_directory(&self) -> RwLockWriteGuard<'_, Directory> {
        self.directory.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a user, unless one with that address is there; gives the one that is there then.
    pub(crate) fn add_mailbox(&self, mailbox: Mailbox) -> Arc<Mailbox> {
        self.change_directory().add(mailbox)
    }

    /// By object id or address (user principal name).
    pub(crate) fn mailbox(&self, name: &str) -> Option<Arc<Mailbox>> {
        self.directory().find(name).cloned()
    }

    /// By its own id: that of a user, or one beside it (an archive).
    pub(crate) fn mailbox_by_id(&self, id: Uuid) -> Option<Arc<Mailbox>> {
        let directory = self.directory();
        let beside = || {
            let archives = directory.users().filter_map(|mailbox| mailbox.archive());
            archives.flat_map(|archive| [Some(archive), archive.auxiliary()]).flatten()
        };
        let found = directory.by_id(id).or_else(|| beside().find(|mailbox| mailbox.id == id));
        found.cloned()
    }

    pub(crate) fn mailboxes(&self) -> Vec<Arc<Mailbox>> {
        self.directory().users().cloned().collect()
    }

    /// Number of users.
    pub(crate) fn size(&self) -> usize {
        self.directory().size()
    }

    /// Applications and service principals.
    pub(crate) fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether Exchange's own roles grant one of these permissions in a mailbox.
    pub(crate) fn exchange_allows(
        &self,
        client: Uuid,
        mailbox: &Mailbox,
        permissions: &[&str],
        known: Known,
    ) -> bool {
        let is_in = |group: &str| self.is_in_group(mailbox, group);
        self.registry().exchange_allows(client, &mailbox.address, is_in, permissions, known)
    }

    /// Whether a user is in a group, by its id or name, and not only in one that is in it.
    pub(crate) fn is_in_group(&self, mailbox: &Mailbox, group: &str) -> bool {
        self.directory().group(group).is_some_and(|group| group.members.contains(&mailbox.id))
    }

    /// Makes an application and its service principal, with consent given.
    pub(crate) fn register(
        &self,
        registration: Registration,
        now: i64,
    ) -> Result<Registered, LabError> {
        if registration.name.trim().is_empty() {
            return Err(LabError::Invalid("an application needs a name".to_owned()));
        }
        let client_id = Uuid::new_v4();
        let mut object = DirectoryObject::new(client_id, registration.name.clone(), now);
        if !registration.certificate.is_empty() {
            object.credentials.keys.push(KeyCredential::from_pem(&registration.certificate)?);
        }
        let roles: BTreeSet<String> = registration.roles.into_iter().collect();
        let principal = ServicePrincipal {
            object: DirectoryObject::new(client_id, registration.name, now),
            enabled: true,
            revoked: None,
            assignments: roles.into_iter().map(|role| RoleAssignment::new(role, now)).collect(),
            exchange: ExchangeAccess::default(),
        };
        let registered = Registered {
            client_id,
            object_id: object.object_id,
            service_principal_id: principal.object.object_id,
            key_id: object.credentials.keys.first().map(|key| key.key_id),
        };
        let mut registry = self.registry();
        registry.applications.push(Application { object, federated: Vec::new() });
        registry.principals.push(principal);
        Ok(registered)
    }
}
