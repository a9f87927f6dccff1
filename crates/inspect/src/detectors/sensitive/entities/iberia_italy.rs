//! Spain, Portugal, Italy and Malta.

use super::{
    super::checks::{ends_with, luhn, number, value, weighted},
    CheckDigit, DRIVING, Entity, Form, IDENTITY, Look, PASSPORT, Structure, TAX, Words, any, row,
    varied,
};

pub(super) const ENTITIES: &[Entity] = &[
    // Real Decreto 1553/2005; Ministerio del Interior, "Cálculo del dígito de control del NIF/NIE".
    row(
        "ES_NIF",
        "Spanish identity number",
        CheckDigit,
        &["D{7,8}-?L", "D{8} L", "DD.DDD.DDD-?L"],
        nif,
        &[ES, TAX],
    ),
    row(
        "ES_NIE",
        "Spanish foreigner's number",
        CheckDigit,
        &["LD{7}-?L", "L-D{7}-L"],
        nie,
        &[ES, TAX, &["nie", "extranjero"]],
    ),
    // Orden EHA/451/2008.
    row(
        "ES_CIF",
        "Spanish company tax number",
        CheckDigit,
        &["LD{7}X", "L-D{7}X", "L-D{8}"],
        cif,
        &[&["cif", "nif", "código de identificación fiscal"], TAX],
    ),
    row("ES_PASSPORT", "Spanish passport", Form, &["LLLD{6}"], any, &[PASSPORT]),
    // Tesorería General de la Seguridad Social: modulo 97.
    row(
        "ES_SOCIAL_SECURITY",
        "Spanish social security number",
        CheckDigit,
        &["D{12}", "DD/D{8}/DD", "DD D{8} DD", "DD-D{8}-DD"],
        naf,
        &[&[
            "seguridad social",
            "nss",
            "naf",
            "número de afiliación",
            "nº afiliación",
            "afiliación",
        ]],
    ),
    // Autoridade Tributária, "Número de identificação fiscal": modulus 11.
    row(
        "PT_NIF",
        "Portuguese tax number",
        CheckDigit,
        &["DDD~DDD~DDD"],
        pt_nif,
        &[
            TAX,
            &[
                "nif",
                "contribuinte",
                "nº contribuinte",
                "número de contribuinte",
                "n.º de contribuinte",
            ],
        ],
    ),
    // "Validação de Número de Documento do Cartão de Cidadão" (AMA).
    row(
        "PT_CITIZEN_CARD",
        "Portuguese citizen card",
        CheckDigit,
        &["D{9}LLD", "DDDDDDDD D LLD", "DDDDDDDD DLLD"],
        cartao,
        &[
            IDENTITY,
            &[
                "cartão de cidadão",
                "cartao de cidadao",
                "cartão do cidadão",
                "bilhete de identidade",
            ],
        ],
    ),
    row(
        "PT_NISS",
        "Portuguese social security number",
        CheckDigit,
        &["D{11}"],
        niss,
        &[&["niss", "segurança social", "seguranca social"]],
    ),
    // D.M. 23 dicembre 1976; the last letter is the check.
    row(
        "IT_FISCAL_CODE",
        "Italian fiscal code",
        Structure,
        &["LLLLLLXXLXXLXXXL", "LLL LLL XXLXX LXXXL"],
        codice_fiscale,
        &[TAX, &["codice fiscale", "cod. fisc", "cod.fisc", "c.f", "cf", "fiscal code"]],
    ),
    row("IT_FISCAL_CODE", "Italian fiscal code", Look, &["LLLLLLDDLDDLDDDL"], any, &[]).upper(),
    // D.P.R. 633/1972 art. 35; Luhn.
    row(
        "IT_VAT_CODE",
        "Italian VAT number",
        CheckDigit,
        &["D{11}"],
        partita_iva,
        &[&["partita iva", "p.iva", "p. iva", "piva", "iva", "vat"]],
    ),
    row(
        "IT_DRIVER_LICENSE",
        "Italian driving licence",
        Form,
        &["LLD{7}L", "LDXXXXXXXL"],
        patente,
        &[DRIVING, &["patente di guida", "numero patente"]],
    ),
    row(
        "IT_IDENTITY_CARD",
        "Italian identity card",
        Form,
        &["LLD{7}", "LL D{7}", "LLD{5}LL"],
        any,
        &[
            IDENTITY,
            &["carta d'identità", "carta di identità", "carta d’identità", "c.i", "documento"],
        ],
    ),
    row("IT_PASSPORT", "Italian passport", Form, &["LLD{7}"], any, &[PASSPORT]),
    row(
        "MT_ID_CARD",
        "Maltese identity card",
        Words,
        &["D{3,7}L"],
        malta,
        &[IDENTITY, &["karta tal-identità", "karta ta' l-identità", "id card"]],
    ),
];

