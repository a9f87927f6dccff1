//! One read, three uses: brings a message's content in, through the spool, and has it inspected on
//! the way.

use std::sync::Arc;

use mailkeep_exchange::{Content, ExchangeError, Provider};
use mailkeep_inspect::{Context, MaskKey, Report, inspect_prefix};
use mailkeep_model::{Item, Mailbox, Verdict};
use time::OffsetDateTime;
use tokio::sync::Semaphore;

use crate::{
    ServiceError,
    spool::{Spool, Spooled},
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
    pub(crate) message_id: Option<String>,
    pub(crate) verdict: Verdict,
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
        let mut tries = 1;
        loop {
            match self.fetch_once(mailbox, item).await {
                Err(ServiceError::Exchange(ExchangeError::Protocol { .. })) if tries < TRIES => {
                    tries += 1;
                }
                done => return done,
            }
        }
    }

    async fn fetch_once(&self, mailbox: &Mailbox, item: &Item) -> Result<Fetched, ServiceError> {
        // Room first: a request that waits for room would hold a place at the provider.
        let mut spooled = self.spool.begin().await;
        let mut content: Content = self.provider.content(mailbox, &item.id).await?;
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
        Ok(Fetched { content, message_id: report.message_id, verdict: report.verdict })
    }
}

impl Inspection {
    fn inspect(&self, head: &[u8], whole: u64) -> Report {
        let context = Context::new(OffsetDateTime::now_utc(), &self.own_domains, &self.mask_key);
        inspect_prefix(head, whole, &context)
    }
}
