//! What the test runners counted.

use std::ops::Add;

/// How a test that cannot run here says so, on a line of its own.
const SKIPPED: &str = "skipped, because";

/// Outcomes of tests.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Counts {
    pub(crate) passed: usize,
    pub(crate) failed: Vec<String>,
    pub(crate) skipped: Vec<Skipped>,
}

/// A test that did nothing, and why.
#[derive(Debug, PartialEq)]
pub(crate) struct Skipped {
    pub(crate) name: String,
    pub(crate) reason: String,
}

impl Add for Counts {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        self.passed += other.passed;
        self.failed.extend(other.failed);
        self.skipped.extend(other.skipped);
        self
    }
}

/// Reads nextest's report (JUnit's XML, as quick-junit writes it: one `<testcase` a test, its
/// output inside).
pub(crate) fn of_junit(report: &str) -> Counts {
    let mut counts = Counts::default();
    for case in report.split("<testcase ").skip(1) {
        let case = case.split("</testcase>").next().unwrap_or(case);
        let (tag, _) = case.split_once('>').unwrap_or((case, ""));
        let attribute = |name: &str| {
            let (_, rest) = tag.split_once(&format!("{name}=\""))?;
            rest.split_once('"').map(|(value, _)| value)
        };
        let class = attribute("classname").unwrap_or_default();
        let name = format!("{class} {}", attribute("name").unwrap_or_default());
        if case.contains("<failure") || case.contains("<error") {
            counts.failed.push(name);
        } else if let Some(reason) = reason_in(case) {
            counts.skipped.push(Skipped { name, reason });
        } else {
            counts.passed += 1;
        }
    }
    counts
}

/// Reads the summaries of the standard test harness.
pub(crate) fn of_libtest(output: &str) -> Counts {
    let mut counts = Counts::default();
    for line in output.lines().filter(|line| line.starts_with("test result: ")) {
        let number = |what: &str| {
            let before = line.split_once(what).map_or("", |(before, _)| before);
            before.trim_end().rsplit(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0)
        };
        counts.passed += number("passed");
        counts.failed.extend((0..number("failed")).map(|_| "a doc test".to_owned()));
        let ignored = |_| Skipped { name: "a doc test".into(), reason: "ignored".into() };
        counts.skipped.extend((0..number("ignored")).map(ignored));
    }
    counts
}

fn reason_in(case: &str) -> Option<String> {
    let (_, rest) = case.split_once(SKIPPED)?;
    let line = rest.lines().next().unwrap_or_default();
    Some(line.split('<').next().unwrap_or_default().trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_that_did_nothing_is_not_counted_as_passed() {
        let report = r#"<testsuites tests="3"><testsuite name="mailkeep::real_mail">
            <testcase name="all" classname="mailkeep::real_mail" time="0.1">
                <system-err>skipped, because the data is not here
more</system-err>
            </testcase>
            <testcase name="one" classname="vault" time="0.1">
            </testcase>
            <testcase name="two" classname="vault"><failure type="test failure">x</failure></testcase>
        </testsuite></testsuites>"#;
        let counts = of_junit(report);
        assert_eq!(counts.passed, 1);
        assert_eq!(counts.failed, ["vault two"]);
        let reason = "the data is not here".to_owned();
        assert_eq!(counts.skipped, [Skipped { name: "mailkeep::real_mail all".into(), reason }]);
    }

    #[test]
    fn doc_tests_are_counted_over_all_crates() {
        let output = "test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured\n\n\
                      test result: FAILED. 3 passed; 1 failed; 0 ignored; 0 measured\n";
        let counts = of_libtest(output);
        assert_eq!((counts.passed, counts.failed.len(), counts.skipped.len()), (5, 1, 1));
    }
}
