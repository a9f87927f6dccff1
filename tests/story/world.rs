//! Everything that a story needs, running: a lab, the signer, and a place for `mailkeep`.

use std::{
    collections::BTreeMap,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Background, Lab, Mailkeep, Repository, Run, State, Watched, temporary};

/// What a reader has to be granted for a backup.
pub(crate) const READER_ROLES: &[&str] =
    &["Mail.Read", "Calendars.Read", "Contacts.Read", "MailboxSettings.Read", "User.Read.All"];

/// What a restorer has to be granted.
pub(crate) const RESTORER_ROLES: &[&str] = &[
    "Mail.ReadWrite",
    "Calendars.ReadWrite",
    "Contacts.ReadWrite",
    "MailboxSettings.ReadWrite",
    "User.Read.All",
];

/// A lab, a signer and a data directory of their own, gone at the end of the story.
pub(crate) struct World {
    pub(crate) mailkeep: Mailkeep,
    pub(crate) lab: Arc<Lab>,
    signer: Option<Background>,
    directory: Arc<TempDir>,
}

impl World {
    /// Starts a lab with `arguments` and the signer. No tenant is known yet.
    #[track_caller]
    pub(crate) fn start(program: impl Into<PathBuf>, arguments: &[&str]) -> Self {
        let directory = temporary();
        let mailkeep = Mailkeep::new(program, directory.path().join("data"));
        let lab = Lab::start(&mailkeep.beside(directory.path().join("lab")), arguments);
        Self::beside(mailkeep, Arc::new(lab), Arc::new(directory))
    }

    /// Another installation of Mailkeep, with keys and a vault of its own, beside the same lab.
    #[track_caller]
    pub(crate) fn neighbour(&self, name: &str) -> Self {
        let mailkeep = self.mailkeep.beside(self.path(name));
        Self::beside(mailkeep, Arc::clone(&self.lab), Arc::clone(&self.directory))
    }

    #[track_caller]
    fn beside(mailkeep: Mailkeep, lab: Arc<Lab>, directory: Arc<TempDir>) -> Self {
        let mut world = Self { mailkeep, lab, signer: None, directory };
        world.start_signer();
        world
    }

    /// A lab and a data directory of which the signer is elsewhere: it has a data directory of its own, and
    /// is reached over TLS as the worker `worker-1`. The way to the signer is set in the settings.
    #[track_caller]
    pub(crate) fn with_remote_signer(
        program: impl Into<PathBuf>,
        arguments: &[&str],
    ) -> (Self, Mailkeep) {
        let directory = Arc::new(temporary());
        let mailkeep = Mailkeep::new(program, directory.path().join("data"));
        let lab = Lab::start(&mailkeep.beside(directory.path().join("lab")), arguments);
        let there = mailkeep.beside(directory.path().join("signer-machine"));
        let identity = there.data().with_extension("identity");
        let start = ["signer", "--identity-file", &identity.to_string_lossy(), "--listen"];
        let signer = there.start(&[&start[..], &["127.0.0.1:0"]].concat());
        let ready: Value = serde_json::from_str(&signer.first_line).unwrap_or_default();
        let address = ready["remote"].as_str().expect("the signer listens for workers");
        let world = Self { mailkeep, lab: Arc::new(lab), signer: Some(signer), directory };
        std::fs::create_dir(world.mailkeep.data()).expect("a data directory");
        let settings = world.way_to_signer(address);
        std::fs::write(world.mailkeep.data().join("config.toml"), settings).expect("settings");
        (world, there)
    }

    /// As [`start`](Self::start); the signer is sealed with a passphrase, and listens for workers of other
    /// machines, too.
    #[track_caller]
    pub(crate) fn with_passphrase(
        program: impl Into<PathBuf>,
        arguments: &[&str],
        passphrase: &str,
    ) -> Self {
        let directory = Arc::new(temporary());
        let mailkeep = Mailkeep::new(program, directory.path().join("data"));
        let lab = Lab::start(&mailkeep.beside(directory.path().join("lab")), arguments);
        let file = directory.path().join("passphrase");
        std::fs::write(&file, passphrase).expect("a passphrase");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("a mode");
        let file = file.to_string_lossy();
        let signer = ["signer", "--passphrase-file", &file, "--listen", "127.0.0.1:0"];
        let signer = Some(mailkeep.start(&signer));
        Self { mailkeep, lab: Arc::new(lab), signer, directory }
    }

    /// The signer's process, while it runs.
    #[track_caller]
    pub(crate) fn signer(&self) -> &Background {
        self.signer.as_ref().expect("the signer runs")
    }

