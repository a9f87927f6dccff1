//! The new keys at the provider: whether they are taken, and that those from before are not there any more.

use std::{collections::HashSet, time::Duration as StdDuration};

use mailkeep_control::Tenant;
use mailkeep_exchange::{Extras, NewKey, ObjectId, Registrar};
use mailkeep_identity::{Binding, CertificateInfo};
use mailkeep_model::{Function, Registration, TenantName};
use time::OffsetDateTime;

use super::{RecoveredFunction, Recovery};
use crate::{Left, Purged, Revocation, Service, ServiceError, rotate::name_at_the_provider};

/// Between two looks whether the provider knows a key that was just registered.
const GLANCE: StdDuration = StdDuration::from_millis(500);

/// How a try ended.
enum Tried {
    Accepted,
    /// The provider does not know the key.
    Unknown,
    /// Something else stands in the way.
    Failed(String),
}

impl Service {
    /// Has the new keys registered as far as those of them that are allow it, and those from before removed.
    pub(super) async fn register_anew(
        &self,
        tenant: &Tenant,
        recovery: &mut Recovery,
        deadline: OffsetDateTime,
    ) -> Result<(), ServiceError> {
        let name = &tenant.name;
        for known in tenant.functions.iter().filter(|one| one.function != Function::Restorer) {
            let function = known.function;
            let certificate = self.certificate(name, function).await?;
            let accepted = match self.try_new_key(tenant, function, &certificate).await? {
                Tried::Accepted => true,
                Tried::Unknown => false,
                Tried::Failed(what) => {
                    recovery.left.push(Left { function, what });
                    false
                }
            };
            recovery.functions.push(RecoveredFunction {
                function,
                client_id: known.client_id.clone(),
                key_id: certificate.key_id,
                thumbprint_sha1: certificate.thumbprint_sha1,
                accepted,
            });
        }
        if recovery.accepts(Function::Auditor) {
            match self.learn_of_registrations(tenant).await {
                Ok(registrations) => {
                    self.let_in_as_steward(tenant, &registrations, recovery, deadline).await?;
                    self.remove_lost_keys(tenant, recovery).await;
                }
                Err(error) => {
                    let what = format!("{KEYS_FROM_BEFORE}: {error}");
                    recovery.left.push(Left { function: Function::Auditor, what });
                }
            }
        }
        self.say_what_is_left(recovery);
        Ok(())
    }

    async fn try_new_key(
        &self,
        tenant: &Tenant,
        function: Function,
        certificate: &CertificateInfo,
    ) -> Result<Tried, ServiceError> {
        let registrar = self.registrar(tenant, function).await?;
        let now = OffsetDateTime::now_utc();
        let tried = match registrar.try_key(&certificate.key_id).await {
            Ok(()) => Tried::Accepted,
            Err(error) if error.is_unknown_key() => Tried::Unknown,
            Err(error) => return Ok(Tried::Failed(error.to_string())),
        };
        let mut known = self.known_keys(&tenant.name).await?;
        if let Some(known) = known.iter_mut().find(|one| one.key_id == certificate.key_id) {
            let found = &mut known.note.found;
            match tried {
                Tried::Accepted => {
                    found.accepted = Some(now);
                    // An administrator did, just now.
                    found.registered.get_or_insert(now);
                }
                _ => {
                    found.refused = Some(now);
                    // Whoever is asked may do so at any time: from now on the provider may know it.
                    found.requested.get_or_insert(now);
                }
            }
            self.note_key(&tenant.name, known).await?;
        }
        Ok(tried)
    }

    async fn registrar(
        &self,
        tenant: &Tenant,
        function: Function,
    ) -> Result<Registrar, ServiceError> {
        let (config, access) =
            self.connection(tenant, function, Extras::default(), &self.new_job()).await?;
        Ok(Registrar::new(config, access)?)
    }

