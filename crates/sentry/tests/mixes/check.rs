//! What is found, against what really happened.

use std::collections::HashSet;
use std::fmt;

use mailkeep_model::MailAccess;
use mailkeep_sentry::{
    Accessor, Journal, LogSource, Logs, Ours, Reconciliation, Records, Settings, Span, Spans,
    State, Whose, blast_radius, reconcile,
};
use time::{Duration, OffsetDateTime};

use crate::world::{LONG, Logged, MAILBOXES, SETTLE, Weakness, World};

/// Between two reconciliations.
const EVERY: Duration = Duration::minutes(90);

/// What there was, over all mixes.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    mixes: u64,
    reconciliations: u64,
    ours: u64,
    rogue: u64,
    incidents: u64,
    blind: u64,
    unattributed: u64,
    messages: u64,
    seen: Duration,
    lived: Duration,
}

impl Counts {
    /// Whether nothing was left untried.
    pub(crate) fn is_complete(&self) -> bool {
        let few = self.mixes < 50;
        // Whoever sees nothing calls nothing seen by mistake.
        let sees = self.seen > self.lived / 3;
        few || sees
            && [self.ours, self.rogue, self.incidents, self.blind, self.unattributed, self.messages]
                .iter()
                .all(|count| *count > 0)
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mixes, reconciliations, ours, rogue, .. } = self;
        let Self { incidents, blind, unattributed, messages, seen, lived, .. } = self;
        write!(
            f,
            "{mixes} mixes, {reconciliations} reconciliations: {ours} records of ours, {rogue} rogue ones; \
             {incidents} times one was an incident, {blind} times one was not delivered and lay in the \
             blind, {unattributed} times nobody could be named for it; {messages} messages reported read; the sign-in log was seen whole for {} of {} hours",
            seen.whole_hours(),
            lived.whole_hours(),
        )
    }
}

/// Reconciles again and again while the world goes on, and once after all has arrived.
pub(crate) fn run(world: &World, counts: &mut Counts) {
    counts.mixes += 1;
    counts.ours += count(&world.sign_ins, false) + count(&world.accesses, false);
    counts.rogue += count(&world.sign_ins, true) + count(&world.accesses, true);
    let mut now = world.begin + EVERY;
    while now < world.begin + LONG + SETTLE.duration() + EVERY * 2 {
        at(world, now, counts);
        now += EVERY;
    }
}

fn count<T>(logged: &[Logged<T>], rogue: bool) -> u64 {
    logged.iter().filter(|one| one.rogue == rogue).count() as u64
}

fn at(world: &World, now: OffsetDateTime, counts: &mut Counts) {
    counts.reconciliations += 1;
    let delivered = Delivered::until(world, now);
    let records = delivered.records();
    let ours = ours(world, now);
    let settings = Settings::default();
    let found = reconcile(&ours, &records, &logs(world, now), &settings, now);
    let seen = found.seen.sign_ins.as_slice().iter().map(|span| span.to - span.from);
    counts.seen += seen.sum::<Duration>();
    counts.lived += now - world.begin;
    let context = format!("mix {}, {} after the beginning", world.seed, now - world.begin);
    nothing_of_ours_is_in_an_incident(&delivered, &found, &context);
    sign_ins(world, &delivered, &found, now, counts, &context);
    accesses(world, &delivered, &found, now, counts, &context);
    calls(&delivered, &found, &context);
    reach(world, &delivered, &records, &found, now, counts, &context);
}

struct Delivered<'a> {
    sign_ins: Vec<&'a Logged<mailkeep_model::SignIn>>,
    accesses: Vec<&'a Logged<MailAccess>>,
    calls: Vec<&'a Logged<mailkeep_model::ProviderCall>>,
}

impl<'a> Delivered<'a> {
    fn until(world: &'a World, now: OffsetDateTime) -> Self {
        let is_there = |at: Option<OffsetDateTime>| at.is_some_and(|at| at <= now);
        Self {
            sign_ins: world.sign_ins.iter().filter(|one| is_there(one.delivered)).collect(),
            accesses: world.accesses.iter().filter(|one| is_there(one.delivered)).collect(),
            calls: world.calls.iter().filter(|one| is_there(one.delivered)).collect(),
        }
    }

