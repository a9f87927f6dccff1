//! Applications, service principals and their credentials as Graph shows them.

use data_encoding::BASE64;
use serde_json::{Value, json};
use uuid::Uuid;

use super::permissions;
use crate::clock;
use crate::entra::{GRAPH_APPLICATION, Kind, graph_principal};
use crate::state::{
    Credentials, DirectoryObject, KeyCredential, PasswordCredential, RoleAssignment,
    ServicePrincipal, Tenant,
};

/// Whether keys are shown with their certificate: only when a single object is asked for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keys {
    Whole,
    Without,
}

/// `application`
pub(super) fn application(tenant: &Tenant, object: &DirectoryObject, keys: Keys) -> Value {
    let mut value = json!({
        "id": object.object_id,
        "deletedDateTime": null,
        "appId": object.client_id,
        "applicationTemplateId": null,
        "disabledByMicrosoftStatus": null,
        "createdDateTime": clock::iso(object.created),
        "displayName": object.display_name,
        "description": null,
        "groupMembershipClaims": null,
        "identifierUris": [],
        "isDeviceOnlyAuthSupported": null,
        "isFallbackPublicClient": null,
        "notes": null,
        "optionalClaims": null,
        "publisherDomain": tenant.domain,
        "samlMetadataUrl": null,
        "serviceManagementReference": null,
        "signInAudience": "AzureADMyOrg",
        "tags": [],
        "tokenEncryptionKeyId": null,
        "uniqueName": null,
        "addIns": [],
        "api": {
            "acceptMappedClaims": null,
            "knownClientApplications": [],
            "requestedAccessTokenVersion": null,
            "oauth2PermissionScopes": [],
            "preAuthorizedApplications": [],
        },
        "appRoles": [],
        "info": {
            "logoUrl": null,
            "marketingUrl": null,
            "privacyStatementUrl": null,
            "supportUrl": null,
            "termsOfServiceUrl": null,
        },
        "parentalControlSettings": {
            "countriesBlockedForMinors": [],
            "legalAgeGroupRule": "Allow",
        },
        "publicClient": { "redirectUris": [] },
        "requiredResourceAccess": [],
        "verifiedPublisher": {
            "displayName": null,
            "verifiedPublisherId": null,
            "addedDateTime": null,
        },
        "web": {
            "homePageUrl": null,
            "logoutUrl": null,
            "redirectUris": [],
            "implicitGrantSettings": {
                "enableAccessTokenIssuance": false,
                "enableIdTokenIssuance": false,
            },
        },
        "spa": { "redirectUris": [] },
    });
    complete(&mut value, object, keys);
    value
}

/// `servicePrincipal`
pub(super) fn principal(tenant: &Tenant, principal: &ServicePrincipal, keys: Keys) -> Value {
    let object = &principal.object;
    let mut value = service_principal(object.object_id, &object.client_id.to_string());
    let own = json!({
        "accountEnabled": principal.enabled,
        "displayName": object.display_name,
        "appDisplayName": object.display_name,
        "appOwnerOrganizationId": tenant.id,
    });
    if let (Value::Object(value), Value::Object(own)) = (&mut value, own) {
        value.extend(own);
    }
    complete(&mut value, object, keys);
    value
}

/// Microsoft Graph's own service principal, which every tenant has.
pub(super) fn graph(tenant: &Tenant) -> Value {
    let role = |name: &str| {
        json!({
            "allowedMemberTypes": ["Application"],
            "description": name,
            "displayName": name,
            "id": permissions::id(name),
            "isEnabled": true,
            "origin": "Application",
            "value": name,
        })
    };
    let mut value = service_principal(graph_principal(tenant.id), GRAPH_APPLICATION);
    let own = json!({
        "accountEnabled": true,
        "displayName": "Microsoft Graph",
        "appDisplayName": "Microsoft Graph",
        // Microsoft's own tenant.
        "appOwnerOrganizationId": "f8cdef31-a31e-4b4a-93e4-5f571e91255a",
        "appRoles": permissions::all().map(role).collect::<Vec<_>>(),
        "keyCredentials": [],
        "passwordCredentials": [],
    });
    if let (Value::Object(value), Value::Object(own)) = (&mut value, own) {
        value.extend(own);
    }
    value
}

