//! Brings in what is new, and hands it on in parts.

use futures::{StreamExt, stream};
use mailkeep_control::{CanarySeen, InspectedItem};
use mailkeep_exchange::{ExchangeError, Provider};
use mailkeep_inspect::{Report, RuleRead};
use mailkeep_model::{Detail, Item, ItemKind, SettingKind, Verdict};
use time::OffsetDateTime;

use super::{
    habits::{Says, Sending},
    mailbox::{CONTENTS_AT_ONCE, MailboxReader, Reading, Seen, is_local, lock},
    remedied::parts_of,
    staged::{Because, Counts, Delivery, Missed, Staged, meta_key},
};
use crate::{
    Event, ServiceError,
    canary::mark_digest,
    protect::{Decided, decided},
};

/// A page is handed on in parts of at most this much content: what is not handed on yet holds room
/// in the spool that only the writer can free.
const PART_ITEMS: usize = 100;

/// Contents of one page that are asked for at the same time when streams are: as many as a provider
/// may put into one answer (Graph: `exportItems`). How many arrive in all of a pass, the spool says.
const STREAMS_AT_ONCE: usize = 20;

/// What to do with an item of which the catalog knows the very same state.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// Nothing.
    Skip,
    /// Fetch and store it again: its last attempt failed, perhaps because the vault's copy is
    /// damaged.
    Refetch,
}

