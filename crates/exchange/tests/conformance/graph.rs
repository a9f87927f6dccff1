//! Microsoft Graph, as the lab has it: people use it with a client of their own, and the lab's
//! administration says what is true.

use std::sync::atomic::{AtomicU64, Ordering};

use mailkeep_exchange::{Access, Extras, GraphConfig, GraphProvider};
use mailkeep_identity::{JobId, ReceiptLog, SignerClient};
use mailkeep_lab::{Lab, LabOptions, Registration};
use mailkeep_model::{
    FolderId, FolderKind, Function, ItemId, Mailbox, MailboxId, TenantName, WellKnownFolder,
};
use mailkeep_signer::{Sealing, Signer, SignerOptions};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::backend::{Act, Backend, Failure, TrueFolder, TrueItem, TrueMessage, Truth};

const READER: &[&str] = &[
    "Mail.Read",
    "Calendars.Read",
    "Contacts.Read",
    "MailboxSettings.Read",
    "MailboxFolder.Read.All",
    "MailboxItem.Read.All",
    "MailboxItem.Export.All",
    "Tasks.Read.All",
    "User.Read.All",
];
const RESTORER: &[&str] = &[
    "Mail.ReadWrite",
    "Calendars.ReadWrite",
    "Contacts.ReadWrite",
    "MailboxSettings.ReadWrite",
    "MailboxFolder.Read.All",
    "MailboxItem.Read.All",
    "MailboxItem.ImportExport.All",
    "Tasks.ReadWrite.All",
    "User.Read.All",
];

pub(crate) struct GraphBackend {
    lab: Lab,
    http: Client,
    admin_token: String,
    /// Of the people, who use Graph without our client.
    token: String,
    reader: GraphProvider,
    restorer: GraphProvider,
    seed: AtomicU64,
    _directory: TempDir,
}

impl GraphBackend {
    pub(crate) async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let lab = Lab::start(LabOptions::new(directory.path().join("lab"))).await.unwrap();
        let signer_directory = directory.path().join("signer");
        let socket = signer_directory.join("signer.sock");
        let sealing = Sealing::IdentityFile(directory.path().join("key.txt"));
        let options = SignerOptions::new(signer_directory, socket.clone(), sealing);
        let signer = tokio::task::spawn_blocking(|| Signer::open(options)).await.unwrap().unwrap();
        tokio::spawn(signer.serve(std::future::pending()));
        let signer = SignerClient::connect(&socket, "test".parse().unwrap()).await.unwrap();
        let receipts = ReceiptLog::open(directory.path().join("receipts.jsonl")).unwrap();
        let job: JobId = "job".parse().unwrap();
        let access = Access { signer, receipts, job };
        let reader = connect(&lab, &access, Function::Reader, READER).await;
        let restorer = connect(&lab, &access, Function::Restorer, RESTORER).await;

        let ca = std::fs::read(&lab.description().ca).unwrap();
        let ca = reqwest::Certificate::from_pem(&ca).unwrap();
        let http = Client::builder().tls_certs_only([ca]).build().unwrap();
        let admin_token = std::fs::read_to_string(&lab.description().admin_token_file).unwrap();
        let token = token(&lab, &access, &http).await;
        Self {
            lab,
            http,
            admin_token: admin_token.trim().to_owned(),
            token,
            reader,
            restorer,
            seed: AtomicU64::new(1),
            _directory: directory,
        }
    }

    async fn order(&self, what: &str, mut body: Value) -> Value {
        if matches!(what, "generate" | "mutate") {
            body["seed"] = json!(self.seed.fetch_add(1, Ordering::Relaxed));
        }
        let url = format!("{}/{what}", self.lab.description().admin);
        send(self.http.post(url).bearer_auth(&self.admin_token).json(&body)).await
    }

    /// A person's request.
    async fn use_graph(&self, method: Method, mailbox: &Mailbox, path: &str, body: Value) -> Value {
        let graph = &self.lab.description().graph;
        let url = format!("{graph}/users/{}/{path}", mailbox.id.0);
        let request = self.http.request(method, url).bearer_auth(&self.token);
        let request = request.header("prefer", "IdType=\"ImmutableId\"");
        send(if body.is_null() { request } else { request.json(&body) }).await
    }
}

/// Registers an application and connects with its key.
async fn connect(lab: &Lab, access: &Access, function: Function, rights: &[&str]) -> GraphProvider {
    let (tenant, description) = (tenant(), lab.description());
    let key = access.signer.create_key(&access.job, &tenant, function).await.unwrap();
    let registration = Registration {
        name: function.to_string(),
        certificate: key.certificate_pem,
        roles: rights.iter().map(|right| (*right).to_owned()).collect(),
    };
    let directory = description.tenants[0].id.to_string();
    let client_id = lab.register(&directory, registration).unwrap().client_id.to_string();
    let endpoint = format!("{}/{directory}/oauth2/v2.0/token", description.authority);
    access.signer.bind(&access.job, &tenant, function, &client_id, &endpoint).await.unwrap();
    let config = GraphConfig {
        tenant,
        function,
        graph: description.graph.parse().unwrap(),
        ca_pem: Some(std::fs::read_to_string(&description.ca).unwrap()),
        // What was purged is no folder that people have.
        extras: Extras { tasks: true, streams: true, archive: true, recoverable_items: false },
    };
    GraphProvider::new(config, access.clone()).unwrap()
}

