//! Workers of other machines: TLS 1.3, with a certificate on both sides.

use std::{
    collections::{HashMap, VecDeque},
    fmt, io,
    net::{SocketAddr, TcpListener as StdListener},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::UnixTime,
    server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier},
    sign::CertifiedKey,
    time_provider::TimeProvider,
    version,
};
use time::OffsetDateTime;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{AbortHandle, JoinSet},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::{
    Clock, RemoteOptions, SignerError,
    authority::{fingerprint, is_name},
    conversation::Service,
    core::{Core, Peer},
    refusals::Origin,
};

/// Handshakes at once. When one more begins, the oldest is dropped: whoever opens connections and says
/// nothing keeps nobody out.
const HANDSHAKES: usize = 256;
/// Connections of workers at once.
const CONNECTIONS: usize = 1024;
/// Of one worker; its client opens eight.
const OF_ONE_WORKER: usize = 32;
/// What is taken off a connection whose handshake failed, so that the other side can read why.
const DRAINED: usize = 64 * 1024;

/// The port, ready to serve.
pub(crate) struct Remote {
    listener: StdListener,
    pub(crate) address: SocketAddr,
    config: Arc<ServerConfig>,
    patience: Duration,
}

impl Remote {
    pub(crate) fn open(
        options: &RemoteOptions,
        core: &Arc<Core>,
        clock: &Clock,
    ) -> Result<Self, SignerError> {
        let failed = |source| SignerError::Listen { address: options.listen, source };
        let mut names = options.names.clone();
        if names.is_empty() {
            names.push(options.listen.ip().to_string());
        }
        if let Some(name) = names.iter().find(|name| !is_name(name)) {
            return Err(SignerError::NotAName { name: name.clone() });
        }
        let config = config(core, names, clock)?;
        let listener = StdListener::bind(options.listen).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address, config, patience: options.handshake })
    }

    /// Answers workers until `stopping` says so.
    pub(crate) async fn serve(
        self,
        service: Arc<Service>,
        mut stopping: watch::Receiver<()>,
    ) -> io::Result<()> {
        let listener = TcpListener::from_std(self.listener)?;
        let acceptor = TlsAcceptor::from(self.config);
        let mut handshakes: JoinSet<Option<Known>> = JoinSet::new();
        let mut pending: VecDeque<AbortHandle> = VecDeque::new();
        let mut connections: JoinSet<String> = JoinSet::new();
        let mut of_worker: HashMap<String, usize> = HashMap::new();
        loop {
            tokio::select! {
                biased;
                _ = stopping.changed() => break,
                Some(ended) = connections.join_next() => {
                    if let Ok(fingerprint) = ended
                        && let Some(count) = of_worker.get_mut(&fingerprint)
                    {
                        *count -= 1;
                        if *count == 0 {
                            of_worker.remove(&fingerprint);
                        }
                    }
                }
                Some(done) = handshakes.join_next() => {
                    let Ok(Some(known)) = done else { continue };
                    let count = of_worker.entry(known.fingerprint.clone()).or_default();
                    if *count >= OF_ONE_WORKER || connections.len() >= CONNECTIONS {
                        tracing::warn!(worker = known.fingerprint, "too many connections");
                        continue;
                    }
                    *count += 1;
                    connections.spawn(attend(Arc::clone(&service), known, stopping.clone()));
                }
                accepted = listener.accept() => match accepted {
                    Ok((stream, from)) => {
                        pending.retain(|handshake| !handshake.is_finished());
                        while pending.len() >= HANDSHAKES {
                            pending.pop_front().inspect(AbortHandle::abort);
                        }
                        let handshake = shake_hands(acceptor.clone(), stream, from, self.patience);
                        pending.push_back(handshakes.spawn(handshake));
                    }
                    Err(error) => {
                        // Out of file descriptors, for instance: others may give some back.
                        tracing::error!(%error, "cannot accept a connection");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                },
            }
        }
        handshakes.abort_all();
        while connections.join_next().await.is_some() {}
        Ok(())
    }
}

/// A connection from somebody whose certificate is of our authority.
struct Known {
    stream: TlsStream<TcpStream>,
    fingerprint: String,
}

