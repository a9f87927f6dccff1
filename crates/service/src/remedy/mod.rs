//! Taking messages out of mailboxes, and putting them back.
//!
//! # Vocabulary
//!
//! - An [`Order`] says what is to be done with which messages, by whom. [`Service::order_remedy`] keeps it;
//!   from then on it is carried out, whatever happens to us.
//! - A *copy* is such a message in one mailbox. It is *found*, *quarantined* or *removed*, and *released*
//!   when it is back where it lay; *purged* when it was deleted for good.
//! - The *quarantine* is a hidden folder of each mailbox ([`mailkeep_exchange::QUARANTINE`]).
//!
//! # The order of things
//!
//! Where a copy lies is written down before it is touched, and what became of it after: whoever ends in the
//! middle is followed by one who finds the copy where either says. Only the responder's key is used.
//! Decisions 0033 (where quarantine is) and 0034 (what an order reaches, and for how long).

mod marks;
mod order;
mod step;
mod tend;
mod work;

pub use mailkeep_control::{
    CopyState, FoundCopy, OrderedBy, RemedyAction, RemedyId, RemedySubject, StoredCopy,
    StoredRemedy, Unsearched,
};
pub use order::{Order, Reach, Which};
pub(crate) use step::Quarantines;
pub(crate) use work::found_copy;
pub use work::{RemedyReport, UNDO_FOR};
