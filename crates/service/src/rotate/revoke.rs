//! Shutting a thief out: fresh keys for all functions of a tenant, and away with every credential that
//! is not ours.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use mailkeep_control::Tenant;
use mailkeep_exchange::{ExchangeError, Extras, NewKey, ObjectId, Registrar};
use mailkeep_identity::{
    CredentialInfo, Slot,
    rotation::{Order, Stage},
};
use mailkeep_model::{Function, RegisteredKey, RegisteredObject, Registration, TenantName};
use serde::Serialize;
use serde_json::json;
use time::{Duration, OffsetDateTime};

use super::{Rotation, course::name_at_the_provider};
use crate::{Service, ServiceError, watch::KnownKey};

/// What a revocation did and what is left to do.
#[derive(Clone, Debug, Serialize)]
pub struct Revocation {
    /// Whose.
    pub tenant: TenantName,
    /// The fresh keys.
    pub rotations: Vec<Rotation>,
    /// Credentials that were taken away because they are not ours.
    pub purged: Vec<Purged>,
    /// The functions of which tokens under continuous access evaluation were ended.
    pub cut: Vec<Function>,
    /// What somebody else has to do, most important first.
    pub left: Vec<Left>,
    /// Our applications as they were read last; `None` before that, and when something was changed since.
    #[serde(skip)]
    pub(super) seen: Option<Vec<Registration>>,
}

/// A credential that was taken away.
#[derive(Clone, Debug, Serialize)]
pub struct Purged {
    /// The function whose application it was on.
    pub function: Function,
    /// What it was.
    pub what: String,
}

/// Something that we may not do ourselves.
#[derive(Clone, Debug, Serialize)]
pub struct Left {
    /// The function whose application it is about.
    pub function: Function,
    /// What, and how.
    pub what: String,
}

/// How the two kinds of what is left begin.
const REMOVE: &str = "remove";
const PURGE: &str = "credentials that are not ours could not be looked for";

impl Revocation {
    /// Nothing done yet.
    pub(crate) fn of(tenant: &TenantName) -> Self {
        let (rotations, purged, cut, left) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { tenant: tenant.clone(), rotations, purged, cut, left, seen: None }
    }

    /// Whether nothing is left to do.
    pub fn is_complete(&self) -> bool {
        let settled = self.rotations.iter().all(|one| one.stage == Stage::Settled);
        settled && self.left.is_empty()
    }
}

impl Service {
    /// Shuts a tenant: every function gets a fresh key at once, the old ones are removed at the
    /// provider and found to be refused, and credentials that are not ours are taken away. What we
    /// may not do is said. The same call again goes on where this one stopped.
    ///
    /// `distrust` says that the keys which lie ready are not to be used either: whoever broke into
    /// the signer has them.
    ///
    /// # Errors
    /// [`ServiceError::NoTenant`]; what goes wrong with one function is in the report.
    pub async fn revoke(
        &self,
        name: &TenantName,
        reason: &str,
        distrust: bool,
        deadline: OffsetDateTime,
    ) -> Result<Revocation, ServiceError> {
        let tenant = self.tenant(name).await?;
        let at = the_next_second().await;
        let order = Order { at, distrust: distrust.then_some(at), urgent: true };
        let mut report = Revocation::of(name);
        let functions = self.begin_revocation(&tenant, reason, &mut report).await?;
        for function in functions {
            match self.rekey(&tenant, function, order.clone(), deadline).await {
                Ok(rotation) => report.rotations.push(rotation),
                Err(error) => report.left.push(Left { function, what: error.to_string() }),
            }
        }
        self.end_revocation(&tenant, &mut report).await;
        Ok(report)
    }

    /// Shuts what can be shut before keys are changed; the functions whose keys are to be changed.
    pub(super) async fn begin_revocation(
        &self,
        tenant: &Tenant,
        reason: &str,
        report: &mut Revocation,
    ) -> Result<Vec<Function>, ServiceError> {
        let name = &tenant.name;
        self.audit(name, "identity.revoke", json!({ "reason": reason })).await?;
        // The steward comes last: with its key the others are helped back in.
        let mut functions: Vec<Function> = self.functions_with_keys(name).await?;
        functions.sort_by_key(|function| *function == Function::Steward);
        self.retire_restorer(name).await?;
        // Once before, so that he gets no more tokens meanwhile, and once after: what he added meanwhile, and
        // certificates of ours that are no longer ours.
        self.purge_or_say(tenant, report).await;
        Ok(functions)
    }

