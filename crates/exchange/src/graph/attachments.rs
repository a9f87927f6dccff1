//! Attachments of events.
//!
//! Sources: the Graph pages `List attachments` (event), `Get attachment` (`$value`: a file's
//! bytes, an item's MIME, iCalendar or vCard), `referenceAttachment`.

use std::time::Instant;

use data_encoding::BASE64;
use mailkeep_model::{Attachment, AttachmentInfo, Detail, Item, ItemId, Mailbox};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    answer::is_stuck,
    calendar::{CALENDARS_READ, found},
    client::{Ask, GraphProvider, Patience, root_cause},
    events::{self, TOLD, not_understood},
    pages::all_pages,
    wire_outlook as wire, zones,
};
use crate::{ExchangeError, Held};

/// Where an item's [`provider`](Item::provider) has attached items as Graph tells them, by their place
/// among the attachments: their files say less of them.
pub(super) const ITEMS: &str = "attachedItems";
/// An attachment above this size is not kept. Exchange takes none above 150 MB.
const MAX_BYTES: usize = 160 << 20;
/// Of which on, an attachment is not asked for as JSON, where its bytes take a third more.
const LARGE: u64 = 8 << 20;
/// Tries when an answer breaks off.
const TRIES: u32 = 4;
/// All of a list but the bytes.
const LISTED: &str = "id,name,contentType,size,isInline,lastModifiedDateTime";

/// The ids of exceptions that have attachments, with the days on which they are.
pub(super) fn of_exceptions(event: &Value) -> Vec<(ItemId, String)> {
    let exceptions = event["exceptionOccurrences"].as_array();
    let having = exceptions.into_iter().flatten().filter(|one| one["hasAttachments"] == true);
    having
        .filter_map(|one| {
            let start = one["start"]["dateTime"].as_str().unwrap_or_default();
            let day = start.split('T').next().unwrap_or_default();
            Some((ItemId(one["id"].as_str()?.to_owned()), zones::shortened(day)))
        })
        .collect()
}

/// Reads the attachments of an event into its detail, and gives their bytes, in the same order.
/// What cannot be kept is noted. They are held in memory whole: there is room for them as long as
/// what comes with them is kept.
pub(super) async fn read(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    item: &mut Item,
    has_attachments: bool,
    exceptions: &[(ItemId, String)],
) -> Result<(Vec<Attachment>, Held), ExchangeError> {
    let mut kept = Vec::new();
    let mut notes = Vec::new();
    let mut raw = if has_attachments { list(graph, mailbox, &item.id).await? } else { Vec::new() };
    let size = |told: &Value| told["size"].as_u64().unwrap_or(LARGE);
    let bytes = raw.iter().map(size).fold(0, u64::saturating_add);
    // Before the first byte of them comes, and while no place at the provider is held.
    let room = graph.room().take(bytes).await;
    let mut items = Map::new();
    for told in &mut raw {
        let known = match wire::Attachment::deserialize(&*told) {
            Ok(known) => known,
            Err(error) => {
                notes.push(format!("an attachment: {}", not_understood(&error)));
                continue;
            }
        };
        let attached = known.kind.as_deref().is_some_and(|kind| kind.ends_with("itemAttachment"));
        let id = known.id.clone();
        match one(graph, mailbox, &item.id, known, told).await? {
            Ok(attachment) => {
                if let (true, Some(told)) =
                    (attached, attached_item(graph, mailbox, &item.id, &id).await?)
                {
                    items.insert(kept.len().to_string(), told);
                }
                kept.push(attachment);
            }
            Err(note) => notes.push(note),
        }
    }
    for (id, day) in exceptions {
        // Exchange keeps a copy of the series' attachments in each exception.
        for told in found(list(graph, mailbox, id).await)?.unwrap_or_default() {
            let same = |of_series: &Value| {
                of_series["name"] == told["name"] && of_series["contentType"] == told["contentType"]
            };
            if !raw.iter().any(same) {
                let name = zones::shortened(told["name"].as_str().unwrap_or_default());
                notes.push(format!("the attachment {name:?} of the occurrence on {day}"));
            }
        }
    }
    if let Some(Detail::Event(event)) = &mut item.detail {
        event.attachments = kept.iter().map(|one| one.info.clone()).collect();
    }
    if let (false, Some(Value::Object(told))) = (raw.is_empty(), item.provider.get_mut(TOLD)) {
        told.insert("attachments".to_owned(), Value::Array(raw));
    }
    if !items.is_empty() {
        item.provider.insert(ITEMS.to_owned(), Value::Object(items));
    }
    events::note(&mut item.provider, notes);
    Ok((kept, room))
}

