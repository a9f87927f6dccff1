//! Keys inside a hardware security module, or what looks like one (PKCS#11 v2.40).

use std::{
    path::PathBuf,
    sync::{Mutex, PoisonError, RwLock},
};

use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    rsa::{PublicEncryptingKey, PublicKeyComponents},
};
use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Pkcs11},
    error::{Error, RvError},
    mechanism::{
        Mechanism, MechanismType,
        rsa::{PkcsMgfType, PkcsPssParams},
    },
    object::{Attribute, AttributeType, ObjectClass, ObjectHandle},
    session::{Session, UserType},
    slot::Slot,
    types::AuthPin,
};
use mailkeep_identity::KeyUse;
use mailkeep_model::Secret;
use uuid::Uuid;
use x509_parser::{prelude::FromDer, x509::SubjectPublicKeyInfo};

use crate::SignerError;

/// Bits of a key; Entra takes RSA only.
const BITS: u64 = 3072;

/// A token that holds keys. Shared by all threads, each with a session of its own.
pub(crate) struct Token {
    module: PathBuf,
    label: String,
    pin: Secret,
    /// Read while the token works, written while the way to it is made anew.
    way: RwLock<Way>,
}

/// The way to the token. A module knows the tokens that were there when it was initialised, so that
/// one that went away and came back is found by initialising it again.
struct Way {
    state: State,
    /// How often it was made; who saw it fail tells by this whether that was mended meanwhile.
    times: u64,
}

enum State {
    Open(Open),
    Closed,
    /// The PIN was refused. It is not tried again: tokens lock themselves after a few wrong ones.
    Refused(String),
}

struct Open {
    context: Pkcs11,
    slot: Slot,
    /// Sessions that nobody uses; they share one login.
    idle: Mutex<Vec<Session>>,
}

/// Why the token did not do something.
enum Trouble {
    Library(Error),
    Other(String),
}

impl Trouble {
    fn text(&self) -> String {
        match self {
            // The library's own text is a paragraph of the standard.
            Self::Library(Error::Pkcs11(code, function)) => format!("{function:?} gives {code:?}"),
            Self::Library(error) => error.to_string(),
            Self::Other(what) => what.clone(),
        }
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Library(error)
    }
}

/// What a signature is made of.
#[derive(Clone, Copy)]
pub(crate) enum Padding {
    /// RSASSA-PSS with SHA-256, MGF1 with SHA-256, and a salt of 32 bytes.
    Pss,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Pkcs1,
}

impl Token {
    /// Logs in at the token called `label`.
    pub(crate) fn open(module: PathBuf, label: String, pin: Secret) -> Result<Self, SignerError> {
        let way = RwLock::new(Way { state: State::Closed, times: 0 });
        let token = Self { module, label, pin, way };
        token.make_way(0).map_err(|trouble| token.error(&trouble))?;
        Ok(token)
    }

    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    pub(crate) fn module(&self) -> &PathBuf {
        &self.module
    }

    /// Makes a key that cannot leave the token, and tells its id there and its public key (PKCS#1).
    pub(crate) fn generate(&self, key_use: &KeyUse) -> Result<(Vec<u8>, Vec<u8>), SignerError> {
        let name = format!("mailkeep {} {}", key_use.tenant, key_use.function);
        self.work(|session| {
            // Of each try its own, so that a try that failed half-way is not found by it.
            let id = Uuid::new_v4().as_bytes().to_vec();
            let public = generate(session, &id, name.as_bytes())?;
            Ok((id, public))
        })
    }

    pub(crate) fn sign(
        &self,
        id: &[u8],
        padding: Padding,
        text: &[u8],
    ) -> Result<Vec<u8>, SignerError> {
        let mechanism = match padding {
            Padding::Pss => Mechanism::Sha256RsaPkcsPss(PkcsPssParams {
                hash_alg: MechanismType::SHA256,
                mgf: PkcsMgfType::MGF1_SHA256,
                s_len: 32.into(),
            }),
            Padding::Pkcs1 => Mechanism::Sha256RsaPkcs,
        };
        self.work(|session| {
            let key = find(session, id)?
                .ok_or_else(|| Trouble::Other("it does not hold the key any more".to_owned()))?;
            Ok(session.sign(&mechanism, key, text)?)
        })
    }

