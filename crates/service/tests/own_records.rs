//! What somebody changed in our own records is found, and is no alarm of another kind.

#![allow(clippy::unwrap_used)]

mod common;

use std::{
    fs::{self, File, OpenOptions},
    io::{BufReader, Write},
    path::PathBuf,
    sync::Arc,
    time::Instant,
};

use common::{TINY, World};
use mailkeep_control::{FoundIncident, LogRecord};
use mailkeep_identity::{
    Head, ReceiptLog,
    ledger::{self, LedgerEvent, Requester},
    parse_receipt,
};
use mailkeep_lab::LabOptions;
use mailkeep_model::{Function, TenantName};
use mailkeep_sentry::{
    Evidence, Incident,
    IncidentKind::{self, EvidenceDamaged, ForgedReceipt, LedgerDamaged},
    Source,
};
use mailkeep_service::{
    Bucket, DataDirectory, Forgotten, Reconciled, WatchPace, Witness, WitnessWay,
};
use mailkeep_signer::{Sealing, Signer, SignerOptions};
use serde_json::json;
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

const ANN: &str = "ann@lab.example";

/// A tenant whose mail was backed up, and of which the records were seen once.
async fn world() -> World {
    let world = World::new().await;
    world.set_up_auditor().await;
    let order = json!({"mailbox": ANN, "messages": 3, "folders": 1, "seed": 5});
    world.admin.order("generate", order).await;
    world.pass().await;
    let found = world.reconcile().await;
    assert!(found.incidents.is_empty(), "{:#?}", found.incidents);
    world
}

impl World {
    async fn reconcile(&self) -> Reconciled {
        self.service.reconcile(&self.tenant, OffsetDateTime::now_utc()).await.unwrap()
    }

    fn ledger(&self) -> PathBuf {
        self.service.data().signer().join("ledger.jsonl")
    }

