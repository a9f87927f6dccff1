use std::collections::HashMap;

use mailkeep_model::{Change, Cursor, Folder, FolderId, Mailbox, Next, Page, WellKnownFolder};
use serde::{Deserialize, Serialize};

use super::{
    client::{Ask, GraphProvider},
    pages, recoverable,
    wire::{Collection, MailFolder},
};
use crate::ExchangeError;

/// The right that reading folders and mail needs.
pub(super) const MAIL_READ: &str = "Mail.Read";

/// Folders with a role, by the name under which Graph finds them whatever the user's language.
const WELL_KNOWN: [(&str, WellKnownFolder); 5] = [
    ("inbox", WellKnownFolder::Inbox),
    ("sentitems", WellKnownFolder::SentItems),
    ("drafts", WellKnownFolder::Drafts),
    ("deleteditems", WellKnownFolder::DeletedItems),
    ("junkemail", WellKnownFolder::JunkEmail),
];

/// What the cursor carries beside Graph's link: the id of the root, which the delta names as a
/// parent but does not list, and the roles. They stay in it after the first enumeration, because a
/// delta may tell of a folder later than it should.
#[derive(Serialize, Deserialize)]
struct State {
    link: String,
    root: FolderId,
    #[serde(default, skip_serializing_if = "HashMap::is_empty")]
    roles: HashMap<FolderId, WellKnownFolder>,
    /// What was told as the folder of purged items, which no delta lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    recoverable: Option<FolderId>,
}

/// Graph: `mailFolder: delta`, a flat list of all folders.
pub(super) async fn changes(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    cursor: Option<&Cursor>,
) -> Result<Page<Folder, FolderId>, ExchangeError> {
    let action = format!("{}: reading the folder tree", mailbox.address);
    let mut state = match cursor {
        Some(cursor) => serde_json::from_str::<State>(&cursor.0)
            .map_err(|_| ExchangeError::CursorExpired { action: action.clone() })?,
        None => begin(graph, mailbox).await?,
    };
    let ask = Ask {
        url: graph.link(&action, &state.link)?,
        action,
        right: MAIL_READ,
        mailbox: Some(mailbox),
        prefer: Some("odata.maxpagesize=200".into()),
    };
    let body = pages::page(graph, &ask).await?;
    let mut page = parse_folder_page(&body).map_err(|error| graph.explained(&ask, error))?;
    for change in &mut page.changes {
        if let Change::Upsert(folder) = change {
            folder.parent.take_if(|parent| *parent == state.root);
            folder.well_known = state.roles.get(&folder.id).copied();
        }
    }
    page.changes.extend(recoverable::change(graph, mailbox, &mut state.recoverable).await?);
    page.next = match page.next {
        Next::More(Cursor(link)) => {
            state.link = link;
            Next::More(encode(&state)?)
        }
        Next::Done(Cursor(link)) => {
            state.link = link;
            Next::Done(encode(&state)?)
        }
        Next::Complete => Next::Complete,
    };
    Ok(page)
}

async fn begin(graph: &GraphProvider, mailbox: &Mailbox) -> Result<State, ExchangeError> {
    let mut roles = HashMap::new();
    let mut root = None;
    for (name, role) in WELL_KNOWN {
        let segments = ["users", &mailbox.id.0, "mailFolders", name];
        let ask = Ask {
            action: format!("{}: looking for the folder '{name}'", mailbox.address),
            right: MAIL_READ,
            mailbox: Some(mailbox),
            url: graph.url(&segments, &[("$select", "id,parentFolderId")]),
            prefer: None,
        };
        match graph.json::<MailFolder>(&ask).await {
            Ok(folder) => {
                roles.insert(FolderId(folder.id), role);
                if role == WellKnownFolder::Inbox {
                    root = folder.parent_folder_id.map(FolderId);
                }
            }
            // A mailbox need not have every role; shared ones often lack some.
            Err(ExchangeError::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    let segments = ["users", &mailbox.id.0, "mailFolders", "delta"];
    let url = graph.url(&segments, &[("$select", "id,displayName,parentFolderId")]);
    // Without an inbox no folder's parent is known to be the root; the vault takes a folder whose
    // parent is not listed to lie at the top.
    Ok(State {
        link: url.into(),
        root: root.unwrap_or(FolderId(String::new())),
        roles,
        recoverable: None,
    })
}

fn encode(state: &State) -> Result<Cursor, ExchangeError> {
    serde_json::to_string(state)
        .map(Cursor)
        .map_err(|error| ExchangeError::protocol("keeping the place in the folder tree", error))
}

/// Reads one page of `mailFolder: delta`; parents are as Graph gives them.
///
/// # Errors
/// [`ExchangeError::Protocol`] when the bytes are not such a page.
pub fn parse_folder_page(body: &[u8]) -> Result<Page<Folder, FolderId>, ExchangeError> {
    let action = "reading the folder tree";
    let mut page: Collection<MailFolder> = serde_json::from_slice(body)
        .map_err(|error| ExchangeError::protocol(action, format!("not understood: {error}")))?;
    let next = page.next(action)?;
    let changes = page.value.into_iter().map(|folder| {
        let id = FolderId(folder.id);
        if folder.removed.is_some() {
            return Change::Removed(id);
        }
        Change::Upsert(Folder {
            id,
            parent: folder.parent_folder_id.map(FolderId),
            name: folder.display_name.unwrap_or_default(),
            kind: mailkeep_model::FolderKind::Mail,
            well_known: None,
        })
    });
    Ok(Page { changes: changes.collect(), unread: Vec::new(), next })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_without_a_link_is_refused_instead_of_ending_the_synchronisation() {
        assert!(parse_folder_page(br#"{"value":[]}"#).is_err());
    }

    #[test]
    fn a_page_of_folders_is_read() {
        let body = br#"{"value":[{"id":"a","displayName":"A/B","parentFolderId":"r"},
            {"id":"b","@removed":{"reason":"deleted"}}],"@odata.deltaLink":"https://x/y"}"#;
        let page = parse_folder_page(body).unwrap();
        assert_eq!(page.changes[1], Change::Removed(FolderId("b".into())));
        let Change::Upsert(folder) = &page.changes[0] else { panic!("{:?}", page.changes[0]) };
        assert_eq!((folder.name.as_str(), page.changes.len()), ("A/B", 2));
        assert_eq!(page.next, Next::Done(Cursor("https://x/y".into())));
    }
}
