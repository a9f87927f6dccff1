//! Programs that other people wrote work with the lab, unmodified, as they do with Microsoft 365.
//!
//! `cargo xtask interop` installs them. The scripts in `interop/` use them as their documentation
//! says; what is here starts a lab, and looks at the outcome from its side.

mod secrets;
mod story;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};

use mailkeep_identity::SignerClient;
use mailkeep_model::Function;
use secrets::Sealed;
use serde_json::{Value, json};
use story::{Lab, Mailkeep, Run, World, shared_data, temporary};
use tempfile::TempDir;

/// What an application that does everything has to be granted.
const EVERYTHING: &[&str] = &[
    "Application.ReadWrite.All",
    "AuditLog.Read.All",
    "Calendars.ReadWrite",
    "Contacts.ReadWrite",
    "Directory.Read.All",
    "Mail.ReadWrite",
    "MailboxSettings.ReadWrite",
    "Tasks.ReadWrite.All",
    "User.Read.All",
];

#[test]
fn msal_gets_tokens_by_certificate_and_is_told_every_refusal() {
    let Some(clients) = Clients::installed() else { return };
    let cloud = Cloud::start(&clients, &["--mailboxes", "1"], EVERYTHING);
    let run = clients.python("tokens.py", &cloud.description).ok();
    let summary = run.json();
    assert_eq!(summary["failed"], json!([]), "{run}");
    assert!(summary["refusals"].as_u64() >= Some(20), "{summary}");
    // The lab saw what it was that asked.
    let signed_in = cloud.lab.log("signin");
    let agents = |name: &str| {
        signed_in
            .iter()
            .filter(|one| one["userAgent"].as_str().is_some_and(|a| a.contains(name)))
            .count()
    };
    assert!(agents("python-requests") > 20, "{signed_in:#?}");
}

#[test]
fn our_assertion_is_the_one_that_msal_makes_of_the_same_certificate() {
    let Some(clients) = Clients::installed() else { return };
    // 1. A tenant that our own program can back up, with the certificate that it prints.
    let passphrase = "known to this story alone";
    let program = env!("CARGO_BIN_EXE_mailkeep");
    let world = World::with_passphrase(program, &["--mailboxes", "1"], passphrase);
    let client_id = world.set_up("acme");
    world.backup("acme");

    // 2. The signer makes an assertion, and msal gets the same key, which only the passphrase opens.
    let data = world.mailkeep.data();
    let signed = tokio::runtime::Runtime::new().expect("a runtime").block_on(async {
        let caller = "interop".parse().expect("a valid label");
        let ready: Value = serde_json::from_str(&world.signer().first_line).expect("JSON");
        let socket = ready["socket"].as_str().expect("where the signer listens");
        let signer = SignerClient::connect(socket, caller).await;
        let signer = signer.expect("the signer answers");
        let (tenant, job) = ("acme".parse().expect("a valid name"), uuid::Uuid::new_v4().into());
        signer.sign_assertion(&job, &tenant, Function::Reader).await.expect("an assertion")
    });
    let sealed = Sealed::open(data.join("signer"), passphrase);
    let (key, certificate) = sealed.key("acme", "reader");
    let (admin_url, admin_token) = world.lab.admin();
    let description = json!({
        "authority": world.lab.authority(), "graph": world.lab.graph(), "ca": world.lab.ca(),
        "tenant": world.lab.tenant(), "admin_url": admin_url, "admin_token": admin_token,
        "client_id": client_id, "key": key, "certificate": certificate,
        "ours": signed.assertion.expose(), "token_endpoint": signed.token_endpoint,
        "directory": world.path(""),
    });

    // 3. The lab gives a token for each. They say the same, in the same words.
    let run = clients.python("assertions.py", &description).ok();
    assert_eq!(run.json()["failed"], json!([]), "{run}");
    eprintln!("{}", run.text());
}

#[test]
fn the_graph_sdk_for_python_reads_and_writes_mailboxes_and_is_notified() {
    let Some(clients) = Clients::installed() else { return };
    let cloud = Cloud::start(&clients, &["--mailboxes", "2"], EVERYTHING);
    fill(&cloud.lab);
    let run = clients.python("graph.py", &cloud.description).ok();
    assert_eq!(run.json()["failed"], json!([]), "{run}");
    did_everything(&cloud.lab);
}

#[test]
fn the_graph_client_for_node_reads_and_writes_mailboxes_and_is_notified() {
    let Some(clients) = Clients::installed() else { return };
    let cloud = Cloud::start(&clients, &["--mailboxes", "2"], EVERYTHING);
    fill(&cloud.lab);
    let run = clients.node("graph.cjs", &cloud.description).ok();
    assert_eq!(run.json()["failed"], json!([]), "{run}");
    did_everything(&cloud.lab);
}

/// Events and contacts, so that lists have pages.
fn fill(lab: &Lab) {
    let mailbox = &lab.mailboxes()[0];
    let order = json!({"mailbox": mailbox, "events": 12, "contacts": 12, "seed": 3});
    lab.post("generate", &order);
}

/// What a client did, as the lab has counted it: each of these was asked for, and done.
#[track_caller]
fn did_everything(lab: &Lab) {
    let counted = lab.counters();
    let done = |operation: &str| {
        let of = &counted["operations"][operation];
        of["requests"].as_u64().unwrap_or(0) - of["errors"].as_u64().unwrap_or(0)
    };
    let not_done: Vec<_> = DONE.iter().filter(|operation| done(operation) == 0).collect();
    assert!(not_done.is_empty(), "never done: {not_done:?}");
}

