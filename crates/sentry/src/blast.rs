//! What a theft reached: which messages for certain, and of which times that can be said at all.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use mailkeep_model::{AccessedMessage, Breadth, MailAccess};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{
    Reconciliation, Records, Settings, Span, Spans, accesses::Accessor, signins::RogueToken,
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

/// A token that was not ours, or that somebody else used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenReach {
    /// Its identifier, where the log tells it.
    pub uti: Option<String>,
    /// The application that it is for.
    pub client_id: String,
    /// When it was got; `None` when no sign-in shows it.
    #[serde(with = "time::serde::rfc3339::option")]
    pub got: Option<OffsetDateTime>,
    /// Where it was got, or used, from.
    pub address: Option<IpAddr>,
    /// What it was got with.
    pub with: Option<String>,
    /// When it has ended at the latest.
    #[serde(with = "time::serde::rfc3339")]
    pub ends: OffsetDateTime,
    /// Messages read with it, as far as the log tells them one by one.
    pub messages: u64,
    /// The mailboxes that they are of.
    pub mailboxes: BTreeSet<String>,
    /// Requests made with it, as far as the log of requests has them.
    pub requests: u64,
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
}

/// What was reached in `mailboxes` (addresses, lower case), and in others that the log names.
pub fn blast_radius(
    records: &Records,
    found: &Reconciliation,
    mailboxes: &[String],
    settings: &Settings,
    span: Span,
) -> BlastRadius {
    let tokens = tokens(records, found, settings);
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
    BlastRadius { span, tokens, mailboxes, live_until }
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

/// Tokens that somebody else got, and those that were used without a sign-in that shows them.
fn tokens(records: &Records, found: &Reconciliation, settings: &Settings) -> Vec<TokenReach> {
    let mut tokens: Vec<TokenReach> = found.rogue.iter().map(got).collect();
    // Uses of a token that the log does not name are told apart by application and address.
    let mut places: HashMap<(Option<String>, String, Option<IpAddr>), usize> = HashMap::new();
    for (place, token) in tokens.iter().enumerate().filter(|(_, token)| token.uti.is_some()) {
        places.insert((token.uti.clone(), String::new(), None), place);
    }
    let mut add = |access: Use<'_>| {
        let key = match access.uti {
            Some(uti) => (Some(uti.to_owned()), String::new(), None),
            None => (None, access.client_id.to_ascii_lowercase(), access.address),
        };
        let place = *places.entry(key).or_insert_with(|| {
            tokens.push(access.unseen(settings));
            tokens.len() - 1
        });
        let token = &mut tokens[place];
        if token.got.is_none() {
            token.ends = token.ends.max(access.at + settings.longest_token);
        }
        token.messages += access.messages;
        token.requests += access.requests;
        token.mailboxes.extend(access.mailbox.map(str::to_owned));
    };
    for (access, accessor) in records.accesses.iter().zip(&found.accesses) {
        if let Accessor::Foreign { messages, .. } = accessor {
            add(Use {
                uti: access.uti.as_deref(),
                client_id: access.client_id.as_deref().unwrap_or_default(),
                at: access.at,
                address: access.address,
                mailbox: Some(&access.mailbox),
                messages: messages.len() as u64,
                requests: 0,
            });
        }
    }
    for (call, accessor) in records.calls.iter().zip(&found.calls) {
        if let Accessor::Foreign { .. } = accessor {
            add(Use {
                uti: call.uti.as_deref(),
                client_id: &call.client_id,
                at: call.at,
                address: call.address,
                mailbox: None,
                messages: 0,
                requests: 1,
            });
        }
    }
    tokens.sort_by_key(|token| (token.got, token.ends));
    tokens
}

fn got(token: &RogueToken) -> TokenReach {
    TokenReach {
        uti: token.uti.clone(),
        client_id: token.client_id.clone(),
        got: Some(token.at),
        address: token.address,
        with: Some(token.with.clone()),
        ends: token.ends,
        messages: 0,
        mailboxes: BTreeSet::new(),
        requests: 0,
    }
}

/// One record of the use of a token.
struct Use<'a> {
    uti: Option<&'a str>,
    client_id: &'a str,
    at: OffsetDateTime,
    address: Option<IpAddr>,
    mailbox: Option<&'a str>,
    messages: u64,
    requests: u64,
}

impl Use<'_> {
    /// The token of a use that no sign-in shows. It worked when it was used, and may have been got
    /// just before.
    fn unseen(&self, settings: &Settings) -> TokenReach {
        TokenReach {
            uti: self.uti.map(str::to_owned),
            client_id: self.client_id.to_ascii_lowercase(),
            got: None,
            address: self.address,
            with: None,
            ends: self.at + settings.longest_token,
            messages: 0,
            mailboxes: BTreeSet::new(),
            requests: 0,
        }
    }
}
