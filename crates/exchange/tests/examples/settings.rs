use mailkeep_exchange::{parse_settings, parse_task, parse_tasks_page};
use mailkeep_model::{Body, Change, Detail, FolderId, SettingKind, Task};
use serde_json::{Value, json};

use crate::example::{Compared, Example, examples};

#[test]
fn settings_are_kept_as_the_documentation_shows_them() {
    for (page, kind) in [
        ("user-get-mailboxsettings", SettingKind::Mailbox),
        ("outlookuser-list-mastercategories", SettingKind::Category),
    ] {
        let Some(examples) = examples(&[page]) else { return };
        for example in examples {
            let body = example.json.to_string();
            let page = parse_settings(body.as_bytes(), kind).unwrap();
            assert!(page.unread.is_empty(), "{}: {:?}", example.file, page.unread);
            assert_eq!(page.changes.len(), example.each().len(), "{}", example.file);
            for (change, told) in page.changes.iter().zip(example.each()) {
                let Change::Upsert(item) = change else { panic!("{}: gone", example.file) };
                let Some(Detail::Setting(setting)) = &item.detail else {
                    panic!("{}", example.file)
                };
                assert_eq!(setting.kind, kind);
                // All that the answer does not have for itself alone.
                for (name, value) in told.as_object().unwrap() {
                    if !name.starts_with('@') {
                        assert_eq!(setting.value[name], *value, "{}: {name}", example.file);
                    }
                }
            }
            example.was_read();
        }
    }
}

fn compare(example: &Example, told: &Value, task: &Task) {
    let mut compared = Compared::with(example, told);
    let serialized = |value: Value| value;
    compared.same("/title", task.title.as_str());
    compared.same("/status", serialized(serde_json::to_value(task.status).unwrap()));
    compared.same("/importance", serialized(serde_json::to_value(task.importance).unwrap()));
    compared.same("/isReminderOn", task.reminder_on);
    compared.same("/categories", task.categories.clone());
    compared.same("/dueDateTime/timeZone", task.due.clone().map(|due| due.zone));
    compared.instant("/createdDateTime", task.created);
    compared.instant("/lastModifiedDateTime", task.modified);
    let (Body::Text(content) | Body::Html(content)) = &task.body;
    compared.same("/body/content", content.as_str());
    compared.done();
}

#[test]
fn tasks_are_read_as_the_documentation_shows_them() {
    let Some(examples) = examples(&["todotask-get", "todotasklist-list-tasks"]) else { return };
    let folder = FolderId("list".into());
    for example in examples {
        for told in example.each() {
            let body = told.to_string();
            let item = parse_task(body.as_bytes(), &folder, Vec::new(), Vec::new());
            let item = item.unwrap_or_else(|e| panic!("{}: {e}", example.file));
            assert_eq!(json!(item.id), told["id"], "{}", example.file);
            let Some(Detail::Task(task)) = &item.detail else { panic!("{}", example.file) };
            compare(&example, told, task);
        }
        let (page, partial) = parse_tasks_page(&example.as_last_page(), &folder).unwrap();
        assert_eq!(page.changes.len() + partial.len(), example.each().len(), "{}", example.file);
        example.was_read();
    }
}

#[test]
fn what_tasks_lead_to_is_read_as_the_documentation_shows_it() {
    let Some(examples) = examples(&["todotask-list-linkedresources"]) else { return };
    for example in examples {
        let links: Vec<Value> = example.each().into_iter().cloned().collect();
        let task = json!({
            "id": "task", "title": "x", "status": "notStarted",
            "createdDateTime": "2026-01-05T09:00:00Z",
            "lastModifiedDateTime": "2026-01-05T09:00:00Z",
        });
        let folder = FolderId("list".into());
        let body = task.to_string();
        let item = parse_task(body.as_bytes(), &folder, Vec::new(), links.clone()).unwrap();
        let Some(Detail::Task(task)) = &item.detail else { panic!("{}", example.file) };
        assert_eq!(task.links.len(), links.len(), "{}", example.file);
        for (link, told) in task.links.iter().zip(&links) {
            let mut compared = Compared::with(&example, told);
            compared.same("/webUrl", link.url.as_str());
            compared.same("/applicationName", link.application.as_str());
            compared.same("/displayName", link.name.as_str());
            compared.same("/externalId", link.external_id.as_str());
            compared.done();
        }
        example.was_read();
    }
}
