//! Applications and their service principals (Graph: "application resource type", "servicePrincipal
//! resource type", "keyCredential resource type").

use std::collections::HashMap;

use data_encoding::BASE64;
use mailkeep_identity::jwt::Thumbprint;
use mailkeep_model::{
    FederatedCredential, RegisteredKey, RegisteredObject, RegisteredPassword, Registration,
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use uuid::Uuid;

use super::{
    GraphAuditor,
    fields::{Damaged, hex, id, needed, time},
};
use crate::{
    ExchangeError,
    graph::{batch, client::Ask, pages::all_pages, wire::Collection},
};

pub(super) const READ: &str = "Application.Read.All";
const ACTION: &str = "reading the registrations of applications";
/// A certificate is told only to who asks one object for it by name.
const APPLICATION: &str = "id,appId,displayName,keyCredentials,passwordCredentials";
const PRINCIPAL: &str = "id,appId,displayName,accountEnabled,keyCredentials,passwordCredentials";

/// What is asked of each application.
const QUESTIONS: usize = 6;

/// What was answered, of one application.
type Answers = [Result<Value, ExchangeError>; QUESTIONS];

impl GraphAuditor {
    /// How applications are registered, by client id; `None` for those that are not.
    ///
    /// # Errors
    /// [`ExchangeError::Forbidden`] names the missing right; [`ExchangeError::Protocol`] when a
    /// credential is not understood: nobody may take it for absent.
    pub async fn registrations(
        &self,
        client_ids: &[String],
    ) -> Result<Vec<(String, Option<Registration>)>, ExchangeError> {
        let mut ids: Vec<String> = client_ids.iter().map(|id| id.trim().to_lowercase()).collect();
        ids.sort_unstable();
        ids.dedup();
        // What is no GUID is no client id, and nothing to put into an address.
        let asked: Vec<&String> = ids.iter().filter(|id| Uuid::try_parse(id).is_ok()).collect();
        let asks: Vec<Ask<'_>> = asked.iter().flat_map(|id| self.questions(id)).collect();
        let mut answers = batch::ask_all(&self.graph, None, &asks).await?.into_iter();
        let mut found = HashMap::new();
        for id in asked {
            let answers: Vec<_> = answers.by_ref().take(QUESTIONS).collect();
            let answers = Answers::try_from(answers)
                .map_err(|_| ExchangeError::protocol(ACTION, "a question has no answer"))?;
            found.insert(id.clone(), self.registration(id, answers).await?);
        }
        let of = |id: String| {
            let registration = found.remove(&id).flatten();
            (id, registration)
        };
        Ok(ids.into_iter().map(of).collect())
    }

    fn questions(&self, id: &str) -> [Ask<'static>; QUESTIONS] {
        let application = format!("applications(appId='{id}')");
        let principal = format!("servicePrincipals(appId='{id}')");
        let ask = |path: &[&str], select: &str| {
            let url = self.graph.url(path, &[("$select", select)]);
            Ask { action: ACTION.into(), right: READ, mailbox: None, url, prefer: None }
        };
        [
            ask(&[&application], APPLICATION),
            ask(&[&application, "owners"], "id"),
            ask(&[&application, "federatedIdentityCredentials"], "id,name,issuer,subject"),
            ask(&[&principal], PRINCIPAL),
            ask(&[&principal, "owners"], "id"),
            ask(&[&principal, "appRoleAssignments"], "id,appRoleId,resourceId"),
        ]
    }

    async fn registration(
        &self,
        client_id: &str,
        answers: Answers,
    ) -> Result<Option<Registration>, ExchangeError> {
        let [application, owners, federated, principal, principal_owners, roles] = answers;
        let Some((application, _)) = object(application)? else { return Ok(None) };
        let application = self.owned(application, owners).await?;
        let (principal, enabled) = match object(principal)? {
            Some((principal, enabled)) => {
                (Some(self.owned(principal, principal_owners).await?), enabled)
            }
            None => (None, false),
        };
        let granted = match principal {
            Some(_) => self.granted(roles).await?,
            None => Vec::new(),
        };
        let federated = self.whole::<WireFederated>(federated).await?;
        Ok(Some(Registration {
            client_id: client_id.to_owned(),
            application,
            principal,
            enabled,
            granted,
            federated: federated.into_iter().map(WireFederated::read).collect(),
        }))
    }

    async fn owned(
        &self,
        object: RegisteredObject,
        owners: Result<Value, ExchangeError>,
    ) -> Result<RegisteredObject, ExchangeError> {
        #[derive(Deserialize)]
        struct Owner {
            id: String,
        }
        let owners = self.whole::<Owner>(owners).await?;
        let owners = owners.into_iter().map(|owner| owner.id.to_lowercase()).collect();
        Ok(RegisteredObject { owners, ..object })
    }

    async fn granted(
        &self,
        roles: Result<Value, ExchangeError>,
    ) -> Result<Vec<String>, ExchangeError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Assignment {
            app_role_id: String,
            resource_id: String,
        }
        let mut granted = Vec::new();
        for one in self.whole::<Assignment>(roles).await? {
            let (resource, role) = (one.resource_id.to_lowercase(), one.app_role_id.to_lowercase());
            granted.push(self.roles.name(&self.graph, &resource, &role).await?);
        }
        granted.sort_unstable();
        Ok(granted)
    }

    /// A list of which the first page is there.
    async fn whole<T: DeserializeOwned>(
        &self,
        first: Result<Value, ExchangeError>,
    ) -> Result<Vec<T>, ExchangeError> {
        let page: Collection<T> =
            Collection::deserialize(first?).map_err(|error| unclear(&error))?;
        let mut all = page.value;
        if let Some(link) = page.next_link {
            let url = self.graph.link(ACTION, &link)?;
            let ask = Ask { action: ACTION.into(), right: READ, mailbox: None, url, prefer: None };
            all.extend(all_pages::<T>(&self.graph, ask).await?);
        }
        Ok(all)
    }
}

