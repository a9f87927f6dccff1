use std::{fs::File, io::BufReader, os::unix::fs::MetadataExt};

use mailkeep_control::{Departure, Tenant};
use mailkeep_identity::{CredentialSeal, SealingInfo, SealingKind, verify_receipts};
use mailkeep_model::{Function, TenantName};
use mailkeep_service::{DataDirectory, Outcome as Checked, Service, SignerOf, Watched, WitnessWay};
use mailkeep_tls::CertificateStatus;
use mailkeep_vault::Vault;
use serde_json::json;
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use super::{Outcome, alerts, browse::rfc3339, config, make_service};
use crate::{
    cli::Global,
    config::{Config, NOTIFICATIONS},
    exit::Exit,
    output::{Output, plain},
};

/// A tenant that was not looked at for so long is not watched.
const UNWATCHED: Duration = Duration::days(1);

/// How a part is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Good,
    Missing,
    Warning,
    Bad,
}

impl State {
    fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Missing => "missing",
            Self::Warning => "warning",
            Self::Bad => "bad",
        }
    }
}

/// What was looked at, how it is, what to say.
struct Report<'a> {
    output: &'a Output,
    worst: Exit,
}

impl Report<'_> {
    fn say(&mut self, state: State, what: &str, text: &str) {
        if state == State::Bad {
            self.worst = Exit::Failed;
        }
        let line = json!({"part": what, "state": state.as_str(), "detail": text});
        self.output.result(&line, || format!("{:<8} {what}: {}", state.as_str(), plain(text)));
    }
}

pub(super) async fn run(global: &Global, output: &Output) -> Outcome {
    let mut report = Report { output, worst: Exit::Done };
    if !global.data.is_dir() {
        let text = format!(
            "{} is not there. Try 'mailkeep demo', or begin: 1. 'mailkeep signer --passphrase-file FILE', 2. 'mailkeep tenant add NAME --directory ID'",
            global.data.display()
        );
        report.say(State::Missing, "data directory", &text);
        return Ok(report.worst);
    }
    directory(global, &mut report);
    match config(global) {
        Ok(config) => {
            report.say(State::Good, "settings", "read");
            notifications_certificate(global, &config, &mut report);
            worker_certificate(&config, &mut report);
        }
        Err(failure) => report.say(State::Bad, "settings", &failure.message),
    }
    if !DataDirectory::new(&global.data).control().is_file() {
        let text = "nothing is set up in there: 1. 'mailkeep signer --passphrase-file FILE', 2. 'mailkeep tenant add NAME --directory ID'";
        report.say(State::Missing, "state", text);
        return Ok(report.worst);
    }
    let service = match make_service(global).await {
        Ok(service) => service,
        Err(failure) => {
            report.say(State::Bad, "state", &failure.message);
            return Ok(report.worst);
        }
    };
    report.say(State::Good, "state", "control.sqlite opens");
    signer(&service, &mut report).await;
    chains(&service, &mut report).await;
    tenants(&service, &mut report).await;
    alerts_to(&service, &mut report).await;
    protected(&service, &mut report).await;
    Ok(report.worst)
}

fn directory(global: &Global, report: &mut Report<'_>) {
    match std::fs::metadata(&global.data) {
        Ok(metadata) if metadata.mode() & 0o077 != 0 => report.say(
            State::Warning,
            "data directory",
            &format!("others may look into {0}: chmod 700 {0}", global.data.display()),
        ),
        Ok(_) => report.say(State::Good, "data directory", &global.data.display().to_string()),
        Err(error) => report.say(State::Bad, "data directory", &error.to_string()),
    }
}

/// The certificate that the listener for notifications shows, as `serve` told last.
fn notifications_certificate(global: &Global, config: &Config, report: &mut Report<'_>) {
    const PART: &str = "certificate for notifications";
    let data = DataDirectory::new(&global.data);
    match config.serve.notifications(&data) {
        Err(failure) => return report.say(State::Bad, "settings", &failure.message),
        Ok(options) if options.as_ref().is_none_or(|options| options.tls.is_none()) => return,
        Ok(_) => {}
    }
    let status = match CertificateStatus::read(&data.tls_status(NOTIFICATIONS)) {
        Ok(Some(status)) => status,
        Ok(None) => {
            return report.say(State::Missing, PART, "'mailkeep serve' has not run with it yet");
        }
        Err(error) => return report.say(State::Bad, PART, &error.to_string()),
    };
    let now = OffsetDateTime::now_utc();
    let state = match &status.serving {
        Some(serving) if serving.not_after > now && status.trouble.is_none() => State::Good,
        Some(serving) if serving.not_after > now => State::Warning,
        _ => State::Bad,
    };
    report.say(state, PART, &certificate(&status));
}

