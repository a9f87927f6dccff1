//! An application's registration as the provider has it: input for the posture check and for the
//! rotation of keys.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// An application and its service principal
/// (<https://learn.microsoft.com/graph/api/resources/application>,
/// <https://learn.microsoft.com/graph/api/resources/serviceprincipal>).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// The client id, lower case.
    pub client_id: String,
    /// The application itself.
    pub application: RegisteredObject,
    /// Its service principal, which is what signs in; `None` when it is gone.
    pub principal: Option<RegisteredObject>,
    /// Whether the service principal may sign in (`accountEnabled`).
    pub enabled: bool,
    /// The permissions that it was granted, by name (`Mail.Read`); those of resources and roles that
    /// have no name here are given as `resource/role id`.
    pub granted: Vec<String>,
    /// Other issuers whose assertions the application takes.
    pub federated: Vec<FederatedCredential>,
}

/// What an application and a service principal have in common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisteredObject {
    /// Object id, lower case.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Certificates that are accepted.
    pub keys: Vec<RegisteredKey>,
    /// Passwords that are accepted.
    pub passwords: Vec<RegisteredPassword>,
    /// Object ids of those who may change it, lower case.
    pub owners: Vec<String>,
}

/// A certificate on an application or service principal (`keyCredential`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisteredKey {
    /// The provider's id (`keyId`), lower case.
    pub key_id: String,
    /// SHA-256 over the certificate, 64 hexadecimal digits, upper case; `None` where the provider
    /// gives the certificate out no more.
    pub thumbprint: Option<String>,
    /// `customKeyIdentifier`, as hexadecimal digits in upper case: SHA-1 over the certificate unless
    /// somebody chose otherwise.
    pub identifier: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Accepted from.
    pub start: Option<OffsetDateTime>,
    /// Accepted until.
    pub end: Option<OffsetDateTime>,
}

/// A password on an application or service principal (`passwordCredential`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisteredPassword {
    /// The provider's id (`keyId`), lower case.
    pub key_id: String,
    /// Its name.
    pub name: Option<String>,
    /// Accepted until.
    pub end: Option<OffsetDateTime>,
}

/// Another issuer whose assertions an application takes (`federatedIdentityCredential`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FederatedCredential {
    /// The provider's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Who issues the assertions.
    pub issuer: String,
    /// For whom.
    pub subject: String,
}

/// What a tenant's Conditional Access says of service principals
/// (<https://learn.microsoft.com/entra/identity/conditional-access/workload-identity>).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessRules {
    /// The policies that are about service principals; those about people are left out.
    pub policies: Vec<AccessPolicy>,
    /// The places that policies name.
    pub locations: Vec<NamedLocation>,
}

/// A policy about service principals (`conditionalAccessPolicy`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessPolicy {
    /// The provider's id, lower case.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Whether it does something.
    pub state: PolicyState,
    /// Whom it is about: object ids of service principals, lower case, or
    /// [`AccessPolicy::ALL_PRINCIPALS`].
    pub principals: Vec<String>,
    /// Whom it is not about all the same.
    pub principals_excluded: Vec<String>,
    /// Where it holds: ids of locations, lower case, [`AccessPolicy::EVERYWHERE`] or
    /// [`AccessPolicy::TRUSTED`].
    pub locations: Vec<String>,
    /// Where it does not hold all the same.
    pub locations_excluded: Vec<String>,
    /// Whether it refuses tokens; there is nothing else that it could do to a service principal.
    pub blocks: bool,
    /// The names of other conditions under which alone it holds (`servicePrincipalRiskLevels`): some
    /// applications, a filter, a risk.
    pub narrowed_by: Vec<String>,
}

impl AccessPolicy {
    /// Stands for all service principals of the tenant.
    pub const ALL_PRINCIPALS: &str = "ServicePrincipalsInMyTenant";
    /// Stands for every address.
    pub const EVERYWHERE: &str = "All";
    /// Stands for all locations that are trusted.
    pub const TRUSTED: &str = "AllTrusted";
}

/// Whether a policy does something (`state`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PolicyState {
    /// It does.
    Enabled,
    /// It only writes into the sign-in log what it would do.
    ReportOnly,
    /// It does not.
    Disabled,
    /// A state that nobody knew when this was written.
    Unknown,
}

/// A place that policies name (`namedLocation`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedLocation {
    /// The provider's id, lower case.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Whether it counts as trusted.
    pub trusted: bool,
    /// Ranges of addresses (`203.0.113.0/24`); none where the place is a country.
    pub ranges: Vec<String>,
    /// Countries (`DE`), and whatever else a place consists of that is no range of addresses.
    pub countries: Vec<String>,
}
