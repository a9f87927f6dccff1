use mailkeep_exchange::{parse_exported, parse_mailbox_items_page};
use mailkeep_model::{Change, FolderId};
use serde_json::{Value, json};

use crate::example::{Compared, examples};

#[test]
fn items_of_any_kind_are_read_as_the_documentation_shows_them() {
    let pages = ["mailboxitem-delta", "mailboxfolder-list-items"];
    let Some(examples) = examples(&pages) else { return };
    for example in examples {
        let folder = FolderId("folder".into());
        let mut told: Vec<Value> = example.each().into_iter().cloned().collect();
        for one in &mut told {
            // Some name only what was asked for. We ask for everything.
            one.as_object_mut().unwrap().entry("changeKey").or_insert(json!("key"));
        }
        let page = json!({ "value": told, "@odata.deltaLink": "https://graph.example/next" });
        let page = parse_mailbox_items_page(page.to_string().as_bytes(), &folder).unwrap();
        assert!(page.unread.is_empty(), "{}: {:?}", example.file, page.unread);
        assert_eq!(page.changes.len(), example.each().len(), "{}", example.file);
        for (change, told) in page.changes.iter().zip(example.each()) {
            let Change::Upsert(item) = change else {
                assert!(told.get("@removed").is_some(), "{}", example.file);
                continue;
            };
            let mut compared = Compared::with(&example, told);
            compared.same("/id", item.id.0.as_str());
            compared.same("/type", item.provider.get("class").cloned());
            compared.same("/size", item.provider.get("size").cloned());
            compared.same("/categories", item.categories.clone());
            compared.instant("/createdDateTime", Some(item.received));
            compared.done();
        }
        example.was_read();
    }
}

#[test]
fn exported_items_are_read_as_the_documentation_shows_them() {
    let Some(examples) = examples(&["mailbox-exportitems"]) else { return };
    for example in examples {
        let told = example.each();
        let ids: Vec<&str> = told.iter().filter_map(|one| one["itemId"].as_str()).collect();
        assert_eq!(ids.len(), told.len(), "{}", example.file);
        let answers = parse_exported(example.json.to_string().as_bytes(), &ids).unwrap();
        for (answer, told) in answers.into_iter().zip(told) {
            let data: &Value = &told["data"];
            match answer {
                Ok(bytes) => {
                    assert_eq!(
                        json!(data_encoding::BASE64.encode(&bytes)),
                        *data,
                        "{}",
                        example.file
                    );
                }
                // The documentation shortens what it shows.
                Err(error) => {
                    let text = data.as_str().unwrap_or_default().as_bytes();
                    let is_base64 = data_encoding::BASE64.decode(text).is_ok_and(|b| !b.is_empty());
                    assert!(!is_base64, "{}: {error}", example.file);
                }
            }
        }
        example.was_read();
    }
}
