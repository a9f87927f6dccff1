//! Folders of every kind (<https://learn.microsoft.com/graph/api/resources/mailboxfolder>).

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{mailbox_id, path};
use crate::graph::Desk;
use crate::graph::answer::Answer;
use crate::graph::errors::GraphError;
use crate::graph::page::{Page, collection_at, single_at};
use crate::graph::plain_delta::{self, Told, removed, start};
use crate::graph::query::comparisons;
use crate::ids;
use crate::state::{MailboxState, NOTES, ROOT, WellKnown};

/// What stands for "all folders" in a cursor, and what is added for those below one.
const FOLDERS: u64 = 0x7fff_0000_0000_0400;
const BELOW: u64 = 0x0100_0000_0000_0000;
/// Properties of a folder; the schema of v1.0 has the first ones, the beta has all of them.
const PROPERTIES: &[&str] = &[
    "displayName",
    "parentFolderId",
    "childFolderCount",
    "totalItemCount",
    "type",
    "parentMailboxUrl",
    "wellKnownName",
];
const IN_V1: usize = 5;

/// What is kept in a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Mail,
    Calendar,
    Contacts,
    Tasks,
    Notes,
}

impl Kind {
    fn class(self) -> &'static str {
        match self {
            Self::Mail => "IPF.Note",
            Self::Calendar => "IPF.Appointment",
            Self::Contacts => "IPF.Contact",
            Self::Tasks => "IPF.Task",
            Self::Notes => "IPF.StickyNote",
        }
    }
}

/// A folder as this interface sees it.
pub(super) struct Seen {
    pub(super) number: u64,
    pub(super) kind: Kind,
    parent: u64,
    name: Box<str>,
    role: Option<&'static str>,
    items: usize,
    changed: u64,
    /// No list has it, but it can be named.
    hidden: bool,
    /// The mailbox in which it lies.
    mailbox: Uuid,
}

/// All folders of a mailbox, its root among them.
fn all(state: &MailboxState) -> Vec<Seen> {
    let mut found = Vec::new();
    for (number, folder) in &state.folders {
        found.push(Seen {
            number: *number,
            kind: Kind::Mail,
            parent: if *number == ROOT { 0 } else { folder.parent },
            name: folder.name.clone(),
            role: folder.well_known.map(WellKnown::as_str),
            items: folder.total as usize,
            changed: folder.changed,
            hidden: folder.is_hidden(),
            mailbox: state.mailbox,
        });
    }
    let calendars = &state.calendars;
    for (at, calendar) in calendars.list.iter().enumerate() {
        found.push(Seen {
            number: calendar.number,
            kind: Kind::Calendar,
            parent: ROOT,
            name: calendar.name.clone(),
            role: (at == 0).then_some("calendar"),
            items: calendars.events.values().filter(|e| e.calendar == calendar.number).count(),
            changed: calendar.changed.max(1),
            hidden: false,
            mailbox: state.mailbox,
        });
    }
    for (at, folder) in state.contacts.folders.iter().enumerate() {
        let items = state.contacts.items.values();
        found.push(Seen {
            number: folder.number,
            kind: Kind::Contacts,
            parent: folder.parent,
            name: folder.name.clone(),
            role: (at == 0).then_some("contacts"),
            items: items.filter(|contact| contact.place.folder == folder.number).count()
                + others(state, folder.number),
            changed: folder.changed,
            hidden: false,
            mailbox: state.mailbox,
        });
    }
    for list in state.settings.lists.iter().filter(|list| list.role != "flaggedEmails") {
        found.push(Seen {
            number: list.number,
            kind: Kind::Tasks,
            parent: ROOT,
            name: list.name.clone(),
            role: (list.role == "defaultList").then_some("tasks"),
            items: list.tasks.len(),
            changed: list.changed,
            hidden: false,
            mailbox: state.mailbox,
        });
    }
    found.push(Seen {
        number: NOTES,
        kind: Kind::Notes,
        parent: ROOT,
        name: "Notes".into(),
        role: Some("notes"),
        items: others(state, NOTES),
        changed: 1,
        hidden: false,
        mailbox: state.mailbox,
    });
    found
}

