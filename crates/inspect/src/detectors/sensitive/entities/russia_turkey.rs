//! Russia, Ukraine, Kazakhstan and Türkiye.

use super::{
    super::checks::{ends_with, number, value, weighted, yymmdd},
    CheckDigit, Entity, Form, IDENTITY, PASSPORT, Structure, TAX, Words, row, varied,
};

pub(super) const ENTITIES: &[Entity] = &[
    // Приказ ФНС России ЕД-7-14/559@, "Порядок и условия присвоения … ИНН".
    row(
        "RU_INN",
        "Russian taxpayer number",
        CheckDigit,
        &["D{10}", "D{12}"],
        inn,
        &[TAX, &["инн", "inn", "идентификационный номер налогоплательщика"]],
    ),
    // Постановление Правления ПФ РФ 192п; modulo 101.
    row(
        "RU_SNILS",
        "Russian insurance number",
        Structure,
        &["DDD-DDD-DDD DD", "DDD-DDD-DDD-DD"],
        snils,
        &[SNILS],
    ),
    row(
        "RU_SNILS",
        "Russian insurance number",
        CheckDigit,
        &["D{11}", "DDD DDD DDD DD"],
        snils,
        &[SNILS],
    ),
    row(
        "RU_PASSPORT",
        "Russian internal passport",
        Words,
        &["DDDD D{6}", "DD DD D{6}", "D{10}"],
        varied,
        &[PASSPORT, &["серия", "серия и номер", "паспортные данные"]],
    ),
    // ДПС України, "Реєстраційний номер облікової картки платника податків".
    row(
        "UA_RNOKPP",
        "Ukrainian taxpayer number",
        CheckDigit,
        &["D{10}"],
        rnokpp,
        &[TAX, &["рнокпп", "іпн", "ідентифікаційний код", "ідентифікаційний номер", "rnokpp"]],
    ),
    row(
        "UA_PASSPORT",
        "Ukrainian identity card",
        Words,
        &["D{9}", "D{8}-D{5}"],
        varied,
        &[PASSPORT, &["паспорт громадянина", "id-картка"]],
    ),
    // Закон РК "О национальных реестрах идентификационных номеров".
    row(
        "KZ_IIN",
        "Kazakh individual number",
        CheckDigit,
        &["D{12}"],
        iin,
        &[IDENTITY, &["иин", "жсн", "iin"]],
    ),
    // Nüfus ve Vatandaşlık İşleri, "T.C. Kimlik No algoritması".
    row(
        "TR_NATIONAL_ID",
        "Turkish identity number",
        CheckDigit,
        &["D{11}"],
        kimlik,
        &[
            IDENTITY,
            &[
                "tc kimlik",
                "t.c. kimlik",
                "kimlik no",
                "kimlik numarası",
                "tckn",
                "kimlik",
                "tc no",
                "turkish id",
            ],
        ],
    ),
    // Gelir İdaresi Başkanlığı, "Vergi kimlik numarası".
    row(
        "TR_VKN",
        "Turkish tax number",
        CheckDigit,
        &["D{10}"],
        vkn,
        &[TAX, &["vkn", "vergi no", "vergi kimlik", "vergi numarası"]],
    ),
    row("TR_PASSPORT", "Turkish passport", Form, &["LDDD{6}"], turkish_passport, &[PASSPORT]),
];

const SNILS: &[&str] = &["снилс", "snils", "страховой номер", "пенсионного страхования"];

fn inn(digits: &[u8]) -> bool {
    let check = |digits: &[u8], weights: &[u32]| {
        ends_with(digits, weighted(&digits[..digits.len() - 1], weights) % 11 % 10)
    };
    varied(digits)
        && match digits.len() {
            10 => check(digits, &[2, 4, 10, 3, 5, 9, 4, 6, 8]),
            _ => {
                check(&digits[..11], &[7, 2, 4, 10, 3, 5, 9, 4, 6, 8])
                    && check(digits, &[3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8])
            }
        }
}

fn snils(digits: &[u8]) -> bool {
    let sum = weighted(&digits[..9], &[9, 8, 7, 6, 5, 4, 3, 2, 1]);
    number(&digits[9..]) == u64::from(sum % 101 % 100) && varied(&digits[..9])
}

fn rnokpp(digits: &[u8]) -> bool {
    // The first weight is -1, which is 10 modulo 11.
    let sum = weighted(&digits[..9], &[10, 5, 7, 9, 4, 6, 10, 5, 7]);
    ends_with(digits, sum % 11 % 10) && varied(digits)
}

fn iin(digits: &[u8]) -> bool {
    let first = weighted(&digits[..11], &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]) % 11;
    let second = weighted(&digits[..11], &[3, 4, 5, 6, 7, 8, 9, 10, 11, 1, 2]) % 11;
    let check = if first == 10 { second } else { first };
    yymmdd(digits) && matches!(digits[6], b'1'..=b'6') && check < 10 && ends_with(digits, check)
}

fn kimlik(digits: &[u8]) -> bool {
    let every_other =
        |from: usize| digits[from..9].iter().step_by(2).map(|&d| value(d)).sum::<u32>();
    let (odd, even) = (every_other(0), every_other(1));
    // Eight odd sums of seven, less the even ones; never negative modulo ten.
    let tenth = (odd * 7 + 100 - even) % 10;
    let sum = odd + even + value(digits[9]);
    digits[0] != b'0' && value(digits[9]) == tenth && ends_with(digits, sum % 10)
}

fn vkn(digits: &[u8]) -> bool {
    let sum: u32 = digits[..9]
        .iter()
        .zip((1..=9).rev())
        .map(|(&digit, place)| {
            let shifted = (value(digit) + place) % 10;
            match shifted * 2_u32.pow(place) % 9 {
                0 if shifted != 0 => 9,
                rest => rest,
            }
        })
        .sum();
    ends_with(digits, (10 - sum % 10) % 10) && varied(digits)
}

fn turkish_passport(characters: &[u8]) -> bool {
    matches!(characters[0], b'U' | b'S' | b'Z' | b'P')
}
