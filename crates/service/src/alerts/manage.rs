use std::time::Duration;

use mailkeep_control::{
    Acknowledgement, AlertDestination, AuditEntry, NewAlertDestination, incident_subject,
};
use mailkeep_identity::SecretName;
use serde_json::json;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{AlertMessage, DestinationName, Rule, Target, send::send};
use crate::{Service, ServiceError, service::actor};

/// How long a test may take.
const TEST_TIME: Duration = Duration::from_secs(20);

/// Relays that are the tenants' own way for mail: Exchange Online's.
const PROVIDERS_RELAYS: &[&str] =
    &["mail.protection.outlook.com", "mx.microsoft", "smtp.office365.com", "outlook.office365.com"];

/// A destination, and how it goes.
#[derive(Clone, Debug)]
pub struct Destination {
    /// What `control` knows of it.
    pub stored: AlertDestination,
    /// What it is told.
    pub rule: Rule,
}

impl Service {
    /// Adds a destination: its target goes to the signer, `control` learns where it is and no more.
    /// Tells what makes it less good than it looks, in words.
    ///
    /// # Errors
    /// [`ServiceError::Alert`] when the target cannot be used,
    /// [`AlreadyExists`](mailkeep_control::ControlError::AlreadyExists), and what the signer refuses.
    pub async fn add_alert_destination(
        &self,
        name: &DestinationName,
        target: &Target,
        plain: bool,
        rule: &Rule,
        now: OffsetDateTime,
    ) -> Result<Vec<String>, ServiceError> {
        target.check(plain).map_err(|reason| refused(name, reason))?;
        for tenant in &rule.tenants {
            self.tenant(tenant).await?;
        }
        let known = self.control.alert_destinations().await?;
        let is_new = known.iter().all(|one| one.name != name.as_str());
        // The secret comes first: a destination without one would look set up. That of a destination
        // which is there stays as it is; adding the name then says so.
        if is_new {
            let signer = self.signer().await?;
            signer.store_own_secret(&self.new_job(), &secret_name(name), target.seal()).await?;
        }
        let new = NewAlertDestination {
            name: name.as_str().to_owned(),
            kind: target.kind().to_owned(),
            host: target.host(),
            settings: serde_json::to_value(rule).expect("names and numbers serialise"),
        };
        let details = json!({"name": name, "kind": new.kind, "host": new.host, "rule": rule});
        self.control.add_alert_destination(new, now).await?;
        self.audit_own("alerts.add", details, now).await?;
        let mut doubts = self.relay_doubts(&target.host()).await?;
        if let Target::Smtp { to, .. } = target {
            doubts.extend(self.recipient_doubts(to).await?);
        }
        Ok(doubts)
    }

    /// Removes a destination, what waits for it, and its secret. Tells whether there was one.
    ///
    /// # Errors
    /// What `control` and the signer refuse.
    pub async fn remove_alert_destination(
        &self,
        name: &DestinationName,
        now: OffsetDateTime,
    ) -> Result<bool, ServiceError> {
        let signer = self.signer().await?;
        let removed = self.control.remove_alert_destination(name.as_str()).await?;
        signer.forget_own_secret(&self.new_job(), &secret_name(name)).await?;
        if removed {
            self.audit_own("alerts.remove", json!({ "name": name }), now).await?;
        }
        Ok(removed)
    }

    /// All destinations, by name.
    ///
    /// # Errors
    /// What `control` refuses.
    pub async fn alert_destinations(&self) -> Result<Vec<Destination>, ServiceError> {
        let all = self.control.alert_destinations().await?;
        all.into_iter()
            .map(|stored| {
                let rule = serde_json::from_value(stored.settings.clone()).map_err(|error| {
                    ServiceError::Alert {
                        destination: stored.name.clone(),
                        reason: format!("its settings cannot be understood: {error}"),
                    }
                })?;
                Ok(Destination { stored, rule })
            })
            .collect()
    }

    /// Sends a destination something that says it is a test, at once and past the queue.
    ///
    /// # Errors
    /// [`ServiceError::Alert`] when it did not arrive, with the reason.
    pub async fn test_alert_destination(
        &self,
        name: &DestinationName,
        now: OffsetDateTime,
    ) -> Result<(), ServiceError> {
        let target = self.alert_target(name).await?;
        let id = Uuid::new_v4().to_string();
        let sent = send(&target, &AlertMessage::test(now, &id), &id, TEST_TIME).await;
        sent.map_err(|unsent| refused(name, unsent.what))
    }

