//! Secrets of Mailkeep itself, which come from outside.

use mailkeep_model::Secret;

use super::{SignerClient, Subject};
use crate::{
    IdentityError, JobId, SecretName,
    protocol::{Request, Response, WireSecret},
};

impl SignerClient {
    /// Keeps a secret that came from outside in the signer's sealed store, in the place of one of that
    /// name.
    ///
    /// # Errors
    /// [`IdentityError::Refused`] when it is longer than
    /// [`LONGEST_SECRET`](crate::protocol::LONGEST_SECRET), and what every request may meet.
    pub async fn store_own_secret(
        &self,
        job: &JobId,
        name: &SecretName,
        secret: Secret,
    ) -> Result<(), IdentityError> {
        let subject = Subject::OwnSecret(name.clone());
        let (job, name, secret) = (job.clone(), name.clone(), WireSecret(secret));
        self.done(&subject, Request::StoreOwnSecret { job, name, secret }).await
    }

    /// Hands such a secret out; the ledger says to whom.
    ///
    /// # Errors
    /// [`IdentityError::NoOwnSecret`], and what every request may meet.
    pub async fn release_own_secret(
        &self,
        job: &JobId,
        name: &SecretName,
    ) -> Result<Secret, IdentityError> {
        let subject = Subject::OwnSecret(name.clone());
        let request = Request::ReleaseOwnSecret { job: job.clone(), name: name.clone() };
        match self.call(&subject, request).await? {
            Response::Secret { secret } => Ok(secret.0),
            other => Err(subject.unexpected(&other)),
        }
    }

    /// Forgets such a secret, whether it is there or not.
    ///
    /// # Errors
    /// What every request may meet.
    pub async fn forget_own_secret(
        &self,
        job: &JobId,
        name: &SecretName,
    ) -> Result<(), IdentityError> {
        let subject = Subject::OwnSecret(name.clone());
        self.done(&subject, Request::ForgetOwnSecret { job: job.clone(), name: name.clone() }).await
    }
}
