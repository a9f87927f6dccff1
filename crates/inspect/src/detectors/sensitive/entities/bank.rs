//! Bank accounts that are not of one country's file.

use super::{
    super::checks::{ends_with, mod_97, number, value, weighted},
    ACCOUNT, CheckDigit, Entity, Letters, Structure, Words, any, row, varied,
};

pub(super) const IBAN: &str = "IBAN_CODE";

/// The bodies of IBANs, behind the country and the check digits: ISO 13616-1, SWIFT IBAN Registry
/// (release 99), in the language of shapes.
const BODIES: &[(&str, &str)] = &[
    ("AD", "D{8}X{12}"),
    ("AE", "D{19}"),
    ("AL", "D{8}X{16}"),
    ("AT", "D{16}"),
    ("AZ", "L{4}X{20}"),
    ("BA", "D{16}"),
    ("BE", "D{12}"),
    ("BG", "L{4}D{6}X{8}"),
    ("BH", "L{4}X{14}"),
    ("BI", "D{23}"),
    ("BR", "D{23}LX"),
    ("BY", "X{4}D{4}X{16}"),
    ("CH", "D{5}X{12}"),
    ("CR", "D{18}"),
    ("CY", "D{8}X{16}"),
    ("CZ", "D{20}"),
    ("DE", "D{18}"),
    ("DJ", "D{23}"),
    ("DK", "D{14}"),
    ("DO", "X{4}D{20}"),
    ("EE", "D{16}"),
    ("EG", "D{25}"),
    ("ES", "D{20}"),
    ("FI", "D{14}"),
    ("FK", "L{2}D{12}"),
    ("FO", "D{14}"),
    ("FR", "D{10}X{11}D{2}"),
    ("GB", "L{4}D{14}"),
    ("GE", "L{2}D{16}"),
    ("GI", "L{4}X{15}"),
    ("GL", "D{14}"),
    ("GR", "D{7}X{16}"),
    ("GT", "X{24}"),
    ("HN", "L{4}D{20}"),
    ("HR", "D{17}"),
    ("HU", "D{24}"),
    ("IE", "L{4}D{14}"),
    ("IL", "D{19}"),
    ("IQ", "L{4}D{15}"),
    ("IS", "D{22}"),
    ("IT", "LD{10}X{12}"),
    ("JO", "L{4}D{4}X{18}"),
    ("KW", "L{4}X{22}"),
    ("KZ", "D{3}X{13}"),
    ("LB", "D{4}X{20}"),
    ("LC", "L{4}X{24}"),
    ("LI", "D{5}X{12}"),
    ("LT", "D{16}"),
    ("LU", "D{3}X{13}"),
    ("LV", "L{4}X{13}"),
    ("LY", "D{21}"),
    ("MC", "D{10}X{11}D{2}"),
    ("MD", "X{20}"),
    ("ME", "D{18}"),
    ("MK", "D{3}X{10}D{2}"),
    ("MN", "D{16}"),
    ("MR", "D{23}"),
    ("MT", "L{4}D{5}X{18}"),
    ("MU", "L{4}D{19}L{3}"),
    ("NI", "L{4}D{20}"),
    ("NL", "L{4}D{10}"),
    ("NO", "D{11}"),
    ("OM", "D{3}X{16}"),
    ("PK", "L{4}X{16}"),
    ("PL", "D{24}"),
    ("PS", "L{4}X{21}"),
    ("PT", "D{21}"),
    ("QA", "L{4}X{21}"),
    ("RO", "L{4}X{16}"),
    ("RS", "D{18}"),
    ("RU", "D{14}X{15}"),
    ("SA", "D{2}X{18}"),
    ("SC", "L{4}D{20}L{3}"),
    ("SD", "D{14}"),
    ("SE", "D{20}"),
    ("SI", "D{15}"),
    ("SK", "D{20}"),
    ("SM", "LD{10}X{12}"),
    ("SO", "D{19}"),
    ("ST", "D{21}"),
    ("SV", "L{4}D{20}"),
    ("TL", "D{19}"),
    ("TN", "D{20}"),
    ("TR", "D{6}X{16}"),
    ("UA", "D{6}X{19}"),
    ("VA", "D{18}"),
    ("VG", "L{4}D{16}"),
    ("XK", "D{16}"),
    ("YE", "L{4}D{4}X{18}"),
];

