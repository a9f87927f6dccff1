//! What was and what is, compared property by property.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use serde_json::{Map, Value, json};

use crate::routes::Route;

/// A kind of things that have the same properties.
pub(crate) struct Class {
    /// Where the lab shows them.
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    /// All of a mailbox, each with what it is found again by.
    of: fn(&Value) -> Vec<(String, Value)>,
    /// Whether a restore tells what it made of each. Else it is found by the same key.
    told: bool,
}

/// Everything that a mailbox holds.
pub(crate) const CLASSES: &[Class] = &[
    Class { name: "messages", title: "Messages", of: visible, told: true },
    Class { name: "events", title: "Events", of: |all| items(&all["events"], ""), told: true },
    Class {
        name: "contacts",
        title: "Contacts",
        of: |all| items(&all["contacts"], ""),
        told: true,
    },
    Class { name: "task_lists", title: "Task lists", of: task_lists, told: false },
    Class { name: "tasks", title: "Tasks", of: tasks, told: true },
    Class { name: "notes", title: "Sticky notes", of: |all| items(&all["notes"], ""), told: true },
    Class {
        name: "contact_groups",
        title: "Contact groups",
        of: |all| items(&all["contact_groups"], ""),
        told: true,
    },
    Class { name: "settings", title: "Mailbox settings", of: settings, told: false },
    Class {
        name: "rules",
        title: "Inbox rules",
        of: |all| items(&all["rules"], "setting:rule:"),
        told: true,
    },
    Class {
        name: "categories",
        title: "Categories",
        of: |all| items(&all["categories"], "setting:category:"),
        told: true,
    },
];

/// What the names of our own extended properties have in common.
const OURS: &str = "{6f1a3c52-9b0e-4d7a-8c41-2e5d90b7a613}";

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// By their identifiers, as Mailkeep prints them.
fn items(all: &Value, prefix: &str) -> Vec<(String, Value)> {
    let keyed = |one: &Value| (format!("{prefix}{}", one["id"].as_str().unwrap()), one.clone());
    list(all).map(keyed).collect()
}

fn visible(mailbox: &Value) -> Vec<(String, Value)> {
    let mut all = items(&mailbox["messages"], "");
    all.retain(|(_, message)| message["hidden"] != true);
    all
}

fn task_lists(mailbox: &Value) -> Vec<(String, Value)> {
    let keyed = |one: &Value| {
        let mut one = one.clone();
        one.as_object_mut().unwrap().remove("tasks");
        (one["displayName"].to_string(), one)
    };
    list(&mailbox["task_lists"]).map(keyed).collect()
}

/// Each with the name of its list.
fn tasks(mailbox: &Value) -> Vec<(String, Value)> {
    let of = |one: &Value| {
        let mut tasks = items(&one["tasks"], "");
        tasks.iter_mut().for_each(|(_, task)| task["list"] = one["displayName"].clone());
        tasks
    };
    list(&mailbox["task_lists"]).flat_map(of).collect()
}

/// One thing, whose objects are taken apart.
fn settings(mailbox: &Value) -> Vec<(String, Value)> {
    let mut parts = Map::new();
    for (name, value) in mailbox["settings"].as_object().unwrap() {
        match value {
            Value::Object(inner) => parts.extend(
                inner.iter().map(|(part, value)| (format!("{name}.{part}"), value.clone())),
            ),
            _ => drop(parts.insert(name.clone(), value.clone())),
        }
    }
    vec![(String::new(), Value::Object(parts))]
}

#[derive(Default)]
struct Row {
    of: usize,
    equal: usize,
    example: String,
}

/// How the things of a class came back.
pub(crate) struct Table<'a> {
    class: &'a Class,
    rows: BTreeMap<String, Row>,
}

impl Class {
    /// How many a mailbox has.
    pub(crate) fn count(&self, mailbox: &Value) -> usize {
        (self.of)(mailbox).len()
    }

    /// What those of a mailbox are found by.
    pub(crate) fn keys(&self, mailbox: &Value) -> Vec<String> {
        (self.of)(mailbox).into_iter().map(|(key, _)| key).collect()
    }

