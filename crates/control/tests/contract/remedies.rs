//! Remedies: ordered once, found before they are touched, put back once.

use crate::common::{at, mailbox, on_each_database, with_two_mailboxes};
use mailkeep_control::{
    AuditEntry, AuditFilter, Control, CopyState, CopyStep, FoundCopy, NewRemedy, Ordered,
    OrderedBy, RemedyAction, RemedyId, RemedySubject,
};
use mailkeep_model::{FolderId, ItemId, MailboxId, TenantName};
use serde_json::json;
use time::Duration;

const ID: &str = "<bad@own.example>";
const MONTH: Duration = Duration::days(30);

fn order(action: RemedyAction, by: OrderedBy, seconds: i64) -> NewRemedy {
    NewRemedy {
        action,
        subject: RemedySubject::Message(ID.into()),
        mailbox: None,
        by,
        why: "a complaint".into(),
        ordered: at(seconds),
        open_until: at(seconds) + Duration::days(1),
    }
}

fn person() -> OrderedBy {
    OrderedBy::Person("ann".into())
}

fn rule() -> OrderedBy {
    OrderedBy::Rule("bad links".into())
}

async fn give(control: &Control, tenant: &TenantName, new: NewRemedy) -> Ordered {
    let entry = AuditEntry {
        time: new.ordered,
        actor: new.by.to_string(),
        action: format!("remedy.{}", new.action.as_str()),
        tenant: Some(tenant.clone()),
        details: json!({}),
    };
    control.order_remedy(tenant, new, entry).await.unwrap()
}

fn copy(item: &str, folder: &str, seconds: i64) -> FoundCopy {
    FoundCopy {
        mailbox: mailbox("ann"),
        item: ItemId(item.into()),
        message_id: ID.into(),
        folder: FolderId(folder.into()),
        marks: json!({"read": true}),
        state: CopyState::Found,
        seen: at(seconds),
    }
}

/// Does what is due, as somebody does whose every step succeeds.
async fn act(control: &Control, tenant: &TenantName, seconds: i64) -> usize {
    let due = control.copies_due(tenant, at(seconds), 100).await.unwrap();
    let count = due.len();
    let step = |state| CopyStep::Settled { state, note: None };
    let steps = due.into_iter().map(|copy| {
        let state = match (copy.wanted, copy.found.state) {
            (CopyState::Removed, CopyState::Removed)
                if copy.purge_at.is_some_and(|time| time <= at(seconds)) =>
            {
                CopyState::Purged
            }
            (wanted, _) => wanted,
        };
        (copy, step(state))
    });
    control.copies_stepped(steps.collect(), at(seconds), MONTH).await.unwrap();
    count
}

async fn states(control: &Control, remedy: RemedyId) -> Vec<(String, CopyState, String)> {
    let copies = control.remedy_copies(remedy).await.unwrap().into_iter();
    copies.map(|one| (one.found.item.0, one.found.state, one.found.folder.0)).collect()
}

#[tokio::test]
async fn an_order_that_many_verdicts_give_is_one_order_with_one_entry_in_the_audit_log() {
    on_each_database(async |control| {
        let tenant = with_two_mailboxes(&control).await;
        let first = give(&control, &tenant, order(RemedyAction::Quarantine, rule(), 0)).await;
        let Ordered::New(id) = first else { panic!("{first:?}") };
        for seconds in 1..4 {
            let again = order(RemedyAction::Quarantine, rule(), seconds);
            assert_eq!(give(&control, &tenant, again).await, Ordered::Again(id));
        }
        let log = control.audit_entries(&AuditFilter::default()).await.unwrap();
        assert_eq!(log.iter().filter(|one| one.action.starts_with("remedy")).count(), 1);
        let ann = mailbox("ann").id;
        let about = control.remedies_about(&tenant, &ann, &[ID, "<other>"], at(5)).await.unwrap();
        assert_eq!(about.get(ID), Some(&id));
        // A person who gives the same order is told of, and not bound by what binds a rule.
        let by_ann = give(&control, &tenant, order(RemedyAction::Quarantine, person(), 6)).await;
        let Ordered::New(id) = by_ann else { panic!("{by_ann:?}") };
        let again = order(RemedyAction::Quarantine, person(), 7);
        assert_eq!(give(&control, &tenant, again).await, Ordered::Again(id));
        let log = control.audit_entries(&AuditFilter::default()).await.unwrap();
        assert_eq!(log.iter().filter(|one| one.action.starts_with("remedy")).count(), 3);
        control.remedy_searched(id, at(8), &[], None).await.unwrap();
        // A day later it is not open any more: that is another order.
        let later = order(RemedyAction::Quarantine, rule(), 86_409);
        assert!(matches!(give(&control, &tenant, later).await, Ordered::New(next) if next > id));
    })
    .await;
}

