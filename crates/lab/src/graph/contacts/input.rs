//! Contacts as clients write them in JSON.

use serde_json::{Map, Value, json};

use crate::clock;
use crate::graph::errors::GraphError;
use crate::graph::extended;

type Object = Map<String, Value>;

/// Properties that are one text.
pub(super) const TEXTS: &[&str] = &[
    "assistantName",
    "businessHomePage",
    "companyName",
    "department",
    "displayName",
    "fileAs",
    "generation",
    "givenName",
    "initials",
    "jobTitle",
    "manager",
    "middleName",
    "mobilePhone",
    "nickName",
    "officeLocation",
    "personalNotes",
    "profession",
    "spouseName",
    "surname",
    "title",
    "yomiCompanyName",
    "yomiGivenName",
    "yomiSurname",
];

/// Properties that are a list of texts, and how many Exchange has room for.
pub(super) const LISTS: &[(&str, usize)] = &[
    ("businessPhones", 2),
    ("homePhones", 2),
    ("imAddresses", 3),
    ("children", 100),
    ("categories", 100),
];

pub(super) const ADDRESSES: &[&str] = &["businessAddress", "homeAddress", "otherAddress"];

/// Mail addresses that a contact has room for.
const MOST_ADDRESSES: usize = 3;

const READ_ONLY: &[&str] = &[
    "id",
    "createdDateTime",
    "lastModifiedDateTime",
    "changeKey",
    "photo",
    "primaryEmailAddress",
    "secondaryEmailAddress",
    "tertiaryEmailAddress",
];

/// Writes the properties of a request over those that are there. Null takes one away.
pub(super) fn apply(body: &Object, fields: &mut Object) -> Result<(), GraphError> {
    for (name, value) in body {
        let name = name.as_str();
        let list = LISTS.iter().find(|(list, _)| *list == name);
        let canonical = if name == extended::NAME
            || matches!(name, "@odata.type" | "@odata.etag" | "@odata.context" | "parentFolderId")
        {
            continue;
        } else if READ_ONLY.contains(&name) {
            return Err(GraphError::new(
                400,
                "ErrorInvalidPropertySet",
                format!("The property '{name}' is read-only and cannot be set."),
            ));
        } else if TEXTS.contains(&name) {
            value.as_str().map(|text| json!(text)).or_else(|| value.as_null().map(|()| json!("")))
        } else if let Some((_, most)) = list {
            texts(value, *most)
        } else if ADDRESSES.contains(&name) {
            postal(value)
        } else if name == "emailAddresses" {
            emails(value)
        } else if name == "birthday" {
            match value {
                Value::Null => Some(Value::Null),
                _ => value
                    .as_str()
                    .and_then(clock::parse_rfc3339)
                    .map(|at| json!(clock::iso(at.unix_timestamp()))),
            }
        } else {
            return Err(GraphError::bad_request(format!(
                "The property '{name}' does not exist on type 'microsoft.graph.contact'. Make sure to \
                 only use property names that are defined by the type."
            )));
        };
        let canonical = canonical.ok_or_else(|| wrong(name))?;
        let empty = match &canonical {
            Value::Null => true,
            Value::String(text) => text.is_empty(),
            Value::Array(list) => list.is_empty(),
            Value::Object(members) => members.is_empty(),
            _ => false,
        };
        if empty {
            fields.remove(name);
        } else {
            fields.insert(name.to_owned(), canonical);
        }
    }
    Ok(())
}

/// Exchange makes the names that lists show of the others when nobody gives them.
pub(super) fn derive_names(fields: &mut Object) {
    let text = |name: &str| {
        fields.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let (given, surname) = (text("givenName"), text("surname"));
    let display = text("displayName").or_else(|| {
        let parts: Vec<String> =
            [&given, &text("middleName"), &surname].into_iter().flatten().cloned().collect();
        (!parts.is_empty()).then(|| parts.join(" ")).or_else(|| text("companyName"))
    });
    let file_as = text("fileAs").or_else(|| match (&surname, &given) {
        (Some(surname), Some(given)) => Some(format!("{surname}, {given}")),
        _ => display.clone(),
    });
    for (name, value) in [("displayName", display), ("fileAs", file_as)] {
        if let Some(value) = value {
            fields.insert(name.to_owned(), json!(value));
        }
    }
}

fn texts(value: &Value, most: usize) -> Option<Value> {
    let list = value.as_array().filter(|list| list.len() <= most)?;
    list.iter().all(Value::is_string).then(|| value.clone())
}

fn emails(value: &Value) -> Option<Value> {
    let list = value.as_array().filter(|list| list.len() <= MOST_ADDRESSES)?;
    list.iter()
        .map(|one| {
            let members = one.as_object()?;
            let known = |key: &String| matches!(key.as_str(), "name" | "address" | "@odata.type");
            let address = members.get("address")?.as_str().filter(|at| !at.is_empty())?;
            let name = match members.get("name") {
                None | Some(Value::Null) => address,
                Some(name) => name.as_str()?,
            };
            members.keys().all(known).then(|| json!({ "name": name, "address": address }))
        })
        .collect()
}

fn postal(value: &Value) -> Option<Value> {
    const KNOWN: &[&str] = &["street", "city", "state", "countryOrRegion", "postalCode"];
    if value.is_null() {
        return Some(json!({}));
    }
    let members = value.as_object()?;
    let mut address = Object::new();
    for (name, part) in members {
        match part {
            _ if name == "@odata.type" => {}
            _ if !KNOWN.contains(&name.as_str()) => return None,
            Value::Null => {}
            Value::String(text) if text.is_empty() => {}
            Value::String(_) => {
                address.insert(name.clone(), part.clone());
            }
            _ => return None,
        }
    }
    Some(Value::Object(address))
}

pub(super) fn wrong(name: &str) -> GraphError {
    GraphError::new(
        400,
        "RequestBodyRead",
        format!("The value of the property '{name}' is not of the expected type or is too long."),
    )
}
