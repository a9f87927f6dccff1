//! Making and changing of tasks.

use serde_json::{Map, Value, json};

use super::{extensions, find, find_list, parts, task_entity};
use crate::clock;
use crate::graph::Desk;
use crate::graph::answer::Answer;
use crate::graph::calendars;
use crate::graph::errors::GraphError;
use crate::graph::folders::object;
use crate::graph::shape::{self, IMPORTANCE, Kind, Property};

const PROPERTIES: &[Property] = &[
    (
        "body",
        Kind::Object(&[("content", Kind::Text), ("contentType", Kind::Choice(&["text", "html"]))]),
    ),
    ("categories", Kind::Many(&Kind::Text)),
    ("completedDateTime", Kind::ZonedTime),
    ("dueDateTime", Kind::ZonedTime),
    ("importance", IMPORTANCE),
    ("isReminderOn", Kind::Truth),
    ("recurrence", Kind::Anything),
    ("reminderDateTime", Kind::ZonedTime),
    ("startDateTime", Kind::ZonedTime),
    (
        "status",
        Kind::Choice(&["notStarted", "inProgress", "completed", "waitingOnOthers", "deferred"]),
    ),
    ("title", Kind::Text),
];
const READ_ONLY: &[&str] = &[
    "id",
    "bodyLastModifiedDateTime",
    "createdDateTime",
    "hasAttachments",
    "lastModifiedDateTime",
    "checklistItems",
];

/// `POST …/tasks`
pub(super) fn create(desk: &Desk<'_>, list: &str, body: &[u8]) -> Result<Answer, GraphError> {
    desk.query.allow(&[])?;
    let mut body = object(body)?;
    let linked = body.remove("linkedResources").unwrap_or_else(|| json!([]));
    let linked = linked.as_array().cloned().unwrap_or_default();
    if linked.len() > 1 {
        // So does To Do, whatever the schema says.
        return Err(GraphError::new(
            400,
            "invalidRequest",
            "Only one item in linkedResources is allowed.",
        ));
    }
    let extensions = body.remove("extensions").unwrap_or_else(|| json!([]));
    let extensions = extensions::given(&extensions)?;
    let linked = linked.iter().map(parts::linked).collect::<Result<_, _>>()?;
    let mut fields = shape::read(&body, PROPERTIES, READ_ONLY)?;
    let title = fields.get("title").and_then(Value::as_str);
    title.filter(|title| !title.is_empty()).ok_or_else(|| {
        GraphError::new(400, "invalidRequest", "A task needs the property 'title'.")
    })?;
    check(&mut fields)?;
    let mut state = desk.mailbox.write();
    let list = find_list(&state, list)?.number;
    let number = state.add_task(list, with_completion(fields, desk.now), linked, desk.now)?;
    state.change_task(list, number, desk.now, |task| task.extensions = extensions)?;
    task_entity(desk, &state, list, number, 201)
}

/// `PATCH …/tasks/{id}`
pub(super) fn patch(
    desk: &Desk<'_>,
    list: &str,
    id: &str,
    body: &[u8],
) -> Result<Answer, GraphError> {
    desk.query.allow(&[])?;
    let wanted = shape::read(&object(body)?, PROPERTIES, READ_ONLY)?;
    let mut state = desk.mailbox.write();
    let (list, number, task) = find(&state, list, id)?;
    let mut fields = task.fields.clone();
    shape::merge(&mut fields, wanted.clone());
    check(&mut fields)?;
    if wanted.contains_key("status") {
        if fields["status"] != "completed" {
            fields.remove("completedDateTime");
        }
        fields = with_completion(fields, desk.now);
    }
    state.change_task(list, number, desk.now, |task| {
        if task.fields.get("body") != fields.get("body") {
            task.body_modified = desk.now;
        }
        task.fields = fields;
    })?;
    task_entity(desk, &state, list, number, 200)
}

/// A task that recurs has a day on which it is due, and tells all of how it recurs.
fn check(fields: &mut Map<String, Value>) -> Result<(), GraphError> {
    let has = |name: &str| fields.get(name).is_some_and(|value| !value.is_null());
    if has("recurrence") && !has("dueDateTime") {
        return Err(GraphError::new(
            400,
            "invalidRequest",
            "A task with a recurrence needs a dueDateTime.",
        ));
    }
    if let Some(given) = fields.get_mut("recurrence")
        && let Some(series) = calendars::recurrence_read(given)?
    {
        *given = calendars::recurrence_written(&series);
    }
    Ok(())
}

/// What was completed has been so since some day.
fn with_completion(mut fields: Map<String, Value>, now: i64) -> Map<String, Value> {
    let completed = fields.get("status").is_some_and(|status| status == "completed");
    if completed && fields.get("completedDateTime").is_none_or(Value::is_null) {
        let day = clock::iso(now - now.rem_euclid(86_400)).replace('Z', ".0000000");
        fields.insert("completedDateTime".into(), json!({ "dateTime": day, "timeZone": "UTC" }));
    }
    fields
}
