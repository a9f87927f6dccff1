//! `GET /_lab/applications` and `POST /_lab/applications/{client_id}`.

use std::net::{IpAddr, Ipv4Addr};

use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Refused, refused};
use crate::entra::{self, Actor, Kind, Who, modified};
use crate::lab::Shared;
use crate::state::{
    Application, DirectoryObject, FederatedCredential, KeyCredential, PasswordCredential, Registry,
    ServicePrincipal, Tenant,
};
use crate::{LabError, clock, ids};

/// What an administrator of the tenant might do to an application.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    /// Of the service principal.
    enabled: Option<bool>,
    /// Replaces the rights.
    roles: Option<Vec<String>>,
    /// Key id, of the application or its service principal.
    remove_key: Option<Uuid>,
    /// Key id: its certificate is declared revoked.
    revoke_key: Option<Uuid>,
    /// PEM.
    add_certificate: Option<String>,
    /// Object id, of a service principal or user.
    add_owner: Option<Uuid>,
    /// Object id.
    remove_owner: Option<Uuid>,
    /// A name.
    add_password: Option<String>,
    add_federated: Option<Federated>,
}

/// Another issuer whose assertions the application is to take.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Federated {
    name: String,
    issuer: String,
    subject: String,
}

/// A password that an administrator makes is good for so long, in seconds.
const HALF_A_YEAR: i64 = 180 * 86_400;

pub(super) fn list(shared: &Shared) -> Result<Value, Refused> {
    let of = |tenant: &std::sync::Arc<Tenant>| {
        let registry = tenant.registry();
        registry
            .applications
            .iter()
            .map(|application| shown(&tenant.domain, &registry, application))
            .collect::<Vec<_>>()
    };
    Ok(shared.tenants.all.iter().flat_map(of).collect())
}

/// Changes all that is asked for, or nothing.
pub(super) fn change(shared: &Shared, client_id: &str, change: &Change) -> Result<Value, Refused> {
    let unknown = || {
        refused(&LabError::UnknownApplication {
            tenant: "any".to_owned(),
            client_id: client_id.to_owned(),
        })
    };
    let id = Uuid::try_parse(client_id).map_err(|_| unknown())?;
    let now = shared.clock.unix();
    let added = change.add_certificate.as_deref().map(KeyCredential::from_pem).transpose();
    let added =
        added.map_err(|error| refused(&error))?.map(|key| KeyCredential { added: now, ..key });
    for tenant in &shared.tenants.all {
        let mut registry = tenant.registry();
        if registry.application(id).is_none() {
            continue;
        }
        let work = Work { tenant, actor: administrator(tenant), now };
        if let Some(key) = change.remove_key.or(change.revoke_key)
            && !work.has_key(&registry, id, key)
        {
            return Err((StatusCode::NOT_FOUND, format!("the application has no key '{key}'")));
        }
        if let Some(principal) = registry.principal_mut(id) {
            work.change_principal(principal, change);
        }
        if let Some(application) = registry.application_mut(id) {
            work.change_credentials(Kind::Application, &mut application.object, change, added);
            work.change_federated(application, change);
            return Ok(shown_again(tenant, &registry, id));
        }
    }
    Err(unknown())
}

/// The administrator, as the log of changes names them.
pub(super) fn administrator(tenant: &Tenant) -> Actor {
    let principal_name = format!("admin@{}", tenant.domain);
    Actor {
        who: Who::Administrator {
            user_id: ids::derived(&["administrator", &tenant.id.to_string()]),
            principal_name,
        },
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        user_agent: String::new(),
        correlation: Uuid::new_v4(),
    }
}

/// What a change needs to know besides.
struct Work<'a> {
    tenant: &'a Tenant,
    actor: Actor,
    now: i64,
}

