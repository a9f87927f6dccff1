//! Mailboxes of a page: what is known of every moment, and what was read.

use mailkeep_model::AccessedMessage;

use super::{
    html::Limits,
    markup::{code, counted, escaped, number, table},
    timeline, tokens,
};
use crate::{BlastRadius, MailboxReach, Span, Stretch};

/// Names of mailboxes that are listed of one group.
const NAMES: usize = 100;

/// Those in which mail was read, the most first, then the others.
pub(super) fn list(radius: &BlastRadius, level: u8, limits: Limits) -> String {
    if radius.mailboxes.is_empty() {
        return "<p>No mailbox is known.</p>\n".to_owned();
    }
    let all = radius.mailboxes.iter();
    let (mut reached, others): (Vec<_>, Vec<_>) = all.partition(|(_, reach)| reach.is_reached());
    reached.sort_by_key(|(_, reach)| {
        std::cmp::Reverse((reach.messages.len(), reach.folders.len(), reach.records))
    });
    let mut out = timeline::legend();
    let mut budget = limits.all_messages;
    for (mailbox, reach) in reached.iter().take(limits.mailboxes) {
        let most = limits.messages.min(budget);
        budget -= most.min(reach.messages.len());
        out.push_str(&one(radius, mailbox, reach, level, most, limits));
    }
    if reached.len() > limits.mailboxes {
        out.push_str(&format!(
            "<p>Mail was read in {} that are not listed here: the JSON report has all.</p>\n",
            counted(reached.len() - limits.mailboxes, "further mailbox", "further mailboxes")
        ));
    }
    out.push_str(&not_reached(&others, radius.span, level, limits));
    out
}

fn one(
    radius: &BlastRadius,
    mailbox: &str,
    reach: &MailboxReach,
    level: u8,
    most: usize,
    limits: Limits,
) -> String {
    format!(
        "<div class=\"mailbox\">\n<h{level}>{}</h{level}>\n{}{}<details open><summary>As a table</summary>\n{}</details>\n</div>\n{}",
        escaped(mailbox),
        timeline::bar(&reach.timeline, radius.span),
        timeline::totals(&reach.timeline),
        timeline::stretches(&reach.timeline, limits.stretches),
        messages(radius, mailbox, reach, most),
    )
}

/// What was read in a mailbox, at most `most` messages of it, each with the tokens that read it.
fn messages(radius: &BlastRadius, mailbox: &str, reach: &MailboxReach, most: usize) -> String {
    let readers: Vec<(usize, &crate::TokenRead)> = (radius.tokens.iter().enumerate())
        .filter_map(|(place, token)| Some((place, token.read.get(mailbox)?)))
        .collect();
    let with = |has: &dyn Fn(&crate::TokenRead) -> bool| -> String {
        let names = readers.iter().filter(|(_, read)| has(read)).take(10);
        names.map(|(place, _)| tokens::name(*place)).collect::<Vec<_>>().join(", ")
    };
    let folder = |folder: &String| {
        let by = with(&|read| read.folders.contains(folder));
        vec!["<b>all messages</b>".to_owned(), code(folder), by]
    };
    let message = |message: &AccessedMessage| {
        let by = with(&|read| read.messages.contains(message));
        let id = match (&message.message_id, &message.item) {
            (Some(id), _) => code(id),
            (None, Some(item)) => format!("item {}", code(item)),
            (None, None) => "not named".to_owned(),
        };
        vec![id, message.folder.as_deref().map_or_else(|| "–".to_owned(), code), by]
    };
    let mut rows: Vec<Vec<String>> = reach.folders.iter().take(most).map(folder).collect();
    rows.extend(reach.messages.iter().take(most).map(message));
    let left = reach.messages.len().saturating_sub(most) + reach.folders.len().saturating_sub(most);
    let count = match (reach.messages.len(), reach.folders.len()) {
        (0, 1..) => counted(reach.folders.len(), "whole folder", "whole folders"),
        (messages, 0) => counted(messages, "message", "messages"),
        (messages, folders) => format!(
            "{} and {}",
            counted(messages, "message", "messages"),
            counted(folders, "whole folder", "whole folders")
        ),
    };
    let caption = match left {
        0 => format!("{count} known to have been read in this mailbox"),
        _ => format!(
            "{count} known to have been read in this mailbox; {} of them are not listed here: the JSON report has all",
            number(left)
        ),
    };
    match rows.is_empty() {
        true => format!("<p>{caption}.</p>\n"),
        false => table("messages", &caption, &["Message-ID", "Folder", "Read with"], &rows),
    }
}

/// The others, those of which the same is known together.
fn not_reached(
    others: &[(&String, &MailboxReach)],
    whole: Span,
    level: u8,
    limits: Limits,
) -> String {
    // In their order, which is that of the addresses; few timelines differ.
    let mut groups: Vec<(&[Stretch], Vec<&str>)> = Vec::new();
    let mut left = 0;
    for (mailbox, reach) in others {
        let same = groups.iter().position(|(timeline, _)| *timeline == reach.timeline.as_slice());
        match same {
            Some(group) => groups[group].1.push(mailbox),
            None if groups.len() < limits.groups => {
                groups.push((&reach.timeline, vec![mailbox.as_str()]));
            }
            None => left += 1,
        }
    }
    let mut out = String::new();
    if !groups.is_empty() {
        out.push_str(&format!(
            "<h{level}>Mailboxes in which no read by somebody else is known</h{level}>\n"
        ));
    }
    for (stretches, members) in groups {
        let shown: Vec<String> = members.iter().take(NAMES).map(|name| escaped(name)).collect();
        let more = match members.len().saturating_sub(NAMES) {
            0 => String::new(),
            more => format!(" and {} more", number(more)),
        };
        out.push_str(&format!(
            "<div class=\"mailbox\">\n<p class=\"names\"><b>{}</b>: {}{more}</p>\n{}{}<details><summary>As a table</summary>\n{}</details>\n</div>\n",
            counted(members.len(), "mailbox", "mailboxes"),
            shown.join(", "),
            timeline::bar(stretches, whole),
            timeline::totals(stretches),
            timeline::stretches(stretches, limits.stretches),
        ));
    }
    if left > 0 {
        out.push_str(&format!(
            "<p>{} are not listed here: the JSON report has all.</p>\n",
            counted(
                left,
                "further mailbox without a known read",
                "further mailboxes without a known read"
            )
        ));
    }
    out
}
