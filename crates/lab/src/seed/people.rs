//! Contacts made by rule, the same for a seed.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::Rng;
use crate::state::{DEFAULT_CONTACTS, ExtendedProperties, MailboxState, ROOT, Refusal};

/// Every so manieth contact lies in a folder of its own, or one below that.
const ELSEWHERE: usize = 5;
/// Every so manieth contact has a picture.
const PICTURED: usize = 4;

const NAMES: &[(&str, &str)] = &[
    ("Orla", "Byrne"),
    ("Tomasz", "Zieliński"),
    ("Mei", "Tanaka"),
    ("Lucas", "Moreau"),
    ("Sara", "Lindqvist"),
    ("Ifeoma", "Okafor"),
    ("Jürgen", "Groß"),
    ("Ana", "Ferreira"),
];
const COMPANIES: &[&str] =
    &["Harbour Freight", "Papierwerk", "Kumo Design", "Atelier Sud", "Nordlager"];

/// A property of a contact and a value for it.
const TEXTS: &[(&str, &str)] = &[
    ("assistantName", "Petra Assist"),
    ("businessHomePage", "https://harbourfreight.example/"),
    ("department", "Einkauf & Logistik"),
    ("generation", "Jr."),
    ("initials", "O.B."),
    ("jobTitle", "Buyer"),
    ("manager", "Sam Boss"),
    ("middleName", "van der"),
    ("mobilePhone", "+49 151 0000001"),
    ("nickName", "Ollie"),
    ("officeLocation", "B 12"),
    ("personalNotes", "First line\r\nSecond line; with, signs \\ and ümlauts"),
    ("profession", "Engineer"),
    ("spouseName", "Kim"),
    ("title", "Dr."),
    ("yomiCompanyName", "クモ"),
    ("yomiGivenName", "メイ"),
    ("yomiSurname", "タナカ"),
    ("birthday", "1980-02-29T00:00:00Z"),
];

/// Adds contacts to a mailbox. Gives their numbers.
pub(crate) fn generate(
    state: &mut MailboxState,
    rng: &mut Rng,
    count: usize,
    now: i64,
) -> Result<Vec<u64>, Refusal> {
    let mut made = Vec::with_capacity(count);
    for number in 0..count {
        let folder = match number % (2 * ELSEWHERE) {
            4 => folder(state, ROOT, "Suppliers")?,
            9 => {
                let above = folder(state, ROOT, "Suppliers")?;
                folder(state, above, "Former")?
            }
            _ => DEFAULT_CONTACTS,
        };
        let item =
            state.add_contact(folder, fields(rng, number), ExtendedProperties::default(), now)?;
        if number % PICTURED == 1 {
            let photo = picture(rng);
            state.change_contact(item, now, |contact| contact.photo = Some(photo))?;
        }
        made.push(item);
    }
    Ok(made)
}

fn folder(state: &mut MailboxState, parent: u64, name: &str) -> Result<u64, Refusal> {
    let there = state.contacts.children(parent).find(|folder| *folder.name == *name);
    match there.map(|folder| folder.number) {
        Some(number) => Ok(number),
        None => state.create_contact_folder(parent, name),
    }
}

/// Every property in turn, and all of them on every seventh contact.
fn fields(rng: &mut Rng, number: usize) -> Map<String, Value> {
    let (given, surname) = NAMES[rng.below(NAMES.len())];
    let all = number % 7 == 6;
    let turn = |at: usize| all || number % 30 == at;
    let address =
        format!("{}.{number}@papierwerk.example", given.to_lowercase().replace('ü', "ue"));
    let mut fields = Map::from_iter([
        ("givenName".to_owned(), json!(given)),
        ("surname".to_owned(), json!(surname)),
        ("displayName".to_owned(), json!(format!("{given} {surname} {number}"))),
        ("fileAs".to_owned(), json!(format!("{surname}, {given}"))),
        ("companyName".to_owned(), json!(rng.pick(COMPANIES))),
    ]);
    for (at, (name, value)) in TEXTS.iter().enumerate() {
        if turn(at) {
            fields.insert((*name).to_owned(), json!(value));
        }
    }
    let postal = json!({
        "street": "Kai 7\r\nHinterhaus",
        "city": "Hamburg",
        "state": "HH",
        "countryOrRegion": "Deutschland",
        "postalCode": "20457",
    });
    for (at, (name, value)) in [
        ("businessPhones", json!(["+49 40 0000001", "+49 40 0000002"])),
        ("homePhones", json!(["+49 40 0000003"])),
        ("imAddresses", json!(["sip:someone@papierwerk.example"])),
        ("children", json!(["Ada", "Bo"])),
        ("categories", json!(["Customers", "Überfällig"])),
        ("businessAddress", postal.clone()),
        ("homeAddress", postal.clone()),
        ("otherAddress", json!({ "city": "Lyon" })),
    ]
    .into_iter()
    .enumerate()
    {
        if turn(TEXTS.len() + at) {
            fields.insert(name.to_owned(), value);
        }
    }
    if number % 3 != 2 {
        let mut list = vec![json!({ "name": format!("{given} {surname}"), "address": address })];
        if turn(28) {
            list.push(json!({ "name": "Home", "address": format!("home.{number}@a.example") }));
            list.push(json!({ "name": "x", "address": format!("x.{number}@a.example") }));
        }
        fields.insert("emailAddresses".to_owned(), json!(list));
    }
    fields
}

/// Begins like a JPEG; nobody looks at the rest.
fn picture(rng: &mut Rng) -> Bytes {
    let mut bytes = vec![0xff, 0xd8, 0xff, 0xe0, 0, 16, b'J', b'F', b'I', b'F', 0, 1];
    bytes.extend((0..600 + rng.below(2000)).map(|_| rng.next().to_le_bytes()[0]));
    bytes.extend([0xff, 0xd9]);
    Bytes::from(bytes)
}
