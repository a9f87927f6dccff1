//! Fresh keys for many tenants by one command, while their mailboxes are read.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{
    Record,
    measure::{cpu_seconds, high_water_mark, megabytes},
    release_build,
    report::Report,
    workplace,
};
use crate::{
    story::{Background, Lab, Mailkeep, READER_ROLES},
    tools,
    workspace::{output, target},
};

/// Processor time that 3,600 tenants may take.
const MOST_SECONDS: f64 = 60.0;
/// Tenants whose mailboxes are read meanwhile.
const READ: usize = 16;
/// Keys, and signatures of each, that the signer's speed is measured with.
const SPEED: (usize, usize) = (24, 25);
/// Where Debian, Fedora and Arch put SoftHSM.
const MODULES: &[&str] = &[
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/lib/pkcs11/libsofthsm2.so",
];

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Tenants that there are
    #[arg(long, default_value_t = 36_000, value_name = "N")]
    tenants: usize,
    /// Tenants whose keys are changed
    #[arg(long, default_value_t = 3_600, value_name = "N")]
    rekey: usize,
    /// End when keys for them could not be made in so long; the next run goes on
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,
    #[command(flatten)]
    record: Record,
}

pub(super) fn run(options: &Options) -> Result<()> {
    ensure!((READ..=options.tenants).contains(&options.rekey), "from {READ} to all tenants");
    tools::for_tests()?;
    let program = release_build()?;
    let pool = pool(&program, options)?;
    let place = workplace()?;
    let file = speed(&program, &place.path().join("files"), None)?;
    let token = token(&program, &place.path().join("token"))?;
    let site = Site::set_up(&program, place.path(), &pool, options)?;
    let mut lab_names = site.active()?;

    let load_before = load()?;
    let reading = Reading::start(&site);
    let begin = Instant::now();
    let before = cpu_seconds(site.signer.id()).context("the signer's processor time")?;
    let mut change = site.mailkeep.watch(&["identity", "rotate", "--all", "--at-once"], |_| ());
    let (mut seconds, mut peak) = (0.0_f64, 0);
    while !change.has_ended() {
        seconds = seconds.max(cpu_seconds(change.id()).unwrap_or_default());
        peak = peak.max(high_water_mark(change.id()).unwrap_or_default());
        thread::sleep(Duration::from_millis(10));
    }
    let wall = begin.elapsed().as_secs_f64();
    let of_signer = cpu_seconds(site.signer.id()).context("its processor time")? - before;
    let signer_peak = high_water_mark(site.signer.id()).unwrap_or_default();
    let (passes, failed) = reading.stop()?;
    let done = change.finish().ok().json_lines();
    ensure!(done.len() == options.rekey, "{} of {} tenants", done.len(), options.rekey);

    let fresh = site.active()?;
    ensure!(fresh.len() == options.rekey, "{} applications", fresh.len());
    for (application, key) in &fresh {
        let old = lab_names.remove(application);
        ensure!(old.is_some_and(|old| old != *key), "{application} has its old key");
    }
    site.mailkeep.run(&["identity", "ledger", "verify"]).ok();

    let columns = ["", "tenants/s", "processor, s", "command, s", "signer, s", "command", "signer"];
    let command =
        format!("cargo xtask bench rekey --tenants {} --rekey {}", options.tenants, options.rekey);
    let mut report = Report::new("Fresh keys for many tenants", command, &columns);
    report.row(
        &format!("{} of {}", options.rekey, options.tenants),
        [
            format!("{:.1}", options.rekey as f64 / wall),
            format!("{:.1}", seconds + of_signer),
            format!("{seconds:.1}"),
            format!("{of_signer:.1}"),
            megabytes(peak),
            megabytes(signer_peak),
        ],
    );
    report.note(format!(
        "`mailkeep identity rotate --all --at-once` in {wall:.1} s: for each tenant's reader the key that lay ready is registered with a \
         proof, tried, put to use, the old one removed and found to be refused; five signatures. Afterwards each application had one key, \
         none its old one, and the ledger verifies. Processor time is user and system of the command and of the signer, from \
         /proc; the lab's is not counted, and shares the cores. Meanwhile {READ} of these tenants were read in turn, by `mailkeep backup`: \
         {passes} passes, {failed} failed. Memory is the peak. The other {} tenants are known to service and lab, and have no key. \
         The machine's load was {load_before} before and {} at the end.",
        options.tenants - options.rekey,
        load()?,
    ));
    report.note(
        "The keys, one in use and one ready for each tenant, were made by the signer before (`tenant import`), and are kept in \
         target/rekey-keys for the next run; all that is measured works on a copy.",
    );
    let mut speeds = format!(
        "The signer alone, asked over two connections: {:.1} keys/s and {:.0} signatures/s (RSA-3072) with sealed files",
        file.keys, file.signatures
    );
    match token {
        Some(token) => speeds.push_str(&format!(
            "; {:.1} keys/s and {:.0} signatures/s inside SoftHSM.",
            token.keys, token.signatures
        )),
        None => speeds.push_str("; SoftHSM is not installed."),
    }
    report.note(speeds);
    report.finish(&options.record)?;
    ensure!(failed == 0, "{failed} of {passes} passes failed meanwhile");
    let most = MOST_SECONDS * options.rekey as f64 / 3_600.0;
    ensure!(seconds + of_signer < most, "more than {most:.0} s of processor time");
    Ok(())
}

