//! Asking to be told when something changes in a mailbox.
//!
//! Sources: the Graph reference pages `subscription` (with the longest lives), `Create`, `Update`,
//! `Delete`, `List` and `Reauthorize subscription`; "Reduce missing subscriptions and change
//! notifications".

use mailkeep_model::{Mailbox, MailboxId, Secret};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};
use url::Url;

use super::{
    client::{Ask, GraphProvider},
    pages::all_pages,
    send::Posted,
};
use crate::ExchangeError;

/// What happens to an item that is told of.
const CHANGES: &str = "created,updated,deleted";

/// The provider's identifier of a subscription.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SubscriptionId(pub String);

/// What of a mailbox a subscription is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// Messages of all folders.
    Messages,
    /// Events of the default calendar.
    Events,
    /// Contacts of the default folder.
    Contacts,
}

impl Topic {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Messages, Self::Events, Self::Contacts];

    /// The last part of the resource's path.
    const fn segment(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::Events => "events",
            Self::Contacts => "contacts",
        }
    }

    /// Subscribing needs the right to read.
    const fn right(self) -> &'static str {
        match self {
            Self::Messages => "Mail.Read",
            Self::Events => "Calendars.Read",
            Self::Contacts => "Contacts.Read",
        }
    }
}

/// A subscription of ours, as the provider has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Its identifier.
    pub id: SubscriptionId,
    /// Whose mailbox it is about.
    pub mailbox: MailboxId,
    /// What of the mailbox.
    pub topic: Topic,
    /// When it ends, unless it is renewed before.
    pub expires: OffsetDateTime,
    /// Where its notifications go.
    pub url: String,
}

/// Where notifications go, and how one of ours is told from anybody else's.
#[derive(Clone, Debug)]
pub struct Endpoint<'a> {
    /// Both for changes and for what happens to the subscription itself; `https`.
    pub url: &'a Url,
    /// Comes with every notification; at most 128 characters.
    pub client_state: &'a Secret,
}

/// Longest life that the provider gives a subscription to items of a mailbox.
pub const LONGEST_SUBSCRIPTION: Duration = Duration::minutes(10_080);

