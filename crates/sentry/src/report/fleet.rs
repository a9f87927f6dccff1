//! Many tenants on one page.

use mailkeep_model::TenantName;
use time::OffsetDateTime;

use super::{
    BlastReport, BlastSummary,
    html::{Limits, footer, percent, section},
    markup::{counted, escaped, minute, number, page, table},
};

/// Tenants that have a section of their own on the page: the worst. The others are in the summary.
pub const MOST_SECTIONS: usize = 200;

/// Smaller than that of a page for one, which there is for each tenant as well.
const AMONG_MANY: Limits = Limits {
    tokens: 50,
    mailboxes: 20,
    groups: 3,
    messages: 100,
    all_messages: 300,
    stretches: 30,
};

/// A page that is made while the tenants are gone through. However many there are, it keeps of each a
/// line, and of the worst a section.
#[derive(Debug)]
pub struct FleetPage {
    until: OffsetDateTime,
    since: Option<OffsetDateTime>,
    reached: Vec<(BlastSummary, String)>,
    others: Vec<BlastSummary>,
    failed: Vec<(TenantName, String)>,
}

impl FleetPage {
    /// A page about the time from `since`, or from the beginning of each tenant, until `until`.
    pub fn new(since: Option<OffsetDateTime>, until: OffsetDateTime) -> Self {
        Self { until, since, reached: Vec::new(), others: Vec::new(), failed: Vec::new() }
    }

    /// One more tenant.
    pub fn add(&mut self, report: &BlastReport) {
        let summary = report.summary();
        if !summary.reached {
            self.others.push(summary);
            return;
        }
        self.reached.push((summary, section(report, 3, AMONG_MANY)));
        if self.reached.len().is_multiple_of(2 * MOST_SECTIONS) {
            self.keep_the_worst();
        }
    }

    /// One whose report could not be made, and why.
    pub fn add_failed(&mut self, tenant: TenantName, why: String) {
        self.failed.push((tenant, why));
    }

    /// Sorted, and of those behind the worst the line alone.
    fn keep_the_worst(&mut self) {
        self.reached.sort_by_cached_key(|(summary, _)| (summary.rank(), summary.tenant.clone()));
        for (_, section) in self.reached.iter_mut().skip(MOST_SECTIONS) {
            *section = String::new();
        }
    }

    /// The page.
    pub fn html(mut self) -> String {
        self.keep_the_worst();
        self.others.sort_by_cached_key(|summary| (summary.rank(), summary.tenant.clone()));
        let reached = self.reached.len();
        let all = reached + self.others.len() + self.failed.len();
        let since = match self.since {
            Some(since) => format!("From {}", minute(since)),
            None => "From when each organisation was added".to_owned(),
        };
        let mut body = format!(
            "<header>\n<h1>What was reached: all organisations</h1>\n<p class=\"soft\">{since} to {}. All times \
             are UTC.</p>\n</header>\n{}",
            minute(self.until),
            self.lead(all)
        );
        body.push_str("<h2>Organisations</h2>\n");
        body.push_str(&self.summary());
        if reached > MOST_SECTIONS {
            body.push_str(&format!(
                "<p>The {MOST_SECTIONS} worst have a section below; of the others, ask for a report of their own.</p>\n"
            ));
        }
        for (place, (summary, section)) in self.reached.iter().enumerate() {
            if section.is_empty() {
                continue;
            }
            let tenant = escaped(summary.tenant.as_str());
            body.push_str(&format!(
                "<section class=\"tenant\" id=\"t{place}\">\n<h2>{tenant}</h2>\n{section}</section>\n"
            ));
        }
        body.push_str(&footer());
        page("What was reached: all organisations", &body)
    }

    fn lead(&self, all: usize) -> String {
        let reached = self.reached.len();
        let read = self.reached.iter().filter(|(one, _)| one.mailboxes_reached > 0).count();
        let class = match (read, reached + self.failed.len()) {
            (1.., _) => "accessed",
            (0, 1..) => "blind",
            (0, 0) => "none",
        };
        let first = match reached {
            0 => format!(
                "Of {}, none is known to have been reached.",
                counted(all, "organisation", "organisations")
            ),
            _ => format!(
                "Of {}, {} had tokens in the hands of somebody else, and in {} mail was read.",
                counted(all, "organisation", "organisations"),
                number(reached),
                number(read)
            ),
        };
        let second = match self.failed.len() {
            0 => String::new(),
            count => format!(
                " <b>Of {} nothing can be said</b>: the report could not be made.",
                counted(count, "organisation", "organisations")
            ),
        };
        format!("<div class=\"lead {class}\"><p>{first}{second}</p></div>\n")
    }

    fn summary(&self) -> String {
        let mut rows = Vec::with_capacity(self.reached.len() + self.others.len());
        for (place, (summary, section)) in self.reached.iter().enumerate() {
            let tenant = escaped(summary.tenant.as_str());
            rows.push(self.row(
                summary,
                match section.is_empty() {
                    true => tenant,
                    false => format!("<a href=\"#t{place}\">{tenant}</a>"),
                },
            ));
        }
        for (tenant, why) in &self.failed {
            let mut row =
                vec![escaped(tenant.as_str()), format!("<b>no report</b>: {}", escaped(why))];
            row.resize(7, String::new());
            rows.push(row);
        }
        rows.extend(self.others.iter().map(|one| self.row(one, escaped(one.tenant.as_str()))));
        let head = [
            "Organisation",
            "What is known",
            "Tokens",
            "Mailboxes",
            "Messages",
            "Blind",
            "Tokens work until",
        ];
        table("summary", "Those reached come first", &head, &rows)
    }

    fn row(&self, summary: &BlastSummary, tenant: String) -> Vec<String> {
        let known = match (summary.mailboxes_reached, summary.reached, summary.unattributed) {
            (1.., ..) => "<span class=\"state-accessed\">mail was read</span>",
            (0, true, _) => "somebody else had a token",
            (0, false, 1..) => "reads that nobody can be named for",
            (0, false, 0) => "nobody else is seen",
        };
        let live = match summary.live_until {
            Some(until) if until > self.until => format!("<b>{}</b>", minute(until)),
            Some(_) => "ended".to_owned(),
            None => "–".to_owned(),
        };
        vec![
            tenant,
            known.to_owned(),
            number(summary.tokens as usize),
            format!(
                "{} of {}",
                number(summary.mailboxes_reached as usize),
                number(summary.mailboxes as usize)
            ),
            number(summary.messages as usize),
            summary.blind.map_or_else(|| "–".to_owned(), percent),
            live,
        ]
    }
}
