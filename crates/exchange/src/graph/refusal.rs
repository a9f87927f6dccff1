//! What the provider's refusals mean, and what the administrator can do: as tables.
//!
//! Sources: Microsoft Entra "Authentication and authorization error codes" (AADSTS); Graph "Error
//! responses and resource types".

use mailkeep_model::Function;
use serde::Deserialize;

use super::client::GraphConfig;
use crate::ExchangeError;

/// Entra's code, what it means for a client with a certificate, and the way out.
const ENTRA: &[(u32, &str, &str)] = &[
    (
        700_027,
        "the certificate is not registered on the application, has expired, or does not fit the key",
        "Register the certificate that 'mailkeep tenant show' prints; a certificate added just now is refused for some minutes, so wait and try again before changing anything. If it is registered, set the clock of this machine (NTP): a certificate is refused before its time",
    ),
    (
        7_000_214,
        "the certificate has been revoked",
        "Find out who revoked it; if that was right, register a new one ('mailkeep tenant add' prints it)",
    ),
    (1_000_502, "the certificate is outside its validity", "Register a new certificate"),
    (
        7_000_274,
        "the assertion's signature is invalid",
        "Register the certificate that 'mailkeep tenant show' prints",
    ),
    (700_024, "the assertion is outside its time range", "Set the clock of this machine (NTP)"),
    (
        700_016,
        "there is no application with this client id in the directory",
        "Check the client id and the directory id: 'mailkeep tenant show'",
    ),
    (
        700_011,
        "there is no application with this client id in the directory",
        "Check the client id and the directory id: 'mailkeep tenant show'",
    ),
    (70_001, "the application is disabled", "Find out who disabled it, then enable it in Entra ID"),
    (
        7_000_112,
        "the application is disabled",
        "Find out who disabled it, then enable it in Entra ID",
    ),
    (90_002, "there is no such directory", "Check the directory id: 'mailkeep tenant show'"),
    (
        53_003,
        "a Conditional Access policy blocks this address",
        "Add this machine's egress address to the policy's locations",
    ),
    (70_011, "the scope is not valid", "Check Graph's address: 'mailkeep tenant show'"),
];

/// What is different for the restorer: its certificate is another one each time, and is printed by
/// the restore that it is for.
const ENTRA_RESTORER: &[(u32, &str)] = &[
    (700_027, REGISTER_ANEW),
    (7_000_214, "Find out who revoked it; if that was right, run the restore again"),
    (1_000_502, REGISTER_ANEW),
    (7_000_274, REGISTER_ANEW),
];
const REGISTER_ANEW: &str = "Run the same restore again and, while it waits, upload the certificate that it prints to the application 'Mailkeep restorer' (Entra ID, App registrations, Certificates & secrets): each restore has a new one, and that of an earlier one is of no use. If you did, set the clock of this machine (NTP)";

/// Rights to read, and to write: reading alone needs the former, and the restorer has the latter.
const READ_AND_WRITE: [(&str, &str); 6] = [
    ("Mail.Read", "Mail.ReadWrite"),
    ("Calendars.Read", "Calendars.ReadWrite"),
    ("Contacts.Read", "Contacts.ReadWrite"),
    ("MailboxSettings.Read", "MailboxSettings.ReadWrite"),
    ("Tasks.Read.All", "Tasks.ReadWrite.All"),
    ("MailboxItem.Export.All", "MailboxItem.ImportExport.All"),
];

