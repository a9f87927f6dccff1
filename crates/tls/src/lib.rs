//! TLS of our own listeners, and of a worker's way to the signer.
//!
//! # Vocabulary
//!
//! - A *listener* is a port of ours that others connect to. [`ListenerTls`] holds what it proves itself
//!   with, and changes that while it runs.
//! - What serves comes from *files* that somebody else renews, or from a certificate authority that
//!   speaks *ACME* (RFC 8555), asked through the challenge `tls-alpn-01` (RFC 8737), which needs no port
//!   beside the listener's own.
//! - A *worker* reaches the signer of another machine with a certificate that the signer gave it
//!   ([`SignerPort`]).
//!
//! # Keys
//!
//! This crate and the signer are the only ones that can name a private key. The keys here are those
//! of listeners, ACME accounts and workers: made here or read from files, and handed to the TLS
//! library. It uses no other crate of ours, so that no key to a mailbox can get here; and no key
//! appears in its public API, so that none gets out.

mod acme;
mod error;
mod http_client;
mod keys;
mod listener;
mod options;
mod private;
mod serving;
mod status;
mod worker;

pub use error::TlsError;
pub use listener::ListenerTls;
pub use options::{
    Acme, CertificateSource, Clock, ClockOption, ListenerOptions, OldestTls, Pace, TlsFiles,
};
pub use status::{CertificateStatus, ServingCertificate, Trouble};
pub use worker::{MAX_FILE, SignerPort, WorkerFiles, WorkerRequest};

/// The protocol with which an ACME server looks for the answer to its challenge (RFC 8737).
pub const ACME_TLS: &[u8] = b"acme-tls/1";
