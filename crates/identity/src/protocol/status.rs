use serde::{Deserialize, Serialize};

use crate::{CredentialSeal, Head};

/// How the signer is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignerStatus {
    /// How the master key is protected.
    pub sealing: SealingInfo,
    /// Where new private keys are made and kept.
    pub keys: KeyStoreInfo,
    /// The last record of the ledger.
    pub ledger: Head,
    /// The public key of the ledger's checkpoints ([`CheckpointKey`](crate::CheckpointKey)).
    pub checkpoint_key: String,
    /// The signer's process id.
    pub pid: u32,
    /// Number of tenants and functions that have keys, usable or not.
    pub credentials: u64,
}

/// How the key that opens all sealed files is protected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealingInfo {
    /// By what.
    pub kind: SealingKind,
    /// What the passphrase is sealed with where it comes from, when that is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passphrase: Option<CredentialSeal>,
    /// What that does not protect from, when it is less than it looks; meant for people.
    pub warning: Option<String>,
}

/// By what the master key is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SealingKind {
    /// By a passphrase that is given at every start.
    Passphrase,
    /// By where the file with the age identity is kept.
    IdentityFile,
}

/// Where private keys are made and kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum KeyStoreInfo {
    /// In files that the master key opens.
    SealedFiles,
    /// Inside a token (a hardware security module), which they cannot leave.
    Token {
        /// The token's label.
        label: String,
        /// The library that it is reached with.
        module: String,
    },
}
