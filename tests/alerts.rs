//! Somebody acts as us, and those who look after Mailkeep hear of it where they are.

mod story;

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use mailkeep_identity::ReceiptLog;
use mailkeep_model::Function;
use serde_json::{Value, json};
use story::{World, run, wait_until};
use time::OffsetDateTime;

/// Takes webhooks until it is closed.
struct Hook {
    address: SocketAddr,
    came: Arc<Mutex<Vec<Value>>>,
    is_open: Arc<Mutex<bool>>,
}

impl Hook {
    fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let (came, is_open): (Arc<Mutex<Vec<Value>>>, _) =
            (Arc::default(), Arc::new(Mutex::new(true)));
        let (into, open) = (Arc::clone(&came), Arc::clone(&is_open));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let is_open = *open.lock().expect("no thread has failed");
                if let Some(body) = take(stream, if is_open { "200 OK" } else { "503 Closed" })
                    && is_open
                {
                    into.lock().expect("no thread has failed").push(body);
                }
            }
        });
        Self { address, came, is_open }
    }

    fn set_open(&self, open: bool) {
        *self.is_open.lock().expect("no thread has failed") = open;
    }

    fn events(&self) -> Vec<String> {
        let came = self.came.lock().expect("no thread has failed");
        came.iter().map(|one| one["event"].as_str().unwrap_or_default().to_owned()).collect()
    }

    fn last(&self) -> Value {
        self.came.lock().expect("no thread has failed").last().cloned().unwrap_or_default()
    }
}

/// Reads one request and answers it; its body.
fn take(stream: TcpStream, answer: &str) -> Option<Value> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|count| *count > 0)?;
        let line = line.trim().to_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(number) = line.strip_prefix("content-length:") {
            length = number.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let mut stream = stream;
    write!(stream, "HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").ok()?;
    serde_json::from_slice(&body).ok()
}

/// What a worker in other hands does: it claims to have asked for a token that the signer never signed.
fn forge_a_receipt(world: &World, jti: &str) {
    let receipts =
        ReceiptLog::open(world.mailkeep.data().join("receipts.jsonl")).expect("receipts");
    let (name, job) = (uuid::Uuid::new_v4(), "forged".parse().expect("a job"));
    let (tenant, now) = ("acme".parse().expect("a name"), OffsetDateTime::now_utc());
    receipts.intend(now, name, &job, &tenant, Function::Reader, jti).expect("a receipt");
}

#[test]
fn people_hear_of_an_incident_until_somebody_looks_after_it_and_closes_it() {
    // 1. A tenant with an auditor, and nobody to tell anything: doctor says so.
    let world = World::start(env!("CARGO_BIN_EXE_mailkeep"), &["--mailboxes", "1"]);
    world.set_up("acme");
    world.set_up_auditor("acme", &mailkeep_service::auditor_rights());
    world.mailkeep.run(&["doctor"]).ok().says(&["nobody is told of incidents"]);

    // 2. A webhook whose address comes on standard input: it is not shown, and a test arrives.
    let hook = Hook::open();
    let address = format!("http://{}/services/HUSHHUSH\n", hook.address);
    let add = |name: &str, address: &str, more: &[&str]| {
        let arguments = ["alerts", "add", name, "--kind", "json", "--secret-file", "-"];
        let arguments = [&arguments[..], more].concat();
        run(world.mailkeep.command(&arguments).arg("--json"), address.as_bytes())
    };
    let added = add("hook", &address, &["--tenant", "acme"]).ok().json();
    assert_eq!((&added["name"], &added["host"]), (&json!("hook"), &json!("127.0.0.1")));
    add("hook", &address, &[]).exits(1).says(&["exists already"]);
    add("other", "https://hooks.example/x", &["--tenant", "globex"]).exits(10);
    add("other", "http://hooks.example/x", &[]).exits(2).says(&["not https"]);
    add("other", "", &[]).exits(2).says(&["first line is empty"]);
    world.mailkeep.run(&["alerts", "test", "hook"]).ok();
    assert_eq!(hook.events(), ["test"]);
    world.mailkeep.run(&["alerts", "test", "nobody"]).exits(10);

    // 3. Somebody acts as us. The command that finds it tells it before it ends.
    forge_a_receipt(&world, "first");
    let found = world.mailkeep.json(&["identity", "reconcile", "acme"]).exits(22).json();
    let id = found["open"][0].as_i64().expect("an open incident").to_string();
    assert_eq!(hook.events(), ["test", "opened"]);
    assert_eq!(hook.last()["tenant"], "acme");
    assert_eq!(hook.last()["shown_by"], format!("mailkeep incidents show {id}"));
    world.mailkeep.run(&["identity", "reconcile", "acme"]).exits(22);
    assert_eq!(hook.events().len(), 2, "the same was said again at once");

    // 4. A person looks after it, and then closes it.
    let acknowledge = ["incidents", "acknowledge", &id, "--until", "2h", "--note", "I am on it"];
    world.mailkeep.run(&acknowledge).ok();
    assert_eq!(hook.events().last().map(String::as_str), Some("acknowledged"));
    assert!(hook.last()["news"].as_str().is_some_and(|news| news.contains("I am on it")));
    let shown = world.mailkeep.json(&["incidents", "show", &id]).ok().json();
    assert_eq!(shown["acknowledged"]["note"], "I am on it");
    world.mailkeep.run(&["incidents", "close", &id, "--note", "a drill"]).ok();
    assert_eq!(hook.events().last().map(String::as_str), Some("closed"));
    world.mailkeep.run(&acknowledge).exits(10);

    // 5. The webhook is out of order: the finding is not held up, and the failure is seen.
    hook.set_open(false);
    forge_a_receipt(&world, "second");
    let found = world.mailkeep.run(&["identity", "reconcile", "acme"]).exits(22);
    found.says(&["alerts to 'hook' do not arrive", "503"]);
    world.mailkeep.run(&["doctor"]).exits(1).says(&["alerts to hook: failing", "1 waiting"]);
    let listed = world.mailkeep.json(&["alerts", "list"]).ok().json();
    assert_eq!((&listed["waiting"], &listed["failures"]), (&json!(1), &json!(1)));
    hook.set_open(true);

    // 6. The service tells somebody new what is open, by itself.
    let second = Hook::open();
    let serve = world.mailkeep.watch(&["serve"], |_| ());
    add("second", &format!("http://{}/", second.address), &[]).ok();
    wait_until("the service tells it", || second.events() == ["opened"]);
    // What waits for the first one goes out half a minute after it failed.
    wait_until("it tries again", || hook.events().last().is_some_and(|last| last == "opened"));
    serve.interrupt().ok();

    // 7. Nothing is told to who was removed, and the address was never written down.
    world.mailkeep.run(&["alerts", "remove", "hook"]).ok();
    world.mailkeep.run(&["alerts", "remove", "hook"]).exits(10);
    let grep = ["-r", "-l", "-a", "HUSHHUSH"];
    let grep = run(std::process::Command::new("grep").args(grep).arg(world.mailkeep.data()), b"");
    assert_eq!(grep.text(), "");
}
