//! Whether canaries come through: harmless messages of ours, sent through the tenant, that have to be
//! backed up and inspected in time. It is the one check that asks for the outcome and not for a setting:
//! whatever is switched off on the way, the next canary is missed.

use std::fmt;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{Evidence, Incident, IncidentKind, Source};

/// What an incident about canaries is about: there is one a tenant, whatever leg fails.
const SUBJECT: &str = "canary";

/// A part of a canary's way, by what did not happen on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Leg {
    /// The provider did not take it.
    NotSent,
    /// It was sent, and is not in its recipient's mailbox.
    NotArrived,
    /// It is there, or nobody may look, and it is not in the vault.
    NotBackedUp,
    /// It is in the vault, and the inspector has not seen what it says.
    NotInspected,
    /// It was inspected, and is still in its recipient's sight.
    NotRemoved,
}

impl Leg {
    /// All of them, in the order of the way.
    pub const ALL: [Self; 5] =
        [Self::NotSent, Self::NotArrived, Self::NotBackedUp, Self::NotInspected, Self::NotRemoved];

    /// Its name in JSON and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotSent => "not_sent",
            Self::NotArrived => "not_arrived",
            Self::NotBackedUp => "not_backed_up",
            Self::NotInspected => "not_inspected",
            Self::NotRemoved => "not_removed",
        }
    }

    /// What to look at.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::NotSent => "mailkeep tenant check TENANT tries whether the prober may send",
            Self::NotArrived => {
                "trace the message (Exchange admin center, Mail flow, Message trace): a rule, a filter, a sender that was blocked, or a delay of the provider's"
            }
            Self::NotBackedUp => {
                "see whether passes run and come to their end (mailkeep doctor, the log of 'mailkeep serve'), and whether the reader may read (mailkeep tenant check TENANT)"
            }
            Self::NotInspected => {
                "look at the message as it is in the vault (mailkeep cat): was it sealed or rewritten on its way?"
            }
            Self::NotRemoved => {
                "mailkeep remedy list TENANT says what keeps it; mailkeep tenant check TENANT tries whether the responder may move and delete"
            }
        }
    }
}

impl fmt::Display for Leg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotSent => "not sent",
            Self::NotArrived => "sent, and not arrived",
            Self::NotBackedUp => "arrived, and not backed up",
            Self::NotInspected => "backed up, and not inspected",
            Self::NotRemoved => "inspected, and not removed",
        })
    }
}

/// How far a canary is known to have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passage {
    /// By when it has to have come through.
    pub deadline: OffsetDateTime,
    /// Whether the provider took it.
    pub sent: Sent,
    /// When a pass read it, if any did.
    pub seen: Option<OffsetDateTime>,
    /// Whether the vault has it.
    pub backed_up: bool,
    /// Whether the inspector has seen what it says.
    pub inspected: bool,
    /// Whether the responder has taken it away.
    pub removal: Removal,
}

/// Whether a canary was taken away again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// There was no responder when it was sent.
    NotWanted,
    /// It is to be.
    Wanted,
    /// It was.
    Done(OffsetDateTime),
}

/// Whether a canary was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// The provider took it.
    Yes,
    /// The provider refused it.
    No,
    /// We ended, or its answer was lost, between the order and the note: it may be on its way.
    Unknown,
}

/// Whether a canary is in its recipient's mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It is there.
    Yes,
    /// It is not there.
    No,
    /// Nobody could look.
    Unknown,
}

/// How a canary stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has time yet.
    UnderWay,
    /// It is backed up, inspected and taken away again, and was in time.
    CameThrough,
    /// It is late, and somebody has to look whether it arrived.
    LookForIt,
    /// It missed its deadline.
    Missed(Leg),
    /// It is late, and perhaps was never sent: it proves nothing, the next one does.
    Void,
}

/// How a canary stands. `arrival` is what was found in its recipient's mailbox when it was looked for.
pub fn standing(passage: &Passage, arrival: Option<Arrival>, now: OffsetDateTime) -> Standing {
    // Whoever looks only now must not take a backup for well that was down when it mattered.
    let late = passage.seen.is_some_and(|at| at > passage.deadline);
    let removed = match passage.removal {
        Removal::NotWanted => true,
        Removal::Wanted => false,
        Removal::Done(at) => at <= passage.deadline,
    };
    if passage.backed_up && passage.inspected && removed && !late {
        return Standing::CameThrough;
    }
    if passage.sent == Sent::No {
        return Standing::Missed(Leg::NotSent);
    }
    if now < passage.deadline {
        return Standing::UnderWay;
    }
    if late {
        return Standing::Missed(Leg::NotBackedUp);
    }
    if passage.backed_up {
        let leg = if passage.inspected { Leg::NotRemoved } else { Leg::NotInspected };
        return Standing::Missed(leg);
    }
    match (arrival, passage.sent) {
        (None, _) => Standing::LookForIt,
        (Some(Arrival::Yes), _) => Standing::Missed(Leg::NotBackedUp),
        // That we may not look does not say that there is nothing: the reader is as blind as that.
        (Some(Arrival::Unknown), Sent::Yes) => Standing::Missed(Leg::NotBackedUp),
        (Some(Arrival::No), Sent::Yes) => Standing::Missed(Leg::NotArrived),
        (Some(_), _) => Standing::Void,
    }
}

/// A canary that missed its deadline, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissedCanary {
    /// What it is looked up by.
    pub reference: String,
    /// Where it failed.
    pub leg: Leg,
    /// When it was missed.
    pub at: OffsetDateTime,
    /// How the last one that came through did; `None`: none ever did.
    pub before: Option<String>,
    /// How this one did.
    pub after: String,
}

