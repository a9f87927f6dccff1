//! Which of a directory's users a selection means.
//!
//! Sources: the Graph reference pages `List group transitive members`, `List groups`, `List users`,
//! `mailboxSettings`; "Advanced query capabilities on directory objects".

use std::collections::HashSet;

use mailkeep_model::{
    Directory, DirectoryUser, Home, Mailbox, MailboxId, MailboxKind, MailboxSelection, Named,
};
use serde::Deserialize;
use tokio::task::JoinSet;

use super::{
    client::{Ask, GraphProvider},
    directory::{PAGE, READ_USERS, ask, follow},
    pages::all_pages,
    wire_outlook::Identified,
};
use crate::{ExchangeError, Selected};

/// Mailboxes that are asked at the same time what they are for.
const KINDS_AT_ONCE: usize = 16;
/// Graph's advanced queries want this beside a header, which the client adds.
const ADVANCED: (&str, &str) = ("$count", "true");

const READ_MEMBERS: &str = "GroupMember.Read.All";
const READ_SETTINGS: &str = "MailboxSettings.Read";

/// See [`crate::Provider::discover`].
pub(super) async fn discover(
    graph: &GraphProvider,
    selection: &MailboxSelection,
    directory: &mut Directory,
) -> Result<Selected, ExchangeError> {
    match follow(graph, directory).await {
        Err(ExchangeError::CursorExpired { .. }) => {
            tracing::info!("the directory's cursor has expired; it is read anew and compared");
            directory.restart();
            follow(graph, directory).await?;
        }
        followed => followed?,
    }
    let members = members(graph, selection).await?;
    let mut chosen = Vec::new();
    let mut doubtful = Vec::new();
    for user in directory.users() {
        let named = selection.of_address(&user.mailbox.address);
        let is_elsewhere =
            user.home == Home::Elsewhere && !directory.is_backed_up(&user.mailbox.id);
        let is_member = || members.as_ref().is_none_or(|ids| ids.contains(&user.mailbox.id));
        match named {
            Named::In => chosen.push(user.mailbox.clone()),
            Named::Out => {}
            Named::Not if is_elsewhere || !is_member() => {}
            Named::Not if selection.kinds.is_empty() => chosen.push(user.mailbox.clone()),
            Named::Not => match user.kind {
                Some(kind) if selection.kinds.contains(&kind) => chosen.push(user.mailbox.clone()),
                Some(_) => {}
                None => doubtful.push(user.clone()),
            },
        }
    }
    let unclear = ask_kinds(graph, &doubtful, directory).await?;
    for user in doubtful {
        // What is known now; of the others, those that were backed up.
        let kind = directory.user(&user.mailbox.id).and_then(|user| user.kind);
        let is_in = kind.map_or_else(
            || directory.is_backed_up(&user.mailbox.id),
            |kind| selection.kinds.contains(&kind),
        );
        if is_in {
            chosen.push(user.mailbox);
        }
    }
    chosen.sort_by(|a, b| (&a.address, &a.id).cmp(&(&b.address, &b.id)));
    Ok(Selected { mailboxes: chosen, unclear })
}

/// Whom groups and filter leave; `None`: there are none, and everybody is left.
async fn members(
    graph: &GraphProvider,
    selection: &MailboxSelection,
) -> Result<Option<HashSet<MailboxId>>, ExchangeError> {
    let ids = |found: Vec<Identified>| found.into_iter().map(|one| MailboxId(one.id));
    let mut left: Option<HashSet<MailboxId>> = None;
    if !selection.groups.is_empty() {
        let mut all = HashSet::new();
        for name in &selection.groups {
            let group = group(graph, name).await?;
            // Groups and devices among them have ids that no user has.
            let segments = ["groups", &group, "transitiveMembers"];
            let url = graph.url(&segments, &[("$select", "id"), ("$top", PAGE)]);
            let action = format!("listing the members of the group '{name}'");
            let found = all_pages(graph, ask(action, READ_MEMBERS, url)).await;
            all.extend(ids(found.map_err(|error| no_group(graph, name, error))?));
        }
        left = Some(all);
    }
    if let Some(filter) = &selection.filter {
        let query = [("$filter", filter.as_str()), ("$select", "id"), ("$top", PAGE), ADVANCED];
        let action = format!("selecting mailboxes by the filter \"{filter}\"");
        let found = all_pages(graph, ask(action, READ_USERS, graph.url(&["users"], &query))).await;
        let found = found.map_err(|error| match error {
            ExchangeError::Answer { status: 400, message, .. } => unusable(
                graph,
                &format!("the provider does not take the filter \"{filter}\": {message}"),
            ),
            error => error,
        })?;
        let found: HashSet<MailboxId> = ids(found).collect();
        left = Some(match left {
            Some(members) => members.intersection(&found).cloned().collect(),
            None => found,
        });
    }
    Ok(left)
}

