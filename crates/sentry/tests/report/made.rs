//! Reports to be shown.

use std::collections::{BTreeMap, BTreeSet};

use mailkeep_model::AccessedMessage;
use mailkeep_sentry::{
    BlastRadius, LogSource, Logs, MailboxReach, Settle, Span, Spans, State, Stretch, TokenReach,
    TokenRead,
    report::{BlastReport, IncidentState, KeysRevoked, ReportedIncident},
};
use time::{Duration, OffsetDateTime, macros::datetime};

const BEGIN: OffsetDateTime = datetime!(2026-11-01 00:00 UTC);
const READ: OffsetDateTime = datetime!(2026-11-20 03:12 UTC);
const NOW: OffsetDateTime = datetime!(2026-11-27 12:00 UTC);
const CLIENT: &str = "7c2f0a51-6d0e-4d7a-9a1b-2f4e8c1d9b30";

/// Minutes after the beginning of the reports.
pub(crate) fn at(minutes: i64) -> OffsetDateTime {
    BEGIN + Duration::minutes(minutes)
}

pub(crate) fn message(of: &str, number: usize) -> AccessedMessage {
    AccessedMessage {
        item: Some(format!("AAkALgAAAAAAHYQDEapmEc2byACqAC{of}{number}")),
        message_id: Some(match of {
            "m" => format!("<m{number}@contoso.example>"),
            _ => format!("<CAJx0-{of}.{number}.1732608000000@mail.partner.example>"),
        }),
        folder: Some(
            if number.is_multiple_of(3) { r"\Inbox" } else { r"\Inbox\Projects" }.to_owned(),
        ),
    }
}

/// Two stretches, as a log that comes and goes makes them.
pub(crate) fn pieces(number: i64) -> [Stretch; 2] {
    let span = |from: i64, to: i64| Span {
        from: BEGIN + Duration::seconds(20 * number + from),
        to: BEGIN + Duration::seconds(20 * number + to),
    };
    [
        Stretch { span: span(0, 15), state: State::NotAccessed },
        Stretch { span: span(15, 20), state: State::Blind },
    ]
}

fn timeline(read: &[(OffsetDateTime, i64)]) -> Vec<Stretch> {
    let mut all = Vec::new();
    let mut from = BEGIN;
    let mut add = |to: OffsetDateTime, state| {
        all.push(Stretch { span: Span { from, to }, state });
        from = to;
    };
    add(BEGIN + Duration::hours(7), State::Blind);
    add(datetime!(2026-11-12 08:00 UTC), State::NotAccessed);
    add(datetime!(2026-11-13 20:00 UTC), State::Blind);
    for (begin, minutes) in read {
        add(*begin, State::NotAccessed);
        add(*begin + Duration::minutes(*minutes), State::Accessed);
    }
    add(NOW - Duration::hours(24), State::NotAccessed);
    add(NOW, State::Blind);
    all
}

fn logs() -> Logs {
    let read = |settle| {
        let holes = Spans::default();
        LogSource::Read { since: BEGIN, until: NOW, settle: Settle(settle), holes }
    };
    Logs {
        sign_ins: read(12 * 3600),
        mail: read(24 * 3600),
        calls: LogSource::Absent {
            why:
                "nobody exports it to us: Entra ID, Diagnostic settings, MicrosoftGraphActivityLogs"
                    .to_owned(),
        },
    }
}

/// A tenant in which nobody else is seen.
pub(crate) fn quiet(tenant: &str) -> BlastReport {
    let reach = || MailboxReach { timeline: timeline(&[]), ..MailboxReach::default() };
    let mailboxes = (0..43).map(|n| (format!("user{n:02}@contoso.example"), reach())).collect();
    BlastReport {
        tenant: tenant.parse().expect("a name"),
        radius: BlastRadius {
            span: Span { from: BEGIN, to: NOW },
            tokens: Vec::new(),
            mailboxes,
            live_until: None,
            live_until_without_cae: None,
        },
        logs: logs(),
        incidents: Vec::new(),
        revoked: Vec::new(),
    }
}

fn token(uti: Option<&str>, got: Option<OffsetDateTime>, ends: OffsetDateTime) -> TokenReach {
    TokenReach {
        uti: uti.map(str::to_owned),
        client_id: CLIENT.to_owned(),
        got,
        address: Some("203.0.113.77".parse().expect("an address")),
        with: got.map(|_| "our certificate 4F2A…90 (reader)".to_owned()),
        ends,
        ends_without_cae: Some(ends - Duration::hours(28) + Duration::minutes(90)),
        messages: 0,
        mailboxes: BTreeSet::new(),
        read: BTreeMap::new(),
        requests: 0,
    }
}

/// Three tokens, two mailboxes, and what was done about it.
pub(crate) fn theft() -> BlastReport {
    let mut report = quiet("contoso");
    let (anna, board) = ("anna@contoso.example", "board@contoso.example");
    let his: Vec<AccessedMessage> = (0..42).map(|number| message("m", number)).collect();
    let folders = BTreeSet::from([r"\Inbox\Board".to_owned()]);
    let mut first = token(Some("k2V0dGxlLWRydW0"), Some(READ), READ + Duration::hours(28));
    let read = TokenRead { messages: his.iter().cloned().collect(), folders: BTreeSet::new() };
    first.read.insert(anna.to_owned(), read);
    first.ends_without_cae = None;
    let mut second =
        token(Some("b3BlbiBzZXNhbWU"), Some(at(60 * 24 * 20)), at(60 * 24 * 20 + 28 * 60));
    let read = TokenRead { messages: his[..2].iter().cloned().collect(), folders: BTreeSet::new() };
    second.read.insert(anna.to_owned(), read);
    let mut third = token(None, None, NOW + Duration::hours(27));
    third.read.insert(
        board.to_owned(),
        TokenRead { messages: BTreeSet::new(), folders: folders.clone() },
    );
    third.requests = 311;
    report.radius.tokens = vec![first, second, third];
    for token in &mut report.radius.tokens {
        token.messages = token.read.values().map(|read| read.messages.len() as u64).sum();
        token.mailboxes = token.read.keys().cloned().collect();
    }
    let reach = MailboxReach {
        messages: his.into_iter().collect(),
        records: 44,
        timeline: timeline(&[(READ, 28), (datetime!(2026-11-21 00:05 UTC), 2)]),
        ..MailboxReach::default()
    };
    report.radius.mailboxes.insert(anna.to_owned(), reach);
    let reach = MailboxReach {
        folders,
        records: 1,
        unattributed: 3,
        timeline: timeline(&[(datetime!(2026-11-25 22:40 UTC), 2)]),
        ..MailboxReach::default()
    };
    report.radius.mailboxes.insert(board.to_owned(), reach);
    report.radius.live_until = Some(NOW + Duration::hours(27));
    report.radius.live_until_without_cae = Some(NOW + Duration::minutes(30));
    let incident = |id, kind: &str, state, closed: Option<OffsetDateTime>| ReportedIncident {
        id,
        kind: kind.to_owned(),
        opened: READ + Duration::minutes(15),
        state,
        closed,
        note: closed.map(|_| "an administrator tried the wrong certificate".to_owned()),
    };
    report.incidents = vec![
        incident(14, "stolen_key", IncidentState::Acknowledged, None),
        incident(13, "foreign_token", IncidentState::Open, None),
        incident(9, "failed_attempt", IncidentState::Closed, Some(READ + Duration::hours(5))),
    ];
    let reason = "a foreign key in use".to_owned();
    report.revoked = vec![KeysRevoked { at: READ + Duration::minutes(31), reason }];
    report
}
