use std::collections::HashSet;

use mailkeep_model::{
    Attachment, AttachmentInfo, Change, Contact, Cursor, Detail, Folder, FolderId, FolderKind,
    Item, ItemId, ItemKind, Mailbox, Page, PostalAddress, WellKnownFolder,
};
use serde::Deserialize;
use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::{
    attachments::raw,
    batch,
    calendar::found,
    client::{Ask, GraphProvider, Patience},
    events::{TOLD, drop_answer, id_of, not_understood, note, person, sensitivity},
    pages::{self, all_pages},
    wire::Collection,
    wire_outlook::{self as wire, ContactFolder, Listing},
    zones,
};
use crate::{Details, ExchangeError, Held};

/// The right that reading contacts needs.
pub(super) const CONTACTS_READ: &str = "Contacts.Read";

/// Contacts a page.
const PAGE: &str = "odata.maxpagesize=500";
const FOLDER: &str = "id,displayName,parentFolderId";
/// Tries of a photograph that is not found, before it is believed to be none.
const MAX_NOT_FOUND: u32 = 4;
/// A photograph above this size is none.
const MAX_PHOTO_BYTES: usize = 32 << 20;
/// A mailbox with more contact folders than this is one that goes in a circle.
const MAX_FOLDERS: usize = 10_000;
/// Without one of these a delta told only a part.
const WHOLE: [&str; 8] = [
    "changeKey",
    "createdDateTime",
    "displayName",
    "givenName",
    "surname",
    "emailAddresses",
    "businessPhones",
    "personalNotes",
];

/// Graph: `List contactFolders` and `List childFolders`, and the default folder, which the former
/// need not name.
pub(super) async fn folders(
    graph: &GraphProvider,
    mailbox: &Mailbox,
) -> Result<Vec<Folder>, ExchangeError> {
    let action = || format!("{}: listing the contact folders", mailbox.address);
    let query = [("$select", FOLDER)];
    let default = default_folder(graph, mailbox).await?;
    let list = ask(graph, mailbox, action(), &["contactFolders"], &query);
    let mut seen = HashSet::from([default.id.clone()]);
    let mut all = vec![default];
    let listed: Vec<ContactFolder> = all_pages(graph, list).await?;
    all.extend(listed.into_iter().filter(|folder| seen.insert(folder.id.clone())));
    let mut next = 0;
    while let Some(folder) = all.get(next) {
        next += 1;
        let path = ["contactFolders", &folder.id, "childFolders"];
        let list = ask(graph, mailbox, action(), &path, &query);
        // One that went away meanwhile has none.
        let children = found(all_pages::<ContactFolder>(graph, list).await)?.unwrap_or_default();
        all.extend(children.into_iter().filter(|folder| seen.insert(folder.id.clone())));
        if all.len() > MAX_FOLDERS {
            return Err(ExchangeError::protocol(action(), "the folders go on for ever"));
        }
    }
    Ok(tree(all))
}

/// Graph: `contact: delta` of one folder.
pub(super) async fn changes(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    folder: &FolderId,
    cursor: Option<&Cursor>,
) -> Result<Page<Item, ItemId>, ExchangeError> {
    let action = format!("{}: reading what changed in a contact folder", mailbox.address);
    let path = ["contactFolders", &folder.0, "contacts", "delta"];
    let mut ask = ask(graph, mailbox, action, &path, &[]);
    if let Some(Cursor(link)) = cursor {
        ask.url = graph.link(&ask.action, link)?;
    }
    ask.prefer = Some(PAGE.to_owned());
    let body = pages::page(graph, &ask).await?;
    let page = parse_contacts_page(&body, folder);
    let (mut page, partial) = page.map_err(|error| graph.explained(&ask, error))?;
    pages::complete(&mut page, partial, |id| async move {
        Ok(contact_item(contact(graph, mailbox, &id).await?, folder))
    })
    .await?;
    Ok(page)
}

/// Graph: `Get contact`.
pub(super) async fn find(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    id: &ItemId,
) -> Result<Option<Item>, ExchangeError> {
    let Some(told) = found(contact(graph, mailbox, id).await)? else { return Ok(None) };
    item_in_its_folder(told).map(Some)
}

/// The same for many.
pub(super) async fn find_all(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    ids: &[ItemId],
) -> Result<Vec<Result<Option<Item>, ExchangeError>>, ExchangeError> {
    let action = || format!("{}: {READING}", mailbox.address);
    let asks: Vec<_> =
        ids.iter().map(|id| ask(graph, mailbox, action(), &["contacts", &id.0], &[])).collect();
    let answers = batch::ask_all(graph, Some(mailbox), &asks).await?;
    let read = |answer| found(answer)?.map(item_in_its_folder).transpose();
    Ok(answers.into_iter().map(read).collect())
}

