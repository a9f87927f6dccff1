//! What Entra's refusals of a token request mean, and what the administrator can do: as a table.
//!
//! Source: Microsoft Entra "Authentication and authorization error codes" (AADSTS).

use mailkeep_model::Function;
use serde::Deserialize;

use super::{client::GraphConfig, refusal::first_line};
use crate::ExchangeError;

/// One of Entra's codes.
struct Known {
    code: u32,
    /// What its words contain where the number alone is not enough; the first line that fits counts.
    said: &'static str,
    /// What it means for a client with a certificate.
    meaning: &'static str,
    /// The way out.
    remedy: &'static str,
}

const fn known(
    code: u32,
    said: &'static str,
    meaning: &'static str,
    remedy: &'static str,
) -> Known {
    Known { code, said, meaning, remedy }
}

const CHECK_IDS: &str = "Check the client id and the directory id: 'mailkeep tenant show'";
const CHECK_PROXY: &str = "Look for what changes requests on the way (a proxy, a firewall), and check the address of the token endpoint: 'mailkeep tenant show'";
const SET_CLOCK: &str = "Set the clock of this machine (NTP)";
const REGISTER: &str = "Register the certificate that 'mailkeep tenant show' prints";
const WHO_DISABLED: &str = "Find out who disabled it, then enable it in Entra ID";
const NO_SECRETS: &str = "Mailkeep never sends a password: look for another program that uses this client id, and remove the passwords of the application";

