//! What is in a mailbox, from both ends: as the lab has it, and as stock restic finds it in the
//! vault.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// One item: what both ends tell of it.
pub(crate) type Held = Value;

/// A mailbox's items by the provider's id.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct State {
    pub(crate) items: BTreeMap<String, Held>,
}

impl State {
    /// From [`Lab::contents`](super::Lab::contents). What only recovery would find is left out.
    #[track_caller]
    pub(crate) fn of_lab(contents: &Value) -> Self {
        let mut state = Self::default();
        for message in list(&contents["messages"]).filter(|message| message["hidden"] == false) {
            let held = json!({
                "kind": "message",
                "folder": message["folder"],
                "subject": message["subject"],
                "read": message["read"],
                "flag": message["flag"],
                "categories": message["categories"],
                "content": message["mime_sha256"],
            });
            state.add(&message["id"], held);
        }
        for event in list(&contents["events"]) {
            let held = json!({
                "kind": "event",
                "folder": event["calendar"],
                "subject": event["subject"],
                "categories": event["categories"],
                "exceptions": list(&event["exceptions"]).count(),
                "cancelled": list(&event["cancelled"]).count(),
            });
            state.add(&event["id"], held);
        }
        for contact in list(&contents["contacts"]) {
            let held = json!({
                "kind": "contact",
                "folder": contact["folder"],
                "subject": contact["displayName"],
            });
            state.add(&contact["id"], held);
        }
        state
    }

    /// From the files of a mailbox, restored by restic: `ADDRESS/mail/…`.
    #[track_caller]
    pub(crate) fn of_files(mailbox: &Path) -> Self {
        let mut state = Self::default();
        let mut waiting = vec![mailbox.join("mail")];
        while let Some(directory) = waiting.pop() {
            for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
                if entry.path().is_dir() {
                    waiting.push(entry.path());
                } else if entry.file_name() == "items.jsonl" {
                    state.read_leaf(&directory);
                }
            }
        }
        state
    }

    #[track_caller]
    fn read_leaf(&mut self, leaf: &Path) {
        let index = fs::read_to_string(leaf.join("items.jsonl")).expect("an index is text");
        for line in index.lines() {
            let line: Value = serde_json::from_str(line).expect("a line of an index is JSON");
            let file = leaf.join(line["file"].as_str().unwrap_or_default());
            let content = fs::read(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
            assert_eq!(line["bytes"], content.len(), "{}", file.display());
            let item = &line["item"];
            let kind = item["kind"].as_str().unwrap_or("message");
            // No item for the provider; the story `fidelity` compares them.
            if kind == "setting" {
                continue;
            }
            let mut held =
                json!({"kind": kind, "folder": item["folder"], "subject": item["subject"]});
            match kind {
                "message" => {
                    held["read"] = item["read"].clone();
                    held["flag"] = item["follow_up"].clone();
                    held["categories"] = or_empty(&item["categories"]);
                    held["content"] = json!(hex(&content));
                }
                "event" => {
                    let event = &item["detail"]["event"];
                    held["categories"] = or_empty(&event["categories"]);
                    held["exceptions"] = json!(list(&event["exceptions"]).count());
                    held["cancelled"] = json!(list(&event["cancelled_occurrences"]).count());
                }
                _ => {}
            }
            self.add(&item["id"], held);
        }
    }

    #[track_caller]
    fn add(&mut self, id: &Value, held: Held) {
        let id = id.as_str().unwrap_or_else(|| panic!("no id: {held}")).to_owned();
        let twice = self.items.insert(id.clone(), held);
        assert!(twice.is_none(), "{id} is there twice");
    }

    /// Items of this one that the other does not have.
    pub(crate) fn without(&self, other: &Self) -> BTreeSet<&str> {
        let missing = self.items.keys().filter(|id| !other.items.contains_key(*id));
        missing.map(String::as_str).collect()
    }

    /// How many of its items are messages.
    pub(crate) fn messages<'a>(&self, ids: impl IntoIterator<Item = &'a str>) -> u64 {
        let is_message = |id: &&str| self.items.get(*id).is_some_and(|i| i["kind"] == "message");
        ids.into_iter().filter(is_message).count() as u64
    }

    /// Items that are told differently, each with both versions.
    pub(crate) fn differences<'a>(&'a self, other: &'a Self) -> Vec<(&'a str, &'a Held, &'a Held)> {
        let both = self.items.iter().filter_map(|(id, mine)| {
            let theirs = other.items.get(id)?;
            (mine != theirs).then_some((id.as_str(), mine, theirs))
        });
        both.collect()
    }
}

/// How often each item is in a mailbox of the lab, told by what a restore into another mailbox
/// keeps: its folder's path, its subject, its content.
#[track_caller]
pub(crate) fn copies(contents: &Value) -> BTreeMap<String, usize> {
    let mut copies = BTreeMap::new();
    let mut count = |item: Value| *copies.entry(item.to_string()).or_default() += 1;
    for message in list(&contents["messages"]).filter(|message| message["hidden"] == false) {
        let of =
            |names: &[&str]| names.iter().map(|name| message[*name].clone()).collect::<Vec<_>>();
        let told = ["folder_path", "subject", "internet_message_id", "read", "flag"];
        let hashes = list(&message["attachments"]).map(|file| file["sha256"].clone());
        let hashes: Vec<_> = hashes.collect();
        // A draft is written anew, at another time.
        let received = Some(&message["received"]).filter(|_| message["draft"] == false);
        count(json!([of(&told), received, message["draft"], message["body_text_sha256"], hashes]));
    }
    let name_of = |folders: &Value, id: &Value| {
        list(folders).find(|folder| folder["id"] == *id).map(|folder| folder["name"].clone())
    };
    for event in list(&contents["events"]) {
        let calendar = name_of(&contents["calendars"], &event["calendar"]);
        let exceptions = list(&event["exceptions"]).count();
        let hashes: Vec<_> =
            list(&event["attachments"]).map(|file| file["sha256"].clone()).collect();
        count(json!([calendar, event["subject"], event["start"], exceptions, hashes]));
    }
    for contact in list(&contents["contacts"]) {
        let folder = name_of(&contents["contact_folders"], &contact["folder"]);
        let told = [&contact["displayName"], &contact["emailAddresses"], &contact["photo_sha256"]];
        count(json!([folder, told]));
    }
    copies
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn or_empty(value: &Value) -> Value {
    if value.is_null() { json!([]) } else { value.clone() }
}

fn hex(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}
