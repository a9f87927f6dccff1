use std::collections::HashMap;

use mailkeep_model::{FolderId, Mailbox};
use serde::Deserialize;
use serde_json::Value;

use super::{
    client::{Ask, GraphProvider},
    folders::MAIL_READ,
    recoverable,
    wire::Collection,
};
use crate::ExchangeError;

/// Pages of the list; one that goes on for longer goes in a circle.
const MAX_PAGES: usize = 1000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Counted {
    id: String,
    total_item_count: Option<u64>,
}

/// Graph: `mailFolder: delta` from the beginning, which is the flat list of all folders that
/// `List mailFolders` is not; `totalItemCount`. One request for most mailboxes.
pub(super) async fn of_folders(
    graph: &GraphProvider,
    mailbox: &Mailbox,
) -> Result<HashMap<FolderId, u64>, ExchangeError> {
    let path = ["users", &mailbox.id.0, "mailFolders", "delta"];
    let mut ask = Ask {
        action: format!("{}: counting what the folders hold", mailbox.address),
        right: MAIL_READ,
        mailbox: Some(mailbox),
        url: graph.url(&path, &[("$select", "id,totalItemCount")]),
        prefer: Some("odata.maxpagesize=1000".into()),
    };
    let mut counts = HashMap::new();
    for _ in 0..MAX_PAGES {
        let page: Collection<Value> = graph.json(&ask).await?;
        let told = page.value.iter().filter(|folder| folder.get("@removed").is_none());
        for folder in told {
            // One without a count is one that nothing can be said about.
            if let Ok(Counted { id, total_item_count: Some(count) }) = Counted::deserialize(folder)
            {
                counts.insert(FolderId(id), count);
            }
        }
        let Some(link) = page.next_link else {
            counts.extend(recoverable::count(graph, mailbox).await?);
            return Ok(counts);
        };
        ask.url = graph.link(&ask.action, &link)?;
    }
    Err(ExchangeError::protocol(&ask.action, "the list goes on for ever"))
}
