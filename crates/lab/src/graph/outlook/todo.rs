//! To Do: lists of tasks (<https://learn.microsoft.com/graph/api/resources/todo-overview>). An
//! application has rights to all of a tenant's tasks or to none.

mod delta;
mod extensions;
mod files;
mod parts;
mod write;

use axum::http::Method;
use serde_json::{Map, Value, json};

use super::members;
use crate::clock;
use crate::graph::Desk;
use crate::graph::answer::Answer;
use crate::graph::errors::GraphError;
use crate::graph::folders::{known, object};
use crate::graph::page::{Page, collection, single};
use crate::graph::render::change_key;
use crate::ids;
use crate::operation::Operation;
use crate::state::{MailboxState, Task, TaskList};

/// What a URL below `/todo` names. Lists, tasks and their parts are named as in the URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Todo {
    Lists,
    ListsDelta,
    List(String),
    Tasks(String),
    TasksDelta(String),
    Task(String, String),
    /// Of a task.
    Parts(String, String, Part),
    Part(String, String, Part, String),
    Files(String, String),
    File(String, String, String),
    FileValue(String, String, String),
    Extensions(String, String),
    Extension(String, String, String),
}

/// What a task is made of besides its properties.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Checklist,
    Linked,
}

impl Part {
    fn parse(word: &str) -> Option<Self> {
        [Self::Checklist, Self::Linked]
            .into_iter()
            .find(|part| part.as_str().eq_ignore_ascii_case(word))
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Checklist => "checklistItems",
            Self::Linked => "linkedResources",
        }
    }
}

impl Todo {
    /// Reads what follows `/users/{id}/todo`.
    pub(super) fn parse(words: &[&str]) -> Option<Self> {
        let (one, rest) = words.split_first()?;
        if !one.eq_ignore_ascii_case("lists") {
            return None;
        }
        let is = |word: &str, name: &str| word.eq_ignore_ascii_case(name);
        let own = |word: &str| word.to_owned();
        Some(match rest {
            [] => Self::Lists,
            [id] if is(id, "delta") => Self::ListsDelta,
            [id] => Self::List(own(id)),
            [id, two] if is(two, "tasks") => Self::Tasks(own(id)),
            [id, two, task] if is(two, "tasks") && is(task, "delta") => Self::TasksDelta(own(id)),
            [id, two, task] if is(two, "tasks") => Self::Task(own(id), own(task)),
            [id, two, task, three] if is(two, "tasks") && is(three, "attachments") => {
                Self::Files(own(id), own(task))
            }
            [id, two, task, three, file] if is(two, "tasks") && is(three, "attachments") => {
                Self::File(own(id), own(task), own(file))
            }
            [id, two, task, three, file, value]
                if is(two, "tasks") && is(three, "attachments") && is(value, "$value") =>
            {
                Self::FileValue(own(id), own(task), own(file))
            }
            [id, two, task, three] if is(two, "tasks") && is(three, "extensions") => {
                Self::Extensions(own(id), own(task))
            }
            [id, two, task, three, one] if is(two, "tasks") && is(three, "extensions") => {
                Self::Extension(own(id), own(task), own(one))
            }
            [id, two, task, part] if is(two, "tasks") => {
                Self::Parts(own(id), own(task), Part::parse(part)?)
            }
            [id, two, task, part, one] if is(two, "tasks") => {
                Self::Part(own(id), own(task), Part::parse(part)?, own(one))
            }
            _ => return None,
        })
    }

