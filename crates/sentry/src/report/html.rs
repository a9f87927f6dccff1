//! The report as one page that stands by itself: no script, no picture, nothing from elsewhere.

use super::{
    BlastReport, BlastSummary, aftermath, logs, mailboxes,
    markup::{counted, escaped, long, minute, moment, number, page, table},
    tokens,
};
use crate::LogSource;

/// How much of one tenant is listed, so that the page stays one that can be opened. What is left out
/// is counted; the JSON report has all.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Tokens.
    pub(super) tokens: usize,
    /// Mailboxes that were reached.
    pub(super) mailboxes: usize,
    /// Groups of mailboxes that were not, each with what is known of them.
    pub(super) groups: usize,
    /// Messages, and folders, of one mailbox.
    pub(super) messages: usize,
    /// Messages of the tenant.
    pub(super) all_messages: usize,
    /// Stretches of one timeline.
    pub(super) stretches: usize,
}

const ALONE: Limits = Limits {
    tokens: 200,
    mailboxes: 200,
    groups: 20,
    messages: 500,
    all_messages: 5_000,
    stretches: 100,
};

/// The report of one tenant as a page.
///
/// Everything from outside is escaped, and the page forbids itself scripts and all that would be fetched
/// (Content Security Policy), so that a name that a thief chose does nothing in the browser of whoever
/// is given it.
pub fn html(report: &BlastReport) -> String {
    let span = report.radius.span;
    let tenant = escaped(report.tenant.as_str());
    let body = format!(
        "<header>\n<h1>What was reached: {tenant}</h1>\n\
         <p class=\"soft\">From {} to {}. All times are UTC.</p>\n</header>\n{}{}",
        minute(span.from),
        minute(span.to),
        section(report, 2, ALONE),
        footer()
    );
    page(&format!("What was reached: {}", report.tenant), &body)
}

pub(super) fn footer() -> String {
    "<footer class=\"soft\"><p>Made by Mailkeep from the provider's logs and its own records. \
     <i>We</i> and <i>ours</i>: the operator of Mailkeep for this organisation, and the keys that its \
     mailboxes are backed up and watched with.</p></footer>\n"
        .to_owned()
}

/// What is said of one tenant; `level` is that of its headings.
pub(super) fn section(report: &BlastReport, level: u8, limits: Limits) -> String {
    let summary = report.summary();
    let heading = |text: &str| format!("<h{level}>{text}</h{level}>\n");
    [
        lead(report, &summary),
        figures(&summary),
        heading("Tokens in other hands"),
        tokens::list(&report.radius, limits),
        heading("Mailboxes over time"),
        mailboxes::list(&report.radius, level + 1, limits),
        heading("What is not known, and why"),
        unknown(report, &summary),
        heading("Until when the tokens work"),
        tokens::live(&report.radius),
        heading("What was done"),
        aftermath::done(report),
        heading("What to do next"),
        aftermath::next(report, &summary),
    ]
    .concat()
}

/// What happened, in two sentences.
fn lead(report: &BlastReport, summary: &BlastSummary) -> String {
    let class = match (summary.mailboxes_reached, summary.reached || summary.unattributed > 0) {
        (1.., _) => "accessed",
        (0, true) => "blind",
        (0, false) => "none",
    };
    let (first, second) = (happened(report, summary), still(report, summary));
    format!("<div class=\"lead {class}\"><p>{first} {second}</p></div>\n")
}

fn happened(report: &BlastReport, summary: &BlastSummary) -> String {
    let got = counted(summary.tokens as usize, "access token", "access tokens");
    if summary.mailboxes_reached == 0 {
        return match summary.tokens {
            0 => "Nothing in the logs that were read shows that anybody but us used our access."
                .to_owned(),
            _ => format!(
                "Somebody who is not us had {got} of our applications; the logs that were read show no \
                 mail read with it."
            ),
        };
    }
    let folders = match summary.folders as usize {
        0 => String::new(),
        count => format!(" and {} as a whole", counted(count, "folder", "folders")),
    };
    let when =
        first_and_last(report).map_or_else(String::new, |(first, last)| match first == last {
            true => format!(", at {}", minute(first)),
            false => format!(", between {} and {}", minute(first), minute(last)),
        });
    format!(
        "Somebody who is not us used {got} of our applications and read {}{folders} in {} of {}{when}.",
        counted(summary.messages as usize, "message", "messages"),
        number(summary.mailboxes_reached as usize),
        counted(summary.mailboxes as usize, "mailbox", "mailboxes"),
    )
}

