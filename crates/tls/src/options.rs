use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use time::OffsetDateTime;
use url::Url;

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> OffsetDateTime + Send + Sync>;

/// What a listener proves itself with, and how.
#[derive(Clone, Debug)]
pub struct ListenerOptions {
    /// Where its certificate comes from.
    pub source: CertificateSource,
    /// The oldest TLS that it speaks.
    pub oldest: OldestTls,
    /// What it speaks inside TLS (ALPN), the preferred one first.
    pub protocols: Vec<Vec<u8>>,
    /// Where [`CertificateStatus`](crate::CertificateStatus) is written at every change, for who asks
    /// from another process; nowhere when `None`.
    pub status_file: Option<PathBuf>,
    /// How often it looks.
    pub pace: Pace,
    /// Tells the time.
    pub clock: ClockOption,
}

impl ListenerOptions {
    /// TLS 1.3, HTTP/1.1, the usual pace and the system's clock.
    pub fn new(source: CertificateSource) -> Self {
        Self {
            source,
            oldest: OldestTls::default(),
            protocols: vec![b"http/1.1".to_vec()],
            status_file: None,
            pace: Pace::default(),
            clock: ClockOption::default(),
        }
    }
}

/// Where a listener's certificate comes from.
#[derive(Clone, Debug)]
pub enum CertificateSource {
    /// Files that somebody else renews.
    Files(TlsFiles),
    /// A certificate authority, which is asked when there is none yet and when two thirds of one's
    /// life have passed.
    Acme(Acme),
}

/// A certificate and its key. Not one of the keys to mailboxes, which only the signer has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate with its chain, PEM.
    pub certificate: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
}

/// A certificate authority that speaks ACME, and what it is asked for. Who names one agrees to its
/// terms of service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acme {
    /// Its directory (RFC 8555 section 7.1.1).
    pub directory: Url,
    /// The names that the certificate is for, one at least.
    pub names: Vec<String>,
    /// Whom it may write to; empty: nobody.
    pub contact: String,
    /// The certificate authorities (PEM) that vouch for `directory` itself; the system's when `None`.
    pub authority: Option<PathBuf>,
    /// Where the account's key, and certificates with their keys, are kept. Made with mode 0700, the
    /// files in it with 0600.
    pub storage: PathBuf,
}

/// The oldest TLS that a listener speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OldestTls {
    /// 1.2 (RFC 5246), for those who cannot do better.
    V1_2,
    /// 1.3 (RFC 8446).
    #[default]
    V1_3,
}

/// How often a listener looks, and waits.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Between two looks at files, or at the clock.
    pub look: Duration,
    /// After the first order that failed; twice as long after each further one, six hours at most.
    /// Public authorities take five failures an hour.
    pub retry: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { look: Duration::from_secs(10), retry: Duration::from_secs(15 * 60) }
    }
}

/// A [`Clock`] that prints.
#[derive(Clone)]
pub struct ClockOption(pub Clock);

impl Default for ClockOption {
    fn default() -> Self {
        Self(Arc::new(OffsetDateTime::now_utc))
    }
}

impl fmt::Debug for ClockOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("clock")
    }
}