    /// Takes away what was added while keys were changed.
    pub(super) async fn end_revocation(&self, tenant: &Tenant, report: &mut Revocation) {
        report.left.retain(|left| !left.what.starts_with(PURGE));
        // Where nothing was changed, what was read before is as good.
        if report.rotations.iter().any(|rotation| !rotation.done.is_empty()) {
            report.seen = None;
        }
        self.purge_or_say(tenant, report).await;
        self.cut_tokens_or_say(tenant, report).await;
    }

    /// The functions that have a key now.
    async fn functions_with_keys(&self, name: &TenantName) -> Result<Vec<Function>, ServiceError> {
        let all = self.signer().await?.credentials(Some(name)).await?;
        let bound = all.into_iter().filter(|one| one.binding.is_some() && !one.keys.is_empty());
        // The key that writes is not changed but ended: a restore that waits for it fails.
        let functions = bound.map(|one| one.key_use.function);
        Ok(functions.filter(|one| *one != Function::Restorer).collect())
    }

    /// A fresh key; with the steward's help, when nothing else is left.
    async fn rekey(
        &self,
        tenant: &Tenant,
        function: Function,
        order: Order,
        deadline: OffsetDateTime,
    ) -> Result<Rotation, ServiceError> {
        let rotation = self.rotate_with(&tenant.name, function, order, deadline).await?;
        if rotation.stage != Stage::LockedOut || function == Function::Steward {
            return Ok(rotation);
        }
        match self.let_back_in(tenant, function).await {
            Ok(true) => {}
            Ok(false) => return Ok(rotation),
            // What an administrator has to do counts for more than why the steward could not.
            Err(error) => {
                tracing::warn!(tenant = %tenant.name, %function, %error, "the steward could not help");
                return Ok(rotation);
            }
        }
        self.tend_keys(&tenant.name, function, deadline).await
    }

    /// Registers the prepared key as the steward, in the place of all others. Tells whether there is
    /// a steward.
    pub(super) async fn let_back_in(
        &self,
        tenant: &Tenant,
        function: Function,
    ) -> Result<bool, ServiceError> {
        let Some(steward) = self.steward(tenant).await? else { return Ok(false) };
        // Whoever changes keys meanwhile would lose the one that he has just registered.
        let _lease = self.data.key_lease(&tenant.name, function)?;
        let all = self.signer().await?.credentials(Some(&tenant.name)).await?;
        let Some(credential) = all.iter().find(|one| one.key_use.function == function) else {
            return Ok(false);
        };
        let prepared = credential.keys.iter().find(|key| key.slot == Slot::Prepared);
        let (Some(prepared), Some(binding)) = (prepared, &credential.binding) else {
            return Ok(false);
        };
        let Some(certificate) = prepared.certificate.certificate_der() else { return Ok(false) };
        // Known since the first rotation; before that, the auditor has to be able to look.
        let object_id = match &binding.object_id {
            Some(id) => id.clone(),
            None => {
                let registrations = self.learn_of_registrations(tenant).await?;
                let same =
                    |one: &&Registration| one.client_id.eq_ignore_ascii_case(&binding.client_id);
                let Some(found) = registrations.iter().find(same) else { return Ok(false) };
                found.application.id.clone()
            }
        };
        let object = ObjectId::Application(object_id);
        let name = name_at_the_provider(&tenant.name, function);
        let new = NewKey { certificate: &certificate, name: &name };
        let mut known = self.known_keys_with(&tenant.name, &all).await?;
        let Some(known) = known.iter_mut().find(|known| known.key_id == prepared.key_id) else {
            return Ok(false);
        };
        known.note.found.requested = Some(OffsetDateTime::now_utc());
        self.note_key(&tenant.name, known).await?;
        let there = steward.replace_keys(&object, &[], &[new]).await?;
        let added =
            there.iter().find(|key| key.thumbprint.as_ref() == Some(&known.note.thumbprint));
        if let Some(added) = added {
            known.note.found.registered = Some(OffsetDateTime::now_utc());
            known.note.provider_id = Some(added.key_id.clone());
            known.note.known_as.insert(added.key_id.clone());
            self.note_key(&tenant.name, known).await?;
        }
        Ok(true)
    }

