//! Exchange's configuration as far as it decides where mail goes, who reads it and what is logged of that, and
//! the audit log of its administrators
//! (<https://learn.microsoft.com/office/office-365-management-api/office-365-management-activity-api-schema#exchange-admin-schema>).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::clock;

/// Records of a tenant that are kept.
const KEPT: usize = 10_000;

/// What a command is about.
struct Noun {
    name: &'static str,
    /// Whether there are several, by name.
    many: bool,
    /// What `New-` has to be given besides `Name`.
    needed: &'static [&'static str],
    /// What else may be given.
    may: &'static [&'static str],
}

const ALWAYS: &[&str] = &["Name", "Identity", "Confirm", "Enabled", "Comments", "Priority"];

const NOUNS: &[Noun] = &[
    Noun {
        name: "TransportRule",
        many: true,
        needed: &[],
        may: &[
            "From",
            "SentTo",
            "SubjectContainsWords",
            "DeleteMessage",
            "BlindCopyTo",
            "RedirectMessageTo",
        ],
    },
    Noun {
        name: "JournalRule",
        many: true,
        needed: &["JournalEmailAddress"],
        may: &["JournalEmailAddress", "Recipient", "Scope"],
    },
    Noun {
        name: "InboundConnector",
        many: true,
        needed: &["SenderDomains"],
        may: &["SenderDomains", "ConnectorType", "SenderIPAddresses", "TreatMessagesAsInternal"],
    },
    Noun {
        name: "OutboundConnector",
        many: true,
        needed: &[],
        may: &["RecipientDomains", "ConnectorType", "SmartHosts", "RouteAllMessagesViaOnPremises"],
    },
    Noun {
        name: "RemoteDomain",
        many: true,
        needed: &["DomainName"],
        may: &["DomainName", "AutoForwardEnabled"],
    },
    Noun {
        name: "HostedOutboundSpamFilterPolicy",
        many: true,
        needed: &[],
        may: &["AutoForwardingMode"],
    },
    Noun {
        name: "ManagementScope",
        many: true,
        needed: &["RecipientRestrictionFilter"],
        may: &["RecipientRestrictionFilter"],
    },
    Noun {
        name: "ManagementRoleAssignment",
        many: true,
        needed: &["Role"],
        may: &["Role", "App", "CustomResourceScope", "RecipientGroupScope"],
    },
    Noun {
        name: "MailboxAuditBypassAssociation",
        many: false,
        needed: &[],
        may: &["AuditBypassEnabled"],
    },
    Noun {
        name: "AdminAuditLogConfig",
        many: false,
        needed: &[],
        may: &["UnifiedAuditLogIngestionEnabled"],
    },
    Noun { name: "OrganizationConfig", many: false, needed: &[], may: &["AuditDisabled"] },
];

/// One object of the configuration.
pub(crate) type Properties = BTreeMap<String, String>;

/// A command, and who runs it.
pub(crate) struct Command {
    pub(crate) name: String,
    pub(crate) parameters: Properties,
    pub(crate) user: String,
    pub(crate) address: IpAddr,
}

