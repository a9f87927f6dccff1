//! Arguments of `mailkeep alerts`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use mailkeep_model::TenantName;
use mailkeep_sentry::Severity;
use mailkeep_service::{DestinationName, RelayTls, Repeat};

use crate::commands::parse_span;

#[derive(Subcommand, Debug)]
pub(crate) enum Alerts {
    /// List whom alerts are told to, and how that goes
    List,
    /// Tell alerts to somebody
    ///
    /// What opens a destination is read from a file or from standard input and is kept by the signer:
    /// the address of a webhook (and on a second line a token, for ntfy and json), PagerDuty's routing
    /// key, the password at a relay. Send a test afterwards: mailkeep alerts test NAME
    Add(Box<AlertsAdd>),
    /// Tell somebody no more alerts; what waits is dropped
    Remove {
        /// The name that it was added under
        name: DestinationName,
    },
    /// Send something that says it is a test, at once
    Test(AlertsTest),
}

#[derive(Args, Debug)]
pub(crate) struct AlertsAdd {
    /// A name of your choice: a-z, 0-9 and '-'
    pub(crate) name: DestinationName,
    /// How it is told
    #[arg(long, value_enum)]
    pub(crate) kind: AlertKind,
    /// Where the address, the routing key or the password stands; '-' reads standard input
    #[arg(long, value_name = "FILE", required_if_eq_any([
        ("kind", "slack"), ("kind", "teams"), ("kind", "mattermost"), ("kind", "ntfy"),
        ("kind", "json"), ("kind", "pagerduty"),
    ]))]
    pub(crate) secret_file: Option<PathBuf>,
    /// Nothing that is less bad
    #[arg(long, value_enum, default_value_t = Floor::Notice)]
    pub(crate) severity: Floor,
    /// Only what concerns this tenant; may be repeated [default: all]
    #[arg(long, value_name = "TENANT")]
    pub(crate) tenant: Vec<TenantName>,
    /// When it is said again what is open and nobody looks after: 'growing' (15m, 1h, 4h, then every
    /// day), 'never', or a span as 30m, 2h
    #[arg(long, value_name = "WHEN", default_value = "growing", value_parser = parse_repeat)]
    pub(crate) repeat: Repeat,
    /// Certificates (PEM) to trust for it, instead of the system's
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Unprotected over a network, if that is how it is
    #[arg(long)]
    pub(crate) plain: bool,
    /// pagerduty: the account is in its European region
    #[arg(long)]
    pub(crate) europe: bool,
    /// smtp: the relay, which is not the tenant's own [default port: 465, 587 or 25, by --tls]
    #[arg(long, value_name = "HOST[:PORT]", required_if_eq("kind", "smtp"))]
    pub(crate) relay: Option<String>,
    /// smtp: how the connection is protected
    #[arg(long, value_enum, default_value_t = Tls::Starttls)]
    pub(crate) tls: Tls,
    /// smtp: whom to sign in as; --secret-file has the password
    #[arg(long, value_name = "USER", requires = "secret_file")]
    pub(crate) user: Option<String>,
    /// smtp: the sender
    #[arg(long, value_name = "ADDRESS", required_if_eq("kind", "smtp"))]
    pub(crate) from: Option<String>,
    /// smtp: a recipient; may be repeated
    #[arg(long, value_name = "ADDRESS", required_if_eq("kind", "smtp"))]
    pub(crate) to: Vec<String>,
    /// command: the program by its whole path and its arguments, behind '--'; the alert comes as JSON on
    /// its standard input
    #[arg(last = true, value_name = "PROGRAM", required_if_eq("kind", "command"))]
    pub(crate) command: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct AlertsTest {
    #[command(flatten)]
    pub(crate) which: Which,
}

// No doc comment: it would become that of the command which this is part of.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub(crate) struct Which {
    /// The name that it was added under
    pub(crate) name: Option<DestinationName>,
    /// Every destination
    #[arg(long)]
    pub(crate) all: bool,
}

/// How somebody is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum AlertKind {
    /// Slack's incoming webhook
    Slack,
    /// A workflow of Microsoft Teams ("when a webhook request is received")
    Teams,
    /// Mattermost's incoming webhook
    Mattermost,
    /// A topic of ntfy
    Ntfy,
    /// PagerDuty (Events API v2)
    Pagerduty,
    /// Everything as JSON to an address
    Json,
    /// Mail through a relay
    Smtp,
    /// A program on this machine
    Command,
}

/// How bad something has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Floor {
    /// Worth to know
    Notice,
    /// Something is not as it should be
    Warning,
    /// Somebody has, or had, access as us
    Critical,
}

impl From<Floor> for Severity {
    fn from(floor: Floor) -> Self {
        match floor {
            Floor::Notice => Self::Notice,
            Floor::Warning => Self::Warning,
            Floor::Critical => Self::Critical,
        }
    }
}

/// How the connection to a relay is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Tls {
    /// After the greeting, or nothing is sent
    Starttls,
    /// From the first byte
    Implicit,
    /// Not at all: on this machine, or with --plain
    None,
}

impl Tls {
    /// What it is called elsewhere, and its usual port.
    pub(crate) fn parts(self) -> (RelayTls, u16) {
        match self {
            Self::Starttls => (RelayTls::Starttls, 587),
            Self::Implicit => (RelayTls::Implicit, 465),
            Self::None => (RelayTls::None, 25),
        }
    }
}

fn parse_repeat(text: &str) -> Result<Repeat, String> {
    match text {
        "growing" => Ok(Repeat::Growing),
        "never" => Ok(Repeat::Never),
        span => parse_span(span)
            .and_then(|span| u32::try_from(span.whole_seconds()).ok())
            .filter(|seconds| *seconds >= 60)
            .map(Repeat::EverySeconds)
            .ok_or_else(|| "write growing, never, or a span of a minute or more: 30m, 2h".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reminders_grow_come_at_intervals_or_not_at_all() {
        assert_eq!(parse_repeat("growing"), Ok(Repeat::Growing));
        assert_eq!(parse_repeat("never"), Ok(Repeat::Never));
        assert_eq!(parse_repeat("30m"), Ok(Repeat::EverySeconds(1800)));
        for bad in ["", "0m", "59s", "often", "4294967295w"] {
            assert!(parse_repeat(bad).is_err(), "{bad}");
        }
    }
}
