use super::*;

fn message(header: &str, body: &str) -> Letter {
    let text = format!(
        "From: Ann <ann@a.example>\r\nSubject: S\r\nMIME-Version: 1.0\r\n{header}\r\n\r\n{body}"
    );
    read(text.replace("\r\n", "\n").replace('\n', "\r\n").as_bytes())
}

fn html(letter: &Letter) -> &str {
    match &letter.body {
        Body::Html(html) => html,
        Body::Text(text) => panic!("text instead of HTML: {text}"),
    }
}

fn text(letter: &Letter) -> &str {
    match &letter.body {
        Body::Text(text) => text,
        Body::Html(html) => panic!("HTML instead of text: {html}"),
    }
}

#[test]
fn of_two_forms_of_a_text_html_is_kept_and_none_is_attached() {
    let letter = message(
        "Content-Type: multipart/alternative; boundary=b",
        "--b\nContent-Type: text/plain\n\nplain\n--b\nContent-Type: text/html; charset=utf-8\n\n<p>rich</p>\n--b--\n",
    );
    assert!(html(&letter).contains("<p>rich</p>"));
    assert!(letter.files.is_empty() && letter.lost.is_empty(), "{letter:?}");
}

#[test]
fn a_picture_in_the_text_stays_in_it_and_a_file_stays_a_file() {
    let letter = message(
        "Content-Type: multipart/mixed; boundary=m",
        "--m\nContent-Type: multipart/related; boundary=r\n\n\
         --r\nContent-Type: text/html\n\n<img src=\"cid:pic@a\">\n\
         --r\nContent-Type: image/png\nContent-ID: <pic@a>\nContent-Transfer-Encoding: base64\n\niVBORw0KGgo=\n--r--\n\
         --m\nContent-Type: application/pdf\nContent-Disposition: attachment; filename*=utf-8''r%C3%A9sum%C3%A9.pdf\nContent-Transfer-Encoding: base64\n\nJVBERg==\n--m--\n",
    );
    let [picture, file] = letter.files.as_slice() else { panic!("{letter:?}") };
    assert!(picture.file.inline && picture.file.content_id.as_deref() == Some("pic@a"));
    assert_eq!(picture.file.bytes, b"\x89PNG\r\n\x1a\n");
    assert!(!file.file.inline && file.file.name == "résumé.pdf");
    assert_eq!(
        (file.file.bytes.as_slice(), file.file.content_type.as_str()),
        (&b"%PDF"[..], "application/pdf")
    );
}

#[test]
fn texts_in_old_charsets_are_read_and_attached_ones_are_not_changed() {
    let mut mime = b"From: =?iso-8859-1?Q?J=F6rg?= <j@a.example>\r\nSubject: =?koi8-r?B?8NLJ18XU?=\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\r\ngr\xfc\xdfe\r\n--b\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Disposition: attachment; filename=a.txt\r\n\r\n".to_vec();
    mime.extend(b"f\xfcr dich\r\n--b--\r\n");
    let letter = read(&mime);
    assert_eq!(text(&letter).trim(), "grüße");
    assert_eq!((letter.subject.as_str(), letter.from.unwrap().name), ("Привет", "Jörg".to_owned()));
    assert_eq!(letter.files[0].file.bytes, b"f\xfcr dich");
}

#[test]
fn a_message_within_a_message_keeps_its_bytes_and_can_become_an_item() {
    let inner = "From: b@b.example\nSubject: Inner\n\ninner text\n";
    let letter = message(
        "Content-Type: multipart/mixed; boundary=b",
        &format!(
            "--b\nContent-Type: text/plain\n\nsee below\n--b\nContent-Type: message/rfc822\n\n{inner}--b--\n"
        ),
    );
    assert_eq!(text(&letter).trim(), "see below");
    let [piece] = letter.files.as_slice() else { panic!("{letter:?}") };
    assert_eq!(piece.file.name, "Inner.eml");
    assert!(piece.file.bytes.starts_with(b"From: b@b.example\r\n"));
    let inner = piece.letter.as_ref().unwrap();
    assert!(
        inner.subject == "Inner" && text(inner).contains("inner text") && inner.files.is_empty()
    );
}

#[test]
fn an_invitation_keeps_its_calendar_part_as_a_file() {
    let letter = message(
        "Content-Type: multipart/alternative; boundary=b",
        "--b\nContent-Type: text/plain\n\nplain\n--b\nContent-Type: text/html\n\n<p>rich</p>\n--b\nContent-Type: text/calendar; method=REQUEST; charset=utf-8\n\nBEGIN:VCALENDAR\n--b--\n",
    );
    let [piece] = letter.files.as_slice() else { panic!("{letter:?}") };
    assert_eq!(
        (piece.file.name.as_str(), piece.file.content_type.as_str()),
        ("invite.ics", "text/calendar")
    );
    assert!(piece.file.bytes.starts_with(b"BEGIN:VCALENDAR"));
}