    /// Notes that the one who runs this looks after an incident, which is not repeated until then.
    /// Tells who that is; `None` when no open incident has that number.
    ///
    /// # Errors
    /// What `control` refuses.
    pub async fn acknowledge_incident(
        &self,
        id: i64,
        until: Option<OffsetDateTime>,
        note: &str,
        now: OffsetDateTime,
    ) -> Result<Option<String>, ServiceError> {
        let incident = self.control.incident(id).await?;
        let Some(incident) = incident.filter(|incident| incident.closed.is_none()) else {
            return Ok(None);
        };
        let who = actor();
        let note = note.to_owned();
        let acknowledgement = Acknowledgement { at: now, who: who.clone(), until, note };
        self.control.acknowledge(&incident_subject(id), acknowledgement).await?;
        self.audit(&incident.tenant, "incident.acknowledge", json!({ "incident": id })).await?;
        Ok(Some(who))
    }

    /// What speaks against a relay, by its host: that it is the way of mail which may be broken, or in
    /// the thief's hands.
    ///
    /// # Errors
    /// What `control` refuses.
    pub async fn relay_doubts(&self, host: &str) -> Result<Vec<String>, ServiceError> {
        let host = host.rsplit_once(':').map_or(host, |(host, _)| host).to_ascii_lowercase();
        let providers = PROVIDERS_RELAYS.iter().map(|name| (*name).to_owned());
        let domains = self.tenants_domains().await?.into_iter().map(|(_, domain)| domain);
        let is_below = |domain: &String| {
            host == *domain || host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
        };
        let found = providers.chain(domains).find(is_below);
        Ok(found
            .map(|domain| {
                format!(
                    "the relay {host} belongs to {domain}: when that mail is broken or in other hands, its alerts are, too; use a relay of somebody else"
                )
            })
            .into_iter()
            .collect())
    }

    async fn recipient_doubts(&self, to: &[String]) -> Result<Vec<String>, ServiceError> {
        let domains = self.tenants_domains().await?;
        let doubt = |address: &String| {
            let domain = address.trim_end_matches('>').rsplit_once('@')?.1.to_ascii_lowercase();
            let (tenant, _) = domains.iter().find(|(_, known)| *known == domain)?;
            Some(format!(
                "{address} is a mailbox of tenant {tenant}: whoever reads mail there reads its alerts, and may delete them"
            ))
        };
        Ok(to.iter().filter_map(doubt).collect())
    }

    /// Tenants and their domains, lower case.
    async fn tenants_domains(&self) -> Result<Vec<(String, String)>, ServiceError> {
        let tenants = self.control.tenants().await?;
        let mut domains = Vec::new();
        for tenant in tenants {
            let mailboxes = self.control.mailboxes(&tenant.name).await?;
            let of_mailboxes = mailboxes.iter().filter_map(|one| {
                one.mailbox.address.as_str().rsplit_once('@').map(|(_, domain)| domain.to_owned())
            });
            let mut all: Vec<String> = tenant.domains.into_iter().chain(of_mailboxes).collect();
            all.iter_mut().for_each(|domain| domain.make_ascii_lowercase());
            all.sort();
            all.dedup();
            domains.extend(all.into_iter().map(|domain| (tenant.name.to_string(), domain)));
        }
        Ok(domains)
    }

    pub(super) async fn alert_target(
        &self,
        name: &DestinationName,
    ) -> Result<Target, ServiceError> {
        let signer = self.signer().await?;
        let sealed = signer.release_own_secret(&self.new_job(), &secret_name(name)).await?;
        Target::unseal(&sealed).ok_or_else(|| {
            refused(name, "what the signer keeps of it cannot be understood".to_owned())
        })
    }

    /// Writes down who did what that concerns no tenant.
    async fn audit_own(
        &self,
        action: &str,
        details: serde_json::Value,
        time: OffsetDateTime,
    ) -> Result<(), ServiceError> {
        let entry =
            AuditEntry { time, actor: actor(), action: action.to_owned(), tenant: None, details };
        Ok(self.control.audit(entry).await?)
    }
}

fn secret_name(name: &DestinationName) -> SecretName {
    format!("alert-{name}").parse().expect("short enough, and of the same characters")
}

fn refused(name: &DestinationName, reason: String) -> ServiceError {
    ServiceError::Alert { destination: name.as_str().to_owned(), reason }
}
