use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use mailkeep_model::TenantName;

use super::ClamAddress;

/// Where what inspection is given comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtectOptions {
    /// The files of all tenants that have none of their own.
    pub files: TenantFiles,
    /// Those of single tenants.
    pub tenants: BTreeMap<TenantName, TenantFiles>,
    /// Lists of bad addresses, hosts and hashes; a directory is all files in it.
    pub feeds: Vec<PathBuf>,
    /// A directory of `.yar` files, or one such file.
    pub rules: Option<PathBuf>,
    /// Where ClamAV listens.
    pub clamav: Option<ClamAddress>,
    /// How long ClamAV may take for one message, and rules likewise.
    pub scan_time: Duration,
    /// Mail that arrived longer ago is never acted on, whatever the policy says.
    pub act_within: Duration,
}

/// Files of one tenant, or of all that have none of their own. What is `None` or empty comes from
/// those of all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TenantFiles {
    /// The policy (TOML).
    pub policy: Option<PathBuf>,
    /// Dictionaries: `.toml`, or a phrase a line; a directory is all files in it.
    pub dictionaries: Vec<PathBuf>,
    /// Lists of hashed values; a directory is all files in it.
    pub lists: Vec<PathBuf>,
    /// The key that their values were hashed with.
    pub list_key: Option<PathBuf>,
}

impl Default for ProtectOptions {
    fn default() -> Self {
        Self {
            files: TenantFiles::default(),
            tenants: BTreeMap::new(),
            feeds: Vec::new(),
            rules: None,
            clamav: None,
            // What an attachment of the largest size takes, several times over.
            scan_time: Duration::from_secs(10),
            // A weekend, and the Monday on which somebody mends what stood still.
            act_within: Duration::from_secs(72 * 60 * 60),
        }
    }
}

impl ProtectOptions {
    /// The files of a tenant: its own, and where it has none those of all.
    pub(super) fn of(&self, tenant: Option<&TenantName>) -> TenantFiles {
        let Some(own) = tenant.and_then(|tenant| self.tenants.get(tenant)) else {
            return self.files.clone();
        };
        let or = |own: &Vec<PathBuf>, of_all: &Vec<PathBuf>| {
            if own.is_empty() { of_all.clone() } else { own.clone() }
        };
        TenantFiles {
            policy: own.policy.clone().or_else(|| self.files.policy.clone()),
            dictionaries: or(&own.dictionaries, &self.files.dictionaries),
            lists: or(&own.lists, &self.files.lists),
            list_key: own.list_key.clone().or_else(|| self.files.list_key.clone()),
        }
    }
}
