//! The changes of the directory as its audit log tells them.

use serde_json::{Value, json};
use uuid::Uuid;

use super::audits::{Activity, Actor, CREDENTIALS_OF_APPLICATION, Modified, Target};
use crate::state::{DirectoryObject, Tenant};

/// Which of the two objects of an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Application,
    ServicePrincipal,
}

impl Kind {
    /// The name of the type in the log.
    fn logged(self) -> &'static str {
        match self {
            Self::Application => "Application",
            Self::ServicePrincipal => "ServicePrincipal",
        }
    }
}

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Added,
    Updated,
    Removed,
    OwnerAdded,
    OwnerRemoved,
    RoleAssigned,
    RoleUnassigned,
}

/// The name, and what is done to the object.
fn activity(kind: Kind, change: Change) -> Activity {
    use Change::{Added, OwnerAdded, OwnerRemoved, Removed, RoleAssigned, RoleUnassigned, Updated};
    let (name, operation) = match (kind, change) {
        (Kind::Application, Added) => ("Add application", "Add"),
        (Kind::Application, Updated) => ("Update application", "Update"),
        (Kind::Application, Removed) => ("Delete application", "Delete"),
        (Kind::Application, OwnerAdded) => ("Add owner to application", "Assign"),
        (Kind::Application, OwnerRemoved) => ("Remove owner from application", "Unassign"),
        (Kind::ServicePrincipal, Added) => ("Add service principal", "Add"),
        (Kind::ServicePrincipal, Updated) => ("Update service principal", "Update"),
        (Kind::ServicePrincipal, Removed) => ("Remove service principal", "Delete"),
        (Kind::ServicePrincipal, OwnerAdded) => ("Add owner to service principal", "Assign"),
        (Kind::ServicePrincipal, OwnerRemoved) => {
            ("Remove owner from service principal", "Unassign")
        }
        (_, RoleAssigned) => ("Add app role assignment to service principal", "Assign"),
        (_, RoleUnassigned) => ("Remove app role assignment from service principal", "Unassign"),
    };
    Activity { name, category: "ApplicationManagement", kind: operation }
}

/// Writes a change into the log; `modified` holds the properties that are not what they were.
pub(crate) fn change(
    tenant: &Tenant,
    actor: &Actor,
    kind: Kind,
    what: Change,
    object: &DirectoryObject,
    modified: Vec<Modified>,
    now: i64,
) {
    let target = target(kind, object, modified);
    tenant.audits.record(activity(kind, what), actor, vec![target], now);
}

/// Writes a change of credentials into the log. There are two entries for an application, of which
/// the second says nothing more; a service principal's says by its name what was done.
pub(crate) fn credentials(
    tenant: &Tenant,
    actor: &Actor,
    kind: Kind,
    before: &[String],
    object: &DirectoryObject,
    now: i64,
) {
    let after = object.credentials.described();
    if before == after {
        return;
    }
    let description =
        Modified { name: "KeyDescription", old: Some(json!(before)), new: Some(json!(after)) };
    let name = match kind {
        Kind::Application => CREDENTIALS_OF_APPLICATION,
        Kind::ServicePrincipal if after.len() < before.len() => {
            "Remove service principal credentials"
        }
        Kind::ServicePrincipal => "Add service principal credentials",
    };
    let activity = Activity { name, category: "ApplicationManagement", kind: "Update" };
    let target = target(kind, object, vec![description]);
    tenant.audits.record(activity, actor, vec![target], now);
    change(tenant, actor, kind, Change::Updated, object, Vec::new(), now);
}

/// Writes into the log that an owner came or went.
pub(crate) fn owner(
    tenant: &Tenant,
    actor: &Actor,
    kind: Kind,
    what: Change,
    object: &DirectoryObject,
    owner: Uuid,
    now: i64,
) {
    let of = |value| Modified { name: "Object.ObjectID", old: None, new: Some(value) };
    let is_user = tenant.mailbox(&owner.to_string()).is_some();
    let who = Target {
        id: owner,
        name: None,
        kind: if is_user { "User" } else { "ServicePrincipal" },
        modified: vec![of(json!(object.object_id))],
    };
    let whose = target(kind, object, Vec::new());
    tenant.audits.record(activity(kind, what), actor, vec![who, whose], now);
}

fn target(kind: Kind, object: &DirectoryObject, mut modified: Vec<Modified>) -> Target {
    let names: Vec<&str> = modified.iter().map(|one| one.name).collect();
    let included = names.join(", ");
    modified.push(Modified {
        name: "Included Updated Properties",
        old: None,
        new: Some(json!(included)),
    });
    if kind == Kind::ServicePrincipal {
        modified.push(Modified {
            name: "TargetId.ServicePrincipalNames",
            old: None,
            new: Some(json!(object.client_id)),
        });
    }
    Target {
        id: object.object_id,
        name: Some(object.display_name.clone()),
        kind: kind.logged(),
        modified,
    }
}

/// A property that has changed, as the log writes it: a list of one value.
pub(crate) fn modified(name: &'static str, old: Value, new: Value) -> Modified {
    let list = |value: Value| match value {
        Value::Null => Some(json!([])),
        value => Some(json!([value])),
    };
    Modified { name, old: list(old), new: list(new) }
}
