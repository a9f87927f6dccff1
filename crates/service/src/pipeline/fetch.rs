//! One read, three uses: brings an item's content in, through the spool, and has a message inspected
//! on the way.

use std::sync::Arc;

use mailkeep_exchange::{Content, Details, ExchangeError, Provider};
use mailkeep_inspect::{Context, MaskKey, Report, inspect_prefix};
use mailkeep_model::{Detail, Item, ItemKind, Mailbox};
use mailkeep_vault::{icalendar, vcard};
use time::OffsetDateTime;
use tokio::sync::Semaphore;

use crate::{
    ServiceError,
    spool::{Spool, SpoolWriter, Spooled},
};

/// Tries of one content whose answer breaks off.
const TRIES: u32 = 3;
/// How much of a message is inspected. What lies behind is stored, and the verdict says that it
/// was not looked at.
pub(crate) const INSPECTED_BYTES: usize = 16 << 20;
/// Up to this size a message is inspected as it comes; larger ones take turns, because parsing
/// one holds a multiple of its size.
const SMALL: usize = 256 << 10;
/// Larger messages in memory at the same time.
const LARGE_AT_ONCE: usize = 2;
/// Below this size inspection is so short that it needs no thread of its own.
const INLINE: usize = 64 << 10;

/// Fetches contents of one tenant.
#[derive(Clone)]
pub(crate) struct Fetcher<P> {
    provider: P,
    spool: Spool,
    inspection: Arc<Inspection>,
}

struct Inspection {
    own_domains: Vec<String>,
    mask_key: MaskKey,
    large: Semaphore,
}

/// A content that arrived whole.
pub(crate) struct Fetched {
    pub(crate) content: Arc<Spooled>,
    /// All of an event or a contact, in the state that the content was made from.
    pub(crate) item: Option<Item>,
    /// What the inspection of a message came to.
    pub(crate) report: Option<Report>,
}

impl<P: Provider> Fetcher<P> {
    pub(crate) fn new(
        provider: P,
        spool: Spool,
        own_domains: Vec<String>,
        mask_key: MaskKey,
    ) -> Self {
        let large = Semaphore::new(LARGE_AT_ONCE);
        let inspection = Arc::new(Inspection { own_domains, mask_key, large });
        Self { provider, spool, inspection }
    }

    pub(crate) async fn fetch(
        &self,
        mailbox: &Mailbox,
        item: &Item,
    ) -> Result<Fetched, ServiceError> {
        if item.kind != ItemKind::Message {
            return self.described(mailbox, item).await;
        }
        let mut tries = 1;
        loop {
            // Room first: a request that waits for room would hold a place at the provider.
            let spooled = self.spool.begin().await;
            // What fails before the answer begins has been tried again and again already.
            let content = self.provider.content(mailbox, &item.id).await?;
            match self.message(spooled, content).await {
                Err(ServiceError::Exchange(ExchangeError::Protocol { .. })) if tries < TRIES => {
                    tries += 1;
                }
                done => return done,
            }
        }
    }

    /// An event or a contact: what the provider tells, written as iCalendar or vCard.
    async fn described(&self, mailbox: &Mailbox, item: &Item) -> Result<Fetched, ServiceError> {
        let mut spooled = self.spool.begin().await;
        // In memory whole, and what is made of it once more: `room` bounds how many at a time.
        let Details { item, attachments, room } = self.provider.details(mailbox, item).await?;
        let (item, bytes) = tokio::task::spawn_blocking(move || {
            let bytes = match &item.detail {
                Some(Detail::Event(event)) => icalendar(event, &attachments),
                Some(Detail::Contact(contact)) => vcard(contact, attachments.first()),
                Some(Detail::Task(_) | Detail::Setting(_)) | None => Vec::new(),
            };
            (item, bytes)
        })
        .await
        .map_err(|_| ServiceError::Stopped)?;
        spooled.write(&bytes).map_err(ServiceError::Spool)?;
        drop((bytes, room));
        let content = Arc::new(spooled.finish().map_err(ServiceError::Spool)?);
        Ok(Fetched { content, item: Some(item), report: None })
    }

    async fn message(
        &self,
        mut spooled: SpoolWriter,
        mut content: Content,
    ) -> Result<Fetched, ServiceError> {
        let mut turn = None;
        let mut head = Vec::new();
        while let Some(chunk) = content.chunk().await? {
            spooled.write(&chunk).map_err(ServiceError::Spool)?;
            let wanted = chunk.len().min(INSPECTED_BYTES - head.len());
            if head.len() + wanted > SMALL && turn.is_none() {
                let large = self.inspection.large.acquire().await;
                turn = Some(large.expect("the semaphore is never closed"));
            }
            head.extend_from_slice(&chunk[..wanted]);
        }
        drop(content);
        let content = Arc::new(spooled.finish().map_err(ServiceError::Spool)?);
        let whole = content.bytes();
        let inspection = Arc::clone(&self.inspection);
        let inspect = move || inspection.inspect(&head, whole);
        let report = if whole <= INLINE as u64 {
            inspect()
        } else {
            tokio::task::spawn_blocking(inspect).await.map_err(|_| ServiceError::Stopped)?
        };
        drop(turn);
        Ok(Fetched { content, item: None, report: Some(report) })
    }
}

impl Inspection {
    fn inspect(&self, head: &[u8], whole: u64) -> Report {
        let context = Context::new(OffsetDateTime::now_utc(), &self.own_domains, &self.mask_key);
        inspect_prefix(head, whole, &context)
    }
}