    fn records(&self) -> Records {
        Records {
            sign_ins: self.sign_ins.iter().map(|one| one.record.clone()).collect(),
            accesses: self.accesses.iter().map(|one| one.record.clone()).collect(),
            calls: self.calls.iter().map(|one| one.record.clone()).collect(),
        }
    }
}

/// What we know at that time.
fn ours(world: &World, now: OffsetDateTime) -> Ours {
    let calls = world.journal.iter().filter(|call| call.at <= now).cloned().collect();
    Ours {
        applications: world.applications.clone(),
        keys: world.keys.clone(),
        uses: world.uses.iter().filter(|one| one.signed <= now).cloned().collect(),
        contradictions: Vec::new(),
        damage: Vec::new(),
        lost: Spans::default(),
        journal: Journal::new(calls, Spans::default()),
        egress: vec!["192.0.2.0/24".parse().expect("a network")],
    }
}

fn logs(world: &World, now: OffsetDateTime) -> Logs {
    let source = |log: &Weakness| match log.absent {
        true => LogSource::Absent { why: "no licence".to_owned() },
        false => LogSource::Read {
            since: world.begin - Duration::hours(1),
            until: now,
            settle: SETTLE,
            holes: Spans::default(),
        },
    };
    Logs {
        sign_ins: source(&world.sign_in_log),
        calls: source(&world.call_log),
        mail: source(&world.mail_log),
    }
}

fn nothing_of_ours_is_in_an_incident(
    delivered: &Delivered<'_>,
    found: &Reconciliation,
    context: &str,
) {
    let rogue: HashSet<&str> = (delivered.sign_ins.iter().filter(|one| one.rogue))
        .map(|one| one.record.id.as_str())
        .chain(delivered.accesses.iter().filter(|one| one.rogue).map(|one| one.record.id.as_str()))
        .chain(
            delivered
                .calls
                .iter()
                .filter(|one| one.rogue)
                .map(|one| one.record.request_id.as_str()),
        )
        .collect();
    for incident in &found.incidents {
        for evidence in &incident.evidence {
            let record = evidence.record.as_str();
            assert!(rogue.contains(record), "{context}: false incident {incident:#?}");
        }
    }
}

/// Records that stand in an incident.
fn accused(found: &Reconciliation) -> HashSet<&str> {
    let evidence = found.incidents.iter().flat_map(|incident| &incident.evidence);
    evidence.map(|evidence| evidence.record.as_str()).collect()
}

fn sign_ins(
    world: &World,
    delivered: &Delivered<'_>,
    found: &Reconciliation,
    now: OffsetDateTime,
    counts: &mut Counts,
    context: &str,
) {
    let accused = accused(found);
    let mut there = HashSet::new();
    for (logged, whose) in delivered.sign_ins.iter().zip(&found.sign_ins) {
        there.insert(&logged.record.id);
        let is_accused = accused.contains(logged.record.id.as_str());
        if logged.rogue {
            assert!(is_accused, "{context}: {whose:?} is called {:#?}", logged.record);
            assert!(!matches!(whose, Whose::Ours { .. }), "{context}: {:#?}", logged.record);
            counts.incidents += 1;
        }
    }
    let hidden = |one: &&Logged<mailkeep_model::SignIn>| {
        one.rogue && one.record.at <= now && !there.contains(&one.record.id)
    };
    for logged in world.sign_ins.iter().filter(hidden) {
        let at = logged.record.at;
        assert!(!found.seen.sign_ins.contains(at), "{context}: at {at} nothing was hidden");
        counts.blind += 1;
    }
}

