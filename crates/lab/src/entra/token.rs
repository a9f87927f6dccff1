//! `POST /{tenant}/oauth2/v2.0/token` for applications
//! (<https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow>).

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Response, header};
use data_encoding::BASE64;
use serde_json::{Value, json};
use uuid::Uuid;

use super::access::Applied;
use super::assertion::{self, Expected, malformed};
use super::errors::EntraError;
use super::federated;
use super::grants::{Grant, Resource};
use super::jwt::{Jwt, Padding};
use super::signin::{GRAPH_APPLICATION, SignIn, Used};
use crate::faults::Refused;
use crate::ids;
use crate::lab::Shared;
use crate::state::{Application, ServicePrincipal, Tenant};

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// The grants of applications, of somebody who has signed in, and of an application on behalf of one.
const CLIENT_CREDENTIALS: &str = "client_credentials";
const AUTHORIZATION_CODE: &str = "authorization_code";
const ON_BEHALF_OF: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// Seconds that a token is said to live; it is taken for one second longer.
const LIFETIME: i64 = 3599;
/// The same when the resource can take the token back at any time: 20 to 28 hours.
const REVOCABLE_LIFETIME: std::ops::Range<i64> = 72_000..100_800;
/// The Office 365 Management Activity API.
const ACTIVITY_FEED: &str = "https://manage.office.com";
/// The capability of a client that understands claims challenges.
const CHALLENGES: &str = "cp1";

/// Answers a token request.
pub(crate) fn serve(
    shared: &Shared,
    tenant_name: &str,
    headers: &HeaderMap,
    body: &[u8],
    peer: SocketAddr,
    fault: Option<&Refused>,
) -> (Response<Body>, Option<Uuid>) {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let request = Uuid::new_v4();
    let correlation = text("client-request-id").and_then(|id| Uuid::try_parse(id).ok());
    let mut form: HashMap<String, String> =
        url::form_urlencoded::parse(body).into_owned().collect();
    // RFC 6749, section 2.3.1.
    if let Some((client, secret)) = text("authorization").and_then(basic) {
        form.entry("client_id".to_owned()).or_insert(client);
        form.entry("client_secret".to_owned()).or_insert(secret);
    }
    let mut attempt = Attempt {
        shared,
        request,
        correlation: correlation.unwrap_or_else(Uuid::new_v4),
        form,
        address: peer.ip(),
        resource: Resource::Graph,
        principal: None,
        used: None,
        policies: Vec::new(),
    };
    let tenant = shared.tenants.find(tenant_name);
    let result = match (fault, tenant) {
        (Some(fault), _) => Err(injected(fault)),
        (None, Some(tenant)) => attempt.answer(tenant),
        (None, None) => Err(EntraError::new(
            90_002,
            format!(
                "Tenant '{tenant_name}' not found. Check to make sure you have the correct tenant ID \
                 and are signing into the correct cloud."
            ),
        )),
    };
    let logged = shared.entra.settings().sign_ins.licensed;
    if let Some(tenant) = tenant.filter(|_| logged) {
        tenant.sign_ins.record(attempt.sign_in(tenant, &result, text("user-agent")));
    }
    let client = attempt.form.get("client_id").and_then(|id| Uuid::try_parse(id).ok());
    let mut response = match &result {
        Ok((body, _)) => Response::new(Body::from(body.clone())),
        Err(error) => error.response(
            &shared.authority,
            request,
            attempt.correlation,
            shared.clock.now(),
            fault.and_then(|fault| fault.retry_after),
        ),
    };
    let sent = response.headers_mut();
    let json = HeaderValue::from_static("application/json; charset=utf-8");
    sent.insert(header::CONTENT_TYPE, json);
    sent.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store, no-cache"));
    sent.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    for (name, id) in [("x-ms-request-id", request), ("client-request-id", attempt.correlation)] {
        if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
            sent.insert(name, value);
        }
    }
    (response, client)
}

/// A fault rule's refusal in Entra's form; its `code` may be an AADSTS number.
fn injected(fault: &Refused) -> EntraError {
    let code =
        fault.code.as_deref().and_then(|code| code.trim_start_matches("AADSTS").parse().ok());
    match code {
        Some(code) => EntraError::new(code, "The lab was told to refuse this request."),
        None => EntraError::new(90_033, "A transient error has occurred. Please try again.")
            .with_status(fault.status),
    }
}

/// Client id and secret of an `Authorization` header.
fn basic(value: &str) -> Option<(String, String)> {
    let raw = BASE64.decode(value.strip_prefix("Basic ")?.trim().as_bytes()).ok()?;
    let text = String::from_utf8(raw).ok()?;
    let (client, secret) = text.split_once(':')?;
    // Both are form-encoded before they are put together.
    let decoded = |text: &str| {
        let pair = format!("v={text}");
        url::form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value.into_owned())
    };
    Some((decoded(client)?, decoded(secret)?))
}

