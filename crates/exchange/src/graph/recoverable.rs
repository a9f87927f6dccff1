//! What was purged: a folder that no list of folders names, and that Exchange empties after days.
//!
//! Source: the Graph resource page `mailFolder` (`recoverableitemsdeletions`).

use mailkeep_model::{
    Change, Folder, FolderId, FolderKind, Item, ItemId, Mailbox, WellKnownFolder,
};
use serde::Deserialize;

use super::{
    calendar::found,
    client::{Ask, GraphProvider},
    folders::MAIL_READ,
    mail,
    wire::Message,
};
use crate::{Content, ExchangeError};

const GRAPHS_NAME: &str = "recoverableitemsdeletions";
/// What it is called here: its own name says less.
const NAME: &str = "Recoverable Items";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    id: String,
    total_item_count: Option<u64>,
}

/// Tells of the folder once, and never that it is gone: switched off, it stays as it last was. `told`
/// is what the cursor has of it.
pub(super) async fn change(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    told: &mut Option<FolderId>,
) -> Result<Option<Change<Folder, FolderId>>, ExchangeError> {
    if !graph.extras().recoverable_items || told.is_some() {
        return Ok(None);
    }
    let id = look(graph, mailbox).await?.map(|folder| FolderId(folder.id));
    told.clone_from(&id);
    Ok(id.map(|id| {
        Change::Upsert(Folder {
            id,
            parent: None,
            name: NAME.to_owned(),
            kind: FolderKind::Mail,
            well_known: Some(WellKnownFolder::RecoverableItems),
        })
    }))
}

/// How many items lie in it.
pub(super) async fn count(
    graph: &GraphProvider,
    mailbox: &Mailbox,
) -> Result<Option<(FolderId, u64)>, ExchangeError> {
    if !graph.extras().recoverable_items {
        return Ok(None);
    }
    let folder = look(graph, mailbox).await?;
    Ok(folder.and_then(|folder| Some((FolderId(folder.id), folder.total_item_count?))))
}

/// The content of a message that is not found by its id alone: only its folder leads to it.
pub(super) async fn content(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    id: &ItemId,
) -> Result<Content, ExchangeError> {
    let ask = ask(graph, mailbox, "reading a message", &["messages", &id.0, "$value"], &[]);
    mail::content_at(graph, &ask).await
}

/// The same for its properties.
pub(super) async fn find(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    id: &ItemId,
) -> Result<Option<Item>, ExchangeError> {
    mail::found(graph.json::<Message>(&properties(graph, mailbox, id)).await)
}

/// Looks for those of many messages that were found nowhere else.
pub(super) async fn find_rest(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    ids: &[ItemId],
    found: &mut [Result<Option<Item>, ExchangeError>],
) -> Result<(), ExchangeError> {
    let rest = ids.iter().zip(found).filter(|(_, found)| matches!(found, Ok(None)));
    let (ids, rest): (Vec<_>, Vec<_>) = rest.unzip();
    let asks: Vec<_> = ids.into_iter().map(|id| properties(graph, mailbox, id)).collect();
    for (found, here) in rest.into_iter().zip(mail::find_each(graph, mailbox, &asks).await?) {
        *found = here;
    }
    Ok(())
}

fn properties<'a>(graph: &GraphProvider, mailbox: &'a Mailbox, id: &ItemId) -> Ask<'a> {
    let query = [("$select", mail::SELECT), ("$expand", mail::EXPAND)];
    ask(graph, mailbox, "reading a message's properties", &["messages", &id.0], &query)
}

fn ask<'a>(
    graph: &GraphProvider,
    mailbox: &'a Mailbox,
    what: &str,
    below: &[&str],
    query: &[(&str, &str)],
) -> Ask<'a> {
    let path = [&["users", mailbox.id.0.as_str(), "mailFolders", GRAPHS_NAME], below].concat();
    Ask {
        action: format!("{}: {what}", mailbox.address),
        right: MAIL_READ,
        mailbox: Some(mailbox),
        url: graph.url(&path, query),
        prefer: None,
    }
}

async fn look(graph: &GraphProvider, mailbox: &Mailbox) -> Result<Option<Told>, ExchangeError> {
    let query = [("$select", "id,totalItemCount")];
    let ask = ask(graph, mailbox, "looking for the recoverable items", &[], &query);
    // A mailbox that was never used has none.
    found(graph.json(&ask).await)
}
