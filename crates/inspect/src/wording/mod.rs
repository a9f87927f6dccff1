//! What a message says, by theme: one pass over its folded text.

mod fold;
mod phrases;

use std::{ops::Range, sync::LazyLock};

pub(crate) use self::fold::{Folded, fold, look_alike, plain_letters};
use self::phrases::PHRASES;
use crate::starts::{Starts, words};

/// What mail of a kind is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Theme {
    /// An account, mailbox or subscription is in danger.
    Account,
    /// Something was won.
    Prize,
    /// A parcel waits, for a fee.
    Parcel,
    /// Crypto currency: wallets, airdrops, giveaways.
    Wallet,
    /// Somebody wants to be met.
    Dating,
    /// A cure.
    Health,
    /// A bargain, a bet, a way to riches.
    Offer,
    /// Money of the dead, of funds and of donors (advance-fee fraud).
    Fortune,
    /// "I recorded you".
    Extortion,
    /// A bill for what nobody ordered, and a number to call.
    Invoice,
    /// Work for much money.
    Job,
    /// A document, a call or a letter that has to be looked at.
    Document,
    /// A payment that somebody inside should make (business e-mail compromise).
    Payment,
    /// It has to be now. No theme of its own: it strengthens the others.
    Haste,
}

impl Theme {
    /// The name in findings.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Prize => "prize",
            Self::Parcel => "parcel",
            Self::Wallet => "wallet",
            Self::Dating => "dating",
            Self::Health => "health",
            Self::Offer => "offer",
            Self::Fortune => "fortune",
            Self::Extortion => "extortion",
            Self::Invoice => "invoice",
            Self::Job => "job",
            Self::Document => "document",
            Self::Payment => "payment",
            Self::Haste => "haste",
        }
    }
}

/// A phrase that was found.
#[derive(Clone, Debug)]
pub(crate) struct Phrase {
    pub(crate) theme: Theme,
    pub(crate) strong: bool,
    /// Which of the phrases it is, so that one said twice counts once.
    pub(crate) number: usize,
    pub(crate) text: &'static str,
    /// The field's index in the view.
    pub(crate) field: usize,
    /// Bytes of the field's readable text.
    pub(crate) place: Range<usize>,
}

struct Lexicon {
    starts: Starts,
    entries: Vec<(Theme, bool, &'static str)>,
}

static LEXICON: LazyLock<Lexicon> = LazyLock::new(|| {
    let entries: Vec<_> = PHRASES
        .iter()
        .flat_map(|phrases| {
            let strong = phrases.strong.iter().map(|text| (phrases.theme, true, *text));
            strong.chain(phrases.weak.iter().map(|text| (phrases.theme, false, *text)))
        })
        .collect();
    Lexicon { starts: Starts::of(entries.iter().map(|(_, _, text)| *text)), entries }
});

/// Phrases of one message that are kept.
const MOST: usize = 2_000;

/// Finds the phrases of a folded text.
pub(crate) fn phrases(folded: &Folded, field: usize, found: &mut Vec<Phrase>) {
    let lexicon = &*LEXICON;
    let bytes = folded.text.as_bytes();
    for at in words(bytes) {
        for number in lexicon.starts.at(bytes, at) {
            if found.len() >= MOST {
                return;
            }
            let (theme, strong, text) = lexicon.entries[number];
            // Short ones are words of their own, not the beginnings of others.
            let after = bytes.get(at + text.len());
            if text.len() <= 5 && after.is_some_and(u8::is_ascii_alphanumeric) {
                continue;
            }
            let place = folded.place(at..at + text.len());
            found.push(Phrase { theme, strong, number, text, field, place });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phrases_are_written_as_texts_are_read() {
        for (theme, _, text) in &LEXICON.entries {
            let folded = fold(text, &[]);
            assert_eq!(folded.text.trim(), *text, "{theme:?}");
        }
    }

    #[test]
    fn a_phrase_is_found_however_it_is_dressed() {
        for text in [
            "VERIFY  your\nAccount",
            "v\u{435}rify y\u{43e}ur acc\u{43e}unt",
            "ver\u{200b}ify your\u{a0}account",
            "\u{1d5e9}\u{1d5f2}\u{1d5ff}\u{1d5f6}\u{1d5f3}\u{1d606} your account",
        ] {
            let mut found = Vec::new();
            phrases(&fold(text, &[]), 0, &mut found);
            assert!(found.iter().any(|p| p.text == "verify your account"), "{text}");
        }
        let mut found = Vec::new();
        phrases(&fold("the subset of unexpected", &[]), 0, &mut found);
        assert!(found.is_empty(), "{found:?}");
    }
}
