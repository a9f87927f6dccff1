//! The Americas without the United States.

use super::{
    super::checks::{ends_with, luhn, number, value, weighted, yymmdd},
    CheckDigit, Entity, IDENTITY, PASSPORT, Structure, TAX, Words, any, row, varied,
};

pub(super) const ENTITIES: &[Entity] = &[
    // Service Canada, "Social Insurance Number Code of Practice": Luhn; 0 and 8 are not assigned.
    row(
        "CA_SIN",
        "Canadian social insurance number",
        CheckDigit,
        &["DDD-DDD-DDD", "DDD DDD DDD", "D{9}"],
        sin,
        &[&[
            "sin",
            "social insurance",
            "sin no",
            "sin number",
            "nas",
            "assurance sociale",
            "numéro d'assurance sociale",
        ]],
    ),
    row("CA_PASSPORT", "Canadian passport", Words, &["LLD{6}", "LD{6}LL"], any, &[PASSPORT]),
    // Payments Canada, Standard 006: branch and institution.
    row(
        "CA_BANK_TRANSIT",
        "Canadian bank transit number",
        Words,
        &["DDDDD-DDD", "D{9}"],
        varied,
        &[&["transit", "transit number", "institution number", "numéro de transit"]],
    ),
    // Ontario's and other plans' numbers with a Luhn digit.
    row(
        "CA_HEALTH_CARD",
        "Canadian health card",
        CheckDigit,
        &["DDDD-DDD-DDD", "DDDD DDD DDD", "D{10}"],
        health_card,
        &[&["ohip", "health card", "health card number", "health number", "carte santé"]],
    ),
    // Receita Federal, IN RFB 1548/2015 (CPF) and 1863/2018 (CNPJ): two check digits modulo 11.
    row("BR_CPF", "Brazilian CPF", Structure, &["DDD.DDD.DDD-DD"], cpf, &[BR]),
    row("BR_CPF", "Brazilian CPF", CheckDigit, &["D{11}", "D{9}-DD"], cpf, &[BR]),
    row("BR_CNPJ", "Brazilian CNPJ", Structure, &["DD.DDD.DDD/DDDD-DD"], cnpj, &[CNPJ]),
    row("BR_CNPJ", "Brazilian CNPJ", CheckDigit, &["D{14}"], cnpj, &[CNPJ]),
    // Instructivo normativo para la asignación de la CURP (SEGOB).
    row(
        "MX_CURP",
        "Mexican CURP",
        Structure,
        &["LLLLD{6}LLLLLLXX"],
        curp,
        &[IDENTITY, &["curp", "clave única"]],
    ),
    // SAT, "Estructura del RFC".
    row(
        "MX_RFC",
        "Mexican tax number",
        CheckDigit,
        &["LLLLD{6}XXX", "LLLL-D{6}-XXX"],
        rfc,
        &[TAX, &["rfc", "registro federal de contribuyentes", "r.f.c"]],
    ),
    // ANSES/AFIP, Resolución General 1817/2005: modulus 11.
    row(
        "AR_CUIT",
        "Argentine CUIT or CUIL",
        CheckDigit,
        &["DD-D{8}-D", "D{11}"],
        cuit,
        &[TAX, &["cuit", "cuil", "cdi"]],
    ),
    row(
        "AR_DNI",
        "Argentine identity number",
        Words,
        &["DD.DDD.DDD", "D{8}"],
        varied,
        &[&["dni", "documento"]],
    ),
    // Servicio de Registro Civil, "RUT": modulus 11.
    row("CL_RUT", "Chilean RUT", Structure, &["D{1,2}.DDD.DDD-X"], rut, &[RUT]),
    row("CL_RUT", "Chilean RUT", CheckDigit, &["D{7,8}-X", "D{7,8}X"], rut, &[RUT]),
    // DIAN, Orden Administrativa 4 de 1989.
    row(
        "CO_NIT",
        "Colombian tax number",
        CheckDigit,
        &["DDD.DDD.DDD-D", "D{9}-D", "D{10}"],
        nit,
        &[TAX, &["nit", "número de identificación tributaria"]],
    ),
    row(
        "CO_CEDULA",
        "Colombian identity number",
        Words,
        &["D{6,10}", "DD.DDD.DDD", "D.DDD.DDD.DDD"],
        varied,
        &[&["cédula", "cedula", "c.c", "cédula de ciudadanía"]],
    ),
    // SUNAT, "RUC"; weights 5 4 3 2 7 6 5 4 3 2.
    row("PE_RUC", "Peruvian tax number", CheckDigit, &["D{11}"], ruc, &[TAX, &["ruc"]]),
    row("PE_DNI", "Peruvian identity number", Words, &["D{8}"], varied, &[&["dni"]]),
    // SENIAT, "RIF".
    row(
        "VE_RIF",
        "Venezuelan tax number",
        CheckDigit,
        &["L-D{8}-D", "LD{9}"],
        rif,
        &[TAX, &["rif"]],
    ),
    // Registro Civil del Ecuador; Luhn behind the province.
    row(
        "EC_CEDULA",
        "Ecuadorian identity number",
        CheckDigit,
        &["D{10}", "D{9}-D"],
        ecuador,
        &[IDENTITY, &["cédula", "cedula", "c.i"]],
    ),
    // DNIC: weights 2 9 8 7 6 3 4.
    row(
        "UY_CI",
        "Uruguayan identity number",
        CheckDigit,
        &["D.DDD.DDD-D", "D{8}"],
        uruguay,
        &[IDENTITY, &["cédula", "cedula", "c.i"]],
    ),
];

