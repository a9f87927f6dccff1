//! `tenant mailboxes`: which mailboxes of a tenant are backed up.

use std::collections::HashMap;

use mailkeep_control::{Departure, KnownMailbox};
use mailkeep_model::{MailboxId, MailboxSelection, TenantName};
use mailkeep_service::{Service, ServiceError};
use serde_json::{Value, json};

use super::{Outcome, browse::rfc3339};
use crate::{
    cli::{Selection, TenantMailboxes},
    exit::{Exit, Failure},
    output::{Output, plain, table},
};

pub(super) async fn run(service: &Service, arguments: TenantMailboxes, output: &Output) -> Outcome {
    let name = arguments.tenant;
    // Says that there is no such tenant in the words for that.
    service.tenant(&name).await?;
    let before = service.control().selection(&name).await.map_err(ServiceError::from)?;
    let wanted = if arguments.all {
        Some(MailboxSelection::default())
    } else {
        selection(arguments.selection)
    };
    let is_new = wanted.as_ref().is_some_and(|wanted| *wanted != before);
    if let Some(wanted) = &wanted {
        service.select_mailboxes(&name, wanted).await?;
    }
    let selection = wanted.unwrap_or(before);
    let known = service.control().mailboxes(&name).await.map_err(ServiceError::from)?;
    let value = json!({
        "tenant": name,
        "selection": selection,
        "mailboxes": known.iter().map(json_of).collect::<Vec<_>>(),
    });
    output.result(&value, || {
        let mut text = words(&selection);
        let rows: Vec<_> = known.iter().map(row).collect();
        if !rows.is_empty() {
            let when = if is_new { " (as of the last pass; the next one follows the above)" } else { "" };
            text.push_str(&format!("\n\nmailboxes{when}:\n{}", table(&rows)));
        }
        if is_new {
            text.push_str(&format!("\n\n'mailkeep tenant check {name}' tries the rights that this needs, and says how many mailboxes it leaves"));
        }
        text
    });
    Ok(Exit::Done)
}

/// What the options say; `None`: nothing.
pub(super) fn selection(options: Selection) -> Option<MailboxSelection> {
    let selection = MailboxSelection {
        groups: options.group,
        filter: options.filter,
        kinds: options.kind.into_iter().collect(),
        include: options.include.into_iter().collect(),
        exclude: options.exclude.into_iter().collect(),
    };
    (selection != MailboxSelection::default()).then_some(selection)
}

/// A selection for people.
pub(super) fn words(selection: &MailboxSelection) -> String {
    let list = |words: Vec<String>| words.join(", ");
    let mut lines = Vec::new();
    if selection.is_all() {
        lines.push("backed up  all mailboxes of the directory, without guests".to_owned());
    } else {
        let mut narrow = Vec::new();
        if !selection.groups.is_empty() {
            let names = selection.groups.iter().map(|name| format!("'{}'", plain(name)));
            narrow.push(format!("members of {}", list(names.collect())));
        }
        if let Some(filter) = &selection.filter {
            narrow.push(format!("those that \"{}\" finds", plain(filter)));
        }
        if !selection.kinds.is_empty() {
            let kinds = selection.kinds.iter().map(ToString::to_string);
            narrow.push(format!("mailboxes of the kind {}", list(kinds.collect())));
        }
        let narrow =
            if narrow.is_empty() { "all mailboxes".into() } else { narrow.join(", of these ") };
        lines.push(format!("backed up  {narrow}"));
    }
    for (what, addresses) in [("also", &selection.include), ("never", &selection.exclude)] {
        if !addresses.is_empty() {
            let addresses = addresses.iter().map(ToString::to_string);
            lines.push(format!("{what:<10} {}", list(addresses.collect())));
        }
    }
    lines.join("\n")
}

/// A mailbox in a list for people.
pub(super) fn row(known: &KnownMailbox) -> Vec<String> {
    vec![
        known.mailbox.address.to_string(),
        plain(&known.mailbox.display_name),
        format!("{} items", known.items),
        departure(known).unwrap_or_default(),
    ]
}

/// A mailbox in a list for programs.
pub(super) fn json_of(known: &KnownMailbox) -> Value {
    json!({
        "mailbox": known.mailbox.address,
        "name": known.mailbox.display_name,
        "items": known.items,
        "last_pass": known.last_pass.map(rfc3339),
        "gone_since": known.gone_since.map(rfc3339),
        "gone_because": known.departure.map(Departure::as_str),
    })
}

/// Since when and why a mailbox is not backed up any more, in words.
pub(super) fn departure(known: &KnownMailbox) -> Option<String> {
    let since = known.gone_since?.date();
    Some(match known.departure {
        Some(Departure::Deselected) => format!("not selected since {since}; its backups stay"),
        _ => format!("gone since {since}; its backups stay"),
    })
}

/// The mailboxes of a tenant that are backed up no more, by the provider's identifier.
pub(super) async fn departed(
    service: &Service,
    tenant: &TenantName,
) -> Result<HashMap<MailboxId, KnownMailbox>, Failure> {
    let known = service.control().mailboxes(tenant).await.map_err(ServiceError::from)?;
    let gone = known.into_iter().filter(|known| known.gone_since.is_some());
    Ok(gone.map(|known| (known.mailbox.id.clone(), known)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selection_is_said_in_the_order_in_which_it_narrows() {
        let all = words(&MailboxSelection::default());
        assert!(all.contains("all mailboxes"), "{all}");
        let selection = MailboxSelection {
            groups: vec!["Sales".into()],
            filter: Some("accountEnabled eq true".into()),
            exclude: ["boss@a.example".parse().unwrap()].into(),
            ..MailboxSelection::default()
        };
        assert_eq!(
            words(&selection),
            "backed up  members of 'Sales', of these those that \"accountEnabled eq true\" finds\n\
             never      boss@a.example"
        );
    }
}
