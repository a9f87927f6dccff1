//! `lists/delta` and `tasks/delta` (<https://learn.microsoft.com/graph/api/todotask-delta>).

use serde_json::Value;

use super::{find_list, list_members, task_members};
use crate::graph::Desk;
use crate::graph::answer::Answer;
use crate::graph::errors::GraphError;
use crate::graph::plain_delta::{self, Told, removed, start, was_seen};
use crate::ids;

/// What stands for "all lists of tasks" in a cursor; no folder has this number.
const LISTS: u64 = 0x7fff_0000_0000_0300;

/// `GET …/lists/delta`
pub(super) fn lists(desk: &Desk<'_>) -> Result<Answer, GraphError> {
    let state = desk.mailbox.read();
    let start = start(desk, LISTS, state.sequence)?;
    let mut lines: Vec<(u64, Value)> = state
        .settings
        .lists
        .iter()
        .map(|list| (list.changed, Value::Object(list_members(&state, list))))
        .collect();
    let gone = state.settings.gone.iter();
    let gone = gone.filter(|(change, (_, entered))| was_seen(&start, **change, *entered));
    lines.extend(
        gone.map(|(change, (number, _))| {
            (*change, removed(&ids::folder_id(state.mailbox, *number)))
        }),
    );
    let path = format!("users/{}/todo/lists/delta", desk.mailbox.id);
    Ok(plain_delta::answer(
        desk,
        &start,
        Told { path: &path, kind: "todoTaskList", lines, sequence: state.sequence },
    ))
}

/// `GET …/lists/{id}/tasks/delta`
pub(super) fn tasks(desk: &Desk<'_>, id: &str) -> Result<Answer, GraphError> {
    let state = desk.mailbox.read();
    let list = find_list(&state, id)?;
    let start = start(desk, list.number, state.sequence)?;
    let mut lines: Vec<(u64, Value)> = list
        .tasks
        .iter()
        .map(|(number, task)| (task.changed, Value::Object(task_members(&state, *number, task))))
        .collect();
    let gone = list.gone.iter();
    let gone = gone.filter(|(change, (_, entered))| was_seen(&start, **change, *entered));
    lines.extend(gone.map(|(change, (number, _))| {
        (*change, removed(&ids::immutable_id(state.mailbox, *number)))
    }));
    let path = format!("users/{}/todo/lists/{id}/tasks/delta", desk.mailbox.id);
    Ok(plain_delta::answer(
        desk,
        &start,
        Told { path: &path, kind: "todoTask", lines, sequence: state.sequence },
    ))
}
