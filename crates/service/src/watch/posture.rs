//! The posture check: what a tenant has of ours, held against what we expect of it.

use std::collections::{BTreeMap, HashMap};

use mailkeep_control::{Recorded, Tenant};
use mailkeep_identity::{CredentialInfo, Slot};
use mailkeep_model::{Actor, DirectoryChange, Function, Registration, TenantName};
use mailkeep_sentry::{
    Accepted, Deviation, DeviationKind, Evidence, Expected, ExpectedApplication, ExpectedKey,
    Found, Incident, IncidentKind, KeyPlace, Posture, Source, posture,
};
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use super::{KnownKey, LogName, Watch, reconcile::client_ids};
use crate::{
    ErrorKind, Service, ServiceError,
    alerts::at as instant,
    rights::{Right, harmless, rights},
};

/// The directory may answer from before a key was registered.
const SETTLES: Duration = Duration::minutes(15);
/// How far back changes are looked for that explain what is not as expected.
const EXPLAINED: Duration = Duration::days(7);

/// What was seen of a tenant's configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PostureSeen {
    /// When it was looked at last.
    #[serde(with = "time::serde::rfc3339")]
    pub(super) at: OffsetDateTime,
    /// What an administrator chose, as it was accepted.
    pub(super) accepted: Accepted,
    /// What was not as expected, and since when it is found so.
    #[serde(default)]
    pub(super) standing: BTreeMap<String, Since>,
}

/// Since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Since(#[serde(with = "time::serde::rfc3339")] pub(super) OffsetDateTime);

/// What stands when the auditor may not look any more.
const BLINDED: &str = "the auditor is refused";
/// Changes in the directory's log that one incident is given.
const MOST_CHANGES: usize = 20;

/// What is to be done with what an administrator may have chosen: owners, rights, locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acceptance {
    /// It is held against what was accepted before.
    Compare,
    /// It is accepted as it is now. Credentials that are not ours never are.
    Accept,
}

/// A look at a tenant.
#[derive(Debug)]
pub struct Looked {
    /// What deviates.
    pub posture: Posture,
    /// Our applications as they are.
    pub registrations: Vec<(Function, Option<Registration>)>,
    /// How each is locked to addresses, where Conditional Access was read.
    pub locks: HashMap<Function, String>,
    /// The incidents that it comes to.
    pub incidents: Vec<(Recorded, Incident)>,
    /// When it was looked at before; `None`: what an administrator chose was accepted now.
    pub before: Option<OffsetDateTime>,
    /// What was not looked at, and why.
    pub unseen: Vec<String>,
}

/// What is seen of Exchange's own configuration, and since when.
fn exchange_seen(watch: &Watch) -> String {
    const PARTS: &str =
        "RBAC scopes, journal rules, connectors, transport rules, audit bypass, forwarding";
    let changes = match watch.read.get(&LogName::ExchangeChanges) {
        Some(read) => format!(
            "its changes since {} were read {} from the log of Exchange's administrators, which takes up to a day",
            instant(read.since),
            instant(read.until)
        ),
        None => "not even its changes: the log of Exchange's administrators was never read ('mailkeep identity reconcile')".to_owned(),
    };
    let standing = match &watch.exchange {
        None => "no snapshot was taken ('mailkeep tenant setup TENANT --exchange-configuration' says what that needs)".to_owned(),
        Some(seen) => {
            let at = seen.at.map_or("no snapshot was read yet".to_owned(), |at| {
                format!("the last snapshot that was read is of {}", instant(at))
            });
            if seen.failed.is_empty() {
                return format!(
                    "of Exchange's own configuration audit bypass and management scopes, and the rest since then: {at}; {changes}"
                );
            }
            format!("{at}; what failed: {}", seen.failed.join("; "))
        }
    };
    format!(
        "Exchange's own configuration as it stands ({PARTS}; look at it by hand once): {standing}; {changes}"
    )
}

