//! The tenant's directory: its domains, its users, and what changed among them.
//!
//! Sources: the Graph reference pages `Get organization`, `List users`, `user: delta`; "Use delta
//! query to track changes in Microsoft Graph data".

use std::collections::HashSet;

use mailkeep_model::{
    Address, Change, Directory, DirectoryUser, Home, Mailbox, MailboxId, Next, Page,
};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use time::OffsetDateTime;

use super::{
    client::{Ask, GraphProvider},
    pages::{self, all_pages},
    wire::{Collection, Organization, User},
};
use crate::ExchangeError;

/// Users a page; Graph's most.
pub(super) const PAGE: &str = "999";
/// What is asked of a user. A changed `accountEnabled` is told because it may mean that the
/// mailbox became a shared one, or stopped being one.
const USER: &str = "id,mail,displayName,userType,accountEnabled";
/// Pages of the directory's changes, of which the first reading has the most. Graph gives a hundred
/// users or more a page; a directory may have some hundred thousand.
const MAX_PAGES: usize = 20_000;

pub(super) const READ_USERS: &str = "User.Read.All";

/// The tenant's verified domains (Graph: "Get organization").
pub(super) async fn domains(graph: &GraphProvider) -> Result<Vec<String>, ExchangeError> {
    let url = graph.url(&["organization"], &[("$select", "id,verifiedDomains")]);
    let ask = ask("reading the organisation's domains", READ_USERS, url);
    let organizations: Collection<Organization> = graph.json(&ask).await?;
    let domains = organizations.value.into_iter().flat_map(|one| one.verified_domains);
    Ok(domains.map(|domain| domain.name.to_lowercase()).collect())
}

/// All users that have an address (Graph: "List users").
pub(super) async fn mailboxes(graph: &GraphProvider) -> Result<Vec<Mailbox>, ExchangeError> {
    let url = graph.url(&["users"], &[("$select", "id,mail,displayName"), ("$top", PAGE)]);
    let users = all_pages::<User>(graph, ask("listing mailboxes", READ_USERS, url)).await?;
    let mailbox = |user: User| {
        let address = address_of(&user.id, &user.mail?)?;
        let display_name = user.display_name.unwrap_or_default();
        Some(Mailbox { id: MailboxId(user.id), address, display_name })
    };
    Ok(users.into_iter().filter_map(mailbox).collect())
}

/// Reads what changed among the users since the directory's cursor, or all of them.
///
/// # Errors
/// [`ExchangeError::CursorExpired`]: all of them are to be read.
pub(super) async fn follow(
    graph: &GraphProvider,
    directory: &mut Directory,
) -> Result<(), ExchangeError> {
    let action = "reading the directory's changes";
    let anew = directory.cursor().is_none();
    let now = OffsetDateTime::now_utc();
    let mut listed = HashSet::new();
    let mut seen = HashSet::new();
    let mut link = directory.cursor().map(|cursor| cursor.0.clone());
    for _ in 0..MAX_PAGES {
        let url = match &link {
            Some(link) => graph.link(action, link)?,
            None => graph.url(&["users", "delta"], &[("$select", USER)]),
        };
        let body = pages::page(graph, &ask(action, READ_USERS, url)).await?;
        let page = parse_users_page(&body)?;
        for change in page.changes {
            match change {
                Change::Removed(id) => {
                    listed.remove(&id);
                    directory.remove(&id);
                }
                Change::Upsert(told) => {
                    let id = told.id.clone();
                    let known = directory.user(&id);
                    match told.onto(known, anew && !listed.contains(&id)) {
                        Some(Some(user)) => {
                            listed.insert(id);
                            directory.put(user);
                        }
                        Some(None) => {
                            listed.remove(&id);
                            directory.remove(&id);
                        }
                        // Only what changed is told; of who is new here, that may be half.
                        None => match look_up(graph, &id).await? {
                            Some(user) => directory.put(user),
                            None => directory.remove(&id),
                        },
                    }
                }
            }
        }
        match page.next {
            Next::More(next) if seen.insert(next.0.clone()) => link = Some(next.0),
            Next::Done(cursor) => {
                if anew {
                    directory.retain(&listed);
                }
                directory.read_to(cursor, anew.then_some(now));
                return Ok(());
            }
            _ => break,
        }
    }
    Err(ExchangeError::protocol(action, "the list goes on for ever"))
}

