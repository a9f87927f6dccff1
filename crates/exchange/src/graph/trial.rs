//! Whether a right is there, found out by using it: nothing of anybody's is changed and nobody is sent
//! anything.
//!
//! Sources: the Graph reference pages `Get mailFolder`, `Create message`, `message: permanentDelete`,
//! `user: sendMail`, `Update application`, `Update servicePrincipal`.

use bytes::Bytes;
use mailkeep_model::Mailbox;
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::{
    admin::{OWNED, ObjectId, Registrar},
    audit::GraphAuditor,
    client::{Ask, GraphProvider},
};
use crate::ExchangeError;

/// What a message to nobody is refused with, by somebody who may send.
const TO_NOBODY: &[&str] = &["ErrorInvalidRecipients", "ErrorInvalidRequest"];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Named {
    id: String,
    #[serde(default)]
    display_name: Option<String>,
}

impl GraphProvider {
    /// Reads one folder of a mailbox: `Mail.Read`, or more.
    ///
    /// # Errors
    /// [`ExchangeError::Forbidden`] when the right is not there, or not in this mailbox.
    pub async fn try_reading(&self, mailbox: &Mailbox) -> Result<(), ExchangeError> {
        let path = ["users", &mailbox.id.0, "mailFolders", "inbox"];
        let ask = self.trial("reading the inbox", "Mail.Read", mailbox, &path);
        self.json::<Named>(&Ask { url: self.url(&path, &[("$select", "id")]), ..ask })
            .await
            .map(drop)
    }

    /// Makes a draft and deletes it for good: `Mail.ReadWrite`.
    ///
    /// # Errors
    /// [`ExchangeError::Forbidden`] as above. [`ExchangeError::Protocol`] when a draft may have been left.
    pub async fn try_writing(&self, mailbox: &Mailbox) -> Result<(), ExchangeError> {
        let right = "Mail.ReadWrite";
        let path = ["users", &mailbox.id.0, "messages"];
        let ask = self.trial("making a draft", right, mailbox, &path);
        let draft =
            json!({ "subject": "Mailkeep tries whether it may write; it deletes this at once" });
        let made = self.post(&ask, Bytes::from(draft.to_string())).await?.certain()?;
        let made: Named = serde_json::from_slice(&made)
            .map_err(|error| self.unfit(&ask, &format!("not understood: {error}")))?;
        let path = ["users", &mailbox.id.0, "messages", &made.id, "permanentDelete"];
        let ask = self.trial("deleting the draft", right, mailbox, &path);
        match self.change(&ask, Method::POST, None).await {
            Ok(_) | Err(ExchangeError::NotFound { .. }) => Ok(()),
            Err(error) => Err(ExchangeError::protocol(
                self.whose(&ask),
                format!("{error}. An empty draft may lie there: delete it"),
            )),
        }
    }

    /// Asks for a message to be sent to nobody: `Mail.Send`. Who may not send is refused for that; who
    /// may, for the missing recipient.
    ///
    /// # Errors
    /// [`ExchangeError::Forbidden`] as above.
    pub async fn try_sending(&self, mailbox: &Mailbox) -> Result<(), ExchangeError> {
        let path = ["users", &mailbox.id.0, "sendMail"];
        let ask = self.trial("sending to nobody", "Mail.Send", mailbox, &path);
        let order = json!({
            "message": { "subject": "Mailkeep tries whether it may send", "toRecipients": [] },
            "saveToSentItems": false,
        });
        match self.post(&ask, Bytes::from(order.to_string())).await {
            Ok(sent) => sent.certain().map(drop),
            Err(ExchangeError::Answer { status: 400, code, .. })
                if TO_NOBODY.contains(&code.as_str()) =>
            {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn trial<'a>(
        &self,
        what: &str,
        right: &'static str,
        mailbox: &'a Mailbox,
        path: &[&str],
    ) -> Ask<'a> {
        Ask {
            action: format!("{what} ({})", mailbox.address),
            right,
            mailbox: Some(mailbox),
            url: self.url(path, &[]),
            prefer: None,
        }
    }
}

impl GraphAuditor {
    /// The application permissions that were granted, where the token lets them be read.
    ///
    /// # Errors
    /// Why there is no token.
    pub async fn granted_rights(&self) -> Result<Option<Vec<String>>, ExchangeError> {
        self.graph.granted_rights().await
    }
}

impl Registrar {
    /// The application permissions that were granted, where the token lets them be read.
    ///
    /// # Errors
    /// Why there is no token.
    pub async fn granted_rights(&self) -> Result<Option<Vec<String>>, ExchangeError> {
        self.graph.granted_rights().await
    }

    /// Gives an application and its service principal the names that they have: may they be changed?
    ///
    /// # Errors
    /// [`ExchangeError::Forbidden`] when that is not so; [`ExchangeError::NotFound`].
    pub async fn try_owning(&self, client_id: &str) -> Result<(), ExchangeError> {
        let Ok(client_id) = Uuid::try_parse(client_id) else {
            return Err(ExchangeError::not_found("looking up an application"));
        };
        for collection in ["applications", "servicePrincipals"] {
            let object = format!("{collection}(appId='{client_id}')");
            let url = self.graph.url(&[&object], &[("$select", "id,displayName")]);
            let action = format!("reading {object}");
            let look = Ask { action, right: OWNED, mailbox: None, url, prefer: None };
            let named: Named = self.graph.json(&look).await?;
            let on = match collection {
                "applications" => ObjectId::Application(named.id),
                _ => ObjectId::Principal(named.id),
            };
            let same = json!({ "displayName": named.display_name }).to_string();
            let ask = self.ask(format!("naming {object} as it is named"), &on, &[], &[]);
            self.graph.change(&ask, Method::PATCH, Some(same.into())).await?;
        }
        Ok(())
    }
}
