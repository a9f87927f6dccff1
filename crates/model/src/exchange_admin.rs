//! What administrators change in Exchange, as its audit log tells.

use std::{collections::BTreeMap, net::IpAddr};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// A part of Exchange's configuration that decides where mail goes, who reads it and what is logged of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ExchangePart {
    /// Whose actions are left out of the log of reads of mail.
    AuditBypass,
    /// Whether anything is logged.
    Audit,
    /// Rules that copy mail to somebody else.
    JournalRule,
    /// Rules that redirect, change or delete mail on its way.
    TransportRule,
    /// By which ways mail comes in and goes out.
    Connector,
    /// Whether mail may be forwarded out of the organisation by itself.
    Forwarding,
    /// Which applications reach which mailboxes.
    Scope,
}

/// What is there once.
const ORGANIZATION: &str = "organization";
/// A command that sets hundreds of things, and the one of them that is the part's.
const SETS_MUCH: (&str, &str) = ("Set-OrganizationConfig", "AuditDisabled");

/// The commands that change a part.
const COMMANDS: &[(ExchangePart, &[&str])] = &[
    (ExchangePart::AuditBypass, &["Set-MailboxAuditBypassAssociation"]),
    (ExchangePart::Audit, &["Set-AdminAuditLogConfig", "Set-OrganizationConfig"]),
    (
        ExchangePart::JournalRule,
        &[
            "New-JournalRule",
            "Set-JournalRule",
            "Remove-JournalRule",
            "Enable-JournalRule",
            "Disable-JournalRule",
        ],
    ),
    (
        ExchangePart::TransportRule,
        &[
            "New-TransportRule",
            "Set-TransportRule",
            "Remove-TransportRule",
            "Enable-TransportRule",
            "Disable-TransportRule",
        ],
    ),
    (
        ExchangePart::Connector,
        &[
            "New-InboundConnector",
            "Set-InboundConnector",
            "Remove-InboundConnector",
            "New-OutboundConnector",
            "Set-OutboundConnector",
            "Remove-OutboundConnector",
        ],
    ),
    (
        ExchangePart::Forwarding,
        &[
            "New-RemoteDomain",
            "Set-RemoteDomain",
            "Remove-RemoteDomain",
            "New-HostedOutboundSpamFilterPolicy",
            "Set-HostedOutboundSpamFilterPolicy",
            "Remove-HostedOutboundSpamFilterPolicy",
        ],
    ),
    (
        ExchangePart::Scope,
        &[
            "New-ManagementScope",
            "Set-ManagementScope",
            "Remove-ManagementScope",
            "New-ManagementRoleAssignment",
            "Set-ManagementRoleAssignment",
            "Remove-ManagementRoleAssignment",
            "New-ServicePrincipal",
            "Set-ServicePrincipal",
            "Remove-ServicePrincipal",
            "New-ApplicationAccessPolicy",
            "Set-ApplicationAccessPolicy",
            "Remove-ApplicationAccessPolicy",
        ],
    ),
];

impl ExchangePart {
    /// The part that a command of Exchange's changes, when it is one of these: as far as its name tells.
    /// [`ExchangeChange::part`] knows better.
    pub fn of_command(command: &str) -> Option<Self> {
        let is_it = |one: &&str| one.eq_ignore_ascii_case(command);
        COMMANDS.iter().find(|(_, commands)| commands.iter().any(is_it)).map(|one| one.0)
    }

    /// The commands that change one of the parts.
    pub fn commands() -> impl Iterator<Item = &'static str> {
        COMMANDS.iter().flat_map(|(_, commands)| commands.iter().copied())
    }

    /// All parts.
    pub fn all() -> impl Iterator<Item = Self> {
        COMMANDS.iter().map(|(part, _)| *part)
    }

    /// Its name in JSON and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AuditBypass => "audit_bypass",
            Self::Audit => "audit",
            Self::JournalRule => "journal_rule",
            Self::TransportRule => "transport_rule",
            Self::Connector => "connector",
            Self::Forwarding => "forwarding",
            Self::Scope => "scope",
        }
    }
}

/// A change that an administrator of Exchange made
/// (<https://learn.microsoft.com/office/office-365-management-api/office-365-management-activity-api-schema#exchange-admin-schema>).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExchangeChange {
    /// The log's own id of the record.
    pub id: String,
    /// When it was.
    pub at: OffsetDateTime,
    /// The command that was run: `New-TransportRule`.
    pub command: String,
    /// What it changed, in Exchange's words.
    pub object: Option<String>,
    /// Who ran it: a user principal name, or what the provider calls itself.
    pub user: String,
    /// Where they came from.
    pub address: Option<IpAddr>,
    /// What the command was given, name and value.
    pub parameters: Vec<(String, String)>,
    /// What was changed, as far as the log tells.
    pub modified: Vec<ModifiedProperty>,
    /// Whether it was carried out.
    pub succeeded: bool,
}

