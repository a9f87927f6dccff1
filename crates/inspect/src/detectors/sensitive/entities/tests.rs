//! A number of each kind, made for this file or published as an example by who gives them out, and
//! the same with something wrong.
//!
//! The numbers were made with somebody else's implementation of the check digits (python-stdnum),
//! so that an error here does not hide.

use std::collections::BTreeSet;

use mailkeep_model::Severity;

use super::{super::identifier::IDENTIFIER, Proof, all};
use crate::{Context, Limits, MaskKey, findings::Findings, message::view_text};

/// Entity, a right number, a wrong one (empty where any other number is as good).
const CASES: &[(&str, &str, &str)] = &[
    ("ABA_ROUTING_NUMBER", "024369837", "024369830"),
    ("AR_CBU", "7181278246115807366021", "7181278246115807366020"),
    ("AR_CUIT", "20035217933", "20035217930"),
    ("AT_SVNR", "6820010180", "6820010181"),
    ("AU_ABN", "71908282018", "71908282010"),
    ("AU_ACN", "822365462", "822365460"),
    ("AU_TFN", "446220196", "446220190"),
    ("BE_NATIONAL_NUMBER", "850730-283-69", "850730-283-60"),
    ("BG_EGN", "8507308298", "8507308290"),
    ("BR_CNPJ", "61.783.795/0001-46", "61.783.795/0001-40"),
    ("BR_CPF", "605.946.331-25", "605.946.331-20"),
    ("CA_HEALTH_CARD", "9876 543 217", "9876 543 210"),
    ("CA_SIN", "109240119", "109240110"),
    ("CH_AHV", "756.1769.8231.23", "756.1769.8231.20"),
    ("CL_RUT", "45.088.303-4", "45.088.303-0"),
    ("CN_RESIDENT_ID", "110105198507307802", "110105198507307800"),
    ("CO_NIT", "8841415621", "8841415620"),
    ("CRYPTO_WALLET", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb"),
    ("CY_TAX_ID", "09616887X", "09616880X"),
    ("CZ_BIRTH_NUMBER", "850730/3190", "850730/3191"),
    ("DE_TAX_ID", "89646603127", "89646603120"),
    ("EC_CEDULA", "1709125155", "1709125150"),
    ("EE_ISIKUKOOD", "38507306323", "38507306320"),
    ("EMSO", "3007985500164", "3007985500160"),
    ("ES_CCC", "76341717862812131997", "76341717862812131990"),
    ("ES_CIF", "B16335234", "B16335230"),
    ("ES_NIE", "X1276601D", "X1276600D"),
    ("ES_NIF", "97140456W", "97140450W"),
    ("FI_PERSONAL_IDENTITY_CODE", "300785-766M", "300785-760M"),
    ("FR_NIR", "184057501308609", "184057501308600"),
    ("FR_SPI", "0074967206440", "0074967206441"),
    ("GR_AFM", "018599852", "018599850"),
    ("GR_AMKA", "30078595383", "30078595380"),
    ("HK_ID", "A123456(3)", "A123456(4)"),
    ("HR_OIB", "24752941888", "24752941880"),
    ("IBAN_CODE", "DE43100000000705816165", "DE43100000000705816160"),
    ("ID_NIK", "3201013007850419", ""),
    ("IE_PPS", "5834237MA", "5834230MA"),
    ("IL_ID", "944439413", "944439410"),
    ("IN_AADHAAR", "999749601697", "999749601690"),
    ("IN_PAN", "ABCPH9670D", "ABCZH9670D"),
    ("IS_KENNITALA", "300785-5229", "300785-5221"),
    ("IT_FISCAL_CODE", "RSSMRA85T10A562S", "RSSMRA85T10A560S"),
    ("IT_VAT_CODE", "08100840019", "08100840010"),
    ("JP_MY_NUMBER", "1234 5678 9018", "1234 5678 9019"),
    ("KE_PIN", "A384309441D", ""),
    ("KR_BRN", "608-86-31941", "608-86-31949"),
    ("KR_RRN", "850730-1491692", ""),
    ("LT_ASMENS_KODAS", "38507300402", "38507300400"),
    ("LV_PERSONAS_KODS", "300785-19820", "300785-19821"),
    ("MX_CLABE", "032180000118359719", "032180000118359718"),
    ("MX_CURP", "GOAP850730HDFRRD55", "GOAP850730HDFRRD50"),
    ("MX_RFC", "GOAP850730785", "GOAP850730780"),
    ("MY_KAD", "850730-14-0105", ""),
    ("NL_BSN", "835757298", "835757290"),
    ("NO_FODSELSNUMMER", "30078598081", "30078598080"),
    ("NZ_IRD", "085909053", "085909050"),
    ("NZ_NHI", "ZZZ0016", "ZZZ0017"),
    ("PE_RUC", "20145754063", "20145754060"),
    ("PK_CNIC", "59385-0972013-1", ""),
    ("PL_NIP", "5207309819", "5207309810"),
    ("PL_PESEL", "85073010639", "85073010630"),
    ("PL_REGON", "785117790", "785117791"),
    ("PT_CITIZEN_CARD", "303675660ZZ7", "303675660ZZ0"),
    ("PT_NIF", "260693243", "260693240"),
    ("RO_CNP", "1850730400979", "1850730400970"),
    ("RS_PIB", "153894527", "153894520"),
    ("RU_INN", "736974202701", "736974202700"),
    ("RU_SNILS", "112-233-445 95", "112-233-445 96"),
    ("SE_ORGANISATIONSNUMMER", "5566217310", "5566217311"),
    ("SE_PERSONNUMMER", "850730-4056", "850730-4050"),
    ("SG_NRIC_FIN", "S1234567D", "S1234567E"),
    ("SI_TAX_NUMBER", "53093674", "53093670"),
    ("TH_TNIN", "3916400402647", "3916400402640"),
    ("TR_NATIONAL_ID", "51812855982", "51812855980"),
    ("TR_VKN", "3112639078", "3112639070"),
    ("TW_NATIONAL_ID", "A123456789", "A123456788"),
    ("UA_RNOKPP", "0113943611", "0113943610"),
    ("UK_DRIVING_LICENCE", "MUSTE801236A99XY", "MUSTE813236A99XY"),
    ("UK_NHS", "9969019368", "9969019360"),
    ("UK_NINO", "JK 12 34 56 C", "JK 12 34 56 F"),
    ("UK_UTR", "6788340852", "6788340850"),
    ("US_DEA", "AB1234563", "AB1234560"),
    ("US_EIN", "12-1936369", ""),
    ("US_ITIN", "909-74-4822", ""),
    ("US_MBI", "1EG4-TE5-MK73", "1EG4-TE5-MKB3"),
    ("US_NPI", "1234567893", "1234567890"),
    ("US_SSN", "536-22-8726", "666-22-8726"),
    ("VE_RIF", "V450110341", "V450110340"),
    ("VIN", "1M8GDM9AXKP042788", "1M8GDM9A1KP042788"),
    ("ZA_ID_NUMBER", "8507301384083", "8507301384080"),
];

/// Rows whose numbers are made by [`made`]: nobody else's implementation was at hand.
const MADE: &[&str] = &[
    "DE_HEALTH_INSURANCE",
    "DE_SOCIAL_SECURITY",
    "DE_LANR",
    "DE_PASSPORT",
    "DE_ID_CARD",
    "ES_SOCIAL_SECURITY",
    "PT_NISS",
    "LU_NATIONAL_ID",
    "PL_ID_CARD",
    "PL_PASSPORT",
    "HU_TAJ",
    "HU_TAX_ID",
    "HU_PERSONAL_ID",
    "KZ_IIN",
    "AE_EMIRATES_ID",
    "SA_NATIONAL_ID",
    "KW_CIVIL_ID",
    "KR_FRN",
    "UY_CI",
    "AU_MEDICARE",
];

fn findings(text: &str) -> Vec<(String, Severity, String)> {
    let key = MaskKey::from_bytes([7; 32]);
    let context = Context::new(time::OffsetDateTime::UNIX_EPOCH, &[], &key);
    let view = view_text(text, &Limits::default());
    let mut findings = Findings::new(100);
    findings.begin(&IDENTIFIER);
    (IDENTIFIER.run)(&view, &context, &mut findings);
    let cut = |start, end| text.chars().skip(start).take(end - start).collect();
    findings
        .finish(&view)
        .into_iter()
        .map(|f| (f.entity, f.severity, cut(f.start, f.end)))
        .collect()
}

/// A text that is too long to be little more than a number.
fn prose(text: &str) -> String {
    format!("{}\n{text}\n", "nothing to see in this line of a letter\n".repeat(8))
}

/// Whether no row of this kind has a check digit.
fn is_form(name: &str) -> bool {
    all().filter(|row| row.name == name).all(|row| row.proof < Proof::CheckDigit)
}

/// Whether a row with a check digit takes it: others of the same kind take any.
fn is_checked(name: &str, number: &str) -> bool {
    let compact: Vec<u8> = number.bytes().filter(u8::is_ascii_alphanumeric).collect();
    all()
        .filter(|row| row.name == name && row.proof >= Proof::CheckDigit)
        .any(|row| (row.check)(&compact))
}

/// Numbers with the entity's shape that pass its check, and the same with a digit changed.
fn made(name: &str) -> Vec<(String, String)> {
    let entity = all().find(|entity| entity.name == name).unwrap();
    let shape = entity.shapes[0].replace('~', " ");
    let mut seed = 20_261_127_u64;
    let mut random = move |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let mut pairs = Vec::new();
    for _ in 0..2_000_000 {
        let mut number = String::new();
        let mut rest = shape.as_str();
        while let Some(class) = rest.chars().next() {
            rest = &rest[1..];
            let count = match rest.strip_prefix('{').and_then(|tail| tail.split_once('}')) {
                Some((count, tail)) => {
                    rest = tail;
                    count.parse().unwrap_or(1)
                }
                None => 1,
            };
            for _ in 0..count {
                number.push(match class {
                    'D' => char::from(b'0' + random(10) as u8),
                    'L' => char::from(b"CFGHJKLMNPRT"[random(12) as usize]),
                    'X' => char::from(b"0123456789CFGHJK"[random(16) as usize]),
                    separator => separator,
                });
            }
        }
        if if is_form(name) { passes(name, &number) } else { is_checked(name, &number) } {
            // Where other digits follow the check digit, the first one is changed.
            let at = if ["DE_LANR", "AU_MEDICARE"].contains(&name) { 0 } else { number.len() - 1 };
            let digit = number.as_bytes()[at];
            let other = if digit.is_ascii_digit() {
                char::from(b'0' + (digit - b'0' + 1) % 10)
            } else {
                'A'
            };
            pairs.push((number.clone(), format!("{}{other}{}", &number[..at], &number[at + 1..])));
            if pairs.len() == 20 {
                break;
            }
        }
    }
    pairs
}

fn passes(name: &str, number: &str) -> bool {
    let compact: Vec<u8> = number.bytes().filter(u8::is_ascii_alphanumeric).collect();
    let rows = all().filter(|entity| entity.name == name && entity.proof != Proof::Look);
    rows.into_iter().any(|entity| (entity.check)(&compact))
}

#[test]
fn every_number_with_a_check_digit_is_known_by_it() {
    for (name, right, wrong) in CASES {
        assert!(passes(name, right), "{name}: {right}");
        assert!(wrong.is_empty() || !passes(name, wrong), "{name}: {wrong}");
    }
    for name in MADE {
        let pairs = made(name);
        assert!(pairs.len() >= 5, "{name}: {}", pairs.len());
        // Numbers of Korea's foreigners have no check digit that must be right.
        if !is_form(name) && *name != "KR_FRN" {
            for (_, wrong) in pairs {
                assert!(!is_checked(name, &wrong), "{name}: {wrong}");
            }
        }
    }
}

#[test]
fn no_number_is_claimed_without_a_case() {
    let cases: BTreeSet<&str> =
        CASES.iter().map(|(name, ..)| *name).chain(MADE.iter().copied()).collect();
    for entity in all().filter(|entity| entity.proof >= Proof::CheckDigit) {
        assert!(cases.contains(entity.name), "{}", entity.name);
    }
}

#[test]
fn a_number_behind_its_own_words_is_found_and_named() {
    for (name, right, wrong) in CASES {
        let words: BTreeSet<&str> = all()
            .filter(|entity| entity.name == *name)
            .flat_map(|entity| entity.words.iter().copied().flatten().copied())
            .collect();
        for word in words {
            let text = prose(&format!("{word}: {right}"));
            let found = findings(&text);
            assert!(
                found.iter().any(|(entity, severity, place)| {
                    entity == name && *severity >= Severity::Medium && place == right
                }),
                "{name} behind \"{word}\": {found:?}"
            );
        }
        if !wrong.is_empty() {
            let word = all().find(|entity| entity.name == *name).unwrap().words[0][0];
            let found = findings(&prose(&format!("{word}: {wrong}")));
            assert!(found.iter().all(|(entity, ..)| entity != name), "{name}: {found:?}");
        }
    }
}

#[test]
fn a_number_that_words_say_is_something_else_does_not_make_mail_sensitive() {
    for (name, right, _) in CASES {
        for label in ["order number", "invoice", "Tracking", "Bestellnummer", "phone"] {
            let found = findings(&prose(&format!("{label} {right}")));
            assert!(
                found.iter().all(|(_, severity, _)| *severity == Severity::Low),
                "{name}: {found:?}"
            );
        }
        let found = findings(&prose(&format!("https://example.com/{right}?a=b")));
        assert_eq!(found, [], "{name}");
    }
}

#[test]
fn a_column_of_numbers_is_known_by_its_heading() {
    let rows: String =
        ["446220196", "876543210"].iter().map(|n| format!("ann example,{n},x\n")).collect();
    let found = findings(&format!("name,TFN,city\n{}{rows}", "bob example,none,y\n".repeat(20)));
    assert!(
        found.iter().any(|(name, severity, _)| name == "AU_TFN" && *severity == Severity::High),
        "{found:?}"
    );
    let found =
        findings(&format!("name,quantity,city\n{}{rows}", "bob example,none,y\n".repeat(20)));
    assert_eq!(found, []);
}

#[test]
fn a_bare_number_is_a_hint_in_a_message_that_is_little_more() {
    assert!(
        findings("here: 446220196")
            .iter()
            .any(|(name, severity, _)| name == "AU_TFN" && *severity == Severity::Low)
    );
    assert_eq!(findings(&prose("here: 446220196")), []);
}

#[test]
fn numbers_of_at_least_25_countries_are_known() {
    let countries: BTreeSet<&str> = all()
        .filter(|entity| entity.name.as_bytes().get(2) == Some(&b'_'))
        .map(|entity| &entity.name[..2])
        .collect();
    assert!(countries.len() >= 50, "{countries:?}");
}
