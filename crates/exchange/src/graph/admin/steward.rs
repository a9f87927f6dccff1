use reqwest::Method;
use serde_json::{Value, json};

use super::{ObjectId, Registrar, or_gone};
use crate::ExchangeError;

/// What the steward does. It may do so to applications that it owns, and needs
/// `Application.ReadWrite.OwnedBy`.
impl Registrar {
    /// Lets a service principal get no more tokens; those that understand continuous access evaluation
    /// lose their present ones, too.
    ///
    /// # Errors
    /// When it may go on.
    pub async fn disable(&self, principal_id: &str) -> Result<(), ExchangeError> {
        self.set_enabled(principal_id, false).await
    }

    /// Lets a service principal get tokens again.
    ///
    /// # Errors
    /// When it was not done.
    pub async fn enable(&self, principal_id: &str) -> Result<(), ExchangeError> {
        self.set_enabled(principal_id, true).await
    }

    /// Takes a password away. That it is gone already is no error.
    ///
    /// # Errors
    /// When it may still be there.
    pub async fn remove_password(&self, on: &ObjectId, key_id: &str) -> Result<(), ExchangeError> {
        let action = format!("removing password {key_id}");
        let ask = self.ask(action, on, &["removePassword"], &[]);
        or_gone(self.graph.change(&ask, Method::POST, json_of(&json!({ "keyId": key_id }))).await)
    }

    /// Takes away that an application believes another issuer; `id` is the credential's. That it is
    /// gone already is no error.
    ///
    /// # Errors
    /// When it may still be there.
    pub async fn remove_federated(
        &self,
        application_id: &str,
        id: &str,
    ) -> Result<(), ExchangeError> {
        let on = ObjectId::Application(application_id.to_owned());
        let action = format!("removing federated credential {id}");
        let ask = self.ask(action, &on, &["federatedIdentityCredentials", id], &[]);
        or_gone(self.graph.change(&ask, Method::DELETE, None).await)
    }

    /// Takes an owner away. That it is none already is no error.
    ///
    /// # Errors
    /// When it may still be one.
    pub async fn remove_owner(&self, on: &ObjectId, owner_id: &str) -> Result<(), ExchangeError> {
        let action = format!("removing owner {owner_id}");
        let ask = self.ask(action, on, &["owners", owner_id, "$ref"], &[]);
        or_gone(self.graph.change(&ask, Method::DELETE, None).await)
    }

    async fn set_enabled(&self, principal_id: &str, enabled: bool) -> Result<(), ExchangeError> {
        let on = ObjectId::Principal(principal_id.to_owned());
        let verb = if enabled { "enabling" } else { "disabling" };
        let ask = self.ask(format!("{verb} service principal {principal_id}"), &on, &[], &[]);
        let change = json_of(&json!({ "accountEnabled": enabled }));
        self.graph.change(&ask, Method::PATCH, change).await.map(drop)
    }
}

fn json_of(value: &Value) -> Option<bytes::Bytes> {
    Some(value.to_string().into())
}