const BR: &[&str] = &["cpf", "c.p.f", "cadastro de pessoas físicas", "cpf/mf", "contribuinte"];
const CNPJ: &[&str] = &["cnpj", "cadastro nacional", "c.n.p.j"];
const RUT: &[&str] = &["rut", "r.u.t", "run", "rol único tributario"];

fn sin(digits: &[u8]) -> bool {
    !matches!(digits[0], b'0' | b'8') && luhn(digits) && varied(digits)
}

fn health_card(digits: &[u8]) -> bool {
    digits[0] != b'0' && luhn(digits) && varied(digits)
}

/// Two check digits of the same scheme: each is eleven less the weighted sum, and 0 for 10 and 11.
fn two_digits(digits: &[u8], weights: &[u32]) -> bool {
    let body = digits.len() - 2;
    let check = |length: usize| {
        let weights = &weights[weights.len() - length..];
        match 11 - weighted(&digits[..length], weights) % 11 {
            10 | 11 => 0,
            check => check,
        }
    };
    varied(digits)
        && value(digits[body]) == check(body)
        && value(digits[body + 1]) == check(body + 1)
}

fn cpf(digits: &[u8]) -> bool {
    two_digits(digits, &[11, 10, 9, 8, 7, 6, 5, 4, 3, 2])
}

fn cnpj(digits: &[u8]) -> bool {
    two_digits(digits, &[6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2])
}

fn curp(characters: &[u8]) -> bool {
    // The alphabet of the check has an Ñ behind N.
    let place = |c: u8| value(c) + u32::from(c > b'N');
    let weights = (2..=18).rev();
    let sum: u32 = characters[..17].iter().zip(weights).map(|(&c, weight)| place(c) * weight).sum();
    yymmdd(&characters[4..])
        && matches!(characters[10], b'H' | b'M' | b'X')
        && ends_with(characters, (10 - sum % 10) % 10)
}

fn rfc(characters: &[u8]) -> bool {
    let place = |c: u8| value(c) + u32::from(c > b'N');
    let sum: u32 =
        characters[..12].iter().zip((2..=13).rev()).map(|(&c, weight)| place(c) * weight).sum();
    let check = match 11 - sum % 11 {
        11 => b'0',
        10 => b'A',
        check => b'0' + check as u8,
    };
    yymmdd(&characters[4..]) && characters[12] == check
}

fn cuit(digits: &[u8]) -> bool {
    let check = 11 - weighted(&digits[..10], &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11;
    let check = match check {
        11 => 0,
        10 => 9,
        check => check,
    };
    matches!(number(&digits[..2]), 20 | 23 | 24 | 25 | 26 | 27 | 30 | 33 | 34 | 50 | 51 | 55)
        && ends_with(digits, check)
}

fn rut(characters: &[u8]) -> bool {
    let (&last, digits) = characters.split_last().expect("the shape has eight or nine");
    let sum: u32 = digits
        .iter()
        .rev()
        .zip([2, 3, 4, 5, 6, 7].iter().cycle())
        .map(|(&d, w)| value(d) * w)
        .sum();
    let check = match 11 - sum % 11 {
        11 => b'0',
        10 => b'K',
        check => b'0' + check as u8,
    };
    last == check && varied(digits)
}

fn nit(digits: &[u8]) -> bool {
    let sum: u32 = digits[..9]
        .iter()
        .rev()
        .zip([3, 7, 13, 17, 19, 23, 29, 37, 41])
        .map(|(&digit, weight)| value(digit) * weight)
        .sum();
    digits[9] == b"01987654321"[sum as usize % 11] && varied(digits)
}

fn ruc(digits: &[u8]) -> bool {
    let check = (11 - weighted(&digits[..10], &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11) % 10;
    matches!(number(&digits[..2]), 10 | 15 | 17 | 20) && ends_with(digits, check)
}

fn rif(characters: &[u8]) -> bool {
    let kind = match characters[0] {
        b'V' => 4,
        b'E' => 8,
        b'J' => 12,
        b'P' => 16,
        b'G' => 20,
        _ => return false,
    };
    let sum = kind + weighted(&characters[1..9], &[3, 2, 7, 6, 5, 4, 3, 2]);
    characters[9] == b"00987654321"[sum as usize % 11]
}

fn ecuador(digits: &[u8]) -> bool {
    matches!(number(&digits[..2]), 1..=24 | 30) && digits[2] < b'6' && luhn(digits)
}

fn uruguay(digits: &[u8]) -> bool {
    let sum = weighted(&digits[..7], &[2, 9, 8, 7, 6, 3, 4]);
    ends_with(digits, (10 - sum % 10) % 10) && varied(digits)
}
