use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use data_encoding::HEXLOWER;
use mailkeep_control::{DecisionFilter, StoredDecision};
use mailkeep_inspect::{ExactList, MatchKey, policy};
use mailkeep_service::{ProtectOptions, Protection, ServiceError, TenantFiles};
use serde_json::json;

use super::{Outcome, browse::rfc3339, config, open_service};
use crate::{
    cli::{Global, Policy, PolicyCheck, PolicyDecisions, PolicyHash},
    exit::{Exit, Failure},
    output::{Output, plain},
    rules,
};

pub(super) async fn run(global: &Global, command: Policy, output: &Output) -> Outcome {
    match command {
        Policy::Check(arguments) => check(global, &arguments, output),
        Policy::Decisions(arguments) => Box::pin(decisions(global, &arguments, output)).await,
        Policy::Hash(arguments) => hash(&arguments, output),
    }
}

/// Reads a policy as the service would, beside the dictionaries and lists of the settings.
fn check(global: &Global, arguments: &PolicyCheck, output: &Output) -> Outcome {
    let named = config(global)?.protect.options(Path::new("."))?.files;
    let policy = Some(arguments.file.clone());
    let options =
        ProtectOptions { files: TenantFiles { policy, ..named }, ..ProtectOptions::default() };
    let protection = Protection::new(options, rules::engine());
    let look = protection.look();
    if let Some(problem) = look.new_problems.first() {
        return Err(Failure::usage(problem.to_string()));
    }
    let loaded = protection.of(None);
    let Some(policy) = loaded.policy() else {
        return Err(Failure::failed(format!("{} was not read", arguments.file.display())));
    };
    let line = json!({
        "file": arguments.file,
        "dry_run": policy.dry_run(),
        "own_domains": policy.own_domains(),
        "partner_domains": policy.partner_domains(),
        "executives": policy.executives().len(),
        "rules": policy.rules().iter().map(|rule| json!({
            "name": rule.name(),
            "action": rule.action.as_str(),
            "dry_run": policy.dry_run() || rule.dry_run,
        })).collect::<Vec<_>>(),
    });
    output.result(&line, || text(policy));
    Ok(Exit::Done)
}

fn text(policy: &policy::Policy) -> String {
    let rules = policy.rules();
    let mut text = format!("{} rules", rules.len());
    if policy.dry_run() {
        text.push_str(", in dry run: nothing follows until the file says dry_run = false");
    }
    for rule in rules {
        let dry = if rule.dry_run { " (dry run)" } else { "" };
        text.push_str(&format!("\n  {:<10} {}{dry}", rule.action.as_str(), plain(rule.name())));
    }
    let overruled = rules.iter().any(|rule| !rule.dry_run) && policy.dry_run() && !rules.is_empty();
    if overruled && policy.own_domains().is_empty() {
        text.push_str("\nno own_domains: 'mailkeep inspect' takes everybody for an outsider; the service knows the tenant's");
    }
    text
}

async fn decisions(global: &Global, arguments: &PolicyDecisions, output: &Output) -> Outcome {
    let service = open_service(global).await?;
    service.tenant(&arguments.tenant).await?;
    let filter = DecisionFilter {
        since: arguments.since,
        message_id: arguments.message_id.clone(),
        limit: Some(arguments.limit),
    };
    let control = service.control();
    let mailboxes = control.mailboxes(&arguments.tenant).await.map_err(ServiceError::from)?;
    let decisions = control.decisions(&arguments.tenant, &filter).await;
    for one in decisions.map_err(ServiceError::from)? {
        let mailbox = mailboxes.iter().find(|known| known.mailbox.id == one.mailbox);
        let mailbox =
            mailbox.map_or(one.mailbox.0.clone(), |known| known.mailbox.address.to_string());
        let line = json!({
            "id": one.id,
            "mailbox": mailbox,
            "item": one.item,
            "message_id": one.message_id,
            "sender": one.sender,
            "action": one.action,
            "acted": one.acted,
            "spared": one.spared,
            "rules": one.rules,
            "decided": rfc3339(one.decided),
            "remedy": one.remedy,
        });
        output.result(&line, || line_of(&one, &mailbox));
    }
    Ok(Exit::Done)
}

