//! Germany, Austria, Switzerland and Liechtenstein.

use super::{
    super::checks::{day, ends_with, icao, mod_11_10, number, weighted, weighted_digit_sums},
    CheckDigit, Entity, IDENTITY, PASSPORT, Structure, TAX, Words, any, row,
};

pub(super) const ENTITIES: &[Entity] = &[
    // § 139b AO; ISO/IEC 7064 MOD 11,10 (BZSt, "Aufbau der Identifikationsnummer").
    row(
        "DE_TAX_ID",
        "German tax identification number",
        CheckDigit,
        &["D{11}", "DD DDD DDD DDD", "DD/DDD/DDD/DDD"],
        steuer_id,
        &[
            TAX,
            &[
                "steuer-id",
                "steuer-idnr",
                "steueridentifikationsnummer",
                "steuer-identifikationsnummer",
                "steuerliche identifikationsnummer",
                "identifikationsnummer",
                "idnr",
                "steuer-nr",
                "steuer id",
                "steueridnr",
            ],
        ],
    ),
    // VKVV § 2 (Verordnung über die Versicherungsnummer).
    row(
        "DE_SOCIAL_SECURITY",
        "German pension insurance number",
        Structure,
        &["D{8}LDDD", "DD DDDDDD L DDD", "DD DDDDDD LDDD"],
        rentenversicherung,
        &[&[
            "rentenversicherung",
            "rentenversicherungsnummer",
            "sozialversicherungsnummer",
            "sozialversicherung",
            "sv-nummer",
            "rvnr",
            "svnr",
            "versicherungsnummer",
            "sv-nr",
        ]],
    ),
    // § 290 SGB V; GKV-Spitzenverband, "Prüfziffernverfahren der Krankenversichertennummer".
    row(
        "DE_HEALTH_INSURANCE",
        "German health insurance number",
        CheckDigit,
        &["LD{9}"],
        krankenversicherung,
        &[&[
            "krankenversicherung",
            "krankenversichertennummer",
            "krankenkasse",
            "kvnr",
            "versichertennummer",
            "egk-nummer",
            "egk",
            "gesundheitskarte",
        ]],
    ),
    // KBV, "Richtlinie zur Vergabe der Arztnummern".
    row(
        "DE_LANR",
        "German physician number",
        CheckDigit,
        &["D{9}"],
        lanr,
        &[&["lanr", "arztnummer", "lebenslange arztnummer", "arzt-nr"]],
    ),
    // PassV annex; check digit of ICAO Doc 9303.
    row("DE_PASSPORT", "German passport", CheckDigit, &["LX{7}D"], passport_checked, &[PASSPORT]),
    row("DE_PASSPORT", "German passport", Words, &["LX{8}"], passport, &[PASSPORT]),
    row(
        "DE_ID_CARD",
        "German identity card",
        CheckDigit,
        &["LX{8}D"],
        id_card,
        &[
            IDENTITY,
            &["personalausweis", "personalausweisnummer", "ausweisnummer", "ausweis-nr", "ausweis"],
        ],
    ),
    row(
        "DE_TAX_NUMBER",
        "German tax number",
        Words,
        &["DD/DDD/DDDDD", "DDD/DDD/DDDDD", "DDD/DDDD/DDDD", "D{13}"],
        any,
        &[&["steuernummer", "st.-nr", "st-nr", "steuer-nr", "stnr", "steuernr"]],
    ),
    row(
        "DE_DRIVING_LICENCE",
        "German driving licence",
        Words,
        &["XXXXXXXXXDX"],
        driving,
        &[&["führerschein", "führerscheinnummer", "fahrerlaubnis", "führerschein-nr"]],
    ),
    // BGBl. 1955/189 (ASVG § 31 Abs. 4); Hauptverband, "Aufbau der Versicherungsnummer".
    row(
        "AT_SVNR",
        "Austrian social security number",
        CheckDigit,
        &["D{10}", "DDDD DDDDDD", "DDDD-DDDDDD"],
        svnr,
        &[&[
            "svnr",
            "sv-nr",
            "sv-nummer",
            "sozialversicherungsnummer",
            "versicherungsnummer",
            "e-card",
            "vsnr",
        ]],
    ),
    row("AT_PASSPORT", "Austrian passport", Words, &["LD{7}", "LLD{7}"], any, &[PASSPORT]),
    // 13 digits with EAN-13's check digit, 756 in front: ZAS, "AHV-Nummer, Aufbau" (AHVV Art. 133).
    row(
        "CH_AHV",
        "Swiss social security number",
        Structure,
        &["DDD.DDDD.DDDD.DD", "DDD DDDD DDDD DD", "D{13}"],
        ahv,
        &[&[
            "ahv",
            "avs",
            "ahv-nummer",
            "ahv-nr",
            "numéro avs",
            "no avs",
            "sozialversicherungsnummer",
            "oasi",
            "ahvn13",
        ]],
    ),
    row("CH_PASSPORT", "Swiss passport", Words, &["LD{7}", "LXD{6}"], any, &[PASSPORT]),
];

