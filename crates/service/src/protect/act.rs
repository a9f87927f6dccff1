//! What follows from a decision: it is recorded, people are told, and what is to be taken away is
//! ordered.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use mailkeep_control::{Control, NewDecision, StoredDecision, StoredLoadProblem};
use mailkeep_inspect::policy::{Action, Applied, Decision, Policy, Rule};
use mailkeep_model::{Function, Item, MailboxId, TenantName};
use serde_json::json;
use time::OffsetDateTime;
use tokio::sync::Notify;

use super::{LoadProblem, Look};
use crate::{
    Service, ServiceError,
    remedy::{Order, OrderedBy, Reach, RemedyAction, RemedyId, Which},
    service::blocking,
};

/// Decisions by one rule are told as one when no more than this lies between them: what somebody is
/// told of in the morning is one thing.
pub(crate) const EPISODE: time::Duration = time::Duration::hours(12);
/// A mailbox's clock and ours may differ by this much, and a message may be on its way for as long.
const SLACK: time::Duration = time::Duration::minutes(5);
/// How often files are looked at.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// How often decisions are looked for that somebody else made, or that could not be ordered.
const ORDER_AGAIN: Duration = Duration::from_secs(30);
/// Decisions of a tenant that are read at once.
const AT_ONCE: u64 = 500;
/// The actions that need an order.
const ORDERED: [&str; 2] = [Action::Quarantine.as_str(), Action::Remove.as_str()];

/// What the policy says of one message in a mailbox, before it is known whether anything follows.
pub(crate) struct Decided(NewDecision);

/// A decision on an item, when any rule applies. Nothing is decided on a draft: nobody sent it.
pub(crate) fn decided(item: &Item, sender: Option<&str>, decision: &Decision) -> Option<Decided> {
    let would = decision.would.filter(|_| !item.draft)?;
    let action = decision.action.unwrap_or(would);
    let acts = |one: &&Applied| decision.action.is_none() || !one.dry_run;
    let strictest = decision.applied.iter().filter(acts).find(|one| one.action == action)?;
    let rules: Vec<_> = decision.applied.iter().map(words).collect();
    let new = NewDecision {
        item: item.id.clone(),
        content_key: item.content_key.clone(),
        message_id: item.internet_message_id.clone(),
        sender: item.from.as_deref().or(sender).unwrap_or_default().to_lowercase(),
        action: action.as_str().to_owned(),
        acted: decision.action.is_some(),
        spared: decision.action.is_none().then(|| "dry run".to_owned()),
        told_as: (action >= Action::Notify).then(|| strictest.rule.clone()),
        rules: json!(rules),
        received: item.received,
    };
    Some(Decided(new))
}

fn words(applied: &Applied) -> serde_json::Value {
    json!({
        "rule": applied.rule,
        "action": applied.action.as_str(),
        "dry_run": applied.dry_run,
        "why": applied.why,
        "recipients": applied.recipients,
    })
}

/// What a mailbox's reader needs to record decisions.
pub(crate) struct Acting {
    /// How old mail may be.
    within: Duration,
    /// Is woken when something is to be ordered.
    wake: Arc<Notify>,
}

impl Acting {
    /// Records decisions on messages in a mailbox. Mail that was there before the mailbox was first
    /// backed up is inspected and left alone, and so is what lay about for long.
    pub(crate) async fn record(
        &self,
        control: &Control,
        tenant: &TenantName,
        mailbox: &MailboxId,
        decided: Vec<Decided>,
        now: OffsetDateTime,
    ) -> Result<(), ServiceError> {
        if decided.is_empty() {
            return Ok(());
        }
        let first_seen = control.mailbox_first_seen(tenant, mailbox).await?;
        let spare = |Decided(mut new): Decided| {
            let received = new.received;
            let id = new.message_id.as_deref().unwrap_or_default();
            let why = if received < first_seen - SLACK {
                Some("it was there before the first backup")
            } else if now - received > self.within {
                Some("it arrived too long ago")
            } else if new.acted && !names_a_message(id) && takes_away(&new.action) {
                Some("it has no Message-ID to find its copies by")
            } else {
                None
            };
            if let Some(why) = why {
                new.acted = false;
                new.spared = Some(why.to_owned());
            }
            if !new.acted {
                new.told_as = None;
            }
            new
        };
        let new: Vec<NewDecision> = decided.into_iter().map(spare).collect();
        let stored = control.record_decisions(tenant, mailbox, new, EPISODE, now).await?;
        if stored.iter().any(needs_order) {
            self.wake.notify_one();
        }
        Ok(())
    }
}