/// When mail was first read, and when the last read had ended.
fn first_and_last(report: &BlastReport) -> Option<(time::OffsetDateTime, time::OffsetDateTime)> {
    let reaches = report.radius.mailboxes.values().flat_map(|reach| &reach.timeline);
    let accessed = reaches.filter(|stretch| stretch.state == crate::State::Accessed);
    let spans = accessed.map(|stretch| stretch.span);
    let first = spans.clone().map(|span| span.from).min()?;
    Some((first, spans.map(|span| span.to).max()?))
}

fn still(report: &BlastReport, summary: &BlastSummary) -> String {
    let now = report.radius.span.to;
    if let Some(until) = report.radius.live_until.filter(|until| *until > now) {
        return format!(
            "<b>A token may still work</b>: until {} at the latest, unless the application is disabled.",
            minute(until)
        );
    }
    let blind = match summary.blind {
        Some(share) if share > 0.0 => format!(
            "For {} of the time nobody can tell what happened; below it says when, and why.",
            percent(share)
        ),
        Some(_) => "The logs are complete for all of the time.".to_owned(),
        None => "No mailbox of this organisation is known yet.".to_owned(),
    };
    match summary.tokens {
        0 => blind,
        _ => format!("None of the tokens works any more; {}", lower_first(&blind)),
    }
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_lowercase().to_string()).unwrap_or_default();
    format!("{first}{}", chars.as_str())
}

pub(super) fn percent(share: f64) -> String {
    match share * 100.0 {
        some if some > 0.0 && some < 1.0 => "less than 1&nbsp;%".to_owned(),
        some if some < 100.0 && some > 99.0 => "more than 99&nbsp;%".to_owned(),
        some => format!("{some:.0}&nbsp;%"),
    }
}

fn figures(summary: &BlastSummary) -> String {
    let figure =
        |value: String, what: &str| format!("<li><b>{value}</b><span>{what}</span></li>\n");
    let of = format!(
        "{} of {}",
        number(summary.mailboxes_reached as usize),
        number(summary.mailboxes as usize)
    );
    format!(
        "<ul class=\"figures\">\n{}{}{}{}</ul>\n",
        figure(number(summary.tokens as usize), "tokens in other hands"),
        figure(of, "mailboxes in which mail was read"),
        figure(number(summary.messages as usize), "messages that are known to have been read"),
        figure(
            summary.blind.map_or_else(|| "–".to_owned(), percent),
            "of the time of which nobody can tell"
        ),
    )
}

/// Which logs this is known from, and what follows from those that are missing.
fn unknown(report: &BlastReport, summary: &BlastSummary) -> String {
    let tells = [
        "who got tokens as our applications",
        "which messages were read, with which token",
        "which requests were made with a token",
    ];
    let row = |((name, source), tells): ((&'static str, &LogSource), &str)| {
        let (read, until, settle) = match source {
            LogSource::Read { since, until, settle, holes } => (
                format!("since {}", moment(*since)),
                moment(*until),
                match holes.as_slice().len() {
                    0 => format!("records may take {}", long(settle.duration())),
                    many => format!(
                        "records may take {}; {} not understood",
                        long(settle.duration()),
                        counted(
                            many,
                            "stretch of time has records that are",
                            "stretches of time have records that are"
                        )
                    ),
                },
            ),
            LogSource::Absent { why } => {
                ("<b>not read</b>".to_owned(), "–".to_owned(), escaped(why))
            }
        };
        vec![name.to_owned(), tells.to_owned(), read, until, settle]
    };
    let rows: Vec<Vec<String>> = logs(&report.logs).into_iter().zip(tells).map(row).collect();
    let head = ["Log", "What it tells", "Read", "Last read", "Why something may be missing"];
    let mut out = "<p>A time is <i>blind</i> when no log that was read is complete for it. Blind does not \
                   mean that something was read; it means that nobody can rule it out. A log counts as complete \
                   between two uses of our own that both stand in it. The newest hours are blind until the \
                   provider has delivered its records.</p>\n"
        .to_owned();
    out.push_str(&table("logs", "The provider's logs", &head, &rows));
    if summary.unattributed > 0 {
        out.push_str(&format!(
            "<p>{} of mail cannot be put down to anybody, neither to us nor to somebody else. The time \
             around them is blind.</p>\n",
            counted(summary.unattributed as usize, "record of a read", "records of reads")
        ));
    }
    let folders = report.radius.mailboxes.values().any(|reach| !reach.folders.is_empty());
    if folders {
        out.push_str(
            "<p>Of a folder that was read as a whole the log names no messages: all that lay in it then \
             counts as read.</p>\n",
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_that_is_not_nothing_is_not_called_nothing() {
        assert_eq!(percent(0.001), "less than 1&nbsp;%");
        assert_eq!(percent(0.0), "0&nbsp;%");
        assert_eq!(percent(0.9999), "more than 99&nbsp;%");
        assert_eq!(percent(1.0), "100&nbsp;%");
    }
}
