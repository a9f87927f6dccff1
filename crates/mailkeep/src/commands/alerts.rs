//! `mailkeep alerts …`

use std::{path::PathBuf, time::Duration};

use mailkeep_model::Secret;
use mailkeep_service::{Destination, DestinationName, Repeat, Rule, Service, Shape, Target};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::{Outcome, browse::rfc3339, open_service, secret_file};
use crate::{
    cli::{AlertKind, Alerts, AlertsAdd, Global},
    exit::{Exit, Failure},
    output::{Output, plain, table},
};

/// How long a command that has something to tell waits for it to arrive.
const DELIVERY_TIME: Duration = Duration::from_secs(20);
pub(super) async fn run(global: &Global, command: Alerts, output: &Output) -> Outcome {
    // What is wrong with the arguments is said before anything is opened.
    let service = open_service(global).await?;
    match command {
        Alerts::List => list(&service, output).await,
        Alerts::Add(arguments) => add(&service, *arguments, output).await,
        Alerts::Remove { name } => {
            let now = OffsetDateTime::now_utc();
            if !service.remove_alert_destination(&name, now).await? {
                return Err(unknown(&name));
            }
            output.result(&json!({"removed": name}), || format!("alerts go to {name} no more"));
            Ok(Exit::Done)
        }
        Alerts::Test(arguments) => match arguments.which.name {
            Some(name) => test(&service, &[name], output).await,
            None => {
                let all = service.alert_destinations().await?;
                let names: Vec<DestinationName> =
                    all.iter().filter_map(|one| one.stored.name.parse().ok()).collect();
                test(&service, &names, output).await
            }
        },
    }
}

/// Tells what is due, for a short while, at the end of a command that may have found something. What
/// does not arrive waits.
pub(super) async fn deliver(service: &Service, output: &Output) {
    let now = OffsetDateTime::now_utc();
    match service.deliver_alerts(now, DELIVERY_TIME).await {
        Ok(rounds) => {
            for (name, why) in
                rounds.iter().filter_map(|one| Some((&one.destination, one.failed.as_ref()?)))
            {
                output.complain(&format!(
                    "warning: alerts to '{name}' do not arrive: {why}. They wait; 'mailkeep serve', or the next command that finds something, sends them again"
                ));
            }
        }
        Err(error) => output.complain(&format!("warning: alerts were not sent: {error}")),
    }
}

async fn list(service: &Service, output: &Output) -> Outcome {
    let all = service.alert_destinations().await?;
    if output.is_json() {
        for one in &all {
            output.result(&json_of(one), String::new);
        }
        return Ok(Exit::Done);
    }
    if all.is_empty() {
        output
            .note("nobody is told of incidents; 'mailkeep alerts add NAME --kind …' changes that");
        return Ok(Exit::Done);
    }
    let row = |one: &Destination| {
        let Destination { stored, rule } = one;
        let tenants = match rule.tenants.as_slice() {
            [] => "all tenants".to_owned(),
            some => some.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
        };
        let waiting = format!("{} waiting", stored.waiting);
        let (severity, state) = (rule.severity.as_str().to_owned(), plain(&state(one)));
        let (name, kind, host) = (stored.name.clone(), stored.kind.clone(), plain(&stored.host));
        vec![name, kind, host, severity, tenants, repeat_text(rule.repeat), waiting, state]
    };
    output.result(&json!({}), || table(&all.iter().map(row).collect::<Vec<_>>()));
    Ok(Exit::Done)
}

/// How a destination is, in words.
pub(super) fn state(one: &Destination) -> String {
    let stored = &one.stored;
    let aside = match stored.set_aside {
        0 => String::new(),
        count => format!("; {count} were not taken and given up"),
    };
    let error = stored.error.as_deref().unwrap_or_default();
    match (stored.failing_since, stored.delivered) {
        (Some(since), _) => format!("FAILING since {}: {error}{aside}", rfc3339(since)),
        (None, Some(delivered)) => format!("good, last {}{aside}", rfc3339(delivered)),
        (None, None) => format!("nothing sent yet{aside}"),
    }
}

fn repeat_text(repeat: Repeat) -> String {
    match repeat {
        Repeat::Growing => "reminded at growing intervals".to_owned(),
        Repeat::EverySeconds(seconds) => format!("reminded every {} min", seconds / 60),
        Repeat::Never => "never reminded".to_owned(),
    }
}

fn json_of(one: &Destination) -> Value {
    let Destination { stored, rule } = one;
    json!({
        "name": stored.name,
        "kind": stored.kind,
        "host": stored.host,
        "severity": rule.severity,
        "tenants": rule.tenants,
        "repeat": rule.repeat,
        "added": rfc3339(stored.created),
        "waiting": stored.waiting,
        "set_aside": stored.set_aside,
        "delivered": stored.delivered.map(rfc3339),
        "failing_since": stored.failing_since.map(rfc3339),
        "failures": stored.failures,
        "retry_at": stored.retry_at.map(rfc3339),
        "error": stored.error,
    })
}