impl Service {
    /// Looks at what a tenant has of ours, and keeps what is not as expected as incidents.
    ///
    /// # Errors
    /// [`ServiceError::NotRegistered`] without an auditor; what the provider refuses.
    pub async fn posture(
        &self,
        name: &TenantName,
        acceptance: Acceptance,
        now: OffsetDateTime,
    ) -> Result<Looked, ServiceError> {
        let tenant = self.tenant(name).await?;
        let watch = self.watch(name).await?;
        let auditor = self.auditor(&tenant).await?;
        let registrations = match auditor.registrations(&client_ids(&tenant)).await {
            Ok(registrations) => registrations,
            Err(error) => {
                let error = ServiceError::from(error);
                // Whoever takes our sight away has a reason. One who never could see was not set up yet.
                if error.kind() == ErrorKind::Refused {
                    self.blinded(&tenant, &watch, &error, now).await?;
                }
                return Err(error);
            }
        };
        let there: Vec<Registration> =
            registrations.iter().filter_map(|(_, one)| one.clone()).collect();
        self.learn_key_ids(name, &there).await?;
        let mut unseen = vec![exchange_seen(&watch)];
        let rules = match auditor.access_policies().await {
            Ok(rules) => Some(rules),
            Err(error) => {
                unseen.push(format!("Conditional Access: {error}"));
                None
            }
        };
        let before = watch.posture.clone();
        let expected = Expected {
            applications: self.expected_applications(&tenant, &there, &watch, now).await?,
            egress: watch.egress.clone(),
            accepted: before.as_ref().map(|seen| seen.accepted.clone()),
        };
        let found = Found { registrations, rules };
        let posture = posture(&expected, &found);
        let accepted = match acceptance {
            Acceptance::Compare => posture.accepted.clone(),
            Acceptance::Accept => posture.present.clone(),
        };
        let stood = before.as_ref().map(|seen| &seen.standing);
        let mut standing = BTreeMap::new();
        let mut open: Vec<(&Deviation, Incident)> = Vec::new();
        let mut news = false;
        for deviation in &posture.deviations {
            let explained = acceptance == Acceptance::Accept && deviation.kind.is_chosen();
            let known = stood.and_then(|stood| stood.get(&deviation.key())).copied();
            let since = known.unwrap_or(Since(now));
            if let Some(incident) = deviation.incident(since.0).filter(|_| !explained) {
                news |= known.is_none();
                standing.insert(deviation.key(), since);
                open.push((deviation, incident));
            }
        }
        // Who did what is asked once.
        if news {
            let since = before.as_ref().map_or(now - EXPLAINED, |seen| seen.at - EXPLAINED);
            match auditor.directory_changes(since, now).await {
                Ok(told) => {
                    let own: Vec<&str> = there
                        .iter()
                        .filter_map(|one| Some(one.principal.as_ref()?.id.as_str()))
                        .collect();
                    for (deviation, incident) in &mut open {
                        explain(incident, deviation, &told.entries, &own);
                    }
                }
                Err(error) => unseen.push(format!("who changed what: {error}")),
            }
        }
        let mut incidents = Vec::new();
        for incident in one_of_a_kind(open.into_iter().map(|(_, incident)| incident)) {
            incidents.push(self.keep_incident(name, &incident, now).await?);
        }
        // Only now: what is not kept is found again.
        let loaded = before.as_ref().map(|seen| seen.at);
        self.change_watch(name, |watch| {
            let meanwhile = watch.posture.as_ref().filter(|kept| Some(kept.at) != loaded);
            // What somebody accepted while this one looked stays accepted.
            let accepted = match (meanwhile, acceptance) {
                (Some(kept), Acceptance::Compare) => kept.accepted.clone(),
                _ => accepted,
            };
            watch.posture = Some(PostureSeen { at: now, accepted, standing });
        })
        .await?;
        if acceptance == Acceptance::Accept {
            self.audit(name, "identity.posture.accept", serde_json::json!({})).await?;
        }
        let locks = posture.present.locks.iter();
        Ok(Looked {
            locks: locks
                .filter_map(|(id, lock)| Some((tenant.function_of(id)?, lock.text())))
                .collect(),
            registrations: found
                .registrations
                .into_iter()
                .filter_map(|(client_id, one)| Some((tenant.function_of(&client_id)?, one)))
                .collect(),
            posture,
            incidents,
            before: before.map(|seen| seen.at),
            unseen,
        })
    }

    /// Keeps that the auditor may not look any more, unless it never could, or it is our own doing.
    async fn blinded(
        &self,
        tenant: &Tenant,
        watch: &Watch,
        error: &ServiceError,
        now: OffsetDateTime,
    ) -> Result<(), ServiceError> {
        let Some(before) = watch.posture.as_ref().filter(|_| watch.switching.is_empty()) else {
            return Ok(());
        };
        let since = before.standing.get(BLINDED).copied().unwrap_or(Since(now));
        let incident = blinded(tenant, error, since.0);
        self.keep_incident(&tenant.name, &incident, now).await?;
        self.change_watch(&tenant.name, |watch| {
            if let Some(seen) = &mut watch.posture {
                seen.standing.insert(BLINDED.to_owned(), since);
            }
        })
        .await
    }