    /// Destroys a key. It is no error when the token has no such key.
    pub(crate) fn destroy(&self, id: &[u8]) -> Result<(), SignerError> {
        let mut looked = false;
        self.work(|session| match find(session, id)? {
            Some(key) => Ok(session.destroy_object(key)?),
            // A token that went away may look like one without the key: once more, over a new way.
            None if std::mem::replace(&mut looked, true) => Ok(()),
            None => Err(Trouble::Other("it does not hold the key".to_owned())),
        })
    }

    /// Does something in a session; when that fails, once more over a new way.
    fn work<T>(
        &self,
        mut act: impl FnMut(&Session) -> Result<T, Trouble>,
    ) -> Result<T, SignerError> {
        let (times, tried) = self.attempt(&mut act);
        let trouble = match tried {
            Ok(done) => return Ok(done),
            Err(trouble) => trouble,
        };
        tracing::warn!(token = self.label, what = %self.error(&trouble), "the token failed");
        self.make_way(times).map_err(|trouble| self.error(&trouble))?;
        self.attempt(&mut act).1.map_err(|trouble| self.error(&trouble))
    }

    fn attempt<T>(
        &self,
        act: &mut impl FnMut(&Session) -> Result<T, Trouble>,
    ) -> (u64, Result<T, Trouble>) {
        let way = self.way.read().unwrap_or_else(PoisonError::into_inner);
        let done = match &way.state {
            State::Open(open) => open.in_session(act),
            State::Closed => Err(Trouble::Other("it is not connected".to_owned())),
            State::Refused(why) => Err(Trouble::Other(why.clone())),
        };
        (way.times, done)
    }

    /// Makes the way anew, unless somebody else did since it was made for the `seen`th time.
    fn make_way(&self, seen: u64) -> Result<(), Trouble> {
        let mut way = self.way.write().unwrap_or_else(PoisonError::into_inner);
        if way.times != seen {
            return Ok(());
        }
        match std::mem::replace(&mut way.state, State::Closed) {
            State::Open(open) => open.close(),
            State::Closed => {}
            State::Refused(why) => {
                way.state = State::Refused(why.clone());
                return Err(Trouble::Other(why));
            }
        }
        match self.connect() {
            Ok(open) => {
                way.state = State::Open(open);
                way.times += 1;
                Ok(())
            }
            Err(trouble) if is_about_the_pin(&trouble) => {
                let why = format!(
                    "it refuses the PIN ({}), which is not tried again before the signer is started anew",
                    trouble.text()
                );
                way.state = State::Refused(why.clone());
                Err(Trouble::Other(why))
            }
            Err(trouble) => Err(trouble),
        }
    }

    fn connect(&self) -> Result<Open, Trouble> {
        let context = Pkcs11::new(&self.module)?;
        context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK))?;
        let login = || {
            let slot = self.slot(&context)?;
            let session = context.open_rw_session(slot)?;
            let pin = AuthPin::from(self.pin.expose().to_owned());
            match session.login(UserType::User, Some(&pin)) {
                Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) | Ok(()) => {}
                Err(error) => return Err(error.into()),
            }
            Ok((slot, session))
        };
        match login() {
            Ok((slot, session)) => Ok(Open { context, slot, idle: Mutex::new(vec![session]) }),
            Err(trouble) => {
                finalize(context);
                Err(trouble)
            }
        }
    }

    fn slot(&self, context: &Pkcs11) -> Result<Slot, Trouble> {
        let mut found = Vec::new();
        for slot in context.get_slots_with_initialized_token()? {
            if context.get_token_info(slot)?.label().trim_end() == self.label {
                found.push(slot);
            }
        }
        match found[..] {
            [slot] => Ok(slot),
            [] => Err(Trouble::Other("there is no such token".to_owned())),
            _ => Err(Trouble::Other("there is more than one of this label".to_owned())),
        }
    }

    fn error(&self, trouble: &Trouble) -> SignerError {
        SignerError::Token { label: self.label.clone(), what: trouble.text() }
    }
}

