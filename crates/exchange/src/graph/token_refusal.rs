//! What Entra's refusals of a token request mean, and what the administrator can do: as a table.
//!
//! Source: Microsoft Entra "Authentication and authorization error codes" (AADSTS).

use mailkeep_model::Function;
use serde::Deserialize;

use super::{client::GraphConfig, refusal::first_line};
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

#[derive(Deserialize)]
struct EntraError {
    #[serde(default)]
    error: String,
    #[serde(default)]
    error_description: String,
    #[serde(default)]
    error_codes: Vec<u32>,
}

/// Reads the body of a refused token request (RFC 6749, 5.2, with Entra's `error_codes`): Entra's
/// number and its words, `None` when it is none.
pub fn parse_token_refusal(body: &[u8]) -> Option<(u32, String)> {
    let told = serde_json::from_slice::<EntraError>(body).ok()?;
    let code = told.error_codes.first().copied().unwrap_or_default();
    Some((code, first_line(&told.error_description)))
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
}
