//! A certificate from an authority that speaks ACME (RFC 8555), proven with `tls-alpn-01` (RFC 8737).

use std::{error::Error as _, path::PathBuf, time::Duration};

use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, ChallengeType, Error, Identifier, NewAccount,
    NewOrder, OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls::{pki_types::PrivatePkcs8KeyDer, sign::CertifiedKey};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{
    Acme, TlsError, http_client::Client, keys::Identity, keys::provider, private, serving::Serving,
};

/// How long an authority may take for one step.
const STEP: RetryPolicy = RetryPolicy::new().timeout(Duration::from_secs(120));
/// How long an order may take.
const PATIENCE: Duration = Duration::from_secs(10 * 60);
/// Names in one certificate; public authorities take as many.
const MOST_NAMES: usize = 100;

/// What is ordered, and where that is kept.
pub(crate) struct Order {
    acme: Acme,
}

/// The account, as it is kept. Another directory is another account.
#[derive(Serialize, Deserialize)]
struct Kept {
    directory: String,
    credentials: AccountCredentials,
}

impl Order {
    pub(crate) fn new(acme: Acme) -> Result<Self, TlsError> {
        let refuse = |text: &str| Err(TlsError::Settings(text.to_owned()));
        if acme.names.is_empty() || acme.names.len() > MOST_NAMES {
            return refuse("an authority is asked for one name at least, and a hundred at most");
        }
        if acme.names.iter().any(|name| name.contains('*')) {
            return refuse("a name with '*' cannot be proven by a listener: write the names out");
        }
        if acme.directory.scheme() != "https" {
            return refuse("an ACME directory is an https address");
        }
        private::make_directory(&acme.storage)?;
        Ok(Self { acme })
    }

    /// What an earlier run got, when it is for these names and from this authority.
    pub(crate) fn kept(&self) -> Result<Option<Identity>, TlsError> {
        let path = self.certificate();
        let Some(pem) = private::read(&path)? else { return Ok(None) };
        let identity = Identity::from_pem(&pem, &pem, &path)?;
        let from_here = self.account()?.is_some();
        Ok(Some(identity).filter(|identity| from_here && self.is_for_all(identity)))
    }

    fn is_for_all(&self, identity: &Identity) -> bool {
        let has = |name: &String| {
            identity.about.names.iter().any(|certified| certified.eq_ignore_ascii_case(name))
        };
        self.acme.names.iter().all(has)
    }

    fn account(&self) -> Result<Option<Kept>, TlsError> {
        let path = self.acme.storage.join("account.json");
        let Some(text) = private::read(&path)? else { return Ok(None) };
        let kept: Kept = serde_json::from_slice(&text).map_err(|_| TlsError::Content {
            path,
            what: "not an account's key; move it away, and a new account is made".into(),
        })?;
        Ok(Some(kept).filter(|kept| kept.directory == self.acme.directory.as_str()))
    }

    fn certificate(&self) -> PathBuf {
        self.acme.storage.join("certificate.pem")
    }

    fn failed(&self, what: String) -> TlsError {
        TlsError::Acme {
            directory: self.acme.directory.to_string(),
            names: self.acme.names.join(", "),
            what,
        }
    }

    async fn signed_in(&self) -> Result<Account, TlsError> {
        // Read anew each time: a file that is missing keeps no certificate from serving that is there.
        let client = Client::new(self.acme.authority.as_deref())?;
        let builder = Account::builder_with_http(Box::new(client));
        let failed = |error: Error| self.failed(text(&error));
        if let Some(kept) = self.account()? {
            return builder.from_credentials(kept.credentials).await.map_err(failed);
        }
        let contact = format!("mailto:{}", self.acme.contact);
        let contact = [contact.as_str()];
        let new = NewAccount {
            contact: if self.acme.contact.is_empty() { &[] } else { &contact },
            terms_of_service_agreed: true,
            only_return_existing: false,
        };
        let directory = self.acme.directory.to_string();
        let made = builder.create(&new, directory.clone(), None).await;
        let (account, credentials) = made.map_err(failed)?;
        let kept = serde_json::to_vec(&Kept { directory, credentials });
        let kept = kept.map(Zeroizing::new).map_err(|_| TlsError::Crypto("write a key"))?;
        private::write(&self.acme.storage.join("account.json"), &kept)?;
        Ok(account)
    }
}

