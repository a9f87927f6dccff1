//! What can be found by its form: one row an entity, a file a part of the world.
//!
//! A row says how the number is written ([`Entity::shapes`]), what its digits must fulfil
//! ([`Entity::check`]), how much that proves ([`Proof`]) and which words speak for it. Adding an
//! entity is adding its row, and cases to `tests.rs`.

mod africa;
mod americas;
mod asia;
mod bank;
mod benelux_france;
mod britain;
mod dach;
mod east;
mod iberia_italy;
mod middle_east;
mod nordic;
mod oceania;
mod poland_danube;
mod russia_turkey;
mod things;
mod usa;

#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use super::other_numbers;

/// A kind of number.
pub(super) struct Entity {
    /// Stable: stored with findings and named in policies.
    pub(super) name: &'static str,
    /// For people.
    pub(super) title: &'static str,
    pub(super) proof: Proof,
    pub(super) shapes: &'static [&'static str],
    /// Over the letters and digits of a stretch of text that has the shape, without what is
    /// between them.
    pub(super) check: fn(&[u8]) -> bool,
    /// Words that speak for it, in lower case.
    pub(super) words: &'static [&'static [&'static str]],
    pub(super) letters: Letters,
}

/// How the case of letters is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Letters {
    /// Either is the same; the check gets upper case.
    AnyCase,
    /// Lower case is something else.
    UpperCase,
    /// They are different characters.
    AsWritten,
}

/// How much a number proves by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Proof {
    /// That it looks like one and is none by its check: mistyped, or made up to be shown. A hint
    /// in a message that is little else.
    Look,
    /// Nothing: digits that anything may have. Without words it is not reported.
    Words,
    /// A form that a few other things have as well, and no check digit.
    Form,
    /// A check digit, which one of ten or a hundred other numbers has by accident.
    CheckDigit,
    /// So much structure that hardly anything else has it by accident.
    Structure,
}

pub(super) use Proof::{CheckDigit, Form, Look, Structure, Words};

const fn row(
    name: &'static str,
    title: &'static str,
    proof: Proof,
    shapes: &'static [&'static str],
    check: fn(&[u8]) -> bool,
    words: &'static [&'static [&'static str]],
) -> Entity {
    Entity { name, title, proof, shapes, check, words, letters: Letters::AnyCase }
}

impl Entity {
    /// The same, where small letters are something else.
    const fn upper(self) -> Self {
        Self { letters: Letters::UpperCase, ..self }
    }
}

/// A form without a check digit.
fn any(_: &[u8]) -> bool {
    true
}

/// Any number but one digit repeated.
fn varied(characters: &[u8]) -> bool {
    !super::checks::all_same(characters)
}

/// Words for a travel document, whoever issued it.
const PASSPORT: &[&str] = &[
    "passport",
    "passports",
    "passport no",
    "passport number",
    "reisepass",
    "reisepassnummer",
    "passnummer",
    "pass-nr",
    "passnr",
    "passeport",
    "pasaporte",
    "passaporto",
    "passaporte",
    "paspoort",
    "paszport",
    "paszportu",
    "pass nr",
    "passi",
    "pasas",
    "pașaport",
    "pasaport",
    "паспорт",
    "паспорта",
    "διαβατήριο",
    "여권",
    "旅券",
    "パスポート",
    "护照",
    "護照",
    "جواز",
    "paspor",
    "หนังสือเดินทาง",
    "hộ chiếu",
    "cestovní pas",
    "útlevél",
    "putovnica",
];

/// Words for a driving licence.
const DRIVING: &[&str] = &[
    "driving licence",
    "driving license",
    "driver licence",
    "driver license",
    "driver's license",
    "drivers license",
    "driver's licence",
    "licence",
    "license",
    "dl",
    "dl#",
    "dl no",
    "dln",
    "führerschein",
    "führerscheinnummer",
    "permis de conduire",
    "patente",
    "carné de conducir",
    "rijbewijs",
    "prawo jazdy",
    "운전면허",
    "면허",
    "運転免許",
    "licencia",
];

/// Words for a tax number, in English.
const TAX: &[&str] = &["tax id", "tax identification", "tax number", "tax no", "taxpayer", "tin"];

/// Words for an identity document, in English.
const IDENTITY: &[&str] = &[
    "id card",
    "identity card",
    "identity number",
    "id number",
    "id no",
    "national id",
    "national identification",
    "identification number",
    "personal id",
    "id code",
    "citizen id",
];

/// Words for a bank account.
const ACCOUNT: &[&str] = &[
    "account",
    "account number",
    "account no",
    "acct",
    "acct no",
    "a/c",
    "bank account",
    "konto",
    "kontonummer",
    "kontonr",
    "compte",
    "cuenta",
    "conto",
    "conta",
    "rekening",
    "rachunek",
];

/// All entities, by part of the world.
pub(super) fn all() -> impl Iterator<Item = &'static Entity> {
    [
        bank::ENTITIES,
        usa::ENTITIES,
        britain::ENTITIES,
        dach::ENTITIES,
        benelux_france::ENTITIES,
        iberia_italy::ENTITIES,
        nordic::ENTITIES,
        poland_danube::ENTITIES,
        east::ENTITIES,
        russia_turkey::ENTITIES,
        middle_east::ENTITIES,
        asia::ENTITIES,
        oceania::ENTITIES,
        americas::ENTITIES,
        africa::ENTITIES,
        things::ENTITIES,
    ]
    .into_iter()
    .flatten()
}

/// The shapes of a row, those that are made from other tables included.
pub(super) fn shapes(entity: &Entity) -> Vec<String> {
    let mut shapes: Vec<String> = entity.shapes.iter().map(ToString::to_string).collect();
    if entity.name == bank::IBAN {
        shapes.extend(bank::iban_shapes());
    }
    shapes
}

/// Words by which a number is known to be something else, in lower case.
pub(super) static AGAINST: LazyLock<Vec<&str>> =
    LazyLock::new(|| [other_numbers::WORDS, AGAINST_HERE].concat());

/// Those that say so of these numbers, and not of every other.
const AGAINST_HERE: &[&str] = &[
    "article no",
    "bugzilla",
    "build",
    "case no",
    "catalog",
    "contract",
    "deal",
    "document no",
    "issn",
    "item no",
    "meeting id",
    "model",
    "order id",
    "order number",
    "part no",
    "part number",
    "pin code",
    "po number",
    "postcode",
    "product",
    "purchase order",
    "quote",
    "ref",
    "rev",
    "version",
    "zip",
    "zip code",
    "cell",
    "call",
    "conference",
    "dial",
    "ext",
    "extension",
    "pager",
    "artikelnummer",
    "handy",
    "telefon",
    "mobil",
    "telefax",
    "aktenzeichen",
    "téléphone",
    "teléfono",
    "telefono",
    "telefone",
    "portable",
    "móvil",
    "celular",
    "cellulare",
    "тел",
    "телефон",
    "注文",
    "電話",
    "追跡",
    "订单",
    "訂單",
    "快递",
    "电话",
    "주문",
    "송장",
    "전화",
];
