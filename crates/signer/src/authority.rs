//! The signer's own certificate authority (EC P-256): who is the signer, and who is a worker.

use std::{net::IpAddr, path::Path};

use data_encoding::HEXUPPER;
use mailkeep_identity::CallerLabel;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PublicKeyData, SerialNumber,
};
use rustls::{
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivatePkcs8KeyDer, pem::PemObject},
    sign::CertifiedKey,
};
use sha2::{Digest, Sha256};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::{SignerError, certificate::BACKDATING, master::Master};

/// Behind it all workers are enrolled anew.
const AUTHORITY_VALIDITY: Duration = Duration::days(3650);
/// A worker is enrolled once a year.
const WORKER_VALIDITY: Duration = Duration::days(365);
/// The signer makes itself another one at two thirds of that.
const SIGNER_VALIDITY: Duration = Duration::days(30);

const FILE: &str = "worker-authority.age";
const LABEL: &str = "worker-authority";

pub(crate) struct Authority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate that the authority gave.
pub(crate) struct Issued {
    pub(crate) der: CertificateDer<'static>,
    pub(crate) not_before: OffsetDateTime,
    pub(crate) not_after: OffsetDateTime,
}

impl Authority {
    /// Reads it from the sealed store; made when there is none.
    pub(crate) fn open(
        directory: &Path,
        master: &Master,
        now: OffsetDateTime,
    ) -> Result<Self, SignerError> {
        let path = directory.join(FILE);
        let damaged = |what: &str| SignerError::Damaged { path: path.clone(), what: what.into() };
        let sealed = master.read(&path, LABEL).map_err(|error| damaged(&error.to_string()))?;
        if let Some(pem) = sealed {
            let text = std::str::from_utf8(&pem).map_err(|_| damaged("not text"))?;
            let key = KeyPair::from_pem(text).map_err(|_| damaged("there is no key in it"))?;
            let certificate = CertificateDer::from_pem_slice(&pem);
            let certificate = certificate.map_err(|_| damaged("there is no certificate in it"))?;
            let issuer = Issuer::from_ca_cert_der(&certificate, key);
            let issuer = issuer.map_err(|_| damaged("its certificate cannot be read"))?;
            return Ok(Self { certificate, issuer });
        }
        let failed = |_| SignerError::Crypto("make a certificate authority");
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)?;
        let mut params = params("signer authority", now, AUTHORITY_VALIDITY);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let certificate = params.self_signed(&key).map_err(failed)?;
        let mut pem = Zeroizing::new(String::with_capacity(4096));
        pem.push_str(&Zeroizing::new(key.serialize_pem()));
        pem.push_str(&certificate.pem());
        let written = master.write(&path, LABEL, pem.as_bytes());
        written.map_err(|source| SignerError::Io { path: path.clone(), source })?;
        Ok(Self { certificate: certificate.der().clone(), issuer: Issuer::new(params, key) })
    }

    pub(crate) fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// A certificate for the key that a request was signed with. Nothing else of the request counts.
    pub(crate) fn issue_worker(
        &self,
        name: &CallerLabel,
        request_pem: &str,
        now: OffsetDateTime,
    ) -> Result<Issued, String> {
        let request = CertificateSigningRequestParams::from_pem(request_pem)
            .map_err(|error| format!("the request for a certificate cannot be used: {error}"))?;
        if request.public_key.algorithm() != &PKCS_ECDSA_P256_SHA256 {
            return Err("a worker's key is EC P-256".to_owned());
        }
        let mut params = params(&format!("worker {name}"), now, WORKER_VALIDITY);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(&params, &request.public_key).map_err(|error| error.to_string())
    }

    /// A certificate for the signer itself, with a fresh key, and when to make the next one.
    pub(crate) fn issue_signer(
        &self,
        names: &[String],
        now: OffsetDateTime,
    ) -> Result<(CertifiedKey, OffsetDateTime), SignerError> {
        let failed = |_| SignerError::Crypto("make its own certificate");
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)?;
        let mut params = params("signer", now, SIGNER_VALIDITY);
        params.subject_alt_names =
            CertificateParams::new(names.to_vec()).map_err(failed)?.subject_alt_names;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let issued = self.issue(&params, &key).map_err(failed)?;
        let secret = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        let provider = aws_lc_rs::default_provider();
        let certified = CertifiedKey::from_der(vec![issued.der], secret, &provider);
        let certified = certified.map_err(|_| SignerError::Crypto("use its own certificate"))?;
        Ok((certified, now + SIGNER_VALIDITY * 2 / 3))
    }

    fn issue(
        &self,
        params: &CertificateParams,
        key: &impl PublicKeyData,
    ) -> Result<Issued, rcgen::Error> {
        let certificate = params.signed_by(key, &self.issuer)?;
        Ok(Issued {
            der: certificate.der().clone(),
            not_before: params.not_before,
            not_after: params.not_after,
        })
    }
}

