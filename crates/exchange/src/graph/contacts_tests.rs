use mailkeep_model::{Next, Person};
use serde_json::json;
use time::macros::{date, datetime};

use super::{super::events::NOT_KEPT, *};

fn full() -> Value {
    let address = |street: &str| {
        json!({"street": street, "city": "Town", "state": "ST", "postalCode": "12345",
            "countryOrRegion": "Land"})
    };
    json!({
        "@odata.etag": "W/\"K1\"", "id": "c1", "changeKey": "K1", "parentFolderId": "f",
        "createdDateTime": "2026-01-02T08:00:00Z", "lastModifiedDateTime": "2026-01-03T08:00:00Z",
        "categories": ["Red"], "birthday": "1974-07-22T00:00:00Z", "fileAs": "Lee, Ann",
        "displayName": "Ann Lee", "givenName": "Ann", "initials": "A.L.", "middleName": "May",
        "nickName": "Annie", "surname": "Lee", "title": "Dr.", "yomiGivenName": "a",
        "yomiSurname": "b", "yomiCompanyName": "c", "generation": "Jr.",
        "imAddresses": ["sip:ann@story.example", "", null], "jobTitle": "Pilot",
        "companyName": "Story", "department": "Air", "officeLocation": "7/1",
        "profession": "Flying", "businessHomePage": "https://story.example/",
        "assistantName": "Bob", "manager": "Cat", "homePhones": ["+1"], "mobilePhone": "+2",
        "businessPhones": ["+3", "+4"], "spouseName": "Dan", "personalNotes": "Tea",
        "children": ["Eve", "Fay"],
        "emailAddresses": [{"name": "Ann (work)", "address": "ann@story.example"},
            {"address": "ann@home.example"}, {}],
        "homeAddress": address("Home 1"), "businessAddress": address("Work 2"),
        "otherAddress": {},
    })
}

fn read(contacts: &[Value]) -> (Page<Item, ItemId>, Vec<ItemId>) {
    let body = json!({"value": contacts, "@odata.deltaLink": "https://x/"}).to_string();
    parse_contacts_page(body.as_bytes(), &FolderId("f".into())).unwrap()
}

fn only(contact: &Value) -> Item {
    match read(std::slice::from_ref(contact)).0.changes.remove(0) {
        Change::Upsert(item) => item,
        Change::Removed(id) => panic!("{id:?}"),
    }
}

#[test]
fn every_property_of_a_contact_is_read() {
    let item = only(&full());
    let postal = |street: &str| PostalAddress {
        street: street.into(),
        city: "Town".into(),
        state: "ST".into(),
        postal_code: "12345".into(),
        country: "Land".into(),
    };
    let expected = Contact {
        display_name: "Ann Lee".into(),
        file_as: "Lee, Ann".into(),
        title: "Dr.".into(),
        given_name: "Ann".into(),
        middle_name: "May".into(),
        surname: "Lee".into(),
        generation: "Jr.".into(),
        initials: "A.L.".into(),
        nickname: "Annie".into(),
        yomi_given_name: "a".into(),
        yomi_surname: "b".into(),
        yomi_company: "c".into(),
        company: "Story".into(),
        department: "Air".into(),
        office_location: "7/1".into(),
        job_title: "Pilot".into(),
        profession: "Flying".into(),
        assistant: "Bob".into(),
        manager: "Cat".into(),
        spouse: "Dan".into(),
        children: vec!["Eve".into(), "Fay".into()],
        emails: vec![
            Person { name: "Ann (work)".into(), address: "ann@story.example".into() },
            Person { name: String::new(), address: "ann@home.example".into() },
        ],
        im_addresses: vec!["sip:ann@story.example".into()],
        home_phones: vec!["+1".into()],
        business_phones: vec!["+3".into(), "+4".into()],
        mobile_phone: "+2".into(),
        home_address: postal("Home 1"),
        business_address: postal("Work 2"),
        other_address: PostalAddress::default(),
        business_home_page: "https://story.example/".into(),
        birthday: Some(date!(1974 - 07 - 22)),
        notes: "Tea".into(),
        categories: vec!["Red".into()],
        sensitivity: mailkeep_model::Sensitivity::Normal,
        created: Some(datetime!(2026-01-02 8:00 UTC)),
        modified: Some(datetime!(2026-01-03 8:00 UTC)),
    };
    assert_eq!(item.detail, Some(Detail::Contact(Box::new(expected))));
    assert_eq!((item.kind, item.subject.as_str()), (ItemKind::Contact, "Ann Lee"));
    assert_eq!((item.content_key.as_str(), item.folder.0.as_str()), ("K1", "f"));
    assert_eq!(item.received, datetime!(2026-01-02 8:00 UTC));
    assert_eq!(item.provider[TOLD]["parentFolderId"], "f");
    assert!(item.provider[TOLD].get("@odata.etag").is_none());
}

#[test]
fn a_contact_told_in_part_is_asked_for_and_a_removed_one_is_removed() {
    let gone = json!({"id": "c2", "@removed": {"reason": "deleted"}});
    let (page, partial) = read(&[json!({"id": "c1", "displayName": "Ann"}), gone]);
    assert_eq!(partial, [ItemId("c1".into())]);
    assert_eq!(page.changes, [Change::Removed(ItemId("c2".into()))]);
    assert!(matches!(page.next, Next::Done(_)));
}

#[test]
fn one_odd_contact_does_not_take_the_page_with_it() {
    let mut odd = full();
    odd["emailAddresses"] = json!("none");
    let (page, partial) = read(&[odd, json!(7), full()]);
    assert_eq!((page.changes.len(), page.unread.len(), partial.len()), (1, 2, 0));
    let mut odd = full();
    odd["birthday"] = json!("in spring");
    odd["displayName"] = json!("");
    let item = only(&odd);
    assert!(item.provider[NOT_KEPT][0].as_str().unwrap().contains("in spring"));
    assert_eq!(item.subject, "Ann Lee");
}

#[test]
fn folders_beside_the_default_one_lie_at_the_top_and_the_others_in_their_parents() {
    let folders = json!([
        {"id": "main", "displayName": "Kontakte", "parentFolderId": "root"},
        {"id": "side", "displayName": "Side", "parentFolderId": "root"},
        {"id": "sub", "displayName": "Sub", "parentFolderId": "main"},
        {"id": "loop", "displayName": null, "parentFolderId": "loop"},
    ]);
    let folders = tree(serde_json::from_value(folders).unwrap());
    let parents: Vec<_> =
        folders.iter().map(|one| one.parent.as_ref().map(|id| id.0.as_str())).collect();
    assert_eq!(parents, [None, None, Some("main"), None]);
    let roles: Vec<_> = folders.iter().map(|folder| folder.well_known).collect();
    assert_eq!(roles, [Some(WellKnownFolder::Contacts), None, None, None]);
    assert_eq!(folders[0].kind, FolderKind::Contacts);
}
