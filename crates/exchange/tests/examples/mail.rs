use mailkeep_exchange::{Provider, Wanted, parse_folder_page, parse_item_page};
use mailkeep_model::{Change, Folder, FolderId, FolderKind, Item, ItemId, ItemKind, Next};
use serde_json::{Value, json};

use crate::{
    example::{Compared, Example, examples},
    world::{World, list},
};

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A message beside the one that it was read from.
fn compare(example: &Example, told: &Value, item: &Item) {
    let mut compared = Compared::with(example, told);
    compared.same("/id", item.id.0.as_str());
    compared.same("/subject", item.subject.as_str());
    compared.same("/from/emailAddress/address", item.from.clone());
    compared.same("/internetMessageId", item.internet_message_id.clone());
    compared.same("/isRead", item.read);
    compared.same("/isDraft", item.draft);
    compared.same("/categories", item.categories.clone());
    compared.same("/importance", serde_json::to_value(item.importance).unwrap());
    compared.same("/flag/flagStatus", serde_json::to_value(item.follow_up).unwrap());
    compared.same("/conversationId", item.provider.get("conversationId").cloned());
    compared.instant("/receivedDateTime", Some(item.received));
    compared.instant("/sentDateTime", item.sent);
    compared.done();
    let lists = ["toRecipients", "ccRecipients", "bccRecipients"].map(|name| &told[name]);
    let all = lists.into_iter().filter_map(Value::as_array).flatten();
    let addresses = all.filter_map(|one| one.pointer("/emailAddress/address")?.as_str());
    assert_eq!(item.recipients, addresses.collect::<Vec<_>>(), "{}", example.file);
}

#[tokio::test]
async fn messages_are_read_as_the_documentation_shows_them() {
    let pages = ["message-get", "singlevaluelegacyextendedproperty-get"];
    let Some(examples) = examples(&pages) else { return };
    let world = World::new().await;
    for example in examples {
        let mut told = example.json.clone();
        // Some name nothing but what was asked for.
        let folder = told["parentFolderId"].as_str().unwrap_or("folder").to_owned();
        told["parentFolderId"] = json!(folder);
        let id = told["id"].as_str().unwrap_or("message").to_owned();
        told["id"] = json!(id);
        world.tells(&[("message.show", told.clone())]).await;
        let found = world.provider.item(&world.mailbox, ItemKind::Message, &ItemId(id)).await;
        let item = found.unwrap().unwrap_or_else(|| panic!("{}: not there", example.file));
        compare(&example, &told, &item);
        assert_eq!(item.folder.0, folder);
        example.was_read();
    }
}

#[test]
fn changes_of_messages_are_read_as_the_documentation_shows_them() {
    let Some(examples) = examples(&["delta-query-messages"]) else { return };
    for example in examples {
        let folder = FolderId("inbox".into());
        let (page, partial) =
            parse_item_page(example.json.to_string().as_bytes(), &folder).unwrap();
        if let (Some(mistake), [(_, said)]) = (example.mistake(), &page.unread[..]) {
            example.is_refused(mistake, said);
            continue;
        }
        // They were asked for a few properties only: what is told in part is asked for by id.
        let whole = page.changes.iter().filter_map(|change| match change {
            Change::Upsert(item) => Some(item.id.0.as_str()),
            Change::Removed(_) => None,
        });
        let mut changed: Vec<&str> = whole.chain(partial.iter().map(|id| id.0.as_str())).collect();
        let removed = page.changes.iter().filter_map(|change| match change {
            Change::Removed(id) => Some(id.0.as_str()),
            Change::Upsert(_) => None,
        });
        let mut removed: Vec<&str> = removed.collect();
        let is_removed = |told: &&&Value| told.get("@removed").is_some();
        let told = example.each();
        let mut gone: Vec<&str> =
            told.iter().filter(is_removed).map(|one| text(&one["id"])).collect();
        let there = told.iter().filter(|one| !is_removed(one));
        let mut there: Vec<&str> = there.map(|one| text(&one["id"])).collect();
        for list in [&mut changed, &mut removed, &mut gone, &mut there] {
            list.sort_unstable();
        }
        assert_eq!((changed, removed), (there, gone), "{}", example.file);
        let links = ["@odata.nextLink", "@odata.deltaLink"].map(|name| example.json[name].as_str());
        match (page.next, links) {
            (Next::More(cursor), [Some(link), _]) | (Next::Done(cursor), [None, Some(link)]) => {
                assert_eq!(cursor.0, link, "{}", example.file);
            }
            (next, links) => panic!("{}: {next:?} of {links:?}", example.file),
        }
        example.was_read();
    }
}