/// The load average of the last minute: what else runs makes processor time longer, too.
fn load() -> Result<String> {
    let load = fs::read_to_string("/proc/loadavg")?;
    Ok(load.split(' ').next().unwrap_or_default().to_owned())
}

/// A data directory with keys for the tenants whose keys are changed, made once: with 7,200 keys, that
/// takes half an hour of a processor.
fn pool(program: &Path, options: &Options) -> Result<Mailkeep> {
    let wanted = options.rekey;
    let directory = target().join("rekey-keys");
    fs::create_dir_all(&directory)?;
    let mailkeep = Mailkeep::new(program, directory.join("data"));
    let made_file = directory.join("made");
    let made = fs::read_to_string(&made_file).ok().and_then(|made| made.trim().parse().ok());
    let made: usize = made.unwrap_or_default();
    if made < wanted {
        println!("making two keys for each of {} tenants, which takes a while", wanted - made);
        let begun = Instant::now();
        let identity = directory.join("identity");
        let _signer = mailkeep.start(&["signer", "--identity-file", &identity.to_string_lossy()]);
        for begin in (made..wanted).step_by(100) {
            let end = wanted.min(begin + 100);
            let list = directory.join("list.jsonl");
            let line = |number| {
                json!({"tenant": name(number), "directory": "lab.example", "keys": ["reader"],
                       "spare": true})
            };
            write_lines(&list, (begin..end).map(line))?;
            mailkeep.json(&["tenant", "import", &list.to_string_lossy()]).ok();
            fs::write(&made_file, end.to_string())?;
            let took = begun.elapsed();
            println!("{end}: {:.1} keys/s", 2.0 * (end - made) as f64 / took.as_secs_f64());
            let is_over = options.seconds.is_some_and(|most| took >= Duration::from_secs(most));
            ensure!(!is_over || end == wanted, "{end} of {wanted} have keys: run this again");
        }
    }
    Ok(mailkeep)
}

fn name(number: usize) -> String {
    format!("t{number:05}")
}

fn write_lines(path: &Path, lines: impl Iterator<Item = Value>) -> Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for line in lines {
        writeln!(file, "{line}")?;
    }
    Ok(file.flush()?)
}

/// Lab, signer and data directory with all tenants.
struct Site {
    mailkeep: Mailkeep,
    lab: Lab,
    signer: Background,
}

impl Site {
    fn set_up(program: &Path, place: &Path, pool: &Mailkeep, options: &Options) -> Result<Self> {
        let mailkeep = Mailkeep::new(program, place.join("data"));
        println!("a lab with {} tenants", options.tenants);
        let tenants = options.tenants.to_string();
        let lab_files = mailkeep.beside(place.join("lab"));
        let lab = Lab::start(&lab_files, &["--tenants", &tenants, "--mailboxes", "1"]);
        let data = mailkeep.data();
        fs::create_dir_all(data)?;
        let above = pool.data().parent().context("the pool's directory")?;
        output(Command::new("cp").arg("-r").arg(pool.data().join("signer")).arg(data))?;
        // The pool may have keys for more tenants than take part, and an old socket.
        for extra in fs::read_dir(data.join("signer/keys"))? {
            let extra = extra?;
            let known = (0..options.rekey).any(|one| extra.file_name() == *name(one));
            if !known {
                fs::remove_dir_all(extra.path())?;
            }
        }
        let identity = above.join("identity");
        let signer = mailkeep.start(&["signer", "--identity-file", &identity.to_string_lossy()]);

        println!("all tenants are added; {} get their keys registered", options.rekey);
        let list = place.join("list.jsonl");
        let ids = lab.tenants();
        let (authority, graph) = (lab.authority(), lab.graph());
        let line = |number: usize, keys: &[&str]| {
            json!({"tenant": name(number), "directory": ids[number], "authority": authority,
                   "graph": graph, "keys": keys})
        };
        let lines = (0..options.tenants)
            .map(|number| line(number, if number < options.rekey { &["reader"] } else { &[] }));
        write_lines(&list, lines)?;
        let ca = lab.ca();
        let import = |file: &Path| {
            let (file, ca) = (file.to_string_lossy(), ca.to_string_lossy());
            mailkeep.json(&["tenant", "import", &file, "--ca", &ca]).ok().json_lines()
        };
        let mut certificates = BTreeMap::new();
        for imported in import(&list) {
            let pem = imported["certificates"]["reader"]["certificate_pem"].as_str();
            if let (Some(tenant), Some(pem)) = (imported["tenant"].as_str(), pem) {
                certificates.insert(tenant.to_owned(), pem.to_owned());
            }
        }
        let orders: Vec<Value> = (0..options.rekey)
            .map(|number| {
                json!({"tenant": ids[number], "name": "reader", "roles": READER_ROLES,
                       "certificate": certificates.get(&name(number))})
            })
            .collect();
        let registered = lab.post_all("register", &orders);
        ensure!(registered.len() == options.rekey, "{} registered", registered.len());
        let lines = registered.iter().enumerate().map(|(number, one)| {
            let mut line = line(number, &[]);
            line["applications"] =
                json!({"reader": {"client_id": one["client_id"], "object_id": one["object_id"],
                  "key_id": one["key_id"]}});
            line
        });
        write_lines(&list, lines)?;
        import(&list);
        let site = Self { mailkeep, lab, signer };
        // The first passes, which have all to read.
        for number in 0..READ {
            site.mailkeep.json(&["backup", &name(number)]).ok();
        }
        Ok(site)
    }

