//! Seeds that are a tar archive, usually compressed with xz. Entries are read as they come; none
//! is written anywhere.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Component, Path};

use super::layout::{Layout, strip_extension};

/// All entries together; a guard against a compressed bomb.
const LARGEST_ARCHIVE: u64 = 64 << 30;
/// xz's own working memory.
const XZ_MEMORY: u64 = 1 << 30;

pub(super) fn read(seed: &Path, layout: &mut Layout) -> io::Result<bool> {
    let name = seed.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let file = BufReader::with_capacity(1 << 16, File::open(seed)?);
    let stem = name.split('.').next().unwrap_or_default();
    if strip_extension(&name, ".tar").is_some() {
        entries(file, layout)?;
    } else {
        let stream =
            liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, liblzma::stream::CONCATENATED)
                .map_err(io::Error::other)?;
        entries(liblzma::bufread::XzDecoder::new_stream(file, stream), layout)?;
    }
    Ok(layout.finish(stem))
}

fn entries(from: impl Read, layout: &mut Layout) -> io::Result<()> {
    let mut archive = tar::Archive::new(from.take(LARGEST_ARCHIVE));
    for entry in archive.entries()? {
        let entry = entry?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let path: Vec<String> = entry
            .path()?
            .components()
            .filter_map(|component| match component {
                Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
                _ => None,
            })
            .collect();
        if path.last().is_some_and(|name| Layout::is_mail(name)) {
            layout.add(&path, BufReader::with_capacity(1 << 16, entry))?;
        }
    }
    Ok(())
}
