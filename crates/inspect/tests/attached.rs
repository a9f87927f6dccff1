//! Dangerous attachments, made here by hand: what a person is told about each.

use std::sync::Arc;

use data_encoding::{BASE64, BASE64_MIME};
use mailkeep_inspect::{
    Context, FeedList, Feeds, KnownFile, MaskKey, OpenMessage, Report, RuleMatch, Scanned, inspect,
    inspect_attachment,
};
use mailkeep_model::{Category, Severity, Verdict, VerdictKind};
use time::OffsetDateTime;

fn with_context<T>(use_it: impl FnOnce(&Context<'_>) -> T) -> T {
    let key = MaskKey::from_bytes([7; 32]);
    use_it(&Context::new(OffsetDateTime::UNIX_EPOCH, &[], &key))
}

fn file(name: &str, bytes: &[u8]) -> Verdict {
    with_context(|context| inspect_attachment(name, bytes, context))
}

/// A message with one attachment and this body.
fn message(body: &str, name: &str, bytes: &[u8]) -> Report {
    let packed = BASE64_MIME.encode(bytes);
    let raw = format!(
        "Subject: x\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\n{body}\n\
         --b\nContent-Type: application/octet-stream; name=\"{name}\"\n\
         Content-Transfer-Encoding: base64\n\n{packed}\n--b--\n"
    );
    with_context(|context| inspect(raw.as_bytes(), context))
}

/// Entities above low severity.
fn serious(verdict: &Verdict) -> Vec<&str> {
    let above = verdict.findings.iter().filter(|finding| finding.severity > Severity::Low);
    above.map(|finding| finding.entity.as_str()).collect()
}

#[track_caller]
fn assert_tells(name: &str, bytes: &[u8], entity: &str) {
    let verdict = file(name, bytes);
    assert!(verdict.findings.iter().any(|f| f.entity == entity), "{name}: {:?}", verdict.findings);
    assert!(verdict.verdict >= VerdictKind::Suspicious, "{name}: {verdict:?}");
}

/// A ZIP archive of stored files.
fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, bytes) in files {
        let start = out.len() as u32;
        let size = (bytes.len() as u32).to_le_bytes();
        let len = (name.len() as u16).to_le_bytes();
        out.extend(
            [&b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0\0\0\0\0"[..], &size, &size, &len, &[0, 0]]
                .concat(),
        );
        out.extend([name.as_bytes(), bytes].concat());
        let head = b"PK\x01\x02\x14\0\x14\0\0\0\0\0\0\0\0\0\0\0\0\0";
        directory.extend(
            [&head[..], &size, &size, &len, &[0; 12], &start.to_le_bytes(), name.as_bytes()]
                .concat(),
        );
    }
    let count = (files.len() as u16).to_le_bytes();
    let (size, start) = ((directory.len() as u32).to_le_bytes(), (out.len() as u32).to_le_bytes());
    out.extend(
        [&directory[..], b"PK\x05\x06\0\0\0\0", &count, &count, &size, &start, &[0, 0]].concat(),
    );
    out
}

/// A Word document with these parts.
fn document(parts: &[(&str, &str)]) -> Vec<u8> {
    let mut files: Vec<(&str, &[u8])> = vec![("[Content_Types].xml", b"<Types/>")];
    files.extend(parts.iter().map(|(name, text)| (*name, text.as_bytes())));
    zip(&files)
}

/// A program, as far as its type can be told.
fn program() -> Vec<u8> {
    let mut bytes = vec![0; 0x80];
    bytes[..2].copy_from_slice(b"MZ");
    bytes[0x3C] = 0x40;
    bytes[0x40..0x44].copy_from_slice(b"PE\0\0");
    bytes
}

