//! Mail through Postfix, the relay that most machines have: an instance of its own, which `cargo xtask test`
//! installs the programs for, and which knows nothing of the system's.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use mailkeep_service::{RelayTls, Target};

use super::{Source, after, world};

const PROGRAM: &str = "/usr/sbin/postfix";
/// The user `nobody`: mail is delivered as somebody who is not root.
const NOBODY: u32 = 65_534;
/// What is needed to take mail and to deliver it on this machine. Nothing goes anywhere else.
const SERVICES: &str = "\
    pickup unix n - n 60 1 pickup\n\
    cleanup unix n - n - 0 cleanup\n\
    qmgr unix n - n 300 1 qmgr\n\
    tlsmgr unix - - n 1000? 1 tlsmgr\n\
    rewrite unix - - n - - trivial-rewrite\n\
    bounce unix - - n - 0 bounce\n\
    defer unix - - n - 0 bounce\n\
    trace unix - - n - 0 bounce\n\
    verify unix - - n - 1 verify\n\
    proxymap unix - - n - - proxymap\n\
    error unix - - n - - error\n\
    retry unix - - n - - error\n\
    discard unix - - n - - discard\n\
    virtual unix - n n - - virtual\n\
    anvil unix - - n - 1 anvil\n\
    postlog unix-dgram n - n - 1 postlogd\n";

struct Postfix {
    master: Child,
    port: u16,
    ca_pem: String,
    directory: tempfile::TempDir,
}

impl Postfix {
    /// `None` where it is not installed, or may not be started.
    fn start() -> Option<Self> {
        let why = match (Path::new(PROGRAM).exists(), rustix::process::geteuid().is_root()) {
            (false, _) => "postfix is not installed (cargo xtask test)",
            (_, false) => "only root may start postfix",
            (true, true) => {
                return Some(Self::started());
            }
        };
        eprintln!("skipped, because {why}");
        None
    }

    fn started() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        for name in ["etc", "queue", "data", "mail"] {
            fs::create_dir(at(name)).unwrap();
        }
        fs::write(at("etc/certificate.pem"), made.cert.pem()).unwrap();
        fs::write(at("etc/key.pem"), made.signing_key.serialize_pem()).unwrap();
        // Its processes are other users' than ours.
        open_to_all(directory.path());
        std::os::unix::fs::chown(at("mail"), Some(NOBODY), Some(NOBODY)).unwrap();
        run(Command::new("chown").arg("postfix").arg(at("data")));
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let place = directory.path().display();
        let settings = format!(
            "compatibility_level = 3.6\n\
             queue_directory = {place}/queue\n\
             data_directory = {place}/data\n\
             maillog_file = {place}/log\n\
             maillog_file_prefixes = {place}\n\
             myhostname = relay.example\n\
             mydestination =\n\
             mynetworks = 127.0.0.0/8\n\
             inet_interfaces = 127.0.0.1\n\
             inet_protocols = ipv4\n\
             default_transport = error:nothing goes out\n\
             local_recipient_maps =\n\
             virtual_mailbox_domains = out.example\n\
             virtual_mailbox_base = {place}/mail\n\
             virtual_mailbox_maps = static:inbox/\n\
             virtual_uid_maps = static:{NOBODY}\n\
             virtual_gid_maps = static:{NOBODY}\n\
             smtpd_tls_cert_file = {place}/etc/certificate.pem\n\
             smtpd_tls_key_file = {place}/etc/key.pem\n\
             smtpd_tls_security_level = encrypt\n\
             smtpd_tls_received_header = yes\n"
        );
        fs::write(at("etc/main.cf"), settings).unwrap();
        let services = format!("127.0.0.1:{port} inet n - n - - smtpd\n{SERVICES}");
        fs::write(at("etc/master.cf"), services).unwrap();
        let mut command = Command::new(PROGRAM);
        command.arg("-c").arg(at("etc")).arg("start-fg").stdin(Stdio::null());
        let master = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let started = Self { master, port, ca_pem: made.cert.pem(), directory };
        started.wait_for("it listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        started
    }

    #[track_caller]
    fn wait_for(&self, what: &str, mut comes: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !comes() {
            let log = fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
            assert!(begun.elapsed() < Duration::from_secs(30), "in vain: {what}\n{log}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn target(&self) -> Target {
        Target::Smtp {
            host: "127.0.0.1".into(),
            port: self.port,
            tls: RelayTls::Starttls,
            user: None,
            password: None,
            from: "Mailkeep <alerts@out.example>".into(),
            to: vec!["ops@out.example".into()],
            ca_pem: Some(self.ca_pem.clone()),
        }
    }

    /// What it has delivered, whole.
    fn delivered(&self) -> Vec<String> {
        let inbox = self.directory.path().join("mail/inbox/new");
        let mut files: Vec<PathBuf> =
            fs::read_dir(inbox).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files.iter().map(|file| fs::read_to_string(file).unwrap()).collect()
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        // The master takes its children along.
        let stop = Command::new(PROGRAM)
            .arg("-c")
            .arg(self.directory.path().join("etc"))
            .arg("stop")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if !stop.is_ok_and(|status| status.success()) {
            let _ = self.master.kill();
        }
        let _ = self.master.wait();
    }
}

fn open_to_all(directory: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).unwrap();
}

fn run(command: &mut Command) {
    assert!(command.status().unwrap().success(), "{command:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn postfix_takes_an_alert_over_tls_and_delivers_it_as_it_was_written() {
    let Some(postfix) = Postfix::start() else { return };
    let world = world().await;
    world.add("mail", &postfix.target()).await;
    world.incident("key-1", &[Source::SignIns], after(0)).await;
    let told = world.deliver(after(0)).await;
    assert_eq!((told[0].arrived, &told[0].failed), (1, &None));
    postfix.wait_for("the mail is delivered", || postfix.delivered().len() == 1);
    let mail = postfix.delivered().remove(0);
    // Postfix says that it came over TLS, and that it needed no repair.
    assert!(mail.contains("(using TLSv1.3") && mail.contains("with ESMTPS"), "{mail}");
    for header in ["\nTo: ", "\nFrom: Mailkeep <alerts@out.example>\n", "\nMessage-ID: <"] {
        assert_eq!(mail.matches(header).count(), 1, "{header:?} in {mail}");
    }
    assert!(mail.contains("\nAuto-Submitted: auto-generated\n"), "{mail}");
    let subject = "\nSubject: [Mailkeep] CRITICAL: tenant acme: a token was got with our key,";
    assert!(mail.replace("\n ", " ").contains(subject), "{mail}");
    assert!(mail.contains("mailkeep identity revoke acme"), "{mail}");
    let long = mail.lines().map(str::len).max();
    assert!(long <= Some(998), "a line of {long:?} bytes");

    // Without the right certificate it gets nothing.
    let mut other = postfix.target();
    let stranger = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    if let Target::Smtp { ca_pem, .. } = &mut other {
        *ca_pem = Some(stranger.cert.pem());
    }
    world.add("other", &other).await;
    world.incident("key-2", &[Source::SignIns], after(1)).await;
    let told = world.deliver(after(1)).await;
    let other = told.iter().find(|one| one.destination.as_str() == "other").unwrap();
    assert!(other.arrived == 0 && other.failed.is_some(), "{other:?}");
    postfix.wait_for("the other one's mail is delivered", || postfix.delivered().len() == 2);
}
