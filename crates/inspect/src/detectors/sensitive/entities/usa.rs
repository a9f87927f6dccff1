//! The United States.

use super::{
    super::checks::{ends_with, luhn, number, weighted},
    ACCOUNT, CheckDigit, DRIVING, Entity, Form, PASSPORT, Structure, TAX, Words, any, row, varied,
};

const SSN: &[&str] = &[
    "ssn",
    "ssn#",
    "ssns",
    "social security",
    "social security number",
    "soc sec",
    "ss#",
    "ss #",
    "ss no",
    "social insurance",
    "ssn no",
    "ssn number",
];

pub(super) const ENTITIES: &[Entity] = &[
    // Numbers that are assigned: SSA POMS RM 10201.030 and "Social Security Number Randomization",
    // https://www.ssa.gov/employer/randomization.html. There is no check digit.
    row("US_SSN", "US social security number", Structure, &["DDD-DD-DDDD"], ssn, &[SSN]),
    row(
        "US_SSN",
        "US social security number",
        Form,
        &["DDDDDDDDD", "DDD DD DDDD", "DDD.DD.DDDD"],
        ssn,
        &[SSN],
    ),
    // https://www.irs.gov/tin/itin; ranges of the fourth and fifth digit: IRM 3.21.263.
    row(
        "US_ITIN",
        "US individual taxpayer number",
        Structure,
        &["DDD-DD-DDDD"],
        itin,
        &[ITIN, TAX],
    ),
    row(
        "US_ITIN",
        "US individual taxpayer number",
        Form,
        &["DDDDDDDDD", "DDD DD DDDD", "DDD-DDDDDD", "DDDDD-DDDD"],
        itin,
        &[ITIN, TAX],
    ),
    // Prefixes: https://www.irs.gov/businesses/small-businesses-self-employed/valid-eins
    row(
        "US_EIN",
        "US employer identification number",
        Words,
        &["DD-DDDDDDD"],
        ein,
        &[TAX, &["ein", "fein", "employer identification", "employer id", "federal tax id"]],
    ),
    // Nine digits, or a letter and eight since 2021 (https://travel.state.gov, "Next Generation Passport").
    row("US_PASSPORT", "US passport", Form, &["D{9}", "LD{8}"], varied, &[PASSPORT]),
    // AAMVA lists the states' forms; most are a letter and digits, or digits alone.
    row(
        "US_DRIVER_LICENSE",
        "US driver's license",
        Form,
        &["LD{3,8}", "LD{12,14}", "D{7,13}", "LLD{6}", "LDD-DDD-DDD-DDD-D"],
        varied,
        &[DRIVING],
    ),
    // Luhn over 80840 and the number: 45 CFR 162.406, CMS "NPI check digit calculation".
    row(
        "US_NPI",
        "US provider number",
        CheckDigit,
        &["D{10}", "DDDD-DDD-DDD"],
        npi,
        &[&["npi", "provider identifier", "provider number", "provider id", "national provider"]],
    ),
    // 21 CFR 1301; check digit as in the DEA Diversion Control Division's manual.
    row(
        "US_DEA",
        "US DEA registration",
        CheckDigit,
        &["LLD{7}", "LD{8}"],
        dea,
        &[&["dea", "dea#", "dea no", "dea number", "prescriber", "controlled substances"]],
    ),
    // https://www.cms.gov/medicare/new-medicare-card: "Understanding the MBI format".
    row(
        "US_MBI",
        "US Medicare beneficiary number",
        Structure,
        &["XXXX-XXX-XXXX", "XXXXXXXXXXX"],
        mbi,
        &[&["mbi", "medicare", "medicare id", "beneficiary", "patient"]],
    ),
    // ABA "Routing Number Policy"; check: ANSI X9.13.
    row(
        "ABA_ROUTING_NUMBER",
        "US bank routing number",
        CheckDigit,
        &["D{9}", "DDDD-DDDD-D"],
        aba,
        &[&[
            "aba",
            "routing",
            "rtn",
            "routing number",
            "routing no",
            "transit number",
            "bank routing",
            "routing #",
            "ach",
            "wire",
        ]],
    ),
    // Up to 17 digits (NACHA); most have no more than 12.
    row("US_BANK_NUMBER", "US bank account", Form, &["D{8,12}"], account, &[ACCOUNT]),
    row("US_BANK_NUMBER", "US bank account", Words, &["D{13,17}"], account, &[ACCOUNT]),
    // Insurance numbers have no common form; their label does.
    row(
        "US_HEALTH_MEMBER_ID",
        "US health insurance number",
        Words,
        &["LLLD{6,12}", "LD{8,11}", "D{9,12}"],
        any,
        &[&[
            "member id",
            "subscriber id",
            "health insurance id",
            "medicaid",
            "medicaid id",
            "policy holder id",
        ]],
    ),
];

const ITIN: &[&str] = &["itin", "individual taxpayer"];

fn account(digits: &[u8]) -> bool {
    // What passes a card's check is one.
    varied(digits) && !(digits.len() >= 13 && luhn(digits))
}

fn ssn(digits: &[u8]) -> bool {
    let (area, group, serial) = (number(&digits[..3]), number(&digits[3..5]), number(&digits[5..]));
    // Printed in advertisements, and therefore never valid (SSA, "Social Security Cards Issued by
    // Woolworth").
    let advertised = matches!(digits, b"078051120" | b"219099999" | b"123456789");
    area != 0
        && area != 666
        && area < 900
        && group != 0
        && serial != 0
        && varied(digits)
        && !advertised
}

fn itin(digits: &[u8]) -> bool {
    digits[0] == b'9'
        && matches!(number(&digits[3..5]), 50..=65 | 70..=88 | 90..=92 | 94..=99)
        && varied(digits)
}

fn ein(digits: &[u8]) -> bool {
    matches!(
        number(&digits[..2]),
        1..=6 | 10..=16 | 20..=27 | 30..=48 | 50..=68 | 71..=77 | 80..=88 | 90..=95 | 98 | 99
    ) && varied(&digits[2..])
}

fn npi(digits: &[u8]) -> bool {
    matches!(digits[0], b'1' | b'2') && varied(&digits[..9]) && luhn(&[b"80840", digits].concat())
}

fn dea(characters: &[u8]) -> bool {
    let (letters, digits) = characters.split_at(2);
    if !b"ABCDEFGHJKLMPRSTUX".contains(&letters[0])
        || !(letters[1].is_ascii_alphabetic() || letters[1] == b'9')
    {
        return false;
    }
    ends_with(digits, weighted(&digits[..6], &[1, 2, 1, 2, 1, 2]) % 10) && varied(digits)
}

fn mbi(characters: &[u8]) -> bool {
    characters.iter().zip(b"CEDNEDNEENN").all(|(&c, class)| {
        let letter = c.is_ascii_uppercase() && !b"SLOIBZ".contains(&c);
        match class {
            b'C' => matches!(c, b'1'..=b'9'),
            b'E' => letter,
            b'D' => letter || c.is_ascii_digit(),
            _ => c.is_ascii_digit(),
        }
    })
}

fn aba(digits: &[u8]) -> bool {
    matches!(number(&digits[..2]), 0..=12 | 21..=32 | 61..=72 | 80)
        && weighted(digits, &[3, 7, 1, 3, 7, 1, 3, 7, 1]).is_multiple_of(10)
        && varied(digits)
}
