//! Lists that never end.

use mailkeep_exchange::{ExchangeError, Provider};
use mailkeep_model::{Change, FolderKind, Next};
use serde_json::json;

use super::{World, folders, inbox, items, mailbox};

fn is_told(error: &ExchangeError) -> bool {
    matches!(error, ExchangeError::Protocol { .. }) && error.to_string().contains("for ever")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_leads_to_itself_for_ever_ends_in_an_error_and_not_in_a_full_disk() {
    let world = World::new().await;
    let provider = world.provider();
    let mailbox = mailbox(&provider).await;
    let inbox = inbox(&provider, &mailbox).await;
    let other = |kind| provider.other_folders(&mailbox, kind);
    let calendar = other(FolderKind::Calendar).await.unwrap().remove(0);
    let contacts = other(FolderKind::Contacts).await.unwrap().remove(0);
    world.order("faults", json!([{"page": "circle"}])).await;

    // A first page has another address than the one that it leads to.
    for folder in [&inbox, &calendar, &contacts] {
        let first = provider.item_changes(&mailbox, folder, None).await.unwrap();
        let Next::More(next) = first.next else { panic!("{:?}", first.next) };
        let error = provider.item_changes(&mailbox, folder, Some(&next)).await.unwrap_err();
        assert!(is_told(&error), "{error}");
    }
    let first = provider.folder_changes(&mailbox, None).await.unwrap();
    let Next::More(next) = first.next else { panic!("{:?}", first.next) };
    let error = provider.folder_changes(&mailbox, Some(&next)).await.unwrap_err();
    assert!(is_told(&error), "{error}");
    for kind in [FolderKind::Calendar, FolderKind::Contacts] {
        let error = provider.other_folders(&mailbox, kind).await.unwrap_err();
        assert!(is_told(&error), "{error}");
    }
    assert!(provider.usage().requests < 100, "{:?}", provider.usage());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_told_twice_costs_nothing_but_a_request() {
    let world = World::new().await;
    let provider = world.provider();
    let mailbox = mailbox(&provider).await;
    let inbox = inbox(&provider, &mailbox).await;
    let (calm, _) = items(&provider, &mailbox, &inbox, None).await;
    for page in ["circle", "repeat"] {
        world.order("faults", json!([{"page": page, "times": 2}])).await;
        let (stormy, _) = items(&provider, &mailbox, &inbox, None).await;
        assert!(calm.iter().all(|one| stormy.contains(one)), "{page}");
        assert!(stormy.iter().all(|one| matches!(one, Change::Upsert(_))));
        world.order("faults", json!([{"page": page, "times": 2}])).await;
        folders(&provider, &mailbox).await;
        world.order("faults", json!([{"page": page, "times": 2}])).await;
        provider.other_folders(&mailbox, FolderKind::Calendar).await.unwrap();
    }
}