/// The test file of the anti-virus industry, in pieces so that this file is not taken for it.
fn test_virus() -> Vec<u8> {
    [&b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-"[..], b"ANTIVIRUS-TEST-FILE!$H+H*"].concat()
}

#[test]
fn a_program_is_told_whatever_it_is_called() {
    assert_tells("setup.exe", &program(), "PROGRAM");
    assert_tells("invoice.pdf", &program(), "DISGUISED_PROGRAM");
    assert_tells("invoice.pdf.exe", &program(), "DECEPTIVE_NAME");
    assert_tells("photo\u{202E}gpj.scr", &program(), "DECEPTIVE_NAME");
    assert_tells("run.vbs", b"WScript.Echo 1", "SCRIPT");
    assert_tells("a.iqy", b"WEB\n1\nhttps://example.com/x", "LAUNCHER");
    assert_tells("a.url", b"[InternetShortcut]\nURL=https://example.com/", "INTERNET_SHORTCUT");
    assert_tells("a.url", b"[InternetShortcut]\nURL=file://example.com/share/a.exe", "LAUNCHER");
}

#[test]
fn a_virus_is_found_in_archives_in_archives_and_its_path_is_told() {
    let inner = zip(&[("note.txt", b"hello"), ("deep/virus.txt", &test_virus())]);
    let outer = zip(&[("inner.zip", &inner)]);
    let report = message("see attached", "outer.zip", &outer);
    // Nothing is packed: the outer files hold it, too. The innermost is told last.
    let finding = report.verdict.findings.iter().rfind(|f| f.entity == "TEST_VIRUS").unwrap();
    assert_eq!(finding.field, "attachment[0]/inner.zip/deep/virus.txt");
    assert_eq!((finding.start, finding.end), (0, 0), "it is about the file as a whole");
    assert_eq!(report.verdict.verdict, VerdictKind::Malicious);
}

#[test]
fn sensitive_numbers_are_found_in_documents_in_archives() {
    let word = document(&[(
        "word/document.xml",
        "<w:document><w:body><w:p><w:r><w:t>card 4242 4242 </w:t></w:r><w:r><w:t>4242 4242</w:t></w:r></w:p></w:body></w:document>",
    )]);
    let report = message("see attached", "papers.zip", &zip(&[("pay.docx", &word)]));
    let finding = report.verdict.findings.iter().find(|f| f.entity == "PAYMENT_CARD").unwrap();
    assert_eq!(finding.field, "attachment[0]/pay.docx.text");
    assert_eq!((finding.start, finding.end), (5, 24));

    let book = document(&[
        (
            "xl/worksheets/sheet1.xml",
            "<row><c t=\"s\"><v>0</v></c><c><v>4242424242424242</v></c></row>",
        ),
        ("xl/sharedStrings.xml", "<sst><si><t>card</t></si></sst>"),
    ]);
    assert_eq!(file("a.xlsx", &book).verdict, VerdictKind::Sensitive);

    let pdf =
        b"%PDF-1.4\n1 0 obj <</Type/Page/Contents 2 0 R>> endobj\n2 0 obj <</Length 60>> stream\n\
        BT /F1 12 Tf (card 4242) Tj [( 4242) -20 ( 4242 4242)] TJ ET\nendstream endobj\n%%EOF";
    let verdict = file("a.pdf", pdf);
    assert_eq!(verdict.findings[0].field, "attachment[0].text");
    assert_eq!((verdict.findings[0].start, verdict.findings[0].end), (5, 24));

    let rtf = br"{\rtf1{\fonttbl{\f0 Arial;}}card 4242 4242 4242 {\b 4242}\par}";
    assert_eq!(file("a.rtf", rtf).verdict, VerdictKind::Sensitive);
}

#[test]
fn what_a_document_loads_by_itself_is_told() {
    let relation = |kind: &str, target: &str| {
        format!(
            "<Relationships><Relationship Type=\"http://schemas.example/{kind}\" Target=\"{target}\" TargetMode=\"External\"/></Relationships>"
        )
    };
    let with = |kind: &str, target: &str| {
        document(&[("word/_rels/document.xml.rels", &relation(kind, target))])
    };
    assert_tells(
        "a.docx",
        &with("attachedTemplate", "https://example.com/a.dotm"),
        "REMOTE_TEMPLATE",
    );
    assert_tells(
        "a.docx",
        &with("oleObject", "mhtml:https://example.com/a!x-usc:b"),
        "REMOTE_OBJECT",
    );
    for (kind, target) in [
        ("attachedTemplate", "file:///C:\\Templates\\Letter.dotm"),
        ("hyperlink", "https://example.com/"),
        ("image", "https://example.com/a.png"),
    ] {
        assert_eq!(serious(&file("a.docx", &with(kind, target))), [""; 0], "{kind} {target}");
    }
    let rtf = br"{\rtf1{\*\template https://example.com/a.dotm}text}";
    assert_tells("a.rtf", rtf, "REMOTE_TEMPLATE");
}

#[test]
fn fields_and_cells_that_start_programs_are_told_and_others_are_not() {
    let field = |instruction: &str| {
        let text = format!(
            "<w:p><w:fldChar w:fldCharType=\"begin\"/><w:instrText>{}</w:instrText><w:instrText>{}</w:instrText>\
             <w:fldChar w:fldCharType=\"separate\"/><w:t>x</w:t><w:fldChar w:fldCharType=\"end\"/></w:p>",
            &instruction[..3],
            &instruction[3..]
        );
        document(&[("word/document.xml", &text)])
    };
    assert_tells(
        "a.docx",
        &field("DDEAUTO c:\\\\windows\\\\system32\\\\cmd.exe \"/k calc\""),
        "DDE",
    );
    assert_eq!(file("a.docx", &field("PAGE \\* MERGEFORMAT")).findings, []);
    assert_tells(
        "a.rtf",
        br"{\rtf1{\field{\*\fldinst DDE{\b AUTO} cmd.exe x}{\fldrslt x}}}",
        "DDE",
    );
    assert_tells("a.csv", b"name,value\nx,=cmd|'/c calc'!A0\n", "COMMAND_FORMULA");
    assert_eq!(file("a.csv", b"name,value\nx,=A1+B2\ny,-5|3\n").findings, []);
}

#[test]
fn objects_in_rtf_are_seen_through_their_disguises() {
    // Version 1.5, embedded, "Equation.3", no names, four bytes.
    let hex = "0105000002000000\n0b000000{\\*\\junk}4571756174696f6e2e3300 0000000000000000 04000000 00000000";
    let rtf = format!("{{\\rt{{\\object\\objemb{{\\*\\objdata {hex}}}}}}}");
    assert_tells("a.doc", rtf.as_bytes(), "VULNERABLE_OBJECT");
}

#[test]
fn what_a_pdf_does_by_itself_is_told_however_it_is_written() {
    let pdf = |action: &str| {
        format!(
            "%PDF-1.4\n1 0 obj <</Type/Catalog/OpenAction 2 0 R>> endobj\n2 0 obj {action} endobj\n%%EOF"
        )
    };
    assert_tells(
        "a.pdf",
        pdf("<</S/JavaScript/JS(app.alert(1))>>").as_bytes(),
        "PDF_AUTO_JAVASCRIPT",
    );
    assert_tells("a.pdf", pdf("<</S/JavaScript/J#53(app.alert(1))>>").as_bytes(), "PDF_OBFUSCATED");
    assert_tells("a.pdf", pdf("<</S/Launch/F(cmd.exe)>>").as_bytes(), "PDF_LAUNCH");
    let quiet = file("a.pdf", pdf("<</S/GoTo/D[3 0 R/Fit]>>").as_bytes());
    assert_eq!(quiet.findings, []);
}

#[test]
fn a_page_that_builds_a_file_is_told_and_its_file_is_unpacked() {
    let packed = BASE64.encode(&zip(&[("a.exe", &program())]));
    let page = format!(
        "<html><script>var d=atob('{packed}');var b=new Blob([d]);var a=document.createElement('a');\
         a.href=URL.createObjectURL(b);a.download='a.zip';a.click()</script></html>"
    );
    assert_tells("a.html", page.as_bytes(), "HTML_SMUGGLING");
    assert_tells("a.html", page.as_bytes(), "PROGRAM");
    assert_tells(
        "a.svg",
        b"<svg onload=\"location='https://example.com'\"></svg>",
        "SCRIPTED_DRAWING",
    );
    assert_eq!(serious(&file("a.svg", b"<svg><rect/></svg>")), [""; 0]);
    assert_eq!(
        serious(&file("a.html", b"<html><p>Hello <img src='data:image/png;base64,AAAA'></html>")),
        [""; 0]
    );
}

/// "a.txt" with the text "card 4242 4242 4242 4242", stored, under ZipCrypto and the password
/// "Xy12!ab"; made with the key stream written out below.
fn encrypted_zip() -> Vec<u8> {
    struct Keys(u32, u32, u32);
    fn crc(crc: u32, byte: u8) -> u32 {
        (0..8).fold(
            crc ^ u32::from(byte),
            |c, _| if c & 1 == 1 { 0xEDB8_8320 ^ c >> 1 } else { c >> 1 },
        )
    }
    impl Keys {
        fn update(&mut self, byte: u8) {
            self.0 = crc(self.0, byte);
            self.1 = self.1.wrapping_add(self.0 & 0xFF).wrapping_mul(134_775_813).wrapping_add(1);
            self.2 = crc(self.2, (self.1 >> 24) as u8);
        }
        fn encrypt(&mut self, byte: u8) -> u8 {
            let t = (self.2 | 2) & 0xFFFF;
            let out = byte ^ (t.wrapping_mul(t ^ 1) >> 8) as u8;
            self.update(byte);
            out
        }
    }
    let text = b"card 4242 4242 4242 4242";
    let sum = !text.iter().fold(u32::MAX, |sum, byte| crc(sum, *byte));
    let mut keys = Keys(0x1234_5678, 0x2345_6789, 0x3456_7890);
    b"Xy12!ab".iter().for_each(|byte| keys.update(*byte));
    let head = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, (sum >> 24) as u8];
    let packed: Vec<u8> = head.iter().chain(text).map(|byte| keys.encrypt(*byte)).collect();
    let mut archive = zip(&[("a.txt", &packed)]);
    let central = archive.windows(4).position(|w| w == b"PK\x01\x02");
    let central = central.expect("the archive was just made with a directory");
    for (flags, place) in [(6, 14), (central + 8, central + 16)] {
        archive[flags] = 1;
        archive[place..place + 4].copy_from_slice(&sum.to_le_bytes());
    }
    archive
}