fn tenant() -> TenantName {
    "acme".parse().unwrap()
}

/// A token with which people write.
async fn token(lab: &Lab, access: &Access, http: &Client) -> String {
    let signer = &access.signer;
    let signed = signer.sign_assertion(&access.job, &tenant(), Function::Restorer).await.unwrap();
    let graph = lab.description().graph.trim_end_matches("/v1.0");
    let scope = format!("{graph}/.default");
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", &signed.client_id),
        ("scope", &scope),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", signed.assertion.expose()),
    ];
    let answer = send(http.post(&signed.token_endpoint).form(&form)).await;
    text(&answer["access_token"])
}

async fn send(request: reqwest::RequestBuilder) -> Value {
    let answer = request.send().await.unwrap();
    let (status, path) = (answer.status(), answer.url().path().to_owned());
    let body = answer.text().await.unwrap();
    assert!(status.is_success(), "{path}: {status} {body}");
    serde_json::from_str(&body).unwrap_or_default()
}

impl Backend for GraphBackend {
    type Provider = GraphProvider;

    fn reader(&self) -> &GraphProvider {
        &self.reader
    }

    fn restorer(&self) -> &GraphProvider {
        &self.restorer
    }

    async fn mailbox(&self, name: &str) -> Mailbox {
        let made = self.order("generate", json!({"mailbox": name, "messages": 0})).await;
        Mailbox {
            id: MailboxId(text(&made["id"])),
            address: text(&made["mailbox"]).parse().unwrap(),
            display_name: name.to_owned(),
        }
    }

    async fn does(&self, mailbox: &Mailbox, act: Act<'_>) -> Vec<String> {
        let folder = |id: &FolderId| format!("mailFolders/{}", id.0);
        let message = |id: &ItemId| format!("messages/{}", id.0);
        let (method, path, body) = match act {
            Act::MakeFolder { parent, name } => {
                let below = parent.map(|parent| format!("{}/childFolders", folder(parent)));
                let path = below.unwrap_or_else(|| "mailFolders".to_owned());
                (Method::POST, path, json!({ "displayName": name }))
            }
            Act::RenameFolder { folder: id, name } => {
                (Method::PATCH, folder(id), json!({ "displayName": name }))
            }
            Act::MoveFolder { folder: id, to } => {
                let to = to.map_or("msgfolderroot", |to| &to.0);
                (Method::POST, format!("{}/move", folder(id)), json!({ "destinationId": to }))
            }
            Act::DeleteFolder { folder: id } => (Method::DELETE, folder(id), Value::Null),
            Act::MarkMessage { item, read, flagged, category } => {
                let flag = if flagged { "flagged" } else { "notFlagged" };
                let categories: Vec<&str> = category.into_iter().collect();
                let marks = json!({"isRead": read, "flag": {"flagStatus": flag},
                    "categories": categories});
                (Method::PATCH, message(item), marks)
            }
            Act::MoveMessage { item, to } => {
                let to = json!({ "destinationId": to.0 });
                (Method::POST, format!("{}/move", message(item)), to)
            }
            Act::DeleteMessage { item } => {
                (Method::POST, format!("{}/permanentDelete", message(item)), Value::Null)
            }
        };
        let answer = self.use_graph(method, mailbox, &path, body).await;
        answer["id"].as_str().map(str::to_owned).into_iter().collect()
    }

    async fn receives(
        &self,
        mailbox: &Mailbox,
        folder: &FolderId,
        messages: usize,
        bytes: usize,
    ) -> Vec<ItemId> {
        let order = json!({"mailbox": mailbox.address.as_str(), "folder": folder.0,
            "create": messages, "bytes": bytes});
        ids(&self.order("mutate", order).await["created"])
    }

    async fn makes(&self, mailbox: &Mailbox, kind: FolderKind, items: usize) -> bool {
        let Some(name) = named(kind) else { return false };
        let mut order = json!({ "mailbox": mailbox.address.as_str() });
        order[name] = json!(items);
        self.order("generate", order).await;
        true
    }

    async fn edits(
        &self,
        mailbox: &Mailbox,
        kind: FolderKind,
        items: usize,
    ) -> (Vec<ItemId>, Vec<ItemId>) {
        let name = named(kind).unwrap();
        let mut order = json!({ "mailbox": mailbox.address.as_str() });
        order[name] = json!({ "change": items, "delete": items });
        let done = self.order("mutate", order).await;
        let ours = |list: &Value| -> Vec<ItemId> {
            ids(list).into_iter().map(|id| told_as(kind, id)).collect()
        };
        (ours(&done[name]["changed"]), ours(&done[name]["deleted"]))
    }

