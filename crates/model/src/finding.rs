use serde::{Deserialize, Serialize};

/// What kind of thing a detector looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Category {
    /// A link.
    Link,
    /// An attached file.
    Attachment,
    /// Sensitive content.
    Sensitive,
    /// Who sends, and to whom.
    People,
    /// A rule of the customer's.
    Rule,
}

/// How bad a finding is, taken alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Low,
    /// Worth a look.
    Medium,
    /// Act on it.
    High,
}

/// One detector's evidence.
///
/// `start` and `end` count Unicode code points of the decoded field, `end` exclusive, so that any
/// language can cut the same piece out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The detector's stable name, e.g. `link-text-mismatch`.
    pub detector: String,
    /// What kind of thing it looks at.
    pub category: Category,
    /// What was found, in the detector's terms: `PAYMENT_CARD`, a host name.
    pub entity: String,
    /// How bad it is, taken alone.
    pub severity: Severity,
    /// Where: `subject`, `body.text`, `body.html`, `attachment[2].text`, …
    pub field: String,
    /// First code point.
    pub start: usize,
    /// Behind the last code point.
    pub end: usize,
    /// What a person should see. Sensitive content is masked.
    pub evidence: String,
}

/// What all findings of a message come to, from harmless to harmful.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VerdictKind {
    /// Nothing found.
    Clean,
    /// Holds sensitive content.
    Sensitive,
    /// May be harmful.
    Suspicious,
    /// Is harmful.
    Malicious,
}

impl VerdictKind {
    /// The name used in the command line and the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Sensitive => "sensitive",
            Self::Suspicious => "suspicious",
            Self::Malicious => "malicious",
        }
    }
}

/// The outcome of inspecting one message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// What the findings come to.
    pub verdict: VerdictKind,
    /// 0 (nothing) to 1 (certain harm), explained by the findings alone.
    pub score: f64,
    /// The evidence, in order of field and place.
    pub findings: Vec<Finding>,
    /// Why a part of the message was not inspected (a limit was reached), empty when all of it
    /// was. A message with a reason in here is never called simply clean to a person.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_inspected: Vec<String>,
}
