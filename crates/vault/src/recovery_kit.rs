use std::{fs, io::Write, path::Path};

use mailkeep_model::{Secret, TenantName};

use crate::{
    VaultError,
    export::{create, output},
};

/// What it takes to read a tenant's repository without Mailkeep.
#[derive(Debug)]
pub struct RecoveryKit<'a> {
    /// Whose repository it is.
    pub tenant: &'a TenantName,
    /// Where it lies.
    pub repository: &'a Path,
    /// [`crate::Vault::repository_id`].
    pub repository_id: &'a str,
    /// What opens it.
    pub password: &'a Secret,
}

/// Writes `repository`, `password` (for its owner's eyes only) and `README.txt` into the directory
/// `out`, which is made when it is missing.
///
/// # Errors
/// [`VaultError::OutputExists`] when one of the files is there already; then nothing is written.
/// [`VaultError::Output`].
pub fn write_recovery_kit(out: &Path, kit: &RecoveryKit<'_>) -> Result<(), VaultError> {
    let repository =
        std::path::absolute(kit.repository).map_err(|error| output(kit.repository, error))?;
    let files = [
        ("repository", format!("{}\n", repository.display())),
        ("password", format!("{}\n", kit.password.expose())),
        ("README.txt", readme(kit, &repository)),
    ];
    for (name, _) in &files {
        let path = out.join(name);
        if fs::symlink_metadata(&path).is_ok() {
            return Err(VaultError::OutputExists { path });
        }
    }
    fs::create_dir_all(out).map_err(|error| output(out, error))?;
    for (name, text) in &files {
        let path = out.join(name);
        let mut file = create(&path)?;
        file.write_all(text.as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(|error| output(&path, error))?;
    }
    Ok(())
}

fn readme(kit: &RecoveryKit<'_>, repository: &Path) -> String {
    format!(
        "RECOVERY KIT for the mail of tenant '{tenant}'\n\
         \n\
         Keep this directory in a safe place, away from the repository. Whoever has it and the\n\
         repository can read all of this tenant's mail.\n\
         \n\
         Repository   {repository}\n\
         Identifier   {id}\n\
         Format       restic, version 2 (https://restic.net, https://rustic.cli.rs)\n\
         \n\
         Nothing but restic (0.14 or later; Debian: apt install restic) is needed. In this directory:\n\
         \n\
         \x20 restic --repository-file repository --password-file password snapshots\n\
         \x20 restic --repository-file repository --password-file password check --read-data\n\
         \x20 restic --repository-file repository --password-file password ls latest\n\
         \x20 restic --repository-file repository --password-file password restore latest --target DIR\n\
         \x20 restic --repository-file repository --password-file password restore latest \\\n\
         \x20        --include '/ann@example.com/mail/Inbox' --target DIR\n\
         \n\
         If the repository lies elsewhere, change the path in the file 'repository'.\n\
         \n\
         What you get: a directory for each mailbox; in it mailbox.json (whose it is), folders.json\n\
         (the folders' true names) and mail/, the folders. The messages of a month are .eml files in\n\
         a directory like 2026-11, events .ics and contacts .vcf files; items.jsonl beside them has\n\
         one line for each, with what such a file cannot hold: read or unread, flags, identifiers.\n\
         \n\
         Do not run 'restic prune' or 'restic forget' while Mailkeep writes to the repository: it\n\
         takes no locks. Mailkeep's own retention may be used at any time.\n",
        tenant = kit.tenant,
        repository = repository.display(),
        id = kit.repository_id,
    )
}
