use mailkeep_model::{Function, Secret, TenantName};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::OffsetDateTime;

use super::{
    Binding, CertificateInfo, CredentialInfo, SignerStatus, WorkerCertificate, WorkerInfo,
    WorkerLimits,
};
use crate::{CallerLabel, Checkpoint, Hash, JobId, KeyUse, LedgerEnd, SecretName};

/// The version of the protocol that this code speaks.
pub const VERSION: u16 = 1;

/// Most bytes of the ledger in one answer: in base64, they fit into a frame.
pub const LEDGER_PIECE: usize = 45 * 1024;

/// Bytes of a secret that comes from outside. A certificate authority's chain is the longest thing
/// that belongs into one.
pub const LONGEST_SECRET: usize = 32 * 1024;

/// Bytes of the reason for an order.
pub const LONGEST_REASON: usize = 1024;

/// What a caller sends.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RequestFrame {
    /// Version of the protocol.
    pub v: u16,
    /// What the caller calls itself.
    pub caller: CallerLabel,
    /// What it asks for.
    pub request: Request,
}

/// What a caller may ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Request {
    /// Sign a client assertion. Answer: [`Response::Assertion`].
    SignAssertion {
        /// The job that needs it.
        job: JobId,
        /// Whose key.
        tenant: TenantName,
        /// What for.
        function: Function,
        /// With this key; the active one when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key_id: Option<String>,
    },
    /// Sign a proof of possession. Answer: [`Response::Proof`].
    SignProof {
        /// The job that needs it.
        job: JobId,
        /// Whose key.
        tenant: TenantName,
        /// What for.
        function: Function,
        /// With this key; the active one when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key_id: Option<String>,
    },
    /// Make an active key and a self-signed certificate, unless there is a valid one. Answer:
    /// [`Response::Certificate`].
    CreateKey {
        /// The job that needs it.
        job: JobId,
        /// Whose key.
        tenant: TenantName,
        /// What for.
        function: Function,
    },
    /// Make a prepared key and a self-signed certificate, unless there is a valid one. Answer:
    /// [`Response::Certificate`].
    PrepareKey {
        /// The job that needs it.
        job: JobId,
        /// Whose key.
        tenant: TenantName,
        /// What for.
        function: Function,
    },
    /// Make a prepared or retiring key the active one; the active one is retiring then. Answer:
    /// [`Response::Done`].
    ActivateKey {
        /// The job that needs it.
        job: JobId,
        /// Whose key.
        tenant: TenantName,
        /// What for.
        function: Function,
        /// Which.
        key_id: String,
    },
    /// Ask a certificate authority, in the name of the prepared or active key, for a certificate (RFC
    /// 2986). Answer: [`Response::CertificateRequest`].
    CertificateRequest {
        /// The job that needs it.
        job: JobId,
        /// Whose key.
        tenant: TenantName,
        /// What for.
        function: Function,
        /// For this key; the active one when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key_id: Option<String>,
    },
    /// Put what the authority answered in the place of the key's certificate. Answer:
    /// [`Response::Certificate`].
    InstallCertificate {
        /// The job that brings it.
        job: JobId,
        /// Whose key.
        tenant: TenantName,
        /// What for.
        function: Function,
        /// Which key.
        key_id: String,
        /// The key's certificate, then those that vouch for it, each for the one before (PEM).
        chain_pem: String,
    },
    /// Bind the keys of a tenant and function, those to come included, to an application and a token
    /// endpoint, once. Answer: [`Response::Done`].
    Bind {
        /// The job that needs it.
        job: JobId,
        /// Whose key.
        tenant: TenantName,
        /// Which key.
        function: Function,
        /// The application, and where it gets its tokens.
        binding: Binding,
    },
    /// List credentials, a page at a time, ordered by tenant and function. Answer:
    /// [`Response::Credentials`].
    Credentials {
        /// Only this tenant's.
        tenant: Option<TenantName>,
        /// Only those behind this one, which ended the page before.
        after: Option<KeyUse>,
    },
    /// Make a random secret, unless there is one of that name. Answer: [`Response::Done`].
    CreateSecret {
        /// The job that needs it.
        job: JobId,
        /// Whose secret.
        tenant: TenantName,
        /// Its name.
        name: SecretName,
    },
    /// Keep a tenant's secret that comes from outside, where there is none of that name: what a recovery
    /// kit has. Answer: [`Response::Done`], also when it is there already, and the same.
    StoreSecret {
        /// The job that brings it.
        job: JobId,
        /// Whose secret.
        tenant: TenantName,
        /// Its name.
        name: SecretName,
        /// The secret itself, of at most [`LONGEST_SECRET`] bytes.
        secret: WireSecret,
    },
    /// Hand out a secret. Answer: [`Response::Secret`].
    ReleaseSecret {
        /// The job that needs it.
        job: JobId,
        /// Whose secret.
        tenant: TenantName,
        /// Its name.
        name: SecretName,
    },
    /// Keep a secret that comes from outside, of Mailkeep itself and of no tenant, in the place of one
    /// of that name: where alerts go. Answer: [`Response::Done`].
    StoreOwnSecret {
        /// The job that brings it.
        job: JobId,
        /// Its name.
        name: SecretName,
        /// The secret itself, of at most [`LONGEST_SECRET`] bytes.
        secret: WireSecret,
    },
    /// Hand such a secret out. Answer: [`Response::Secret`].
    ReleaseOwnSecret {
        /// The job that needs it.
        job: JobId,
        /// Its name.
        name: SecretName,
    },
    /// Forget such a secret, whether it is there or not. Answer: [`Response::Done`].
    ForgetOwnSecret {
        /// The job that asks.
        job: JobId,
        /// Its name.
        name: SecretName,
    },
    /// Destroy the keys of a tenant, or those of a function, with their bindings, or a single key
    /// without. Its secrets stay: mail is read with them. Answer: [`Response::Retired`].
    Retire {
        /// The job that asks.
        job: JobId,
        /// Whose keys.
        tenant: TenantName,
        /// Of which function; of all when absent.
        #[serde(default)]
        function: Option<Function>,
        /// This one of the function's keys; all when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key_id: Option<String>,
    },
    /// Say in the ledger that it follows one that is lost, before anything was signed. Answer:
    /// [`Response::Done`].
    Follow {
        /// Where the lost one ended, as far as anybody knows.
        lost: Option<LedgerEnd>,
        /// Those that were lost before that one, the last first; at most
        /// [`MOST_EARLIER`](crate::MOST_EARLIER).
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        earlier: Vec<LedgerEnd>,
        /// Why, of at most [`LONGEST_REASON`] bytes.
        reason: String,
    },
    /// Give a worker of another machine a certificate. Answer: [`Response::Worker`].
    EnrollWorker {
        /// What it is called.
        name: CallerLabel,
        /// For whom it may ask.
        limits: WorkerLimits,
        /// The request that its key has signed (PEM, RFC 2986).
        request_pem: String,
    },
    /// List the workers of other machines, a page at a time. Answer: [`Response::Workers`].
    Workers {
        /// Only those behind this fingerprint, which ended the page before.
        after: Option<String>,
    },
    /// Cut a worker off. Answer: [`Response::WorkersRevoked`].
    RevokeWorker {
        /// What it is called.
        name: CallerLabel,
    },
    /// How the signer is. Answer: [`Response::Status`].
    Status,
    /// A signed statement of where the ledger stands. Answer: [`Response::Checkpoint`].
    Checkpoint,
    /// A piece of the ledger as it is on the disk. Answer: [`Response::Ledger`].
    Ledger {
        /// Where it begins, in bytes.
        from: u64,
    },
    /// The records of one tenant in the ledger as it is on the disk, a piece at a time. Answer:
    /// [`Response::LedgerOf`].
    LedgerOf {
        /// Whose.
        tenant: TenantName,
        /// Where it is looked for them from, in bytes.
        from: u64,
    },
    /// The hash of the first bytes of the ledger as they are on the disk: whether what was read before is
    /// still the same. Answer: [`Response::LedgerDigest`].
    LedgerDigest {
        /// How many bytes.
        bytes: u64,
    },
}

