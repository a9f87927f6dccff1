//! What belongs to a person and has no country: wallets, vehicles, dates of birth.

use super::{
    super::{
        checks::{day, number, value},
        wallets,
    },
    CheckDigit, Entity, Form, Letters, Structure, Words, row,
};

pub(super) const ENTITIES: &[Entity] = &[
    Entity {
        name: "CRYPTO_WALLET",
        title: "cryptocurrency wallet",
        proof: Structure,
        shapes: wallets::SHAPES,
        check: wallets::check,
        words: &[WALLET],
        letters: Letters::AsWritten,
    },
    // EIP-55's check is in the case of the letters and needs Keccak; many are written without it.
    row("CRYPTO_WALLET", "cryptocurrency wallet", Form, &["X{42}"], wallets::ethereum, &[WALLET]),
    // ISO 3779; check digit of 49 CFR 565.15 (North America).
    row(
        "VIN",
        "vehicle identification number",
        CheckDigit,
        &["X{17}"],
        vin,
        &[&[
            "vin",
            "vin no",
            "chassis",
            "fahrgestellnummer",
            "fin",
            "vehicle identification",
            "numéro de châssis",
            "bastidor",
            "telaio",
        ]],
    ),
    row(
        "DATE_OF_BIRTH",
        "date of birth",
        Words,
        &[
            "D{1,2}/D{1,2}/DDDD",
            "D{1,2}.D{1,2}.DDDD",
            "D{1,2}-D{1,2}-DDDD",
            "DDDD-DD-DD",
            "DDDD/DD/DD",
            "D{1,2}/D{1,2}/DD",
        ],
        birth,
        &[&[
            "dob",
            "d.o.b",
            "date of birth",
            "birth date",
            "birthdate",
            "born",
            "born on",
            "birthday",
            "geburtsdatum",
            "geboren",
            "geboren am",
            "geb",
            "date de naissance",
            "né le",
            "née le",
            "fecha de nacimiento",
            "nacido",
            "nacida",
            "data di nascita",
            "nato il",
            "nata il",
            "data de nascimento",
            "nascido",
            "geboortedatum",
            "data urodzenia",
            "ur",
            "född",
            "født",
            "syntymäaika",
            "дата рождения",
            "дата народження",
            "生年月日",
            "出生日期",
            "생년월일",
            "doğum tarihi",
            "datum narození",
            "születési",
        ]],
    ),
];

const WALLET: &[&str] = &[
    "wallet",
    "wallet address",
    "bitcoin",
    "btc",
    "ethereum",
    "eth",
    "crypto",
    "usdt",
    "tron",
    "litecoin",
];

fn vin(characters: &[u8]) -> bool {
    const WEIGHTS: [u32; 17] = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];
    // The letters of EBCDIC's rows, without I, O and Q.
    let transliterated = |c: u8| match c {
        b'0'..=b'9' => Some(value(c)),
        b'A'..=b'H' => Some(u32::from(c - b'A') + 1),
        b'J'..=b'N' => Some(u32::from(c - b'J') + 1),
        b'P' => Some(7),
        b'R' => Some(9),
        b'S'..=b'Z' => Some(u32::from(c - b'S') + 2),
        _ => None,
    };
    let mut sum = 0;
    for (&c, weight) in characters.iter().zip(WEIGHTS) {
        let Some(value) = transliterated(c) else { return false };
        sum += value * weight;
    }
    let check = b"0123456789X"[(sum % 11) as usize];
    characters[8] == check && characters.iter().any(u8::is_ascii_alphabetic)
}

/// The characters are without separators: eight digits have the year in front or behind.
fn birth(digits: &[u8]) -> bool {
    let year = |digits: &[u8]| (1900..2050).contains(&number(digits));
    match digits.len() {
        8 => {
            let (day_first, month_first) =
                (day(&digits[2..4], &digits[..2]), day(&digits[..2], &digits[2..4]));
            year(&digits[4..]) && (day_first || month_first)
                || year(&digits[..4]) && day(&digits[4..6], &digits[6..])
        }
        // "1/2/1980", "1/12/1980", "01/02/80": the shape is all that can be asked.
        4..=7 => true,
        _ => false,
    }
}
