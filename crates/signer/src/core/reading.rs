//! What is told of the ledger to whoever reads it in part, or asks whether it is still the same.

use mailkeep_identity::{
    LedgerLines, MAX_LINE,
    protocol::{Failure, Response},
};
use mailkeep_model::TenantName;

use super::{Core, Peer, internal, lock};
use crate::{ledger::LOOKED_THROUGH, request::refusal};

impl Core {
    /// Records of a tenant; those of the functions alone that the caller may ask for.
    pub(super) fn ledger_of(
        &self,
        peer: &Peer,
        tenant: &TenantName,
        from: u64,
    ) -> Result<Response, Failure> {
        let functions = match peer {
            Peer::Local { .. } => None,
            Peer::Worker { fingerprint, .. } => {
                let admitted = self.workers().admit(fingerprint, self.now());
                admitted.map_err(refusal)?.limits.functions
            }
        };
        // The last line may go beyond that.
        let most = self.ledger.bytes().saturating_sub(from).min(LOOKED_THROUGH + MAX_LINE as u64);
        self.look_through(peer, most)?;
        let found = self.ledger.lines_of(tenant, functions.as_deref(), from);
        let (lines, next, more) = found.map_err(|error| internal(&error))?;
        let left = most.saturating_sub(next.saturating_sub(from));
        lock(&self.reads).give_back(&peer.origin(), left);
        Ok(Response::LedgerOf(LedgerLines { lines, next, more, functions }))
    }

    /// The hash of the ledger's beginning.
    pub(super) fn ledger_digest(&self, peer: &Peer, bytes: u64) -> Result<Response, Failure> {
        self.look_through(peer, bytes.min(self.ledger.bytes()))?;
        let digest = self.ledger.digest(bytes);
        digest.map(|sha256| Response::LedgerDigest { sha256 }).map_err(|error| internal(&error))
    }

    /// So many bytes are about to be looked through for this caller.
    fn look_through(&self, peer: &Peer, bytes: u64) -> Result<(), Failure> {
        let taken = lock(&self.reads).take(&peer.origin(), bytes, self.now());
        taken.map_err(|retry_after| Failure::RateLimited {
            retry_after_ms: u64::try_from(retry_after.as_millis()).unwrap_or(u64::MAX),
        })
    }
}
