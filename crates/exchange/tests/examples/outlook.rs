use mailkeep_exchange::{Provider, parse_contacts_page, parse_event, parse_events_page};
use mailkeep_model::{
    Body, Change, Contact, Detail, Event, Folder, FolderId, FolderKind, Item, ItemId, ItemKind,
    PostalAddress, Response, WellKnownFolder, ZonedTime,
};
use serde_json::{Value, json};
use time::macros::format_description;

use crate::{
    example::{Compared, Example, examples},
    world::{World, list},
};

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn serialized(value: impl serde::Serialize) -> Value {
    serde_json::to_value(value).unwrap()
}

/// Graph's word for an answer.
fn answered(response: Response) -> Value {
    match response {
        Response::Tentative => json!("tentativelyAccepted"),
        other => serialized(other),
    }
}

/// An event as a list would have told it.
pub(crate) fn listed(told: &Value) -> Item {
    Item {
        subject: text(&told["subject"]).to_owned(),
        content_key: "key".into(),
        ..Item::new(
            ItemId(text(&told["id"]).to_owned()),
            ItemKind::Event,
            FolderId("calendar".into()),
        )
    }
}

/// A time of ours beside one of Graph's, which has as many digits of a second as it likes.
fn same_time(compared: &mut Compared<'_>, place: &str, ours: &ZonedTime, told: &Value) {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]");
    let begins = text(&told["dateTime"]);
    assert!(begins.starts_with(&ours.local.format(&format).unwrap()), "{place}: {begins}");
    compared.same(&format!("{place}/timeZone"), ours.zone.as_str());
}

/// An event beside the one that it was read from.
fn compare(example: &Example, told: &Value, event: &Event) {
    let mut compared = Compared::with(example, told);
    compared.same("/iCalUId", event.uid.clone());
    compared.same("/subject", event.subject.as_str());
    compared.same("/isAllDay", event.all_day);
    compared.same("/isOrganizer", event.is_organizer);
    compared.same("/isCancelled", event.cancelled);
    compared.same("/responseRequested", event.response_requested);
    compared.same("/responseStatus/response", answered(event.response));
    compared.same("/categories", event.categories.clone());
    compared.same("/importance", serialized(event.importance));
    compared.same("/sensitivity", serialized(event.sensitivity));
    compared.same("/showAs", serialized(event.show_as));
    let places: Vec<&str> = event.locations.iter().map(String::as_str).collect();
    compared.each("/locations", "/displayName", &places);
    compared.same("/organizer/emailAddress/address", event.organizer.clone().map(|o| o.address));
    compared.same("/organizer/emailAddress/name", event.organizer.clone().map(|o| o.name));
    compared.instant("/createdDateTime", event.created);
    compared.instant("/lastModifiedDateTime", event.modified);
    same_time(&mut compared, "/start", &event.start, &told["start"]);
    same_time(&mut compared, "/end", &event.end, &told["end"]);
    let (kind, content) = match &event.body {
        Body::Text(content) => ("text", content),
        Body::Html(content) => ("html", content),
    };
    compared.same("/body/contentType", kind);
    compared.same("/body/content", content.as_str());
    let attendees: Vec<&str> = event.attendees.iter().map(|a| a.person.address.as_str()).collect();
    compared.each("/attendees", "/emailAddress/address", &attendees);
    for (at, attendee) in event.attendees.iter().enumerate() {
        compared.same(&format!("/attendees/{at}/type"), serialized(attendee.role));
        compared.same(&format!("/attendees/{at}/status/response"), answered(attendee.response));
    }
    if told["isReminderOn"] == true {
        compared.same("/reminderMinutesBeforeStart", event.reminder_minutes);
    }
    assert_eq!(event.recurrence.is_some(), told["recurrence"].is_object(), "{}", example.file);
    if let Some(recurrence) = &event.recurrence {
        let pattern = serialized(&recurrence.pattern);
        for (ours, theirs) in [
            ("type", "type"),
            ("interval", "interval"),
            ("days", "daysOfWeek"),
            ("day", "dayOfMonth"),
            ("month", "month"),
        ] {
            // Graph names what a pattern does not have, too.
            if let Some(ours) = pattern.get(ours) {
                compared.same(&format!("/recurrence/pattern/{theirs}"), ours.clone());
            }
        }
        compared.same("/recurrence/range/startDate", recurrence.first.to_string());
    }
    compared.done();
}

