use std::time::Instant;

use serde::Serialize;

/// What a drill came to.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    drill: String,
    expectations: Vec<Expectation>,
    /// What the timeline's seconds are counted from.
    since: &'static str,
    timeline: Vec<Moment>,
    #[serde(skip)]
    begun: Instant,
}

/// Something that should be so, and what was seen.
#[derive(Debug, Serialize)]
struct Expectation {
    what: &'static str,
    held: bool,
    seen: String,
}

/// When something happened, since it began.
#[derive(Debug, Serialize)]
struct Moment {
    seconds: f64,
    what: &'static str,
}

impl Report {
    pub(super) fn new(drill: String) -> Self {
        let (expectations, timeline) = (Vec::new(), Vec::new());
        let since = "the first theft";
        Self { drill, expectations, since, timeline, begun: Instant::now() }
    }

    /// The clock of the timeline starts.
    pub(super) fn begin(&mut self, what: &'static str) {
        self.begun = Instant::now();
        self.at(what);
    }

    /// What it is that began, when that is no theft.
    pub(super) fn since(&mut self, what: &'static str) {
        self.since = what;
    }

    pub(super) fn at(&mut self, what: &'static str) {
        self.timeline.push(Moment { seconds: self.begun.elapsed().as_secs_f64(), what });
    }

    pub(super) fn expect(&mut self, what: &'static str, held: bool, seen: impl Into<String>) {
        self.expectations.push(Expectation { what, held, seen: seen.into() });
    }

    pub(super) fn holds(&self) -> bool {
        !self.expectations.is_empty() && self.expectations.iter().all(|one| one.held)
    }

    pub(super) fn text(&self) -> String {
        let mut lines = Vec::new();
        for one in &self.expectations {
            let mark = if one.held { "held  " } else { "FAILED" };
            lines.push(format!("{mark}  {}\n          seen: {}", one.what, one.seen));
        }
        lines.push(format!("\nseconds since {}", self.since));
        for moment in &self.timeline {
            lines.push(format!("{:>8.1}  {}", moment.seconds, moment.what));
        }
        let failed = self.expectations.iter().filter(|one| !one.held).count();
        lines.push(match failed {
            0 => format!("\n{}: all {} expectations held", self.drill, self.expectations.len()),
            _ => format!(
                "\n{}: {failed} of {} expectations did not hold",
                self.drill,
                self.expectations.len()
            ),
        });
        lines.join("\n")
    }
}
