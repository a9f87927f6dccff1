//! Certificates with their keys, as the TLS library takes them.

use std::{path::Path, sync::Arc};

use data_encoding::HEXUPPER;
use rustls::{
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};
use sha2::{Digest, Sha256};
use x509_parser::{extensions::GeneralName, parse_x509_certificate};

use crate::{ServingCertificate, TlsError, TlsFiles, private};

/// Most certificates in a chain.
const LONGEST_CHAIN: usize = 10;

/// The cryptographic library that all our TLS uses.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// A certificate with its key, and what there is to know of it.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) key: Arc<CertifiedKey>,
    pub(crate) about: ServingCertificate,
}

impl Identity {
    /// Reads a chain and a key (PEM). `path` is where they come from, for errors.
    pub(crate) fn from_pem(chain: &[u8], key: &[u8], path: &Path) -> Result<Self, TlsError> {
        let bad = |what: String| TlsError::Content { path: path.to_owned(), what };
        let chain = certificates(chain, path)?;
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|_| bad("there is no private key in it (PEM)".into()))?;
        let leaf = chain.first().ok_or_else(|| bad("there is no certificate in it".into()))?;
        let about = about(leaf).ok_or_else(|| bad("its certificate cannot be read".into()))?;
        let key = CertifiedKey::from_der(chain, key, &provider()).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                bad("the key is not that of the certificate".into())
            }
            other => bad(other.to_string()),
        })?;
        Ok(Self { key: Arc::new(key), about })
    }
}

/// Both files, as they are.
#[derive(PartialEq, Eq)]
pub(crate) struct Pair {
    certificate: zeroize::Zeroizing<Vec<u8>>,
    key: zeroize::Zeroizing<Vec<u8>>,
}

impl Pair {
    pub(crate) fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        let certificate = private::read_existing(&files.certificate)?;
        let key = private::read_existing(&files.key)?;
        Ok(Self { certificate, key })
    }

    pub(crate) fn identity(&self, files: &TlsFiles) -> Result<Identity, TlsError> {
        Identity::from_pem(&self.certificate, &self.key, &files.certificate)
    }
}

/// The certificates in a PEM file.
pub(crate) fn certificates(
    pem: &[u8],
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bad = |what: String| TlsError::Content { path: path.to_owned(), what };
    let mut found = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        found.push(certificate.map_err(|error| bad(format!("not PEM: {error}")))?);
        if found.len() > LONGEST_CHAIN {
            return Err(bad(format!("more than {LONGEST_CHAIN} certificates")));
        }
    }
    if found.is_empty() {
        Err(bad("there is no certificate in it (PEM)".into()))
    } else {
        Ok(found)
    }
}

/// What a certificate says of itself; `None` when it is none.
pub(crate) fn about(der: &CertificateDer<'_>) -> Option<ServingCertificate> {
    let (_, parsed) = parse_x509_certificate(der).ok()?;
    let validity = parsed.validity();
    let names = parsed.subject_alternative_name().ok().flatten();
    let names = names.map(|found| found.value.general_names.iter().filter_map(name).collect());
    Some(ServingCertificate {
        names: names.unwrap_or_default(),
        issuer: parsed.issuer().to_string().chars().take(256).collect(),
        fingerprint: HEXUPPER.encode(&Sha256::digest(der)),
        not_before: validity.not_before.to_datetime(),
        not_after: validity.not_after.to_datetime(),
    })
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|it| std::net::IpAddr::from(it).to_string()),
            16 => {
                <[u8; 16]>::try_from(*bytes).ok().map(|it| std::net::IpAddr::from(it).to_string())
            }
            _ => None,
        },
        _ => None,
    }
}
