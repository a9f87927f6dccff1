//! What inspection is given from outside, and what follows from a verdict.
//!
//! # Vocabulary
//!
//! - [`ProtectOptions`] say where the files are: the policy, feeds, dictionaries, lists of hashed
//!   values, rules of one's own; and where ClamAV listens. A tenant may have a policy, dictionaries
//!   and lists of its own.
//! - [`Protection`] holds what they say. It is *looked at* again and again: what changed is read
//!   anew, and what cannot be used leaves what was there before in its place and is a
//!   [`LoadProblem`].
//! - [`Loaded`] is what there was at one moment, for one tenant: a message is inspected with it as a
//!   whole, whatever is read anew meanwhile.
//! - A *scanner* looks at bytes that inspection only unpacks: [`ClamAv`] over its socket, a
//!   [`RuleScanner`] made by a [`RuleEngine`]. What they say goes into inspection; what they did not
//!   look at becomes part of the verdict.
//! - A *decision* is what the policy says of a message. What is to be taken away is *ordered* from
//!   `remedy`, once for a message, however many mailboxes it is in.

mod act;
mod clamav;
mod files;
mod loaded;
mod options;
mod protection;
mod scan;

pub(crate) use act::{Acting, Decided, EPISODE, decided};
pub use clamav::{ClamAddress, ClamAv, ClamError};
pub use files::LoadProblem;
pub use loaded::{For, Held, Loaded, ScannedMessage};
pub use options::{ProtectOptions, TenantFiles};
pub use protection::{Look, Protection};
pub use scan::{Piece, RuleEngine, RuleScanner};
