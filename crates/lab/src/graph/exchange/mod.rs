//! A mailbox with folders and items of every kind, and items as streams
//! (<https://learn.microsoft.com/graph/mailbox-import-export-concept-overview>).

mod folders;
mod items;
mod stream;
mod transfer;

use std::sync::Arc;

use axum::http::Method;
use uuid::Uuid;

use super::Desk;
use super::answer::{Answer, Content};
use super::errors::GraphError;
use crate::ids;
use crate::operation::Operation;
use crate::state::{Mailbox, Tenant};
pub(crate) use items::search_key;
pub(crate) use transfer::{Imports, PATH as IMPORTS, serve as serve_import};

/// What a URL below `/admin/exchange/mailboxes/{id}` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Exchange {
    /// Those at the top, or below a folder.
    Folders(Option<String>),
    /// Of the mailbox, or below a folder.
    FoldersDelta(Option<String>),
    Folder(String),
    Items(String),
    ItemsDelta(String),
    Item(String, String),
    Export,
    ImportSession,
}

impl Exchange {
    pub(super) fn parse(words: &[&str]) -> Option<Self> {
        let is = |word: &str, name: &str| word.eq_ignore_ascii_case(name);
        match words {
            [one] if is(one, "exportItems") => Some(Self::Export),
            [one] if is(one, "createImportSession") => Some(Self::ImportSession),
            [one] if is(one, "folders") => Some(Self::Folders(None)),
            [one, two] if is(one, "folders") && is(two, "delta") => Some(Self::FoldersDelta(None)),
            [one, id, rest @ ..] if is(one, "folders") => Self::in_folder(id, rest),
            _ => None,
        }
    }

    fn in_folder(id: &str, words: &[&str]) -> Option<Self> {
        let is = |word: &str, name: &str| word.eq_ignore_ascii_case(name);
        let folder = id.to_owned();
        Some(match words {
            [] => Self::Folder(folder),
            [one] if is(one, "childFolders") => Self::Folders(Some(folder)),
            [one, two] if is(one, "childFolders") && is(two, "delta") => {
                Self::FoldersDelta(Some(folder))
            }
            [one, child, rest @ ..] if is(one, "childFolders") => {
                return Self::in_folder(child, rest);
            }
            [one] if is(one, "items") => Self::Items(folder),
            [one, two] if is(one, "items") && is(two, "delta") => Self::ItemsDelta(folder),
            [one, item] if is(one, "items") => Self::Item(folder, (*item).to_owned()),
            _ => return None,
        })
    }

    pub(super) fn operation(&self, method: &Method) -> Option<Operation> {
        use Operation as Op;
        let (wanted, operation) = match self {
            Self::Folders(_) => (Method::GET, Op::ExchangeFolders),
            Self::FoldersDelta(_) => (Method::GET, Op::ExchangeFoldersDelta),
            Self::Folder(_) => (Method::GET, Op::ExchangeFolder),
            Self::Items(_) => (Method::GET, Op::ExchangeItems),
            Self::ItemsDelta(_) => (Method::GET, Op::ExchangeItemsDelta),
            Self::Item(..) => (Method::GET, Op::ExchangeItem),
            Self::Export => (Method::POST, Op::ExchangeExport),
            Self::ImportSession => (Method::POST, Op::ExchangeImportSession),
        };
        (*method == wanted).then_some(operation)
    }

    /// Rights any one of which is enough.
    pub(super) fn need(&self) -> &'static [&'static str] {
        match self {
            Self::Folders(_) | Self::FoldersDelta(_) | Self::Folder(_) => {
                &["MailboxFolder.Read.All", "MailboxFolder.ReadWrite.All"]
            }
            Self::Items(_) | Self::ItemsDelta(_) | Self::Item(..) => &["MailboxItem.Read.All"],
            Self::Export => &["MailboxItem.Export.All", "MailboxItem.ImportExport.All"],
            Self::ImportSession => &["MailboxItem.ImportExport.All"],
        }
    }

    pub(super) fn folder(&self) -> Option<&str> {
        match self {
            Self::Folder(folder)
            | Self::Items(folder)
            | Self::ItemsDelta(folder)
            | Self::Item(folder, _) => Some(folder),
            Self::Folders(folder) | Self::FoldersDelta(folder) => folder.as_deref(),
            Self::Export | Self::ImportSession => None,
        }
    }

    pub(super) fn item(&self) -> Option<&str> {
        match self {
            Self::Item(_, item) => Some(item),
            _ => None,
        }
    }
}