/// Whether a `Message-ID` tells a message from all others; a sender may write anything there.
fn names_a_message(id: &str) -> bool {
    !id.trim_matches(|one: char| one.is_whitespace() || matches!(one, '<' | '>')).is_empty()
}

fn takes_away(action: &str) -> bool {
    ORDERED.contains(&action)
}

fn needs_order(decision: &StoredDecision) -> bool {
    decision.acted && decision.remedy.is_none() && takes_away(&decision.action)
}

impl Service {
    /// What a tenant's readers need to record decisions.
    pub(crate) fn acting(&self, tenant: &TenantName) -> Acting {
        let within = self.protection.of(Some(tenant)).act_within();
        Acting { within, wake: Arc::clone(&self.decided) }
    }

    /// Reads what inspection is given from files, unless it was read before.
    ///
    /// # Errors
    /// [`ServiceError::Stopped`]. What is wrong with a file is no error.
    pub async fn read_protection(&self) -> Result<(), ServiceError> {
        let protection = Arc::clone(&self.protection);
        blocking(move || {
            protection.look_first();
            Ok(())
        })
        .await
    }

    /// Reads what inspection is given from files again whenever it changes, and tells what cannot be
    /// used; never ends.
    pub async fn tend_protection(&self) {
        let mut told = false;
        loop {
            let protection = Arc::clone(&self.protection);
            match blocking(move || Ok(protection.look())).await {
                Ok(look) => {
                    tell(&look);
                    // What another process left behind is replaced once, whatever there is now.
                    if (look.changed || !told) && self.record_problems().await {
                        told = true;
                    }
                }
                Err(error) => tracing::error!(%error, "what inspection is given cannot be read"),
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Writes down what cannot be used, for whoever tells people.
    async fn record_problems(&self) -> bool {
        let now = OffsetDateTime::now_utc();
        let stored = |one: LoadProblem| StoredLoadProblem {
            path: one.path.display().to_string(),
            tenant: one.tenant,
            line: one.line.map(|line| line as u64),
            problem: one.problem,
            kept: one.kept,
            since: now,
            solved: None,
        };
        let problems = self.protection.problems().into_iter().map(stored).collect();
        let recorded = self.control.set_load_problems(problems, now).await;
        if let Err(error) = &recorded {
            tracing::error!(%error, "what cannot be read cannot be told");
        }
        recorded.is_ok()
    }

    /// Orders what the policy decided, as soon as it did; never ends.
    pub async fn tend_decisions(&self) {
        let mut told = BTreeSet::new();
        loop {
            self.order_decided(&mut told).await;
            let woken = self.decided.notified();
            let _ = tokio::time::timeout(ORDER_AGAIN, woken).await;
        }
    }

    /// Orders what the policy decided and nobody ordered yet, and lets be what it would not decide any
    /// more. What cannot be ordered now is another time; `told` are the tenants of which that was said.
    pub(crate) async fn order_decided(&self, told: &mut BTreeSet<TenantName>) {
        let waiting = async {
            // Without what is in the files nobody knows what still holds.
            self.read_protection().await?;
            Ok::<_, ServiceError>(self.control.tenants_with_waiting_decisions(&ORDERED).await?)
        };
        let tenants = match waiting.await {
            Ok(tenants) => tenants,
            Err(error) => return tracing::error!(%error, "decisions cannot be read"),
        };
        let mut failed = BTreeSet::new();
        for tenant in tenants {
            if let Err(error) = self.order_decisions_of(&tenant).await {
                if !told.contains(&tenant) {
                    tracing::error!(%tenant, %error, "what the policy decided cannot be ordered, and waits");
                }
                failed.insert(tenant);
            }
        }
        *told = failed;
    }

    /// Orders what waits of one tenant. An error is what hinders all of it.
    async fn order_decisions_of(&self, tenant: &TenantName) -> Result<(), ServiceError> {
        loop {
            let waiting = self.control.waiting_decisions(tenant, &ORDERED, AT_ONCE).await?;
            let is_all = (waiting.len() as u64) < AT_ONCE;
            let loaded = self.protection.of(Some(tenant));
            let (policy, within) = (loaded.policy(), loaded.act_within());
            let mut hindered = None;
            for decision in waiting {
                let now = OffsetDateTime::now_utc();
                // What waited may wait for good, or until it does harm: it is looked at again each time.
                if let Some(why) = overtaken(&decision, policy, within, now) {
                    self.control.spare_decision(decision.id, why).await?;
                    continue;
                }
                // Without a policy, because its file cannot be read, it waits for one.
                if hindered.is_some() || policy.is_none() {
                    continue;
                }
                match self.order_decision(&decision).await {
                    Ok(()) => {}
                    // It is this message's own fault, and no other has to wait for it.
                    Err(ServiceError::Refused { reason, .. }) => {
                        self.control.spare_decision(decision.id, &reason).await?;
                    }
                    Err(error) => hindered = Some(error),
                }
            }
            if let Some(error) = hindered {
                return Err(error);
            }
            if is_all || policy.is_none() {
                return Ok(());
            }
        }
    }

    /// Why nothing that the policy decides for a tenant can be ordered, when that is known.
    pub(crate) async fn hindrance(
        &self,
        tenant: &TenantName,
    ) -> Result<Option<String>, ServiceError> {
        let Some(known) = self.control.tenant(tenant).await? else { return Ok(None) };
        let has_responder = known.functions.iter().any(|one| one.function == Function::Responder);
        Ok((!has_responder).then(|| {
            format!(
                "no responder is registered: 'mailkeep tenant setup {tenant} --function responder'"
            )
        }))
    }

    /// Orders the remedy of a decision, once for a message: the order reaches every mailbox that it is
    /// in, and what a person let go since is not taken away again.
    async fn order_decision(&self, decision: &StoredDecision) -> Result<(), ServiceError> {
        let action = decision.action.as_str();
        let as_strict: &[&str] =
            if action == Action::Remove.as_str() { &ORDERED[1..] } else { &ORDERED };
        let remedy = match self.control.decision_remedy(decision, as_strict).await? {
            Some(remedy) => remedy,
            None => self.order_by_policy(decision).await?.to_string(),
        };
        Ok(self.control.set_decision_remedy(decision.id, &remedy).await?)
    }

    async fn order_by_policy(&self, decision: &StoredDecision) -> Result<RemedyId, ServiceError> {
        let rule = decision.told_as.clone().unwrap_or_default();
        let why = decision.rules.as_array().into_iter().flatten();
        let why = why.filter(|one| one["rule"] == rule).find_map(|one| one["why"].as_str());
        let action = match decision.action == Action::Remove.as_str() {
            true => RemedyAction::Remove,
            false => RemedyAction::Quarantine,
        };
        let order = Order {
            tenant: decision.tenant.clone(),
            action,
            which: Which::Message(decision.message_id.clone().unwrap_or_default()),
            reach: Reach::Everywhere,
            by: OrderedBy::Rule(rule.clone()),
            why: why.unwrap_or_default().to_owned(),
            at: OffsetDateTime::now_utc(),
        };
        self.order_remedy(order).await
    }
}

/// Why nothing is to follow from a decision that waited, when that is so: its message is too old by now,
/// or no rule that it was made by is in earnest any more and asks for as much.
fn overtaken(
    decision: &StoredDecision,
    policy: Option<&Policy>,
    within: Duration,
    now: OffsetDateTime,
) -> Option<&'static str> {
    // A mailbox's clock that is ahead of ours makes nothing young.
    if now - decision.received.min(decision.decided) > within {
        return Some("it arrived too long ago");
    }
    let policy = policy?;
    let made_by = |rule: &Rule| {
        let mut applied = decision.rules.as_array().into_iter().flatten();
        applied.any(|one| one["dry_run"] == false && one["rule"] == rule.name())
    };
    let is_enough = |rule: &Rule| match decision.action == Action::Remove.as_str() {
        true => rule.action == Action::Remove,
        false => rule.action.takes_away(),
    };
    let mut asking =
        policy.rules().iter().filter(|rule| made_by(rule) && is_enough(rule)).peekable();
    if asking.peek().is_none() {
        return Some("the policy no longer asks for it");
    }
    let in_earnest = !policy.dry_run() && asking.any(|rule| !rule.dry_run);
    (!in_earnest).then_some("dry run, since it was decided")
}

fn tell(look: &Look) {
    for problem in &look.new_problems {
        tracing::warn!("{problem}");
    }
    for path in &look.solved {
        tracing::warn!(path = %path.display(), "is used again");
    }
    if look.changed {
        tracing::info!("what inspection is given was read again");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_id_that_every_message_could_have_is_not_searched_for() {
        for nothing in ["", " ", "<>", " < > ", "<<>>", "\t<\u{a0}>"] {
            assert!(!names_a_message(nothing), "{nothing:?}");
        }
        for id in ["<a@b>", "a@b", "<<a@b>>", "<.>"] {
            assert!(names_a_message(id), "{id:?}");
        }
    }
}
