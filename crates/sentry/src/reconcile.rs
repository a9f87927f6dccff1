use std::collections::{BTreeMap, HashMap};

use mailkeep_model::{MailAccess, ProviderCall, SignIn};
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::{
    Contradiction, Damage, Incident, LogSource, Spans,
    accesses::{Accessor, attribute},
    coverage::{Beacon, lost_for_all, seen, silent_mailboxes},
    incident::{Evidence, Source},
    kind::IncidentKind,
    ours::{CallAbout, Ours},
    signins::{Join, Judged, RogueToken, Whose, judge},
    suspicion::{Suspicion, gather},
    uses::Outcome,
};

/// What a provider's logs said of a tenant, each record once.
#[derive(Clone, Debug, Default)]
pub struct Records {
    /// Attempts to get a token.
    pub sign_ins: Vec<SignIn>,
    /// Reads of mail.
    pub accesses: Vec<MailAccess>,
    /// Requests.
    pub calls: Vec<ProviderCall>,
}

/// Which logs were read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logs {
    /// The sign-in log.
    pub sign_ins: LogSource,
    /// The log of requests.
    pub calls: LogSource,
    /// The log of reads of mail.
    pub mail: LogSource,
}

/// What is assumed of the provider.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How far its clock and ours may be apart.
    pub skew: Duration,
    /// How long a token works at most, whatever its getter asked for. Microsoft: an hour and a half
    /// without continuous access evaluation, 24 hours, and for users 28, with it.
    pub longest_token: Duration,
    /// How long a token works at most that its getter asked for without continuous access evaluation,
    /// where no policy of the tenant says otherwise.
    pub longest_token_without_cae: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            skew: Duration::minutes(5),
            longest_token: Duration::hours(28),
            longest_token_without_cae: Duration::minutes(90),
        }
    }
}

/// When each log showed all that happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeenTimes {
    /// The sign-in log.
    pub sign_ins: Spans,
    /// The log of requests.
    pub calls: Spans,
    /// The log of reads of mail, by the mailbox's name in it: each mailbox is recorded by itself, or not
    /// at all.
    pub mail: BTreeMap<String, Spans>,
}

/// The provider's logs held against what we know of ourselves.
#[derive(Clone, Debug)]
pub struct Reconciliation {
    /// Whose each sign-in is, in the order of [`Records::sign_ins`].
    pub sign_ins: Vec<Whose>,
    /// Whose each read of mail is, in the order of [`Records::accesses`].
    pub accesses: Vec<Accessor>,
    /// Whose each request is, in the order of [`Records::calls`].
    pub calls: Vec<Accessor>,
    /// Tokens that somebody else got as us.
    pub rogue: Vec<RogueToken>,
    /// What that comes to, the oldest first.
    pub incidents: Vec<Incident>,
    /// When what is not in a log did not happen.
    pub seen: SeenTimes,
}

/// Finds every use of our applications that is not ours.
///
/// `records` have to be read before what `ours` is made of, so that a use which is just being made
/// is not taken for somebody else's.
pub fn reconcile(
    ours: &Ours,
    records: &Records,
    logs: &Logs,
    settings: &Settings,
    now: OffsetDateTime,
) -> Reconciliation {
    let mut judged = judge(ours, &records.sign_ins, settings);
    let attributed = attribute(ours, &judged, &records.accesses, &records.calls, settings);
    let mut suspicions = std::mem::take(&mut judged.suspicions);
    suspicions.extend(attributed.suspicions);
    // What our own records lack contradicts nothing.
    let told = ours.contradictions.iter().filter(|one| !ours.may_lack(one.at(), one.at()));
    suspicions.extend(told.map(forged));
    suspicions.extend(ours.damage.iter().map(Damage::suspicion));
    let sign_ins = seen(sign_in_beacons(ours, &judged), &logs.sign_ins, now);
    let sign_ins = without_doubtful(&sign_ins, records, &judged, settings);
    let seen = SeenTimes {
        sign_ins,
        calls: seen(call_beacons(ours, records, &attributed.calls), &logs.calls, now),
        mail: mail_seen(ours, records, &attributed.accesses, &logs.mail, now),
    };
    let seen = seen.without_what_was_lost(ours, settings);
    Reconciliation {
        sign_ins: judged.whose,
        accesses: attributed.accesses,
        calls: attributed.calls,
        rogue: judged.rogue,
        incidents: gather(suspicions),
        seen,
    }
}

/// Every token that we got has to be in the log.
fn sign_in_beacons(ours: &Ours, judged: &Judged) -> Vec<Beacon> {
    let beacon = |(number, one): (usize, &crate::Use)| {
        let request = one.request.as_ref()?;
        let received = matches!(request.outcome, Outcome::Received { .. });
        received.then(|| Beacon {
            sent: request.intended,
            arrived: judged.arrived.get(&number).copied(),
        })
    };
    ours.uses.iter().enumerate().filter_map(beacon).collect()
}

/// A record that is ours by its circumstances alone proves nothing: around it, we are blind.
fn without_doubtful(
    seen: &Spans,
    records: &Records,
    judged: &Judged,
    settings: &Settings,
) -> Spans {
    let doubtful = |(record, whose): (&SignIn, &Whose)| {
        let doubtful = matches!(whose, Whose::Ours { by: Join::Circumstances, .. });
        doubtful.then_some(crate::Span {
            from: record.at - settings.skew,
            to: record.at + settings.skew,
        })
    };
    let doubtful: Spans = records.sign_ins.iter().zip(&judged.whose).filter_map(doubtful).collect();
    seen.without(&doubtful)
}