#[test]
fn events_are_read_as_the_documentation_shows_them() {
    let pages = ["event-get", "event-list-instances", "calendar-list-events", "user-list-events"];
    let Some(examples) = examples(&pages) else { return };
    for example in examples {
        for told in example.each() {
            let mut told = told.clone();
            // Some examples name only what was asked for. We ask for these always.
            let told_of = told.as_object_mut().unwrap();
            told_of.entry("changeKey").or_insert(json!("key"));
            let item = parse_event(told.to_string().as_bytes(), &listed(&told));
            if let Some(mistake) = example.mistake() {
                example.is_refused(mistake, item.unwrap_err());
                continue;
            }
            let item = item.unwrap_or_else(|e| panic!("{}: {e}", example.file));
            let Some(Detail::Event(event)) = &item.detail else { panic!("{}", example.file) };
            compare(&example, &told, event);
        }
        let page = parse_events_page(&example.as_last_page(), &FolderId("calendar".into()));
        let page = page.unwrap();
        // A list is asked for in UTC; one that is in another zone is not guessed at.
        for (id, reason) in &page.unread {
            let known = reason.contains("instead of UTC")
                || reason.contains("change key")
                || example.mistake().is_some();
            assert!(known, "{}: {id:?} {reason}", example.file);
        }
        assert_eq!(page.changes.len() + page.unread.len(), example.each().len());
        example.was_read();
    }
}

/// A contact beside the one that it was read from.
fn compare_contact(example: &Example, told: &Value, contact: &Contact) {
    let mut compared = Compared::with(example, told);
    let texts = [
        ("/displayName", &contact.display_name),
        ("/fileAs", &contact.file_as),
        ("/title", &contact.title),
        ("/givenName", &contact.given_name),
        ("/middleName", &contact.middle_name),
        ("/surname", &contact.surname),
        ("/generation", &contact.generation),
        ("/initials", &contact.initials),
        ("/nickName", &contact.nickname),
        ("/companyName", &contact.company),
        ("/department", &contact.department),
        ("/officeLocation", &contact.office_location),
        ("/jobTitle", &contact.job_title),
        ("/profession", &contact.profession),
        ("/assistantName", &contact.assistant),
        ("/manager", &contact.manager),
        ("/spouseName", &contact.spouse),
        ("/mobilePhone", &contact.mobile_phone),
        ("/businessHomePage", &contact.business_home_page),
        ("/personalNotes", &contact.notes),
    ];
    for (pointer, ours) in texts {
        compared.same(pointer, ours.as_str());
    }
    compared.same("/children", contact.children.clone());
    compared.same("/imAddresses", contact.im_addresses.clone());
    compared.same("/homePhones", contact.home_phones.clone());
    compared.same("/businessPhones", contact.business_phones.clone());
    compared.same("/categories", contact.categories.clone());
    compared.instant("/createdDateTime", contact.created);
    compared.instant("/lastModifiedDateTime", contact.modified);
    let addresses: Vec<&str> = contact.emails.iter().map(|one| one.address.as_str()).collect();
    compared.each("/emailAddresses", "/address", &addresses);
    let names: Vec<&str> = contact.emails.iter().map(|one| one.name.as_str()).collect();
    compared.each("/emailAddresses", "/name", &names);
    let mut address = |place: &str, ours: &PostalAddress| {
        compared.same(&format!("{place}/street"), ours.street.as_str());
        compared.same(&format!("{place}/city"), ours.city.as_str());
        compared.same(&format!("{place}/state"), ours.state.as_str());
        compared.same(&format!("{place}/postalCode"), ours.postal_code.as_str());
        compared.same(&format!("{place}/countryOrRegion"), ours.country.as_str());
    };
    address("/homeAddress", &contact.home_address);
    address("/businessAddress", &contact.business_address);
    address("/otherAddress", &contact.other_address);
    compared.done();
    let birthday = told["birthday"].as_str().map(|text| text[..10].to_owned());
    assert_eq!(contact.birthday.map(|day| day.to_string()), birthday, "{}", example.file);
}

#[test]
fn contacts_are_read_as_the_documentation_shows_them() {
    let pages = ["contact-delta", "user-list-contacts", "contactfolder-list-contacts"];
    let Some(examples) = examples(&pages) else { return };
    for example in examples {
        let (page, partial) =
            parse_contacts_page(&example.as_last_page(), &FolderId("contacts".into())).unwrap();
        if let (Some(mistake), [(_, said)]) = (example.mistake(), &page.unread[..]) {
            example.is_refused(mistake, said);
            continue;
        }
        assert!(page.unread.is_empty(), "{}: {:?}", example.file, page.unread);
        let mut partial = partial.iter();
        let mut changes = page.changes.iter();
        for told in example.each() {
            let id = text(&told["id"]);
            if partial.as_slice().first().is_some_and(|next| next.0 == id) {
                // Told in part: it is asked for by id.
                partial.next();
                continue;
            }
            let Some(Change::Upsert(item)) = changes.next() else { panic!("{}", example.file) };
            assert_eq!(item.id.0, id, "{}", example.file);
            let Some(Detail::Contact(contact)) = &item.detail else { panic!("{}", example.file) };
            compare_contact(&example, told, contact);
        }
        assert!(partial.next().is_none() && changes.next().is_none(), "{}", example.file);
        example.was_read();
    }
}

/// Folders of ours beside those that were told, which are all that is told.
fn compare_folders(example: &Example, told: &[Value], folders: &[Folder], name: &str) {
    assert_eq!(folders.len(), told.len(), "{}: {folders:?}", example.file);
    for (folder, told) in folders.iter().zip(told) {
        let mut compared = Compared::with(example, told);
        compared.same("/id", folder.id.0.as_str());
        compared.same(name, folder.name.as_str());
        compared.done();
    }
}

