//! `POST /_lab/generate`: a mailbox with as many messages as a test wants.

use std::sync::Arc;

use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::kinds::Counts;
use super::{Refused, personal, refused};
use crate::lab::{self, Shared};
use crate::seed::Rng;
use crate::seed::generate::{self, Direction, Setting};
use crate::state::{ROOT, Source, WellKnown};

/// Most messages that one request makes.
const MOST_MESSAGES: usize = 2_000_000;
const MOST_FOLDERS: usize = 10_000;
/// Largest message.
pub(super) const LARGEST: usize = 1 << 30;
/// 2024-01-01T00:00:00Z: the first message; one follows every ten minutes or so.
const FIRST: i64 = 1_704_067_200;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Generate {
    tenant: Option<String>,
    /// Address or local part; made when there is none.
    mailbox: String,
    #[serde(default)]
    messages: usize,
    /// Beside the inbox; 0 puts everything there.
    #[serde(default)]
    folders: usize,
    #[serde(default)]
    seed: u64,
    /// Average size of a message.
    #[serde(default = "four_kilobytes")]
    bytes: usize,
    #[serde(default)]
    events: usize,
    /// Size of the files that are attached to each event together; 0 for none but those that some have anyway.
    #[serde(default)]
    event_bytes: usize,
    #[serde(default)]
    contacts: usize,
    /// So many messages, events and contacts each carry a property of another program.
    #[serde(default)]
    foreign_properties: usize,
    /// The senders of so many messages ask for a read receipt.
    #[serde(default)]
    read_receipts: usize,
    #[serde(flatten)]
    others: Counts,
}

fn four_kilobytes() -> usize {
    4096
}

pub(super) fn run(shared: &Shared, wanted: &Generate) -> Result<Value, Refused> {
    let bad = |text: String| (StatusCode::BAD_REQUEST, text);
    let bytes = wanted.bytes.max(wanted.event_bytes);
    if wanted.messages > MOST_MESSAGES || wanted.folders > MOST_FOLDERS || bytes > LARGEST {
        return Err(bad(format!(
            "at most {MOST_MESSAGES} messages, {MOST_FOLDERS} folders and {LARGEST} bytes a message"
        )));
    }
    let tenant = shared.tenant(wanted.tenant.as_deref()).map_err(|error| refused(&error))?;
    let name = wanted.mailbox.to_lowercase();
    let mailbox = match tenant.mailbox(&name) {
        Some(mailbox) => mailbox,
        None => {
            let local = name.strip_suffix(&format!("@{}", tenant.domain)).unwrap_or(&name);
            if local.is_empty() || local.contains(['@', '/', ' ']) {
                return Err(bad(format!("'{name}' is no address of {}", tenant.domain)));
            }
            let new = lab::mailbox(tenant, local, local.to_owned(), Source::Empty, shared.session);
            tenant.add_mailbox(new)
        }
    };
    let colleagues: Vec<(Arc<str>, String)> = tenant
        .mailboxes()
        .iter()
        .filter(|other| other.id != mailbox.id)
        .take(50)
        .map(|other| (Arc::clone(&other.address), other.display_name.clone()))
        .collect();
    let setting = Setting {
        owner: &mailbox.address,
        owner_name: &mailbox.display_name,
        colleagues: &colleagues,
    };
    let mut rng = Rng::new(wanted.seed);
    let mut state = mailbox.write();
    let no_inbox = || (StatusCode::INTERNAL_SERVER_ERROR, "the mailbox has no inbox".to_owned());
    let mut folders = vec![state.well_known(WellKnown::Inbox).ok_or_else(no_inbox)?];
    for number in 0..wanted.folders {
        // Every third one lies in the one before it.
        let parent = if number % 3 == 2 { folders[number] } else { ROOT };
        let name = format!("Folder {:04}", number + 1);
        let folder = match state.child(parent, &name) {
            Some(folder) => folder,
            None => state.create_folder(parent, &name).map_err(|_| no_inbox())?,
        };
        folders.push(folder);
    }
    if folders.len() > 1 {
        folders.remove(0);
    }
    let mut bytes = 0;
    for number in 0..wanted.messages {
        // Half to one and a half of the average.
        let size = wanted.bytes / 2 + rng.below(wanted.bytes.max(1));
        let direction = Direction::any(&mut rng);
        let received = FIRST + 600 * number as i64 + rng.below(600) as i64;
        let message = generate::message(&mut rng, &setting, direction, received, size);
        bytes += message.core.content.len();
        let folder = folders[number % folders.len()];
        state.add(folder, message, received).map_err(|_| no_inbox())?;
    }
    let counts = (wanted.events, wanted.contacts);
    personal::generate(&mut state, &mut rng, &setting, counts, FIRST)?;
    personal::attach(&mut state, &mut rng, wanted.event_bytes, FIRST);
    personal::put_properties(&mut state, wanted.foreign_properties);
    personal::ask_for_receipts(&mut state, wanted.read_receipts);
    drop(state);
    let others = wanted.others.make(&mailbox, &mut rng, FIRST)?;
    Ok(json!({
        "tenant": tenant.id,
        "mailbox": mailbox.address,
        "id": mailbox.id,
        "folders": folders.len(),
        "messages": wanted.messages,
        "bytes": bytes,
        "events": wanted.events,
        "contacts": wanted.contacts,
        "others": others,
    }))
}
