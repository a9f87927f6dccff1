//! Requests whose answers are looked at.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::digest::Schema;
use super::kinds::{KINDS, Kind};
use crate::world::{Graph, World, read};

/// All rights that any operation asks for.
const RIGHTS: &[&str] = &[
    "Mail.ReadWrite",
    "Mail-Advanced.ReadWrite.All",
    "Calendars.ReadWrite",
    "Contacts.ReadWrite",
    "Tasks.ReadWrite.All",
    "MailboxSettings.ReadWrite",
    "MailboxFolder.Read.All",
    "MailboxItem.Read.All",
    "MailboxItem.ImportExport.All",
    "User.Read.All",
    "GroupMember.Read.All",
    "Directory.Read.All",
    "AuditLog.Read.All",
    "Application.ReadWrite.All",
    "AppRoleAssignment.ReadWrite.All",
];

pub(super) struct Run<'w> {
    pub(super) world: &'w World,
    pub(super) graph: Graph,
    /// `users/{address}` of a mailbox with something of every kind.
    pub(super) user: String,
    schema: Schema,
    /// Answers and elements that were looked at, by operation.
    seen: BTreeMap<&'static str, usize>,
}

impl<'w> Run<'w> {
    pub(super) async fn new(world: &'w World, schema: Schema) -> Self {
        let order = json!({
            "mailbox": world.mailbox(1), "events": 28, "contacts": 28, "tasks": 14, "notes": 3,
            "contact_groups": 3, "rules": 6, "categories": 3, "archive_messages": 3,
        });
        world.admin("POST", "generate", order).await;
        let graph = world.graph(RIGHTS).await;
        let user = format!("users/{}", world.mailbox(1));
        Self { world, graph, user, schema, seen: BTreeMap::new() }
    }

    /// Asks, and looks at the answer to what must be this operation.
    pub(super) async fn ask(
        &mut self,
        operation: &str,
        method: &str,
        path: &str,
        body: Value,
    ) -> Value {
        self.ask_as(operation, None, method, path, body).await
    }

    pub(super) async fn get(&mut self, operation: &str, path: &str) -> Value {
        self.ask_as(operation, None, "GET", path, Value::Null).await
    }

    /// The same for an answer of another type than the table says.
    pub(super) async fn ask_as(
        &mut self,
        operation: &str,
        of: Option<&'static str>,
        method: &str,
        path: &str,
        body: Value,
    ) -> Value {
        let before = self.world.count(operation).await;
        let request = self.graph.immutable(method, path);
        let request = if body.is_null() { request } else { request.json(&body) };
        let answer = request.send().await.unwrap();
        assert!(
            answer.status().is_success(),
            "{operation} {path}: {}",
            answer.text().await.unwrap()
        );
        assert_eq!(self.world.count(operation).await, before + 1, "{path} is no {operation}");
        let kind = kind(operation);
        if matches!(kind, Kind::Bytes) {
            assert!(!answer.bytes().await.unwrap().is_empty(), "{operation}");
            *self.seen.entry(kind_name(operation)).or_default() += 1;
            return Value::Null;
        }
        let (_, value) = read(answer).await;
        self.look(operation, of.map_or(kind, Kind::Of), &value);
        value
    }

    /// Looks at what came in another way.
    pub(super) fn look(&mut self, operation: &str, kind: Kind, value: &Value) {
        let elements: Vec<&Value> = match value.get("value") {
            Some(Value::Array(list)) => list.iter().collect(),
            _ => vec![value],
        };
        for element in &elements {
            match kind {
                Kind::Of(of) => {
                    let actual = element.get("@odata.type").and_then(Value::as_str);
                    let of = actual.map_or(format!("microsoft.graph.{of}"), |actual| {
                        actual.trim_start_matches('#').to_owned()
                    });
                    self.schema.check(&of, element, operation);
                }
                Kind::Members(names) => {
                    let mut members: Vec<&str> = element
                        .as_object()
                        .unwrap()
                        .keys()
                        .map(String::as_str)
                        .filter(|name| !name.starts_with('@'))
                        .collect();
                    let mut names = names.to_vec();
                    names.sort_unstable();
                    members.sort_unstable();
                    assert_eq!(members, names, "{operation}");
                }
                Kind::Nothing => assert!(element.is_null(), "{operation}: {element}"),
                Kind::Bytes | Kind::Elsewhere(_) => {}
            }
        }
        *self.seen.entry(kind_name(operation)).or_default() += elements.len();
    }

    /// Every operation that the lab has was asked for, but for those that are looked at elsewhere.
    pub(super) async fn finish(self) {
        let all = self.world.admin("GET", "operations", Value::Null).await;
        let mut missing = Vec::new();
        for operation in all.as_array().unwrap() {
            let operation = operation.as_str().unwrap();
            match (kind(operation), self.seen.get(operation)) {
                (Kind::Elsewhere(why), _) => eprintln!("not here: {operation}, because {why}"),
                (_, None | Some(0)) => missing.push(operation.to_owned()),
                _ => {}
            }
        }
        assert_eq!(missing, [] as [String; 0], "a scene must ask for these and see something");
        let total: usize = self.seen.values().sum();
        assert!(total > 500, "{total}");
    }
}

/// What the table says of an operation.
pub(super) fn kind(operation: &str) -> Kind {
    let line = KINDS.iter().find(|(name, _)| *name == operation);
    line.unwrap_or_else(|| panic!("the operation {operation} needs a line in schema/kinds.rs")).1
}

fn kind_name(operation: &str) -> &'static str {
    KINDS.iter().find(|(name, _)| *name == operation).unwrap().0
}