fn line_of(one: &StoredDecision, mailbox: &str) -> String {
    let what = match (&one.spared, &one.remedy) {
        (Some(why), _) => format!("would {} ({why})", one.action),
        (None, Some(remedy)) => format!("{} (remedy {remedy})", one.action),
        (None, None) if one.acted && matches!(one.action.as_str(), "quarantine" | "remove") => {
            format!("{} (not ordered yet)", one.action)
        }
        (None, None) => one.action.clone(),
    };
    let mut text = format!(
        "{} {what}: {} from {} in {mailbox}",
        rfc3339(one.decided),
        plain(one.message_id.as_deref().unwrap_or(&one.item.0)),
        plain(&one.sender)
    );
    for rule in one.rules.as_array().into_iter().flatten() {
        let part = |name: &str| rule.get(name).and_then(serde_json::Value::as_str).unwrap_or("");
        text.push_str(&format!("\n    {}: {}", plain(part("rule")), plain(part("why"))));
    }
    text
}

/// Values of a line that are longer than this are cut off by whoever reads them, not by us.
const LINE: u64 = 64 << 10;

fn hash(arguments: &PolicyHash, output: &Output) -> Outcome {
    let key = key(&arguments.key)?;
    let input: Box<dyn BufRead> = if arguments.values == Path::new("-") {
        Box::new(BufReader::new(io::stdin()))
    } else {
        let open = File::open(&arguments.values);
        Box::new(BufReader::new(open.map_err(|error| unusable(&arguments.values, &error))?))
    };
    let mut passed_over = 0;
    let mut columns = None;
    for (index, line) in input.lines().enumerate() {
        let line = line.map_err(|error| unusable(&arguments.values, &error))?;
        if line.trim().is_empty() || line.len() as u64 > LINE {
            continue;
        }
        let values: Vec<&str> =
            line.split(',').map(|value| value.trim().trim_matches('"')).collect();
        if *columns.get_or_insert(values.len()) != values.len() || values.len() > ExactList::COLUMNS
        {
            return Err(Failure::usage(format!(
                "{}:{}: {} values; every line has as many as the first, at most {}",
                arguments.values.display(),
                index + 1,
                values.len(),
                ExactList::COLUMNS
            )));
        }
        let hashed: Option<Vec<String>> =
            values.iter().map(|value| Some(key.hash(value)?.to_string())).collect();
        match hashed {
            Some(hashed) => {
                let hashed = hashed.join(",");
                output.result(&json!({ "record": hashed }), || hashed.clone());
            }
            None => passed_over += 1,
        }
    }
    if passed_over > 0 {
        output.complain(&format!(
            "{passed_over} lines were left out: a value has fewer than {} letters and digits, or more than {} words",
            ExactList::SHORTEST,
            ExactList::WORDS
        ));
    }
    Ok(Exit::Done)
}

/// The key in a file, which is made when it is not there.
fn key(path: &Path) -> Result<MatchKey, Failure> {
    if !path.exists() {
        let mut bytes = [0; 32];
        rand::fill(&mut bytes);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let written =
            file.as_mut().map_err(|error| io::Error::from(error.kind())).and_then(|file| {
                file.write_all(HEXLOWER.encode(&bytes).as_bytes())?;
                file.write_all(b"\n")?;
                file.sync_all()
            });
        written.map_err(|error| unusable(path, &error))?;
    }
    let text = fs::read(path).map_err(|error| unusable(path, &error))?;
    Protection::list_key(&text).ok_or_else(|| {
        Failure::usage(format!("{}: a key is 64 hexadecimal digits", path.display()))
    })
}

fn unusable(path: &Path, error: &io::Error) -> Failure {
    Failure::usage(format!("{}: {error}", path.display()))
}
