//! The sign-ins of service principals (Graph beta: "List signIns", "signIn resource type").
//!
//! v1.0 has neither the key nor the token of a sign-in.

use std::collections::HashSet;

use mailkeep_model::{CredentialKind, SignIn};
use serde::Deserialize;
use time::OffsetDateTime;

use super::{
    GraphAuditor, LogPage, Logged,
    fields::{self, Damaged, address, guid, hex, id, needed, seconds, time, uti},
};
use crate::{ExchangeError, graph::client::Ask};

const ACTION: &str = "reading the log of sign-ins";
/// Both are needed: a known issue of Graph's.
const RIGHTS: &[&str] = &["AuditLog.Read.All", "Directory.Read.All"];
const BOTH: &str = "AuditLog.Read.All and Directory.Read.All";

impl GraphAuditor {
    /// The attempts of applications to get a token from `since` until `until`, both included, newest
    /// first. What shows up in the log later has to be asked for again: ask with an overlap, ids stay.
    ///
    /// `applications` are client ids; the sign-ins of others are left out. None: all.
    ///
    /// One request tells a thousand sign-ins of whatever application, and a filter by application costs
    /// a request for each: everything is asked for, unless the first page shows that it would take
    /// more pages than there are applications.
    ///
    /// # Errors
    /// [`ExchangeError::Forbidden`] names the missing right, [`ExchangeError::Unlicensed`] a tenant
    /// without Entra ID P1.
    pub async fn sign_ins(
        &self,
        since: OffsetDateTime,
        until: OffsetDateTime,
        applications: &[String],
    ) -> Result<Logged<SignIn>, ExchangeError> {
        let wanted: HashSet<String> = applications.iter().map(|one| one.to_lowercase()).collect();
        let mut found = Logged::asked_since(since);
        let read = async {
            let first =
                self.log_page(&self.ask_sign_ins(since, until, None), parse_sign_ins_page).await?;
            let rest = first.next.clone();
            let pages = pages(&first, since);
            found.add(first, |sign_in| is_wanted(&wanted, sign_in));
            if rest.is_some() && !wanted.is_empty() && pages > wanted.len() {
                for application in &wanted {
                    let ask = self.ask_sign_ins(since, until, Some(application));
                    self.follow(ask, &mut found, parse_sign_ins_page, |_| true).await?;
                }
            } else if let Some(link) = rest {
                let mut ask = self.ask_sign_ins(since, until, None);
                ask.url = self.graph.link(ACTION, &link)?;
                self.follow(ask, &mut found, parse_sign_ins_page, |one| is_wanted(&wanted, one))
                    .await?;
            }
            Ok(())
        };
        match read.await {
            Ok(()) => Ok(found),
            Err(error) => Err(self.name_missing(error, RIGHTS).await),
        }
    }

    fn ask_sign_ins(
        &self,
        since: OffsetDateTime,
        until: OffsetDateTime,
        application: Option<&str>,
    ) -> Ask<'static> {
        let mut filter = format!(
            "signInEventTypes/any(t: t eq 'servicePrincipal') and createdDateTime ge {} and \
             createdDateTime le {}",
            seconds(since, false),
            seconds(until, true)
        );
        if let Some(application) = application {
            filter.push_str(&format!(" and appId eq '{}'", application.replace('\'', "''")));
        }
        let url = self.graph.beta_url(&["auditLogs", "signIns"], &[("$filter", &filter)]);
        Ask { action: ACTION.into(), right: BOTH, mailbox: None, url, prefer: None }
    }
}

fn is_wanted(wanted: &HashSet<String>, sign_in: &SignIn) -> bool {
    wanted.is_empty() || wanted.contains(&sign_in.client_id)
}

/// How many pages there are, by how much of the time the first one, which is the newest, is about.
fn pages(first: &LogPage<SignIn>, since: OffsetDateTime) -> usize {
    let times = || first.entries.iter().map(|sign_in| sign_in.at);
    let Some((newest, oldest)) = times().max().zip(times().min()) else { return 1 };
    let (told, all) = ((newest - oldest).whole_seconds().max(1), (newest - since).whole_seconds());
    usize::try_from(all / told).unwrap_or(1)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    id: Option<String>,
    created_date_time: Option<String>,
    app_id: Option<String>,
    client_credential_type: Option<String>,
    service_principal_credential_key_id: Option<String>,
    service_principal_credential_thumbprint: Option<String>,
    ip_address: Option<String>,
    unique_token_identifier: Option<String>,
    correlation_id: Option<String>,
    resource_id: Option<String>,
    status: Option<Status>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    error_code: u32,
}

