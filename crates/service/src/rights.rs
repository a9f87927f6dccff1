//! What the applications have to be granted, by what is backed up.

use mailkeep_exchange::Extras;

/// A right and what it is for.
struct Right {
    name: &'static str,
    wanted: fn(Extras) -> bool,
}

const fn always(name: &'static str) -> Right {
    Right { name, wanted: |_| true }
}

/// For what comes as streams: those beside contents, notes and contact groups, the archive.
const fn streams(name: &'static str) -> Right {
    Right { name, wanted: |extras| extras.streams || extras.archive }
}

const fn tasks(name: &'static str) -> Right {
    Right { name, wanted: |extras| extras.tasks }
}

const READER: &[Right] = &[
    always("Mail.Read"),
    always("Calendars.Read"),
    always("Contacts.Read"),
    always("MailboxSettings.Read"),
    always("User.Read.All"),
    streams("MailboxFolder.Read.All"),
    streams("MailboxItem.Read.All"),
    streams("MailboxItem.Export.All"),
    tasks("Tasks.Read.All"),
];

/// `Mail-Advanced.ReadWrite` is for received mail of more than 4 MB: its attachments are added after
/// the message.
const RESTORER: &[Right] = &[
    always("Mail.ReadWrite"),
    always("Mail-Advanced.ReadWrite"),
    always("Calendars.ReadWrite"),
    always("Contacts.ReadWrite"),
    always("MailboxSettings.ReadWrite"),
    always("User.Read.All"),
    streams("MailboxFolder.Read.All"),
    streams("MailboxItem.Read.All"),
    streams("MailboxItem.ImportExport.All"),
    tasks("Tasks.ReadWrite.All"),
];

/// What the auditor reads: sign-ins (both of the first two: a known issue of Graph's), changes of the
/// directory, registrations, policies, and which mail was read.
const AUDITOR: &[&str] = &[
    "AuditLog.Read.All",
    "Directory.Read.All",
    "Application.Read.All",
    "Policy.Read.All",
    "AuditLogsQuery-Exchange.Read.All",
];

/// The steward owns the other applications; it cannot change any that it does not own.
const STEWARD: &[&str] = &["Application.ReadWrite.OwnedBy"];

/// The application permissions that the application which reads logs and configuration needs.
pub fn auditor_rights() -> &'static [&'static str] {
    AUDITOR
}

/// Those that the application which takes foreign credentials away needs, as an owner of the others.
pub fn steward_rights() -> &'static [&'static str] {
    STEWARD
}

/// The application permissions of Microsoft Graph that the application which reads needs.
pub fn reader_rights(extras: Extras) -> Vec<&'static str> {
    wanted(READER, extras)
}

/// Those that the application which restores needs.
pub fn restorer_rights(extras: Extras) -> Vec<&'static str> {
    wanted(RESTORER, extras)
}

fn wanted(rights: &[Right], extras: Extras) -> Vec<&'static str> {
    rights.iter().filter(|right| (right.wanted)(extras)).map(|right| right.name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_asked_to_grant_what_is_not_switched_on() {
        let off = Extras::default();
        let rights = reader_rights(off);
        assert!(rights.contains(&"Mail.Read") && rights.contains(&"MailboxSettings.Read"));
        assert!(!rights.iter().any(|right| right.starts_with("Tasks") || right.contains("Item")));
        let tasks = Extras { tasks: true, ..off };
        assert!(reader_rights(tasks).contains(&"Tasks.Read.All"));
        assert!(restorer_rights(tasks).contains(&"Tasks.ReadWrite.All"));
        for extras in [Extras { streams: true, ..off }, Extras { archive: true, ..off }] {
            assert!(reader_rights(extras).contains(&"MailboxItem.Export.All"));
            assert!(restorer_rights(extras).contains(&"MailboxItem.ImportExport.All"));
        }
    }

    #[test]
    fn the_application_that_reads_cannot_write() {
        let all = Extras { tasks: true, streams: true, archive: true, recoverable_items: true };
        let rights = reader_rights(all);
        assert!(!rights.iter().any(|right| right.contains("Write") || right.contains("Import")));
    }
}
