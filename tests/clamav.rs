//! ClamAV itself, with signatures of ours: what is found, and what is said when it hangs or is gone.

mod story;

use std::{
    fs,
    os::unix::net::UnixStream,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use data_encoding::BASE64;
use mailkeep_service::{ClamAddress, ClamAv};
use story::{Mailkeep, temporary, wait_until};

/// A virus scanner with a database of its own, ended with its guard.
struct Clamd(Child);

impl Drop for Clamd {
    fn drop(&mut self) {
        // A stopped process does not end by being asked.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Clamd {
    /// Starts one that knows a file by its MD5 and size, with its socket in a directory.
    fn start(directory: &Path, known: &[u8]) -> Option<Self> {
        let database = directory.join("database");
        fs::create_dir_all(&database).expect("a directory");
        let signature = format!("{}:{}:Ours.Test.Sample\n", md5(known), known.len());
        fs::write(database.join("ours.hdb"), signature).expect("a signature");
        let settings = directory.join("clamd.conf");
        let text = format!(
            "LocalSocket {0}/clamd.ctl\nDatabaseDirectory {1}\nForeground yes\nTemporaryDirectory {0}\n\
             MaxThreads 4\nLogFile {0}/clamd.log\nUser {2}\n",
            directory.display(),
            database.display(),
            user()
        );
        fs::write(&settings, text).expect("settings");
        let child = Command::new("clamd")
            .arg("--config-file")
            .arg(&settings)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut clamd = Self(child);
        let socket = directory.join("clamd.ctl");
        wait_until("clamd listens", || {
            let ended = clamd.0.try_wait().ok().flatten();
            assert!(ended.is_none(), "clamd ended: {}", log(directory));
            UnixStream::connect(&socket).is_ok()
        });
        Some(clamd)
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").args([name, &self.0.id().to_string()]).status();
        assert!(status.expect("kill").success());
    }
}

fn log(directory: &Path) -> String {
    fs::read_to_string(directory.join("clamd.log")).unwrap_or_default()
}

fn user() -> String {
    let id = Command::new("id").arg("-un").output().expect("id");
    String::from_utf8_lossy(&id.stdout).trim().to_owned()
}

fn md5(bytes: &[u8]) -> String {
    let mut sum = Command::new("md5sum")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("md5sum");
    std::io::Write::write_all(&mut sum.stdin.take().expect("a pipe"), bytes).expect("its input");
    let output = sum.wait_with_output().expect("md5sum");
    String::from_utf8_lossy(&output.stdout).split_whitespace().next().unwrap_or_default().to_owned()
}

/// The test file of the European institute for antivirus research, made here: as it stands it would
/// have every scanner on this machine move this source away.
fn eicar() -> Vec<u8> {
    let halves = ["X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR", "-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"];
    halves.concat().into_bytes()
}

fn message(file: &[u8]) -> String {
    format!(
        "From: ann@corp.example\nTo: bob@corp.example\nSubject: x\nMIME-Version: 1.0\n\
         Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\nhello\n\
         --b\nContent-Type: application/octet-stream; name=report.bin\n\
         Content-Disposition: attachment; filename=report.bin\nContent-Transfer-Encoding: base64\n\n{}\n--b--\n",
        BASE64.encode(file)
    )
}

#[test]
fn what_clamav_knows_is_found_and_nothing_waits_for_it_when_it_hangs_or_is_gone() {
    if Command::new("clamd").arg("--version").output().is_err() {
        println!("skipped, because clamd is not installed");
        return;
    }
    let directory = temporary();
    let at = directory.path();
    let sample = eicar();
    let clamd = Clamd::start(at, &sample).expect("clamd starts");
    let mailkeep = Mailkeep::new(env!("CARGO_BIN_EXE_mailkeep"), at.join("data"));
    let (bad, good) = (at.join("bad.eml"), at.join("good.eml"));
    fs::write(&bad, message(&sample)).unwrap();
    fs::write(&good, message(b"nothing that anybody knows of, as bytes")).unwrap();
    let socket = at.join("clamd.ctl").to_string_lossy().into_owned();
    let inspect = |path: &Path| {
        mailkeep.json(&["inspect", &path.to_string_lossy(), "--clamav", &socket]).ok().json()
    };

    // 1. Its version, and a file that it knows. One that is there and not known is clean.
    let clamav = ClamAv::new(socket.parse::<ClamAddress>().unwrap(), Duration::from_secs(5));
    assert!(clamav.version().unwrap().starts_with("ClamAV"));
    let report = inspect(&bad);
    assert_eq!(report["verdict"], "malicious", "{report}");
    let finding = &report["findings"][0];
    assert_eq!(
        (finding["detector"].as_str(), finding["field"].as_str()),
        (Some("attachment-known"), Some("attachment[0]"))
    );
    assert!(finding["evidence"].as_str().unwrap().contains("Ours.Test.Sample"), "{finding}");
    let report = inspect(&good);
    assert_eq!(report["findings"].as_array().map(Vec::len), Some(0), "{report}");
    assert!(!report["not_inspected"].to_string().contains("ClamAV"), "{report}");

    // 2. It hangs: the message is held up for no longer than it may, and the verdict says so.
    clamd.signal("-STOP");
    let settings = at.join("settings.toml");
    fs::write(&settings, format!("[protect]\nclamav = \"{socket}\"\nscan_seconds = 2\n")).unwrap();
    let begun = Instant::now();
    let arguments = [
        "inspect",
        &bad.to_string_lossy(),
        &good.to_string_lossy(),
        "--config",
        &settings.to_string_lossy(),
    ];
    let both = mailkeep.json(&arguments).ok().json_lines();
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    for report in &both {
        assert!(report["not_inspected"].to_string().contains("ClamAV"), "{report}");
    }
    // The second message did not wait as well.
    assert!(both[1]["ms"].as_f64().unwrap() < 1_000.0, "{both:?}");
    clamd.signal("-CONT");

    // 3. It is gone.
    drop(clamd);
    let _ = fs::remove_file(&socket);
    let report = inspect(&bad);
    assert!(report["not_inspected"].to_string().contains("does not answer"), "{report}");
    assert!(clamav.version().is_err());
}