    pub(super) fn operation(&self, method: &Method) -> Option<Operation> {
        use Operation as Op;
        let (get, post, patch, delete) = match self {
            Self::Lists => (Some(Op::TaskListsList), Some(Op::TaskListCreate), None, None),
            Self::ListsDelta => (Some(Op::TaskListsDelta), None, None, None),
            Self::List(_) => {
                (Some(Op::TaskListShow), None, Some(Op::TaskListPatch), Some(Op::TaskListDelete))
            }
            Self::Tasks(_) => (Some(Op::TasksList), Some(Op::TaskCreate), None, None),
            Self::TasksDelta(_) => (Some(Op::TasksDelta), None, None, None),
            Self::Task(..) => (Some(Op::TaskShow), None, Some(Op::TaskPatch), Some(Op::TaskDelete)),
            Self::Parts(..) => (Some(Op::TaskPartsList), Some(Op::TaskPartCreate), None, None),
            Self::Part(..) => {
                (Some(Op::TaskPartShow), None, Some(Op::TaskPartPatch), Some(Op::TaskPartDelete))
            }
            Self::Files(..) => (Some(Op::TaskFilesList), Some(Op::TaskFileCreate), None, None),
            Self::File(..) => (Some(Op::TaskFileShow), None, None, Some(Op::TaskFileDelete)),
            Self::FileValue(..) => (Some(Op::TaskFileValue), None, None, None),
            Self::Extensions(..) => (None, Some(Op::TaskExtensionCreate), None, None),
            Self::Extension(..) => (
                Some(Op::TaskExtensionShow),
                None,
                Some(Op::TaskExtensionPatch),
                Some(Op::TaskExtensionDelete),
            ),
        };
        match *method {
            Method::GET => get,
            Method::POST => post,
            Method::PATCH => patch,
            Method::DELETE => delete,
            _ => None,
        }
    }

    pub(super) fn need(&self, operation: Operation) -> &'static [&'static str] {
        use Operation as Op;
        match operation {
            Op::TaskListsList
            | Op::TaskListsDelta
            | Op::TaskListShow
            | Op::TasksList
            | Op::TasksDelta
            | Op::TaskShow
            | Op::TaskPartsList
            | Op::TaskPartShow
            | Op::TaskFilesList
            | Op::TaskFileShow
            | Op::TaskFileValue
            | Op::TaskExtensionShow => &["Tasks.Read.All", "Tasks.ReadWrite.All"],
            _ => &["Tasks.ReadWrite.All"],
        }
    }
}

/// Answers a request.
pub(super) fn answer(
    desk: &Desk<'_>,
    operation: Operation,
    what: &Todo,
    body: &[u8],
) -> Result<Answer, GraphError> {
    use Operation as Op;
    match (operation, what) {
        (Op::TaskListsList, _) => lists(desk),
        (Op::TaskListsDelta, _) => delta::lists(desk),
        (Op::TaskListCreate, _) => {
            desk.query.allow(&[])?;
            let name = name(body)?;
            let mut state = desk.mailbox.write();
            let number = state.create_task_list(&name);
            list_entity(desk, &state, number, 201)
        }
        (_, Todo::List(id)) => one_list(desk, operation, id, body),
        (Op::TaskCreate, Todo::Tasks(list)) => write::create(desk, list, body),
        (_, Todo::Tasks(list)) => tasks(desk, list),
        (_, Todo::TasksDelta(list)) => delta::tasks(desk, list),
        (Op::TaskPatch, Todo::Task(list, id)) => write::patch(desk, list, id, body),
        (Op::TaskDelete, Todo::Task(list, id)) => {
            desk.query.allow(&[])?;
            let mut state = desk.mailbox.write();
            let (list, number, _) = find(&state, list, id)?;
            state.delete_task(list, number)?;
            Ok(Answer::no_content())
        }
        (_, Todo::Task(list, id)) => {
            desk.query.allow(&["$expand"])?;
            let expanded = desk.query.get("$expand").map(extensions::expanded).transpose()?;
            let state = desk.mailbox.read();
            let (list, number, task) = find(&state, list, id)?;
            let mut members = task_members(&state, number, task);
            if let Some(name) = expanded {
                members.insert("extensions".into(), extensions::shown(task, &name));
            }
            Ok(task_answer(desk, &state, list, members, 200))
        }
        (_, Todo::Parts(list, id, part)) => parts::many(desk, operation, (list, id), *part, body),
        (_, Todo::Part(list, id, part, one)) => {
            parts::one(desk, operation, (list, id), *part, one, body)
        }
        (Op::TaskFileCreate, Todo::Files(list, id)) => files::create(desk, (list, id), body),
        (_, Todo::Files(list, id)) => files::list(desk, (list, id)),
        (Op::TaskFileDelete, Todo::File(list, id, file)) => files::delete(desk, (list, id), file),
        (_, Todo::File(list, id, file)) => files::show(desk, (list, id), file),
        (_, Todo::FileValue(list, id, file)) => files::value(desk, (list, id), file),
        (_, Todo::Extensions(list, id)) => extensions::create(desk, (list, id), body),
        (_, Todo::Extension(list, id, name)) => {
            extensions::one(desk, operation, (list, id), name, body)
        }
        _ => Err(GraphError::bad_request("The request URI is not valid.")),
    }
}

