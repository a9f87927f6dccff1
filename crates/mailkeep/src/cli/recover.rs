//! Arguments of what brings another signer into the place of a lost one.

use std::path::PathBuf;

use clap::Args;
use mailkeep_model::TenantName;
use time::OffsetDateTime;

use crate::commands::parse_deadline;

#[derive(Args, Debug)]
pub(crate) struct SignerRecover {
    /// Why; it goes into the new ledger
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    /// What an outside witness kept of the lost ledger, or 'identity ledger last-seen' printed; several times
    /// where there are several [default: what the data directory knows]
    #[arg(long, value_name = "FILE")]
    pub(crate) witness: Vec<PathBuf>,
    /// Nobody knows where the lost ledger ended
    #[arg(long, conflicts_with = "witness")]
    pub(crate) without_witness: bool,
    /// The signer's socket, when it is not in the data directory
    #[arg(long, value_name = "FILE")]
    pub(crate) socket: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct IdentityRecover {
    /// The tenant
    pub(crate) tenant: TenantName,
    /// Its recovery kit, as 'mailkeep recovery-kit' wrote it; once, where there is a repository
    #[arg(long, value_name = "DIR")]
    pub(crate) kit: Option<PathBuf>,
    /// Write into this directory what the tenant's administrator runs
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// How long to wait for the provider: RFC 3339, or 30m, 2h from now
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = parse_deadline)]
    pub(crate) deadline: OffsetDateTime,
}