/// One request, as far as it has come.
struct Attempt<'a> {
    shared: &'a Shared,
    request: Uuid,
    correlation: Uuid,
    form: HashMap<String, String>,
    address: IpAddr,
    resource: Resource,
    principal: Option<ServicePrincipal>,
    used: Option<Used>,
    policies: Vec<Applied>,
}

impl Attempt<'_> {
    fn parameter(&self, name: &str) -> Result<&str, EntraError> {
        match self.form.get(name).map(String::as_str) {
            Some(value) if !value.is_empty() => Ok(value),
            _ => Err(EntraError::missing(name)),
        }
    }

    /// The body of a success and the token's identifier.
    fn answer(&mut self, tenant: &Arc<Tenant>) -> Result<(String, String), EntraError> {
        let grant_type = self.parameter("grant_type")?.to_owned();
        if ![CLIENT_CREDENTIALS, AUTHORIZATION_CODE, ON_BEHALF_OF].contains(&grant_type.as_str()) {
            let text = format!("The app requested an unsupported grant type '{grant_type}'.");
            return Err(EntraError::new(70_003, text));
        }
        let client = self.parameter("client_id")?.to_owned();
        if grant_type == CLIENT_CREDENTIALS {
            self.resource = self.check_scope()?;
        }
        let continuous = self.capabilities()?;
        let (application, principal) = {
            let registry = tenant.registry();
            let id = Uuid::try_parse(&client).ok();
            let application = id.and_then(|id| registry.application(id).cloned());
            let application = application.ok_or_else(|| unknown_application(&client, tenant))?;
            let principal = registry.principal(application.object.client_id).cloned();
            (application, principal.ok_or_else(|| without_principal(&client, tenant))?)
        };
        let principal = self.principal.insert(principal).clone();
        if !principal.enabled {
            let text = format!("Application '{client}' is disabled.");
            return Err(EntraError::new(70_001, text));
        }
        let credentials = ["client_assertion", "client_secret"];
        let none = credentials.iter().all(|name| !self.form.contains_key(*name));
        if none && grant_type != CLIENT_CREDENTIALS {
            return Err(EntraError::new(
                7_000_218,
                "The request body must contain the following parameter: 'client_assertion' or \
                 'client_secret'.",
            ));
        }
        self.check_credential(tenant, &application, &principal)?;
        self.check_access(tenant, &principal)?;
        // Nobody signs in here: what stands for somebody is never valid.
        match grant_type.as_str() {
            CLIENT_CREDENTIALS => {
                // Graph alone takes tokens back at any time.
                let continuous = continuous && self.resource == Resource::Graph;
                Ok(self.issue(tenant, &principal, continuous))
            }
            ON_BEHALF_OF => Err(EntraError::new(
                50_013,
                "Assertion failed signature validation. [Reason - The key was not found.]",
            )),
            _ => Err(EntraError::new(
                70_000,
                "The provided value for the 'code' parameter is not valid. The code has expired or is \
                 malformed.",
            )),
        }
    }

    fn check_scope(&self) -> Result<Resource, EntraError> {
        let scope = self.parameter("scope")?;
        let wanted: Vec<&str> = scope.split_whitespace().collect();
        let [resource] = wanted.as_slice() else {
            return Err(EntraError::new(
                70_011,
                format!(
                    "The provided request must include a 'scope' input parameter. The provided value \
                     for the input parameter 'scope' is not valid. The scope {scope} is not valid."
                ),
            ));
        };
        let Some(resource) = resource.strip_suffix("/.default") else {
            return Err(EntraError::new(
                1_002_012,
                format!(
                    "The provided value for scope {scope} is not valid. Client credential flows must \
                     have a scope value with /.default suffixed to the resource identifier \
                     (application ID URI)."
                ),
            ));
        };
        if self.shared.is_graph_resource(resource) {
            return Ok(Resource::Graph);
        }
        if resource.trim_end_matches('/') == ACTIVITY_FEED {
            return Ok(Resource::ActivityFeed);
        }
        Err(EntraError::new(
            70_011,
            format!("The resource principal named {resource} was not found in the tenant."),
        ))
    }

    /// Whether the client declares, in `claims`, that it understands claims challenges. What a
    /// challenge asked for stands there, too: a new token is newer than the old one.
    fn capabilities(&self) -> Result<bool, EntraError> {
        let Some(text) = self.form.get("claims").filter(|text| !text.is_empty()) else {
            return Ok(false);
        };
        let claims: Value = serde_json::from_str(text)
            .ok()
            .filter(Value::is_object)
            .ok_or_else(|| {
                EntraError::new(
                    9_002_313,
                    "Invalid request. Request is malformed or invalid. The 'claims' parameter is not \
                     a JSON object.",
                )
            })?;
        let values = claims["access_token"]["xms_cc"]["values"].as_array();
        Ok(values.is_some_and(|values| values.iter().any(|value| *value == CHALLENGES)))
    }

    fn check_credential(
        &mut self,
        tenant: &Tenant,
        application: &Application,
        principal: &ServicePrincipal,
    ) -> Result<(), EntraError> {
        if let Some(secret) = self.form.get("client_secret").cloned() {
            return self.check_secret(&secret, application, principal);
        }
        let kind = self.form.get("client_assertion_type").map(String::as_str);
        let assertion = self.form.get("client_assertion");
        if kind.is_none() && assertion.is_none() {
            return Err(EntraError::new(
                7_000_216,
                "'client_assertion', 'client_secret' or 'request' is required for the \
                 'client_credentials' grant type.",
            ));
        }
        let assertion = assertion.ok_or_else(|| EntraError::missing("client_assertion"))?.clone();
        if kind != Some(JWT_BEARER) {
            return Err(EntraError::missing("client_assertion_type"));
        }
        let assertion = Jwt::parse(&assertion, Padding::Taken).map_err(malformed)?;
        let now = self.shared.clock.unix();
        if federated::is_foreign(&assertion) {
            let trusted = &application.federated;
            let id = federated::verify(&assertion, trusted, &self.shared.issuers, now)?;
            self.used = Some(Used::Federated { id });
            return Ok(());
        }
        let settings = self.shared.entra.settings();
        // A key that was added just now is not known here yet.
        let known = now - i64::from(settings.key_delay);
        let both = [&application.object, &principal.object];
        let keys = both.iter().flat_map(|object| &object.credentials.keys);
        let keys: Vec<_> = keys.filter(|key| key.added <= known).cloned().collect();
        let expected = Expected {
            client: application.object.client_id,
            keys: &keys,
            audiences: &self.shared.audiences(tenant),
            ps256_only: settings.ps256_only,
            now,
        };
        let mut key = None;
        let verified = assertion::verify(&assertion, &expected, &mut key);
        self.used =
            key.map(|key| Used::Certificate { key_id: key.key_id, thumbprint: key.thumbprint() });
        if !self.shared.replays.is_new(expected.client, verified?, now) {
            self.shared.counters.assertion_reused();
        }
        Ok(())
    }

    fn check_secret(
        &mut self,
        secret: &str,
        application: &Application,
        principal: &ServicePrincipal,
    ) -> Result<(), EntraError> {
        let now = self.shared.clock.unix();
        let client = application.object.client_id;
        let both = [&application.object, &principal.object];
        let mut found = both
            .iter()
            .flat_map(|object| &object.credentials.passwords)
            .filter(|password| password.is(secret));
        let Some(password) = found.next() else {
            return Err(EntraError::new(
                7_000_215,
                format!(
                    "Invalid client secret provided. Ensure the secret being sent in the request is \
                     the client secret value, not the client secret ID, for a secret added to app \
                     '{client}'."
                ),
            ));
        };
        self.used = Some(Used::Secret { key_id: password.key_id });
        if (password.start..=password.end).contains(&now) {
            return Ok(());
        }
        Err(EntraError::new(
            7_000_222,
            format!(
                "The provided client secret keys for app '{client}' are expired. Visit the Azure \
                 portal to create new keys for your app: https://aka.ms/NewClientSecret, or consider \
                 using certificate credentials for added security: https://aka.ms/certCreds."
            ),
        ))
    }

    fn check_access(
        &mut self,
        tenant: &Tenant,
        principal: &ServicePrincipal,
    ) -> Result<(), EntraError> {
        self.policies = tenant.access.evaluate(principal.object.object_id, self.address);
        if self.policies.iter().any(|applied| applied.result == "failure") {
            return Err(EntraError::new(
                53_003,
                "Access has been blocked due to Conditional Access policies. The access policy does \
                 not allow token issuance.",
            ));
        }
        Ok(())
    }

    fn issue(
        &self,
        tenant: &Arc<Tenant>,
        principal: &ServicePrincipal,
        continuous: bool,
    ) -> (String, String) {
        let now = self.shared.clock.unix();
        let uti = ids::token_identifier(self.request);
        let object = &principal.object;
        let mut roles = principal.roles();
        // Each resource has permissions of its own.
        let of_feed = self.resource == Resource::ActivityFeed;
        roles.retain(|role| role.starts_with("ActivityFeed.") == of_feed);
        let by_secret = matches!(self.used, Some(Used::Secret { .. }));
        let lifetime = match continuous {
            true => {
                let spread = REVOCABLE_LIFETIME.end - REVOCABLE_LIFETIME.start;
                let chosen = i64::from(self.request.as_fields().0) % spread;
                REVOCABLE_LIFETIME.start + chosen
            }
            false => LIFETIME,
        };
        let mut claims = json!({
            "aud": if of_feed { ACTIVITY_FEED } else { "https://graph.microsoft.com" },
            "iss": format!("https://sts.windows.net/{}/", tenant.id),
            "iat": now,
            "nbf": now,
            "exp": now + lifetime + 1,
            "app_displayname": object.display_name,
            "appid": object.client_id,
            // 1 is a secret, 2 a certificate or an assertion.
            "appidacr": if by_secret { "1" } else { "2" },
            "idp": format!("https://sts.windows.net/{}/", tenant.id),
            "idtyp": "app",
            "oid": object.object_id,
            "sub": object.object_id,
            "tid": tenant.id,
            "uti": uti,
            "ver": "1.0",
        });
        // An application without rights gets a token without the claim, not a refusal.
        if !roles.is_empty() {
            claims["roles"] = json!(roles);
        }
        if continuous {
            claims["xms_cc"] = json!([CHALLENGES]);
        }
        let grant = Grant {
            tenant: Arc::clone(tenant),
            client_id: object.client_id,
            resource: self.resource,
            service_principal_id: object.object_id,
            roles,
            uti: uti.clone(),
            continuous,
            by_secret,
            issued: now,
            expires: now + lifetime + 1,
        };
        let token = self.shared.grants.issue(grant, &claims);
        let body = json!({
            "token_type": "Bearer",
            "expires_in": lifetime,
            "ext_expires_in": lifetime,
            "access_token": token,
        });
        (body.to_string(), uti)
    }

    fn sign_in(
        &self,
        tenant: &Tenant,
        result: &Result<(String, String), EntraError>,
        user_agent: Option<&str>,
    ) -> SignIn {
        let object = self.principal.as_ref().map(|principal| &principal.object);
        SignIn {
            id: self.request,
            at: self.shared.clock.now(),
            tenant: tenant.id,
            client_id: self.form.get("client_id").cloned().unwrap_or_default(),
            application: object.map(|object| object.display_name.clone()).unwrap_or_default(),
            service_principal_id: object.map(|object| object.object_id),
            used: self.used.clone(),
            resource: self.resource,
            policies: self.policies.clone(),
            address: self.address,
            user_agent: user_agent.unwrap_or_default().to_owned(),
            correlation: self.correlation,
            error: result.as_ref().err().map_or(0, |error| error.code),
            failure: result.as_ref().err().map(|error| error.text.clone()),
            uti: result.as_ref().ok().map(|(_, uti)| uti.clone()),
            user: None,
        }
    }
}

