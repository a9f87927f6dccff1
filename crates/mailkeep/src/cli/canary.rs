use clap::Args;
use mailkeep_model::{Address, TenantName};
use time::Duration;

use crate::commands::parse_span;

#[derive(Args, Debug)]
pub(crate) struct TenantCanary {
    /// The tenant
    pub(crate) tenant: TenantName,
    /// The mailbox that canaries are sent from; the prober may send there
    #[arg(long, value_name = "ADDRESS", requires = "to")]
    pub(crate) from: Option<Address>,
    /// The mailbox that they are sent to; it is backed up
    #[arg(long, value_name = "ADDRESS", requires = "from")]
    pub(crate) to: Option<Address>,
    /// Between two of them: 30m, 6h, 1d; 10m to 366d [default: 6h]
    #[arg(long, value_name = "TIME", value_parser = span, requires = "from")]
    pub(crate) every: Option<Duration>,
    /// Only when somebody asks for one: 'mailkeep identity canary'
    #[arg(long, requires = "from", conflicts_with = "every")]
    pub(crate) on_demand: bool,
    /// The time in which one has to be backed up and inspected: 30m, 2h; 1m to 7d [default: 2h]
    #[arg(long, value_name = "TIME", value_parser = span, requires = "from")]
    pub(crate) deadline: Option<Duration>,
    /// Send none any more
    #[arg(long, conflicts_with = "from")]
    pub(crate) off: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Canary {
    /// The tenant
    pub(crate) tenant: TenantName,
    /// The time in which it has to be backed up and inspected: 90s, 30m, 2h; at most 7d [default: the tenant's]
    #[arg(long, value_name = "TIME", value_parser = span)]
    pub(crate) deadline: Option<Duration>,
    /// Back its recipient's mailbox up as well, instead of waiting for the passes of 'serve'
    #[arg(long)]
    pub(crate) pass: bool,
}

fn span(text: &str) -> Result<Duration, String> {
    parse_span(text).ok_or_else(|| "write 90s, 30m, 2h or 1d".to_owned())
}
