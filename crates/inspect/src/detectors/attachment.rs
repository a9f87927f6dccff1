//! What was seen in attached files, reported. All seeing is done in `unpack`, while the file is
//! open; what each thing means stands in the table of techniques.

use data_encoding::HEXLOWER;
use mailkeep_model::{Category, Severity};
use md5::{Digest, Md5};

use super::Detector;
use crate::{Context, findings::Findings, message::MessageView, unpack::Object};

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
}

/// Files that are known: by what is in them, or by somebody else.
pub(super) const KNOWN: Detector =
    Detector { name: "attachment-known", category: Category::Attachment, run: known };

fn known(view: &MessageView, context: &Context<'_>, findings: &mut Findings) {
    report(KNOWN.name, view, findings);
    for (index, object) in view.objects.iter().enumerate() {
        let scanned = context.scanned.iter().flat_map(|scanned| &scanned.known_files);
        let listed = scanned.filter(|known| known.sha256 == object.sha256);
        let answers = listed.map(|known| known.name.clone()).chain(on_lists(object, context));
        for evidence in answers {
            findings.add_to_object(index, Severity::High, "KNOWN_FILE".to_owned(), evidence);
        }
    }
}

/// The list that names a file by its hash. MD5 is no proof of anything, but many lists have
/// nothing else.
fn on_lists(object: &Object, context: &Context<'_>) -> Option<String> {
    let feeds = context.feeds?;
    let list = feeds
        .hash(&HEXLOWER.encode(&object.sha256))
        .or_else(|| feeds.hash(&HEXLOWER.encode(&Md5::digest(&object.bytes))))?;
    Some(format!("on the list '{list}'"))
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