pub(super) const ENTITIES: &[Entity] = &[
    // ISO 13616-1; check digits of ISO/IEC 7064 MOD 97-10. Its shapes are made from the registry.
    Entity {
        name: IBAN,
        title: "IBAN",
        proof: Structure,
        shapes: &[],
        check: iban,
        words: &[
            ACCOUNT,
            &[
                "iban",
                "iban code",
                "bankverbindung",
                "überweisen",
                "überweisung",
                "virement",
                "transfer",
            ],
        ],
        letters: Letters::UpperCase,
    },
    // ISO 9362; the fifth and sixth letter are a country.
    Entity {
        name: "SWIFT_BIC",
        title: "BIC",
        proof: Words,
        shapes: &["LLLLLLXX", "LLLLLLXXXXX"],
        check: bic,
        words: &[&[
            "swift",
            "bic",
            "swift code",
            "swift/bic",
            "bic/swift",
            "swift-bic",
            "bic code",
        ]],
        letters: Letters::UpperCase,
    },
    // RBI, "Indian Financial System Code": the fifth is a zero.
    row(
        "IN_IFSC",
        "Indian bank branch",
        Words,
        &["LLLLDX{6}"],
        ifsc,
        &[&["ifsc", "ifsc code", "neft", "rtgs"]],
    ),
    // Banco de México, Circular 13/2007: weights 3 7 1.
    row(
        "MX_CLABE",
        "Mexican bank account",
        CheckDigit,
        &["D{18}"],
        clabe,
        &[ACCOUNT, &["clabe", "clabe interbancaria"]],
    ),
    // BCRA, Comunicación A 2622: two blocks with a check digit each.
    row(
        "AR_CBU",
        "Argentine bank account",
        CheckDigit,
        &["D{22}"],
        cbu,
        &[ACCOUNT, &["cbu", "cvu", "clave bancaria"]],
    ),
    // Consejo Superior Bancario, "Código Cuenta Cliente".
    row(
        "ES_CCC",
        "Spanish bank account",
        CheckDigit,
        &["D{20}", "DDDD DDDD DD D{10}", "DDDD-DDDD-DD-D{10}"],
        ccc,
        &[ACCOUNT, &["ccc", "cuenta corriente", "número de cuenta"]],
    ),
    row(
        "NZ_BANK_ACCOUNT",
        "New Zealand bank account",
        Words,
        &["DD-DDDD-DDDDDDD-DDD?"],
        varied,
        &[ACCOUNT],
    ),
    row(
        "BANK_ACCOUNT",
        "bank account",
        Words,
        &["D{7,12}"],
        varied,
        &[&[
            "bank account",
            "account number",
            "account no",
            "acct no",
            "kontonummer",
            "numéro de compte",
            "número de cuenta",
            "numero di conto",
            "rekeningnummer",
            "numer rachunku",
            "kontonr",
            "口座番号",
            "银行账号",
            "계좌번호",
        ]],
    ),
];

/// Every country's IBAN in one piece, and in groups of four.
pub(super) fn iban_shapes() -> Vec<String> {
    let mut shapes = Vec::new();
    for (_, body) in BODIES {
        let classes = classes(&format!("LLDD{body}"));
        for separator in ["", " ", "-"] {
            let groups: Vec<String> = classes
                .as_bytes()
                .chunks(4)
                .map(|group| String::from_utf8_lossy(group).into_owned())
                .collect();
            shapes.push(groups.join(separator));
        }
    }
    shapes.sort();
    shapes.dedup();
    shapes
}

