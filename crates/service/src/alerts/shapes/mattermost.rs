use serde_json::{Value, json};

use crate::alerts::AlertMessage;

/// Mattermost's incoming webhooks
/// (<https://docs.mattermost.com/developers/integrate/webhooks/incoming>).
///
/// Everything but the title stands in a code block, in which there is no Markdown and no mention. In the
/// title, Markdown's punctuation is escaped, and a space of no width behind `@` keeps it from naming
/// anybody.
pub(crate) fn mattermost(message: &AlertMessage) -> Value {
    let lines = message.lines().join("\n").replace('`', "'");
    json!({"text": format!("**{}**\n```\n{lines}\n```", escaped(&message.title()))})
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '@' => out.push_str("@\u{200B}"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '#' | '~' | '|' | '<'
            | '>' | '!' => out.extend(['\\', c]),
            _ => out.push(c),
        }
    }
    out
}
