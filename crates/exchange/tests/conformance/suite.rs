//! Runs all cases against one provider, and what they have in common.

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    time::{Duration, Instant},
};

use data_encoding::HEXLOWER;
use futures::{FutureExt, future::LocalBoxFuture};
use mailkeep_exchange::{ExchangeError, Mark, Provider, Wanted};
use mailkeep_model::{
    Change, Cursor, Folder, FolderId, Item, ItemId, Mailbox, Next, Page, WellKnownFolder,
};
use sha2::{Digest, Sha256};

use crate::{
    backend::Backend,
    cases::{folders, mail, marks, personal, refusals},
};

/// A case that takes longer than this does not end.
const LONGEST: Duration = Duration::from_secs(120);

/// What a case came to, when it came to an end.
#[derive(Debug)]
pub(crate) enum Verdict {
    Kept,
    /// The provider, or the backend, has no such thing; why.
    Unsupported(String),
}

type Case<B> = (String, fn(&B) -> LocalBoxFuture<'_, Verdict>);

macro_rules! cases {
    ($($area:literal: { $($promise:literal => $case:expr,)* })*) => {
        vec![$($((
            concat!($area, ": ", $promise).to_owned(),
            (|backend| Box::pin($case(backend))) as fn(&B) -> LocalBoxFuture<'_, Verdict>,
        ),)*)*]
    };
}

fn all<B: Backend>() -> Vec<Case<B>> {
    cases! {
        "folders": {
            "a tree with odd names is told with its roles, and then only what changes" => folders::tree,
            "many folders come in pages" => folders::pages,
            "what they hold is counted" => folders::counts,
        }
        "mail": {
            "messages are told with all that is known of them" => mail::described,
            "contents come byte for byte, small and large" => mail::contents,
            "marks, moves and deletions are told, and nothing else" => mail::changes,
            "a large folder comes in pages" => mail::pages,
            "a cursor that expired is said to be, and a new enumeration says everything" => mail::expired,
            "many are looked for at once as each is alone" => mail::looked_for,
        }
        "calendars": { "are listed, read whole, changed and deleted" => personal::calendars, }
        "contacts": { "are listed, read whole, changed and deleted" => personal::contacts, }
        "tasks": { "are listed, read whole, changed and deleted" => personal::tasks, }
        "settings": { "are listed, read whole, changed and deleted" => personal::settings, }
        "opaque": { "are listed, read whole, changed and deleted" => personal::opaque, }
        "restore": {
            "a folder is made once" => marks::folders,
            "a message comes back, is found by its mark and is made once" => marks::messages,
            "an event comes back, is found by its mark and is made once" => marks::events,
            "a contact comes back, is found by its mark and is made once" => marks::contacts,
            "marks are set, messages move, and gone is gone" => marks::changes,
        }
        "refusals": {
            "what is not there is said not to be" => refusals::not_found,
            "a mailbox out of bounds is told from one that is not there" => refusals::forbidden,
            "throttling is waited out" => refusals::throttled,
            "an answer that breaks off is asked for again" => refusals::broken_off,
            "one message that cannot be read concerns no other" => refusals::unreadable,
        }
    }
}

/// Runs all cases; `lacks` names those that this provider has no way to keep.
pub(crate) async fn run<B: Backend>(backend: &B, name: &str, lacks: &[&str]) {
    let mut lines = Vec::new();
    let (mut failed, mut unexpected) = (Vec::new(), Vec::new());
    for (promise, case) in all::<B>() {
        let begin = Instant::now();
        let ended = tokio::time::timeout(LONGEST, AssertUnwindSafe(case(backend)).catch_unwind());
        let verdict = match ended.await {
            Ok(Ok(Verdict::Kept)) => "kept".to_owned(),
            Ok(Ok(Verdict::Unsupported(why))) => format!("unsupported: {why}"),
            Ok(Err(_)) => "FAILED, see above".to_owned(),
            Err(_) => "FAILED: it does not end".to_owned(),
        };
        // A failed case may leave its faults behind.
        backend.heals().await;
        if verdict.starts_with("FAILED") {
            failed.push(promise.clone());
        } else if verdict.starts_with("unsupported") != lacks.contains(&promise.as_str()) {
            unexpected.push(format!("{promise}: {verdict}"));
        }
        lines.push(format!("| {promise} | {verdict} | {:.1} s |", begin.elapsed().as_secs_f64()));
    }
    eprintln!("\n| {name} | | |\n|---|---|---:|\n{}", lines.join("\n"));
    assert!(failed.is_empty(), "not kept: {failed:#?}");
    assert!(unexpected.is_empty(), "not as it is written down for {name}: {unexpected:#?}");
}

/// What one enumeration tells, to its end.
pub(crate) struct Told<T, I> {
    pub(crate) upserts: Vec<T>,
    pub(crate) removed: Vec<I>,
    pub(crate) pages: usize,
    /// `None` where the provider has none.
    pub(crate) cursor: Option<Cursor>,
}

impl<T, I> Told<T, I> {
    fn new() -> Self {
        Self { upserts: Vec::new(), removed: Vec::new(), pages: 0, cursor: None }
    }

    /// Takes a page in; what to ask for next, if anything.
    fn take(&mut self, page: Page<T, I>) -> Option<Cursor> {
        assert!(page.unread.is_empty(), "something could not be read");
        self.pages += 1;
        for change in page.changes {
            match change {
                Change::Upsert(thing) => self.upserts.push(thing),
                Change::Removed(id) => self.removed.push(id),
            }
        }
        match page.next {
            Next::More(cursor) => return Some(cursor),
            Next::Done(cursor) => self.cursor = Some(cursor),
            Next::Complete => {}
        }
        None
    }
}

pub(crate) async fn folder_changes<P: Provider>(
    provider: &P,
    mailbox: &Mailbox,
    mut cursor: Option<Cursor>,
) -> Told<Folder, FolderId> {
    let mut told = Told::new();
    loop {
        let page = provider.folder_changes(mailbox, cursor.as_ref()).await.unwrap();
        match told.take(page) {
            Some(next) => cursor = Some(next),
            None => return told,
        }
    }
}

pub(crate) async fn item_changes<P: Provider>(
    provider: &P,
    mailbox: &Mailbox,
    folder: &Folder,
    cursor: Option<Cursor>,
) -> Told<Item, ItemId> {
    try_item_changes(provider, mailbox, folder, cursor).await.unwrap()
}

pub(crate) async fn try_item_changes<P: Provider>(
    provider: &P,
    mailbox: &Mailbox,
    folder: &Folder,
    mut cursor: Option<Cursor>,
) -> Result<Told<Item, ItemId>, ExchangeError> {
    let mut told = Told::new();
    loop {
        let page = provider.item_changes(mailbox, folder, cursor.as_ref()).await?;
        match told.take(page) {
            Some(next) => cursor = Some(next),
            None => return Ok(told),
        }
    }
}

/// The folder of mail with this role.
pub(crate) async fn role<P: Provider>(
    provider: &P,
    mailbox: &Mailbox,
    role: WellKnownFolder,
) -> Folder {
    let folders = folder_changes(provider, mailbox, None).await.upserts;
    folders.into_iter().find(|folder| folder.well_known == Some(role)).unwrap()
}

pub(crate) async fn inbox<P: Provider>(provider: &P, mailbox: &Mailbox) -> Folder {
    role(provider, mailbox, WellKnownFolder::Inbox).await
}

/// Names from the top, for each of these folders.
pub(crate) fn paths(folders: &[Folder]) -> HashMap<FolderId, Vec<String>> {
    let by_id: HashMap<&FolderId, &Folder> = folders.iter().map(|one| (&one.id, one)).collect();
    let path = |folder: &Folder| {
        let mut path = vec![folder.name.clone()];
        let mut above = folder.parent.as_ref();
        while let Some(folder) = above.and_then(|id| by_id.get(id)) {
            path.insert(0, folder.name.clone());
            above = folder.parent.as_ref();
            assert!(path.len() < 1000, "folders lie in a circle");
        }
        path
    };
    folders.iter().map(|folder| (folder.id.clone(), path(folder))).collect()
}

/// A whole content.
pub(crate) async fn content<P: Provider>(
    provider: &P,
    mailbox: &Mailbox,
    item: &ItemId,
) -> Result<Vec<u8>, ExchangeError> {
    let mut content = provider.content(mailbox, item).await?;
    let mut bytes = Vec::new();
    while let Some(chunk) = content.chunk().await? {
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes))
}

/// A mark that is the same for the same name and state.
pub(crate) fn mark(name: &str, state: &str) -> Mark {
    Mark {
        item: sha256(name.as_bytes())[..32].into(),
        state: Some(sha256(state.as_bytes())[..16].into()),
    }
}

/// To find what an item of this name was restored as.
pub(crate) fn wanted(item: &ItemId, name: &str) -> Wanted {
    Wanted {
        item: item.clone(),
        mark: mark(name, "").item,
        former: format!("former-{name}"),
        likeness: None,
    }
}
