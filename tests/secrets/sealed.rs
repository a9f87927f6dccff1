//! What the signer's sealed store holds, opened with its passphrase and age's own library: Mailkeep has
//! no way to hand a key out, and gets none for a test.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use age::{scrypt, secrecy::ExposeSecret, x25519};
use data_encoding::{BASE64, Encoding, Specification};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

/// In front of the content of each sealed file, behind the encryption.
const TAG: usize = 32;
/// In front of an age identity: no secret.
const PREFIX: &str = "AGE-SECRET-KEY-1";

/// Something that only the signer may know: what it is, and its bytes.
///
/// Numbers begin with their highest byte, and with no zero.
pub(crate) type Hidden = BTreeMap<String, Vec<u8>>;

/// The sealed store of a signer's directory.
pub(crate) struct Sealed {
    directory: PathBuf,
    identity: x25519::Identity,
    always: Hidden,
}

impl Sealed {
    #[track_caller]
    pub(crate) fn open(directory: PathBuf, passphrase: &str) -> Self {
        let sealed = fs::read(directory.join("master.age")).expect("the sealed master key");
        let mut opener = scrypt::Identity::new(passphrase.to_owned().into());
        opener.set_max_work_factor(20);
        let text = age::decrypt(&opener, &sealed).expect("the passphrase opens the master key");
        let text = String::from_utf8(text).expect("an age identity is text");
        let identity: x25519::Identity = text.trim().parse().expect("an age identity");
        assert_eq!(identity.to_string().expose_secret(), text.trim());
        let mut always = Hidden::new();
        let (prefix, own) = text.trim().split_at(PREFIX.len());
        assert_eq!(prefix, PREFIX);
        let mut hide = |what: &str, bytes: &[u8]| always.insert(what.to_owned(), bytes.to_vec());
        hide("passphrase", passphrase.as_bytes());
        hide("age identity, as text", own.as_bytes());
        hide("age identity, in small letters", own.to_lowercase().as_bytes());
        hide("age identity, its scalar", &scalar(own));
        // How the signer makes it of the identity: `signer/src/master.rs`.
        let derived = Hmac::<Sha256>::new_from_slice(b"mailkeep-sealed-file-tag-1");
        let derived = derived.expect("a key may be as long as it likes").chain_update(text.trim());
        hide("key of the sealed files' tags", &derived.finalize().into_bytes());
        let mut store = Self { directory, identity, always };
        for (file, what) in [
            ("checkpoint-key.age", "ledger key"),
            ("worker-authority.age", "key of the workers' authority"),
        ] {
            let key = store.content(&store.directory.join(file)).expect("it is there");
            let key = elliptic(&key).unwrap_or_else(|| panic!("no key in {file}"));
            store.always.insert(what.to_owned(), key);
        }
        store
    }

    /// All that it holds at this moment.
    #[track_caller]
    pub(crate) fn hidden(&self) -> Hidden {
        let mut hidden = self.always.clone();
        let mut waiting = vec![self.directory.join("keys")];
        while let Some(directory) = waiting.pop() {
            for path in fs::read_dir(directory).into_iter().flatten().flatten().map(|e| e.path()) {
                if path.is_dir() {
                    waiting.push(path);
                } else if path.extension().is_some_and(|end| end == "age")
                    && let Some(content) = self.content(&path)
                {
                    let content: Value = serde_json::from_slice(&content).expect("a credential");
                    let name = path.strip_prefix(&self.directory).expect("it is below");
                    for key in content["keys"].as_array().expect("keys") {
                        hidden.extend(numbers(name, key));
                    }
                }
            }
        }
        hidden
    }

