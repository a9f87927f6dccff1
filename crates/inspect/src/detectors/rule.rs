//! `rule-match`: where a rule of the organisation's own applies, as a scanner outside found
//! ([`crate::Scanned`]).

use mailkeep_model::Category;

use super::Detector;
use crate::{Context, RuleMatch, findings::Findings, message::MessageView};

pub(super) const MATCH: Detector =
    Detector { name: "rule-match", category: Category::Rule, run: find };

fn find(view: &MessageView, context: &Context<'_>, findings: &mut Findings) {
    for found in context.scanned.iter().flat_map(|scanned| &scanned.matches) {
        if findings.overflow() {
            return;
        }
        let RuleMatch { rule, severity, field, place, evidence } = found;
        let (rule, evidence) = (rule.clone(), evidence.clone());
        let text = view.fields.iter().position(|one| one.name == *field);
        let object = || view.objects.iter().position(|object| object.path == *field);
        if let Some(text) = text {
            let length = view.fields[text].source.len();
            let place =
                place.clone().filter(|place| place.start <= place.end && place.end <= length);
            findings.add(text, place.unwrap_or(0..0), *severity, rule, evidence);
        } else if let Some(object) = object() {
            findings.add_to_object(object, *severity, rule, evidence);
        } else {
            findings.add_to_message(*severity, rule, evidence);
        }
    }
}
