//! Attachments that are made to hurt: nothing panics, nothing takes long, and what was not looked
//! at is said.

mod corpora;

use std::{fs, time::Instant};

use mailkeep_inspect::{Context, Limits, MaskKey, inspect_attachment};
use mailkeep_model::Verdict;
use time::OffsetDateTime;

use self::corpora::{corpus, files};

/// Far more than any of it takes in a debug build on a busy machine; a hang takes longer.
const TOO_LONG: u64 = 60;

fn with_context<T>(use_it: impl FnOnce(&Context<'_>) -> T) -> T {
    let key = MaskKey::from_bytes([7; 32]);
    use_it(&Context::new(OffsetDateTime::UNIX_EPOCH, &[], &key))
}

fn check(name: &str, bytes: &[u8]) -> Verdict {
    let start = Instant::now();
    let verdict = with_context(|context| inspect_attachment(name, bytes, context));
    let took = start.elapsed();
    eprintln!("{name}: {} bytes, {took:?}, {:?}", bytes.len(), verdict.not_inspected.first());
    assert!(took.as_secs() < TOO_LONG, "{name} took {took:?}");
    verdict
}

fn notes(verdict: &Verdict, what: &str) -> bool {
    verdict.not_inspected.iter().any(|note| note.contains(what))
}

/// 64 KiB of zeros, deflated and flushed, so that it can be repeated; and an end.
const ZEROS: &[u8] = include_bytes!("zeros.deflate");
const END: &[u8] = &[0x03, 0x00];

/// A ZIP archive of entries that are packed with DEFLATE.
fn zip(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, bytes) in files {
        let start = (out.len() as u32).to_le_bytes();
        let size = (bytes.len() as u32).to_le_bytes();
        let len = (name.len() as u16).to_le_bytes();
        let head =
            [&b"\x14\0\0\0\x08\0\0\0\0\0\0\0\0\0"[..], &size, &[0xFF; 3], &[0], &len, &[0, 0]]
                .concat();
        out.extend([&b"PK\x03\x04"[..], &head, name.as_bytes(), bytes].concat());
        directory
            .extend([&b"PK\x01\x02\x14\0"[..], &head, &[0; 10], &start, name.as_bytes()].concat());
    }
    let size = (directory.len() as u32).to_le_bytes();
    let start = (out.len() as u32).to_le_bytes();
    out.extend([&directory[..], b"PK\x05\x06\0\0\0\0\0\0\0\0", &size, &start, &[0, 0]].concat());
    out
}

fn deflated_zeros(times: usize) -> Vec<u8> {
    [&ZEROS.repeat(times)[..], END].concat()
}

#[test]
fn a_gibibyte_in_a_megabyte_ends_with_a_note_and_a_finding() {
    let archive = zip(&[("zeros.bin", deflated_zeros(16_384))]);
    let gzip = [&b"\x1F\x8B\x08\0\0\0\0\0\0\0"[..], &deflated_zeros(16_384)].concat();
    for (name, bytes) in [("bomb.zip", archive), ("bomb.gz", gzip)] {
        let verdict = check(name, &bytes);
        assert!(notes(&verdict, "more than can be unpacked"), "{:?}", verdict.not_inspected);
        assert!(
            verdict.findings.iter().any(|f| f.entity == "ARCHIVE_BOMB"),
            "{:?}",
            verdict.findings
        );
    }
}

#[test]
fn archives_in_archives_without_end_end_with_a_note() {
    let stored = |bytes: &[u8]| {
        // One stored block per 65,535 bytes, the last one marked.
        let mut out = Vec::new();
        let count = bytes.chunks(65_535).count();
        for (n, block) in bytes.chunks(65_535).enumerate() {
            let len = block.len() as u16;
            out.push(u8::from(n + 1 == count));
            out.extend([&len.to_le_bytes()[..], &(!len).to_le_bytes(), block].concat());
        }
        out
    };
    let mut archive = zip(&[("a.txt", stored(b"hello"))]);
    for _ in 0..60 {
        archive = zip(&[("inner.zip", stored(&archive))]);
    }
    let verdict = check("deep.zip", &archive);
    assert!(notes(&verdict, "nested deeper than 24"), "{:?}", verdict.not_inspected);
    // 16 in each of 5 levels would be a million.
    let mut wide = deflated_zeros(16);
    for _ in 0..5 {
        let files: Vec<(String, Vec<u8>)> =
            (0..16).map(|n| (format!("{n}.zip"), wide.clone())).collect();
        let files: Vec<(&str, Vec<u8>)> =
            files.iter().map(|(name, bytes)| (&**name, bytes.clone())).collect();
        wide = stored(&zip(&files));
        if wide.len() > 4 << 20 {
            break;
        }
    }
    let verdict = check("wide.zip", &zip(&[("all.zip", wide)]));
    assert!(!verdict.not_inspected.is_empty());
}

