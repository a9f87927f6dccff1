//! What happens in several drills.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc};

use mailkeep_identity::ReceiptLog;
use mailkeep_lab::{Granted, LabError, Overheard};
use mailkeep_model::{Address, Function, InvalidAddress};
use mailkeep_sentry::{BlastRadius, Incident, IncidentKind};
use mailkeep_service::{
    Acceptance, CanaryPlan, CanaryReport, Looked, Reconciled, ServiceError, Unobserved,
};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::{report::Report, site::Site};
use crate::{exit::Failure, output::Output};

/// Where thieves sit.
const ELSEWHERE: &str = "127.0.0.9";
/// Where we are.
const HERE: &str = "127.0.0.1";
/// Messages that a thief reads.
pub(super) const READS: usize = 5;

pub(super) fn elsewhere() -> IpAddr {
    ELSEWHERE.parse().expect("an address")
}

#[allow(clippy::needless_pass_by_value, reason = "as `map_err` wants it")]
pub(super) fn failed(error: LabError) -> Failure {
    Failure::failed(error.to_string())
}

/// A token that a worker of ours got, and the assertion that it got it with.
pub(super) struct Worked {
    pub(super) client_id: String,
    pub(super) token_endpoint: String,
    pub(super) assertion: String,
    /// What the worker called its request.
    pub(super) client_request_id: Uuid,
    pub(super) granted: Granted,
}

impl Site {
    /// A backup, a look at the logs and at the tenant: nothing is wrong.
    pub(super) async fn ordinary_day(
        &self,
        report: &mut Report,
        output: &Output,
    ) -> Result<(), Failure> {
        output.note("an ordinary day: a backup, and a look at the logs and at the tenant");
        self.service.backup(&self.tenant, &[], Arc::new(Unobserved)).await?;
        let logs = self.reconcile().await?;
        let looked = self.look().await?;
        report.expect(
            "our own uses raise no alarm",
            logs.incidents.is_empty() && looked.incidents.is_empty() && logs.ours.0 > 0,
            format!(
                "{} sign-ins of ours, {} incidents",
                logs.ours.0,
                logs.incidents.len() + looked.incidents.len()
            ),
        );
        Ok(())
    }

    /// Sends a canary, runs passes, and tells what became of it.
    pub(super) async fn canary(
        &self,
        deadline: Duration,
        output: &Output,
    ) -> Result<CanaryReport, Failure> {
        let plan = CanaryPlan::new(address(self.mailbox(1)?)?, address(self.mailbox(2)?)?);
        self.service.set_canary_plan(&self.tenant, Some(plan)).await?;
        let mut canary = self.service.send_canary(&self.tenant, Some(deadline)).await?;
        output.note(&format!("a canary from {} to {}", canary.from, canary.to));
        while canary.ended.is_none() {
            if self.service.backup(&self.tenant, &[], Arc::new(Unobserved)).await.is_err() {
                // It is refused at once, and the canary has its time all the same.
                tokio::time::sleep(std::time::Duration::from_millis(500)).await;
            }
            let now = OffsetDateTime::now_utc();
            canary = self.service.look_after_canary(&self.tenant, canary.id, now).await?;
        }
        Ok(canary)
    }

    pub(super) async fn reconcile(&self) -> Result<Reconciled, Failure> {
        Ok(self.service.reconcile(&self.tenant, OffsetDateTime::now_utc()).await?)
    }

    pub(super) async fn look(&self) -> Result<Looked, Failure> {
        let now = OffsetDateTime::now_utc();
        Ok(self.service.posture(&self.tenant, Acceptance::Compare, now).await?)
    }

    pub(super) async fn radius(&self) -> Result<BlastRadius, Failure> {
        Ok(self.service.blast_radius(&self.tenant, None, OffsetDateTime::now_utc()).await?)
    }

    /// What a worker does: it has an assertion signed, writes down that it is about to ask, asks, and
    /// writes down what it got.
    pub(super) async fn work(&self) -> Result<Worked, Failure> {
        let (job, name) = (Uuid::new_v4().into(), Uuid::new_v4());
        let (tenant, function) = (&self.tenant, Function::Reader);
        let signer = self.service.signer().await?;
        let signed =
            signer.sign_assertion(&job, tenant, function).await.map_err(ServiceError::from)?;
        let receipts = ReceiptLog::open(self.service.data().receipts());
        let unwritten = |error: mailkeep_identity::ReceiptError| Failure::failed(error.to_string());
        let receipts = receipts.map_err(unwritten)?;
        let now = OffsetDateTime::now_utc;
        receipts.intend(now(), name, &job, tenant, function, &signed.jti).map_err(unwritten)?;
        let assertion = signed.assertion.expose().to_owned();
        let on_its_way = Overheard {
            token_endpoint: &signed.token_endpoint,
            client_id: &signed.client_id,
            assertion: &assertion,
        };
        let here = HERE.parse().expect("an address");
        let granted = on_its_way.sent_on(&self.lab, here, name).await.map_err(failed)?;
        let expires = now() + Duration::seconds(granted.expires_in);
        let (request_id, uti) = (granted.request_id.as_deref(), granted.uti.as_deref());
        receipts.received(now(), name, request_id, uti, expires).map_err(unwritten)?;
        let (client_id, token_endpoint) = (signed.client_id, signed.token_endpoint);
        let client_request_id = name;
        Ok(Worked { client_id, token_endpoint, assertion, client_request_id, granted })
    }
}

fn address(text: &str) -> Result<Address, Failure> {
    text.parse().map_err(|error: InvalidAddress| Failure::failed(error.to_string()))
}

/// Whether an incident of that kind names the address.
pub(super) fn names(found: &Reconciled, kind: IncidentKind, address: IpAddr) -> bool {
    let incidents = found.incidents.iter().map(|(_, incident)| incident);
    let here = |one: &Incident| one.evidence.iter().any(|one| one.address == Some(address));
    incidents.filter(|incident| incident.kind == kind).any(here)
}

pub(super) fn titles<'a>(incidents: impl IntoIterator<Item = &'a Incident>) -> String {
    let titles: BTreeSet<&str> = incidents.into_iter().map(|one| one.kind.title()).collect();
    if titles.is_empty() {
        return "nothing".to_owned();
    }
    titles.into_iter().collect::<Vec<_>>().join("; ")
}

pub(super) fn accepted(is: bool) -> &'static str {
    if is { "ACCEPTED" } else { "refused" }
}

/// What he read is in the report, all of it and nothing else.
pub(super) fn expect_what_he_read(
    report: &mut Report,
    radius: &BlastRadius,
    victim: &str,
    read: &[String],
) {
    let his: BTreeSet<&str> = read.iter().map(String::as_str).collect();
    let told: BTreeSet<&str> = radius
        .mailboxes
        .get(victim)
        .into_iter()
        .flat_map(|reach| &reach.messages)
        .filter_map(|message| message.message_id.as_deref())
        .collect();
    let elsewhere: usize = radius
        .mailboxes
        .iter()
        .filter(|(mailbox, _)| *mailbox != victim)
        .map(|(_, reach)| reach.messages.len())
        .sum();
    report.expect(
        "the report has every message that he read, and no other",
        told == his && elsewhere == 0 && !his.is_empty(),
        format!("{} read, {} reported, {elsewhere} in other mailboxes", his.len(), told.len()),
    );
    let now = OffsetDateTime::now_utc();
    report.expect(
        "the report says until when his token may still work",
        radius.live_until.is_some_and(|until| until > now),
        radius.live_until.map_or_else(|| "nothing".to_owned(), |until| until.to_string()),
    );
}
