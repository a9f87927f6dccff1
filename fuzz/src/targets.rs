//! Every parser of outside input, and what must hold whatever it is given. Shared by the fuzzer
//! and by the tests, which feed the same functions with mutated seeds.

#[path = "wrapped.rs"]
mod wrapped;

use std::{io::Cursor, str::FromStr, time::Duration};

use mailkeep_identity::{
    ReceiptEvent, Record, Summary, ledger, parse_receipt, protocol, uti, verify_receipts_on,
};
use mailkeep_inspect::{Context, MaskKey};
use mailkeep_model::{
    AttachmentInfo, Category, Change, Contact, Detail, Event, FolderId, Item, ItemId, Mailbox,
    MailboxId, Next, Secret, SettingKind, Task, Verdict, VerdictKind,
};
use mailkeep_vault::{
    FolderPath, ShortId, attachments_in_icalendar, icalendar, photo_in_vcard, todo, vcard,
};
use time::OffsetDateTime;

/// A parser, with inputs to begin from.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) seeds: &'static [&'static [u8]],
    /// Panics when something does not hold.
    pub(crate) run: fn(&[u8]),
}

/// All of them.
pub(crate) const TARGETS: &[Target] = &[
    Target {
        name: "inspect-message",
        what: "a message, through all detectors",
        seeds: MESSAGES,
        run: inspect_message,
    },
    Target {
        name: "inspect-file",
        what: "plain text, CSV and HTML that came as files",
        seeds: FILES,
        run: inspect_file,
    },
    Target {
        name: "unpack-archive",
        what: "archives of all kinds, and what is in them",
        seeds: ARCHIVES,
        run: unpack_attachment,
    },
    Target {
        name: "unpack-compound",
        what: "old Office documents: compound file, macros, packaged files, records",
        seeds: COMPOUNDS,
        run: unpack_attachment,
    },
    Target {
        name: "unpack-pdf",
        what: "PDFs: objects, streams, actions, text",
        seeds: PDFS,
        run: unpack_attachment,
    },
    Target {
        name: "unpack-rtf",
        what: "RTF: fields, objects, templates",
        seeds: RTFS,
        run: unpack_attachment,
    },
    Target {
        name: "unpack-page",
        what: "pages, drawings, XML documents, tables and scripts that came as files",
        seeds: PAGES,
        run: unpack_attachment,
    },
    Target {
        name: "unpack-launcher",
        what: "shortcuts, notebooks, CD images, winmail.dat",
        seeds: LAUNCHERS,
        run: unpack_attachment,
    },
    Target {
        name: "inspect-html",
        what: "a body of HTML: markup, styles, links, forms",
        seeds: wrapped::HTML,
        run: wrapped::inspect_html,
    },
    Target {
        name: "inspect-headers",
        what: "header fields in front of a body; the files for scanners",
        seeds: wrapped::HEADERS,
        run: wrapped::inspect_headers,
    },
    Target {
        name: "inspect-links",
        what: "links as text, target, shown text, and in a feed",
        seeds: wrapped::LINKS,
        run: wrapped::inspect_links,
    },
    Target {
        name: "inspect-picture",
        what: "pictures, and the QR codes in them",
        seeds: wrapped::PICTURES,
        run: wrapped::inspect_picture,
    },
    Target {
        name: "sensitive-text",
        what: "plain text, searched for numbers, keys and passwords",
        seeds: FILES,
        run: sensitive_text,
    },
    Target {
        name: "unpack-office",
        what: "parts of documents of Office and OpenDocument",
        seeds: wrapped::DOCUMENTS,
        run: wrapped::unpack_office,
    },
    Target {
        name: "unpack-workbook",
        what: "records of an old workbook",
        seeds: wrapped::WORKBOOKS,
        run: wrapped::unpack_workbook,
    },
    Target {
        name: "unpack-encrypted",
        what: "encrypted documents: description and package",
        seeds: wrapped::ENCRYPTED,
        run: wrapped::unpack_encrypted,
    },
    Target {
        name: "inbox-rule",
        what: "an inbox rule: what it gives away or hides",
        seeds: wrapped::RULES,
        run: wrapped::inbox_rule,
    },
    Target {
        name: "stored-habits",
        what: "what a mailbox is used to, as it is stored",
        seeds: wrapped::HABITS,
        run: wrapped::stored_habits,
    },
    Target {
        name: "inspect-feed",
        what: "lists of bad addresses: plain, URLhaus, MISP",
        seeds: FEEDS,
        run: inspect_feed,
    },
    Target {
        name: "policy",
        what: "a policy file, and what it decides",
        seeds: POLICIES,
        run: policy,
    },
    Target {
        name: "named-files",
        what: "files of dictionaries and of hashed values",
        seeds: NAMED_FILES,
        run: named_files,
    },
    Target {
        name: "clamav-answer",
        what: "what a virus scanner answers",
        seeds: &[b"3: stream: Our.Test FOUND", b"3: stream: OK", b"INSTREAM size limit exceeded. ERROR"],
        run: clamav_answer,
    },
    Target {
        name: "exact-list",
        what: "hashed values of an organisation, and text that is compared with them",
        seeds: LISTS,
        run: exact_list,
    },
    Target {
        name: "tenant-list",
        what: "a line of a list of tenants to be imported",
        seeds: &[
            br#"{"tenant":"acme","directory":"acme.example","keys":["reader"],"spare":true}"#,
            br#"{"tenant":"a","directory":"1","applications":{"reader":{"client_id":"x","object_id":"y"}}}"#,
        ],
        run: tenant_list,
    },
    Target {
        name: "inspect-mbox",
        what: "an mbox file, split into messages",
        seeds: MBOXES,
        run: inspect_mbox,
    },
    Target {
        name: "graph-folder-page",
        what: "Graph's answer to mailFolder: delta",
        seeds: FOLDER_PAGES,
        run: graph_folder_page,
    },
    Target {
        name: "graph-item-page",
        what: "Graph's answer to message: delta",
        seeds: ITEM_PAGES,
        run: graph_item_page,
    },
    Target {
        name: "restore-message",
        what: "a message, taken apart for a restore through Graph",
        seeds: MESSAGES,
        run: restore_message,
    },
    Target {
        name: "graph-events-page",
        what: "Graph's list of a calendar's events",
        seeds: EVENT_PAGES,
        run: graph_events_page,
    },
    Target {
        name: "graph-event",
        what: "Graph's answer to Get event",
        seeds: EVENTS,
        run: graph_event,
    },
    Target {
        name: "graph-contacts-page",
        what: "Graph's answer to contact: delta",
        seeds: CONTACT_PAGES,
        run: graph_contacts_page,
    },
    Target {
        name: "graph-batch",
        what: "Graph's answer to a batch",
        seeds: BATCHES,
        run: graph_batch,
    },
    Target {
        name: "graph-refusal",
        what: "the body of a request that Graph refused",
        seeds: REFUSALS,
        run: graph_refusal,
    },
    Target {
        name: "token-answer",
        what: "Entra's answer to a token request, granted or refused",
        seeds: TOKEN_ANSWERS,
        run: token_answer,
    },
    Target {
        name: "retry-after",
        what: "how long a provider asks us to wait, and its clock",
        seeds: WAITS,
        run: retry_after,
    },
    Target {
        name: "graph-tasks-page",
        what: "Graph's answer to todoTask: delta",
        seeds: TASK_PAGES,
        run: graph_tasks_page,
    },
    Target {
        name: "graph-task",
        what: "Graph's answer to Get todoTask",
        seeds: TASKS,
        run: graph_task,
    },
    Target {
        name: "graph-settings",
        what: "Graph's settings, inbox rules and categories",
        seeds: SETTINGS,
        run: graph_settings,
    },
    Target {
        name: "graph-mailbox-items",
        what: "Graph's answer to mailboxItem: delta",
        seeds: MAILBOX_ITEMS,
        run: graph_mailbox_items,
    },
    Target {
        name: "graph-exported",
        what: "Graph's answer to exportItems",
        seeds: EXPORTED,
        run: graph_exported,
    },
    Target {
        name: "graph-users-page",
        what: "Graph's answer to user: delta",
        seeds: USER_PAGES,
        run: graph_users_page,
    },
    Target {
        name: "graph-sign-ins",
        what: "Graph's log of sign-ins",
        seeds: SIGN_INS,
        run: graph_sign_ins,
    },
    Target {
        name: "graph-directory-audits",
        what: "Graph's log of changes of the directory",
        seeds: DIRECTORY_AUDITS,
        run: graph_directory_audits,
    },
    Target {
        name: "audit-records",
        what: "records of accesses to mail, from the feed and from a query, and the list of what the feed has",
        seeds: AUDIT_RECORDS,
        run: audit_records,
    },
    Target {
        name: "exchange-configuration",
        what: "a snapshot of Exchange's configuration",
        seeds: &[
            br#"{"id":"1","parameters":[],"resources":[{"displayName":"r","resourceType":"microsoft.exchange.transportrule","properties":{"Name":"Copy","BlindCopyTo":["b@y.example"],"Enabled":true,"Ensure":"Present"}},{"resourceType":"microsoft.exchange.organizationconfig","properties":{"AuditDisabled":false}}]}"#,
        ],
        run: exchange_configuration,
    },
    Target {
        name: "activity-export",
        what: "a line of the exported log of requests to Graph",
        seeds: ACTIVITY_LINES,
        run: activity_export,
    },
    Target {
        name: "graph-registration",
        what: "an application or a service principal as Graph shows it",
        seeds: REGISTRATIONS,
        run: graph_registration,
    },
    Target {
        name: "graph-access-policies",
        what: "Graph's Conditional Access policies and named locations",
        seeds: ACCESS_POLICIES,
        run: graph_access_policies,
    },
    Target {
        name: "notifications",
        what: "what anybody sends to the address for change notifications",
        seeds: NOTIFICATIONS,
        run: notifications,
    },
    Target {
        name: "token",
        what: "the identifier inside an access token",
        seeds: &[b"e30.eyJ1dGkiOiJBQUFBQUFBQUFBQUFBQUFBQUFBQUFBIn0.c2ln", b"..", b"opaque"],
        run: token,
    },
    Target { name: "ledger", what: "the signer's ledger", seeds: LEDGERS, run: ledger_lines },
    Target {
        name: "receipts",
        what: "what workers wrote of the tokens that they asked for",
        seeds: RECEIPTS,
        run: receipt_lines,
    },
    Target {
        name: "witness-lines",
        what: "what a witness keeps, and the head of a sealed credential",
        seeds: WITNESS_LINES,
        run: witness_lines,
    },
    Target {
        name: "signer-frames",
        what: "both directions of the signer's protocol",
        seeds: FRAMES,
        run: signer_frames,
    },
    Target {
        name: "folder-path",
        what: "MAILBOX:PATH and item ids, as people type them",
        seeds: &[b"Inbox/A%2FB", b"50% off/%25/%3A", b"0123456789ab", "Überstunden".as_bytes()],
        run: folder_path,
    },
    Target {
        name: "stored-calendar",
        what: "an event's content, read back from the vault",
        seeds: CALENDARS,
        run: stored_calendar,
    },
    Target {
        name: "stored-card",
        what: "a contact's content, read back from the vault",
        seeds: CARDS,
        run: stored_card,
    },
    Target {
        name: "event-html",
        what: "an event with this HTML for a body, written as iCalendar",
        seeds: &[
            b"<html><head><style>p{}</style></head><body><p>a &amp; b<br><a href=\"https://a.example/\">c</a>",
            b"<!--<pre><td><li></li><template><a href='x'>&#x34;&nbsp;",
        ],
        run: event_html,
    },
];

