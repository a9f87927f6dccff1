//! What it takes to hold many tenants' logs against one large ledger.

#![allow(clippy::unwrap_used)]

use std::{
    fs::{self, File, OpenOptions},
    io::{BufReader, BufWriter, Write},
    path::Path,
    sync::Arc,
    time::Instant,
};

use mailkeep_identity::{
    Head, JobId, ReceiptEvent, Record,
    ledger::{self, LedgerEvent, LedgerRecord, Requester},
    verify_receipts,
};
use mailkeep_model::{Function, ListedTenant, TenantName};
use mailkeep_service::{DataDirectory, Service};
use mailkeep_signer::{Sealing, Signer, SignerOptions};
use serde_json::json;
use sha2::{Digest, Sha256};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// How many, as the environment says.
fn count(name: &str, usual: usize) -> usize {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(usual)
}

fn tenant(number: usize) -> TenantName {
    format!("t{number:05}").parse().unwrap()
}

/// Writes a month of signatures, spread over the tenants, and the receipts of the tokens.
fn write_records(data: &DataDirectory, tenants: usize, records: usize) {
    let path = data.signer().join("ledger.jsonl");
    let known = ledger::verify(BufReader::new(File::open(&path).unwrap())).unwrap();
    let mut ledger = BufWriter::new(OpenOptions::new().append(true).open(&path).unwrap());
    let mut receipts = Receipts::new(&data.receipts());
    let (mut head, now) = (known.head, OffsetDateTime::now_utc());
    let begin = now - Duration::days(30);
    for number in 0..records {
        let share = number as f64 / records as f64;
        let at = begin + Duration::seconds_f64(share * 30.0 * 86_400.0);
        let (of, job) = (tenant(number % tenants), JobId::from(Uuid::new_v4()));
        let (jti, id) = (Uuid::new_v4().to_string(), Uuid::new_v4());
        let event = LedgerEvent::AssertionSigned {
            tenant: of.clone(),
            function: Function::Reader,
            jti: jti.clone(),
            key_id: Uuid::from_u128(number as u128 % tenants as u128).to_string(),
            client_id: Uuid::from_u128(number as u128 % tenants as u128).to_string(),
            audience: format!(
                "https://login.microsoftonline.com/{}/oauth2/v2.0/token",
                Uuid::nil()
            ),
            expires: at + Duration::minutes(5),
            by: Requester {
                caller: "mailkeep-serve".parse().unwrap(),
                job: Some(job.clone()),
                uid: Some(1000),
                pid: Some(4711),
                certificate: None,
            },
        };
        let (line, next) = ledger::encode(&head, at, &event).unwrap();
        ledger.write_all(&line).unwrap();
        head = next;
        let function = Function::Reader;
        let intended =
            ReceiptEvent::Intended { client_request_id: id, job, tenant: of, function, jti };
        receipts.write(at, &intended);
        receipts.write(
            at,
            &ReceiptEvent::Received {
                client_request_id: id,
                request_id: Some(Uuid::new_v4().to_string()),
                uti: Some("AAAAAAAAAAAAAAAAAAAAAA".to_owned()),
                expires: at + Duration::hours(1),
            },
        );
    }
    ledger.flush().unwrap();
    receipts.file.flush().unwrap();
}

/// Writes receipts without waiting for the disk after each.
struct Receipts {
    file: BufWriter<File>,
    head: Head,
}

impl Receipts {
    fn new(path: &Path) -> Self {
        Self { file: BufWriter::new(File::create(path).unwrap()), head: Head::EMPTY }
    }

    fn write(&mut self, at: OffsetDateTime, event: &ReceiptEvent) {
        let time = at.format(&time::format_description::well_known::Rfc3339).unwrap();
        let (seq, prev) = (self.head.seq + 1, self.head.hash);
        let event = serde_json::to_string(event).unwrap();
        let body = format!(r#"{{"seq":{seq},"prev":"{prev}","time":"{time}","event":{event}"#);
        let hash = Sha256::new().chain_update("mailkeep-receipts-1\n").chain_update(&body);
        let hash = data_encoding::HEXLOWER.encode(&hash.finalize());
        writeln!(self.file, r#"{body},"hash":"{hash}"}}"#).unwrap();
        self.head = Head { seq, hash: hash.parse().unwrap() };
    }
}

/// Processor time of this process, in seconds.
fn processor() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    ticks / 100.0
}

/// A line of /proc/self/status, in bytes.
fn memory(line: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|one| one.strip_prefix(line)).unwrap();
    line.trim_matches(|c: char| !c.is_ascii_digit()).parse::<u64>().unwrap() * 1024
}

