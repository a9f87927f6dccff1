//! The access tokens that were given out.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use aws_lc_rs::hmac;
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::state::Tenant;

/// Whom an access token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resource {
    Graph,
    /// The Office 365 Management Activity API.
    ActivityFeed,
}

/// What an access token stands for.
#[derive(Debug)]
pub(crate) struct Grant {
    pub(crate) tenant: Arc<Tenant>,
    pub(crate) client_id: Uuid,
    pub(crate) resource: Resource,
    pub(crate) service_principal_id: Uuid,
    pub(crate) roles: BTreeSet<String>,
    pub(crate) uti: String,
    /// The client declared that it understands claims challenges: access is evaluated with every
    /// request.
    pub(crate) continuous: bool,
    /// It was got with a client secret.
    pub(crate) by_secret: bool,
    /// Unix times.
    pub(crate) issued: i64,
    pub(crate) expires: i64,
}

/// The tokens that were given out. A token is good until it expires, whatever becomes of the key
/// that it was got with: as in Entra, removing a key takes nothing back.
#[derive(Debug)]
pub(crate) struct Grants {
    key: hmac::Key,
    tokens: RwLock<HashMap<String, Arc<Grant>>>,
}

impl Grants {
    pub(crate) fn new(secret: &[u8]) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, secret), tokens: RwLock::default() }
    }

    pub(crate) fn find(&self, token: &str) -> Option<Arc<Grant>> {
        self.tokens.read().unwrap_or_else(PoisonError::into_inner).get(token).cloned()
    }

    /// Makes every token that was given out so far worthless.
    pub(crate) fn revoke_all(&self) {
        self.tokens.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(super) fn issue(&self, grant: Grant, claims: &Value) -> String {
        let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let signed = format!("{}.{}", part(&json!({ "typ": "JWT", "alg": "HS256" })), part(claims));
        let signature = hmac::sign(&self.key, signed.as_bytes());
        let token = format!("{signed}.{}", BASE64URL_NOPAD.encode(signature.as_ref()));
        let mut tokens = self.tokens.write().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() % 1024 == 1023 {
            // An expired token stays for a day, so that it is told from one that never was.
            tokens.retain(|_, old| old.expires + 86_400 > grant.issued);
        }
        tokens.insert(token.clone(), Arc::new(grant));
        token
    }
}