/// The object id of a group that is named by it, by its address or by its name.
async fn group(graph: &GraphProvider, name: &str) -> Result<String, ExchangeError> {
    if uuid::Uuid::try_parse(name).is_ok() {
        return Ok(name.to_owned());
    }
    let quoted = name.replace('\'', "''");
    let filter = format!("mail eq '{quoted}' or displayName eq '{quoted}'");
    let query = [("$filter", filter.as_str()), ("$select", "id,displayName"), ("$top", PAGE)];
    let action = format!("looking for the group '{name}'");
    let found = all_pages(graph, ask(action, READ_MEMBERS, graph.url(&["groups"], &query))).await?;
    let mut found: Vec<Identified> = found;
    match (found.pop(), found.is_empty()) {
        (Some(one), true) => Ok(one.id),
        (Some(one), false) => {
            let more = found.into_iter().map(|other| other.id);
            let ids: Vec<_> = std::iter::once(one.id).chain(more).collect();
            let text = "several groups are called";
            Err(unusable(
                graph,
                &format!("{text} '{name}': name one by its id, {}", ids.join(", ")),
            ))
        }
        (None, _) => {
            let action = format!("looking for the group '{name}'");
            Err(no_group(graph, name, ExchangeError::not_found(action)))
        }
    }
}

fn no_group(graph: &GraphProvider, name: &str, error: ExchangeError) -> ExchangeError {
    match error {
        ExchangeError::NotFound { .. } => {
            unusable(graph, &format!("the directory has no group '{name}'"))
        }
        error => error,
    }
}

fn unusable(graph: &GraphProvider, reason: &str) -> ExchangeError {
    let tenant = graph.tenant().clone();
    let reason = format!(
        "{reason}. 'mailkeep tenant mailboxes {tenant}' shows and changes which mailboxes are backed up"
    );
    ExchangeError::Configuration { tenant, reason }
}

/// Asks what each of some mailboxes is for, some at once, and notes in the directory what is
/// answered, so that it need not be asked again if others fail. Tells who could not be asked.
async fn ask_kinds(
    graph: &GraphProvider,
    users: &[DirectoryUser],
    directory: &mut Directory,
) -> Result<Vec<(Mailbox, ExchangeError)>, ExchangeError> {
    let mut unclear = Vec::new();
    let mut asked = JoinSet::new();
    let mut users = users.iter().cloned();
    loop {
        while asked.len() < KINDS_AT_ONCE
            && let Some(user) = users.next()
        {
            let graph = graph.clone();
            asked.spawn(async move { (kind(&graph, &user.mailbox).await, user) });
        }
        // Dropping the set ends those that are under way.
        match asked.join_next().await {
            None => break,
            Some(Ok((Ok(kind), user))) => directory.put(DirectoryUser { kind: Some(kind), ..user }),
            Some(Ok((Err(error), user))) if is_its_own(&error) => {
                unclear.push((user.mailbox, error));
            }
            Some(Ok((Err(error), _))) => return Err(error),
            Some(Err(_)) => {
                let action = "asking what mailboxes are for";
                return Err(ExchangeError::protocol(action, "a task ended unexpectedly"));
            }
        }
    }
    // Where no mailbox ever told, the right is missing as a whole.
    let is_forbidden = |(_, error): &(Mailbox, ExchangeError)| error.is_refusal();
    if directory.users().all(|user| user.kind.is_none())
        && let Some(position) = unclear.iter().position(is_forbidden)
    {
        return Err(unclear.swap_remove(position).1);
    }
    Ok(unclear)
}

/// Whether an error is about the one mailbox that was asked: one that is damaged, or that the rights
/// do not reach. It must not keep all others from being backed up.
fn is_its_own(error: &ExchangeError) -> bool {
    error.concerns_one_item() || matches!(error, ExchangeError::Forbidden { .. })
}

/// What a mailbox is for (Graph: `mailboxSettings/userPurpose`).
async fn kind(graph: &GraphProvider, mailbox: &Mailbox) -> Result<MailboxKind, ExchangeError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Settings {
        user_purpose: Option<String>,
    }
    let segments = ["users", &mailbox.id.0, "mailboxSettings"];
    let ask = Ask {
        mailbox: Some(mailbox),
        ..ask(
            format!("{}: asking what the mailbox is for", mailbox.address),
            READ_SETTINGS,
            graph.url(&segments, &[("$select", "userPurpose")]),
        )
    };
    match graph.json::<Settings>(&ask).await {
        Ok(Settings { user_purpose }) => Ok(match user_purpose.as_deref() {
            // A linked mailbox is that of a person whose account lies elsewhere.
            Some("user" | "linked") => MailboxKind::User,
            Some("shared") => MailboxKind::Shared,
            Some("room") => MailboxKind::Room,
            Some("equipment") => MailboxKind::Equipment,
            _ => MailboxKind::Other,
        }),
        // The address is told, but there is no mailbox, or not here.
        Err(ExchangeError::NotFound { .. }) => Ok(MailboxKind::Other),
        Err(error) => Err(error),
    }
}