    /// There is the one incident, which stays open until somebody has explained it.
    async fn is_found_until_explained(&self, kind: mailkeep_sentry::IncidentKind, subject: &str) {
        let found = self.reconcile().await;
        let [(recorded, incident)] = found.incidents.as_slice() else {
            panic!("{:#?}", found.incidents)
        };
        assert_eq!((incident.kind, incident.subject.as_str()), (kind, subject), "{recorded:?}");
        let all = self.service.incidents(Some(&self.tenant)).await.unwrap();
        let [one] = all.as_slice() else { panic!("{all:#?}") };
        let now = OffsetDateTime::now_utc();
        assert!(self.service.close_incident(one.id, "the disk was full", now).await.unwrap());
        self.pass().await;
        let found = self.reconcile().await;
        assert!(found.incidents.is_empty(), "{:#?}", found.incidents);
        let all = self.service.incidents(Some(&self.tenant)).await.unwrap();
        assert!(all.iter().all(|one| one.closed.is_some()), "{all:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_was_cut_off_is_found() {
    let world = world().await;
    let journal = world.service.data().journal().join(world.tenant.as_str());
    for day in fs::read_dir(journal).unwrap() {
        let path = day.unwrap().path();
        let lines = fs::read_to_string(&path).unwrap();
        let kept = lines.lines().take(2).flat_map(|line| [line, "\n"]).collect::<String>();
        fs::write(&path, kept).unwrap();
    }
    world.is_found_until_explained(EvidenceDamaged, "journal").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_was_deleted_is_found() {
    let world = world().await;
    fs::remove_dir_all(world.service.data().journal().join(world.tenant.as_str())).unwrap();
    let found = world.reconcile().await;
    let kinds: Vec<_> = found.incidents.iter().map(|(_, incident)| incident.kind).collect();
    assert_eq!(kinds, [EvidenceDamaged]);
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_that_were_cut_off_are_found_and_are_no_stolen_key() {
    let world = world().await;
    let path = world.service.data().receipts();
    let lines = fs::read_to_string(&path).unwrap();
    let first = lines.lines().next().unwrap();
    fs::write(&path, format!("{first}\n")).unwrap();
    let found = world.reconcile().await;
    let kinds: Vec<_> = found.incidents.iter().map(|(_, incident)| incident.kind).collect();
    assert_eq!(kinds, [EvidenceDamaged]);
    assert_eq!(found.ours.0, 0, "nothing can be told to be ours");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_lost_and_explained_is_not_taken_for_a_theft_when_the_logs_arrive() {
    for lost in ["journal", "receipts"] {
        let world = world().await;
        let here = vec!["127.0.0.1/32".parse().unwrap()];
        world.service.set_egress(&world.tenant, here).await.unwrap();
        let path = match lost {
            "journal" => {
                let journal = world.service.data().journal().join(world.tenant.as_str());
                fs::read_dir(journal).unwrap().next().unwrap().unwrap().path()
            }
            _ => world.service.data().receipts(),
        };
        let lines = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{}\n", lines.lines().next().unwrap())).unwrap();
        let found = world.reconcile().await;
        let [(recorded, incident)] = found.incidents.as_slice() else { panic!("{found:#?}") };
        assert_eq!((incident.kind, incident.subject.as_str()), (EvidenceDamaged, lost));
        let now = OffsetDateTime::now_utc();
        world.service.close_incident(recorded.id(), "an older copy", now).await.unwrap();
        // Only now the provider tells of what was read before.
        world.admin.order("clock", json!({ "offset_seconds": 130 })).await;
        let found = world.reconcile().await;
        assert!(found.incidents.is_empty(), "{lost}: {:#?}", found.incidents);
        assert!(!found.found.accesses.is_empty(), "{lost}: the log has arrived");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_was_written_anew_with_right_hashes_is_found() {
    let world = world().await;
    // Everything but one signature, in a chain that holds.
    let mut records = Vec::new();
    let file = BufReader::new(File::open(world.ledger()).unwrap());
    ledger::verify_each(file, |record| records.push(record.clone())).unwrap();
    let drop = records
        .iter()
        .position(|record| matches!(record.event, ledger::LedgerEvent::AssertionSigned { .. }));
    records.remove(drop.unwrap());
    let (mut head, mut forged) = (Head::EMPTY, Vec::new());
    for record in &records {
        let (line, next) = ledger::encode(&head, record.time, &record.event).unwrap();
        forged.extend(line);
        head = next;
    }
    fs::write(world.ledger(), &forged).unwrap();
    ledger::verify(forged.as_slice()).unwrap();
    let found = world.reconcile().await;
    let kinds: Vec<_> = found.incidents.iter().map(|(_, incident)| incident.kind).collect();
    assert_eq!(kinds, [LedgerDamaged]);
    // The signer knows where it stood, and goes on there: it says at which record it was.
    let text = &found.incidents[0].1.evidence[0].text;
    let place = format!("where record {} belongs", records.len() + 1);
    assert!(text.contains(&place), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_is_gone_is_found() {
    let world = world().await;
    fs::remove_file(world.ledger()).unwrap();
    let found = world.reconcile().await;
    let kinds: Vec<_> = found.incidents.iter().map(|(_, incident)| incident.kind).collect();
    assert_eq!(kinds, [LedgerDamaged]);
}

/// What there is of each kind.
impl World {
    async fn logged(&self) -> Vec<String> {
        let control = self.service.control();
        let begin = OffsetDateTime::UNIX_EPOCH;
        let all: Vec<String> = control.log_records(&self.tenant, "calls", begin).await.unwrap();
        all
    }

    fn journal_days(&self) -> usize {
        let journal = self.service.data().journal().join(self.tenant.as_str());
        fs::read_dir(journal).unwrap().count()
    }

    fn receipts(&self) -> usize {
        let text = fs::read_to_string(self.service.data().receipts()).unwrap();
        text.lines().filter(|line| line.contains("globex")).count()
    }

    /// Receipts so many days old; somebody else's, so that the ledger is not asked for them.
    fn others_receipts(&self, ages: &[i64]) {
        let receipts = ReceiptLog::open(self.service.data().receipts()).unwrap();
        let (other, job) = ("globex".parse().unwrap(), "job".parse().unwrap());
        for age in ages {
            let at = OffsetDateTime::now_utc() - Duration::days(*age);
            let name = uuid::Uuid::new_v4();
            receipts.intend(at, name, &job, &other, Function::Reader, "jti").unwrap();
        }
    }

    /// Sign-ins were read so many days ago, requests long before that, and all was judged so many days ago.
    async fn logs_were_read(&self, read: i64, judged: i64) {
        let ago =
            |days| (OffsetDateTime::now_utc() - Duration::days(days)).format(&Rfc3339).unwrap();
        let log = |days| json!({ "since": ago(days + 7), "until": ago(days) });
        let watch = json!({
            "judged": ago(judged),
            "read": { "sign_ins": log(read), "mail_accesses": log(0), "calls": log(700) },
        });
        self.service.control().change_watch(&self.tenant, |_| Ok(watch)).await.unwrap();
    }

    async fn forget(&self) -> Forgotten {
        let keep = Duration::days(400);
        self.service.forget_evidence(keep, OffsetDateTime::now_utc()).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn old_evidence_is_let_go_of_but_for_what_an_incident_or_the_logs_are_held_against() {
    let world = World::new().await;
    world.set_up_auditor().await;
    let (control, now) = (world.service.control(), OffsetDateTime::now_utc());
    let receipts = ReceiptLog::open(world.service.data().receipts()).unwrap();
    let journal = world.service.data().journal().join(world.tenant.as_str());
    fs::create_dir_all(&journal).unwrap();
    let (other, job) = ("globex".parse().unwrap(), "job".parse().unwrap());
    world.others_receipts(&[600, 500, 470, 100]);
    for age in [500, 470, 100] {
        let at = now - Duration::days(age);
        let record = LogRecord { id: age.to_string(), at, record: age.to_string() };
        control.keep_log_records(&world.tenant, "calls", &[record]).await.unwrap();
        fs::write(journal.join(format!("{}.jsonl", at.date())), "").unwrap();
    }

    // 1. A log was last held against our records 460 days ago; it has been given to nobody since. Another
    // came as an export, once.
    world.logs_were_read(460, 0).await;
    let one = Forgotten { log_records: 1, receipts: 1, journal_days: 1, decisions: 0 };
    assert_eq!(world.forget().await, one);
    assert_eq!(world.forget().await, Forgotten::default());

    // 2. Now they are; but somebody looks into what happened 445 days ago.
    world.logs_were_read(0, 0).await;
    let evidence = Evidence {
        at: now - Duration::days(445),
        source: Source::SignIns,
        record: "record".into(),
        text: "somebody".into(),
        address: None,
        uti: None,
    };
    let incident = Incident::of(IncidentKind::StolenKey, None, None, "key", evidence);
    let found = FoundIncident {
        key: incident.key(),
        kind: incident.kind.as_str().into(),
        severity: incident.severity.as_str().into(),
        incident: serde_json::to_value(&incident).unwrap(),
    };
    let recorded = control.record_incident(&world.tenant, found, now).await.unwrap();
    assert_eq!(world.forget().await, Forgotten::default());
    assert_eq!((world.logged().await.len(), world.journal_days(), world.receipts()), (2, 2, 3));

    // 3. It is closed: only what is younger than 400 days stays, and the receipt before it. Whoever had
    // the receipts open writes on.
    control.close_incident(recorded.id(), "a drill", now).await.unwrap();
    assert_eq!(world.forget().await, one);
    assert_eq!((world.logged().await, world.receipts()), (vec!["100".to_owned()], 2));
    let name = uuid::Uuid::new_v4();
    receipts.intend(now, name, &job, &other, Function::Reader, "jti").unwrap();
    assert_eq!(world.receipts(), 3);

    // 4. What is left is whole, and nothing of ours is called somebody else's.
    world.pass().await;
    let found = world.reconcile().await;
    assert!(found.incidents.is_empty(), "{:#?}", found.incidents);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_whose_auditor_was_taken_away_does_not_keep_everything_for_ever() {
    let world = World::new().await;
    world.others_receipts(&[600, 500, 470, 100]);
    world.logs_were_read(550, 550).await;
    assert_eq!(world.forget().await.receipts, 2);
    assert_eq!(
        world.receipts(),
        2,
        "one of 470 days before the time in question, and what is younger"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_does_not_take_its_key_does_not_make_the_ledger_grow_each_minute() {
    let mut world = World::new().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/bucket", listener.local_addr().unwrap()).parse().unwrap();
    let refuse = axum::Router::new().fallback(async || axum::http::StatusCode::FORBIDDEN);
    tokio::spawn(async move { axum::serve(listener, refuse).await });
    let bucket = Bucket { url, region: "eu".into(), keep_days: 1, ca: None };
    let kept = world.directory.path().join("auditor.jsonl");
    let witness = |name: &str, way| Witness { name: name.into(), way };
    let witnesses = vec![
        witness("bucket", WitnessWay::Bucket(bucket)),
        witness("auditor", WitnessWay::File(kept.clone())),
    ];
    world.service =
        common::open(world.service.data().root(), common::TINY).await.with_witnesses(witnesses);
    world.service.seal_witness_key("bucket", "id\nsecret").await.unwrap();
    let handed_out = || {
        let ledger = fs::read_to_string(world.ledger()).unwrap();
        ledger.matches("own_secret_released").count()
    };
    for _ in 0..4 {
        let told = world.service.tell_witnesses().await.unwrap();
        assert!(told[0].1.error.as_ref().unwrap().contains("403"), "{told:?}");
    }
    assert_eq!(handed_out(), 1);
    assert_eq!(fs::read_to_string(&kept).unwrap().lines().count(), 1, "nothing was new");

    // Whoever seals another one here does not wait for it to be tried.
    world.service.seal_witness_key("bucket", "id\nanother").await.unwrap();
    world.service.tell_witnesses().await.unwrap();
    assert_eq!(handed_out(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn letting_go_of_old_receipts_is_not_called_damage() {
    // With the shortest time that can be set; and with nothing backed up for most of the time.
    for (keep, ages) in [(60, [62, 61, 59]), (400, [430, 420, 40])] {
        let world = World::new().await;
        world.set_up_auditor().await;
        world.others_receipts(&ages);
        // Else all of it is needed, because the logs were never held against it.
        assert!(world.reconcile().await.incidents.is_empty());
        let (keep, now) = (Duration::days(keep), OffsetDateTime::now_utc());
        let forgotten = world.service.forget_evidence(keep, now).await.unwrap();
        let found = world.reconcile().await;
        assert!(found.incidents.is_empty(), "{keep}: {:#?}", found.incidents);
        assert_eq!(forgotten.receipts, 1, "the receipt before the first that is kept stays");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_request_whose_beginning_was_let_go_of_is_no_forgery() {
    let world = World::new().await;
    world.set_up_auditor().await;
    let receipts = ReceiptLog::open(world.service.data().receipts()).unwrap();
    let (other, job) = ("globex".parse().unwrap(), "job".parse().unwrap());
    let (begun, name) = (OffsetDateTime::now_utc() - Duration::days(430), uuid::Uuid::new_v4());
    receipts.intend(begun, name, &job, &other, Function::Reader, "jti").unwrap();
    receipts.refused(begun + Duration::seconds(1), name, "AADSTS700027").unwrap();
    world.others_receipts(&[40]);
    assert!(world.reconcile().await.incidents.is_empty());
    assert_eq!(world.forget().await.receipts, 1, "the end stays, and the beginning does not");
    let found = world.reconcile().await;
    assert!(found.incidents.is_empty(), "{:#?}", found.incidents);
    // An end that nobody began is one still.
    receipts.refused(OffsetDateTime::now_utc(), uuid::Uuid::new_v4(), "AADSTS700027").unwrap();
    let found = world.reconcile().await;
    let kinds: Vec<_> = found.incidents.iter().map(|(_, incident)| incident.kind).collect();
    assert_eq!(kinds, [ForgedReceipt], "{:#?}", found.incidents);
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_that_somebody_shortened_as_if_they_were_old_are_found() {
    // By a process that knew them, and by one that did not and sees the last one as it was.
    for knows in [true, false] {
        let mut world = world().await;
        if knows {
            world.pass().await;
        }
        let receipts = ReceiptLog::open(world.service.data().receipts()).unwrap();
        let later = OffsetDateTime::now_utc() + Duration::days(500);
        assert!(receipts.forget(later).unwrap() > 0);
        if !knows {
            world.reopen(TINY).await;
        }
        let found = world.reconcile().await;
        let kinds: Vec<_> = found.incidents.iter().map(|(_, incident)| incident.kind).collect();
        assert_eq!(kinds, [EvidenceDamaged], "{knows}: {:#?}", found.incidents);
    }
}

/// Uses of a key so many days ago, the oldest first: their signatures are in the ledger, and their receipts
/// are there, before anything else.
fn used_before(lab: &LabOptions, ages: &[i64]) {
    let above = lab.directory.parent().unwrap();
    let data = DataDirectory::new(above.join("data"));
    data.create().unwrap();
    let now = OffsetDateTime::now_utc();
    let sealing = Sealing::IdentityFile(above.join("key.txt"));
    let mut options = SignerOptions::new(data.signer(), data.signer_socket(), sealing);
    options.clock = Arc::new(move || now - Duration::days(1_000));
    drop(Signer::open(options).unwrap());
    let path = data.signer().join("ledger.jsonl");
    let mut head = ledger::verify(BufReader::new(File::open(&path).unwrap())).unwrap().head;
    let mut lines = OpenOptions::new().append(true).open(&path).unwrap();
    let receipts = ReceiptLog::open(data.receipts()).unwrap();
    let (tenant, function): (TenantName, _) = ("acme".parse().unwrap(), Function::Reader);
    for age in ages {
        let at = now - Duration::days(*age);
        let (id, job) = (uuid::Uuid::new_v4(), "job".parse().unwrap());
        let event = LedgerEvent::AssertionSigned {
            tenant: tenant.clone(),
            function,
            jti: id.to_string(),
            key_id: "an older one".to_owned(),
            client_id: "11111111-2222-3333-4444-555555555555".to_owned(),
            audience: "https://login.example".to_owned(),
            expires: at + Duration::minutes(5),
            by: Requester {
                caller: "serve".parse().unwrap(),
                job: None,
                uid: Some(1),
                pid: None,
                certificate: None,
            },
        };
        let (line, next) = ledger::encode(&head, at, &event).unwrap();
        lines.write_all(&line).unwrap();
        head = next;
        receipts.intend(at, id, &job, &tenant, function, &id.to_string()).unwrap();
        receipts.received(at, id, None, None, at + Duration::hours(1)).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_uses_from_before_a_rest_of_months_are_not_called_forged() {
    let world = World::with(|lab| used_before(lab, &[41, 40, 39]), TINY).await;
    world.set_up_auditor().await;
    // `serve` has seen the first use and then did not run until now.
    let receipts = fs::read_to_string(world.service.data().receipts()).unwrap();
    let seen = parse_receipt(receipts.lines().nth(1).unwrap().as_bytes()).unwrap();
    let at = seen.time.format(&Rfc3339).unwrap();
    let seen = json!({ "seq": seen.seq, "hash": seen.hash, "at": at });
    let watch = |_| Ok(json!({ "own": { "receipts": seen } }));
    world.service.control().change_watch(&world.tenant, watch).await.unwrap();
    for _ in 0..2 {
        let found = world.reconcile().await;
        assert!(found.incidents.is_empty(), "{:#?}", found.incidents);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_let_go_of_while_it_is_known_makes_nobody_a_thief_or_forger() {
    let mut world = World::with(|lab| used_before(lab, &[500, 450, 100, 40]), TINY).await;
    world.set_up_auditor().await;
    world.pass().await;
    assert!(world.reconcile().await.incidents.is_empty());
    // The last from before stays: the end of a request whose beginning does not.
    assert_eq!(world.forget().await.receipts, 3);
    for knows in [true, true, false] {
        if !knows {
            world.reopen(TINY).await;
        }
        let found = world.reconcile().await;
        assert!(found.incidents.is_empty(), "{:#?}", found.incidents);
        assert!(found.ours.0 > 0, "what we do now is ours");
        world.pass().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_finds_what_was_changed_in_front_of_what_it_has_read() {
    for kind in [EvidenceDamaged, LedgerDamaged] {
        let world = world().await;
        let World { service, tenant, .. } = &world;
        let root = service.data().root();
        let serve = Arc::new(common::open(root, TINY).await);
        let before = service.watched(tenant).await.unwrap().judged;
        let short = std::time::Duration::from_millis(1);
        let day = std::time::Duration::from_secs(86_400);
        let pace = WatchPace { posture: day, logs: short, compared: short };
        let tending = tokio::spawn(async move { serve.tend_watch(&pace).await });
        until("it has looked", async || service.watched(tenant).await.unwrap().judged > before)
            .await;
        let found = async || -> Vec<String> {
            let all = service.incidents(Some(tenant)).await.unwrap();
            // What the look at the registrations finds is another matter.
            let about_uses = |kind: &String| USES.iter().any(|one| one.as_str() == kind.as_str());
            all.into_iter().map(|one| one.kind).filter(about_uses).collect()
        };
        assert_eq!(found().await, [""; 0]);
        let path = match kind {
            LedgerDamaged => world.ledger(),
            _ => service.data().receipts(),
        };
        let mut file = OpenOptions::new().write(true).open(path).unwrap();
        file.write_all(b"x").unwrap();
        until("it is found", async || !found().await.is_empty()).await;
        assert_eq!(found().await, [kind.as_str()]);
        tending.abort();
    }
}

/// What can be found when uses of our keys are held against our records.
const USES: [IncidentKind; 5] = [
    EvidenceDamaged,
    LedgerDamaged,
    IncidentKind::StolenKey,
    IncidentKind::StolenToken,
    IncidentKind::ForgedReceipt,
];

async fn until(what: &str, comes: impl AsyncFn() -> bool) {
    let begun = Instant::now();
    while !comes().await {
        assert!(begun.elapsed().as_secs() < 120, "in vain: {what}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}
