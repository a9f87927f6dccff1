//! What a request is about, as the journal has it.

use std::borrow::Cow;

use mailkeep_identity::journal::{About, JournalEntry};
use mailkeep_model::Mailbox;
use percent_encoding::percent_decode_str;
use time::OffsetDateTime;
use url::Url;
use uuid::Uuid;

use super::client::{Ask, GraphProvider};
use crate::ExchangeError;

/// What holds messages, in the path of one and of a list of them. Of others the provider's log of reads
/// does not tell.
const HOLDERS: &[&str] = &["messages", "items"];
/// Several items, by a request's body.
const EXPORT: &str = "exportItems";

impl GraphProvider {
    /// Writes a request down that is about to go out; what comes back is its name.
    pub(super) fn journal(&self, ask: &Ask<'_>) -> Result<Uuid, ExchangeError> {
        self.journal_of(ask.mailbox, &ask.url)
    }

    /// The same for a request to an address that the provider gave in place of a token.
    pub(super) fn journal_of(
        &self,
        mailbox: Option<&Mailbox>,
        url: &Url,
    ) -> Result<Uuid, ExchangeError> {
        let client_request_id = Uuid::new_v4();
        let access = self.access();
        let entry = JournalEntry {
            at: OffsetDateTime::now_utc(),
            client_request_id,
            job: access.job.clone(),
            mailbox: mailbox.map(|mailbox| mailbox.address.to_string()),
            about: about(url),
        };
        access
            .journal
            .write(entry)
            .map_err(|source| ExchangeError::Journal { tenant: self.tenant().clone(), source })?;
        Ok(client_request_id)
    }
}

/// Of a path, the last that holds items counts: `messages` in `mailFolders/…/messages`.
fn about(url: &Url) -> About {
    let segments: Vec<Cow<'_, str>> = url
        .path_segments()
        .into_iter()
        .flatten()
        .map(|segment| percent_decode_str(segment).decode_utf8_lossy())
        .collect();
    if segments.last().is_some_and(|last| last == EXPORT) {
        return About::Page;
    }
    let Some(at) = segments.iter().rposition(|segment| HOLDERS.contains(&&**segment)) else {
        return About::Other;
    };
    match segments.get(at + 1) {
        Some(item) if !item.is_empty() && item != "delta" => {
            About::Item { item: item.clone().into_owned() }
        }
        _ => About::Page,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_says_which_item_a_request_is_about() {
        let base = "https://graph.example/v1.0/users/u";
        let of = |path: &str| about(&Url::parse(&format!("{base}/{path}")).unwrap());
        let item = |item: &str| About::Item { item: item.to_owned() };
        assert_eq!(of("messages/AAMk%3D/$value"), item("AAMk="));
        assert_eq!(of("messages/AAMk/attachments/one"), item("AAMk"));
        assert_eq!(of("mailFolders/inbox/messages/delta?$select=id"), About::Page);
        assert_eq!(of("mailFolders/inbox/messages"), About::Page);
        assert_eq!(of("mailFolders/delta"), About::Other);
        let exported = "https://graph.example/beta/admin/exchange/mailboxes/m/exportItems";
        assert_eq!(about(&Url::parse(exported).unwrap()), About::Page);
    }
}
