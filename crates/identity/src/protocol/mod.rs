//! What the signer and its callers say to each other over the Unix socket, or over TLS.
//!
//! A *frame* is a length (32 bits, big endian, at most [`MAX_FRAME`]) and that many bytes of JSON:
//! a [`RequestFrame`] one way, a [`ResponseFrame`] the other. A connection carries any number of
//! requests, one after another; each gets one response. Both frames name the version of the
//! protocol; a signer that does not speak it says so and what it does speak.
//!
//! What cannot be asked: a client id, an object id, an audience, a lifetime, a text to sign. Those come from the
//! signer's own registry.

mod credential;
mod frame;
mod message;
mod status;
mod worker;

pub use credential::{Binding, CertificateInfo, CredentialInfo, CredentialState, KeyInfo, Slot};
pub use frame::{
    FrameError, MAX_FRAME, Split, decode_request, decode_response, encode, read_frame, split_frame,
    write_frame,
};
pub use message::{
    Failure, LEDGER_PIECE, LONGEST_REASON, LONGEST_SECRET, LedgerLines, Request, RequestFrame,
    Response, ResponseFrame, SignedAssertion, SignedProof, VERSION, WireSecret,
};
pub use status::{KeyStoreInfo, SealingInfo, SealingKind, SignerStatus};
pub use worker::{WorkerCertificate, WorkerInfo, WorkerLimits};
