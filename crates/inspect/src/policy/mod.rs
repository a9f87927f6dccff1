//! What follows from a verdict: rules, and a decision that is a pure function of them, of who sends
//! to whom, and of the verdict.
//!
//! ```
//! use mailkeep_inspect::policy::{Action, Policy};
//!
//! let policy = Policy::from_toml(r#"
//!     dry_run = false
//!     own_domains = ["corp.example"]
//!
//!     [groups]
//!     billing = ["ben@corp.example"]
//!
//!     [verdict]
//!     malicious = "quarantine"
//!
//!     [[sensitive]]
//!     name = "cards leave the house"
//!     entities = ["PAYMENT_CARD", "IBAN_CODE"]
//!     direction = "outward"
//!     at_least = 3
//!     action = "warn"
//!
//!     [[sensitive.except]]
//!     from_groups = ["billing"]
//!     to = ["*@bank.example"]
//! "#, &[])?;
//! assert_eq!(policy.rules()[1].action, Action::Warn);
//! # Ok::<(), mailkeep_inspect::policy::PolicyError>(())
//! ```
//!
//! - `[[rule]]` asks for what the verdict is, for findings, or for both; `[[sensitive]]` is the same
//!   for findings of sensitive content alone; `[verdict]` is short for a rule per verdict.
//! - Every rule is looked at; the strictest action of those that apply is taken. A message to many is
//!   decided on by all of them together: one recipient outside makes it *outward*, and an exception
//!   counts only when it covers every recipient for whom the rule holds.
//! - Rules are about mail that insiders send, unless one says `senders` otherwise.
//! - A policy begins in *dry run*: nothing follows, and the decision says what would have. It ends
//!   with `dry_run = false` at the top; a rule may stay in it longer.

mod decide;
mod file;
mod mistake;
mod rules;

pub use decide::{Applied, Decision, Envelope, Party, decide};
pub use file::Policy;
pub use mistake::PolicyError;
pub use rules::{Action, Direction, Exception, Rule, Senders};
