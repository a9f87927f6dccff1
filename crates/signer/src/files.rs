//! Files that are whole or not there, and that nobody else can read.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

/// Makes a directory that only its owner can enter, with those above it.
pub(crate) fn make_private_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    if fs::metadata(path)?.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(path, Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// Writes a file (mode 0600) that is there as a whole, on disk, when this returns, and whose
/// former content is there as a whole when this fails.
pub(crate) fn write_atomically(path: &Path, content: &[u8]) -> io::Result<()> {
    let directory = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let temporary = Path::new(&temporary);
    // Left behind by a crash; there is one writer, so that nobody else is at it.
    match fs::remove_file(temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(temporary)?;
    let written = file.write_all(content).and_then(|()| file.sync_all());
    if let Err(error) = written.and_then(|()| fs::rename(temporary, path)) {
        let _ = fs::remove_file(temporary);
        return Err(error);
    }
    sync_directory(directory)
}

/// Puts what changed in a directory (names, not contents) on disk.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Reads a file of at most `limit` bytes; `None` when it is not there.
pub(crate) fn read_bounded(path: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    if file.metadata()?.len() > limit {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is too large"));
    }
    let mut content = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(file, limit), &mut content)?;
    Ok(Some(content))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_file_is_not_readable_by_others_and_survives_a_crash_while_it_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let inner = directory.path().join("a/b");
        make_private_directory(&inner).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&inner), 0o700);

        let path = inner.join("file");
        write_atomically(&path, b"one").unwrap();
        assert_eq!(mode(&path), 0o600);
        fs::write(inner.join("file.new"), b"half").unwrap();
        assert_eq!(read_bounded(&path, 10).unwrap().unwrap(), b"one");
        write_atomically(&path, b"two").unwrap();
        assert_eq!(read_bounded(&path, 10).unwrap().unwrap(), b"two");
        assert!(read_bounded(&path, 2).is_err());
        assert!(read_bounded(&inner.join("none"), 2).unwrap().is_none());
        assert_eq!(fs::read_dir(&inner).unwrap().count(), 1);
    }
}