fn without_principal(client: &str, tenant: &Tenant) -> EntraError {
    EntraError::new(
        7_000_229,
        format!(
            "The client application {client} is missing service principal in the tenant {}. See \
             instructions here: https://go.microsoft.com/fwlink/?linkid=2225119",
            tenant.id
        ),
    )
}

fn unknown_application(client: &str, tenant: &Tenant) -> EntraError {
    EntraError::new(
        700_016,
        format!(
            "Application with identifier '{client}' was not found in the directory '{}'. This can \
             happen if the application has not been installed by the administrator of the tenant or \
             consented to by any user in the tenant. You may have sent your authentication request \
             to the wrong tenant.",
            tenant.display_name
        ),
    )
}

/// `GET /{tenant}/v2.0/.well-known/openid-configuration`
pub(crate) fn discovery(shared: &Shared, tenant_name: &str) -> Result<Value, EntraError> {
    let tenant = shared
        .tenants
        .find(tenant_name)
        .ok_or_else(|| EntraError::new(90_002, format!("Tenant '{tenant_name}' not found.")))?;
    let base = format!("{}/{}", shared.authority, tenant.id);
    Ok(json!({
        "token_endpoint": format!("{base}/oauth2/v2.0/token"),
        "token_endpoint_auth_methods_supported":
            ["client_secret_post", "private_key_jwt", "client_secret_basic"],
        "jwks_uri": format!("{base}/discovery/v2.0/keys"),
        "response_modes_supported": ["query", "fragment", "form_post"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "issuer": format!("{base}/v2.0"),
        "request_uri_parameter_supported": false,
        "authorization_endpoint": format!("{base}/oauth2/v2.0/authorize"),
        "device_authorization_endpoint": format!("{base}/oauth2/v2.0/devicecode"),
        "end_session_endpoint": format!("{base}/oauth2/v2.0/logout"),
        "tenant_region_scope": "EU",
        "cloud_instance_name": "microsoftonline.com",
        "msgraph_host": shared.graph_host(),
        "resource_application": GRAPH_APPLICATION,
    }))
}