/// Every request of ours has to be in the log.
fn call_beacons(ours: &Ours, records: &Records, verdicts: &[Accessor]) -> Vec<Beacon> {
    let arrived: HashMap<Uuid, OffsetDateTime> = records
        .calls
        .iter()
        .zip(verdicts)
        .filter(|(_, verdict)| **verdict == Accessor::Ours)
        .filter_map(|(call, _)| Some((call.client_request_id?, call.at)))
        .collect();
    let beacon = |call: &crate::Call| Beacon {
        sent: call.at,
        arrived: arrived.get(&call.client_request_id).copied(),
    };
    ours.journal.calls().iter().map(beacon).collect()
}

/// Every message that we read has to be in the log of its mailbox, the first time within an hour, unless
/// the mailbox has fallen silent. Where it is not, the log may have lost others' mailboxes, too.
fn mail_seen(
    ours: &Ours,
    records: &Records,
    verdicts: &[Accessor],
    log: &LogSource,
    now: OffsetDateTime,
) -> BTreeMap<String, Spans> {
    let mut arrived: HashMap<(&str, &str), Vec<OffsetDateTime>> = HashMap::new();
    for (access, verdict) in records.accesses.iter().zip(verdicts) {
        if *verdict == Accessor::Ours {
            for item in access.messages.iter().filter_map(|message| message.item.as_deref()) {
                arrived.entry((&access.mailbox, item)).or_default().push(access.at);
            }
        }
    }
    let silent = silent_mailboxes(&records.accesses);
    let mut told: HashMap<(&str, &str), OffsetDateTime> = HashMap::new();
    let mut beacons: BTreeMap<&str, Vec<Beacon>> = BTreeMap::new();
    for call in ours.journal.calls() {
        let (Some(mailbox), CallAbout::Item(item)) = (call.mailbox.as_deref(), &call.about) else {
            continue;
        };
        let key = (mailbox, item.as_str());
        if told.get(&key).is_some_and(|last| call.at - *last < REPEATED) {
            continue;
        }
        told.insert(key, call.at);
        let near = |at: &&OffsetDateTime| (**at - call.at).abs() <= NEAR;
        let found = arrived.get(&key).and_then(|times| times.iter().find(near)).copied();
        beacons.entry(mailbox).or_default().push(Beacon { sent: call.at, arrived: found });
    }
    let nothing = Spans::default();
    // What a mailbox was too full to record, the log did not lose.
    let expected: Vec<Vec<Beacon>> = (beacons.iter())
        .map(|(mailbox, beacons)| {
            let silent = silent.get(mailbox).unwrap_or(&nothing);
            let is_expected = |one: &&Beacon| one.arrived.is_some() || !silent.contains(one.sent);
            beacons.iter().filter(is_expected).copied().collect()
        })
        .collect();
    let lost = lost_for_all(expected.iter().map(Vec::as_slice), log, now);
    let seen = |(mailbox, beacons): (&str, Vec<Beacon>)| {
        let silent = silent.get(mailbox).unwrap_or(&nothing);
        (mailbox.to_owned(), seen(beacons, log, now).without(silent).without(&lost))
    };
    beacons.into_iter().map(seen).collect()
}

/// Exchange does not tell again of a message that was read within the hour.
const REPEATED: Duration = Duration::hours(1);
/// A record is begun up to two minutes before the read that it tells of; the clocks differ, too.
const NEAR: Duration = Duration::minutes(10);

fn forged(contradiction: &Contradiction) -> Suspicion {
    let subject = contradiction.subject();
    Suspicion {
        kind: IncidentKind::ForgedReceipt,
        client_id: None,
        function: None,
        evidence: Evidence {
            at: contradiction.at(),
            source: Source::Ledger,
            record: subject.clone(),
            text: contradiction.to_string(),
            address: None,
            uti: None,
        },
        subject,
    }
}

impl SeenTimes {
    /// What we lack ourselves, no log makes up for: a token of ours that somebody else used may look like
    /// one that we did.
    fn without_what_was_lost(self, ours: &Ours, settings: &Settings) -> Self {
        if ours.damage.iter().any(Damage::leaves_nothing_to_judge_by) {
            return Self::default();
        }
        let lost = ours.lost.as_slice().iter();
        let lost: Spans = lost
            .map(|lost| crate::Span { from: lost.from, to: lost.to + settings.longest_token })
            .collect();
        let mail = self.mail.into_iter().map(|(name, seen)| (name, seen.without(&lost)));
        Self {
            sign_ins: self.sign_ins.without(&lost),
            calls: self.calls.without(&lost),
            mail: mail.collect(),
        }
    }
}

impl Reconciliation {
    /// How many sign-ins are ours.
    pub fn own_sign_ins(&self) -> usize {
        self.sign_ins.iter().filter(|whose| matches!(whose, Whose::Ours { .. })).count()
    }

    /// How many reads of mail are ours.
    pub fn own_accesses(&self) -> usize {
        self.accesses.iter().filter(|accessor| **accessor == Accessor::Ours).count()
    }
}
