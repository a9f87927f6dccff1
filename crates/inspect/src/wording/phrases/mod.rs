//! What is said in mail that wants something from its reader, by theme. Phrases are *folded*
//! ([`super::fold`]): lower case, no diacritics, single spaces; they begin at the beginning of a
//! word and may end within one. Written from what such mail says in general, in the languages in
//! which most of it comes: English, German, French, Spanish, Portuguese, Italian, Dutch.

mod account;
mod bargains;
mod fraud;
mod gifts;
mod papers;
mod wishes;

use super::Theme;

/// A theme's phrases. A strong one says what an honest sender would hardly say; a weak one counts
/// beside others.
pub(super) struct Phrases {
    pub(super) theme: Theme,
    pub(super) strong: &'static [&'static str],
    pub(super) weak: &'static [&'static str],
}

pub(super) const PHRASES: &[Phrases] = &[
    account::ACCOUNT,
    gifts::PRIZE,
    gifts::PARCEL,
    wishes::WALLET,
    wishes::DATING,
    wishes::HEALTH,
    bargains::OFFER,
    fraud::FORTUNE,
    fraud::EXTORTION,
    papers::INVOICE,
    bargains::JOB,
    papers::DOCUMENT,
    papers::PAYMENT,
    papers::HASTE,
];
