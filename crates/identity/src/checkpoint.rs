use std::{fmt, str::FromStr};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::Head;

/// A signed statement: at this time, this was the last record of the ledger.
///
/// Kept away from the signer, it shows a ledger that was cut off or written anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The last record.
    #[serde(flatten)]
    pub head: Head,
    /// When, by the signer's clock.
    #[serde(with = "time::serde::rfc3339")]
    pub time: OffsetDateTime,
    /// ECDSA with P-256 and SHA-256 over [`Checkpoint::signed_text`]: r and s, 32 bytes each, in
    /// base64url.
    pub signature: String,
}

impl Checkpoint {
    /// The text that the signature is over.
    pub fn signed_text(head: &Head, time: OffsetDateTime) -> String {
        let nanoseconds = time.unix_timestamp_nanos();
        format!("mailkeep-checkpoint-1\n{}\n{}\n{nanoseconds}\n", head.seq, head.hash)
    }
}

/// A checkpoint with the key that it is checked with: what a witness keeps, a line of JSON each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WitnessLine {
    /// Where the ledger stood.
    #[serde(flatten)]
    pub checkpoint: Checkpoint,
    /// The key of the ledger's checkpoints; those of another ledger are signed with another one. Absent
    /// in what was copied from beside the ledger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint_key: Option<CheckpointKey>,
    /// Which lost ledger this one follows, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<LedgerEnd>,
}

/// Most bytes of a line that a witness keeps.
const LONGEST_LINE: usize = 4096;

impl WitnessLine {
    /// Reads what a witness keeps: a line of JSON for each time it was told, with its number (from 1). Blank
    /// lines are skipped.
    ///
    /// # Errors
    /// The number of the first line (from 1) that is none, and why.
    pub fn parse_all(text: &str) -> Result<Vec<(usize, Self)>, (usize, String)> {
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        lines
            .map(|(number, line)| {
                if line.len() > LONGEST_LINE {
                    return Err((number + 1, format!("it is longer than {LONGEST_LINE} bytes")));
                }
                let read = serde_json::from_str(line);
                read.map(|read| (number + 1, read)).map_err(|error| (number + 1, error.to_string()))
            })
            .collect()
    }
}

/// Where a ledger ended that is lost, as far as anybody outside of it knows: its last checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerEnd {
    /// The last checkpoint of it.
    pub checkpoint: Checkpoint,
    /// The key that it was signed with.
    pub checkpoint_key: CheckpointKey,
}

impl LedgerEnd {
    /// Whether the lost ledger's own key signed that it stood there.
    ///
    /// # Errors
    /// [`CheckpointError::WrongSignature`].
    pub fn verify(&self) -> Result<(), CheckpointError> {
        self.checkpoint_key.verify(&self.checkpoint)
    }
}

/// The public key that checkpoints are checked with: an uncompressed point of P-256 in base64url.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CheckpointKey([u8; 65]);

/// A checkpoint, or the key to check it with, is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The text is not a public key.
    #[error("not a checkpoint key: expected an uncompressed P-256 point in base64url")]
    NotAKey,
    /// The signature does not fit.
    #[error("the checkpoint of record {seq} was not signed with this key")]
    WrongSignature {
        /// The record that it speaks of.
        seq: u64,
    },
}

impl CheckpointKey {
    /// The key from its point.
    ///
    /// # Errors
    /// [`CheckpointError::NotAKey`].
    pub fn from_point(point: &[u8]) -> Result<Self, CheckpointError> {
        let point: [u8; 65] = point.try_into().map_err(|_| CheckpointError::NotAKey)?;
        if point[0] == 4 { Ok(Self(point)) } else { Err(CheckpointError::NotAKey) }
    }

    /// Whether the owner of this key signed the checkpoint.
    ///
    /// # Errors
    /// [`CheckpointError::WrongSignature`].
    pub fn verify(&self, checkpoint: &Checkpoint) -> Result<(), CheckpointError> {
        let wrong = CheckpointError::WrongSignature { seq: checkpoint.head.seq };
        let Ok(signature) = BASE64URL_NOPAD.decode(checkpoint.signature.as_bytes()) else {
            return Err(wrong);
        };
        let text = Checkpoint::signed_text(&checkpoint.head, checkpoint.time);
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.0.as_slice())
            .verify(text.as_bytes(), &signature)
            .map_err(|_| wrong)
    }
}

impl fmt::Display for CheckpointKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64URL_NOPAD.encode(&self.0))
    }
}

impl fmt::Debug for CheckpointKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for CheckpointKey {
    type Err = CheckpointError;

    fn from_str(text: &str) -> Result<Self, CheckpointError> {
        let point =
            BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| CheckpointError::NotAKey)?;
        Self::from_point(&point)
    }
}

impl TryFrom<String> for CheckpointKey {
    type Error = CheckpointError;

    fn try_from(text: String) -> Result<Self, CheckpointError> {
        text.parse()
    }
}

impl From<CheckpointKey> for String {
    fn from(key: CheckpointKey) -> Self {
        key.to_string()
    }
}
