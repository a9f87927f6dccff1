//! Tens of thousands of tenants.

use std::time::{Duration, Instant};

use mailkeep_lab::{Lab, LabOptions};
use tempfile::TempDir;

/// As many as the lab must have room for, and in how much.
const TENANTS: usize = 36_000;
const MOST_BYTES: u64 = 2 * 1024 * 1024 * 1024;
/// Set in the child process, which measures itself.
const CHILD: &str = "MAILKEEP_LAB_MANY_TENANTS";

/// Most memory that this process has had, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() * 1024
}

/// In a process of its own: others of this one would be measured with it.
#[test]
fn thirty_six_thousand_tenants_with_empty_mailboxes_fit_in_two_gibibytes() {
    if !std::path::Path::new("/proc/self/status").exists() {
        eprintln!("skipped, because this system does not tell what a process has used");
        return;
    }
    let name = "many::thirty_six_thousand_tenants_with_empty_mailboxes_fit_in_two_gibibytes";
    if std::env::var_os(CHILD).is_none() {
        let began = Instant::now();
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(CHILD, "1")
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&child.stderr).into_owned();
        assert!(child.status.success(), "{told}");
        let bytes: u64 = told
            .lines()
            .find_map(|line| line.strip_prefix("peak "))
            .unwrap_or_else(|| panic!("{told}"))
            .parse()
            .unwrap();
        eprintln!("{told}");
        eprintln!("{TENANTS} tenants: {} MiB, {:?}", bytes >> 20, began.elapsed());
        assert!(bytes < MOST_BYTES, "{} MiB", bytes >> 20);
        assert!(began.elapsed() < Duration::from_secs(120), "{:?}", began.elapsed());
        return;
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let directory = TempDir::new().unwrap();
        let mut options = LabOptions::new(directory.path());
        options.tenants = TENANTS;
        options.mailboxes = Some(1);
        options.empty = true;
        let began = Instant::now();
        let lab = Lab::start(options).await.unwrap();
        eprintln!("started after {:?} with {} MiB", began.elapsed(), peak() >> 20);
        assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let tenants = &lab.description().tenants;
        assert_eq!(tenants.len(), TENANTS);
        // Every mailbox is opened once: an empty one must stay small when somebody has looked.
        let http = crate::world::client(&lab, |builder| builder);
        let token = std::fs::read_to_string(&lab.description().admin_token_file).unwrap();
        for tenant in tenants {
            let url = format!("{}/mailbox/{}", lab.description().admin, tenant.mailboxes[0]);
            let answer = http.get(url).bearer_auth(&token).send().await.unwrap();
            assert!(answer.status().is_success());
            answer.bytes().await.unwrap();
        }
        lab.shutdown().await;
    });
    eprintln!("peak {}", peak());
}
