//! The mailbox that is restored to: which folder an item goes into.

use std::collections::HashMap;

use mailkeep_exchange::Provider;
use mailkeep_model::{Folder, FolderId, FolderKind, Mailbox, MailboxId, WellKnownFolder};
use mailkeep_vault::FolderPath;

use super::{
    course::Course,
    select::{Source, SourceFolder},
};
use crate::{
    ServiceError,
    pipeline::{FolderTree, is_local},
};

/// Between the names of folders that become one name, where there are no folders in folders.
const JOINED: &str = " – ";

/// Why a setting cannot be restored to where it was asked for.
const SETTINGS_BELOW: &str =
    "settings lie in no folder; to restore them into a mailbox leave the folder in --to out";
/// The same of what was purged.
const PURGED: &str =
    "what was purged comes back below a folder that people see; name one with --to MAILBOX:FOLDER";

/// Whether folders may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Only say what would be done.
    Preview,
    /// Do it.
    Write,
}

/// A mailbox that is restored to.
pub(super) struct Target<'a, P> {
    provider: P,
    course: &'a Course,
    pub(super) mailbox: Mailbox,
    mode: Mode,
    folders: HashMap<FolderId, Folder>,
    /// Kinds whose folders could not be listed, and why: nothing is made among them, it might be
    /// there already.
    unlisted: Vec<(FolderKind, String)>,
    /// Below which everything goes; empty: where it was.
    below: FolderPath,
    /// Where the folders of the snapshot go.
    placed: HashMap<FolderId, Placed>,
    pub(super) created: Vec<String>,
}

/// Why something has no place, in words.
type Placed = Result<Place, String>;

/// Where a folder of the snapshot goes.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// `None` in a preview, when it would be made.
    pub(super) folder: Option<Folder>,
    /// For people.
    pub(super) path: String,
}

impl<'a, P: Provider> Target<'a, P> {
    /// Lists its mail folders, and of others those of `kinds`. What of them cannot be listed costs what would go there, and nothing else.
    ///
    /// # Errors
    /// What concerns everything.
    pub(super) async fn open(
        provider: P,
        course: &'a Course,
        mailbox: Mailbox,
        below: FolderPath,
        mode: Mode,
        kinds: &[FolderKind],
    ) -> Result<Self, ServiceError> {
        let read =
            course.outlast(|_| FolderTree::read(&provider, &mailbox, Vec::new(), None, kinds));
        let (mut folders, mut unlisted) = (Vec::new(), Vec::new());
        match read.await {
            Ok(tree) => {
                folders.extend(tree.present().cloned());
                unlisted.extend(tree.unlisted().iter().map(|(kind, e)| (*kind, e.to_string())));
            }
            Err(error) if is_local(&error) => {
                unlisted.push((FolderKind::Mail, error.to_string()));
                for kind in kinds.iter().copied() {
                    match course.outlast(|_| provider.other_folders(&mailbox, kind)).await {
                        Ok(listed) => folders.extend(listed),
                        Err(error) if is_local(&error) => {
                            unlisted.push((kind, error.to_string()));
                        }
                        Err(error) => return Err(error.into()),
                    }
                }
            }
            Err(error) => return Err(error.into()),
        }
        let folders = folders.into_iter().map(|folder| (folder.id.clone(), folder)).collect();
        let (placed, created) = (HashMap::new(), Vec::new());
        Ok(Self { provider, course, mailbox, mode, folders, unlisted, below, placed, created })
    }

    /// Whether items go back to where they were, so that those that are still there matter.
    pub(super) fn is_in_place(&self, source: &MailboxId) -> bool {
        self.below.0.is_empty() && self.mailbox.id == *source
    }

    /// The deleted items.
    pub(super) fn trash(&self) -> Option<&FolderId> {
        self.role(WellKnownFolder::DeletedItems).map(|folder| &folder.id)
    }

    /// Its folders that hold items of a kind.
    pub(super) fn of_kind(&self, kind: FolderKind) -> impl Iterator<Item = &Folder> {
        self.folders.values().filter(move |folder| folder.kind == kind)
    }

    /// Whether a folder is one that people see.
    pub(super) fn shows(&self, folder: &FolderId) -> bool {
        self.folders.contains_key(folder)
    }

    /// Whether a folder lies below the deleted items.
    fn is_thrown_away(&self, folder: &Folder) -> bool {
        let trash = self.trash();
        let mut next = folder.parent.as_ref();
        for _ in 0..self.folders.len() {
            let Some(id) = next else { return false };
            if Some(id) == trash {
                return true;
            }
            next = self.folders.get(id).and_then(|folder| folder.parent.as_ref());
        }
        false
    }

    /// Where a folder goes; makes it when it is not there. Or why that cannot be.
    pub(super) async fn place(&mut self, source: &Source, wanted: &SourceFolder) -> Placed {
        let folder = &wanted.folder.folder;
        if let Some(known) = self.placed.get(&folder.id) {
            return known.clone();
        }
        let unlisted = self.unlisted.iter().find(|(kind, _)| *kind == folder.kind);
        let place = match unlisted {
            Some((_, why)) => Err(why.clone()),
            None if !self.below.0.is_empty() && folder.kind == FolderKind::Settings => {
                Err(SETTINGS_BELOW.into())
            }
            None if self.below.0.is_empty()
                && source.is_below(&folder.id, WellKnownFolder::RecoverableItems) =>
            {
                Err(PURGED.into())
            }
            None if !self.below.0.is_empty() && folder.kind == FolderKind::Opaque => {
                self.place_opaque(source, wanted).await
            }
            None if self.below.0.is_empty() => self.same_place(source, &folder.id).await,
            None => self.place_below(wanted).await,
        };
        self.placed.insert(folder.id.clone(), place.clone());
        place
    }

