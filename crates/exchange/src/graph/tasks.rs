//! Tasks of To Do. An application has rights to all of a tenant's tasks or to none.
//!
//! Sources: the Graph pages `List lists` (To Do), `todoTask: delta`, `Get todoTask`, `List
//! checklistItems`, `List linkedResources`, `List taskFileAttachments`.

use mailkeep_model::{
    Change, Cursor, Detail, Folder, FolderId, FolderKind, Importance, Item, ItemId, ItemKind,
    Mailbox, Page, Task, TaskLink, TaskStatus, TaskStep, WellKnownFolder,
};
use serde::Deserialize;
use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::{
    calendar::found,
    client::{Ask, GraphProvider},
    events::{self, TOLD, drop_answer, id_of, not_understood, note},
    pages::{self, all_pages},
    task_files,
    wire::Collection,
    wire_todo as wire, zones,
};
use crate::{Details, ExchangeError};

/// The right that reading tasks needs.
pub(super) const TASKS_READ: &str = "Tasks.Read.All";

/// Tasks a page.
const PAGE: &str = "odata.maxpagesize=200";
/// Lists a page.
const LISTS: &str = "100";
/// Without one of these a delta told only a part.
const WHOLE: [&str; 4] = ["title", "status", "createdDateTime", "lastModifiedDateTime"];
const READING: &str = "reading a task";

/// Graph: `List lists`.
pub(super) async fn folders(
    graph: &GraphProvider,
    mailbox: &Mailbox,
) -> Result<Vec<Folder>, ExchangeError> {
    if !graph.extras().tasks {
        return Ok(Vec::new());
    }
    Ok(own(lists(graph, mailbox).await?, mailbox))
}

/// Graph: `todoTask: delta` of one list.
pub(super) async fn changes(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    folder: &FolderId,
    cursor: Option<&Cursor>,
) -> Result<Page<Item, ItemId>, ExchangeError> {
    let what = "reading what changed in a task list";
    let mut ask = ask(graph, mailbox, what, &["lists", &folder.0, "tasks", "delta"], &[]);
    if let Some(Cursor(link)) = cursor {
        ask.url = graph.link(&ask.action, link)?;
    }
    ask.prefer = Some(PAGE.to_owned());
    let page = parse_tasks_page(&pages::page(graph, &ask).await?, folder);
    let (mut page, partial) = page.map_err(|error| graph.explained(&ask, error))?;
    pages::complete(&mut page, partial, |id| async move {
        Ok(task_item(task(graph, mailbox, folder, &id).await?, folder))
    })
    .await?;
    Ok(page)
}

