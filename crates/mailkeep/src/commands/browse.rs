use std::{
    collections::{HashMap, HashSet},
    io::{BufWriter, Write},
};

use data_encoding::BASE64;
use mailkeep_control::{Departure, KnownMailbox, SnapshotOutcome};
use mailkeep_model::{Address, FolderKind, FollowUp, Item, ItemId, ItemKind, MailboxId};
use mailkeep_service::View;
use mailkeep_vault::{FolderPath, ShortId, StoredFolder};
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339, macros::format_description};

use super::{
    Outcome,
    mailboxes::{departed, departure},
    open_service,
};
use crate::{
    cli::{Cat, Global, Ls, Snapshots},
    exit::{Exit, Failure},
    output::{Output, bytes, plain, table},
};

pub(super) async fn snapshots(global: &Global, arguments: &Snapshots, output: &Output) -> Outcome {
    let service = open_service(global).await?;
    let snapshots = service.snapshots(&arguments.tenant, arguments.mailbox.as_ref()).await?;
    if output.is_json() {
        for one in &snapshots {
            let line = json!({
                "id": one.id,
                "time": rfc3339(one.time),
                "partial": one.outcome == SnapshotOutcome::Partial,
                "mailboxes_changed": one.mailboxes.len(),
                "items": one.items,
                "bytes_added": one.bytes_added,
            });
            output.result(&line, String::new);
        }
        return Ok(Exit::Done);
    }
    if snapshots.is_empty() {
        output.note("no snapshots yet; 'mailkeep backup' makes the first one");
        return Ok(Exit::Done);
    }
    let head = ["snapshot", "time (UTC)", "mailboxes changed", "items", "added", ""];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(snapshots.iter().map(|one| {
        let partial = one.outcome == SnapshotOutcome::Partial;
        vec![
            one.id.chars().take(8).collect(),
            minute(one.time),
            one.mailboxes.len().to_string(),
            one.items.to_string(),
            bytes(one.bytes_added),
            if partial { "partial".to_owned() } else { String::new() },
        ]
    }));
    output.result(&json!({}), || table(&rows));
    Ok(Exit::Done)
}

pub(super) async fn ls(global: &Global, arguments: &Ls, output: &Output) -> Outcome {
    let service = open_service(global).await?;
    let view = service.view(&arguments.tenant, arguments.at.at).await?;
    match &arguments.place {
        None => {
            let departed = departed(&service, &arguments.tenant).await?;
            list_mailboxes(&view, &departed, output)
        }
        Some(place) => match &place.path {
            None => list_folders(&view, &place.mailbox, None, output),
            Some(path) => {
                list_folders(&view, &place.mailbox, Some(path), output)?;
                let canaries =
                    service.canary_items(&arguments.tenant, &view, &place.mailbox).await?;
                list_items(&view, &place.mailbox, path, &canaries, output)
            }
        },
    }
}

fn list_mailboxes(
    view: &View,
    departed: &HashMap<MailboxId, KnownMailbox>,
    output: &Output,
) -> Outcome {
    let mut rows = Vec::new();
    for one in view.mailboxes()? {
        let complete = one.complete == mailkeep_vault::Completeness::Complete;
        let gone = departed.get(&one.mailbox.id);
        if output.is_json() {
            let line = json!({
                "kind": "mailbox",
                "mailbox": one.mailbox.address,
                "name": one.mailbox.display_name,
                "folders": one.folders,
                "complete": complete,
                "gone_since": gone.and_then(|gone| gone.gone_since).map(rfc3339),
                "gone_because": gone.and_then(|gone| gone.departure).map(Departure::as_str),
            });
            output.result(&line, String::new);
        }
        rows.push(vec![
            one.mailbox.address.to_string(),
            plain(&one.mailbox.display_name),
            format!("{} folders", one.folders),
            if complete { String::new() } else { "incomplete".to_owned() },
            gone.and_then(departure).unwrap_or_default(),
        ]);
    }
    print_rows(output, &rows);
    Ok(Exit::Done)
}

/// All folders, or those directly in one.
fn list_folders(
    view: &View,
    mailbox: &Address,
    within: Option<&FolderPath>,
    output: &Output,
) -> Outcome {
    let folders = view.folders(mailbox)?;
    if let Some(path) = within {
        // An unknown path is an error, not an empty list.
        view.folder(mailbox, path)?;
    }
    let wanted = |folder: &&StoredFolder| {
        within.is_none_or(|path| {
            folder.path.is_within(path) && folder.path.0.len() == path.0.len() + 1
        })
    };
    let mut rows = Vec::new();
    for folder in folders.iter().filter(wanted) {
        if output.is_json() {
            let line = json!({
                "kind": "folder",
                "mailbox": mailbox,
                "path": folder.path.to_string(),
                "holds": folder.folder.kind,
                "id": folder.folder.id,
                "items": folder.items,
            });
            output.result(&line, String::new);
        }
        rows.push(vec![
            format!("{mailbox}:{}", plain(&folder.path.to_string())),
            format!("{} {}", folder.items, holds(folder.folder.kind)),
        ]);
    }
    print_rows(output, &rows);
    Ok(Exit::Done)
}

