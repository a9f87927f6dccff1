//! Contacts as Graph's JSON.

use bytes::Bytes;
use mailkeep_model::{Attachment, Contact, PostalAddress, Sensitivity};
use serde_json::{Map, Value, json};

use super::{Place, Plan, add_property};
use crate::{ExchangeError, graph::client::GraphProvider};

/// `PidTagSensitivity` (MS-OXPROPS): Graph's contact has no such property.
const SENSITIVITY: &str = "Integer 0x0036";
/// Exchange's contacts have three places for addresses, and two for each kind of telephone.
const MOST_EMAILS: usize = 3;
const MOST_PHONES: usize = 2;

pub(super) fn plan<'a>(contact: &Contact, attachments: &'a [Attachment]) -> Plan<'a> {
    let mut lost = Vec::new();
    let photo = attachments.first().map(|photo| photo.bytes.as_slice());
    let fields = fields(contact, &mut lost);
    Plan { fields, photo: photo.filter(|photo| !photo.is_empty()), lost, ..Plan::default() }
}

fn fields(contact: &Contact, lost: &mut Vec<String>) -> Map<String, Value> {
    let mut fields = Map::new();
    let texts = [
        ("displayName", &contact.display_name),
        ("fileAs", &contact.file_as),
        ("title", &contact.title),
        ("givenName", &contact.given_name),
        ("middleName", &contact.middle_name),
        ("surname", &contact.surname),
        ("generation", &contact.generation),
        ("initials", &contact.initials),
        ("nickName", &contact.nickname),
        ("yomiGivenName", &contact.yomi_given_name),
        ("yomiSurname", &contact.yomi_surname),
        ("yomiCompanyName", &contact.yomi_company),
        ("companyName", &contact.company),
        ("department", &contact.department),
        ("officeLocation", &contact.office_location),
        ("jobTitle", &contact.job_title),
        ("profession", &contact.profession),
        ("assistantName", &contact.assistant),
        ("manager", &contact.manager),
        ("spouseName", &contact.spouse),
        ("mobilePhone", &contact.mobile_phone),
        ("businessHomePage", &contact.business_home_page),
        ("personalNotes", &contact.notes),
    ];
    for (name, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
        fields.insert(name.into(), json!(text));
    }
    let mut bounded = |list: &[String], most: usize, what: &str| {
        if list.len() > most {
            lost.push(format!("{what} beyond the first {most}: {}", list[most..].join(", ")));
        }
        json!(&list[..list.len().min(most)])
    };
    let lists = [
        ("children", json!(contact.children)),
        ("imAddresses", json!(contact.im_addresses)),
        ("homePhones", bounded(&contact.home_phones, MOST_PHONES, "home telephones")),
        ("businessPhones", bounded(&contact.business_phones, MOST_PHONES, "business telephones")),
        ("categories", json!(contact.categories)),
    ];
    for (name, list) in lists {
        if list.as_array().is_some_and(|list| !list.is_empty()) {
            fields.insert(name.into(), list);
        }
    }
    if contact.emails.len() > MOST_EMAILS {
        let more = contact.emails[MOST_EMAILS..].iter().map(|one| one.address.as_str());
        let more = more.collect::<Vec<_>>().join(", ");
        lost.push(format!("addresses beyond the first {MOST_EMAILS}: {more}"));
    }
    if !contact.emails.is_empty() {
        let emails = contact.emails.iter().take(MOST_EMAILS);
        let emails = emails.map(|one| {
            let name = if one.name.is_empty() { &one.address } else { &one.name };
            json!({ "name": name, "address": one.address })
        });
        fields.insert("emailAddresses".into(), emails.collect());
    }
    let addresses = [
        ("homeAddress", &contact.home_address),
        ("businessAddress", &contact.business_address),
        ("otherAddress", &contact.other_address),
    ];
    for (name, address) in addresses.into_iter().filter(|(_, address)| !address.is_empty()) {
        fields.insert(name.into(), postal(address));
    }
    if let Some(day) = contact.birthday {
        fields.insert("birthday".into(), json!(format!("{day}T00:00:00Z")));
    }
    let sensitivity = match contact.sensitivity {
        Sensitivity::Normal => None,
        Sensitivity::Personal => Some("1"),
        Sensitivity::Private => Some("2"),
        Sensitivity::Confidential => Some("3"),
    };
    if let Some(sensitivity) = sensitivity {
        add_property(&mut fields, SENSITIVITY, sensitivity);
    }
    fields
}

fn postal(address: &PostalAddress) -> Value {
    json!({
        "street": address.street,
        "city": address.city,
        "state": address.state,
        "postalCode": address.postal_code,
        "countryOrRegion": address.country,
    })
}

/// Graph: `PUT …/photo/$value`. A photograph that is refused does not cost the contact.
pub(super) async fn set_photo(
    graph: &GraphProvider,
    place: &Place<'_>,
    id: &str,
    photo: &[u8],
) -> Result<Option<String>, ExchangeError> {
    let mut path = place.item(id);
    path.extend(["photo", "$value"]);
    let ask = place.ask(graph, "restoring a photograph", &path, &[]);
    let media_type = match photo {
        [0x89, b'P', b'N', b'G', ..] => "image/png",
        [b'G', b'I', b'F', ..] => "image/gif",
        _ => "image/jpeg",
    };
    match graph.put(&ask, media_type, Bytes::copy_from_slice(photo)).await {
        Ok(()) => Ok(None),
        Err(ExchangeError::Answer { status: 400..=499, message, .. }) => {
            Ok(Some(format!("the photograph was refused: {message}")))
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use mailkeep_model::Person;

    use super::*;

    #[test]
    fn a_contact_keeps_its_fields_and_says_what_has_no_place() {
        let person =
            |n: u8| Person { name: String::new(), address: format!("a{n}@example.example") };
        let contact = Contact {
            display_name: "Ann Example".into(),
            emails: (0..4).map(person).collect(),
            home_phones: vec!["1".into(), "2".into(), "3".into()],
            birthday: Some(time::macros::date!(1980 - 02 - 29)),
            home_address: PostalAddress { city: "Riga".into(), ..Default::default() },
            sensitivity: Sensitivity::Private,
            ..Contact::default()
        };
        let plan = plan(&contact, &[]);
        let fields = Value::Object(plan.fields);
        assert_eq!(fields["displayName"], "Ann Example");
        assert_eq!(fields["emailAddresses"].as_array().unwrap().len(), 3);
        assert_eq!(fields["birthday"], "1980-02-29T00:00:00Z");
        assert_eq!(fields["homeAddress"]["city"], "Riga");
        assert_eq!(fields["singleValueExtendedProperties"][0]["value"], "2");
        assert!(fields.get("surname").is_none() && plan.photo.is_none());
        assert_eq!(plan.lost.len(), 2);
        assert!(plan.lost.iter().any(|lost| lost.contains("a3@example.example")));
    }
}
