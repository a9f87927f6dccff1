//! The protocol with the signer, its client, and the ledger.
//!
//! # Vocabulary
//!
//! - The *signer* is a process of its own that holds every private key. This crate is all that
//!   the other processes know of it; no private key can be expressed here.
//! - A *credential* is a key and its certificate. It serves one tenant and one [`Function`]
//!   (a [`KeyUse`]), is *bound* to one application (client id) and one token endpoint, and is
//!   never handed out: [`SignerClient`] asks for signatures.
//! - A [`Slot`] tells the keys of one [`KeyUse`] apart: one is active, one is prepared to follow it,
//!   others retire. They share the binding.
//! - An *assertion* is the JSON Web Token that proves to the provider that we hold the key
//!   (RFC 7523, `private_key_jwt`); see [`assertion`]. A *proof* shows it to Graph when an application
//!   changes its own keys; see [`proof`].
//! - The [`ledger`] is the signer's chain of records: each names the hash of the one before it.
//!   It is written before the signer answers. A *checkpoint* is a signed statement of where the
//!   ledger stands. A ledger that *follows* a lost one says so, by order ([`Follows`]).
//! - A *receipt* is a worker's record of what it did with an assertion ([`ReceiptLog`]): another
//!   chain, which the workers write themselves and which is trusted no further than they are.
//! - The [`journal`] has every request that a job makes, before it goes out.
//! - `uti` is the provider's identifier of a token, and joins our receipts with its logs ([`uti`]).
//! - A *transport* is the way to the signer: its socket on this machine, or whatever the program hands
//!   in ([`SignerTransport`]). A *worker* asks from another machine.
//! - A *rotation* brings a new key into the place of an old one; [`rotation`] says what comes next.
//!
//! Everything in here is pure, but for [`SignerClient`], [`ReceiptLog`] and the
//! [`journal`].
//!
//! [`Function`]: mailkeep_model::Function

pub mod assertion;
mod chain;
mod checkpoint;
mod client;
mod credential_seal;
mod error;
pub mod journal;
pub mod jwt;
pub mod ledger;
mod names;
mod origin;
pub mod proof;
pub mod protocol;
mod receipts;
pub mod rotation;
mod succession;
pub mod uti;

pub use chain::{Fault, FaultKind, Hash, Head, LineError, MAX_LINE, Record, Summary, Torn};
pub use checkpoint::{Checkpoint, CheckpointError, CheckpointKey, LedgerEnd, WitnessLine};
pub use client::{Opening, SignerClient, SignerStream, SignerTransport};
pub use credential_seal::CredentialSeal;
pub use error::IdentityError;
pub use names::{CallerLabel, InvalidName, JobId, KeyUse, SecretName};
pub use origin::{Follows, MOST_EARLIER, Origin, Unbelieved, settles, why_unnamed};
pub use protocol::{
    Binding, CertificateInfo, CredentialInfo, CredentialState, KeyInfo, KeyStoreInfo, LedgerLines,
    SealingInfo, SealingKind, SignedAssertion, SignedProof, SignerStatus, Slot, WorkerCertificate,
    WorkerInfo, WorkerLimits,
};
pub use receipts::{
    ReceiptError, ReceiptEvent, ReceiptLog, parse as parse_receipt, verify as verify_receipts,
    verify_on as verify_receipts_on,
};
pub use succession::{Kept, Unexplained, lost_before};
