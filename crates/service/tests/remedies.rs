//! Taking mail back: what stands in the way of a copy, and that it comes back as it was.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;

use common::{TINY, World};
use mailkeep_control::CopyStep;
use mailkeep_model::Address;
use mailkeep_service::{
    ErrorKind, ServiceError,
    remedy::{CopyState, Order, OrderedBy, Reach, RemedyAction, RemedyReport, UNDO_FOR, Which},
};
use serde_json::{Value, json};
use time::OffsetDateTime;

const ID: &str = "<bad@lab.example>";

async fn world() -> World {
    let world = World::with(|options| options.mailboxes = Some(4), TINY).await;
    world.pass().await;
    world.set_up_responder(&["Mail.ReadWrite"]).await;
    world
}

impl World {
    fn address(&self, number: usize) -> Address {
        self.lab.description().tenants[0].mailboxes[number].parse().unwrap()
    }

    async fn send(&self, to: &[usize]) {
        let to: Vec<_> = to.iter().map(|number| self.address(*number)).collect();
        let from = self.address(0);
        let mime = format!(
            "From: {from}\r\nSubject: bad\r\nMessage-ID: {ID}\r\n\
             Content-Type: text/html\r\n\r\n<a href=\"https://evil.example/x\">here</a>\r\n"
        );
        self.admin.order("send", json!({"from": from, "to": to, "mime": mime})).await;
    }

    fn order(&self, action: RemedyAction, which: Which) -> Order {
        Order {
            tenant: self.tenant.clone(),
            action,
            which,
            reach: Reach::Everywhere,
            by: OrderedBy::Person("ann".into()),
            why: String::new(),
            at: OffsetDateTime::now_utc(),
        }
    }

    async fn carry_out(&self, order: Order) -> RemedyReport {
        let remedy = self.service.order_remedy(order).await.unwrap();
        self.service.carry_out_remedies(&self.tenant).await.unwrap();
        self.service.remedy_report(remedy).await.unwrap()
    }

    async fn quarantine(&self) -> RemedyReport {
        let which = Which::MessageId(ID.into());
        self.carry_out(self.order(RemedyAction::Quarantine, which)).await
    }

    async fn release(&self) -> RemedyReport {
        let which = Which::MessageId(ID.into());
        self.carry_out(self.order(RemedyAction::Release, which)).await
    }

    /// The copy in a mailbox, as the lab has it.
    async fn copy(&self, number: usize) -> Option<Value> {
        let contents = self.admin.show(&format!("mailbox/{}", self.address(number))).await;
        let messages = contents["messages"].as_array().unwrap().clone();
        messages.into_iter().find(|one| one["internet_message_id"] == ID)
    }
}

fn states(report: &RemedyReport) -> BTreeMap<String, CopyState> {
    let copies = report.copies.iter();
    copies.map(|copy| (copy.found.mailbox.address.to_string(), copy.found.state)).collect()
}

