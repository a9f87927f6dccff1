//! Queries of the services' audit log
//! (<https://learn.microsoft.com/graph/api/resources/security-auditlogquery>). What the lab has there
//! is Exchange's `MailItemsAccessed` and what its administrators did.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{Office, Paging, bad, created, not_found, one, page, shown, unlicensed};
use crate::clock;
use crate::graph::answer::Answer;
use crate::graph::errors::GraphError;
use crate::graph::shape::{self, Kind as Shape, Property};

/// Queries of a tenant that are kept.
const KEPT: usize = 1000;
const PAGE: usize = 150;
const LARGEST_PAGE: usize = 1000;
const RIGHTS: &[&str] = &["AuditLogsQuery-Exchange.Read.All", "AuditLogsQuery.Read.All"];
const PROPERTIES: &[Property] = &[
    ("displayName", Shape::Text),
    ("filterStartDateTime", Shape::Time),
    ("filterEndDateTime", Shape::Time),
    ("recordTypeFilters", Shape::Many(&Shape::Text)),
    ("keywordFilter", Shape::Text),
    ("serviceFilter", Shape::Text),
    ("serviceFilters", Shape::Many(&Shape::Text)),
    ("operationFilters", Shape::Many(&Shape::Text)),
    ("userPrincipalNameFilters", Shape::Many(&Shape::Text)),
    ("ipAddressFilters", Shape::Many(&Shape::Text)),
    ("objectIdFilters", Shape::Many(&Shape::Text)),
    ("administrativeUnitIdFilters", Shape::Many(&Shape::Text)),
];

/// The queries of all tenants.
#[derive(Debug, Default)]
pub(crate) struct Queries {
    all: Mutex<HashMap<Uuid, Vec<Query>>>,
}

#[derive(Clone, Debug)]
struct Query {
    id: Uuid,
    asked: Map<String, Value>,
    /// Unix time at which it was made.
    made: i64,
}

/// `GET /security/auditLog/queries`
pub(super) fn list(office: &Office<'_>) -> Result<Answer, GraphError> {
    office.need(RIGHTS)?;
    office.query.allow(&["$top", "$skiptoken"])?;
    let all: Vec<Value> = of_tenant(office).iter().map(|query| query.to_json(office)).collect();
    let path = "security/auditLog/queries";
    page(office, &Paging { path, context: path, page: 100, largest: 999 }, &all)
}

/// `POST /security/auditLog/queries`
pub(super) fn create(office: &Office<'_>, body: &Map<String, Value>) -> Result<Answer, GraphError> {
    office.need(RIGHTS)?;
    if !office.shared.entra.settings().mail_items_accessed.licensed {
        return Err(unlicensed());
    }
    let asked = shape::read(body, PROPERTIES, &["id", "status"])?;
    let time = |name: &str| asked.get(name).and_then(Value::as_str).and_then(clock::parse_rfc3339);
    match (time("filterStartDateTime"), time("filterEndDateTime")) {
        (Some(start), Some(end)) if start < end => {}
        _ => {
            return Err(bad(
                "filterStartDateTime and filterEndDateTime must be given, in this order.",
            ));
        }
    }
    let query = Query { id: Uuid::new_v4(), asked, made: office.now };
    // It has only been taken down.
    let mut value = query.to_json(office);
    value["status"] = json!("notStarted");
    let context = "security/auditLog/queries/$entity";
    value["@odata.context"] = json!(office.base.context(context));
    let mut all = office.shared.queries.all.lock().unwrap_or_else(PoisonError::into_inner);
    let of_tenant = all.entry(office.tenant.id).or_default();
    if of_tenant.len() >= KEPT {
        of_tenant.remove(0);
    }
    of_tenant.push(query);
    Ok(created(&value))
}

/// `GET /security/auditLog/queries/{id}`
pub(super) fn show(office: &Office<'_>, id: &str) -> Result<Answer, GraphError> {
    office.need(RIGHTS)?;
    let value = find(office, id)?.to_json(office);
    Ok(shown(&one(office, "security/auditLog/queries", value)?))
}

