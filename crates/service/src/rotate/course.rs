//! One function's rotation, step by step.

use mailkeep_control::Tenant;
use mailkeep_exchange::{ExchangeError, Extras, NewKey, ObjectId, Registrar};
use mailkeep_identity::{
    Binding, CredentialInfo, JobId, KeyInfo, Slot,
    rotation::{
        Action, KeyFacts, Order, Policy, Stage, held, needs_the_authority, next, ordered, stage,
    },
};
use mailkeep_model::{Function, TenantName};
use time::{Duration, OffsetDateTime};

use super::{Rotation, Step, StepKind};
use crate::{
    Service, ServiceError,
    data::Lease,
    watch::{KnownKey, LastTokens},
};

/// A wait is looked through this often, because somebody else may move things on.
const GLANCE: std::time::Duration = std::time::Duration::from_millis(500);

pub(super) struct Course<'a> {
    service: &'a Service,
    /// Two that change the same keys would work against each other.
    _lease: Lease,
    tenant: Tenant,
    function: Function,
    job: JobId,
    registrar: Registrar,
    binding: Binding,
    order: Option<Order>,
    keys: Vec<KeyInfo>,
    known: Vec<KnownKey>,
    /// Whether `keys` and `known` are what there is: nobody else changes it under the lease.
    seen: bool,
    done: Vec<Step>,
    stage: (Stage, bool),
    waits_for: Option<String>,
}

/// What is left to do of a course.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ahead {
    /// To come again then.
    Until(OffsetDateTime),
    /// Nothing but a key for the next time, which was not wanted now.
    Spare,
    /// Nothing that we could do now.
    Nothing,
}

/// How far a course is followed.
#[derive(Clone, Copy)]
pub(super) struct Manner {
    pub(super) policy: Policy,
    /// Nothing is begun then any more.
    pub(super) deadline: OffsetDateTime,
    /// Whether the provider is waited for; else whoever has more to do comes again.
    pub(super) waits: bool,
    /// Whether a key for the next time is made.
    pub(super) spare: bool,
    /// A key that is due is left in use for so long yet, so that many are not changed at once.
    pub(super) hold: Duration,
}

impl<'a> Course<'a> {
    pub(super) async fn begin(
        service: &'a Service,
        name: &TenantName,
        function: Function,
        tokens: Option<&LastTokens>,
    ) -> Result<Self, ServiceError> {
        let tenant = service.tenant(name).await?;
        Self::begin_for(service, tenant, function, tokens).await
    }

    /// The same for whoever has read the tenant already.
    pub(super) async fn begin_for(
        service: &'a Service,
        tenant: Tenant,
        function: Function,
        tokens: Option<&LastTokens>,
    ) -> Result<Self, ServiceError> {
        let name = &tenant.name;
        let lease = service.data.key_lease(name, function)?;
        let job = service.new_job();
        let (config, access) =
            service.connection(&tenant, function, Extras::default(), &job).await?;
        let registrar = Registrar::new(config, access)?;
        let held = service.signer().await?.credentials(Some(name)).await?;
        let credential = held.iter().find(|one| one.key_use.function == function);
        let Some(binding) = credential.and_then(|credential| credential.binding.clone()) else {
            return Err(ServiceError::NotRegistered { tenant: name.clone(), function });
        };
        let order = service.ordered(name, function).await?;
        let mut course = Self {
            service,
            _lease: lease,
            tenant,
            function,
            job,
            registrar,
            binding,
            order,
            keys: Vec::new(),
            known: Vec::new(),
            seen: false,
            done: Vec::new(),
            stage: (Stage::Settled, false),
            waits_for: None,
        };
        course.see(held).await?;
        course.learn_of_use(tokens).await?;
        Ok(course)
    }

    /// A key that the customer's own authority certified is not followed by one that we certified
    /// ourselves ([`needs_the_authority`]).
    ///
    /// # Errors
    /// [`ServiceError::OwnAuthority`] when the authority has to be asked first.
    pub(super) async fn stay_with_the_authority(&mut self) -> Result<(), ServiceError> {
        self.look().await?;
        let active = self.keys.iter().find(|key| key.slot == Slot::Active);
        let Some(active) = active else { return Ok(()) };
        if !needs_the_authority(&self.facts(), self.order.as_ref()) {
            return Ok(());
        }
        Err(ServiceError::OwnAuthority {
            tenant: self.tenant.name.clone(),
            function: self.function,
            issuer: active.certificate.issuer.clone(),
            ends: active.certificate.not_after,
        })
    }

