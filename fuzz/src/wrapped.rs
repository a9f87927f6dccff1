//! What a fuzzer would hardly put together by itself: input in the container that its parser
//! expects around it.

use mailkeep_inspect::{
    Context, FeedList, Feeds, Habits, Limits, OpenMessage, Sender, inspect, inspect_attachment,
    inspect_rule,
};
use time::OffsetDateTime;

use super::{is_sane, with_context};

/// A body of HTML and the same page as a file: markup, styles, links, forms, pictures.
pub(super) fn inspect_html(data: &[u8]) {
    let message = [b"From: a@b.example\nContent-Type: text/html; charset=utf-8\n\n", data].concat();
    with_context(|context| is_sane(&inspect(&message, context).verdict));
}

/// Header fields in front of a body; and what scanners are given is what inspection saw.
pub(super) fn inspect_headers(data: &[u8]) {
    let message = [data, b"\n\nSee https://a.example/ and call 555."].concat();
    with_context(|context| is_sane(&inspect(&message, context).verdict));
    let open = OpenMessage::read(&message, message.len() as u64, &Limits::default());
    for file in open.files() {
        assert!(!file.path.is_empty() && file.bytes.len() <= message.len() * 2_000);
    }
}

/// Each line as a link: in plain text, as a target, as what is shown, and as what a feed names.
pub(super) fn inspect_links(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let list = FeedList::read("feed", data);
    let feeds: Feeds = list.into_iter().map(std::sync::Arc::new).collect();
    let page: String = text
        .lines()
        .map(|line| {
            let line = line.replace('"', "%22").replace('<', "&lt;");
            format!("<a href=\"{line}\">{line}</a>\n")
        })
        .collect();
    with_context(|context| {
        let context = context.with_feeds(&feeds);
        for (kind, body) in [("plain", text.as_ref()), ("html", &page)] {
            let message = format!("Content-Type: text/{kind}; charset=utf-8\n\n{body}");
            is_sane(&inspect(message.as_bytes(), &context).verdict);
        }
    });
}

/// A picture that is attached.
pub(super) fn inspect_picture(data: &[u8]) {
    with_context(|context| is_sane(&inspect_attachment("a.png", data, context)));
}

/// An inbox rule as a provider tells it, and the name of a folder behind a form feed.
pub(super) fn inbox_rule(data: &[u8]) {
    let at = data.iter().position(|byte| *byte == 0x0C).unwrap_or(data.len());
    let (rule, folder) = data.split_at(at);
    let Ok(rule) = serde_json::from_slice(rule) else { return };
    let folder = String::from_utf8_lossy(folder.get(1..).unwrap_or_default());
    with_context(|context| {
        let (verdict, read) = inspect_rule(&rule, Some(&folder), context);
        is_sane(&verdict);
        let mut habits = Habits::new(context.now);
        habits.see_rule(&read, context.now);
        assert!(!read.hides() || !verdict.findings.is_empty());
    });
}

/// A mailbox's habits as they are stored, departed from and taught once more.
pub(super) fn stored_habits(data: &[u8]) {
    let Ok(mut habits) = serde_json::from_slice::<Habits>(data) else { return };
    let message = b"From: a@story.example\n\nhttps://x.example/y";
    let recipients = ["b@x.example".to_owned()];
    with_context(|context| {
        for at in [0, 1_795_425_240, -1] {
            let at = OffsetDateTime::from_unix_timestamp(at).expect("a time");
            let sender = Sender { habits: &habits, at, recipients: &recipients };
            let report = inspect(message, &context.with_sender(sender));
            is_sane(&report.verdict);
            report.sent.iter().for_each(|sent| habits.learn(sent));
        }
    });
    let again = serde_json::to_vec(&habits).expect("plain data");
    assert_eq!(serde_json::from_slice::<Habits>(&again).expect("what was written"), habits);
}

