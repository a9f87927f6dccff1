//! What inspection is given from files: read again when it changes, and never less than before because
//! somebody made a mistake.

// Clippy lets only functions marked as tests unwrap, not their helpers.
#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use mailkeep_inspect::{MaskKey, RuleMatch};
use mailkeep_model::{Severity, TenantName, VerdictKind};
use mailkeep_service::{
    For, Piece, ProtectOptions, Protection, RuleEngine, RuleScanner, TenantFiles,
};

/// Rules that are words, one a line: each applies where the word stands. `!` is no word.
#[derive(Debug)]
struct Words;

#[derive(Debug)]
struct WordScanner(Vec<String>);

impl RuleEngine for Words {
    fn compile(
        &self,
        files: &[(&str, &[u8])],
    ) -> Result<Arc<dyn RuleScanner>, Vec<(usize, (Option<usize>, String))>> {
        let mut words = Vec::new();
        for (index, (_, bytes)) in files.iter().enumerate() {
            for (line, word) in String::from_utf8_lossy(bytes).lines().enumerate() {
                if word == "!" {
                    return Err(vec![(index, (Some(line + 1), "no word".to_owned()))]);
                }
                words.push(word.to_owned());
            }
        }
        Ok(Arc::new(WordScanner(words)))
    }
}

impl RuleScanner for WordScanner {
    fn rules(&self) -> usize {
        self.0.len()
    }