fn service_principal(id: Uuid, client: &str) -> Value {
    json!({
        "id": id,
        "deletedDateTime": null,
        "appId": client,
        "applicationTemplateId": null,
        "disabledByMicrosoftStatus": null,
        "addIns": [],
        "alternativeNames": [],
        "appDescription": null,
        "appRoleAssignmentRequired": false,
        "appRoles": [],
        "description": null,
        "homepage": null,
        "info": {
            "logoUrl": null,
            "marketingUrl": null,
            "privacyStatementUrl": null,
            "supportUrl": null,
            "termsOfServiceUrl": null,
        },
        "loginUrl": null,
        "logoutUrl": null,
        "notes": null,
        "notificationEmailAddresses": [],
        "oauth2PermissionScopes": [],
        "preferredSingleSignOnMode": null,
        "preferredTokenSigningKeyThumbprint": null,
        "replyUrls": [],
        "resourceSpecificApplicationPermissions": [],
        "samlSingleSignOnSettings": null,
        "servicePrincipalNames": [client],
        "servicePrincipalType": "Application",
        "signInAudience": "AzureADMyOrg",
        "tags": [],
        "tokenEncryptionKeyId": null,
        "verifiedPublisher": {
            "displayName": null,
            "verifiedPublisherId": null,
            "addedDateTime": null,
        },
    })
}

fn complete(value: &mut Value, object: &DirectoryObject, keys: Keys) {
    if let Value::Object(value) = value {
        value.extend(object.more.clone());
        let Credentials { keys: certificates, passwords } = &object.credentials;
        let certificates: Vec<Value> = certificates.iter().map(|one| key(one, keys)).collect();
        let passwords: Vec<Value> = passwords.iter().map(password).collect();
        value.insert("keyCredentials".to_owned(), json!(certificates));
        value.insert("passwordCredentials".to_owned(), json!(passwords));
    }
}

/// `keyCredential`
pub(super) fn key(key: &KeyCredential, keys: Keys) -> Value {
    json!({
        "customKeyIdentifier": key.thumbprint(),
        "displayName": key.display_name,
        "endDateTime": clock::iso(key.end),
        "key": (keys == Keys::Whole).then(|| BASE64.encode(&key.der)),
        "keyId": key.key_id,
        "startDateTime": clock::iso(key.start),
        "type": "AsymmetricX509Cert",
        "usage": "Verify",
    })
}

/// `passwordCredential`, without the secret.
pub(super) fn password(password: &PasswordCredential) -> Value {
    json!({
        "customKeyIdentifier": null,
        "displayName": password.display_name,
        "endDateTime": clock::iso(password.end),
        "hint": password.hint,
        "keyId": password.key_id,
        "secretText": null,
        "startDateTime": clock::iso(password.start),
    })
}

/// `appRoleAssignment`
pub(super) fn assignment(
    tenant: &Tenant,
    principal: &DirectoryObject,
    assignment: &RoleAssignment,
) -> Value {
    json!({
        "id": assignment.id,
        "deletedDateTime": null,
        "appRoleId": permissions::id(&assignment.role),
        "createdDateTime": clock::iso(assignment.created),
        "principalDisplayName": principal.display_name,
        "principalId": principal.object_id,
        "principalType": "ServicePrincipal",
        "resourceDisplayName": "Microsoft Graph",
        "resourceId": graph_principal(tenant.id),
    })
}

/// What stands in contexts and links.
pub(super) fn collection(kind: Kind) -> &'static str {
    match kind {
        Kind::Application => "applications",
        Kind::ServicePrincipal => "servicePrincipals",
    }
}
