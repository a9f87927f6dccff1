//! `POST /_lab/users` and `POST /_lab/groups`: who is in a tenant's directory.

use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Refused, refused, unknown_mailbox};
use crate::ids;
use crate::lab::{self, Shared};
use crate::state::{Directory, Group, Mailbox, Profile, Purpose, Source, Tenant};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Users {
    tenant: Option<String>,
    #[serde(default)]
    add: Vec<Add>,
    #[serde(default)]
    change: Vec<Change>,
    /// Addresses of those who go into the bin.
    #[serde(default)]
    remove: Vec<String>,
    /// Addresses of those who go for good.
    #[serde(default)]
    purge: Vec<String>,
    /// Those who come back from the bin.
    #[serde(default)]
    restore: Vec<Restore>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Add {
    /// Address or local part.
    mailbox: String,
    name: Option<String>,
    #[serde(default)]
    purpose: Purpose,
    enabled: Option<bool>,
    #[serde(default)]
    guest: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    mailbox: String,
    /// The new address or local part.
    to: Option<String>,
    name: Option<String>,
    purpose: Option<Purpose>,
    enabled: Option<bool>,
    guest: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Restore {
    /// The address that it had.
    mailbox: String,
    /// Another one.
    to: Option<String>,
}

/// Carries out the orders in this order: add, change, remove, purge, restore. Nothing after the first
/// that fails.
pub(super) fn users(shared: &Shared, wanted: Users) -> Result<Value, Refused> {
    let tenant = shared.tenant(wanted.tenant.as_deref()).map_err(|error| refused(&error))?;
    for one in wanted.add {
        let local = local_part(tenant, &one.mailbox)?;
        // Nobody signs in to what is no person's.
        let enabled = one.enabled.unwrap_or(one.purpose == Purpose::User);
        let profile = Profile { disabled: !enabled, guest: one.guest, purpose: one.purpose };
        let name = one.name.unwrap_or_else(|| local.clone());
        let made = lab::mailbox(tenant, &local, name, Source::Empty, shared.session).with(profile);
        if tenant.mailbox(&made.address).is_some() {
            return Err((StatusCode::CONFLICT, format!("'{}' is there already", made.address)));
        }
        // Somebody who comes after one who has left is somebody else.
        let made = match tenant.directory().was_there(made.id) {
            true => made.reborn(Uuid::new_v4(), shared.session),
            false => made,
        };
        tenant.add_mailbox(made);
    }
    for one in wanted.change {
        let mailbox = find(tenant, &one.mailbox)?;
        let to = one.to.as_deref().map(|to| local_part(tenant, to)).transpose()?;
        let to = to.map(|local| format!("{local}@{}", tenant.domain));
        let before = mailbox.profile;
        let profile = Profile {
            disabled: one.enabled.map_or(before.disabled, |enabled| !enabled),
            guest: one.guest.unwrap_or(before.guest),
            purpose: one.purpose.unwrap_or(before.purpose),
        };
        let mut directory = tenant.change_directory();
        if !directory.change(mailbox.id, to.as_deref(), one.name.as_deref(), profile) {
            return Err((StatusCode::CONFLICT, "the address is somebody else's".to_owned()));
        }
    }
    for (list, purged) in [(wanted.remove, false), (wanted.purge, true)] {
        for name in list {
            let mailbox = find(tenant, &name)?;
            tenant.change_directory().remove(mailbox.id, purged);
        }
    }
    for one in wanted.restore {
        let to = one.to.as_deref().map(|to| local_part(tenant, to)).transpose()?;
        let to = to.map(|local| format!("{local}@{}", tenant.domain));
        if !tenant.change_directory().restore(&one.mailbox, to.as_deref()) {
            let text = format!("'{}' is not in the bin, or the address is taken", one.mailbox);
            return Err((StatusCode::CONFLICT, text));
        }
    }
    Ok(json!({ "users": tenant.mailboxes().iter().map(|one| shown(one)).collect::<Vec<_>>() }))
}

/// What the directory knows of a user.
pub(super) fn shown(mailbox: &Mailbox) -> Value {
    json!({
        "id": mailbox.id,
        "address": mailbox.address,
        "name": mailbox.display_name,
        "enabled": !mailbox.profile.disabled,
        "guest": mailbox.profile.guest,
        "purpose": mailbox.profile.purpose,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Groups {
    tenant: Option<String>,
    /// Groups that are made, or replaced by name.
    #[serde(default)]
    set: Vec<Set>,
    /// Names of those that go.
    #[serde(default)]
    remove: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Set {
    name: String,
    /// Local part of its address, for one that has a mailbox.
    mail: Option<String>,
    /// Addresses of users and names of groups.
    #[serde(default)]
    members: Vec<String>,
}

pub(super) fn groups(shared: &Shared, wanted: Groups) -> Result<Value, Refused> {
    let tenant = shared.tenant(wanted.tenant.as_deref()).map_err(|error| refused(&error))?;
    for one in wanted.set {
        let mut directory = tenant.change_directory();
        let member = |name: &String| -> Result<Uuid, Refused> {
            let user = directory.find(name).map(|mailbox| mailbox.id);
            let found = user.or_else(|| directory.group(name).map(|group| group.id));
            found.ok_or_else(|| unknown_mailbox(name, tenant))
        };
        let members = one.members.iter().map(member).collect::<Result<Vec<Uuid>, Refused>>()?;
        let id = ids::derived(&["group", &tenant.id.to_string(), &one.name]);
        let mail = one.mail.map(|local| format!("{local}@{}", tenant.domain));
        directory.groups.retain(|group| group.id != id);
        directory.groups.push(Group { id, name: one.name, mail, members });
    }
    let mut directory = tenant.change_directory();
    for name in wanted.remove {
        directory.groups.retain(|group| group.name != name);
    }
    Ok(json!({ "groups": all(&directory) }))
}

fn all(directory: &Directory) -> Vec<Value> {
    let shown = |group: &Group| json!({ "id": group.id, "name": group.name, "mail": group.mail, "members": group.members });
    directory.groups.iter().map(shown).collect()
}

fn find(tenant: &Tenant, name: &str) -> Result<std::sync::Arc<Mailbox>, Refused> {
    let whole =
        if name.contains('@') { name.to_owned() } else { format!("{name}@{}", tenant.domain) };
    tenant
        .mailbox(&whole)
        .or_else(|| tenant.mailbox(name))
        .ok_or_else(|| unknown_mailbox(name, tenant))
}

fn local_part(tenant: &Tenant, name: &str) -> Result<String, Refused> {
    let name = name.to_lowercase();
    let local = name.strip_suffix(&format!("@{}", tenant.domain)).unwrap_or(&name);
    if local.is_empty() || local.contains(['@', '/', ' ']) {
        let text = format!("'{name}' is no address of {}", tenant.domain);
        return Err((StatusCode::BAD_REQUEST, text));
    }
    Ok(local.to_owned())
}
