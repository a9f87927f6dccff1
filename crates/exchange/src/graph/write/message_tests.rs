use mailkeep_model::{FolderId, ItemId, ItemKind, MailboxId};
use time::macros::datetime;

use super::*;

fn mailbox() -> Mailbox {
    Mailbox {
        id: MailboxId("u".into()),
        address: "owner@a.example".parse().unwrap(),
        display_name: "Owner".into(),
    }
}

fn item() -> Item {
    Item {
        subject: "Told".into(),
        from: Some("told@a.example".into()),
        recipients: vec!["owner@a.example".into(), "blind@a.example".into()],
        received: datetime!(2026-01-02 03:04:05 UTC),
        sent: Some(datetime!(2026-01-02 03:04:00 UTC)),
        internet_message_id: Some("<told@a.example>".into()),
        follow_up: FollowUp::Flagged,
        importance: Importance::High,
        categories: vec!["Red".into()],
        provider: json!({"flag": {"flagStatus": "flagged",
            "dueDateTime": {"dateTime": "2026-02-01T00:00:00.0000000", "timeZone": "UTC"}}})
        .as_object()
        .unwrap()
        .clone(),
        ..Item::new(ItemId("m".into()), ItemKind::Message, FolderId("f".into()))
    }
}

const MIME: &[u8] = b"From: Ann <ann@b.example>\r\nTo: owner@a.example\r\nSubject: Hello\r\n\
    Message-ID: <1@b.example>\r\nDisposition-Notification-To: ann@b.example\r\n\r\ntext\r\n";

fn property<'a>(fields: &'a Map<String, Value>, id: &str) -> Option<&'a str> {
    let list = fields["singleValueExtendedProperties"].as_array()?;
    list.iter().find(|one| one["id"] == id)?["value"].as_str()
}

#[test]
fn a_received_message_is_no_draft_and_keeps_its_times_and_marks() {
    let plan = plan(&mailbox(), &item(), MIME);
    let fields = &plan.fields;
    assert_eq!(property(fields, FLAGS), Some("0"));
    assert_eq!(property(fields, RECEIVED), Some("2026-01-02T03:04:05Z"));
    assert_eq!(property(fields, SENT), Some("2026-01-02T03:04:00Z"));
    assert!(property(fields, HEADER).unwrap().starts_with("From: Ann"));
    assert_eq!(fields["from"]["emailAddress"]["address"], "ann@b.example");
    assert_eq!(fields["bccRecipients"][0]["emailAddress"]["address"], "blind@a.example");
    assert_eq!(fields["internetMessageId"], "<1@b.example>");
    assert_eq!(
        (fields["isRead"].as_bool(), &fields["categories"][0]),
        (Some(false), &json!("Red"))
    );
    // A due date alone is refused.
    assert_eq!(fields["flag"]["startDateTime"], fields["flag"]["dueDateTime"]);
    assert!(plan.files.is_empty());
}

#[test]
fn nobody_gets_a_second_receipt_for_a_message_that_was_restored() {
    let received = plan(&mailbox(), &item(), MIME);
    assert!(received.fields.get("isReadReceiptRequested").is_none());
    assert!(received.lost[0].contains("receipt"), "{:?}", received.lost);
    let own = String::from_utf8_lossy(MIME).replace("Ann <ann@b.example>", "Owner@a.example");
    let sent = plan(&mailbox(), &item(), own.as_bytes());
    assert_eq!(sent.fields["isReadReceiptRequested"], true);
}

#[test]
fn a_draft_becomes_a_draft_again() {
    let draft = Item { draft: true, ..item() };
    let plan = plan(&mailbox(), &draft, MIME);
    assert_eq!(property(&plan.fields, FLAGS), None);
    assert_eq!(property(&plan.fields, RECEIVED), None);
}

#[test]
fn a_message_that_cannot_be_read_keeps_what_the_provider_told_and_its_bytes() {
    let plan = plan(&mailbox(), &item(), b"");
    assert_eq!(plan.fields["subject"], "Told");
    assert_eq!(plan.fields["from"]["emailAddress"]["address"], "told@a.example");
    assert_eq!(plan.fields["bccRecipients"].as_array().unwrap().len(), 2);
    assert!(!plan.lost.is_empty());
}

#[test]
fn a_text_too_long_for_a_request_is_attached_and_not_cut() {
    // Escaping makes six bytes of one.
    let text = "\u{1}".repeat(3_000_000);
    let mime = format!("From: a@b.example\r\nContent-Type: text/html\r\n\r\n{text}");
    let plan = plan(&mailbox(), &item(), mime.as_bytes());
    assert!(serialized(&plan.fields).len() <= LONGEST_REQUEST);
    let attached = plan.fields.get("attachments").and_then(Value::as_array).map_or(0, Vec::len);
    assert_eq!(attached + plan.files.len(), 1);
    assert!(plan.lost.iter().any(|lost| lost.contains("too long")), "{:?}", plan.lost);
}

#[test]
fn thousands_of_recipients_neither_break_the_request_nor_vanish_in_silence() {
    let name = "\u{10348}".repeat(250);
    let to: Vec<String> = (0..9_000).map(|n| format!("{name} <a{n}@b.example>")).collect();
    let text = "\u{1}".repeat(LONGEST_BODY / 6 - 100);
    let mime = format!("From: a@b.example\r\nTo: {}\r\n\r\n{text}", to.join(",\r\n "));
    let plan = plan(&mailbox(), &item(), mime.as_bytes());
    assert!(plan.fields["body"]["content"].as_str().is_some_and(|body| !body.is_empty()));
    assert!(serialized(&plan.fields).len() <= LONGEST_REQUEST);
    assert!(plan.lost.iter().any(|lost| lost.contains("recipients")), "{:?}", plan.lost);
}

#[test]
fn an_attached_message_becomes_an_item_unless_something_would_be_lost_by_it() {
    let simple = "From: b@b.example\r\nDate: Fri, 2 Jan 2026 03:04:05 +0000\r\nSubject: Inner\r\n\r\ninner\r\n";
    let files = "From: b@b.example\r\nContent-Type: multipart/mixed; boundary=i\r\n\r\n--i\r\n\r\nx\r\n--i\r\nContent-Type: image/png\r\n\r\ny\r\n--i--\r\n";
    for (inner, kind) in [(simple, "itemAttachment"), (files, "fileAttachment")] {
        let mime = format!(
            "From: a@b.example\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nouter\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n{inner}--b--\r\n"
        );
        let plan = plan(&mailbox(), &item(), mime.as_bytes());
        let attachment = &plan.fields["attachments"][0];
        assert_eq!(attachment["@odata.type"], format!("#microsoft.graph.{kind}"));
        if kind == "itemAttachment" {
            let sent = property(attachment["item"].as_object().unwrap(), SENT);
            assert_eq!(sent, Some("2026-01-02T03:04:05Z"));
        }
    }
}
