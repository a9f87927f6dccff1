use std::time::Instant;

use serde::Serialize;

/// What a drill came to.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    drill: String,
    expectations: Vec<Expectation>,
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

/// When something happened, since the theft.
#[derive(Debug, Serialize)]
struct Moment {
    seconds: f64,
    what: &'static str,
}

impl Report {
    pub(super) fn new(drill: String) -> Self {
        let (expectations, timeline) = (Vec::new(), Vec::new());
        Self { drill, expectations, timeline, begun: Instant::now() }
    }

    /// The clock of the timeline starts.
    pub(super) fn begin(&mut self, what: &'static str) {
        self.begun = Instant::now();
        self.at(what);
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
        lines.push("\nseconds since the first theft".to_owned());
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