#[test]
fn an_archive_is_opened_with_the_password_that_stands_in_the_message() {
    let archive = encrypted_zip();
    let closed = message("see attached", "a.zip", &archive);
    assert!(closed.verdict.findings.iter().any(|f| f.entity == "ENCRYPTED"), "{closed:?}");
    assert_eq!(closed.verdict.not_inspected, ["attachment[0]: encrypted files were not inspected"]);
    let open = message("The password is Xy12!ab.", "a.zip", &archive);
    let entities: Vec<&str> = open.verdict.findings.iter().map(|f| f.entity.as_str()).collect();
    assert!(entities.contains(&"PASSWORD_IN_MESSAGE"), "{entities:?}");
    assert!(entities.contains(&"PAYMENT_CARD"), "{entities:?}");
    assert_eq!(open.verdict.not_inspected, [""; 0]);
}

#[test]
fn ordinary_attachments_are_left_alone() {
    let word = document(&[("word/document.xml", "<w:p><w:t>Minutes of the meeting</w:t></w:p>")]);
    for (name, bytes) in [
        ("minutes.docx", &word[..]),
        ("notes.txt", b"To do: call Ann"),
        ("table.csv", b"a;b\n1;2\n"),
        (
            "page.html",
            b"<html><body><h1>News</h1><a href='https://example.com'>more</a></body></html>",
        ),
        ("a.pdf", b"%PDF-1.4\n1 0 obj <</Type/Catalog>> endobj\n%%EOF"),
        ("letter.eml", b"From: a@example.com\nTo: b@example.com\nSubject: x\n\nhello"),
        ("photo.png", b"\x89PNG\r\n\x1a\n"),
        ("papers.zip", &zip(&[("minutes.docx", &word), ("notes.txt", b"hello")])),
    ] {
        let verdict = file(name, bytes);
        assert_eq!(verdict.findings, [], "{name}");
        assert_eq!(verdict.verdict, VerdictKind::Clean, "{name}");
        assert_eq!(verdict.not_inspected, [""; 0], "{name}");
    }
}

