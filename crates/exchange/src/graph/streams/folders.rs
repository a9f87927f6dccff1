use std::collections::{HashMap, HashSet};

use mailkeep_model::{Folder, FolderId, FolderKind, Mailbox, WellKnownFolder};
use serde::Deserialize;

use super::{ARCHIVE, FOLDERS_READ, GROUP, GROUPS, ITEMS_READ, Spot, Store, store};
use crate::{
    ExchangeError,
    graph::{
        calendar::found,
        client::{Ask, GraphProvider},
        pages::all_pages,
        wire_outlook::{Identified, Listing},
    },
};

/// What the folder of contact groups is called.
pub(in crate::graph) const GROUPS_NAME: &str = "Contact groups";
const ARCHIVE_NAME: &str = "In-Place Archive";

/// Classes of folders that other interfaces describe item by item.
const DESCRIBED: [&str; 4] = ["IPF.Note", "IPF.Appointment", "IPF.Contact", "IPF.Task"];
/// Classes of folders in which programs keep what is no user's: settings, caches, copies of chats.
const OF_PROGRAMS: [&str; 5] =
    ["IPF.Configuration", "IPF.StoreItem", "IPF.SkypeTeams", "IPF.ShortcutFolder", "IPF.Files"];
const NOTES_CLASS: &str = "IPF.StickyNote";
/// The folder of searches, whose results are items that lie elsewhere.
const SEARCHES: &str = "searchfolders";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    id: String,
    display_name: Option<String>,
    parent_folder_id: Option<String>,
    #[serde(rename = "type")]
    class: Option<String>,
    total_item_count: Option<u64>,
    /// Its role. The schema of v1.0 does not have it, its examples do.
    well_known_name: Option<String>,
}

/// The folders of which streams are read.
pub(in crate::graph) async fn folders(
    graph: &GraphProvider,
    mailbox: &Mailbox,
) -> Result<Vec<Folder>, ExchangeError> {
    let mut all = Vec::new();
    if graph.extras().streams
        && let Some(id) = store(graph, mailbox, Store::Primary).await?
    {
        let told = listed(graph, mailbox, &id).await?;
        all.extend(opaque(&told));
        for folder in told.iter().filter(|folder| folder.class.as_deref() == Some("IPF.Contact")) {
            if has_groups(graph, mailbox, &id, &folder.id).await? {
                all.push(groups_of(&folder.id));
            }
        }
    }
    if graph.extras().archive
        && let Some(id) = store(graph, mailbox, Store::Archive).await?
    {
        all.extend(archive(listed(graph, mailbox, &id).await?));
    }
    Ok(all)
}

/// All folders of a store in which items of streams can be, and how many each holds; zero where that
/// is not told.
pub(super) async fn places_in(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    lies_in: Store,
    store: &str,
) -> Result<Vec<(FolderId, u64)>, ExchangeError> {
    let told = listed(graph, mailbox, store).await?;
    let counts = told.iter().filter_map(|one| Some((one.id.clone(), one.total_item_count?)));
    let counts: HashMap<String, u64> = counts.collect();
    let folders = match lies_in {
        Store::Archive => archive(told),
        Store::Primary => {
            let contacts = told.iter().filter(|one| one.class.as_deref() == Some("IPF.Contact"));
            let groups = contacts.map(|folder| groups_of(&folder.id));
            opaque(&told).into_iter().chain(groups).collect()
        }
    };
    let counted = folders.into_iter().filter_map(|folder| {
        let spot = Spot::of(&folder.id)?;
        // Of contacts, only groups are listed.
        let count = counts.get(spot.folder).filter(|_| !spot.groups).copied();
        Some((folder.id, count.unwrap_or_default()))
    });
    Ok(counted.collect())
}

/// The folder of the contact groups in a contact folder.
pub(in crate::graph) fn groups_of(contacts: &str) -> Folder {
    Folder {
        id: FolderId(format!("{GROUPS}{contacts}")),
        parent: Some(FolderId(contacts.to_owned())),
        name: GROUPS_NAME.to_owned(),
        kind: FolderKind::Opaque,
        well_known: None,
    }
}

