//! What was seen in attached files, reported. All seeing is done in `unpack`, while the file is
//! open; what each thing means stands in the table of techniques.

use mailkeep_model::Category;

use super::Detector;
use crate::{findings::Findings, message::MessageView};

/// One row per detector of the table of techniques: a policy names them one by one.
macro_rules! detectors {
    ($($name:ident = $detector:literal;)*) => {
        $(pub(super) const $name: Detector = Detector {
            name: $detector,
            category: Category::Attachment,
            run: |view, _, findings| report($detector, view, findings),
        };)*
    };
}

detectors! {
    PROGRAM = "attachment-program";
    NAME = "attachment-name";
    CONTAINER = "attachment-container";
    OBJECT = "attachment-object";
    MACRO = "attachment-macro";
    LINK = "attachment-link";
    PDF = "attachment-pdf";
    HTML = "attachment-html";
    ENCRYPTED = "attachment-encrypted";
    KNOWN = "attachment-known";
}

fn report(detector: &str, view: &MessageView, findings: &mut Findings) {
    for (index, object) in view.objects.iter().enumerate() {
        for mark in object.marks.iter().filter(|mark| mark.technique.detector() == detector) {
            findings.add_to_object(
                index,
                mark.technique.severity(),
                mark.technique.entity().to_owned(),
                mark.evidence.clone(),
            );
        }
    }
}
