//! The log of Graph requests, as Azure exports it (`MicrosoftGraphActivityLogs`).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::clock;
use crate::entra::Grant;

/// Older entries are dropped; a first backup of a large mailbox fits.
const KEPT: usize = 200_000;

#[derive(Debug)]
pub(crate) struct Activity {
    pub(crate) grant: Arc<Grant>,
    pub(crate) request_id: Uuid,
    pub(crate) client_request_id: Option<Box<str>>,
    pub(crate) method: axum::http::Method,
    /// Path and query.
    pub(crate) uri: Box<str>,
    pub(crate) operation: &'static str,
    pub(crate) status: u16,
    pub(crate) bytes: u64,
    pub(crate) at: i64,
    pub(crate) address: std::net::IpAddr,
}

#[derive(Debug, Default)]
pub(crate) struct ActivityLog {
    entries: Mutex<VecDeque<Activity>>,
}

impl ActivityLog {
    pub(crate) fn record(&self, activity: Activity) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= KEPT {
            entries.pop_front();
        }
        entries.push_back(activity);
    }

    /// The newest `limit` entries of a tenant, oldest first.
    pub(crate) fn entries(&self, tenant: Option<Uuid>, limit: usize) -> Vec<Value> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found: Vec<Value> = entries
            .iter()
            .rev()
            .filter(|entry| tenant.is_none_or(|tenant| entry.grant.tenant.id == tenant))
            .take(limit)
            .map(Activity::to_json)
            .collect();
        found.reverse();
        found
    }
}

impl Activity {
    fn to_json(&self) -> Value {
        json!({
            "timeGenerated": clock::iso(self.at),
            "tenantId": self.grant.tenant.id,
            "requestId": self.request_id,
            "operationId": self.request_id,
            "clientRequestId": self.client_request_id,
            "requestMethod": self.method.as_str(),
            "requestUri": self.uri,
            "operation": self.operation,
            "responseStatusCode": self.status,
            "responseSizeBytes": self.bytes,
            "appId": self.grant.client_id,
            "servicePrincipalId": self.grant.service_principal_id,
            "signInActivityId": self.grant.uti,
            "tokenIssuedAt": clock::iso(self.grant.issued),
            "roles": self.grant.roles.iter().cloned().collect::<Vec<_>>().join(" "),
            "ipAddress": self.address.to_string(),
        })
    }
}
