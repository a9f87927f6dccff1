use mailkeep_identity::{JobId, ReceiptLog};
use mailkeep_model::Function;
use tempfile::TempDir;

use super::*;

struct World {
    directory: TempDir,
    log: ReceiptLog,
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let log = ReceiptLog::open(directory.path().join("receipts")).unwrap();
        Self { directory, log }
    }

    fn none(&self) -> KnownReceipts {
        let path = self.directory.path().join("receipts");
        KnownReceipts::none(path, self.directory.path())
    }

    fn begins(&self, at: OffsetDateTime, of: &str) -> Uuid {
        let (id, job) = (Uuid::new_v4(), JobId::from(Uuid::new_v4()));
        let tenant = of.parse().unwrap();
        self.log.intend(at, id, &job, &tenant, Function::Reader, "jti").unwrap();
        id
    }

    fn ends(&self, at: OffsetDateTime, id: Uuid) {
        self.log.received(at, id, None, None, at).unwrap();
    }
}

/// What a tenant is told: the numbers of its receipts, and of those of nobody.
fn told(lines: Option<Lines>) -> Option<(Vec<u64>, Vec<u64>)> {
    let numbers = |lines: Vec<u8>| {
        let lines = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let mut all: Vec<u64> = lines.map(|line| parse_receipt(line).unwrap().seq).collect();
        all.sort_unstable();
        all
    };
    lines.map(|(own, others)| (numbers(own), numbers(others)))
}

#[test]
fn a_receipt_that_was_not_looked_at_yet_is_however_old_it_says_it_is() {
    let (world, acme) = (World::new(), "acme".parse().unwrap());
    let (now, long_ago) = (OffsetDateTime::now_utc(), Duration::days(60));
    world.ends(now - long_ago, world.begins(now - long_ago, "acme"));
    world.ends(now, world.begins(now, "acme"));
    let (known, lines, end) =
        world.none().read(&acme, None, Look::Now, OffsetDateTime::now_utc()).unwrap().unwrap();
    assert_eq!(told(lines), Some((vec![3, 4], vec![])));

    // Who has not seen those of long ago must not miss them.
    let all = std::fs::read(&known.path).unwrap();
    let second = all.split(|byte| *byte == b'\n').nth(1).map(parse_receipt).unwrap().unwrap();
    let first = Head { seq: 1, hash: second.prev };
    let (known, lines, _) =
        known.read(&acme, Some(first), Look::Now, OffsetDateTime::now_utc()).unwrap().unwrap();
    assert_eq!(told(lines), None);

    world.ends(now - long_ago, world.begins(now - long_ago, "acme"));
    let seen = end.map(|end| end.head);
    let (_, lines, _) =
        known.read(&acme, seen, Look::Now, OffsetDateTime::now_utc()).unwrap().unwrap();
    assert_eq!(told(lines), Some((vec![3, 4, 5, 6], vec![])));
}

#[test]
fn each_tenant_sees_its_own_receipts_and_those_of_nobody() {
    let (world, now) = (World::new(), OffsetDateTime::now_utc());
    let (acme, globex) = ("acme".parse().unwrap(), "globex".parse().unwrap());
    let id = world.begins(now, "acme");
    world.begins(now, "globex");
    let (known, lines, _) =
        world.none().read(&acme, None, Look::Now, OffsetDateTime::now_utc()).unwrap().unwrap();
    assert_eq!(told(lines), Some((vec![1], vec![])));
    world.ends(now, id);
    world.ends(now, id);
    world.ends(now, Uuid::new_v4());
    let (known, lines, _) =
        known.read(&acme, None, Look::Now, OffsetDateTime::now_utc()).unwrap().unwrap();
    assert_eq!(told(lines), Some((vec![1, 3, 4], vec![5])));
    let (_, lines, _) =
        known.read(&globex, None, Look::Now, OffsetDateTime::now_utc()).unwrap().unwrap();
    assert_eq!(told(lines), Some((vec![2], vec![5])));
}

#[test]
fn what_was_changed_in_front_of_what_was_read_is_found_and_so_is_another_past() {
    let (world, now, acme) = (World::new(), OffsetDateTime::now_utc(), "acme".parse().unwrap());
    for _ in 0..100 {
        world.ends(now, world.begins(now, "acme"));
    }
    let (mut known, lines, end) =
        world.none().read(&acme, None, Look::Now, OffsetDateTime::now_utc()).unwrap().unwrap();
    assert_eq!(told(lines).unwrap().0.len(), 200);
    let all = std::fs::read(&known.path).unwrap();
    let receipts: Vec<Receipt> =
        all.split(|byte| *byte == b'\n').filter_map(|line| parse_receipt(line).ok()).collect();
    for receipt in &receipts {
        let seen = Head { seq: receipt.seq, hash: receipt.hash };
        assert!(known.has(&seen).unwrap(), "{}", receipt.seq);
        let other = Head { seq: receipt.seq, hash: receipt.prev };
        let lines;
        (known, lines, _) =
            known.read(&acme, Some(other), Look::Now, OffsetDateTime::now_utc()).unwrap().unwrap();
        assert!(lines.is_none(), "another past is taken for this one at {}", receipt.seq);
    }
    let later = Head { seq: 201, hash: receipts[0].hash };
    assert!(!known.has(&later).unwrap());

    let (mut changed, seen) = (all.clone(), end.map(|end| end.head));
    changed[100] ^= 1;
    std::fs::write(&known.path, &changed).unwrap();
    assert!(known.read(&acme, seen, Look::Now, OffsetDateTime::now_utc()).unwrap().is_none());
    std::fs::write(world.directory.path().join("receipts"), &all[..1000]).unwrap();
    let (_, lines, _) =
        world.none().read(&acme, seen, Look::Now, OffsetDateTime::now_utc()).unwrap().unwrap();
    assert!(lines.is_none(), "nobody noticed that receipts were cut off");
}

