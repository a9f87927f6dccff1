//! `mailkeep identity posture`

use mailkeep_control::Recorded;
use mailkeep_model::{Function, Registration, TenantName};
use mailkeep_sentry::ExchangeDifference;
use mailkeep_service::{Acceptance, ExchangeLook, Looked, Service};
use serde_json::json;
use time::OffsetDateTime;

use super::{Outcome, alerts, browse::rfc3339, identity::open_incidents};
use crate::{
    exit::Exit,
    output::{Output, plain},
};

pub(super) async fn run(
    service: &Service,
    tenant: &TenantName,
    accept: bool,
    output: &Output,
) -> Outcome {
    let acceptance = if accept { Acceptance::Accept } else { Acceptance::Compare };
    let now = OffsetDateTime::now_utc();
    let mut looked = service.posture(tenant, acceptance, now).await?;
    let exchange = match service.look_at_exchange(tenant, acceptance, now).await {
        Ok(look) => Exchange::of(look),
        Err(error) => {
            looked.unseen.push(format!("a snapshot of Exchange's configuration: {error}"));
            Exchange::default()
        }
    };
    alerts::deliver(service, output).await;
    let open = open_incidents(service, tenant).await?;
    let incident = |(recorded, incident): &(Recorded, mailkeep_sentry::Incident)| {
        json!({
            "id": recorded.id(),
            "new": matches!(recorded, Recorded::New(_)),
            "incident": incident,
        })
    };
    let deviation = |one: &mailkeep_sentry::Deviation| {
        json!({
            "kind": one.kind,
            "function": one.function,
            "client_id": one.client_id,
            "subject": one.subject,
            "before": one.before,
            "after": one.after,
            "incident": one.kind.incident(),
            "remedy": one.kind.remedy(),
        })
    };
    let value = json!({
        "tenant": tenant,
        "deviations": looked.posture.deviations.iter().map(deviation).collect::<Vec<_>>(),
        "incidents": looked.incidents.iter().map(incident).collect::<Vec<_>>(),
        "compared_with": looked.before.map(rfc3339),
        "unseen": looked.unseen,
        "exchange": { "state": exchange.state, "differences": exchange.differences },
        "open": open,
    });
    output.result(&value, || {
        let text = text(tenant, &looked, &exchange, accept, open.len());
        text.lines().map(plain).collect::<Vec<_>>().join("\n")
    });
    Ok(if open.is_empty() { Exit::Done } else { Exit::Incident })
}

/// What came of a look at Exchange's configuration, for people.
#[derive(Default)]
struct Exchange {
    state: Option<&'static str>,
    differences: Vec<String>,
}

impl Exchange {
    fn of(look: ExchangeLook) -> Self {
        let mut differences = Vec::new();
        let state = match look {
            ExchangeLook::NotAsked => None,
            ExchangeLook::NotDue => Some("its last snapshot is young enough"),
            ExchangeLook::Accepted => Some("it is accepted as the last snapshot has it"),
            ExchangeLook::UnderWay => {
                Some("the provider takes a snapshot; ask again, or leave it to 'serve'")
            }
            ExchangeLook::Seen { first: true, .. } => {
                Some("seen for the first time: it is accepted as it is")
            }
            ExchangeLook::Seen { differences: found, .. } => {
                differences = found.iter().map(ExchangeDifference::text).collect();
                Some("compared with what was accepted")
            }
        };
        Self { state, differences }
    }
}

fn text(
    tenant: &TenantName,
    looked: &Looked,
    exchange: &Exchange,
    accept: bool,
    open: usize,
) -> String {
    let mut lines = Vec::new();
    for (function, registration) in &looked.registrations {
        lines.push(match registration {
            None => format!("{function}: not registered"),
            Some(registration) => state(*function, registration, looked),
        });
    }
    let deviations = &looked.posture.deviations;
    if deviations.is_empty() {
        lines.push("all of it is as expected".to_owned());
    }
    for one in deviations {
        let mark = if one.kind.incident().is_some() { "NOT AS EXPECTED" } else { "to know" };
        lines.push(format!("{mark}  {}: {}", one.function, one.text()));
        lines.push(format!("    {}", one.kind.remedy().replace("TENANT", tenant.as_str())));
    }
    for one in &exchange.differences {
        lines.push(format!("NOT AS EXPECTED  Exchange: {one}"));
    }
    if let Some(state) = exchange.state {
        lines.push(format!("Exchange's configuration: {state}"));
    }
    for what in &looked.unseen {
        lines.push(format!("not seen: {what}"));
    }
    lines.push(match (accept, looked.before) {
        (true, _) => {
            "owners, permissions and locks that were seen are accepted as they are now".to_owned()
        }
        (false, None) => {
            "looked at for the first time: owners and locks are accepted as they are now".to_owned()
        }
        (false, Some(before)) => format!("compared with what was seen {}", rfc3339(before)),
    });
    lines.push(match open {
        0 => "no open incident".to_owned(),
        count => format!("{count} open incidents; 'mailkeep incidents {tenant}' lists them"),
    });
    lines.join("\n")
}

fn state(function: Function, registration: &Registration, looked: &Looked) -> String {
    let count = |count: usize, what: &str| match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    };
    let application = &registration.application;
    let principal = registration.principal.as_ref();
    let keys = application.keys.len() + principal.map_or(0, |one| one.keys.len());
    let passwords = application.passwords.len() + principal.map_or(0, |one| one.passwords.len());
    let owners: Vec<&str> = application
        .owners
        .iter()
        .chain(principal.iter().flat_map(|one| &one.owners))
        .map(String::as_str)
        .collect();
    let sign_in = if registration.enabled { "on" } else { "OFF" };
    let lock = looked.locks.get(&function).map_or("lock unknown", String::as_str);
    format!(
        "{function}: '{}' ({}), sign-in {sign_in}, {}, {}, {}; owned by {}; {lock}",
        application.name,
        registration.client_id,
        count(keys, "certificate"),
        count(passwords, "password"),
        count(registration.federated.len(), "federated credential"),
        if owners.is_empty() { "nobody".to_owned() } else { owners.join(", ") },
    )
}
