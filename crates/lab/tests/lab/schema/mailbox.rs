//! Scenes in a mailbox.

use data_encoding::BASE64;
use serde_json::{Value, json};

use super::kinds::Kind;
use super::run::Run;
use crate::exchange::attached_event;
use crate::listener::{Listener, Manners};
use crate::world::read;

const WINDOW: &str = "startDateTime=2026-09-01T00:00:00Z&endDateTime=2027-09-01T00:00:00Z";

fn id(value: &Value) -> &str {
    value["id"].as_str().unwrap()
}

fn file() -> Value {
    json!({
        "@odata.type": "#microsoft.graph.fileAttachment", "name": "a.txt", "contentBytes": "YQ==",
    })
}

pub(super) async fn mail(run: &mut Run<'_>) {
    let user = run.user.clone();
    run.get("folders.list", &format!("{user}/mailFolders?$top=100")).await;
    run.get("folders.delta", &format!("{user}/mailFolders/delta")).await;
    let folder = run
        .ask("folder.create", "POST", &format!("{user}/mailFolders"), json!({ "displayName": "x" }))
        .await;
    let path = format!("{user}/mailFolders/{}", id(&folder));
    run.get("folder.show", &path).await;
    run.ask("folder.patch", "PATCH", &path, json!({ "displayName": "y" })).await;
    let to = json!({ "destinationId": "inbox" });
    run.ask("folder.move", "POST", &format!("{path}/move"), to).await;
    run.ask("folder.delete", "DELETE", &path, Value::Null).await;

    let size = "$expand=singleValueExtendedProperties($filter=id eq 'Long 0x0E08'),attachments";
    run.get("messages.list", &format!("{user}/messages?$top=100&{size}")).await;
    let rare = "$select=internetMessageHeaders,uniqueBody";
    run.get("messages.list", &format!("{user}/messages?{rare}")).await;
    let delta = format!("{user}/mailFolders/inbox/messages/delta?$top=100");
    let round = run.get("messages.delta", &delta).await;
    let draft = json!({ "subject": "s", "toRecipients": [{ "emailAddress": { "address": "a@b.example" } }] });
    let inbox = format!("{user}/mailFolders/inbox/messages");
    let made = run.ask("message.create", "POST", &inbox, draft).await;
    let path = format!("{user}/messages/{}", id(&made));
    run.get("message.show", &path).await;
    run.get("message.value", &format!("{path}/$value")).await;
    let change = json!({ "subject": "t", "flag": { "flagStatus": "flagged" } });
    run.ask("message.patch", "PATCH", &path, change).await;
    let to = json!({ "destinationId": "archive" });
    run.ask("message.move", "POST", &format!("{path}/move"), to).await;
    // What is gone is a line of its own.
    run.get("messages.delta", round["@odata.deltaLink"].as_str().unwrap()).await;
    run.ask("message.delete", "DELETE", &path, Value::Null).await;
    let made = run.ask("message.create", "POST", &inbox, json!({})).await;
    let path = format!("{user}/messages/{}/permanentDelete", id(&made));
    run.ask("message.permanentdelete", "POST", &path, Value::Null).await;
    let requests = json!({ "requests": [{ "id": "1", "method": "GET", "url": "/organization" }] });
    run.ask("batch", "POST", "$batch", requests).await;
}

