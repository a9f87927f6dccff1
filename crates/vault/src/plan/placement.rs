//! Decides which leaf directory each changed item lies in.

use std::collections::{BTreeMap, HashMap, HashSet};

use mailkeep_model::FolderId;
use rustic_core::repofile::Node;

use super::{Excluded, LeafItem, LeafStream, MailboxInput, Plan, Put, Source};
use crate::{
    Content, FailedItem, ItemPath, Placed, ShortId, VaultError,
    layout::{self, Directories, LEAF_CAPACITY},
    view::MailboxView,
};

/// What becomes of a leaf directory.
#[derive(Debug, Default)]
pub(crate) struct LeafEdit {
    pub(crate) remove: HashSet<String>,
    pub(crate) put: BTreeMap<String, LeafItem>,
}

/// Changed leaves of a mailbox, by folder and name of the leaf.
pub(crate) type Edits = HashMap<FolderId, BTreeMap<String, LeafEdit>>;

/// Where the newest snapshot has an item.
#[derive(Clone)]
struct Found {
    path: ItemPath,
    node: Node,
    stream: Option<Node>,
}

struct Placement<'a, 'v> {
    old: Option<&'a mut MailboxView<'v>>,
    edits: Edits,
    /// For each month that something is put into: where its items lie.
    months: HashMap<(FolderId, String), Month>,
}

#[derive(Default)]
struct Month {
    found: HashMap<ShortId, Found>,
    /// The last leaf and the names in it; new items go there until it is full. Items that were
    /// removed leave gaps in earlier leaves: filling these would touch more leaves.
    last: usize,
    names: HashSet<String>,
    /// Places taken in the last leaf after this round; unknown until the first item arrives.
    used: Option<usize>,
}

/// Works out the changed leaves of a mailbox, and reports in `plan` where the items of the round
/// come to lie.
pub(crate) fn place(
    old: Option<&mut MailboxView<'_>>,
    directories: &Directories,
    input: &MailboxInput,
    excluded: &Excluded,
    plan: &mut Plan,
) -> Result<Edits, VaultError> {
    let mut placement = Placement { old, edits: Edits::new(), months: HashMap::new() };
    let is_excluded =
        |put: &Put| excluded.contains(&(input.mailbox.id.clone(), put.item.id.clone()));
    let keep: HashSet<&ShortId> =
        input.puts.iter().filter(|put| is_excluded(put)).map(|put| &put.short).collect();
    for path in &input.removes {
        // The former state of an item that cannot be read now must not go with it.
        if path.short().is_none_or(|short| !keep.contains(&short)) {
            placement.remove(path);
        }
    }
    let mut arrivals = Vec::new();
    for put in input.puts.iter().filter(|put| !is_excluded(put)) {
        if !directories.contains(&put.item.folder) {
            let reason = "the item lies in a folder that the mailbox does not have".to_owned();
            plan.failed.push(failed(input, put, reason));
            continue;
        }
        let former = placement.former(put)?;
        let stays = match &former {
            Some(found) if found.path.folder == put.item.folder => former.clone(),
            _ => placement.found_in_month(put)?,
        };
        let Some((bytes, source, stream)) = content(put, former.as_ref().or(stays.as_ref())) else {
            let reason = "the content was to be kept, but the vault does not have it".to_owned();
            plan.failed.push(failed(input, put, reason));
            continue;
        };
        if let Some(Found { path, .. }) = &former
            && path.folder != put.item.folder
        {
            placement.remove(path);
        }
        let item = LeafItem {
            item: put.item.clone(),
            mailbox: input.id.clone(),
            short: put.short.clone(),
            bytes,
            source,
            stream,
        };
        match stays {
            Some(found) => placement.put(found.path, item, input, plan),
            None => arrivals.push(item),
        }
    }
    // Last, when it is known which places became free.
    for item in arrivals {
        let path = placement.new_place(&item)?;
        placement.put(path, item, input, plan);
    }
    Ok(placement.edits)
}

impl Placement<'_, '_> {
    fn remove(&mut self, path: &ItemPath) {
        self.edit(&path.folder, &path.leaf).remove.insert(path.name.clone());
    }

    fn put(&mut self, path: ItemPath, item: LeafItem, input: &MailboxInput, plan: &mut Plan) {
        plan.placed.push(Placed {
            mailbox: input.mailbox.id.clone(),
            item: item.item.id.clone(),
            short: item.short.clone(),
            path: path.clone(),
            bytes: item.bytes,
        });
        self.edit(&path.folder, &path.leaf).put.insert(path.name, item);
    }