/// What the signer answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ResponseFrame {
    /// Version of the protocol.
    pub v: u16,
    /// The answer.
    pub response: Response,
}

/// The signer's answer to a request.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Response {
    /// A signed assertion.
    Assertion(SignedAssertion),
    /// A signed proof.
    Proof(SignedProof),
    /// The certificate of a key.
    Certificate(CertificateInfo),
    /// A request for a certificate.
    CertificateRequest {
        /// The request (RFC 7468).
        request_pem: String,
    },
    /// A page of credentials.
    Credentials {
        /// The credentials.
        items: Vec<CredentialInfo>,
        /// Whether the next page has any.
        more: bool,
    },
    /// A secret.
    Secret {
        /// The secret itself.
        secret: WireSecret,
    },
    /// Keys are destroyed.
    Retired {
        /// How many.
        keys: u64,
    },
    /// A worker's certificate.
    Worker(WorkerCertificate),
    /// A page of workers.
    Workers {
        /// Their certificates.
        items: Vec<WorkerInfo>,
        /// Whether the next page has any.
        more: bool,
    },
    /// A worker is cut off.
    WorkersRevoked {
        /// How many certificates it had.
        certificates: u64,
    },
    /// How the signer is.
    Status(SignerStatus),
    /// Where the ledger stands.
    Checkpoint(Checkpoint),
    /// A piece of the ledger, at most [`LEDGER_PIECE`] bytes; empty at its end.
    Ledger {
        /// Its bytes.
        #[serde(with = "base64_bytes")]
        piece: Vec<u8>,
    },
    /// Records of one tenant.
    LedgerOf(LedgerLines),
    /// The hash of the beginning of the ledger.
    LedgerDigest {
        /// SHA-256, hexadecimal; `None` when the ledger is shorter than that.
        sha256: Option<Hash>,
    },
    /// Done; there is nothing to tell.
    Done,
    /// Not done.
    Failed(Failure),
}

