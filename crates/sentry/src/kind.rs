//! The kinds of incidents, and the words for people.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What somebody did as us. The words for people stand in a table: [`IncidentKind::title`],
/// [`IncidentKind::next_steps`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum IncidentKind {
    /// A token was got with a key of ours by a request that we did not make.
    StolenKey,
    /// A token was got for our application with a certificate, password or other issuer's assertion
    /// that is not ours.
    ForeignCredential,
    /// An assertion that we made got a token for somebody else as well.
    ReplayedAssertion,
    /// A request that looks like ours came from an address that is not ours, or was made with
    /// another key than ours.
    Impersonated,
    /// A token of ours was used for what no job asked for, or from an address that is not ours.
    StolenToken,
    /// A token that is none of ours was used as our application.
    ForeignToken,
    /// A worker claims to have done what the signer's ledger contradicts.
    ForgedReceipt,
    /// Somebody tried to get a token as our application and did not.
    FailedAttempt,
    /// The registration of our application at the provider is not as we left it.
    Tampered,
    /// Something that protects the tenant was switched off or no longer works.
    ProtectionOff,
    /// The ledger is not what the signer wrote.
    LedgerDamaged,
    /// Receipts or journal are not what the workers wrote.
    EvidenceDamaged,
    /// Our application may do more than it needs.
    TooMuch,
    /// A message of ours that has to be backed up and inspected was not in time.
    CanaryMissed,
    /// The signer was lost and another one took its place, by order: its ledger begins anew.
    LedgerBegunAnew,
    /// Somebody changed where mail of the tenant goes, or which applications reach it.
    ExchangeChanged,
}

/// How bad an incident is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth to know.
    Notice,
    /// Something is not as it should be, and nothing shows yet that mail was reached.
    Warning,
    /// Somebody has, or had, access as us.
    Critical,
}

impl Severity {
    /// Its name in JSON and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

struct Words {
    kind: IncidentKind,
    severity: Severity,
    title: &'static str,
    next_steps: &'static [&'static str],
}

const REVOKE: &str = "Shut it: mailkeep identity revoke TENANT --reason '…'";
const BLAST: &str = "Find out what was reached: mailkeep identity blast-radius TENANT";
const POSTURE: &str =
    "See what else was changed on our applications: mailkeep identity posture TENANT";
const HOST: &str = "Take the host that the job ran on out of service, and keep its disk";