impl GraphProvider {
    /// Asks to be told of changes in a mailbox. While it does, the provider asks the endpoint
    /// whether it wants that, and gets an answer only if the endpoint is reached from there.
    ///
    /// # Errors
    /// Also when nobody knows whether it was made: it is among [`Self::subscriptions`] then.
    pub async fn subscribe(
        &self,
        mailbox: &Mailbox,
        topic: Topic,
        endpoint: &Endpoint<'_>,
        until: OffsetDateTime,
    ) -> Result<Subscription, ExchangeError> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct New<'a> {
            change_type: &'a str,
            notification_url: &'a str,
            lifecycle_notification_url: &'a str,
            resource: String,
            expiration_date_time: String,
            client_state: &'a str,
            latest_supported_tls_version: &'a str,
        }
        let action = format!("{}: subscribing to {}", mailbox.address, topic.segment());
        let new = New {
            change_type: CHANGES,
            notification_url: endpoint.url.as_str(),
            lifecycle_notification_url: endpoint.url.as_str(),
            resource: format!("users/{}/{}", mailbox.id.0, topic.segment()),
            expiration_date_time: rfc3339(&action, until)?,
            client_state: endpoint.client_state.expose(),
            latest_supported_tls_version: "v1_2",
        };
        let json = serde_json::to_vec(&new).map_err(|e| ExchangeError::protocol(&action, e))?;
        let ask = self.ask_of(action, topic.right(), &[]);
        let answer = match self.post(&ask, json.into()).await? {
            Posted::Done(answer) => answer,
            Posted::Unknown(error) => return Err(error),
        };
        let (id, expires) = parse_subscription(&answer)?;
        let url = endpoint.url.as_str().to_owned();
        Ok(Subscription { id, mailbox: mailbox.id.clone(), topic, expires, url })
    }

    /// Lets a subscription live until `until`, which also authorises it anew. Tells when it ends
    /// now.
    ///
    /// # Errors
    /// [`ExchangeError::NotFound`] when it has ended or was removed.
    pub async fn renew(
        &self,
        subscription: &Subscription,
        until: OffsetDateTime,
    ) -> Result<OffsetDateTime, ExchangeError> {
        let ask = self.ask_of(
            "renewing a subscription".into(),
            subscription.topic.right(),
            &[&subscription.id.0],
        );
        let until = rfc3339(&ask.action, until)?;
        let json = serde_json::json!({ "expirationDateTime": until });
        let answer = self.change(&ask, Method::PATCH, Some(json.to_string().into())).await?;
        Ok(parse_subscription(&answer)?.1)
    }

    /// Says again that we may be told: the provider asks for it (`reauthorizationRequired`) before
    /// it stops.
    ///
    /// # Errors
    /// [`ExchangeError::NotFound`] when it has ended or was removed.
    pub async fn reauthorize(&self, subscription: &Subscription) -> Result<(), ExchangeError> {
        let ask = self.ask_of(
            "authorising a subscription anew".into(),
            subscription.topic.right(),
            &[&subscription.id.0, "reauthorize"],
        );
        self.change(&ask, Method::POST, None).await.map(drop)
    }

    /// Ends a subscription. That it has ended already is no error.
    ///
    /// # Errors
    /// When it may go on.
    pub async fn unsubscribe(&self, subscription: &SubscriptionId) -> Result<(), ExchangeError> {
        let ask = self.ask_of("ending a subscription".into(), "Mail.Read", &[&subscription.0]);
        match self.change(&ask, Method::DELETE, None).await {
            Ok(_) | Err(ExchangeError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// All subscriptions of our application that are about a mailbox's items.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub async fn subscriptions(&self) -> Result<Vec<Subscription>, ExchangeError> {
        let ask = self.ask_of("listing subscriptions".into(), "Mail.Read", &[]);
        let listed = all_pages::<WireSubscription>(self, ask).await?;
        Ok(listed.into_iter().filter_map(WireSubscription::into_ours).collect())
    }

    fn ask_of(&self, action: String, right: &'static str, below: &[&str]) -> Ask<'static> {
        let url = self.url(&[&["subscriptions"], below].concat(), &[]);
        Ask { action, right, mailbox: None, url, prefer: None }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireSubscription {
    id: String,
    resource: Option<String>,
    notification_url: Option<String>,
    expiration_date_time: Option<String>,
}

impl WireSubscription {
    fn expires(&self) -> Option<OffsetDateTime> {
        OffsetDateTime::parse(self.expiration_date_time.as_deref()?, &Rfc3339).ok()
    }

    /// Another program may use the same application for something else.
    fn into_ours(self) -> Option<Subscription> {
        let expires = self.expires()?;
        let (mailbox, topic) = read_resource(self.resource.as_deref()?)?;
        let (id, url) = (SubscriptionId(self.id), self.notification_url?);
        Some(Subscription { id, mailbox, topic, expires, url })
    }
}

/// `users/{id}/messages`, in whatever case and with or without a slash in front.
fn read_resource(resource: &str) -> Option<(MailboxId, Topic)> {
    let mut words = resource.trim_start_matches('/').split('/');
    let (users, id, what) = (words.next()?, words.next()?, words.next()?);
    if !users.eq_ignore_ascii_case("users") || words.next().is_some() {
        return None;
    }
    let topic = Topic::ALL.into_iter().find(|one| what.eq_ignore_ascii_case(one.segment()))?;
    Some((MailboxId(id.to_owned()), topic))
}

/// Reads what the provider made or renewed: which subscription, and when it ends.
///
/// # Errors
/// [`ExchangeError::Protocol`] when the bytes are no subscription with an end.
pub fn parse_subscription(body: &[u8]) -> Result<(SubscriptionId, OffsetDateTime), ExchangeError> {
    let action = "reading a subscription";
    let read: WireSubscription = serde_json::from_slice(body)
        .map_err(|error| ExchangeError::protocol(action, format!("not understood: {error}")))?;
    let expires = read.expires();
    let expires = expires.ok_or_else(|| ExchangeError::protocol(action, "it has no end"))?;
    Ok((SubscriptionId(read.id), expires))
}

fn rfc3339(action: &str, time: OffsetDateTime) -> Result<String, ExchangeError> {
    let whole = time.replace_nanosecond(0).unwrap_or(time);
    whole.format(&Rfc3339).map_err(|error| ExchangeError::protocol(action, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscription_of_another_program_is_left_alone() {
        let ours = |resource: &str| read_resource(resource).map(|(id, topic)| (id.0, topic));
        assert_eq!(ours("users/a-b/messages"), Some(("a-b".into(), Topic::Messages)));
        assert_eq!(ours("/Users/a-b/Events"), Some(("a-b".into(), Topic::Events)));
        for other in ["users", "groups/a/events", "users/a/mailFolders('inbox')/messages", "me/x"] {
            assert_eq!(ours(other), None, "{other}");
        }
    }
}
