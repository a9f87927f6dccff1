use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The name by which an operator knows an organisation.
///
/// 1 to 63 characters of `a-z`, `0-9` and `-`, beginning and ending with a letter or digit, so
/// that it can stand in a path, a database key and a metric label without escaping.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TenantName(String);

/// The text is not a [`TenantName`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is not a tenant name: use 1 to 63 of a-z, 0-9 and '-', with a letter or digit at both ends"
)]
pub struct InvalidTenantName(String);

impl TenantName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TenantName {
    type Err = InvalidTenantName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let valid = (1..=63).contains(&text.len())
            && text.chars().all(|c| alphanumeric(c) || c == '-')
            && text.starts_with(alphanumeric)
            && text.ends_with(alphanumeric);
        if valid { Ok(Self(text.to_owned())) } else { Err(InvalidTenantName(text.to_owned())) }
    }
}

impl TryFrom<String> for TenantName {
    type Error = InvalidTenantName;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<TenantName> for String {
    fn from(name: TenantName) -> Self {
        name.0
    }
}

impl fmt::Display for TenantName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A purpose that a tenant's mailboxes are opened for; each has its own application registration,
/// key and rights. No standing function that reads all mail can also write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Function {
    /// Reads mail, calendars, contacts and settings.
    Reader,
    /// Moves and deletes messages.
    Responder,
    /// Writes items back; lives only while a restore runs.
    Restorer,
    /// Reads logs and configuration.
    Auditor,
    /// Sends canaries and probes from named mailboxes.
    Prober,
    /// Disables principals and removes foreign credentials; kept offline.
    Steward,
}

/// The text names no [`Function`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a function: one of reader, responder, restorer, auditor, prober, steward")]
pub struct InvalidFunction(String);

impl Function {
    /// All functions, in the order in which they are listed.
    pub const ALL: [Self; 6] =
        [Self::Reader, Self::Responder, Self::Restorer, Self::Auditor, Self::Prober, Self::Steward];

    /// The name used in the command line, the ledger and the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Responder => "responder",
            Self::Restorer => "restorer",
            Self::Auditor => "auditor",
            Self::Prober => "prober",
            Self::Steward => "steward",
        }
    }
}

impl FromStr for Function {
    type Err = InvalidFunction;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|function| function.as_str() == text)
            .ok_or_else(|| InvalidFunction(text.to_owned()))
    }
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a tenant's mailboxes live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ProviderKind {
    /// Microsoft 365, through Microsoft Graph.
    M365,
}

/// The text names no provider that this version knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a provider that this version knows: m365")]
pub struct UnknownProvider(String);

impl ProviderKind {
    /// The name used in the command line and the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::M365 => "m365",
        }
    }
}

impl FromStr for ProviderKind {
    type Err = UnknownProvider;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "m365" => Ok(Self::M365),
            _ => Err(UnknownProvider(text.to_owned())),
        }
    }
}

impl fmt::Display for ProviderKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_name_cannot_leave_its_directory() {
        for bad in ["", "..", "a/b", "A", "-a", "a-", "a_b", "a b", &"a".repeat(64)] {
            assert!(bad.parse::<TenantName>().is_err(), "{bad:?}");
        }
        for good in ["a", "acme", "acme-2", &"a".repeat(63)] {
            assert_eq!(good.parse::<TenantName>().unwrap().as_str(), good);
        }
    }

    #[test]
    fn every_function_is_found_by_its_name() {
        for function in Function::ALL {
            assert_eq!(function.as_str().parse(), Ok(function));
        }
        assert!("root".parse::<Function>().is_err());
    }
}
