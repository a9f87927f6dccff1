//! What we know of ourselves in one tenant.

use std::collections::{BTreeSet, HashSet};

use mailkeep_control::{ControlError, StoredKeyState, Tenant, TenantFunction};
use mailkeep_identity::{
    CredentialInfo, KeyInfo, Slot,
    ledger::{LedgerEvent, LedgerRecord},
    rotation::KeyFindings,
};
use mailkeep_model::{Function, RegisteredKey, RegisteredObject, Registration, TenantName};
use mailkeep_sentry::{OurApplication, OurKey, Ours, join_uses};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{Look, OwnRecordsSeen, Watch};
use crate::{Service, ServiceError};

/// What is kept of a key, also when the signer has destroyed it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeyNote {
    /// What the provider may call it.
    #[serde(default)]
    pub(crate) known_as: BTreeSet<String>,
    /// SHA-256 over its certificate, as in a [`Registration`].
    #[serde(default)]
    pub(crate) thumbprint: String,
    /// The provider's id of it, where that is known: it is removed by that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) provider_id: Option<String>,
    /// What was found out about it.
    #[serde(flatten)]
    pub(crate) found: KeyFindings,
}

impl KeyNote {
    /// Takes in what the signer has of the key: it may have got another certificate. Tells whether
    /// that was news.
    fn take_in(&mut self, key: &KeyInfo) -> bool {
        let certificate = &key.certificate;
        self.thumbprint.clone_from(&certificate.thumbprint_sha256);
        let names = [&key.key_id, &certificate.thumbprint_sha1, &certificate.thumbprint_sha256];
        names.into_iter().fold(false, |news, name| self.known_as.insert(name.clone()) | news)
    }
}

/// A key that was made for a tenant, whether the signer still has it or not.
#[derive(Clone, Debug)]
pub(crate) struct KnownKey {
    /// The signer's name for it.
    pub(crate) key_id: String,
    /// What it is for.
    pub(crate) function: Function,
    /// What is known of it.
    pub(crate) note: KeyNote,
}

impl Service {
    /// The keys that were ever made for a tenant, with those that the signer has now among them.
    pub(crate) async fn known_keys(
        &self,
        tenant: &TenantName,
    ) -> Result<Vec<KnownKey>, ServiceError> {
        let held = self.signer().await?.credentials(Some(tenant)).await?;
        self.known_keys_with(tenant, &held).await
    }

    /// The same for whoever has asked the signer already.
    pub(crate) async fn known_keys_with(
        &self,
        tenant: &TenantName,
        held: &[CredentialInfo],
    ) -> Result<Vec<KnownKey>, ServiceError> {
        let mut known = Vec::new();
        for stored in self.control.key_states(tenant).await? {
            let StoredKeyState { key_id, function, state } = stored;
            let note = serde_json::from_value(state).map_err(|error| {
                ControlError::Corrupt(format!("tenant {tenant}: key {key_id}: {error}"))
            })?;
            known.push(KnownKey { key_id, function, note });
        }
        let mut news = Vec::new();
        for credential in held {
            for key in &credential.keys {
                let function = credential.key_use.function;
                let place = known.iter().position(|one| one.key_id == key.key_id);
                let place = place.unwrap_or_else(|| {
                    let note = KeyNote::default();
                    known.push(KnownKey { key_id: key.key_id.clone(), function, note });
                    known.len() - 1
                });
                if known[place].note.take_in(key) {
                    news.push(stored(&known[place]));
                }
            }
        }
        if !news.is_empty() {
            self.control.note_key_states(tenant, news).await?;
        }
        Ok(known)
    }

    /// Known keys, without certificates on our applications (`there`) that the database alone calls theirs:
    /// whoever can write there would pass his own off as one that was ours. A certificate is a key's when the
    /// signer has it so, or the ledger says that it was made or taken for it.
    pub(crate) async fn vouched_keys(
        &self,
        tenant: &TenantName,
        mut known: Vec<KnownKey>,
        held: &[CredentialInfo],
        there: &[Registration],
    ) -> Result<Vec<KnownKey>, ServiceError> {
        let there: HashSet<&str> = objects(there)
            .flat_map(|object| &object.keys)
            .filter_map(|key| key.thumbprint.as_deref())
            .collect();
        let now: HashSet<Vouched> = held
            .iter()
            .flat_map(|one| one.keys.iter().map(|key| (one.key_use.function, key)))
            .map(|(function, key)| {
                vouched(function, &key.key_id, &key.certificate.thumbprint_sha256)
            })
            .collect();
        let is_doubtful = |key: &KnownKey, name: &str| {
            let name = name.to_ascii_uppercase();
            there.contains(name.as_str())
                && !now.contains(&vouched(key.function, &key.key_id, &name))
        };
        let any = known.iter().any(|key| key.note.known_as.iter().any(|one| is_doubtful(key, one)));
        if !any {
            return Ok(known);
        }
        let of = tenant.clone();
        let each = move |found: &mut HashSet<Vouched>, record: &LedgerRecord| match &record.event {
            LedgerEvent::KeyCreated { tenant, function, key_id, thumbprint, .. }
            | LedgerEvent::CertificateInstalled { tenant, function, key_id, thumbprint, .. }
                if *tenant == of =>
            {
                found.insert(vouched(*function, key_id, thumbprint));
            }
            _ => {}
        };
        let (read, ledger) = self.read_ledger(Vec::new(), HashSet::new(), each).await?;
        // One that is damaged vouches for nothing.
        let ledger = read.outcome.map(|_| ledger).unwrap_or_default();
        for key in &mut known {
            let names = std::mem::take(&mut key.note.known_as);
            let is_theirs = |name: &String| {
                !is_doubtful(key, name)
                    || ledger.contains(&vouched(key.function, &key.key_id, name))
            };
            key.note.known_as = names.into_iter().filter(is_theirs).collect();
        }
        Ok(known)
    }

