//! What to do with one item, from what is there.

use mailkeep_exchange::{Existing, heading};
use mailkeep_model::{FolderId, Item, ItemKind};

use super::OnConflict;

/// Why a meeting is left alone.
const WOULD_NOTIFY: &str = "what is there is another state of it, and it is a meeting of this mailbox with attendees: \
    making it anew would leave both, because Microsoft Graph sends cancellations to them when the one that is there is \
    deleted. Nothing was changed. Its owner can delete it in Outlook first, or take the copy beside it with \
    --on-conflict copy";

/// What to do with one item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Make it.
    Create,
    /// Make it, then delete these.
    Replace(Vec<Existing>),
    /// Delete these: what replaces them was made before, and the restore was cut off then.
    Remove(Vec<Existing>),
    /// Set folder, flags and categories of this one, then delete these.
    Update(Existing, Vec<Existing>),
    /// Nothing.
    Nothing,
    /// Nothing, because it would do harm: why.
    Refuse(&'static str),
}

/// What is to be brought back.
pub(super) struct Sought<'a> {
    pub(super) item: &'a Item,
    /// The state part of its mark.
    pub(super) state: &'a str,
    /// Where it goes; `None` when that folder would be made.
    pub(super) folder: Option<&'a FolderId>,
}

/// What is there of an item.
pub(super) struct Found<'a> {
    /// The item itself, when it is restored to where it was.
    pub(super) original: Option<&'a Existing>,
    /// What earlier restores made of it, for the same place, in whatever state.
    pub(super) made: &'a [&'a Existing],
    /// The mailbox's deleted items.
    pub(super) trash: Option<&'a FolderId>,
}

pub(super) fn decide(sought: &Sought<'_>, found: &Found<'_>, on_conflict: OnConflict) -> Action {
    // What its owner has thrown away since does not count, unless it is where it was put: among the
    // deleted items.
    let there = |one: &&Existing| !one.deleted || sought.folder == Some(&one.folder);
    let made = found.made.iter().copied().filter(there);
    let (same, other): (Vec<_>, Vec<_>) = made.partition(|one| sought.is_state_of(one));
    let scene = Scene { sought, found, same, other };
    let action = match on_conflict {
        OnConflict::Skip => scene.skip(),
        OnConflict::Copy if scene.same.is_empty() => Action::Create,
        OnConflict::Copy => Action::Nothing,
        OnConflict::Replace if sought.item.kind == ItemKind::Opaque => scene.write_over(),
        OnConflict::Replace => scene.replace(),
    };
    match &action {
        Action::Replace(old) | Action::Remove(old) | Action::Update(_, old)
            if old.iter().any(|one| one.notifies) =>
        {
            Action::Refuse(WOULD_NOTIFY)
        }
        _ => action,
    }
}

impl Sought<'_> {
    fn is_state_of(&self, made: &Existing) -> bool {
        let mark = made.mark.as_ref();
        // A mark of earlier versions stands for the state, too.
        mark.is_some_and(|mark| mark.state.as_deref().is_none_or(|state| state == self.state))
    }

    /// The size of a message, which is a part of its content key, changes without its content.
    fn has_content_of(&self, one: &Existing) -> bool {
        let heading = heading(self.item);
        one.content_key == self.item.content_key || (heading.is_some() && heading == one.heading)
    }

    /// Whether nothing of it ever changes but its folder and its marks.
    fn is_settled(&self) -> bool {
        self.item.kind == ItemKind::Message && !self.item.draft
    }

    fn lies_right(&self, one: &Existing) -> bool {
        self.folder == Some(&one.folder)
    }
}

struct Scene<'a> {
    sought: &'a Sought<'a>,
    found: &'a Found<'a>,
    /// What was made of it in the state that is sought, and in others.
    same: Vec<&'a Existing>,
    other: Vec<&'a Existing>,
}

impl<'a> Scene<'a> {
    fn skip(&self) -> Action {
        if !(self.same.is_empty() && self.other.is_empty()) {
            return Action::Nothing;
        }
        match self.found.original {
            None => Action::Create,
            Some(original) if !self.is_thrown_away(original) => Action::Nothing,
            Some(original)
                if self.sought.item.kind == ItemKind::Message
                    && self.sought.has_content_of(original) =>
            {
                Action::Update(original.clone(), Vec::new())
            }
            Some(_) => Action::Create,
        }
    }

    fn replace(&self) -> Action {
        if let Some(made) = best(&self.same, |one| self.sought.lies_right(one)) {
            return self.set_back(made);
        }
        let instead = best(&self.other, |one| self.sought.lies_right(one));
        let original = self.found.original;
        let original =
            original.filter(|original| instead.is_none() || !self.is_thrown_away(original));
        match (original, instead) {
            (None, None) => Action::Create,
            (Some(one), _) | (None, Some(one)) if self.sought.has_content_of(one) => {
                if self.sought.item.kind == ItemKind::Message {
                    Action::Update(one.clone(), Vec::new())
                } else if self.sought.lies_right(one) {
                    // The content key of an event or contact stands for all of it.
                    Action::Nothing
                } else {
                    Action::Replace(vec![one.clone()])
                }
            }
            (Some(one), _) | (None, Some(one)) => Action::Replace(vec![one.clone()]),
        }
    }

    /// Notes and contact groups cannot be deleted, nor moved: one that lies right is written over, and
    /// others stay.
    fn write_over(&self) -> Action {
        let is_right = |one: &&Existing| self.sought.lies_right(one);
        if self.same.iter().copied().any(|one| is_right(&one)) {
            return Action::Nothing;
        }
        let other = self.other.iter().copied();
        match self.found.original.into_iter().chain(other).find(is_right) {
            None => Action::Create,
            Some(one) if self.sought.has_content_of(one) => Action::Nothing,
            Some(one) => Action::Replace(vec![one.clone()]),
        }
    }

    /// What a restore made in the state that is sought: its owner may have changed it since.
    fn set_back(&self, made: &Existing) -> Action {
        let replaced =
            self.found.made.iter().copied().filter(|one| made.replaces.contains(&one.id));
        let original = self
            .found
            .original
            .filter(|original| original.id != made.id && !self.sought.has_content_of(original))
            .filter(|original| !self.is_thrown_away(original));
        let mut older: Vec<Existing> = Vec::new();
        for one in replaced.filter(|one| !one.deleted).chain(original) {
            if older.iter().all(|known| known.id != one.id) {
                older.push(one.clone());
            }
        }
        if self.sought.is_settled() {
            Action::Update(made.clone(), older)
        } else if made.edited || !self.sought.lies_right(made) {
            older.insert(0, made.clone());
            Action::Replace(older)
        } else if older.is_empty() {
            Action::Nothing
        } else {
            Action::Remove(older)
        }
    }

    fn is_thrown_away(&self, one: &Existing) -> bool {
        let (folder, trash) = (self.sought.folder, self.found.trash);
        (one.deleted || trash == Some(&one.folder))
            && folder != trash
            && !self.sought.lies_right(one)
    }
}

/// The one to go by: where it belongs and as it was made, if there is such a one.
fn best<'a>(all: &[&'a Existing], right: impl Fn(&Existing) -> bool) -> Option<&'a Existing> {
    all.iter().copied().min_by_key(|one| (!right(one), one.edited))
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
