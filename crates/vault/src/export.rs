use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use mailkeep_model::{Address, ItemKind};
use rustic_core::repofile::Node;

use crate::{
    FailedItem, FolderPath, SnapshotId, StoredFolder, StoredItem, Vault, VaultError, browse,
    combined::{Calendar, Cards},
    mbox::MessageWriter,
    view::{self, MailboxView},
};

/// What is exported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// The mailbox.
    pub mailbox: Address,
    /// This folder and those below it; `None`: all folders.
    pub folder: Option<FolderPath>,
}

/// How far an export is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExportProgress {
    /// Items written or passed over.
    pub items: u64,
    /// Items selected.
    pub of: u64,
    /// Bytes of content written.
    pub bytes: u64,
}

/// What an export came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExportReport {
    /// Items written.
    pub items: u64,
    /// Of these, tasks.
    pub tasks: u64,
    /// Bytes of content written, before any quoting.
    pub bytes: u64,
    /// Files written.
    pub files: u64,
    /// Selected items of another kind than the format holds: they were passed over.
    pub not_of_format: u64,
    /// Items that could not be read.
    pub failed: Vec<FailedItem>,
}

/// How export tells how far it is.
type Progress<'p> = &'p mut dyn FnMut(ExportProgress);

/// What an export writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportForm {
    /// Each message, byte for byte as it was stored, to a file of its own below a directory, in
    /// directories like those of the repository (also for empty folders of mail).
    Eml,
    /// The messages of each folder of mail to an mbox of its own below a directory: `Inbox.mbox`,
    /// `Inbox/Projects.mbox` (mboxrd, line ends LF).
    MboxFolders,
    /// All messages, one behind the other, to one file (mboxrd, line ends LF).
    Mbox,
    /// Each event and task to a file of its own, as [`ExportForm::Eml`] does with messages.
    Ics,
    /// All events and tasks to one file, one calendar that says of each zone once what it is. While it is
    /// written, a file `OUT.part` lies beside it.
    IcsFile,
    /// Each contact to a file of its own, as [`ExportForm::Eml`] does with messages.
    Vcf,
    /// All contacts, one vCard behind the other, to one file.
    VcfFile,
}

impl ExportForm {
    /// What it takes; items of other kinds are passed over.
    fn kinds(self) -> &'static [ItemKind] {
        match self {
            Self::Eml | Self::MboxFolders | Self::Mbox => &[ItemKind::Message],
            Self::Ics | Self::IcsFile => &[ItemKind::Event, ItemKind::Task],
            Self::Vcf | Self::VcfFile => &[ItemKind::Contact],
        }
    }
}

impl Vault {
    /// Writes what is selected to the file or directory `out`.
    ///
    /// # Errors
    /// [`VaultError::NoSuchSnapshot`], [`VaultError::NoSuchMailbox`],
    /// [`VaultError::NoSuchFolder`]; [`VaultError::Output`], [`VaultError::OutputExists`];
    /// [`VaultError::Storage`], [`VaultError::Damaged`]. An item that cannot be read is skipped
    /// and reported.
    pub fn export(
        &self,
        snapshot: &SnapshotId,
        selection: &Selection,
        form: ExportForm,
        out: &Path,
        progress: &mut dyn FnMut(ExportProgress),
    ) -> Result<ExportReport, VaultError> {
        let mut export = Export::new(self, snapshot, selection, form.kinds(), progress)?;
        match form {
            ExportForm::Eml | ExportForm::Ics | ExportForm::Vcf => {
                return export.one_file_each(out);
            }
            ExportForm::MboxFolders => return export.one_mbox_each(out),
            ExportForm::Mbox => {
                let mut mbox = Mbox::create(out)?;
                export.all(|vault, item, node| mbox.append(vault, item, node))?;
                mbox.close()?;
            }
            ExportForm::IcsFile => {
                let mut calendar = Calendar::create(out)?;
                export.all(|vault, _, node| calendar.append(vault, node))?;
                calendar.close()?;
            }
            ExportForm::VcfFile => {
                let mut cards = Cards::create(out)?;
                export.all(|vault, _, node| cards.append(vault, node))?;
                cards.close()?;
            }
        }
        export.report.files = 1;
        Ok(export.report)
    }
}

