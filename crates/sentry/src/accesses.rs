//! Who read mail, and who made a request, as one of our applications.
//!
//! Ours is only what has a token of ours, an address of ours *and* an entry in the journal: a token
//! that was lifted from a worker carries our identifier and must not pass as us. What joins to nothing
//! is *unattributed*: it is never called ours, and the time is reported blind.

use std::collections::{HashMap, HashSet};

use mailkeep_model::{AccessedMessage, Breadth, MailAccess, ProviderCall};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::{
    Settings,
    incident::{Evidence, Source},
    kind::IncidentKind,
    ours::{Call, CallAbout, Ours},
    signins::{Judged, RogueToken},
    suspicion::Suspicion,
    uses::Use,
};

/// How long a request may be on its way.
const LATE: Duration = Duration::minutes(2);

/// Whose an access is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Accessor {
    /// Ours: token, address and journal agree.
    Ours,
    /// Somebody's who acts as us.
    Foreign {
        /// What its incident is called ([`Incident::key`](crate::Incident::key)).
        incident: String,
        /// What of the record is his, by place in [`MailAccess::messages`]; all of it for a request.
        messages: Vec<usize>,
    },
    /// Nobody can tell.
    Unattributed,
    /// That of a person, or of an application that is none of ours.
    NotOurApplication,
}

/// All accesses, judged, in the order of their records.
#[derive(Debug, Default)]
pub(crate) struct Attributed {
    pub(crate) accesses: Vec<Accessor>,
    pub(crate) calls: Vec<Accessor>,
    pub(crate) suspicions: Vec<Suspicion>,
}

/// Judges all accesses of a tenant.
pub(crate) fn attribute(
    ours: &Ours,
    judged: &Judged,
    accesses: &[MailAccess],
    calls: &[ProviderCall],
    settings: &Settings,
) -> Attributed {
    let uses = ours.uses.iter().enumerate();
    let mut work = Work {
        ours,
        judged,
        settings,
        rogue: rogue_tokens(judged),
        named: HashSet::new(),
        by_incident: judged.suspicions.iter().map(|one| (one.incident_key(), one)).collect(),
        nameless: uses.filter(|(at, _)| !judged.named.contains(at)).map(|(_, one)| one).collect(),
        suspicions: Vec::new(),
    };
    let accesses = accesses.iter().map(|access| work.access(access)).collect();
    let calls = calls.iter().map(|call| work.call(call)).collect();
    Attributed { accesses, calls, suspicions: work.suspicions }
}

fn rogue_tokens(judged: &Judged) -> HashMap<&str, &RogueToken> {
    judged.rogue.iter().filter_map(|token| Some((token.uti.as_deref()?, token))).collect()
}

struct Work<'a> {
    ours: &'a Ours,
    judged: &'a Judged,
    settings: &'a Settings,
    rogue: HashMap<&'a str, &'a RogueToken>,
    /// Uses whose token the log has not named.
    nameless: Vec<&'a Use>,
    /// Names of our requests that a record was joined to.
    named: HashSet<Uuid>,
    /// One suspicion of each incident that a token belongs to.
    by_incident: HashMap<String, &'a Suspicion>,
    suspicions: Vec<Suspicion>,
}

/// What mail accesses and requests have in common.
struct Seen<'a> {
    source: Source,
    record: &'a str,
    at: OffsetDateTime,
    client_id: &'a str,
    uti: Option<&'a str>,
    address: Option<std::net::IpAddr>,
    what: String,
}

/// What the token of a record says of who used it.
enum TokenOf<'a> {
    Ours,
    Rogue(&'a RogueToken),
    /// It is none of those that we got, and there is none of ours that it could be.
    Foreign,
    /// It may be one of ours whose identifier we do not know; or the log does not tell.
    Unclear,
}

/// What token and address leave open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presumed {
    /// The token is ours, and so is the address.
    Ours,
    /// Nothing speaks against its being ours.
    Unclear,
}

