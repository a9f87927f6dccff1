//! The socket, and what listens beside it.

use std::{
    fs::{self, File, OpenOptions, Permissions, TryLockError},
    future::Future,
    io::{self, Read, Seek, Write},
    net::SocketAddr,
    os::unix::{
        fs::{FileTypeExt, OpenOptionsExt, PermissionsExt},
        net::UnixListener as StdListener,
    },
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{
    net::{UnixListener, UnixStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
    time::MissedTickBehavior,
};

use crate::{
    Peers, SignerError, SignerOptions,
    conversation::Service,
    core::{Core, Peer, workers::not_listed},
    files::make_private_directory,
    refusals::Origin,
    remote::Remote,
};

/// Connections at once; more wait in the socket's queue.
const CONNECTIONS: usize = 256;

/// How often it is looked for private keys that were opened a while ago.
const PUT_AWAY_EVERY: Duration = Duration::from_secs(1);

/// Who manages workers beside the signer's own user.
const ROOT: u32 = 0;

/// Room for the suffix under which the socket is made, within the 107 bytes that there are.
const LONGEST_SOCKET_PATH: usize = 100;

/// A signer, ready to serve.
///
/// While this exists, no other signer can open the directory.
pub struct Signer {
    core: Arc<Core>,
    listener: StdListener,
    socket: PathBuf,
    peers: Peers,
    remote: Option<Remote>,
    _lock: File,
}

/// Who may connect on this machine.
struct Allowed {
    users: Vec<u32>,
    own: u32,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").field("socket", &self.socket).finish_non_exhaustive()
    }
}

impl Signer {
    /// Locks the directory, opens the master key, checks the ledger from beginning to end, and
    /// listens: clients can connect from now on, and are answered once [`Signer::serve`] runs.
    ///
    /// Blocks, for a second or more with a passphrase.
    ///
    /// # Errors
    /// [`SignerError`]; then nothing listens.
    pub fn open(options: SignerOptions) -> Result<Self, SignerError> {
        let io = |path: &Path, source| SignerError::Io { path: path.to_owned(), source };
        make_private_directory(&options.directory).map_err(|e| io(&options.directory, e))?;
        let lock = only_one(&options.directory)?;
        let core = Arc::new(Core::open(&options)?);
        let remote = options.remote.as_ref();
        let remote =
            remote.map(|remote| Remote::open(remote, &core, &options.clock)).transpose()?;
        let listener = listen(&options.socket, &options.peers)?;
        tracing::info!(socket = %options.socket.display(), "the signer listens");
        let SignerOptions { socket, peers, .. } = options;
        Ok(Self { core, listener, socket, peers, remote, _lock: lock })
    }

    /// Where workers of other machines are answered.
    pub fn remote_address(&self) -> Option<SocketAddr> {
        self.remote.as_ref().map(|remote| remote.address)
    }

    /// Answers requests until `shutdown` is done; requests that are being worked on get their
    /// answers first.
    ///
    /// # Errors
    /// [`SignerError`] when the socket fails, or the ledger cannot be ended in good order.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) -> Result<(), SignerError> {
        let io = |source| SignerError::Io { path: self.socket.clone(), source };
        self.listener.set_nonblocking(true).map_err(io)?;
        let listener = UnixListener::from_std(self.listener).map_err(io)?;
        let own = own_uid().map_err(io)?;
        let users = match &self.peers {
            Peers::OwnUser => vec![own],
            Peers::Users(users) => users.clone(),
        };
        let allowed = Arc::new(Allowed { users, own });
        let service = Arc::new(Service::new(Arc::clone(&self.core)));
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let (stop, stopping) = watch::channel(());
        let mut connections = JoinSet::new();
        if let Some(remote) = self.remote {
            let (service, stopping) = (Arc::clone(&service), stopping.clone());
            connections.spawn(async move {
                if let Err(error) = remote.serve(service, stopping).await {
                    tracing::error!(%error, "workers of other machines are not answered");
                }
            });
        }
        let mut shutdown = std::pin::pin!(shutdown);
        let mut putting_away = tokio::time::interval(PUT_AWAY_EVERY);
        putting_away.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                Some(_) = connections.join_next() => {}
                _ = putting_away.tick() => self.core.put_old_keys_away(),
                (place, accepted) = accept(&listener, &places) => match accepted {
                    Ok(stream) => {
                        let (service, allowed) = (Arc::clone(&service), Arc::clone(&allowed));
                        let stopping = stopping.clone();
                        connections.spawn(async move {
                            attend(service, stream, allowed, stopping).await;
                            drop(place);
                        });
                    }
                    Err(error) => {
                        // Out of file descriptors, for instance: others may give some back.
                        tracing::error!(%error, "cannot accept a connection");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                },
            }
        }
        drop((listener, stop));
        let _ = fs::remove_file(&self.socket);
        while connections.join_next().await.is_some() {}
        let core = self.core;
        let stopped = tokio::task::spawn_blocking(move || core.stop()).await;
        stopped.unwrap_or(Err(SignerError::Crypto("stop")))
    }
}

