//! Everything that can go wrong during a backup, each alone and three at a time: how it ends, what
//! it says, and that the rest of the mailbox is safe.

mod story;

use std::{collections::BTreeSet, ffi::OsString, fs};

use rand::{RngExt, SeedableRng, rngs::StdRng, seq::SliceRandom};
use serde_json::{Value, json};
use story::{
    Costs, Fault, Ours, ReadOnly, Run, Scene, SmallDisk, State, World, faults_of_backup,
    number_from, wait_until,
};

const SIZE_OF_DISK: &str = "300m";
/// Mailboxes that a tenant begins with. Each serves once and takes two or three signatures; the
/// signer holds us off after thirty.
const STOCK: usize = 8;

#[test]
fn a_provider_that_stumbles_is_not_noticed() {
    each_alone(|fault| fault.costs == Costs::Nothing && fault.clock.is_none());
}

#[test]
fn a_change_that_a_page_leaves_out_comes_with_the_next_pass() {
    each_alone(|fault| fault.costs == Costs::Patience);
}

#[test]
fn one_bad_item_never_fails_a_mailbox() {
    each_alone(|fault| fault.costs == Costs::Item);
}

#[test]
fn what_ends_a_pass_harms_nothing_and_says_what_to_do() {
    each_alone(|fault| fault.costs == Costs::Pass || fault.clock.is_some());
}

#[test]
fn three_faults_at_a_time_cost_no_more_than_they_cost_alone() {
    let rounds = number_from("MAILKEEP_FAULTS").unwrap_or(20);
    let seed = number_from("MAILKEEP_FAULT_SEED").unwrap_or(20_261_124);
    eprintln!("MAILKEEP_FAULTS={rounds} MAILKEEP_FAULT_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let faults = faults_of_backup();
    let mut place = Place::new();
    let mut possible: Vec<&Fault> = place.possible(&faults).collect();
    let mut beside = Vec::new();
    for _ in 0..rounds {
        possible.shuffle(&mut random);
        let mut three: Vec<&Fault> = Vec::new();
        for fault in &possible {
            if three.len() < 3 && three.iter().all(|other| other.goes_with(fault)) {
                three.push(fault);
            }
        }
        if three.iter().all(|fault| fault.stays_in_one_mailbox()) {
            beside.push(three);
        } else {
            place.meets(&[three], random.random());
        }
    }
    for mailboxes in beside.chunks(STOCK) {
        place.meets(mailboxes, random.random());
    }
    place.is_sound();
}

#[test]
fn a_message_of_150_megabytes_is_stored_like_any_other() {
    // 1. One of the new messages is as large as Exchange Online takes.
    let world = World::start(env!("CARGO_BIN_EXE_mailkeep"), &["--mailboxes", "1"]);
    world.set_up("acme");
    world.backup("acme");
    let mailbox = &world.lab.mailboxes()[0];
    world.lab.post("mutate", &json!({"seed": 1, "create": 5}));
    world.lab.post("mutate", &json!({"seed": 2, "create": 1, "bytes": 150 << 20}));
    world.lab.post("mutate", &json!({"seed": 3, "create": 5}));

    // 2. It is stored, and so are all others.
    let report = world.backup("acme");
    assert_eq!((&report["new"], &report["missed"]), (&json!(11), &json!([])), "{report}");
    assert!(report["content_bytes"].as_u64() >= Some(150 << 20), "{report}");
    assert_eq!(world.vault_state("acme", mailbox), world.lab_state(mailbox));
    let peak = report["peak_memory_bytes"].as_u64().expect("a number");
    assert!(peak < 600 << 20, "it was not held in memory several times: {peak}");
}

#[test]
fn a_locked_database_is_waited_for_and_then_called_busy() {
    // 1. Something new has arrived.
    let world = World::start(env!("CARGO_BIN_EXE_mailkeep"), &["--mailboxes", "1"]);
    world.set_up("acme");
    world.backup("acme");
    let mailbox = &world.lab.mailboxes()[0];
    let before = world.vault_state("acme", mailbox);
    world.lab.post("mutate", &json!({"seed": 1, "change": 2, "delete": 2}));
    world.lab.post("mutate", &json!({"seed": 1, "create": 5}));

    // 2. Another program holds the database and does not let go: nothing is begun.
    let lock = world.lock_database();
    world.lab.forget_counts();
    world.mailkeep.run(&["backup", "acme"]).exits(11).says(&["busy", "try again"]);
    assert_eq!(world.lab.requests(None), 0);
    assert_eq!(world.vault_state("acme", mailbox), before);
    drop(lock);

    // 3. One that takes it in the middle of a pass, and lets go in time, is not noticed.
    world.lab.faults(&json!([{"operation": "folders.delta", "delay_ms": 500, "times": 1}]));
    let backup = world.mailkeep.watch(&["backup", "acme"], |_| {});
    wait_until("the backup reads folders", || world.lab.hits() == [1]);
    let lock = world.lock_database();
    wait_until("the backup has read all", || world.lab.contents_read() == 5);
    drop(lock);
    backup.finish().ok();
    assert_eq!(world.vault_state("acme", mailbox), world.lab_state(mailbox));

    // 4. One that takes it then and keeps it costs a pass, and nothing else. (Half a minute for
    //    each thing that waits: not in every run of the tests.)
    if number_from("MAILKEEP_FAULTS").is_none() {
        return;
    }
    world.lab.post("mutate", &json!({"seed": 2, "create": 5}));
    world.lab.faults(&json!([{"operation": "folders.delta", "delay_ms": 500, "times": 1}]));
    let backup = world.mailkeep.watch(&["backup", "acme"], |_| {});
    wait_until("the backup reads folders", || world.lab.hits() == [1]);
    let lock = world.lock_database();
    backup.finish().exits(11).says(&["busy", "try again"]);
    drop(lock);
    world.backup("acme");
    assert_eq!(world.vault_state("acme", mailbox), world.lab_state(mailbox));
}

/// Every fault of a kind, each in a mailbox of its own. Those that are about more than a mailbox get
/// a pass of their own, too.
fn each_alone(kind: impl Fn(&Fault) -> bool) {
    let only = std::env::var("MAILKEEP_FAULT").ok();
    let mut faults = faults_of_backup();
    faults.retain(|fault| kind(fault) && only.as_ref().is_none_or(|only| *only == fault.name));
    let mut place = Place::new();
    let (beside, alone): (Vec<_>, Vec<_>) =
        place.possible(&faults).partition(|fault| fault.stays_in_one_mailbox());
    if !beside.is_empty() {
        place.meets(&beside.iter().map(|fault| vec![*fault]).collect::<Vec<_>>(), 1);
    }
    for (number, fault) in alone.iter().enumerate() {
        place.meets(&[vec![*fault]], 2 + number as u64);
    }
    place.is_sound();
}

/// A tenant, and mailboxes in which people work while everything goes wrong.
struct Place {
    world: World,
    /// Where the vaults lie, if it may be mounted.
    disk: Option<SmallDisk>,
    tenant: String,
    /// Mailboxes that are backed up and have not served yet.
    stock: Vec<String>,
    /// Mailboxes made so far.
    made: usize,
}

/// A mailbox in which people have worked, and what it meets.
struct Case<'a> {
    faults: &'a [&'a Fault],
    scenes: Vec<Scene>,
    before: State,
    now: State,
}

