//! What the signer alone may know, and how it is looked for.

// Every story is a program of its own and uses a part of this.
#![allow(dead_code, unused_imports)]

mod sealed;
mod search;

pub(crate) use sealed::Sealed;
pub(crate) use search::{Found, Loot, Searched};
