//! Input that is made to hurt: nothing panics, nothing takes long, and what was not looked at is
//! said.

mod corpora;

use std::{fs, time::Instant};

use mailkeep_inspect::{
    Context, Limits, MaskKey, Report, inspect, inspect_attachment, inspect_prefix, inspect_text,
};
use proptest::prelude::*;
use time::OffsetDateTime;

use self::corpora::{corpus, files};

/// Far more than any of it takes in a debug build on a busy machine; a hang takes longer.
const TOO_LONG: u64 = 30;

const BIG: usize = 16 << 20;

/// Enough to tell linear from quadratic in a debug build.
const LARGE: usize = 1 << 20;

fn with_context<T>(use_it: impl FnOnce(&Context<'_>) -> T) -> T {
    let key = MaskKey::from_bytes([7; 32]);
    use_it(&Context::new(OffsetDateTime::UNIX_EPOCH, &[], &key))
}

fn check(name: &str, bytes: &[u8]) -> Report {
    let start = Instant::now();
    let report = with_context(|context| inspect(bytes, context));
    let took = start.elapsed();
    eprintln!("{name}: {took:?}, {:?}", report.verdict.not_inspected);
    assert!(took.as_secs() < TOO_LONG, "{name} took {took:?}");
    report
}

fn big(unit: &str) -> String {
    unit.repeat(BIG / unit.len())
}

fn large(unit: &str) -> String {
    unit.repeat(LARGE / unit.len())
}

fn html(body: &str) -> Vec<u8> {
    format!("Content-Type: text/html; charset=utf-8\n\n{body}").into_bytes()
}

#[test]
fn every_malformed_message_of_the_fixtures_gets_a_verdict() {
    let Some(folder) = corpus("fixtures") else { return };
    let files = files(folder);
    assert!(files.len() > 300, "{}", files.len());
    for path in files {
        let bytes = fs::read(&path).unwrap();
        check(&path.display().to_string(), &bytes);
        for cut in [1, 2, 3] {
            with_context(|c| inspect_prefix(&bytes[..bytes.len() * cut / 4], u64::MAX, c));
        }
    }
}

#[test]
fn sixteen_mebibytes_of_nested_messages_end_with_a_note() {
    let multipart = |n| format!("Content-Type: multipart/mixed; boundary=b{n}x\n\n--b{n}x\n");
    let digest = |n| format!("Content-Type: multipart/digest; boundary=b{n}x\n\n--b{n}x\n\n");
    for nested in [
        big("Content-Type: message/rfc822\n\n"),
        (0..BIG / 60).map(multipart).collect(),
        (0..BIG / 60).map(digest).collect(),
    ] {
        let report = check(&nested[..40], nested.as_bytes());
        assert!(is_found(&report, "message-limit", "nesting"), "{:?}", report.verdict);
        let notes = report.verdict.not_inspected;
        assert!(notes.iter().any(|note| note.contains("nested deeper")), "{notes:?}");
    }
}

#[test]
fn a_message_of_very_many_parts_ends_with_a_note() {
    let report = check(
        "parts",
        format!("Content-Type: multipart/mixed; boundary=b\n\n{}", big("--b\n\nx\n")).as_bytes(),
    );
    assert_eq!(report.verdict.not_inspected, ["more than 1000 parts: the rest was not inspected"]);
    assert!(is_found(&report, "message-limit", "parts"), "{:?}", report.verdict);
}

#[test]
fn a_link_through_redirectors_without_end_is_a_finding() {
    let mut link = "https://evil.example/".to_owned();
    for _ in 0..9 {
        let inner: String = url::form_urlencoded::byte_serialize(link.as_bytes()).collect();
        link = format!("https://www.google.com/url?q={inner}");
    }
    let report = check("redirects", &html(&format!("<a href=\"{link}\">here</a>")));
    assert!(report.verdict.findings.iter().any(|f| f.detector == "link-redirects"), "{report:?}");
    let short = "https://www.google.com/url?q=https%3A%2F%2Fa.example%2F";
    let report = check("redirect", &html(&format!("<a href=\"{short}\">here</a>")));
    assert!(report.verdict.findings.iter().all(|f| f.detector != "link-redirects"), "{report:?}");
}

/// The pipeline holds the first 16 MiB of a message, whatever its size, and says so.
#[test]
fn of_an_attachment_of_a_gibibyte_the_beginning_is_inspected_and_the_rest_is_named() {
    let head = "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: application/\
                octet-stream; name=a.exe\nContent-Transfer-Encoding: base64\n\nTVqQ\n";
    let message = format!("{head}{}", big("QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB\n"));
    let report = with_context(|c| inspect_prefix(message.as_bytes(), 1 << 30, c));
    let notes = &report.verdict.not_inspected;
    assert!(notes.iter().any(|note| note.contains("of 1073741824 bytes")), "{notes:?}");
    assert!(report.verdict.findings.iter().any(|f| f.detector == "attachment-program"));
}

fn is_found(report: &Report, detector: &str, entity: &str) -> bool {
    report.verdict.findings.iter().any(|f| f.detector == detector && f.entity == entity)
}

#[test]
fn repetitive_html_is_read_in_linear_time() {
    for unit in [
        "<",
        "<a ",
        "<a href=x>",
        "<!--",
        "<!-- --",
        "</",
        "</a",
        "&",
        "&#",
        "&amp",
        "<script>",
        "<b a='",
        "<a href=https://example.net>https://example.com</a>",
        "<td>",
        "<base href=x>",
        " ",
        "\n<pre>",
        "<p>4000 1234 1234 1234 ",
    ] {
        check(unit, &html(&large(unit)));
    }
    check("16 MiB of <", &html(&big("<")));
    let link = "<a href=https://example.net>https://example.com</a>";
    let many = check("links", &html(&link.repeat(6_000)));
    assert!(many.verdict.not_inspected.iter().any(|note| note.contains("links")));
    assert!(many.verdict.not_inspected.iter().any(|note| note.contains("findings")));
    assert_eq!(many.verdict.findings.len(), Limits::default().findings);
}

#[test]
fn repetitive_link_texts_are_read_in_bounded_time() {
    for unit in [
        ".",
        "a.",
        "a.com ",
        "http://",
        "a@",
        "@a.",
        "://",
        "a:",
        "-.",
        "(.",
        "\u{200b}.",
        "é.",
        "1.",
        "[.",
        "'a.b",
    ] {
        let link =
            format!("<a href='https://x@example.net'>{}</a>", unit.repeat(2_000 / unit.len()));
        check(unit, &html(&link.repeat(1_000)));
    }
}

#[test]
fn repetitive_text_is_read_in_linear_time() {
    for unit in [
        "1",
        "1 ",
        "1-",
        "4000123412341234",
        "4000123412341234 ",
        "4000 1234 1234 1234 ",
        "4111111111111111 ",
        "4111111111111111,",
        "4111 1111 1111 1111 ",
        "http://",
        "://@",
        "x://a.b@",
        "=",
        "=\n",
        "\u{a0}1",
    ] {
        check(unit, format!("Subject: x\n\n{}", large(unit)).as_bytes());
    }
}

#[test]
fn repetitive_headers_are_read_in_bounded_time() {
    for unit in ["=?utf-8?q?", "=?utf-8?b?QUFB?= ", "(", "\"", "<", ";a=", "a*0*=b;", "\n ", ":"] {
        for name in ["Subject", "Content-Type", "Content-Disposition", "Message-ID", "X"] {
            check(
                &format!("{name}: {unit}"),
                format!("{name}: {}\n\nbody", large(unit)).as_bytes(),
            );
        }
    }
    check("many headers", large("A:b\n").as_bytes());
}

#[test]
fn what_lies_behind_a_limit_is_named() {
    let message = format!("Subject: x\n\n{}", "a".repeat(1_000));
    with_context(|context| {
        let limits = Limits { message_bytes: 100, ..Limits::default() };
        let report = inspect(message.as_bytes(), &context.with_limits(limits));
        assert_eq!(
            report.verdict.not_inspected,
            ["only the first 100 of 1012 bytes were inspected"]
        );

        let report = inspect_prefix(message.as_bytes(), 150_000_000, context);
        assert_eq!(
            report.verdict.not_inspected,
            ["only the first 1012 of 150000000 bytes were inspected"]
        );

        let limits = Limits { text_bytes: 100, ..Limits::default() };
        let report = inspect(message.as_bytes(), &context.with_limits(limits));
        assert_eq!(
            report.verdict.not_inspected,
            ["more than 100 bytes of text: the rest was not inspected"]
        );

        let verdict = inspect_attachment("a.xyz", b"\x01\x00\x02\x00", context);
        assert_eq!(
            verdict.not_inspected,
            ["attachment[0]: 'a.xyz' is of a type that is not inspected"]
        );
    });
}

/// Pieces that a message is made of, in any order.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        proptest::sample::select(vec![
            "\n",
            "\r\n",
            "\n\n",
            " ",
            "--b",
            "--b--",
            "Content-Type: text/html",
            "Content-Type: message/rfc822",
            "Content-Type: multipart/mixed; boundary=b",
            "Content-Transfer-Encoding: base64",
            "Content-Transfer-Encoding: quoted-printable",
            "Subject: ",
            "=?utf-8?q?=C3=A9?=",
            "<a href='",
            "<a href=https://example.net>",
            "</a>",
            "https://example.com/é",
            "https://a.com@example.net",
            "<!--",
            "-->",
            "&#52;",
            "&nbsp;",
            "4111 1111 1111 1111",
            "4111-1111-1111-1111",
            "é",
            "\u{200b}",
            "。",
            "=3D",
            "'>",
        ])
        .prop_map(str::to_owned),
        ".{0,8}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_get_a_verdict(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        with_context(|context| inspect(&bytes, context));
    }

    #[test]
    fn every_finding_points_into_its_text(pieces in proptest::collection::vec(piece(), 0..60)) {
        let text = pieces.concat();
        with_context(|context| {
            let message = inspect(text.as_bytes(), context).verdict;
            let alone = inspect_text(&text, context);
            let page = inspect_attachment("a.html", text.as_bytes(), context);
            let length = text.chars().count();
            let all = message.findings.iter().chain(&alone.findings).chain(&page.findings);
            // A finding on a file as a whole points to no text.
            for finding in all.filter(|f| f.category != mailkeep_model::Category::Attachment) {
                prop_assert!(finding.start < finding.end && finding.end <= length, "{finding:?}");
            }
            for finding in alone.findings.iter().filter(|f| f.entity == "PAYMENT_CARD") {
                let cut: Vec<char> = text.chars().skip(finding.start).take(finding.end - finding.start).collect();
                prop_assert!(cut[0].is_ascii_digit() && cut[cut.len() - 1].is_ascii_digit());
            }
            Ok(())
        })?;
    }
}

