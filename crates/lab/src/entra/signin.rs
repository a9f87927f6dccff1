//! The sign-in log of service principals, with the fields that Graph beta has.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::clock;

/// Older entries are dropped.
const KEPT: usize = 100_000;
/// Application id of Microsoft Graph, the same in every tenant.
pub(crate) const GRAPH_APPLICATION: &str = "00000003-0000-0000-c000-000000000000";

/// One attempt of an application to get a token.
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
    pub(crate) key_id: Option<Uuid>,
    pub(crate) thumbprint: Option<String>,
    pub(crate) address: IpAddr,
    pub(crate) user_agent: String,
    pub(crate) correlation: Uuid,
    /// 0 for success.
    pub(crate) error: u32,
    pub(crate) failure: Option<String>,
    /// Identifier of the token that was given out.
    pub(crate) uti: Option<String>,
}

impl SignIn {
    pub(crate) fn created(&self) -> i64 {
        self.at.unix_timestamp()
    }

    pub(crate) fn to_json(&self) -> Value {
        let mut entry = json!({
            "id": self.id,
            "createdDateTime": clock::iso(self.created()),
            "appId": self.client_id,
            "appDisplayName": self.application,
            "servicePrincipalId": self.service_principal_id.map(|id| id.to_string()).unwrap_or_default(),
            "servicePrincipalName": self.application,
            "servicePrincipalCredentialKeyId": self.key_id,
            "servicePrincipalCredentialThumbprint": self.thumbprint,
            "clientCredentialType": if self.key_id.is_some() { "clientAssertion" } else { "none" },
            "uniqueTokenIdentifier": self.uti,
            "ipAddress": self.address.to_string(),
            "userAgent": self.user_agent,
            "correlationId": self.correlation,
            "originalRequestId": self.id,
            "homeTenantId": self.tenant,
            "resourceTenantId": self.tenant,
            "resourceServicePrincipalId":
                crate::ids::derived(&[&self.tenant.to_string(), GRAPH_APPLICATION]),
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
}

/// What every sign-in of an application has in the lab.
fn always_the_same() -> Value {
    json!({
        "signInEventTypes": ["servicePrincipal"],
        "isInteractive": false,
        "resourceId": GRAPH_APPLICATION,
        "resourceDisplayName": "Microsoft Graph",
        "conditionalAccessStatus": "notApplied",
        "appliedConditionalAccessPolicies": [],
        "tokenIssuerType": "AzureAD",
        "tokenIssuerName": "",
        "incomingTokenType": "none",
        "userId": "",
        "userDisplayName": null,
        "userPrincipalName": null,
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
}
