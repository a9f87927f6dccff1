//! Workers of other machines: who manages them, and what they may ask.

use mailkeep_identity::{
    CallerLabel, WorkerCertificate, WorkerInfo, WorkerLimits,
    ledger::{LedgerEvent, Requester},
    protocol::{Failure, Request},
};

use super::{Core, Peer, internal, unwritable};
use crate::{
    SignerError,
    authority::{Authority, fingerprint},
    certificate::pem,
    request::{Parts, refusal},
    workers::{Workers, within},
};

impl Core {
    pub(crate) fn workers(&self) -> &Workers {
        &self.workers
    }

    /// The authority, made when it is first needed.
    pub(crate) fn authority(&self) -> Result<&Authority, SignerError> {
        if let Some(authority) = self.authority.get() {
            return Ok(authority);
        }
        let _making = super::lock(&self.making_secret);
        if self.authority.get().is_none() {
            let made = Authority::open(&self.directory, &self.master, (self.clock)())?;
            let _ = self.authority.set(made);
        }
        self.authority.get().ok_or(SignerError::Crypto("keep its certificate authority"))
    }

    /// Whether this peer may ask this at all.
    pub(super) fn permitted(
        &self,
        peer: &Peer,
        request: &Request,
        parts: &Parts,
    ) -> Result<(), Failure> {
        match peer {
            Peer::Local { administers, listed, uid, .. } => {
                let manages = manages(request);
                if manages && !administers {
                    let reason = "only the signer's own user, or root, may do that";
                    return Err(refusal(reason.to_owned()));
                }
                if !manages && !listed {
                    return Err(refusal(not_listed(*uid)));
                }
                Ok(())
            }
            Peer::Worker { fingerprint, .. } => {
                // Asked each time: a list that changed counts for connections that are open, too.
                let worker = self.workers.admit(fingerprint, (self.clock)()).map_err(refusal)?;
                if manages(request) {
                    return Err(refusal("that is done on the signer's machine".to_owned()));
                }
                if matches!(request, Request::Status | Request::Checkpoint) {
                    return Ok(());
                }
                let is_about_keys = !matches!(
                    request,
                    Request::CreateSecret { .. }
                        | Request::StoreSecret { .. }
                        | Request::ReleaseSecret { .. }
                        | Request::Credentials { .. }
                        | Request::LedgerOf { .. }
                );
                within(&worker, parts.tenant.as_ref(), parts.function, is_about_keys)
                    .map_err(refusal)
            }
        }
    }

    pub(super) fn enroll_worker(
        &self,
        name: CallerLabel,
        limits: WorkerLimits,
        request_pem: &str,
        by: &Requester,
    ) -> Result<WorkerCertificate, Failure> {
        let now = (self.clock)();
        let authority = self.authority().map_err(|error| internal(&error))?;
        let issued = authority.issue_worker(&name, request_pem, now).map_err(refusal)?;
        let fingerprint = fingerprint(&issued.der);
        let info = WorkerInfo {
            name: name.clone(),
            fingerprint: fingerprint.clone(),
            limits: limits.clone(),
            not_before: issued.not_before,
            not_after: issued.not_after,
            revoked: None,
        };
        if !self.workers.has_room(&info, now) {
            return Err(refusal("there are too many workers, or too many tenants of one".into()));
        }
        self.record(&LedgerEvent::WorkerEnrolled {
            name,
            fingerprint,
            limits,
            not_after: issued.not_after,
            by: by.clone(),
        })?;
        let added = self.workers.add(info.clone(), now);
        added.map_err(|error| unwritable("list of workers", &error))?;
        Ok(WorkerCertificate {
            certificate_pem: pem(&issued.der),
            authority_pem: pem(authority.certificate()),
            info,
        })
    }

    pub(super) fn revoke_worker(&self, name: &CallerLabel, by: &Requester) -> Result<u64, Failure> {
        let fingerprints = self.workers.valid_of(name);
        for fingerprint in &fingerprints {
            let (name, fingerprint) = (name.clone(), fingerprint.clone());
            self.record(&LedgerEvent::WorkerRevoked { name, fingerprint, by: by.clone() })?;
        }
        let revoked = self.workers.revoke(&fingerprints, (self.clock)());
        revoked.map_err(|error| unwritable("list of workers", &error))?;
        Ok(fingerprints.len() as u64)
    }
}

pub(crate) fn not_listed(uid: u32) -> String {
    format!("user {uid} may not talk to the signer")
}

/// Whether a request is one of whoever runs the signer: about its workers, or about what it is.
pub(crate) fn manages(request: &Request) -> bool {
    matches!(
        request,
        Request::EnrollWorker { .. }
            | Request::Workers { .. }
            | Request::RevokeWorker { .. }
            | Request::Follow { .. }
    )
}

#[cfg(test)]
mod tests {
    use mailkeep_identity::protocol::{RequestFrame, Response, VERSION};

    use super::*;
    use crate::{Sealing, SignerOptions};

    #[test]
    fn the_service_s_user_enrolls_nobody_and_who_may_enroll_need_not_be_served() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        let sealing = Sealing::IdentityFile(path("master"));
        crate::files::make_private_directory(&path("signer")).unwrap();
        let core =
            Core::open(&SignerOptions::new(path("signer"), path("socket"), sealing)).unwrap();
        let ask = |listed, administers, request| {
            let peer = Peer::Local { uid: 1000, pid: None, listed, administers };
            let caller = "test".parse().unwrap();
            core.answer(&peer, RequestFrame { v: VERSION, caller, request })
        };
        let refused =
            |response: &Response| matches!(response, Response::Failed(Failure::Refused { .. }));
        let enroll = || Request::EnrollWorker {
            name: "friend".parse().unwrap(),
            limits: WorkerLimits::default(),
            request_pem: {
                let key = rcgen::KeyPair::generate().unwrap();
                let params = rcgen::CertificateParams::default();
                params.serialize_request(&key).unwrap().pem().unwrap()
            },
        };
        assert!(refused(&ask(true, false, enroll())));
        assert!(refused(&ask(true, false, Request::Workers { after: None })));
        let follow = || Request::Follow {
            lost: None,
            earlier: Vec::new(),
            reason: "the disk is gone".into(),
        };
        assert!(refused(&ask(true, false, follow())));
        assert!(refused(&ask(true, false, Request::RevokeWorker { name: "x".parse().unwrap() })));
        assert!(matches!(ask(true, false, Request::Status), Response::Status(_)));
        assert!(refused(&ask(false, true, Request::Status)));
        assert!(matches!(ask(false, true, enroll()), Response::Worker(_)));
    }
}
