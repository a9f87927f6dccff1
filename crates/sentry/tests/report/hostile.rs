//! Whatever somebody writes into a log, a folder's name or a note, the page is the same but for its text.

use std::collections::BTreeSet;

use mailkeep_sentry::{
    LogSource, TokenRead,
    report::{BlastReport, FleetPage, html},
};
use proptest::prelude::*;

use crate::made::theft;

/// The same report with `text` in every place that somebody else writes; `n` in front keeps their order.
fn with(text: &str) -> BlastReport {
    let mut report = theft();
    let mut number = 0;
    let mut hostile = || {
        number += 1;
        format!("{number:04}{text}")
    };
    for token in &mut report.radius.tokens {
        token.uti = Some(hostile());
        token.client_id = hostile();
        token.with = Some(hostile());
    }
    let mailboxes = std::mem::take(&mut report.radius.mailboxes);
    for (name, mut reach) in mailboxes {
        let new = hostile();
        for token in &mut report.radius.tokens {
            if let Some(read) = token.read.remove(&name) {
                token.read.insert(new.clone(), read);
            }
        }
        let messages = std::mem::take(&mut reach.messages);
        reach.messages = messages
            .into_iter()
            .map(|mut message| {
                message.message_id =
                    message.message_id.filter(|id| !id.contains("m7")).map(|_| hostile());
                message.item = Some(hostile());
                message.folder = Some(hostile());
                message
            })
            .collect();
        reach.folders = reach.folders.iter().map(|_| hostile()).collect();
        report.radius.mailboxes.insert(new, reach);
    }
    let one = TokenRead { messages: BTreeSet::new(), folders: BTreeSet::from([hostile()]) };
    report.radius.tokens[0].read.insert(hostile(), one);
    report.logs.calls = LogSource::Absent { why: hostile() };
    report.incidents[2].note = Some(hostile());
    report.incidents[1].kind = hostile();
    report.revoked[0].reason = hostile();
    report
}

/// Its tags with their attributes, as a browser that takes every `<` for one sees them.
fn tags(page: &str) -> Vec<&str> {
    let mut rest = page;
    let mut tags = Vec::new();
    while let Some(begin) = rest.find('<') {
        let end = rest[begin..].find('>').map_or(rest.len(), |end| begin + end + 1);
        tags.push(&rest[begin..end]);
        rest = &rest[end..];
    }
    tags
}

fn fleet(report: &BlastReport, why: &str) -> String {
    let mut page = FleetPage::new(None, report.radius.span.to);
    page.add(report);
    page.add_failed("broken".parse().expect("a name"), why.to_owned());
    page.html()
}

const WRITTEN: &[&str] = &[
    "<script>alert(1)</script>",
    "\"><svg/onload=alert(1)>",
    "' onmouseover='alert(1)",
    "</style></title><img src=x onerror=alert(1)>",
    "<!--",
    "]]>",
    "&lt;script&gt;",
    "</code></td></table>",
    "\u{202E}gpj.exe\u{0}\r\n",
];

#[test]
fn a_script_in_a_message_id_is_text() {
    let page = html(&with(WRITTEN[0]));
    assert!(!page.contains("<script"));
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
}

#[test]
fn what_is_escaped_already_is_shown_as_it_was_written() {
    assert!(html(&with("&lt;b&gt;")).contains("&amp;lt;b&amp;gt;"));
}

#[test]
fn a_name_cannot_turn_the_line_around() {
    assert!(!html(&with("\u{202E}gpj.exe")).contains('\u{202E}'));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn nothing_that_somebody_else_wrote_makes_a_tag_or_an_attribute(
        parts in prop::collection::vec(prop_oneof![
            prop::sample::select(WRITTEN).prop_map(str::to_owned),
            "\\PC{0,20}",
            "[<>&\"'/=!a-z -]{0,30}",
            any::<String>(),
        ], 1..5),
    ) {
        let text = parts.concat();
        let (plain, hostile) = (with("plain"), with(&text));
        let (page, other) = (html(&plain), html(&hostile));
        prop_assert_eq!(tags(&page), tags(&other));
        let (page, other) = (fleet(&plain, "plain"), fleet(&hostile, &text));
        prop_assert_eq!(tags(&page), tags(&other));
    }
}
