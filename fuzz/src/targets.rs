//! Every parser of outside input, and what must hold whatever it is given. Shared by the fuzzer
//! and by the tests, which feed the same functions with mutated seeds.

use std::{io::Cursor, str::FromStr};

use mailkeep_identity::{ledger, protocol, uti};
use mailkeep_inspect::{Context, MaskKey};
use mailkeep_model::{Category, FolderId, Verdict};
use mailkeep_vault::{FolderPath, ShortId};
use time::OffsetDateTime;

/// A parser, with inputs to begin from.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) seeds: &'static [&'static [u8]],
    /// Panics when something does not hold.
    pub(crate) run: fn(&[u8]),
}

/// All of them.
pub(crate) const TARGETS: &[Target] = &[
    Target {
        name: "inspect-message",
        what: "a message, through all detectors",
        seeds: MESSAGES,
        run: inspect_message,
    },
    Target {
        name: "inspect-file",
        what: "plain text, CSV and HTML that came as files",
        seeds: FILES,
        run: inspect_file,
    },
    Target {
        name: "inspect-mbox",
        what: "an mbox file, split into messages",
        seeds: MBOXES,
        run: inspect_mbox,
    },
    Target {
        name: "graph-folder-page",
        what: "Graph's answer to mailFolder: delta",
        seeds: FOLDER_PAGES,
        run: graph_folder_page,
    },
    Target {
        name: "graph-item-page",
        what: "Graph's answer to message: delta",
        seeds: ITEM_PAGES,
        run: graph_item_page,
    },
    Target {
        name: "token",
        what: "the identifier inside an access token",
        seeds: &[b"e30.eyJ1dGkiOiJBQUFBQUFBQUFBQUFBQUFBQUFBQUFBIn0.c2ln", b"..", b"opaque"],
        run: token,
    },
    Target { name: "ledger", what: "the signer's ledger", seeds: LEDGERS, run: ledger_lines },
    Target {
        name: "signer-frames",
        what: "both directions of the signer's protocol",
        seeds: FRAMES,
        run: signer_frames,
    },
    Target {
        name: "folder-path",
        what: "MAILBOX:PATH and item ids, as people type them",
        seeds: &[b"Inbox/A%2FB", b"50% off/%25/%3A", b"0123456789ab", "Überstunden".as_bytes()],
        run: folder_path,
    },
];

fn inspect_message(data: &[u8]) {
    with_context(|context| {
        let whole = mailkeep_inspect::inspect(data, context);
        is_sane(&whole.verdict);
        // The same again: a verdict that depends on anything but its input cannot be explained.
        assert_eq!(mailkeep_inspect::inspect(data, context), whole);
        let half = &data[..data.len() / 2];
        is_sane(&mailkeep_inspect::inspect_prefix(half, data.len() as u64, context).verdict);
    });
}

fn inspect_file(data: &[u8]) {
    with_context(|context| {
        let text = String::from_utf8_lossy(data);
        let verdict = mailkeep_inspect::inspect_text(&text, context);
        is_sane(&verdict);
        let points = text.chars().count();
        for finding in &verdict.findings {
            assert!(finding.end <= points, "a finding behind the end of the text: {finding:?}");
        }
        for name in ["a.html", "a.csv", "a.txt", "a.bin"] {
            is_sane(&mailkeep_inspect::inspect_attachment(name, data, context));
        }
    });
}

fn inspect_mbox(data: &[u8]) {
    let read = |max| {
        let messages = mailkeep_inspect::mbox::Messages::new(Cursor::new(data), max);
        messages.map(|message| message.expect("memory does not fail")).collect::<Vec<_>>()
    };
    let whole = read(usize::MAX);
    let cut = read(16);
    assert_eq!(whole.len(), cut.len());
    for (whole, cut) in whole.iter().zip(&cut) {
        assert_eq!(whole.size, whole.bytes.len() as u64);
        assert_eq!(whole.size, cut.size);
        assert!(whole.bytes.starts_with(&cut.bytes) && cut.bytes.len() <= 16);
    }
    assert!(whole.iter().map(|message| message.bytes.len()).sum::<usize>() <= data.len());
}

fn graph_folder_page(data: &[u8]) {
    // An error is a fine answer to garbage; a panic is not.
    let _ = mailkeep_exchange::parse_folder_page(data);
}

fn graph_item_page(data: &[u8]) {
    let _ = mailkeep_exchange::parse_item_page(data, &FolderId("folder".to_owned()));
}

fn token(data: &[u8]) {
    let _ = uti::peek(&String::from_utf8_lossy(data));
}

fn ledger_lines(data: &[u8]) {
    let mut records = 0;
    let verified = ledger::verify_each(data, |_| records += 1);
    if let Ok(summary) = verified {
        assert_eq!(summary.head.seq, records, "a ledger passed with records that nobody saw");
        assert!(summary.bytes <= data.len() as u64);
    }
    for line in data.split(|byte| *byte == b'\n') {
        let _ = ledger::parse(line);
    }
}

fn signer_frames(data: &[u8]) {
    let mut rest = data;
    while let Ok(Some((json, behind))) = protocol::split_frame(rest) {
        if let Ok(request) = protocol::decode_request(json) {
            let frame = protocol::encode(&request).expect("what came in a frame fits in one");
            let (again, _) = protocol::split_frame(&frame).ok().flatten().expect("a whole frame");
            let again = protocol::decode_request(again).expect("our own request");
            assert_eq!(request.request, again.request, "a request changed on its way");
        }
        let _ = protocol::decode_response(json);
        rest = behind;
    }
    let _ = protocol::decode_request(data);
    let _ = protocol::decode_response(data);
}