#[tokio::test]
async fn messages_that_are_there_are_found_in_lists_as_the_documentation_shows_them() {
    let Some(examples) = examples(&["user-list-messages"]) else { return };
    let world = World::new().await;
    for example in examples {
        let mut told: Vec<Value> = example.each().into_iter().cloned().collect();
        for one in &mut told {
            one["parentFolderId"] = json!("folder");
        }
        world.tells(&[("messages.list", list(&json!(told)))]).await;
        // So many that all are listed.
        let ids = told.iter().map(|one| text(&one["id"]).to_owned());
        let ids = ids.chain((0..30).map(|number| format!("other {number}")));
        let wanted: Vec<Wanted> = ids
            .map(|id| Wanted {
                item: ItemId(id),
                mark: "m".into(),
                former: "f".into(),
                likeness: None,
            })
            .collect();
        let found = world.provider.existing(&world.mailbox, ItemKind::Message, &wanted).await;
        let found = found.unwrap();
        let mut expected: Vec<&str> = told.iter().map(|one| text(&one["id"])).collect();
        expected.sort_unstable();
        let ids: Vec<&str> = found.iter().map(|one| one.id.0.as_str()).collect();
        assert_eq!(ids, expected, "{}", example.file);
        assert!(found.iter().all(|one| one.folder.0 == "folder" && one.mark.is_none()));
        example.was_read();
    }
}

#[test]
fn folders_are_read_as_the_documentation_shows_them() {
    let Some(examples) = examples(&["mailfolder-list-childfolders"]) else { return };
    for example in examples {
        let page = parse_folder_page(&example.as_last_page()).unwrap();
        assert_eq!(page.changes.len(), example.each().len(), "{}", example.file);
        for (change, told) in page.changes.iter().zip(example.each()) {
            let Change::Upsert(folder) = change else { panic!("{}: gone", example.file) };
            let mut compared = Compared::with(&example, told);
            compared.same("/id", folder.id.0.as_str());
            compared.same("/displayName", folder.name.as_str());
            compared.same("/parentFolderId", folder.parent.clone().map(|id| id.0));
            compared.done();
        }
        example.was_read();
    }
}

#[tokio::test]
async fn folders_that_were_made_are_known_by_the_answer_that_the_documentation_shows() {
    let kinds = [
        ("user-post-mailfolders", FolderKind::Mail, "folder.create", "/displayName"),
        ("mailfolder-post-childfolders", FolderKind::Mail, "folder.create", "/displayName"),
        ("calendargroup-post-calendars", FolderKind::Calendar, "calendar.create", "/name"),
        ("user-post-contactfolders", FolderKind::Contacts, "contactfolder.create", "/displayName"),
        (
            "contactfolder-post-childfolders",
            FolderKind::Contacts,
            "contactfolder.create",
            "/displayName",
        ),
    ];
    let mut world = None;
    for (page, kind, operation, name) in kinds {
        let Some(examples) = examples(&[page]) else { return };
        for example in examples {
            if world.is_none() {
                world = Some(World::new().await);
            }
            let world = world.as_ref().unwrap();
            world.tells(&[(operation, example.json.clone())]).await;
            let wanted = example.json.pointer(name).map_or("a name of ours", text);
            let made = world.provider.create_folder(&world.mailbox, kind, None, wanted);
            let folder: Folder = made.await.unwrap_or_else(|e| panic!("{}: {e}", example.file));
            let mut compared = Compared::with(&example, &example.json);
            compared.same("/id", folder.id.0.as_str());
            compared.same(name, folder.name.as_str());
            compared.done();
            example.was_read();
        }
    }
}

#[tokio::test]
async fn the_domains_of_an_organisation_are_read_as_the_documentation_shows_them() {
    let Some(examples) = examples(&["organization-list"]) else { return };
    let world = World::new().await;
    for example in examples {
        world.tells(&[("organization", example.json.clone())]).await;
        let domains = world.provider.domains().await.unwrap();
        let told = example.each().into_iter().filter_map(|one| one["verifiedDomains"].as_array());
        let told: Vec<String> =
            told.flatten().map(|one| text(&one["name"]).to_lowercase()).collect();
        assert!(!told.is_empty(), "{}", example.file);
        assert_eq!(domains, told, "{}", example.file);
        example.was_read();
    }
}
