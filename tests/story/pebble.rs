//! Pebble: the ACME server that Let's Encrypt has clients tested with.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use rcgen::CertifiedKey;
use serde_json::json;
use tempfile::TempDir;

use crate::story::{run, temporary, wait_until};

/// A certificate authority on this machine, gone at the end of the story.
pub(crate) struct Pebble {
    programs: Vec<Child>,
    directory: SocketAddr,
    management: SocketAddr,
    files: TempDir,
}

/// An address at which nobody listens.
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port")
}

impl Pebble {
    /// Starts one that looks for the answer to its challenges at `challenged`, whatever the name is.
    #[track_caller]
    pub(crate) fn start(challenged: SocketAddr) -> Self {
        let files = temporary();
        let CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
        let write = |name: &str, text: String| {
            fs::write(files.path().join(name), text).expect("a file of Pebble's");
        };
        write("cert.pem", cert.pem());
        write("key.pem", signing_key.serialize_pem());
        let (directory, management, names) = (free_address(), free_address(), free_address());
        let config = json!({"pebble": {
            "listenAddress": directory.to_string(),
            "managementListenAddress": management.to_string(),
            "certificate": files.path().join("cert.pem"),
            "privateKey": files.path().join("key.pem"),
            "httpPort": free_address().port(),
            "tlsPort": challenged.port(),
            "ocspResponderURL": "",
            "externalAccountBindingRequired": false,
        }});
        write("config.json", config.to_string());
        let mut dns = Command::new("pebble-challtestsrv");
        dns.args(["-defaultIPv4", "127.0.0.1", "-defaultIPv6", "", "-http01", "", "-https01", ""]);
        dns.args(["-tlsalpn01", "", "-dns01", &names.to_string()]);
        dns.args(["-management", &free_address().to_string()]);
        let mut pebble = Command::new("pebble");
        pebble.arg("-config").arg(files.path().join("config.json")).env("PEBBLE_VA_NOSLEEP", "1");
        pebble.args(["-strict", "-dnsserver", &names.to_string()]);
        let programs = [dns, pebble].map(|mut command| {
            let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            quiet.spawn().expect("pebble is installed; 'cargo xtask test' sees to it")
        });
        let pebble = Self { programs: programs.into(), directory, management, files };
        let ready = || pebble.get(&format!("https://{directory}/dir")).is_some();
        wait_until("pebble answers", ready);
        pebble
    }

    /// Its directory, for `acme_directory`.
    pub(crate) fn directory(&self) -> String {
        format!("https://{}/dir", self.directory)
    }

    /// What vouches for its own server, for `acme_ca`.
    pub(crate) fn ca(&self) -> PathBuf {
        self.files.path().join("cert.pem")
    }

    /// What vouches for the certificates that it gives (PEM).
    #[track_caller]
    pub(crate) fn root(&self) -> String {
        self.get(&format!("https://{}/roots/0", self.management)).expect("Pebble's root")
    }

    fn get(&self, url: &str) -> Option<String> {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--fail", "--cacert"]).arg(self.ca()).arg(url);
        let answer = run(&mut curl, b"").text();
        Some(answer).filter(|answer| !answer.is_empty())
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        for program in &mut self.programs {
            let _ = program.kill();
            let _ = program.wait();
        }
    }
}
