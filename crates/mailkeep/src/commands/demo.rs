//! A simulated tenant, the signer and the service, as three processes, fed with mail.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use mailkeep_lab::Description;
use mailkeep_model::{Function, ItemKind, TenantName};
use mailkeep_service::{
    DataDirectory, PassReport, Registration, Service, ServiceError, reader_rights, restorer_rights,
};
use serde_json::{Value, json};

use super::{
    Outcome, backup,
    children::{self, Running, until_told_to_end},
    make_service,
    simulated::{Admin, Registered, connection, described},
};
use crate::{
    cli::{Demo, Global},
    exit::{Exit, Failure},
    output::{Output, plain},
};

/// Marks a data directory that a demo made, and that the next demo may empty.
const MARKER: &str = "this-is-a-demo";
/// Time between two arrivals of new mail.
const ARRIVALS: Duration = Duration::from_secs(5);
/// Findings that are shown one by one.
const SHOWN: u64 = 8;
const TENANT: &str = "demo";

pub(super) async fn run(global: &Global, arguments: Demo, output: &Output) -> Outcome {
    prepare(&global.data)?;
    output.note("starting a simulated Microsoft 365, the signer and the service …");
    let seed: Vec<String> = arguments.mail.iter().map(|path| path.display().to_string()).collect();
    let mailboxes = arguments.mailboxes.map(|count| count.to_string());
    let mut lab_arguments = vec!["lab"];
    for path in &seed {
        lab_arguments.extend(["--seed", path]);
    }
    lab_arguments.extend(mailboxes.iter().flat_map(|count| ["--mailboxes", count]));
    let key = global.data.join("signer-key.txt");
    let key = key.display().to_string();
    let signer_arguments = ["signer", "--identity-file", &key];
    let (lab, signer) = tokio::join!(
        Running::start(&global.data, &lab_arguments),
        Running::start(&global.data, &signer_arguments),
    );
    let (lab, signer) = (lab?, signer?);
    let stage = Stage::set(global, &lab.ready, output).await?;
    let exit = tokio::select! {
        exit = stage.play(&arguments, output) => exit,
        () = until_told_to_end(false) => told_to_end(&arguments),
    };
    lab.stop().await;
    signer.stop().await;
    exit
}

/// The endless demo ends like this; one that was to do its work once did not do it.
fn told_to_end(arguments: &Demo) -> Outcome {
    if arguments.once { Err(Failure::failed("interrupted")) } else { Ok(Exit::Done) }
}

/// A fresh directory, or one that an earlier demo left.
fn prepare(data: &Path) -> Result<(), Failure> {
    let unusable = |error: std::io::Error| {
        Failure::failed(format!("the data directory {}: {error}", data.display()))
    };
    if data.join(MARKER).is_file() {
        fs::remove_dir_all(data).map_err(unusable)?;
    }
    DataDirectory::new(data).create()?;
    if fs::read_dir(data).map_err(unusable)?.next().is_some() {
        return Err(Failure::usage(format!(
            "{} holds something that no demo made, and a demo begins with an empty directory: name another with --data",
            data.display()
        )));
    }
    fs::write(data.join(MARKER), "The next 'mailkeep demo' empties this directory.\n")
        .map_err(unusable)
}

/// Lab and signer run, the tenant is set up.
struct Stage {
    service: Service,
    tenant: TenantName,
    lab: Description,
    admin: Admin,
    data: PathBuf,
    /// Client id of the application that restores.
    restorer: String,
}