/// A user as a whole (Graph: "Get user").
async fn look_up(
    graph: &GraphProvider,
    id: &MailboxId,
) -> Result<Option<DirectoryUser>, ExchangeError> {
    let url = graph.url(&["users", &id.0], &[("$select", USER)]);
    match graph.json::<WireUser>(&ask("looking a user up", READ_USERS, url)).await {
        Ok(user) => Ok(ToldUser::from(user).onto(None, true).flatten()),
        Err(ExchangeError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

pub(super) fn ask(action: impl Into<String>, right: &'static str, url: url::Url) -> Ask<'static> {
    Ask { action: action.into(), right, mailbox: None, url, prefer: None }
}

/// What a page of changes tells of a user: at least what changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToldUser {
    /// Whose.
    pub id: MailboxId,
    /// `Some(None)`: there is none.
    mail: Option<Option<String>>,
    display_name: Option<Option<String>>,
    user_type: Option<Option<String>>,
}

impl ToldUser {
    /// The user, put together from what is told and what is known. `Some(None)`: one without an
    /// address. `None`: not enough is told, and the rest not known.
    ///
    /// Where everything is told, what is left out was never set.
    fn onto(
        self,
        known: Option<&DirectoryUser>,
        all_is_told: bool,
    ) -> Option<Option<DirectoryUser>> {
        let address = match self.mail {
            Some(mail) => mail.as_deref().and_then(|mail| address_of(&self.id.0, mail)),
            None if all_is_told => None,
            None => Some(known?.mailbox.address.clone()),
        };
        let Some(address) = address else { return Some(None) };
        let display_name = match self.display_name {
            Some(name) => name.unwrap_or_default(),
            None if all_is_told => String::new(),
            None => known?.mailbox.display_name.clone(),
        };
        let home = match self.user_type.as_ref().map(Option::as_deref) {
            Some(Some(kind)) if kind.eq_ignore_ascii_case("guest") => Home::Elsewhere,
            Some(_) => Home::Here,
            None if all_is_told => Home::Here,
            None => known?.home,
        };
        let mailbox = Mailbox { id: self.id, address, display_name };
        // Whatever changed, the mailbox may have become one of another kind.
        Some(Some(DirectoryUser { mailbox, home, kind: None }))
    }
}

fn address_of(user: &str, mail: &str) -> Option<Address> {
    if mail.is_empty() {
        return None;
    }
    match mail.parse() {
        Ok(address) => Some(address),
        Err(error) => {
            // One odd entry must not keep all others from being backed up.
            tracing::warn!(user, %error, "a user without a usable address");
            None
        }
    }
}

/// A user; what is `null` is told apart from what is not there.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireUser {
    id: String,
    #[serde(rename = "@removed")]
    removed: Option<Value>,
    #[serde(default, deserialize_with = "told")]
    mail: Option<Option<String>>,
    #[serde(default, deserialize_with = "told")]
    display_name: Option<Option<String>>,
    #[serde(default, deserialize_with = "told")]
    user_type: Option<Option<String>>,
}

fn told<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(from).map(Some)
}

impl From<WireUser> for ToldUser {
    fn from(user: WireUser) -> Self {
        Self {
            id: MailboxId(user.id),
            mail: user.mail,
            display_name: user.display_name,
            user_type: user.user_type,
        }
    }
}

/// Reads one page of `user: delta`.
///
/// # Errors
/// [`ExchangeError::Protocol`] when the bytes are not such a page.
pub fn parse_users_page(body: &[u8]) -> Result<Page<ToldUser, MailboxId>, ExchangeError> {
    let action = "reading the directory's changes";
    let mut page: Collection<WireUser> = serde_json::from_slice(body)
        .map_err(|error| ExchangeError::protocol(action, format!("not understood: {error}")))?;
    let next = page.next(action)?;
    let change = |user: WireUser| match user.removed {
        Some(_) => Change::Removed(MailboxId(user.id)),
        None => Change::Upsert(user.into()),
    };
    Ok(Page { changes: page.value.into_iter().map(change).collect(), unread: Vec::new(), next })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(json: &str) -> ToldUser {
        let body = format!(r#"{{"value":[{json}],"@odata.deltaLink":"https://x/y"}}"#);
        let mut page = parse_users_page(body.as_bytes()).unwrap();
        let Change::Upsert(user) = page.changes.remove(0) else { panic!("{json}") };
        user
    }

    const ANN: &str =
        r#"{"id":"a","mail":"Ann@x.example","displayName":"Ann","userType":"Member"}"#;

    #[test]
    fn a_change_of_the_name_alone_keeps_the_address() {
        let ann = told(ANN).onto(None, true).flatten().unwrap();
        assert_eq!((ann.mailbox.address.as_str(), ann.home), ("ann@x.example", Home::Here));
        let renamed = told(r#"{"id":"a","displayName":"Ann Lee"}"#).onto(Some(&ann), false);
        let renamed = renamed.flatten().unwrap();
        assert_eq!(renamed.mailbox.display_name, "Ann Lee");
        assert_eq!(renamed.mailbox.address, ann.mailbox.address);
    }

    #[test]
    fn a_user_whose_address_was_taken_away_is_not_one_whose_address_is_not_told() {
        let ann = told(ANN).onto(None, true).flatten().unwrap();
        assert_eq!(told(r#"{"id":"a","mail":null}"#).onto(Some(&ann), false), Some(None));
        assert_eq!(told(r#"{"id":"b","displayName":"Bob"}"#).onto(None, false), None);
        // In a first reading, what is left out was never set.
        assert_eq!(told(r#"{"id":"b","displayName":"Bob"}"#).onto(None, true), Some(None));
    }

    #[test]
    fn a_guest_has_a_mailbox_somewhere_else() {
        let guest =
            r#"{"id":"g","mail":"g@elsewhere.example","displayName":"G","userType":"Guest"}"#;
        assert_eq!(told(guest).onto(None, true).flatten().unwrap().home, Home::Elsewhere);
    }

    #[test]
    fn a_page_that_ends_without_a_link_is_refused_instead_of_ending_the_directory() {
        assert!(parse_users_page(br#"{"value":[]}"#).is_err());
        assert!(parse_users_page(br#"{"value":[{"mail":"x"}],"@odata.nextLink":"y"}"#).is_err());
    }
}
