//! Setting up a tenant: what its administrator runs, and what he needs when everything else fails.
//!
//! # Vocabulary
//!
//! - A tenant is *asked for* functions, each of which is an application of its own in its directory;
//!   [`Asked`] is kept, so that the same can be printed again and be checked.
//! - A function that reaches mailboxes can be *confined* to some: then Exchange grants its rights
//!   (RBAC for Applications), and Entra ID none of them.
//! - A [`Bundle`] is what is printed: manifests, scripts, a policy, and what to do with them.
//!   [Decision 0015](../../../docs/decisions/0015-setting-up.md).

mod bundle;
mod exchange_roles;
mod manifest;
mod quote;
mod readme;
mod scripts;

use std::collections::BTreeSet;

use ipnet::IpNet;
use mailkeep_identity::CertificateInfo;
use mailkeep_model::{Address, Function, TenantName};
use serde::{Deserialize, Serialize};
use serde_json::json;

pub use bundle::{Bundle, BundleFile};

use crate::{Needs, Right, Service, ServiceError, rights};

/// What a tenant was asked to be set up for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// The functions that the tenant is to have.
    #[serde(default)]
    pub functions: BTreeSet<Function>,
    /// The group whose direct members' mailboxes the reader, responder and restorer reach, by name or
    /// address; `None`: all mailboxes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confined_to: Option<String>,
    /// The mailboxes that the prober sends from.
    #[serde(default)]
    pub send_from: BTreeSet<Address>,
    /// Whether the auditor has snapshots of Exchange's configuration taken.
    #[serde(default)]
    pub exchange_configuration: bool,
}

/// Longest name of a group, in characters (Exchange: 256 for an address, 64 for a name).
const LONGEST_GROUP: usize = 256;

/// The mailboxes that an application may reach, when it is not all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Direct members of a group.
    Group(String),
    /// These.
    Mailboxes(Vec<Address>),
}

impl Asked {
    /// How a function is confined.
    pub(crate) fn scope(&self, function: Function) -> Option<Scope> {
        match function {
            Function::Reader | Function::Responder | Function::Restorer => {
                self.confined_to.clone().map(Scope::Group)
            }
            Function::Prober if !self.send_from.is_empty() => {
                Some(Scope::Mailboxes(self.send_from.iter().cloned().collect()))
            }
            _ => None,
        }
    }
}

/// The name of a function's application.
pub(crate) fn application_name(function: Function) -> String {
    format!("Mailkeep {function}")
}

/// Whether the application has a certificate all the time: the others get one for as long as they are
/// needed.
pub(crate) fn has_standing_key(function: Function) -> bool {
    !matches!(function, Function::Restorer | Function::Steward)
}

/// A tenant as it is to be set up.
pub(crate) struct Plan {
    pub(crate) tenant: TenantName,
    /// Its directory id or a domain of it.
    pub(crate) directory: String,
    /// Graph's base address.
    pub(crate) graph: String,
    pub(crate) applications: Vec<PlannedApplication>,
    /// The addresses that our requests come from.
    pub(crate) egress: Vec<IpNet>,
}

/// One application of it.
pub(crate) struct PlannedApplication {
    pub(crate) function: Function,
    pub(crate) name: String,
    /// Where it is registered already.
    pub(crate) client_id: Option<String>,
    pub(crate) certificate: Option<CertificateInfo>,
    pub(crate) scope: Option<Scope>,
    rights: Vec<Right>,
}

impl PlannedApplication {
    /// What Exchange grants, in the scope.
    pub(crate) fn confined(&self) -> impl Iterator<Item = &Right> {
        let is_confined = self.scope.is_some();
        self.rights.iter().filter(move |right| is_confined && right.exchange_role.is_some())
    }

    /// What Entra ID grants, in the whole tenant.
    pub(crate) fn granted(&self) -> impl Iterator<Item = &Right> {
        let is_confined = self.scope.is_some();
        self.rights.iter().filter(move |right| !is_confined || right.exchange_role.is_none())
    }
}