/// Pieces between form feeds as the parts of a document of today, of each of the three makes.
pub(super) fn unpack_office(data: &[u8]) {
    const NAMES: [&str; 10] = [
        "[Content_Types].xml",
        "word/document.xml",
        "word/_rels/document.xml.rels",
        "xl/workbook.xml",
        "xl/worksheets/sheet1.xml",
        "xl/sharedStrings.xml",
        "xl/macrosheets/sheet1.xml",
        "ppt/slides/slide1.xml",
        "word/vbaProject.bin",
        "word/embeddings/oleObject1.bin",
    ];
    const OPEN: [&str; 4] = ["mimetype", "content.xml", "META-INF/manifest.xml", "settings.xml"];
    let pieces: Vec<&[u8]> = data.split(|byte| *byte == 0x0C).collect();
    with_context(|context| {
        for (file, names) in [("a.docx", &NAMES[..]), ("a.odt", &OPEN)] {
            let parts: Vec<(&str, &[u8])> =
                names.iter().copied().zip(pieces.iter().copied()).collect();
            is_sane(&inspect_attachment(file, &stored(&parts), context));
        }
    });
}

/// The records of an old workbook.
pub(super) fn unpack_workbook(data: &[u8]) {
    with_context(|context| open_compound("a.xls", &[("Workbook", data)], context));
}

/// An encrypted document: its description in front of a form feed, itself behind it. Passwords to
/// try cost time on purpose; what may be spent on them is bounded.
pub(super) fn unpack_encrypted(data: &[u8]) {
    let at = data.iter().position(|byte| *byte == 0x0C).unwrap_or(data.len());
    let (info, package) = data.split_at(at);
    let streams = [("EncryptionInfo", info), ("EncryptedPackage", package)];
    with_context(|context| open_compound("a.docx", &streams, context));
}

fn open_compound(name: &str, streams: &[(&str, &[u8])], context: &Context<'_>) {
    is_sane(&inspect_attachment(name, &compound(streams), context));
}

/// A ZIP archive of files that are not packed (APPNOTE 4.3).
fn stored(files: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, bytes) in files {
        let start = (out.len() as u32).to_le_bytes();
        let size = (bytes.len() as u32).to_le_bytes();
        let len = (name.len() as u16).to_le_bytes();
        let head = [&[10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0][..], &size, &size, &len, &[0, 0]];
        let head = head.concat();
        out.extend([b"PK\x03\x04", &head[..], name.as_bytes(), bytes].concat());
        let entry = [b"PK\x01\x02\x14\0", &head[..], &[0; 10], &start, name.as_bytes()].concat();
        directory.extend(entry);
    }
    let (size, start) = ((directory.len() as u32).to_le_bytes(), (out.len() as u32).to_le_bytes());
    let count = (files.len() as u16).to_le_bytes();
    let end = [b"PK\x05\x06\0\0\0\0", &count[..], &count, &size, &start, &[0, 0]].concat();
    out.extend([directory, end].concat());
    out
}

/// A compound file ([MS-CFB]) with a few streams in its root, none of them in the mini stream.
fn compound(streams: &[(&str, &[u8])]) -> Vec<u8> {
    const SECTOR: usize = 512;
    const END: u32 = 0xFFFF_FFFE;
    let mut sectors: Vec<u8> = Vec::new();
    let mut next: Vec<u32> = Vec::new();
    let mut append = |bytes: &[u8]| -> u32 {
        let count = bytes.len().div_ceil(SECTOR);
        let start = next.len() as u32;
        next.extend((1..=count as u32).map(|n| if n == count as u32 { END } else { start + n }));
        sectors.extend(bytes);
        sectors.resize(next.len() * SECTOR, 0);
        if count == 0 { END } else { start }
    };
    let entry = |name: &str, kind: u8, child: u32, right: u32, start: u32, size: usize| {
        let mut entry: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let length = entry.len() as u16 + 2;
        entry.resize(64, 0);
        entry.extend(length.to_le_bytes());
        entry.extend([kind, 1]);
        [u32::MAX, right, child].iter().for_each(|id| entry.extend(id.to_le_bytes()));
        entry.resize(116, 0);
        entry.extend(start.to_le_bytes());
        entry.extend((size as u64).to_le_bytes());
        entry
    };
    let mut directory = entry("Root Entry", 5, 1, u32::MAX, END, 0);
    for (number, (name, bytes)) in (1..).zip(streams) {
        let right = if number == streams.len() as u32 { u32::MAX } else { number + 1 };
        let start = append(bytes);
        directory.extend(entry(name, 2, u32::MAX, right, start, bytes.len()));
    }
    let directory = append(&directory);
    let tables = (next.len() + 1).div_ceil(SECTOR / 4 - 1);
    let first = next.len() as u32;
    next.resize(next.len() + tables, 0xFFFF_FFFD);
    let mut table: Vec<u8> = next.iter().flat_map(|next| next.to_le_bytes()).collect();
    table.resize(tables * SECTOR, 0xFF);
    let mut file = b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1".to_vec();
    file.resize(24, 0);
    file.extend([0x3E, 0, 3, 0, 0xFE, 0xFF, 9, 0, 6, 0]);
    file.resize(44, 0);
    // Tables, directory, and no stream so small that it is in the mini stream.
    for number in [tables as u32, directory, 0, 0, END, 0, END, 0] {
        file.extend(number.to_le_bytes());
    }
    (0..tables as u32).for_each(|n| file.extend((first + n).to_le_bytes()));
    file.resize(SECTOR, 0xFF);
    [file, sectors, table].concat()
}

