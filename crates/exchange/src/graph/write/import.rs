//! Items written back from their streams: whole, with everything that no other interface takes.
//!
//! An import goes to an address that is a secret in place of our token. It makes the item at once, and
//! no mark can go along: the stream is not ours to change. What can be marked (messages, events,
//! contacts) is marked right after it. Until then it is told by what it is: a message by its
//! `Message-ID`, an event by its `UID`, a contact by its name and the time when it was made. What can
//! carry no mark (notes, contact groups) is told by what [`super::unmarked`] says.
//!
//! Graph has no way to delete notes and contact groups, so one that is to be replaced is overwritten.
//!
//! Sources: the Graph pages "mailbox: createImportSession", "Import an Exchange mailbox item".

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use bytes::Bytes;
use data_encoding::BASE64;
use mailkeep_model::{Folder, FolderId, Item, ItemId, ItemKind, Mailbox, Secret};
use reqwest::{Method, Response, header};
use serde::Deserialize;
use serde_json::{Value, json};
use time::{
    Duration, OffsetDateTime,
    format_description::well_known::{Rfc2822, Rfc3339},
};

use super::{twin, unmarked::is_copy};
use crate::{
    Created, ExchangeError, Likeness, Looked, NewItem,
    graph::{
        client::{Ask, GraphProvider, MAX_FAULTS, Patience, Unsent, read_all},
        refusal::is_foreign_id,
        streams::{self, Spot, Store},
    },
    likeness,
};

/// The right that importing needs.
pub(super) const IMPORT: &str = "MailboxItem.ImportExport.All";
/// A session is not used so shortly before it expires.
const MARGIN: Duration = Duration::minutes(2);
/// Longest stream. Exchange takes no item above 150 MB.
const LONGEST: usize = 160 << 20;

/// What is remembered of imports.
#[derive(Default)]
pub(in crate::graph) struct Imports {
    /// By store.
    sessions: Mutex<HashMap<String, Session>>,
    /// What may have been made twice and carries no mark, by the mark that it would carry.
    doubts: Mutex<HashMap<String, Doubt>>,
    /// The same for what carries a mark once it is known to be there: what was tried and has not come
    /// to a good end.
    attempts: Mutex<HashMap<String, twin::Attempt>>,
    /// Who is at work on what looks like this in a folder.
    turns: Mutex<HashMap<(FolderId, twin::Key), Weak<Turn>>>,
    /// The contacts that were in a folder before.
    contacts: Mutex<HashMap<FolderId, Arc<Contacts>>>,
}

type Turn = tokio::sync::Mutex<()>;
type Contacts = tokio::sync::OnceCell<Vec<(ItemId, twin::Key)>>;

struct Session {
    address: Secret,
    until: OffsetDateTime,
}

/// What tells an item that may have been made twice.
#[derive(Clone)]
pub(super) struct Doubt {
    pub(super) likeness: Likeness,
    /// What was there before.
    pub(super) known: Vec<ItemId>,
}

/// What became of an import.
pub(super) enum Sent {
    /// It was carried out: what it made, by a name that is not the lasting one, and when, by the
    /// provider's clock.
    Made(String, Option<OffsetDateTime>),
    /// It may have been carried out or not.
    Unknown(ExchangeError),
}

/// Into which folder what is imported.
pub(super) struct Import<'a> {
    pub(super) graph: &'a GraphProvider,
    pub(super) mailbox: &'a Mailbox,
    store: String,
    spot: Spot<'a>,
    stream: &'a Bytes,
}

/// Writes an item back from its stream.
pub(super) async fn create(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    folder: &Folder,
    new: &NewItem<'_>,
    stream: &Bytes,
) -> Result<Created, ExchangeError> {
    let import = Import::into(graph, mailbox, &folder.id, stream).await?;
    if new.item.kind != ItemKind::Opaque {
        return twin::create(&import, folder, new).await;
    }
    match new.replaces.first() {
        Some(old) => import.over(old, folder, new).await,
        None => import.anew(folder, new).await,
    }
}