    /// Whether the key in use is one that an order is about.
    pub(super) fn has_to(&self, order: &Order) -> bool {
        order.is_pending(&self.facts())
    }

    /// Takes an order; one that has not replaced the key yet goes on where it asks for no less.
    pub(super) async fn order(&mut self, wanted: Order) -> Result<(), ServiceError> {
        self.look().await?;
        let order = ordered(&self.facts(), self.order.as_ref(), wanted);
        if self.order.as_ref() == Some(&order) {
            return Ok(());
        }
        self.service.keep_order(&self.tenant.name, self.function, &order).await?;
        self.order = Some(order);
        Ok(())
    }

    /// A key that nobody has tried in a rotation may have opened mailboxes for weeks.
    async fn learn_of_use(&mut self, tokens: Option<&LastTokens>) -> Result<(), ServiceError> {
        let active = self.keys.iter().find(|key| key.slot == Slot::Active);
        let Some(key_id) = active.map(|active| active.key_id.clone()) else { return Ok(()) };
        if self.known(&key_id).is_none_or(|known| known.note.found.accepted.is_some()) {
            return Ok(());
        }
        let last = match tokens {
            Some(tokens) => tokens.of(&key_id),
            None => self.service.last_tokens().await.of(&key_id),
        };
        let Some(at) = last else { return Ok(()) };
        self.note(&key_id, |known| known.note.found.accepted = Some(at)).await
    }

    pub(super) fn report(self) -> Rotation {
        let active = self.keys.iter().find(|key| key.slot == Slot::Active);
        Rotation {
            key_id: active.map(|key| key.key_id.clone()),
            tenant: self.tenant.name,
            function: self.function,
            stage: self.stage.0,
            late: self.stage.1,
            done: self.done,
            waits_for: self.waits_for,
        }
    }

    /// Until nothing is left to do but to wait for the next time, or the deadline has come.
    pub(super) async fn run(&mut self, manner: &Manner) -> Result<Ahead, ServiceError> {
        let Manner { policy, deadline, .. } = manner;
        let mut looked = false;
        loop {
            self.look().await?;
            let facts = self.facts();
            let hold = held(&facts, manner.hold);
            let (now, at) = self.moments(&facts, policy, hold);
            self.stage = stage(&facts, self.order.as_ref(), policy, at);
            self.waits_for = None;
            let action = next(&facts, self.order.as_ref(), policy, at);
            tracing::debug!(tenant = %self.tenant.name, function = %self.function, ?action, "rotation");
            let settled = self.stage.0 == Stage::Settled;
            let until = match action {
                Action::Wait { until } if settled => {
                    return Ok(Ahead::Until(until + hold));
                }
                Action::Prepare if settled && !manner.spare => return Ok(Ahead::Spare),
                Action::Wait { until } => until,
                // Whoever can help is not in here, and may have helped since the last time.
                Action::AskForHelp { key_id, .. } if !std::mem::replace(&mut looked, true) => {
                    self.try_key(&key_id, now).await?;
                    continue;
                }
                Action::AskForHelp { key_id, .. } => {
                    self.waits_for = Some(self.help(&key_id));
                    // Whoever is asked may do so at any time: from now on the provider may know it.
                    self.note(&key_id, |known| {
                        known.note.found.requested.get_or_insert(now);
                    })
                    .await?;
                    return Ok(Ahead::Nothing);
                }
                _ if now >= *deadline => return Ok(Ahead::Nothing),
                action => match self.perform(action, now, policy).await? {
                    None => continue,
                    Some(until) => until,
                },
            };
            if until >= *deadline {
                return Ok(Ahead::Nothing);
            }
            if !manner.waits {
                return Ok(Ahead::Until(until));
            }
            let left = std::time::Duration::try_from(until - now).unwrap_or_default();
            tokio::time::sleep(left.max(GLANCE)).await;
            self.seen = false;
        }
    }

