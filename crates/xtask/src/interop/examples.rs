//! The documentation's examples of answers, and which of them a test has read.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use anyhow::{Context, Result};

/// How the reference data marks an example whose JSON can be read.
const READABLE: &str = "yes";

#[derive(Debug, Default)]
pub(crate) struct Examples {
    /// Examples by page (`message-get`): those of answers that are JSON.
    of_pages: BTreeMap<String, BTreeSet<String>>,
    /// Those that a test read and compared.
    read: BTreeSet<String>,
}

impl Examples {
    /// `graph`: the reference data; `read`: a directory with a file for each example, named as it.
    pub(crate) fn read(graph: &Path, read: &Path) -> Result<Self> {
        let index = graph.join("examples/index.tsv");
        let text = fs::read_to_string(&index).with_context(|| index.display().to_string())?;
        let mut examples = Self::default();
        for line in text.lines().skip(1) {
            let columns: Vec<&str> = line.split('\t').collect();
            let [file, page, _, _, "response", _, READABLE, ..] = columns[..] else { continue };
            // A refusal is read as such by what reads them all.
            let text = fs::read_to_string(graph.join("examples").join(file))?;
            if text.starts_with("HTTP/1.1 4") || text.starts_with("HTTP/1.1 5") {
                continue;
            }
            let page = page.rsplit('/').next().unwrap_or(page).trim_end_matches(".md");
            let page = if file.starts_with("beta-") { format!("beta-{page}") } else { page.into() };
            examples.of_pages.entry(page).or_default().insert(file.to_owned());
        }
        for entry in fs::read_dir(read).into_iter().flatten() {
            examples.read.insert(entry?.file_name().to_string_lossy().into_owned());
        }
        Ok(examples)
    }

    /// Of pages: how many examples there are, and which of them nobody has read.
    pub(crate) fn unread(&self, pages: &[&str]) -> (usize, Vec<&str>) {
        let all = pages.iter().filter_map(|page| self.of_pages.get(*page)).flatten();
        let all: BTreeSet<&str> = all.map(String::as_str).collect();
        let unread = all.iter().copied().filter(|file| !self.read.contains(*file)).collect();
        (all.len(), unread)
    }
}
