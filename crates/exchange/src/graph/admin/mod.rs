//! Changes of registrations: keys that an application rolls itself, and what the steward takes away from
//! a thief.
//!
//! # Vocabulary
//!
//! - A registration has two objects, the application and its service principal; an [`ObjectId`] names
//!   one of them. Both have keys, passwords and owners.
//! - A *proof* (of possession) is a text that the signer signs with a key that is valid on the object.
//!   With it an application changes its own keys without any right.
//!
//! Sources: the Graph reference pages `application: addKey`, `application: removeKey`, `Update
//! application`, `Update servicePrincipal`, `application: removePassword`, `Delete
//! federatedIdentityCredential`, `Remove owner`; "Generate proof-of-possession tokens for rolling keys".

mod keys;
mod steward;

pub use keys::NewKey;

use super::client::{Access, Ask, GraphConfig, GraphProvider};
use crate::{ExchangeError, Usage};

/// One of the two objects of a registration, by its object id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ObjectId {
    /// The application.
    Application(String),
    /// Its service principal.
    Principal(String),
}

impl ObjectId {
    fn path(&self) -> [&str; 2] {
        match self {
            Self::Application(id) => ["applications", id],
            Self::Principal(id) => ["servicePrincipals", id],
        }
    }
}

/// Changes registrations of one tenant with the key of one function: its own keys, or as the steward
/// those that it owns.
pub struct Registrar {
    pub(super) graph: GraphProvider,
}

impl Registrar {
    /// Prepares a connection; nothing is sent yet.
    ///
    /// # Errors
    /// [`ExchangeError::Configuration`] when the address is not `https` or the certificates cannot be
    /// read.
    pub fn new(config: GraphConfig, access: Access) -> Result<Self, ExchangeError> {
        Ok(Self { graph: GraphProvider::new(config, access)? })
    }

    /// What was asked of the provider.
    pub fn usage(&self) -> Usage {
        self.graph.usage_now()
    }

    /// Asks for a token with one of the function's keys, which need not be the one that signs.
    ///
    /// # Errors
    /// Why there is none; [`ExchangeError::is_unknown_key`] when the provider does not know the key.
    pub async fn try_key(&self, key_id: &str) -> Result<(), ExchangeError> {
        self.graph.try_key(key_id).await
    }

    pub(super) fn ask(
        &self,
        action: String,
        on: &ObjectId,
        below: &[&str],
        query: &[(&str, &str)],
    ) -> Ask<'static> {
        let url = self.graph.url(&[&on.path(), below].concat(), query);
        Ask { action, right: OWNED, mailbox: None, url, prefer: None }
    }
}

/// What changing somebody else's registration needs.
pub(super) const OWNED: &str = "Application.ReadWrite.OwnedBy (and make it an owner of the application and of its service principal)";

/// That what is to be taken away is not there is no error.
fn or_gone(done: Result<bytes::Bytes, ExchangeError>) -> Result<(), ExchangeError> {
    match done {
        Ok(_) | Err(ExchangeError::NotFound { .. }) => Ok(()),
        Err(ExchangeError::Answer { status: 400, message, .. })
            if message.starts_with("No credentials found to be removed") =>
        {
            Ok(())
        }
        Err(error) => Err(error),
    }
}
