//! Writing back, and finding again what was written.

use bytes::Bytes;
use mailkeep_exchange::{ExchangeError, Looked, NewItem, Origin, Provider};
use mailkeep_model::{Attachment, Folder, FolderKind, FollowUp, Item, ItemId, ItemKind, Mailbox};

use crate::{
    backend::{Act, Backend},
    suite::{Verdict, content, inbox, item_changes, mark, wanted},
};

pub(crate) async fn folders<B: Backend>(backend: &B) -> Verdict {
    let (mailbox, provider) = (backend.mailbox("made-folders").await, backend.restorer());
    let make = async |kind, parent: Option<&Folder>, name: &str| {
        let parent = parent.map(|parent| &parent.id);
        provider.create_folder(&mailbox, kind, parent, name).await.unwrap()
    };
    let mail = make(FolderKind::Mail, None, "Restored, 100 % / 'x'").await;
    assert_eq!(make(FolderKind::Mail, None, "Restored, 100 % / 'x'").await.id, mail.id);
    let below = make(FolderKind::Mail, Some(&mail), "Below").await;
    assert_eq!(below.parent.as_ref(), Some(&mail.id));
    for kind in [FolderKind::Calendar, FolderKind::Contacts] {
        let made = make(kind, None, "Restored").await;
        assert_eq!(made.kind, kind);
        assert_eq!(make(kind, None, "Restored").await.id, made.id);
        let listed = backend.reader().other_folders(&mailbox, kind).await.unwrap();
        assert!(listed.iter().any(|folder| folder.id == made.id));
    }
    Verdict::Kept
}

pub(crate) async fn messages<B: Backend>(backend: &B) -> Verdict {
    let mailbox = backend.mailbox("made-messages").await;
    let inbox = inbox(backend.reader(), &mailbox).await;
    let received = backend.receives(&mailbox, &inbox.id, 3, 4_000).await;
    let items = item_changes(backend.reader(), &mailbox, &inbox, None).await.upserts;
    let item = items.into_iter().find(|item| item.id == received[0]).unwrap();
    let mime = content(backend.reader(), &mailbox, &item.id).await.unwrap();
    again(backend, &mailbox, FolderKind::Mail, &item, mime.into(), &[]).await
}

pub(crate) async fn events<B: Backend>(backend: &B) -> Verdict {
    other(backend, "made-events", FolderKind::Calendar).await
}

pub(crate) async fn contacts<B: Backend>(backend: &B) -> Verdict {
    other(backend, "made-contacts", FolderKind::Contacts).await
}

async fn other<B: Backend>(backend: &B, name: &str, kind: FolderKind) -> Verdict {
    let (mailbox, provider) = (backend.mailbox(name).await, backend.reader());
    if !backend.makes(&mailbox, kind, 12).await {
        return Verdict::Unsupported("this backend makes none".into());
    }
    let folder = provider.other_folders(&mailbox, kind).await.unwrap().remove(0);
    let items = item_changes(provider, &mailbox, &folder, None).await.upserts;
    // A few of them: what people make is not all alike.
    for item in &items[..3] {
        let details = provider.details(&mailbox, item).await.unwrap();
        let attachments = &details.attachments;
        again(backend, &mailbox, kind, &details.item, Bytes::new(), attachments).await;
    }
    Verdict::Kept
}

/// Restores an item beside itself, and again, and once more after it was deleted.
async fn again<B: Backend>(
    backend: &B,
    mailbox: &Mailbox,
    kind: FolderKind,
    item: &Item,
    content: Bytes,
    attachments: &[Attachment],
) -> Verdict {
    let provider = backend.restorer();
    let folder = provider.create_folder(mailbox, kind, None, "Restored").await.unwrap();
    let name = item.id.0.as_str();
    let origin = Origin { mark: mark(name, &item.content_key), snapshot: "s1".into() };
    let new = NewItem {
        item,
        content: &content,
        stream: None,
        attachments,
        origin: &origin,
        looked: Looked::NotYet,
        replaces: &[],
    };
    // By its mark alone: the one that was backed up is there, too.
    let nobody = wanted(&ItemId(String::from("nobody")), name);
    let existing = async || {
        let all = provider.existing(mailbox, item.kind, std::slice::from_ref(&nobody)).await;
        all.unwrap()
    };
    assert_eq!(existing().await, []);
    let created = provider.create(mailbox, &folder, &new).await.unwrap();
    assert_ne!(created.id, item.id);
    assert_eq!(provider.create(mailbox, &folder, &new).await.unwrap().id, created.id);
    let [found] = &existing().await[..] else { panic!("not one") };
    assert_eq!((&found.id, &found.folder), (&created.id, &folder.id));
    assert_eq!(found.mark.as_ref(), Some(&origin.mark));
    assert!(!found.deleted && !found.edited, "{found:?}");
    let itself = wanted(&item.id, "other");
    let found = provider.existing(mailbox, item.kind, &[itself]).await.unwrap();
    assert_eq!(
        found.iter().map(|one| (&one.id, &one.mark)).collect::<Vec<_>>(),
        [(&item.id, &None)]
    );

    let read = provider.item(mailbox, item.kind, &created.id).await.unwrap().unwrap();
    assert_eq!((&read.subject, &read.folder), (&item.subject, &folder.id));
    assert_eq!(read.categories, item.categories);
    let keep = std::slice::from_ref(&created.id);
    let doubles = provider.remove_doubles(mailbox, &folder, item.kind, &origin.mark, keep).await;
    assert_eq!(doubles.unwrap(), 0);
    match provider.delete(mailbox, item.kind, &created.id).await {
        // A meeting whose attendees would be told.
        Err(ExchangeError::Unsupported { .. }) if item.kind == ItemKind::Event => {}
        deleted => {
            deleted.unwrap();
            let left = existing().await;
            assert!(left.iter().all(|one| one.deleted), "{left:?}");
            let anew = provider.create(mailbox, &folder, &new).await.unwrap();
            assert_ne!(anew.id, created.id, "what was deleted was taken for restored");
        }
    }
    Verdict::Kept
}

pub(crate) async fn changes<B: Backend>(backend: &B) -> Verdict {
    let (mailbox, provider) = (backend.mailbox("changed-back").await, backend.restorer());
    let inbox = inbox(backend.reader(), &mailbox).await;
    let received = backend.receives(&mailbox, &inbox.id, 2, 500).await;
    let item = &received[0];
    let read = async || provider.item(&mailbox, ItemKind::Message, item).await.unwrap().unwrap();
    let before = read().await;
    let (flagged, category) = (true, Some("Red category"));
    backend.does(&mailbox, Act::MarkMessage { item, read: true, flagged, category }).await;
    let to = Item {
        read: false,
        follow_up: FollowUp::NotFlagged,
        categories: vec!["Blue category".into()],
        ..before
    };
    provider.update(&mailbox, item, &to).await.unwrap();
    let after = read().await;
    assert_eq!((after.read, after.follow_up), (false, FollowUp::NotFlagged));
    assert_eq!(after.categories, ["Blue category"]);
    let folder = provider.create_folder(&mailbox, FolderKind::Mail, None, "Moved").await.unwrap();
    for _ in 0..2 {
        provider.relocate(&mailbox, ItemKind::Message, item, &folder.id).await.unwrap();
        assert_eq!(read().await.folder, folder.id);
    }
    for _ in 0..2 {
        provider.delete(&mailbox, ItemKind::Message, item).await.unwrap();
    }
    assert!(!backend.truth(&mailbox).await.messages.contains_key(&item.0));
    assert!(backend.truth(&mailbox).await.messages.contains_key(&received[1].0));
    Verdict::Kept
}
