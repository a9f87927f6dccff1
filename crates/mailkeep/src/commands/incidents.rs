use std::collections::HashMap;

use mailkeep_control::{Acknowledgement, StoredIncident, incident_subject};
use mailkeep_sentry::{Incident, report::incident_text};
use mailkeep_service::{Service, ServiceError};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::{Outcome, alerts, browse::rfc3339, open_service};
use crate::{
    cli::{Global, IncidentCommand, Incidents},
    exit::{Exit, Failure},
    output::{Output, plain, table},
};

pub(super) async fn run(global: &Global, arguments: Incidents, output: &Output) -> Outcome {
    let service = open_service(global).await?;
    match arguments.command {
        None => list(&service, &arguments, output).await,
        Some(IncidentCommand::Show { id }) => show(&service, id, output).await,
        Some(IncidentCommand::Close { id, note }) => {
            let now = OffsetDateTime::now_utc();
            if !service.close_incident(id, &note, now).await? {
                return Err(unknown(id));
            }
            output.result(&json!({"id": id, "closed": rfc3339(now)}), || {
                format!("incident {id} is closed; it opens again when more of it is found")
            });
            alerts::deliver(&service, output).await;
            Ok(Exit::Done)
        }
        Some(IncidentCommand::Acknowledge { id, until, note }) => {
            acknowledge(&service, id, until, &note, output).await
        }
    }
}

async fn acknowledge(
    service: &Service,
    id: i64,
    until: Option<OffsetDateTime>,
    note: &str,
    output: &Output,
) -> Outcome {
    let now = OffsetDateTime::now_utc();
    if until.is_some_and(|until| until <= now) {
        return Err(Failure::usage("--until is a time to come"));
    }
    let who = service.acknowledge_incident(id, until, note, now).await?;
    let Some(who) = who else {
        return Err(Failure::new(
            Exit::NotFound,
            format!("no open incident {id}; 'mailkeep incidents' lists them"),
        ));
    };
    let ends = until.map(rfc3339);
    output.result(
        &json!({"id": id, "acknowledged": rfc3339(now), "by": who, "until": ends}),
        || {
            let ends = ends.clone().unwrap_or_else(|| "it is closed".to_owned());
            format!("{who} looks after incident {id}; nobody is reminded of it until {ends}")
        },
    );
    alerts::deliver(service, output).await;
    Ok(Exit::Done)
}

async fn list(service: &Service, arguments: &Incidents, output: &Output) -> Outcome {
    let mut all = service.incidents(arguments.tenant.as_ref()).await?;
    all.retain(|one| arguments.closed || one.closed.is_none());
    let looked_after = looked_after(service).await?;
    if output.is_json() {
        for one in &all {
            output.result(&json_of(one, &looked_after), String::new);
        }
        return Ok(Exit::Done);
    }
    if all.is_empty() {
        output.note("no open incidents");
        return Ok(Exit::Done);
    }
    let row = |one: &StoredIncident| {
        let title = read(one).map_or_else(|| one.kind.clone(), |read| read.kind.title().to_owned());
        let is_acknowledged = active(&looked_after, one).is_some();
        let state = match (one.closed, is_acknowledged) {
            (Some(_), _) => "closed",
            (None, true) => "acknowledged",
            (None, false) => "open",
        };
        let (id, opened) = (one.id.to_string(), rfc3339(one.opened));
        vec![id, opened, one.tenant.to_string(), one.severity.clone(), state.to_owned(), title]
    };
    output.result(&json!({}), || table(&all.iter().map(row).collect::<Vec<_>>()));
    Ok(Exit::Done)
}

async fn show(service: &Service, id: i64, output: &Output) -> Outcome {
    let found = service.control().incident(id).await.map_err(ServiceError::from)?;
    let found = found.ok_or_else(|| unknown(id))?;
    let looked_after = looked_after(service).await?;
    output.result(&json_of(&found, &looked_after), || {
        let state = match (&found.closed, &found.note) {
            (Some(closed), note) => format!(
                "closed {}: {}",
                rfc3339(*closed),
                plain(note.as_deref().unwrap_or_default())
            ),
            (None, _) => match active(&looked_after, &found) {
                None => "open".to_owned(),
                Some(one) => format!("open; {} looks after it: {}", one.who, plain(&one.note)),
            },
        };
        let text = read(&found).map_or_else(
            || found.incident.to_string(),
            |incident| incident_text(found.tenant.as_str(), &incident),
        );
        let (tenant, opened) = (&found.tenant, rfc3339(found.opened));
        let text: Vec<String> = text.lines().map(plain).collect();
        format!("incident {id} of tenant {tenant}, found {opened}, {state}\n{}", text.join("\n"))
    });
    Ok(Exit::Done)
}

fn read(stored: &StoredIncident) -> Option<Incident> {
    serde_json::from_value(stored.incident.clone()).ok()
}

fn unknown(id: i64) -> Failure {
    Failure::new(
        Exit::NotFound,
        format!("there is no incident {id}; 'mailkeep incidents' lists them"),
    )
}

/// Who looks after what, by subject.
type LookedAfter = HashMap<String, Acknowledgement>;

async fn looked_after(service: &Service) -> Result<LookedAfter, Failure> {
    Ok(service.control().acknowledgements().await.map_err(ServiceError::from)?)
}

/// Who looks after an incident now.
fn active<'a>(all: &'a LookedAfter, stored: &StoredIncident) -> Option<&'a Acknowledgement> {
    let now = OffsetDateTime::now_utc();
    let one = all.get(&incident_subject(stored.id))?;
    Some(one).filter(|one| one.until.is_none_or(|until| until > now))
}

fn json_of(stored: &StoredIncident, looked_after: &LookedAfter) -> Value {
    let acknowledged = active(looked_after, stored).map(|one| {
        let (at, until) = (rfc3339(one.at), one.until.map(rfc3339));
        json!({"at": at, "by": one.who, "until": until, "note": one.note})
    });
    json!({
        "id": stored.id,
        "tenant": stored.tenant,
        "kind": stored.kind,
        "severity": stored.severity,
        "opened": rfc3339(stored.opened),
        "changed": rfc3339(stored.changed),
        "closed": stored.closed.map(rfc3339),
        "note": stored.note,
        "acknowledged": acknowledged,
        "incident": stored.incident,
    })
}
