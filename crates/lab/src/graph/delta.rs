//! `messages/delta` and `mailFolders/delta`
//! (<https://learn.microsoft.com/graph/delta-query-messages>).

use super::answer::Answer;
use super::cursor::Cursor;
use super::errors::GraphError;
use super::json::Json;
use super::paging::DeltaPage;
use super::query::{self, Query};
use super::render::{self, View};
use super::select::{Expand, Selection};
use super::{Desk, folders as folder};
use crate::state::{Entry, FolderChange, MailboxState, MessageChange};
use crate::{clock, ids};

/// Changes on a page when nobody asks for more, and at most.
const PAGE: usize = 10;
const LARGEST_PAGE: usize = 1000;

/// `GET …/mailFolders/{id}/messages/delta`
pub(super) fn messages(desk: &Desk<'_>, folder_name: &str) -> Result<Answer, GraphError> {
    let state = desk.mailbox.read();
    let number = folder::find(&state, folder_name)?;
    let start = match resumed(desk, number)? {
        Some(cursor) => cursor,
        None => {
            const OPTIONS: &[&str] =
                &["$select", "$top", "$filter", "$expand", "$orderby", "changetype"];
            desk.query.allow(OPTIONS)?;
            refuse_unsupported(desk.query)?;
            let expand = Expand::parse(desk.query.get("$expand"))?;
            if expand.attachments {
                return Err(GraphError::bad_request(
                    "The query specified in the URI is not valid: 'attachments' cannot be expanded in a delta query.",
                ));
            }
            Cursor {
                selection: Selection::message(desk.query.get("$select"))?.bits,
                extended: expand.extended,
                received_from: desk.query.get("$filter").map(received_from).transpose()?,
                top: desk.query.number("$top", 1..=LARGEST_PAGE)?,
                ..first(desk, number, state.sequence)
            }
        }
    };
    let expand = Expand { extended: start.extended.clone(), attachments: false };
    let view = View {
        mailbox: state.mailbox,
        selection: Selection::message_bits(start.selection),
        expand: &expand,
        prefer: desk.prefer,
        typed: true,
        beta: desk.base.is_beta(),
    };
    let page = message_page(desk, &state, number, &start);
    let path = format!(
        "users/{}/mailFolders('{}')/messages/delta",
        desk.mailbox.id,
        ids::folder_id(state.mailbox, number)
    );
    let mut json = Json::with_capacity(256 + page.lines.len() * 700);
    json.object(|json| {
        let of = format!("Collection(message){}", view.selection.context());
        json.member("@odata.context", &desk.base.context(&of));
        links(json, desk, &path, &start, &page);
        json.key("value").array(|json| {
            for (_, change) in &page.lines {
                match change {
                    MessageChange::Present { item, message } => {
                        json.object(|json| render::message(json, &view, *item, message));
                    }
                    MessageChange::Gone { item, location, moved } => json.object(|json| {
                        render::removed_message(json, &view, *item, *location, *moved);
                    }),
                }
            }
        });
    });
    Ok(Answer { preference_applied: desk.prefer.applied(), ..Answer::json(json.finish()) })
}

/// `GET …/mailFolders/delta`
pub(super) fn folders(desk: &Desk<'_>) -> Result<Answer, GraphError> {
    let state = desk.mailbox.read();
    let start = match resumed(desk, 0)? {
        Some(cursor) => cursor,
        None => {
            desk.query.allow(&["$select", "$top"])?;
            Cursor {
                selection: Selection::folder(desk.query.get("$select"))?.bits,
                top: desk.query.number("$top", 1..=LARGEST_PAGE)?,
                ..first(desk, 0, state.sequence)
            }
        }
    };
    let selection = Selection::folder_bits(start.selection);
    let page = folder_page(desk, &state, &start);
    let path = format!("users/{}/mailFolders/delta", desk.mailbox.id);
    let mut json = Json::with_capacity(256 + page.lines.len() * 400);
    json.object(|json| {
        let of = format!("Collection(mailFolder){}", selection.context());
        json.member("@odata.context", &desk.base.context(&of));
        links(json, desk, &path, &start, &page);
        json.key("value").array(|json| {
            for (_, change) in &page.lines {
                json.object(|json| {
                    json.member("@odata.type", "#microsoft.graph.mailFolder");
                    match change {
                        FolderChange::Present { number, folder } => {
                            render::folder(json, &state, selection, *number, folder);
                        }
                        FolderChange::Gone { number } => {
                            json.member("id", &ids::folder_id(state.mailbox, *number));
                            json.key("@removed").object(|json| json.member("reason", "deleted"));
                        }
                    }
                });
            }
        });
    });
    Ok(Answer::json(json.finish()))
}

/// The cursor of a nextLink or deltaLink; nothing else may stand beside its token.
pub(super) fn resumed(desk: &Desk<'_>, folder: u64) -> Result<Option<Cursor>, GraphError> {
    for (name, skip) in [("$skiptoken", true), ("$deltatoken", false)] {
        if let Some(token) = desk.query.get(name) {
            desk.query.allow(&[name])?;
            let sealer = &desk.shared.sealer;
            return sealer.open(token, desk.mailbox.id, folder, skip, desk.now).map(Some);
        }
    }
    Ok(None)
}

/// A round that begins now.
pub(super) fn first(desk: &Desk<'_>, folder: u64, sequence: u64) -> Cursor {
    Cursor {
        mailbox: desk.mailbox.id,
        folder,
        floor: sequence,
        issued: desk.now,
        ..Cursor::default()
    }
}

