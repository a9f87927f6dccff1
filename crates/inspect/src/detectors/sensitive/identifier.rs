//! Numbers that belong to a person, an organisation or an account: one pass finds what has the
//! shape of any of them, check digits sort out nine of ten, and words decide about the rest.

use std::{ops::Range, sync::LazyLock};

use mailkeep_model::{Category, Severity};

use super::{
    super::Detector,
    address::in_address,
    entities::{self, Entity, Letters, Proof},
    mask,
    shapes::{Candidate, Shapes, goes_on},
    wording::{Says, Vocabulary, Wording, Words},
};
use crate::{Context, findings::Findings, message::MessageView};

pub(crate) const IDENTIFIER: Detector =
    Detector { name: "identifier", category: Category::Sensitive, run: find };

/// A message that is little more than a number has no words that could tell what it is; it is
/// what people send when they were asked for it. Bytes of all its texts together.
const BRIEF: usize = 200;

/// Hits that overlap one another, in a chain, are judged together up to so many.
const CLUSTER: usize = 64;

/// The longest shape has 42 characters with its separators, a wallet's address 63.
const LONGEST: usize = 96;

/// Everything that is compiled from the rows, once.
struct Table {
    entities: Vec<&'static Entity>,
    /// By row.
    words: Vec<Words>,
    against: Words,
    shapes: Shapes,
    vocabulary: Vocabulary,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let entities: Vec<&Entity> = entities::all().collect();
    let words = entities.iter().flat_map(|entity| entity.words.iter().copied().flatten());
    let vocabulary = Vocabulary::of(words.chain(entities::AGAINST.iter()).copied());
    Table {
        words: entities
            .iter()
            .map(|entity| {
                let words: Vec<&str> = entity.words.iter().copied().flatten().copied().collect();
                vocabulary.numbers(&words)
            })
            .collect(),
        against: vocabulary.numbers(&entities::AGAINST),
        shapes: Shapes::compile(entities.iter().map(|entity| entities::shapes(entity))),
        entities,
        vocabulary,
    }
});

/// Every entity that this detector reports.
pub(crate) fn entity_names() -> impl Iterator<Item = &'static str> {
    entities::all().map(|entity| entity.name)
}

/// A number that passed.
#[derive(Clone, Debug)]
struct Hit {
    place: Range<usize>,
    row: u16,
    severity: Severity,
    says: Says,
}

fn find(view: &MessageView, context: &Context<'_>, findings: &mut Findings) {
    let table = &*TABLE;
    let brief = view.fields.iter().map(|field| field.readable().len()).sum::<usize>() <= BRIEF;
    for (index, field) in view.fields.iter().enumerate() {
        let text = field.readable();
        let mut wording = Wording::new(text, &table.vocabulary, &table.against);
        // Hits that overlap; they are judged together.
        let mut cluster: Vec<Hit> = Vec::new();
        let report = |cluster: &mut Vec<Hit>, findings: &mut Findings| {
            for hit in resolve(cluster, table) {
                let entity = table.entities[usize::from(hit.row)];
                let value = Compact::of(&text[hit.place.clone()], entity.letters);
                let evidence = mask::evidence(entity.title, entity.name, value.as_str(), context);
                let place = field.place(hit.place.clone());
                findings.add(index, place, hit.severity, entity.name.to_owned(), evidence);
            }
            cluster.clear();
        };
        table.shapes.scan(text, |candidate| {
            let apart = cluster.iter().all(|hit| hit.place.end <= candidate.place.start);
            if apart || cluster.len() >= CLUSTER {
                report(&mut cluster, findings);
            }
            judge(table, text, &candidate, &mut wording, brief, &mut cluster);
            !findings.overflow()
        });
        report(&mut cluster, findings);
        if findings.overflow() {
            return;
        }
    }
}

/// What of the rows whose shape a stretch of text has it can be, and how surely.
fn judge(
    table: &Table,
    text: &str,
    candidate: &Candidate<'_>,
    wording: &mut Wording<'_>,
    brief: bool,
    hits: &mut Vec<Hit>,
) {
    if goes_on(text, &candidate.place) {
        return;
    }
    let written = &text[candidate.place.clone()];
    let upper = Compact::of(written, Letters::AnyCase);
    // Asked once, and only when something passed its check.
    let mut address = None;
    for &row in candidate.rows {
        let entity = table.entities[usize::from(row)];
        let kept;
        let value = match entity.letters {
            Letters::AnyCase => &upper,
            Letters::UpperCase if written.bytes().any(|b| b.is_ascii_lowercase()) => continue,
            Letters::UpperCase => &upper,
            Letters::AsWritten => {
                kept = Compact::of(written, Letters::AsWritten);
                &kept
            }
        };
        if !(entity.check)(value.as_bytes())
            || *address.get_or_insert_with(|| in_address(text, &candidate.place))
        {
            continue;
        }
        let says = wording.says(&candidate.place, &table.words[usize::from(row)]);
        if let Some(severity) = severity(entity.proof, says, brief) {
            hits.push(Hit { place: candidate.place.clone(), row, severity, says });
        }
    }
}

/// How much a number that passed its check says, by what the words around it say.
fn severity(proof: Proof, says: Says, brief: bool) -> Option<Severity> {
    match (proof, says) {
        (Proof::Structure | Proof::CheckDigit, Says::Yes) => Some(Severity::High),
        (Proof::Form | Proof::Words, Says::Yes) => Some(Severity::Medium),
        (Proof::Structure, Says::Nothing) => Some(Severity::Medium),
        (Proof::Structure, Says::No) => Some(Severity::Low),
        (Proof::CheckDigit | Proof::Form | Proof::Look, Says::Nothing) if brief => {
            Some(Severity::Low)
        }
        _ => None,
    }
}

/// Of hits that overlap, those that stay. One number may be several things as long as words speak
/// for each, or for none.
fn resolve<'h>(hits: &'h [Hit], table: &Table) -> Vec<&'h Hit> {
    let proof = |hit: &Hit| table.entities[usize::from(hit.row)].proof;
    let rank = |hit: &Hit| (hit.says == Says::Yes, hit.severity, hit.place.len());
    let mut order: Vec<&Hit> = hits.iter().collect();
    order.sort_by(|a, b| (rank(b), proof(b)).cmp(&(rank(a), proof(a))).then(a.row.cmp(&b.row)));
    let mut kept: Vec<&Hit> = Vec::new();
    for hit in order {
        let name = table.entities[usize::from(hit.row)].name;
        let stays = kept.iter().all(|better| {
            let apart = better.place.end <= hit.place.start || hit.place.end <= better.place.start;
            let same = better.place == hit.place
                && table.entities[usize::from(better.row)].name != name
                && better.says == hit.says
                && (better.severity == hit.severity || hit.says == Says::Yes)
                && (proof(hit) != Proof::Words || proof(better) == Proof::Words);
            apart || same
        });
        if stays {
            kept.push(hit);
        }
    }
    kept
}

/// The letters and digits of a number, without what is between them.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Compact {
    characters: [u8; LONGEST],
    length: usize,
}

impl Compact {
    fn of(written: &str, letters: Letters) -> Self {
        let mut compact = Self { characters: [0; LONGEST], length: 0 };
        for byte in written.bytes().filter(u8::is_ascii_alphanumeric).take(LONGEST) {
            compact.characters[compact.length] = match letters {
                Letters::AsWritten => byte,
                _ => byte.to_ascii_uppercase(),
            };
            compact.length += 1;
        }
        compact
    }

    fn as_bytes(&self) -> &[u8] {
        &self.characters[..self.length]
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}