async fn shake_hands(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    from: SocketAddr,
    patience: Duration,
) -> Option<Known> {
    let shaken = async {
        stream.set_nodelay(true).ok()?;
        match acceptor.accept(stream).into_fallible().await {
            Ok(stream) => Some(stream),
            Err((error, mut stream)) => {
                // Nobody whom we know: into the log, not into the ledger, which a stranger could fill.
                tracing::warn!(%from, %error, "a handshake failed");
                // A connection that is closed over unread data takes the alert with it.
                let _ = stream.shutdown().await;
                let mut rest = [0; 1024];
                let mut drained = 0;
                while let Ok(read) = stream.read(&mut rest).await
                    && read > 0
                    && drained < DRAINED
                {
                    drained += read;
                }
                None
            }
        }
    };
    let stream = tokio::time::timeout(patience, shaken).await.ok()??;
    let certificate = stream.get_ref().1.peer_certificates()?.first()?;
    let fingerprint = fingerprint(certificate);
    Some(Known { stream, fingerprint })
}

/// One connection, to its end or until its worker is cut off.
async fn attend(service: Arc<Service>, known: Known, stopping: watch::Receiver<()>) -> String {
    let Known { mut stream, fingerprint } = known;
    let mut changes = service.core.workers().changes();
    match service.core.workers().admit(&fingerprint, service.core.now()) {
        Err(reason) => {
            let from = if service.core.workers().is_listed(&fingerprint) {
                Origin::Worker(fingerprint.clone())
            } else {
                Origin::Unlisted
            };
            service.turn_away(&mut stream, from, reason).await;
        }
        Ok(worker) => {
            let peer = Peer::Worker { name: worker.name, fingerprint: fingerprint.clone() };
            let cut_off = async {
                while changes.changed().await.is_ok() {
                    if service.core.workers().admit(&fingerprint, service.core.now()).is_err() {
                        tracing::warn!(?peer, "a worker is cut off");
                        return;
                    }
                }
            };
            tokio::select! {
                biased;
                () = cut_off => {}
                () = service.converse(&mut stream, &peer, stopping) => {}
            }
        }
    }
    // The other side is told that this is the end, and no accident.
    let _ = tokio::time::timeout(Duration::from_secs(1), stream.shutdown()).await;
    fingerprint
}

fn config(
    core: &Arc<Core>,
    names: Vec<String>,
    clock: &Clock,
) -> Result<Arc<ServerConfig>, SignerError> {
    let failed = |_| SignerError::Crypto("set TLS up");
    let authority = core.authority()?;
    let own = OwnCertificate {
        core: Arc::clone(core),
        now: Mutex::new(
            authority
                .issue_signer(&names, core.now())
                .map(|(key, renew)| (Arc::new(key), renew))?,
        ),
        names,
    };
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate().clone()).map_err(failed)?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let verifier = verifier.build().map_err(|_| SignerError::Crypto("set TLS up"))?;
    let time = Arc::new(SignerTime(Arc::clone(clock)));
    let mut config = ServerConfig::builder_with_details(provider, time)
        .with_protocol_versions(&[&version::TLS13])
        .map_err(failed)?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(own));
    // Each connection proves both sides anew: a resumed one would not look at the certificate again.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// The signer's own certificate, made anew when two thirds of its life have passed.
struct OwnCertificate {
    core: Arc<Core>,
    names: Vec<String>,
    now: Mutex<(Arc<CertifiedKey>, OffsetDateTime)>,
}

impl fmt::Debug for OwnCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnCertificate").field("names", &self.names).finish_non_exhaustive()
    }
}

impl ResolvesServerCert for OwnCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let mut present = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.core.now();
        if present.1 <= now {
            let made = self.core.authority().and_then(|it| it.issue_signer(&self.names, now));
            match made {
                Ok((key, renew)) => *present = (Arc::new(key), renew),
                Err(error) => tracing::error!(%error, "the signer's certificate is not renewed"),
            }
        }
        Some(Arc::clone(&present.0))
    }
}

/// The signer's clock, for the TLS library.
struct SignerTime(Clock);

impl fmt::Debug for SignerTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignerTime")
    }
}

impl TimeProvider for SignerTime {
    fn current_time(&self) -> Option<UnixTime> {
        let since = u64::try_from((self.0)().unix_timestamp()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(since)))
    }
}