fn folder_path(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Ok(path) = FolderPath::from_str(&text);
    let Ok(again) = FolderPath::from_str(&path.to_string());
    assert_eq!(path, again, "a printed path names another folder");
    if let Ok(short) = ShortId::from_str(&text) {
        assert_eq!(short.as_str(), text);
    }
}

fn with_context(act: impl FnOnce(&Context<'_>)) {
    let domains = ["story.example".to_owned()];
    let key = MaskKey::from_bytes([7; 32]);
    act(&Context::new(OffsetDateTime::UNIX_EPOCH, &domains, &key));
}

fn is_sane(verdict: &Verdict) {
    assert!((0.0..=1.0).contains(&verdict.score), "score {}", verdict.score);
    for finding in &verdict.findings {
        assert!(finding.start <= finding.end, "{finding:?}");
        // A number must not come out of the program that looks for it.
        let masked = finding.category != Category::Sensitive
            || !finding.evidence.contains("4111111111111111");
        assert!(masked, "{finding:?}");
    }
}

const MESSAGES: &[&[u8]] = &[
    b"Subject: x\r\nFrom: a@b.example\r\n\r\nCard 4111 1111 1111 1111, see http://a.example\r\n",
    b"Content-Type: text/html\r\n\r\n<a href=\"http://evil.example/\">https://story.example</a> &#x34;&amp;\r\n",
    b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=\
      iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\ncaf=E9 4111=201111=201111=201111\r\n--b\r\n\
      Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nx\r\n--b--\r\n",
    b"Subject: =?utf-8?B?4pyJ?= =?iso-8859-1?Q?=E9?=\r\nContent-Transfer-Encoding: base64\r\n\r\nNDExMSAxMTExIDExMTEgMTExMQ==\r\n",
    b"Content-Type: text/html\r\n\r\n<!--<script><style>a{}</style><a href=javascript:x>www.story.example</a><br><p>4111<b>1111</b>1111-1111",
];

const FILES: &[&[u8]] = &[
    b"name;card\nann;4111111111111111\n",
    b"<html><a href='http://user@evil.example'>story.example</a>",
    b"4111 1111 1111 1111 5500-0000-0000-0004",
];

const MBOXES: &[&[u8]] = &[
    b"From a\nSubject: x\n\nbody\n\nFrom b\n\n>From c\n\n\n",
    b"before\nFrom a\r\nx\r\n\r\nFrom b",
    b"From \nFrom \n\n\n",
];

const FOLDER_PAGES: &[&[u8]] = &[
    br#"{"value":[{"id":"a","displayName":"Inbox","parentFolderId":"r","wellKnownName":"inbox"},{"id":"b","@removed":{"reason":"deleted"}}],"@odata.deltaLink":"https://g.example/v1.0/x"}"#,
    br#"{"value":[],"@odata.nextLink":"x"}"#,
];

const ITEM_PAGES: &[&[u8]] = &[
    br#"{"value":[{"id":"a","receivedDateTime":"2026-11-03T09:14:00Z","subject":"x","isRead":true,"isDraft":false,"hasAttachments":false,"categories":["Red"],"changeKey":"k","lastModifiedDateTime":"2026-11-03T09:14:00Z","flag":{"flagStatus":"flagged"},"importance":"high","from":{"emailAddress":{"name":"A","address":"a@b.example"}},"toRecipients":[],"internetMessageId":"<x@y>","singleValueExtendedProperties":[{"id":"Integer 0x0E07","value":"1"}]},{"id":"b","@removed":{"reason":"changed"}},{"id":"c"}],"@odata.nextLink":"https://g.example/x"}"#,
];

const LEDGERS: &[&[u8]] = &[
    b"{\"seq\":1,\"prev\":\"0000000000000000000000000000000000000000000000000000000000000000\",\"time\":\"2026-11-23T09:00:01Z\",\"event\":{\"kind\":\"started\",\"pid\":1,\"version\":\"0.1.0\"},\"hash\":\"8707c7d4ee57cdadadbdd5cf63d56349beaa3d6ce0622f39d5cdebf581ae91fb\"}\n{\"seq\":2,\"prev\":\"8707c7d4ee57cdadadbdd5cf63d56349beaa3d6ce0622f39d5cdebf581ae91fb\",\"time\":\"2026-11-23T09:00:02Z\",\"event\":{\"kind\":\"stopped\"},\"hash\":\"e5e5c4d66b8aeb1290c4ad5bc70979677f366a775a2d78fe6e509db76e574ba6\"}\n",
    b"{\"seq\":1,\"prev\":\"",
];

const FRAMES: &[&[u8]] = &[
    b"\x00\x00\x00\x30{\"v\":1,\"caller\":\"cli\",\"request\":{\"op\":\"status\"}}",
    b"{\"v\":1,\"caller\":\"cli\",\"request\":{\"op\":\"release_secret\",\"job\":\"j-1\",\"tenant\":\"acme\",\"name\":\"repository\"}}",
    b"{\"v\":1,\"response\":{\"answer\":\"done\"}}",
    b"\x00\x00\x00\x02{}\xff\xff\xff\xff",
];