/// Graph: `mailboxFolder: delta` from the beginning, which is the flat list of all folders.
async fn listed(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    store: &str,
) -> Result<Vec<Told>, ExchangeError> {
    let path = ["admin", "exchange", "mailboxes", store, "folders", "delta"];
    let ask = Ask {
        action: format!("{}: listing folders of every kind", mailbox.address),
        right: FOLDERS_READ,
        mailbox: Some(mailbox),
        url: graph.url(&path, &[]),
        prefer: Some("odata.maxpagesize=200".into()),
    };
    all_pages(graph, ask).await
}

/// Whether there is a contact group among the contacts of a folder.
async fn has_groups(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    store: &str,
    folder: &str,
) -> Result<bool, ExchangeError> {
    let path = ["admin", "exchange", "mailboxes", store, "folders", folder, "items"];
    let only = format!("type eq '{GROUP}'");
    let ask = Ask {
        action: format!("{}: looking for contact groups", mailbox.address),
        right: ITEMS_READ,
        mailbox: Some(mailbox),
        url: graph.url(&path, &[("$filter", &only), ("$select", "id"), ("$top", "1")]),
        prefer: None,
    };
    let page = found(graph.json::<Listing<Identified>>(&ask).await)?;
    Ok(page.is_some_and(|page| page.value.iter().any(|one| !one.id.is_empty())))
}

/// The folders of a mailbox that no other interface describes.
fn opaque(told: &[Told]) -> Vec<Folder> {
    // The root is not listed.
    let known: HashSet<&str> = told.iter().map(|folder| folder.id.as_str()).collect();
    let mut seen = HashSet::new();
    let mut role = Some(WellKnownFolder::Notes);
    let is_opaque = |folder: &&Told| {
        let class = folder.class.as_deref().unwrap_or_default();
        let is_in = |classes: &[&str]| classes.iter().any(|known| is_of_class(class, known));
        !class.is_empty() && !is_in(&DESCRIBED) && !is_in(&OF_PROGRAMS)
    };
    let chosen = told.iter().filter(is_opaque).filter(|folder| seen.insert(&folder.id));
    let chosen = chosen.map(|folder| {
        let parent = folder.parent_folder_id.as_deref().filter(|id| known.contains(id));
        let has_role = match folder.well_known_name.as_deref() {
            Some(role) => role == "notes",
            // Others are made by people, below it or elsewhere.
            None => folder.class.as_deref() == Some(NOTES_CLASS) && parent.is_none(),
        };
        Folder {
            id: FolderId(folder.id.clone()),
            parent: parent.map(|id| FolderId(id.to_owned())),
            name: folder.display_name.clone().unwrap_or_default(),
            kind: FolderKind::Opaque,
            well_known: role.take_if(|_| has_role),
        }
    });
    chosen.collect()
}

