//! `mailkeep identity certificate`, `csr` and `install`.

use std::{fs, path::Path};

use mailkeep_identity::{CredentialInfo, KeyInfo, Slot};
use mailkeep_model::{Function, TenantName};
use mailkeep_service::{Expiry, Service, ServiceError, expiry};
use serde_json::json;
use time::OffsetDateTime;

use super::{Outcome, browse::rfc3339};
use crate::{
    exit::{Exit, Failure},
    output::{Output, plain},
};

/// Largest chain of certificates, in bytes: more than the signer takes.
const LARGEST_CHAIN: u64 = 60 * 1024;

/// A key whose certificate ends soon.
pub(super) fn ending(of: &CredentialInfo, key: &KeyInfo) -> Option<Expiry> {
    // The restorer's ends with its restore.
    if of.key_use.function == Function::Restorer {
        return None;
    }
    expiry(&of.key_use.tenant, of.key_use.function, key, OffsetDateTime::now_utc())
}

/// `identity certificate`
pub(super) async fn show(
    service: &Service,
    tenant: &TenantName,
    function: Function,
    prepared: bool,
    output: &Output,
) -> Outcome {
    service.tenant(tenant).await?;
    let wanted = if prepared { Slot::Prepared } else { Slot::Active };
    let all =
        service.signer().await?.credentials(Some(tenant)).await.map_err(ServiceError::from)?;
    let mut keys =
        all.into_iter().filter(|one| one.key_use.function == function).flat_map(|one| one.keys);
    let Some(key) = keys.find(|key| key.slot == wanted) else {
        let message = format!("tenant {tenant} has no such key for the {function}");
        return Err(Failure::new(Exit::NotFound, message));
    };
    let value = json!({
        "tenant": tenant,
        "function": function,
        "key_id": key.key_id,
        "thumbprint_sha1": key.certificate.thumbprint_sha1,
        "certificate_pem": key.certificate.certificate_pem,
    });
    output.result(&value, || key.certificate.certificate_pem.trim_end().to_owned());
    Ok(Exit::Done)
}

/// `identity csr`
pub(super) async fn request(
    service: &Service,
    tenant: &TenantName,
    function: Function,
    out: Option<&Path>,
    output: &Output,
) -> Outcome {
    let request = service.request_certificate(tenant, function).await?;
    if let Some(path) = out {
        fs::write(path, &request.request_pem).map_err(|error| {
            Failure::failed(format!("cannot write {}: {error}", path.display()))
        })?;
    }
    let value = json!({
        "tenant": tenant,
        "function": function,
        "key_id": request.key_id,
        "slot": request.slot,
        "request_pem": request.request_pem,
    });
    output.result(&value, || match out {
        None => request.request_pem.trim_end().to_owned(),
        Some(path) => format!(
            "{}: have it issued, then 'mailkeep identity install {tenant} --function {function} CHAIN'",
            path.display()
        ),
    });
    Ok(Exit::Done)
}

/// `identity install`
pub(super) async fn install(
    service: &Service,
    tenant: &TenantName,
    function: Function,
    chain: &Path,
    output: &Output,
) -> Outcome {
    let unreadable =
        |why: String| Failure::usage(format!("cannot read {}: {why}", chain.display()));
    let size = fs::metadata(chain).map_err(|error| unreadable(error.to_string()))?.len();
    if size > LARGEST_CHAIN {
        return Err(unreadable(format!("{size} bytes are no chain of certificates")));
    }
    let pem = fs::read_to_string(chain).map_err(|error| unreadable(error.to_string()))?;
    let installed = service.install_certificate(tenant, function, &pem).await?;
    let certificate = &installed.key.certificate;
    let value = json!({
        "tenant": tenant,
        "function": function,
        "key_id": installed.key.key_id,
        "slot": installed.key.slot,
        "issuer": certificate.issuer,
        "thumbprint_sha1": certificate.thumbprint_sha1,
        "thumbprint_sha256": certificate.thumbprint_sha256,
        "not_after": rfc3339(certificate.not_after),
    });
    output.result(&value, || {
        let next = match installed.key.slot {
            Slot::Prepared => format!(
                "It signs after 'mailkeep identity rotate {tenant} --function {function}', which registers it"
            ),
            _ if installed.signs => format!(
                "The key signs in its name from now on: register it at once ('mailkeep identity certificate {tenant} {function}' prints it)"
            ),
            _ => format!(
                "To be registered: 'mailkeep tenant setup {tenant} --function {function} --out DIR'"
            ),
        };
        format!(
            "certificate {} from {}, valid until {}\n{next}",
            certificate.thumbprint_sha1,
            plain(&certificate.issuer),
            certificate.not_after.date()
        )
    });
    Ok(Exit::Done)
}