/// `GET /security/auditLog/queries/{id}/records`; none before the query has succeeded.
pub(super) fn records(office: &Office<'_>, id: &str) -> Result<Answer, GraphError> {
    office.need(RIGHTS)?;
    office.query.allow(&["$top", "$skiptoken"])?;
    let query = find(office, id)?;
    let settings = office.shared.entra.settings();
    // What shows up while it runs is not in it.
    let ended = query.made + i64::from(settings.audit_query);
    let mut found = Vec::new();
    if office.now >= ended && settings.mail_items_accessed.licensed {
        let delay = i64::from(settings.mail_items_accessed.delay);
        let mut available = office.tenant.mail_audit.available(ended, delay);
        let delay = i64::from(settings.exchange_admin.delay);
        available.extend(office.tenant.exchange_admin.available(ended, delay));
        available.sort_by_key(|(at, _)| *at);
        let fitting = available.into_iter().filter(|(at, data)| query.fits(*at, data));
        found = fitting.map(|(at, data)| record(at, &data)).collect();
    }
    let path = format!("security/auditLog/queries/{id}/records");
    let context = format!("security/auditLog/queries('{id}')/records");
    let paging = Paging { path: &path, context: &context, page: PAGE, largest: LARGEST_PAGE };
    page(office, &paging, &found)
}

fn of_tenant(office: &Office<'_>) -> Vec<Query> {
    let all = office.shared.queries.all.lock().unwrap_or_else(PoisonError::into_inner);
    all.get(&office.tenant.id).cloned().unwrap_or_default()
}

fn find(office: &Office<'_>, id: &str) -> Result<Query, GraphError> {
    let wanted = Uuid::try_parse(id).ok();
    let found = of_tenant(office).into_iter().find(|query| Some(query.id) == wanted);
    found.ok_or_else(|| not_found(id))
}

impl Query {
    fn to_json(&self, office: &Office<'_>) -> Value {
        let lasts = i64::from(office.shared.entra.settings().audit_query);
        let ended = office.now >= self.made + lasts;
        let mut value = json!({
            "id": self.id,
            "status": if ended { "succeeded" } else { "running" },
            "displayName": null,
            "keywordFilter": null,
        });
        for (name, _) in PROPERTIES.iter().filter(|(name, _)| name.ends_with("Filters")) {
            value[*name] = json!([]);
        }
        if let Value::Object(value) = &mut value {
            value.extend(self.asked.clone());
        }
        value
    }

    /// Whether a record is one of those that were asked for.
    fn fits(&self, at: i64, data: &Value) -> bool {
        let time = |name: &str| {
            let text = self.asked.get(name).and_then(Value::as_str);
            text.and_then(clock::parse_rfc3339).map(time::OffsetDateTime::unix_timestamp)
        };
        let in_time = time("filterStartDateTime").is_none_or(|start| start <= at)
            && time("filterEndDateTime").is_none_or(|end| at < end);
        let among = |name: &str, actual: &[&str]| {
            let wanted = self.asked.get(name).and_then(Value::as_array);
            wanted.is_none_or(|wanted| {
                wanted.is_empty()
                    || wanted
                        .iter()
                        .filter_map(Value::as_str)
                        .any(|one| actual.iter().any(|actual| actual.eq_ignore_ascii_case(one)))
            })
        };
        let text = |name: &str| data[name].as_str().unwrap_or_default();
        let keyword = self.asked.get("keywordFilter").and_then(Value::as_str);
        let service = self.asked.get("serviceFilter").and_then(Value::as_str);
        in_time
            && among("recordTypeFilters", &[record_type(data)])
            && among("operationFilters", &[text("Operation")])
            && among("userPrincipalNameFilters", &[text("UserId")])
            && among("ipAddressFilters", &[text("ClientIP")])
            && among(
                "objectIdFilters",
                &[text("MailboxOwnerUPN"), text("MailboxGuid"), text("ObjectId")],
            )
            && among("serviceFilters", &[text("Workload")])
            && among("administrativeUnitIdFilters", &[])
            && service.is_none_or(|one| one.eq_ignore_ascii_case(text("Workload")))
            && keyword
                .is_none_or(|word| data.to_string().to_lowercase().contains(&word.to_lowercase()))
    }
}

/// What kind of record it is: of Exchange's administrators, or of reads of mail.
fn record_type(data: &Value) -> &'static str {
    if data["RecordType"] == 1 { "exchangeAdmin" } else { "exchangeItemAggregated" }
}

/// `auditLogRecord`
fn record(at: i64, data: &Value) -> Value {
    let is_admin = record_type(data) == "exchangeAdmin";
    json!({
        "id": data["Id"],
        "createdDateTime": clock::iso(at),
        "auditLogRecordType": record_type(data),
        "operation": data["Operation"],
        "organizationId": data["OrganizationId"],
        "userType": if is_admin { "admin" } else { "application" },
        "userId": data["UserId"],
        "userPrincipalName": data["UserId"],
        "service": data["Workload"],
        "objectId": if is_admin { &data["ObjectId"] } else { &data["MailboxOwnerUPN"] },
        "clientIp": data["ClientIP"],
        "administrativeUnits": [],
        "auditData": data,
    })
}