impl Open {
    fn in_session<T>(
        &self,
        act: &mut impl FnMut(&Session) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let session = match idle {
            Some(session) => session,
            None => self.context.open_rw_session(self.slot)?,
        };
        let done = act(&session)?;
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(session);
        Ok(done)
    }

    fn close(self) {
        drop(self.idle);
        finalize(self.context);
    }
}

fn finalize(context: Pkcs11) {
    if let Err(error) = context.finalize() {
        tracing::debug!(%error, "the token's module does not end in good order");
    }
}

fn is_about_the_pin(trouble: &Trouble) -> bool {
    use RvError::{PinExpired, PinIncorrect, PinInvalid, PinLenRange, PinLocked};
    let Trouble::Library(Error::Pkcs11(code, _)) = trouble else { return false };
    matches!(code, PinExpired | PinIncorrect | PinInvalid | PinLenRange | PinLocked)
}

fn find(session: &Session, id: &[u8]) -> Result<Option<ObjectHandle>, Trouble> {
    let wanted = [Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::Id(id.to_vec())];
    Ok(session.find_objects(&wanted)?.first().copied())
}

fn generate(session: &Session, id: &[u8], name: &[u8]) -> Result<Vec<u8>, Trouble> {
    // The public key is in the certificate; the token forgets it with the session.
    let public = [
        Attribute::Token(false),
        Attribute::ModulusBits(BITS.into()),
        Attribute::PublicExponent(vec![1, 0, 1]),
        Attribute::Verify(true),
    ];
    let private = [
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Sign(true),
        Attribute::Decrypt(false),
        Attribute::Unwrap(false),
        Attribute::Id(id.to_vec()),
        Attribute::Label(name.to_vec()),
    ];
    let (public, private) =
        session.generate_key_pair(&Mechanism::RsaPkcsKeyPairGen, &public, &private)?;
    let made = kept_inside(session, private).and_then(|()| public_key(session, public));
    let _ = session.destroy_object(public);
    if made.is_err() {
        let _ = session.destroy_object(private);
    }
    made
}

/// A token may take a template and not hold to it.
fn kept_inside(session: &Session, key: ObjectHandle) -> Result<(), Trouble> {
    let asked = [AttributeType::AlwaysSensitive, AttributeType::NeverExtractable];
    let told = session.get_attributes(key, &asked)?;
    let both = told.contains(&Attribute::AlwaysSensitive(true))
        && told.contains(&Attribute::NeverExtractable(true));
    if both { Ok(()) } else { Err(Trouble::Other("it would let its keys out".to_owned())) }
}

fn public_key(session: &Session, key: ObjectHandle) -> Result<Vec<u8>, Trouble> {
    let asked = [AttributeType::Modulus, AttributeType::PublicExponent];
    let (mut modulus, mut exponent) = (Vec::new(), Vec::new());
    for attribute in session.get_attributes(key, &asked)? {
        match attribute {
            Attribute::Modulus(value) => modulus = value,
            Attribute::PublicExponent(value) => exponent = value,
            _ => {}
        }
    }
    encoded(&modulus, &exponent)
        .ok_or_else(|| Trouble::Other("it does not tell the public key".to_owned()))
}

/// A public key in PKCS#1, from its numbers.
fn encoded(modulus: &[u8], exponent: &[u8]) -> Option<Vec<u8>> {
    let components = PublicKeyComponents { n: without_zeros(modulus), e: without_zeros(exponent) };
    let key: PublicEncryptingKey = components.try_into().ok()?;
    let info = AsDer::<PublicKeyX509Der<'_>>::as_der(&key).ok()?;
    let (_, info) = SubjectPublicKeyInfo::from_der(info.as_ref()).ok()?;
    Some(info.subject_public_key.data.to_vec())
}

fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}