#[test]
fn what_a_virus_scanner_says_of_a_file_in_an_archive_becomes_a_finding() {
    let archive = zip(&[("a/report.txt", b"harmless as far as we know")]);
    let packed = BASE64_MIME.encode(&archive);
    let raw = format!(
        "Content-Type: application/zip; name=a.zip\nContent-Disposition: attachment\n\
         Content-Transfer-Encoding: base64\n\n{packed}"
    );
    with_context(|context| {
        let open = OpenMessage::read(raw.as_bytes(), raw.len() as u64, &context.limits);
        let files: Vec<_> = open.files().collect();
        let paths: Vec<&str> = files.iter().map(|file| file.path).collect();
        assert_eq!(paths, ["attachment[0]", "attachment[0]/a/report.txt"]);
        assert_eq!(files[1].parent, Some("attachment[0]"));
        assert_eq!(files[1].bytes, b"harmless as far as we know");
        let known = [KnownFile { sha256: files[1].sha256, name: "Test.Sample (ClamAV)".into() }];
        let scanned = Scanned { known_files: known.to_vec(), ..Scanned::default() };
        let verdict = open.inspect(&context.with_scanned(&scanned)).verdict;
        assert_eq!(verdict.findings[0].entity, "KNOWN_FILE");
        assert_eq!(verdict.findings[0].field, "attachment[0]/a/report.txt");
        assert_eq!(verdict.verdict, VerdictKind::Malicious);
        assert_eq!(inspect(raw.as_bytes(), context).verdict.verdict, VerdictKind::Clean);
    });
}

