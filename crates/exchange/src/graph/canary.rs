//! Canaries: harmless messages of ours that have to come through a backup. The one who sends them cannot
//! read, and the one who looks for them cannot send.
//!
//! Sources: the Graph reference pages `user: sendMail`, `internetMessageHeader` and `List messages`.

use bytes::Bytes;
use mailkeep_model::{Address, CANARY_HEADER, CanaryMark, Mailbox};
use serde::Deserialize;
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    client::{Ask, GraphProvider},
    send::Posted,
    wire::Collection,
};
use crate::ExchangeError;

/// A canary as it is sent.
#[derive(Clone, Debug)]
pub struct Canary {
    /// To whom.
    pub recipient: Address,
    /// What it is looked up by; in its subject. Not its mark: a hash of that.
    pub reference: String,
    /// What it is recognised by.
    pub mark: CanaryMark,
}

/// What is known of a canary after it was sent.
#[derive(Debug)]
pub enum CanarySending {
    /// The provider took it.
    Taken,
    /// It may have taken it or not, and why that is not known.
    Unknown(ExchangeError),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Arrived {
    received_date_time: Option<String>,
}

impl Canary {
    fn subject(reference: &str) -> String {
        format!("Mailkeep canary {reference}")
    }

    /// What is sent: an order of `sendMail`. No copy is left in the sender's mailbox, where nobody could
    /// take it away.
    fn order(&self) -> Value {
        let mark = self.mark.as_str();
        let content = format!(
            "<p>This message was sent by Mailkeep to see that mail is backed up and inspected. \
             Nobody has to do anything with it; it may be deleted.</p><p>Mark: <code>{mark}</code></p>"
        );
        json!({
            "message": {
                "subject": Self::subject(&self.reference),
                "body": { "contentType": "html", "content": content },
                "toRecipients": [{ "emailAddress": { "address": self.recipient } }],
                "internetMessageHeaders": [{ "name": CANARY_HEADER, "value": mark }],
            },
            "saveToSentItems": false,
        })
    }
}

impl GraphProvider {
    /// Sends a canary, once: when the answer is lost, the order is not given a second time.
    ///
    /// # Errors
    /// [`ExchangeError::Forbidden`] without `Mail.Send` in that mailbox, and whatever says that it was not
    /// sent.
    pub async fn send_canary(
        &self,
        sender: &Mailbox,
        canary: &Canary,
    ) -> Result<CanarySending, ExchangeError> {
        let ask = Ask {
            action: format!("sending a canary ({} to {})", sender.address, canary.recipient),
            right: "Mail.Send",
            mailbox: Some(sender),
            url: self.url(&["users", &sender.id.0, "sendMail"], &[]),
            prefer: None,
        };
        Ok(match self.post(&ask, Bytes::from(canary.order().to_string())).await? {
            Posted::Done(_) => CanarySending::Taken,
            Posted::Unknown(error) => CanarySending::Unknown(error),
        })
    }

    /// When the canary with that reference arrived in a mailbox, in whatever folder; `None`: it is not
    /// there.
    ///
    /// # Errors
    /// [`ExchangeError::Forbidden`] without `Mail.Read` in that mailbox.
    pub async fn canary_arrived(
        &self,
        mailbox: &Mailbox,
        reference: &str,
    ) -> Result<Option<OffsetDateTime>, ExchangeError> {
        // Digits only: nothing in it ends the text of a filter.
        let filter = format!("subject eq '{}'", Canary::subject(reference));
        let query = [("$filter", &*filter), ("$select", "receivedDateTime"), ("$top", "1")];
        let ask = Ask {
            action: format!("looking for a canary ({})", mailbox.address),
            right: "Mail.Read",
            mailbox: Some(mailbox),
            url: self.url(&["users", &mailbox.id.0, "messages"], &query),
            prefer: None,
        };
        let found: Collection<Arrived> = self.json(&ask).await?;
        let Some(first) = found.value.into_iter().next() else { return Ok(None) };
        let at = first.received_date_time.as_deref();
        let at = at.and_then(|at| OffsetDateTime::parse(at, &Rfc3339).ok());
        at.map(Some).ok_or_else(|| self.unfit(&ask, "a message without the time of its arrival"))
    }
}
