use mailkeep_service::{ErrorKind, ServiceError};

/// How a command ends, as the command line contract numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Done = 0,
    /// Failed.
    Failed = 1,
    /// Used wrongly (clap's own number, too).
    Usage = 2,
    /// Partly done; what was not is listed.
    Partly = 3,
    /// No such tenant, mailbox, snapshot or item.
    NotFound = 10,
    /// Another run holds it.
    Busy = 11,
    /// Authentication or rights.
    Refused = 12,
    /// `inspect` found what `--fail-on` names.
    Found = 20,
    /// Verification found damage.
    Damage = 21,
    /// An incident is open.
    Incident = 22,
}

/// A failure on its way to the person.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }

    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message)
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }
}

impl Exit {
    /// The number for a kind of failure.
    pub(crate) fn of(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::Busy => Self::Busy,
            ErrorKind::Refused => Self::Refused,
            _ => Self::Failed,
        }
    }

    /// The word for it in JSON.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::Partly => "partly",
            Self::NotFound => "not-found",
            Self::Busy => "busy",
            Self::Refused => "refused",
            Self::Found => "found",
            Self::Damage => "damage",
            Self::Incident => "incident",
        }
    }
}

impl From<ServiceError> for Failure {
    fn from(error: ServiceError) -> Self {
        Self::new(Exit::of(error.kind()), error.to_string())
    }
}