    /// A data directory on another machine, enrolled with this one's signer for a tenant as `worker-1`.
    #[track_caller]
    pub(crate) fn remote_worker(&self, tenant: &str) -> Self {
        let ready: Value = serde_json::from_str(&self.signer().first_line).unwrap_or_default();
        let address = ready["remote"].as_str().expect("the signer listens for workers");
        let mailkeep = self.mailkeep.beside(self.path("another-machine"));
        std::fs::create_dir(mailkeep.data()).expect("a data directory");
        std::fs::write(mailkeep.data().join("config.toml"), self.way_to_signer(address))
            .expect("settings");
        let out = self.path("worker");
        let out = out.to_string_lossy();
        let request = ["signer", "request", "worker-1", "--out", &out];
        let made = mailkeep.json(&request).ok().json();
        let request = made["request"].as_str().expect("where the request is");
        let enroll = ["signer", "enroll", "worker-1", "--request", request, "--out", &out];
        self.mailkeep.run(&[&enroll[..], &["--tenant", tenant]].concat()).ok();
        let (lab, directory) = (Arc::clone(&self.lab), Arc::clone(&self.directory));
        Self { mailkeep, lab, signer: None, directory }
    }

    /// Settings of a worker that proves itself with what lies in `worker`.
    fn way_to_signer(&self, address: &str) -> String {
        format!(
            "[signer]\nurl = \"tls://{address}\"\ncertificate = {0:?}\nkey = {1:?}\nauthority = {2:?}\n",
            self.path("worker/worker.pem"),
            self.path("worker/worker.key"),
            self.path("worker/authority.pem"),
        )
    }

    /// A path in the story's own directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    #[track_caller]
    pub(crate) fn start_signer(&mut self) {
        let identity = self.mailkeep.data().with_extension("identity");
        let identity = identity.to_string_lossy();
        self.signer = Some(self.mailkeep.start(&["signer", "--identity-file", &identity]));
    }

    /// Ends the signer as a power failure would.
    pub(crate) fn kill_signer(&mut self) {
        if let Some(signer) = self.signer.take() {
            signer.kill();
        }
    }

    /// Step one of two: the tenant gets a key. Returns its certificate (PEM).
    #[track_caller]
    pub(crate) fn add_tenant(&self, name: &str) -> String {
        self.add_tenant_in(name, &self.lab.tenant())
    }

    /// As somebody typed the directory's id in.
    #[track_caller]
    pub(crate) fn add_tenant_in(&self, name: &str, directory: &str) -> String {
        let authority = self.lab.authority();
        let (graph, ca) = (self.lab.graph(), self.lab.ca());
        let ca = ca.to_string_lossy();
        let mut add = vec!["tenant", "add", name, "--directory", directory, "--ca", &ca];
        add.extend(["--authority", &authority, "--graph", &graph]);
        let added = self.mailkeep.json(&add).ok().json();
        let certificate = added["certificate"].as_str();
        certificate.unwrap_or_else(|| panic!("no certificate in {added}")).to_owned()
    }

    /// Step two: the application that the administrator registered is named.
    #[track_caller]
    pub(crate) fn name_client(&self, tenant: &str, client_id: &str) {
        let client = format!("reader={client_id}");
        self.mailkeep.run(&["tenant", "add", tenant, "--client-id", &client]).ok();
    }

    /// Both steps, with all rights that a reader needs; the application's client id.
    #[track_caller]
    pub(crate) fn set_up(&self, tenant: &str) -> String {
        let certificate = self.add_tenant(tenant);
        let client_id = self.lab.register("Mailkeep reader", &certificate, READER_ROLES);
        self.name_client(tenant, &client_id);
        client_id
    }

    /// Names the application that restores, without a certificate: its client id. For a tenant that
    /// is set up.
    #[track_caller]
    pub(crate) fn set_up_restorer(&self, tenant: &str) -> String {
        let client_id = self.lab.register("Mailkeep restorer", "", RESTORER_ROLES);
        let client = format!("restorer={client_id}");
        self.mailkeep.run(&["tenant", "add", tenant, "--client-id", &client]).ok();
        client_id
    }

    /// Gives a tenant that is set up an auditor with these rights.
    #[track_caller]
    pub(crate) fn set_up_auditor(&self, tenant: &str, rights: &[&str]) {
        self.set_up_function(tenant, "auditor", rights);
    }

    /// Gives a tenant that is set up a prober, which may send from every mailbox.
    #[track_caller]
    pub(crate) fn set_up_prober(&self, tenant: &str) {
        self.set_up_function(tenant, "prober", &["Mail.Send"]);
    }

    /// Gives a tenant that is set up a responder, which may move and delete in every mailbox.
    #[track_caller]
    pub(crate) fn set_up_responder(&self, tenant: &str) {
        self.set_up_function(tenant, "responder", &["Mail.ReadWrite"]);
    }

    #[track_caller]
    fn set_up_function(&self, tenant: &str, function: &str, rights: &[&str]) {
        let client_id = self.lab.register(&format!("Mailkeep {function}"), "", rights);
        let client = format!("{function}={client_id}");
        self.mailkeep.run(&["tenant", "add", tenant, "--client-id", &client]).ok();
        let certificate = self.mailkeep.json(&["identity", "certificate", tenant, function]).ok();
        let certificate = certificate.json()["certificate_pem"].clone();
        self.lab.change_application(&client_id, &json!({ "add_certificate": certificate }));
    }

