//! The sign-in log: attempts of applications to get a token, with the fields that Graph has in its
//! beta and, fewer, in v1.0.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};
use time::OffsetDateTime;
use uuid::Uuid;

use super::access::Applied;
use super::grants::Resource;
use crate::clock;

/// Older entries are dropped.
const KEPT: usize = 100_000;
/// Application id of Microsoft Graph, the same in every tenant.
pub(crate) const GRAPH_APPLICATION: &str = "00000003-0000-0000-c000-000000000000";

/// What an application proved its identity with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Used {
    Certificate { key_id: Uuid, thumbprint: String },
    Secret { key_id: Uuid },
    Federated { id: Uuid },
}

/// One attempt of an application to get a token, or of a person to sign in.
#[derive(Clone, Debug)]
pub(crate) struct SignIn {
    /// The request id; also the sign-in's id.
    pub(crate) id: Uuid,
    pub(crate) at: OffsetDateTime,
    pub(crate) tenant: Uuid,
    /// As it stood in the request.
    pub(crate) client_id: String,
    pub(crate) application: String,
    pub(crate) service_principal_id: Option<Uuid>,
    pub(crate) used: Option<Used>,
    pub(crate) resource: Resource,
    pub(crate) policies: Vec<Applied>,
    pub(crate) address: IpAddr,
    pub(crate) user_agent: String,
    pub(crate) correlation: Uuid,
    /// 0 for success.
    pub(crate) error: u32,
    pub(crate) failure: Option<String>,
    /// Identifier of the token that was given out.
    pub(crate) uti: Option<String>,
    /// Id and user principal name of the person, if it was one.
    pub(crate) user: Option<(Uuid, String)>,
}

impl SignIn {
    pub(crate) fn created(&self) -> i64 {
        self.at.unix_timestamp()
    }

    /// Its only element in `signInEventTypes`.
    pub(crate) fn event_type(&self) -> &'static str {
        if self.user.is_some() { "interactiveUser" } else { "servicePrincipal" }
    }

    /// As the beta has it.
    pub(crate) fn to_json(&self) -> Value {
        let (key, thumbprint, federated, kind) = match &self.used {
            None => (None, None, None, "none"),
            Some(Used::Certificate { key_id, thumbprint }) => {
                (Some(key_id), Some(thumbprint), None, "clientAssertion")
            }
            Some(Used::Secret { key_id }) => (Some(key_id), None, None, "clientSecret"),
            Some(Used::Federated { id }) => (None, None, Some(id), "federatedIdentityCredential"),
        };
        let principal = self.service_principal_id.map(|id| id.to_string()).unwrap_or_default();
        let user = self.user.as_ref();
        let (resource, resource_name) = match self.resource {
            Resource::Graph => (GRAPH_APPLICATION, "Microsoft Graph"),
            Resource::ActivityFeed => {
                ("c5393580-f805-4401-95e8-94b7a6ef2fc2", "Office 365 Management APIs")
            }
        };
        let mut entry = json!({
            "id": self.id,
            "createdDateTime": clock::iso(self.created()),
            "signInEventTypes": [self.event_type()],
            "isInteractive": user.is_some(),
            "appId": self.client_id,
            "appDisplayName": self.application,
            "servicePrincipalId": principal,
            "servicePrincipalName": self.application,
            "servicePrincipalCredentialKeyId": key,
            "servicePrincipalCredentialThumbprint": thumbprint,
            "federatedCredentialId": federated,
            "clientCredentialType": kind,
            "uniqueTokenIdentifier": self.uti,
            "ipAddress": self.address.to_string(),
            "userAgent": self.user_agent,
            "correlationId": self.correlation,
            "originalRequestId": self.id,
            "userId": user.map(|(id, _)| id.to_string()).unwrap_or_default(),
            "userDisplayName": user.map(|(_, name)| name),
            "userPrincipalName": user.map(|(_, name)| name),
            "homeTenantId": self.tenant,
            "resourceTenantId": self.tenant,
            "resourceId": resource,
            "resourceDisplayName": resource_name,
            "resourceServicePrincipalId":
                crate::ids::derived(&[&self.tenant.to_string(), resource]),
            "conditionalAccessStatus": self.access_status(),
            "appliedConditionalAccessPolicies":
                self.policies.iter().map(Applied::to_json).collect::<Vec<_>>(),
            "status": {
                "errorCode": self.error,
                "failureReason": self.failure,
                "additionalDetails": null,
            },
        });
        if let (Value::Object(entry), Value::Object(rest)) = (&mut entry, always_the_same()) {
            entry.extend(rest);
        }
        entry
    }

    /// As v1.0 has it: without what tells a credential or a token from others.
    pub(crate) fn to_json_v1(&self) -> Value {
        let mut entry = self.to_json();
        if let Value::Object(entry) = &mut entry {
            entry.retain(|name, _| IN_V1.contains(&name.as_str()));
            entry.insert("riskEventTypes".to_owned(), json!([]));
        }
        entry
    }

    fn access_status(&self) -> &'static str {
        match self.policies.iter().any(|applied| applied.result == "failure") {
            true => "failure",
            false => "notApplied",
        }
    }
}

/// Object id of Microsoft Graph's service principal in a tenant.
pub(crate) fn graph_principal(tenant: Uuid) -> Uuid {
    crate::ids::derived(&[&tenant.to_string(), GRAPH_APPLICATION])
}

/// Properties of `signIn` in v1.0.
const IN_V1: &[&str] = &[
    "id",
    "createdDateTime",
    "appId",
    "appDisplayName",
    "appliedConditionalAccessPolicies",
    "clientAppUsed",
    "conditionalAccessStatus",
    "correlationId",
    "ipAddress",
    "isInteractive",
    "resourceDisplayName",
    "resourceId",
    "riskDetail",
    "riskEventTypes_v2",
    "riskLevelAggregated",
    "riskLevelDuringSignIn",
    "riskState",
    "servicePrincipalId",
    "servicePrincipalName",
    "status",
    "userDisplayName",
    "userId",
    "userPrincipalName",
];

/// What every sign-in has in the lab.
fn always_the_same() -> Value {
    json!({
        "tokenIssuerType": "AzureAD",
        "tokenIssuerName": "",
        "incomingTokenType": "none",
        "clientAppUsed": "",
        "crossTenantAccessType": "none",
        "flaggedForReview": false,
        "riskDetail": "none",
        "riskLevelAggregated": "none",
        "riskLevelDuringSignIn": "none",
        "riskState": "none",
        "riskEventTypes_v2": [],
        "processingTimeInMilliseconds": 10,
    })
}

/// The sign-ins of one tenant, oldest first.
#[derive(Debug, Default)]
pub(crate) struct SignInLog {
    entries: Mutex<Vec<SignIn>>,
}

impl SignInLog {
    pub(crate) fn record(&self, sign_in: SignIn) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= KEPT {
            entries.drain(..KEPT / 10);
        }
        entries.push(sign_in);
    }

    pub(crate) fn entries(&self) -> Vec<SignIn> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn find(&self, id: Uuid) -> Option<SignIn> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.iter().find(|entry| entry.id == id).cloned()
    }
}
