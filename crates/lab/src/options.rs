use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// How a lab is started.
#[derive(Clone, Debug)]
pub struct LabOptions {
    /// Where to listen: a loopback address, anything else is refused. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where `ca.pem` and `admin-token` are written.
    pub directory: PathBuf,
    /// Mail to fill the mailboxes with, the same in every tenant: a directory, a `.tar.xz`, a
    /// `.mbox` or an `.eml`. Empty: a small set that the lab brings along.
    pub seed: Vec<PathBuf>,
    /// Number of tenants, at least one.
    pub tenants: usize,
    /// Mailboxes per tenant; for the mail that the lab brings along only.
    pub mailboxes: Option<usize>,
    /// Mailboxes begin empty, without the mail that the lab brings along.
    pub empty: bool,
    /// Requests that one application may have open on one mailbox. Exchange Online: 4.
    pub concurrency: usize,
    /// Requests that one application may make on one mailbox in ten minutes. Exchange Online:
    /// 10,000. `None`, the default here, does not count, so that a bulk test can read a large
    /// mailbox without waiting for hours.
    pub requests_per_ten_minutes: Option<u32>,
    /// Bytes that one application may send to one mailbox in five minutes. Exchange Online: 150 MB.
    /// `None`, the default here, does not count. `POST /_lab/limits` changes it in a running lab.
    pub upload_bytes_per_five_minutes: Option<u64>,
    /// Which signatures of a client assertion are taken.
    pub assertions: AssertionAlgorithms,
    /// Where every request to Graph is written down, one line of JSON each, without what is secret in
    /// it. Taken from `MAILKEEP_LAB_JOURNAL`, which `cargo xtask test` sets; `None`: nowhere.
    pub journal: Option<PathBuf>,
    /// How long a sign-in takes to appear in `/auditLogs/signIns`. Zero here; minutes in Entra.
    pub sign_in_log_delay: Duration,
}

impl LabOptions {
    /// A lab with one tenant and the built-in mail, on a free port of 127.0.0.1.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            directory: directory.into(),
            seed: Vec::new(),
            tenants: 1,
            mailboxes: None,
            empty: false,
            concurrency: 4,
            requests_per_ten_minutes: None,
            upload_bytes_per_five_minutes: None,
            assertions: AssertionAlgorithms::default(),
            journal: std::env::var_os("MAILKEEP_LAB_JOURNAL").map(PathBuf::from),
            sign_in_log_delay: Duration::ZERO,
        }
    }
}

/// Which signature algorithms the token endpoint takes for a client assertion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AssertionAlgorithms {
    /// PS256, and RS256 as older libraries make it.
    #[default]
    Ps256AndRs256,
    /// PS256 alone, as today's documentation asks for.
    Ps256Only,
}

/// Where a running lab is and what is in it; one line of JSON for other programs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Description {
    /// Version of this form: 1.
    pub schema: u32,
    /// What stands before `/{tenant}/oauth2/v2.0/token`.
    pub authority: String,
    /// Base of Microsoft Graph v1.0. `/beta` lies beside it.
    pub graph: String,
    /// Not simulated by this version.
    pub ews: Option<String>,
    /// Not simulated by this version.
    pub smtp: Option<String>,
    /// PEM file of the authority that signed the lab's certificate.
    pub ca: PathBuf,
    /// Base of the administrative interface.
    pub admin: String,
    /// File with the bearer token for it.
    pub admin_token_file: PathBuf,
    /// The tenants.
    pub tenants: Vec<TenantDescription>,
}

/// One tenant of a running lab.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TenantDescription {
    /// Directory (tenant) id.
    pub id: Uuid,
    /// Its domain, which may stand for the id in the authority.
    pub domain: String,
    /// Addresses of its mailboxes at the start.
    pub mailboxes: Vec<String>,
}

/// An application to be registered in a tenant, with consent given.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    /// Display name.
    pub name: String,
    /// PEM of the certificate whose key signs its assertions; empty: it gets one later.
    pub certificate: String,
    /// Application permissions of Microsoft Graph, such as `Mail.Read`.
    pub roles: Vec<String>,
}

/// What a registration made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Registered {
    /// Application (client) id.
    pub client_id: Uuid,
    /// Object id of the application.
    pub object_id: Uuid,
    /// Object id of its service principal.
    pub service_principal_id: Uuid,
    /// Id of the key credential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<Uuid>,
}
