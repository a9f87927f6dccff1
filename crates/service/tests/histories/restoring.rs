//! Restores, as one of the things that happen and at a history's end.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use mailkeep_model::{ItemId, MailboxId};
use mailkeep_service::{
    Event, Observer, OnConflict, RestoreOutcome, RestoreReport, RestoreRequest, RestoreTarget,
    RestoreWhat, ServiceError,
};
use mailkeep_vault::{FolderPath, ShortId};
use serde_json::{Value, json};

use crate::{common::Admin, faults, history::History, mailbox::Mailbox, restored};

/// What a restore says of an event that it must not delete.
const HAS_ATTENDEES: &str = "it is a meeting of this mailbox with attendees";

impl History {
    /// A restore of anything to anywhere, as one of the things that happen.
    pub(crate) async fn restore_something(&mut self) {
        let random = &mut self.random;
        let point = &self.points[random.below(self.points.len())];
        let mailbox = &point.mailboxes[random.below(point.mailboxes.len())];
        let address = mailbox.0["address"].as_str().unwrap();
        let what = if random.percent(50) {
            let items: Vec<_> = mailbox.items().collect();
            let owner = MailboxId(mailbox.0["id"].as_str().unwrap().to_owned());
            let mut chosen = Vec::new();
            for _ in 0..1 + random.below(4) {
                let Some((_, item)) = random.any(&items) else { return };
                let item = ItemId(item["id"].as_str().unwrap().to_owned());
                chosen.push(ShortId::new(&owner, &item));
            }
            RestoreWhat::Items(chosen)
        } else {
            let places: Vec<_> = mailbox.places().into_values().collect();
            let path = random.any(&places).map(|place| place.path.clone()).unwrap_or_default();
            RestoreWhat::Folder { mailbox: address.parse().unwrap(), path: FolderPath(path) }
        };
        let to = random.percent(50).then(|| {
            let names = [random.pick(&["Restored", "a/b", "Wieder da"]).to_owned()];
            let mailbox = self.addresses[random.below(self.addresses.len())].parse().unwrap();
            RestoreTarget { mailbox, path: FolderPath(names.into()) }
        });
        let request = RestoreRequest {
            tenant: self.world.tenant.clone(),
            what,
            at: Some(point.at),
            to,
            to_tenant: None,
            on_conflict: random.pick(&[OnConflict::Skip, OnConflict::Replace, OnConflict::Copy]),
        };
        let faulty = random.percent(40);
        if faulty {
            let rules = faults::of_a_restore(random);
            self.log.add(format!("faults {}", json!(rules)));
            self.world.admin.order("faults", json!(rules)).await;
        }
        let done = self.restore(&request).await;
        self.world.admin.clear_faults().await;
        match done {
            Ok(report) if !faulty => self.expect_no_failures(&report),
            Err(error) if !faulty => self.wrong.push(format!("a restore failed: {error}")),
            _ => {}
        }
    }

    async fn restore(&self, request: &RestoreRequest) -> Result<RestoreReport, ServiceError> {
        self.log.add(format!("restore {request:?}"));
        let admin = self.world.admin.clone();
        let observer = Arc::new(Registrar { admin, runtime: tokio::runtime::Handle::current() });
        let restore = self.world.service.restore(request, observer);
        let restore = tokio::time::timeout(Duration::from_secs(120), restore).await;
        let done = restore.expect("a restore ends");
        self.log.add(match &done {
            Err(error) => format!("the restore failed: {error}"),
            Ok(report) => {
                let words = ["created", "replaced", "updated", "present", "failed"];
                let counts = words.map(|word| format!("{} {word}", report.count(word)));
                format!("restored from {}: {}", report.snapshot, counts.join(", "))
            }
        });
        done
    }

    fn expect_no_failures(&mut self, report: &RestoreReport) {
        for item in &report.items {
            if let RestoreOutcome::Failed(why) = &item.outcome
                && !why.contains(HAS_ATTENDEES)
            {
                self.wrong.push(format!("not restored: {} '{}': {why}", item.item, item.subject));
            }
        }
    }

