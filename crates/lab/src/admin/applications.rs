//! `GET /_lab/applications` and `POST /_lab/applications/{client_id}`.

use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Refused, refused};
use crate::lab::Shared;
use crate::state::{Application, Credential};
use crate::{LabError, clock};

/// What an administrator of the tenant might do to an application.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    enabled: Option<bool>,
    /// Replaces the rights.
    roles: Option<Vec<String>>,
    /// Key id.
    remove_key: Option<Uuid>,
    /// PEM.
    add_certificate: Option<String>,
}

pub(super) fn list(shared: &Shared) -> Result<Value, Refused> {
    let of = |tenant: &std::sync::Arc<crate::state::Tenant>| {
        tenant
            .applications()
            .values()
            .map(|application| shown(&tenant.domain, application))
            .collect::<Vec<_>>()
    };
    Ok(shared.tenants.all.iter().flat_map(of).collect())
}

/// Changes all that is asked for, or nothing.
pub(super) fn change(shared: &Shared, client_id: &str, change: Change) -> Result<Value, Refused> {
    let unknown = || {
        refused(&LabError::UnknownApplication {
            tenant: "any".to_owned(),
            client_id: client_id.to_owned(),
        })
    };
    let id = Uuid::try_parse(client_id).map_err(|_| unknown())?;
    let added = change.add_certificate.as_deref().map(Credential::from_pem).transpose();
    let added = added.map_err(|error| refused(&error))?;
    for tenant in &shared.tenants.all {
        let mut applications = tenant.applications();
        let Some(application) = applications.get_mut(&id) else { continue };
        if let Some(key) = change.remove_key {
            let before = application.credentials.len();
            application.credentials.retain(|credential| credential.key_id != key);
            if application.credentials.len() == before {
                return Err((StatusCode::NOT_FOUND, format!("the application has no key '{key}'")));
            }
        }
        application.credentials.extend(added);
        if let Some(enabled) = change.enabled {
            application.enabled = enabled;
        }
        if let Some(roles) = change.roles {
            application.roles = roles.into_iter().collect();
        }
        return Ok(shown(&tenant.domain, application));
    }
    Err(unknown())
}

fn shown(tenant: &str, application: &Application) -> Value {
    let key = |credential: &Credential| {
        json!({
            "key_id": credential.key_id,
            "thumbprint": credential.thumbprint(),
            "not_before": clock::iso(credential.not_before),
            "not_after": clock::iso(credential.not_after),
        })
    };
    json!({
        "tenant": tenant,
        "name": application.name,
        "client_id": application.client_id,
        "object_id": application.object_id,
        "service_principal_id": application.service_principal_id,
        "enabled": application.enabled,
        "roles": application.roles,
        "keys": application.credentials.iter().map(key).collect::<Vec<_>>(),
    })
}
