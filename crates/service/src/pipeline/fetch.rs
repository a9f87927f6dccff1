//! One read, three uses: brings an item's content in, through the spool, and has a message inspected
//! on the way.

use std::{
    collections::HashSet,
    io::{self, BufWriter, Write},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use mailkeep_exchange::{Content, Details, ExchangeError, Provider};
use mailkeep_inspect::{MaskKey, Report, RuleRead, Sender, policy::Decision};
use mailkeep_model::{Detail, Item, ItemKind, Mailbox, MailboxId, TenantName, Verdict};
use mailkeep_vault::{setting_json, vcard, write_icalendar, write_todo};
use serde_json::Value;
use tokio::sync::Semaphore;

use super::{
    habits::Sending,
    mailbox::{is_local, lock},
    staged::Contents,
};
use crate::{
    ServiceError,
    protect::{For, Protection},
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
    streams: Option<Arc<Streams>>,
}

/// Whether streams are kept beside contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beside {
    /// Nothing is.
    Nothing,
    /// The provider's stream, where it gives one out.
    Stream,
}

/// How far the streams beside contents are.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    /// Mailboxes of which the provider gives out none: nothing more is asked.
    refused: Mutex<HashSet<MailboxId>>,
    kept: AtomicU64,
    missing: AtomicU64,
}

/// What messages of a tenant are inspected with.
pub(crate) struct Inspecting {
    /// Whose.
    pub(crate) tenant: TenantName,
    /// Its domains.
    pub(crate) own_domains: Vec<String>,
    /// The key that masks evidence.
    pub(crate) mask_key: MaskKey,
    /// What comes from files, as it is when a message arrives.
    pub(crate) protection: Arc<Protection>,
}

/// Who a message is from and to, as the provider knows it.
struct Letter {
    from: Option<String>,
    to: Vec<String>,
}

impl Letter {
    fn of(item: &Item, mailbox: &Mailbox) -> Self {
        let mut to = item.recipients.clone();
        let owner = mailbox.address.to_string();
        // Whoever has it got it, as a blind copy or by a list; or sent it.
        if !item.from.as_ref().is_some_and(|from| from.eq_ignore_ascii_case(&owner)) {
            to.push(owner);
        }
        Self { from: item.from.clone(), to }
    }
}

struct Inspection {
    with: Inspecting,
    large: Semaphore,
}

/// A content that arrived whole.
pub(crate) struct Fetched {
    pub(crate) contents: Contents,
    /// All of what is no message, in the state that the content was made from.
    pub(crate) item: Option<Item>,
    /// What the inspection of a message came to.
    pub(crate) report: Option<Report>,
    /// What the policy says of it; `None` without a policy.
    pub(crate) decision: Option<Decision>,
    /// Why the provider gives out no streams of this mailbox; told once.
    pub(crate) no_streams: Option<ExchangeError>,
    /// Why the stream that belongs here did not come, where it may come another time.
    pub(crate) stream_missed: Option<ExchangeError>,
}

impl Fetched {
    fn new(content: Arc<Spooled>, item: Option<Item>, report: Option<Report>) -> Self {
        let contents = Contents { content, stream: None };
        Self { contents, item, report, decision: None, no_streams: None, stream_missed: None }
    }
}

impl<P: Provider> Fetcher<P> {
    pub(crate) fn new(provider: P, spool: Spool, with: Inspecting, beside: Beside) -> Self {
        let large = Semaphore::new(LARGE_AT_ONCE);
        let inspection = Arc::new(Inspection { with, large });
        let streams = (beside == Beside::Stream).then(Arc::default);
        Self { provider, spool, inspection, streams }
    }

    /// How far the streams are, when there are any.
    pub(crate) fn streams(&self) -> Option<Arc<Streams>> {
        self.streams.clone()
    }

    pub(crate) async fn fetch(
        &self,
        mailbox: &Mailbox,
        item: &Item,
        sending: Option<Sending>,
    ) -> Result<Fetched, ServiceError> {
        let _place = self.spool.place().await;
        let mut fetched = match item.kind {
            ItemKind::Message => self.read_message(mailbox, item, sending).await?,
            ItemKind::Opaque => return self.opaque(mailbox, item).await,
            _ => self.described(mailbox, item).await?,
        };
        if let (Some(streams), ItemKind::Message | ItemKind::Event | ItemKind::Contact) =
            (&self.streams, item.kind)
        {
            self.beside(streams, mailbox, item, &mut fetched).await?;
        }
        Ok(fetched)
    }

    /// Inspects an inbox rule; `folder` is the name of the folder that it moves mail to.
    pub(super) fn inspect_rule(&self, rule: &Value, folder: Option<&str>) -> (Verdict, RuleRead) {
        self.inspection.rule(rule, folder)
    }

