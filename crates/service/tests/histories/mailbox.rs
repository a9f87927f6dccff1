//! The truth: a mailbox as the lab has it.

use std::collections::{BTreeMap, HashSet};

use serde_json::Value;

use crate::common::Admin;

/// All of a mailbox at one time.
#[derive(Clone, Debug)]
pub(crate) struct Mailbox(pub(crate) Value);

/// A folder of any kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Names from the top.
    pub(crate) path: Vec<String>,
    /// `mail`, `calendar` or `contacts`.
    pub(crate) kind: &'static str,
    /// As Graph names it.
    pub(crate) role: Option<String>,
}

impl Mailbox {
    pub(crate) async fn read(admin: &Admin, address: &str) -> Self {
        Self(admin.show(&format!("mailbox/{address}")).await)
    }

    pub(crate) fn list(&self, name: &str) -> &[Value] {
        self.0[name].as_array().map(Vec::as_slice).unwrap_or_default()
    }

    /// Folders of mail that people see.
    pub(crate) fn mail_folders(&self) -> Vec<&Value> {
        self.list("folders").iter().filter(|folder| folder["hidden"] == false).collect()
    }

    /// Messages that people see.
    pub(crate) fn messages(&self) -> Vec<&Value> {
        self.list("messages").iter().filter(|message| message["hidden"] == false).collect()
    }

    /// All items that people see.
    pub(crate) fn items(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        let messages = self.messages().into_iter().map(|one| ("message", one));
        let events = self.list("events").iter().map(|one| ("event", one));
        let contacts = self.list("contacts").iter().map(|one| ("contact", one));
        messages.chain(events).chain(contacts)
    }

    /// What its settings are called, in order.
    pub(crate) fn settings(&self) -> Vec<String> {
        let named = self.list("rules").iter().chain(self.list("categories"));
        let mut names: Vec<String> =
            named.map(|one| one["displayName"].as_str().unwrap_or_default().to_owned()).collect();
        names.push("Mailbox settings".to_owned());
        names.sort();
        names
    }

    /// What the items that people see are called.
    pub(crate) fn ids(&self) -> HashSet<String> {
        self.items().filter_map(|(_, item)| Some(item["id"].as_str()?.to_owned())).collect()
    }

    /// Leaves items out of a comparison.
    pub(crate) fn forget(&mut self, which: impl Fn(&Value) -> bool) {
        for list in ["messages", "events", "contacts"] {
            if let Some(items) = self.0[list].as_array_mut() {
                items.retain(|item| !which(item));
            }
        }
    }

    /// Folders of all kinds, by id.
    pub(crate) fn places(&self) -> BTreeMap<String, Place> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut places = BTreeMap::new();
        for folder in self.mail_folders() {
            let names = folder["path"].as_array().into_iter().flatten();
            let path = names.map(text).collect();
            let role = folder["role"].as_str().map(str::to_owned);
            places.insert(text(&folder["id"]), Place { path, kind: "mail", role });
        }
        let mut default = None;
        for calendar in self.list("calendars") {
            let name = text(&calendar["name"]);
            let role = default.is_none().then(|| "calendar".to_owned());
            // The others are shown as children of the one that every mailbox has.
            let path = default.iter().cloned().chain([name.clone()]).collect();
            default.get_or_insert(name);
            places.insert(text(&calendar["id"]), Place { path, kind: "calendar", role });
        }
        let folders = self.list("contact_folders");
        for (number, folder) in folders.iter().enumerate() {
            let mut path = vec![text(&folder["name"])];
            let mut above = &folder["parent"];
            while let Some(parent) = folders.iter().find(|one| one["id"] == *above) {
                path.insert(0, text(&parent["name"]));
                above = &parent["parent"];
            }
            let role = (number == 0).then(|| "contacts".to_owned());
            places.insert(text(&folder["id"]), Place { path, kind: "contacts", role });
        }
        places
    }

    /// The folder that an item lies in.
    pub(crate) fn folder_of(kind: &str, item: &Value) -> String {
        let folder = &item[if kind == "event" { "calendar" } else { "folder" }];
        folder.as_str().unwrap_or_default().to_owned()
    }
}
