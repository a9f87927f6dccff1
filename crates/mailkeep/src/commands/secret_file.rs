//! Files that somebody wrote a secret into.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

/// What is longer is no secret that belongs into such a file.
const LONGEST: u64 = 4096;

/// The text of the file; of standard input for `-`.
///
/// # Errors
/// When it cannot be read, or is not text.
pub(super) fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    if path == Path::new("-") {
        io::stdin().lock().take(LONGEST).read_to_string(&mut text)?;
    } else {
        File::open(path)?.take(LONGEST).read_to_string(&mut text)?;
    }
    Ok(text)
}