    fn edit(&mut self, folder: &FolderId, leaf: &str) -> &mut LeafEdit {
        self.edits.entry(folder.clone()).or_default().entry(leaf.to_owned()).or_default()
    }

    /// Where the newest snapshot has an item, if it does where the caller says.
    fn former(&mut self, put: &Put) -> Result<Option<Found>, VaultError> {
        let (Some(old), Some(path)) = (&mut self.old, &put.previous) else {
            return Ok(None);
        };
        let Some(node) = old.item(path)? else { return Ok(None) };
        let stream = old.stream(path)?;
        Ok(Some(Found { path: path.clone(), node, stream }))
    }

    /// Where the newest snapshot has an item in the folder that it belongs in: when a round is
    /// written a second time, nobody can say, but it is there.
    fn found_in_month(&mut self, put: &Put) -> Result<Option<Found>, VaultError> {
        let month = layout::month(put.item.received);
        Ok(self.month(&put.item.folder, &month)?.found.get(&put.short).cloned())
    }

    fn month(&mut self, folder: &FolderId, month: &str) -> Result<&mut Month, VaultError> {
        let key = (folder.clone(), month.to_owned());
        if !self.months.contains_key(&key) {
            let mut known = Month::default();
            if let Some(old) = &mut self.old {
                for (leaf, tree) in old.month(folder, month)? {
                    known.names.clear();
                    known.last = layout::parse_leaf(&leaf).map_or(1, |(_, number)| number);
                    for node in &tree.nodes {
                        let name = node.name().to_string_lossy().into_owned();
                        // It comes right behind its item.
                        if let Some(item) = layout::item_of_stream(&name) {
                            let short = layout::short_id_of(item).and_then(|id| id.parse().ok());
                            if let Some(found) = short.and_then(|id| known.found.get_mut(&id)) {
                                found.stream = Some(node.clone());
                            }
                            continue;
                        }
                        let path = ItemPath { folder: folder.clone(), leaf: leaf.clone(), name };
                        let Some(short) = path.short() else { continue };
                        known.names.insert(path.name.clone());
                        let found = Found { path, node: node.clone(), stream: None };
                        known.found.insert(short, found);
                    }
                }
            }
            self.months.insert(key.clone(), known);
        }
        Ok(self.months.entry(key).or_default())
    }

    /// A place for an item that its folder does not have.
    fn new_place(&mut self, item: &LeafItem) -> Result<ItemPath, VaultError> {
        let folder = &item.item.folder;
        let name = layout::month(item.item.received);
        self.month(folder, &name)?;
        let edits = self.edits.get(folder);
        let month = self.months.entry((folder.clone(), name.clone())).or_default();
        let used = *month.used.get_or_insert_with(|| {
            month.last = month.last.max(1);
            let edit = edits.and_then(|leaves| leaves.get(&layout::leaf(&name, month.last)));
            let Some(edit) = edit else { return month.names.len() };
            let kept = month.names.iter().filter(|name| !edit.remove.contains(*name));
            kept.chain(edit.put.keys()).collect::<HashSet<_>>().len()
        });
        if used < LEAF_CAPACITY {
            month.used = Some(used + 1);
        } else {
            month.last += 1;
            month.used = Some(1);
        }
        Ok(ItemPath {
            folder: folder.clone(),
            leaf: layout::leaf(&name, month.last),
            name: layout::item_name(&item.item, &item.short),
        })
    }
}

fn content(put: &Put, stored: Option<&Found>) -> Option<(u64, Source, Option<LeafStream>)> {
    match &put.content {
        Content::New { bytes, open, stream } => {
            let stream = stream.as_ref().map(|stream| LeafStream {
                bytes: stream.bytes,
                source: Source::New(stream.open.clone()),
            });
            Some((*bytes, Source::New(open.clone()), stream))
        }
        Content::Kept => {
            let Found { node, stream, .. } = stored?;
            let pieces = |node: &Node| Some(Source::Stored(node.content.clone()?));
            let stream = stream.as_ref().and_then(|stream| {
                Some(LeafStream { bytes: stream.meta.size, source: pieces(stream)? })
            });
            Some((node.meta.size, pieces(node)?, stream))
        }
    }
}

fn failed(input: &MailboxInput, put: &Put, reason: String) -> FailedItem {
    FailedItem { mailbox: input.mailbox.id.clone(), item: put.item.id.clone(), reason }
}