/// The folders of a mailbox, and those that it goes on with in another one.
fn everywhere(desk: &Desk<'_>, state: &MailboxState) -> Vec<Seen> {
    let mut found = all(state);
    if let Some(auxiliary) = desk.mailbox.auxiliary() {
        let there = auxiliary.read();
        for (change, number) in &state.elsewhere {
            let folder = all(&there).into_iter().find(|seen| seen.number == *number);
            found.extend(folder.map(|seen| Seen { changed: *change, ..seen }));
        }
    }
    found
}

/// Items in a folder that no interface of their own has.
fn others(state: &MailboxState, folder: u64) -> usize {
    state.others.items.values().filter(|other| other.folder == folder).count()
}

/// The folder that a URL names by id or role.
pub(super) fn find(state: &MailboxState, id: &str) -> Result<Seen, GraphError> {
    let number = ids::parse_folder_id(state.mailbox, id);
    let named = |seen: &Seen| match number {
        Some(number) => seen.number == number,
        None => seen.role.is_some_and(|role| role.eq_ignore_ascii_case(id)),
    };
    all(state).into_iter().find(named).ok_or_else(|| crate::graph::calendars::unknown(id))
}

/// `GET …/folders` and `…/childFolders`
pub(super) fn list(desk: &Desk<'_>, parent: Option<&str>) -> Result<Answer, GraphError> {
    desk.query.allow(&["$select", "$top", "$skip", "$filter", "$count"])?;
    let selection = select(desk)?;
    let kind = kind(desk.query.get("$filter"))?;
    let page = Page::of(desk)?;
    let state = desk.mailbox.read();
    let at = match parent {
        None => ROOT,
        Some(id) => find(&state, id)?.number,
    };
    let all = everywhere(desk, &state);
    let mut found: Vec<&Seen> = all
        .iter()
        .filter(|seen| seen.parent == at && !seen.hidden)
        .filter(|seen| kind.as_ref().is_none_or(|kind| seen.kind.class() == kind))
        .collect();
    found.sort_by_key(|seen| (seen.name.to_lowercase(), seen.number));
    let lines = found.iter().skip(page.skip).take(page.top);
    let lines =
        lines.map(|seen| Value::Object(shown(desk, &state, &all, seen, &selection))).collect();
    let path = match parent {
        None => path(desk, "folders"),
        Some(id) => path(desk, &format!("folders('{id}')/childFolders")),
    };
    Ok(collection_at(desk, &page, &path, &path, found.len(), lines))
}

/// `GET …/folders/{id}`
pub(super) fn show(desk: &Desk<'_>, id: &str) -> Result<Answer, GraphError> {
    desk.query.allow(&["$select"])?;
    let selection = select(desk)?;
    let state = desk.mailbox.read();
    let seen = find(&state, id)?;
    let members = shown(desk, &state, &all(&state), &seen, &selection);
    Ok(single_at(desk, &path(desk, "folders"), members, 200))
}

