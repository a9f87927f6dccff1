//! What is said, in the form that each destination understands. Pure functions; each escapes what it
//! shows for its medium, because evidence has words of the attacker's in it.

mod mail;
mod mattermost;
mod ntfy;
mod pagerduty;
mod slack;
mod teams;

pub(crate) use mail::mail;
pub(crate) use mattermost::mattermost;
pub(crate) use ntfy::ntfy;
pub(crate) use pagerduty::pagerduty;
pub(crate) use slack::slack;
pub(crate) use teams::teams;

use serde_json::{Value, json};

use super::AlertMessage;

/// Everything, for programs. `id` names this delivery: what comes twice with the same is the same.
pub(crate) fn plain_json(message: &AlertMessage, id: &str) -> Value {
    let mut value = serde_json::to_value(message).expect("texts and times serialise");
    value["schema"] = json!(1);
    value["id"] = json!(id);
    value["title"] = json!(message.title());
    value
}

#[cfg(test)]
mod tests;