impl Service {
    /// What a tenant was asked to be set up for: at least the functions that it has.
    ///
    /// # Errors
    /// [`ServiceError::NoTenant`].
    pub async fn asked(&self, name: &TenantName) -> Result<Asked, ServiceError> {
        let tenant = self.tenant(name).await?;
        let stored = self.control.setup(name).await?;
        let unreadable = |error: serde_json::Error| {
            mailkeep_control::ControlError::Corrupt(format!("what {name} was set up for: {error}"))
        };
        let stored: Option<Asked> =
            stored.map(serde_json::from_value).transpose().map_err(unreadable)?;
        let mut asked = stored.unwrap_or_default();
        asked.functions.extend(tenant.functions.iter().map(|one| one.function));
        Ok(asked)
    }

    /// Asks for it. The keys of the functions are made when they are not there.
    ///
    /// # Errors
    /// [`ServiceError::NoTenant`]; [`ServiceError::Refused`] when a prober has no mailbox to send from, or
    /// the group's name is none.
    pub async fn ask_for(&self, name: &TenantName, asked: &Asked) -> Result<(), ServiceError> {
        let refused = |reason: String| ServiceError::Refused { tenant: name.clone(), reason };
        self.tenant(name).await?;
        if asked.functions.contains(&Function::Prober) && asked.send_from.is_empty() {
            return Err(refused(
                "a prober could send in everybody's name: say which mailboxes it sends from (--send-from)".into(),
            ));
        }
        if let Some(group) = &asked.confined_to
            && (group.trim().is_empty()
                || group.chars().count() > LONGEST_GROUP
                || group.chars().any(char::is_control))
        {
            return Err(refused("that is no name of a group (--confine-to)".into()));
        }
        for function in asked.functions.iter().filter(|one| has_standing_key(**one)) {
            self.certificate(name, *function).await?;
        }
        let value = serde_json::to_value(asked).expect("names and addresses serialise");
        self.control.set_setup(name, value.clone()).await?;
        self.audit(name, "tenant.setup", json!({ "asked": value })).await
    }

    /// What the tenant's administrator runs to set up some functions, or all that were asked for when
    /// none is named.
    ///
    /// # Errors
    /// [`ServiceError::NoTenant`], and when the signer does not answer.
    pub async fn setup(
        &self,
        name: &TenantName,
        functions: &[Function],
    ) -> Result<Bundle, ServiceError> {
        let asked = self.asked(name).await?;
        let functions: BTreeSet<Function> = match functions {
            [] if asked.functions.is_empty() => [Function::Reader].into(),
            [] => asked.functions.clone(),
            some => some.iter().copied().collect(),
        };
        let tenant = self.tenant(name).await?;
        let needs = self.needs(name).await?;
        let mut applications = Vec::new();
        for function in functions {
            let certificate = match has_standing_key(function) {
                true => self.known_certificate(name, function).await?,
                false => None,
            };
            let known = tenant.functions.iter().find(|one| one.function == function);
            applications.push(PlannedApplication {
                function,
                name: application_name(function),
                client_id: known.map(|one| one.client_id.clone()),
                certificate,
                scope: asked.scope(function),
                rights: rights(function, needs),
            });
        }
        let plan = Plan {
            tenant: name.clone(),
            directory: tenant.directory_id,
            graph: tenant.graph,
            applications,
            egress: self.watch(name).await?.egress,
        };
        Ok(bundle::of(&plan))
    }

    /// What a tenant's functions need, as it is backed up.
    pub(crate) async fn needs(&self, name: &TenantName) -> Result<Needs, ServiceError> {
        let groups = !self.control.selection(name).await?.groups.is_empty();
        let exchange_configuration = self.asked(name).await?.exchange_configuration;
        Ok(Needs { extras: self.extras, groups, exchange_configuration })
    }
}