/// One attachment, or why it is not kept. `told` becomes all that is known beside its bytes.
async fn one(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    event: &ItemId,
    listed: wire::Attachment,
    told: &mut Value,
) -> Result<Result<Attachment, String>, ExchangeError> {
    let name = zones::shortened(listed.name.as_deref().unwrap_or_default());
    let kind = listed.kind.as_deref().unwrap_or_default();
    let kind = kind.rsplit('.').next().unwrap_or_default().to_owned();
    let read = match kind.as_str() {
        "referenceAttachment" => {
            let link = listed.source_url.as_deref().unwrap_or("a file elsewhere");
            return Ok(Err(format!(
                "the attachment {name:?}: it is a link to {}",
                link.chars().take(500).collect::<String>()
            )));
        }
        "itemAttachment" => value(graph, mailbox, event, listed, &kind).await,
        _ if listed.size.unwrap_or_default() > LARGE => {
            value(graph, mailbox, event, listed, &kind).await
        }
        _ => whole(graph, mailbox, event, &listed.id, told).await,
    };
    match read {
        Ok(attachment) => Ok(Ok(attachment)),
        // What may work later is worth the whole event's trying again.
        Err(error) if error.concerns_one_item() && !error.is_transient() => {
            Ok(Err(format!("the attachment {name:?}: {error}")))
        }
        Err(error) => Err(error),
    }
}

/// A file with its bytes, as JSON: with its content id, which no list tells.
async fn whole(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    event: &ItemId,
    id: &str,
    told: &mut Value,
) -> Result<Attachment, ExchangeError> {
    let ask = ask(graph, mailbox, &["events", &event.0, "attachments", id], &[]);
    let mut answer: Value = graph.json(&ask).await?;
    let bytes = answer.get_mut("contentBytes").map(Value::take).unwrap_or_default();
    let bytes = BASE64
        .decode(bytes.as_str().unwrap_or_default().as_bytes())
        .map_err(|error| ExchangeError::protocol(&ask.action, error))?;
    let known = wire::Attachment::deserialize(&answer)
        .map_err(|error| ExchangeError::protocol(&ask.action, not_understood(&error)))?;
    if let Value::Object(answer) = &mut answer {
        answer.remove("contentBytes");
        events::drop_answer(answer);
    }
    *told = answer;
    graph.counters().add_bytes(bytes.len());
    let content_type = known.content_type.clone().unwrap_or_default();
    Ok(Attachment { info: info(known, content_type), bytes })
}

/// An attached item as JSON, where Graph tells it; else its file is all there is.
async fn attached_item(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    event: &ItemId,
    id: &str,
) -> Result<Option<Value>, ExchangeError> {
    let path = ["events", &event.0, "attachments", id];
    let query = [("$expand", "microsoft.graph.itemAttachment/item")];
    match graph.json::<Value>(&ask(graph, mailbox, &path, &query)).await {
        Ok(mut told) => Ok(Some(told["item"].take()).filter(Value::is_object)),
        Err(error) if error.concerns_one_item() && !error.is_transient() => Ok(None),
        Err(error) => Err(error),
    }
}

/// A large file, or an item in the form that mail knows it by.
async fn value(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    event: &ItemId,
    listed: wire::Attachment,
    kind: &str,
) -> Result<Attachment, ExchangeError> {
    let path = ["events", &event.0, "attachments", &listed.id, "$value"];
    let ask = ask(graph, mailbox, &path, &[]);
    let (header, bytes) = raw(graph, &ask, MAX_BYTES).await?;
    let told = listed.content_type.clone().filter(|told| !told.is_empty());
    let content_type = if kind == "itemAttachment" {
        told.unwrap_or_else(|| item_type(&bytes).to_owned())
    } else {
        told.or(header).unwrap_or_default()
    };
    Ok(Attachment { info: info(listed, content_type), bytes })
}

