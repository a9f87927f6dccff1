//! One history: rounds of changes, faults and passes, and what must be true afterwards.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use mailkeep_identity::{CallerLabel, SecretName};
use mailkeep_service::{Event, Observer, PassLimits, PassReport, ServiceError};
use mailkeep_vault::{ReadData, Snapshot, Vault};
use serde_json::json;
use time::OffsetDateTime;
use tokio::sync::Notify;

use crate::{
    common::World,
    faults,
    mailbox::Mailbox,
    operations::{self, Scene},
    random::Random,
    stored,
    user::User,
};

/// What happened, for whoever has to find out why it went wrong.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(crate) fn add(&self, line: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    pub(crate) fn text(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).join("\n")
    }
}

/// The mailboxes as they were at a time.
pub(crate) struct Point {
    pub(crate) at: OffsetDateTime,
    /// Whether changes were hidden for good from a pass that led here.
    hidden: bool,
    pub(crate) mailboxes: Vec<Mailbox>,
}

pub(crate) struct History {
    pub(crate) world: World,
    user: User,
    pub(crate) random: Random,
    pub(crate) log: Log,
    pub(crate) addresses: Vec<String>,
    pub(crate) points: Vec<Point>,
    limits: PassLimits,
    /// Whether changes were hidden from a pass for good.
    hidden: bool,
    /// What was found wrong; checked at the end, so that one error does not hide others.
    pub(crate) wrong: Vec<String>,
}

/// Plays the history of a seed. What is wrong comes back, in words.
pub(crate) async fn play(seed: u64, log: Log) -> Vec<String> {
    let mut history = History::begin(seed, log).await;
    let rounds = if history.random.percent(15) { 4 + history.random.below(7) } else { 4 };
    for number in 1..=rounds {
        history.log.add(format!("== round {number} of {rounds}"));
        history.round().await;
    }
    history.compare_with_vault().await;
    history.restore_elsewhere().await;
    history.restore_in_place().await;
    history.wrong
}

impl History {
    async fn begin(seed: u64, log: Log) -> Self {
        let mut random = Random::new(seed);
        // Small pages of everything, so that a pass has many steps.
        let limits = PassLimits {
            spool_bytes: 1 << 20,
            round_bytes: 16 << 10,
            round_items: 25,
            part_bytes: 2048,
            ..PassLimits::default()
        };
        // Now and then everything fits into one round.
        let limits = if random.percent(50) { PassLimits::default() } else { limits };
        let world = World::with(|lab| lab.mailboxes = Some(0), limits).await;
        world.set_up_restorer().await;
        let user = User::new(&world).await;
        let count = 1 + random.below(2);
        let names = ["ann@lab.example", "bob@lab.example"];
        let addresses: Vec<_> = names.iter().take(count).map(|&name| name.to_owned()).collect();
        for address in &addresses {
            let order = json!({
                "mailbox": address,
                "messages": 4 + random.below(12),
                "folders": random.below(4),
                "seed": random.next() >> 1,
                "bytes": 700,
                "events": random.below(6),
                "contacts": random.below(6),
            });
            log.add(format!("begin with {order}"));
            world.admin.order("generate", order).await;
        }
        let (points, wrong) = (Vec::new(), Vec::new());
        Self { world, user, random, log, addresses, points, limits, hidden: false, wrong }
    }

    async fn round(&mut self) {
        let steps = 3 + self.random.below(8);
        self.operations(steps).await;
        if self.random.percent(60) {
            self.disturbed_pass().await;
        }
        if !self.points.is_empty() && self.random.percent(20) {
            self.restore_something().await;
        }
        self.quiet_pass().await;
    }

    async fn operations(&mut self, count: usize) {
        let (user, admin, log) = (&self.user, &self.world.admin, &self.log);
        for _ in 0..count {
            let address = &self.addresses[self.random.below(self.addresses.len())];
            operations::any(&Scene { user, admin, address, log }, &mut self.random).await;
        }
    }

    /// A pass in which people go on working and things go wrong. It may fail.
    async fn disturbed_pass(&mut self) {
        let there = Mailbox::read(&self.world.admin, &self.addresses[0]).await;
        let (mut rules, mut hides) = (Vec::new(), false);
        if self.random.percent(75) {
            (rules, hides) = faults::of_a_pass(&mut self.random, &there);
        }
        rules.extend(faults::delays(&mut self.random));
        self.log.add(format!("faults {}", json!(rules)));
        self.world.admin.order("faults", json!(rules)).await;
        let count = self.random.below(13);
        let mut random = self.random.fork();
        let begun = Arc::new(Notify::new());
        let pass = async {
            let pass = self.world.try_pass(Arc::new(Starter(Arc::clone(&begun)))).await;
            begun.notify_one();
            pass
        };
        let (user, admin, log) = (&self.user, &self.world.admin, &self.log);
        let work = async {
            begun.notified().await;
            for _ in 0..count {
                let address = &self.addresses[random.below(self.addresses.len())];
                let scene = Scene { user, admin, address, log };
                operations::any_in_a_hurry(&scene, &mut random).await;
            }
        };
        let (pass, ()) = tokio::join!(pass, work);
        self.log.add(format!("a disturbed pass: {}", in_short(&pass)));
        self.world.admin.clear_faults().await;
        self.hidden |= hides;
    }