/// One export on its way.
struct Export<'v, 'p> {
    vault: &'v Vault,
    view: MailboxView<'v>,
    folders: Vec<StoredFolder>,
    kinds: &'static [ItemKind],
    done: ExportProgress,
    report: ExportReport,
    progress: Progress<'p>,
}

impl<'v, 'p> Export<'v, 'p> {
    fn new(
        vault: &'v Vault,
        snapshot: &SnapshotId,
        selection: &Selection,
        kinds: &'static [ItemKind],
        progress: Progress<'p>,
    ) -> Result<Self, VaultError> {
        let mut view = vault.view(snapshot, &selection.mailbox)?;
        let mut folders = browse::stored_folders(&mut view)?;
        if let Some(root) = &selection.folder {
            folders.retain(|folder| folder.path.is_within(root));
            if folders.is_empty() {
                return Err(VaultError::NoSuchFolder {
                    snapshot: snapshot.clone(),
                    mailbox: selection.mailbox.clone(),
                    folder: root.to_string(),
                });
            }
        }
        let of = folders.iter().map(|folder| folder.items).sum();
        let done = ExportProgress { items: 0, of, bytes: 0 };
        Ok(Self { vault, view, folders, kinds, done, report: ExportReport::default(), progress })
    }

    /// Whether a folder holds what the format does.
    fn belongs(&self, folder: &StoredFolder) -> bool {
        self.kinds.contains(&folder.folder.kind.items())
    }

    /// Counts a folder of something else: nothing in it is of the format's kind.
    fn pass_over(&mut self, folder: &StoredFolder) {
        self.report.not_of_format += folder.items;
        self.done.items += folder.items;
        (self.progress)(self.done);
    }

    fn one_file_each(mut self, out: &Path) -> Result<ExportReport, VaultError> {
        create_directory(out)?;
        for folder in std::mem::take(&mut self.folders) {
            let directory = out.join(&folder.directory);
            if self.belongs(&folder) {
                create_directory(&directory)?;
            }
            self.items(&folder, |vault, item, node| {
                let leaf = directory.join(&item.path.leaf);
                create_directory(&leaf)?;
                let path = leaf.join(&item.path.name);
                let mut file = create(&path)?;
                let written = vault.stream(node, &mut file).map_err(|e| at(&path, e));
                match written {
                    Ok(written) => Ok(written),
                    Err(error) => {
                        drop(file);
                        fs::remove_file(&path).map_err(|e| output(&path, e))?;
                        Err(error)
                    }
                }
            })?;
        }
        self.report.files = self.report.items;
        Ok(self.report)
    }

    fn one_mbox_each(mut self, out: &Path) -> Result<ExportReport, VaultError> {
        for folder in std::mem::take(&mut self.folders) {
            if !self.belongs(&folder) {
                self.pass_over(&folder);
                continue;
            }
            let path = out.join(format!("{}.mbox", folder.directory));
            create_directory(path.parent().unwrap_or(out))?;
            let mut mbox = Mbox::create(&path)?;
            self.items(&folder, |vault, item, node| mbox.append(vault, item, node))?;
            mbox.close()?;
            self.report.files += 1;
        }
        Ok(self.report)
    }

    /// Calls `write` with each item of all folders.
    fn all(
        &mut self,
        mut write: impl FnMut(&Vault, &StoredItem, &Node) -> Result<u64, VaultError>,
    ) -> Result<(), VaultError> {
        let folders = std::mem::take(&mut self.folders);
        folders.iter().try_for_each(|folder| self.items(folder, &mut write))
    }