fn lists(desk: &Desk<'_>) -> Result<Answer, GraphError> {
    desk.query.allow(&["$top", "$skip", "$count"])?;
    let page = Page::of(desk)?;
    let state = desk.mailbox.read();
    let all = &state.settings.lists;
    let lines = all.iter().skip(page.skip).take(page.top);
    let lines = lines.map(|list| Value::Object(list_members(&state, list))).collect();
    Ok(collection(desk, &page, "todo/lists", "", all.len(), lines))
}

fn one_list(
    desk: &Desk<'_>,
    operation: Operation,
    id: &str,
    body: &[u8],
) -> Result<Answer, GraphError> {
    desk.query.allow(&[])?;
    let mut state = desk.mailbox.write();
    let number = find_list(&state, id)?.number;
    match operation {
        Operation::TaskListDelete => {
            state.delete_task_list(number)?;
            return Ok(Answer::no_content());
        }
        Operation::TaskListPatch => state.rename_task_list(number, &name(body)?)?,
        _ => {}
    }
    list_entity(desk, &state, number, 200)
}

fn tasks(desk: &Desk<'_>, id: &str) -> Result<Answer, GraphError> {
    desk.query.allow(&["$top", "$skip", "$count"])?;
    let page = Page::of(desk)?;
    let state = desk.mailbox.read();
    let list = find_list(&state, id)?;
    let lines = list.tasks.iter().skip(page.skip).take(page.top);
    let lines =
        lines.map(|(number, task)| Value::Object(task_members(&state, *number, task))).collect();
    let path = format!("todo/lists('{id}')/tasks");
    Ok(collection(desk, &page, &path, "", list.tasks.len(), lines))
}

fn name(body: &[u8]) -> Result<String, GraphError> {
    let body = object(body)?;
    known(&body, &["displayName", "@odata.type"])?;
    let name = body.get("displayName").and_then(Value::as_str).filter(|name| !name.is_empty());
    name.map(str::to_owned).ok_or_else(|| {
        GraphError::new(400, "invalidRequest", "A list of tasks needs a displayName.")
    })
}

fn find_list<'s>(state: &'s MailboxState, id: &str) -> Result<&'s TaskList, GraphError> {
    let number = ids::parse_folder_id(state.mailbox, id).ok_or_else(|| {
        GraphError::new(400, "invalidRequest", format!("Invalid list id '{id}'."))
    })?;
    state.settings.list(number).ok_or_else(GraphError::item_not_found)
}

fn find<'s>(
    state: &'s MailboxState,
    list: &str,
    id: &str,
) -> Result<(u64, u64, &'s Task), GraphError> {
    let list = find_list(state, list)?;
    let item = ids::parse_item_id(state.mailbox, id).ok_or_else(|| {
        GraphError::new(400, "invalidRequest", format!("Invalid task id '{id}'."))
    })?;
    let task = list.tasks.get(&item.item()).ok_or_else(GraphError::item_not_found)?;
    Ok((list.number, item.item(), task))
}

