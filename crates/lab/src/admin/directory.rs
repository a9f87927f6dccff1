//! What the administrator of a tenant does to its directory beside applications: settings of logs and
//! delays, Conditional Access, issuers, Exchange's application roles.

use std::net::{IpAddr, Ipv4Addr};

use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::applications::administrator;
use super::{Refused, read, refused, unknown_mailbox};
use crate::entra::{self, Activity, Location, Policy, Resource, SignIn, Target};
use crate::lab::Shared;
use crate::state::{Command, FlowSettings, KeyCredential, Mailbox, ScopedRole, permissions_of};

/// `/_lab/entra`: what is set, and, with a body, what is changed.
pub(super) fn settings(shared: &Shared, change: Option<&[u8]>) -> Result<Value, Refused> {
    let Some(body) = change else { return Ok(json!(shared.entra.settings())) };
    let change: Value = read(body)?;
    let changed = shared.entra.change(&change).map_err(bad)?;
    Ok(json!(changed))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Access {
    tenant: Option<String>,
    #[serde(default)]
    policies: Vec<Policy>,
    #[serde(default)]
    locations: Vec<Location>,
}

/// `POST /_lab/conditional-access`: replaces policies and named locations of a tenant.
pub(super) fn conditional_access(shared: &Shared, body: &[u8]) -> Result<Value, Refused> {
    let wanted: Access = read(body)?;
    let tenant = shared.tenant(wanted.tenant.as_deref()).map_err(|error| refused(&error))?;
    let now = shared.clock.unix();
    let log: Vec<Target> = wanted
        .policies
        .iter()
        .map(|policy| Target {
            id: policy.id,
            name: Some(policy.display_name.clone()),
            kind: "Policy",
            modified: Vec::new(),
        })
        .collect();
    let before = tenant.access.policies();
    tenant.access.set(wanted.policies, wanted.locations, now).map_err(bad)?;
    let actor = administrator(tenant);
    let logged = |name: &'static str, kind: &'static str, target: Target| {
        let activity = Activity { name, category: "Policy", kind };
        tenant.audits.record(activity, &actor, vec![target], now);
    };
    let known = |id: &str| log.iter().any(|target| target.id.to_string() == id);
    for gone in before.iter().filter(|policy| !policy["id"].as_str().is_some_and(known)) {
        let id = gone["id"].as_str().and_then(|id| Uuid::try_parse(id).ok()).unwrap_or_default();
        let name = gone["displayName"].as_str().map(str::to_owned);
        let target = Target { id, name, kind: "Policy", modified: Vec::new() };
        logged("Delete conditional access policy", "Delete", target);
    }
    for target in log {
        let there = before.iter().any(|policy| policy["id"] == json!(target.id));
        match there {
            true => logged("Update conditional access policy", "Update", target),
            false => logged("Add conditional access policy", "Add", target),
        }
    }
    Ok(json!({ "policies": tenant.access.policies(), "locations": tenant.access.locations() }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Administrator {
    tenant: Option<String>,
}

/// `POST /_lab/administrator`: what a tool uses that an administrator of the tenant signed in with.
pub(super) fn administrator_token(shared: &Shared, body: &[u8]) -> Result<Value, Refused> {
    let wanted: Administrator = read(body)?;
    let tenant = shared.tenant(wanted.tenant.as_deref()).map_err(|error| refused(&error))?;
    let token = entra::administrator_token(shared, tenant);
    Ok(json!({ "token": token, "tenant": tenant.id }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Issuer {
    issuer: String,
    kid: String,
    /// PEM.
    certificate: String,
}

/// `POST /_lab/issuers`: makes a key of another issuer of assertions known.
pub(super) fn issuer(shared: &Shared, body: &[u8]) -> Result<Value, Refused> {
    let wanted: Issuer = read(body)?;
    let key = KeyCredential::from_pem(&wanted.certificate).map_err(|error| refused(&error))?;
    shared.issuers.add(wanted.issuer, wanted.kid, key);
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExchangeRoles {
    tenant: Option<String>,
    client_id: Uuid,
    /// Replaces the roles of the application.
    roles: Option<Vec<ScopedRole>>,
    /// Tells what the roles come to in a mailbox, as `Test-ServicePrincipalAuthorization` does:
    /// without what Exchange remembers.
    test: Option<String>,
}

/// `POST /_lab/exchange-roles`: RBAC for Applications.
pub(super) fn exchange_roles(shared: &Shared, body: &[u8]) -> Result<Value, Refused> {
    let wanted: ExchangeRoles = read(body)?;
    let tenant = shared.tenant(wanted.tenant.as_deref()).map_err(|error| refused(&error))?;
    let tested = match &wanted.test {
        None => None,
        Some(name) => Some(tenant.mailbox(name).ok_or_else(|| unknown_mailbox(name, tenant))?),
    };
    for role in wanted.roles.iter().flatten() {
        if permissions_of(&role.role).is_empty() {
            return Err(bad(format!("Exchange has no application role '{}'", role.role)));
        }
        if role.mailboxes.is_some() && role.group.is_some() {
            return Err(bad("a role has one scope: mailboxes or a group".to_owned()));
        }
    }
    let (now, delay) =
        (shared.clock.unix(), i64::from(shared.entra.settings().exchange_roles_delay));
    let mut registry = tenant.registry();
    let principal = registry.principal_mut(wanted.client_id).ok_or_else(|| {
        (StatusCode::NOT_FOUND, format!("no service principal of '{}'", wanted.client_id))
    })?;
    if let Some(roles) = wanted.roles {
        principal.exchange.set(roles, now, delay);
    }
    let roles = principal.exchange.roles.clone();
    drop(registry);
    let result = |role: &ScopedRole, mailbox: &Mailbox| {
        json!({
            "RoleName": role.role,
            "GrantedPermissions": permissions_of(&role.role),
            "AllowedResourceScope": role.group,
            "ScopeType": match (&role.mailboxes, &role.group) {
                (None, None) => "Organization",
                (None, Some(_)) => "Group",
                _ => "CustomRecipientScope",
            },
            "InScope":
                role.reaches(&mailbox.address, |group| tenant.is_in_group(mailbox, group)),
        })
    };
    let tested: Vec<Value> =
        tested.iter().flat_map(|mailbox| roles.iter().map(|role| result(role, mailbox))).collect();
    Ok(json!({ "roles": roles, "test": tested }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cmdlet {
    tenant: Option<String>,
    /// `New-TransportRule`.
    command: String,
    #[serde(default)]
    parameters: std::collections::BTreeMap<String, String>,
    /// Who runs it; the tenant's administrator when absent.
    user: Option<String>,
    /// Where they come from.
    address: Option<IpAddr>,
}

/// `POST /_lab/exchange`: a command of Exchange's administrators.
pub(super) fn exchange(shared: &Shared, body: &[u8]) -> Result<Value, Refused> {
    let wanted: Cmdlet = read(body)?;
    let tenant = shared.tenant(wanted.tenant.as_deref()).map_err(|error| refused(&error))?;
    let command = Command {
        name: wanted.command,
        parameters: wanted.parameters,
        user: wanted.user.unwrap_or_else(|| format!("admin@{}", tenant.domain)),
        address: wanted.address.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
    };
    let organization = (tenant.id, tenant.domain.as_str());
    tenant.exchange_admin.run(&command, organization, shared.clock.unix()).map_err(bad)?;
    let noun = command.name.split_once('-').map_or("", |(_, noun)| noun);
    Ok(json!({ "objects": tenant.exchange_admin.objects(noun) }))
}

#[derive(Deserialize)]
struct Flow {
    tenant: Option<String>,
    #[serde(flatten)]
    settings: FlowSettings,
}

/// `POST /_lab/mail-flow`: what happens to mail that is sent from now on.
pub(super) fn mail_flow(shared: &Shared, body: &[u8]) -> Result<Value, Refused> {
    let wanted: Flow = read(body)?;
    let tenant = shared.tenant(wanted.tenant.as_deref()).map_err(|error| refused(&error))?;
    tenant.mail_flow.set(wanted.settings);
    Ok(json!(tenant.mail_flow.settings()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Person {
    tenant: Option<String>,
    /// Address.
    user: String,
    #[serde(default)]
    error: u32,
}

/// `POST /_lab/signins`: a person signs in, interactively.
pub(super) fn sign_in(shared: &Shared, body: &[u8]) -> Result<Value, Refused> {
    let wanted: Person = read(body)?;
    let tenant = shared.tenant(wanted.tenant.as_deref()).map_err(|error| refused(&error))?;
    let mailbox = tenant.mailbox(&wanted.user);
    let mailbox = mailbox.ok_or_else(|| unknown_mailbox(&wanted.user, tenant))?;
    let id = Uuid::new_v4();
    tenant.sign_ins.record(SignIn {
        id,
        at: shared.clock.now(),
        tenant: tenant.id,
        // Office 365 Exchange Online.
        client_id: "00000002-0000-0ff1-ce00-000000000000".to_owned(),
        application: "Office 365 Exchange Online".to_owned(),
        service_principal_id: None,
        used: None,
        resource: Resource::Graph,
        policies: Vec::new(),
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        user_agent: String::new(),
        correlation: Uuid::new_v4(),
        error: wanted.error,
        failure: (wanted.error != 0).then(|| "The sign-in failed.".to_owned()),
        uti: Some(crate::ids::token_identifier(id)),
        user: Some((mailbox.id, mailbox.address.to_string())),
    });
    Ok(json!({ "id": id }))
}

fn bad(text: String) -> Refused {
    (StatusCode::BAD_REQUEST, text)
}
