use std::collections::BTreeMap;

use mailkeep_model::{Category, Finding, Severity, Verdict, VerdictKind};

use Severity::{High, Low, Medium};

/// What a finding weighs and which verdict it leads to when it stands alone. The same table is in
/// the crate's documentation; a test holds the two together.
const WEIGHTS: &[(&str, Severity, f64, VerdictKind)] = &[
    ("attachment-container", Medium, 0.50, VerdictKind::Suspicious),
    ("attachment-container", High, 0.80, VerdictKind::Suspicious),
    ("attachment-encrypted", Low, 0.10, VerdictKind::Clean),
    ("attachment-encrypted", Medium, 0.50, VerdictKind::Suspicious),
    ("attachment-html", Low, 0.05, VerdictKind::Clean),
    ("attachment-html", Medium, 0.50, VerdictKind::Suspicious),
    ("attachment-html", High, 0.90, VerdictKind::Malicious),
    ("attachment-known", High, 0.99, VerdictKind::Malicious),
    ("attachment-link", Low, 0.05, VerdictKind::Clean),
    ("attachment-link", Medium, 0.50, VerdictKind::Suspicious),
    ("attachment-link", High, 0.90, VerdictKind::Malicious),
    ("attachment-macro", Low, 0.10, VerdictKind::Clean),
    ("attachment-macro", Medium, 0.50, VerdictKind::Suspicious),
    ("attachment-macro", High, 0.90, VerdictKind::Malicious),
    ("attachment-name", Low, 0.05, VerdictKind::Clean),
    ("attachment-name", High, 0.95, VerdictKind::Malicious),
    ("attachment-object", Low, 0.05, VerdictKind::Clean),
    ("attachment-object", Medium, 0.50, VerdictKind::Suspicious),
    ("attachment-object", High, 0.90, VerdictKind::Malicious),
    ("attachment-pdf", Low, 0.05, VerdictKind::Clean),
    ("attachment-pdf", Medium, 0.50, VerdictKind::Suspicious),
    ("attachment-pdf", High, 0.90, VerdictKind::Malicious),
    ("attachment-program", Low, 0.05, VerdictKind::Clean),
    ("attachment-program", Medium, 0.50, VerdictKind::Suspicious),
    ("attachment-program", High, 0.80, VerdictKind::Suspicious),
    ("brand-claim", Low, 0.10, VerdictKind::Clean),
    ("brand-claim", Medium, 0.30, VerdictKind::Clean),
    ("brand-claim", High, 0.60, VerdictKind::Suspicious),
    ("feed-match", Medium, 0.80, VerdictKind::Suspicious),
    ("feed-match", High, 0.95, VerdictKind::Malicious),
    ("form-password", High, 0.70, VerdictKind::Suspicious),
    ("impersonation", Low, 0.10, VerdictKind::Clean),
    ("impersonation", Medium, 0.50, VerdictKind::Suspicious),
    ("impersonation", High, 0.80, VerdictKind::Suspicious),
    ("inbox-rule", Low, 0.05, VerdictKind::Clean),
    ("inbox-rule", Medium, 0.50, VerdictKind::Suspicious),
    ("inbox-rule", High, 0.80, VerdictKind::Suspicious),
    ("link-address", Medium, 0.30, VerdictKind::Clean),
    ("link-address", High, 0.45, VerdictKind::Clean),
    ("link-code", Medium, 0.30, VerdictKind::Clean),
    ("link-code", High, 0.60, VerdictKind::Suspicious),
    ("link-place", Low, 0.05, VerdictKind::Clean),
    ("link-place", Medium, 0.30, VerdictKind::Clean),
    ("link-place", High, 0.45, VerdictKind::Clean),
    ("link-recipient", Medium, 0.40, VerdictKind::Clean),
    ("link-redirects", Medium, 0.50, VerdictKind::Suspicious),
    ("look-alike-host", Low, 0.10, VerdictKind::Clean),
    ("look-alike-host", Medium, 0.30, VerdictKind::Clean),
    ("look-alike-host", High, 0.60, VerdictKind::Suspicious),
    ("lure", Low, 0.10, VerdictKind::Clean),
    ("lure", Medium, 0.35, VerdictKind::Clean),
    ("lure", High, 0.50, VerdictKind::Suspicious),
    ("message-limit", Medium, 0.50, VerdictKind::Suspicious),
    ("payment-wording", Low, 0.05, VerdictKind::Clean),
    ("payment-wording", Medium, 0.20, VerdictKind::Clean),
    ("picture-link", Medium, 0.40, VerdictKind::Clean),
    ("reply-elsewhere", Medium, 0.25, VerdictKind::Clean),
    ("rule-match", Low, 0.05, VerdictKind::Clean),
    ("rule-match", Medium, 0.50, VerdictKind::Suspicious),
    ("rule-match", High, 0.95, VerdictKind::Malicious),
    ("scam", Low, 0.10, VerdictKind::Clean),
    ("scam", Medium, 0.35, VerdictKind::Clean),
    ("scam", High, 0.60, VerdictKind::Suspicious),
    ("sender-host", Medium, 0.30, VerdictKind::Clean),
    ("takeover", Low, 0.10, VerdictKind::Clean),
    ("takeover", Medium, 0.40, VerdictKind::Clean),
    ("text-hidden", Medium, 0.30, VerdictKind::Clean),
    ("text-hidden", High, 0.60, VerdictKind::Suspicious),
    ("text-look-alike", Medium, 0.30, VerdictKind::Clean),
    ("text-look-alike", High, 0.60, VerdictKind::Suspicious),
    ("text-spaced", High, 0.60, VerdictKind::Suspicious),
    ("link-stranger", Medium, 0.25, VerdictKind::Clean),
    ("exact-match", High, 0.50, VerdictKind::Sensitive),
    ("identifier", Low, 0.05, VerdictKind::Clean),
    ("identifier", Medium, 0.30, VerdictKind::Sensitive),
    ("identifier", High, 0.50, VerdictKind::Sensitive),
    ("key-phrase", Low, 0.05, VerdictKind::Clean),
    ("key-phrase", Medium, 0.30, VerdictKind::Sensitive),
    ("link-text-mismatch", Low, 0.05, VerdictKind::Clean),
    ("link-text-mismatch", Medium, 0.50, VerdictKind::Suspicious),
    ("link-text-mismatch", High, 0.80, VerdictKind::Suspicious),
    ("link-user-info", Medium, 0.60, VerdictKind::Suspicious),
    ("link-user-info", High, 0.95, VerdictKind::Malicious),
    ("payment-card", Low, 0.05, VerdictKind::Clean),
    ("payment-card", Medium, 0.30, VerdictKind::Sensitive),
    ("payment-card", High, 0.50, VerdictKind::Sensitive),
    ("secret", Low, 0.05, VerdictKind::Clean),
    ("secret", Medium, 0.30, VerdictKind::Sensitive),
    ("secret", High, 0.50, VerdictKind::Sensitive),
];

