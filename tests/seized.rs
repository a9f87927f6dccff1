//! Somebody has taken everything of Mailkeep but the signer's process.
//!
//! The claim: no private key that opens a mailbox, and nothing that the sealed store is opened or vouched for
//! with (passphrase, age identity, the key of its tags, the ledger's key, that of the workers' authority), is in
//! the memory, environment, arguments or open files of any other process, nor in any file. Not claimed of
//! tokens, of the repository's password, of a worker's own TLS key: the processes that have them need them, and
//! none of them opens a mailbox after an hour, or at all.

mod secrets;
mod story;

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use data_encoding::HEXLOWER;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, CertifiedIssuer, IsCa,
    KeyPair,
};
use secrets::{Found, Loot, Sealed, Searched};
use serde_json::{Value, json};
use story::{Administrator, Watched, World};

/// Nobody has chosen it, so that it is found by no accident.
const PASSPHRASE: &str = "Vu8xGfK2-qTzLw5Yr3NbHc7Jd9PmSs4";
const PROGRAM: &str = env!("CARGO_BIN_EXE_mailkeep");

/// A program, looked into from its beginning to its end.
struct Robbed<'a> {
    searched: &'a mut Searched,
    loot: Loot,
    /// How often each was looked into as a whole.
    looks: Vec<(String, usize)>,
}

impl Robbed<'_> {
    /// Looks into a process while `goes_on`, at least once.
    #[track_caller]
    fn process(&mut self, what: &str, id: u32, mut goes_on: impl FnMut() -> bool) {
        let before = self.loot.dumps;
        let begun = Instant::now();
        loop {
            let search = self.searched.renew();
            let looked = self.loot.process(search, what, id);
            let more = goes_on();
            // A process that ended cannot be looked into any more.
            if let (Err(error), true) = (&looked, more) {
                panic!("{what} cannot be looked into: {error}");
            }
            if !more {
                break;
            }
            assert!(begun.elapsed() < Duration::from_secs(180), "{what} does not come to its end");
        }
        let looks = self.loot.dumps - before;
        assert!(looks > 0, "{what} was never looked into as a whole");
        self.looks.push((what.to_owned(), looks));
    }

    /// Looks into a command until it ends, and into what it printed.
    #[track_caller]
    fn command(&mut self, world: &World, arguments: &[&str]) -> Vec<Value> {
        self.watched(&arguments.join(" "), verbose(world, arguments, |_| {}))
    }

    #[track_caller]
    fn watched(&mut self, what: &str, mut running: Watched) -> Vec<Value> {
        self.process(what, running.id(), || !running.has_ended());
        let run = running.finish().ok();
        let search = self.searched.renew();
        self.loot.printed(search, what, &[&run.stdout, run.stderr.as_bytes()]);
        run.json_lines()
    }
}

/// A command that says everything that it can say.
fn verbose(
    world: &World,
    arguments: &[&str],
    on_line: impl FnMut(&str) + Send + 'static,
) -> Watched {
    let mut command = world.mailkeep.command(arguments);
    Watched::start(command.arg("--json").env("RUST_LOG", "trace"), on_line)
}