/// A class, or one that is derived from it (`IPF.Note.OutlookHomepage`).
fn is_of_class(class: &str, known: &str) -> bool {
    let rest = class.get(known.len()..);
    let same = class.get(..known.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(known));
    same && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// The folders of an archive, below one that stands for it.
fn archive(told: Vec<Told>) -> Vec<Folder> {
    let root = FolderId(ARCHIVE.to_owned());
    let ours = |id: &str| FolderId(format!("{ARCHIVE}{id}"));
    let of_searches: HashSet<String> = below(&told, SEARCHES);
    let known: HashSet<String> = told.iter().map(|folder| folder.id.clone()).collect();
    let top = Folder {
        id: root.clone(),
        parent: None,
        name: ARCHIVE_NAME.to_owned(),
        kind: FolderKind::Opaque,
        well_known: Some(WellKnownFolder::Archive),
    };
    let mut seen = HashSet::new();
    let rest = told
        .into_iter()
        .filter(|folder| !of_searches.contains(&folder.id) && seen.insert(folder.id.clone()));
    let rest = rest.map(|folder| {
        let parent = folder.parent_folder_id.filter(|id| known.contains(id) && *id != folder.id);
        Folder {
            parent: Some(parent.map_or_else(|| root.clone(), |id| ours(&id))),
            id: ours(&folder.id),
            name: folder.display_name.unwrap_or_default(),
            kind: FolderKind::Opaque,
            well_known: None,
        }
    });
    std::iter::once(top).chain(rest.collect::<Vec<_>>()).collect()
}

/// A folder with a role and all below it.
fn below(told: &[Told], role: &str) -> HashSet<String> {
    let with_role = told.iter().filter(|folder| folder.well_known_name.as_deref() == Some(role));
    let mut all: HashSet<String> = with_role.map(|folder| folder.id.clone()).collect();
    loop {
        let more: Vec<_> = told
            .iter()
            .filter(|folder| !all.contains(&folder.id))
            .filter(|folder| folder.parent_folder_id.as_ref().is_some_and(|id| all.contains(id)))
            .map(|folder| folder.id.clone())
            .collect();
        if more.is_empty() {
            return all;
        }
        all.extend(more);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(folders: &serde_json::Value) -> Vec<Told> {
        serde_json::from_value(folders.clone()).unwrap()
    }

    #[test]
    fn notes_are_read_as_streams_and_mail_and_program_data_are_not() {
        let folder = |id: &str, class: &str, role: Option<&str>, parent: &str| {
            json!({"id": id, "displayName": id, "type": class, "wellKnownName": role,
                "parentFolderId": parent})
        };
        let all = told(&json!([
            folder("in", "IPF.Note", Some("inbox"), "root"),
            folder("home", "IPF.Note.OutlookHomepage", None, "root"),
            folder("notes", "IPF.StickyNote", Some("notes"), "root"),
            folder("journal", "IPF.Journal", Some("journal"), "in"),
            folder("quick", "IPF.Contact.MOC.QuickContacts", None, "root"),
            folder("team", "IPF.SkypeTeams.Message", None, "root"),
            folder("none", "", None, "root"),
            folder("notes", "IPF.StickyNote", Some("notes"), "root"),
            folder("near", "IPF.Notebook", None, "root"),
        ]));
        let folders = opaque(&all);
        let ids: Vec<_> = folders.iter().map(|folder| folder.id.0.as_str()).collect();
        assert_eq!(ids, ["notes", "journal", "near"]);
        assert_eq!(
            (folders[0].well_known, &folders[0].parent),
            (Some(WellKnownFolder::Notes), &None)
        );
        assert_eq!(folders[1].parent, Some(FolderId("in".into())));
        let bare = told(&json!([
            {"id": "n", "type": "IPF.StickyNote", "parentFolderId": "root"},
            {"id": "m", "type": "IPF.StickyNote", "parentFolderId": "n"},
        ]));
        let roles: Vec<_> = opaque(&bare).into_iter().map(|folder| folder.well_known).collect();
        assert_eq!(roles, [Some(WellKnownFolder::Notes), None]);
    }

    #[test]
    fn the_archive_is_a_tree_of_its_own_without_the_results_of_searches() {
        let all = told(&json!([
            {"id": "a", "displayName": "A", "type": "IPF.Note", "parentFolderId": "root"},
            {"id": "b", "displayName": "B", "parentFolderId": "a"},
            {"id": "s", "wellKnownName": "searchfolders", "parentFolderId": "root"},
            {"id": "t", "displayName": "Unread", "parentFolderId": "s"},
            {"id": "self", "parentFolderId": "self"},
        ]));
        let folders = archive(all);
        let shape: Vec<_> = folders
            .iter()
            .map(|folder| (folder.id.0.as_str(), folder.parent.as_ref().map(|id| id.0.as_str())))
            .collect();
        assert_eq!(
            shape,
            [
                ("archive:", None),
                ("archive:a", Some("archive:")),
                ("archive:b", Some("archive:a")),
                ("archive:self", Some("archive:")),
            ]
        );
        assert_eq!(folders[0].well_known, Some(WellKnownFolder::Archive));
    }
}