const WORDS: &[Words] = &[
    Words {
        kind: IncidentKind::StolenKey,
        severity: Severity::Critical,
        title: "a token was got with our key, not by us",
        next_steps: &[
            REVOKE,
            BLAST,
            POSTURE,
            "Find out how the key left the signer: until that is known, fresh keys belong into an HSM",
        ],
    },
    Words {
        kind: IncidentKind::ForeignCredential,
        severity: Severity::Critical,
        title: "a token was got as our application with a credential that is not ours",
        next_steps: &[
            REVOKE,
            BLAST,
            POSTURE,
            "Find out who added the credential: the provider's directory audit log names the account",
        ],
    },
    Words {
        kind: IncidentKind::ReplayedAssertion,
        severity: Severity::Critical,
        title: "an assertion of ours was used a second time",
        next_steps: &[
            BLAST,
            "Look for what reads our requests on their way: a proxy, a debugger, a log of request bodies",
            REVOKE,
        ],
    },
    Words {
        kind: IncidentKind::Impersonated,
        severity: Severity::Critical,
        title: "a request that looks like ours was not made by us",
        next_steps: &[
            "If our addresses have changed, say so: mailkeep tenant egress TENANT; else go on",
            REVOKE,
            BLAST,
        ],
    },
    Words {
        kind: IncidentKind::StolenToken,
        severity: Severity::Critical,
        title: "a token of ours was used for what no job asked for",
        next_steps: &[
            HOST,
            "Disable the application until the token has ended (Entra ID, Enterprise applications, Properties)",
            BLAST,
        ],
    },
    Words {
        kind: IncidentKind::ForeignToken,
        severity: Severity::Critical,
        title: "a token that is none of ours was used as our application",
        next_steps: &[REVOKE, BLAST, POSTURE],
    },
    Words {
        kind: IncidentKind::ForgedReceipt,
        severity: Severity::Critical,
        title: "a worker claims what the ledger contradicts",
        next_steps: &[
            HOST,
            "Check the ledger against the outside witness: mailkeep identity ledger verify --witness FILE",
            BLAST,
        ],
    },
    Words {
        kind: IncidentKind::FailedAttempt,
        severity: Severity::Warning,
        title: "somebody tried to get a token as our application",
        next_steps: &[
            "Look at the address: a misconfigured client of your own, or somebody who tries",
            POSTURE,
        ],
    },
    Words {
        kind: IncidentKind::Tampered,
        severity: Severity::Critical,
        title: "the registration of our application was changed",
        next_steps: &["Ask the tenant's administrators whether they did it", REVOKE, POSTURE],
    },
    Words {
        kind: IncidentKind::ProtectionOff,
        severity: Severity::Critical,
        title: "a protection of the tenant is off",
        next_steps: &["Ask the tenant's administrators whether they did it", POSTURE],
    },
    Words {
        kind: IncidentKind::LedgerDamaged,
        severity: Severity::Critical,
        title: "the ledger is not what the signer wrote",
        next_steps: &[
            "Keep the signer's disk; compare with the outside witness: mailkeep identity ledger verify --witness FILE",
            "Until it is explained, what the ledger says of the time before is no proof",
            "When it is explained, close the incident: from then on the ledger counts as it is",
        ],
    },
    Words {
        kind: IncidentKind::EvidenceDamaged,
        severity: Severity::Critical,
        title: "what workers wrote down of their requests was changed or removed",
        next_steps: &[
            HOST,
            "Whoever can do that can use the worker's tokens, and hides what was read with them: see what the provider's logs have of that time",
            BLAST,
            "When it is explained, close the incident: from then on they count as they are",
        ],
    },
    Words {
        kind: IncidentKind::TooMuch,
        severity: Severity::Warning,
        title: "our application may do more than it needs",
        next_steps: &[
            "Take the permission away: whoever steals the key has it, too (Entra ID, Enterprise applications, Permissions)",
            "If it has to be so, accept it: mailkeep identity posture TENANT --accept",
        ],
    },
    Words {
        kind: IncidentKind::CanaryMissed,
        severity: Severity::Warning,
        title: "a canary did not come through: mail is not backed up and inspected as it should be",
        next_steps: &[
            "Not sent: mailkeep tenant check TENANT tries whether the prober may send",
            "Not arrived: trace the message (Exchange admin center, Mail flow, Message trace): a rule, a filter, a blocked sender",
            "Not backed up: see whether passes come to their end (mailkeep doctor, the log of 'mailkeep serve'; mailkeep tenant check TENANT)",
            "Not inspected: look at the message in the vault (mailkeep ls, mailkeep cat): was it sealed or rewritten on its way?",
            POSTURE,
            "Try again: mailkeep identity canary TENANT; the incident ends when one comes through",
        ],
    },
    Words {
        kind: IncidentKind::LedgerBegunAnew,
        severity: Severity::Warning,
        title: "the signer's ledger began anew, by order",
        next_steps: &[
            "Ask whoever ordered it: somebody who used our keys may have had the ledger, in which that stands, thrown away",
            "Keep what the witness has of the ledger before: it is all that is left of it",
            "See that no key from before is accepted any more: mailkeep identity recover TENANT; mailkeep identity posture TENANT",
            "Nothing tells our own uses of the time before from others' any more: blast-radius reports it as blind. When that is understood, close the incident",
        ],
    },
    Words {
        kind: IncidentKind::ExchangeChanged,
        severity: Severity::Warning,
        title: "where mail goes, or which applications reach it, was changed in Exchange",
        next_steps: &[
            "Ask the tenant's administrators whether they did it; when they did, close the incident",
            "Else take it back (Exchange admin center, Mail flow; Compliance, Data lifecycle management, Exchange (legacy), Journal rules), and look at what the account did besides",
            POSTURE,
        ],
    },
];

impl IncidentKind {
    fn words(self) -> &'static Words {
        // A test holds that every kind has its words.
        WORDS.iter().find(|words| words.kind == self).unwrap_or(&WORDS[0])
    }

    /// How bad it is, unless the evidence says otherwise.
    pub fn severity(self) -> Severity {
        self.words().severity
    }

    /// What happened, in a few words.
    pub fn title(self) -> &'static str {
        self.words().title
    }

    /// What to do, in this order; `TENANT` stands for the tenant's name.
    pub fn next_steps(self) -> &'static [&'static str] {
        self.words().next_steps
    }

    /// All kinds.
    pub fn all() -> impl Iterator<Item = Self> {
        WORDS.iter().map(|words| words.kind)
    }

    /// Its name in JSON and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::StolenKey => "stolen_key",
            Self::ForeignCredential => "foreign_credential",
            Self::ReplayedAssertion => "replayed_assertion",
            Self::Impersonated => "impersonated",
            Self::StolenToken => "stolen_token",
            Self::ForeignToken => "foreign_token",
            Self::ForgedReceipt => "forged_receipt",
            Self::FailedAttempt => "failed_attempt",
            Self::Tampered => "tampered",
            Self::ProtectionOff => "protection_off",
            Self::LedgerDamaged => "ledger_damaged",
            Self::EvidenceDamaged => "evidence_damaged",
            Self::TooMuch => "too_much",
            Self::CanaryMissed => "canary_missed",
            Self::LedgerBegunAnew => "ledger_begun_anew",
            Self::ExchangeChanged => "exchange_changed",
        }
    }
}

impl fmt::Display for IncidentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.title())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_incident_says_what_happened_and_what_to_do() {
        let all: Vec<IncidentKind> = IncidentKind::all().collect();
        for kind in &all {
            assert_eq!(kind.words().kind, *kind);
            assert!(!kind.next_steps().is_empty(), "{kind:?}");
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
        assert_eq!(all.len(), IncidentKind::ExchangeChanged as usize + 1);
    }
}
