use mailkeep_control::StoredIncident;
use mailkeep_sentry::{Incident, report::incident_text};
use mailkeep_service::{Service, ServiceError};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::{Outcome, browse::rfc3339, open_service};
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
            Ok(Exit::Done)
        }
    }
}

async fn list(service: &Service, arguments: &Incidents, output: &Output) -> Outcome {
    let mut all = service.incidents(arguments.tenant.as_ref()).await?;
    all.retain(|one| arguments.closed || one.closed.is_none());
    if output.is_json() {
        for one in &all {
            output.result(&json_of(one), String::new);
        }
        return Ok(Exit::Done);
    }
    if all.is_empty() {
        output.note("no open incidents");
        return Ok(Exit::Done);
    }
    let row = |one: &StoredIncident| {
        let title = read(one).map_or_else(|| one.kind.clone(), |read| read.kind.title().to_owned());
        let state = if one.closed.is_some() { "closed" } else { "open" };
        let (id, opened) = (one.id.to_string(), rfc3339(one.opened));
        vec![id, opened, one.tenant.to_string(), one.severity.clone(), state.to_owned(), title]
    };
    output.result(&json!({}), || table(&all.iter().map(row).collect::<Vec<_>>()));
    Ok(Exit::Done)
}

async fn show(service: &Service, id: i64, output: &Output) -> Outcome {
    let found = service.control().incident(id).await.map_err(ServiceError::from)?;
    let found = found.ok_or_else(|| unknown(id))?;
    output.result(&json_of(&found), || {
        let state = match (&found.closed, &found.note) {
            (Some(closed), note) => format!(
                "closed {}: {}",
                rfc3339(*closed),
                plain(note.as_deref().unwrap_or_default())
            ),
            (None, _) => "open".to_owned(),
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

fn json_of(stored: &StoredIncident) -> Value {
    json!({
        "id": stored.id,
        "tenant": stored.tenant,
        "kind": stored.kind,
        "severity": stored.severity,
        "opened": rfc3339(stored.opened),
        "changed": rfc3339(stored.changed),
        "closed": stored.closed.map(rfc3339),
        "note": stored.note,
        "incident": stored.incident,
    })
}