impl Imports {
    fn sessions(&self) -> MutexGuard<'_, HashMap<String, Session>> {
        lock(&self.sessions)
    }

    /// What was tried so far to import what would carry this mark.
    pub(super) fn attempt(&self, mark: &str) -> Option<twin::Attempt> {
        lock(&self.attempts).get(mark).cloned()
    }

    pub(super) fn remember(&self, mark: String, attempt: Option<twin::Attempt>) {
        let mut attempts = lock(&self.attempts);
        match attempt {
            Some(attempt) => attempts.insert(mark, attempt),
            None => attempts.remove(&mark),
        };
    }

    /// What is held while an item is made that others look like: from the first look to the mark,
    /// each could be taken for the other.
    pub(super) fn turn(&self, folder: &FolderId, key: &twin::Key) -> Arc<Turn> {
        let mut turns = lock(&self.turns);
        turns.retain(|_, turn| turn.strong_count() > 0);
        let turn = turns.entry((folder.clone(), key.clone())).or_default();
        turn.upgrade().unwrap_or_else(|| {
            let new = Arc::new(Turn::default());
            *turn = Arc::downgrade(&new);
            new
        })
    }

    pub(super) fn contacts(&self, folder: &FolderId) -> Arc<Contacts> {
        Arc::clone(lock(&self.contacts).entry(folder.clone()).or_default())
    }

    pub(super) fn doubts(&self) -> MutexGuard<'_, HashMap<String, Doubt>> {
        lock(&self.doubts)
    }
}