#[tokio::test]
async fn calendars_are_read_as_the_documentation_shows_them() {
    let pages = ["user-list-calendars", "calendargroup-list-calendars", "calendar-get"];
    let Some(examples) = examples(&pages) else { return };
    let mut world = World::new().await;
    for example in examples {
        let mut told: Vec<Value> = example.each().into_iter().cloned().collect();
        told[0]["isDefaultCalendar"] = json!(true);
        // Those of others are left out: the mailbox is the examples' owner's.
        let owner = told[0].pointer("/owner/address").map_or("", text);
        world.mailbox.address = owner.parse().unwrap_or(world.mailbox.address);
        world.tells(&[("calendars.list", list(&json!(told)))]).await;
        let folders = world.provider.other_folders(&world.mailbox, FolderKind::Calendar).await;
        let folders = folders.unwrap();
        compare_folders(&example, &told, &folders, "/name");
        assert_eq!(folders[0].well_known, Some(WellKnownFolder::Calendar));
        example.was_read();
    }
}

#[tokio::test]
async fn contact_folders_are_read_as_the_documentation_shows_them() {
    let pages =
        ["user-list-contactfolders", "contactfolder-list-childfolders", "contactfolder-get"];
    let Some(examples) = examples(&pages) else { return };
    let world = World::new().await;
    for example in examples {
        let told: Vec<Value> = example.each().into_iter().cloned().collect();
        // The first one is the default folder, the others lie beside it, and there is no more.
        let answers = [
            ("contactfolder.show", told[0].clone()),
            ("contactfolders.list", list(&json!(told[1..]))),
        ];
        world.tells(&answers).await;
        let folders = world.provider.other_folders(&world.mailbox, FolderKind::Contacts).await;
        let mut folders = folders.unwrap();
        folders.dedup_by(|a, b| a.id == b.id);
        compare_folders(&example, &told, &folders, "/displayName");
        assert_eq!(folders[0].well_known, Some(WellKnownFolder::Contacts));
        example.was_read();
    }
}

#[tokio::test]
async fn attachments_of_events_are_read_as_the_documentation_shows_them() {
    let (Some(files), Some(lists)) =
        (examples(&["attachment-get"]), examples(&["event-list-attachments"]))
    else {
        return;
    };
    let world = World::new().await;
    let made = world.provider.other_folders(&world.mailbox, FolderKind::Calendar).await.unwrap();
    let page = world.provider.item_changes(&world.mailbox, &made[0], None).await.unwrap();
    let event = page.changes.into_iter().find_map(|change| match change {
        Change::Upsert(item) => Some(item),
        Change::Removed(_) => None,
    });
    let event = event.expect("an event of the lab's");
    for example in lists.iter().chain(&files) {
        let told: Vec<Value> = example.each().into_iter().cloned().collect();
        let mut shown = json!({
            "id": event.id.0, "changeKey": "key", "subject": "x", "hasAttachments": true,
            "type": "singleInstance",
        });
        for end in ["start", "end"] {
            shown[end] = json!({"dateTime": "2026-01-05T09:00:00.0000000", "timeZone": "UTC"});
        }
        // The bytes of an item or of a large file come by themselves; a small file is shown whole.
        let mut whole = told[0].clone();
        whole["contentBytes"] = told[0].get("contentBytes").cloned().unwrap_or(json!("QUJD"));
        let answers = [
            ("event.show", shown),
            ("event.attachments.list", list(&json!(told[..1]))),
            ("event.attachment.show", whole.clone()),
        ];
        world.tells(&answers).await;
        let details = world.provider.details(&world.mailbox, &event).await;
        if let Some(mistake) = example.mistake() {
            example.is_refused(mistake, details.map(|_| ()).unwrap_err());
            continue;
        }
        let details = details.unwrap_or_else(|e| panic!("{}: {e}", example.file));
        let kind = text(&told[0]["@odata.type"]);
        if !kind.ends_with("fileAttachment") {
            // A link has no bytes, and those of an attached item come by themselves: the lab, which
            // knows nothing of this one, has none. It is named where it is said what is not kept.
            assert!(details.attachments.is_empty(), "{}", example.file);
            let name = text(&told[0]["name"]);
            let noted = details.item.provider.values().any(|note| note.to_string().contains(name));
            assert!(noted && !name.is_empty(), "{}: {:?}", example.file, details.item.provider);
        } else {
            let [attachment] = &details.attachments[..] else { panic!("{}", example.file) };
            let mut compared = Compared::with(example, &told[0]);
            compared.same("/name", attachment.info.name.as_str());
            compared.same("/isInline", attachment.info.inline);
            compared.same("/contentType", attachment.info.content_type.as_str());
            compared.done();
            if told[0]["contentBytes"].is_string() {
                let bytes = data_encoding::BASE64.encode(&attachment.bytes);
                assert_eq!(whole["contentBytes"], json!(bytes), "{}", example.file);
            }
        }
        example.was_read();
    }
}
