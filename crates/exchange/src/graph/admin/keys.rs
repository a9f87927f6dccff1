use data_encoding::BASE64;
use mailkeep_identity::jwt::Thumbprint;
use mailkeep_model::{RegisteredKey, Secret};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::{ObjectId, Registrar, or_gone};
use crate::{
    ExchangeError,
    graph::{
        audit::parse_registered_object,
        client::{MAX_FAULTS, Patience},
        refusal::PROOF_REFUSED,
        send::Posted,
    },
};

/// What of an object's keys is asked for. The certificates come with it, which they do for one object
/// that is asked for them by name alone.
const KEYS: (&str, &str) = ("$select", "id,keyCredentials");
const NONE_LEFT: &str =
    "no certificate on it is valid any more, and an application cannot add one then";
const STEWARD: &str = "The steward or an administrator has to register a new certificate (Entra ID, App registrations, Certificates & secrets); find out who removed the others";

/// A certificate that assertions may be signed for.
#[derive(Clone, Copy, Debug)]
pub struct NewKey<'a> {
    /// DER.
    pub certificate: &'a [u8],
    /// What people see it as.
    pub name: &'a str,
}

impl NewKey<'_> {
    fn credential(&self) -> Value {
        json!({
            "type": "AsymmetricX509Cert",
            "usage": "Verify",
            "key": BASE64.encode(self.certificate),
            "displayName": self.name,
        })
    }
}

impl Registrar {
    /// Adds a certificate; the provider's id of it. An application adds its own without any right,
    /// with a proof that was signed with a key that is valid there and is not older than ten minutes.
    /// Elsewhere in the provider it is known after minutes.
    ///
    /// An answer that got lost is looked for, by the certificate, before anything is sent again. Whoever
    /// repeats this after a crash looks first, too: [`Registrar::find_key`].
    ///
    /// # Errors
    /// [`ExchangeError::KeyRefused`] with the way out; [`ExchangeError::InDoubt`] when the answer got
    /// lost and the application may not look at itself: the new key, asked for a token, tells.
    pub async fn add_key(
        &self,
        on: &ObjectId,
        key: &NewKey<'_>,
        proof: &Secret,
    ) -> Result<String, ExchangeError> {
        let ask = self.ask("adding a key".into(), on, &["addKey"], &[]);
        let order = json!({
            "keyCredential": key.credential(),
            "passwordCredential": null,
            "proof": proof.expose(),
        });
        let order = bytes::Bytes::from(order.to_string());
        let mut patience = Patience::default();
        loop {
            let doubt = match self.graph.post(&ask, order.clone()).await {
                Ok(Posted::Done(answer)) => match added(&answer) {
                    Some(id) => return Ok(id),
                    None => self.graph.unfit(&ask, "the answer does not name the key"),
                },
                Ok(Posted::Unknown(doubt)) => doubt,
                Err(error) => return self.unless_there(on, key, error).await,
            };
            match self.find_key(on, key.certificate).await {
                Ok(Some(id)) => return Ok(id),
                Ok(None) => {}
                Err(look) => return Err(self.in_doubt(ask.action, &doubt, &look)),
            }
            let Some(wait) = patience.fault(MAX_FAULTS) else { return Err(doubt) };
            tokio::time::sleep(wait).await;
        }
    }

    /// Takes a key away, which can be done with a proof as above. That it is gone already is no error.
    ///
    /// # Errors
    /// [`ExchangeError::KeyRefused`] with the way out.
    pub async fn remove_key(
        &self,
        on: &ObjectId,
        key_id: &str,
        proof: &Secret,
    ) -> Result<(), ExchangeError> {
        let ask = self.ask(format!("removing key {key_id}"), on, &["removeKey"], &[]);
        let order = json!({ "keyId": key_id, "proof": proof.expose() }).to_string();
        match or_gone(self.graph.change(&ask, Method::POST, Some(order.into())).await) {
            Err(error) => Err(self.explain(on, error).await),
            done => done,
        }
    }

    /// The provider's id of a certificate (DER) on an object, `None` when it is not there.
    ///
    /// # Errors
    /// [`ExchangeError::Forbidden`] when the application may not look: it takes more than to roll keys.
    pub async fn find_key(
        &self,
        on: &ObjectId,
        certificate: &[u8],
    ) -> Result<Option<String>, ExchangeError> {
        let thumbprint = Some(Thumbprint::of_der(certificate).hex());
        let keys = self.keys(on).await?;
        Ok(keys.into_iter().find(|key| key.thumbprint == thumbprint).map(|key| key.key_id))
    }

