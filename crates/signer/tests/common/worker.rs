//! A worker of another machine, made of nothing but a TLS library.
#![allow(dead_code, missing_docs, unreachable_pub)]

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use mailkeep_identity::{
    Opening, SignerClient, SignerStream, SignerTransport, WorkerCertificate, WorkerLimits,
};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair};
use rustls::{
    ClientConfig, RootCertStore, SupportedProtocolVersion,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime, pem::PemObject},
    time_provider::TimeProvider,
    version::TLS13,
};
use time::OffsetDateTime;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::common::{Home, Running};

pub struct Worker {
    key: KeyPair,
    pub certificate: Option<WorkerCertificate>,
    pub chain: Vec<CertificateDer<'static>>,
    pub authority: CertificateDer<'static>,
    pub versions: Vec<&'static SupportedProtocolVersion>,
    now: Arc<Mutex<OffsetDateTime>>,
}

pub fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

impl Worker {
    pub async fn enroll(home: &Home, running: &Running, name: &str, limits: WorkerLimits) -> Self {
        let key = KeyPair::generate().unwrap();
        let request = CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap();
        let client = running.client().await;
        let enrolled = client.enroll_worker(&name.parse().unwrap(), &limits, &request).await;
        let certificate = enrolled.unwrap();
        Self {
            key,
            chain: vec![der(&certificate.certificate_pem)],
            authority: der(&certificate.authority_pem),
            certificate: Some(certificate),
            versions: vec![&TLS13],
            now: Arc::clone(&home.now),
        }
    }

    /// Somebody with a certificate that he made himself.
    pub fn stranger(home: &Home, authority: CertificateDer<'static>) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let chain = vec![params.self_signed(&key).unwrap().der().clone()];
        let now = Arc::clone(&home.now);
        Self { key, certificate: None, chain, authority, versions: vec![&TLS13], now }
    }

    pub fn fingerprint(&self) -> &str {
        &self.certificate.as_ref().unwrap().info.fingerprint
    }

    pub fn config(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.clone()).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let time = Arc::new(Moved(Arc::clone(&self.now)));
        let config = ClientConfig::builder_with_details(provider, time)
            .with_protocol_versions(&self.versions)
            .unwrap()
            .with_root_certificates(roots);
        let config = if self.chain.is_empty() {
            config.with_no_client_auth()
        } else {
            let key = PrivatePkcs8KeyDer::from(self.key.serialize_der()).into();
            config.with_client_auth_cert(self.chain.clone(), key).unwrap()
        };
        Arc::new(config)
    }

    /// The worker's key, for somebody who wants to pass for the signer with it.
    pub fn secret(&self) -> PrivatePkcs8KeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.serialize_der())
    }

    pub async fn stream(&self, address: SocketAddr) -> io::Result<TlsStream<TcpStream>> {
        connect(self.config(), address).await
    }

    pub fn client(&self, address: SocketAddr) -> SignerClient {
        let way = Way { address, config: self.config() };
        SignerClient::over(Arc::new(way), "what-it-says".parse().unwrap())
    }
}

async fn connect(
    config: Arc<ClientConfig>,
    address: SocketAddr,
) -> io::Result<TlsStream<TcpStream>> {
    let name = ServerName::from(address.ip());
    TlsConnector::from(config).connect(name, TcpStream::connect(address).await?).await
}

#[derive(Debug)]
struct Way {
    address: SocketAddr,
    config: Arc<ClientConfig>,
}

impl SignerTransport for Way {
    fn open(&self) -> Opening<'_> {
        Box::pin(async {
            let stream = connect(Arc::clone(&self.config), self.address).await?;
            Ok(Box::new(stream) as Box<dyn SignerStream>)
        })
    }

    fn place(&self) -> String {
        self.address.to_string()
    }
}

#[derive(Debug)]
struct Moved(Arc<Mutex<OffsetDateTime>>);

impl TimeProvider for Moved {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = self.0.lock().unwrap().unix_timestamp().unsigned_abs();
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}
