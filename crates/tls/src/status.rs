use std::path::Path;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::TlsError;

/// What serves at a listener, for `doctor`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateStatus {
    /// Where certificates come from.
    pub source: String,
    /// What serves; `None` before the first one came.
    pub serving: Option<ServingCertificate>,
    /// What stood in the way the last time, since the last success.
    pub trouble: Option<Trouble>,
}

/// A certificate that serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServingCertificate {
    /// The names that it is for.
    pub names: Vec<String>,
    /// Who issued it, as it says itself.
    pub issuer: String,
    /// SHA-256 over it, hexadecimal, upper case.
    pub fingerprint: String,
    /// Valid from.
    #[serde(with = "time::serde::rfc3339")]
    pub not_before: OffsetDateTime,
    /// Valid until.
    #[serde(with = "time::serde::rfc3339")]
    pub not_after: OffsetDateTime,
}

/// What stood in the way of another certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// Since when.
    #[serde(with = "time::serde::rfc3339")]
    pub since: OffsetDateTime,
    /// What.
    pub what: String,
}

impl ServingCertificate {
    /// When two thirds of its life have passed.
    pub fn renew_at(&self) -> OffsetDateTime {
        self.not_before + (self.not_after - self.not_before) * 2 / 3
    }
}

impl CertificateStatus {
    /// What a listener of another process wrote; `None` when it never ran.
    ///
    /// # Errors
    /// [`TlsError::File`] and [`TlsError::Content`].
    pub fn read(path: &Path) -> Result<Option<Self>, TlsError> {
        let Some(text) = crate::private::read(path)? else { return Ok(None) };
        let read = serde_json::from_slice(&text);
        read.map(Some).map_err(|error| TlsError::Content {
            path: path.to_owned(),
            what: format!("not a status ({error})"),
        })
    }
}
