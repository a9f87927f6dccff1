//! What each of our applications has to be granted: the one table that scripts, checks and the
//! documentation are made from.
//!
//! Sources: <https://learn.microsoft.com/graph/permissions-reference> for names and ids,
//! <https://learn.microsoft.com/exchange/permissions-exo/application-rbac> for Exchange's roles.

use mailkeep_exchange::Extras;
use mailkeep_model::Function;

/// An application permission of Microsoft Graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Right {
    /// Its name.
    pub name: &'static str,
    /// Its id (`appRole`), the same in every tenant; `None` where no source was found that could be
    /// relied on. Scripts look it up by the name.
    pub id: Option<&'static str>,
    /// The role of RBAC for Applications that grants the same in some mailboxes only; `None` where
    /// there is none, and the right reaches the whole tenant.
    pub exchange_role: Option<&'static str>,
}

/// What is done with a tenant's mailboxes, as far as rights depend on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// What is backed up beside mail, calendars, contacts and settings.
    pub extras: Extras,
    /// Mailboxes are selected by groups.
    pub groups: bool,
    /// Exchange's configuration is looked at.
    pub exchange_configuration: bool,
}

/// When a function needs a right.
type When = fn(Needs) -> bool;

/// All that there is to need.
const ALL: Needs = Needs {
    extras: Extras { tasks: true, streams: true, archive: true, recoverable_items: true },
    groups: true,
    exchange_configuration: true,
};

const ALWAYS: When = |_| true;
const TASKS: When = |needs| needs.extras.tasks;
/// For what comes as streams: those beside contents, notes and contact groups, the archive.
const STREAMS: When = |needs| needs.extras.streams || needs.extras.archive;
const GROUPS: When = |needs| needs.groups;
const CONFIGURATION: When = |needs| needs.exchange_configuration;

const READER: &[(&str, When)] = &[
    ("Mail.Read", ALWAYS),
    ("Calendars.Read", ALWAYS),
    ("Contacts.Read", ALWAYS),
    ("MailboxSettings.Read", ALWAYS),
    ("User.Read.All", ALWAYS),
    ("GroupMember.Read.All", GROUPS),
    ("MailboxFolder.Read.All", STREAMS),
    ("MailboxItem.Read.All", STREAMS),
    ("MailboxItem.Export.All", STREAMS),
    ("Tasks.Read.All", TASKS),
];

/// The right to have snapshots of configuration taken.
pub(crate) const SNAPSHOTS: &str = "ConfigurationMonitoring.ReadWrite.All";

const RESPONDER: &[(&str, When)] = &[("Mail.ReadWrite", ALWAYS)];

/// `Mail-Advanced.ReadWrite.All` is for received mail of more than 4 MB: its attachments are added
/// after the message.
const RESTORER: &[(&str, When)] = &[
    ("Mail.ReadWrite", ALWAYS),
    ("Mail-Advanced.ReadWrite.All", ALWAYS),
    ("Calendars.ReadWrite", ALWAYS),
    ("Contacts.ReadWrite", ALWAYS),
    ("MailboxSettings.ReadWrite", ALWAYS),
    ("User.Read.All", ALWAYS),
    ("MailboxFolder.Read.All", STREAMS),
    ("MailboxItem.Read.All", STREAMS),
    ("MailboxItem.ImportExport.All", STREAMS),
    ("Tasks.ReadWrite.All", TASKS),
];

/// Sign-ins (both of the first two: a known issue of Graph's), changes of the directory,
/// registrations, policies, and which mail was read. There is no right to order snapshots of Exchange's
/// configuration that is called less; it changes these snapshots and monitors and nothing else.
const AUDITOR: &[(&str, When)] = &[
    ("AuditLog.Read.All", ALWAYS),
    ("Directory.Read.All", ALWAYS),
    ("Application.Read.All", ALWAYS),
    ("Policy.Read.All", ALWAYS),
    ("AuditLogsQuery-Exchange.Read.All", ALWAYS),
    (SNAPSHOTS, CONFIGURATION),
];

const PROBER: &[(&str, When)] = &[("Mail.Send", ALWAYS)];