#[test]
fn what_a_rule_of_ones_own_says_is_a_finding_where_it_was_found() {
    let raw = "From: Ann <ann@corp.example>\nTo: bob@corp.example, \"C\" <c@corp.example>\n\
               Cc: d@else.example\nSubject: x\n\nh\u{e9}llo marker\n";
    with_context(|context| {
        let open = OpenMessage::read(raw.as_bytes(), raw.len() as u64, &context.limits);
        let (field, text) = open.texts().find(|(name, _)| *name == "body.text").unwrap();
        let start = text.find("marker").unwrap();
        let found = |field: &str, place, severity| RuleMatch {
            rule: "marked".into(),
            severity,
            field: field.into(),
            place,
            evidence: "a marker".into(),
        };
        let matches = vec![
            found(field, Some(start..start + 6), Severity::High),
            found("message", None, Severity::Low),
            // What no scanner in its right mind answers.
            found(field, Some(90..99), Severity::Low),
        ];
        let not_inspected = vec!["ClamAV did not answer".to_owned()];
        let scanned = Scanned { matches, not_inspected, ..Scanned::default() };
        let report = open.inspect(&context.with_scanned(&scanned));
        let of_rules = report.verdict.findings.iter().filter(|f| f.category == Category::Rule);
        let places: Vec<(&str, usize, usize)> =
            of_rules.map(|f| (f.field.as_str(), f.start, f.end)).collect();
        assert_eq!(places, [("body.text", 0, 0), ("body.text", 6, 12), ("message", 0, 0)]);
        assert_eq!(report.verdict.verdict, VerdictKind::Malicious);
        assert_eq!(report.verdict.not_inspected, ["ClamAV did not answer"]);
        assert_eq!(report.sender.as_deref(), Some("ann@corp.example"));
        assert_eq!(report.recipients, ["bob@corp.example", "c@corp.example", "d@else.example"]);
    });
}

#[test]
fn a_file_whose_hash_is_on_a_list_becomes_a_finding() {
    let archive = zip(&[("a.txt", b"hello")]);
    // SHA-256 of "hello" (FIPS 180-4).
    let hash = b"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\n";
    let feeds = Feeds::from_iter([Arc::new(FeedList::read("ours", hash).unwrap())]);
    with_context(|context| {
        let verdict = inspect_attachment("a.zip", &archive, &context.with_feeds(&feeds));
        assert_eq!(verdict.findings[0].evidence, "on the list 'ours'");
        assert_eq!(verdict.findings[0].field, "attachment[0]/a.txt");
    });
}