/// One connection of a process of this machine, from beginning to end.
async fn attend(
    service: Arc<Service>,
    mut stream: UnixStream,
    allowed: Arc<Allowed>,
    stopping: watch::Receiver<()>,
) {
    let Ok(credentials) = stream.peer_cred() else { return };
    let (uid, pid) = (credentials.uid(), credentials.pid());
    let listed = allowed.users.contains(&uid);
    let administers = uid == allowed.own || uid == ROOT;
    if listed || administers {
        let peer = Peer::Local { uid, pid, listed, administers };
        service.converse(&mut stream, &peer, stopping).await;
    } else {
        service.turn_away(&mut stream, Origin::User(uid), not_listed(uid)).await;
    }
}

async fn accept(
    listener: &UnixListener,
    places: &Arc<Semaphore>,
) -> (Option<OwnedSemaphorePermit>, io::Result<UnixStream>) {
    let place = Arc::clone(places).acquire_owned().await.ok();
    (place, listener.accept().await.map(|(stream, _)| stream))
}

/// The user that this process runs as, as the kernel tells others.
fn own_uid() -> io::Result<u32> {
    let (one, _other) = UnixStream::pair()?;
    Ok(one.peer_cred()?.uid())
}

/// Takes the lock of the directory, which the system gives back when the process ends, however it
/// ends.
fn only_one(directory: &Path) -> Result<File, SignerError> {
    let path = directory.join("lock");
    let io = |source| SignerError::Io { path: path.clone(), source };
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let mut file = options.open(&path).map_err(io)?;
    match file.try_lock() {
        Ok(()) => {
            file.set_len(0).map_err(io)?;
            file.rewind().map_err(io)?;
            write!(file, "{}", std::process::id()).map_err(io)?;
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            let _ = (&file).take(16).read_to_string(&mut pid);
            let directory = directory.to_owned();
            Err(SignerError::AlreadyRunning { directory, pid: pid.trim().parse().ok() })
        }
        Err(TryLockError::Error(source)) => Err(io(source)),
    }
}

/// Listens at `path`. A socket that an earlier signer left there is replaced: whoever holds the
/// directory's lock knows that nobody listens on it.
fn listen(path: &Path, peers: &Peers) -> Result<StdListener, SignerError> {
    let io = |source| SignerError::Io { path: path.to_owned(), source };
    if path.as_os_str().len() > LONGEST_SOCKET_PATH {
        return Err(SignerError::SocketPathTooLong { path: path.to_owned() });
    }
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            return Err(SignerError::NotASocket { path: path.to_owned() });
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io(error)),
        _ => {}
    }
    // Made under another name, so that nobody can connect before its mode is set.
    let mut hidden = path.as_os_str().to_owned();
    hidden.push(".new");
    let hidden = Path::new(&hidden);
    match fs::remove_file(hidden) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io(error)),
        _ => {}
    }
    let listener = StdListener::bind(hidden).map_err(io)?;
    let mode = match peers {
        Peers::OwnUser => 0o600,
        Peers::Users(_) => 0o660,
    };
    fs::set_permissions(hidden, Permissions::from_mode(mode)).map_err(io)?;
    fs::rename(hidden, path).map_err(io)?;
    Ok(listener)
}
