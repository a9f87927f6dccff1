//! What a tenant has, held against what we expect of it.
//!
//! Some of it is known beforehand: the credentials on our applications are ours or they are not.
//! The rest is what an administrator chose, and is accepted as it was seen the first time
//! ([`Accepted`]): who owns the applications, which policy locks them. What changes after that is a
//! [`Deviation`], with what was there before.

mod compare;
mod lock;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use mailkeep_model::{AccessRules, Function, Registration};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{Evidence, Incident, IncidentKind};

pub use compare::posture;
pub use lock::Lock;
pub use words::DeviationKind;

/// What is expected of a tenant.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// Our applications in it.
    pub applications: Vec<ExpectedApplication>,
    /// The addresses that our requests come from; empty when nobody said.
    pub egress: Vec<IpNet>,
    /// What was accepted before; `None` at the first look.
    pub accepted: Option<Accepted>,
}

/// What is expected of one of our applications.
#[derive(Clone, Debug)]
pub struct ExpectedApplication {
    /// Its client id, lower case.
    pub client_id: String,
    /// What it is for.
    pub function: Function,
    /// Every key that was made for it.
    pub keys: Vec<ExpectedKey>,
    /// The permissions that it needs, by name.
    pub rights: Vec<String>,
    /// Those that it may have besides: with them it can do no more than it is for.
    pub tolerated: Vec<String>,
    /// Whether we are switching its sign-in off and on ourselves.
    pub is_being_switched: bool,
}

/// A key of ours, and whether the provider should have it.
#[derive(Clone, Debug)]
pub struct ExpectedKey {
    /// The signer's name for it.
    pub key_id: String,
    /// What the provider may call it: its ids, and thumbprints in hexadecimal digits.
    pub known_as: Vec<String>,
    /// Whether it should be there.
    pub place: KeyPlace,
}

/// Whether the provider should have a key of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyPlace {
    /// It signs, and the provider took it: it has to be there.
    Registered,
    /// It is on its way there, or away.
    Changing,
    /// The signer has destroyed it, and nobody has taken its certificate away yet.
    Destroyed,
    /// It was taken away.
    Removed,
}

/// What a tenant has.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Our applications, by client id; `None` where there is none.
    pub registrations: Vec<(String, Option<Registration>)>,
    /// Conditional Access; `None` when it was not read.
    pub rules: Option<AccessRules>,
}

/// What an administrator chose, as it was accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Accepted {
    /// Who may change an application or a service principal, by its object id.
    pub owners: BTreeMap<String, BTreeSet<String>>,
    /// What an application was granted, by client id.
    pub rights: BTreeMap<String, BTreeSet<String>>,
    /// How it is locked to addresses, by client id.
    pub locks: BTreeMap<String, Lock>,
    /// The provider's ids of certificates that were seen to be ours.
    pub keys: BTreeSet<String>,
}

/// Where a tenant is not as expected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Deviation {
    /// What.
    pub kind: DeviationKind,
    /// The application, lower case.
    pub client_id: String,
    /// What that is for.
    pub function: Function,
    /// What exactly: a key, an owner, a right.
    pub subject: String,
    /// What was there before, or should be; for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// What is there now; for people.
    pub after: String,
    /// The objects that it is about, by which the provider's log of changes names them.
    #[serde(skip)]
    pub objects: Vec<String>,
}

/// What a look at a tenant came to.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Posture {
    /// Where it is not as expected, the worst first.
    pub deviations: Vec<Deviation>,
    /// What is to be accepted from now on. Of what deviates, it is what was accepted before.
    #[serde(skip)]
    pub accepted: Accepted,
    /// What would be accepted if somebody said that all of it is as it should be.
    #[serde(skip)]
    pub present: Accepted,
}

impl Deviation {
    /// What happened, for people.
    pub fn text(&self) -> String {
        let before = match &self.before {
            Some(before) => format!("; before: {before}"),
            None => String::new(),
        };
        format!("{}: {}{before}", self.kind.title(), self.after)
    }

    /// What tells it from others, and from itself when it looks different.
    pub fn key(&self) -> String {
        format!("{} {} {} {}", self.kind.as_str(), self.client_id, self.subject, self.after)
    }

    /// The incident that it is, when it is one. `since` is when it was first found standing: what was set
    /// right and comes back is news.
    pub fn incident(&self, since: OffsetDateTime) -> Option<Incident> {
        let kind: IncidentKind = self.kind.incident()?;
        let evidence = Evidence::of_posture(&self.key(), since, self.text());
        let subject = format!("{} {}", self.kind.as_str(), self.subject);
        let client_id = Some(self.client_id.clone());
        Some(Incident::of(kind, client_id, Some(self.function), &subject, evidence))
    }
}