    /// Nobody does anything, nothing goes wrong: afterwards the vault has it all.
    async fn quiet_pass(&mut self) {
        let hidden = std::mem::take(&mut self.hidden);
        if hidden {
            // What a provider hides for good comes out when all of it is compared.
            self.log.add("everything is due to be compared".to_owned());
            let limits = PassLimits { compare_every: Duration::ZERO, ..self.limits };
            self.world.reopen(limits).await;
        }
        let pass = self.world.pass().await;
        let in_short = in_short(&Ok(pass));
        self.log.add(format!("a quiet pass: {in_short}"));
        if !in_short.contains("whole") {
            self.wrong.push(format!("a quiet pass was not whole: {in_short}"));
        }
        if hidden {
            self.world.reopen(self.limits).await;
        }
        let at = OffsetDateTime::now_utc();
        let mailboxes = self.mailboxes().await;
        self.points.push(Point { at, hidden, mailboxes });
    }

    pub(crate) async fn mailboxes(&self) -> Vec<Mailbox> {
        let mut mailboxes = Vec::new();
        for address in &self.addresses {
            mailboxes.push(Mailbox::read(&self.world.admin, address).await);
        }
        mailboxes
    }

    /// Every point's snapshot holds what the mailboxes were, and the repository is sound.
    async fn compare_with_vault(&mut self) {
        let caller: CallerLabel = "test".parse().unwrap();
        let signer = self.world.service.data().signer_socket();
        let signer = mailkeep_identity::SignerClient::connect(signer, caller).await.unwrap();
        let job = uuid::Uuid::new_v4().into();
        let secret = SecretName::repository();
        let password = signer.release_secret(&job, &self.world.tenant, &secret).await.unwrap();
        let directory = self.world.service.data().vault(&self.world.tenant);
        let vault = Vault::open(&directory, &password).unwrap();
        let snapshots = vault.snapshots().unwrap();
        for (number, point) in self.points.iter().enumerate() {
            let Some(snapshot) = snapshots.iter().rfind(|one| one.time <= point.at) else {
                self.wrong.push(format!("round {}: no snapshot", number + 1));
                continue;
            };
            for mailbox in &point.mailboxes {
                let address = &mailbox.0["address"];
                let found = stored::differences(&vault, snapshot, mailbox);
                let lines =
                    found.iter().map(|line| format!("round {}: {address}: {line}", number + 1));
                self.wrong.extend(lines);
            }
        }
        // What stayed in a mailbox all the time is in every snapshot, also in those of passes that
        // were disturbed: a message on its way from one folder to another is nowhere gone.
        // A folder that the provider hides for good looks like its Recoverable Items, though.
        for pair in self.points.windows(2).filter(|pair| !pair[1].hidden) {
            let written = |one: &&Snapshot| one.time > pair[0].at && one.time <= pair[1].at;
            for snapshot in snapshots.iter().filter(written) {
                for (before, after) in pair[0].mailboxes.iter().zip(&pair[1].mailboxes) {
                    let stays = before.ids().intersection(&after.ids()).cloned().collect();
                    self.wrong.extend(stored::lost(&vault, snapshot, before, &stays));
                }
            }
        }
        let report = vault.verify(ReadData::Yes).unwrap();
        if !report.problems.is_empty() {
            self.wrong.push(format!("the repository is not sound: {report:?}"));
        }
    }
}

fn in_short(pass: &Result<PassReport, ServiceError>) -> String {
    match pass {
        Err(error) => format!("failed: {error}"),
        Ok(pass) => {
            let whole = if pass.is_whole() { "whole" } else { "in part" };
            let missed: Vec<_> = pass.missed.iter().map(|one| &one.error).collect();
            let failures: Vec<_> = pass.failures.iter().map(|one| one.error.to_string()).collect();
            let (new, changed, removed) = (pass.new, pass.changed, pass.removed);
            format!(
                "{whole}, {new} new, {changed} changed, {removed} removed, {} snapshots, missed \
                 {missed:?}, failures {failures:?}",
                pass.snapshots.len()
            )
        }
    }
}

/// Says when the pass has come to the mailboxes.
struct Starter(Arc<Notify>);

impl Observer for Starter {
    fn on_event(&self, event: &Event) {
        if matches!(event, Event::MailboxStarted { .. }) {
            self.0.notify_one();
        }
    }
}