/// SHA-256 over a certificate, as the list and the ledger have it.
pub(crate) fn fingerprint(der: &[u8]) -> String {
    HEXUPPER.encode(&Sha256::digest(der))
}

/// Whether a name can stand in the signer's certificate.
pub(crate) fn is_name(name: &str) -> bool {
    name.parse::<IpAddr>().is_ok()
        || rustls::pki_types::DnsName::try_from(name).is_ok() && !name.contains('*')
}

fn params(name: &str, now: OffsetDateTime, validity: Duration) -> CertificateParams {
    // X.509 knows whole seconds.
    let now = now.replace_nanosecond(0).unwrap_or(now);
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "Mailkeep");
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = now - BACKDATING;
    params.not_after = now + validity;
    params.serial_number = Some(SerialNumber::from_slice(Uuid::new_v4().as_bytes()));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use x509_parser::prelude::{FromDer, X509CertificationRequest};

    use super::*;

    fn authority() -> Authority {
        let key = KeyPair::generate().unwrap();
        let mut params = params("test", OffsetDateTime::UNIX_EPOCH, AUTHORITY_VALIDITY);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Authority { certificate, issuer: Issuer::new(params, key) }
    }

    fn request() -> Vec<u8> {
        let key = KeyPair::generate().unwrap();
        CertificateParams::default().serialize_request(&key).unwrap().der().to_vec()
    }

    fn issue(authority: &Authority, der: &[u8]) -> Result<Issued, String> {
        let base64 = data_encoding::BASE64.encode(der);
        let pem = format!(
            "-----BEGIN CERTIFICATE REQUEST-----\n{base64}\n-----END CERTIFICATE REQUEST-----\n"
        );
        authority.issue_worker(&"w".parse().unwrap(), &pem, OffsetDateTime::UNIX_EPOCH)
    }

    #[test]
    fn a_worker_s_certificate_is_for_nothing_but_asking_whatever_was_requested() {
        let authority = authority();
        let key = KeyPair::generate().unwrap();
        let mut wanted = CertificateParams::new(vec!["signer.example".to_owned()]).unwrap();
        wanted.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        wanted.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let request = wanted.serialize_request(&key).unwrap();
        let issued = issue(&authority, request.der()).unwrap();
        let (_, parsed) = x509_parser::parse_x509_certificate(&issued.der).unwrap();
        assert!(!parsed.is_ca());
        assert!(parsed.subject_alternative_name().unwrap().is_none());
        let usage = parsed.extended_key_usage().unwrap().unwrap().value;
        assert!(usage.client_auth && !usage.server_auth && !usage.any);
    }

    proptest! {
        #[test]
        fn a_request_that_was_changed_gets_a_certificate_for_no_other_key_and_never_a_panic(
            at in any::<prop::sample::Index>(), to in any::<u8>(), cut in any::<prop::sample::Index>()
        ) {
            let authority = authority();
            let whole = request();
            prop_assert!(issue(&authority, &whole).is_ok());
            let mut changed = whole.clone();
            let at = at.index(whole.len());
            changed[at] = to;
            // The parser takes a few tags around the signature in other ways than DER's own; what
            // was signed is the same then, and so is the key.
            let (_, asked) = X509CertificationRequest::from_der(&whole).unwrap();
            let asked = asked.certification_request_info;
            let signed = whole.windows(asked.raw.len()).position(|bytes| bytes == asked.raw);
            let signed = signed.unwrap()..signed.unwrap() + asked.raw.len();
            match issue(&authority, &changed) {
                Ok(issued) => {
                    let (_, issued) = x509_parser::parse_x509_certificate(&issued.der).unwrap();
                    prop_assert_eq!(issued.public_key().raw, asked.subject_pki.raw);
                    prop_assert!(to == whole[at] || !signed.contains(&at));
                }
                Err(_) => prop_assert!(to != whole[at]),
            }
            prop_assert!(issue(&authority, &whole[..cut.index(whole.len())]).is_err());
        }
    }
}
