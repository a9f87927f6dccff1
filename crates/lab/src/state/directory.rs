//! The users and groups of a tenant, and how they have changed.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use uuid::Uuid;

use super::{Mailbox, Profile};

#[derive(Debug, Default)]
pub(crate) struct Directory {
    by_address: HashMap<Arc<str>, Uuid>,
    users: HashMap<Uuid, User>,
    /// Users by their last change: the order in which they are listed at first.
    order: BTreeMap<u64, Uuid>,
    /// Users that are gone, by the change that did it.
    gone: BTreeMap<u64, Gone>,
    /// Those of them who can be brought back.
    bin: HashMap<Uuid, Arc<Mailbox>>,
    pub(crate) groups: Vec<Group>,
    /// Number of the last change.
    pub(crate) sequence: u64,
}

#[derive(Debug)]
struct User {
    mailbox: Arc<Mailbox>,
    /// The change that made it, which is its place in lists, and its last one.
    entered: u64,
    changed: u64,
}

/// What is left of a user.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gone {
    pub(crate) id: Uuid,
    entered: u64,
    /// For good, not into the bin from which it can be brought back for thirty days.
    pub(crate) purged: bool,
}

/// A group with those who are in it.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    /// `None` for a group that is for rights only.
    pub(crate) mail: Option<String>,
    /// Users and groups.
    pub(crate) members: Vec<Uuid>,
}

/// One line of `users/delta`.
pub(crate) enum UserChange {
    Present(Arc<Mailbox>),
    Gone(Gone),
}

impl Directory {
    /// By object id or address.
    pub(crate) fn find(&self, name: &str) -> Option<&Arc<Mailbox>> {
        match Uuid::try_parse(name) {
            Ok(id) => self.by_id(id),
            Err(_) => self.by_id(*self.by_address.get(name.to_lowercase().as_str())?),
        }
    }

    pub(crate) fn by_id(&self, id: Uuid) -> Option<&Arc<Mailbox>> {
        self.users.get(&id).map(|user| &user.mailbox)
    }

    /// Whether a user has had this id who is gone.
    pub(crate) fn was_there(&self, id: Uuid) -> bool {
        self.gone.values().any(|gone| gone.id == id)
    }

    /// In the order in which they came.
    pub(crate) fn users(&self) -> impl Iterator<Item = &Arc<Mailbox>> {
        self.order.values().filter_map(|id| self.by_id(*id))
    }

    /// Number of users.
    pub(crate) fn size(&self) -> usize {
        self.order.len()
    }

    /// A group by its id or name.
    pub(crate) fn group(&self, name: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.name == name || group.id.to_string() == name)
    }

    /// Adds a user, unless one with that address is there; gives the one that is there then.
    pub(crate) fn add(&mut self, mailbox: Mailbox) -> Arc<Mailbox> {
        if let Some(there) = self.find(&mailbox.address) {
            return Arc::clone(there);
        }
        let mailbox = Arc::new(mailbox);
        self.sequence += 1;
        let at = self.sequence;
        self.by_address.insert(Arc::clone(&mailbox.address), mailbox.id);
        self.order.insert(at, mailbox.id);
        let user = User { mailbox: Arc::clone(&mailbox), entered: at, changed: at };
        self.users.insert(mailbox.id, user);
        mailbox
    }

    /// Gives a user another name, address or profile. The mailbox stays what it is. `false`: there is
    /// no such user, or the address is somebody else's.
    pub(crate) fn change(
        &mut self,
        id: Uuid,
        address: Option<&str>,
        name: Option<&str>,
        profile: Profile,
    ) -> bool {
        let taken = address.and_then(|address| self.find(address));
        if taken.is_some_and(|other| other.id != id) {
            return false;
        }
        self.sequence += 1;
        let Some(user) = self.users.get_mut(&id) else { return false };
        let before = Arc::clone(&user.mailbox);
        let after = before.renamed(
            address.unwrap_or(&before.address),
            name.unwrap_or(&before.display_name).to_owned(),
            profile,
        );
        user.mailbox = Arc::new(after);
        user.changed = self.sequence;
        self.by_address.remove(&before.address);
        self.by_address.insert(Arc::clone(&user.mailbox.address), id);
        true
    }

    /// Takes a user out of the directory, into the bin or for good.
    pub(crate) fn remove(&mut self, id: Uuid, purged: bool) -> bool {
        let Some(user) = self.users.remove(&id) else { return false };
        self.sequence += 1;
        self.by_address.remove(&user.mailbox.address);
        self.order.remove(&user.entered);
        self.gone.insert(self.sequence, Gone { id, entered: user.entered, purged });
        if !purged {
            self.bin.insert(id, user.mailbox);
        }
        for group in &mut self.groups {
            group.members.retain(|member| *member != id);
        }
        true
    }

    /// Brings a user back from the bin, by the address that it had; to another one when that is
    /// named. The mailbox is the one that it was. Groups do not have it back.
    pub(crate) fn restore(&mut self, former: &str, address: Option<&str>) -> bool {
        let address = address.unwrap_or(former);
        let found = self.bin.values().find(|mailbox| mailbox.address.eq_ignore_ascii_case(former));
        let Some(id) = found.map(|mailbox| mailbox.id) else { return false };
        if self.find(address).is_some() {
            return false;
        }
        let Some(before) = self.bin.remove(&id) else { return false };
        let name = before.display_name.clone();
        self.add(before.renamed(address, name, before.profile));
        true
    }

    /// At most `limit` changes of users after `position`, with the position behind each; whether there are
    /// more. What is gone is told to those who can have seen it: who stood behind its making, and whose
    /// first round began before it went (`floor`).
    pub(crate) fn changes(
        &self,
        position: u64,
        floor: u64,
        limit: usize,
    ) -> (Vec<(u64, UserChange)>, bool) {
        let here = self.users.values().filter(|user| user.changed > position);
        let here = here.map(|user| (user.changed, UserChange::Present(Arc::clone(&user.mailbox))));
        let gone = self.gone.range(position + 1..);
        let gone = gone.filter(|(change, gone)| gone.entered <= position && **change > floor);
        let gone = gone.map(|(change, gone)| (*change, UserChange::Gone(*gone)));
        let mut found: Vec<(u64, UserChange)> = here.chain(gone).collect();
        found.sort_by_key(|(change, _)| *change);
        let more = found.len() > limit;
        found.truncate(limit);
        (found, more)
    }

    /// The users in a group; with `deep`, also those of the groups in it.
    pub(crate) fn members(&self, group: &Group, deep: bool) -> Vec<Member<'_>> {
        let mut seen = vec![group.id];
        let mut found = Vec::new();
        let mut open: Vec<Uuid> = group.members.iter().rev().copied().collect();
        while let Some(id) = open.pop() {
            if seen.contains(&id) {
                continue;
            }
            seen.push(id);
            if let Some(mailbox) = self.by_id(id) {
                found.push(Member::User(mailbox));
            } else if let Some(inner) = self.groups.iter().find(|other| other.id == id) {
                found.push(Member::Group(inner));
                if deep {
                    open.extend(inner.members.iter().rev());
                }
            }
        }
        found
    }
}

