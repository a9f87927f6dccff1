use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use mailkeep_model::{Mailbox, MailboxId};
use serde::Deserialize;

use super::Store;
use crate::{
    ExchangeError,
    graph::{
        client::{Ask, GraphProvider},
        refusal::is_foreign_id,
    },
};

/// The right that finding the stores of a user needs.
const SETTINGS: &str = "User.Read.All";

/// What Graph calls the stores of mailboxes; `None` for an archive that is not there.
#[derive(Default)]
pub(super) struct Stores(Mutex<HashMap<(MailboxId, Store), Option<String>>>);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Settings {
    primary_mailbox_id: Option<String>,
    /// Told by the beta alone.
    in_place_archive_mailbox_id: Option<String>,
}

/// What Graph calls a store. `None` for an archive that it does not tell of.
///
/// # Errors
/// [`ExchangeError::Unsupported`] where Graph does not tell of stores at all, or not of the mailbox
/// itself.
pub(in crate::graph) async fn store(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    store: Store,
) -> Result<Option<String>, ExchangeError> {
    let known = &graph.streams().stores.0;
    let key = (mailbox.id.clone(), store);
    if let Some(known) = known.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
        return Ok(known.clone());
    }
    let settings = settings(graph, mailbox, store).await?;
    let told = match store {
        Store::Primary => settings.primary_mailbox_id,
        Store::Archive => settings.in_place_archive_mailbox_id,
    };
    let told = told.filter(|id| !id.is_empty());
    if told.is_none() && store == Store::Primary {
        return Err(ExchangeError::unsupported(
            looking(mailbox),
            "Microsoft Graph does not tell what it calls the mailbox",
        ));
    }
    known.lock().unwrap_or_else(PoisonError::into_inner).insert(key, told.clone());
    Ok(told)
}

/// The same of a store that something is said to lie in.
///
/// # Errors
/// [`ExchangeError::Unsupported`], too, when it is switched off or not told of: nothing is known then
/// of what lies there.
pub(super) async fn told_store(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    lies_in: Store,
) -> Result<String, ExchangeError> {
    if !graph.extras().reads(lies_in) {
        let reason = "streams of this part of the mailbox are switched off";
        return Err(ExchangeError::unsupported(looking(mailbox), reason));
    }
    store(graph, mailbox, lies_in).await?.ok_or_else(|| {
        let reason = "Microsoft Graph does not tell of an archive";
        ExchangeError::unsupported(looking(mailbox), reason)
    })
}

fn looking(mailbox: &Mailbox) -> String {
    format!("{}: looking for the mailbox and its archive", mailbox.address)
}

/// Graph: `Get exchangeSettings`; of the archive, in the beta.
async fn settings(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    store: Store,
) -> Result<Settings, ExchangeError> {
    let action = looking(mailbox);
    let path = ["users", &mailbox.id.0, "settings", "exchange"];
    let url = match store {
        Store::Primary => graph.url(&path, &[]),
        Store::Archive => graph.beta_url(&path, &[]),
    };
    let ask =
        Ask { action: action.clone(), right: SETTINGS, mailbox: Some(mailbox), url, prefer: None };
    graph.json(&ask).await.map_err(|error| {
        if is_foreign_id(&error) || matches!(error, ExchangeError::Answer { status: 400, .. }) {
            ExchangeError::unsupported(
                action,
                "Microsoft Graph has no streams here (they are not in national clouds, nor for \
                 mailboxes that are not in Exchange Online)",
            )
        } else {
            error
        }
    })
}
