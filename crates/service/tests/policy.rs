//! What follows from a policy, in the mailboxes themselves.

#![allow(clippy::unwrap_used)]

mod common;

use std::{collections::BTreeSet, fs, path::PathBuf, time::Duration};

use common::{TINY, World, open};
use mailkeep_control::{DecisionFilter, NewDecision, RemedyId, RemedySubject, StoredDecision};
use mailkeep_model::ItemId;
use mailkeep_service::{ProtectOptions, Protection, TenantFiles};
use serde_json::json;
use time::OffsetDateTime;

const EARNEST: &str = "dry_run = false\n[verdict]\nmalicious = \"quarantine\"\n";
const DRY_RUN: &str = "dry_run = true\n[verdict]\nmalicious = \"quarantine\"\n";
/// What a rule of `[verdict]` is called.
const RULE: &str = "verdict: malicious";
const BAD: &str = "see https://bad.example/login";

/// A tenant that was backed up once, whose policy this is.
async fn world(policy: &str) -> World {
    let mut world = World::with(|options| options.mailboxes = Some(3), TINY).await;
    world.pass().await;
    fs::write(world.file("feed.txt"), "https://bad.example/login\n").unwrap();
    fs::write(world.file("policy.toml"), policy).unwrap();
    world.start_again(|_| {}).await;
    world
}

impl World {
    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The service is started again: it reads its policy anew.
    async fn start_again(&mut self, change: impl FnOnce(&mut ProtectOptions)) {
        let policy = Some(self.file("policy.toml"));
        let files = TenantFiles { policy, ..TenantFiles::default() };
        let feeds = vec![self.file("feed.txt")];
        let mut options = ProtectOptions { files, feeds, ..ProtectOptions::default() };
        change(&mut options);
        let service = open(self.service.data().root(), TINY).await;
        self.service = service.with_protection(Protection::new(options, None));
    }

    /// A colleague sends the two others a message.
    async fn send(&self, id: &str, body: &str) {
        let all = self.lab.description().tenants[0].mailboxes.clone();
        let mime = format!(
            "From: Ann <{}>\r\nTo: {}, {}\r\nSubject: x\r\nMessage-ID: {id}\r\n\r\n{body}\r\n",
            all[0], all[1], all[2]
        );
        let order = json!({"from": all[0], "to": all[1..], "mime": mime});
        self.admin.order("send", order).await;
    }

    /// In which folders the three mailboxes have that message.
    async fn places(&self, id: &str) -> BTreeSet<String> {
        let mut places = BTreeSet::new();
        for mailbox in &self.lab.description().tenants[0].mailboxes {
            let contents = self.admin.show(&format!("mailbox/{mailbox}")).await;
            for one in contents["messages"].as_array().unwrap() {
                if one["internet_message_id"] == id {
                    places.insert(format!("{mailbox} {}", one["folder_path"]));
                }
            }
        }
        places
    }

    async fn in_quarantine(&self, id: &str) -> usize {
        let places = self.places(id).await;
        assert_eq!(places.len(), 3, "{places:?}");
        places.iter().filter(|place| place.contains("Mailkeep Quarantine")).count()
    }

    /// A backup, and what it had ordered is carried out.
    async fn backed_up(&self) {
        self.pass().await;
        let responder = self.service.tenant(&self.tenant).await.unwrap();
        if responder.functions.len() > 1 {
            self.service.carry_out_remedies(&self.tenant).await.unwrap();
        }
    }

    async fn decisions(&self) -> Vec<StoredDecision> {
        let all = DecisionFilter::default();
        self.service.control().decisions(&self.tenant, &all).await.unwrap()
    }

    async fn with_responder(self) -> Self {
        self.set_up_responder(&["Mail.ReadWrite"]).await;
        self
    }
}

