//! The watch over ourselves: reads the provider's logs, holds them against what we know of our keys,
//! and keeps what comes of it.

mod blast;
mod exchange;
mod forget;
mod logs;
mod ours;
mod posture;
mod reconcile;
mod records;
mod settings;
mod tend;

pub use exchange::ExchangeLook;
pub use forget::Forgotten;
pub use logs::LogName;
pub use posture::{Acceptance, Looked};
pub use reconcile::{LogOutcome, Reconciled};
pub use records::LedgerRead;
pub use settings::{LogRead, Watch};
pub use tend::{WatchPace, Watched};

pub(crate) use ours::KnownKey;
use records::OwnRecordsSeen;
pub(crate) use records::{LATELY, LastTokens, Look, SharedRecords};