/// A shape with its counts written out.
fn classes(shape: &str) -> String {
    let mut classes = String::new();
    let mut rest = shape;
    while let Some(class) = rest.chars().next() {
        let (count, length) =
            match rest[1..].strip_prefix('{').and_then(|tail| tail.split_once('}')) {
                Some((count, _)) => (count.parse().unwrap_or(1), 1 + count.len() + 2),
                None => (1, 1),
            };
        classes.extend(std::iter::repeat_n(class, count));
        rest = &rest[length..];
    }
    classes
}

fn iban(characters: &[u8]) -> bool {
    let (head, body) = characters.split_at(4);
    let fits = |(country, shape): &(&str, &str)| {
        let shape = classes(shape);
        country.as_bytes() == &head[..2]
            && shape.len() == body.len()
            && shape.bytes().zip(body).all(|(class, c)| match class {
                b'D' => c.is_ascii_digit(),
                b'L' => c.is_ascii_alphabetic(),
                _ => true,
            })
    };
    mod_97(body.iter().chain(head).copied()) == 1 && BODIES.iter().any(fits)
}

fn bic(characters: &[u8]) -> bool {
    // ISO 3166-1 codes; the list is short enough to be looked through.
    const COUNTRIES: &[u8] = b"ADAEAFAGAIALAMAOARATAUAWAZBABBBDBEBFBGBHBIBJBMBNBOBRBSBTBWBYBZCACDCFCGCHCICLCMCNCOCRCUCVCYCZDEDJDKDMDODZECEEEGERESETFIFJFKFMFOFRGAGBGDGEGHGIGLGMGNGQGRGTGWGYHKHNHRHTHUIDIEILIMINIQIRISITJEJMJOJPKEKGKHKIKMKNKPKRKWKYKZLALBLCLILKLRLSLTLULVLYMAMCMDMEMGMKMLMMMNMOMRMSMTMUMVMWMXMYMZNANCNENGNINLNONPNRNZOMPAPEPFPGPHPKPLPRPSPTPWPYQAROROSRURWSASBSCSDSESGSISKSLSMSNSOSRSSSTSVSYSZTCTDTGTHTJTLTMTNTOTRTTTVTWTZUAUGUSUYUZVAVCVEVGVIVNVUWSXKYEZAZMZW";
    COUNTRIES.chunks(2).any(|country| country == &characters[4..6]) && characters[7] != b'O'
}

fn ifsc(characters: &[u8]) -> bool {
    characters[4] == b'0' && any(characters)
}

fn clabe(digits: &[u8]) -> bool {
    let sum: u32 = digits[..17]
        .iter()
        .zip([3, 7, 1].iter().cycle())
        .map(|(&d, weight)| value(d) * weight % 10)
        .sum();
    number(&digits[..3]) > 1 && ends_with(digits, (10 - sum % 10) % 10) && varied(digits)
}

fn cbu(digits: &[u8]) -> bool {
    let block = |block: &[u8]| {
        let weights = [3, 1, 7, 9];
        let sum: u32 = block[..block.len() - 1]
            .iter()
            .rev()
            .zip(weights.iter().cycle())
            .map(|(&digit, weight)| value(digit) * weight)
            .sum();
        ends_with(block, (10 - sum % 10) % 10)
    };
    varied(digits) && block(&digits[..8]) && block(&digits[8..])
}

fn ccc(digits: &[u8]) -> bool {
    let check = |digits: &[u8]| match 11 - weighted(digits, &[1, 2, 4, 8, 5, 10, 9, 7, 3, 6]) % 11 {
        10 => 1,
        11 => 0,
        check => check,
    };
    let office = [b"00", &digits[..8]].concat();
    varied(digits) && value(digits[8]) == check(&office) && value(digits[9]) == check(&digits[10..])
}
