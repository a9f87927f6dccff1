use std::{fmt, str::FromStr};

use mailkeep_model::{Function, TenantName};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The text cannot be a name of this kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a {what}: use 1 to {longest} of {alphabet}")]
pub struct InvalidName {
    text: String,
    what: &'static str,
    longest: usize,
    alphabet: &'static str,
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $longest:literal, $alphabet:literal, $allowed:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                let allowed: fn(u8) -> bool = $allowed;
                if (1..=$longest).contains(&text.len()) && text.bytes().all(allowed) {
                    return Ok(Self(text.to_owned()));
                }
                // What came from outside is shown, but not at any length.
                let text = text.chars().take($longest + 1).collect();
                Err(InvalidName { text, what: $what, longest: $longest, alphabet: $alphabet })
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;

            fn try_from(text: String) -> Result<Self, InvalidName> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// The job that a signature or a secret is asked for, as the scheduler names it (a UUID).
    ///
    /// It ends up in the ledger, so that every use of a key has a reason.
    JobId,
    "job id",
    64,
    "A-Z, a-z, 0-9, '-', '_', '.' and ':'",
    |b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':')
);

name!(
    /// What a process calls itself when it talks to the signer: `service`, `cli`.
    ///
    /// The signer writes it into the ledger beside the user and process id that the kernel
    /// tells; only the latter are proof.
    CallerLabel,
    "caller label",
    32,
    "a-z, 0-9 and '-'",
    |b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'
);

name!(
    /// The name of a secret of a tenant in the signer's sealed store.
    SecretName,
    "secret name",
    63,
    "a-z, 0-9 and '-'",
    |b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'
);

impl From<Uuid> for JobId {
    fn from(id: Uuid) -> Self {
        Self(id.to_string())
    }
}

impl SecretName {
    /// The password of a tenant's repository in the vault.
    pub fn repository() -> Self {
        Self("repository".to_owned())
    }
}

/// What keys are for: one tenant and one function. No key serves two.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KeyUse {
    /// Whose mailboxes.
    pub tenant: TenantName,
    /// What for.
    pub function: Function,
}

impl fmt::Display for KeyUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tenant '{}', function '{}'", self.tenant, self.function)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_name_cannot_leave_its_directory() {
        for bad in ["", ".", "..", "a/b", "a\0", "A", &"a".repeat(64)] {
            assert!(bad.parse::<SecretName>().is_err(), "{bad:?}");
        }
        assert_eq!("repository".parse(), Ok(SecretName::repository()));
    }

    #[test]
    fn a_job_id_cannot_break_a_ledger_line() {
        for bad in ["", "a\n", "a\"", "a b", &"a".repeat(65)] {
            assert!(bad.parse::<JobId>().is_err(), "{bad:?}");
        }
        assert!(JobId::from(Uuid::nil()).as_str().parse::<JobId>().is_ok());
    }
}
