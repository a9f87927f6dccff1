//! Many events and tasks in one calendar, many contacts in one file of vCards.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs::{self, File},
    io::{self, BufWriter, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use rustic_core::repofile::Node;

use crate::{
    Vault, VaultError,
    export::{create, output},
    formats::{BEGIN_CALENDAR, CalendarParts, END_CALENDAR},
};

/// A calendar on its way. Readers want zones before the events that use them, and which are used is
/// known at the end; so events and tasks wait in a file beside it.
pub(crate) struct Calendar {
    path: PathBuf,
    file: BufWriter<File>,
    waiting: PathBuf,
    events: File,
    /// By the line that names them: what was said of them. All of it is true, so that what is told
    /// of different years goes together.
    zones: BTreeMap<Vec<u8>, Vec<Vec<u8>>>,
}

impl Calendar {
    pub(crate) fn create(path: &Path) -> Result<Self, VaultError> {
        let file = create(path)?;
        let mut waiting = OsString::from(path);
        waiting.push(".part");
        let waiting = PathBuf::from(waiting);
        let events = match create_part(&waiting) {
            Ok(events) => events,
            Err(error) => {
                drop(file);
                fs::remove_file(path).map_err(|error| output(path, error))?;
                return Err(error);
            }
        };
        let file = BufWriter::new(file);
        Ok(Self { path: path.to_owned(), file, waiting, events, zones: BTreeMap::new() })
    }

    pub(crate) fn append(&mut self, vault: &Vault, node: &Node) -> Result<u64, VaultError> {
        let mut content = Vec::new();
        let written = vault.stream(node, &mut content)?;
        let parts = CalendarParts::of(&content).ok_or_else(|| VaultError::Content {
            what: "it is not a calendar of ours".to_owned(),
        })?;
        for (zone, observances) in parts.zones {
            let known = self.zones.entry(zone).or_default();
            for observance in observances {
                if !known.contains(&observance) {
                    known.push(observance);
                }
            }
        }
        self.events.write_all(&parts.items).map_err(|error| output(&self.waiting, error))?;
        Ok(written)
    }

    pub(crate) fn close(self) -> Result<(), VaultError> {
        let Self { path, mut file, waiting, mut events, zones } = self;
        let mut write = || {
            file.write_all(BEGIN_CALENDAR.as_bytes())?;
            for (id, observances) in &zones {
                file.write_all(b"BEGIN:VTIMEZONE\r\n")?;
                file.write_all(id)?;
                observances.iter().try_for_each(|observance| file.write_all(observance))?;
                file.write_all(b"END:VTIMEZONE\r\n")?;
            }
            events.seek(SeekFrom::Start(0))?;
            io::copy(&mut events, &mut file)?;
            file.write_all(END_CALENDAR.as_bytes())?;
            file.flush()
        };
        write().map_err(|error| output(&path, error))?;
        fs::remove_file(&waiting).map_err(|error| output(&waiting, error))
    }
}

/// A file of vCards on its way.
pub(crate) struct Cards {
    path: PathBuf,
    file: BufWriter<File>,
}

impl Cards {
    pub(crate) fn create(path: &Path) -> Result<Self, VaultError> {
        Ok(Self { path: path.to_owned(), file: BufWriter::new(create(path)?) })
    }

    pub(crate) fn append(&mut self, vault: &Vault, node: &Node) -> Result<u64, VaultError> {
        let mut content = Vec::new();
        let written = vault.stream(node, &mut content)?;
        self.file.write_all(&content).map_err(|error| output(&self.path, error))?;
        Ok(written)
    }

    pub(crate) fn close(mut self) -> Result<(), VaultError> {
        self.file.flush().map_err(|error| output(&self.path, error))
    }
}

/// As [`create`], but it can be read as well.
fn create_part(path: &Path) -> Result<File, VaultError> {
    drop(create(path)?);
    let opened = fs::OpenOptions::new().read(true).write(true).open(path);
    opened.map_err(|error| output(path, error))
}
