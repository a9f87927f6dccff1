//! The master key, and the files that it seals.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

use age::{
    DecryptError, scrypt,
    secrecy::{ExposeSecret, SecretString},
    x25519,
};
use aws_lc_rs::hmac;
use mailkeep_identity::{CredentialSeal, SealingInfo, SealingKind};
use zeroize::Zeroizing;

use crate::{
    Sealing, SignerError,
    files::{read_bounded, write_atomically},
};

/// Largest sealed file: a key and its certificate take some 5 KB.
const MAX_SEALED: u64 = 256 * 1024;

/// scrypt with N = 2^18: age's own default, about a second and 256 MB, once at every start.
const WORK_FACTOR: u8 = 18;

/// Most that is accepted of a file, so that a doctored one cannot keep the signer busy for hours.
const MAX_WORK_FACTOR: u8 = 20;

const TAG: usize = 32;

/// Opens and seals the signer's files.
///
/// age's encryption to a public key does not say who encrypted. A tag made with the master key,
/// over the file's name and content, does: nobody without the master key can make a sealed file,
/// and none is of use under another's name. Inside the encryption: 32 bytes of tag (HMAC-SHA-256),
/// then the content.
pub(crate) struct Master {
    identity: x25519::Identity,
    tag_key: hmac::Key,
}

/// Why a sealed file cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OpenError {
    #[error("it was sealed with another master key")]
    OtherKey,
    #[error("its encryption is damaged")]
    Damaged,
    #[error("it was not sealed by this signer for this place")]
    NotOurs,
    #[error("it cannot be read: {0}")]
    Unreadable(io::ErrorKind),
}

impl Master {
    /// The master key of a signer's directory; made at the first start.
    pub(crate) fn open(directory: &Path, sealing: &Sealing) -> Result<Self, SignerError> {
        let check = directory.join("check.age");
        let begun = check.exists() || directory.join("ledger.jsonl").exists();
        let identity = match sealing {
            Sealing::Passphrase(passphrase) => {
                if passphrase.expose().is_empty() {
                    return Err(SignerError::EmptyPassphrase);
                }
                let passphrase = SecretString::from(passphrase.expose().to_owned());
                under_passphrase(directory, passphrase, begun)?
            }
            Sealing::IdentityFile(path) => in_file(path, begun)?,
        };
        let master = Self::new(identity);
        let wrong = || match sealing {
            Sealing::Passphrase(_) => {
                SignerError::WrongPassphrase { directory: directory.to_owned() }
            }
            Sealing::IdentityFile(identity) => SignerError::WrongIdentity {
                identity: identity.clone(),
                directory: directory.to_owned(),
            },
        };
        match master.read(&check, "check") {
            Ok(Some(_)) => Ok(master),
            Ok(None) if begun => Err(damaged(&check, "it is missing")),
            Ok(None) => {
                master.write(&check, "check", b"mailkeep").map_err(io_at(&check))?;
                Ok(master)
            }
            Err(OpenError::OtherKey) => Err(wrong()),
            Err(error) => Err(damaged(&check, &error)),
        }
    }

    fn new(identity: x25519::Identity) -> Self {
        let text = identity.to_string();
        let label = hmac::Key::new(hmac::HMAC_SHA256, b"mailkeep-sealed-file-tag-1");
        let derived = hmac::sign(&label, text.expose_secret().as_bytes());
        Self { identity, tag_key: hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref()) }
    }

    /// Seals `content` into a file, as the one called `name`.
    pub(crate) fn write(&self, path: &Path, name: &str, content: &[u8]) -> io::Result<()> {
        let mut plain = Zeroizing::new(Vec::with_capacity(TAG + content.len()));
        plain.extend_from_slice(hmac::sign(&self.tag_key, &tagged(name, content)).as_ref());
        plain.extend_from_slice(content);
        let sealed = age::encrypt(&self.identity.to_public(), &plain).map_err(io::Error::other)?;
        write_atomically(path, &sealed)
    }

    /// Opens the file called `name`; `None` when it is not there.
    pub(crate) fn read(
        &self,
        path: &Path,
        name: &str,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, OpenError> {
        let sealed = read_bounded(path, MAX_SEALED);
        let Some(sealed) = sealed.map_err(|error| OpenError::Unreadable(error.kind()))? else {
            return Ok(None);
        };
        let plain = age::decrypt(&self.identity, &sealed).map_err(|error| match error {
            DecryptError::NoMatchingKeys => OpenError::OtherKey,
            _ => OpenError::Damaged,
        })?;
        let plain = Zeroizing::new(plain);
        let (tag, content) = plain.split_at_checked(TAG).ok_or(OpenError::NotOurs)?;
        hmac::verify(&self.tag_key, &tagged(name, content), tag).map_err(|_| OpenError::NotOurs)?;
        Ok(Some(Zeroizing::new(content.to_vec())))
    }
}

