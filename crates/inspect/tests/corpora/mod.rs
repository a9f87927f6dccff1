//! The labelled corpora (`../shared/data/mail`, unpacked into `target/testdata`); nothing of them is in this
//! repository.

#![allow(dead_code, clippy::unwrap_used)] // each test uses a part; the corpora are as their README says

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A corpus by its name; `None`, and said, where it is absent.
pub(crate) fn corpus(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/testdata").join(name);
    if !path.exists() {
        eprintln!("skipped, because {} is absent (../shared/tools/unpack-data)", path.display());
        return None;
    }
    Some(path)
}

/// The messages of a folder by their names, in order.
pub(crate) fn messages(folder: &Path) -> impl Iterator<Item = (String, Vec<u8>)> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.into_iter().filter(|path| path.extension().is_some_and(|e| e == "eml")).map(|path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, fs::read(path).unwrap())
    })
}

/// All files below a folder.
pub(crate) fn files(folder: PathBuf) -> Vec<PathBuf> {
    let (mut folders, mut files) = (vec![folder], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { &mut folders } else { &mut files }.push(path);
        }
    }
    files.sort();
    files
}