impl MissedCanary {
    /// The incident that it is, or that it adds to.
    pub fn incident(&self) -> Incident {
        let before = self.before.as_deref().unwrap_or("none has come through yet");
        let text =
            format!("canary {}: {}: {}; before: {before}", self.reference, self.leg, self.after);
        let evidence = Evidence {
            at: self.at,
            source: Source::Canary,
            record: self.reference.clone(),
            text,
            address: None,
            uti: None,
        };
        Incident::of(IncidentKind::CanaryMissed, None, None, SUBJECT, evidence)
    }
}

/// The key of the incident about a tenant's canaries.
pub fn canary_incident_key() -> String {
    format!("{}/-/{SUBJECT}", IncidentKind::CanaryMissed.as_str())
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::*;

    const BEGIN: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn passage(sent: Sent, backed_up: bool, inspected: bool) -> Passage {
        let seen = backed_up.then_some(BEGIN);
        let (deadline, removal) = (BEGIN + Duration::hours(1), Removal::NotWanted);
        Passage { deadline, sent, seen, backed_up, inspected, removal }
    }

    #[test]
    fn one_that_stays_in_sight_was_missed_however_well_it_was_inspected() {
        let (early, late) = (BEGIN, BEGIN + Duration::hours(1));
        let with = |removal| Passage { removal, ..passage(Sent::Yes, true, true) };
        assert_eq!(standing(&with(Removal::Wanted), None, early), Standing::UnderWay);
        let missed = Standing::Missed(Leg::NotRemoved);
        assert_eq!(standing(&with(Removal::Wanted), None, late), missed);
        let done = Removal::Done(late);
        assert_eq!(standing(&with(done), None, late), Standing::CameThrough);
        let too_late = Removal::Done(late + Duration::seconds(1));
        assert_eq!(standing(&with(too_late), None, late + Duration::hours(1)), missed);
    }

    #[test]
    fn every_leg_that_fails_is_named_and_none_before_the_deadline() {
        let (early, late) = (BEGIN, BEGIN + Duration::hours(1));
        for (passage, arrival, expected) in [
            (passage(Sent::Yes, false, false), None, Standing::LookForIt),
            (
                passage(Sent::Yes, false, false),
                Some(Arrival::No),
                Standing::Missed(Leg::NotArrived),
            ),
            (
                passage(Sent::Yes, false, true),
                Some(Arrival::Yes),
                Standing::Missed(Leg::NotBackedUp),
            ),
            (
                passage(Sent::Yes, false, false),
                Some(Arrival::Unknown),
                Standing::Missed(Leg::NotBackedUp),
            ),
            (passage(Sent::Yes, true, false), None, Standing::Missed(Leg::NotInspected)),
            (
                passage(Sent::Unknown, false, false),
                Some(Arrival::Yes),
                Standing::Missed(Leg::NotBackedUp),
            ),
            (passage(Sent::Unknown, false, false), Some(Arrival::No), Standing::Void),
            (passage(Sent::Unknown, false, false), Some(Arrival::Unknown), Standing::Void),
        ] {
            assert_eq!(standing(&passage, arrival, late), expected, "{passage:?} {arrival:?}");
            assert_eq!(standing(&passage, arrival, early), Standing::UnderWay, "{passage:?}");
        }
        // What the provider refuses is known at once.
        let refused = passage(Sent::No, false, false);
        assert_eq!(standing(&refused, None, early), Standing::Missed(Leg::NotSent));
        for sent in [Sent::Yes, Sent::Unknown] {
            let through = passage(sent, true, true);
            assert_eq!(standing(&through, None, late), Standing::CameThrough);
        }
    }

    #[test]
    fn one_that_came_after_its_deadline_was_missed_whenever_somebody_looks() {
        let deadline = BEGIN + Duration::hours(1);
        let seen_at =
            |at, inspected| Passage { seen: Some(at), ..passage(Sent::Yes, true, inspected) };
        let (later, hours_later) = (deadline + Duration::seconds(1), deadline + Duration::hours(5));
        let missed = Standing::Missed(Leg::NotBackedUp);
        assert_eq!(standing(&seen_at(later, true), None, hours_later), missed);
        assert_eq!(standing(&seen_at(later, false), None, hours_later), missed);
        let in_time = standing(&seen_at(deadline, true), None, hours_later);
        assert_eq!(in_time, Standing::CameThrough);
    }

    #[test]
    fn all_missed_canaries_of_a_tenant_are_one_incident_with_before_and_after() {
        let missed = |reference: &str, leg: Leg| MissedCanary {
            reference: reference.into(),
            leg,
            at: BEGIN,
            before: Some("the last one came through".into()),
            after: "nothing".into(),
        };
        let first = missed("a1", Leg::NotBackedUp).incident();
        let second = missed("b2", Leg::NotArrived).incident();
        assert_eq!(first.key(), canary_incident_key());
        assert_eq!(second.key(), canary_incident_key());
        let both = second.with(&first);
        assert_eq!(both.records, 2);
        assert_eq!(
            both.evidence[0].text,
            "canary a1: arrived, and not backed up: nothing; before: the last one came through"
        );
    }

    #[test]
    fn a_leg_s_name_is_the_same_everywhere() {
        for leg in Leg::ALL {
            assert_eq!(serde_json::to_value(leg).unwrap(), leg.as_str());
            assert!(!leg.remedy().is_empty());
        }
    }
}
