use mailkeep_sentry::Severity;
use serde_json::{Value, json};

use crate::alerts::{AlertEvent, AlertMessage};

/// Bytes of a message; a longer one becomes an attachment.
const LONGEST_MESSAGE: usize = 4000;

/// ntfy, published as JSON (<https://docs.ntfy.sh/publish/#publish-as-json>): nothing of it is a header,
/// so that nothing can end one. Plain text unless `markdown` is set.
pub(crate) fn ntfy(message: &AlertMessage, topic: &str) -> Value {
    let (priority, tag) = match (message.event, message.severity) {
        (AlertEvent::Closed, _) => (3, "white_check_mark"),
        (AlertEvent::Acknowledged, _) => (2, "eyes"),
        (AlertEvent::Test, _) | (_, Severity::Notice) => (3, "information_source"),
        (_, Severity::Warning) => (4, "warning"),
        (_, Severity::Critical) => (5, "rotating_light"),
    };
    let text = message.lines().join("\n");
    json!({
        "topic": topic,
        "title": message.title(),
        "message": text[..text.floor_char_boundary(LONGEST_MESSAGE)],
        "priority": priority,
        "tags": [tag],
    })
}