const ES: &[&str] =
    &["dni", "nif", "d.n.i", "n.i.f", "documento nacional", "documento de identidad", "dni/nif"];

const LETTERS: &[u8; 23] = b"TRWAGMYFPDXBNJZSQVHLCKE";

fn nif(characters: &[u8]) -> bool {
    let (&letter, digits) = characters.split_last().expect("the shape has eight or nine");
    letter == LETTERS[(number(digits) % 23) as usize] && number(digits) > 0
}

fn nie(characters: &[u8]) -> bool {
    let first = match characters[0] {
        b'X' => b'0',
        b'Y' => b'1',
        b'Z' => b'2',
        _ => return false,
    };
    nif(&[&[first], &characters[1..]].concat())
}

fn cif(characters: &[u8]) -> bool {
    if !b"ABCDEFGHJNPQRSUVW".contains(&characters[0]) {
        return false;
    }
    let body = &characters[1..8];
    let check =
        (0..10).find(|digit| luhn(&[body, &[b'0' + digit]].concat())).map_or(0, usize::from);
    let last = characters[8];
    varied(body) && (last == b'0' + check as u8 || last == b"JABCDEFGHI"[check])
}

fn naf(digits: &[u8]) -> bool {
    let (province, serial) = (number(&digits[..2]), number(&digits[2..10]));
    let joined =
        if serial < 10_000_000 { province * 10_000_000 + serial } else { number(&digits[..10]) };
    matches!(province, 1..=53 | 66) && joined % 97 == number(&digits[10..])
}

fn pt_nif(digits: &[u8]) -> bool {
    let check = 11 - weighted(&digits[..8], &[9, 8, 7, 6, 5, 4, 3, 2]) % 11;
    matches!(digits[0], b'1'..=b'3' | b'5' | b'6' | b'8' | b'9')
        && ends_with(digits, if check >= 10 { 0 } else { check })
        && varied(digits)
}

fn cartao(characters: &[u8]) -> bool {
    let sum: u32 = characters
        .iter()
        .enumerate()
        .map(|(index, &c)| match value(c) * if index % 2 == 0 { 2 } else { 1 } {
            doubled if index % 2 == 0 && doubled > 9 => doubled - 9,
            plain => plain,
        })
        .sum();
    sum.is_multiple_of(10)
}

fn niss(digits: &[u8]) -> bool {
    let check = 9 - weighted(&digits[..10], &[29, 23, 19, 17, 13, 11, 7, 5, 3, 2]) % 10;
    matches!(digits[0], b'1' | b'2') && ends_with(digits, check)
}

fn codice_fiscale(characters: &[u8]) -> bool {
    const ODD: [u32; 36] = [
        1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3,
        6, 8, 12, 14, 16, 10, 22, 25, 24, 23,
    ];
    // Letters stand for digits where two people would have the same code ("omocodia").
    let digit = |c: u8| c.is_ascii_digit() || b"LMNPQRSTUV".contains(&c);
    let digits = [6, 7, 9, 10, 12, 13, 14];
    if !digits.iter().all(|&place| digit(characters[place]))
        || !b"ABCDEHLMPRST".contains(&characters[8])
    {
        return false;
    }
    let even = |c: u8| if c.is_ascii_digit() { value(c) } else { value(c) - 10 };
    let sum: u32 = characters[..15]
        .iter()
        .enumerate()
        .map(|(index, &c)| if index % 2 == 0 { ODD[value(c) as usize % 36] } else { even(c) })
        .sum();
    characters[15] == b'A' + (sum % 26) as u8
}

fn partita_iva(digits: &[u8]) -> bool {
    let office = number(&digits[7..10]);
    number(&digits[..7]) > 0 && matches!(office, 1..=100 | 120 | 121 | 888 | 999) && luhn(digits)
}

fn patente(characters: &[u8]) -> bool {
    match characters {
        // Issued by a province's office, or by the central one ("U1"), without vowels in the latter.
        [b'U', b'1', rest @ ..] => {
            let (last, body) = rest.split_last().expect("the shape has eight more");
            last.is_ascii_alphabetic()
                && body.iter().all(|c| c.is_ascii_digit() || b"BCDFGHJKLMNPRSTVWXYZ".contains(c))
        }
        [a, b, middle @ .., _] => {
            a.is_ascii_alphabetic()
                && b.is_ascii_alphabetic()
                && middle.iter().all(u8::is_ascii_digit)
        }
        _ => false,
    }
}

fn malta(characters: &[u8]) -> bool {
    characters.last().is_some_and(|letter| b"MGAPLHBZ".contains(letter))
}