fn spared(decisions: &[StoredDecision]) -> BTreeSet<Option<&str>> {
    decisions.iter().map(|one| one.spared.as_deref()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_colleague_s_bad_mail_is_taken_from_all_and_nothing_else_is() {
    let world = world(EARNEST).await.with_responder().await;
    world.send("<bad@corp.example>", BAD).await;
    world.send("<good@corp.example>", "see https://good.example/").await;
    world.backed_up().await;
    assert_eq!(world.in_quarantine("<bad@corp.example>").await, 3, "{:?}", world.decisions().await);
    assert_eq!(world.in_quarantine("<good@corp.example>").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_in_dry_run_moves_nothing() {
    let world = world(DRY_RUN).await.with_responder().await;
    world.send("<bad@corp.example>", BAD).await;
    world.backed_up().await;
    assert_eq!(world.in_quarantine("<bad@corp.example>").await, 0);
    let decisions = world.decisions().await;
    assert_eq!((decisions.len(), spared(&decisions)), (3, BTreeSet::from([Some("dry run")])));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_who_leaves_brackets_out_of_an_id_does_not_keep_the_message_from_being_found() {
    let world = world(EARNEST).await.with_responder().await;
    world.send("<bad@corp.example>", BAD).await;
    let control = world.service.control();
    let (mailbox, now) =
        (control.mailboxes(&world.tenant).await.unwrap()[0].clone(), OffsetDateTime::now_utc());
    let ids = ["bad@corp.example", "<<worse@corp.example>>"];
    let decided = ids.map(|id| NewDecision {
        item: ItemId(id.into()),
        content_key: "key".into(),
        message_id: Some(id.into()),
        sender: "ann@corp.example".into(),
        action: "quarantine".into(),
        acted: true,
        spared: None,
        rules: json!([{"rule": RULE, "action": "quarantine", "dry_run": false, "why": "bad"}]),
        told_as: Some(RULE.into()),
        received: now,
    });
    let hour = time::Duration::hours(1);
    let recorded =
        control.record_decisions(&world.tenant, &mailbox.mailbox.id, decided.to_vec(), hour, now);
    recorded.await.unwrap();
    world.pass().await;
    let mut ordered = BTreeSet::new();
    for decision in world.decisions().await {
        let remedy = RemedyId(decision.remedy.unwrap().parse().unwrap());
        let (_, known) = control.remedy(remedy).await.unwrap().unwrap();
        let RemedySubject::Message(id) = known.order.subject else { panic!("{known:?}") };
        ordered.insert(id);
    }
    assert!(ids.iter().all(|id| ordered.contains(*id)), "{ordered:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waited_for_a_responder_is_not_taken_when_the_policy_has_changed_its_mind() {
    let mut world = world(EARNEST).await;
    world.send("<bad@corp.example>", BAD).await;
    world.backed_up().await;
    let decisions = world.decisions().await;
    assert_eq!((decisions.len(), spared(&decisions)), (3, BTreeSet::from([None])));

    // 1. A policy that cannot be read lets nothing be, and has nothing taken.
    fs::write(world.file("policy.toml"), "dry_run = flase\n").unwrap();
    world.start_again(|_| {}).await;
    let mut world = world.with_responder().await;
    world.backed_up().await;
    assert_eq!(world.in_quarantine("<bad@corp.example>").await, 0);
    assert_eq!(spared(&world.decisions().await), BTreeSet::from([None]));

    // 2. One in dry run lets it be, once and for all.
    fs::write(world.file("policy.toml"), DRY_RUN).unwrap();
    world.start_again(|_| {}).await;
    world.backed_up().await;
    fs::write(world.file("policy.toml"), EARNEST).unwrap();
    world.start_again(|_| {}).await;
    world.backed_up().await;
    assert_eq!(world.in_quarantine("<bad@corp.example>").await, 0);
    let why = BTreeSet::from([Some("dry run, since it was decided")]);
    assert_eq!(spared(&world.decisions().await), why);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waited_too_long_is_not_taken_when_there_is_a_responder_at_last() {
    let world = world(EARNEST).await;
    world.send("<bad@corp.example>", BAD).await;
    world.backed_up().await;
    let mut world = world.with_responder().await;
    world.start_again(|options| options.act_within = Duration::ZERO).await;
    world.backed_up().await;
    assert_eq!(world.in_quarantine("<bad@corp.example>").await, 0);
    let why = BTreeSet::from([Some("it arrived too long ago")]);
    assert_eq!(spared(&world.decisions().await), why);
}
