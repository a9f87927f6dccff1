//! The life of keys: made, bound, activated, retired.

use mailkeep_identity::{
    Binding, CertificateInfo, KeyUse, Slot,
    ledger::{LedgerEvent, Requester},
    protocol::Failure,
};
use mailkeep_model::{Function, TenantName};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Core, damaged, internal, unwritable};
use crate::{
    certificate::Certificate,
    credential::{Credential, Key, MAX_KEYS, Opened, OpenedKey},
    registry::{Entry, Registry},
    request::{no_such_key, normalised, refusal},
    store::Private,
};

impl Core {
    /// The valid key in a slot that holds one; a new one when there is none.
    pub(super) fn make_key(
        &self,
        key_use: &KeyUse,
        slot: Slot,
        by: &Requester,
    ) -> Result<CertificateInfo, Failure> {
        let now = (self.clock)();
        if let Some(found) = valid_key(&self.registry(), key_use, slot, now)? {
            return Ok(found);
        }
        // Takes up to seconds; others are served meanwhile.
        let (private, kept) = self.keys.generate(key_use).map_err(|error| internal(&error))?;
        let certificate = match Certificate::self_signed(&private, key_use, now) {
            Ok(certificate) => certificate,
            Err(error) => {
                self.discard(key_use, &kept);
                return Err(internal(&error));
            }
        };
        let key = Key { key_id: Uuid::new_v4().to_string(), slot, certificate };
        let fresh = OpenedKey { key, private: kept };
        let made = self.add_key(key_use, &fresh, by);
        if !made.as_ref().is_ok_and(|made| made.key_id == fresh.key.key_id) {
            self.discard(key_use, &fresh.private);
        }
        made
    }

    /// Takes a fresh key, unless somebody else was faster with another one.
    fn add_key(
        &self,
        key_use: &KeyUse,
        fresh: &OpenedKey,
        by: &Requester,
    ) -> Result<CertificateInfo, Failure> {
        let slot = fresh.key.slot;
        let mut registry = self.registry_to_write();
        if let Some(found) = valid_key(&registry, key_use, slot, (self.clock)())? {
            return Ok(found);
        }
        let mut opened = registry.opened(key_use).map_err(damaged)?;
        // An expired key makes room.
        for expired in opened.keys.extract_if(.., |opened| opened.key.slot == slot) {
            self.destroy(key_use, &expired, by)?;
        }
        let info = fresh.key.info().certificate;
        opened.keys.push(fresh.clone());
        self.record(&LedgerEvent::KeyCreated {
            tenant: key_use.tenant.clone(),
            function: key_use.function,
            key_id: info.key_id.clone(),
            slot,
            thumbprint: info.thumbprint_sha256.clone(),
            not_before: info.not_before,
            not_after: info.not_after,
            by: by.clone(),
        })?;
        save(&mut registry, key_use, &opened)?;
        Ok(info)
    }

    pub(super) fn activate_key(
        &self,
        key_use: &KeyUse,
        key_id: &str,
        by: &Requester,
    ) -> Result<(), Failure> {
        let mut registry = self.registry_to_write();
        let key = usable(&registry, key_use)?.key(key_id).ok_or_else(no_such_key)?;
        if key.slot == Slot::Active {
            return Ok(());
        }
        if key.is_expired((self.clock)()) {
            let ended = key.certificate.not_after;
            return Err(refusal(format!("its certificate expired on {ended}; prepare a new key")));
        }
        let mut opened = registry.opened(key_use).map_err(damaged)?;
        opened.activate(key_id);
        self.record(&LedgerEvent::KeyActivated {
            tenant: key_use.tenant.clone(),
            function: key_use.function,
            key_id: key_id.to_owned(),
            by: by.clone(),
        })?;
        save(&mut registry, key_use, &opened)
    }

    pub(super) fn bind(
        &self,
        key_use: &KeyUse,
        wanted: &Binding,
        by: &Requester,
    ) -> Result<(), Failure> {
        let wanted = normalised(wanted)?;
        let mut registry = self.registry_to_write();
        let credential = usable(&registry, key_use)?;
        if let Some(bound) = &credential.binding
            && !adds_to(&wanted, bound)?
        {
            return Ok(());
        }
        let candidate = Credential { binding: Some(wanted.clone()), ..credential.clone() };
        if let Some(other) = registry.conflict(key_use, &candidate) {
            return Err(refusal(format!(
                "application {} belongs to {other}; no application serves two",
                wanted.client_id
            )));
        }
        let key_id = credential.in_slot(Slot::Active).map(|key| key.key_id.clone());
        let mut opened = registry.opened(key_use).map_err(damaged)?;
        self.record(&LedgerEvent::Bound {
            tenant: key_use.tenant.clone(),
            function: key_use.function,
            key_id,
            client_id: wanted.client_id.clone(),
            object_id: wanted.object_id.clone(),
            token_endpoint: wanted.token_endpoint.clone(),
            by: by.clone(),
        })?;
        opened.binding = Some(wanted);
        save(&mut registry, key_use, &opened)
    }