    pub(super) async fn steward(&self, tenant: &Tenant) -> Result<Option<Registrar>, ServiceError> {
        let function = Function::Steward;
        match self.connection(tenant, function, Extras::default(), &self.new_job()).await {
            Ok((config, access)) => Ok(Some(Registrar::new(config, access)?)),
            Err(ServiceError::NotRegistered { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// [`Self::purge`]; when that cannot be begun, what that leaves.
    pub(crate) async fn purge_or_say(&self, tenant: &Tenant, report: &mut Revocation) {
        if let Err(error) = self.purge(tenant, report).await {
            let what = format!("{PURGE}: {error}");
            report.left.push(Left { function: Function::Auditor, what });
        }
    }

    /// Takes away what is not ours, as far as the steward may; the rest is said.
    async fn purge(&self, tenant: &Tenant, report: &mut Revocation) -> Result<(), ServiceError> {
        // From the reading to the writing: a key that is registered in between would be taken away.
        let mut leases = BTreeMap::new();
        for function in tenant.functions.iter().map(|one| one.function) {
            match self.data.key_lease(&tenant.name, function) {
                Ok(lease) => drop(leases.insert(function, lease)),
                Err(error) => {
                    report.left.push(Left { function, what: format!("{PURGE}: {error}") });
                }
            }
        }
        let registrations = self.registrations_for(tenant, report).await?;
        let held = self.signer().await?.credentials(Some(&tenant.name)).await?;
        let known = self.known_keys_with(&tenant.name, &held).await?;
        let known = self.vouched_keys(&tenant.name, known, &held, &registrations).await?;
        let steward = self.steward(tenant).await?;
        let accepted = self.watch(&tenant.name).await?.accepted_owners();
        let mut changed = false;
        for registration in &registrations {
            let Some(function) = tenant.function_of(&registration.client_id) else { continue };
            if !leases.contains_key(&function) {
                continue;
            }
            // Ours is what the signer has now, for this function. A key that was ours once, or is another
            // function's, is somebody else's tool here.
            let keys = held.iter().filter(|one| one.key_use.function == function);
            let here: HashSet<&str> =
                keys.flat_map(|one| &one.keys).map(|key| key.key_id.as_str()).collect();
            let ours: HashSet<String> = known
                .iter()
                .filter(|one| {
                    here.contains(one.key_id.as_str()) && one.note.found.removed.is_none()
                })
                .flat_map(|one| &one.note.known_as)
                .map(|name| name.to_ascii_lowercase())
                .collect();
            report.left.retain(|left| left.function != function || !left.what.starts_with(REMOVE));
            let shown = shows_the_key_in_use(registration, function, &known, &held);
            for foreign in Foreign::of(registration, &ours, &accepted) {
                let what = foreign.what();
                let gone = match &steward {
                    // What is replaced would take our own key along.
                    _ if !shown && matches!(foreign, Foreign::Key { .. }) => {
                        Err("the directory does not show our own key yet; run this again"
                            .to_owned())
                    }
                    Some(steward) => {
                        foreign.remove(steward).await.map_err(|error| error.to_string())
                    }
                    None => Err("there is no steward's key".to_owned()),
                };
                match gone {
                    Ok(()) => {
                        report.purged.push(Purged { function, what });
                        changed = true;
                    }
                    Err(why) => {
                        let what = format!("{REMOVE} {what} ({why})");
                        report.left.push(Left { function, what });
                    }
                }
            }
        }
        report.seen = (!changed).then_some(registrations);
        Ok(())
    }

    /// Our applications as they are: read once, and again only when something was changed since.
    pub(super) async fn registrations_for(
        &self,
        tenant: &Tenant,
        report: &mut Revocation,
    ) -> Result<Vec<Registration>, ServiceError> {
        match report.seen.take() {
            Some(seen) => Ok(seen),
            None => self.learn_of_registrations(tenant).await,
        }
    }
}

/// Whether a registration, as it was read, has the key that signs now. One that does not is no reading to
/// tell ours from others by.
fn shows_the_key_in_use(
    registration: &Registration,
    function: Function,
    known: &[KnownKey],
    held: &[CredentialInfo],
) -> bool {
    let credential = held.iter().find(|one| one.key_use.function == function);
    let active = credential.and_then(|one| one.keys.iter().find(|key| key.slot == Slot::Active));
    let note = active.and_then(|active| known.iter().find(|one| one.key_id == active.key_id));
    // A key that the provider refuses is not there, as it should be.
    note.filter(|one| one.note.found.accepted > one.note.found.refused).is_none_or(|one| {
        let keys = &registration.application.keys;
        keys.iter().any(|key| key.thumbprint.as_ref() == Some(&one.note.thumbprint))
    })
}

/// Certificates know whole seconds. A key that is made from now on must not look as old as one that was
/// made just before.
pub(super) async fn the_next_second() -> OffsetDateTime {
    let now = OffsetDateTime::now_utc();
    let whole = now.replace_nanosecond(0).unwrap_or(now) + Duration::seconds(1);
    tokio::time::sleep(std::time::Duration::try_from(whole - now).unwrap_or_default()).await;
    whole
}

/// A credential on an application of ours that is not ours.
enum Foreign<'a> {
    Key { on: ObjectId, keep: Vec<String>, id: &'a str, name: &'a str },
    Password { on: ObjectId, id: &'a str, name: &'a str },
    Federated { application: &'a str, id: &'a str, name: &'a str, issuer: &'a str },
    Owner { on: ObjectId, id: &'a str },
}

impl<'a> Foreign<'a> {
    fn of(
        registration: &'a Registration,
        ours: &HashSet<String>,
        accepted: &BTreeMap<String, BTreeSet<String>>,
    ) -> Vec<Self> {
        let mut found = Vec::new();
        let application = &registration.application;
        let on_application = ObjectId::Application(application.id.clone());
        Self::on_object(application, &on_application, ours, accepted, &mut found);
        if let Some(principal) = &registration.principal {
            let on_principal = ObjectId::Principal(principal.id.clone());
            Self::on_object(principal, &on_principal, ours, accepted, &mut found);
        }
        found.extend(registration.federated.iter().map(|one| Self::Federated {
            application: &application.id,
            id: &one.id,
            name: &one.name,
            issuer: &one.issuer,
        }));
        found
    }

    fn on_object(
        object: &'a RegisteredObject,
        on: &ObjectId,
        ours: &HashSet<String>,
        accepted: &BTreeMap<String, BTreeSet<String>>,
        found: &mut Vec<Self>,
    ) {
        // Whoever adds a certificate chooses its id himself; its thumbprint he does not.
        let is_ours = |key: &&RegisteredKey| {
            let name = key.thumbprint.as_ref().unwrap_or(&key.key_id);
            ours.contains(&name.to_ascii_lowercase())
        };
        let keep: Vec<String> =
            object.keys.iter().filter(is_ours).map(|key| key.key_id.clone()).collect();
        for key in object.keys.iter().filter(|key| !is_ours(key)) {
            found.push(Self::Key {
                on: on.clone(),
                keep: keep.clone(),
                id: &key.key_id,
                name: key.name.as_deref().unwrap_or("without a name"),
            });
        }
        found.extend(object.passwords.iter().map(|password| Self::Password {
            on: on.clone(),
            id: &password.key_id,
            name: password.name.as_deref().unwrap_or("without a name"),
        }));
        // Of one that nobody ever looked at, nobody knows whose owners they are.
        if let Some(accepted) = accepted.get(&object.id) {
            let foreign = object.owners.iter().filter(|owner| !accepted.contains(*owner));
            found.extend(foreign.map(|id| Self::Owner { on: on.clone(), id }));
        }
    }

    fn what(&self) -> String {
        match self {
            Self::Key { on, id, name, .. } => {
                format!("the certificate {id} ('{name}') on {}", object(on))
            }
            Self::Password { on, id, name } => {
                format!("the password {id} ('{name}') on {}", object(on))
            }
            Self::Federated { name, issuer, .. } => {
                format!("the federated credential '{name}' of issuer {issuer}")
            }
            Self::Owner { on, id } => format!("the owner {id} of {}", object(on)),
        }
    }

    async fn remove(&self, steward: &Registrar) -> Result<(), ExchangeError> {
        match self {
            Self::Key { on, keep, .. } => steward.replace_keys(on, keep, &[]).await.map(drop),
            Self::Password { on, id, .. } => steward.remove_password(on, id).await,
            Self::Federated { application, id, .. } => {
                steward.remove_federated(application, id).await
            }
            Self::Owner { on, id } => steward.remove_owner(on, id).await,
        }
    }
}

fn object(on: &ObjectId) -> &'static str {
    match on {
        ObjectId::Application(_) => "the application",
        ObjectId::Principal(_) => "its service principal",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thief_s_certificate_is_not_kept_because_he_gave_it_the_name_of_ours() {
        let (ours, his) = ("A".repeat(64), "B".repeat(64));
        let key = |id: &str, thumbprint: Option<&str>| RegisteredKey {
            key_id: id.into(),
            thumbprint: thumbprint.map(str::to_owned),
            identifier: Some(ours.clone()),
            name: None,
            start: None,
            end: None,
        };
        let keys = vec![
            key("theirs", Some(&ours)),
            key("ours", Some(&his)),
            key("ours", None),
            key("other", None),
        ];
        let (name, passwords, owners) = ("reader".into(), Vec::new(), Vec::new());
        let object = RegisteredObject { id: "o".into(), name, keys, passwords, owners };
        let known: HashSet<String> = ["ours".to_owned(), ours.to_lowercase()].into();
        let (on, mut found) = (ObjectId::Application("o".into()), Vec::new());
        Foreign::on_object(&object, &on, &known, &BTreeMap::new(), &mut found);
        let foreign: Vec<String> = found.iter().map(Foreign::what).collect();
        assert_eq!(foreign.len(), 2, "{foreign:?}");
        assert!(foreign[0].contains("certificate ours"), "{foreign:?}");
        assert!(foreign[1].contains("certificate other"), "{foreign:?}");
    }
}