    /// Replaces the keys of an object at once: of those that are there, `keep` (ids) stay, and `add` come
    /// to them. The way back when somebody removed ours; needs no proof, but the rights of the steward.
    /// Gives the keys that are there afterwards, which tell whether one of `keep` was gone.
    ///
    /// # Errors
    /// When it was not done.
    pub async fn replace_keys(
        &self,
        on: &ObjectId,
        keep: &[String],
        add: &[NewKey<'_>],
    ) -> Result<Vec<RegisteredKey>, ExchangeError> {
        let look = self.ask("reading keys".into(), on, &[], &[KEYS]);
        let there: Credentials = self.graph.json(&look).await?;
        let is_kept = |key: &Value| {
            let id = key["keyId"].as_str().unwrap_or_default();
            keep.iter().any(|one| one.eq_ignore_ascii_case(id))
        };
        let mut keys: Vec<Value> = there.key_credentials.into_iter().filter(is_kept).collect();
        for new in add.iter().map(NewKey::credential) {
            // Twice the same certificate is refused.
            if !keys.iter().any(|key| key["key"] == new["key"]) {
                keys.push(new);
            }
        }
        for key in &mut keys {
            // What has an id stays as it is; with the certificate it would count as changed.
            if let (true, Some(key)) = (key["keyId"].is_string(), key.as_object_mut()) {
                key.remove("key");
            }
        }
        let ask = self.ask("replacing keys".into(), on, &[], &[]);
        let order = json!({ "keyCredentials": keys }).to_string();
        self.graph.change(&ask, Method::PATCH, Some(order.into())).await?;
        self.keys(on).await
    }

    async fn keys(&self, on: &ObjectId) -> Result<Vec<RegisteredKey>, ExchangeError> {
        let ask = self.ask("reading keys".into(), on, &[], &[KEYS]);
        let body = self.graph.body(&ask).await?;
        let object = parse_registered_object(&body);
        object.map(|object| object.keys).map_err(|error| self.graph.explained(&ask, error))
    }

    /// What a refusal to add a key comes to: nothing is wrong when the key is there, as after an answer
    /// that got lost.
    async fn unless_there(
        &self,
        on: &ObjectId,
        key: &NewKey<'_>,
        error: ExchangeError,
    ) -> Result<String, ExchangeError> {
        if matches!(error, ExchangeError::Answer { status: 400 | 409, .. })
            && let Ok(Some(id)) = self.find_key(on, key.certificate).await
        {
            return Ok(id);
        }
        Err(self.explain(on, error).await)
    }

    /// Tells a proof with a wrong key from an object without any right one, where we may look.
    async fn explain(&self, on: &ObjectId, error: ExchangeError) -> ExchangeError {
        let ExchangeError::KeyRefused { tenant, action, code, meaning, message, remedy } = error
        else {
            return error;
        };
        let (mut meaning, mut remedy) = (meaning, remedy);
        if code == PROOF_REFUSED
            && let Ok(keys) = self.keys(on).await
            && !keys.iter().any(|key| is_valid(key, OffsetDateTime::now_utc()))
        {
            (meaning, remedy) = (NONE_LEFT, STEWARD);
        }
        ExchangeError::KeyRefused { tenant, action, code, meaning, message, remedy }
    }

    fn in_doubt(
        &self,
        action: String,
        doubt: &ExchangeError,
        look: &ExchangeError,
    ) -> ExchangeError {
        let (tenant, reason, look) = (self.graph.tenant(), doubt.to_string(), look.to_string());
        ExchangeError::InDoubt { tenant: tenant.clone(), action, reason, look }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Credentials {
    #[serde(default)]
    key_credentials: Vec<Value>,
}

/// The id in the answer to `addKey`.
fn added(answer: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Added {
        key_id: String,
    }
    Some(serde_json::from_slice::<Added>(answer).ok()?.key_id.to_lowercase())
}

fn is_valid(key: &RegisteredKey, now: OffsetDateTime) -> bool {
    key.start.is_none_or(|start| start <= now) && key.end.is_none_or(|end| now <= end)
}