    /// Now, and the time by which it is said what comes next: as long as all was as it should be when the
    /// key has been held back for so long, that time.
    fn moments(
        &self,
        facts: &[KeyFacts],
        policy: &Policy,
        hold: Duration,
    ) -> (OffsetDateTime, OffsetDateTime) {
        let now = OffsetDateTime::now_utc();
        let held = now - hold;
        let order = self.order.as_ref();
        let rests = stage(facts, order, policy, held).0 == Stage::Settled
            && facts.iter().all(|key| now < key.not_after);
        (now, if rests { held } else { now })
    }

    fn help(&self, key_id: &str) -> String {
        let key = self.keys.iter().find(|key| key.key_id == key_id);
        let thumbprint = key.map_or("", |key| key.certificate.thumbprint_sha1.as_str());
        let prepared = key.is_some_and(|key| key.slot == Slot::Prepared);
        let which = if prepared { " --prepared" } else { "" };
        format!(
            "none of our keys is accepted: register the certificate {thumbprint}, which 'mailkeep identity certificate {} {}{which}' prints, on application {}, and remove the others there; then run this again",
            self.tenant.name, self.function, self.binding.client_id
        )
    }

    /// What the signer has, and what is known of it.
    async fn look(&mut self) -> Result<(), ServiceError> {
        if self.seen {
            return Ok(());
        }
        let held = self.service.signer().await?.credentials(Some(&self.tenant.name)).await?;
        self.see(held).await
    }

    async fn see(&mut self, held: Vec<CredentialInfo>) -> Result<(), ServiceError> {
        self.known = self.service.known_keys_with(&self.tenant.name, &held).await?;
        let own = held.into_iter().find(|one| one.key_use.function == self.function);
        self.keys = own.map(|credential| credential.keys).unwrap_or_default();
        self.seen = true;
        Ok(())
    }

    fn facts(&self) -> Vec<KeyFacts> {
        let fact = |key: &KeyInfo| KeyFacts {
            key_id: key.key_id.clone(),
            slot: key.slot,
            not_before: key.certificate.not_before,
            not_after: key.certificate.not_after,
            certified_elsewhere: !key.certificate.issuer.is_empty(),
            found: self.known(&key.key_id).map(|known| known.note.found).unwrap_or_default(),
        };
        self.keys.iter().map(fact).collect()
    }

    fn known(&self, key_id: &str) -> Option<&KnownKey> {
        self.known.iter().find(|known| known.key_id == key_id)
    }

    /// What comes back is when to go on, where the provider has to get to know a key first.
    async fn perform(
        &mut self,
        action: Action,
        now: OffsetDateTime,
        policy: &Policy,
    ) -> Result<Option<OffsetDateTime>, ServiceError> {
        let signer = self.service.signer().await?;
        let (job, name, function) = (&self.job, &self.tenant.name, self.function);
        match action {
            Action::Prepare => {
                self.seen = false;
                let made = signer.prepare_key(job, name, function).await?;
                self.step(StepKind::Made, &made.key_id);
            }
            Action::Destroy { key_id } => {
                self.seen = false;
                signer.retire_key(job, name, function, &key_id).await?;
                self.step(StepKind::Destroyed, &key_id);
            }
            Action::Activate { key_id } => {
                self.seen = false;
                signer.activate_key(job, name, function, &key_id).await?;
                self.step(StepKind::Activated, &key_id);
            }
            Action::Try { key_id } => self.try_key(&key_id, now).await?,
            Action::Register { key_id, proof_by } => {
                let done = self.register(&key_id, &proof_by, now).await;
                return self.unless_proof_failed(done, &proof_by, now, policy).await;
            }
            Action::Remove { key_id, proof_by } => {
                let done = self.remove(&key_id, &proof_by, now).await;
                return self.unless_proof_failed(done, &proof_by, now, policy).await;
            }
            // Nothing that is done: `run` waits.
            _ => {}
        }
        Ok(None)
    }