    /// Destroys all keys of a tenant, or of one of its functions, with the bindings.
    pub(super) fn retire(
        &self,
        tenant: &TenantName,
        only: Option<Function>,
        by: &Requester,
    ) -> Result<u64, Failure> {
        let mut registry = self.registry_to_write();
        let mut retired = 0;
        let wanted = |key_use: &KeyUse| only.is_none_or(|only| only == key_use.function);
        for key_use in registry.of_tenant(tenant).into_iter().filter(wanted) {
            match registry.opened(&key_use) {
                Ok(opened) => {
                    if opened.keys.is_empty() {
                        self.record_retired(&key_use, None, by)?;
                    }
                    for kept in &opened.keys {
                        self.destroy(&key_use, kept, by)?;
                    }
                    retired += opened.keys.len() as u64;
                }
                Err(what) => {
                    // It held one at least; of those that are in a token nobody knows which.
                    tracing::warn!(tenant = %key_use.tenant, function = %key_use.function, what, "a damaged key file is removed");
                    self.record_retired(&key_use, None, by)?;
                    retired += 1;
                }
            }
            self.at_hand.put_away(&key_use);
            registry.remove(&key_use).map_err(|error| unwritable("key", &error))?;
        }
        Ok(retired)
    }

    /// Destroys one key, and tells how many that were.
    pub(super) fn retire_key(
        &self,
        key_use: &KeyUse,
        key_id: &str,
        by: &Requester,
    ) -> Result<u64, Failure> {
        let mut registry = self.registry_to_write();
        match registry.get(key_use) {
            Some(Entry::Damaged { what }) => return Err(damaged(what.clone())),
            Some(Entry::Usable(credential)) if credential.key(key_id).is_some() => {}
            _ => return Ok(0),
        }
        let mut opened = registry.opened(key_use).map_err(damaged)?;
        for kept in opened.keys.extract_if(.., |opened| opened.key.key_id == key_id) {
            self.destroy(key_use, &kept, by)?;
        }
        save(&mut registry, key_use, &opened)?;
        Ok(1)
    }

    /// Destroys what is outside the sealed file; what is in it goes with the file that is written
    /// next. A crash in between leaves a name without a key, which can be retired again.
    fn destroy(&self, key_use: &KeyUse, kept: &OpenedKey, by: &Requester) -> Result<(), Failure> {
        self.record_retired(key_use, Some(kept.key.key_id.clone()), by)?;
        self.at_hand.put_away(key_use);
        self.keys.destroy(&kept.private)
    }

    /// Destroys a key that nobody was told of.
    fn discard(&self, key_use: &KeyUse, kept: &Private) {
        if let Err(failure) = self.keys.destroy(kept) {
            tracing::error!(tenant = %key_use.tenant, function = %key_use.function, ?failure, "a key that was not needed is left in the token");
        }
    }

    fn record_retired(
        &self,
        key_use: &KeyUse,
        key_id: Option<String>,
        by: &Requester,
    ) -> Result<(), Failure> {
        let KeyUse { tenant, function } = key_use.clone();
        self.record(&LedgerEvent::KeyRetired { tenant, function, key_id, by: by.clone() })
    }
}

/// What there is of a tenant and function, unless that is nothing or damaged.
pub(super) fn usable<'a>(
    registry: &'a Registry,
    key_use: &KeyUse,
) -> Result<&'a Credential, Failure> {
    match registry.get(key_use) {
        None => Err(Failure::NoKey),
        Some(Entry::Damaged { what }) => Err(damaged(what.clone())),
        Some(Entry::Usable(credential)) => Ok(credential),
    }
}

/// The valid key in a slot; `None` when one is missing and there is room for it.
fn valid_key(
    registry: &Registry,
    key_use: &KeyUse,
    slot: Slot,
    now: OffsetDateTime,
) -> Result<Option<CertificateInfo>, Failure> {
    let credential = match registry.get(key_use) {
        None => return Ok(None),
        Some(Entry::Damaged { what }) => return Err(damaged(what.clone())),
        Some(Entry::Usable(credential)) => credential,
    };
    match credential.in_slot(slot) {
        Some(key) if !key.is_expired(now) => Ok(Some(key.info().certificate)),
        None if credential.keys.len() >= MAX_KEYS => {
            Err(refusal(format!("it has {MAX_KEYS} keys, and no more: retire one first")))
        }
        _ => Ok(None),
    }
}

/// Whether a binding says what is bound, and an object id that is not known yet.
fn adds_to(wanted: &Binding, bound: &Binding) -> Result<bool, Failure> {
    let same =
        (&wanted.client_id, &wanted.token_endpoint) == (&bound.client_id, &bound.token_endpoint);
    match (&wanted.object_id, &bound.object_id) {
        (None, _) if same => Ok(false),
        (Some(_), None) if same => Ok(true),
        (wanted, known) if same && wanted == known => Ok(false),
        (_, known) => Err(refusal(format!(
            "the key is bound to application {}{} at {}, and stays so until it is retired",
            bound.client_id,
            known.as_ref().map(|id| format!(" (object {id})")).unwrap_or_default(),
            bound.token_endpoint
        ))),
    }
}

pub(super) fn save(
    registry: &mut Registry,
    key_use: &KeyUse,
    opened: &Opened,
) -> Result<(), Failure> {
    registry.save(key_use, opened).map_err(|error| unwritable("key", &error))
}
