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