impl Stage {
    /// Does what an administrator does for a new tenant: make a key, register its certificate,
    /// name the application.
    async fn set(global: &Global, ready: &str, output: &Output) -> Result<Self, Failure> {
        let lab = described(ready)?;
        let admin = Admin::new(&lab)?;
        let service = make_service(global).await?;
        let name: TenantName = TENANT.parse().expect("a valid name");
        let connection = connection(&lab)?;
        let directory = connection.directory.clone();
        let certificate = service.add_tenant(&name, connection).await?;
        let request = json!({
            "tenant": directory,
            "name": "Mailkeep reader",
            "certificate": certificate.certificate_pem,
            "roles": reader_rights(service.extras()),
        });
        let registered: Registered = admin.post("register", &request).await?;
        let function = Function::Reader;
        let client_id = registered.client_id;
        service.register(&name, Registration { function, client_id }).await?;
        let roles = restorer_rights(service.extras());
        let request = json!({"tenant": directory, "name": "Mailkeep restorer", "roles": roles});
        let registered: Registered = admin.post("register", &request).await?;
        let function = Function::Restorer;
        let restorer = registered.client_id.clone();
        service.register(&name, Registration { function, client_id: restorer.clone() }).await?;
        output.note(&format!(
            "tenant {name}: its reader key was made by the signer; thumbprint {}",
            certificate.thumbprint_sha256
        ));
        Ok(Self { service, tenant: name, lab, admin, data: global.data.clone(), restorer })
    }

