//! What a signer is told that takes the place of a lost one.

use mailkeep_model::{Secret, TenantName};

use super::{SignerClient, Subject};
use crate::{
    IdentityError, JobId, LedgerEnd, SecretName,
    protocol::{Request, WireSecret},
};

impl SignerClient {
    /// Has the ledger say that it follows one that is lost: where that ended, as far as anybody knows,
    /// where those ended that were lost `earlier` (the last first), and why. It is there from then on, for everybody who reads the ledger.
    ///
    /// # Errors
    /// [`IdentityError::Refused`] when something was signed already, when it says so already, when an end
    /// was not signed with its own key, when more than [`MOST_EARLIER`](crate::MOST_EARLIER) are named, when the reason is empty or longer than
    /// [`LONGEST_REASON`](crate::protocol::LONGEST_REASON), and to everybody but the signer's own user and
    /// root on its own machine.
    pub async fn follow(
        &self,
        lost: Option<LedgerEnd>,
        earlier: Vec<LedgerEnd>,
        reason: &str,
    ) -> Result<(), IdentityError> {
        let subject = Subject::general("order to follow a lost ledger");
        self.done(&subject, Request::Follow { lost, earlier, reason: reason.to_owned() }).await
    }

    /// Keeps a tenant's secret that came from outside, where there is none of that name. One that is
    /// there, and the same, is no error.
    ///
    /// # Errors
    /// [`IdentityError::Refused`] when there is another one, or it is longer than
    /// [`LONGEST_SECRET`](crate::protocol::LONGEST_SECRET); what every request may meet.
    pub async fn store_secret(
        &self,
        job: &JobId,
        tenant: &TenantName,
        name: &SecretName,
        secret: Secret,
    ) -> Result<(), IdentityError> {
        let subject = Subject::secret(tenant, name);
        let request = Request::StoreSecret {
            job: job.clone(),
            tenant: tenant.clone(),
            name: name.clone(),
            secret: WireSecret(secret),
        };
        self.done(&subject, request).await
    }
}