/// What this worker proves itself with to a signer of another machine.
fn worker_certificate(config: &Config, report: &mut Report<'_>) {
    const PART: &str = "certificate for the signer";
    /// Days before its end from which on there is a warning.
    const SOON: i64 = 30;
    let port = match config.signer.port() {
        Ok(Some(port)) => port,
        Ok(None) => return,
        Err(failure) => return report.say(State::Bad, "settings", &failure.message),
    };
    match port.certificate() {
        Err(error) => report.say(State::Bad, PART, &error.to_string()),
        Ok(found) => {
            let days = found.days_left(OffsetDateTime::now_utc());
            let until = time_text(found.not_after);
            let text =
                format!("for tls://{port}, valid until {until}, SHA-256 {}", found.fingerprint);
            match days {
                ..0 => {
                    report.say(State::Bad, PART, &format!("{text}: it has expired; {ENROL_AGAIN}"));
                }
                0..SOON => report.say(State::Warning, PART, &format!("{text}; {ENROL_AGAIN}")),
                _ => report.say(State::Good, PART, &text),
            }
        }
    }
}

const ENROL_AGAIN: &str = "'mailkeep signer enroll' on the signer's machine gives another one";

/// Which certificate serves, until when, and what stood in the way of the next one.
pub(super) fn certificate(status: &CertificateStatus) -> String {
    let mut text = match &status.serving {
        None => format!("none yet from {}", status.source),
        Some(serving) => format!(
            "{} from {} ({}), valid until {}, SHA-256 {}",
            serving.names.join(", "),
            serving.issuer,
            status.source,
            time_text(serving.not_after),
            serving.fingerprint
        ),
    };
    if let Some(trouble) = &status.trouble {
        text.push_str(&format!("; since {}: {}", time_text(trouble.since), trouble.what));
    }
    text
}

fn time_text(time: OffsetDateTime) -> String {
    time.format(&Rfc3339).unwrap_or_else(|_| time.to_string())
}

async fn signer(service: &Service, report: &mut Report<'_>) {
    let status = match service.signer().await {
        Ok(signer) => signer.status().await.map_err(mailkeep_service::ServiceError::from),
        Err(error) => Err(error),
    };
    match status {
        Err(error) => {
            // Somebody whose signer is gone for good reads this first.
            let lost = match service.ledger_last_seen().await {
                Ok(Some(_)) => {
                    "; when its directory, or what seals it, is lost for good: docs/operating.md, 'When the signer is lost'"
                }
                _ => "",
            };
            report.say(State::Bad, "signer", &format!("{error}{lost}"));
        }
        Ok(status) => {
            let text = format!(
                "answers, {} keys, ledger at record {}",
                status.credentials, status.ledger.seq
            );
            report.say(State::Good, "signer", &text);
            let (state, text) = match &status.sealing.warning {
                Some(warning) => (State::Warning, warning.clone()),
                None => (State::Good, sealing(&status.sealing)),
            };
            report.say(state, "signer's sealing", &text);
        }
    }
}

/// How the master key is held, for people.
fn sealing(sealing: &SealingInfo) -> String {
    let passphrase = match sealing.passphrase {
        Some(CredentialSeal::Tpm) => ", which this machine's TPM seals",
        Some(CredentialSeal::TpmAndHost) => {
            ", which this machine's TPM and a key on its disk seal together"
        }
        _ => "",
    };
    match sealing.kind {
        SealingKind::Passphrase => {
            format!("the master key is sealed with a passphrase from outside{passphrase}")
        }
        _ => "the master key is a file of its own, on another medium".to_owned(),
    }
}

