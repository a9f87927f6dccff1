//! Start and end of a lab, and what all its parts share.

use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{Response, StatusCode};
use axum_server::Handle;
use axum_server::accept::NoDelayAcceptor;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use data_encoding::HEXLOWER;
use tokio::task::JoinHandle;

use crate::activity::ActivityLog;
use crate::clock::Clock;
use crate::counters::Counters;
use crate::entra::{Entra, Grants, Issuers, Replays};
use crate::faults::Faults;
use crate::feed::Feeds;
use crate::graph::{Imports, Queries, Sealer, Snapshots, Subscriptions, Uploads};
use crate::journal::Journal;
use crate::seed::builtin::{self, Person};
use crate::seed::{self, SeedMailbox};
use crate::state::{Mailbox, Source, Tenant, Tenants};
use crate::throttle::{Limits, Throttle};
use crate::{
    Description, LabError, LabOptions, Registered, Registration, TenantDescription, admin, entra,
    feed, graph, ids, tls,
};

/// How long open requests may take to end when the lab is shut down.
const GRACE: Duration = Duration::from_secs(2);

/// A running lab. It ends with [`Lab::shutdown`] or when it is dropped.
#[derive(Debug)]
pub struct Lab {
    description: Description,
    shared: Arc<Shared>,
    handle: Handle<SocketAddr>,
    server: JoinHandle<std::io::Result<()>>,
}

/// What the parts of a lab share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// `https://127.0.0.1:PORT`
    pub(crate) authority: String,
    /// The same under another name. Where files and items are uploaded is another server than Graph,
    /// for which clients have no token: their libraries add it to every request to Graph's.
    pub(crate) mailbox_authority: String,
    port: u16,
    pub(crate) tenants: Tenants,
    pub(crate) clock: Clock,
    pub(crate) grants: Grants,
    pub(crate) replays: Replays,
    pub(crate) entra: Entra,
    /// Issuers of assertions that applications may trust.
    pub(crate) issuers: Issuers,
    pub(crate) sealer: Sealer,
    pub(crate) throttle: Arc<Throttle>,
    pub(crate) uploads: Uploads,
    pub(crate) imports: Imports,
    pub(crate) subscriptions: Subscriptions,
    /// Of the services' audit log.
    pub(crate) queries: Queries,
    pub(crate) snapshots: Snapshots,
    pub(crate) feeds: Feeds,
    pub(crate) faults: Faults,
    pub(crate) counters: Counters,
    pub(crate) activity: ActivityLog,
    pub(crate) journal: Journal,
    pub(crate) admin_token: String,
    /// Tells this run from others.
    pub(crate) session: u32,
}