/// What lies in a folder, in the plural.
fn holds(kind: FolderKind) -> &'static str {
    match kind {
        FolderKind::Mail => "messages",
        FolderKind::Calendar => "events",
        FolderKind::Contacts => "contacts",
        FolderKind::Tasks => "tasks",
        FolderKind::Settings => "settings",
        _ => "items",
    }
}

fn list_items(
    view: &View,
    mailbox: &Address,
    path: &FolderPath,
    canaries: &HashSet<ItemId>,
    output: &Output,
) -> Outcome {
    let folder = view.folder(mailbox, path)?;
    let mut rows = Vec::new();
    for stored in view.items(mailbox, &folder)? {
        let item = &stored.item;
        let is_canary = canaries.contains(&item.id);
        if output.is_json() {
            let mut line = json!({
                "kind": item.kind,
                "mailbox": mailbox,
                "folder": path.to_string(),
                "item": stored.short,
                "bytes": stored.bytes,
                "properties": item,
            });
            if let Some(bytes) = stored.stream_bytes {
                line["stream_bytes"] = json!(bytes);
            }
            if is_canary {
                line["canary"] = json!(true);
            }
            output.result(&line, String::new);
            continue;
        }
        rows.push(vec![
            stored.short.to_string(),
            minute(item.received),
            bytes(stored.bytes),
            if is_canary { "canary".to_owned() } else { marks(item) },
            item.from.as_deref().map(plain).unwrap_or_default(),
            plain(&item.subject),
        ]);
    }
    print_rows(output, &rows);
    Ok(Exit::Done)
}

pub(super) async fn cat(global: &Global, arguments: &Cat, output: &Output) -> Outcome {
    let service = open_service(global).await?;
    let view = service.view(&arguments.tenant, arguments.at.at).await?;
    let located = view.find(&arguments.item.0)?;
    let details = json!({"mailbox": located.mailbox, "item": located.item.short});
    service.audit_reading(&view, "item.read", details).await?;
    if output.is_json() {
        let mut content = Vec::new();
        view.read(&located, &mut content)?;
        output.result(
            &content_json(&located.mailbox, &located.folder.path, &located.item.short, &content),
            String::new,
        );
        return Ok(Exit::Done);
    }
    let mut out = BufWriter::new(std::io::stdout().lock());
    view.read(&located, &mut out)?;
    out.flush().map_err(|error| Failure::failed(format!("writing the message: {error}")))?;
    Ok(Exit::Done)
}

/// A message is bytes, not text: its headers and parts may each be in another encoding.
fn content_json(mailbox: &Address, folder: &FolderPath, item: &ShortId, content: &[u8]) -> Value {
    json!({
        "mailbox": mailbox,
        "folder": folder.to_string(),
        "item": item,
        "bytes": content.len(),
        "content_base64": BASE64.encode(content),
    })
}

fn print_rows(output: &Output, rows: &[Vec<String>]) {
    if !output.is_json() && !rows.is_empty() {
        output.result(&json!({}), || table(rows));
    }
}

/// Flags as one letter each: unread, flagged, done, draft.
fn marks(item: &Item) -> String {
    if item.kind != ItemKind::Message {
        return item.kind.as_str().to_owned();
    }
    let marks = [
        (!item.read, 'U'),
        (item.follow_up == FollowUp::Flagged, 'F'),
        (item.follow_up == FollowUp::Complete, 'C'),
        (item.draft, 'D'),
    ];
    marks.iter().map(|(set, mark)| if *set { *mark } else { '-' }).collect()
}

pub(super) fn minute(time: OffsetDateTime) -> String {
    let form = format_description!("[year]-[month]-[day] [hour]:[minute]");
    time.format(&form).unwrap_or_else(|_| time.to_string())
}

pub(super) fn rfc3339(time: OffsetDateTime) -> String {
    time.format(&Rfc3339).unwrap_or_else(|_| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_gets_every_byte_of_a_message_that_is_no_text() {
        let content = b"Subject: \xff\x00\r\n";
        let (mailbox, short) =
            ("ann@example.com".parse().unwrap(), "7f3a9c2kd0qm".parse().unwrap());
        let folder = FolderPath(vec!["Inbox".to_owned()]);
        let value = content_json(&mailbox, &folder, &short, content);
        assert_eq!(value["bytes"], 13);
        assert_eq!(value["folder"], folder.to_string());
        assert_eq!(value["item"], "7f3a9c2kd0qm");
        assert_eq!(value["mailbox"], "ann@example.com");
        let text = value["content_base64"].as_str().unwrap();
        assert_eq!(BASE64.decode(text.as_bytes()).unwrap(), content);
    }
}
