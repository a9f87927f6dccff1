//! Which folders lie the same as before, with everything below them.

use std::collections::HashMap;

use mailkeep_model::FolderId;

use crate::{layout::Directories, stored::short_hash};

/// For each folder, what stands for the names and identities of all folders below it.
#[derive(Debug)]
pub(crate) struct Shapes<'d> {
    directories: &'d Directories,
    known: HashMap<Option<FolderId>, String>,
}

impl<'d> Shapes<'d> {
    pub(crate) fn new(directories: &'d Directories) -> Self {
        Self { directories, known: HashMap::new() }
    }

    pub(crate) fn of(&mut self, folder: Option<&FolderId>) -> String {
        if let Some(shape) = self.known.get(&folder.cloned()) {
            return shape.clone();
        }
        let mut parts = Vec::new();
        for (name, child) in self.directories.children(folder) {
            parts.extend([name.clone(), child.0.clone(), self.of(Some(child))]);
        }
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let shape = short_hash(&parts);
        self.known.insert(folder.cloned(), shape.clone());
        shape
    }
}
