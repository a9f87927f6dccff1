//! One history: rounds of changes, faults and passes, and what must be true afterwards.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use mailkeep_identity::{CallerLabel, SecretName};
use mailkeep_model::{ItemId, MailboxId};
use mailkeep_service::{
    Event, Observer, OnConflict, PassLimits, PassReport, RestoreOutcome, RestoreReport,
    RestoreRequest, RestoreTarget, RestoreWhat, ServiceError,
};
use mailkeep_vault::{FolderPath, ReadData, ShortId, Snapshot, Vault};
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::sync::Notify;

use crate::{
    common::{Admin, World},
    faults,
    mailbox::Mailbox,
    operations::{self, Scene},
    random::Random,
    restored, stored,
    user::User,
};

/// What a restore says of an event that it must not delete.
const HAS_ATTENDEES: &str = "it is a meeting of this mailbox with attendees";

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
struct Point {
    at: OffsetDateTime,
    /// Whether changes were hidden for good from a pass that led here.
    hidden: bool,
    mailboxes: Vec<Mailbox>,
}

struct History {
    world: World,
    user: User,
    random: Random,
    log: Log,
    addresses: Vec<String>,
    points: Vec<Point>,
    /// Whether changes were hidden from a pass for good.
    hidden: bool,
    /// What was found wrong; checked at the end, so that one error does not hide others.
    wrong: Vec<String>,
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
        Self { world, user, random, log, addresses, points, hidden: false, wrong }
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
            // What a provider hides for good comes out when it is asked for everything again.
            let expire = json!([{ "invalidate": "cursors", "times": 1 }]);
            self.world.admin.order("faults", expire).await;
        }
        let pass = self.world.pass().await;
        let in_short = in_short(&Ok(pass));
        self.log.add(format!("a quiet pass: {in_short}"));
        if !in_short.contains("whole") {
            self.wrong.push(format!("a quiet pass was not whole: {in_short}"));
        }
        self.world.admin.clear_faults().await;
        let at = OffsetDateTime::now_utc();
        let mailboxes = self.mailboxes().await;
        self.points.push(Point { at, hidden, mailboxes });
    }

    async fn mailboxes(&self) -> Vec<Mailbox> {
        let mut mailboxes = Vec::new();
        for address in &self.addresses {
            mailboxes.push(Mailbox::read(&self.world.admin, address).await);
        }
        mailboxes
    }

    /// A restore of anything to anywhere, as one of the things that happen.
    async fn restore_something(&mut self) {
        let random = &mut self.random;
        let point = &self.points[random.below(self.points.len())];
        let mailbox = &point.mailboxes[random.below(point.mailboxes.len())];
        let address = mailbox.0["address"].as_str().unwrap();
        let what = if random.percent(50) {
            let items: Vec<_> = mailbox.items().collect();
            let owner = MailboxId(mailbox.0["id"].as_str().unwrap().to_owned());
            let mut chosen = Vec::new();
            for _ in 0..1 + random.below(4) {
                let Some((_, item)) = random.any(&items) else { return };
                let item = ItemId(item["id"].as_str().unwrap().to_owned());
                chosen.push(ShortId::new(&owner, &item));
            }
            RestoreWhat::Items(chosen)
        } else {
            let places: Vec<_> = mailbox.places().into_values().collect();
            let path = random.any(&places).map(|place| place.path.clone()).unwrap_or_default();
            RestoreWhat::Folder { mailbox: address.parse().unwrap(), path: FolderPath(path) }
        };
        let to = random.percent(50).then(|| {
            let names = [random.pick(&["Restored", "a/b", "Wieder da"]).to_owned()];
            let mailbox = self.addresses[random.below(self.addresses.len())].parse().unwrap();
            RestoreTarget { mailbox, path: FolderPath(names.into()) }
        });
        let request = RestoreRequest {
            tenant: self.world.tenant.clone(),
            what,
            at: Some(point.at),
            to,
            to_tenant: None,
            on_conflict: random.pick(&[OnConflict::Skip, OnConflict::Replace, OnConflict::Copy]),
        };
        let faulty = random.percent(40);
        if faulty {
            let rules = faults::of_a_restore(random);
            self.log.add(format!("faults {}", json!(rules)));
            self.world.admin.order("faults", json!(rules)).await;
        }
        let done = self.restore(&request).await;
        self.world.admin.clear_faults().await;
        match done {
            Ok(report) if !faulty => self.expect_no_failures(&report),
            Err(error) if !faulty => self.wrong.push(format!("a restore failed: {error}")),
            _ => {}
        }
    }

    async fn restore(&self, request: &RestoreRequest) -> Result<RestoreReport, ServiceError> {
        self.log.add(format!("restore {request:?}"));
        let admin = self.world.admin.clone();
        let observer = Arc::new(Registrar { admin, runtime: tokio::runtime::Handle::current() });
        let restore = self.world.service.restore(request, observer);
        let restore = tokio::time::timeout(Duration::from_secs(120), restore).await;
        let done = restore.expect("a restore ends");
        self.log.add(match &done {
            Err(error) => format!("the restore failed: {error}"),
            Ok(report) => {
                let words = ["created", "replaced", "updated", "present", "failed"];
                let counts = words.map(|word| format!("{} {word}", report.count(word)));
                format!("restored from {}: {}", report.snapshot, counts.join(", "))
            }
        });
        done
    }

    fn expect_no_failures(&mut self, report: &RestoreReport) {
        for item in &report.items {
            if let RestoreOutcome::Failed(why) = &item.outcome
                && !why.contains(HAS_ATTENDEES)
            {
                self.wrong.push(format!("not restored: {} '{}': {why}", item.item, item.subject));
            }
        }
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

    /// Two earlier points, each into an empty mailbox; the first one with faults on the way.
    async fn restore_elsewhere(&mut self) {
        for number in 0..2 {
            let fresh = format!("fresh-{number}@lab.example");
            let order = json!({ "mailbox": fresh, "messages": 0 });
            self.world.admin.order("generate", order).await;
            let at = self.random.below(self.points.len());
            let whose = self.random.below(self.addresses.len());
            let point = &self.points[at];
            let mailbox = self.addresses[whose].parse().unwrap();
            let request = RestoreRequest {
                tenant: self.world.tenant.clone(),
                what: RestoreWhat::Folder { mailbox, path: FolderPath::default() },
                at: Some(point.at),
                to: Some(RestoreTarget {
                    mailbox: fresh.parse().unwrap(),
                    path: FolderPath::default(),
                }),
                to_tenant: None,
                on_conflict: OnConflict::Skip,
            };
            let others = self.mailboxes().await;
            let faulty = number == 0 && self.random.percent(50);
            if faulty {
                let rules = faults::of_a_restore(&mut self.random);
                self.log.add(format!("faults {}", json!(rules)));
                self.world.admin.order("faults", json!(rules)).await;
            }
            let first = self.restore(&request).await;
            self.world.admin.clear_faults().await;
            if !faulty {
                match &first {
                    Ok(report) => self.expect_no_failures(report),
                    Err(error) => self.wrong.push(format!("a restore failed: {error}")),
                }
            }
            if number == 0 {
                let between = Mailbox::read(&self.world.admin, &fresh).await;
                self.again(&request, &fresh, (!faulty).then_some(&between)).await;
            }
            let made = Mailbox::read(&self.world.admin, &fresh).await;
            let was = &self.points[at].mailboxes[whose];
            let found = restored::differences(was, &made);
            let lines = found.iter().map(|line| format!("restored from round {}: {line}", at + 1));
            self.wrong.extend(lines);
            // Nobody was written to, nothing was touched that was not asked for.
            let same = |(a, b): (&Mailbox, &Mailbox)| a.0 == b.0;
            if !others.iter().zip(&self.mailboxes().await).all(same) {
                self.wrong.push("a restore changed another mailbox".to_owned());
            }
        }
    }

    /// The same restore once more, with nothing in its way; it finds `before` complete.
    async fn again(&mut self, request: &RestoreRequest, into: &str, before: Option<&Mailbox>) {
        let report = match self.restore(request).await {
            Ok(report) => report,
            Err(error) => return self.wrong.push(format!("a repeated restore failed: {error}")),
        };
        self.expect_no_failures(&report);
        let Some(before) = before else { return };
        if report.count("present") != report.items.len() {
            let other = report.items.iter().filter(|item| item.outcome != RestoreOutcome::Present);
            let other: Vec<_> = other.map(|item| (&item.subject, item.outcome.as_str())).collect();
            self.wrong.push(format!("a repeated restore found something to do: {other:?}"));
        }
        if Mailbox::read(&self.world.admin, into).await.0 != before.0 {
            self.wrong.push("a repeated restore changed something".to_owned());
        }
    }

    /// A mailbox back to an earlier state: all of that is there again.
    async fn restore_in_place(&mut self) {
        let at = self.random.below(self.points.len());
        let whose = self.random.below(self.addresses.len());
        let address = self.addresses[whose].clone();
        let request = RestoreRequest {
            tenant: self.world.tenant.clone(),
            what: RestoreWhat::Folder {
                mailbox: address.parse().unwrap(),
                path: FolderPath::default(),
            },
            at: Some(self.points[at].at),
            to: None,
            to_tenant: None,
            on_conflict: OnConflict::Replace,
        };
        let between = Mailbox::read(&self.world.admin, &address).await;
        let report = match self.restore(&request).await {
            Ok(report) => report,
            Err(error) => return self.wrong.push(format!("a restore failed: {error}")),
        };
        self.expect_no_failures(&report);
        let is = Mailbox::read(&self.world.admin, &address).await;
        let mut was = self.points[at].mailboxes[whose].clone();
        let there: HashSet<_> = between.items().map(|(_, item)| item["id"].to_string()).collect();
        let owner = MailboxId(was.0["id"].as_str().unwrap().to_owned());
        // Of a draft, an event or a contact that an earlier restore made, nobody can tell whether
        // it was changed since: it is left as it is, and said to be there. A meeting stays as it is
        // when replacing it would send cancellations.
        let outcomes: HashMap<_, _> =
            report.items.iter().map(|item| (&item.item, &item.outcome)).collect();
        was.forget(|item| {
            let short = ShortId::new(&owner, &ItemId(item["id"].as_str().unwrap().to_owned()));
            let can_change = item["draft"].as_bool().unwrap_or(true);
            match outcomes.get(&short) {
                Some(RestoreOutcome::Present | RestoreOutcome::Updated) => {
                    can_change && !there.contains(&item["id"].to_string())
                }
                Some(RestoreOutcome::Failed(why)) => why.contains(HAS_ATTENDEES),
                _ => false,
            }
        });
        let found = restored::not_back(&was, &between, &is);
        let lines = found.iter().map(|line| format!("back to round {}: {line}", at + 1));
        self.wrong.extend(lines);
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

/// The administrator who registers a restore's certificate.
struct Registrar {
    admin: Admin,
    runtime: tokio::runtime::Handle,
}

impl Observer for Registrar {
    fn on_event(&self, event: &Event) {
        if let Event::KeyToRegister { client_id, certificate_pem, .. } = event {
            let order: Value = json!({ "add_certificate": certificate_pem });
            let (admin, path) = (self.admin.clone(), format!("applications/{client_id}"));
            self.runtime.spawn(async move { admin.order(&path, order).await });
        }
    }
}
