//! Accesses to mail, and other records, by a query of the services' audit log (Graph: "auditLogQuery resource type", "Create
//! auditLogQuery", "List auditLogRecords").

use std::time::Duration;

use mailkeep_model::MailAccess;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::{
    Entry, GraphAuditor, LogPage, Logged,
    fields::{self, Damaged, seconds},
    records::{OPERATION, Record},
};
use crate::{
    ExchangeError,
    graph::{client::Ask, pages, refusal::AUDIT_QUERIES},
};

const ACTION: &str = "searching the audit log for accesses to mail";
const PATH: [&str; 3] = ["security", "auditLog", "queries"];
/// For how long a query is waited for. They take minutes; one over months of a large tenant, hours.
const LONGEST: Duration = Duration::from_secs(30 * 60);
/// Wait before the first look at a query; doubles with each further one.
const FIRST_LOOK: Duration = Duration::from_millis(500);
/// Longest wait between two looks.
const RARELY: Duration = Duration::from_secs(30);
const MAX_PAGES: usize = 10_000;

impl GraphAuditor {
    /// The accesses to mail from `since` until before `until`, as the audit log has them by now.
    ///
    /// # Errors
    /// [`ExchangeError::Forbidden`], [`ExchangeError::Unlicensed`];
    /// [`ExchangeError::Protocol`] when the provider gave the query up or takes longer than half an
    /// hour.
    pub async fn mail_accesses(
        &self,
        since: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<Logged<MailAccess>, ExchangeError> {
        self.search(ACTION, since, until, &[OPERATION], parse_audit_query_page).await
    }

    /// Has a query for records of these operations carried out, and reads what it found.
    pub(super) async fn search<T: Entry>(
        &self,
        action: &'static str,
        since: OffsetDateTime,
        until: OffsetDateTime,
        operations: &[&str],
        read: impl Fn(&[u8]) -> Result<LogPage<T>, ExchangeError>,
    ) -> Result<Logged<T>, ExchangeError> {
        let query = self.begin(action, since, until, operations).await?;
        self.wait_for(action, &query).await?;
        let mut found = Logged::asked_since(since);
        let mut ask = self.ask_query(action, &[&query, "records"]);
        for _ in 0..MAX_PAGES {
            let body = pages::page(&self.graph, &ask).await?;
            let page = read(&body).map_err(|error| self.graph.explained(&ask, error))?;
            let next = page.next.clone();
            found.add(page, |_| true);
            let Some(link) = next else { return Ok(found) };
            ask.url = self.graph.link(action, &link)?;
        }
        Err(self.graph.unfit(&ask, "the list goes on for ever"))
    }

    /// Orders a search for reads of mail and does not wait for it: a search takes minutes.
    ///
    /// # Errors
    /// [`ExchangeError::Forbidden`], [`ExchangeError::Unlicensed`], [`ExchangeError::SwitchedOff`].
    pub async fn try_searching(&self, now: OffsetDateTime) -> Result<(), ExchangeError> {
        self.begin(ACTION, now - time::Duration::minutes(1), now, &[OPERATION]).await.map(drop)
    }

    /// Has a query carried out; its id. When the answer is lost there is one more, which harms nobody.
    async fn begin(
        &self,
        action: &'static str,
        since: OffsetDateTime,
        until: OffsetDateTime,
        operations: &[&str],
    ) -> Result<String, ExchangeError> {
        let ask = self.ask_query(action, &[]);
        let order = json!({
            "displayName": "Mailkeep",
            "filterStartDateTime": seconds(since, false),
            "filterEndDateTime": seconds(until, true),
            "operationFilters": operations,
        });
        let answer = self.graph.change(&ask, Method::POST, Some(order.to_string().into())).await?;
        let query: Query = serde_json::from_slice(&answer)
            .map_err(|error| self.graph.unfit(&ask, &format!("not understood: {error}")))?;
        Ok(query.id)
    }

    async fn wait_for(&self, action: &'static str, query: &str) -> Result<(), ExchangeError> {
        let ask = self.ask_query(action, &[query]);
        let mut looks = Looks::default();
        loop {
            let query: Query = self.graph.json(&ask).await?;
            let given_up = match query.status.as_str() {
                "succeeded" => return Ok(()),
                "failed" => Some("the search failed at the provider"),
                "cancelled" => Some("the provider, or somebody there, cancelled the search"),
                _ => None,
            };
            if let Some(reason) = given_up {
                return Err(self.graph.unfit(&ask, reason));
            }
            let Some(wait) = looks.next() else {
                let minutes = LONGEST.as_secs() / 60;
                let reason = format!("the search is not at its end after {minutes} minutes");
                return Err(self.graph.unfit(&ask, &reason));
            };
            tokio::time::sleep(wait).await;
        }
    }

    fn ask_query(&self, action: &'static str, below: &[&str]) -> Ask<'static> {
        let url = self.graph.url(&[&PATH[..], below].concat(), &[]);
        Ask { action: action.into(), right: AUDIT_QUERIES, mailbox: None, url, prefer: None }
    }
}

/// How often and for how long a query was looked at.
#[derive(Default)]
struct Looks {
    waited: Duration,
    last: Duration,
}

impl Looks {
    /// The wait before the next look, `None` when it has gone on for too long.
    fn next(&mut self) -> Option<Duration> {
        self.last = (2 * self.last).clamp(FIRST_LOOK, RARELY);
        self.waited += self.last;
        (self.waited <= LONGEST).then_some(self.last)
    }
}

#[derive(Deserialize)]
struct Query {
    id: String,
    #[serde(default)]
    status: String,
}

/// `auditLogRecord`: what all records have, and the record itself.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    id: Option<String>,
    created_date_time: Option<String>,
    operation: Option<String>,
    audit_data: Value,
}

impl Wire {
    fn read(self) -> Result<Option<MailAccess>, Damaged> {
        let mut record = Record::deserialize(self.audit_data)?;
        record.id = record.id.or(self.id);
        record.creation_time = record.creation_time.or(self.created_date_time);
        record.operation = record.operation.or(self.operation);
        record.read()
    }
}

/// Reads a page of what a query found.
///
/// # Errors
/// [`ExchangeError::Protocol`] when the bytes are no page.
pub fn parse_audit_query_page(body: &[u8]) -> Result<LogPage<MailAccess>, ExchangeError> {
    fields::page(ACTION, body, Wire::read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_that_never_ends_is_given_up_after_half_an_hour_and_is_not_looked_at_all_the_time() {
        let mut looks = Looks::default();
        let waits: Vec<Duration> = std::iter::from_fn(|| looks.next()).collect();
        let all: Duration = waits.iter().sum();
        assert!(all <= LONGEST && all + RARELY > LONGEST, "{all:?}");
        assert!(waits.len() < 80, "{}", waits.len());
        assert!(waits.windows(2).all(|two| two[0] <= two[1]) && waits[0] == FIRST_LOOK);
    }

    #[test]
    fn a_record_of_a_query_is_the_same_as_one_of_the_feed() {
        let record = json!({
            "Id": "r", "CreationTime": "2026-11-27T08:00:00", "Operation": "MailItemsAccessed",
            "MailboxOwnerUPN": "ann@x.example",
        });
        let outer = json!({
            "id": "r", "createdDateTime": "2026-11-27T08:00:00Z",
            "operation": "MailItemsAccessed", "auditData": record,
        });
        let mut told_outside = outer.clone();
        told_outside["auditData"] = json!({ "MailboxOwnerUPN": "ann@x.example" });
        let body = json!({ "value": [outer, told_outside, { "id": "x" }] }).to_string();
        let page = parse_audit_query_page(body.as_bytes()).unwrap();
        let of_feed = super::super::parse_audit_records(json!([record]).to_string().as_bytes());
        let expected = of_feed.unwrap().entries.remove(0);
        assert_eq!(page.entries, [expected.clone(), expected]);
        assert_eq!(page.damaged, 1);
    }
}