    /// Keeps what is known of a key.
    pub(crate) async fn note_key(
        &self,
        tenant: &TenantName,
        key: &KnownKey,
    ) -> Result<(), ServiceError> {
        Ok(self.control.note_key_state(tenant, stored(key)).await?)
    }

    /// Learns what the provider calls our keys.
    pub(super) async fn learn_key_ids(
        &self,
        tenant: &TenantName,
        registrations: &[Registration],
    ) -> Result<(), ServiceError> {
        let keys: Vec<&RegisteredKey> =
            objects(registrations).flat_map(|object| &object.keys).collect();
        for mut known in self.known_keys(tenant).await? {
            let mut learned = false;
            for key in &keys {
                if key.thumbprint.as_ref() == Some(&known.note.thumbprint) {
                    learned |= known.note.known_as.insert(key.key_id.clone());
                    known.note.provider_id = Some(key.key_id.clone());
                }
            }
            if learned {
                self.note_key(tenant, &known).await?;
            }
        }
        Ok(())
    }

    /// Notes what the provider calls the key of a function that signs now, as somebody says who saw it
    /// there.
    pub(crate) async fn learn_provider_id(
        &self,
        tenant: &TenantName,
        function: Function,
        provider_id: String,
    ) -> Result<(), ServiceError> {
        let held = self.signer().await?.credentials(Some(tenant)).await?;
        let own = held.iter().find(|one| one.key_use.function == function);
        let active = own.and_then(|own| own.keys.iter().find(|key| key.slot == Slot::Active));
        let mut known = self.known_keys_with(tenant, &held).await?;
        let is_active = |one: &&mut KnownKey| active.is_some_and(|key| key.key_id == one.key_id);
        if let Some(key) = known.iter_mut().find(is_active) {
            key.note.known_as.insert(provider_id.clone());
            key.note.provider_id = Some(provider_id);
            self.note_key(tenant, key).await?;
        }
        Ok(())
    }

    /// All that is known of ourselves in a tenant, from `since` on, and what was seen of it. It is read
    /// after the provider's logs.
    pub(super) async fn ours(
        &self,
        tenant: &Tenant,
        watch: &Watch,
        since: OffsetDateTime,
        look: Look,
    ) -> Result<(Ours, OwnRecordsSeen), ServiceError> {
        let known = self.known_keys(&tenant.name).await?;
        let keys = known.into_iter().map(|known| OurKey {
            key_id: known.key_id,
            function: known.function,
            known_as: known.note.known_as.into_iter().collect(),
        });
        let own = self.own_records(&tenant.name, &watch.own, Some(since), look).await?;
        let (uses, contradictions) = join_uses(&tenant.name, &own.signatures, &own.receipts);
        let application = |one: &TenantFunction| OurApplication {
            client_id: one.client_id.to_ascii_lowercase(),
            function: one.function,
        };
        let ours = Ours {
            applications: tenant.functions.iter().map(application).collect(),
            keys: keys.collect(),
            uses,
            contradictions,
            damage: own.damage,
            lost: own.lost,
            journal: own.journal,
            egress: watch.egress.clone(),
        };
        Ok((ours, own.seen))
    }
}

/// A key of a function, by the signer's name for it, and a certificate of it (SHA-256, upper case).
type Vouched = (Function, String, String);

fn vouched(function: Function, key_id: &str, thumbprint: &str) -> Vouched {
    (function, key_id.to_owned(), thumbprint.to_ascii_uppercase())
}

/// Applications and service principals.
fn objects(registrations: &[Registration]) -> impl Iterator<Item = &RegisteredObject> {
    registrations.iter().flat_map(|one| std::iter::once(&one.application).chain(&one.principal))
}

fn stored(key: &KnownKey) -> StoredKeyState {
    let state = serde_json::to_value(&key.note).expect("texts and times serialise");
    StoredKeyState { key_id: key.key_id.clone(), function: key.function, state }
}
