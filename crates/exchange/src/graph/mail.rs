use data_encoding::BASE64URL_NOPAD;
use mailkeep_model::{Change, Cursor, FolderId, FollowUp, Importance, Item, ItemId, Mailbox, Page};
use reqwest::StatusCode;
use serde_json::Value;
use sha2::{Digest, Sha256};
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

use super::{
    answer::{self, Unusable},
    batch,
    client::{Ask, GraphProvider},
    events::not_understood,
    folders::MAIL_READ,
    pages,
    patience::Patience,
    refusal,
    wire::{Collection, Message, Recipient},
};
use crate::{Content, ExchangeError};

pub(super) const SELECT: &str = "id,parentFolderId,changeKey,conversationId,subject,from,toRecipients,\
    ccRecipients,bccRecipients,receivedDateTime,sentDateTime,internetMessageId,isRead,isDraft,\
    hasAttachments,importance,categories,flag";
/// `PidTagMessageSize` (MS-OXPROPS): tells an edited body from a changed flag.
const SIZE: u32 = 0x0E08;
pub(super) const SIZE_IS: &str = "id eq 'Long 0x0E08'";
pub(super) const EXPAND: &str = "singleValueExtendedProperties($filter=id eq 'Long 0x0E08')";
/// Messages a page.
const PAGE: &str = "odata.maxpagesize=500";

/// Graph: `message: delta` of one folder.
pub(super) async fn changes(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    folder: &FolderId,
    cursor: Option<&Cursor>,
) -> Result<Page<Item, ItemId>, ExchangeError> {
    let action = format!("{}: reading what changed in a folder", mailbox.address);
    let url = match cursor {
        Some(Cursor(link)) => graph.link(&action, link)?,
        None => {
            let path = ["users", &mailbox.id.0, "mailFolders", &folder.0, "messages", "delta"];
            graph.url(&path, &[("$select", SELECT), ("$expand", EXPAND)])
        }
    };
    let prefer = Some(PAGE.to_owned());
    let ask = Ask { action, right: MAIL_READ, mailbox: Some(mailbox), url, prefer };
    let body = pages::page(graph, &ask).await?;
    let page = parse_item_page(&body, folder);
    let (mut page, partial) = page.map_err(|error| graph.explained(&ask, error))?;
    pages::complete(&mut page, partial, |id| async move {
        Ok(Ok(item(message(graph, mailbox, &id).await?, folder)))
    })
    .await?;
    Ok(page)
}

/// Graph: `GET …/messages/{id}/$value`.
pub(super) async fn content(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    id: &ItemId,
) -> Result<Content, ExchangeError> {
    let ask = Ask {
        action: format!("{}: reading a message", mailbox.address),
        right: MAIL_READ,
        mailbox: Some(mailbox),
        url: graph.url(&["users", &mailbox.id.0, "messages", &id.0, "$value"], &[]),
        prefer: None,
    };
    content_at(graph, &ask).await
}

/// The MIME that a request answers with.
pub(super) async fn content_at(
    graph: &GraphProvider,
    ask: &Ask<'_>,
) -> Result<Content, ExchangeError> {
    let mut patience = Patience::default();
    loop {
        let (response, place) = graph.ask(ask).await?;
        let Some(found) = answer::is_no_message(&response) else {
            let action = graph.whose(ask);
            return Ok(Content::new(action, response, graph.counters(), place));
        };
        let body = answer::read_all(response).await.unwrap_or_default();
        drop(place);
        let unusable = if refusal::is_told(&body) {
            let error = graph.refused_with(ask, StatusCode::OK, &body);
            Unusable::unfit(format!("refused in what is called a success ({error})"))
        } else {
            Unusable::unfit(format!("the answer is {found} and not a message"))
        };
        graph.once_more(ask, &mut patience, unusable).await?;
    }
}

/// Graph: `GET …/messages/{id}`.
pub(super) async fn find(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    id: &ItemId,
) -> Result<Option<Item>, ExchangeError> {
    found(message(graph, mailbox, id).await)
}