/// `GET …/folders/delta` and `…/childFolders/delta`
pub(super) fn changes(desk: &Desk<'_>, parent: Option<&str>) -> Result<Answer, GraphError> {
    let state = desk.mailbox.read();
    let below = parent.map(|id| find(&state, id)).transpose()?.map(|seen| seen.number);
    let number = below.map_or(FOLDERS, |number| BELOW ^ number);
    let start = start(desk, number, state.sequence)?;
    let all = everywhere(desk, &state);
    let is_below = |seen: &Seen| {
        below.is_none_or(|top| {
            let mut at = seen.parent;
            while at != top {
                match all.iter().find(|other| other.number == at) {
                    Some(other) => at = other.parent,
                    None => return false,
                }
            }
            true
        })
    };
    let mut lines: Vec<(u64, Value)> = all
        .iter()
        .filter(|seen| !seen.hidden && is_below(seen))
        .map(|seen| (seen.changed, Value::Object(shown(desk, &state, &all, seen, known(desk)))))
        .collect();
    let there = |number: u64| all.iter().any(|seen| seen.number == number);
    let logs = state.folder_log.iter().chain(&state.contacts.log).chain(&state.settings.gone);
    let gone = logs
        .map(|(change, (number, created))| (*change, *number, *created))
        .chain(state.calendars.lost.iter().map(|(change, number)| (*change, *number, 0)))
        .filter(|(change, number, created)| {
            !there(*number) && plain_delta::was_seen(&start, *change, *created)
        });
    lines.extend(
        gone.map(|(change, number, _)| (change, removed(&ids::folder_id(state.mailbox, number)))),
    );
    let path = match parent {
        None => path(desk, "folders/delta"),
        Some(id) => path(desk, &format!("folders/{id}/childFolders/delta")),
    };
    Ok(plain_delta::answer(
        desk,
        &start,
        Told { path: &path, kind: "mailboxFolder", lines, sequence: state.sequence },
    ))
}

fn shown(
    desk: &Desk<'_>,
    state: &MailboxState,
    all: &[Seen],
    seen: &Seen,
    selection: &[&str],
) -> Map<String, Value> {
    let id = |number| ids::folder_id(seen.mailbox, number);
    let mut members = Map::new();
    members.insert("@odata.type".into(), json!("#microsoft.graph.mailboxFolder"));
    members.insert("id".into(), json!(id(seen.number)));
    for name in selection {
        let value = match *name {
            "displayName" => json!(seen.name),
            "parentFolderId" => {
                json!((seen.parent != 0).then(|| ids::folder_id(state.mailbox, seen.parent)))
            }
            "parentMailboxUrl" => json!(desk.base.url(&format!(
                "admin/exchange/mailboxes/{}",
                mailbox_id(desk.tenant.id, seen.mailbox)
            ))),
            "childFolderCount" => {
                json!(all.iter().filter(|o| o.parent == seen.number && !o.hidden).count())
            }
            "totalItemCount" => json!(seen.items),
            "wellKnownName" => json!(seen.role),
            _ => json!(seen.kind.class()),
        };
        members.insert((*name).to_owned(), value);
    }
    members
}

/// The properties that there are in the version that is asked.
fn known(desk: &Desk<'_>) -> &'static [&'static str] {
    if desk.base.is_beta() { PROPERTIES } else { &PROPERTIES[..IN_V1] }
}

fn select(desk: &Desk<'_>) -> Result<Vec<&'static str>, GraphError> {
    let Some(select) = desk.query.get("$select") else { return Ok(known(desk).to_vec()) };
    let mut selection = Vec::new();
    for name in select.split(',').map(str::trim).filter(|name| !name.eq_ignore_ascii_case("id")) {
        let known = known(desk).iter().find(|known| known.eq_ignore_ascii_case(name));
        selection.push(*known.ok_or_else(|| {
            GraphError::bad_request(format!(
                "Could not find a property named '{name}' on type 'microsoft.graph.mailboxFolder'."
            ))
        })?);
    }
    Ok(selection)
}

/// `type eq '…'`
fn kind(filter: Option<&str>) -> Result<Option<String>, GraphError> {
    let Some(filter) = filter else { return Ok(None) };
    match comparisons(filter)?.as_slice() {
        [one] if one.property == "type" && one.operator == "eq" => Ok(Some(one.value.clone())),
        _ => Err(GraphError::new(
            400,
            "ErrorInvalidUrlQueryFilter",
            "The query filter contains one or more invalid nodes: only 'type eq' is supported.",
        )),
    }
}
