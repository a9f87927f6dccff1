use std::time::Duration;

use lettre::{
    AsyncSmtpTransport, AsyncTransport, Tokio1Executor,
    transport::smtp::{
        authentication::Credentials,
        client::{Certificate, CertificateStore, Tls, TlsParameters, TlsParametersBuilder},
    },
};

use super::{Fault, Unsent};
use crate::alerts::{AlertMessage, RelayTls, Target, shapes::mail};

/// Hands a mail to a relay (RFC 5321; RFC 3207 for STARTTLS, RFC 8314 for TLS from the first byte).
pub(super) async fn send(
    target: &Target,
    message: &AlertMessage,
    id: &str,
    within: Duration,
) -> Result<(), Unsent> {
    let Target::Smtp { host, port, tls, user, password, from, to, ca_pem } = target else {
        return Err(Unsent::destination("it is no relay"));
    };
    let mail = mail(message, id, from, to).map_err(Unsent::message)?;
    let tls = match tls {
        RelayTls::Implicit => Tls::Wrapper(parameters(host, ca_pem.as_deref())?),
        RelayTls::Starttls => Tls::Required(parameters(host, ca_pem.as_deref())?),
        RelayTls::None => Tls::None,
    };
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host.as_str())
        .port(*port)
        .tls(tls)
        .timeout(Some(within));
    if let (Some(user), Some(password)) = (user, password) {
        builder = builder.credentials(Credentials::new(user.clone(), password.expose().to_owned()));
    }
    let sent = builder.build::<Tokio1Executor>().send(mail).await;
    sent.map(drop).map_err(|error| judge(&error))
}

fn parameters(host: &str, ca_pem: Option<&str>) -> Result<TlsParameters, Unsent> {
    let mut builder = TlsParametersBuilder::new(host.to_owned());
    if let Some(pem) = ca_pem {
        let certificate = Certificate::from_pem(pem.as_bytes())
            .map_err(|_| Unsent::destination("its certificates are not PEM"))?;
        builder =
            builder.certificate_store(CertificateStore::None).add_root_certificate(certificate);
    }
    builder.build_rustls().map_err(|error| Unsent::destination(format!("TLS: {error}")))
}

/// The relay's own words stay out: it may repeat what it was given.
fn judge(error: &lettre::transport::smtp::Error) -> Unsent {
    let Some(code) = error.status() else {
        let what = match error {
            error if error.is_timeout() => "the relay did not answer in time".to_owned(),
            error if error.is_tls() => format!("no TLS with the relay: {}", innermost(error)),
            error => format!("the relay cannot be reached: {}", innermost(error)),
        };
        return Unsent::destination(what);
    };
    let code = u16::from(code);
    let meaning = match code {
        421 | 450..=452 => ": not now",
        530 | 534 | 535 | 538 => ": it does not take this user and password",
        550 | 551 | 553 | 554 => ": it does not take mail from this sender, or to this recipient",
        552 => ": the mail is too large",
        _ => "",
    };
    // Sender, recipients and sign-in are the same for all mail; only the size is this one's.
    let fault = if code == 552 { Fault::Message } else { Fault::Destination };
    Unsent { what: format!("the relay answered {code}{meaning}"), fault, retry_after: None }
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
