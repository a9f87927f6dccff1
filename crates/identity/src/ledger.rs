//! The signer's ledger: what it did, in order, written before it answered.
//!
//! A file of lines; each is a record with a number, a time, what happened, the hash of the record
//! before, and its own hash. The hash is SHA-256 over `mailkeep-ledger-1`, a line feed, and the
//! bytes of the line in front of `,"hash":`. Anybody can check it with [`verify`]; only a
//! [`Checkpoint`] kept elsewhere shows that records were cut off at the end, or that the whole file
//! was written anew.

use std::io::BufRead;

use mailkeep_model::{Function, TenantName};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{
    CallerLabel, Checkpoint, CheckpointError, CheckpointKey, JobId, LedgerEnd, LineError,
    SecretName, Slot, WorkerLimits,
    chain::{self, Event, Fault, Head, Record, Summary},
};

/// A record of the ledger.
pub type LedgerRecord = Record<LedgerEvent>;

/// What the ledger as a whole comes to.
pub type LedgerSummary = Summary;

/// Where the ledger is not what the signer wrote.
pub type LedgerFault = Fault;

/// Who asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requester {
    /// A worker's name, where `certificate` proves it; else what it calls itself.
    pub caller: CallerLabel,
    /// The job that it names; not proven. `None` where the request has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobId>,
    /// Its user, from the kernel; `None` for a worker of another machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// Its process, from the kernel, where that tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
    /// Fingerprint of the certificate that a worker of another machine has proven itself with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum LedgerEvent {
    /// The ledger begins.
    Begun {
        /// Public key of its checkpoints ([`CheckpointKey`]).
        checkpoint_key: String,
    },
    /// The ledger follows one that is lost, by order of whoever runs the signer. Stands in front of the
    /// first signature, or nowhere.
    Follows {
        /// Where the lost one ended, as far as anybody knows; `None` when nobody does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lost: Option<LedgerEnd>,
        /// Those that were lost before that one, the last first: somebody may have seen nothing since.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        earlier: Vec<LedgerEnd>,
        /// Why, in the words of whoever ordered it.
        reason: String,
        /// Who ordered it.
        by: Requester,
    },
    /// The signer started.
    Started {
        /// Its process.
        pid: u32,
        /// Its version.
        version: String,
    },
    /// The signer stopped in good order.
    Stopped,
    /// At the start, a piece of a record was found at the end, and put aside.
    Torn {
        /// How long the piece is.
        bytes: u64,
        /// SHA-256 over it, hexadecimal.
        sha256: String,
        /// The file that holds it now, beside the ledger.
        kept_as: String,
    },
    /// A key and its certificate were made.
    KeyCreated {
        /// Whose.
        tenant: TenantName,
        /// What for.
        function: Function,
        /// Its name.
        key_id: String,
        /// Which of the keys of its tenant and function it is.
        #[serde(default)]
        slot: Slot,
        /// SHA-256 over the certificate, hexadecimal, upper case.
        thumbprint: String,
        /// Valid from.
        #[serde(with = "time::serde::rfc3339")]
        not_before: OffsetDateTime,
        /// Valid until.
        #[serde(with = "time::serde::rfc3339")]
        not_after: OffsetDateTime,
        /// Who asked.
        by: Requester,
    },
    /// A certificate authority is about to be asked for a key's certificate.
    CertificateRequested {
        /// Whose.
        tenant: TenantName,
        /// What for.
        function: Function,
        /// The key.
        key_id: String,
        /// Who asked.
        by: Requester,
    },
    /// A key got another certificate.
    CertificateInstalled {
        /// Whose.
        tenant: TenantName,
        /// What for.
        function: Function,
        /// The key.
        key_id: String,
        /// SHA-256 over the certificate, hexadecimal, upper case.
        thumbprint: String,
        /// Who issued it, as the certificate says.
        issuer: String,
        /// Valid from.
        #[serde(with = "time::serde::rfc3339")]
        not_before: OffsetDateTime,
        /// Valid until.
        #[serde(with = "time::serde::rfc3339")]
        not_after: OffsetDateTime,
        /// Who asked.
        by: Requester,
    },
    /// A key became the active one, and the one that was, a retiring one.
    KeyActivated {
        /// Whose.
        tenant: TenantName,
        /// What for.
        function: Function,
        /// The key.
        key_id: String,
        /// Who asked.
        by: Requester,
    },
    /// The keys of a tenant and function were bound to an application.
    Bound {
        /// Whose.
        tenant: TenantName,
        /// What for.
        function: Function,
        /// The active key; `None` where there is none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key_id: Option<String>,
        /// The application.
        client_id: String,
        /// The application's object id, where it is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        object_id: Option<String>,
        /// Where it gets its tokens.
        token_endpoint: String,
        /// Who asked.
        by: Requester,
    },
    /// An assertion is about to be signed.
    AssertionSigned {
        /// Whose.
        tenant: TenantName,
        /// What for.
        function: Function,
        /// The assertion's unique id.
        jti: String,
        /// The key.
        key_id: String,
        /// The application.
        client_id: String,
        /// The assertion's audience: the token endpoint.
        audience: String,
        /// When the assertion stops being good.
        #[serde(with = "time::serde::rfc3339")]
        expires: OffsetDateTime,
        /// Who asked.
        by: Requester,
    },
    /// A proof of possession is about to be signed.
    ProofSigned {
        /// Whose.
        tenant: TenantName,
        /// What for.
        function: Function,
        /// The key.
        key_id: String,
        /// The application's object id.
        object_id: String,
        /// When the proof stops being good.
        #[serde(with = "time::serde::rfc3339")]
        expires: OffsetDateTime,
        /// Who asked.
        by: Requester,
    },
    /// A request was refused.
    Refused {
        /// What was asked for.
        operation: String,
        /// Whose.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tenant: Option<TenantName>,
        /// What for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        function: Option<Function>,
        /// Why.
        reason: String,
        /// How many more of the same kind were refused since the last such record, and not
        /// recorded one by one.
        #[serde(default)]
        unrecorded: u64,
        /// Who asked; `None` for a connection that was closed before it said anything.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Requester>,
        /// The user that the kernel tells; `None` for a worker of another machine.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        uid: Option<u32>,
    },
    /// A secret was made.
    SecretCreated {
        /// Whose.
        tenant: TenantName,
        /// Its name.
        name: SecretName,
        /// Who asked.
        by: Requester,
    },
    /// A tenant's secret, which came from outside, is about to be kept: the one of that name was lost.
    SecretStored {
        /// Whose.
        tenant: TenantName,
        /// Its name.
        name: SecretName,
        /// Who brought it.
        by: Requester,
    },
    /// A secret is about to be handed out.
    SecretReleased {
        /// Whose.
        tenant: TenantName,
        /// Its name.
        name: SecretName,
        /// Who asked.
        by: Requester,
    },
    /// A secret of Mailkeep itself, which came from outside, is about to be kept.
    OwnSecretStored {
        /// Its name.
        name: SecretName,
        /// Who brought it.
        by: Requester,
    },
    /// A secret of Mailkeep itself is about to be handed out.
    OwnSecretReleased {
        /// Its name.
        name: SecretName,
        /// Who asked.
        by: Requester,
    },
    /// A secret of Mailkeep itself is about to be forgotten.
    OwnSecretForgotten {
        /// Its name.
        name: SecretName,
        /// Who asked.
        by: Requester,
    },
    /// A key is about to be destroyed.
    KeyRetired {
        /// Whose.
        tenant: TenantName,
        /// What for.
        function: Function,
        /// The key; `None` when its file was damaged, or held a binding and no keys.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key_id: Option<String>,
        /// Who asked.
        by: Requester,
    },
    /// A worker of another machine is about to get a certificate.
    WorkerEnrolled {
        /// Its name.
        name: CallerLabel,
        /// SHA-256 over the certificate, hexadecimal, upper case.
        fingerprint: String,
        /// For whom it may ask.
        #[serde(flatten)]
        limits: WorkerLimits,
        /// Valid until.
        #[serde(with = "time::serde::rfc3339")]
        not_after: OffsetDateTime,
        /// Who asked.
        by: Requester,
    },
    /// A worker's certificate is about to be good for nothing. Holds whatever the sealed list says.
    WorkerRevoked {
        /// Its name.
        name: CallerLabel,
        /// SHA-256 over the certificate, hexadecimal, upper case.
        fingerprint: String,
        /// Who asked.
        by: Requester,
    },
    /// An event of a later version.
    #[serde(other)]
    Other,
}

