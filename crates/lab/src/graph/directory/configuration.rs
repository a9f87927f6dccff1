//! Snapshots of a tenant's configuration by Tenant Configuration Management
//! (<https://learn.microsoft.com/graph/api/configurationbaseline-createsnapshot>). What the lab has there
//! is Exchange's configuration.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{Office, bad, not_found, one, shown};
use crate::clock;
use crate::graph::answer::Answer;
use crate::graph::errors::GraphError;
use crate::state::Properties;

const ORDERS: &[&str] = &["ConfigurationMonitoring.ReadWrite.All"];
const LOOKS: &[&str] =
    &["ConfigurationMonitoring.Read.All", "ConfigurationMonitoring.ReadWrite.All"];
/// Jobs of a tenant that there may be.
const MOST_JOBS: usize = 12;
/// For how long a snapshot is kept, in seconds.
const KEPT: i64 = 7 * 86_400;
/// The resource types, and the command's noun for each. There is none for management scopes or for audit
/// bypass.
const RESOURCES: &[(&str, &str)] = &[
    ("microsoft.exchange.transportrule", "TransportRule"),
    ("microsoft.exchange.journalrule", "JournalRule"),
    ("microsoft.exchange.inboundconnector", "InboundConnector"),
    ("microsoft.exchange.outboundconnector", "OutboundConnector"),
    ("microsoft.exchange.remotedomain", "RemoteDomain"),
    ("microsoft.exchange.hostedoutboundspamfilterpolicy", "HostedOutboundSpamFilterPolicy"),
    ("microsoft.exchange.managementroleassignment", "ManagementRoleAssignment"),
    ("microsoft.exchange.applicationaccesspolicy", "ApplicationAccessPolicy"),
    ("microsoft.exchange.organizationconfig", "OrganizationConfig"),
    ("microsoft.exchange.sharedmailbox", ""),
    ("microsoft.exchange.accepteddomain", ""),
];

/// The jobs of all tenants.
#[derive(Debug, Default)]
pub(crate) struct Snapshots {
    all: Mutex<HashMap<Uuid, Vec<Job>>>,
}

#[derive(Clone, Debug)]
struct Job {
    id: Uuid,
    name: String,
    description: Value,
    resources: Vec<String>,
    /// Unix time at which it was ordered.
    made: i64,
    /// What there was then.
    found: Vec<Value>,
}

/// `POST …/configurationSnapshots/createSnapshot`
pub(super) fn create(office: &Office<'_>, body: &Map<String, Value>) -> Result<Answer, GraphError> {
    office.need(ORDERS)?;
    let name = body.get("displayName").and_then(Value::as_str).unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || c == ' ';
    if !(8..=32).contains(&name.len()) || !name.chars().all(plain) {
        return Err(bad("displayName has 8 to 32 characters: letters, digits and spaces."));
    }
    let resources = body.get("resources").and_then(Value::as_array).cloned().unwrap_or_default();
    let resources: Option<Vec<String>> =
        resources.iter().map(|one| one.as_str().map(str::to_lowercase)).collect();
    let resources = resources.filter(|all| !all.is_empty());
    let resources = resources.ok_or_else(|| bad("resources must name resource types."))?;
    let known = |name: &String| RESOURCES.iter().any(|(known, _)| known == name);
    if let Some(unknown) = resources.iter().find(|name| !known(name)) {
        return Err(bad(format!("The resource type '{unknown}' is not supported.")));
    }
    let mut all = lock(office);
    let jobs = all.entry(office.tenant.id).or_default();
    jobs.retain(|job| office.now - job.made < KEPT);
    if jobs.iter().any(|job| job.name == name) {
        return Err(GraphError::new(409, "Conflict", "A snapshot of that name is there already."));
    }
    if jobs.len() >= MOST_JOBS {
        return Err(bad(format!("At most {MOST_JOBS} snapshot jobs are kept; delete some.")));
    }
    let found = resources.iter().flat_map(|resource| objects(office, resource)).collect();
    let job = Job {
        id: Uuid::new_v4(),
        name: name.to_owned(),
        description: body.get("description").cloned().unwrap_or_default(),
        resources,
        made: office.now,
        found,
    };
    let mut value = job.to_json(office);
    value["status"] = json!("notStarted");
    value["@odata.context"] =
        json!(office.base.context("microsoft.graph.configurationSnapshotJob"));
    jobs.push(job);
    Ok(shown(&value))
}

