//! The tree of mail folders.

use mailkeep_exchange::Provider;
use mailkeep_model::{Folder, FolderId, WellKnownFolder};

use crate::{
    backend::{Act, Backend},
    suite::{Told, Verdict, folder_changes, inbox, paths},
};

/// Names that people give folders, and that a program may take for something else.
const ODD: &[&str] =
    &["A/B", "100% & <more>", "Überstunden", "..", " ' \" ", "日本語 📁", "a:b\\c"];

pub(crate) async fn tree<B: Backend>(backend: &B) -> Verdict {
    let (mailbox, provider) = (backend.mailbox("tree").await, backend.reader());
    let make = async |parent: Option<&FolderId>, name: &str| {
        let made = backend.does(&mailbox, Act::MakeFolder { parent, name }).await;
        FolderId(made.into_iter().next().unwrap())
    };
    let mut odd = Vec::new();
    for name in ODD {
        odd.push(make(None, name).await);
    }
    let mut deep = odd[0].clone();
    for level in 0..12 {
        deep = make(Some(&deep), &format!("Level {level}")).await;
    }
    let first = folder_changes(provider, &mailbox, None).await;
    assert!(first.removed.is_empty());
    agree(backend, &mailbox, &first.upserts).await;
    let roles: Vec<_> = first.upserts.iter().filter_map(|folder| folder.well_known).collect();
    for role in [WellKnownFolder::Inbox, WellKnownFolder::SentItems, WellKnownFolder::DeletedItems]
    {
        assert_eq!(roles.iter().filter(|found| **found == role).count(), 1, "{role:?}");
    }

    let quiet = folder_changes(provider, &mailbox, first.cursor.clone()).await;
    assert!(quiet.upserts.is_empty() && quiet.removed.is_empty(), "nothing was done");

    // Names and places change, the folder stays the same.
    let rename = Act::RenameFolder { folder: &odd[1], name: "Renamed / again" };
    backend.does(&mailbox, rename).await;
    backend.does(&mailbox, Act::MoveFolder { folder: &odd[2], to: Some(&odd[1]) }).await;
    backend.does(&mailbox, Act::MoveFolder { folder: &deep, to: None }).await;
    backend.does(&mailbox, Act::DeleteFolder { folder: &odd[3] }).await;
    let new = make(Some(&odd[4]), "New").await;
    let after = folder_changes(provider, &mailbox, quiet.cursor).await;
    for touched in [&odd[1], &odd[2], &deep, &new] {
        assert!(after.upserts.iter().any(|folder| folder.id == *touched), "{touched:?}");
    }
    assert!(after.upserts.len() < first.upserts.len(), "all is told again");
    let now = applied(first.upserts, after);
    agree(backend, &mailbox, &now).await;
    Verdict::Kept
}

pub(crate) async fn pages<B: Backend>(backend: &B) -> Verdict {
    let (mailbox, provider) = (backend.mailbox("many-folders").await, backend.reader());
    for number in 0..230 {
        let name = format!("Folder {number}");
        backend.does(&mailbox, Act::MakeFolder { parent: None, name: &name }).await;
    }
    let told = folder_changes(provider, &mailbox, None).await;
    agree(backend, &mailbox, &told.upserts).await;
    assert!(told.pages > 1, "{} folders on one page: nothing is shown", told.upserts.len());
    Verdict::Kept
}

pub(crate) async fn counts<B: Backend>(backend: &B) -> Verdict {
    let (mailbox, provider) = (backend.mailbox("counted").await, backend.reader());
    let inbox = inbox(provider, &mailbox).await;
    backend.receives(&mailbox, &inbox.id, 7, 500).await;
    let counts = provider.item_counts(&mailbox).await.unwrap();
    if counts.is_empty() {
        return Verdict::Unsupported("the provider counts nothing".into());
    }
    let truth = backend.truth(&mailbox).await;
    for (folder, count) in counts {
        let there = truth.messages.values().filter(|message| message.folder == folder.0).count();
        assert_eq!(there as u64, count, "{folder:?}");
    }
    Verdict::Kept
}

/// The tree that was told, with what was told later.
fn applied(mut folders: Vec<Folder>, told: Told<Folder, FolderId>) -> Vec<Folder> {
    folders.retain(|folder| !told.removed.contains(&folder.id));
    for mut new in told.upserts {
        if let Some(at) = folders.iter().position(|folder| folder.id == new.id) {
            // A role need not be told twice.
            new.well_known = new.well_known.or(folders[at].well_known);
            folders[at] = new;
        } else {
            folders.push(new);
        }
    }
    folders
}

async fn agree<B: Backend>(backend: &B, mailbox: &mailkeep_model::Mailbox, folders: &[Folder]) {
    let truth = backend.truth(mailbox).await.folders;
    let paths = paths(folders);
    assert_eq!(paths.len(), folders.len(), "a folder is told twice");
    for (id, folder) in &truth {
        assert_eq!(paths.get(&FolderId(id.clone())), Some(&folder.path));
    }
    assert_eq!(paths.len(), truth.len(), "folders that are not there are told");
    for folder in folders.iter().filter(|folder| folder.well_known.is_some()) {
        assert_eq!(folder.well_known, truth[&folder.id.0].role, "{}", folder.name);
    }
}
