//! The United Kingdom and Ireland.

use super::{
    super::checks::{ends_with, number, weighted},
    ACCOUNT, CheckDigit, DRIVING, Entity, Form, PASSPORT, Structure, TAX, Words, any, row, varied,
};

pub(super) const ENTITIES: &[Entity] = &[
    // NHS Data Dictionary, "NHS NUMBER": modulus 11.
    row(
        "UK_NHS",
        "NHS number",
        CheckDigit,
        &["DDD~DDD~DDDD"],
        nhs,
        &[&["nhs", "nhs number", "nhs no", "national health service", "patient number"]],
    ),
    // HMRC National Insurance Manual NIM39110.
    row(
        "UK_NINO",
        "UK National Insurance number",
        Structure,
        &["LLDDDDDDL", "LL DD DD DD L", "LL-DD-DD-DD-L", "LL DDDDDDL", "LL DDDDDD L"],
        nino,
        &[&[
            "nino",
            "national insurance",
            "national insurance number",
            "ni number",
            "ni no",
            "nin",
        ]],
    ),
    // HMRC "UTR check digit", modulus 11.
    row(
        "UK_UTR",
        "UK unique taxpayer reference",
        CheckDigit,
        &["D{10}", "DDDDD DDDDD"],
        utr,
        &[TAX, &["utr", "unique taxpayer reference", "self assessment", "taxpayer reference"]],
    ),
    row("UK_PASSPORT", "UK passport", Form, &["LLD{7}"], any, &[PASSPORT]),
    row("UK_PASSPORT", "UK passport", Words, &["D{9}"], varied, &[PASSPORT]),
    // DVLA, INF1D: five characters of the surname, date of birth, initials.
    row(
        "UK_DRIVING_LICENCE",
        "UK driving licence",
        Structure,
        &["XXXXXDDDDDDXXXLL", "XXXXX DDDDDD XXXLL"],
        driving,
        &[DRIVING, &["dvla"]],
    ),
    row(
        "UK_SORT_CODE",
        "UK bank sort code",
        Words,
        &["DD-DD-DD", "DD DD DD", "D{6}"],
        varied,
        &[&["sort code", "sort-code", "sortcode"]],
    ),
    row("UK_BANK_ACCOUNT", "UK bank account", Words, &["D{8}"], varied, &[ACCOUNT]),
    // Revenue, "Personal Public Service Number": modulus 23 (Social Welfare Consolidation Act 2005).
    row(
        "IE_PPS",
        "Irish PPS number",
        CheckDigit,
        &["D{7}LL?"],
        pps,
        &[TAX, &["pps", "ppsn", "pps no", "pps number", "personal public service", "uimhir psp"]],
    ),
    row("IE_PASSPORT", "Irish passport", Words, &["LLD{7}", "LD{7}"], any, &[PASSPORT]),
];

fn nhs(digits: &[u8]) -> bool {
    let check = 11 - weighted(&digits[..9], &[10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11;
    check != 10 && ends_with(digits, check % 11) && varied(digits)
}

fn nino(characters: &[u8]) -> bool {
    let prefix = &characters[..2];
    let last = characters[characters.len() - 1];
    !b"DFIQUV".contains(&prefix[0])
        && !b"DFIOQUV".contains(&prefix[1])
        && ![b"BG", b"GB", b"KN", b"NK", b"NT", b"TN", b"ZZ"].iter().any(|p| *p == prefix)
        && (b'A'..=b'D').contains(&last)
}

fn utr(digits: &[u8]) -> bool {
    let rest = weighted(&digits[1..], &[6, 7, 8, 9, 10, 5, 4, 3, 2]) % 11;
    digits[0] == b"21987654321"[rest as usize] && varied(digits)
}

fn driving(characters: &[u8]) -> bool {
    let (name, rest) = characters.split_at(5);
    let letters = name.iter().take_while(|c| c.is_ascii_alphabetic()).count();
    letters > 0
        && name[letters..].iter().all(|&c| c == b'9')
        && matches!(number(&rest[1..3]), 1..=12 | 51..=62)
        && matches!(number(&rest[3..5]), 1..=31)
        && rest[6..8].iter().all(|&c| c.is_ascii_alphabetic() || c == b'9')
        && rest[6].is_ascii_alphabetic()
}

fn pps(characters: &[u8]) -> bool {
    let second = match characters.get(8) {
        Some(&letter @ b'A'..=b'W') => u32::from(letter - b'A') + 1,
        None => 0,
        _ => return false,
    };
    // W stands for nothing in the old form.
    let second = if second == 23 { 0 } else { second };
    let sum = weighted(&characters[..7], &[8, 7, 6, 5, 4, 3, 2]) + second * 9;
    characters[7] == b"WABCDEFGHIJKLMNOPQRSTUV"[sum as usize % 23]
}