    async fn try_key(&mut self, key_id: &str, now: OffsetDateTime) -> Result<(), ServiceError> {
        let step = match self.registrar.try_key(key_id).await {
            Ok(()) => StepKind::Accepted,
            Err(error) if error.is_unknown_key() => StepKind::Refused,
            Err(error) => return Err(error.into()),
        };
        let prepared =
            self.keys.iter().any(|key| key.key_id == key_id && key.slot == Slot::Prepared);
        self.note(key_id, |known| match step {
            StepKind::Accepted => {
                known.note.found.accepted = Some(now);
                // One that we did not register ourselves an administrator did, just now.
                if prepared {
                    known.note.found.registered.get_or_insert(now);
                }
            }
            _ => known.note.found.refused = Some(now),
        })
        .await?;
        self.step(step, key_id);
        Ok(())
    }

    async fn register(
        &mut self,
        key_id: &str,
        proof_by: &str,
        now: OffsetDateTime,
    ) -> Result<(), ServiceError> {
        let object = self.object().await?;
        let key = self.keys.iter().find(|key| key.key_id == key_id);
        let certificate = key.and_then(|key| key.certificate.certificate_der());
        let Some(certificate) = certificate else {
            let reason = format!("the certificate of key {key_id} cannot be read");
            return Err(ServiceError::Refused { tenant: self.tenant.name.clone(), reason });
        };
        let asked_before =
            self.known(key_id).is_some_and(|known| known.note.found.requested.is_some());
        self.note(key_id, |known| known.note.found.requested = Some(now)).await?;
        let (signer, tenant, function) =
            (self.service.signer().await?, self.tenant.name.clone(), self.function);
        let proof = signer.sign_proof(&self.job, &tenant, function, Some(proof_by)).await?.proof;
        let name = name_at_the_provider(&tenant, function);
        let new = NewKey { certificate: &certificate, name: &name };
        let provider_id = match self.registrar.add_key(&object, &new, &proof).await {
            Ok(id) => Some(id),
            // An earlier try that nobody saw the end of had got through.
            Err(ExchangeError::Answer { status: 400, .. }) if asked_before => None,
            Err(error) => return Err(error.into()),
        };
        self.note(key_id, |known| {
            known.note.found.registered = Some(now);
            known.note.known_as.extend(provider_id.clone());
            known.note.provider_id = provider_id.or(known.note.provider_id.take());
        })
        .await?;
        self.step(StepKind::Registered, key_id);
        Ok(())
    }

    async fn remove(
        &mut self,
        key_id: &str,
        proof_by: &str,
        now: OffsetDateTime,
    ) -> Result<(), ServiceError> {
        let object = self.object().await?;
        let tenant = self.tenant.name.clone();
        let known_id = self.known(key_id).and_then(|known| known.note.provider_id.clone());
        let provider_id = match known_id {
            Some(id) => Some(id),
            // The provider gave it a name of its own, as it does when an administrator adds it; or its answer
            // was lost.
            None => self.find_out(key_id, &object, now).await?,
        };
        // One that is not there any more needs no removing.
        if let Some(id) = provider_id {
            let signer = self.service.signer().await?;
            let proof =
                signer.sign_proof(&self.job, &tenant, self.function, Some(proof_by)).await?;
            self.registrar.remove_key(&object, &id, &proof.proof).await?;
        }
        self.note(key_id, |known| known.note.found.removed = Some(now)).await?;
        self.step(StepKind::Removed, key_id);
        Ok(())
    }

