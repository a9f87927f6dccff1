//! What a restore came to: for programs, and for people.

use std::collections::BTreeMap;

use mailkeep_service::{RestoreOutcome, RestoreReport, RestoreStop, RestoredItem};
use serde_json::{Value, json};

use super::browse::{minute, rfc3339};
use crate::output::{bytes, plain};

/// Reasons that are told one by one to people, and items that are named with each. What failed is
/// always named; JSON has everything.
const REASONS: usize = 12;
const EXAMPLES: usize = 3;

/// What became of items, in the order in which it is told: the word in JSON, and the words for
/// people, of what was done and of what would be.
const OUTCOMES: [(&str, &str, &str); 4] = [
    ("created", "made", "to be made"),
    ("replaced", "replaced", "to be replaced"),
    ("updated", "set back", "to be set back"),
    ("present", "already there", "already there"),
];

/// Whether a restore was carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tense {
    Done,
    /// A dry run.
    Would,
}

pub(super) fn item_json(item: &RestoredItem) -> Value {
    let mut value = json!({
        "item": item.item,
        "kind": item.kind,
        "mailbox": item.mailbox,
        "folder": item.folder,
        "outcome": item.outcome.as_str(),
    });
    if let RestoreOutcome::Failed(error) = &item.outcome {
        value["error"] = json!(error);
    }
    if let Some(made) = &item.made {
        value["made"] = json!(made);
    }
    if !item.lost.is_empty() {
        value["lost"] = json!(item.lost);
    }
    value
}

pub(super) fn json_of(report: &RestoreReport, tense: Tense) -> Value {
    json!({
        "tenant": report.tenant,
        "snapshot": report.snapshot,
        "taken": rfc3339(report.taken),
        "dry_run": tense == Tense::Would,
        "created": report.count("created"),
        "replaced": report.count("replaced"),
        "updated": report.count("updated"),
        "present": report.count("present"),
        "failed": report.count("failed"),
        "not_tried": report.count("not_tried"),
        "stopped": report.stopped.as_ref().map(stopped),
        "problems": report.problems,
        "folders_created": report.folders_created,
        "bytes": report.bytes,
        "requests": report.requests,
        "throttled": report.throttled,
        "seconds": report.seconds,
    })
}

/// Why it ended early, on one line.
fn stopped(stop: &RestoreStop) -> String {
    match stop {
        RestoreStop::Interrupted => "interrupted".into(),
        RestoreStop::Failed(why) => plain(why),
        other => format!("{other:?}"),
    }
}

