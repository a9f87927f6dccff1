//! The ways in which a tenant can be not as expected, and the words for people.

use serde::Serialize;

use crate::IncidentKind;

/// How a tenant is not as expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DeviationKind {
    /// A certificate that is none of ours.
    ForeignKey,
    /// A key of ours that was taken away is there again.
    KeyIsBack,
    /// A password; ours never has one.
    Password,
    /// Another issuer's assertions are taken; ours never are.
    Federated,
    /// Somebody may change the application who could not.
    OwnerAdded,
    /// The key that we sign with is gone.
    OwnKeyGone,
    /// The application is gone.
    ApplicationGone,
    /// Its service principal is gone.
    PrincipalGone,
    /// It may not sign in any more.
    Disabled,
    /// A permission that it needs was taken away.
    RightLost,
    /// Somebody may change the application no more who could.
    OwnerRemoved,
    /// It was locked to addresses, and is not, or less.
    Unlocked,
    /// It may do what it does not need.
    RightTooMuch,
    /// It was never locked to addresses.
    NeverLocked,
    /// The certificate of a key that is no more.
    StaleKey,
}

struct Words {
    kind: DeviationKind,
    name: &'static str,
    incident: Option<IncidentKind>,
    title: &'static str,
    remedy: &'static str,
}

const TAMPERED: Option<IncidentKind> = Some(IncidentKind::Tampered);
const OFF: Option<IncidentKind> = Some(IncidentKind::ProtectionOff);

/// The worst first.
const WORDS: &[Words] = &[
    Words {
        kind: DeviationKind::ForeignKey,
        name: "foreign_key",
        incident: TAMPERED,
        title: "a certificate that is not ours",
        remedy: "mailkeep identity revoke TENANT takes it away",
    },
    Words {
        kind: DeviationKind::KeyIsBack,
        name: "key_is_back",
        incident: TAMPERED,
        title: "a key of ours that was taken away is accepted again",
        remedy: "mailkeep identity revoke TENANT takes it away",
    },
    Words {
        kind: DeviationKind::Password,
        name: "password",
        incident: TAMPERED,
        title: "a password; we use none",
        remedy: "mailkeep identity revoke TENANT takes it away",
    },
    Words {
        kind: DeviationKind::Federated,
        name: "federated",
        incident: TAMPERED,
        title: "another issuer's assertions are accepted; we use none",
        remedy: "mailkeep identity revoke TENANT takes it away",
    },
    Words {
        kind: DeviationKind::OwnerAdded,
        name: "owner_added",
        incident: TAMPERED,
        title: "somebody became an owner, and may add credentials",
        remedy: "take the owner away (Entra ID, App registrations, Owners), or accept it: mailkeep identity posture TENANT --accept",
    },
    Words {
        kind: DeviationKind::OwnKeyGone,
        name: "own_key_gone",
        incident: TAMPERED,
        title: "the key that we sign with is gone",
        remedy: "mailkeep identity revoke TENANT brings a fresh one there, with the steward's help",
    },
    Words {
        kind: DeviationKind::ApplicationGone,
        name: "application_gone",
        incident: OFF,
        title: "the application is gone",
        remedy: "restore it (Entra ID, App registrations, Deleted applications; 30 days), or register it anew",
    },
    Words {
        kind: DeviationKind::PrincipalGone,
        name: "principal_gone",
        incident: OFF,
        title: "the service principal is gone",
        remedy: "restore it (Entra ID, Enterprise applications), or consent to the application again",
    },
    Words {
        kind: DeviationKind::Disabled,
        name: "disabled",
        incident: OFF,
        title: "sign-in was switched off",
        remedy: "switch it on again (Entra ID, Enterprise applications, Properties), unless that was the answer to a theft",
    },
    Words {
        kind: DeviationKind::RightLost,
        name: "right_lost",
        incident: OFF,
        title: "a permission that it needs was taken away",
        remedy: "grant it again (Entra ID, App registrations, API permissions), or accept it: mailkeep identity posture TENANT --accept",
    },
    Words {
        kind: DeviationKind::OwnerRemoved,
        name: "owner_removed",
        incident: OFF,
        title: "somebody is no owner any more",
        remedy: "when it is the steward, make it the owner again: without it nobody finds the way back in; else accept it: mailkeep identity posture TENANT --accept",
    },
    Words {
        kind: DeviationKind::Unlocked,
        name: "unlocked",
        incident: OFF,
        title: "it is not locked to our addresses any more",
        remedy: "set the Conditional Access policy as it was, or accept it: mailkeep identity posture TENANT --accept",
    },
    Words {
        kind: DeviationKind::RightTooMuch,
        name: "right_too_much",
        incident: Some(IncidentKind::TooMuch),
        title: "it may do what it does not need",
        remedy: "take the permission away (Entra ID, Enterprise applications, Permissions), or accept it: mailkeep identity posture TENANT --accept",
    },
    Words {
        kind: DeviationKind::NeverLocked,
        name: "never_locked",
        incident: None,
        title: "a stolen key or token works from any address",
        remedy: "lock the service principal to our addresses with a Conditional Access policy for workload identities",
    },
    Words {
        kind: DeviationKind::StaleKey,
        name: "stale_key",
        incident: None,
        title: "the certificate of a key that is no more",
        remedy: "take it away (Entra ID, App registrations, Certificates & secrets)",
    },
];

impl DeviationKind {
    fn words(self) -> &'static Words {
        // A test holds that every kind has its words.
        WORDS.iter().find(|words| words.kind == self).unwrap_or(&WORDS[0])
    }

    /// Its name in JSON.
    pub fn as_str(self) -> &'static str {
        self.words().name
    }

    /// Whether an administrator may have chosen it so, and can accept it.
    pub fn is_chosen(self) -> bool {
        use DeviationKind::{OwnerAdded, OwnerRemoved, RightLost, RightTooMuch, Unlocked};
        matches!(self, OwnerAdded | OwnerRemoved | RightLost | RightTooMuch | Unlocked)
    }

    /// The kind of incident that it is; `None` for what is only to be known.
    pub fn incident(self) -> Option<IncidentKind> {
        self.words().incident
    }

    /// What it is, in a few words.
    pub fn title(self) -> &'static str {
        self.words().title
    }

    /// What to do; `TENANT` stands for the tenant's name.
    pub fn remedy(self) -> &'static str {
        self.words().remedy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_of_being_wrong_has_its_words_in_order_of_how_bad_it_is() {
        for (place, words) in WORDS.iter().enumerate() {
            assert_eq!(words.kind as usize, place, "{}", words.name);
            assert_eq!(serde_json::to_value(words.kind).unwrap(), words.name);
        }
        assert_eq!(WORDS.len(), DeviationKind::StaleKey as usize + 1);
    }
}