/// What a move changes for nobody but the server.
fn as_seen(copy: Option<Value>) -> Value {
    let mut copy = copy.unwrap();
    for moved in ["modified", "change_key", "changed"] {
        copy.as_object_mut().unwrap().remove(moved);
    }
    copy
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_sender_kept_is_taken_too_and_all_comes_back_as_it_was() {
    let world = world().await;
    world.send(&[1, 2]).await;
    let before = [as_seen(world.copy(0).await), as_seen(world.copy(1).await)];
    let report = world.quarantine().await;
    assert!(report.is_whole(), "{report:?}");
    assert_eq!(report.copies.len(), 3, "{report:?}");
    for number in 0..3 {
        let copy = world.copy(number).await.unwrap();
        assert_eq!(copy["hidden"], true, "{copy}");
        assert_eq!(copy["folder_path"], json!(["Mailkeep Quarantine"]));
    }
    let back = world.release().await;
    assert!(back.is_whole() && back.copies.iter().all(|copy| copy.note.is_none()), "{back:?}");
    assert_eq!([as_seen(world.copy(0).await), as_seen(world.copy(1).await)], before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_out_of_the_responder_s_reach_is_named_and_costs_the_others_nothing() {
    let world = World::with(|options| options.mailboxes = Some(4), TINY).await;
    world.pass().await;
    let client_id = world.set_up_responder(&[]).await;
    let reach = [world.address(0), world.address(1)];
    let roles = json!([{ "role": "Application Mail.ReadWrite", "mailboxes": reach }]);
    world.admin.order("exchange-roles", json!({"client_id": client_id, "roles": roles})).await;
    world.send(&[1, 2]).await;
    let report = world.quarantine().await;
    assert_eq!(states(&report).len(), 2, "{report:?}");
    let unsearched: Vec<_> =
        report.remedy.unsearched.iter().map(|one| one.mailbox.clone()).collect();
    assert_eq!(unsearched, [world.address(2), world.address(3)]);
    assert!(report.remedy.unsearched[0].reason.contains("Mail.ReadWrite"), "{report:?}");
    assert!(!report.is_whole() && report.remedy.next_search.is_some(), "{report:?}");
    assert_eq!(world.copy(2).await.unwrap()["hidden"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_became_of_a_copy_meanwhile_is_respected_and_said() {
    let world = world().await;
    world.send(&[1, 2, 3]).await;
    // One lies in a folder of its owner's that is gone when it comes back.
    let inbox_of = |number: usize| world.address(number);
    let moved = json!({"mailbox": inbox_of(1), "newest": 1, "seed": 7, "move": 1});
    world.admin.order("mutate", moved).await;
    world.quarantine().await;
    // One is deleted out of the quarantine by somebody with its owner's rights, one is taken out.
    let gone = json!({"mailbox": inbox_of(2), "folder": "Mailkeep Quarantine", "delete": 1});
    world.admin.order("mutate", gone).await;
    let out =
        json!({"mailbox": inbox_of(3), "folder": "Mailkeep Quarantine", "move": 1, "seed": 3});
    world.admin.order("mutate", out).await;
    let lies = world.copy(3).await.unwrap()["folder_path"].clone();
    let back = world.release().await;
    let note = |number: usize| {
        let address = inbox_of(number);
        let copy = back.copies.iter().find(|one| one.found.mailbox.address == address).unwrap();
        (copy.found.state, copy.note.clone().unwrap_or_default())
    };
    let (state, text) = note(3);
    assert_eq!(state, CopyState::Released);
    assert!(text.contains("somebody else") || lies == json!(["Inbox"]), "{text}: {lies}");
    assert_eq!(world.copy(3).await.unwrap()["folder_path"], lies, "it is left where it is");
    // Deleted, it lies among what was purged; nobody takes it out of there again.
    let (state, text) = note(2);
    assert!(state != CopyState::Failed && !text.is_empty(), "{state:?} {text}");
    assert_eq!(note(1).0, CopyState::Released);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_fails_and_throttles_in_between_is_outlasted() {
    let world = world().await;
    world.send(&[1, 2, 3]).await;
    let rules = json!([
        {"operation": "message.move", "status": 503, "when": "after", "probability": 0.4, "seed": 1},
        {"operation": "message.move", "reset": true, "times": 1, "pass": 1},
        {"operation": "messages.list", "status": 429, "retry_after": 1, "times": 5},
    ]);
    world.admin.order("faults", rules).await;
    let report = world.quarantine().await;
    assert!(report.is_whole() && report.copies.len() == 4, "{report:?}");
    world.admin.clear_faults().await;
    for number in 0..4 {
        assert_eq!(world.copy(number).await.unwrap()["hidden"], true);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_by_link_finds_what_was_inspected_and_what_comes_later() {
    let world = world().await;
    world.send(&[1]).await;
    world.pass().await;
    let link = || Which::Link("https://evil.example/x".into());
    let report = world.carry_out(world.order(RemedyAction::Remove, link())).await;
    assert_eq!(states(&report).values().collect::<Vec<_>>(), [&CopyState::Removed; 2]);
    assert_eq!(report.remedy.messages, [ID]);
    // Another message with that link.
    let to = [world.address(2)];
    let mime = "Subject: more\r\nMessage-ID: <more@x.example>\r\nContent-Type: text/html\r\n\r\n\
                <a href=\"https://evil.example/x\">here</a>\r\n";
    world.admin.order("send", json!({"to": to, "mime": mime})).await;
    let between = world.pass().await;
    world.service.carry_out_remedies(&world.tenant).await.unwrap();
    let report = world.service.remedy_report(report.remedy.id).await.unwrap();
    assert_eq!(report.copies.len(), 3, "{report:?}");
    // Taken, it is in the backup, where it is, and its owner has not deleted it.
    let pass = world.pass().await;
    assert_eq!((between.removed, pass.removed), (0, 0), "{between:?} {pass:?}");
    assert_eq!(between.changed + pass.changed, 3, "{between:?} {pass:?}");
    let back = world.carry_out(world.order(RemedyAction::Release, link())).await;
    assert_eq!(back.copies.len(), 3, "{back:?}");
    assert!(states(&back).values().all(|state| *state == CopyState::Released), "{back:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_nothing_can_come_of_is_refused_with_the_reason() {
    let world = World::with(|options| options.mailboxes = Some(2), TINY).await;
    world.pass().await;
    let order = |which| world.order(RemedyAction::Quarantine, which);
    let refused = async |order: Order| world.service.order_remedy(order).await.unwrap_err();
    let without = refused(order(Which::MessageId(ID.into()))).await;
    assert!(matches!(without, ServiceError::NotRegistered { .. }), "{without}");
    world.set_up_responder(&["Mail.ReadWrite"]).await;
    let unknown = refused(order(Which::Finding(99))).await;
    assert_eq!(unknown.kind(), ErrorKind::NotFound, "{unknown}");
    assert_eq!(refused(order(Which::MessageId(" <> ".into()))).await.kind(), ErrorKind::Failed);
    let nowhere = Order {
        reach: Reach::Mailbox("nobody@lab.example".parse().unwrap()),
        ..order(Which::MessageId(ID.into()))
    };
    assert_eq!(refused(nowhere).await.kind(), ErrorKind::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_moved_by_one_who_did_not_come_to_write_it_down_is_put_back() {
    let world = world().await;
    world.send(&[1]).await;
    let before = as_seen(world.copy(1).await);
    let report = world.quarantine().await;
    // As it stands when the process ends between the move and the note of it.
    let undone = CopyStep::Settled { state: CopyState::Found, note: None };
    let steps = report.copies.into_iter().map(|copy| (copy, undone.clone())).collect();
    world
        .service
        .control()
        .copies_stepped(steps, OffsetDateTime::now_utc(), UNDO_FOR)
        .await
        .unwrap();
    assert_eq!(world.copy(1).await.unwrap()["hidden"], true);
    let back = world.release().await;
    assert!(back.is_whole() && back.copies.iter().all(|copy| copy.note.is_none()), "{back:?}");
    assert_eq!(as_seen(world.copy(1).await), before, "it is said to be back, and is hidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_its_owner_moved_after_it_was_noted_goes_back_to_where_it_was_taken_from() {
    let world = world().await;
    world.send(&[1]).await;
    let order = || world.order(RemedyAction::Quarantine, Which::MessageId(ID.into()));
    let mut told = world.service.preview_remedy(&order()).await.unwrap();
    told.iter_mut().for_each(|copy| copy.seen = OffsetDateTime::UNIX_EPOCH);
    // The page told of it where it arrived. Its owner has read it since, and filed it.
    let newest = |what: &str| json!({"mailbox": world.address(1), "newest": 1, "seed": 7, what: 1});
    world.admin.order("mutate", newest("change")).await;
    world.admin.order("mutate", newest("move")).await;
    let before = as_seen(world.copy(1).await);
    assert_ne!(before["folder_path"], json!(["Inbox"]), "{before}");
    let remedy = world.service.order_remedy(order()).await.unwrap();
    let (control, now) = (world.service.control(), OffsetDateTime::now_utc());
    assert_eq!(control.remedy_found(&world.tenant, remedy, &told, now).await.unwrap(), 2);
    world.service.carry_out_remedies(&world.tenant).await.unwrap();
    assert_eq!(world.copy(1).await.unwrap()["hidden"], true);
    let back = world.release().await;
    assert!(back.is_whole(), "{back:?}");
    assert_eq!(as_seen(world.copy(1).await), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_took_out_and_read_is_not_marked_as_unread_again() {
    let world = world().await;
    world.send(&[1]).await;
    world.quarantine().await;
    let out =
        json!({"mailbox": world.address(1), "folder": "Mailkeep Quarantine", "move": 1, "seed": 3});
    world.admin.order("mutate", out).await;
    let change = json!({"mailbox": world.address(1), "newest": 1, "seed": 7, "change": 1});
    world.admin.order("mutate", change).await;
    let theirs = as_seen(world.copy(1).await);
    world.release().await;
    assert_eq!(as_seen(world.copy(1).await), theirs);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_by_another_order_s_number_is_known_to_be_for_all_mailboxes() {
    let world = world().await;
    world.send(&[1]).await;
    let taken = world.quarantine().await.remedy.id;
    let again = |reach| Order { reach, ..world.order(RemedyAction::Remove, Which::Remedy(taken)) };
    let where_found = again(Reach::WhereFound);
    assert!(world.service.is_for_all_mailboxes(&where_found).await.unwrap());
    let one = again(Reach::Mailbox(world.address(1)));
    assert!(!world.service.is_for_all_mailboxes(&one).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_read_and_is_in_quarantine_is_read_when_it_is_back() {
    let world = world().await;
    world.send(&[1]).await;
    let faults =
        json!([{"operation": "message.value", "mailbox": world.address(1), "status": 500}]);
    world.admin.order("faults", faults).await;
    let first = world.pass().await;
    assert_eq!(first.missed.len(), 1, "{first:?}");
    world.admin.clear_faults().await;
    world.quarantine().await;
    let hidden = world.pass().await;
    assert_eq!((hidden.missed.len(), hidden.new), (1, 0), "{hidden:?}");
    let skipped = world.service.control().skipped(&world.tenant, None).await.unwrap();
    assert_eq!(skipped.len(), 1, "it is forgotten: {hidden:?}");
    world.release().await;
    let back = world.pass().await;
    assert!(back.is_whole() && back.new == 1, "{back:?}");
}