    /// With the steward's new key, the others are registered in the place of all that is there.
    async fn let_in_as_steward(
        &self,
        tenant: &Tenant,
        registrations: &[Registration],
        recovery: &mut Recovery,
        deadline: OffsetDateTime,
    ) -> Result<(), ServiceError> {
        if !recovery.accepts(Function::Steward) {
            return Ok(());
        }
        let steward = self.registrar(tenant, Function::Steward).await?;
        for index in 0..recovery.functions.len() {
            let function = recovery.functions[index].function;
            if recovery.functions[index].accepted {
                continue;
            }
            let client_id = &recovery.functions[index].client_id;
            let Some(registration) = of(registrations, client_id) else { continue };
            let certificate = self.certificate(&tenant.name, function).await?;
            let Some(der) = certificate.certificate_der() else { continue };
            let object = ObjectId::Application(registration.application.id.clone());
            // Whoever changes keys of the function meanwhile would lose his.
            let lease = match self.data.key_lease(&tenant.name, function) {
                Ok(lease) => lease,
                Err(error @ ServiceError::Busy { .. }) => {
                    recovery.left.push(Left { function, what: format!("{error}: recover again") });
                    continue;
                }
                Err(error) => return Err(error),
            };
            let there: Vec<String> =
                registration.application.keys.iter().map(|key| key.key_id.clone()).collect();
            let label = name_at_the_provider(&tenant.name, function);
            let new = NewKey { certificate: &der, name: &label };
            let replaced = steward.replace_keys(&object, &[], &[new]).await;
            drop(lease);
            match replaced {
                Ok(_) => {
                    for key in &there {
                        self.note_removed(&tenant.name, key).await?;
                        recovery.purged.push(Purged { function, what: key_text(key) });
                    }
                    let tried = self.try_until(tenant, function, &certificate, deadline).await?;
                    recovery.functions[index].accepted = matches!(tried, Tried::Accepted);
                }
                Err(error) => {
                    tracing::warn!(tenant = %tenant.name, %function, %error, "the steward could not register the new key");
                }
            }
        }
        Ok(())
    }

    async fn try_until(
        &self,
        tenant: &Tenant,
        function: Function,
        certificate: &CertificateInfo,
        deadline: OffsetDateTime,
    ) -> Result<Tried, ServiceError> {
        loop {
            let tried = self.try_new_key(tenant, function, certificate).await?;
            if !matches!(tried, Tried::Unknown) || OffsetDateTime::now_utc() >= deadline {
                return Ok(tried);
            }
            let wait = StdDuration::try_from(self.key_policy.retry).unwrap_or(GLANCE);
            tokio::time::sleep(wait.max(GLANCE)).await;
        }
    }

    /// Keys from before are removed by those that took their place; with a steward, so is all that is not
    /// ours. Looked at once more at the end: what is still there is left to the administrator.
    async fn remove_lost_keys(&self, tenant: &Tenant, recovery: &mut Recovery) {
        for index in 0..recovery.functions.len() {
            let function = recovery.functions[index].function;
            if !recovery.functions[index].accepted {
                continue;
            }
            if let Err(error) = self.remove_lost_keys_of(tenant, index, recovery).await {
                let what = format!("{KEYS_FROM_BEFORE}: {error}");
                recovery.left.push(Left { function, what });
            }
        }
        let mut rest = Revocation::of(&tenant.name);
        self.purge_or_say(tenant, &mut rest).await;
        recovery.purged.append(&mut rest.purged);
        recovery.left.append(&mut rest.left);
    }

    async fn remove_lost_keys_of(
        &self,
        tenant: &Tenant,
        index: usize,
        recovery: &mut Recovery,
    ) -> Result<(), ServiceError> {
        let RecoveredFunction { function, client_id, key_id, .. } = &recovery.functions[index];
        let (function, key_id) = (*function, key_id.clone());
        let registrations = self.learn_of_registrations(tenant).await?;
        let Some(registration) = of(&registrations, client_id) else { return Ok(()) };
        let object_id = registration.application.id.clone();
        self.bind_object(&tenant.name, function, client_id, &object_id).await?;
        let held = self.held_thumbprints(&tenant.name, function).await?;
        // One that the directory does not show yet must not be taken for one from before.
        let keys = &registration.application.keys;
        let ours_is_shown = keys.iter().any(|key| is_held(key, &held));
        if !ours_is_shown {
            return Ok(());
        }
        let from_before: Vec<String> =
            keys.iter().filter(|key| !is_held(key, &held)).map(|key| key.key_id.clone()).collect();
        let registrar = self.registrar(tenant, function).await?;
        let object = ObjectId::Application(object_id);
        for lost in from_before {
            let signer = self.signer().await?;
            let proof =
                signer.sign_proof(&self.new_job(), &tenant.name, function, Some(&key_id)).await?;
            registrar.remove_key(&object, &lost, &proof.proof).await?;
            self.note_removed(&tenant.name, &lost).await?;
            recovery.purged.push(Purged { function, what: key_text(&lost) });
        }
        Ok(())
    }

