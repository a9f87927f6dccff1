//! Application registrations and service principals: two objects each, with credentials and owners
//! of their own. Tokens are given to whoever holds a credential of either.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use uuid::Uuid;

use super::Credentials;

/// What applications and service principals have in common.
#[derive(Clone, Debug)]
pub(crate) struct DirectoryObject {
    pub(crate) object_id: Uuid,
    /// Application (client) id; the same on both.
    pub(crate) client_id: Uuid,
    pub(crate) display_name: String,
    /// Unix time.
    pub(crate) created: i64,
    pub(crate) credentials: Credentials,
    /// Object ids of service principals and users.
    pub(crate) owners: BTreeSet<Uuid>,
    /// What else was set, as Graph shows it.
    pub(crate) more: Map<String, Value>,
}

impl DirectoryObject {
    pub(crate) fn new(client_id: Uuid, display_name: String, created: i64) -> Self {
        Self {
            object_id: Uuid::new_v4(),
            client_id,
            display_name,
            created,
            credentials: Credentials::default(),
            owners: BTreeSet::new(),
            more: Map::new(),
        }
    }
}

/// An application registration.
#[derive(Clone, Debug)]
pub(crate) struct Application {
    pub(crate) object: DirectoryObject,
    pub(crate) federated: Vec<FederatedCredential>,
}

/// Whose assertions stand for a credential (`federatedIdentityCredential`).
#[derive(Clone, Debug)]
pub(crate) struct FederatedCredential {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) issuer: String,
    pub(crate) subject: String,
    pub(crate) audiences: Vec<String>,
    pub(crate) description: Option<String>,
}

/// An application's identity in the tenant ("enterprise application").
#[derive(Clone, Debug)]
pub(crate) struct ServicePrincipal {
    pub(crate) object: DirectoryObject,
    pub(crate) enabled: bool,
    /// Tokens that were issued until then are refused by those who evaluate access continuously.
    pub(crate) revoked: Option<i64>,
    /// Application permissions that have been consented to.
    pub(crate) assignments: Vec<RoleAssignment>,
    pub(crate) exchange: ExchangeAccess,
}

/// One consented permission of Microsoft Graph (`appRoleAssignment`).
#[derive(Clone, Debug)]
pub(crate) struct RoleAssignment {
    pub(crate) id: String,
    pub(crate) role: String,
    /// Unix time.
    pub(crate) created: i64,
}

impl RoleAssignment {
    pub(crate) fn new(role: String, created: i64) -> Self {
        let mut raw = [0; 32];
        raw[..16].copy_from_slice(Uuid::new_v4().as_bytes());
        raw[16..].copy_from_slice(Uuid::new_v4().as_bytes());
        Self { id: data_encoding::BASE64URL_NOPAD.encode(&raw), role, created }
    }
}

impl ServicePrincipal {
    pub(crate) fn roles(&self) -> BTreeSet<String> {
        self.assignments.iter().map(|assignment| assignment.role.clone()).collect()
    }

    /// Replaces the consented permissions; those that stay keep their id.
    pub(crate) fn set_roles(&mut self, roles: BTreeSet<String>, now: i64) {
        self.assignments.retain(|assignment| roles.contains(&assignment.role));
        for role in roles {
            if !self.assignments.iter().any(|assignment| assignment.role == role) {
                self.assignments.push(RoleAssignment::new(role, now));
            }
        }
    }

    pub(crate) fn set_enabled(&mut self, enabled: bool, now: i64) {
        if self.enabled && !enabled {
            self.revoked = Some(now);
        }
        self.enabled = enabled;
    }
}

/// One role of RBAC for Applications, in all mailboxes or some
/// (<https://learn.microsoft.com/exchange/permissions-exo/application-rbac>).
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScopedRole {
    /// `Application Mail.Read`
    pub(crate) role: String,
    /// Addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mailboxes: Option<BTreeSet<String>>,
    /// Name or id of a group of the directory; those count who are in it themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) group: Option<String>,
}

/// What Exchange itself lets a service principal do. Exchange remembers for a while: what is
/// changed takes effect later.
#[derive(Clone, Debug, Default)]
pub(crate) struct ExchangeAccess {
    pub(crate) roles: Vec<ScopedRole>,
    before: Vec<ScopedRole>,
    changed: i64,
}

impl ExchangeAccess {
    pub(crate) fn set(&mut self, roles: Vec<ScopedRole>, now: i64, delay: i64) {
        self.before = self.effective(now, delay).to_vec();
        self.roles = roles;
        self.changed = now;
    }

    /// What is in force, `delay` seconds after it was said.
    pub(crate) fn effective(&self, now: i64, delay: i64) -> &[ScopedRole] {
        if now < self.changed + delay { &self.before } else { &self.roles }
    }
}

/// The applications and service principals of a tenant, in the order in which they were made.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    pub(crate) applications: Vec<Application>,
    pub(crate) principals: Vec<ServicePrincipal>,
}

impl Registry {
    pub(crate) fn application(&self, client: Uuid) -> Option<&Application> {
        self.applications.iter().find(|application| application.object.client_id == client)
    }

    pub(crate) fn principal(&self, client: Uuid) -> Option<&ServicePrincipal> {
        self.principals.iter().find(|principal| principal.object.client_id == client)
    }

    pub(crate) fn application_mut(&mut self, client: Uuid) -> Option<&mut Application> {
        self.applications.iter_mut().find(|application| application.object.client_id == client)
    }