    fn scan(&self, pieces: &[Piece<'_>], _: Duration) -> (Vec<RuleMatch>, Vec<String>) {
        let mut matches = Vec::new();
        for piece in pieces {
            let text = String::from_utf8_lossy(piece.bytes);
            for word in &self.0 {
                if let Some(at) = text.find(word.as_str()) {
                    matches.push(RuleMatch {
                        rule: word.clone(),
                        severity: Severity::High,
                        field: piece.field.to_owned(),
                        place: piece.is_text.then(|| at..at + word.len()),
                        evidence: "the word".to_owned(),
                    });
                }
            }
        }
        (matches, Vec::new())
    }
}

/// Puts a file in the place of another and lets it come to rest.
fn put(path: &Path, text: &str) {
    let aside = path.with_extension("tmp");
    fs::write(&aside, text).unwrap();
    fs::rename(&aside, path).unwrap();
    std::thread::sleep(Duration::from_millis(800));
}

struct Directory(tempfile::TempDir);

impl Directory {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        for name in ["feeds", "rules", "words"] {
            fs::create_dir(directory.path().join(name)).unwrap();
        }
        Self(directory)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn options(&self) -> ProtectOptions {
        let files = TenantFiles {
            policy: Some(self.path("policy.toml")),
            dictionaries: vec![self.path("words")],
            ..TenantFiles::default()
        };
        ProtectOptions {
            files,
            feeds: vec![self.path("feeds")],
            rules: Some(self.path("rules")),
            ..ProtectOptions::default()
        }
    }
}

fn tenant(name: &str) -> TenantName {
    name.parse().unwrap()
}

/// What a message of Ann's with this body comes to for a tenant, and what would follow.
fn verdict(protection: &Protection, of: &str, body: &str) -> (VerdictKind, Option<&'static str>) {
    let raw = format!("From: ann@corp.example\nTo: bob@corp.example\nSubject: x\n\n{body}\n");
    let (own, key) = (["corp.example".to_owned()], MaskKey::from_bytes([7; 32]));
    let loaded = protection.of(Some(&tenant(of)));
    let with = For { own_domains: &own, mask_key: &key, sender: None };
    let report = loaded.inspect(raw.as_bytes(), raw.len() as u64, with);
    let decision = loaded.decide(&report, None, &[], &own);
    let action = decision.and_then(|decision| decision.action).map(|action| action.as_str());
    (report.verdict.verdict, action)
}

const BAD: &str = "https://bad.example/login";

#[test]
fn a_mistake_in_any_file_leaves_the_mail_as_protected_as_before() {
    let directory = Directory::new();
    let feed = directory.path("feeds/ours.txt");
    put(&feed, &format!("{BAD}\n"));
    put(&directory.path("rules/a.yar"), "marker-a\n");
    put(&directory.path("rules/b.yar"), "marker-b\n");
    put(&directory.path("words/ours.txt"), "project heron\n");
    let rules = "dry_run = false\n[verdict]\nmalicious = \"quarantine\"\n\
        [[sensitive]]\nname = \"heron\"\nentities = [\"ours\"]\naction = \"notify\"\n";
    put(&directory.path("policy.toml"), rules);
    let protection = Protection::new(directory.options(), Some(Arc::new(Words)));
    assert!(protection.look().new_problems.is_empty(), "{:?}", protection.problems());
    let as_before = |protection: &Protection| {
        let malicious = (VerdictKind::Malicious, Some("quarantine"));
        assert_eq!(verdict(protection, "acme", BAD), malicious);
        assert_eq!(verdict(protection, "acme", "marker-a"), malicious);
        assert_eq!(verdict(protection, "acme", "marker-b"), malicious);
        assert_eq!(verdict(protection, "acme", "project heron").1, Some("notify"));
        assert_eq!(verdict(protection, "acme", "nothing"), (VerdictKind::Clean, None));
    };
    as_before(&protection);
    assert_eq!((protection.held().len(), protection.rules()), (5, 2));
    assert!(!protection.look().changed);

    // Every file gets worse, each in its own way.
    put(&feed, "<html>\n<body>\nWe are busy\n");
    put(&directory.path("rules/b.yar"), "marker-c\n!\n");
    put(&directory.path("words/ours.txt"), "of\n");
    put(
        &directory.path("policy.toml"),
        "dry_run = false\n[[rule]]\nname = \"all\"\naction = \"remove\"\n",
    );
    let look = protection.look();
    let mut told: Vec<String> = look
        .new_problems
        .iter()
        .map(|problem| {
            let file = problem.path.file_name().unwrap().to_string_lossy();
            format!("{file}:{:?} kept {}", problem.line, problem.kept)
        })
        .collect();
    told.sort();
    assert_eq!(
        told,
        [
            "b.yar:Some(2) kept true",
            "ours.txt:Some(1) kept true",
            "ours.txt:Some(1) kept true",
            "policy.toml:Some(3) kept true",
        ]
    );
    as_before(&protection);
    assert!(!protection.look().changed, "the same is told again");

    // One of them is mended.
    put(&directory.path("rules/b.yar"), "marker-c\n");
    let look = protection.look();
    assert_eq!(look.solved, [directory.path("rules/b.yar")]);
    assert_eq!(verdict(&protection, "acme", "marker-b").0, VerdictKind::Clean);
    assert_eq!(verdict(&protection, "acme", "marker-c").0, VerdictKind::Malicious);
}

#[test]
fn a_policy_that_names_a_dictionary_is_read_again_when_that_comes() {
    let directory = Directory::new();
    let policy = "dry_run = false\n[[sensitive]]\nname = \"heron\"\nentities = [\"ours\", \"MEDICAL_FILE\"]\naction = \"log\"\n";
    put(&directory.path("policy.toml"), policy);
    let protection = Protection::new(directory.options(), None);
    let look = protection.look();
    assert!(look.new_problems[0].problem.contains("nothing finds the entity 'ours'"), "{look:?}");
    assert!(protection.of(None).policy().is_none());
    put(&directory.path("words/ours.txt"), "project heron\n");
    assert_eq!(protection.look().solved, [directory.path("policy.toml")]);
    assert_eq!(verdict(&protection, "acme", "project heron").1, Some("log"));
    // A dictionary of ours is looked for because the policy names it.
    let medical = "Entlassungsbericht, Laborbefund, Anamnese, Arztbrief";
    assert_eq!(verdict(&protection, "acme", medical).1, Some("log"));
}

#[test]
fn a_tenant_has_a_policy_of_its_own_and_shares_the_rest() {
    let directory = Directory::new();
    put(&directory.path("feeds/ours.txt"), &format!("{BAD}\n"));
    put(&directory.path("policy.toml"), "dry_run = false\n[verdict]\nmalicious = \"quarantine\"\n");
    put(&directory.path("strict.toml"), "dry_run = false\n[verdict]\nmalicious = \"remove\"\n");
    let own = TenantFiles { policy: Some(directory.path("strict.toml")), ..TenantFiles::default() };
    let tenants = BTreeMap::from([(tenant("strict"), own)]);
    let protection = Protection::new(ProtectOptions { tenants, ..directory.options() }, None);
    protection.look();
    assert_eq!(verdict(&protection, "acme", BAD).1, Some("quarantine"));
    assert_eq!(verdict(&protection, "strict", BAD).1, Some("remove"));
}

#[test]
fn nothing_named_is_nothing_done() {
    let protection = Protection::default();
    assert!(protection.is_empty() && protection.look().new_problems.is_empty());
    assert_eq!(verdict(&protection, "acme", BAD), (VerdictKind::Clean, None));
}