#[tokio::test]
async fn what_a_person_put_back_is_taken_again_by_a_person_and_by_no_rule() {
    on_each_database(async |control| {
        let tenant = with_two_mailboxes(&control).await;
        let taken = give(&control, &tenant, order(RemedyAction::Quarantine, rule(), 0)).await.id();
        control.remedy_found(&tenant, taken, &[copy("i", "inbox", 1)], at(1)).await.unwrap();
        assert_eq!(act(&control, &tenant, 2).await, 1);
        let back = give(&control, &tenant, order(RemedyAction::Release, person(), 3)).await.id();
        assert_eq!(act(&control, &tenant, 4).await, 1);
        let released = vec![("i".to_owned(), CopyState::Released, "inbox".to_owned())];
        assert_eq!(states(&control, back).await, released);
        assert_eq!(states(&control, taken).await, released, "the first order tells the same");

        // The order that took it is closed, and what a search had found before does not count.
        let late = [copy("i", "inbox", 2)];
        assert_eq!(control.remedy_found(&tenant, taken, &late, at(5)).await.unwrap(), 0);
        let by_rule = give(&control, &tenant, order(RemedyAction::Quarantine, rule(), 6)).await;
        assert_eq!(by_rule, Ordered::Overruled(back));

        let by_ann = give(&control, &tenant, order(RemedyAction::Quarantine, person(), 7)).await;
        let Ordered::New(again) = by_ann else { panic!("{by_ann:?}") };
        let moved = [copy("i", "projects", 8)];
        assert_eq!(control.remedy_found(&tenant, again, &moved, at(8)).await.unwrap(), 1);
        act(&control, &tenant, 9).await;
        let taken = vec![("i".to_owned(), CopyState::Quarantined, "projects".to_owned())];
        assert_eq!(states(&control, again).await, taken, "it goes back to where it lay last");
    })
    .await;
}

#[tokio::test]
async fn after_a_crash_in_the_middle_it_is_known_where_a_copy_lay() {
    on_each_database(async |control| {
        let tenant = with_two_mailboxes(&control).await;
        let id = give(&control, &tenant, order(RemedyAction::Remove, person(), 0)).await.id();
        control.remedy_found(&tenant, id, &[copy("i", "inbox", 1)], at(1)).await.unwrap();
        // Moved, and the process ended. The next search sees it in the quarantine.
        let there = FoundCopy { state: CopyState::Quarantined, ..copy("i", "quarantine", 2) };
        control.remedy_found(&tenant, id, &[there], at(2)).await.unwrap();
        assert_eq!(act(&control, &tenant, 3).await, 1, "what was begun is due");
        let removed = vec![("i".to_owned(), CopyState::Removed, "inbox".to_owned())];
        assert_eq!(states(&control, id).await, removed);

        // Its owner gets it out again: it is taken again. A page that tells late is not taken for that.
        let old = [copy("i", "inbox", 2)];
        assert_eq!(control.remedy_found(&tenant, id, &old, at(4)).await.unwrap(), 0);
        let out = [copy("i", "other", 5)];
        assert_eq!(control.remedy_found(&tenant, id, &out, at(5)).await.unwrap(), 1);
        act(&control, &tenant, 6).await;

        // Nothing is due until it is deleted for good, and that only once.
        assert_eq!(act(&control, &tenant, 7).await, 0);
        let month = MONTH.whole_seconds();
        assert_eq!(act(&control, &tenant, month + 10).await, 1);
        assert_eq!(act(&control, &tenant, 9 * month).await, 0);
        let purged = vec![("i".to_owned(), CopyState::Purged, "other".to_owned())];
        assert_eq!(states(&control, id).await, purged);
    })
    .await;
}

