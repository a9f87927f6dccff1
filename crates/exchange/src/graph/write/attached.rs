//! Items that are attached to an event, as Graph takes them back: it told them as JSON, and most of
//! what it told it also takes.

use mailkeep_model::Attachment;
use serde_json::{Map, Value, json};

use super::{mime, uploads::NewFile};
use crate::graph::attachments::ITEMS;

/// What can be written of an attached event, and of a contact.
const EVENT: &[&str] = &[
    "subject",
    "body",
    "start",
    "end",
    "isAllDay",
    "location",
    "locations",
    "importance",
    "sensitivity",
    "showAs",
    "categories",
    "recurrence",
    "isReminderOn",
    "reminderMinutesBeforeStart",
    "responseRequested",
];
const CONTACT: &[&str] = &[
    "displayName",
    "fileAs",
    "title",
    "givenName",
    "middleName",
    "surname",
    "generation",
    "initials",
    "nickName",
    "yomiGivenName",
    "yomiSurname",
    "yomiCompanyName",
    "companyName",
    "department",
    "officeLocation",
    "jobTitle",
    "profession",
    "assistantName",
    "manager",
    "spouseName",
    "children",
    "emailAddresses",
    "imAddresses",
    "homePhones",
    "businessPhones",
    "mobilePhone",
    "homeAddress",
    "businessAddress",
    "otherAddress",
    "businessHomePage",
    "birthday",
    "personalNotes",
    "categories",
];

/// In which form attached items are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As what they are.
    Items,
    /// As files, where Graph refuses the former.
    Files,
}

/// The attachments of an event; `told` is what the provider told beside the event.
pub(super) fn files(
    attachments: &[Attachment],
    told: &Map<String, Value>,
    form: Form,
    lost: &mut Vec<String>,
) -> Vec<NewFile> {
    let items = told.get(ITEMS).and_then(Value::as_object);
    let item = |at: usize| items.and_then(|items| items.get(&at.to_string()));
    let file = |(at, attachment): (usize, &Attachment)| {
        let mut file = NewFile::from(attachment);
        let Some(item) = item(at) else { return file };
        match (form, writable(item, &attachment.bytes)) {
            (Form::Items, Some(item)) => file.item = Some(item),
            _ => lost.push(format!(
                "the attached item {:?} is attached as a file",
                attachment.info.name.chars().take(80).collect::<String>()
            )),
        }
        file
    };
    attachments.iter().enumerate().map(file).collect()
}

/// Whether there are attached items at all.
pub(super) fn has_items(told: &Map<String, Value>) -> bool {
    told.get(ITEMS).and_then(Value::as_object).is_some_and(|items| !items.is_empty())
}

/// An item as a request takes it; `None` for what is better kept as a file. A message is made from its
/// MIME, which has more of it than its JSON.
fn writable(item: &Value, bytes: &[u8]) -> Option<Value> {
    let kind = item["@odata.type"].as_str().unwrap_or_default().trim_start_matches('#');
    let names = match kind {
        "microsoft.graph.event" => EVENT,
        "microsoft.graph.contact" => CONTACT,
        "microsoft.graph.message" | "microsoft.graph.eventMessage" => {
            return super::message::attached_item(&mime::read(bytes), bytes.len());
        }
        _ => return None,
    };
    let told = item.as_object()?;
    let mut written = Map::new();
    written.insert("@odata.type".into(), json!(format!("#{kind}")));
    for name in names {
        if let Some(value) = told.get(*name).filter(|value| !value.is_null()) {
            written.insert((*name).to_owned(), without_annotations(value));
        }
    }
    if written.get("locations").and_then(Value::as_array).is_some_and(|all| all.len() > 1) {
        written.remove("location");
    } else {
        written.remove("locations");
    }
    Some(Value::Object(written))
}

fn without_annotations(value: &Value) -> Value {
    match value {
        Value::Array(all) => all.iter().map(without_annotations).collect(),
        Value::Object(all) => {
            let kept = all.iter().filter(|(name, value)| !name.contains('@') && !value.is_null());
            Value::Object(
                kept.map(|(name, value)| (name.clone(), without_annotations(value))).collect(),
            )
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use mailkeep_model::AttachmentInfo;

    use super::*;

    fn told(item: &Value) -> Map<String, Value> {
        Map::from_iter([(ITEMS.to_owned(), json!({ "1": item }))])
    }

    fn attachments() -> [Attachment; 2] {
        let named = |name: &str| Attachment {
            info: AttachmentInfo { name: name.into(), ..AttachmentInfo::default() },
            bytes: b"BEGIN:VCALENDAR".to_vec(),
        };
        [named("file"), named("item")]
    }

    #[test]
    fn an_attached_event_comes_back_as_one_without_what_only_an_answer_has() {
        let item = json!({"@odata.type": "#microsoft.graph.event", "id": "x", "subject": "Lunch",
            "changeKey": "k", "attendees": [{}], "start": {"dateTime": "x", "timeZone": "UTC"},
            "body": {"@odata.context": "y", "contentType": "text", "content": "z"}});
        let mut lost = Vec::new();
        let made = files(&attachments(), &told(&item), Form::Items, &mut lost);
        assert!(made[0].item.is_none() && lost.is_empty());
        let item = made[1].item.as_ref().unwrap();
        assert_eq!(item["subject"], "Lunch");
        assert_eq!(item["body"], json!({"contentType": "text", "content": "z"}));
        // Whoever stands there was invited once.
        assert!(item.get("attendees").is_none() && item.get("changeKey").is_none());
    }

    #[test]
    fn what_cannot_be_an_item_is_a_file_and_that_is_said() {
        let odd = told(&json!({"@odata.type": "#microsoft.graph.post"}));
        let event = told(&json!({"@odata.type": "#microsoft.graph.event"}));
        for (told, form) in [(&odd, Form::Items), (&event, Form::Files)] {
            let mut lost = Vec::new();
            let made = files(&attachments(), told, form, &mut lost);
            assert!(made[1].item.is_none() && made[1].bytes == b"BEGIN:VCALENDAR");
            assert_eq!(lost.len(), 1);
        }
    }
}
