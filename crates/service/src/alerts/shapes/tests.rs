use mailkeep_model::Secret;
use mailkeep_sentry::Severity;
use time::macros::datetime;

use super::*;
use crate::alerts::AlertEvent;

/// With everything that could mean something to any of the media.
fn hostile() -> AlertMessage {
    let nasty =
        "<!channel> @all *b* `c` ```\r\nBcc: evil@x.example\r\n\u{202E}[l](http://x.example) &amp;";
    AlertMessage {
        event: AlertEvent::Opened,
        subject: "incident/1".into(),
        thread: "mailkeep-acme-incident-1-1795000000".into(),
        tenant: Some("acme".parse().unwrap()),
        severity: Severity::Critical,
        since: datetime!(2026-11-23 09:14 UTC),
        said: datetime!(2026-11-23 09:20 UTC),
        headline: format!("tenant acme: {nasty}"),
        news: Some(nasty.into()),
        evidence: vec![nasty.into(), "x".repeat(10_000)],
        next_step: "mailkeep identity revoke acme --reason '…'".into(),
        shown_by: "mailkeep incidents show 1".into(),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

#[test]
fn slack_is_made_to_mention_nobody() {
    let slack = slack(&hostile());
    assert!(!text(&slack["text"]).contains('<'), "{slack}");
    assert!(text(&slack["text"]).contains("&lt;!channel&gt;"));
    for block in slack["blocks"].as_array().unwrap() {
        assert_eq!(
            (&block["text"]["type"], &block["text"]["emoji"]),
            (&json!("plain_text"), &json!(false))
        );
    }
    let header = text(&slack["blocks"][0]["text"]["text"]);
    assert!(header.chars().count() <= 150 && !header.contains('\n'));
    assert!(text(&slack["blocks"][1]["text"]["text"]).chars().count() <= 3000);
}

#[test]
fn teams_shows_what_it_is_given_and_formats_nothing() {
    let teams = teams(&hostile());
    let body = teams["attachments"][0]["content"]["body"].as_array().unwrap();
    for block in body {
        assert_eq!(block["type"], "RichTextBlock");
        assert_eq!(block["inlines"][0]["type"], "TextRun");
    }
    assert!(teams.to_string().len() < 28 * 1024);
}

#[test]
fn mattermost_is_made_to_mention_nobody_and_its_code_block_cannot_be_left() {
    let mattermost = mattermost(&hostile());
    let (title, rest) = text(&mattermost["text"]).split_once("\n```\n").unwrap();
    assert!(
        !title.contains("@all") && !title.contains("[l](") && title.contains("\\*b\\*"),
        "{title}"
    );
    assert_eq!(rest.matches('`').count(), 3);
    assert!(rest.ends_with("\n```"));
}

#[test]
fn ntfy_stays_a_message_and_does_not_become_an_attachment() {
    let ntfy = ntfy(&hostile(), "topic");
    assert!(text(&ntfy["message"]).len() < 4096);
    assert!(!text(&ntfy["title"]).contains(['\r', '\n']));
    assert_eq!((&ntfy["priority"], &ntfy["topic"]), (&json!(5), &json!("topic")));
}

#[test]
fn pagerduty_gets_one_key_for_all_that_is_said_of_an_alert() {
    let key = Secret::new("r".repeat(32));
    let of = |event| pagerduty(&AlertMessage { event, ..hostile() }, "id", &key);
    let opened = of(AlertEvent::Opened);
    assert_eq!(opened["event_action"], "trigger");
    assert_eq!(opened["payload"]["severity"], "critical");
    assert!(text(&opened["payload"]["summary"]).chars().count() <= 1024);
    for (event, action) in [
        (AlertEvent::Grown, "trigger"),
        (AlertEvent::Repeated, "trigger"),
        (AlertEvent::Acknowledged, "acknowledge"),
        (AlertEvent::Closed, "resolve"),
    ] {
        let next = of(event);
        assert_eq!(
            (&next["event_action"], &next["dedup_key"]),
            (&json!(action), &opened["dedup_key"])
        );
    }
}

#[test]
fn a_mail_gets_no_header_from_what_it_tells() {
    let to = ["Ops <ops@out.example>".to_owned(), "b@out.example".to_owned()];
    let mail = mail(&hostile(), "0000-id", "alerts@out.example", &to).unwrap();
    let bytes = mail.formatted();
    let raw = String::from_utf8_lossy(&bytes);
    let (headers, _) = raw.split_once("\r\n\r\n").unwrap();
    // Folded lines begin with a space.
    let names: Vec<&str> = headers
        .split("\r\n")
        .filter(|line| !line.starts_with([' ', '\t']))
        .map(|line| line.split(':').next().unwrap())
        .collect();
    for name in &names {
        let known = [
            "Message-ID",
            "In-Reply-To",
            "References",
            "Date",
            "From",
            "To",
            "Subject",
            "Auto-Submitted",
            "Content-Type",
            "Content-Transfer-Encoding",
            "MIME-Version",
        ];
        assert!(known.contains(name), "{name} in {headers}");
    }
    assert!(headers.contains("<0000-id@out.example>"), "{headers}");
    let recipients: Vec<String> = mail.envelope().to().iter().map(ToString::to_string).collect();
    assert_eq!(recipients, ["ops@out.example", "b@out.example"]);
    assert!(bytes.len() < 20_000 && bytes.is_ascii());
}

proptest::proptest! {
    #[test]
    fn whatever_a_log_says_stays_text(said in "\\PC{0,400}|[<>@`*_\\\\\\[\\]()#!|~&\r\n\u{2028}\u{202E}:a ]{0,400}") {
        let message = AlertMessage {
            headline: said.clone(),
            news: Some(said.clone()),
            evidence: vec![said.clone(), said.clone()],
            next_step: said.clone(),
            ..hostile()
        };
        let slack = slack(&message);
        assert!(!text(&slack["text"]).contains(['<', '>']));
        let mattermost = mattermost(&message);
        let (title, rest) = text(&mattermost["text"]).split_once("\n```\n").unwrap();
        assert!(!title.contains('\n') && rest.matches('`').count() == 3, "{mattermost}");
        assert!(title.match_indices('@').all(|(at, _)| title[at + 1..].starts_with('\u{200B}')));
        assert!(text(&ntfy(&message, "t")["message"]).len() <= 4096);
        assert!(teams(&message).to_string().len() < 28 * 1024);
        let mail = mail(&message, "id", "a@out.example", &["b@out.example".to_owned()]).unwrap();
        let raw = String::from_utf8(mail.formatted()).unwrap();
        let (headers, body) = raw.split_once("\r\n\r\n").unwrap();
        let begun = headers.split("\r\n").filter(|line| !line.starts_with([' ', '\t']));
        assert_eq!(begun.count(), 11, "{headers}");
        assert!(body.lines().all(|line| line.len() <= 998));
    }
}
