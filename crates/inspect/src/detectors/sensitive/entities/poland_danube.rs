//! Poland, Czechia, Slovakia, Hungary, Romania and Bulgaria.

use super::Words;
use super::{
    super::checks::{day, ends_with, number, value, weighted},
    CheckDigit, Entity, IDENTITY, PASSPORT, Structure, TAX, any, row, varied,
};

pub(super) const ENTITIES: &[Entity] = &[
    // Ustawa o ewidencji ludności, art. 15–16; gov.pl, "Czym jest numer PESEL".
    row(
        "PL_PESEL",
        "Polish PESEL",
        CheckDigit,
        &["D{11}"],
        pesel,
        &[IDENTITY, &["pesel", "nr pesel", "numer pesel", "pesel nr"]],
    ),
    // Ustawa o zasadach ewidencji i identyfikacji podatników: modulus 11.
    row(
        "PL_NIP",
        "Polish tax number",
        CheckDigit,
        &["D{10}", "DDD-DDD-DD-DD", "DDD-DD-DD-DDD"],
        nip,
        &[TAX, &["nip", "nr nip", "numer identyfikacji podatkowej"]],
    ),
    // Rozporządzenie w sprawie rejestru REGON.
    row(
        "PL_REGON",
        "Polish REGON",
        CheckDigit,
        &["D{9}", "D{14}"],
        regon,
        &[&["regon", "nr regon"]],
    ),
    // Rozporządzenie w sprawie dowodów osobistych; weights 7, 3, 1.
    row(
        "PL_ID_CARD",
        "Polish identity card",
        CheckDigit,
        &["LLLD{6}", "LLL D{6}"],
        dowod,
        &[
            IDENTITY,
            &[
                "dowód osobisty",
                "dowodu osobistego",
                "nr dowodu",
                "seria i numer",
                "dowód",
                "dowodu",
            ],
        ],
    ),
    row(
        "PL_PASSPORT",
        "Polish passport",
        CheckDigit,
        &["LLD{7}", "LL D{7}"],
        pl_passport,
        &[PASSPORT],
    ),
    // Zákon č. 133/2000 Sb. § 13: divisible by 11. The same in Slovakia (zákon č. 301/1995 Z. z.).
    row(
        "CZ_BIRTH_NUMBER",
        "Czech or Slovak birth number",
        Structure,
        &["D{6}/D{4}"],
        rodne_cislo,
        &[CZ],
    ),
    row(
        "CZ_BIRTH_NUMBER",
        "Czech or Slovak birth number",
        CheckDigit,
        &["D{10}"],
        rodne_cislo,
        &[CZ],
    ),
    row(
        "CZ_PASSPORT",
        "Czech or Slovak passport",
        Words,
        &["D{8}", "LLD{7}"],
        any,
        &[PASSPORT, &["občanský průkaz", "číslo op", "občiansky preukaz"]],
    ),
    // 1996. évi XX. törvény, annexes.
    row(
        "HU_TAJ",
        "Hungarian social security number",
        CheckDigit,
        &["DDD~DDD~DDD"],
        taj,
        &[&["taj", "taj-szám", "taj szám", "tajszám", "társadalombiztosítási"]],
    ),
    row(
        "HU_TAX_ID",
        "Hungarian tax number",
        CheckDigit,
        &["D{10}"],
        adoazonosito,
        &[TAX, &["adóazonosító", "adóazonosító jel", "adóazonosító jele", "adószám"]],
    ),
    row(
        "HU_PERSONAL_ID",
        "Hungarian personal number",
        CheckDigit,
        &["D-D{6}-D{4}", "D D{6} D{4}", "D{11}"],
        szemelyi,
        &[IDENTITY, &["személyi szám", "személyi azonosító", "szem. szám", "személyi igazolvány"]],
    ),
    // Legea 105/1996; weights 279146358279.
    row(
        "RO_CNP",
        "Romanian personal number",
        CheckDigit,
        &["D{13}"],
        cnp,
        &[IDENTITY, &["cnp", "cod numeric personal", "codul numeric personal", "c.n.p"]],
    ),
    // Закон за гражданската регистрация; GRAO, "Структура на ЕГН".
    row(
        "BG_EGN",
        "Bulgarian personal number",
        CheckDigit,
        &["D{10}"],
        egn,
        &[IDENTITY, &["егн", "egn", "единен граждански номер"]],
    ),
];

