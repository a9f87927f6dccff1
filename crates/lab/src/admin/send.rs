//! `POST /_lab/send`: somebody sends a message with a program of their own, which no application of
//! Graph takes part in.

use std::sync::Arc;

use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Refused, refused, unknown_mailbox};
use crate::clock;
use crate::ids;
use crate::lab::Shared;
use crate::seed::to_crlf;
use crate::state::{Core, SeedMessage, WellKnown};

/// A message, and whose mailboxes it is put into.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Send {
    tenant: Option<String>,
    /// Into whose sent items; absent: somebody outside sends it.
    from: Option<String>,
    /// Into whose inboxes.
    to: Vec<String>,
    /// The message as it is (RFC 5322).
    mime: String,
    /// When it arrives; the lab's clock when absent.
    received: Option<String>,
}

pub(super) fn run(shared: &Shared, wanted: &Send) -> Result<Value, Refused> {
    let tenant = shared.tenant(wanted.tenant.as_deref()).map_err(|error| refused(&error))?;
    let now = shared.clock.unix();
    let received = match &wanted.received {
        None => now,
        Some(text) => clock::parse_rfc3339(text)
            .ok_or((StatusCode::BAD_REQUEST, "received is not an RFC 3339 time".to_owned()))?
            .unix_timestamp(),
    };
    let from = wanted.from.iter().map(|address| (address, WellKnown::SentItems));
    let to = wanted.to.iter().map(|address| (address, WellKnown::Inbox));
    let mut places = Vec::new();
    for (address, role) in from.chain(to) {
        let mailbox = tenant.mailbox(address).ok_or_else(|| unknown_mailbox(address, tenant))?;
        places.push((mailbox, role));
    }
    let core = Arc::new(Core::parse(to_crlf(wanted.mime.as_bytes()), None));
    let gone = |error| (StatusCode::CONFLICT, format!("{error:?}"));
    let mut put = Vec::new();
    for (mailbox, role) in places {
        let mut state = mailbox.write();
        let folder = state.well_known(role);
        let folder = folder.ok_or((StatusCode::NOT_FOUND, "no such folder".to_owned()))?;
        let read = role == WellKnown::SentItems;
        let message = SeedMessage { read, ..SeedMessage::new(Arc::clone(&core)) };
        let item = state.add(folder, message, now).map_err(gone)?;
        state.change(item, now, |message| message.received = received).map_err(gone)?;
        put.push(json!({
            "mailbox": mailbox.address,
            "folder": ids::folder_id(mailbox.id, folder),
            "id": ids::immutable_id(mailbox.id, item),
        }));
    }
    Ok(json!({ "put": put }))
}
