//! What people do to a mailbox, one thing at a time. A refusal is no error: the mailbox then stays
//! as it is, and the lab is asked what it looks like.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    common::Admin, events, history::Log, mailbox::Mailbox, people, random::Random, user::User,
};

/// Names that differ in what file systems and paths make of them.
const FOLDERS: [&str; 10] = [
    "Kunden",
    "kunden ",
    "a/b:c",
    "50 % Rabatt%2F",
    "CON",
    "Über Größe",
    "請求書",
    "2026-11",
    "..",
    "A name that is rather long, as people make them who want to find a thing again – ",
];
pub(crate) const CATEGORIES: [&str; 4] = ["Red category", "Größe", "a,b;c", "VIP"];

/// Where an operation takes place.
pub(crate) struct Scene<'a> {
    pub(crate) user: &'a User,
    pub(crate) admin: &'a Admin,
    pub(crate) address: &'a str,
    pub(crate) log: &'a Log,
}

impl Scene<'_> {
    /// Sends a request into the mailbox and writes down what came of it.
    pub(crate) async fn send(&self, what: &str, method: Method, path: &str, body: Option<Value>) {
        let path = format!("{}/{path}", self.address);
        let sent = self.user.send(method, &path, body).await;
        self.note(what, sent.err());
    }

    pub(crate) fn note(&self, what: &str, refused: Option<String>) {
        match refused {
            None => self.log.add(format!("{}: {what}", self.address)),
            Some(why) => {
                let why: String = why.chars().take(160).collect();
                self.log.add(format!("{}: {what}: refused, {why}", self.address));
            }
        }
    }

    /// Changes in bulk, by the lab's own hand.
    pub(crate) async fn mutate(&self, what: &str, mut order: Value) {
        order["mailbox"] = json!(self.address);
        let done = self.admin.order("mutate", order).await;
        self.log.add(format!("{}: {what}: {done}", self.address));
    }
}

/// How often, and what.
const KINDS: [(usize, Kind); 10] = [
    (12, Kind::Receive),
    (8, Kind::Write),
    (16, Kind::Mark),
    (8, Kind::Edit),
    (14, Kind::Move),
    (10, Kind::Delete),
    (14, Kind::Folder),
    (16, Kind::Event),
    (12, Kind::Contact),
    (4, Kind::Empty),
];

#[derive(Clone, Copy)]
enum Kind {
    Receive,
    Write,
    Mark,
    Edit,
    Move,
    Delete,
    Folder,
    Event,
    Contact,
    Empty,
}

/// Does one thing.
pub(crate) async fn any(scene: &Scene<'_>, random: &mut Random) {
    let there = Mailbox::read(scene.admin, scene.address).await;
    let all = KINDS.iter().map(|(weight, _)| weight).sum();
    let mut at = random.below(all);
    let mut kinds = KINDS.iter();
    let kind = loop {
        let (weight, kind) = kinds.next().expect("the weights sum up to all");
        match at.checked_sub(*weight) {
            Some(rest) => at = rest,
            None => break *kind,
        }
    };
    match kind {
        Kind::Receive => receive(scene, random, &there).await,
        Kind::Write => write(scene, random, &there).await,
        Kind::Mark => mark(scene, random, &there).await,
        Kind::Edit => edit(scene, random, &there).await,
        Kind::Move => relocate(scene, random, &there).await,
        Kind::Delete => delete(scene, random, &there).await,
        Kind::Folder => folder(scene, random, &there).await,
        Kind::Event => events::any(scene, random, &there).await,
        Kind::Contact => people::any(scene, random, &there).await,
        Kind::Empty => empty(scene, random, &there).await,
    }
}

/// Does one thing while a pass runs: mostly what is easily taken for a deletion.
pub(crate) async fn any_in_a_hurry(scene: &Scene<'_>, random: &mut Random) {
    if random.percent(50) {
        return any(scene, random).await;
    }
    let there = Mailbox::read(scene.admin, scene.address).await;
    match random.below(10) {
        0..=6 => relocate(scene, random, &there).await,
        7 => empty(scene, random, &there).await,
        8 => {
            let order = json!({ "seed": random.next() >> 1, "contacts": { "move": 2 } });
            scene.mutate("contacts move", order).await;
        }
        _ => folder(scene, random, &there).await,
    }
}

pub(crate) fn id(of: &Value) -> &str {
    of["id"].as_str().unwrap_or_default()
}

pub(crate) fn categories(random: &mut Random) -> Value {
    let mut chosen = CATEGORIES.to_vec();
    chosen.retain(|_| random.percent(40));
    json!(chosen)
}

async fn receive(scene: &Scene<'_>, random: &mut Random, there: &Mailbox) {
    let Some(folder) = random.any(&there.mail_folders()).copied() else { return };
    let (year, month) = (2024 + random.below(3), 1 + random.below(12));
    let day = 1 + random.below(28);
    let order = json!({
        "folder": id(folder),
        "create": 1 + random.below(3),
        "seed": random.next() >> 1,
        "bytes": 300 + random.below(1500),
        "received": format!("{year}-{month:02}-{day:02}T10:00:00Z"),
    });
    scene.mutate("mail arrives", order).await;
}

async fn write(scene: &Scene<'_>, random: &mut Random, there: &Mailbox) {
    let Some(folder) = random.any(&there.mail_folders()).copied() else { return };
    let mut draft = draft(random);
    draft["categories"] = categories(random);
    draft["importance"] = json!(random.pick(&["low", "normal", "high"]));
    if random.percent(30) {
        let bytes: Vec<u8> = (0..random.below(3000)).map(|n| (n % 251) as u8).collect();
        draft["attachments"] = json!([{
            "@odata.type": "#microsoft.graph.fileAttachment",
            "name": "Größe.bin",
            "contentType": "application/octet-stream",
            "contentBytes": data_encoding::BASE64.encode(&bytes),
        }]);
    }
    let path = format!("mailFolders/{}/messages", id(folder));
    scene.send("write a draft", Method::POST, &path, Some(draft)).await;
}