    /// Calls `write` with each item of a folder that is of the format's kind, a leaf at a time, and
    /// counts.
    fn items(
        &mut self,
        folder: &StoredFolder,
        mut write: impl FnMut(&Vault, &StoredItem, &Node) -> Result<u64, VaultError>,
    ) -> Result<(), VaultError> {
        if !self.belongs(folder) {
            self.pass_over(folder);
            return Ok(());
        }
        let id = &folder.folder.id;
        for (leaf, tree) in self.view.leaves(id)? {
            let mut items = self.view.index(id, &leaf, tree)?;
            let tree = self.view.tree(tree)?;
            items.sort_by(|a, b| (a.item.received, &a.short).cmp(&(b.item.received, &b.short)));
            for item in items {
                if !self.kinds.contains(&item.item.kind) {
                    self.report.not_of_format += 1;
                    self.done.items += 1;
                    (self.progress)(self.done);
                    continue;
                }
                let written = match view::node(&tree, &item.path.name) {
                    Some(node) => write(self.vault, &item, node),
                    None => Err(self.vault.damaged("it has no content")),
                };
                match written {
                    Ok(bytes) => {
                        self.report.items += 1;
                        self.report.tasks += u64::from(item.item.kind == ItemKind::Task);
                        self.report.bytes += bytes;
                        self.done.bytes += bytes;
                    }
                    Err(error @ (VaultError::Output { .. } | VaultError::OutputExists { .. })) => {
                        return Err(error);
                    }
                    Err(error) => self.report.failed.push(FailedItem {
                        mailbox: self.view.about.mailbox.id.clone(),
                        item: item.item.id.clone(),
                        reason: error.to_string(),
                    }),
                }
                self.done.items += 1;
                (self.progress)(self.done);
            }
        }
        Ok(())
    }
}

/// An mbox file on its way.
struct Mbox {
    path: PathBuf,
    file: BufWriter<File>,
    /// Where the last whole message ends.
    end: u64,
}

impl Mbox {
    fn create(path: &Path) -> Result<Self, VaultError> {
        Ok(Self { path: path.to_owned(), file: BufWriter::new(create(path)?), end: 0 })
    }

    fn append(&mut self, vault: &Vault, item: &StoredItem, node: &Node) -> Result<u64, VaultError> {
        let mut writer = MessageWriter::new(&mut self.file, &item.item)
            .map_err(|error| output(&self.path, error))?;
        let written = vault.stream(node, &mut writer).map_err(|error| at(&self.path, error));
        match written {
            Ok(written) => {
                writer.finish().map_err(|error| output(&self.path, error))?;
                self.end = self.file.stream_position().map_err(|e| output(&self.path, e))?;
                Ok(written)
            }
            // Half a message must not stay in front of the next one.
            Err(error) => {
                let end = self.end;
                let cut = self
                    .file
                    .seek(SeekFrom::Start(end))
                    .and_then(|_| self.file.get_ref().set_len(end));
                cut.map_err(|error| output(&self.path, error))?;
                Err(error)
            }
        }
    }

    fn close(mut self) -> Result<(), VaultError> {
        self.file.flush().map_err(|error| output(&self.path, error))
    }
}

fn create_directory(path: &Path) -> Result<(), VaultError> {
    fs::create_dir_all(path).map_err(|error| output(path, error))
}

/// Creates a file that nobody else can read; never overwrites one.
pub(crate) fn create(path: &Path) -> Result<File, VaultError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => VaultError::OutputExists { path: path.to_owned() },
        _ => output(path, error),
    })
}

pub(crate) fn output(path: &Path, source: io::Error) -> VaultError {
    VaultError::Output { path: path.to_owned(), source }
}

/// Says which file could not be written.
fn at(path: &Path, error: VaultError) -> VaultError {
    match error {
        VaultError::Output { source, .. } => output(path, source),
        other => other,
    }
}