    /// Binds the application's object id as well, which proofs are made out for.
    async fn bind_object(
        &self,
        tenant: &TenantName,
        function: Function,
        client_id: &str,
        object_id: &str,
    ) -> Result<(), ServiceError> {
        let signer = self.signer().await?;
        let held = signer.credentials(Some(tenant)).await?;
        let own = held.into_iter().find(|one| one.key_use.function == function);
        let Some(bound) = own.and_then(|own| own.binding) else {
            return Err(ServiceError::NotRegistered { tenant: tenant.clone(), function });
        };
        if bound.object_id.is_none() && bound.client_id.eq_ignore_ascii_case(client_id) {
            let binding = Binding { object_id: Some(object_id.to_owned()), ..bound };
            signer.bind_to(&self.new_job(), tenant, function, binding).await?;
        }
        Ok(())
    }

    /// SHA-256 of the certificates that the signer has for a function, as a registration shows them.
    async fn held_thumbprints(
        &self,
        tenant: &TenantName,
        function: Function,
    ) -> Result<HashSet<String>, ServiceError> {
        let held = self.signer().await?.credentials(Some(tenant)).await?;
        let own = held.into_iter().filter(|one| one.key_use.function == function);
        let keys = own.flat_map(|one| one.keys);
        Ok(keys.map(|key| key.certificate.thumbprint_sha256).collect())
    }

    /// Notes that a key which the provider calls so was removed there.
    async fn note_removed(
        &self,
        tenant: &TenantName,
        provider_id: &str,
    ) -> Result<(), ServiceError> {
        let mut known = self.known_keys(tenant).await?;
        let named = |name: &String| name.eq_ignore_ascii_case(provider_id);
        if let Some(known) = known.iter_mut().find(|one| one.note.known_as.iter().any(named)) {
            known.note.found.removed = Some(OffsetDateTime::now_utc());
            self.note_key(tenant, known).await?;
        }
        Ok(())
    }

    fn say_what_is_left(&self, recovery: &mut Recovery) {
        let refused: Vec<Left> = recovery
            .functions
            .iter()
            .filter(|one| !one.accepted)
            .filter(|one| !recovery.left.iter().any(|left| left.function == one.function))
            .map(|one| Left {
                function: one.function,
                what: format!(
                    "register the new certificate {} on application {}, in the place of all that are there",
                    one.thumbprint_sha1, one.client_id
                ),
            })
            .collect();
        recovery.left.splice(0..0, refused);
        let has = |function| recovery.functions.iter().any(|one| one.function == function);
        if !has(Function::Auditor) {
            recovery.left.push(Left {
                function: Function::Auditor,
                what: format!(
                    "there is none, so that nobody but you can look: {KEYS_FROM_BEFORE} as long as you have not removed them"
                ),
            });
        }
    }
}

impl Recovery {
    fn accepts(&self, function: Function) -> bool {
        self.functions.iter().any(|one| one.function == function && one.accepted)
    }
}

/// What is not known.
const KEYS_FROM_BEFORE: &str = "keys from before may still be there";

fn key_text(provider_id: &str) -> String {
    format!("the certificate {provider_id} from before, on the application")
}

fn of<'a>(registrations: &'a [Registration], client_id: &str) -> Option<&'a Registration> {
    registrations.iter().find(|one| one.client_id.eq_ignore_ascii_case(client_id))
}

fn is_held(key: &mailkeep_model::RegisteredKey, held: &HashSet<String>) -> bool {
    key.thumbprint
        .as_ref()
        .is_some_and(|one| held.iter().any(|ours| ours.eq_ignore_ascii_case(one)))
}
