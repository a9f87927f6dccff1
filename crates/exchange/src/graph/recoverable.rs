//! What was purged: a folder that no list of folders names, and that Exchange empties after days.
//!
//! Source: the Graph resource page `mailFolder` (`recoverableitemsdeletions`).

use mailkeep_model::{Change, Folder, FolderId, FolderKind, Mailbox, WellKnownFolder};
use serde::Deserialize;

use super::{
    calendar::found,
    client::{Ask, GraphProvider},
    folders::MAIL_READ,
};
use crate::ExchangeError;

const GRAPHS_NAME: &str = "recoverableitemsdeletions";
/// What it is called here: its own name says less.
const NAME: &str = "Recoverable Items";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    id: String,
    total_item_count: Option<u64>,
}

/// Tells of the folder once, or takes it back when it was told and is switched off. `told` is what
/// the cursor has of it.
pub(super) async fn change(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    told: &mut Option<FolderId>,
) -> Result<Option<Change<Folder, FolderId>>, ExchangeError> {
    if !graph.extras().recoverable_items {
        return Ok(told.take().map(Change::Removed));
    }
    if told.is_some() {
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

async fn look(graph: &GraphProvider, mailbox: &Mailbox) -> Result<Option<Told>, ExchangeError> {
    let path = ["users", &mailbox.id.0, "mailFolders", GRAPHS_NAME];
    let ask = Ask {
        action: format!("{}: looking for the recoverable items", mailbox.address),
        right: MAIL_READ,
        mailbox: Some(mailbox),
        url: graph.url(&path, &[("$select", "id,totalItemCount")]),
        prefer: None,
    };
    // A mailbox that was never used has none.
    found(graph.json(&ask).await)
}