    async fn expected_applications(
        &self,
        tenant: &Tenant,
        there: &[Registration],
        watch: &Watch,
        now: OffsetDateTime,
    ) -> Result<Vec<ExpectedApplication>, ServiceError> {
        let held = self.signer().await?.credentials(Some(&tenant.name)).await?;
        let known = self.known_keys_with(&tenant.name, &held).await?;
        let known = self.vouched_keys(&tenant.name, known, &held, there).await?;
        let needs = self.needs(&tenant.name).await?;
        let names = |rights: Vec<Right>| -> Vec<String> {
            rights.into_iter().map(|right| right.name.to_owned()).collect()
        };
        let application = |one: &mailkeep_control::TenantFunction| {
            let keys = known.iter().filter(|key| key.function == one.function);
            ExpectedApplication {
                client_id: one.client_id.to_ascii_lowercase(),
                function: one.function,
                keys: keys.map(|key| expected_key(key, &held, now)).collect(),
                rights: names(rights(one.function, needs)),
                tolerated: harmless(one.function).iter().map(|&name| name.to_owned()).collect(),
                is_being_switched: there.iter().any(|there| {
                    let same = there.client_id.eq_ignore_ascii_case(&one.client_id);
                    let principal = there.principal.as_ref();
                    same && principal.is_some_and(|one| watch.switching.contains(&one.id))
                }),
            }
        };
        Ok(tenant.functions.iter().map(application).collect())
    }
}

/// That the auditor may not look any more.
fn blinded(tenant: &Tenant, error: &ServiceError, since: OffsetDateTime) -> Incident {
    let function = Function::Auditor;
    let auditor = tenant.functions.iter().find(|one| one.function == function);
    let evidence = Evidence {
        at: since,
        source: Source::Posture,
        record: format!("{BLINDED} since {}", since.unix_timestamp()),
        text: format!("the auditor could look, and is refused now: {error}"),
        address: None,
        uti: None,
    };
    let client_id = auditor.map(|one| one.client_id.to_ascii_lowercase());
    Incident::of(IncidentKind::ProtectionOff, client_id, Some(function), "auditor", evidence)
}

/// The same on an application and on its service principal is one incident.
fn one_of_a_kind(all: impl Iterator<Item = Incident>) -> Vec<Incident> {
    let mut found: Vec<Incident> = Vec::new();
    for incident in all {
        match found.iter_mut().find(|known| known.key() == incident.key()) {
            Some(known) => *known = known.clone().with(&incident),
            None => found.push(incident),
        }
    }
    found
}

fn expected_key(key: &KnownKey, held: &[CredentialInfo], now: OffsetDateTime) -> ExpectedKey {
    let of_function = held.iter().filter(|one| one.key_use.function == key.function);
    let held = of_function.flat_map(|one| &one.keys).find(|one| one.key_id == key.key_id);
    let found = &key.note.found;
    let fresh = found.registered.is_some_and(|at| now - at < SETTLES);
    let place = match held {
        _ if found.removed.is_some_and(|at| now - at >= SETTLES) => KeyPlace::Removed,
        None => KeyPlace::Destroyed,
        Some(held)
            if held.slot == Slot::Active
                && found.removed.is_none()
                && key.note.provider_id.is_some()
                && !fresh =>
        {
            KeyPlace::Registered
        }
        Some(_) => KeyPlace::Changing,
    };
    let known_as = key.note.known_as.iter().cloned().collect();
    ExpectedKey { key_id: key.key_id.clone(), known_as, place }
}

/// Adds the newest changes in the provider's log that are about the same. One that our own application
/// made is a rotation of ours, or the work of whoever has its key.
fn explain(
    incident: &mut Incident,
    deviation: &Deviation,
    changes: &[DirectoryChange],
    own: &[&str],
) {
    let about = |change: &&DirectoryChange| {
        change.targets.iter().any(|target| match deviation.kind {
            DeviationKind::Unlocked => target.kind == "Policy",
            _ => deviation.objects.contains(&target.id),
        })
    };
    let mut changes: Vec<&DirectoryChange> = changes.iter().filter(about).collect();
    changes.sort_by_key(|change| std::cmp::Reverse(change.at));
    for change in changes.into_iter().take(MOST_CHANGES) {
        let by_us = matches!(&change.actor, Actor::Application { principal, .. } if own.contains(&principal.as_str()));
        let who = match by_us {
            true => {
                "our own application: a change of keys by us, or whoever has its key".to_owned()
            }
            false => actor(&change.actor),
        };
        incident.add(Evidence {
            at: change.at,
            source: Source::DirectoryChanges,
            record: change.id.clone(),
            text: format!("'{}' by {who}", change.activity),
            address: match &change.actor {
                Actor::User { address, .. } => *address,
                _ => None,
            },
            uti: None,
        });
    }
}

fn actor(actor: &Actor) -> String {
    match actor {
        Actor::User { name, address: Some(address) } => format!("{name}, from {address}"),
        Actor::User { name, address: None } => name.clone(),
        Actor::Application { name, principal } => format!("application '{name}' ({principal})"),
        Actor::Unknown => "somebody whom the log does not name".to_owned(),
    }
}
