//! That the checks find what is wrong: each is fed with requests that Graph would refuse.

use serde_json::{Value, json};

use super::{
    body, query,
    resource::Resource,
    schema::{Kind, Schema},
};
use crate::story;

fn schema() -> Option<Schema> {
    let Some(data) = story::shared_data() else {
        eprintln!("skipped, because graph/v1.0-subset.json is absent");
        return None;
    };
    Some(Schema::read(&data.join("graph/v1.0-subset.json")).unwrap())
}

#[test]
fn a_path_that_graph_does_not_have_is_found() {
    let Some(schema) = schema() else { return };
    let find = |path: &str| Resource::find(&schema, path).map(|found| found.template);
    for (path, template) in [
        (
            "/users/a%40b/mailFolders/inbox/messages/delta",
            "/users/{id}/mailFolders/{id}/messages/delta",
        ),
        ("/users/x/messages/y/$value", "/users/{id}/messages/{id}/$value"),
        (
            "/users/x/messages/y/attachments/createUploadSession",
            "/users/{id}/messages/{id}/attachments/createUploadSession",
        ),
        ("/users('x')/mailboxSettings", "/users/{id}/mailboxSettings"),
        ("/admin/exchange/mailboxes/x/exportItems", "/admin/exchange/mailboxes/{id}/exportItems"),
    ] {
        assert_eq!(find(path).as_deref(), Ok(template));
    }
    for path in ["", "/people", "/users/x/mails", "/users/x/messages/y/send/now", "/users/mail"] {
        assert!(find(path).is_err(), "{path}");
    }
}

#[test]
fn a_query_that_graph_would_refuse_is_found() {
    let Some(schema) = schema() else { return };
    let check = |path: &str, text: &str| {
        query::check(&schema, &Resource::find(&schema, path).unwrap(), text)
    };
    let messages = "/users/x/messages";
    let property = "singleValueExtendedProperties($filter=id eq 'String {a} Name B')";
    for (path, text) in [
        (messages, "$select=id,subject,from&$top=5&$skip=10&$count=true"),
        (messages, "%24filter=isRead+eq+false+and+from/emailAddress/address+eq+'a, b'"),
        (
            messages,
            "$filter=singleValueExtendedProperties/any(ep: ep/id eq 'x' and ep/value eq 'y')",
        ),
        (messages, &format!("$expand={property},attachments($select=id,size)")),
        ("/users/x/calendarView", "startDateTime=a&endDateTime=b&$orderby=start/dateTime desc"),
        ("/users/x/messages/y/attachments/z", "$expand=microsoft.graph.itemAttachment/item"),
        ("/users/x/mailFolders/delta", "$deltatoken=x"),
        ("/users/x/mailFolders/y/messages/delta", "$select=subject"),
    ] {
        assert_eq!(check(path, text), Ok(()), "{path}?{text}");
    }
    for (path, text) in [
        (messages, "$select=body,colour"),
        (messages, "$sort=subject"),
        (messages, "$top=many"),
        (messages, "$filter=read eq false"),
        (messages, "$filter=subject eq 'x"),
        (messages, "$filter=singleValueExtendedProperties/any(ep: ep/name eq 'x')"),
        (messages, "$expand=subject"),
        (messages, "$expand=attachments($select=weight)"),
        (messages, "$orderby=subject upwards"),
        (messages, "startDateTime=a"),
        ("/users/x/messages/y", "$top=1"),
        ("/users/x/messages/y/$value", "$select=id"),
        ("/users/x/calendarView", "startDateTime=a"),
        ("/users/x/mailFolders/y/messages/delta", "$skip=3"),
    ] {
        assert!(check(path, text).is_err(), "{path}?{text}");
    }
}

#[test]
fn a_body_that_graph_would_refuse_is_found() {
    let Some(schema) = schema() else { return };
    let check = |kind: &str, value: Value| {
        body::check(&schema, &Kind::parse(&format!("graph.{kind}")), &value, kind)
    };
    let good = json!({
        "subject": "x",
        "importance": "high",
        "isRead": true,
        "receivedDateTime": "2026-01-05T09:00:00.5Z",
        "toRecipients": [{"emailAddress": {"address": "a@b.example", "name": null}}],
        "body": {"contentType": "html", "content": "x"},
        "attachments": [{"@odata.type": "#microsoft.graph.fileAttachment", "name": "a",
                         "contentBytes": "QUJD"}],
        "singleValueExtendedProperties": [{"id": "Integer 0x0E07", "value": "1"}],
    });
    assert_eq!(check("message", good.clone()), Ok(()));
    for (name, wrong) in [
        ("Subject", json!("x")),
        ("subject", json!(5)),
        ("importance", json!("urgent")),
        ("isRead", json!("true")),
        ("receivedDateTime", json!("2026-01-05")),
        ("receivedDateTime", json!("2026-01-05T09:00:00")),
        ("toRecipients", json!({"emailAddress": {}})),
        ("toRecipients", json!([{"address": "a@b.example"}])),
        ("toRecipients", json!([null])),
        ("body", json!({"contentType": "markdown", "content": "x"})),
        ("attachments", json!([{"name": "a"}])),
        ("attachments", json!([{"@odata.type": "#microsoft.graph.message"}])),
        ("conversationIndex", json!("not base64!")),
    ] {
        let mut value = good.clone();
        value[name] = wrong.clone();
        assert!(check("message", value).is_err(), "{name}: {wrong}");
    }
    let start = json!({"dateTime": null, "timeZone": "UTC"});
    assert!(check("event", json!({ "start": start })).is_err(), "what must not be null");

    let resource = Resource::find(&schema, "/users/x/messages/y/move").unwrap();
    let super::resource::Form::Action(known) = resource.form else { panic!("move is an action") };
    assert_eq!(body::parameters(&schema, &known, &json!({"destinationId": "x"})), Ok(()));
    assert!(body::parameters(&schema, &known, &json!({"destination": "x"})).is_err());
}

#[test]
fn no_operation_stands_twice_in_the_table() {
    let mut seen = std::collections::HashSet::new();
    for one in super::operations::OPERATIONS {
        assert!(seen.insert((one.method, one.template)), "{} {}", one.method, one.template);
    }
}