/// Graph: `Get todoTask`, in every list: its address names the list, which is not known.
pub(super) async fn find(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    id: &ItemId,
) -> Result<Option<Item>, ExchangeError> {
    for list in folders(graph, mailbox).await? {
        match task(graph, mailbox, &list.id, id).await {
            Ok(told) => {
                let item = task_item(told, &list.id);
                return item.map(Some).map_err(|reason| broken(graph, mailbox, &reason));
            }
            Err(error) if super::refusal::is_foreign_id(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// A task with its steps, its links and its attachments.
pub(super) async fn details(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    item: &Item,
) -> Result<Details, ExchangeError> {
    let told = task(graph, mailbox, &item.folder, &item.id).await?;
    let path = ["lists", &item.folder.0, "tasks", &item.id.0];
    let part = |what, name| ask(graph, mailbox, what, &[&path[..], &[name]].concat(), &[]);
    let steps = all_pages(graph, part("reading a task's steps", "checklistItems")).await?;
    let links = all_pages(graph, part("reading a task's links", "linkedResources")).await?;
    let has_files = told["hasAttachments"].as_bool().unwrap_or_default();
    let mut item = whole(told, &item.folder, steps, links)
        .map_err(|reason| broken(graph, mailbox, &reason))?;
    let (attachments, room) = task_files::read(graph, mailbox, &mut item, has_files).await?;
    Ok(Details { item, attachments, room })
}

/// The error for a task that is not understood.
fn broken(graph: &GraphProvider, mailbox: &Mailbox, reason: &str) -> ExchangeError {
    graph.unfit(&ask(graph, mailbox, READING, &["lists"], &[]), reason)
}

/// Reads one page of `todoTask: delta` of the list `folder`, and which tasks were told only in part.
///
/// # Errors
/// [`ExchangeError::Protocol`] when the bytes are not such a page.
pub fn parse_tasks_page(
    body: &[u8],
    folder: &FolderId,
) -> Result<(Page<Item, ItemId>, Vec<ItemId>), ExchangeError> {
    let action = "reading what changed in a task list";
    let mut page: Collection<Value> = serde_json::from_slice(body)
        .map_err(|error| ExchangeError::protocol(action, format!("not understood: {error}")))?;
    let next = page.next(action)?;
    let mut changes = Vec::with_capacity(page.value.len());
    let (mut unread, mut partial) = (Vec::new(), Vec::new());
    for told in page.value {
        let id = id_of(&told);
        if told.get("@removed").is_some() {
            changes.push(Change::Removed(id));
        } else if told.get("id").is_some() && WHOLE.iter().any(|key| told.get(key).is_none()) {
            partial.push(id);
        } else {
            match task_item(told, folder) {
                Ok(item) => changes.push(Change::Upsert(item)),
                Err(reason) => unread.push((id, reason)),
            }
        }
    }
    Ok((Page { changes, unread, next }, partial))
}

/// Reads the answer to `Get todoTask` of a task in the list `folder`, with its steps and links as
/// their lists told them.
///
/// # Errors
/// [`ExchangeError::Protocol`] when the bytes are not a task.
pub fn parse_task(
    body: &[u8],
    folder: &FolderId,
    steps: Vec<Value>,
    links: Vec<Value>,
) -> Result<Item, ExchangeError> {
    let told: Value = serde_json::from_slice(body)
        .map_err(|error| ExchangeError::protocol(READING, format!("not understood: {error}")))?;
    whole(told, folder, steps, links).map_err(|reason| ExchangeError::protocol(READING, reason))
}

/// A request below the user's To Do.
pub(super) fn ask<'a>(
    graph: &GraphProvider,
    mailbox: &'a Mailbox,
    what: &str,
    path: &[&str],
    query: &[(&str, &str)],
) -> Ask<'a> {
    let path: Vec<&str> =
        ["users", &mailbox.id.0, "todo"].into_iter().chain(path.iter().copied()).collect();
    Ask {
        action: format!("{}: {what}", mailbox.address),
        right: TASKS_READ,
        mailbox: Some(mailbox),
        url: graph.url(&path, query),
        prefer: None,
    }
}

async fn lists(
    graph: &GraphProvider,
    mailbox: &Mailbox,
) -> Result<Vec<wire::TaskList>, ExchangeError> {
    let ask = ask(graph, mailbox, "listing the task lists", &["lists"], &[("$top", LISTS)]);
    all_pages(graph, ask).await
}

async fn task(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    list: &FolderId,
    id: &ItemId,
) -> Result<Value, ExchangeError> {
    graph.json(&ask(graph, mailbox, READING, &["lists", &list.0, "tasks", &id.0], &[])).await
}

/// The lists that belong to the mailbox: not what others share, and not the list of flagged
/// messages, whose flags are kept with the messages.
fn own(lists: Vec<wire::TaskList>, mailbox: &Mailbox) -> Vec<Folder> {
    let is_default = |list: &wire::TaskList| list.role.as_deref() == Some("defaultList");
    let default = lists.iter().find(|list| is_default(list)).map(|list| FolderId(list.id.clone()));
    let mut seen = std::collections::HashSet::new();
    let mut folders = Vec::new();
    for list in lists {
        let foreign = list.is_owner == Some(false);
        if foreign || list.role.as_deref() == Some("flaggedEmails") {
            tracing::debug!(
                mailbox = mailbox.address.as_str(),
                list = list.id,
                reason =
                    if foreign { "belongs to somebody else" } else { "holds flagged messages" },
                "task list left out"
            );
            continue;
        }
        if !seen.insert(list.id.clone()) {
            continue;
        }
        let is_default = is_default(&list);
        folders.push(Folder {
            parent: default.clone().filter(|_| !is_default),
            id: FolderId(list.id),
            name: list.display_name.unwrap_or_default(),
            kind: FolderKind::Tasks,
            well_known: is_default.then_some(WellKnownFolder::Tasks),
        });
    }
    folders
}

/// A task as a list tells it: without its steps and links.
fn task_item(told: Value, folder: &FolderId) -> Result<Item, String> {
    let (mut item, _) = described(told, folder)?;
    item.detail = None;
    item.provider.clear();
    Ok(item)
}

fn whole(
    told: Value,
    folder: &FolderId,
    steps: Vec<Value>,
    links: Vec<Value>,
) -> Result<Item, String> {
    let (mut item, mut notes) = described(told, folder)?;
    if let Some(Detail::Task(task)) = &mut item.detail {
        for told in steps {
            match wire::Step::deserialize(&told) {
                Ok(one) => task.steps.push(step(one)),
                Err(error) => notes.push(format!("a step: {}", not_understood(&error))),
            }
        }
        for told in links {
            match wire::Link::deserialize(&told) {
                Ok(one) => task.links.push(link(one)),
                Err(error) => notes.push(format!("a link: {}", not_understood(&error))),
            }
        }
    }
    note(&mut item.provider, notes);
    Ok(item)
}

/// All that Graph told of a task itself, and what of that could not be kept.
fn described(mut told: Value, folder: &FolderId) -> Result<(Item, Vec<String>), String> {
    let task = wire::Task::deserialize(&told).map_err(|error| not_understood(&error))?;
    let content_key = task.etag.as_ref().or(task.last_modified_date_time.as_ref());
    let content_key = content_key.ok_or("neither an etag nor a time of change is told")?.clone();
    let mut notes = Vec::new();
    let detail = detail(&task, &mut notes);
    if let Value::Object(properties) = &mut told {
        properties.retain(|key, _| {
            !matches!(key.as_str(), "body" | "linkedResources" | "checklistItems" | "extensions")
        });
        drop_answer(properties);
    }
    let item = Item {
        subject: detail.title.clone(),
        // A task without a readable time is kept all the same, under the epoch.
        received: detail.created.or(detail.modified).unwrap_or(OffsetDateTime::UNIX_EPOCH),
        importance: detail.importance,
        categories: detail.categories.clone(),
        content_key,
        detail: Some(Detail::Task(Box::new(detail))),
        provider: Map::from_iter([(TOLD.to_owned(), told)]),
        ..Item::new(ItemId(task.id), ItemKind::Task, folder.clone())
    };
    Ok((item, notes))
}

fn detail(told: &wire::Task, notes: &mut Vec<String>) -> Task {
    let mut day = |told: &Option<super::wire_outlook::DateTimeTimeZone>, what: &str| {
        // One odd date does not cost the task.
        let read = told.as_ref().map(|told| zones::zoned(Some(told), what));
        read.and_then(|read| read.map_err(|reason| notes.push(reason)).ok())
    };
    let start = day(&told.start_date_time, "start");
    let due = day(&told.due_date_time, "due date");
    let completed = day(&told.completed_date_time, "time of completion");
    let reminder = day(&told.reminder_date_time, "reminder");
    let zone = due.as_ref().or(start.as_ref()).map_or("UTC", |time| time.zone.as_str());
    let recurrence = told.recurrence.as_ref().map(|told| {
        let told = super::wire_outlook::PatternedRecurrence::deserialize(told);
        told.map_err(|error| not_understood(&error)).and_then(|told| zones::recurrence(&told, zone))
    });
    let recurrence = recurrence
        .and_then(|read| read.map_err(|reason| notes.push(format!("repetition: {reason}"))).ok());
    Task {
        title: told.title.clone().unwrap_or_default(),
        body: events::body(told.body.as_ref()),
        status: match told.status.as_deref() {
            Some("inProgress") => TaskStatus::InProgress,
            Some("completed") => TaskStatus::Completed,
            Some("waitingOnOthers") => TaskStatus::WaitingOnOthers,
            Some("deferred") => TaskStatus::Deferred,
            _ => TaskStatus::NotStarted,
        },
        importance: match told.importance.as_deref() {
            Some("low") => Importance::Low,
            Some("high") => Importance::High,
            _ => Importance::Normal,
        },
        start,
        due,
        completed,
        reminder,
        reminder_on: told.is_reminder_on.unwrap_or_default(),
        recurrence,
        categories: told.categories.clone().unwrap_or_default(),
        steps: Vec::new(),
        links: Vec::new(),
        attachments: Vec::new(),
        created: zones::instant(told.created_date_time.as_deref()),
        modified: zones::instant(told.last_modified_date_time.as_deref()),
    }
}

fn step(told: wire::Step) -> TaskStep {
    TaskStep {
        title: told.display_name.unwrap_or_default(),
        done: told.is_checked.unwrap_or_default(),
        created: zones::instant(told.created_date_time.as_deref()),
        completed: zones::instant(told.checked_date_time.as_deref()),
    }
}

fn link(told: wire::Link) -> TaskLink {
    TaskLink {
        application: told.application_name.unwrap_or_default(),
        name: told.display_name.unwrap_or_default(),
        external_id: told.external_id.unwrap_or_default(),
        url: told.web_url.unwrap_or_default(),
    }
}

/// One list, when it is there.
pub(super) async fn list_of_name(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    name: &str,
) -> Result<Option<Folder>, ExchangeError> {
    let all = own(lists(graph, mailbox).await?, mailbox);
    Ok(all.into_iter().find(|list| list.name == name))
}

/// `None` for a list that is gone.
pub(super) async fn listed(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    list: &FolderId,
) -> Result<Vec<Value>, ExchangeError> {
    let path = ["lists", &list.0, "tasks"];
    let ask = ask(graph, mailbox, "listing the tasks of a list", &path, &[("$top", LISTS)]);
    Ok(found(all_pages(graph, ask).await)?.unwrap_or_default())
}

#[cfg(test)]
#[path = "tasks_tests.rs"]
mod tests;