pub(super) const HTML: &[&[u8]] = &[
    b"<style>.a{font-size:0;color:#fff}</style><base href=//x.example/><a href='/y'>https://story.example</a><b class=a>h</b>",
    b"<div style='opacity:0;max-height:0'>x</div><form action=/z><input name=passwd type=password></form><img src='cid:1'>",
    b"<a href=\"jav&#x09;ascript:1\"><table><td>4111<td>1111</table><!--[if mso]><p>x<![endif]--><map><area href=x>",
];

pub(super) const HEADERS: &[&[u8]] = &[
    b"From: =?utf-8?B?QW5uIEzDqWU=?= <ann@story.example>\nReply-To: \"bob@x.example\" <b@gmail.com>\nAuthentication-Results: mx; dmarc=fail\nX-Mailer: a\nContent-Language: en-US",
    b"Content-Type: multipart/mixed;\n boundary*0=\"b\"; boundary*1=c\nMIME-Version: 1.0\n\n--bc\nContent-Disposition: attachment; filename*=utf-8''a%2Eexe\n\nMZ",
    b"Content-Type: message/rfc822\nSubject: =?iso-8859-1?Q?=E9?=\n\nSubject: x\nContent-Transfer-Encoding: base64\n\nTVo=",
];

pub(super) const LINKS: &[&[u8]] = &[
    b"https://nam01.safelinks.protection.outlook.com/?url=https%3A%2F%2Fx.example%2Fy&data=05\nhttps://urldefense.com/v3/__https://x.example/y__;Iw!!a!b$\nhttp://0x7f.1/\nhttps://www.story.example@x.example/",
    "https://st\u{43e}ry.example/\nhttp://xn--stry-5cd.example/\nhttps://t.co/x?u=https://y.example\n//x\ndata:text/html,<p>\n1.2.3.4\nmailto:a@b".as_bytes(),
];

pub(super) const PICTURES: &[&[u8]] = &[
    include_bytes!("../seeds/code.png"),
    b"GIF89a\x20\0\x20\0\x80\0\0\0\0\0\xFF\xFF\xFF,\0\0\0\0\x20\0\x20\0\0\x02\x02\x44\x01\0;",
    b"BM\x3E\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\x20\0\0\0\x20\0\0\0\x01\0\x18\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
];