/// The steward owns the other applications; it cannot change any that it does not own.
const STEWARD: &[(&str, When)] = &[("Application.ReadWrite.OwnedBy", ALWAYS)];

/// What other functions of ours, or other ways to do the same, need, and what shows no more than
/// what the function has to see: no reason for alarm.
const HARMLESS: &[(Function, &[&str])] = &[
    (Function::Reader, &["Mail.ReadBasic.All", "Organization.Read.All", "GroupMember.Read.All"]),
    (Function::Restorer, &["Organization.Read.All"]),
    (Function::Responder, &["User.Read.All"]),
    (Function::Auditor, &["ActivityFeed.Read", "Organization.Read.All", "User.Read.All"]),
];

/// Every right that a function may need: name, id, Exchange's role.
const RIGHTS: &[(&str, &str, &str)] = &[
    ("Application.Read.All", "9a5d68dd-52b0-4cc2-bd40-abcf44ac3a30", ""),
    ("Application.ReadWrite.OwnedBy", "18a4783c-866b-4cc7-a460-3d5e5662c884", ""),
    ("AuditLog.Read.All", "b0afded3-3588-46d8-8b3d-9842eff778da", ""),
    ("AuditLogsQuery-Exchange.Read.All", "6b0d2622-d34e-4470-935b-b96550e5ca8d", ""),
    ("Calendars.Read", "798ee544-9d2d-430c-a058-570e29e34338", "Application Calendars.Read"),
    (
        "Calendars.ReadWrite",
        "ef54d2bf-783f-4e0f-bca1-3210c0444d99",
        "Application Calendars.ReadWrite",
    ),
    (SNAPSHOTS, "", ""),
    ("Contacts.Read", "089fe4d0-434a-44c5-8827-41ba8a0b17f5", "Application Contacts.Read"),
    (
        "Contacts.ReadWrite",
        "6918b873-d17a-4dc1-b314-35f528134491",
        "Application Contacts.ReadWrite",
    ),
    ("Directory.Read.All", "7ab1d382-f21e-4acd-a863-ba3e13f7da61", ""),
    ("GroupMember.Read.All", "98830695-27a2-44f7-8c18-0c3ebc9698f6", ""),
    ("Mail-Advanced.ReadWrite.All", "", "Application Mail-Advanced.ReadWrite.All"),
    ("Mail.Read", "810c84a8-4a9e-49e6-bf7d-12d183f40d01", "Application Mail.Read"),
    ("Mail.ReadWrite", "e2a3a72e-5f79-4c64-b1b1-878b674786c9", "Application Mail.ReadWrite"),
    ("Mail.Send", "b633e1c5-b582-4048-a93e-9f11b44c7e96", "Application Mail.Send"),
    (
        "MailboxFolder.Read.All",
        "99280d24-a782-4793-93cc-0888549957f6",
        "Application MailboxFolder.Read",
    ),
    ("MailboxItem.Export.All", "", "Application MailboxItem.Export"),
    (
        "MailboxItem.ImportExport.All",
        "76577085-e73d-4f1d-b26a-85fb33892327",
        "Application MailboxItem.ImportExport",
    ),
    (
        "MailboxItem.Read.All",
        "7d9f353d-a7bd-4fbb-822a-26d5dd39a3ce",
        "Application MailboxItem.Read",
    ),
    (
        "MailboxSettings.Read",
        "40f97065-369a-49f4-947c-6a255697ae91",
        "Application MailboxSettings.Read",
    ),
    (
        "MailboxSettings.ReadWrite",
        "6931bccd-447a-43d1-b442-00a195474933",
        "Application MailboxSettings.ReadWrite",
    ),
    ("Policy.Read.All", "246dd0d5-5bd0-4def-940b-0421030a5b68", ""),
    ("Tasks.Read.All", "f10e1f91-74ed-437f-a6fd-d6ae88e26c1f", ""),
    ("Tasks.ReadWrite.All", "44e666d1-d276-445b-a5fc-8815eeb81d55", ""),
    ("User.Read.All", "df021288-bdef-4463-88db-98f22de89214", ""),
];

