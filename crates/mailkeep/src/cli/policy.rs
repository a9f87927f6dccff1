use std::path::PathBuf;

use clap::{Args, Subcommand};
use mailkeep_model::TenantName;
use time::OffsetDateTime;

use crate::commands::parse_time;

#[derive(Subcommand, Debug)]
pub(crate) enum Policy {
    /// Read a policy and say what it does, or what is wrong with it
    Check(PolicyCheck),
    /// What the policy decided of a tenant's messages, and what followed
    Decisions(PolicyDecisions),
    /// Hash an organisation's own values for a list that they can be recognised by
    Hash(PolicyHash),
}

#[derive(Args, Debug)]
pub(crate) struct PolicyCheck {
    /// The policy (TOML)
    pub(crate) file: PathBuf,
}

#[derive(Args, Debug)]
pub(crate) struct PolicyDecisions {
    /// The tenant
    pub(crate) tenant: TenantName,
    /// Not older than this: RFC 3339, or 2h, 3d
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub(crate) since: Option<OffsetDateTime>,
    /// On this message alone, with its angle brackets
    #[arg(long, value_name = "ID")]
    pub(crate) message_id: Option<String>,
    /// The newest ones, up to this number
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) limit: u64,
}

#[derive(Args, Debug)]
pub(crate) struct PolicyHash {
    /// A record a line, its values separated by commas (CSV); '-' reads standard input
    pub(crate) values: PathBuf,
    /// The key; it is made when the file is not there
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
}
