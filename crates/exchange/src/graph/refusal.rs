//! What Graph's refusals mean, and what the administrator can do: as tables.
//!
//! Source: Graph "Error responses and resource types".

use mailkeep_model::Function;
use serde::Deserialize;

use super::client::GraphConfig;
use crate::ExchangeError;

/// Rights to read, and to write: reading alone needs the former, and the restorer has the latter.
const READ_AND_WRITE: [(&str, &str); 6] = [
    ("Mail.Read", "Mail.ReadWrite"),
    ("Calendars.Read", "Calendars.ReadWrite"),
    ("Contacts.Read", "Contacts.ReadWrite"),
    ("MailboxSettings.Read", "MailboxSettings.ReadWrite"),
    ("Tasks.Read.All", "Tasks.ReadWrite.All"),
    ("MailboxItem.Export.All", "MailboxItem.ImportExport.All"),
];

/// What a change of keys is refused with: the code, what it means, and the way out.
const KEYS: &[(&str, &str, &str)] = &[
    (
        PROOF_REFUSED,
        "the directory does not take the proof that we hold a key of the application: that key is not, or no longer, valid there",
        "A certificate that was added just now is known everywhere after some minutes. If somebody removed it, or every certificate has expired, the steward or an administrator has to register a new one",
    ),
    (
        "Directory_QuotaExceeded",
        "the application has as many credentials as it can have",
        "Remove those that nobody uses; if you did not make them, find out who did",
    ),
    (
        "KeyCredentialsInvalidEndDate",
        "the certificate has expired, or ends before it begins",
        "Make a new certificate; if it is new, set the clock of this machine (NTP)",
    ),
];
/// What a proof of possession is refused with, as if it were the token.
pub(super) const PROOF_REFUSED: &str = "Authentication_MissingOrMalformed";
/// What the Management Activity API refuses those with who lack the right.
const FEED_DENIED: &str = "AF10001";

/// What is refused in tenants without a licence, and the licence, by the right that reading it needs.
const UNLICENSED: &str = "Authentication_RequestFromNonPremiumTenantOrB2CTenant";
const LICENCES: &[(&str, &str)] = &[
    (
        AUDIT_QUERIES,
        "Microsoft Purview Audit, which is part of Microsoft 365 E3 and of what is above it",
    ),
    ("", "Microsoft Entra ID P1 or P2"),
];
/// The right to search the services' audit log for what happened in Exchange.
pub(super) const AUDIT_QUERIES: &str = "AuditLogsQuery-Exchange.Read.All";

/// What says that the services' audit log is off, by code or words (of the Management Activity API).
const AUDIT_OFF: &[(&str, &str)] =
    &[("AF20011", ""), ("AF20012", ""), ("AF20023", ""), ("", "DataServiceException: Tenant")];
const TURN_AUDIT_ON: &str = "Turn auditing on (Exchange Online PowerShell: Set-AdminAuditLogConfig -UnifiedAuditLogIngestionEnabled $true) and see that the tenant has a licence of Microsoft 365; it takes some hours";

/// The right that an application of this function should have where `right` was missing.
fn right_of(function: Function, right: &'static str) -> &'static str {
    let pair = READ_AND_WRITE.iter().find(|(read, write)| right == *read || right == *write);
    match (pair, function) {
        (Some((read, _)), Function::Reader) => read,
        (Some((_, write)), Function::Restorer) => write,
        _ => right,
    }
}

/// Reads the body of a refused request to Graph ("Error responses and resource types"): its code and
/// message, both empty when it is none.
pub fn parse_refusal(body: &[u8]) -> (String, String) {
    let told = serde_json::from_slice::<GraphBody>(body).map(|body| body.error).unwrap_or_default();
    (told.code, first_line(&told.message))
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
        (404, _) => ExchangeError::NotFound { action, message },
        (403, UNLICENSED) => {
            let licence = LICENCES.iter().find(|(of, _)| right.contains(of));
            let licence = licence.map_or("", |(_, licence)| licence);
            ExchangeError::Unlicensed { tenant: config.tenant.clone(), action, licence, message }
        }
        _ if is_audit_off(&code, &message) => {
            let (tenant, remedy) = (config.tenant.clone(), TURN_AUDIT_ON);
            ExchangeError::SwitchedOff { tenant, action, message, remedy }
        }
        (_, "AF429") => ExchangeError::Throttled { tenant: config.tenant.clone(), action },
        _ if let Some(&(code, meaning, remedy)) = KEYS.iter().find(|(key, ..)| *key == code) => {
            let tenant = config.tenant.clone();
            ExchangeError::KeyRefused { tenant, action, code, meaning, message, remedy }
        }
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

/// Whether a request was refused for good with the status of a token that is not taken: another token
/// would not help.
pub(super) fn is_no_matter_of_tokens(body: &[u8]) -> bool {
    [PROOF_REFUSED, FEED_DENIED].contains(&parse_refusal(body).0.as_str())
}

fn is_audit_off(code: &str, message: &str) -> bool {
    let says = |(known, words): &(&str, &str)| {
        if known.is_empty() { message.contains(words) } else { code == *known }
    };
    AUDIT_OFF.iter().any(says)
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
        return ExchangeError::not_found("exporting items");
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
pub(super) fn first_line(text: &str) -> String {
    let line: String = text.lines().next().unwrap_or_default().chars().take(300).collect();
    // A sentence of ours goes on behind it.
    line.trim_end().trim_end_matches('.').to_owned()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::graph) fn config() -> GraphConfig {
        config_of(Function::Reader)
    }

    pub(in crate::graph) fn config_of(function: Function) -> GraphConfig {
        GraphConfig {
            tenant: "acme".parse().unwrap(),
            function,
            graph: "https://graph.example/v1.0".parse().unwrap(),
            ca_pem: None,
            extras: crate::Extras::default(),
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