/// What an application needs and no more: the rights of a function.
pub fn rights(function: Function, needs: Needs) -> Vec<Right> {
    let wanted = table(function).iter().filter(|(_, when)| when(needs));
    wanted.filter_map(|(name, _)| right(name)).collect()
}

/// What the function would need if everything were switched on.
pub(crate) fn all_rights(function: Function) -> Vec<Right> {
    rights(function, ALL)
}

/// What an application may have beside its rights without being able to do more than it is for.
pub(crate) fn harmless(function: Function) -> &'static [&'static str] {
    HARMLESS.iter().find(|(of, _)| *of == function).map_or(&[], |(_, rights)| rights)
}

/// The application permissions that the application which reads logs and configuration needs.
pub fn auditor_rights() -> Vec<&'static str> {
    names(Function::Auditor, Extras::default())
}

/// Those that the application which takes foreign credentials away needs, as an owner of the others.
pub fn steward_rights() -> Vec<&'static str> {
    names(Function::Steward, Extras::default())
}

/// The application permissions of Microsoft Graph that the application which reads needs.
pub fn reader_rights(extras: Extras) -> Vec<&'static str> {
    names(Function::Reader, extras)
}

/// Those that the application which restores needs.
pub fn restorer_rights(extras: Extras) -> Vec<&'static str> {
    names(Function::Restorer, extras)
}

fn names(function: Function, extras: Extras) -> Vec<&'static str> {
    let needs = Needs { extras, ..Needs::default() };
    rights(function, needs).into_iter().map(|right| right.name).collect()
}

fn table(function: Function) -> &'static [(&'static str, When)] {
    match function {
        Function::Reader => READER,
        Function::Responder => RESPONDER,
        Function::Restorer => RESTORER,
        Function::Auditor => AUDITOR,
        Function::Prober => PROBER,
        Function::Steward => STEWARD,
        _ => &[],
    }
}

fn right(name: &str) -> Option<Right> {
    let said = |text: &'static str| Some(text).filter(|text| !text.is_empty());
    let (name, id, role) = RIGHTS.iter().find(|(known, ..)| *known == name)?;
    Some(Right { name, id: said(id), exchange_role: said(role) })
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
    fn the_applications_that_read_cannot_write_and_what_sends_cannot_read() {
        for function in [Function::Reader, Function::Auditor] {
            let writes = |right: &Right| {
                right.name.contains("Write")
                    || right.name.contains("Import")
                    || right.name == "Mail.Send"
            };
            let all = all_rights(function);
            let mut bad = all.iter().filter(|right| writes(right) && right.name != SNAPSHOTS);
            assert_eq!(bad.next(), None, "{function}");
        }
        let of_prober: Vec<_> = all_rights(Function::Prober).iter().map(|one| one.name).collect();
        assert_eq!(of_prober, ["Mail.Send"]);
    }

    #[test]
    fn the_documentation_s_table_is_this_one() {
        let text = include_str!("../../../docs/operating.md");
        for function in Function::ALL {
            let begin = format!("| `{function}` | ");
            let row = text.lines().find(|line| line.starts_with(&begin));
            let row = row.unwrap_or_else(|| panic!("{function} is not documented"));
            let cell = row[begin.len()..].split(" | ").next().unwrap();
            let told: Vec<_> = cell.split('`').skip(1).step_by(2).collect();
            let told: Vec<_> = told.into_iter().filter(|word| !word.starts_with("--")).collect();
            let needs = Needs { groups: true, ..Needs::default() };
            let needed: Vec<_> = rights(function, needs).iter().map(|right| right.name).collect();
            assert_eq!(told, needed, "{function}");
        }
    }

    #[test]
    fn every_right_that_a_function_needs_is_in_the_table() {
        for function in Function::ALL {
            assert_eq!(all_rights(function).len(), table(function).len(), "{function}");
        }
        for (name, id, role) in RIGHTS {
            let is_guid = id.len() == 36 && id.split('-').map(str::len).eq([8, 4, 4, 4, 12]);
            assert!(id.is_empty() || is_guid, "{name}: {id}");
            let bare = role.trim_start_matches("Application ").trim_end_matches(".All");
            assert!(role.is_empty() || bare == name.trim_end_matches(".All"), "{name}: {role}");
        }
    }
}