/// What a draft says.
fn draft(random: &mut Random) -> Value {
    let number = random.below(10_000);
    let html = random.percent(50);
    let content = if html {
        format!("<html><body><p>Offer <b>{number}</b> &amp; more</p></body></html>")
    } else {
        format!("Offer {number}\r\nGrüße\r\n")
    };
    json!({
        "subject": format!("Offer {number}"),
        "body": { "contentType": if html { "html" } else { "text" }, "content": content },
        "toRecipients": [{ "emailAddress": {
            "name": "Orla Byrne",
            "address": format!("orla.{}@partner.example", number % 7),
        }}],
    })
}

async fn mark(scene: &Scene<'_>, random: &mut Random, there: &Mailbox) {
    let Some(message) = random.any(&there.messages()).copied() else { return };
    let change = match random.below(4) {
        0 => json!({ "isRead": message["read"] != true }),
        1 => {
            json!({ "flag": { "flagStatus": random.pick(&["flagged", "complete", "notFlagged"]) } })
        }
        2 => json!({ "categories": categories(random) }),
        _ => json!({ "importance": random.pick(&["low", "normal", "high"]) }),
    };
    let what = format!("mark {} {change}", message["subject"]);
    let path = format!("messages/{}", id(message));
    scene.send(&what, Method::PATCH, &path, Some(change)).await;
}

async fn edit(scene: &Scene<'_>, random: &mut Random, there: &Mailbox) {
    let mut drafts = there.messages();
    drafts.retain(|message| message["draft"] == true);
    let Some(message) = random.any(&drafts).copied() else { return };
    let mut change = draft(random);
    if random.percent(30) {
        // Of the same length: only the change key tells.
        change =
            json!({ "body": { "contentType": "text", "content": random.pick(&["one", "two"]) } });
    }
    let path = format!("messages/{}", id(message));
    scene.send("edit a draft", Method::PATCH, &path, Some(change)).await;
}

async fn relocate(scene: &Scene<'_>, random: &mut Random, there: &Mailbox) {
    let Some(message) = random.any(&there.messages()).copied() else { return };
    let Some(folder) = random.any(&there.mail_folders()).copied() else { return };
    let what = format!("move {} to {}", message["subject"], folder["path"]);
    let path = format!("messages/{}/move", id(message));
    let body = json!({ "destinationId": id(folder) });
    scene.send(&what, Method::POST, &path, Some(body)).await;
}

async fn delete(scene: &Scene<'_>, random: &mut Random, there: &Mailbox) {
    let Some(message) = random.any(&there.messages()).copied() else { return };
    let what = format!("delete {}", message["subject"]);
    if random.percent(40) {
        let path = format!("messages/{}/move", id(message));
        let body = json!({ "destinationId": "deleteditems" });
        scene.send(&what, Method::POST, &path, Some(body)).await;
    } else {
        scene.send(&what, Method::DELETE, &format!("messages/{}", id(message)), None).await;
    }
}

/// Deletes or moves all that is in one folder.
async fn empty(scene: &Scene<'_>, random: &mut Random, there: &Mailbox) {
    let Some(folder) = random.any(&there.mail_folders()).copied() else { return };
    let mut items = there.messages();
    items.retain(|message| message["folder"] == folder["id"]);
    let onwards = random.any(&there.mail_folders()).copied().filter(|_| random.percent(50));
    for message in items {
        let path = format!("messages/{}", id(message));
        match onwards {
            None => scene.send("empty a folder", Method::DELETE, &path, None).await,
            Some(to) => {
                let body = json!({ "destinationId": id(to) });
                let path = format!("{path}/move");
                scene.send("move all of a folder", Method::POST, &path, Some(body)).await;
            }
        }
    }
}

async fn folder(scene: &Scene<'_>, random: &mut Random, there: &Mailbox) {
    let name = folder_name(random);
    let all = there.mail_folders();
    let own: Vec<&Value> = all.iter().copied().filter(|one| one["role"].is_null()).collect();
    let parent = random.any(&all).copied().filter(|_| random.percent(60));
    let chosen = random.any(&own).copied();
    match (random.below(10), chosen) {
        (0..=3, _) | (_, None) => {
            let path = match parent {
                None => "mailFolders".to_owned(),
                Some(parent) => format!("mailFolders/{}/childFolders", id(parent)),
            };
            let what = format!("make folder {name:?}");
            scene.send(&what, Method::POST, &path, Some(json!({ "displayName": name }))).await;
        }
        (4..=5, Some(folder)) => {
            let what = format!("rename folder {} to {name:?}", folder["path"]);
            let path = format!("mailFolders/{}", id(folder));
            scene.send(&what, Method::PATCH, &path, Some(json!({ "displayName": name }))).await;
        }
        (6..=7, Some(folder)) => {
            let to = parent.map_or("msgfolderroot", id);
            let what = format!("move folder {} into {to}", folder["path"]);
            let path = format!("mailFolders/{}/move", id(folder));
            scene.send(&what, Method::POST, &path, Some(json!({ "destinationId": to }))).await;
        }
        (_, Some(folder)) => {
            let what = format!("delete folder {}", folder["path"]);
            let path = format!("mailFolders/{}", id(folder));
            scene.send(&what, Method::DELETE, &path, None).await;
        }
    }
}

pub(crate) fn folder_name(random: &mut Random) -> String {
    random.pick(&FOLDERS).to_owned()
}
