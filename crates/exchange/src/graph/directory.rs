use mailkeep_model::{Mailbox, MailboxId};

use super::{
    client::{Ask, GraphProvider},
    pages::all_pages,
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
    let ask = Ask {
        action: "listing mailboxes".into(),
        right: "User.Read.All",
        mailbox: None,
        url: graph.url(&["users"], &[("$select", "id,mail,displayName"), ("$top", PAGE)]),
        prefer: None,
    };
    let mut mailboxes = Vec::new();
    for user in all_pages::<User>(graph, ask).await? {
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
    Ok(mailboxes)
}
