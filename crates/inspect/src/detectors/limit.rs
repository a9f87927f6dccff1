//! `message-limit`: a message of thousands of parts, of parts in parts without end, or with
//! thousands of files. Its maker wants programs to give up, and what lies behind not to be seen.

use mailkeep_model::{Category, Severity};

use super::Detector;
use crate::{Context, findings::Findings, message::MessageView};

pub(super) const LIMIT: Detector =
    Detector { name: "message-limit", category: Category::Attachment, run: find };

fn find(view: &MessageView, _: &Context<'_>, findings: &mut Findings) {
    let Some(last) = view.fields.len().checked_sub(1) else { return };
    for (what, evidence) in &view.excess {
        findings.add(last, 0..0, Severity::Medium, (*what).to_owned(), evidence.clone());
    }
}
