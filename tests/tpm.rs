//! The signer's passphrase is sealed by the machine's TPM: a copy of the disk opens nothing elsewhere.

mod story;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command},
};

use story::{Background, Mailkeep, Run, run, temporary, wait_until};

/// A TPM without hardware.
struct Tpm {
    process: Child,
    socket: PathBuf,
}

impl Tpm {
    fn start(directory: &Path) -> Self {
        fs::create_dir(directory).expect("a directory for a TPM");
        let socket = directory.join("tpm");
        let address = |path: &Path| format!("type=unixio,path={}", path.display());
        let process = Command::new("swtpm")
            .args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear"])
            .arg(format!("--tpmstate=dir={}", directory.display()))
            .arg(format!("--server={}", address(&socket)))
            // Where the library looks for it.
            .arg(format!("--ctrl={}", address(&directory.join("tpm.ctrl"))))
            .spawn()
            .expect("swtpm");
        wait_until("the TPM listens", || socket.exists());
        Self { process, socket }
    }

    fn device(&self) -> String {
        format!("swtpm:path={}", self.socket.display())
    }

    /// `systemd-creds ARGUMENTS`, on the machine that this TPM is in.
    fn creds(&self, host_key: &Path, arguments: &[&str], input: &[u8]) -> Run {
        let mut command = Command::new("systemd-creds");
        command.arg(format!("--tpm2-device={}", self.device())).arg("--name=passphrase");
        command.args(arguments).env("SYSTEMD_CREDENTIAL_SECRET", host_key);
        run(&mut command, input)
    }
}

impl Drop for Tpm {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn is_missing() -> Option<&'static str> {
    let there = |program: &str| Command::new(program).arg("--version").output().is_ok();
    ["swtpm", "systemd-creds", "tpm2_pcrextend"].into_iter().find(|program| !there(program))
}

#[test]
fn the_passphrase_comes_out_of_the_tpm_it_was_sealed_by_and_nowhere_else() {
    if let Some(program) = is_missing() {
        eprintln!("skipped, because {program} is not installed (cargo xtask test)");
        return;
    }
    // 1. Two machines with a TPM each; on the first, a passphrase is sealed, as packaging/README.md says.
    let directory = temporary();
    let path = |name: &str| directory.path().join(name);
    let (tpm, other) = (Tpm::start(&path("tpm")), Tpm::start(&path("other")));
    let host_key = path("host.key");
    let sealed = |with: &str| {
        let file = path(with);
        let text = file.to_string_lossy().into_owned();
        let key = format!("--with-key={with}");
        tpm.creds(&host_key, &[&key, "encrypt", "-", &text], b"correct horse battery staple\n")
            .ok();
        file
    };
    let credential = sealed("tpm2");
    let text = credential.to_string_lossy().into_owned();
    let stored = fs::read(&credential).expect("the credential");
    assert!(!stored.windows(7).any(|part| part == b"correct"), "it is readable");

    // 2. systemd opens it for the signer, which says in `doctor` what holds it.
    let credentials = path("credentials");
    fs::create_dir(&credentials).expect("what systemd makes for a service");
    let passphrase = credentials.join("passphrase");
    let opened = tpm.creds(&host_key, &["decrypt", &text, "-"], b"").ok();
    fs::write(&passphrase, &opened.stdout).expect("the passphrase");
    let mailkeep = Mailkeep::new(env!("CARGO_BIN_EXE_mailkeep"), path("data"));
    let passphrase = passphrase.to_string_lossy().into_owned();
    let signer = |credential: &Path| -> Background {
        let credential = credential.to_string_lossy();
        mailkeep.start(&[
            "signer",
            "--passphrase-file",
            &passphrase,
            "--sealed-credential",
            &credential,
        ])
    };
    let doctor_says = |credential: &Path, state: &str, words: &str| {
        let running = signer(credential);
        mailkeep.run(&["tenant", "add", "acme", "--directory", "acme.example"]);
        let doctor = mailkeep.run(&["doctor"]).text();
        let line = doctor.lines().find(|line| line.contains("signer's sealing"));
        let line = line.unwrap_or_else(|| panic!("{doctor}"));
        assert!(line.starts_with(state) && line.contains(words), "{line}");
        running.stop();
    };
    doctor_says(&credential, "good", "which this machine's TPM seals");
    doctor_says(&sealed("host+tpm2"), "good", "TPM and a key on its disk seal together");

    // 3. What any reader of the disk can open is not passed off as held by the TPM.
    doctor_says(&sealed("host"), "warning", "with a key on this machine's disk alone");
    doctor_says(&sealed("tpm2-absent"), "warning", "is sealed with nothing");
    let no_credential = ["signer", "--passphrase-file", &passphrase, "--sealed-credential"];
    let refused = mailkeep.run(&[&no_credential[..], &[&passphrase]].concat()).exits(2);
    refused.says(&["not what 'systemd-creds encrypt' writes"]);

    // 4. The disk is in another machine: the passphrase stays sealed, and without it so do the keys.
    let elsewhere = other.creds(&host_key, &["decrypt", &text, "-"], b"");
    assert_ne!(elsewhere.code, Some(0), "{elsewhere}");
    let guess = path("guess");
    fs::write(&guess, "not this one\n").expect("a guess");
    let guessed = ["signer", "--passphrase-file", &guess.to_string_lossy()];
    mailkeep.run(&guessed).exits(1).says(&["passphrase"]);

    // 5. The machine was started with another policy of what may boot (PCR 7): it stays sealed, too.
    let measured = format!("7:sha256={}", "ab".repeat(32));
    let mut extend = Command::new("tpm2_pcrextend");
    extend.arg(format!("--tcti={}", tpm.device())).arg(measured);
    run(&mut extend, b"").ok();
    let changed = tpm.creds(&host_key, &["decrypt", &text, "-"], b"");
    assert_ne!(changed.code, Some(0), "{changed}");
}