/// Whether the signer is the one that a tenant was set up with; what to do when it is not.
async fn signer_of(
    service: &Service,
    tenant: &Tenant,
    name: &str,
    report: &mut Report<'_>,
) -> bool {
    let text = match service.signer_of(tenant).await {
        // Why it does not answer was said.
        Err(_) | Ok(SignerOf::Ours) => return true,
        Ok(SignerOf::Recovering) => {
            let text = format!(
                "it took the place of a lost one, and not all new keys are registered: 'mailkeep identity recover {}' says what is left",
                tenant.name
            );
            report.say(State::Warning, &format!("{name}, signer"), &text);
            return true;
        }
        Ok(SignerOf::Another { says_so: true }) => format!(
            "its keys and its repository's password were lost with the signer: 'mailkeep identity recover {} --kit DIR --out DIR'",
            tenant.name
        ),
        Ok(SignerOf::Another { says_so: false }) => format!(
            "the signer is another one than before. When that one is lost for good: 1. 'mailkeep signer recover --reason TEXT --witness FILE', 2. 'mailkeep identity recover {} --kit DIR --out DIR'. When nobody replaced it on purpose: keep its disk, somebody threw the ledger away",
            tenant.name
        ),
    };
    report.say(State::Bad, &format!("{name}, signer"), &text);
    false
}

/// The signer's ledger and the receipts.
async fn chains(service: &Service, report: &mut Report<'_>) {
    match service.read_ledger(Vec::new(), (), |(), _| ()).await {
        // Why the signer does not answer was said.
        Err(_) => report.say(State::Missing, "ledger", "cannot be read without the signer"),
        Ok((read, ())) => match read.outcome {
            Ok(summary) => {
                let text = format!("{} records, the chain holds", summary.head.seq);
                report.say(State::Good, "ledger", &text);
            }
            Err(error) => report.say(State::Bad, "ledger", &error.to_string()),
        },
    }
    witnesses(service, report).await;
    // No receipts before the first token.
    let file = match File::open(service.data().receipts()) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
        Err(error) => return report.say(State::Bad, "receipts", &error.to_string()),
    };
    match verify_receipts(BufReader::new(file), None, |_| ()) {
        Ok(summary) => {
            let text = format!("{} records, the chain holds", summary.head.seq);
            report.say(State::Good, "receipts", &text);
        }
        Err(fault) => report.say(State::Bad, "receipts", &fault.to_string()),
    }
}

/// Whether anybody outside keeps where the ledger stood.
async fn witnesses(service: &Service, report: &mut Report<'_>) {
    let all = match service.witnesses().await {
        Ok(all) => all,
        Err(error) => return report.say(State::Bad, "witnesses", &error.to_string()),
    };
    if all.is_empty() {
        let text = "nobody outside keeps checkpoints of the ledger: whoever has the signer's user can write it anew ([[witness]] in config.toml)";
        report.say(State::Missing, "witnesses", text);
    }
    for (witness, state) in all {
        let name = format!("witness {}", witness.name);
        let data = service.data().root();
        match (&witness.way, state.at, state.error) {
            (WitnessWay::File(path), ..) if path.starts_with(data) => {
                let text =
                    "it lies in the data directory, and shows nothing to whoever can change that";
                report.say(State::Warning, &name, text);
            }
            (_, _, Some(error)) => {
                let since = state.failing_since.map(rfc3339).unwrap_or_default();
                report.say(State::Bad, &name, &format!("cannot be told since {since}: {error}"));
            }
            (_, None, None) => {
                let text =
                    "not told yet: 'mailkeep serve' does, or 'mailkeep identity ledger witness'";
                report.say(State::Missing, &name, text);
            }
            (_, Some(at), None) => {
                let text = format!("knows of record {}, told {}", state.seq, rfc3339(at));
                report.say(State::Good, &name, &text);
            }
        }
    }
}

/// Whether anybody would notice a theft.
async fn watched(service: &Service, tenant: &Tenant, name: &str, report: &mut Report<'_>) {
    let name = format!("{name}, watch");
    if !tenant.functions.iter().any(|one| one.function == Function::Auditor) {
        let text = "no auditor is registered: nobody would notice that somebody else uses our keys; docs/operating.md, 'Watching over the keys'";
        return report.say(State::Missing, &name, text);
    }
    match service.watched(&tenant.name).await {
        Err(error) => report.say(State::Bad, &name, &error.to_string()),
        Ok(Watched { posture: Some(looked), judged: Some(judged) }) => {
            let text = format!("looked at {}, logs judged {}", rfc3339(looked), rfc3339(judged));
            let old = OffsetDateTime::now_utc() - looked.min(judged) > UNWATCHED;
            let state = if old { State::Warning } else { State::Good };
            report.say(state, &name, &text);
        }
        Ok(_) => {
            let text = format!(
                "not looked at yet: 'mailkeep serve' does, or 'mailkeep identity posture {0}' and 'identity reconcile {0}'",
                tenant.name
            );
            report.say(State::Missing, &name, &text);
        }
    }
}

