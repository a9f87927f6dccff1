//! The small files that we keep beside the mail, as they lie in the repository.

use mailkeep_model::{Folder, FolderId, Item, Mailbox};
use serde::{Deserialize, Serialize};

use crate::{Completeness, ItemPath, ShortId, StoredItem, layout::Directories, plan::Leaf};

const SCHEMA: u32 = 1;

/// `mailbox.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct MailboxFile {
    schema: u32,
    #[serde(flatten)]
    pub(crate) mailbox: Mailbox,
    pub(crate) complete: Completeness,
}

impl MailboxFile {
    pub(crate) fn new(mailbox: Mailbox, complete: Completeness) -> Self {
        Self { schema: SCHEMA, mailbox, complete }
    }
}

/// `folders.json`. It also says which directory each folder lies in, so that a repository stays
/// readable when the rules for names change.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct FoldersFile {
    schema: u32,
    pub(crate) folders: Vec<FolderRecord>,
}

/// One folder in `folders.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct FolderRecord {
    #[serde(flatten)]
    pub(crate) folder: Folder,
    /// Below `mail`, `/` between components.
    pub(crate) directory: String,
}

impl FoldersFile {
    pub(crate) fn new(folders: &[Folder], directories: &Directories) -> Self {
        let mut folders: Vec<_> = folders
            .iter()
            .filter_map(|folder| {
                let directory = directories.path(&folder.id)?.join("/");
                Some(FolderRecord { folder: folder.clone(), directory })
            })
            .collect();
        folders.sort_by(|a, b| a.directory.cmp(&b.directory));
        folders.dedup_by(|a, b| a.folder.id == b.folder.id);
        Self { schema: SCHEMA, folders }
    }

    pub(crate) fn directories(&self) -> Directories {
        Directories::stored(self.folders.iter().map(|f| (&f.folder.id, f.directory.as_str())))
    }
}

/// One line of `items.jsonl`.
#[derive(Debug, Serialize, Deserialize)]
struct IndexLine<I> {
    file: String,
    short: ShortId,
    bytes: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stream_bytes: Option<u64>,
    item: I,
}

/// The index of a leaf. Lines are in the order of the files.
pub(crate) fn leaf_index(leaf: &Leaf) -> Vec<u8> {
    let mut index = Vec::new();
    for (name, item) in leaf {
        let line = IndexLine {
            file: name.clone(),
            short: item.short.clone(),
            bytes: item.bytes,
            stream_bytes: item.stream.as_ref().map(|stream| stream.bytes),
            item: &*item.item,
        };
        serde_json::to_writer(&mut index, &line).expect("an item has string keys alone");
        index.push(b'\n');
    }
    index
}

/// Reads a leaf index.
pub(crate) fn parse_index(
    index: &[u8],
    folder: &FolderId,
    leaf: &str,
) -> Result<Vec<StoredItem>, String> {
    let mut items = Vec::new();
    for line in index.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let line: IndexLine<Item> =
            serde_json::from_slice(line).map_err(|error| format!("leaf index: {error}"))?;
        items.push(StoredItem {
            path: ItemPath { folder: folder.clone(), leaf: leaf.to_owned(), name: line.file },
            short: line.short,
            item: line.item,
            bytes: line.bytes,
            stream_bytes: line.stream_bytes,
        });
    }
    Ok(items)
}

/// One of our own JSON files as it is stored: stable, and readable for people.
pub(crate) fn to_file(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(value).expect("our records have string keys alone");
    bytes.push(b'\n');
    bytes
}
