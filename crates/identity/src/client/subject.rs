use std::{io, time::Duration};

use mailkeep_model::{Function, TenantName};

use crate::{
    IdentityError, KeyUse, SecretName,
    protocol::{Failure, FrameError, Response, VERSION},
};

/// What a request was about, for its errors.
pub(super) enum Subject {
    Key(KeyUse),
    Secret(TenantName, SecretName),
    OwnSecret(SecretName),
    General(&'static str),
}

impl Subject {
    pub(super) fn key(tenant: &TenantName, function: Function) -> Self {
        Self::Key(KeyUse { tenant: tenant.clone(), function })
    }

    pub(super) fn secret(tenant: &TenantName, name: &SecretName) -> Self {
        Self::Secret(tenant.clone(), name.clone())
    }

    pub(super) fn general(what: &'static str) -> Self {
        Self::General(what)
    }

    fn text(&self) -> String {
        match self {
            Self::Key(key_use) => key_use.to_string(),
            Self::Secret(tenant, name) => format!("tenant '{tenant}', secret '{name}'"),
            Self::OwnSecret(name) => format!("secret '{name}'"),
            Self::General(what) => (*what).to_owned(),
        }
    }

    pub(super) fn failure(&self, failure: Failure) -> IdentityError {
        let subject = self.text();
        match (failure, self) {
            (Failure::NoKey, Self::Key(key_use)) => {
                IdentityError::NoKey { key_use: key_use.clone() }
            }
            (Failure::NotBound, Self::Key(key_use)) => {
                IdentityError::NotBound { key_use: key_use.clone() }
            }
            (Failure::RateLimited { retry_after_ms }, Self::Key(key_use)) => {
                IdentityError::RateLimited {
                    key_use: key_use.clone(),
                    retry_after: Duration::from_millis(retry_after_ms),
                }
            }
            (Failure::RateLimited { retry_after_ms }, Self::General(_)) => {
                let retry_after = Duration::from_millis(retry_after_ms);
                IdentityError::ReadTooMuch { subject, retry_after }
            }
            (Failure::NoSecret, Self::Secret(tenant, name)) => {
                IdentityError::NoSecret { tenant: tenant.clone(), name: name.clone() }
            }
            (Failure::NoSecret, Self::OwnSecret(name)) => {
                IdentityError::NoOwnSecret { name: name.clone() }
            }
            (Failure::Refused { reason }, _) => IdentityError::Refused { subject, reason },
            (Failure::Damaged { what }, _) => IdentityError::Damaged { subject, what },
            (Failure::LedgerUnavailable { what }, _) => {
                IdentityError::LedgerUnavailable { subject, what }
            }
            (Failure::KeyStoreUnavailable { what }, _) => {
                IdentityError::KeyStoreUnavailable { subject, what }
            }
            (Failure::Internal { what }, _) => IdentityError::Signer { subject, what },
            (Failure::Malformed { what }, _) => IdentityError::Protocol { subject, what },
            (Failure::Version { speaks }, _) => IdentityError::Protocol {
                subject,
                what: format!("the signer speaks version {speaks}, this process {VERSION}"),
            },
            (
                other @ (Failure::NoKey
                | Failure::NotBound
                | Failure::NoSecret
                | Failure::RateLimited { .. }),
                _,
            ) => IdentityError::Protocol { subject, what: format!("unexpected answer {other:?}") },
        }
    }

    pub(super) fn unexpected(&self, _response: &Response) -> IdentityError {
        // The answer itself stays out of the message: it may hold a secret.
        IdentityError::Protocol {
            subject: self.text(),
            what: "an answer to another request".to_owned(),
        }
    }

    pub(super) fn frame_error(&self, error: FrameError) -> IdentityError {
        match error {
            FrameError::Io(source) => self.connection(source),
            FrameError::Truncated => self.connection(io::ErrorKind::UnexpectedEof.into()),
            other => IdentityError::Protocol { subject: self.text(), what: other.to_string() },
        }
    }

    pub(super) fn connection(&self, source: io::Error) -> IdentityError {
        IdentityError::Connection { subject: self.text(), source }
    }

    pub(super) fn closed(&self) -> IdentityError {
        self.connection(io::ErrorKind::NotConnected.into())
    }
}