#[test]
fn a_mailing_lists_footer_is_not_dropped() {
    let letter = message(
        "Content-Type: multipart/mixed; boundary=b",
        "--b\nContent-Type: text/html\n\n<p>rich</p>\n--b\nContent-Type: text/plain\n\nfooter\n--b--\n",
    );
    assert!(html(&letter).contains("rich"));
    assert_eq!(letter.files[0].file.bytes, b"footer");
}

#[test]
fn what_is_signed_or_encrypted_or_unreadable_is_attached_whole() {
    let signed = message(
        "Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; boundary=b",
        "--b\nContent-Type: text/plain\n\nsigned\n--b\nContent-Type: application/pkcs7-signature; name=smime.p7s\nContent-Transfer-Encoding: base64\n\nAAAA\n--b--\n",
    );
    assert!(text(&signed).contains("signed"));
    let enveloped = message(
        "Content-Type: application/pkcs7-mime; name=smime.p7m\nContent-Transfer-Encoding: base64",
        "AAAA\n",
    );
    for letter in [&signed, &enveloped] {
        let original = letter.files.last().unwrap();
        assert_eq!(original.file.name, "original.eml");
        assert!(original.file.bytes.starts_with(b"From: Ann"));
        assert!(letter.lost[0].contains("S/MIME"), "{:?}", letter.lost);
    }
    let many: String = (0..300).map(|_| "--b\nContent-Type: image/png\n\nx\n").collect();
    let many = message("Content-Type: multipart/mixed; boundary=b", &format!("{many}--b--\n"));
    assert_eq!(many.files.len(), 1);
    assert!(many.lost[0].contains("300"), "{:?}", many.lost);
    assert!(read(b"").files.is_empty() && !read(b"").lost.is_empty());
}

#[test]
fn odd_messages_are_taken_as_they_are() {
    for bytes in [
        &b"\r\n"[..],
        b"no header at all",
        b"\xff\xfe\x00",
        b"Subject:\r\n\r\n",
        b"Content-Type: multipart/mixed\r\n\r\nx",
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n--b--",
        b"Content-Type: message/rfc822\r\n\r\n",
        b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!!",
    ] {
        let letter = read(bytes);
        assert!(letter.files.iter().all(|piece| !piece.file.name.is_empty()));
    }
    let long = format!("Subject: {}\r\nX: {}\r\n\r\n", "s".repeat(5000), "h".repeat(100_000));
    let letter = read(long.as_bytes());
    assert_eq!(letter.subject.len(), LONGEST_SUBJECT);
    assert!(letter.header.len() <= LONGEST_HEADER && letter.header.starts_with("Subject: s"));
}

/// What takes a second when each byte is looked at once takes days when the rest of the text is read
/// again for each of its parts.
#[test]
fn a_text_made_to_be_read_again_and_again_is_read_once() {
    const TIMES: usize = 1_000_000;
    assert!(content_ids(&"cid:".repeat(TIMES)).is_empty());
    assert!(content_ids(&"cid:x".repeat(TIMES)).is_empty());
    assert!(content_ids(&"cid:\u{e4}".repeat(TIMES)).is_empty());
    assert_eq!(content_ids(&"cid:x ".repeat(TIMES)).len(), 1);
    // Nor does it take many times its own length of memory.
    let nested: String = (0..20_000).map(|n| format!("{}{n}>", "cid:".repeat(50))).collect();
    let ids = content_ids(&nested);
    assert_eq!(ids.len(), 20_000);
    assert!(ids.iter().map(String::len).sum::<usize>() < nested.len());

    let html = "From: a@a.example\r\nContent-Type: text/html\r\n\r\n".to_owned();
    read((html + &"<img src=cid:".repeat(TIMES / 4)).as_bytes());
    let related = "Content-Type: multipart/related; boundary=b\r\n\r\n--b\r\n".to_owned();
    for body in ["\r\n--b ", "\r\n--", "=\r\n", "=3D", "\r\n--b\r\n\r\n"] {
        for encoding in ["quoted-printable", "base64", "7bit"] {
            let part = format!("Content-Transfer-Encoding: {encoding}\r\n\r\n");
            read((related.clone() + &part + &body.repeat(TIMES / 4)).as_bytes());
        }
    }
}

#[test]
fn a_header_made_to_be_read_again_and_again_is_read_once() {
    const TIMES: usize = 100_000;
    for (begin, again) in [
        ("X: ", "a\r\n "),
        ("Subject: ", "=?utf-8?q?a?= "),
        ("Subject: ", "=?"),
        ("To: ", "a@a.example, "),
        ("To: ", "\"("),
        ("Content-Type: text/plain; ", "x*0*=a; "),
        ("Content-Type: ", "("),
        ("Content-ID: ", "<"),
        ("Date: ", "1 "),
        ("", "X: y\r\n"),
    ] {
        read(format!("{begin}{}\r\n\r\nText", again.repeat(TIMES)).as_bytes());
    }
}
