//! Arguments of `mailkeep identity blast-radius`.

use std::path::PathBuf;

use clap::Args;
use mailkeep_model::TenantName;
use time::OffsetDateTime;

use crate::commands::parse_time;

// No doc comment: it would become that of the command which this is part of.
#[derive(Args, Debug)]
pub(crate) struct BlastRadius {
    /// The tenant
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub(crate) tenant: Option<TenantName>,
    /// All tenants
    #[arg(long)]
    pub(crate) all: bool,
    /// From then on [default: since the tenant was added]
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub(crate) since: Option<OffsetDateTime>,
    /// Write it as one self-contained page into this file as well, in the place of what is there
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}
