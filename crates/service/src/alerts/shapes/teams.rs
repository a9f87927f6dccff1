use mailkeep_sentry::Severity;
use serde_json::{Value, json};

use crate::alerts::{AlertEvent, AlertMessage};

/// A card for a workflow of Microsoft Teams, "Post to a channel when a webhook request is received"
/// (<https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/add-incoming-webhook>;
/// at most 28 KB).
///
/// Every text is a `TextRun`, which unlike a `TextBlock` and a `Fact` knows no Markdown
/// (<https://adaptivecards.io/explorer/TextRun.html>); mentions need entities, and there are none.
pub(crate) fn teams(message: &AlertMessage) -> Value {
    let color = match (message.event, message.severity) {
        (AlertEvent::Closed, _) => "good",
        (AlertEvent::Acknowledged | AlertEvent::Test, _) | (_, Severity::Notice) => "default",
        (_, Severity::Warning) => "warning",
        (_, Severity::Critical) => "attention",
    };
    let title = json!({
        "type": "TextRun", "text": message.title(), "weight": "bolder", "size": "medium", "color": color,
    });
    let paragraph = |run: Value| json!({"type": "RichTextBlock", "inlines": [run]});
    let mut body = vec![paragraph(title)];
    let lines = message.lines().into_iter();
    body.extend(lines.map(|line| paragraph(json!({"type": "TextRun", "text": line}))));
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "msteams": {"width": "Full"},
                "body": body,
            },
        }],
    })
}
