//! Microsoft Graph, as the lab has it: people use it with a client of their own, and the lab's
//! administration says what is true.

use std::sync::atomic::{AtomicU64, Ordering};

use mailkeep_exchange::{Access, Extras, GraphProvider};
use mailkeep_model::{FolderId, FolderKind, Function, ItemId, Mailbox, MailboxId, WellKnownFolder};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    backend::{Act, Backend, Failure, TrueFolder, TrueItem, TrueMessage, Truth},
    common::{Site, answered},
};

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
    site: Site,
    /// Of the people, who use Graph without our client.
    token: String,
    reader: GraphProvider,
    restorer: GraphProvider,
    seed: AtomicU64,
}

impl GraphBackend {
    pub(crate) async fn start() -> Self {
        let site = Site::start().await;
        // What was purged is no folder that people have.
        let extras = Extras { tasks: true, streams: true, archive: true, recoverable_items: false };
        site.register(Function::Reader, READER).await;
        site.register(Function::Restorer, RESTORER).await;
        let reader = site.connect(Function::Reader, extras);
        let restorer = site.connect(Function::Restorer, extras);
        let token = token(&site).await;
        Self { site, token, reader, restorer, seed: AtomicU64::new(1) }
    }

    async fn order(&self, what: &str, mut body: Value) -> Value {
        if matches!(what, "generate" | "mutate") {
            body["seed"] = json!(self.seed.fetch_add(1, Ordering::Relaxed));
        }
        self.site.order(what, body).await
    }

    /// A person's request.
    async fn use_graph(&self, method: Method, mailbox: &Mailbox, path: &str, body: Value) -> Value {
        let graph = &self.site.lab.description().graph;
        let url = format!("{graph}/users/{}/{path}", mailbox.id.0);
        let request = self.site.http.request(method, url).bearer_auth(&self.token);
        let request = request.header("prefer", "IdType=\"ImmutableId\"");
        answered(if body.is_null() { request } else { request.json(&body) }).await
    }
}

/// A token with which people write.
async fn token(site: &Site) -> String {
    let Access { signer, job, .. } = &site.access;
    let signed = signer.sign_assertion(job, &site.tenant, Function::Restorer).await.unwrap();
    let graph = site.lab.description().graph.trim_end_matches("/v1.0");
    let scope = format!("{graph}/.default");
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", &signed.client_id),
        ("scope", &scope),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", signed.assertion.expose()),
    ];
    let answer = answered(site.http.post(&signed.token_endpoint).form(&form)).await;
    text(&answer["access_token"])
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
        let whole = self.site.look(&format!("mailbox/{}", mailbox.address)).await;
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