/// How many mailboxes are backed up, and who is not any more.
async fn mailboxes(service: &Service, tenant: &TenantName, name: &str, report: &mut Report<'_>) {
    let known = match service.control().mailboxes(tenant).await {
        Ok(known) => known,
        Err(error) => return report.say(State::Bad, name, &error.to_string()),
    };
    let left = |why| known.iter().filter(|known| known.departure == Some(why)).count();
    let (gone, deselected) = (left(Departure::Left), left(Departure::Deselected));
    let mut text = format!("{} are backed up", known.len() - gone - deselected);
    for (count, what) in [(gone, "gone from the directory"), (deselected, "not selected any more")]
    {
        if count > 0 {
            text.push_str(&format!(", {count} {what}"));
        }
    }
    if gone + deselected > 0 {
        text.push_str(&format!(
            " (their backups stay; 'mailkeep tenant mailboxes {tenant}' lists them)"
        ));
    }
    if !known.is_empty() {
        report.say(State::Good, &format!("{name}, mailboxes"), &text);
    }
}

/// Whom incidents are told to, and whether that works.
async fn alerts_to(service: &Service, report: &mut Report<'_>) {
    let all = match service.alert_destinations().await {
        Ok(all) => all,
        Err(error) => return report.say(State::Bad, "alerts", &error.to_string()),
    };
    if all.is_empty() {
        let text = "nobody is told of incidents: 'mailkeep alerts add NAME --kind slack|teams|mattermost|ntfy|pagerduty|json|smtp|command'";
        report.say(State::Missing, "alerts", text);
    }
    for one in all {
        let (name, stored) = (format!("alerts to {}", one.stored.name), &one.stored);
        let state = match (stored.failing_since, stored.set_aside) {
            (Some(_), _) => State::Bad,
            (None, 0) => State::Good,
            (None, _) => State::Warning,
        };
        let waiting = match stored.waiting {
            0 => String::new(),
            count => format!("; {count} waiting"),
        };
        report.say(state, &name, &format!("{}{waiting}", alerts::state(&one)));
        if stored.kind != "smtp" {
            continue;
        }
        match service.relay_doubts(&stored.host).await {
            Ok(doubts) => doubts.iter().for_each(|text| report.say(State::Warning, &name, text)),
            Err(error) => report.say(State::Bad, &name, &error.to_string()),
        }
    }
}

/// Feeds that nobody renewed for so long name what is no longer there.
const OLD_FEED: Duration = Duration::days(7);

/// What messages are inspected with, and what follows.
async fn protected(service: &Service, report: &mut Report<'_>) {
    let protection = service.protection();
    if protection.is_empty() {
        let text =
            "no policy and no feeds: messages are inspected, and nothing follows; docs/protect.md";
        return report.say(State::Missing, "protect", text);
    }
    if let Err(error) = service.read_protection().await {
        return report.say(State::Bad, "protect", &error.to_string());
    }
    let now = OffsetDateTime::now_utc();
    for held in protection.held() {
        let age = held.modified.map(|modified| now - modified);
        let old = held.what == "feed" && age.is_some_and(|age| age > OLD_FEED);
        let state = if old { State::Warning } else { State::Good };
        let age = age.map(|age| format!(", written {}", ago(age))).unwrap_or_default();
        let part = format!("protect, {} {}", held.what, held.path.display());
        report.say(state, &part, &format!("{}{age}", held.amount));
    }
    if protection.rules() > 0 {
        report.say(State::Good, "protect, rules", &format!("{} compiled", protection.rules()));
    }
    for problem in protection.problems() {
        let place = match problem.line {
            Some(line) => format!("{}:{line}", problem.path.display()),
            None => problem.path.display().to_string(),
        };
        let text = format!(
            "{place}: {}; a running service goes on with what it read before",
            problem.problem
        );
        report.say(State::Bad, "protect", &text);
    }
    taken_away(service, report).await;
    if let Some(clamav) = protection.clamav() {
        match clamav.version() {
            Ok(version) => report.say(State::Good, "protect, ClamAV", &version),
            Err(error) => {
                let text =
                    format!("{error}; messages are inspected without it, and each verdict says so");
                report.say(State::Bad, "protect, ClamAV", &text);
            }
        }
    }
}