fn steuer_id(digits: &[u8]) -> bool {
    // At most three times the same digit among the first ten (since 2016; twice before).
    let repeated = |digit| digits[..10].iter().filter(|&&d| d == digit).count() > 3;
    digits[0] != b'0' && !(b'0'..=b'9').any(repeated) && mod_11_10(digits)
}

/// A letter counts as two digits: A is 01.
fn spread(letter: u8) -> [u8; 2] {
    let place = letter - b'A' + 1;
    [b'0' + place / 10, b'0' + place % 10]
}

fn rentenversicherung(characters: &[u8]) -> bool {
    let digits = [&characters[..8], &spread(characters[8]), &characters[9..11]].concat();
    // Days from 51 tell two people of one day and name apart.
    let day_of_month = number(&characters[2..4]) % 50;
    let weights = [2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1];
    (1..=31).contains(&day_of_month)
        && matches!(number(&characters[4..6]), 1..=12)
        && ends_with(characters, weighted_digit_sums(&digits, &weights) % 10)
}

fn krankenversicherung(characters: &[u8]) -> bool {
    let digits = [&spread(characters[0]), &characters[1..9]].concat();
    ends_with(characters, weighted_digit_sums(&digits, &[1, 2, 1, 2, 1, 2, 1, 2, 1, 2]) % 10)
}

fn lanr(digits: &[u8]) -> bool {
    let check = (10 - weighted(&digits[..6], &[4, 9, 4, 9, 4, 9]) % 10) % 10;
    ends_with(&digits[..7], check) && number(&digits[7..]) > 0
}

/// Letters that can be taken for digits or vowels are left out.
fn document(characters: &[u8]) -> bool {
    characters.iter().all(|c| c.is_ascii_digit() || b"CFGHJKLMNPRTVWXYZ".contains(c))
        && characters.iter().any(u8::is_ascii_digit)
}

fn passport_checked(characters: &[u8]) -> bool {
    passport(characters) && ends_with(characters, icao(&characters[..8]))
}

fn passport(characters: &[u8]) -> bool {
    b"CFGHJKL".contains(&characters[0]) && document(characters)
}

fn id_card(characters: &[u8]) -> bool {
    document(characters) && ends_with(characters, icao(&characters[..9]))
}

fn driving(characters: &[u8]) -> bool {
    characters[0].is_ascii_uppercase()
        && characters[1..].iter().filter(|c| c.is_ascii_digit()).count() >= 4
}

fn svnr(digits: &[u8]) -> bool {
    // Months 13 to 15 are given when a day's numbers are used up.
    let month = number(&digits[6..8]);
    digits[0] != b'0'
        && (13..=15).contains(&month) | day(&digits[6..8], &digits[4..6])
        && u32::from(digits[3] - b'0') == weighted(digits, &[3, 7, 9, 0, 5, 8, 4, 2, 1, 6]) % 11
}

fn ahv(digits: &[u8]) -> bool {
    digits.starts_with(b"756")
        && weighted(digits, &[1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1]).is_multiple_of(10)
}
