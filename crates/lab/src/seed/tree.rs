//! Seeds that are a directory or a single file.

use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::Path;

use super::layout::{Layout, WRAPPER, strip_extension};

/// Deeper than any mailbox's folders.
const DEEPEST: usize = 32;

/// Reads a directory, or one file of mail. Symbolic links are not followed below the top.
pub(super) fn read(seed: &Path, layout: &mut Layout) -> io::Result<bool> {
    let name = seed.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if !seed.is_dir() {
        let file = BufReader::new(File::open(seed)?);
        layout.add(std::slice::from_ref(&name), file)?;
        let stem = strip_extension(&name, ".mbox").or_else(|| strip_extension(&name, ".eml"));
        return Ok(layout.finish(stem.unwrap_or(&name)));
    }
    let mut path = Vec::new();
    let wrapper = seed.join(WRAPPER);
    if wrapper.is_dir() {
        path.push(WRAPPER.to_owned());
        walk(&wrapper, &mut path, layout)?;
    } else {
        walk(seed, &mut path, layout)?;
    }
    Ok(layout.finish(&name))
}

fn walk(directory: &Path, path: &mut Vec<String>, layout: &mut Layout) -> io::Result<()> {
    if path.len() > DEEPEST {
        return Err(io::Error::other("directories are nested too deeply"));
    }
    let mut entries = fs::read_dir(directory)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type()?;
        path.push(name);
        if kind.is_dir() {
            walk(&entry.path(), path, layout)?;
        } else if kind.is_file() && path.last().is_some_and(|name| Layout::is_mail(name)) {
            layout.add(path, BufReader::with_capacity(1 << 16, File::open(entry.path())?))?;
        }
        path.pop();
    }
    Ok(())
}
