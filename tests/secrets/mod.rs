//! What the signer alone may know, and how it is looked for.

mod sealed;
mod search;

pub(crate) use sealed::Sealed;
pub(crate) use search::{Found, Loot, Searched};
