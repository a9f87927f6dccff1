//! Sweden, Norway, Denmark, Finland and Iceland.

use super::{
    super::checks::{day, ddmmyy, ends_with, luhn, number, value, weighted},
    CheckDigit, Entity, IDENTITY, PASSPORT, Structure, Words, any, row, varied,
};

pub(super) const ENTITIES: &[Entity] = &[
    // SKV 704, "Personnummer": Luhn over ten digits; coordination numbers have 60 added to the day.
    row(
        "SE_PERSONNUMMER",
        "Swedish personal number",
        CheckDigit,
        &["D{6}-?D{4}", "D{8}-?D{4}"],
        personnummer,
        &[
            IDENTITY,
            &[
                "personnummer",
                "pnr",
                "persnr",
                "personal number",
                "samordningsnummer",
                "swedish id",
                "personal identity",
            ],
        ],
    ),
    // SKV 709, "Organisationsnummer": the third digit is at least 2.
    row(
        "SE_ORGANISATIONSNUMMER",
        "Swedish organisation number",
        CheckDigit,
        &["D{6}-?D{4}"],
        organisationsnummer,
        &[&[
            "organisationsnummer",
            "orgnummer",
            "orgnr",
            "org.nr",
            "org nr",
            "org.nummer",
            "organisation number",
        ]],
    ),
    // Skatteetaten, "Fødselsnummer"; two check digits modulo 11.
    row(
        "NO_FODSELSNUMMER",
        "Norwegian birth number",
        CheckDigit,
        &["D{11}", "D{6} D{5}", "D{6}-D{5}"],
        fodselsnummer,
        &[
            IDENTITY,
            &[
                "fødselsnummer",
                "fodselsnummer",
                "personnummer",
                "fnr",
                "d-nummer",
                "fødselsnr",
                "birth number",
            ],
        ],
    ),
    // CPR-kontoret, "Personnummeret i CPR". Since 2007 numbers without a valid check digit are given.
    row(
        "DK_CPR",
        "Danish personal number",
        Words,
        &["D{6}-?D{4}", "D{6} D{4}"],
        cpr,
        &[
            IDENTITY,
            &["cpr", "cpr-nr", "cpr-nummer", "cprnr", "cpr nr", "personnummer", "cpr nummer"],
        ],
    ),
    // Digital and Population Data Services Agency, "Personal identity code" (separators of 2023 included).
    row(
        "FI_PERSONAL_IDENTITY_CODE",
        "Finnish personal identity code",
        Structure,
        &["D{6}-DDDX", "D{6}LDDDX"],
        hetu,
        &[
            IDENTITY,
            &[
                "henkilötunnus",
                "hetu",
                "henkilötunnuksesi",
                "personbeteckning",
                "sotu",
                "personal identity code",
            ],
        ],
    ),
    // Þjóðskrá, "Um kennitölur".
    row(
        "IS_KENNITALA",
        "Icelandic identity number",
        CheckDigit,
        &["D{6}-?D{4}"],
        kennitala,
        &[IDENTITY, &["kennitala", "kt", "kennitölu", "kennitalan"]],
    ),
    row("SE_PASSPORT", "Nordic passport", Words, &["D{8}", "LLD{7}", "LD{7}"], any, &[PASSPORT]),
];

fn personnummer(digits: &[u8]) -> bool {
    let (century, ten) = digits.split_at(digits.len() - 10);
    let day_of_month = number(&ten[4..6]);
    let day_of_month = if day_of_month > 60 { day_of_month - 60 } else { day_of_month };
    let day_digits = [b'0' + (day_of_month / 10) as u8, b'0' + (day_of_month % 10) as u8];
    matches!(century, b"" | b"18" | b"19" | b"20") && day(&ten[2..4], &day_digits) && luhn(ten)
}

fn organisationsnummer(digits: &[u8]) -> bool {
    matches!(digits[0], b'1'..=b'3' | b'5'..=b'9')
        && digits[2] >= b'2'
        && luhn(digits)
        && varied(digits)
}

fn fodselsnummer(digits: &[u8]) -> bool {
    // D numbers have 40 added to the day, synthetic ones 40 or 80 to the month.
    let day_of_month = number(&digits[..2]) % 40;
    let month = number(&digits[2..4]) % 40;
    let first = (11 - weighted(&digits[..9], &[3, 7, 6, 1, 8, 9, 4, 5, 2]) % 11) % 11;
    let second = (11 - weighted(&digits[..10], &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11) % 11;
    (1..=31).contains(&day_of_month)
        && (1..=12).contains(&month)
        && ends_with(&digits[..10], first)
        && ends_with(digits, second)
}

fn cpr(digits: &[u8]) -> bool {
    ddmmyy(digits)
}

fn hetu(characters: &[u8]) -> bool {
    // The dash is not among the characters.
    let (date, rest) = characters.split_at(6);
    let rest = match rest {
        [b'Y' | b'X' | b'W' | b'V' | b'U' | b'A'..=b'F', rest @ ..] if rest.len() == 4 => rest,
        rest if rest.len() == 4 => rest,
        _ => return false,
    };
    let (serial, check) = rest.split_at(3);
    let number_of = number(date) * 1000 + number(serial);
    ddmmyy(date)
        && serial.iter().all(u8::is_ascii_digit)
        && number(serial) >= 2
        && check[0] == b"0123456789ABCDEFHJKLMNPRSTUVWXY"[(number_of % 31) as usize]
}

fn kennitala(digits: &[u8]) -> bool {
    // Companies have 40 added to the day.
    let day_of_month = number(&digits[..2]) % 40;
    let check = (11 - weighted(&digits[..8], &[3, 2, 7, 6, 5, 4, 3, 2]) % 11) % 11;
    (1..=31).contains(&day_of_month)
        && (1..=12).contains(&number(&digits[2..4]))
        && matches!(digits[9], b'8' | b'9' | b'0')
        && value(digits[8]) == check
}
