//! What a theft reached: which messages for certain, and of which times that can be said at all.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use mailkeep_model::{AccessedMessage, Breadth, MailAccess};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{
    Reconciliation, Records, Settings, Span, Spans, accesses::Accessor, coverage::silent_mailboxes,
    signins::RogueToken,
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
    let free = free_of_foreign_tokens(&tokens, found, settings, span);
    let mut reached: BTreeMap<String, Reached<'_>> =
        mailboxes.iter().map(|mailbox| (mailbox.clone(), Reached::default())).collect();
    for (access, accessor) in records.accesses.iter().zip(&found.accesses) {
        if !matches!(accessor, Accessor::Foreign { .. } | Accessor::Unattributed)
            || !span.contains(access.at)
        {
            continue;
        }
        reached.entry(access.mailbox.clone()).or_default().add(access, accessor);
    }
    let silent = silent_mailboxes(&records.accesses);
    let nothing = Spans::default();
    let mailboxes = reached
        .into_iter()
        .map(|(mailbox, reached)| {
            let silent = silent.get(mailbox.as_str()).unwrap_or(&nothing);
            let seen = found.seen.mail.without(silent);
            (mailbox, reached.finish(&seen, &free, span))
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

    fn finish(mut self, seen: &Spans, free: &Spans, whole: Span) -> MailboxReach {
        let spans = |accesses: &[&MailAccess]| -> Spans {
            let span = |access: &&MailAccess| Span {
                from: access.at,
                to: access.at + MailAccess::AGGREGATED,
            };
            accesses.iter().map(span).filter_map(|span| span.intersection(&whole)).collect()
        };
        let accessed = spans(&self.accessed);
        let quiet = seen.without(&spans(&self.unattributed)).union(free);
        self.reach.timeline = timeline(&accessed, &quiet, whole);
        self.reach
    }
}

/// When nobody else had a token that worked: the sign-in log is complete for as long as one may have
/// worked, and shows none.
fn free_of_foreign_tokens(
    tokens: &[TokenReach],
    found: &Reconciliation,
    settings: &Settings,
    whole: Span,
) -> Spans {
    let long = |span: &Span| Span::new(span.from + settings.longest_token, span.to);
    let known: Spans = found.seen.sign_ins.as_slice().iter().filter_map(long).collect();
    let in_hand = |token: &TokenReach| {
        let from = token.got.map_or(whole.from, |got| got - settings.skew);
        Span::new(from, token.ends)
    };
    known.without(&tokens.iter().filter_map(in_hand).collect())
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
    let mut add = |access: Use<'_>| {
        let place = tokens
            .iter()
            .position(|token| token.uti.as_deref() == access.uti && access.uti.is_some());
        let place = place.unwrap_or_else(|| {
            tokens.push(access.unseen(settings));
            tokens.len() - 1
        });
        tokens[place].messages += access.messages;
        tokens[place].requests += access.requests;
        tokens[place].mailboxes.extend(access.mailbox.map(str::to_owned));
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