/// `GET …/configurationSnapshotJobs/{id}`
pub(super) fn job(office: &Office<'_>, id: &str) -> Result<Answer, GraphError> {
    office.need(LOOKS)?;
    let value = find(office, id)?.to_json(office);
    Ok(shown(&one(office, "admin/configurationManagement/configurationSnapshotJobs", value)?))
}

/// `DELETE …/configurationSnapshotJobs/{id}`
pub(super) fn forget(office: &Office<'_>, id: &str) -> Result<Answer, GraphError> {
    office.need(ORDERS)?;
    let wanted = find(office, id)?.id;
    if let Some(jobs) = lock(office).get_mut(&office.tenant.id) {
        jobs.retain(|job| job.id != wanted);
    }
    Ok(Answer::no_content())
}

/// `GET …/configurationSnapshots/{id}`; none before the job has succeeded.
pub(super) fn snapshot(office: &Office<'_>, id: &str) -> Result<Answer, GraphError> {
    office.need(LOOKS)?;
    let job = find(office, id)?;
    if job.status(office) != "succeeded" {
        return Err(not_found(id));
    }
    let value = json!({
        "id": job.id,
        "displayName": job.name,
        "description": job.description,
        "parameters": [],
        "resources": job.found,
    });
    Ok(shown(&one(office, "admin/configurationManagement/configurationSnapshots", value)?))
}

fn lock<'o>(office: &'o Office<'_>) -> std::sync::MutexGuard<'o, HashMap<Uuid, Vec<Job>>> {
    office.shared.snapshots.all.lock().unwrap_or_else(PoisonError::into_inner)
}

fn find(office: &Office<'_>, id: &str) -> Result<Job, GraphError> {
    let wanted = Uuid::try_parse(id).ok();
    let all = lock(office);
    let mut jobs = all.get(&office.tenant.id).into_iter().flatten();
    let fresh = |job: &&Job| Some(job.id) == wanted && office.now - job.made < KEPT;
    jobs.find(fresh).cloned().ok_or_else(|| not_found(id))
}

/// The objects of a resource type.
fn objects(office: &Office<'_>, resource: &str) -> Vec<Value> {
    let noun = RESOURCES.iter().find(|(name, _)| *name == resource).map_or("", |(_, noun)| noun);
    let shown = |object: Properties| {
        let name = object.get("Name").cloned().unwrap_or_default();
        let mut properties = json!(object);
        properties["Identity"] = json!(name);
        properties["Ensure"] = json!("Present");
        properties["TenantId"] = json!(office.tenant.domain);
        json!({ "displayName": format!("{noun}-{name}"), "resourceType": resource, "properties": properties })
    };
    office.tenant.exchange_admin.objects(noun).into_iter().map(shown).collect()
}

impl Job {
    fn status(&self, office: &Office<'_>) -> &'static str {
        let settings = office.shared.entra.settings().configuration;
        if office.now < self.made + i64::from(settings.delay) {
            "running"
        } else if settings.granted {
            "succeeded"
        } else {
            "failed"
        }
    }

    fn to_json(&self, office: &Office<'_>) -> Value {
        let status = self.status(office);
        let location = format!("admin/configurationManagement/configurationSnapshots/{}", self.id);
        let is_done = status == "succeeded";
        let errors = match status {
            // The service's own principal lacks Exchange.ManageAsApp or a role that views.
            "failed" => json!(["microsoft.exchange: The service principal is not authorized."]),
            _ => json!([]),
        };
        json!({
            "id": self.id,
            "displayName": self.name,
            "description": self.description,
            "tenantId": office.tenant.id,
            "status": status,
            "resources": self.resources,
            "createdDateTime": clock::iso(self.made),
            "completedDateTime": if is_done { clock::iso(office.now) } else { "0001-01-01T00:00:00Z".to_owned() },
            "resourceLocation": if is_done { office.base.url(&location) } else { String::new() },
            "errorDetails": errors,
        })
    }
}
