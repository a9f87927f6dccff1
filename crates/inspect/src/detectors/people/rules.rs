//! `inbox-rule`: a mailbox's own rule that gives its mail away or hides it. Who takes a mailbox over
//! makes one first, so that its owner sees neither answers nor warnings (MITRE ATT&CK T1114.003,
//! T1564.008).

use mailkeep_model::{Category, Severity};
use serde_json::Value;

use super::super::{Detector, link_text::is_own};
use crate::{Context, hosts::Host};

/// It is handed rules, not messages: no row of the table of detectors.
pub(crate) static RULE: Detector =
    Detector { name: "inbox-rule", category: Category::People, run: |_, _, _| {} };

/// What a rule does: how bad, what it is called, and how to tell people.
pub(crate) type Act = (Severity, &'static str, String);

/// Folders that nobody opens, as clients call them, in lower case.
const UNSEEN: &[&str] = &[
    "rss feeds",
    "rss subscriptions",
    "rss-feeds",
    "flux rss",
    "fuentes rss",
    "conversation history",
    "sync issues",
    "archive",
    "notes",
    "junk email",
    "deleted items",
    "gelöschte elemente",
    "éléments supprimés",
    "elementos eliminados",
];

/// What warnings and the mail of a payment fraud have in them, in lower case.
const TELLING: &[&str] = &[
    "phish",
    "hack",
    "scam",
    "fraud",
    "spam",
    "virus",
    "malware",
    "suspicious",
    "compromis",
    "password",
    "passwort",
    "mot de passe",
    "contraseña",
    "security",
    "sicherheit",
    "invoice",
    "rechnung",
    "facture",
    "factura",
    "fattura",
    "payment",
    "zahlung",
    "paiement",
    "wire",
    "iban",
    "bank",
    "docusign",
    "helpdesk",
    "postmaster",
    "mailer-daemon",
    "undeliver",
    "did you send",
    "sign-in",
    "alert",
];

/// Conditions that hold words (Graph: `messageRulePredicates`).
const WORDS: &[&str] = &[
    "bodyContains",
    "subjectContains",
    "bodyOrSubjectContains",
    "senderContains",
    "headerContains",
];

/// Ways to give mail away (Graph: `messageRuleActions`).
const FORWARDS: &[&str] = &["forwardTo", "forwardAsAttachmentTo", "redirectTo"];

/// What a rule (Graph: `messageRule`) does of that kind; `folder` is the name of the one that it
/// moves mail to.
pub(crate) fn acts(rule: &Value, folder: Option<&str>, context: &Context<'_>) -> Vec<Act> {
    let (actions, conditions) = (&rule["actions"], &rule["conditions"]);
    let is_set = |action: &str| actions[action].as_bool() == Some(true);
    let all = is_empty(conditions);
    let telling = telling_words(conditions);
    let of_what = match (&telling, all) {
        (Some(word), _) => format!("mail about '{word}'"),
        (None, true) => "all mail".to_owned(),
        (None, false) => "some mail".to_owned(),
    };
    let targeted = all || telling.is_some();
    let mut acts: Vec<Act> = Vec::new();
    let outside = FORWARDS.iter().flat_map(|action| addresses(&actions[*action])).find(|address| {
        let host = address.rsplit_once('@').and_then(|(_, domain)| Host::of_text(domain));
        !host.is_some_and(|host| is_own(&host, context))
    });
    if let Some(address) = outside {
        let severity = if targeted { Severity::High } else { Severity::Medium };
        acts.push((severity, "forwards", format!("forwards {of_what} to {address}")));
    }
    let deletes = is_set("delete") || is_set("permanentDelete");
    if deletes {
        let severity = match (targeted, is_set("permanentDelete")) {
            (true, _) => Severity::High,
            (false, true) => Severity::Medium,
            (false, false) => Severity::Low,
        };
        acts.push((severity, "deletes", format!("deletes {of_what}")));
    }
    let unseen = folder.filter(|name| UNSEEN.contains(&name.to_lowercase().as_str()));
    if let Some(folder) = unseen {
        let severity = match (targeted, is_set("markAsRead")) {
            (true, true) => Severity::High,
            (true, false) | (false, true) => Severity::Medium,
            (false, false) => Severity::Low,
        };
        acts.push((severity, "hides", format!("moves {of_what} to '{folder}'")));
    }
    let name = rule["displayName"].as_str().unwrap_or_default();
    if !acts.is_empty() && !name.contains(char::is_alphanumeric) {
        acts.push((Severity::Medium, "nameless", "has a name without a letter".to_owned()));
    }
    if rule["isEnabled"].as_bool() == Some(false) {
        acts.iter_mut().for_each(|(severity, ..)| *severity = Severity::Low);
    }
    acts
}

/// Whether it holds for every message. Graph gives unset predicates as null.
fn is_empty(conditions: &Value) -> bool {
    match conditions {
        Value::Object(fields) => fields.values().all(is_empty),
        Value::Array(values) => values.is_empty(),
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        _ => false,
    }
}

fn telling_words(conditions: &Value) -> Option<String> {
    let words = WORDS.iter().filter_map(|condition| conditions[*condition].as_array()).flatten();
    words.filter_map(Value::as_str).find_map(|word| {
        let lower = word.to_lowercase();
        TELLING.iter().any(|telling| lower.contains(telling)).then(|| word.to_owned())
    })
}

fn addresses(recipients: &Value) -> impl Iterator<Item = &str> {
    let recipients = recipients.as_array().into_iter().flatten();
    recipients.filter_map(|recipient| recipient["emailAddress"]["address"].as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::OffsetDateTime;

    use super::*;
    use crate::MaskKey;

    fn worst(rule: &Value, folder: Option<&str>) -> Option<(Severity, &'static str)> {
        let (own, key) = (["own.example".to_owned()], MaskKey::from_bytes([7; 32]));
        let context = Context::new(OffsetDateTime::UNIX_EPOCH, &own, &key);
        acts(rule, folder, &context).into_iter().map(|(severity, what, _)| (severity, what)).max()
    }

    #[test]
    fn rules_of_thieves_are_told_from_rules_of_tidy_people() {
        let to = |address: &str| json!([{"emailAddress": {"address": address}}]);
        for (rule, folder, expected) in [
            (
                json!({"displayName": "x", "actions": {"forwardTo": to("a@gmail.com")}}),
                None,
                Some((Severity::High, "forwards")),
            ),
            (
                json!({"displayName": "x", "actions": {"redirectTo": to("a@out.example")},
                    "conditions": {"senderContains": ["school"], "hasAttachments": null}}),
                None,
                Some((Severity::Medium, "forwards")),
            ),
            (
                json!({"displayName": "x", "actions": {"forwardTo": to("b@own.example")}}),
                None,
                None,
            ),
            (
                json!({"displayName": ".", "actions": {"delete": true},
                    "conditions": {"subjectContains": ["Phishing"]}}),
                None,
                Some((Severity::High, "deletes")),
            ),
            (
                json!({"displayName": "Shop", "actions": {"delete": true},
                    "conditions": {"senderContains": ["shop.example"]}}),
                None,
                Some((Severity::Low, "deletes")),
            ),
            (
                json!({"displayName": "..", "actions": {"markAsRead": true, "moveToFolder": "f"}}),
                Some("RSS Feeds"),
                Some((Severity::High, "hides")),
            ),
            (
                json!({"displayName": "News", "actions": {"moveToFolder": "f"},
                    "conditions": {"subjectContains": ["[list]"]}}),
                Some("Lists"),
                None,
            ),
            (
                json!({"displayName": "x", "isEnabled": false,
                    "actions": {"forwardTo": to("a@gmail.com")}}),
                None,
                Some((Severity::Low, "forwards")),
            ),
            (json!(7), None, None),
        ] {
            assert_eq!(worst(&rule, folder), expected, "{rule}");
        }
    }
}
