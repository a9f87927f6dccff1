//! Israel, the Gulf and Egypt.

use super::{
    super::checks::{luhn, number, yymmdd},
    CheckDigit, Entity, IDENTITY, PASSPORT, Structure, Words, any, row, varied,
};

pub(super) const ENTITIES: &[Entity] = &[
    // רשות האוכלוסין, "מספר זהות": Luhn over nine digits.
    row(
        "IL_ID",
        "Israeli identity number",
        CheckDigit,
        &["D{9}", "DDDDDDDD-D"],
        israel,
        &[IDENTITY, &["תעודת זהות", "ת.ז", "ת\"ז", "מספר זהות", "teudat zehut", "israeli id"]],
    ),
    row("IL_PASSPORT", "Israeli passport", Words, &["D{7,8}"], varied, &[PASSPORT, &["דרכון"]]),
    // Federal Authority for Identity, "Emirates ID": 784, year of birth, Luhn.
    row(
        "AE_EMIRATES_ID",
        "Emirates ID",
        Structure,
        &["DDD-DDDD-DDDDDDD-D", "DDD DDDD DDDDDDD D", "D{15}"],
        emirates,
        &[IDENTITY, &["emirates id", "eid", "الهوية", "رقم الهوية"]],
    ),
    // Ministry of Interior, Absher: 1 for nationals, 2 for residents.
    row(
        "SA_NATIONAL_ID",
        "Saudi national number",
        CheckDigit,
        &["D{10}"],
        saudi,
        &[IDENTITY, &["iqama", "الهوية الوطنية", "رقم الهوية", "إقامة", "saudi id"]],
    ),
    row(
        "KW_CIVIL_ID",
        "Kuwaiti civil number",
        CheckDigit,
        &["D{12}"],
        kuwait,
        &[IDENTITY, &["civil id", "الرقم المدني", "البطاقة المدنية"]],
    ),
    row(
        "EG_NATIONAL_ID",
        "Egyptian national number",
        Words,
        &["D{14}"],
        egypt,
        &[IDENTITY, &["الرقم القومي", "بطاقة الرقم القومي", "egyptian id"]],
    ),
    row("AE_PASSPORT", "Passport of a Gulf state", Words, &["LD{7,8}", "D{9}"], any, &[PASSPORT]),
];

fn israel(digits: &[u8]) -> bool {
    luhn(digits) && varied(digits)
}

fn emirates(digits: &[u8]) -> bool {
    digits.starts_with(b"784") && (1900..2050).contains(&number(&digits[3..7])) && luhn(digits)
}

fn saudi(digits: &[u8]) -> bool {
    matches!(digits[0], b'1' | b'2') && luhn(digits) && varied(&digits[1..])
}

fn kuwait(digits: &[u8]) -> bool {
    let sum = super::super::checks::weighted(&digits[..11], &[2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]);
    matches!(digits[0], b'1'..=b'3')
        && yymmdd(&digits[1..])
        && super::super::checks::ends_with(digits, 11 - sum % 11)
}

fn egypt(digits: &[u8]) -> bool {
    matches!(digits[0], b'2' | b'3')
        && yymmdd(&digits[1..])
        && matches!(number(&digits[7..9]), 1..=35 | 88)
}
