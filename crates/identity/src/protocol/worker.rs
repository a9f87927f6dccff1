use mailkeep_model::{Function, TenantName};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::CallerLabel;

/// For whom a worker of another machine may ask.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerLimits {
    /// For these tenants; for all when `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenants: Option<Vec<TenantName>>,
    /// For keys of these functions; for all when `None`. A tenant's secrets belong to no function.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub functions: Option<Vec<Function>>,
}

/// A certificate of a worker of another machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerInfo {
    /// The worker's name: who asked, in the ledger.
    pub name: CallerLabel,
    /// SHA-256 over the certificate, hexadecimal, upper case.
    pub fingerprint: String,
    /// For whom it may ask.
    #[serde(flatten)]
    pub limits: WorkerLimits,
    /// Valid from.
    #[serde(with = "time::serde::rfc3339")]
    pub not_before: OffsetDateTime,
    /// Valid until.
    #[serde(with = "time::serde::rfc3339")]
    pub not_after: OffsetDateTime,
    /// Since when it is good for nothing.
    #[serde(default, with = "time::serde::rfc3339::option")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked: Option<OffsetDateTime>,
}

/// What a worker gets beside its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerCertificate {
    /// The certificate (PEM).
    pub certificate_pem: String,
    /// The signer's own authority (PEM), by which the worker knows the signer.
    pub authority_pem: String,
    /// What the signer has written down of it.
    pub info: WorkerInfo,
}