fn inspect_message(data: &[u8]) {
    with_context(|context| {
        let whole = mailkeep_inspect::inspect(data, context);
        is_sane(&whole.verdict);
        // The same again: a verdict that depends on anything but its input cannot be explained.
        assert_eq!(mailkeep_inspect::inspect(data, context), whole);
        let half = &data[..data.len() / 2];
        is_sane(&mailkeep_inspect::inspect_prefix(half, data.len() as u64, context).verdict);
    });
}

fn inspect_file(data: &[u8]) {
    with_context(|context| {
        let text = String::from_utf8_lossy(data);
        let verdict = mailkeep_inspect::inspect_text(&text, context);
        is_sane(&verdict);
        let points = text.chars().count();
        for finding in &verdict.findings {
            assert!(finding.end <= points, "a finding behind the end of the text: {finding:?}");
        }
        for name in ["a.html", "a.csv", "a.txt", "a.bin"] {
            is_sane(&mailkeep_inspect::inspect_attachment(name, data, context));
        }
    });
}

fn sensitive_text(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let points = text.chars().count();
    with_context(|context| {
        let verdict = mailkeep_inspect::inspect_text(&text, context);
        is_sane(&verdict);
        for finding in verdict.findings.iter().filter(|f| f.category == Category::Sensitive) {
            assert!(finding.start < finding.end && finding.end <= points, "{finding:?}");
        }
    });
}

/// A file whose type its bytes tell, under names that bring every reader of text to it, too.
fn unpack_attachment(data: &[u8]) {
    with_context(|context| {
        for name in ["a", "a.vba", "a.xml"] {
            let verdict = mailkeep_inspect::inspect_attachment(name, data, context);
            is_sane(&verdict);
        }
    });
}

fn inspect_feed(data: &[u8]) {
    use mailkeep_inspect::{FeedList, Feeds};
    let list = FeedList::read("list", data);
    if let Err(error) = &list {
        assert!((1..=data.len() + 1).contains(&error.line), "{error}");
    }
    let feeds: Feeds = list.into_iter().map(std::sync::Arc::new).collect();
    assert!(feeds.len() <= data.len());
    with_context(|context| {
        let context = context.with_feeds(&feeds);
        is_sane(&mailkeep_inspect::inspect_text("https://a.example/x http://1.2.3.4", &context));
    });
}

fn policy(data: &[u8]) {
    use mailkeep_inspect::policy::{Policy, decide};
    let text = String::from_utf8_lossy(data);
    match Policy::from_toml(&text, &["customers"]) {
        Ok(policy) => {
            assert!(policy.rules().iter().all(|rule| rule.at_least() > 0));
            let to = ["bob@corp.example".to_owned(), text.chars().take(80).collect()];
            let envelope = policy.envelope(&[], Some("ann@corp.example"), &to);
            let nothing = Verdict {
                verdict: VerdictKind::Clean,
                score: 0.0,
                findings: Vec::new(),
                not_inspected: Vec::new(),
            };
            // Of a clean message nobody takes anything away, but for a score of nothing.
            let decision = decide(&policy, &envelope, &nothing);
            assert!(
                policy.rules().iter().any(|rule| rule.score() == Some(0.0))
                    || decision.would.is_none()
            );
            assert!(
                decision.action <= decision.would
                    && !(policy.dry_run() && decision.action.is_some())
            );
        }
        Err(error) => {
            assert!((1..=text.matches('\n').count() + 1).contains(&error.line), "{error}");
        }
    }
}

fn named_files(data: &[u8]) {
    use mailkeep_inspect::{Dictionary, ExactList, MatchKey};
    let text = String::from_utf8_lossy(data);
    let lines: Vec<Dictionary> = Dictionary::from_lines("lines", &text).into_iter().collect();
    let toml: Vec<Dictionary> = Dictionary::from_toml("toml", &text).into_iter().collect();
    let key = MatchKey::from_bytes([9; 32]);
    let lists: Vec<ExactList> = ExactList::read("list", key, &text).into_iter().collect();
    for dictionaries in [&lines, &toml] {
        with_context(|context| {
            let context = context.with_lists(&lists).with_dictionaries(dictionaries);
            is_sane(&mailkeep_inspect::inspect_text(&text, &context));
        });
    }
}

fn clamav_answer(data: &[u8]) {
    let answer = String::from_utf8_lossy(data);
    if let Ok(Some(name)) = mailkeep_inspect::clamav_answer(&answer, 3) {
        assert!(!name.contains(['\n', '\r']) && name.chars().count() <= 200, "{name:?}");
    }
}

fn exact_list(data: &[u8]) {
    use mailkeep_inspect::{Dictionary, ExactList, HashedValue, MatchKey};
    let text = String::from_utf8_lossy(data);
    let _ = text.parse::<HashedValue>();
    let key = MatchKey::from_bytes([9; 32]);
    // What was hashed is found again, however it is surrounded.
    let (first, _) = text.split_once('\n').unwrap_or((&text, ""));
    let hashed = key.hash(first);
    let lists: Vec<ExactList> = hashed
        .into_iter()
        .map(|value| ExactList::new("l", key.clone(), [vec![value]]).expect("one record is even"))
        .collect();
    let phrases = text.lines().map(str::to_owned);
    let dictionaries: Vec<Dictionary> = Dictionary::new("d", phrases, 2).into_iter().collect();
    with_context(|context| {
        let context = context.with_lists(&lists).with_dictionaries(&dictionaries);
        is_sane(&mailkeep_inspect::inspect_text(&text, &context));
    });
}