/// Answers a request.
pub(super) fn answer(
    desk: &Desk<'_>,
    mailbox: &Arc<Mailbox>,
    what: &Exchange,
    body: &[u8],
) -> Result<Answer, GraphError> {
    if let Some(elsewhere) = elsewhere(desk, mailbox, what) {
        return Ok(elsewhere);
    }
    match what {
        Exchange::Folders(parent) => folders::list(desk, parent.as_deref()),
        Exchange::FoldersDelta(parent) => folders::changes(desk, parent.as_deref()),
        Exchange::Folder(id) => folders::show(desk, id),
        Exchange::Items(folder) => items::list(desk, folder),
        Exchange::ItemsDelta(folder) => items::changes(desk, folder),
        Exchange::Item(folder, id) => items::show(desk, folder, id),
        Exchange::Export => transfer::export(desk, body),
        Exchange::ImportSession => transfer::session(desk, mailbox),
    }
}

/// Where a folder lies that the archive goes on in another mailbox with: clients are sent there.
fn elsewhere(desk: &Desk<'_>, mailbox: &Mailbox, what: &Exchange) -> Option<Answer> {
    let (auxiliary, folder) = (mailbox.auxiliary()?, what.folder()?);
    ids::parse_folder_id(auxiliary.id, folder)?;
    let rest = match what {
        Exchange::Folders(_) => "/childFolders".to_owned(),
        Exchange::FoldersDelta(_) => "/childFolders/delta".to_owned(),
        Exchange::Items(_) => "/items".to_owned(),
        Exchange::ItemsDelta(_) => "/items/delta".to_owned(),
        Exchange::Item(_, item) => format!("/items/{item}"),
        Exchange::Folder(_) | Exchange::Export | Exchange::ImportSession => String::new(),
    };
    let there = mailbox_id(desk.tenant.id, auxiliary.id);
    let path = format!("admin/exchange/mailboxes/{there}/folders/{folder}{rest}");
    let location = Some(desk.base.url(&format!("{path}{}", desk.query.written())));
    Some(Answer { location, ..Answer::status(308, Content::Empty) })
}

/// The id of a mailbox.
pub(super) fn mailbox_id(tenant: Uuid, mailbox: Uuid) -> String {
    format!("MBX:{mailbox}@{tenant}")
}

/// The mailbox of an id. The address of its user is none.
pub(super) fn mailbox(tenant: &Tenant, id: &str) -> Result<Arc<Mailbox>, GraphError> {
    let malformed =
        || GraphError::new(400, "ErrorInvalidMailboxId", "The mailbox id is malformed.");
    let (mailbox, of) =
        id.strip_prefix("MBX:").and_then(|rest| rest.split_once('@')).ok_or_else(malformed)?;
    let (mailbox, of) = (Uuid::try_parse(mailbox), Uuid::try_parse(of));
    let (Ok(mailbox), Ok(of)) = (mailbox, of) else { return Err(malformed()) };
    let found = if of == tenant.id { tenant.mailbox_by_id(mailbox) } else { None };
    found.ok_or_else(|| {
        GraphError::new(404, "ErrorMailboxNotFound", "The mailbox is not in this organization.")
    })
}

/// Where answers say that they come from.
fn path(desk: &Desk<'_>, rest: &str) -> String {
    format!("admin/exchange/mailboxes/{}/{rest}", mailbox_id(desk.tenant.id, desk.mailbox.id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_where_the_documentation_says() {
        let parse = |path: &str| Exchange::parse(&path.split('/').collect::<Vec<_>>());
        assert_eq!(parse("folders"), Some(Exchange::Folders(None)));
        assert_eq!(
            parse("folders/a/childFolders/b/items/delta"),
            Some(Exchange::ItemsDelta("b".into()))
        );
        assert_eq!(
            parse("folders/a/childFolders/delta"),
            Some(Exchange::FoldersDelta(Some("a".into())))
        );
        assert_eq!(parse("exportItems"), Some(Exchange::Export));
        assert_eq!(parse("items"), None);
        assert_eq!(Exchange::Export.operation(&Method::GET), None);
    }
}