pub(super) async fn attachments(run: &mut Run<'_>) {
    let user = run.user.clone();
    let message = run.ask("message.create", "POST", &format!("{user}/messages"), json!({})).await;
    let times = json!({ "dateTime": "2026-12-02T18:00:00", "timeZone": "UTC" });
    let event = json!({ "subject": "e", "start": times, "end": times });
    let event = run.ask("event.create", "POST", &format!("{user}/events"), event).await;
    let contact = json!({
        "@odata.type": "#microsoft.graph.itemAttachment", "name": "Card",
        "item": { "@odata.type": "#microsoft.graph.contact", "givenName": "Orla" },
    });
    let letter = json!({
        "@odata.type": "#microsoft.graph.itemAttachment", "name": "Inner",
        "item": { "@odata.type": "#microsoft.graph.message", "subject": "inner" },
    });
    let reference = json!({
        "@odata.type": "#microsoft.graph.referenceAttachment", "name": "Sales.docx",
        "sourceUrl": "https://files.lab.example/Sales.docx",
    });
    let beta = run.graph.base.replace("/v1.0", "/beta");
    for (what, owner) in [
        ("message", format!("messages/{}", id(&message))),
        ("event", format!("events/{}", id(&event))),
    ] {
        let path = format!("{user}/{owner}/attachments");
        let mut made = Value::Null;
        for one in [attached_event(), contact.clone(), letter.clone(), file()] {
            made = run.ask(&format!("{what}.attachment.create"), "POST", &path, one).await;
        }
        // Made in the beta, whose properties v1.0 does not have; shown in v1.0.
        let request = run.graph.request("POST", &format!("{beta}/{path}")).json(&reference);
        assert!(request.send().await.unwrap().status().is_success());
        let expand = "$expand=microsoft.graph.itemattachment/item";
        let listed =
            run.get(&format!("{what}.attachments.list"), &format!("{path}?{expand}")).await;
        assert_eq!(listed["value"].as_array().unwrap().len(), 5);
        let one = format!("{path}/{}", id(&made));
        run.get(&format!("{what}.attachment.show"), &format!("{one}?{expand}")).await;
        run.get(&format!("{what}.attachment.value"), &format!("{one}/$value")).await;
        run.ask(&format!("{what}.attachment.delete"), "DELETE", &one, Value::Null).await;
        let large = json!({ "AttachmentItem": { "attachmentType": "file", "name": "x", "size": 4_000_000 } });
        run.ask("upload.create", "POST", &format!("{path}/createUploadSession"), large).await;
    }
}

pub(super) async fn calendars(run: &mut Run<'_>) {
    let user = run.user.clone();
    run.get("calendars.list", &format!("{user}/calendars")).await;
    let made = run
        .ask("calendar.create", "POST", &format!("{user}/calendars"), json!({ "name": "c" }))
        .await;
    let path = format!("{user}/calendars/{}", id(&made));
    run.get("calendar.show", &path).await;
    run.ask("calendar.patch", "PATCH", &path, json!({ "color": "lightBlue" })).await;
    run.ask("calendar.delete", "DELETE", &path, Value::Null).await;
    let list = run.get("events.list", &format!("{user}/events?$top=100&$expand=attachments")).await;
    for event in list["value"].as_array().unwrap() {
        let path = format!("{user}/events/{}", id(event));
        let every = "$select=*,exceptionOccurrences,cancelledOccurrences&$expand=exceptionOccurrences,attachments";
        run.get("event.show", &format!("{path}?{every}")).await;
        if event["type"] == "seriesMaster" {
            run.get("event.instances", &format!("{path}/instances?{WINDOW}&$top=100")).await;
        }
    }
    run.get("calendarview", &format!("{user}/calendarView?{WINDOW}&$top=500")).await;
    let delta = format!("{user}/calendarView/delta?{WINDOW}");
    let round = run.get("calendarview.delta", &delta).await;
    assert!(round["@odata.nextLink"].is_string());
    let (_, link) = run.graph.round(&delta, 1000).await;
    let path = format!("{user}/events/{}", id(&list["value"][0]));
    run.ask("event.patch", "PATCH", &path, json!({ "subject": "renamed" })).await;
    run.ask("event.delete", "DELETE", &path, Value::Null).await;
    let gone = run.get("calendarview.delta", &link).await;
    assert!(gone["value"][0].get("@removed").is_some());
}

pub(super) async fn contacts(run: &mut Run<'_>) {
    let user = run.user.clone();
    run.get("contactfolders.list", &format!("{user}/contactFolders?$top=100")).await;
    run.get("contactfolders.delta", &format!("{user}/contactFolders/delta")).await;
    let folders = format!("{user}/contactFolders");
    let made =
        run.ask("contactfolder.create", "POST", &folders, json!({ "displayName": "f" })).await;
    let path = format!("{folders}/{}", id(&made));
    run.get("contactfolder.show", &path).await;
    run.ask("contactfolder.patch", "PATCH", &path, json!({ "displayName": "g" })).await;
    run.ask("contactfolder.delete", "DELETE", &path, Value::Null).await;
    let every = "$select=*,primaryEmailAddress,secondaryEmailAddress,tertiaryEmailAddress";
    run.get("contacts.list", &format!("{user}/contacts?$top=100&{every}")).await;
    let delta = format!("{user}/contactFolders/contacts/contacts/delta?$top=100");
    run.get("contacts.delta", &delta).await;
    let made = run
        .ask("contact.create", "POST", &format!("{user}/contacts"), json!({ "givenName": "A" }))
        .await;
    let path = format!("{user}/contacts/{}", id(&made));
    run.get("contact.show", &path).await;
    run.ask("contact.patch", "PATCH", &path, json!({ "birthday": "1980-02-29T00:00:00Z" })).await;
    let request = run.graph.request("PUT", &format!("{path}/photo/$value"));
    let request = request.header("content-type", "image/jpeg").body("\u{ff}\u{d8} picture");
    let (_, nothing) = read(request.send().await.unwrap()).await;
    run.look("contact.photo.put", Kind::Nothing, &nothing);
    run.get("contact.photo", &format!("{path}/photo")).await;
    run.ask("contact.delete", "DELETE", &path, Value::Null).await;
}

