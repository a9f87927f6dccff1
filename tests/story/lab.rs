//! The simulated provider, driven from outside through its administrative interface.

use std::{path::PathBuf, process::Command, sync::Mutex};

use serde_json::{Value, json};

use super::process::{Background, Mailkeep, run};

/// A running lab.
pub(crate) struct Lab {
    running: Mutex<Option<Background>>,
    description: Value,
    token: String,
}

impl Lab {
    /// Starts a lab with files of its own in the data directory of `mailkeep`.
    #[track_caller]
    pub(crate) fn start(mailkeep: &Mailkeep, arguments: &[&str]) -> Self {
        let running = mailkeep.start(&[&["lab"], arguments].concat());
        let description: Value = serde_json::from_str(&running.first_line)
            .unwrap_or_else(|e| panic!("the lab's first line: {e}: {}", running.first_line));
        let file = text(&description["admin_token_file"]);
        let token = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{file}: {e}"));
        Self { running: Mutex::new(Some(running)), description, token: token.trim().to_owned() }
    }

    /// Ends the lab as a failure of the whole provider would.
    pub(crate) fn kill(&self) {
        if let Some(running) = self.running.lock().expect("no thread has failed").take() {
            running.kill();
        }
    }

    /// Its process, while it runs.
    pub(crate) fn id(&self) -> Option<u32> {
        self.running.lock().expect("no thread has failed").as_ref().map(Background::id)
    }

    pub(crate) fn authority(&self) -> String {
        text(&self.description["authority"])
    }

    pub(crate) fn graph(&self) -> String {
        text(&self.description["graph"])
    }

    pub(crate) fn ca(&self) -> PathBuf {
        PathBuf::from(text(&self.description["ca"]))
    }

    /// `127.0.0.1:PORT`, to start a lab again where this one was.
    pub(crate) fn address(&self) -> String {
        let authority = self.authority();
        let rest = authority.trim_start_matches("https://");
        rest.split('/').next().unwrap_or_default().to_owned()
    }

    /// The directory (tenant) id of the first tenant.
    pub(crate) fn tenant(&self) -> String {
        text(&self.description["tenants"][0]["id"])
    }

    /// The directory ids of all tenants, in their order.
    pub(crate) fn tenants(&self) -> Vec<String> {
        let tenants = self.description["tenants"].as_array();
        tenants.into_iter().flatten().map(|tenant| text(&tenant["id"])).collect()
    }

    /// The domain of the first tenant.
    pub(crate) fn domain(&self) -> String {
        text(&self.description["tenants"][0]["domain"])
    }

    /// Where the administrative interface is, and the token that it wants: for programs that drive
    /// it themselves.
    pub(crate) fn admin(&self) -> (String, &str) {
        (text(&self.description["admin"]), &self.token)
    }

    /// The addresses of the first tenant's mailboxes at the start.
    pub(crate) fn mailboxes(&self) -> Vec<String> {
        let listed = self.description["tenants"][0]["mailboxes"].as_array();
        listed.into_iter().flatten().map(text).collect()
    }

    /// The address of the mailbox that the seed `person` was put into.
    #[track_caller]
    pub(crate) fn mailbox(&self, person: &str) -> String {
        let begin = format!("{person}@");
        let found = self.mailboxes().into_iter().find(|address| address.starts_with(&begin));
        found.unwrap_or_else(|| panic!("no mailbox of {person} in {:?}", self.mailboxes()))
    }

    /// Registers an application with a certificate and rights; its client id.
    #[track_caller]
    pub(crate) fn register(&self, name: &str, certificate: &str, roles: &[&str]) -> String {
        let tenant = self.tenant();
        let application =
            json!({"tenant": tenant, "name": name, "certificate": certificate, "roles": roles});
        text(&self.post("register", &application)["client_id"])
    }

    /// `POST /_lab/WHAT`.
    #[track_caller]
    pub(crate) fn post(&self, what: &str, body: &Value) -> Value {
        self.call("POST", what, Some(body))
    }

    /// Changes an application as its administrator would.
    #[track_caller]
    pub(crate) fn change_application(&self, client_id: &str, change: &Value) {
        self.post(&format!("applications/{client_id}"), change);
    }

    /// The id of an application's only key.
    #[track_caller]
    pub(crate) fn key_of(&self, client_id: &str) -> String {
        let applications = self.call("GET", "applications", None);
        let mut listed = applications.as_array().into_iter().flatten();
        let found = listed.find(|one| one["client_id"] == client_id);
        text(&found.unwrap_or_else(|| panic!("no application {client_id}"))["keys"][0]["key_id"])
    }