impl LedgerEvent {
    /// Whose it is, where it is one tenant's.
    pub fn tenant(&self) -> Option<&TenantName> {
        match self {
            Self::KeyCreated { tenant, .. }
            | Self::CertificateRequested { tenant, .. }
            | Self::CertificateInstalled { tenant, .. }
            | Self::KeyActivated { tenant, .. }
            | Self::Bound { tenant, .. }
            | Self::AssertionSigned { tenant, .. }
            | Self::ProofSigned { tenant, .. }
            | Self::SecretCreated { tenant, .. }
            | Self::SecretStored { tenant, .. }
            | Self::SecretReleased { tenant, .. }
            | Self::KeyRetired { tenant, .. } => Some(tenant),
            Self::Refused { tenant, .. } => tenant.as_ref(),
            Self::Begun { .. }
            | Self::Follows { .. }
            | Self::Started { .. }
            | Self::Stopped
            | Self::Torn { .. }
            | Self::OwnSecretStored { .. }
            | Self::OwnSecretReleased { .. }
            | Self::OwnSecretForgotten { .. }
            | Self::WorkerEnrolled { .. }
            | Self::WorkerRevoked { .. }
            | Self::Other => None,
        }
    }

    /// What it is for, where it is about one function.
    pub fn function(&self) -> Option<Function> {
        match self {
            Self::KeyCreated { function, .. }
            | Self::CertificateRequested { function, .. }
            | Self::CertificateInstalled { function, .. }
            | Self::KeyActivated { function, .. }
            | Self::Bound { function, .. }
            | Self::AssertionSigned { function, .. }
            | Self::ProofSigned { function, .. }
            | Self::KeyRetired { function, .. } => Some(*function),
            Self::Refused { function, .. } => *function,
            Self::Begun { .. }
            | Self::Follows { .. }
            | Self::Started { .. }
            | Self::Stopped
            | Self::Torn { .. }
            | Self::SecretCreated { .. }
            | Self::SecretStored { .. }
            | Self::SecretReleased { .. }
            | Self::OwnSecretStored { .. }
            | Self::OwnSecretReleased { .. }
            | Self::OwnSecretForgotten { .. }
            | Self::WorkerEnrolled { .. }
            | Self::WorkerRevoked { .. }
            | Self::Other => None,
        }
    }
}