#[test]
fn receipts_that_begin_later_are_compared_and_looked_up_as_others_are() {
    let (world, acme) = (World::new(), "acme".parse().unwrap());
    let now = OffsetDateTime::now_utc();
    let days = |days| now - Duration::days(days);
    for _ in 0..70 {
        world.ends(days(90), world.begins(days(90), "acme"));
    }
    world.ends(days(80), world.begins(days(80), "acme"));
    for _ in 0..100 {
        world.ends(now, world.begins(now, "acme"));
    }
    let (known, ..) = world.none().read(&acme, None, Look::Now, now).unwrap().unwrap();
    assert!(world.log.forget(days(85)).unwrap() == 139);
    // Another file is compared, however lately the one before was; then it is read anew.
    let hour = Look::Lately(std::time::Duration::from_secs(3600));
    assert!(known.read(&acme, None, hour, now).unwrap().is_none());
    let (known, lines, end) = world.none().read(&acme, None, Look::Now, now).unwrap().unwrap();
    assert_eq!(told(lines).unwrap(), ((143..=342).collect(), vec![]));
    world.ends(now, world.begins(now, "acme"));
    let seen = end.map(|end| end.head);
    let (known, lines, _) = known.read(&acme, seen, Look::Now, now).unwrap().unwrap();
    assert_eq!(told(lines).unwrap().0.len(), 202);

    let all = std::fs::read(&known.path).unwrap();
    let receipts = all.split(|byte| *byte == b'\n').filter_map(|line| parse_receipt(line).ok());
    let receipts: Vec<Receipt> = receipts.collect();
    assert_eq!(receipts.len(), 205);
    for receipt in &receipts {
        let seen = Head { seq: receipt.seq, hash: receipt.hash };
        assert!(known.has(&seen).unwrap(), "{}", receipt.seq);
        assert!(!known.has(&Head { hash: receipt.prev, ..seen }).unwrap());
    }
    let gone = Head { seq: 139, hash: receipts[0].prev };
    assert!(!known.has(&gone).unwrap());
    // A byte of the line in front counts as any other.
    let mut changed = all;
    changed[40] ^= 1;
    std::fs::write(&known.path, &changed).unwrap();
    assert!(known.read(&acme, seen, Look::Now, now).unwrap().is_none());
}

#[test]
fn a_look_that_shares_a_comparison_makes_one_when_that_is_too_old() {
    let (world, now, acme) = (World::new(), OffsetDateTime::now_utc(), "acme".parse().unwrap());
    world.ends(now, world.begins(now, "acme"));
    let minute = std::time::Duration::from_secs(60);
    let read = || world.none().read(&acme, None, Look::Now, now).unwrap().unwrap().0;
    let (fresh, mut old) = (read(), read());
    old.checked = old.checked.checked_sub(minute * 2).unwrap();
    let mut file = std::fs::OpenOptions::new().write(true).open(&old.path).unwrap();
    io::Write::write_all(&mut file, b"x").unwrap();
    assert!(fresh.read(&acme, None, Look::Lately(minute), now).unwrap().is_some());
    assert!(old.read(&acme, None, Look::Lately(minute), now).unwrap().is_none());
}

#[test]
fn a_clock_that_went_astray_takes_no_receipts_away_for_good() {
    let (world, now, acme) = (World::new(), OffsetDateTime::now_utc(), "acme".parse().unwrap());
    world.ends(now, world.begins(now, "acme"));
    let astray = now + Duration::days(40);
    let (known, lines, _) = world.none().read(&acme, None, Look::Now, astray).unwrap().unwrap();
    assert_eq!(told(lines), Some((vec![], vec![])));
    let directory = world.directory.path();
    let at = |now, known: KnownReceipts| {
        let path = known.path.clone();
        let known = KnownReceipts::at(now, Some(known), path, directory);
        let read = known.progress.so_far.head.seq;
        let (known, lines, _) = known.read(&acme, None, Look::Now, now).unwrap().unwrap();
        (known, read, told(lines))
    };
    let all = Some((vec![1, 2], vec![]));
    let (known, read, lines) = at(now, known);
    assert_eq!((read, &lines), (0, &all), "it is not read anew");
    // A clock that is set right by a little is none that went astray.
    let (_, read, lines) = at(now - Duration::minutes(50), known);
    assert_eq!((read, lines), (2, all));
}
