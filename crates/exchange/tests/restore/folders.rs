//! Folders that are there already.

use mailkeep_exchange::{ExchangeError, Provider};
use mailkeep_model::FolderKind;
use serde_json::json;

use crate::world::World;

async fn share(world: &World, calendar: &str, can_edit: bool) -> String {
    let order = json!({"mailbox": world.mailbox.address.as_str(), "calendar": calendar,
        "owner": "bob@lab.example", "can_edit": can_edit});
    world.order("share", order).await["calendar"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_restored_never_lands_in_a_calendar_of_somebody_else() {
    let world = World::new().await;
    let own = world.folder(FolderKind::Calendar, "Team").await;
    for can_edit in [true, false] {
        let shared = share(&world, "Team", can_edit).await;
        for name in ["Team", "TEAM"] {
            let found = world.folder(FolderKind::Calendar, name).await;
            assert_eq!(found.id, own.id);
            assert_ne!(found.id.0, shared);
        }
    }
    // Where there is no other of that name, it is said and not written to.
    share(&world, "Board", true).await;
    let error =
        world.provider.create_folder(&world.mailbox, FolderKind::Calendar, None, "Board").await;
    let error = error.unwrap_err();
    assert!(matches!(error, ExchangeError::Unsupported { .. }), "{error}");
    assert!(error.to_string().contains("belongs to somebody else"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn looking_for_a_folder_in_a_list_that_never_ends_ends() {
    let world = World::new().await;
    world.folder(FolderKind::Contacts, "Suppliers of old").await;
    world.fails(json!([{"page": "circle"}])).await;
    let kind = FolderKind::Contacts;
    let error = world.provider.create_folder(&world.mailbox, kind, None, "Suppliers of old").await;
    assert!(error.unwrap_err().to_string().contains("for ever"));
}
