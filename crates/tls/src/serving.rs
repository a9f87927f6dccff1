//! What is shown to whoever connects.

use std::{
    collections::HashMap,
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use time::OffsetDateTime;

use crate::{ACME_TLS, CertificateStatus, TlsError, Trouble, keys::Identity, private};

/// Shared by the listener, which shows it, and by what renews it.
pub(crate) struct Serving {
    state: Mutex<State>,
    status_file: Option<PathBuf>,
}

#[derive(Default)]
struct State {
    key: Option<Arc<CertifiedKey>>,
    status: CertificateStatus,
    /// Answers to challenges, by the name that is to be proven.
    challenges: HashMap<String, Arc<CertifiedKey>>,
}

impl fmt::Debug for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serving").field("status", &self.lock().status).finish_non_exhaustive()
    }
}

impl Serving {
    pub(crate) fn new(source: String, status_file: Option<PathBuf>) -> Self {
        let status = CertificateStatus { source, ..CertificateStatus::default() };
        Self { state: Mutex::new(State { status, ..State::default() }), status_file }
    }

    pub(crate) fn status(&self) -> CertificateStatus {
        self.lock().status.clone()
    }

    /// From now on this one is shown to whoever connects. Open connections go on.
    pub(crate) fn put(&self, identity: Identity) {
        let about = identity.about;
        tracing::info!(names = ?about.names, until = %about.not_after, "a certificate serves");
        self.change(|state| {
            state.key = Some(identity.key);
            state.status.serving = Some(about);
            state.status.trouble = None;
        });
    }

    /// What serves goes on serving; why it was not replaced is known from now on.
    pub(crate) fn note(&self, error: &TlsError, now: OffsetDateTime) {
        let what = error.to_string();
        let known = self.lock().status.trouble.clone();
        if known.as_ref().is_some_and(|known| known.what == what) {
            return;
        }
        tracing::error!(%error, "there is no new certificate; what served goes on");
        self.change(|state| state.status.trouble = Some(Trouble { since: now, what }));
    }

    /// All is as it should be: what stood in the way does not any more.
    pub(crate) fn clear_trouble(&self) {
        if self.lock().status.trouble.is_some() {
            self.change(|state| state.status.trouble = None);
        }
    }

    pub(crate) fn answer_challenge(&self, name: &str, key: CertifiedKey) {
        self.lock().challenges.insert(name.to_ascii_lowercase(), Arc::new(key));
    }

    pub(crate) fn forget_challenges(&self) {
        self.lock().challenges.clear();
    }

    pub(crate) fn write_status(&self) {
        let Some(path) = &self.status_file else { return };
        let written = serde_json::to_vec(&self.status()).map_err(|_| TlsError::Crypto("write"));
        let made = path.parent().map_or(Ok(()), private::make_directory);
        let written = made.and(written).and_then(|text| private::write(path, &text));
        if let Err(error) = written {
            tracing::warn!(%error, "the certificate's status cannot be written");
        }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.write_status();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ResolvesServerCert for Serving {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let state = self.lock();
        if hello.alpn().is_some_and(|mut offered| offered.any(|one| one == ACME_TLS)) {
            // Nobody but an authority that was asked gets this far: else there is no answer.
            return state.challenges.get(&hello.server_name()?.to_ascii_lowercase()).cloned();
        }
        state.key.clone()
    }
}
