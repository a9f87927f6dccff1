use mailkeep_model::{Mailbox, MailboxId};

use super::{
    client::{Ask, GraphProvider},
    wire::{Collection, Organization, User},
};
use crate::ExchangeError;

/// Users a page; Graph's most.
const PAGE: &str = "999";

/// The tenant's verified domains (Graph: "Get organization").
pub(super) async fn domains(graph: &GraphProvider) -> Result<Vec<String>, ExchangeError> {
    let ask = Ask {
        action: "reading the organisation's domains".into(),
        right: "User.Read.All",
        mailbox: None,
        url: graph.url(&["organization"], &[("$select", "id,verifiedDomains")]),
        prefer: None,
    };
    let organizations: Collection<Organization> = graph.json(&ask).await?;
    let domains = organizations.value.into_iter().flat_map(|one| one.verified_domains);
    Ok(domains.map(|domain| domain.name.to_lowercase()).collect())
}

/// All users that have a mailbox (Graph: "List users").
pub(super) async fn mailboxes(graph: &GraphProvider) -> Result<Vec<Mailbox>, ExchangeError> {
    let action = "listing mailboxes";
    let mut url = graph.url(&["users"], &[("$select", "id,mail,displayName"), ("$top", PAGE)]);
    let mut mailboxes = Vec::new();
    loop {
        let right = "User.Read.All";
        let ask = Ask { action: action.into(), right, mailbox: None, url, prefer: None };
        let page: Collection<User> = graph.json(&ask).await?;
        for user in page.value {
            // A user without an address has no mailbox.
            let Some(mail) = user.mail.filter(|mail| !mail.is_empty()) else { continue };
            let address = match mail.parse() {
                Ok(address) => address,
                Err(error) => {
                    // One odd entry must not keep all others from being backed up.
                    tracing::warn!(user = user.id, %error, "a user without a usable address");
                    continue;
                }
            };
            mailboxes.push(Mailbox {
                id: MailboxId(user.id),
                address,
                display_name: user.display_name.unwrap_or_default(),
            });
        }
        match page.next_link {
            Some(link) => url = graph.link(action, &link)?,
            None => return Ok(mailboxes),
        }
    }
}
