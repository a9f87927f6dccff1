use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

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

/// What a recovery kit has for Mailkeep.
#[derive(Debug)]
pub struct ReadKit {
    /// Where the repository lay when the kit was written.
    pub repository: PathBuf,
    /// What opens it.
    pub password: Secret,
}

/// Bytes of a file of a kit: the path and the password are far shorter.
const LONGEST: u64 = 16 * 1024;

/// Reads the files `repository` and `password` of a kit; of each, the first line counts.
///
/// # Errors
/// [`VaultError::NotAKit`].
pub fn read_recovery_kit(dir: &Path) -> Result<ReadKit, VaultError> {
    let not_a_kit = |what: String| VaultError::NotAKit { dir: dir.to_owned(), what };
    let line = |name: &str| {
        let line =
            first_line(&dir.join(name)).map_err(|error| not_a_kit(format!("{name}: {error}")))?;
        if line.is_empty() {
            return Err(not_a_kit(format!("the first line of '{name}' is empty")));
        }
        Ok(line)
    };
    let repository = PathBuf::from(line("repository")?);
    Ok(ReadKit { repository, password: Secret::new(line("password")?) })
}

fn first_line(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(LONGEST).read_to_string(&mut text)?;
    Ok(text.lines().next().unwrap_or_default().trim_end().to_owned())
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
         With Mailkeep, when the signer is lost: mailkeep identity recover {tenant} --kit DIR, with\n\
         this directory (docs/operating.md, 'When the signer is lost').\n\
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_kit_is_said_to_be_none_and_what_is_missing() {
        let directory = tempfile::tempdir().unwrap();
        let said = || read_recovery_kit(directory.path()).unwrap_err().to_string();
        assert!(said().contains("holds no recovery kit: repository"), "{}", said());
        fs::write(directory.path().join("repository"), "/srv/vault/acme\r\n").unwrap();
        fs::write(directory.path().join("password"), "\n").unwrap();
        assert!(said().contains("'password' is empty"), "{}", said());
        fs::write(directory.path().join("password"), "one\ntwo\n").unwrap();
        let kit = read_recovery_kit(directory.path()).unwrap();
        assert_eq!(kit.repository, Path::new("/srv/vault/acme"));
        assert_eq!(kit.password.expose(), "one");
    }
}
