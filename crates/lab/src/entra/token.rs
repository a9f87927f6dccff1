//! `POST /{tenant}/oauth2/v2.0/token` for applications
//! (<https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow>).

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};

use aws_lc_rs::hmac;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Response, header};
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};
use uuid::Uuid;

use super::assertion::{self, Expected};
use super::errors::EntraError;
use super::signin::{GRAPH_APPLICATION, SignIn};
use crate::faults::Refused;
use crate::ids;
use crate::lab::Shared;
use crate::state::{Application, Credential, Tenant};

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// The grants of applications, of somebody who has signed in, and of an application on behalf of one.
const CLIENT_CREDENTIALS: &str = "client_credentials";
const AUTHORIZATION_CODE: &str = "authorization_code";
const ON_BEHALF_OF: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// Seconds that a token is said to live; it is taken for one second longer.
const LIFETIME: i64 = 3599;

/// What an access token stands for.
#[derive(Debug)]
pub(crate) struct Grant {
    pub(crate) tenant: Arc<Tenant>,
    pub(crate) client_id: Uuid,
    pub(crate) service_principal_id: Uuid,
    pub(crate) roles: BTreeSet<String>,
    pub(crate) uti: String,
    /// Unix times.
    pub(crate) issued: i64,
    pub(crate) expires: i64,
}

/// The tokens that were given out. A token is good until it expires, whatever becomes of the key
/// that it was got with: as in Entra, removing a key takes nothing back.
#[derive(Debug)]
pub(crate) struct Grants {
    key: hmac::Key,
    tokens: RwLock<HashMap<String, Arc<Grant>>>,
}

