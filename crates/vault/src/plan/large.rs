//! The part of a plan that has to be cut into pieces.

use super::{Directory, Entry, Leaf, Plan, leaf_files};
use crate::{layout, records, repository::ONE_PIECE};

impl Plan {
    /// How many files are rebuilt.
    pub(crate) fn files(&self) -> usize {
        files(&self.root)
    }

    /// All files that are more than one piece, with the directories that they lie in.
    pub(crate) fn large(&self) -> Directory {
        large(&self.root)
    }
}

fn files(directory: &Directory) -> usize {
    let count = |entry: &Entry| match entry {
        Entry::Graft(_) => 0,
        Entry::Directory(directory) => files(directory),
        Entry::Leaf(leaf) => {
            leaf.len() + leaf.values().filter(|item| item.stream.is_some()).count() + 1
        }
        Entry::File(_) | Entry::Item(_) => 1,
    };
    directory.values().map(count).sum()
}

fn large(directory: &Directory) -> Directory {
    let mut extract = Directory::new();
    for (name, entry) in directory {
        match entry {
            Entry::Directory(below) => {
                let below = large(below);
                if !below.is_empty() {
                    extract.insert(name.clone(), Entry::Directory(below));
                }
            }
            Entry::Leaf(leaf) => {
                let below = large_in_leaf(leaf);
                if !below.is_empty() {
                    extract.insert(name.clone(), Entry::Directory(below));
                }
            }
            Entry::File(bytes) if bytes.len() as u64 >= ONE_PIECE => {
                extract.insert(name.clone(), Entry::File(bytes.clone()));
            }
            Entry::Graft(_) | Entry::File(_) | Entry::Item(_) => {}
        }
    }
    extract
}

fn large_in_leaf(leaf: &Leaf) -> Directory {
    let mut extract: Directory = leaf_files(leaf.clone())
        .into_iter()
        .filter(|(_, file)| file.bytes >= ONE_PIECE)
        .map(|(name, file)| (name, Entry::Item(file)))
        .collect();
    let index = records::leaf_index(leaf);
    if index.len() as u64 >= ONE_PIECE {
        extract.insert(layout::INDEX_FILE.to_owned(), Entry::File(index));
    }
    extract
}