/// The same for many.
pub(super) async fn find_all(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    ids: &[ItemId],
) -> Result<Vec<Result<Option<Item>, ExchangeError>>, ExchangeError> {
    let asks: Vec<_> = ids.iter().map(|id| ask(graph, mailbox, id)).collect();
    find_each(graph, mailbox, &asks).await
}

/// Asks each of these questions, which are about one message each.
pub(super) async fn find_each(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    asks: &[Ask<'_>],
) -> Result<Vec<Result<Option<Item>, ExchangeError>>, ExchangeError> {
    let answers = batch::ask_all(graph, Some(mailbox), asks).await?;
    let read = |(ask, answer): (&Ask<'_>, Result<Value, ExchangeError>)| {
        let message = answer.and_then(|answer| {
            serde_json::from_value(answer)
                .map_err(|error| graph.unfit(ask, &format!("not understood: {error}")))
        });
        found(message)
    };
    Ok(asks.iter().zip(answers).map(read).collect())
}

pub(super) fn found(
    message: Result<Message, ExchangeError>,
) -> Result<Option<Item>, ExchangeError> {
    let message = match message {
        Ok(message) => message,
        Err(ExchangeError::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let Some(folder) = message.parent_folder_id.clone().map(FolderId) else {
        return Err(ExchangeError::protocol("reading a message's properties", "no folder named"));
    };
    Ok(Some(item(message, &folder)))
}

async fn message(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    id: &ItemId,
) -> Result<Message, ExchangeError> {
    graph.json(&ask(graph, mailbox, id)).await
}

fn ask<'a>(graph: &GraphProvider, mailbox: &'a Mailbox, id: &ItemId) -> Ask<'a> {
    let path = ["users", &mailbox.id.0, "messages", &id.0];
    Ask {
        action: format!("{}: reading a message's properties", mailbox.address),
        right: MAIL_READ,
        mailbox: Some(mailbox),
        url: graph.url(&path, &[("$select", SELECT), ("$expand", EXPAND)]),
        prefer: None,
    }
}

/// Reads one page of `message: delta` of `folder`, and which items were told only in part.
///
/// # Errors
/// [`ExchangeError::Protocol`] when the bytes are not such a page.
pub fn parse_item_page(
    body: &[u8],
    folder: &FolderId,
) -> Result<(Page<Item, ItemId>, Vec<ItemId>), ExchangeError> {
    let action = "reading what changed in a folder";
    let mut unread = Vec::new();
    let mut page: Collection<Message> = match serde_json::from_slice(body) {
        Ok(page) => page,
        // The rare page in which something is wrong is read again, message by message.
        Err(_) => legible(body, &mut unread)
            .map_err(|error| ExchangeError::protocol(action, format!("not understood: {error}")))?,
    };
    let next = page.next(action)?;
    let mut changes = Vec::with_capacity(page.value.len());
    let mut partial = Vec::new();
    for message in page.value {
        if message.removed.is_some() {
            changes.push(Change::Removed(ItemId(message.id)));
        } else if message.is_complete() {
            changes.push(Change::Upsert(item(message, folder)));
        } else {
            partial.push(ItemId(message.id));
        }
    }
    Ok((Page { changes, unread, next }, partial))
}

/// Those messages of a page that can be read, and apart from them those that cannot.
fn legible(
    body: &[u8],
    unread: &mut Vec<(ItemId, String)>,
) -> Result<Collection<Message>, serde_json::Error> {
    let page: Collection<Value> = serde_json::from_slice(body)?;
    let mut value = Vec::with_capacity(page.value.len());
    for told in page.value {
        let id = told["id"].as_str().map(|id| ItemId(id.to_owned()));
        match (serde_json::from_value(told), id) {
            (Ok(message), _) => value.push(message),
            (Err(error), Some(id)) => unread.push((id, not_understood(&error))),
            // Nobody could ask for it again.
            (Err(error), None) => return Err(error),
        }
    }
    Ok(Collection { value, next_link: page.next_link, delta_link: page.delta_link })
}

impl Message {
    /// Whether the properties are here that tell a changed content from a changed flag.
    fn is_complete(&self) -> bool {
        self.received_date_time.is_some()
            && self.is_read.is_some()
            && self.is_draft.is_some()
            && self.to_recipients.is_some()
            && self.size().is_some()
    }

    fn size(&self) -> Option<&str> {
        let properties = self.single_value_extended_properties.as_ref()?;
        // Asked for as `Long 0x0E08`, the answer may say `Long 0xe08`.
        let is_size = |id: &str| {
            let tag = id.strip_prefix("Long 0x").unwrap_or_default();
            u32::from_str_radix(tag, 16) == Ok(SIZE)
        };
        properties.iter().find(|property| is_size(&property.id))?.value.as_deref()
    }

    /// Changes with what can be told of the content, not with flags, categories or the folder.
    pub(super) fn content_key(&self) -> String {
        let mut hash = Sha256::new();
        let mut add = |part: Option<&str>| {
            let part = part.unwrap_or_default();
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        };
        add(self.subject.as_deref());
        add(self.internet_message_id.as_deref());
        add(self.sent_date_time.as_deref());
        add(self.size());
        add(address(self.from.as_ref()));
        for list in [&self.to_recipients, &self.cc_recipients, &self.bcc_recipients] {
            add(Some("list"));
            list.iter().flatten().for_each(|recipient| add(address(Some(recipient))));
        }
        add(self.has_attachments.unwrap_or_default().then_some("attachments"));
        if self.is_draft.unwrap_or_default() {
            // A draft is being written: any change may be one of its text.
            add(self.change_key.as_deref());
        }
        BASE64URL_NOPAD.encode(&hash.finalize()[..15])
    }
}

pub(super) fn item(message: Message, folder: &FolderId) -> Item {
    let content_key = message.content_key();
    let recipients = [&message.to_recipients, &message.cc_recipients, &message.bcc_recipients];
    let recipients = recipients.into_iter().flatten().flatten();
    let recipients = recipients.filter_map(|one| address(Some(one))).map(str::to_owned).collect();
    let follow_up = match message.flag.as_ref().and_then(|flag| flag["flagStatus"].as_str()) {
        Some("flagged") => FollowUp::Flagged,
        Some("complete") => FollowUp::Complete,
        _ => FollowUp::NotFlagged,
    };
    let importance = match message.importance.as_deref() {
        Some("low") => Importance::Low,
        Some("high") => Importance::High,
        _ => Importance::Normal,
    };
    let mut provider = serde_json::Map::new();
    if let Some(conversation) = message.conversation_id {
        provider.insert("conversationId".into(), Value::String(conversation));
    }
    if let (Some(flag), FollowUp::Flagged | FollowUp::Complete) = (message.flag, follow_up) {
        // Start, due and completion dates.
        provider.insert("flag".into(), flag);
    }
    Item {
        id: ItemId(message.id),
        kind: mailkeep_model::ItemKind::Message,
        folder: folder.clone(),
        subject: message.subject.unwrap_or_default(),
        from: address(message.from.as_ref()).map(str::to_owned),
        recipients,
        // A message without a readable time is kept all the same, under the epoch.
        received: instant(message.received_date_time.as_deref())
            .unwrap_or(OffsetDateTime::UNIX_EPOCH),
        sent: instant(message.sent_date_time.as_deref()),
        internet_message_id: message.internet_message_id,
        read: message.is_read.unwrap_or_default(),
        draft: message.is_draft.unwrap_or_default(),
        follow_up,
        importance,
        categories: message.categories.unwrap_or_default(),
        content_key,
        detail: None,
        provider,
    }
}

fn address(recipient: Option<&Recipient>) -> Option<&str> {
    recipient?.email_address.as_ref()?.address.as_deref()
}

fn instant(text: Option<&str>) -> Option<OffsetDateTime> {
    let instant = OffsetDateTime::parse(text?, &Rfc3339).ok()?;
    // A time at the very end of the calendar has no equivalent in UTC.
    instant.checked_to_offset(UtcOffset::UTC)
}

#[cfg(test)]
mod tests {
    use mailkeep_model::Next;
    use serde_json::json;

    use super::*;

    fn told() -> Value {
        json!({
            "id": "m1", "subject": "Hello", "isRead": false, "isDraft": false,
            "receivedDateTime": "2026-11-23T09:14:00Z", "sentDateTime": "2026-11-23T09:13:58Z",
            "from": {"emailAddress": {"name": "Ann", "address": "ann@example.com"}},
            "toRecipients": [{"emailAddress": {"address": "bob@example.com"}}],
            "flag": {"flagStatus": "flagged", "dueDateTime": {"dateTime": "x", "timeZone": "UTC"}},
            "categories": ["Red"], "importance": "high",
            "singleValueExtendedProperties": [{"id": "Long 0xe08", "value": "77"}],
        })
    }

    fn read(message: &Value) -> (Page<Item, ItemId>, Vec<ItemId>) {
        let body = json!({"value": [message], "@odata.nextLink": "https://x/"}).to_string();
        parse_item_page(body.as_bytes(), &FolderId("f".into())).unwrap()
    }

    fn only(message: &Value) -> Item {
        match read(message).0.changes.remove(0) {
            Change::Upsert(item) => item,
            Change::Removed(id) => panic!("{id:?}"),
        }
    }

    #[test]
    fn a_message_is_read_with_its_flags_and_categories() {
        let item = only(&told());
        assert_eq!(item.received, time::macros::datetime!(2026-11-23 09:14 UTC));
        assert_eq!((item.follow_up, item.importance), (FollowUp::Flagged, Importance::High));
        assert_eq!(item.recipients, ["bob@example.com"]);
        assert_eq!(item.provider["flag"]["dueDateTime"]["timeZone"], "UTC");
        assert!(matches!(read(&told()).0.next, Next::More(_)));
    }

    #[test]
    fn a_changed_flag_does_not_ask_for_the_content_again_and_an_edited_body_does() {
        let before = only(&told()).content_key;
        let mut flagged = told();
        flagged["isRead"] = json!(true);
        flagged["flag"] = json!({"flagStatus": "notFlagged"});
        flagged["categories"] = json!([]);
        flagged["changeKey"] = json!("CQ2");
        assert_eq!(only(&flagged).content_key, before);
        let mut edited = told();
        edited["singleValueExtendedProperties"][0]["value"] = json!("78");
        assert_ne!(only(&edited).content_key, before);
        let (mut draft, mut saved) = (told(), told());
        draft["isDraft"] = json!(true);
        saved["isDraft"] = json!(true);
        saved["changeKey"] = json!("CQ2");
        assert_ne!(only(&draft).content_key, only(&saved).content_key);
    }

    #[test]
    fn a_message_that_cannot_be_read_does_not_take_its_page_along() {
        let body = json!({"value": [told(), {"id": "bad", "isRead": "perhaps"}, {"id": "part"}],
            "@odata.nextLink": "https://x/"});
        let folder = FolderId("f".into());
        let (page, partial) = parse_item_page(body.to_string().as_bytes(), &folder).unwrap();
        assert_eq!((page.changes.len(), partial.len()), (1, 1));
        assert_eq!(page.unread[0].0, ItemId("bad".into()));
        let nameless = json!({"value": [{"id": 7}], "@odata.nextLink": "https://x/"});
        assert!(parse_item_page(nameless.to_string().as_bytes(), &folder).is_err());
    }

    #[test]
    fn a_message_told_in_part_is_asked_for_instead_of_losing_its_properties() {
        let (page, partial) = read(&json!({"id": "m1", "isRead": true}));
        assert!(page.changes.is_empty());
        assert_eq!(partial, [ItemId("m1".into())]);
    }
}
