//! Keys and secrets of applications and service principals: added and removed one by one, or
//! replaced as a whole.

use data_encoding::BASE64;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::objects::{find, find_mut, may_change};
use super::render::{self, Keys};
use super::{Key, Office, bad, proof, shown};
use crate::clock;
use crate::entra::{Kind, credentials as log};
use crate::graph::answer::Answer;
use crate::graph::errors::GraphError;
use crate::state::{Credentials, DirectoryObject, KeyCredential, PasswordCredential};

/// A secret is good for two years unless somebody says otherwise, in seconds.
const TWO_YEARS: i64 = 2 * 365 * 86_400;
/// Credentials of one object.
const MOST: usize = 1000;

/// `POST …/addKey`: an application rolls its own keys without any permission, with a proof that it
/// holds one that is valid.
pub(super) fn add_key(
    office: &Office<'_>,
    kind: Kind,
    key: &Key,
    body: &Map<String, Value>,
) -> Result<Answer, GraphError> {
    change(office, kind, key, |object| {
        may_roll(office, object)?;
        check_proof(office, object, body)?;
        let given = body.get("keyCredential").and_then(Value::as_object);
        let given = given.ok_or_else(|| bad("Key credential is required."))?;
        let text = |name: &str| given.get(name).and_then(Value::as_str);
        let secret = &body.get("passwordCredential").unwrap_or(&Value::Null)["secretText"];
        match (text("type"), text("usage")) {
            (Some("AsymmetricX509Cert"), Some("Verify")) if secret.is_null() => {}
            (Some("X509CertAndPassword"), Some("Sign")) if secret.is_string() => {
                return Err(bad(
                    "The lab keeps no private keys: it takes AsymmetricX509Cert only.",
                ));
            }
            _ => return Err(bad("Key credential type and usage do not go together.")),
        }
        let mut added = certificate(text("key"))?;
        complete(&mut added, given, office.now)?;
        let shown = render::key(&added, Keys::Without);
        insert(&mut object.credentials, added)?;
        Ok(shown)
    })
    .map(|mut value| {
        let context = office.base.context("microsoft.graph.keyCredential");
        value["@odata.context"] = json!(context);
        shown(&value)
    })
}

/// `POST …/removeKey`
pub(super) fn remove_key(
    office: &Office<'_>,
    kind: Kind,
    key: &Key,
    body: &Map<String, Value>,
) -> Result<Answer, GraphError> {
    change(office, kind, key, |object| {
        may_roll(office, object)?;
        check_proof(office, object, body)?;
        match object.credentials.remove_key(key_id(body)?) {
            true => Ok(()),
            false => Err(no_credential()),
        }
    })
    .map(|()| Answer::no_content())
}

/// `POST …/addPassword`: the directory makes the secret and tells it this once.
pub(super) fn add_password(
    office: &Office<'_>,
    kind: Kind,
    key: &Key,
    body: &Map<String, Value>,
) -> Result<Answer, GraphError> {
    change(office, kind, key, |object| {
        may_change(office, object)?;
        let given = match body.get("passwordCredential") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(given)) => given.clone(),
            Some(_) => return Err(bad("The password credential is not an object.")),
        };
        if given.get("secretText").is_some_and(|secret| !secret.is_null()) {
            return Err(bad("The secret of a password credential cannot be chosen."));
        }
        let start = time(&given, "startDateTime")?.unwrap_or(office.now);
        let end = time(&given, "endDateTime")?.unwrap_or(start + TWO_YEARS);
        if end <= start {
            return Err(invalid_end());
        }
        if object.credentials.passwords.len() + object.credentials.keys.len() >= MOST {
            return Err(too_many());
        }
        let name = given.get("displayName").and_then(Value::as_str).map(str::to_owned);
        let (password, secret) = PasswordCredential::generate(name, start, end);
        let mut value = render::password(&password);
        value["secretText"] = json!(secret);
        object.credentials.passwords.push(password);
        Ok(value)
    })
    .map(|mut value| {
        let context = office.base.context("microsoft.graph.passwordCredential");
        value["@odata.context"] = json!(context);
        shown(&value)
    })
}

/// `POST …/removePassword`
pub(super) fn remove_password(
    office: &Office<'_>,
    kind: Kind,
    key: &Key,
    body: &Map<String, Value>,
) -> Result<Answer, GraphError> {
    change(office, kind, key, |object| {
        may_change(office, object)?;
        match object.credentials.remove_password(key_id(body)?) {
            true => Ok(()),
            false => Err(no_credential()),
        }
    })
    .map(|()| Answer::no_content())
}

