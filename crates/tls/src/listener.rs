use std::{sync::Arc, time::Duration};

use rustls::{ServerConfig, version};
use tokio::task::AbortHandle;

use crate::{
    ACME_TLS, CertificateSource, CertificateStatus, ListenerOptions, OldestTls, Pace, TlsError,
    TlsFiles,
    acme::{self, Order},
    keys::{Pair, provider},
    options::Clock,
    serving::Serving,
};

/// The longest time between two orders.
const LONGEST_RETRY: Duration = Duration::from_secs(6 * 60 * 60);

/// What a listener proves itself with. Renews it for as long as this is there.
pub struct ListenerTls {
    serving: Arc<Serving>,
    config: Arc<ServerConfig>,
    renewing: AbortHandle,
}

impl ListenerTls {
    /// Reads the certificate, or what an earlier run got from the authority, and begins to look after
    /// it. Of an authority that has not given one yet nothing is waited for: it asks back at the
    /// listener, which refuses all others until then.
    ///
    /// # Errors
    /// [`TlsError::File`] and [`TlsError::Content`] when there are files that cannot be used;
    /// [`TlsError::Settings`].
    pub async fn start(options: ListenerOptions) -> Result<Self, TlsError> {
        let ListenerOptions { source, oldest, mut protocols, status_file, pace, clock } = options;
        let clock = clock.0;
        let serving = Arc::new(Serving::new(describe(&source), status_file));
        let (renewing, shown) = (Arc::clone(&serving), Arc::clone(&serving));
        let task = match source {
            CertificateSource::Files(files) => {
                let pair = Pair::read(&files)?;
                serving.put(pair.identity(&files)?);
                tokio::spawn(watch_files(renewing, files, pair, pace, clock))
            }
            CertificateSource::Acme(acme) => {
                protocols.push(ACME_TLS.to_vec());
                let order = Order::new(acme)?;
                if let Some(kept) = order.kept()? {
                    serving.put(kept);
                }
                tokio::spawn(renew(renewing, order, pace, clock))
            }
        };
        serving.write_status();
        let versions: &[_] = match oldest {
            OldestTls::V1_3 => &[&version::TLS13],
            OldestTls::V1_2 => &[&version::TLS13, &version::TLS12],
        };
        let config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)
            .map_err(|error| TlsError::Settings(error.to_string()))?;
        let mut config = config.with_no_client_auth().with_cert_resolver(shown);
        config.alpn_protocols = protocols;
        Ok(Self { serving, config: Arc::new(config), renewing: task.abort_handle() })
    }

    /// How the TLS library is to accept. Stays the same while certificates change.
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// What serves.
    pub fn status(&self) -> CertificateStatus {
        self.serving.status()
    }
}

impl Drop for ListenerTls {
    fn drop(&mut self) {
        self.renewing.abort();
    }
}

impl std::fmt::Debug for ListenerTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ListenerTls").field("serving", &self.serving).finish_non_exhaustive()
    }
}

fn describe(source: &CertificateSource) -> String {
    match source {
        CertificateSource::Files(files) => files.certificate.display().to_string(),
        CertificateSource::Acme(acme) => format!("ACME, {}", acme.directory),
    }
}

/// Looks at the files again and again. What they hold is compared, not their times: a link that leads
/// elsewhere, or a clock that was set, deceives nobody.
async fn watch_files(
    serving: Arc<Serving>,
    files: TlsFiles,
    mut serves: Pair,
    pace: Pace,
    clock: Clock,
) {
    loop {
        tokio::time::sleep(pace.look).await;
        let now = clock();
        let looked = Pair::read(&files).and_then(|pair| {
            if pair == serves {
                return Ok(None);
            }
            let identity = pair.identity(&files)?;
            if identity.about.not_after <= now {
                let what = format!("it expired at {}", identity.about.not_after);
                return Err(TlsError::Content { path: files.certificate.clone(), what });
            }
            Ok(Some((pair, identity)))
        });
        match looked {
            Ok(Some((pair, identity))) => {
                serving.put(identity);
                serves = pair;
            }
            Ok(None) => serving.clear_trouble(),
            // Between the writing of the two files this is as it has to be; it clears by itself.
            Err(error) => serving.note(&error, now),
        }
    }
}

/// Orders a certificate when there is none for these names, or two thirds of its life have passed.
async fn renew(serving: Arc<Serving>, order: Order, pace: Pace, clock: Clock) {
    let mut retry = pace.retry;
    loop {
        let due = serving.status().serving.map(|about| about.renew_at());
        if due.is_some_and(|due| clock() < due) {
            tokio::time::sleep(pace.look).await;
            continue;
        }
        match acme::order(&order, &serving).await {
            Ok(identity) => {
                retry = pace.retry;
                // An authority that gives what is due at once again must not be asked in a circle.
                let at_once = identity.about.renew_at() <= clock();
                serving.put(identity);
                if at_once {
                    tokio::time::sleep(retry).await;
                }
            }
            Err(error) => {
                serving.note(&error, clock());
                tokio::time::sleep(retry).await;
                retry = (retry * 2).min(LONGEST_RETRY);
            }
        }
    }
}