const CZ: &[&str] = &[
    "rodné číslo",
    "rodne cislo",
    "rodného čísla",
    "rč",
    "r.č",
    "rč.",
    "rodným číslem",
    "birth number",
];

fn pesel(digits: &[u8]) -> bool {
    // The century is in the month: 80, 0, 20, 40, 60 added.
    let month = number(&digits[2..4]) % 20;
    (1..=12).contains(&month)
        && (1..=31).contains(&number(&digits[4..6]))
        && ends_with(
            digits,
            (10 - weighted(&digits[..10], &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3]) % 10) % 10,
        )
}

fn nip(digits: &[u8]) -> bool {
    ends_with(digits, weighted(&digits[..9], &[6, 5, 7, 2, 3, 4, 5, 6, 7]) % 11) && varied(digits)
}

fn regon(digits: &[u8]) -> bool {
    let nine = weighted(&digits[..8], &[8, 9, 2, 3, 4, 5, 6, 7]) % 11 % 10;
    let fourteen = || weighted(&digits[..13], &[2, 4, 8, 5, 0, 9, 7, 3, 6, 1, 2, 4, 8]) % 11 % 10;
    varied(digits)
        && ends_with(&digits[..9], nine)
        && (digits.len() == 9 || ends_with(digits, fourteen()))
}

fn dowod(characters: &[u8]) -> bool {
    let sum = weighted(&characters[..3], &[7, 3, 1]) + weighted(&characters[4..], &[7, 3, 1, 7, 3]);
    value(characters[3]) == sum % 10
}

fn pl_passport(characters: &[u8]) -> bool {
    let sum = weighted(&characters[..2], &[7, 3]) + weighted(&characters[3..], &[1, 7, 3, 1, 7, 3]);
    value(characters[2]) == sum % 10
}

fn rodne_cislo(digits: &[u8]) -> bool {
    // Women have 50 added to the month, exhausted days 20 more.
    let month = number(&digits[2..4]) % 50;
    let month = if month > 20 { month - 20 } else { month };
    let whole = number(digits).is_multiple_of(11);
    let before_1985 = number(&digits[..9]) % 11 == 10 && digits[9] == b'0';
    (1..=12).contains(&month) && (1..=31).contains(&number(&digits[4..6])) && (whole || before_1985)
}

fn taj(digits: &[u8]) -> bool {
    ends_with(digits, weighted(&digits[..8], &[3, 7, 3, 7, 3, 7, 3, 7]) % 10) && varied(digits)
}

fn adoazonosito(digits: &[u8]) -> bool {
    digits[0] == b'8'
        && ends_with(digits, weighted(&digits[..9], &[1, 2, 3, 4, 5, 6, 7, 8, 9]) % 11)
}

fn szemelyi(digits: &[u8]) -> bool {
    let rising = weighted(&digits[..10], &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]) % 11;
    let falling = weighted(&digits[..10], &[10, 9, 8, 7, 6, 5, 4, 3, 2, 1]) % 11;
    // Births since 1997 count down; 3 and 4 are this century.
    let check = if matches!(digits[0], b'3' | b'4') || number(&digits[1..3]) > 96 {
        falling
    } else {
        rising
    };
    matches!(digits[0], b'1'..=b'8')
        && day(&digits[3..5], &digits[5..7])
        && ends_with(digits, check)
}

fn cnp(digits: &[u8]) -> bool {
    let check = weighted(&digits[..12], &[2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9]) % 11;
    digits[0] != b'0'
        && day(&digits[3..5], &digits[5..7])
        && matches!(number(&digits[7..9]), 1..=48 | 51 | 52 | 70 | 80..=83)
        && ends_with(digits, if check == 10 { 1 } else { check })
}

fn egn(digits: &[u8]) -> bool {
    let month = number(&digits[2..4]) % 20;
    (1..=12).contains(&month)
        && (1..=31).contains(&number(&digits[4..6]))
        && ends_with(digits, weighted(&digits[..9], &[2, 4, 8, 5, 10, 9, 7, 3, 6]) % 11 % 10)
}
