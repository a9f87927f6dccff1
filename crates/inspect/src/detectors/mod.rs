//! The detectors. Adding one is adding its row to [`DETECTORS`] and its weights to `verdict.rs`.

mod attachment;
mod disguise;
mod feed;
mod limit;
mod link_place;
mod link_text;
mod look_alike;
mod lure;
mod people;
mod rule;
mod sensitive;

pub(crate) use link_text::{is_own, printable};
pub(crate) use people::rules::{Act, RULE, acts};
pub(crate) use sensitive::entity_names;

use mailkeep_model::Category;

use crate::{Context, findings::Findings, message::MessageView};

/// A detector: a name, what it looks at, and a pure function from the view to findings.
pub(crate) struct Detector {
    /// Stable: stored with findings and named in policies.
    pub(crate) name: &'static str,
    pub(crate) category: Category,
    pub(crate) run: fn(&MessageView, &Context<'_>, &mut Findings),
}

/// All detectors, in the order in which they run.
pub(crate) static DETECTORS: &[Detector] = &[
    link_text::MISMATCH,
    link_text::USER_INFO,
    attachment::PROGRAM,
    attachment::NAME,
    attachment::CONTAINER,
    attachment::OBJECT,
    attachment::MACRO,
    attachment::LINK,
    attachment::PDF,
    attachment::HTML,
    attachment::ENCRYPTED,
    attachment::KNOWN,
    limit::LIMIT,
    link_place::PLACE,
    link_place::ADDRESS,
    link_place::RECIPIENT,
    link_place::REDIRECTS,
    link_place::PASSWORD,
    look_alike::HOST,
    feed::MATCH,
    lure::LURE,
    lure::SCAM,
    lure::PAYMENT,
    lure::BRAND,
    lure::PICTURE,
    lure::CODE,
    lure::STRANGER,
    disguise::LOOK_ALIKE,
    disguise::SPACED,
    disguise::HIDDEN,
    people::IMPERSONATION,
    people::REPLY,
    people::SENDER,
    people::TAKEOVER,
    rule::MATCH,
    sensitive::PAYMENT_CARD,
    sensitive::IDENTIFIER,
    sensitive::SECRET,
    sensitive::KEY_PHRASE,
    sensitive::EXACT_MATCH,
];

/// The names of all detectors.
pub(crate) fn detector_names() -> impl Iterator<Item = &'static str> + Clone {
    DETECTORS.iter().map(|detector| detector.name)
}