/// What Graph gives for an attached item.
fn item_type(bytes: &[u8]) -> &'static str {
    if bytes.starts_with(b"BEGIN:VCALENDAR") {
        "text/calendar"
    } else if bytes.starts_with(b"BEGIN:VCARD") {
        "text/vcard"
    } else {
        "message/rfc822"
    }
}

fn info(told: wire::Attachment, content_type: String) -> AttachmentInfo {
    let content_id = told.content_id.filter(|id| !id.is_empty());
    let bare = |id: String| id.trim_start_matches('<').trim_end_matches('>').to_owned();
    AttachmentInfo {
        name: told.name.unwrap_or_default(),
        content_type,
        inline: told.is_inline.unwrap_or_default(),
        content_id: content_id.map(bare),
    }
}

async fn list(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    event: &ItemId,
) -> Result<Vec<Value>, ExchangeError> {
    let path = ["events", &event.0, "attachments"];
    all_pages(graph, ask(graph, mailbox, &path, &[("$select", LISTED)])).await
}

fn ask<'a>(
    graph: &GraphProvider,
    mailbox: &'a Mailbox,
    path: &[&str],
    query: &[(&str, &str)],
) -> Ask<'a> {
    let path: Vec<&str> =
        ["users", &mailbox.id.0].into_iter().chain(path.iter().copied()).collect();
    Ask {
        action: format!("{}: reading an event's attachments", mailbox.address),
        right: CALENDARS_READ,
        mailbox: Some(mailbox),
        url: graph.url(&path, query),
        prefer: None,
    }
}

/// An answer that is not JSON, with its media type; asked for again when it breaks off.
pub(super) async fn raw(
    graph: &GraphProvider,
    ask: &Ask<'_>,
    most: usize,
) -> Result<(Option<String>, Vec<u8>), ExchangeError> {
    let mut patience = Patience::default();
    'again: loop {
        let (mut response, place) = graph.ask(ask).await?;
        let media_type = response.headers().get(reqwest::header::CONTENT_TYPE);
        let media_type = media_type.and_then(|value| value.to_str().ok());
        let media_type = media_type.and_then(|value| value.split(';').next());
        let media_type = media_type.map(|value| value.trim().to_owned());
        let (mut bytes, began) = (Vec::new(), Instant::now());
        loop {
            match response.chunk().await {
                Ok(Some(_)) if is_stuck(began.elapsed(), bytes.len() as u64) => {
                    let reason = format!("{} bytes came in minutes", bytes.len());
                    return Err(ExchangeError::protocol(&ask.action, reason));
                }
                Ok(Some(chunk)) if bytes.len() + chunk.len() > most => {
                    return Err(ExchangeError::Answer {
                        action: ask.action.clone(),
                        status: 200,
                        code: "too large".to_owned(),
                        message: format!("it has more than {most} bytes"),
                    });
                }
                Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
                Ok(None) => {
                    graph.counters().add_bytes(bytes.len());
                    return Ok((media_type, bytes));
                }
                Err(error) => {
                    drop(place);
                    let Some(wait) = patience.fault(TRIES) else {
                        return Err(ExchangeError::protocol(&ask.action, root_cause(&error)));
                    };
                    graph.counters().add_retried();
                    tokio::time::sleep(wait).await;
                    continue 'again;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_attached_item_is_called_what_it_is() {
        assert_eq!(item_type(b"BEGIN:VCALENDAR\r\n"), "text/calendar");
        assert_eq!(item_type(b"BEGIN:VCARD\r\n"), "text/vcard");
        assert_eq!(item_type(b"Received: x\r\n"), "message/rfc822");
    }

    #[test]
    fn a_picture_in_the_text_is_found_by_its_content_id() {
        let told = json!({"id": "a", "name": "p.png", "isInline": true, "contentId": "<p@x>"});
        let info = info(serde_json::from_value(told).unwrap(), "image/png".into());
        assert_eq!((info.inline, info.content_id.as_deref()), (true, Some("p@x")));
    }

    #[test]
    fn exceptions_with_attachments_are_found() {
        let event = json!({"exceptionOccurrences": [
            {"id": "a", "hasAttachments": true, "start": {"dateTime": "2026-03-09T08:00:00"}},
            {"id": "b", "hasAttachments": false}, {"hasAttachments": true}, 7,
        ]});
        assert_eq!(of_exceptions(&event), [(ItemId("a".into()), "2026-03-09".into())]);
        assert_eq!(of_exceptions(&json!({})), []);
    }
}
