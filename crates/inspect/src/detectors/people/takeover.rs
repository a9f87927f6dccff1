use mailkeep_model::{Category, Severity};

use super::super::Detector;
use crate::{Context, facts::name_place, findings::Findings, message::MessageView};

pub(in super::super) const TAKEOVER: Detector =
    Detector { name: "takeover", category: Category::People, run: find };

/// Messages of one hour beyond which a mailbox is not its usual self, as a multiple of the busiest
/// hour that is known.
const BURST: u32 = 3;
/// A busy hour of a quiet mailbox.
const FEWEST: u32 = 20;
/// Recipients of one link that make a campaign of it.
const CAMPAIGN: u32 = 20;

fn find(view: &MessageView, context: &Context<'_>, findings: &mut Findings) {
    let (Some(history), Some(from)) = (context.history, &view.from) else { return };
    let mut report = |severity, entity: &str, evidence: String| {
        findings.add(from.field, name_place(from), severity, entity.to_owned(), evidence);
    };
    let (sent, usual) = (history.sent_last_hour, history.busiest_hour);
    if sent >= FEWEST && sent > usual.saturating_mul(BURST) {
        report(
            Severity::Medium,
            "burst",
            format!("{sent} messages in an hour, {usual} at most before"),
        );
    }
    if history.same_link_recipients >= CAMPAIGN {
        let people = history.same_link_recipients;
        report(
            Severity::Medium,
            "campaign",
            format!("one link sent to {people} people in an hour"),
        );
    }
    if let Some(rule) = history.hiding_rule {
        let days = rule.whole_days();
        report(
            Severity::Medium,
            "inbox-rule",
            format!("a rule that forwards or deletes mail was made {days} days ago"),
        );
    }
    for (holds, entity, evidence) in [
        (history.first_country, "country", "signed in from a country for the first time"),
        (history.first_client, "client", "sent with a program for the first time"),
        (history.first_language, "language", "writes in a language for the first time"),
        (history.strangers, "strangers", "most recipients were never written to before"),
    ] {
        if holds {
            report(Severity::Low, entity, evidence.to_owned());
        }
    }
}
