//! Accesses to mail by the Office 365 Management Activity API
//! (<https://learn.microsoft.com/office/office-365-management-api/office-365-management-activity-api-reference>).
//!
//! It gives out what became available within a time, which says nothing of when it happened: whoever
//! asks for one stretch after the other misses nothing. It keeps content for seven days, and none of
//! before the subscription.

use std::collections::HashSet;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use mailkeep_model::MailAccess;
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;
use time::{Duration, OffsetDateTime, macros::format_description};
use url::Url;
use uuid::Uuid;

use super::{
    Logged,
    fields::{Damaged, entries},
    only_the_auditor, parse_audit_records,
};
use crate::{
    ExchangeError, Usage,
    gate::PER_MAILBOX,
    graph::client::{Access, Ask, GraphConfig, GraphProvider, Sending},
};

const RIGHT: &str = "ActivityFeed.Read of 'Office 365 Management APIs'";
/// The part of the services' audit log that accesses to mail are in.
const EXCHANGE: &str = "Audit.Exchange";
/// The interface, and what tokens for it are for, by Graph's host: each cloud has its own.
const CLOUDS: &[(&str, &str)] = &[
    ("graph.microsoft.com", "https://manage.office.com"),
    ("graph.microsoft.us", "https://manage.office365.us"),
    ("dod-graph.microsoft.us", "https://manage.protection.apps.mil"),
];
/// The longest time that can be asked for at once.
const WINDOW: Duration = Duration::DAY;
/// For how long content is kept, less what the clocks may be apart.
const KEPT: Duration = Duration::minutes(7 * 24 * 60 - 5);
/// The subscription is there already: not in the documentation's list.
const ALREADY: &str = "AF20024";
/// Content that is no more.
const EXPIRED: &str = "AF20051";
/// Pages of a window's content; one that goes on for longer goes in a circle.
const MAX_PAGES: usize = 2000;
const NEXT: &str = "NextPageUri";

/// The Management Activity API of one tenant.
pub struct ActivityFeed {
    graph: GraphProvider,
    /// The tenant: without it, calls count against what all callers share.
    publisher: String,
}

/// A piece of content that can be fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedContent {
    /// The provider's id.
    pub id: String,
    /// Where it is.
    pub uri: String,
}

impl ActivityFeed {
    /// Prepares a connection with the key of the auditor; nothing is sent yet. `directory` is the
    /// tenant's directory id. The address follows from Graph's; where that is none of Microsoft's, the
    /// interface is looked for beside it.
    ///
    /// # Errors
    /// [`ExchangeError::Configuration`] as for [`super::GraphAuditor::new`].
    pub fn new(
        config: GraphConfig,
        access: Access,
        directory: Uuid,
    ) -> Result<Self, ExchangeError> {
        only_the_auditor(&config)?;
        let cloud = CLOUDS.iter().find(|(graph, _)| config.graph.host_str() == Some(graph));
        let (resource, mut root) = match cloud {
            Some((_, feed)) => (*feed, Url::parse(feed).unwrap_or(config.graph.clone())),
            None => (CLOUDS[0].1, config.graph.clone()),
        };
        root.set_path(&format!("/api/v1.0/{directory}/activity/feed"));
        let config = GraphConfig { graph: root, ..config };
        let graph = GraphProvider::for_resource(config, access, resource)?;
        Ok(Self { graph, publisher: directory.to_string() })
    }

    /// What was asked of the provider.
    pub fn usage(&self) -> Usage {
        self.graph.usage_now()
    }

