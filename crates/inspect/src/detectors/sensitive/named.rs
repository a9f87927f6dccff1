//! What the organisation named itself: [`crate::Dictionary`] and [`crate::ExactList`].

use mailkeep_model::{Category, Severity};

use super::super::Detector;
use crate::{Context, findings::Findings, message::MessageView};

pub(crate) const KEY_PHRASE: Detector =
    Detector { name: "key-phrase", category: Category::Sensitive, run: phrases };

pub(crate) const EXACT_MATCH: Detector =
    Detector { name: "exact-match", category: Category::Sensitive, run: exact };

fn phrases(view: &MessageView, context: &Context<'_>, findings: &mut Findings) {
    for dictionary in context.dictionaries {
        for (index, field) in view.fields.iter().enumerate() {
            let (found, enough) = dictionary.find(field.readable());
            let severity = if enough { Severity::Medium } else { Severity::Low };
            for (place, phrase) in found {
                // The phrase is the organisation's own list's: there is nothing to hide in it.
                let evidence = format!("\"{phrase}\"");
                findings.add(
                    index,
                    field.place(place),
                    severity,
                    dictionary.name().to_owned(),
                    evidence,
                );
            }
        }
    }
}

fn exact(view: &MessageView, context: &Context<'_>, findings: &mut Findings) {
    for list in context.lists {
        for (index, field) in view.fields.iter().enumerate() {
            let scan = list.find(field.readable());
            for (place, value) in scan.places {
                let mark = context.mask_key.mark(list.name(), &value);
                let evidence = format!("a value of the list '{}' #{mark}", list.name());
                findings.add(
                    index,
                    field.place(place),
                    Severity::High,
                    list.name().to_owned(),
                    evidence,
                );
            }
            if scan.cut_off {
                findings.note(format!(
                    "{}: more values of the list '{}' than are compared",
                    field.name,
                    list.name()
                ));
            }
        }
    }
}
