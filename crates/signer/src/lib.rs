//! Private keys, the key registry and the ledger writer: the signer.
//!
//! # Vocabulary
//!
//! - The *master key* (an age X25519 identity) opens every other file of the signer. It is sealed
//!   with a passphrase, or lies in a file that the operator keeps elsewhere ([`Sealing`]).
//! - A *token* is a hardware security module, where keys can be made and kept ([`Keys`]); of those, the
//!   sealed file has the name only.
//! - A *sealed file* holds the keys of a tenant and function with their certificates and the
//!   binding, or a secret. It is encrypted to the master key and names what it is for, so that it is
//!   of no use in another's place. It is replaced as a whole: a key becomes the active one in the
//!   moment in which the one before stops to be.
//! - The *registry* is the sealed files of all keys: which keys serve which tenant and function, in
//!   which slot, for which application and token endpoint. No key and no application serves two.
//! - A *worker* is a process of another machine that asks over TLS, as far as the list of workers lets it.
//! - The *ledger* gets a record, on disk, before anything is signed or handed out.
//!
//! # Directory
//!
//! ```text
//! lock                      held by the one signer that may write
//! master.age                the master key under the passphrase, when that is how it is sealed
//! check.age                 tells a wrong master key from a damaged file
//! checkpoint-key.age        signs checkpoints of the ledger (ECDSA P-256)
//! ledger.jsonl              the ledger; torn-*.bin: what crashes left of records
//! checkpoint.json           the last checkpoint
//! keys/TENANT/FUNCTION.age  the keys of a tenant and function, and their binding
//! secrets/TENANT/NAME.age   one secret
//! worker-authority.age      gives workers of other machines, and the signer to them, certificates (P-256)
//! workers.age               which of those certificates are listened to
//! ```
//!
//! What a caller can have is in [`mailkeep_identity::protocol`]; nothing there names a private key.

mod at_hand;
mod authority;
mod bucket;
mod certificate;
mod chain;
mod conversation;
mod core;
mod credential;
mod dumps;
mod error;
mod files;
mod key;
mod ledger;
mod master;
mod options;
mod reads;
mod refusals;
mod registry;
mod remote;
mod request;
mod secrets;
mod server;
mod store;
mod token;
mod workers;

pub use dumps::refuse_dumps;
pub use error::SignerError;
pub use options::{
    Clock, Keys, Peers, RateLimit, ReadLimit, RemoteOptions, Sealing, SignerOptions,
};
pub use server::Signer;