/// All findings of low severity together add no more than this.
const LOW_CAP: f64 = 0.2;

/// Harm of this and above makes a message suspicious, whatever it adds up from.
const SUSPICIOUS: f64 = 0.5;
/// Harm of this and above makes it malicious: no fewer than three things that say so.
const MALICIOUS: f64 = 0.95;
/// Sensitive content by itself is no harm that was done: its score ends here.
const SENSITIVE_CAP: f64 = 0.49;

/// What the findings come to.
pub(crate) fn combine(findings: Vec<Finding>, not_inspected: Vec<String>) -> Verdict {
    let mut verdict = VerdictKind::Clean;
    let mut harm = Sum::default();
    let mut sensitive = Sum::default();
    for finding in &findings {
        let Some((weight, kind)) = weigh(finding) else { continue };
        verdict = verdict.max(kind);
        match finding.category {
            Category::Sensitive => sensitive.add(finding, weight),
            _ => harm.add(finding, weight),
        }
    }
    let harm = harm.score();
    verdict = verdict.max(match harm {
        MALICIOUS.. => VerdictKind::Malicious,
        SUSPICIOUS.. => VerdictKind::Suspicious,
        _ => VerdictKind::Clean,
    });
    let score = harm.max(sensitive.score().min(SENSITIVE_CAP));
    Verdict { verdict, score, findings, not_inspected }
}

