use std::sync::Arc;

use serde_json::json;
use uuid::Uuid;

use super::{Grant, grants::Resource};
use crate::{ids, lab::Shared, state::Tenant};

/// Azure CLI's own application, in every directory.
const AZURE_CLI: Uuid = Uuid::from_u128(0x04b0_7795_8ddb_461a_bbee_02f9_e1bf_7b46);
/// In seconds.
const LIFETIME: i64 = 3600;
/// What somebody may do who registers applications and grants rights.
const RIGHTS: [&str; 4] = [
    "Application.ReadWrite.All",
    "AppRoleAssignment.ReadWrite.All",
    "Directory.Read.All",
    "Organization.Read.All",
];

/// A token as an administrator has it who signed in with a tool (`az login`).
pub(crate) fn administrator_token(shared: &Shared, tenant: &Arc<Tenant>) -> String {
    let now = shared.clock.unix();
    let uti = ids::token_identifier(Uuid::new_v4());
    let claims = json!({ "aud": "https://graph.microsoft.com", "tid": tenant.id, "uti": uti });
    let grant = Grant {
        tenant: Arc::clone(tenant),
        client_id: AZURE_CLI,
        resource: Resource::Graph,
        service_principal_id: AZURE_CLI,
        roles: RIGHTS.iter().map(|right| (*right).to_owned()).collect(),
        uti,
        continuous: false,
        by_secret: false,
        issued: now,
        expires: now + LIFETIME,
    };
    shared.grants.issue(grant, &claims)
}