    /// Compares what was with what is. `restored`: what was made of what.
    pub(crate) fn compare(
        &self,
        before: &Value,
        after: &Value,
        restored: &BTreeMap<String, String>,
    ) -> Table<'_> {
        let (before, after) = ((self.of)(before), (self.of)(after));
        assert_eq!(before.len(), after.len(), "{}", self.title);
        let after: BTreeMap<String, Value> = after.into_iter().collect();
        let mut rows: BTreeMap<String, Row> = BTreeMap::new();
        for (key, was) in before {
            let made = if self.told { restored.get(&key) } else { Some(&key) };
            let made = made.unwrap_or_else(|| panic!("not restored: {was}"));
            let is = after.get(made).unwrap_or_else(|| panic!("not there: {made}: {was}"));
            let (was, is) = (flat(&was), flat(is));
            let names: BTreeSet<&String> = was.keys().chain(is.keys()).collect();
            for name in names {
                let nothing = Value::Null;
                let (was, is) =
                    (was.get(name).unwrap_or(&nothing), is.get(name).unwrap_or(&nothing));
                if is_empty(was) && is_empty(is) {
                    continue;
                }
                let row = rows.entry(name.clone()).or_default();
                row.of += 1;
                if was == is {
                    row.equal += 1;
                } else {
                    row.example = format!("{} became {}", begin(was), begin(is));
                }
            }
        }
        assert!(!rows.is_empty(), "{}: nothing to compare", self.title);
        Table { class: self, rows }
    }
}

impl Table<'_> {
    /// What differs without a reason on this route.
    pub(crate) fn unexplained(&self, route: &Route) -> Vec<String> {
        let differs = self
            .differing()
            .filter(|(property, _)| route.reason(self.class.name, property).is_none());
        let told = |(property, row): (&String, &Row)| {
            format!(
                "{}: {}: {property} came back in {} of {}: {}",
                route.title, self.class.title, row.equal, row.of, row.example
            )
        };
        differs.map(told).collect()
    }

    /// Whether something differs for this reason.
    pub(crate) fn needs(&self, route: &Route, reason: &crate::routes::Reason) -> bool {
        self.differing().any(|(property, _)| {
            route.reason(self.class.name, property).is_some_and(|one| std::ptr::eq(one, reason))
        })
    }

    fn differing(&self) -> impl Iterator<Item = (&String, &Row)> {
        self.rows.iter().filter(|(_, row)| row.equal < row.of)
    }

    pub(crate) fn section(&self, route: &Route) -> String {
        let mut text = format!(
            "\n### {}\n\n| property | of | equal | why not |\n|---|---:|---:|---|\n",
            self.class.title
        );
        for (property, row) in &self.rows {
            let why = route.reason(self.class.name, property).filter(|_| row.equal < row.of);
            let why = why.map_or("", |reason| reason.why);
            writeln!(text, "| {property} | {} | {} | {why} |", row.of, row.equal).unwrap();
        }
        text
    }
}

/// Top-level properties, and those of exceptions under `exceptions: NAME` as a list. Our own marks
/// are apart from the extended properties of others, and when parts were changed from the parts,
/// whose identifiers are left out.
fn flat(item: &Value) -> Map<String, Value> {
    let mut flat = item.as_object().unwrap().clone();
    for parts in ["attachments", "checklistItems", "linkedResources"] {
        let mut changed = Vec::new();
        for part in flat.get_mut(parts).and_then(Value::as_array_mut).into_iter().flatten() {
            let part = part.as_object_mut().unwrap();
            part.remove("id");
            changed.extend(part.remove("lastModifiedDateTime"));
        }
        flat.insert(format!("{parts}: lastModifiedDateTime"), json!(changed));
    }
    if let Some(Value::Object(extended)) = flat.remove("extended") {
        let is_ours = |(name, _): &(String, Value)| name.to_lowercase().contains(OURS);
        let (ours, others): (Map<_, _>, Map<_, _>) = extended.into_iter().partition(is_ours);
        flat.insert("extended".into(), others.into());
        flat.insert("extended: ours".into(), ours.into());
    }
    if let Some(Value::Array(exceptions)) = flat.remove("exceptions") {
        for exception in exceptions {
            for (name, value) in self::flat(&exception) {
                let all = flat.entry(format!("exceptions: {name}")).or_insert_with(|| json!([]));
                all.as_array_mut().unwrap().push(value);
            }
        }
    }
    flat
}

fn begin(value: &Value) -> String {
    value.to_string().chars().take(400).collect()
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.iter().all(is_empty),
        Value::Object(map) => map.values().all(is_empty),
        _ => false,
    }
}
