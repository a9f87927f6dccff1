//! The socket.

use std::{
    fs::{self, File, OpenOptions, Permissions, TryLockError},
    future::Future,
    io::{self, Read, Seek, Write},
    os::unix::{
        fs::{FileTypeExt, OpenOptionsExt, PermissionsExt},
        net::UnixListener as StdListener,
    },
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use mailkeep_identity::protocol::{
    Failure, FrameError, Response, ResponseFrame, VERSION, decode_request, encode, read_frame,
    write_frame,
};
use tokio::{
    net::{UnixListener, UnixStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
};

use crate::{
    Peers, SignerError, SignerOptions,
    core::{Core, Peer},
    files::make_private_directory,
};

/// Connections at once; more wait in the socket's queue.
const CONNECTIONS: usize = 256;

/// Requests that are worked on at once: each waits for the disk or calculates.
const AT_WORK: usize = 8;

/// A connection that says nothing for so long is closed; clients open another one.
const IDLE: Duration = Duration::from_secs(600);

/// How long somebody who is turned away may take to send a request.
const PATIENCE: Duration = Duration::from_secs(5);

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
    _lock: File,
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
        let core = Core::open(&options)?;
        let listener = listen(&options.socket, &options.peers)?;
        tracing::info!(socket = %options.socket.display(), "the signer listens");
        let SignerOptions { socket, peers, .. } = options;
        Ok(Self { core: Arc::new(core), listener, socket, peers, _lock: lock })
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
        let allowed = match &self.peers {
            Peers::OwnUser => vec![own_uid().map_err(io)?],
            Peers::Users(users) => users.clone(),
        };
        let service = Arc::new(Service {
            core: Arc::clone(&self.core),
            allowed,
            at_work: Semaphore::new(AT_WORK),
        });
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let (stop, stopping) = watch::channel(());
        let mut connections = JoinSet::new();
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                Some(_) = connections.join_next() => {}
                (place, accepted) = accept(&listener, &places) => match accepted {
                    Ok(stream) => {
                        let service = Arc::clone(&service);
                        let stopping = stopping.clone();
                        connections.spawn(async move {
                            service.converse(stream, stopping).await;
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

struct Service {
    core: Arc<Core>,
    allowed: Vec<u32>,
    at_work: Semaphore,
}

impl Service {
    /// One connection, from beginning to end.
    async fn converse(self: Arc<Self>, mut stream: UnixStream, mut stopping: watch::Receiver<()>) {
        let Ok(credentials) = stream.peer_cred() else { return };
        let peer = Peer { uid: credentials.uid(), pid: credentials.pid() };
        if !self.allowed.contains(&peer.uid) {
            let reason = format!("user {} may not talk to the signer", peer.uid);
            let failure = Failure::Refused { reason };
            let (core, told) = (Arc::clone(&self.core), failure.clone());
            let _ = tokio::task::spawn_blocking(move || core.turned_away(peer.uid, &told)).await;
            // The request is taken off the socket unread: a connection that is closed over unread
            // data takes the answer with it.
            let _ = tokio::time::timeout(PATIENCE, read_frame(&mut stream)).await;
            let _ = respond(&mut stream, Response::Failed(failure)).await;
            return;
        }
        loop {
            let frame = tokio::select! {
                biased;
                _ = stopping.changed() => return,
                frame = tokio::time::timeout(IDLE, read_frame(&mut stream)) => frame,
            };
            let (response, last) = match frame {
                Err(_) | Ok(Ok(None) | Err(FrameError::Io(_) | FrameError::Truncated)) => return,
                Ok(Ok(Some(json))) => (self.answer(peer, &json).await, false),
                // Where the next frame would begin is anybody's guess.
                Ok(Err(error)) => (malformed(&error), true),
            };
            if respond(&mut stream, response).await.is_err() || last {
                return;
            }
        }
    }

    async fn answer(self: &Arc<Self>, peer: Peer, json: &[u8]) -> Response {
        let request = match decode_request(json) {
            Ok(request) => request,
            Err(error) => return malformed(&error),
        };
        let failed = || Response::Failed(Failure::Internal { what: "answer".to_owned() });
        let Ok(_at_work) = self.at_work.acquire().await else { return failed() };
        let core = Arc::clone(&self.core);
        let answer = tokio::task::spawn_blocking(move || core.answer(peer, request)).await;
        answer.unwrap_or_else(|error| {
            tracing::error!(%error, "a request failed");
            failed()
        })
    }
}

fn malformed(error: &FrameError) -> Response {
    Response::Failed(match error {
        FrameError::Version(_) => Failure::Version { speaks: VERSION },
        error => Failure::Malformed { what: error.to_string() },
    })
}

async fn respond(stream: &mut UnixStream, response: Response) -> Result<(), FrameError> {
    let frame = encode(&ResponseFrame { v: VERSION, response })?;
    Ok(write_frame(stream, &frame).await?)
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
