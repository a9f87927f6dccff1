//! The log of requests to Graph, as Azure Monitor exports it
//! (<https://learn.microsoft.com/azure/azure-monitor/reference/tables/microsoftgraphactivitylogs>).

use mailkeep_model::ProviderCall;
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::fields::{Damaged, address, guid, id, needed, time, uti};
use crate::ExchangeError;

const ACTION: &str = "reading the export of requests to Graph";
const CATEGORY: &str = "MicrosoftGraphActivityLogs";
/// A line above this size is none: an address and a few ids.
const LONGEST: usize = 1 << 20;

/// One line of an export. Diagnostic settings write what they know of every log around the `properties`
/// of this one (containers `insights-logs-microsoftgraphactivitylogs`); exports of a workspace have
/// the table's columns and its name as `Type`.
#[derive(Deserialize)]
struct Line {
    category: Option<String>,
    time: Option<String>,
    #[serde(rename = "callerIpAddress")]
    caller: Option<String>,
    properties: Option<Value>,
    #[serde(rename = "Type")]
    table: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Properties {
    #[serde(alias = "TimeGenerated")]
    time_generated: Option<String>,
    #[serde(alias = "RequestId")]
    request_id: Option<String>,
    #[serde(alias = "AppId")]
    app_id: Option<String>,
    #[serde(alias = "SignInActivityId")]
    sign_in_activity_id: Option<String>,
    #[serde(alias = "ClientRequestId")]
    client_request_id: Option<String>,
    #[serde(alias = "IPAddress")]
    ip_address: Option<String>,
    #[serde(alias = "RequestMethod")]
    request_method: Option<String>,
    #[serde(alias = "RequestUri")]
    request_uri: Option<String>,
    #[serde(alias = "ResponseStatusCode")]
    response_status_code: Option<u16>,
}

/// Reads one line of an export; `None` when it is empty or of another log.
///
/// # Errors
/// [`ExchangeError::Protocol`] when the line is no JSON, or lacks what makes it worth anything: which
/// request of which application, when and what.
pub fn parse_activity_export(line: &[u8]) -> Result<Option<ProviderCall>, ExchangeError> {
    let line = line.trim_ascii();
    if line.is_empty() {
        return Ok(None);
    }
    read(line).map_err(|Damaged(reason)| ExchangeError::protocol(ACTION, reason))
}

fn read(line: &[u8]) -> Result<Option<ProviderCall>, Damaged> {
    if line.len() > LONGEST {
        return Err(Damaged(format!("the line is longer than {} KiB", LONGEST >> 10)));
    }
    let whole: Value = serde_json::from_slice(line)?;
    let around = Line::deserialize(&whole)?;
    let is_ours = [around.category, around.table].iter().flatten().any(|name| name == CATEGORY);
    if !is_ours {
        return Ok(None);
    }
    let told = Properties::deserialize(around.properties.unwrap_or(whole))?;
    let times = [told.time_generated.as_deref(), around.time.as_deref()];
    let addresses = [told.ip_address.as_deref(), around.caller.as_deref()];
    Ok(Some(ProviderCall {
        request_id: needed("request id", id(told.request_id))?,
        at: needed("time", times.into_iter().flatten().find_map(time))?,
        client_id: needed("application", id(told.app_id))?,
        uti: told.sign_in_activity_id.as_deref().and_then(uti),
        client_request_id: guid(told.client_request_id),
        address: addresses.into_iter().flatten().find_map(address),
        method: needed("method", told.request_method)?,
        uri: path(needed("address", told.request_uri)?),
        status: needed("status", told.response_status_code)?,
    }))
}

/// Path and query of an address, which the service writes out in full.
fn path(uri: String) -> String {
    match Url::parse(&uri) {
        Ok(url) => match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        },
        Err(_) => uri,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn properties() -> Value {
        json!({
            "requestId": "R-1", "operationId": "R-1", "appId": "A-B", "signInActivityId": "abc-_9",
            "clientRequestId": "00112233-4455-6677-8899-aabbccddeeff", "ipAddress": "203.0.113.5",
            "requestMethod": "GET", "responseStatusCode": 200, "userId": null,
            "requestUri": "https://graph.microsoft.com/v1.0/users/x/messages?$top=5",
            "timeGenerated": "2026-11-27T08:00:00.5Z",
        })
    }

    fn parse(line: &Value) -> Result<Option<ProviderCall>, ExchangeError> {
        parse_activity_export(line.to_string().as_bytes())
    }

    #[test]
    fn a_request_is_the_same_from_a_diagnostic_setting_and_from_a_workspace() {
        let line = json!({
            "time": "2026-11-27T08:00:00.5Z", "category": "MicrosoftGraphActivityLogs",
            "resultSignature": "200", "callerIpAddress": "203.0.113.5", "properties": properties(),
        });
        let call = parse(&line).unwrap().unwrap();
        assert_eq!((call.request_id.as_str(), call.client_id.as_str()), ("r-1", "a-b"));
        assert_eq!(call.uri, "/v1.0/users/x/messages?$top=5");
        assert_eq!((call.uti.as_deref(), call.status), (Some("abc-_9"), 200));
        assert!(call.client_request_id.is_some() && call.address.is_some());

        let mut columns = serde_json::Map::new();
        for (name, value) in properties().as_object().unwrap() {
            let mut letters = name.chars();
            let first = letters.next().unwrap().to_uppercase();
            columns.insert(format!("{first}{}", letters.as_str()), value.clone());
        }
        let ip = columns.remove("IpAddress").unwrap();
        columns.insert("IPAddress".into(), ip);
        columns.insert("TenantId".into(), json!("workspace"));
        columns.insert("Type".into(), json!("MicrosoftGraphActivityLogs"));
        assert_eq!(parse(&Value::Object(columns)).unwrap().unwrap(), call);
    }

    #[test]
    fn lines_of_other_logs_are_passed_over_and_damaged_ones_are_not() {
        assert_eq!(parse_activity_export(b" \r\n").unwrap(), None);
        assert_eq!(parse(&json!({ "category": "SignInLogs", "properties": {} })).unwrap(), None);
        assert_eq!(parse(&json!({ "Type": "SigninLogs" })).unwrap(), None);
        for missing in ["requestId", "appId", "requestMethod", "requestUri", "responseStatusCode"] {
            let mut told = properties();
            told[missing] = Value::Null;
            let line = json!({ "category": CATEGORY, "properties": told });
            assert!(parse(&line).is_err(), "{missing}");
        }
        for bad in [&b"{"[..], b"[]", b"7", b"\xff", &vec![b' '; 2 << 20], b"{\"category\":5}"] {
            let read = parse_activity_export(bad);
            assert!(read.is_err() || bad.trim_ascii().is_empty(), "{read:?}");
        }
        let long =
            json!({ "category": CATEGORY, "properties": { "requestUri": "x".repeat(2 << 20) } });
        assert!(parse(&long).unwrap_err().to_string().contains("longer"));
    }
}
