//! Taking messages out of their owner's sight, and putting them back.
//!
//! Sources: the Graph reference pages `List messages` (`$filter` by `internetMessageId`), `message: move`,
//! `message: permanentDelete`, `Create MailFolder` (`isHidden` can be set when a folder is made, and not
//! later) and the resource page `mailFolder` (`recoverableitemsdeletions`).

use mailkeep_model::{Folder, FolderId, FolderKind, Item, ItemId, Mailbox};
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use super::{
    client::{Ask, GraphProvider},
    mail, pages, refusal,
    wire::Message,
};
use crate::{ExchangeError, QUARANTINE, Quarantine};

const RIGHT: &str = "Mail.ReadWrite";
/// What was purged, as far as its owner can get it back.
const RECOVERABLE: &str = "recoverableitemsdeletions";
/// Names that are tried: somebody may have a folder of that name that is not hidden.
const NAMES: usize = 9;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    id: String,
    display_name: Option<String>,
    is_hidden: Option<bool>,
}

impl Told {
    fn is_quarantine(&self) -> bool {
        self.is_hidden == Some(true)
            && self.display_name.as_deref().is_some_and(|name| {
                name.strip_prefix(QUARANTINE).is_some_and(|rest| {
                    rest.is_empty() || rest.trim_start().parse::<usize>().is_ok()
                })
            })
    }
}

/// Graph: `List messages`, of the mailbox and of its Recoverable Items, which the former leaves out.
pub(super) async fn copies(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    message_ids: &[String],
) -> Result<Vec<Item>, ExchangeError> {
    let user = mailbox.id.0.as_str();
    let places: [&[&str]; 2] =
        [&["users", user, "messages"], &["users", user, "mailFolders", RECOVERABLE, "messages"]];
    let mut found = Vec::new();
    for message_id in message_ids {
        let filter = format!("internetMessageId eq '{}'", message_id.replace('\'', "''"));
        let query = [
            ("$filter", &*filter),
            ("$select", mail::SELECT),
            ("$expand", mail::EXPAND),
            ("$top", "50"),
        ];
        let look = async |path: &[&str]| {
            let url = graph.url(path, &query);
            let ask = ask(mailbox, "looking for copies of a message", url);
            pages::all_pages::<Message>(graph, ask).await
        };
        let [all, purged] = places;
        let (all, purged) = futures::join!(look(all), look(purged));
        let purged = match purged {
            // A mailbox that was never used has no such folder.
            Err(ExchangeError::NotFound { .. }) => Vec::new(),
            purged => purged?,
        };
        for message in all?.into_iter().chain(purged) {
            // A filter that is not understood as it was meant must not take other people's mail.
            if message.internet_message_id.as_deref() == Some(message_id)
                && let Some(item) = mail::found(Ok(message))?
            {
                found.push(item);
            }
        }
    }
    found.sort_by(|a, b| a.id.cmp(&b.id));
    found.dedup_by(|a, b| a.id == b.id);
    Ok(found)
}

/// Graph: `List mailFolders`, and `Create MailFolder` when none of them is it.
pub(super) async fn quarantine(
    graph: &GraphProvider,
    mailbox: &Mailbox,
) -> Result<Quarantine, ExchangeError> {
    let listed = list(graph, mailbox).await?;
    if let Some(found) = among(&listed) {
        return Ok(found);
    }
    let path = ["users", &mailbox.id.0, "mailFolders"];
    for number in 1..=NAMES {
        let name =
            if number == 1 { QUARANTINE.to_owned() } else { format!("{QUARANTINE} {number}") };
        if listed.iter().any(|told| told.display_name.as_deref() == Some(&*name)) {
            continue;
        }
        let ask = ask(mailbox, "making the quarantine", graph.url(&path, &[]));
        let body = json!({ "displayName": name, "isHidden": true }).to_string();
        match graph.change(&ask, Method::POST, Some(body.into())).await {
            Ok(answer) => {
                let made: Told = serde_json::from_slice(&answer)
                    .map_err(|error| graph.unfit(&ask, &format!("not understood: {error}")))?;
                return Ok(Quarantine { folder: FolderId(made.id), others: Vec::new() });
            }
            // Sent twice, it is refused the second time because the name is taken. Another process may
            // have been quicker, too.
            Err(error) if refusal::is_name_taken(&error) => {
                if let Some(found) = among(&list(graph, mailbox).await?) {
                    return Ok(found);
                }
            }
            Err(error) => return Err(error),
        }
    }
    Err(ExchangeError::unsupported(
        format!("{}: making the quarantine", mailbox.address),
        "folders of its name are there that everybody sees. Rename them in Outlook",
    ))
}

/// The quarantine among the folders at the top. Of several the one that is named first is used, so that the
/// same one is each time; messages may lie in all of them.
fn among(listed: &[Told]) -> Option<Quarantine> {
    let mut all: Vec<&Told> = listed.iter().filter(|told| told.is_quarantine()).collect();
    all.sort_by_key(|told| &told.display_name);
    let mut all = all.into_iter().map(|told| FolderId(told.id.clone()));
    Some(Quarantine { folder: all.next()?, others: all.collect() })
}

