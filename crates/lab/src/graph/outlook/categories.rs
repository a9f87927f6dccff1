//! The list of categories (<https://learn.microsoft.com/graph/api/resources/outlookcategory>).

use serde_json::{Map, Value, json};

use super::{list, members, named};
use crate::graph::Desk;
use crate::graph::answer::Answer;
use crate::graph::errors::GraphError;
use crate::graph::folders::object;
use crate::graph::page::single;
use crate::graph::shape::{self, Kind, Property};
use crate::ids;
use crate::operation::Operation;
use crate::state::{Entity, MailboxState};

const COLORS: &[&str] = &[
    "none", "preset0", "preset1", "preset2", "preset3", "preset4", "preset5", "preset6", "preset7",
    "preset8", "preset9", "preset10", "preset11", "preset12", "preset13", "preset14", "preset15",
    "preset16", "preset17", "preset18", "preset19", "preset20", "preset21", "preset22", "preset23",
    "preset24",
];
const PROPERTIES: &[Property] = &[("displayName", Kind::Text), ("color", Kind::Choice(COLORS))];
/// The categories of a new mailbox, with their colours.
const FIRST: &[(&str, &str)] = &[
    ("Red category", "preset0"),
    ("Orange category", "preset1"),
    ("Yellow category", "preset3"),
    ("Green category", "preset4"),
    ("Blue category", "preset7"),
    ("Purple category", "preset8"),
];
const PATH: &str = "outlook/masterCategories";

/// The categories of a mailbox.
pub(crate) fn all(state: &MailboxState) -> Vec<Entity> {
    if let Some(set) = &state.settings.categories {
        return set.clone();
    }
    let first = |(name, color): &(&str, &str)| Entity {
        id: ids::derived(&["category", &state.mailbox.to_string(), name]).to_string().into(),
        fields: fields(name, color),
    };
    FIRST.iter().map(first).collect()
}

/// The categories as Graph shows them.
pub(crate) fn everything(state: &MailboxState) -> Vec<Value> {
    all(state).iter().map(|one| Value::Object(members(one))).collect()
}

/// `…/masterCategories`
pub(super) fn many(
    desk: &Desk<'_>,
    operation: Operation,
    body: &[u8],
) -> Result<Answer, GraphError> {
    desk.query.allow(&[])?;
    if operation == Operation::CategoriesList {
        return Ok(list(desk, PATH, &everything(&desk.mailbox.read())));
    }
    let wanted = shape::read(&object(body)?, PROPERTIES, &["id"])?;
    let name = wanted.get("displayName").and_then(Value::as_str).filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| {
        GraphError::new(400, "ErrorInvalidArgument", "A category needs a displayName.")
    })?;
    let color = wanted.get("color").and_then(Value::as_str).unwrap_or("none");
    let mut state = desk.mailbox.write();
    let mut all = all(&state);
    let is_there = |one: &Entity| {
        one.fields["displayName"].as_str().is_some_and(|n| n.to_lowercase() == name.to_lowercase())
    };
    if all.iter().any(is_there) {
        return Err(GraphError::new(
            409,
            "CategoryNameDuplicate",
            "A category with the specified name already exists.",
        ));
    }
    let id = uuid::Uuid::new_v4().to_string().into();
    let made = Entity { id, fields: fields(name, color) };
    let answer = single(desk, PATH, "", members(&made), 201);
    all.push(made);
    state.settings.categories = Some(all);
    Ok(answer)
}

/// `…/masterCategories/{id}`: its colour alone can be changed.
pub(super) fn one(
    desk: &Desk<'_>,
    operation: Operation,
    id: &str,
    body: &[u8],
) -> Result<Answer, GraphError> {
    desk.query.allow(&[])?;
    let mut state = desk.mailbox.write();
    let mut all = all(&state);
    named(&all, id)?;
    match operation {
        Operation::CategoryDelete => {
            all.retain(|one| *one.id != *id);
            state.settings.categories = Some(all);
            return Ok(Answer::no_content());
        }
        Operation::CategoryPatch => {
            let wanted = shape::read(&object(body)?, PROPERTIES, &["id", "displayName"])?;
            for one in all.iter_mut().filter(|one| *one.id == *id) {
                shape::merge(&mut one.fields, wanted.clone());
            }
            state.settings.categories = Some(all.clone());
        }
        _ => {}
    }
    Ok(single(desk, PATH, "", members(named(&all, id)?), 200))
}

fn fields(name: &str, color: &str) -> Map<String, Value> {
    Map::from_iter([("displayName".to_owned(), json!(name)), ("color".to_owned(), json!(color))])
}