impl Grants {
    pub(crate) fn new(secret: &[u8]) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, secret), tokens: RwLock::default() }
    }

    pub(crate) fn find(&self, token: &str) -> Option<Arc<Grant>> {
        self.tokens.read().unwrap_or_else(PoisonError::into_inner).get(token).cloned()
    }

    /// Makes every token that was given out so far worthless.
    pub(crate) fn revoke_all(&self) {
        self.tokens.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn issue(&self, grant: Grant, claims: &Value) -> String {
        let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let signed = format!("{}.{}", part(&json!({ "typ": "JWT", "alg": "HS256" })), part(claims));
        let signature = hmac::sign(&self.key, signed.as_bytes());
        let token = format!("{signed}.{}", BASE64URL_NOPAD.encode(signature.as_ref()));
        let mut tokens = self.tokens.write().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() % 1024 == 1023 {
            // An expired token stays for a day, so that it is told from one that never was.
            tokens.retain(|_, old| old.expires + 86_400 > grant.issued);
        }
        tokens.insert(token.clone(), Arc::new(grant));
        token
    }
}

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
    let mut attempt = Attempt {
        shared,
        request,
        correlation: correlation.unwrap_or_else(Uuid::new_v4),
        form: url::form_urlencoded::parse(body).into_owned().collect(),
        basic: text("authorization").is_some_and(|value| value.starts_with("Basic ")),
        application: None,
        credential: None,
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
    if let Some(tenant) = tenant {
        tenant.sign_ins.record(attempt.sign_in(tenant, &result, peer, text("user-agent")));
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

/// One request, as far as it has come.
struct Attempt<'a> {
    shared: &'a Shared,
    request: Uuid,
    correlation: Uuid,
    form: HashMap<String, String>,
    basic: bool,
    application: Option<Application>,
    credential: Option<Credential>,
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
            self.check_scope()?;
        }
        let application = Uuid::try_parse(&client)
            .ok()
            .and_then(|id| tenant.applications().get(&id).cloned())
            .ok_or_else(|| unknown_application(&client, tenant))?;
        let application = self.application.insert(application).clone();
        if !application.enabled {
            let text = format!("Application '{client}' is disabled.");
            return Err(EntraError::new(70_001, text));
        }
        let credentials = ["client_assertion", "client_secret"];
        let none = !self.basic && credentials.iter().all(|name| !self.form.contains_key(*name));
        if none && grant_type != CLIENT_CREDENTIALS {
            return Err(EntraError::new(
                7_000_218,
                "The request body must contain the following parameter: 'client_assertion' or \
                 'client_secret'.",
            ));
        }
        self.check_assertion(tenant, &application)?;
        // Nobody signs in here: what stands for somebody is never valid.
        match grant_type.as_str() {
            CLIENT_CREDENTIALS => Ok(self.issue(tenant, &application)),
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

    fn check_scope(&self) -> Result<(), EntraError> {
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
            return Ok(());
        }
        Err(EntraError::new(
            70_011,
            format!("The resource principal named {resource} was not found in the tenant."),
        ))
    }

    fn check_assertion(&mut self, tenant: &Tenant, app: &Application) -> Result<(), EntraError> {
        let kind = self.form.get("client_assertion_type").map(String::as_str);
        let assertion = self.form.get("client_assertion");
        if self.basic || self.form.contains_key("client_secret") {
            let text = format!("Invalid client secret provided for app '{}'.", app.client_id);
            return Err(EntraError::new(7_000_215, text));
        }
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
        let expected = Expected {
            application: app,
            audiences: &self.shared.audiences(tenant),
            algorithms: self.shared.assertions,
            now: self.shared.clock.unix(),
        };
        let verified = assertion::verify(&assertion, &expected, &mut self.credential)?;
        if !self.shared.replays.is_new(app.client_id, verified, expected.now) {
            self.shared.counters.assertion_reused();
        }
        Ok(())
    }

    fn issue(&self, tenant: &Arc<Tenant>, app: &Application) -> (String, String) {
        let now = self.shared.clock.unix();
        let uti = ids::token_identifier(self.request);
        let mut claims = json!({
            "aud": "https://graph.microsoft.com",
            "iss": format!("https://sts.windows.net/{}/", tenant.id),
            "iat": now,
            "nbf": now,
            "exp": now + LIFETIME + 1,
            "app_displayname": app.name,
            "appid": app.client_id,
            "appidacr": "2",
            "idp": format!("https://sts.windows.net/{}/", tenant.id),
            "idtyp": "app",
            "oid": app.service_principal_id,
            "sub": app.service_principal_id,
            "tid": tenant.id,
            "uti": uti,
            "ver": "1.0",
        });
        // An application without rights gets a token without the claim, not a refusal.
        if !app.roles.is_empty() {
            claims["roles"] = json!(app.roles);
        }
        let grant = Grant {
            tenant: Arc::clone(tenant),
            client_id: app.client_id,
            service_principal_id: app.service_principal_id,
            roles: app.roles.clone(),
            uti: uti.clone(),
            issued: now,
            expires: now + LIFETIME + 1,
        };
        let token = self.shared.grants.issue(grant, &claims);
        let body = json!({
            "token_type": "Bearer",
            "expires_in": LIFETIME,
            "ext_expires_in": LIFETIME,
            "access_token": token,
        });
        (body.to_string(), uti)
    }

    fn sign_in(
        &self,
        tenant: &Tenant,
        result: &Result<(String, String), EntraError>,
        peer: SocketAddr,
        user_agent: Option<&str>,
    ) -> SignIn {
        let app = self.application.as_ref();
        SignIn {
            id: self.request,
            at: self.shared.clock.now(),
            tenant: tenant.id,
            client_id: self.form.get("client_id").cloned().unwrap_or_default(),
            application: app.map(|a| a.name.clone()).unwrap_or_default(),
            service_principal_id: app.map(|a| a.service_principal_id),
            key_id: self.credential.as_ref().map(|c| c.key_id),
            thumbprint: self.credential.as_ref().map(Credential::thumbprint),
            address: peer.ip(),
            user_agent: user_agent.unwrap_or_default().to_owned(),
            correlation: self.correlation,
            error: result.as_ref().err().map_or(0, |error| error.code),
            failure: result.as_ref().err().map(|error| error.text.clone()),
            uti: result.as_ref().ok().map(|(_, uti)| uti.clone()),
        }
    }
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
