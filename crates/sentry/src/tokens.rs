//! Tokens in the hands of somebody else, and what was read with each.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
};

use mailkeep_model::{AccessedMessage, Breadth, MailAccess};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{Reconciliation, Records, Settings, Span, accesses::Accessor, signins::RogueToken};

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
    /// When it has ended if it is not under continuous access evaluation, which no log tells; `None` when
    /// it was used later than that, and so is.
    #[serde(with = "time::serde::rfc3339::option")]
    pub ends_without_cae: Option<OffsetDateTime>,
    /// Messages read with it, as far as the log tells them one by one, each counted once.
    pub messages: u64,
    /// The mailboxes in which something was read with it.
    pub mailboxes: BTreeSet<String>,
    /// What was read with it, by mailbox.
    pub read: BTreeMap<String, TokenRead>,
    /// Requests made with it, as far as the log of requests has them.
    pub requests: u64,
}

/// What was read in one mailbox with one token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRead {
    /// Single messages.
    pub messages: BTreeSet<AccessedMessage>,
    /// Folders that count as read as a whole.
    pub folders: BTreeSet<String>,
}

/// Tokens that somebody else got, and those that were used without a sign-in that shows them; those only
/// that may have worked within `span`. What was done with them is that within `span`.
pub(crate) fn tokens(
    records: &Records,
    found: &Reconciliation,
    settings: &Settings,
    span: Span,
) -> Vec<TokenReach> {
    let tokens: Vec<TokenReach> = found.rogue.iter().map(|one| got(one, settings)).collect();
    let mut gathered = Gathered { places: HashMap::new(), tokens, settings, span };
    for (place, token) in gathered.tokens.iter().enumerate() {
        if token.uti.is_some() {
            gathered.places.insert((token.uti.clone(), String::new(), None), place);
        }
    }
    for (access, accessor) in records.accesses.iter().zip(&found.accesses) {
        if let Accessor::Foreign { messages, .. } = accessor {
            gathered.add(Use {
                uti: access.uti.as_deref(),
                client_id: access.client_id.as_deref().unwrap_or_default(),
                at: access.at,
                address: access.address,
                read: Some((access, messages)),
            });
        }
    }
    for (call, accessor) in records.calls.iter().zip(&found.calls) {
        if let Accessor::Foreign { .. } = accessor {
            gathered.add(Use {
                uti: call.uti.as_deref(),
                client_id: &call.client_id,
                at: call.at,
                address: call.address,
                read: None,
            });
        }
    }
    let mut tokens = gathered.tokens;
    tokens.retain(|token| token.ends >= span.from || !token.read.is_empty() || token.requests > 0);
    for token in &mut tokens {
        token.messages = token.read.values().map(|read| read.messages.len() as u64).sum();
        token.mailboxes = token.read.keys().cloned().collect();
    }
    tokens.sort_by_key(|token| (token.got, token.ends));
    tokens
}

/// What one token is told from others by. Uses of a token that the log does not name are told apart by
/// application and address.
type Name = (Option<String>, String, Option<IpAddr>);

struct Gathered<'a> {
    places: HashMap<Name, usize>,
    tokens: Vec<TokenReach>,
    settings: &'a Settings,
    span: Span,
}

impl Gathered<'_> {
    fn add(&mut self, one: Use<'_>) {
        let name = match one.uti {
            Some(uti) => (Some(uti.to_owned()), String::new(), None),
            None => (None, one.client_id.to_ascii_lowercase(), one.address),
        };
        let place = *self.places.entry(name).or_insert_with(|| {
            self.tokens.push(one.unseen(self.settings));
            self.tokens.len() - 1
        });
        let token = &mut self.tokens[place];
        if token.got.is_none() {
            token.ends = token.ends.max(one.at + self.settings.longest_token);
            let plain = one.at + self.settings.longest_token_without_cae;
            token.ends_without_cae = token.ends_without_cae.max(Some(plain));
        } else if token.ends_without_cae.is_some_and(|end| one.at > end + self.settings.skew) {
            token.ends_without_cae = None;
        }
        if !self.span.contains(one.at) {
            return;
        }
        let Some((access, his)) = one.read else {
            token.requests += 1;
            return;
        };
        let read = token.read.entry(access.mailbox.clone()).or_default();
        let his = his.iter().filter_map(|number| access.messages.get(*number)).cloned();
        match access.breadth {
            Breadth::Messages => read.messages.extend(his),
            Breadth::Folders => read.folders.extend(his.filter_map(|one| one.folder)),
        }
    }
}

fn got(token: &RogueToken, settings: &Settings) -> TokenReach {
    TokenReach {
        uti: token.uti.clone(),
        client_id: token.client_id.clone(),
        got: Some(token.at),
        address: token.address,
        with: Some(token.with.clone()),
        ends: token.ends,
        ends_without_cae: Some(token.at + settings.longest_token_without_cae),
        messages: 0,
        mailboxes: BTreeSet::new(),
        read: BTreeMap::new(),
        requests: 0,
    }
}

/// One record of the use of a token.
#[derive(Clone, Copy)]
struct Use<'a> {
    uti: Option<&'a str>,
    client_id: &'a str,
    at: OffsetDateTime,
    address: Option<IpAddr>,
    /// The record of a read, and what of it is his; of a request, nothing.
    read: Option<(&'a MailAccess, &'a [usize])>,
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
            ends_without_cae: Some(self.at + settings.longest_token_without_cae),
            messages: 0,
            mailboxes: BTreeSet::new(),
            read: BTreeMap::new(),
            requests: 0,
        }
    }
}
