//! Workers of other machines, managed by whoever runs the signer.

use crate::{
    CallerLabel, IdentityError, SignerClient, WorkerCertificate, WorkerInfo, WorkerLimits,
    client::Subject,
    protocol::{Request, Response},
};

impl SignerClient {
    /// Gives a worker of another machine a certificate for the key that `request_pem` was signed with
    /// (RFC 2986; P-256). The signer listens to it from then on.
    ///
    /// # Errors
    /// [`IdentityError::Refused`] when the request cannot be used, when there are too many workers,
    /// and to everybody but the signer's own user and root on its own machine.
    pub async fn enroll_worker(
        &self,
        name: &CallerLabel,
        limits: &WorkerLimits,
        request_pem: &str,
    ) -> Result<WorkerCertificate, IdentityError> {
        let subject = Subject::general("enrolment of a worker");
        let request = Request::EnrollWorker {
            name: name.clone(),
            limits: limits.clone(),
            request_pem: request_pem.to_owned(),
        };
        match self.call(&subject, request).await? {
            Response::Worker(certificate) => Ok(certificate),
            other => Err(subject.unexpected(&other)),
        }
    }

    /// All workers' certificates, those that were revoked as well, until they expire.
    ///
    /// # Errors
    /// What every request may meet.
    pub async fn workers(&self) -> Result<Vec<WorkerInfo>, IdentityError> {
        let subject = Subject::general("list of workers");
        let mut all: Vec<WorkerInfo> = Vec::new();
        loop {
            let after = all.last().map(|last| last.fingerprint.clone());
            match self.call(&subject, Request::Workers { after }).await? {
                Response::Workers { items, more } => {
                    let progress = !items.is_empty();
                    all.extend(items);
                    if !(more && progress) {
                        return Ok(all);
                    }
                }
                other => return Err(subject.unexpected(&other)),
            }
        }
    }

    /// Cuts a worker off: its certificates are good for nothing, its connections are closed. Tells how
    /// many certificates that were.
    ///
    /// # Errors
    /// What every request may meet.
    pub async fn revoke_worker(&self, name: &CallerLabel) -> Result<u64, IdentityError> {
        let subject = Subject::general("revocation of a worker");
        match self.call(&subject, Request::RevokeWorker { name: name.clone() }).await? {
            Response::WorkersRevoked { certificates } => Ok(certificates),
            other => Err(subject.unexpected(&other)),
        }
    }
}
