//! What the provider sends to those who subscribed. Anybody can send it: nothing of it is believed
//! but that one of our subscriptions is meant, and that only with the secret that came with it.
//!
//! Sources: the Graph reference page `changeNotification`; "Receive change notifications through
//! webhooks"; "Reduce missing subscriptions and change notifications".

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use mailkeep_model::Secret;
use serde::{
    Deserialize, Deserializer,
    de::{self, SeqAccess, Visitor},
};

use super::subscriptions::SubscriptionId;
use crate::ExchangeError;

/// Longest body that is read, in bytes. A notification without the item's content is half a
/// kilobyte, and they come by the hundred at most.
pub const LARGEST_NOTIFICATIONS: usize = 1 << 20;
/// Notifications of one body that are looked at.
const MOST: usize = 4_096;
/// Graph's longest `clientState`.
const LONGEST_STATE: usize = 128;
/// Subscriptions have GUIDs for identifiers.
const LONGEST_ID: usize = 128;

/// One notification, not yet believed.
#[derive(Clone, Debug)]
pub struct Notification {
    /// The subscription that it claims to come from.
    pub subscription: SubscriptionId,
    /// What it is about.
    pub about: About,
    client_state: Secret,
}

/// What a notification is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// Something changed. What, is nothing to rely on.
    Change,
    /// Notifications were lost on the way.
    Missed,
    /// The subscription is no more.
    SubscriptionRemoved,
    /// The subscription ends soon unless somebody says again that it may go on.
    ReauthorizationRequired,
}

impl Notification {
    /// Whether it carries the secret of the subscription that it claims to come from. Takes as long
    /// for one that is nearly right as for one that is all wrong.
    pub fn is_from_the_provider(&self, client_state: &Secret) -> bool {
        let (told, expected) = (self.client_state.expose(), client_state.expose());
        !expected.is_empty()
            && verify_slices_are_equal(told.as_bytes(), expected.as_bytes()).is_ok()
    }
}

/// Reads the body of a request to the endpoint. What is no notification of ours is left out: one
/// without a secret, of an event that this version does not know, or with an identifier that is
/// none.
///
/// # Errors
/// [`ExchangeError::Protocol`] when the bytes are no notifications at all, or too many.
pub fn parse_notifications(body: &[u8]) -> Result<Vec<Notification>, ExchangeError> {
    let refuse = |why: &str| ExchangeError::protocol("reading notifications", why);
    if body.len() > LARGEST_NOTIFICATIONS {
        return Err(refuse("the body is too long"));
    }
    // The text of an error could repeat what was sent.
    let told: Collection = serde_json::from_slice(body).map_err(|_| refuse("not understood"))?;
    Ok(told.value.0.into_iter().filter_map(read).collect())
}

#[derive(Deserialize)]
struct Collection {
    value: Few,
}

/// At most [`MOST`]; the others are not even held in memory.
struct Few(Vec<Told>);

impl<'de> Deserialize<'de> for Few {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Counting;
        impl<'de> Visitor<'de> for Counting {
            type Value = Few;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "at most {MOST} notifications")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut told: A) -> Result<Few, A::Error> {
                let mut few = Vec::new();
                while let Some(one) = told.next_element()? {
                    if few.len() == MOST {
                        return Err(de::Error::invalid_length(MOST + 1, &self));
                    }
                    few.push(one);
                }
                Ok(Few(few))
            }
        }
        from.deserialize_seq(Counting)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    subscription_id: Option<String>,
    client_state: Option<String>,
    change_type: Option<String>,
    lifecycle_event: Option<String>,
}

fn read(told: Told) -> Option<Notification> {
    let client_state = Secret::new(told.client_state?);
    let subscription = told.subscription_id.filter(|id| id.len() <= LONGEST_ID)?;
    if client_state.expose().len() > LONGEST_STATE {
        return None;
    }
    let about = match (told.lifecycle_event.as_deref(), told.change_type.as_deref()) {
        (Some("missed"), _) => About::Missed,
        (Some("subscriptionRemoved"), _) => About::SubscriptionRemoved,
        (Some("reauthorizationRequired"), _) => About::ReauthorizationRequired,
        (Some(_), _) | (None, None) => return None,
        (None, Some(_)) => About::Change,
    };
    Some(Notification { subscription: SubscriptionId(subscription), about, client_state })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANGE: &str = r#"{"subscriptionId":"s","clientState":"secret","changeType":"created",
        "resource":"Users/u/Messages/m","resourceData":{"id":"m"},"tenantId":"t"}"#;

    fn parsed(entries: &[&str]) -> Vec<Notification> {
        let body = format!(r#"{{"value":[{}]}}"#, entries.join(","));
        parse_notifications(body.as_bytes()).unwrap()
    }

    #[test]
    fn only_the_exact_secret_is_believed() {
        let told = parsed(&[CHANGE]).remove(0);
        assert_eq!(told.about, About::Change);
        assert!(told.is_from_the_provider(&Secret::new("secret".into())));
        for wrong in ["", "secre", "secret2", "SECRET"] {
            assert!(!told.is_from_the_provider(&Secret::new(wrong.into())), "{wrong}");
        }
        let empty = CHANGE.replace("\"secret\"", "\"\"");
        assert!(!parsed(&[&empty])[0].is_from_the_provider(&Secret::new(String::new())));
    }

    #[test]
    fn what_happens_to_a_subscription_is_told_apart_from_a_change() {
        let event = |name: &str| {
            CHANGE.replace("\"changeType\":\"created\"", &format!("\"lifecycleEvent\":\"{name}\""))
        };
        let names = ["missed", "subscriptionRemoved", "reauthorizationRequired", "someday"];
        let events: Vec<String> = names.into_iter().map(event).collect();
        let events: Vec<&str> = events.iter().map(String::as_str).collect();
        let about: Vec<About> = parsed(&events).into_iter().map(|told| told.about).collect();
        let known = [About::Missed, About::SubscriptionRemoved, About::ReauthorizationRequired];
        assert_eq!(about, known);
    }

    #[test]
    fn one_notification_that_is_none_does_not_cost_the_others() {
        let nameless = CHANGE.replace("\"subscriptionId\":\"s\",", "");
        let stateless = CHANGE.replace("\"clientState\":\"secret\",", "");
        assert_eq!(parsed(&[&nameless, CHANGE, &stateless]).len(), 1);
    }

    #[test]
    fn a_body_that_would_take_the_memory_is_refused() {
        let many = vec!["{}"; MOST + 1].join(",");
        assert!(parse_notifications(format!(r#"{{"value":[{many}]}}"#).as_bytes()).is_err());
        assert!(parse_notifications(&vec![b' '; LARGEST_NOTIFICATIONS + 1]).is_err());
        for place in [r#"{"value":[],"x":"#, r#"{"value":[{"x":"#, r#"{"value":"#] {
            let deep = format!("{place}{}", "[".repeat(500_000));
            assert!(parse_notifications(deep.as_bytes()).is_err(), "{place}");
        }
    }

    #[test]
    fn the_secret_does_not_print() {
        assert!(!format!("{:?}", parsed(&[CHANGE])).contains("secret"));
    }
}