impl Place {
    fn new() -> Self {
        let world = World::start(env!("CARGO_BIN_EXE_mailkeep"), &["--mailboxes", "1"]);
        let disk = SmallDisk::at(&world.mailkeep.data().join("vault"), SIZE_OF_DISK);
        Self { world, disk, tenant: String::new(), stock: Vec::new(), made: 0 }
    }

    /// Goes on with another tenant, with `count` mailboxes that are all backed up.
    fn move_in(&mut self, count: usize) {
        let world = &self.world;
        self.tenant = format!("acme{}", self.made);
        world.set_up(&self.tenant);
        let made = (self.made..self.made + count).map(|number| {
            let wanted = json!({"mailbox": format!("case{number}"), "seed": number, "folders": 2,
                "messages": 24, "events": 5, "contacts": 4, "bytes": 2000});
            world.lab.post("generate", &wanted)["mailbox"].as_str().map(str::to_owned)
        });
        self.stock = made.map(|address| address.expect("an address")).collect();
        self.made += count;
        let first = self.backup(&self.stock).ok().json();
        assert_eq!((&first["missed"], &first["failed_mailboxes"]), (&json!([]), &json!([])));
    }

    /// Leaves out what cannot be shown here.
    fn possible<'a>(&self, faults: &'a [Fault]) -> impl Iterator<Item = &'a Fault> + use<'a> {
        let has_disk = self.disk.is_some();
        faults.iter().filter(move |fault| {
            let possible = has_disk || !fault.needs_a_disk();
            if !possible {
                eprintln!("{}: skipped, because mounting a disk takes root's rights", fault.name);
            }
            possible
        })
    }

    /// One pass over a mailbox for each case, and one when all is well again.
    fn meets(&mut self, cases: &[Vec<&Fault>], seed: u64) {
        for faults in cases {
            let names: Vec<_> = faults.iter().map(|fault| fault.name.as_str()).collect();
            eprintln!("seed {seed}: {}", names.join(" + "));
        }
        if self.stock.len() < cases.len() {
            if !self.tenant.is_empty() {
                self.is_sound();
            }
            self.move_in(cases.len().max(STOCK));
        }
        let all = self.stock.split_off(self.stock.len() - cases.len());
        let cases: Vec<Case<'_>> = all
            .iter()
            .zip(cases)
            .map(|(mailbox, faults)| self.people_work(mailbox, faults, seed))
            .collect();

        // 1. The pass ends as the worst of its faults says, and says what each of them is about.
        let snapshots = self.snapshots();
        let run = self.pass_with(&cases, &all);
        let faults = || cases.iter().flat_map(|case| case.faults.iter().copied());
        let ended =
            faults().filter(|fault| fault.costs == Costs::Pass).min_by_key(|fault| fault.stage());
        let held = match ended {
            Some(ended) => {
                run.exits(ended.exit()).says(&words(ended));
                assert_eq!(self.snapshots(), snapshots, "a pass that failed has stored something");
                cases.iter().map(|case| case.before.clone()).collect()
            }
            None => {
                let held = self.vault_states(&all);
                self.is_as_safe_as_can_be(&cases, &held, run);
                held
            }
        };

        // 2. When all is well again, one pass makes it whole, and reads nothing that is there.
        self.world.lab.forget_counts();
        let report = self.backup(&all).ok().json();
        assert_eq!(report["missed"], json!([]), "{report}");
        let missing = |(case, held): (&Case<'_>, &State)| case.now.messages(case.now.without(held));
        let missing: u64 = cases.iter().zip(&held).map(missing).sum();
        assert_eq!(self.world.lab.contents_read(), missing, "contents of {missing} messages");
        for (case, whole) in cases.iter().zip(self.vault_states(&all)) {
            assert_eq!(whole.differences(&case.now), [], "{}", case.names());
            assert_eq!(whole, case.now, "{}", case.names());
        }
    }

    /// What a pass that came to its end must have stored and said.
    fn is_as_safe_as_can_be(&self, cases: &[Case<'_>], held: &[State], run: Run) {
        let report = run.json();
        assert_eq!(report["failed_mailboxes"], json!([]), "{run}");
        let mut told: BTreeSet<&str> = list(&report["missed"]).collect();
        let mut worst = 0;
        let mut said = Vec::new();
        for (case, held) in cases.iter().zip(held) {
            let spoilt = case.spoilt();
            let kept_from_us = case.faults.iter().any(|fault| fault.costs == Costs::Patience);
            if kept_from_us {
                // What is not told, nobody can miss; all that is there is true, or was.
                for (id, item) in &held.items {
                    let known = [case.before.items.get(id), case.now.items.get(id)];
                    assert!(known.contains(&Some(item)), "{item}\nis neither of {known:#?}");
                }
                let noticed = spoilt.iter().filter(|id| told.remove(**id)).count();
                worst = worst.max(if noticed > 0 { 3 } else { 0 });
                continue;
            }
            let names = case.names();
            assert!(spoilt.iter().all(|id| told.remove(*id)), "{names}: {spoilt:?}\n{run}");
            assert_eq!(case.now.without(held), spoilt, "{names}: {run}");
            assert_eq!(held.without(&case.now), BTreeSet::new(), "{names}: {run}");
            assert_eq!(held.differences(&case.now), [], "{names}: {run}");
            worst = case.faults.iter().map(|fault| fault.exit()).fold(worst, i32::max);
            said.extend(case.faults.iter().flat_map(|fault| words(fault)));
        }
        assert_eq!(told, BTreeSet::new(), "missed without a reason: {run}");
        run.exits(worst).says(&said);
    }

    /// Changes of every kind. Each fault gets items of its own to spoil.
    fn people_work<'a>(&self, mailbox: &str, faults: &'a [&'a Fault], seed: u64) -> Case<'a> {
        let before = self.world.lab_state(mailbox);
        let work = |what: Value| {
            let mut work = what;
            work["mailbox"] = json!(mailbox);
            work["seed"] = json!(seed);
            self.world.lab.post("mutate", &work)
        };
        work(json!({"change": 4, "move": 3, "delete": 2, "events": {"change": 2, "delete": 1},
                    "contacts": {"change": 2, "delete": 1}}));
        let new = work(json!({"create": 6, "events": {"create": 3}, "contacts": {"create": 3}}));
        let id = |made: &Value, number: usize| {
            let id = made["created"][number]["id"].as_str();
            id.unwrap_or_else(|| panic!("no new item {number} in {new}")).to_owned()
        };
        let scene = |(number, _)| Scene {
            mailbox: mailbox.to_owned(),
            message: id(&new, number),
            event: id(&new["events"], number),
            contact: id(&new["contacts"], number),
        };
        let scenes = faults.iter().enumerate().map(scene).collect();
        let now = self.world.lab_state(mailbox);
        Case { faults, scenes, before, now }
    }

    /// A pass in which everything happens at once. All is well again when it has ended.
    fn pass_with(&mut self, cases: &[Case<'_>], all: &[String]) -> Run {
        let faults = || cases.iter().flat_map(|case| case.faults.iter());
        let has = |ours| faults().any(|fault| fault.ours == Some(ours));
        let rules = cases.iter().flat_map(|case| case.faults.iter().zip(&case.scenes));
        let rules: Vec<Value> = rules.flat_map(|(fault, scene)| fault.rules(scene)).collect();
        self.world.lab.faults(&json!(rules));
        self.world.lab.set_clock(faults().find_map(|fault| fault.clock).unwrap_or_default());
        let vault = self.world.vault(&self.tenant);
        let read_only = has(Ours::VaultReadOnly)
            .then(|| ReadOnly::at(&vault).expect("a disk could be mounted, too"));
        let full = self.disk.as_ref().filter(|_| has(Ours::VaultFull));
        full.inspect(|disk| disk.fill());
        if has(Ours::SignerGone) {
            self.world.kill_signer();
        }
        let run = if has(Ours::SignerDies) {
            let mut pass = self.world.mailkeep.watch(&self.arguments(all), |_| {});
            let delay = rules.iter().position(|rule| rule["delay_ms"] == Fault::TIME_TO_KILL);
            let delay = delay.expect("the rule that gives us time");
            wait_until("the pass reads folders, or has ended", || {
                pass.has_ended() || self.world.lab.hits()[delay] > 0
            });
            self.world.kill_signer();
            pass.finish()
        } else {
            self.backup(all)
        };

        // What did not happen proves nothing. After the end of a pass nothing happens any more, and
        // nothing to an item that a page keeps from us.
        if !faults().any(|fault| fault.costs == Costs::Pass) {
            let keeps = faults().any(|fault| fault.costs == Costs::Patience);
            for (rule, hits) in rules.iter().zip(self.world.lab.hits()) {
                let may_miss = keeps && rule.get("item").is_some();
                assert!(hits > 0 || may_miss, "never happened: {rule}\nin {run}");
            }
        }
        self.world.lab.faults(&json!([]));
        self.world.lab.set_clock(0);
        drop(read_only);
        full.inspect(|disk| disk.resize(SIZE_OF_DISK));
        if has(Ours::SignerGone) || has(Ours::SignerDies) {
            self.world.start_signer();
        }
        run
    }

    fn backup(&self, mailboxes: &[String]) -> Run {
        self.world.mailkeep.json(&self.arguments(mailboxes))
    }

    fn arguments<'a>(&'a self, mailboxes: &'a [String]) -> Vec<&'a str> {
        let mailboxes = mailboxes.iter().flat_map(|mailbox| ["--mailbox", mailbox.as_str()]);
        ["backup", self.tenant.as_str()].into_iter().chain(mailboxes).collect()
    }

    fn vault_states(&self, mailboxes: &[String]) -> Vec<State> {
        let mailboxes: Vec<&str> = mailboxes.iter().map(String::as_str).collect();
        self.world.vault_states(&self.tenant, &mailboxes)
    }

    /// Names of the tenant's snapshots.
    fn snapshots(&self) -> BTreeSet<OsString> {
        let listed = fs::read_dir(self.world.vault(&self.tenant).join("snapshots"));
        listed.expect("a repository").map(|entry| entry.expect("a file").file_name()).collect()
    }

    fn is_sound(&self) {
        self.world.repository(&self.tenant).is_sound();
    }
}

impl Case<'_> {
    fn spoilt(&self) -> BTreeSet<&str> {
        let with_scenes = self.faults.iter().zip(&self.scenes);
        with_scenes.filter_map(|(fault, scene)| fault.spoils(scene)).collect()
    }

    fn names(&self) -> String {
        self.faults.iter().map(|fault| fault.name.as_str()).collect::<Vec<_>>().join(" + ")
    }
}

fn list(missed: &Value) -> impl Iterator<Item = &str> {
    missed.as_array().into_iter().flatten().filter_map(|one| one["item"].as_str())
}

fn words(fault: &Fault) -> Vec<&str> {
    fault.says.iter().map(String::as_str).collect()
}