#[tokio::test]
async fn one_who_is_released_while_it_is_moved_is_not_left_in_quarantine() {
    on_each_database(async |control| {
        let tenant = with_two_mailboxes(&control).await;
        let id = give(&control, &tenant, order(RemedyAction::Quarantine, person(), 0)).await.id();
        control.remedy_found(&tenant, id, &[copy("i", "inbox", 1)], at(1)).await.unwrap();
        let [due] = &control.copies_due(&tenant, at(1), 10).await.unwrap()[..] else { panic!() };
        let back = give(&control, &tenant, order(RemedyAction::Release, person(), 2)).await.id();
        // The move that was under way comes to its end now.
        let step = CopyStep::Settled { state: CopyState::Quarantined, note: None };
        control.copies_stepped(vec![(due.clone(), step)], at(3), MONTH).await.unwrap();
        assert_eq!(control.remedy_work(at(3)).await.unwrap(), std::slice::from_ref(&tenant));
        assert_eq!(act(&control, &tenant, 3).await, 1);
        assert_eq!(states(&control, back).await[0].1, CopyState::Released);
    })
    .await;
}

#[tokio::test]
async fn an_order_about_a_file_reaches_the_messages_that_carry_it_now_and_later() {
    on_each_database(async |control| {
        let tenant = with_two_mailboxes(&control).await;
        let file = RemedySubject::Attachment("ab".repeat(32));
        let link = RemedySubject::Link("https://evil.example/".into());
        let parts = [("<one>".to_owned(), file.clone()), ("<one>".to_owned(), link.clone())];
        control.note_message_parts(&tenant, &parts, at(0)).await.unwrap();
        control.note_message_parts(&tenant, &parts, at(1)).await.unwrap();
        let about_file =
            NewRemedy { subject: file.clone(), ..order(RemedyAction::Remove, person(), 2) };
        let id = give(&control, &tenant, about_file).await.id();
        let (_, stored) = control.remedy(id).await.unwrap().unwrap();
        assert_eq!(stored.messages, ["<one>"]);

        let later = [("<two>".to_owned(), file.clone())];
        let about = control.remedies_about_parts(&tenant, &later, at(3)).await.unwrap();
        assert_eq!(about, [(id, "<two>".to_owned())]);
        assert!(control.remedy_reaches(id, "<two>", at(3)).await.unwrap());
        assert!(!control.remedy_reaches(id, "<two>", at(3)).await.unwrap());
        let other = [("<three>".to_owned(), link)];
        assert!(control.remedies_about_parts(&tenant, &other, at(3)).await.unwrap().is_empty());

        // What is forgotten does not make an order forget what it found.
        assert_eq!(control.forget_message_parts(at(9)).await.unwrap(), 2);
        assert!(control.messages_with(&tenant, &file).await.unwrap().is_empty());
        assert_eq!(control.remedy(id).await.unwrap().unwrap().1.messages.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_search_that_was_asked_for_meanwhile_is_not_forgotten() {
    on_each_database(async |control| {
        let tenant = with_two_mailboxes(&control).await;
        let quarantine = |seconds| order(RemedyAction::Quarantine, person(), seconds);
        let id = give(&control, &tenant, quarantine(0)).await.id();
        // A search begins; somebody gives the order again; the search ends.
        give(&control, &tenant, quarantine(5)).await;
        control.remedy_searched(id, at(1), &[], Some(at(60))).await.unwrap();
        assert_eq!(control.remedies_due(&tenant, at(6)).await.unwrap().len(), 1);
        control.remedy_searched(id, at(6), &[], None).await.unwrap();
        assert!(control.remedies_due(&tenant, at(99)).await.unwrap().is_empty());
        assert!(control.remedy_work(at(99)).await.unwrap().is_empty());
        // Only where it is known: in one mailbox, nothing of others is put back.
        let only = MailboxId("another".into());
        let new = NewRemedy { mailbox: Some(only), ..order(RemedyAction::Release, person(), 9) };
        let back = give(&control, &tenant, new).await.id();
        assert!(states(&control, back).await.is_empty());
        assert_eq!(control.open_remedies(&tenant, at(10)).await.unwrap().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn removing_what_is_about_to_be_put_back_deletes_nothing_before_its_time() {
    on_each_database(async |control| {
        let tenant = with_two_mailboxes(&control).await;
        let remove = |seconds| order(RemedyAction::Remove, person(), seconds);
        let id = give(&control, &tenant, remove(0)).await.id();
        control.remedy_found(&tenant, id, &[copy("i", "inbox", 1)], at(1)).await.unwrap();
        act(&control, &tenant, 2).await;
        // It is to be put back, and cannot be now. Somebody removes it once more.
        give(&control, &tenant, order(RemedyAction::Release, person(), 3)).await;
        let due = control.copies_due(&tenant, at(3), 10).await.unwrap();
        let step = CopyStep::Postponed { note: "throttled".into(), until: at(9_000) };
        let steps = due.into_iter().map(|copy| (copy, step.clone())).collect();
        control.copies_stepped(steps, at(4), MONTH).await.unwrap();
        let again = give(&control, &tenant, remove(5)).await.id();
        let there = FoundCopy { state: CopyState::Quarantined, ..copy("i", "quarantine", 6) };
        assert_eq!(control.remedy_found(&tenant, again, &[there], at(6)).await.unwrap(), 1);
        for seconds in [7, 8, 9_001] {
            act(&control, &tenant, seconds).await;
        }
        let removed = vec![("i".to_owned(), CopyState::Removed, "inbox".to_owned())];
        assert_eq!(states(&control, again).await, removed, "and it is known where it lay");
        assert_eq!(act(&control, &tenant, MONTH.whole_seconds() + 8).await, 1);
        assert_eq!(states(&control, again).await[0].1, CopyState::Purged);
    })
    .await;
}

#[tokio::test]
async fn an_order_that_nobody_could_carry_out_for_a_day_is_carried_out_then() {
    on_each_database(async |control| {
        let tenant = with_two_mailboxes(&control).await;
        let ann = mailbox("ann").id;
        let id = give(&control, &tenant, order(RemedyAction::Quarantine, person(), 0)).await.id();
        let late = 90_000;
        let found = [copy("i", "inbox", late)];
        assert_eq!(control.remedy_found(&tenant, id, &found, at(late)).await.unwrap(), 1);
        control.remedy_searched(id, at(late), &[], Some(at(late + 15))).await.unwrap();
        let open = async |seconds| {
            let about = control.remedies_about(&tenant, &ann, &[ID], at(seconds)).await.unwrap();
            !about.is_empty()
                && !control.open_remedies(&tenant, at(seconds)).await.unwrap().is_empty()
        };
        assert!(open(late + 86_399).await, "the day begins when it is first looked");
        assert!(!open(late + 86_401).await);
    })
    .await;
}

#[tokio::test]
async fn an_order_for_one_mailbox_takes_nothing_out_of_others() {
    on_each_database(async |control| {
        let tenant = with_two_mailboxes(&control).await;
        let everywhere = order(RemedyAction::Quarantine, person(), 0);
        let all = give(&control, &tenant, everywhere).await.id();
        let only = MailboxId("another".into());
        let new = NewRemedy { mailbox: Some(only), ..order(RemedyAction::Remove, person(), 1) };
        let one = give(&control, &tenant, new).await.id();
        assert_eq!(
            control.remedy_found(&tenant, one, &[copy("i", "inbox", 2)], at(2)).await.unwrap(),
            0
        );
        assert!(states(&control, one).await.is_empty());
        let ann = mailbox("ann").id;
        let about = control.remedies_about(&tenant, &ann, &[ID], at(2)).await.unwrap();
        assert_eq!(about.get(ID), Some(&all), "the order for all is not hidden by that for one");
    })
    .await;
}

#[tokio::test]
async fn what_is_ordered_while_mail_is_being_put_back_is_done_after_that() {
    on_each_database(async |control| {
        let tenant = with_two_mailboxes(&control).await;
        let quarantine = |seconds| order(RemedyAction::Quarantine, person(), seconds);
        let first = give(&control, &tenant, quarantine(0)).await.id();
        control.remedy_found(&tenant, first, &[copy("i", "inbox", 1)], at(1)).await.unwrap();
        act(&control, &tenant, 2).await;
        give(&control, &tenant, order(RemedyAction::Release, person(), 3)).await;
        // Ordered before it is back, found after.
        let again = give(&control, &tenant, quarantine(4)).await.id();
        act(&control, &tenant, 5).await;
        assert_eq!(
            control.remedy_found(&tenant, again, &[copy("i", "inbox", 6)], at(6)).await.unwrap(),
            1
        );
        // A release before it is taken has the last word all the same.
        give(&control, &tenant, order(RemedyAction::Release, person(), 7)).await;
        act(&control, &tenant, 8).await;
        assert_eq!(states(&control, again).await[0].1, CopyState::Released);
    })
    .await;
}

#[tokio::test]
async fn what_could_not_be_put_back_is_not_said_to_have_lain_in_quarantine() {
    on_each_database(async |control| {
        let tenant = with_two_mailboxes(&control).await;
        let quarantine = |seconds| order(RemedyAction::Quarantine, person(), seconds);
        let first = give(&control, &tenant, quarantine(0)).await.id();
        control.remedy_found(&tenant, first, &[copy("i", "inbox", 1)], at(1)).await.unwrap();
        act(&control, &tenant, 2).await;
        let only = NewRemedy {
            mailbox: Some(mailbox("ann").id),
            ..order(RemedyAction::Release, person(), 3)
        };
        let back = give(&control, &tenant, only).await.id();
        let due = control.copies_due(&tenant, at(3), 10).await.unwrap();
        let failed = CopyStep::Settled { state: CopyState::Failed, note: None };
        let steps = due.into_iter().map(|copy| (copy, failed.clone())).collect();
        control.copies_stepped(steps, at(4), MONTH).await.unwrap();
        // The first order goes on elsewhere; what a person wants back here it does not take again.
        let there = FoundCopy { state: CopyState::Quarantined, ..copy("i", "quarantine", 5) };
        let there = [there];
        assert_eq!(control.remedy_found(&tenant, first, &there, at(5)).await.unwrap(), 0);
        assert_eq!(states(&control, back).await[0].1, CopyState::Failed);
        let again = give(&control, &tenant, quarantine(6)).await.id();
        assert_eq!(control.remedy_found(&tenant, again, &there, at(7)).await.unwrap(), 1);
        act(&control, &tenant, 8).await;
        let taken = vec![("i".to_owned(), CopyState::Quarantined, "inbox".to_owned())];
        assert_eq!(states(&control, again).await, taken);
    })
    .await;
}

#[tokio::test]
async fn no_rule_takes_what_a_person_put_back_in_one_mailbox_alone() {
    on_each_database(async |control| {
        let tenant = with_two_mailboxes(&control).await;
        let first = give(&control, &tenant, order(RemedyAction::Quarantine, rule(), 0)).await.id();
        control.remedy_found(&tenant, first, &[copy("i", "inbox", 1)], at(1)).await.unwrap();
        act(&control, &tenant, 2).await;
        let only = NewRemedy {
            mailbox: Some(mailbox("ann").id),
            ..order(RemedyAction::Release, person(), 3)
        };
        give(&control, &tenant, only).await;
        act(&control, &tenant, 4).await;
        let by_rule = give(&control, &tenant, order(RemedyAction::Remove, rule(), 5)).await;
        let Ordered::New(by_rule) = by_rule else { panic!("{by_rule:?}") };
        let seen = [copy("i", "inbox", 6)];
        assert_eq!(control.remedy_found(&tenant, by_rule, &seen, at(6)).await.unwrap(), 0);
        let by_ann = give(&control, &tenant, order(RemedyAction::Remove, person(), 7)).await;
        let Ordered::New(by_ann) = by_ann else { panic!("{by_ann:?}") };
        assert_eq!(control.remedy_found(&tenant, by_ann, &seen, at(7)).await.unwrap(), 1);
    })
    .await;
}

#[tokio::test]
async fn messages_that_are_too_many_for_one_order_are_told_and_reached_by_the_next() {
    on_each_database(async |control| {
        let tenant = with_two_mailboxes(&control).await;
        let link = RemedySubject::Link("https://evil.example/".into());
        let parts: Vec<_> =
            (0..501).map(|number| (format!("<{number}@x.example>"), link.clone())).collect();
        control.note_message_parts(&tenant, &parts, at(0)).await.unwrap();
        let order = |seconds| NewRemedy {
            subject: link.clone(),
            ..order(RemedyAction::Quarantine, person(), seconds)
        };
        let id = give(&control, &tenant, order(1)).await.id();
        let left_out = async || {
            let (_, stored) = control.remedy(id).await.unwrap().unwrap();
            control.messages_left_out(&tenant, &stored).await.unwrap()
        };
        assert_eq!(left_out().await, 1);
        assert_eq!(give(&control, &tenant, order(2)).await, Ordered::Again(id));
        assert_eq!(left_out().await, 0);
    })
    .await;
}
