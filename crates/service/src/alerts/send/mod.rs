//! Brings a message to a destination, once.

mod relay;
mod webhook;

use std::time::Duration;

use mailkeep_model::Secret;
use url::Url;

use crate::program;

use super::{
    AlertEvent, AlertMessage, Shape, Target,
    destination::ntfy_topic,
    shapes::{mattermost, ntfy, pagerduty, plain_json, slack, teams},
};

/// Why something did not arrive. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unsent {
    /// In words.
    pub(crate) what: String,
    /// Whose fault it is.
    pub(crate) fault: Fault,
    /// How long the destination wants to be left alone.
    pub(crate) retry_after: Option<Duration>,
}

/// Whose fault it is that something did not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The destination's, or the way to it: nothing else would arrive either.
    Destination,
    /// What was sent: something else may arrive.
    Message,
}

impl Unsent {
    pub(crate) fn destination(what: impl Into<String>) -> Self {
        Self { what: what.into(), fault: Fault::Destination, retry_after: None }
    }

    pub(crate) fn message(what: impl Into<String>) -> Self {
        Self { what: what.into(), fault: Fault::Message, retry_after: None }
    }
}

/// Sends one message, within the time. `id` is the same when it is sent again.
pub(crate) async fn send(
    target: &Target,
    message: &AlertMessage,
    id: &str,
    within: Duration,
) -> Result<(), Unsent> {
    let sending = async {
        match target {
            Target::Webhook { shape, url, token, ca_pem } => {
                let url = parsed(url.expose())?;
                let (url, body) = match shape {
                    Shape::Slack => (url, slack(message)),
                    Shape::Teams => (url, teams(message)),
                    Shape::Mattermost => (url, mattermost(message)),
                    Shape::Json => (url, plain_json(message, id)),
                    Shape::Ntfy => {
                        let (server, topic) = ntfy_topic(&url)
                            .ok_or_else(|| Unsent::destination("its address names no topic"))?;
                        (server, ntfy(message, &topic))
                    }
                };
                let ca = ca_pem.as_deref();
                webhook::post(url, &body, id, token.as_ref(), ca, within).await
            }
            Target::Pagerduty { url, routing_key, ca_pem } => {
                page(url, message, id, routing_key, ca_pem.as_deref(), within).await
            }
            Target::Smtp { .. } => relay::send(target, message, id, within).await,
            Target::Command { program, arguments } => {
                program::run(program, arguments, &plain_json(message, id))
                    .await
                    .map_err(Unsent::destination)
            }
        }
    };
    match tokio::time::timeout(within, sending).await {
        Ok(outcome) => outcome,
        Err(_) => {
            Err(Unsent::destination(format!("it took longer than {} s", within.as_secs_f32())))
        }
    }
}

async fn page(
    url: &str,
    message: &AlertMessage,
    id: &str,
    key: &Secret,
    ca: Option<&str>,
    within: Duration,
) -> Result<(), Unsent> {
    let url = parsed(url)?;
    webhook::post(url.clone(), &pagerduty(message, id, key), id, None, ca, within).await?;
    if message.event != AlertEvent::Test {
        return Ok(());
    }
    // Nobody is to be kept awake by a test.
    let over = AlertMessage { event: AlertEvent::Closed, ..message.clone() };
    webhook::post(url, &pagerduty(&over, id, key), id, None, ca, within).await
}

fn parsed(url: &str) -> Result<Url, Unsent> {
    url.parse().map_err(|_| Unsent::destination("its address is not one"))
}