fn list_members(state: &MailboxState, list: &TaskList) -> Map<String, Value> {
    let key = change_key(state.mailbox, list.changed);
    let members = json!({
        "@odata.etag": format!("W/\"{key}\""),
        "id": ids::folder_id(state.mailbox, list.number),
        "displayName": list.name,
        "isOwner": true,
        "isShared": false,
        "wellknownListName": list.role,
    });
    members.as_object().cloned().unwrap_or_default()
}

fn list_entity(
    desk: &Desk<'_>,
    state: &MailboxState,
    number: u64,
    status: u16,
) -> Result<Answer, GraphError> {
    let list = state.settings.list(number).ok_or_else(GraphError::item_not_found)?;
    Ok(single(desk, "todo/lists", "", list_members(state, list), status))
}

fn task_members(state: &MailboxState, number: u64, task: &Task) -> Map<String, Value> {
    let key = change_key(state.mailbox, task.changed);
    let mut members = Map::from_iter([
        ("@odata.etag".to_owned(), json!(format!("W/\"{key}\""))),
        ("id".to_owned(), json!(ids::immutable_id(state.mailbox, number))),
        ("title".to_owned(), Value::Null),
        ("importance".to_owned(), json!("normal")),
        ("isReminderOn".to_owned(), json!(false)),
        ("status".to_owned(), json!("notStarted")),
        ("categories".to_owned(), json!([])),
        ("hasAttachments".to_owned(), json!(!task.files.is_empty())),
        ("createdDateTime".to_owned(), json!(clock::iso(task.created))),
        ("lastModifiedDateTime".to_owned(), json!(clock::iso(task.modified))),
        ("bodyLastModifiedDateTime".to_owned(), json!(clock::iso(task.body_modified))),
        ("body".to_owned(), json!({ "content": "", "contentType": "text" })),
    ]);
    // What was taken away is not there; what a task always has is as in a new one.
    for (name, value) in &task.fields {
        if !value.is_null() {
            members.insert(name.clone(), value.clone());
        }
    }
    if !task.linked.is_empty() {
        let linked: Vec<Value> =
            task.linked.iter().map(|one| Value::Object(super::members(one))).collect();
        members.insert("linkedResources".into(), json!(linked));
    }
    members
}

fn task_entity(
    desk: &Desk<'_>,
    state: &MailboxState,
    list: u64,
    number: u64,
    status: u16,
) -> Result<Answer, GraphError> {
    let task = state.settings.list(list).and_then(|list| list.tasks.get(&number));
    let task = task.ok_or_else(GraphError::item_not_found)?;
    Ok(task_answer(desk, state, list, task_members(state, number, task), status))
}

fn task_answer(
    desk: &Desk<'_>,
    state: &MailboxState,
    list: u64,
    members: Map<String, Value>,
    status: u16,
) -> Answer {
    let path = format!("todo/lists('{}')/tasks", ids::folder_id(state.mailbox, list));
    single(desk, &path, "", members, status)
}

/// All lists with their tasks, as Graph shows them.
pub(crate) fn everything(state: &MailboxState) -> Vec<Value> {
    let list = |list: &TaskList| {
        let mut shown = list_members(state, list);
        let tasks = list.tasks.iter().map(|(number, task)| {
            let mut shown = task_members(state, *number, task);
            let checklist: Vec<_> = task.checklist.iter().map(members).collect();
            shown.insert("checklistItems".into(), json!(checklist));
            let files = task.files.iter().map(|file| files::members(file, true));
            shown.insert("attachments".into(), files.collect());
            Value::Object(shown)
        });
        shown.insert("tasks".into(), tasks.collect());
        Value::Object(shown)
    };
    state.settings.lists.iter().map(list).collect()
}
