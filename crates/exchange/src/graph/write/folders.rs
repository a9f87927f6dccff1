//! Making folders, calendars and contact folders.

use mailkeep_model::{Folder, FolderId, FolderKind, Mailbox};
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use super::{CALENDARS, CONTACTS, MAIL, serialized, task};
use crate::{
    ExchangeError, Provider,
    graph::{
        calendar,
        client::{Ask, GraphProvider},
        pages, refusal, streams,
    },
};

/// A folder of any kind.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    id: String,
    /// A calendar has `name`.
    #[serde(alias = "name")]
    display_name: Option<String>,
}

/// Makes a folder, or finds the one of this name. Calendars have no parents.
pub(in crate::graph) async fn create(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    kind: FolderKind,
    parent: Option<&FolderId>,
    name: &str,
) -> Result<Folder, ExchangeError> {
    let action = format!("{}: making the folder '{name}'", mailbox.address);
    match kind {
        FolderKind::Tasks => return task::create_list(graph, mailbox, name).await,
        FolderKind::Settings | FolderKind::Opaque => {
            return find(graph, mailbox, kind, parent, name).await;
        }
        _ => {}
    }
    let (all, property, right) = match kind {
        FolderKind::Mail => ("mailFolders", "displayName", MAIL),
        FolderKind::Calendar => ("calendars", "name", CALENDARS),
        FolderKind::Contacts => ("contactFolders", "displayName", CONTACTS),
        _ => return Err(ExchangeError::unsupported(action, "not a kind that Graph takes")),
    };
    let parent = parent.filter(|_| kind != FolderKind::Calendar);
    let mut path = vec!["users", &mailbox.id.0, all];
    if let Some(parent) = parent {
        path.extend([&parent.0, "childFolders"]);
    }
    let ask =
        |url| Ask { action: action.clone(), right, mailbox: Some(mailbox), url, prefer: None };
    let select = format!("id,{property}");
    let mut query = vec![("$select", select.as_str()), ("$top", "100")];
    if kind == FolderKind::Mail {
        query.push(("includeHiddenFolders", "true"));
    }
    let body = serialized(&json!({ property: name }));
    let post = ask(graph.url(&path, &[]));
    // Sent twice, it is refused the second time because the name is taken.
    let made = match graph.change(&post, Method::POST, Some(body)).await {
        Ok(answer) => serde_json::from_slice(&answer).map_err(|error| {
            ExchangeError::protocol(&action, format!("not understood: {error}"))
        })?,
        Err(error) if refusal::is_name_taken(&error) => {
            let list = ask(graph.url(&path, &query));
            let taken = there(graph, mailbox, kind, list).await?;
            named(taken, name).ok_or_else(|| unseen(error, kind, action))?
        }
        Err(error) => return Err(error),
    };
    Ok(Folder {
        id: FolderId(made.id),
        parent: parent.cloned(),
        name: name.to_owned(),
        kind,
        well_known: None,
    })
}

/// A folder of a kind that Graph makes none of. Contact groups go into every contact folder.
async fn find(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    kind: FolderKind,
    parent: Option<&FolderId>,
    name: &str,
) -> Result<Folder, ExchangeError> {
    if let (FolderKind::Opaque, Some(contacts), streams::GROUPS_NAME) = (kind, parent, name)
        && streams::Spot::of(contacts).is_some_and(|spot| spot.store == streams::Store::Primary)
    {
        return Ok(streams::groups_of(&contacts.0));
    }
    let all = graph.other_folders(mailbox, kind).await?;
    let found = all.into_iter().find(|one| one.parent.as_ref() == parent && one.name == name);
    found.ok_or_else(|| {
        ExchangeError::unsupported(
            format!("{}: making the folder '{name}'", mailbox.address),
            "Microsoft Graph makes no folders of this kind. Make it in Outlook, then restore again",
        )
    })
}

/// The folders beside the one that is to be made. A calendar that somebody else has shared, or
/// that nobody can write to, is none: its owner would find there what was restored for another.
async fn there(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    kind: FolderKind,
    list: Ask<'_>,
) -> Result<Vec<Told>, ExchangeError> {
    if kind != FolderKind::Calendar {
        return pages::all_pages(graph, list).await;
    }
    let own = calendar::folders(graph, mailbox).await?.into_iter();
    Ok(own.map(|folder| Told { id: folder.id.0, display_name: Some(folder.name) }).collect())
}

/// The folder of this name; else one whose name differs in case alone, which Exchange takes for
/// the same.
fn named(folders: Vec<Told>, name: &str) -> Option<Told> {
    let mut similar = None;
    for folder in folders {
        let told = folder.display_name.as_deref().unwrap_or_default();
        if told == name {
            return Some(folder);
        }
        if similar.is_none() && told.to_lowercase() == name.to_lowercase() {
            similar = Some(folder);
        }
    }
    similar
}

/// The name is taken by something that is not listed, or not to be written to.
fn unseen(error: ExchangeError, kind: FolderKind, action: String) -> ExchangeError {
    if kind != FolderKind::Calendar {
        return error;
    }
    ExchangeError::unsupported(
        action,
        "a calendar of this name is there that belongs to somebody else or cannot be written to. \
         Rename it in Outlook, or restore elsewhere with --to",
    )
}
