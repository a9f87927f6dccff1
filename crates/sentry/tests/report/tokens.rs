//! What each token read, and until when it works.

use mailkeep_model::{Breadth, MailAccess};
use mailkeep_sentry::{
    Accessor, BlastRadius, Reconciliation, Records, RogueToken, SeenTimes, Settings, Span,
    blast_radius,
};
use time::Duration;

use crate::made::{at, message};

const ANNA: &str = "anna@contoso.example";
const CLIENT: &str = "7c2f0a51-6d0e-4d7a-9a1b-2f4e8c1d9b30";

/// A read of messages with the token that was got at the beginning.
fn read(minutes: i64, breadth: Breadth, messages: &[usize]) -> MailAccess {
    MailAccess {
        id: format!("{minutes}"),
        at: at(minutes),
        client_id: Some(CLIENT.to_owned()),
        uti: Some("stolen".to_owned()),
        client_request_id: None,
        address: None,
        mailbox: ANNA.to_owned(),
        mailbox_id: None,
        breadth,
        messages: messages.iter().map(|number| message("m", *number)).collect(),
        throttled: false,
    }
}

fn radius(accesses: Vec<MailAccess>, from: i64) -> BlastRadius {
    let his = |access: &MailAccess| Accessor::Foreign {
        incident: "stolen_key".to_owned(),
        messages: (0..access.messages.len()).collect(),
    };
    let settings = Settings::default();
    let found = Reconciliation {
        sign_ins: Vec::new(),
        accesses: accesses.iter().map(his).collect(),
        calls: Vec::new(),
        rogue: vec![RogueToken {
            uti: Some("stolen".to_owned()),
            client_id: CLIENT.to_owned(),
            at: at(0),
            address: None,
            with: "our certificate".to_owned(),
            incident: "stolen_key".to_owned(),
            ends: at(0) + settings.longest_token,
        }],
        incidents: Vec::new(),
        seen: SeenTimes::default(),
    };
    let records = Records { accesses, ..Records::default() };
    let span = Span { from: at(from), to: at(60 * 24 * 7) };
    blast_radius(&records, &found, &[ANNA.to_owned()], &settings, span)
}

#[test]
fn what_a_token_read_is_told_message_by_message_and_each_once() {
    let reads = vec![
        read(5, Breadth::Messages, &[0, 1]),
        read(9, Breadth::Messages, &[1, 2]),
        read(11, Breadth::Folders, &[0]),
    ];
    let radius = radius(reads, 0);
    let [token] = radius.tokens.as_slice() else { panic!("{:?}", radius.tokens) };
    assert_eq!(token.messages, 3);
    assert_eq!(token.read[ANNA].messages, radius.mailboxes[ANNA].messages);
    assert_eq!(token.read[ANNA].folders, radius.mailboxes[ANNA].folders);
    assert!(token.read[ANNA].folders.contains(r"\Inbox"));
}

#[test]
fn a_token_that_was_used_later_than_others_live_is_not_said_to_have_ended_with_them() {
    let soon = radius(vec![read(60, Breadth::Messages, &[0])], 0);
    assert_eq!(soon.tokens[0].ends_without_cae, Some(at(90)));
    assert_eq!(soon.live_until_without_cae, Some(at(90)));
    let late = radius(vec![read(300, Breadth::Messages, &[0])], 0);
    assert_eq!(late.tokens[0].ends_without_cae, None);
    assert_eq!(late.live_until_without_cae, None);
    assert_eq!(late.live_until, Some(at(0) + Duration::hours(28)));
}

#[test]
fn a_report_of_last_week_has_no_token_of_the_week_before_and_counts_no_read_of_it() {
    let day = 24 * 60;
    assert_eq!(radius(vec![read(5, Breadth::Messages, &[0])], 3 * day).tokens, []);
    let two = vec![read(5, Breadth::Messages, &[0]), read(200, Breadth::Messages, &[1])];
    let later = radius(two, 100);
    assert_eq!(later.tokens[0].messages, 1);
    assert_eq!(later.mailboxes[ANNA].messages.len(), 1);
}