    /// What the provider calls a key: the auditor looks, or else the steward. `None`: it is not there.
    async fn find_out(
        &mut self,
        key_id: &str,
        object: &ObjectId,
        now: OffsetDateTime,
    ) -> Result<Option<String>, ServiceError> {
        match self.service.learn_of_registrations(&self.tenant).await {
            Ok(_) => {
                self.seen = false;
                self.look().await?;
                return Ok(self.known(key_id).and_then(|known| known.note.provider_id.clone()));
            }
            Err(ServiceError::NotRegistered { .. }) => {}
            Err(error) => return Err(error),
        }
        let key = self.keys.iter().find(|key| key.key_id == key_id);
        let Some(certificate) = key.and_then(|key| key.certificate.certificate_der()) else {
            let reason = format!("the certificate of key {key_id} cannot be read");
            return Err(ServiceError::Refused { tenant: self.tenant.name.clone(), reason });
        };
        let looked = match self.service.steward(&self.tenant).await? {
            Some(steward) => steward.find_key(object, &certificate).await,
            // It may have been given more rights than it needs.
            None => self.registrar.find_key(object, &certificate).await,
        };
        let found = match looked {
            Ok(found) => found,
            Err(ExchangeError::Forbidden { .. }) => {
                let thumbprint = key.map(|key| key.certificate.thumbprint_sha1.clone());
                // The provider tells as well whether it takes it.
                self.try_key(key_id, now).await?;
                if self.known(key_id).is_some_and(|one| one.note.found.refused == Some(now)) {
                    return Ok(None);
                }
                let reason = format!(
                    "the old key has to be removed by an administrator: the answer in which the provider named it was lost, and without an auditor or a steward nobody may look. On the application {} it is the certificate with the thumbprint {} (Entra ID, App registrations, Certificates & secrets)",
                    self.binding.client_id,
                    thumbprint.unwrap_or_default()
                );
                return Err(ServiceError::Refused { tenant: self.tenant.name.clone(), reason });
            }
            Err(error) => return Err(error.into()),
        };
        if let Some(id) = &found {
            self.note(key_id, |known| {
                known.note.known_as.insert(id.clone());
                known.note.provider_id = Some(id.clone());
            })
            .await?;
        }
        Ok(found)
    }

    /// A proof that is refused may mean that somebody removed the key that it was made with, or that the
    /// directory does not know a fresh key everywhere yet. Whether the key is still accepted tells the two
    /// apart.
    async fn unless_proof_failed(
        &mut self,
        done: Result<(), ServiceError>,
        proof_by: &str,
        now: OffsetDateTime,
        policy: &Policy,
    ) -> Result<Option<OffsetDateTime>, ServiceError> {
        let Err(ServiceError::Exchange(error)) = done else { return done.map(|()| None) };
        if !matches!(error, ExchangeError::KeyRefused { .. }) && !error.is_unknown_key() {
            return Err(error.into());
        }
        self.try_key(proof_by, now).await?;
        let Some(known) = self.known(proof_by) else { return Err(error.into()) };
        let found = known.note.found;
        if found.refused == Some(now) {
            return Ok(None);
        }
        if found.registered.is_some_and(|registered| now < registered + policy.patience) {
            return Ok(Some(OffsetDateTime::now_utc() + policy.retry));
        }
        Err(error.into())
    }

    /// The application, which the signer's proofs are for. Its object id is looked up once.
    async fn object(&mut self) -> Result<ObjectId, ServiceError> {
        if let Some(id) = &self.binding.object_id {
            return Ok(ObjectId::Application(id.clone()));
        }
        let registrations = self.service.learn_of_registrations(&self.tenant).await?;
        self.seen = false;
        let found = registrations
            .iter()
            .find(|one| one.client_id.eq_ignore_ascii_case(&self.binding.client_id));
        let Some(found) = found else {
            let reason = format!("application {} is not in the directory", self.binding.client_id);
            return Err(ServiceError::Refused { tenant: self.tenant.name.clone(), reason });
        };
        let id = found.application.id.clone();
        let binding = Binding { object_id: Some(id.clone()), ..self.binding.clone() };
        let signer = self.service.signer().await?;
        signer.bind_to(&self.job, &self.tenant.name, self.function, binding.clone()).await?;
        self.binding = binding;
        Ok(ObjectId::Application(id))
    }

    async fn note(
        &mut self,
        key_id: &str,
        change: impl FnOnce(&mut KnownKey),
    ) -> Result<(), ServiceError> {
        let tenant = self.tenant.name.clone();
        if let Some(known) = self.known.iter_mut().find(|known| known.key_id == key_id) {
            change(known);
            self.service.note_key(&tenant, known).await?;
        }
        Ok(())
    }

    fn step(&mut self, what: StepKind, key_id: &str) {
        tracing::info!(tenant = %self.tenant.name, function = %self.function, key_id, step = what.as_str(), "rotation");
        self.done.push(Step { at: OffsetDateTime::now_utc(), what, key_id: key_id.to_owned() });
    }
}

/// What people see a key as among those of its application.
pub(crate) fn name_at_the_provider(tenant: &TenantName, function: Function) -> String {
    format!("Mailkeep {tenant} {function}")
}