/// The configuration of one tenant.
#[derive(Debug, Default)]
pub(crate) struct ExchangeAdmin(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// By kind and name.
    objects: BTreeMap<(&'static str, String), Properties>,
    /// When each was, and what the log says.
    records: Vec<(i64, Value)>,
}

impl ExchangeAdmin {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a command of Exchange's administrators and writes it down.
    pub(crate) fn run(
        &self,
        command: &Command,
        organization: (Uuid, &str),
        now: i64,
    ) -> Result<(), String> {
        let (verb, noun) = known(&command.name)?;
        for name in command.parameters.keys() {
            if !ALWAYS.iter().chain(noun.may).any(|known| known.eq_ignore_ascii_case(name)) {
                return Err(format!(
                    "A parameter cannot be found that matches parameter name '{name}'."
                ));
            }
        }
        let given = |name: &str| {
            let found = command.parameters.iter().find(|(one, _)| one.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
        };
        let subject = match (verb, noun.many) {
            (Verb::New, _) => {
                for needed in ["Name"].iter().chain(noun.needed) {
                    given(needed).ok_or_else(|| format!("the parameter {needed} is missing"))?;
                }
                given("Name")
            }
            (_, true) => given("Identity"),
            // The organisation's own, or one account's.
            (_, false) => given("Identity").or(Some("organization")),
        };
        let subject = subject.ok_or("the parameter Identity is missing")?.to_owned();
        let mut inner = self.lock();
        let place = (noun.name, subject.to_lowercase());
        let is_there = inner.objects.contains_key(&place);
        match verb {
            Verb::New if is_there => {
                return Err(format!("The {} \"{subject}\" already exists.", noun.name));
            }
            Verb::New | Verb::Set if verb == Verb::New || is_there || !noun.many => {
                let object = inner.objects.entry(place).or_default();
                object.insert("Name".to_owned(), subject.clone());
                let is_set = |name: &&String| !["Identity", "Confirm"].contains(&name.as_str());
                for name in command.parameters.keys().filter(is_set) {
                    object.insert(name.clone(), command.parameters[name].clone());
                }
            }
            _ if !is_there => {
                return Err(format!(
                    "The operation couldn't be performed because object '{subject}' couldn't be found."
                ));
            }
            Verb::Remove => {
                inner.objects.remove(&place);
            }
            verb => {
                let enabled = if verb == Verb::Enable { "True" } else { "False" };
                let object = inner.objects.entry(place).or_default();
                object.insert("Enabled".to_owned(), enabled.to_owned());
            }
        }
        let record = record(command, organization, &subject, now);
        inner.records.push((now, record));
        if inner.records.len() > KEPT {
            inner.records.remove(0);
        }
        Ok(())
    }

    /// The records that could be read at a time, with when each was.
    pub(crate) fn available(&self, now: i64, delay: i64) -> Vec<(i64, Value)> {
        let inner = self.lock();
        inner.records.iter().filter(|(at, _)| at + delay <= now).cloned().collect()
    }

    /// All objects of a kind.
    pub(crate) fn objects(&self, kind: &str) -> Vec<Properties> {
        let inner = self.lock();
        let of_kind = inner.objects.iter().filter(|((one, _), _)| one.eq_ignore_ascii_case(kind));
        of_kind.map(|(_, properties)| properties.clone()).collect()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    New,
    Set,
    Remove,
    Enable,
    Disable,
}

fn known(command: &str) -> Result<(Verb, &'static Noun), String> {
    let unknown = || format!("The term '{command}' is not recognized as the name of a cmdlet.");
    let (verb, noun) = command.split_once('-').ok_or_else(unknown)?;
    let noun = NOUNS.iter().find(|one| one.name == noun).ok_or_else(unknown)?;
    let rules = ["TransportRule", "JournalRule"].contains(&noun.name);
    let verb = match verb {
        "New" if noun.many => Verb::New,
        "Set" => Verb::Set,
        "Remove" if noun.many => Verb::Remove,
        "Enable" if rules => Verb::Enable,
        "Disable" if rules => Verb::Disable,
        _ => return Err(unknown()),
    };
    Ok((verb, noun))
}

fn record(command: &Command, (id, name): (Uuid, &str), subject: &str, now: i64) -> Value {
    let parameters: Vec<Value> = command
        .parameters
        .iter()
        .map(|(name, value)| json!({ "Name": name, "Value": value }))
        .collect();
    json!({
        "Id": Uuid::new_v4(),
        "RecordType": 1,
        // Without a zone, as the service writes it.
        "CreationTime": clock::iso(now).trim_end_matches('Z'),
        "Operation": command.name,
        "OrganizationId": id,
        "OrganizationName": name,
        "UserType": 2,
        "UserKey": command.user,
        "UserId": command.user,
        "Workload": "Exchange",
        "ResultStatus": "True",
        "ObjectId": format!("{name}\\{subject}"),
        "ClientIP": format!("{}:49152", command.address),
        "ExternalAccess": false,
        "OriginatingServer": "LAB (15.20.0000.000)",
        "Version": 1,
        "Parameters": parameters,
    })
}
