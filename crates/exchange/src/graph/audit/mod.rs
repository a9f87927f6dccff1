//! What the provider's logs and registrations say of the use of our credentials, read with a key that
//! can read nothing else.
//!
//! # Vocabulary
//!
//! - The [`GraphAuditor`] reads what Graph tells: sign-ins, changes of the directory, accesses to mail
//!   (by a *query* of the services' audit log), changes of Exchange's configuration (likewise), registrations, Conditional Access.
//! - The [`ActivityFeed`] is the other way to accesses to mail: the Office 365 Management Activity API,
//!   which tells *content* by when it became available.
//! - [`parse_activity_export`] reads the log of requests to Graph, which Azure writes into files.
//! - What a log told is [`Logged`]: nobody may take what it did not tell for what did not happen.

mod activity;
mod changes;
mod configuration;
mod exchange_admin;
mod feed;
mod fields;
mod logged;
mod pace;
mod policies;
mod query;
mod records;
mod registrations;
mod roles;
mod sign_ins;

use mailkeep_model::Function;

pub use activity::parse_activity_export;
pub use changes::parse_directory_changes_page;
pub use configuration::{ConfigurationSnapshot, parse_configuration};
pub use exchange_admin::parse_exchange_changes_page;
pub use feed::{ActivityFeed, FeedContent, parse_feed_content};
pub use fields::LogPage;
pub use logged::{Entry, Logged};
pub use policies::{parse_access_policies_page, parse_named_locations_page};
pub use query::parse_audit_query_page;
pub use records::parse_audit_records;
pub use registrations::parse_registered_object;
pub use sign_ins::parse_sign_ins_page;

use self::{pace::Pace, roles::Roles};
use super::{
    client::{Access, Ask, GraphConfig, GraphProvider},
    pages,
};
use crate::{ExchangeError, Usage};

/// Pages of a log; one that goes on for longer goes in a circle. A page has a thousand entries.
const MAX_PAGES: usize = 5000;

/// Reads a tenant's logs and configuration through Microsoft Graph.
pub struct GraphAuditor {
    pub(super) graph: GraphProvider,
    pace: Pace,
    roles: Roles,
}

impl GraphAuditor {
    /// Prepares a connection with the key of [`Function::Auditor`]; nothing is sent yet.
    ///
    /// # Errors
    /// [`ExchangeError::Configuration`] when the function is another one, the address is not `https` or
    /// the certificates cannot be read.
    pub fn new(config: GraphConfig, access: Access) -> Result<Self, ExchangeError> {
        only_the_auditor(&config)?;
        let graph = GraphProvider::new(config, access)?;
        Ok(Self { graph, pace: Pace::default(), roles: Roles::default() })
    }

    /// What was asked of the provider.
    pub fn usage(&self) -> Usage {
        self.graph.usage_now()
    }

    /// One page of a report, when it is its turn.
    async fn log_page<T>(
        &self,
        ask: &Ask<'_>,
        read: impl Fn(&[u8]) -> Result<LogPage<T>, ExchangeError>,
    ) -> Result<LogPage<T>, ExchangeError> {
        self.pace.turn().await;
        let body = pages::page(&self.graph, ask).await?;
        read(&body).map_err(|error| self.graph.explained(ask, error))
    }

    /// Reads a report to its end.
    async fn follow<T: Entry>(
        &self,
        mut ask: Ask<'_>,
        found: &mut Logged<T>,
        read: impl Fn(&[u8]) -> Result<LogPage<T>, ExchangeError>,
        is_wanted: impl Fn(&T) -> bool,
    ) -> Result<(), ExchangeError> {
        for _ in 0..MAX_PAGES {
            let page = self.log_page(&ask, &read).await?;
            let next = page.next.clone();
            found.add(page, &is_wanted);
            let Some(link) = next else { return Ok(()) };
            ask.url = self.graph.link(&ask.action, &link)?;
        }
        Err(self.graph.unfit(&ask, "the list goes on for ever"))
    }

    /// Says of rights that are only good together which one is missing, where the token tells.
    async fn name_missing(&self, error: ExchangeError, rights: &[&'static str]) -> ExchangeError {
        let ExchangeError::Forbidden { tenant, function, action, right, message } = error else {
            return error;
        };
        let granted = self.graph.granted_rights().await.ok().flatten().unwrap_or_default();
        let is_missing = |right: &&&'static str| !granted.iter().any(|one| one == **right);
        let right = match rights.iter().filter(is_missing).collect::<Vec<_>>()[..] {
            [missing] => missing,
            _ => right,
        };
        ExchangeError::Forbidden { tenant, function, action, right, message }
    }
}

fn only_the_auditor(config: &GraphConfig) -> Result<(), ExchangeError> {
    if config.function == Function::Auditor {
        return Ok(());
    }
    let reason = format!("logs are read by the auditor, not by the {}", config.function);
    Err(ExchangeError::Configuration { tenant: config.tenant.clone(), reason })
}