    async fn truth(&self, mailbox: &Mailbox) -> Truth {
        let admin = &self.lab.description().admin;
        let url = format!("{admin}/mailbox/{}", mailbox.address);
        let whole = send(self.http.get(url).bearer_auth(&self.admin_token)).await;
        let seen = |name: &str| -> Vec<Value> {
            let all = whole[name].as_array().into_iter().flatten();
            all.filter(|one| one["hidden"] != true).cloned().collect()
        };
        let id = |one: &Value| text(&one["id"]);
        let mut truth = Truth::default();
        for folder in seen("folders") {
            truth.folders.insert(
                id(&folder),
                TrueFolder {
                    path: texts(&folder["path"]),
                    role: folder["role"].as_str().and_then(role),
                },
            );
        }
        for message in seen("messages") {
            truth.messages.insert(
                id(&message),
                TrueMessage {
                    folder: text(&message["folder"]),
                    subject: text(&message["subject"]),
                    from: message["from"]["address"].as_str().map(str::to_owned),
                    internet_message_id: message["internet_message_id"].as_str().map(str::to_owned),
                    read: message["read"] == true,
                    flagged: message["flag"] == "flagged",
                    categories: texts(&message["categories"]),
                    sha256: text(&message["mime_sha256"]),
                },
            );
        }
        for (kind, folder, name) in [
            (FolderKind::Calendar, "calendar", "subject"),
            (FolderKind::Contacts, "folder", "displayName"),
        ] {
            for item in seen(named(kind).unwrap()) {
                let (folder, name) = (text(&item[folder]), text(&item[name]));
                truth.others.insert(id(&item), TrueItem { kind, folder, name });
            }
        }
        let kind = FolderKind::Tasks;
        for list in seen("task_lists") {
            for task in list["tasks"].as_array().into_iter().flatten() {
                let (folder, name) = (id(&list), text(&task["title"]));
                truth.others.insert(id(task), TrueItem { kind, folder, name });
            }
        }
        let kind = FolderKind::Settings;
        let mut set = |id: ItemId, folder: &str, name: String| {
            let item = TrueItem { kind, folder: format!("settings:{folder}"), name };
            truth.others.insert(id.0, item);
        };
        set(ItemId("setting:mailbox".into()), "mailbox", "Mailbox settings".into());
        for (group, prefix) in [("rules", "rule"), ("categories", "category")] {
            for one in seen(group) {
                let id = ItemId(format!("setting:{prefix}:{}", id(&one)));
                set(id, group, text(&one["displayName"]));
            }
        }
        let kind = FolderKind::Opaque;
        for note in seen("notes") {
            let (folder, name) = (text(&note["folder"]), text(&note["fields"]["subject"]));
            truth.others.insert(id(&note), TrueItem { kind, folder, name });
        }
        for group in seen("contact_groups") {
            let folder = format!("groups:{}", text(&group["folder"]));
            let name = text(&group["fields"]["displayName"]);
            truth.others.insert(id(&group), TrueItem { kind, folder, name });
        }
        truth
    }

    async fn fails(&self, mailbox: &Mailbox, how: Failure) {
        let mut rule = match how {
            Failure::Throttled(times) => json!({"status": 429, "retry_after": 1, "times": times}),
            Failure::Forbidden => json!({"status": 403}),
            Failure::CursorsExpired => json!({"invalidate": "cursors"}),
            Failure::BreaksOff(times) => json!({"reset": true, "times": times}),
            Failure::Unreadable(item) => json!({"operation": "message.value", "item": item.0,
                "status": 500, "code": "ErrorItemCorrupt"}),
        };
        rule["mailbox"] = json!(mailbox.address.as_str());
        self.order("faults", json!([rule])).await;
    }

    async fn heals(&self) {
        self.order("faults", json!([])).await;
    }
}

/// What the lab calls such items.
fn named(kind: FolderKind) -> Option<&'static str> {
    match kind {
        FolderKind::Calendar => Some("events"),
        FolderKind::Contacts => Some("contacts"),
        FolderKind::Tasks => Some("tasks"),
        FolderKind::Settings => Some("rules"),
        FolderKind::Opaque => Some("notes"),
        _ => None,
    }
}

/// What we call an item that the lab names.
fn told_as(kind: FolderKind, id: ItemId) -> ItemId {
    match kind {
        FolderKind::Settings => ItemId(format!("setting:rule:{}", id.0)),
        _ => id,
    }
}

fn role(name: &str) -> Option<WellKnownFolder> {
    match name {
        "inbox" => Some(WellKnownFolder::Inbox),
        "sentitems" => Some(WellKnownFolder::SentItems),
        "drafts" => Some(WellKnownFolder::Drafts),
        "deleteditems" => Some(WellKnownFolder::DeletedItems),
        "junkemail" => Some(WellKnownFolder::JunkEmail),
        _ => None,
    }
}

fn ids(list: &Value) -> Vec<ItemId> {
    list.as_array().into_iter().flatten().map(|one| ItemId(text(&one["id"]))).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().map(text).collect()
}