impl Lab {
    /// Reads the seeds, makes the certificates and begins to listen. Must be called inside a
    /// tokio runtime; the lab lives in that.
    pub async fn start(options: LabOptions) -> Result<Self, LabError> {
        if !options.listen.ip().is_loopback() {
            return Err(LabError::NotLoopback(options.listen));
        }
        if options.tenants == 0 || options.concurrency == 0 {
            return Err(LabError::Invalid(
                "a lab needs at least one tenant and lets at least one request in".to_owned(),
            ));
        }
        let seeds = options.seed.clone();
        let seeded = tokio::task::spawn_blocking(move || seed::load(&seeds))
            .await
            .map_err(|error| LabError::Invalid(format!("reading the seeds failed: {error}")))??;
        let listen_failed = |source| LabError::Listen { address: options.listen, source };
        let listener = TcpListener::bind(options.listen).map_err(listen_failed)?;
        listener.set_nonblocking(true).map_err(listen_failed)?;
        let address = listener.local_addr().map_err(listen_failed)?;

        let identity = tls::create()?;
        let directory = &options.directory;
        create_directory(directory)?;
        let ca = write_file(directory, "ca.pem", identity.ca_pem.as_bytes(), 0o644)?;
        let admin_token = HEXLOWER.encode(&random::<32>());
        let admin_token_file = write_file(directory, "admin-token", admin_token.as_bytes(), 0o600)?;

        let session = u32::from_be_bytes(random::<4>()).max(1);
        let shared = Arc::new(Shared {
            authority: format!("https://{address}"),
            mailbox_authority: format!("https://localhost:{}", address.port()),
            port: address.port(),
            tenants: tenants(&options, &seeded, session),
            clock: Clock::default(),
            grants: Grants::new(&random::<32>()),
            replays: Replays::default(),
            entra: Entra::new(options.assertions, options.sign_in_log_delay),
            issuers: Issuers::default(),
            sealer: Sealer::new(&random::<32>(), session),
            throttle: Arc::new(Throttle::new(Limits::new(
                options.concurrency,
                options.requests_per_ten_minutes,
                options.upload_bytes_per_five_minutes,
            ))),
            uploads: Uploads::default(),
            imports: Imports::default(),
            subscriptions: Subscriptions::default(),
            queries: Queries::default(),
            snapshots: Snapshots::default(),
            feeds: Feeds::default(),
            faults: Faults::default(),
            counters: Counters::default(),
            activity: ActivityLog::default(),
            journal: Journal::begin(options.journal.as_deref(), address.port())?,
            admin_token,
            session,
        });
        let description = describe(&shared, ca, admin_token_file);

        let handle = Handle::new();
        let config = RustlsConfig::from_config(identity.server);
        let acceptor = RustlsAcceptor::new(config).acceptor(NoDelayAcceptor::new());
        let application = Router::new().fallback(serve).with_state(Arc::clone(&shared));
        let server = axum_server::from_tcp(listener)
            .map_err(listen_failed)?
            .acceptor(acceptor)
            .handle(handle.clone())
            .serve(application.into_make_service_with_connect_info::<SocketAddr>());
        let server = tokio::spawn(server);
        tracing::info!(%address, tenants = description.tenants.len(), "the lab listens");
        Ok(Self { description, shared, handle, server })
    }

    /// Where the lab is and what is in it.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Registers an application with consent given, as `POST /_lab/register` does. `tenant` is an
    /// id or a domain.
    pub fn register(
        &self,
        tenant: &str,
        registration: Registration,
    ) -> Result<Registered, LabError> {
        let now = self.shared.clock.unix();
        self.shared.tenant(Some(tenant))?.register(registration, now)
    }

    /// Stops listening, lets open requests end for two seconds and returns when all is closed.
    pub async fn shutdown(mut self) {
        self.handle.graceful_shutdown(Some(GRACE));
        if let Ok(Err(error)) = (&mut self.server).await {
            tracing::warn!(%error, "the lab's listener ended with an error");
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.handle.shutdown();
        self.server.abort();
    }
}

impl Shared {
    /// A tenant by id or domain; the first one when none is named.
    pub(crate) fn tenant(&self, name: Option<&str>) -> Result<&Arc<Tenant>, LabError> {
        match name {
            Some(name) => self.tenants.find(name),
            None => self.tenants.all.first(),
        }
        .ok_or_else(|| LabError::UnknownTenant(name.unwrap_or_default().to_owned()))
    }

    pub(crate) fn graph_host(&self) -> &str {
        self.authority.trim_start_matches("https://")
    }

    /// The lab under each of its names.
    fn origins(&self) -> [String; 3] {
        ["127.0.0.1", "localhost", "[::1]"].map(|host| format!("https://{host}:{}", self.port))
    }

    /// Whether a scope's resource is Microsoft Graph.
    pub(crate) fn is_graph_resource(&self, resource: &str) -> bool {
        let resource = resource.trim_end_matches('/');
        resource == "https://graph.microsoft.com"
            || resource == entra::GRAPH_APPLICATION
            || self.origins().iter().any(|origin| origin == resource)
    }