    /// `mailkeep restore ARGUMENTS` to its end, whatever that is.
    #[track_caller]
    pub(crate) fn restore(&self, arguments: &[&str]) -> Run {
        self.start_restore(arguments).finish()
    }

    /// `mailkeep restore ARGUMENTS`, with an administrator who registers its key's certificate.
    #[track_caller]
    pub(crate) fn start_restore(&self, arguments: &[&str]) -> Watched {
        let lab = Arc::clone(&self.lab);
        self.mailkeep.watch(&[&["restore"], arguments].concat(), move |line| {
            let line: Value = serde_json::from_str(line).unwrap_or_default();
            if let Some(asked) = line.get("register") {
                let client_id = asked["client_id"].as_str().unwrap_or_default();
                let change = json!({"add_certificate": asked["certificate"]});
                lab.change_application(client_id, &change);
            }
        })
    }

    /// One pass that must succeed; what it reports.
    #[track_caller]
    pub(crate) fn backup(&self, tenant: &str) -> Value {
        self.mailkeep.json(&["backup", tenant]).ok().json()
    }

    /// All messages of a mailbox by the provider's id, as `ls` prints them.
    #[track_caller]
    pub(crate) fn items(
        &self,
        tenant: &str,
        mailbox: &str,
        more: &[&str],
    ) -> BTreeMap<String, Value> {
        let list = |place: &str| {
            let arguments = [&["ls", tenant, place], more].concat();
            self.mailkeep.json(&arguments).ok().json_lines()
        };
        let mut items = BTreeMap::new();
        for folder in list(mailbox).iter().filter(|folder| folder["items"] != 0) {
            let path = folder["path"].as_str().unwrap_or_default();
            for line in list(&format!("{mailbox}:{path}")) {
                if line["kind"] == "message" {
                    let id = line["properties"]["id"].as_str().unwrap_or_default().to_owned();
                    let twice = items.insert(id, line);
                    assert!(twice.is_none(), "there twice: {twice:?}");
                }
            }
        }
        items
    }

    /// A tenant's repository, opened without Mailkeep. Writes a recovery kit.
    #[track_caller]
    pub(crate) fn repository(&self, tenant: &str) -> Repository {
        let kit = self.mailkeep.data().with_extension(format!("{tenant}.kit"));
        if !kit.exists() {
            self.mailkeep.run(&["recovery-kit", tenant, "--out", &kit.to_string_lossy()]).ok();
        }
        Repository::opened_with(kit)
    }

    /// Restores the newest snapshot with stock restic into a new directory.
    #[track_caller]
    pub(crate) fn restore_with_restic(&self, tenant: &str, name: &str) -> PathBuf {
        let target = self.path(name);
        self.repository(tenant).restore(&target);
        target
    }

    /// One mailbox in the newest snapshot, as stock restic finds it.
    #[track_caller]
    pub(crate) fn vault_state(&self, tenant: &str, mailbox: &str) -> State {
        self.vault_states(tenant, &[mailbox]).remove(0)
    }

    /// The same for several mailboxes.
    #[track_caller]
    pub(crate) fn vault_states(&self, tenant: &str, mailboxes: &[&str]) -> Vec<State> {
        let target = tempfile::tempdir_in(self.directory.path()).expect("a directory of ours");
        let to = target.path().to_string_lossy();
        let paths: Vec<String> = mailboxes.iter().map(|mailbox| format!("/{mailbox}")).collect();
        let mut restore = vec!["restore", "latest", "--target", &to];
        restore.extend(paths.iter().flat_map(|path| ["--include", path]));
        self.repository(tenant).restic(&restore).ok();
        mailboxes.iter().map(|mailbox| State::of_files(&target.path().join(mailbox))).collect()
    }

    /// One mailbox as the lab has it.
    #[track_caller]
    pub(crate) fn lab_state(&self, mailbox: &str) -> State {
        State::of_lab(&self.lab.contents(mailbox))
    }

    /// The signer's ledger.
    pub(crate) fn ledger(&self) -> PathBuf {
        self.mailkeep.data().join("signer/ledger.jsonl")
    }

    /// Takes hold of the database as another writer would, until the value is dropped.
    #[track_caller]
    pub(crate) fn lock_database(&self) -> Background {
        const HOLD: &str = "import sqlite3, sys\n\
            database = sqlite3.connect(sys.argv[1], isolation_level=None)\n\
            database.execute('BEGIN IMMEDIATE')\n\
            print('locked', flush=True)\n\
            sys.stdin.read()";
        let file = self.mailkeep.data().join("control.sqlite");
        Background::start(Command::new("python3").args(["-c", HOLD]).arg(file))
    }

    /// Where a tenant's repository lies.
    pub(crate) fn vault(&self, tenant: &str) -> PathBuf {
        self.mailkeep.data().join("vault").join(tenant)
    }
}

/// Bytes of all files below a directory.
pub(crate) fn size_of(directory: &Path) -> u64 {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(about) if about.is_dir() => size_of(&entry.path()),
            Ok(about) => about.len(),
            Err(_) => 0,
        })
        .sum()
}
