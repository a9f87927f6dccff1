//! A list of tenants, as whoever looks after thousands has them.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{Function, TenantName};

/// No line of a list is longer.
const MAX_LINE: usize = 64 * 1024;

/// A line of a list of tenants.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListedTenant {
    /// The operator's name for it.
    pub tenant: TenantName,
    /// The directory: its id or one of its domains.
    pub directory: String,
    /// Base address of Entra ID, when it is not Microsoft's public one.
    #[serde(default)]
    pub authority: Option<String>,
    /// Base address of Graph with its version, when it is not Microsoft's public one.
    #[serde(default)]
    pub graph: Option<String>,
    /// Functions that get a key, when they have none.
    #[serde(default)]
    pub keys: Vec<Function>,
    /// Whether these get a key for the next time as well.
    #[serde(default)]
    pub spare: bool,
    /// The applications that were registered.
    #[serde(default)]
    pub applications: BTreeMap<Function, ListedApplication>,
}

/// An application that was registered for a function.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListedApplication {
    /// Its client id.
    pub client_id: String,
    /// Its object id. Known, the auditor need not look it up before keys are changed.
    #[serde(default)]
    pub object_id: Option<String>,
    /// The provider's id of the certificate that was registered (`keyId`). Known, the auditor need not look
    /// it up before the certificate is removed.
    #[serde(default)]
    pub key_id: Option<String>,
}

/// Reads a line of a list of tenants.
///
/// # Errors
/// Why it is none.
pub fn parse_listed_tenant(line: &[u8]) -> Result<ListedTenant, String> {
    if line.len() > MAX_LINE {
        return Err(format!("it is longer than {MAX_LINE} bytes"));
    }
    serde_json::from_slice(line).map_err(|error| error.to_string())
}