    /// All applications, with their keys.
    #[track_caller]
    pub(crate) fn applications(&self) -> Vec<Value> {
        self.call("GET", "applications", None).as_array().cloned().unwrap_or_default()
    }

    /// Requests since the last [`Lab::forget_counts`], all or those for one operation.
    #[track_caller]
    pub(crate) fn requests(&self, operation: Option<&str>) -> u64 {
        let counters = self.call("GET", "counters", None);
        let counted = match operation {
            None => &counters["total"],
            Some(operation) => &counters["operations"][operation],
        };
        counted["requests"].as_u64().unwrap_or_default()
    }

    /// A log of the provider: `signin` or `activity`.
    #[track_caller]
    pub(crate) fn log(&self, kind: &str) -> Vec<Value> {
        let log = self.call("GET", &format!("logs?kind={kind}"), None);
        log.as_array().cloned().unwrap_or_default()
    }

    /// Everything that the lab counts.
    #[track_caller]
    pub(crate) fn counters(&self) -> Value {
        self.call("GET", "counters", None)
    }

    /// Requests for the content of a message.
    #[track_caller]
    pub(crate) fn contents_read(&self) -> u64 {
        self.requests(Some("message.value"))
    }

    /// Counts from zero again.
    #[track_caller]
    pub(crate) fn forget_counts(&self) {
        self.call("DELETE", "counters", None);
    }

    /// Replaces the rules by which requests fail.
    #[track_caller]
    pub(crate) fn faults(&self, rules: &Value) {
        self.post("faults", rules);
    }

    /// How often each of the rules has hit, in their order.
    #[track_caller]
    pub(crate) fn hits(&self) -> Vec<u64> {
        let rules = self.call("GET", "faults", None);
        let rules = rules.as_array().into_iter().flatten();
        rules.map(|rule| rule["hits"].as_u64().unwrap_or_default()).collect()
    }

    /// Sets the lab's clock ahead of the machine's, or back.
    #[track_caller]
    pub(crate) fn set_clock(&self, offset_seconds: i64) {
        self.post("clock", &json!({"offset_seconds": offset_seconds}));
    }

    /// Everything in a mailbox, as the lab has it.
    #[track_caller]
    pub(crate) fn contents(&self, mailbox: &str) -> Value {
        self.call("GET", &format!("mailbox/{mailbox}"), None)
    }

    #[track_caller]
    fn call(&self, method: &str, what: &str, body: Option<&Value>) -> Value {
        let config = self.order(method, what, body);
        let mut command = Command::new("curl");
        command.args(["--config", "-"]);
        let answer = run(&mut command, config.as_bytes()).ok();
        if answer.stdout.is_empty() { Value::Null } else { answer.json_of_all() }
    }

    /// `POST /_lab/WHAT` of many bodies one after another, over one connection.
    #[track_caller]
    pub(crate) fn post_all(&self, what: &str, bodies: &[Value]) -> Vec<Value> {
        let orders = bodies.iter().map(|body| self.order("POST", what, Some(body)));
        let config = orders.collect::<Vec<_>>().join("next\n");
        let mut command = Command::new("curl");
        command.args(["--config", "-"]);
        let answer = run(&mut command, config.as_bytes()).ok();
        let answers = serde_json::Deserializer::from_slice(&answer.stdout).into_iter::<Value>();
        answers.map(|one| one.unwrap_or_else(|e| panic!("not JSON ({e}): {answer}"))).collect()
    }

    /// A request, for curl.
    fn order(&self, method: &str, what: &str, body: Option<&Value>) -> String {
        let url = format!("{}/{what}", text(&self.description["admin"]));
        // Through standard input: a token does not belong into an argument list.
        let mut config = format!(
            "url = \"{url}\"\ncacert = \"{}\"\nrequest = {method}\n\
             header = \"authorization: Bearer {}\"\n\
             header = \"content-type: application/json\"\nnoproxy = \"*\"\n\
             silent\nshow-error\nfail-with-body\n",
            self.ca().display(),
            self.token
        );
        if let Some(body) = body {
            let quoted = body.to_string().replace('\\', "\\\\").replace('"', "\\\"");
            config.push_str(&format!("data-binary = \"{quoted}\"\n"));
        }
        config
    }
}

impl super::Run {
    /// Standard output as one JSON value.
    #[track_caller]
    fn json_of_all(&self) -> Value {
        serde_json::from_slice(&self.stdout).unwrap_or_else(|e| panic!("not JSON ({e}): {self}"))
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