    /// Every way to write the token endpoint of a tenant.
    pub(crate) fn audiences(&self, tenant: &Tenant) -> Vec<String> {
        let names = [tenant.id.to_string(), tenant.domain.clone()];
        self.origins()
            .iter()
            .flat_map(|origin| names.iter().map(move |n| format!("{origin}/{n}/oauth2/v2.0/token")))
            .collect()
    }
}

async fn serve(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response<Body> {
    let path = request.uri().path();
    let watch = graph::watch(&shared, request.method());
    let response = if path.starts_with("/v1.0/") || path.starts_with("/beta/") {
        graph::serve(&shared, request, peer).await
    } else if path.starts_with(graph::UPLOADS) {
        graph::serve_upload(&shared, request, peer).await
    } else if path.starts_with(graph::IMPORTS) {
        graph::serve_import(&shared, request, peer).await
    } else if path.starts_with(feed::PATH) {
        let (parts, _) = request.into_parts();
        feed::serve(&shared, &parts.method, &parts.uri, &parts.headers).await
    } else if path.starts_with("/_lab/") {
        admin::serve(&shared, request).await
    } else {
        entra::route(&shared, request, peer).await
    };
    watch.tell(&shared);
    response
}

/// An answer without content, for paths that lead nowhere.
pub(crate) fn bare(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

fn tenants(options: &LabOptions, seeded: &[Arc<SeedMailbox>], session: u32) -> Tenants {
    let tenant = |index: usize| {
        let suffix = if index == 0 { String::new() } else { format!("-{}", index + 1) };
        let domain = format!("lab{suffix}.example");
        let name = format!("Lab{}", suffix.replace('-', " "));
        let tenant = Tenant::new(ids::derived(&["tenant", &domain]), domain.clone(), name);
        if options.seed.is_empty() {
            let domain: Arc<str> = domain.into();
            let of = options.mailboxes.unwrap_or(builtin::MAILBOXES);
            for index in 0..of {
                let person = Person { index, domain: Arc::clone(&domain), of };
                let (local, name) = (person.local_part(), person.display_name());
                let source = if options.empty { Source::Empty } else { Source::BuiltIn(person) };
                tenant.add_mailbox(mailbox(&tenant, &local, name, source, session));
            }
        } else {
            for seed in seeded {
                let source = Source::Seed(Arc::clone(seed));
                let name = seed.person.clone();
                tenant.add_mailbox(mailbox(&tenant, &seed.person, name, source, session));
            }
        }
        Arc::new(tenant)
    };
    Tenants::new((0..options.tenants).map(tenant).collect())
}

/// A mailbox whose address is made of a local part and the tenant's domain.
pub(crate) fn mailbox(
    tenant: &Tenant,
    local_part: &str,
    display_name: String,
    source: Source,
    session: u32,
) -> Mailbox {
    let address = format!("{local_part}@{}", tenant.domain);
    let id = ids::derived(&["user", &tenant.id.to_string(), &address]);
    Mailbox::new(id, &address, display_name, source, session)
}

fn describe(shared: &Shared, ca: PathBuf, admin_token_file: PathBuf) -> Description {
    let tenant = |tenant: &Arc<Tenant>| TenantDescription {
        id: tenant.id,
        domain: tenant.domain.clone(),
        mailboxes: tenant.mailboxes().iter().map(|m| m.address.to_string()).collect(),
    };
    Description {
        schema: 1,
        authority: shared.authority.clone(),
        graph: format!("{}/v1.0", shared.authority),
        ews: None,
        smtp: None,
        ca,
        admin: format!("{}/_lab", shared.authority),
        admin_token_file,
        tenants: shared.tenants.all.iter().map(tenant).collect(),
    }
}

fn create_directory(directory: &Path) -> Result<(), LabError> {
    fs::create_dir_all(directory)
        .map_err(|source| LabError::Write { path: directory.to_owned(), source })
}

/// Writes a file anew, readable from the start by nobody that it is not meant for.
fn write_file(
    directory: &Path,
    name: &str,
    content: &[u8],
    mode: u32,
) -> Result<PathBuf, LabError> {
    let path = directory.join(name);
    let failed = |source| LabError::Write { path: path.clone(), source };
    match fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&path)
        .map_err(failed)?;
    file.write_all(content).map_err(failed)?;
    path.canonicalize().map_err(failed)
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system has random numbers");
    bytes
}
