//! Mail to begin with: from files, from an archive, or of our own making.

mod archive;
pub(crate) mod builtin;
mod builtin_text;
pub(crate) mod events;
pub(crate) mod generate;
pub(crate) mod kinds;
mod layout;
mod mbox;
pub(crate) mod people;
mod rng;
mod tree;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) use mbox::to_crlf;
pub(crate) use rng::Rng;

use crate::LabError;
use crate::state::SeedMessage;
use layout::Layout;

/// One person's mail, by folder.
#[derive(Debug)]
pub(crate) struct SeedMailbox {
    /// Local part of the address.
    pub(crate) person: String,
    pub(crate) folders: Vec<SeedFolder>,
}

#[derive(Debug)]
pub(crate) struct SeedFolder {
    /// Names from the top; never empty.
    pub(crate) path: Vec<String>,
    pub(crate) messages: Vec<SeedMessage>,
}

/// Reads all seeds. Blocking.
pub(crate) fn load(seeds: &[PathBuf]) -> Result<Vec<Arc<SeedMailbox>>, LabError> {
    let mut layout = Layout::default();
    for seed in seeds {
        let read = if is_archive(seed) { archive::read } else { tree::read };
        match read(seed, &mut layout) {
            Ok(true) => {}
            Ok(false) => return Err(LabError::EmptySeed(seed.clone())),
            Err(source) => return Err(LabError::Seed { path: seed.clone(), source }),
        }
    }
    Ok(layout.into_mailboxes().into_iter().map(Arc::new).collect())
}

fn is_archive(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    path.is_file()
        && (name.ends_with(".tar.xz") || name.ends_with(".txz") || name.ends_with(".tar"))
}