/// What is in there is whole at every moment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'a> Import<'a> {
    async fn into(
        graph: &'a GraphProvider,
        mailbox: &'a Mailbox,
        folder: &'a FolderId,
        stream: &'a Bytes,
    ) -> Result<Self, ExchangeError> {
        let refused = |why| ExchangeError::unsupported(action(mailbox), why);
        let spot = Spot::of(folder).ok_or_else(|| {
            refused("nothing lies in the archive itself, but in its folders".to_owned())
        })?;
        if stream.len() > LONGEST {
            return Err(refused(format!("its stream has more than {LONGEST} bytes")));
        }
        let store = streams::store(graph, mailbox, spot.store).await?;
        let store = store.ok_or_else(|| refused("the mailbox has no archive".to_owned()))?;
        Ok(Self { graph, mailbox, store, spot, stream })
    }

    /// Makes an item that can carry no mark.
    async fn anew(&self, folder: &Folder, new: &NewItem<'_>) -> Result<Created, ExchangeError> {
        let sought = likeness(new.item);
        let mut known = vec![new.item.id.clone()];
        if let (Looked::NotYet, Some(sought)) = (new.looked, &sought) {
            for item in streams::listed(self.graph, self.mailbox, folder).await? {
                match is_copy(sought, &item) {
                    Some(true) if item.id != new.item.id => {
                        return Ok(Created { id: item.id, lost: Vec::new(), doubtful: false });
                    }
                    Some(_) => known.push(item.id),
                    None => {}
                }
            }
        }
        let mut patience = Patience::default();
        let mut doubtful = false;
        let id = loop {
            let error = match self.send(None).await? {
                Sent::Made(id, _) => break self.lasting(&id).await?,
                Sent::Unknown(error) => error,
            };
            // What could not be told from others is not made once more.
            let Some(sought) = &sought else { return Err(error) };
            let Some(wait) = patience.fault(MAX_FAULTS) else { return Err(error) };
            self.graph.counters().add_retried();
            tokio::time::sleep(wait).await;
            let there = streams::listed(self.graph, self.mailbox, folder).await?;
            let made = |item: &Item| is_copy(sought, item).is_some() && !known.contains(&item.id);
            if let Some(made) = there.into_iter().find(made) {
                break made.id;
            }
            doubtful = true;
        };
        if let (true, Some(likeness)) = (doubtful, sought) {
            let mark = new.origin.mark.text();
            self.graph.streams().imports.doubts().insert(mark, Doubt { likeness, known });
        }
        Ok(Created { id, lost: Vec::new(), doubtful })
    }

    /// Writes over an item. The same again changes nothing more.
    async fn over(
        &self,
        old: &ItemId,
        folder: &Folder,
        new: &NewItem<'_>,
    ) -> Result<Created, ExchangeError> {
        let mut patience = Patience::default();
        loop {
            let Some(told) = self.told(Store::of(old).1).await? else {
                // Its owner was faster, or moved it.
                return self.anew(folder, new).await;
            };
            let key = told.change_key.unwrap_or_default();
            let error = match self.send(Some((&told.id, &key))).await {
                Ok(Sent::Made(..)) => {
                    return Ok(Created { id: old.clone(), lost: Vec::new(), doubtful: false });
                }
                Ok(Sent::Unknown(error)) => error,
                // It was changed since it was looked at.
                Err(error @ ExchangeError::Answer { status: 409 | 412, .. }) => error,
                Err(error) => return Err(error),
            };
            let Some(wait) = patience.fault(MAX_FAULTS) else { return Err(error) };
            self.graph.counters().add_retried();
            tokio::time::sleep(wait).await;
        }
    }

    /// The lasting identifier of what was made.
    async fn lasting(&self, id: &str) -> Result<ItemId, ExchangeError> {
        let told = self.told(id).await?;
        Ok(self.spot.store.item(told.map_or_else(|| id.to_owned(), |told| told.id)))
    }

    async fn told(&self, id: &str) -> Result<Option<streams::Told>, ExchangeError> {
        let path = [
            "admin",
            "exchange",
            "mailboxes",
            &self.store,
            "folders",
            self.spot.folder,
            "items",
            id,
        ];
        let ask = Ask {
            action: format!("{}: looking for what was imported", self.mailbox.address),
            right: streams::ITEMS_READ,
            mailbox: Some(self.mailbox),
            url: self.graph.url(&path, &[]),
            prefer: None,
        };
        match self.graph.json(&ask).await {
            Ok(told) => Ok(Some(told)),
            Err(error) if is_foreign_id(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sends the stream until it is sure what became of it, or there is doubt. `over` is what it is
    /// written over, and the change key of that.
    pub(super) async fn send(&self, over: Option<(&str, &str)>) -> Result<Sent, ExchangeError> {
        let mut body = json!({
            "FolderId": self.spot.folder,
            "Mode": if over.is_some() { "update" } else { "create" },
            "Data": BASE64.encode(self.stream),
        });
        if let Some((id, key)) = over {
            body["ItemId"] = json!(id);
            body["ChangeKey"] = json!(key);
        }
        let body = super::serialized(&body);
        let mut patience = Patience::default();
        loop {
            let address = self.session().await?;
            let response = match self.graph.send_item(self.mailbox, &address, body.clone()).await {
                Ok(response) => response,
                Err(Unsent::Unknown(reason)) => return Ok(Sent::Unknown(self.broken(reason))),
                Err(Unsent::NotTried(reason)) => {
                    self.wait(patience.fault(MAX_FAULTS), || self.broken(reason)).await?;
                    continue;
                }
            };
            let status = response.status().as_u16();
            match status {
                200..=299 => return Ok(self.made(response).await),
                // The session is over, by itself or because somebody ended it. Nothing was made.
                401 | 403 | 410 => {
                    self.graph.streams().imports.sessions().remove(&self.store);
                    let wait = patience.fault(MAX_FAULTS);
                    self.wait(wait, || self.refused(status, "SessionRefused".into())).await?;
                }
                429 => {
                    self.graph.counters().add_throttled();
                    // The gate is closed for as long as was asked for.
                    self.wait(patience.throttled(None), || self.refused(429, "TooMany".into()))
                        .await?;
                }
                408 | 500..=599 => {
                    return Ok(Sent::Unknown(self.broken(format!("it was answered {status}"))));
                }
                _ => {
                    let answer = read_all(response).await.unwrap_or_default();
                    return Err(self.refused(status, code(&answer)));
                }
            }
        }
    }

    async fn wait(
        &self,
        wait: Option<std::time::Duration>,
        error: impl FnOnce() -> ExchangeError,
    ) -> Result<(), ExchangeError> {
        let Some(wait) = wait else { return Err(error()) };
        self.graph.counters().add_retried();
        tokio::time::sleep(wait).await;
        Ok(())
    }

    async fn made(&self, response: Response) -> Sent {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Made {
            item_id: String,
        }
        let date = response.headers().get(header::DATE).and_then(|date| date.to_str().ok());
        let date = date.and_then(|date| OffsetDateTime::parse(date, &Rfc2822).ok());
        let answer = match read_all(response).await {
            Ok(answer) => answer,
            Err(reason) => return Sent::Unknown(self.broken(reason)),
        };
        match serde_json::from_slice::<Made>(&answer) {
            Ok(made) if !made.item_id.is_empty() => Sent::Made(made.item_id, date),
            _ => Sent::Unknown(self.broken("the answer names no item")),
        }
    }

    /// The address of a session that has not expired.
    async fn session(&self) -> Result<Secret, ExchangeError> {
        let sessions = || self.graph.streams().imports.sessions();
        let now = OffsetDateTime::now_utc();
        if let Some(session) = sessions().get(&self.store).filter(|session| session.until > now) {
            return Ok(session.address.clone());
        }
        let path = ["admin", "exchange", "mailboxes", &self.store, "createImportSession"];
        let ask = Ask {
            action: format!("{}: asking for an import session", self.mailbox.address),
            right: IMPORT,
            mailbox: Some(self.mailbox),
            url: self.graph.url(&path, &[]),
            prefer: None,
        };
        // A session that nobody uses comes to nothing: asking for another does no harm.
        let answer = self.graph.change(&ask, Method::POST, None).await?;
        let session = parse_session(&answer, now).ok_or_else(|| {
            ExchangeError::protocol(&ask.action, "there is no session in the answer")
        })?;
        let address = session.address.clone();
        sessions().insert(self.store.clone(), session);
        Ok(address)
    }

    fn broken(&self, reason: impl std::fmt::Display) -> ExchangeError {
        ExchangeError::protocol(action(self.mailbox), reason)
    }

    /// Without its words, which may repeat the address.
    fn refused(&self, status: u16, code: String) -> ExchangeError {
        let message = "the import was refused".to_owned();
        ExchangeError::Answer { action: action(self.mailbox), status, code, message }
    }
}

/// Reads the answer to `createImportSession`.
fn parse_session(answer: &[u8], now: OffsetDateTime) -> Option<Session> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Told {
        import_url: String,
        expiration_date_time: Option<String>,
    }
    let told: Told = serde_json::from_slice(answer).ok()?;
    let until = told.expiration_date_time.as_deref();
    let until = until.and_then(|until| OffsetDateTime::parse(until, &Rfc3339).ok());
    // Without a time, one is asked for each time.
    let until = until.and_then(|until| until.checked_sub(MARGIN)).unwrap_or(now);
    Some(Session { address: Secret::new(told.import_url), until })
}

/// The code of an error, as far as it is one.
fn code(answer: &[u8]) -> String {
    let told: Value = serde_json::from_slice(answer).unwrap_or_default();
    let code = told["error"]["code"].as_str().unwrap_or_default();
    code.chars().take(80).filter(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
}

fn action(mailbox: &Mailbox) -> String {
    format!("{}: restoring an item from its stream", mailbox.address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expired_session_is_not_used_and_its_address_is_not_printed() {
        let now = time::macros::datetime!(2026-11-24 10:00 UTC);
        let told = |until: &str| {
            let told =
                json!({"importUrl": "https://x/?authtoken=s3cret", "expirationDateTime": until});
            parse_session(told.to_string().as_bytes(), now).unwrap()
        };
        assert!(told("2026-11-24T11:00:00.1234567Z").until > now);
        assert!(told("2026-11-24T10:01:00Z").until <= now);
        assert!(told("some day").until <= now);
        assert_eq!(format!("{:?}", told("x").address), "[redacted]");
        assert!(parse_session(b"{}", now).is_none());
    }

    #[test]
    fn an_error_repeats_no_more_than_a_code() {
        let told =
            json!({"error": {"code": "ErrorCorruptData?authtoken=x", "message": "authtoken"}});
        assert_eq!(code(told.to_string().as_bytes()), "ErrorCorruptDataauthtokenx");
        assert_eq!(code(b"<html>"), "");
    }
}
