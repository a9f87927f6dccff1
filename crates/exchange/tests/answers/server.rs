//! A TLS server that answers as a test tells it, and a provider that is connected to it.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use mailkeep_exchange::{Access, Extras, GraphConfig, GraphProvider};
use mailkeep_model::{Folder, FolderId, FolderKind, Function, Mailbox, MailboxId, TenantName};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::aws_lc_rs,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tempfile::TempDir;

use crate::common::access;

/// What is written to a client, by its request.
pub(crate) type Script = dyn Fn(&Asked, &mut dyn Write) -> io::Result<()> + Send + Sync;

/// A request.
pub(crate) struct Asked {
    /// With its query.
    pub(crate) path: String,
    pub(crate) body: Vec<u8>,
    /// How many came before it, those for tokens aside.
    pub(crate) number: usize,
}

/// The server, and what came in.
pub(crate) struct Server {
    pub(crate) address: String,
    pub(crate) ca_pem: String,
    requests: Arc<AtomicUsize>,
    tokens: Arc<AtomicUsize>,
}

impl Server {
    /// Answers requests for tokens with one, and all others as `script` says.
    pub(crate) fn start(script: Arc<Script>) -> Self {
        Self::start_with(granted(), script)
    }

    /// Answers those for tokens as `token` says.
    pub(crate) fn start_with(token: Arc<Script>, script: Arc<Script>) -> Self {
        let (config, ca_pem) = identity();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("https://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let (requests, tokens) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let server =
            Self { address, ca_pem, requests: Arc::clone(&requests), tokens: Arc::clone(&tokens) };
        // Ends with the process: nothing waits for it.
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let (config, token, script) =
                    (Arc::clone(&config), Arc::clone(&token), Arc::clone(&script));
                let (requests, tokens) = (Arc::clone(&requests), Arc::clone(&tokens));
                std::thread::spawn(move || {
                    // A client that has enough goes away.
                    let _ = answer(connection, &config, |asked, out| {
                        if asked.path.ends_with("/token") {
                            tokens.fetch_add(1, Ordering::SeqCst);
                            token(asked, out)
                        } else {
                            asked.number = requests.fetch_add(1, Ordering::SeqCst);
                            script(asked, out)
                        }
                    });
                });
            }
        });
        server
    }

    /// Requests so far, those for tokens aside.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    pub(crate) fn token_requests(&self) -> usize {
        self.tokens.load(Ordering::SeqCst)
    }
}

/// One request a connection.
fn answer(
    connection: TcpStream,
    config: &Arc<ServerConfig>,
    act: impl Fn(&mut Asked, &mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let tls = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
    let mut stream = BufReader::new(StreamOwned::new(tls, connection));
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut length = 0;
    loop {
        let mut header = String::new();
        stream.read_line(&mut header)?;
        let header = header.trim().to_lowercase();
        if let Some(told) = header.strip_prefix("content-length:") {
            length = told.trim().parse().map_err(io::Error::other)?;
        }
        if header.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    let mut stream = stream.into_inner();
    act(&mut Asked { path, body, number: 0 }, &mut stream)?;
    stream.conn.send_close_notify();
    stream.flush()
}

/// An answer that is complete.
pub(crate) fn say(
    out: &mut dyn Write,
    status: &str,
    media_type: &str,
    more: &str,
    body: &[u8],
) -> io::Result<()> {
    let length = body.len();
    write!(
        out,
        "HTTP/1.1 {status}\r\nContent-Type: {media_type}\r\nContent-Length: {length}\r\n{more}\
         Connection: close\r\n\r\n"
    )?;
    out.write_all(body)
}

pub(crate) fn json(out: &mut dyn Write, body: &str) -> io::Result<()> {
    say(out, "200 OK", "application/json; odata.metadata=minimal", "", body.as_bytes())
}

fn granted() -> Arc<Script> {
    Arc::new(|_, out| json(out, r#"{"token_type":"Bearer","expires_in":3599,"access_token":"t"}"#))
}

/// A certificate for this host, and the authority that stands behind it.
fn identity() -> (Arc<ServerConfig>, String) {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate().unwrap();
    let certificate = authority.self_signed(&authority_key).unwrap();
    let issuer = Issuer::new(authority, authority_key);
    let leaf_key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&leaf_key, &issuer).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(leaf_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .unwrap();
    (Arc::new(config), certificate.pem())
}

/// A provider that reads from a server, with a real signer behind it.
pub(crate) struct Client {
    pub(crate) provider: GraphProvider,
    pub(crate) mailbox: Mailbox,
    pub(crate) inbox: Folder,
    _directory: TempDir,
}

impl Client {
    pub(crate) async fn of(server: &Server) -> Self {
        Self::trusting(server, &server.ca_pem).await
    }

    pub(crate) async fn trusting(server: &Server, ca_pem: &str) -> Self {
        let (config, access, directory) = connection(server, ca_pem, Function::Reader).await;
        let provider = GraphProvider::new(config, access).unwrap();
        let mailbox = Mailbox {
            id: MailboxId("ann".into()),
            address: "ann@story.example".parse().unwrap(),
            display_name: "Ann".into(),
        };
        let inbox = Folder {
            id: FolderId("inbox".into()),
            parent: None,
            name: "Inbox".into(),
            kind: FolderKind::Mail,
            well_known: None,
        };
        Self { provider, mailbox, inbox, _directory: directory }
    }
}

/// How to connect to a server as a function, with a real signer behind it that lives in the directory.
pub(crate) async fn connection(
    server: &Server,
    ca_pem: &str,
    function: Function,
) -> (GraphConfig, Access, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let access = access(directory.path()).await;
    let Access { signer, job, .. } = &access;
    let tenant: TenantName = "acme".parse().unwrap();
    signer.create_key(job, &tenant, function).await.unwrap();
    let endpoint = format!("{}/tenant/oauth2/v2.0/token", server.address);
    signer
        .bind(job, &tenant, function, "6f1a3c52-9b0e-4d7a-8c41-2e5d90b7a613", &endpoint)
        .await
        .unwrap();
    let graph = format!("{}/v1.0", server.address).parse().unwrap();
    let (extras, ca_pem) = (Extras::default(), Some(ca_pem.to_owned()));
    (GraphConfig { tenant, function, graph, ca_pem, extras }, access, directory)
}

/// Every request there was, in order.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(crate) fn note(&self, asked: &Asked) {
        self.0.lock().unwrap().push(asked.path.clone());
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}