/// Replaces the certificates: those that are named by their id stay as they are.
pub(super) fn replace_keys(
    credentials: &mut Credentials,
    given: &Value,
    now: i64,
) -> Result<(), GraphError> {
    let mut kept = Credentials { keys: Vec::new(), passwords: credentials.passwords.clone() };
    for one in given.as_array().into_iter().flatten() {
        let one = one.as_object().ok_or_else(|| bad("A key credential is not an object."))?;
        let id = one.get("keyId").and_then(Value::as_str).and_then(|id| Uuid::try_parse(id).ok());
        let there = credentials.keys.iter().find(|key| Some(key.key_id) == id);
        let key = one.get("key").and_then(Value::as_str);
        let added = match (there, key) {
            (Some(there), None) => there.clone(),
            (Some(there), Some(key)) if certificate(Some(key))?.der == there.der => there.clone(),
            (Some(there), Some(_)) => {
                return Err(bad(format!(
                    "Update to existing credential with KeyId '{}' is not allowed.",
                    there.key_id
                )));
            }
            (None, key) => {
                let text = |name: &str| one.get(name).and_then(Value::as_str);
                if (text("type"), text("usage")) != (Some("AsymmetricX509Cert"), Some("Verify")) {
                    return Err(bad("Key credential type and usage do not go together."));
                }
                let mut added = certificate(key)?;
                added.key_id = id.unwrap_or(added.key_id);
                complete(&mut added, one, now)?;
                added
            }
        };
        insert(&mut kept, added)?;
    }
    credentials.keys = kept.keys;
    Ok(())
}

/// Replaces the secrets; new ones cannot be made this way.
pub(super) fn replace_passwords(
    credentials: &mut Credentials,
    given: &Value,
) -> Result<(), GraphError> {
    let mut kept = Vec::new();
    for one in given.as_array().into_iter().flatten() {
        let id = one["keyId"].as_str().and_then(|id| Uuid::try_parse(id).ok());
        let there = credentials.passwords.iter().find(|password| Some(password.key_id) == id);
        let there = there.ok_or_else(|| {
            bad("New password credentials must be generated with service actions.")
        })?;
        kept.push(there.clone());
    }
    credentials.passwords = kept;
    Ok(())
}

/// Changes the credentials of an object and writes that into the log; nothing when it is refused.
fn change<T>(
    office: &Office<'_>,
    kind: Kind,
    key: &Key,
    with: impl FnOnce(&mut DirectoryObject) -> Result<T, GraphError>,
) -> Result<T, GraphError> {
    let mut registry = office.tenant.registry();
    let mut object = find(&registry, kind, key)?.clone();
    let before = object.credentials.described();
    let done = with(&mut object)?;
    log(office.tenant, &office.actor, kind, &before, &object, office.now);
    *find_mut(&mut registry, kind, key)? = object;
    Ok(done)
}

/// An application may roll its own keys.
fn may_roll(office: &Office<'_>, object: &DirectoryObject) -> Result<(), GraphError> {
    match object.client_id == office.grant.client_id {
        true => Ok(()),
        false => may_change(office, object),
    }
}

fn check_proof(
    office: &Office<'_>,
    object: &DirectoryObject,
    body: &Map<String, Value>,
) -> Result<(), GraphError> {
    let given = body.get("proof").and_then(Value::as_str).unwrap_or_default();
    proof::check(given, object, office.now)
}

fn key_id(body: &Map<String, Value>) -> Result<Uuid, GraphError> {
    let id = body.get("keyId").and_then(Value::as_str).and_then(|id| Uuid::try_parse(id).ok());
    id.ok_or_else(|| bad("A value is required for parameter 'keyId'."))
}

fn certificate(key: Option<&str>) -> Result<KeyCredential, GraphError> {
    let der = BASE64.decode(key.unwrap_or_default().as_bytes());
    der.ok()
        .and_then(|der| KeyCredential::from_der(&der).ok())
        .ok_or_else(|| bad("Key credential's value is not a certificate with an RSA key."))
}

/// Name and times of a credential that is being added.
fn complete(
    key: &mut KeyCredential,
    given: &Map<String, Value>,
    now: i64,
) -> Result<(), GraphError> {
    if let Some(name) = given.get("displayName").and_then(Value::as_str) {
        key.display_name = Some(name.to_owned());
    }
    key.start = time(given, "startDateTime")?.unwrap_or(key.start);
    key.end = time(given, "endDateTime")?.unwrap_or(key.end);
    if key.end <= key.start || key.end <= now {
        return Err(invalid_end());
    }
    key.added = now;
    Ok(())
}

fn insert(credentials: &mut Credentials, key: KeyCredential) -> Result<(), GraphError> {
    if credentials.keys.iter().any(|there| there.key_id == key.key_id || there.der == key.der) {
        return Err(bad("A key credential with the same id or certificate is there already."));
    }
    if credentials.keys.len() + credentials.passwords.len() >= MOST {
        return Err(too_many());
    }
    credentials.keys.push(key);
    Ok(())
}

fn time(given: &Map<String, Value>, name: &str) -> Result<Option<i64>, GraphError> {
    match given.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let time = value.as_str().and_then(clock::parse_rfc3339);
            let time = time.ok_or_else(|| bad(format!("The value of '{name}' is not a time.")))?;
            Ok(Some(time.unix_timestamp()))
        }
    }
}

fn invalid_end() -> GraphError {
    GraphError::new(400, "KeyCredentialsInvalidEndDate", "Key credential end date is invalid.")
}

fn no_credential() -> GraphError {
    bad("No credentials found to be removed.")
}

fn too_many() -> GraphError {
    GraphError::new(
        403,
        "Directory_QuotaExceeded",
        "The object has as many credentials as it can have.",
    )
}
