use serde::{Deserialize, Serialize};

/// Which way a message went, seen from the tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From outside to a mailbox of the tenant.
    Inbound,
    /// From a mailbox of the tenant to somebody outside.
    Outbound,
    /// From one mailbox of the tenant to another; counted where it arrives.
    Internal,
}

impl Direction {
    /// The name used in the database and in tables of counts.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
            Self::Internal => "internal",
        }
    }
}

/// How many messages went one way within one minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrafficCount {
    /// The minute, in whole minutes since 1970-01-01T00:00Z.
    pub minute: i64,
    /// Which way.
    pub direction: Direction,
    /// Messages.
    pub count: u64,
}