async fn world(above: &Path, tenants: usize, records: usize) -> Arc<Service> {
    let data = DataDirectory::new(above.join("data"));
    data.create().unwrap();
    let options = || {
        let sealing = Sealing::IdentityFile(above.join("master.txt"));
        SignerOptions::new(data.signer(), data.signer_socket(), sealing)
    };
    drop(Signer::open(options()).unwrap());
    write_records(&data, tenants, records);
    let signer = Signer::open(options()).unwrap();
    tokio::spawn(signer.serve(std::future::pending()));
    let service = Service::open(data, "many".parse().unwrap()).await.unwrap();
    let service = Arc::new(service);
    let listed = |number| -> ListedTenant {
        let line = json!({"tenant": tenant(number), "directory": "lab.example"});
        serde_json::from_value(line).unwrap()
    };
    let list = (0..tenants).map(listed).collect();
    service.import_tenants(list, None, |one| drop(one.outcome.unwrap())).await.unwrap();
    service
}

/// What every look did before: all of ledger and receipts.
async fn look_at_all(service: &Service, of: TenantName) -> usize {
    let path = service.data().receipts();
    let all = tokio::task::spawn_blocking(move || {
        let mut all: Vec<Record<ReceiptEvent>> = Vec::new();
        let file = BufReader::new(File::open(path).unwrap());
        verify_receipts(file, None, |receipt| all.push(receipt.clone())).unwrap();
        all
    });
    let all = all.await.unwrap();
    let each = move |own: &mut Vec<LedgerRecord>, record: &LedgerRecord| {
        if matches!(&record.event, LedgerEvent::AssertionSigned { tenant, .. } if *tenant == of) {
            own.push(record.clone());
        }
    };
    let (read, own) = service.read_ledger(Vec::new(), Vec::new(), each).await.unwrap();
    read.outcome.unwrap();
    own.len() + all.len()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: cargo xtask bench reconcile"]
async fn looks_at_many_tenants() {
    let (tenants, records) =
        (count("MAILKEEP_TENANTS", 1_000), count("MAILKEEP_RECORDS", 1_000_000));
    let above = std::env::var_os("MAILKEEP_BENCH_DIR").map(std::path::PathBuf::from);
    let directory = match above {
        Some(above) => tempfile::tempdir_in(above).unwrap(),
        None => tempfile::tempdir().unwrap(),
    };
    let service = world(directory.path(), tenants, records).await;
    let bytes = |path: std::path::PathBuf| fs::metadata(path).unwrap().len();
    let ledger = bytes(service.data().signer().join("ledger.jsonl"));
    let receipts = bytes(service.data().receipts());
    let now = OffsetDateTime::now_utc();
    let measure = |begin: (Instant, f64)| (begin.0.elapsed().as_secs_f64(), processor() - begin.1);
    let look = async |number| drop(service.blast_radius(&tenant(number), None, now).await.unwrap());

    let at_start = memory("VmRSS:");
    let begin = (Instant::now(), processor());
    look(0).await;
    let first = measure(begin);
    let begin = (Instant::now(), processor());
    for number in 1..tenants {
        look(number).await;
    }
    let others = measure(begin);
    let peak = memory("VmHWM:");

    let begin = (Instant::now(), processor());
    let before = tenants.min(3);
    for number in 0..before {
        look_at_all(&service, tenant(number)).await;
    }
    let all = measure(begin);
    let each = |(wall, cpu): (f64, f64), of: usize| json!({"wall": wall / of as f64, "cpu": cpu / of as f64});
    let told = json!({
        "tenants": tenants, "records": records, "ledger": ledger, "receipts": receipts,
        "first": each(first, 1), "others": each(others, (tenants - 1).max(1)), "before": each(all, before),
        "memory": {"start": at_start, "peak": peak, "peak_before": memory("VmHWM:")},
    });
    println!("measured {told}");
}
