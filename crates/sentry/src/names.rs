//! A mailbox that was renamed, or that the log calls by another address than we do, is still the same.

use std::collections::{BTreeSet, HashMap};

use mailkeep_model::MailAccess;

use crate::ours::{CallAbout, Journal};

/// Gives accesses to a mailbox, of which the log has another name than we use, the name that we use.
///
/// The log's id of a mailbox stays the same when its address changes. Which of ours it is is learned from
/// records that have a name of ours beside that id, and from items that we read ourselves: an item is in
/// one mailbox. What cannot be learned stays as the log has it; so does what had a name that is another
/// mailbox's now, because what we read there explains nothing of what somebody reads here.
pub fn under_our_names(accesses: &mut [MailAccess], journal: &Journal) {
    let is_strange = |access: &MailAccess| !journal.knows(&access.mailbox);
    if !accesses.iter().any(|access| is_strange(access) && access.mailbox_id.is_some()) {
        return;
    }
    let items = items(journal);
    // The newest says the most.
    let mut ours: HashMap<String, (time::OffsetDateTime, String)> = HashMap::new();
    for access in accesses.iter() {
        let Some(id) = &access.mailbox_id else { continue };
        let by_item = || {
            let of_messages = access.messages.iter().filter_map(|one| one.item.as_deref());
            of_messages.filter_map(|item| items.get(item).copied()).next()
        };
        let own = if is_strange(access) { by_item() } else { Some(access.mailbox.as_str()) };
        let Some(own) = own else { continue };
        let known = ours.entry(id.clone()).or_insert_with(|| (access.at, own.to_owned()));
        if known.0 < access.at {
            *known = (access.at, own.to_owned());
        }
    }
    let bearers = bearers(accesses);
    ours.retain(|id, (_, own)| {
        let known = bearers.get(&own.to_lowercase());
        known.is_none_or(|ids| ids.iter().all(|one| one == id))
    });
    for access in accesses.iter_mut() {
        let own = access.mailbox_id.as_ref().and_then(|id| ours.get(id));
        if let Some((_, own)) = own.filter(|_| !journal.knows(&access.mailbox)) {
            access.mailbox.clone_from(own);
        }
    }
}

/// The ids of the mailboxes that the log calls by each name (in small letters).
fn bearers(accesses: &[MailAccess]) -> HashMap<String, BTreeSet<String>> {
    let mut all: HashMap<String, BTreeSet<String>> = HashMap::new();
    for access in accesses {
        if let Some(id) = &access.mailbox_id {
            all.entry(access.mailbox.to_lowercase()).or_default().insert(id.clone());
        }
    }
    all
}

/// In which mailbox we read each item.
fn items(journal: &Journal) -> HashMap<&str, &str> {
    let calls = journal.calls().iter();
    let items = calls.filter_map(|call| match (&call.about, &call.mailbox) {
        (CallAbout::Item(item), Some(mailbox)) => Some((item.as_str(), mailbox.as_str())),
        _ => None,
    });
    items.collect()
}

#[cfg(test)]
mod tests {
    use mailkeep_model::{AccessedMessage, Breadth};
    use time::{Duration, OffsetDateTime};
    use uuid::Uuid;

    use super::*;
    use crate::{Call, Spans};

    fn at(minutes: i64) -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH + Duration::minutes(minutes)
    }

    fn call(mailbox: &str, about: CallAbout) -> Call {
        let mailbox = Some(mailbox.to_owned());
        Call {
            client_request_id: Uuid::new_v4(),
            at: at(0),
            job: Uuid::new_v4().into(),
            mailbox,
            about,
        }
    }

    fn access(minutes: i64, id: Option<&str>, mailbox: &str, item: Option<&str>) -> MailAccess {
        let item = item.map(str::to_owned);
        MailAccess {
            id: minutes.to_string(),
            at: at(minutes),
            client_id: None,
            uti: None,
            client_request_id: None,
            address: None,
            mailbox: mailbox.to_owned(),
            mailbox_id: id.map(str::to_owned),
            breadth: Breadth::Messages,
            messages: vec![AccessedMessage { item, message_id: None, folder: None }],
            throttled: false,
        }
    }

    #[test]
    fn what_we_read_in_a_mailbox_that_was_renamed_is_not_a_stranger_s() {
        let journal = Journal::new(
            vec![
                call("ann@x.example", CallAbout::Page),
                call("bob@x.example", CallAbout::Item("b".into())),
            ],
            Spans::default(),
        );
        let mut all = vec![
            access(1, Some("A"), "ann@x.example", Some("a")),
            access(2, Some("A"), "ann.married@x.example", Some("other")),
            // The log's name was never ours; what we read there was.
            access(3, Some("B"), "b.upn@x.example", Some("b")),
            access(4, Some("B"), "b.upn@x.example", Some("more")),
            // Somebody's of whom we know nothing, and somebody without an id.
            access(5, Some("C"), "carl@x.example", Some("c")),
            access(6, None, "ann.married@x.example", None),
        ];
        under_our_names(&mut all, &journal);
        let names: Vec<&str> = all.iter().map(|one| one.mailbox.as_str()).collect();
        let (ann, bob) = ("ann@x.example", "bob@x.example");
        assert_eq!(names, [ann, ann, bob, bob, "carl@x.example", "ann.married@x.example"]);
    }

    #[test]
    fn reads_of_somebody_s_old_mailbox_are_not_explained_by_ours_of_who_has_the_address_now() {
        let journal = Journal::new(vec![call("ann@x.example", CallAbout::Page)], Spans::default());
        let mut all = vec![
            access(1, Some("A"), "ann@x.example", None),
            access(9, Some("Z"), "Ann@x.example", None),
            access(9, Some("A"), "ann.old@x.example", None),
        ];
        under_our_names(&mut all, &journal);
        let names: Vec<&str> = all.iter().map(|one| one.mailbox.as_str()).collect();
        assert_eq!(names, ["ann@x.example", "Ann@x.example", "ann.old@x.example"]);
    }
}
