//! What a theft reached: which messages for certain, and of which times that can be said at all.

use std::collections::{BTreeMap, BTreeSet};

use mailkeep_model::{AccessedMessage, Breadth, MailAccess};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{
    Reconciliation, Records, Settings, Span, Spans,
    accesses::Accessor,
    tokens::{TokenReach, tokens},
};

/// What is known of a stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The log shows that somebody else read mail.
    Accessed,
    /// Nobody else did: the log is complete and shows nothing, or nobody else had a token.
    NotAccessed,
    /// Nobody can tell.
    Blind,
}

/// A stretch of time, and what is known of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stretch {
    /// When.
    #[serde(flatten)]
    pub span: Span,
    /// What is known.
    pub state: State,
}

/// What was reached in one mailbox.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailboxReach {
    /// The messages that were read, each once.
    pub messages: BTreeSet<AccessedMessage>,
    /// Folders that were read as a whole.
    pub folders: BTreeSet<String>,
    /// Records that say so.
    pub records: u64,
    /// Reads that nobody can be named for.
    pub unattributed: u64,
    /// Every moment of the time that the report is about.
    pub timeline: Vec<Stretch>,
}

/// What a theft reached in one tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlastRadius {
    /// The time that this is about.
    pub span: Span,
    /// Tokens in the hands of somebody else, the oldest first.
    pub tokens: Vec<TokenReach>,
    /// What was reached, by the mailbox's address.
    pub mailboxes: BTreeMap<String, MailboxReach>,
    /// When the last of the tokens has ended at the latest; `None` when there is none.
    #[serde(with = "time::serde::rfc3339::option")]
    pub live_until: Option<OffsetDateTime>,
    /// The same when none of them is under continuous access evaluation, as far as that can be. What is
    /// known to be is not in it.
    #[serde(with = "time::serde::rfc3339::option")]
    pub live_until_without_cae: Option<OffsetDateTime>,
}

/// What was reached in `mailboxes` (addresses, lower case), and in others that the log names.
pub fn blast_radius(
    records: &Records,
    found: &Reconciliation,
    mailboxes: &[String],
    settings: &Settings,
    span: Span,
) -> BlastRadius {
    let tokens = tokens(records, found, settings, span);
    let requests = foreign_requests(records, found, settings);
    let strangers = in_unknown_mailboxes(records, found, mailboxes);
    let mut reached: BTreeMap<String, Reached<'_>> =
        mailboxes.iter().map(|mailbox| (mailbox.clone(), Reached::default())).collect();
    for (access, accessor) in records.accesses.iter().zip(&found.accesses) {
        if !is_open(accessor) || !span.contains(access.at) {
            continue;
        }
        reached.entry(access.mailbox.clone()).or_default().add(access, accessor);
    }
    let nothing = Spans::default();
    let by_requests = found.seen.calls.without(&requests);
    let mailboxes = reached
        .into_iter()
        .map(|(mailbox, reached)| {
            let seen = found.seen.mail.get(&mailbox).unwrap_or(&nothing).union(&by_requests);
            (mailbox, reached.finish(&seen.without(&strangers), span))
        })
        .collect();
    let live_until = tokens.iter().map(|token| token.ends).max();
    let live_until_without_cae = tokens.iter().filter_map(|token| token.ends_without_cae).max();
    BlastRadius { span, tokens, mailboxes, live_until, live_until_without_cae }
}

impl MailboxReach {
    /// Whether the log shows that somebody else read mail in it.
    pub fn is_reached(&self) -> bool {
        self.records > 0
    }
}

/// What is gathered of one mailbox.
#[derive(Default)]
struct Reached<'a> {
    reach: MailboxReach,
    accessed: Vec<&'a MailAccess>,
    unattributed: Vec<&'a MailAccess>,
}

impl<'a> Reached<'a> {
    fn add(&mut self, access: &'a MailAccess, accessor: &Accessor) {
        let Accessor::Foreign { messages, .. } = accessor else {
            self.reach.unattributed += 1;
            self.unattributed.push(access);
            return;
        };
        self.reach.records += 1;
        self.accessed.push(access);
        let his = messages.iter().filter_map(|number| access.messages.get(*number)).cloned();
        match access.breadth {
            Breadth::Messages => self.reach.messages.extend(his),
            Breadth::Folders => self.reach.folders.extend(his.filter_map(|one| one.folder)),
        }
    }

    fn finish(mut self, seen: &Spans, whole: Span) -> MailboxReach {
        let spans = |accesses: &[&MailAccess]| -> Spans {
            let span = |access: &&MailAccess| Span {
                from: access.at,
                to: access.at + MailAccess::AGGREGATED,
            };
            accesses.iter().map(span).filter_map(|span| span.intersection(&whole)).collect()
        };
        let accessed = spans(&self.accessed);
        let quiet = seen.without(&spans(&self.unattributed));
        self.reach.timeline = timeline(&accessed, &quiet, whole);
        self.reach
    }
}

/// When somebody else made requests, or nobody can be named for one. Which mailbox they were about is told
/// in the provider's words, so that it is held against all.
fn foreign_requests(records: &Records, found: &Reconciliation, settings: &Settings) -> Spans {
    let not_ours = records.calls.iter().zip(&found.calls).filter(|(_, accessor)| is_open(accessor));
    let around = |at: OffsetDateTime| Span { from: at - settings.skew, to: at + settings.skew };
    not_ours.map(|(call, _)| around(call.at)).collect()
}

/// When somebody else, or nobody knows who, read mail of a mailbox by a name that is none of ours: it may
/// be any.
fn in_unknown_mailboxes(records: &Records, found: &Reconciliation, mailboxes: &[String]) -> Spans {
    let open = records.accesses.iter().zip(&found.accesses).filter(|(access, accessor)| {
        is_open(accessor) && !mailboxes.iter().any(|own| own.eq_ignore_ascii_case(&access.mailbox))
    });
    let span =
        |access: &MailAccess| Span { from: access.at, to: access.at + MailAccess::AGGREGATED };
    open.map(|(access, _)| span(access)).collect()
}

fn is_open(accessor: &Accessor) -> bool {
    matches!(accessor, Accessor::Foreign { .. } | Accessor::Unattributed)
}

/// Every moment of `whole`; what was accessed is so whatever else is known.
fn timeline(accessed: &Spans, quiet: &Spans, whole: Span) -> Vec<Stretch> {
    let long = |span: &&Span| span.from < span.to;
    let quiet: Spans =
        quiet.as_slice().iter().filter_map(|span| span.intersection(&whole)).collect();
    // A moment between two others of which nothing is known tells nobody anything.
    let quiet: Spans = quiet.without(accessed).as_slice().iter().filter(long).copied().collect();
    let blind = accessed.union(&quiet).gaps_in(whole);
    let of = |spans: &Spans, state| -> Vec<Stretch> {
        spans.as_slice().iter().map(|span| Stretch { span: *span, state }).collect()
    };
    let mut all = of(accessed, State::Accessed);
    all.extend(of(&quiet, State::NotAccessed));
    all.extend(of(&blind, State::Blind));
    all.sort_by_key(|stretch| (stretch.span.from, stretch.span.to));
    all
}