impl<'a> Work<'a> {
    fn access(&mut self, access: &'a MailAccess) -> Accessor {
        let Some(client_id) = self.our_application(access.client_id.as_deref()) else {
            return Accessor::NotOurApplication;
        };
        let seen = Seen {
            source: Source::MailAccesses,
            record: &access.id,
            at: access.at,
            client_id,
            uti: access.uti.as_deref(),
            address: access.address,
            what: described(access),
        };
        let all = || (0..access.messages.len()).collect();
        let token = match self.by_token_and_address(&seen, all) {
            Ok(token) => token,
            Err(verdict) => return verdict,
        };
        let named = access.client_request_id.map(|id| self.ours.journal.call(id));
        let is_named = match named {
            Some(Some(call)) => self.is_about(call, access),
            Some(None) => false,
            // Then the token has to tell whose it is.
            None => token == Presumed::Ours,
        };
        let unexplained = self.unexplained(access);
        // A record that names no message is explained by calls on that very mailbox alone.
        let tells = !access.messages.is_empty() || self.ours.journal.knows(&access.mailbox);
        let explained = tells && unexplained.is_empty();
        if is_named && explained {
            return Accessor::Ours;
        }
        let until = access.at + MailAccess::AGGREGATED;
        // A name that is none of ours does not convict alone: it may be one that the provider made.
        let doubtful = matches!(named, Some(None)) && explained;
        if token == Presumed::Unclear || doubtful || self.ours.journal.may_lack(access.at, until) {
            return Accessor::Unattributed;
        }
        let unexplained = if is_named { unexplained } else { all() };
        let why = "with a token of ours, which no job asked for";
        self.accuse(&seen, IncidentKind::StolenToken, subject(&seen), why, unexplained)
    }

    fn call(&mut self, call: &'a ProviderCall) -> Accessor {
        let Some(client_id) = self.our_application(Some(&call.client_id)) else {
            return Accessor::NotOurApplication;
        };
        let seen = Seen {
            source: Source::Calls,
            record: &call.request_id,
            at: call.at,
            client_id,
            uti: call.uti.as_deref(),
            address: call.address,
            what: format!("{} {}", call.method, shortened(&call.uri)),
        };
        let token = match self.by_token_and_address(&seen, Vec::new) {
            Ok(token) => token,
            Err(verdict) => return verdict,
        };
        let named = call.client_request_id.and_then(|id| self.ours.journal.call(id));
        // Each request has a name of its own: whoever repeats one is somebody else.
        if let Some(own) = named
            && (call.at - own.at).abs() <= self.settings.skew + LATE
            && self.named.insert(own.client_request_id)
        {
            return Accessor::Ours;
        }
        if token == Presumed::Unclear || self.ours.journal.may_lack(call.at, call.at) {
            return Accessor::Unattributed;
        }
        let why = "with a token of ours, which no job asked for";
        self.accuse(&seen, IncidentKind::StolenToken, subject(&seen), why, Vec::new())
    }

