//! The marks of restored tasks.
//!
//! Extended properties, in which other items carry theirs, are not there for tasks. An open extension
//! is: it goes into the request that makes the task, its owner does not see it, and it is ours alone.
//! A linked resource would be listed with the tasks, but it is shown to people, and To Do takes one
//! for each task, which may be there already.
//!
//! What an extension lacks is a way to ask a list for those who have it: tasks are listed, and each
//! that may be the one is asked for its own.
//!
//! Sources: the Graph pages "Create openTypeExtension", "Get openTypeExtension", "Update
//! openTypeExtension".

use mailkeep_model::{Folder, FolderId, ItemId, Mailbox};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    SETTLING, UNFINISHED,
    make::instant,
    task::{TASKS, remove},
};
use crate::{
    ExchangeError, Existing, Mark, NewItem, Wanted,
    graph::{
        batch,
        client::{Ask, GraphProvider},
        refusal::is_foreign_id,
        tasks,
    },
};

/// What our extension is called.
pub(super) const EXTENSION: &str = "org.mailkeep.origin";

/// A mark that is looked for.
#[derive(Clone, Copy)]
pub(super) enum Carries<'a> {
    Exactly(&'a str),
    AtTheFront(&'a str),
}

impl Carries<'_> {
    pub(super) fn holds(self, mark: &str) -> bool {
        match self {
            Self::Exactly(wanted) => mark == wanted,
            Self::AtTheFront(wanted) => mark.starts_with(wanted),
        }
    }
}

/// A task that carries a mark.
pub(super) struct Marked {
    pub(super) id: ItemId,
    /// As it stands there.
    pub(super) mark: String,
    replaces: Vec<ItemId>,
    edited: bool,
}

/// A task, with as much of it as tells whether a restore made it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    id: String,
    #[serde(rename = "@odata.etag")]
    etag: Option<String>,
    created_date_time: Option<String>,
    last_modified_date_time: Option<String>,
    #[serde(default)]
    extensions: Vec<Extension>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Extension {
    extension_name: Option<String>,
    mark: Option<String>,
    replaces: Option<String>,
}

/// The extension with which a task is made.
pub(super) fn extension(mark: &str, new: &NewItem<'_>) -> Value {
    let mut told = json!({
        "@odata.type": "microsoft.graph.openTypeExtension",
        "extensionName": EXTENSION,
        "mark": mark,
        "snapshot": new.origin.snapshot,
    });
    if !new.replaces.is_empty() {
        let ids: Vec<&str> = new.replaces.iter().map(|id| id.0.as_str()).collect();
        told["replaces"] = json!(ids.join(" "));
    }
    told
}

/// The tasks of a list that carry a mark, among those that may.
pub(super) async fn marked(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    list: &FolderId,
    may: impl Fn(&Value) -> bool + Send,
) -> Result<Vec<Marked>, ExchangeError> {
    let listed = tasks::listed(graph, mailbox, list).await?;
    let told = tasks(graph, mailbox, list, listed.iter().filter(|told| may(told))).await?;
    Ok(told.into_iter().filter_map(Told::marked).collect())
}

/// Those of `wanted` that are there.
pub(super) async fn existing(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    wanted: &[Wanted],
) -> Result<Vec<Existing>, ExchangeError> {
    let mut existing = Vec::new();
    for list in tasks::folders(graph, mailbox).await? {
        let listed = tasks::listed(graph, mailbox, &list.id).await?;
        for told in tasks(graph, mailbox, &list.id, listed.iter()).await? {
            let is_itself = wanted.iter().any(|one| one.item.0 == told.id);
            let content_key = told.content_key();
            let id = ItemId(told.id.clone());
            let marked = told.marked().filter(|one| !one.mark.starts_with(UNFINISHED));
            let mark = marked.as_ref().map(|one| Mark::parse(&one.mark));
            let is_made = mark.as_ref().is_some_and(|mark| {
                wanted.iter().any(|one| mark.item == one.mark || mark.item == one.former)
            });
            if !is_itself && !is_made {
                continue;
            }
            existing.push(Existing {
                edited: marked.as_ref().is_some_and(|one| one.edited),
                replaces: marked.map(|one| one.replaces).unwrap_or_default(),
                mark,
                ..Existing::new(id, list.id.clone(), content_key)
            });
        }
    }
    Ok(existing)
}

/// Deletes what carries a mark and is none of those to keep.
pub(super) async fn remove_doubles(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    list: &Folder,
    mark: &Mark,
    keep: &[ItemId],
) -> Result<usize, ExchangeError> {
    let mark = mark.text();
    let half_made = format!("{UNFINISHED}{mark}");
    let mut removed = 0;
    for one in marked(graph, mailbox, &list.id, |_| true).await? {
        if (one.mark == mark || one.mark == half_made) && !keep.contains(&one.id) {
            remove(graph, mailbox, &list.id.0, &one.id).await?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// Tasks with our extension; those that are gone meanwhile are left out.
async fn tasks<'t>(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    list: &FolderId,
    listed: impl Iterator<Item = &'t Value>,
) -> Result<Vec<Told>, ExchangeError> {
    let what = "looking for what a restore has made";
    let expand = format!("extensions($filter=id eq '{EXTENSION}')");
    let ask = |told: &Value| {
        let path = ["lists", &list.0, "tasks", told["id"].as_str()?];
        let ask = tasks::ask(graph, mailbox, what, &path, &[("$expand", &expand)]);
        Some(Ask { right: TASKS, ..ask })
    };
    let asks: Vec<Ask<'_>> = listed.filter_map(ask).collect();
    let mut all = Vec::with_capacity(asks.len());
    for (ask, answer) in asks.iter().zip(batch::ask_all(graph, Some(mailbox), &asks).await?) {
        match answer {
            Ok(told) => all.push(
                serde_json::from_value(told)
                    .map_err(|error| graph.unfit(ask, &format!("not understood: {error}")))?,
            ),
            Err(error) if is_foreign_id(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

impl Told {
    /// As `tasks` computes it.
    fn content_key(&self) -> String {
        self.etag.clone().or(self.last_modified_date_time.clone()).unwrap_or_default()
    }

    fn marked(self) -> Option<Marked> {
        let times = (self.created_date_time, self.last_modified_date_time);
        let (made, changed) = (instant(times.0.as_deref()), instant(times.1.as_deref()));
        let edited = made.zip(changed).is_some_and(|(made, changed)| changed - made > SETTLING);
        let ours = |one: &Extension| {
            one.extension_name.as_deref().is_some_and(|name| name.eq_ignore_ascii_case(EXTENSION))
        };
        let ours = self.extensions.into_iter().find(ours)?;
        let replaces = ours.replaces.unwrap_or_default();
        Some(Marked {
            id: ItemId(self.id),
            mark: ours.mark?,
            replaces: replaces.split_whitespace().map(|id| ItemId(id.into())).collect(),
            edited,
        })
    }
}
