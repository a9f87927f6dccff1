#![doc = include_str!("../docs/faults.md")]

mod rule;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::operation::Operation;
use crate::seed::Rng;
pub(crate) use rule::Rule;

/// Whether what was asked for happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum When {
    Before,
    After,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PageKind {
    Repeat,
    Skip,
    Lose,
    Stale,
    Circle,
}

/// What comes in place of an answer that succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum BadBody {
    Truncated,
    Deep,
    Endless,
    Html,
    Error,
}

/// What is asked, for a rule to be compared with.
#[derive(Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) operation: Operation,
    pub(crate) mailbox: Option<&'a str>,
    pub(crate) mailbox_id: Option<Uuid>,
    /// The folder in the request, or that of the item: its number and role.
    pub(crate) folder_number: Option<u64>,
    pub(crate) folder_role: Option<&'a str>,
    /// The folder and item as the request names them.
    pub(crate) folder: Option<&'a str>,
    pub(crate) item: Option<&'a str>,
    pub(crate) item_number: Option<u64>,
    pub(crate) has_token: bool,
}

impl Subject<'_> {
    /// A request that is into no mailbox.
    pub(crate) fn outside(operation: Operation) -> Self {
        Self {
            operation,
            mailbox: None,
            mailbox_id: None,
            folder_number: None,
            folder_role: None,
            folder: None,
            item: None,
            item_number: None,
            has_token: false,
        }
    }
}

/// What the rules do to one request.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Effect {
    pub(crate) delay_ms: u64,
    pub(crate) bytes_per_second: Option<u64>,
    pub(crate) reset: Option<When>,
    pub(crate) refusal: Option<Refused>,
    /// JSON to be told in place of what is so.
    pub(crate) answer: Option<String>,
    pub(crate) pages: Vec<PageFault>,
    pub(crate) body: Option<BadBody>,
    pub(crate) revokes_tokens: bool,
    /// Whose cursors are to expire.
    pub(crate) expires: Vec<Scope>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refused {
    pub(crate) status: u16,
    pub(crate) code: Option<String>,
    pub(crate) retry_after: Option<u32>,
    pub(crate) when: When,
}

/// Cursors of one folder, one mailbox, or all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scope {
    pub(crate) mailbox: Option<Uuid>,
    pub(crate) folder: Option<u64>,
}

/// What is to be done to a page.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct PageFault {
    pub(crate) kind: PageKind,
    share: f64,
    seed: u64,
}

impl PageFault {
    /// Which of `count` items are touched: at least one if there is any, each with the same chance.
    pub(crate) fn choose(self, count: usize) -> Vec<bool> {
        let mut rng = Rng::new(self.seed);
        let mut chosen: Vec<bool> = (0..count).map(|_| rng.fraction() < self.share).collect();
        let any = rng.below(count);
        if let Some(one) = chosen.get_mut(any) {
            *one = true;
        }
        chosen
    }

    /// How many of the last of `count` items are touched.
    pub(crate) fn tail(self, count: usize) -> usize {
        ((count as f64 * self.share) as usize).max(1).min(count)
    }

    /// A choice between two ways.
    pub(crate) fn coin(self) -> bool {
        self.seed & 1 == 1
    }
}

#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// So that a lab without rules takes no lock.
    any: AtomicBool,
    rules: Mutex<Vec<State>>,
    /// Pages of lists that have been told and are to be told once more.
    repeating: Mutex<HashSet<String>>,
}

#[derive(Debug)]
struct State {
    rule: Rule,
    rng: Rng,
    passed: u64,
}

impl Faults {
    /// Replaces all rules.
    pub(crate) fn set(&self, rules: Vec<Rule>) -> Result<(), String> {
        for rule in &rules {
            rule.check()?;
        }
        self.any.store(!rules.is_empty(), Ordering::Release);
        let rules = rules
            .into_iter()
            .map(|rule| State { rng: Rng::new(rule.seed), rule: rule.fresh(), passed: 0 })
            .collect();
        *self.rules.lock().unwrap_or_else(PoisonError::into_inner) = rules;
        self.repeating.lock().unwrap_or_else(PoisonError::into_inner).clear();
        Ok(())
    }

    pub(crate) fn rules(&self) -> Vec<Rule> {
        let rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        rules.iter().map(|state| state.rule.clone()).collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        !self.any.load(Ordering::Acquire)
    }

    /// Applies the rules in their order.
    pub(crate) fn effect(&self, subject: &Subject<'_>) -> Effect {
        let mut effect = Effect::default();
        if self.is_empty() {
            return effect;
        }
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        for State { rule, rng, passed } in rules.iter_mut() {
            if !rule.fits(subject) || rule.times.is_some_and(|times| rule.hits >= times) {
                continue;
            }
            let refusal = rule.refusal();
            if refusal.is_some() && effect.refusal.is_some() {
                continue;
            }
            if *passed < rule.pass {
                *passed += 1;
                continue;
            }
            if rng.fraction() >= rule.probability {
                continue;
            }
            rule.hits += 1;
            rule.add_to(&mut effect, subject, rng);
            effect.refusal = effect.refusal.take().or(refusal);
        }
        effect
    }