pub(super) async fn outlook(run: &mut Run<'_>) {
    let user = run.user.clone();
    let path = format!("{user}/mailboxSettings");
    run.get("mailboxsettings.show", &path).await;
    let change =
        json!({ "automaticRepliesSetting": { "status": "alwaysEnabled" }, "timeZone": "UTC" });
    run.ask("mailboxsettings.patch", "PATCH", &path, change).await;
    run.get("exchangesettings.show", &format!("{user}/settings/exchange")).await;
    let path = format!("{user}/mailFolders/inbox/messageRules");
    run.get("rules.list", &path).await;
    let rule = json!({
        "displayName": "r", "actions": { "markImportance": "high" },
        "conditions": { "sensitivity": "private", "withinSizeRange": { "maximumSize": 5 } },
    });
    let made = run.ask("rule.create", "POST", &path, rule).await;
    let path = format!("{path}/{}", id(&made));
    run.get("rule.show", &path).await;
    run.ask("rule.patch", "PATCH", &path, json!({ "sequence": 9 })).await;
    run.ask("rule.delete", "DELETE", &path, Value::Null).await;
    let path = format!("{user}/outlook/masterCategories");
    run.get("categories.list", &path).await;
    let made = run.ask("category.create", "POST", &path, json!({ "displayName": "c" })).await;
    let path = format!("{path}/{}", id(&made));
    run.get("category.show", &path).await;
    run.ask("category.patch", "PATCH", &path, json!({ "color": "preset3" })).await;
    run.ask("category.delete", "DELETE", &path, Value::Null).await;
}

pub(super) async fn tasks(run: &mut Run<'_>) {
    let user = run.user.clone();
    let lists = format!("{user}/todo/lists");
    let all = run.get("tasklists.list", &lists).await;
    run.get("tasklists.delta", &format!("{lists}/delta")).await;
    let made = run.ask("tasklist.create", "POST", &lists, json!({ "displayName": "l" })).await;
    let path = format!("{lists}/{}", id(&made));
    run.get("tasklist.show", &path).await;
    run.ask("tasklist.patch", "PATCH", &path, json!({ "displayName": "m" })).await;
    run.ask("tasklist.delete", "DELETE", &path, Value::Null).await;
    let tasks = format!("{lists}/{}/tasks", id(&all["value"][0]));
    run.get("tasks.list", &format!("{tasks}?$top=100")).await;
    let round = run.get("tasks.delta", &format!("{tasks}/delta?$top=100")).await;
    let made = run.ask("task.create", "POST", &tasks, json!({ "title": "t" })).await;
    let task = format!("{tasks}/{}", id(&made));
    run.get("task.show", &task).await;
    run.ask("task.patch", "PATCH", &task, json!({ "status": "completed" })).await;
    for (part, of, new) in [
        ("checklistItems", "checklistItem", json!({ "displayName": "s", "isChecked": true })),
        (
            "linkedResources",
            "linkedResource",
            json!({ "displayName": "l", "webUrl": "https://a.example" }),
        ),
    ] {
        let path = format!("{task}/{part}");
        let made = run.ask_as("task.part.create", Some(of), "POST", &path, new).await;
        run.ask_as("task.parts.list", Some(of), "GET", &path, Value::Null).await;
        let one = format!("{path}/{}", id(&made));
        run.ask_as("task.part.show", Some(of), "GET", &one, Value::Null).await;
        let change = json!({ "displayName": "changed" });
        run.ask_as("task.part.patch", Some(of), "PATCH", &one, change).await;
        run.ask("task.part.delete", "DELETE", &one, Value::Null).await;
    }
    let path = format!("{task}/attachments");
    let file = json!({
        "@odata.type": "#microsoft.graph.taskFileAttachment", "name": "f", "contentBytes": "YQ==",
    });
    let made = run.ask("task.attachment.create", "POST", &path, file).await;
    run.get("task.attachments.list", &path).await;
    let one = format!("{path}/{}", id(&made));
    run.get("task.attachment.show", &one).await;
    run.get("task.attachment.value", &format!("{one}/$value")).await;
    run.ask("task.attachment.delete", "DELETE", &one, Value::Null).await;
    run.ask("task.delete", "DELETE", &task, Value::Null).await;
    run.get("tasks.delta", round["@odata.deltaLink"].as_str().unwrap()).await;
}