/// Why the signer did not do what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Failure {
    /// There is no active key for that tenant and function.
    NoKey,
    /// The key is not bound to an application yet.
    NotBound,
    /// There is no secret of that name.
    NoSecret,
    /// Too many signatures for that tenant and function.
    RateLimited {
        /// When the next one may be had, in milliseconds.
        retry_after_ms: u64,
    },
    /// A rule of the signer's forbids it.
    Refused {
        /// Which, in words.
        reason: String,
    },
    /// The sealed file of that tenant and function (or secret) cannot be used; others are served.
    Damaged {
        /// What is wrong with it.
        what: String,
    },
    /// The ledger cannot be written; without a record nothing is signed or handed out.
    LedgerUnavailable {
        /// What stands in the way.
        what: String,
    },
    /// The keys are inside a token that cannot be used.
    KeyStoreUnavailable {
        /// What stands in the way.
        what: String,
    },
    /// The request cannot be read.
    Malformed {
        /// What is wrong with it.
        what: String,
    },
    /// The signer does not speak the caller's version.
    Version {
        /// The version that it speaks.
        speaks: u16,
    },
    /// The signer failed.
    Internal {
        /// At what.
        what: String,
    },
}

/// Records of one tenant in the ledger, as far as it was looked through for them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerLines {
    /// Line by line, at most [`LEDGER_PIECE`] bytes.
    #[serde(with = "base64_bytes")]
    pub lines: Vec<u8>,
    /// Where it is to be gone on from, in bytes.
    pub next: u64,
    /// Whether there is more already.
    pub more: bool,
    /// The functions whose records were given, beside those of none; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub functions: Option<Vec<Function>>,
}

/// A client assertion, ready to be sent to the token endpoint that it was made for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SignedAssertion {
    /// The assertion itself (`client_assertion`). Whoever has it can get one token with it.
    #[serde(with = "secret_text")]
    pub assertion: Secret,
    /// The application's client id (`client_id`).
    pub client_id: String,
    /// Where to send it.
    pub token_endpoint: String,
    /// Its unique id, as the ledger has it; belongs into the receipt.
    pub jti: String,
    /// The key that signed it.
    pub key_id: String,
    /// When it stops being good.
    #[serde(with = "time::serde::rfc3339")]
    pub expires: OffsetDateTime,
}

/// A proof of possession, ready to be sent with a request that adds or removes a key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SignedProof {
    /// The proof itself (`proof`). Whoever has it, and a token, can change the application's keys.
    #[serde(with = "secret_text")]
    pub proof: Secret,
    /// The key that signed it.
    pub key_id: String,
    /// When it stops being good.
    #[serde(with = "time::serde::rfc3339")]
    pub expires: OffsetDateTime,
}

/// A secret on its way through the socket. Prints as `[redacted]`.
#[derive(Clone, Debug)]
pub struct WireSecret(pub Secret);

impl PartialEq for WireSecret {
    fn eq(&self, other: &Self) -> bool {
        self.0.expose() == other.0.expose()
    }
}

impl Eq for WireSecret {}

impl Serialize for WireSecret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        secret_text::serialize(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for WireSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        secret_text::deserialize(deserializer).map(Self)
    }
}

/// A damaged ledger need not be text.
mod base64_bytes {
    use data_encoding::BASE64;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        BASE64.decode(text.as_bytes()).map_err(D::Error::custom)
    }
}

/// The only places where a secret is written out: the two ends of the socket.
mod secret_text {
    use super::{Deserialize, Deserializer, Secret, Serializer};

    pub(super) fn serialize<S: Serializer>(
        secret: &Secret,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(secret.expose())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Secret, D::Error> {
        String::deserialize(deserializer).map(Secret::new)
    }
}
