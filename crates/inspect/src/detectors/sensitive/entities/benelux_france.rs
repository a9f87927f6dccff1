//! France, Belgium, the Netherlands and Luxembourg.

use super::{
    super::checks::{day, luhn, number, verhoeff, weighted, yyyymmdd},
    CheckDigit, Entity, IDENTITY, PASSPORT, Structure, TAX, Words, any, row, varied,
};

pub(super) const ENTITIES: &[Entity] = &[
    // INSEE, "Numéro d'inscription au répertoire"; key: 97 less the rest by 97 (décret n° 82-103).
    row(
        "FR_NIR",
        "French social security number",
        Structure,
        &["D DD DD DX DDD DDD DD"],
        nir,
        &[NIR],
    ),
    row(
        "FR_NIR",
        "French social security number",
        CheckDigit,
        &["D{6}XD{8}", "D.DD.DD.DX.DDD.DDD.DD"],
        nir,
        &[NIR],
    ),
    // DGFiP, "Numéro fiscal (SPI)": the last three are the first ten modulo 511.
    row(
        "FR_SPI",
        "French tax number",
        CheckDigit,
        &["D{13}", "DD DD DDD DDD DDD"],
        spi,
        &[
            TAX,
            &[
                "numéro fiscal",
                "numero fiscal",
                "spi",
                "n° fiscal",
                "identifiant fiscal",
                "référence fiscale",
            ],
        ],
    ),
    row(
        "FR_CNI",
        "French identity card",
        Words,
        &["D{12}", "XXXXXXXXX"],
        mixed,
        &[IDENTITY, &["carte d'identité", "carte nationale d'identité", "cni", "carte d’identité"]],
    ),
    row("FR_PASSPORT", "French passport", Words, &["DDLLDDDDD"], any, &[PASSPORT]),
    // Arrêté royal du 3 avril 1984: 97 less the rest by 97, with a 2 in front from 2000 on.
    row(
        "BE_NATIONAL_NUMBER",
        "Belgian national number",
        Structure,
        &["DD.DD.DD-DDD.DD"],
        rijksregister,
        &[BE],
    ),
    row(
        "BE_NATIONAL_NUMBER",
        "Belgian national number",
        CheckDigit,
        &["D{11}", "DDDDDD-DDD-DD", "DDDDDD DDD DD"],
        rijksregister,
        &[BE],
    ),
    row("BE_PASSPORT", "Belgian passport", Words, &["LLD{6}"], any, &[PASSPORT]),
    // The eleven test: Logisch Ontwerp BSN, section 2.1 (Rijksdienst voor Identiteitsgegevens).
    row(
        "NL_BSN",
        "Dutch citizen service number",
        CheckDigit,
        &["DDD~DDD~DDD", "DDDD.DD.DDD"],
        bsn,
        &[&[
            "bsn",
            "burgerservicenummer",
            "sofinummer",
            "sofi",
            "bsn-nummer",
            "citizen service number",
        ]],
    ),
    row(
        "NL_PASSPORT",
        "Dutch passport",
        Words,
        &["LLXXXXXXD"],
        any,
        &[PASSPORT, &["identiteitskaart", "paspoortnummer"]],
    ),
    // Loi du 19 juin 2013: a Luhn digit and a Verhoeff digit over the same eleven.
    row(
        "LU_NATIONAL_ID",
        "Luxembourg national number",
        CheckDigit,
        &["D{13}", "DDDD DDDD DDDDD"],
        matricule,
        &[
            IDENTITY,
            &[
                "matricule",
                "numéro d'identification",
                "numéro national",
                "sozialversicherungsnummer",
            ],
        ],
    ),
];

const NIR: &[&str] = &[
    "sécurité sociale",
    "securite sociale",
    "numéro de sécurité sociale",
    "nir",
    "insee",
    "n° de sécurité sociale",
    "numéro de sécu",
    "carte vitale",
    "n° sécu",
    "immatriculation",
];

const BE: &[&str] = &[
    "rijksregisternummer",
    "rijksregister",
    "numéro national",
    "registre national",
    "national number",
    "insz",
    "niss",
    "numéro de registre national",
    "nationalregisternummer",
    "rrn",
];

fn nir(characters: &[u8]) -> bool {
    let (body, key) = characters.split_at(13);
    let mut body = body.to_vec();
    // Corsica: 2A counts as 19, 2B as 18.
    match (body[5], body[6]) {
        (b'2', letter @ (b'A' | b'B')) => {
            body[5] = b'1';
            body[6] = if letter == b'A' { b'9' } else { b'8' };
        }
        (_, b'0'..=b'9') => {}
        _ => return false,
    }
    matches!(body[0], b'1'..=b'4' | b'7' | b'8')
        && matches!(number(&body[3..5]), 1..=12 | 20..=42 | 50..=99)
        && number(key) == 97 - number(&body) % 97
}

fn spi(digits: &[u8]) -> bool {
    matches!(digits[0], b'0'..=b'3')
        && number(&digits[..10]) % 511 == number(&digits[10..])
        && number(&digits[..10]) > 511
}

fn mixed(characters: &[u8]) -> bool {
    varied(characters) && characters.iter().filter(|c| c.is_ascii_digit()).count() >= 4
}

fn rijksregister(digits: &[u8]) -> bool {
    let (body, check) = (number(&digits[..9]), number(&digits[9..]));
    // Unknown birthdays have month or day 0; months from 20 and 40 are of numbers "bis".
    let month = number(&digits[2..4]) % 20;
    month <= 12
        && number(&digits[4..6]) <= 31
        && (check == 97 - body % 97 || check == 97 - (2_000_000_000 + body) % 97)
        && varied(digits)
}

fn bsn(digits: &[u8]) -> bool {
    let sum = weighted(digits, &[9, 8, 7, 6, 5, 4, 3, 2]);
    let last = u32::from(digits[8] - b'0');
    sum % 11 == last && varied(digits)
}

fn matricule(digits: &[u8]) -> bool {
    let verhoeff_digits = [&digits[..11], &digits[12..]].concat();
    yyyymmdd(digits)
        && day(&digits[4..6], &digits[6..8])
        && luhn(&digits[..12])
        && verhoeff(&verhoeff_digits)
}
