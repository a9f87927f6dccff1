//! What an organisation names itself: phrases that must not leave it ([`Dictionary`]), and values
//! of its own records ([`ExactList`]), which it hands over hashed.

mod built_in;
mod dictionary;
mod exact;

pub use dictionary::{Dictionary, DictionaryError};
pub use exact::{ExactList, HashedValue, ListError, MatchKey};
