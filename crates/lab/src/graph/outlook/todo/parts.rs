//! Steps of a task, and what it has to do with elsewhere
//! (<https://learn.microsoft.com/graph/api/resources/checklistitem>,
//! <https://learn.microsoft.com/graph/api/resources/linkedresource>).

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{Part, find, members};
use crate::clock;
use crate::graph::Desk;
use crate::graph::answer::Answer;
use crate::graph::errors::GraphError;
use crate::graph::folders::object;
use crate::graph::page::{Page, collection, single};
use crate::graph::shape::{self, Kind, Property};
use crate::operation::Operation;
use crate::state::{Entity, Task};

const CHECKLIST: &[Property] = &[
    ("displayName", Kind::Text),
    ("isChecked", Kind::Truth),
    ("checkedDateTime", Kind::Time),
    ("createdDateTime", Kind::Time),
];
const LINKED: &[Property] = &[
    ("applicationName", Kind::Text),
    ("displayName", Kind::Text),
    ("externalId", Kind::Text),
    ("webUrl", Kind::Text),
];

/// A linked resource that a task is made with.
pub(super) fn linked(value: &Value) -> Result<Entity, GraphError> {
    let given = value.as_object().cloned().unwrap_or_default();
    Ok(made(shape::read(&given, LINKED, &["id"])?))
}

/// `…/checklistItems` and `…/linkedResources`
pub(super) fn many(
    desk: &Desk<'_>,
    operation: Operation,
    (list, id): (&str, &str),
    part: Part,
    body: &[u8],
) -> Result<Answer, GraphError> {
    let path = path(list, id, part);
    if operation == Operation::TaskPartsList {
        desk.query.allow(&["$top", "$skip", "$count"])?;
        let page = Page::of(desk)?;
        let state = desk.mailbox.read();
        let (_, _, task) = find(&state, list, id)?;
        let all = of(task, part);
        let lines = all.iter().skip(page.skip).take(page.top);
        let lines = lines.map(|one| Value::Object(members(one))).collect();
        return Ok(collection(desk, &page, &path, "", all.len(), lines));
    }
    desk.query.allow(&[])?;
    let mut fields = read(part, body)?;
    if part == Part::Checklist {
        let name = fields.get("displayName").and_then(Value::as_str);
        name.ok_or_else(|| {
            GraphError::new(400, "invalidRequest", "A checklist item needs a displayName.")
        })?;
        fields.entry("isChecked").or_insert(json!(false));
        fields.entry("createdDateTime").or_insert(json!(clock::iso(desk.now)));
        checked(&mut fields, desk.now);
    }
    let made = made(fields);
    let answer = single(desk, &path, "", members(&made), 201);
    change(desk, list, id, part, |all| all.push(made))?;
    Ok(answer)
}

/// One of them.
pub(super) fn one(
    desk: &Desk<'_>,
    operation: Operation,
    (list, id): (&str, &str),
    part: Part,
    wanted: &str,
    body: &[u8],
) -> Result<Answer, GraphError> {
    desk.query.allow(&[])?;
    let found = {
        let state = desk.mailbox.read();
        super::super::named(of(find(&state, list, id)?.2, part), wanted)?.clone()
    };
    let path = path(list, id, part);
    match operation {
        Operation::TaskPartDelete => {
            change(desk, list, id, part, |all| all.retain(|one| *one.id != *wanted))?;
            Ok(Answer::no_content())
        }
        Operation::TaskPartPatch => {
            let mut changed = found;
            shape::merge(&mut changed.fields, read(part, body)?);
            if part == Part::Checklist {
                checked(&mut changed.fields, desk.now);
            }
            let answer = single(desk, &path, "", members(&changed), 200);
            change(desk, list, id, part, |all| {
                for one in all.iter_mut().filter(|one| *one.id == *wanted) {
                    one.fields = changed.fields.clone();
                }
            })?;
            Ok(answer)
        }
        _ => Ok(single(desk, &path, "", members(&found), 200)),
    }
}

fn read(part: Part, body: &[u8]) -> Result<Map<String, Value>, GraphError> {
    let properties = match part {
        Part::Checklist => CHECKLIST,
        Part::Linked => LINKED,
    };
    shape::read(&object(body)?, properties, &["id"])
}

/// A step that is done has been so since some time.
fn checked(fields: &mut Map<String, Value>, now: i64) {
    if fields.get("isChecked") == Some(&json!(true)) {
        fields.entry("checkedDateTime").or_insert(json!(clock::iso(now)));
    } else {
        fields.remove("checkedDateTime");
    }
}

fn made(fields: Map<String, Value>) -> Entity {
    Entity { id: Uuid::new_v4().to_string().into(), fields }
}

fn of(task: &Task, part: Part) -> &[Entity] {
    match part {
        Part::Checklist => &task.checklist,
        Part::Linked => &task.linked,
    }
}

fn change(
    desk: &Desk<'_>,
    list: &str,
    id: &str,
    part: Part,
    change: impl FnOnce(&mut Vec<Entity>),
) -> Result<(), GraphError> {
    let mut state = desk.mailbox.write();
    let (list, number, _) = find(&state, list, id)?;
    state.change_task(list, number, desk.now, |task| {
        change(match part {
            Part::Checklist => &mut task.checklist,
            Part::Linked => &mut task.linked,
        });
    })?;
    Ok(())
}

fn path(list: &str, id: &str, part: Part) -> String {
    format!("todo/lists('{list}')/tasks('{id}')/{}", part.as_str())
}
