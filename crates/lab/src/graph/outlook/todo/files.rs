//! Files that are attached to tasks
//! (<https://learn.microsoft.com/graph/api/resources/taskfileattachment>).

use data_encoding::BASE64;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::find;
use crate::clock;
use crate::graph::Desk;
use crate::graph::answer::{Answer, Content};
use crate::graph::errors::GraphError;
use crate::graph::folders::{known, object};
use crate::graph::page::{Page, collection, single};
use crate::state::TaskFile;

/// A larger one needs an upload session (Graph: 3 MB), which the lab does not have for tasks.
const LARGEST: usize = 3 * 1024 * 1024;

/// `GET …/attachments`: without their content.
pub(super) fn list(desk: &Desk<'_>, task: (&str, &str)) -> Result<Answer, GraphError> {
    desk.query.allow(&["$top", "$skip", "$count"])?;
    let page = Page::of(desk)?;
    let state = desk.mailbox.read();
    let files = &find(&state, task.0, task.1)?.2.files;
    let lines = files.iter().skip(page.skip).take(page.top);
    let lines = lines.map(|file| Value::Object(members(file, false))).collect();
    Ok(collection(desk, &page, &path(task), "", files.len(), lines))
}

/// `POST …/attachments`
pub(super) fn create(
    desk: &Desk<'_>,
    task: (&str, &str),
    body: &[u8],
) -> Result<Answer, GraphError> {
    desk.query.allow(&[])?;
    let body = object(body)?;
    known(&body, &["@odata.type", "name", "contentType", "contentBytes", "size"])?;
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let wrong = |name: &str| {
        GraphError::new(
            400,
            "invalidRequest",
            format!("The property '{name}' is missing or not valid."),
        )
    };
    let kind = text("@odata.type").map(|kind| kind.trim_start_matches('#'));
    if kind != Some("microsoft.graph.taskFileAttachment") {
        return Err(wrong("@odata.type"));
    }
    let encoded = text("contentBytes").ok_or_else(|| wrong("contentBytes"))?;
    let bytes = BASE64.decode(encoded.as_bytes()).map_err(|_| wrong("contentBytes"))?;
    if bytes.len() > LARGEST {
        return Err(GraphError::new(
            413,
            "RequestEntityTooLarge",
            "The attachment is larger than 3 MB: create an upload session for it.",
        ));
    }
    let name = text("name").filter(|name| !name.is_empty()).ok_or_else(|| wrong("name"))?;
    let file = TaskFile {
        id: Uuid::new_v4().to_string().into(),
        name: name.into(),
        content_type: text("contentType").unwrap_or("application/octet-stream").into(),
        modified: desk.now,
        bytes: bytes.into(),
    };
    let answer = single(desk, &path(task), "", members(&file, true), 201);
    let mut state = desk.mailbox.write();
    let (list, number, _) = find(&state, task.0, task.1)?;
    state.change_task(list, number, desk.now, |task| task.files.push(file))?;
    Ok(answer)
}

/// `GET …/attachments/{id}`
pub(super) fn show(desk: &Desk<'_>, task: (&str, &str), id: &str) -> Result<Answer, GraphError> {
    desk.query.allow(&[])?;
    let state = desk.mailbox.read();
    let file = one(&find(&state, task.0, task.1)?.2.files, id)?;
    Ok(single(desk, &path(task), "", members(file, true), 200))
}

/// `GET …/attachments/{id}/$value`
pub(super) fn value(desk: &Desk<'_>, task: (&str, &str), id: &str) -> Result<Answer, GraphError> {
    desk.query.allow(&[])?;
    let state = desk.mailbox.read();
    let file = one(&find(&state, task.0, task.1)?.2.files, id)?;
    Ok(Answer::status(200, Content::File(file.content_type.to_string(), file.bytes.clone())))
}

/// `DELETE …/attachments/{id}`
pub(super) fn delete(desk: &Desk<'_>, task: (&str, &str), id: &str) -> Result<Answer, GraphError> {
    desk.query.allow(&[])?;
    let mut state = desk.mailbox.write();
    let (list, number, found) = find(&state, task.0, task.1)?;
    one(&found.files, id)?;
    state.change_task(list, number, desk.now, |task| task.files.retain(|file| *file.id != *id))?;
    Ok(Answer::no_content())
}

fn one<'f>(files: &'f [TaskFile], id: &str) -> Result<&'f TaskFile, GraphError> {
    files.iter().find(|file| *file.id == *id).ok_or_else(GraphError::item_not_found)
}

pub(super) fn members(file: &TaskFile, content: bool) -> Map<String, Value> {
    let mut members = Map::from_iter([
        ("@odata.type".to_owned(), json!("#microsoft.graph.taskFileAttachment")),
        ("id".to_owned(), json!(file.id)),
        ("name".to_owned(), json!(file.name)),
        ("contentType".to_owned(), json!(file.content_type)),
        ("size".to_owned(), json!(file.bytes.len())),
        ("lastModifiedDateTime".to_owned(), json!(clock::iso(file.modified))),
    ]);
    if content {
        members.insert("contentBytes".into(), json!(BASE64.encode(&file.bytes)));
    }
    members
}

fn path((list, id): (&str, &str)) -> String {
    format!("todo/lists('{list}')/tasks('{id}')/attachments")
}