impl Work<'_> {
    fn has_key(&self, registry: &Registry, client: Uuid, key: Uuid) -> bool {
        let application = registry.application(client).map(|one| &one.object);
        let principal = registry.principal(client).map(|one| &one.object);
        let mut keys = application.into_iter().chain(principal).flat_map(|o| &o.credentials.keys);
        keys.any(|credential| credential.key_id == key)
    }

    fn change_principal(&self, principal: &mut ServicePrincipal, change: &Change) {
        let mut log = Vec::new();
        if let Some(enabled) = change.enabled.filter(|enabled| *enabled != principal.enabled) {
            log.push(modified("AccountEnabled", json!(principal.enabled), json!(enabled)));
            principal.set_enabled(enabled, self.now);
        }
        let kind = Kind::ServicePrincipal;
        if !log.is_empty() {
            let what = entra::Change::Updated;
            let object = &principal.object;
            entra::change(self.tenant, &self.actor, kind, what, object, log, self.now);
        }
        if let Some(roles) = &change.roles {
            let before = principal.roles();
            principal.set_roles(roles.iter().cloned().collect(), self.now);
            let after = principal.roles();
            let changed = [
                (entra::Change::RoleAssigned, after.difference(&before)),
                (entra::Change::RoleUnassigned, before.difference(&after)),
            ];
            for (what, roles) in changed {
                for role in roles {
                    let value = json!(role);
                    let (old, new) = match what {
                        entra::Change::RoleAssigned => (None, Some(value)),
                        _ => (Some(value), None),
                    };
                    let log = vec![entra::Modified { name: "AppRole.Value", old, new }];
                    let object = &principal.object;
                    entra::change(self.tenant, &self.actor, kind, what, object, log, self.now);
                }
            }
        }
        self.change_credentials(kind, &mut principal.object, change, None);
    }

    fn change_credentials(
        &self,
        kind: Kind,
        object: &mut DirectoryObject,
        change: &Change,
        added: Option<KeyCredential>,
    ) {
        let before = object.credentials.described();
        if let Some(key) = change.remove_key {
            object.credentials.remove_key(key);
        }
        for key in &mut object.credentials.keys {
            key.revoked |= Some(key.key_id) == change.revoke_key;
        }
        object.credentials.keys.extend(added);
        if let Some(name) = change.add_password.as_ref().filter(|_| kind == Kind::Application) {
            let (start, end) = (self.now, self.now + HALF_A_YEAR);
            let (password, _) = PasswordCredential::generate(Some(name.clone()), start, end);
            object.credentials.passwords.push(password);
        }
        entra::credentials(self.tenant, &self.actor, kind, &before, object, self.now);
        if let Some(owner) = change.add_owner.filter(|owner| !object.owners.contains(owner)) {
            object.owners.insert(owner);
            let what = entra::Change::OwnerAdded;
            entra::owner(self.tenant, &self.actor, kind, what, object, owner, self.now);
        }
        if let Some(owner) = change.remove_owner.filter(|owner| object.owners.remove(owner)) {
            let what = entra::Change::OwnerRemoved;
            entra::owner(self.tenant, &self.actor, kind, what, object, owner, self.now);
        }
    }

    fn change_federated(&self, application: &mut Application, change: &Change) {
        let Some(wanted) = &change.add_federated else { return };
        application.federated.push(FederatedCredential {
            id: Uuid::new_v4(),
            name: wanted.name.clone(),
            issuer: wanted.issuer.clone(),
            subject: wanted.subject.clone(),
            audiences: vec!["api://AzureADTokenExchange".to_owned()],
            description: None,
        });
        let log = vec![modified("FederatedIdentityCredentials", json!([]), json!([wanted.name]))];
        let (kind, what) = (Kind::Application, entra::Change::Updated);
        let object = &application.object;
        entra::change(self.tenant, &self.actor, kind, what, object, log, self.now);
    }
}

fn shown_again(tenant: &Tenant, registry: &Registry, client: Uuid) -> Value {
    registry
        .application(client)
        .map(|application| shown(&tenant.domain, registry, application))
        .unwrap_or_default()
}

fn shown(tenant: &str, registry: &Registry, application: &Application) -> Value {
    let key = |credential: &KeyCredential| {
        json!({
            "key_id": credential.key_id,
            "thumbprint": credential.thumbprint(),
            "not_before": clock::iso(credential.start),
            "not_after": clock::iso(credential.end),
        })
    };
    let object = &application.object;
    let principal = registry.principal(object.client_id);
    let of_principal = principal.map(|one| &one.object);
    let keys = object.credentials.keys.iter();
    let keys = keys.chain(of_principal.into_iter().flat_map(|one| &one.credentials.keys));
    json!({
        "tenant": tenant,
        "name": object.display_name,
        "client_id": object.client_id,
        "object_id": object.object_id,
        "service_principal_id": of_principal.map(|one| one.object_id),
        "enabled": principal.is_some_and(|one| one.enabled),
        "roles": principal.map(ServicePrincipal::roles).unwrap_or_default(),
        "keys": keys.map(key).collect::<Vec<_>>(),
    })
}