const ENTRA: &[Known] = &[
    known(
        700_027,
        "key used is expired",
        "the certificate on the application has expired",
        "Register a new certificate ('mailkeep tenant show' prints ours). If it has not expired yet, set the clock of this machine (NTP)",
    ),
    known(
        700_027,
        "verify the signature failed",
        "the certificate is registered on the application, but its key did not make the signature",
        "Register the certificate that 'mailkeep tenant show' prints; what is registered has its name and another key",
    ),
    known(
        700_027,
        "",
        "the certificate is not registered on the application, has expired, or does not fit the key",
        "Register the certificate that 'mailkeep tenant show' prints; a certificate added just now is refused for some minutes, so wait and try again before changing anything. If it is registered, set the clock of this machine (NTP): a certificate is refused before its time",
    ),
    known(
        7_000_214,
        "",
        "the certificate has been revoked",
        "Find out who revoked it; if that was right, register a new one ('mailkeep tenant add' prints it)",
    ),
    known(1_000_502, "", "the certificate is outside its validity", "Register a new certificate"),
    known(7_000_274, "", "the assertion's signature is invalid", REGISTER),
    known(700_024, "", "the assertion is outside its time range", SET_CLOCK),
    known(7_000_222, "", "the passwords of the application have expired", NO_SECRETS),
    known(7_000_215, "", "the password is not one of the application", NO_SECRETS),
    known(7_000_216, "", "the request came without the assertion", CHECK_PROXY),
    known(7_000_218, "", "the request came without the assertion", CHECK_PROXY),
    known(
        50_013,
        "",
        "the assertion is not valid for this token endpoint, or not at this time",
        "Check the directory id ('mailkeep tenant show') and set the clock of this machine (NTP)",
    ),
    known(50_027, "", "the assertion came in another form than it was made in", CHECK_PROXY),
    known(700_016, "", "there is no application with this client id in the directory", CHECK_IDS),
    known(700_011, "", "there is no application with this client id in the directory", CHECK_IDS),
    known(70_001, "", "the application is disabled", WHO_DISABLED),
    known(7_000_112, "", "the application is disabled", WHO_DISABLED),
    known(
        90_002,
        "",
        "there is no such directory",
        "Check the directory id: 'mailkeep tenant show'",
    ),
    known(900_144, "", "the request came without one of its parts", CHECK_PROXY),
    known(
        53_003,
        "",
        "a Conditional Access policy blocks this address",
        "Add this machine's egress address to the policy's locations",
    ),
    known(70_011, "", "the scope is not valid", "Check Graph's address: 'mailkeep tenant show'"),
    known(
        500_011,
        "",
        "the directory does not have the interface that the token is for",
        "Grant the application a right of that interface, with admin consent (for the audit log: ActivityFeed.Read of 'Office 365 Management APIs'): that puts it into the directory",
    ),
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
    let fits = |known: &&Known| known.code == code && told.error_description.contains(known.said);
    let known = ENTRA.iter().find(fits);
    let meaning =
        known.map_or_else(|| first_line(&told.error_description), |known| known.meaning.to_owned());
    let special = ENTRA_RESTORER.iter().find(|(special, _)| *special == code);
    let special = special.filter(|_| config.function == Function::Restorer);
    let remedy = known.map_or("Look the code up in Entra ID's sign-in log", |known| known.remedy);
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
    use std::{
        fs,
        path::{Path, PathBuf},
    };

    use super::*;
    use crate::graph::refusal::tests::{config, config_of};

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

    /// Rows of a table: a code of five to seven digits in front, several with a stroke between.
    fn codes(table: &str) -> impl Iterator<Item = u32> {
        let rows = table.lines().filter_map(|line| line.strip_prefix("| "));
        let cells = rows.filter_map(|row| row.split('|').next());
        cells.flat_map(|cell| cell.split('/')).filter_map(|code| code.trim().parse().ok())
    }

    #[test]
    fn no_refusal_that_entra_is_known_to_give_is_left_without_a_way_out() {
        let shared = std::env::var_os("MAILKEEP_SHARED_DATA").map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
            PathBuf::from,
        );
        let Ok(facts) = fs::read_to_string(shared.join("entra/facts.md")) else {
            eprintln!("skipped, because there is no entra/facts.md in {}", shared.display());
            return;
        };
        let found: Vec<u32> = codes(&facts).collect();
        assert!(found.len() >= 18, "{found:?}");
        let unknown = found.iter().filter(|code| ENTRA.iter().all(|known| known.code != **code));
        assert_eq!(unknown.collect::<Vec<_>>(), Vec::<&u32>::new());
    }

    #[test]
    fn every_refusal_of_entra_says_what_is_wrong_and_what_to_do_and_is_not_asked_for_again() {
        let cases: &[(u32, &str, &str, &str)] = &[
            (700_027, "[Reason - The key was not found., Thumbprint", "not registered", "wait"),
            (700_027, "[Reason - The key used is expired., Found key", "has expired", "clock"),
            (
                700_027,
                "[Reason - Key was found, but use of the key to verify the signature failed.]",
                "did not make the signature",
                "another key",
            ),
            (
                700_027,
                "Client assertion contains an invalid signature.",
                "not registered",
                "Register",
            ),
            (700_024, "", "time range", "clock"),
            (7_000_214, "", "revoked", "who revoked"),
            (1_000_502, "", "outside its validity", "new certificate"),
            (7_000_274, "", "signature is invalid", "Register"),
            (7_000_222, "", "passwords", "another program"),
            (7_000_215, "", "password", "another program"),
            (7_000_216, "", "without the assertion", "proxy"),
            (7_000_218, "", "without the assertion", "proxy"),
            (50_013, "", "token endpoint", "directory id"),
            (50_027, "", "another form", "proxy"),
            (700_016, "", "no application", "client id"),
            (700_011, "", "no application", "client id"),
            (70_001, "", "disabled", "enable it"),
            (7_000_112, "", "disabled", "enable it"),
            (70_011, "", "scope", "Graph's address"),
            (90_002, "", "no such directory", "directory id"),
            (900_144, "", "without one of its parts", "proxy"),
            (53_003, "", "Conditional Access", "egress address"),
            (500_011, "", "does not have the interface", "admin consent"),
            (12_345, "Something new.", "Something new", "sign-in log"),
        ];
        for (code, said, meaning, remedy) in cases {
            let body = serde_json::json!({
                "error": "invalid_client",
                "error_description": format!("AADSTS{code}: {said}\r\nTrace ID: g"),
                "error_codes": [code],
            });
            let (read, error) = of_token(&config(), 401, body.to_string().as_bytes());
            assert_eq!(read, *code);
            assert!(error.is_refusal() && !error.is_transient(), "{error}");
            let text = error.to_string();
            for part in ["acme", "reader", &format!("AADSTS{code}:"), meaning, remedy] {
                assert!(text.contains(part), "no {part:?} in: {text}");
            }
            assert!(!text.contains("Trace ID"), "{text}");
        }
        // And nothing is in the table that is not here.
        for known in ENTRA {
            let here = cases
                .iter()
                .any(|(code, said, ..)| *code == known.code && said.contains(known.said));
            assert!(here, "{} {:?}", known.code, known.said);
        }
    }
}
