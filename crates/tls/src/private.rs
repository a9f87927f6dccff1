//! Files that are whole or not there, and that nobody else can read.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use crate::{MAX_FILE, TlsError};

/// The content of a file of at most [`MAX_FILE`] bytes; `None` when it is not there.
pub(crate) fn read(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, TlsError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(|source| failed(path, source))?,
    };
    // Room for all of it, so that the buffer does not move and leave copies behind.
    let mut content = Zeroizing::new(Vec::with_capacity(16 * 1024));
    file.take(MAX_FILE + 1).read_to_end(&mut content).map_err(|source| failed(path, source))?;
    if content.len() as u64 > MAX_FILE {
        let what = format!("more than {MAX_FILE} bytes");
        return Err(TlsError::Content { path: path.to_owned(), what });
    }
    Ok(Some(content))
}

/// [`read`] of a file that has to be there.
pub(crate) fn read_existing(path: &Path) -> Result<Zeroizing<Vec<u8>>, TlsError> {
    let missing = || io::Error::new(io::ErrorKind::NotFound, "there is no such file");
    read(path)?.ok_or_else(|| failed(path, missing()))
}

/// Makes a directory that only its owner can enter.
pub(crate) fn make_directory(path: &Path) -> Result<(), TlsError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| failed(path, source))
}

/// Writes a file (mode 0600) as a whole.
pub(crate) fn write(path: &Path, content: &[u8]) -> Result<(), TlsError> {
    let temporary = PathBuf::from(format!("{}.new", path.display()));
    let write = || {
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
    };
    write().map_err(|source| failed(path, source))
}

fn failed(path: &Path, source: io::Error) -> TlsError {
    TlsError::File { path: path.to_owned(), source }
}
