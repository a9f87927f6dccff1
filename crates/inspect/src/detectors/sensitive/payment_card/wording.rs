use std::{ops::Range, sync::LazyLock};

use super::super::other_numbers;

/// What the words next to a number say of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wording {
    /// It is a card.
    Card,
    /// It is something else.
    Other,
    None,
}

/// Bytes in front of a number, and behind it, in which words matter.
const BEFORE: usize = 80;
const AFTER: usize = 40;

/// Words for cards, in lower case.
const CARD: &[&str] = &[
    // English and names
    "amex",
    "card",
    "cardholder",
    "cardno",
    "cards",
    "cc",
    "ccn",
    "ccnum",
    "creditcard",
    "cvc",
    "cvc2",
    "cvv",
    "cvv2",
    "debit",
    "diners",
    "discover",
    "exp",
    "expdate",
    "expiration",
    "expires",
    "expiry",
    "jcb",
    "maestro",
    "mastercard",
    "mir",
    "pan",
    "unionpay",
    "visa",
    // German, Dutch, Scandinavian
    "bankkort",
    "betalingskort",
    "betalkort",
    "betaalkaart",
    "gültig",
    "karte",
    "kartennummer",
    "kaart",
    "kaartnummer",
    "kk",
    "kort",
    "kortnummer",
    "kredietkaart",
    "kreditkarte",
    "kreditkartennummer",
    "kreditkort",
    "luottokortti",
    "prüfnummer",
    // French, Spanish, Portuguese, Italian
    "bancaire",
    "carta",
    "carte",
    "cartao",
    "cartão",
    "cb",
    "expire",
    "scadenza",
    "tarjeta",
    "validade",
    "vencimiento",
    // Polish, Czech, Hungarian, Turkish, Romanian
    "bankkártya",
    "card",
    "karta",
    "kartı",
    "kartu",
    "karty",
    "kártya",
    "kártyaszám",
    "kredi",
    // Russian, Ukrainian, Greek
    "карта",
    "картка",
    "карту",
    "карты",
    "картою",
    "картой",
    "κάρτα",
    "κάρτας",
];

/// The same in scripts that are written without spaces.
const CARD_ANYWHERE: &[&str] =
    &["カード", "クレジット", "信用卡", "卡号", "卡號", "카드", "بطاقة", "כרטיס"];

/// Words for numbers that are something else, in lower case.
static OTHER: LazyLock<Vec<&str>> = LazyLock::new(|| [other_numbers::WORDS, OTHER_HERE].concat());

/// Those that say so of a number as long as a card's.
const OTHER_HERE: &[&str] = &["case", "iban", "iccid", "item", "meid", "po", "vat"];

const OTHER_ANYWHERE: &[&str] = &["注文", "追跡", "订单", "訂單", "快递", "주문", "송장"];

/// What the words around a number say: in front of it the nearest word decides; behind it only
/// words for cards count ("exp 11/29, cvv 123").
pub(super) fn around(text: &str, place: &Range<usize>) -> Wording {
    let from = text.floor_char_boundary(place.start.saturating_sub(BEFORE));
    let before = label(&text[from..place.start]).to_lowercase();
    let to = text.floor_char_boundary((place.end + AFTER).min(text.len()));
    let after = text[place.end..to].to_lowercase();
    let after = after.split('\n').next().unwrap_or_default();
    if nearest(after, CARD, CARD_ANYWHERE, Side::First).is_some() {
        return Wording::Card;
    }
    let card = nearest(&before, CARD, CARD_ANYWHERE, Side::Last);
    let other = nearest(&before, &OTHER, OTHER_ANYWHERE, Side::Last);
    match (card, other) {
        // "paid by card, order no. …"; but "the Visa for the booking: …" is the card's number.
        (Some(card), Some(other)) if other > card && is_number_label(&before[other..]) => {
            Wording::Other
        }
        (Some(_), _) => Wording::Card,
        (None, Some(_)) => Wording::Other,
        (None, None) => Wording::None,
    }
}

/// What stands in front of a number on its line, and on the line above when its own has no words
/// ("Card number:\n4000 …", a cell below its heading).
fn label(before: &str) -> &str {
    let mut start = before.len();
    for (index, _) in before.rmatch_indices('\n').take(2) {
        if before[start..].contains(char::is_alphabetic) {
            return &before[start..];
        }
        if before[index..].contains(char::is_alphabetic) {
            return &before[index..];
        }
        start = index;
    }
    before
}

/// Whether a text that begins with a word for something else names that thing's number.
fn is_number_label(text: &str) -> bool {
    const NUMBER: &[&str] = &[
        "code",
        "id",
        "no",
        "nr",
        "num",
        "number",
        "numéro",
        "numero",
        "número",
        "nummer",
        "numer",
        "ref",
        "номер",
        "№",
    ];
    text.contains(['#', '№'])
        || text.contains("nummer")
        || text.split(|c: char| !c.is_alphabetic()).any(|word| NUMBER.contains(&word))
}

#[derive(Clone, Copy)]
enum Side {
    First,
    Last,
}

/// Where the first or last of the words stands.
fn nearest(text: &str, words: &[&str], anywhere: &[&str], side: Side) -> Option<usize> {
    let mut places = text
        .split(|c: char| !c.is_alphabetic() && !c.is_ascii_digit())
        .filter(|word| {
            let word = word.trim_end_matches(|c: char| c.is_ascii_digit() && c != '2');
            !word.is_empty() && words.contains(&word)
        })
        .map(|word| word.as_ptr() as usize - text.as_ptr() as usize);
    let whole = match side {
        Side::First => places.next(),
        Side::Last => places.next_back(),
    };
    let inside = anywhere.iter().filter_map(|word| match side {
        Side::First => text.find(word),
        Side::Last => text.rfind(word),
    });
    match side {
        Side::First => whole.into_iter().chain(inside).min(),
        Side::Last => whole.into_iter().chain(inside).max(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wording(text: &str) -> Wording {
        let start = text.find('N').unwrap();
        around(text, &(start..start + 1))
    }

    #[test]
    fn the_nearest_word_in_front_decides() {
        for (text, expected) in [
            ("card number: N", Wording::Card),
            ("my visa N", Wording::Card),
            ("Kreditkarte N bitte", Wording::Card),
            ("クレジットカード番号 N", Wording::Card),
            ("Card\nN", Wording::Card),
            ("Card number:\n\nN", Wording::Card),
            ("order no. N", Wording::Other),
            ("paid by card, order no. N", Wording::Other),
            ("order paid by card N", Wording::Card),
            ("our Visa for the booking: N", Wording::Card),
            ("Kartenzahlung, Rechnungsnummer N", Wording::Other),
            ("order N exp 11/29", Wording::Card),
            ("the meeting is at noon\nnothing else\nN", Wording::None),
            ("please see N", Wording::None),
            ("discarded N", Wording::None),
        ] {
            assert_eq!(wording(text), expected, "{text}");
        }
    }
}