/// Who or what is in a group.
pub(crate) enum Member<'a> {
    User(&'a Arc<Mailbox>),
    Group(&'a Group),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Source;

    fn user(number: u128, address: &str) -> Mailbox {
        Mailbox::new(Uuid::from_u128(number), address, address.into(), Source::Empty, 1)
    }

    fn lines(directory: &Directory, position: u64, floor: u64) -> (Vec<(u128, bool)>, u64) {
        let (changes, more) = directory.changes(position, floor, 100);
        assert!(!more);
        let reached = changes.last().map_or(position, |(change, _)| *change);
        let line = |(_, change): &(u64, UserChange)| match change {
            UserChange::Present(mailbox) => (mailbox.id.as_u128(), true),
            UserChange::Gone(gone) => (gone.id.as_u128(), false),
        };
        (changes.iter().map(line).collect(), reached)
    }

    #[test]
    fn joiners_leavers_and_new_names_are_told_once_each() {
        let mut directory = Directory::default();
        for number in 1..=3 {
            directory.add(user(number, &format!("u{number}@a.example")));
        }
        let (first, position) = lines(&directory, 0, directory.sequence);
        assert_eq!(first, [(1, true), (2, true), (3, true)]);
        let id = Uuid::from_u128(2);
        assert!(directory.change(id, Some("new@a.example"), None, Profile::default()));
        assert!(directory.remove(Uuid::from_u128(1), false));
        directory.add(user(4, "u4@a.example"));
        directory.add(user(5, "u5@a.example"));
        assert!(directory.remove(Uuid::from_u128(5), true));
        let (second, _) = lines(&directory, position, 0);
        assert_eq!(second, [(2, true), (1, false), (4, true)]);
        assert_eq!(directory.find("new@a.example").unwrap().id, id);
        assert!(directory.find("u2@a.example").is_none());
        assert!(!directory.change(id, Some("u3@a.example"), None, Profile::default()));
        let order: Vec<u128> = directory.users().map(|user| user.id.as_u128()).collect();
        assert_eq!(order, [2, 3, 4], "lists do not change their order");
    }

    #[test]
    fn groups_that_hold_each_other_have_an_end() {
        let mut directory = Directory::default();
        let one = directory.add(user(1, "a@a.example")).id;
        let group = |number, members| Group {
            id: Uuid::from_u128(number),
            name: number.to_string(),
            mail: None,
            members,
        };
        directory.groups =
            vec![group(10, vec![Uuid::from_u128(11)]), group(11, vec![Uuid::from_u128(10), one])];
        let outer = directory.group("10").unwrap();
        assert_eq!(directory.members(outer, false).len(), 1);
        assert_eq!(directory.members(outer, true).len(), 2);
    }
}