    /// The only key of a tenant and function: PKCS#8 and certificate, each as base64 of DER.
    #[track_caller]
    pub(crate) fn key(&self, tenant: &str, function: &str) -> (String, String) {
        let path = self.directory.join("keys").join(tenant).join(format!("{function}.age"));
        let content = self.content(&path).expect("the sealed key");
        let content: Value = serde_json::from_slice(&content).expect("a credential");
        let [key] = &content["keys"].as_array().expect("keys")[..] else { panic!("several keys") };
        let text = |name: &str| key[name].as_str().expect("it is there").to_owned();
        (text("pkcs8"), text("certificate"))
    }

    /// `None` when the file is gone meanwhile.
    #[track_caller]
    fn content(&self, path: &Path) -> Option<Vec<u8>> {
        let sealed = fs::read(path).ok()?;
        let content = age::decrypt(&self.identity, &sealed);
        let content = content.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Some(content[TAG..].to_vec())
    }
}

/// The private numbers of one key of a credential: PKCS#8 around PKCS#1 (RFC 8017 appendix A.1.2).
#[track_caller]
fn numbers(name: &Path, key: &Value) -> Hidden {
    const NAMES: [&str; 6] = ["d", "p", "q", "d mod p-1", "d mod q-1", "q inverse"];
    let pkcs8 = key["pkcs8"].as_str().expect("a sealed key");
    let pkcs8 = BASE64.decode(pkcs8.as_bytes()).expect("base64");
    let parts = elements(elements(&pkcs8)[0].1);
    let numbers = elements(elements(parts[2].1)[0].1);
    // Version, modulus and public exponent are no secret.
    let private = numbers.iter().skip(3).map(|(_, number)| without_zeros(number));
    let key_id = key["key_id"].as_str().unwrap_or_default();
    let named = NAMES.iter().zip(private);
    let named = named.map(|(number, bytes)| {
        assert!(bytes.len() > 180, "{number} of an RSA key of 3072 bits has {} bytes", bytes.len());
        (format!("{} {key_id} {number}", name.display()), bytes)
    });
    let named: Hidden = named.collect();
    assert_eq!(named.len(), NAMES.len(), "{}", name.display());
    named
}

/// The private number of an EC key (RFC 5915), PKCS#8 as it is or in PEM.
fn elliptic(key: &[u8]) -> Option<Vec<u8>> {
    let text = String::from_utf8_lossy(key);
    let der = match text.split_once("-----BEGIN PRIVATE KEY-----") {
        None => key.to_vec(),
        Some((_, rest)) => {
            let (base64, _) = rest.split_once("-----END")?;
            let base64: String = base64.split_whitespace().collect();
            BASE64.decode(base64.as_bytes()).ok()?
        }
    };
    let parts = elements(elements(&der).first()?.1);
    let key = elements(elements(parts.get(2)?.1).first()?.1);
    key.get(1).map(|(_, number)| number.to_vec()).filter(|number| number.len() == 32)
}

/// DER: tags and contents that follow each other.
fn elements(mut der: &[u8]) -> Vec<(u8, &[u8])> {
    let mut elements = Vec::new();
    while let [tag, length, rest @ ..] = der {
        let (length, rest) = match length {
            short @ ..0x80 => (usize::from(*short), rest),
            long => {
                let (bytes, rest) = rest.split_at(usize::from(long & 0x7f));
                (bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
            }
        };
        let (content, rest) = rest.split_at(length);
        elements.push((*tag, content));
        der = rest;
    }
    elements
}

fn without_zeros(number: &[u8]) -> Vec<u8> {
    number.iter().copied().skip_while(|byte| *byte == 0).collect()
}

/// The 32 bytes of an age identity (Bech32, without its checksum).
fn scalar(text: &str) -> Vec<u8> {
    let mut specification = Specification::new();
    specification.symbols.push_str("QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L");
    specification.check_trailing_bits = false;
    let encoding: Encoding = specification.encoding().expect("an alphabet of 32");
    // 52 letters are 260 bits; six more are the checksum.
    let letters = &text.as_bytes()[..text.len() - 6];
    // data-encoding wants no more letters than whole bytes take.
    encoding.decode(letters).expect("Bech32")
}