    /// The folder itself, the one with its role, or one of its name in its parent's place.
    async fn same_place(&mut self, source: &Source, id: &FolderId) -> Placed {
        // Upwards, until there is one that has a place.
        let mut chain = Vec::new();
        let mut next = Some(id.clone());
        let mut place: Option<Place> = None;
        while let Some(id) = next {
            if let Some(known) = self.placed.get(&id) {
                place = Some(known.clone()?);
                break;
            }
            let Some(stored) = source.all.get(&id) else { break };
            let folder = &stored.folder;
            let was_deleted = source.is_below(&id, WellKnownFolder::DeletedItems);
            // One that its owner threw away since is not where it was.
            let same = self.folders.get(&id).filter(|folder| {
                self.mailbox.id == source.id && (was_deleted || !self.is_thrown_away(folder))
            });
            let found = same.or_else(|| folder.well_known.and_then(|role| self.role(role)));
            if let Some(found) = found {
                let path = self.path(&found.id);
                place = Some(Place { folder: Some(found.clone()), path });
                break;
            }
            // A circle of parents would have no end.
            if chain.iter().any(|seen: &Folder| seen.id == folder.id) {
                break;
            }
            chain.push(folder.clone());
            next = folder.parent.clone();
        }
        for folder in chain.into_iter().rev() {
            let child = self.child(place.as_ref(), folder.kind, &folder.name).await;
            self.placed.insert(folder.id.clone(), child.clone());
            place = Some(child?);
        }
        place.ok_or_else(nowhere)
    }

    async fn place_below(&mut self, wanted: &SourceFolder) -> Placed {
        let kind = wanted.folder.folder.kind;
        let names: Vec<_> = self.below.0.iter().chain(&wanted.below.0).cloned().collect();
        if is_flat(kind) {
            return self.child(None, kind, &names.join(JOINED)).await;
        }
        let mut place = None;
        for name in names {
            place = Some(self.child(place.as_ref(), kind, &name).await?);
        }
        place.ok_or_else(nowhere)
    }

    /// Nobody can make a folder for sticky notes: they go into the one that there is. Contact groups
    /// go along with the contacts beside which they lay.
    async fn place_opaque(&mut self, source: &Source, wanted: &SourceFolder) -> Placed {
        let folder = &wanted.folder.folder;
        let above = folder.parent.as_ref().and_then(|parent| source.all.get(parent));
        if above.is_none_or(|above| above.folder.kind != FolderKind::Contacts) {
            return self.same_place(source, &folder.id).await;
        }
        let last = wanted.below.0.len().saturating_sub(1);
        let names: Vec<_> = self.below.0.iter().chain(&wanted.below.0[..last]).cloned().collect();
        let mut place = None;
        for name in names {
            place = Some(self.child(place.as_ref(), FolderKind::Contacts, &name).await?);
        }
        self.child(place.as_ref(), folder.kind, &folder.name).await
    }

    /// The folder of that name in a folder, made when it is not there.
    async fn child(&mut self, parent: Option<&Place>, kind: FolderKind, name: &str) -> Placed {
        let own = FolderPath(vec![name.to_owned()]).to_string();
        let path = match parent {
            Some(parent) => format!("{}/{own}", parent.path),
            None => own,
        };
        let parent_id = match parent {
            None => None,
            Some(Place { folder: Some(folder), .. }) => Some(folder.id.clone()),
            Some(_) => return Ok(Place { folder: None, path }),
        };
        let found = self.folders.values().find(|folder| {
            let beside = is_flat(kind) || folder.parent == parent_id;
            folder.kind == kind && beside && folder.name.eq_ignore_ascii_case(name)
        });
        if let Some(found) = found {
            return Ok(Place { folder: Some(found.clone()), path });
        }
        let what = match kind {
            FolderKind::Calendar => " (calendar)",
            FolderKind::Contacts => " (contacts)",
            FolderKind::Tasks => " (tasks)",
            _ => "",
        };
        let told = format!("{}:{path}{what}", self.mailbox.address);
        if self.mode == Mode::Preview {
            self.created.push(told);
            return Ok(Place { folder: None, path });
        }
        let (provider, mailbox) = (&self.provider, &self.mailbox);
        let make = |_| provider.create_folder(mailbox, kind, parent_id.as_ref(), name);
        let made = self.course.outlast(make).await;
        let made = made.map_err(|error| self.course.failed(error.into()))?;
        self.created.push(told);
        // As it was asked for: what the provider calls the parent of a folder at the top is its
        // own affair.
        let made = Folder { parent: parent_id, ..made };
        self.folders.insert(made.id.clone(), made.clone());
        Ok(Place { folder: Some(made), path })
    }

    fn role(&self, role: WellKnownFolder) -> Option<&Folder> {
        self.folders.values().find(|folder| folder.well_known == Some(role))
    }

    fn path(&self, id: &FolderId) -> String {
        let mut names = Vec::new();
        let mut next = Some(id);
        while let Some(folder) = next.and_then(|id| self.folders.get(id)) {
            names.push(folder.name.clone());
            next = folder.parent.as_ref();
            if names.len() > self.folders.len() {
                break;
            }
        }
        names.reverse();
        FolderPath(names).to_string()
    }
}

/// Graph's calendars, and its task lists, lie beside each other.
fn is_flat(kind: FolderKind) -> bool {
    matches!(kind, FolderKind::Calendar | FolderKind::Tasks)
}

fn nowhere() -> String {
    "its folder cannot be made out in the snapshot".into()
}
