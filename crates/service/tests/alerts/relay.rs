//! Mail through a real relay: aiosmtpd, which `cargo xtask test` installs.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
};

use mailkeep_model::Secret;
use mailkeep_service::{RelayTls, Target};
use serde_json::{Value, json};

use super::{BEGIN, Source, after, world};

fn python() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let python = root.join(target).join("python/bin/python3");
    let works = Command::new(&python).args(["-c", "import aiosmtpd"]).output();
    works.is_ok_and(|output| output.status.success()).then_some(python)
}

struct Relay {
    child: Child,
    lines: BufReader<ChildStdout>,
    port: u16,
    ca_pem: String,
    _directory: tempfile::TempDir,
}

impl Relay {
    /// `None` where Python's library is not.
    fn start(mode: &str, user: &str, password: &str) -> Option<Self> {
        let Some(python) = python() else {
            eprintln!("skipped, because aiosmtpd is not installed");
            return None;
        };
        let directory = tempfile::tempdir().unwrap();
        let (certificate, key) =
            (directory.path().join("certificate.pem"), directory.path().join("key.pem"));
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/alerts/relay.py");
        let mut command = Command::new(python);
        command.arg(script).arg(mode).arg(&certificate).arg(&key).args([user, password]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut port = String::new();
        lines.read_line(&mut port).unwrap();
        let port = port.trim().parse().unwrap();
        let ca_pem = made.cert.pem();
        Some(Self { child, lines, port, ca_pem, _directory: directory })
    }

    fn target(&self, tls: RelayTls, sign_in: Option<(&str, &str)>) -> Target {
        Target::Smtp {
            host: "127.0.0.1".into(),
            port: self.port,
            tls,
            user: sign_in.map(|(user, _)| user.to_owned()),
            password: sign_in.map(|(_, password)| Secret::new(password.to_owned())),
            from: "Mailkeep <alerts@out.example>".into(),
            to: vec!["ops@out.example".into(), "boss@out.example".into()],
            ca_pem: Some(self.ca_pem.clone()),
        }
    }

    fn next(&mut self) -> Value {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn header<'a>(mail: &'a Value, name: &str) -> &'a str {
    let all = mail["headers"].as_array().unwrap();
    let mut found = all.iter().filter(|one| one[0] == name);
    let value = found.next().unwrap_or_else(|| panic!("no {name} in {mail}"));
    assert!(found.next().is_none(), "{name} twice");
    value[1].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_goes_through_a_relay_with_tls_and_a_password_and_makes_one_conversation() {
    for (mode, tls) in [("starttls", RelayTls::Starttls), ("implicit", RelayTls::Implicit)] {
        let Some(mut relay) = Relay::start(mode, "mailkeep", "correct horse") else { return };
        let world = world().await;
        let sign_in = Some(("mailkeep", "correct horse"));
        world.add("mail", &relay.target(tls, sign_in)).await;
        let id = world.incident("key-1", &[Source::SignIns], after(0)).await;
        let told = world.deliver(after(0)).await;
        assert_eq!((told[0].arrived, &told[0].failed), (1, &None), "{mode}");
        let mail = relay.next();
        assert_eq!((&mail["tls"], &mail["user"]), (&json!(true), &json!("mailkeep")), "{mode}");
        assert_eq!(mail["to"], json!(["ops@out.example", "boss@out.example"]));
        assert_eq!(mail["defects"], json!([]));
        assert_eq!(
            header(&mail, "subject"),
            "[Mailkeep] CRITICAL: tenant acme: a token was got with our key, not by us"
        );
        assert_eq!(header(&mail, "auto-submitted"), "auto-generated");
        let body = mail["body"].as_str().unwrap();
        assert!(body.contains("Next: Shut it: mailkeep identity revoke acme"), "{body}");
        // What the evidence says stays in its line.
        assert!(body.lines().all(|line| !line.starts_with("Bcc:")), "{body}");

        world.service.control().close_incident(id, "done", after(1)).await.unwrap();
        world.deliver(after(1)).await;
        let last = relay.next();
        assert_eq!(header(&last, "references"), header(&mail, "references"));
        assert_ne!(header(&last, "message-id"), header(&mail, "message-id"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_offers_no_tls_or_shows_another_certificate_gets_no_mail_and_no_password() {
    // It would take both.
    let Some(plain) = Relay::start("plain", "mailkeep", "HUSHHUSH") else { return };
    let world = world().await;
    let sign_in = Some(("mailkeep", "HUSHHUSH"));
    world.add("no-tls", &plain.target(RelayTls::Starttls, sign_in)).await;
    let tls = Relay::start("starttls", "mailkeep", "correct horse").unwrap();
    let mut other = tls.target(RelayTls::Starttls, Some(("mailkeep", "correct horse")));
    if let Target::Smtp { ca_pem, .. } = &mut other {
        *ca_pem = Some(plain.ca_pem.clone());
    }
    world.add("other", &other).await;
    let wrong = tls.target(RelayTls::Starttls, Some(("mailkeep", "HUSHHUSH")));
    world.add("wrong", &wrong).await;
    world.incident("key-1", &[Source::SignIns], after(0)).await;
    let told = world.deliver(after(0)).await;
    assert_eq!(told.len(), 3);
    for one in &told {
        let why = one.failed.as_deref().unwrap();
        assert!(!why.contains("HUSHHUSH"), "{why}");
        let says = match one.destination.as_str() {
            "wrong" => "535",
            "other" => "ertificate",
            _ => "relay",
        };
        assert!(why.contains(says), "{}: {why}", one.destination);
        assert_eq!(one.arrived, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_on_this_machine_needs_no_tls_and_one_of_the_tenants_is_doubted() {
    let Some(mut relay) = Relay::start("plain", "", "") else { return };
    let world = world().await;
    let mut target = relay.target(RelayTls::None, None);
    if let Target::Smtp { to, .. } = &mut target {
        *to = vec!["Ann <ann@acme.example>".into()];
    }
    let name = "mail".parse().unwrap();
    let rule = super::everything();
    let doubts = world.service.add_alert_destination(&name, &target, false, &rule, BEGIN).await;
    let doubts = doubts.unwrap();
    assert!(doubts.len() == 1 && doubts[0].contains("tenant acme"), "{doubts:?}");
    world.service.test_alert_destination(&name, after(0)).await.unwrap();
    assert_eq!(relay.next()["tls"], json!(false));
    for host in ["mx.acme.example:25", "acme-example.mail.protection.outlook.com:25"] {
        assert_eq!(world.service.relay_doubts(host).await.unwrap().len(), 1, "{host}");
    }
    for host in ["mail.other.example:587", "notacme.example:25"] {
        assert!(world.service.relay_doubts(host).await.unwrap().is_empty(), "{host}");
    }
}
