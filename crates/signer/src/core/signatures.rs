//! What is signed: assertions and proofs, whose claims are made here.

use std::sync::Arc;

use mailkeep_identity::{
    Binding, KeyUse, SignedAssertion, SignedProof, Slot,
    assertion::{self, Claims},
    jwt,
    ledger::{LedgerEvent, Requester},
    proof,
    protocol::Failure,
};
use mailkeep_model::Secret;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Core, damaged, internal, keys::usable, lock};
use crate::{
    credential::{Credential, Key},
    key::PrivateKey,
    registry::Registry,
    request::{no_such_key, refusal},
};

impl Core {
    pub(super) fn sign_assertion(
        &self,
        key_use: KeyUse,
        key_id: Option<&str>,
        by: &Requester,
    ) -> Result<SignedAssertion, Failure> {
        // Held until the signature is made, so that a key is not retired between its record and
        // its use.
        let registry = self.registry();
        let now = (self.clock)();
        let (key, binding) = signing_key(&registry, &key_use, key_id, now)?;
        let private = self.admitted(&registry, &key_use, key, now)?;

        let Binding { client_id, token_endpoint, .. } = binding;
        let claims = Claims { token_endpoint, client_id, jti: Uuid::new_v4(), now };
        let KeyUse { tenant, function } = key_use;
        self.record(&LedgerEvent::AssertionSigned {
            tenant,
            function,
            jti: claims.jti.to_string(),
            key_id: key.key_id.clone(),
            client_id: client_id.clone(),
            audience: token_endpoint.clone(),
            expires: claims.expires(),
            by: by.clone(),
        })?;
        let text = assertion::signing_input(&key.certificate.thumbprint, &claims);
        Ok(SignedAssertion {
            assertion: signed(&private, &text)?,
            client_id: client_id.clone(),
            token_endpoint: token_endpoint.clone(),
            jti: claims.jti.to_string(),
            key_id: key.key_id.clone(),
            expires: claims.expires(),
        })
    }

    pub(super) fn sign_proof(
        &self,
        key_use: KeyUse,
        key_id: Option<&str>,
        by: &Requester,
    ) -> Result<SignedProof, Failure> {
        // Held for the same reason.
        let registry = self.registry();
        let now = (self.clock)();
        let (key, binding) = signing_key(&registry, &key_use, key_id, now)?;
        let object_id = binding.object_id.as_ref();
        let object_id = object_id.ok_or_else(|| {
            refusal("the object id of its application is not known: bind it first".to_owned())
        })?;
        let private = self.admitted(&registry, &key_use, key, now)?;

        let claims = proof::Claims { object_id, now };
        let KeyUse { tenant, function } = key_use;
        self.record(&LedgerEvent::ProofSigned {
            tenant,
            function,
            key_id: key.key_id.clone(),
            object_id: object_id.clone(),
            expires: claims.expires(),
            by: by.clone(),
        })?;
        let text = proof::signing_input(&key.certificate.thumbprint, &claims);
        let proof = signed(&private, &text)?;
        Ok(SignedProof { proof, key_id: key.key_id.clone(), expires: claims.expires() })
    }

    /// The private key, for one signature that the rate limit allows; opened, unless that was done just now.
    pub(super) fn admitted(
        &self,
        registry: &Registry,
        key_use: &KeyUse,
        key: &Key,
        now: OffsetDateTime,
    ) -> Result<Arc<PrivateKey>, Failure> {
        lock(&self.buckets).take(key_use, now).map_err(|retry_after| Failure::RateLimited {
            retry_after_ms: u64::try_from(retry_after.as_millis()).unwrap_or(u64::MAX),
        })?;
        self.at_hand.key(key_use, &key.key_id, || {
            let opened = registry.opened(key_use).map_err(damaged)?;
            let mut keys = opened.keys.iter();
            let kept = keys.find(|kept| kept.key.key_id == key.key_id).ok_or_else(no_such_key)?;
            self.keys.private_key(&kept.private, &key.certificate.public)
        })
    }
}

pub(super) fn named_or_active<'a>(
    credential: &'a Credential,
    key_id: Option<&str>,
) -> Result<&'a Key, Failure> {
    match key_id {
        Some(key_id) => credential.key(key_id).ok_or_else(no_such_key),
        None => credential.in_slot(Slot::Active).ok_or(Failure::NoKey),
    }
}

fn signing_key<'a>(
    registry: &'a Registry,
    key_use: &KeyUse,
    key_id: Option<&str>,
    now: OffsetDateTime,
) -> Result<(&'a Key, &'a Binding), Failure> {
    let credential = usable(registry, key_use)?;
    let key = named_or_active(credential, key_id)?;
    let binding = credential.binding.as_ref().ok_or(Failure::NotBound)?;
    if let Some(other) = registry.conflict(key_use, credential) {
        return Err(refusal(format!("its application or key is also that of {other}")));
    }
    if key.is_expired(now) {
        let ended = key.certificate.not_after;
        return Err(refusal(format!("its certificate expired on {ended}; create a new key")));
    }
    Ok((key, binding))
}

fn signed(private: &PrivateKey, text: &str) -> Result<Secret, Failure> {
    let signature = private.sign_ps256(text.as_bytes()).map_err(|error| internal(&error))?;
    Ok(Secret::new(jwt::assemble(text, &signature)))
}
