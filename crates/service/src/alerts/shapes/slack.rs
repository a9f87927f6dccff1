use serde_json::{Value, json};

use crate::alerts::{AlertMessage, alert::cut};

/// Characters of a header block's text.
const LONGEST_HEADER: usize = 150;
/// Characters of a text object.
const LONGEST_TEXT: usize = 3000;

/// Slack's incoming webhooks (<https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>).
///
/// All text is `plain_text`, in which nothing is formatted and nobody is mentioned. `text`, which
/// stands in for the blocks in notifications, is `mrkdwn`; there `&`, `<` and `>` are what makes
/// mentions and links, and are escaped
/// (<https://docs.slack.dev/messaging/formatting-message-text#escaping>).
pub(crate) fn slack(message: &AlertMessage) -> Value {
    let title = message.title();
    let plain = |text: &str, most: usize| json!({"type": "plain_text", "emoji": false, "text": cut(text, most)});
    json!({
        "text": escaped(&title),
        "mrkdwn": false,
        "unfurl_links": false,
        "blocks": [
            {"type": "header", "text": plain(&title, LONGEST_HEADER)},
            {"type": "section", "text": plain(&message.lines().join("\n"), LONGEST_TEXT)},
        ],
    })
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