#[test]
fn an_archive_of_very_many_files_ends_with_a_note() {
    let names: Vec<String> = (0..5_000).map(|n| format!("{n}.txt")).collect();
    let empty = vec![0x01, 1, 0, 0xFE, 0xFF, b'x'];
    let files: Vec<(&str, Vec<u8>)> = names.iter().map(|name| (&**name, empty.clone())).collect();
    let verdict = check("many.zip", &zip(&files));
    assert!(notes(&verdict, "more than 1000 files"), "{:?}", verdict.not_inspected);
    assert!(verdict.findings.iter().any(|f| f.detector == "message-limit"));
}

#[test]
fn repetitive_files_are_read_in_linear_time() {
    const LARGE: usize = 1 << 20;
    let large = |start: &str, unit: &str| {
        format!("{start}{}", unit.repeat(LARGE / unit.len())).into_bytes()
    };
    for (name, start, unit) in [
        ("a.pdf", "%PDF-1.4\n", "1 0 obj ["),
        ("a.pdf", "%PDF-1.4\n", "1 0 obj ("),
        ("a.pdf", "%PDF-1.4\n", "1 0 obj <<"),
        ("a.pdf", "%PDF-1.4\n", "1 0 obj <</Length 9>> stream\n"),
        ("a.pdf", "%PDF-1.4\n", "1 0 obj <</AA 1 0 R/OpenAction[1 0 R 1 0 R 1 0 R]>> "),
        ("a.pdf", "%PDF-1.4\n", "trailer<<"),
        ("a.rtf", "{\\rtf1", "{"),
        ("a.rtf", "{\\rtf1", "{\\object\\objdata 01"),
        ("a.rtf", "{\\rtf1", "\\'"),
        ("a.html", "<html><script>", "http-equiv refresh url="),
        ("a.html", "<html>", "<script"),
        ("a.html", "<html><script>", "QUJD"),
        ("a.svg", "<svg>", "<script"),
        ("a.xml", "<?xml version='1.0'?><?mso-application?>", "<a b='"),
        ("a.xml", "<?xml version='1.0'?><?mso-application?>", "<w:instrText>DDE "),
        ("a.csv", "", "=a|b!c,("),
        ("a.vba", "", "autoopen shell "),
        ("a.url", "", "https://a "),
        ("a.zip", "", "PK\u{3}\u{4}\0\0\u{8}\0\u{8}\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\u{1}\0\0\0a"),
        ("a.gz", "", "\u{1f}"),
        ("a.png", "\u{89}PNG", "MZ"),
        ("a.lha", "ab-lh", "a.exe "),
    ] {
        check(name, &large(start, unit));
    }
    check("a.gif", &[b"GIF89a", &b"PK\x03\x04".repeat(LARGE / 4)[..]].concat());
    check("a.gz", &b"\x1F\x8B\x08\0\0\0\0\0\0\0\x03\0aaaaaaaa".repeat(LARGE / 20));
    let compound =
        [&b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1"[..], &[0; 22], &[9, 0, 6, 0], &vec![0; LARGE]]
            .concat();
    check("a.doc", &compound);
}

#[test]
fn what_unpacking_costs_is_bounded_by_the_limits() {
    with_context(|context| {
        let limits = Limits { unpacked_bytes: 1 << 20, ..Limits::default() };
        let archive = zip(&[("zeros.bin", deflated_zeros(64))]);
        let verdict = inspect_attachment("a.zip", &archive, &context.with_limits(limits));
        assert!(notes(&verdict, "more than can be unpacked"), "{:?}", verdict.not_inspected);
    });
}

/// Every labelled file and every malformed message, cut and changed at places that an arithmetic
/// sequence chooses. `MAILKEEP_MUTATIONS` says how often each (2 without it).
#[test]
fn damaged_files_get_a_verdict() {
    let Some(folder) = corpus("attachments") else { return };
    let times = std::env::var("MAILKEEP_MUTATIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(2);
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = move |below: usize| {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize % below.max(1)
    };
    let mut total = 0;
    for path in files(folder) {
        let bytes = fs::read(&path).unwrap();
        if bytes.len() > 64 << 10 {
            continue;
        }
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        for round in 0..times {
            let mut bytes = bytes.clone();
            if round % 4 == 1 {
                bytes.truncate(next(bytes.len()));
            }
            for _ in 0..=next(8) {
                if let Some(at) = bytes.len().checked_sub(1).map(|last| next(last + 1)) {
                    bytes[at] = [0, 0xFF, 0x7F, 0x80, 1, next(256) as u8][next(6)];
                }
            }
            total += 1;
            let copy = bytes.clone();
            let outcome = std::panic::catch_unwind(|| {
                with_context(|context| inspect_attachment(&name, &bytes, context))
            });
            if outcome.is_err() {
                let kept = std::env::temp_dir().join(format!("panics-{name}"));
                fs::write(&kept, &copy).unwrap();
                panic!("{name} panics; kept in {}", kept.display());
            }
        }
    }
    assert!(total > 500, "{total}");
}
