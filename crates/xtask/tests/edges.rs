//! Which crate may use which (the table in ARCHITECTURE.md), and who may name a private key.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

/// Each crate, and the crates of ours that it may use. Crates that are not there yet are left out.
const MAY_USE: &[(&str, &[&str])] = &[
    (
        "mailkeep",
        &[
            "service", "sentry", "vault", "inspect", "exchange", "identity", "signer", "control",
            "model", "lab", "tls",
        ],
    ),
    ("service", &["sentry", "vault", "inspect", "exchange", "identity", "control", "model", "tls"]),
    ("sentry", &["identity", "model"]),
    ("vault", &["model"]),
    ("inspect", &["model"]),
    ("exchange", &["identity", "model"]),
    ("identity", &["model"]),
    ("signer", &["identity", "model"]),
    ("control", &["model"]),
    ("model", &[]),
    ("tls", &[]),
    ("lab", &["model"]),
    ("xtask", &[]),
];

/// What source code calls private keys, in the libraries that we use.
const PRIVATE_KEYS: &[&str] = &[
    "KeyPair",
    "SigningKey",
    "PrivateKey",
    "EncodingKey",
    "SecretKey",
    "pkcs8",
    "Pkcs8",
    "PKCS8",
    "PRIVATE KEY",
];

/// The signer; the lab, whose own certificate authority is part of the simulated provider; and the TLS
/// of listeners and workers, whose keys open no mailbox.
const MAY_NAME_PRIVATE_KEYS: &[&str] = &["signer", "lab", "tls"];

fn metadata() -> Metadata {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.toml");
    let mut command = MetadataCommand::new();
    command.manifest_path(manifest).no_deps();
    command.exec().expect("cargo metadata")
}

fn room(name: &str) -> &str {
    name.strip_prefix("mailkeep-").unwrap_or(name)
}

/// The crates of ours that a crate uses.
fn used<'a>(
    package: &'a Package,
    ours: &BTreeSet<&str>,
    kinds: &[DependencyKind],
) -> BTreeSet<&'a str> {
    let dependencies = package.dependencies.iter();
    dependencies
        .filter(|dependency| kinds.contains(&dependency.kind))
        .map(|dependency| room(&dependency.name))
        .filter(|name| ours.contains(name))
        .collect()
}

#[test]
fn a_crate_uses_only_what_its_row_allows() {
    let metadata = metadata();
    let packages = metadata.workspace_packages();
    let ours: BTreeSet<&str> = packages.iter().map(|package| room(&package.name)).collect();
    let table: BTreeMap<&str, &[&str]> = MAY_USE.iter().copied().collect();
    assert_eq!(ours, table.keys().copied().collect(), "every crate has a row, every row a crate");
    for package in packages {
        let name = room(&package.name);
        let allowed: BTreeSet<&str> = table[name].iter().copied().collect();
        let builds = [DependencyKind::Normal, DependencyKind::Build];
        let found = used(package, &ours, &builds);
        assert!(found.is_subset(&allowed), "{name} uses {found:?} and may use {allowed:?}");
        // Tests may run against what is on the other side of a connection; no product links it.
        let mut allowed = allowed;
        allowed.extend(["lab", "signer"]);
        let found = used(package, &ours, &[DependencyKind::Development]);
        assert!(found.is_subset(&allowed), "tests of {name} use {found:?}, may use {allowed:?}");
    }
}

#[test]
fn the_signer_is_linked_by_the_program_alone_and_the_lab_shares_the_model_alone() {
    let metadata = metadata();
    let packages = metadata.workspace_packages();
    let ours: BTreeSet<&str> = packages.iter().map(|package| room(&package.name)).collect();
    let builds = [DependencyKind::Normal, DependencyKind::Build];
    let links_signer = |package: &&&Package| used(package, &ours, &builds).contains("signer");
    let users: Vec<&str> =
        packages.iter().filter(links_signer).map(|package| room(&package.name)).collect();
    assert_eq!(users, ["mailkeep"]);
    let lab = packages.iter().find(|package| room(&package.name) == "lab").expect("the lab");
    let all = [DependencyKind::Normal, DependencyKind::Build, DependencyKind::Development];
    let shared = used(lab, &ours, &all);
    assert!(shared.is_subset(&BTreeSet::from(["model"])), "the lab shares {shared:?}");
}

#[test]
fn no_other_crate_than_the_signer_can_name_a_private_key() {
    let metadata = metadata();
    let mut looked_at = 0;
    for package in metadata.workspace_packages() {
        if MAY_NAME_PRIVATE_KEYS.contains(&room(&package.name)) {
            continue;
        }
        let sources = package.manifest_path.with_file_name("src");
        for file in rust_files(sources.as_std_path()) {
            let text = fs::read_to_string(&file).expect("a source file");
            for (number, line) in text.lines().enumerate() {
                let mut names = PRIVATE_KEYS.iter();
                let named = names.find(|name| line.contains(**name) && !is_sought(&file, name));
                let at = format!("{}:{}", file.display(), number + 1);
                assert!(named.is_none(), "{at} names a private key ({named:?}): {line}");
            }
            looked_at += 1;
        }
    }
    assert!(looked_at > 50, "only {looked_at} source files were found");
}

/// Whether a source looks for that in other people's mail: the words over a key that somebody sends.
fn is_sought(file: &Path, name: &str) -> bool {
    let sought = file.parent().is_some_and(|at| at.ends_with("detectors/sensitive/secrets"));
    name == "PRIVATE KEY" && sought
}

#[test]
fn the_keys_of_listeners_and_workers_do_not_leave_the_crate_that_makes_them() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tls/src");
    let mut public = 0;
    for file in rust_files(&sources) {
        let text = fs::read_to_string(&file).expect("a source file");
        for line in text.lines().map(str::trim).filter(|line| line.starts_with("pub ")) {
            let mut names = PRIVATE_KEYS.iter().chain(&["CertifiedKey", "Identity"]);
            let named = names.find(|name| line.contains(**name));
            assert!(named.is_none(), "{} gives out {named:?}: {line}", file.display());
            public += 1;
        }
    }
    assert!(public > 30, "only {public} public items were found");
}

fn rust_files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("a source directory");
    let mut files = Vec::new();
    for path in entries.map(|entry| entry.expect("an entry of a source directory").path()) {
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}
