//! What we wrote down of ourselves is not as we wrote it.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{Evidence, IncidentKind, Source, suspicion::Suspicion};

/// Which of our own records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OwnRecord {
    /// The signer's ledger.
    Ledger,
    /// The workers' receipts.
    Receipts,
    /// The journal of requests.
    Journal,
}

impl OwnRecord {
    /// Its name, which is the subject of its incident.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ledger => "ledger",
            Self::Receipts => "receipts",
            Self::Journal => "journal",
        }
    }

    /// The one that an incident of that kind and subject is about.
    pub(crate) fn of(kind: IncidentKind, subject: &str) -> Option<Self> {
        let all = [Self::Ledger, Self::Receipts, Self::Journal];
        all.into_iter().find(|one| one.kind() == kind && one.as_str() == subject)
    }

    fn kind(self) -> IncidentKind {
        match self {
            Self::Ledger => IncidentKind::LedgerDamaged,
            Self::Receipts | Self::Journal => IncidentKind::EvidenceDamaged,
        }
    }
}

/// Records of our own were changed or removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Which.
    pub of: OwnRecord,
    /// Until when they are known to have been whole.
    pub whole_until: OffsetDateTime,
    /// What is wrong with them, and where.
    pub text: String,
}

impl Damage {
    /// Without these records, nothing of a provider's log can be told to be ours. Of a journal, only
    /// what is missing.
    pub(crate) fn leaves_nothing_to_judge_by(&self) -> bool {
        matches!(self.of, OwnRecord::Ledger | OwnRecord::Receipts)
    }

    pub(crate) fn suspicion(&self) -> Suspicion {
        Suspicion {
            kind: self.of.kind(),
            client_id: None,
            function: None,
            subject: self.of.as_str().to_owned(),
            evidence: Evidence {
                at: self.whole_until,
                source: Source::Ledger,
                record: self.text.clone(),
                text: format!("{}, whole until then: {}", self.of.as_str(), self.text),
                address: None,
                uti: None,
            },
        }
    }
}
