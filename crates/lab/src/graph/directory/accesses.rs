//! Which messages a request has read, for the audit log.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use serde::Deserialize;

use crate::graph::answer::{Answer, Content};
use crate::graph::route::Route;
use crate::graph::{Call, header};
use crate::ids;
use crate::mail_audit::{Bind, Reader};
use crate::operation::Operation;
use crate::state::{MailboxState, ROOT};

/// Folders in each other, at most.
const DEEPEST: usize = 64;

/// A page of messages or items, of which only the ids matter.
#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    value: Vec<Line<'a>>,
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow, default, alias = "itemId")]
    id: Option<Cow<'a, str>>,
    #[serde(default, rename = "@removed")]
    removed: Option<serde::de::IgnoredAny>,
}

/// Writes down what was read.
pub(in crate::graph) fn note(call: &Call<'_>, answer: &Answer, peer: SocketAddr) {
    use Operation as Op;
    let (Some(grant), Some(mailbox)) = (&call.grant, &call.mailbox) else { return };
    let single = matches!(
        call.operation,
        Op::MessageShow
            | Op::MessageValue
            | Op::AttachmentsList
            | Op::AttachmentShow
            | Op::AttachmentValue
            | Op::ExchangeItem
    );
    let many = matches!(
        call.operation,
        Op::MessagesList
            | Op::MessagesDelta
            | Op::ExchangeItems
            | Op::ExchangeItemsDelta
            | Op::ExchangeExport
    );
    if answer.status != 200 || !(single || many) {
        return;
    }
    let settings = call.shared.entra.settings().mail_items_accessed;
    let counts = single || settings.lists || call.operation == Op::ExchangeExport;
    if !settings.licensed || !counts {
        return;
    }
    let mut items = Vec::new();
    if single {
        let path = &call.parts.uri.path()[1 + call.version.len()..];
        let route = Route::parse(&call.parts.method, path);
        let id = route.ok().and_then(|route| route.message().map(str::to_owned));
        items.extend(id.and_then(|id| ids::parse_item_id(mailbox.id, &id)));
    } else if let Content::Json(json) = &answer.content
        && let Ok(page) = serde_json::from_slice::<Page<'_>>(json)
    {
        let there = page.value.iter().filter(|line| line.removed.is_none());
        let ids = there.filter_map(|line| ids::parse_item_id(mailbox.id, line.id.as_deref()?));
        items.extend(ids);
    }
    let binds = {
        let state = mailbox.read();
        let mut paths = HashMap::new();
        let bind = |item: ids::ItemRef| bind(&state, &mut paths, item.item());
        items.into_iter().filter_map(bind).collect::<Vec<Bind>>()
    };
    if binds.is_empty() {
        return;
    }
    let reader = Reader {
        grant: Arc::clone(grant),
        address: peer.ip(),
        user_agent: header(&call.parts.headers, "user-agent").unwrap_or_default().into(),
        client_request_id: call.client_request_id.as_deref().map(Into::into),
    };
    let now = call.shared.clock.unix();
    grant.tenant.mail_audit.record(mailbox, &reader, binds, settings.most_records, now);
}

/// The access to an item, if that is a message which is still there.
fn bind(state: &MailboxState, paths: &mut HashMap<u64, Arc<str>>, item: u64) -> Option<Bind> {
    let message = state.messages.get(&item)?;
    let folder = message.place.folder;
    let path = paths.entry(folder).or_insert_with(|| path_of(state, folder));
    Some(Bind {
        item,
        folder,
        path: Arc::clone(path),
        message_id: message.core.message_id.clone().unwrap_or_default(),
        size: message.core.content.len() as u64,
    })
}

/// `\Inbox\Projects`
fn path_of(state: &MailboxState, folder: u64) -> Arc<str> {
    let mut names = Vec::new();
    let mut at = folder;
    while at != ROOT && names.len() < DEEPEST {
        let Some(folder) = state.folders.get(&at) else { break };
        names.push(&*folder.name);
        at = folder.parent;
    }
    names.iter().rev().map(|name| format!("\\{name}")).collect::<String>().into()
}