/// Low findings and the others, each distinct thing with its greatest weight. Ordered, so that the
/// product is the same on every machine.
#[derive(Default)]
struct Sum<'f> {
    weights: [BTreeMap<(&'f str, &'f str, &'f str), f64>; 2],
}

impl<'f> Sum<'f> {
    fn add(&mut self, finding: &'f Finding, weight: f64) {
        let seen = self.weights[usize::from(finding.severity != Low)]
            .entry((finding.detector.as_str(), finding.entity.as_str(), distinct(finding)))
            .or_insert(0.0_f64);
        *seen = seen.max(weight);
    }

    fn score(&self) -> f64 {
        let innocent = |weights: &BTreeMap<_, f64>| {
            weights.values().map(|weight| 1.0 - weight).product::<f64>()
        };
        let score =
            1.0 - innocent(&self.weights[1]) * innocent(&self.weights[0]).max(1.0 - LOW_CAP);
        // Four decimals: what is beyond is an accident of floating point.
        (score * 10_000.0).round() / 10_000.0
    }
}

fn weigh(finding: &Finding) -> Option<(f64, VerdictKind)> {
    WEIGHTS
        .iter()
        .find(|(detector, severity, ..)| {
            *detector == finding.detector && *severity == finding.severity
        })
        .map(|&(.., weight, kind)| (weight, kind))
}

/// What tells two findings of one entity apart: for sensitive values the mark in the evidence;
/// links are told apart by their entity, the target.
fn distinct(finding: &Finding) -> &str {
    match finding.category {
        Category::Sensitive => &finding.evidence,
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detectors::DETECTORS;

    fn finding(detector: &str, severity: Severity, entity: &str) -> Finding {
        Finding {
            detector: detector.into(),
            category: Category::Link,
            entity: entity.into(),
            severity,
            field: "body.html".into(),
            start: 0,
            end: 1,
            evidence: String::new(),
        }
    }

    #[test]
    fn the_documented_table_is_the_one_that_is_used() {
        let documentation = include_str!("lib.rs");
        for (detector, severity, weight, verdict) in WEIGHTS {
            let severity = format!("{severity:?}").to_lowercase();
            let row =
                format!("//! | `{detector}` | {severity} | {weight:.2} | {} |", verdict.as_str());
            assert!(documentation.contains(&row), "missing: {row}");
        }
        assert_eq!(documentation.matches("//! | `").count(), WEIGHTS.len());
    }

    #[test]
    fn no_detector_reports_into_the_void() {
        for detector in DETECTORS {
            assert!(WEIGHTS.iter().any(|(name, ..)| *name == detector.name), "{}", detector.name);
        }
    }

    #[test]
    fn one_link_repeated_counts_once_and_two_links_count_more() {
        let one = finding("link-text-mismatch", Medium, "evil.example");
        let once = combine(vec![one.clone()], vec![]);
        assert_eq!((once.verdict, once.score), (VerdictKind::Suspicious, 0.5));
        assert_eq!(combine(vec![one.clone(); 50], vec![]).score, 0.5);
        let other = finding("link-text-mismatch", Medium, "bad.example");
        assert_eq!(combine(vec![one, other], vec![]).score, 0.75);
    }

    #[test]
    fn many_low_findings_do_not_make_a_message_bad() {
        let low = |n: usize| finding("link-text-mismatch", Low, &format!("tracker{n}.example"));
        let verdict = combine((0..100).map(low).collect(), vec![]);
        assert_eq!((verdict.verdict, verdict.score), (VerdictKind::Clean, 0.2));
    }
}
