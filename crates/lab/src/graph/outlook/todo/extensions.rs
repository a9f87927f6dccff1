//! Open extensions of tasks (<https://learn.microsoft.com/graph/api/resources/opentypeextension>).

use serde_json::{Map, Value, json};

use super::find;
use crate::graph::Desk;
use crate::graph::answer::Answer;
use crate::graph::errors::GraphError;
use crate::graph::folders::object;
use crate::graph::page::single;
use crate::graph::shape;
use crate::operation::Operation;
use crate::state::{Entity, Task};

const TYPE: &str = "microsoft.graph.openTypeExtension";
/// Bytes that the values of one extension may have.
const LONGEST: usize = 32 * 1024;

/// The extensions with which a task is made.
pub(super) fn given(list: &Value) -> Result<Vec<Entity>, GraphError> {
    let list = list.as_array().ok_or_else(|| wrong("extensions"))?;
    list.iter()
        .map(|one| entity(one.as_object().cloned().ok_or_else(|| wrong("extensions"))?))
        .collect()
}

/// The name in `extensions($filter=id eq '…')`, which is all that can be expanded.
pub(super) fn expanded(expand: &str) -> Result<String, GraphError> {
    let name = expand
        .trim()
        .strip_prefix("extensions($filter=id eq '")
        .and_then(|rest| rest.strip_suffix("')"))
        .filter(|name| !name.is_empty());
    name.map(str::to_owned)
        .ok_or_else(|| GraphError::bad_request(format!("Parsing $expand failed at '{expand}'.")))
}

/// The extension of this name, in a list.
pub(super) fn shown(task: &Task, name: &str) -> Value {
    let found = task.extensions.iter().filter(|one| is_named(one, name));
    found.map(|one| Value::Object(members(one))).collect()
}

/// `POST …/extensions`
pub(super) fn create(
    desk: &Desk<'_>,
    task: (&str, &str),
    body: &[u8],
) -> Result<Answer, GraphError> {
    desk.query.allow(&[])?;
    let made = entity(object(body)?)?;
    let mut state = desk.mailbox.write();
    let (list, number, there) = find(&state, task.0, task.1)?;
    if there.extensions.iter().any(|one| is_named(one, &made.id)) {
        return Err(GraphError::new(
            409,
            "invalidRequest",
            "An extension with this name is there already.",
        ));
    }
    let answer = single(desk, &path(task), "", members(&made), 201);
    state.change_task(list, number, desk.now, |task| task.extensions.push(made))?;
    Ok(answer)
}

/// `…/extensions/{name}`
pub(super) fn one(
    desk: &Desk<'_>,
    operation: Operation,
    task: (&str, &str),
    name: &str,
    body: &[u8],
) -> Result<Answer, GraphError> {
    desk.query.allow(&[])?;
    let mut state = desk.mailbox.write();
    let (list, number, there) = find(&state, task.0, task.1)?;
    let found = there.extensions.iter().find(|one| is_named(one, name));
    let mut found = found.ok_or_else(GraphError::item_not_found)?.clone();
    match operation {
        Operation::TaskExtensionDelete => {
            state.change_task(list, number, desk.now, |task| {
                task.extensions.retain(|one| !is_named(one, name));
            })?;
            return Ok(Answer::no_content());
        }
        Operation::TaskExtensionPatch => {
            let mut wanted = object(body)?;
            wanted.insert("extensionName".into(), json!(found.id));
            shape::merge(&mut found.fields, entity(wanted)?.fields);
            let changed = found.clone();
            state.change_task(list, number, desk.now, |task| {
                for one in task.extensions.iter_mut().filter(|one| is_named(one, name)) {
                    one.fields = changed.fields.clone();
                }
            })?;
        }
        _ => {}
    }
    Ok(single(desk, &path(task), "", members(&found), 200))
}

/// Values are what anybody likes, but no objects of theirs.
fn entity(body: Map<String, Value>) -> Result<Entity, GraphError> {
    let kind = body.get("@odata.type").and_then(Value::as_str).unwrap_or_default();
    if kind.trim_start_matches('#') != TYPE {
        return Err(wrong("@odata.type"));
    }
    let name = body.get("extensionName").and_then(Value::as_str).unwrap_or_default();
    if name.is_empty() || name.len() > 200 {
        return Err(wrong("extensionName"));
    }
    let id = name.into();
    let is_value = |name: &str| !name.starts_with('@') && !matches!(name, "extensionName" | "id");
    let fields: Map<String, Value> = body.into_iter().filter(|(name, _)| is_value(name)).collect();
    if let Some((name, _)) = fields.iter().find(|(_, value)| value.is_object()) {
        return Err(wrong(name));
    }
    if Value::Object(fields.clone()).to_string().len() > LONGEST {
        return Err(wrong("extensions"));
    }
    Ok(Entity { id, fields })
}

fn members(extension: &Entity) -> Map<String, Value> {
    let mut members = Map::from_iter([
        ("@odata.type".to_owned(), json!(format!("#{TYPE}"))),
        ("id".to_owned(), json!(format!("{TYPE}.{}", extension.id))),
        ("extensionName".to_owned(), json!(extension.id)),
    ]);
    members.extend(extension.fields.clone());
    members
}

/// By its name, or by its id, which has the name at its end.
fn is_named(extension: &Entity, name: &str) -> bool {
    let id = format!("{TYPE}.{}", extension.id);
    extension.id.eq_ignore_ascii_case(name) || id.eq_ignore_ascii_case(name)
}

fn path(task: (&str, &str)) -> String {
    format!("todo/lists('{}')/tasks('{}')/extensions", task.0, task.1)
}

fn wrong(name: &str) -> GraphError {
    GraphError::new(
        400,
        "invalidRequest",
        format!("The property '{name}' is missing or not valid."),
    )
}
