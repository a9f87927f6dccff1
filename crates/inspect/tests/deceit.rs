//! Mail that wants something from its reader, on messages of our own: what it is found by, and the
//! honest mail beside it that must stay clean.

use std::sync::Arc;

use mailkeep_inspect::{
    Context, Executive, FeedList, Feeds, Habits, MaskKey, Report, Sender, inspect,
};
use mailkeep_model::{Severity, VerdictKind};
use time::{Duration, OffsetDateTime};

fn with_context<T>(use_it: impl FnOnce(Context<'_>) -> T) -> T {
    let key = MaskKey::from_bytes([7; 32]);
    let own = ["northwind.example.com".to_owned(), "fabrikam.org".to_owned()];
    let people =
        [Executive { name: "Ada Holm".into(), addresses: vec!["ada.holm@fabrikam.org".into()] }];
    use_it(Context::new(OffsetDateTime::UNIX_EPOCH, &own, &key).with_executives(&people))
}

fn mail(headers: &str, html: &str) -> Report {
    let message = format!("{headers}\nContent-Type: text/html; charset=utf-8\n\n{html}");
    with_context(|context| inspect(message.as_bytes(), &context))
}

fn severity(report: &Report, detector: &str) -> Option<Severity> {
    let found = report.verdict.findings.iter().filter(|finding| finding.detector == detector);
    found.map(|finding| finding.severity).max()
}

#[test]
fn mail_that_threatens_an_account_and_leads_elsewhere_is_suspicious_in_seven_languages() {
    for (subject, text) in [
        (
            "Action required",
            "Your account has been suspended. Verify your account within 24 hours.",
        ),
        ("Ihr Konto", "Ihr Konto wurde gesperrt. Bitte bestätigen Sie Ihre Daten umgehend."),
        ("Votre compte", "Votre compte a été suspendu. Confirmez votre identité, dernier rappel."),
        ("Su cuenta", "Su cuenta ha sido bloqueada. Verifique su cuenta inmediatamente."),
        ("Sua conta", "Sua conta foi bloqueada. Confirme seus dados imediatamente."),
        (
            "Il tuo account",
            "Il tuo account è stato sospeso. Conferma la tua identità immediatamente.",
        ),
        ("Uw account", "Uw account is geblokkeerd. Bevestig uw gegevens, laatste waarschuwing."),
    ] {
        let headers = format!("From: Service <a@mail.example.net>\nSubject: {subject}");
        let report = mail(&headers, &format!("<p>{text}<a href='https://x.example.org/a'>OK</a>"));
        assert!(report.verdict.verdict >= VerdictKind::Suspicious, "{text}: {:?}", report.verdict);
        // A link home is what honest mail of this kind has.
        let report =
            mail(&headers, &format!("<p>{text}<a href='https://www.example.net/a'>OK</a>"));
        assert_eq!(report.verdict.verdict, VerdictKind::Clean, "{text}: {:?}", report.verdict);
    }
}

#[test]
fn a_firms_name_at_a_foreign_address_with_a_foreign_link_is_suspicious() {
    let page = "<a href='https://x.example.org/a'>Open</a>";
    for from in [
        "PayPal <service@mail.example.net>",
        "\"PayPal Security Team\" <a@mail.example.net>",
        "\"P\u{430}yPal Support\" <a@mail.example.net>",
        "=?utf-8?q?Microsoft_Account?= <a@mail.example.net>",
        "Apple Support <a@mail.example.net>",
    ] {
        let report = mail(&format!("From: {from}\nSubject: Hello"), page);
        assert_eq!(severity(&report, "brand-claim"), Some(Severity::High), "{from}");
        assert!(report.verdict.verdict >= VerdictKind::Suspicious, "{from}");
    }
    for from in [
        "PayPal <service@intl.paypal.com>",
        "Chase Miller <chase@mail.example.net>",
        "Apple Orchard Farm <a@mail.example.net>",
    ] {
        let page = "<a href='https://www.example.net/a'>Open</a><a href='https://paypal.com'>x</a>";
        let report = mail(&format!("From: {from}\nSubject: Hello"), page);
        assert_eq!(severity(&report, "brand-claim"), None, "{from}: {:?}", report.verdict);
    }
}

#[test]
fn hosts_that_play_on_a_known_name_are_told_from_those_that_do_not() {
    for (host, expected) in [
        ("paypa1.com", Some(Severity::High)),
        ("xn--pypal-4ve.com", Some(Severity::High)),
        ("paypal-login.net", Some(Severity::High)),
        ("paypal.com.x.example.org", Some(Severity::High)),
        ("rnicrosoft.com", Some(Severity::High)),
        ("fabrikarn.org", Some(Severity::Medium)),
        ("fabrlkam.org", Some(Severity::Medium)),
        ("www.paypal.com", None),
        ("cooking.com", None),
        ("mail.fabrikam.org", None),
        ("apple-orchard.net", None),
    ] {
        let report = mail("From: a@b.example.net", &format!("<a href='https://{host}/'>x</a>"));
        assert_eq!(severity(&report, "look-alike-host"), expected, "{host}: {:?}", report.verdict);
    }
}

#[test]
fn people_who_say_they_are_somebody_else_are_found() {
    for headers in [
        "From: Ada Holm <ada.holm77@gmail.com>",
        "From: \"Holm, Ada\" <office@mail.example.net>",
        "From: \"Ada Holm <ada.holm@fabrikam.org>\" <m1@mail.example.net>",
        "From: \"ben@fabrikam.org\" <m1@mail.example.net>",
        "From: Ben <ben@fabrikam.org>\nReply-To: Ben <ben.b@gmail.com>",
        "From: Ben <ben@fabrikam.org>\nAuthentication-Results: mx; spf=fail; dkim=none; dmarc=fail",
    ] {
        let report = mail(headers, "<p>Are you at your desk?");
        assert_eq!(severity(&report, "impersonation"), Some(Severity::High), "{headers}");
        assert_eq!(report.verdict.verdict, VerdictKind::Suspicious, "{headers}");
    }
    for headers in [
        "From: Ada Holm <ada.holm@fabrikam.org>",
        "From: Ada Holmes <ada@mail.example.net>",
        "From: Ben <ben@fabrikam.org>\nReply-To: Team <team@fabrikam.org>",
        "From: \"a@mail.example.net\" <a@mail.example.net>",
        "From: Ben <ben@fabrikam.org>\nAuthentication-Results: mx; spf=softfail; dkim=pass; dmarc=pass",
    ] {
        let report = mail(headers, "<p>See you tomorrow.");
        assert_eq!(report.verdict.findings, [], "{headers}");
    }
    let report = mail("From: Ben <ben@fabrikarn.org>", "<p>Hello");
    assert_eq!(severity(&report, "look-alike-host"), Some(Severity::High));
}

#[test]
fn disguised_text_is_found_and_newsletters_hidden_lines_are_not() {
    for (html, detector) in [
        ("ver\u{456}fy your \u{430}ccount t\u{43e}day", "text-look-alike"),
        (
            "Le<i style='font-size:0'>x</i>dg<i style='display:none'>y</i>er l<i hidden>z</i>ive",
            "text-hidden",
        ),
        (&"a b c d e f ".repeat(10), "text-spaced"),
        ("<form action='https://x.example.org'><input type=password></form>", "form-password"),
    ] {
        let report = mail("From: a@b.example.net", html);
        assert_eq!(severity(&report, detector), Some(Severity::High), "{html}");
        assert!(report.verdict.verdict >= VerdictKind::Suspicious, "{html}");
    }
    for html in [
        "<div style='display:none'>What is new in May</div><p>Our news",
        "<td style='font-size:0'><span style='font-size:14px'>Our</span> <b style='font-size:14px'>news</b>",
        "Привет, это письмо о Wi-Fi и USB",
    ] {
        assert_eq!(mail("From: a@b.example.net", html).verdict.findings, [], "{html}");
    }
}

#[test]
fn places_that_anybody_can_have_are_told() {
    for (link, detector, expected) in [
        ("https://storage.googleapis.com/x/y.html", "link-place", Severity::High),
        ("https://bit.ly/x", "link-place", Severity::Medium),
        ("https://x.web.app/a", "link-place", Severity::Medium),
        ("https://www.google.com/url?q=https://bit.ly/x", "link-place", Severity::Medium),
        ("https://www.google.de/amp/s/bit.ly/x", "link-place", Severity::Medium),
        ("https://r.example.org/?to=https%3A%2F%2Fbit.ly%2Fx", "link-place", Severity::Medium),
        ("http://203.0.113.9/x", "link-address", Severity::Medium),
        ("http://3405803785/x", "link-address", Severity::High),
        ("htTP://x.example.org/a", "link-address", Severity::Medium),
        ("https://x.example.org/a#ann@fabrikam.org", "link-recipient", Severity::Medium),
    ] {
        let report = mail("From: a@b.example.net", &format!("<a href='{link}'>x</a>"));
        assert_eq!(severity(&report, detector), Some(expected), "{link}: {:?}", report.verdict);
    }
}

#[test]
fn what_a_list_names_and_what_a_mailbox_never_did_before_is_told() {
    let list = FeedList::read("our list", b"https://x.example.org/a\n").unwrap();
    let feeds = Feeds::from_iter([Arc::new(list)]);
    let message = b"From: Ben <ben@fabrikam.org>\n\nhttps://x.example.org/a";
    // Two letters a day, and then one link to thirty people.
    let mut habits = Habits::new(OffsetDateTime::UNIX_EPOCH);
    habits.settle();
    let send = |habits: &Habits, at: OffsetDateTime, to: String| {
        with_context(|context| {
            let sender = Sender { habits, at, recipients: &[to] };
            inspect(message, &context.with_feeds(&feeds).with_sender(sender))
        })
    };
    for n in 0..60 {
        let letter = b"From: Ben <ben@fabrikam.org>\n\nHello";
        let at = OffsetDateTime::UNIX_EPOCH + Duration::hours(n * 12);
        let recipients = ["ann@fabrikam.org".to_owned()];
        let sender = Sender { habits: &habits, at, recipients: &recipients };
        let report = with_context(|context| inspect(letter, &context.with_sender(sender)));
        assert_eq!(severity(&report, "takeover"), None);
        habits.learn(&report.sent.unwrap());
    }
    let now = OffsetDateTime::UNIX_EPOCH + Duration::days(40);
    for n in 0..30 {
        let report = send(&habits, now, format!("p{n}@somewhere.example"));
        habits.learn(&report.sent.unwrap());
    }
    let report = send(&habits, now, "last@somewhere.example".to_owned());
    assert_eq!(severity(&report, "feed-match"), Some(Severity::High));
    assert_eq!(severity(&report, "takeover"), Some(Severity::Medium));
    assert_eq!(report.verdict.verdict, VerdictKind::Malicious);
    assert!(report.verdict.findings.iter().any(|f| f.evidence.contains("the list our list")));
    let takeover: Vec<&str> = report
        .verdict
        .findings
        .iter()
        .filter(|f| f.detector == "takeover")
        .map(|f| f.entity.as_str())
        .collect();
    assert_eq!(takeover, ["burst", "campaign"]);
}
