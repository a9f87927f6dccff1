//! Sensitive content: numbers of people and accounts, secrets, and what the organisation itself
//! names.
//!
//! All of it works on the readable text of fields, whatever they are of: bodies and attachments
//! are the same here. Evidence is masked ([`mask`]).

mod address;
mod checks;
mod entities;
mod identifier;
mod mask;
mod named;
mod other_numbers;
mod payment_card;
mod secrets;
mod shapes;
mod table;
mod wallets;
mod wording;

pub(super) use identifier::IDENTIFIER;
pub(super) use named::{EXACT_MATCH, KEY_PHRASE};
pub(super) use payment_card::PAYMENT_CARD;
pub(super) use secrets::SECRET;

/// The entities of all detectors of sensitive content, but for those that an organisation names.
pub(crate) fn entity_names() -> impl Iterator<Item = &'static str> {
    identifier::entity_names().chain(secrets::entity_names()).chain([payment_card::ENTITY])
}