fn unclear(error: &serde_json::Error) -> ExchangeError {
    ExchangeError::protocol(ACTION, format!("not understood: {error}"))
}

/// An object and whether it is enabled; `None` when it is not there.
fn object(
    answer: Result<Value, ExchangeError>,
) -> Result<Option<(RegisteredObject, bool)>, ExchangeError> {
    match answer {
        Ok(told) => {
            WireObject::deserialize(told).map_err(|error| unclear(&error))?.read().map(Some)
        }
        Err(ExchangeError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireObject {
    id: Option<String>,
    display_name: Option<String>,
    account_enabled: Option<bool>,
    key_credentials: Option<Vec<WireKey>>,
    password_credentials: Option<Vec<WirePassword>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireKey {
    key_id: Option<String>,
    custom_key_identifier: Option<String>,
    display_name: Option<String>,
    key: Option<String>,
    start_date_time: Option<String>,
    end_date_time: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WirePassword {
    key_id: Option<String>,
    display_name: Option<String>,
    end_date_time: Option<String>,
}

#[derive(Deserialize)]
struct WireFederated {
    id: String,
    name: Option<String>,
    issuer: Option<String>,
    subject: Option<String>,
}

impl WireObject {
    fn read(self) -> Result<(RegisteredObject, bool), ExchangeError> {
        let damaged = |Damaged(reason)| ExchangeError::protocol(ACTION, reason);
        let keys = self.key_credentials.unwrap_or_default().into_iter().map(WireKey::read);
        let passwords =
            self.password_credentials.unwrap_or_default().into_iter().map(WirePassword::read);
        let object = RegisteredObject {
            id: needed("id", id(self.id)).map_err(damaged)?,
            name: self.display_name.unwrap_or_default(),
            keys: keys.collect::<Result<_, _>>().map_err(damaged)?,
            passwords: passwords.collect::<Result<_, _>>().map_err(damaged)?,
            owners: Vec::new(),
        };
        Ok((object, self.account_enabled.unwrap_or(true)))
    }
}

impl WireKey {
    fn read(self) -> Result<RegisteredKey, Damaged> {
        let der = self.key.and_then(|key| BASE64.decode(key.as_bytes()).ok());
        Ok(RegisteredKey {
            key_id: needed("key id", id(self.key_id))?,
            thumbprint: der.map(|der| Thumbprint::of_der(&der).hex()),
            identifier: self.custom_key_identifier.as_deref().and_then(hex),
            name: self.display_name.filter(|name| !name.is_empty()),
            start: self.start_date_time.as_deref().and_then(time),
            end: self.end_date_time.as_deref().and_then(time),
        })
    }
}

impl WirePassword {
    fn read(self) -> Result<RegisteredPassword, Damaged> {
        Ok(RegisteredPassword {
            key_id: needed("key id", id(self.key_id))?,
            name: self.display_name.filter(|name| !name.is_empty()),
            end: self.end_date_time.as_deref().and_then(time),
        })
    }
}

impl WireFederated {
    fn read(self) -> FederatedCredential {
        FederatedCredential {
            id: self.id,
            name: self.name.unwrap_or_default(),
            issuer: self.issuer.unwrap_or_default(),
            subject: self.subject.unwrap_or_default(),
        }
    }
}

/// Reads an application or a service principal without its owners.
///
/// # Errors
/// [`ExchangeError::Protocol`] when the bytes are none, or one of its credentials has no id.
pub fn parse_registered_object(body: &[u8]) -> Result<RegisteredObject, ExchangeError> {
    let told: WireObject = serde_json::from_slice(body).map_err(|error| unclear(&error))?;
    told.read().map(|(object, _)| object)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_key_is_recognised_by_its_certificate_and_one_that_is_not_understood_is_not_lost() {
        let told = json!({
            "id": "A-B", "displayName": "Reader", "keyCredentials": [{
                "keyId": "K-1", "key": BASE64.encode(b"certificate"), "displayName": "ours",
                "customKeyIdentifier": "aGVsbG8=", "endDateTime": "2026-12-27T08:00:00Z",
            }, { "keyId": "K-2", "key": null }],
            "passwordCredentials": [{ "keyId": "P-1", "endDateTime": "later" }],
        });
        let object = parse_registered_object(told.to_string().as_bytes()).unwrap();
        assert_eq!((object.id.as_str(), object.keys[0].key_id.as_str()), ("a-b", "k-1"));
        let expected = Thumbprint::of_der(b"certificate").hex();
        assert_eq!(object.keys[0].thumbprint.as_ref(), Some(&expected));
        assert_eq!(object.keys[0].identifier.as_deref(), Some("68656C6C6F"));
        assert!(object.keys[0].end.is_some() && object.keys[1].thumbprint.is_none());
        assert_eq!((object.passwords[0].key_id.as_str(), object.passwords[0].end), ("p-1", None));
        for bad in [json!({ "keyCredentials": [{}] }), json!({ "passwordCredentials": [{}] })] {
            let mut told = told.clone();
            told.as_object_mut().unwrap().extend(bad.as_object().unwrap().clone());
            assert!(parse_registered_object(told.to_string().as_bytes()).is_err());
        }
    }
}
