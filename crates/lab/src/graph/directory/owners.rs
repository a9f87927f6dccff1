//! Owners of applications and service principals.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::objects::{find, find_mut, may_change, may_read};
use super::render::{self, Keys};
use super::{Key, Office, Paging, bad, not_found, page};
use crate::entra::{Change, Kind, owner as log};
use crate::graph::answer::Answer;
use crate::graph::errors::GraphError;

const PAGE: usize = 100;

/// `GET …/owners`
pub(super) fn list(office: &Office<'_>, kind: Kind, key: &Key) -> Result<Answer, GraphError> {
    office.query.allow(&["$select", "$top", "$skiptoken"])?;
    let owners = {
        let registry = office.tenant.registry();
        let object = find(&registry, kind, key)?;
        may_read(office, object)?;
        let shown = |id: &Uuid| {
            let principal = registry.principals.iter().find(|one| one.object.object_id == *id);
            match principal {
                Some(principal) => {
                    let mut value = render::principal(office.tenant, principal, Keys::Without);
                    value["@odata.type"] = json!("#microsoft.graph.servicePrincipal");
                    Some(value)
                }
                None => office.tenant.mailbox(&id.to_string()).map(|user| {
                    json!({
                        "@odata.type": "#microsoft.graph.user",
                        "id": user.id,
                        "displayName": user.display_name,
                        "mail": user.address,
                        "userPrincipalName": user.address,
                    })
                }),
            }
        };
        object.owners.iter().filter_map(shown).collect::<Vec<Value>>()
    };
    let path = format!("{}/owners", key.under(render::collection(kind)));
    let paging = Paging { path: &path, context: "directoryObjects", page: PAGE, largest: 999 };
    page(office, &paging, &owners)
}

/// `POST …/owners/$ref`
pub(super) fn add(
    office: &Office<'_>,
    kind: Kind,
    key: &Key,
    body: &Map<String, Value>,
) -> Result<Answer, GraphError> {
    let link = body.get("@odata.id").and_then(Value::as_str).unwrap_or_default();
    let id = link.rsplit('/').next().unwrap_or_default();
    let id = Uuid::try_parse(id).map_err(|_| {
        bad("Invalid URL format specified in @odata.id for the reference to be added.")
    })?;
    let mut registry = office.tenant.registry();
    may_change(office, find(&registry, kind, key)?)?;
    let known = registry.principals.iter().any(|one| one.object.object_id == id)
        || office.tenant.mailbox(&id.to_string()).is_some();
    if !known {
        return Err(not_found(&id.to_string()));
    }
    let object = find_mut(&mut registry, kind, key)?;
    if !object.owners.insert(id) {
        return Err(bad(
            "One or more added object references already exist for the following modified \
             properties: 'owners'.",
        ));
    }
    let what = Change::OwnerAdded;
    log(office.tenant, &office.actor, kind, what, object, id, office.now);
    Ok(Answer::no_content())
}

/// `DELETE …/owners/{id}/$ref`
pub(super) fn remove(
    office: &Office<'_>,
    kind: Kind,
    key: &Key,
    owner: &str,
) -> Result<Answer, GraphError> {
    let mut registry = office.tenant.registry();
    let object = find_mut(&mut registry, kind, key)?;
    may_change(office, object)?;
    let id = Uuid::try_parse(owner).map_err(|_| not_found(owner))?;
    if !object.owners.remove(&id) {
        return Err(not_found(owner));
    }
    let what = Change::OwnerRemoved;
    log(office.tenant, &office.actor, kind, what, object, id, office.now);
    Ok(Answer::no_content())
}
