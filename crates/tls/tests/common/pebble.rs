//! Pebble, the ACME server that Let's Encrypt tests clients with, and the DNS that it asks.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Mutex,
};

use crate::common::{Authority, until};

/// A program that ends with the test.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub struct Pebble {
    pub directory: String,
    /// Vouches for the server itself.
    pub ca: PathBuf,
    /// Where it expects the answer to its challenges.
    pub challenged: SocketAddr,
    management: String,
    client: reqwest::Client,
    programs: Mutex<Vec<Program>>,
    _files: tempfile::TempDir,
}

fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

impl Pebble {
    pub async fn start() -> Self {
        let files = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        let (certificate, key) = authority.issue_now(&["127.0.0.1"]);
        let path = |name: &str| files.path().join(name);
        fs::write(path("ca.pem"), &authority.pem).unwrap();
        fs::write(path("cert.pem"), certificate).unwrap();
        fs::write(path("key.pem"), key).unwrap();
        let (listen, management, dns, dns_management, challenged) =
            (free(), free(), free(), free(), free());
        let config = serde_json::json!({"pebble": {
            "listenAddress": listen.to_string(),
            "managementListenAddress": management.to_string(),
            "certificate": path("cert.pem"),
            "privateKey": path("key.pem"),
            "httpPort": free().port(),
            "tlsPort": challenged.port(),
            "ocspResponderURL": "",
            "externalAccountBindingRequired": false,
        }});
        fs::write(path("config.json"), config.to_string()).unwrap();
        let run = |command: &mut Command| {
            let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            Program(quiet.spawn().expect("pebble is installed; 'cargo xtask test' sees to it"))
        };
        let mut names = Command::new("pebble-challtestsrv");
        names.args([
            "-defaultIPv4",
            "127.0.0.1",
            "-defaultIPv6",
            "",
            "-http01",
            "",
            "-https01",
            "",
        ]);
        names.args(["-tlsalpn01", "", "-dns01", &dns.to_string()]);
        names.args(["-management", &dns_management.to_string()]);
        let mut pebble = Command::new("pebble");
        pebble.arg("-config").arg(path("config.json")).args(["-strict", "-dnsserver"]);
        // A fifth of the good nonces is refused, as RFC 8555 section 6.5 allows.
        pebble
            .arg(dns.to_string())
            .envs([("PEBBLE_VA_NOSLEEP", "1"), ("PEBBLE_WFE_NONCEREJECT", "20")]);
        let programs = vec![run(&mut names), run(&mut pebble)];
        let root = reqwest::Certificate::from_pem(authority.pem.as_bytes()).unwrap();
        let client = reqwest::Client::builder().tls_certs_only([root]).build().unwrap();
        let pebble = Self {
            directory: format!("https://{listen}/dir"),
            ca: path("ca.pem"),
            challenged,
            management: format!("https://{management}"),
            client,
            programs: Mutex::new(programs),
            _files: files,
        };
        until("pebble answers", async || pebble.client.get(&pebble.directory).send().await.is_ok())
            .await;
        pebble
    }

    /// Ends it.
    pub fn stop(&self) {
        self.programs.lock().unwrap().clear();
    }

    /// Who vouches for the certificates that it gives (PEM).
    pub async fn root(&self) -> String {
        let answer = self.client.get(format!("{}/roots/0", self.management)).send().await;
        answer.unwrap().text().await.unwrap()
    }
}