/// How well the sealing protects, for `status` and `doctor`.
pub(crate) fn sealing_info(
    directory: &Path,
    sealing: &Sealing,
    passphrase: Option<CredentialSeal>,
) -> SealingInfo {
    let Sealing::IdentityFile(path) = sealing else {
        let warning = passphrase.and_then(doubt).map(str::to_owned);
        return SealingInfo { kind: SealingKind::Passphrase, passphrase, warning };
    };
    let kind = SealingKind::IdentityFile;
    let warning = match (fs::metadata(path), fs::metadata(directory)) {
        (Ok(file), Ok(home)) if file.dev() == home.dev() => Some(format!(
            "key file on the same disk protects nothing: {} lies on the disk of the keys that it opens",
            path.display()
        )),
        (Ok(file), _) if file.permissions().mode() & 0o077 != 0 => Some(format!(
            "the key file {} can be read by other users: chmod 600 it",
            path.display()
        )),
        _ => None,
    };
    SealingInfo { kind, passphrase: None, warning }
}

/// What a passphrase's seal does not protect from.
fn doubt(seal: CredentialSeal) -> Option<&'static str> {
    match seal {
        CredentialSeal::Host => Some(
            "the passphrase is sealed with a key on this machine's disk alone (/var/lib/systemd/credential.secret): whoever takes the disk has both; where there is a TPM, systemd-creds encrypt --with-key=host+tpm2",
        ),
        CredentialSeal::Nothing => Some(
            "the credential with the passphrase is sealed with nothing: whoever reads the file has it; systemd-creds encrypt --with-key=host+tpm2",
        ),
        _ => None,
    }
}

/// What the tag is over. The name's length keeps name and content apart.
fn tagged(name: &str, content: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut text = Zeroizing::new(Vec::with_capacity(8 + name.len() + content.len()));
    text.extend_from_slice(&(name.len() as u64).to_be_bytes());
    text.extend_from_slice(name.as_bytes());
    text.extend_from_slice(content);
    text
}

fn under_passphrase(
    directory: &Path,
    passphrase: SecretString,
    begun: bool,
) -> Result<x25519::Identity, SignerError> {
    let path = directory.join("master.age");
    let Some(sealed) = read_bounded(&path, MAX_SEALED).map_err(io_at(&path))? else {
        if begun {
            return Err(SignerError::MasterMissing { path });
        }
        let identity = x25519::Identity::generate();
        let mut recipient = scrypt::Recipient::new(passphrase);
        recipient.set_work_factor(WORK_FACTOR);
        let sealed = age::encrypt(&recipient, identity.to_string().expose_secret().as_bytes())
            .map_err(|_| SignerError::Crypto("seal the master key"))?;
        write_atomically(&path, &sealed).map_err(io_at(&path))?;
        return Ok(identity);
    };
    let mut opener = scrypt::Identity::new(passphrase);
    opener.set_max_work_factor(MAX_WORK_FACTOR);
    let text = match age::decrypt(&opener, &sealed) {
        Ok(text) => Zeroizing::new(text),
        // Which of them a wrong passphrase gives is up to the library.
        Err(
            DecryptError::DecryptionFailed
            | DecryptError::KeyDecryptionFailed
            | DecryptError::NoMatchingKeys,
        ) => return Err(SignerError::WrongPassphrase { directory: directory.to_owned() }),
        Err(_) => return Err(damaged(&path, "its encryption is damaged")),
    };
    parse_identity(&path, &text)
}

fn in_file(path: &Path, begun: bool) -> Result<x25519::Identity, SignerError> {
    if let Some(text) = read_bounded(path, MAX_SEALED).map_err(io_at(path))? {
        return parse_identity(path, &Zeroizing::new(text));
    }
    if begun {
        return Err(SignerError::MasterMissing { path: path.to_owned() });
    }
    let identity = x25519::Identity::generate();
    let text = Zeroizing::new(format!(
        "# master key of a Mailkeep signer; keep it away from the signer's directory\n{}\n",
        identity.to_string().expose_secret()
    ));
    write_atomically(path, text.as_bytes()).map_err(io_at(path))?;
    Ok(identity)
}

fn parse_identity(path: &Path, text: &[u8]) -> Result<x25519::Identity, SignerError> {
    let wrong = || damaged(path, "it does not hold one age identity (AGE-SECRET-KEY-1…)");
    let text = std::str::from_utf8(text).map_err(|_| wrong())?;
    let mut lines = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
    match (lines.next(), lines.next()) {
        (Some(line), None) => line.parse().map_err(|_| wrong()),
        _ => Err(wrong()),
    }
}

fn damaged(path: &Path, what: &(impl ToString + ?Sized)) -> SignerError {
    SignerError::Damaged { path: path.to_owned(), what: what.to_string() }
}

fn io_at(path: &Path) -> impl Fn(io::Error) -> SignerError {
    move |source| SignerError::Io { path: path.to_owned(), source }
}