const DONE: &[&str] = &[
    "batch",
    "calendarview",
    "category.create",
    "contact.create",
    "contact.delete",
    "contact.patch",
    "event.create",
    "event.delete",
    "event.instances",
    "event.patch",
    "events.list",
    "folder.create",
    "folder.delete",
    "folder.move",
    "folder.patch",
    "folders.delta",
    "folders.list",
    "mailboxsettings.patch",
    "message.attachment.create",
    "message.attachment.show",
    "message.attachments.list",
    "message.create",
    "message.delete",
    "message.move",
    "message.patch",
    "message.show",
    "message.value",
    "messages.delta",
    "messages.list",
    "notification",
    "rule.create",
    "signins.list",
    "subscription.create",
    "subscription.delete",
    "subscription.patch",
    "task.create",
    "task.patch",
    "upload.create",
    "upload.put",
    "users.list",
];

/// A lab, and an application in it that has a key.
struct Cloud {
    lab: Lab,
    description: Value,
    _directory: TempDir,
}

impl Cloud {
    #[track_caller]
    fn start(clients: &Clients, arguments: &[&str], roles: &[&str]) -> Self {
        let directory = temporary();
        let mailkeep = Mailkeep::new(env!("CARGO_BIN_EXE_mailkeep"), directory.path().join("lab"));
        let lab = Lab::start(&mailkeep, arguments);
        let mut make = Command::new(clients.interpreter());
        make.arg(script("keys.py")).arg(directory.path()).args(["reader", "stranger", "expired"]);
        let keys = story::run(&mut make, b"").ok().json();
        let certificate = keys["reader"]["certificate"].as_str().expect("a path");
        let certificate = std::fs::read_to_string(certificate).expect("a certificate");
        let client_id = lab.register("Somebody else's program", &certificate, roles);
        let (admin_url, admin_token) = lab.admin();
        let description = json!({
            "authority": lab.authority(),
            "graph": lab.graph(),
            "ca": lab.ca(),
            "tenant": lab.tenant(),
            "domain": lab.domain(),
            "mailboxes": lab.mailboxes(),
            "admin_url": admin_url,
            "admin_token": admin_token,
            "client_id": client_id,
            "roles": roles,
            "keys": keys,
            "refusals": refusals(),
        });
        Self { lab, description, _directory: directory }
    }
}

/// The codes that Entra refuses token requests with, as the reference data has them, each with its
/// `error` where that is known. Empty where the data is not.
fn refusals() -> BTreeMap<String, Vec<String>> {
    let Some(data) = shared_data() else { return BTreeMap::new() };
    let facts = std::fs::read_to_string(data.join("entra/facts.md")).expect("facts.md is there");
    let (_, section) = facts.split_once("\n## 2.").expect("the section on the token endpoint");
    let section = section.split("\n## ").next().unwrap_or(section);
    let mut found = BTreeMap::new();
    for row in section.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let parts = |cell: &str| cell.split('/').map(|part| part.trim().to_owned()).collect();
        let codes: Vec<String> = parts(cells[0]);
        let is_name = |text: &String| text.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        let errors: Vec<String> = parts(cells.last().copied().unwrap_or_default());
        for (at, code) in codes.iter().enumerate() {
            if code.parse::<u32>().is_ok() {
                let error = errors.get(at).or(errors.first()).filter(|error| is_name(error));
                found.insert(code.clone(), error.cloned().into_iter().collect());
            }
        }
    }
    assert!(found.len() > 15, "the table of codes is read: {found:?}");
    found
}

/// Where `cargo xtask interop` has put other people's programs.
struct Clients(PathBuf);

impl Clients {
    fn installed() -> Option<Self> {
        let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(target).join("interop");
        let complete =
            ["python.installed", "node.installed"].iter().all(|one| root.join(one).is_file());
        if !complete {
            eprintln!(
                "skipped, because other people's clients are not installed (cargo xtask interop)"
            );
        }
        complete.then_some(Self(root))
    }

    fn interpreter(&self) -> PathBuf {
        self.0.join("python/bin/python3")
    }

    /// Runs a script that is told of the world.
    #[track_caller]
    fn python(&self, name: &str, world: &Value) -> Run {
        let mut python = Command::new(self.interpreter());
        // Compiled modules stay with the clients, not beside the scripts.
        python.env("PYTHONPYCACHEPREFIX", self.0.join("compiled")).arg(script(name));
        run_alone(&mut python, world)
    }

    /// The same for Node.
    #[track_caller]
    fn node(&self, name: &str, world: &Value) -> Run {
        let mut node = Command::new("node");
        node.env("NODE_PATH", self.0.join("node/node_modules")).arg(script(name));
        run_alone(&mut node, world)
    }
}

/// Runs a client that trusts the lab by the means that the client has for that, and nobody else.
#[track_caller]
fn run_alone(command: &mut Command, world: &Value) -> Run {
    let ca = world["ca"].as_str().unwrap_or_default();
    for variable in ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"] {
        command.env(variable, ca);
    }
    // A proxy of this machine is none to loopback.
    for variable in
        ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"]
    {
        command.env_remove(variable);
    }
    story::run(command, world.to_string().as_bytes())
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/interop").join(name)
}
