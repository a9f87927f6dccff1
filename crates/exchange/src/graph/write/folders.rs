//! Making folders, calendars and contact folders.

use mailkeep_model::{Folder, FolderId, FolderKind, Mailbox};
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::{CALENDARS, CONTACTS, MAIL, serialized};
use crate::{
    ExchangeError,
    graph::{
        client::{Ask, GraphProvider},
        refusal,
        wire::Collection,
    },
};

/// A folder of any kind.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    id: String,
    /// A calendar has `name`.
    #[serde(alias = "name")]
    display_name: Option<String>,
}

/// Makes a folder, or finds the one of this name. Calendars have no parents.
pub(in crate::graph) async fn create(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    kind: FolderKind,
    parent: Option<&FolderId>,
    name: &str,
) -> Result<Folder, ExchangeError> {
    let action = format!("{}: making the folder '{name}'", mailbox.address);
    let (all, property, right) = match kind {
        FolderKind::Mail => ("mailFolders", "displayName", MAIL),
        FolderKind::Calendar => ("calendars", "name", CALENDARS),
        FolderKind::Contacts => ("contactFolders", "displayName", CONTACTS),
        _ => return Err(ExchangeError::unsupported(action, "not a kind that Graph takes")),
    };
    let parent = parent.filter(|_| kind != FolderKind::Calendar);
    let mut path = vec!["users", &mailbox.id.0, all];
    if let Some(parent) = parent {
        path.extend([&parent.0, "childFolders"]);
    }
    let ask =
        |url| Ask { action: action.clone(), right, mailbox: Some(mailbox), url, prefer: None };
    let body = serialized(&json!({ property: name }));
    let made = ask(graph.url(&path, &[]));
    // Sent twice, it is refused the second time because the name is taken.
    let id = match graph.change(&made, Method::POST, Some(body)).await {
        Ok(answer) => serde_json::from_slice::<Told>(&answer).map_err(|error| {
            ExchangeError::protocol(&action, format!("not understood: {error}"))
        })?,
        Err(error) if refusal::is_name_taken(&error) => {
            let select = format!("id,{property}");
            let mut query = vec![("$select", select.as_str()), ("$top", "100")];
            if kind == FolderKind::Mail {
                query.push(("includeHiddenFolders", "true"));
            }
            let list = graph.url(&path, &query);
            find(graph, list, ask, name).await?.ok_or(error)?
        }
        Err(error) => return Err(error),
    }
    .id;
    Ok(Folder {
        id: FolderId(id),
        parent: parent.cloned(),
        name: name.to_owned(),
        kind,
        well_known: None,
    })
}

/// The folder of this name; else one whose name differs in case alone, which Exchange takes for
/// the same.
async fn find<'a>(
    graph: &GraphProvider,
    list: Url,
    ask: impl Fn(Url) -> Ask<'a>,
    name: &str,
) -> Result<Option<Told>, ExchangeError> {
    let mut similar = None;
    let mut next = Some(list);
    while let Some(url) = next {
        let ask = ask(url);
        let page: Collection<Told> = graph.json(&ask).await?;
        for folder in page.value {
            let told = folder.display_name.as_deref().unwrap_or_default();
            if told == name {
                return Ok(Some(folder));
            }
            if similar.is_none() && told.to_lowercase() == name.to_lowercase() {
                similar = Some(folder);
            }
        }
        next = page.next_link.map(|link| graph.link(&ask.action, &link)).transpose()?;
    }
    Ok(similar)
}
