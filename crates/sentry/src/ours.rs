//! What we know of ourselves: our applications and keys, what was signed with them, and every request
//! that a job made.

use std::{collections::HashMap, net::IpAddr};

use ipnet::IpNet;
use mailkeep_identity::JobId;
use mailkeep_model::Function;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{Contradiction, Damage, Spans, Use};

/// A key of ours, whether it still signs or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OurKey {
    /// The ledger's name for it.
    pub key_id: String,
    /// What it is for.
    pub function: Function,
    /// What the provider's log may call it: its ids of the credential, and thumbprints in
    /// hexadecimal digits. Compared without regard to case.
    pub known_as: Vec<String>,
}

/// An application of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OurApplication {
    /// Its client id, lower case.
    pub client_id: String,
    /// What it is for.
    pub function: Function,
}

/// A request to the provider that a job made, written down before it went out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// What we called it.
    pub client_request_id: Uuid,
    /// When it was about to go out.
    pub at: OffsetDateTime,
    /// The job that made it.
    pub job: JobId,
    /// The address of the mailbox that it is about, lower case.
    pub mailbox: Option<String>,
    /// What of it.
    pub about: CallAbout,
}

/// What of a mailbox a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallAbout {
    /// One item, by the provider's id.
    Item(String),
    /// A page of a list: which items come back is not known when it is written down.
    Page,
    /// Neither reads messages.
    Other,
}

/// Every request that our jobs made.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    calls: Vec<Call>,
    by_id: HashMap<Uuid, usize>,
    by_mailbox: HashMap<String, Vec<usize>>,
    holes: Spans,
}

impl Journal {
    /// A journal of these calls. In `holes` it may lack some: the machine lost power before they were
    /// on disk.
    pub fn new(mut calls: Vec<Call>, holes: Spans) -> Self {
        calls.sort_by_key(|call| call.at);
        let by_id = calls.iter().enumerate().map(|(n, call)| (call.client_request_id, n)).collect();
        let mut by_mailbox: HashMap<String, Vec<usize>> = HashMap::new();
        for (number, call) in calls.iter().enumerate() {
            if let Some(mailbox) = &call.mailbox {
                by_mailbox.entry(mailbox.clone()).or_default().push(number);
            }
        }
        Self { calls, by_id, by_mailbox, holes }
    }

    /// The calls, oldest first.
    pub fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// The call of that name.
    pub fn call(&self, client_request_id: Uuid) -> Option<&Call> {
        self.by_id.get(&client_request_id).map(|number| &self.calls[*number])
    }

    /// The calls on a mailbox from `from` until `to`, in their order.
    pub(crate) fn on_mailbox(
        &self,
        mailbox: &str,
        from: OffsetDateTime,
        to: OffsetDateTime,
    ) -> impl Iterator<Item = &Call> {
        let numbers = self.by_mailbox.get(mailbox).map_or(&[][..], Vec::as_slice);
        let begin = numbers.partition_point(|number| self.calls[*number].at < from);
        numbers[begin..]
            .iter()
            .map(|number| &self.calls[*number])
            .take_while(move |call| call.at <= to)
    }

    /// Whether any call is about a mailbox of that name.
    pub(crate) fn knows(&self, mailbox: &str) -> bool {
        self.by_mailbox.contains_key(mailbox)
    }

    /// All calls from `from` until `to`, in their order.
    pub(crate) fn between(
        &self,
        from: OffsetDateTime,
        to: OffsetDateTime,
    ) -> impl Iterator<Item = &Call> {
        let begin = self.calls.partition_point(|call| call.at < from);
        self.calls[begin..].iter().take_while(move |call| call.at <= to)
    }

    /// Whether the journal may lack something of that time.
    pub(crate) fn may_lack(&self, from: OffsetDateTime, to: OffsetDateTime) -> bool {
        self.holes.as_slice().iter().any(|hole| hole.from <= to && from <= hole.to)
    }
}

/// All that we know of ourselves in one tenant.
#[derive(Clone, Debug, Default)]
pub struct Ours {
    /// The applications that were registered for us.
    pub applications: Vec<OurApplication>,
    /// Every key that was made for the tenant.
    pub keys: Vec<OurKey>,
    /// What was signed, oldest first.
    pub uses: Vec<Use>,
    /// Where receipts and ledger contradict each other.
    pub contradictions: Vec<Contradiction>,
    /// Where any of this is not as we wrote it.
    pub damage: Vec<Damage>,
    /// Times of which ledger or receipts may lack what we did.
    pub lost: Spans,
    /// What was asked of the provider.
    pub journal: Journal,
    /// The addresses that our requests come from, as the provider sees them. Empty when nobody said:
    /// then a use from elsewhere goes unnoticed unless something else is wrong with it.
    pub egress: Vec<IpNet>,
}

impl Ours {
    /// The application of that client id, if it is ours.
    pub fn application(&self, client_id: &str) -> Option<&OurApplication> {
        self.applications.iter().find(|one| one.client_id.eq_ignore_ascii_case(client_id))
    }

    /// The key that the provider's log calls so.
    pub fn key_known_as(&self, name: &str) -> Option<&OurKey> {
        let same = |known: &String| known.eq_ignore_ascii_case(name);
        self.keys.iter().find(|key| key.known_as.iter().any(same))
    }

    /// Whether we may have done something then of which nothing is written down any more. With damaged
    /// ledger or receipts, that is so at any time.
    pub(crate) fn may_lack(&self, from: OffsetDateTime, to: OffsetDateTime) -> bool {
        self.damage.iter().any(Damage::leaves_nothing_to_judge_by)
            || self.lost.as_slice().iter().any(|lost| lost.from <= to && from <= lost.to)
    }

    /// Whether a request from there may be ours. Where either side is unknown, it may.
    pub(crate) fn may_come_from(&self, address: Option<IpAddr>) -> bool {
        match address {
            Some(address) if !self.egress.is_empty() => {
                self.egress.iter().any(|net| net.contains(&address.to_canonical()))
            }
            _ => true,
        }
    }
}