/// All folders at the top, hidden ones included.
async fn list(graph: &GraphProvider, mailbox: &Mailbox) -> Result<Vec<Told>, ExchangeError> {
    let query =
        [("$select", "id,displayName,isHidden"), ("$top", "100"), ("includeHiddenFolders", "true")];
    let url = graph.url(&["users", &mailbox.id.0, "mailFolders"], &query);
    pages::all_pages(graph, ask(mailbox, "looking for the quarantine", url)).await
}

/// Graph: `Get mailFolder`; `None` when the folder is another one, or gone.
pub(super) async fn quarantine_called(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    folder: &FolderId,
) -> Result<Option<Folder>, ExchangeError> {
    let path = ["users", &mailbox.id.0, "mailFolders", &folder.0];
    let url = graph.url(&path, &[("$select", "id,displayName,isHidden")]);
    let ask = Ask { right: super::folders::MAIL_READ, ..ask(mailbox, "looking at a folder", url) };
    let told: Told = match graph.json(&ask).await {
        Err(ExchangeError::NotFound { .. }) => return Ok(None),
        told => told?,
    };
    Ok(told.is_quarantine().then(|| Folder {
        id: folder.clone(),
        parent: None,
        name: told.display_name.unwrap_or_default(),
        kind: FolderKind::Mail,
        well_known: None,
    }))
}

/// Graph: `message: move`. The immutable id stays, and moving a message to where it is does nothing.
pub(super) async fn relocated(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    id: &ItemId,
    to: &FolderId,
) -> Result<Item, ExchangeError> {
    let user = mailbox.id.0.as_str();
    let body = json!({ "destinationId": to.0 }).to_string();
    let move_in = async |path: &[&str]| {
        let ask = ask(mailbox, "moving a message", graph.url(path, &[]));
        let answer = graph.change(&ask, Method::POST, Some(body.clone().into())).await?;
        serde_json::from_slice::<Message>(&answer)
            .map_err(|error| graph.unfit(&ask, &format!("not understood: {error}")))
    };
    let message = match move_in(&["users", user, "messages", &id.0, "move"]).await {
        // What was purged is found by its folder only.
        Err(error @ ExchangeError::NotFound { .. }) => {
            let path = ["users", user, "mailFolders", RECOVERABLE, "messages", &id.0, "move"];
            match move_in(&path).await {
                Err(ExchangeError::NotFound { .. }) => return Err(error),
                moved => moved?,
            }
        }
        moved => moved?,
    };
    Ok(mail::item(message, to))
}

/// Graph: `message: permanentDelete`. That it is gone already is no error.
pub(super) async fn purge(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    id: &ItemId,
) -> Result<(), ExchangeError> {
    let path = ["users", &mailbox.id.0, "messages", &id.0, "permanentDelete"];
    let ask = ask(mailbox, "deleting a message for good", graph.url(&path, &[]));
    match graph.change(&ask, Method::POST, None).await {
        Ok(_) | Err(ExchangeError::NotFound { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

fn ask<'a>(mailbox: &'a Mailbox, what: &str, url: url::Url) -> Ask<'a> {
    Ask {
        action: format!("{}: {what}", mailbox.address),
        right: RIGHT,
        mailbox: Some(mailbox),
        url,
        prefer: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_everybody_sees_is_not_taken_for_the_quarantine() {
        let told = |name: &str, hidden: bool| Told {
            id: "f".into(),
            display_name: Some(name.into()),
            is_hidden: Some(hidden),
        };
        assert!(told(QUARANTINE, true).is_quarantine());
        assert!(told(&format!("{QUARANTINE} 2"), true).is_quarantine());
        assert!(!told(QUARANTINE, false).is_quarantine());
        assert!(!told(&format!("{QUARANTINE} of Ann"), true).is_quarantine());
        assert!(!told("Inbox", true).is_quarantine());
    }

    #[test]
    fn what_lies_in_a_second_quarantine_is_not_taken_for_put_back_when_a_first_one_appears() {
        let told = |id: &str, name: String, hidden| Told {
            id: id.into(),
            display_name: Some(name),
            is_hidden: Some(hidden),
        };
        let second = || told("second", format!("{QUARANTINE} 2"), true);
        let seen = told("seen", QUARANTINE.into(), false);
        let alone = among(&[seen, second()]).unwrap();
        assert_eq!((alone.folder.0.as_str(), alone.others.len()), ("second", 0));
        let both = among(&[second(), told("first", QUARANTINE.into(), true)]).unwrap();
        assert_eq!(both.folder.0, "first");
        assert!(both.holds(&FolderId("second".into())) && both.holds(&both.folder));
        assert!(!both.holds(&FolderId("inbox".into())));
        assert_eq!(among(&[]), None);
    }
}