/// Orders a certificate and keeps it.
pub(crate) async fn order(order: &Order, serving: &Serving) -> Result<Identity, TlsError> {
    let ordered = tokio::time::timeout(PATIENCE, place(order, serving)).await;
    serving.forget_challenges();
    ordered.unwrap_or_else(|_| Err(order.failed("it took more than ten minutes".into())))
}

async fn place(order: &Order, serving: &Serving) -> Result<Identity, TlsError> {
    let failed = |error: Error| order.failed(text(&error));
    let account = order.signed_in().await?;
    let names: Vec<_> = order.acme.names.iter().cloned().map(Identifier::Dns).collect();
    let mut placed = account.new_order(&NewOrder::new(&names)).await.map_err(failed)?;
    let mut authorizations = placed.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.map_err(failed)?;
        if authorization.status == AuthorizationStatus::Valid {
            continue;
        }
        let challenge = authorization.challenge(ChallengeType::TlsAlpn01);
        let mut challenge =
            challenge.ok_or_else(|| order.failed("it offers no tls-alpn-01 challenge".into()))?;
        let name = challenge.identifier().to_string();
        let digest = challenge.key_authorization().digest();
        serving.answer_challenge(&name, answer(&name, digest.as_ref())?);
        challenge.set_ready().await.map_err(failed)?;
    }
    let status = placed.poll_ready(&STEP).await;
    if !matches!(status, Ok(OrderStatus::Ready)) {
        let reason = match refusals(&mut placed).await {
            reasons if !reasons.is_empty() => reasons,
            _ => status.map_or_else(|error| text(&error), |status| format!("{status:?}")),
        };
        return Err(order.failed(reason));
    }
    // A fresh key for each certificate.
    let key = KeyPair::generate().map_err(|_| TlsError::Crypto("make a key"))?;
    let mut params = params(&order.acme.names)?;
    params.distinguished_name = DistinguishedName::new();
    let request = params.serialize_request(&key);
    let request = request.map_err(|_| TlsError::Crypto("ask for a certificate"))?;
    placed.finalize_csr(request.der()).await.map_err(failed)?;
    let chain = placed.poll_certificate(&STEP).await.map_err(failed)?;

    let mut pem = Zeroizing::new(String::with_capacity(16 * 1024));
    pem.push_str(&Zeroizing::new(key.serialize_pem()));
    pem.push_str(&chain);
    let path = order.certificate();
    let identity = Identity::from_pem(pem.as_bytes(), pem.as_bytes(), &path)?;
    if !order.is_for_all(&identity) {
        return Err(order.failed(format!("it is for {}", identity.about.names.join(", "))));
    }
    private::write(&path, pem.as_bytes())?;
    Ok(identity)
}

/// What the authority says of the challenges that it found not met.
async fn refusals(placed: &mut instant_acme::Order) -> String {
    let mut reasons = Vec::new();
    let mut authorizations = placed.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        if let Ok(state) = authorization.refresh().await {
            let problems = state.challenges.iter().filter_map(|challenge| challenge.error.as_ref());
            reasons.extend(problems.map(ToString::to_string));
        }
    }
    reasons.join("; ").chars().take(1_000).collect()
}

/// What shows the authority that we are the one whom the name leads to (RFC 8737 section 3).
fn answer(name: &str, digest: &[u8]) -> Result<CertifiedKey, TlsError> {
    let failed = |_| TlsError::Crypto("answer a challenge");
    let key = KeyPair::generate().map_err(failed)?;
    let mut params = params(&[name.to_owned()])?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let certificate = params.self_signed(&key).map_err(failed)?;
    let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
    let key = provider().key_provider.load_private_key(key);
    let key = key.map_err(|_| TlsError::Crypto("answer a challenge"))?;
    // Not checked against the key: no verifier reads a certificate with this critical extension.
    Ok(CertifiedKey::new(vec![certificate.der().clone()], key))
}

fn params(names: &[String]) -> Result<CertificateParams, TlsError> {
    CertificateParams::new(names.to_vec())
        .map_err(|_| TlsError::Settings(format!("{}: not names of hosts", names.join(", "))))
}

/// An error with what brought it about.
fn text(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        source = error.source();
    }
    text
}