/// What could make a scan for sensitive content walk the same text again and again.
#[test]
fn text_made_to_slow_the_search_for_sensitive_content_takes_no_longer_than_other_text() {
    for unit in [
        "DE43 1000 0000 0705 8161 65 ",
        "DE43100000000705816165",
        "1234 ",
        "12-34-56-78-",
        "123456789 ",
        "446220196,",
        "A",
        "AB12",
        "password: ",
        "password is ",
        "passwordpassword",
        "eyJ",
        "eyJhbGciOiJub25lIn0.",
        "-----BEGIN PRIVATE KEY-----\n",
        "-----BEGIN ",
        "PuTTY-User-Key-File-",
        "https://a:",
        "://",
        "Authorization: ",
        "secret=",
        "twilio ",
        "ssn ",
        "ghp_",
        "-us1",
        "\u{a0}1",
        "n,446220196\n",
    ] {
        let text = large(unit);
        let start = Instant::now();
        let verdict = with_context(|context| inspect_text(&text, context));
        let took = start.elapsed();
        eprintln!(
            "{unit:?}: {took:?}, {} findings, {:?}",
            verdict.findings.len(),
            verdict.not_inspected
        );
        assert!(took.as_secs() < TOO_LONG, "{unit:?} took {took:?}");
        assert!(verdict.findings.len() <= Limits::default().findings);
    }
}