impl Event for LedgerEvent {
    const DOMAIN: &'static str = "mailkeep-ledger-1";
}

/// The line, with its line feed, of the record that follows `head`, and the head after it.
///
/// # Errors
/// [`LineError::TooLong`].
pub fn encode(
    head: &Head,
    time: OffsetDateTime,
    event: &LedgerEvent,
) -> Result<(Vec<u8>, Head), LineError> {
    chain::encode_line(head, time, event)
}

/// Reads one line, without its line feed, and checks its own hash.
///
/// # Errors
/// What is wrong with it.
pub fn parse(line: &[u8]) -> Result<LedgerRecord, LineError> {
    chain::parse_line(line)
}

/// Checks a whole ledger: every record is as it was written, none is missing, moved, repeated or
/// replaced. Memory does not grow with the ledger.
///
/// # Errors
/// The first place that is not as the signer wrote it.
pub fn verify(reader: impl BufRead) -> Result<LedgerSummary, LedgerFault> {
    verify_each(reader, |_| ())
}

/// [`verify`], and hands out every good record on the way.
///
/// # Errors
/// The first place that is not as the signer wrote it; records in front of it were handed out.
pub fn verify_each(
    reader: impl BufRead,
    mut each: impl FnMut(&LedgerRecord),
) -> Result<LedgerSummary, LedgerFault> {
    chain::verify(reader, |record| {
        each(record);
        Ok(())
    })
}

/// [`verify`] of what is behind the whole records that were read before (`so_far`), whose bytes `reader`
/// leaves out. Hands out every good record with its line, line feed included.
///
/// # Errors
/// As there. That what was read before has not been changed since is for the caller to see to.
pub fn verify_on(
    reader: impl BufRead,
    so_far: &LedgerSummary,
    mut each: impl FnMut(&LedgerRecord, &[u8]),
) -> Result<LedgerSummary, LedgerFault> {
    // It cannot begin later, so that each of its lines is a record.
    chain::verify_on(reader, so_far, |record, line| {
        record.into_iter().for_each(|record| each(record, line));
        Ok(())
    })
}

/// Why a ledger does not stand before its checkpoints.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WitnessError {
    /// A checkpoint is not the signer's.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The ledger is not what the signer wrote.
    #[error(transparent)]
    Ledger(#[from] LedgerFault),
}

/// [`verify`], and holds the ledger against checkpoints that were kept elsewhere: finds records
/// that were cut off at the end, and a ledger that was written anew.
///
/// # Errors
/// A checkpoint with a wrong signature, or the first place that is not as the signer wrote it.
pub fn verify_witnessed(
    reader: impl BufRead,
    key: &CheckpointKey,
    checkpoints: &[Checkpoint],
    each: impl FnMut(&LedgerRecord),
) -> Result<LedgerSummary, WitnessError> {
    for checkpoint in checkpoints {
        key.verify(checkpoint)?;
    }
    Ok(chain::verify_seen(reader, checkpoints.iter().map(|one| one.head), each)?)
}