    pub(crate) fn principal_mut(&mut self, client: Uuid) -> Option<&mut ServicePrincipal> {
        self.principals.iter_mut().find(|principal| principal.object.client_id == client)
    }

    /// Whether one of these permissions is granted to the service principal for a mailbox by
    /// Exchange's own roles. `is_in` tells whether the mailbox is in a group.
    pub(crate) fn exchange_allows(
        &self,
        client: Uuid,
        address: &str,
        is_in: impl Fn(&str) -> bool,
        permissions: &[&str],
        known: Known,
    ) -> bool {
        let Some(principal) = self.principal(client) else { return false };
        let roles = principal.exchange.effective(known.now, known.delay);
        roles.iter().any(|role| {
            role.reaches(address, &is_in) && permissions.iter().any(|wanted| grants(role, wanted))
        })
    }
}

/// What Exchange knows: what was said `delay` seconds before `now`, a Unix time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    pub(crate) now: i64,
    pub(crate) delay: i64,
}

impl ScopedRole {
    /// Whether a mailbox is in its scope.
    pub(crate) fn reaches(&self, address: &str, is_in: impl Fn(&str) -> bool) -> bool {
        let named =
            |list: &BTreeSet<String>| list.iter().any(|one| one.eq_ignore_ascii_case(address));
        self.mailboxes.as_ref().is_none_or(named) && self.group.as_deref().is_none_or(is_in)
    }
}

/// The roles that do not bear the name of their permission, mostly because they are more than one.
const FULL_ACCESS: &[(&str, &[&str])] = &[
    // One, but under a name that follows another rule than those below.
    ("Application Mail-Advanced.ReadWrite.All", &["Mail-Advanced.ReadWrite"]),
    ("Application Mail Full Access", &["Mail.ReadWrite", "Mail.Send"]),
    (
        "Application Exchange Full Access",
        &[
            "Mail.ReadWrite",
            "Mail.Send",
            "MailboxSettings.ReadWrite",
            "Calendars.ReadWrite",
            "Contacts.ReadWrite",
        ],
    ),
];

/// Permissions that there is a role `Application …` for.
const SCOPED: &[&str] = &[
    "Mail.Read",
    "Mail.ReadBasic",
    "Mail.ReadWrite",
    "Mail.Send",
    "MailboxSettings.Read",
    "MailboxSettings.ReadWrite",
    "Calendars.Read",
    "Calendars.ReadWrite",
    "Contacts.Read",
    "Contacts.ReadWrite",
    "MailboxFolder.Read",
    "MailboxFolder.ReadWrite",
    "MailboxItem.Read",
    "MailboxItem.Export",
    "MailboxItem.ImportExport",
    "MailboxConfigItem.Read",
    "MailboxConfigItem.ReadWrite",
    "EWS.AccessAsApp",
];

/// The permissions that a role of Exchange stands for; none when there is no such role.
pub(crate) fn permissions_of(role: &str) -> Vec<&'static str> {
    if let Some((_, permissions)) = FULL_ACCESS.iter().find(|(name, _)| *name == role) {
        return permissions.to_vec();
    }
    let name = role.strip_prefix("Application ").unwrap_or_default();
    SCOPED.iter().filter(|known| **known == name).copied().collect()
}

/// Whether a role grants a permission as Graph names it: `Mail.Read.All` and its like are the
/// tenant-wide names of the same.
fn grants(role: &ScopedRole, wanted: &str) -> bool {
    let wanted = wanted.strip_suffix(".All").unwrap_or(wanted);
    permissions_of(&role.role).contains(&wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(name: &str, mailboxes: Option<&[&str]>, group: Option<&str>) -> ScopedRole {
        ScopedRole {
            role: name.to_owned(),
            mailboxes: mailboxes.map(|list| list.iter().map(|one| (*one).to_owned()).collect()),
            group: group.map(str::to_owned),
        }
    }

    #[test]
    fn a_role_reaches_no_further_than_its_scope() {
        let client = Uuid::from_u128(1);
        let mut principal = ServicePrincipal {
            object: DirectoryObject::new(client, "x".to_owned(), 0),
            enabled: true,
            revoked: None,
            assignments: Vec::new(),
            exchange: ExchangeAccess::default(),
        };
        let roles = vec![
            role("Application Mail.Read", Some(&["a@b.example"]), None),
            role("Application Mail Full Access", None, Some("board")),
        ];
        principal.exchange.set(roles, 100, 60);
        let registry = Registry { principals: vec![principal], ..Registry::default() };
        let allows = |address: &str, permission: &str, now| {
            let is_in = |group: &str| group == "board" && address == "c@b.example";
            let known = Known { now, delay: 60 };
            registry.exchange_allows(client, address, is_in, &[permission], known)
        };
        assert!(!allows("a@b.example", "Mail.Read", 159), "Exchange does not know yet");
        assert!(allows("A@b.example", "Mail.Read", 160));
        assert!(!allows("a@b.example", "Mail.ReadWrite", 160));
        assert!(!allows("c@b.example", "Mail.Read", 160), "Mail.ReadWrite stands for itself");
        assert!(allows("c@b.example", "Mail.Send", 160));
        assert!(!allows("d@b.example", "Mail.Read", 160));
        assert!(permissions_of("Application Everything").is_empty());
    }
}
