use serde_json::json;

use super::*;
use crate::likeness;

fn notes() -> FolderId {
    FolderId("notes".into())
}

fn told() -> Value {
    json!({
        "id": "n", "changeKey": "CQ1", "type": "IPM.StickyNote", "size": 700,
        "createdDateTime": "2026-03-01T10:00:00Z", "lastModifiedDateTime": "2026-03-02T10:00:00Z",
        "categories": ["Blue"],
        "singleValueExtendedProperties": [
            {"id": "String 0x37", "value": "Milk"}, {"id": "Binary 0x300b", "value": "q83v"},
        ],
    })
}

fn read(item: &Value, folder: &FolderId) -> Page<Item, ItemId> {
    let body = json!({"value": [item], "@odata.deltaLink": "https://x/"}).to_string();
    parse_mailbox_items_page(body.as_bytes(), folder).unwrap()
}

fn only(item: &Value) -> Item {
    match read(item, &notes()).changes.remove(0) {
        Change::Upsert(item) => item,
        Change::Removed(id) => panic!("{id:?}"),
    }
}

#[test]
fn a_note_is_read_with_what_tells_its_copies() {
    let note = only(&told());
    assert_eq!((note.kind, note.subject.as_str()), (ItemKind::Opaque, "Milk"));
    assert_eq!(
        (note.provider["class"].as_str(), note.categories.len()),
        (Some("IPM.StickyNote"), 1)
    );
    let (mut copy, mut edited) = (told(), told());
    copy["id"] = json!("m");
    copy["changeKey"] = json!("CQ2");
    edited["lastModifiedDateTime"] = json!("2026-03-03T10:00:00Z");
    let (same, copy, edited) = (likeness(&note), likeness(&only(&copy)), likeness(&only(&edited)));
    assert_eq!(same, copy);
    let (same, edited) = (same.unwrap(), edited.unwrap());
    assert_eq!((same.key.as_deref(), same.key == edited.key), (Some("q83v"), true));
    assert_ne!(same.state, edited.state);
}

#[test]
fn what_is_in_the_archive_is_named_so() {
    let folder = FolderId("archive:f".into());
    let page = read(&told(), &folder);
    let Change::Upsert(item) = &page.changes[0] else { panic!("{page:?}") };
    assert_eq!(item.id.0, "archive:n");
    let page = read(&json!({"id": "n", "@removed": {"reason": "deleted"}}), &folder);
    assert_eq!(page.changes, [Change::Removed(ItemId("archive:n".into()))]);
}

#[test]
fn a_delta_without_a_link_is_refused_and_a_list_of_groups_ends_without_one() {
    let body = br#"{"value":[]}"#;
    assert!(parse_mailbox_items_page(body, &notes()).is_err());
    let groups = parse_mailbox_items_page(body, &FolderId("groups:c".into())).unwrap();
    assert_eq!(groups.next, Next::Complete);
    assert!(parse_mailbox_items_page(b"{}", &FolderId("groups:c".into())).is_err());
}

#[test]
fn an_odd_item_does_not_take_the_others_with_it() {
    for odd in [json!(7), json!({"id": "x"}), json!({"id": "x", "changeKey": 7})] {
        let page = read(&odd, &notes());
        assert_eq!((page.changes.len(), page.unread.len()), (0, 1), "{odd}");
    }
}

#[test]
fn a_folder_that_grew_into_another_archive_is_explained() {
    let told = ExchangeError::Answer {
        action: "x".into(),
        status: 308,
        code: String::new(),
        message: String::new(),
    };
    let text = explained(told).to_string();
    assert!(text.contains("auto-expanding"), "{text}");
}
