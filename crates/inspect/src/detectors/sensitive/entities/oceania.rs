//! Australia and New Zealand.

use super::{
    super::checks::{ends_with, number, value, weighted},
    CheckDigit, Entity, PASSPORT, TAX, Words, any, row, varied,
};

pub(super) const ENTITIES: &[Entity] = &[
    // ATO, "Tax file number algorithm": modulus 11.
    row(
        "AU_TFN",
        "Australian tax file number",
        CheckDigit,
        &["DDD~DDD~DDD"],
        tfn,
        &[TAX, &["tfn", "tax file number", "tax file"]],
    ),
    // ABR, "Format of the ABN": modulus 89.
    row(
        "AU_ABN",
        "Australian business number",
        CheckDigit,
        &["DD DDD DDD DDD", "D{11}"],
        abn,
        &[&["abn", "australian business number"]],
    ),
    // ASIC, "ACN check digit": modified modulus 10.
    row(
        "AU_ACN",
        "Australian company number",
        CheckDigit,
        &["DDD~DDD~DDD"],
        acn,
        &[&["acn", "australian company number", "arbn"]],
    ),
    // Services Australia, "Medicare card number": modulus 10, with the issue behind it.
    row(
        "AU_MEDICARE",
        "Australian Medicare number",
        CheckDigit,
        &["DDDD~DDDDD~D", "D{11}", "DDDD DDDDD D D"],
        medicare,
        &[&["medicare", "medicare no", "medicare card", "medicare number"]],
    ),
    row(
        "AU_PASSPORT",
        "Australian or New Zealand passport",
        Words,
        &["LD{7}", "LLD{6,7}"],
        any,
        &[PASSPORT],
    ),
    row(
        "AU_BSB",
        "Australian bank branch",
        Words,
        &["DDD-DDD", "DDD DDD", "D{6}"],
        any,
        &[&["bsb", "bsb no", "bsb number", "bank state branch"]],
    ),
    // Inland Revenue, "Resident withholding tax … specification": modulus 11, two sets of weights.
    row(
        "NZ_IRD",
        "New Zealand tax number",
        CheckDigit,
        &["D{8,9}", "DDD-DDD-DDD", "DD-DDD-DDD"],
        ird,
        &[TAX, &["ird", "ird no", "ird number", "inland revenue"]],
    ),
    // HISO 10046:2023, "National Health Index": modulus 11 (old format).
    row(
        "NZ_NHI",
        "New Zealand health number",
        CheckDigit,
        &["LLLDDDD"],
        nhi,
        &[&["nhi", "nhi no", "nhi number", "national health index"]],
    ),
];

fn tfn(digits: &[u8]) -> bool {
    weighted(digits, &[1, 4, 3, 7, 5, 8, 6, 9, 10]).is_multiple_of(11) && varied(digits)
}

fn abn(digits: &[u8]) -> bool {
    let sum = weighted(digits, &[10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19]);
    digits[0] != b'0' && (sum - 10).is_multiple_of(89)
}

fn acn(digits: &[u8]) -> bool {
    let sum = weighted(&digits[..8], &[8, 7, 6, 5, 4, 3, 2, 1]);
    ends_with(digits, (10 - sum % 10) % 10) && varied(digits)
}

fn medicare(digits: &[u8]) -> bool {
    let sum = weighted(&digits[..8], &[1, 3, 7, 9, 1, 3, 7, 9]);
    matches!(digits[0], b'2'..=b'6') && value(digits[8]) == sum % 10 && digits[9] != b'0'
}

fn ird(digits: &[u8]) -> bool {
    let eight = &digits[digits.len() - 8..];
    let leading = if digits.len() == 9 { digits[0] } else { b'0' };
    let body = [&[leading], &eight[..7]].concat();
    let check = |weights: &[u32]| (11 - weighted(&body, weights) % 11) % 11;
    let check = match check(&[3, 2, 7, 6, 5, 4, 3, 2]) {
        10 => check(&[7, 4, 3, 2, 5, 2, 7, 6]),
        check => check,
    };
    (10_000_000..150_000_000).contains(&number(digits)) && check < 10 && ends_with(digits, check)
}

fn nhi(characters: &[u8]) -> bool {
    const LETTERS: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZ";
    let mut sum = weighted(&characters[3..6], &[4, 3, 2]);
    for (letter, weight) in characters[..3].iter().zip([7, 6, 5]) {
        let Some(place) = LETTERS.iter().position(|l| l == letter) else { return false };
        sum += (place as u32 + 1) * weight;
    }
    let rest = sum % 11;
    rest != 0 && ends_with(characters, (11 - rest) % 10)
}