async fn add(service: &Service, arguments: AlertsAdd, output: &Output) -> Outcome {
    let target = target(&arguments)?;
    let rule = Rule {
        severity: arguments.severity.into(),
        tenants: arguments.tenant,
        repeat: arguments.repeat,
    };
    let name = &arguments.name;
    target.check(arguments.plain).map_err(Failure::usage)?;
    let now = OffsetDateTime::now_utc();
    let doubts = service.add_alert_destination(name, &target, arguments.plain, &rule, now).await?;
    for doubt in &doubts {
        output.complain(&format!("warning: {doubt}"));
    }
    let (kind, host) = (target.kind(), target.host());
    let value = json!({"name": name, "kind": kind, "host": host, "doubts": doubts});
    output.result(&value, || {
        format!(
            "alerts go to {name} ({kind}, {}) from now on; see that they arrive: 'mailkeep alerts test {name}'",
            plain(&host)
        )
    });
    Ok(Exit::Done)
}

fn target(arguments: &AlertsAdd) -> Result<Target, Failure> {
    let ca_pem =
        match &arguments.ca {
            None => None,
            Some(path) => Some(std::fs::read_to_string(path).map_err(|error| {
                Failure::usage(format!("cannot read {}: {error}", path.display()))
            })?),
        };
    let shape = match arguments.kind {
        AlertKind::Slack => Shape::Slack,
        AlertKind::Teams => Shape::Teams,
        AlertKind::Mattermost => Shape::Mattermost,
        AlertKind::Ntfy => Shape::Ntfy,
        AlertKind::Json => Shape::Json,
        AlertKind::Pagerduty => {
            let (routing_key, _) = secret(arguments)?;
            return Ok(Target::pagerduty(routing_key, arguments.europe));
        }
        AlertKind::Smtp => return relay(arguments, ca_pem),
        AlertKind::Command => {
            let mut words = arguments.command.iter();
            let program = words.next().map(PathBuf::from).unwrap_or_default();
            return Ok(Target::Command { program, arguments: words.cloned().collect() });
        }
    };
    let (url, token) = secret(arguments)?;
    if token.is_some() && !matches!(shape, Shape::Ntfy | Shape::Json) {
        return Err(Failure::usage("the address stands on one line; there is a second one"));
    }
    Ok(Target::Webhook { shape, url, token, ca_pem })
}

fn relay(arguments: &AlertsAdd, ca_pem: Option<String>) -> Result<Target, Failure> {
    let relay = arguments.relay.clone().unwrap_or_default();
    let (tls, usual) = arguments.tls.parts();
    let (host, port) = split_port(&relay).unwrap_or((relay.as_str(), usual));
    let password = match arguments.user {
        Some(_) => Some(secret(arguments)?.0),
        None => None,
    };
    Ok(Target::Smtp {
        host: host.trim_matches(['[', ']']).to_owned(),
        port,
        tls,
        user: arguments.user.clone(),
        password,
        from: arguments.from.clone().unwrap_or_default(),
        to: arguments.to.clone(),
        ca_pem,
    })
}

/// `host:587` and `[::1]:587`, but not `::1`.
fn split_port(relay: &str) -> Option<(&str, u16)> {
    let (host, port) = relay.rsplit_once(':')?;
    let is_whole = !host.contains(':') || (host.starts_with('[') && host.ends_with(']'));
    Some((host, port.parse().ok()?)).filter(|_| is_whole)
}

/// The first line of the file with what opens a destination, and the second one, if there is any.
fn secret(arguments: &AlertsAdd) -> Result<(Secret, Option<Secret>), Failure> {
    let Some(path) = &arguments.secret_file else {
        return Err(Failure::usage("name the file with its secret: --secret-file FILE, or '-'"));
    };
    let unusable =
        |reason: String| Failure::usage(format!("secret file {}: {reason}", path.display()));
    let text = secret_file::read(path).map_err(|error| unusable(error.to_string()))?;
    let text = Secret::new(text);
    let mut lines = text.expose().lines().map(str::trim);
    let first = lines.next().filter(|line| !line.is_empty());
    let first = first.ok_or_else(|| unusable("its first line is empty".into()))?;
    let second = lines.next().filter(|line| !line.is_empty());
    Ok((Secret::new(first.to_owned()), second.map(|line| Secret::new(line.to_owned()))))
}

async fn test(service: &Service, names: &[DestinationName], output: &Output) -> Outcome {
    let all = service.alert_destinations().await?;
    let mut failed = 0;
    for name in names {
        if all.iter().all(|one| one.stored.name != name.as_str()) {
            return Err(unknown(name));
        }
        let sent = service.test_alert_destination(name, OffsetDateTime::now_utc()).await;
        let error = sent.err().map(|error| error.to_string());
        failed += usize::from(error.is_some());
        let value = json!({"name": name, "arrived": error.is_none(), "error": error});
        output.result(&value, || match &error {
            None => format!("{name}: taken; look whether it is shown there"),
            Some(error) => format!("{name}: did NOT arrive: {}", plain(error)),
        });
    }
    Ok(match failed {
        0 => Exit::Done,
        some if some == names.len() => Exit::Failed,
        _ => Exit::Partly,
    })
}

fn unknown(name: &DestinationName) -> Failure {
    Failure::new(
        Exit::NotFound,
        format!("alerts go to no '{name}'; 'mailkeep alerts list' shows whom they go to"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relay_may_be_an_address_of_either_kind_with_or_without_a_port() {
        assert_eq!(split_port("mail.example:25"), Some(("mail.example", 25)));
        assert_eq!(split_port("[::1]:25"), Some(("[::1]", 25)));
        for whole in ["mail.example", "::1", "[::1]", "mail.example:smtp"] {
            assert_eq!(split_port(whole), None, "{whole}");
        }
    }
}
