//! Attachments of tasks: files of at most 25 MB.
//!
//! Sources: the Graph pages `List taskFileAttachments`, `Get taskFileAttachment` (`$value`).

use mailkeep_model::{Attachment, AttachmentInfo, Detail, Item, Mailbox};
use serde::Deserialize;

use super::{
    attachments::raw,
    client::GraphProvider,
    events::{self, not_understood},
    pages::all_pages,
    tasks::ask,
    zones,
};
use crate::{ExchangeError, Held};

/// Above this size an attachment is not kept. To Do takes none above 25 MB.
const MAX_BYTES: usize = 32 << 20;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    id: String,
    name: Option<String>,
    content_type: Option<String>,
    size: Option<u64>,
}

/// Reads the attachments of a task into its detail, and gives their bytes, in the same order. What
/// cannot be kept is noted.
pub(super) async fn read(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    item: &mut Item,
    has_attachments: bool,
) -> Result<(Vec<Attachment>, Held), ExchangeError> {
    if !has_attachments {
        return Ok((Vec::new(), Held::default()));
    }
    let path = ["lists", &item.folder.0, "tasks", &item.id.0, "attachments"];
    let what = "reading a task's attachments";
    let listed: Vec<serde_json::Value> =
        all_pages(graph, ask(graph, mailbox, what, &path, &[])).await?;
    let (mut kept, mut notes, mut files) = (Vec::new(), Vec::new(), Vec::new());
    for told in &listed {
        match Told::deserialize(told) {
            Ok(told) => files.push(told),
            Err(error) => notes.push(format!("an attachment: {}", not_understood(&error))),
        }
    }
    let size = |told: &Told| told.size.unwrap_or(MAX_BYTES as u64);
    // Before the first byte of them comes, and while no place at the provider is held.
    let room = graph.room().take(files.iter().map(size).fold(0, u64::saturating_add)).await;
    for told in files {
        let name = zones::shortened(told.name.as_deref().unwrap_or_default());
        let path = [&path[..], &[&told.id, "$value"]].concat();
        match raw(graph, &ask(graph, mailbox, what, &path, &[]), MAX_BYTES).await {
            Ok((header, bytes)) => {
                let content_type = told.content_type.filter(|told| !told.is_empty());
                let info = AttachmentInfo {
                    name: told.name.unwrap_or_default(),
                    content_type: content_type.or(header).unwrap_or_default(),
                    ..AttachmentInfo::default()
                };
                kept.push(Attachment { info, bytes });
            }
            // What may work later is worth the whole task's trying again.
            Err(error) if error.concerns_one_item() && !error.is_transient() => {
                notes.push(format!("the attachment {name:?}: {error}"));
            }
            Err(error) => return Err(error),
        }
    }
    if let Some(Detail::Task(task)) = &mut item.detail {
        task.attachments = kept.iter().map(|one| one.info.clone()).collect();
    }
    events::note(&mut item.provider, notes);
    Ok((kept, room))
}