pub(super) const DOCUMENTS: &[&[u8]] = &[
    b"<Types><Override PartName='/word/document.xml' ContentType='application/vnd.ms-word.document.macroEnabled.main+xml'/></Types>\x0C<w:document><w:instrText>DDEAUTO c x</w:instrText><w:t>4111 1111 1111 1111</w:t></w:document>\x0C<Relationships><Relationship Type='x/attachedTemplate' Target='https://x.example/a.dotm' TargetMode='External'/></Relationships>",
    b"<Types/>\x0C\x0C\x0C<workbook><sheets><sheet name='a' state='veryHidden'/></sheets><definedName name='_xlnm.Auto_Open'>x!A1</definedName></workbook>\x0C<worksheet><c t='s'><v>0</v></c><f>EXEC(\"c\")</f></worksheet>\x0C<sst><si><t>x</t></si></sst>\x0C<xm:macrosheet><f>CALL(\"urlmon\")</f></xm:macrosheet>",
    b"application/vnd.oasis.opendocument.text\x0C<office:document-content><text:a xlink:href='https://x.example'>y</text:a><office:scripts/></office:document-content>\x0C<manifest:file-entry manifest:full-path='Basic/x.xml'><manifest:encryption-data/>",
];

pub(super) const RULES: &[&[u8]] = &[
    br#"{"displayName":".","isEnabled":true,"conditions":{"subjectContains":["phish"],"hasAttachments":null},"actions":{"delete":true,"forwardTo":[{"emailAddress":{"address":"a@x.example"}}]}}"#,
    b"{\"displayName\":\"a\",\"actions\":{\"moveToFolder\":\"f\",\"markAsRead\":true}}\x0CRSS Feeds",
];

pub(super) const HABITS: &[&[u8]] = &[
    br#"{"settled":true,"since":498729,"messages":300,"hours":{"0":2,"498728":7},"of_day":[0,1,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0],"recipients":[[1,2,3]],"links":[[4,0,1]],"people":{"498728":{"4":9}},"campaigns":{"20000":9},"rules":{"7":1795425000,"8":null}}"#,
    br#"{"settled":false,"messages":4294967295,"since":-9223372036854775808}"#,
];

pub(super) const WORKBOOKS: &[&[u8]] = &[
    b"\x09\x08\x10\0\0\x06\x05\0\0\0\0\0\0\0\0\0\0\0\0\0\x85\0\x09\0\0\0\0\0\x02\x01\x01\0a\x18\0\x10\0\x20\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\x01\x0A\0\0\0",
    b"\x09\x08\x10\0\0\x06\x40\0\0\0\0\0\0\0\0\0\0\0\0\0\x06\0\x1D\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x07\0\x17\x02\0cm\x42\x01\x6E\0\x0A\0\0\0\x2F\0\x04\0\0\0\x01\x02",
    b"\x09\x08\x10\0\0\x06\x05\0\0\0\0\0\0\0\0\0\0\0\0\0\xFC\0\x0E\0\x01\0\0\0\x01\0\0\0\x03\0\0abc\x3C\0\x02\0xy\x0A\0\0\0",
];

pub(super) const ENCRYPTED: &[&[u8]] = &[
    b"\x04\0\x04\0\x40\0\0\0<encryption><keyData saltSize='16' blockSize='16' keyBits='128' hashSize='20' cipherAlgorithm='AES' cipherChaining='ChainingModeCBC' hashAlgorithm='SHA1' saltValue='AAAAAAAAAAAAAAAAAAAAAA=='/><keyEncryptors><p:encryptedKey spinCount='2' saltSize='16' keyBits='128' cipherAlgorithm='AES' hashAlgorithm='SHA512' saltValue='AAAAAAAAAAAAAAAAAAAAAA==' encryptedVerifierHashInput='AAAAAAAAAAAAAAAAAAAAAA==' encryptedVerifierHashValue='AAAAAAAAAAAAAAAAAAAAAA==' encryptedKeyValue='AAAAAAAAAAAAAAAAAAAAAA=='/></keyEncryptors></encryption>\x0C\x10\0\0\0\0\0\0\0aaaaaaaaaaaaaaaa",
    b"\x03\0\x02\0\x24\0\0\0\x20\0\0\0\x24\0\0\0\0\0\0\0\x0E\x66\0\0\x04\x80\0\0\x80\0\0\0\x18\0\0\0\0\0\0\0\0\0\0\0\x10\0\0\0aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbb\x14\0\0\0cccccccccccccccccccccccccccccccc\x0C\x08\0\0\0\0\0\0\0dddddddddddddddd",
];