fn inspect_mbox(data: &[u8]) {
    let read = |max| {
        let messages = mailkeep_inspect::mbox::Messages::new(Cursor::new(data), max);
        messages.map(|message| message.expect("memory does not fail")).collect::<Vec<_>>()
    };
    let whole = read(usize::MAX);
    let cut = read(16);
    assert_eq!(whole.len(), cut.len());
    for (whole, cut) in whole.iter().zip(&cut) {
        assert_eq!(whole.size, whole.bytes.len() as u64);
        assert_eq!(whole.size, cut.size);
        assert!(whole.bytes.starts_with(&cut.bytes) && cut.bytes.len() <= 16);
    }
    assert!(whole.iter().map(|message| message.bytes.len()).sum::<usize>() <= data.len());
}

fn graph_folder_page(data: &[u8]) {
    // An error is a fine answer to garbage; a panic is not.
    let _ = mailkeep_exchange::parse_folder_page(data);
}

fn graph_item_page(data: &[u8]) {
    let _ = mailkeep_exchange::parse_item_page(data, &FolderId("folder".to_owned()));
}

fn restore_message(data: &[u8]) {
    let mailbox = Mailbox {
        id: MailboxId("owner".to_owned()),
        address: "owner@a.example".parse().expect("a mailbox address"),
        display_name: String::new(),
    };
    let item: Item = serde_json::from_value(serde_json::json!({
        "id": "message", "folder": "folder", "received": "2026-01-02T03:04:05Z", "content_key": "",
    }))
    .expect("an item with what it must have");
    let request = mailkeep_exchange::message_request(&mailbox, &item, data);
    assert!(request.to_string().len() <= 4 << 20, "Graph takes no more in one request");
    assert_eq!(request, mailkeep_exchange::message_request(&mailbox, &item, data));
    let files = request["attachments"].as_array();
    let named = |file: &serde_json::Value| file["name"].as_str().is_some_and(|n| !n.is_empty());
    assert!(files.is_none_or(|files| files.iter().all(named)), "an attachment without a name");
}

fn graph_events_page(data: &[u8]) {
    if let Ok(page) = mailkeep_exchange::parse_events_page(data, &FolderId("folder".to_owned())) {
        assert!(!matches!(page.next, Next::Done(_)), "a list has no cursor");
    }
}

fn graph_event(data: &[u8]) {
    let folder = FolderId("folder".to_owned());
    let listed = mailkeep_exchange::parse_events_page(EVENT_PAGES[0], &folder);
    let listed = listed.expect("a page that Graph could give").changes.remove(0);
    let Change::Upsert(listed) = listed else { panic!("{listed:?}") };
    let Ok(item) = mailkeep_exchange::parse_event(data, &listed) else { return };
    let Some(Detail::Event(event)) = &item.detail else { panic!("an event without its detail") };
    assert!(event.exceptions.iter().all(|one| one.event.recurrence.is_none()));
    // What is kept is kept as JSON.
    let text = serde_json::to_vec(&item).expect("an item can be written");
    let again: Item = serde_json::from_slice(&text).expect("our own item");
    assert_eq!(again, item, "an event changed on its way into the repository");
}

fn graph_contacts_page(data: &[u8]) {
    let page = mailkeep_exchange::parse_contacts_page(data, &FolderId("folder".to_owned()));
    for change in page.into_iter().flat_map(|(page, _)| page.changes) {
        let Change::Upsert(item) = change else { continue };
        let text = serde_json::to_vec(&item).expect("an item can be written");
        let again: Item = serde_json::from_slice(&text).expect("our own item");
        assert_eq!(again, item, "a contact changed on its way into the repository");
    }
}

/// What is kept is kept as JSON.
fn is_kept_as_it_is(item: &Item) {
    // Numbers with a fraction, which Graph does not give here, may change in their last digit.
    if has_fraction(&serde_json::to_value(item).expect("an item can be written")) {
        return;
    }
    let text = serde_json::to_vec(item).expect("an item can be written");
    let again: Item = serde_json::from_slice(&text).expect("our own item");
    assert_eq!(again, *item, "an item changed on its way into the repository");
}

fn has_fraction(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::Number(number) => number.is_f64(),
        serde_json::Value::Array(all) => all.iter().any(has_fraction),
        serde_json::Value::Object(all) => all.values().any(has_fraction),
        _ => false,
    }
}

fn graph_tasks_page(data: &[u8]) {
    let page = mailkeep_exchange::parse_tasks_page(data, &FolderId("list".to_owned()));
    for change in page.into_iter().flat_map(|(page, _)| page.changes) {
        let Change::Upsert(item) = change else { continue };
        assert!(item.detail.is_none(), "a list does not tell all of a task");
        is_kept_as_it_is(&item);
    }
}

fn graph_task(data: &[u8]) {
    let folder = FolderId("list".to_owned());
    // A task with its own JSON as its only step and link.
    let part: Vec<_> = serde_json::from_slice(data).into_iter().collect();
    let task = mailkeep_exchange::parse_task(data, &folder, part.clone(), part);
    if let Ok(item) = task {
        assert!(matches!(item.detail, Some(Detail::Task(_))), "a task without its detail");
        is_kept_as_it_is(&item);
    }
}

fn graph_settings(data: &[u8]) {
    for kind in [SettingKind::Mailbox, SettingKind::InboxRule, SettingKind::Category] {
        let page = mailkeep_exchange::parse_settings(data, kind);
        for change in page.into_iter().flat_map(|page| page.changes) {
            let Change::Upsert(item) = change else { panic!("a list removes something") };
            assert!(item.id.0.starts_with("setting:"));
            is_kept_as_it_is(&item);
        }
    }
}

fn graph_mailbox_items(data: &[u8]) {
    for folder in ["notes", "groups:contacts", "archive:folder", "archive:"] {
        let folder = FolderId(folder.to_owned());
        let page = mailkeep_exchange::parse_mailbox_items_page(data, &folder);
        for change in page.into_iter().flat_map(|page| page.changes) {
            let Change::Upsert(item) = change else { continue };
            let in_archive = item.id.0.starts_with("archive:");
            assert!(in_archive || !folder.0.starts_with("archive:f"), "it is named elsewhere");
            assert!(mailkeep_exchange::likeness(&item).is_some(), "a copy would not be known");
            is_kept_as_it_is(&item);
        }
    }
}

fn graph_exported(data: &[u8]) {
    let ids = ["a", "b"];
    if let Ok(answers) = mailkeep_exchange::parse_exported(data, &ids) {
        assert_eq!(answers.len(), ids.len(), "an item has no answer");
        assert!(answers.iter().flatten().all(|stream| !stream.is_empty()), "an empty stream");
    }
}

fn graph_users_page(data: &[u8]) {
    let Ok(page) = mailkeep_exchange::parse_users_page(data) else { return };
    assert!(!matches!(page.next, Next::Complete), "a directory without a cursor");
    assert!(page.changes.len() <= data.len());
}

/// What a log tells is kept as JSON, too, and no more is told than came in.
macro_rules! is_a_page {
    ($parse:ident, $data:expr) => {
        if let Ok(page) = mailkeep_exchange::$parse($data) {
            assert!(page.entries.len() + page.damaged <= $data.len(), "entries from nowhere");
            for entry in page.entries {
                let text = serde_json::to_vec(&entry).expect("evidence can be written");
                let again = serde_json::from_slice(&text).expect("our own evidence");
                assert!(entry == again, "evidence changed on its way: {entry:?}, {again:?}");
            }
        }
    };
}

fn exchange_configuration(data: &[u8]) {
    if let Ok((objects, _)) = mailkeep_exchange::parse_configuration(data) {
        assert!(objects.len() <= data.len(), "objects from nowhere");
        for object in objects {
            let text = serde_json::to_vec(&object).expect("an object can be kept");
            let again = serde_json::from_slice(&text).expect("our own object");
            assert!(object == again, "an object changed on its way: {object:?}, {again:?}");
        }
    }
}