    /// Whether the page of a list that `key` names is to be told once more; true every other time.
    pub(crate) fn repeats(&self, key: String) -> bool {
        let mut repeating = self.repeating.lock().unwrap_or_else(PoisonError::into_inner);
        !repeating.remove(&key) && repeating.insert(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(operation: Operation) -> Subject<'static> {
        Subject {
            mailbox: Some("a@b.example"),
            mailbox_id: Some(Uuid::nil()),
            ..Subject::outside(operation)
        }
    }

    fn rules(json: &str) -> Faults {
        let faults = Faults::default();
        faults.set(serde_json::from_str(json).unwrap()).unwrap();
        faults
    }

    #[test]
    fn a_rule_hits_what_it_names_and_as_often_as_it_says() {
        let faults = rules(
            r#"[{"operation":"message.value","mailbox":"A@B.example","status":503,"retry_after":2,"times":2}]"#,
        );
        assert_eq!(faults.effect(&subject(Operation::MessagesDelta)), Effect::default());
        for _ in 0..2 {
            let refusal = faults.effect(&subject(Operation::MessageValue)).refusal.unwrap();
            assert_eq!((refusal.status, refusal.retry_after), (503, Some(2)));
        }
        assert_eq!(faults.effect(&subject(Operation::MessageValue)), Effect::default());
        assert_eq!(faults.rules()[0].hits, 2);
    }

    #[test]
    fn a_seed_makes_the_same_requests_fail_again() {
        let hits = || {
            let faults = rules(r#"[{"status":500,"probability":0.3,"seed":7}]"#);
            (0..200)
                .map(|_| faults.effect(&subject(Operation::MessageShow)).refusal.is_some())
                .collect::<Vec<_>>()
        };
        assert_eq!(hits(), hits());
        let count = hits().into_iter().filter(|hit| *hit).count();
        assert!((30..90).contains(&count), "{count}");
    }

    #[test]
    fn a_rule_that_cannot_work_is_refused() {
        for bad in [
            r#"{}"#,
            r#"{"status":200}"#,
            r#"{"status":500,"probability":2}"#,
            r#"{"delay_ms":5,"when":"after"}"#,
            r#"{"bytes_per_second":0}"#,
            r#"{"operation":"message.value","page":"skip"}"#,
            r#"{"page":"skip","share":1.5}"#,
        ] {
            let rule: Rule = serde_json::from_str(bad).unwrap();
            assert!(Faults::default().set(vec![rule]).is_err(), "{bad}");
        }
        assert!(serde_json::from_str::<Rule>(r#"{"operation":"nonsense"}"#).is_err());
    }

    #[test]
    fn rules_that_hit_one_request_all_take_effect() {
        let faults = rules(
            r#"[{"delay_ms":5},{"delay_ms":7,"bytes_per_second":10},{"bytes_per_second":3},
                {"reset":true,"when":"before"},{"reset":true},{"status":503},{"status":500},
                {"operation":"messages.list","page":"lose"}]"#,
        );
        let effect = faults.effect(&subject(Operation::MessagesList));
        assert_eq!((effect.delay_ms, effect.bytes_per_second), (12, Some(3)));
        assert_eq!(effect.reset, Some(When::Before));
        assert_eq!(effect.refusal.unwrap().status, 503);
        assert_eq!(effect.pages[0].kind, PageKind::Lose);
        let hits: Vec<u64> = faults.rules().iter().map(|rule| rule.hits).collect();
        assert_eq!(hits, [1, 1, 1, 1, 1, 1, 0, 1], "a refusal that did not count did not hit");
    }

    #[test]
    fn a_rule_can_wait_for_the_middle_of_a_pass() {
        let faults = rules(r#"[{"status":500,"pass":2,"times":1}]"#);
        let hit = || faults.effect(&subject(Operation::MessageShow)).refusal.is_some();
        assert_eq!([hit(), hit(), hit(), hit()], [false, false, true, false]);
    }

    #[test]
    fn a_page_fault_touches_at_least_one_item_and_never_one_that_is_not_there() {
        for seed in 0..50 {
            let fault = PageFault { kind: PageKind::Skip, share: 0.0, seed };
            assert_eq!(fault.choose(7).into_iter().filter(|chosen| *chosen).count(), 1);
            assert_eq!((fault.choose(0).len(), fault.tail(0), fault.tail(9)), (0, 0, 1));
        }
    }
}