pub(super) async fn exchange(run: &mut Run<'_>) {
    let settings =
        run.get("exchangesettings.show", &format!("{}/settings/exchange", run.user)).await;
    let at = format!("admin/exchange/mailboxes/{}", settings["primaryMailboxId"].as_str().unwrap());
    let folders = run.get("exchange.folders.list", &format!("{at}/folders?$top=100")).await;
    run.get("exchange.folders.delta", &format!("{at}/folders/delta?$top=100")).await;
    for folder in folders["value"].as_array().unwrap() {
        let path = format!("{at}/folders/{}", id(folder));
        run.get("exchange.folder.show", &path).await;
        run.get("exchange.items.delta", &format!("{path}/items/delta")).await;
        let list = run.get("exchange.items.list", &format!("{path}/items")).await;
        if let Some(item) = list["value"].as_array().unwrap().first() {
            run.get("exchange.item.show", &format!("{path}/items/{}", id(item))).await;
            let wanted = json!({ "itemIds": [id(item), "AAkA"] });
            run.ask("exchange.export", "POST", &format!("{at}/exportItems"), wanted).await;
        }
    }
    let notes = run.get("exchange.items.list", &format!("{at}/folders/notes/items")).await;
    let wanted = json!({ "itemIds": [id(&notes["value"][0])] });
    let exported = run.ask("exchange.export", "POST", &format!("{at}/exportItems"), wanted).await;
    let sessions = format!("{at}/createImportSession");
    let session = run.ask("exchange.importsession", "POST", &sessions, Value::Null).await;
    let folder = run.get("exchange.folder.show", &format!("{at}/folders/notes")).await;
    let body =
        json!({ "FolderId": id(&folder), "Mode": "create", "Data": exported["value"][0]["data"] });
    let request = run.world.http.post(session["importUrl"].as_str().unwrap()).json(&body);
    let (_, made) = read(request.send().await.unwrap()).await;
    run.look("exchange.import", super::run::kind("exchange.import"), &made);
    assert_eq!(BASE64.decode(body["Data"].as_str().unwrap().as_bytes()).unwrap()[0], 1);
}

pub(super) async fn subscriptions(run: &mut Run<'_>) {
    let listener = Listener::new(Manners::Good).await;
    let inbox = format!("{}/mailFolders/inbox/messages", run.user);
    let later = |minutes| {
        let at = time::OffsetDateTime::now_utc() + time::Duration::minutes(minutes);
        json!(at.format(&time::format_description::well_known::Rfc3339).unwrap())
    };
    let order = json!({
        "changeType": "created", "notificationUrl": format!("{}/told", listener.url),
        "lifecycleNotificationUrl": format!("{}/life", listener.url), "resource": inbox,
        "expirationDateTime": later(600), "clientState": "state",
    });
    let made = run.ask("subscription.create", "POST", "subscriptions", order).await;
    run.get("subscriptions.list", "subscriptions").await;
    let path = format!("subscriptions/{}", id(&made));
    run.get("subscription.show", &path).await;
    let renewed = json!({ "expirationDateTime": later(700) });
    run.ask("subscription.patch", "PATCH", &path, renewed).await;
    run.ask("message.create", "POST", &inbox, json!({ "subject": "told" })).await;
    let told = listener.take(run.world, "/told").await;
    run.look("notification", Kind::Of("changeNotification"), &json!({ "value": told }));
    run.world.admin("POST", "notifications", json!({ "event": "missed" })).await;
    let told = listener.take(run.world, "/life").await;
    run.look("notification", Kind::Of("changeNotification"), &json!({ "value": told }));
    let reauthorize = format!("{path}/reauthorize");
    run.ask("subscription.reauthorize", "POST", &reauthorize, Value::Null).await;
    run.ask("subscription.delete", "DELETE", &path, Value::Null).await;
}