/// The right that an application of this function should have where `right` was missing.
fn right_of(function: Function, right: &'static str) -> &'static str {
    let pair = READ_AND_WRITE.iter().find(|(read, write)| right == *read || right == *write);
    match (pair, function) {
        (Some((read, _)), Function::Reader) => read,
        (Some((_, write)), Function::Restorer) => write,
        _ => right,
    }
}

#[derive(Deserialize)]
struct EntraError {
    #[serde(default)]
    error: String,
    #[serde(default)]
    error_description: String,
    #[serde(default)]
    error_codes: Vec<u32>,
}

/// Reads the body of a refused request to Graph ("Error responses and resource types"): its code and
/// message, both empty when it is none.
pub fn parse_refusal(body: &[u8]) -> (String, String) {
    let told = serde_json::from_slice::<GraphBody>(body).map(|body| body.error).unwrap_or_default();
    (told.code, first_line(&told.message))
}

/// Reads the body of a refused token request (RFC 6749, 5.2, with Entra's `error_codes`): Entra's
/// number and its words, `None` when it is none.
pub fn parse_token_refusal(body: &[u8]) -> Option<(u32, String)> {
    let told = serde_json::from_slice::<EntraError>(body).ok()?;
    let code = told.error_codes.first().copied().unwrap_or_default();
    Some((code, first_line(&told.error_description)))
}

#[derive(Deserialize)]
struct GraphBody {
    error: GraphError,
}

#[derive(Deserialize, Default)]
struct GraphError {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// The error for a refused token request, and Entra's code for the receipt.
pub(super) fn of_token(config: &GraphConfig, status: u16, body: &[u8]) -> (u32, ExchangeError) {
    let Ok(told) = serde_json::from_slice::<EntraError>(body) else {
        let tenant = &config.tenant;
        let action = format!("tenant {tenant}: asking for a token");
        let message = format!(
            "the answer is not one of Entra ID. Look for a proxy on the way, and check the address: \
             'mailkeep tenant show {tenant}'"
        );
        let error = ExchangeError::Answer { action, status, code: String::new(), message };
        return (0, error);
    };
    let code = told.error_codes.first().copied().unwrap_or_default();
    if status >= 500 {
        let error = ExchangeError::Answer {
            action: format!("tenant {}: asking for a token", config.tenant),
            status,
            code: told.error,
            message: first_line(&told.error_description),
        };
        return (code, error);
    }
    let known = ENTRA.iter().find(|(known, ..)| *known == code);
    let meaning = known.map_or_else(
        || first_line(&told.error_description),
        |(_, meaning, _)| (*meaning).to_owned(),
    );
    let special = ENTRA_RESTORER.iter().find(|(special, _)| *special == code);
    let special = special.filter(|_| config.function == Function::Restorer);
    let remedy = known.map_or("Look the code up in Entra ID's sign-in log", |(.., remedy)| *remedy);
    let remedy = special.map_or(remedy, |(_, remedy)| *remedy);
    let error = ExchangeError::TokenRefused {
        tenant: config.tenant.clone(),
        function: config.function,
        code,
        meaning,
        remedy,
    };
    (code, error)
}

/// The error for a request that Graph refused for good.
pub(super) fn of_graph(
    config: &GraphConfig,
    action: &str,
    right: &'static str,
    status: u16,
    body: &[u8],
) -> ExchangeError {
    let (code, message) = parse_refusal(body);
    let action = action.to_owned();
    match (status, code.as_str()) {
        (410, _) | (_, "syncStateNotFound" | "SyncStateNotFound" | "resyncRequired") => {
            ExchangeError::CursorExpired { action }
        }
        (404, _) => ExchangeError::NotFound { action },
        (401 | 403, _) => ExchangeError::Forbidden {
            tenant: config.tenant.clone(),
            function: config.function,
            action,
            right: right_of(config.function, right),
            message,
        },
        _ => ExchangeError::Answer {
            action: format!("tenant {}: {action}", config.tenant),
            status,
            code,
            message,
        },
    }
}

/// Whether a body is that of a refusal, whatever its status says.
pub(super) fn is_told(body: &[u8]) -> bool {
    let begin = body.trim_ascii_start().strip_prefix(b"{").unwrap_or_default();
    // Nothing that we ask for begins so, and most of it is too long to be read for this.
    begin.trim_ascii_start().starts_with(b"\"error\"")
        && serde_json::from_slice::<GraphBody>(body).is_ok_and(|told| !told.error.code.is_empty())
}

/// Whether an identifier was refused that is not of this mailbox, or not an identifier: nothing is
/// there by that name.
pub(super) fn is_foreign_id(error: &ExchangeError) -> bool {
    const CODES: &[&str] = &[
        "ErrorInvalidId",
        "ErrorInvalidIdMalformed",
        "ErrorInvalidIdMalformedEwsLegacyIdFormat",
        "ErrorInvalidMailboxItemId",
        "ErrorItemNotFound",
    ];
    match error {
        ExchangeError::NotFound { .. } => true,
        ExchangeError::Answer { status: 400, code, .. } => CODES.contains(&code.as_str()),
        _ => false,
    }
}

/// The error for one item of a request that was carried out for others.
pub(super) fn of_one_item(action: &str, code: &str, message: &str) -> ExchangeError {
    const BUSY: &[&str] =
        &["ErrorServerBusy", "ErrorInternalServerTransientError", "ErrorMailboxStoreUnavailable"];
    let action = action.to_owned();
    let status = if BUSY.contains(&code) { 503 } else { 400 };
    let error = ExchangeError::Answer {
        action,
        status,
        code: code.to_owned(),
        message: first_line(message),
    };
    if is_foreign_id(&error) {
        return ExchangeError::NotFound { action: "exporting items".to_owned() };
    }
    error
}

/// Whether a folder was refused because its name is taken.
pub(super) fn is_name_taken(error: &ExchangeError) -> bool {
    match error {
        ExchangeError::Answer { status, code, .. } => *status == 409 || code == "ErrorFolderExists",
        _ => false,
    }
}

/// Whether a time zone was refused.
pub(super) fn is_unknown_zone(error: &ExchangeError) -> bool {
    match error {
        ExchangeError::Answer { status: 400, code, .. } => code.contains("TimeZone"),
        _ => false,
    }
}

/// The first line, of bounded length: the rest is trace ids.
fn first_line(text: &str) -> String {
    let line: String = text.lines().next().unwrap_or_default().chars().take(300).collect();
    // A sentence of ours goes on behind it.
    line.trim_end().trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> GraphConfig {
        config_of(Function::Reader)
    }

    fn config_of(function: Function) -> GraphConfig {
        GraphConfig {
            tenant: "acme".parse().unwrap(),
            function,
            graph: "https://graph.example/v1.0".parse().unwrap(),
            ca_pem: None,
            extras: crate::Extras::default(),
        }
    }

    #[test]
    fn a_refused_certificate_says_what_to_do() {
        let body = br#"{"error":"invalid_client","error_description":"AADSTS700027: x\r\nTrace ID: y","error_codes":[700027]}"#;
        let (code, error) = of_token(&config(), 401, body);
        assert_eq!(code, 700_027);
        assert!(error.is_refusal() && !error.is_transient());
        let text = error.to_string();
        assert!(text.contains("acme") && text.contains("700027") && text.contains("Register"));
        assert!(!text.contains("Trace"));
    }

    #[test]
    fn a_proxy_page_in_place_of_an_answer_is_not_called_a_refusal() {
        let (_, error) = of_token(&config(), 502, b"<html>Bad gateway</html>");
        assert!(!error.is_refusal() && error.is_transient());
    }

    #[test]
    fn a_certificate_of_a_restore_is_not_looked_for_where_the_readers_is_printed() {
        for code in [700_027, 7_000_274, 1_000_502] {
            let body = format!(r#"{{"error":"x","error_description":"y","error_codes":[{code}]}}"#);
            let (_, error) = of_token(&config_of(Function::Restorer), 401, body.as_bytes());
            let text = error.to_string();
            assert!(text.contains("Mailkeep restorer") && text.contains("restore again"), "{text}");
            assert!(!text.contains("tenant show"), "{text}");
            let (_, error) = of_token(&config(), 401, body.as_bytes());
            assert!(!error.to_string().contains("restorer"), "{error}");
        }
    }

    #[test]
    fn each_application_is_granted_what_it_needs_and_the_reader_never_a_right_to_write() {
        let body = br#"{"error":{"code":"ErrorAccessDenied","message":"Access is denied."}}"#;
        for (read, write) in READ_AND_WRITE {
            for asked in [read, write] {
                let text = |function| {
                    of_graph(&config_of(function), "looking", asked, 403, body).to_string()
                };
                let (reader, restorer) = (text(Function::Reader), text(Function::Restorer));
                assert!(reader.contains(&format!("Grant it {read},")), "{reader}");
                assert!(reader.contains("tenant check"), "{reader}");
                assert!(restorer.contains(&format!("Grant it {write},")), "{restorer}");
                assert!(!restorer.contains("tenant check"), "{restorer}");
                assert!(restorer.contains("'Mailkeep restorer'"), "{restorer}");
            }
        }
        let text = of_graph(&config_of(Function::Restorer), "x", "User.Read.All", 403, body);
        assert!(text.to_string().contains("Grant it User.Read.All"));
    }

    #[test]
    fn a_refusal_that_calls_itself_a_success_is_told_from_an_answer() {
        assert!(is_told(br#" { "error": {"code": "ErrorInternalServerError", "message": "x"}}"#));
        for answer in [&br#"{"value":[]}"#[..], br#"{"error":"x"}"#, br#"{"error":{}}"#, b"", b"[]"]
        {
            assert!(!is_told(answer));
        }
    }

    #[test]
    fn a_missing_right_is_named() {
        let body = br#"{"error":{"code":"ErrorAccessDenied","message":"Access is denied."}}"#;
        let text = of_graph(&config(), "reading mail", "Mail.Read", 403, body).to_string();
        assert!(text.contains("Mail.Read"), "{text}");
    }
}