/// What failed comes first and whole; what came back without something is told by reason, so that
/// hundreds of meetings without their attendees do not hide the one message that is missing.
pub(super) fn summary(report: &RestoreReport, tense: Tense) -> String {
    let mut lines = vec![headline(report, tense)];
    if let Some(stop) = &report.stopped {
        lines.push(format!("it did NOT come to its end: {}", stopped(stop)));
    }
    lines.extend(report.problems.iter().map(|problem| format!("trouble: {}", plain(problem))));
    for item in &report.items {
        if let RestoreOutcome::Failed(error) = &item.outcome {
            let verb = if tense == Tense::Would { "cannot be restored" } else { "NOT restored" };
            lines.push(format!("{verb}: {}: {}", place_of(item), plain(error)));
        }
    }
    if tense == Tense::Done {
        let begin = "the same command";
        match (report.count("failed"), report.count("not_tried") > 0 || report.stopped.is_some()) {
            (0, false) => {}
            (_, false) => {
                lines.push(format!("{begin} tries again what failed, and makes nothing twice"));
            }
            (0, true) => lines.push(format!("{begin} goes on from there, and makes nothing twice")),
            (_, true) => lines.push(format!(
                "{begin} goes on from there, tries again what failed, and makes nothing twice"
            )),
        }
    }
    let mut folders: Vec<&String> = Vec::new();
    for folder in &report.folders_created {
        if !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    let verb = if tense == Tense::Would { "would make" } else { "made" };
    lines.extend(folders.iter().map(|folder| format!("{verb} the folder {}", plain(folder))));
    lines.extend(losses(&report.items));
    lines.join("\n")
}

fn headline(report: &RestoreReport, tense: Tense) -> String {
    let snapshot = &report.snapshot[..report.snapshot.len().min(8)];
    let begin = match tense {
        Tense::Done => "restored",
        Tense::Would => "a dry run, nothing was written: what would be done",
    };
    let mut counts: Vec<String> = OUTCOMES
        .iter()
        .filter_map(|(outcome, done, would)| {
            let count = report.count(outcome);
            let words = if tense == Tense::Done { done } else { would };
            (count > 0).then(|| format!("{count} {words}"))
        })
        .collect();
    let failed = report.count("failed");
    if failed > 0 {
        counts.push(format!("{failed} FAILED"));
    }
    let left = report.count("not_tried");
    if left > 0 {
        counts.push(format!("{left} NOT TRIED"));
    }
    if counts.is_empty() {
        counts.push("no items".into());
    }
    let cost = match tense {
        Tense::Done => format!("{}, ", bytes(report.bytes)),
        Tense::Would => String::new(),
    };
    format!(
        "{begin}, from snapshot {snapshot} ({}): {}; {cost}{} requests, {:.1} s",
        minute(report.taken),
        counts.join(", "),
        report.requests,
        report.seconds,
    )
}

fn place_of(item: &RestoredItem) -> String {
    format!("{}, in {}:{}", name_of(item), item.mailbox, plain(&item.folder))
}

fn name_of(item: &RestoredItem) -> String {
    format!("{} '{}'", item.item, plain(&item.subject))
}

/// Items that came back without something, by what that is; the most frequent first.
fn losses(items: &[RestoredItem]) -> Vec<String> {
    let restored = |item: &&RestoredItem| !matches!(item.outcome, RestoreOutcome::Failed(_));
    let mut reasons: BTreeMap<String, Vec<(&RestoredItem, &str)>> = BTreeMap::new();
    let mut count = 0;
    for item in items.iter().filter(restored).filter(|item| !item.lost.is_empty()) {
        count += 1;
        for reason in &item.lost {
            let same = reasons.entry(without_numbers(reason)).or_default();
            if same.last().is_none_or(|(last, _)| !std::ptr::eq(*last, item)) {
                same.push((item, reason));
            }
        }
    }
    if count == 0 {
        return Vec::new();
    }
    let mut reasons: Vec<_> = reasons.into_iter().collect();
    reasons.sort_by_key(|(_, items)| std::cmp::Reverse(items.len()));
    let mut lines = vec![format!("restored, but not with everything ({count} items):")];
    for (general, items) in reasons.iter().take(REASONS) {
        let first = items.first().map_or("", |(_, reason)| reason);
        let reason = if items.iter().all(|(_, one)| *one == first) { first } else { general };
        let named: Vec<_> = items.iter().take(EXAMPLES).map(|(item, _)| name_of(item)).collect();
        let more = match items.len().saturating_sub(EXAMPLES) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        lines.push(format!("{:>5} × {}", items.len(), plain(reason)));
        lines.push(format!("        {}{more}", named.join(", ")));
    }
    if reasons.len() > REASONS {
        lines.push(format!("      … and {} other reasons", reasons.len() - REASONS));
    }
    if reasons.len() > REASONS || reasons.iter().any(|(_, items)| items.len() > EXAMPLES) {
        lines.push("      (--json tells it of each item)".into());
    }
    lines
}

/// A reason without what differs from item to item: days and counts.
fn without_numbers(reason: &str) -> String {
    let mut general = String::with_capacity(reason.len());
    let mut in_number = false;
    for c in reason.chars() {
        if c.is_ascii_digit() {
            if !in_number {
                general.push('…');
            }
            in_number = true;
        } else if !(in_number && c == '-') {
            in_number = false;
            general.push(c);
        }
    }
    general
}

#[cfg(test)]
mod tests {
    use mailkeep_model::ItemKind;
    use time::OffsetDateTime;

    use super::*;

    fn item(subject: &str, outcome: RestoreOutcome, lost: &[&str]) -> RestoredItem {
        RestoredItem {
            item: "7f3a9c2kd0qm".parse().unwrap(),
            kind: ItemKind::Event,
            subject: subject.to_owned(),
            mailbox: "ann@acme.example".parse().unwrap(),
            folder: "Calendar".to_owned(),
            outcome,
            made: None,
            lost: lost.iter().map(|one| (*one).to_owned()).collect(),
        }
    }

    fn report(items: Vec<RestoredItem>) -> RestoreReport {
        RestoreReport {
            tenant: "acme".parse().unwrap(),
            snapshot: "0123456789abcdef".to_owned(),
            taken: OffsetDateTime::UNIX_EPOCH,
            items,
            folders_created: vec!["ann@acme.example:Back".to_owned(); 3],
            bytes: 0,
            requests: 7,
            throttled: 0,
            seconds: 1.0,
            stopped: None,
            problems: vec![],
        }
    }

    fn with_failures_behind_losses() -> RestoreReport {
        let mut items: Vec<_> = (0..300)
            .map(|number| {
                let subject = format!("meeting {number}");
                item(&subject, RestoreOutcome::Created, &["its attendees: they would be invited"])
            })
            .collect();
        for number in 0..40 {
            let failed = RestoreOutcome::Failed(format!("no room\x1b[2J for {number}"));
            items.push(item(&format!("message {number}"), failed, &["a loss of what failed"]));
        }
        report(items)
    }

    #[test]
    fn what_failed_is_named_first_and_whole_however_much_came_back_with_losses() {
        let text = summary(&with_failures_behind_losses(), Tense::Done);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].contains("300 made, 40 FAILED"), "{text}");
        for number in 0..40 {
            let line = lines[1 + number];
            let begin = format!(
                "NOT restored: 7f3a9c2kd0qm 'message {number}', in ann@acme.example:Calendar: no room"
            );
            assert!(line.starts_with(&begin), "{line}");
        }
        assert!(lines[41].contains("the same command"), "{text}");
        assert_eq!(lines.iter().filter(|line| line.contains("the folder")).count(), 1, "{text}");
        assert!(!text.contains('\x1b') && !text.contains("a loss of what failed"), "{text}");
        let dry = summary(&with_failures_behind_losses(), Tense::Would);
        assert!(dry.starts_with("a dry run, nothing was written"), "{dry}");
        assert!(dry.contains("300 to be made") && dry.contains("cannot be restored: 7f3"), "{dry}");
        assert!(dry.contains("would make the folder") && !dry.contains("the same command"));
    }

    #[test]
    fn losses_are_counted_by_reason_instead_of_filling_the_screen() {
        let lost = |lost: &[&str]| item("one", RestoreOutcome::Created, lost);
        let day = |day: &str| format!("that the occurrence of {day} was deleted: refused");
        let two = [day("2026-03-01"), day("2026-03-08")];
        let report = report(vec![
            lost(&["its attendees"]),
            lost(&[two[0].as_str(), two[1].as_str(), "its attendees"]),
            lost(&[day("2025-01-09").as_str()]),
            lost(&["its attendees"]),
            lost(&["its attendees"]),
            lost(&[]),
        ]);
        let text = summary(&report, Tense::Done);
        let lines: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(lines[0], "restored, but not with everything (5 items):");
        assert_eq!(lines[1], "    4 × its attendees");
        let named = ["7f3a9c2kd0qm 'one'"; 3].join(", ");
        assert_eq!(lines[2].trim(), format!("{named} and 1 more"));
        assert_eq!(lines[3], "    2 × that the occurrence of … was deleted: refused");
        assert_eq!(lines.len(), 6, "{text}");
    }

    #[test]
    fn a_restore_that_was_cut_off_does_not_look_like_one_that_came_to_its_end() {
        let items = || {
            vec![
                item("one", RestoreOutcome::Created, &[]),
                item("two", RestoreOutcome::NotTried, &[]),
                item("three", RestoreOutcome::NotTried, &[]),
            ]
        };
        let why = "the provider is gone\x1b[2J".to_owned();
        for (stop, words) in [
            (RestoreStop::Interrupted, "NOT come to its end: interrupted"),
            (RestoreStop::Failed(why), "NOT come to its end: the provider is gone [2J"),
        ] {
            let mut cut = report(items());
            cut.stopped = Some(stop);
            cut.problems = vec!["the key that writes could not be destroyed".into()];
            let text = summary(&cut, Tense::Done);
            assert!(text.contains("1 made, 2 NOT TRIED") && text.contains(words), "{text}");
            assert!(text.contains("trouble: the key that writes"), "{text}");
            assert!(text.contains("the same command goes on from there"), "{text}");
            let value = json_of(&cut, Tense::Done);
            assert_eq!(value["not_tried"], 2);
            assert!(value["stopped"].is_string() && value["problems"].is_array(), "{value}");
        }
    }

    #[test]
    fn a_restore_of_nothing_says_so() {
        let text = summary(&report(vec![]), Tense::Done);
        assert!(text.contains("no items"), "{text}");
    }
}
