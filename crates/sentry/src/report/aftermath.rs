//! What was done about it, and what is left to do.

use super::{
    BlastReport, BlastSummary, IncidentState, ReportedIncident,
    markup::{counted, escaped, moment, table},
};

/// Incidents, and orders to revoke, that are listed.
const LISTED: usize = 100;

/// Incidents with their state, and when keys were revoked.
pub(super) fn done(report: &BlastReport) -> String {
    let mut out = String::new();
    for one in report.revoked.iter().take(LISTED) {
        out.push_str(&format!(
            "<li>{}: our keys were revoked ({})</li>\n",
            moment(one.at),
            escaped(&one.reason)
        ));
    }
    match out.is_empty() {
        true => out.push_str("<p>Our keys were not revoked in this time.</p>\n"),
        false => out = format!("<ul>\n{out}</ul>\n"),
    }
    let row = |one: &ReportedIncident| {
        let state = match (one.state, one.closed) {
            (IncidentState::Closed, Some(closed)) => format!(
                "closed {}<br>{}",
                moment(closed),
                escaped(one.note.as_deref().unwrap_or_default())
            ),
            (IncidentState::Acknowledged, _) => "open; somebody looks after it".to_owned(),
            (state, _) => state.as_str().to_owned(),
        };
        vec![one.id.to_string(), moment(one.opened), escaped(one.title()), state]
    };
    let rows: Vec<Vec<String>> = report.incidents.iter().take(LISTED).map(row).collect();
    if rows.is_empty() {
        out.push_str("<p>There is no incident of this time.</p>\n");
    }
    let caption = match report.incidents.len().saturating_sub(LISTED) {
        0 => "Incidents".to_owned(),
        left => format!("The newest incidents; {left} more are not listed here"),
    };
    out.push_str(&table("incidents", &caption, &["No.", "Found", "What", "State"], &rows));
    out
}

/// What follows for the organisation, then what our own incidents ask of us.
pub(super) fn next(report: &BlastReport, summary: &BlastSummary) -> String {
    let yours = for_the_organisation(report, summary);
    let ours = for_the_operator(report);
    let mut out = list("For the organisation", &yours);
    out.push_str(&list("For the operator of Mailkeep", &ours));
    if summary.open_incidents > 0 {
        let open = counted(summary.open_incidents as usize, "incident is", "incidents are");
        out.push_str(&format!("<p>{open} not closed yet.</p>\n"));
    }
    if out.is_empty() {
        out.push_str("<p>Nothing.</p>\n");
    }
    out
}

fn list(whose: &str, steps: &[String]) -> String {
    if steps.is_empty() {
        return String::new();
    }
    let items: String = steps.iter().map(|step| format!("<li>{step}</li>\n")).collect();
    format!("<p><b>{whose}</b></p>\n<ol>\n{items}</ol>\n")
}

fn for_the_organisation(report: &BlastReport, summary: &BlastSummary) -> Vec<String> {
    let mut steps: Vec<&str> = Vec::new();
    if report.radius.live_until.is_some_and(|until| until > report.radius.span.to) {
        steps.push(
            "Disable our applications in Entra ID (Enterprise applications, Properties) until the tokens have \
             ended, unless that was done. It ends those under continuous access evaluation, and stops the backup \
             meanwhile.",
        );
    }
    if summary.mailboxes_reached > 0 {
        steps.push(
            "Tell the people whose mailboxes are listed. Passwords, keys and other secrets that stand in \
             these messages are known to somebody else: change them.",
        );
        steps.push(
            "Have your counsel or data protection officer see whether personal data was read. Deadlines for \
             notifying are short, and may run from the moment at which it is known.",
        );
    }
    if summary.reached || summary.unattributed > 0 {
        steps.push(
            "While a token worked, treat a blind time as one in which anything in the mailbox may have been \
             read.",
        );
        steps.push(
            "Ask for this report again in a day or two: the log of reads of mail can take that long.",
        );
    }
    steps.into_iter().map(str::to_owned).collect()
}

/// What the open incidents ask for, each thing once, as HTML; but for making this report.
fn for_the_operator(report: &BlastReport) -> Vec<String> {
    let open = report.incidents.iter().filter(|one| one.state != IncidentState::Closed);
    let kinds = open.filter_map(ReportedIncident::known_kind);
    let mut steps: Vec<String> = Vec::new();
    for step in kinds.flat_map(|kind| kind.next_steps()) {
        let step = escaped(&step.replace("TENANT", report.tenant.as_str()));
        if !step.contains("identity blast-radius") && !steps.contains(&step) {
            steps.push(step);
        }
    }
    steps
}
