use clap::{Args, Subcommand, ValueEnum};
use mailkeep_model::{Address, TenantName, VerdictKind};
use time::OffsetDateTime;

use crate::commands::parse_time;

#[derive(Args, Debug)]
pub(crate) struct Findings {
    /// Only this tenant's
    pub(crate) tenant: Option<TenantName>,
    /// Only those in this mailbox
    #[arg(long, value_name = "ADDRESS", requires = "tenant")]
    pub(crate) mailbox: Option<Address>,
    /// Only those that are at least this bad
    #[arg(long, value_enum, value_name = "VERDICT")]
    pub(crate) at_least: Option<AtLeast>,
    /// Only those of the message with this Message-ID
    #[arg(long, value_name = "ID")]
    pub(crate) message_id: Option<String>,
    /// Only those made since then: RFC 3339, or 2h, 3d ago
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub(crate) since: Option<OffsetDateTime>,
    /// So many of a tenant at most, the newest
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) limit: u64,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum AtLeast {
    /// Sensitive content, or worse
    Sensitive,
    /// Suspicious, or worse
    Suspicious,
    /// Malicious
    Malicious,
}

impl From<AtLeast> for VerdictKind {
    fn from(at_least: AtLeast) -> Self {
        match at_least {
            AtLeast::Sensitive => Self::Sensitive,
            AtLeast::Suspicious => Self::Suspicious,
            AtLeast::Malicious => Self::Malicious,
        }
    }
}

#[derive(Subcommand, Debug)]
pub(crate) enum Remedy {
    /// Take a message out of its owners' sight, until somebody decides
    Quarantine(RemedyOrder),
    /// The same, and delete it for good after 30 days
    Remove(RemedyOrder),
    /// Put back where it lay what was taken
    Release(RemedyOrder),
    /// List what was ordered, the newest first
    List {
        /// Only this tenant's
        tenant: Option<TenantName>,
        /// So many of a tenant at most
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: u64,
    },
    /// Show an order, with every copy that it found and where that is
    Show {
        /// Its number
        remedy: i64,
    },
}

#[derive(Args, Debug)]
pub(crate) struct RemedyOrder {
    #[command(flatten)]
    pub(crate) which: RemedyWhich,
    /// The tenant [default: the only one; a finding and another order say theirs]
    #[arg(long, value_name = "TENANT")]
    pub(crate) tenant: Option<TenantName>,
    /// All copies, not only that of the finding
    #[arg(long, conflicts_with = "mailbox")]
    pub(crate) everywhere: bool,
    /// Only in this mailbox
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) mailbox: Option<Address>,
    /// For what reason; it stands in the audit log
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) why: String,
    /// Only say which copies there are
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask before removing from all mailboxes
    #[arg(long)]
    pub(crate) yes: bool,
    /// Only keep the order, for 'serve' to carry it out
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) no_wait: bool,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub(crate) struct RemedyWhich {
    /// The message of this finding, by its number
    pub(crate) finding: Option<i64>,
    /// The message with this Message-ID, in all mailboxes
    #[arg(long, value_name = "ID")]
    pub(crate) message_id: Option<String>,
    /// Messages of the last 30 days that carry a file with this hash
    #[arg(long, value_name = "HASH")]
    pub(crate) sha256: Option<String>,
    /// Messages of the last 30 days with this link
    #[arg(long, value_name = "URL")]
    pub(crate) link: Option<String>,
    /// The messages of another order, by its number
    #[arg(long, value_name = "N")]
    pub(crate) remedy: Option<i64>,
}