    /// Two earlier points, each into an empty mailbox; the first one with faults on the way.
    pub(crate) async fn restore_elsewhere(&mut self) {
        for number in 0..2 {
            let fresh = format!("fresh-{number}@lab.example");
            let order = json!({ "mailbox": fresh, "messages": 0 });
            self.world.admin.order("generate", order).await;
            let at = self.random.below(self.points.len());
            let whose = self.random.below(self.addresses.len());
            let point = &self.points[at];
            let mailbox = self.addresses[whose].parse().unwrap();
            let request = RestoreRequest {
                tenant: self.world.tenant.clone(),
                what: RestoreWhat::Folder { mailbox, path: FolderPath::default() },
                at: Some(point.at),
                to: Some(RestoreTarget {
                    mailbox: fresh.parse().unwrap(),
                    path: FolderPath::default(),
                }),
                to_tenant: None,
                on_conflict: OnConflict::Skip,
            };
            let others = self.mailboxes().await;
            let faulty = number == 0 && self.random.percent(50);
            if faulty {
                let rules = faults::of_a_restore(&mut self.random);
                self.log.add(format!("faults {}", json!(rules)));
                self.world.admin.order("faults", json!(rules)).await;
            }
            let first = self.restore(&request).await;
            self.world.admin.clear_faults().await;
            if !faulty {
                match &first {
                    Ok(report) => self.expect_no_failures(report),
                    Err(error) => self.wrong.push(format!("a restore failed: {error}")),
                }
            }
            if number == 0 {
                let between = Mailbox::read(&self.world.admin, &fresh).await;
                self.again(&request, &fresh, (!faulty).then_some(&between)).await;
            }
            let made = Mailbox::read(&self.world.admin, &fresh).await;
            let was = &self.points[at].mailboxes[whose];
            let found = restored::differences(was, &made);
            let lines = found.iter().map(|line| format!("restored from round {}: {line}", at + 1));
            self.wrong.extend(lines);
            // Nobody was written to, nothing was touched that was not asked for.
            let same = |(a, b): (&Mailbox, &Mailbox)| a.0 == b.0;
            if !others.iter().zip(&self.mailboxes().await).all(same) {
                self.wrong.push("a restore changed another mailbox".to_owned());
            }
        }
    }

    /// The same restore once more, with nothing in its way; it finds `before` complete.
    async fn again(&mut self, request: &RestoreRequest, into: &str, before: Option<&Mailbox>) {
        let report = match self.restore(request).await {
            Ok(report) => report,
            Err(error) => return self.wrong.push(format!("a repeated restore failed: {error}")),
        };
        self.expect_no_failures(&report);
        let Some(before) = before else { return };
        if report.count("present") != report.items.len() {
            let other = report.items.iter().filter(|item| item.outcome != RestoreOutcome::Present);
            let other: Vec<_> = other.map(|item| (&item.subject, item.outcome.as_str())).collect();
            self.wrong.push(format!("a repeated restore found something to do: {other:?}"));
        }
        if Mailbox::read(&self.world.admin, into).await.0 != before.0 {
            self.wrong.push("a repeated restore changed something".to_owned());
        }
    }

    /// A mailbox back to an earlier state: all of that is there again.
    pub(crate) async fn restore_in_place(&mut self) {
        let at = self.random.below(self.points.len());
        let whose = self.random.below(self.addresses.len());
        let address = self.addresses[whose].clone();
        let request = RestoreRequest {
            tenant: self.world.tenant.clone(),
            what: RestoreWhat::Folder {
                mailbox: address.parse().unwrap(),
                path: FolderPath::default(),
            },
            at: Some(self.points[at].at),
            to: None,
            to_tenant: None,
            on_conflict: OnConflict::Replace,
        };
        let between = Mailbox::read(&self.world.admin, &address).await;
        let report = match self.restore(&request).await {
            Ok(report) => report,
            Err(error) => return self.wrong.push(format!("a restore failed: {error}")),
        };
        self.expect_no_failures(&report);
        let is = Mailbox::read(&self.world.admin, &address).await;
        let mut was = self.points[at].mailboxes[whose].clone();
        let there: HashSet<_> = between.items().map(|(_, item)| item["id"].to_string()).collect();
        let owner = MailboxId(was.0["id"].as_str().unwrap().to_owned());
        // Of a draft, an event or a contact that an earlier restore made, nobody can tell whether
        // it was changed since: it is left as it is, and said to be there. A meeting stays as it is
        // when replacing it would send cancellations.
        let outcomes: HashMap<_, _> =
            report.items.iter().map(|item| (&item.item, &item.outcome)).collect();
        was.forget(|item| {
            let short = ShortId::new(&owner, &ItemId(item["id"].as_str().unwrap().to_owned()));
            let can_change = item["draft"].as_bool().unwrap_or(true);
            match outcomes.get(&short) {
                Some(RestoreOutcome::Present | RestoreOutcome::Updated) => {
                    can_change && !there.contains(&item["id"].to_string())
                }
                Some(RestoreOutcome::Failed(why)) => why.contains(HAS_ATTENDEES),
                _ => false,
            }
        });
        let found = restored::not_back(&was, &between, &is);
        let lines = found.iter().map(|line| format!("back to round {}: {line}", at + 1));
        self.wrong.extend(lines);
    }
}

/// The administrator who registers a restore's certificate.
struct Registrar {
    admin: Admin,
    runtime: tokio::runtime::Handle,
}

impl Observer for Registrar {
    fn on_event(&self, event: &Event) {
        if let Event::KeyToRegister { client_id, certificate_pem, .. } = event {
            let order: Value = json!({ "add_certificate": certificate_pem });
            let (admin, path) = (self.admin.clone(), format!("applications/{client_id}"));
            self.runtime.spawn(async move { admin.order(&path, order).await });
        }
    }
}
