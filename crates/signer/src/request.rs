//! What requests say, and what is said of them in the ledger.

use mailkeep_identity::{
    Binding, JobId,
    protocol::{Failure, Request},
};
use mailkeep_model::{Function, TenantName};
use url::Url;
use uuid::Uuid;

/// A binding in the one form in which it is compared.
pub(crate) fn normalised(binding: &Binding) -> Result<Binding, Failure> {
    let client_id = guid(&binding.client_id, "client id")?;
    let object_id = binding.object_id.as_deref().map(|id| guid(id, "object id")).transpose()?;
    let endpoint = &binding.token_endpoint;
    let url = Url::parse(endpoint).ok().filter(|url| {
        endpoint.len() <= 1024
            && endpoint.bytes().all(|byte| byte.is_ascii_graphic())
            && url.scheme() == "https"
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    });
    if url.is_none() {
        return Err(refusal("the token endpoint is not a plain https URL".to_owned()));
    }
    // The endpoint stays as it was written: the provider compares the audience as a text.
    Ok(Binding { client_id, token_endpoint: endpoint.clone(), object_id })
}

fn guid(text: &str, what: &str) -> Result<String, Failure> {
    let id = Uuid::try_parse(text).map_err(|_| refusal(format!("the {what} is not a GUID")))?;
    Ok(id.to_string())
}

/// What a refusal's record says of a request.
pub(crate) struct Parts {
    pub(crate) operation: &'static str,
    pub(crate) job: Option<JobId>,
    pub(crate) tenant: Option<TenantName>,
    pub(crate) function: Option<Function>,
}

pub(crate) fn parts(request: &Request) -> Parts {
    let (operation, job, tenant, function) = match request {
        Request::SignAssertion { job, tenant, function, .. } => {
            ("sign_assertion", Some(job), Some(tenant), Some(*function))
        }
        Request::SignProof { job, tenant, function, .. } => {
            ("sign_proof", Some(job), Some(tenant), Some(*function))
        }
        Request::CreateKey { job, tenant, function } => {
            ("create_key", Some(job), Some(tenant), Some(*function))
        }
        Request::PrepareKey { job, tenant, function } => {
            ("prepare_key", Some(job), Some(tenant), Some(*function))
        }
        Request::ActivateKey { job, tenant, function, .. } => {
            ("activate_key", Some(job), Some(tenant), Some(*function))
        }
        Request::CertificateRequest { job, tenant, function, .. } => {
            ("certificate_request", Some(job), Some(tenant), Some(*function))
        }
        Request::InstallCertificate { job, tenant, function, .. } => {
            ("install_certificate", Some(job), Some(tenant), Some(*function))
        }
        Request::Bind { job, tenant, function, .. } => {
            ("bind", Some(job), Some(tenant), Some(*function))
        }
        Request::CreateSecret { job, tenant, .. } => {
            ("create_secret", Some(job), Some(tenant), None)
        }
        Request::StoreSecret { job, tenant, .. } => ("store_secret", Some(job), Some(tenant), None),
        Request::ReleaseSecret { job, tenant, .. } => {
            ("release_secret", Some(job), Some(tenant), None)
        }
        Request::StoreOwnSecret { job, .. } => ("store_own_secret", Some(job), None, None),
        Request::ReleaseOwnSecret { job, .. } => ("release_own_secret", Some(job), None, None),
        Request::ForgetOwnSecret { job, .. } => ("forget_own_secret", Some(job), None, None),
        Request::Retire { job, tenant, function, .. } => {
            ("retire", Some(job), Some(tenant), *function)
        }
        Request::Credentials { tenant, .. } => ("credentials", None, tenant.as_ref(), None),
        Request::Follow { .. } => ("follow", None, None, None),
        Request::EnrollWorker { .. } => ("enroll_worker", None, None, None),
        Request::Workers { .. } => ("workers", None, None, None),
        Request::RevokeWorker { .. } => ("revoke_worker", None, None, None),
        Request::Status => ("status", None, None, None),
        Request::Checkpoint => ("checkpoint", None, None, None),
        Request::Ledger { .. } => ("ledger", None, None, None),
        Request::LedgerOf { tenant, .. } => ("ledger_of", None, Some(tenant), None),
        Request::LedgerDigest { .. } => ("ledger_digest", None, None, None),
    };
    Parts { operation, job: job.cloned(), tenant: tenant.cloned(), function }
}

/// Why, as the ledger says it.
pub(crate) fn reason(failure: &Failure) -> String {
    match failure {
        Failure::NoKey => "no key".to_owned(),
        Failure::NotBound => "not bound to an application".to_owned(),
        Failure::NoSecret => "no such secret".to_owned(),
        Failure::RateLimited { .. } => "rate limit".to_owned(),
        Failure::Refused { reason } => reason.clone(),
        Failure::Damaged { what } => format!("damaged: {what}"),
        Failure::LedgerUnavailable { what } => format!("ledger: {what}"),
        Failure::KeyStoreUnavailable { what } => format!("keys: {what}"),
        Failure::Malformed { what } => format!("malformed: {what}"),
        Failure::Version { speaks } => format!("another version than {speaks}"),
        Failure::Internal { what } => format!("failed: {what}"),
    }
}

/// A rule of the signer's forbids it.
pub(crate) fn refusal(reason: String) -> Failure {
    Failure::Refused { reason }
}

/// Its id is not repeated: it may be of any length.
pub(crate) fn no_such_key() -> Failure {
    refusal("it has no key of that id; it may have been retired".to_owned())
}
