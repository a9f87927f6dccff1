//! The directory's audit log: every change of applications, service principals and policies
//! (`directoryAudit`).

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::clock;

/// Older entries are dropped.
const KEPT: usize = 100_000;
/// What Entra calls the change of credentials of an application: with a dash that is no hyphen,
/// and a space at the end.
pub(crate) const CREDENTIALS_OF_APPLICATION: &str =
    "Update application \u{2013} Certificates and secrets management ";

/// Who made a change, and how they came.
#[derive(Clone, Debug)]
pub(crate) struct Actor {
    pub(crate) who: Who,
    pub(crate) address: IpAddr,
    pub(crate) user_agent: String,
    /// The same for all entries of one request.
    pub(crate) correlation: Uuid,
}

#[derive(Clone, Debug)]
pub(crate) enum Who {
    /// Through the administrative interface.
    Administrator {
        user_id: Uuid,
        principal_name: String,
    },
    Application {
        client_id: Uuid,
        service_principal_id: Uuid,
        name: String,
    },
}

/// What was changed.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) id: Uuid,
    pub(crate) name: Option<String>,
    /// `Application`, `ServicePrincipal`, `User` or `Policy`.
    pub(crate) kind: &'static str,
    pub(crate) modified: Vec<Modified>,
}

/// One property, before and after; the values are JSON.
#[derive(Clone, Debug)]
pub(crate) struct Modified {
    pub(crate) name: &'static str,
    pub(crate) old: Option<Value>,
    pub(crate) new: Option<Value>,
}

/// One kind of change: its name, category and operation type.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Activity {
    pub(crate) name: &'static str,
    pub(crate) category: &'static str,
    pub(crate) kind: &'static str,
}

#[derive(Clone, Debug)]
struct Entry {
    id: String,
    at: i64,
    activity: Activity,
    actor: Actor,
    targets: Vec<Target>,
}

/// The changes of one tenant's directory, oldest first.
#[derive(Debug, Default)]
pub(crate) struct AuditLog {
    entries: Mutex<VecDeque<Entry>>,
}

impl AuditLog {
    pub(crate) fn record(&self, activity: Activity, actor: &Actor, targets: Vec<Target>, now: i64) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= KEPT {
            entries.pop_front();
        }
        entries.push_back(Entry {
            id: format!("Directory_{}_{}", actor.correlation, Uuid::new_v4().simple()),
            at: now,
            activity,
            actor: actor.clone(),
            targets,
        });
    }

    /// What happened until then, newest first.
    pub(crate) fn until(&self, time: i64) -> Vec<Value> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.iter().rev().filter(|entry| entry.at <= time).map(Entry::to_json).collect()
    }
}

impl Entry {
    fn to_json(&self) -> Value {
        let Actor { who, address, user_agent, correlation } = &self.actor;
        let initiated_by = match who {
            Who::Administrator { user_id, principal_name } => json!({
                "app": null,
                "user": {
                    "id": user_id,
                    "displayName": null,
                    "userPrincipalName": principal_name,
                    "ipAddress": address.to_string(),
                },
            }),
            Who::Application { client_id, service_principal_id, name } => json!({
                "user": null,
                "app": {
                    // Entra leaves it out when a service principal acts.
                    "appId": null,
                    "displayName": name,
                    "servicePrincipalId": service_principal_id,
                    "servicePrincipalName": client_id,
                },
            }),
        };
        let service = match self.activity.category {
            "Policy" => "Conditional Access",
            _ => "Core Directory",
        };
        json!({
            "id": self.id,
            "category": self.activity.category,
            "correlationId": correlation,
            "result": "success",
            "resultReason": "",
            "activityDisplayName": self.activity.name,
            "activityDateTime": clock::iso(self.at),
            "loggedByService": service,
            "operationType": self.activity.kind,
            "initiatedBy": initiated_by,
            "targetResources": self.targets.iter().map(Target::to_json).collect::<Vec<_>>(),
            "additionalDetails": [{ "key": "User-Agent", "value": user_agent }],
        })
    }
}

impl Target {
    fn to_json(&self) -> Value {
        json!({
            "id": self.id,
            "displayName": self.name,
            "type": self.kind,
            "userPrincipalName": null,
            "groupType": null,
            "modifiedProperties": self.modified.iter().map(Modified::to_json).collect::<Vec<_>>(),
        })
    }
}

impl Modified {
    fn to_json(&self) -> Value {
        let text = |value: &Option<Value>| value.as_ref().map(Value::to_string);
        json!({
            "displayName": self.name,
            "oldValue": text(&self.old),
            "newValue": text(&self.new),
        })
    }
}