    /// Does what the tenant's administrator would: registers the key of a restore that somebody
    /// began in another terminal.
    async fn serve_restores(&self, output: &Output) -> Result<(), Failure> {
        let mut served = String::new();
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let key = self.service.known_certificate(&self.tenant, Function::Restorer).await?;
            let Some(key) = key.filter(|key| key.thumbprint_sha256 != served) else { continue };
            served = key.thumbprint_sha256;
            let request = json!({"add_certificate": key.certificate_pem});
            let _: Value =
                self.admin.post(&format!("applications/{}", self.restorer), &request).await?;
            output
                .note("a restore has begun; its key was registered, as an administrator would do");
        }
    }

    async fn play(&self, arguments: &Demo, output: &Output) -> Outcome {
        let report = self.service.backup(&self.tenant, &[], backup::observer(output)).await?;
        let kit = self.data.join("recovery-kit");
        children::run_once(&self.data, &["recovery-kit", TENANT, "--out"], &kit).await?;
        if !arguments.once {
            output.note(&backup::summary(&report));
            self.show_findings(output).await?;
            return tokio::select! {
                ended = self.go_on(output) => ended,
                ended = self.serve_restores(output) => ended.map(|()| Exit::Done),
            };
        }
        let summary = self.summary(&report, &kit).await?;
        self.show_findings(output).await?;
        output.result(&summary, || self.summary_text(&report, &summary, &kit));
        Ok(backup::exit_of(&report))
    }

    /// New mail arrives and is backed up and inspected, until somebody ends it.
    async fn go_on(&self, output: &Output) -> Outcome {
        output.note(&format!("\ntry, in another terminal:\n  {}\n", self.what_to_try()));
        output.note("new mail arrives every few seconds; end with Ctrl-C");
        let mut seen = self.finding_total().await?;
        for seed in 1.. {
            tokio::time::sleep(ARRIVALS).await;
            let request = json!({"seed": seed, "create": 3, "change": 1, "newest": 50});
            let _: Value = self.admin.post("mutate", &request).await?;
            let report = self.service.backup(&self.tenant, &[], backup::observer(output)).await?;
            let now = self.finding_total().await?;
            output.result(&backup::json_of(&report), || {
                let snapshot = report.snapshots.last().map_or("none", |id| &id[..8]);
                format!(
                    "+{} new, {} changed, {} findings more; snapshot {snapshot}, {} requests, {:.1} s",
                    report.new,
                    report.changed,
                    now.saturating_sub(seen),
                    report.requests,
                    report.seconds
                )
            });
            seen = now;
        }
        Ok(Exit::Done)
    }

    async fn summary(&self, report: &PassReport, kit: &Path) -> Result<Value, Failure> {
        let control = self.service.control();
        let known = control.mailboxes(&self.tenant).await.map_err(ServiceError::from)?;
        let counts = control.item_counts(&self.tenant).await.map_err(ServiceError::from)?;
        let count = |kind| counts.get(&kind).copied().unwrap_or_default();
        let mut folders = 0;
        for known in &known {
            let state = control.sync_state(&self.tenant, &known.mailbox.id).await;
            folders += state.map_err(ServiceError::from)?.folders.len();
        }
        let repository = std::path::absolute(self.service.data().vault(&self.tenant));
        let repository = repository.map_err(|error| Failure::failed(error.to_string()))?;
        let kit = std::path::absolute(kit).map_err(|error| Failure::failed(error.to_string()))?;
        Ok(json!({
            "tenant": self.tenant,
            "mailboxes": report.mailboxes,
            "folders": folders,
            "messages": count(ItemKind::Message),
            "events": count(ItemKind::Event),
            "contacts": count(ItemKind::Contact),
            "tasks": count(ItemKind::Task),
            "settings": count(ItemKind::Setting),
            "opaque": count(ItemKind::Opaque),
            "bytes": report.content_bytes,
            "repository": repository.display().to_string(),
            "recovery_kit": kit.display().to_string(),
            "snapshots": report.snapshots.len(),
            "findings": self.findings().await?,
            "errors": report.missed.len() + report.failures.len(),
            "seconds": report.seconds,
            "requests": report.requests,
            "throttled": report.throttled,
            "bytes_added": report.bytes_added,
            "peak_memory_bytes": peak_memory_bytes(),
        }))
    }

    fn summary_text(&self, report: &PassReport, summary: &Value, kit: &Path) -> String {
        let others: String =
            [("tasks", "tasks"), ("settings", "settings"), ("opaque", "other items")]
                .iter()
                .filter(|(name, _)| summary[*name].as_u64() > Some(0))
                .map(|(name, words)| format!(", {} {words}", summary[*name]))
                .collect();
        format!(
            "{}\n{} messages, {} events, {} contacts{others} in {} folders lie in {}\nstock restic opens it with {}\n\
             to look around, start the signer again and try, in another terminal:\n  \
             mailkeep signer --identity-file {data}/signer-key.txt --data {data}\n  {}",
            backup::summary(report),
            summary["messages"],
            summary["events"],
            summary["contacts"],
            summary["folders"],
            self.service.data().vault(&self.tenant).display(),
            kit.display(),
            self.what_to_try(),
            data = self.data.display(),
        )
    }

    fn what_to_try(&self) -> String {
        let data = self.data.display();
        let mailbox = self.lab.tenants.first().and_then(|tenant| tenant.mailboxes.first());
        let mailbox = mailbox.map_or("MAILBOX", String::as_str);
        format!(
            "mailkeep ls {TENANT} {mailbox} --data {data}\n  \
             mailkeep restore {TENANT} {mailbox}:Inbox --to {mailbox}:Restored --data {data}\n  \
             mailkeep snapshots {TENANT} --data {data}\n  \
             mailkeep verify {TENANT} --read-data --data {data}\n  \
             mailkeep doctor --data {data}"
        )
    }

    /// Findings by detector.
    async fn findings(&self) -> Result<BTreeMap<String, u64>, Failure> {
        let counts = self.service.control().finding_counts(&self.tenant).await;
        Ok(counts.map_err(ServiceError::from)?.by_detector)
    }

    async fn finding_total(&self) -> Result<u64, Failure> {
        Ok(self.findings().await?.values().sum())
    }

    async fn show_findings(&self, output: &Output) -> Result<(), Failure> {
        if output.is_json() {
            return Ok(());
        }
        let filter = mailkeep_control::FindingFilter { limit: Some(SHOWN), ..Default::default() };
        let findings = self.service.control().findings(&self.tenant, &filter).await;
        for one in findings.map_err(ServiceError::from)? {
            let message = one.message_id.as_deref().unwrap_or("(no message id)");
            for finding in &one.verdict.findings {
                output.note(&format!(
                    "  {:<10} {}: {}  {}",
                    one.verdict.verdict.as_str(),
                    finding.detector,
                    plain(&finding.evidence),
                    plain(message)
                ));
            }
        }
        Ok(())
    }
}

/// The most memory that this process ever held, as the kernel counts it (`VmHWM`).
pub(super) fn peak_memory_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn ended(arguments: &[&str]) -> Outcome {
        match Cli::try_parse_from(["mailkeep", "demo"].iter().chain(arguments)).unwrap().command {
            Command::Demo(demo) => told_to_end(&demo),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_script_can_tell_an_interrupted_demo_from_a_finished_one() {
        let failure = ended(&["--once"]).unwrap_err();
        assert_eq!((failure.exit, failure.message.as_str()), (Exit::Failed, "interrupted"));
        assert_eq!(ended(&[]).unwrap(), Exit::Done);
    }
}