fn graph_sign_ins(data: &[u8]) {
    is_a_page!(parse_sign_ins_page, data);
}

fn graph_directory_audits(data: &[u8]) {
    is_a_page!(parse_directory_changes_page, data);
}

fn audit_records(data: &[u8]) {
    is_a_page!(parse_audit_records, data);
    is_a_page!(parse_audit_query_page, data);
    is_a_page!(parse_exchange_changes_page, data);
    if let Ok((content, damaged)) = mailkeep_exchange::parse_feed_content(data) {
        assert!(content.len() + damaged <= data.len());
    }
}

fn activity_export(data: &[u8]) {
    let Ok(Some(call)) = mailkeep_exchange::parse_activity_export(data) else { return };
    assert_eq!(call.client_id, call.client_id.to_lowercase(), "an id that joins with nothing");
    assert!(!call.uti.is_some_and(|uti| uti.ends_with('=')), "a token that joins with nothing");
}

fn graph_registration(data: &[u8]) {
    let Ok(object) = mailkeep_exchange::parse_registered_object(data) else { return };
    let is_hex = |text: &String| text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'A'..=b'F'));
    for key in &object.keys {
        assert!(!key.key_id.is_empty(), "a key that cannot be named");
        assert!(key.thumbprint.iter().chain(&key.identifier).all(is_hex), "{key:?}");
    }
}

fn graph_access_policies(data: &[u8]) {
    is_a_page!(parse_access_policies_page, data);
    is_a_page!(parse_named_locations_page, data);
}

fn notifications(data: &[u8]) {
    let _ = mailkeep_exchange::parse_subscription(data);
    let Ok(told) = mailkeep_exchange::parse_notifications(data) else { return };
    assert!(told.len() <= data.len() / 2, "more notifications than bytes for them");
    let secret = Secret::new("the provider's".into());
    for one in &told {
        let believed = one.is_from_the_provider(&secret);
        let holds_it =
            String::from_utf8_lossy(data).contains("the provider's") || data.contains(&b'\\');
        assert!(!believed || holds_it, "a secret was believed that nobody sent");
        assert!(!one.is_from_the_provider(&Secret::new(String::new())), "no secret was believed");
        assert!(!format!("{one:?}").contains("the provider's"), "a secret was printed");
    }
}

fn tenant_list(data: &[u8]) {
    if let Ok(listed) = mailkeep_model::parse_listed_tenant(data) {
        assert!(!listed.tenant.as_str().is_empty());
    }
}

fn token(data: &[u8]) {
    let _ = uti::peek(&String::from_utf8_lossy(data));
}

fn ledger_lines(data: &[u8]) {
    let (mut records, mut origin) = (0, mailkeep_identity::Origin::default());
    let verified = ledger::verify_each(data, |record| {
        records += 1;
        origin.note(record);
    });
    if let Ok(Some(follows)) = origin.read() {
        assert!(follows.named().iter().all(|end| end.verify().is_ok()), "a forged end is believed");
    }
    if let Ok(summary) = verified {
        assert_eq!(summary.head.seq, records, "a ledger passed with records that nobody saw");
        assert!(summary.bytes <= data.len() as u64);
    }
    for line in data.split(|byte| *byte == b'\n') {
        let _ = ledger::parse(line);
    }
}

fn receipt_lines(data: &[u8]) {
    for line in data.split(|byte| *byte == b'\n') {
        if let Ok(receipt) = parse_receipt(line) {
            let again = parse_receipt(line).expect("the same line");
            assert_eq!(again, receipt);
        }
    }
    let (mut receipts, mut bytes) = (0, 0);
    let each = |receipt: Option<&Record<ReceiptEvent>>, line: &[u8]| {
        receipts += u64::from(receipt.is_some());
        bytes += line.len() as u64;
    };
    let Ok(whole) = verify_receipts_on(data, &Summary::EMPTY, each) else { return };
    assert_eq!(whole.head.seq - whole.begins_after, receipts, "receipts that nobody saw");
    assert_eq!(whole.bytes, bytes, "a line that nobody saw");
    // Read on from any place, it comes to the same.
    for at in data.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1) {
        let first = verify_receipts_on(&data[..at], &Summary::EMPTY, |_, _| ());
        let first = first.expect("the beginning of what is whole");
        let rest = verify_receipts_on(&data[at..], &first, |_, _| ());
        assert_eq!(rest.expect("the rest of what is whole"), whole);
    }
}

/// What one witness kept is told apart, whatever it is: nothing of it becomes a ledger's own without its key.
fn witness_lines(data: &[u8]) {
    let _ = mailkeep_identity::CredentialSeal::of(data);
    let Ok(lines) = mailkeep_identity::WitnessLine::parse_all(&String::from_utf8_lossy(data))
    else {
        return;
    };
    let lines: Vec<_> = lines.into_iter().map(|(_, line)| line).collect();
    let Some(key) = lines.iter().find_map(|line| line.checkpoint_key.clone()) else { return };
    let said: Vec<_> = lines.iter().filter_map(|line| line.follows.clone()).collect();
    for lost in mailkeep_identity::lost_before(&lines, &key, &said) {
        assert!(lost.verify().is_ok() && lost.checkpoint_key != key);
    }
    if let Ok(kept) = mailkeep_identity::Kept::of(&lines, &key, &[]) {
        let own = |line: &&mailkeep_identity::WitnessLine| {
            line.checkpoint_key.as_ref().is_none_or(|one| *one == key)
        };
        assert_eq!(kept.present.len(), lines.iter().filter(own).count());
    }
}

fn signer_frames(data: &[u8]) {
    let mut rest = data;
    while let Ok(Some((json, behind))) = protocol::split_frame(rest) {
        if let Ok(request) = protocol::decode_request(json) {
            let frame = protocol::encode(&request).expect("what came in a frame fits in one");
            let (again, _) = protocol::split_frame(&frame).ok().flatten().expect("a whole frame");
            let again = protocol::decode_request(again).expect("our own request");
            assert_eq!(request.request, again.request, "a request changed on its way");
        }
        let _ = protocol::decode_response(json);
        rest = behind;
    }
    let _ = protocol::decode_request(data);
    let _ = protocol::decode_response(data);
}

fn folder_path(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Ok(path) = FolderPath::from_str(&text);
    let Ok(again) = FolderPath::from_str(&path.to_string());
    assert_eq!(path, again, "a printed path names another folder");
    if let Ok(short) = ShortId::from_str(&text) {
        assert_eq!(short.as_str(), text);
    }
}

fn graph_batch(data: &[u8]) {
    for asked in [0, 1, 20] {
        if let Ok(told) = mailkeep_exchange::parse_batch_answer(data, asked) {
            assert_eq!(told.len(), asked, "a question without its place");
            assert!(told.iter().flatten().all(|status| (100..1000).contains(status)));
        }
    }
}

fn graph_refusal(data: &[u8]) {
    let (_, message) = mailkeep_exchange::parse_refusal(data);
    assert!(message.chars().count() <= 300 && !message.contains('\n'), "{message:?}");
}

fn token_answer(data: &[u8]) {
    if let Ok((_, lifetime)) = mailkeep_exchange::parse_token_answer(data) {
        assert!(lifetime <= Duration::from_secs(48 * 3600), "a clock would overflow");
    }
    if let Some((_, message)) = mailkeep_exchange::parse_token_refusal(data) {
        assert!(message.chars().count() <= 300 && !message.contains('\n'), "{message:?}");
    }
}

fn retry_after(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (wait, date) = text.split_once('\n').map_or((&*text, None), |(a, b)| (a, Some(b)));
    for date in [None, date, Some(wait)] {
        let now = OffsetDateTime::UNIX_EPOCH;
        let read = mailkeep_exchange::parse_retry_after(wait, date, now);
        // Whoever adds it to the time of day must not fail.
        assert!(read.is_none_or(|wait| std::time::Instant::now().checked_add(wait).is_some()));
    }
}

fn stored_calendar(data: &[u8]) {
    let mut event = plain_event("");
    for count in 0..4 {
        event.attachments = vec![AttachmentInfo::default(); count];
        if let Ok(found) = attachments_in_icalendar(data, &event.attachments) {
            assert_eq!(found.len(), count);
            // What was read is what would be written, of an event and of a task.
            let task = Task { attachments: event.attachments.clone(), ..Task::default() };
            for written in [icalendar(&event, &found), todo(&ItemId("i".into()), &task, &found)] {
                let again = attachments_in_icalendar(&written, &event.attachments);
                assert_eq!(again.expect("our own calendar"), found);
            }
        }
    }
}

