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
    /// `v1.0` or `beta`.
    pub(crate) version: &'static str,
    pub(crate) user_agent: Box<str>,
    pub(crate) milliseconds: u64,
    pub(crate) operation: &'static str,
    pub(crate) status: u16,
    pub(crate) bytes: u64,
    pub(crate) at: i64,
    pub(crate) address: std::net::IpAddr,
}

/// How entries are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// With the lab's names of operations.
    Lab,
    /// As a diagnostic setting of Azure Monitor writes them into files.
    Export,
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

    /// The newest `limit` entries of a tenant until a time, oldest first.
    pub(crate) fn entries(
        &self,
        tenant: Option<Uuid>,
        limit: usize,
        until: i64,
        form: Form,
    ) -> Vec<Value> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found: Vec<Value> = entries
            .iter()
            .rev()
            .filter(|entry| tenant.is_none_or(|tenant| entry.grant.tenant.id == tenant))
            .filter(|entry| entry.at <= until)
            .take(limit)
            .map(|entry| match form {
                Form::Lab => entry.to_json(),
                Form::Export => entry.to_export(),
            })
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

    /// A line of `insights-logs-microsoftgraphactivitylogs`.
    fn to_export(&self) -> Value {
        let (at, tenant) = (clock::iso(self.at), self.grant.tenant.id);
        let roles: Vec<String> = self.grant.roles.iter().cloned().collect();
        json!({
            "time": at,
            "resourceId": format!("/TENANTS/{tenant}/PROVIDERS/MICROSOFT.AADIAM").to_uppercase(),
            "operationName": "Microsoft Graph Activity",
            "operationVersion": self.version,
            "category": "MicrosoftGraphActivityLogs",
            "resultSignature": self.status.to_string(),
            "durationMs": self.milliseconds.to_string(),
            "callerIpAddress": self.address.to_string(),
            "correlationId": self.request_id,
            "level": "Informational",
            "tenantId": tenant,
            "properties": {
                "timeGenerated": at,
                "requestId": self.request_id,
                "operationId": self.request_id,
                "clientRequestId": self.client_request_id,
                "apiVersion": self.version,
                "requestMethod": self.method.as_str(),
                "requestUri": self.uri,
                "responseStatusCode": self.status,
                "responseSizeBytes": self.bytes,
                "durationMs": self.milliseconds,
                "tenantId": tenant,
                "ipAddress": self.address.to_string(),
                "userAgent": self.user_agent,
                "appId": self.grant.client_id,
                "servicePrincipalId": self.grant.service_principal_id,
                "userId": null,
                "signInActivityId": self.grant.uti,
                "tokenIssuedAt": clock::iso(self.grant.issued),
                "roles": roles.join(" "),
                "scopes": null,
                // 1 is a secret, 2 a certificate or an assertion.
                "clientAuthMethod": if self.grant.by_secret { 1 } else { 2 },
                "identityProvider": null,
            },
        })
    }
}