    /// The one key of each application in the lab.
    fn active(&self) -> Result<BTreeMap<String, String>> {
        let mut keys = BTreeMap::new();
        for application in self.lab.applications() {
            let of = application["keys"].as_array().context("its keys")?;
            ensure!(of.len() == 1, "not one key: {application}");
            let client_id = application["client_id"].as_str().context("its id")?;
            let key = of[0]["thumbprint"].as_str().context("its thumbprint")?;
            keys.insert(client_id.to_owned(), key.to_owned());
        }
        Ok(keys)
    }
}

/// Passes over some of the tenants, one after another.
struct Reading {
    ended: Arc<AtomicBool>,
    thread: thread::JoinHandle<(u64, u64)>,
}

impl Reading {
    fn start(site: &Site) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let (mailkeep, end) = (site.mailkeep.clone(), Arc::clone(&ended));
        let thread = thread::spawn(move || {
            let (mut passes, mut failed) = (0, 0);
            for number in (0..READ).cycle() {
                if end.load(Ordering::Relaxed) {
                    break;
                }
                let pass = mailkeep.json(&["backup", &name(number)]);
                passes += 1;
                if pass.code != Some(0) {
                    failed += 1;
                    println!("a pass failed: {pass}");
                }
            }
            (passes, failed)
        });
        Self { ended, thread }
    }

    fn stop(self) -> Result<(u64, u64)> {
        self.ended.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow::anyhow!("the passes stopped"))
    }
}

/// What a signer does in a second.
struct Speed {
    keys: f64,
    signatures: f64,
}

fn speed(program: &Path, place: &Path, module: Option<(&Path, &Path)>) -> Result<Speed> {
    fs::create_dir_all(place)?;
    let mailkeep = Mailkeep::new(program, place.join("data"));
    let identity = place.join("identity").to_string_lossy().into_owned();
    let mut arguments = vec!["signer".to_owned(), "--identity-file".to_owned(), identity];
    let mut configuration = None;
    if let Some((module, settings)) = module {
        let pin = place.join("pin");
        fs::write(&pin, "4711\n")?;
        for (option, value) in [("--pkcs11-module", module), ("--pkcs11-pin-file", &pin)] {
            arguments.extend([option.to_owned(), value.to_string_lossy().into_owned()]);
        }
        arguments.extend(["--pkcs11-token".to_owned(), "bench".to_owned()]);
        configuration = Some(settings.to_owned());
    }
    let mut command = mailkeep.command(&arguments);
    if let Some(configuration) = &configuration {
        command.env("SOFTHSM2_CONF", configuration);
    }
    let _signer = Background::start(command.args(["--json", "--until-stdin-closes"]));
    let mut ask = Command::new("python3");
    ask.arg("-c").arg(include_str!("signer.py")).arg(mailkeep.data().join("signer/signer.sock"));
    ask.args([SPEED.0.to_string(), SPEED.1.to_string()]);
    let said: Value = serde_json::from_str(&output(&mut ask)?)?;
    let number = |name: &str| said[name].as_f64().context("a number");
    Ok(Speed { keys: number("keys")?, signatures: number("signatures")? })
}

/// The same with keys inside SoftHSM, where that is installed.
fn token(program: &Path, place: &Path) -> Result<Option<Speed>> {
    let Some(module) = MODULES.iter().map(PathBuf::from).find(|path| path.exists()) else {
        return Ok(None);
    };
    fs::create_dir_all(place.join("tokens"))?;
    let settings = place.join("softhsm2.conf");
    let tokens = place.join("tokens");
    let text = format!(
        "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
        tokens.display()
    );
    fs::write(&settings, text)?;
    let mut make = Command::new("softhsm2-util");
    make.args(["--init-token", "--free", "--label", "bench", "--pin", "4711", "--so-pin", "4711"]);
    output(make.env("SOFTHSM2_CONF", &settings))?;
    speed(program, place, Some((&module, &settings))).map(Some)
}