#[test]
fn whoever_takes_everything_but_the_signer_gets_no_key() {
    // 1. A tenant whose administrator has run what we print, and one that is served from another machine.
    let world = World::with_passphrase(PROGRAM, &["--mailboxes", "3"], PASSPHRASE);
    set_up(&world);
    let worker = world.remote_worker("branch");
    worker.set_up("branch");
    let sealed = Sealed::open(world.mailkeep.data().join("signer"), PASSPHRASE);
    let mut searched = Searched::for_all_in(sealed);
    // Slow enough that there is something to look into.
    world.lab.faults(&json!([{"delay_ms": 30}]));

    // 2. Each kind of work that uses a key, while somebody looks.
    let mut robbed = Robbed { searched: &mut searched, loot: Loot::default(), looks: Vec::new() };
    serve(&world, &mut robbed);
    robbed.command(&world, &["tenant", "check", "acme"]);
    robbed.command(&world, &["identity", "reconcile", "acme"]);
    restore(&world, &mut robbed);
    certify(&world, &mut robbed);
    robbed.command(&world, &rotate("auditor"));
    robbed.command(&worker, &["backup", "branch"]);
    let Robbed { mut loot, looks, .. } = robbed;

    // 3. The provider's process, and every file: the database with its log, vaults, journal, receipts, the
    //    signer's own sealed files, what was printed for the administrator. The passphrase's file alone is out
    //    of his reach: the master key is from outside.
    let search = searched.renew();
    let lab = world.lab.id().expect("the lab runs");
    loot.process(search, "lab", lab).expect("the lab can be looked into");
    let passphrase = world.path("passphrase");
    loot.files_below(search, &world.path(""), &[&passphrase]);
    assert!(loot.files > 50, "only {} files were looked at", loot.files);

    // 4. Nothing of it is there.
    for function in ["reader", "auditor", "restorer"] {
        let known = searched.hidden.keys().any(|name| name.contains(function));
        assert!(known, "no key of the {function}: {:#?}", searched.hidden.keys());
    }
    assert!(loot.found.is_empty(), "secrets outside of the signer: {:#?}", loot.found);

    // 5. The same search finds each secret in every form, where somebody put it.
    let planted = plant(&world, &searched);
    for place in ["memory", "a file"] {
        let there = planted.found.iter().filter(|(at, _)| at.starts_with(place));
        let there: BTreeSet<Found> = there.flat_map(|(_, found)| found.clone()).collect();
        let all = searched.search.all();
        let missed: Vec<&Found> = all.difference(&there).collect();
        assert!(missed.is_empty(), "not found in {place}: {missed:#?}");
    }

    // 6. And it finds in the signer what the signer has to have.
    let own = in_the_signer(&world, &searched);
    for (what, times) in looks {
        eprintln!("looked {times} times into: {what}");
    }
    eprintln!(
        "{} secrets in {} forms each; {} looks into processes, {} files, {} MB: none. {own}",
        searched.hidden.len(),
        searched.search.all().len() / searched.hidden.len(),
        loot.dumps,
        loot.files,
        loot.bytes / 1_000_000,
    );
}

/// `acme` with a reader, an auditor and a restorer, by the scripts that are printed for it.
#[track_caller]
fn set_up(world: &World) {
    let administrator = Administrator::sign_in(&world.lab, world.path("administrator"));
    world.add_tenant("acme");
    let out = world.path("for the administrator");
    let mut setup = vec!["tenant".into(), "setup".into(), "acme".into(), "--out".into()];
    setup.push(out.to_string_lossy().into_owned());
    for function in ["reader", "auditor", "restorer"] {
        setup.extend(["--function".to_owned(), function.to_owned()]);
    }
    world.mailkeep.run(&setup).ok();
    let printed = administrator.sh(&out.join("register.sh"), &[]).ok().text();
    let words: Vec<&str> = printed.split_whitespace().skip(1).collect();
    world.mailkeep.run(&words).ok();
}

/// Two passes, and what `serve` does between them.
#[track_caller]
fn serve(world: &World, robbed: &mut Robbed<'_>) {
    let settings = "[serve]\ninterval_seconds = 1\n";
    fs::write(world.mailkeep.data().join("config.toml"), settings).expect("settings");
    let ann = &world.lab.mailboxes()[0];
    world.lab.post("mutate", &json!({"mailbox": ann, "seed": 1, "create": 40}));
    let serve = verbose(world, &["serve"], |_| {});
    let mut grown = false;
    robbed.process("serve", serve.id(), || {
        let snapshots = world.mailkeep.json(&["snapshots", "acme"]).json_lines().len();
        if snapshots == 1 && !grown {
            world.lab.post("mutate", &json!({"mailbox": ann, "seed": 2, "create": 40}));
            grown = true;
        }
        snapshots < 2
    });
    let run = serve.interrupt().ok();
    let search = robbed.searched.renew();
    robbed.loot.printed(search, "serve", &[&run.stdout, run.stderr.as_bytes()]);
}

