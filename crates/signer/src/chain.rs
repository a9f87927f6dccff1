//! What a certificate authority answers: the key's certificate, and those that vouch for it.

use time::{Duration, OffsetDateTime};
use x509_parser::{parse_x509_certificate, pem::Pem};

use crate::certificate::{BACKDATING, Certificate};

/// Longest validity: what the web's authorities are held to (CA/Browser Forum, ballot SC-31), for
/// want of any rule of the provider's.
const LONGEST: Duration = Duration::days(398);

/// Certificates in a chain, the key's own included.
const MAX_CERTIFICATES: usize = 5;

/// All of them together, in DER: with four keys a listing must fit into an answer.
const MAX_BYTES: usize = 8 * 1024;

/// Signatures that somebody can forge (`signatureAlgorithm`, RFC 3279): with MD5, with SHA-1.
const WEAK: &[&str] = &[
    "1.2.840.113549.1.1.4",
    "1.2.840.113549.1.1.5",
    "1.3.14.3.2.29",
    "1.2.840.10045.4.1",
    "1.2.840.10040.4.3",
];

/// Reads a chain (PEM) that is to certify `public`, a public key (PKCS#1), and tells what is wrong
/// with it, in words.
///
/// Who is at the end of it, and whether that can be trusted, is for the provider to say.
pub(crate) fn read(pem: &str, public: &[u8], now: OffsetDateTime) -> Result<Certificate, String> {
    let mut ders = Vec::new();
    for block in Pem::iter_from_buffer(pem.as_bytes()) {
        let block = block.map_err(|_| "it is not PEM")?;
        if block.label != "CERTIFICATE" {
            return Err("it holds something else than certificates".to_owned());
        }
        ders.push(block.contents);
        if ders.len() > MAX_CERTIFICATES {
            return Err(format!("it holds more than {MAX_CERTIFICATES} certificates"));
        }
    }
    if ders.iter().map(Vec::len).sum::<usize>() > MAX_BYTES {
        return Err(format!("its certificates are larger than {MAX_BYTES} bytes together"));
    }
    for pair in ders.windows(2) {
        vouched(&pair[0], &pair[1])?;
    }
    // The last one's own signature proves nothing: it is trusted or not for itself.
    let signed = ders.len().saturating_sub(1).max(1);
    for der in ders.iter().take(signed) {
        strong(der)?;
    }
    let mut ders = ders.into_iter();
    let first = ders.next().ok_or("it holds no certificate")?;
    let mut certificate = Certificate::from_der(first).ok_or("its first certificate is damaged")?;
    fits(&certificate, public, now)?;
    certificate.chain = ders.collect();
    Ok(certificate)
}

fn fits(certificate: &Certificate, public: &[u8], now: OffsetDateTime) -> Result<(), String> {
    let Certificate { not_before, not_after, .. } = *certificate;
    if certificate.public != public {
        return Err("its first certificate is that of another key".to_owned());
    }
    if now >= not_after {
        return Err(format!("its first certificate expired on {not_after}"));
    }
    if now + BACKDATING < not_before {
        return Err(format!("its first certificate is not valid before {not_before}"));
    }
    if not_after - not_before > LONGEST {
        let days = (not_after - not_before).whole_days();
        return Err(format!(
            "its first certificate is valid for {days} days; at most {} are taken",
            LONGEST.whole_days()
        ));
    }
    Ok(())
}

/// Whether a certificate is signed so that nobody can forge it.
fn strong(certificate: &[u8]) -> Result<(), String> {
    let Ok((_, parsed)) = parse_x509_certificate(certificate) else { return Ok(()) };
    let algorithm = parsed.signature_algorithm.algorithm.to_id_string();
    if WEAK.contains(&algorithm.as_str()) {
        return Err("one of its certificates is signed with SHA-1 or MD5, which is too weak: ask the authority for SHA-256".to_owned());
    }
    Ok(())
}

/// Whether `issuer` signed `certificate`.
fn vouched(certificate: &[u8], issuer: &[u8]) -> Result<(), String> {
    let damaged = |_| "one of its certificates is damaged";
    let (_, certificate) = parse_x509_certificate(certificate).map_err(damaged)?;
    let (_, issuer) = parse_x509_certificate(issuer).map_err(damaged)?;
    let named = certificate.issuer() == issuer.subject();
    if named && certificate.verify_signature(Some(issuer.public_key())).is_ok() {
        return Ok(());
    }
    Err("its certificates are not in order: each must be signed by the next".to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-03-01 12:00 UTC);

    fn block(der: &[u8]) -> String {
        let base64 = data_encoding::BASE64.encode(der);
        format!("-----BEGIN CERTIFICATE-----\n{base64}\n-----END CERTIFICATE-----\n")
    }

    #[test]
    fn a_signature_that_can_be_forged_is_told_from_a_good_one() {
        let key = crate::key::PrivateKey::generate().unwrap();
        let key_use = mailkeep_identity::KeyUse {
            tenant: "acme".parse().unwrap(),
            function: mailkeep_model::Function::Reader,
        };
        let der = Certificate::self_signed(&key, &key_use, NOW).unwrap().der;
        assert_eq!(strong(&der), Ok(()));
        // sha256WithRSAEncryption, 1.2.840.113549.1.1.11, becomes sha1WithRSAEncryption.
        let sha256 = [0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x0B];
        let mut weak = der;
        let places: Vec<usize> =
            (0..weak.len() - sha256.len()).filter(|at| weak[*at..].starts_with(&sha256)).collect();
        assert_eq!(places.len(), 2);
        for at in places {
            weak[at + sha256.len() - 1] = 0x05;
        }
        assert!(strong(&weak).unwrap_err().contains("SHA-1"));
    }

    proptest! {
        #[test]
        fn garbage_is_refused_and_never_a_panic(
            text in "[-A-Za-z0-9+/= \n]{0,200}",
            ders in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..4),
        ) {
            prop_assert!(read(&text, b"key", NOW).is_err());
            let blocks: String = ders.iter().map(|der| block(der)).collect();
            prop_assert!(read(&blocks, b"key", NOW).is_err());
        }
    }
}