impl Wire {
    fn read(self) -> Result<Option<SignIn>, Damaged> {
        Ok(Some(SignIn {
            id: needed("id", self.id.filter(|id| !id.is_empty()))?,
            at: needed("time", self.created_date_time.as_deref().and_then(time))?,
            client_id: needed("application", id(self.app_id))?,
            credential: kind(self.client_credential_type.as_deref()),
            key_id: id(self.service_principal_credential_key_id),
            thumbprint: self.service_principal_credential_thumbprint.as_deref().and_then(hex),
            address: self.ip_address.as_deref().and_then(address),
            uti: self.unique_token_identifier.as_deref().and_then(uti),
            correlation_id: guid(self.correlation_id),
            resource: id(self.resource_id),
            error: needed("status", self.status)?.error_code,
        }))
    }
}

fn kind(told: Option<&str>) -> CredentialKind {
    match told.unwrap_or_default() {
        "certificate" | "clientAssertion" => CredentialKind::Certificate,
        "clientSecret" => CredentialKind::Secret,
        "federatedIdentityCredential" => CredentialKind::Federated,
        _ => CredentialKind::Unknown,
    }
}

/// Reads a page of the log of sign-ins.
///
/// # Errors
/// [`ExchangeError::Protocol`] when the bytes are no page.
pub fn parse_sign_ins_page(body: &[u8]) -> Result<LogPage<SignIn>, ExchangeError> {
    fields::page(ACTION, body, Wire::read)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_sign_in_that_is_told_in_part_or_as_nonsense_does_not_hide_the_others() {
        let whole = json!({
            "id": "1", "createdDateTime": "2026-11-27T08:00:00Z", "appId": "A-B",
            "clientCredentialType": "clientAssertion", "status": { "errorCode": 0 },
            "servicePrincipalCredentialKeyId": "C-D", "ipAddress": "203.0.113.5",
            "uniqueTokenIdentifier": "abc==", "resourceId": "",
        });
        let mut without_status = whole.clone();
        without_status["status"] = json!(null);
        let mut without_time = whole.clone();
        without_time["createdDateTime"] = json!("yesterday");
        let body = json!({ "value": [7, without_status, whole, without_time, {}, null] });
        let page = parse_sign_ins_page(body.to_string().as_bytes()).unwrap();
        assert_eq!(page.damaged, 5);
        let [sign_in] = &page.entries[..] else { panic!("{page:?}") };
        assert_eq!((sign_in.client_id.as_str(), sign_in.key_id.as_deref()), ("a-b", Some("c-d")));
        assert_eq!((sign_in.uti.as_deref(), &sign_in.resource), (Some("abc"), &None));
        assert_eq!(sign_in.credential, CredentialKind::Certificate);
        assert!(parse_sign_ins_page(b"[]").is_err() && parse_sign_ins_page(b"{}").is_err());
    }

    #[test]
    fn a_tenant_with_many_sign_ins_is_told_from_one_with_few_by_the_first_page() {
        let since = datetime!(2026-11-27 00:00 UTC);
        let page = |oldest: OffsetDateTime| {
            let entry = |at: OffsetDateTime| {
                json!({
                    "id": "1", "createdDateTime": seconds(at, false), "appId": "a",
                    "status": { "errorCode": 0 },
                })
            };
            let body = json!({ "value": [entry(datetime!(2026-11-27 10:00 UTC)), entry(oldest)] });
            parse_sign_ins_page(body.to_string().as_bytes()).unwrap()
        };
        assert_eq!(pages(&page(datetime!(2026-11-27 09:00 UTC)), since), 10);
        assert_eq!(pages(&page(datetime!(2026-11-27 05:00 UTC)), since), 2);
        assert_eq!(pages(&page(datetime!(2026-11-27 10:00 UTC)), since), 36_000);
        let none = LogPage { entries: Vec::new(), damaged: 0, dated: Vec::new(), next: None };
        assert_eq!(pages(&none, since), 1);
    }
}
