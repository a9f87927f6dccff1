//! Africa.

use super::{
    super::checks::{luhn, number, yymmdd},
    CheckDigit, Entity, Form, IDENTITY, PASSPORT, TAX, Words, any, row, varied,
};

pub(super) const ENTITIES: &[Entity] = &[
    // Department of Home Affairs, Identification Act 68 of 1997: Luhn behind date, serial, citizenship.
    row(
        "ZA_ID_NUMBER",
        "South African identity number",
        CheckDigit,
        &["D{13}", "D{6} DDDD DDD", "DDDDDD DDDD DD D"],
        south_africa,
        &[
            IDENTITY,
            &[
                "south african id",
                "rsa id",
                "sa id",
                "id nommer",
                "resident number",
                "identiteitsnommer",
            ],
        ],
    ),
    row("ZA_PASSPORT", "South African passport", Words, &["LD{8}", "D{9}"], varied, &[PASSPORT]),
    // National Identity Management Commission: eleven digits, no published check digit.
    row(
        "NG_NIN",
        "Nigerian identity number",
        Words,
        &["D{11}"],
        varied,
        &[IDENTITY, &["nin", "national identity number", "nimc"]],
    ),
    row(
        "NG_BVN",
        "Nigerian bank verification number",
        Words,
        &["D{11}"],
        varied,
        &[&["bvn", "bank verification number"]],
    ),
    // Kenya Revenue Authority, "PIN": a letter, nine digits, a letter.
    row(
        "KE_PIN",
        "Kenyan tax number",
        Form,
        &["LD{9}L"],
        kenya,
        &[TAX, &["kra", "kra pin", "pin"]],
    ),
    row(
        "KE_ID",
        "Kenyan identity number",
        Words,
        &["D{7,8}"],
        varied,
        &[&["kenyan id", "huduma", "kitambulisho"]],
    ),
    row(
        "GH_CARD",
        "Ghana Card",
        Form,
        &["LLL-D{9}-D"],
        ghana,
        &[IDENTITY, &["ghana card", "ghanacard"]],
    ),
    row(
        "MA_CIN",
        "Moroccan identity card",
        Words,
        &["LL?D{5,6}"],
        any,
        &[IDENTITY, &["cin", "cnie", "carte nationale"]],
    ),
];

fn south_africa(digits: &[u8]) -> bool {
    // Citizen, permanent resident or refugee; then an 8 or a 9.
    yymmdd(digits) && digits[10] <= b'2' && matches!(digits[11], b'8' | b'9') && luhn(digits)
}

fn kenya(characters: &[u8]) -> bool {
    matches!(characters[0], b'A' | b'P') && number(&characters[1..10]) > 0
}

fn ghana(characters: &[u8]) -> bool {
    characters.starts_with(b"GHA")
}