fn accesses(
    world: &World,
    delivered: &Delivered<'_>,
    found: &Reconciliation,
    now: OffsetDateTime,
    counts: &mut Counts,
    context: &str,
) {
    let mut there = HashSet::new();
    for (logged, accessor) in delivered.accesses.iter().zip(&found.accesses) {
        let record = &logged.record;
        there.insert(&record.id);
        match (logged.rogue, accessor) {
            (true, Accessor::Foreign { messages, .. }) => {
                assert_eq!(messages.len(), record.messages.len(), "{context}: {record:#?}");
                counts.incidents += 1;
            }
            // A log that does not tell the token leaves it open, and so does a token that we
            // could not read; both are reported blind.
            (_, Accessor::Unattributed) => counts.unattributed += 1,
            (false, Accessor::Ours) => {}
            other => panic!("{context}: {other:?}: {record:#?}"),
        }
        let told = record.uti.is_some() && !world.is_opaque();
        let attributed = !matches!(accessor, Accessor::Unattributed);
        assert!(!told || attributed, "{context}: nobody is named for {record:#?}");
    }
    let whole = Span { from: world.begin, to: now };
    let hidden = |one: &&Logged<MailAccess>| {
        one.rogue && whole.contains(one.record.at) && !there.contains(&one.record.id)
    };
    for logged in world.accesses.iter().filter(hidden) {
        let record = &logged.record;
        if !logged.silenced {
            let seen = found.seen.mail.get(&record.mailbox);
            let seen = seen.is_some_and(|seen| seen.contains(record.at));
            assert!(!seen, "{context}: {record:#?} was hidden");
        }
        counts.blind += 1;
    }
}

fn calls(delivered: &Delivered<'_>, found: &Reconciliation, context: &str) {
    for (logged, accessor) in delivered.calls.iter().zip(&found.calls) {
        let right = match accessor {
            Accessor::Ours => !logged.rogue,
            Accessor::Foreign { .. } => logged.rogue,
            _ => true,
        };
        assert!(right, "{context}: {accessor:?}: {:#?}", logged.record);
    }
}

/// The report has what he read, as far as the log has it, and nothing else; and calls no moment at
/// which he read mail one at which he did not.
fn reach(
    world: &World,
    delivered: &Delivered<'_>,
    records: &Records,
    found: &Reconciliation,
    now: OffsetDateTime,
    counts: &mut Counts,
    context: &str,
) {
    let mailboxes = MAILBOXES.map(str::to_owned);
    let span = Span { from: world.begin, to: now };
    let radius = blast_radius(records, found, &mailboxes, &Settings::default(), span);
    let mut his: HashSet<&str> = HashSet::new();
    for (logged, accessor) in delivered.accesses.iter().zip(&found.accesses) {
        if matches!(accessor, Accessor::Foreign { .. }) && span.contains(logged.record.at) {
            his.extend(logged.record.messages.iter().filter_map(|one| one.item.as_deref()));
        }
    }
    let reported: HashSet<&str> = (radius.mailboxes.values())
        .flat_map(|reach| &reach.messages)
        .filter_map(|message| message.item.as_deref())
        .collect();
    assert_eq!(his, reported, "{context}");
    counts.messages += reported.len() as u64;
    for logged in world.accesses.iter().filter(|one| one.rogue && span.contains(one.record.at)) {
        let record = &logged.record;
        // Of a mailbox that we know nothing of, nothing is said before something is known.
        let Some(reach) = radius.mailboxes.get(&record.mailbox) else { continue };
        let timeline = &reach.timeline;
        // At the ends of a stretch both sides hold.
        let says_not = timeline.iter().any(|stretch| {
            stretch.state == State::NotAccessed
                && stretch.span.from < record.at
                && record.at < stretch.span.to
        });
        assert!(!says_not, "{context}: {timeline:#?} denies {record:#?}");
    }
    let ends: Vec<OffsetDateTime> = radius.mailboxes[MAILBOXES[0]]
        .timeline
        .windows(2)
        .filter(|pair| pair[0].span.to != pair[1].span.from)
        .map(|pair| pair[0].span.to)
        .collect();
    assert!(
        ends.is_empty(),
        "{context}: nothing is said of the time behind {ends:?}: {:#?}",
        radius.mailboxes[MAILBOXES[0]].timeline
    );
}
