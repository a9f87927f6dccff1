use std::ops::Range;

use mailkeep_model::{Finding, Severity};

use crate::{detectors::Detector, message::MessageView};

/// Collects what detectors find, in bytes of the fields; code points come at the end, in one pass
/// over each field.
pub(crate) struct Findings {
    detector: Option<&'static Detector>,
    raw: Vec<Raw>,
    limit: usize,
    overflow: bool,
    notes: Vec<String>,
}

struct Raw {
    detector: &'static Detector,
    place: Place,
    entity: String,
    severity: Severity,
    evidence: String,
}

/// Where something was found; ordered as it is reported.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// Index of the field, and bytes of its source.
    Text(usize, usize, usize),
    /// Index of the object.
    Object(usize),
    /// The message as a whole.
    Message,
}

impl Findings {
    pub(crate) fn new(limit: usize) -> Self {
        Self { detector: None, raw: Vec::new(), limit, overflow: false, notes: Vec::new() }
    }

    /// Names the detector that reports from now on.
    pub(crate) fn begin(&mut self, detector: &'static Detector) {
        self.detector = Some(detector);
    }

    /// Adds a finding. `field` is the field's index in the view, `place` bytes of its source.
    pub(crate) fn add(
        &mut self,
        field: usize,
        place: Range<usize>,
        severity: Severity,
        entity: String,
        evidence: String,
    ) {
        self.push(Place::Text(field, place.start, place.end), severity, entity, evidence);
    }

    /// Adds a finding on a file as a whole. `object` is the object's index in the view.
    pub(crate) fn add_to_object(
        &mut self,
        object: usize,
        severity: Severity,
        entity: String,
        evidence: String,
    ) {
        self.push(Place::Object(object), severity, entity, evidence);
    }

    /// Adds a finding on the message as a whole; its field is called `message`.
    pub(crate) fn add_to_message(&mut self, severity: Severity, entity: String, evidence: String) {
        self.push(Place::Message, severity, entity, evidence);
    }

    fn push(&mut self, place: Place, severity: Severity, entity: String, evidence: String) {
        let Some(detector) = self.detector else { return };
        if self.raw.len() >= self.limit {
            self.overflow = true;
            return;
        }
        self.raw.push(Raw { detector, place, entity, severity, evidence });
    }

    /// Says what a detector did not look at.
    pub(crate) fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// What detectors did not look at.
    pub(crate) fn take_notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    /// Whether there were more findings than the limit. A detector may stop looking then.
    pub(crate) fn overflow(&self) -> bool {
        self.overflow
    }

    /// The findings in order of field, place and detector; those on files follow.
    pub(crate) fn finish(mut self, view: &MessageView) -> Vec<Finding> {
        self.raw.sort_by(|a, b| {
            (&a.place, a.detector.name, &a.entity).cmp(&(&b.place, b.detector.name, &b.entity))
        });
        let mut counter = CodePoints::default();
        self.raw
            .into_iter()
            .filter_map(|raw| {
                let (field, start, end) = match raw.place {
                    Place::Text(index, start, end) => {
                        let field = view.fields.get(index)?;
                        let start = counter.at(index, &field.source, start);
                        // A copy, so that the next finding may begin before this one ends.
                        let end = counter.clone().at(index, &field.source, end);
                        (field.name.as_str(), start, end)
                    }
                    Place::Object(index) => (view.objects.get(index)?.path.as_str(), 0, 0),
                    Place::Message => ("message", 0, 0),
                };
                Some(Finding {
                    detector: raw.detector.name.to_owned(),
                    category: raw.detector.category,
                    entity: raw.entity,
                    severity: raw.severity,
                    field: field.to_owned(),
                    start,
                    end,
                    evidence: raw.evidence,
                })
            })
            .collect()
    }
}

/// Counts code points forward only, so that many findings cost one pass over the text.
#[derive(Clone, Default)]
struct CodePoints {
    field: usize,
    byte: usize,
    count: usize,
}

impl CodePoints {
    fn at(&mut self, field: usize, source: &str, byte: usize) -> usize {
        if field != self.field || byte < self.byte {
            *self = Self { field, ..Self::default() };
        }
        let between = source.as_bytes().get(self.byte..byte).unwrap_or_default();
        // Every byte but the continuation bytes of UTF-8 (10xxxxxx) begins a code point.
        self.count += between.iter().filter(|&&b| b & 0xC0 != 0x80).count();
        self.byte = byte;
        self.count
    }
}
