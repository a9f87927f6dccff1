//! Which mailbox and which folder a file of a seed belongs to.

use std::collections::BTreeMap;
use std::io::{self, BufRead};

use super::{SeedFolder, SeedMailbox, mbox};
use crate::state::{Core, SeedMessage};

/// The directory that holds one directory per person, when there is one.
pub(super) const WRAPPER: &str = "mailboxes";
/// Where mail lies that is in no folder.
const NO_FOLDER: &str = "inbox";

/// Collects the files of a seed, then sorts them into mailboxes.
#[derive(Default)]
pub(super) struct Layout {
    /// Of the seed that is being read: directories, names of the folder, messages.
    files: BTreeMap<(Vec<String>, Vec<String>), Vec<SeedMessage>>,
    people: BTreeMap<String, BTreeMap<Vec<String>, Vec<SeedMessage>>>,
}

impl Layout {
    /// Whether a file of this name holds mail.
    pub(super) fn is_mail(name: &str) -> bool {
        strip_extension(name, ".mbox").or_else(|| strip_extension(name, ".eml")).is_some()
    }

    /// Reads one file; `path` are the names inside the seed, the file's last.
    pub(super) fn add(&mut self, path: &[String], mut content: impl BufRead) -> io::Result<()> {
        let Some((file, above)) = path.split_last() else { return Ok(()) };
        if let Some(stem) = strip_extension(file, ".mbox") {
            let names = stem.split('.').filter(|name| !name.is_empty()).map(str::to_owned);
            let messages = self.files.entry((above.to_vec(), names.collect())).or_default();
            mbox::split(&mut content, |piece| {
                let time = mbox::envelope_time(&piece.from_line);
                messages.push(Core::parse(piece.content, time).into());
            })
        } else {
            let mut raw = Vec::new();
            content.read_to_end(&mut raw)?;
            let message = Core::parse(mbox::to_crlf(&raw), None).into();
            self.files.entry((above.to_vec(), Vec::new())).or_default().push(message);
            Ok(())
        }
    }

    /// Ends a seed. Its first level of directories are people (below `mailboxes/` when that is
    /// there, and then nothing else counts); mail at its top belongs to one mailbox, named `name`.
    /// Tells whether there was any mail.
    pub(super) fn finish(&mut self, name: &str) -> bool {
        let files = std::mem::take(&mut self.files);
        let wrapped = files.keys().any(|(above, _)| above.first().is_some_and(|n| n == WRAPPER));
        let mut any = false;
        for ((above, stem), messages) in files {
            let mut above = above.into_iter();
            if wrapped && above.next().is_none_or(|first| first != WRAPPER) {
                continue;
            }
            let person = above.next().unwrap_or_else(|| name.to_owned());
            let mut path: Vec<String> = above.chain(stem).collect();
            if path.is_empty() {
                path.push(NO_FOLDER.to_owned());
            }
            let folders = self.people.entry(local_part(&person)).or_default();
            folders.entry(path).or_default().extend(messages);
            any = true;
        }
        any
    }

    pub(super) fn into_mailboxes(self) -> Vec<SeedMailbox> {
        let folder = |(path, messages)| SeedFolder { path, messages };
        self.people
            .into_iter()
            .map(|(person, folders)| SeedMailbox {
                person,
                folders: folders.into_iter().map(folder).collect(),
            })
            .collect()
    }
}

/// A file's name without its extension, in whatever case that is.
pub(super) fn strip_extension<'a>(name: &'a str, extension: &str) -> Option<&'a str> {
    let cut = name.len().checked_sub(extension.len())?;
    let (stem, end) = (name.get(..cut)?, name.get(cut..)?);
    end.eq_ignore_ascii_case(extension).then_some(stem)
}

/// What can stand before the `@` of an address.
fn local_part(person: &str) -> String {
    let lower = person.to_lowercase();
    let local = lower.split('@').next().unwrap_or_default();
    let plain: String = local
        .chars()
        .map(|c| if c.is_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '-' })
        .collect();
    if plain.is_empty() { "mailbox".to_owned() } else { plain }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailboxes(files: &[&str]) -> Vec<(String, Vec<String>)> {
        let mut layout = Layout::default();
        for file in files {
            let path: Vec<String> = file.split('/').map(str::to_owned).collect();
            layout.add(&path, &b"From x\nSubject: x\n\nx\n"[..]).unwrap();
        }
        layout.finish("Seed");
        let named = |m: SeedMailbox| {
            (m.person, m.folders.iter().map(|f| f.path.join("/")).collect::<Vec<_>>())
        };
        layout.into_mailboxes().into_iter().map(named).collect()
    }

    fn expected(person: &str, folders: &[&str]) -> (String, Vec<String>) {
        (person.to_owned(), folders.iter().map(|f| (*f).to_owned()).collect())
    }

    #[test]
    fn files_become_the_folders_that_their_owner_had() {
        assert_eq!(
            mailboxes(&["mailboxes/ann/inbox.genie.mbox", "mailboxes/bo/sent.mbox", "urls/x.eml"]),
            [expected("ann", &["inbox/genie"]), expected("bo", &["sent"])]
        );
        assert_eq!(
            mailboxes(&["Ann Lee/a/b/1.eml", "Ann Lee/a/b/2.eml", "Ann Lee/3.EML"]),
            [expected("ann-lee", &["a/b", "inbox"])]
        );
        assert_eq!(mailboxes(&["1.eml", "2.eml"]), [expected("seed", &["inbox"])]);
        assert_eq!(mailboxes(&["x.y.mbox", "z.mbox"]), [expected("seed", &["x/y", "z"])]);
    }
}
