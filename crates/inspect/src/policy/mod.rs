//! What follows when sensitive content is sent: rules, and a decision that is a pure function of
//! them, of who sends to whom, and of the verdict.
//!
//! ```
//! use mailkeep_inspect::policy::{Action, SensitivePolicy};
//!
//! let policy = SensitivePolicy::from_toml(r#"
//!     [[sensitive]]
//!     name = "cards leave the house"
//!     entities = ["PAYMENT_CARD", "IBAN_CODE"]
//!     direction = "outward"
//!     at_least = 3
//!     action = "quarantine"
//!
//!     [[sensitive.except]]
//!     from_groups = ["billing"]
//!     to = ["*@bank.example"]
//! "#)?;
//! assert_eq!(policy.rules()[0].action, Action::Quarantine);
//! # Ok::<(), mailkeep_inspect::policy::PolicyError>(())
//! ```
//!
//! Every rule is looked at; the strictest action of those that apply is taken. A message to many is
//! decided on by all of them together: one recipient outside makes it *outward*, and an exception
//! counts only when it covers every recipient for whom the rule holds.

mod decide;
mod rules;

pub use decide::{Applied, Decision, Envelope, Party, decide};
pub use rules::{Action, Direction, Exception, PolicyError, Rule, SensitivePolicy};
