use mailkeep_model::{Next, Pattern, ZonedTime};
use serde_json::json;
use time::macros::datetime;

use super::*;

fn list() -> FolderId {
    FolderId("list".into())
}

fn told() -> Value {
    json!({
        "@odata.etag": "W/\"1\"", "id": "t", "title": "Shop", "status": "waitingOnOthers",
        "importance": "high", "isReminderOn": true, "hasAttachments": false,
        "createdDateTime": "2026-03-01T10:00:00.1234567Z",
        "lastModifiedDateTime": "2026-03-02T10:00:00Z",
        "categories": ["Red"],
        "body": {"content": "<p>x</p>", "contentType": "html"},
        "dueDateTime": {"dateTime": "2026-08-25T04:00:00.0000000", "timeZone": "UTC"},
        "reminderDateTime": {"dateTime": "2026-08-24T07:00:00.0000000", "timeZone": "UTC"},
        "recurrence": {
            "pattern": {"type": "daily", "interval": 2},
            "range": {"type": "noEnd", "startDate": "2026-08-25"},
        },
    })
}

fn read(task: &Value) -> (Page<Item, ItemId>, Vec<ItemId>) {
    let body = json!({"value": [task], "@odata.deltaLink": "https://x/"}).to_string();
    parse_tasks_page(body.as_bytes(), &list()).unwrap()
}

fn full(task: &Value, steps: Vec<Value>, links: Vec<Value>) -> (Task, Item) {
    let item = parse_task(task.to_string().as_bytes(), &list(), steps, links).unwrap();
    match &item.detail {
        Some(Detail::Task(task)) => ((**task).clone(), item),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_task_is_read_with_its_days_its_steps_and_its_links() {
    let steps = vec![json!({"displayName": "Milk", "isChecked": true,
        "checkedDateTime": "2026-03-01T11:00:00Z", "createdDateTime": "2026-03-01T10:30:00Z"})];
    let links = vec![json!({"applicationName": "App", "displayName": "It", "externalId": "7",
        "webUrl": "https://app.example/7"})];
    let (task, item) = full(&told(), steps, links);
    let due = ZonedTime { local: datetime!(2026-08-25 4:00), zone: "UTC".into() };
    assert_eq!((task.title.as_str(), task.due), ("Shop", Some(due)));
    assert_eq!((task.status, task.importance), (TaskStatus::WaitingOnOthers, Importance::High));
    assert!(task.reminder_on && task.reminder.is_some() && task.start.is_none());
    assert_eq!(task.recurrence.unwrap().pattern, Pattern::Daily { interval: 2 });
    assert_eq!((task.steps[0].title.as_str(), task.steps[0].done), ("Milk", true));
    assert_eq!(task.steps[0].completed, Some(datetime!(2026-03-01 11:00 UTC)));
    assert_eq!(task.links[0].url, "https://app.example/7");
    assert_eq!((item.kind, item.subject.as_str()), (ItemKind::Task, "Shop"));
    assert_eq!(item.received.unix_timestamp(), datetime!(2026-03-01 10:00 UTC).unix_timestamp());
    assert!(item.provider[TOLD].get("body").is_none());
}

#[test]
fn a_change_of_anything_is_a_change_of_the_content() {
    let key = |task: &Value| match read(task).0.changes.remove(0) {
        Change::Upsert(item) => item.content_key,
        Change::Removed(id) => panic!("{id:?}"),
    };
    let mut changed = told();
    changed["@odata.etag"] = json!("W/\"2\"");
    assert_ne!(key(&told()), key(&changed));
    assert_eq!(key(&told()), full(&told(), Vec::new(), Vec::new()).1.content_key);
}

#[test]
fn an_odd_date_or_step_is_noted_and_the_task_kept() {
    let mut odd = told();
    odd["dueDateTime"]["dateTime"] = json!("some day");
    odd["recurrence"] = json!({"pattern": 7});
    let (task, item) = full(&odd, vec![json!({"displayName": 7})], vec![json!(7)]);
    assert_eq!((task.due, task.recurrence, task.steps.len()), (None, None, 0));
    assert_eq!(item.provider[events::NOT_KEPT].as_array().unwrap().len(), 4);
}

#[test]
fn a_task_told_in_part_is_asked_for_and_a_removed_one_is_removed() {
    let (page, partial) = read(&json!({"id": "t", "title": "Shop"}));
    assert!(page.changes.is_empty() && page.unread.is_empty());
    assert_eq!(partial, [ItemId("t".into())]);
    let (page, partial) = read(&json!({"id": "t", "@removed": {"reason": "deleted"}}));
    assert_eq!(page.changes, [Change::Removed(ItemId("t".into()))]);
    assert!(partial.is_empty() && matches!(page.next, Next::Done(_)));
    assert!(parse_tasks_page(br#"{"value":[]}"#, &list()).is_err());
}

#[test]
fn lists_of_others_and_of_flagged_messages_are_left_out() {
    let mailbox = Mailbox {
        id: mailkeep_model::MailboxId("u".into()),
        address: "ann@story.example".parse().unwrap(),
        display_name: "Ann".into(),
    };
    let lists = json!([
        {"id": "side", "displayName": "Side", "isOwner": true, "wellknownListName": "none"},
        {"id": "main", "displayName": "Aufgaben", "isOwner": true,
            "wellknownListName": "defaultList"},
        {"id": "flags", "displayName": "Flagged", "wellknownListName": "flaggedEmails"},
        {"id": "bob", "displayName": "Bob", "isOwner": false, "isShared": true},
    ]);
    let folders = own(serde_json::from_value(lists).unwrap(), &mailbox);
    let ids: Vec<_> = folders.iter().map(|folder| folder.id.0.as_str()).collect();
    assert_eq!(ids, ["side", "main"]);
    assert_eq!(folders[0].parent, Some(FolderId("main".into())));
    assert_eq!((folders[1].well_known, &folders[1].parent), (Some(WellKnownFolder::Tasks), &None));
}