/// A mailbox comes back into another one, with a key that is made for that.
#[track_caller]
fn restore(world: &World, robbed: &mut Robbed<'_>) {
    let [from, to, ..] = &world.lab.mailboxes()[..] else { panic!("three mailboxes") };
    let lab = Arc::clone(&world.lab);
    let restore = verbose(world, &["restore", "acme", from, "--to", to], move |line| {
        let line: Value = serde_json::from_str(line).unwrap_or_default();
        if let Some(asked) = line.get("register") {
            let change = json!({"add_certificate": asked["certificate"]});
            lab.change_application(asked["client_id"].as_str().unwrap_or_default(), &change);
        }
    });
    let report = robbed.watched("restore", restore);
    assert_eq!(report.last().map(|last| last["failed"].clone()), Some(json!(0)), "{report:?}");
}

/// The reader's next key is certified by an authority of the customer's, and takes over.
#[track_caller]
fn certify(world: &World, robbed: &mut Robbed<'_>) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let authority = CertifiedIssuer::self_signed(params, key).expect("an authority");
    let request = ["identity", "csr", "acme", "--function", "reader"];
    let request = robbed.command(world, &request);
    let request = request[0]["request_pem"].as_str().expect("a request");
    let mut request = CertificateSigningRequestParams::from_pem(request).expect("a request");
    request.params.not_before = time::OffsetDateTime::now_utc();
    request.params.not_after = request.params.not_before + time::Duration::days(90);
    let leaf = request.signed_by(&authority).expect("a certificate").pem();
    let chain = world.path("chain.pem");
    fs::write(&chain, format!("{leaf}{}", authority.pem())).expect("a file");
    let chain = chain.to_string_lossy();
    let install = ["identity", "install", "acme", "--function", "reader", &chain];
    robbed.command(world, &install);
    robbed.command(world, &rotate("reader"));
}

/// The old key is removed at once, not a quarter of an hour later.
fn rotate(function: &str) -> [&str; 6] {
    ["identity", "rotate", "--all", "--at-once", "--function", function]
}

/// Another program that holds all secrets, and wrote them into a file.
#[track_caller]
fn plant(world: &World, searched: &Searched) -> Loot {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/secrets/plant.py");
    let place = world.path("planted");
    fs::create_dir(&place).expect("a directory");
    let mut command = Command::new("python3");
    command.arg(script).arg(place.join("file")).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut planter = command.spawn().expect("python3 starts");
    let written: serde_json::Map<String, Value> = searched
        .hidden
        .iter()
        .map(|(name, bytes)| (name.clone(), HEXLOWER.encode(bytes).into()))
        .collect();
    let mut stdin = planter.stdin.take().expect("a pipe was asked for");
    stdin.write_all(Value::from(written).to_string().as_bytes()).expect("it reads");
    drop(stdin);
    let mut said = String::new();
    let stdout = planter.stdout.as_mut().expect("a pipe was asked for");
    BufReader::new(stdout).read_line(&mut said).expect("text");
    assert_eq!(said.trim(), "planted");
    let mut loot = Loot::default();
    loot.process(&searched.search, "planter", planter.id()).expect("it can be looked into");
    planter.kill().and_then(|()| planter.wait()).expect("it is ours");
    let file = fs::read(place.join("file")).expect("what it wrote");
    loot.printed(&searched.search, "a file", &[&file]);
    fs::remove_dir_all(place).expect("it is ours");
    loot
}

/// Where everything is that was looked for elsewhere. Nobody but root may look.
#[track_caller]
fn in_the_signer(world: &World, searched: &Searched) -> String {
    let mut loot = Loot::default();
    let looked = loot.process(&searched.search, "signer", world.signer().id());
    if let Err(error) = looked {
        assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied, "{error}");
        return "Into the signer's memory nobody may look but root".to_owned();
    }
    let found: BTreeSet<String> = loot.all().into_iter().map(|(secret, _)| secret).collect();
    for secret in ["age identity, its scalar", "ledger key", "key of the workers' authority"] {
        assert!(found.contains(secret), "'{secret}' is not where it has to be: {found:#?}");
    }
    format!("In the signer: {} of them", found.len())
}
