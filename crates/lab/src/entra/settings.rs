//! What `/_lab/entra` shows and sets: delays of the directory and its logs, and licences.

use std::sync::{PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::options::AssertionAlgorithms;

/// Longest delay, in seconds: thirty days.
const LONGEST: u32 = 30 * 86_400;

/// Settings of all tenants. Seconds, unless a name says otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// Client assertions must be signed with PS256.
    pub(crate) ps256_only: bool,
    /// Until the token endpoint knows a key that was added; Entra: minutes.
    pub(crate) key_delay: u32,
    /// Until Exchange knows a change of its application roles; Exchange Online: 30 minutes to 2 hours.
    pub(crate) exchange_roles_delay: u32,
    pub(crate) sign_ins: LogSettings,
    pub(crate) directory_audits: LogSettings,
    pub(crate) mail_items_accessed: MailItemsSettings,
    pub(crate) graph_activity: LogSettings,
    /// The log of what Exchange's administrators do; its licence is that of reads of mail.
    pub(crate) exchange_admin: ExchangeAdminSettings,
    pub(crate) configuration: ConfigurationSettings,
    /// How long a query of the audit log runs.
    pub(crate) audit_query: u32,
}

/// One log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogSettings {
    /// Whether the tenant has the licence for it. What happened without one is not logged later.
    pub(crate) licensed: bool,
    /// Until an entry can be read.
    pub(crate) delay: u32,
}

/// The log of what Exchange's administrators do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExchangeAdminSettings {
    pub(crate) delay: u32,
}

/// Snapshots of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConfigurationSettings {
    /// How long one takes.
    pub(crate) delay: u32,
    /// Whether the service's own principal was granted what it needs to look.
    pub(crate) granted: bool,
}

/// The log of accesses to mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MailItemsSettings {
    pub(crate) licensed: bool,
    pub(crate) delay: u32,
    /// Whether every message on a page of a list or delta counts as accessed. Not documented.
    pub(crate) lists: bool,
    /// Records of a mailbox in 24 hours; with the next one it falls silent. Exchange Online: 1000.
    pub(crate) most_records: u32,
}

impl Default for Settings {
    fn default() -> Self {
        let log = LogSettings { licensed: true, delay: 0 };
        Self {
            ps256_only: false,
            key_delay: 0,
            exchange_roles_delay: 0,
            sign_ins: log,
            directory_audits: log,
            mail_items_accessed: MailItemsSettings {
                licensed: true,
                delay: 0,
                lists: true,
                most_records: 1000,
            },
            graph_activity: log,
            exchange_admin: ExchangeAdminSettings::default(),
            configuration: ConfigurationSettings { delay: 0, granted: true },
            audit_query: 0,
        }
    }
}

/// The settings of a running lab.
#[derive(Debug)]
pub(crate) struct Entra {
    settings: RwLock<Settings>,
}

impl Entra {
    pub(crate) fn new(assertions: AssertionAlgorithms, sign_in_delay: std::time::Duration) -> Self {
        let mut settings = Settings {
            ps256_only: assertions == AssertionAlgorithms::Ps256Only,
            ..Settings::default()
        };
        settings.sign_ins.delay = u32::try_from(sign_in_delay.as_secs()).unwrap_or(LONGEST);
        Self { settings: RwLock::new(settings) }
    }

    pub(crate) fn settings(&self) -> Settings {
        self.settings.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes what is named and leaves the rest.
    pub(crate) fn change(&self, change: &Value) -> Result<Settings, String> {
        let mut settings = self.settings.write().unwrap_or_else(PoisonError::into_inner);
        let mut value = serde_json::to_value(&*settings).map_err(|error| error.to_string())?;
        merge(&mut value, change);
        let changed: Settings = serde_json::from_value(value).map_err(|error| error.to_string())?;
        let delays = [
            changed.key_delay,
            changed.exchange_roles_delay,
            changed.audit_query,
            changed.sign_ins.delay,
            changed.directory_audits.delay,
            changed.mail_items_accessed.delay,
            changed.graph_activity.delay,
        ];
        if delays.iter().any(|delay| *delay > LONGEST) {
            return Err(format!("a delay may be {LONGEST} seconds at most"));
        }
        settings.clone_from(&changed);
        Ok(changed)
    }
}

fn merge(there: &mut Value, change: &Value) {
    match (there, change) {
        (Value::Object(there), Value::Object(change)) => {
            for (name, value) in change {
                merge(there.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (there, change) => *there = change.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_change_names_what_it_changes_and_a_slip_of_the_pen_is_refused() {
        let entra = Entra::new(AssertionAlgorithms::Ps256Only, std::time::Duration::from_secs(7));
        let changed = entra.change(&json!({ "sign_ins": { "licensed": false } })).unwrap();
        assert!(changed.ps256_only && !changed.sign_ins.licensed);
        assert_eq!(changed.sign_ins.delay, 7);
        for bad in [
            json!({ "sign_in": {} }),
            json!({ "key_delay": -1 }),
            json!({ "key_delay": 90_000_000 }),
            json!({ "graph_activity": null }),
            json!([]),
        ] {
            assert!(entra.change(&bad).is_err(), "{bad}");
        }
        assert_eq!(entra.settings(), changed);
    }
}
