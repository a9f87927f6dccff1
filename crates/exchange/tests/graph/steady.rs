//! Tokens that are revoked, and counts of what folders hold.

use std::collections::HashMap;

use mailkeep_exchange::{ExchangeError, Provider};
use mailkeep_model::FolderId;
use serde_json::{Value, json};

use super::{World, content, first_item, folders, inbox, items, mailbox};

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_are_revoked_again_and_again_cost_no_item() {
    let world = World::new().await;
    let provider = world.provider();
    let mailbox = mailbox(&provider).await;
    let inbox = inbox(&provider, &mailbox).await;
    let (changes, _) = items(&provider, &mailbox, &inbox, None).await;
    let item = first_item(&changes).id.clone();
    let mime = content(&provider, &mailbox, &item).await;
    // The second one is refused although it has only just been issued, and the third one.
    let revoked = json!([{"operation": "message.value", "invalidate": "tokens", "times": 3}]);
    world.order("faults", revoked).await;
    assert_eq!(content(&provider, &mailbox, &item).await, mime);
    assert_eq!(world.look("faults").await[0]["hits"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_takes_no_token_is_not_asked_for_ever() {
    let world = World::new().await;
    let provider = world.provider();
    let mailbox = mailbox(&provider).await;
    let inbox = inbox(&provider, &mailbox).await;
    let (changes, _) = items(&provider, &mailbox, &inbox, None).await;
    let item = first_item(&changes).id.clone();
    let refused = json!([{"operation": "message.value", "status": 401,
        "code": "InvalidAuthenticationToken"}]);
    world.order("faults", refused).await;
    let Err(error) = provider.content(&mailbox, &item).await else { panic!("it was read") };
    assert!(matches!(error, ExchangeError::Forbidden { .. }), "{error}");
    let hits = world.look("faults").await[0]["hits"].as_u64().unwrap();
    assert!((2..10).contains(&hits), "{hits} times");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_lacks_messages_shows_in_the_number_that_the_provider_tells() {
    let world = World::new().await;
    let provider = world.provider();
    let mailbox = mailbox(&provider).await;
    // More than a page of folders.
    let order = json!({"mailbox": mailbox.address.as_str(), "messages": 30, "folders": 15});
    world.order("generate", order).await;
    let (folders, _) = folders(&provider, &mailbox).await;
    let mut read = HashMap::new();
    for folder in &folders {
        let (changes, _) = items(&provider, &mailbox, folder, None).await;
        read.insert(folder.id.clone(), changes.len() as u64);
    }
    assert!(read.values().sum::<u64>() > 30);
    let before = provider.usage().requests;
    assert_eq!(provider.item_counts(&mailbox).await.unwrap(), read);
    assert_eq!(provider.usage().requests - before, 1, "of each mailbox, in each pass");

    // As many as there are, whatever a delta tells of them.
    let lose = json!([{"operation": "messages.delta", "page": "lose", "share": 1.0}]);
    world.order("faults", lose).await;
    let inbox = inbox(&provider, &mailbox).await;
    let order = json!({"mailbox": mailbox.address.as_str(), "folder": inbox.id.0, "seed": 1,
        "create": 3, "delete": 1});
    let done: Value = world.order("mutate", order).await;
    assert_eq!(done["created"].as_array().map(Vec::len), Some(3), "{done}");
    let now = provider.item_counts(&mailbox).await.unwrap();
    let inbox: &FolderId = &inbox.id;
    assert_eq!(now[inbox], read[inbox] + 2);
}