/// Whether what policies take away can be taken.
async fn taken_away(service: &Service, report: &mut Report<'_>) {
    let tenants = match service.control().tenants().await {
        Ok(tenants) => tenants,
        // That they cannot be read was said.
        Err(_) => return,
    };
    for Tenant { name, functions, .. } in tenants {
        let loaded = service.protection().of(Some(&name));
        let takes_away = loaded.policy().is_some_and(|policy| {
            let mut rules = policy.rules().iter();
            !policy.dry_run() && rules.any(|rule| !rule.dry_run && rule.action.takes_away())
        });
        if takes_away && !functions.iter().any(|one| one.function == Function::Responder) {
            let text = format!(
                "its policy takes mail away, and there is no responder: what it decides waits, and is let be when it is too old. 'mailkeep tenant setup {name} --function responder'"
            );
            report.say(State::Warning, &format!("protect, tenant {name}"), &text);
        }
    }
}

fn ago(age: Duration) -> String {
    match age.whole_minutes() {
        ..1 => "just now".to_owned(),
        minutes @ 1..120 => format!("{minutes} minutes ago"),
        minutes @ 120..2880 => format!("{} hours ago", minutes / 60),
        minutes => format!("{} days ago", minutes / 1440),
    }
}

async fn tenants(service: &Service, report: &mut Report<'_>) {
    let tenants = match service.control().tenants().await {
        Ok(tenants) => tenants,
        Err(error) => return report.say(State::Bad, "tenants", &error.to_string()),
    };
    if tenants.is_empty() {
        let text = "none yet; 'mailkeep tenant add NAME --directory ID' makes the first one";
        report.say(State::Missing, "tenants", text);
    }
    for tenant in tenants {
        let name = format!("tenant {}", tenant.name);
        if tenant.functions.is_empty() {
            let text = format!(
                "its application is not registered; 'mailkeep tenant show {}' says how",
                tenant.name
            );
            report.say(State::Missing, &name, &text);
            continue;
        }
        // Without its keys everything else is refused as well.
        if !signer_of(service, &tenant, &name, report).await {
            continue;
        }
        match service.check_tenant(&tenant.name).await {
            Err(error) => report.say(State::Bad, &name, &error.to_string()),
            Ok(checks) => {
                let mut good = true;
                for check in checks {
                    let (state, text) = match &check.outcome {
                        Checked::Good(_) | Checked::Untried(_) => continue,
                        Checked::Missing(text) => {
                            report.say(State::Missing, &format!("{name}, {}", check.what), text);
                            continue;
                        }
                        Checked::Warning(text) | Checked::Partly(text) | Checked::Excess(text) => {
                            (State::Warning, text)
                        }
                        Checked::Bad { reason, .. } => (State::Bad, reason),
                        _ => continue,
                    };
                    good = false;
                    report.say(state, &format!("{name}, {}", check.what), text);
                }
                if good {
                    report.say(State::Good, &name, "every right is there, and none too much");
                }
            }
        }
        watched(service, &tenant, &name, report).await;
        let vault = service.data().vault(&tenant.name);
        match service.control().catalog_head(&tenant.name).await {
            Ok(None) => {
                let text = format!("nothing backed up yet: 'mailkeep backup {}'", tenant.name);
                report.say(State::Missing, &format!("{name}, vault"), &text);
            }
            Ok(Some(_)) if Vault::exists(&vault) => {
                report.say(State::Good, &format!("{name}, vault"), &vault.display().to_string());
            }
            Ok(Some(_)) => {
                let text = format!("{} is gone; put it back", vault.display());
                report.say(State::Bad, &format!("{name}, vault"), &text);
            }
            Err(error) => report.say(State::Bad, &format!("{name}, vault"), &error.to_string()),
        }
        mailboxes(service, &tenant.name, &name, report).await;
        match service.control().skipped(&tenant.name, None).await {
            Ok(skipped) if !skipped.is_empty() => {
                let text = format!(
                    "{} items could not be read and are tried again in every pass",
                    skipped.len()
                );
                report.say(State::Warning, &name, &text);
            }
            Ok(_) => {}
            Err(error) => report.say(State::Bad, &name, &error.to_string()),
        }
    }
}
