//! What a person sees of a verdict, on messages of our own.

use data_encoding::BASE64;
use mailkeep_inspect::{
    Context, Dictionary, ExactList, MaskKey, MatchKey, Report, inspect, inspect_attachment,
    inspect_text,
};
use mailkeep_model::{Finding, Severity, VerdictKind};
use time::OffsetDateTime;

fn with_context<T>(use_it: impl FnOnce(&Context<'_>) -> T) -> T {
    let key = MaskKey::from_bytes([7; 32]);
    let own = ["Corp.example.org".to_owned()];
    use_it(&Context::new(OffsetDateTime::UNIX_EPOCH, &own, &key))
}

fn report(message: &str) -> Report {
    with_context(|context| inspect(message.as_bytes(), context))
}

/// A message of HTML alone, `é` in front so that bytes and code points differ.
fn html(body: &str) -> Report {
    report(&format!("Content-Type: text/html; charset=utf-8\n\né{body}"))
}

/// The one finding that says that a link shows something else.
fn only(report: &Report) -> &Finding {
    let shows = |finding: &&Finding| {
        matches!(finding.detector.as_str(), "link-text-mismatch" | "link-user-info")
    };
    let mut found = report.verdict.findings.iter().filter(shows);
    match (found.next(), found.next()) {
        (Some(finding), None) => finding,
        _ => panic!("{:?}", report.verdict),
    }
}

fn cut(text: &str, finding: &Finding) -> String {
    text.chars().skip(finding.start).take(finding.end - finding.start).collect()
}

#[test]
fn a_link_that_shows_one_bank_and_leads_to_another_host_is_suspicious() {
    let body = "<p>Pay at <a href='https://pay.example.net/x?u=1'>https://<b>bank</b>.example.com&#47;pay</a>";
    let report = html(body);
    let finding = only(&report);
    assert_eq!(report.verdict.verdict, VerdictKind::Suspicious);
    assert_eq!(
        (finding.detector.as_str(), finding.severity),
        ("link-text-mismatch", Severity::Medium)
    );
    assert_eq!((finding.entity.as_str(), finding.field.as_str()), ("pay.example.net", "body.html"));
    assert_eq!(cut(&format!("é{body}"), finding), "https://<b>bank</b>.example.com&#47;pay");
    assert_eq!(
        finding.evidence,
        "text shows https://bank.example.com/pay, link leads to hxxps://pay[.]example[.]net/x"
    );
}

#[test]
fn ordinary_links_are_not_reported() {
    for link in [
        "<a href='https://www.example.com/a'>https://example.com/b</a>",
        "<a href='https://login.example.com/'>www.example.com</a>",
        "<a href='http://xn--bcher-kva.example.com'>https://bücher.example.com</a>",
        "<a href='mailto:ann@example.com'>www.example.net</a>",
        "<a href='tel:+123'>www.example.net</a>",
        "<a href='#top'>www.example.net</a>",
        "<a href='https://example.com'>ann@example.net</a>",
        "<a href='https://example.com/report'>report.pdf</a>",
        "<a href='https://example.com/README'>README.md</a>",
        "<a href='https://example.com/'>Version 1.2.3</a>",
        "<a href='https://example.com/'>Click here</a>",
        "<a href='https://eur01.safelinks.protection.outlook.com/?url=https%3A%2F%2Fexample.com%2F&amp;data=x'>https://example.com/</a>",
        "<a href='https://urldefense.com/v3/__https://example.com/__;!!x'>example.com</a>",
        "<a name='x'>www.example.com</a>",
        "<base href='https://example.com'><a href='/x'>www.example.com</a>",
    ] {
        let report = html(link);
        assert_eq!(report.verdict.findings, [], "{link}");
        assert_eq!(report.verdict.verdict, VerdictKind::Clean);
    }
}

#[test]
fn link_protection_does_not_hide_where_a_link_leads() {
    let report = html(
        "<a href='https://eur01.safelinks.protection.outlook.com/?url=https%3A%2F%2Fpay.example.net%2Fx'>https://example.com/</a>",
    );
    let finding = only(&report);
    assert_eq!(finding.entity, "pay.example.net");
    assert!(finding.evidence.ends_with("(through eur01.safelinks.protection.outlook.com)"));
}

#[test]
fn the_grade_follows_what_is_shown_and_where_it_leads() {
    for (link, severity) in [
        // A name in a sentence, and a mailing service: newsletters look like this.
        ("<a href='https://t.example.net'>Example.com offers</a>", Severity::Low),
        (
            "<a href='https://u1.ct.sendgrid.net/ls/click?upn=x'>https://example.com</a>",
            Severity::Low,
        ),
        ("<a href='https://pay.example.net'>https://example.com</a>", Severity::Medium),
        ("<a href='https://bit.ly/x'>example.com</a>", Severity::Medium),
        ("Sign in: <a href='https://pay.example.net'>https://example.com</a>", Severity::High),
        ("<a href='https://pay.example.net'>https://corp.example.org/x</a>", Severity::High),
        ("<a href='https://10.0.0.1/'>www.example.com</a>", Severity::High),
        ("<a href='https://example.com.pay.test'>www.example.com</a>", Severity::High),
    ] {
        assert_eq!(only(&html(link)).severity, severity, "{link}");
    }
}

#[test]
fn an_address_that_hides_its_host_behind_an_at_sign_is_malicious_when_it_asks_to_sign_in() {
    let report = html("<a href='https://login.example.com@pay.example.net/'>Sign in</a>");
    let finding = only(&report);
    assert_eq!(report.verdict.verdict, VerdictKind::Malicious);
    assert_eq!((finding.detector.as_str(), finding.severity), ("link-user-info", Severity::High));
    assert_eq!(
        cut("é<a href='https://login.example.com@pay.example.net/'>", finding),
        "https://login.example.com@pay.example.net/"
    );

    let text = "See https://www.example.com%2Fa:443@pay.example.net/ now";
    let verdict = with_context(|context| inspect_text(text, context));
    assert_eq!(verdict.verdict, VerdictKind::Suspicious);
    assert_eq!(verdict.findings[0].field, "text");
    assert_eq!(cut(text, &verdict.findings[0]), "https://www.example.com%2Fa:443@pay.example.net/");

    for harmless in [
        "https://ann:secret@example.com/",
        "https://consulting@example.com/",
        "https://www.example.com@example.com/",
        "https://example.com/@example.net",
        "https://example.com?a=b@example.net",
    ] {
        let verdict = with_context(|context| inspect_text(harmless, context));
        let links = verdict.findings.iter().filter(|finding| finding.detector.starts_with("link-"));
        assert_eq!(links.count(), 0, "{harmless}");
    }
}

/// Published by the card schemes for tests.
const VISA: &str = "4242 4242 4242 4242";
const AMEX: &str = "3782-822463-10005";

#[test]
fn a_card_number_is_found_in_place_and_not_shown() {
    let text = format!("Ünser Zahlungsmittel:\nKreditkarte {VISA}, gültig bis 11/29\n");
    let verdict = with_context(|context| inspect_text(&text, context));
    let [finding] = &verdict.findings[..] else { panic!("{verdict:?}") };
    assert_eq!(verdict.verdict, VerdictKind::Sensitive);
    assert_eq!((finding.entity.as_str(), finding.severity), ("PAYMENT_CARD", Severity::High));
    assert_eq!(cut(&text, finding), VISA);
    assert!(finding.evidence.starts_with("Visa ************4242 #"), "{}", finding.evidence);
    assert!(!finding.evidence.contains("4242 4242") && !finding.evidence.contains("42424242"));
}

#[test]
fn equal_numbers_are_recognised_however_they_are_written() {
    let evidence = |text: &str| {
        let verdict = with_context(|context| inspect_text(text, context));
        verdict.findings[0].evidence.clone()
    };
    assert_eq!(evidence("card 4242424242424242"), evidence("Karte 4242-4242-4242-4242"));
    assert_ne!(evidence("card 4242424242424242"), evidence("card 4111111111111111"));
}

#[test]
fn numbers_that_are_something_else_are_left_alone() {
    for text in [
        "Order number 4242424242424242",
        "Sendungsnummer 4242424242424242",
        "IMEI: 4242424242424242",
        "https://example.com/track?id=4242424242424242",
        "Message-ID: <4242424242424242.1@example.com>",
        "42424242424242424242",
        "card 4242424242424243",
        "sha 4242424242424242abcdef",
    ] {
        let verdict = with_context(|context| inspect_text(text, context));
        assert_eq!(verdict.verdict, VerdictKind::Clean, "{text}");
        assert_eq!(verdict.findings, [], "{text}");
    }
    let verdict = with_context(|context| inspect_text(&format!("Order number {VISA}"), context));
    assert_eq!((verdict.verdict, verdict.findings.len()), (VerdictKind::Clean, 1));
}

#[test]
fn findings_lead_into_every_corner_of_a_message() {
    let page = format!("<table><tr><th>Card<td>{}</table>", VISA.replace(' ', "&nbsp;"));
    let message = format!(
        "Message-ID: <1@example.com>\n\
         Subject: =?utf-8?q?Karte_{}?=\n\
         Content-Type: multipart/mixed; boundary=o\n\n\
         --o\nContent-Type: multipart/alternative; boundary=i\n\n\
         --i\nContent-Transfer-Encoding: quoted-printable\n\ncard=20{AMEX} =C3=A9\n\
         --i\nContent-Type: text/html\nContent-Transfer-Encoding: base64\n\n{}\n--i--\n\
         --o\nContent-Type: application/octet-stream; name=\"cards.csv\"\n\nname,card\nann,4242424242424242\n\
         --o\nContent-Type: message/rfc822\n\nSubject: inner\n\nvisa {VISA}\n\
         --o--\n",
        VISA.replace(' ', "_"),
        BASE64.encode(page.as_bytes()),
    );
    let report = report(&message);
    assert_eq!(report.message_id.as_deref(), Some("<1@example.com>"));
    let found: Vec<(&str, String)> = report
        .verdict
        .findings
        .iter()
        .map(|finding| {
            let source = match finding.field.as_str() {
                "subject" => format!("Karte {VISA}"),
                "body.text" => format!("card {AMEX} é"),
                "body.html" => page.clone(),
                "attachment[0].text" => "name,card\nann,4242424242424242".to_owned(),
                _ => format!("visa {VISA}"),
            };
            (finding.field.as_str(), cut(&source, finding))
        })
        .collect();
    assert_eq!(
        found,
        [
            ("subject", VISA.to_owned()),
            ("body.text", AMEX.to_owned()),
            ("body.html", VISA.replace(' ', "&nbsp;")),
            ("attachment[0].text", "4242424242424242".to_owned()),
            ("attachment[1].message.body.text", VISA.to_owned()),
        ]
    );
    assert_eq!(report, self::report(&message), "the same bytes give the same report");
}

#[test]
fn a_file_that_is_no_message_is_inspected_as_an_attachment() {
    let verdict = with_context(|context| {
        inspect_attachment("PAY.HTM", format!("<p>Visa <b>{VISA}</b>").as_bytes(), context)
    });
    assert_eq!(verdict.findings[0].field, "attachment[0].text");
    assert_eq!(verdict.verdict, VerdictKind::Sensitive);
}

#[test]
fn a_canary_that_nobody_can_read_is_not_taken_for_inspected() {
    let mark = "7f".repeat(32);
    let canary = |head: &str, body: &str| {
        let read = report(&format!("X-Mailkeep-Canary: {mark}\n{head}\n{body}")).canary;
        read.map(|read| (read.mark.as_str().to_owned(), read.legible))
    };
    let html = format!("<p>A canary: <b>{mark}</b></p>");
    let encoded = BASE64.encode(html.as_bytes());
    let html_head = "Content-Type: text/html\nContent-Transfer-Encoding: base64\n";
    assert_eq!(canary(html_head, &encoded), Some((mark.clone(), true)));
    assert_eq!(canary("", "sealed by somebody on its way"), Some((mark.clone(), false)));
    let attached = "Content-Type: multipart/mixed; boundary=o\n";
    let file = format!(
        "--o\nContent-Type: text/plain; name=a.txt\nContent-Disposition: attachment\n\n{mark}\n--o--\n"
    );
    assert_eq!(canary(attached, &file), Some((mark.clone(), false)), "it is no body");
    for not_a_mark in ["", "7f", &mark.to_uppercase(), &format!("{mark} and more")] {
        let message = format!("X-Mailkeep-Canary: {not_a_mark}\n\n{mark}");
        assert_eq!(report(&message).canary, None, "{not_a_mark:?}");
    }
    let inner = format!("Content-Type: message/rfc822\n\nX-Mailkeep-Canary: {mark}\n\n{mark}");
    assert_eq!(report(&inner).canary, None, "a message that holds a canary is none");
}

#[test]
fn what_the_organisation_named_itself_is_found_and_its_records_are_not_shown() {
    let key = MaskKey::from_bytes([7; 32]);
    let match_key = MatchKey::from_bytes([9; 32]);
    let record = ["Quentin Example", "1961-04-09"].map(|value| match_key.hash(value).unwrap());
    let lists = [ExactList::new("patients", match_key, [record.to_vec()]).unwrap()];
    let dictionaries = [Dictionary::new("PROJECTS", ["project heron".to_owned()], 1).unwrap()];
    let context = Context::new(OffsetDateTime::UNIX_EPOCH, &[], &key)
        .with_dictionaries(&dictionaries)
        .with_lists(&lists);
    let text = "é About Project Heron: Quentin Example (1961-04-09) asks.";
    let verdict = inspect_text(text, &context);
    let found: Vec<(&str, &str, String)> = verdict
        .findings
        .iter()
        .map(|f| (f.detector.as_str(), f.entity.as_str(), cut(text, f)))
        .collect();
    assert_eq!(
        found,
        [
            ("key-phrase", "PROJECTS", "Project Heron".to_owned()),
            ("exact-match", "patients", "Quentin Example (1961-04-09".to_owned()),
        ]
    );
    let record = &verdict.findings[1];
    assert!(
        !record.evidence.contains("Quentin") && !record.evidence.contains("1961"),
        "{}",
        record.evidence
    );
    assert_eq!(verdict.verdict, VerdictKind::Sensitive);
}

#[test]
fn numbers_and_secrets_are_found_in_place_whatever_they_are_written_in_and_are_not_shown() {
    let body = "<p>Mein Konto: <b>DE43 1000</b> 0000 0705 8161 65, the password: k0ffeE!27</p>";
    let report = html(body);
    let found: Vec<(&str, String)> = report
        .verdict
        .findings
        .iter()
        .map(|f| (f.entity.as_str(), cut(&format!("é{body}"), f)))
        .collect();
    assert_eq!(
        found,
        [
            ("IBAN_CODE", "DE43 1000</b> 0000 0705 8161 65".to_owned()),
            ("SECRET_PASSWORD", "k0ffeE!27".to_owned()),
        ]
    );
    for finding in &report.verdict.findings {
        assert!(
            !finding.evidence.contains("0705") && !finding.evidence.contains("k0ff"),
            "{}",
            finding.evidence
        );
    }
    assert_eq!(report.verdict.verdict, VerdictKind::Sensitive);
}