fn message_page<'s>(
    desk: &Desk<'_>,
    state: &'s MailboxState,
    folder: u64,
    start: &Cursor,
) -> DeltaPage<MessageChange<'s>> {
    let size = page_size(desk, start);
    // What was held back and has changed since is told as that change.
    let held = |change: &u64| match state.folders.get(&folder)?.by_change.get(change)? {
        Entry::Here { item } => {
            let message = state.messages.get(item)?;
            Some((Some(*change), MessageChange::Present { item: *item, message }))
        }
        Entry::Gone { .. } => None,
    };
    let mut lines: Vec<_> = start.held.iter().take(size).filter_map(held).collect();
    let due = lines.len();
    let (changes, position, more) =
        state.message_changes(folder, start.position, start.floor, size - due, desk.prefer.ids);
    let wanted = |change: &MessageChange<'_>| match change {
        MessageChange::Present { message, .. } => {
            start.received_from.is_none_or(|from| message.received >= from)
        }
        MessageChange::Gone { .. } => true,
    };
    lines.extend(changes.into_iter().filter(wanted).map(|change| match &change {
        MessageChange::Present { message, .. } => (Some(message.changed), change),
        MessageChange::Gone { .. } => (None, change),
    }));
    finished(desk, start, DeltaPage { lines, ..unfinished(start, size, position, more) }, due)
}

fn folder_page<'s>(
    desk: &Desk<'_>,
    state: &'s MailboxState,
    start: &Cursor,
) -> DeltaPage<FolderChange<'s>> {
    let size = page_size(desk, start);
    let held = |change: &u64| {
        let (number, folder) = state.folders.iter().find(|(_, f)| f.changed == *change)?;
        Some((Some(*change), FolderChange::Present { number: *number, folder }))
    };
    let mut lines: Vec<_> = start.held.iter().take(size).filter_map(held).collect();
    let due = lines.len();
    let (changes, position, more) = state.folder_changes(start.position, start.floor, size - due);
    lines.extend(changes.into_iter().map(|change| match &change {
        FolderChange::Present { folder, .. } => (Some(folder.changed), change),
        FolderChange::Gone { .. } => (None, change),
    }));
    finished(desk, start, DeltaPage { lines, ..unfinished(start, size, position, more) }, due)
}

/// A page without lines. What was held back beyond its size waits for the next one.
pub(super) fn unfinished<T>(
    start: &Cursor,
    size: usize,
    position: u64,
    more: bool,
) -> DeltaPage<T> {
    DeltaPage {
        lines: Vec::new(),
        position,
        more: more || start.held.len() > size,
        held: start.held.iter().skip(size).copied().collect(),
        held_for_next_round: start.held_for_next_round.clone(),
        again: false,
        circle: false,
    }
}

pub(super) fn finished<T>(
    desk: &Desk<'_>,
    start: &Cursor,
    mut page: DeltaPage<T>,
    due: usize,
) -> DeltaPage<T> {
    page.falsify(desk, due, start.again);
    page
}

fn links<T>(json: &mut Json, desk: &Desk<'_>, path: &str, start: &Cursor, page: &DeltaPage<T>) {
    let (name, link) = link(desk, path, start, page);
    json.member(name, &link);
}

/// The name of the link at the end of a page, and the link.
pub(super) fn link<T>(
    desk: &Desk<'_>,
    path: &str,
    start: &Cursor,
    page: &DeltaPage<T>,
) -> (&'static str, String) {
    let next = if page.circle {
        Cursor { skip: true, ..start.clone() }
    } else if page.again {
        Cursor { skip: true, again: true, issued: desk.now, ..start.clone() }
    } else {
        let mut held = page.held.clone();
        let mut held_for_next_round = page.held_for_next_round.clone();
        if !page.more {
            held.append(&mut held_for_next_round);
        }
        Cursor {
            skip: page.more,
            again: false,
            position: page.position,
            // Once a round has ended, everything that is gone and was there has been passed.
            floor: if page.more { start.floor } else { 0 },
            held,
            held_for_next_round,
            issued: desk.now,
            ..start.clone()
        }
    };
    let token = desk.shared.sealer.seal(&next);
    let (name, option) = if next.skip {
        ("@odata.nextLink", "$skiptoken")
    } else {
        ("@odata.deltaLink", "$deltatoken")
    };
    (name, desk.base.url(&format!("{path}?{option}={token}")))
}

pub(super) fn page_size(desk: &Desk<'_>, start: &Cursor) -> usize {
    desk.prefer.page.or(start.top).unwrap_or(PAGE).min(LARGEST_PAGE)
}

/// The two forms of a first request that Exchange documents, no others.
fn refuse_unsupported(query: &Query) -> Result<(), GraphError> {
    let order = query.get("$orderby").map(str::to_lowercase);
    if order.is_some_and(|order| order != "receiveddatetime desc") {
        return Err(GraphError::bad_request("Only $orderby=receivedDateTime desc is supported."));
    }
    if query.get("changetype").is_some() {
        return Err(GraphError::bad_request("The query parameter 'changeType' is not supported."));
    }
    Ok(())
}

fn received_from(filter: &str) -> Result<i64, GraphError> {
    let refuse = || {
        GraphError::bad_request(
            "Only $filter=receivedDateTime ge {value} or gt {value} is supported.",
        )
    };
    match query::comparisons(filter)?.as_slice() {
        [one] if one.property == "receivedDateTime" => {
            let at = clock::parse_rfc3339(&one.value).ok_or_else(refuse)?.unix_timestamp();
            match one.operator.as_str() {
                "ge" => Ok(at),
                "gt" => Ok(at + 1),
                _ => Err(refuse()),
            }
        }
        _ => Err(refuse()),
    }
}