impl<P: Provider> MailboxReader<'_, P> {
    /// Fetches what is new among `items`, inspects it, and puts what has to be stored into the
    /// delivery.
    pub(super) async fn stage(
        &self,
        delivery: &mut Delivery,
        items: Vec<Item>,
        known: Known,
    ) -> Result<(), ServiceError> {
        let Reading { provider, control, tenant, .. } = self.reading;
        let ids: Vec<_> = items.iter().map(|item| item.id.clone()).collect();
        let catalog = control.items(tenant, &self.mailbox.id, &ids).await?;
        self.note_copies(items.iter().filter(|item| !catalog.contains_key(&item.id))).await?;
        let mut to_fetch = Vec::new();
        for item in items {
            let stored = catalog.get(&item.id);
            let seen = lock(&self.seen).get(&item.id).cloned();
            let content_key = match &seen {
                Some(seen) => Some(&seen.content_key),
                None => stored.map(|stored| &stored.content_key),
            };
            let in_place = match &seen {
                Some(seen) => seen.folder == item.folder,
                None => stored.is_some_and(|stored| stored.folder == item.folder),
            };
            // What is told of an event in passing is less than the vault has of it: where
            // anything changed, all of it is read.
            let is_message = item.kind == ItemKind::Message;
            if content_key != Some(&item.content_key)
                || known == Known::Refetch
                || !(is_message || in_place)
            {
                to_fetch.push(item);
                continue;
            }
            let unchanged = !is_message
                || (seen.is_none()
                    && in_place
                    && stored.is_some_and(|stored| stored.meta_key == meta_key(&item)));
            self.saw(&item);
            if !unchanged {
                let traffic = Counts::Yes;
                let says = Says::Nothing;
                delivery.staged.push(Staged { item, content: None, traffic, says });
            }
        }

        let streams = self.reading.fetcher.streams().is_some();
        let at_once = if streams { STREAMS_AT_ONCE } else { CONTENTS_AT_ONCE };
        let mut fetched = stream::iter(to_fetch)
            .map(|item| async {
                // What is known already was learned when it was new.
                let is_new = !catalog.contains_key(&item.id);
                let sending = Sending::of(&item, &self.folders, &self.habits).filter(|_| is_new);
                let outcome = self.reading.fetcher.fetch(self.mailbox, &item, sending).await;
                (item, outcome)
            })
            .buffer_unordered(at_once);
        let (mut inspected, mut parts) = (Vec::new(), Vec::new());
        let mut decided_on = Vec::new();
        let mut bytes_held = 0;
        while let Some((item, outcome)) = fetched.next().await {
            match outcome {
                Ok(fetched) => {
                    let (mailbox, bytes) = (self.mailbox.address.clone(), fetched.contents.bytes());
                    self.reading.observer.on_event(&Event::Fetched { mailbox, bytes });
                    if let Some(error) = fetched.no_streams {
                        self.cannot_read(error);
                    }
                    let item = fetched.item.unwrap_or(item);
                    let mut traffic = Counts::Yes;
                    let mut says = Says::Nothing;
                    if let Some((rule, verdict)) = self.rule(&item) {
                        says = Says::Rule(rule);
                        inspected.push(InspectedItem {
                            item: item.id.clone(),
                            content_key: item.content_key.clone(),
                            message_id: None,
                            verdict,
                        });
                    }
                    if let Some(mut report) = fetched.report {
                        if self.recognise(&item, &report).await? {
                            traffic = Counts::No;
                        } else {
                            if let Some(sent) = report.sent.take() {
                                says = Says::Sent(Box::new(sent));
                            }
                            if let Some(decision) = fetched.decision {
                                let sender = report.sender.as_deref();
                                decided_on.extend(decided(&item, sender, &decision));
                            }
                        }
                        parts.extend(parts_of(&item, &report));
                        inspected.push(InspectedItem {
                            item: item.id.clone(),
                            content_key: item.content_key.clone(),
                            message_id: report.message_id.or(item.internet_message_id.clone()),
                            verdict: report.verdict,
                        });
                    }
                    self.saw(&item);
                    if let Some(error) = fetched.stream_missed {
                        // Its content is safe; the next pass reads both once more.
                        let error = format!("it is kept without its stream: {error}");
                        delivery.missed.push(self.failed_because(item.clone(), &error));
                    }
                    let content = Some(fetched.contents);
                    delivery.staged.push(Staged { item, content, traffic, says });
                    bytes_held += bytes;
                    if bytes_held >= self.reading.limits.part_bytes
                        || delivery.staged.len() >= PART_ITEMS
                    {
                        bytes_held = 0;
                        self.note_parts(&std::mem::take(&mut parts)).await?;
                        let decided_on = std::mem::take(&mut decided_on);
                        self.record(std::mem::take(&mut inspected), decided_on).await?;
                        let part = std::mem::replace(delivery, self.delivery());
                        self.deliver(part).await?;
                    }
                }
                Err(ServiceError::Exchange(error @ ExchangeError::NotFound { .. })) => {
                    // Deleted on its way, or it is there all the same.
                    match provider.item(self.mailbox, item.kind, &item.id).await {
                        Ok(None) => delivery.missed.push(vanished(item)),
                        Ok(Some(_)) => delivery.missed.push(self.failed(item, &error)),
                        Err(error) if is_local(&error) => {
                            delivery.missed.push(self.failed(item, &error));
                        }
                        Err(error) => return Err(error.into()),
                    }
                }
                // Where its folder could be read, a refusal is about this one item, too.
                Err(ServiceError::Exchange(error)) if is_local(&error) => {
                    delivery.missed.push(self.failed(item, &error));
                }
                Err(error) => return Err(error),
            }
        }
        // Whoever carries an order out looks for what was noted.
        self.note_parts(&parts).await?;
        self.record(inspected, decided_on).await
    }

    /// Takes an item for the canary that it claims to be, if it is one of ours. It is treated as any other
    /// item all the same, but that nobody counts it as a person's.
    async fn recognise(&self, item: &Item, report: &Report) -> Result<bool, ServiceError> {
        let Some(read) = report.canary.as_ref().filter(|_| !item.draft) else { return Ok(false) };
        let Reading { control, tenant, .. } = self.reading;
        let seen = CanarySeen {
            mailbox: self.mailbox.id.clone(),
            item: item.id.clone(),
            inspected: read.legible && report.verdict.not_inspected.is_empty(),
            at: OffsetDateTime::now_utc(),
        };
        let (digest, to) = (mark_digest(&read.mark), &self.mailbox.address);
        let from = item.from.as_deref().unwrap_or_default();
        let is_ours = control.recognise_canary(tenant, &digest, from, to, seen).await?;
        if !is_ours {
            let (mailbox, item) = (to, &item.id.0);
            tracing::warn!(%mailbox, item, "a message claims to be a canary, and is none of ours");
        }
        Ok(is_ours)
    }

    /// What is to be said of an inbox rule.
    fn rule(&self, item: &Item) -> Option<(RuleRead, Verdict)> {
        let Some(Detail::Setting(setting)) = &item.detail else { return None };
        if setting.kind != SettingKind::InboxRule {
            return None;
        }
        let to = setting.value["actions"]["moveToFolder"].as_str();
        let folder = to.and_then(|to| self.folders.iter().find(|folder| folder.id.0 == to));
        let folder = folder.map(|folder| folder.name.as_str());
        let (verdict, read) = self.reading.fetcher.inspect_rule(&setting.value, folder);
        lock(&self.habits).see_rule(&read, OffsetDateTime::now_utc());
        Some((read, verdict))
    }

    fn saw(&self, item: &Item) {
        let seen = Seen { content_key: item.content_key.clone(), folder: item.folder.clone() };
        lock(&self.seen).insert(item.id.clone(), seen);
    }

    /// Records verdicts and what follows from them. What does is ordered by who tends decisions: from
    /// here on no crash forgets it.
    async fn record(
        &self,
        inspected: Vec<InspectedItem>,
        decided_on: Vec<Decided>,
    ) -> Result<(), ServiceError> {
        if inspected.is_empty() {
            return Ok(());
        }
        let Reading { control, tenant, acting, .. } = self.reading;
        let now = OffsetDateTime::now_utc();
        control.record_verdicts(tenant, &self.mailbox.id, inspected, now).await?;
        acting.record(control, tenant, &self.mailbox.id, decided_on, now).await
    }
}

/// What was named and then not found.
fn vanished(item: Item) -> Missed {
    Missed {
        item: item.id,
        kind: item.kind,
        folder: Some(item.folder),
        error: "it was named, and then not found; it is looked for once more".to_owned(),
        because: Because::Vanished,
    }
}
