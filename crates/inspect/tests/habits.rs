//! What real mailboxes would have been told of as signs of a takeover, had their habits been kept: seven
//! people's sent mail, in its order. Skipped where the corpora are absent; nothing of them is in this
//! repository.

#![allow(clippy::unwrap_used)] // the corpora are as their README says

mod corpora;

use std::{collections::BTreeMap, fs, io::BufReader};

use mail_parser::MessageParser;
use mailkeep_inspect::{Context, Habits, MaskKey, Report, Sender, inspect, mbox::Messages};
use mailkeep_model::VerdictKind;
use time::{Duration, OffsetDateTime};

use self::corpora::{corpus, files};

struct Letter {
    at: OffsetDateTime,
    recipients: Vec<String>,
    bytes: Vec<u8>,
}

/// What a mailbox sent, oldest first; each once, since people keep copies in several folders.
fn sent(person: &std::path::Path) -> Vec<Letter> {
    let mut letters = BTreeMap::new();
    let sent = |path: &std::path::PathBuf| path.to_string_lossy().contains("sent");
    for path in files(person.to_owned()).into_iter().filter(sent) {
        let file = fs::File::open(&path).unwrap();
        for message in Messages::new(BufReader::new(file), 4 << 20) {
            let bytes = message.unwrap().bytes;
            let Some(parsed) = MessageParser::default().parse(&bytes) else { continue };
            let Some(date) = parsed.date().map(mail_parser::DateTime::to_timestamp) else {
                continue;
            };
            let Ok(at) = OffsetDateTime::from_unix_timestamp(date) else { continue };
            let lists = [parsed.to(), parsed.cc(), parsed.bcc()].into_iter().flatten();
            let addresses = lists.flat_map(|list| list.iter().filter_map(|one| one.address()));
            let recipients: Vec<String> = addresses.map(str::to_owned).collect();
            let key = (date, parsed.subject().unwrap_or_default().to_owned(), recipients.clone());
            letters.insert(key, Letter { at, recipients, bytes });
        }
    }
    letters.into_values().collect()
}

fn read(habits: &mut Habits, letter: &Letter, now: OffsetDateTime) -> Report {
    let (own, key) = (["enron.com".to_owned()], MaskKey::from_bytes([7; 32]));
    let sender = Sender { habits, at: letter.at, recipients: &letter.recipients };
    let context = Context::new(now, &own, &key).with_sender(sender);
    let report = inspect(&letter.bytes, &context);
    habits.learn(report.sent.as_ref().unwrap());
    report
}

fn signs(report: &Report) -> impl Iterator<Item = &str> {
    let findings = report.verdict.findings.iter().filter(|f| f.detector == "takeover");
    findings.map(|finding| finding.entity.as_str())
}

#[test]
fn people_who_write_as_ever_are_left_alone_and_a_burst_from_each_of_them_is_told_of() {
    let Some(mailboxes) = corpus("mailboxes") else { return };
    let (mut total, mut told, mut suspicious, mut people, mut found) = (0, 0, 0, 0, 0);
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for person in fs::read_dir(mailboxes).unwrap() {
        let letters = sent(&person.unwrap().path());
        if letters.len() < 100 {
            continue;
        }
        people += 1;
        let (before, after) = letters.split_at(letters.len() / 2);
        let mut habits = Habits::new(before[0].at);
        before.iter().for_each(|letter| drop(read(&mut habits, letter, letter.at)));
        habits.settle();
        for letter in after {
            let report = read(&mut habits, letter, letter.at);
            total += 1;
            let loud = signs(&report).any(|sign| sign == "burst" || sign == "campaign");
            told += usize::from(loud);
            if loud {
                let all = report.verdict.findings.iter();
                let all: Vec<_> = all.map(|f| (&f.detector, &f.entity, &f.evidence)).collect();
                eprintln!("{}, {} people: {all:?}", letter.at, letter.recipients.len());
            }
            suspicious += usize::from(loud && report.verdict.verdict >= VerdictKind::Suspicious);
            signs(&report).for_each(|sign| *kinds.entry(sign.to_owned()).or_default() += 1);
        }
        // A week later somebody else sends one link to two hundred people.
        let start = letters[letters.len() - 1].at + Duration::days(7);
        let flagged = (0..200).filter(|n| {
            let letter = Letter {
                at: start + Duration::seconds(n * 5),
                recipients: vec![format!("stranger{n}@elsewhere{n}.example")],
                bytes: b"From: x@enron.com\n\nPlease see https://files.example.net/x/invoice"
                    .to_vec(),
            };
            read(&mut habits, &letter, letter.at).verdict.verdict >= VerdictKind::Suspicious
        });
        found += usize::from(flagged.count() >= 100);
    }
    eprintln!(
        "{total} letters of {people} people: {told} with a burst or a campaign, {suspicious} suspicious"
    );
    eprintln!("signs: {kinds:?}; {found} of {people} bursts found");
    assert!(total > 1_000 && told * 1_000 <= total, "{told} of {total}");
    assert_eq!(found, people);
}