    /// The accesses to mail whose records became available from `since` until before `until`. They may
    /// have happened hours before.
    ///
    /// Subscribes when there is no subscription. Nothing is available then: [`Logged::since`] is when
    /// it began, and the first records come within twelve hours.
    ///
    /// # Errors
    /// [`ExchangeError::Forbidden`] names the missing right, [`ExchangeError::SwitchedOff`] a tenant
    /// that writes no audit log.
    pub async fn mail_accesses(
        &self,
        since: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<Logged<MailAccess>, ExchangeError> {
        let now = OffsetDateTime::now_utc();
        if self.subscribe().await? {
            return Ok(Logged::asked_since(now));
        }
        let mut from = since.max(now - KEPT);
        let mut found = Logged::asked_since(from);
        let mut seen = HashSet::new();
        while from < until {
            let to = until.min(from + WINDOW);
            let mut content = self.content(from, to, &mut found.damaged).await?;
            content.retain(|one| seen.insert(one.id.clone()));
            let mut blobs =
                stream::iter(content.iter().map(|one| self.blob(one))).buffered(PER_MAILBOX);
            while let Some(blob) = blobs.try_next().await? {
                match blob {
                    Some(page) => found.add(page, |_| true),
                    None => found.missing += 1,
                }
            }
            from = to;
        }
        Ok(found)
    }

    /// Sees to it that there is a subscription; whether there was none.
    async fn subscribe(&self) -> Result<bool, ExchangeError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Subscription {
            content_type: String,
            status: Option<String>,
        }
        let ask = self.ask("listing what the audit log is read by", &["list"], &[]);
        let all: Vec<Subscription> = self.graph.json(&ask).await?;
        let is_on = |one: &Subscription| {
            one.content_type == EXCHANGE && one.status.as_deref() == Some("enabled")
        };
        if all.iter().any(is_on) {
            return Ok(false);
        }
        let action = "subscribing to the audit log of Exchange";
        let ask = self.ask(action, &["start"], &[("contentType", EXCHANGE)]);
        // Twice is no more than once.
        match self.graph.change(&ask, Method::POST, Some(Bytes::new())).await {
            Ok(_) => Ok(true),
            Err(ExchangeError::Answer { code, .. }) if code == ALREADY => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// What became available within a window; `damaged` counts what cannot be fetched because it is not
    /// understood where.
    async fn content(
        &self,
        from: OffsetDateTime,
        to: OffsetDateTime,
        damaged: &mut usize,
    ) -> Result<Vec<FeedContent>, ExchangeError> {
        let (start, end) = (self.time(from)?, self.time(to)?);
        let query = [("contentType", EXCHANGE), ("startTime", &start), ("endTime", &end)];
        let mut ask = self.ask("listing what the audit log has", &["content"], &query);
        let mut content = Vec::new();
        let mut seen = HashSet::new();
        for _ in 0..MAX_PAGES {
            let (headers, body) = self.graph.answer_of(&ask, &Sending::READ).await?;
            let (told, bad) =
                parse_feed_content(&body).map_err(|error| self.graph.explained(&ask, error))?;
            content.extend(told);
            *damaged += bad;
            let Some(next) = headers.get(NEXT) else { return Ok(content) };
            let next = next.to_str().unwrap_or_default();
            if !seen.insert(next.to_owned()) {
                break;
            }
            ask.url = self.link(&ask, next)?;
        }
        Err(self.graph.unfit(&ask, "the list goes on for ever"))
    }

    /// The records of a piece of content; `None` when it is no more.
    async fn blob(
        &self,
        content: &FeedContent,
    ) -> Result<Option<super::LogPage<MailAccess>>, ExchangeError> {
        let mut ask = self.ask("reading the audit log", &[], &[]);
        ask.url = self.link(&ask, &content.uri)?;
        match self.graph.body(&ask).await {
            Ok(body) => {
                let page = parse_audit_records(&body);
                page.map(Some).map_err(|error| self.graph.explained(&ask, error))
            }
            Err(ExchangeError::NotFound { .. }) => Ok(None),
            Err(ExchangeError::Answer { code, .. }) if code == EXPIRED => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn ask(&self, action: &str, below: &[&str], query: &[(&str, &str)]) -> Ask<'static> {
        let publisher = [("PublisherIdentifier", self.publisher.as_str())];
        let query = [query, &publisher].concat();
        let url = self.graph.url(&[&["subscriptions"], below].concat(), &query);
        Ask { action: action.into(), right: RIGHT, mailbox: None, url, prefer: None }
    }

    /// An address that the provider gave. Our token goes there, so that it has to be the provider's;
    /// the path is one of another version now and then.
    fn link(&self, ask: &Ask<'_>, link: &str) -> Result<Url, ExchangeError> {
        let url = Url::parse(link).ok().filter(|url| url.origin() == ask.url.origin());
        url.ok_or_else(|| self.graph.unfit(ask, "a link leads away from the provider"))
    }

    /// A time as the interface takes it: UTC, and nobody says so.
    fn time(&self, time: OffsetDateTime) -> Result<String, ExchangeError> {
        let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]");
        time.to_offset(time::UtcOffset::UTC)
            .format(format)
            .map_err(|error| ExchangeError::protocol("listing what the audit log has", error))
    }
}

/// Reads a page of what can be fetched, and how many lines of it are not understood.
///
/// # Errors
/// [`ExchangeError::Protocol`] when the bytes are no such page.
pub fn parse_feed_content(body: &[u8]) -> Result<(Vec<FeedContent>, usize), ExchangeError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Wire {
        content_id: String,
        content_uri: String,
    }
    let told: Vec<Value> = serde_json::from_slice(body).map_err(|error| {
        ExchangeError::protocol(
            "listing what the audit log has",
            format!("not understood: {error}"),
        )
    })?;
    let read = |wire: Wire| -> Result<Option<FeedContent>, Damaged> {
        Ok(Some(FeedContent { id: wire.content_id, uri: wire.content_uri }))
    };
    let page = entries(told, read);
    Ok((page.entries, page.damaged))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_that_is_not_understood_is_counted_and_hides_no_other() {
        let body =
            br#"[{"contentId":"a","contentUri":"https://x/a","contentType":"Audit.Exchange"},
                        {"contentId":"b"}, 7]"#;
        let expected = FeedContent { id: "a".into(), uri: "https://x/a".into() };
        assert_eq!(parse_feed_content(body).unwrap(), (vec![expected], 2));
        assert!(parse_feed_content(b"{}").is_err());
    }
}
