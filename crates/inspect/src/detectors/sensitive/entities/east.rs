//! The Baltic states, the Balkans, Greece and Cyprus.

use super::{
    super::checks::{day, ddmmyy, ends_with, luhn, mod_11_10, number, weighted},
    CheckDigit, Entity, IDENTITY, PASSPORT, TAX, Words, any, row, varied,
};

pub(super) const ENTITIES: &[Entity] = &[
    // Estonian standard EVS 585:2007; Lithuania uses the same scheme (Gyventojų registro įstatymas).
    row(
        "EE_ISIKUKOOD",
        "Estonian personal code",
        CheckDigit,
        &["D{11}"],
        isikukood,
        &[IDENTITY, &["isikukood", "isikukoodi", "personal code", "personal identification code"]],
    ),
    row(
        "LT_ASMENS_KODAS",
        "Lithuanian personal code",
        CheckDigit,
        &["D{11}"],
        isikukood,
        &[IDENTITY, &["asmens kodas", "a.k", "asmens kodą", "asmens kodo", "personal code"]],
    ),
    // Fizisko personu reģistra likums; codes given since 2017 begin with 32 and have no date.
    row(
        "LV_PERSONAS_KODS",
        "Latvian personal code",
        CheckDigit,
        &["D{6}-D{5}", "D{11}"],
        personas_kods,
        &[IDENTITY, &["personas kods", "personas kodu", "p.k", "personal code"]],
    ),
    // Pravilnik o osobnom identifikacijskom broju: ISO/IEC 7064 MOD 11,10.
    row(
        "HR_OIB",
        "Croatian personal number",
        CheckDigit,
        &["D{11}"],
        oib,
        &[IDENTITY, TAX, &["oib", "osobni identifikacijski broj"]],
    ),
    // JMBG/EMŠO of Slovenia, Serbia, Bosnia, Montenegro and North Macedonia: modulus 11.
    row(
        "EMSO",
        "Personal number (EMŠO/JMBG)",
        CheckDigit,
        &["D{13}"],
        emso,
        &[
            IDENTITY,
            &["emšo", "emso", "jmbg", "јмбг", "матични број", "matični broj", "embg", "ембг"],
        ],
    ),
    row(
        "SI_TAX_NUMBER",
        "Slovenian tax number",
        CheckDigit,
        &["D{8}"],
        davcna,
        &[TAX, &["davčna številka", "davčna", "id za ddv"]],
    ),
    row(
        "RS_PIB",
        "Serbian tax number",
        CheckDigit,
        &["D{9}"],
        mod_11_10,
        &[TAX, &["pib", "пиб", "poreski identifikacioni broj"]],
    ),
    // ΗΔΙΚΑ, "ΑΜΚΑ": Luhn behind a date.
    row(
        "GR_AMKA",
        "Greek social security number",
        CheckDigit,
        &["D{11}"],
        amka,
        &[&["αμκα", "α.μ.κ.α", "amka", "αριθμός μητρώου κοινωνικής ασφάλισης"]],
    ),
    // ΑΑΔΕ, "ΑΦΜ": powers of two.
    row(
        "GR_AFM",
        "Greek tax number",
        CheckDigit,
        &["D{9}"],
        afm,
        &[TAX, &["αφμ", "α.φ.μ", "afm", "αριθμός φορολογικού μητρώου"]],
    ),
    row(
        "GR_ID_CARD",
        "Greek identity card",
        Words,
        &["LLD{6}", "LL D{6}", "LL-D{6}"],
        any,
        &[
            IDENTITY,
            PASSPORT,
            &["αδτ", "α.δ.τ", "ταυτότητα", "ταυτότητας", "δελτίο ταυτότητας", "αριθμός ταυτότητας"],
        ],
    ),
    row(
        "CY_TAX_ID",
        "Cypriot tax number",
        CheckDigit,
        &["D{8}L"],
        cyprus,
        &[TAX, &["τικ", "αφτ", "tic"]],
    ),
];

fn isikukood(digits: &[u8]) -> bool {
    let first = weighted(&digits[..10], &[1, 2, 3, 4, 5, 6, 7, 8, 9, 1]) % 11;
    let second = weighted(&digits[..10], &[3, 4, 5, 6, 7, 8, 9, 1, 2, 3]) % 11 % 10;
    matches!(digits[0], b'1'..=b'8')
        && day(&digits[3..5], &digits[5..7])
        && ends_with(digits, if first == 10 { second } else { first })
}

fn personas_kods(digits: &[u8]) -> bool {
    let dated = ddmmyy(digits) && matches!(digits[6], b'0'..=b'2');
    let sum = 1 + weighted(&digits[..10], &[10, 5, 8, 4, 2, 1, 6, 3, 7, 9]);
    digits.starts_with(b"32") && varied(digits) || dated && ends_with(digits, sum % 11 % 10)
}

fn oib(digits: &[u8]) -> bool {
    mod_11_10(digits) && varied(digits)
}

fn emso(digits: &[u8]) -> bool {
    let check = 11 - weighted(&digits[..12], &[7, 6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11;
    let year = number(&digits[4..7]);
    day(&digits[2..4], &digits[..2])
        && !(50..880).contains(&year)
        && check != 10
        && ends_with(digits, check % 11)
}

fn davcna(digits: &[u8]) -> bool {
    let check = 11 - weighted(&digits[..7], &[8, 7, 6, 5, 4, 3, 2]) % 11;
    digits[0] != b'0' && check != 11 && ends_with(digits, check % 10)
}

fn amka(digits: &[u8]) -> bool {
    ddmmyy(digits) && luhn(digits)
}

fn afm(digits: &[u8]) -> bool {
    let sum = weighted(&digits[..8], &[256, 128, 64, 32, 16, 8, 4, 2]);
    ends_with(digits, sum % 11 % 10) && varied(digits)
}

fn cyprus(characters: &[u8]) -> bool {
    const ODD: [u32; 10] = [1, 0, 5, 7, 9, 13, 15, 17, 19, 21];
    let sum: u32 = characters[..8]
        .iter()
        .enumerate()
        .map(|(index, &digit)| {
            let digit = u32::from(digit - b'0');
            if index % 2 == 0 { ODD[digit as usize % 10] } else { digit }
        })
        .sum();
    !characters.starts_with(b"12") && characters[8] == b'A' + (sum % 26) as u8
}
