use mailkeep_model::{Category, Severity};

use super::super::Detector;
use crate::{Context, Sent, facts::name_place, findings::Findings, message::MessageView};

pub(crate) const TAKEOVER: Detector =
    Detector { name: "takeover", category: Category::People, run: find };

/// Messages of one hour beyond which a mailbox is not its usual self, as a multiple of the busiest
/// hour that is known; and people of one link, as a multiple of the most before.
const BURST: u32 = 3;
/// A busy hour of a quiet mailbox.
const FEWEST: u32 = 20;
/// Recipients of one link that make a campaign of it.
const CAMPAIGN: u32 = 20;

fn find(view: &MessageView, context: &Context<'_>, findings: &mut Findings) {
    let (Some(sender), Some(from)) = (context.sender, &view.from) else { return };
    let sent = Sent::of(view, &sender, context);
    let Some(departure) = sender.habits.departure(&sent, context.now) else { return };
    let mut report = |severity, entity: &str, evidence: String| {
        findings.add(from.field, name_place(from), severity, entity.to_owned(), evidence);
    };
    let (sent, usual) = (departure.sent_last_hour, departure.busiest_hour);
    if sent >= FEWEST && sent > usual.saturating_mul(BURST) {
        report(
            Severity::Medium,
            "burst",
            format!("{sent} messages in an hour, {usual} at most before"),
        );
    }
    let (people, usual) = (departure.same_link_recipients, departure.largest_campaign);
    if people >= CAMPAIGN && people > usual.saturating_mul(BURST) {
        report(
            Severity::Medium,
            "campaign",
            format!("one link sent to {people} people in an hour, {usual} at most before"),
        );
    }
    if let Some(rule) = departure.hiding_rule {
        let days = rule.whole_days();
        report(
            Severity::Medium,
            "inbox-rule",
            format!("a rule that forwards or hides mail was made {days} days ago"),
        );
    }
    for (holds, entity, evidence) in [
        (departure.first_client, "client", "sent with a program for the first time"),
        (departure.first_language, "language", "writes in a language for the first time"),
        (departure.first_hour, "hour", "sent at an hour at which it never wrote"),
        (departure.strangers, "strangers", "most recipients were never written to before"),
    ] {
        if holds {
            report(Severity::Low, entity, evidence.to_owned());
        }
    }
}