/// Graph: `Get contact` where not all was told before, and its photograph.
pub(super) async fn details(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    item: &Item,
) -> Result<Details, ExchangeError> {
    let item = match &item.detail {
        Some(Detail::Contact(_)) => item.clone(),
        _ => item_in_its_folder(contact(graph, mailbox, &item.id).await?)?,
    };
    let action = format!("{}: reading a contact's photograph", mailbox.address);
    let photo = ask(graph, mailbox, action, &["contacts", &item.id.0, "photo", "$value"], &[]);
    let photo = photograph(graph, &photo).await?;
    let photo = photo.filter(|(_, bytes)| !bytes.is_empty()).map(|(media_type, bytes)| {
        let content_type = media_type.unwrap_or_else(|| "image/jpeg".to_owned());
        Attachment { info: AttachmentInfo { content_type, ..AttachmentInfo::default() }, bytes }
    });
    Ok(Details { item, attachments: photo.into_iter().collect(), room: Held::default() })
}

/// A contact's photograph: media type and content; `None` when it has none.
///
/// Of a contact without one Graph says what it says of a contact that is not there; the message alone
/// tells the two apart. Where it does not speak of a photograph, it is asked again: what was not found
/// by mistake would be stored as not being there.
async fn photograph(
    graph: &GraphProvider,
    ask: &Ask<'_>,
) -> Result<Option<(Option<String>, Vec<u8>)>, ExchangeError> {
    let mut patience = Patience::default();
    loop {
        match raw(graph, ask, MAX_PHOTO_BYTES).await {
            Ok(photo) => return Ok(Some(photo)),
            Err(ExchangeError::NotFound { message, .. }) => {
                let told = message.to_lowercase().contains("photo");
                let Some(wait) = patience.fault(MAX_NOT_FOUND).filter(|_| !told) else {
                    return Ok(None);
                };
                graph.counters().add_retried();
                tokio::time::sleep(wait).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Reads one page of `contact: delta` of `folder`, and which contacts were told only in part.
///
/// # Errors
/// [`ExchangeError::Protocol`] when the bytes are not such a page.
pub fn parse_contacts_page(
    body: &[u8],
    folder: &FolderId,
) -> Result<(Page<Item, ItemId>, Vec<ItemId>), ExchangeError> {
    let action = "reading what changed in a contact folder";
    let mut page: Collection<Value> = serde_json::from_slice(body)
        .map_err(|error| ExchangeError::protocol(action, format!("not understood: {error}")))?;
    let next = page.next(action)?;
    let mut changes = Vec::with_capacity(page.value.len());
    let mut unread = Vec::new();
    let mut partial = Vec::new();
    for told in page.value {
        let id = id_of(&told);
        if told.get("@removed").is_some() {
            changes.push(Change::Removed(id));
        } else if told.get("id").is_some() && WHOLE.iter().any(|key| told.get(key).is_none()) {
            partial.push(id);
        } else {
            match contact_item(told, folder) {
                Ok(item) => changes.push(Change::Upsert(item)),
                Err(reason) => unread.push((id, reason)),
            }
        }
    }
    Ok((Page { changes, unread, next }, partial))
}

fn ask<'a>(
    graph: &GraphProvider,
    mailbox: &'a Mailbox,
    action: String,
    path: &[&str],
    query: &[(&str, &str)],
) -> Ask<'a> {
    let path: Vec<&str> =
        ["users", &mailbox.id.0].into_iter().chain(path.iter().copied()).collect();
    let url = graph.url(&path, query);
    Ask { action, right: CONTACTS_READ, mailbox: Some(mailbox), url, prefer: None }
}

/// By the name that every mailbox has it under, or else by what lies in it.
async fn default_folder(
    graph: &GraphProvider,
    mailbox: &Mailbox,
) -> Result<ContactFolder, ExchangeError> {
    let action = || format!("{}: looking for the default contact folder", mailbox.address);
    let query = [("$select", FOLDER)];
    let path = ["contactFolders", "contacts"];
    match graph.json(&ask(graph, mailbox, action(), &path, &query)).await {
        Err(ExchangeError::NotFound { .. } | ExchangeError::Answer { status: 400, .. }) => {}
        other => return other,
    }
    let query_one = [("$select", "id,parentFolderId"), ("$top", "1")];
    let one = ask(graph, mailbox, action(), &["contacts"], &query_one);
    let page: Listing<Value> = graph.json(&one).await?;
    let id = page.value.first().and_then(|contact| contact["parentFolderId"].as_str());
    let Some(id) = id else {
        return Err(ExchangeError::protocol(action(), "it is not called 'contacts', and is empty"));
    };
    graph.json(&ask(graph, mailbox, action(), &["contactFolders", id], &query)).await
}

async fn contact(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    id: &ItemId,
) -> Result<Value, ExchangeError> {
    let action = format!("{}: {READING}", mailbox.address);
    graph.json(&ask(graph, mailbox, action, &["contacts", &id.0], &[])).await
}

const READING: &str = "reading a contact";

fn item_in_its_folder(told: Value) -> Result<Item, ExchangeError> {
    let Some(folder) = told["parentFolderId"].as_str() else {
        return Err(ExchangeError::protocol(READING, "no folder named"));
    };
    let folder = FolderId(folder.to_owned());
    contact_item(told, &folder).map_err(|reason| ExchangeError::protocol(READING, reason))
}

/// The first folder is the default one.
fn tree(all: Vec<ContactFolder>) -> Vec<Folder> {
    let known: HashSet<String> = all.iter().map(|folder| folder.id.clone()).collect();
    let mut role = Some(WellKnownFolder::Contacts);
    let folder = |told: ContactFolder| {
        let well_known = role.take();
        // The root is not listed: what lies in it has no parent.
        let parent = told.parent_folder_id.filter(|id| well_known.is_none() && known.contains(id));
        Folder {
            parent: parent.filter(|parent| *parent != told.id).map(FolderId),
            id: FolderId(told.id),
            name: told.display_name.unwrap_or_default(),
            kind: FolderKind::Contacts,
            well_known,
        }
    };
    all.into_iter().map(folder).collect()
}

fn contact_item(mut told: Value, folder: &FolderId) -> Result<Item, String> {
    let contact = wire::Contact::deserialize(&told).map_err(|error| not_understood(&error))?;
    let key = contact.change_key.as_ref().or(contact.last_modified_date_time.as_ref());
    let content_key = key.ok_or("neither a change key nor a time of change is told")?.clone();
    if let Value::Object(properties) = &mut told {
        drop_answer(properties);
    }
    let mut provider = Map::from_iter([(TOLD.to_owned(), told)]);
    let birthday = zones::instant(contact.birthday.as_deref()).map(OffsetDateTime::date);
    if let (Some(text), None) = (&contact.birthday, birthday) {
        note(&mut provider, vec![format!("the birthday {:?}", zones::shortened(text))]);
    }
    let id = ItemId(contact.id.clone());
    let detail = Contact { birthday, ..detail(contact) };
    Ok(Item {
        subject: name(&detail),
        // A contact without a readable time is kept all the same, under the epoch.
        received: detail.created.or(detail.modified).unwrap_or(OffsetDateTime::UNIX_EPOCH),
        categories: detail.categories.clone(),
        content_key,
        detail: Some(Detail::Contact(Box::new(detail))),
        provider,
        ..Item::new(id, ItemKind::Contact, folder.clone())
    })
}

/// What people call a contact.
fn name(contact: &Contact) -> String {
    let full = format!("{} {}", contact.given_name, contact.surname);
    let email = contact.emails.first().map(|email| email.address.as_str()).unwrap_or_default();
    let names = [&contact.display_name, full.trim(), &contact.company, &contact.file_as, email];
    names.into_iter().find(|name| !name.is_empty()).unwrap_or_default().to_owned()
}

fn detail(told: wire::Contact) -> Contact {
    let text = Option::unwrap_or_default;
    let texts = |told: Option<Vec<Option<String>>>| {
        let told = told.unwrap_or_default().into_iter().flatten();
        told.filter(|text| !text.is_empty()).collect()
    };
    Contact {
        display_name: text(told.display_name),
        file_as: text(told.file_as),
        title: text(told.title),
        given_name: text(told.given_name),
        middle_name: text(told.middle_name),
        surname: text(told.surname),
        generation: text(told.generation),
        initials: text(told.initials),
        nickname: text(told.nick_name),
        yomi_given_name: text(told.yomi_given_name),
        yomi_surname: text(told.yomi_surname),
        yomi_company: text(told.yomi_company_name),
        company: text(told.company_name),
        department: text(told.department),
        office_location: text(told.office_location),
        job_title: text(told.job_title),
        profession: text(told.profession),
        assistant: text(told.assistant_name),
        manager: text(told.manager),
        spouse: text(told.spouse_name),
        children: told.children.unwrap_or_default(),
        emails: told.email_addresses.iter().flatten().filter_map(|one| person(Some(one))).collect(),
        im_addresses: texts(told.im_addresses),
        home_phones: texts(told.home_phones),
        business_phones: texts(told.business_phones),
        mobile_phone: text(told.mobile_phone),
        home_address: postal(told.home_address),
        business_address: postal(told.business_address),
        other_address: postal(told.other_address),
        business_home_page: text(told.business_home_page),
        birthday: None,
        notes: text(told.personal_notes),
        categories: told.categories.unwrap_or_default(),
        sensitivity: sensitivity(told.sensitivity.as_deref()),
        created: zones::instant(told.created_date_time.as_deref()),
        modified: zones::instant(told.last_modified_date_time.as_deref()),
    }
}

fn postal(told: Option<wire::PhysicalAddress>) -> PostalAddress {
    let Some(told) = told else { return PostalAddress::default() };
    PostalAddress {
        street: told.street.unwrap_or_default(),
        city: told.city.unwrap_or_default(),
        state: told.state.unwrap_or_default(),
        postal_code: told.postal_code.unwrap_or_default(),
        country: told.country_or_region.unwrap_or_default(),
    }
}

#[cfg(test)]
#[path = "contacts_tests.rs"]
mod tests;