    fn our_application(&self, client_id: Option<&'a str>) -> Option<&'a str> {
        client_id.filter(|id| self.ours.application(id).is_some())
    }

    /// What can be said without the journal.
    ///
    /// # Errors
    /// Whose it is, when it cannot be ours.
    fn by_token_and_address(
        &mut self,
        seen: &Seen<'_>,
        all: impl FnOnce() -> Vec<usize>,
    ) -> Result<Presumed, Accessor> {
        let here = self.ours.may_come_from(seen.address);
        match self.token_of(seen) {
            TokenOf::Rogue(token) => {
                let incident = token.incident.clone();
                self.add_evidence(seen, token);
                Err(Accessor::Foreign { incident, messages: all() })
            }
            TokenOf::Ours if here => Ok(Presumed::Ours),
            TokenOf::Ours => {
                let why = "with a token of ours, from an address that is not";
                Err(self.accuse(seen, IncidentKind::StolenToken, subject(seen), why, all()))
            }
            TokenOf::Foreign => {
                let why = "with a token that is none of ours";
                Err(self.accuse(seen, IncidentKind::ForeignToken, subject(seen), why, all()))
            }
            TokenOf::Unclear if !here => {
                let why = "from an address that is not ours";
                Err(self.accuse(seen, IncidentKind::ForeignToken, subject(seen), why, all()))
            }
            TokenOf::Unclear => Ok(Presumed::Unclear),
        }
    }

    fn token_of(&self, seen: &Seen<'_>) -> TokenOf<'a> {
        let Some(uti) = seen.uti else { return TokenOf::Unclear };
        if let Some(token) = self.rogue.get(uti) {
            return TokenOf::Rogue(token);
        }
        if self.judged.own_tokens.contains_key(uti) {
            return TokenOf::Ours;
        }
        let may_be = |one: &&Use| {
            one.client_id.eq_ignore_ascii_case(seen.client_id)
                && one.has_a_nameless_token(seen.at, self.settings.skew)
        };
        // A token of ours of which nothing is written down any more may have lived as long as that.
        let lost = self.ours.may_lack(seen.at - self.settings.longest_token, seen.at);
        if lost || self.nameless.iter().any(may_be) { TokenOf::Unclear } else { TokenOf::Foreign }
    }

    fn is_about(&self, call: &Call, access: &MailAccess) -> bool {
        let own = call.mailbox.as_deref();
        let named = own.is_some_and(|own| own.eq_ignore_ascii_case(&access.mailbox));
        // Under a name that is none of ours, the item has to tell.
        let unknown = !self.ours.journal.knows(&access.mailbox);
        let told = |item: &str| access.messages.iter().any(|one| one.item.as_deref() == Some(item));
        named || (unknown && matches!(&call.about, CallAbout::Item(item) if told(item)))
    }

    /// The messages of a record that no entry of the journal explains.
    fn unexplained(&self, access: &MailAccess) -> Vec<usize> {
        let Settings { skew, .. } = *self.settings;
        let (from, to) = (access.at - skew, access.at + MailAccess::AGGREGATED + skew);
        let mut pages = false;
        let mut items = Vec::new();
        let journal = &self.ours.journal;
        // Under a name that we do not use for any mailbox, an item can still be told by its id.
        let known = journal.knows(&access.mailbox);
        let calls: Vec<&Call> = match known {
            true => journal.on_mailbox(&access.mailbox, from, to).collect(),
            false => journal.between(from, to).collect(),
        };
        for call in calls {
            match &call.about {
                // A page of one mailbox says nothing of what was read under a name that is none of ours.
                CallAbout::Page => pages |= known,
                CallAbout::Item(item) => items.push(item.as_str()),
                CallAbout::Other => {}
            }
        }
        if pages {
            return Vec::new();
        }
        let is_explained = |message: &AccessedMessage| match &message.item {
            Some(item) => items.contains(&item.as_str()),
            None => known && !items.is_empty(),
        };
        let messages = access.messages.iter().enumerate();
        messages.filter(|(_, message)| !is_explained(message)).map(|(number, _)| number).collect()
    }

    fn accuse(
        &mut self,
        seen: &Seen<'_>,
        kind: IncidentKind,
        subject: String,
        why: &str,
        messages: Vec<usize>,
    ) -> Accessor {
        let suspicion = Suspicion {
            kind,
            client_id: Some(seen.client_id.to_ascii_lowercase()),
            function: self.ours.application(seen.client_id).map(|one| one.function),
            subject,
            evidence: evidence(seen, why),
        };
        let incident = suspicion.incident_key();
        self.suspicions.push(suspicion);
        Accessor::Foreign { incident, messages }
    }

    /// What was done with a token belongs to the incident of the token.
    fn add_evidence(&mut self, seen: &Seen<'_>, token: &RogueToken) {
        if let Some(whole) = self.by_incident.get(&token.incident) {
            let evidence = evidence(seen, "with a token that somebody else got");
            self.suspicions.push(Suspicion { evidence, ..(*whole).clone() });
        }
    }
}

fn evidence(seen: &Seen<'_>, why: &str) -> Evidence {
    let from = seen.address.map_or_else(|| "somewhere".to_owned(), |address| address.to_string());
    Evidence {
        at: seen.at,
        source: seen.source,
        record: seen.record.to_owned(),
        text: format!("{from}: {}, {why}", seen.what),
        address: seen.address,
        uti: seen.uti.map(str::to_owned),
    }
}

/// What was done with one token is one incident.
fn subject(seen: &Seen<'_>) -> String {
    match (seen.uti, seen.address) {
        (Some(uti), _) => uti.to_owned(),
        (None, Some(address)) => address.to_string(),
        (None, None) => seen.record.to_owned(),
    }
}

fn described(access: &MailAccess) -> String {
    let mailbox = &access.mailbox;
    match (access.breadth, access.messages.len()) {
        (Breadth::Folders, _) => format!("a whole folder of {mailbox} was read"),
        (Breadth::Messages, 1) => format!("one message of {mailbox} was read"),
        (Breadth::Messages, count) => format!("{count} messages of {mailbox} were read"),
    }
}

/// Requests can be long, and what is behind the path is of no interest to people.
fn shortened(uri: &str) -> String {
    const LONGEST: usize = 160;
    let path = uri.split('?').next().unwrap_or_default();
    path.chars().take(LONGEST).collect()
}