    /// Fetches the stream that belongs to what was fetched. Without it, the item is safe all the
    /// same.
    async fn beside(
        &self,
        streams: &Streams,
        mailbox: &Mailbox,
        item: &Item,
        fetched: &mut Fetched,
    ) -> Result<(), ServiceError> {
        if streams.lock().contains(&mailbox.id) {
            streams.missing.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        match self.provider.stream(mailbox, &item.id).await {
            Ok(bytes) => {
                let mut spooled = self.spool.begin_beside();
                spooled.write_all(&bytes).map_err(ServiceError::Spool)?;
                let spooled = spooled.finish().map_err(ServiceError::Spool)?;
                fetched.contents.stream = Some(Arc::new(spooled));
                streams.kept.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) if is_local(&error) => {
                streams.missing.fetch_add(1, Ordering::Relaxed);
                tracing::info!(mailbox = %mailbox.address, item = item.id.0, %error, "no stream");
                let is_right = matches!(error, ExchangeError::Forbidden { .. });
                if error.is_transient() {
                    fetched.stream_missed = Some(error);
                } else if is_right && streams.lock().insert(mailbox.id.clone()) {
                    fetched.no_streams = Some(error);
                }
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// What the provider gives out as a stream only.
    async fn opaque(&self, mailbox: &Mailbox, item: &Item) -> Result<Fetched, ServiceError> {
        let mut spooled = self.spool.begin().await;
        let Details { item, .. } = self.provider.details(mailbox, item).await?;
        let bytes = self.provider.stream(mailbox, &item.id).await?;
        spooled.write_all(&bytes).map_err(ServiceError::Spool)?;
        drop(bytes);
        let content = Arc::new(spooled.finish().map_err(ServiceError::Spool)?);
        Ok(Fetched::new(content, Some(item), None))
    }

    async fn read_message(
        &self,
        mailbox: &Mailbox,
        item: &Item,
        sending: Option<Sending>,
    ) -> Result<Fetched, ServiceError> {
        let sending = sending.map(Arc::new);
        let mut tries = 1;
        loop {
            // Room first: a request that waits for room would hold a place at the provider.
            let spooled = self.spool.begin().await;
            // What fails before the answer begins has been tried again and again already.
            let content = self.provider.content(mailbox, &item.id).await?;
            let letter = Letter::of(item, mailbox);
            match self.message(spooled, content, letter, sending.clone()).await {
                Err(ServiceError::Exchange(ExchangeError::Protocol { .. })) if tries < TRIES => {
                    tries += 1;
                }
                done => return done,
            }
        }
    }

    /// What the provider tells of an event, a contact, a task or a setting, written as iCalendar,
    /// vCard or JSON.
    async fn described(&self, mailbox: &Mailbox, item: &Item) -> Result<Fetched, ServiceError> {
        let spooled = self.spool.begin().await;
        // Attachments are in memory whole: `room` bounds how many at a time.
        let Details { item, attachments, room } = self.provider.details(mailbox, item).await?;
        tokio::task::spawn_blocking(move || {
            let mut out = BufWriter::new(spooled);
            match &item.detail {
                Some(Detail::Event(event)) => write_icalendar(event, &attachments, &mut out),
                Some(Detail::Contact(contact)) => {
                    out.write_all(&vcard(contact, attachments.first()))
                }
                Some(Detail::Task(task)) => write_todo(&item.id, task, &attachments, &mut out),
                Some(Detail::Setting(setting)) => out.write_all(&setting_json(setting)),
                None => Ok(()),
            }?;
            drop((attachments, room));
            let spooled = out.into_inner().map_err(io::IntoInnerError::into_error)?;
            Ok(Fetched::new(Arc::new(spooled.finish()?), Some(item), None))
        })
        .await
        .map_err(|_| ServiceError::Stopped)?
        .map_err(ServiceError::Spool)
    }

    async fn message(
        &self,
        mut spooled: SpoolWriter,
        mut content: Content,
        letter: Letter,
        sending: Option<Arc<Sending>>,
    ) -> Result<Fetched, ServiceError> {
        let mut turn = None;
        let mut head = Vec::new();
        while let Some(chunk) = content.chunk().await? {
            spooled.write_all(&chunk).map_err(ServiceError::Spool)?;
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
        let waits = inspection.with.protection.of(Some(&inspection.with.tenant)).scans();
        let inspect = move || inspection.inspect(&head, whole, &letter, sending.as_deref());
        let (report, decision) = if whole <= INLINE as u64 && !waits {
            inspect()
        } else {
            tokio::task::spawn_blocking(inspect).await.map_err(|_| ServiceError::Stopped)?
        };
        drop(turn);
        Ok(Fetched { decision, ..Fetched::new(content, None, Some(report)) })
    }
}

impl Streams {
    /// How many came.
    pub(crate) fn kept(&self) -> u64 {
        self.kept.load(Ordering::Relaxed)
    }

    /// How many should have come and did not.
    pub(crate) fn missing(&self) -> u64 {
        self.missing.load(Ordering::Relaxed)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<MailboxId>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inspection {
    /// What the mailbox sent is held against its habits, and learned, one message after the other:
    /// of twenty that arrive at once the last is to know of the others. None waits for the scanners of
    /// another.
    fn inspect(
        &self,
        head: &[u8],
        whole: u64,
        letter: &Letter,
        sending: Option<&Sending>,
    ) -> (Report, Option<Decision>) {
        let own_domains = &self.with.own_domains;
        let loaded = self.with.protection.of(Some(&self.with.tenant));
        let message = loaded.scan(head, whole);
        let report = match sending {
            None => loaded.judge(message, self.context()),
            Some(Sending { habits, at, recipients }) => {
                let mut habits = lock(habits);
                let sender = Some(Sender { habits: &habits, at: *at, recipients });
                let report = loaded.judge(message, For { sender, ..self.context() });
                report.sent.iter().for_each(|sent| habits.learn(sent));
                report
            }
        };
        let decision = loaded.decide(&report, letter.from.as_deref(), &letter.to, own_domains);
        (report, decision)
    }

    fn rule(&self, rule: &Value, folder: Option<&str>) -> (Verdict, RuleRead) {
        let loaded = self.with.protection.of(Some(&self.with.tenant));
        loaded.inspect_rule(rule, folder, self.context())
    }

    fn context(&self) -> For<'_> {
        let Inspecting { own_domains, mask_key, .. } = &self.with;
        For { own_domains, mask_key, sender: None }
    }
}
