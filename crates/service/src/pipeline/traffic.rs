use std::collections::BTreeMap;

use mailkeep_model::{Address, Direction, Item, ItemKind, TrafficCount, WellKnownFolder};

/// Which way a message went, `None` when its copy in this folder does not count.
///
/// Each message counts once: what stays inside counts where it arrives, what leaves counts in its
/// sender's sent items, what comes in counts in its recipient's mailbox.
pub(crate) fn direction(
    item: &Item,
    role: Option<WellKnownFolder>,
    mailbox: &Address,
    domains: &[String],
) -> Option<Direction> {
    // What was purged was counted when it came.
    let purged = role == Some(WellKnownFolder::RecoverableItems);
    if item.draft || item.kind != ItemKind::Message || purged {
        return None;
    }
    let is_inside = |address: &str| {
        let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
        domains.iter().any(|own| own.eq_ignore_ascii_case(domain))
    };
    let from = item.from.as_deref()?;
    if role == Some(WellKnownFolder::SentItems) || from.eq_ignore_ascii_case(mailbox.as_str()) {
        let sent = role == Some(WellKnownFolder::SentItems);
        let leaves = item.recipients.iter().any(|recipient| !is_inside(recipient));
        return (sent && leaves).then_some(Direction::Outbound);
    }
    Some(if is_inside(from) { Direction::Internal } else { Direction::Inbound })
}

/// Counts per minute and direction.
#[derive(Default)]
pub(crate) struct Traffic(BTreeMap<(i64, Direction), u64>);

impl Traffic {
    /// Counts one message at the time when it arrived (or, going out, was sent).
    pub(crate) fn count(&mut self, item: &Item, direction: Direction) {
        let minute = item.received.unix_timestamp().div_euclid(60);
        *self.0.entry((minute, direction)).or_default() += 1;
    }

    pub(crate) fn into_counts(self) -> Vec<TrafficCount> {
        let counts = self.0.into_iter();
        counts
            .map(|((minute, direction), count)| TrafficCount { minute, direction, count })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use mailkeep_model::{FolderId, ItemId};
    use time::macros::datetime;

    use super::*;

    fn message(from: &str, to: &[&str]) -> Item {
        Item {
            from: Some(from.into()),
            recipients: to.iter().map(|&one| one.into()).collect(),
            received: datetime!(2026-11-23 09:14:59 UTC),
            ..Item::new(ItemId("1".into()), ItemKind::Message, FolderId("f".into()))
        }
    }

    #[test]
    fn every_message_counts_once_for_the_tenant() {
        let ann: Address = "ann@own.example".parse().unwrap();
        let bob: Address = "bob@own.example".parse().unwrap();
        let domains = ["own.example".to_owned()];
        let sent = Some(WellKnownFolder::SentItems);
        let inbox = Some(WellKnownFolder::Inbox);
        let inside = message("Ann@Own.example", &["bob@own.example"]);
        assert_eq!(direction(&inside, sent, &ann, &domains), None);
        assert_eq!(direction(&inside, inbox, &bob, &domains), Some(Direction::Internal));
        let both = message("ann@own.example", &["bob@own.example", "x@else.example"]);
        assert_eq!(direction(&both, sent, &ann, &domains), Some(Direction::Outbound));
        let outside = message("x@else.example", &["ann@own.example"]);
        assert_eq!(direction(&outside, inbox, &ann, &domains), Some(Direction::Inbound));
        let purged = Some(WellKnownFolder::RecoverableItems);
        assert_eq!(direction(&outside, purged, &ann, &domains), None);
        let mut draft = both;
        draft.draft = true;
        assert_eq!(direction(&draft, Some(WellKnownFolder::Drafts), &ann, &domains), None);
    }

    #[test]
    fn counts_are_by_the_minute_of_arrival() {
        let mut traffic = Traffic::default();
        for _ in 0..3 {
            traffic.count(&message("a@b", &[]), Direction::Inbound);
        }
        let minute = datetime!(2026-11-23 09:14 UTC).unix_timestamp() / 60;
        let expected = TrafficCount { minute, direction: Direction::Inbound, count: 3 };
        assert_eq!(traffic.into_counts(), [expected]);
    }
}