/// An object of the configuration as it stands: a rule, a connector, an assignment of a role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExchangeObject {
    /// The part that it belongs to.
    pub part: ExchangePart,
    /// What it is, in the provider's word and in small letters: `remotedomain`. Some parts have several
    /// kinds, and objects of two kinds may bear one name.
    pub kind: String,
    /// Its name among those of its kind.
    pub name: String,
    /// What is set, name and value.
    pub properties: BTreeMap<String, String>,
}

/// A property that a change set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModifiedProperty {
    /// Its name.
    pub name: String,
    /// Its value before.
    pub before: Option<String>,
    /// Its value since.
    pub after: Option<String>,
}

impl ExchangeChange {
    /// The part of the configuration that it changes.
    pub fn part(&self) -> Option<ExchangePart> {
        let (command, property) = SETS_MUCH;
        if self.command.eq_ignore_ascii_case(command) && !self.may_set(property) {
            return None;
        }
        ExchangePart::of_command(&self.command)
    }

    /// Of what kind the object is that it changed: the same for the command that makes one, changes it and
    /// removes it.
    pub fn noun(&self) -> String {
        let noun = self.command.split_once('-').map_or(&*self.command, |(_, noun)| noun);
        noun.to_ascii_lowercase()
    }

    /// Whether it set a property. A record that names none may have set any.
    fn may_set(&self, property: &str) -> bool {
        let given = self.parameters.iter().map(|(name, _)| name.as_str());
        // Which organisation it was is none of them.
        let given = given.filter(|name| !name.eq_ignore_ascii_case("Identity"));
        let mut named = given.chain(self.modified.iter().map(|one| one.name.as_str())).peekable();
        named.peek().is_none() || named.any(|name| name.eq_ignore_ascii_case(property))
    }

    /// What it changed: by the name that its parameters give it, so that making, changing and removing a
    /// rule name the same one.
    pub fn subject(&self) -> &str {
        // There is one, whatever a record calls it, and a snapshot calls it so.
        if self.part() == Some(ExchangePart::Audit) {
            return ORGANIZATION;
        }
        let of = |name: &str| {
            let given = self.parameters.iter().find(|(one, _)| one.eq_ignore_ascii_case(name));
            given.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
        };
        let known = of("Identity").or(self.object.as_deref()).or_else(|| of("Name"));
        // `contoso.onmicrosoft.com\Rule`: the organisation in front is the tenant's own.
        known.map_or(ORGANIZATION, |name| name.rsplit('\\').next().unwrap_or(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_changes_one_part_and_names_are_the_same_everywhere() {
        for (part, commands) in COMMANDS {
            assert_eq!(serde_json::to_value(part).unwrap(), part.as_str());
            for command in *commands {
                assert_eq!(ExchangePart::of_command(&command.to_lowercase()), Some(*part));
            }
        }
        assert_eq!(ExchangePart::of_command("Get-TransportRule"), None);
        let mut all: Vec<&str> = ExchangePart::commands().collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), ExchangePart::commands().count());
    }

    #[test]
    fn a_rule_is_the_same_one_when_it_is_made_and_when_it_is_removed() {
        let change = |object: Option<&str>, parameter: (&str, &str)| ExchangeChange {
            id: "1".into(),
            at: OffsetDateTime::UNIX_EPOCH,
            command: "New-TransportRule".into(),
            object: object.map(str::to_owned),
            user: "admin@x.example".into(),
            address: None,
            parameters: vec![(parameter.0.into(), parameter.1.into())],
            modified: Vec::new(),
            succeeded: true,
        };
        assert_eq!(change(Some("x.example\\Copy"), ("Name", "Copy")).subject(), "Copy");
        assert_eq!(change(None, ("Name", "Copy")).subject(), "Copy");
        assert_eq!(change(Some("x.example\\Copy"), ("Identity", "Copy")).subject(), "Copy");
        assert_eq!(change(None, ("Enabled", "True")).subject(), "organization");
        assert_eq!(change(None, ("Enabled", "True")).noun(), "transportrule");
    }

    #[test]
    fn of_what_sets_an_organisation_only_switching_the_log_off_is_about_the_log() {
        let set = |parameters: &[(&str, &str)], modified: &[&str]| ExchangeChange {
            id: "1".into(),
            at: OffsetDateTime::UNIX_EPOCH,
            command: "set-organizationconfig".into(),
            object: Some("x.example".into()),
            user: "admin@x.example".into(),
            address: None,
            parameters: parameters.iter().map(|&(a, b)| (a.into(), b.into())).collect(),
            modified: modified
                .iter()
                .map(|&name| ModifiedProperty { name: name.into(), before: None, after: None })
                .collect(),
            succeeded: true,
        };
        let identity = ("Identity", "x.example\\x.example");
        let tips = [identity, ("MailTipsAllTipsEnabled", "False")];
        assert_eq!(set(&tips, &["MailTipsAllTipsEnabled"]).part(), None);
        let off = [identity, ("auditdisabled", "True")];
        for change in [set(&off, &[]), set(&tips, &["AuditDisabled"]), set(&[identity], &[])] {
            assert_eq!(change.part(), Some(ExchangePart::Audit), "{change:?}");
            assert_eq!(change.subject(), "organization", "a snapshot calls it so");
        }
    }
}