fn stored_card(data: &[u8]) {
    let Some(photo) = photo_in_vcard(data) else { return };
    assert!(photo.bytes.len() <= data.len());
    let written = vcard(&Contact::default(), Some(&photo));
    let again = photo_in_vcard(&written).expect("our own card");
    assert_eq!(again.bytes, photo.bytes);
}

fn event_html(data: &[u8]) {
    let event = plain_event(&String::from_utf8_lossy(data));
    let written = icalendar(&event, &[]);
    let lines = written.split(|byte| *byte == b'\n');
    assert!(lines.clone().all(|line| line.len() <= 76 && std::str::from_utf8(line).is_ok()));
    assert_eq!(lines.filter(|line| line.starts_with(b"END:")).count(), 5);
}

/// An event in a zone, with this HTML.
fn plain_event(html: &str) -> Event {
    let json = serde_json::json!({
        "body": {"type": "html", "content": html},
        "start": {"local": "2026-11-23 10:00:00.0", "zone": "W. Europe Standard Time"},
        "end": {"local": "2026-11-23 11:00:00.0", "zone": "W. Europe Standard Time"},
    });
    serde_json::from_value(json).expect("an event")
}

fn with_context(act: impl FnOnce(&Context<'_>)) {
    let domains = ["story.example".to_owned()];
    let key = MaskKey::from_bytes([7; 32]);
    act(&Context::new(OffsetDateTime::UNIX_EPOCH, &domains, &key));
}

fn is_sane(verdict: &Verdict) {
    assert!((0.0..=1.0).contains(&verdict.score), "score {}", verdict.score);
    for finding in &verdict.findings {
        assert!(finding.start <= finding.end, "{finding:?}");
        // A number must not come out of the program that looks for it.
        let masked = finding.category != Category::Sensitive
            || !finding.evidence.contains("4111111111111111");
        assert!(masked, "{finding:?}");
    }
}

const MESSAGES: &[&[u8]] = &[
    b"Subject: x\r\nFrom: a@b.example\r\n\r\nCard 4111 1111 1111 1111, see http://a.example\r\n",
    b"Content-Type: text/html\r\n\r\n<a href=\"http://evil.example/\">https://story.example</a> &#x34;&amp;\r\n",
    b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=\
      iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\ncaf=E9 4111=201111=201111=201111\r\n--b\r\n\
      Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nx\r\n--b--\r\n",
    b"Subject: =?utf-8?B?4pyJ?= =?iso-8859-1?Q?=E9?=\r\nContent-Transfer-Encoding: base64\r\n\r\nNDExMSAxMTExIDExMTEgMTExMQ==\r\n",
    b"Content-Type: text/html\r\n\r\n<!--<script><style>a{}</style><a href=javascript:x>www.story.example</a><br><p>4111<b>1111</b>1111-1111",
];

const FILES: &[&[u8]] = &[
    b"<style>.a{display:none}</style><form action=https://x.example><input type=password><b class=a>x</b>",
    b"<img src='data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7'>",
    "v\u{435}rify your account within 24 hours: https://paypal.com.evil.example/#ann@story.example".as_bytes(),
    b"name;card\nann;4111111111111111\n",
    b"<html><a href='http://user@evil.example'>story.example</a>",
    b"4111 1111 1111 1111 5500-0000-0000-0004",
    b"name;IBAN\nann;DE43 1000 0000 0705 8161 65\nSSN 536-22-8726, TFN: 446 220 196",
    "Passwort lautet Sommer-77. пароль: Zima2030 https://ann:k9XbT2mQ@db.example.com/".as_bytes(),
    b"Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJlLWlzLWhlcmU",
    b"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA9ZbSdE8mG1xUq0\n-----END PRIVATE KEY-----",
];

/// Made for this purpose; none is older than this program.
const ARCHIVES: &[&[u8]] = &[
    include_bytes!("../seeds/archive.zip"),
    include_bytes!("../seeds/lzma.zip"),
    include_bytes!("../seeds/a.gz"),
    include_bytes!("../seeds/a.bz2"),
    include_bytes!("../seeds/a.xz"),
    include_bytes!("../seeds/a.tar"),
    include_bytes!("../seeds/a.7z"),
    include_bytes!("../seeds/a.cab"),
    b"Rar!\x1A\x07\0\xCF\x90\x73\0\0\x0D\0\0\0\0\0\0\0\0\0\x74\0\x80\x26\0\x02\0\0\0\x02\0\0\0\0\0\0\0\0\0\0\0\0\x14\x30\x06\0\0\0\0\0a.textMZ",
    b"Rar!\x1A\x07\x01\0\0\0\0\0\x0C\x02\x02\x02\0\x02\0\0\0\x05a.txthi",
    b"\x60\xEA\x22\0\x1E\x0B\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0a.arj\0\0\0\0\0\0\0\0",
    b"0707070000010000010000000000000000000000010000000000000000000000600000000005a.txt\0hello",
    b"070701000000010000000000000000000000000000000100000000000000050000000000000000000000000000000000000006000000000a.txt\0hello\0\0\0",
    b"SZDD\x88\xF0\x27\x33Aa\x05\0\0\0\xFFhello",
    b"begin 644 a.txt\n%:&5L;&\\\n`\nend\n",
    b"(This file must be converted with BinHex 4.0)\n\n:#@4P,R0[!'\"ZG'J:\n",
];

const COMPOUNDS: &[&[u8]] = &[include_bytes!("../seeds/macros.doc")];

const PDFS: &[&[u8]] = &[
    b"%PDF-1.4\n1 0 obj <</Type/Catalog/OpenAction 2 0 R/Names<</JavaScript 2 0 R>>>> endobj\n2 0 obj <</S/J#61vaScript/JS(app.alert\\050 1))>> endobj\n3 0 obj <</Type/Filespec/F(a.exe)/EF<</F 4 0 R>>>> endobj\n4 0 obj <</Type/EmbeddedFile/Length 2>> stream\nMZ\nendstream endobj\ntrailer<</Root 1 0 R>>\n%%EOF",
    b"%PDF-1.5\n1 0 obj <</Type/Page/Contents[2 0 R]/Resources<</Font<</F 3 0 R>>>>>> endobj\n2 0 obj <</Filter/ASCIIHexDecode>> stream\n2F46203132205466205B283031292D3230302830312930205D20544A> endstream endobj\n3 0 obj <</Subtype/Type0/ToUnicode 4 0 R>> endobj\n4 0 obj <</Length 99>> stream\n1 beginbfrange <3031> <3039> <0041> endbfrange 1 beginbfchar <30> <0042> endbfchar\nendstream endobj",
    b"%PDF-1.5\n1 0 obj <</Type/ObjStm/N 1/First 4/Filter[/ASCII85Decode/RunLengthDecode/LZWDecode]>> stream\n9jqo^BlbD-~>\nendstream endobj",
    b"%PDF-1.5\n1 0 obj <</Subtype/Image/Width 16/Height 16/BitsPerComponent 1>> stream\n0123456789abcdef0123456789abcdef\nendstream endobj",
];

const RTFS: &[&[u8]] = &[
    b"{\\rtf1{\\*\\template https://example.com/a.dotm}{\\field{\\*\\fldinst DDE{\\b AUTO} cmd x}}\\u233?\\'e9\\par}",
    b"{\\rt{\\object\\objemb\\objupdate{\\*\\objdata 0105000002000000 08000000 5061636b61676500 0000000000000000 1a000000 0200612e65786500433a5c612e65786500 00000300 00000000\\bin3 MZA 4d5a}}}",
];

const PAGES: &[&[u8]] = &[
    b"<html><meta http-equiv=refresh content='0;url=https://example.com'><script>var b=new Blob([atob('UEsDBBQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA')]);l.download='a.zip'</script>",
    b"<svg onload='x'><script>1</script></svg>",
    b"<?xml version='1.0'?><?mso-application progid=\"Word.Document\"?><w:p><w:instrText>DDEAUTO c x</w:instrText></w:p><Path>cmd|/c</Path><w:binData>TVoAAA==</w:binData>",
    b"<?xml version='1.0'?><office:document xmlns:office='urn:oasis:names:tc:opendocument:x'><office:body><a href='javascript:1'>x</a><dde-source dde-application='c'/></office:body></office:document>",
    b"ID;PX\nO;E\nNN;NAuto_open;ER1C1\nC;X1;Y1;ECMD|'/c'!A0\n",
    b"a;b\n=cmd|'/c calc'!A0;1\n",
    b"Sub Auto_Open()\nCreateObject(\"WScript.Shell\").Run \"powershell\"\nEnd Sub",
];

const LAUNCHERS: &[&[u8]] = &[
    b"L\0\0\0\x01\x14\x02\0\0\0\0\0\xC0\0\0\0\0\0\0\x46\xA4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x02\0a\0b\0\x03\0-\0c\0x\0",
    b"[InternetShortcut]\nURL=file://example.com/a.exe\n",
    b"\xE4\x52\x5C\x7B\x8C\xD8\xA7\x4D\xAE\xB1\x53\x78\xD0\x29\x96\xD3\xE7\x16\xE3\xBD\x65\x26\x11\x45\xA4\xC4\x8D\x4D\x0B\x7A\x9E\xAC\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0MZa\0.\0e\0x\0e\0",
    b"\x78\x9F\x3E\x22\x01\0\x01\x0F\x80\x06\0\x02\0\0\0MZ\0\0\x01\x10\x80\x01\0\x06\0\0\0a.exe\0\0\0",
];

const FEEDS: &[&[u8]] = &[
    b"# comment\nhttps://a.example/x\nhxxp://b[.]example/y # seen\nc.example\n1.2.3.4\n",
    b"uuid,event_id,category,type,value,comment,to_ids,date\n\"x\",1,\"n\",\"url\",\"http://h.example/a,b\",\"says \"\"hi\"\"\",1,2026\n",
    b"\"1\",\"2026-01-01 00:00:00\",\"http://d.example/z\",\"online\"\r\n",
    br#"{"response":[{"Event":{"Attribute":[{"type":"domain","value":"e.example","to_ids":true}]}}]}"#,
];

const POLICIES: &[&[u8]] = &[
    b"[[sensitive]]\nname = \"a\"\nentities = [\"IBAN_CODE\", \"SECRET_*\"]\ndirection = \"outward\"\nat_least = 3\naction = \"warn\"\n[[sensitive.except]]\nto = [\"*@bank.example\"]\n",
    b"dry_run = false\nown_domains = [\"corp.example\"]\nexecutives = [\"A B\", { name = \"C\", addresses = [\"c@d.example\"] }]\n[groups]\ng = [\"*@corp.example\"]\n[verdict]\nmalicious = \"remove\"\n[[rule]]\nname = \"r\"\nverdict = \"suspicious\"\nscore = 0.5\ndetectors = [\"link-*\"]\nsenders = \"any\"\nfrom_groups = [\"g\"]\naction = \"quarantine\"\ndry_run = true\n",
    b"[[sensitive]]\nname = \"\xc3\xa9\"\nseverity = \"low\"\naction = \"log\"\n",
];

const NAMED_FILES: &[&[u8]] = &[
    b"# ours\nproject heron\nstrictly secret\n",
    b"enough = 2\nphrases = [\"project heron\", \"strictly secret\"]\n",
    b"# two values\n00112233445566778899aabbccddeeff001122,00112233445566778899aabbccddeeff001133\n",
];

const LISTS: &[&[u8]] = &[
    b"kd 44 120 77\ne0815x",
    "Quentin É. Example; 1961-04-09, 極秘".as_bytes(),
    b"0123456789abcdef0123456789abcdef012345",
];

const MBOXES: &[&[u8]] = &[
    b"From a\nSubject: x\n\nbody\n\nFrom b\n\n>From c\n\n\n",
    b"before\nFrom a\r\nx\r\n\r\nFrom b",
    b"From \nFrom \n\n\n",
];

const FOLDER_PAGES: &[&[u8]] = &[
    br#"{"value":[{"id":"a","displayName":"Inbox","parentFolderId":"r","wellKnownName":"inbox"},{"id":"b","@removed":{"reason":"deleted"}}],"@odata.deltaLink":"https://g.example/v1.0/x"}"#,
    br#"{"value":[],"@odata.nextLink":"x"}"#,
];

const ITEM_PAGES: &[&[u8]] = &[
    br#"{"value":[{"id":"a","receivedDateTime":"2026-11-03T09:14:00Z","subject":"x","isRead":true,"isDraft":false,"hasAttachments":false,"categories":["Red"],"changeKey":"k","lastModifiedDateTime":"2026-11-03T09:14:00Z","flag":{"flagStatus":"flagged"},"importance":"high","from":{"emailAddress":{"name":"A","address":"a@b.example"}},"toRecipients":[],"internetMessageId":"<x@y>","singleValueExtendedProperties":[{"id":"Integer 0x0E07","value":"1"}]},{"id":"b","@removed":{"reason":"changed"}},{"id":"c"}],"@odata.nextLink":"https://g.example/x"}"#,
];

const EVENT_PAGES: &[&[u8]] = &[
    br#"{"value":[{"id":"a","changeKey":"k","subject":"x","type":"seriesMaster","start":{"dateTime":"2026-01-05T09:00:00.0000000","timeZone":"UTC"},"originalStartTimeZone":"W. Europe Standard Time","categories":["Red"],"importance":"high","organizer":{"emailAddress":{"address":"a@b.example"}}}],"@odata.nextLink":"https://g.example/v1.0/x"}"#,
    br#"{"value":[{"id":"a","changeKey":"k","start":{"dateTime":"9999-12-31T23:59:59","timeZone":"UTC"}},{"id":"b"},7]}"#,
];

const EVENTS: &[&[u8]] = &[
    // More digits than a number has: it is the nearest one, and stays it.
    br#"{"id":"a","changeKey":"k","subject":"x","start":{"dateTime":"2026-01-05T10:00:00","timeZone":"UTC"},"end":{"dateTime":"2026-01-05T11:00:00","timeZone":"UTC"},"x":10111111100000000000000000000000000000011111111111111}"#,
    br#"{"id":"a","changeKey":"k","iCalUId":"u","subject":"x","body":{"contentType":"html","content":"<p>x"},"start":{"dateTime":"2026-01-05T10:00:00.0000000","timeZone":"W. Europe Standard Time"},"end":{"dateTime":"2026-01-05T11:00:00.0000000","timeZone":"W. Europe Standard Time"},"isAllDay":false,"locations":[{"displayName":"Room"}],"attendees":[{"type":"optional","status":{"response":"accepted"},"emailAddress":{"name":"A","address":"a@b.example"}}],"isReminderOn":true,"reminderMinutesBeforeStart":15,"recurrence":{"pattern":{"type":"relativeYearly","interval":1,"month":10,"index":"last","daysOfWeek":["sunday"]},"range":{"type":"numbered","startDate":"2026-01-05","numberOfOccurrences":5}},"cancelledOccurrences":["OID.a.2026-01-12"],"exceptionOccurrences":[{"id":"e","originalStart":"2026-07-06T08:00:00Z","start":{"dateTime":"2026-07-07T10:00:00","timeZone":"UTC"},"end":{"dateTime":"2026-07-07T11:00:00","timeZone":"UTC"}}]}"#,
    br#"{"changeKey":"k","start":{"dateTime":"0001-01-01T00:00:00","timeZone":"x"},"end":{"dateTime":"9999-12-31T23:59:59"},"exceptionOccurrences":[{"originalStart":"9999-12-31T23:59:59Z","start":{"dateTime":"2026-07-07T10:00:00"},"end":{"dateTime":"2026-07-07T10:00:00"}},{"occurrenceId":"OID.9999-12-31"}]}"#,
];

const CONTACT_PAGES: &[&[u8]] = &[
    br#"{"value":[{"id":"a","changeKey":"k","createdDateTime":"2026-01-02T08:00:00Z","displayName":"Ann","givenName":"Ann","surname":"Lee","emailAddresses":[{"name":"A","address":"a@b.example"}],"businessPhones":["+1",null],"personalNotes":"x","birthday":"1974-07-22T00:00:00Z","homeAddress":{"city":"Town"}},{"id":"b","@removed":{"reason":"deleted"}},{"id":"c"}],"@odata.deltaLink":"https://g.example/x"}"#,
];

const BATCHES: &[&[u8]] = &[
    br#"{"responses":[{"id":"1","status":200,"headers":{"Content-Type":"application/json"},"body":{"id":"a","subject":"x"}},{"id":"0","status":429,"headers":{"Retry-After":"3"},"body":{"error":{"code":"ApplicationThrottled","message":"x"}}},{"id":"2","status":200,"headers":{"Content-Type":"text/plain"},"body":"U3ViamVjdDogeA0KDQo="}]}"#,
    br#"{"responses":[{"id":"0","status":503,"headers":{"Retry-After":"Fri, 27 Nov 2026 08:00:30 GMT","Date":"x"}},{"id":"0","status":204},{"id":7},[]]}"#,
];

const REFUSALS: &[&[u8]] = &[
    br#"{"error":{"code":"ErrorItemNotFound","message":"The specified object was not found in the store.","innerError":{"date":"2026-11-27T08:00:00","request-id":"x"}}}"#,
    b"<html><body>Bad gateway</body></html>",
    br#"{"error":"invalid_request","error_description":"x"}"#,
];

const TOKEN_ANSWERS: &[&[u8]] = &[
    br#"{"token_type":"Bearer","expires_in":3599,"ext_expires_in":3599,"access_token":"eyJ.e30.c2ln"}"#,
    br#"{"error":"invalid_client","error_description":"AADSTS700027: x\r\nTrace ID: y","error_codes":[700027],"timestamp":"2026-11-27 08:00:00Z","trace_id":"x","correlation_id":"y","error_uri":"https://e.example"}"#,
];

const WAITS: &[&[u8]] = &[
    b"120",
    b"Fri, 27 Nov 2026 08:00:30 GMT\nFri, 27 Nov 2026 08:00:00 GMT",
    b"Friday, 27-Nov-26 08:00:30 GMT\nFri Nov 27 08:00:30 2026",
];

const TASK_PAGES: &[&[u8]] = &[
    br#"{"value":[{"@odata.etag":"W/\"1\"","id":"t","title":"Shop","status":"completed","createdDateTime":"2026-03-01T10:00:00Z","lastModifiedDateTime":"2026-03-02T10:00:00Z","dueDateTime":{"dateTime":"2026-08-25T04:00:00.0000000","timeZone":"UTC"}},{"id":"u","@removed":{"reason":"deleted"}},{"id":"v"},7],"@odata.deltaLink":"https://g.example/x"}"#,
];

const TASKS: &[&[u8]] = &[
    br#"{"@odata.etag":"W/\"1\"","id":"t","title":"Shop","body":{"content":"<p>x","contentType":"html"},"status":"deferred","importance":"low","isReminderOn":true,"createdDateTime":"2026-03-01T10:00:00Z","lastModifiedDateTime":"2026-03-02T10:00:00Z","dueDateTime":{"dateTime":"2026-08-25T04:00:00.0000000","timeZone":"UTC"},"recurrence":{"pattern":{"type":"weekly","interval":1,"daysOfWeek":["monday"]},"range":{"type":"endDate","startDate":"2026-08-25","endDate":"2026-12-31"}},"displayName":"Milk","isChecked":true,"checkedDateTime":"9999-12-31T23:59:59-01:00","webUrl":"https://a.example"}"#,
];

const SETTINGS: &[&[u8]] = &[
    br#"{"timeZone":"UTC","automaticRepliesSetting":{"status":"scheduled"},"language":{"locale":"de-DE"}}"#,
    br#"{"value":[{"id":"AQ=","displayName":"Move","sequence":1,"isEnabled":true,"conditions":{"subjectContains":["x"]},"actions":{"moveToFolder":"f"}},{"displayName":"Nameless"},7]}"#,
];

const MAILBOX_ITEMS: &[&[u8]] = &[
    br#"{"value":[{"id":"n","changeKey":"CQ1","type":"IPM.StickyNote","size":700,"createdDateTime":"2026-03-01T10:00:00Z","lastModifiedDateTime":"2026-03-02T10:00:00Z","categories":["Blue"],"singleValueExtendedProperties":[{"id":"String 0x37","value":"Milk"},{"id":"Binary 0x300b","value":"q83v"}]},{"id":"m","@removed":{"reason":"deleted"}},7],"@odata.deltaLink":"https://g.example/x"}"#,
    br#"{"value":[]}"#,
];

const EXPORTED: &[&[u8]] = &[
    br#"{"value":[{"itemId":"a","changeKey":"k","data":"AQI="},{"itemId":"b","error":{"code":"ErrorItemNotFound","message":"It is gone."}}]}"#,
];

const USER_PAGES: &[&[u8]] = &[
    br#"{"value":[{"id":"a","mail":"a@b.example","displayName":"Ann","userType":"Member","accountEnabled":true},{"id":"b","mail":null},{"id":"c","@removed":{"reason":"changed"}},{"id":"d","displayName":"D"}],"@odata.deltaLink":"https://g.example/v1.0/users/delta?$deltatoken=x"}"#,
    br#"{"value":[],"@odata.nextLink":"x"}"#,
];

const SIGN_INS: &[&[u8]] = &[
    br#"{"value":[{"id":"1","createdDateTime":"2026-11-27T08:00:00Z","appId":"A-B","clientCredentialType":"clientAssertion","servicePrincipalCredentialKeyId":"c","servicePrincipalCredentialThumbprint":"0123456789ABCDEF0123456789ABCDEF01234567","ipAddress":"[2001:db8::1]:443","uniqueTokenIdentifier":"bEbLBbjJ9kWtVrb0DTRLAA==","correlationId":"00112233-4455-6677-8899-aabbccddeeff","resourceId":"r","status":{"errorCode":0}},{"id":"2"}],"@odata.nextLink":"https://g.example/beta/x"}"#,
];

const DIRECTORY_AUDITS: &[&[u8]] = &[
    br#"{"value":[{"id":"1","activityDateTime":"2026-11-27T08:00:00.7Z","activityDisplayName":"Update application ","result":"success","initiatedBy":{"user":{"userPrincipalName":"eve@x.example","ipAddress":"203.0.113.5"},"app":null},"targetResources":[{"id":"A","Type":"Application","displayName":"x","modifiedProperties":[{"displayName":"KeyDescription","newValue":"[]"},{"displayName":"Included Updated Properties","newValue":"\"a, b\""}]}]},{"id":"2","activityDateTime":"2026-11-27T08:00:00Z","activityDisplayName":"x","initiatedBy":{"app":{"servicePrincipalId":"P","displayName":"T"}}}]}"#,
];

const AUDIT_RECORDS: &[&[u8]] = &[
    br#"[{"Id":"1","CreationTime":"2026-11-27T08:00:00","Operation":"MailItemsAccessed","ClientAppId":"A","ClientIPAddress":"203.0.113.5:9","ClientRequestId":"00112233-4455-6677-8899-aabbccddeeff","MailboxOwnerUPN":"ann@x.example","AppAccessContext":{"UniqueTokenId":"abc"},"OperationProperties":[{"Name":"MailAccessType","Value":"Bind"},{"Name":"IsThrottled","Value":"True"}],"Folders":[{"Path":"\\Inbox","FolderItems":[{"ImmutableId":"i","InternetMessageId":"<1@x>"}]}]},{"Operation":"Send"}]"#,
    br#"{"value":[{"id":"2","auditData":{"Id":"r","CreationTime":"2026-11-27T08:00:00","RecordType":1,"Operation":"Set-TransportRule","ObjectId":"x.example\\Copy","UserId":"admin@x.example","ClientIP":"203.0.113.5:49152","ResultStatus":"True","Parameters":[{"Name":"BlindCopyTo","Value":"eve@y.example"}],"ModifiedProperties":[{"Name":"Enabled","OldValue":"False","NewValue":true}]}}]}"#,
    br#"{"value":[{"id":"1","createdDateTime":"2026-11-27T08:00:00Z","operation":"MailItemsAccessed","auditData":{"MailboxGuid":"g","Item":{"ParentFolder":{"Path":"\\Inbox"}}}}]}"#,
    br#"[{"contentId":"a$b","contentUri":"https://x.example/a"},{"contentId":"c"}]"#,
];

const ACTIVITY_LINES: &[&[u8]] = &[
    br#"{"time":"2026-11-27T08:00:00Z","category":"MicrosoftGraphActivityLogs","callerIpAddress":"203.0.113.5","properties":{"requestId":"R","appId":"A","signInActivityId":"abc==","clientRequestId":"x","requestMethod":"GET","requestUri":"https://graph.microsoft.com/v1.0/users?$top=5","responseStatusCode":200}}"#,
    br#"{"Type":"MicrosoftGraphActivityLogs","TimeGenerated":"2026-11-27T08:00:00Z","RequestId":"R","AppId":"A","RequestMethod":"GET","RequestUri":"/x","ResponseStatusCode":404,"IPAddress":"::1"}"#,
];

const REGISTRATIONS: &[&[u8]] = &[
    br#"{"id":"O","displayName":"Reader","accountEnabled":true,"keyCredentials":[{"keyId":"K","customKeyIdentifier":"aGVsbG8=","key":"AQID","startDateTime":"2026-11-01T00:00:00Z","endDateTime":"2026-12-01T00:00:00Z"}],"passwordCredentials":[{"keyId":"P","endDateTime":null}]}"#,
];

const ACCESS_POLICIES: &[&[u8]] = &[
    br#"{"value":[{"id":"P","displayName":"egress","state":"enabled","conditions":{"clientApplications":{"includeServicePrincipals":["ServicePrincipalsInMyTenant"],"excludeServicePrincipals":["X"]},"locations":{"includeLocations":["All"],"excludeLocations":["L"]}},"grantControls":{"builtInControls":["block"]}}]}"#,
    br#"{"value":[{"id":"L","displayName":"home","isTrusted":true,"ipRanges":[{"cidrAddress":"203.0.113.0/24"}]}]}"#,
];

const NOTIFICATIONS: &[&[u8]] = &[
    br#"{"value":[{"subscriptionId":"7f105c7d-2dc5-4530-97cd-4e7ae6534c07","subscriptionExpirationDateTime":"2026-11-30T11:00:00Z","clientState":"the provider's","changeType":"created","resource":"Users/u/Messages/m","resourceData":{"@odata.type":"","id":"m"},"tenantId":"t"},{"subscriptionId":"x","clientState":"","changeType":"updated"}]}"#,
    br#"{"value":[{"subscriptionId":"7f105c7d-2dc5-4530-97cd-4e7ae6534c07","clientState":"the provider's","lifecycleEvent":"subscriptionRemoved","tenantId":"t"},{"subscriptionId":"x","clientState":"y","lifecycleEvent":"missed"},{"lifecycleEvent":"reauthorizationRequired"}]}"#,
    br#"{"value":[{"subscriptionId":"NA","clientState":"NA","changeType":"Validation: x","resource":"NA"}],"validationTokens":null}"#,
];

const CALENDARS: &[&[u8]] = &[
    b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nATTACH;ENCODING=BASE64;VALUE=BINARY;X-FILENAME=\"a;b:c\":AAE\r\n C\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\nATTACH;ENCODING=BASE64:AAAA\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n",
    b"begin:VEVENT\nattach;encoding=base64:\nEND:VEVENT",
    b"BEGIN:VEVENT\r\nEND:VEVENT\r\n",
];

const CARDS: &[&[u8]] = &[
    b"BEGIN:VCARD\r\nPHOTO;ENCODING=b;TYPE=JPEG:/9j/\r\n 4AAQ\r\nEND:VCARD\r\n",
    b"item1.PHOTO;TYPE=\"x;y\";ENCODING=B:AA==\nEND:VCARD",
];

const LEDGERS: &[&[u8]] = &[
    b"{\"seq\":1,\"prev\":\"0000000000000000000000000000000000000000000000000000000000000000\",\"time\":\"2026-11-23T09:00:01Z\",\"event\":{\"kind\":\"started\",\"pid\":1,\"version\":\"0.1.0\"},\"hash\":\"8707c7d4ee57cdadadbdd5cf63d56349beaa3d6ce0622f39d5cdebf581ae91fb\"}\n{\"seq\":2,\"prev\":\"8707c7d4ee57cdadadbdd5cf63d56349beaa3d6ce0622f39d5cdebf581ae91fb\",\"time\":\"2026-11-23T09:00:02Z\",\"event\":{\"kind\":\"stopped\"},\"hash\":\"e5e5c4d66b8aeb1290c4ad5bc70979677f366a775a2d78fe6e509db76e574ba6\"}\n",
    b"{\"seq\":1,\"prev\":\"",
];

const RECEIPTS: &[&[u8]] = &[
    b"{\"seq\":1,\"prev\":\"0000000000000000000000000000000000000000000000000000000000000000\",\"time\":\"2026-11-23T09:00:01Z\",\"event\":{\"kind\":\"intended\",\"client_request_id\":\"00000000-0000-0000-0000-000000000001\",\"job\":\"job\",\"tenant\":\"acme\",\"function\":\"reader\",\"jti\":\"jti\"},\"hash\":\"c5a6b6548327eb02c182641741f114b6ce08b6eb9147ff290a11f04f161df672\"}\n{\"seq\":2,\"prev\":\"c5a6b6548327eb02c182641741f114b6ce08b6eb9147ff290a11f04f161df672\",\"time\":\"2026-11-23T09:00:02Z\",\"event\":{\"kind\":\"received\",\"client_request_id\":\"00000000-0000-0000-0000-000000000001\",\"expires\":\"2026-11-23T10:00:02Z\"},\"hash\":\"0ca86b83e000263d7cb18159a9f316d75b0a85785ad3bf8e18905cb70a752dab\"}\n",
    b"{\"begins_after\":{\"seq\":7,\"hash\":\"1111111111111111111111111111111111111111111111111111111111111111\"}}\n{\"seq\":8,\"prev\":\"1111111111111111111111111111111111111111111111111111111111111111\",\"time\":\"2026-11-23T09:00:02Z\",\"event\":{\"kind\":\"refused\",\"client_request_id\":\"00000000-0000-0000-0000-000000000001\",\"code\":\"700027\"},\"hash\":\"e7d2c5e2768e8f9dc1ed89574918e48f0f024a28752d235735c8067796dea2c5\"}\n",
    b"{\"begins_after\":{\"seq\":18446744073709551615,\"hash\":\"",
];

const WITNESS_LINES: &[&[u8]] = &[
    b"{\"seq\":1,\"hash\":\"0000000000000000000000000000000000000000000000000000000000000000\",\"time\":\"2026-11-23T09:00:02Z\",\"signature\":\"AAAA\",\"checkpoint_key\":\"BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}\n\n{\"seq\":2,\"hash\":\"0000000000000000000000000000000000000000000000000000000000000000\",\"time\":\"2026-11-23T09:00:02Z\",\"signature\":\"AAAA\"}\n",
    b"{\"seq\":3,\"hash\":\"0000000000000000000000000000000000000000000000000000000000000000\",\"time\":\"2026-11-23T09:00:02Z\",\"signature\":\"AAAA\",\"checkpoint_key\":\"BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\",\"follows\":{\"checkpoint\":{\"seq\":1,\"hash\":\"0000000000000000000000000000000000000000000000000000000000000000\",\"time\":\"2026-11-23T09:00:02Z\",\"signature\":\"AAAA\"},\"checkpoint_key\":\"BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}}",
    b"Whxqht+dQJax1aZeCGLxmgEAAAAMAAAADAAAABAAAAA=",
];

const FRAMES: &[&[u8]] = &[
    b"{\"v\":1,\"caller\":\"cli\",\"request\":{\"op\":\"follow\",\"lost\":null,\"earlier\":[],\"reason\":\"the disk\"}}",
    b"{\"v\":1,\"caller\":\"cli\",\"request\":{\"op\":\"store_secret\",\"job\":\"j-1\",\"tenant\":\"acme\",\"name\":\"repository\",\"secret\":\"x\"}}",
    b"\x00\x00\x00\x30{\"v\":1,\"caller\":\"cli\",\"request\":{\"op\":\"status\"}}",
    b"{\"v\":1,\"caller\":\"cli\",\"request\":{\"op\":\"release_secret\",\"job\":\"j-1\",\"tenant\":\"acme\",\"name\":\"repository\"}}",
    b"{\"v\":1,\"caller\":\"cli\",\"request\":{\"op\":\"enroll_worker\",\"name\":\"w\",\"limits\":{\"tenants\":[\"acme\"]},\"request_pem\":\"-\"}}",
    b"{\"v\":1,\"response\":{\"answer\":\"done\"}}",
    b"\x00\x00\x00\x02{}\xff\xff\xff\xff",
];
