use mailkeep_model::Secret;
use mailkeep_sentry::Severity;
use serde_json::{Value, json};

use crate::alerts::{
    AlertEvent, AlertMessage,
    alert::{at, cut},
};

/// Characters of a summary.
const LONGEST_SUMMARY: usize = 1024;
/// Characters of a key under which events belong together.
const LONGEST_KEY: usize = 255;

/// PagerDuty's Events API v2 (<https://developer.pagerduty.com/docs/send-alert-event>): what is said of
/// one alert has one `dedup_key`, so that an acknowledgement and the end reach the incident that the
/// beginning made. A test ends itself: [`AlertEvent::Closed`] follows it.
pub(crate) fn pagerduty(message: &AlertMessage, id: &str, routing_key: &Secret) -> Value {
    let action = match message.event {
        AlertEvent::Opened | AlertEvent::Grown | AlertEvent::Repeated | AlertEvent::Test => {
            "trigger"
        }
        AlertEvent::Acknowledged => "acknowledge",
        AlertEvent::Closed => "resolve",
    };
    let mut event = json!({
        "routing_key": routing_key.expose(),
        "event_action": action,
        "dedup_key": cut(&message.thread, LONGEST_KEY),
    });
    if action == "trigger" {
        let severity = match message.severity {
            Severity::Notice => "info",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        };
        let source = message.tenant.as_ref().map_or("mailkeep", |tenant| tenant.as_str());
        event["client"] = json!("Mailkeep");
        event["payload"] = json!({
            "summary": cut(&message.title(), LONGEST_SUMMARY),
            "source": source,
            "severity": severity,
            "timestamp": at(message.said),
            "component": "machine identity",
            "group": source,
            "custom_details": {"text": message.lines(), "delivery": id},
        });
    }
    event
}
